/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/replay/places.h"

#include "proxy/limit.h"

#include <assert.h>

#define CONNECTIONS_MAX 256

struct limit *
places_limit(struct stage *stage)
{
	if (stage->limit == NULL)
		stage->limit = limit_new(PLACES_WORKERS, CONNECTIONS_MAX);
	assert(stage->limit != NULL);
	return stage->limit;
}

static unsigned
ceiling(const struct stage *stage, size_t backend)
{
	return stage->props.conf->backends[backend].connections_max;
}

static void
give_back(struct stage *stage, size_t backend)
{
	assert(stage->places.held[backend] > 0);
	stage->places.held[backend]--;
	limit_part(places_limit(stage), PLACES_OURS, backend);
}

bool
places_take(struct stage *stage, enum session_side side)
{
	struct party *party = &stage->party[side];
	struct stage_places *places = &stage->places;
	size_t backend = party->backend;
	unsigned most = ceiling(stage, backend);
	bool is_free = places->held[backend] + places->others[backend] < most;

	if (most == 0)
		return true;
	party->has_place =
		limit_reach(places_limit(stage), PLACES_OURS, backend, most);
	places->held[backend] += party->has_place;
	places->refusals += !party->has_place;
	if (party->has_place != is_free)
		stage_fail(stage,
			   "%u connections and %u of others are open, of %u "
			   "that there may be, and one more is %s",
			   places->held[backend], places->others[backend], most,
			   is_free ? "refused" : "begun");
	return party->has_place;
}

void
places_leave(struct stage *stage, enum session_side side)
{
	struct party *party = &stage->party[side];

	if (party->has_place)
		give_back(stage, party->backend);
	party->has_place = false;
}

void
places_close(struct stage *stage, enum session_side side)
{
	struct party *party = &stage->party[side];

	if (stage->is_simulated && party->has_place)
		stage->places.closing[party->backend]++;
	else
		places_leave(stage, side);
	party->has_place = false;
}

bool
places_are_closing(const struct stage *stage)
{
	for (size_t i = 0; i < STAGE_BACKENDS_MAX; i++)
		if (stage->places.closing[i] > 0)
			return true;
	return false;
}

void
places_end_one(struct stage *stage)
{
	size_t i = 0;

	while (stage->places.closing[i] == 0)
		i++;
	stage->places.closing[i]--;
	give_back(stage, i);
}

void
places_end_all(struct stage *stage)
{
	while (places_are_closing(stage))
		places_end_one(stage);
}

void
places_clear(struct stage *stage)
{
	for (size_t i = 0; i < STAGE_BACKENDS_MAX; i++)
		stage->places.held[i] = stage->places.closing[i] = 0;
	for (enum session_side side = 0; side < SIDE_COUNT; side++)
		stage->party[side].has_place = false;
	if (stage->limit != NULL)
		limit_clear(stage->limit, PLACES_OURS);
}

/* Of others they are known: with as many allowed there is none, and with one
 * more there is one. */
static bool
is_count(struct stage *stage, size_t backend, unsigned count)
{
	struct limit *limit = places_limit(stage);

	if (count > 0 && limit_reach(limit, PLACES_OTHERS, backend, count)) {
		limit_part(limit, PLACES_OTHERS, backend);
		return false;
	}
	if (!limit_reach(limit, PLACES_OTHERS, backend, count + 1))
		return false;
	limit_part(limit, PLACES_OTHERS, backend);
	return true;
}

void
places_check(struct stage *stage)
{
	const struct stage_places *places = &stage->places;

	for (size_t i = 0; i < stage->props.conf->backend_count; i++) {
		if (ceiling(stage, i) == 0)
			continue;
		if (places->held[i] > places->closing[i])
			stage_fail(stage,
				   "no session is there, and %u places at a "
				   "backend are taken",
				   places->held[i] - places->closing[i]);
		if (!is_count(stage, i, places->held[i] + places->others[i]))
			stage_fail(stage,
				   "the table of places at backends does not "
				   "have %u of ours and %u of others",
				   places->held[i], places->others[i]);
	}
}

void
stage_hold(struct stage *stage, size_t backend, unsigned count)
{
	unsigned *others = &stage->places.others[backend];

	for (; *others < count; ++*others)
		limit_reach(places_limit(stage), PLACES_OTHERS, backend,
			    CONNECTIONS_MAX);
	for (; *others > count; --*others)
		limit_part(places_limit(stage), PLACES_OTHERS, backend);
}
