/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server_script: a dialogue with smtp/server as a table of steps: what the
 * client says and what it leads to, what the session reports and the state it
 * leads to.
 */
#ifndef TESTS_UNIT_SERVER_SCRIPT_H
#define TESTS_UNIT_SERVER_SCRIPT_H

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
	[SERVER_SWALLOW] = "swallow",   [SERVER_LOGIN] = "login",
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
	.mechanisms = "PLAIN LOGIN",
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
	else if (strncmp(text, "login", 5) == 0)
		server_logged_in(server, value);
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

#endif
