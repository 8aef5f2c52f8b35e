/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timer: deadlines on the monotonic clock, in microseconds.
 *
 * A pairing heap of nodes embedded in their owners: setting one allocates
 * nothing and cannot fail, setting and clearing are O(1) and O(log n), and
 * the earliest is at hand (amortised; nothing recurses). Not a wheel: there
 * are few timers, each moved often and seldom fired, and a wheel would either
 * tick while idle or be as long as the longest deadline.
 *
 * A timer fires once, not before its deadline; timers of one deadline fire in
 * no particular order. fire() may set, clear or free any timer, its own too.
 */
#ifndef PROXY_TIMER_H
#define PROXY_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed but for `fire` it is a timer that is not set. */
struct timer {
	void (*fire)(struct timer *timer);
	uint64_t deadline_us; /* 0: not set */
	struct timer *child;  /* first of those that are later */
	struct timer *next;   /* sibling */
	struct timer **link;  /* what points here */
};

struct timers {
	struct timer *first;
	size_t count;
};

/* Set, or move, to a deadline other than 0. */
void timer_set(struct timers *timers, struct timer *timer,
	       uint64_t deadline_us);

/* Harmless when it is not set. */
void timer_clear(struct timers *timers, struct timer *timer);

static inline bool
timer_is_set(const struct timer *timer)
{
	return timer->deadline_us != 0;
}

/* The earliest deadline; 0 where none is set. */
uint64_t timers_next(const struct timers *timers);

/* Fire what is due at now_us; ends even where fire() sets its timer to a time
 * that is due again. */
void timers_fire(struct timers *timers, uint64_t now_us);

#endif
