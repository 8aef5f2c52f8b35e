/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chance: seeded choices for the tests that try octets at random. The same
 * seed gives the same run.
 */
#ifndef TESTS_SMUGGLE_CHANCE_H
#define TESTS_SMUGGLE_CHANCE_H

#include "smtp/buf.h"

/* splitmix64; a number below n. */
static inline size_t
chance_below(uint64_t *chance, size_t n)
{
	uint64_t z = *chance += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (size_t)((z ^ (z >> 31)) % n);
}

static inline bool
chance_percent(uint64_t *chance, unsigned percent)
{
	return chance_below(chance, 100) < percent;
}

/* One of a table of literals, some of which hold NUL. */
#define CHANCE_PICK(chance, table) \
	((table)[chance_below(chance, sizeof(table) / sizeof((table)[0]))])

/* Put hostile octets into text, here and there. */
static inline void
chance_spoil(uint64_t *chance, struct buf *text)
{
	static const uint8_t nasty[] = "\r\n\0\t \x7f\x80\xff\x1b<>\"\\@:+=-.,";
	struct span before = buf_span(text);
	struct buf spoilt;
	size_t at = chance_below(chance, before.n + 1);
	bool is_insert = chance_percent(chance, 60) || at == before.n;

	buf_init(&spoilt, text->max);
	buf_append(&spoilt, span_first(before, at));
	buf_append_octet(&spoilt,
			 nasty[chance_below(chance, sizeof(nasty) - 1)]);
	if (chance_percent(chance, 20))
		buf_append_octet(&spoilt, '\n');
	buf_append(&spoilt, span_after(before, at + !is_insert));
	buf_swap(text, &spoilt);
	buf_fini(&spoilt);
}

#endif
