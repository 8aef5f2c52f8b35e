/* SPDX-License-Identifier: BSD-2-Clause */
/* The rows of conf.def, and the list of faults. Pure. */
#include "proxy/conf_table.h"

#include <stdio.h>

#define FAULT_TEXT_MAX 1000

/* clang-format off */
const struct conf_section_row conf_sections[SECTION_COUNT] = {
#define SECTION(name, word, title, sample, type, text) \
	[SECTION_##name] = { word, title, sample, text },
#include "proxy/conf.def"
};

/* The structs that sections are stored in. */
#define SECTION(name, word, title, sample, type, text) typedef type name##_struct;
#include "proxy/conf.def"

const struct conf_setting conf_settings[] = {
#define SETTING(section, member, word, type, preset, min, max, scope, sample, text) \
	{ SECTION_##section, word, CONF_##type, offsetof(section##_struct, member), \
	  preset, min, max, CONF_USER_##scope, sample, text },
#include "proxy/conf.def"
};
/* clang-format on */

const size_t conf_setting_count = sizeof conf_settings / sizeof *conf_settings;

enum conf_section
conf_find_section(struct span word)
{
	for (size_t i = SECTION_TOP + 1; i < SECTION_COUNT; i++)
		if (span_equal(word, span_cstr(conf_sections[i].word)))
			return (enum conf_section)i;
	return SECTION_COUNT;
}

bool
conf_has_title(enum conf_section section)
{
	return conf_sections[section].title[0] != '\0';
}

const struct conf_setting *
conf_find_setting(enum conf_section section, struct span word)
{
	for (size_t i = 0; i < conf_setting_count; i++)
		if (conf_settings[i].section == section &&
		    span_equal(word, span_cstr(conf_settings[i].word)))
			return &conf_settings[i];
	return NULL;
}

/* Into the list, behind those of the same line. */
static void
insert(struct conf_faults *faults, struct conf_fault *fault)
{
	struct conf_fault **at = &faults->first;

	while (*at != NULL && (*at)->line <= fault->line)
		at = &(*at)->next;
	fault->next = *at;
	*at = fault;
}

static void __attribute__((format(printf, 4, 0)))
add(struct conf_faults *faults, unsigned line, bool is_warning,
    const char *format, va_list arguments)
{
	struct conf_fault *fault = arena_alloc(faults->arena, sizeof *fault);
	char *text = arena_alloc(faults->arena, FAULT_TEXT_MAX);

	/* Counted even when there is no memory to say it. */
	faults->count += !is_warning;
	if (fault == NULL || text == NULL)
		return;
	vsnprintf(text, FAULT_TEXT_MAX, format, arguments);
	*fault = (struct conf_fault){ line, is_warning, text, NULL };
	insert(faults, fault);
}

void
conf_fault(struct conf_faults *faults, unsigned line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(faults, line, false, format, arguments);
	va_end(arguments);
}

void
conf_warning(struct conf_faults *faults, unsigned line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(faults, line, true, format, arguments);
	va_end(arguments);
}
