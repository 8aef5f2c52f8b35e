/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * driver: carries out what a session decides.
 *
 * The session is a pure machine; this is its hands. Octets, answers, timers
 * and completed writes become its events; its actions become operations on
 * the ring. A driver knows nothing of SMTP, and a session nothing of sockets.
 *
 * What can be answered at once (a cached name, a connect that fails before it
 * starts) is still told as an event of its own, after all actions of the one
 * before were taken: session_step() is never entered from within itself.
 *
 * A driver ends with its session; what the kernel still refers to (a verdict
 * line, body octets being written) holds the session's memory until it is
 * done, and the connections that were closed go on by themselves until they
 * are flushed: they belong to the links' list.
 */
#ifndef PROXY_DRIVER_H
#define PROXY_DRIVER_H

#include "proxy/conn.h"
#include "proxy/keyring.h"
#include "proxy/limit.h"
#include "proxy/resolver.h"
#include "proxy/session.h"
#include "proxy/spoolfile.h"
#include "proxy/tempfile.h"

struct driver;
struct link;

/* What all drivers of a worker share. */
struct drivers {
	struct ring *ring;
	struct timers *timers;
	struct resolver *resolver;
	struct spoolfile *spool;
	struct tempfiles *tempfiles;
	const struct keyring *keyring;
	const struct session_host *host;
	struct limit *limit;
	unsigned worker;
	/* Something has ended: a driver, or a connection. */
	void (*changed)(struct drivers *drivers);
	size_t memory_max;  /* that sessions may hold; 0: any */
	size_t crypto_base; /* what OpenSSL holds without any of them */
	bool is_draining;   /* drivers_drain() was called */
	/* They hold it all; until an eighth is free again. */
	bool is_memory_full;
	size_t memory; /* that they hold, but for what OpenSSL does */
	struct driver *first;
	size_t count;
	struct link *links;
	size_t client_count; /* connections of clients, closing ones too */
	size_t link_count;   /* all connections */
};

/*
 * A session for an accepted client, with octets that have arrived already.
 * limit_enter() was called for it; limit_leave() is called when the connection
 * has ended. The descriptor is taken over; false (and nothing
 * else happened) without memory.
 */
bool driver_start(struct drivers *drivers, int fd,
		  const struct session_peer *peer, struct span octets);

/* Tell every session to end at its next opportunity, and each that is yet to
 * come: one whose connection had been accepted before. */
void drivers_drain(struct drivers *drivers);

/* End every session, and every connection, now. */
void drivers_abort(struct drivers *drivers);

#endif
