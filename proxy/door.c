/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * door: what stands between an accepted connection and its session.
 */
#include "proxy/door.h"

#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/owner.h"
#include "smtp/proxyhdr.h"
#include "smtp/reply.h"

#include <stdlib.h>

#define OCTETS_MAX (PROXYHDR_V2_MAX + RING_BUFFER_SIZE)
#define AT_ONCE 1

struct door {
	struct conn conn;
	struct doors *doors;
	struct session_peer peer;
	struct buf octets;
	struct timer timer; /* for the header, later to go */
	struct door *next, **at;
};

static void
door_free(struct door *door)
{
	struct doors *doors = door->doors;

	timer_clear(doors->timers, &door->timer);
	*door->at = door->next;
	if (door->next != NULL)
		door->next->at = door->at;
	doors->count--;
	buf_fini(&door->octets);
	free(door);
	doors->changed(doors);
}

static void
log_refusal(enum log_event event, const struct session_peer *peer,
	    const char *reason)
{
	char text[ENDPOINT_TEXT_MAX];

	endpoint_format(&peer->ip, peer->port, text);
	log_printf(event, "client=%s reason=\"%s\"", text, reason);
}

static void
on_released(struct conn *conn)
{
	door_free(OWNER(conn, struct door, conn));
}

static void
on_closed(struct conn *conn, int error)
{
	struct door *door = OWNER(conn, struct door, conn);

	/* One that says nothing at all looks whether we are there. */
	if (error == 0 && door->octets.n > 0)
		log_refusal(EVENT_BAD_PROXY_HEADER, &door->peer, "cut short");
	conn_abort(conn);
}

static void
on_timer(struct timer *timer)
{
	struct door *door = OWNER(timer, struct door, timer);

	if (conn_is_idle(&door->conn)) {
		door_free(door);
		return;
	}
	log_refusal(EVENT_BAD_PROXY_HEADER, &door->peer, "not in time");
	conn_abort(&door->conn);
}

static void on_received(struct conn *conn, struct span octets);

static const struct conn_events door_events = {
	.received = on_received,
	.closed = on_closed,
	.released = on_released,
};

static struct door *
door_new(struct doors *doors, int fd, const struct session_peer *peer)
{
	struct door *door;

	if (doors->count >= DOORS_MAX)
		return NULL;
	door = calloc(1, sizeof(*door));
	if (door == NULL)
		return NULL;
	conn_init(&door->conn, doors->ring, doors->timers, &door_events);
	conn_open(&door->conn, fd);
	door->doors = doors;
	door->peer = *peer;
	door->timer.fire = on_timer;
	buf_init(&door->octets, OCTETS_MAX);
	door->next = doors->first;
	door->at = &doors->first;
	if (door->next != NULL)
		door->next->at = &door->next;
	doors->first = door;
	doors->count++;
	return door;
}

/* Turn a client away with a reply; if there is no room even for that, without.
 */
static void
refuse(struct doors *doors, int fd, const struct session_peer *peer,
       const char *enhanced, const char *text)
{
	struct door *door = door_new(doors, fd, peer);
	struct buf reply;

	if (door == NULL) {
		ring_close(doors->ring, fd);
		return;
	}
	buf_init(&reply, REPLY_LINE_MAX);
	reply_format(&reply, 421, enhanced, span_cstr(text));
	conn_close(&door->conn, &reply);
	buf_fini(&reply);
}

/* Why a client is not let in: the setting, and what it is told. */
struct refusal {
	const char *reason; /* NULL: it is */
	const char *enhanced;
	const char *text;
};

static const struct refusal refusals[] = {
	[LIMIT_TAKEN] = { NULL, NULL, NULL },
	[LIMIT_TOTAL] = { "limit.connections-total", "4.3.2",
			  "Too many connections, try again later" },
	[LIMIT_NETWORK] = { "limit.connections-per-network", "4.7.0",
			    "Too many connections from your network" },
	[LIMIT_ADDRESS] = { "limit.connections-per-address", "4.7.0",
			    "Too many connections from your address" },
	[LIMIT_FULL] = { "limit.connections", "4.3.2",
			 "Too many connections, try again later" },
};

static const struct refusal too_often = {
	"limit.connection-rate", "4.7.0",
	"Too many connections from your address in a short time"
};

static const struct refusal no_memory = {
	"memory", "4.3.2", "Too little memory now, try again later"
};

/* Find a reason to refuse the client; there is none, and it is counted. */
static const struct refusal *
look_at(struct doors *doors, const struct ip *ip)
{
	const struct conf *conf = doors->conf;
	const struct conf_rate *rate = &conf->connection_rate;
	struct limit_bounds bounds = { .total = conf->connections_total_max };

	if (doors->sessions(doors) >= doors->connections_max)
		return &refusals[LIMIT_FULL];
	if (doors->is_memory_full != NULL && *doors->is_memory_full)
		return &no_memory;
	if (conf_is_limited(conf, ip)) {
		if (rate->count > 0 &&
		    !limit_rate(doors->limit, RATE_CONNECTIONS, ip, rate->count,
				rate->period_us, clock_monotonic_us()))
			return &too_often;
		bounds.per_address = conf->connections_per_address_max;
		bounds.per_network = conf->connections_per_network_max;
	}
	return &refusals[limit_enter(doors->limit, doors->worker, ip, &bounds)];
}

/* The client is known: in, or away. */
static void
admit(struct doors *doors, int fd, struct session_peer *peer,
      struct span octets)
{
	const struct refusal *refusal = look_at(doors, &peer->ip);

	if (refusal->reason != NULL) {
		log_refusal(EVENT_REFUSED, peer, refusal->reason);
		refuse(doors, fd, peer, refusal->enhanced, refusal->text);
		return;
	}
	if (doors->enter(doors, fd, peer, octets))
		return;
	limit_leave(doors->limit, doors->worker, &peer->ip);
	log_event(EVENT_OUT_OF_MEMORY, SPAN_LIT("for=session"));
	refuse(doors, fd, peer, "4.3.0", "Out of memory, try again later");
}

static void
take_header(struct session_peer *peer, const struct proxyhdr *header)
{
	/* LOCAL and UNKNOWN: the proxy speaks for itself, to see if we live, or
	 * for it does not know whom. Its own address must not stand for that
	 * client's: the backend may have it among its networks. */
	peer->is_proxied = true;
	if (header->is_local) {
		peer->ip = (struct ip){ .family = IP_NONE };
		peer->port = 0;
		return;
	}
	peer->ip = header->source;
	peer->port = header->source_port;
	peer->local_ip = header->destination;
	peer->local_port = header->destination_port;
}

static void
on_received(struct conn *conn, struct span octets)
{
	struct door *door = OWNER(conn, struct door, conn);
	struct doors *doors = door->doors;
	struct proxyhdr header;
	struct span in;
	int fd;

	/* As long as more is needed it holds less than a header, so this only
	 * fails without memory. */
	if (!buf_append(&door->octets, octets)) {
		log_event(EVENT_OUT_OF_MEMORY, SPAN_LIT("for=header"));
		conn_abort(conn);
		return;
	}
	in = buf_span(&door->octets);
	switch (proxyhdr_parse(&in, &header)) {
	case PROXYHDR_MORE:
		return;
	case PROXYHDR_BAD:
		log_refusal(EVENT_BAD_PROXY_HEADER, &door->peer, "malformed");
		conn_abort(conn);
		return;
	case PROXYHDR_READY:
		break;
	}
	take_header(&door->peer, &header);
	fd = conn_detach(conn);
	admit(doors, fd, &door->peer, in);
	/* Not yet: the conn is still at work. */
	timer_set(doors->timers, &door->timer, AT_ONCE);
}

static bool
sends_header(const struct conf_listener *listener, const struct ip *ip)
{
	for (size_t i = 0; i < listener->proxy_from.count; i++)
		if (ip_network_has(&listener->proxy_from.list[i], ip))
			return true;
	return false;
}

void
door_open(struct doors *doors, int fd, const struct conf_listener *listener,
	  const struct ip *ip, uint16_t port)
{
	struct session_peer peer = { .listener = listener,
				     .ip = *ip,
				     .port = port };
	struct door *door;

	/* The listener may be bound to any address. */
	endpoint_local(fd, &peer.local_ip, &peer.local_port);
	if (!sends_header(listener, ip)) {
		admit(doors, fd, &peer, SPAN_NONE);
		return;
	}
	door = door_new(doors, fd, &peer);
	if (door == NULL) {
		log_refusal(EVENT_REFUSED, &peer, "too many before a session");
		ring_close(doors->ring, fd);
		return;
	}
	timer_set(doors->timers, &door->timer,
		  clock_monotonic_us() + doors->header_us_max);
	conn_want(&door->conn, true);
}

void
doors_abort(struct doors *doors)
{
	for (struct door *door = doors->first, *next; door != NULL;
	     door = next) {
		next = door->next;
		conn_abort(&door->conn);
	}
}
