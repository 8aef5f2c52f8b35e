/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * routing: which backend a mail is for, and what is known of it before.
 */
#include "proxy/session_state.h"

#include "dmarc/domain.h"

static struct conf_arrival
arrival_of(const struct session *session)
{
	return (struct conf_arrival){ session->listener, session->client.ip };
}

/* The next route at or behind *i that is open to the client; NULL at the end.
 */
static const struct conf_route *
next_open(const struct session *session, size_t *i)
{
	const struct conf *conf = session->host->conf;
	const struct conf_arrival arrival = arrival_of(session);

	while (*i < conf->route_count) {
		const struct conf_route *route = &conf->routes[(*i)++];

		if (conf_route_is_open(conf, route, &arrival))
			return route;
	}
	return NULL;
}

void
routing_look(struct session *session)
{
	const struct conf_route *route;
	size_t i = 0;

	session->early = CONF_NO_BACKEND;
	if (session->host->conf->backend_connect != CONNECT_AT_CONNECT)
		return;
	while ((route = next_open(session, &i)) != NULL) {
		if (session->early != CONF_NO_BACKEND &&
		    session->early != route->backend) {
			session->early = CONF_NO_BACKEND;
			return;
		}
		session->early = route->backend;
	}
}

bool
routing_is_early(const struct session *session)
{
	return session->early != CONF_NO_BACKEND;
}

static struct ehlo
probed_ehlo(const struct session *session, size_t backend)
{
	const struct session_host *host = session->host;

	return backend_ehlo(&host->conf->backends[backend],
			    &host->probed[backend]);
}

/* What every backend that could be meant offers: the one we talk to, or all
 * candidates as they were last probed. */
struct ehlo
routing_ehlo(const struct session *session)
{
	const struct conf_route *route;
	struct ehlo known = { 0 };
	bool is_first = true;
	size_t i = 0;

	if (routing_is_early(session) && session->backend.greeting == STEP_OK &&
	    backend_is_alive(&session->backend))
		return session->backend.ehlo;
	while ((route = next_open(session, &i)) != NULL) {
		struct ehlo other = probed_ehlo(session, route->backend);

		known = is_first ? other : ehlo_intersect(&known, &other);
		is_first = false;
	}
	return known;
}

bool
routing_is_same(const struct conf_route *a, const struct conf_route *b)
{
	return a->backend == b->backend && a->mode == b->mode &&
	       a->on_reject == b->on_reject &&
	       a->on_quarantine == b->on_quarantine &&
	       a->on_fail_none == b->on_fail_none &&
	       a->on_bad_policy == b->on_bad_policy;
}

const struct conf_route *
routing_find(struct session *session, const struct path *path)
{
	const struct conf_arrival arrival = arrival_of(session);
	ROOM(room, 1024);
	struct arena arena;
	struct span domain = SPAN_NONE;
	const struct conf_route *route;

	arena_init_room(&arena, 4096, room, sizeof(room));
	if (!path->is_literal)
		domain_normalise(path->domain, &arena, &domain);
	route = conf_route(session->host->conf, &arrival, path->local, domain);
	arena_fini(&arena);
	return route;
}

/* Fix the route, for now; reach its backend. Nothing is outstanding. */
void
routing_take(struct session *session, const struct conf_route *route)
{
	struct mail *mail = session->mail;

	mail->route = route;
	if (backend_is_alive(&session->backend) &&
	    session->backend.index != route->backend)
		session_drop_leg(session, SIDE_BACKEND);
	if (!backend_is_alive(&session->backend))
		session_reach(session, SIDE_BACKEND, route->backend);
}
