/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * master: prepares everything, forks the workers, and watches them.
 *
 *   STARTING -> SERVING -> ENDING -> the end
 *      \-> a worker cannot start: the end, status 1
 *
 * What can fail because of the machine or the configuration is tried before
 * the first fork, and said in a sentence each (resources.h). Workers come in
 * generations (generation.h), one for each configuration that was served.
 *
 * SIGHUP reads the configuration anew. If there is anything wrong with it, or
 * its workers cannot start, all stays as it was, and the event log says why;
 * else its workers take over, on the same listening sockets, and those before
 * them drain. SIGTERM and SIGINT drain all, a second one ends at once. SIGUSR1
 * re-opens the event log.
 *
 * If the master dies, its workers see the end of a pipe, and drain.
 */
#ifndef PROXY_MASTER_H
#define PROXY_MASTER_H

#include "proxy/conf.h"

/* Serve with a configuration, which becomes the master's, until told to end; a
 * reload reads its file again. The process's exit status; whatever kept it
 * from starting was written to stderr. */
int master_run(struct conf *conf);

#endif
