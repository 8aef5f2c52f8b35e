/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session: one client connection, as a pure machine: events in, actions out.
 *
 * It pairs the client-facing dialogue (smtp/server) with the backend-facing
 * one (proxy/backend), holds the mail while it arrives, has it judged
 * (dmarc/eval), enforces the verdict, and composes the verdict line. It knows
 * no descriptor, ring, file or name server; time comes from a clock it is
 * given. Whoever drives it (the worker; the replay harness; the simulator):
 *
 *     session_step(session, &event);
 *     while (session_next(session, &action))
 *             carry it out, or start to;
 *     for each side: send what session_output() holds, one send at a time,
 *             and keep one recv armed while session_wants() says so;
 *     arm one timer for session_deadline().
 *
 * Three sides: the client, the backend, and a second backend that a
 * quarantined message may be diverted to.
 *
 * Promises (design section 1): no 2xx to the end of data before the backend's
 * own; the octets judged are the octets delivered; the client's identity
 * fails closed; one verdict line per end of data, written before the reply
 * leaves; every session ends.
 *
 * After an action ACT_END nothing but session_free() may be called.
 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include "dmarc/answers.h"
#include "dmarc/dkim.h"
#include "proxy/conf.h"
#include "proxy/log.h"
#include "proxy/stats.h"
#include "proxy/upstream.h"
#include "smtp/extension.h"
#include "smtp/tlsinfo.h"

enum session_side { SIDE_CLIENT, SIDE_BACKEND, SIDE_DIVERT, SIDE_COUNT };

struct bufstore;
struct stock;

/* What all sessions of one worker share. Outlives them. */
struct session_host {
	const struct conf *conf;
	const struct eval_settings *rules;
	struct dkim_engine *dkim;   /* one for each worker */
	struct dkim_engine *second; /* the other engine; NULL: not asked */
	const struct ehlo *probed;  /* by backend index: its last EHLO */
	struct upstream *upstreams; /* by backend index: its targets */
	struct upstream_dice dice;  /* among them; none: the first */
	struct stats *stats;
	struct stock *stock;   /* what they leave for the next; or NULL */
	struct bufstore *bufs; /* the same, of bufs */
	/* Whether verdict lines cannot be written now; may be NULL. */
	const bool *is_spool_full;
	/* Whether sessions hold all the memory they may; may be NULL. */
	const bool *is_memory_full;
	/* One more mail of this client: whether that is within its rate. May
	 * be NULL. */
	bool (*take_message)(void *limits, const struct ip *client);
	void *limits;
	uint64_t (*monotonic_us)(void *clock);
	uint64_t (*wall_us)(void *clock); /* since the epoch */
	void *clock;
};

/* What is known of the client when it connects. Copied. */
struct session_peer {
	const struct conf_listener *listener;
	struct ip ip;
	uint16_t port;
	bool is_proxied;    /* ip and port came in a PROXY header */
	struct ip local_ip; /* where it connected to */
	uint16_t local_port;
	struct span id; /* unique; the prefix of its mails' ids; ≤ 24 octets */
};

enum session_event_kind {
	SESSION_START,     /* once, first */
	SESSION_CONNECTED, /* side: the connection asked for is up */
	SESSION_OCTETS,    /* side, octets: they arrived */
	SESSION_CLOSED,    /* side, error: the peer closed, or reset, or the
			      connect failed (error, then no CONNECTED; -EUSERS:
			      the backend has as many connections as it may), or
			      TLS did (then reason, constant, says how) */
	SESSION_SECURED,   /* side, tls: TLS stands, as ACT_SECURE asked for */
	SESSION_SENT,     /* side: all that was taken from the output is sent */
	SESSION_ANSWER,   /* ticket, answer: of an ACT_ASK. ANSWERED follows */
	SESSION_ANSWERED, /* all answers that are at hand have been told: the
			     evaluation goes on */
	SESSION_SPOOLED,  /* error: of an ACT_SPOOL */
	SESSION_WRITTEN,  /* error: of an ACT_BODY_WRITE */
	SESSION_READ,     /* octets or error, ticket = offset: of an
			     ACT_BODY_READ */
	SESSION_TIMER,    /* the deadline has passed */
	SESSION_DRAIN,    /* end between mails: 421 to whoever begins another
			     one, or is silent; the first may be sent */
};

struct session_event {
	enum session_event_kind kind;
	enum session_side side;
	int error; /* 0 or a negative errno */
	struct span octets;
	uint64_t ticket;
	const struct answer *answer;
	const struct tlsinfo *tls; /* valid during the step */
	const char *reason;        /* or NULL */
};

enum session_act {
	ACT_CONNECT,    /* side, backend, address, ip, port: open a connection;
			   ip of no family: to the original destination */
	ACT_SECURE,     /* side; of a backend: backend, address. Take the output
			   now; when it has been sent, TLS begins */
	ACT_CLOSE,      /* side: take the output now; when it has been sent,
			   close. No event of that side is wanted any more */
	ACT_ABORT,      /* side: close at once, drop the output */
	ACT_ASK,        /* name, type, ticket: look it up */
	ACT_FORGET,     /* ticket and all with its generation: no one waits */
	ACT_SPOOL,      /* octets: append this verdict line */
	ACT_BODY_WRITE, /* octets, offset: append to the mail's file */
	ACT_BODY_READ,  /* offset, length: read from it */
	ACT_BODY_DROP,  /* the file's contents are not needed any more */
	ACT_EVENT,      /* event, octets: write to the event log */
	ACT_END,        /* the session is over: free it */
};

/* A ticket is generation << 16 | index; a generation is one mail (or the
 * connection itself). */
struct session_action {
	enum session_act act;
	enum session_side side;
	size_t backend; /* index into conf->backends */
	size_t address; /* index into its addresses */
	union {
		struct {              /* of ACT_CONNECT */
			struct ip ip; /* what the address stands for */
			uint16_t port;
			bool is_as_client; /* from this address, or not */
			struct ip source;
		};
		struct {                    /* of all others */
			struct span octets; /* valid until the event that
					       answers it; for ACT_EVENT until
					       the next session_ call */
			uint64_t offset;
			size_t length;
			struct span name; /* valid until the answer or
					     ACT_FORGET */
			enum dns_type type;
			enum log_event event;
			uint64_t ticket;
		};
	};
};

struct session;

/* A session at its start, or NULL without memory. */
struct session *session_new(const struct session_host *host,
			    const struct session_peer *peer);
void session_free(struct session *session);

void session_step(struct session *session, const struct session_event *event);
bool session_next(struct session *session, struct session_action *action);

/* Octets to be sent to a side. The driver takes them out (buf_swap or
 * buf_consume) and says SESSION_SENT when all that it took has been sent. */
struct buf *session_output(struct session *session, enum session_side side);

/* Whether octets of that side can be taken now. False is backpressure. A
 * driver may deliver what it had already received, up to
 * SESSION_OCTETS_MAX at a time. */
bool session_wants(const struct session *session, enum session_side side);
#define SESSION_OCTETS_MAX 16384

/* When SESSION_TIMER is due, on the monotonic clock; 0 for never. */
uint64_t session_deadline(const struct session *session);

/* Octets of memory it holds now, for the worker's ceiling and the tests. */
size_t session_memory(const struct session *session);

#endif
