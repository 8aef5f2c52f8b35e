/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stage_acts: what becomes of the session's actions on a stage, for stage.c
 * alone, which says what happens to the session.
 */
#ifndef TESTS_REPLAY_STAGE_ACTS_H
#define TESTS_REPLAY_STAGE_ACTS_H

#include "tests/replay/stage.h"

/* Of each side, as the transcript has it. */
extern const char stage_names[SIDE_COUNT];

/* Tell the session one thing, and do what it asks for. */
void stage_give(struct stage *stage, struct session_event event);

/* Octets that were lent come back, and must be what they were. */
void stage_give_back(struct stage *stage, struct loan *loan, const char *what);

/* A side is not connected any more: "close" or "abort". */
void stage_disconnect(struct stage *stage, enum session_side side,
		      const char *how);

/* The session is over, and with it all that was its own. */
void stage_leave(struct stage *stage);

/* FNV-1a. */
uint64_t stage_hash(struct span octets);

#endif
