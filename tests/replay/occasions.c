/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/replay/occasions.h"

#include "proxy/session_state.h"

#include <stddef.h>

/* X(name, text, whether arguments are looked at in it) */
#define STATES(X)                                                    \
	X(EARLY, "before the banner", true)                          \
	X(CONNECTED, "behind the banner", true)                      \
	X(HELO, "behind HELO", true)                                 \
	X(EHLO, "behind EHLO", true)                                 \
	X(SECURED, "behind the handshake", true)                     \
	X(TLS, "behind EHLO under TLS", true)                        \
	X(MAIL, "behind MAIL", true)                                 \
	X(REFUSED, "behind a refused RCPT", true)                    \
	X(RCPT, "behind RCPT", true)                                 \
	X(CHUNKS, "between chunks", true)                            \
	X(DELIVERED, "behind a message", true)                       \
	X(BEHIND_DATA, "behind DATA, before its 354", false)         \
	X(BEHIND_STARTTLS, "behind STARTTLS, before its 220", false) \
	X(CLOSED, "behind the end", false)

/* clang-format off */
enum state {
#define X(name, text, is_read) STATE_##name,
	STATES(X)
#undef X
	STATE_COUNT
};

static const struct {
	const char *text;
	bool is_read;
} states[STATE_COUNT] = {
#define X(name, text, is_read) { text, is_read },
	STATES(X)
#undef X
};

static const struct {
	const char *text;
	const char *argument; /* its kind */
} verbs[VERB_COUNT] = {
	[VERB_UNKNOWN] = { "an unknown verb", "ANYTHING" },
#define X(name, text, argument, help) [VERB_##name] = { text, #argument },
	VERBS(X)
#undef X
};
/* clang-format on */

static const struct session *
session_of(const struct server *server)
{
	const void *start =
		(const char *)server - offsetof(struct session, server);

	return start;
}

static unsigned said[VERB_COUNT][STATE_COUNT][2]; /* 1: a wrong argument */
static bool is_counting;
static const struct server *delivered; /* a message, and no MAIL since */

/* The names are the linker's. */
void greeting_banner_itself(struct session *session) __asm__(
	"__real_greeting_banner");
void greeting_banner_seen(struct session *session) __asm__(
	"__wrap_greeting_banner");
void server_delivered_itself(struct server *server) __asm__(
	"__real_server_delivered");
void server_delivered_seen(struct server *server) __asm__(
	"__wrap_server_delivered");
struct server_turn server_step_itself(
	struct server *server, enum command_line line, enum command_fault fault,
	const struct command *command) __asm__("__real_server_step");
struct server_turn server_step_seen(
	struct server *server, enum command_line line, enum command_fault fault,
	const struct command *command) __asm__("__wrap_server_step");

void
occasions_count(bool is_counted)
{
	is_counting = is_counted;
	delivered = NULL;
}

static void
count(enum state state, enum verb verb, enum command_fault fault)
{
	bool is_wrong = fault != COMMAND_OK && fault != COMMAND_UNKNOWN;

	if (is_counting)
		said[verb][state][is_wrong]++;
}

/* Every whole line of them. */
static void
count_lines(enum state state, struct span octets)
{
	while (span_find(octets, '\n') < octets.n) {
		size_t n = span_find(octets, '\n');
		struct span line = span_first(octets, n == 0 ? 0 : n - 1);
		struct command command;
		enum command_fault fault = command_parse(line, &command);

		count(state, command.verb, fault);
		octets = span_after(octets, n + 1);
	}
}

static enum state
state_greeted(const struct server *server)
{
	if (server == delivered)
		return STATE_DELIVERED;
	if (server->is_secured)
		return STATE_TLS;
	return server->is_extended ? STATE_EHLO : STATE_HELO;
}

static enum state
state_of(const struct server *server)
{
	const struct mail *mail = session_of(server)->mail;

	switch (server->state) {
	case SERVER_CONNECTED:
		return server->is_secured ? STATE_SECURED : STATE_CONNECTED;
	case SERVER_GREETED:
		return server->is_sender_pending ? STATE_MAIL
						 : state_greeted(server);
	case SERVER_MAIL:
		return mail->envelope.count > 0 ? STATE_REFUSED : STATE_MAIL;
	case SERVER_RCPT:
		return STATE_RCPT;
	case SERVER_CHUNKS:
		return STATE_CHUNKS;
	case SERVER_DATA:
	case SERVER_CLOSED:
		break;
	}
	return STATE_CLOSED;
}

/* What stands behind a line and is not to be looked at. */
static void
count_behind(const struct server *server, const struct server_turn *turn)
{
	struct span in = session_input(session_of(server));

	in = span_after(in, span_find(in, '\n') + 1);
	if (turn->duty == SERVER_CONTENT)
		count_lines(STATE_BEHIND_DATA, in);
	else if (turn->duty == SERVER_SECURE)
		count_lines(STATE_BEHIND_STARTTLS, in);
	else if (turn->duty == SERVER_CLOSE)
		count_lines(STATE_CLOSED, in);
}

struct server_turn
server_step_seen(struct server *server, enum command_line line,
		 enum command_fault fault, const struct command *command)
{
	enum state state;
	struct server_turn turn;

	if (server->messages == 0)
		delivered = NULL; /* another session, at the same address */
	state = state_of(server);
	turn = server_step_itself(server, line, fault, command);
	if (turn.duty == SERVER_WAIT)
		return turn;
	if (turn.duty == SERVER_SENDER || turn.duty == SERVER_HELO)
		delivered = NULL;
	if (line == COMMAND_LINE)
		count(state, command->verb, fault);
	count_behind(server, &turn);
	return turn;
}

void
server_delivered_seen(struct server *server)
{
	delivered = server;
	server_delivered_itself(server);
}

void
greeting_banner_seen(struct session *session)
{
	if (!session->has_spoken)
		count_lines(STATE_EARLY, session_input(session));
	greeting_banner_itself(session);
}

const char *
occasions_verb(enum verb verb)
{
	return verbs[verb].text;
}

static void
append_state(struct buf *to, enum state state, const char *how)
{
	if (to->n > 0)
		buf_append(to, SPAN_LIT("; "));
	buf_append(to, span_cstr(states[state].text));
	buf_append(to, span_cstr(how));
}

unsigned
occasions_missing(enum verb verb, struct buf *to)
{
	bool can_be_wrong = !span_equal(span_cstr(verbs[verb].argument),
					SPAN_LIT("ANYTHING"));
	unsigned sum = 0;

	for (enum state state = 0; state < STATE_COUNT; state++) {
		const unsigned *times = said[verb][state];

		sum += times[0] + times[1];
		if (times[0] == 0)
			append_state(to, state, "");
		if (times[1] == 0 && can_be_wrong && states[state].is_read)
			append_state(to, state, " (with a wrong argument)");
	}
	return sum;
}
