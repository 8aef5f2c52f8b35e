/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SPF records that mean harm to the native engine: what they can cost is what
 * dmarc/spf.h says. Questions, runs and octets are counted; the time is that
 * of the processor, and generous.
 */
#include "tests/unit/spf_rig.h"

#include <time.h>

#define SENDER "first.last+tag@s.test"

static const struct dns_row nothing[] = { { NULL, 0, NULL, 0 } };

/* Terms without end, of a name for each. */
static void
append_terms(char *record, const char *mechanism, unsigned n)
{
	char text[100];

	for (unsigned i = 0; i < n; i++) {
		snprintf(text, sizeof(text), " %s:n%u.%%{d}", mechanism, i);
		append(record, text);
	}
}

/* Of each type ten records that lead on, at any name: a TXT `record`, ten
 * names, or the most addresses there can be, none of them the client's. */
static void
settle_harm(size_t index, const char *record)
{
	static const uint8_t octets[16] = { 0x20, 1 };
	static struct dns_record records[ANSWERS_RECORDS_MAX];
	static char name[10][64];
	enum dns_type type = answers.list[index]->type;
	struct answer answer = { .status = ANSWER_OK, .record = records };

	switch (type) {
	case DNS_TXT:
		answer.records = 1;
		records[0].value = span_cstr(record);
		break;
	case DNS_MX:
	case DNS_PTR:
		answer.records = 10;
		for (size_t i = 0; i < 10; i++) {
			snprintf(name[i], sizeof(name[i]), "h%zu.%zu.s.test",
				 index, i);
			records[i].value = span_cstr(name[i]);
		}
		break;
	case DNS_A:
	case DNS_AAAA:
		answer.records = ANSWERS_RECORDS_MAX;
		for (size_t i = 0; i < ANSWERS_RECORDS_MAX; i++)
			records[i].value =
				span_make(octets, type == DNS_A ? 4 : 16);
		break;
	}
	answers_settle(&answers, index, &answer);
}

/* Each run at its most expensive: one answer, the last one asked for. */
static void
evaluate_harm(const char *from, const char *record, struct spf_outcome *outcome)
{
	struct spf_facts facts = facts_of("2001:db8::1", from, "h.test");
	clock_t begin = clock();

	start();
	for (unsigned runs = 0; !spf_eval(&facts, &answers, outcome); runs++) {
		size_t last = answers.count;

		assert_true(runs <= SPF_QUESTIONS_MAX);
		assert_true(answers.open > 0);
		while (answers.list[--last]->status != ANSWER_OPEN)
			;
		settle_harm(last, record);
	}
	assert_true(answers.count <= SPF_QUESTIONS_MAX);
	assert_false(answers.has_overflowed);
	assert_true(arena.used < (size_t)2 << 20);
	assert_true(clock() - begin < CLOCKS_PER_SEC / 2);
}

/* All it can cost: ten mx of ten names, the ten names of the client, and an
 * explanation, in a record of nearly the most octets there may be. */
static void
t1_the_most_that_a_record_can_cost(void **state)
{
	struct spf_outcome outcome;
	char record[BIG_TEXT] = "v=spf1";

	(void)state;
	while (strlen(record) < 31000)
		append(record, " ip4:192.0.2.1");
	append_terms(record, "mx", 10);
	append(record, " -all exp=%{p}.%{d}");
	evaluate_harm(SENDER, record, &outcome);
	assert_result(&outcome, SPF_FAIL, "ten mx");
	/* the record, ten mx of ten, eleven for %{p}, the explanation */
	assert_int_equal(answers.count, 1 + 110 + 11 + 1);
}

static void
t2_records_that_mean_harm(void **state)
{
	static const struct {
		const char *start, *mechanism;
		unsigned terms;
		const char *end, *reason;
	} cases[] = {
		/* itself, in itself */
		{ "v=spf1 include:s.test", NULL, 0, "", "10 terms" },
		{ "v=spf1 redirect=s.test", NULL, 0, "", "10 terms" },
		/* everywhere ten more */
		{ "v=spf1", "include", 10, " -all", "10 terms" },
		{ "v=spf1", "include", 100, " -all", "10 terms" },
		{ "v=spf1 include:%{d}", "mx", 9, " -all", "10 terms" },
		{ "v=spf1", "mx", 9, " redirect=x.%{d}", "10 terms" },
		{ "v=spf1", "mx", 9, " include:x.%{d} -all", "10 terms" },
		{ "v=spf1", "ptr", 9, " redirect=%{p}.%{d}", "10 terms" },
		/* nothing but macros */
		{ "v=spf1", "a:%{p}.%{ir}.%{S}", 500, "", "10 terms" },
		/* longer than all records may be together */
		{ "v=spf1", "include", 3000, " -all", "too long" },
		{ "v=spf1 include:n.%{d}", "ip4:1.2.3.4 exists", 600, "",
		  "too long" },
	};
	struct spf_outcome outcome;

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		char record[BIG_TEXT];

		record[0] = '\0';
		append(record, cases[i].start);
		if (cases[i].mechanism != NULL)
			append_terms(record, cases[i].mechanism,
				     cases[i].terms);
		append(record, cases[i].end);
		evaluate_harm(SENDER, record, &outcome);
		assert_result(&outcome, SPF_PERMERROR, record);
		if (strstr(outcome.reason, cases[i].reason) == NULL)
			fail_msg("%.60s…: %s", record, outcome.reason);
	}
}

/* An own record and an included one, of so many octets. */
static enum spf_result
evaluate_lengths(size_t own, size_t included)
{
	static char record[BIG_TEXT], other[BIG_TEXT];
	struct spf_facts facts = facts_of("192.0.2.1", "u@s.test", "h.test");
	const struct dns_row rows[] = { { "o.test", DNS_TXT, other, 0 },
					{ NULL, 0, NULL, 0 } };
	struct spf_outcome outcome;

	memset(record, ' ', own);
	memcpy(record, "v=spf1 include:o.test",
	       strlen("v=spf1 include:o.test"));
	record[own] = '\0';
	memset(other, ' ', included);
	memcpy(other, "v=spf1 +all", strlen("v=spf1 +all"));
	other[included] = '\0';
	evaluate(&facts, zone_of(record, rows), &outcome);
	return outcome.result;
}

static void
t3_the_lengths_of_all_records_add_up(void **state)
{
	(void)state;
	assert_int_equal(evaluate_lengths(16384, 16384), SPF_PASS);
	assert_int_equal(evaluate_lengths(16384, 16385), SPF_PERMERROR);
	assert_int_equal(evaluate_lengths(16385, 16384), SPF_PERMERROR);
}

static void
t4_many_and_large_txt_records(void **state)
{
	struct spf_facts facts = facts_of("192.0.2.1", "u@s.test", "h.test");
	static char large[BIG_TEXT];
	static struct dns_record records[ANSWERS_RECORDS_MAX];
	struct answer answer = { .status = ANSWER_OK,
				 .records = ANSWERS_RECORDS_MAX,
				 .record = records };
	struct spf_outcome outcome;

	(void)state;
	for (size_t i = 0; i < ANSWERS_RECORDS_MAX; i++)
		records[i].value = SPAN_LIT("v=spf10 is another version");
	records[77].value = SPAN_LIT("v=spf1 ?all");
	start();
	assert_false(spf_eval(&facts, &answers, &outcome));
	answers_settle(&answers, 0, &answer);
	assert_true(spf_eval(&facts, &answers, &outcome));
	assert_result(&outcome, SPF_NEUTRAL, "one of 128");

	memset(large, ' ', 65535);
	memcpy(large, "v=spf1 +all", strlen("v=spf1 +all"));
	evaluate(&facts, zone_of(large, nothing), &outcome);
	assert_result(&outcome, SPF_PERMERROR, "64 KB");
	large[SPF_OCTETS_MAX] = '\0';
	evaluate(&facts, zone_of(large, nothing), &outcome);
	assert_result(&outcome, SPF_PASS, "32 KB");
}

/* A letter of the longest sender there is, over and over, in all that may be
 * of records; and run anew for a hundred answers. */
static void
t5_macros_that_cut_off_nearly_all(void **state)
{
	char record[BIG_TEXT] = "v=spf1 exists:", from[BIG_TEXT] = "a";
	struct spf_outcome outcome;

	(void)state;
	for (int i = 0; i < 120; i++)
		append(from, ".a");
	append(from, "@b");
	for (int i = 0; i < 120; i++)
		append(from, ".b");
	while (strlen(record) < 30000)
		append(record, "%{s1}");
	append_terms(record, "mx", 9);
	append(record, " -all");
	evaluate_harm(from, record, &outcome);
	assert_result(&outcome, SPF_FAIL, "nine mx");
}

static int
set_up(void **state)
{
	(void)state;
	return set_up_with(SPF_ENGINE_NATIVE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_the_most_that_a_record_can_cost),
		cmocka_unit_test(t2_records_that_mean_harm),
		cmocka_unit_test(t3_the_lengths_of_all_records_add_up),
		cmocka_unit_test(t4_many_and_large_txt_records),
		cmocka_unit_test(t5_macros_that_cut_off_nearly_all),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
