/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/load_tls.h"

#include "tests/bench/loop.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define SUITE "TLS_AES_128_GCM_SHA256"
static char group[] = "X25519"; /* OpenSSL takes no constant */
#define RECORD ((size_t)16384)

struct load_tls {
	SSL *ssl;
	BIO *in, *out; /* the SSL's */
	char name[160];
};

static SSL_CTX *settings;

void
load_tls_prepare(void)
{
	settings = SSL_CTX_new(TLS_client_method());
	if (settings == NULL ||
	    SSL_CTX_set_min_proto_version(settings, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(settings, SUITE) != 1 ||
	    SSL_CTX_set1_groups_list(settings, group) != 1)
		give_up("load: OpenSSL cannot be set up", 0);
	SSL_CTX_set_verify(settings, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(settings, SSL_SESS_CACHE_OFF);
}

void
load_tls_end(void)
{
	SSL_CTX_free(settings);
	settings = NULL;
}

struct load_tls *
load_tls_new(void)
{
	struct load_tls *tls = calloc(1, sizeof(*tls));

	if (tls == NULL)
		return NULL;
	tls->ssl = SSL_new(settings);
	tls->in = BIO_new(BIO_s_mem());
	tls->out = BIO_new(BIO_s_mem());
	if (tls->ssl == NULL || tls->in == NULL || tls->out == NULL) {
		BIO_free(tls->in);
		BIO_free(tls->out);
		SSL_free(tls->ssl);
		free(tls);
		return NULL;
	}
	SSL_set_bio(tls->ssl, tls->in, tls->out);
	SSL_set_connect_state(tls->ssl);
	return tls;
}

void
load_tls_free(struct load_tls *tls)
{
	if (tls == NULL)
		return;
	SSL_free(tls->ssl);
	free(tls);
}

bool
load_tls_feed(struct load_tls *tls, struct span octets)
{
	return octets.n <= INT_MAX &&
	       BIO_write(tls->in, octets.p, (int)octets.n) == (int)octets.n;
}

enum load_tls_status
load_tls_shake(struct load_tls *tls)
{
	int done;

	ERR_clear_error();
	done = SSL_do_handshake(tls->ssl);
	if (done == 1)
		return LOAD_TLS_READY;
	return SSL_get_error(tls->ssl, done) == SSL_ERROR_WANT_READ
		       ? LOAD_TLS_MORE
		       : LOAD_TLS_BAD;
}

int
load_tls_read(struct load_tls *tls, void *room, size_t length)
{
	size_t n;
	int error;

	ERR_clear_error();
	if (SSL_read_ex(tls->ssl, room, length, &n) == 1)
		return (int)n;
	error = SSL_get_error(tls->ssl, 0);
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_ZERO_RETURN
		       ? 0
		       : -1;
}

size_t
load_tls_write(struct load_tls *tls, struct span plain)
{
	size_t n;

	ERR_clear_error();
	if (plain.n > RECORD)
		plain.n = RECORD;
	return SSL_write_ex(tls->ssl, plain.p, plain.n, &n) == 1 ? n : 0;
}

size_t
load_tls_take(struct load_tls *tls, uint8_t *room, size_t length)
{
	int n = BIO_read(tls->out, room,
			 length > INT_MAX ? INT_MAX : (int)length);

	return n > 0 ? (size_t)n : 0;
}

const char *
load_tls_name(struct load_tls *tls)
{
	X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
	EVP_PKEY *key =
		certificate == NULL ? NULL : X509_get0_pubkey(certificate);
	const char *kind = key == NULL ? "?" : EVP_PKEY_get0_type_name(key);

	snprintf(tls->name, sizeof(tls->name), "%s %s %s %s-%d%s",
		 SSL_get_version(tls->ssl), SSL_get_cipher_name(tls->ssl),
		 group, kind, key == NULL ? 0 : EVP_PKEY_get_bits(key),
		 SSL_session_reused(tls->ssl) ? " resumed" : "");
	return tls->name;
}
