/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * door: how many clients there may be at once, and how often one may come
 * (limit { connections… }), in the simulated world.
 *
 * What proxy/door asks before a session begins is asked here of the same table
 * that all workers share (proxy/limit), beside books of the world's own: a
 * client is let in where there is room for it, and nowhere else; when its
 * session has ended, or its worker was killed, it is counted no more. Other
 * clients, at another worker, come from its address, from its network and from
 * elsewhere.
 */
#ifndef TESTS_SIM_DOOR_H
#define TESTS_SIM_DOOR_H

#include "tests/replay/stage.h"

struct world;

enum { DOOR_SAME, DOOR_NEAR, DOOR_FAR, DOOR_OTHERS };

struct door_book {
	struct ip ip;
	unsigned count; /* of events in the window */
	uint64_t until_us;
};

struct world_door {
	unsigned others[DOOR_OTHERS];
	struct ip other[DOOR_OTHERS]; /* theirs, while they are there */
	bool is_in;                   /* the client is counted */
	struct door_book books[8];
	unsigned book_count;
};

/* The client of this session comes; false: it is sent away. */
bool world_enter(struct world *world);

/* Its session has ended, by itself or not. */
void world_leave(struct world *world, bool was_killed);

#endif
