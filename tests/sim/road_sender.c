/* SPDX-License-Identifier: BSD-2-Clause */
/* What the client hears of routes, of targets, and of ceilings. */
#include "tests/sim/world.h"

static void
use_route(struct world *world, const struct conf_route *route)
{
	static const enum feature by_title[] = {
		[MATCH_ANY] = FEATURE_ROUTE_ANY,
		[MATCH_DOMAIN] = FEATURE_ROUTE_DOMAIN,
		[MATCH_BELOW] = FEATURE_ROUTE_BELOW,
		[MATCH_MAILBOX] = FEATURE_ROUTE_MAILBOX,
	};

	world_use(world, by_title[route->match]);
	if (route->listeners.count > 0)
		world_use(world, FEATURE_ROUTE_LISTENER);
	if (route->clients.count > 0)
		world_use(world, FEATURE_ROUTE_CLIENT);
}

/* The route of the mail under way; NULL: none is fixed. */
static const struct conf_route *
fixed(const struct world *world)
{
	const struct sender *sender = &world->sender;

	return sender->good == 0
		       ? NULL
		       : road_of(world,
				 sender->post->recipients[sender->first_good]
					 .address);
}

static void
hear_yes(struct world *world, const struct conf_route *route, const char *to)
{
	const struct conf_route *before = fixed(world);

	if (route == NULL) {
		stage_fail(&world->stage, "%s is taken, and has no route", to);
		return;
	}
	use_route(world, route);
	if (before == NULL || before == route)
		return;
	world_use(world, FEATURE_ROUTE_SAME);
	if (!road_is_same(before, route))
		stage_fail(&world->stage,
			   "%s is taken into a mail that goes another way", to);
}

/* Which answers a recipient may get where nothing goes wrong. */
static unsigned
expected(const struct world *world, const struct conf_route *route,
	 struct span to)
{
	const struct sender *sender = &world->sender;
	const struct conf_route *before = fixed(world);

	if (route == NULL)
		return 550;
	if (before != NULL && !road_is_same(before, route))
		return 452;
	if (sender->good >= world->scenario->props.conf->recipients_max)
		return 452;
	if (span_starts(to, SPAN_LIT("bad")))
		return 550;
	return span_starts(to, SPAN_LIT("busy")) ? 450 : 250;
}

/* Somebody may have come to a limit of the session, or to a ceiling. */
static bool
is_excused(const struct world *world, unsigned code)
{
	return !world_is_calm(world) || world->was_full ||
	       world_is_cramped(world) || world->sender.is_sender_refused ||
	       code == 421;
}

static void
hear_recipient(struct world *world, unsigned recipient, unsigned code)
{
	const struct sender *sender = &world->sender;
	const char *to = sender->post->recipients[recipient].address;
	const struct conf_route *route = road_of(world, to);
	unsigned wanted;

	if (code / 100 == 2)
		hear_yes(world, route, to);
	if (code == 452 &&
	    sender->good >= world->scenario->props.conf->recipients_max)
		world_use(world, FEATURE_LIMIT_RECIPIENTS);
	if (route == NULL && code == 550)
		world_use(world, FEATURE_ROUTE_NONE);
	if (route != NULL && code == 452 && fixed(world) != NULL &&
	    !road_is_same(fixed(world), route))
		world_use(world, FEATURE_ROUTE_OTHER);
	if (is_excused(world, code))
		return;
	wanted = expected(world, route, span_cstr(to));
	if (code != wanted)
		stage_fail(&world->stage,
			   "all is calm, and %s is answered %u, but %u was to "
			   "be expected",
			   to, code, wanted);
}

void
road_hear(struct world *world, enum said said, unsigned recipient,
	  unsigned code)
{
	if (said == SAID_RCPT)
		hear_recipient(world, recipient, code);
	if (said == SAID_NOTHING && code != 220 && world_is_calm(world) &&
	    !world->was_full && !world_is_cramped(world))
		stage_fail(&world->stage,
			   "all is calm, and the banner is %u, though there is "
			   "a server",
			   code);
}
