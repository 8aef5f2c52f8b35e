/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * allocations: who asks for memory while it is watched, and how often: objects
 * of our own, whose calls the linker leads here (--wrap, see the Makefile), and
 * libcrypto and c-ares, through hooks of theirs.
 *
 * For programs of tests/cost only: one thread, one watch.
 */
#ifndef TESTS_COST_ALLOCATIONS_H
#define TESTS_COST_ALLOCATIONS_H

#include <stdbool.h>

struct allocations {
	unsigned long own;    /* malloc(), calloc() and so on of our own */
	unsigned long freed;  /* of our own, too */
	unsigned long crypto; /* of libcrypto */
	unsigned long ares;   /* of c-ares */
};

/* Before anything is done with libcrypto and c-ares. */
void allocations_hook(void);

/* Whether those that come now count. */
void allocations_watch(bool is_watched);

/* Those counted so far. */
struct allocations allocations_counted(void);

/* From now on they are counted anew. */
void allocations_forget(void);

/* Where own allocations came from, as comments of TAP. */
void allocations_print(void);

#endif
