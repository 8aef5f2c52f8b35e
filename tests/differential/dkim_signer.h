/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim_signer: RFC 6376 from the signer's side, for tests: written from the
 * RFC and not from dmarc/, so that it may disagree with both engines.
 */
#ifndef TESTS_DKIM_SIGNER_H
#define TESTS_DKIM_SIGNER_H

#include "smtp/buf.h"

enum signer_key {
	SIGNER_RSA_1024,
	SIGNER_RSA_2048,
	SIGNER_ED25519,
	SIGNER_RSA_768, /* RFC 8301 3.2: too weak */
	SIGNER_KEYS,
};

struct signer_signature {
	enum signer_key key;
	bool is_header_relaxed, is_body_relaxed;
	const char *names; /* h= */
	const char *tags;  /* more of them: "; t=1; x=2", or NULL */
	const char *d, *s; /* d NULL: signer.example */
	const char *fold;  /* what stands between tags: " " or "\r\n\t" */
	bool has_length;
	size_t length; /* l= */
	bool is_sha1;  /* a=rsa-sha1 is claimed */
};

/* Read the keys. */
void signer_open(void);
void signer_close(void);

/* The public key as p= has it; and an RSA key as RFC 6376 3.6.1 has that. */
const char *signer_public(enum signer_key key);
const char *signer_bare_public(enum signer_key key);

/* Put a signature in front of the message: *header is all of its fields,
 * each with its CR LF; body is what stands behind the empty line. False if
 * l= asks for more octets than there are. */
bool signer_sign(const struct signer_signature *signature, struct buf *header,
		 struct span body);

#endif
