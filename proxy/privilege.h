/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * privilege: from root to the user of the configuration.
 *
 * The master stays root, since a reload may have to read files and bind ports
 * that only root can, but gives up what it will never need; it takes no
 * connection. Every other process becomes the user of the configuration
 * right after the fork: groups, group, user, for good, and it is tried whether
 * they are. Then no program that is executed can gain any, and no other
 * process of that user can look into ours, where keys will be.
 */
#ifndef PROXY_PRIVILEGE_H
#define PROXY_PRIVILEGE_H

#include "smtp/buf.h"

#include <sys/types.h>

struct privilege {
	bool does_drop; /* root now, and another user is asked for */
	char name[64];
	uid_t user;
	gid_t group;
	bool keeps_raw; /* CAP_NET_RAW: to connect from a client's address */
};

/* Who to become: `user` (may be empty), or who we are. False with a sentence
 * in faults where there is no such user, or only root could become it. */
bool privilege_find(struct span user, struct privilege *privilege,
		    struct buf *faults);

/* Keep of root's powers those that a reload needs. False with a sentence in
 * faults. Harmless for who is not root. */
bool privilege_narrow(struct buf *faults);

/* Become it. False with a sentence in faults, and the process must end. */
bool privilege_drop(const struct privilege *privilege, struct buf *faults);

#endif
