/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The second opinion: what it says where the engines differ, and that it
 * takes nothing from the verdict: neither questions over the cap, nor the
 * mark that there were too many.
 */
#include "dmarc/second.h"
#include "tests/unit/spf_rig.h"

/* libspf2 leaves "%{d2}" empty. */
static const struct dns_row differing[] = {
	{ "s.test", DNS_TXT, "v=spf1 exists:%{d2} -all", 0 },
	{ "s.test", DNS_A, "192.0.2.9", 0 },
	{ NULL, 0, NULL, 0 },
};

/* Whoever runs first settles on the first term; native asks ahead. */
static const struct dns_row ahead[] = {
	{ "s.test", DNS_TXT, "v=spf1 a:a.test a:b.test a:c.test -all", 0 },
	{ "a.test", DNS_A, "192.0.2.1", 0 },
	{ NULL, 0, NULL, 0 },
};

static struct second second;
static struct verdict verdict;

static int
set_up(void **state)
{
	(void)state;
	second_init(&second);
	return set_up_with(SPF_ENGINE_LIBSPF2);
}

static int
tear_down_both(void **state)
{
	second_fini(&second);
	return tear_down(state);
}

/* Judge with the engine chosen first, then have the other run. */
static void
judge(enum spf_engine chosen, const struct dns_row *rows,
      struct spf_facts *facts)
{
	engine = chosen;
	*facts = facts_of("192.0.2.1", "user@s.test", "mail.s.test");
	evaluate(facts, rows, &verdict.spf);
	second_reset(&second);
}

static void
t1_tells_what_differs(void **state)
{
	struct spf_facts facts;
	struct buf text;

	(void)state;
	judge(SPF_ENGINE_NATIVE, differing, &facts);
	while (!second_run(&second, &facts, &answers))
		dns_rows_settle_all(differing, &answers);
	assert_true(second.has_spf);
	assert_int_equal(second.spf, SPF_FAIL);
	buf_init(&text, SECOND_TEXT_MAX);
	assert_true(second_differs(&second, &verdict, &text));
	assert_true(
		span_equal(buf_span(&text), SPAN_LIT("spf pass, second fail")));
	buf_fini(&text);
}

static void
t2_says_nothing_where_both_agree(void **state)
{
	struct spf_facts facts;
	struct buf text;

	(void)state;
	judge(SPF_ENGINE_LIBSPF2, ahead, &facts);
	while (!second_run(&second, &facts, &answers))
		dns_rows_settle_all(ahead, &answers);
	assert_true(second.has_spf);
	assert_int_equal(answers.max, ANSWERS_MAX);
	buf_init(&text, SECOND_TEXT_MAX);
	assert_false(second_differs(&second, &verdict, &text));
	assert_int_equal(text.n, 0);
	buf_fini(&text);
}

/* Without room for its questions there is no opinion, and no trace. */
static void
t3_keeps_to_the_cap(void **state)
{
	struct spf_facts facts;
	size_t asked;

	(void)state;
	judge(SPF_ENGINE_LIBSPF2, ahead, &facts);
	asked = answers.max = answers.count - 1;
	answers.count--; /* as if the verdict had not needed the last */
	assert_true(second_run(&second, &facts, &answers));
	assert_false(second.has_spf);
	assert_int_equal(answers.count, asked);
	assert_int_equal(answers.max, asked);
	assert_false(answers.has_overflowed);
}

static void
t4_what_is_not_answered_is_no_opinion(void **state)
{
	struct spf_facts facts;

	(void)state;
	judge(SPF_ENGINE_LIBSPF2, ahead, &facts);
	answers.count--;
	assert_false(second_run(&second, &facts, &answers));
	second_give_up(&second);
	assert_true(second_run(&second, &facts, &answers));
	assert_false(second.has_spf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_tells_what_differs),
		cmocka_unit_test(t2_says_nothing_where_both_agree),
		cmocka_unit_test(t3_keeps_to_the_cap),
		cmocka_unit_test(t4_what_is_not_answered_is_no_opinion),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down_both);
}
