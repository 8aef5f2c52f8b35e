/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn: one connection as two bounded streams on the ring.
 *
 * Whatever happens, conn_settle() looks at the whole afterwards and does what
 * is to be done next: the callbacks only write down what they were told.
 */
#include "proxy/conn.h"

#include "proxy/bufstore.h"
#include "proxy/clock.h"
#include "proxy/owner.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>

/* Due at once: the next turn of the loop. */
#define AT_ONCE 1

static void conn_settle(struct conn *conn);

static bool
is_closing(const struct conn *conn)
{
	return conn->state == CONN_FLUSHING || conn->state == CONN_LINGERING;
}

static bool
is_busy(const struct conn *conn)
{
	return conn->is_receiving || conn->is_sending || conn->is_calling;
}

/* The connection is over, for the owner or for good. */
static void
end(struct conn *conn)
{
	assert(conn->state != CONN_IDLE);
	if (conn->state == CONN_ENDING)
		return;
	conn->state = CONN_ENDING;
	if (conn->is_receiving)
		ring_recv_cancel(&conn->recv);
	if (conn->is_sending)
		ring_cancel(conn->ring, &conn->send);
	if (conn->is_calling)
		ring_cancel(conn->ring, &conn->call);
	/* Not here: the owner may be in the midst of something. */
	timer_clear(conn->timers, &conn->timer);
	if (!is_busy(conn))
		timer_set(conn->timers, &conn->timer, AT_ONCE);
}

static void
release(struct conn *conn)
{
	timer_clear(conn->timers, &conn->timer);
	ring_close(conn->ring, conn->fd);
	conn->fd = -1;
	conn->state = CONN_IDLE;
	bufstore_leave(conn->bufs, &conn->sending);
	bufstore_leave(conn->bufs, &conn->rest);
	tls_free(conn->tls);
	conn->tls = NULL;
	conn->events->released(conn);
}

/* The peer's stream is at its end (0), or the connection broke. A peer that
 * only closed its half may still read what we have to say. */
static void
peer_ended(struct conn *conn, int error)
{
	bool is_news = !conn->has_ended;

	conn->has_ended = true;
	if (error != 0)
		conn->has_failed = true;
	if (conn->state == CONN_LINGERING ||
	    (conn->state == CONN_FLUSHING && error != 0))
		end(conn);
	else if (is_news && !is_closing(conn) && conn->state != CONN_ENDING)
		conn->events->closed(conn, error);
}

/* TLS failed: the peer may still hear the engine's alert, but is not heard. */
static void
break_off(struct conn *conn)
{
	if (conn->has_ended || conn->is_broken || conn->state != CONN_OPEN)
		return;
	conn->is_broken = true;
	conn->events->closed(conn, -EPROTO);
}

/* The engine can do no more. An owner who knows that the peer has ended may
 * still wait for what he gave us: it is dropped. */
static void
engine_failed(struct conn *conn)
{
	if (!conn->has_ended)
		break_off(conn);
	else if (!conn->is_sending)
		conn->events->sent(conn);
}

static void
on_timer(struct timer *timer)
{
	struct conn *conn = OWNER(timer, struct conn, timer);

	if (conn->state == CONN_ENDING)
		release(conn);
	else if (conn->state == CONN_OPEN)
		engine_failed(conn);
	else
		end(conn);
}

static void
discard(struct conn *conn, size_t n)
{
	conn->discarded += n;
	if (conn->discarded > CONN_DISCARD_MAX && conn->state == CONN_LINGERING)
		end(conn);
}

static bool
has_come_to_stand(struct conn *conn, struct span *in)
{
	switch (tls_handshake(conn->tls, in)) {
	case TLS_DONE:
		conn->is_secured = true;
		conn->events->secured(conn, tls_info(conn->tls));
		return true;
	case TLS_MORE:
		return false;
	case TLS_CLOSED:
	case TLS_FAILED:
		break_off(conn);
		return false;
	}
	return false;
}

/* What arrived under TLS, to the owner in plain; what stands behind the
 * peer's end, or his refusal, to nobody. */
static void
decrypt(struct conn *conn, struct span in)
{
	struct span plain;

	if (!conn->is_secured && !has_come_to_stand(conn, &in))
		return;
	while (conn->state == CONN_OPEN) {
		switch (tls_read(conn->tls, &in, &plain)) {
		case TLS_DONE:
			conn->events->received(conn, plain);
			break;
		case TLS_MORE:
			return;
		case TLS_CLOSED:
			peer_ended(conn, 0);
			return;
		case TLS_FAILED:
			break_off(conn);
			return;
		}
	}
}

static void
on_received(struct ring_recv *recv, int result, struct span octets)
{
	struct conn *conn = OWNER(recv, struct conn, recv);

	conn->is_receiving = false;
	conn->is_quiet = octets.n < RING_BUFFER_SIZE;
	if (conn->state == CONN_ENDING)
		;
	else if (result <= 0)
		peer_ended(conn, result);
	else if (is_closing(conn))
		discard(conn, octets.n);
	else if (conn->tls != NULL)
		decrypt(conn, octets);
	else
		conn->events->received(conn, octets);
	conn_settle(conn);
}

static void
receive(struct conn *conn)
{
	conn->is_receiving = true;
	ring_recv(conn->ring, &conn->recv, conn->fd, conn->is_quiet);
}

static void
transmit(struct conn *conn)
{
	conn->is_sending = true;
	ring_send(conn->ring, &conn->send, conn->fd, buf_span(&conn->sending));
}

static void
on_sent(struct op *op, int result, uint32_t flags)
{
	struct conn *conn = OWNER(op, struct conn, send);

	(void)flags;
	conn->is_sending = false;
	if (result > 0)
		buf_consume(&conn->sending, (size_t)result);
	else
		peer_ended(conn, result == 0 ? -EPIPE : result);
	if (conn->sending.n > 0 && !conn->has_failed &&
	    conn->state != CONN_ENDING) {
		transmit(conn);
		return;
	}
	/* One that is idle holds none. */
	bufstore_leave(conn->bufs, &conn->sending);
	if (conn->state == CONN_OPEN)
		conn->events->sent(conn);
	conn_settle(conn);
}

static void
on_connected(struct conn *conn, int result)
{
	if (conn->state != CONN_CONNECTING)
		return;
	if (result < 0) {
		peer_ended(conn, result);
		return;
	}
	conn->state = CONN_OPEN;
	conn->events->connected(conn);
}

static void
on_called(struct op *op, int result, uint32_t flags)
{
	struct conn *conn = OWNER(op, struct conn, call);

	(void)flags;
	conn->is_calling = false;
	on_connected(conn, result);
	conn_settle(conn);
}

/* All is sent. If the peer closed before, nothing of its can be unread, and
 * there is nothing to wait for. FIN by a call of its own: it waits for nothing,
 * but a ring of Linux 6.1 would hand it to a thread. A failure means that the
 * peer is gone: the recv tells. */
static void
finish(struct conn *conn)
{
	if (conn->has_ended) {
		end(conn);
		return;
	}
	conn->state = CONN_LINGERING;
	(void)shutdown(conn->fd, SHUT_WR);
	timer_set(conn->timers, &conn->timer,
		  clock_monotonic_us() + CONN_LINGER_US_MAX);
}

/* A buf that was never used has no limit of its own yet: it takes over that
 * of its peer, since an exchange gives it to him. */
static void
take(struct buf *buf, struct buf *output)
{
	if (buf->p == NULL)
		buf_init(buf, output->max);
	buf_swap(buf, output);
}

/* The engine's output keeps a limit that has room for all that is encrypted. */
static void
take_encrypted(struct conn *conn, struct buf *buf)
{
	struct buf *output = tls_output(conn->tls);

	take(buf, output);
	output->max = TLS_OUTPUT_MAX;
}

/* While flushing: the rest, or FIN behind it. */
static void
flush(struct conn *conn)
{
	if (conn->is_sending)
		return;
	if (conn->rest.n > 0 && !conn->has_failed) {
		buf_swap(&conn->sending, &conn->rest);
		transmit(conn);
		return;
	}
	finish(conn);
}

static bool
may_receive(const struct conn *conn)
{
	if (conn->is_receiving || conn->has_ended)
		return false;
	if (is_closing(conn))
		return conn->discarded <= CONN_DISCARD_MAX;
	return conn->state == CONN_OPEN && !conn->is_broken &&
	       (conn->is_wanting || (conn->tls != NULL && !conn->is_secured));
}

/* What had to go out in plain before TLS, then what its engine has to say. */
static void
send_engine(struct conn *conn)
{
	if (conn->is_sending || conn->has_failed || conn->state != CONN_OPEN)
		return;
	if (conn->rest.n > 0)
		buf_swap(&conn->sending, &conn->rest);
	else if (tls_output(conn->tls)->n > 0)
		take_encrypted(conn, &conn->sending);
	else
		return;
	transmit(conn);
}

static void
conn_settle(struct conn *conn)
{
	if (conn->state == CONN_FLUSHING)
		flush(conn);
	if (conn->tls != NULL)
		send_engine(conn);
	if (may_receive(conn))
		receive(conn);
	/* end() has set the timer if nothing was under way then. */
	if (conn->state == CONN_ENDING && !is_busy(conn) &&
	    !timer_is_set(&conn->timer))
		release(conn);
}

void
conn_init(struct conn *conn, struct ring *ring, struct timers *timers,
	  const struct conn_events *events)
{
	*conn = (struct conn){
		.ring = ring,
		.timers = timers,
		.events = events,
		.fd = -1,
		.recv.done = on_received,
		.send.done = on_sent,
		.call.done = on_called,
		.timer.fire = on_timer,
	};
}

/* Back to the start, as after conn_init(), but for what it was given there. */
static void
conn_reset(struct conn *conn)
{
	struct bufstore *bufs = conn->bufs;

	assert(conn->state == CONN_IDLE);
	conn_init(conn, conn->ring, conn->timers, conn->events);
	conn->bufs = bufs;
	/* Nobody speaks at once: a client waits for our banner. */
	conn->is_quiet = true;
}

void
conn_open(struct conn *conn, int fd)
{
	conn_reset(conn);
	conn->fd = fd;
	conn->state = CONN_OPEN;
}

void
conn_take(struct conn *conn, struct span octets)
{
	assert(conn->state == CONN_OPEN);
	if (conn->tls != NULL)
		decrypt(conn, octets);
	else
		conn->events->received(conn, octets);
	conn_settle(conn);
}

/* Commands and replies are composed whole before they are sent, so Nagle's
 * algorithm could only delay them. An old kernel's refusal costs no more. */
static void
no_delay(int fd)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void
start_connect(struct conn *conn, int fd, const struct ip *ip, uint16_t port)
{
	socklen_t length = endpoint_make(&conn->address, ip, port);

	no_delay(fd);
	conn->fd = fd;
	conn->state = CONN_CONNECTING;
	conn->is_calling = true;
	ring_connect(conn->ring, &conn->call, fd, &conn->address.any, length);
}

/* The port is chosen at the connect: one that is free for that peer. */
static bool
bind_source(int fd, const struct ip *source)
{
	bool is_v6 = source->family == IP_V6;
	union endpoint address;
	socklen_t length = endpoint_make(&address, source, 0);
	int on = 1;

	return setsockopt(fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP,
			  is_v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on,
			  sizeof(on)) == 0 &&
	       setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
			  sizeof(on)) == 0 &&
	       bind(fd, &address.any, length) == 0;
}

int
conn_connect_as(struct conn *conn, const struct ip *source, const struct ip *ip,
		uint16_t port)
{
	int fd;

	conn_reset(conn);
	if (source->family == IP_NONE || source->family != ip->family)
		return -EPERM;
	fd = socket(source->family == IP_V6 ? AF_INET6 : AF_INET,
		    SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!bind_source(fd, source)) {
		ring_close(conn->ring, fd);
		return -EPERM;
	}
	start_connect(conn, fd, ip, port);
	return 0;
}

int
conn_connect(struct conn *conn, const struct ip *ip, uint16_t port)
{
	int fd;

	conn_reset(conn);
	fd = socket(ip->family == IP_V6 ? AF_INET6 : AF_INET,
		    SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	start_connect(conn, fd, ip, port);
	return 0;
}

void
conn_local(const struct conn *conn, struct ip *ip, uint16_t *port)
{
	assert(conn->state == CONN_OPEN);
	endpoint_local(conn->fd, ip, port);
}

void
conn_peer(const struct conn *conn, struct ip *ip, uint16_t *port)
{
	assert(conn->state == CONN_OPEN);
	endpoint_read(&conn->address, ip, port);
}

void
conn_want(struct conn *conn, bool is_wanting)
{
	conn->is_wanting = is_wanting;
	if (may_receive(conn))
		receive(conn);
}

/* Not from within the owner's call. */
static void
fail_engine_later(struct conn *conn)
{
	timer_set(conn->timers, &conn->timer, AT_ONCE);
}

/* Into the engine's output. Where there is no room for all, the records that
 * found some still go out, and no end of TLS behind them: whatever the last
 * octet belongs to is cut short, and cannot be taken for whole. */
static bool
encrypt(struct conn *conn, struct buf *output)
{
	bool is_written;

	assert(conn->is_secured);
	is_written = tls_write(conn->tls, buf_span(output));
	buf_reset(output);
	if (!is_written)
		fail_engine_later(conn);
	return is_written;
}

/* The last octets, and that they are; what still waits to go out in plain
 * stays before them. */
static void
encrypt_end(struct conn *conn, struct buf *output)
{
	struct buf *encrypted = tls_output(conn->tls);

	if (output != NULL && conn->is_secured)
		tls_write(conn->tls, buf_span(output));
	if (output != NULL)
		buf_reset(output);
	tls_end(conn->tls);
	if (conn->rest.n > 0)
		buf_append(&conn->rest, buf_span(encrypted));
	else if (encrypted->n > 0)
		take_encrypted(conn, &conn->rest);
}

void
conn_send(struct conn *conn, struct buf *output)
{
	assert(!conn->is_sending);
	assert(conn->state == CONN_OPEN);
	if (output->n == 0)
		return;
	if (conn->tls != NULL && !encrypt(conn, output))
		return;
	if (conn->tls != NULL)
		take_encrypted(conn, &conn->sending);
	else
		take(&conn->sending, output);
	transmit(conn);
}

void
conn_secure(struct conn *conn, struct buf *output, struct tls *tls)
{
	struct span none = SPAN_NONE;

	assert(conn->state == CONN_OPEN && conn->tls == NULL);
	if (output->n > 0)
		take(&conn->rest, output);
	conn->tls = tls;
	/* A client's first words; a server has none. */
	if (tls_handshake(tls, &none) == TLS_FAILED)
		fail_engine_later(conn);
	conn_settle(conn);
}

const char *
conn_failure(const struct conn *conn)
{
	return conn->tls == NULL ? "" : tls_failure(conn->tls);
}

void
conn_close(struct conn *conn, struct buf *output)
{
	if (conn->state == CONN_CONNECTING) {
		end(conn);
		return;
	}
	if (conn->state != CONN_OPEN)
		return;
	if (conn->tls != NULL)
		encrypt_end(conn, output);
	else if (output != NULL && output->n > 0)
		take(&conn->rest, output);
	/* Nothing more is said, and nothing that comes is read. */
	tls_free(conn->tls);
	conn->tls = NULL;
	conn->state = CONN_FLUSHING;
	timer_set(conn->timers, &conn->timer,
		  clock_monotonic_us() + CONN_FLUSH_US_MAX);
	conn_settle(conn);
}

size_t
conn_memory(const struct conn *conn)
{
	size_t held = conn->sending.cap + conn->rest.cap;

	if (conn->tls != NULL)
		held += tls_output(conn->tls)->cap;
	if (conn->tls != NULL && !conn->is_secured)
		held += TLS_HANDSHAKE_MAX;
	return held;
}

void
conn_abort(struct conn *conn)
{
	if (conn->state != CONN_IDLE)
		end(conn);
}

int
conn_detach(struct conn *conn)
{
	int fd = conn->fd;

	assert(conn->state == CONN_OPEN && !is_busy(conn));
	conn->state = CONN_IDLE;
	conn->fd = -1;
	return fd;
}
