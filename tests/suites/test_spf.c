/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The openspf.org suite for RFC 7208: 203 evaluations, each in a zone of its
 * scenario, by both engines. How many results, and how many explanations,
 * come out right is printed; one that does not is listed and a failure.
 *
 * Our own engine is run twice: with all open questions answered at once, and
 * with the last one alone each time. libspf2 must not expand explanations
 * (CVE-2023-42118): it has to give none.
 */
#include "tests/suites/spf_lines.h"
#include "tests/suites/suite_lines.h"

#include <stdio.h>

#define TESTS 203
#define EXPLANATIONS 22 /* of tests that say what it is, or that it is none */

/* How the suite is run. */
struct way {
	const char *name;
	enum spf_engine engine;
	bool is_one_by_one;
};

static const struct way ways[] = {
	{ "native", SPF_ENGINE_NATIVE, false },
	{ "native, answers one by one", SPF_ENGINE_NATIVE, true },
	{ "libspf2", SPF_ENGINE_LIBSPF2, false },
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* Of one way: of results and of explanations. */
static struct score {
	unsigned right, wrong, explained, unexplained;
} scores[WAYS];

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
score_result(const struct way *way,
	     const struct spf_field field[SPF_LINES_FIELDS],
	     const struct spf_outcome *outcome, struct score *score)
{
	const char *result = spf_result_name(outcome->result);

	if (is_among(field[5].text, result)) {
		score->right++;
		return;
	}
	score->wrong++;
	printf("# %s: %s: %s (%s), not %s\n", way->name, field[1].text, result,
	       outcome->reason, field[5].text);
}

static void
score_explanation(const struct way *way,
		  const struct spf_field field[SPF_LINES_FIELDS],
		  const struct spf_outcome *outcome, struct score *score)
{
	struct span expected = span_make(field[6].text, field[6].n);
	struct span explanation = outcome->explanation;

	if (way->engine == SPF_ENGINE_LIBSPF2)
		assert_int_equal(explanation.n, 0);
	if (!span_starts(expected, SPAN_LIT("=")))
		return;
	if (span_equal(explanation, span_after(expected, 1))) {
		score->explained++;
		return;
	}
	score->unexplained++;
	if (way->engine == SPF_ENGINE_NATIVE)
		printf("# %s: %s: \"%.*s\", not \"%s\"\n", way->name,
		       field[1].text, (int)explanation.n, explanation.p,
		       field[6].text + 1);
}

static void
run_case(struct spf_zone *zone, struct spf_field field[SPF_LINES_FIELDS],
	 const struct way *way, struct score *score)
{
	struct spf_outcome outcome;
	struct answers answers;
	struct spf_facts facts;
	struct arena arena;

	arena_init(&arena, (size_t)1 << 20);
	answers_init(&answers, &arena, ANSWERS_MAX);
	assert_true(spf_lines_facts(field, &facts));
	facts.engine = way->engine;
	while (!spf_eval(&facts, &answers, &outcome))
		spf_lines_settle_some(zone, &answers, way->is_one_by_one);
	assert_true(answers.count <= SPF_QUESTIONS_MAX);
	score_result(way, field, &outcome, score);
	score_explanation(way, field, &outcome, score);
	arena_fini(&arena);
}

static void
run_lines(FILE *lines)
{
	struct spf_zone zone = { .count = 0 };
	struct spf_field field[SPF_LINES_FIELDS];
	char *line = NULL;
	size_t size = 0;

	arena_init(&zone.text, (size_t)1 << 20);
	while (getline(&line, &size, lines) > 0) {
		spf_lines_split(line, field);
		if (strcmp(field[0].text, "zone") == 0)
			spf_lines_clear(&zone);
		else if (strcmp(field[0].text, "test") == 0)
			for (size_t i = 0; i < WAYS; i++)
				run_case(&zone, field, &ways[i], &scores[i]);
		else
			assert_true(spf_lines_add(&zone, field));
	}
	free(line);
	arena_fini(&zone.text);
}

static void
check_score(const struct way *way, const struct score *score)
{
	printf("#: spf, %s: %u of %d results, %u of %d explanations right\n",
	       way->name, score->right, TESTS, score->explained, EXPLANATIONS);
	assert_int_equal(score->right, TESTS);
	assert_int_equal(score->wrong, 0);
	assert_int_equal(score->explained + score->unexplained, EXPLANATIONS);
	if (way->engine == SPF_ENGINE_NATIVE)
		assert_int_equal(score->explained, EXPLANATIONS);
}

static void
t1_suite_of_rfc_7208(void **state)
{
	FILE *lines = suite_open("spf/rfc7208-tests.yml", "spf_lines.py");

	(void)state;
	run_lines(lines);
	suite_close(lines);
	for (size_t i = 0; i < WAYS; i++)
		check_score(&ways[i], &scores[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_suite_of_rfc_7208),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
