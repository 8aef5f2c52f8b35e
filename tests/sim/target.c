/* SPDX-License-Identifier: BSD-2-Clause */
/* The servers of backends: which there are, and how they are. */
#include "tests/sim/world.h"

#include <assert.h>
#include <errno.h>

static const struct conf *
conf_of(const struct world *world)
{
	return world->scenario->props.conf;
}

static struct party *
party(struct world *world, enum session_side side)
{
	return &world->stage.party[side];
}

/* --- which there are --- */

static void
add(struct world *world, size_t backend, const struct conf_address *address,
    const struct ip *ip)
{
	assert(world->target_count < ROAD_TARGETS_MAX);
	world->targets[world->target_count++] = (struct target){
		.backend = backend,
		.ip = *ip,
		.port = address->at.port,
		.is_named = address->host.n > 0,
		.priority = address->priority,
	};
}

static void
add_address(struct world *world, size_t backend,
	    const struct conf_address *address)
{
	struct answer answer;

	if (address->host.n == 0) {
		add(world, backend, address, &address->at.ip);
		return;
	}
	zone_lookup(world->scenario->zone, address->host, DNS_A, &answer);
	for (size_t i = 0; i < answer.records; i++) {
		struct ip ip = ip_make(answer.record[i].value.p,
				       answer.record[i].value.n);

		add(world, backend, address, &ip);
	}
}

void
target_init(struct world *world)
{
	const struct conf *conf = conf_of(world);

	world->target_count = 0;
	for (size_t i = 0; i < conf->backend_count; i++)
		for (size_t k = 0; k < conf->backends[i].address_count; k++)
			add_address(world, i, &conf->backends[i].addresses[k]);
}

static struct target *
find(struct world *world, const struct party *now)
{
	for (unsigned i = 0; i < world->target_count; i++) {
		struct target *target = &world->targets[i];

		if (target->backend == now->backend &&
		    target->port == now->port &&
		    ip_equal(&target->ip, &now->ip))
			return target;
	}
	return NULL;
}

/* --- how they are --- */

/* The n-th target of a backend that is well; NULL if there are no more. */
static struct target *
find_well(struct world *world, size_t backend, unsigned n)
{
	for (unsigned i = 0; i < world->target_count; i++)
		if (world->targets[i].backend == backend &&
		    world->targets[i].spell == SPELL_NONE && n-- == 0)
			return &world->targets[i];
	return NULL;
}

static void
cast(struct world *world, size_t backend)
{
	unsigned count = 0;
	struct target *target;

	while (find_well(world, backend, count) != NULL)
		count++;
	if (count < 2 || !world_one_in(world, 3))
		return;
	target = find_well(world, backend, world_below(world, count));
	target->spell = 1 + world_below(world, SPELL_COUNT - 1);
	target->until = world->session + 1 + world_below(world, 3);
}

void
target_draw(struct world *world)
{
	for (unsigned i = 0; i < world->target_count; i++)
		if (world->targets[i].until <= world->session)
			world->targets[i].spell = SPELL_NONE;
	for (size_t i = 0; i < conf_of(world)->backend_count; i++)
		cast(world, i);
	target_crowd(world);
}

/* When all is calm they leave a place. */
void
target_crowd(struct world *world)
{
	const struct conf *conf = conf_of(world);

	for (size_t i = 0; i < conf->backend_count; i++) {
		unsigned most = conf->backends[i].connections_max;

		if (most > 0)
			stage_hold(&world->stage, i,
				   world_below(world,
					       most + !world_is_calm(world)));
	}
}

void
target_restart(struct world *world)
{
	for (unsigned i = 0; i < world->target_count; i++)
		world->targets[i].is_doubtful = false;
}

/* --- connections --- */

/* Those of the lowest number that are well known come first. */
static void
check_priority(struct world *world, const struct target *chosen)
{
	for (unsigned i = 0; i < world->target_count; i++) {
		const struct target *other = &world->targets[i];

		if (other->backend == chosen->backend &&
		    other->priority < chosen->priority && !other->is_doubtful)
			stage_fail(&world->stage,
				   "a target of priority %u is preferred to "
				   "one of %u that never failed",
				   chosen->priority, other->priority);
	}
}

static void
count_spell(struct world *world, enum spell spell)
{
	static const enum feature features[SPELL_COUNT] = {
		[SPELL_REFUSES] = FEATURE_TARGET_REFUSES,
		[SPELL_HANGS] = FEATURE_TARGET_HANGS,
		[SPELL_RESETS] = FEATURE_TARGET_RESETS,
		[SPELL_BUSY] = FEATURE_TARGET_BUSY,
		[SPELL_LATE] = FEATURE_TARGET_LATE,
	};

	if (spell != SPELL_NONE)
		world_use(world, features[spell]);
}

void
target_begin(struct world *world, enum session_side side)
{
	struct party *now = party(world, side);
	struct target *target = find(world, now);
	struct mta *mta = &world->mta[side];

	if (target == NULL) {
		stage_fail(&world->stage, "a connection to who is no target");
		return;
	}
	check_priority(world, target);
	target->is_doubtful = true;
	mta->target = target;
	mta->is_next = mta->failed_at == now->backend + 1;
	mta->failed_at = now->backend + 1;
	count_spell(world, target->spell);
	if (now->has_place)
		world_use(world, FEATURE_PLACE_TAKEN);
	if (now->has_place && target->spell != SPELL_NONE)
		world_use(world, FEATURE_PLACE_VAIN);
	if (target->spell == SPELL_REFUSES)
		now->refusals = 1;
	else if (target->spell == SPELL_HANGS)
		now->is_hanging = true;
}

bool
target_step(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];
	uint64_t late_us = mta->conf->connect_us_max + 1;

	if (mta->state > MTA_BANNER || mta->target == NULL)
		return false;
	switch (mta->target->spell) {
	case SPELL_RESETS:
		mta_hang_up(world, side, -ECONNRESET);
		return true;
	case SPELL_BUSY:
		mta_say_goodbye(world, side);
		return true;
	case SPELL_LATE:
		mta->wakes_us = world->stage.now_us + late_us;
		return true;
	case SPELL_NONE:
	case SPELL_REFUSES:
	case SPELL_HANGS:
	case SPELL_COUNT:
		break;
	}
	return false;
}

/* --- mail --- */

void
target_trusted(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];

	if (mta->target == NULL)
		return;
	mta->target->is_doubtful = false;
	mta->failed_at = 0;
	if (mta->is_next)
		world_use(world, FEATURE_TARGET_NEXT);
	if (mta->target->is_named)
		world_use(world, FEATURE_TARGET_NAMED);
	for (unsigned i = 0; i < world->target_count; i++)
		if (world->targets[i].backend == mta->target->backend &&
		    world->targets[i].priority < mta->target->priority)
			world_use(world, FEATURE_TARGET_WORSE);
}

void
target_left(struct world *world, enum session_side side, struct span octets)
{
	if (span_starts(octets, SPAN_LIT("EHLO ")) ||
	    span_starts(octets, SPAN_LIT("HELO ")))
		world->mta[side].target->is_doubtful = true;
}

static size_t
index_of(const struct world *world, const struct mta *mta)
{
	return (size_t)(mta->conf - conf_of(world)->backends);
}

void
target_check_recipient(struct world *world, enum session_side side,
		       struct span address)
{
	const struct conf_quarantine *quarantine = &conf_of(world)->quarantine;
	size_t backend = index_of(world, &world->mta[side]);
	const struct conf_route *route;
	char text[64];

	if (backend == quarantine->backend ||
	    span_equal(address, quarantine->recipient))
		return;
	assert(address.n < sizeof(text));
	memcpy(text, address.p, address.n);
	text[address.n] = '\0';
	route = road_of(world, text);
	if (route == NULL || route->backend != backend)
		stage_fail(&world->stage,
			   "%s is no recipient of this backend's", text);
}

void
target_check_message(struct world *world, const struct mta *mta,
		     bool is_diverted)
{
	const struct conf_quarantine *quarantine = &conf_of(world)->quarantine;
	const struct conf_route *route = road_of(
		world, mta->post->recipients[world->sender.first_good].address);
	size_t wanted = route == NULL ? CONF_NO_BACKEND : route->backend;

	if (is_diverted && quarantine->backend != CONF_NO_BACKEND)
		wanted = quarantine->backend;
	if (wanted != index_of(world, mta))
		stage_fail(&world->stage,
			   "the message is with another backend than its "
			   "route's");
}
