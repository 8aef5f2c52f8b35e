/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker: one process, one thread, one ring, many sessions.
 *
 * It gets all it needs from the master, before the fork: the configuration,
 * the listening sockets, the directories of the verdict log and for bodies, its
 * slices of the shared memory. It shares nothing else with other workers and
 * asks nobody for anything.
 *
 * It ends by draining: no connection is accepted any more; each session may
 * finish its mail, one that has just come may send its first, and ends then
 * (421 for another mail, or for silence); all that are left at drain-timeout
 * are cut off. SIGTERM starts that, and so does the end of the master's pipe: a
 * worker without a master would never be replaced, nor reloaded. A second
 * SIGTERM cuts off at once. SIGUSR1 re-opens the event log.
 */
#ifndef PROXY_WORKER_H
#define PROXY_WORKER_H

#include "proxy/conf.h"
#include "proxy/keyring.h"
#include "proxy/limit.h"
#include "proxy/stats.h"
#include "proxy/zone.h"

struct worker_setup {
	unsigned number; /* of this worker, from 0 */
	const struct conf *conf;
	const struct eval_settings *rules;
	const struct zone *zone; /* may be NULL */
	const struct keyring *keyring;
	int *listeners; /* one for each of conf's; -1 once it is closed */
	struct limit *limit;
	struct stats *stats; /* this worker's slice */
	int spool;           /* the directory of the verdict log */
	int bodies;          /* the directory for bodies */
	int life;            /* ends when the master does */
	int ready;           /* gets one octet once clients are accepted */
};

/* Sessions at most, where the configuration says none. */
size_t worker_connections_max(const struct conf *conf);

/* Serve until drained. The process's exit status. */
int worker_run(const struct worker_setup *setup);

#endif
