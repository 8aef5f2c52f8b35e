/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock: the two clocks, in microseconds.
 *
 * Deadlines are on the monotonic clock, which nobody sets; what people read
 * is on the wall clock. Both calls are answered by the vDSO and cannot fail.
 */
#ifndef PROXY_CLOCK_H
#define PROXY_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t
clock_read_us(clockid_t which)
{
	struct timespec now = { 0 };

	clock_gettime(which, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline uint64_t
clock_monotonic_us(void)
{
	return clock_read_us(CLOCK_MONOTONIC);
}

/* Since the epoch. */
static inline uint64_t
clock_wall_us(void)
{
	return clock_read_us(CLOCK_REALTIME);
}

#endif
