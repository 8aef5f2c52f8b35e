/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * delivery: from the end of the data to the final reply.
 *
 * Judge, decide, and either refuse (RSET behind, reply in front) or hand the
 * message to a backend; what became of it is told by outcome.c. A 2xx is passed
 * on when the backend gave one to the whole message, and is never made here.
 */
#include "proxy/session_state.h"

#include <assert.h>
#include <stdlib.h>

/* Encoded octets that wait to be sent, and octets read from a file at once. */
#define OUT_FILL (64u * 1024)
#define READ_LENGTH (32u * 1024)
#define ENCODE_LENGTH (16u * 1024)

static void start(struct session *session, enum conf_action action);

static void
fail(struct session *session, const char *rule)
{
	outcome_own(session, "fail", rule, 451, "4.3.0",
		    SPAN_LIT("The mail server behind us failed, try again "
			     "later"));
}

static void
refuse(struct session *session)
{
	const char *enhanced, *text, *rule;
	unsigned code = mail_refusal_reply(session->mail->refusal, &enhanced,
					   &text, &rule);

	if (session->mail->refusal == MAIL_NO_ROOM)
		session_log(session, EVENT_BODY_BUDGET, NULL);
	outcome_own(session, code < 500 ? "defer" : "reject", rule, code,
		    enhanced, span_cstr(text));
}

/* The policy's answer to the client. */
static void
enforce(struct session *session)
{
	struct mail *mail = session->mail;
	ROOM(room, REPLY_LINE_MAX + 1);
	struct buf text;

	buf_init_room(&text, REPLY_LINE_MAX, room, sizeof(room));
	if (!decision_text(&mail->decision, &mail->verdict, buf_span(&mail->id),
			   &text)) {
		buf_reset(&text);
		buf_printf(&text, "DMARC policy; id ");
		buf_append(&text, buf_span(&mail->id));
	}
	outcome_own(session, conf_action_name(mail->decision.action),
		    mail->decision.rule, mail->decision.code,
		    mail->decision.enhanced, buf_span(&text));
	buf_fini(&text);
}

/* spool-full = defer: what cannot be recorded is not handed on. The line that
 * says so is tried all the same: it finds out when there is room again. */
static bool
is_unlogged(const struct session *session)
{
	const struct session_host *host = session->host;

	return host->conf->does_defer_unlogged && host->is_spool_full != NULL &&
	       *host->is_spool_full;
}

static void
defer_unlogged(struct session *session)
{
	outcome_own(
		session, "defer", "spool-full", 451, "4.3.1",
		SPAN_LIT("No room for the record of this message, try again "
			 "later"));
}

/* What the other engines have found differently. */
static void
tell_second(struct session *session)
{
	const struct mail *mail = session->mail;
	struct buf reason;

	if (session->host->second == NULL || !mail->is_judged ||
	    (!mail->second.has_spf && !mail->second.has_dkim))
		return;
	session_count(session, STAT_SECOND_OPINIONS, 1);
	buf_init(&reason, SECOND_TEXT_MAX);
	if (second_differs(&mail->second, &mail->verdict, &reason)) {
		session_count(session, STAT_SECOND_DIFFERS, 1);
		buf_append_octet(&reason, '\0');
		session_log(session, EVENT_SECOND_OPINION,
			    reason.has_overflowed
				    ? "more than can be told"
				    : (const char *)buf_span(&reason).p);
	}
	buf_fini(&reason);
}

void
delivery_judge(struct session *session)
{
	struct mail *mail = session->mail;

	if (!mail_judge(mail))
		return;
	tell_second(session);
	mail->decision = (struct decision){ .is_enforced = true };
	if (mail->refusal != MAIL_NOT_REFUSED) {
		refuse(session);
		return;
	}
	decision_make(session->host->conf, mail->route, &mail->verdict,
		      &mail->decision);
	switch (mail->decision.action) {
	case ACTION_REJECT:
	case ACTION_DEFER:
		enforce(session);
		return;
	case ACTION_RELAY:
	case ACTION_TAG:
	case ACTION_SUBJECT:
	case ACTION_DIVERT:
		if (is_unlogged(session))
			defer_unlogged(session);
		else
			start(session, mail->decision.action);
		return;
	}
}

/* A diversion needs another envelope, and maybe another backend. */
static bool
prepare_diversion(struct session *session)
{
	const struct conf_quarantine *quarantine =
		&session->host->conf->quarantine;
	struct mail *mail = session->mail;
	bool is_elsewhere = quarantine->backend != CONF_NO_BACKEND &&
			    quarantine->backend != mail->route->backend;
	const struct ehlo *ehlo = &session->backend.ehlo;
	bool has_dsn;

	session_drop_envelope(session);
	if (is_elsewhere && session->divert == NULL) {
		session->divert = malloc(sizeof(*session->divert));
		if (session->divert == NULL)
			return false;
		backend_init(session->divert);
	}
	if (is_elsewhere) {
		session->delivery.side = SIDE_DIVERT;
		ehlo = &session->host->probed[quarantine->backend];
	}
	session->delivery.envelope = &session->divert_envelope;
	/* Greeted as the client greets, by HELO maybe, it offers nothing. */
	has_dsn = session->server.is_extended &&
		  (ehlo->extensions & EXTENSION_BIT(EXTENSION_DSN)) != 0;
	return mail_divert_envelope(mail, quarantine->recipient, has_dsn,
				    &session->divert_envelope);
}

/* The trace field, for a backend that is to see one. */
static const struct received *
trace_for(const struct session *session, enum conf_action action,
	  struct received *trace)
{
	const struct conf *conf = session->host->conf;
	size_t backend = session->mail->route->backend;

	if (action == ACTION_DIVERT &&
	    conf->quarantine.backend != CONF_NO_BACKEND)
		backend = conf->quarantine.backend;
	if (conf->received_header == RECEIVED_OFF ||
	    (conf->received_header == RECEIVED_AUTO &&
	     conf->backends[backend].identity != IDENTITY_NONE))
		return NULL;
	*trace = (struct received){
		.helo = buf_span(&session->helo),
		.name = session->client.name,
		.ip = session->client.ip,
		.gate = conf->hostname,
		.tls = &session->client_tls,
		.is_extended = session->server.is_extended,
		.is_utf8 = session->server.is_sender_utf8,
		.is_authenticated = session->is_authenticated,
	};
	return trace;
}

static void
start(struct session *session, enum conf_action action)
{
	struct received trace;
	struct mail *mail = session->mail;

	session->attempts = 0;
	/* What a delivery before this one has asked of the file is still under
	 * way: it is waited for and thrown away. */
	session->delivery = (struct delivery){
		.action = action,
		.side = SIDE_BACKEND,
		.envelope = &mail->envelope,
		.is_reading = session->delivery.is_reading,
		.is_read_stale = session->delivery.is_reading,
	};
	if (!mail_compose(mail, action, trace_for(session, action, &trace)) ||
	    (action == ACTION_DIVERT && !prepare_diversion(session))) {
		mail->refusal = MAIL_NO_ROOM;
		refuse(session);
		return;
	}
	session_enter(session, PHASE_DELIVERY);
}

/* It could come by BDAT only, and so it can go. Not for now: for good. */
static void
refuse_binary(struct session *session)
{
	outcome_own(
		session, "reject", "binarymime", 554, "5.6.1",
		SPAN_LIT("The message is binary, and the mail server behind "
			 "us takes no such"));
}

/* The diversion did not work: the mark must do, or the sender tries again. */
static void
fail_diversion(struct session *session)
{
	struct mail *mail = session->mail;
	struct backend *leg = session_leg(session, session->delivery.side);

	if (session->delivery.side == SIDE_BACKEND &&
	    leg->state == BACKEND_UP && client_outstanding(&leg->client) == 0)
		session_drop_envelope(session);
	else
		session_drop_leg(session, session->delivery.side);
	if (session->host->conf->quarantine.divert_failed == ACTION_TAG) {
		start(session, ACTION_TAG);
		return;
	}
	if (backend_lacks_binary(leg, session->delivery.envelope)) {
		refuse_binary(session);
		return;
	}
	mail->decision.rule = "divert-failed";
	outcome_own(session, "defer", "divert-failed", 451, "4.3.0",
		    SPAN_LIT("The quarantine is not there now, try again "
			     "later"));
}

static void
fail_delivery(struct session *session, const char *rule)
{
	/* Behind the final dot nobody knows who has it: another delivery could
	 * be a second one. The sender decides. */
	if (session->delivery.action == ACTION_DIVERT &&
	    session->delivery.step != DELIVERY_FINAL)
		fail_diversion(session);
	else if (backend_lacks_binary(
			 session_leg(session, session->delivery.side),
			 session->delivery.envelope))
		refuse_binary(session);
	else
		fail(session, rule);
}

/* Promise 6: reached again, it does not know any more who the client is. */
static void
fail_identity(struct session *session)
{
	outcome_own(session, "fail", "backend", 421, "4.3.0",
		    SPAN_LIT("The mail server behind us does not take the "
			     "client's identity"));
}

/* Reached again, it does not know any more that the client has logged in. */
static void
fail_login(struct session *session)
{
	outcome_own(session, "fail", "backend", 421, "4.3.2",
		    SPAN_LIT("The mail server behind us is not there now, try "
			     "again later"));
}

/* It said what nobody asked for while the message was judged. */
static void
fail_trust(struct session *session)
{
	outcome_own(session, "fail", "backend", 421, "4.3.0",
		    SPAN_LIT("The mail server behind us speaks in riddles"));
}

void
delivery_lost(struct session *session, enum session_side side)
{
	struct backend *leg = session_leg(session, side);
	bool is_untouched = session->delivery.step <= DELIVERY_DATA;

	if (side != session->delivery.side)
		return;
	if (side == SIDE_BACKEND && leg->failure == EVENT_IDENTITY_REFUSED) {
		fail_identity(session);
		return;
	}
	if (side == SIDE_BACKEND && session->server.is_logged_in) {
		fail_login(session);
		return;
	}
	if (is_untouched && session_reach_next(session, side)) {
		session->delivery.step = DELIVERY_ENVELOPE;
	} else if (is_untouched && leg->failure == EVENT_BACKEND_LOST &&
		   session->attempts < SESSION_RECONNECTS_MAX) {
		session->delivery.step = DELIVERY_ENVELOPE;
	} else {
		fail_delivery(session, "backend");
	}
}

static void
on_recipient(struct session *session, struct backend *leg,
	     const struct client_answer *answer)
{
	struct envelope *envelope = session->delivery.envelope;
	struct recipient *recipient = &envelope->recipients[answer->tag];

	if (reply_class(answer->reply.code) != 2) {
		if (session->delivery.action == ACTION_DIVERT &&
		    answer->reply.code != 421)
			fail_diversion(session);
		else
			backend_refused(
				leg, &answer->reply,
				"it refuses a recipient it took before");
		return;
	}
	if (recipient->state == RECIPIENT_NEW) {
		recipient->state = RECIPIENT_ACCEPTED;
		envelope->accepted++;
	}
}

static void
on_data(struct session *session, struct backend *leg, const struct reply *reply)
{
	if (reply->code == 354) {
		session->delivery.step = DELIVERY_CONTENT;
		backend_content(leg, &session->out[session->delivery.side]);
	} else if (reply->code == 421) {
		backend_closed(leg, EVENT_BACKEND_LOST,
			       "it says goodbye (421)");
	} else if (reply_class(reply->code) < 4) {
		backend_closed(leg, EVENT_BACKEND_PROTOCOL,
			       "DATA was answered with neither 354 nor a "
			       "refusal");
	} else if (session->delivery.action == ACTION_DIVERT) {
		fail_diversion(session);
	} else {
		outcome_relay(session, reply);
		session_drop_envelope(session);
	}
}

static void
on_content(struct session *session, struct backend *leg,
	   const struct reply *reply)
{
	enum session_side side = session->delivery.side;
	bool is_early = !session->delivery.is_sent;

	if (reply_class(reply->code) == 3 ||
	    (is_early && reply_class(reply->code) == 2)) {
		/* Promise 2: a yes to half a message is no yes. */
		backend_closed(leg, EVENT_BACKEND_PROTOCOL,
			       "it accepted a message before its end");
		return;
	}
	session->mail->delivery_us =
		session_now(session) - session->delivery.started_us;
	/* It stopped listening in the middle of the data: there is no way back
	 * to commands but a new connection. */
	if (is_early)
		session_abort_leg(session, side);
	if (reply_class(reply->code) != 2 &&
	    session->delivery.action == ACTION_DIVERT) {
		fail_diversion(session);
		return;
	}
	outcome_relay(session, reply);
	/* Behind a BDAT that was refused the mail is still there. */
	if (side == SIDE_BACKEND && !is_early && reply->code != 421 &&
	    leg->sender != STEP_NONE)
		session_drop_envelope(session);
}

void
delivery_sent(struct session *session, enum session_side side)
{
	if (session->phase == PHASE_DELIVERY &&
	    side == session->delivery.side &&
	    session->delivery.step == DELIVERY_FINAL &&
	    session->out[side].n == 0) {
		session->delivery.is_sent = true;
		session_leg(session, side)->has_content = true;
	}
}

/* Promise 2: a yes is worth something once all of the message has left, and
 * none at all before the driver has all of it (see on_content). In between it
 * is not clear which was first, the end or the yes, so it waits. A no may be
 * listened to at any time. */
bool
delivery_is_deaf(const struct session *session, enum session_side side)
{
	const struct delivery *delivery = &session->delivery;
	const struct backend *leg =
		side == SIDE_BACKEND ? &session->backend : session->divert;
	struct span in = backend_unread(leg);

	return session->phase == PHASE_DELIVERY && side == delivery->side &&
	       delivery->step == DELIVERY_FINAL && !delivery->is_sent &&
	       session->out[side].n == 0 && in.n > 0 && in.p[0] == '2';
}

void
delivery_news(struct session *session, enum session_side side,
	      enum backend_news news, const struct client_answer *answer)
{
	struct backend *leg = session_leg(session, side);

	if (session->phase != PHASE_DELIVERY || side != session->delivery.side)
		return;
	switch (news) {
	case NEWS_SECURE:
		secure_backend(session, side);
		return;
	case NEWS_UP:
		return; /* delivery_drive() pumps */
	case NEWS_GREETING:
		if (leg->greeting != STEP_OK)
			backend_refused(leg, &answer->reply,
					"it refuses the client's greeting now");
		else if (backend_lacks(leg, session->delivery.envelope))
			backend_closed(leg, EVENT_BACKEND_CHANGED,
				       "a keyword in use is not offered now");
		return;
	case NEWS_SENDER:
		if (leg->sender != STEP_OK)
			backend_refused(leg, &answer->reply,
					"it refuses a sender it took before");
		return;
	case NEWS_RECIPIENT:
		on_recipient(session, leg, answer);
		return;
	case NEWS_DATA:
		on_data(session, leg, &answer->reply);
		return;
	case NEWS_CONTENT:
		on_content(session, leg, &answer->reply);
		return;
	case NEWS_LOGIN: /* only between mails */
	case NEWS_NONE:
	case NEWS_LOST:
		return;
	}
}

/* Encode the front of a piece; its length, or 0 when the encoder refuses. */
static size_t
encode(struct session *session, struct span piece)
{
	struct buf *out = &session->out[session->delivery.side];

	if (piece.n > ENCODE_LENGTH)
		piece.n = ENCODE_LENGTH;
	return data_encode(&session->delivery.encoder, piece, out) ? piece.n
								   : 0;
}

static struct span
next_piece(struct session *session)
{
	const struct mail *mail = session->mail;
	struct span head =
		span_after(buf_span(&mail->head), session->delivery.head_at);

	if (head.n > 0)
		return head;
	return body_in_memory(&mail->body, session->delivery.body_at);
}

/* The backend must not keep half of the message. */
static void
fail_content(struct session *session, enum log_event event, const char *reason)
{
	backend_closed(session_leg(session, session->delivery.side), event,
		       reason);
}

/* Ours to prevent: the message was clean when it was taken. */
static void
fail_encoding(struct session *session)
{
	fail_content(session, EVENT_OUT_OF_MEMORY,
		     "the message cannot be sent");
}

static void
read_more(struct session *session)
{
	struct delivery *delivery = &session->delivery;
	uint64_t left = session->mail->body.in_file - delivery->body_at;

	delivery->is_reading = true;
	session_act(session, (struct session_action){
				     .act = ACT_BODY_READ,
				     .offset = delivery->body_at,
				     .length = left < READ_LENGTH ? (size_t)left
								  : READ_LENGTH,
			     });
}

void
delivery_read(struct session *session, uint64_t offset, struct span octets,
	      int error)
{
	struct delivery *delivery = &session->delivery;
	bool is_stale = delivery->is_read_stale;

	if (session->phase != PHASE_DELIVERY || !delivery->is_reading)
		return;
	delivery->is_reading = delivery->is_read_stale = false;
	if (is_stale)
		return;
	assert(offset == delivery->body_at);
	if (error != 0 || octets.n == 0) {
		fail_content(session, EVENT_BODY_BUDGET,
			     "the body cannot be read back");
		return;
	}
	delivery->body_at += octets.n;
	while (octets.n > 0) {
		size_t taken = encode(session, octets);

		if (taken == 0) {
			fail_encoding(session);
			return;
		}
		octets = span_after(octets, taken);
	}
}

static void
send_content(struct session *session)
{
	struct delivery *delivery = &session->delivery;
	struct mail *mail = session->mail;
	struct buf *out = &session->out[delivery->side];

	while (out->n < OUT_FILL && !delivery->is_reading) {
		struct span piece = next_piece(session);
		size_t taken;

		if (piece.n == 0 && delivery->body_at < mail->body.in_file) {
			read_more(session);
			return;
		}
		if (piece.n == 0) {
			if (!data_encode_end(&delivery->encoder, out)) {
				fail_encoding(session);
				return;
			}
			delivery->step = DELIVERY_FINAL;
			return;
		}
		taken = encode(session, piece);
		if (taken == 0) {
			fail_encoding(session);
			return;
		}
		if (delivery->head_at < mail->head.n)
			delivery->head_at += taken;
		else
			delivery->body_at += taken;
	}
}

/* Whether the message goes by BDAT: as it came, or as the backend's setting
 * has it; where it may choose at all. */
static bool
goes_by_chunk(const struct session *session, const struct backend *leg)
{
	bool is_offered =
		(leg->ehlo.extensions & EXTENSION_BIT(EXTENSION_CHUNKING)) != 0;

	return is_offered && (session->mail->decoder.is_chunked ||
			      leg->conf->chunking == CHUNKING_ALWAYS);
}

/* One chunk, since all of the message is here. Nothing is waited for: there is
 * no 354. */
static bool
begin_chunk(struct session *session, struct backend *leg)
{
	struct delivery *delivery = &session->delivery;
	const struct mail *mail = session->mail;
	uint64_t octets = mail->head.n + body_size(&mail->body);

	data_encoder_init_chunk(&delivery->encoder, octets,
				mail->decoder.is_binary);
	delivery->step = DELIVERY_CONTENT;
	return backend_chunk(leg, octets, &session->out[delivery->side]);
}

static bool
begin_data(struct session *session, struct backend *leg)
{
	data_encoder_init(&session->delivery.encoder);
	session->delivery.step = DELIVERY_DATA;
	return backend_data(leg, &session->out[session->delivery.side]);
}

static void
send_envelope(struct session *session)
{
	struct delivery *delivery = &session->delivery;
	struct backend *leg = session_leg(session, delivery->side);
	size_t backend = session->mail->route->backend;

	if (delivery->side == SIDE_BACKEND && session_is_distrusted(session)) {
		fail_trust(session);
		return;
	}
	if (delivery->side == SIDE_BACKEND && session_is_login_lost(session)) {
		fail_login(session);
		return;
	}
	if (!backend_is_alive(leg)) {
		if (delivery->side == SIDE_DIVERT)
			backend = session->host->conf->quarantine.backend;
		else
			session_log(session, EVENT_BACKEND_RECONNECTED, NULL);
		session->attempts++;
		session_reach(session, delivery->side, backend);
		return;
	}
	session_pump(session, delivery->side, delivery->envelope);
	if (!backend_is_ready(leg, delivery->envelope))
		return;
	delivery->started_us = session_now(session);
	leg->since_us = delivery->started_us;
	if (!(goes_by_chunk(session, leg) ? begin_chunk(session, leg)
					  : begin_data(session, leg)))
		backend_closed(leg, EVENT_OUT_OF_MEMORY,
			       "no room for DATA or BDAT");
}

void
delivery_drive(struct session *session)
{
	switch (session->delivery.step) {
	case DELIVERY_ENVELOPE:
		send_envelope(session);
		return;
	case DELIVERY_CONTENT:
		send_content(session);
		return;
	case DELIVERY_DATA:
	case DELIVERY_FINAL:
		return;
	}
}

void
delivery_stalled(struct session *session)
{
	session_abort_leg(session, session->delivery.side);
	fail(session, "stalled");
}

void
delivery_abandon(struct session *session)
{
	if (session->phase == PHASE_DELIVERY &&
	    session->delivery.step == DELIVERY_FINAL)
		return; /* the backend may have it: its reply is recorded */
	session_log(session, EVENT_CLIENT_LOST, "before the reply");
	if (session->phase == PHASE_DELIVERY)
		session_abort_leg(session, session->delivery.side);
	outcome_own(session, "fail", "client-lost", 451, "4.4.2",
		    SPAN_LIT("The client went away"));
}
