/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls: octets under TLS on one side, octets of SMTP on the other.
 *
 * An engine of one connection knows no descriptor and never waits: it is shown
 * what arrived, and it appends what has to be sent to its output. Between the
 * two stands OpenSSL over a BIO of ours that reads from the octets shown and
 * writes into the output: nothing is copied on the way that need not be.
 *
 * A context is what connections have in common: certificates and keys of a
 * listener, or whom to believe of a backend. It is made before the workers are
 * forked. A listener's have session tickets by the keys of tickets.h, so that
 * a client may resume with any worker, of this generation or the next.
 *
 * Once the peer has said close_notify, or anything went wrong, no octet is
 * read any more: what follows in plain is nobody's (CVE-2026-45185 was that).
 * Renegotiation and compression are off. TLS 1.2 is the least.
 *
 * RFC 3207, 5246, 6066 (SNI), 8446. The only file that knows <openssl/ssl.h>.
 */
#ifndef PROXY_TLS_H
#define PROXY_TLS_H

#include "proxy/tickets.h"
#include "smtp/buf.h"
#include "smtp/tlsinfo.h"

#define TLS_CERTIFICATES_MAX 64

/* Plain octets that tls_read() gives at most: one record. */
#define TLS_READ_MAX 16384

/* Output that waits to be sent, at most. */
#define TLS_OUTPUT_MAX (512u * 1024)

/* What a handshake may come to hold beyond what it does at its beginning: a
 * peer can announce a message of as much, and OpenSSL makes room for it. */
#define TLS_HANDSHAKE_MAX (128u * 1024)

enum tls_version { TLS_1_2, TLS_1_3 };

/* --- contexts ----------------------------------------------------------- */

/* A certificate, with its chain behind it, and its key: PEM files. */
struct tls_pair {
	struct span certificate;
	struct span key;
};

struct tls_server_setup {
	const struct tls_pair
		*pairs; /* the first serves who asks for no name */
	size_t count;
	enum tls_version version_min;
	/* CA file: clients are asked for a certificate, and need none; empty:
	 * they are not asked. */
	struct span client_ca;
};

struct tls_server;

/* NULL with one sentence in faults (no line end) that names the file. */
struct tls_server *tls_server_new(const struct tls_server_setup *setup,
				  struct buf *faults);
void tls_server_free(struct tls_server *server);

/* Give out and take session tickets by these keys, which outlive it. Before
 * that it has none. */
void tls_server_use_tickets(struct tls_server *server, struct tickets *tickets);

struct tls_client_setup {
	bool is_verifying;
	struct span ca; /* file; empty: the one of the system */
	enum tls_version version_min;
};

struct tls_client;

struct tls_client *tls_client_new(const struct tls_client_setup *setup,
				  struct buf *faults);
void tls_client_free(struct tls_client *client);

/* --- engines ------------------------------------------------------------ */

struct tls;

enum tls_status {
	TLS_DONE,   /* of a handshake: it is; of a read: *plain holds octets */
	TLS_MORE,   /* all that was shown is used up */
	TLS_CLOSED, /* the peer has said that it is over */
	TLS_FAILED, /* tls_failure() says why; an alert may be in the output */
};

/* The context must outlive it. NULL without memory. name is what the peer's
 * certificate is held against, and asked for by SNI unless it is an address;
 * empty: neither. */
struct tls *tls_accept(const struct tls_server *server);
struct tls *tls_connect(const struct tls_client *client, struct span name);
void tls_free(struct tls *tls);

/* Go on with the handshake, with octets that arrived (of a client: at first
 * none). TLS_DONE may leave some in *in, for tls_read(). */
enum tls_status tls_handshake(struct tls *tls, struct span *in);

/* The next plain octets: TLS_DONE, and *plain borrows them until the next call;
 * call again until it is TLS_MORE. Only after the handshake. */
enum tls_status tls_read(struct tls *tls, struct span *in, struct span *plain);

/* Append plain octets, under TLS, to the output. False: no room or memory. */
bool tls_write(struct tls *tls, struct span plain);

/* Append close_notify. */
void tls_end(struct tls *tls);

/* What is to be sent; whoever sends it takes it out. */
struct buf *tls_output(struct tls *tls);

/* After the handshake; borrows from the engine. */
const struct tlsinfo *tls_info(const struct tls *tls);

/* Constant: why it failed. */
const char *tls_failure(const struct tls *tls);

#endif
