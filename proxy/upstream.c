/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/upstream.h"

#include <stdlib.h>

static bool
is_original(const struct upstream_target *target)
{
	return target->ip.family == IP_NONE;
}

static void
add(struct upstream *upstream, size_t address, const struct ip *ip)
{
	const struct conf_address *conf = &upstream->conf->addresses[address];

	if (upstream->count == UPSTREAM_TARGETS_MAX)
		return;
	upstream->targets[upstream->count++] = (struct upstream_target){
		.id = ++upstream->last_id,
		.address = address,
		.ip = *ip,
		.port = conf->at.port,
		.priority = conf->priority,
		.weight = conf->weight,
	};
}

void
upstream_init(struct upstream *upstream, const struct conf_backend *conf)
{
	*upstream = (struct upstream){ .conf = conf };
	for (size_t i = 0; i < conf->address_count; i++)
		if (conf->addresses[i].host.n == 0)
			add(upstream, i, &conf->addresses[i].at.ip);
}

struct upstream *
upstreams_new(const struct conf *conf)
{
	struct upstream *upstreams =
		calloc(conf->backend_count + 1, sizeof(*upstreams));

	for (size_t i = 0; upstreams != NULL && i < conf->backend_count; i++)
		upstream_init(&upstreams[i], &conf->backends[i]);
	return upstreams;
}

/* --- what a name stands for ------------------------------------------------
 */

static const struct upstream_target *
find_ip(const struct upstream *upstream, size_t address, const struct ip *ip)
{
	for (size_t i = 0; i < upstream->count; i++)
		if (upstream->targets[i].address == address &&
		    ip_equal(&upstream->targets[i].ip, ip))
			return &upstream->targets[i];
	return NULL;
}

static void
keep(struct upstream *upstream, const struct upstream_target *target)
{
	if (upstream->count < UPSTREAM_TARGETS_MAX)
		upstream->targets[upstream->count++] = *target;
}

static size_t
count_behind(const struct upstream *upstream, size_t address)
{
	size_t count = 0;

	for (size_t i = 0; i < upstream->count; i++)
		count += upstream->targets[i].address > address;
	return count;
}

/* Those of an address, as they were if they were. A name that stands for many
 * leaves the room that others have. */
static void
put_list(struct upstream *upstream, const struct upstream *before,
	 size_t address, const struct ip *list, size_t count)
{
	size_t most = UPSTREAM_TARGETS_MAX - count_behind(before, address);

	for (size_t i = 0; i < count && upstream->count < most; i++) {
		const struct upstream_target *known =
			find_ip(before, address, &list[i]);

		if (find_ip(upstream, address, &list[i]) != NULL)
			continue; /* given twice */
		if (known != NULL)
			keep(upstream, known);
		else
			add(upstream, address, &list[i]);
	}
}

/* Whether each target of one is a target of the other. */
static bool
is_within(const struct upstream *one, const struct upstream *other)
{
	for (size_t i = 0; i < one->count; i++)
		if (find_ip(other, one->targets[i].address,
			    &one->targets[i].ip) == NULL)
			return false;
	return true;
}

bool
upstream_resolved(struct upstream *upstream, size_t address,
		  const struct ip *list, size_t count)
{
	struct upstream before = *upstream;
	size_t i = 0;

	/* The order stays that of the file. */
	upstream->count = 0;
	for (; i < before.count && before.targets[i].address < address; i++)
		keep(upstream, &before.targets[i]);
	put_list(upstream, &before, address, list, count);
	for (; i < before.count; i++)
		if (before.targets[i].address > address)
			keep(upstream, &before.targets[i]);
	return !is_within(&before, upstream) || !is_within(upstream, &before);
}

/* --- picking ---------------------------------------------------------------
 */

static bool
is_up(const struct upstream_target *target, uint64_t now_us)
{
	return target->failures == 0 || target->down_until_us <= now_us;
}

/* An original destination has the client's own family. */
static bool
is_of(const struct upstream_target *target, enum ip_family family)
{
	return family == IP_NONE || is_original(target) ||
	       target->ip.family == family;
}

/* Tried already, or of the wrong family. */
static bool
is_out(const struct upstream_attempt *attempt,
       const struct upstream_target *target)
{
	for (unsigned i = 0; i < attempt->count; i++)
		if (attempt->ids[i] == target->id)
			return true;
	return !is_of(target, attempt->family);
}

/* Of all that may be picked now: how good, how many, and their weights. */
struct choice {
	bool is_up;
	unsigned priority;
	size_t count;
	uint64_t weight;
};

static bool
is_chosen(const struct upstream_target *target, const struct choice *choice,
	  const struct upstream_attempt *attempt, uint64_t now_us)
{
	return !is_out(attempt, target) &&
	       target->priority == choice->priority &&
	       is_up(target, now_us) == choice->is_up;
}

static struct choice
choose(const struct upstream *upstream, const struct upstream_attempt *attempt,
       uint64_t now_us)
{
	struct choice choice = { 0 };

	for (size_t i = 0; i < upstream->count; i++) {
		const struct upstream_target *target = &upstream->targets[i];
		bool up = is_up(target, now_us);

		if (is_out(attempt, target))
			continue;
		if (choice.count == 0 || (up && !choice.is_up) ||
		    (up == choice.is_up && target->priority < choice.priority))
			choice = (struct choice){ up, target->priority, 0, 0 };
		if (up != choice.is_up || target->priority != choice.priority)
			continue;
		choice.count++;
		choice.weight += target->weight;
	}
	return choice;
}

static uint64_t
delay_us(const struct upstream *upstream, unsigned failures)
{
	uint64_t times = 1;

	while (--failures > 0 && times < UPSTREAM_DELAYS_MAX)
		times *= 2;
	return upstream->conf->retry_us * times;
}

/* How long a trial is waited for: a connection may take that long. */
static uint64_t
trial_us(const struct upstream *upstream, const struct upstream_target *target)
{
	uint64_t us = delay_us(upstream, target->failures);

	return us > upstream->conf->connect_us_max
		       ? us
		       : upstream->conf->connect_us_max;
}

/* One session at a time finds out whether it is up again. */
static void
begin_trial(struct upstream *upstream, struct upstream_target *target,
	    uint64_t now_us)
{
	if (target->failures == 0 || target->down_until_us > now_us)
		return;
	target->is_on_trial = true;
	target->down_until_us = now_us + trial_us(upstream, target);
}

const struct upstream_target *
upstream_pick(struct upstream *upstream, struct upstream_attempt *attempt,
	      uint64_t now_us, const struct upstream_dice *dice)
{
	struct choice choice = choose(upstream, attempt, now_us);
	uint64_t left = 0;

	if (choice.count == 0 || attempt->count == UPSTREAM_TRIES_MAX)
		return NULL;
	if (choice.count > 1 && dice->draw != NULL)
		left = dice->draw(dice->from) * choice.weight >> 32;
	for (size_t i = 0; i < upstream->count; i++) {
		struct upstream_target *target = &upstream->targets[i];

		if (!is_chosen(target, &choice, attempt, now_us))
			continue;
		if (left >= target->weight) {
			left -= target->weight;
			continue;
		}
		attempt->ids[attempt->count++] = target->id;
		begin_trial(upstream, target, now_us);
		return target;
	}
	return NULL;
}

bool
upstream_has_more(const struct upstream *upstream,
		  const struct upstream_attempt *attempt)
{
	for (size_t i = 0; i < upstream->count; i++)
		if (!is_out(attempt, &upstream->targets[i]))
			return attempt->count < UPSTREAM_TRIES_MAX;
	return false;
}

bool
upstream_has_family(const struct upstream *upstream, enum ip_family family)
{
	for (size_t i = 0; i < upstream->count; i++)
		if (is_of(&upstream->targets[i], family))
			return true;
	return false;
}

/* --- health ----------------------------------------------------------------
 */

static struct upstream_target *
find_id(struct upstream *upstream, unsigned id)
{
	for (size_t i = 0; i < upstream->count; i++)
		if (upstream->targets[i].id == id)
			return &upstream->targets[i];
	return NULL;
}

/* Many sessions may come to grief at once: that is one failure. */
bool
upstream_failed(struct upstream *upstream, unsigned id, uint64_t now_us)
{
	struct upstream_target *target = find_id(upstream, id);

	if (target == NULL || is_original(target))
		return false;
	if (target->failures > 0 && !target->is_on_trial &&
	    target->down_until_us > now_us)
		return false;
	target->is_on_trial = false;
	if (target->failures < UPSTREAM_DELAYS_MAX)
		target->failures++;
	target->down_until_us = now_us + delay_us(upstream, target->failures);
	return target->failures == 1;
}

bool
upstream_succeeded(struct upstream *upstream, unsigned id)
{
	struct upstream_target *target = find_id(upstream, id);
	bool was_down = target != NULL && target->failures > 0;

	if (target != NULL) {
		target->failures = 0;
		target->is_on_trial = false;
	}
	return was_down;
}

size_t
upstream_count_down(const struct upstream *upstream)
{
	size_t count = 0;

	for (size_t i = 0; i < upstream->count; i++)
		count += upstream->targets[i].failures > 0;
	return count;
}
