/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/sim/world.h"

#include "proxy/limit.h"

#include "tests/replay/places.h"

#include <assert.h>

static const struct conf *
conf_of(const struct world *world)
{
	return world->scenario->props.conf;
}

static bool
has_door(const struct world *world)
{
	const struct conf *conf = conf_of(world);

	return conf->connections_total_max > 0 ||
	       conf->connection_rate.count > 0;
}

/* --- the others --- */

static void
draw_others(struct world *world)
{
	static const char *const near = "192.0.2.200", *const far =
							       "203.0.113.9";
	struct world_door *door = &world->door;
	const struct limit_bounds none = { 0 };

	door->other[DOOR_SAME] = world->stage.peer.ip;
	ip_parse(span_cstr(near), &door->other[DOOR_NEAR]);
	ip_parse(span_cstr(far), &door->other[DOOR_FAR]);
	for (unsigned i = 0; i < DOOR_OTHERS; i++) {
		door->others[i] = world_is_calm(world) ? world_below(world, 2)
						       : world_below(world, 3);
		for (unsigned k = 0; k < door->others[i]; k++)
			limit_enter(places_limit(&world->stage), PLACES_OTHERS,
				    &door->other[i], &none);
	}
}

static void
send_others_home(struct world *world)
{
	struct world_door *door = &world->door;

	for (unsigned i = 0; i < DOOR_OTHERS; i++)
		for (; door->others[i] > 0; door->others[i]--)
			limit_leave(places_limit(&world->stage), PLACES_OTHERS,
				    &door->other[i]);
}

static unsigned
count_others(const struct world *world, unsigned up_to)
{
	unsigned count = 0;

	for (unsigned i = 0; i <= up_to; i++)
		count += world->door.others[i];
	return count;
}

/* --- rates --- */

static struct door_book *
find_book(struct world_door *door, const struct ip *ip)
{
	for (unsigned i = 0; i < door->book_count; i++)
		if (ip_equal(&door->books[i].ip, ip))
			return &door->books[i];
	assert(door->book_count < 8);
	door->books[door->book_count] = (struct door_book){ .ip = *ip };
	return &door->books[door->book_count++];
}

static bool
may_come(struct world *world, const struct ip *ip)
{
	const struct conf_rate *rate = &conf_of(world)->connection_rate;
	struct door_book *book = find_book(&world->door, ip);
	uint64_t now_us = world->stage.now_us;
	bool may = limit_rate(places_limit(&world->stage), RATE_CONNECTIONS, ip,
			      rate->count, rate->period_us, now_us);

	if (book->until_us <= now_us)
		*book = (struct door_book){ *ip, 0, now_us + rate->period_us };
	if (may != (book->count < rate->count))
		stage_fail(&world->stage,
			   "%u connections of the client in its time, and one "
			   "more is %s",
			   book->count, may ? "taken" : "refused");
	book->count += may;
	return may;
}

/* --- the client --- */

/* By the books: is a bound reached, and which? */
static enum limit_answer
expected(const struct world *world)
{
	const struct conf *conf = conf_of(world);

	if (count_others(world, DOOR_FAR) >= conf->connections_total_max)
		return LIMIT_TOTAL;
	if (count_others(world, DOOR_NEAR) >= conf->connections_per_network_max)
		return LIMIT_NETWORK;
	if (count_others(world, DOOR_SAME) >= conf->connections_per_address_max)
		return LIMIT_ADDRESS;
	return LIMIT_TAKEN;
}

static void
use_answer(struct world *world, enum limit_answer answer)
{
	static const enum feature features[] = {
		[LIMIT_TAKEN] = FEATURE_DOOR_TAKEN,
		[LIMIT_TOTAL] = FEATURE_DOOR_TOTAL,
		[LIMIT_NETWORK] = FEATURE_DOOR_NETWORK,
		[LIMIT_ADDRESS] = FEATURE_DOOR_ADDRESS,
	};

	world_use(world, features[answer]);
}

bool
world_enter(struct world *world)
{
	const struct conf *conf = conf_of(world);
	const struct ip *ip = &world->stage.peer.ip;
	const struct limit_bounds bounds = {
		.total = conf->connections_total_max,
		.per_network = conf->connections_per_network_max,
		.per_address = conf->connections_per_address_max,
	};
	enum limit_answer answer;

	if (!has_door(world))
		return true;
	draw_others(world);
	if (!may_come(world, ip)) {
		world_use(world, FEATURE_DOOR_RATE);
		return false;
	}
	answer = limit_enter(places_limit(&world->stage), PLACES_OURS, ip,
			     &bounds);
	world->door.is_in = answer == LIMIT_TAKEN;
	if (answer != expected(world))
		stage_fail(&world->stage,
			   "the client at the door is answered %u, but %u was "
			   "to be expected",
			   answer, expected(world));
	else
		use_answer(world, answer);
	return world->door.is_in;
}

void
world_leave(struct world *world, bool was_killed)
{
	struct limit *limit;

	if (!has_door(world))
		return;
	limit = places_limit(&world->stage);
	if (world->door.is_in && !was_killed)
		limit_leave(limit, PLACES_OURS, &world->stage.peer.ip);
	world->door.is_in = false;
	if (limit_total(limit) != count_others(world, DOOR_FAR) ||
	    limit_count(limit, &world->stage.peer.ip) !=
		    count_others(world, DOOR_SAME))
		stage_fail(&world->stage,
			   "a client is counted whose session has ended");
	send_others_home(world);
}
