/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limit: how many connections an address has, over all workers, exactly.
 *
 * A shared anonymous mapping, made by the master before it forks. Each worker
 * counts in a slice of its own, so that what a dead worker had open is known
 * and can be taken out by clearing its slice; an address's count is the sum
 * over the slices. Checking and counting are one step under one lock, which
 * is robust: if a worker dies holding it, the next one goes on, and the slice
 * that was being written is the dead worker's own. Not lock-free: the lock is
 * held for a few dozen instructions per connection, and without one two
 * workers could both see the last free place and take it.
 *
 * IPv6 clients are counted by /64, the least that a customer gets; IPv4 by
 * address.
 */
#ifndef PROXY_LIMIT_H
#define PROXY_LIMIT_H

#include "smtp/ip.h"

struct limit;

/* For this many workers, each with at most connections_max open at once; NULL
 * (errno) without memory. */
struct limit *limit_new(unsigned workers, size_t connections_max);
void limit_free(struct limit *limit);

/* Count one more for ip in this worker's slice, unless the sum over all has
 * reached max (at least 1), or the slice is full: false, and nothing was
 * counted. */
bool limit_enter(struct limit *limit, unsigned worker, const struct ip *ip,
		 unsigned max);

/* Take back what limit_enter() counted. */
void limit_leave(struct limit *limit, unsigned worker, const struct ip *ip);

/* The sum for an address. */
unsigned limit_count(struct limit *limit, const struct ip *ip);

/* The worker is dead: forget all it had. By the master. */
void limit_clear(struct limit *limit, unsigned worker);

#endif
