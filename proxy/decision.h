/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decision: what is done with a message, given its verdict and its route.
 *
 * A verdict says what the author domain's policy asks for; the route's table
 * of actions says what we do about that. Monitor mode suspends the answer but
 * not the question: `otherwise` then holds what would have been done. Pure.
 */
#ifndef PROXY_DECISION_H
#define PROXY_DECISION_H

#include "dmarc/eval.h"
#include "proxy/conf.h"
#include "smtp/buf.h"

struct decision {
	enum conf_action action;
	enum conf_action otherwise; /* without override and mode */
	bool is_enforced;           /* false in monitor mode */
	const char *rule;           /* what decided; constant */
	/* The reply, for ACTION_REJECT and ACTION_DEFER. */
	unsigned code;
	const char *enhanced; /* constant */
};

/* Decide. verdict is settled. */
void decision_make(const struct conf *conf, const struct conf_route *route,
		   const struct verdict *verdict, struct decision *decision);

/* The text of the reply to a message that is rejected or deferred: it says
 * DMARC, the policy domain, what SPF and DKIM gave, and the id under which the
 * verdict line is found. Printable ASCII, one line. False if buf is full. */
bool decision_text(const struct decision *decision,
		   const struct verdict *verdict, struct span id,
		   struct buf *text);

#endif
