/* SPDX-License-Identifier: BSD-2-Clause */
/* Hashes, and signatures made by OpenSSL itself, with more keys than are kept.
 */
#include "dmarc/crypto.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))
#define KEYS 400 /* more than there are places */

static struct crypto *crypto;

static int
set_up(void **state)
{
	(void)state;
	crypto = crypto_new();
	assert_non_null(crypto);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	crypto_free(crypto);
	return 0;
}

/* --- a signer --- */

struct signer {
	EVP_PKEY *pair;
	uint8_t octets[CRYPTO_RSA_OCTETS_MAX], exponent[16];
	struct crypto_key key;
};

static struct span
number_of(EVP_PKEY *pair, const char *name, uint8_t *octets)
{
	BIGNUM *number = NULL;
	int n;

	assert_int_equal(EVP_PKEY_get_bn_param(pair, name, &number), 1);
	n = BN_bn2bin(number, octets);
	BN_free(number);
	return span_make(octets, (size_t)n);
}

static void
make_signer(struct signer *signer, enum crypto_key_type type, unsigned bits)
{
	size_t n = sizeof(signer->octets);

	signer->key = (struct crypto_key){ .type = type };
	if (type == CRYPTO_ED25519) {
		signer->pair = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		assert_int_equal(EVP_PKEY_get_raw_public_key(
					 signer->pair, signer->octets, &n),
				 1);
		signer->key.octets = span_make(signer->octets, n);
		return;
	}
	signer->pair = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
	signer->key.octets =
		number_of(signer->pair, OSSL_PKEY_PARAM_RSA_N, signer->octets);
	signer->key.exponent = number_of(signer->pair, OSSL_PKEY_PARAM_RSA_E,
					 signer->exponent);
}

static size_t
sign(const struct signer *signer, const uint8_t digest[CRYPTO_DIGEST_OCTETS],
     uint8_t signature[CRYPTO_RSA_OCTETS_MAX])
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(signer->pair, NULL);
	EVP_MD_CTX *whole = EVP_MD_CTX_new();
	size_t n = CRYPTO_RSA_OCTETS_MAX;

	if (signer->key.type == CRYPTO_ED25519) {
		assert_int_equal(EVP_DigestSignInit(whole, NULL, NULL, NULL,
						    signer->pair),
				 1);
		assert_int_equal(EVP_DigestSign(whole, signature, &n, digest,
						CRYPTO_DIGEST_OCTETS),
				 1);
	} else {
		assert_int_equal(EVP_PKEY_sign_init(context), 1);
		assert_true(EVP_PKEY_CTX_set_signature_md(context,
							  EVP_sha256()) > 0);
		assert_int_equal(EVP_PKEY_sign(context, signature, &n, digest,
					       CRYPTO_DIGEST_OCTETS),
				 1);
	}
	EVP_PKEY_CTX_free(context);
	EVP_MD_CTX_free(whole);
	return n;
}

/* --- tests --- */

/* FIPS 180-2 B.1, B.2 */
static void
t1_hashes(void **state)
{
	static const uint8_t abc[CRYPTO_DIGEST_OCTETS] = {
		0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
		0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
		0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
		0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
	};
	uint8_t digest[CRYPTO_DIGEST_OCTETS];

	(void)state;
	for (unsigned i = 0; i < 3; i++) { /* the same one, used again */
		struct crypto_hash *hash = crypto_hash_begin(crypto);
		struct crypto_hash *other = crypto_hash_begin(crypto);

		crypto_hash_add(hash, SPAN_LIT("a"));
		crypto_hash_add(other, SPAN_LIT("x"));
		crypto_hash_add(hash, SPAN_NONE);
		crypto_hash_add(hash, SPAN_LIT("bc"));
		crypto_hash_end(crypto, hash, digest);
		crypto_hash_drop(crypto, other);
		assert_memory_equal(digest, abc, sizeof(digest));
	}
}

static void
check_key(const struct signer *signer)
{
	uint8_t digest[CRYPTO_DIGEST_OCTETS] = { 1, 2, 3 };
	uint8_t signature[CRYPTO_RSA_OCTETS_MAX];
	size_t n = sign(signer, digest, signature);
	struct span whole = span_make(signature, n);

	for (unsigned again = 0; again < 2; again++) {
		assert_int_equal(
			crypto_verify(crypto, &signer->key, digest, whole),
			CRYPTO_GOOD);
		digest[31] ^= 1;
		assert_int_equal(
			crypto_verify(crypto, &signer->key, digest, whole),
			CRYPTO_BAD_SIGNATURE);
		digest[31] ^= 1;
		assert_int_equal(crypto_verify(crypto, &signer->key, digest,
					       span_first(whole, n - 1)),
				 CRYPTO_BAD_SIGNATURE);
		assert_int_equal(
			crypto_verify(crypto, &signer->key, digest, SPAN_NONE),
			CRYPTO_BAD_SIGNATURE);
		signature[n / 2] ^= 0x40;
		assert_int_equal(
			crypto_verify(crypto, &signer->key, digest, whole),
			CRYPTO_BAD_SIGNATURE);
		signature[n / 2] ^= 0x40;
	}
}

static void
t2_each_kind_of_key(void **state)
{
	static const struct {
		enum crypto_key_type type;
		unsigned bits;
	} kinds[] = {
		{ CRYPTO_ED25519, 0 }, { CRYPTO_RSA, 1024 },
		{ CRYPTO_RSA, 2048 },  { CRYPTO_RSA, 4096 },
		{ CRYPTO_ED25519, 0 },
	};

	(void)state;
	for (size_t i = 0; i < CASES(kinds); i++) {
		struct signer signer;

		make_signer(&signer, kinds[i].type, kinds[i].bits);
		check_key(&signer);
		EVP_PKEY_free(signer.pair);
	}
}

/* Each has its own, however many there are, and whoever came before. */
static void
t3_more_keys_than_places(void **state)
{
	static struct signer signers[KEYS];
	static uint8_t signature[KEYS][64];
	uint8_t digest[CRYPTO_DIGEST_OCTETS] = { 7 };

	(void)state;
	for (size_t i = 0; i < KEYS; i++) {
		uint8_t room[CRYPTO_RSA_OCTETS_MAX];

		make_signer(&signers[i], CRYPTO_ED25519, 0);
		assert_int_equal(sign(&signers[i], digest, room), 64);
		memcpy(signature[i], room, 64);
	}
	for (size_t k = 0; k < 3 * KEYS; k++) {
		size_t i = (size_t)random() % KEYS;
		size_t other = (size_t)random() % KEYS;

		assert_int_equal(crypto_verify(crypto, &signers[i].key, digest,
					       span_make(signature[i], 64)),
				 CRYPTO_GOOD);
		if (other != i)
			assert_int_equal(
				crypto_verify(crypto, &signers[other].key,
					      digest,
					      span_make(signature[i], 64)),
				CRYPTO_BAD_SIGNATURE);
	}
	for (size_t i = 0; i < KEYS; i++)
		EVP_PKEY_free(signers[i].pair);
}

static void
t4_keys_that_are_none(void **state)
{
	static const uint8_t octets[CRYPTO_RSA_OCTETS_MAX + 1] = { 3 };
	const struct span all = span_make(octets, sizeof(octets));
	const struct crypto_key keys[] = {
		{ CRYPTO_ED25519, span_first(all, 31), SPAN_NONE },
		{ CRYPTO_ED25519, span_first(all, 33), SPAN_NONE },
		{ CRYPTO_ED25519, span_first(all, 32), span_first(all, 1) },
		{ CRYPTO_RSA, span_first(all, 128), SPAN_NONE },
		{ CRYPTO_RSA, SPAN_NONE, span_first(all, 1) },
		{ CRYPTO_RSA, all, span_first(all, 1) },
		{ CRYPTO_RSA, span_first(all, 128), span_first(all, 17) },
	};
	uint8_t digest[CRYPTO_DIGEST_OCTETS] = { 0 };

	(void)state;
	for (size_t i = 0; i < CASES(keys); i++)
		assert_int_equal(crypto_verify(crypto, &keys[i], digest,
					       span_first(all, 128)),
				 CRYPTO_BAD_KEY);
	/* an even modulus is no number to calculate with */
	assert_int_equal(crypto_verify(crypto,
				       &(struct crypto_key){
					       CRYPTO_RSA, span_first(all, 128),
					       span_first(all, 1) },
				       digest, span_first(all, 128)),
			 CRYPTO_BAD_SIGNATURE);
}

/* --- without memory --- */

/* Of OpenSSL; the next one fails, and all behind it. */
static size_t allocations_left = SIZE_MAX;

static bool
may_allocate(void)
{
	if (allocations_left == 0)
		return false;
	if (allocations_left != SIZE_MAX)
		allocations_left--;
	return true;
}

static void *
allocate(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return may_allocate() ? malloc(n) : NULL;
}

static void *
reallocate(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return may_allocate() ? realloc(p, n) : NULL;
}

static void
release(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

/* Wherever memory ends, a good signature is good, or was not judged. How many
 * allocations it takes. */
static size_t
verify_with_less(const struct signer *signer, struct span signature,
		 const uint8_t digest[CRYPTO_DIGEST_OCTETS])
{
	size_t most = 0;
	enum crypto_verdict verdict;

	do {
		crypto_free(crypto);
		crypto = crypto_new();
		allocations_left = most++;
		verdict =
			crypto_verify(crypto, &signer->key, digest, signature);
		allocations_left = SIZE_MAX;
		if (verdict != CRYPTO_GOOD)
			assert_int_equal(verdict, CRYPTO_NO_MEMORY);
		assert_int_equal(
			crypto_verify(crypto, &signer->key, digest, signature),
			CRYPTO_GOOD);
	} while (verdict != CRYPTO_GOOD);
	return most - 1;
}

static void
t5_want_of_memory(void **state)
{
	static const enum crypto_key_type types[] = { CRYPTO_RSA,
						      CRYPTO_ED25519 };
	uint8_t digest[CRYPTO_DIGEST_OCTETS] = { 9 };

	(void)state;
	for (size_t i = 0; i < CASES(types); i++) {
		uint8_t signature[CRYPTO_RSA_OCTETS_MAX];
		struct signer signer;
		size_t n;

		make_signer(&signer, types[i], 2048);
		n = sign(&signer, digest, signature);
		assert_true(verify_with_less(&signer, span_make(signature, n),
					     digest) > 0);
		EVP_PKEY_free(signer.pair);
	}
}

/* A hash that has begun is not a hash of nothing, either. */
static void
t5_want_of_memory_for_a_hash(void **state)
{
	uint8_t digest[CRYPTO_DIGEST_OCTETS], right[CRYPTO_DIGEST_OCTETS];
	struct crypto_hash *hash = crypto_hash_begin(crypto);

	(void)state;
	crypto_hash_end(crypto, hash, right);
	for (size_t most = 0; most < 10; most++) {
		crypto_free(crypto);
		crypto = crypto_new();
		allocations_left = most;
		hash = crypto_hash_begin(crypto);
		allocations_left = SIZE_MAX;
		if (hash == NULL)
			hash = crypto_hash_begin(crypto);
		crypto_hash_end(crypto, hash, digest);
		assert_memory_equal(digest, right, sizeof(digest));
	}
}

/* Octets that are the same in a row, and another modulus and exponent: whoever
 * publishes one key must not get into the place of another. */
static void
verify_with_border_moved(const struct signer *signer, size_t by)
{
	uint8_t octets[CRYPTO_RSA_OCTETS_MAX + 16], digest[32] = { 5 };
	size_t n = signer->key.octets.n, all = n + signer->key.exponent.n;
	const struct span row = span_make(octets, all);

	memcpy(octets, signer->key.octets.p, n);
	memcpy(octets + n, signer->key.exponent.p, signer->key.exponent.n);
	assert_int_not_equal(
		crypto_verify(crypto,
			      &(struct crypto_key){ CRYPTO_RSA,
						    span_first(row, n - by),
						    span_after(row, n - by) },
			      digest, span_first(row, n - by)),
		CRYPTO_GOOD);
}

static void
t6_a_key_is_its_modulus_and_its_exponent(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		uint8_t digest[CRYPTO_DIGEST_OCTETS] = { 5 };
		uint8_t signature[CRYPTO_RSA_OCTETS_MAX];
		struct signer signer;
		size_t n;

		make_signer(&signer, CRYPTO_RSA, 512);
		for (size_t by = 1; by <= 13; by++)
			verify_with_border_moved(&signer, by);
		n = sign(&signer, digest, signature);
		assert_int_equal(crypto_verify(crypto, &signer.key, digest,
					       span_make(signature, n)),
				 CRYPTO_GOOD);
		EVP_PKEY_free(signer.pair);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_hashes),
		cmocka_unit_test(t2_each_kind_of_key),
		cmocka_unit_test(t3_more_keys_than_places),
		cmocka_unit_test(t4_keys_that_are_none),
		cmocka_unit_test(t5_want_of_memory),
		cmocka_unit_test(t5_want_of_memory_for_a_hash),
		cmocka_unit_test(t6_a_key_is_its_modulus_and_its_exponent),
	};

	/* Before it has allocated anything, or it would refuse. */
	if (CRYPTO_set_mem_functions(allocate, reallocate, release) != 1)
		return 1;

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
