/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * canon: canonicalisation of header fields and bodies (RFC 6376 3.4), into
 * hashes. DKIM and ARC share it.
 *
 * The body is read once, however many signatures there are: those that want
 * the same canonicalisation and the same l= share a hash. It is given to the
 * hashes in stretches as long as it allows, straight from where it lies; only
 * white space that is not as it should be breaks a stretch.
 *
 * A line ends in CR LF. A CR or LF that stands alone, as it may in a BINARYMIME
 * body, is an octet like others. A last line without its CR LF is given one.
 */
#ifndef DMARC_CANON_H
#define DMARC_CANON_H

#include "dmarc/crypto.h"
#include "smtp/arena.h"

/* A field, with its final CR LF in raw, into a hash. */
void canon_field(struct crypto_hash *hash, struct span raw, bool is_relaxed);

/* A signature's own field, which is hashed last: the value of its b= removed,
 * with all white space around it, and without the final CR LF (3.7). */
void canon_signature(struct crypto_hash *hash, struct span raw,
		     bool is_relaxed);

#define CANON_BODIES_MAX 16 /* different hashes of one body */

struct canon_body;

/* The body of one message; NULL without memory. It lives in the arena, and
 * must be freed before the arena's reset, and before the crypto. */
struct canon_body *canon_body_new(struct crypto *crypto, struct arena *arena);

/* A hash of the canonicalised body, or of its first `length` octets
 * (UINT64_MAX: all of it). *index is where to find it in the end. To be asked
 * for before the body begins. False without memory, or if there are too many
 * different ones. */
bool canon_body_want(struct canon_body *body, bool is_relaxed, uint64_t length,
		     size_t *index);

/* Body octets in any chunking. */
void canon_body_feed(struct canon_body *body, struct span chunk);

/* The body is complete. Called again, it does nothing. */
void canon_body_end(struct canon_body *body);

/* After its end: the digest, and how many octets the canonicalised body had,
 * before any l= was applied. They live as long as the body. */
const uint8_t *canon_body_digest(const struct canon_body *body, size_t index);
uint64_t canon_body_octets(const struct canon_body *body, size_t index);

void canon_body_free(struct canon_body *body); /* NULL is allowed */

#endif
