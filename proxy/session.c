/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/session_state.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#define IN_MAX (8u * SESSION_OCTETS_MAX)
#define DETAILS_MAX 4096
#define STALL_US_MAX (15u * 60 * 1000000)

/* Of a client that is between mails, when the session is to end. */
#define DRAIN_SILENCE_US_MAX 3000000
#define NAME_ARENA_MAX (64u * 1024)
#define NAME_ARENA_CHUNK 512
#define NAME_QUESTIONS_MAX 16

#define OUT_MAX (256u * 1024)

/* Octets of a buf that are kept from one client to the next. */
#define BUF_KEPT 512

/* A server name and the subject of a certificate. */
#define TLS_TEXTS_MAX 2048

uint64_t
session_now(const struct session *session)
{
	return session->host->monotonic_us(session->host->clock);
}

void
session_enter(struct session *session, enum session_phase phase)
{
	session->phase = phase;
	session->phase_us = session_now(session);
	session->client_us = session->phase_us;
	session->rate_us = session->phase_us;
	session->rate_octets = 0;
}

void
session_count(struct session *session, enum counter stat, uint64_t n)
{
	session->host->stats->count[stat] += n;
}

/* Half of what a session holds would be room for actions, and most are idle:
 * there is room only while there are actions. */
static bool
has_room_for_actions(struct session *session)
{
	if (session->actions == NULL)
		session->actions = stock_take_room(session->host->stock);
	if (session->actions == NULL)
		session->has_lost_actions = true;
	return session->actions != NULL;
}

void
session_act(struct session *session, struct session_action action)
{
	unsigned at;

	assert(session->action_count < SESSION_ACTIONS_MAX);
	if (!has_room_for_actions(session))
		return;
	at = (session->action_first + session->action_count++) %
	     SESSION_ACTIONS_MAX;
	session->actions[at] = action;
}

struct backend *
session_leg(struct session *session, enum session_side side)
{
	assert(side != SIDE_CLIENT);
	return side == SIDE_BACKEND ? &session->backend : session->divert;
}

/* key=value details of an event: session, client, backend, why. */
static void
log_about(struct session *session, const struct backend *leg,
	  enum log_event event, const char *key, const char *value)
{
	size_t before = session->details.n;
	char ip[IP_TEXT_MAX];

	if (session->action_count >= SESSION_ACTIONS_MAX / 2)
		return; /* an event is never worth more than an action */
	buf_append(&session->details, SPAN_LIT("session="));
	buf_append(&session->details, buf_span(&session->id));
	buf_append(&session->details, SPAN_LIT(" client="));
	buf_append(&session->details, ip_format(&session->client.ip, ip));
	if (leg->conf != NULL) {
		buf_append(&session->details, SPAN_LIT(" backend="));
		buf_append(&session->details, leg->conf->name);
	}
	if (value != NULL)
		buf_printf(&session->details, " %s=\"%s\"", key, value);
	session_act(session, (struct session_action){
				     .act = ACT_EVENT,
				     .event = event,
				     .offset = before,
				     .length = session->details.n - before,
			     });
}

void
session_log_target(struct session *session, const struct backend *leg,
		   enum log_event event, const char *address)
{
	log_about(session, leg, event, "address", address);
}

void
session_log(struct session *session, enum log_event event, const char *reason)
{
	log_about(session, &session->backend, event, "reason", reason);
}

void
session_log_leg(struct session *session, const struct backend *leg,
		enum log_event event, const char *reason)
{
	log_about(session, leg, event, "reason", reason);
}

struct span
session_input(const struct session *session)
{
	return session->in.n > 0 ? buf_span(&session->in) : session->live;
}

void
session_consume(struct session *session, size_t n)
{
	if (session->in.n > 0)
		buf_consume(&session->in, n);
	else
		session->live = span_after(session->live, n);
}

void
session_reply(struct session *session, unsigned code, const char *enhanced,
	      const char *text)
{
	if (!reply_format(&session->out[SIDE_CLIENT], code, enhanced,
			  span_cstr(text)))
		session->is_goodbye = true; /* nothing can be said any more */
	patience_answered(session);
}

void
session_abort_leg(struct session *session, enum session_side side)
{
	struct backend *leg = session_leg(session, side);

	leg->state = BACKEND_NONE;
	if (leg->target.id == 0)
		return; /* it never had a connection */
	buf_reset(&session->out[side]);
	session_act(session,
		    (struct session_action){ .act = ACT_ABORT, .side = side });
}

void
session_drop_leg(struct session *session, enum session_side side)
{
	struct backend *leg = session_leg(session, side);

	if (leg == NULL || leg->state == BACKEND_NONE)
		return;
	if (leg->state != BACKEND_UP || client_outstanding(&leg->client) > 0) {
		session_abort_leg(session, side);
		return;
	}
	backend_quit(leg, &session->out[side]);
	session_act(session,
		    (struct session_action){ .act = ACT_CLOSE, .side = side });
}

/* Nobody waits any more for what the mail has asked. */
void
session_forget_questions(struct session *session)
{
	const struct answers *answers = &session->mail->answers;
	bool is_awaited = false;

	for (size_t i = 0; i < answers->count; i++)
		is_awaited |= answers->list[i]->is_sent &&
			      answers->list[i]->status == ANSWER_OPEN;
	if (is_awaited)
		session_act(
			session,
			(struct session_action){
				.act = ACT_FORGET,
				.ticket = (uint64_t)session->mail->generation
					  << 16,
			});
}

void
session_drop_envelope(struct session *session)
{
	backend_drop(&session->backend, &session->out[SIDE_BACKEND],
		     session_now(session));
}

void
session_end_mail(struct session *session)
{
	struct mail *mail = session->mail;

	session->attempts = 0;
	session->chunks_us = 0;
	session->is_sender_answered = false;
	buf_reset(&session->sender_refusal);
	if (mail == NULL || !mail->is_open)
		return;
	session_forget_questions(session);
	if (mail->body.in_file > 0 || mail->body.writing > 0)
		session_act(session,
			    (struct session_action){ .act = ACT_BODY_DROP });
	mail_end(mail);
}

void
session_close(struct session *session)
{
	if (session->phase == PHASE_CLOSING)
		return;
	session_end_mail(session);
	session_drop_leg(session, SIDE_BACKEND);
	session_drop_leg(session, SIDE_DIVERT);
	if (session->answers.open > 0)
		session_act(session, (struct session_action){ .act = ACT_FORGET,
							      .ticket = 0 });
	session_act(session, (struct session_action){ .act = ACT_CLOSE,
						      .side = SIDE_CLIENT });
	session_act(session, (struct session_action){ .act = ACT_END });
	session_enter(session, PHASE_CLOSING);
}

void
session_goodbye(struct session *session, unsigned code, const char *enhanced,
		const char *text)
{
	session_reply(session, code, enhanced, text);
	session_close(session);
}

void
session_lose_trust(struct session *session)
{
	if (session->is_goodbye)
		session_close(session); /* it was said already */
	else
		session_goodbye(session, 421, "4.3.0",
				"The mail server behind us speaks in riddles");
}

void
session_drained(struct session *session)
{
	session_goodbye(session, 421, "4.3.2", "Service is closing, try again");
}

void
session_pump(struct session *session, enum session_side side,
	     const struct envelope *envelope)
{
	struct backend *leg = session_leg(session, side);
	unsigned before = client_outstanding(&leg->client);

	backend_pump(leg, &session->identity, envelope, &session->out[side]);
	if (before == 0)
		leg->since_us = session_now(session);
}

/* The next open question of a list, as an action. */
static bool
next_question(struct answers *answers, unsigned generation,
	      struct session_action *action)
{
	size_t index;

	if (answers->open == 0 || !answers_unsent(answers, &index))
		return false;
	*action = (struct session_action){
		.act = ACT_ASK,
		.name = answers->list[index]->name,
		.type = answers->list[index]->type,
		.ticket = (uint64_t)generation << 16 | index,
	};
	return true;
}

static void
next_action(struct session *session, struct session_action *action)
{
	*action = session->actions[session->action_first];
	session->action_first =
		(session->action_first + 1) % SESSION_ACTIONS_MAX;
	session->action_count--;
	if (action->act == ACT_EVENT)
		action->octets =
			span_first(span_after(buf_span(&session->details),
					      (size_t)action->offset),
				   action->length);
}

/* What is for actions alone. */
static void
give_back_room(struct session *session)
{
	if (session->actions == NULL)
		return;
	stock_leave_room(session->host->stock, session->actions);
	session->actions = NULL;
	buf_fini(&session->details);
}

void
session_take_outputs(struct session *session)
{
	for (enum session_side side = 0; side < SIDE_DIVERT; side++)
		bufstore_take(session->host->bufs, &session->out[side]);
}

static void
leave_outputs(struct session *session)
{
	for (enum session_side side = 0; side < SIDE_COUNT; side++)
		if (session->out[side].n == 0 &&
		    !session->out[side].has_overflowed)
			bufstore_leave(session->host->bufs,
				       &session->out[side]);
}

/* A mail that is over is the next one's, whose ever that is. */
static void
leave_mail(struct session *session)
{
	struct mail *mail = session->mail;

	if (mail == NULL || mail->is_open || mail->body.writing > 0)
		return;
	session->generation = mail->generation;
	buf_swap(&session->line, &mail->line);
	session->mail = NULL;
	stock_leave_mail(session->host->stock, mail);
}

bool
session_next(struct session *session, struct session_action *action)
{
	if (session->has_lost_actions) {
		*action = (struct session_action){ .act = ACT_END };
		return true;
	}
	if (session->action_count > 0) {
		next_action(session, action);
		return true;
	}
	give_back_room(session);
	if (session->phase == PHASE_CLOSING)
		return false;
	leave_mail(session);
	leave_outputs(session);
	if (next_question(&session->answers, 0, action))
		return true;
	return session->mail != NULL && session->mail->is_open &&
	       next_question(&session->mail->answers, session->mail->generation,
			     action);
}

struct buf *
session_output(struct session *session, enum session_side side)
{
	return &session->out[side];
}

bool
session_wants(const struct session *session, enum session_side side)
{
	if (session->phase == PHASE_CLOSING)
		return false;
	switch (side) {
	case SIDE_CLIENT:
		return !session->has_client_ended &&
		       session->in.n < SESSION_OCTETS_MAX &&
		       session->out[SIDE_CLIENT].n < SESSION_OUT_HIGH;
	case SIDE_BACKEND:
		return backend_is_alive(&session->backend) &&
		       session->backend.state != BACKEND_CONNECTING;
	case SIDE_DIVERT:
		return session->divert != NULL &&
		       backend_is_alive(session->divert) &&
		       session->divert->state != BACKEND_CONNECTING;
	case SIDE_COUNT:
		break;
	}
	return false;
}

/* The earlier of two deadlines; 0 is none. */
static uint64_t
earlier(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a == 0 ? b : a;
	return a < b ? a : b;
}

/* Waiting for a backend of which nothing is awaited: that would be a defect
 * of ours, and it shall not last. */
uint64_t
session_stall_deadline(const struct session *session)
{
	bool is_waiting = session->phase == PHASE_START ||
			  session->phase == PHASE_GREETING ||
			  session->phase == PHASE_DELIVERY ||
			  (session->phase == PHASE_LOGIN &&
			   !session->auth.is_clients_turn) ||
			  (session->phase == PHASE_COMMANDS &&
			   server_is_waiting(&session->server));

	if (!is_waiting || backend_deadline(&session->backend) != 0 ||
	    (session->divert != NULL && backend_deadline(session->divert) != 0))
		return 0;
	return session->client_us + STALL_US_MAX;
}

bool
session_may_end(const struct session *session)
{
	return session->drain_us != 0 && session->phase == PHASE_COMMANDS &&
	       !server_is_waiting(&session->server) &&
	       (session->mail == NULL || !session->mail->is_open);
}

uint64_t
session_drain_deadline(const struct session *session)
{
	if (!session_may_end(session))
		return 0;
	return (session->drain_us > session->client_us ? session->drain_us
						       : session->client_us) +
	       DRAIN_SILENCE_US_MAX;
}

uint64_t
session_deadline(const struct session *session)
{
	const struct conf *conf = session->host->conf;
	uint64_t deadline = backend_deadline(&session->backend);

	if (session->divert != NULL)
		deadline = earlier(deadline, backend_deadline(session->divert));
	deadline = earlier(deadline, session_stall_deadline(session));
	deadline = earlier(deadline, session_drain_deadline(session));
	if (!session->identity.is_name_known)
		deadline = earlier(deadline, session->name_us);
	switch (session->phase) {
	case PHASE_COMMANDS:
	case PHASE_LOGIN:
	case PHASE_DATA:
	case PHASE_CHUNK:
		deadline = earlier(deadline, patience_deadline(session));
		break;
	case PHASE_JUDGING:
		deadline = earlier(deadline,
				   session->phase_us + conf->eval_us_max);
		break;
	case PHASE_SECURING:
		deadline =
			earlier(deadline, session->phase_us + conf->tls_us_max);
		break;
	case PHASE_START:
	case PHASE_GREETING:
	case PHASE_DELIVERY:
	case PHASE_SPOOLING:
		break;
	case PHASE_CLOSING:
		return 0;
	}
	return deadline;
}

/* XCLIENT is the only identity that carries a name. */
static bool
needs_name(const struct conf *conf)
{
	for (size_t i = 0; i < conf->backend_count; i++)
		if (conf->backends[i].identity == IDENTITY_XCLIENT)
			return true;
	return false;
}

static void
init_client(struct session *session, const struct session_peer *peer)
{
	const struct conf *conf = session->host->conf;
	struct server_limits limits = {
		.size_max = conf->message_size_max,
		.recipients_max = conf->recipients_max,
		.errors_max = conf->errors_max,
		.unknown_max = conf->unknown_max,
		.refused_max = conf->refused_max,
		.junk_max = conf->junk_max,
		.messages_max = conf->messages_max,
	};

	server_init(&session->server, &limits);
	session->reader.line_max = (size_t)conf->command_line_max;
	if (session->listener->relays_auth)
		session->reader.login_max = LOGIN_LINE_MAX - 2;
	for (size_t i = 0; i < session->listener->xclient_from.count; i++)
		if (ip_network_has(&session->listener->xclient_from.list[i],
				   &peer->ip))
			session->server.takes_xclient = true;
	session->server.has_tls = session->listener->tls_certificates.count > 0;
	session->server.requires_tls = session->listener->requires_tls;
	session->client = (struct xclient){
		.given = XCLIENT_NAME | XCLIENT_ADDR | XCLIENT_PORT,
		.ip = peer->ip,
		.port = peer->port,
	};
	session->identity_kind = peer->is_proxied ? "proxy" : "direct";
	session->identity = (struct backend_identity){
		.client = session->client,
		.local_ip = peer->local_ip,
		.local_port = peer->local_port,
		.is_name_known = !needs_name(conf),
		.gate = conf->hostname,
	};
}

/* Its bufs. What they hold on to is kept from one client to the next. */
static const struct {
	size_t at;
	size_t max;
} bufs[] = {
	{ offsetof(struct session, id), 24 },
	{ offsetof(struct session, in), IN_MAX },
	{ offsetof(struct session, helo), ADDRESS_DOMAIN_MAX + 2 },
	{ offsetof(struct session, greeting), ADDRESS_DOMAIN_MAX + 16 },
	{ offsetof(struct session, new_helo), ADDRESS_DOMAIN_MAX + 2 },
	{ offsetof(struct session, new_greeting), ADDRESS_DOMAIN_MAX + 16 },
	{ offsetof(struct session, login), XCLIENT_VALUE_MAX },
	{ offsetof(struct session, tls_texts), TLS_TEXTS_MAX },
	{ offsetof(struct session, sender_refusal),
	  REPLY_LINE_MAX *REPLY_LINES_MAX },
	{ offsetof(struct session, line), SPOOL_LINE_MAX },
	{ offsetof(struct session, final), REPLY_LINE_MAX *REPLY_LINES_MAX },
	{ offsetof(struct session, details), DETAILS_MAX },
	{ offsetof(struct session, out[SIDE_CLIENT]), OUT_MAX },
	{ offsetof(struct session, out[SIDE_BACKEND]), OUT_MAX },
	{ offsetof(struct session, out[SIDE_DIVERT]), OUT_MAX },
};
#define BUFS (sizeof(bufs) / sizeof(bufs[0]))

static struct buf *
buf_of(struct session *session, size_t i)
{
	return (struct buf *)((uint8_t *)session + bufs[i].at);
}

/* Nothing of the client before is left but the memory of its bufs. */
static void
clear(struct session *session)
{
	struct backend backend = session->backend;
	struct buf kept[BUFS];

	for (size_t i = 0; i < BUFS; i++)
		kept[i] = *buf_of(session, i);
	*session = (struct session){ 0 };
	for (size_t i = 0; i < BUFS; i++)
		*buf_of(session, i) = kept[i];
	session->backend = backend;
	backend_clear(&session->backend);
}

/* One of the stock, or one that is made. NULL without memory. */
static struct session *
take_session(const struct session_host *host)
{
	struct session *session = stock_take_session(host->stock);

	if (session != NULL) {
		clear(session);
		return session;
	}
	session = calloc(1, sizeof(*session));
	if (session == NULL)
		return NULL;
	for (size_t i = 0; i < BUFS; i++)
		buf_init(buf_of(session, i), bufs[i].max);
	backend_init(&session->backend);
	return session;
}

struct session *
session_new(const struct session_host *host, const struct session_peer *peer)
{
	struct session *session = take_session(host);

	if (session == NULL)
		return NULL;
	session->host = host;
	session->listener = peer->listener;
	buf_append(&session->id, peer->id);
	arena_init_small(&session->arena, NAME_ARENA_MAX, NAME_ARENA_CHUNK);
	answers_init(&session->answers, &session->arena, NAME_QUESTIONS_MAX);
	init_client(session, peer);
	session_enter(session, PHASE_START);
	session->name_us = session->phase_us + host->conf->name_us_max;
	return session;
}

/* What was in the midst of something when the session ended is freed. */
static void
drop_mail(struct session *session)
{
	leave_mail(session);
	if (session->mail == NULL)
		return;
	mail_fini(session->mail);
	free(session->mail);
}

void
session_discard(struct session *session)
{
	for (size_t i = 0; i < BUFS; i++)
		buf_fini(buf_of(session, i));
	backend_fini(&session->backend);
	free(session);
}

void
session_free(struct session *session)
{
	if (session == NULL)
		return;
	drop_mail(session);
	leave_outputs(session);
	if (session->divert != NULL) {
		backend_fini(session->divert);
		free(session->divert);
	}
	arena_fini(&session->arena);
	give_back_room(session);
	for (size_t i = 0; i < BUFS; i++)
		if (buf_of(session, i)->cap > BUF_KEPT)
			buf_fini(buf_of(session, i));
		else
			buf_reset(buf_of(session, i));
	if (!stock_leave_session(session->host->stock, session))
		session_discard(session);
}

size_t
session_memory(const struct session *session)
{
	size_t held = sizeof(*session) + session->in.cap + session->line.cap +
		      session->final.cap + session->arena.held;

	for (enum session_side side = 0; side < SIDE_COUNT; side++)
		held += session->out[side].cap;
	held += session->backend.in.cap + session->backend.client.held.cap;
	if (session->mail != NULL)
		held += sizeof(*session->mail) + mail_memory(session->mail);
	return held;
}
