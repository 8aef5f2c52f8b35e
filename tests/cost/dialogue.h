/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dialogue: a fixed dialogue of a client and a backend, played on a stage (see
 * tests/replay/stage.h) again and again, so that what one message costs can be
 * counted: in instructions (test_cost.py) and in allocations
 * (test_allocations.c).
 *
 *   kept     10 KB, signed, accepted; one connection for all messages
 *   new      the same, and a connection for each
 *   forged   10 KB, signed by somebody else than its author, refused; one
 *            connection
 *   large    1 MB, signed, accepted; one connection
 *
 * Nothing of it depends on the time, on chance, on addresses or on the
 * environment: what a message costs now it costs each time.
 */
#ifndef TESTS_COST_DIALOGUE_H
#define TESTS_COST_DIALOGUE_H

#include "tests/replay/stage.h"

#define DIALOGUES 4

extern const char *const dialogue_names[DIALOGUES];

struct dialogue {
	bool is_kept;      /* one connection for all messages */
	const char *reply; /* that the client must get in the end */
	struct buf letter; /* its message, up to the last dot */
	struct conf *conf;
	struct zone *zone;
	struct rules rules;
	struct dkim_engine *dkim;
	struct buf faults; /* of reading these */
	struct stage stage;
	bool is_content; /* the backend reads a message */
	bool has_hung_up;
};

/* By its name; false with a line in faults. dialogue_fini() is due either
 * way. */
bool dialogue_init(struct dialogue *dialogue, const char *name);
void dialogue_fini(struct dialogue *dialogue);

/* Hand over one message, on a new connection where there is none. False, with
 * a sentence in the stage's fault, if it did not come out as it should. */
bool dialogue_play(struct dialogue *dialogue);

#endif
