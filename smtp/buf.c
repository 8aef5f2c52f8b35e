/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The octets held stand in one piece at start. When the end of the allocation
 * is reached they are moved to its front before it is enlarged, so that a buf
 * that is filled and consumed in turns stays as small as what it holds.
 */
#include "smtp/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Octets of a first allocation: many a buf holds one name for long. */
#define BUF_FIRST 64
#define U64_DIGITS 20 /* of UINT64_MAX in decimal */

void
buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){ .max = max };
}

void
buf_init_room(struct buf *buf, size_t max, void *room, size_t n)
{
	*buf = (struct buf){ .p = room, .max = max, .is_lent = true };
	buf->cap = n - 1 < max ? n - 1 : max;
}

/* An allocation of n octets with what was in the old one. */
static uint8_t *
reallocate(struct buf *buf, size_t n)
{
	uint8_t *p = realloc(buf->is_lent ? NULL : buf->p, n);

	if (p != NULL && buf->is_lent)
		memcpy(p, buf->p, buf->start + buf->n);
	return p;
}

/* Enlarge the allocation to n octets, twofold at least; n is at most max. One
 * octet more than cap is allocated, for the NUL of vsnprintf(). */
static bool
grow(struct buf *buf, size_t n)
{
	size_t cap = buf->cap < SIZE_MAX / 2 ? buf->cap * 2 : buf->cap;
	uint8_t *p;

	if (cap < BUF_FIRST)
		cap = BUF_FIRST;
	if (cap < n)
		cap = n;
	if (cap > buf->max)
		cap = buf->max;
	p = cap == SIZE_MAX ? NULL : reallocate(buf, cap + 1);
	if (p == NULL)
		return false;
	buf->p = p;
	buf->is_lent = false;
	buf->cap = cap;
	return true;
}

/* Have an allocation with n octets free behind those held. */
static bool
make_room(struct buf *buf, size_t n)
{
	if (buf->p != NULL && n <= buf->cap - buf->start - buf->n)
		return true;
	if (buf->start > 0) {
		memmove(buf->p, buf->p + buf->start, buf->n);
		buf->start = 0;
	}
	if (buf->p != NULL && n <= buf->cap - buf->n)
		return true;
	return grow(buf, buf->n + n);
}

uint8_t *
buf_enlarge(struct buf *buf, size_t n)
{
	if (buf->has_overflowed || n > buf_room(buf) || !make_room(buf, n)) {
		buf->has_overflowed = true;
		return NULL;
	}
	return buf->p + buf->start + buf->n;
}

bool
buf_append(struct buf *buf, struct span s)
{
	uint8_t *room = buf_reserve(buf, s.n);

	if (room == NULL)
		return false;
	if (s.n > 0)
		memcpy(room, s.p, s.n);
	buf_extend(buf, s.n);
	return true;
}

bool
buf_append_octet(struct buf *buf, uint8_t octet)
{
	uint8_t *room = buf_reserve(buf, 1);

	if (room == NULL)
		return false;
	*room = octet;
	buf_extend(buf, 1);
	return true;
}

bool
buf_append_u64(struct buf *buf, uint64_t value)
{
	uint8_t text[U64_DIGITS];
	size_t at = sizeof(text);

	do {
		text[--at] = (uint8_t)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	return buf_append(buf, span_make(text + at, sizeof(text) - at));
}

bool
buf_printf(struct buf *buf, const char *format, ...)
{
	va_list arguments;
	uint8_t *room;
	int n;

	va_start(arguments, format);
	n = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	assert(n >= 0);
	room = buf_reserve(buf, (size_t)n);
	if (room == NULL)
		return false;
	va_start(arguments, format);
	vsnprintf((char *)room, (size_t)n + 1, format, arguments);
	va_end(arguments);
	buf_extend(buf, (size_t)n);
	return true;
}

void
buf_consume(struct buf *buf, size_t n)
{
	assert(n <= buf->n);
	buf->n -= n;
	buf->start = buf->n == 0 ? 0 : buf->start + n;
}

void
buf_reset(struct buf *buf)
{
	buf->start = 0;
	buf->n = 0;
	buf->has_overflowed = false;
}

void
buf_swap(struct buf *a, struct buf *b)
{
	struct buf was_a = *a;

	*a = *b;
	*b = was_a;
}

void
buf_fini(struct buf *buf)
{
	if (!buf->is_lent)
		free(buf->p);
	buf_init(buf, buf->max);
}
