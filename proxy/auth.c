/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * auth: a login that is passed on between the client and its backend.
 *
 * Lines go to and fro in turns: a challenge of the backend (334), a response
 * of the client, until the backend gives its reply. A line of the client that
 * is no response never goes there: the exchange is given up in its place ("*",
 * RFC 4954 4), and the client hears what was wrong. Who has logged in has done
 * so on this connection to the backend: when that is lost, so is the session.
 */
#include "proxy/session_state.h"

#include "smtp/login.h"

static const struct server_turn bad_response = { SERVER_ANSWER, 501, "5.5.2",
						 "Not base64", NULL };
static const struct server_turn too_long = { SERVER_ANSWER, 500, "5.5.6",
					     "Line of the exchange too long",
					     NULL };

/* A line of the exchange to the backend; its turn. */
static void
send_line(struct session *session, const struct buf *line)
{
	session->auth.is_clients_turn = false;
	if (!backend_login(&session->backend, line, &session->out[SIDE_BACKEND],
			   session_now(session)))
		backend_closed(&session->backend, EVENT_OUT_OF_MEMORY,
			       "no room for AUTH");
}

static void
send_response(struct session *session, struct span response)
{
	struct buf line;

	buf_init(&line, LOGIN_LINE_MAX);
	buf_append(&line, response);
	buf_append(&line, SPAN_LIT("\r\n"));
	send_line(session, &line);
	buf_fini(&line);
}

void
auth_begin(struct session *session, const struct command *command)
{
	struct login asked;
	struct buf line;

	session->auth = (struct session_auth){ 0 };
	session_enter(session, PHASE_LOGIN);
	if (!backend_is_alive(&session->backend)) {
		auth_lost(session);
		return;
	}
	login_parse(command->argument, &asked); /* so it was, by the server */
	buf_init(&line, LOGIN_LINE_MAX);
	login_format(&asked, &line);
	send_line(session, &line);
	buf_fini(&line);
}

static void
cancel(struct session *session, const struct server_turn *refusal)
{
	session->auth.refusal = refusal;
	send_response(session, SPAN_LIT("*"));
}

/* It was said without having heard the reply: AUTH, and each response, ends a
 * group. Nobody could tell whether it was meant for the backend to read. */
static void
end_early_talker(struct session *session)
{
	session_log(session, EVENT_CLIENT_PROTOCOL, "octets behind AUTH");
	session_goodbye(session, 503, "5.5.1", "Wait for the reply to AUTH");
}

static void
take_response(struct session *session, enum command_line framed,
	      struct span line)
{
	switch (framed) {
	case COMMAND_MORE:
		return;
	case COMMAND_LINE:
		if (login_is_response(line))
			send_response(session, line);
		else
			cancel(session, &bad_response);
		return;
	case COMMAND_TOO_LONG:
	case COMMAND_LONG_CHUNK:
		cancel(session, &too_long);
		return;
	case COMMAND_BAD_OCTET:
		session_log(session, EVENT_CLIENT_PROTOCOL,
			    "a bad octet within AUTH");
		session_goodbye(session, 500, "5.5.2",
				"Bare CR, bare LF or NUL in a command");
		return;
	}
}

bool
auth_run(struct session *session)
{
	size_t line_max = session->reader.line_max;
	struct span in = session_input(session);
	size_t before = in.n;
	struct span line;
	enum command_line framed;

	if (before == 0)
		return false;
	if (!session->auth.is_clients_turn) {
		end_early_talker(session);
		return true;
	}
	session->reader.line_max = LOGIN_LINE_MAX - 2;
	framed = command_next(&session->reader, &in, &line);
	session->reader.line_max = line_max;
	if (framed == COMMAND_MORE) {
		session_consume(session, before - in.n);
		if (session->line_us == 0)
			session->line_us = session_now(session);
		return false;
	}
	session->line_us = 0;
	take_response(session, framed, line);
	if (session->phase != PHASE_CLOSING)
		session_consume(session, before - in.n);
	return true;
}

static void
pass_challenge(struct session *session, const struct reply *reply)
{
	if (session->auth.refusal != NULL || !login_is_challenge(reply)) {
		session_lose_trust(session);
		return;
	}
	dialogue_relay(session, reply);
	session->auth.is_clients_turn = true;
}

void
auth_news(struct session *session, const struct reply *reply)
{
	const struct server_turn *refusal = session->auth.refusal;

	if (reply->code == 334) {
		pass_challenge(session, reply);
		return;
	}
	/* It took what was taken back, or says yes in a way that none knows. */
	if (reply_class(reply->code) < 4 &&
	    (refusal != NULL || reply->code != 235)) {
		session_lose_trust(session);
		return;
	}
	session_enter(session, PHASE_COMMANDS);
	if (refusal != NULL && reply->code != 421) {
		server_logged_in(&session->server, refusal->code);
		session_reply(session, refusal->code, refusal->enhanced,
			      refusal->text);
		return;
	}
	server_logged_in(&session->server, reply->code);
	session->is_authenticated |= session->server.is_logged_in;
	if (!session->server.is_logged_in)
		session_log(session, EVENT_LOGIN_REFUSED, NULL);
	dialogue_relay(session, reply);
}

void
auth_lost(struct session *session)
{
	session_goodbye(session, 421, "4.3.2",
			"The mail server behind us is not there now, try "
			"again later");
}
