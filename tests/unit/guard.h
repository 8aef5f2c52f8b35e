/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard: octets that end flush against an unmapped page, so that a parser
 * which reads one octet too far dies at once, without a sanitizer.
 */
#ifndef TESTS_GUARD_H
#define TESTS_GUARD_H

#include "smtp/span.h"

#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard {
	uint8_t *map;
	size_t mapped;
	struct span octets;
};

/* A copy of s that ends where the mapping ends. */
static inline struct guard
guard_copy(struct span s)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t room = (s.n + page - 1) / page * page;
	struct guard guard;
	int failed;

	guard.mapped = room + page;
	guard.map = mmap(NULL, guard.mapped, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert(guard.map != MAP_FAILED);
	if (s.n > 0)
		memcpy(guard.map + room - s.n, s.p, s.n);
	failed = mprotect(guard.map + room, page, PROT_NONE);
	assert(failed == 0);
	guard.octets = span_make(guard.map + room - s.n, s.n);
	return guard;
}

static inline void
guard_free(struct guard *guard)
{
	munmap(guard->map, guard->mapped);
}

#endif
