/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe: what the backends offer, asked before anybody needs to know.
 *
 * Where the gate greets a client before it has a backend for him, the EHLO
 * keywords it offers are those that the candidates offered last. So each
 * backend is asked at the start and every minute: connect (the addresses in
 * their order), banner, EHLO, QUIT. After a failure again at once, then after
 * 1, 2, 4 … 60 seconds. What a backend offered last stays until it says
 * otherwise; one that was never reached offers nothing.
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
#include "smtp/extension.h"

#define PROBE_INTERVAL_US 60000000
#define PROBE_RETRY_US 1000000

struct probes;

/*
 * Start to ask every backend; the results go to probed[], one for each. first
 * is called once, when each has been asked (or has failed) for the first time.
 * NULL without memory.
 */
struct probes *probes_new(struct ring *ring, struct timers *timers,
			  const struct conf *conf,
			  const struct keyring *keyring, struct ehlo *probed,
			  void (*first)(void *owner), void *owner);

/* Ask no more: connections are aborted, and must complete before
 * probes_free(). */
void probes_stop(struct probes *probes);
bool probes_are_idle(const struct probes *probes);
void probes_free(struct probes *probes);

#endif
