/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring_scene: a ring and timers that run together, for tests of what stands
 * on them.
 *
 * scene_run() turns the loop as a worker does, until a claim holds; a test
 * whose claim never comes true fails instead of hanging.
 */
#ifndef TESTS_UNIT_RING_SCENE_H
#define TESTS_UNIT_RING_SCENE_H

#include "proxy/clock.h"
#include "proxy/ring.h"
#include "proxy/timer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct ring_scene {
	struct ring *ring;
	struct timers timers;
};

static inline void
ring_scene_make(struct ring_scene *scene)
{
	const struct ring_size size = { 64, 16 };
	struct buf faults;

	*scene = (struct ring_scene){ 0 };
	buf_init(&faults, 4096);
	scene->ring = ring_new(&size, &faults);
	if (scene->ring == NULL)
		fail_msg("%.*s", (int)faults.n, (const char *)faults.p);
	buf_fini(&faults);
}

static inline void
ring_scene_end(struct ring_scene *scene)
{
	ring_free(scene->ring);
}

/* One turn, of at most most_us. */
static inline void
ring_scene_turn(struct ring_scene *scene, uint64_t most_us)
{
	uint64_t now_us = clock_monotonic_us();
	uint64_t next_us = timers_next(&scene->timers);
	uint64_t wait_us = most_us;

	if (next_us != 0 && next_us <= now_us)
		wait_us = 0;
	else if (next_us != 0 && next_us - now_us < wait_us)
		wait_us = next_us - now_us;
	assert_int_equal(ring_run_once(scene->ring, wait_us), 0);
	timers_fire(&scene->timers, clock_monotonic_us());
}

/* Turns until *count is at least wanted, for ten seconds at most. */
static inline void
ring_scene_until(struct ring_scene *scene, const unsigned *count,
		 unsigned wanted)
{
	uint64_t end_us = clock_monotonic_us() + 10000000;

	while (*count < wanted) {
		assert_true(clock_monotonic_us() < end_us);
		ring_scene_turn(scene, 20000);
	}
}

/* Turns for a time. */
static inline void
ring_scene_for(struct ring_scene *scene, uint64_t us)
{
	uint64_t end_us = clock_monotonic_us() + us;

	while (clock_monotonic_us() < end_us)
		ring_scene_turn(scene, 10000);
}

#endif
