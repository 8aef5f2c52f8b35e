/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dialogue: the client's commands, and the backend's replies to them.
 *
 * Replies leave in the order of the commands without a queue: only MAIL and
 * RCPT are forwarded while others are unanswered, everything else waits (see
 * smtp/server.h). What needs an answer of ours while a forwarded command is
 * outstanding waits too: the line stays unread.
 */
#include "proxy/session_state.h"

#include "dmarc/domain.h"

#include <assert.h>
#include <stdlib.h>

/* Room in a message's SIZE for the fields we add. */
#define OWN_FIELDS_ROOM 8192

/* Recipients under way at once; leaves room in the client's queue. */
#define RECIPIENTS_PENDING_MAX (CLIENT_QUEUE_MAX - 8)

static bool
is_early(const struct session *session)
{
	const struct conf *conf = session->host->conf;

	return conf->has_one_backend &&
	       conf->backend_connect == CONNECT_AT_CONNECT;
}

static void
send_banner(struct session *session)
{
	const struct conf *conf = session->host->conf;
	struct span text = buf_span(&session->backend.banner);
	struct buf own;

	buf_init(&own, 300);
	if (text.n == 0 || !is_early(session)) {
		buf_append(&own, conf->hostname);
		buf_append(&own, SPAN_LIT(" ESMTP"));
		text = buf_span(&own);
	}
	reply_format(&session->out[SIDE_CLIENT], 220, "", text);
	buf_fini(&own);
	session_enter(session, PHASE_COMMANDS);
}

void
dialogue_start(struct session *session)
{
	if (is_early(session))
		session_reach(session, SIDE_BACKEND,
			      session->host->conf->routes[0].backend, 0);
	else
		send_banner(session);
}

/* What every backend that could be meant offers: the one we talk to, or all
 * candidates as they were last probed. */
static struct ehlo
known_ehlo(const struct session *session)
{
	const struct session_host *host = session->host;
	struct ehlo known;

	if (is_early(session) && session->backend.greeting == STEP_OK &&
	    backend_is_alive(&session->backend))
		return session->backend.ehlo;
	known = host->probed[host->conf->routes[0].backend];
	for (size_t i = 1; i < host->conf->route_count; i++)
		known = ehlo_intersect(
			&known, &host->probed[host->conf->routes[i].backend]);
	return known;
}

static void
relay(struct session *session, const struct reply *reply)
{
	bool is_told = reply_relay(&session->out[SIDE_CLIENT], reply);

	session->client_us = session_now(session);
	session->is_goodbye |= !is_told || reply->code == 421;
}

static void
answer_greeting(struct session *session)
{
	const struct conf *conf = session->host->conf;
	struct ehlo known = known_ehlo(session);
	struct ehlo offered =
		ehlo_offer(&known, conf->message_size_max, OWN_FIELDS_ROOM);
	bool is_extended;

	buf_swap(&session->helo, &session->new_helo);
	buf_swap(&session->greeting, &session->new_greeting);
	session->identity.greeting = buf_span(&session->greeting);
	is_extended = span_starts(session->identity.greeting, SPAN_LIT("EHLO"));
	if (session->server.takes_xclient) {
		offered.extensions |= EXTENSION_BIT(EXTENSION_XCLIENT);
		offered.xclient = XCLIENT_NAME | XCLIENT_ADDR | XCLIENT_PORT |
				  XCLIENT_HELO | XCLIENT_LOGIN;
	}
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
static void
refuse_greeting(struct session *session, const struct reply *reply)
{
	session->identity.greeting = buf_span(&session->greeting);
	session->backend.greeting = STEP_NONE;
	server_greeted(&session->server, false, reply->code, NULL);
	relay(session, reply);
	session_enter(session, PHASE_COMMANDS);
}

static void
drop_mail(struct session *session)
{
	session_drop_envelope(session);
	session_end_mail(session);
	server_end(&session->server);
}

static void
take_greeting(struct session *session, const struct command *command)
{
	bool is_kept;

	drop_mail(session);
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
	if (!is_early(session)) {
		/* Whichever backend it will be hears it before its MAIL. */
		answer_greeting(session);
		return;
	}
	session_enter(session, PHASE_GREETING);
	if (backend_is_alive(&session->backend))
		session_pump(session, SIDE_BACKEND, NULL);
	else
		session_reach(session, SIDE_BACKEND,
			      session->host->conf->routes[0].backend, 0);
}

/* What could not be sent when it was asked for can be now: an RSET of ours was
 * answered, or the queue has room. Not before the route is known. */
void
dialogue_pump(struct session *session)
{
	const struct mail *mail = session->mail;
	bool is_ready = mail != NULL && mail->is_open &&
			(is_early(session) || mail->route != NULL);

	if (session->phase == PHASE_GREETING)
		session_pump(session, SIDE_BACKEND, NULL);
	else if (session->phase == PHASE_COMMANDS && is_ready)
		session_pump(session, SIDE_BACKEND, &mail->envelope);
}

static struct mail *
need_mail(struct session *session)
{
	if (session->mail == NULL) {
		session->mail = malloc(sizeof(*session->mail));
		if (session->mail != NULL)
			mail_init(session->mail, session->host);
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

/* The backend does not do again what it did before. */
static void
lose_changed(struct session *session, const char *reason)
{
	backend_closed(&session->backend, EVENT_BACKEND_CHANGED, reason);
}

/* The newest command of the mail to the backend. What it uses was offered, but
 * maybe by an earlier connection, or to the probe. */
static void
pump_mail(struct session *session)
{
	const struct envelope *envelope = &session->mail->envelope;

	if (backend_lacks_one(&session->backend, envelope))
		lose_changed(session, "a keyword in use is not offered now");
	else
		session_pump(session, SIDE_BACKEND, envelope);
}

static void
take_sender(struct session *session, struct command *command)
{
	struct ehlo known = known_ehlo(session);
	struct mail *mail = need_mail(session);

	drop_unknown_parameters(command, &known);
	if (mail == NULL ||
	    !mail_begin(mail, command, session->server.offered.extensions,
			&session->client.ip, buf_span(&session->helo),
			session->is_authenticated, buf_span(&session->id))) {
		session_end_mail(session);
		server_sender(&session->server, 452);
		session_reply(session, 452, "4.3.1", "Out of memory");
		return;
	}
	mail_judge(mail);
	if (!is_early(session)) {
		/* The route depends on the recipient: a provisional yes. The
		 * backend's own answer comes with the first RCPT. */
		session->is_sender_answered = true;
		server_sender(&session->server, 250);
		session_reply(session, 250, "2.1.0", "Ok");
	} else if (backend_is_alive(&session->backend)) {
		pump_mail(session);
	} else {
		session_reach(session, SIDE_BACKEND,
			      session->host->conf->routes[0].backend, 0);
	}
}

static bool
is_same_route(const struct conf_route *a, const struct conf_route *b)
{
	return a->backend == b->backend && a->mode == b->mode &&
	       a->on_reject == b->on_reject &&
	       a->on_quarantine == b->on_quarantine &&
	       a->on_fail_none == b->on_fail_none &&
	       a->on_bad_policy == b->on_bad_policy;
}

static const struct conf_route *
find_route(struct session *session, const struct path *path)
{
	struct arena arena;
	struct span domain = SPAN_NONE;
	const struct conf_route *route;

	arena_init(&arena, 4096);
	if (!path->is_literal)
		domain_normalise(path->domain, &arena, &domain);
	route = conf_route(session->host->conf, domain);
	arena_fini(&arena);
	return route;
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
	route = find_route(session, &command->path);
	return route == NULL ||
	       (mail->route != NULL && !is_same_route(route, mail->route));
}

static void
refuse_recipient(struct session *session, unsigned code, const char *enhanced,
		 const char *text)
{
	server_recipient(&session->server, code);
	session_reply(session, code, enhanced, text);
}

/* Fix the route, for now; reach its backend. Nothing is outstanding. */
static void
take_route(struct session *session, const struct conf_route *route)
{
	struct mail *mail = session->mail;

	mail->route = route;
	if (backend_is_alive(&session->backend) &&
	    session->backend.index != route->backend)
		session_drop_leg(session, SIDE_BACKEND);
	if (!backend_is_alive(&session->backend))
		session_reach(session, SIDE_BACKEND, route->backend, 0);
}

static void
take_recipient(struct session *session, struct command *command)
{
	struct mail *mail = session->mail;
	const struct conf_route *route = find_route(session, &command->path);
	struct ehlo known = known_ehlo(session);

	if (route == NULL) {
		refuse_recipient(session, 550, "5.7.1",
				 "No route to this domain here");
		return;
	}
	if (mail->route != NULL && mail->envelope.accepted > 0 &&
	    !is_same_route(route, mail->route)) {
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
	if (mail->route == NULL || !is_same_route(route, mail->route) ||
	    !backend_is_alive(&session->backend))
		take_route(session, route);
	pump_mail(session);
}

/* XCLIENT from a listed peer: the client is somebody else. */
static void
take_identity(struct session *session, const struct command *command)
{
	struct xclient xclient;
	struct buf store;

	buf_init(&store, 4096);
	if (!xclient_parse(command->argument, &xclient, &store)) {
		session_reply(session, 501, "5.5.4", "Bad XCLIENT attribute");
		buf_fini(&store);
		return;
	}
	drop_mail(session);
	session_drop_leg(session, SIDE_BACKEND);
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
	dialogue_start(session);
}

static void
take_turn(struct session *session, const struct server_turn *turn,
	  struct command *command)
{
	if (turn->duty == SERVER_RESET)
		drop_mail(session);
	if (turn->code != 0)
		session_reply(session, turn->code, turn->enhanced, turn->text);
	switch (turn->duty) {
	case SERVER_WAIT:
	case SERVER_ANSWER:
	case SERVER_RESET:
		return;
	case SERVER_CLOSE:
		if (turn->code != 221)
			session_log(session, EVENT_CLIENT_PROTOCOL, turn->text);
		session_close(session);
		return;
	case SERVER_HELO:
		take_greeting(session, command);
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
	case SERVER_IDENTITY:
		take_identity(session, command);
		return;
	}
}

/* Another mail, and the gate is to end. The first one may still be sent: who
 * has just come would have to wait for long before it tries again. */
static bool
begins_too_late(const struct session *session, const struct command *command)
{
	return command->verb == VERB_MAIL && session_may_end(session) &&
	       session->mail != NULL;
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
	if (turn.duty == SERVER_CONTENT && in.n > 0) {
		/* RFC 2920 3.1: DATA is the last of a group. Whoever does not
		 * wait for 354 does not know that it will come, or smuggles. */
		session_log(session, EVENT_CLIENT_PROTOCOL,
			    "octets behind DATA");
		session_goodbye(session, 503, "5.5.1",
				"Wait for 354 before sending the message");
		return true;
	}
	take_turn(session, &turn, &command);
	/* The command borrows from the line until here. */
	if (session->phase != PHASE_CLOSING)
		session_consume(session, before - in.n);
	return true;
}

bool
dialogue_commands(struct session *session)
{
	bool has_moved = false;

	while (session->phase == PHASE_COMMANDS && !session->is_goodbye &&
	       session->backend.state != BACKEND_LOST &&
	       session->out[SIDE_CLIENT].n < SESSION_REPLIES_HIGH &&
	       session_input(session).n > 0 && take_line(session))
		has_moved = true;
	return has_moved;
}

static void
reply_lost(struct session *session)
{
	session_reply(session, 451, "4.3.0",
		      "The mail server behind us is not there now, try again "
		      "later");
}

/* Every recipient that waits gets the backend's reply, or, without one, ours.
 */
static void
refuse_waiting(struct session *session, const struct reply *reply)
{
	struct envelope *envelope = &session->mail->envelope;

	for (size_t i = 0; i < envelope->count; i++) {
		if (envelope->recipients[i].state != RECIPIENT_NEW)
			continue;
		envelope->recipients[i].state = RECIPIENT_REFUSED;
		server_recipient(&session->server,
				 reply == NULL ? 451 : reply->code);
		if (reply == NULL)
			reply_lost(session);
		else
			relay(session, reply);
	}
}

static void
on_greeting(struct session *session, const struct reply *reply)
{
	struct mail *mail = session->mail;
	bool is_accepted = session->backend.greeting == STEP_OK;

	if (session->phase == PHASE_GREETING) {
		if (is_accepted)
			answer_greeting(session);
		else
			refuse_greeting(session, reply);
		return;
	}
	if (!is_accepted) {
		/* The greeting was answered by us, like the sender: so it is
		 * the recipients that hear what the backend says. */
		if (!is_early(session) && mail != NULL && mail->is_open &&
		    mail->envelope.accepted == 0 && reply->code != 421)
			refuse_waiting(session, reply);
		backend_refused(&session->backend, reply,
				"it refuses the client's greeting now");
		return;
	}
	if (mail == NULL || !mail->is_open)
		return;
	if (backend_lacks(&session->backend, &mail->envelope))
		lose_changed(session, "a keyword in use is not offered now");
	else
		dialogue_pump(session);
}

/* The backend refused the sender, and the client knows: when the recipients
 * pipelined behind it are answered too, the mail never was. */
static void
end_refused_mail(struct session *session)
{
	if (session->server.state != SERVER_GREETED ||
	    server_is_waiting(&session->server))
		return;
	backend_forget(&session->backend);
	session_end_mail(session);
}

static void
on_sender(struct session *session, const struct reply *reply)
{
	struct mail *mail = session->mail;
	bool is_accepted = session->backend.sender == STEP_OK;

	assert(mail != NULL); /* MAIL was sent for it */
	if (!session->is_sender_answered) {
		session->is_sender_answered = true;
		server_sender(&session->server, reply->code);
		relay(session, reply);
		if (!is_accepted)
			end_refused_mail(session);
		return;
	}
	if (is_accepted) {
		session_pump(session, SIDE_BACKEND, &mail->envelope);
		return;
	}
	if (mail->envelope.accepted > 0 || reply->code == 421) {
		backend_refused(&session->backend, reply,
				"it refuses a sender it took before");
		return;
	}
	buf_reset(&session->sender_refusal);
	reply_relay(&session->sender_refusal, reply);
}

static void
on_recipient(struct session *session, const struct client_answer *answer)
{
	struct recipient *recipient;
	struct mail *mail = session->mail;
	bool is_accepted = reply_class(answer->reply.code) == 2;

	if (mail == NULL || answer->tag >= mail->envelope.count)
		return;
	recipient = &mail->envelope.recipients[answer->tag];
	if (recipient->state == RECIPIENT_ACCEPTED) {
		if (!is_accepted)
			backend_refused(
				&session->backend, &answer->reply,
				"it refuses a recipient it took before");
		return;
	}
	recipient->state = is_accepted ? RECIPIENT_ACCEPTED : RECIPIENT_REFUSED;
	if (is_accepted)
		mail->envelope.accepted++;
	server_recipient(&session->server, answer->reply.code);
	if (!is_accepted && session->sender_refusal.n > 0 &&
	    session->backend.sender == STEP_REFUSED) {
		/* Its "no MAIL yet" is our secret: the sender was refused. */
		struct span refusal = buf_span(&session->sender_refusal);

		session->is_goodbye |=
			!buf_append(&session->out[SIDE_CLIENT], refusal) ||
			span_starts(refusal, SPAN_LIT("421"));
		session->client_us = session_now(session);
	} else {
		relay(session, &answer->reply);
	}
	end_refused_mail(session);
}

void
dialogue_news(struct session *session, enum backend_news news,
	      const struct client_answer *answer)
{
	struct mail *mail = session->mail;
	const struct envelope *envelope =
		mail != NULL && mail->is_open ? &mail->envelope : NULL;

	switch (news) {
	case NEWS_UP:
		if (session->phase == PHASE_START)
			send_banner(session);
		else
			session_pump(session, SIDE_BACKEND, envelope);
		return;
	case NEWS_GREETING:
		on_greeting(session, &answer->reply);
		return;
	case NEWS_SENDER:
		on_sender(session, &answer->reply);
		return;
	case NEWS_RECIPIENT:
		on_recipient(session, answer);
		return;
	case NEWS_DATA:
	case NEWS_CONTENT:
		/* Only a delivery sends these. */
		backend_closed(&session->backend, EVENT_BACKEND_PROTOCOL,
			       "a reply out of order");
		return;
	case NEWS_NONE:
	case NEWS_LOST:
		return;
	}
}

/* Answer every forwarded command that is still unanswered. */
static void
fail_outstanding(struct session *session)
{
	if (session->server.is_sender_pending) {
		session->is_sender_answered = true;
		server_sender(&session->server, 451);
		reply_lost(session);
	}
	refuse_waiting(session, NULL);
	if (session->server.state == SERVER_GREETED)
		session_end_mail(session);
}

static bool
try_next_address(struct session *session)
{
	const struct backend *leg = &session->backend;

	if (leg->failure != EVENT_BACKEND_DOWN || backend_is_last(leg))
		return false;
	session_reach(session, SIDE_BACKEND, leg->index, leg->address + 1);
	return true;
}

static bool
try_again(struct session *session)
{
	if (session->backend.failure != EVENT_BACKEND_LOST ||
	    session->attempts >= SESSION_RECONNECTS_MAX)
		return false;
	session->attempts++;
	session_log(session, EVENT_BACKEND_RECONNECTED, NULL);
	session_reach(session, SIDE_BACKEND, session->backend.index, 0);
	return true;
}

/* The client knows that there is no mail: it is not to be taken up again. */
static bool
is_sender_refused(const struct session *session)
{
	return session->is_sender_answered &&
	       session->server.state == SERVER_GREETED;
}

static void
lose_identity(struct session *session)
{
	session_goodbye(session, 421, "4.3.0",
			"The mail server behind us does not take the client's "
			"identity");
}

void
dialogue_lost(struct session *session)
{
	enum log_event failure = session->backend.failure;

	switch (session->phase) {
	case PHASE_START:
	case PHASE_GREETING:
		if (failure == EVENT_IDENTITY_REFUSED)
			lose_identity(session);
		else if (!try_next_address(session))
			session_goodbye(session, 421, "4.3.2",
					"The mail server behind us is not "
					"there now, try again later");
		return;
	case PHASE_COMMANDS:
		if (!server_is_waiting(&session->server))
			return; /* reached again when it is needed */
		if (failure == EVENT_IDENTITY_REFUSED) {
			lose_identity(session);
			return;
		}
		if (failure == EVENT_BACKEND_PROTOCOL) {
			session_goodbye(session, 421, "4.3.0",
					"The mail server behind us speaks in "
					"riddles");
			return;
		}
		if (is_sender_refused(session) ||
		    (!try_next_address(session) && !try_again(session)))
			fail_outstanding(session);
		return;
	case PHASE_DATA:
	case PHASE_JUDGING:
	case PHASE_SPOOLING:
		return; /* the delivery will reach it again */
	case PHASE_DELIVERY:
	case PHASE_CLOSING:
		return;
	}
}
