/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spf_reduce: what is left of a case when all is taken from it that the
 * difference of its two results does not need.
 *
 * Terms go, then rows of the zone, then what is odd about the envelope, one by
 * one and again, as long as both engines still say what they said. In what
 * is left a cause can be seen.
 */
#ifndef TESTS_SPF_REDUCE_H
#define TESTS_SPF_REDUCE_H

#include "tests/differential/spf_corpus.h"

/* What both engines made of a case; native first. */
struct spf_opinions {
	struct spf_outcome outcome[2];
};

/* The reasons are constants; nothing else of the outcomes may be used. */
void spf_opinions_of(const struct spf_case *spf, struct spf_opinions *opinions);

static inline bool
spf_opinions_differ(const struct spf_opinions *opinions)
{
	return opinions->outcome[0].result != opinions->outcome[1].result;
}

/* In place; *opinions are brought up to date. */
void spf_reduce(struct spf_case *spf, struct spf_opinions *opinions);

#endif
