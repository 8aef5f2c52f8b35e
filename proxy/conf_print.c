/* SPDX-License-Identifier: BSD-2-Clause */
/* What conf.def and a configuration look like in writing. Pure. */
#include "proxy/conf_table.h"
#include "proxy/fill.h"

#include <assert.h>

/* --- effective values --------------------------------------------------- */

static bool
is_unset(const struct conf_setting *row, const void *value)
{
	struct conf_list list;

	if (conf_type_is_list(row->type)) {
		memcpy(&list, value, sizeof list);
		return list.count == 0;
	}
	if (row->type == CONF_BACKEND_NAME)
		return *(const size_t *)value == CONF_NO_BACKEND;
	if (row->type != CONF_RATE &&
	    conf_type_size(row->type) == sizeof(struct span))
		return ((const struct span *)value)->n == 0;
	return false;
}

static void
print_list(const struct conf *conf, const struct conf_setting *row,
	   const void *value, struct buf *out)
{
	struct conf_list list;
	size_t size = conf_type_size(row->type);

	memcpy(&list, value, sizeof list);
	buf_append(out, SPAN_LIT("{ "));
	for (size_t i = 0; i < list.count; i++) {
		if (i > 0)
			buf_append(out, SPAN_LIT(", "));
		conf_value_print(conf, row, (const char *)list.items + i * size,
				 out);
	}
	buf_append(out, SPAN_LIT(" }"));
}

static void
print_setting(const struct conf *conf, const struct conf_setting *row,
	      const void *holder, const char *indent, struct buf *out)
{
	const void *value = (const char *)holder + row->offset;

	if (is_unset(row, value)) {
		buf_printf(out, "%s# no %s\n", indent, row->word);
		return;
	}
	buf_printf(out, "%s%s = ", indent, row->word);
	if (conf_type_is_list(row->type))
		print_list(conf, row, value, out);
	else
		conf_value_print(conf, row, value, out);
	buf_append_octet(out, '\n');
}

static void
print_settings(const struct conf *conf, enum conf_section section,
	       const void *holder, const char *indent, struct buf *out)
{
	for (size_t i = 0; i < conf_setting_count; i++)
		if (conf_settings[i].section == section)
			print_setting(conf, &conf_settings[i], holder, indent,
				      out);
}

static void
print_block(const struct conf *conf, enum conf_section section,
	    struct span title, const void *holder, struct buf *out)
{
	buf_printf(out, "\n%s ", conf_sections[section].word);
	if (conf_has_title(section)) {
		conf_quote(title, out);
		buf_append_octet(out, ' ');
	}
	buf_append(out, SPAN_LIT("{\n"));
	print_settings(conf, section, holder, "\t", out);
	buf_append(out, SPAN_LIT("}\n"));
}

static void
print_blocks(const struct conf *conf, enum conf_section section,
	     struct buf *out)
{
	switch (section) {
	case SECTION_TOP:
		print_settings(conf, section, conf, "", out);
		break;
	case SECTION_LISTEN:
		for (size_t i = 0; i < conf->listener_count; i++)
			print_block(conf, section,
				    conf->listeners[i].endpoint.text,
				    &conf->listeners[i], out);
		break;
	case SECTION_BACKEND:
		for (size_t i = 0; i < conf->backend_count; i++)
			print_block(conf, section, conf->backends[i].name,
				    &conf->backends[i], out);
		break;
	case SECTION_ROUTE:
		for (size_t i = 0; i < conf->route_count; i++)
			print_block(conf, section, conf->routes[i].title,
				    &conf->routes[i], out);
		break;
	case SECTION_OVERRIDE:
		for (size_t i = 0; i < conf->override_count; i++)
			print_block(conf, section, conf->overrides[i].name,
				    &conf->overrides[i], out);
		break;
	case SECTION_FORCE:
		for (size_t i = 0; i < conf->force_count; i++)
			print_block(conf, section, conf->forces[i].name,
				    &conf->forces[i], out);
		break;
	case SECTION_DMARC:
	case SECTION_QUARANTINE:
	case SECTION_RESOLVER:
	case SECTION_SPOOL:
	case SECTION_LIMIT:
		print_block(conf, section, SPAN_NONE, conf, out);
		break;
	case SECTION_COUNT:
		assert(false && "a section");
	}
}

bool
conf_print(const struct conf *conf, struct buf *out)
{
	for (size_t i = 0; i < SECTION_COUNT; i++)
		print_blocks(conf, (enum conf_section)i, out);
	return !out->has_overflowed;
}

/* --- the commented example ---------------------------------------------- */

static const char example_head[] =
	"## proxy.conf: every setting of dmarcgate, as a comment, at its\n"
	"## default; where its text names another default, or none, the value\n"
	"## is an example. Made from the table of settings (see\n"
	"## `dmarcgatectl config example`). A file of ten lines is enough: "
	"see\n"
	"## minimal.conf. `dmarcgate -t -c FILE` checks a file.\n"
	"##\n"
	"## Sizes are octets, with k, M, G, T or P 1024 times as many for "
	"each\n"
	"## step. Times are seconds; or with ms, s, m, h, d what these say. A\n"
	"## setting that takes a list takes { \"a\", \"b\" } or one \"a\".\n";

static void
print_sample(const struct conf_setting *row, const char *indent,
	     struct buf *out)
{
	const char *text = row->sample == NULL ? row->preset : row->sample;
	bool is_list = conf_type_is_list(row->type);

	buf_printf(out, "%s#%s = %s", indent, row->word, is_list ? "{ " : "");
	if (conf_type_is_quoted(row->type))
		conf_quote(span_cstr(text), out);
	else
		buf_append(out, span_cstr(text));
	buf_append(out, is_list ? SPAN_LIT(" }\n") : SPAN_LIT("\n"));
}

static void
print_example_settings(enum conf_section section, const char *indent,
		       const char *prefix, struct buf *out)
{
	for (size_t i = 0; i < conf_setting_count; i++) {
		const struct conf_setting *row = &conf_settings[i];

		if (row->section != section)
			continue;
		buf_append_octet(out, '\n');
		fill_text(span_cstr(row->text), prefix, out);
		print_sample(row, indent, out);
	}
}

static void
print_example_block(enum conf_section section, struct buf *out)
{
	const struct conf_section_row *row = &conf_sections[section];

	buf_append_octet(out, '\n');
	fill_text(span_cstr(row->text), "## ", out);
	if (conf_has_title(section))
		buf_printf(out, "#%s \"%s\" {\n", row->word, row->sample);
	else
		buf_printf(out, "#%s {\n", row->word);
	print_example_settings(section, "\t", "\t## ", out);
	buf_append(out, SPAN_LIT("#}\n"));
}

bool
conf_print_example(struct buf *out)
{
	buf_append(out, span_cstr(example_head));
	print_example_settings(SECTION_TOP, "", "## ", out);
	for (size_t i = SECTION_TOP + 1; i < SECTION_COUNT; i++)
		print_example_block((enum conf_section)i, out);
	return !out->has_overflowed;
}

/* --- the manual --------------------------------------------------------- */

static const char *
user_name(enum conf_user user)
{
	switch (user) {
	case CONF_USER_GATE:
		return "the gate";
	case CONF_USER_TOOL:
		return "the tool";
	case CONF_USER_BOTH:
		return "both";
	}
	assert(false && "a user of settings");
	return "";
}

static void
print_manual_setting(const struct conf_setting *row, struct buf *out)
{
	buf_printf(out, ".It Ic %s No = Ar ", row->word);
	conf_type_print(row->type, out);
	buf_append_octet(out, '\n');
	fill_mdoc(span_cstr(row->text), out);
	if (row->min != NULL)
		buf_printf(out, "From %s to %s.\n", row->min, row->max);
	if (row->preset != NULL) {
		buf_append(out, SPAN_LIT("Default:\n.Ql "));
		if (conf_type_is_quoted(row->type) &&
		    span_find(span_cstr(row->preset), ' ') <
			    strlen(row->preset))
			buf_printf(out, "\"%s\"", row->preset);
		else
			buf_append(out, span_cstr(row->preset));
		buf_append(out, SPAN_LIT(" .\n"));
	}
	buf_printf(out, "Used by %s.\n", user_name(row->user));
}

bool
conf_print_manual(struct buf *out)
{
	for (size_t section = 0; section < SECTION_COUNT; section++) {
		const struct conf_section_row *row = &conf_sections[section];

		if (section == SECTION_TOP)
			buf_append(out, SPAN_LIT(".Ss Top level\n"));
		else if (row->title[0] == '\0')
			buf_printf(out, ".Ss %s { }\n", row->word);
		else
			buf_printf(out, ".Ss %s \\(dq%s\\(dq { }\n", row->word,
				   row->title);
		fill_mdoc(span_cstr(row->text), out);
		buf_append(out, SPAN_LIT(".Bl -tag -width Ds\n"));
		for (size_t i = 0; i < conf_setting_count; i++)
			if (conf_settings[i].section == section)
				print_manual_setting(&conf_settings[i], out);
		buf_append(out, SPAN_LIT(".El\n"));
	}
	return !out->has_overflowed;
}
