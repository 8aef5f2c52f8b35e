/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn: one connection as two bounded streams on the ring.
 *
 *   IDLE -> CONNECTING -> OPEN -> FLUSHING -> LINGERING -> ENDING -> IDLE
 *   accepted: IDLE -> OPEN       any state -> ENDING (abort, failure)
 *
 * In: a recv is under way only while the owner wants octets, and holds a
 * buffer only once there are some; what it brought is given to the owner
 * whole, at most RING_BUFFER_SIZE octets, even if he stopped wanting since.
 * Out: one buf at a time, taken from the owner by exchange, never copied; the
 * bound is the owner's own. Under TLS it is encrypted at once.
 *
 * Closing is orderly: what is left is sent, then FIN, then whatever the peer
 * still sends is read and dropped until it closes as well. A close with octets
 * unread would make the kernel send RST, which can destroy the last reply (a
 * 550 that nobody sees) on its way. All of it is bounded in time and octets.
 *
 * TLS begins where the owner says so: what was given to be sent before goes
 * out in plain, all that arrives from then on is the peer's part of the
 * handshake or under its protection. The owner sees plain octets only, and no
 * descriptor, so nothing of it can bypass the engine (tls.h). What the engine
 * itself has to say goes out by the same sends.
 */
#ifndef PROXY_CONN_H
#define PROXY_CONN_H

#include "proxy/endpoint.h"
#include "proxy/ring.h"
#include "proxy/timer.h"
#include "proxy/tls.h"

struct bufstore;

struct conn;

/*
 * What the owner is told, never from within a conn_ call. After conn_close()
 * or conn_abort() only `released` follows.
 */
struct conn_events {
	void (*connected)(struct conn *conn);
	void (*received)(struct conn *conn, struct span octets);
	/* What conn_send() took has been sent, or dropped after `closed`. Also
	 * when what the TLS engine had to say has been. */
	void (*sent)(struct conn *conn);
	/* TLS stands; info is the engine's. May be NULL where it is not used.
	 */
	void (*secured)(struct conn *conn, const struct tlsinfo *info);
	/* Once: the peer ended its stream (0; it may still read), or the
	 * connection or the attempt to make it failed (a negative errno;
	 * -EPROTO where TLS did, see conn_failure()). The owner has to close or
	 * abort. */
	void (*closed)(struct conn *conn, int error);
	/* The last operation has completed: the conn may be freed. */
	void (*released)(struct conn *conn);
};

enum conn_state {
	CONN_IDLE, /* no socket */
	CONN_CONNECTING,
	CONN_OPEN,
	CONN_FLUSHING,  /* sends what is left, then FIN */
	CONN_LINGERING, /* FIN is sent */
	CONN_ENDING,    /* waits for its operations */
};

struct conn {
	struct ring *ring;
	struct timers *timers;
	const struct conn_events *events;
	struct bufstore *bufs; /* takes the memory of what was sent; or NULL */
	enum conn_state state;
	int fd;
	bool is_wanting;
	bool is_receiving;
	bool is_sending;
	bool is_calling;  /* a connect is under way */
	bool has_ended;   /* `closed` was told, or would have been */
	bool has_failed;  /* nothing can be sent any more */
	bool is_quiet;    /* the last recv emptied the socket */
	size_t discarded; /* octets read while closing */
	struct ring_recv recv;
	struct op send;
	struct op call; /* connect */
	union endpoint address;
	struct buf sending;
	struct buf rest; /* what conn_close() was left with */
	struct timer timer;
	struct tls *tls; /* NULL: plain */
	bool is_secured; /* the handshake is done */
	bool is_broken;  /* TLS failed: what still comes is thrown away */
};

/* From close to FIN; from FIN to the end; octets dropped meanwhile. */
#define CONN_FLUSH_US_MAX 30000000
#define CONN_LINGER_US_MAX 2000000
#define CONN_DISCARD_MAX ((size_t)1 << 20)

void conn_init(struct conn *conn, struct ring *ring, struct timers *timers,
	       const struct conn_events *events);

/* Take over an accepted socket. */
void conn_open(struct conn *conn, int fd);

/* Octets that were received before the conn took over the socket: `received`
 * is told of them (from within this call), or the TLS engine is shown them.
 * While open. */
void conn_take(struct conn *conn, struct span octets);

/* Start to connect: 0, and `connected` or `closed` follows; or the negative
 * errno of socket(2), and nothing follows. */
int conn_connect(struct conn *conn, const struct ip *ip, uint16_t port);

/* The same from an address that is not ours: -EPERM where that cannot be, for
 * want of the right, of an address, or of one of that family. */
int conn_connect_as(struct conn *conn, const struct ip *source,
		    const struct ip *ip, uint16_t port);

/* Of one that connected, while open: our own end and the peer's. IP_NONE where
 * one is not known. */
void conn_local(const struct conn *conn, struct ip *ip, uint16_t *port);
void conn_peer(const struct conn *conn, struct ip *ip, uint16_t *port);

/* Whether octets are wanted from now on. */
void conn_want(struct conn *conn, bool is_wanting);

/* Begin TLS, once output (it is taken) has been sent; `secured` or `closed`
 * follows. The engine becomes the conn's. While open; once. Nothing may be
 * given to be sent before `secured`. */
void conn_secure(struct conn *conn, struct buf *output, struct tls *tls);

/* Constant: why TLS failed; empty where it did not. */
const char *conn_failure(const struct conn *conn);

/* Whether a send is still under way. */
static inline bool
conn_is_sending(const struct conn *conn)
{
	return conn->is_sending;
}

/* Take the contents of output, leaving it empty with its limits, and send
 * them. Only while none is under way and the conn is open. */
void conn_send(struct conn *conn, struct buf *output);

/* Close once what is under way and what output still holds (it is taken) has
 * been sent; output may be NULL. */
void conn_close(struct conn *conn, struct buf *output);

/* Octets it holds, but for itself and what OpenSSL does (cryptomem.h); with a
 * handshake under way, what that may come to hold. */
size_t conn_memory(const struct conn *conn);

/* Close now and drop what was not sent. */
void conn_abort(struct conn *conn);

/* Give the socket to somebody else: its descriptor, and the conn is idle.
 * Only while open with no operation under way, so inside `received` when
 * nothing is being sent. `released` is not called. */
int conn_detach(struct conn *conn);

/* Whether there is anything to release: no call of `released` is to come for
 * one that is idle. */
static inline bool
conn_is_idle(const struct conn *conn)
{
	return conn->state == CONN_IDLE;
}

#endif
