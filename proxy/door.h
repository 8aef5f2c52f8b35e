/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * door: what stands between an accepted connection and its session.
 *
 * A peer that is listed in the listener's proxy-from must send a PROXY header
 * first: the client is who it says, and limits count for that client. Until
 * it is complete there is no session, no banner and no limit but that of
 * connections altogether. A bad header, or none in time, closes without a
 * word. A client that is over a limit is told 421 and closed.
 */
#ifndef PROXY_DOOR_H
#define PROXY_DOOR_H

#include "proxy/conn.h"
#include "proxy/limit.h"
#include "proxy/session.h"

/* For the whole header, usually. */
#define DOOR_HEADER_US_MAX 5000000

/* Connections that are waiting for a header, or being refused. */
#define DOORS_MAX 1024

struct door;

struct doors {
	struct ring *ring;
	struct timers *timers;
	const struct conf *conf;
	uint64_t header_us_max; /* until a PROXY header is complete */
	size_t connections_max; /* sessions, of this worker */
	/* Whether memory is at its ceiling; may be NULL. */
	const bool *is_memory_full;
	struct limit *limit;
	unsigned worker;
	/* The client may come in, and is counted in limit: its socket, who it
	 * is (but for the id), what it has sent already. False: it was not
	 * taken, and is turned away. */
	bool (*enter)(struct doors *doors, int fd, struct session_peer *peer,
		      struct span octets);
	/* How many there are. */
	size_t (*sessions)(struct doors *doors);
	/* One has ended. */
	void (*changed)(struct doors *doors);
	struct door *first;
	size_t count;
};

/* A connection was accepted; its descriptor is taken over. */
void door_open(struct doors *doors, int fd,
	       const struct conf_listener *listener, const struct ip *ip,
	       uint16_t port);

/* End all of them. */
void doors_abort(struct doors *doors);

#endif
