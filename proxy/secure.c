/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secure: TLS as the session sees it: when it begins, what is known then, and
 * that nothing said before counts any more (RFC 3207 4.2).
 */
#include "proxy/session_state.h"

void
secure_begin(struct session *session)
{
	session_act(session, (struct session_action){ .act = ACT_SECURE,
						      .side = SIDE_CLIENT });
	session_enter(session, PHASE_SECURING);
}

/* A text of the engine's, which lasts as long as the session. */
static struct span
keep(struct session *session, struct span text)
{
	size_t before = session->tls_texts.n;

	buf_append(&session->tls_texts, text);
	return span_after(buf_span(&session->tls_texts), before);
}

/* Whatever was greeted and begun was so in plain, and is forgotten. */
static void
forget_greeting(struct session *session)
{
	session->identity.greeting = SPAN_NONE;
	session->backend.greeting = STEP_NONE;
	buf_reset(&session->helo);
	buf_reset(&session->greeting);
}

void
secure_done(struct session *session, const struct tlsinfo *tls)
{
	if (session->phase != PHASE_SECURING)
		return;
	/* Room for both, so that the first one stays where it is. */
	buf_reserve(&session->tls_texts, tls->server_name.n + tls->subject.n);
	session->client_tls = *tls;
	session->client_tls.server_name = keep(session, tls->server_name);
	session->client_tls.subject = keep(session, tls->subject);
	server_secured(&session->server);
	forget_greeting(session);
	if (session->listener->is_implicit_tls) {
		session_enter(session, PHASE_START);
		greeting_start(session);
	} else {
		session_enter(session, PHASE_COMMANDS);
	}
}

void
secure_failed(struct session *session, const char *reason)
{
	session_log(session, EVENT_TLS_FAILED, reason);
}

void
secure_backend(struct session *session, enum session_side side)
{
	const struct backend *leg = session_leg(session, side);

	session_act(session, (struct session_action){
				     .act = ACT_SECURE,
				     .side = side,
				     .backend = leg->index,
				     .address = leg->target.address,
			     });
}

void
secure_backend_done(struct session *session, enum session_side side,
		    const struct tlsinfo *tls)
{
	struct backend *leg = session_leg(session, side);

	if (leg != NULL)
		leg->tls_version = tls->version;
	if (leg != NULL && leg->state == BACKEND_SECURING &&
	    !backend_secured(leg, &session->identity, &session->out[side]))
		backend_closed(leg, EVENT_OUT_OF_MEMORY, "no room for EHLO");
}

void
secure_backend_failed(struct session *session, enum session_side side,
		      const char *reason)
{
	const struct backend *leg = session_leg(session, side);

	if (leg != NULL)
		session_log_leg(session, leg, EVENT_TLS_FAILED, reason);
}
