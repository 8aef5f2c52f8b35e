/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * master: prepares everything, forks the workers, and watches them.
 */
#include "proxy/master.h"

#include "proxy/clock.h"
#include "proxy/endpoint.h"
#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/resources.h"
#include "proxy/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAULTS_MAX 65536

/* A worker that lived shorter died of something that will happen again. */
#define LIFE_US_MIN 10000000
#define RESPAWN_US_MIN 100000
#define RESPAWN_US_MAX 30000000

/* Beyond drain-timeout, for workers that do not end. */
#define GRACE_US 10000000
#define TICK_US 1000000

struct slot {
	pid_t pid; /* 0: none */
	uint64_t started_us;
	uint64_t respawn_us; /* when to fork the next one; 0: not */
	unsigned failures;   /* short lives in a row */
};

enum master_state { MASTER_STARTING, MASTER_SERVING, MASTER_DRAINING };

struct master {
	const struct conf *conf;
	enum master_state state;
	struct resources resources;
	int signals;
	struct limit *limit;
	struct stats *stats;
	struct slot *slots;
	unsigned workers;
	unsigned ready_count;
	uint64_t kill_us; /* when to stop waiting for workers */
	int status;
};

static bool
share(struct master *master, struct buf *faults)
{
	size_t most = worker_connections_max(master->conf) + 1;

	master->limit = limit_new(master->workers, most);
	master->stats = stats_new(master->workers);
	if (master->limit != NULL && master->stats != NULL)
		return true;
	buf_printf(faults, "cannot make shared memory: %s\n", strerror(errno));
	return false;
}

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
		master->signals =
			signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (master->signals < 0)
		buf_printf(faults, "cannot take signals: %s\n",
			   strerror(errno));
	return master->signals >= 0;
}

/* --- workers ----------------------------------------------------------------
 */

/* What a worker has no use for. */
static void
leave_master(struct master *master)
{
	close(master->resources.life[1]);
	close(master->resources.ready[0]);
	close(master->signals);
	master->resources.life[1] = master->resources.ready[0] = -1;
	master->signals = -1;
}

static void release(struct master *master);

static void
spawn(struct master *master, unsigned number)
{
	struct slot *slot = &master->slots[number];
	struct worker_setup setup = {
		.number = number,
		.conf = master->conf,
		.psl = master->resources.psl,
		.zone = master->resources.zone,
		.listeners = master->resources.listeners,
		.limit = master->limit,
		.stats = &master->stats[number],
		.spool = master->resources.spool,
		.bodies = master->resources.bodies,
		.life = master->resources.life[0],
		.ready = master->resources.ready[1],
	};
	pid_t pid = fork();

	slot->respawn_us = 0;
	slot->started_us = clock_monotonic_us();
	if (pid < 0) {
		log_printf(EVENT_WORKER_DIED,
			   "worker=%u call=fork error=\"%s\"", number,
			   strerror(errno));
		slot->respawn_us = slot->started_us + RESPAWN_US_MAX;
		return;
	}
	if (pid == 0) {
		int status;

		leave_master(master);
		status = worker_run(&setup);
		release(master);
		exit(status);
	}
	slot->pid = pid;
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
log_death(unsigned number, pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		log_printf(EVENT_WORKER_DIED, "worker=%u pid=%ld signal=%d",
			   number, (long)pid, WTERMSIG(status));
	else
		log_printf(EVENT_WORKER_DIED, "worker=%u pid=%ld status=%d",
			   number, (long)pid, WEXITSTATUS(status));
}

/* End: tell all workers; wait no longer than that. */
static void
signal_workers(const struct master *master, int number)
{
	for (unsigned i = 0; i < master->workers; i++)
		if (master->slots[i].pid > 0)
			kill(master->slots[i].pid, number);
}

static void
drain(struct master *master, int status)
{
	if (master->state == MASTER_DRAINING)
		return;
	master->state = MASTER_DRAINING;
	master->status = status;
	master->kill_us =
		clock_monotonic_us() + master->conf->drain_us_max + GRACE_US;
	log_printf(EVENT_DRAINING, "pid=%ld", (long)getpid());
	resources_close_listeners(&master->resources);
	signal_workers(master, SIGTERM);
}

/* A worker has ended. What it had in shared memory is gone with it. */
static void
bury(struct master *master, unsigned number, int status)
{
	struct slot *slot = &master->slots[number];
	uint64_t now_us = clock_monotonic_us();
	pid_t pid = slot->pid;

	slot->pid = 0;
	limit_clear(master->limit, number);
	stats_clear(&master->stats[number]);
	if (master->state == MASTER_DRAINING && status == 0)
		return;
	log_death(number, pid, status);
	if (master->state == MASTER_DRAINING)
		return;
	if (master->state == MASTER_STARTING) {
		drain(master, EXIT_FAILURE);
		return;
	}
	if (now_us - slot->started_us < LIFE_US_MIN)
		slot->failures++;
	else
		slot->failures = 0;
	slot->respawn_us = now_us + respawn_delay(slot);
}

static void
reap(struct master *master)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < master->workers; i++)
			if (master->slots[i].pid == pid)
				bury(master, i, status);
}

static void
respawn(struct master *master)
{
	uint64_t now_us = clock_monotonic_us();

	if (master->state == MASTER_DRAINING)
		return;
	for (unsigned i = 0; i < master->workers; i++) {
		const struct slot *slot = &master->slots[i];

		if (slot->pid == 0 && slot->respawn_us != 0 &&
		    slot->respawn_us <= now_us)
			spawn(master, i);
	}
}

/* --- the loop ---------------------------------------------------------------
 */

static void
say_listening(struct master *master)
{
	for (size_t i = 0; i < master->conf->listener_count; i++) {
		char text[ENDPOINT_TEXT_MAX];
		uint16_t port;
		struct ip ip;

		listener_address(master->resources.listeners[i], &ip, &port);
		endpoint_format(&ip, port, text);
		log_printf(EVENT_LISTENING, "address=%s", text);
	}
}

static void
take_ready(struct master *master)
{
	char octets[64];
	ssize_t n;

	while ((n = read(master->resources.ready[0], octets, sizeof(octets))) >
	       0)
		master->ready_count += (unsigned)n;
	if (master->state != MASTER_STARTING ||
	    master->ready_count < master->workers)
		return;
	master->state = MASTER_SERVING;
	say_listening(master);
}

static void
reopen_log(struct master *master)
{
	int error = log_reopen();

	log_printf(EVENT_LOG_REOPENED, "pid=%ld%s%s%s", (long)getpid(),
		   error == 0 ? "" : " error=\"",
		   error == 0 ? "" : strerror(-error), error == 0 ? "" : "\"");
	signal_workers(master, SIGUSR1);
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
		log_printf(EVENT_RELOAD,
			   "pid=%ld reason=\"this version cannot"
			   " reload: restart it instead\"",
			   (long)getpid());
		return;
	default: /* SIGTERM, SIGINT */
		if (master->state == MASTER_DRAINING)
			signal_workers(master, SIGTERM);
		else
			drain(master, EXIT_SUCCESS);
	}
}

static void
read_signals(struct master *master)
{
	struct signalfd_siginfo signal;

	while (read(master->signals, &signal, sizeof(signal)) ==
	       (ssize_t)sizeof(signal))
		take_signal(master, signal.ssi_signo);
}

static bool
has_workers(const struct master *master)
{
	for (unsigned i = 0; i < master->workers; i++)
		if (master->slots[i].pid > 0)
			return true;
	return false;
}

/* Until the next worker is due, but no longer than a tick. */
static int
wait_ms(const struct master *master)
{
	uint64_t now_us = clock_monotonic_us();
	uint64_t wait_us = TICK_US;

	for (unsigned i = 0; i < master->workers; i++) {
		uint64_t due_us = master->slots[i].respawn_us;

		if (due_us != 0 && due_us < now_us + wait_us)
			wait_us = due_us <= now_us ? 0 : due_us - now_us;
	}
	return (int)((wait_us + 999) / 1000);
}

static void
serve(struct master *master)
{
	for (unsigned i = 0; i < master->workers; i++)
		spawn(master, i);
	while (master->state != MASTER_DRAINING || has_workers(master)) {
		struct pollfd awaited[] = {
			{ .fd = master->signals, .events = POLLIN },
			{ .fd = master->resources.ready[0], .events = POLLIN },
		};

		poll(awaited, 2, wait_ms(master));
		read_signals(master);
		take_ready(master);
		respawn(master);
		log_flush();
		if (master->state == MASTER_DRAINING &&
		    clock_monotonic_us() > master->kill_us)
			signal_workers(master, SIGKILL);
	}
}

/* Harmless for what was not opened. */
static void
release(struct master *master)
{
	resources_close(&master->resources);
	limit_free(master->limit);
	stats_free(master->stats, master->workers);
	if (master->signals >= 0)
		close(master->signals);
	free(master->slots);
}

static unsigned
count_workers(const struct conf *conf)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	if (conf->workers > 0)
		return conf->workers;
	return online > 0 ? (unsigned)online : 1;
}

static bool
master_init(struct master *master, const struct conf *conf)
{
	*master = (struct master){
		.conf = conf,
		.workers = count_workers(conf),
		.signals = -1,
		.status = EXIT_SUCCESS,
	};
	master->slots = calloc(master->workers, sizeof(struct slot));
	return master->slots != NULL;
}

static bool
prepare(struct master *master)
{
	struct buf faults;
	bool is_ready;

	buf_init(&faults, FAULTS_MAX);
	is_ready = resources_open(&master->resources, master->conf, &faults) &&
		   share(master, &faults) && take_signals(master, &faults);
	if (faults.n > 0)
		fwrite(buf_span(&faults).p, 1, faults.n, stderr);
	buf_fini(&faults);
	return is_ready;
}

int
master_run(const struct conf *conf)
{
	struct master master;

	if (!master_init(&master, conf)) {
		fprintf(stderr, "out of memory\n");
		return EXIT_FAILURE;
	}
	if (prepare(&master)) {
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
