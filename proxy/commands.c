/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * commands: what the client says between messages.
 *
 * Replies leave in the order of the commands without a queue: only MAIL and
 * RCPT are forwarded while others are unanswered, everything else waits (see
 * smtp/server.h). What needs an answer of ours while a forwarded command is
 * outstanding waits too: the line stays unread.
 */
#include "proxy/session_state.h"

#include <stdlib.h>

/* Recipients under way at once; leaves room in the client's queue. */
#define RECIPIENTS_PENDING_MAX (CLIENT_QUEUE_MAX - 8)

void
commands_drop_mail(struct session *session)
{
	session_drop_envelope(session);
	session_end_mail(session);
	server_end(&session->server);
}

static struct mail *
need_mail(struct session *session)
{
	if (session->mail == NULL) {
		session->mail =
			stock_take_mail(session->host->stock, session->host);
		if (session->mail == NULL)
			return NULL;
		session->mail->generation = session->generation;
		buf_swap(&session->line, &session->mail->line);
	}
	return session->mail;
}

/* Of what we offer by ourselves only SIZE has a parameter, and a backend that
 * is not known to have it does not get it. Everything else was offered because
 * the backend has it; should it be gone, that is seen at the greeting. */
static void
drop_unknown_parameters(struct command *command, const struct ehlo *known)
{
	unsigned size = EXTENSION_BIT(EXTENSION_SIZE);
	size_t kept = 0;

	for (size_t i = 0; i < command->parameters; i++)
		if ((known->extensions & size) != 0 ||
		    !extension_has_parameter(size, command->verb == VERB_RCPT,
					     command->parameter[i].keyword))
			command->parameter[kept++] = command->parameter[i];
	command->parameters = kept;
}

/* The newest command of the mail to the backend. What it uses was offered, but
 * maybe by an earlier connection, or to the probe. */
static void
pump_mail(struct session *session)
{
	const struct envelope *envelope = &session->mail->envelope;

	if (backend_lacks_one(&session->backend, envelope))
		dialogue_changed(session,
				 "a keyword in use is not offered now");
	else
		session_pump(session, SIDE_BACKEND, envelope);
}

static void
refuse_sender(struct session *session, unsigned code, const char *enhanced,
	      const char *text)
{
	server_sender(&session->server, code);
	session_reply(session, code, enhanced, text);
}

/* Limits that let the session go on. */
static bool
may_begin(struct session *session)
{
	const struct session_host *host = session->host;

	if (session_is_short(session)) {
		session_log(session, EVENT_LIMITED, "memory");
		refuse_sender(session, 452, "4.3.1",
			      "Too little memory now, try again later");
		return false;
	}
	if (host->take_message == NULL ||
	    host->take_message(host->limits, &session->client.ip))
		return true;
	session_log(session, EVENT_LIMITED, "limit.message-rate");
	refuse_sender(session, 451, "4.7.1",
		      "Too many messages from your address in a short time");
	return false;
}

static void
take_sender(struct session *session, struct command *command)
{
	struct ehlo known = routing_ehlo(session);
	struct mail *mail;

	if (!may_begin(session))
		return;
	mail = need_mail(session);
	drop_unknown_parameters(command, &known);
	if (mail == NULL ||
	    !mail_begin(mail, command, session->server.offered.extensions,
			&session->client.ip, buf_span(&session->helo),
			session->is_authenticated, buf_span(&session->id))) {
		session_end_mail(session);
		refuse_sender(session, 452, "4.3.1", "Out of memory");
		return;
	}
	mail_judge(mail);
	if (!routing_is_early(session)) {
		/* The route depends on the recipient: a provisional yes. The
		 * backend's own answer comes with the first RCPT. */
		session->is_sender_answered = true;
		server_sender(&session->server, 250);
		session_reply(session, 250, "2.1.0", "Ok");
	} else if (backend_is_alive(&session->backend)) {
		pump_mail(session);
	} else {
		session_reach(session, SIDE_BACKEND, session->early);
	}
}

/* Whether a RCPT must wait until earlier ones are answered: there is no room,
 * or the answer will depend on theirs. */
static bool
must_wait(struct session *session, const struct command *command)
{
	const struct mail *mail = session->mail;
	const struct conf_route *route;

	if (command->verb != VERB_RCPT || mail == NULL || !mail->is_open ||
	    !server_is_waiting(&session->server))
		return false;
	/* A sender that was refused is sent again with this recipient, but not
	 * before the others have heard of it. */
	if (session->server.recipients_pending >= RECIPIENTS_PENDING_MAX ||
	    session->backend.sender == STEP_REFUSED)
		return true;
	route = routing_find(session, &command->path);
	return route == NULL ||
	       (mail->route != NULL && !routing_is_same(route, mail->route));
}

static void
refuse_recipient(struct session *session, unsigned code, const char *enhanced,
		 const char *text)
{
	server_recipient(&session->server, code);
	session_reply(session, code, enhanced, text);
}

static void
take_recipient(struct session *session, struct command *command)
{
	struct mail *mail = session->mail;
	const struct conf_route *route = routing_find(session, &command->path);
	struct ehlo known = routing_ehlo(session);

	if (route == NULL) {
		refuse_recipient(session, 550, "5.7.1",
				 "No route to this domain here");
		return;
	}
	if (mail->route != NULL && mail->envelope.accepted > 0 &&
	    !routing_is_same(route, mail->route)) {
		refuse_recipient(session, 452, "4.5.3",
				 "This recipient is handled in another way; "
				 "send it separately");
		return;
	}
	drop_unknown_parameters(command, &known);
	if (mail_add_recipient(mail, command,
			       session->server.offered.extensions) ==
	    SIZE_MAX) {
		refuse_recipient(session, 452, "4.3.1", "Out of memory");
		return;
	}
	/* A provisional MAIL that was refused is tried again. */
	if (session->backend.sender == STEP_REFUSED &&
	    client_outstanding(&session->backend.client) == 0)
		session->backend.sender = STEP_NONE;
	if (mail->route == NULL || !routing_is_same(route, mail->route) ||
	    !backend_is_alive(&session->backend))
		routing_take(session, route);
	pump_mail(session);
}

static void
take_turn(struct session *session, const struct server_turn *turn,
	  struct command *command)
{
	if (turn->duty == SERVER_RESET || turn->duty == SERVER_SWALLOW)
		commands_drop_mail(session);
	if (turn->code != 0 && turn->duty != SERVER_SWALLOW)
		session_reply(session, turn->code, turn->enhanced, turn->text);
	switch (turn->duty) {
	case SERVER_WAIT:
	case SERVER_ANSWER:
	case SERVER_RESET:
		return;
	case SERVER_CLOSE:
		if (turn->limit != NULL)
			session_log(session, EVENT_LIMITED, turn->limit);
		else if (turn->code != 221)
			session_log(session, EVENT_CLIENT_PROTOCOL, turn->text);
		session_close(session);
		return;
	case SERVER_HELO:
		greeting_take(session, command);
		return;
	case SERVER_SENDER:
		take_sender(session, command);
		return;
	case SERVER_RECIPIENT:
		take_recipient(session, command);
		return;
	case SERVER_CONTENT:
		mail_begin_data(session->mail);
		session_enter(session, PHASE_DATA);
		return;
	case SERVER_SECURE:
		commands_drop_mail(session);
		secure_begin(session);
		return;
	case SERVER_CHUNK:
	case SERVER_SWALLOW:
		intake_begin_chunk(session, turn, command);
		return;
	case SERVER_LOGIN:
		auth_begin(session, command);
		return;
	case SERVER_IDENTITY:
		greeting_identity(session, command);
		return;
	}
}

/* Whether the octets of a message begin with it. */
static bool
begins_content(const struct session *session, enum server_duty duty)
{
	return duty == SERVER_CONTENT ||
	       (duty == SERVER_CHUNK && session->chunks_us == 0);
}

/* A yes would be a promise of memory that there is not. A chunk comes all the
 * same, and is passed over. */
static struct server_turn
refuse_content(struct session *session, enum server_duty duty)
{
	session_log(session, EVENT_LIMITED, "memory");
	commands_drop_mail(session);
	return (struct server_turn){
		.duty = duty == SERVER_CHUNK ? SERVER_SWALLOW : SERVER_ANSWER,
		.code = 452,
		.enhanced = "4.3.1",
		.text = "Too little memory now, try again later",
	};
}

/* A handshake needs ten times what a session does. Not 454: a client that may
 * would go on in plain, and whoever fills the memory could make it do so. */
static void
refuse_tls(struct session *session)
{
	session_log(session, EVENT_LIMITED, "memory");
	session_goodbye(session, 421, "4.3.2",
			"Too little memory now, try again later");
}

/* Another mail, and the gate is to end. The first one may still be sent: who
 * has just come would have to wait for long before it tries again. */
static bool
begins_too_late(const struct session *session, const struct command *command)
{
	return command->verb == VERB_MAIL && session_may_end(session) &&
	       (session->mail != NULL || session->generation > 0);
}

/* Octets stand behind a command that ends a group (RFC 2920 3.1): whoever does
 * not wait for the reply does not know that it will come, or smuggles. Behind
 * STARTTLS they would be taken for what was said under TLS (CVE-2011-0411). */
static bool
is_too_early(struct session *session, enum server_duty duty)
{
	if (duty == SERVER_CONTENT) {
		session_log(session, EVENT_CLIENT_PROTOCOL,
			    "octets behind DATA");
		session_goodbye(session, 503, "5.5.1",
				"Wait for 354 before sending the message");
		return true;
	}
	if (duty == SERVER_SECURE) {
		session_log(session, EVENT_CLIENT_PROTOCOL,
			    "octets behind STARTTLS");
		session_goodbye(session, 503, "5.5.1",
				"Wait for 220 before starting TLS");
		return true;
	}
	return false;
}

/* One line, if there is one and it may be answered now. */
static bool
take_line(struct session *session)
{
	struct command_reader reader = session->reader;
	struct span in = session_input(session);
	size_t before = in.n;
	struct span line = SPAN_NONE;
	struct command command = { .verb = VERB_UNKNOWN };
	enum command_fault fault = COMMAND_OK;
	struct server_turn turn;
	enum command_line framed = command_next(&reader, &in, &line);

	if (framed == COMMAND_LINE)
		fault = command_parse(line, &command);
	if (framed == COMMAND_MORE) {
		session->reader = reader;
		session_consume(session, before - in.n);
		if (session->line_us == 0)
			session->line_us = session_now(session);
		return false;
	}
	if (fault == COMMAND_OK && framed == COMMAND_LINE &&
	    must_wait(session, &command))
		return false;
	if (begins_too_late(session, &command)) {
		session_drained(session);
		return true;
	}
	turn = server_step(&session->server, framed, fault, &command);
	if (turn.duty == SERVER_WAIT)
		return false;
	session->reader = reader;
	session->line_us = 0;
	session->has_spoken = true;
	if (in.n > 0 && is_too_early(session, turn.duty))
		return true;
	if (session_is_short(session) && turn.duty == SERVER_SECURE) {
		refuse_tls(session);
		return true;
	}
	if (session_is_short(session) && begins_content(session, turn.duty))
		turn = refuse_content(session, turn.duty);
	take_turn(session, &turn, &command);
	/* The command borrows from the line until here. */
	if (session->phase != PHASE_CLOSING)
		session_consume(session, before - in.n);
	return true;
}

bool
commands_run(struct session *session)
{
	bool has_moved = false;

	/* While a message came, or a chunk, of which nothing has become: what
	 * the client says next would go where it has not logged in. */
	if (session_is_login_lost(session) && !session->is_goodbye) {
		auth_lost(session);
		return true;
	}
	while (session->phase == PHASE_COMMANDS && !session->is_goodbye &&
	       session->backend.state != BACKEND_LOST &&
	       session->out[SIDE_CLIENT].n < SESSION_REPLIES_HIGH &&
	       session_input(session).n > 0 && take_line(session))
		has_moved = true;
	return has_moved;
}
