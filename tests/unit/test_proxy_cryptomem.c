/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/cryptomem.h"
#include "proxy/tls.h"

#include "tests/unit/certificates.h"

#include <openssl/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ENGINES 50
#define KIB 1024

/* malloc(3) rounds up. */
#define ROUND 64

static void
is_about(size_t held, size_t wanted)
{
	assert_in_range(held, wanted, wanted + ROUND);
}

static void
what_is_taken_and_given_back_is_counted(void **state)
{
	size_t before = cryptomem_held();
	void *octets = OPENSSL_malloc(1000);

	(void)state;
	is_about(cryptomem_held() - before, 1000);
	octets = OPENSSL_realloc(octets, 100000);
	is_about(cryptomem_held() - before, 100000);
	octets = OPENSSL_realloc(octets, 10);
	is_about(cryptomem_held() - before, 10);
	octets = OPENSSL_realloc(octets, 0);
	assert_null(octets);
	assert_int_equal(cryptomem_held(), before);
	octets = OPENSSL_realloc(NULL, 500);
	is_about(cryptomem_held() - before, 500);
	OPENSSL_clear_free(octets, 500);
	OPENSSL_free(NULL);
	assert_int_equal(cryptomem_held(), before);
}

/* Clients that say STARTTLS and then nothing, or the beginning of a long
 * handshake and then nothing. */
static void
handshakes_that_stand_still_are_counted(void **state)
{
	/* A ClientHello of 100,000 octets, of which there is one record. */
	static uint8_t hello[5 + 16384] = {
		22, 3, 1, 0x40, 0, 1, 1, 0x86, 0xa0
	};
	static const char *const name = "mx.example";
	struct certificates certificates;
	struct tls *engines[ENGINES];
	struct tls_server *server;
	size_t before, silent, long_ones;

	(void)state;
	certificates_make(&certificates);
	certificates_issue(&certificates, "mx.example");
	server = certificates_server(&certificates, &name, 1, TLS_1_2);
	tls_free(tls_accept(server)); /* what is made once is there */
	before = cryptomem_held();
	for (size_t i = 0; i < ENGINES; i++) {
		struct span none = SPAN_NONE;

		engines[i] = tls_accept(server);
		assert_int_equal(tls_handshake(engines[i], &none), TLS_MORE);
	}
	silent = (cryptomem_held() - before) / ENGINES;
	assert_in_range(silent, 8 * KIB, 80 * KIB);
	for (size_t i = 0; i < ENGINES; i++) {
		struct span in = span_make(hello, sizeof(hello));

		assert_int_equal(tls_handshake(engines[i], &in), TLS_MORE);
	}
	long_ones = (cryptomem_held() - before) / ENGINES;
	assert_in_range(long_ones, silent + 90 * KIB, silent + 200 * KIB);
	for (size_t i = 0; i < ENGINES; i++)
		tls_free(engines[i]);
	assert_int_equal(cryptomem_held(), before);
	tls_server_free(server);
	certificates_remove(&certificates);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_taken_and_given_back_is_counted),
		cmocka_unit_test(handshakes_that_stand_still_are_counted),
	};

	if (!cryptomem_count())
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
