/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/timer.h"

#include "proxy/owner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY 2000

struct watch {
	struct timer timer;
	struct timers *timers;
	unsigned fired;
	uint64_t again_us; /* set itself to this when it fires */
	struct watch *clears;
};

static uint64_t last_fired_us;

static void
on_fire(struct timer *timer)
{
	struct watch *watch = OWNER(timer, struct watch, timer);

	watch->fired++;
	if (watch->again_us != 0)
		timer_set(watch->timers, timer, watch->again_us);
	if (watch->clears != NULL)
		timer_clear(watch->timers, &watch->clears->timer);
}

static struct watch
watch_of(struct timers *timers)
{
	return (struct watch){ .timer.fire = on_fire, .timers = timers };
}

static void
one_timer_fires_at_its_time_and_once(void **state)
{
	struct timers timers = { 0 };
	struct watch watch = watch_of(&timers);

	(void)state;
	assert_int_equal(timers_next(&timers), 0);
	timer_set(&timers, &watch.timer, 100);
	assert_true(timer_is_set(&watch.timer));
	assert_int_equal(timers_next(&timers), 100);
	timers_fire(&timers, 99);
	assert_int_equal(watch.fired, 0);
	timers_fire(&timers, 100);
	assert_int_equal(watch.fired, 1);
	assert_false(timer_is_set(&watch.timer));
	timers_fire(&timers, 1000);
	assert_int_equal(watch.fired, 1);
	assert_int_equal(timers_next(&timers), 0);
}

static void
a_timer_can_be_moved_and_cleared(void **state)
{
	struct timers timers = { 0 };
	struct watch a = watch_of(&timers);
	struct watch b = watch_of(&timers);

	(void)state;
	timer_set(&timers, &a.timer, 100);
	timer_set(&timers, &b.timer, 200);
	timer_set(&timers, &a.timer, 300);
	assert_int_equal(timers_next(&timers), 200);
	timer_clear(&timers, &b.timer);
	timer_clear(&timers, &b.timer);
	assert_int_equal(timers_next(&timers), 300);
	timers_fire(&timers, 300);
	assert_int_equal(a.fired, 1);
	assert_int_equal(b.fired, 0);
	assert_int_equal(timers.count, 0);
}

/* One that is due again at once must not keep the loop from the ring. */
static void
firing_ends_although_a_timer_is_always_due(void **state)
{
	struct timers timers = { 0 };
	struct watch watch = watch_of(&timers);

	(void)state;
	watch.again_us = 1;
	timer_set(&timers, &watch.timer, 1);
	timers_fire(&timers, 10);
	assert_int_equal(watch.fired, 1);
	assert_int_equal(timers_next(&timers), 1);
}

static void
a_timer_may_clear_another_that_is_due(void **state)
{
	struct timers timers = { 0 };
	struct watch a = watch_of(&timers);
	struct watch b = watch_of(&timers);

	(void)state;
	a.clears = &b;
	timer_set(&timers, &a.timer, 1);
	timer_set(&timers, &b.timer, 2);
	timers_fire(&timers, 10);
	assert_int_equal(a.fired, 1);
	assert_int_equal(b.fired, 0);
}

static void
on_fire_in_order(struct timer *timer)
{
	struct watch *watch = OWNER(timer, struct watch, timer);

	assert_true(watch->again_us >= last_fired_us);
	last_fired_us = watch->again_us; /* here: the deadline it had */
	watch->fired++;
}

/* Many sets, moves and clears, then all fire in the order of their times. */
static void
many_timers_fire_in_order(void **state)
{
	struct watch *watches = calloc(MANY, sizeof(*watches));
	struct timers timers = { 0 };
	size_t wanted = 0, fired = 0;

	(void)state;
	srandom(1);
	for (size_t i = 0; i < MANY; i++)
		watches[i].timer.fire = on_fire_in_order;
	for (size_t i = 0; i < 10 * MANY; i++) {
		struct watch *watch = &watches[(size_t)random() % MANY];

		if (random() % 4 == 0) {
			timer_clear(&timers, &watch->timer);
			continue;
		}
		watch->again_us = 1 + (uint64_t)random() % 5000;
		timer_set(&timers, &watch->timer, watch->again_us);
	}
	for (size_t i = 0; i < MANY; i++)
		wanted += timer_is_set(&watches[i].timer) ? 1 : 0;
	assert_int_equal(timers.count, wanted);
	last_fired_us = 0;
	for (uint64_t now_us = 0; now_us <= 5000; now_us += 50) {
		timers_fire(&timers, now_us);
		assert_true(last_fired_us <= now_us);
		assert_true(timers_next(&timers) == 0 ||
			    timers_next(&timers) > now_us);
	}
	for (size_t i = 0; i < MANY; i++)
		fired += watches[i].fired;
	assert_int_equal(fired, wanted);
	assert_int_equal(timers.count, 0);
	free(watches);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_timer_fires_at_its_time_and_once),
		cmocka_unit_test(a_timer_can_be_moved_and_cleared),
		cmocka_unit_test(firing_ends_although_a_timer_is_always_due),
		cmocka_unit_test(a_timer_may_clear_another_that_is_due),
		cmocka_unit_test(many_timers_fire_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
