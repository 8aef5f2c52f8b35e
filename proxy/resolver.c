/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resolver: questions to DNS, answered from a zone, a cache, or c-ares on the
 * ring. The only includer of <ares.h>.
 *
 * One c-ares channel per server, each with a single try, because c-ares either
 * tries the next server on SERVFAIL and then reports a refused connection, or
 * (ARES_FLAG_NOCHECKRESP) reports SERVFAIL and tries no other; and because a
 * server that dislikes EDNS switches it off for its whole channel. Which
 * server is asked when is decided here:
 *
 *   an answer              it is the answer
 *   SERVFAIL, REFUSED, …   the other servers are asked, this one not again
 *   nothing in time        the other servers, and again up to `tries` rounds;
 *                          later questions start with another server
 *
 * c-ares keeps its sockets only while it has questions open on them, so that
 * every burst of questions leaves from another port. Its time-outs cost a walk
 * over all questions (ares_timeout), so a tick drives them instead.
 */
#include "proxy/resolver.h"

#include "proxy/clock.h"
#include "proxy/dnscache.h"
#include "proxy/dnspacket.h"
#include "proxy/endpoint.h"
#include "proxy/log.h"
#include "proxy/owner.h"
#include "proxy/ring.h"
#include "proxy/timer.h"

#include <ares.h>
#include <assert.h>
#include <poll.h>
#include <search.h>
#include <stdlib.h>

#define SERVERS_MAX 8
#define FLIGHTS_MAX 1024
#define ANSWER_OCTETS_MAX (256u * 1024)
#define EDNS_OCTETS 1232 /* DNS flag day 2020: fits into any packet */
#define RECEIVE_BUFFER (256 * 1024)
#define TICK_US 100000

#define TTL_S_MIN 1
#define TTL_S_MAX 86400
#define NEGATIVE_TTL_S_MAX 3600 /* RFC 2308 5: one to three hours */
#define FAILURE_TTL_S 5         /* RFC 2308 7: at most five minutes */

/* A socket of c-ares that the ring watches. */
struct watch {
	struct op op;
	struct server *server;
	struct watch *next;
	int fd;
	unsigned events; /* wanted */
	bool is_armed;
	bool is_processing;
	bool is_dead; /* c-ares has closed the socket */
};

struct server {
	struct resolver *resolver;
	ares_channel channel;
	unsigned in_flight;
	char text[ENDPOINT_TEXT_MAX];
};

/* A question under way, and who waits for it. */
struct flight {
	struct dns_key key; /* first: found by tsearch(3) */
	struct resolver *resolver;
	struct resolver_query *waiting;
	struct arena arena; /* of the answer */
	struct answer answer;
	uint64_t started_us;
	unsigned server;   /* asked now */
	unsigned tries;    /* made so far */
	unsigned refused;  /* bits of servers that answered with an error */
	bool is_launching; /* inside ares_query() */
	bool is_answered;
	uint8_t name[];
};

struct resolver {
	struct ring *ring;
	struct timers *timers;
	const struct zone *zone;
	struct dnscache cache;
	struct server servers[SERVERS_MAX];
	unsigned server_count;
	unsigned preferred; /* server asked first */
	unsigned tries_max; /* per question, over all servers */
	bool is_closing;
	void *flights; /* tree */
	unsigned flight_count;
	struct flight *last; /* holds the last answer known at once */
	struct watch *watches;
	struct timer tick;
};

static void pursue(struct flight *flight);

/* --- sockets ---------------------------------------------------------------
 */

static void
watch_arm(struct watch *watch)
{
	assert(!watch->is_armed && !watch->is_dead);
	watch->is_armed = true;
	ring_poll(watch->server->resolver->ring, &watch->op, watch->fd,
		  watch->events);
}

static void
on_poll(struct op *op, int result, uint32_t flags)
{
	struct watch *watch = OWNER(op, struct watch, op);
	bool can_read, can_write;

	(void)flags;
	watch->is_armed = false;
	if (watch->is_dead) {
		free(watch);
		return;
	}
	can_read = result > 0 && (result & (POLLIN | POLLERR | POLLHUP)) != 0;
	can_write = result > 0 && (result & (POLLOUT | POLLERR | POLLHUP)) != 0;
	watch->is_processing = true;
	ares_process_fd(watch->server->channel,
			can_read ? watch->fd : ARES_SOCKET_BAD,
			can_write ? watch->fd : ARES_SOCKET_BAD);
	watch->is_processing = false;
	if (watch->is_dead)
		free(watch);
	else if (!watch->is_armed)
		watch_arm(watch);
}

static struct watch **
watch_find(struct server *server, int fd)
{
	struct watch **link = &server->resolver->watches;

	while (*link != NULL &&
	       ((*link)->fd != fd || (*link)->server != server))
		link = &(*link)->next;
	return link;
}

/* c-ares closes the socket right after it said so; its number may come back
 * at once. The ring holds the socket until the poll has been cancelled. */
static void
watch_end(struct watch **link)
{
	struct watch *watch = *link;

	*link = watch->next;
	watch->is_dead = true;
	if (watch->is_armed)
		ring_cancel(watch->server->resolver->ring, &watch->op);
	else if (!watch->is_processing)
		free(watch);
}

static void
watch_new(struct server *server, int fd, unsigned events)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	/* Without it the question times out, which is an answer too. */
	if (watch == NULL)
		return;
	watch->op.done = on_poll;
	watch->server = server;
	watch->fd = fd;
	watch->events = events;
	watch->next = server->resolver->watches;
	server->resolver->watches = watch;
	watch_arm(watch);
}

static void
on_socket_state(void *argument, ares_socket_t fd, int readable, int writable)
{
	struct server *server = argument;
	unsigned events = (readable ? POLLIN : 0u) | (writable ? POLLOUT : 0u);
	struct watch **link = watch_find(server, fd);
	struct watch *watch = *link;

	if (watch == NULL) {
		if (events != 0)
			watch_new(server, fd, events);
		return;
	}
	if (events == 0) {
		watch_end(link);
		return;
	}
	if (watch->events == events)
		return;
	watch->events = events;
	/* It is armed anew with these once it has completed. */
	if (watch->is_armed)
		ring_cancel(server->resolver->ring, &watch->op);
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
		if (resolver->servers[i].in_flight > 0)
			ares_process_fd(resolver->servers[i].channel,
					ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	if (resolver->flight_count > 0)
		tick_start(resolver);
}

/* --- questions -------------------------------------------------------------
 */

static void
flight_free(struct flight *flight)
{
	if (flight == NULL)
		return;
	arena_fini(&flight->arena);
	free(flight);
}

static uint64_t
lifetime_us(const struct answer *answer)
{
	uint32_t most = TTL_S_MAX;
	uint32_t ttl_s = answer->ttl_s;

	switch (answer->status) {
	case ANSWER_OPEN:
	case ANSWER_OK:
		break;
	case ANSWER_NODATA:
	case ANSWER_NXDOMAIN:
		most = NEGATIVE_TTL_S_MAX;
		break;
	case ANSWER_TEMPERROR:
		most = ttl_s = FAILURE_TTL_S;
		break;
	}
	if (ttl_s > most)
		ttl_s = most;
	if (ttl_s < TTL_S_MIN)
		ttl_s = TTL_S_MIN;
	return (uint64_t)ttl_s * 1000000;
}

/* The answer is final: keep it, and let whoever waits have it. Afterwards the
 * flight holds it until the next one. */
static void
finish(struct flight *flight)
{
	struct resolver *resolver = flight->resolver;
	uint64_t now_us = clock_monotonic_us();
	struct resolver_query *query;

	flight->answer.name = flight->key.name;
	flight->answer.type = flight->key.type;
	flight->answer.ms = (float)(now_us - flight->started_us) / 1000.0f;
	flight->answer.is_cached = true;
	dnscache_put(&resolver->cache, &flight->key, &flight->answer,
		     now_us + lifetime_us(&flight->answer));
	flight->answer.is_cached = false;
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
		   resolver->servers[server].text, error);
	if (server == resolver->preferred)
		resolver->preferred = (server + 1) % resolver->server_count;
}

static const char *
error_name(int status)
{
	switch (status) {
	case ARES_ETIMEOUT:
		return "time-out";
	case ARES_ECONNREFUSED:
		return "connection refused";
	case ARES_ENOMEM:
		return "out of memory";
	case ARES_EBADRESP:
		return "malformed answer";
	default:
		return "resolver failure";
	}
}

/* What c-ares says of a try becomes the flight's answer. */
static void
take_answer(struct flight *flight, int status, struct span packet)
{
	struct answer *answer = &flight->answer;

	arena_reset(&flight->arena);
	*answer = (struct answer){ .status = ANSWER_TEMPERROR };
	if (packet.n > 0) {
		dnspacket_read(packet, flight->key.name, flight->key.type,
			       &flight->arena, answer);
		if (answer->status == ANSWER_TEMPERROR)
			flight->refused |= 1u << flight->server;
		return;
	}
	switch (status) {
	case ARES_EBADNAME:  /* a label or name too long for DNS */
	case ARES_ENOTFOUND: /* .onion (RFC 7686), which has no DNS */
		answer->status = ANSWER_NXDOMAIN;
		answer->ttl_s = TTL_S_MAX;
		return;
	case ARES_ENOMEM:
		flight->tries = flight->resolver->tries_max;
		break;
	default:
		complain(flight->resolver, flight->server, error_name(status));
		break;
	}
	answer->error = error_name(status);
}

/* Whether the question should be put again, and to which server. */
static bool
next_try(struct flight *flight)
{
	const struct resolver *resolver = flight->resolver;

	if (flight->answer.status != ANSWER_TEMPERROR)
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
on_answer(void *argument, int status, int timeouts, unsigned char *packet,
	  int length)
{
	struct flight *flight = argument;
	struct resolver *resolver = flight->resolver;

	(void)timeouts;
	resolver->servers[flight->server].in_flight--;
	if (resolver->is_closing) {
		while (flight->waiting != NULL)
			resolver_cancel(flight->waiting);
		tdelete(&flight->key, &resolver->flights, dns_key_compare);
		flight_free(flight);
		return;
	}
	take_answer(flight, status,
		    packet == NULL || length <= 0
			    ? SPAN_NONE
			    : span_make(packet, (size_t)length));
	flight->is_answered = true;
	if (!flight->is_launching)
		pursue(flight);
}

/* The name as c-ares takes it: a C string with backslashes doubled. */
static void
name_text(struct span name, char text[2 * DOMAIN_MAX + 1])
{
	size_t n = 0;

	assert(name.n <= DOMAIN_MAX);
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '\\')
			text[n++] = '\\';
		text[n++] = (char)name.p[i];
	}
	text[n] = '\0';
}

static void
launch(struct flight *flight)
{
	struct server *server = &flight->resolver->servers[flight->server];
	char text[2 * DOMAIN_MAX + 1];

	name_text(flight->key.name, text);
	flight->is_answered = false;
	flight->is_launching = true;
	server->in_flight++;
	ares_query(server->channel, text, 1 /* IN */, (int)flight->key.type,
		   on_answer, flight);
	flight->is_launching = false;
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
	flight->resolver = resolver;
	flight->server = resolver->preferred;
	flight->tries = 1;
	flight->started_us = clock_monotonic_us();
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
	if (dnscache_find(&resolver->cache, &key, clock_monotonic_us(),
			  answer)) {
		answer->ms = 0;
		return true;
	}
	flight = tfind(&key, &resolver->flights, dns_key_compare);
	if (flight != NULL) {
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

static int
channel_init(struct server *server, const struct conf *conf)
{
	struct ares_options options = {
		.flags = ARES_FLAG_EDNS | ARES_FLAG_NOCHECKRESP |
			 ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = (int)(conf->dns_us_max / 1000),
		.tries = 1,
		.ednspsz = EDNS_OCTETS,
		.socket_receive_buffer_size = RECEIVE_BUFFER,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = server,
	};

	return ares_init_options(&server->channel, &options,
				 ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS |
					 ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
					 ARES_OPT_SOCK_RCVBUF |
					 ARES_OPT_SOCK_STATE_CB);
}

static int
server_add(struct resolver *resolver, const struct conf *conf,
	   const struct ip *ip, uint16_t port)
{
	struct server *server = &resolver->servers[resolver->server_count];
	struct ares_addr_port_node node = { .udp_port = port,
					    .tcp_port = port };
	int status;

	if (resolver->server_count == SERVERS_MAX)
		return ARES_SUCCESS;
	server->resolver = resolver;
	status = channel_init(server, conf);
	if (status != ARES_SUCCESS)
		return status;
	resolver->server_count++;
	endpoint_format(ip, port, server->text);
	if (ip->family == IP_V4) {
		node.family = AF_INET;
		memcpy(&node.addr.addr4, ip->octets, 4);
	} else {
		node.family = AF_INET6;
		memcpy(&node.addr.addr6, ip->octets, 16);
	}
	return ares_set_servers_ports(server->channel, &node);
}

/* The system's own, as c-ares reads them from /etc/resolv.conf. */
static int
servers_of_system(struct resolver *resolver, const struct conf *conf)
{
	struct ares_addr_port_node *list = NULL;
	ares_channel channel;
	int status = ares_init(&channel);

	if (status != ARES_SUCCESS)
		return status;
	status = ares_get_servers_ports(channel, &list);
	for (struct ares_addr_port_node *node = list;
	     node != NULL && status == ARES_SUCCESS; node = node->next) {
		struct ip ip = ip_make((const uint8_t *)&node->addr,
				       node->family == AF_INET ? 4 : 16);
		int port = node->udp_port == 0 ? 53 : node->udp_port;

		status = server_add(resolver, conf, &ip, (uint16_t)port);
	}
	ares_free_data(list);
	ares_destroy(channel);
	return status;
}

static int
servers_init(struct resolver *resolver, const struct conf *conf)
{
	int status = ARES_SUCCESS;

	if (conf->resolver_count == 0)
		return servers_of_system(resolver, conf);
	for (size_t i = 0; i < conf->resolver_count; i++) {
		const struct conf_endpoint *endpoint = &conf->resolvers[i];

		if (status == ARES_SUCCESS)
			status = server_add(resolver, conf, &endpoint->ip,
					    endpoint->port);
	}
	return status;
}

struct resolver *
resolver_new(struct ring *ring, struct timers *timers, const struct conf *conf,
	     const struct zone *zone, struct buf *faults)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	int status;

	if (resolver == NULL) {
		buf_append(faults, SPAN_LIT("resolver: out of memory\n"));
		return NULL;
	}
	resolver->ring = ring;
	resolver->timers = timers;
	resolver->zone = zone;
	resolver->tick.fire = on_tick;
	dnscache_init(&resolver->cache, conf->dns_cache_octets);
	status = ares_library_init(ARES_LIB_INIT_ALL);
	if (status == ARES_SUCCESS && zone == NULL)
		status = servers_init(resolver, conf);
	if (status == ARES_SUCCESS && zone == NULL &&
	    resolver->server_count == 0)
		status = ARES_ENOTINITIALIZED;
	if (status != ARES_SUCCESS) {
		buf_printf(faults, "resolver: %s\n",
			   status == ARES_ENOTINITIALIZED
				   ? "no server in /etc/resolv.conf"
				   : ares_strerror(status));
		resolver_free(resolver);
		return NULL;
	}
	resolver->tries_max = resolver->server_count * conf->dns_tries;
	return resolver;
}

void
resolver_free(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	resolver->is_closing = true;
	timer_clear(resolver->timers, &resolver->tick);
	for (unsigned i = 0; i < resolver->server_count; i++)
		ares_destroy(resolver->servers[i].channel);
	/* What is left of the watches goes with its polls. */
	while (resolver->watches != NULL)
		watch_end(&resolver->watches);
	flight_free(resolver->last);
	dnscache_fini(&resolver->cache);
	ares_library_cleanup();
	free(resolver);
}
