/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/report/segment_file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define MODE 0640

/* --- small things ------------------------------------------------------- */

uint64_t
segment_file_now_us(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* RFC 9562 5.4 */
static int
make_uuid(char uuid[SEGMENT_UUID_N + 1])
{
	uint8_t octets[16];
	size_t n = 0;

	if (getrandom(octets, sizeof(octets), 0) != (ssize_t)sizeof(octets))
		return -EIO;
	octets[6] = (uint8_t)((octets[6] & 0x0f) | 0x40);
	octets[8] = (uint8_t)((octets[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(octets); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			uuid[n++] = '-';
		snprintf(uuid + n, 3, "%02x", octets[i]);
		n += 2;
	}
	assert(n == SEGMENT_UUID_N);
	return 0;
}

int
segment_file_close(int fd, int result)
{
	close(fd);
	return result;
}

int
segment_file_directory(int directory)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int
segment_file_sync(int directory)
{
	int fd = segment_file_directory(directory);

	if (fd < 0)
		return fd;
	return segment_file_close(fd, fsync(fd) == 0 ? 0 : -errno);
}

bool
segment_file_is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int
segment_file_open(int directory, const char *name, int flags)
{
	int fd = openat(directory, name,
			flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	if (fd < 0)
		return errno == EISDIR || errno == ENXIO ? -ELOOP : -errno;
	if (fstat(fd, &status) != 0)
		return segment_file_close(fd, -errno);
	if (!S_ISREG(status.st_mode))
		return segment_file_close(fd, -ELOOP);
	/* Not to wait for a FIFO was all that O_NONBLOCK was for. */
	if (fcntl(fd, F_SETFL, flags & O_APPEND) != 0)
		return segment_file_close(fd, -errno);
	return fd;
}

int
segment_file_write(int fd, struct span octets)
{
	ssize_t n;

	do
		n = write(fd, octets.p, octets.n);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == octets.n ? 0 : -ENOSPC;
}

ssize_t
segment_file_read(int fd, uint8_t octets[SEGMENT_FRAME_MAX], uint64_t offset)
{
	ssize_t n;

	do
		n = pread(fd, octets, SEGMENT_FRAME_MAX, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int
segment_file_each(int directory, int (*call)(void *owner, const char *name),
		  void *owner)
{
	int fd = segment_file_directory(directory);
	DIR *names = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int result = 0;

	if (fd < 0)
		return fd;
	if (names == NULL)
		return segment_file_close(fd, -errno);
	while (result == 0 && (errno = 0, entry = readdir(names)) != NULL)
		result = call(owner, entry->d_name);
	if (result == 0)
		result = -errno;
	closedir(names);
	return result;
}

/* --- making files ------------------------------------------------------- */

void
segment_file_unfinished_name(const char *uuid, char name[SEGMENT_NAME_MAX])
{
	snprintf(name, SEGMENT_NAME_MAX, SEGMENT_UNFINISHED "%.36s.new", uuid);
}

int
segment_file_next(const struct segment_head *last, struct segment_head *head)
{
	*head = (struct segment_head){ .opened_us = segment_file_now_us() };
	memcpy(head->previous, last->uuid, sizeof(head->previous));
	if (head->opened_us <= last->opened_us)
		head->opened_us = last->opened_us + 1;
	return make_uuid(head->uuid);
}

int
segment_file_make(int directory, const char *name)
{
	int fd = openat(directory, name,
			O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			MODE);

	if (fd < 0)
		return -errno;
	/* Whatever the umask says: readers are in the file's group. */
	if (fchmod(fd, MODE) != 0)
		return segment_file_close(fd, -errno);
	return fd;
}

static int
write_head(int fd, const struct segment_head *head, struct span gate)
{
	struct buf line;
	int result = -ENOMEM;

	buf_init(&line, SEGMENT_FRAME_MAX);
	if (segment_head_format(head, gate, &line))
		result = segment_file_write(fd, buf_span(&line));
	buf_fini(&line);
	if (result == 0 && fsync(fd) != 0)
		result = -errno;
	return result;
}

int
segment_file_unfinished(int directory, const struct segment_head *head,
			struct span gate, char name[SEGMENT_NAME_MAX])
{
	int fd, result;

	segment_file_unfinished_name(head->uuid, name);
	fd = segment_file_make(directory, name);
	if (fd < 0)
		return fd;
	result = segment_file_close(fd, write_head(fd, head, gate));
	if (result != 0)
		unlinkat(directory, name, 0);
	return result;
}
