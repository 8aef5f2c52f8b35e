/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timer: deadlines on the monotonic clock, in microseconds.
 *
 * M. L. Fredman, R. Sedgewick, D. D. Sleator, R. E. Tarjan: The pairing heap:
 * a new form of self-adjusting heap (1986); the two-pass variant.
 */
#include "proxy/timer.h"

#include <assert.h>

/* Two trees become one: the later root becomes the first child of the other.
 */
static struct timer *
meld(struct timer *a, struct timer *b)
{
	if (a == NULL)
		return b;
	if (b == NULL)
		return a;
	if (b->deadline_us < a->deadline_us) {
		struct timer *other = a;

		a = b;
		b = other;
	}
	b->next = a->child;
	if (b->next != NULL)
		b->next->link = &b->next;
	b->link = &a->child;
	a->child = b;
	return a;
}

/* Siblings become one tree: in pairs from the left, then the pairs from the
 * right. The pairs are kept in a list through `next`, last one first. */
static struct timer *
meld_siblings(struct timer *first)
{
	struct timer *pairs = NULL;
	struct timer *tree = NULL;

	while (first != NULL) {
		struct timer *second = first->next;
		struct timer *rest = second == NULL ? NULL : second->next;
		struct timer *pair;

		first->next = NULL;
		if (second != NULL)
			second->next = NULL;
		pair = meld(first, second);
		pair->next = pairs;
		pairs = pair;
		first = rest;
	}
	while (pairs != NULL) {
		struct timer *rest = pairs->next;

		pairs->next = NULL;
		tree = meld(tree, pairs);
		pairs = rest;
	}
	return tree;
}

static void
plant(struct timers *timers, struct timer *tree)
{
	timers->first = tree;
	if (tree == NULL)
		return;
	tree->next = NULL;
	tree->link = &timers->first;
}

void
timer_clear(struct timers *timers, struct timer *timer)
{
	struct timer *orphans;

	if (!timer_is_set(timer))
		return;
	*timer->link = timer->next;
	if (timer->next != NULL)
		timer->next->link = timer->link;
	orphans = meld_siblings(timer->child);
	plant(timers, meld(timers->first, orphans));

	timer->deadline_us = 0;
	timer->child = timer->next = NULL;
	timer->link = NULL;
	timers->count--;
}

void
timer_set(struct timers *timers, struct timer *timer, uint64_t deadline_us)
{
	assert(deadline_us != 0);
	assert(timer->fire != NULL);
	if (timer->deadline_us == deadline_us)
		return;
	timer_clear(timers, timer);
	timer->deadline_us = deadline_us;
	plant(timers, meld(timers->first, timer));
	timers->count++;
}

uint64_t
timers_next(const struct timers *timers)
{
	return timers->first == NULL ? 0 : timers->first->deadline_us;
}

/* No more firings than there were timers: one that is always due again does
 * not keep the loop here. */
void
timers_fire(struct timers *timers, uint64_t now_us)
{
	size_t most = timers->count;

	while (most-- > 0 && timers->first != NULL &&
	       timers->first->deadline_us <= now_us) {
		struct timer *timer = timers->first;

		timer_clear(timers, timer);
		timer->fire(timer);
	}
}
