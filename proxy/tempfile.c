/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tempfile: the part of a message body that does not stay in memory.
 */
#include "proxy/tempfile.h"

#include "proxy/owner.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define AT_ONCE 1

/* For file systems without O_TMPFILE (overlayfs of older kernels, NFS). */
static int
open_unlinked(int directory)
{
	uint64_t number;
	char name[64];
	int fd;

	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		return -errno;
	snprintf(name, sizeof(name), ".dmarcgate-%016llx",
		 (unsigned long long)number);
	fd = openat(directory, name,
		    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	unlinkat(directory, name, 0);
	return fd;
}

static int
open_nameless(int directory)
{
	int fd = openat(directory, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	if (errno == EOPNOTSUPP || errno == EISDIR)
		return open_unlinked(directory);
	return -errno;
}

int
tempfile_directory(const char *directory, struct buf *faults)
{
	int folder = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = folder < 0 ? -errno : open_nameless(folder);

	if (fd >= 0) {
		close(fd);
		return folder;
	}
	if (folder >= 0)
		close(folder);
	buf_printf(faults, "cannot keep message bodies in %s: %s\n", directory,
		   strerror(-fd));
	return -1;
}

/* Whatever uses the file has ended. */
static void
destroy(struct tempfile *file)
{
	timer_clear(file->shared->timers, &file->timer);
	if (file->fd >= 0)
		ring_close(file->shared->ring, file->fd);
	file->shared->octets -= file->charged;
	free(file->buffer);
	free(file);
}

static void
destroy_if_unused(struct tempfile *file)
{
	if (file->is_dropped && !file->is_writing && !file->is_reading &&
	    !file->is_telling)
		destroy(file);
}

static void
tell_written(struct tempfile *file, int error)
{
	file->is_writing = false;
	file->is_telling = true;
	file->events->written(file, error);
	file->is_telling = false;
	destroy_if_unused(file);
}

static void
tell_read(struct tempfile *file, int error)
{
	struct span octets = SPAN_NONE;

	if (error == 0)
		octets = span_make(file->buffer, file->held);
	file->is_reading = false;
	file->is_telling = true;
	if (!file->is_dropped)
		file->events->read(file, error, octets);
	file->is_telling = false;
	destroy_if_unused(file);
}

static void
on_timer(struct timer *timer)
{
	struct tempfile *file = OWNER(timer, struct tempfile, timer);

	tell_written(file, file->error);
}

static void
write_some(struct tempfile *file)
{
	ring_write(file->shared->ring, &file->write, file->fd, file->left,
		   file->write_at);
}

static void
on_written(struct op *op, int result, uint32_t flags)
{
	struct tempfile *file = OWNER(op, struct tempfile, write);

	(void)flags;
	if (result == -EINTR || result == -EAGAIN)
		result = 0;
	else if (result == 0)
		result = -ENOSPC; /* nothing taken: as write(2) at a limit */
	if (result < 0) {
		tell_written(file, result);
		return;
	}
	file->left = span_after(file->left, (size_t)result);
	file->write_at += (uint64_t)result;
	if (file->left.n > 0)
		write_some(file);
	else
		tell_written(file, 0);
}

static void
read_some(struct tempfile *file)
{
	ring_read(file->shared->ring, &file->read, file->fd,
		  file->buffer + file->held, file->length - file->held,
		  file->read_at + file->held);
}

static void
on_read(struct op *op, int result, uint32_t flags)
{
	struct tempfile *file = OWNER(op, struct tempfile, read);

	(void)flags;
	if (result == -EINTR || result == -EAGAIN)
		result = 0;
	else if (result == 0)
		result = -EIO; /* beyond what was written */
	if (result < 0) {
		tell_read(file, result);
		return;
	}
	file->held += (size_t)result;
	if (file->held < file->length)
		read_some(file);
	else
		tell_read(file, 0);
}

struct tempfile *
tempfile_new(struct tempfiles *shared, const struct tempfile_events *events,
	     void *owner)
{
	struct tempfile *file = calloc(1, sizeof(*file));

	if (file == NULL)
		return NULL;
	file->shared = shared;
	file->events = events;
	file->owner = owner;
	file->fd = -1;
	file->write.done = on_written;
	file->read.done = on_read;
	file->timer.fire = on_timer;
	return file;
}

/* Charge it and have a file to write to; a negative errno. */
static int
prepare(struct tempfile *file, size_t n)
{
	struct tempfiles *shared = file->shared;

	if (n > shared->octets_max - shared->octets)
		return -EDQUOT;
	if (file->fd < 0) {
		int fd = open_nameless(shared->directory);

		if (fd < 0)
			return fd;
		file->fd = fd;
	}
	shared->octets += n;
	file->charged += n;
	return 0;
}

void
tempfile_write(struct tempfile *file, struct span octets, uint64_t offset)
{
	assert(!file->is_writing && !file->is_dropped);
	assert(octets.n > 0);
	file->is_writing = true;
	file->left = octets;
	file->write_at = offset;
	file->error = prepare(file, octets.n);
	if (file->error == 0)
		write_some(file);
	else
		timer_set(file->shared->timers, &file->timer, AT_ONCE);
}

void
tempfile_read(struct tempfile *file, uint64_t offset, size_t length)
{
	uint8_t *buffer;

	assert(!file->is_reading && !file->is_dropped);
	assert(length > 0);
	buffer = realloc(file->buffer, length);
	if (buffer != NULL)
		file->buffer = buffer;
	file->is_reading = true;
	file->read_at = offset;
	file->held = 0;
	/* Without memory for all, read into what there is from before, or
	 * nothing: a read of no octets tells -EIO. */
	file->length = buffer == NULL ? 0 : length;
	read_some(file);
}

void
tempfile_drop(struct tempfile *file)
{
	assert(!file->is_dropped);
	file->is_dropped = true;
	destroy_if_unused(file);
}
