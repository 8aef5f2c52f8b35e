/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backend: one connection to an MTA, from the connect to the QUIT.
 *
 * Reaches the MTA with the client's identity, greets it with the client's own
 * words, and carries one envelope at a time. It is pure: octets of the MTA go
 * in, commands come out in a buf, and news are told to the session.
 *
 *   NONE -> CONNECTING -> BANNER -> [HELLO -> [STARTTLS -> SECURING -> HELLO]
 *        -> [[NAMING ->] IDENTIFYING]] -> UP
 *     with PROXY and no TLS: BANNER -> PROVING -> UP
 *     any state: -> LOST (closed, refused, timed out, not to be trusted)
 *
 * Identity fails closed (design, promise 6). With XCLIENT: our EHLO must offer
 * it with ADDR and the answer must be 220. With PROXY: our NOOP, or our EHLO
 * where TLS needs one, must be answered 250, once: an MTA that does not speak
 * PROXY answers the header itself as a command, and its 5xx stands where the
 * 250 should.
 *
 * TLS (design, tls = …): octets behind the 220 to STARTTLS are nobody's, and
 * what EHLO said before is forgotten. Required and not to be had, the backend
 * is DOWN; opportunistic, it is used in plain, on a new connection where the
 * handshake failed.
 *
 * An envelope is sent as far as it is known, and again after a reconnect:
 * recipients that were accepted before must be accepted again, and no keyword
 * in use may be gone; else the backend is CHANGED and the mail fails for now.
 *
 * A reply that nothing asked for, or that is none, ends it: what comes behind
 * it could be taken for the answer to another command. The session closes the
 * client as well.
 *
 * 421 may come at any point (RFC 5321 3.8). As the reply to a command that the
 * client waits for it is the client's. Else the backend is LOST, and reached
 * again; or DOWN, as long as it has not answered a greeting: then its next
 * address is tried.
 */
#ifndef PROXY_BACKEND_H
#define PROXY_BACKEND_H

#include "proxy/conf.h"
#include "proxy/log.h"
#include "proxy/upstream.h"
#include "smtp/client.h"
#include "smtp/command.h"
#include "smtp/extension.h"
#include "smtp/xclient.h"

enum backend_state {
	BACKEND_NONE,
	BACKEND_CONNECTING,
	BACKEND_BANNER,
	BACKEND_PROVING, /* NOOP is under way, behind a PROXY header */
	BACKEND_HELLO,
	BACKEND_STARTTLS, /* asked for */
	BACKEND_SECURING, /* the handshake is under way */
	BACKEND_NAMING,   /* all is ready for XCLIENT but the client's name */
	BACKEND_IDENTIFYING,
	BACKEND_UP,
	BACKEND_LOST,
};

/* Who the client is, as the MTA shall see it. Owned by the session. */
struct backend_identity {
	struct xclient client;
	struct ip local_ip; /* where the client connected to */
	uint16_t local_port;
	bool is_name_known;   /* client.name is final */
	struct span gate;     /* our host name */
	struct span greeting; /* the client's "EHLO name" CR LF; or empty */
};

enum recipient_state {
	RECIPIENT_NEW, /* the client waits for its reply */
	RECIPIENT_ACCEPTED,
	RECIPIENT_REFUSED,
};

struct recipient {
	struct span line;    /* the RCPT command with CR LF */
	struct span address; /* without <> */
	unsigned extensions; /* bits: keywords its parameters use */
	enum recipient_state state;
};

/* One envelope. Lines live in the mail's arena. */
struct envelope {
	struct span sender_line; /* the MAIL command; empty: none */
	unsigned extensions;     /* bits: keywords it uses for all */
	struct recipient *recipients;
	size_t count;
	size_t accepted;
};

enum backend_step {
	STEP_NONE,
	STEP_SENT,
	STEP_OK,
	STEP_REFUSED,
};

struct backend {
	enum backend_state state;
	const struct conf_backend *conf;
	size_t index;                  /* of conf */
	struct upstream_target target; /* that it is tried at; id 0: none */
	struct client client;
	struct buf in;    /* octets not used yet, between steps */
	struct span live; /* octets of this step, while `in` is empty */
	size_t used;      /* of these, that the last answer borrows */
	struct ehlo ehlo; /* of its last reply to EHLO */
	unsigned banner_code;
	struct buf banner; /* text of its last 220, or of what came instead */
	bool is_secured;
	const char *tls_version;    /* then; constant */
	bool has_tls_failed;        /* in its handshake */
	bool skips_tls;             /* it failed before; set by the session */
	enum backend_step greeting; /* the client's HELO or EHLO */
	bool has_greeted;           /* one was accepted here */
	enum backend_step sender;
	size_t sent;  /* recipients of the envelope gone over */
	size_t acked; /* accepted recipients confirmed on this connection */
	size_t in_flight;
	bool has_content;   /* all of a message has left: set by the session */
	uint64_t since_us;  /* last progress, or start of connecting; the
			       session moves it when it sends or drains */
	bool is_distrusted; /* it was lost by a reply that nobody asked for,
			       or that is none */
	bool has_refused;   /* it was lost by a refusal: of us, or, once it
			       knows it, of the client */
	/* Why it was lost, for the event log. */
	enum log_event failure;
	const char *reason; /* constant */
};

/* What backend_next() tells. */
enum backend_news {
	NEWS_NONE,
	NEWS_SECURE,    /* begin TLS; then backend_secured() */
	NEWS_UP,        /* identified; nothing of the client was sent yet */
	NEWS_GREETING,  /* reply to the client's HELO or EHLO */
	NEWS_LOGIN,     /* reply to AUTH, or to a response */
	NEWS_SENDER,    /* reply to MAIL */
	NEWS_RECIPIENT, /* reply to RCPT: tag is its index */
	NEWS_DATA,      /* reply to DATA */
	NEWS_CONTENT,   /* reply to the end of data, or to BDAT LAST (or before
			   it) */
	NEWS_LOST,      /* failure and reason say why; once */
};

void backend_init(struct backend *backend);
/* As after init; the memory is kept. */
void backend_clear(struct backend *backend);
void backend_fini(struct backend *backend);

/* Start to reach a backend; the caller opens the connection. Without a target
 * (NULL) it is lost at once: no address of it is known. */
void backend_connect(struct backend *backend, const struct conf *conf,
		     size_t index, const struct upstream_target *target,
		     uint64_t now_us);

/* The connection is up. False if out is full. */
bool backend_connected(struct backend *backend,
		       const struct backend_identity *identity,
		       struct buf *out);

/* TLS stands. False if out is full. */
bool backend_secured(struct backend *backend,
		     const struct backend_identity *identity, struct buf *out);

/* Octets came. They stay where they are until backend_keep(). */
void backend_octets(struct backend *backend, struct span octets,
		    uint64_t now_us);

/* The step is over: what backend_next() has not used is copied. False without
 * memory: then it is LOST. */
bool backend_keep(struct backend *backend);

/* What came and was not used, behind the last answer. */
static inline struct span
backend_unread(const struct backend *backend)
{
	return span_after(backend->in.n > 0 ? buf_span(&backend->in)
					    : backend->live,
			  backend->used);
}

/* The peer closed, or the connection failed, or time is up. */
void backend_closed(struct backend *backend, enum log_event failure,
		    const char *reason);

/* The peer closed, or its connection failed: LOST or DOWN, as above. */
void backend_hung_up(struct backend *backend);

/* It refused what it took before, for this reason; or, with 421, it is LOST or
 * DOWN, as above. */
void backend_refused(struct backend *backend, const struct reply *reply,
		     const char *reason);

/*
 * The next piece of news. *answer's reply is valid until the next call of a
 * backend_ function. Call until NEWS_NONE. Internal steps (identification)
 * write to out.
 */
enum backend_news backend_next(struct backend *backend,
			       const struct backend_identity *identity,
			       struct buf *out, struct client_answer *answer);

/*
 * Bring the connection forward as far as the envelope is known and the peer
 * allows: greeting, MAIL, RCPTs not sent yet. Refused recipients are passed
 * over. envelope may be NULL (greeting only). Idempotent.
 */
void backend_pump(struct backend *backend,
		  const struct backend_identity *identity,
		  const struct envelope *envelope, struct buf *out);

/* AUTH, or the response to a challenge, with its CR LF. False, and nothing is
 * sent, if out is full or the line has overflowed. */
bool backend_login(struct backend *backend, const struct buf *line,
		   struct buf *out, uint64_t now_us);

/* Whether it has answered the greeting and does not offer a keyword that the
 * sender or a recipient uses; one that was refused uses nothing. `lacks_one`
 * looks at the sender and the last recipient only. */
bool backend_lacks(const struct backend *backend,
		   const struct envelope *envelope);
bool backend_lacks_one(const struct backend *backend,
		       const struct envelope *envelope);

/* Whether it was lost because the message is binary and it takes no such
 * (RFC 3030 3): trying again would not help. */
bool backend_lacks_binary(const struct backend *backend,
			  const struct envelope *envelope);

/* What of its EHLO reply counts: of one that is to get no BDAT neither
 * CHUNKING nor BINARYMIME, of one that need not prove its name, no REQUIRETLS
 * (RFC 8689 4.2.1). */
struct ehlo backend_ehlo(const struct conf_backend *conf,
			 const struct ehlo *ehlo);

/* Whether every accepted recipient of the envelope has been accepted on this
 * connection and nothing is outstanding: DATA may be sent. */
bool backend_is_ready(const struct backend *backend,
		      const struct envelope *envelope);

/* DATA; then, once its content has been encoded into out, note that the reply
 * to it is awaited. Nothing else may be outstanding. */
bool backend_data(struct backend *backend, struct buf *out);
bool backend_content(struct backend *backend, struct buf *out);

/* "BDAT octets LAST": the reply to it, once the octets of the message have been
 * encoded into out, is NEWS_CONTENT. Nothing else may be outstanding. */
bool backend_chunk(struct backend *backend, uint64_t octets, struct buf *out);

/* Drop the envelope: RSET if one was begun. */
void backend_drop(struct backend *backend, struct buf *out, uint64_t now_us);

/* The envelope is over, or was never taken: nothing to undo there. */
void backend_forget(struct backend *backend);

/* QUIT, if it is up and nothing is outstanding; it counts as NONE from then
 * on, and the caller closes after sending. */
void backend_quit(struct backend *backend, struct buf *out);

static inline bool
backend_is_alive(const struct backend *backend)
{
	return backend->state != BACKEND_NONE && backend->state != BACKEND_LOST;
}

/* When it is taken as dead, on the caller's clock; 0 for never. */
uint64_t backend_deadline(const struct backend *backend);

/* That time has come. */
void backend_overdue(struct backend *backend);

#endif
