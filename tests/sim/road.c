/* SPDX-License-Identifier: BSD-2-Clause */
/* Routes, by rules written down a second time. */
#include "tests/sim/world.h"

static bool
is_below(struct span name, struct span above)
{
	return name.n > above.n + 1 && name.p[name.n - above.n - 1] == '.' &&
	       span_equal_nocase(span_after(name, name.n - above.n), above);
}

static bool
fits_recipient(const struct conf_route *route, struct span local,
	       struct span domain)
{
	switch (route->match) {
	case MATCH_ANY:
		return true;
	case MATCH_DOMAIN:
		return span_equal_nocase(route->domain, domain);
	case MATCH_BELOW:
		return is_below(domain, route->domain);
	case MATCH_MAILBOX:
		return span_equal_nocase(route->local, local) &&
		       span_equal_nocase(route->domain, domain);
	}
	return false;
}

static bool
fits_listener(const struct conf *conf, const struct conf_route *route,
	      const struct conf_listener *listener)
{
	for (size_t i = 0; i < route->listeners.count; i++)
		if (&conf->listeners[route->listeners.list[i]] == listener)
			return true;
	return route->listeners.count == 0;
}

/* Clients here have IPv4. */
static uint32_t
number(const struct ip *ip)
{
	return (uint32_t)ip->octets[0] << 24 | (uint32_t)ip->octets[1] << 16 |
	       (uint32_t)ip->octets[2] << 8 | ip->octets[3];
}

static bool
fits_client(const struct conf_route *route, const struct ip *client)
{
	for (size_t i = 0; i < route->clients.count; i++) {
		const struct ip_network *network = &route->clients.list[i];
		uint64_t mask = ~UINT64_C(0) << (32 - network->prefix);

		if ((number(client) & mask) == number(&network->ip))
			return true;
	}
	return route->clients.count == 0;
}

const struct conf_route *
road_find(const struct conf *conf, const struct conf_listener *listener,
	  const struct ip *client, const char *address)
{
	struct span all = span_cstr(address);
	size_t at = span_find(all, '@');

	for (size_t i = 0; i < conf->route_count; i++) {
		const struct conf_route *route = &conf->routes[i];

		if (fits_recipient(route, span_first(all, at),
				   span_after(all, at + 1)) &&
		    (client == NULL || (fits_listener(conf, route, listener) &&
					fits_client(route, client))))
			return route;
	}
	return NULL;
}

const struct conf_route *
road_of(const struct world *world, const char *address)
{
	struct ip client;

	ip_parse(span_cstr(world->client), &client);
	return road_find(world->scenario->props.conf,
			 world->stage.peer.listener, &client, address);
}

bool
road_is_same(const struct conf_route *a, const struct conf_route *b)
{
	return a == b || (a->backend == b->backend && a->mode == b->mode &&
			  a->on_reject == b->on_reject &&
			  a->on_quarantine == b->on_quarantine &&
			  a->on_fail_none == b->on_fail_none &&
			  a->on_bad_policy == b->on_bad_policy);
}
