/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resources: what the workers of one configuration need, read and opened by
 * the master before it forks them.
 *
 * In this order: faults of the configuration (lists of domains, zone, keys,
 * user), what needs root (listeners, the spool's directory), and what must be
 * possible as that user (verdict log, bodies, a ring), which a child tries
 * that becomes it. So whatever is wrong with the machine or the configuration
 * is said at once, in a sentence, before anything serves; and at a reload,
 * before anything has changed.
 */
#ifndef PROXY_RESOURCES_H
#define PROXY_RESOURCES_H

#include "proxy/conf.h"
#include "proxy/keyring.h"
#include "proxy/listener.h"
#include "proxy/privilege.h"
#include "proxy/rules.h"
#include "proxy/zone.h"

struct resources {
	struct rules rules;
	struct zone *zone; /* may be NULL */
	struct keyring keyring;
	struct privilege privilege; /* who the workers become */
	int *listeners;             /* one for each of conf's; not owned */
	int spool;                  /* the spool's directory */
	int bodies;                 /* the directory for bodies */
};

/* Whether all files can be read that settings name, and are what they are
 * taken for. Nothing is opened for longer than that. */
bool resources_check_files(const struct conf *conf, struct buf *faults);

/* False with at least one line in faults; resources_close() is due either way,
 * and listeners_revert() in that case. */
bool resources_open(struct resources *resources, const struct conf *conf,
		    struct listeners *listeners, struct buf *faults);
/* All of it, or the descriptors alone: of a generation that is not one's own.
 */
void resources_close(struct resources *resources);
void resources_close_directories(struct resources *resources);

#endif
