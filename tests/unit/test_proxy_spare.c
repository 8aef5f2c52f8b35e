/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/spare.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
fill(struct buf *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_true(buf_append_octet(buf, 'x'));
}

static void
memory_goes_from_one_to_the_next(void **state)
{
	struct spare spare = { .count = 0 };
	struct buf first, second;
	uint8_t *memory;

	(void)state;
	buf_init(&first, 1000);
	buf_init(&second, 100);
	fill(&first, 900);
	memory = first.p;
	spare_leave(&spare, &first);
	assert_null(first.p);
	assert_int_equal(first.n, 0);
	spare_take(&spare, &second);
	assert_ptr_equal(second.p, memory);
	assert_int_equal(second.n, 0);
	assert_int_equal(spare.count, 0);
	assert_int_equal(spare.octets, 0);
	buf_fini(&second);
	spare_fini(&spare);
}

/* A limit is the buf's, wherever its memory comes from. */
static void
limits_stay(void **state)
{
	struct spare spare = { .count = 0 };
	struct buf large, small;

	(void)state;
	buf_init(&large, 1000);
	buf_init(&small, 10);
	fill(&large, 1000);
	assert_false(buf_append_octet(&large, 'x'));
	spare_leave(&spare, &large);
	spare_take(&spare, &small);
	fill(&small, 10);
	assert_false(buf_append_octet(&small, 'x'));
	fill(&large, 1000);
	spare_leave(&spare, &small);
	spare_leave(&spare, &large);
	assert_int_equal(spare.count, 2);
	spare_fini(&spare);
	assert_int_equal(spare.octets, 0);
}

static void
who_has_memory_keeps_it(void **state)
{
	struct spare spare = { .count = 0 };
	struct buf left, other;
	uint8_t *memory;

	(void)state;
	buf_init(&left, 1000);
	buf_init(&other, 1000);
	fill(&left, 1);
	fill(&other, 7);
	memory = other.p;
	spare_leave(&spare, &left);
	spare_take(&spare, &other);
	assert_ptr_equal(other.p, memory);
	assert_int_equal(other.n, 7);
	buf_fini(&other);
	spare_fini(&spare);
}

static void
it_is_bounded(void **state)
{
	struct spare spare = { .count = 0 };
	struct buf buf;

	(void)state;
	buf_init(&buf, SPARE_OCTETS_MAX);
	for (size_t i = 0; i < 2 * SPARE_MAX; i++) {
		fill(&buf, 1);
		spare_leave(&spare, &buf);
		assert_null(buf.p);
	}
	assert_int_equal(spare.count, SPARE_MAX);
	spare_fini(&spare);
	for (size_t i = 0; i < 5; i++) {
		assert_non_null(buf_reserve(&buf, SPARE_OCTETS_MAX / 3));
		spare_leave(&spare, &buf);
	}
	assert_int_equal(spare.count, 3);
	assert_in_range(spare.octets, 1, SPARE_OCTETS_MAX);
	spare_fini(&spare);
}

static void
without_one_memory_is_freed(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 10);
	fill(&buf, 1);
	spare_leave(NULL, &buf);
	assert_null(buf.p);
	spare_take(NULL, &buf);
	assert_null(buf.p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_goes_from_one_to_the_next),
		cmocka_unit_test(limits_stay),
		cmocka_unit_test(who_has_memory_keeps_it),
		cmocka_unit_test(it_is_bounded),
		cmocka_unit_test(without_one_memory_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
