/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/crypto.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdlib.h>

/* A key is kept in one of the WAYS places of its set; which set, its octets
 * tell. Whoever publishes many keys of one set pushes out others, no more. */
#define SETS 64
#define WAYS 4
#define KEY_OCTETS_MAX (CRYPTO_RSA_OCTETS_MAX + 16)

struct crypto_hash {
	EVP_MD_CTX *context;
	struct crypto_hash *next; /* in the pool */
	bool has_failed;
};

struct place {
	uint64_t used; /* the clock when it last was; 0: never */
	enum crypto_key_type type;
	/* The key's octets, and its exponent's. Both lengths count: what one
	 * number ends with, the other may start with. */
	size_t n, exponent_n;
	uint8_t octets[KEY_OCTETS_MAX];
	EVP_PKEY *key;
	EVP_PKEY_CTX *verifier; /* RSA */
};

struct crypto {
	EVP_MD *sha256;
	EVP_MD_CTX *ed25519;
	struct crypto_hash *pool;
	uint64_t clock;
	struct place place[SETS][WAYS];
};

/* --- hashes --- */

struct crypto *
crypto_new(void)
{
	struct crypto *crypto = calloc(1, sizeof(*crypto));
	EVP_PKEY_CTX *ed25519 = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, NULL);

	if (crypto != NULL) {
		crypto->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
		crypto->ed25519 = EVP_MD_CTX_new();
	}
	if (ed25519 == NULL || crypto == NULL || crypto->sha256 == NULL ||
	    crypto->ed25519 == NULL) {
		crypto_free(crypto);
		crypto = NULL;
	}
	EVP_PKEY_CTX_free(ed25519);
	return crypto;
}

static void
forget(struct place *place)
{
	EVP_PKEY_CTX_free(place->verifier);
	EVP_PKEY_free(place->key);
	place->verifier = NULL;
	place->key = NULL;
	place->used = 0;
}

void
crypto_free(struct crypto *crypto)
{
	if (crypto == NULL)
		return;
	for (size_t set = 0; set < SETS; set++)
		for (size_t way = 0; way < WAYS; way++)
			forget(&crypto->place[set][way]);
	while (crypto->pool != NULL) {
		struct crypto_hash *hash = crypto->pool;

		crypto->pool = hash->next;
		EVP_MD_CTX_free(hash->context);
		free(hash);
	}
	EVP_MD_CTX_free(crypto->ed25519);
	EVP_MD_free(crypto->sha256);
	free(crypto);
}

static struct crypto_hash *
new_hash(void)
{
	struct crypto_hash *hash = calloc(1, sizeof(*hash));

	if (hash == NULL)
		return NULL;
	hash->context = EVP_MD_CTX_new();
	if (hash->context == NULL) {
		free(hash);
		return NULL;
	}
	return hash;
}

struct crypto_hash *
crypto_hash_begin(struct crypto *crypto)
{
	struct crypto_hash *hash = crypto->pool;

	if (hash != NULL)
		crypto->pool = hash->next;
	else
		hash = new_hash();
	if (hash == NULL)
		return NULL;
	hash->has_failed =
		EVP_DigestInit_ex2(hash->context, crypto->sha256, NULL) != 1;
	if (!hash->has_failed)
		return hash;
	crypto_hash_drop(crypto, hash);
	return NULL;
}

void
crypto_hash_add(struct crypto_hash *hash, struct span octets)
{
	if (octets.n > 0)
		hash->has_failed |= EVP_DigestUpdate(hash->context, octets.p,
						     octets.n) != 1;
}

void
crypto_hash_end(struct crypto *crypto, struct crypto_hash *hash,
		uint8_t digest[CRYPTO_DIGEST_OCTETS])
{
	unsigned n = 0;

	if (hash->has_failed ||
	    EVP_DigestFinal_ex(hash->context, digest, &n) != 1)
		memset(digest, 0, CRYPTO_DIGEST_OCTETS);
	crypto_hash_drop(crypto, hash);
}

void
crypto_hash_drop(struct crypto *crypto, struct crypto_hash *hash)
{
	hash->next = crypto->pool;
	crypto->pool = hash;
}

/* --- keys --- */

/* Octets as OpenSSL's parameters have numbers: of this machine's order. */
static bool
push_number(OSSL_PARAM_BLD *builder, const char *name, struct span octets,
	    BIGNUM **number)
{
	*number = BN_bin2bn(octets.p, (int)octets.n, NULL);
	return *number != NULL &&
	       OSSL_PARAM_BLD_push_BN(builder, name, *number) == 1;
}

static EVP_PKEY *
rsa_from(OSSL_PARAM *parameters)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;

	if (context != NULL && EVP_PKEY_fromdata_init(context) == 1)
		EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY,
				  parameters);
	EVP_PKEY_CTX_free(context);
	return key;
}

static EVP_PKEY *
make_rsa(const struct crypto_key *from)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	BIGNUM *n = NULL, *e = NULL;
	OSSL_PARAM *parameters = NULL;
	EVP_PKEY *key = NULL;

	if (builder != NULL &&
	    push_number(builder, OSSL_PKEY_PARAM_RSA_N, from->octets, &n) &&
	    push_number(builder, OSSL_PKEY_PARAM_RSA_E, from->exponent, &e))
		parameters = OSSL_PARAM_BLD_to_param(builder);
	if (parameters != NULL)
		key = rsa_from(parameters);
	OSSL_PARAM_free(parameters);
	OSSL_PARAM_BLD_free(builder);
	BN_free(n);
	BN_free(e);
	return key;
}

/* RFC 8301: PKCS #1 v1.5 with SHA-256, and nothing else. */
static EVP_PKEY_CTX *
make_verifier(struct crypto *crypto, EVP_PKEY *key)
{
	EVP_PKEY_CTX *verifier = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

	if (verifier != NULL && EVP_PKEY_verify_init(verifier) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(verifier, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(verifier, crypto->sha256) == 1)
		return verifier;
	EVP_PKEY_CTX_free(verifier);
	return NULL;
}

static bool
make_key(struct crypto *crypto, struct place *place,
	 const struct crypto_key *key)
{
	if (key->type == CRYPTO_ED25519) {
		place->key = EVP_PKEY_new_raw_public_key(
			EVP_PKEY_ED25519, NULL, key->octets.p, key->octets.n);
		return place->key != NULL;
	}
	place->key = make_rsa(key);
	if (place->key != NULL)
		place->verifier = make_verifier(crypto, place->key);
	return place->verifier != NULL;
}

/* FNV-1a */
static size_t
set_of(const struct crypto_key *key)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < key->octets.n; i++)
		hash = (hash ^ key->octets.p[i]) * 16777619u;
	return hash % SETS;
}

static bool
is_at(const struct place *place, const struct crypto_key *key)
{
	size_t n = key->octets.n;

	return place->used > 0 && place->type == key->type && place->n == n &&
	       place->exponent_n == key->exponent.n &&
	       memcmp(place->octets, key->octets.p, n) == 0 &&
	       (key->exponent.n == 0 ||
		memcmp(place->octets + n, key->exponent.p, key->exponent.n) ==
			0);
}

/* The key's place; where it has none, that of the one that was not used for
 * the longest time. NULL without memory: the library takes any numbers for a
 * key, and what they are good for shows when it verifies. */
static struct place *
find_key(struct crypto *crypto, const struct crypto_key *key)
{
	struct place *set = crypto->place[set_of(key)], *oldest = set;

	for (size_t way = 0; way < WAYS; way++) {
		if (is_at(&set[way], key)) {
			set[way].used = ++crypto->clock;
			return &set[way];
		}
		if (set[way].used < oldest->used)
			oldest = &set[way];
	}
	forget(oldest);
	if (!make_key(crypto, oldest, key)) {
		forget(oldest);
		return NULL;
	}
	oldest->type = key->type;
	oldest->n = key->octets.n;
	oldest->exponent_n = key->exponent.n;
	memcpy(oldest->octets, key->octets.p, key->octets.n);
	if (key->exponent.n > 0)
		memcpy(oldest->octets + key->octets.n, key->exponent.p,
		       key->exponent.n);
	oldest->used = ++crypto->clock;
	return oldest;
}

static bool
is_of_size(const struct crypto_key *key)
{
	if (key->type == CRYPTO_ED25519)
		return key->octets.n == CRYPTO_ED25519_OCTETS &&
		       key->exponent.n == 0;
	return key->octets.n > 0 && key->octets.n <= CRYPTO_RSA_OCTETS_MAX &&
	       key->exponent.n > 0 &&
	       key->exponent.n <= KEY_OCTETS_MAX - CRYPTO_RSA_OCTETS_MAX;
}

/* Whether there is memory for one more hash, as ed25519 makes it. */
static bool
can_hash(const struct crypto *crypto)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool is_made = context != NULL &&
		       EVP_DigestInit_ex2(context, crypto->sha256, NULL) == 1;

	EVP_MD_CTX_free(context);
	return is_made;
}

/* What OpenSSL says of a signature. To lack memory and not to fit are one to
 * it: its queue of errors, empty before, tells most of it, and nothing where
 * ed25519 lacks a hash. */
static enum crypto_verdict
verdict_of(const struct crypto *crypto, int result)
{
	unsigned long error;

	if (result == 1)
		return CRYPTO_GOOD;
	while ((error = ERR_get_error()) != 0)
		if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
			return CRYPTO_NO_MEMORY;
	return can_hash(crypto) ? CRYPTO_BAD_SIGNATURE : CRYPTO_NO_MEMORY;
}

/* RFC 8463 3: what is signed is the hash, by PureEdDSA. Without the reset the
 * context would go on with the key that it had before. There is a key: all
 * that can be lacking at the start is memory. */
static enum crypto_verdict
verify_ed25519(struct crypto *crypto, struct place *place,
	       const uint8_t digest[CRYPTO_DIGEST_OCTETS],
	       struct span signature)
{
	if (EVP_MD_CTX_reset(crypto->ed25519) != 1 ||
	    EVP_DigestVerifyInit(crypto->ed25519, NULL, NULL, NULL,
				 place->key) != 1)
		return CRYPTO_NO_MEMORY;
	return verdict_of(crypto, EVP_DigestVerify(crypto->ed25519, signature.p,
						   signature.n, digest,
						   CRYPTO_DIGEST_OCTETS));
}

enum crypto_verdict
crypto_verify(struct crypto *crypto, const struct crypto_key *key,
	      const uint8_t digest[CRYPTO_DIGEST_OCTETS], struct span signature)
{
	struct place *place;

	if (!is_of_size(key))
		return CRYPTO_BAD_KEY;
	place = find_key(crypto, key);
	if (place == NULL)
		return CRYPTO_NO_MEMORY;
	if (signature.n == 0)
		return CRYPTO_BAD_SIGNATURE;
	ERR_clear_error();
	if (key->type == CRYPTO_ED25519)
		return verify_ed25519(crypto, place, digest, signature);
	return verdict_of(crypto, EVP_PKEY_verify(place->verifier, signature.p,
						  signature.n, digest,
						  CRYPTO_DIGEST_OCTETS));
}
