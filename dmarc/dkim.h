/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim: every DKIM signature of a message, verified as it streams past.
 *
 * Give it the header when that is complete, then the body; the questions for
 * the keys can be asked as soon as the header is there, and
 * dkim_check_finish() judges each signature once, when body and keys are in.
 * Behind it stands an engine: our own (dkim_native.c), or libopendkim.
 *
 * Never pass: rsa-sha1, RSA keys under 1024 bits, a signature whose body hash
 * or header hash fails or that the engine reports any error for, one without
 * From in h=, one that leaves a second Subject or the like unsigned (see
 * dkim_surplus.h). Caps, applied before the engine is asked for anything:
 * signatures, names in h=, octets of the header that are hashed for all of
 * them, different body hashes (a hostile message costs seconds otherwise);
 * what is over a cap is reported as policy, not verified.
 *
 * Results follow RFC 8601 2.7.1: neutral is a signature that cannot be read,
 * permerror one without a usable key or out of its time, policy one that we
 * do not accept.
 *
 * RFC 6376, 8301, 8463, 8616. The prefix is dkim_check_, since libopendkim
 * exports dkim_header(), dkim_body() and others.
 */
#ifndef DMARC_DKIM_H
#define DMARC_DKIM_H

#include "dmarc/answers.h"
#include "smtp/message.h"

#define DKIM_SIGNATURES_MAX 16  /* verified */
#define DKIM_LISTED_MAX 32      /* reported, with those over the cap */
#define DKIM_H_NAMES_MAX 100    /* names in one h= */
#define DKIM_H_MAX 4000         /* octets of them */
#define DKIM_BODIES_MAX 4       /* different body hashes */
#define DKIM_HASHED_MAX 4194304 /* octets of the header, all in all */
#define DKIM_SIGNATURE_MAX 8192 /* octets of one signature field */
#define DKIM_RSA_BITS_MIN 1024  /* RFC 8301 3.2 */
#define DKIM_RSA_BITS_MAX 8192
#define DKIM_CLOCK_DRIFT_S 300 /* leniency for t= and x= */

enum dkim_result {
	DKIM_NONE,
	DKIM_PASS,
	DKIM_FAIL,
	DKIM_POLICY,
	DKIM_NEUTRAL,
	DKIM_TEMPERROR,
	DKIM_PERMERROR,
};

struct dkim_signature {
	enum dkim_result result;
	const char *reason;    /* constant, for people; "" on pass */
	struct span domain;    /* d=, normalised; empty if unusable */
	struct span selector;  /* s=, normalised; empty if unusable */
	struct span algorithm; /* "rsa-sha256", as written in a= */
	struct span identity;  /* i= as written; may be empty */
	struct span b_start; /* first 8 characters of b=, white space removed */
	unsigned bits;       /* of the key; 0 if unknown, 256 for ed25519 */
	bool has_length;     /* l= was given */
	uint64_t unsigned_octets; /* of the canonicalised body, beyond l= */
};

enum dkim_engine_kind { DKIM_ENGINE_NATIVE, DKIM_ENGINE_LIBOPENDKIM };

/*
 * What is kept for all messages: keys and contexts, and what the library
 * keeps. It takes time to make, and reads files (libopendkim /etc/resolv.conf,
 * for nothing: it asks no DNS here), so the caller makes one at start, before
 * any sandbox, and owns it. One thread at a time may use it. NULL without
 * memory, or if a library lacks SHA-256 or ed25519.
 */
struct dkim_engine;
struct dkim_engine *dkim_engine_new(enum dkim_engine_kind kind);
void dkim_engine_free(struct dkim_engine *engine); /* NULL is allowed */

/* Whether a signature whose l= leaves octets of the body unsigned is not
 * accepted (policy). At first it is, and tells how many. */
void dkim_engine_distrust_length(struct dkim_engine *engine,
				 bool is_distrusted);

/* What it hashes and verifies with, for ARC; its own. */
struct crypto *dkim_engine_crypto(struct dkim_engine *engine);

struct dkim_check; /* one message's verification */

/* A verification at the start of a message; NULL without memory. It and what
 * it gives out live in the arena; the engine must outlive it. `now_s` is the
 * time for x= and t=. */
struct dkim_check *dkim_check_new(struct dkim_engine *engine,
				  struct arena *arena, uint64_t now_s);

/* All of the header at once, when it is complete. It must live, and stay as it
 * is, until the end. False without memory: every signature is then temperror.
 */
bool dkim_check_header(struct dkim_check *check, const struct message *message);

/* The hashes of the body, for ARC to ask for its own: before the body begins.
 * They are fed here, and ended by dkim_check_finish(). */
struct canon_body *dkim_check_bodies(struct dkim_check *check);

/* Body octets in any chunking, behind the empty line. */
void dkim_check_body(struct dkim_check *check, struct span chunk);

/* Note the questions for the keys; true when all are answered. After
 * dkim_check_header(). */
bool dkim_check_ask(struct dkim_check *check, struct answers *answers);

/* The d= of signatures that may still pass, each once: whose organizational
 * domains will matter. Their number. After dkim_check_header(). */
size_t dkim_check_domains(const struct dkim_check *check,
			  struct span domain[DKIM_SIGNATURES_MAX]);

/* Judge all signatures, in the order of the header; their number, at most
 * DKIM_LISTED_MAX. After the body's end and once dkim_check_ask() is true.
 * Called again, it gives the same list. */
size_t dkim_check_finish(struct dkim_check *check, struct answers *answers,
			 const struct dkim_signature **signatures);

/* Number of DKIM-Signature fields seen. */
size_t dkim_check_count(const struct dkim_check *check);

/* Before the arena's reset. NULL is allowed. */
void dkim_check_free(struct dkim_check *check);

const char *dkim_result_name(enum dkim_result result);

#endif
