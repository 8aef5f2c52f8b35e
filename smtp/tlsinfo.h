/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tlsinfo: what is known of one connection's TLS, once it stands.
 *
 * Texts that come from the peer (its server name, the subject of its
 * certificate) are octets of a stranger: printable or not is for whoever
 * writes them down. A zeroed one is a connection without TLS.
 */
#ifndef SMTP_TLSINFO_H
#define SMTP_TLSINFO_H

#include "smtp/span.h"

#define TLSINFO_DIGEST_SIZE 32

struct tlsinfo {
	const char *version; /* "TLSv1.3"; constant. NULL: no TLS */
	const char *cipher;  /* "TLS_AES_256_GCM_SHA384"; constant */
	unsigned bits;       /* of the cipher's key */
	bool is_resumed;
	struct span server_name; /* asked for by the client; empty: none */
	/* The peer's certificate. */
	bool has_certificate;
	bool is_verified;    /* up to a CA, and its name where one was asked */
	struct span subject; /* RFC 2253 */
	uint8_t digest[TLSINFO_DIGEST_SIZE]; /* SHA-256 of the certificate */
};

#endif
