/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * road: which way the mail of the simulated world has to go, by rules that are
 * written down a second time, and the servers that stand at its end.
 *
 * A backend has targets: its addresses, and those that a name stands for. Now
 * and then one of them has a bad time, for a session or a few: it refuses
 * connections, hangs, resets them, has no time, or greets too late; of each
 * backend one is left that is well. Others have connections to a backend that
 * takes only so many, and come and go. Watched, beside what world.h and the
 * stage watch:
 *
 * - a recipient is taken only if a route is for it, by its address, the
 *   listener and the client, and only if all that the mail has taken before
 *   is handled in the same way; one that need not be refused for that is not;
 * - a backend hears of the recipients of its own routes, or of what is diverted
 *   to it, and of no other; the message reaches the one of the first accepted
 *   recipient, at one of its targets;
 * - as long as nothing is known against a target none of a worse priority is
 *   preferred to it; a worker that was killed knows nothing;
 * - when all is calm a target that has a bad time is heard of by nobody.
 */
#ifndef TESTS_SIM_ROAD_H
#define TESTS_SIM_ROAD_H

#include "tests/replay/stage.h"

#define ROAD_TARGETS_MAX 24

struct world;
struct mta;

enum said;

enum spell {
	SPELL_NONE,
	SPELL_REFUSES,
	SPELL_HANGS,
	SPELL_RESETS,
	SPELL_BUSY,
	SPELL_LATE,
	SPELL_COUNT,
};

struct target {
	size_t backend;
	struct ip ip;
	uint16_t port;
	bool is_named;
	unsigned priority;
	enum spell spell;
	unsigned until;   /* the number of the session that finds it well */
	bool is_doubtful; /* the gate may have come to think it is down */
};

/* The route of a recipient; NULL if there is none. With `client` NULL that and
 * the listener do not matter. */
const struct conf_route *road_find(const struct conf *conf,
				   const struct conf_listener *listener,
				   const struct ip *client,
				   const char *address);
/* … for the client of the world, in this session. */
const struct conf_route *road_of(const struct world *world,
				 const char *address);
/* Whether all that matters to a message is the same. */
bool road_is_same(const struct conf_route *a, const struct conf_route *b);

/* road_sender.c: a whole reply to the client, before it changes anything */
void road_hear(struct world *world, enum said said, unsigned recipient,
	       unsigned code);

/* target.c */
void target_init(struct world *world);
/* Another session: who has a bad time, and what others have open. */
void target_draw(struct world *world);
/* Others come and go. */
void target_crowd(struct world *world);
/* A connection is begun. */
void target_begin(struct world *world, enum session_side side);
/* Before the banner; true if it has done something. */
bool target_step(struct world *world, enum session_side side);
/* MAIL was heard: the gate cannot think that it is down. */
void target_trusted(struct world *world, enum session_side side);
/* The connection has ended, and this was not read: to whom it does not answer a
 * greeting it is down. */
void target_left(struct world *world, enum session_side side,
		 struct span octets);
/* Whom a recipient is taken for, and a message. */
void target_check_recipient(struct world *world, enum session_side side,
			    struct span address);
void target_check_message(struct world *world, const struct mta *mta,
			  bool is_diverted);
/* The worker was killed. */
void target_restart(struct world *world);

#endif
