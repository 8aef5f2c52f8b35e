/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of subcommands, and command lines read by it. */
#include "proxy/ctl/ctl.h"

/* clang-format off */
const struct ctl_subcommand_row ctl_subcommands[CTL_COUNT] = {
#define SUBCOMMAND(name, word, operands, least, most, function, summary, text) \
	{ word, operands, least, most, function, summary, text },
#include "proxy/ctl/subcommands.def"
};

const struct ctl_option_row ctl_options[CTL_OPTION_COUNT] = {
#define OPTION(subcommand, name, word, argument, text) \
	{ CTL_##subcommand, word, argument, text },
#include "proxy/ctl/subcommands.def"
};
/* clang-format on */

enum ctl_subcommand
ctl_find(const char *word)
{
	for (size_t i = 0; i < CTL_COUNT; i++)
		if (strcmp(word, ctl_subcommands[i].word) == 0)
			return (enum ctl_subcommand)i;
	return CTL_COUNT;
}

bool
ctl_wants_help(int argc, char *const *argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 ||
		    strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

/* "-" is an operand: standard input. */
static bool
is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

/* The option of a word, which may be "--word=value"; then *value is set. */
static enum ctl_option
find_option(enum ctl_subcommand subcommand, const char *word,
	    const char **value)
{
	struct span text = span_cstr(word);
	size_t equals = span_find(text, '=');

	*value = NULL;
	for (size_t i = 0; i < CTL_OPTION_COUNT; i++) {
		const struct ctl_option_row *row = &ctl_options[i];
		struct span name = span_cstr(row->word);

		if (row->subcommand != subcommand)
			continue;
		if (span_equal(text, name))
			return (enum ctl_option)i;
		if (name.n > 2 && span_equal(span_first(text, equals), name)) {
			*value = word + equals + 1;
			return (enum ctl_option)i;
		}
	}
	return CTL_OPTION_COUNT;
}

/* The option at argv[*at], with its value, which may be the next word. */
static int
read_option(enum ctl_subcommand subcommand, int argc, char *const *argv,
	    int *at, struct ctl_arguments *arguments)
{
	const char *value, *word = argv[*at];
	enum ctl_option option = find_option(subcommand, word, &value);
	const char *argument;

	if (option == CTL_OPTION_COUNT)
		return ctl_complain(EX_USAGE,
				    "%s: unknown option %s; see "
				    "dmarcgatectl help %s",
				    ctl_subcommands[subcommand].word, word,
				    ctl_subcommands[subcommand].word);
	argument = ctl_options[option].argument;
	if (argument == NULL && value != NULL)
		return ctl_complain(EX_USAGE, "%s takes no value",
				    ctl_options[option].word);
	if (argument != NULL && value == NULL && *at + 1 == argc)
		return ctl_complain(EX_USAGE,
				    "%s: expected %s behind it, "
				    "found nothing",
				    word, argument);
	if (argument != NULL && value == NULL)
		value = argv[++*at];
	if (arguments->option[option] != NULL)
		return ctl_complain(EX_USAGE, "%s is given twice",
				    ctl_options[option].word);
	arguments->option[option] = argument == NULL ? "" : value;
	return EX_OK;
}

static int
check_count(enum ctl_subcommand subcommand, int count)
{
	const struct ctl_subcommand_row *row = &ctl_subcommands[subcommand];

	if (count >= row->least && count <= row->most)
		return EX_OK;
	if (row->most == 0)
		return ctl_complain(EX_USAGE, "%s takes no operand", row->word);
	return ctl_complain(EX_USAGE, "%s: expected %s, found %s", row->word,
			    row->operands,
			    count < row->least ? "nothing" : "more");
}

int
ctl_read_arguments(enum ctl_subcommand subcommand, int argc, char *const *argv,
		   struct ctl_arguments *arguments)
{
	bool takes_options = true;
	int count = 0;

	*arguments = (struct ctl_arguments){ .operand_count = 0 };
	for (int at = 0; at < argc; at++) {
		int status = EX_OK;

		if (takes_options && strcmp(argv[at], "--") == 0)
			takes_options = false;
		else if (takes_options && is_option(argv[at]))
			status = read_option(subcommand, argc, argv, &at,
					     arguments);
		else if (count++ < CTL_OPERANDS_MAX)
			arguments->operand[count - 1] = argv[at];
		if (status != EX_OK)
			return status;
	}
	arguments->operand_count = count;
	return check_count(subcommand, count);
}
