/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats: counters of a worker, in memory that other processes can read.
 */
#include "proxy/stats.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

const char *
stat_name(enum counter stat)
{
	static const char *const names[STAT_COUNT] = {
#define X(name, text, meaning) [STAT_##name] = (text),
#include "proxy/stats.def"
#undef X
	};

	assert(stat < STAT_COUNT);
	return names[stat];
}

struct stats *
stats_new(unsigned workers)
{
	void *map =
		mmap(NULL, workers * sizeof(struct stats),
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

void
stats_free(struct stats *stats, unsigned workers)
{
	if (stats != NULL)
		munmap(stats, workers * sizeof(*stats));
}

void
stats_clear(struct stats *stats)
{
	memset(stats, 0, sizeof(*stats));
}
