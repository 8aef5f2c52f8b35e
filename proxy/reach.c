/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reach: at which of its targets a backend is reached, and what that says of
 * them.
 *
 * One attempt goes from target to target until one is up, each at most once.
 * A backend that does not take the client's identity ends the attempt: another
 * target might take it, but one that does not is a mistake that somebody has
 * to hear of, and the identity fails closed (design, promise 6).
 */
#include "proxy/session_state.h"

#include "proxy/endpoint.h"

static struct upstream *
upstream_of(struct session *session, size_t backend)
{
	return &session->host->upstreams[backend];
}

/* At that target; NULL: there is none. */
static void
connect_to(struct session *session, enum session_side side, size_t backend,
	   const struct upstream_target *target)
{
	struct backend *leg = session_leg(session, side);

	backend_connect(leg, session->host->conf, backend, target,
			session_now(session));
	if (target == NULL)
		return;
	session_count(session, STAT_BACKEND_CONNECTS, 1);
	session_act(session, (struct session_action){
				     .act = ACT_CONNECT,
				     .side = side,
				     .backend = backend,
				     .address = target->address,
				     .ip = target->ip,
				     .port = target->port,
				     .is_as_client = leg->conf->identity ==
						     IDENTITY_TRANSPARENT,
				     .source = session->client.ip });
}

static const struct upstream_target *
pick(struct session *session, enum session_side side, size_t backend)
{
	return upstream_pick(upstream_of(session, backend),
			     &session->attempt[side], session_now(session),
			     &session->host->dice);
}

void
session_reach(struct session *session, enum session_side side, size_t backend)
{
	struct upstream *upstream = upstream_of(session, backend);
	enum ip_family family = session->client.ip.family;

	/* From the client's address only those of its family can be reached. */
	session->attempt[side] = (struct upstream_attempt){ 0 };
	if (upstream->conf->identity == IDENTITY_TRANSPARENT &&
	    upstream_has_family(upstream, family))
		session->attempt[side].family = family;
	connect_to(session, side, backend, pick(session, side, backend));
}

/* The handshake failed, where TLS is welcome but not needed. */
static bool
is_plain_next(const struct backend *leg)
{
	return leg->has_tls_failed && !leg->skips_tls &&
	       leg->conf->tls == CONF_TLS_OPPORTUNISTIC;
}

bool
session_reach_next(struct session *session, enum session_side side)
{
	struct backend *leg = session_leg(session, side);
	struct upstream_target target = leg->target;

	if (leg->failure != EVENT_BACKEND_DOWN)
		return false;
	if (is_plain_next(leg)) {
		connect_to(session, side, leg->index, &target);
		leg->skips_tls = true;
		return true;
	}
	if (!upstream_has_more(upstream_of(session, leg->index),
			       &session->attempt[side]))
		return false;
	session_count(session, STAT_BACKEND_FAILOVERS, 1);
	connect_to(session, side, leg->index, pick(session, side, leg->index));
	return true;
}

/* A change of health. Of an only target the backend's own events say all. */
static void
log_target(struct session *session, const struct backend *leg,
	   enum log_event event)
{
	char text[ENDPOINT_TEXT_MAX];

	if (upstream_of(session, leg->index)->count < 2)
		return;
	endpoint_format(&leg->target.ip, leg->target.port, text);
	session_log_target(session, leg, event, text);
}

void
session_reached(struct session *session, enum session_side side)
{
	const struct backend *leg = session_leg(session, side);

	if (upstream_succeeded(upstream_of(session, leg->index),
			       leg->target.id))
		log_target(session, leg, EVENT_BACKEND_TARGET_UP);
}

/* Whether it has been told of the client before its banner, or since. */
static bool
knows_client(const struct backend *leg)
{
	switch (leg->conf->identity) {
	case IDENTITY_PROXY_V1:
	case IDENTITY_PROXY_V2:
	case IDENTITY_TRANSPARENT:
		return true;
	case IDENTITY_NONE:
	case IDENTITY_XCLIENT:
		break;
	}
	return leg->greeting != STEP_NONE;
}

/* Who is not welcome anywhere must not take down every target for all others.
 */
bool
session_is_unwelcome(const struct backend *leg)
{
	return leg->has_refused && knows_client(leg);
}

/* Whether its connection came to nothing. */
static bool
is_in_vain(const struct backend *leg)
{
	return leg->failure == EVENT_IDENTITY_REFUSED ||
	       (leg->failure == EVENT_BACKEND_DOWN && !is_plain_next(leg));
}

void
session_note_lost(struct session *session, enum session_side side)
{
	const struct backend *leg = session_leg(session, side);
	struct upstream *upstream = upstream_of(session, leg->index);
	enum log_event event = leg->failure;

	if (event == EVENT_BACKEND_DOWN &&
	    (is_plain_next(leg) ||
	     upstream_has_more(upstream, &session->attempt[side])))
		event = EVENT_BACKEND_UNREACHABLE;
	session_log_leg(session, leg, event, leg->reason);
	if (event == EVENT_BACKEND_FULL)
		session_count(session, STAT_BACKEND_FULL, 1);
	if (!is_in_vain(leg))
		return;
	session_count(session, STAT_BACKEND_VAIN, 1);
	if (!session_is_unwelcome(leg) &&
	    upstream_failed(upstream, leg->target.id, session_now(session)))
		log_target(session, leg, EVENT_BACKEND_TARGET_DOWN);
}
