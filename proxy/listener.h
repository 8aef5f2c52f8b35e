/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listener: listening sockets.
 *
 * Made by the master, which may bind a port below 1024 and keeps the socket
 * for the workers that follow: as long as one process has it, connections
 * wait in its queue. Sockets are blocking (see ring_accept()); TCP_NODELAY is
 * set here, as accepted sockets take it over.
 */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include "proxy/conf.h"

/* Bind and listen. The descriptor; or -1 and one line in faults, "cannot
 * listen on ADDRESS:PORT: why"; with "CAP_NET_RAW" where it is missing. */
int listener_open(const struct conf_listener *conf, struct buf *faults);

/*
 * A set of them by their place in proxy.conf. A reload takes over those that
 * stay configured, since closing one would reset the connections in its queue:
 * listeners_open() opens what is new, then either listeners_settle() closes
 * what is not wanted any more, or listeners_revert() what was opened in vain.
 */
struct listeners {
	struct listener *list;
	size_t count;
};

/* One open socket for each of conf's listeners, in their order, in fds; they
 * stay the set's. False with at least one line in faults, and
 * listeners_revert() is due. */
bool listeners_open(struct listeners *set, const struct conf *conf, int *fds,
		    struct buf *faults);
/* Make those that were taken over transparent, or not, as conf says. The master
 * does it, once the reload is decided: a socket is one for all processes.
 * False where the kernel does not let it, though listeners_open() might. */
bool listeners_adapt(const struct listeners *set, const struct conf *conf);
void listeners_settle(struct listeners *set, const struct conf *conf);
void listeners_revert(struct listeners *set);

/* No connection is queued here any more. */
void listeners_close(struct listeners *set);

#endif
