/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * places: connections to backends that may have only so many.
 *
 * The stage does here what proxy/driver does, with the same table that all
 * workers share (proxy/limit): a place is taken before a connection is begun,
 * and given back when it is aborted, or has been closed for good; of a worker
 * that dies the master takes them all out. Beside it stand books of the
 * stage's own, which the table is held against: a place is given where there
 * is one, and nowhere else, and all are given back in the end.
 *
 * Others, in another worker, have connections to the same backends.
 */
#ifndef TESTS_REPLAY_PLACES_H
#define TESTS_REPLAY_PLACES_H

#include "tests/replay/stage.h"

/* Workers: ours, and the one of all others. */
enum { PLACES_OURS, PLACES_OTHERS, PLACES_WORKERS };

/* The table; made when it is first asked for. */
struct limit *places_limit(struct stage *stage);

/* The backend may have one more connection, which is that of the side; no
 * place is needed where there is no ceiling. */
bool places_take(struct stage *stage, enum session_side side);

/* The connection of the side is aborted: its place is free at once. */
void places_leave(struct stage *stage, enum session_side side);

/* It is closed, and will be gone when the other end has closed too. In a
 * script that is at once. */
void places_close(struct stage *stage, enum session_side side);

/* Whether there are such; one of them is gone, or all. */
bool places_are_closing(const struct stage *stage);
void places_end_one(struct stage *stage);
void places_end_all(struct stage *stage);

/* The worker is dead: the master takes out what it had. */
void places_clear(struct stage *stage);

/* No session is there: nor is a place of one. */
void places_check(struct stage *stage);

#endif
