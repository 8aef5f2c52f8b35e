/* SPDX-License-Identifier: BSD-2-Clause */
/* The targets of a backend: which is picked, and what is known of each. */
#include "proxy/upstream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000)
#define RETRY_US (5 * SECOND)
#define ADDRESSES_MAX 12

struct scene {
	struct conf_address addresses[ADDRESSES_MAX];
	struct conf_backend backend;
	struct upstream upstream;
	struct upstream_attempt attempt;
	uint64_t now_us;
	uint32_t drawn; /* by the dice */
	struct upstream_dice dice;
};

static uint32_t
draw(void *from)
{
	return ((struct scene *)from)->drawn;
}

static struct ip
ip_of(const char *text)
{
	struct ip ip;

	assert_true(ip_parse(span_cstr(text), &ip));
	return ip;
}

/* "PORT PRIORITY WEIGHT", or a host name, up to a NULL. */
static void
scene_make(struct scene *scene, const char *const *texts)
{
	*scene = (struct scene){ .now_us = 1000 * SECOND };
	scene->backend = (struct conf_backend){
		.addresses = scene->addresses,
		.retry_us = RETRY_US,
	};
	scene->dice = (struct upstream_dice){ draw, scene };
	for (; *texts != NULL; texts++) {
		size_t i = scene->backend.address_count++;
		struct conf_address *address = &scene->addresses[i];
		unsigned port;

		*address = (struct conf_address){
			.priority = CONF_PRIORITY,
			.weight = CONF_WEIGHT,
		};
		if (**texts == 'h')
			address->host = span_cstr(*texts);
		else if (sscanf(*texts, "%u %u %u", &port, &address->priority,
				&address->weight) >= 1)
			address->at = (struct conf_endpoint){
				ip_of("127.0.0.1"), (uint16_t)port, SPAN_NONE
			};
	}
	upstream_init(&scene->upstream, &scene->backend);
}

static const struct upstream_target *
pick(struct scene *scene)
{
	return upstream_pick(&scene->upstream, &scene->attempt, scene->now_us,
			     &scene->dice);
}

/* The ports of one attempt, in order; 0 behind the last. */
static void
assert_order(struct scene *scene, const uint16_t *ports)
{
	scene->attempt = (struct upstream_attempt){ 0 };
	for (;; ports++) {
		bool has_more =
			upstream_has_more(&scene->upstream, &scene->attempt);
		const struct upstream_target *target = pick(scene);

		assert_int_equal(has_more, target != NULL);
		assert_int_equal(target == NULL ? 0 : target->port, *ports);
		if (target == NULL)
			return;
	}
}

#define ASSERT_ORDER(scene, ...) \
	assert_order((scene), (const uint16_t[]){ __VA_ARGS__, 0 })

static unsigned
id_of(const struct scene *scene, uint16_t port)
{
	for (size_t i = 0; i < scene->upstream.count; i++)
		if (scene->upstream.targets[i].port == port)
			return scene->upstream.targets[i].id;
	fail_msg("no target at port %u", port);
	return 0;
}

static bool
fail_at(struct scene *scene, uint16_t port)
{
	return upstream_failed(&scene->upstream, id_of(scene, port),
			       scene->now_us);
}

static bool
succeed_at(struct scene *scene, uint16_t port)
{
	return upstream_succeeded(&scene->upstream, id_of(scene, port));
}

static void
each_is_tried_once_the_lowest_priority_first(void **state)
{
	static const char *const addresses[] = { "1 20", "2", "3 0", "4 20",
						 NULL };
	struct scene scene;

	(void)state;
	scene_make(&scene, addresses);
	ASSERT_ORDER(&scene, 3, 2, 1, 4);
	scene.drawn = UINT32_MAX;
	ASSERT_ORDER(&scene, 3, 2, 4, 1);
}

/* Every number that the dice can show, in steps: each target comes first as
 * often as its weight says, to the step. */
static void
weights_are_kept_to_exactly(void **state)
{
	static const char *const addresses[] = { "1 10 3", "2 10 1", "3 10 4",
						 "4 20 9", NULL };
	unsigned first[5] = { 0 };
	struct scene scene;

	(void)state;
	scene_make(&scene, addresses);
	for (unsigned step = 0; step < 8000; step++) {
		scene.drawn = (uint32_t)(((uint64_t)step << 32) / 8000);
		scene.attempt = (struct upstream_attempt){ 0 };
		first[pick(&scene)->port]++;
	}
	assert_int_equal(first[1], 3000);
	assert_int_equal(first[2], 1000);
	assert_int_equal(first[3], 4000);
	assert_int_equal(first[4], 0);
}

static void
an_attempt_has_an_end(void **state)
{
	static const char *const addresses[] = { "1", "2", "3", "4",  "5", "6",
						 "7", "8", "9", "10", NULL };
	struct scene scene;

	(void)state;
	scene_make(&scene, addresses);
	scene.dice.draw = NULL; /* then it is the order of the file */
	ASSERT_ORDER(&scene, 1, 2, 3, 4, 5, 6, 7, 8);
}

static void
what_is_down_is_tried_last(void **state)
{
	static const char *const addresses[] = { "1 0", "2", "3 20", NULL };
	struct scene scene;

	(void)state;
	scene_make(&scene, addresses);
	assert_true(fail_at(&scene, 1));
	ASSERT_ORDER(&scene, 2, 3, 1);
	assert_true(fail_at(&scene, 3));
	ASSERT_ORDER(&scene, 2, 1, 3);
	assert_true(fail_at(&scene, 2)); /* all are: all are tried */
	ASSERT_ORDER(&scene, 1, 2, 3);
	assert_int_equal(upstream_count_down(&scene.upstream), 3);
	assert_true(succeed_at(&scene, 2));
	assert_false(succeed_at(&scene, 2)); /* no change */
	ASSERT_ORDER(&scene, 2, 1, 3);
}

/* One session, and no other, finds out whether it is up again; how long it is
 * down after the nth failure in a row, in retry-afters. */
static void
each_failure_doubles_the_time_up_to_a_bound(void **state)
{
	static const char *const addresses[] = { "1 0", "2", NULL };
	static const unsigned times[] = { 1, 2, 4, 8, 16, 16, 16 };
	struct scene scene;

	(void)state;
	scene_make(&scene, addresses);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		assert_int_equal(fail_at(&scene, 1), i == 0);
		assert_false(fail_at(&scene, 1)); /* many at once are one */
		scene.now_us += times[i] * RETRY_US - 1;
		ASSERT_ORDER(&scene, 2, 1);
		scene.now_us += 1;
		ASSERT_ORDER(&scene, 1, 2); /* the trial */
		ASSERT_ORDER(&scene, 2, 1);
	}
	assert_true(succeed_at(&scene, 1));
	assert_true(fail_at(&scene, 1));
	scene.now_us += RETRY_US;
	ASSERT_ORDER(&scene, 1, 2);
}

/* Where a connection may take longer than a target is down, others wait for it.
 * Of one that nothing has come of, another one is made. */
static void
a_trial_is_waited_for(void **state)
{
	static const char *const addresses[] = { "1 0", "2", NULL };
	struct scene scene;

	(void)state;
	scene_make(&scene, addresses);
	scene.backend.connect_us_max = 3 * RETRY_US;
	assert_true(fail_at(&scene, 1));
	scene.now_us += RETRY_US;
	ASSERT_ORDER(&scene, 1, 2); /* the trial */
	scene.now_us += 3 * RETRY_US - 1;
	ASSERT_ORDER(&scene, 2, 1);
	scene.now_us += 1;
	ASSERT_ORDER(&scene, 1, 2);
}

static void
an_original_destination_is_always_up(void **state)
{
	static const char *const addresses[] = { "1", "2", NULL };
	struct scene scene;

	(void)state;
	scene_make(&scene, addresses);
	scene.upstream.targets[0].ip.family = IP_NONE;
	assert_false(fail_at(&scene, 1));
	ASSERT_ORDER(&scene, 1, 2);
}

static void
targets_that_stay_keep_their_health(void **state)
{
	static const char *const addresses[] = { "h", NULL };
	struct ip before[] = { ip_of("192.0.2.1"), ip_of("2001:db8::2"),
			       ip_of("192.0.2.1") };
	struct ip after[] = { ip_of("192.0.2.4"), ip_of("2001:db8::2") };
	struct scene scene;
	unsigned gone, stays;

	(void)state;
	scene_make(&scene, addresses);
	assert_null(pick(&scene)); /* not looked up yet */
	assert_true(upstream_resolved(&scene.upstream, 0, before, 3));
	assert_int_equal(scene.upstream.count, 2); /* one is given twice */
	assert_false(upstream_resolved(&scene.upstream, 0, before, 3));
	gone = scene.upstream.targets[0].id;
	stays = scene.upstream.targets[1].id;
	upstream_failed(&scene.upstream, stays, scene.now_us);
	assert_true(upstream_resolved(&scene.upstream, 0, after, 2));
	assert_int_equal(scene.upstream.targets[1].id, stays);
	assert_int_equal(scene.upstream.targets[1].failures, 1);
	assert_int_equal(scene.upstream.targets[0].failures, 0);
	assert_false(upstream_failed(&scene.upstream, gone, scene.now_us));
	scene.attempt = (struct upstream_attempt){ .family = IP_V6 };
	assert_int_equal(pick(&scene)->id, stays);
	assert_null(pick(&scene));
}

static void
a_name_leaves_others_their_room(void **state)
{
	static const char *const addresses[] = { "h", "2", NULL };
	struct ip list[UPSTREAM_TARGETS_MAX + 5];
	struct scene scene;

	(void)state;
	scene_make(&scene, addresses);
	for (size_t i = 0; i < UPSTREAM_TARGETS_MAX + 5; i++) {
		list[i] = ip_of("192.0.2.0");
		list[i].octets[3] = (uint8_t)i;
	}
	upstream_resolved(&scene.upstream, 0, list, UPSTREAM_TARGETS_MAX + 5);
	assert_int_equal(scene.upstream.count, UPSTREAM_TARGETS_MAX);
	assert_int_equal(scene.upstream.targets[63].port, 2);
	upstream_resolved(&scene.upstream, 0, list, 2);
	assert_int_equal(scene.upstream.count, 3);
	assert_int_equal(scene.upstream.targets[2].port, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_tried_once_the_lowest_priority_first),
		cmocka_unit_test(weights_are_kept_to_exactly),
		cmocka_unit_test(an_attempt_has_an_end),
		cmocka_unit_test(what_is_down_is_tried_last),
		cmocka_unit_test(each_failure_doubles_the_time_up_to_a_bound),
		cmocka_unit_test(a_trial_is_waited_for),
		cmocka_unit_test(an_original_destination_is_always_up),
		cmocka_unit_test(targets_that_stay_keep_their_health),
		cmocka_unit_test(a_name_leaves_others_their_room),
	};

	return cmocka_run_group_tests_name("proxy/upstream", tests, NULL, NULL);
}
