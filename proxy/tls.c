/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/tls.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#define PATH_SIZE 4096
#define NAME_SIZE 256
#define SUBJECT_MAX 1024

struct tls_server {
	/* One for each certificate: OpenSSL has no other way to choose. */
	SSL_CTX *contexts[TLS_CERTIFICATES_MAX];
	size_t count;
};

struct tls_client {
	SSL_CTX *context;
	bool is_verifying;
};

struct tls {
	SSL *ssl;
	struct span in; /* what is shown now */
	struct buf out;
	bool has_ended;  /* close_notify came */
	bool has_failed; /* nothing is read any more */
	const char *failure;
	bool is_client;
	struct tlsinfo info;
	struct buf subject;
};

/* --- the BIO ------------------------------------------------------------ */

static int
bio_read(BIO *bio, char *octets, int n)
{
	struct tls *tls = BIO_get_data(bio);
	size_t taken = (size_t)n < tls->in.n ? (size_t)n : tls->in.n;

	BIO_clear_retry_flags(bio);
	if (taken == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(octets, tls->in.p, taken);
	tls->in = span_after(tls->in, taken);
	return (int)taken;
}

static int
bio_write(BIO *bio, const char *octets, int n)
{
	struct tls *tls = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (!buf_append(&tls->out, span_make(octets, (size_t)n)))
		return -1; /* for good: the owner did not look for room */
	return n;
}

static long
bio_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

/* One for all engines; made once, before any worker is forked. */
static BIO_METHOD *
bio_method(void)
{
	static BIO_METHOD *method;

	if (method != NULL)
		return method;
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
			      "octets");
	if (method == NULL)
		return NULL;
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_ctrl(method, bio_control);
	return method;
}

/* --- session tickets ---------------------------------------------------- */

static bool
set_mac(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
	char digest[] = "SHA256";
	uint8_t octets[TICKETS_KEY_SIZE];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, octets,
						  sizeof(octets)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest,
						 0),
		OSSL_PARAM_construct_end(),
	};
	bool is_set;

	memcpy(octets, key->mac, sizeof(octets));
	is_set = EVP_MAC_CTX_set_params(mac, params) == 1;
	OPENSSL_cleanse(octets, sizeof(octets));
	return is_set;
}

/* 0: no ticket is given, and the session goes on without. */
static int
seal(struct tickets *tickets, unsigned char *name, unsigned char *iv,
     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	const struct ticket_key *key = tickets_sealing(tickets);

	if (key == NULL || RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1)
		return 0;
	memcpy(name, key->name, sizeof(key->name));
	return EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher,
				  iv) == 1 &&
	       set_mac(mac, key);
}

/* 0: it is not taken, there is a whole handshake; 2: it is, and the client is
 * given another. With TLS 1.3 always: a ticket that is shown twice tells who
 * listens that it is the same client (RFC 8446 C.4). */
static int
unseal(SSL *ssl, struct tickets *tickets, const unsigned char *name,
       const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	bool is_former;
	const struct ticket_key *key =
		tickets_opening(tickets, name, &is_former);

	if (key == NULL ||
	    EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher,
			       iv) != 1 ||
	    !set_mac(mac, key))
		return 0;
	return is_former || SSL_version(ssl) >= TLS1_3_VERSION ? 2 : 1;
}

static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
	  EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_new)
{
	struct tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (tickets == NULL)
		return 0;
	return is_new ? seal(tickets, name, iv, cipher, mac)
		      : unseal(ssl, tickets, name, iv, cipher, mac);
}

/* --- contexts ----------------------------------------------------------- */

static const char *
last_error(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return reason == NULL ? "unknown error" : reason;
}

static bool
fault(struct buf *faults, struct span file, const char *what)
{
	buf_append(faults, file);
	buf_printf(faults, ": %s (%s)", what, last_error());
	return false;
}

static bool
path_copy(struct span path, char *copy)
{
	if (path.n >= PATH_SIZE || span_find(path, 0) < path.n)
		return false;
	memcpy(copy, path.p, path.n);
	copy[path.n] = '\0';
	return true;
}

static SSL_CTX *
context_new(const SSL_METHOD *method, enum tls_version version_min)
{
	SSL_CTX *context = SSL_CTX_new(method);

	if (context == NULL || bio_method() == NULL) {
		SSL_CTX_free(context);
		return NULL;
	}
	SSL_CTX_set_min_proto_version(context, version_min == TLS_1_3
						       ? TLS1_3_VERSION
						       : TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION |
					     SSL_OP_NO_COMPRESSION |
					     SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* An idle connection holds no record buffers. */
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	/* Tickets are all the memory there is: it is shared by fork. */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	return context;
}

/* Why not OpenSSL's own: it asks at the terminal and waits. */
static int
no_passphrase(char *octets, int n, int is_writing, void *argument)
{
	(void)octets;
	(void)n;
	(void)is_writing;
	(void)argument;
	return -1;
}

static bool
use_pair(SSL_CTX *context, const struct tls_pair *pair, struct buf *faults)
{
	char path[PATH_SIZE];

	SSL_CTX_set_default_passwd_cb(context, no_passphrase);
	if (!path_copy(pair->certificate, path) ||
	    SSL_CTX_use_certificate_chain_file(context, path) != 1)
		return fault(faults, pair->certificate,
			     "not a certificate in PEM");
	/* A key of another kind is taken, and kept beside the certificate. */
	if (!path_copy(pair->key, path) ||
	    SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(context) != 1)
		return fault(faults, pair->key,
			     "not a key in PEM that fits the certificate");
	return true;
}

/* A certificate that is not good is no reason to refuse mail: it is told. */
static int
take_any(int is_good, X509_STORE_CTX *store)
{
	(void)is_good;
	(void)store;
	return 1;
}

/* A ticket says that its client was verified, not by whom: it is good only
 * where the same CA file is believed, by this listener and after a reload. */
static bool
bind_tickets(SSL_CTX *context, const char *ca)
{
	unsigned char id[SSL_MAX_SID_CTX_LENGTH], octets[4096];
	BIO *file = BIO_new_file(ca, "rb");
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	bool is_good = file != NULL && hash != NULL &&
		       EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
	int n;

	while (is_good && (n = BIO_read(file, octets, sizeof(octets))) > 0)
		is_good = EVP_DigestUpdate(hash, octets, (size_t)n) == 1;
	is_good = is_good && EVP_DigestFinal_ex(hash, id, NULL) == 1 &&
		  SSL_CTX_set_session_id_context(context, id, sizeof(id)) == 1;
	EVP_MD_CTX_free(hash);
	BIO_free(file);
	return is_good;
}

static bool
ask_clients(SSL_CTX *context, struct span ca, struct buf *faults)
{
	static const unsigned char id[] = "dmarcgate";
	char path[PATH_SIZE];

	SSL_CTX_set_session_id_context(context, id, sizeof(id) - 1);
	if (ca.n == 0)
		return true;
	if (!path_copy(ca, path) ||
	    SSL_CTX_load_verify_file(context, path) != 1 ||
	    !bind_tickets(context, path))
		return fault(faults, ca, "no certificates of a CA in PEM");
	SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(path));
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, take_any);
	return true;
}

/* By the name that the client asks for; else the first stays. */
static int
on_server_name(SSL *ssl, int *alert, void *argument)
{
	const struct tls_server *server = argument;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	if (name == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	for (size_t i = 0; i < server->count; i++) {
		X509 *x509 = SSL_CTX_get0_certificate(server->contexts[i]);

		if (X509_check_host(x509, name, 0, 0, NULL) != 1)
			continue;
		SSL_set_SSL_CTX(ssl, server->contexts[i]);
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

static bool
add_pair(struct tls_server *server, const struct tls_server_setup *setup,
	 const struct tls_pair *pair, struct buf *faults)
{
	SSL_CTX *context = context_new(TLS_server_method(), setup->version_min);

	if (context == NULL)
		return fault(faults, pair->certificate, "no memory");
	server->contexts[server->count++] = context;
	SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
	SSL_CTX_set_timeout(context, TICKETS_PERIOD_S);
	SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
	SSL_CTX_set_tlsext_servername_arg(context, server);
	return use_pair(context, pair, faults) &&
	       ask_clients(context, setup->client_ca, faults);
}

struct tls_server *
tls_server_new(const struct tls_server_setup *setup, struct buf *faults)
{
	struct tls_server *server = calloc(1, sizeof(*server));

	assert(setup->count > 0 && setup->count <= TLS_CERTIFICATES_MAX);
	if (server == NULL) {
		buf_append(faults, SPAN_LIT("no memory"));
		return NULL;
	}
	ERR_clear_error();
	for (size_t i = 0; i < setup->count; i++) {
		if (!add_pair(server, setup, &setup->pairs[i], faults)) {
			tls_server_free(server);
			return NULL;
		}
	}
	return server;
}

void
tls_server_free(struct tls_server *server)
{
	if (server == NULL)
		return;
	for (size_t i = 0; i < server->count; i++)
		SSL_CTX_free(server->contexts[i]);
	free(server);
}

void
tls_server_use_tickets(struct tls_server *server, struct tickets *tickets)
{
	for (size_t i = 0; i < server->count; i++)
		SSL_CTX_set_app_data(server->contexts[i], tickets);
}

/* Why not the system's folder as well: it is read when a certificate is held
 * against it, by a worker in the midst of its sessions. */
static bool
load_cas(SSL_CTX *context, const struct tls_client_setup *setup,
	 struct buf *faults)
{
	static const char what[] = "no certificates of a CA in PEM";
	char path[PATH_SIZE];

	if (setup->ca.n > 0)
		return (path_copy(setup->ca, path) &&
			SSL_CTX_load_verify_file(context, path) == 1) ||
		       fault(faults, setup->ca, what);
	if (!setup->is_verifying)
		return true;
	SSL_CTX_set_default_verify_file(context);
	return sk_X509_OBJECT_num(X509_STORE_get0_objects(
		       SSL_CTX_get_cert_store(context))) > 0 ||
	       fault(faults, span_cstr(X509_get_default_cert_file()), what);
}

struct tls_client *
tls_client_new(const struct tls_client_setup *setup, struct buf *faults)
{
	struct tls_client *client = calloc(1, sizeof(*client));

	ERR_clear_error();
	if (client != NULL)
		client->context =
			context_new(TLS_client_method(), setup->version_min);
	if (client == NULL || client->context == NULL) {
		buf_append(faults, SPAN_LIT("no memory"));
		tls_client_free(client);
		return NULL;
	}
	client->is_verifying = setup->is_verifying;
	if (!load_cas(client->context, setup, faults)) {
		tls_client_free(client);
		return NULL;
	}
	SSL_CTX_set_verify(
		client->context,
		setup->is_verifying ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	return client;
}

void
tls_client_free(struct tls_client *client)
{
	if (client == NULL)
		return;
	SSL_CTX_free(client->context);
	free(client);
}

/* --- engines ------------------------------------------------------------ */

static struct tls *
engine_new(SSL_CTX *context)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	BIO *bio = BIO_new(bio_method());

	if (tls != NULL)
		tls->ssl = SSL_new(context);
	if (tls == NULL || tls->ssl == NULL || bio == NULL) {
		BIO_free(bio);
		if (tls != NULL)
			SSL_free(tls->ssl);
		free(tls);
		return NULL;
	}
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio);
	buf_init(&tls->out, TLS_OUTPUT_MAX);
	buf_init(&tls->subject, SUBJECT_MAX);
	return tls;
}

struct tls *
tls_accept(const struct tls_server *server)
{
	struct tls *tls = engine_new(server->contexts[0]);

	if (tls != NULL)
		SSL_set_accept_state(tls->ssl);
	return tls;
}

/* The peer has to be this one; an address is looked for as such. */
static bool
set_peer(struct tls *tls, const struct tls_client *client, char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
	bool is_address = X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;

	if (!is_address && SSL_set_tlsext_host_name(tls->ssl, name) != 1)
		return false;
	return is_address || !client->is_verifying ||
	       SSL_set1_host(tls->ssl, name) == 1;
}

struct tls *
tls_connect(const struct tls_client *client, struct span name)
{
	struct tls *tls = engine_new(client->context);
	char text[NAME_SIZE];

	if (tls == NULL)
		return NULL;
	tls->is_client = true;
	SSL_set_connect_state(tls->ssl);
	if (name.n == 0)
		return tls;
	snprintf(text, sizeof(text), "%.*s", (int)name.n, (const char *)name.p);
	if (name.n >= sizeof(text) || !set_peer(tls, client, text)) {
		ERR_clear_error();
		tls_free(tls);
		return NULL;
	}
	return tls;
}

void
tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	SSL_free(tls->ssl);
	buf_fini(&tls->out);
	buf_fini(&tls->subject);
	free(tls);
}

static enum tls_status
fail(struct tls *tls, const char *why)
{
	tls->has_failed = true;
	tls->failure = why;
	return TLS_FAILED;
}

/* What a call that did not succeed means. */
static enum tls_status
judge(struct tls *tls, int result)
{
	long verified = SSL_get_verify_result(tls->ssl);

	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return TLS_MORE;
	case SSL_ERROR_ZERO_RETURN:
		tls->has_ended = true;
		return TLS_CLOSED;
	case SSL_ERROR_SSL:
		if (tls->is_client && verified != X509_V_OK) {
			ERR_clear_error();
			return fail(tls,
				    X509_verify_cert_error_string(verified));
		}
		return fail(tls, last_error());
	default:
		ERR_clear_error();
		return fail(tls, "no memory");
	}
}

static void
note_certificate(struct tls *tls)
{
	X509 *x509 = SSL_get0_peer_certificate(tls->ssl);
	BIO *text;
	char *octets;
	long n;

	if (x509 == NULL)
		return;
	tls->info.has_certificate = true;
	tls->info.is_verified =
		SSL_get_verify_result(tls->ssl) == X509_V_OK &&
		SSL_get_verify_mode(tls->ssl) != SSL_VERIFY_NONE;
	X509_digest(x509, EVP_sha256(), tls->info.digest, NULL);
	text = BIO_new(BIO_s_mem());
	if (text == NULL)
		return;
	X509_NAME_print_ex(text, X509_get_subject_name(x509), 0,
			   XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
	n = BIO_get_mem_data(text, &octets);
	if (n > 0 && buf_append(&tls->subject, span_make(octets, (size_t)n)))
		tls->info.subject = buf_span(&tls->subject);
	BIO_free(text);
}

static void
note_info(struct tls *tls)
{
	const char *name =
		SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
	int bits = 0;

	tls->info.version = SSL_get_version(tls->ssl);
	tls->info.cipher = SSL_get_cipher_name(tls->ssl);
	SSL_get_cipher_bits(tls->ssl, &bits);
	tls->info.bits = (unsigned)bits;
	tls->info.is_resumed = SSL_session_reused(tls->ssl) == 1;
	if (name != NULL)
		tls->info.server_name = span_cstr(name);
	note_certificate(tls);
	ERR_clear_error();
}

/* Run a call of OpenSSL's with *in shown to it. */
#define WITH_INPUT(tls, in, result, call) \
	do {                              \
		(tls)->in = *(in);        \
		ERR_clear_error();        \
		(result) = (call);        \
		*(in) = (tls)->in;        \
		(tls)->in = SPAN_NONE;    \
	} while (0)

enum tls_status
tls_handshake(struct tls *tls, struct span *in)
{
	int result;

	if (tls->has_failed)
		return TLS_FAILED;
	WITH_INPUT(tls, in, result, SSL_do_handshake(tls->ssl));
	if (result != 1)
		return judge(tls, result);
	note_info(tls);
	return TLS_DONE;
}

enum tls_status
tls_read(struct tls *tls, struct span *in, struct span *plain)
{
	/* One thread, and nobody keeps what it borrows. */
	static uint8_t octets[TLS_READ_MAX];
	int result;

	*plain = SPAN_NONE;
	if (tls->has_failed)
		return TLS_FAILED;
	if (tls->has_ended)
		return TLS_CLOSED;
	WITH_INPUT(tls, in, result, SSL_read(tls->ssl, octets, sizeof(octets)));
	if (result <= 0)
		return judge(tls, result);
	*plain = span_make(octets, (size_t)result);
	return TLS_DONE;
}

bool
tls_write(struct tls *tls, struct span plain)
{
	size_t written;

	if (plain.n == 0)
		return true;
	if (tls->has_failed)
		return false;
	ERR_clear_error();
	if (SSL_write_ex(tls->ssl, plain.p, plain.n, &written) == 1)
		return true;
	fail(tls, "nothing can be written");
	ERR_clear_error();
	return false;
}

void
tls_end(struct tls *tls)
{
	if (tls->has_failed || !SSL_is_init_finished(tls->ssl))
		return;
	SSL_shutdown(tls->ssl);
	ERR_clear_error();
}

struct buf *
tls_output(struct tls *tls)
{
	return &tls->out;
}

const struct tlsinfo *
tls_info(const struct tls *tls)
{
	return &tls->info;
}

const char *
tls_failure(const struct tls *tls)
{
	return tls->failure == NULL ? "" : tls->failure;
}
