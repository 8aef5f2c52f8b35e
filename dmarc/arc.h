/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arc: the Authenticated Received Chain of a message, validated.
 *
 * Each hop that seals a message adds a set of three fields: what it found
 * (ARC-Authentication-Results), a signature of the message as it passes it on
 * (ARC-Message-Signature), and a seal over all sets so far (ARC-Seal). The
 * chain passes if its structure is whole, the newest message signature and
 * every seal verify (RFC 8617 5.2). Whatever goes wrong is a fail for good; a
 * failed chain is worth as much as none.
 *
 * Used like a dkim_check: give it the header when it is complete, ask for
 * the keys, all at once, and finish when body and answers are in. The body is
 * hashed by whoever runs the message, once for DKIM and ARC.
 *
 * Bounds: 50 sets, the names in h=, octets of a field and of the header (all as
 * for DKIM). A chain beyond them fails. Of the message signatures but the
 * newest, on which nothing hangs, those are looked at that cost no more than
 * 60 questions and 4 MiB of hashed header; where that ends too early, nobody
 * knows the oldest that passes.
 *
 * ARC may become Historic (draft-ietf-dmarc-arc-to-historic): this file and
 * arc_results.[ch] are all there is of it below dmarc/eval.
 */
#ifndef DMARC_ARC_H
#define DMARC_ARC_H

#include "dmarc/arc_results.h"
#include "dmarc/canon.h"
#include "dmarc/crypto.h"
#include "dmarc/dkim.h"
#include "smtp/buf.h"

#define ARC_SETS_MAX 50     /* RFC 8617 4.2.1 */
#define ARC_OWN_KEYS_MAX 10 /* sets, the newest, that may have two keys */

enum arc_result {
	ARC_NONE, /* no ARC field */
	ARC_PASS,
	ARC_FAIL,
};

enum arc_status {
	ARC_STATUS_MISSING,
	ARC_STATUS_NONE,
	ARC_STATUS_PASS,
	ARC_STATUS_FAIL
};

struct arc_set {
	struct arc_results results;    /* says nothing if it cannot be read */
	enum arc_status status;        /* cv= of the seal */
	struct dkim_signature message; /* its result is DKIM_NONE if it was … */
	struct dkim_signature seal;    /* … not looked at */
};

struct arc_chain {
	enum arc_result result;
	const char *reason; /* constant, for people; "" on pass and none */
	size_t instance;    /* the set it speaks of; 0: of the chain */
	size_t sets;        /* the highest instance */
	const struct arc_set *set; /* by instance - 1 */
	bool has_oldest_pass;      /* on pass, unless a bound was in the way */
	size_t oldest_pass;        /* RFC 8617 5.2 5. 0: all */
	/* By the newest message signature: the whole body, From, and no second
	 * Subject or the like beside one that it names. */
	bool covers_message;
};

struct arc_check; /* one message's chain */

/* NULL without memory. It and what it gives out live in the arena; crypto must
 * outlive it. `now_s` is the time for x= and t=. */
struct arc_check *arc_check_new(struct crypto *crypto, struct arena *arena,
				uint64_t now_s);

/* The header, when it is complete, behind dkim_check_header(); what hashes of
 * the body it needs is noted in bodies (dkim_check_bodies()). Both must live,
 * the header as it is, until the end. */
void arc_check_header(struct arc_check *check, const struct message *message,
		      struct canon_body *bodies);

/* Note the questions for the keys; true when all are answered. */
bool arc_check_ask(struct arc_check *check, struct answers *answers);

/* What stands in the sets before anything was verified: for the domains that
 * will matter. After arc_check_header(). */
const struct arc_chain *arc_check_chain(const struct arc_check *check);

/* The chain, validated: after canon_body_end(), and once arc_check_ask() is
 * true. Called again, it gives the same. */
const struct arc_chain *arc_check_finish(struct arc_check *check,
					 struct answers *answers);

/* The chain for a report (RFC 8617 7.2.2): its status, d= and s= of every seal
 * from the newest on, and the address the first hop saw. False if full. */
bool arc_comment(const struct arc_chain *chain, struct buf *buf);

const char *arc_result_name(enum arc_result result);
const char *arc_status_name(enum arc_status status); /* "" if missing */

#endif
