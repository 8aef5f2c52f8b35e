/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limit: how many connections there are, and how many an address, a network or
 * a backend has, over all workers, exactly; and how often an address did
 * something.
 *
 * A shared anonymous mapping, made by the master before it forks. Each worker
 * counts its connections in a slice of its own, so that what a dead worker had
 * open is known and can be taken out by clearing its slice; a count is the sum
 * over the slices. Checking and counting are one step under one lock, which
 * is robust: if a worker dies holding it, the next one goes on, and the slice
 * that was being written is the dead worker's own. Not lock-free: the lock is
 * held for a few hundred instructions per connection, and without one two
 * workers could both see the last free place and take it.
 *
 * What happened stays happened when a worker dies: rates are counted in one
 * table for all. A window begins with the first event of an address and lasts
 * one period; in it so many events are taken, as with Postfix's anvil. The
 * table has a fixed size and is never full: the window that ends first makes
 * room, one that is over before any other. A worker that died in the midst of
 * a change leaves at most one window wrong, for one period.
 *
 * IPv6 clients are counted by /64, the least that a customer gets; IPv4 by
 * address. A network is an IPv6 /48 or an IPv4 /24.
 */
#ifndef PROXY_LIMIT_H
#define PROXY_LIMIT_H

#include "smtp/ip.h"

struct limit;

/* Connections at most; of each, 0 is no bound. */
struct limit_bounds {
	unsigned total;
	unsigned per_network;
	unsigned per_address;
};

enum limit_answer {
	LIMIT_TAKEN,
	LIMIT_TOTAL, /* the bound that was reached */
	LIMIT_NETWORK,
	LIMIT_ADDRESS,
	LIMIT_FULL, /* the slice is: more than connections_max are open */
};

/* What is counted by address and time, each by itself. */
enum limit_rate {
	RATE_CONNECTIONS,
	RATE_MESSAGES,
};

/* Windows that are kept, of all kinds together. */
#define LIMIT_WINDOWS 65536

/* For this many workers, each with at most connections_max open at once, each
 * backend that is counted being one of them; NULL (errno) without memory. */
struct limit *limit_new(unsigned workers, size_t connections_max);
void limit_free(struct limit *limit);

/* Count one more for ip in this worker's slice, unless the sum over all has
 * reached a bound or there is no room: then nothing was counted. */
enum limit_answer limit_enter(struct limit *limit, unsigned worker,
			      const struct ip *ip,
			      const struct limit_bounds *bounds);

/* Take back what limit_enter() counted. */
void limit_leave(struct limit *limit, unsigned worker, const struct ip *ip);

/* One more connection to a backend, by its index, unless there are max (at
 * least 1) over all workers: then nothing was counted. */
bool limit_reach(struct limit *limit, unsigned worker, size_t backend,
		 unsigned max);

/* Take back what limit_reach() counted. */
void limit_part(struct limit *limit, unsigned worker, size_t backend);

/* The sum for an address, and for all. */
unsigned limit_count(struct limit *limit, const struct ip *ip);
unsigned limit_total(struct limit *limit);

/* One more event of an address, at most max (at least 1) in a period. False:
 * there were as many in this one; it is not counted. Time is the monotonic
 * clock, which all processes share. */
bool limit_rate(struct limit *limit, enum limit_rate kind, const struct ip *ip,
		unsigned max, uint64_t period_us, uint64_t now_us);

/* The worker is dead: forget all it had. By the master. */
void limit_clear(struct limit *limit, unsigned worker);

#endif
