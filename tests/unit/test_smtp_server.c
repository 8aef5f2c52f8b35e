/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static const char *const duty_names[] = {
	[SERVER_WAIT] = "wait",         [SERVER_ANSWER] = "answer",
	[SERVER_CLOSE] = "close",       [SERVER_HELO] = "helo",
	[SERVER_SENDER] = "sender",     [SERVER_RECIPIENT] = "recipient",
	[SERVER_CONTENT] = "content",   [SERVER_RESET] = "reset",
	[SERVER_IDENTITY] = "identity", [SERVER_CHUNK] = "chunk",
	[SERVER_SWALLOW] = "swallow",
};

static const char *const state_names[] = {
	[SERVER_CONNECTED] = "CONNECTED", [SERVER_GREETED] = "GREETED",
	[SERVER_MAIL] = "MAIL",           [SERVER_RCPT] = "RCPT",
	[SERVER_CHUNKS] = "CHUNKS",       [SERVER_DATA] = "DATA",
	[SERVER_CLOSED] = "CLOSED",
};

static const struct server_limits limits = {
	.size_max = 1000,
	.recipients_max = 3,
	.errors_max = 5,
};

/* All that the gate can offer, under a backend that takes 900 octets. */
static const struct ehlo all = {
	.extensions = EXTENSION_BIT(EXTENSION_COUNT) - 1,
	.size_max = 900,
};

/* What the client's line leads to: "duty", or "duty code enhanced". */
static void
client_says(struct server *server, const char *text, char want[64])
{
	enum command_line line = COMMAND_LINE;
	enum command_fault fault = COMMAND_OK;
	struct command command;
	struct server_turn turn;

	if (strcmp(text, "(too long)") == 0)
		line = COMMAND_TOO_LONG;
	else if (strcmp(text, "(long chunk)") == 0)
		line = COMMAND_LONG_CHUNK;
	else if (strcmp(text, "(bad octet)") == 0)
		line = COMMAND_BAD_OCTET;
	else
		fault = command_parse(span_cstr(text), &command);
	turn = server_step(server, line, fault,
			   line == COMMAND_LINE ? &command : NULL);
	assert_int_equal(turn.code != 0, turn.text != NULL);
	if (turn.code == 0)
		snprintf(want, 64, "%s", duty_names[turn.duty]);
	else
		snprintf(want, 64, "%s %u%s%s", duty_names[turn.duty],
			 turn.code, turn.enhanced != NULL ? " " : "",
			 turn.enhanced != NULL ? turn.enhanced : "");
}

/* What the session reports: "sender 250" and so on. */
static void
session_says(struct server *server, const char *text)
{
	const char *code = strchr(text, ' ');
	uint64_t number = 0;
	unsigned value;

	if (code != NULL)
		assert_true(span_u64(span_cstr(code + 1), &number));
	value = (unsigned)number;
	if (strncmp(text, "ehlo", 4) == 0)
		server_greeted(server, true, value, &all);
	else if (strncmp(text, "helo", 4) == 0)
		server_greeted(server, false, value, &all);
	else if (strncmp(text, "sender", 6) == 0)
		server_sender(server, value);
	else if (strncmp(text, "recipient", 9) == 0)
		server_recipient(server, value);
	else if (strcmp(text, "end") == 0)
		server_end(server);
	else if (strcmp(text, "reset") == 0)
		server_reset(server);
	else
		fail_msg("no such report: %s", text);
}

/* One step: "C: line" and what it leads to, or "S: report" and the state it
 * leads to. */
struct step {
	const char *text;
	const char *want;
};

static void
play(struct server *server, const struct step *step)
{
	for (; step->text != NULL; step++) {
		char got[64];

		if (step->text[0] == 'C') {
			client_says(server, step->text + 3, got);
		} else {
			session_says(server, step->text + 3);
			snprintf(got, sizeof(got), "%s",
				 state_names[server->state]);
		}
		if (strcmp(got, step->want) != 0)
			fail_msg("%s: %s, not %s", step->text, got, step->want);
	}
}

static void
play_anew(const struct step *script)
{
	struct server server;

	server_init(&server, &limits);
	play(&server, script);
}

/* clang-format off */
#define GREETING \
	{ "C: EHLO client.example", "helo" }, { "S: ehlo 250", "GREETED" }
#define SENDER \
	{ "C: MAIL FROM:<a@a.example>", "sender" }, { "S: sender 250", "MAIL" }
#define RECIPIENT \
	{ "C: RCPT TO:<b@b.example>", "recipient" }, \
	{ "S: recipient 250", "RCPT" }
#define END { NULL, NULL }
/* clang-format on */

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
	{ "MAIL FROM:<a@a> AUTH=<>", "answer 555 5.5.4", "answer 555 5.5.4" },
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
	play(&server, preludes[SERVER_CHUNKS]);
	client_says(&server, "BDAT 18446744073709551615", got);
	assert_string_equal(got, "swallow 552 5.3.4");
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
		cmocka_unit_test(no_limit_is_no_limit),
		cmocka_unit_test(xclient_is_for_listed_peers),
		cmocka_unit_test(data_begins_with_the_answer),
		cmocka_unit_test(a_mail_comes_in_chunks),
		cmocka_unit_test(a_refused_chunk_ends_the_mail),
		cmocka_unit_test(chunks_wait_for_the_recipients),
		cmocka_unit_test(binary_mail_comes_in_chunks_only),
		cmocka_unit_test(chunks_need_ehlo_and_binary_an_offer),
		cmocka_unit_test(closed_is_the_end),
		cmocka_unit_test(help_names_the_verbs_of_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
