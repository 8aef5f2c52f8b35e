/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/sim/world.h"

#include "tests/replay/places.h"

#include <stdio.h>

#define SECOND UINT64_C(1000000)

/* Sessions of a sender: with faults, then calm ones. In these each recipient
 * finds its end but those that are told to come again for ever. */
#define UNLUCKY_MAX 6
#define CALM_MAX 8

/* Misfortunes seldom come alone: how much more often, and how long. */
#define TROUBLE 5
#define TROUBLE_STEPS 30

#define STEPS_MAX 60000
#define SMALL_MAX 3000
#define SESSION_US_MAX (10 * 86400 * SECOND)
#define STALL_US_MAX (1200 * SECOND)

static const struct {
	unsigned share;
	const char *text;
} faults[FAULT_COUNT] = {
#define FAULT(name, share, text) [FAULT_##name] = { share, text },
#include "tests/sim/fault.def"
};

const char *
fault_text(enum fault fault)
{
	return faults[fault].text;
}

const char *
feature_text(enum feature feature)
{
	static const char *const texts[FEATURE_COUNT] = {
#define FEATURE(name, text) [FEATURE_##name] = (text),
#include "tests/sim/feature.def"
	};

	return texts[feature];
}

void
world_use(struct world *world, enum feature feature)
{
	world->features[feature] = true;
}

unsigned
world_below(struct world *world, unsigned n)
{
	return (unsigned)(stage_draw(&world->stage) % n);
}

bool
world_fault(struct world *world, enum fault fault)
{
	unsigned share = faults[fault].share;
	unsigned luck = world->luck;

	if (world->steps < world->troubled_until)
		luck *= TROUBLE;
	if (luck == 0 ||
	    (share == 0 ? world_below(world, 4) == 0
			: world_below(world, 1000 * share) >= luck))
		return false;
	world->troubled_until = world->steps + TROUBLE_STEPS;
	world->tally->faults[fault]++;
	stage_note(&world->stage, "! %s", faults[fault].text);
	return true;
}

/* Short and long times alike: each half as long as the next. */
void
world_sleep(struct world *world, uint64_t *wakes_us, uint64_t us_max)
{
	uint64_t us = (us_max >> world_below(world, 24)) + 1;

	*wakes_us = world->stage.now_us + stage_draw(&world->stage) % us + 1;
}

/* --- what goes wrong at the gate --- */

static bool
has_begun(bool *is_under_way, bool is_now)
{
	bool has_begun = is_now && !*is_under_way;

	*is_under_way = is_now;
	return has_begun;
}

/* The luck of what the session has just asked of disk and spool. */
static void
draw_luck(struct world *world)
{
	struct stage *stage = &world->stage;
	bool is_new = has_begun(&world->is_writing, stage->writing.is_out);

	if (is_new)
		stage->is_disk_full = world_fault(world, FAULT_DISK_FULL);
	if (has_begun(&world->is_reading, stage->is_reading)) {
		stage->is_disk_broken = world_fault(world, FAULT_DISK_BROKEN);
		is_new = true;
	}
	if (is_new && world_fault(world, FAULT_DISK_SLOW)) {
		stage->writing.is_held = true;
		world_sleep(world, &world->disk_us, STALL_US_MAX);
	}
	if (!has_begun(&world->is_spooling, stage->spooling.is_out))
		return;
	stage->does_spool_fail = world_fault(world, FAULT_SPOOL_FULL);
	if (world_fault(world, FAULT_SPOOL_SLOW)) {
		stage->spooling.is_held = true;
		world_sleep(world, &world->spool_us, STALL_US_MAX);
	}
}

/* Whoever took his time has done so. */
static void
wake(struct world *world)
{
	struct stage *stage = &world->stage;
	uint64_t now = stage->now_us;

	if (world->disk_us <= now)
		stage->writing.is_held = false;
	if (world->spool_us <= now)
		stage->spooling.is_held = false;
	if (world->dns_us <= now)
		stage->is_dns_held = stage->is_dns_broken = false;
	if (world->client_us <= now)
		stage->party[SIDE_CLIENT].is_stalled = false;
}

static void
trouble_dns(struct world *world)
{
	struct stage *stage = &world->stage;

	if (stage->question_count == 0 || world->dns_us > stage->now_us)
		return;
	stage->is_dns_broken = world_fault(world, FAULT_DNS_BROKEN);
	stage->is_dns_held = world_fault(world, FAULT_DNS_HANGS);
	if (stage->is_dns_broken || stage->is_dns_held)
		world_sleep(world, &world->dns_us, STALL_US_MAX);
}

static void
kill_worker(struct world *world)
{
	struct stage *stage = &world->stage;

	world->tally->killed++;
	world->tally->unwritten += stage->is_line_due;
	/* What it had said may still arrive. */
	world->sender.is_deaf |= world_below(world, 2) == 0;
	for (enum session_side side = SIDE_BACKEND; side < SIDE_COUNT; side++)
		if (stage->party[side].has_place)
			world_use(world, FEATURE_PLACE_KILLED);
	stage_kill(stage);
	target_restart(world);
	world_leave(world, true);
}

static void
jump(struct world *world)
{
	struct stage *stage = &world->stage;
	uint64_t deadline = session_deadline(stage->session);

	if (deadline > stage->now_us)
		stage_pass(stage, deadline + world_below(world, 1000));
}

/* Of the gate and its host. */
static void
misbehave(struct world *world)
{
	struct stage *stage = &world->stage;

	trouble_dns(world);
	if (world_has_ceilings(world) && world_one_in(world, 100))
		target_crowd(world);
	if (stage->party[SIDE_CLIENT].is_sending &&
	    !stage->party[SIDE_CLIENT].is_stalled &&
	    world_fault(world, FAULT_CLIENT_STALLS)) {
		stage->party[SIDE_CLIENT].is_stalled = true;
		world_sleep(world, &world->client_us, STALL_US_MAX);
	}
	if (!world->is_drained && world_fault(world, FAULT_DRAIN)) {
		world->is_drained = true;
		stage_drain(stage);
	} else if (world_fault(world, FAULT_TIME_JUMPS)) {
		jump(world);
	} else if (world_fault(world, FAULT_KILL)) {
		kill_worker(world);
	}
}

/* --- one session --- */

static bool
move_somebody(struct world *world)
{
	unsigned first = world_below(world, 4);

	for (unsigned i = 0; i < 4; i++) {
		bool has_moved = false;

		switch ((first + i) % 4) {
		case 0:
			has_moved = stage_move(&world->stage);
			break;
		case 1:
			has_moved = sender_step(world);
			break;
		case 2:
			has_moved = mta_step(world, SIDE_BACKEND);
			break;
		default:
			has_moved = mta_step(world, SIDE_DIVERT);
			break;
		}
		if (has_moved || world->stage.session == NULL)
			return true;
	}
	return false;
}

static uint64_t
sooner(uint64_t a, uint64_t b, uint64_t now)
{
	if (a <= now)
		return b;
	return b <= now || a < b ? a : b;
}

/* Nobody can move: until somebody wakes, or the session's deadline. */
static void
pass_time(struct world *world)
{
	struct stage *stage = &world->stage;
	uint64_t now = stage->now_us, next = world->sender.wakes_us;
	uint64_t deadline = session_deadline(stage->session);

	stage_expect_deadline(stage);
	next = sooner(next, world->mta[SIDE_BACKEND].wakes_us, now);
	next = sooner(next, world->mta[SIDE_DIVERT].wakes_us, now);
	next = sooner(next, world->disk_us, now);
	next = sooner(next, world->spool_us, now);
	next = sooner(next, world->dns_us, now);
	next = sooner(next, world->client_us, now);
	if (deadline != 0 && deadline <= now) {
		stage_fail(stage, "a deadline has passed, and stays");
		return;
	}
	next = sooner(next, deadline, now);
	if (next <= now)
		stage_fail(stage, "nobody will ever move again");
	else
		stage_pass(stage, next);
}

/* Which limit it has come to, if any. */
static void
look_for_limits(struct world *world)
{
	static const struct {
		const char *reason;
		enum feature feature;
	} limits[] = {
		{ "message-rate", FEATURE_LIMIT_RATE },
		{ "memory", FEATURE_LIMIT_MEMORY },
		{ "errors", FEATURE_LIMIT_ERRORS },
		{ "unknown-commands", FEATURE_LIMIT_UNKNOWN },
		{ "junk-commands", FEATURE_LIMIT_JUNK },
		{ "refused-recipients", FEATURE_LIMIT_REFUSED },
		{ "messages", FEATURE_LIMIT_MESSAGES },
	};
	char *limited = world->stage.limited;

	if (limited[0] == '\0')
		return;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (strstr(limited, limits[i].reason) != NULL)
			world_use(world, limits[i].feature);
	limited[0] = '\0';
}

/* What has become of the connections, by what was just done. */
static void
look(struct world *world)
{
	for (enum session_side side = SIDE_BACKEND; side < SIDE_COUNT; side++) {
		mta_look(world, side);
		mta_tls_look(world, side);
	}
	sender_tls_look(world);
	look_for_limits(world);
	if (world->stage.places.refusals > world->refusals) {
		world->refusals = world->stage.places.refusals;
		world->was_full = true;
		world_use(world, FEATURE_PLACE_REFUSED);
	}
}

static void
step(struct world *world)
{
	struct stage *stage = &world->stage;

	world->steps++;
	draw_luck(world);
	misbehave(world);
	wake(world);
	if (stage->session == NULL || stage_has_failed(stage))
		return;
	look(world);
	if (world_below(world, 64) == 0)
		stage_pass(stage, stage->now_us + world_below(world, 200000));
	else if (!move_somebody(world))
		pass_time(world);
}

/* Until the session ends. */
static void
run_session(struct world *world, FILE *out)
{
	struct stage *stage = &world->stage;

	while (stage->session != NULL && !stage_has_failed(stage)) {
		step(world);
		look(world);
		if (world->steps > STEPS_MAX)
			stage_fail(stage, "the session does not end: %u steps",
				   world->steps);
		if (stage->now_us - world->started_us > SESSION_US_MAX)
			stage_fail(stage, "the session does not end: ten days");
		if (out == NULL)
			continue;
		fwrite(buf_span(&stage->transcript).p, 1, stage->transcript.n,
		       out);
		fflush(out);
		buf_reset(&stage->transcript);
	}
}

static unsigned
draw_session_luck(struct world *world)
{
	static const unsigned lucks[] = { 0, 8, 8, 8, 30, 30, 30, 120 };

	return lucks[world_below(world, 8)];
}

/* One that is not sent octet by octet. */
static bool
has_large_post(const struct world *world)
{
	for (unsigned i = 0; i < world->post_count; i++)
		if (world->posts[i].wire.n > SMALL_MAX)
			return true;
	return false;
}

/* Nothing of the last session is left but the calendar. */
static void
start_session(struct world *world, bool is_calm)
{
	static const size_t pieces[] = { 1, 7, 60, 700, SESSION_OCTETS_MAX };
	struct stage *stage = &world->stage;
	unsigned how = world_below(world, 40);

	world->luck = is_calm ? 0 : draw_session_luck(world);
	/* There was time between the sessions: a worker that could not write
	 * tries again each second. */
	if (world->luck == 0)
		stage->is_spool_full = false;
	world->is_drained = world->was_full = false;
	memset(world->features, 0, sizeof(world->features));
	world->is_writing = world->is_reading = world->is_spooling = false;
	world->disk_us = world->spool_us = world->dns_us = world->client_us = 0;
	world->steps = world->troubled_until = 0;
	while (how < 2 && has_large_post(world))
		how = world_below(world, 40);
	for (enum session_side side = 0; side < SIDE_COUNT; side++) {
		stage->party[side].is_stalled = false;
		stage->party[side].is_hanging = false;
		stage->party[side].has_ended = false;
		stage->party[side].refusals = 0;
		world->mta[side].failed_at = 0;
	}
	stage->is_disk_full = stage->is_disk_broken = false;
	stage->piece_max = how == 0   ? pieces[0]
			   : how == 1 ? pieces[1]
				      : pieces[2 + how % 3];
	world->started_us = stage->now_us;
	target_draw(world);
	sender_start(world);
	stage->limited[0] = '\0';
	if (!world_enter(world))
		return;
	stage_start(stage);
	look(world);
}

static void
end_session(struct world *world)
{
	struct tally *tally = world->tally;

	tally->sessions++;
	tally->steps += world->steps;
	mta_look(world, SIDE_BACKEND);
	mta_look(world, SIDE_DIVERT);
	sender_hear_rest(world);
	places_end_all(&world->stage);
	places_check(&world->stage);
	world_leave(world, false);
	for (unsigned i = 0; i < FEATURE_COUNT; i++)
		tally->features[i] += world->features[i];
	world->stage.now_us += 600 * SECOND;
}

/* --- one life --- */

static unsigned
below(void *dice, unsigned n)
{
	return world_below(dice, n);
}

static void
make_posts(struct world *world)
{
	struct post_dice dice = { .below = below, .dice = world };

	world->post_count = 1 + world_below(world, WORLD_POSTS_MAX);
	for (unsigned i = 0; i < world->post_count; i++)
		post_make(&world->posts[i], world->scenario->props.conf, &dice);
}

/* What each backend offers when all is well, and what the gate knows of it. */
static void
make_offers(struct world *world)
{
	const struct conf *conf = world->scenario->props.conf;
	const unsigned below = EXTENSION_BIT(EXTENSION_LIMITS) - 1;

	for (size_t i = 0; i < conf->backend_count; i++) {
		unsigned bits = (unsigned)stage_draw(&world->stage);

		bits |= (unsigned)stage_draw(&world->stage);
		/* No backend here says LIMITS; nothing is drawn for it. */
		bits = (bits & below) | (bits & ~below) << 1;
		if (i == conf->quarantine.backend)
			bits |= EXTENSION_BIT(EXTENSION_8BITMIME) |
				EXTENSION_BIT(EXTENSION_BINARYMIME) |
				EXTENSION_BIT(EXTENSION_CHUNKING) |
				EXTENSION_BIT(EXTENSION_SMTPUTF8);
		bits &= EXTENSION_BIT(EXTENSION_XCLIENT) - 1;
		world->offers[i] = bits;
		world->is_lax[i] = world_below(world, 2) == 0;
		bits = mta_tls_draw(world, i, bits);
		world->stage.probed[i] = (struct ehlo){
			.extensions = bits,
			.size_max = 1000000,
		};
		if ((bits & EXTENSION_BIT(EXTENSION_CHUNKING)) == 0)
			world->stage.probed[i].extensions &=
				~EXTENSION_BIT(EXTENSION_BINARYMIME);
	}
}

/* Of the routes that it may have had, by how the client came, one is enough. */
static bool
may_wait(const struct world *world, const struct post *post,
	 const char *address)
{
	const struct conf *conf = world->scenario->props.conf;
	struct ip client;

	for (size_t i = 0; i < conf->listener_count; i++)
		for (unsigned k = 0; sender_address(k) != NULL; k++) {
			const struct conf_route *route;
			unsigned expected;

			ip_parse(span_cstr(sender_address(k)), &client);
			route = road_find(conf, &conf->listeners[i], &client,
					  address);
			expected = route == NULL
					   ? 5
					   : post_expected(post, conf, route);
			if (expected == 0 || expected == 4)
				return true;
		}
	return false;
}

static bool
waits_for_ever(const struct world *world, const struct post *post,
	       const struct post_recipient *recipient)
{
	return world_is_cramped(world) ||
	       span_starts(span_cstr(recipient->address), SPAN_LIT("busy")) ||
	       may_wait(world, post, recipient->address);
}

/* In calm sessions all finds its end. */
static void
check_end(struct world *world)
{
	for (unsigned i = 0; i < world->post_count; i++) {
		const struct post *post = &world->posts[i];

		for (unsigned k = 0; k < post->count; k++)
			if (post->recipients[k].fate == FATE_OPEN &&
			    !waits_for_ever(world, post, &post->recipients[k]))
				stage_fail(&world->stage,
					   "nothing is said to %s, though all "
					   "is calm",
					   post->recipients[k].address);
	}
}

static void
begin(struct world *world, const struct scenario *scenario, uint64_t seed,
      struct tally *tally, bool is_silent)
{
	stage_init(&world->stage, &scenario->props, CHUNK_RANDOM, seed);
	world->stage.is_simulated = true;
	world->stage.is_silent = is_silent;
	world->scenario = scenario;
	world->tally = tally;
	for (unsigned i = 0; i < WORLD_POSTS_MAX; i++)
		post_init(&world->posts[i]);
	mta_init(world);
	world->refusals = 0;
	world->door = (struct world_door){ 0 };
	target_init(world);
	make_offers(world);
	make_posts(world);
	tally->lives++;
}

bool
world_live(struct world *world, const struct scenario *scenario, uint64_t seed,
	   struct tally *tally, void *out)
{
	unsigned sessions = UNLUCKY_MAX + CALM_MAX;

	begin(world, scenario, seed, tally, out == NULL);
	for (unsigned i = 0; i < sessions && sender_has_more(world) &&
			     !stage_has_failed(&world->stage);
	     i++) {
		world->session = i;
		start_session(world, i >= UNLUCKY_MAX);
		run_session(world, out);
		end_session(world);
	}
	tally->ends_of_data += world->stage.data_ends;
	if (!stage_has_failed(&world->stage)) {
		sender_settle(world);
		check_end(world);
	}
	return !stage_has_failed(&world->stage);
}

void
world_end(struct world *world)
{
	mta_fini(world);
	for (unsigned i = 0; i < WORLD_POSTS_MAX; i++)
		post_fini(&world->posts[i]);
	stage_fini(&world->stage);
}
