/* SPDX-License-Identifier: BSD-2-Clause */
/* Titles and conditions of routes: what fits them, and what covers what.
 * Pure. */
#include "proxy/conf_table.h"

#include "dmarc/domain.h"

/* --- titles ------------------------------------------------------------- */

static bool
parse_mailbox(struct arena *arena, struct span title, struct conf_route *route)
{
	uint8_t octets[CONF_MAILBOX_OCTETS];
	struct path path;

	if (!conf_mailbox_parse(title, octets, &path) || path.is_literal ||
	    path.local.n == 0)
		return false;
	route->match = MATCH_MAILBOX;
	route->local = arena_copy(arena, path.local);
	return domain_normalise(path.domain, arena, &route->domain);
}

/* As it is printed, and stands in verdict lines. */
static struct span
written(struct arena *arena, const struct conf_route *route)
{
	struct span title;
	struct buf buf;

	buf_init(&buf, CONF_MAILBOX_OCTETS);
	buf_append(&buf, route->local);
	if (route->match == MATCH_MAILBOX)
		buf_append_octet(&buf, '@');
	else if (route->match == MATCH_BELOW)
		buf_append_octet(&buf, '.');
	buf_append(&buf, route->domain);
	title = arena_copy(arena, buf_span(&buf));
	buf_fini(&buf);
	return title;
}

bool
conf_route_parse(struct arena *arena, struct span title,
		 struct conf_route *route)
{
	bool is_good;

	if (span_equal(title, SPAN_LIT("*"))) {
		route->match = MATCH_ANY;
		route->title = SPAN_LIT("*");
		return true;
	}
	if (span_find(title, '@') < title.n) {
		is_good = parse_mailbox(arena, title, route);
	} else if (title.n > 0 && title.p[0] == '.') {
		route->match = MATCH_BELOW;
		is_good = domain_normalise(span_after(title, 1), arena,
					   &route->domain);
	} else {
		route->match = MATCH_DOMAIN;
		is_good = domain_normalise(title, arena, &route->domain);
	}
	if (is_good)
		route->title = written(arena, route);
	return is_good;
}

/* --- what fits ---------------------------------------------------------- */

static bool
has_index(const struct conf_indexes *indexes, size_t index)
{
	for (size_t i = 0; i < indexes->count; i++)
		if (indexes->list[i] == index)
			return true;
	return false;
}

static bool
has_client(const struct conf_networks *networks, const struct ip *ip)
{
	for (size_t i = 0; i < networks->count; i++)
		if (ip_network_has(&networks->list[i], ip))
			return true;
	return false;
}

bool
conf_route_has_listener(const struct conf_route *route, size_t listener)
{
	return route->listeners.count == 0 ||
	       has_index(&route->listeners, listener);
}

bool
conf_route_is_open(const struct conf *conf, const struct conf_route *route,
		   const struct conf_arrival *arrival)
{
	size_t listener = (size_t)(arrival->listener - conf->listeners);

	return conf_route_has_listener(route, listener) &&
	       (route->clients.count == 0 ||
		has_client(&route->clients, &arrival->client));
}

/* A local part without quotes: RFC 5321 4.1.2 has both spellings be the same
 * mailbox, and whoever can choose one must not choose the route by it. */
static struct span
unquoted(struct span local, uint8_t octets[ADDRESS_LOCAL_MAX])
{
	size_t n = 0;

	if (local.n < 2 || local.p[0] != '"')
		return local;
	for (size_t i = 1; i + 1 < local.n && n < ADDRESS_LOCAL_MAX; i++) {
		if (local.p[i] == '\\' && i + 2 < local.n)
			i++;
		octets[n++] = local.p[i];
	}
	return span_make(octets, n);
}

static bool
is_same_local(struct span a, struct span b)
{
	uint8_t a_octets[ADDRESS_LOCAL_MAX], b_octets[ADDRESS_LOCAL_MAX];

	return span_equal_nocase(unquoted(a, a_octets), unquoted(b, b_octets));
}

/* Whether a title fits every recipient of a domain, or, with its local part,
 * this one. */
static bool
is_for(const struct conf_route *route, struct span local, struct span domain)
{
	switch (route->match) {
	case MATCH_ANY:
		return true;
	case MATCH_DOMAIN:
		return span_equal(route->domain, domain);
	case MATCH_BELOW:
		return domain.n > route->domain.n &&
		       domain_is_within(domain, route->domain);
	case MATCH_MAILBOX:
		return span_equal(route->domain, domain) &&
		       is_same_local(route->local, local);
	}
	return false;
}

const struct conf_route *
conf_route(const struct conf *conf, const struct conf_arrival *arrival,
	   struct span local, struct span domain)
{
	for (size_t i = 0; i < conf->route_count; i++) {
		const struct conf_route *route = &conf->routes[i];

		if (is_for(route, local, domain) &&
		    (arrival == NULL ||
		     conf_route_is_open(conf, route, arrival)))
			return route;
	}
	return NULL;
}

/* --- what covers what --------------------------------------------------- */

static bool
covers_title(const struct conf_route *a, const struct conf_route *b)
{
	switch (b->match) {
	case MATCH_ANY:
		return a->match == MATCH_ANY;
	case MATCH_BELOW:
		return a->match == MATCH_ANY ||
		       (a->match == MATCH_BELOW &&
			domain_is_within(b->domain, a->domain));
	case MATCH_DOMAIN:
		return a->match != MATCH_MAILBOX &&
		       is_for(a, SPAN_NONE, b->domain);
	case MATCH_MAILBOX:
		return is_for(a, b->local, b->domain);
	}
	return false;
}

static bool
covers_listeners(const struct conf_indexes *a, const struct conf_indexes *b)
{
	if (a->count == 0)
		return true;
	for (size_t i = 0; i < b->count; i++)
		if (!has_index(a, b->list[i]))
			return false;
	return b->count > 0;
}

static bool
covers_network(const struct conf_networks *a, const struct ip_network *b)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->list[i].prefix <= b->prefix &&
		    ip_network_has(&a->list[i], &b->ip))
			return true;
	return false;
}

/* Two halves that cover a whole together are not put together. */
static bool
covers_clients(const struct conf_networks *a, const struct conf_networks *b)
{
	if (a->count == 0)
		return true;
	for (size_t i = 0; i < b->count; i++)
		if (!covers_network(a, &b->list[i]))
			return false;
	return b->count > 0;
}

bool
conf_route_covers(const struct conf_route *a, const struct conf_route *b)
{
	return covers_title(a, b) &&
	       covers_listeners(&a->listeners, &b->listeners) &&
	       covers_clients(&a->clients, &b->clients);
}
