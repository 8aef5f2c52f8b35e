/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe: what the backends offer, asked before anybody needs to know.
 *
 * Where the gate greets a client before it has a backend for him, the EHLO
 * keywords it offers are those that the candidates offered last. So each
 * backend is asked at the start and every probe-interval, in a round over all
 * its targets: connect, banner, EHLO, QUIT. After a failure again at once, then
 * after 1, 2, 4 … 60 seconds. What a backend offers is what all its targets of
 * the lowest priority that answered have in common. It stays until they say
 * otherwise; a backend that was never reached offers nothing.
 *
 * A target that answers is up, and one that does not is down, for sessions
 * too: see upstream.h. The original destination is each client's own, and
 * nobody's to ask.
 *
 * Where the connection of a session would be put under TLS, so is the probe's:
 * what is offered then counts. One that must be and cannot offers nothing.
 *
 * A backend that wants a PROXY header gets one that says the probe is the
 * gate's own: LOCAL in version 2; the addresses of this very connection in
 * version 1, whose UNKNOWN is not understood by every server (Haraka).
 */
#ifndef PROXY_PROBE_H
#define PROXY_PROBE_H

#include "proxy/conf.h"
#include "proxy/keyring.h"
#include "proxy/ring.h"
#include "proxy/timer.h"
#include "proxy/upstream.h"
#include "smtp/extension.h"

#define PROBE_RETRY_US 1000000
#define PROBE_RETRY_US_MAX 60000000

struct probes;

/* What probing needs; all of it outlives the probes. */
struct probes_host {
	struct ring *ring;
	struct timers *timers;
	const struct conf *conf;
	const struct keyring *keyring;
	struct upstream *upstreams; /* by backend index */
	struct ehlo *probed;        /* the same: where results go */
};

/*
 * Start to ask every backend; the results go to probed, one for each. first
 * is called once, when each has been asked (or has failed) for the first time.
 * NULL without memory.
 */
struct probes *probes_new(const struct probes_host *host,
			  void (*first)(void *owner), void *owner);

/* A backend has other targets than before: ask now, or again once the round
 * that is under way has ended. */
void probes_hurry(struct probes *probes, size_t backend);

/* Ask no more: connections are aborted, and must complete before
 * probes_free(). */
void probes_stop(struct probes *probes);
bool probes_are_idle(const struct probes *probes);
void probes_free(struct probes *probes);

#endif
