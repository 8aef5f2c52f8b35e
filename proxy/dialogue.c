/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dialogue: what the backend says between messages, and its losses.
 */
#include "proxy/session_state.h"

#include <assert.h>

/* As many connections as it may have are open. */
#define BUSY "The mail server behind us has no time now, try again later"

void
dialogue_relay(struct session *session, const struct reply *reply)
{
	bool is_told = reply_relay(&session->out[SIDE_CLIENT], reply);

	patience_answered(session);
	session->is_goodbye |= !is_told || reply->code == 421;
}

/* What could not be sent when it was asked for can be now: an RSET of ours was
 * answered, or the queue has room. Not before the route is known. */
void
dialogue_pump(struct session *session)
{
	const struct mail *mail = session->mail;
	bool is_ready = mail != NULL && mail->is_open &&
			(routing_is_early(session) || mail->route != NULL);

	if (session->phase == PHASE_GREETING)
		session_pump(session, SIDE_BACKEND, NULL);
	else if (session->phase == PHASE_COMMANDS && is_ready)
		session_pump(session, SIDE_BACKEND, &mail->envelope);
}

/* The backend does not do again what it did before. */
void
dialogue_changed(struct session *session, const char *reason)
{
	backend_closed(&session->backend, EVENT_BACKEND_CHANGED, reason);
}

/* The mail is binary, and the backend takes no such any more. */
static bool
is_binary_lost(const struct session *session)
{
	return session->mail != NULL && session->mail->is_open &&
	       backend_lacks_binary(&session->backend,
				    &session->mail->envelope);
}

static unsigned
lost_code(const struct session *session)
{
	return is_binary_lost(session) ? 554 : 451;
}

static bool
is_full(const struct session *session)
{
	return session->backend.failure == EVENT_BACKEND_FULL;
}

static void
reply_lost(struct session *session)
{
	if (is_full(session)) {
		session_reply(session, 451, "4.3.2", BUSY);
		return;
	}
	if (is_binary_lost(session)) {
		session_reply(session, lost_code(session), "5.6.1",
			      "The mail server behind us takes no binary "
			      "messages now");
		return;
	}
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
		server_recipient(&session->server, reply == NULL
							   ? lost_code(session)
							   : reply->code);
		if (reply == NULL)
			reply_lost(session);
		else
			dialogue_relay(session, reply);
	}
}

static void
on_greeting(struct session *session, const struct reply *reply)
{
	struct mail *mail = session->mail;
	bool is_accepted = session->backend.greeting == STEP_OK;

	if (session->phase == PHASE_GREETING) {
		if (is_accepted)
			greeting_accepted(session);
		else
			greeting_refused(session, reply);
		return;
	}
	if (!is_accepted) {
		/* The greeting was answered by us, like the sender: so it is
		 * the recipients that hear what the backend says. */
		if (!routing_is_early(session) && mail != NULL &&
		    mail->is_open && mail->envelope.accepted == 0 &&
		    reply->code != 421)
			refuse_waiting(session, reply);
		backend_refused(&session->backend, reply,
				"it refuses the client's greeting now");
		return;
	}
	if (mail == NULL || !mail->is_open)
		return;
	if (backend_lacks(&session->backend, &mail->envelope))
		dialogue_changed(session,
				 "a keyword in use is not offered now");
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
		dialogue_relay(session, reply);
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
		patience_answered(session);
	} else {
		dialogue_relay(session, &answer->reply);
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
	case NEWS_SECURE:
		secure_backend(session, SIDE_BACKEND);
		return;
	case NEWS_UP:
		if (session->phase == PHASE_START)
			greeting_banner(session);
		else
			session_pump(session, SIDE_BACKEND, envelope);
		return;
	case NEWS_GREETING:
		on_greeting(session, &answer->reply);
		return;
	case NEWS_LOGIN:
		auth_news(session, &answer->reply);
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
		server_sender(&session->server, lost_code(session));
		reply_lost(session);
	}
	refuse_waiting(session, NULL);
	if (session->server.state == SERVER_GREETED)
		session_end_mail(session);
}

static bool
try_again(struct session *session)
{
	if (session->backend.failure != EVENT_BACKEND_LOST ||
	    session->attempts >= SESSION_RECONNECTS_MAX)
		return false;
	session->attempts++;
	session_log(session, EVENT_BACKEND_RECONNECTED, NULL);
	session_reach(session, SIDE_BACKEND, session->backend.index);
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

/* Nobody is there for it; or somebody will not have it, and says so for good:
 * then it need not come again for days (RFC 5321 3.1). */
static void
end_unserved(struct session *session)
{
	const struct backend *leg = &session->backend;

	if (session_is_unwelcome(leg) && reply_class(leg->banner_code) == 5 &&
	    reply_format(&session->out[SIDE_CLIENT], leg->banner_code, "",
			 buf_span(&leg->banner)))
		session_close(session);
	else
		session_goodbye(session, 421, "4.3.2",
				is_full(session)
					? BUSY
					: "The mail server behind us is not "
					  "there now, try again later");
}

void
dialogue_lost(struct session *session)
{
	enum log_event failure = session->backend.failure;

	switch (session->phase) {
	case PHASE_LOGIN:
		if (session_is_distrusted(session))
			session_lose_trust(session);
		else
			auth_lost(session);
		return;
	case PHASE_START:
	case PHASE_GREETING:
		if (failure == EVENT_IDENTITY_REFUSED)
			lose_identity(session);
		else if (session_is_login_lost(session))
			auth_lost(session);
		else if (!session_reach_next(session, SIDE_BACKEND))
			end_unserved(session);
		return;
	case PHASE_COMMANDS:
		if (session_is_distrusted(session)) {
			session_lose_trust(session);
			return;
		}
		if (session_is_login_lost(session)) {
			auth_lost(session);
			return;
		}
		if (!server_is_waiting(&session->server))
			return; /* reached again when it is needed */
		if (failure == EVENT_IDENTITY_REFUSED) {
			lose_identity(session);
			return;
		}
		if (failure == EVENT_BACKEND_PROTOCOL) {
			session_lose_trust(session);
			return;
		}
		if (is_sender_refused(session) ||
		    (!session_reach_next(session, SIDE_BACKEND) &&
		     !try_again(session)))
			fail_outstanding(session);
		return;
	case PHASE_SECURING:
		if (session_is_distrusted(session))
			session_close(session); /* no word fits in there */
		return;
	case PHASE_DATA:
	case PHASE_CHUNK:
		if (session_is_distrusted(session))
			session_lose_trust(session);
		return; /* else the delivery will reach it again */
	case PHASE_JUDGING:
	case PHASE_SPOOLING:
		return; /* the same; see delivery_drive(), outcome_spooled() */
	case PHASE_DELIVERY:
	case PHASE_CLOSING:
		return;
	}
}
