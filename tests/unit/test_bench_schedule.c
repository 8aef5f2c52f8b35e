/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/schedule.h"

#include "tests/bench/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY 100000
#define MS UINT64_C(1000000)
#define S (1000 * MS)

static void
even_arrivals_do_not_drift(void **state)
{
	struct schedule schedule;
	uint64_t at = 0;

	(void)state;
	schedule_init(&schedule, 3000, true, 0);
	assert_int_equal(schedule_next(&schedule), 333333);
	for (unsigned i = 1; i < 3 * MANY; i++)
		at = schedule_next(&schedule);
	assert_int_equal(at, 100 * S);
}

static void
random_arrivals_have_the_rate_and_the_spread_of_strangers(void **state)
{
	struct schedule schedule;
	uint64_t before = 0, at = 0;
	double interval, squares = 0;

	(void)state;
	schedule_init(&schedule, 1000, false, 7);
	for (unsigned i = 0; i < MANY; i++) {
		at = schedule_next(&schedule);
		assert_true(at >= before);
		interval = (double)(at - before) / (double)MS;
		squares += interval * interval;
		before = at;
	}
	/* The mean is 1 ms, that of the squares of exponential intervals 2. */
	assert_true(at > 99 * S && at < 101 * S);
	assert_true(squares / MANY > 1.95 && squares / MANY < 2.05);
}

static void
a_seed_gives_its_times_and_another_others(void **state)
{
	struct schedule one, same, other;
	unsigned alike = 0;
	uint64_t at;

	(void)state;
	schedule_init(&one, 500, false, 1);
	schedule_init(&same, 500, false, 1);
	schedule_init(&other, 500, false, 2);
	for (unsigned i = 0; i < 1000; i++) {
		at = schedule_next(&one);
		assert_int_equal(at, schedule_next(&same));
		alike += at == schedule_next(&other);
	}
	assert_int_equal(alike, 0);
}

/*
 * One server, 1 ms for each of 100 arrivals a second over 10 s, which stands
 * still for a second. Who counts from the sending sees one slow message in a
 * thousand. From the times of the schedule, those that queued up behind the
 * stall show: they wait half a second in the mean.
 */
static void
a_stall_shows_in_the_latencies_of_all_who_queue(void **state)
{
	static struct histogram from_sending, from_arrival;
	struct schedule schedule;
	uint64_t arrival, begin, done = 0;

	(void)state;
	schedule_init(&schedule, 100, true, 0);
	for (unsigned i = 0; i < 1000; i++) {
		arrival = schedule_next(&schedule);
		begin = arrival > done ? arrival : done;
		done = begin + (i == 500 ? S : MS);
		histogram_add(&from_sending, done - begin);
		histogram_add(&from_arrival, done - arrival);
	}
	assert_true(histogram_percentile(&from_sending, 998000) < 2 * MS);
	assert_true(histogram_percentile(&from_arrival, 850000) < 2 * MS);
	assert_true(histogram_percentile(&from_arrival, 950000) > 400 * MS);
	assert_true(histogram_percentile(&from_arrival, 990000) > 850 * MS);
	assert_int_equal(from_arrival.max, S);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(even_arrivals_do_not_drift),
		cmocka_unit_test(
			random_arrivals_have_the_rate_and_the_spread_of_strangers),
		cmocka_unit_test(a_seed_gives_its_times_and_another_others),
		cmocka_unit_test(
			a_stall_shows_in_the_latencies_of_all_who_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
