/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/server_script.h"

static void
a_mail_goes_its_way(void **state)
{
	static const struct step script[] = {
		GREETING,
		SENDER,
		RECIPIENT,
		RECIPIENT,
		{ "C: DATA", "content 354" },
		{ "S: end", "GREETED" },
		SENDER,
		RECIPIENT,
		{ "C: DATA", "content 354" },
		{ "S: end", "GREETED" },
		{ "C: QUIT", "close 221 2.0.0" },
		END,
	};

	(void)state;
	play_anew(script);
}

/* Every verb in every state. */
/* clang-format off */
#define ALWAYS(want) { want, want, want, want, want }
/* clang-format on */

static const struct {
	const char *line;
	const char *want[5]; /* CONNECTED, GREETED, MAIL, RCPT, CHUNKS */
} matrix[] = {
	{ "HELO c", ALWAYS("helo") },
	{ "EHLO c", ALWAYS("helo") },
	{ "MAIL FROM:<a@a>",
	  { "answer 503 5.5.1", "sender", "answer 503 5.5.1",
	    "answer 503 5.5.1", "answer 503 5.5.1" } },
	{ "MAIL FROM:<>",
	  { "answer 503 5.5.1", "sender", "answer 503 5.5.1",
	    "answer 503 5.5.1", "answer 503 5.5.1" } },
	{ "RCPT TO:<a@a>",
	  { "answer 503 5.5.1", "answer 503 5.5.1", "recipient", "recipient",
	    "answer 503 5.5.1" } },
	{ "DATA",
	  { "answer 503 5.5.1", "answer 503 5.5.1", "answer 554 5.5.1",
	    "content 354", "answer 503 5.5.1" } },
	{ "RSET", ALWAYS("reset 250 2.0.0") },
	{ "NOOP x", ALWAYS("answer 250 2.0.0") },
	{ "VRFY a", ALWAYS("answer 252 2.5.0") },
	{ "HELP", ALWAYS("answer 214 2.0.0") },
	{ "QUIT", ALWAYS("close 221 2.0.0") },
	{ "BDAT 1",
	  { "swallow 503 5.5.1", "swallow 503 5.5.1", "swallow 554 5.5.1",
	    "chunk", "chunk" } },
	{ "BDAT 0 LAST",
	  { "swallow 503 5.5.1", "swallow 503 5.5.1", "swallow 554 5.5.1",
	    "chunk", "chunk" } },
	/* Known, not offered. */
	{ "EXPN a", ALWAYS("answer 502 5.5.1") },
	{ "STARTTLS", ALWAYS("answer 502 5.5.1") },
	{ "AUTH PLAIN", ALWAYS("answer 502 5.5.1") },
	{ "ETRN a", ALWAYS("answer 502 5.5.1") },
	{ "TURN", ALWAYS("answer 502 5.5.1") },
	{ "XCLIENT ADDR=192.0.2.1", ALWAYS("answer 502 5.5.1") },
	/* Unknown. */
	{ "HELLO c", ALWAYS("answer 500 5.5.2") },
	{ "", ALWAYS("answer 500 5.5.2") },
	{ "(too long)", ALWAYS("answer 500 5.5.2") },
	{ "(bad octet)", ALWAYS("close 500 5.5.2") },
	/* How much follows cannot be known, or not be read. */
	{ "(long chunk)", ALWAYS("close 501 5.5.4") },
	{ "BDAT", ALWAYS("close 501 5.5.4") },
	{ "BDAT x", ALWAYS("close 501 5.5.4") },
	{ "BDAT 1 FIRST", ALWAYS("close 501 5.5.4") },
	{ "BDAT 2002", ALWAYS("close 552 5.3.4") },
	{ "BDAT 18446744073709551615 LAST", ALWAYS("close 552 5.3.4") },
	/* Faults come after order. */
	{ "HELO", ALWAYS("answer 501 5.5.4") },
	{ "EHLO a b", ALWAYS("answer 501 5.5.2") },
	{ "MAIL <a@a>",
	  { "answer 503 5.5.1", "answer 501 5.5.4", "answer 503 5.5.1",
	    "answer 503 5.5.1", "answer 503 5.5.1" } },
	{ "MAIL FROM:a@a",
	  { "answer 503 5.5.1", "answer 501 5.1.7", "answer 503 5.5.1",
	    "answer 503 5.5.1", "answer 503 5.5.1" } },
	{ "MAIL FROM:<a@a> SIZE=1 SIZE=1",
	  { "answer 503 5.5.1", "answer 501 5.5.4", "answer 503 5.5.1",
	    "answer 503 5.5.1", "answer 503 5.5.1" } },
	{ "RCPT TO:<>",
	  { "answer 503 5.5.1", "answer 503 5.5.1", "answer 501 5.1.3",
	    "answer 501 5.1.3", "answer 503 5.5.1" } },
	{ "DATA x",
	  { "answer 503 5.5.1", "answer 503 5.5.1", "answer 554 5.5.1",
	    "answer 501 5.5.4", "answer 503 5.5.1" } },
	{ "RSET x", ALWAYS("answer 501 5.5.4") },
	{ "VRFY", ALWAYS("answer 501 5.5.4") },
	{ "QUIT x", ALWAYS("answer 501 5.5.4") },
};

static const struct step preludes[5][8] = {
	[SERVER_CONNECTED] = { END },
	[SERVER_GREETED] = { GREETING, END },
	[SERVER_MAIL] = { GREETING, SENDER, END },
	[SERVER_RCPT] = { GREETING, SENDER, RECIPIENT, END },
	[SERVER_CHUNKS] = { GREETING,
			    SENDER,
			    RECIPIENT,
			    { "C: BDAT 1", "chunk" },
			    END },
};

static void
each_verb_has_its_states(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(matrix); i++) {
		for (size_t from = 0; from < 5; from++) {
			struct server server;
			char got[64];

			server_init(&server, &limits);
			play(&server, preludes[from]);
			assert_int_equal(server.state, from);
			client_says(&server, matrix[i].line, got);
			if (strcmp(got, matrix[i].want[from]) != 0)
				fail_msg("%s in %s: %s", matrix[i].line,
					 state_names[from], got);
		}
	}
}

/* AUTH where it is passed on: not in plain, not without EHLO, not in a mail,
 * once. */
static void
a_login_has_its_place(void **state)
{
	static const struct step in_plain[] = {
		{ "C: AUTH PLAIN", "answer 538 5.7.11" },
		{ "C: AUTH", "answer 538 5.7.11" },
		END,
	};
	static const struct step under_tls[] = {
		{ "C: AUTH PLAIN", "answer 503 5.5.1" },
		{ "C: HELO c", "helo" },
		{ "S: helo 250", "GREETED" },
		{ "C: AUTH PLAIN", "answer 502 5.5.1" },
		GREETING,
		SENDER,
		{ "C: AUTH PLAIN", "answer 503 5.5.1" },
		{ "C: RSET", "reset 250 2.0.0" },
		{ "C: AUTH", "answer 501 5.5.4" },
		{ "C: AUTH CRAM-MD5", "answer 504 5.5.4" },
		END,
	};
	static const struct step logging_in[] = {
		GREETING,
		{ "C: AUTH plain AAAA", "login" },
		{ "S: login 535", "GREETED" },
		{ "C: AUTH LOGIN", "login" },
		{ "S: login 235", "GREETED" },
		{ "C: AUTH LOGIN", "answer 503 5.5.1" },
		GREETING,
		{ "C: AUTH LOGIN", "answer 503 5.5.1" },
		{ "S: reset", "CONNECTED" },
		GREETING,
		{ "C: AUTH LOGIN", "login" },
		END,
	};
	struct server server;

	(void)state;
	server_init(&server, &limits);
	server.takes_login = true;
	play(&server, in_plain);
	server_init(&server, &limits);
	server.takes_login = true;
	server_secured(&server);
	play(&server, under_tls);
	server_init(&server, &limits);
	server.takes_login = true;
	server_secured(&server);
	play(&server, logging_in);
	assert_int_equal(server.errors, 3); /* one of them the backend's */
}

/* MAIL after EHLO and after HELO, all extensions offered to the first. */
static const struct {
	const char *line;
	const char *want;
	const char *after_helo;
} senders[] = {
	{ "MAIL FROM:<a@a>", "sender", "sender" },
	{ "MAIL FROM:<a@a> SIZE=900", "sender", "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> SIZE=0", "sender", "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> SIZE=901", "answer 552 5.3.4", "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> SIZE=99999999999999999999", "answer 552 5.3.4",
	  "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> SIZE=000000000000000000001", "answer 501 5.5.4",
	  "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> SIZE=ten", "answer 501 5.5.4", "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> SIZE=-1", "answer 501 5.5.4", "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> SIZE", "answer 501 5.5.4", "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> BODY=7BIT", "sender", "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> body=8bitmime", "sender", "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> BODY=BinaryMIME", "sender", "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> BODY=9BIT", "answer 501 5.5.4", "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> BODY", "answer 501 5.5.4", "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> SMTPUTF8", "sender", "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> SMTPUTF8=1", "answer 501 5.5.4",
	  "answer 555 5.5.4" },
	{ "MAIL FROM:<\xc3\xa9@a> SMTPUTF8", "sender", "answer 555 5.5.4" },
	{ "MAIL FROM:<\xc3\xa9@a>", "answer 553 5.6.7", "answer 553 5.6.7" },
	{ "MAIL FROM:<a@\xc3\xa9>", "answer 553 5.6.7", "answer 553 5.6.7" },
	{ "MAIL FROM:<a@a> RET=HDRS ENVID=x", "sender", "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> NOTIFY=NEVER", "answer 555 5.5.4",
	  "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> AUTH=<>", "sender", "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> AUTH=+", "answer 501 5.5.4", "answer 555 5.5.4" },
	{ "MAIL FROM:<a@a> SIZE=ten X=1", "answer 555 5.5.4",
	  "answer 555 5.5.4" },
};

static void
parameters_are_those_that_were_offered(void **state)
{
	static const struct step helo[] = {
		{ "C: HELO client.example", "helo" },
		{ "S: helo 250", "GREETED" },
		END,
	};

	(void)state;
	for (size_t i = 0; i < ROWS(senders); i++) {
		struct server server;
		char got[64];

		server_init(&server, &limits);
		play(&server, preludes[SERVER_GREETED]);
		client_says(&server, senders[i].line, got);
		assert_string_equal(got, senders[i].want);
		server_init(&server, &limits);
		play(&server, helo);
		client_says(&server, senders[i].line, got);
		assert_string_equal(got, senders[i].after_helo);
	}
}

static void
the_tighter_size_limit_holds(void **state)
{
	struct server_limits tight = { .size_max = 800 };
	struct server server;
	char got[64];

	(void)state;
	server_init(&server, &tight);
	play(&server, preludes[SERVER_GREETED]);
	client_says(&server, "MAIL FROM:<a@a> SIZE=801", got);
	assert_string_equal(got, "answer 552 5.3.4");
	client_says(&server, "MAIL FROM:<a@a> SIZE=800", got);
	assert_string_equal(got, "sender");
}

static void
recipients_have_parameters_of_their_own(void **state)
{
	static const struct step script[] = {
		GREETING,
		SENDER,
		{ "C: RCPT TO:<b@b> NOTIFY=NEVER ORCPT=rfc822;b@b",
		  "recipient" },
		{ "S: recipient 250", "RCPT" },
		{ "C: RCPT TO:<b@b> SIZE=1", "answer 555 5.5.4" },
		{ "C: RCPT TO:<b@b> X", "answer 555 5.5.4" },
		END,
	};

	(void)state;
	play_anew(script);
}

static void
utf8_recipients_need_a_utf8_mail(void **state)
{
	static const struct step script[] = {
		GREETING,
		SENDER,
		{ "C: RCPT TO:<\xc3\xa9@b>", "answer 553 5.6.7" },
		{ "C: RSET", "reset 250 2.0.0" },
		{ "C: MAIL FROM:<a@a> SMTPUTF8", "sender" },
		{ "C: RCPT TO:<\xc3\xa9@b>", "recipient" },
		{ "S: sender 250", "MAIL" },
		{ "S: recipient 250", "RCPT" },
		{ "C: DATA", "content 354" },
		{ "S: end", "GREETED" },
		SENDER,
		{ "C: RCPT TO:<\xc3\xa9@b>", "answer 553 5.6.7" },
		{ "C: RSET", "reset 250 2.0.0" },
		{ "C: MAIL FROM:<a@a> SMTPUTF8", "sender" },
		{ "S: sender 550", "GREETED" },
		SENDER,
		{ "C: RCPT TO:<\xc3\xa9@b>", "answer 553 5.6.7" },
		END,
	};

	(void)state;
	play_anew(script);
}

/* RFC 2920: RCPT goes on; all else, and our own answers, wait their turn. */
static void
only_rcpt_overtakes(void **state)
{
	static const struct step script[] = {
		GREETING,
		{ "C: MAIL FROM:<a@a>", "sender" },
		{ "C: RCPT TO:<b@b>", "recipient" },
		{ "C: RCPT TO:<c@c>", "recipient" },
		{ "C: RCPT TO:<>", "wait" },
		{ "C: RCPT TO:<b@b> X", "wait" },
		{ "C: DATA", "wait" },
		{ "C: NOOP", "wait" },
		{ "C: QUIT", "wait" },
		{ "C: RSET", "wait" },
		{ "C: EHLO x", "wait" },
		{ "C: MAIL FROM:<a@a>", "wait" },
		{ "C: (too long)", "wait" },
		{ "C: (bad octet)", "wait" },
		{ "C: FOO", "wait" },
		{ "S: sender 250", "MAIL" },
		{ "C: DATA", "wait" },
		{ "S: recipient 550", "MAIL" },
		{ "C: DATA", "wait" },
		{ "S: recipient 250", "RCPT" },
		{ "C: DATA", "content 354" },
		END,
	};

	(void)state;
	play_anew(script);
}

static void
a_refused_mail_leaves_its_recipients_out_of_order(void **state)
{
	static const struct step script[] = {
		GREETING,
		{ "C: MAIL FROM:<a@a>", "sender" },
		{ "C: RCPT TO:<b@b>", "recipient" },
		{ "S: sender 550", "GREETED" },
		{ "C: RCPT TO:<c@c>", "wait" },
		{ "S: recipient 250", "GREETED" },
		{ "C: RCPT TO:<c@c>", "answer 503 5.5.1" },
		{ "C: DATA", "answer 503 5.5.1" },
		SENDER,
		END,
	};

	(void)state;
	play_anew(script);
}

static void
data_needs_a_recipient_that_was_accepted(void **state)
{
	static const struct step script[] = {
		GREETING,
		SENDER,
		{ "C: DATA", "answer 554 5.5.1" },
		{ "C: RCPT TO:<b@b>", "recipient" },
		{ "S: recipient 450", "MAIL" },
		{ "C: RCPT TO:<c@c>", "recipient" },
		{ "S: recipient 550", "MAIL" },
		{ "C: DATA", "answer 554 5.5.1" },
		RECIPIENT,
		{ "C: DATA", "content 354" },
		END,
	};

	(void)state;
	play_anew(script);
}

/* Three are the limit; those refused do not count. */
static void
recipients_over_the_limit_are_asked_to_come_again(void **state)
{
	static const struct step script[] = {
		GREETING,
		SENDER,
		RECIPIENT,
		RECIPIENT,
		{ "C: RCPT TO:<c@c>", "recipient" },
		{ "C: RCPT TO:<d@d>", "wait" },
		{ "S: recipient 550", "RCPT" },
		{ "C: RCPT TO:<d@d>", "recipient" },
		{ "C: RCPT TO:<e@e>", "wait" },
		{ "S: recipient 250", "RCPT" },
		{ "C: RCPT TO:<e@e>", "answer 452 4.5.3" },
		{ "C: DATA", "content 354" },
		{ "S: end", "GREETED" },
		SENDER,
		RECIPIENT,
		END,
	};

	(void)state;
	play_anew(script);
}

static void
a_greeting_ends_the_mail_if_it_is_accepted(void **state)
{
	static const struct step script[] = {
		GREETING,
		SENDER,
		RECIPIENT,
		{ "C: EHLO again.example", "helo" },
		{ "C: RCPT TO:<c@c>", "wait" },
		{ "C: NOOP", "wait" },
		{ "S: ehlo 550", "RCPT" },
		{ "C: HELO again.example", "helo" },
		{ "S: helo 250", "GREETED" },
		{ "C: DATA", "answer 503 5.5.1" },
		{ "C: MAIL FROM:<a@a> SIZE=1", "answer 555 5.5.4" },
		END,
	};

	(void)state;
	play_anew(script);
}

static void
a_refused_greeting_greets_nobody(void **state)
{
	static const struct step script[] = {
		{ "C: EHLO client.example", "helo" },
		{ "S: ehlo 421", "CONNECTED" },
		{ "C: MAIL FROM:<a@a>", "answer 503 5.5.1" },
		{ "C: RSET", "reset 250 2.0.0" },
		{ "S: end", "CONNECTED" },
		END,
	};

	(void)state;
	play_anew(script);
}

static void
rset_drops_the_mail_at_once(void **state)
{
	static const struct step script[] = {
		GREETING,
		SENDER,
		RECIPIENT,
		{ "C: RSET", "reset 250 2.0.0" },
		{ "C: RCPT TO:<c@c>", "answer 503 5.5.1" },
		SENDER,
		{ "C: DATA", "answer 554 5.5.1" },
		END,
	};

	(void)state;
	play_anew(script);
}

/* Five are the limit; the backend's refusals and our 452 do not count. */
static void
too_many_errors_end_the_session(void **state)
{
	static const struct step script[] = {
		{ "C: FOO", "answer 500 5.5.2" },
		{ "C: MAIL FROM:<a@a>", "answer 503 5.5.1" },
		GREETING,
		SENDER,
		{ "C: RCPT TO:<b@b>", "recipient" },
		{ "S: recipient 550", "MAIL" },
		RECIPIENT,
		RECIPIENT,
		RECIPIENT,
		{ "C: RCPT TO:<b@b>", "answer 452 4.5.3" },
		{ "C: STARTTLS", "answer 502 5.5.1" },
		{ "C: (too long)", "answer 500 5.5.2" },
		{ "C: NOOP", "answer 250 2.0.0" },
		{ "C: BAR", "answer 500 5.5.2" },
		{ "C: NOOP", "close 421 4.7.0" },
		END,
	};
	struct server server;

	(void)state;
	server_init(&server, &limits);
	play(&server, script);
	assert_int_equal(server.state, SERVER_CLOSED);
}

/* What is said, what the session answers, and which limit it is. */
struct limit_case {
	struct server_limits limits;
	struct step script[24];
	const char *setting;
	const char *last; /* the line that is one too many */
};

/* clang-format off */
static const struct limit_case limit_cases[] = {
	{ { .errors_max = 1 }, { { "C: DATA", "answer 503 5.5.1" }, END },
	  "limit.errors", "QUIT" },
	{ { .unknown_max = 2 },
	  { { "C: FOO", "answer 500 5.5.2" },
	    { "C: MAIL FROM:<a@a>", "answer 503 5.5.1" },
	    { "C: EXPN x", "answer 502 5.5.1" },
	    { "C: (too long)", "answer 500 5.5.2" },
	    { "C: FOO", "answer 500 5.5.2" }, END },
	  "limit.unknown-commands", "NOOP" },
	{ { .refused_max = 2 },
	  { GREETING, SENDER, RECIPIENT,
	    { "C: RCPT TO:<b@b>", "recipient" },
	    { "C: RCPT TO:<c@c>", "recipient" },
	    { "C: RCPT TO:<d@d>", "recipient" },
	    { "S: recipient 550", "RCPT" }, { "S: recipient 450", "RCPT" },
	    /* Not before the last of them is answered. */
	    { "C: RSET", "wait" },
	    { "S: recipient 553", "RCPT" }, END },
	  "limit.refused-recipients", "RCPT TO:<e@e>" },
	{ { .junk_max = 7 },
	  { GREETING, { "C: NOOP", "answer 250 2.0.0" },
	    { "C: VRFY a", "answer 252 2.5.0" },
	    { "C: HELP", "answer 214 2.0.0" },
	    SENDER, { "C: RSET", "reset 250 2.0.0" },
	    { "C: FOO", "answer 500 5.5.2" },
	    { "C: XCLIENT NAME=a", "identity" }, { "S: reset", "CONNECTED" },
	    GREETING, END },
	  "limit.junk-commands", "QUIT" },
	{ { .messages_max = 2 },
	  { GREETING, SENDER, { "C: RSET", "reset 250 2.0.0" },
	    { "C: MAIL FROM:<a@a>", "sender" }, { "S: sender 550", "GREETED" },
	    { "C: NOOP", "answer 250 2.0.0" }, END },
	  "limit.messages", "MAIL FROM:<a@a>" },
};
/* clang-format on */

static void
each_limit_ends_the_session_and_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(limit_cases) / sizeof(limit_cases[0]);
	     i++) {
		const struct limit_case *at = &limit_cases[i];
		struct command command;
		struct server_turn turn;
		struct server server;

		server_init(&server, &at->limits);
		server.takes_xclient = true;
		play(&server, at->script);
		assert_int_equal(command_parse(span_cstr(at->last), &command),
				 COMMAND_OK);
		turn = server_step(&server, COMMAND_LINE, COMMAND_OK, &command);
		assert_int_equal(turn.duty, SERVER_CLOSE);
		assert_int_equal(turn.code, 421);
		assert_string_equal(turn.enhanced, "4.7.0");
		assert_non_null(turn.limit);
		assert_string_equal(turn.limit, at->setting);
	}
}

static void
a_message_makes_up_for_junk(void **state)
{
	const struct server_limits few = { .junk_max = 2 };
	struct server server;
	char got[64];

	(void)state;
	server_init(&server, &few);
	client_says(&server, "NOOP", got);
	client_says(&server, "NOOP", got);
	server_delivered(&server);
	client_says(&server, "NOOP", got);
	client_says(&server, "NOOP", got);
	assert_string_equal(got, "answer 250 2.0.0");
	client_says(&server, "NOOP", got);
	assert_string_equal(got, "close 421 4.7.0");
}

static void
no_limit_is_no_limit(void **state)
{
	struct server_limits none = { 0 };
	struct server server;
	char got[64];

	(void)state;
	server_init(&server, &none);
	for (int i = 0; i < 1000; i++)
		client_says(&server, "FOO", got);
	assert_string_equal(got, "answer 500 5.5.2");
	play(&server, preludes[SERVER_MAIL]);
	for (int i = 0; i < 1000; i++)
		client_says(&server, "RCPT TO:<a@a>", got);
	assert_string_equal(got, "recipient");
}

static void
xclient_is_for_listed_peers(void **state)
{
	static const struct step script[] = {
		{ "C: XCLIENT ADDR=192.0.2.1", "identity" },
		{ "S: reset", "CONNECTED" },
		GREETING,
		{ "C: XCLIENT ADDR=192.0.2.1", "identity" },
		{ "S: reset", "CONNECTED" },
		{ "C: MAIL FROM:<a@a>", "answer 503 5.5.1" },
		GREETING,
		SENDER,
		{ "C: XCLIENT ADDR=192.0.2.1", "answer 503 5.5.1" },
		RECIPIENT,
		{ "C: XCLIENT ADDR=192.0.2.1", "answer 503 5.5.1" },
		END,
	};
	struct server server;

	(void)state;
	server_init(&server, &limits);
	server.takes_xclient = true;
	play(&server, script);
	assert_true(server.takes_xclient);
}

static void
data_begins_with_the_answer(void **state)
{
	struct server server;
	char got[64];

	(void)state;
	server_init(&server, &limits);
	play(&server, preludes[SERVER_RCPT]);
	client_says(&server, "DATA", got);
	assert_int_equal(server.state, SERVER_DATA);
}

/* Once closed it stays so, whatever is still reported. */
static void
closed_is_the_end(void **state)
{
	struct server server;
	char got[64];

	(void)state;
	server_init(&server, &limits);
	play(&server, preludes[SERVER_RCPT]);
	client_says(&server, "QUIT", got);
	assert_int_equal(server.state, SERVER_CLOSED);
	server_end(&server);
	assert_int_equal(server.state, SERVER_CLOSED);
}

/* What HELP names is what a client can use: the verbs with a line of help. */
static void
help_names_the_verbs_of_the_table(void **state)
{
	/* clang-format off */
	static const struct { const char *text, *help; } verbs[] = {
#define X(name, text, argument, help) { text, help },
		VERBS(X)
#undef X
	};
	/* clang-format on */
	struct server server;
	struct command command;
	struct server_turn turn;

	(void)state;
	server_init(&server, &limits);
	command_parse(SPAN_LIT("HELP"), &command);
	turn = server_step(&server, COMMAND_LINE, COMMAND_OK, &command);
	for (size_t i = 0; i < ROWS(verbs); i++)
		assert_int_equal(strstr(turn.text, verbs[i].text) != NULL,
				 verbs[i].help[0] != '\0');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mail_goes_its_way),
		cmocka_unit_test(each_verb_has_its_states),
		cmocka_unit_test(a_login_has_its_place),
		cmocka_unit_test(parameters_are_those_that_were_offered),
		cmocka_unit_test(the_tighter_size_limit_holds),
		cmocka_unit_test(recipients_have_parameters_of_their_own),
		cmocka_unit_test(utf8_recipients_need_a_utf8_mail),
		cmocka_unit_test(only_rcpt_overtakes),
		cmocka_unit_test(
			a_refused_mail_leaves_its_recipients_out_of_order),
		cmocka_unit_test(data_needs_a_recipient_that_was_accepted),
		cmocka_unit_test(
			recipients_over_the_limit_are_asked_to_come_again),
		cmocka_unit_test(a_greeting_ends_the_mail_if_it_is_accepted),
		cmocka_unit_test(a_refused_greeting_greets_nobody),
		cmocka_unit_test(rset_drops_the_mail_at_once),
		cmocka_unit_test(too_many_errors_end_the_session),
		cmocka_unit_test(each_limit_ends_the_session_and_is_named),
		cmocka_unit_test(a_message_makes_up_for_junk),
		cmocka_unit_test(no_limit_is_no_limit),
		cmocka_unit_test(xclient_is_for_listed_peers),
		cmocka_unit_test(data_begins_with_the_answer),
		cmocka_unit_test(closed_is_the_end),
		cmocka_unit_test(help_names_the_verbs_of_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
