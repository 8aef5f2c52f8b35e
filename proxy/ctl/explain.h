/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain: a verdict in words.
 *
 * What was asked of DNS and what came back, what SPF, DKIM and DMARC made of
 * it, which rule of which RFC decided, what the gate would do, and what would
 * have changed it. Texts of others are made safe to show. Pure.
 */
#ifndef PROXY_CTL_EXPLAIN_H
#define PROXY_CTL_EXPLAIN_H

#include "proxy/ctl/judge.h"
#include "proxy/decision.h"

/* Append the explanation; false if it does not fit. */
bool explain(const struct judge *judge, const struct decision *decision,
	     struct buf *out);

#endif
