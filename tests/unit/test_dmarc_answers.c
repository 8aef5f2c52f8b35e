/* SPDX-License-Identifier: BSD-2-Clause */
/* What an evaluation asks is noted once, answered once, and bounded. */
#include "dmarc/answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ARENA_CAP ((size_t)1 << 20)

struct fixture {
	struct arena arena;
	struct answers answers;
};

static int
set_up(void **state)
{
	static struct fixture fixture;

	arena_init(&fixture.arena, ARENA_CAP);
	answers_init(&fixture.answers, &fixture.arena, ANSWERS_MAX);
	*state = &fixture;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *fixture = *state;

	arena_fini(&fixture->arena);
	return 0;
}

static struct answers *
answers_of(void **state)
{
	return &((struct fixture *)*state)->answers;
}

static void
t1_a_question_is_noted_once(void **state)
{
	struct answers *answers = answers_of(state);

	assert_null(answers_ask(answers, SPAN_LIT("example.com"), DNS_TXT));
	assert_null(answers_ask(answers, SPAN_LIT("example.com"), DNS_TXT));
	assert_int_equal(answers->count, 1);
	assert_null(answers_ask(answers, SPAN_LIT("example.com"), DNS_A));
	assert_null(answers_ask(answers, SPAN_LIT("example.org"), DNS_TXT));
	assert_int_equal(answers->count, 3);
	assert_int_equal(answers->open, 3);
}

static void
t2_the_name_is_copied(void **state)
{
	struct answers *answers = answers_of(state);
	char name[] = "example.com";

	answers_ask(answers, span_cstr(name), DNS_TXT);
	name[0] = 'X';
	assert_true(
		span_equal(answers->list[0]->name, SPAN_LIT("example.com")));
}

static void
t3_each_question_is_sent_once_in_order(void **state)
{
	struct answers *answers = answers_of(state);
	size_t index;

	answers_ask(answers, SPAN_LIT("one"), DNS_TXT);
	answers_ask(answers, SPAN_LIT("two"), DNS_TXT);
	assert_true(answers_unsent(answers, &index));
	assert_int_equal(index, 0);
	assert_true(answers_unsent(answers, &index));
	assert_int_equal(index, 1);
	assert_false(answers_unsent(answers, &index));
	answers_ask(answers, SPAN_LIT("three"), DNS_TXT);
	assert_true(answers_unsent(answers, &index));
	assert_int_equal(index, 2);
}

static void
t4_what_was_answered_before_is_not_sent(void **state)
{
	struct answers *answers = answers_of(state);
	struct answer answer = { .status = ANSWER_NODATA };
	size_t index;

	answers_ask(answers, SPAN_LIT("one"), DNS_TXT);
	answers_settle(answers, 0, &answer);
	assert_false(answers_unsent(answers, &index));
}

static void
t5_an_answer_is_given_from_then_on_with_copied_records(void **state)
{
	struct answers *answers = answers_of(state);
	char text[] = "10.mx";
	struct dns_record record[2] = {
		{ .value = span_cstr(text), .preference = 10 },
		{ .value = SPAN_NONE, .preference = 20 },
	};
	struct answer answer = { .status = ANSWER_OK,
				 .is_cached = true,
				 .ttl_s = 300,
				 .ms = 1.5F,
				 .records = 2,
				 .record = record };
	const struct answer *got;

	answers_ask(answers, SPAN_LIT("example.com"), DNS_MX);
	answers_settle(answers, 0, &answer);
	text[0] = 'X';
	record[0].preference = 99;
	got = answers_ask(answers, SPAN_LIT("example.com"), DNS_MX);
	assert_non_null(got);
	assert_int_equal(got->status, ANSWER_OK);
	assert_true(span_equal(got->name, SPAN_LIT("example.com")));
	assert_int_equal(got->type, DNS_MX);
	assert_true(got->is_cached);
	assert_int_equal(got->ttl_s, 300);
	assert_true(got->ms > 1.4F && got->ms < 1.6F);
	assert_int_equal(got->records, 2);
	assert_true(span_equal(got->record[0].value, SPAN_LIT("10.mx")));
	assert_int_equal(got->record[0].preference, 10);
	assert_int_equal(got->record[1].value.n, 0);
	assert_int_equal(answers->open, 0);
	assert_int_equal(answers->count, 1);
}

static void
settle_with_records(struct answers *answers, size_t n)
{
	static struct dns_record record[ANSWERS_RECORDS_MAX + 1];
	struct answer answer = { .status = ANSWER_OK,
				 .records = n,
				 .record = record };

	for (size_t i = 0; i < n; i++)
		record[i].value = SPAN_LIT("text");
	answers_settle(answers, answers->count - 1, &answer);
}

static void
t6_an_answer_with_too_many_records_is_a_temperror(void **state)
{
	struct answers *answers = answers_of(state);
	const struct answer *got;

	answers_ask(answers, SPAN_LIT("many"), DNS_TXT);
	settle_with_records(answers, ANSWERS_RECORDS_MAX);
	got = answers_ask(answers, SPAN_LIT("many"), DNS_TXT);
	assert_int_equal(got->status, ANSWER_OK);
	assert_int_equal(got->records, ANSWERS_RECORDS_MAX);

	answers_ask(answers, SPAN_LIT("more"), DNS_TXT);
	settle_with_records(answers, ANSWERS_RECORDS_MAX + 1);
	got = answers_ask(answers, SPAN_LIT("more"), DNS_TXT);
	assert_int_equal(got->status, ANSWER_TEMPERROR);
	assert_string_equal(got->error, "too many records");
	assert_int_equal(got->records, 0);
	assert_int_equal(answers->open, 0);
}

static void
t7_beyond_the_most_questions_each_new_one_is_a_temperror(void **state)
{
	struct fixture *fixture = *state;
	struct answers *answers = &fixture->answers;
	const struct answer *got;

	answers_init(answers, &fixture->arena, 1);
	assert_null(answers_ask(answers, SPAN_LIT("one"), DNS_TXT));
	assert_false(answers->has_overflowed);
	got = answers_ask(answers, SPAN_LIT("two"), DNS_TXT);
	assert_non_null(got);
	assert_int_equal(got->status, ANSWER_TEMPERROR);
	assert_string_equal(got->error, "too many questions");
	assert_true(answers->has_overflowed);
	assert_int_equal(answers->count, 1);
	/* what is known stays known */
	assert_null(answers_ask(answers, SPAN_LIT("one"), DNS_TXT));
}

/* At every size of arena there is an answer, and it says when memory ended. */
static void
t8_a_full_arena_is_a_temperror(void **state)
{
	bool was_refused = false, was_lost = false, was_good = false;

	(void)state;
	for (size_t cap = 0; cap < 1024; cap += 8) {
		struct arena arena;
		struct answers answers;
		const struct answer *got;

		arena_init(&arena, cap);
		answers_init(&answers, &arena, ANSWERS_MAX);
		got = answers_ask(&answers, SPAN_LIT("example.com"), DNS_TXT);
		if (got == NULL) {
			assert_int_equal(answers.list[0]->name.n, 11);
			settle_with_records(&answers, 2);
			got = answers_ask(&answers, SPAN_LIT("example.com"),
					  DNS_TXT);
			was_lost |= got->status == ANSWER_TEMPERROR;
			was_good |= got->status == ANSWER_OK;
		} else {
			assert_true(answers.has_overflowed);
			was_refused = true;
		}
		if (got->status == ANSWER_TEMPERROR)
			assert_string_equal(got->error, "out of memory");
		else
			assert_true(span_equal(got->record[1].value,
					       SPAN_LIT("text")));
		arena_fini(&arena);
	}
	assert_true(was_refused && was_lost && was_good);
}

static void
t9_many_questions_are_all_found_again(void **state)
{
	struct answers *answers = answers_of(state);
	char name[32];

	for (int i = 0; i < ANSWERS_MAX; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		assert_null(answers_ask(answers, span_cstr(name), DNS_A));
	}
	for (int i = 0; i < ANSWERS_MAX; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		assert_null(answers_ask(answers, span_cstr(name), DNS_A));
	}
	assert_int_equal(answers->count, ANSWERS_MAX);
	assert_false(answers->has_overflowed);
}

static void
t10_giving_up_settles_what_is_open_and_nothing_else(void **state)
{
	struct answers *answers = answers_of(state);
	struct answer answer = { .status = ANSWER_NXDOMAIN };
	const struct answer *got;

	answers_ask(answers, SPAN_LIT("one"), DNS_TXT);
	answers_ask(answers, SPAN_LIT("two"), DNS_TXT);
	answers_settle(answers, 0, &answer);
	answers_give_up(answers, "eval-timeout");
	assert_int_equal(answers->open, 0);
	got = answers_ask(answers, SPAN_LIT("one"), DNS_TXT);
	assert_int_equal(got->status, ANSWER_NXDOMAIN);
	assert_null(got->error);
	got = answers_ask(answers, SPAN_LIT("two"), DNS_TXT);
	assert_int_equal(got->status, ANSWER_TEMPERROR);
	assert_string_equal(got->error, "eval-timeout");
}

static void
t11_settling_twice_is_our_own_mistake(void **state)
{
	struct answers *answers = answers_of(state);
	struct answer answer = { .status = ANSWER_NODATA };
	int status;
	pid_t child;

	answers_ask(answers, SPAN_LIT("one"), DNS_TXT);
	answers_settle(answers, 0, &answer);
	child = fork();
	if (child == 0) {
		fclose(stderr);
		signal(SIGABRT, SIG_DFL);
		answers_settle(answers, 0, &answer);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void
t12_types_and_statuses_have_names(void **state)
{
	(void)state;
	assert_string_equal(dns_type_name(DNS_A), "A");
	assert_string_equal(dns_type_name(DNS_PTR), "PTR");
	assert_string_equal(dns_type_name(DNS_MX), "MX");
	assert_string_equal(dns_type_name(DNS_TXT), "TXT");
	assert_string_equal(dns_type_name(DNS_AAAA), "AAAA");
	assert_string_equal(answer_status_name(ANSWER_OPEN), "open");
	assert_string_equal(answer_status_name(ANSWER_OK), "ok");
	assert_string_equal(answer_status_name(ANSWER_NODATA), "nodata");
	assert_string_equal(answer_status_name(ANSWER_NXDOMAIN), "nxdomain");
	assert_string_equal(answer_status_name(ANSWER_TEMPERROR), "temperror");
}

/* The first text that is kept with an answer stays; each run gives the same. */
static void
t13_what_was_made_of_an_answer_is_kept_once(void **state)
{
	static const struct dns_record record = { .value = SPAN_LIT("%{d}") };
	struct answers *answers = answers_of(state);
	struct answer answer = { .status = ANSWER_OK,
				 .records = 1,
				 .record = &record };
	const struct answer *settled;
	struct span kept, again;

	answers_ask(answers, SPAN_LIT("one"), DNS_TXT);
	answers_settle(answers, 0, &answer);
	settled = answers_ask(answers, SPAN_LIT("one"), DNS_TXT);
	assert_int_equal(settled->kept[ANSWER_MADE_POLICY].n, 0);
	kept = answers_keep(answers, settled, ANSWER_MADE_POLICY,
			    SPAN_LIT("made of it"));
	assert_true(span_equal(kept, SPAN_LIT("made of it")));
	again = answers_keep(answers, settled, ANSWER_MADE_POLICY,
			     SPAN_LIT("made of it"));
	assert_ptr_equal(again.p, kept.p);
	assert_ptr_equal(settled->kept[ANSWER_MADE_POLICY].p, kept.p);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(t1_a_question_is_noted_once),
		TEST(t2_the_name_is_copied),
		TEST(t3_each_question_is_sent_once_in_order),
		TEST(t4_what_was_answered_before_is_not_sent),
		TEST(t5_an_answer_is_given_from_then_on_with_copied_records),
		TEST(t6_an_answer_with_too_many_records_is_a_temperror),
		TEST(t7_beyond_the_most_questions_each_new_one_is_a_temperror),
		TEST(t8_a_full_arena_is_a_temperror),
		TEST(t9_many_questions_are_all_found_again),
		TEST(t10_giving_up_settles_what_is_open_and_nothing_else),
		TEST(t11_settling_twice_is_our_own_mistake),
		TEST(t12_types_and_statuses_have_names),
		TEST(t13_what_was_made_of_an_answer_is_kept_once),
	};

	return cmocka_run_group_tests_name("answers", tests, NULL, NULL);
}
