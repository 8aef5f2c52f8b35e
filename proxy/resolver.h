/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resolver: questions to DNS, answered from a zone, a cache, or name servers.
 *
 * One per worker. A question already under way is not asked again: the second
 * asker waits for the same answer. Answers are cached by name and type for
 * their TTL, negative ones by the SOA's minimum (RFC 2308), failures for a few
 * seconds, all within bounds that are settings; the cache is bounded in octets
 * and evicts what was used longest ago. The answer of a CNAME chain is cached
 * under the name that was asked, with the smallest TTL. A chain that a server
 * leaves unfinished is followed, over a few names.
 *
 * Every try ends within its time-out. SERVFAIL, REFUSED, time-outs, malformed
 * answers and the cap of queries in flight are ANSWER_TEMPERROR with their
 * name in `error`, never "no such name".
 *
 * With trust-ad an answer is_authentic where the server says that it was
 * validated; else none is.
 */
#ifndef PROXY_RESOLVER_H
#define PROXY_RESOLVER_H

#include "dmarc/answers.h"
#include "proxy/conf.h"
#include "proxy/zone.h"

struct ring;
struct timers;
struct stats;
struct resolver;

/* A waiting question, embedded in its owner. */
struct resolver_query {
	/* Called once, from the ring's loop, never from resolver_ask(). The
	 * answer is valid during the call only. */
	void (*done)(struct resolver_query *query, const struct answer *answer);
	struct resolver_query *next, **link; /* the resolver's */
};

/* On this ring and these timers; servers, time-outs, tries, bounds of TTLs and
 * cache size of the conf, which is borrowed; a zone (may be NULL; borrowed)
 * answers everything if given. NULL with a sentence in faults. */
struct resolver *resolver_new(struct ring *ring, struct timers *timers,
			      const struct conf *conf, const struct zone *zone,
			      struct buf *faults);

/* Count cache hits, queries and so on in here from now on. Borrowed. */
void resolver_count_in(struct resolver *resolver, struct stats *stats);

/* Waiting queries are forgotten, their done is not called. Before the ring
 * ends: it still has to give up the sockets. */
void resolver_free(struct resolver *resolver);

/*
 * Ask for a normalised name. True: *answer is known now (valid until the next
 * call into the resolver). False: query->done will be called.
 */
bool resolver_ask(struct resolver *resolver, struct span name,
		  enum dns_type type, struct resolver_query *query,
		  struct answer *answer);

/* The owner goes away: done is not called any more. Harmless when it was not
 * waiting. */
void resolver_cancel(struct resolver_query *query);

#endif
