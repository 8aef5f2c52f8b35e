/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resolver: questions to DNS, answered from a zone, a cache, or name servers.
 *
 * Which server is asked when is decided here:
 *
 *   an answer              it is the answer
 *   SERVFAIL, REFUSED, …   the other servers are asked, this one not again
 *   nothing in time        the other servers, and again up to `tries` rounds;
 *                          later questions start with another server
 *   a CNAME, and nothing   its target is a question like the first one; who
 *   about its target       asked is told of the name that he asked for
 *
 * No question is put again once it is older than an evaluation may get: nobody
 * waits for it any more.
 */
#include "proxy/resolver.h"

#include "proxy/clock.h"
#include "proxy/dnscache.h"
#include "proxy/dnspacket.h"
#include "proxy/log.h"
#include "proxy/nameserver.h"
#include "proxy/owner.h"
#include "proxy/stats.h"
#include "proxy/timer.h"

#include <assert.h>
#include <search.h>
#include <stdlib.h>

#define SERVERS_MAX 8
/* Whoever asks when there are so many gets a temporary error, and mail that
 * others forge is let through for it: so more than a client and a few of its
 * friends can keep open (20 connections of 320 questions each), and no more
 * than a quarter of the ids that questions have. */
#define FLIGHTS_MAX 16384
#define ANSWER_OCTETS_MAX (256u * 1024)
#define TARGETS_MAX 8 /* of CNAMEs that were asked for by themselves */
#define TICK_US 100000
#define SECOND_US 1000000

/* A question under way, and who waits for it. */
struct flight {
	struct dns_key key; /* first: found by tsearch(3) */
	struct nameserver_query query;
	struct resolver *resolver;
	struct resolver_query *waiting;
	struct arena arena; /* of the answer */
	struct answer answer;
	uint64_t started_us;
	unsigned server;   /* asked now */
	unsigned tries;    /* made so far */
	unsigned refused;  /* bits of servers that answered with an error */
	bool is_launching; /* inside nameserver_ask() */
	bool is_answered;
	/* What was learned on the way to the name that is asked now. */
	unsigned targets;
	uint32_t ttl_s;
	bool is_authentic;
	uint8_t target[DOMAIN_MAX];
	uint8_t name[];
};

struct resolver {
	struct timers *timers;
	const struct conf *conf;
	const struct zone *zone;
	struct stats *stats;
	struct stats own_stats; /* where nobody looks at them */
	struct dnscache cache;
	struct nameserver *servers[SERVERS_MAX];
	unsigned server_count;
	unsigned preferred; /* server asked first */
	unsigned tries_max; /* per question, over all servers */
	void *flights;      /* tree */
	unsigned flight_count;
	struct flight *last; /* holds the last answer known at once */
	struct timer tick;
};

static void pursue(struct flight *flight);

static void
count(const struct resolver *resolver, enum counter counter)
{
	resolver->stats->count[counter]++;
}

/* --- time ------------------------------------------------------------------
 */

static void
tick_start(struct resolver *resolver)
{
	if (!timer_is_set(&resolver->tick))
		timer_set(resolver->timers, &resolver->tick,
			  clock_monotonic_us() + TICK_US);
}

static void
on_tick(struct timer *timer)
{
	struct resolver *resolver = OWNER(timer, struct resolver, tick);

	for (unsigned i = 0; i < resolver->server_count; i++)
		nameserver_tick(resolver->servers[i]);
	if (resolver->flight_count > 0)
		tick_start(resolver);
}

/* How long an answer is kept: its TTL, within the bounds of the settings. */
static uint64_t
lifetime_us(const struct conf *conf, const struct answer *answer)
{
	uint64_t us = (uint64_t)answer->ttl_s * SECOND_US;
	uint64_t most = conf->dns_ttl_us_max;

	switch (answer->status) {
	case ANSWER_OPEN:
	case ANSWER_OK:
		break;
	case ANSWER_NODATA:
	case ANSWER_NXDOMAIN:
		most = conf->dns_negative_us_max; /* RFC 2308 5 */
		break;
	case ANSWER_TEMPERROR:
		return conf->dns_failure_us; /* RFC 2308 7 */
	}
	if (us < conf->dns_ttl_us_min)
		us = conf->dns_ttl_us_min;
	return us < most ? us : most;
}

/* --- answers ---------------------------------------------------------------
 */

static void
flight_free(struct flight *flight)
{
	if (flight == NULL)
		return;
	arena_fini(&flight->arena);
	free(flight);
}

static void
keep(struct flight *flight, uint64_t now_us)
{
	struct resolver *resolver = flight->resolver;
	struct dnscache *cache = &resolver->cache;
	uint64_t us = lifetime_us(resolver->conf, &flight->answer);

	if (us == 0)
		return;
	flight->answer.is_cached = true;
	dnscache_put(cache, &flight->key, &flight->answer, now_us + us);
	flight->answer.is_cached = false;
	resolver->stats->count[STAT_DNS_CACHE_EVICTED] = cache->evicted;
	resolver->stats->count[STAT_DNS_CACHE_OCTETS] = cache->octets;
}

/* What is known of the target becomes an answer about the name asked for. */
static void
speak_of_name(struct flight *flight)
{
	struct answer *answer = &flight->answer;

	answer->name = flight->key.name;
	answer->type = flight->key.type;
	if (!flight->resolver->conf->trusts_ad)
		answer->is_authentic = false;
	if (flight->targets == 0)
		return;
	if (answer->status ==
	    ANSWER_NXDOMAIN) /* the target: the name is there */
		answer->status = ANSWER_NODATA;
	if (answer->ttl_s > flight->ttl_s)
		answer->ttl_s = flight->ttl_s;
	answer->is_authentic &= flight->is_authentic;
}

/* The answer is final: keep it, and let whoever waits have it. Afterwards the
 * flight holds it until the next one. */
static void
finish(struct flight *flight)
{
	struct resolver *resolver = flight->resolver;
	uint64_t now_us = clock_monotonic_us();
	struct resolver_query *query;

	speak_of_name(flight);
	flight->answer.ms = (float)(now_us - flight->started_us) / 1000.0f;
	keep(flight, now_us);
	if (flight->answer.status == ANSWER_TEMPERROR)
		count(resolver, STAT_DNS_FAILED);
	tdelete(&flight->key, &resolver->flights, dns_key_compare);
	resolver->flight_count--;
	while ((query = flight->waiting) != NULL) {
		resolver_cancel(query);
		query->done(query, &flight->answer);
	}
}

/* Another server takes the lead when the preferred one does not answer. */
static void
complain(struct resolver *resolver, unsigned server, const char *error)
{
	log_printf(EVENT_RESOLVER, "server=%s error=\"%s\"",
		   nameserver_text(resolver->servers[server]), error);
	if (server == resolver->preferred)
		resolver->preferred = (server + 1) % resolver->server_count;
}

static void
fail(struct flight *flight, const char *error)
{
	flight->answer =
		(struct answer){ .status = ANSWER_TEMPERROR, .error = error };
}

static void
ask_from_the_start(struct flight *flight)
{
	flight->server = flight->resolver->preferred;
	flight->tries = 1;
	flight->refused = 0;
}

/* The packet ends with a CNAME to a name that it says nothing about. */
static void
take_target(struct flight *flight, struct span target)
{
	if (flight->targets == TARGETS_MAX) {
		fail(flight, "CNAME chain too long");
		flight->tries = flight->resolver->tries_max;
		return;
	}
	flight->targets++;
	if (flight->ttl_s > flight->answer.ttl_s)
		flight->ttl_s = flight->answer.ttl_s;
	flight->is_authentic &= flight->answer.is_authentic;
	assert(target.n <= sizeof(flight->target));
	if (target.n > 0) /* not the root */
		memcpy(flight->target, target.p, target.n);
	flight->query.name = span_make(flight->target, target.n);
	ask_from_the_start(flight);
}

static void
take_packet(struct flight *flight, struct span packet)
{
	struct answer *answer = &flight->answer;
	struct span target;

	dnspacket_read(packet, flight->query.name, flight->key.type,
		       &flight->arena, answer, &target);
	if (answer->status == ANSWER_TEMPERROR)
		flight->refused |= 1u << flight->server;
	else if (answer->status == ANSWER_OPEN)
		take_target(flight, target);
}

/* Whether the question should be put again, and to which server. */
static bool
next_try(struct flight *flight)
{
	const struct resolver *resolver = flight->resolver;

	if (flight->answer.status == ANSWER_OPEN)
		return true;
	if (flight->answer.status != ANSWER_TEMPERROR ||
	    clock_monotonic_us() - flight->started_us >=
		    resolver->conf->eval_us_max)
		return false;
	while (flight->tries < resolver->tries_max) {
		flight->tries++;
		flight->server = (flight->server + 1) % resolver->server_count;
		if ((flight->refused >> flight->server & 1) == 0)
			return true;
	}
	return false;
}

static void
on_answer(struct nameserver_query *query, struct span packet, const char *error)
{
	struct flight *flight = OWNER(query, struct flight, query);
	struct resolver *resolver = flight->resolver;

	if (error == NAMESERVER_CLOSING) {
		while (flight->waiting != NULL)
			resolver_cancel(flight->waiting);
		tdelete(&flight->key, &resolver->flights, dns_key_compare);
		flight_free(flight);
		return;
	}
	arena_reset(&flight->arena);
	if (error == NULL) {
		take_packet(flight, packet);
	} else {
		complain(resolver, flight->server, error);
		fail(flight, error);
	}
	flight->is_answered = true;
	if (!flight->is_launching)
		pursue(flight);
}

/* --- questions -------------------------------------------------------------
 */

/* Neither has been asked: it is the end of this question. */
static void
settle_unasked(struct flight *flight, enum nameserver_asked why)
{
	flight->is_answered = true;
	flight->tries = flight->resolver->tries_max;
	if (why == NAMESERVER_NO_NAME)
		flight->answer = (struct answer){ .status = ANSWER_NXDOMAIN,
						  .ttl_s = UINT32_MAX };
	else
		fail(flight, "out of memory");
}

static void
launch(struct flight *flight)
{
	struct nameserver *server = flight->resolver->servers[flight->server];
	enum nameserver_asked asked;

	flight->is_answered = false;
	flight->is_launching = true;
	asked = nameserver_ask(server, &flight->query);
	flight->is_launching = false;
	if (asked == NAMESERVER_ASKED)
		count(flight->resolver, STAT_DNS_QUERIES);
	else
		settle_unasked(flight, asked);
}

/* Put the question until it is under way, or settled. */
static void
pursue(struct flight *flight)
{
	struct resolver *resolver = flight->resolver;

	while (flight->is_answered && next_try(flight))
		launch(flight);
	if (!flight->is_answered)
		return;
	finish(flight);
	flight_free(resolver->last);
	resolver->last = flight;
}

static struct flight *
flight_new(struct resolver *resolver, const struct dns_key *key)
{
	struct flight *flight = calloc(1, sizeof(*flight) + key->name.n);

	if (flight == NULL)
		return NULL;
	memcpy(flight->name, key->name.p, key->name.n);
	flight->key.name = span_make(flight->name, key->name.n);
	flight->key.type = key->type;
	flight->query.name = flight->key.name;
	flight->query.type = key->type;
	flight->query.done = on_answer;
	flight->resolver = resolver;
	flight->started_us = clock_monotonic_us();
	flight->ttl_s = UINT32_MAX;
	flight->is_authentic = true;
	ask_from_the_start(flight);
	arena_init(&flight->arena, ANSWER_OCTETS_MAX);
	if (tsearch(&flight->key, &resolver->flights, dns_key_compare) ==
	    NULL) {
		free(flight);
		return NULL;
	}
	resolver->flight_count++;
	return flight;
}

static void
wait_for(struct flight *flight, struct resolver_query *query)
{
	query->next = flight->waiting;
	query->link = &flight->waiting;
	if (query->next != NULL)
		query->next->link = &query->next;
	flight->waiting = query;
}

static bool
refuse(struct answer *answer, const struct dns_key *key, const char *error)
{
	*answer = (struct answer){ .name = key->name,
				   .type = key->type,
				   .status = ANSWER_TEMPERROR,
				   .error = error };
	return true;
}

/* A name that no packet can carry does not exist. */
static bool
is_impossible(struct span name)
{
	return name.n > DOMAIN_MAX || span_find(name, '\0') < name.n;
}

static bool
ask_servers(struct resolver *resolver, const struct dns_key *key,
	    struct resolver_query *query, struct answer *answer)
{
	struct flight *flight;

	if (resolver->flight_count >= FLIGHTS_MAX) {
		log_printf(EVENT_RESOLVER, "error=\"too many questions\"");
		return refuse(answer, key, "too many questions");
	}
	flight = flight_new(resolver, key);
	if (flight == NULL)
		return refuse(answer, key, "out of memory");
	tick_start(resolver);
	launch(flight);
	if (flight->is_answered)
		pursue(flight);
	if (resolver->last == flight) {
		*answer = flight->answer;
		return true;
	}
	wait_for(flight, query);
	return false;
}

static bool
find_kept(struct resolver *resolver, const struct dns_key *key,
	  struct answer *answer)
{
	bool is_found = dnscache_find(&resolver->cache, key,
				      clock_monotonic_us(), answer);

	count(resolver, is_found ? STAT_DNS_CACHE_HITS : STAT_DNS_CACHE_MISSES);
	if (is_found)
		answer->ms = 0;
	return is_found;
}

bool
resolver_ask(struct resolver *resolver, struct span name, enum dns_type type,
	     struct resolver_query *query, struct answer *answer)
{
	struct dns_key key = { name, type };
	struct flight *const *flight;

	assert(name.n > 0 && query->link == NULL);
	if (is_impossible(name)) {
		*answer = (struct answer){ .name = name,
					   .type = type,
					   .status = ANSWER_NXDOMAIN };
		return true;
	}
	if (resolver->zone != NULL) {
		zone_lookup(resolver->zone, name, type, answer);
		answer->is_cached = true;
		return true;
	}
	if (find_kept(resolver, &key, answer))
		return true;
	flight = tfind(&key, &resolver->flights, dns_key_compare);
	if (flight != NULL) {
		count(resolver, STAT_DNS_JOINED);
		wait_for(*flight, query);
		return false;
	}
	return ask_servers(resolver, &key, query, answer);
}

void
resolver_cancel(struct resolver_query *query)
{
	if (query->link == NULL)
		return;
	*query->link = query->next;
	if (query->next != NULL)
		query->next->link = query->link;
	query->link = NULL;
	query->next = NULL;
}

/* --- setting up ------------------------------------------------------------
 */

static bool
add_servers(struct resolver *resolver, struct ring *ring,
	    const struct conf_endpoint *list, size_t n, const char **error)
{
	const struct nameserver_settings settings = {
		.us_max = resolver->conf->dns_us_max,
		.does_want_ad = resolver->conf->trusts_ad,
	};

	for (size_t i = 0; i < n && i < SERVERS_MAX; i++) {
		struct nameserver *server =
			nameserver_new(ring, &settings, &list[i], error);

		if (server == NULL)
			return false;
		resolver->servers[resolver->server_count++] = server;
	}
	return true;
}

static bool
servers_init(struct resolver *resolver, struct ring *ring, const char **error)
{
	const struct conf *conf = resolver->conf;
	struct conf_endpoint list[SERVERS_MAX] = { 0 };
	int n;

	if (conf->resolver_count > 0)
		return add_servers(resolver, ring, conf->resolvers,
				   conf->resolver_count, error);
	n = nameserver_of_system(list, SERVERS_MAX, error);
	if (n == 0)
		*error = "no server in /etc/resolv.conf";
	return n > 0 && add_servers(resolver, ring, list, (size_t)n, error);
}

struct resolver *
resolver_new(struct ring *ring, struct timers *timers, const struct conf *conf,
	     const struct zone *zone, struct buf *faults)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	const char *error;

	if (resolver == NULL) {
		buf_append(faults, SPAN_LIT("resolver: out of memory\n"));
		return NULL;
	}
	resolver->timers = timers;
	resolver->conf = conf;
	resolver->zone = zone;
	resolver->stats = &resolver->own_stats;
	resolver->tick.fire = on_tick;
	dnscache_init(&resolver->cache, conf->dns_cache_octets);
	if (zone == NULL && !servers_init(resolver, ring, &error)) {
		buf_printf(faults, "resolver: %s\n", error);
		resolver_free(resolver);
		return NULL;
	}
	resolver->tries_max = resolver->server_count * conf->dns_tries;
	return resolver;
}

void
resolver_count_in(struct resolver *resolver, struct stats *stats)
{
	resolver->stats = stats;
}

void
resolver_free(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	timer_clear(resolver->timers, &resolver->tick);
	for (unsigned i = 0; i < resolver->server_count; i++)
		nameserver_free(resolver->servers[i]);
	flight_free(resolver->last);
	dnscache_fini(&resolver->cache);
	free(resolver);
}
