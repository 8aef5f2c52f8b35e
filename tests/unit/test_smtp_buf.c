/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
assert_holds(const struct buf *buf, struct span wanted)
{
	assert_int_equal(buf_span(buf).n, wanted.n);
	assert_true(span_equal(buf_span(buf), wanted));
}

static void
an_empty_buf_holds_nothing(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 10);
	assert_null(buf.p);
	assert_null(buf_span(&buf).p);
	assert_int_equal(buf_span(&buf).n, 0);
	assert_int_equal(buf_room(&buf), 10);
	assert_true(buf_append(&buf, SPAN_NONE));
	buf_fini(&buf);
}

static void
each_kind_of_append(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	assert_true(buf_append(&buf, SPAN_LIT("a\0b ")));
	assert_true(buf_append_octet(&buf, 0xff));
	assert_true(buf_append_u64(&buf, 0));
	assert_true(buf_append_octet(&buf, ' '));
	assert_true(buf_append_u64(&buf, UINT64_MAX));
	assert_true(buf_printf(&buf, " %s%d", "x", -7));
	assert_holds(&buf, SPAN_LIT("a\0b \xff"
				    "0 18446744073709551615 x-7"));
	buf_fini(&buf);
}

/* Whatever is appended: exactly max fits, one octet more changes nothing. */
static void
the_maximum_is_exact(void **state)
{
	struct buf buf;

	(void)state;
	for (size_t max = 0; max < 600; max++) {
		buf_init(&buf, max);
		for (size_t i = 0; i < max; i++)
			assert_true(buf_append_octet(&buf, (uint8_t)i));
		assert_int_equal(buf_room(&buf), 0);
		assert_false(buf.has_overflowed);
		assert_false(buf_append_octet(&buf, 0));
		assert_true(buf.has_overflowed);
		assert_int_equal(buf.n, max);
		for (size_t i = 0; i < max; i++)
			assert_int_equal(buf_span(&buf).p[i], (uint8_t)i);
		buf_fini(&buf);
	}
}

static bool
append_whole(struct buf *buf, int kind)
{
	uint8_t *room;

	switch (kind) {
	case 0:
		return buf_append(buf, SPAN_LIT("12345"));
	case 1:
		return buf_append_u64(buf, 12345);
	case 2:
		return buf_printf(buf, "%d", 12345);
	default:
		room = buf_reserve(buf, 5);
		if (room == NULL)
			return false;
		memcpy(room, "12345", 5);
		buf_extend(buf, 5);
		return true;
	}
}

static void
nothing_is_ever_cut(void **state)
{
	struct buf buf;

	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		buf_init(&buf, 5);
		assert_true(append_whole(&buf, kind));
		assert_holds(&buf, SPAN_LIT("12345"));
		buf_fini(&buf);
		buf_init(&buf, 4);
		assert_false(append_whole(&buf, kind));
		assert_holds(&buf, SPAN_NONE);
		buf_fini(&buf);
	}
}

static void
overflow_is_sticky_until_reset(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 4);
	assert_true(buf_append(&buf, SPAN_LIT("12")));
	assert_false(buf_append(&buf, SPAN_LIT("345")));
	assert_int_equal(buf_room(&buf), 0);
	assert_false(buf_append(&buf, SPAN_LIT("3")));
	assert_false(buf_append(&buf, SPAN_NONE));
	assert_false(buf_append_u64(&buf, 3));
	assert_false(buf_printf(&buf, "3"));
	assert_null(buf_reserve(&buf, 0));
	buf_consume(&buf, 2);
	assert_false(buf_append(&buf, SPAN_LIT("3")));
	buf_reset(&buf);
	assert_true(buf_append(&buf, SPAN_LIT("1234")));
	assert_holds(&buf, SPAN_LIT("1234"));
	buf_fini(&buf);
}

static void
huge_sizes_do_not_wrap(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, SIZE_MAX);
	assert_true(buf_append(&buf, SPAN_LIT("1")));
	assert_null(buf_reserve(&buf, SIZE_MAX));
	assert_true(buf.has_overflowed);
	buf_reset(&buf);
	assert_null(buf_reserve(&buf, SIZE_MAX)); /* no room for the NUL */
	assert_true(buf.has_overflowed);
	buf_fini(&buf);
}

/* As a queue: what goes in comes out, in a place no larger than max. */
static void
a_queue_stays_in_its_place(void **state)
{
	struct buf buf;
	uint8_t in = 0;
	uint8_t out = 0;

	(void)state;
	buf_init(&buf, 300);
	for (size_t turn = 0; turn < 2000; turn++) {
		size_t n = turn * 37 % 301;

		while (buf_room(&buf) > 0 && n-- > 0)
			assert_true(buf_append_octet(&buf, in++));
		assert_true(buf.cap <= 300);
		for (n = turn * 53 % (buf.n + 1); n > 0; n--) {
			assert_int_equal(buf_span(&buf).p[0], out++);
			buf_consume(&buf, 1);
		}
	}
	assert_false(buf.has_overflowed);
	buf_fini(&buf);
}

/* A million appends must not be a million allocations. */
static void
growth_is_twofold(void **state)
{
	unsigned allocations = 0;
	struct buf buf;
	size_t cap;

	(void)state;
	buf_init(&buf, 1000000);
	for (size_t i = 0; i < 1000000; i++) {
		cap = buf.cap;
		assert_true(buf_append_octet(&buf, 'x'));
		allocations += buf.cap != cap;
	}
	assert_true(allocations < 20);
	assert_true(buf.cap <= buf.max);
	buf_fini(&buf);
}

static void
consuming_all_begins_at_the_front(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	assert_true(buf_append(&buf, SPAN_LIT("abc")));
	buf_consume(&buf, 1);
	assert_holds(&buf, SPAN_LIT("bc"));
	buf_consume(&buf, 0);
	assert_holds(&buf, SPAN_LIT("bc"));
	buf_consume(&buf, 2);
	assert_int_equal(buf.start, 0);
	assert_int_equal(buf.n, 0);
	buf_fini(&buf);
}

static void
reset_keeps_the_memory_and_fini_does_not(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	assert_true(buf_append(&buf, SPAN_LIT("abc")));
	buf_consume(&buf, 1);
	buf_reset(&buf);
	assert_non_null(buf.p);
	assert_int_equal(buf.start, 0);
	assert_int_equal(buf.n, 0);
	buf_fini(&buf);
	assert_null(buf.p);
	assert_int_equal(buf.max, 100);
	assert_true(buf_append(&buf, SPAN_LIT("again")));
	assert_holds(&buf, SPAN_LIT("again"));
	buf_fini(&buf);
}

static void
swap_exchanges_contents_and_limits(void **state)
{
	struct buf a;
	struct buf b;

	(void)state;
	buf_init(&a, 1);
	buf_init(&b, 2);
	assert_true(buf_append(&a, SPAN_LIT("a")));
	assert_true(buf_append(&b, SPAN_LIT("bb")));
	buf_swap(&a, &b);
	assert_holds(&a, SPAN_LIT("bb"));
	assert_holds(&b, SPAN_LIT("a"));
	assert_int_equal(a.max, 2);
	assert_int_equal(b.max, 1);
	buf_fini(&a);
	buf_fini(&b);
}

/* Of whatever size it is, and however far it was consumed. */
static void
a_room_is_used_as_long_as_it_is_enough(void **state)
{
	struct buf buf;

	(void)state;
	for (size_t n = 1; n <= 40; n++) {
		ROOM(room, 41);

		room[n] = 'x';
		buf_init_room(&buf, 100, room, n);
		for (size_t i = 0; i + 1 < n; i++)
			assert_true(buf_append_octet(&buf, 'a'));
		assert_ptr_equal(buf.p, room);
		assert_true(buf_append(&buf, SPAN_LIT("bc")));
		assert_ptr_not_equal(buf.p, room);
		buf_consume(&buf, n - 1);
		assert_holds(&buf, SPAN_LIT("bc"));
		assert_int_equal(room[n], 'x');
		assert_false(buf_printf(&buf, "%100s", ""));
		buf_fini(&buf);
	}
}

static void
a_room_larger_than_the_maximum_changes_nothing(void **state)
{
	ROOM(room, 100);
	struct buf buf;

	(void)state;
	buf_init_room(&buf, 3, room, sizeof(room));
	assert_true(buf_printf(&buf, "abc"));
	assert_false(buf_append_octet(&buf, 'd'));
	assert_ptr_equal(buf.p, room);
	buf_fini(&buf);
	assert_null(buf.p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_buf_holds_nothing),
		cmocka_unit_test(each_kind_of_append),
		cmocka_unit_test(the_maximum_is_exact),
		cmocka_unit_test(nothing_is_ever_cut),
		cmocka_unit_test(overflow_is_sticky_until_reset),
		cmocka_unit_test(huge_sizes_do_not_wrap),
		cmocka_unit_test(a_queue_stays_in_its_place),
		cmocka_unit_test(growth_is_twofold),
		cmocka_unit_test(consuming_all_begins_at_the_front),
		cmocka_unit_test(reset_keeps_the_memory_and_fini_does_not),
		cmocka_unit_test(swap_exchanges_contents_and_limits),
		cmocka_unit_test(a_room_is_used_as_long_as_it_is_enough),
		cmocka_unit_test(
			a_room_larger_than_the_maximum_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
