/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spoolfile: the worker's side of the verdict log.
 */
#include "proxy/spoolfile.h"

#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/owner.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int
check(int fd, uid_t owner, gid_t group)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_nlink != 1)
		return -ELOOP;
	/* Ours and new: whoever we shall be must be able to rotate it. */
	if (geteuid() == 0 && status.st_uid == 0 && owner != 0 &&
	    fchown(fd, owner, group) != 0)
		return -errno;
	return 0;
}

int
spoolfile_open(const char *directory, uid_t owner, gid_t group,
	       struct buf *faults)
{
	int folder = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = -1;
	int result;

	if (folder >= 0)
		fd = openat(folder, SPOOLFILE_NAME,
			    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
				    O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
			    0640);
	result = fd < 0 ? -errno : check(fd, owner, group);
	if (folder >= 0)
		close(folder);
	if (result == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	buf_printf(faults, "cannot open the verdict log %s/%s: %s\n", directory,
		   SPOOLFILE_NAME,
		   result == -ELOOP ? "not a plain file with one name"
				    : strerror(-result));
	return -1;
}

static void
write_line(struct spoolfile *file, const struct spoolfile_line *line)
{
	struct span octets = line->octets;
	static const char newline[] = "\n";

	/* writev(2) does not write through its pieces. */
	file->pieces[0].iov_base = (void *)(uintptr_t)newline;
	file->pieces[0].iov_len = file->is_torn ? 1 : 0;
	file->pieces[1].iov_base = (void *)(uintptr_t)octets.p;
	file->pieces[1].iov_len = octets.n;
	ring_append(file->ring, &file->append, file->fd, file->pieces, 2);
}

/* What became of the write of a line of n octets. A short one is what a disk
 * that fills up gives. */
static int
outcome(struct spoolfile *file, int result, size_t n)
{
	size_t expected = n + (file->is_torn ? 1 : 0);

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
on_appended(struct op *op, int result, uint32_t flags)
{
	struct spoolfile *file = OWNER(op, struct spoolfile, append);
	struct spoolfile_line *line = file->first;
	int error;

	(void)flags;
	if (result == -EINTR || result == -EAGAIN) {
		write_line(file, line);
		return;
	}
	error = outcome(file, result, line->octets.n);
	sync_later(file);
	file->first = line->next;
	if (file->first != NULL)
		write_line(file, file->first);
	else
		file->end = &file->first;
	line->done(line, error);
}

static void
on_timer(struct timer *timer)
{
	struct spoolfile *file = OWNER(timer, struct spoolfile, timer);

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
		log_printf(EVENT_SPOOL_FAILED, "call=fdatasync error=\"%s\"",
			   strerror(-result));
	sync_later(file);
}

void
spoolfile_init(struct spoolfile *file, struct ring *ring, struct timers *timers,
	       int fd)
{
	*file = (struct spoolfile){
		.ring = ring,
		.timers = timers,
		.fd = fd,
		.append.done = on_appended,
		.sync.done = on_synced,
		.timer.fire = on_timer,
	};
	file->end = &file->first;
}

void
spoolfile_append(struct spoolfile *file, struct spoolfile_line *line,
		 struct span octets)
{
	bool is_idle = file->first == NULL;

	assert(octets.n > 0 && octets.p[octets.n - 1] == '\n');
	line->octets = octets;
	line->next = NULL;
	*file->end = line;
	file->end = &line->next;
	if (is_idle)
		write_line(file, line);
}

void
spoolfile_fini(struct spoolfile *file)
{
	timer_clear(file->timers, &file->timer);
	if (file->is_dirty && fdatasync(file->fd) != 0)
		log_printf(EVENT_SPOOL_FAILED, "call=fdatasync error=\"%s\"",
			   strerror(errno));
}
