/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions that are resumed, by a client of OpenSSL's own, while a stepped
 * clock turns the keys of tickets.
 */
#include "proxy/tickets.h"
#include "proxy/tls.h"

#include "tests/unit/certificates.h"

#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define PERIOD_US ((uint64_t)TICKETS_PERIOD_S * 1000000)
#define ROUNDS 8

static struct certificates certificates;
static uint64_t now_us;

static uint64_t
stepped(void)
{
	return now_us;
}

/* What the client was given last, by whatever connection. */
static SSL_SESSION *given;

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(given);
	given = session;
	return 1; /* kept */
}

static SSL_CTX *
client_of(int version)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	assert_non_null(context);
	SSL_CTX_set_min_proto_version(context, version);
	SSL_CTX_set_max_proto_version(context, version);
	SSL_CTX_set_session_cache_mode(
		context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, on_session);
	return context;
}

static struct tls_server *
server_with(struct tickets *tickets)
{
	static const char *const name = "mx.example";
	struct tls_server *server =
		certificates_server(&certificates, &name, 1, TLS_1_2);

	if (tickets != NULL)
		tls_server_use_tickets(server, tickets);
	return server;
}

/* With TLS 1.2 OpenSSL tells of no ticket that comes with a session resumed:
 * then there is another session than the one offered. */
static void
look_for_renewal(SSL *client, const SSL_SESSION *offered)
{
	if (SSL_version(client) == TLS1_2_VERSION &&
	    SSL_session_reused(client) == 1 &&
	    SSL_get0_session(client) != offered)
		on_session(client, SSL_get1_session(client));
}

/* All that the client has said, to the gate. */
static void
hear_client(struct tls *gate, BIO *said, bool *stands)
{
	static char octets[65536];
	int n = BIO_read(said, octets, sizeof(octets));
	struct span in = span_make(octets, n > 0 ? (size_t)n : 0), plain;

	if (in.n == 0)
		return;
	if (!*stands)
		*stands = tls_handshake(gate, &in) == TLS_DONE;
	while (*stands && tls_read(gate, &in, &plain) == TLS_DONE)
		;
}

/* A connection that offers a session, or none; whether it was resumed, as both
 * sides see it. */
static bool
connects(struct tls_server *server, SSL_CTX *context, SSL_SESSION *offered)
{
	BIO *heard = BIO_new(BIO_s_mem()), *said = BIO_new(BIO_s_mem());
	struct tls *gate = tls_accept(server);
	SSL *client = SSL_new(context);
	bool stands = false, is_resumed;
	char octet;

	assert_true(gate != NULL && client != NULL && heard != NULL &&
		    said != NULL);
	SSL_set_bio(client, heard, said);
	SSL_set_connect_state(client);
	if (offered != NULL)
		assert_int_equal(SSL_set_session(client, offered), 1);
	for (int i = 0; i < ROUNDS; i++) {
		struct buf *output = tls_output(gate);

		SSL_read(client, &octet, 1); /* goes on with all there is */
		hear_client(gate, said, &stands);
		if (output->n > 0)
			BIO_write(heard, buf_span(output).p, (int)output->n);
		buf_reset(output);
	}
	assert_true(stands && SSL_is_init_finished(client));
	is_resumed = SSL_session_reused(client) == 1;
	assert_int_equal(tls_info(gate)->is_resumed, is_resumed);
	look_for_renewal(client, offered);
	tls_end(gate);
	SSL_shutdown(client); /* else its session counts as bad */
	SSL_free(client);
	tls_free(gate);
	return is_resumed;
}

/* The session that was given last; the caller's. */
static SSL_SESSION *
take_given(void)
{
	SSL_SESSION *session = given;

	assert_non_null(session);
	given = NULL;
	return session;
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
#define VERSION_COUNT (sizeof(versions) / sizeof(versions[0]))

static void
a_ticket_is_good_for_two_periods_of_its_key(void **state)
{
	static const struct {
		uint64_t sealed_us;
		uint64_t shown_us;
		bool is_resumed;
	} rows[] = {
		{ 0, 0, true },
		{ 0, PERIOD_US - 1, true },
		{ 0, PERIOD_US, true },
		{ 0, 2 * PERIOD_US - 1, true },
		{ 0, 2 * PERIOD_US, false },
		{ PERIOD_US - 1, 2 * PERIOD_US - 1, true },
		{ PERIOD_US - 1, 2 * PERIOD_US, false },
		{ PERIOD_US, 3 * PERIOD_US - 1, true },
		{ 0, 100 * PERIOD_US, false },
	};

	(void)state;
	for (size_t i = 0; i < VERSION_COUNT * (sizeof(rows) / sizeof(rows[0]));
	     i++) {
		SSL_CTX *context = client_of(versions[i % VERSION_COUNT]);
		struct tickets *tickets;
		struct tls_server *server;
		SSL_SESSION *first;

		now_us = 0;
		tickets = tickets_new(stepped);
		server = server_with(tickets);
		now_us = rows[i / VERSION_COUNT].sealed_us;
		assert_false(connects(server, context, NULL));
		first = take_given();
		now_us = rows[i / VERSION_COUNT].shown_us;
		assert_int_equal(connects(server, context, first),
				 rows[i / VERSION_COUNT].is_resumed);
		SSL_SESSION_free(first);
		tls_server_free(server);
		tickets_drop(tickets);
		SSL_CTX_free(context);
	}
}

/* Whoever comes back once in a period never does a whole handshake. */
static void
a_ticket_of_the_former_key_is_renewed(void **state)
{
	(void)state;
	for (size_t i = 0; i < VERSION_COUNT; i++) {
		SSL_CTX *context = client_of(versions[i]);
		struct tickets *tickets;
		struct tls_server *server;

		now_us = 0;
		tickets = tickets_new(stepped);
		server = server_with(tickets);
		assert_false(connects(server, context, NULL));
		for (int period = 1; period < 10; period++) {
			SSL_SESSION *shown = take_given();

			now_us += PERIOD_US;
			assert_true(connects(server, context, shown));
			assert_non_null(given);
			SSL_SESSION_free(shown);
		}
		tls_server_free(server);
		tickets_drop(tickets);
		SSL_CTX_free(context);
	}
}

static void
a_ticket_of_the_same_key_is_renewed_by_tls_1_3_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < VERSION_COUNT; i++) {
		SSL_CTX *context = client_of(versions[i]);
		struct tickets *tickets = tickets_new(stepped);
		struct tls_server *server = server_with(tickets);
		SSL_SESSION *first;

		assert_false(connects(server, context, NULL));
		first = take_given();
		assert_true(connects(server, context, first));
		assert_int_equal(given != NULL, versions[i] == TLS1_3_VERSION);
		SSL_SESSION_free(first);
		tls_server_free(server);
		tickets_drop(tickets);
		SSL_CTX_free(context);
	}
}

static void
servers_that_share_the_keys_resume_each_others_sessions(void **state)
{
	struct tickets *tickets = tickets_new(stepped);
	struct tickets *others = tickets_new(stepped);
	struct tls_server *server = server_with(tickets);
	struct tls_server *twin = server_with(tickets);
	struct tls_server *stranger = server_with(others);
	struct tls_server *without = server_with(NULL);

	(void)state;
	for (size_t i = 0; i < VERSION_COUNT; i++) {
		SSL_CTX *context = client_of(versions[i]);
		SSL_SESSION *first;

		assert_false(connects(server, context, NULL));
		first = take_given();
		assert_true(connects(twin, context, first));
		assert_false(connects(stranger, context, first));
		assert_false(connects(without, context, first));
		SSL_SESSION_free(first);
		SSL_CTX_free(context);
	}
	tls_server_free(server);
	tls_server_free(twin);
	tls_server_free(stranger);
	tls_server_free(without);
	tickets_drop(tickets);
	tickets_drop(others);
}

static int
make_certificates(void **state)
{
	(void)state;
	certificates_make(&certificates);
	certificates_issue(&certificates, "mx.example");
	return 0;
}

static int
remove_certificates(void **state)
{
	(void)state;
	SSL_SESSION_free(given);
	given = NULL;
	certificates_remove(&certificates);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ticket_is_good_for_two_periods_of_its_key),
		cmocka_unit_test(a_ticket_of_the_former_key_is_renewed),
		cmocka_unit_test(
			a_ticket_of_the_same_key_is_renewed_by_tls_1_3_alone),
		cmocka_unit_test(
			servers_that_share_the_keys_resume_each_others_sessions),
	};

	return cmocka_run_group_tests(tests, make_certificates,
				      remove_certificates);
}
