/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bystander: follows a dialogue from outside, and sees to it that the gate
 * keeps its promises (see stage.h), whatever the script expects.
 *
 * It knows the octets that pass and the verdict lines, and nothing of the
 * session. What it finds is said by stage_fail().
 */
#ifndef TESTS_REPLAY_BYSTANDER_H
#define TESTS_REPLAY_BYSTANDER_H

#include "tests/replay/stage.h"

/* Octets that a party says are about to reach the session. */
void bystander_said(struct stage *stage, enum session_side side,
		    struct span octets);

/* Octets of the session that a party hears. */
void bystander_heard(struct stage *stage, enum session_side side,
		     struct span octets);

/* A verdict line that is about to be written. */
void bystander_verdict(struct stage *stage, struct span line);

/* The session ends. While a body is being written, what stands behind it is
 * not read: if the data has ended there, the session cannot know that, and
 * owes neither a line nor an answer. */
void bystander_end(struct stage *stage);

#endif
