/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both SPF engines over one corpus: the community's suite, and 100,000
 * envelopes and zones that dice have made. Where they differ, the reason is a
 * row of spf_classes.c, or the test fails; so it does for a row that nothing
 * needs. DMARCGATE_SEED and DMARCGATE_CASES make it another corpus.
 */
#include "tests/differential/spf_classes.h"
#include "tests/suites/spf_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEED 20260101
#define CASES_MADE 100000
#define CLASSES_MAX 40
#define SHOWN_MAX 20 /* of what is in no class */

static unsigned counts[CLASSES_MAX];
static unsigned cases, agreed, unlisted;
static unsigned results[7];

static uint64_t
number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 0);
}

static void
show(const char *title, uint64_t number, const struct spf_case *spf,
     const struct spf_opinions *opinions)
{
	const struct spf_outcome *outcome = opinions->outcome;

	printf("# %s %llu: native %s (%s), libspf2 %s (%s): %s, \"%s\" at %s, "
	       "helo %s\n",
	       title, (unsigned long long)number,
	       spf_result_name(outcome[0].result), outcome[0].reason,
	       spf_result_name(outcome[1].result), outcome[1].reason,
	       spf->client, spf->local, spf->domain, spf->helo);
	for (size_t i = 0; i < spf->count; i++)
		printf("#     %s %s %s\n", spf->rows[i].name,
		       dns_type_name(spf->rows[i].type),
		       spf->rows[i].value == NULL ? "(fails)"
						  : spf->rows[i].value);
}

static size_t
class_of(const struct spf_case *reduced, const struct spf_opinions *opinions)
{
	size_t i = 0;

	while (i < spf_class_count && !spf_classes[i].holds(reduced, opinions))
		i++;
	return i;
}

static void
judge(struct spf_case *spf, uint64_t number)
{
	struct spf_opinions opinions;
	size_t class;

	cases++;
	spf_opinions_of(spf, &opinions);
	results[opinions.outcome[0].result]++;
	if (!spf_opinions_differ(&opinions)) {
		agreed++;
		return;
	}
	spf_reduce(spf, &opinions);
	class = class_of(spf, &opinions);
	if (class < spf_class_count)
		counts[class]++;
	else if (unlisted++ < SHOWN_MAX)
		show("in no class: case", number, spf, &opinions);
}

static void
t1_samples(void **state)
{
	static struct spf_case sample;

	(void)state;
	assert_true(spf_class_count <= CLASSES_MAX);
	for (size_t i = 0; i < spf_class_count; i++) {
		const struct spf_class *class = &spf_classes[i];
		struct spf_opinions opinions;

		spf_class_sample(class, &sample);
		spf_opinions_of(&sample, &opinions);
		if (opinions.outcome[0].result != class->native ||
		    opinions.outcome[1].result != class->library ||
		    class_of(&sample, &opinions) != i) {
			show(class->name, i, &sample, &opinions);
			fail_msg("the sample of %s", class->name);
		}
	}
}

/* --- the community's suite ---------------------------------------------- */

static void
take_row(struct spf_case *spf, const char *name, enum dns_type type,
	 const char *value, size_t n)
{
	assert_true(spf->count < SPF_CASE_ROWS_MAX);
	spf->rows[spf->count++] = (struct dns_row){ name, type, value, n };
}

/* What a name that is dead does not answer. */
static void
take_dead(struct spf_case *spf, const struct spf_zone *zone, const char *name)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_PTR,
					       DNS_TXT };

	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		size_t i = 0;

		while (i < zone->count &&
		       (zone->rows[i].type != types[t] ||
			strcmp(zone->rows[i].name, name) != 0))
			i++;
		if (i == zone->count)
			take_row(spf, name, types[t], NULL, 0);
	}
}

/* A test of the suite as a case. */
static void
take_suite_case(struct spf_case *spf, const struct spf_zone *zone,
		struct spf_field field[SPF_LINES_FIELDS])
{
	char *at = strrchr(field[4].text, '@');

	*spf = (struct spf_case){ .client = field[3].text,
				  .local = "",
				  .domain = field[4].text,
				  .helo = field[2].text,
				  .is_null = field[4].n == 0 };
	if (at != NULL) {
		*at = '\0';
		spf->local = field[4].text;
		spf->domain = at + 1;
	}
	for (size_t i = 0; i < zone->count; i++) {
		const struct dns_row *row = &zone->rows[i];

		if (row->type == SPF_LINES_DEAD)
			take_dead(spf, zone, row->name);
		else
			take_row(spf, row->name, row->type, row->value, row->n);
	}
}

static void
judge_suite(FILE *lines)
{
	static struct spf_zone zone;
	static struct spf_case spf;
	struct spf_field field[SPF_LINES_FIELDS];
	char *line = NULL;
	size_t size = 0;

	arena_init(&zone.text, (size_t)1 << 20);
	while (getline(&line, &size, lines) > 0) {
		spf_lines_split(line, field);
		if (strcmp(field[0].text, "zone") == 0) {
			spf_lines_clear(&zone);
		} else if (strcmp(field[0].text, "test") == 0) {
			take_suite_case(&spf, &zone, field);
			judge(&spf, cases);
		} else {
			assert_true(spf_lines_add(&zone, field));
		}
	}
	free(line);
	arena_fini(&zone.text);
}

static void
t2_suite_of_rfc_7208(void **state)
{
	const char *suites = getenv("DMARCGATE_SUITES");
	char path[1000], command[2000];
	FILE *lines;

	(void)state;
	snprintf(path, sizeof(path), "%s/spf/rfc7208-tests.yml",
		 suites == NULL ? "../shared/suites" : suites);
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
	judge_suite(lines);
	assert_int_equal(pclose(lines), 0);
	assert_int_equal(cases, 203);
	assert_int_equal(unlisted, 0);
}

/* --- the corpus --------------------------------------------------------- */

static void
print_results(void)
{
	printf("#: SPF: native says");
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		printf(" %s %u", spf_result_name((enum spf_result)i),
		       results[i]);
	printf("\n");
}

static void
t3_corpus(void **state)
{
	static struct spf_case made;
	uint64_t seed = number_of("DMARCGATE_SEED", SEED);
	uint64_t count = number_of("DMARCGATE_CASES", CASES_MADE);
	bool is_usual = getenv("DMARCGATE_SEED") == NULL &&
			getenv("DMARCGATE_CASES") == NULL;
	unsigned unused = 0;

	(void)state;
	for (uint64_t i = 0; i < count; i++) {
		spf_corpus_make(&made, seed, i);
		judge(&made, i);
	}
	printf("#: SPF: seed %llu: %u cases, %u agree, %u differ, %u of these "
	       "in no class\n",
	       (unsigned long long)seed, cases, agreed, cases - agreed,
	       unlisted);
	print_results();
	for (size_t i = 0; i < spf_class_count; i++) {
		static const char *const names[] = { "native", "libspf2",
						     "either" };

		printf("#: SPF: %6u %s (%s; right: %s)\n", counts[i],
		       spf_classes[i].name, spf_classes[i].section,
		       names[spf_classes[i].right]);
		unused += counts[i] == 0;
	}
	assert_int_equal(unlisted, 0);
	if (is_usual)
		assert_int_equal(unused, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_samples),
		cmocka_unit_test(t2_suite_of_rfc_7208),
		cmocka_unit_test(t3_corpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
