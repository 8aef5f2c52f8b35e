/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * generation: the workers of one configuration.
 */
#include "proxy/generation.h"

#include "proxy/clock.h"
#include "proxy/keeper.h"
#include "proxy/log.h"
#include "proxy/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that lived shorter died of something that will happen again. */
#define LIFE_US_MIN 10000000
#define RESPAWN_US_MIN 100000
#define RESPAWN_US_MAX 30000000

/* So many short lives in a row are a loop, and said to be one. */
#define LOOP_LIVES 3

/* For all workers to serve. */
#define START_US_MAX 30000000

/* Beyond drain-timeout, for workers that do not end. */
#define GRACE_US 10000000

/* Between two attempts to kill what does not end. */
#define KILL_US 1000000

static unsigned
count_workers(const struct conf *conf)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	if (conf->workers > 0)
		return conf->workers;
	return online > 0 ? (unsigned)online : 1;
}

/* What only this generation has, but for what resources.h is about. */
static bool
equip(struct generation *generation, struct buf *faults)
{
	size_t most = worker_connections_max(generation->conf) + 1 +
		      generation->conf->backend_count;
	unsigned workers = generation->workers;

	generation->slots = calloc(workers, sizeof(struct slot));
	generation->limit = limit_new(workers, most);
	generation->stats = stats_new(workers);
	if (generation->slots != NULL && generation->limit != NULL &&
	    generation->stats != NULL &&
	    pipe2(generation->ready, O_CLOEXEC | O_NONBLOCK) == 0)
		return true;
	buf_printf(faults, "cannot make shared memory and a pipe: %s\n",
		   strerror(errno));
	return false;
}

struct generation *
generation_new(unsigned number, struct conf *conf,
	       struct generation_family *family, struct buf *faults)
{
	struct generation *generation = calloc(1, sizeof(*generation));

	if (generation == NULL) {
		buf_append(faults, SPAN_LIT("out of memory\n"));
		conf_free(conf);
		return NULL;
	}
	generation->number = number;
	generation->conf = conf;
	generation->family = family;
	generation->workers = count_workers(conf);
	generation->ready[0] = generation->ready[1] = -1;
	if (resources_open(&generation->resources, conf, &family->listeners,
			   faults) &&
	    equip(generation, faults)) {
		if (family->newest != NULL)
			keyring_adopt(&generation->resources.keyring,
				      &family->newest->resources.keyring);
		return generation;
	}
	generation_free(generation);
	return NULL;
}

static void
close_ready(struct generation *generation, unsigned end)
{
	if (generation->ready[end] >= 0)
		close(generation->ready[end]);
	generation->ready[end] = -1;
}

static void
close_all(struct generation *generation)
{
	close_ready(generation, 0);
	close_ready(generation, 1);
	resources_close_directories(&generation->resources);
}

void
generation_free(struct generation *generation)
{
	close_all(generation);
	if (generation->stats != NULL)
		stats_free(generation->stats, generation->workers);
	if (generation->limit != NULL)
		limit_free(generation->limit);
	free(generation->slots);
	resources_close(&generation->resources);
	conf_free(generation->conf);
	free(generation);
}

/* --- forking ----------------------------------------------------------------
 */

/* In the child. What it does not need it must not hold: the master's end of
 * the pipe would keep it from seeing the master die, a listener that is not
 * its own would take connections that nobody accepts, and directories of other
 * generations could not be unmounted. */
static bool
leave(struct generation *generation)
{
	struct generation_family *family = generation->family;
	struct buf faults;
	bool is_done;

	close(family->life[1]);
	close(family->signals);
	for (struct generation *each = family->newest; each != NULL;
	     each = each->next)
		if (each != generation)
			close_all(each);
	close_ready(generation, 0);
	listeners_settle(&family->listeners, generation->conf);
	buf_init(&faults, LOG_LINE_MAX);
	is_done = privilege_drop(&generation->resources.privilege, &faults);
	if (!is_done)
		log_event(EVENT_START_FAILED,
			  span_first(buf_span(&faults), faults.n - 1));
	buf_fini(&faults);
	return is_done;
}

static int
run_worker(struct generation *generation, unsigned number)
{
	struct worker_setup setup = {
		.number = number,
		.conf = generation->conf,
		.rules = &generation->resources.rules.settings,
		.zone = generation->resources.zone,
		.keyring = &generation->resources.keyring,
		.listeners = generation->resources.listeners,
		.limit = generation->limit,
		.stats = &generation->stats[number],
		.spool = generation->resources.spool,
		.bodies = generation->resources.bodies,
		.life = generation->family->life[0],
		.ready = generation->ready[1],
	};

	char name[16]; /* as long as ps shows it */

	snprintf(name, sizeof(name), "dmarcgate-w%u", number);
	prctl(PR_SET_NAME, name, 0, 0, 0);
	return leave(generation) ? worker_run(&setup) : EXIT_FAILURE;
}

static int
run_keeper(struct generation *generation)
{
	struct keeper_setup setup = {
		.conf = generation->conf,
		.spool = generation->resources.spool,
		.life = generation->family->life[0],
	};

	prctl(PR_SET_NAME, "dmarcgate-keep", 0, 0, 0);
	tickets_forget(generation->resources.keyring.tickets);
	/* It connects to nobody. */
	generation->resources.privilege.keeps_raw = false;
	if (!leave(generation))
		return EXIT_FAILURE;
	close_ready(generation, 1);
	listeners_close(&generation->family->listeners);
	return keeper_run(&setup);
}

static const char *
role_of(const struct generation *generation, const struct slot *slot)
{
	return slot == &generation->keeper ? "keeper" : "worker";
}

static unsigned
number_of(const struct generation *generation, const struct slot *slot)
{
	return slot == &generation->keeper
		       ? 0
		       : (unsigned)(slot - generation->slots);
}

static uint64_t
respawn_delay(const struct slot *slot)
{
	uint64_t us = RESPAWN_US_MIN;

	if (slot->failures == 0)
		return 0;
	for (unsigned i = 1; i < slot->failures && us < RESPAWN_US_MAX; i++)
		us *= 2;
	return us < RESPAWN_US_MAX ? us : RESPAWN_US_MAX;
}

static void
plan_next(const struct generation *generation, struct slot *slot)
{
	uint64_t now_us = clock_monotonic_us();
	uint64_t delay_us;

	if (now_us - slot->started_us < LIFE_US_MIN)
		slot->failures++;
	else
		slot->failures = 0;
	delay_us = respawn_delay(slot);
	slot->respawn_us = now_us + delay_us;
	if (slot->failures >= LOOP_LIVES)
		log_printf(EVENT_WORKER_LOOPS, "%s=%u lives=%u next-in=%llums",
			   role_of(generation, slot),
			   number_of(generation, slot), slot->failures,
			   (unsigned long long)(delay_us / 1000));
}

/* A process has ended, or there was none. */
static void
after_end(struct generation *generation, struct slot *slot)
{
	if (generation->state == GENERATION_SERVING)
		plan_next(generation, slot);
	if (generation->state == GENERATION_STARTING)
		generation->has_failed = true;
}

static void
spawn(struct generation *generation, struct slot *slot)
{
	pid_t pid = fork();

	slot->respawn_us = 0;
	slot->started_us = clock_monotonic_us();
	if (pid < 0) {
		log_printf(EVENT_WORKER_DIED, "%s=%u call=fork error=\"%s\"",
			   role_of(generation, slot),
			   number_of(generation, slot), strerror(errno));
		after_end(generation, slot);
		return;
	}
	if (pid == 0)
		exit(slot == &generation->keeper
			     ? run_keeper(generation)
			     : run_worker(generation,
					  number_of(generation, slot)));
	slot->pid = pid;
}

void
generation_start(struct generation *generation)
{
	generation->late_us = clock_monotonic_us() + START_US_MAX;
	for (unsigned i = 0; i < generation->workers; i++)
		spawn(generation, &generation->slots[i]);
}

void
generation_keep(struct generation *generation)
{
	spawn(generation, &generation->keeper);
}

/* --- the end of a process ---------------------------------------------------
 */

static void
log_death(const struct generation *generation, const struct slot *slot,
	  pid_t pid, int status)
{
	bool is_signal = WIFSIGNALED(status);

	log_printf(EVENT_WORKER_DIED, "%s=%u pid=%ld generation=%u %s=%d",
		   role_of(generation, slot), number_of(generation, slot),
		   (long)pid, generation->number,
		   is_signal ? "signal" : "status",
		   is_signal ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* Whether a process that ended was expected to. */
static bool
was_told(const struct generation *generation, int status)
{
	return generation->state == GENERATION_DRAINING && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static void
bury(struct generation *generation, struct slot *slot, int status)
{
	pid_t pid = slot->pid;

	slot->pid = 0;
	if (!was_told(generation, status))
		log_death(generation, slot, pid, status);
	after_end(generation, slot);
}

bool
generation_bury(struct generation *generation, pid_t pid, int status)
{
	if (generation->keeper.pid == pid) {
		bury(generation, &generation->keeper, status);
		return true;
	}
	for (unsigned i = 0; i < generation->workers; i++) {
		if (generation->slots[i].pid != pid)
			continue;
		/* What it had in shared memory is gone with it. */
		limit_clear(generation->limit, i);
		stats_clear(&generation->stats[i]);
		bury(generation, &generation->slots[i], status);
		return true;
	}
	return false;
}

/* --- telling and tending ----------------------------------------------------
 */

static bool
has_workers(const struct generation *generation)
{
	for (unsigned i = 0; i < generation->workers; i++)
		if (generation->slots[i].pid > 0)
			return true;
	return false;
}

static void
signal_workers(const struct generation *generation, int number)
{
	for (unsigned i = 0; i < generation->workers; i++)
		if (generation->slots[i].pid > 0)
			kill(generation->slots[i].pid, number);
}

void
generation_signal(const struct generation *generation, int number)
{
	signal_workers(generation, number);
	if (generation->keeper.pid > 0)
		kill(generation->keeper.pid, number);
}

void
generation_drain(struct generation *generation)
{
	signal_workers(generation, SIGTERM);
	if (generation->state == GENERATION_DRAINING)
		return;
	generation->state = GENERATION_DRAINING;
	generation->late_us = clock_monotonic_us() +
			      generation->conf->drain_us_max + GRACE_US;
}

void
generation_retire_keeper(struct generation *generation)
{
	if (generation->keeper.pid > 0)
		kill(generation->keeper.pid, SIGTERM);
}

bool
generation_is_over(const struct generation *generation)
{
	return generation->state == GENERATION_DRAINING &&
	       !has_workers(generation) && generation->keeper.pid == 0;
}

/* They do not end by themselves. */
static void
cut_off(struct generation *generation)
{
	generation_signal(generation, SIGKILL);
	generation->late_us = clock_monotonic_us() + KILL_US;
}

static void
take_ready(struct generation *generation)
{
	char octets[64];
	ssize_t n;

	while ((n = read(generation->ready[0], octets, sizeof(octets))) > 0)
		generation->ready_count += (unsigned)n;
	if (generation->state == GENERATION_STARTING &&
	    !generation->has_failed &&
	    generation->ready_count >= generation->workers)
		generation->state = GENERATION_SERVING;
}

static void
respawn(struct generation *generation, struct slot *slot)
{
	if (slot->pid == 0 && slot->respawn_us != 0 &&
	    slot->respawn_us <= clock_monotonic_us())
		spawn(generation, slot);
}

static void
tend_serving(struct generation *generation)
{
	for (unsigned i = 0; i < generation->workers; i++)
		respawn(generation, &generation->slots[i]);
	respawn(generation, &generation->keeper);
}

void
generation_tend(struct generation *generation)
{
	bool is_late = clock_monotonic_us() > generation->late_us;

	take_ready(generation);
	tickets_turn(generation->resources.keyring.tickets);
	switch (generation->state) {
	case GENERATION_STARTING:
		generation->has_failed |= is_late;
		return;
	case GENERATION_SERVING:
		tend_serving(generation);
		return;
	case GENERATION_DRAINING:
		if (is_late)
			cut_off(generation);
		else if (!has_workers(generation))
			generation_retire_keeper(generation);
		return;
	}
}

static uint64_t
earlier_respawn(const struct slot *slot, uint64_t due_us)
{
	return slot->respawn_us != 0 && slot->respawn_us < due_us
		       ? slot->respawn_us
		       : due_us;
}

uint64_t
generation_due(const struct generation *generation)
{
	uint64_t due_us = UINT64_MAX;

	if (generation->state != GENERATION_SERVING)
		return generation->late_us;
	for (unsigned i = 0; i < generation->workers; i++)
		due_us = earlier_respawn(&generation->slots[i], due_us);
	return earlier_respawn(&generation->keeper, due_us);
}
