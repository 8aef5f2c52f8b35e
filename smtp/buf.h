/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buf: owned octets, bounded; it refuses, it never truncates.
 *
 * A buf grows up to its maximum. An append that does not fit whole changes
 * nothing, returns false and marks the buf as overflowed; every later append
 * is refused as well until buf_reset(), so a text may be composed of many
 * pieces and checked once. A system without memory is the same as a full buf.
 *
 * A buf for little that is over soon begins in room of the caller's, on the
 * stack, and allocates only for more than fits there.
 *
 * Spans taken from a buf die with its next append, consume or reset.
 */
#ifndef SMTP_BUF_H
#define SMTP_BUF_H

#include "smtp/room.h"
#include "smtp/span.h"

#include <assert.h>
#include <stdarg.h>

struct buf {
	uint8_t *p;   /* the allocation */
	size_t start; /* first octet not consumed */
	size_t n;     /* octets held from start on */
	size_t cap;   /* octets allocated */
	size_t max;   /* most octets it may hold */
	bool has_overflowed;
	bool is_lent; /* p is the caller's room */
};

/* An empty buf that may hold max octets. Allocates nothing. */
void buf_init(struct buf *buf, size_t max);

/* The same, in n octets of room (not 0) that outlive the buf, as long as it
 * fits. */
void buf_init_room(struct buf *buf, size_t max, void *room, size_t n);

/* As buf_reserve(), where the allocation may have to be made or enlarged. */
uint8_t *buf_enlarge(struct buf *buf, size_t n);

/* Room for n more octets at the end, or NULL (marks the overflow); what the
 * caller then wrote there is taken in by buf_extend(). */
static inline uint8_t *
buf_reserve(struct buf *buf, size_t n)
{
	if (buf->p != NULL && n <= buf->cap - buf->start - buf->n &&
	    !buf->has_overflowed)
		return buf->p + buf->start + buf->n;
	return buf_enlarge(buf, n);
}

static inline void
buf_extend(struct buf *buf, size_t n)
{
	assert(n <= buf->cap - buf->start - buf->n);
	buf->n += n;
}

/* Append all or nothing; false marks the overflow. */
bool buf_append(struct buf *buf, struct span s);
bool buf_append_octet(struct buf *buf, uint8_t octet);
bool buf_append_u64(struct buf *buf, uint64_t value);
bool buf_printf(struct buf *buf, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Octets that still fit. */
static inline size_t
buf_room(const struct buf *buf)
{
	return buf->has_overflowed ? 0 : buf->max - buf->n;
}

/* What it holds. */
static inline struct span
buf_span(const struct buf *buf)
{
	return span_make(buf->p == NULL ? NULL : buf->p + buf->start, buf->n);
}

/* Drop the first n octets; n is at most buf->n. */
void buf_consume(struct buf *buf, size_t n);

/* Empty it and clear the overflow; the memory is kept. */
void buf_reset(struct buf *buf);

/* Exchange the contents and limits of two bufs. */
void buf_swap(struct buf *a, struct buf *b);

/* Give the memory back; the buf may be used again as after init. */
void buf_fini(struct buf *buf);

#endif
