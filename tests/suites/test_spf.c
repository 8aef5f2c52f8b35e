/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The openspf.org suite for RFC 7208: 203 evaluations, each in a zone of its
 * scenario. How many come out right is printed; fewer than they were is a
 * failure. A result that is not among those the suite allows is listed.
 *
 * The suite's explanations are not looked at: libspf2 must not expand them.
 */
#include "dmarc/spf.h"
#include "tests/unit/dns_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TESTS 203
#define FLOOR 203 /* what came out right when this was last touched */

#define ROWS_MAX 512
#define FIELDS 6
#define DEAD ((enum dns_type)0)

struct field {
	char *text;
	size_t n; /* octets: the suite has TXT with a NUL */
};

struct scenario {
	struct dns_row rows[ROWS_MAX + 1];
	size_t count;
	struct arena text;
};

static unsigned right, wrong;

/* --- its lines --- */

static int
hex(int c)
{
	return c >= 'A' ? c - 'A' + 10 : c - '0';
}

/* In place: %XX is one octet. What is left. */
static size_t
unescape(char *text)
{
	char *from = text, *to = text;

	for (; *from != '\0'; from++, to++) {
		*to = *from;
		if (*from != '%')
			continue;
		*to = (char)(hex(from[1]) << 4 | hex(from[2]));
		from += 2;
	}
	*to = '\0';
	return (size_t)(to - text);
}

/* Split at tabs, in place. */
static void
split(char *line, struct field field[FIELDS])
{
	line[strcspn(line, "\n")] = '\0';
	for (size_t i = 0; i < FIELDS; i++) {
		field[i].text = line;
		line += strcspn(line, "\t");
		if (*line == '\t')
			*line++ = '\0';
		field[i].n = unescape(field[i].text);
	}
}

static enum dns_type
type_of(const char *name)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_PTR,
					       DNS_TXT };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(dns_type_name(types[i]), name) == 0)
			return types[i];
	assert_string_equal(name, "DEAD");
	return DEAD;
}

/* A copy, with a NUL behind it. */
static const char *
keep_octets(struct scenario *scenario, const char *text, size_t n)
{
	struct span kept = arena_copy(&scenario->text, span_make(text, n + 1));

	assert_non_null(kept.p);
	return (const char *)kept.p;
}

static const char *
keep(struct scenario *scenario, const char *text)
{
	return keep_octets(scenario, text, strlen(text));
}

/* A name of the DNS, as a normalised one: what is no host name is kept. */
static const char *
keep_name(struct scenario *scenario, const char *text)
{
	struct span name;

	if (!domain_normalise(span_cstr(text), &scenario->text, &name))
		return keep(scenario, text);
	return arena_string(&scenario->text, name);
}

static const char *
keep_value(struct scenario *scenario, enum dns_type type, struct field field)
{
	const char *value = field.text, *space = strchr(value, ' ');
	char text[300];

	if (type == DNS_PTR)
		return keep_name(scenario, value);
	if (type != DNS_MX)
		return type == DEAD ? NULL
				    : keep_octets(scenario, value, field.n);
	assert_non_null(space);
	snprintf(text, sizeof(text), "%.*s %s", (int)(space - value), value,
		 space[1] == '\0' ? "" : keep_name(scenario, space + 1));
	return keep(scenario, text);
}

static void
add_row(struct scenario *scenario, struct field field[FIELDS])
{
	struct dns_row *row = &scenario->rows[scenario->count++];

	assert_true(scenario->count < ROWS_MAX);
	row->type = type_of(field[1].text);
	row->name = keep_name(scenario, field[0].text);
	row->value = keep_value(scenario, row->type, field[2]);
	row->n = row->type == DNS_TXT ? field[2].n : 0;
}

static void
new_zone(struct scenario *scenario)
{
	arena_reset(&scenario->text);
	memset(scenario->rows, 0, sizeof(scenario->rows));
	scenario->count = 0;
}

/* --- its evaluations --- */

static bool
is_dead(const struct scenario *scenario, struct span name)
{
	for (size_t i = 0; i < scenario->count; i++)
		if (scenario->rows[i].type == DEAD &&
		    span_equal(span_cstr(scenario->rows[i].name), name))
			return true;
	return false;
}

static void
settle(const struct scenario *scenario, struct answers *answers)
{
	struct dns_rows_found found;
	size_t index;

	while (answers_unsent(answers, &index)) {
		const struct answer *open = answers->list[index];

		dns_rows_find(scenario->rows, open->name, open->type, &found);
		if (found.answer.status != ANSWER_OK &&
		    is_dead(scenario, open->name))
			found.answer.status = ANSWER_TEMPERROR;
		answers_settle(answers, index, &found.answer);
	}
}

static void
set_facts(struct spf_facts *facts, struct field field[FIELDS])
{
	struct span from = span_cstr(field[4].text);
	size_t at = from.n;

	while (at > 0 && from.p[at - 1] != '@')
		at--;
	*facts = (struct spf_facts){ .helo = span_cstr(field[2].text),
				     .gate = SPAN_LIT("gate.example.org"),
				     .is_null = from.n == 0 };
	assert_true(ip_parse(span_cstr(field[3].text), &facts->client));
	facts->domain = span_after(from, at);
	if (at > 0)
		facts->local = span_first(from, at - 1);
}

static bool
is_among(const char *list, const char *result)
{
	size_t n = strlen(result);

	for (; (list = strstr(list, result)) != NULL; list += n)
		if (list[n] == ',' || list[n] == '\0')
			return true;
	return false;
}

static void
run_case(struct scenario *scenario, struct field field[FIELDS])
{
	struct spf_outcome outcome;
	struct answers answers;
	struct spf_facts facts;
	struct arena arena;

	arena_init(&arena, (size_t)1 << 20);
	answers_init(&answers, &arena, ANSWERS_MAX);
	set_facts(&facts, field);
	while (!spf_eval(&facts, &answers, &outcome)) {
		assert_true(answers.open > 0);
		settle(scenario, &answers);
	}
	if (is_among(field[5].text, spf_result_name(outcome.result))) {
		right++;
	} else {
		wrong++;
		printf("# %s: %s (%s), not %s\n", field[1].text,
		       spf_result_name(outcome.result), outcome.reason,
		       field[5].text);
	}
	arena_fini(&arena);
}

static void
run_lines(FILE *lines)
{
	struct scenario scenario = { .count = 0 };
	struct field field[FIELDS];
	char *line = NULL;
	size_t size = 0;

	arena_init(&scenario.text, (size_t)1 << 20);
	while (getline(&line, &size, lines) > 0) {
		split(line, field);
		if (strcmp(field[0].text, "zone") == 0)
			new_zone(&scenario);
		else if (strcmp(field[0].text, "test") == 0)
			run_case(&scenario, field);
		else
			add_row(&scenario, field);
	}
	free(line);
	arena_fini(&scenario.text);
}

static void
t1_suite_of_rfc_7208(void **state)
{
	const char *suites = getenv("DMARCGATE_SUITES");
	char path[1000], command[2000];
	FILE *lines;

	(void)state;
	if (suites == NULL)
		suites = "../shared/suites";
	snprintf(path, sizeof(path), "%s/spf/rfc7208-tests.yml", suites);
	lines = fopen(path, "r");
	if (lines == NULL) {
		printf("# no %s: set DMARCGATE_SUITES\n", path);
		skip();
		return;
	}
	fclose(lines);
	snprintf(command, sizeof(command),
		 "/usr/bin/python3 tests/suites/spf_lines.py '%s'", path);
	lines = popen(command, "r");
	assert_non_null(lines);
	run_lines(lines);
	assert_int_equal(pclose(lines), 0);
	printf("# %u of %d right\n", right, TESTS);
	assert_int_equal(right + wrong, TESTS);
	assert_true(right >= FLOOR);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_suite_of_rfc_7208),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
