/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * master: prepares everything, forks the workers, and watches them.
 *
 *   STARTING -> SERVING -> DRAINING -> the end
 *      \-> a worker cannot start: the end, status 1
 *
 * What can fail because of the machine or the configuration is tried here
 * before the first fork, and said in a sentence each: listeners, user, verdict
 * log, directory for bodies, the ring. A worker that dies later is replaced:
 * what it had in shared memory is cleared, its sessions are lost and their
 * senders try again; one that dies again and again is replaced ever more
 * slowly.
 *
 * SIGTERM and SIGINT drain, a second one ends at once. SIGUSR1 re-opens the
 * event log. SIGHUP is logged and ignored: a reload is not there yet.
 */
#ifndef PROXY_MASTER_H
#define PROXY_MASTER_H

#include "proxy/conf.h"

/* Serve with a configuration until told to end. The process's exit status;
 * whatever kept it from starting was written to stderr. */
int master_run(const struct conf *conf);

#endif
