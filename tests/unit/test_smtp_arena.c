/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>

#include <cmocka.h>

#define KIB ((size_t)1024)

static bool
is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static void
pieces_are_zeroed_aligned_and_apart(void **state)
{
	uint8_t *piece[200];
	struct arena arena;

	(void)state;
	arena_init(&arena, 1024 * KIB);
	for (size_t n = 0; n < 200; n++) {
		piece[n] = arena_alloc(&arena, n * 7);
		assert_non_null(piece[n]);
		assert_int_equal((uintptr_t)piece[n] % alignof(max_align_t), 0);
		assert_true(is_zero(piece[n], n * 7));
		memset(piece[n], (int)(n + 1), n * 7);
	}
	for (size_t n = 1; n < 200; n++) {
		assert_int_equal(piece[n][0], n + 1);
		assert_int_equal(piece[n][n * 7 - 1], n + 1);
	}
	arena_fini(&arena);
}

static void
all_of_the_cap_is_handed_out(void **state)
{
	static const size_t caps[] = { 1, 15, 16, 17, 100, 100 * KIB + 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		struct arena arena;

		arena_init(&arena, caps[i]);
		assert_non_null(arena_alloc(&arena, caps[i]));
		assert_false(arena.has_overflowed);
		assert_null(arena_alloc(&arena, 1));
		assert_true(arena.has_overflowed);
		arena_fini(&arena);
	}
}

/* Else a million pieces of one octet would take sixteen million. */
static void
padding_counts(void **state)
{
	struct arena arena;
	size_t pieces = 0;

	(void)state;
	arena_init(&arena, 64 * KIB);
	while (arena_alloc(&arena, 1) != NULL)
		pieces++;
	assert_int_equal(pieces, 64 * KIB / alignof(max_align_t));
	arena_fini(&arena);
}

static void
overflow_is_sticky_until_reset(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 100);
	assert_null(arena_alloc(&arena, 101));
	assert_null(arena_alloc(&arena, 1));
	assert_null(arena_copy(&arena, SPAN_LIT("x")).p);
	assert_null(arena_string(&arena, SPAN_LIT("x")));
	arena_reset(&arena);
	assert_non_null(arena_alloc(&arena, 100));
	arena_fini(&arena);
}

static void
sizes_that_wrap_are_refused(void **state)
{
	static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 14, SIZE_MAX - 32,
					SIZE_MAX / 2 + 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct arena arena;

		arena_init(&arena, SIZE_MAX);
		assert_null(arena_alloc(&arena, sizes[i]));
		assert_true(arena.has_overflowed);
		arena_fini(&arena);
	}
}

static void
copies_are_equal_and_their_own(void **state)
{
	uint8_t text[] = "a\0b";
	struct span original = span_make(text, 3);
	struct arena arena;
	struct span copy;

	(void)state;
	arena_init(&arena, KIB);
	copy = arena_copy(&arena, original);
	text[0] = 'x';
	assert_true(span_equal(copy, SPAN_LIT("a\0b")));
	assert_int_equal(arena_copy(&arena, SPAN_NONE).n, 0);
	assert_false(arena.has_overflowed);
	arena_fini(&arena);
}

static void
strings_end_and_hold_no_nul(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, KIB);
	assert_string_equal(arena_string(&arena, SPAN_LIT("abc")), "abc");
	assert_string_equal(arena_string(&arena, SPAN_LIT("a")), "a");
	assert_string_equal(arena_string(&arena, SPAN_NONE), "");
	assert_null(arena_string(&arena, SPAN_LIT("a\0b")));
	assert_null(arena_string(&arena, SPAN_LIT("a\0")));
	/* A NUL is bad input, not a full arena. */
	assert_false(arena.has_overflowed);
	arena_fini(&arena);
}

/* Also where the next piece would follow at once. */
static void
strings_have_their_own_end(void **state)
{
	struct span text = SPAN_LIT("0123456789abcdef0123456789abcdef");
	struct arena arena;

	(void)state;
	arena_init(&arena, 10 * KIB);
	for (size_t n = 0; n <= text.n; n++) {
		const char *string = arena_string(&arena, span_first(text, n));

		assert_non_null(string);
		memset(arena_alloc(&arena, 1), 0xff, 1);
		assert_int_equal(strlen(string), n);
	}
	arena_fini(&arena);
}

static void
reset_keeps_the_first_chunk(void **state)
{
	struct arena arena;
	uint8_t *first;
	size_t held;

	(void)state;
	arena_init(&arena, 1024 * KIB);
	first = arena_alloc(&arena, 100);
	memset(first, 0xff, 100);
	held = arena.held;
	for (int i = 0; i < 50; i++)
		assert_non_null(arena_alloc(&arena, 10 * KIB));
	assert_true(arena.held > 500 * KIB);
	arena_reset(&arena);
	assert_int_equal(arena.used, 0);
	assert_int_equal(arena.held, held);
	assert_ptr_equal(arena_alloc(&arena, 100), first);
	assert_true(is_zero(first, 100));
	arena_fini(&arena);
}

static void
reset_lets_an_outsize_chunk_go(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 1024 * KIB);
	assert_non_null(arena_alloc(&arena, 512 * KIB));
	arena_reset(&arena);
	assert_null(arena.chunks);
	assert_non_null(arena_alloc(&arena, 1));
	arena_fini(&arena);
}

static void
fini_leaves_an_arena_as_after_init(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 100);
	arena_fini(&arena); /* of one that was never used */
	assert_null(arena_alloc(&arena, 101));
	arena_fini(&arena);
	assert_non_null(arena_alloc(&arena, 100));
	arena_fini(&arena);
	assert_int_equal(arena.cap, 100);
	assert_null(arena.chunks);
}

static void
a_room_is_used_as_long_as_it_is_enough(void **state)
{
	ROOM(room, KIB);
	struct arena arena;
	uint8_t *first, *second;

	(void)state;
	memset(room, 'x', sizeof(room));
	arena_init_room(&arena, 64 * KIB, room, sizeof(room) - 1);
	first = arena_alloc(&arena, KIB / 2);
	assert_in_range((size_t)(first - room), 0, KIB / 2);
	for (size_t i = 0; i < KIB / 2; i++)
		assert_int_equal(first[i], 0);
	second = arena_alloc(&arena, KIB);
	assert_non_null(second);
	assert_false(second >= room && second < room + KIB);
	arena_reset(&arena);
	assert_ptr_equal(arena_alloc(&arena, 1), first);
	arena_fini(&arena);
	assert_null(arena.chunks);
	assert_int_equal(room[KIB - 1], 'x');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
		cmocka_unit_test(all_of_the_cap_is_handed_out),
		cmocka_unit_test(padding_counts),
		cmocka_unit_test(overflow_is_sticky_until_reset),
		cmocka_unit_test(sizes_that_wrap_are_refused),
		cmocka_unit_test(copies_are_equal_and_their_own),
		cmocka_unit_test(strings_end_and_hold_no_nul),
		cmocka_unit_test(strings_have_their_own_end),
		cmocka_unit_test(reset_keeps_the_first_chunk),
		cmocka_unit_test(reset_lets_an_outsize_chunk_go),
		cmocka_unit_test(fini_leaves_an_arena_as_after_init),
		cmocka_unit_test(a_room_is_used_as_long_as_it_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
