/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chance: random numbers that are the same for the same seed (splitmix64).
 *
 * Not for secrets. Any seed will do, 0 too.
 */
#ifndef TESTS_BENCH_CHANCE_H
#define TESTS_BENCH_CHANCE_H

#include <stdint.h>

static inline uint64_t
chance_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

#endif
