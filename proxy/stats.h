/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats: counters of a worker, in memory that other processes can read.
 *
 * Each worker has a slice of its own and is its only writer; readers add the
 * slices up. A slice is cleared by the master when its worker dies.
 */
#ifndef PROXY_STATS_H
#define PROXY_STATS_H

#include <stdint.h>

/* clang-format off */
enum counter {
#define X(name, text, meaning) STAT_##name,
#include "proxy/stats.def"
#undef X
	STAT_COUNT
};
/* clang-format on */

struct stats {
	uint64_t count[STAT_COUNT];
};

const char *stat_name(enum counter stat);

/* A shared mapping of one slice per worker, for the master to make before it
 * forks; NULL (errno) without memory. */
struct stats *stats_new(unsigned workers);
void stats_free(struct stats *stats, unsigned workers);

/* Set a slice to nought. */
void stats_clear(struct stats *stats);

#endif
