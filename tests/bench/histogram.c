/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/histogram.h"

/* Below 2 * STEPS each value has a bucket of its own. From there on the top
 * BITS + 1 bits of a value choose, and the rest, `shift` bits, is lost. */
static size_t
bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < 2 * HISTOGRAM_STEPS)
		return (size_t)value;
	shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
	return (shift + 1) * HISTOGRAM_STEPS +
	       (size_t)((value >> shift) - HISTOGRAM_STEPS);
}

/* The greatest value of a bucket. */
static uint64_t
last_of(size_t bucket)
{
	size_t shift;
	uint64_t first;

	if (bucket < 2 * HISTOGRAM_STEPS)
		return bucket;
	shift = bucket / HISTOGRAM_STEPS - 1;
	first = (uint64_t)(bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << shift;
	return first + (((uint64_t)1 << shift) - 1);
}

void
histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->count++;
	histogram->sum += value;
	if (value > histogram->max)
		histogram->max = value;
	histogram->bucket[bucket_of(value)]++;
}

/* Of n values, the place of the one that is asked for, from 1 on; without
 * overflow for any n that a bucket can count in practice. */
static uint64_t
rank_of(uint64_t n, unsigned millionths)
{
	uint64_t rank = n / 1000000 * millionths +
			(n % 1000000 * millionths + 999999) / 1000000;

	return rank == 0 ? 1 : rank;
}

uint64_t
histogram_percentile(const struct histogram *histogram, unsigned millionths)
{
	uint64_t left = rank_of(histogram->count, millionths);
	uint64_t last;

	if (histogram->count == 0)
		return 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (histogram->bucket[i] < left) {
			left -= histogram->bucket[i];
			continue;
		}
		last = last_of(i);
		return last < histogram->max ? last : histogram->max;
	}
	return histogram->max;
}
