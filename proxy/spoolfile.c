/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spoolfile: the worker's side of the verdict log.
 *
 * Opening is done by plain system calls: it happens when a segment is rotated,
 * and waits for nothing but, at the start and where verdict.log is not there,
 * for its making.
 */
#include "proxy/spoolfile.h"

#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/owner.h"

#include <assert.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define NOTICE_MAX 256

/* --- the file ---------------------------------------------------------------
 */

static void
say_failed(const char *call, int error)
{
	log_printf(EVENT_SPOOL_FAILED, "call=%s error=\"%s\"", call,
		   strerror(-error));
}

/* Workers share the lock, and the keeper takes it for old segments only. */
static void
say_not_open(int error)
{
	if (error == -EWOULDBLOCK)
		log_event(EVENT_SPOOL_FAILED,
			  SPAN_LIT("call=open error=\"locked by another "
				   "program\""));
	else
		say_failed("open", error);
}

/* Whether a file ends in half a line: its writer was killed. Another one may
 * write behind it just now; then our LF makes an empty line, which is none. */
static bool
ends_torn(int fd)
{
	struct stat status;
	char last;

	return fstat(fd, &status) == 0 && status.st_size > 0 &&
	       pread(fd, &last, 1, status.st_size - 1) == 1 && last != '\n';
}

/* Sync what is left behind, and close it; until then it holds its lock. */
static void
leave(struct spoolfile *file)
{
	assert(file->left < 0);
	if (file->fd < 0)
		return;
	file->left = file->fd;
	ring_datasync(file->ring, &file->farewell, file->left);
}

static void
on_left(struct op *op, int result, uint32_t flags)
{
	struct spoolfile *file = OWNER(op, struct spoolfile, farewell);

	(void)flags;
	if (result < 0 && result != -ECANCELED)
		say_failed("fdatasync", result);
	if (result == -ECANCELED)
		return; /* spoolfile_fini() does it */
	ring_close(file->ring, file->left);
	file->left = -1;
}

/* To what is verdict.log now. Not while a write is under way; tried once. */
static void
move_on(struct spoolfile *file)
{
	int fd;

	assert(!file->is_writing);
	file->is_stale = false;
	if (file->left >= 0)
		return; /* a slow disk: at the next tick */
	fd = segment_open(file->setup.directory, file->setup.gate);
	if (fd < 0 && fd != file->open_error)
		say_not_open(fd);
	file->open_error = fd < 0 ? fd : 0;
	if (fd < 0)
		return;
	leave(file);
	file->fd = fd;
	file->is_dirty = false;
	file->is_torn = ends_torn(fd);
}

/* --- writing ----------------------------------------------------------------
 */

static void
update_full(struct spoolfile *file)
{
	bool is_full = file->has_failed || file->is_low || file->fd < 0;

	if (is_full != file->is_full)
		log_printf(is_full ? EVENT_SPOOL_FULL : EVENT_SPOOL_WORKS,
			   "lost=%llu", (unsigned long long)file->lost_count);
	file->is_full = is_full;
}

/* Octets, on a line of their own. */
static void
set_pieces(struct spoolfile *file, struct span octets)
{
	static const char newline[] = "\n";

	/* writev(2) does not write through its pieces. */
	file->pieces[0].iov_base = (void *)(uintptr_t)newline;
	file->pieces[0].iov_len = file->is_torn ? 1 : 0;
	file->pieces[1].iov_base = (void *)(uintptr_t)octets.p;
	file->pieces[1].iov_len = octets.n;
}

static void
write_octets(struct spoolfile *file, struct span octets)
{
	file->is_writing = true;
	set_pieces(file, octets);
	/* Without a file it fails, in its own time as all do. */
	ring_append(file->ring, &file->append, file->fd, file->pieces, 2);
}

/* Say how many lines were lost, if there are any. False without memory. */
static bool
format_notice(struct spoolfile *file)
{
	const struct spoolfile_lost *lost = &file->lost;

	buf_reset(&file->notice);
	return lost->count > 0 &&
	       segment_lost_format(lost->count, lost->since_us, lost->until_us,
				   &file->notice);
}

static void
write_notice(struct spoolfile *file)
{
	file->is_notice = true;
	write_octets(file, buf_span(&file->notice));
}

static void
write_next(struct spoolfile *file)
{
	if (file->is_writing)
		return;
	if (file->is_stale)
		move_on(file);
	if (!file->has_failed && format_notice(file))
		write_notice(file);
	else if (file->first != NULL)
		write_octets(file, file->first->octets);
}

/* What became of a write of n octets. A short one is what a disk that fills up
 * gives. */
static int
outcome(struct spoolfile *file, int result)
{
	size_t expected = file->pieces[0].iov_len + file->pieces[1].iov_len;

	if (file->fd < 0 && file->open_error != 0)
		return file->open_error;
	if (result < 0)
		return result;
	file->is_dirty = true;
	if ((size_t)result == expected) {
		file->is_torn = false;
		return 0;
	}
	if (result > 0)
		file->is_torn = true;
	return -ENOSPC;
}

static void
sync_later(struct spoolfile *file)
{
	if (file->is_dirty && !file->is_syncing && !timer_is_set(&file->timer))
		timer_set(file->timers, &file->timer,
			  clock_monotonic_us() + SPOOLFILE_SYNC_US);
}

static void
count_lost(struct spoolfile *file)
{
	uint64_t now_us = clock_wall_us();

	if (file->lost.count++ == 0)
		file->lost.since_us = now_us;
	file->lost.until_us = now_us;
	file->lost_count++;
	file->setup.stats->count[STAT_SPOOL_LOST]++;
}

static struct spoolfile_line *
take_first(struct spoolfile *file)
{
	struct spoolfile_line *line = file->first;

	file->first = line->next;
	if (file->first == NULL)
		file->end = &file->first;
	return line;
}

static void
on_appended(struct op *op, int result, uint32_t flags)
{
	struct spoolfile *file = OWNER(op, struct spoolfile, append);
	struct spoolfile_line *line = NULL;
	int error;

	(void)flags;
	if (result == -EINTR || result == -EAGAIN) {
		ring_append(file->ring, op, file->fd, file->pieces, 2);
		return;
	}
	error = outcome(file, result);
	sync_later(file);
	file->is_writing = false;
	file->has_failed = error != 0;
	if (!file->is_notice)
		line = take_first(file);
	else if (error == 0)
		file->lost = (struct spoolfile_lost){ 0 };
	if (line != NULL && error != 0)
		count_lost(file);
	file->is_notice = false;
	update_full(file);
	write_next(file);
	if (line != NULL)
		line->done(line, error);
}

void
spoolfile_append(struct spoolfile *file, struct spoolfile_line *line,
		 struct span octets)
{
	assert(octets.n > 0 && octets.p[octets.n - 1] == '\n');
	line->octets = octets;
	line->next = NULL;
	*file->end = line;
	file->end = &line->next;
	write_next(file);
}

/* --- time -------------------------------------------------------------------
 */

static void
on_timer(struct timer *timer)
{
	struct spoolfile *file = OWNER(timer, struct spoolfile, timer);

	if (!file->is_dirty)
		return; /* it was left */
	file->is_dirty = false;
	file->is_syncing = true;
	ring_datasync(file->ring, &file->sync, file->fd);
}

static void
on_synced(struct op *op, int result, uint32_t flags)
{
	struct spoolfile *file = OWNER(op, struct spoolfile, sync);

	(void)flags;
	file->is_syncing = false;
	if (result < 0 && result != -ECANCELED)
		say_failed("fdatasync", result);
	sync_later(file);
}

static bool
is_low(const struct spoolfile *file)
{
	struct statvfs disk;

	if (file->setup.room_min == 0 || file->fd < 0 ||
	    fstatvfs(file->fd, &disk) != 0)
		return false;
	return disk.f_bavail < file->setup.room_min / disk.f_frsize;
}

/* At most once a second, however many are lost. */
static void
say_lost(struct spoolfile *file)
{
	if (file->lost_count == file->lost_said)
		return;
	log_printf(EVENT_SPOOL_LOST, "lost=%llu",
		   (unsigned long long)file->lost_count);
	file->lost_said = file->lost_count;
}

/* Whether verdict.log is another file. If somebody has renamed or deleted ours
 * there is none until the keeper makes one: who made one before would hide from
 * it that ours is the one to come before, and would wait for the disk. */
static bool
is_stale(const struct spoolfile *file)
{
	if (file->fd < 0)
		return true;
	if (segment_is_live(file->setup.directory, file->fd))
		return false;
	return faccessat(file->setup.directory, SEGMENT_LIVE, F_OK, 0) == 0;
}

void
spoolfile_tick(struct spoolfile *file)
{
	file->is_stale = is_stale(file);
	if (file->is_stale && !file->is_writing)
		move_on(file);
	file->is_low = is_low(file);
	update_full(file);
	/* Whether there is room again. */
	if (!file->is_writing && format_notice(file))
		write_notice(file);
	say_lost(file);
}

/* --- its life ---------------------------------------------------------------
 */

void
spoolfile_init(struct spoolfile *file, struct ring *ring, struct timers *timers,
	       const struct spoolfile_setup *setup)
{
	*file = (struct spoolfile){
		.ring = ring,
		.timers = timers,
		.setup = *setup,
		.fd = -1,
		.left = -1,
		.append.done = on_appended,
		.sync.done = on_synced,
		.farewell.done = on_left,
		.timer.fire = on_timer,
	};
	file->end = &file->first;
	buf_init(&file->notice, NOTICE_MAX);
	move_on(file);
	file->is_low = is_low(file);
	update_full(file);
}

/* The last chance to tell of them. */
static void
tell_lost(struct spoolfile *file)
{
	struct iovec pieces[2];

	if (file->fd < 0 || !format_notice(file))
		return;
	set_pieces(file, buf_span(&file->notice));
	/* gcc 12 with sanitizers takes file->pieces for 8 octets. */
	memcpy(pieces, file->pieces, sizeof(pieces));
	if (writev(file->fd, pieces, 2) < 0)
		say_failed("writev", -errno);
}

static void
sync_and_close(int fd)
{
	if (fd < 0)
		return;
	if (fdatasync(fd) != 0)
		say_failed("fdatasync", -errno);
	close(fd);
}

void
spoolfile_fini(struct spoolfile *file)
{
	timer_clear(file->timers, &file->timer);
	say_lost(file);
	tell_lost(file);
	sync_and_close(file->left);
	sync_and_close(file->fd);
	file->left = file->fd = -1;
	buf_fini(&file->notice);
}
