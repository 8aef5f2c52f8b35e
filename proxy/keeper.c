/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keeper: the process that rotates the verdict log.
 */
#include "proxy/keeper.h"

#include "dmarc/report/registry.h"
#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/signals.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS 1000

/* While a rotated segment waits for its last line, which workers give way to
 * within a second: so long it is looked at more often. */
#define CLOSING_TICK_MS 50
#define CLOSING_US 5000000

/* Between two looks at all segments when nothing seems to have changed, and
 * before what failed is tried again. */
#define REVIEW_US 60000000

/* How long another keeper is waited for in silence: on a reload the new one
 * starts before the old one ends. */
#define KEPT_US 10000000

#define NICE 19

/* What can fail, each said once until it works or fails otherwise. */
enum call {
	CALL_KEEP,
	CALL_MEND,
	CALL_OPEN,
	CALL_ROTATE,
	CALL_RESCUE,
	CALL_LIST,
	CALL_CLOSE,
	CALL_COMPRESS,
	CALL_DELETE,
	CALL_READERS,
	CALL_COUNT
};

/* verdict.log as it was last seen. */
struct live {
	int fd; /* -1: not yet */
	bool has_head;
	struct segment_head head;
	uint64_t head_octets; /* its first line */
	uint64_t octets;
	uint64_t adopted_us; /* monotonic */
	bool is_truncated;   /* and said; to be rotated, however often tried */
};

struct keeper {
	const struct conf *conf;
	int directory;
	int life;
	int signals;
	int lock;         /* -1: another process is the keeper */
	uint64_t kept_us; /* monotonic: it is told of then; 0: not waiting */
	bool is_kept_said;
	bool is_ending;
	int errors[CALL_COUNT];
	struct live live;

	/* All segments, while they are looked at. */
	struct segment *list;
	size_t count;
	struct registry_survey readers;
	char lost_said[REGISTRY_NAME_MAX];
	bool is_held_said;

	/* When to look at them again. */
	struct timespec seen, readers_seen; /* their directories, as changed */
	bool is_due;
	uint64_t review_us;    /* monotonic */
	uint64_t next_keep_us; /* wall: something is too old; 0: nothing */
	uint64_t closing_us;   /* since when one waits to be closed; 0: none */

	pid_t child; /* compresses; 0: none */
	struct segment compressing;
	uint64_t compress_us; /* monotonic: not before */
};

/* Whether a call went well; if not, an event. */
static bool
check(struct keeper *keeper, enum call call, int result)
{
	static const char *const names[CALL_COUNT] = {
		[CALL_KEEP] = "keep",     [CALL_MEND] = "mend",
		[CALL_OPEN] = "open",     [CALL_ROTATE] = "rotate",
		[CALL_RESCUE] = "rescue", [CALL_LIST] = "list",
		[CALL_CLOSE] = "close",   [CALL_COMPRESS] = "compress",
		[CALL_DELETE] = "delete", [CALL_READERS] = "readers",
	};

	if (result < 0 && result != keeper->errors[call])
		log_printf(EVENT_SPOOL_FAILED, "call=%s error=\"%s\"",
			   names[call], strerror(-result));
	keeper->errors[call] = result < 0 ? result : 0;
	return result >= 0;
}

/* --- the live file ----------------------------------------------------------
 */

static void
forget_live(struct keeper *keeper)
{
	if (keeper->live.fd >= 0)
		close(keeper->live.fd);
	keeper->live = (struct live){ .fd = -1 };
}

/* Octets of the first line of a file with its LF; 0 if it has none. */
static uint64_t
first_line(int fd)
{
	char octets[4096];
	ssize_t n = pread(fd, octets, sizeof(octets), 0);
	struct span text = span_make(octets, n > 0 ? (size_t)n : 0);
	size_t end = span_find(text, '\n');

	return end == text.n ? 0 : end + 1;
}

/* Make verdict.log where there is none, and look at it. Our own descriptor has
 * no lock: it must not keep a segment from being closed. */
static void
adopt_live(struct keeper *keeper)
{
	struct live *live = &keeper->live;
	struct stat status;
	int fd = segment_open(keeper->directory, keeper->conf->hostname);

	if (!check(keeper, CALL_OPEN, fd))
		return;
	close(fd);
	fd = openat(keeper->directory, SEGMENT_LIVE,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (!check(keeper, CALL_OPEN, fd < 0 ? -errno : 0))
		return;
	*live = (struct live){ .fd = fd, .adopted_us = clock_monotonic_us() };
	live->has_head = segment_head_read(fd, &live->head);
	live->head_octets = first_line(fd);
	if (fstat(fd, &status) == 0)
		live->octets = (uint64_t)status.st_size;
}

static void
rotate(struct keeper *keeper, const char *reason)
{
	struct live *live = &keeper->live;

	if (!check(keeper, CALL_ROTATE,
		   segment_rotate(keeper->directory, keeper->conf->hostname)))
		return;
	log_printf(EVENT_SPOOL_ROTATED, "segment=%s octets=%llu reason=%s",
		   live->has_head ? live->head.uuid : "none",
		   (unsigned long long)live->octets, reason);
	keeper->is_due = true;
	forget_live(keeper);
	adopt_live(keeper);
}

/* Somebody has renamed or deleted it. */
static void
lose_live(struct keeper *keeper)
{
	struct live *live = &keeper->live;
	int result = segment_rescue(keeper->directory, live->fd);

	log_printf(EVENT_SPOOL_MOVED, "segment=%s octets=%llu deleted=%s",
		   live->has_head ? live->head.uuid : "none",
		   (unsigned long long)live->octets,
		   result == -ENOENT ? "yes" : "no");
	if (result != -ENOENT)
		check(keeper, CALL_RESCUE, result);
	keeper->is_due = true;
	forget_live(keeper);
	adopt_live(keeper);
}

/* Whether its first line is what it was. */
static bool
has_same_head(const struct live *live)
{
	struct segment_head head;

	return segment_head_read(live->fd, &head) == live->has_head &&
	       strcmp(head.uuid, live->head.uuid) == 0;
}

/* Octets that somebody cut off since the last look, at least; 0 if none. One
 * that was emptied may have grown again. */
static uint64_t
octets_cut(const struct live *live, uint64_t octets)
{
	if (!has_same_head(live))
		return live->octets;
	return octets < live->octets ? live->octets - octets : 0;
}

/* Since it was opened; if that was with a clock that was ahead, since we know
 * it. */
static uint64_t
age_us(const struct live *live)
{
	uint64_t now_us = clock_wall_us();

	if (now_us >= live->head.opened_us)
		return now_us - live->head.opened_us;
	return clock_monotonic_us() - live->adopted_us;
}

static bool
is_too_old(const struct keeper *keeper, uint64_t octets)
{
	const struct live *live = &keeper->live;
	uint64_t us_max = keeper->conf->rotate_us_max;

	return us_max > 0 && octets > live->head_octets &&
	       age_us(live) >= us_max;
}

static void
look_for_cut(struct keeper *keeper, uint64_t octets)
{
	struct live *live = &keeper->live;
	uint64_t cut = octets_cut(live, octets);

	if (cut == 0 || live->is_truncated)
		return;
	live->is_truncated = true;
	log_printf(EVENT_SPOOL_TRUNCATED, "segment=%s octets=%llu lost=%llu",
		   live->has_head ? live->head.uuid : "none",
		   (unsigned long long)octets, (unsigned long long)cut);
}

static void
look_at_size(struct keeper *keeper, uint64_t octets)
{
	struct live *live = &keeper->live;

	look_for_cut(keeper, octets);
	live->octets = octets;
	if (live->is_truncated)
		rotate(keeper, "truncated");
	else if (!live->has_head)
		rotate(keeper, "no-head");
	else if (octets >= keeper->conf->rotate_octets_max)
		rotate(keeper, "size");
	else if (is_too_old(keeper, octets))
		rotate(keeper, "time");
}

static void
look_at_live(struct keeper *keeper)
{
	struct stat status;

	if (keeper->live.fd < 0)
		adopt_live(keeper);
	else if (!segment_is_live(keeper->directory, keeper->live.fd))
		lose_live(keeper);
	if (keeper->live.fd >= 0 && fstat(keeper->live.fd, &status) == 0)
		look_at_size(keeper, (uint64_t)status.st_size);
}

/* --- all segments -----------------------------------------------------------
 */

/* Whether it is being compressed. */
static bool
is_busy(const struct keeper *keeper, const struct segment *segment)
{
	return keeper->child != 0 &&
	       strcmp(segment->head.uuid, keeper->compressing.head.uuid) == 0;
}

/* Write the last lines that are due. One that is being compressed has its own,
 * and may be gone by now. */
static void
close_segments(struct keeper *keeper)
{
	bool is_waiting = false;
	int worst = 0;

	for (size_t i = 0; i < keeper->count; i++) {
		const struct segment *segment = &keeper->list[i];
		int result;

		if (segment->form != SEGMENT_IS_ROTATED ||
		    is_busy(keeper, segment))
			continue;
		result = segment_close(keeper->directory, segment);
		if (result == -EWOULDBLOCK)
			is_waiting = true;
		else if (worst == 0)
			worst = result;
	}
	check(keeper, CALL_CLOSE, worst);
	if (!is_waiting)
		keeper->closing_us = 0;
	else if (keeper->closing_us == 0)
		keeper->closing_us = clock_monotonic_us();
}

static void
look_at_readers(struct keeper *keeper)
{
	struct registry_survey *readers = &keeper->readers;

	check(keeper, CALL_READERS,
	      registry_survey(keeper->directory, keeper->list, keeper->count,
			      readers));
	if (readers->lost[0] != '\0' &&
	    strcmp(readers->lost, keeper->lost_said) != 0)
		log_printf(EVENT_SPOOL_READER_LOST, "reader=%s", readers->lost);
	memcpy(keeper->lost_said, readers->lost, sizeof(keeper->lost_said));
}

/* Readers have passed it, and nothing more happens to it. */
static bool
is_done_with(const struct keeper *keeper, size_t i)
{
	const struct segment *segment = &keeper->list[i];

	return i < keeper->readers.passed && !is_busy(keeper, segment) &&
	       segment_is_closed(keeper->directory, segment);
}

/* --- compressing ------------------------------------------------------------
 */

/* In the child. It must not outlive the keeper, whose lock it has to let go:
 * the next keeper removes what it has begun. */
static _Noreturn void
compress_one(const struct keeper *keeper, pid_t parent)
{
	sigset_t none;
	int result;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	close(keeper->lock);
	close(keeper->signals);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	result = segment_compress(keeper->directory, &keeper->compressing);
	_exit(-result & 0xff);
}

static void
start_compressing(struct keeper *keeper, const struct segment *segment)
{
	pid_t parent = getpid(), pid;

	keeper->compressing = *segment;
	pid = fork();
	if (pid == 0)
		compress_one(keeper, parent);
	if (check(keeper, CALL_COMPRESS, pid < 0 ? -errno : 0))
		keeper->child = pid;
	else
		keeper->compress_us = clock_monotonic_us() + REVIEW_US;
}

static void
compress_segments(struct keeper *keeper)
{
	if (!keeper->conf->does_compress || keeper->child != 0 ||
	    keeper->is_ending || clock_monotonic_us() < keeper->compress_us)
		return;
	for (size_t i = 0; i < keeper->count; i++) {
		if (keeper->list[i].form == SEGMENT_IS_ROTATED &&
		    is_done_with(keeper, i)) {
			start_compressing(keeper, &keeper->list[i]);
			return;
		}
	}
}

/* How the child ended. What it left half done is mended now. */
static void
bury_child(struct keeper *keeper, int status)
{
	int result = WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;

	keeper->child = 0;
	keeper->is_due = true;
	if (check(keeper, CALL_COMPRESS, result)) {
		log_printf(EVENT_SPOOL_COMPRESSED, "segment=%s",
			   keeper->compressing.head.uuid);
		return;
	}
	keeper->compress_us = clock_monotonic_us() + REVIEW_US;
	check(keeper, CALL_MEND, segment_mend(keeper->directory));
}

static void
reap_child(struct keeper *keeper)
{
	int status;

	if (keeper->child != 0 &&
	    waitpid(keeper->child, &status, WNOHANG) == keeper->child)
		bury_child(keeper, status);
}

static void
end_child(struct keeper *keeper)
{
	int status;

	if (keeper->child == 0)
		return;
	kill(keeper->child, SIGKILL);
	while (waitpid(keeper->child, &status, 0) < 0 && errno == EINTR)
		;
	keeper->child = 0;
	segment_mend(keeper->directory);
}

/* --- deleting ---------------------------------------------------------------
 */

static bool
delete_segment(struct keeper *keeper, size_t i, const char *reason)
{
	const struct segment *segment = &keeper->list[i];

	if (!check(keeper, CALL_DELETE,
		   segment_remove(keeper->directory, segment)))
		return false;
	log_printf(EVENT_SPOOL_DELETED, "segment=%s octets=%llu reason=%s",
		   segment->head.uuid, (unsigned long long)segment->octets,
		   reason);
	return true;
}

/* When a segment was rotated: when the next one was opened. Where a clock that
 * was ahead has said that, then not after the first time of writing, of it or
 * of a later one, that has come. UINT64_MAX: nobody knows, also while the next
 * one has no head (somebody emptied it). */
static uint64_t
rotated_us(const struct keeper *keeper, size_t i, uint64_t now_us)
{
	const struct segment_head *next = &keeper->list[i + 1].head;

	if (next->uuid[0] == '\0')
		return UINT64_MAX;
	if (next->opened_us <= now_us)
		return next->opened_us;
	for (; i < keeper->count; i++) {
		uint64_t written_us = keeper->list[i].written_us;

		if (written_us > 0 && written_us <= now_us)
			return written_us;
	}
	return UINT64_MAX;
}

static uint64_t
too_old_us(const struct keeper *keeper, size_t i, uint64_t now_us)
{
	uint64_t since_us = rotated_us(keeper, i, now_us);
	uint64_t us_max = keeper->conf->keep_us_max;

	return since_us > UINT64_MAX - us_max ? UINT64_MAX : since_us + us_max;
}

static uint64_t
rotated_octets(const struct keeper *keeper)
{
	uint64_t octets = 0;

	for (size_t i = 0; i < keeper->count; i++)
		if (keeper->list[i].form != SEGMENT_IS_LIVE)
			octets += keeper->list[i].octets;
	return octets;
}

/* Whether somebody may still write to a segment, as is usual for a while. */
static bool
is_closing(const struct keeper *keeper)
{
	return keeper->closing_us != 0 &&
	       clock_monotonic_us() - keeper->closing_us < CLOSING_US;
}

/* More than keep-size, and a reader, or what cannot be closed, keeps it so:
 * once. */
static void
say_held(struct keeper *keeper, size_t i, uint64_t octets)
{
	bool is_by_reader = i >= keeper->readers.passed;
	bool is_held =
		octets > keeper->conf->keep_octets_max &&
		keeper->conf->keep_octets_max > 0 && i + 1 < keeper->count &&
		(is_by_reader ||
		 (!is_closing(keeper) && !is_busy(keeper, &keeper->list[i])));

	if (is_held && !keeper->is_held_said)
		log_printf(
			is_by_reader ? EVENT_SPOOL_READERS : EVENT_SPOOL_HELD,
			"reader=%s segment=%s octets=%llu",
			is_by_reader ? keeper->readers.lagging : "none",
			keeper->list[i].head.uuid, (unsigned long long)octets);
	keeper->is_held_said = is_held;
}

/* The oldest first; what comes behind one that stays, stays. */
static void
delete_segments(struct keeper *keeper)
{
	const struct conf *conf = keeper->conf;
	uint64_t octets = rotated_octets(keeper);
	uint64_t now_us = clock_wall_us();
	size_t i;

	keeper->next_keep_us = 0;
	for (i = 0; i + 1 < keeper->count && is_done_with(keeper, i); i++) {
		bool is_old = conf->keep_us_max > 0 &&
			      too_old_us(keeper, i, now_us) <= now_us;
		bool is_much = conf->keep_octets_max > 0 &&
			       octets > conf->keep_octets_max;

		if (!is_old && !is_much) {
			if (conf->keep_us_max > 0)
				keeper->next_keep_us =
					too_old_us(keeper, i, now_us);
			break;
		}
		if (!delete_segment(keeper, i, is_old ? "keep" : "keep-size"))
			break;
		octets -= keeper->list[i].octets;
	}
	say_held(keeper, i, octets);
}

/* --- when to look -----------------------------------------------------------
 */

static struct timespec
changed_at(const struct keeper *keeper, const char *name)
{
	struct stat status = { 0 };

	(void)fstatat(keeper->directory, name, &status, AT_SYMLINK_NOFOLLOW);
	return status.st_mtim;
}

static bool
is_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* There may be thousands of segments: they are looked at when something in
 * their directory or in that of the readers has changed, when one has become
 * too old, and once a minute. */
static bool
is_review_due(struct keeper *keeper)
{
	struct timespec seen = changed_at(keeper, ".");
	struct timespec readers_seen = changed_at(keeper, REGISTRY_DIRECTORY);
	bool is_due = keeper->is_due || keeper->closing_us != 0 ||
		      !is_same_time(seen, keeper->seen) ||
		      !is_same_time(readers_seen, keeper->readers_seen) ||
		      clock_monotonic_us() >= keeper->review_us ||
		      (keeper->next_keep_us != 0 &&
		       clock_wall_us() >= keeper->next_keep_us);

	keeper->seen = seen;
	keeper->readers_seen = readers_seen;
	return is_due;
}

static void
review(struct keeper *keeper)
{
	if (!is_review_due(keeper))
		return;
	keeper->is_due = false;
	keeper->review_us = clock_monotonic_us() + REVIEW_US;
	if (!check(keeper, CALL_LIST,
		   segment_list(keeper->directory, &keeper->list,
				&keeper->count)))
		return;
	close_segments(keeper);
	look_at_readers(keeper);
	delete_segments(keeper);
	compress_segments(keeper);
	free(keeper->list);
	keeper->list = NULL;
}

/* --- the loop ---------------------------------------------------------------
 */

static void
wait_for_other(struct keeper *keeper)
{
	uint64_t now_us = clock_monotonic_us();

	if (keeper->kept_us == 0)
		keeper->kept_us = now_us + KEPT_US;
	if (now_us >= keeper->kept_us && !keeper->is_kept_said) {
		log_event(EVENT_SPOOL_KEPT, SPAN_NONE);
		keeper->is_kept_said = true;
	}
}

/* Only one at a time; who comes later waits for the first to end. */
static bool
is_keeper(struct keeper *keeper)
{
	int lock;

	if (keeper->lock >= 0)
		return true;
	lock = segment_keep(keeper->directory);
	if (lock == -EWOULDBLOCK) {
		wait_for_other(keeper);
		return false;
	}
	if (!check(keeper, CALL_KEEP, lock))
		return false;
	keeper->lock = lock;
	keeper->is_due = true;
	check(keeper, CALL_MEND, segment_mend(keeper->directory));
	check(keeper, CALL_READERS, registry_make(keeper->directory));
	return true;
}

static void
round_once(struct keeper *keeper)
{
	if (!is_keeper(keeper))
		return;
	reap_child(keeper);
	look_at_live(keeper);
	review(keeper);
}

static void
read_signals(struct keeper *keeper)
{
	struct signalfd_siginfo signal;

	while (read(keeper->signals, &signal, sizeof(signal)) ==
	       (ssize_t)sizeof(signal)) {
		if (signal.ssi_signo == SIGUSR1)
			log_reopen(geteuid(), getegid());
		else if (signal.ssi_signo == SIGTERM)
			keeper->is_ending = true;
		/* SIGCHLD has woken us. */
	}
}

static int
wait_ms(const struct keeper *keeper)
{
	return is_closing(keeper) ? CLOSING_TICK_MS : TICK_MS;
}

static void
serve(struct keeper *keeper)
{
	while (!keeper->is_ending) {
		struct pollfd awaited[] = {
			{ .fd = keeper->signals, .events = POLLIN },
			{ .fd = keeper->life, .events = POLLIN },
		};

		round_once(keeper);
		log_flush();
		poll(awaited, 2, wait_ms(keeper));
		read_signals(keeper);
		if (awaited[1].revents != 0)
			keeper->is_ending = true;
	}
	round_once(keeper);
}

int
keeper_run(const struct keeper_setup *setup)
{
	struct keeper keeper = {
		.conf = setup->conf,
		.directory = setup->spool,
		.life = setup->life,
		.signals = signals_open(SIGCHLD),
		.lock = -1,
		.live.fd = -1,
	};

	if (keeper.signals < 0) {
		log_printf(EVENT_START_FAILED, "call=signalfd error=\"%s\"",
			   strerror(errno));
		return EXIT_FAILURE;
	}
	serve(&keeper);
	end_child(&keeper);
	forget_live(&keeper);
	close(keeper.signals);
	if (keeper.lock >= 0)
		close(keeper.lock);
	log_flush();
	log_printf(EVENT_STOPPED, "process=keeper pid=%ld status=0",
		   (long)getpid());
	return EXIT_SUCCESS;
}
