/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/schedule.h"

#include "tests/bench/chance.h"

#include <math.h>

void
schedule_init(struct schedule *schedule, double rate, bool is_even,
	      uint64_t seed)
{
	*schedule = (struct schedule){
		.interval_ns = 1e9 / rate,
		.is_even = is_even,
		.chance = seed,
	};
}

/* In (0, 1], so that its logarithm is finite. */
static double
fraction(struct schedule *schedule)
{
	return (double)((chance_next(&schedule->chance) >> 11) + 1) * 0x1p-53;
}

/* The first of an even schedule comes after one interval, like the mean first
 * of a random one. Multiplied, not added up: no error gathers. */
uint64_t
schedule_next(struct schedule *schedule)
{
	schedule->number++;
	if (schedule->is_even)
		return (uint64_t)((double)schedule->number *
				  schedule->interval_ns);
	schedule->at_ns -= schedule->interval_ns * log(fraction(schedule));
	return (uint64_t)schedule->at_ns;
}
