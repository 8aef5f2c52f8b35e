/* SPDX-License-Identifier: BSD-2-Clause */
/* dmarcgatectl help: the table of subcommands in words, and as mdoc. */
#include "proxy/ctl/ctl.h"
#include "proxy/fill.h"
#include "smtp/extension.h"

#define HELP_MAX ((size_t)1 << 20)

bool
ctl_print_list(struct buf *out)
{
	buf_append(out, SPAN_LIT("usage: dmarcgatectl SUBCOMMAND [OPTION ...] "
				 "[OPERAND]\n\n"));
	for (size_t i = 0; i < CTL_COUNT; i++)
		buf_printf(out, "  %-8s %s\n", ctl_subcommands[i].word,
			   ctl_subcommands[i].summary);
	buf_append(out,
		   SPAN_LIT("\ndmarcgatectl help SUBCOMMAND says more.\n"));
	return !out->has_overflowed;
}

bool
ctl_print_help(enum ctl_subcommand subcommand, struct buf *out)
{
	const struct ctl_subcommand_row *row = &ctl_subcommands[subcommand];

	buf_printf(out, "usage: dmarcgatectl %s [OPTION ...] %s\n\n", row->word,
		   row->operands);
	fill_text(span_cstr(row->text), "", out);
	for (size_t i = 0; i < CTL_OPTION_COUNT; i++) {
		const struct ctl_option_row *option = &ctl_options[i];

		if (option->subcommand != subcommand)
			continue;
		buf_printf(out, "\n  %s%s%s\n", option->word,
			   option->argument == NULL ? "" : " ",
			   option->argument == NULL ? "" : option->argument);
		fill_text(span_cstr(option->text), "        ", out);
	}
	return !out->has_overflowed;
}

static void
print_manual_option(const struct ctl_option_row *option, struct buf *out)
{
	/* Fl puts the first hyphen. */
	buf_printf(out, ".It Fl %s%s%s\n", option->word + 1,
		   option->argument == NULL ? "" : " Ar ",
		   option->argument == NULL ? "" : option->argument);
	fill_mdoc(span_cstr(option->text), out);
}

static void
print_manual_of(enum ctl_subcommand subcommand, struct buf *out)
{
	const struct ctl_subcommand_row *row = &ctl_subcommands[subcommand];
	size_t count = 0;

	buf_printf(out, ".It Cm %s%s%s\n", row->word,
		   row->operands[0] == '\0' ? "" : " Ar ", row->operands);
	fill_mdoc(span_cstr(row->text), out);
	for (size_t i = 0; i < CTL_OPTION_COUNT; i++) {
		if (ctl_options[i].subcommand != subcommand)
			continue;
		if (count++ == 0)
			buf_append(out, SPAN_LIT(".Bl -tag -width Ds\n"));
		print_manual_option(&ctl_options[i], out);
	}
	if (count > 0)
		buf_append(out, SPAN_LIT(".El\n"));
}

bool
ctl_print_manual(struct buf *out)
{
	buf_append(out, SPAN_LIT(".Bl -tag -width Ds\n"));
	for (size_t i = 0; i < CTL_COUNT; i++)
		print_manual_of((enum ctl_subcommand)i, out);
	buf_append(out, SPAN_LIT(".El\n"));
	return !out->has_overflowed;
}

bool
ctl_print_events(struct buf *out)
{
	/* clang-format off */
	static const struct {
		const char *word, *severity, *text;
	} events[] = {
#define X(name, word, severity, text) { word, #severity, text },
#include "proxy/events.def"
#undef X
	};
	/* clang-format on */

	buf_append(out, SPAN_LIT(".Bl -tag -width Ds\n"));
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		buf_printf(out, ".It %s Em %s\n", events[i].word,
			   events[i].severity);
		fill_mdoc(span_cstr(events[i].text), out);
	}
	buf_append(out, SPAN_LIT(".El\n"));
	return !out->has_overflowed;
}

/* What the rules of smtp/extension.h are for a reader. */
#define WHY_OFFER "Offered always."
#define WHY_PASS "Offered when the mail server offers it."
#define WHY_RELAY                                                           \
	"Offered under TLS where the listener says so and the mail server " \
	"offers it."
#define WHY_OWN "Taken by the gate for itself; not passed on."

bool
ctl_print_extensions(struct buf *out)
{
	/* clang-format off */
	static const struct {
		const char *keyword, *becomes, *why;
	} keywords[] = {
#define X(name, keyword, rule, mail, rcpt) { keyword, WHY_##rule, "" },
		EXTENSIONS(X)
#undef X
#define X(keyword, why) { keyword, "Never offered: ", why "." },
		EXTENSIONS_STRIPPED(X)
#undef X
	};
	/* clang-format on */

	buf_append(out, SPAN_LIT(".Bl -tag -width ENHANCEDSTATUSCODES\n"));
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		buf_printf(out, ".It %s\n%s%s\n", keywords[i].keyword,
			   keywords[i].becomes, keywords[i].why);
	buf_append(out, SPAN_LIT(".El\n"));
	return !out->has_overflowed;
}

int
ctl_help(const struct ctl_arguments *arguments)
{
	const char *word =
		arguments->operand_count > 0 ? arguments->operand[0] : NULL;
	enum ctl_subcommand subcommand =
		word == NULL ? CTL_COUNT : ctl_find(word);
	struct buf out;
	int status;

	if (word != NULL && subcommand == CTL_COUNT)
		return ctl_complain(EX_USAGE, "unknown subcommand %s", word);
	buf_init(&out, HELP_MAX);
	if (arguments->option[HELP_MANUAL] != NULL)
		ctl_print_manual(&out);
	else if (arguments->option[HELP_EVENTS] != NULL)
		ctl_print_events(&out);
	else if (arguments->option[HELP_EXTENSIONS] != NULL)
		ctl_print_extensions(&out);
	else if (word == NULL)
		ctl_print_list(&out);
	else
		ctl_print_help(subcommand, &out);
	status = ctl_print(&out);
	buf_fini(&out);
	return status;
}
