/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resources: what the master reads and opens before the first fork.
 *
 * In this order: faults of the configuration (public suffix list, zone, user),
 * what needs root (listeners, the spool's directory if it is to be made), then
 * the user is changed, then what must be possible as that user (the verdict
 * log, the directory for bodies, a ring). So whatever is wrong with the machine
 * or the configuration is said once, in a sentence, before anything serves;
 * workers inherit the rest.
 */
#ifndef PROXY_RESOURCES_H
#define PROXY_RESOURCES_H

#include "proxy/conf.h"
#include "proxy/zone.h"

struct resources {
	struct domain_psl *psl; /* may be NULL */
	struct zone *zone;      /* may be NULL */
	int *listeners;         /* one for each of conf's; -1: closed */
	size_t listener_count;
	int spool;    /* the directory of the verdict log */
	int bodies;   /* the directory for bodies */
	int life[2];  /* a pipe: its end tells workers that the master ended */
	int ready[2]; /* a pipe: one octet from each worker that serves */
};

/* False with at least one line in faults; resources_close() is due either way.
 * Changes the user of the process. */
bool resources_open(struct resources *resources, const struct conf *conf,
		    struct buf *faults);

/* No connection is queued here any more. */
void resources_close_listeners(struct resources *resources);
void resources_close(struct resources *resources);

#endif
