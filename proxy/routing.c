/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * routing: which backend a mail is for, and what is known of it before.
 */
#include "proxy/session_state.h"

#include "dmarc/domain.h"

bool
routing_is_early(const struct session *session)
{
	const struct conf *conf = session->host->conf;

	return conf->has_one_backend &&
	       conf->backend_connect == CONNECT_AT_CONNECT;
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
	const struct conf *conf = session->host->conf;
	struct ehlo known;

	if (routing_is_early(session) && session->backend.greeting == STEP_OK &&
	    backend_is_alive(&session->backend))
		return session->backend.ehlo;
	known = probed_ehlo(session, conf->routes[0].backend);
	for (size_t i = 1; i < conf->route_count; i++) {
		struct ehlo other =
			probed_ehlo(session, conf->routes[i].backend);

		known = ehlo_intersect(&known, &other);
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
		session_reach(session, SIDE_BACKEND, route->backend, 0);
}
