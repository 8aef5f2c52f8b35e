/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * greeting: who speaks: our banner, the client's HELO or EHLO and its answer,
 * and XCLIENT from a listed peer, after which all of it begins anew.
 */
#include "proxy/session_state.h"

/* Room in a message's SIZE for the fields we add. */
#define OWN_FIELDS_ROOM 8192

void
greeting_banner(struct session *session)
{
	const struct conf *conf = session->host->conf;
	struct span text = buf_span(&session->backend.banner);
	ROOM(room, 301);
	struct buf own;

	buf_init_room(&own, 300, room, sizeof(room));
	if (text.n == 0 || !routing_is_early(session)) {
		buf_append(&own, conf->hostname);
		buf_append(&own, SPAN_LIT(" ESMTP"));
		text = buf_span(&own);
	}
	reply_format(&session->out[SIDE_CLIENT], 220, "", text);
	buf_fini(&own);
	session_enter(session, PHASE_COMMANDS);
}

void
greeting_start(struct session *session)
{
	routing_look(session);
	session->server.takes_login =
		session->listener->relays_auth && routing_is_early(session);
	if (routing_is_early(session))
		session_reach(session, SIDE_BACKEND, session->early);
	else
		greeting_banner(session);
}

void
greeting_accepted(struct session *session)
{
	const struct conf *conf = session->host->conf;
	struct ehlo known = routing_ehlo(session);
	const struct ehlo own = {
		.size_max = conf->message_size_max,
		.limit[EHLO_RCPTMAX] = conf->recipients_max,
		.limit[EHLO_MAILMAX] = conf->messages_max,
	};
	struct ehlo offered = ehlo_offer(&known, &own, OWN_FIELDS_ROOM);
	bool is_extended;

	buf_swap(&session->helo, &session->new_helo);
	buf_swap(&session->greeting, &session->new_greeting);
	buf_reset(&session->new_helo);
	buf_reset(&session->new_greeting);
	session->identity.greeting = buf_span(&session->greeting);
	is_extended = span_starts(session->identity.greeting, SPAN_LIT("EHLO"));
	if (session->server.takes_xclient) {
		offered.extensions |= EXTENSION_BIT(EXTENSION_XCLIENT);
		offered.xclient = XCLIENT_NAME | XCLIENT_ADDR | XCLIENT_PORT |
				  XCLIENT_HELO | XCLIENT_LOGIN;
	}
	if (session->server.has_tls && !session->server.is_secured)
		offered.extensions |= EXTENSION_BIT(EXTENSION_STARTTLS);
	if (session->server.takes_login && session->server.is_secured &&
	    !session->server.is_logged_in)
		offered.extensions |=
			known.extensions & EXTENSION_BIT(EXTENSION_AUTH);
	/* RFC 8689 4.2.1. The other leg: see backend_ehlo(). */
	if (session->client_tls.version == NULL)
		offered.extensions &= ~EXTENSION_BIT(EXTENSION_REQUIRETLS);
	server_greeted(&session->server, is_extended, 250, &offered);
	if (is_extended)
		ehlo_format(&offered, conf->hostname,
			    &session->out[SIDE_CLIENT]);
	else
		reply_format(&session->out[SIDE_CLIENT], 250, "",
			     conf->hostname);
	session_enter(session, PHASE_COMMANDS);
}

/* RFC 5321 4.1.4: all stays as it was. What was said before, if anything, is
 * said again when it is needed. */
void
greeting_refused(struct session *session, const struct reply *reply)
{
	session->identity.greeting = buf_span(&session->greeting);
	session->backend.greeting = STEP_NONE;
	server_greeted(&session->server, false, reply->code, NULL);
	dialogue_relay(session, reply);
	session_enter(session, PHASE_COMMANDS);
}

/* The mail ends here, and not with the answer, though RFC 5321 4.1.4 would have
 * it go on behind a refusal: not every server forgets it at EHLO, so an RSET
 * must go first. The client hears 503 to what it says of the mail then. */
void
greeting_take(struct session *session, const struct command *command)
{
	bool is_kept;

	commands_drop_mail(session);
	buf_reset(&session->new_helo);
	buf_reset(&session->new_greeting);
	is_kept = buf_append(&session->new_helo, command->domain) &&
		  command_format(command, &session->new_greeting);
	if (!is_kept) {
		session_goodbye(session, 421, "4.3.0", "Out of memory");
		return;
	}
	session->identity.greeting = buf_span(&session->new_greeting);
	session->backend.greeting = STEP_NONE;
	if (!routing_is_early(session)) {
		/* Whichever backend it will be hears it before its MAIL. */
		greeting_accepted(session);
		return;
	}
	session_enter(session, PHASE_GREETING);
	if (backend_is_alive(&session->backend))
		session_pump(session, SIDE_BACKEND, NULL);
	else
		session_reach(session, SIDE_BACKEND, session->early);
}

/* It will be reached anew, and its place may be the last one: a QUIT would hold
 * that for a while. */
static void
leave_backend(struct session *session)
{
	const struct backend *backend = &session->backend;

	if (backend_is_alive(backend) && backend->conf->connections_max > 0)
		session_abort_leg(session, SIDE_BACKEND);
	else
		session_drop_leg(session, SIDE_BACKEND);
}

/* XCLIENT from a listed peer: the client is somebody else. */
void
greeting_identity(struct session *session, const struct command *command)
{
	struct xclient xclient;
	struct buf store;

	buf_init(&store, 4096);
	if (!xclient_parse(command->argument, &xclient, &store)) {
		session_reply(session, 501, "5.5.4", "Bad XCLIENT attribute");
		buf_fini(&store);
		return;
	}
	commands_drop_mail(session);
	leave_backend(session);
	if ((xclient.given & XCLIENT_ADDR) != 0)
		session->client.ip = xclient.ip;
	if ((xclient.given & XCLIENT_PORT) != 0)
		session->client.port = xclient.port;
	session->client.name = arena_copy(&session->arena, xclient.name);
	session->client.is_name_temporary = xclient.is_name_temporary;
	buf_reset(&session->login);
	buf_append(&session->login, xclient.login);
	session->is_authenticated = session->login.n > 0;
	session->client.login = buf_span(&session->login);
	if (session->is_authenticated)
		session->client.given |= XCLIENT_LOGIN;
	else
		session->client.given &= ~(unsigned)XCLIENT_LOGIN;
	session->identity_kind = "xclient";
	session->identity.client = session->client;
	session->identity.is_name_known = true;
	session->identity.greeting = SPAN_NONE;
	buf_reset(&session->helo);
	buf_reset(&session->greeting);
	buf_fini(&store);
	server_reset(&session->server);
	session_enter(session, PHASE_START);
	greeting_start(session);
}
