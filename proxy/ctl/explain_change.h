/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain_change: what would have changed a verdict, in words.
 *
 * Taken from the verdict and the answers that led to it: each line names one
 * thing that alone would have changed what DMARC says, or what is done about
 * it. Not all such things: what the sender, the author domain's owner and the
 * administrator would look at first. Nothing is asked, and nothing guessed: a
 * line is there only where what is known bears it. Pure.
 */
#ifndef PROXY_CTL_EXPLAIN_CHANGE_H
#define PROXY_CTL_EXPLAIN_CHANGE_H

#include "proxy/ctl/judge.h"
#include "proxy/decision.h"

void explain_change(const struct judge *judge, const struct decision *decision,
		    struct buf *out);

#endif
