/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * body: the body of one mail: in memory up to a bound, then in a file.
 *
 * Pure bookkeeping: it says what is to be written to, or read from, the
 * mail's file and when; the driver of the session does it. The octets in the
 * file always come before those in memory. While a write is under way nothing
 * may be appended: body_is_full() is the signal to stop decoding.
 */
#ifndef PROXY_BODY_H
#define PROXY_BODY_H

#include "smtp/buf.h"

struct body {
	struct buf memory;
	size_t memory_max; /* above this the memory goes to the file */
	uint64_t in_file;  /* octets written */
	size_t writing;    /* octets of memory being written now */
};

/* An empty body that keeps about memory_max octets in memory. */
void body_init(struct body *body, size_t memory_max);
void body_fini(struct body *body);

/* From now on keep about memory_max in memory, no more than at first. */
void body_bound(struct body *body, size_t memory_max);

/* Empty it; the memory is kept if it is small. While a write is under way
 * nothing is done: only body_fini() may follow, when it has ended. */
void body_reset(struct body *body);

/* False without memory. */
bool body_append(struct body *body, struct span octets);

static inline uint64_t
body_size(const struct body *body)
{
	return body->in_file + body->memory.n;
}

/* Over its bound: no more octets should be taken until it was written. */
static inline bool
body_is_full(const struct body *body)
{
	return body->memory.n > body->memory_max;
}

/* Whether a write should be started: full, and none under way. */
static inline bool
body_wants_write(const struct body *body)
{
	return body->writing == 0 && body_is_full(body);
}

/* Start a write: these octets at that offset. They stay where they are until
 * body_written(). */
struct span body_write(struct body *body, uint64_t *offset);
void body_written(struct body *body);

/* What of the body is in memory from offset on; empty where that part is in
 * the file, or at the end. */
struct span body_in_memory(const struct body *body, uint64_t offset);

#endif
