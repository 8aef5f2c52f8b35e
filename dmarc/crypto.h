/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crypto: SHA-256 and the two kinds of signature that mail has, RSA with
 * SHA-256 (RFC 8301) and ed25519 over a SHA-256 hash (RFC 8463).
 *
 * The one file of dmarc/ that knows OpenSSL. What costs is kept for all
 * messages: contexts for hashes, and public keys as OpenSSL holds them, found
 * by their octets (to make one costs more than to verify with it). After
 * warm-up a hash allocates nothing.
 *
 * One thread at a time may use it; what it allocates is its own, and its
 * hashes must be given back before it is freed.
 */
#ifndef DMARC_CRYPTO_H
#define DMARC_CRYPTO_H

#include "smtp/span.h"

#define CRYPTO_DIGEST_OCTETS 32
#define CRYPTO_ED25519_OCTETS 32
#define CRYPTO_RSA_OCTETS_MAX 1024 /* of a modulus: 8192 bits */

struct crypto;

/* To be made at start, before any sandbox. NULL without memory, or if the
 * library lacks one of the algorithms. */
struct crypto *crypto_new(void);
void crypto_free(struct crypto *crypto); /* NULL is allowed */

struct crypto_hash; /* one SHA-256 under way */

/* NULL without memory. It must be ended or dropped. */
struct crypto_hash *crypto_hash_begin(struct crypto *crypto);
void crypto_hash_add(struct crypto_hash *hash, struct span octets);
/* Back to the pool; a failure of the library gives a digest of zeros, which
 * fits nothing. */
void crypto_hash_end(struct crypto *crypto, struct crypto_hash *hash,
		     uint8_t digest[CRYPTO_DIGEST_OCTETS]);
void crypto_hash_drop(struct crypto *crypto, struct crypto_hash *hash);

enum crypto_key_type { CRYPTO_RSA, CRYPTO_ED25519 };

struct crypto_key {
	enum crypto_key_type type;
	struct span octets;   /* ed25519: the key; RSA: the modulus … */
	struct span exponent; /* … and its exponent, most significant first */
};

enum crypto_verdict {
	CRYPTO_GOOD,
	CRYPTO_BAD_SIGNATURE,
	CRYPTO_BAD_KEY, /* none of its type, by its size */
	CRYPTO_NO_MEMORY,
};

/* Whether the signature is of the key's owner, over that digest. */
enum crypto_verdict crypto_verify(struct crypto *crypto,
				  const struct crypto_key *key,
				  const uint8_t digest[CRYPTO_DIGEST_OCTETS],
				  struct span signature);

#endif
