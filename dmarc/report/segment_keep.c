/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * segment_keep: what the keeper of a spool directory does with its segments.
 */
#include "dmarc/report/gzip.h"
#include "dmarc/report/segment_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

/* Who may read a file may lock it: readers must not lock out the keeper. */
#define KEEPER ".keeper"

/* --- rotating ----------------------------------------------------------- */

int
segment_keep(int directory)
{
	int fd = openat(directory, KEEPER,
			O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
			0600);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return segment_file_close(fd, -errno);
	return fd;
}

/* Whether a name is free for a file, or that file's already. */
static bool
is_free_for(int directory, const char *name, const struct stat *file)
{
	struct stat other;

	return fstatat(directory, name, &other, AT_SYMLINK_NOFOLLOW) != 0 ||
	       segment_file_is_same(&other, file);
}

/* What the file that is verdict.log is to be known by: its head, unless it has
 * none, or is a copy of a segment that was rotated. */
static int
live_head(int directory, int fd, struct segment_head *head)
{
	char plain[SEGMENT_NAME_MAX], compressed[SEGMENT_NAME_MAX];
	struct segment_head last;
	struct stat ours;
	int result;

	if (fstat(fd, &ours) != 0)
		return -errno;
	if (segment_head_read(fd, head)) {
		segment_name(head, false, plain);
		segment_name(head, true, compressed);
		if (is_free_for(directory, plain, &ours) &&
		    is_free_for(directory, compressed, &ours))
			return 0;
	}
	result = segment_file_last(directory, &last);
	return result == 0 ? segment_file_next(&last, head) : result;
}

/* Give the live file its second name; it must still be that file. */
static int
link_rotated(int directory, int fd, const struct segment_head *head)
{
	char name[SEGMENT_NAME_MAX];
	struct stat linked, ours;

	segment_name(head, false, name);
	if (linkat(directory, SEGMENT_LIVE, directory, name, 0) != 0 &&
	    errno != EEXIST)
		return -errno;
	if (fstatat(directory, name, &linked, AT_SYMLINK_NOFOLLOW) != 0 ||
	    fstat(fd, &ours) != 0)
		return -errno;
	if (segment_file_is_same(&linked, &ours))
		return 0;
	unlinkat(directory, name, 0);
	return -EAGAIN;
}

static int
replace_live(int directory, int fd, const struct segment_head *old,
	     struct span gate)
{
	char name[SEGMENT_NAME_MAX];
	struct segment_head head;
	int result = segment_file_next(old, &head);

	if (result == 0)
		result = segment_file_unfinished(directory, &head, gate, name);
	if (result != 0)
		return result;
	result = link_rotated(directory, fd, old);
	if (result == 0 &&
	    renameat(directory, name, directory, SEGMENT_LIVE) != 0)
		result = -errno;
	if (result != 0)
		unlinkat(directory, name, 0);
	return result == 0 ? segment_file_sync(directory) : result;
}

int
segment_rotate(int directory, struct span gate)
{
	int fd = segment_file_open(directory, SEGMENT_LIVE, O_RDONLY);
	struct segment_head old;
	int result;

	if (fd < 0)
		return fd;
	result = live_head(directory, fd, &old);
	if (result == 0)
		result = replace_live(directory, fd, &old, gate);
	return segment_file_close(fd, result);
}

int
segment_rescue(int directory, int fd)
{
	char name[SEGMENT_NAME_MAX], ours[64];
	struct segment_head head;
	int result = live_head(directory, fd, &head);

	if (result != 0)
		return result;
	segment_name(&head, false, name);
	/* AT_EMPTY_PATH would be for root alone. */
	snprintf(ours, sizeof(ours), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, ours, directory, name, AT_SYMLINK_FOLLOW) != 0 &&
	    errno != EEXIST)
		return -errno;
	return segment_file_sync(directory);
}

/* --- closing ------------------------------------------------------------ */

/* How a file ends. */
struct ending {
	bool is_closed; /* with the last line of a segment */
	bool is_torn;   /* with a line that has no LF */
};

static int
read_ending(int fd, const char *uuid, struct ending *ending)
{
	uint8_t octets[SEGMENT_FRAME_MAX];
	struct stat status;
	uint64_t from = 0;
	struct span text;
	size_t start;
	ssize_t n;

	*ending = (struct ending){ 0 };
	if (fstat(fd, &status) != 0)
		return -errno;
	if (status.st_size > SEGMENT_FRAME_MAX)
		from = (uint64_t)status.st_size - SEGMENT_FRAME_MAX;
	n = segment_file_read(fd, octets, from);
	if (n <= 0)
		return (int)n;
	text = span_make(octets, (size_t)n);
	ending->is_torn = text.p[text.n - 1] != '\n';
	if (ending->is_torn)
		return 0;
	text.n--;
	for (start = text.n; start > 0 && text.p[start - 1] != '\n';)
		start--;
	ending->is_closed = segment_is_end(span_after(text, start), uuid);
	return 0;
}

static int
write_end(int fd, const char *uuid)
{
	struct ending ending;
	struct buf line;
	int result = read_ending(fd, uuid, &ending);

	if (result != 0 || ending.is_closed)
		return result;
	buf_init(&line, SEGMENT_FRAME_MAX);
	if (ending.is_torn)
		buf_append_octet(&line, '\n');
	result = -ENOMEM;
	if (segment_end_format(uuid, segment_file_now_us(), &line))
		result = segment_file_write(fd, buf_span(&line));
	buf_fini(&line);
	if (result == 0 && fsync(fd) != 0)
		result = -errno;
	return result;
}

int
segment_close(int directory, const struct segment *segment)
{
	int fd;

	if (segment->form == SEGMENT_IS_COMPRESSED)
		return 0;
	assert(segment->form == SEGMENT_IS_ROTATED);
	fd = segment_file_open(directory, segment->name, O_RDWR | O_APPEND);
	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return segment_file_close(fd, -errno);
	return segment_file_close(fd, write_end(fd, segment->head.uuid));
}

bool
segment_is_closed(int directory, const struct segment *segment)
{
	struct ending ending = { 0 };
	int fd;

	if (segment->form != SEGMENT_IS_ROTATED)
		return segment->form == SEGMENT_IS_COMPRESSED;
	fd = segment_file_open(directory, segment->name, O_RDONLY);
	if (fd < 0)
		return false;
	read_ending(fd, segment->head.uuid, &ending);
	close(fd);
	return ending.is_closed;
}

/* --- compressing -------------------------------------------------------- */

static int
compress_into(int directory, const struct segment *segment, const char *name)
{
	int from = segment_file_open(directory, segment->name, O_RDONLY);
	int to, result;

	if (from < 0)
		return from;
	to = segment_file_make(directory, name);
	if (to < 0)
		return segment_file_close(from, to);
	result = gzip_compress(from, to);
	if (result == 0 && fsync(to) != 0)
		result = -errno;
	close(to);
	return segment_file_close(from, result);
}

int
segment_compress(int directory, const struct segment *segment)
{
	char unfinished[SEGMENT_NAME_MAX], name[SEGMENT_NAME_MAX];
	int result;

	assert(segment->form == SEGMENT_IS_ROTATED);
	segment_file_unfinished_name(segment->head.uuid, unfinished);
	segment_name(&segment->head, true, name);
	unlinkat(directory, unfinished, 0);
	result = compress_into(directory, segment, unfinished);
	if (result == 0 &&
	    renameat(directory, unfinished, directory, name) != 0)
		result = -errno;
	if (result == 0)
		result = segment_file_sync(directory);
	if (result != 0) {
		unlinkat(directory, unfinished, 0);
		return result;
	}
	return unlinkat(directory, segment->name, 0) == 0 ? 0 : -errno;
}

int
segment_remove(int directory, const struct segment *segment)
{
	char name[SEGMENT_NAME_MAX];

	assert(segment->form != SEGMENT_IS_LIVE);
	segment_name(&segment->head, segment->form == SEGMENT_IS_ROTATED, name);
	unlinkat(directory, name, 0); /* the other form, if there is one */
	return unlinkat(directory, segment->name, 0) == 0 ? 0 : -errno;
}

/* --- mending ------------------------------------------------------------ */

struct mending {
	int directory;
	bool has_live;
	struct stat live;
};

/* A segment in two forms: the compressed one is made again. */
static int
mend_compressed(const struct mending *mending, const char *name,
		const struct segment_head *head)
{
	char plain[SEGMENT_NAME_MAX];
	struct stat status;

	segment_name(head, false, plain);
	if (fstatat(mending->directory, plain, &status, AT_SYMLINK_NOFOLLOW) !=
	    0)
		return 0;
	return unlinkat(mending->directory, name, 0) == 0 ? 0 : -errno;
}

/* The second name of what still is verdict.log. */
static int
mend_rotated(const struct mending *mending, const char *name)
{
	struct stat status;

	if (!mending->has_live ||
	    fstatat(mending->directory, name, &status, AT_SYMLINK_NOFOLLOW) !=
		    0 ||
	    !segment_file_is_same(&status, &mending->live))
		return 0;
	return unlinkat(mending->directory, name, 0) == 0 ? 0 : -errno;
}

static int
mend_name(void *owner, const char *name)
{
	const struct mending *mending = owner;
	struct segment_head head;
	enum segment_form form;

	if (span_starts(span_cstr(name), SPAN_LIT(SEGMENT_UNFINISHED)))
		return unlinkat(mending->directory, name, 0) == 0 ||
				       errno == ENOENT
			       ? 0
			       : -errno;
	if (!segment_name_parse(name, &head, &form))
		return 0;
	return form == SEGMENT_IS_COMPRESSED
		       ? mend_compressed(mending, name, &head)
		       : mend_rotated(mending, name);
}

int
segment_mend(int directory)
{
	struct mending mending = { .directory = directory };

	mending.has_live = fstatat(directory, SEGMENT_LIVE, &mending.live,
				   AT_SYMLINK_NOFOLLOW) == 0;
	return segment_file_each(directory, mend_name, &mending);
}
