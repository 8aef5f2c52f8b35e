/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spf_lines: the lines that spf_lines.py makes of the community's SPF suite:
 * rows of a zone, and tests. Also what the fuzz target reads, so lines may be
 * anything: what is none is refused.
 */
#ifndef TESTS_SPF_LINES_H
#define TESTS_SPF_LINES_H

#include "dmarc/spf.h"
#include "tests/unit/dns_rows.h"

#include <ctype.h>
#include <stdio.h>

#define SPF_LINES_ROWS_MAX 512
#define SPF_LINES_FIELDS 7
#define SPF_LINES_DEAD ((enum dns_type)0)

struct spf_field {
	char *text;
	size_t n; /* octets: the suite has TXT with a NUL */
};

struct spf_zone {
	struct dns_row rows[SPF_LINES_ROWS_MAX + 1];
	size_t count;
	struct arena text;
};

static inline int
spf_lines_hex(int c)
{
	return isdigit(c) ? c - '0' : toupper(c) - 'A' + 10;
}

/* In place: %XX is one octet. What is left. */
static inline size_t
spf_lines_unescape(char *text)
{
	char *from = text, *to = text;

	for (; *from != '\0'; from++, to++) {
		*to = *from;
		if (*from != '%' || !isxdigit((unsigned char)from[1]) ||
		    !isxdigit((unsigned char)from[2]))
			continue;
		*to = (char)(spf_lines_hex(from[1]) << 4 |
			     spf_lines_hex(from[2]));
		from += 2;
	}
	*to = '\0';
	return (size_t)(to - text);
}

/* Split at tabs, in place. */
static inline void
spf_lines_split(char *line, struct spf_field field[SPF_LINES_FIELDS])
{
	line[strcspn(line, "\n")] = '\0';
	for (size_t i = 0; i < SPF_LINES_FIELDS; i++) {
		field[i].text = line;
		line += strcspn(line, "\t");
		if (*line == '\t')
			*line++ = '\0';
		field[i].n = spf_lines_unescape(field[i].text);
	}
}

static inline bool
spf_lines_type(const char *name, enum dns_type *type)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_PTR,
					       DNS_TXT };

	*type = SPF_LINES_DEAD;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(dns_type_name(types[i]), name) == 0)
			*type = types[i];
	return *type != SPF_LINES_DEAD || strcmp(name, "DEAD") == 0;
}

/* A copy, with a NUL behind it. */
static inline const char *
spf_lines_keep(struct spf_zone *zone, const char *text, size_t n)
{
	return (const char *)arena_copy(&zone->text, span_make(text, n + 1)).p;
}

/* A name of the DNS, as a normalised one: what is no host name is kept. */
static inline const char *
spf_lines_keep_name(struct spf_zone *zone, const char *text)
{
	struct span name;

	if (!domain_normalise(span_cstr(text), &zone->text, &name))
		return spf_lines_keep(zone, text, strlen(text));
	return arena_string(&zone->text, name);
}

static inline const char *
spf_lines_keep_exchange(struct spf_zone *zone, const char *value)
{
	const char *space = strchr(value, ' ');
	char text[300];
	uint64_t number;

	if (space == NULL || strlen(value) > sizeof(text) / 2 ||
	    !span_u64(span_make(value, (size_t)(space - value)), &number) ||
	    number > UINT16_MAX)
		return NULL;
	snprintf(text, sizeof(text), "%u %s", (unsigned)number,
		 space[1] == '\0' ? "" : spf_lines_keep_name(zone, space + 1));
	return spf_lines_keep(zone, text, strlen(text));
}

/* The value as a table of DNS rows has it; NULL if it is none. */
static inline const char *
spf_lines_keep_value(struct spf_zone *zone, enum dns_type type,
		     struct spf_field field)
{
	struct ip ip;

	switch (type) {
	case DNS_PTR:
		return spf_lines_keep_name(zone, field.text);
	case DNS_MX:
		return spf_lines_keep_exchange(zone, field.text);
	case DNS_A:
	case DNS_AAAA:
		if (!ip_parse(span_cstr(field.text), &ip))
			return NULL;
		break;
	case DNS_TXT:
		break;
	}
	return spf_lines_keep(zone, field.text, field.n);
}

/* Add the row of a line. False if it is none, or does not fit. */
static inline bool
spf_lines_add(struct spf_zone *zone, struct spf_field field[SPF_LINES_FIELDS])
{
	struct dns_row *row = &zone->rows[zone->count];

	if (zone->count == SPF_LINES_ROWS_MAX || field[0].n == 0 ||
	    !spf_lines_type(field[1].text, &row->type))
		return false;
	row->value = NULL;
	row->name = spf_lines_keep_name(zone, field[0].text);
	if (row->type != SPF_LINES_DEAD) {
		row->value = spf_lines_keep_value(zone, row->type, field[2]);
		if (row->value == NULL)
			return false;
	}
	row->n = row->type == DNS_TXT ? field[2].n : 0;
	zone->count++;
	return !zone->text.has_overflowed;
}

static inline void
spf_lines_clear(struct spf_zone *zone)
{
	arena_reset(&zone->text);
	memset(zone->rows, 0, sizeof(zone->rows));
	zone->count = 0;
}

/* What a test's line says of the message. */
static inline bool
spf_lines_facts(struct spf_field field[SPF_LINES_FIELDS],
		struct spf_facts *facts)
{
	struct span from = span_cstr(field[4].text);
	size_t at = from.n;

	while (at > 0 && from.p[at - 1] != '@')
		at--;
	*facts = (struct spf_facts){ .helo = span_cstr(field[2].text),
				     .gate = SPAN_LIT("gate.example.org"),
				     .is_null = from.n == 0 };
	facts->domain = span_after(from, at);
	if (at > 0)
		facts->local = span_first(from, at - 1);
	return ip_parse(span_cstr(field[3].text), &facts->client);
}

static inline bool
spf_lines_is_dead(const struct spf_zone *zone, struct span name)
{
	for (size_t i = 0; i < zone->count; i++)
		if (zone->rows[i].type == SPF_LINES_DEAD &&
		    span_equal(span_cstr(zone->rows[i].name), name))
			return true;
	return false;
}

static inline void
spf_lines_settle(const struct spf_zone *zone, struct answers *answers,
		 size_t index)
{
	const struct answer *open = answers->list[index];
	struct dns_rows_found found;

	dns_rows_find(zone->rows, open->name, open->type, &found);
	if (found.answer.status != ANSWER_OK &&
	    spf_lines_is_dead(zone, open->name))
		found.answer.status = ANSWER_TEMPERROR;
	answers_settle(answers, index, &found.answer);
}

/* Settle the last open question, or all of them. */
static inline void
spf_lines_settle_some(const struct spf_zone *zone, struct answers *answers,
		      bool is_one_by_one)
{
	assert(answers->open > 0);
	for (size_t i = answers->count; i-- > 0;) {
		if (answers->list[i]->status != ANSWER_OPEN)
			continue;
		spf_lines_settle(zone, answers, i);
		if (is_one_by_one)
			return;
	}
}

#endif
