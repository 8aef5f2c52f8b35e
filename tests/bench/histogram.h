/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram: how often which value came, for percentiles of latencies.
 *
 * Log-linear: each power of two is cut into HISTOGRAM_STEPS parts, so that a
 * value is known to within 1/HISTOGRAM_STEPS of itself (0.8 %) whether it is
 * a microsecond or an hour. Values below 2 * HISTOGRAM_STEPS, the greatest,
 * the count and the sum are exact. Fixed size, no allocation, no value is
 * ever left out.
 */
#ifndef TESTS_BENCH_HISTOGRAM_H
#define TESTS_BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BITS 7
#define HISTOGRAM_STEPS ((size_t)1 << HISTOGRAM_BITS)
#define HISTOGRAM_BUCKETS \
	(2 * HISTOGRAM_STEPS + (63 - HISTOGRAM_BITS) * HISTOGRAM_STEPS)

/* A zeroed one is empty. */
struct histogram {
	uint64_t count;
	uint64_t sum; /* wraps; of nanoseconds after 584 years */
	uint64_t max;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/*
 * The value that `millionths` of all values (1 … 1,000,000) do not exceed:
 * the greatest one that its bucket can hold, but never more than max. 0 where
 * there are no values.
 */
uint64_t histogram_percentile(const struct histogram *histogram,
			      unsigned millionths);

#endif
