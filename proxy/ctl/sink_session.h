/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sink_session: the dialogue of one connection to `dmarcgatectl sink`.
 *
 * Octets in, octets out, and each whole mail to a function: no socket, so that
 * what it answers can be tested. It is made of the parts that the gate is made
 * of (smtp/command, data, server, reply), takes every sender and recipient,
 * and believes whoever connects: it is for trying things out.
 *
 * Offered: PIPELINING, SIZE, CHUNKING, 8BITMIME, BINARYMIME,
 * ENHANCEDSTATUSCODES, SMTPUTF8, DSN, and XCLIENT with NAME ADDR PORT PROTO
 * HELO LOGIN.
 */
#ifndef PROXY_CTL_SINK_SESSION_H
#define PROXY_CTL_SINK_SESSION_H

#include "smtp/arena.h"
#include "smtp/data.h"
#include "smtp/server.h"
#include "smtp/xclient.h"

#define SINK_MESSAGE_MAX ((uint64_t)256 << 20)
#define SINK_NAME "sink.invalid"

/* The client of a mail, as we were told. */
struct sink_client {
	const char *via; /* "direct", "proxy" or "xclient" */
	struct ip ip;    /* IP_NONE: told to be unknown */
	uint16_t port;
	struct span name; /* empty: unknown */
	bool is_name_temporary;
	struct span helo; /* told by XCLIENT; empty: not told */
	struct span login;
};

struct sink_path {
	struct span address;     /* without <>; empty: the null path */
	struct span *parameters; /* "SIZE=1234" */
	size_t parameter_count;
};

struct sink_mail {
	struct sink_client client;
	struct span helo; /* the argument of HELO or EHLO */
	bool is_extended; /* EHLO */
	struct sink_path from;
	struct sink_path *recipients;
	size_t recipient_count;
	struct span octets; /* of the message, dots unstuffed */
};

/* Takes a mail, which is valid during the call; gives its number, or a
 * negative errno. */
typedef int64_t sink_deliver(void *owner, const struct sink_mail *mail);

struct sink_session {
	sink_deliver *deliver;
	void *owner;
	bool awaits_proxy; /* its header comes first */
	bool is_closing;   /* when the output has been sent */
	bool is_in_chunk;  /* behind a BDAT */
	uint64_t chunk_left;
	bool is_last_chunk;
	struct server_turn refusal; /* of the chunk; code 0: none */
	struct server server;
	struct command_reader reader;
	struct data_decoder decoder;
	struct sink_mail mail; /* under way; client and helo stay */
	struct buf in, out;
	struct buf message;
	struct buf identity; /* what client borrows */
	struct buf greeting; /* what helo borrows */
	struct arena arena;  /* of the mail */
	size_t recipient_cap;
};

/* A connection from a peer; `wants_proxy`: it must begin with a PROXY header.
 * The banner is in `out` unless it waits for that. */
void sink_session_init(struct sink_session *session, bool wants_proxy,
		       const struct ip *ip, uint16_t port,
		       sink_deliver *deliver, void *owner);

/* Octets that came. False without memory: close at once. */
bool sink_session_feed(struct sink_session *session, struct span octets);

void sink_session_fini(struct sink_session *session);

#endif
