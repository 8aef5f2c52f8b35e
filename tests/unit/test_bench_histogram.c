/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/histogram.h"

#include "tests/bench/chance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MANY 20000

static struct histogram histogram;

static int
empty(void **state)
{
	(void)state;
	memset(&histogram, 0, sizeof(histogram));
	return 0;
}

static void
without_values_all_is_zero(void **state)
{
	(void)state;
	assert_int_equal(histogram_percentile(&histogram, 1), 0);
	assert_int_equal(histogram_percentile(&histogram, 1000000), 0);
}

static void
small_values_are_exact(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 200; i++)
		histogram_add(&histogram, i);
	assert_int_equal(histogram.count, 200);
	assert_int_equal(histogram.max, 200);
	assert_int_equal(histogram.sum, 20100);
	assert_int_equal(histogram_percentile(&histogram, 1), 1);
	assert_int_equal(histogram_percentile(&histogram, 500000), 100);
	assert_int_equal(histogram_percentile(&histogram, 500001), 101);
	assert_int_equal(histogram_percentile(&histogram, 990000), 198);
	assert_int_equal(histogram_percentile(&histogram, 1000000), 200);
}

/* What is asked of a bucket is never less than what was put into it, and more
 * by one part in 128 at most. */
static void
every_value_is_known_to_within_a_step(void **state)
{
	uint64_t value, said;

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int off = -1; off <= 1; off++) {
			empty(NULL);
			value = ((uint64_t)1 << bit) + (uint64_t)off;
			histogram_add(&histogram, value);
			/* Else max would bound the answer. */
			histogram_add(&histogram, UINT64_MAX);
			said = histogram_percentile(&histogram, 500000);
			assert_true(said >= value);
			assert_true(said - value <= value / HISTOGRAM_STEPS);
		}
	}
}

static void
the_last_percentile_is_the_greatest_value(void **state)
{
	(void)state;
	histogram_add(&histogram, 1000001);
	histogram_add(&histogram, 1000003);
	assert_int_equal(histogram_percentile(&histogram, 1000000), 1000003);
	histogram_add(&histogram, UINT64_MAX);
	assert_int_equal(histogram_percentile(&histogram, 1000000), UINT64_MAX);
}

static int
by_size(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* Against a sorted list, for values over many powers of two. */
static void
percentiles_are_those_of_a_sorted_list(void **state)
{
	static uint64_t list[MANY];
	uint64_t chance = 6, exact, said;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		list[i] = chance_next(&chance) >> (chance_next(&chance) % 60);
		histogram_add(&histogram, list[i]);
	}
	qsort(list, MANY, sizeof(list[0]), by_size);
	for (unsigned millionths = 50; millionths <= 1000000;
	     millionths += 50) {
		exact = list[millionths / 50 - 1];
		said = histogram_percentile(&histogram, millionths);
		assert_true(said >= exact);
		assert_true(said - exact <= exact / HISTOGRAM_STEPS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(without_values_all_is_zero, empty),
		cmocka_unit_test_setup(small_values_are_exact, empty),
		cmocka_unit_test_setup(every_value_is_known_to_within_a_step,
				       empty),
		cmocka_unit_test_setup(
			the_last_percentile_is_the_greatest_value, empty),
		cmocka_unit_test_setup(percentiles_are_those_of_a_sorted_list,
				       empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
