/* SPDX-License-Identifier: BSD-2-Clause */
/* Whom the resolver asks, how often, and what it makes of answers. */
#include "tests/unit/resolver_rig.h"

static void
a_cname_is_followed_within_the_answer(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	ask_and_wait(&scene, &asker, "alias.example");
	assert_string_equal(asker.text, "at the end");
	assert_int_equal(asker.ttl_s, 30);
	assert_true(ask(&scene, &asker, "alias.example"));
	scene_end(&scene);
}

/* Some servers know only where an alias leads: authoritative ones, and some
 * that forward. That is no "there is nothing". */
static void
a_cname_that_a_server_leaves_open_is_followed(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	ask_and_wait(&scene, &asker, "open.example");
	assert_int_equal(asker.status, ANSWER_OK);
	assert_string_equal(asker.text, "plain");
	assert_int_equal(asker.ttl_s, 40); /* the alias's; the target has 300 */
	assert_int_equal(udp_count(&scene, 0), 2);
	assert_true(ask(&scene, &asker, "open.example"));
	assert_string_equal(asker.text, "plain");

	/* The target does not exist; the name that was asked for does. */
	ask_and_wait(&scene, &asker, "gone.example");
	assert_int_equal(asker.status, ANSWER_NODATA);
	assert_int_equal(asker.ttl_s, 40);
	ask_and_wait(&scene, &asker, "nowhere.example");
	assert_int_equal(asker.status, ANSWER_NODATA);
	scene_end(&scene);
}

static void
cnames_that_go_round_are_a_temperror(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	ask_and_wait(&scene, &asker, "round.x");
	assert_int_equal(asker.status, ANSWER_TEMPERROR);
	assert_string_equal(asker.error, "CNAME chain too long");
	assert_int_equal(udp_count(&scene, 0), 9);
	scene_end(&scene);
}

struct validation {
	const char *name;
	bool is_trusted, is_authentic;
};

static const struct validation validations[] = {
	{ "plain.example", false, false }, { "plain.example", true, true },
	{ "bogus.example", true, false },  { "missing.example", true, true },
	{ "open.example", true, true },    { "servfail.example", true, false },
};

static void
it_is_asked_whether_answers_are_validated(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(validations) / sizeof(validations[0]);
	     i++) {
		const struct validation *row = &validations[i];
		struct scene scene;
		struct asker asker;

		scene_begin(&scene);
		scene.conf.trusts_ad = row->is_trusted;
		add_server(&scene, answer_by_script);
		scene_new(&scene, NULL);
		ask_and_wait(&scene, &asker, row->name);
		assert_int_equal(asker.is_authentic, row->is_authentic);
		assert_true(ask(&scene, &asker, row->name));
		assert_int_equal(asker.is_authentic, row->is_authentic);
		scene_end(&scene);
	}
}

/* It says FORMERR to the first questions, and is not asked that way again. */
static void
a_server_without_edns_is_asked_without(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_begin(&scene);
	add_server(&scene, answer_without_edns);
	scene_new(&scene, NULL);
	ask_and_wait(&scene, &asker, "a.example");
	assert_string_equal(asker.text, "plain");
	ask_and_wait(&scene, &asker, "b.example");
	assert_string_equal(asker.text, "plain");
	assert_int_equal(udp_count(&scene, 0), 4);
	ask_and_wait(&scene, &asker, "c.example");
	assert_string_equal(asker.text, "plain");
	assert_int_equal(udp_count(&scene, 0), 5);
	scene_end(&scene);
}

static void
edns_asks_for_1232_octets(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	ask_and_wait(&scene, &asker, "size.example");
	assert_string_equal(asker.text, "1232");
	scene_end(&scene);
}

static void
a_truncated_answer_is_fetched_over_tcp(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	ask_and_wait(&scene, &asker, "large.example");
	assert_int_equal(asker.status, ANSWER_OK);
	assert_string_equal(asker.text, "plain");
	assert_int_equal(atomic_load(&scene.servers[0].tcp_count), 1);
	scene_end(&scene);
}

/* RFC 7766 6.2.4: what it has not answered then is asked again. */
static void
a_server_may_hang_up_after_one_answer(void **state)
{
	static const char *const names[] = {
		"large.a.example", "large.b.example", "large.c.example",
		"large.d.example", "large.e.example", "large.f.example"
	};
	struct scene scene;
	struct asker asker[6];

	(void)state;
	scene_make(&scene);
	scene.servers[0].does_hang_up = true;
	for (size_t i = 0; i < 6; i++)
		assert_false(ask(&scene, &asker[i], names[i]));
	for (size_t i = 0; i < 6; i++) {
		ring_scene_until(&scene.ring, &asker[i].count, 1);
		assert_string_equal(asker[i].error, "");
		assert_string_equal(asker[i].text, "plain");
	}
	scene_end(&scene);
}

struct failure {
	const char *name, *error;
	unsigned questions;
};

/* None of them is "no such name". */
static const struct failure failures[] = {
	{ "servfail.example", "SERVFAIL", 1 },
	{ "refused.example", "REFUSED", 1 },
	{ "garbage.example", "malformed answer", 1 },
	{ "silent.example", "time-out", 2 },
	/* Another id is not an answer to our question. */
	{ "forged.example", "time-out", 2 },
};

static void
failures_are_temporary_and_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		struct scene scene;
		struct asker asker;

		scene_make(&scene);
		ask_and_wait(&scene, &asker, failures[i].name);
		assert_int_equal(asker.status, ANSWER_TEMPERROR);
		assert_string_equal(asker.error, failures[i].error);
		assert_int_equal(udp_count(&scene, 0), failures[i].questions);
		/* Kept for a few seconds: a burst does not ask again. */
		assert_true(ask(&scene, &asker, failures[i].name));
		assert_string_equal(asker.error, failures[i].error);
		assert_true(asker.is_cached);
		scene_end(&scene);
	}
}

static void
a_try_ends_within_its_time(void **state)
{
	struct scene scene;
	struct asker asker;
	uint64_t start_us;

	(void)state;
	scene_make(&scene);
	start_us = clock_monotonic_us();
	ask_and_wait(&scene, &asker, "silent.example");
	/* Two tries of 200 ms, and a tick of 100 ms for each. */
	assert_in_range(clock_monotonic_us() - start_us, 400000, 900000);
	scene_end(&scene);
}

/* Nobody waits longer than an evaluation may take. */
static void
tries_end_with_the_time_of_an_evaluation(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_begin(&scene);
	scene.conf.dns_tries = 10;
	scene.conf.eval_us_max = 300000;
	add_server(&scene, answer_by_script);
	scene_new(&scene, NULL);
	ask_and_wait(&scene, &asker, "silent.example");
	assert_string_equal(asker.error, "time-out");
	assert_in_range(udp_count(&scene, 0), 1, 2);
	scene_end(&scene);
}

static void
a_servfail_is_taken_to_the_next_server(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_begin(&scene);
	add_server(&scene, answer_servfail);
	add_server(&scene, answer_by_script);
	scene_new(&scene, NULL);
	ask_and_wait(&scene, &asker, "a.example");
	assert_int_equal(asker.status, ANSWER_OK);
	/* Not a second time to one that has answered. */
	ask_and_wait(&scene, &asker, "servfail.example");
	assert_string_equal(asker.error, "SERVFAIL");
	assert_int_equal(udp_count(&scene, 0), 2);
	assert_int_equal(udp_count(&scene, 1), 2);
	scene_end(&scene);
}

static void
a_dead_server_is_not_asked_first_again(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_begin(&scene);
	add_server(&scene, answer_nothing);
	add_server(&scene, answer_by_script);
	scene_new(&scene, NULL);
	ask_and_wait(&scene, &asker, "a.example");
	assert_int_equal(asker.status, ANSWER_OK);
	ask_and_wait(&scene, &asker, "b.example");
	ask_and_wait(&scene, &asker, "c.example");
	assert_int_equal(asker.status, ANSWER_OK);
	assert_int_equal(udp_count(&scene, 0), 1);
	assert_int_equal(udp_count(&scene, 1), 3);
	scene_end(&scene);
}

static void
who_cancelled_is_not_told(void **state)
{
	struct asker first, second, third;
	struct scene scene;

	(void)state;
	scene_make(&scene);
	assert_false(ask(&scene, &first, "a.example"));
	assert_false(ask(&scene, &second, "a.example"));
	assert_false(ask(&scene, &third, "a.example"));
	resolver_cancel(&second.query);
	resolver_cancel(&second.query);
	ring_scene_until(&scene.ring, &first.count, 1);
	ring_scene_until(&scene.ring, &third.count, 1);
	assert_int_equal(second.count, 0);
	resolver_cancel(&first.query);

	/* All gone: the answer is kept all the same. */
	assert_false(ask(&scene, &first, "b.example"));
	resolver_cancel(&first.query);
	ring_scene_for(&scene.ring, 100000);
	assert_true(ask(&scene, &second, "b.example"));
	scene_end(&scene);
}

static void
an_asker_may_ask_again_when_he_is_told(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	assert_false(ask(&scene, &asker, "a.example"));
	asker.asks_again = scene.resolver;
	ring_scene_until(&scene.ring, &asker.count, 1);
	scene_end(&scene);
}

#define DIGITS "0123456789"
#define LABEL_64 DIGITS DIGITS DIGITS DIGITS DIGITS DIGITS "0123"

/* Names that are no question for a name server. */
static void
impossible_names_do_not_exist(void **state)
{
	static const char *const names[] = {
		LABEL_64 "5.example",
		"hidden.onion",
		"two..dots",
	};
	struct scene scene;
	struct answer answer;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_true(ask(&scene, &asker, names[i]));
		assert_int_equal(asker.status, ANSWER_NXDOMAIN);
	}
	assert_true(resolver_ask(scene.resolver, SPAN_LIT("a\0b.example"),
				 DNS_TXT, &asker.query, &answer));
	assert_int_equal(answer.status, ANSWER_NXDOMAIN);
	assert_int_equal(udp_count(&scene, 0), 0);
	scene_end(&scene);
}

/* A backslash is an octet like any other, not c-ares's escape. */
static void
a_backslash_is_asked_as_it_is(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	ask_and_wait(&scene, &asker, "a\\046b.example");
	assert_int_equal(asker.status, ANSWER_OK);
	assert_string_equal(asker.text, "plain");
	scene_end(&scene);
}

static void
too_many_questions_at_once_are_refused(void **state)
{
	enum { MANY = 16384 };
	struct asker *askers = calloc(MANY + 1, sizeof(*askers));
	struct scene scene;
	char name[64];

	(void)state;
	scene_make(&scene);
	for (unsigned i = 0; i <= MANY; i++) {
		snprintf(name, sizeof(name), "silent.n%u.example", i);
		assert_int_equal(ask(&scene, &askers[i], name), i == MANY);
	}
	assert_int_equal(askers[MANY].status, ANSWER_TEMPERROR);
	assert_string_equal(askers[MANY].error, "too many questions");
	for (unsigned i = 0; i < MANY; i++) {
		ring_scene_until(&scene.ring, &askers[i].count, 1);
		assert_int_equal(askers[i].status, ANSWER_TEMPERROR);
	}
	/* There is room again, and what was refused was not kept. */
	assert_false(ask(&scene, &askers[0], name));
	ring_scene_until(&scene.ring, &askers[0].count, 1);
	scene_end(&scene);
	free(askers);
}

static void
freeing_forgets_who_waits(void **state)
{
	struct scene scene;
	struct asker a, b;

	(void)state;
	scene_make(&scene);
	assert_false(ask(&scene, &a, "silent.example"));
	assert_false(ask(&scene, &b, "silent.other.example"));
	ring_scene_turn(&scene.ring, 1000);
	scene_end(&scene);
	assert_int_equal(a.count + b.count, 0);
}

static void
a_zone_answers_everything(void **state)
{
	struct scene scene;
	struct asker asker;
	struct zone *zone;
	struct buf faults;

	(void)state;
	scene_begin(&scene);
	buf_init(&faults, 1000);
	zone = zone_parse(SPAN_LIT("a.example. 60 TXT \"from the zone\"\n"),
			  "zone", &faults);
	assert_non_null(zone);
	add_server(&scene, answer_by_script);
	scene_new(&scene, zone);
	assert_true(ask(&scene, &asker, "a.example"));
	assert_string_equal(asker.text, "from the zone");
	assert_true(asker.is_cached);
	assert_true(ask(&scene, &asker, "b.test"));
	assert_int_equal(asker.status, ANSWER_NXDOMAIN);
	assert_int_equal(udp_count(&scene, 0), 0);
	scene_end(&scene);
	zone_free(zone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cname_is_followed_within_the_answer),
		cmocka_unit_test(a_cname_that_a_server_leaves_open_is_followed),
		cmocka_unit_test(cnames_that_go_round_are_a_temperror),
		cmocka_unit_test(it_is_asked_whether_answers_are_validated),
		cmocka_unit_test(edns_asks_for_1232_octets),
		cmocka_unit_test(a_server_without_edns_is_asked_without),
		cmocka_unit_test(a_truncated_answer_is_fetched_over_tcp),
		cmocka_unit_test(a_server_may_hang_up_after_one_answer),
		cmocka_unit_test(failures_are_temporary_and_named),
		cmocka_unit_test(a_try_ends_within_its_time),
		cmocka_unit_test(tries_end_with_the_time_of_an_evaluation),
		cmocka_unit_test(a_servfail_is_taken_to_the_next_server),
		cmocka_unit_test(a_dead_server_is_not_asked_first_again),
		cmocka_unit_test(who_cancelled_is_not_told),
		cmocka_unit_test(an_asker_may_ask_again_when_he_is_told),
		cmocka_unit_test(impossible_names_do_not_exist),
		cmocka_unit_test(a_backslash_is_asked_as_it_is),
		cmocka_unit_test(too_many_questions_at_once_are_refused),
		cmocka_unit_test(freeing_forgets_who_waits),
		cmocka_unit_test(a_zone_answers_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
