/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * segment: the segments there are, and the live one for those who write.
 */
#include "dmarc/report/segment.h"

#include "dmarc/report/gzip.h"
#include "dmarc/report/segment_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Others may change the directory at the same time: how often that is met with
 * another try. Nobody does so in a loop. */
#define TRIES 30
#define MISSING_TIMES 3

/* --- heads and ends ----------------------------------------------------- */

static bool
parse_first(const uint8_t *octets, ssize_t n, struct segment_head *head)
{
	struct span text = span_make(octets, n < 0 ? 0 : (size_t)n);
	size_t length = span_find(text, '\n');

	*head = (struct segment_head){ 0 };
	return length < text.n &&
	       segment_head_parse(span_first(text, length), head);
}

bool
segment_head_read(int fd, struct segment_head *head)
{
	uint8_t octets[SEGMENT_FRAME_MAX];

	return parse_first(octets, segment_file_read(fd, octets, 0), head);
}

static bool
read_compressed_head(int fd, struct segment_head *head)
{
	struct gzip_reader *reader = gzip_reader_new(fd);
	uint8_t octets[SEGMENT_FRAME_MAX];
	ssize_t n = -ENOMEM;

	if (reader != NULL)
		n = gzip_read(reader, octets, sizeof(octets));
	gzip_reader_free(reader);
	return parse_first(octets, n, head);
}

/* --- the list ----------------------------------------------------------- */

struct gathering {
	int directory;
	struct segment *list;
	size_t count, room;
	bool has_live;
	struct stat live; /* which file verdict.log is */
};

static int
add(struct gathering *gathering, const struct segment *segment)
{
	if (gathering->count == gathering->room) {
		size_t room = gathering->room == 0 ? 64 : 2 * gathering->room;
		struct segment *list =
			reallocarray(gathering->list, room, sizeof(*list));

		if (list == NULL)
			return -ENOMEM;
		gathering->list = list;
		gathering->room = room;
	}
	gathering->list[gathering->count++] = *segment;
	return 0;
}

static void
take_status(const struct stat *status, struct segment *segment)
{
	segment->octets = (uint64_t)status->st_size;
	segment->written_us = (uint64_t)status->st_mtim.tv_sec * 1000000 +
			      (uint64_t)status->st_mtim.tv_nsec / 1000;
}

static int
add_live(struct gathering *gathering)
{
	struct segment live = { .form = SEGMENT_IS_LIVE, .name = SEGMENT_LIVE };
	int fd =
		segment_file_open(gathering->directory, SEGMENT_LIVE, O_RDONLY);

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	if (fstat(fd, &gathering->live) != 0)
		return segment_file_close(fd, -errno);
	gathering->has_live = true;
	take_status(&gathering->live, &live);
	segment_head_read(fd, &live.head);
	return segment_file_close(fd, add(gathering, &live));
}

/* What only its first line says. */
static void
read_previous(int fd, struct segment *segment)
{
	struct segment_head head;
	bool is_good = segment->form == SEGMENT_IS_COMPRESSED
			       ? read_compressed_head(fd, &head)
			       : segment_head_read(fd, &head);

	if (is_good && strcmp(head.uuid, segment->head.uuid) == 0)
		segment->head = head;
}

/* Open a segment in the form its name says, or, if it was compressed just now,
 * in the other. */
static int
open_either(int directory, struct segment *segment)
{
	int fd = segment_file_open(directory, segment->name, O_RDONLY);

	if (fd != -ENOENT || segment->form == SEGMENT_IS_COMPRESSED)
		return fd;
	segment->form = SEGMENT_IS_COMPRESSED;
	segment_name(&segment->head, true, segment->name);
	return segment_file_open(directory, segment->name, O_RDONLY);
}

static int
add_rotated(struct gathering *gathering, const char *name)
{
	struct segment segment = { 0 };
	struct stat status;
	int fd;

	if (!segment_name_parse(name, &segment.head, &segment.form))
		return 0;
	snprintf(segment.name, sizeof(segment.name), "%s", name);
	fd = open_either(gathering->directory, &segment);
	if (fd == -ENOENT || fd == -ELOOP)
		return 0; /* deleted just now; or not ours */
	if (fd == -EACCES)
		return add(gathering, &segment); /* all its name says */
	if (fd < 0)
		return fd;
	if (fstat(fd, &status) != 0)
		return segment_file_close(fd, -errno);
	/* In the middle of a rotation it has both names. */
	if (gathering->has_live &&
	    segment_file_is_same(&status, &gathering->live))
		return segment_file_close(fd, 0);
	take_status(&status, &segment);
	read_previous(fd, &segment);
	return segment_file_close(fd, add(gathering, &segment));
}

static int
on_name(void *owner, const char *name)
{
	return add_rotated(owner, name);
}

static int
by_opening(const void *left, const void *right)
{
	const struct segment *a = left, *b = right;
	int order = (a->form == SEGMENT_IS_LIVE) - (b->form == SEGMENT_IS_LIVE);

	if (order != 0)
		return order;
	if (a->head.opened_us != b->head.opened_us)
		return a->head.opened_us < b->head.opened_us ? -1 : 1;
	order = strcmp(a->head.uuid, b->head.uuid);
	return order != 0 ? order : (int)a->form - (int)b->form;
}

/* Of two forms of one segment the first stays. The live one, which may be a
 * copy of an old one, is no form of it. */
static void
drop_doubles(struct gathering *gathering)
{
	struct segment *list = gathering->list;
	size_t kept = 0;

	for (size_t i = 0; i < gathering->count; i++)
		if (kept == 0 || list[i].form == SEGMENT_IS_LIVE ||
		    strcmp(list[i].head.uuid, list[kept - 1].head.uuid) != 0)
			list[kept++] = list[i];
	gathering->count = kept;
}

static int
gather(struct gathering *gathering)
{
	int result;

	/* Before the names are read: what was rotated until now is among them.
	 */
	result = add_live(gathering);
	if (result == 0)
		result = segment_file_each(gathering->directory, on_name,
					   gathering);
	if (result != 0)
		return result;
	if (gathering->count > 0)
		qsort(gathering->list, gathering->count, sizeof(struct segment),
		      by_opening);
	drop_doubles(gathering);
	return 0;
}

/* Whether verdict.log is still what it was. */
static bool
is_current(const struct gathering *gathering)
{
	struct stat live;
	bool has_live = fstatat(gathering->directory, SEGMENT_LIVE, &live,
				AT_SYMLINK_NOFOLLOW) == 0;

	return has_live == gathering->has_live &&
	       (!has_live || segment_file_is_same(&live, &gathering->live));
}

/* The first segment that another one names and that is not there; or none. */
static const char *
missing(const struct gathering *gathering)
{
	const struct segment *list = gathering->list;

	for (size_t i = 1; i < gathering->count; i++)
		if (list[i].head.previous[0] != '\0' &&
		    strcmp(list[i].head.previous, list[i - 1].head.uuid) != 0)
			return list[i].head.previous;
	return "";
}

/*
 * A directory that is read while it changes may show neither the old name nor
 * the new one of a file. So it is read again if verdict.log has become another
 * file, or if a segment is missing in the chain; one that is missing again and
 * again is gone for good.
 */
struct doubt {
	char uuid[SEGMENT_UUID_N + 1];
	unsigned times;
};

static bool
is_settled(const struct gathering *gathering, struct doubt *doubt)
{
	const char *uuid = missing(gathering);

	if (strcmp(uuid, doubt->uuid) != 0)
		doubt->times = 0;
	snprintf(doubt->uuid, sizeof(doubt->uuid), "%s", uuid);
	doubt->times++;
	return is_current(gathering) &&
	       (uuid[0] == '\0' || doubt->times == MISSING_TIMES);
}

int
segment_list(int directory, struct segment **list, size_t *count)
{
	struct doubt doubt = { 0 };

	*list = NULL;
	*count = 0;
	for (int i = 0; i < TRIES; i++) {
		struct gathering gathering = { .directory = directory };
		int result = gather(&gathering);

		if (result == 0 && is_settled(&gathering, &doubt)) {
			*list = gathering.list;
			*count = gathering.count;
			return 0;
		}
		free(gathering.list);
		if (result != 0)
			return result;
	}
	return -EAGAIN;
}

/* --- writing ------------------------------------------------------------ */

int
segment_file_last(int directory, struct segment_head *head)
{
	struct segment *list;
	size_t count;
	int result = segment_list(directory, &list, &count);

	*head = (struct segment_head){ 0 };
	if (result != 0)
		return result;
	while (count > 0 && list[count - 1].form == SEGMENT_IS_LIVE)
		count--;
	if (count > 0)
		*head = list[count - 1].head;
	free(list);
	return 0;
}

/* Where there is no verdict.log. If somebody else makes one at the same time
 * that one it is: -EEXIST. */
static int
make_live(int directory, struct span gate)
{
	struct segment_head last, head;
	char name[SEGMENT_NAME_MAX];
	int result = segment_file_last(directory, &last);

	if (result == 0)
		result = segment_file_next(&last, &head);
	if (result == 0)
		result = segment_file_unfinished(directory, &head, gate, name);
	if (result != 0)
		return result;
	if (linkat(directory, name, directory, SEGMENT_LIVE, 0) != 0)
		result = -errno;
	unlinkat(directory, name, 0);
	return result == 0 ? segment_file_sync(directory) : result;
}

bool
segment_is_live(int directory, int fd)
{
	struct stat live, ours;

	return fstatat(directory, SEGMENT_LIVE, &live, AT_SYMLINK_NOFOLLOW) ==
		       0 &&
	       fstat(fd, &ours) == 0 && segment_file_is_same(&live, &ours);
}

int
segment_open(int directory, struct span gate)
{
	int result = -EWOULDBLOCK;

	for (int i = 0; i < TRIES; i++) {
		int fd = segment_file_open(directory, SEGMENT_LIVE,
					   O_RDWR | O_APPEND);

		if (fd == -ENOENT) {
			result = make_live(directory, gate);
			/* Others make one, or mended ours away. */
			if (result != 0 && result != -EEXIST &&
			    result != -ENOENT)
				return result;
			continue;
		}
		if (fd < 0)
			return fd;
		/* Who has the exclusive lock is closing a segment, which is not
		 * the live one any more. */
		if (flock(fd, LOCK_SH | LOCK_NB) == 0 &&
		    segment_is_live(directory, fd))
			return fd;
		result = -EWOULDBLOCK;
		close(fd);
	}
	return result;
}
