/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pieces: a fuzzer's input cut as its first octets say, for the property that
 * no parser may depend on how its octets arrive.
 *
 * The first octet holds a few bits that are the target's to use, and how many
 * of the next ones are lengths of pieces; these are used in turns until the
 * octets that follow them are used up. No lengths: one piece.
 */
#ifndef TESTS_FUZZ_PIECES_H
#define TESTS_FUZZ_PIECES_H

#include "smtp/span.h"

#include <assert.h>
#include <stdlib.h>

#define PIECES_LENGTHS_MAX 7

struct pieces {
	unsigned choice;    /* bits 3 to 7 of the first octet */
	struct span octets; /* all that is cut */
	struct span lengths;
	size_t turn;
	size_t taken;
};

static inline struct pieces
pieces_make(const uint8_t *input, size_t n)
{
	struct pieces pieces = { .choice = 0 };
	struct span rest = span_make(input, n);
	size_t lengths;

	if (n == 0)
		return pieces;
	pieces.choice = input[0] >> 3;
	lengths = input[0] & PIECES_LENGTHS_MAX;
	rest = span_after(rest, 1);
	if (lengths > rest.n)
		lengths = rest.n;
	pieces.lengths = span_first(rest, lengths);
	pieces.octets = span_after(rest, lengths);
	return pieces;
}

/* The next piece, which may be empty; false when all has been given. */
static inline bool
pieces_next(struct pieces *pieces, struct span *piece)
{
	struct span left = span_after(pieces->octets, pieces->taken);
	size_t n = left.n;

	if (left.n == 0)
		return false;
	if (pieces->lengths.n > 0)
		n = pieces->lengths.p[pieces->turn++ % pieces->lengths.n];
	/* A round of zeros must come to an end. */
	if (pieces->turn > pieces->lengths.n && n == 0)
		n = 1;
	if (n > left.n)
		n = left.n;
	*piece = span_first(left, n);
	pieces->taken += n;
	return true;
}

/* A copy in an allocation of its own size, so that the sanitizer sees a read
 * beyond its end. To be freed. */
static inline uint8_t *
exact_copy(struct span s)
{
	uint8_t *copy = malloc(s.n > 0 ? s.n : 1);

	assert(copy != NULL);
	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

#endif
