/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The community's suite for the validation of ARC: 171 messages, each with
 * the keys of its scenario. How many come out right is printed, and all must.
 */
#include "dmarc/arc.h"
#include "tests/suites/suite_lines.h"
#include "tests/unit/dns_rows.h"

#include <stdio.h>

#define TESTS 171
#define ROWS_MAX 16
#define FIELDS 4
#define NOW_S 1800000000u

struct field_text {
	char *text;
	size_t n;
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
split(char *line, struct field_text field[FIELDS])
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

static const char *
keep(struct scenario *scenario, const char *text)
{
	const char *kept = arena_string(&scenario->text, span_cstr(text));

	assert_non_null(kept);
	return kept;
}

static void
add_row(struct scenario *scenario, struct field_text field[FIELDS])
{
	assert_true(scenario->count < ROWS_MAX);
	scenario->rows[scenario->count++] = (struct dns_row){
		.name = keep(scenario, field[0].text),
		.type = DNS_TXT,
		.value = keep(scenario, field[1].text),
	};
	scenario->rows[scenario->count].name = NULL;
}

/* --- its messages --- */

static const struct arc_chain *
judge(const struct scenario *scenario, struct crypto *crypto,
      struct arena *arena, struct span text)
{
	struct arc_check *check = arc_check_new(crypto, arena, NOW_S);
	struct canon_body *bodies = canon_body_new(crypto, arena);
	const struct arc_chain *chain;
	struct message message;
	struct answers answers;
	struct span body;

	answers_init(&answers, arena, ANSWERS_MAX);
	message_init(&message, text.n + 2);
	message_feed(&message, text, &body);
	message_end(&message);
	arc_check_header(check, &message, bodies);
	canon_body_feed(bodies, body);
	canon_body_end(bodies);
	while (!arc_check_ask(check, &answers))
		assert_true(dns_rows_settle_all(scenario->rows, &answers) > 0);
	chain = arc_check_finish(check, &answers);
	canon_body_free(bodies);
	message_fini(&message);
	return chain;
}

static void
run_case(const struct scenario *scenario, struct crypto *crypto,
	 struct field_text field[FIELDS])
{
	const struct arc_chain *chain;
	struct arena arena;

	arena_init(&arena, (size_t)1 << 20);
	chain = judge(scenario, crypto, &arena,
		      span_make(field[3].text, field[3].n));
	if (strcmp(arc_result_name(chain->result), field[2].text) == 0) {
		right++;
	} else {
		wrong++;
		printf("# %s: %s (%s), not %s\n", field[1].text,
		       arc_result_name(chain->result), chain->reason,
		       field[2].text);
	}
	arena_fini(&arena);
}

static void
run_lines(FILE *lines)
{
	struct crypto *crypto = crypto_new();
	struct scenario scenario = { .count = 0 };
	struct field_text field[FIELDS];
	char *line = NULL;
	size_t size = 0;

	assert_non_null(crypto);
	arena_init(&scenario.text, (size_t)1 << 20);
	while (getline(&line, &size, lines) > 0) {
		split(line, field);
		if (strcmp(field[0].text, "zone") == 0)
			scenario.count = 0;
		else if (strcmp(field[0].text, "test") == 0)
			run_case(&scenario, crypto, field);
		else
			add_row(&scenario, field);
	}
	free(line);
	arena_fini(&scenario.text);
	crypto_free(crypto);
}

static void
t1_suite_of_arc(void **state)
{
	FILE *lines = suite_open("arc/tests/arc-draft-validation-tests.yml",
				 "arc_lines.py");

	(void)state;
	run_lines(lines);
	suite_close(lines);
	printf("#: arc: %u of %d right\n", right, TESTS);
	assert_int_equal(right + wrong, TESTS);
	assert_int_equal(right, TESTS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_suite_of_arc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
