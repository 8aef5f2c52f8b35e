/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * master: prepares everything, forks the workers, and watches them.
 */
#include "proxy/master.h"

#include "proxy/clock.h"
#include "proxy/endpoint.h"
#include "proxy/generation.h"
#include "proxy/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAULTS_MAX 65536
#define TICK_US 1000000

/* Generations at a time. A reload beyond that waits for the oldest to end:
 * each has processes and memory of its own. */
#define GENERATIONS_MAX 16

enum master_state { MASTER_STARTING, MASTER_SERVING, MASTER_ENDING };

struct master {
	enum master_state state;
	struct generation_family family;
	struct generation *serving; /* one of them; NULL before the first */
	unsigned generations;       /* so far */
	char *file;                 /* of the configuration */
	bool is_reload_due;
	bool is_waiting; /* there are too many generations for it */
	int status;
};

/* --- what all generations share ---------------------------------------------
 */

/* Blocked before the first fork: none is lost, neither here nor there. */
static bool
take_signals(struct master *master, struct buf *faults)
{
	static const int taken[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD,
				     SIGUSR1 };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		sigaddset(&set, taken[i]);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &set, NULL) == 0)
		master->family.signals =
			signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (master->family.signals < 0)
		buf_printf(faults, "cannot take signals: %s\n",
			   strerror(errno));
	return master->family.signals >= 0;
}

static bool
open_family(struct master *master, struct buf *faults)
{
	if (pipe2(master->family.life, O_CLOEXEC) == 0)
		return take_signals(master, faults);
	buf_printf(faults, "cannot make a pipe: %s\n", strerror(errno));
	return false;
}

static void
close_family(struct generation_family *family)
{
	listeners_close(&family->listeners);
	for (unsigned i = 0; i < 2; i++)
		if (family->life[i] >= 0)
			close(family->life[i]);
	if (family->signals >= 0)
		close(family->signals);
}

/* --- generations ------------------------------------------------------------
 */

/* A generation at its start. False with at least one line in faults, and
 * nothing has changed. */
static bool
add_generation(struct master *master, struct conf *conf, struct buf *faults)
{
	struct generation *generation = generation_new(
		master->generations + 1, conf, &master->family, faults);

	if (generation == NULL) {
		listeners_revert(&master->family.listeners);
		return false;
	}
	master->generations++;
	generation->next = master->family.newest;
	master->family.newest = generation;
	return true;
}

static void
free_generations(struct master *master, bool is_all)
{
	struct generation **at = &master->family.newest;

	while (*at != NULL) {
		struct generation *generation = *at;

		if (!is_all && !generation_is_over(generation)) {
			at = &generation->next;
			continue;
		}
		*at = generation->next;
		if (master->serving == generation)
			master->serving = NULL;
		generation_free(generation);
	}
}

static void
say_listening(const struct generation *generation)
{
	for (size_t i = 0; i < generation->conf->listener_count; i++) {
		char text[ENDPOINT_TEXT_MAX];
		uint16_t port;
		struct ip ip;

		endpoint_local(generation->resources.listeners[i], &ip, &port);
		endpoint_format(&ip, port, text);
		log_printf(EVENT_LISTENING, "address=%s", text);
	}
}

/* --- reload -----------------------------------------------------------------
 */

/* Begin a new generation beside the one that serves. */
static void
reload(struct master *master)
{
	struct buf faults;
	struct conf *conf;

	master->is_reload_due = master->is_waiting = false;
	buf_init(&faults, FAULTS_MAX);
	conf = conf_read(master->file, CONF_GATE, &faults);
	if (conf == NULL) {
		log_lines(EVENT_RELOAD_REFUSED, "reason", &faults);
	} else {
		log_lines(EVENT_CONF_WARNING, "warning", &faults);
		buf_reset(&faults);
		if (add_generation(master, conf, &faults))
			generation_start(master->family.newest);
		else
			log_lines(EVENT_RELOAD_REFUSED, "reason", &faults);
	}
	buf_fini(&faults);
}

/* Whether there is room for one more generation; if not, it is said once. */
static bool
has_room(struct master *master)
{
	unsigned count = 0;

	for (const struct generation *each = master->family.newest;
	     each != NULL; each = each->next)
		count++;
	if (count < GENERATIONS_MAX)
		return true;
	if (!master->is_waiting)
		log_printf(EVENT_RELOAD_WAITS, "generations=%u", count);
	master->is_waiting = true;
	return false;
}

/* Whether one of them keeps the spool of the other. */
static bool
is_same_spool(const struct generation *a, const struct generation *b)
{
	return span_equal(a->conf->spool_directory, b->conf->spool_directory);
}

/* The newest generation serves: those before it make room. */
static void
take_over(struct master *master)
{
	struct generation *newest = master->family.newest;
	bool is_reload = master->serving != NULL;

	master->serving = newest;
	if (!listeners_adapt(&master->family.listeners, newest->conf))
		log_event(EVENT_CONF_WARNING,
			  SPAN_LIT("reason=\"a listener could not be made "
				   "transparent, or not\""));
	listeners_settle(&master->family.listeners, newest->conf);
	for (struct generation *old = newest->next; old != NULL;
	     old = old->next) {
		if (old->state != GENERATION_DRAINING)
			generation_drain(old);
		if (is_same_spool(old, newest))
			generation_retire_keeper(old);
	}
	generation_keep(newest);
	master->state = MASTER_SERVING;
	if (is_reload)
		log_printf(EVENT_RELOADED, "generation=%u workers=%u",
			   newest->number, newest->workers);
	say_listening(newest);
}

/* The newest cannot serve. Those of its workers that do may have taken
 * connections already: they drain. */
static void
give_up(struct master *master)
{
	struct generation *newest = master->family.newest;

	generation_drain(newest);
	if (master->serving == NULL) {
		master->state = MASTER_ENDING;
		master->status = EXIT_FAILURE;
		listeners_close(&master->family.listeners);
		log_printf(EVENT_START_FAILED,
			   "reason=\"a worker ended, or took too long\"");
		return;
	}
	listeners_revert(&master->family.listeners);
	log_printf(EVENT_RELOAD_REFUSED,
		   "generation=%u reason=\"its workers could not start\"",
		   newest->number);
}

static void
end(struct master *master)
{
	bool is_first = master->state != MASTER_ENDING;

	master->state = MASTER_ENDING;
	if (is_first) {
		log_printf(EVENT_DRAINING, "pid=%ld", (long)getpid());
		listeners_close(&master->family.listeners);
	}
	for (struct generation *each = master->family.newest; each != NULL;
	     each = each->next)
		if (!is_first || each->state != GENERATION_DRAINING)
			generation_drain(each);
}

/* --- signals ----------------------------------------------------------------
 */

static void
reap(struct master *master)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (struct generation *each = master->family.newest;
		     each != NULL; each = each->next)
			if (generation_bury(each, pid, status))
				break;
}

/* The others open it by themselves, as the user: so it has to be his. */
static void
reopen_log(struct master *master)
{
	const struct generation *serving = master->serving;

	if (serving != NULL)
		log_reopen(serving->resources.privilege.user,
			   serving->resources.privilege.group);
	for (struct generation *each = master->family.newest; each != NULL;
	     each = each->next)
		generation_signal(each, SIGUSR1);
}

static void
take_signal(struct master *master, unsigned number)
{
	switch (number) {
	case SIGCHLD:
		reap(master);
		return;
	case SIGUSR1:
		reopen_log(master);
		return;
	case SIGHUP:
		log_printf(EVENT_RELOAD, "pid=%ld", (long)getpid());
		master->is_reload_due = true;
		return;
	default: /* SIGTERM, SIGINT */
		end(master);
	}
}

static void
read_signals(struct master *master)
{
	struct signalfd_siginfo signal;

	while (read(master->family.signals, &signal, sizeof(signal)) ==
	       (ssize_t)sizeof(signal))
		take_signal(master, signal.ssi_signo);
}

/* --- the loop ---------------------------------------------------------------
 */

/* Until something is due, but no longer than a tick. */
static int
wait_ms(const struct master *master)
{
	uint64_t now_us = clock_monotonic_us();
	uint64_t until_us = now_us + TICK_US;

	for (const struct generation *each = master->family.newest;
	     each != NULL; each = each->next) {
		uint64_t due_us = generation_due(each);

		if (due_us < until_us)
			until_us = due_us < now_us ? now_us : due_us;
	}
	return (int)((until_us - now_us + 999) / 1000);
}

/* For signals, or for the workers of the generation that starts. */
static void
wait_for_news(const struct master *master)
{
	bool is_starting = master->family.newest != NULL &&
			   master->family.newest->state == GENERATION_STARTING;
	struct pollfd awaited[] = {
		{ .fd = master->family.signals, .events = POLLIN },
		{ .fd = is_starting ? master->family.newest->ready[0] : -1,
		  .events = POLLIN },
	};

	poll(awaited, 2, wait_ms(master));
}

/* What has become of the newest generation. */
static void
look_at_newest(struct master *master)
{
	struct generation *newest = master->family.newest;

	if (master->state == MASTER_ENDING || newest == NULL)
		return;
	if (newest->has_failed && newest->state == GENERATION_STARTING)
		give_up(master);
	else if (newest->state == GENERATION_SERVING &&
		 newest != master->serving)
		take_over(master);
	else if (master->is_reload_due && master->state == MASTER_SERVING &&
		 newest->state != GENERATION_STARTING && has_room(master))
		reload(master);
}

static void
serve(struct master *master)
{
	generation_start(master->family.newest);
	while (master->family.newest != NULL) {
		wait_for_news(master);
		read_signals(master);
		for (struct generation *each = master->family.newest;
		     each != NULL; each = each->next)
			generation_tend(each);
		look_at_newest(master);
		free_generations(master, false);
		log_flush();
	}
}

static bool
prepare(struct master *master, struct conf *conf)
{
	struct buf faults;
	bool is_ready;

	buf_init(&faults, FAULTS_MAX);
	is_ready = open_family(master, &faults);
	if (is_ready)
		is_ready = add_generation(master, conf, &faults) &&
			   privilege_narrow(&faults);
	else
		conf_free(conf);
	if (faults.n > 0)
		fwrite(buf_span(&faults).p, 1, faults.n, stderr);
	buf_fini(&faults);
	return is_ready;
}

static void
release(struct master *master)
{
	free_generations(master, true);
	close_family(&master->family);
	free(master->file);
}

int
master_run(struct conf *conf)
{
	struct master master = {
		.family = { .signals = -1, .life = { -1, -1 } },
		.file = calloc(1, conf->file.n + 1),
		.status = EXIT_SUCCESS,
	};

	if (master.file != NULL)
		memcpy(master.file, conf->file.p, conf->file.n);
	if (master.file != NULL && prepare(&master, conf)) {
		serve(&master);
		log_flush();
		log_printf(EVENT_STOPPED, "pid=%ld status=%d", (long)getpid(),
			   master.status);
	} else {
		master.status = EXIT_FAILURE;
	}
	release(&master);
	return master.status;
}
