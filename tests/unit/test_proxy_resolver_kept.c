/* SPDX-License-Identifier: BSD-2-Clause */
/* What the resolver keeps, for how long, and what it counts. */
#include "tests/unit/resolver_rig.h"

static void
an_answer_comes_and_is_kept(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	assert_false(ask(&scene, &asker, "a.example"));
	ring_scene_until(&scene.ring, &asker.count, 1);
	assert_int_equal(asker.status, ANSWER_OK);
	assert_string_equal(asker.text, "plain");
	assert_int_equal(asker.ttl_s, 300);
	assert_false(asker.is_cached);

	assert_true(ask(&scene, &asker, "a.example"));
	assert_string_equal(asker.text, "plain");
	assert_true(asker.is_cached);
	assert_in_range(asker.ttl_s, 298, 300);
	assert_int_equal(udp_count(&scene, 0), 1);
	scene_end(&scene);
}

static void
equal_questions_are_asked_once(void **state)
{
	struct asker askers[50];
	struct scene scene;

	(void)state;
	scene_make(&scene);
	for (size_t i = 0; i < 50; i++)
		assert_false(ask(&scene, &askers[i], "a.example"));
	for (size_t i = 0; i < 50; i++) {
		ring_scene_until(&scene.ring, &askers[i].count, 1);
		assert_string_equal(askers[i].text, "plain");
	}
	assert_int_equal(udp_count(&scene, 0), 1);
	scene_end(&scene);
}

static void
an_answer_expires_with_its_ttl(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	ask_and_wait(&scene, &asker, "short.example");
	ask_and_wait(&scene, &asker, "empty.example"); /* SOA minimum 1 */
	assert_int_equal(asker.status, ANSWER_NODATA);
	assert_true(ask(&scene, &asker, "short.example"));
	assert_true(ask(&scene, &asker, "empty.example"));
	ring_scene_for(&scene.ring, 1100000);
	assert_false(ask(&scene, &asker, "short.example"));
	ring_scene_until(&scene.ring, &asker.count, 1);
	ask_and_wait(&scene, &asker, "empty.example");
	assert_int_equal(udp_count(&scene, 0), 4);
	scene_end(&scene);
}

static void
no_such_name_is_kept_for_the_soas_time(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	ask_and_wait(&scene, &asker, "missing.example");
	assert_int_equal(asker.status, ANSWER_NXDOMAIN);
	assert_int_equal(asker.ttl_s, 60);
	assert_true(ask(&scene, &asker, "missing.example"));
	assert_int_equal(asker.status, ANSWER_NXDOMAIN);
	assert_int_equal(udp_count(&scene, 0), 1);
	scene_end(&scene);
}

struct bound {
	const char *name;
	uint64_t min_s, max_s, negative_s;
	unsigned least, most; /* what is left a moment later */
};

/* The TTLs of the script: 1 and 300 of a record, 60 of nothing. */
static const struct bound bounds[] = {
	{ "short.example", 0, 1000, 0, 0, 1 },
	{ "short.example", 100, 1000, 0, 90, 100 },
	{ "plain.example", 0, 1000, 0, 290, 300 },
	{ "plain.example", 0, 100, 0, 90, 100 },
	{ "plain.example", 200, 100, 0, 90, 100 },
	{ "missing.example", 0, 1000, 1000, 50, 60 },
	{ "missing.example", 0, 1000, 30, 20, 30 },
	{ "missing.example", 200, 1000, 30, 20, 30 },
};

static void
ttls_are_kept_within_their_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		const struct bound *bound = &bounds[i];
		struct scene scene;
		struct asker asker;

		scene_begin(&scene);
		scene.conf.dns_ttl_us_min = bound->min_s * SECOND;
		scene.conf.dns_ttl_us_max = bound->max_s * SECOND;
		scene.conf.dns_negative_us_max = bound->negative_s * SECOND;
		add_server(&scene, answer_by_script);
		scene_new(&scene, NULL);
		ask_and_wait(&scene, &asker, bound->name);
		assert_true(ask(&scene, &asker, bound->name));
		assert_in_range(asker.ttl_s, bound->least, bound->most);
		scene_end(&scene);
	}
}

static void
nothing_and_failures_are_not_kept_if_so_set(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_begin(&scene);
	scene.conf.dns_negative_us_max = scene.conf.dns_failure_us = 0;
	add_server(&scene, answer_by_script);
	scene_new(&scene, NULL);
	for (unsigned i = 1; i <= 2; i++) {
		ask_and_wait(&scene, &asker, "missing.example");
		assert_int_equal(asker.status, ANSWER_NXDOMAIN);
		ask_and_wait(&scene, &asker, "servfail.example");
		assert_int_equal(asker.status, ANSWER_TEMPERROR);
		assert_int_equal(udp_count(&scene, 0), 2 * i);
	}
	scene_end(&scene);
}

static void
it_is_counted(void **state)
{
	struct asker askers[3], asker;
	struct scene scene;
	const uint64_t *count = scene.stats.count;

	(void)state;
	scene_begin(&scene);
	scene.conf.dns_cache_octets = 300; /* for one answer */
	add_server(&scene, answer_by_script);
	scene_new(&scene, NULL);
	for (size_t i = 0; i < 3; i++)
		assert_false(ask(&scene, &askers[i], "a.example"));
	ring_scene_until(&scene.ring, &askers[2].count, 1);
	ask_and_wait(&scene, &asker, "a.example");
	assert_int_equal(count[STAT_DNS_CACHE_MISSES], 3);
	assert_int_equal(count[STAT_DNS_JOINED], 2);
	assert_int_equal(count[STAT_DNS_CACHE_HITS], 1);
	assert_int_equal(count[STAT_DNS_QUERIES], 1);
	assert_int_equal(count[STAT_DNS_CACHE_EVICTED], 0);
	assert_in_range(count[STAT_DNS_CACHE_OCTETS], 150, 300);

	ask_and_wait(&scene, &asker, "b.example");
	assert_int_equal(count[STAT_DNS_CACHE_EVICTED], 1);
	assert_in_range(count[STAT_DNS_CACHE_OCTETS], 150, 300);
	assert_int_equal(count[STAT_DNS_FAILED], 0);
	ask_and_wait(&scene, &asker, "silent.example");
	assert_int_equal(count[STAT_DNS_FAILED], 1);
	assert_int_equal(count[STAT_DNS_QUERIES], 4); /* two tries */
	scene_end(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_comes_and_is_kept),
		cmocka_unit_test(equal_questions_are_asked_once),
		cmocka_unit_test(no_such_name_is_kept_for_the_soas_time),
		cmocka_unit_test(an_answer_expires_with_its_ttl),
		cmocka_unit_test(ttls_are_kept_within_their_bounds),
		cmocka_unit_test(nothing_and_failures_are_not_kept_if_so_set),
		cmocka_unit_test(it_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
