/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each way of scanning against what scan.h says, octet by octet: on all short
 * inputs of the octets that matter, with each of them at each place of longer
 * ones, and on inputs by chance. All of them end at an unmapped page.
 */
#include "smtp/scan.h"

#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define OCTETS_MAX 400

static const uint8_t alphabet[] = { '\r', '\n', '.', '\0', ' ', '\t', 'x' };

static const enum scan_way ways[] = { SCAN_FASTEST, SCAN_PORTABLE, SCAN_SSE2,
				      SCAN_AVX2 };

/* --- the definition --- */

static int
octet_at(struct span s, size_t i)
{
	return i < s.n ? s.p[i] : -1;
}

static bool
is_of_clean_line(struct span s, size_t i, bool is_line_start,
		 bool are_dots_plain)
{
	bool is_first = i == 0 ? is_line_start : s.p[i - 1] == '\n';

	switch (s.p[i]) {
	case '\r':
		return octet_at(s, i + 1) == '\n';
	case '\n':
		return i > 0 && s.p[i - 1] == '\r';
	case '\0':
		return false;
	case '.':
		return are_dots_plain || !is_first;
	default:
		return true;
	}
}

static size_t
clean_octets(struct span s, bool is_line_start, bool are_dots_plain)
{
	size_t i = 0;

	while (i < s.n && is_of_clean_line(s, i, is_line_start, are_dots_plain))
		i++;
	return i;
}

static bool
is_space(int c, bool in_field)
{
	return c == ' ' || c == '\t' || (in_field && (c == '\r' || c == '\n'));
}

static size_t
squeeze(uint8_t *to, struct span s, size_t n, bool in_field)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		bool is_end = is_space(octet_at(s, i + 1), in_field) ||
			      (octet_at(s, i + 1) == '\r' &&
			       octet_at(s, i + 2) == '\n');

		if (!is_space(s.p[i], in_field))
			to[count++] = s.p[i];
		else if (!is_end)
			to[count++] = ' ';
	}
	return count;
}

/* --- each way against it --- */

static void
check_lines(struct span s)
{
	for (unsigned how = 0; how < 4; how++) {
		bool is_line_start = (how & 1) != 0, are_dots_plain = how > 1;

		assert_int_equal(
			scan_lines(s, is_line_start, are_dots_plain),
			clean_octets(s, is_line_start, are_dots_plain));
	}
}

static void
check_squeezed(struct span s, size_t n)
{
	uint8_t wanted[OCTETS_MAX], got[OCTETS_MAX + SCAN_ROOM + 1];
	uint8_t *end = got + n + SCAN_ROOM;

	for (unsigned in_field = 0; in_field < 2; in_field++) {
		size_t count = squeeze(wanted, s, n, in_field);

		*end = 0xa5;
		assert_int_equal(scan_squeeze(got, s, n, in_field), count);
		assert_memory_equal(got, wanted, count);
		assert_int_equal(*end, 0xa5);
	}
}

static void
check(struct span s)
{
	struct guard guard = guard_copy(s);

	assert_true(s.n <= OCTETS_MAX);
	for (size_t i = 0; i < COUNT(ways); i++) {
		if (!scan_use(ways[i]))
			continue;
		check_lines(guard.octets);
		check_squeezed(guard.octets, s.n);
		if (s.n > 0)
			check_squeezed(guard.octets, s.n - 1);
		check_squeezed(guard.octets, s.n / 2);
	}
	guard_free(&guard);
}

static void
all_short_inputs(void **state)
{
	uint8_t octets[5];
	size_t inputs = 1;

	(void)state;
	for (size_t n = 0; n <= COUNT(octets); n++, inputs *= COUNT(alphabet))
		for (size_t input = 0; input < inputs; input++) {
			size_t digits = input;

			for (size_t i = 0; i < n; i++) {
				octets[i] = alphabet[digits % COUNT(alphabet)];
				digits /= COUNT(alphabet);
			}
			check(span_make(octets, n));
		}
}

/* Three octets in a row at each place, also as the last ones. */
static void
the_same_at_each_place(void **state)
{
	uint8_t octets[150];
	size_t triples = COUNT(alphabet) * COUNT(alphabet) * COUNT(alphabet);

	(void)state;
	for (size_t at = 0; at + 3 <= COUNT(octets); at++)
		for (size_t triple = 0; triple < triples; triple++) {
			size_t digits = triple;

			memset(octets, 'y', sizeof(octets));
			for (size_t i = 0; i < 3; i++) {
				octets[at + i] =
					alphabet[digits % COUNT(alphabet)];
				digits /= COUNT(alphabet);
			}
			if (at % 7 != triple % 7 && at % 64 > 2 && at % 64 < 59)
				continue;
			check(span_make(octets, sizeof(octets)));
			check(span_make(octets, at + 3));
		}
}

/* No other octet is taken for one of these. */
static void
all_octets(void **state)
{
	uint8_t octets[256 + 3];

	(void)state;
	for (size_t i = 0; i < COUNT(octets); i++)
		octets[i] = (uint8_t)i;
	for (size_t at = 0; at < COUNT(octets); at++)
		check(span_make(octets + at, COUNT(octets) - at));
}

/* Text that is mostly good, so that a scan gets far. */
static size_t
write_by_chance(uint8_t octets[OCTETS_MAX])
{
	static const char *const good[] = {
		"\r\n", " ",     "\t",   "x", "a.b", "some longer words",
		"  ",   "\r\n.", " \r\n"
	};
	size_t most = (size_t)random() % (OCTETS_MAX - 20), n = 0;
	long rare = 1 + random() % 50;

	while (n < most) {
		const char *piece = good[(size_t)random() % COUNT(good)];

		if (random() % rare == 0)
			octets[n++] =
				alphabet[(size_t)random() % COUNT(alphabet)];
		memcpy(octets + n, piece, strlen(piece));
		n += strlen(piece);
	}
	return n;
}

static void
inputs_by_chance(void **state)
{
	uint8_t octets[OCTETS_MAX];

	(void)state;
	srandom(5321);
	for (unsigned i = 0; i < 20000; i++)
		check(span_make(octets, write_by_chance(octets)));
}

/* There are at least two ways to compare, or none but the portable one. */
static void
ways_there_are(void **state)
{
	(void)state;
	assert_true(scan_use(SCAN_PORTABLE));
	assert_true(scan_use(SCAN_SSE2) || !scan_use(SCAN_AVX2));
#if defined(__x86_64__) && !defined(SCAN_NOTHING_BUT_C)
	assert_true(scan_use(SCAN_SSE2));
	assert_int_equal(scan_use(SCAN_AVX2),
			 __builtin_cpu_supports("avx2") != 0);
#endif
	assert_true(scan_use(SCAN_FASTEST));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ways_there_are),
		cmocka_unit_test(all_short_inputs),
		cmocka_unit_test(the_same_at_each_place),
		cmocka_unit_test(all_octets),
		cmocka_unit_test(inputs_by_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
