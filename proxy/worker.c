/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker: one process, one thread, one ring, many sessions.
 */
#include "proxy/worker.h"
#include "dmarc/second.h"

#include "proxy/bufstore.h"
#include "proxy/clock.h"
#include "proxy/cryptomem.h"
#include "proxy/door.h"
#include "proxy/driver.h"
#include "proxy/hostnames.h"
#include "proxy/log.h"
#include "proxy/owner.h"
#include "proxy/probe.h"
#include "proxy/rules.h"
#include "proxy/signals.h"
#include "proxy/stock.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Accepts under way for each listener: how many connections one turn of the
 * loop can take. */
#define ACCEPTS 8

/* After an accept that failed for want of descriptors or memory. */
#define ACCEPT_PAUSE_US 100000

/* Connections taken at most when the listeners are left; where more come than
 * that, the others are awake. */
#define LOOKS_MAX 64

/* Before clients are accepted, for the first probe of the backends. */
#define PROBE_US_MAX 2000000

/* Once the last session is over, for connections that are being closed, and
 * for those that still owe a PROXY header. */
#define FAREWELL_US_MAX (DOOR_HEADER_US_MAX + 1000000)

#define TICK_US 1000000

/* A session may need a client, a backend and a body. A mail that is diverted
 * needs another backend; where that finds none left, it is deferred. Why not
 * count it: the kernel deals connections out unevenly, and a worker that
 * refuses them long before it must does so while another has room. */
#define DESCRIPTORS_PER_SESSION 3
#define RING_ENTRIES 1024
#define RING_BUFFERS 64
#define WAIT_US_MAX 60000000
#define ID_LENGTH 15

/* Octets at most that malloc(3) keeps of what is not used any more. */
#define MEMORY_KEPT (16 << 20)

struct acceptor {
	struct op op;
	struct worker *worker;
	const struct conf_listener *listener;
	int fd;
	bool is_armed;
	union endpoint address;
	socklen_t length;
	struct timer pause;
};

/* A descriptor that the loop watches. */
struct watched {
	struct op op;
	struct worker *worker;
	int fd;
};

struct worker {
	const struct worker_setup *setup;
	struct ring *ring;
	struct timers timers;
	struct resolver *resolver;
	struct dkim_engine *dkim;
	struct dkim_engine *second; /* NULL without second-opinion */
	struct probes *probes;
	struct ehlo *probed;
	struct upstream *upstreams;
	struct hostnames *hostnames;
	struct spoolfile spool;
	struct tempfiles tempfiles;
	struct session_host host;
	struct bufstore bufs;
	struct drivers drivers;
	struct doors doors;
	struct acceptor *acceptors;
	size_t acceptor_count;
	struct watched signals;
	struct watched life;
	struct timer tick;
	struct timer opening; /* probes take too long */
	struct timer drain;   /* sessions take too long */
	struct timer farewell;
	bool is_open;
	bool is_draining;
	unsigned looks; /* at queues of listeners that are left */
	uint64_t last_id_us;
};

/* --- accepting --------------------------------------------------------------
 */

static void leave_listeners(struct worker *worker);

static void
accept_arm(struct acceptor *acceptor)
{
	acceptor->is_armed = true;
	acceptor->length = sizeof(acceptor->address);
	ring_accept(acceptor->worker->ring, &acceptor->op, acceptor->fd,
		    &acceptor->address.any, &acceptor->length);
}

static void
on_accept_pause(struct timer *timer)
{
	struct acceptor *acceptor = OWNER(timer, struct acceptor, pause);

	if (!acceptor->worker->is_draining)
		accept_arm(acceptor);
}

/* Of what accept(2) may fail with, some concerns one connection only. */
static void
accept_failed(struct acceptor *acceptor, int error)
{
	struct worker *worker = acceptor->worker;

	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		log_printf(EVENT_REFUSED, "call=accept error=\"%s\"",
			   strerror(error));
		timer_set(&worker->timers, &acceptor->pause,
			  clock_monotonic_us() + ACCEPT_PAUSE_US);
		return;
	case ECANCELED:
		return;
	default:
		accept_arm(acceptor);
	}
}

static void
on_accept(struct op *op, int result, uint32_t flags)
{
	struct acceptor *acceptor = OWNER(op, struct acceptor, op);
	struct worker *worker = acceptor->worker;
	uint16_t port;
	struct ip ip;

	(void)flags;
	acceptor->is_armed = false;
	if (result >= 0) {
		endpoint_read(&acceptor->address, &ip, &port);
		if (!worker->is_draining)
			accept_arm(acceptor);
		door_open(&worker->doors, result, acceptor->listener, &ip,
			  port);
	} else if (!worker->is_draining) {
		accept_failed(acceptor, -result);
	}
	if (worker->is_draining)
		leave_listeners(worker);
}

/* --- leaving the listeners --------------------------------------------------
 *
 * Several processes wait for connections, and the kernel wakes one of them for
 * each. If it has chosen an accept of ours that is just being cancelled,
 * nobody else knows of that connection: it would wait for the next one to
 * come. So when no accept of ours is left, the queue is looked at, and what is
 * there is taken, until there is nothing. What comes from then on wakes
 * others.
 */

static bool
is_accepting(const struct worker *worker)
{
	for (size_t i = 0; i < worker->acceptor_count; i++)
		if (worker->acceptors[i].is_armed)
			return true;
	return false;
}

static bool
has_queue(int fd)
{
	struct pollfd queue = { .fd = fd, .events = POLLIN };

	return poll(&queue, 1, 0) == 1 && (queue.revents & POLLIN) != 0;
}

/* Give up a listener, or take another look when that accept is over. */
static void
leave_listener(struct worker *worker, size_t i)
{
	struct acceptor *acceptor = &worker->acceptors[i * ACCEPTS];

	/* Who never had an accept under way has woken up for nobody. */
	if (worker->is_open && worker->looks < LOOKS_MAX &&
	    has_queue(acceptor->fd)) {
		worker->looks++;
		accept_arm(acceptor);
		ring_cancel(worker->ring, &acceptor->op);
		return;
	}
	/* The last to close it refuses connections from then on. */
	ring_close(worker->ring, acceptor->fd);
	worker->setup->listeners[i] = -1;
}

static void
leave_listeners(struct worker *worker)
{
	if (is_accepting(worker))
		return;
	for (size_t i = 0; i < worker->setup->conf->listener_count; i++)
		if (worker->setup->listeners[i] >= 0)
			leave_listener(worker, i);
}

static void
stop_accepting(struct worker *worker)
{
	for (size_t i = 0; i < worker->acceptor_count; i++) {
		timer_clear(&worker->timers, &worker->acceptors[i].pause);
		if (worker->acceptors[i].is_armed)
			ring_cancel(worker->ring, &worker->acceptors[i].op);
	}
	leave_listeners(worker);
}

/* From now on clients are accepted. Once. */
static void
open_doors(struct worker *worker)
{
	static const char octet = '!';

	if (worker->is_open || worker->is_draining)
		return;
	worker->is_open = true;
	timer_clear(&worker->timers, &worker->opening);
	for (size_t i = 0; i < worker->acceptor_count; i++)
		accept_arm(&worker->acceptors[i]);
	/* A master that does not read has died: the other pipe tells. */
	(void)!write(worker->setup->ready, &octet, 1);
	log_printf(EVENT_STARTED, "worker=%u pid=%ld sessions-max=%zu",
		   worker->setup->number, (long)getpid(),
		   worker->doors.connections_max);
}

static void
on_opening(struct timer *timer)
{
	open_doors(OWNER(timer, struct worker, opening));
}

static void
on_probed(void *owner)
{
	open_doors(owner);
}

static void
on_addresses(void *owner, size_t backend)
{
	struct worker *worker = owner;

	if (!worker->is_draining)
		probes_hurry(worker->probes, backend);
}

/* --- sessions ---------------------------------------------------------------
 */

/* Sorts by time, and is unique: two workers differ in the number, and one
 * worker never uses a microsecond twice. */
static struct span
make_id(struct worker *worker, char text[ID_LENGTH])
{
	static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
	uint64_t now_us = clock_wall_us();
	uint64_t value;

	if (now_us <= worker->last_id_us)
		now_us = worker->last_id_us + 1;
	worker->last_id_us = now_us;
	/* 11 digits of time last to the year 3111; 4 of the process. */
	value = now_us;
	for (int i = 10; i >= 0; i--, value >>= 5)
		text[i] = digits[value & 31];
	value = (uint64_t)getpid();
	for (int i = 14; i >= 11; i--, value >>= 5)
		text[i] = digits[value & 31];
	return span_make(text, ID_LENGTH);
}

static bool
enter(struct doors *doors, int fd, struct session_peer *peer,
      struct span octets)
{
	struct worker *worker = OWNER(doors, struct worker, doors);
	char id[ID_LENGTH];

	peer->id = make_id(worker, id);
	return driver_start(&worker->drivers, fd, peer, octets);
}

static bool
take_message(void *limits, const struct ip *client)
{
	const struct worker *worker = limits;
	const struct conf *conf = worker->setup->conf;
	const struct conf_rate *rate = &conf->message_rate;

	return rate->count == 0 || !conf_is_limited(conf, client) ||
	       limit_rate(worker->setup->limit, RATE_MESSAGES, client,
			  rate->count, rate->period_us, clock_monotonic_us());
}

static size_t
sessions(struct doors *doors)
{
	return OWNER(doors, struct worker, doors)->drivers.client_count;
}

/* --- the end ----------------------------------------------------------------
 */

static bool
is_over(const struct worker *worker)
{
	return worker->is_draining && !is_accepting(worker) &&
	       worker->drivers.count == 0 && worker->drivers.link_count == 0 &&
	       worker->doors.count == 0 && probes_are_idle(worker->probes);
}

static void
cut_off(struct worker *worker)
{
	drivers_abort(&worker->drivers);
	doors_abort(&worker->doors);
}

static void
changed(struct worker *worker)
{
	if (worker->is_draining && worker->drivers.count == 0 &&
	    !timer_is_set(&worker->farewell))
		timer_set(&worker->timers, &worker->farewell,
			  clock_monotonic_us() + FAREWELL_US_MAX);
}

static void
drivers_changed(struct drivers *drivers)
{
	changed(OWNER(drivers, struct worker, drivers));
}

static void
doors_changed(struct doors *doors)
{
	changed(OWNER(doors, struct worker, doors));
}

static void
on_drain(struct timer *timer)
{
	struct worker *worker = OWNER(timer, struct worker, drain);

	log_printf(EVENT_DRAINING, "worker=%u cut-off=%zu",
		   worker->setup->number, worker->drivers.count);
	cut_off(worker);
}

/* A session may have begun since: its end starts the time anew. */
static void
on_farewell(struct timer *timer)
{
	struct worker *worker = OWNER(timer, struct worker, farewell);

	if (worker->drivers.count == 0)
		cut_off(worker);
}

static void
drain(struct worker *worker)
{
	const struct conf *conf = worker->setup->conf;

	if (worker->is_draining)
		return;
	worker->is_draining = true;
	log_printf(EVENT_DRAINING, "worker=%u sessions=%zu",
		   worker->setup->number, worker->drivers.count);
	timer_clear(&worker->timers, &worker->opening);
	stop_accepting(worker);
	probes_stop(worker->probes);
	timer_set(&worker->timers, &worker->drain,
		  clock_monotonic_us() + conf->drain_us_max + 1);
	drivers_drain(&worker->drivers);
	changed(worker);
}

/* --- signals, the master, time ----------------------------------------------
 */

static void
watch(struct watched *watched)
{
	ring_poll(watched->worker->ring, &watched->op, watched->fd, POLLIN);
}

static void
on_signal(struct op *op, int result, uint32_t flags)
{
	struct watched *watched = OWNER(op, struct watched, op);
	struct worker *worker = watched->worker;
	struct signalfd_siginfo signal;

	(void)flags;
	if (result < 0)
		return;
	while (read(watched->fd, &signal, sizeof(signal)) ==
	       (ssize_t)sizeof(signal)) {
		if (signal.ssi_signo == SIGUSR1)
			log_reopen(geteuid(), getegid());
		else if (worker->is_draining)
			cut_off(worker);
		else
			drain(worker);
	}
	watch(watched);
}

static void
on_master_gone(struct op *op, int result, uint32_t flags)
{
	(void)flags;
	if (result >= 0)
		drain(OWNER(op, struct watched, op)->worker);
}

static void
count_targets(struct worker *worker)
{
	uint64_t down = 0;

	for (size_t i = 0; i < worker->setup->conf->backend_count; i++)
		down += upstream_count_down(&worker->upstreams[i]);
	worker->setup->stats->count[STAT_BACKEND_TARGETS_DOWN] = down;
}

static void
on_tick(struct timer *timer)
{
	struct worker *worker = OWNER(timer, struct worker, tick);

	spoolfile_tick(&worker->spool);
	tickets_turn(worker->setup->keyring->tickets);
	count_targets(worker);
	log_flush();
	timer_set(&worker->timers, &worker->tick,
		  clock_monotonic_us() + TICK_US);
}

/* --- setting up -------------------------------------------------------------
 */

static uint64_t
monotonic(void *clock)
{
	(void)clock;
	return clock_monotonic_us();
}

static uint64_t
wall(void *clock)
{
	(void)clock;
	return clock_wall_us();
}

/* Asked for where a backend has several targets: not worth a generator. */
static uint32_t
draw(void *from)
{
	uint32_t number = 0;

	(void)from;
	(void)!getrandom(&number, sizeof(number), GRND_NONBLOCK);
	return number;
}

size_t
worker_connections_max(const struct conf *conf)
{
	struct rlimit files = { .rlim_cur = 1024 };
	size_t most;

	getrlimit(RLIMIT_NOFILE, &files);
	most = files.rlim_cur / DESCRIPTORS_PER_SESSION;
	if (conf->connections_max > 0 && conf->connections_max < most)
		return conf->connections_max;
	return most;
}

static void
spool_init(struct worker *worker)
{
	const struct conf *conf = worker->setup->conf;
	const struct spoolfile_setup setup = {
		.directory = worker->setup->spool,
		.gate = conf->hostname,
		.room_min = conf->does_defer_unlogged ? SPOOLFILE_ROOM_MIN : 0,
		.stats = worker->setup->stats,
	};

	spoolfile_init(&worker->spool, worker->ring, &worker->timers, &setup);
}

static void
sessions_init(struct worker *worker)
{
	const struct worker_setup *setup = worker->setup;

	spool_init(worker);
	worker->tempfiles = (struct tempfiles){
		.ring = worker->ring,
		.timers = &worker->timers,
		.directory = setup->bodies,
		.octets_max = setup->conf->body_disk,
	};
	worker->host = (struct session_host){
		.conf = setup->conf,
		.rules = setup->rules,
		.dkim = worker->dkim,
		.second = worker->second,
		.probed = worker->probed,
		.upstreams = worker->upstreams,
		.dice = { .draw = draw },
		.stats = setup->stats,
		.stock = stock_new(),
		.bufs = &worker->bufs,
		.is_spool_full = &worker->spool.is_full,
		.is_memory_full = &worker->drivers.is_memory_full,
		.take_message = take_message,
		.limits = worker,
		.monotonic_us = monotonic,
		.wall_us = wall,
	};
	worker->drivers = (struct drivers){
		.ring = worker->ring,
		.timers = &worker->timers,
		.resolver = worker->resolver,
		.spool = &worker->spool,
		.tempfiles = &worker->tempfiles,
		.keyring = setup->keyring,
		.host = &worker->host,
		.limit = setup->limit,
		.worker = setup->number,
		.memory_max = setup->conf->memory_max,
		.crypto_base = cryptomem_held(),
		.changed = drivers_changed,
	};
	worker->doors = (struct doors){
		.ring = worker->ring,
		.timers = &worker->timers,
		.conf = setup->conf,
		.header_us_max = DOOR_HEADER_US_MAX,
		.connections_max = worker_connections_max(setup->conf),
		.is_memory_full = &worker->drivers.is_memory_full,
		.limit = setup->limit,
		.worker = setup->number,
		.enter = enter,
		.sessions = sessions,
		.changed = doors_changed,
	};
}

static void
acceptors_init(struct worker *worker)
{
	const struct conf *conf = worker->setup->conf;

	for (size_t i = 0; i < worker->acceptor_count; i++) {
		struct acceptor *acceptor = &worker->acceptors[i];

		acceptor->op.done = on_accept;
		acceptor->pause.fire = on_accept_pause;
		acceptor->worker = worker;
		acceptor->listener = &conf->listeners[i / ACCEPTS];
		acceptor->fd = worker->setup->listeners[i / ACCEPTS];
	}
}

static struct probes *
new_probes(struct worker *worker)
{
	const struct probes_host host = {
		.ring = worker->ring,
		.timers = &worker->timers,
		.conf = worker->setup->conf,
		.keyring = worker->setup->keyring,
		.upstreams = worker->upstreams,
		.probed = worker->probed,
	};

	return probes_new(&host, on_probed, worker);
}

/* What verifies DKIM signatures. False with a sentence in faults. */
static bool
open_engines(struct worker *worker, struct buf *faults)
{
	const struct conf *conf = worker->setup->conf;
	enum dkim_engine_kind other = second_dkim_engine(conf->dkim_engine);

	worker->dkim = rules_dkim_engine(conf, conf->dkim_engine);
	if (conf->has_second_opinion)
		worker->second = rules_dkim_engine(conf, other);
	if (worker->dkim != NULL &&
	    (worker->second != NULL || !conf->has_second_opinion))
		return true;
	buf_append(faults, SPAN_LIT("no engine for DKIM: not enough memory, "
				    "or a library without SHA-256 or "
				    "ed25519\n"));
	return false;
}

/* What only this worker uses. False with a sentence in faults. */
static bool
acquire(struct worker *worker, struct buf *faults)
{
	const struct ring_size size = { RING_ENTRIES, RING_BUFFERS };
	const struct conf *conf = worker->setup->conf;

	worker->signals.fd = signals_open(0);
	if (worker->signals.fd < 0) {
		buf_printf(faults, "signalfd: %s\n", strerror(errno));
		return false;
	}
	worker->ring = ring_new(&size, faults);
	if (worker->ring == NULL)
		return false;
	worker->resolver = resolver_new(worker->ring, &worker->timers, conf,
					worker->setup->zone, faults);
	if (worker->resolver == NULL)
		return false;
	resolver_count_in(worker->resolver, worker->setup->stats);
	if (!open_engines(worker, faults))
		return false;
	worker->acceptor_count = ACCEPTS * conf->listener_count;
	worker->acceptors =
		calloc(worker->acceptor_count, sizeof(struct acceptor));
	worker->probed = calloc(conf->backend_count, sizeof(struct ehlo));
	worker->upstreams = upstreams_new(conf);
	if (worker->upstreams != NULL)
		worker->hostnames =
			hostnames_new(worker->resolver, &worker->timers, conf,
				      worker->upstreams, on_addresses, worker);
	if (worker->acceptors != NULL && worker->probed != NULL &&
	    worker->hostnames != NULL)
		worker->probes = new_probes(worker);
	if (worker->probes == NULL)
		buf_append(faults, SPAN_LIT("out of memory\n"));
	return worker->probes != NULL;
}

static void
start(struct worker *worker)
{
	const struct conf *conf = worker->setup->conf;

	sessions_init(worker);
	acceptors_init(worker);
	worker->signals.worker = worker->life.worker = worker;
	worker->signals.op.done = on_signal;
	worker->life.op.done = on_master_gone;
	worker->life.fd = worker->setup->life;
	watch(&worker->signals);
	watch(&worker->life);
	worker->tick.fire = on_tick;
	worker->opening.fire = on_opening;
	worker->drain.fire = on_drain;
	worker->farewell.fire = on_farewell;
	tickets_guard(worker->setup->keyring->tickets);
	on_tick(&worker->tick);
	/* Sessions that are opened with their backend ask it themselves; but
	 * a name has to be looked up before that. */
	if (conf->has_one_backend && !hostnames_are_any(worker->hostnames) &&
	    conf->backend_connect == CONNECT_AT_CONNECT)
		open_doors(worker);
	else
		timer_set(&worker->timers, &worker->opening,
			  clock_monotonic_us() + PROBE_US_MAX);
}

static uint64_t
time_to_wait(const struct worker *worker)
{
	uint64_t next_us = timers_next(&worker->timers);
	uint64_t now_us = clock_monotonic_us();

	if (next_us == 0)
		return WAIT_US_MAX;
	return next_us <= now_us ? 0 : next_us - now_us;
}

static int
loop(struct worker *worker)
{
	while (!is_over(worker)) {
		int result = ring_run_once(worker->ring, time_to_wait(worker));

		if (result != 0) {
			log_printf(EVENT_RING, "worker=%u error=\"%s\"",
				   worker->setup->number, strerror(-result));
			return EXIT_FAILURE;
		}
		timers_fire(&worker->timers, clock_monotonic_us());
	}
	return EXIT_SUCCESS;
}

static void
release(struct worker *worker)
{
	if (worker->probes != NULL)
		probes_stop(worker->probes);
	hostnames_free(worker->hostnames);
	resolver_free(worker->resolver);
	dkim_engine_free(worker->dkim);
	dkim_engine_free(worker->second);
	if (worker->ring != NULL)
		ring_free(worker->ring);
	probes_free(worker->probes);
	if (worker->spool.timers != NULL)
		spoolfile_fini(&worker->spool);
	free(worker->acceptors);
	free(worker->probed);
	free(worker->upstreams);
	stock_free(worker->host.stock);
	bufstore_fini(&worker->bufs);
	if (worker->signals.fd >= 0)
		close(worker->signals.fd);
}

/* Bodies come and go: without this, the kernel would take back and zero anew
 * the pages of each one of more than 128 KiB. */
static void
keep_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 2 * MEMORY_KEPT);
	mallopt(M_TRIM_THRESHOLD, MEMORY_KEPT);
}

int
worker_run(const struct worker_setup *setup)
{
	struct worker worker = { .setup = setup };
	int status = EXIT_FAILURE;
	struct buf faults;

	keep_memory();
	buf_init(&faults, LOG_LINE_MAX);
	if (acquire(&worker, &faults)) {
		start(&worker);
		status = loop(&worker);
	} else {
		struct span text = buf_span(&faults);

		if (text.n > 0)
			text.n--; /* LF */
		log_event(EVENT_START_FAILED, text);
	}
	release(&worker);
	log_flush();
	log_printf(EVENT_STOPPED, "worker=%u pid=%ld status=%d", setup->number,
		   (long)getpid(), status);
	buf_fini(&faults);
	return status;
}
