/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The public suffix list's own suite, in both forms that it is published in:
 * "NAME EXPECTED" and "checkPublicSuffix('NAME', 'EXPECTED');". How many cases
 * come out right is printed; any other number than all of them is a failure.
 *
 * Where a case expects null the name is a public suffix, or none at all. Seen
 * from here, such a name is its own organizational domain, and so is whatever
 * stands right below it. Of what has a registrable domain, the names below
 * have the same one.
 */
#include "dmarc/domain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CASES 78
#define LIST_FILE "/usr/share/publicsuffix/public_suffix_list.dat"
#define FILE_MAX ((size_t)4 << 20)
#define CALL SPAN_LIT("checkPublicSuffix(")

static struct arena arena;
static unsigned right, wrong;

/* The octets of a file, in the arena; empty if it is not there. */
static struct span
read_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *octets;
	size_t n;

	if (file == NULL)
		return SPAN_NONE;
	octets = arena_alloc(&arena, FILE_MAX);
	assert_non_null(octets);
	n = fread(octets, 1, FILE_MAX, file);
	fclose(file);
	assert_in_range(n, 1, FILE_MAX - 1);
	return span_make(octets, n);
}

static bool
is_as_expected(const struct domain_psl *psl, struct span text,
	       struct span expected)
{
	struct span domain, below, want;

	if (!domain_normalise(text, &arena, &domain))
		return expected.n == 0;
	below = domain_prefix(SPAN_LIT("probe"), domain, &arena);
	if (expected.n == 0)
		return span_equal(domain_psl_organizational(psl, domain),
				  domain) &&
		       span_equal(domain_psl_organizational(psl, below), below);
	return domain_normalise(expected, &arena, &want) &&
	       span_equal(domain_psl_organizational(psl, domain), want) &&
	       span_equal(domain_psl_organizational(psl, below), want);
}

/* The next word of a line, without quotes; null is empty. */
static struct span
next_word(struct span *line)
{
	struct span word;
	size_t n = 0;

	while (line->n > 0 && span_find(SPAN_LIT(" ,'"), line->p[0]) < 3)
		*line = span_after(*line, 1);
	while (n < line->n && span_find(SPAN_LIT(" ,')"), line->p[n]) == 4)
		n++;
	word = span_first(*line, n);
	*line = span_after(*line, n);
	return span_equal(word, SPAN_LIT("null")) ? SPAN_NONE : word;
}

static void
run_case(const struct domain_psl *psl, struct span line)
{
	struct span rest = line, name, expected;

	if (span_starts(rest, CALL))
		rest = span_after(rest, CALL.n);
	name = next_word(&rest);
	expected = next_word(&rest);
	if (is_as_expected(psl, name, expected)) {
		right++;
		return;
	}
	wrong++;
	printf("# wrong: %.*s\n", (int)line.n, (const char *)line.p);
}

static void
run_suite(const char *name)
{
	const char *suites = getenv("DMARCGATE_SUITES");
	struct span suite, list = read_file(LIST_FILE);
	struct domain_psl *psl;
	char path[4096];

	snprintf(path, sizeof(path), "%s/psl/%s",
		 suites == NULL ? "../shared/suites" : suites, name);
	suite = read_file(path);
	if (suite.n == 0) {
		printf("# no %s: set DMARCGATE_SUITES\n", path);
		skip();
	}
	psl = domain_psl_new(list);
	assert_non_null(psl);
	right = wrong = 0;
	while (suite.n > 0) {
		size_t end = span_find(suite, '\n');
		struct span line = span_first(suite, end);

		suite = span_after(suite, end < suite.n ? end + 1 : end);
		if (line.n > 0 && !span_starts(line, SPAN_LIT("//")))
			run_case(psl, line);
	}
	printf("#: psl/%s: %u of %d right\n", name, right, CASES);
	domain_psl_free(psl);
	assert_int_equal(wrong, 0);
	assert_int_equal(right, CASES);
}

static void
t1_suite_of_the_list(void **state)
{
	(void)state;
	run_suite("tests.txt");
}

static void
t2_suite_as_calls(void **state)
{
	(void)state;
	run_suite("test_psl.txt");
}

static int
set_up(void **state)
{
	(void)state;
	arena_init(&arena, 4 * FILE_MAX);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(t1_suite_of_the_list, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(t2_suite_as_calls, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
