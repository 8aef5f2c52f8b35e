/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/bufstore.h"

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
	struct bufstore store = { .count = 0 };
	struct buf first, second;
	uint8_t *memory;

	(void)state;
	buf_init(&first, 1000);
	buf_init(&second, 100);
	fill(&first, 900);
	memory = first.p;
	bufstore_leave(&store, &first);
	assert_null(first.p);
	assert_int_equal(first.n, 0);
	bufstore_take(&store, &second);
	assert_ptr_equal(second.p, memory);
	assert_int_equal(second.n, 0);
	assert_int_equal(store.count, 0);
	assert_int_equal(store.octets, 0);
	buf_fini(&second);
	bufstore_fini(&store);
}

/* A limit is the buf's, wherever its memory comes from. */
static void
limits_stay(void **state)
{
	struct bufstore store = { .count = 0 };
	struct buf large, small;

	(void)state;
	buf_init(&large, 1000);
	buf_init(&small, 10);
	fill(&large, 1000);
	assert_false(buf_append_octet(&large, 'x'));
	bufstore_leave(&store, &large);
	bufstore_take(&store, &small);
	fill(&small, 10);
	assert_false(buf_append_octet(&small, 'x'));
	fill(&large, 1000);
	bufstore_leave(&store, &small);
	bufstore_leave(&store, &large);
	assert_int_equal(store.count, 2);
	bufstore_fini(&store);
	assert_int_equal(store.octets, 0);
}

static void
who_has_memory_keeps_it(void **state)
{
	struct bufstore store = { .count = 0 };
	struct buf left, other;
	uint8_t *memory;

	(void)state;
	buf_init(&left, 1000);
	buf_init(&other, 1000);
	fill(&left, 1);
	fill(&other, 7);
	memory = other.p;
	bufstore_leave(&store, &left);
	bufstore_take(&store, &other);
	assert_ptr_equal(other.p, memory);
	assert_int_equal(other.n, 7);
	buf_fini(&other);
	bufstore_fini(&store);
}

static void
it_is_bounded(void **state)
{
	struct bufstore store = { .count = 0 };
	struct buf buf;

	(void)state;
	buf_init(&buf, BUFSTORE_OCTETS_MAX);
	for (size_t i = 0; i < 2 * BUFSTORE_MAX; i++) {
		fill(&buf, 1);
		bufstore_leave(&store, &buf);
		assert_null(buf.p);
	}
	assert_int_equal(store.count, BUFSTORE_MAX);
	bufstore_fini(&store);
	for (size_t i = 0; i < 5; i++) {
		assert_non_null(buf_reserve(&buf, BUFSTORE_OCTETS_MAX / 3));
		bufstore_leave(&store, &buf);
	}
	assert_int_equal(store.count, 3);
	assert_in_range(store.octets, 1, BUFSTORE_OCTETS_MAX);
	bufstore_fini(&store);
}

static void
without_one_memory_is_freed(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 10);
	fill(&buf, 1);
	bufstore_leave(NULL, &buf);
	assert_null(buf.p);
	bufstore_take(NULL, &buf);
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
