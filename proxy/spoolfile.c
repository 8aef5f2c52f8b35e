/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spoolfile: the worker's side of the verdict log.
 *
 * Opening is done by plain system calls: it happens when a segment is rotated,
 * and waits for nothing but, at the start and where verdict.log is not there,
 * for its making. So is writing (spoolfile.h says why); only what waits for the
 * disk by its nature, fdatasync, goes through the ring.
 */
#include "proxy/spoolfile.h"

#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/owner.h"

#include <assert.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define NOTICE_MAX 256

/* In one call. More than sessions come to their end in most turns. */
#define LINES_AT_ONCE 32

/* Due when the turn of the loop ends. */
#define AT_ONCE 1

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

/* To what is verdict.log now; tried once. */
static void
move_on(struct spoolfile *file)
{
	int fd;

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
sync_later(struct spoolfile *file)
{
	if (file->is_dirty && !file->is_syncing &&
	    !timer_is_set(&file->sync_at))
		timer_set(file->timers, &file->sync_at,
			  clock_monotonic_us() + SPOOLFILE_SYNC_US);
}

/* Behind a torn line, on lines of their own: the octets of pieces[1] on. How
 * many of them were written, or a negative errno. */
static ssize_t
write_pieces(struct spoolfile *file, struct iovec *pieces, int count)
{
	static const char newline[] = "\n";
	size_t before = file->is_torn ? 1 : 0;
	ssize_t written;

	if (file->fd < 0)
		return file->open_error;
	/* writev(2) does not write through its pieces. */
	pieces[0].iov_base = (void *)(uintptr_t)newline;
	pieces[0].iov_len = before;
	do {
		written = writev(file->fd, pieces, count);
	} while (written < 0 && errno == EINTR);
	if (written < 0)
		return -errno;
	file->is_dirty = true;
	sync_later(file);
	return (size_t)written > before ? written - (ssize_t)before : 0;
}

static void
set_piece(struct iovec *piece, struct span octets)
{
	piece->iov_base = (void *)(uintptr_t)octets.p;
	piece->iov_len = octets.n;
}

/* How many lines were lost, where any were. */
static void
tell_lost(struct spoolfile *file)
{
	struct span notice;
	struct iovec pieces[2];
	ssize_t written;

	if (!format_notice(file))
		return;
	notice = buf_span(&file->notice);
	set_piece(&pieces[1], notice);
	written = write_pieces(file, pieces, 2);
	file->has_failed = written != (ssize_t)notice.n;
	if (written > 0)
		file->is_torn = file->has_failed;
	if (!file->has_failed)
		file->lost = (struct spoolfile_lost){ 0 };
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

/* As many of the lines as one call may take. Sets what became of those that
 * were written and of the first that was not, and gives the one behind. A short
 * write is what a disk that fills up gives. */
static struct spoolfile_line *
write_lines(struct spoolfile *file, struct spoolfile_line *first)
{
	struct iovec pieces[1 + LINES_AT_ONCE];
	struct spoolfile_line *line = first;
	ssize_t written;
	int count = 1;

	for (; line != NULL && count <= LINES_AT_ONCE; line = line->next)
		set_piece(&pieces[count++], line->octets);
	written = write_pieces(file, pieces, count);
	for (line = first; --count > 0; line = line->next) {
		line->error = 0;
		if (written < (ssize_t)line->octets.n)
			break;
		written -= (ssize_t)line->octets.n;
		file->is_torn = false;
	}
	file->has_failed = count > 0;
	if (count == 0)
		return line;
	if (written > 0)
		file->is_torn = true;
	line->error = written < 0 ? (int)written : -ENOSPC;
	count_lost(file);
	return line->next;
}

/* Lines that are given while others are told of theirs come with the next
 * turn. */
static void
on_flush(struct timer *timer)
{
	struct spoolfile *file = OWNER(timer, struct spoolfile, flush_at);
	struct spoolfile_line *first = file->first;

	file->first = NULL;
	file->end = &file->first;
	if (file->is_stale)
		move_on(file);
	for (struct spoolfile_line *left = first; left != NULL;)
		left = write_lines(file, left);
	if (!file->has_failed)
		tell_lost(file);
	update_full(file);
	while (first != NULL) {
		struct spoolfile_line *line = first;

		first = line->next;
		line->done(line, line->error);
	}
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
	timer_set(file->timers, &file->flush_at, AT_ONCE);
}

/* --- time -------------------------------------------------------------------
 */

static void
on_sync_due(struct timer *timer)
{
	struct spoolfile *file = OWNER(timer, struct spoolfile, sync_at);

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
	if (file->is_stale)
		move_on(file);
	file->is_low = is_low(file);
	tell_lost(file); /* whether there is room again */
	update_full(file);
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
		.sync.done = on_synced,
		.farewell.done = on_left,
		.flush_at.fire = on_flush,
		.sync_at.fire = on_sync_due,
	};
	file->end = &file->first;
	buf_init(&file->notice, NOTICE_MAX);
	move_on(file);
	file->is_low = is_low(file);
	update_full(file);
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
	say_lost(file);
	tell_lost(file); /* the last chance */
	timer_clear(file->timers, &file->flush_at);
	timer_clear(file->timers, &file->sync_at);
	sync_and_close(file->left);
	sync_and_close(file->fd);
	file->left = file->fd = -1;
	buf_fini(&file->notice);
}
