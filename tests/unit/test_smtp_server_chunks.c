/* SPDX-License-Identifier: BSD-2-Clause */
/* BDAT between the other commands. */
#include "tests/unit/server_script.h"

/* clang-format off */
static const struct step in_chunks[] = {
	GREETING, SENDER, RECIPIENT, { "C: BDAT 1", "chunk" }, END
};
/* clang-format on */

static void
a_mail_comes_in_chunks(void **state)
{
	static const struct step script[] = {
		GREETING,
		SENDER,
		RECIPIENT,
		{ "C: BDAT 400", "chunk" },
		{ "C: NOOP", "answer 250 2.0.0" },
		{ "C: BDAT 0", "chunk" },
		{ "C: BDAT 500 LAST", "chunk" },
		{ "S: end", "GREETED" },
		SENDER,
		RECIPIENT,
		{ "C: BDAT 900 LAST", "chunk" },
		{ "S: end", "GREETED" },
		SENDER,
		RECIPIENT,
		{ "C: BDAT 10", "chunk" },
		{ "C: RSET", "reset 250 2.0.0" },
		{ "C: BDAT 10 LAST", "swallow 503 5.5.1" },
		SENDER,
		RECIPIENT,
		{ "C: BDAT 900 LAST", "chunk" },
		END,
	};

	(void)state;
	play_anew(script);
}

/* Whatever was wrong with a chunk, the mail is over. */
static void
a_refused_chunk_ends_the_mail(void **state)
{
	static const struct step script[] = {
		GREETING,
		SENDER,
		RECIPIENT,
		{ "C: BDAT 400", "chunk" },
		{ "C: BDAT 501", "swallow 552 5.3.4" },
		{ "C: BDAT 1 LAST", "swallow 503 5.5.1" },
		{ "C: RCPT TO:<b@b>", "answer 503 5.5.1" },
		SENDER,
		{ "C: BDAT 1", "swallow 554 5.5.1" },
		{ "C: RCPT TO:<b@b>", "answer 503 5.5.1" },
		END,
	};
	struct server_limits none = { 0 };
	struct server server;
	char got[64];

	(void)state;
	play_anew(script);
	/* Without a limit of ours theirs holds, and the sum is no small number
	 * because it is too large to be counted. */
	server_init(&server, &none);
	play(&server, in_chunks);
	client_says(&server, "BDAT 18446744073709551615", got);
	assert_string_equal(got, "swallow 552 5.3.4");
}

/* Five errors are the limit. */
static void
chunks_behind_a_refused_one_are_one_error(void **state)
{
	struct server server;
	char got[64];

	(void)state;
	server_init(&server, &limits);
	for (int i = 0; i < 100; i++) {
		client_says(&server, "BDAT 1", got);
		assert_string_equal(got, "swallow 503 5.5.1");
	}
	for (int i = 0; i < 4; i++) {
		client_says(&server, "NOOP", got);
		client_says(&server, "BDAT 1", got);
		assert_string_equal(got, "swallow 503 5.5.1");
	}
	client_says(&server, "BDAT 1", got);
	assert_string_equal(got, "close 421 4.7.0");
}

/* Nor do they go on for ever. */
static void
chunks_behind_a_refused_one_are_junk(void **state)
{
	const struct server_limits few = { .junk_max = 3 };
	struct server server;
	char got[64];

	(void)state;
	server_init(&server, &few);
	for (int i = 0; i < 4; i++) {
		client_says(&server, "BDAT 0", got);
		assert_string_equal(got, "swallow 503 5.5.1");
	}
	client_says(&server, "BDAT 0", got);
	assert_string_equal(got, "close 421 4.7.0");
}

static void
chunks_wait_for_the_recipients(void **state)
{
	static const struct step script[] = {
		GREETING,
		{ "C: MAIL FROM:<a@a>", "sender" },
		{ "C: RCPT TO:<b@b>", "recipient" },
		{ "C: BDAT 1", "wait" },
		{ "S: sender 250", "MAIL" },
		{ "C: BDAT 1", "wait" },
		{ "S: recipient 250", "RCPT" },
		{ "C: BDAT 1", "chunk" },
		{ "C: RSET", "reset 250 2.0.0" },
		{ "C: MAIL FROM:<a@a>", "sender" },
		{ "C: RCPT TO:<b@b>", "recipient" },
		{ "S: sender 250", "MAIL" },
		{ "S: recipient 550", "MAIL" },
		{ "C: BDAT 1", "swallow 554 5.5.1" },
		END,
	};

	(void)state;
	play_anew(script);
}

static void
binary_mail_comes_in_chunks_only(void **state)
{
	static const struct step script[] = {
		GREETING,
		{ "C: MAIL FROM:<a@a> BODY=BINARYMIME", "sender" },
		{ "S: sender 250", "MAIL" },
		RECIPIENT,
		{ "C: DATA", "answer 503 5.5.1" },
		{ "C: BDAT 1 LAST", "chunk" },
		{ "S: end", "GREETED" },
		SENDER,
		RECIPIENT,
		{ "C: DATA", "content 354" },
		END,
	};

	(void)state;
	play_anew(script);
}

/* What may not be said in the clear is swallowed as all that is refused. */
static void
chunks_before_tls_are_swallowed(void **state)
{
	struct server server;
	char got[64];

	(void)state;
	server_init(&server, &limits);
	server.has_tls = server.requires_tls = true;
	client_says(&server, "BDAT 1", got);
	assert_string_equal(got, "swallow 530 5.7.0");
	client_says(&server, "BDAT x", got);
	assert_string_equal(got, "close 501 5.5.4");
}

/* RFC 3030 3: who does not take it was not promised it. */
static void
chunks_need_ehlo_and_binary_an_offer(void **state)
{
	static const struct step after_helo[] = {
		{ "C: HELO client.example", "helo" },
		{ "S: helo 250", "GREETED" },
		SENDER,
		RECIPIENT,
		{ "C: BDAT 1", "swallow 503 5.5.1" },
		END,
	};
	const struct ehlo text = {
		.extensions = EXTENSION_BIT(EXTENSION_8BITMIME),
	};
	struct server server;
	char got[64];

	(void)state;
	play_anew(after_helo);
	server_init(&server, &limits);
	client_says(&server, "EHLO c", got);
	server_greeted(&server, true, 250, &text);
	client_says(&server, "MAIL FROM:<a@a> BODY=BINARYMIME", got);
	assert_string_equal(got, "answer 501 5.5.4");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mail_comes_in_chunks),
		cmocka_unit_test(a_refused_chunk_ends_the_mail),
		cmocka_unit_test(chunks_behind_a_refused_one_are_one_error),
		cmocka_unit_test(chunks_behind_a_refused_one_are_junk),
		cmocka_unit_test(chunks_wait_for_the_recipients),
		cmocka_unit_test(chunks_before_tls_are_swallowed),
		cmocka_unit_test(binary_mail_comes_in_chunks_only),
		cmocka_unit_test(chunks_need_ehlo_and_binary_an_offer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
