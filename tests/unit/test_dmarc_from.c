/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whom a message says it is from: the table in from.cases, each case a whole
 * header, read and judged as the gate does it. Either the domains are those
 * that a reader of the mail may be shown, all of them, or the message has a
 * fault, for which it is refused.
 *
 *     test_dmarc_from --judge FILE
 *
 * does not test, but writes what is judged of each case of FILE, a line each:
 * tests/e2e asks this about headers that it makes up.
 */
#include "dmarc/eval.h"
#include "tests/unit/fake_dkim_engine.h"
#include "tests/unit/from_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define TABLE "tests/unit/from.cases"
#define CASES_MIN 80

/* A fault's name in the table. */
static const char *
fault_name(enum from_fault fault)
{
	switch (fault) {
	case FROM_FAULT_NONE:
		return "";
	case FROM_FAULT_MISSING:
		return "refused (missing)";
	case FROM_FAULT_REPEATED:
		return "refused (repeated)";
	case FROM_FAULT_MALFORMED:
		return "refused (malformed)";
	case FROM_FAULT_DOMAIN:
		return "refused (domain)";
	case FROM_FAULT_EMPTY:
		return "refused (empty)";
	case FROM_FAULT_TOO_MANY:
		return "refused (too many)";
	case FROM_FAULT_HEADER:
		return "refused (header)";
	}
	return "?";
}

struct judge {
	struct arena arena;
	struct answers answers;
	struct message message;
	struct verdict verdict;
	struct buf text; /* the verdict, as the table has it */
};

static void
judge_init(struct judge *judge)
{
	arena_init(&judge->arena, (size_t)4 << 20);
	message_init(&judge->message, 200000);
	buf_init(&judge->text, 4000);
}

static void
judge_fini(struct judge *judge)
{
	arena_fini(&judge->arena);
	message_fini(&judge->message);
	buf_fini(&judge->text);
}

static void
describe(struct judge *judge)
{
	const struct verdict *verdict = &judge->verdict;

	buf_reset(&judge->text);
	buf_append(&judge->text, span_cstr(fault_name(verdict->from_fault)));
	for (size_t i = 0; i < verdict->authors; i++) {
		if (judge->text.n > 0)
			buf_append_octet(&judge->text, ' ');
		buf_append(&judge->text, verdict->author[i].domain);
	}
	assert_false(judge->text.has_overflowed);
}

static void
read_header(struct judge *judge, struct span header)
{
	struct span body;

	arena_reset(&judge->arena);
	message_reset(&judge->message);
	message_feed(&judge->message, header, &body);
	message_feed(&judge->message, SPAN_LIT("\r\n"), &body);
}

/* What eval says of that message, sent by these. */
static void
judge_authors(struct judge *judge, const struct authors *authors)
{
	static const struct eval_settings settings = { .psl = NULL };
	struct eval_facts facts = { .stage = EVAL_HEADER,
				    .settings = &settings,
				    .message = &judge->message,
				    .authors = *authors,
				    .spf = { .is_null = true } };

	answers_init(&judge->answers, &judge->arena, ANSWERS_MAX);
	facts.dkim = dkim_check_new(fake_dkim_engine(), &judge->arena, 0);
	assert_true(dkim_check_header(facts.dkim, &judge->message));
	assert_false(eval_run(&facts, &judge->answers, &judge->verdict));
	describe(judge);
}

/* Read a header, in one piece, and ask eval whose it is. */
static void
judge_header(struct judge *judge, struct span header)
{
	struct authors authors;

	read_header(judge, header);
	authors_read(&judge->message, &judge->arena, &authors);
	judge_authors(judge, &authors);
}

static void
t1_the_table(void **state)
{
	struct judge judge;
	struct from_cases cases;
	unsigned count = 0, wrong = 0;

	(void)state;
	judge_init(&judge);
	from_cases_open(&cases, TABLE);
	for (; from_cases_next(&cases); count++) {
		judge_header(&judge, buf_span(&cases.header));
		if (span_equal(buf_span(&judge.text), cases.expected))
			continue;
		wrong++;
		print_message("%s:%u: %.*s\n", TABLE, cases.number,
			      (int)judge.text.n, judge.text.p);
	}
	print_message("#: From fields: %u of %u headers judged as they are "
		      "shown, or refused\n",
		      count - wrong, count);
	assert_int_equal(wrong, 0);
	assert_true(count >= CASES_MIN);
	from_cases_close(&cases);
	judge_fini(&judge);
}

/* Nobody is named twice, and whoever is not named has a fault. */
static void
t2_each_has_a_domain_or_a_fault(void **state)
{
	struct judge judge;
	struct from_cases cases;
	const struct verdict *verdict = &judge.verdict;

	(void)state;
	judge_init(&judge);
	from_cases_open(&cases, TABLE);
	while (from_cases_next(&cases)) {
		judge_header(&judge, buf_span(&cases.header));
		assert_true(verdict->authors > 0 ||
			    verdict->from_fault != FROM_FAULT_NONE);
		for (size_t i = 0; i < verdict->authors; i++)
			for (size_t j = 0; j < i; j++)
				assert_false(
					span_equal(verdict->author[i].domain,
						   verdict->author[j].domain));
	}
	from_cases_close(&cases);
	judge_fini(&judge);
}

/* A From field may be large, and eval is run again with each answer: whoever
 * runs it reads the field, once. */
static void
t3_eval_does_not_read_it_again(void **state)
{
	const struct authors authors = { .count = 1,
					 .domain = { SPAN_LIT("b.example") } };
	struct judge judge;

	(void)state;
	judge_init(&judge);
	read_header(&judge, SPAN_LIT("From: a@a.example\r\n"));
	judge_authors(&judge, &authors);
	assert_true(span_equal(buf_span(&judge.text), SPAN_LIT("b.example")));
	judge_fini(&judge);
}

static void
t4_without_memory_there_is_none(void **state)
{
	struct judge judge;
	struct authors authors;

	(void)state;
	judge_init(&judge);
	read_header(&judge, SPAN_LIT("From: a@a.example\r\n"));
	assert_null(arena_alloc(&judge.arena, (size_t)1 << 40));
	authors_read(&judge.message, &judge.arena, &authors);
	assert_int_equal(authors.count, 0);
	assert_true(judge.arena.has_overflowed);
	judge_fini(&judge);
}

static int
judge_file(const char *path)
{
	struct judge judge;
	struct from_cases cases;

	judge_init(&judge);
	from_cases_open(&cases, path);
	while (from_cases_next(&cases)) {
		judge_header(&judge, buf_span(&cases.header));
		printf("%.*s\n", (int)judge.text.n, judge.text.p);
	}
	from_cases_close(&cases);
	judge_fini(&judge);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_the_table),
		cmocka_unit_test(t2_each_has_a_domain_or_a_fault),
		cmocka_unit_test(t3_eval_does_not_read_it_again),
		cmocka_unit_test(t4_without_memory_there_is_none),
	};

	if (argc == 3 && strcmp(argv[1], "--judge") == 0)
		return judge_file(argv[2]);
	return cmocka_run_group_tests_name("from", tests, NULL, NULL);
}
