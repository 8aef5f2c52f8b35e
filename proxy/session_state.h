/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session_state: what a session is made of, for its own files only.
 *
 *   session.c   its life, its actions, its deadlines
 *   patience.c  how long the client may take
 *   events.c    session_step(): what each event does, and what goes on then
 *   secure.c    TLS, on all sides
 *   greeting.c  banner, HELO and EHLO, XCLIENT
 *   commands.c  what the client says between messages
 *   auth.c      AUTH, where it is passed on
 *   routing.c   which backend a mail is for
 *   reach.c     at which of its targets a backend is reached
 *   intake.c    the octets of a message, by DATA or by BDAT
 *   dialogue.c  what the backend says between messages, and its losses
 *   delivery.c  from the verdict to the backend's reply
 *   outcome.c   the verdict line, and the final reply
 *   stock.c     what one session leaves for the next
 *
 * Phases; one function, session_enter(), changes them:
 *
 *   [SECURING ->] START -> COMMANDS <-> GREETING, SECURING, LOGIN
 *               |  ^
 *              354 +--------------------------------+
 *               v                                   |
 *             DATA -> JUDGING -> [DELIVERY ->] SPOOLING
 *   COMMANDS <-> CHUNK -> JUDGING …: by BDAT, the last of them
 *   any -> CLOSING: the last octets are with the driver, all is over
 */
#ifndef PROXY_SESSION_STATE_H
#define PROXY_SESSION_STATE_H

#include "proxy/backend.h"
#include "proxy/bufstore.h"
#include "proxy/mail.h"
#include "proxy/session.h"
#include "proxy/stock.h"
#include "smtp/server.h"

#define SESSION_ACTIONS_MAX 32

enum session_phase {
	PHASE_START,    /* the banner waits for the backend */
	PHASE_SECURING, /* TLS with the client begins */
	PHASE_COMMANDS, /* reading commands */
	PHASE_GREETING, /* HELO or EHLO waits for the backend */
	PHASE_LOGIN,    /* AUTH waits for the backend, or for the client */
	PHASE_DATA,     /* reading a message */
	PHASE_CHUNK,    /* reading a part of one, or what is none */
	PHASE_JUDGING,  /* the message is here; answers are awaited */
	PHASE_DELIVERY, /* with the backend */
	PHASE_SPOOLING, /* the verdict line is being written */
	PHASE_CLOSING,  /* over */
};

enum delivery_step {
	DELIVERY_ENVELOPE, /* until every recipient stands */
	DELIVERY_DATA,     /* DATA was sent */
	DELIVERY_CONTENT,  /* sending the message, behind 354 or BDAT */
	DELIVERY_FINAL,    /* all is encoded, the reply is awaited */
};

struct delivery {
	enum delivery_step step;
	enum conf_action action;
	enum session_side side;
	struct envelope *envelope;
	struct data_encoder encoder;
	size_t head_at;      /* octets of mail->head encoded */
	uint64_t body_at;    /* octets of the body encoded */
	bool is_reading;     /* ACT_BODY_READ is under way */
	bool is_read_stale;  /* … of a delivery that has failed */
	bool is_sent;        /* the end of the message has left */
	uint64_t started_us; /* DATA was sent */
};

/* What follows a BDAT. */
struct session_chunk {
	uint64_t size;
	uint64_t left; /* octets not read yet */
	bool is_last;
	struct server_turn refusal; /* code 0: none, they go to the mail */
};

/* An exchange of AUTH. */
struct session_auth {
	bool is_clients_turn;
	/* It was given up at the backend for this; or NULL. */
	const struct server_turn *refusal;
};

struct session {
	const struct session_host *host;
	const struct conf_listener *listener;
	enum session_phase phase;
	uint64_t phase_us; /* when it was entered */
	struct buf id;

	/* Client. */
	struct server server;
	struct command_reader reader;
	struct buf in;       /* octets not used yet, between steps */
	struct span live;    /* octets of this step, while `in` is empty */
	struct buf helo;     /* the client's own name */
	struct buf greeting; /* its HELO or EHLO command */
	struct buf new_helo; /* both, while the backend's answer is awaited */
	struct buf new_greeting;
	struct xclient client; /* who it is */
	struct buf login;
	const char *identity_kind; /* direct proxy xclient */
	bool is_authenticated;
	struct tlsinfo client_tls; /* its texts in tls_texts */
	struct buf tls_texts;
	bool has_client_ended; /* end of its stream */
	uint64_t drain_us;     /* since when it shall end; 0: it need not */
	bool is_goodbye;       /* a 421 of the backend was passed on: close */
	uint64_t client_us;    /* when it was last heard, or owed nothing */
	uint64_t line_us;      /* since when it is at a command line; or 0 */
	bool has_spoken;       /* a command has come */
	uint64_t rate_us;      /* since when rate_octets of data have come */
	uint64_t rate_octets;

	/* The client's name. */
	struct arena arena;
	struct answers answers;
	uint64_t name_us; /* until when it is waited for */

	/* Backends. */
	size_t early; /* that is reached at the connect; or CONF_NO_BACKEND */
	struct backend_identity identity;
	struct upstream_attempt attempt[SIDE_COUNT];
	struct backend backend;
	struct backend *divert;    /* made when needed */
	unsigned attempts;         /* reconnects for this mail */
	bool is_sender_answered;   /* provisionally, or by the backend */
	struct buf sender_refusal; /* reply to a provisional MAIL */

	/* Mail. */
	struct mail *mail;   /* of the stock: from MAIL until it is over */
	unsigned generation; /* of the last one */
	struct session_chunk chunk;
	struct session_auth auth;
	uint64_t chunks_us; /* since when it comes in chunks; 0: it does not */
	struct envelope divert_envelope;
	struct delivery delivery;
	struct buf line;  /* the verdict line */
	struct buf final; /* reply to the end of data, as it will be sent */

	struct buf out[SIDE_COUNT];
	struct session_action *actions; /* room for them; NULL in between */
	unsigned action_first, action_count;
	bool has_lost_actions; /* there was no memory for them: it ends */
	struct buf details;    /* texts of ACT_EVENT */
};

/* For one mail. */
#define SESSION_RECONNECTS_MAX 1

/* Above this much unsent output a side is not listened to. */
#define SESSION_OUT_HIGH (64u * 1024)

/* Before this much of replies is sent no more commands are read. */
#define SESSION_REPLIES_HIGH 16384

/* Whether a client in its data is listened to: not while what it said is
 * being written. Its silence is no fault of its own then. */
static inline bool
session_is_listening(const struct session *session)
{
	return session->mail == NULL || session->mail->body.writing == 0;
}

/* Whether there is no memory for what has not begun yet. */
static inline bool
session_is_short(const struct session *session)
{
	const bool *is_full = session->host->is_memory_full;

	return is_full != NULL && *is_full;
}

/* The backend has said what nobody asked for, or what is no reply: it is not
 * reached again for this client. */
static inline bool
session_is_distrusted(const struct session *session)
{
	return !backend_is_alive(&session->backend) &&
	       session->backend.is_distrusted;
}

/* The client has logged in at a backend that is lost: another connection would
 * not know of it. */
static inline bool
session_is_login_lost(const struct session *session)
{
	return session->server.is_logged_in &&
	       !backend_is_alive(&session->backend);
}

/* session.c */
/* Free one that is no session any more: the stock's. */
void session_discard(struct session *session);
/* Memory for what will be said in a step; given back where there was nothing.
 */
void session_take_outputs(struct session *session);
void session_enter(struct session *session, enum session_phase phase);
uint64_t session_now(const struct session *session);
void session_act(struct session *session, struct session_action action);
void session_log(struct session *session, enum log_event event,
		 const char *reason);
void session_log_leg(struct session *session, const struct backend *leg,
		     enum log_event event, const char *reason);
/* Of one address of a backend. */
void session_log_target(struct session *session, const struct backend *leg,
			enum log_event event, const char *address);
void session_count(struct session *session, enum counter stat, uint64_t n);
uint64_t session_stall_deadline(const struct session *session);
uint64_t session_drain_deadline(const struct session *session);
/* It is to end, and may now: it is between mails. */
bool session_may_end(const struct session *session);
void session_drained(struct session *session);
struct backend *session_leg(struct session *session, enum session_side side);
struct span session_input(const struct session *session);
void session_consume(struct session *session, size_t n);
/* The client is told goodbye and both sides are closed. */
void session_goodbye(struct session *session, unsigned code,
		     const char *enhanced, const char *text);
/* The same, for what the backend has said: what it says next could be taken
 * for the answer to what the client says next. */
void session_lose_trust(struct session *session);
/* Both sides are closed, without a word. */
void session_close(struct session *session);
void session_reply(struct session *session, unsigned code, const char *enhanced,
		   const char *text);
/* Start to reach a backend on a side. */
void session_reach(struct session *session, enum session_side side,
		   size_t backend);
/* That came to nothing: it is tried at another of its targets, or, where TLS
 * was to blame and need not be, in plain at the same. False if there is no
 * more to be tried. */
bool session_reach_next(struct session *session, enum session_side side);
/* It is up: its target is. */
void session_reached(struct session *session, enum session_side side);
/* It was lost by a refusal, and that may be meant for the client. */
bool session_is_unwelcome(const struct backend *leg);
/* It is lost; if in vain, its target is down, unless the client is unwelcome
 * there. Said in the event log. */
void session_note_lost(struct session *session, enum session_side side);
/* Send on a leg whatever its envelope allows. */
void session_pump(struct session *session, enum session_side side,
		  const struct envelope *envelope);
void session_abort_leg(struct session *session, enum session_side side);
/* Politely if nothing is outstanding, else abort. */
void session_drop_leg(struct session *session, enum session_side side);
/* The main backend need not keep the envelope it has, if any. */
void session_drop_envelope(struct session *session);
void session_end_mail(struct session *session);
void session_forget_questions(struct session *session);

/* secure.c */
/* TLS with the client shall begin, behind what was said so far. */
void secure_begin(struct session *session);
void secure_done(struct session *session, const struct tlsinfo *tls);
void secure_failed(struct session *session, const char *reason);
/* The same with a backend. */
void secure_backend(struct session *session, enum session_side side);
void secure_backend_done(struct session *session, enum session_side side,
			 const struct tlsinfo *tls);
void secure_backend_failed(struct session *session, enum session_side side,
			   const char *reason);

/* patience.c */
/* When the client has been silent, or slow, for too long; 0 for never. */
uint64_t patience_deadline(const struct session *session);
/* If it has: tell it and close. */
void patience_end(struct session *session);
/* It has had a reply, and what it is at now it begins now. */
void patience_answered(struct session *session);
/* It is listened to again in the midst of its data. */
void patience_resume(struct session *session);

/* greeting.c */
/* The banner is said, or its backend is reached for it. */
void greeting_start(struct session *session);
/* Of the backend, where there is one, or our own. */
void greeting_banner(struct session *session);
/* HELO or EHLO; then one of the two below. */
void greeting_take(struct session *session, const struct command *command);
void greeting_accepted(struct session *session);
void greeting_refused(struct session *session, const struct reply *reply);
/* XCLIENT from a listed peer: the client is somebody else. */
void greeting_identity(struct session *session, const struct command *command);

/* commands.c */
bool commands_run(struct session *session); /* true: something moved */
void commands_drop_mail(struct session *session);

/* auth.c */
/* AUTH, which the server has let through. */
void auth_begin(struct session *session, const struct command *command);
bool auth_run(struct session *session); /* true: something moved */
void auth_news(struct session *session, const struct reply *reply);
void auth_lost(struct session *session);

/* routing.c */
/* Who the client is, and where it came in, is known now, or another: which
 * backend is left for it, if it is one. */
void routing_look(struct session *session);
/* One backend serves all, and is reached when the client connects. */
bool routing_is_early(const struct session *session);
/* What every backend that could be meant offers: the one we talk to, or all
 * candidates as they were last probed. */
struct ehlo routing_ehlo(const struct session *session);
bool routing_is_same(const struct conf_route *a, const struct conf_route *b);
/* The route of a recipient; NULL if no route serves it. */
const struct conf_route *routing_find(struct session *session,
				      const struct path *path);
/* Fix the route, for now; reach its backend. Nothing is outstanding. */
void routing_take(struct session *session, const struct conf_route *route);

/* dialogue.c */
/* What could not be sent when it was asked for can be now: an RSET of ours was
 * answered, or the queue has room. Not before the route is known. */
void dialogue_pump(struct session *session);
/* The backend's reply is the client's. */
void dialogue_relay(struct session *session, const struct reply *reply);
/* The backend does not do again what it did before. */
void dialogue_changed(struct session *session, const char *reason);
void dialogue_news(struct session *session, enum backend_news news,
		   const struct client_answer *answer);
void dialogue_lost(struct session *session);

/* intake.c */
void intake_begin_chunk(struct session *session, const struct server_turn *turn,
			const struct command *command);
bool intake_data(struct session *session); /* true: something moved */
bool intake_chunk(struct session *session);
/* When a message, or a chunk, will have taken too long; 0: none is coming. */
uint64_t intake_deadline(const struct session *session);

/* outcome.c */
/* The outcome is a reply of our own; or the backend's. */
void outcome_own(struct session *session, const char *action, const char *rule,
		 unsigned code, const char *enhanced, struct span text);
void outcome_relay(struct session *session, const struct reply *reply);
/* The verdict line is written, or cannot be. */
void outcome_spooled(struct session *session, int error);

/* delivery.c */
void delivery_judge(struct session *session);
void delivery_news(struct session *session, enum session_side side,
		   enum backend_news news, const struct client_answer *answer);
void delivery_lost(struct session *session, enum session_side side);
void delivery_drive(struct session *session);
void delivery_sent(struct session *session, enum session_side side);
/* What the backend says is not listened to before the message has left. */
bool delivery_is_deaf(const struct session *session, enum session_side side);
void delivery_read(struct session *session, uint64_t offset, struct span octets,
		   int error);
/* Nothing will ever come of it. */
void delivery_stalled(struct session *session);
/* The client is gone before anything was handed over. */
void delivery_abandon(struct session *session);

#endif
