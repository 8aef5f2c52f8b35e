/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dice: numbers that look random and are the same each time for one seed
 * (SplitMix64).
 *
 * Each case of a corpus throws dice of its own, made of the seed and its
 * number: it can be made again without those before it.
 */
#ifndef TESTS_DICE_H
#define TESTS_DICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dice {
	uint64_t state;
};

static inline uint64_t
dice_throw(struct dice *dice)
{
	uint64_t x = dice->state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static inline struct dice
dice_of(uint64_t seed, uint64_t number)
{
	struct dice dice = { .state = seed };

	dice.state = dice_throw(&dice) + number * 0xd1342543de82ef95u;
	return dice;
}

/* 0 … n - 1 */
static inline size_t
dice_below(struct dice *dice, size_t n)
{
	return (size_t)(dice_throw(dice) % n);
}

/* True once in n times. */
static inline bool
dice_once_in(struct dice *dice, size_t n)
{
	return dice_below(dice, n) == 0;
}

/* One of a list of texts. */
#define DICE_PICK(dice, list) \
	((list)[dice_below((dice), sizeof(list) / sizeof((list)[0]))])

#endif
