/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * driver: carries out what a session decides.
 */
#include "proxy/driver.h"

#include "proxy/asks.h"
#include "proxy/ceiling.h"
#include "proxy/clock.h"
#include "proxy/destination.h"
#include "proxy/endpoint.h"
#include "proxy/log.h"
#include "proxy/owner.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* A connection of a session, or one that outlived it. */
struct link {
	struct conn conn;
	struct drivers *drivers;
	struct driver *driver; /* NULL: nobody listens any more */
	enum session_side side;
	struct ip ip;    /* of the peer */
	bool is_counted; /* in limit, under it: a client */
	bool has_place;  /* in limit, among those of this backend */
	size_t backend;
	struct link *next, **at;
};

/* What happened too early to be told: it is told after the actions. */
struct pending {
	int connect_error[SIDE_COUNT];
	int write_error;
};

struct driver {
	struct drivers *drivers;
	struct session *session;
	const struct conf_listener *listener;
	struct ip local_ip; /* where the client connected to */
	uint16_t local_port;
	struct link *links[SIDE_COUNT];
	struct asks asks;
	struct pending pending;
	struct tempfile *body;
	struct spoolfile_line line;
	bool is_spooling;
	unsigned borrowed; /* operations on the session's memory */
	bool is_over;
	size_t memory;    /* that it was last seen to hold */
	uint64_t read_at; /* of the read under way */
	struct timer timer;
	struct driver *next, **at;
};

static void drive(struct driver *driver);

static void
tell(struct driver *driver, const struct session_event *event)
{
	session_step(driver->session, event);
	drive(driver);
}

/* --- connections ------------------------------------------------------------
 */

static void
on_connected(struct conn *conn)
{
	struct link *link = OWNER(conn, struct link, conn);

	tell(link->driver, &(struct session_event){ .kind = SESSION_CONNECTED,
						    .side = link->side });
}

static void
on_received(struct conn *conn, struct span octets)
{
	struct link *link = OWNER(conn, struct link, conn);

	tell(link->driver, &(struct session_event){ .kind = SESSION_OCTETS,
						    .side = link->side,
						    .octets = octets });
}

static void
on_sent(struct conn *conn)
{
	struct link *link = OWNER(conn, struct link, conn);

	tell(link->driver, &(struct session_event){ .kind = SESSION_SENT,
						    .side = link->side });
}

static void
on_secured(struct conn *conn, const struct tlsinfo *info)
{
	struct link *link = OWNER(conn, struct link, conn);

	tell(link->driver, &(struct session_event){ .kind = SESSION_SECURED,
						    .side = link->side,
						    .tls = info });
}

static void
on_closed(struct conn *conn, int error)
{
	struct link *link = OWNER(conn, struct link, conn);
	const char *reason = conn_failure(conn);

	tell(link->driver, &(struct session_event){
				   .kind = SESSION_CLOSED,
				   .side = link->side,
				   .error = error,
				   .reason = *reason == '\0' ? NULL : reason,
			   });
}

static void
leave_place(struct link *link)
{
	if (link->has_place)
		limit_part(link->drivers->limit, link->drivers->worker,
			   link->backend);
	link->has_place = false;
}

static void
on_released(struct conn *conn)
{
	struct link *link = OWNER(conn, struct link, conn);
	struct drivers *drivers = link->drivers;

	assert(link->driver == NULL);
	*link->at = link->next;
	if (link->next != NULL)
		link->next->at = link->at;
	drivers->link_count--;
	if (link->side == SIDE_CLIENT)
		drivers->client_count--;
	leave_place(link);
	if (link->is_counted)
		limit_leave(drivers->limit, drivers->worker, &link->ip);
	free(link);
	/* Its engine is gone, and there may be no session to notice it. */
	ceiling_weigh(drivers, 0, 0);
	drivers->changed(drivers);
}

static const struct conn_events link_events = {
	.connected = on_connected,
	.received = on_received,
	.sent = on_sent,
	.secured = on_secured,
	.closed = on_closed,
	.released = on_released,
};

static struct link *
link_new(struct driver *driver, enum session_side side)
{
	struct drivers *drivers = driver->drivers;
	struct link *link = calloc(1, sizeof(*link));

	if (link == NULL)
		return NULL;
	conn_init(&link->conn, drivers->ring, drivers->timers, &link_events);
	link->conn.bufs = drivers->host->bufs;
	link->drivers = drivers;
	link->driver = driver;
	link->side = side;
	link->next = drivers->links;
	link->at = &drivers->links;
	if (link->next != NULL)
		link->next->at = &link->next;
	drivers->links = link;
	drivers->link_count++;
	if (side == SIDE_CLIENT)
		drivers->client_count++;
	return link;
}

/* From here on the link lives until it is released, by itself. */
static struct link *
let_go(struct driver *driver, enum session_side side)
{
	struct link *link = driver->links[side];

	if (link == NULL)
		return NULL;
	driver->links[side] = NULL;
	link->driver = NULL;
	return link;
}

static void
abort_side(struct driver *driver, enum session_side side)
{
	struct link *link = let_go(driver, side);

	driver->pending.connect_error[side] = 0;
	if (link == NULL)
		return;
	/* Another one may be tried at once: this one is as good as gone. */
	leave_place(link);
	if (conn_is_idle(&link->conn))
		on_released(&link->conn); /* it never had a socket */
	else
		conn_abort(&link->conn);
}

static void
close_side(struct driver *driver, enum session_side side)
{
	struct link *link = driver->links[side];

	if (link == NULL || conn_is_idle(&link->conn)) {
		abort_side(driver, side);
		return;
	}
	let_go(driver, side);
	conn_close(&link->conn, session_output(driver->session, side));
}

/* Whether the backend may have one more connection; then it is counted. */
static bool
take_place(struct link *link, size_t backend)
{
	struct drivers *drivers = link->drivers;
	const struct conf *conf = drivers->host->conf;
	unsigned most = conf->backends[backend].connections_max;

	if (most == 0)
		return true;
	link->has_place =
		limit_reach(drivers->limit, drivers->worker, backend, most);
	link->backend = backend;
	return link->has_place;
}

/* 0, or why it cannot even be begun. */
static int
open_connection(struct driver *driver, struct link *link,
		const struct session_action *action)
{
	const struct conf_endpoint target = { .ip = action->ip,
					      .port = action->port };
	struct conf_endpoint endpoint;
	int error = destination_find(driver->drivers->host->conf, &target,
				     &driver->local_ip, driver->local_port,
				     &endpoint);

	if (error != 0) {
		destination_refused(driver->links[SIDE_CLIENT] == NULL
					    ? NULL
					    : &driver->links[SIDE_CLIENT]->ip,
				    &endpoint, error);
		return error;
	}
	if (!take_place(link, action->backend))
		return -EUSERS;
	link->ip = endpoint.ip;
	if (action->is_as_client)
		return conn_connect_as(&link->conn, &action->source,
				       &endpoint.ip, endpoint.port);
	return conn_connect(&link->conn, &endpoint.ip, endpoint.port);
}

static void
connect_side(struct driver *driver, const struct session_action *action)
{
	struct link *link = link_new(driver, action->side);

	assert(driver->links[action->side] == NULL);
	driver->links[action->side] = link;
	driver->pending.connect_error[action->side] =
		link == NULL ? -ENOMEM : open_connection(driver, link, action);
}

/* The engine for a side; NULL without memory, or where the backend's name
 * cannot be held against a certificate. */
static struct tls *
new_engine(struct driver *driver, const struct session_action *action)
{
	const struct keyring *keyring = driver->drivers->keyring;
	const struct conf *conf = driver->drivers->host->conf;

	if (action->side == SIDE_CLIENT)
		return tls_accept(
			keyring->servers[driver->listener - conf->listeners]);
	return keyring_connect(keyring, conf, action->backend, action->address,
			       &driver->links[action->side]->ip);
}

static void
secure_side(struct driver *driver, const struct session_action *action)
{
	struct link *link = driver->links[action->side];
	struct tls *tls;

	if (link == NULL || link->conn.state != CONN_OPEN)
		return;
	tls = new_engine(driver, action);
	if (tls == NULL)
		driver->pending.connect_error[action->side] = -ENOMEM;
	else
		conn_secure(&link->conn,
			    session_output(driver->session, action->side), tls);
}

/* --- questions --------------------------------------------------------------
 */

static void
on_told(struct asks *asks)
{
	drive(OWNER(asks, struct driver, asks));
}

static void
ask(struct driver *driver, const struct session_action *action)
{
	if (asks_note(&driver->asks, action))
		return;
	driver->is_over = true;
	log_event(EVENT_OUT_OF_MEMORY, SPAN_LIT("for=question"));
}

/* --- files ------------------------------------------------------------------
 */

/* An operation on the session's memory has ended. */
static bool
give_back(struct driver *driver)
{
	assert(driver->borrowed > 0);
	driver->borrowed--;
	if (!driver->is_over)
		return true;
	drive(driver);
	return false;
}

static void
on_spooled(struct spoolfile_line *line, int error)
{
	struct driver *driver = OWNER(line, struct driver, line);

	driver->is_spooling = false;
	if (give_back(driver))
		tell(driver, &(struct session_event){ .kind = SESSION_SPOOLED,
						      .error = error });
}

static void
spool(struct driver *driver, struct span line)
{
	assert(!driver->is_spooling);
	driver->is_spooling = true;
	driver->borrowed++;
	driver->line.done = on_spooled;
	spoolfile_append(driver->drivers->spool, &driver->line, line);
}

static void
on_written(struct tempfile *file, int error)
{
	struct driver *driver = file->owner;
	bool is_current = driver->body == file;

	if (give_back(driver) && is_current)
		tell(driver, &(struct session_event){ .kind = SESSION_WRITTEN,
						      .error = error });
}

static void
on_read(struct tempfile *file, int error, struct span octets)
{
	struct driver *driver = file->owner;

	tell(driver, &(struct session_event){ .kind = SESSION_READ,
					      .ticket = driver->read_at,
					      .octets = octets,
					      .error = error });
}

static const struct tempfile_events body_events = {
	.written = on_written,
	.read = on_read,
};

static void
body_write(struct driver *driver, const struct session_action *action)
{
	if (driver->body == NULL)
		driver->body = tempfile_new(driver->drivers->tempfiles,
					    &body_events, driver);
	if (driver->body == NULL) {
		driver->pending.write_error = -ENOMEM;
		return;
	}
	driver->borrowed++;
	tempfile_write(driver->body, action->octets, action->offset);
}

static void
body_read(struct driver *driver, const struct session_action *action)
{
	assert(driver->body != NULL);
	driver->read_at = action->offset;
	tempfile_read(driver->body, action->offset, action->length);
}

static void
body_drop(struct driver *driver)
{
	struct tempfile *file = driver->body;

	driver->body = NULL;
	driver->pending.write_error = 0;
	if (file != NULL)
		tempfile_drop(file);
}

/* --- the loop ---------------------------------------------------------------
 */

static void
perform(struct driver *driver, const struct session_action *action)
{
	switch (action->act) {
	case ACT_CONNECT:
		connect_side(driver, action);
		return;
	case ACT_SECURE:
		secure_side(driver, action);
		return;
	case ACT_CLOSE:
		close_side(driver, action->side);
		return;
	case ACT_ABORT:
		abort_side(driver, action->side);
		return;
	case ACT_ASK:
		ask(driver, action);
		return;
	case ACT_FORGET:
		asks_forget(&driver->asks, action->ticket >> 16);
		return;
	case ACT_SPOOL:
		spool(driver, action->octets);
		return;
	case ACT_BODY_WRITE:
		body_write(driver, action);
		return;
	case ACT_BODY_READ:
		body_read(driver, action);
		return;
	case ACT_BODY_DROP:
		body_drop(driver);
		return;
	case ACT_EVENT:
		log_event(action->event, action->octets);
		return;
	case ACT_END:
		driver->is_over = true;
		return;
	}
}

/* Tell one thing that was put off. True if there was one. */
static bool
tell_pending(struct driver *driver)
{
	struct session_event event = { .kind = SESSION_CLOSED };

	if (driver->is_over)
		return false;
	if (driver->pending.write_error != 0) {
		event.kind = SESSION_WRITTEN;
		event.error = driver->pending.write_error;
		driver->pending.write_error = 0;
		session_step(driver->session, &event);
		return true;
	}
	for (enum session_side side = 0; side < SIDE_COUNT; side++) {
		if (driver->pending.connect_error[side] == 0)
			continue;
		event.side = side;
		event.error = driver->pending.connect_error[side];
		driver->pending.connect_error[side] = 0;
		session_step(driver->session, &event);
		return true;
	}
	return asks_put(&driver->asks);
}

static void
serve_side(struct driver *driver, enum session_side side)
{
	struct link *link = driver->links[side];
	struct buf *output = session_output(driver->session, side);

	if (link == NULL || link->conn.state != CONN_OPEN)
		return;
	if (output->n > 0 && !conn_is_sending(&link->conn))
		conn_send(&link->conn, output);
	conn_want(&link->conn, session_wants(driver->session, side));
}

/* A deadline that has moved on leaves the timer where it is: when it fires,
 * on_timer() looks again. Most of them move with every event. */
static void
set_timer(struct driver *driver)
{
	struct timers *timers = driver->drivers->timers;
	uint64_t deadline_us = session_deadline(driver->session);

	if (deadline_us == 0)
		timer_clear(timers, &driver->timer);
	else if (!timer_is_set(&driver->timer) ||
		 deadline_us < driver->timer.deadline_us)
		timer_set(timers, &driver->timer, deadline_us);
}

static void
on_timer(struct timer *timer)
{
	struct driver *driver = OWNER(timer, struct driver, timer);
	uint64_t deadline_us = session_deadline(driver->session);

	if (deadline_us != 0 && deadline_us <= clock_monotonic_us())
		tell(driver, &(struct session_event){ .kind = SESSION_TIMER });
	else
		set_timer(driver);
}

/* What the driver holds now, in place of what it held. */
static void
weigh(struct driver *driver, size_t memory)
{
	ceiling_weigh(driver->drivers, driver->memory, memory);
	driver->memory = memory;
}

static size_t
held(const struct driver *driver)
{
	size_t memory = sizeof(*driver) + session_memory(driver->session);

	for (enum session_side side = 0; side < SIDE_COUNT; side++)
		if (driver->links[side] != NULL)
			memory += sizeof(struct link) +
				  conn_memory(&driver->links[side]->conn);
	return memory;
}

/* All is over; twice is harmless. The session's memory goes once no operation
 * refers to it. */
static void
finish(struct driver *driver)
{
	struct drivers *drivers = driver->drivers;

	timer_clear(drivers->timers, &driver->timer);
	asks_forget_all(&driver->asks);
	body_drop(driver);
	for (enum session_side side = 0; side < SIDE_COUNT; side++)
		abort_side(driver, side);
	if (driver->borrowed > 0)
		return;
	weigh(driver, 0);
	*driver->at = driver->next;
	if (driver->next != NULL)
		driver->next->at = driver->at;
	drivers->count--;
	drivers->host->stats->count[STAT_SESSIONS_OPEN]--;
	session_free(driver->session);
	free(driver);
	drivers->changed(drivers);
}

static void
drive(struct driver *driver)
{
	struct session_action action;

	do {
		while (!driver->is_over &&
		       session_next(driver->session, &action))
			perform(driver, &action);
	} while (tell_pending(driver));
	if (driver->is_over) {
		finish(driver);
		return;
	}
	for (enum session_side side = 0; side < SIDE_COUNT; side++)
		serve_side(driver, side);
	set_timer(driver);
	weigh(driver, held(driver));
}

static struct driver *
driver_new(struct drivers *drivers, const struct session_peer *peer)
{
	struct driver *driver = calloc(1, sizeof(*driver));

	if (driver == NULL)
		return NULL;
	driver->drivers = drivers;
	driver->listener = peer->listener;
	driver->local_ip = peer->local_ip;
	driver->local_port = peer->local_port;
	driver->timer.fire = on_timer;
	driver->links[SIDE_CLIENT] = link_new(driver, SIDE_CLIENT);
	driver->session = session_new(drivers->host, peer);
	driver->asks = (struct asks){ .resolver = drivers->resolver,
				      .session = driver->session,
				      .told = on_told };
	if (driver->session == NULL || driver->links[SIDE_CLIENT] == NULL) {
		abort_side(driver, SIDE_CLIENT);
		session_free(driver->session);
		free(driver);
		return NULL;
	}
	driver->next = drivers->first;
	driver->at = &drivers->first;
	if (driver->next != NULL)
		driver->next->at = &driver->next;
	drivers->first = driver;
	drivers->count++;
	return driver;
}

bool
driver_start(struct drivers *drivers, int fd, const struct session_peer *peer,
	     struct span octets)
{
	struct driver *driver = driver_new(drivers, peer);
	struct link *client;

	if (driver == NULL)
		return false;
	client = driver->links[SIDE_CLIENT];
	client->is_counted = true;
	client->ip = peer->ip;
	conn_open(&client->conn, fd);
	drivers->host->stats->count[STAT_SESSIONS]++;
	drivers->host->stats->count[STAT_SESSIONS_OPEN]++;
	session_step(driver->session,
		     &(struct session_event){ .kind = SESSION_START });
	if (drivers->is_draining)
		session_step(driver->session,
			     &(struct session_event){ .kind = SESSION_DRAIN });
	drive(driver);
	/* They may be the client's first words under TLS. */
	if (octets.n > 0 && client->driver != NULL)
		conn_take(&client->conn, octets);
	return true;
}

void
drivers_drain(struct drivers *drivers)
{
	drivers->is_draining = true;
	for (struct driver *driver = drivers->first, *next; driver != NULL;
	     driver = next) {
		next = driver->next;
		tell(driver, &(struct session_event){ .kind = SESSION_DRAIN });
	}
}

void
drivers_abort(struct drivers *drivers)
{
	for (struct driver *driver = drivers->first, *next; driver != NULL;
	     driver = next) {
		next = driver->next;
		driver->is_over = true;
		finish(driver);
	}
	for (struct link *link = drivers->links, *next; link != NULL;
	     link = next) {
		next = link->next;
		conn_abort(&link->conn);
	}
}
