/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe: what the backends offer, asked before anybody needs to know.
 */
#include "proxy/probe.h"

#include "proxy/clock.h"
#include "proxy/conn.h"
#include "proxy/endpoint.h"
#include "proxy/log.h"
#include "proxy/owner.h"
#include "smtp/proxyhdr.h"
#include "smtp/reply.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* A reply of the most lines of the greatest length. */
#define REPLY_OCTETS_MAX (REPLY_LINES_MAX * REPLY_LINE_MAX)
#define AT_ONCE 1

/* A PROXY header, EHLO and QUIT. */
#define COMMANDS_MAX 1024

/*
 *   IDLE -> CONNECTING -> BANNER -> EHLO [-> STARTTLS -> SECURING -> EHLO]
 *        -> LEAVING -> CONNECTING, the next target, or IDLE behind the last
 *     failure of any: the same
 */
enum probe_state {
	PROBE_IDLE,
	PROBE_CONNECTING,
	PROBE_BANNER,
	PROBE_EHLO,
	PROBE_STARTTLS,
	PROBE_SECURING,
	PROBE_LEAVING, /* the connection is being closed, or aborted */
	PROBE_STOPPED,
};

struct probe {
	struct probes *probes;
	const struct conf_backend *backend;
	struct upstream *upstream;
	struct ehlo *result;
	struct ehlo plain; /* what it offered before TLS */
	enum probe_state state;

	/* This round. */
	size_t at; /* the target's place in upstream */
	struct upstream_target target;
	struct ehlo found; /* so far, of the lowest */
	unsigned priority; /* … that answered */
	bool has_answer, has_failure;

	unsigned failures; /* rounds with one, in a row */
	const char *error; /* of the last one */
	bool was_asked;
	bool is_hurried; /* its targets have changed in the midst of a round */
	bool is_secured;
	struct conn conn;
	struct buf in;
	struct buf out;
	struct timer timer; /* deadline of a state; in IDLE the next start */
};

struct probes {
	const struct conf *conf;
	const struct keyring *keyring;
	void (*first)(void *owner);
	void *owner;
	size_t unasked;
	size_t count;
	struct probe probe[];
};

static void
set_state(struct probe *probe, enum probe_state state, uint64_t us_max)
{
	probe->state = state;
	timer_set(probe->conn.timers, &probe->timer,
		  clock_monotonic_us() + us_max);
}

/* The backend was asked, with whatever result. */
static void
settle(struct probe *probe)
{
	struct probes *probes = probe->probes;

	if (probe->was_asked)
		return;
	probe->was_asked = true;
	if (--probes->unasked == 0)
		probes->first(probes->owner);
}

/* 0, 1, 2, 4 … 60 seconds. */
static uint64_t
retry_us(unsigned failures)
{
	uint64_t us = PROBE_RETRY_US;

	if (failures <= 1)
		return AT_ONCE;
	while (--failures > 1 && us < PROBE_RETRY_US_MAX)
		us *= 2;
	return us < PROBE_RETRY_US_MAX ? us : PROBE_RETRY_US_MAX;
}

static void
say_down(const struct probe *probe)
{
	struct buf text;

	buf_init(&text, LOG_LINE_MAX);
	log_value(&text, "backend", probe->backend->name);
	log_value(&text, "error", span_cstr(probe->error));
	log_event(EVENT_BACKEND_DOWN, buf_span(&text));
	buf_fini(&text);
}

/* A change of health. Of an only target the backend's own events say all. */
static void
say_target(const struct probe *probe, enum log_event event, const char *error)
{
	char address[ENDPOINT_TEXT_MAX];
	struct buf text;

	if (probe->upstream->count < 2)
		return;
	buf_init(&text, LOG_LINE_MAX);
	log_value(&text, "backend", probe->backend->name);
	log_value(&text, "address",
		  endpoint_format(&probe->target.ip, probe->target.port,
				  address));
	if (error != NULL)
		log_value(&text, "error", span_cstr(error));
	log_event(event, buf_span(&text));
	buf_fini(&text);
}

/* All targets were asked. */
static void
end_round(struct probe *probe)
{
	uint64_t pause_us = probe->backend->probe_us;

	if (probe->has_answer)
		*probe->result = probe->found;
	else if (probe->has_failure)
		say_down(probe);
	probe->failures = probe->has_failure ? probe->failures + 1 : 0;
	if (probe->has_failure && retry_us(probe->failures) < pause_us)
		pause_us = retry_us(probe->failures);
	if (probe->is_hurried)
		pause_us = AT_ONCE;
	set_state(probe, PROBE_IDLE, pause_us);
	settle(probe);
}

static void
note_failure(struct probe *probe, const char *error)
{
	probe->error = error;
	probe->has_failure = true;
	if (upstream_failed(probe->upstream, probe->target.id,
			    clock_monotonic_us()))
		say_target(probe, EVENT_BACKEND_TARGET_DOWN, error);
}

static void
fail(struct probe *probe, const char *error)
{
	note_failure(probe, error);
	probe->state = PROBE_LEAVING;
	timer_clear(probe->conn.timers, &probe->timer);
	conn_abort(&probe->conn); /* goes on when it is released */
}

/* The next target that can be asked, if any is left. */
static bool
take_target(struct probe *probe)
{
	const struct upstream *upstream = probe->upstream;

	while (probe->at < upstream->count &&
	       upstream->targets[probe->at].ip.family == IP_NONE)
		probe->at++;
	if (probe->at >= upstream->count)
		return false;
	probe->target = upstream->targets[probe->at];
	return true;
}

/* False if there is no socket for it; another target may have one: a kernel
 * without IPv6 has those of IPv4. */
static bool
start(struct probe *probe)
{
	int error;

	buf_reset(&probe->in);
	buf_reset(&probe->out);
	probe->is_secured = false;
	set_state(probe, PROBE_CONNECTING, probe->backend->connect_us_max);
	error = conn_connect(&probe->conn, &probe->target.ip,
			     probe->target.port);
	if (error != 0)
		note_failure(probe, strerror(-error));
	return error == 0;
}

static void
go_on(struct probe *probe)
{
	for (; take_target(probe); probe->at++)
		if (start(probe))
			return;
	end_round(probe);
}

/* Before a name of it was looked up there is nobody to ask. */
static void
begin_round(struct probe *probe)
{
	probe->at = 0;
	probe->has_answer = probe->has_failure = probe->is_hurried = false;
	if (probe->upstream->count == 0)
		set_state(probe, PROBE_IDLE, PROBE_RETRY_US);
	else
		go_on(probe);
}

/* A timer that means the time is up, or the time has come. */
static void
on_timer(struct timer *timer)
{
	struct probe *probe = OWNER(timer, struct probe, timer);

	if (probe->state == PROBE_IDLE)
		begin_round(probe);
	else
		fail(probe, "no reply in time");
}

/* Send what has gathered, now or behind what is being sent. */
static void
flush(struct probe *probe)
{
	if (probe->out.n > 0 && !conn_is_sending(&probe->conn))
		conn_send(&probe->conn, &probe->out);
}

/* The connection's own ends: the probe stands for nobody else. */
static struct proxyhdr
own_header(const struct conn *conn)
{
	struct proxyhdr header = { .is_local = false };

	conn_local(conn, &header.source, &header.source_port);
	conn_peer(conn, &header.destination, &header.destination_port);
	return header;
}

static bool
add_proxy_header(struct probe *probe)
{
	static const struct proxyhdr local = { .is_local = true };
	struct proxyhdr own;

	switch (probe->backend->identity) {
	case IDENTITY_NONE:
	case IDENTITY_XCLIENT:
	case IDENTITY_TRANSPARENT:
		break;
	case IDENTITY_PROXY_V1:
		/* Not UNKNOWN, which Haraka takes for no header at all. */
		own = own_header(&probe->conn);
		return proxyhdr_format_v1(&own, &probe->out);
	case IDENTITY_PROXY_V2:
		return proxyhdr_format_v2(&local, &probe->out);
	}
	return true;
}

static void
on_connected(struct conn *conn)
{
	struct probe *probe = OWNER(conn, struct probe, conn);

	/* The connect's time lasts until the banner is there. */
	probe->state = PROBE_BANNER;
	if (!add_proxy_header(probe)) {
		fail(probe, "no PROXY header can be written for it");
		return;
	}
	flush(probe);
	conn_want(conn, true);
}

static void
greet(struct probe *probe)
{
	struct buf *out = &probe->out;

	set_state(probe, PROBE_EHLO, probe->backend->reply_us_max);
	buf_append(out, SPAN_LIT("EHLO "));
	buf_append(out, probe->probes->conf->hostname);
	buf_append(out, SPAN_LIT("\r\n"));
	flush(probe);
}

static void
take_banner(struct probe *probe, const struct reply *reply)
{
	if (reply->code != 220)
		fail(probe, "its banner is not 220");
	else
		greet(probe);
}

/* Into what was found of the others. */
static void
merge(struct probe *probe, const struct ehlo *offered)
{
	if (!probe->has_answer || probe->target.priority < probe->priority)
		probe->found = *offered;
	else if (probe->target.priority == probe->priority)
		probe->found = ehlo_intersect(&probe->found, offered);
	else
		return;
	probe->priority = probe->target.priority;
	probe->has_answer = true;
}

static void
keep(struct probe *probe, const struct ehlo *offered)
{
	merge(probe, offered);
	if (!probe->was_asked)
		*probe->result = probe->found; /* better than nothing */
	if (upstream_succeeded(probe->upstream, probe->target.id))
		say_target(probe, EVENT_BACKEND_TARGET_UP, NULL);
	probe->state = PROBE_LEAVING;
	timer_clear(probe->conn.timers, &probe->timer);
}

static void
finish(struct probe *probe, const struct ehlo *offered)
{
	keep(probe, offered);
	buf_append(&probe->out, SPAN_LIT("QUIT\r\n"));
	conn_close(&probe->conn, &probe->out);
}

/* Refused, it is used in plain, or not at all. */
static void
take_starttls(struct probe *probe, const struct reply *reply)
{
	struct probes *probes = probe->probes;
	struct tls *tls;

	if (reply->code != 220) {
		if (probe->backend->tls >= CONF_TLS_REQUIRED)
			probe->plain = (struct ehlo){ 0 };
		finish(probe, &probe->plain);
		return;
	}
	tls = keyring_connect(probes->keyring, probes->conf,
			      (size_t)(probe->backend - probes->conf->backends),
			      probe->target.address, &probe->target.ip);
	if (tls == NULL) {
		fail(probe, "no TLS engine for it");
		return;
	}
	set_state(probe, PROBE_SECURING, probe->backend->connect_us_max);
	conn_secure(&probe->conn, &probe->out, tls);
}

static void
on_secured(struct conn *conn, const struct tlsinfo *info)
{
	struct probe *probe = OWNER(conn, struct probe, conn);

	(void)info;
	probe->is_secured = true;
	greet(probe);
}

/* A refused EHLO is an old server: it offers nothing, and works. */
static void
take_ehlo(struct probe *probe, const struct reply *reply)
{
	enum conf_tls tls = probe->backend->tls;
	struct ehlo offered = { 0 };

	if (reply->code == 250) {
		ehlo_parse(reply, &offered);
	} else if (reply_class(reply->code) != 5) {
		fail(probe, "it does not answer EHLO");
		return;
	}
	if (tls == CONF_TLS_OFF || probe->is_secured) {
		finish(probe, &offered);
		return;
	}
	probe->plain = offered;
	if ((offered.extensions & EXTENSION_BIT(EXTENSION_STARTTLS)) != 0) {
		set_state(probe, PROBE_STARTTLS, probe->backend->reply_us_max);
		buf_append(&probe->out, SPAN_LIT("STARTTLS\r\n"));
		flush(probe);
		return;
	}
	if (tls >= CONF_TLS_REQUIRED)
		probe->plain = (struct ehlo){ 0 };
	finish(probe, &probe->plain);
}

static void
on_received(struct conn *conn, struct span octets)
{
	struct probe *probe = OWNER(conn, struct probe, conn);
	struct reply reply;
	struct span in;

	if (!buf_append(&probe->in, octets)) {
		fail(probe, "its reply is too long");
		return;
	}
	in = buf_span(&probe->in);
	switch (reply_next(&in, &reply)) {
	case REPLY_MORE:
		return;
	case REPLY_BAD:
		fail(probe, "its reply is malformed");
		return;
	case REPLY_READY:
		break;
	}
	if (in.n > 0)
		fail(probe, "it speaks out of turn");
	else if (probe->state == PROBE_BANNER)
		take_banner(probe, &reply);
	else if (probe->state == PROBE_STARTTLS)
		take_starttls(probe, &reply);
	else
		take_ehlo(probe, &reply);
	buf_reset(&probe->in);
}

static void
on_sent(struct conn *conn)
{
	flush(OWNER(conn, struct probe, conn));
}

static void
on_closed(struct conn *conn, int error)
{
	struct probe *probe = OWNER(conn, struct probe, conn);

	/* A session would go on in plain, on a connection of its own. */
	if (probe->state == PROBE_SECURING &&
	    probe->backend->tls == CONF_TLS_OPPORTUNISTIC) {
		keep(probe, &probe->plain);
		conn_abort(conn);
	} else if (error == -EPROTO) {
		fail(probe, conn_failure(conn));
	} else {
		fail(probe, error == 0 ? "it closed" : strerror(-error));
	}
}

static void
on_released(struct conn *conn)
{
	struct probe *probe = OWNER(conn, struct probe, conn);

	if (probe->state == PROBE_STOPPED)
		return;
	probe->at++;
	go_on(probe);
}

static const struct conn_events probe_events = {
	.connected = on_connected,
	.received = on_received,
	.sent = on_sent,
	.secured = on_secured,
	.closed = on_closed,
	.released = on_released,
};

struct probes *
probes_new(const struct probes_host *host, void (*first)(void *owner),
	   void *owner)
{
	size_t count = host->conf->backend_count;
	struct probes *probes =
		calloc(1, sizeof(*probes) + count * sizeof(struct probe));

	if (probes == NULL)
		return NULL;
	probes->conf = host->conf;
	probes->keyring = host->keyring;
	probes->first = first;
	probes->owner = owner;
	probes->unasked = probes->count = count;
	for (size_t i = 0; i < count; i++) {
		struct probe *probe = &probes->probe[i];

		probe->probes = probes;
		probe->backend = &host->conf->backends[i];
		probe->upstream = &host->upstreams[i];
		probe->result = &host->probed[i];
		probe->timer.fire = on_timer;
		buf_init(&probe->in, REPLY_OCTETS_MAX);
		buf_init(&probe->out, COMMANDS_MAX);
		conn_init(&probe->conn, host->ring, host->timers,
			  &probe_events);
		timer_set(host->timers, &probe->timer, AT_ONCE);
	}
	return probes;
}

void
probes_hurry(struct probes *probes, size_t backend)
{
	struct probe *probe = &probes->probe[backend];

	if (probe->state == PROBE_IDLE)
		timer_set(probe->conn.timers, &probe->timer, AT_ONCE);
	else
		probe->is_hurried = true;
}

void
probes_stop(struct probes *probes)
{
	for (size_t i = 0; i < probes->count; i++) {
		struct probe *probe = &probes->probe[i];

		probe->state = PROBE_STOPPED;
		timer_clear(probe->conn.timers, &probe->timer);
		conn_abort(&probe->conn);
	}
}

bool
probes_are_idle(const struct probes *probes)
{
	for (size_t i = 0; i < probes->count; i++)
		if (!conn_is_idle(&probes->probe[i].conn))
			return false;
	return true;
}

void
probes_free(struct probes *probes)
{
	if (probes == NULL)
		return;
	for (size_t i = 0; i < probes->count; i++) {
		buf_fini(&probes->probe[i].in);
		buf_fini(&probes->probe[i].out);
	}
	free(probes);
}
