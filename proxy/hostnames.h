/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostnames: what the host names of backends stand for, now and later.
 *
 * Each name that an address of a backend is given by is looked up at the start,
 * A and AAAA, and again when the shorter of their TTLs is over, but not sooner
 * than HOSTNAMES_US_MIN and not later than HOSTNAMES_US_MAX. What comes back
 * are the targets: see upstream.h. While DNS fails for one of the two, the
 * addresses of that family stay as they were: there are name servers that
 * know A and fail at AAAA for ever. Where that leaves none, and where DNS says
 * that the name has none, all stays as it was: an answer that would leave a
 * backend without an address is a mistake more often than it is meant. Either
 * way the name is looked up again after HOSTNAMES_RETRY_US.
 */
#ifndef PROXY_HOSTNAMES_H
#define PROXY_HOSTNAMES_H

#include "proxy/resolver.h"
#include "proxy/timer.h"
#include "proxy/upstream.h"

#define HOSTNAMES_US_MIN UINT64_C(1000000)
#define HOSTNAMES_US_MAX UINT64_C(3600000000)
#define HOSTNAMES_RETRY_US UINT64_C(5000000)

struct hostnames;

/* Begin. changed is called whenever a backend has other targets than before,
 * from the loop. All that is given is borrowed. NULL without memory. */
struct hostnames *hostnames_new(struct resolver *resolver,
				struct timers *timers, const struct conf *conf,
				struct upstream *upstreams,
				void (*changed)(void *owner, size_t backend),
				void *owner);

/* Whether there is any name to look up. */
bool hostnames_are_any(const struct hostnames *hostnames);

/* Before the resolver ends, or after; nothing is asked any more. */
void hostnames_free(struct hostnames *hostnames);

#endif
