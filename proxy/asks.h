/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * asks: the questions that a session has put, until each is answered.
 *
 * A question is noted first and put when the session's actions are all taken:
 * what the cache has would else be told in their midst. All that is known at
 * once is told together, so that the session goes on once and not for each.
 * Names are the session's: they are valid until the answer, or until their
 * generation (the upper part of a ticket) is forgotten.
 */
#ifndef PROXY_ASKS_H
#define PROXY_ASKS_H

#include "proxy/resolver.h"
#include "proxy/session.h"

struct ask;

/* Zeroed but for what the owner gives it, there is none. */
struct asks {
	struct resolver *resolver;
	struct session *session;
	/* The session was told of an answer, from the resolver's call. */
	void (*told)(struct asks *asks);
	struct ask *noted; /* not put yet */
	struct ask *put;
};

/* Note what an ACT_ASK asks. False without memory. */
bool asks_note(struct asks *asks, const struct session_action *action);

/* Put what is noted. True if the session was told of answers (`told` is not
 * called then). */
bool asks_put(struct asks *asks);

/* Nobody waits any more for those of a generation, or for any. */
void asks_forget(struct asks *asks, uint64_t generation);
void asks_forget_all(struct asks *asks);

#endif
