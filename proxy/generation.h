/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * generation: the workers of one configuration, from their fork to the end of
 * the last of them.
 *
 *   STARTING -> SERVING -> DRAINING -> over
 *       \---------------------^   it could not start
 *
 * A reload begins a new generation beside the one that serves: while it is
 * STARTING nothing of the old one changes. Once each of its workers serves,
 * the old one drains: its workers accept no connection any more, let each
 * session finish what it has begun, and end. Several may drain at a time.
 *
 * A worker that dies while its generation serves is replaced: what it had in
 * shared memory is cleared, its sessions are lost and their senders try again.
 * One that dies again and again is replaced ever more slowly. One that dies
 * while its generation is STARTING tells that it cannot start.
 *
 * Beside the workers a generation that serves has a keeper (keeper.h), which
 * looks after the spool's files; it ends behind the last worker, or when told.
 *
 * Limits and counters are those of one generation: sessions that drain are
 * counted apart from those of the next.
 */
#ifndef PROXY_GENERATION_H
#define PROXY_GENERATION_H

#include "proxy/limit.h"
#include "proxy/resources.h"
#include "proxy/stats.h"

#include <sys/types.h>

enum generation_state {
	GENERATION_STARTING,
	GENERATION_SERVING,
	GENERATION_DRAINING,
};

struct generation;

/* What the master has for all generations, and what a child leaves to it. */
struct generation_family {
	struct listeners listeners;
	struct generation *newest; /* those before it follow */
	int signals;               /* the master's signalfd */
	int life[2]; /* a pipe whose end tells children that the master died */
};

/* A process, or the place for one. */
struct slot {
	pid_t pid; /* 0: none */
	uint64_t started_us;
	uint64_t respawn_us; /* when to fork the next one; 0: not */
	unsigned failures;   /* short lives in a row */
};

struct generation {
	unsigned number; /* from 1 */
	enum generation_state state;
	bool has_failed; /* a worker ended, or was late, while STARTING */
	struct conf *conf;
	struct generation_family *family;
	struct resources resources;
	struct limit *limit;
	struct stats *stats;
	struct slot *slots; /* of workers, one each */
	unsigned workers;
	struct slot keeper;
	int ready[2]; /* a pipe: one octet from each worker that serves */
	unsigned ready_count;
	uint64_t late_us; /* when to stop waiting: for its start, or its end */
	struct generation *next; /* the one before it */
};

/*
 * A generation that has not forked yet, with its resources open. The conf
 * becomes its own. NULL with at least one line in faults: then the conf was
 * freed, and listeners_revert() is due.
 */
struct generation *generation_new(unsigned number, struct conf *conf,
				  struct generation_family *family,
				  struct buf *faults);

/* When none of its processes is left. */
void generation_free(struct generation *generation);

/* Fork its workers. */
void generation_start(struct generation *generation);

/* Fork its keeper: once it serves. */
void generation_keep(struct generation *generation);

/* Do what is due: take in the workers that have come to serve, replace those
 * that have died, end those that take too long. */
void generation_tend(struct generation *generation);

/* When that is due again, on the monotonic clock, if nothing happens. */
uint64_t generation_due(const struct generation *generation);

/* A process has ended; false if it is none of this generation's. */
bool generation_bury(struct generation *generation, pid_t pid, int status);

/* Its workers shall end: by draining, and at once if told again. */
void generation_drain(struct generation *generation);

/* Its keeper shall end now, for another one keeps the directory. */
void generation_retire_keeper(struct generation *generation);

/* A signal to all of its processes. */
void generation_signal(const struct generation *generation, int number);

/* None of its processes is left, and none will be forked. */
bool generation_is_over(const struct generation *generation);

#endif
