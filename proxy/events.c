/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * events: what each event does to a session, and what can go on after it.
 */
#include "proxy/session_state.h"

#include "dmarc/name.h"

#include <errno.h>

/* The client's name, for XCLIENT: known, not to be had, or too late. */
static void
find_name(struct session *session, bool is_too_late)
{
	struct span name;

	if (session->identity.is_name_known)
		return;
	switch (name_find(&session->client.ip, NULL, 0, &session->answers,
			  &name)) {
	case NAME_PENDING:
		if (!is_too_late)
			return;
		session->client.is_name_temporary = true;
		break;
	case NAME_TEMPORARY:
		session->client.is_name_temporary = true;
		break;
	case NAME_UNAVAILABLE:
		break;
	case NAME_FOUND:
		session->client.name = name;
		break;
	}
	session->identity.client = session->client;
	session->identity.is_name_known = true;
}

static void
take_news(struct session *session, enum session_side side)
{
	struct backend *leg = session_leg(session, side);
	struct client_answer answer;
	enum backend_news news;

	if (leg == NULL)
		return;
	while (session->phase != PHASE_CLOSING &&
	       !delivery_is_deaf(session, side) &&
	       (news = backend_next(leg, &session->identity,
				    &session->out[side], &answer)) !=
		       NEWS_NONE) {
		bool is_delivery =
			session->phase == PHASE_DELIVERY || side == SIDE_DIVERT;

		if (news == NEWS_LOST)
			break;
		if (news == NEWS_UP)
			session_reached(session, side);
		if (is_delivery)
			delivery_news(session, side, news, &answer);
		else
			dialogue_news(session, news, &answer);
	}
	if (leg->state != BACKEND_LOST || session->phase == PHASE_CLOSING)
		return;
	session_note_lost(session, side);
	session_abort_leg(session, side);
	if (session->phase == PHASE_DELIVERY)
		delivery_lost(session, side);
	else if (side == SIDE_BACKEND)
		dialogue_lost(session);
}

/* The stream of the client has ended and all of it was used. */
static void
lose_client(struct session *session)
{
	bool is_inside = session->mail != NULL && session->mail->is_open;

	if (is_inside)
		session_log(session, EVENT_CLIENT_LOST,
			    intake_deadline(session) != 0
				    ? "in the middle of the data"
				    : "before the data");
	session_close(session);
}

/* Whether it is the client's turn. */
static bool
is_hearing(const struct session *session)
{
	return session->phase == PHASE_COMMANDS ||
	       (session->phase == PHASE_LOGIN &&
		session->auth.is_clients_turn) ||
	       session->phase == PHASE_DATA || session->phase == PHASE_CHUNK;
}

/* Go on with whatever can go on. */
static void
run(struct session *session)
{
	bool has_moved = true;

	while (has_moved && session->phase != PHASE_CLOSING) {
		has_moved = false;
		take_news(session, SIDE_BACKEND);
		take_news(session, SIDE_DIVERT);
		dialogue_pump(session);
		if (session->phase == PHASE_COMMANDS)
			has_moved = commands_run(session);
		if (session->phase == PHASE_LOGIN)
			has_moved |= auth_run(session);
		if (session->phase == PHASE_DATA)
			has_moved |= intake_data(session);
		if (session->phase == PHASE_CHUNK)
			has_moved |= intake_chunk(session);
		if (session->phase == PHASE_DELIVERY)
			delivery_drive(session);
		has_moved |= session->backend.state == BACKEND_LOST ||
			     (session->divert != NULL &&
			      session->divert->state == BACKEND_LOST);
	}
	if (session->phase == PHASE_CLOSING)
		return;
	if (session->has_client_ended && session->live.n == 0 &&
	    is_hearing(session) && !server_is_waiting(&session->server) &&
	    session->out[SIDE_CLIENT].n < SESSION_REPLIES_HIGH &&
	    (session->mail == NULL || session->mail->body.writing == 0))
		lose_client(session);
	else if (session->is_goodbye && is_hearing(session))
		session_close(session); /* RFC 5321 3.8 */
}

/* An answer to a question of this mail, or of the name; others are stale. */
static void
take_answer(struct session *session, uint64_t ticket,
	    const struct answer *answer)
{
	unsigned generation = (unsigned)(ticket >> 16);
	size_t index = ticket & 0xffff;
	struct mail *mail = session->mail;

	session_count(session, STAT_DNS_QUESTIONS, 1);
	session_count(session, STAT_DNS_CACHED, answer->is_cached ? 1 : 0);
	if (generation == 0) {
		answers_settle(&session->answers, index, answer);
		find_name(session, false);
		return;
	}
	if (mail == NULL || !mail->is_open || generation != mail->generation ||
	    mail->answers.list[index]->status != ANSWER_OPEN)
		return;
	answers_settle(&mail->answers, index, answer);
	mail_count_dns(mail);
}

/* While the message arrives there is time to wait for all answers; behind it
 * none may be needed any more. */
static void
take_answered(struct session *session)
{
	struct mail *mail = session->mail;

	if (mail == NULL || !mail->is_open)
		return;
	if (session->phase == PHASE_JUDGING)
		delivery_judge(session);
	else if (mail->answers.open == 0 && session->phase <= PHASE_CHUNK)
		mail_judge(mail);
}

static void
take_octets(struct session *session, const struct session_event *event)
{
	struct backend *leg;

	if (event->side == SIDE_CLIENT) {
		session->client_us = session_now(session);
		if (session->phase == PHASE_DATA ||
		    session->phase == PHASE_CHUNK)
			session->rate_octets += event->octets.n;
		if (session->in.n == 0)
			session->live = event->octets;
		else if (!buf_append(&session->in, event->octets))
			session_goodbye(session, 421, "4.7.0",
					"Too much input at once");
		return;
	}
	leg = session_leg(session, event->side);
	if (leg != NULL)
		backend_octets(leg, event->octets, session_now(session));
}

static void
take_closed(struct session *session, const struct session_event *event)
{
	struct backend *leg;

	if (event->side == SIDE_CLIENT) {
		session->has_client_ended = true;
		if (event->reason != NULL)
			secure_failed(session, event->reason);
		if (event->error == 0 && session->phase != PHASE_SECURING)
			return;
		if (session->phase == PHASE_JUDGING ||
		    session->phase == PHASE_DELIVERY)
			delivery_abandon(session);
		else if (session->phase != PHASE_SPOOLING)
			lose_client(session);
		return;
	}
	leg = session_leg(session, event->side);
	if (leg == NULL)
		return;
	if (event->reason != NULL)
		secure_backend_failed(session, event->side, event->reason);
	/* A packet filter may say EPERM too: then it is not there. */
	if (event->error == -EUSERS && leg->state == BACKEND_CONNECTING)
		backend_closed(leg, EVENT_BACKEND_FULL, "connections");
	else if (event->error == -EPERM && leg->state == BACKEND_CONNECTING &&
		 leg->conf->identity == IDENTITY_TRANSPARENT)
		backend_closed(
			leg, EVENT_IDENTITY_REFUSED,
			"it cannot be reached from the client's address");
	else
		backend_hung_up(leg);
}

/* Backends that have not done in time what is awaited of them. */
static void
expire_legs(struct session *session, uint64_t now)
{
	for (enum session_side side = SIDE_BACKEND; side < SIDE_COUNT; side++) {
		struct backend *leg = session_leg(session, side);

		if (leg == NULL || backend_deadline(leg) == 0 ||
		    backend_deadline(leg) > now)
			continue;
		backend_overdue(leg);
	}
}

static void
take_timer(struct session *session)
{
	uint64_t now = session_now(session);
	const struct conf *conf = session->host->conf;
	/* Before a leg is given up: one that is awaits nothing either. */
	uint64_t stalled_us = session_stall_deadline(session);

	expire_legs(session, now);
	if (!session->identity.is_name_known && now >= session->name_us)
		find_name(session, true);
	if (stalled_us != 0 && stalled_us <= now) {
		session_log(session, EVENT_STALLED, NULL);
		if (session->phase == PHASE_DELIVERY)
			delivery_stalled(session);
		else
			session_goodbye(session, 421, "4.3.0",
					"Something went wrong here");
		return;
	}
	if (session_may_end(session) &&
	    session_drain_deadline(session) <= now) {
		session_drained(session);
		return;
	}
	switch (session->phase) {
	case PHASE_COMMANDS:
	case PHASE_LOGIN:
	case PHASE_DATA:
	case PHASE_CHUNK:
		patience_end(session);
		return;
	case PHASE_JUDGING:
		if (now < session->phase_us + conf->eval_us_max)
			return;
		session_forget_questions(session);
		mail_give_up(session->mail);
		delivery_judge(session);
		return;
	case PHASE_SECURING:
		if (now < session->phase_us + conf->tls_us_max)
			return;
		secure_failed(session, "tls-timeout");
		session_close(session);
		return;
	case PHASE_START:
	case PHASE_GREETING:
	case PHASE_DELIVERY:
	case PHASE_SPOOLING:
	case PHASE_CLOSING:
		return;
	}
}

static void
take_written(struct session *session, int error)
{
	struct mail *mail = session->mail;

	if (mail == NULL || mail->body.writing == 0)
		return;
	body_written(&mail->body);
	patience_resume(session);
	if (error == 0)
		return;
	if (mail->refusal == MAIL_NOT_REFUSED)
		mail->refusal = MAIL_NO_ROOM; /* logged when it is refused */
}

static void
take_sent(struct session *session, enum session_side side)
{
	struct backend *leg;

	if (side == SIDE_CLIENT)
		return;
	leg = session_leg(session, side);
	if (leg == NULL)
		return;
	leg->since_us = session_now(session);
	delivery_sent(session, side);
}

static void
take_event(struct session *session, const struct session_event *event)
{
	switch (event->kind) {
	case SESSION_START:
		find_name(session, false);
		if (session->listener->is_implicit_tls)
			secure_begin(session);
		else
			greeting_start(session);
		return;
	case SESSION_CONNECTED:
		if (!backend_connected(session_leg(session, event->side),
				       &session->identity,
				       &session->out[event->side]))
			backend_closed(session_leg(session, event->side),
				       EVENT_IDENTITY_REFUSED,
				       "the client's address does not fit the "
				       "PROXY header");
		return;
	case SESSION_OCTETS:
		take_octets(session, event);
		return;
	case SESSION_CLOSED:
		take_closed(session, event);
		return;
	case SESSION_SECURED:
		if (event->side == SIDE_CLIENT)
			secure_done(session, event->tls);
		else
			secure_backend_done(session, event->side, event->tls);
		return;
	case SESSION_SENT:
		take_sent(session, event->side);
		return;
	case SESSION_ANSWER:
		take_answer(session, event->ticket, event->answer);
		return;
	case SESSION_ANSWERED:
		take_answered(session);
		return;
	case SESSION_SPOOLED:
		outcome_spooled(session, event->error);
		return;
	case SESSION_WRITTEN:
		take_written(session, event->error);
		return;
	case SESSION_READ:
		delivery_read(session, event->ticket, event->octets,
			      event->error);
		return;
	case SESSION_TIMER:
		take_timer(session);
		return;
	case SESSION_DRAIN:
		session->drain_us = session_now(session);
		return;
	}
}

/* The octets of the event are gone after the step. */
static void
keep_octets(struct session *session)
{
	bool is_kept = backend_keep(&session->backend);

	if (session->divert != NULL)
		is_kept &= backend_keep(session->divert);
	if (!is_kept)
		run(session);
	if (session->live.n > 0 && session->phase != PHASE_CLOSING &&
	    !buf_append(&session->in, session->live)) {
		session_log(session, EVENT_OUT_OF_MEMORY, NULL);
		session_goodbye(session, 421, "4.3.0", "Out of memory");
	}
	session->live = SPAN_NONE;
}

void
session_step(struct session *session, const struct session_event *event)
{
	if (session->phase == PHASE_CLOSING)
		return;
	session_take_outputs(session);
	take_event(session, event);
	run(session);
	keep_octets(session);
}
