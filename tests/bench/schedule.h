/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * schedule: when messages arrive that do not wait for each other (open loop).
 *
 * The times are fixed by rate, kind and seed alone. Nothing that the server
 * does moves them, and so a latency counted from the time of the schedule
 * holds what a client would have waited in a queue while the server stalled:
 * counted from when it was sent, that would be left out (coordinated
 * omission).
 *
 * Pure: no clock. Times are ns from the start of the run.
 */
#ifndef TESTS_BENCH_SCHEDULE_H
#define TESTS_BENCH_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct schedule {
	double interval_ns; /* the mean one */
	double at_ns;       /* of the arrival before, where random */
	uint64_t number;    /* of arrivals given out */
	uint64_t chance;    /* state of the random numbers */
	bool is_even;
};

/* rate: arrivals a second, above 0. Even: all intervals are alike; else they
 * are exponential, as those of senders who know nothing of each other. */
void schedule_init(struct schedule *schedule, double rate, bool is_even,
		   uint64_t seed);

/* The time of the next arrival. Never before that of the one before. */
uint64_t schedule_next(struct schedule *schedule);

#endif
