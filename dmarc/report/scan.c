/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scan: from one segment to the next, and what to do at the end of each.
 *
 * The end of a file says nothing: whoever writes to it may go on. The last
 * line of a segment does (segment.h), and so does compression, which comes
 * after that. So a segment is left for the next one only then; or if it was
 * taken away from outside, which is a loss, since nobody will put a last line
 * to it.
 */
#include "dmarc/report/scan.h"

#include "dmarc/report/json_read.h"
#include "dmarc/report/scan_list.h"
#include "dmarc/report/scan_records.h"
#include "dmarc/report/scan_source.h"
#include "dmarc/report/segment_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TRIES 10
#define LOSS_MAX 512

enum place {
	BEFORE_ALL, /* at a position, with nothing opened yet */
	AT_LAST,    /* the same, but the last segment is to be opened */
	INSIDE,     /* a segment is open */
	BEHIND_ONE  /* `last` was read, and the next one is not there yet */
};

struct scan {
	int directory;    /* -1: one file, read alone */
	char *path;       /* of that one file */
	enum place place; /* changed by enter(), leave() and scan_to_end() */
	struct segment segment; /* the one inside which we are, or were last */
	struct segment_head last; /* of these, the last one that has a UUID */
	bool is_chained;          /* the next one must name `last` */
	struct scan_list list;    /* as it was when it was last read */
	struct scan_source source;
	struct scan_records records;
	char ended[SEGMENT_UUID_N + 1]; /* in the last line that ends any */
	unsigned looks;    /* at a segment that ends without its last line */
	bool is_at_end;    /* and time passes before more is read */
	bool is_dropping;  /* the record that comes next */
	bool is_finishing; /* nothing is waited for */
	bool is_finished;  /* what was left of the live one is given */

	struct spool_position position;
	uint64_t torn, unwritten;
	char loss[LOSS_MAX];
	bool has_loss;
	int error;
};

/* --- small things ------------------------------------------------------- */

static void lose(struct scan *scan, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void
lose(struct scan *scan, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(scan->loss, sizeof(scan->loss), format, arguments);
	va_end(arguments);
	scan->has_loss = true;
}

/* Whether the last line of this segment was read. */
static bool
is_ended(const struct scan *scan)
{
	return scan->ended[0] != '\0' &&
	       strcmp(scan->ended, scan->segment.head.uuid) == 0;
}

/* What was read up to here is done with. A segment without a UUID has no
 * positions; and none is behind a last line, which is to be read again by who
 * begins there. */
static void
move_on(struct scan *scan)
{
	if (scan->segment.head.uuid[0] == '\0' || is_ended(scan))
		return;
	memcpy(scan->position.uuid, scan->segment.head.uuid,
	       sizeof(scan->position.uuid));
	scan->position.offset = scan->records.offset;
}

static void
identify(struct scan *scan, const struct segment_head *head)
{
	scan->segment.head = *head;
	if (head->uuid[0] != '\0')
		scan->last = *head;
}

/* Who waits may as well wait for a directory that rests. */
static int
or_wait(const struct scan *scan, int result)
{
	return result == -EAGAIN && !scan->is_finishing ? 0 : result;
}

/* --- entering a segment ------------------------------------------------- */

/* A listed segment; -EAGAIN if it is not there any more under that name. */
static int
open_segment(struct scan *scan, const struct segment *segment)
{
	int fd = segment_file_open(scan->directory, segment->name, O_RDONLY);
	int result;

	if (fd < 0)
		return fd == -ENOENT ? -EAGAIN : fd;
	result = scan_source_open(&scan->source, fd,
				  segment->form == SEGMENT_IS_COMPRESSED);
	if (result != 0)
		return result;
	if (segment->form == SEGMENT_IS_LIVE &&
	    strcmp(scan->source.head.uuid, segment->head.uuid) != 0) {
		scan_source_close(&scan->source);
		return -EAGAIN;
	}
	scan->segment = *segment;
	return 0;
}

static void
begin(struct scan *scan, uint64_t offset)
{
	scan->place = INSIDE;
	scan->is_chained = true;
	scan->looks = 0;
	scan->is_at_end = false;
	scan->ended[0] = '\0';
	identify(scan, &scan->segment.head);
	scan_records_reset(&scan->records, offset);
	move_on(scan);
}

/* Who does not know what came behind its place reads all again: better than to
 * miss any of it. */
static void
lose_place(struct scan *scan)
{
	const char *uuid = scan->position.uuid;
	bool is_next = strcmp(scan->segment.head.previous, uuid) == 0;

	lose(scan, "segment %s, where reading had ended, is gone; from %s on%s",
	     uuid, scan_file(scan), is_next ? "" : ", all of it again");
}

/* At the position, or as near to it as there is something left. */
static int
begin_at_position(struct scan *scan, bool is_gone)
{
	uint64_t offset = is_gone ? 0 : scan->position.offset;
	int result;

	if (is_gone)
		lose_place(scan);
	result = scan_source_skip(&scan->source, offset);
	if (result == -ERANGE) {
		lose(scan, "%s is shorter than it was; from its start",
		     scan_file(scan));
		result = scan_source_rewind(&scan->source);
		offset = 0;
	}
	if (result == -EBADMSG) /* to be met again by who reads on */
		result = 0;
	if (result != 0) {
		scan_source_close(&scan->source);
		return result;
	}
	begin(scan, offset);
	return 1;
}

static int
begin_at_last(struct scan *scan)
{
	uint64_t offset;
	int result = scan_source_last(&scan->source, &offset);

	if (result != 0) {
		scan_source_close(&scan->source);
		return result;
	}
	/* A line that is being written now is not new. */
	scan->is_dropping = offset < scan->source.offset;
	scan->source.offset = offset;
	begin(scan, offset);
	return 1;
}

static int
begin_at_next(struct scan *scan)
{
	const struct segment_head *head = &scan->source.head;

	/* A file without a head does not say what was before it. */
	if (scan->is_chained && scan->last.uuid[0] != '\0' &&
	    head->uuid[0] != '\0' &&
	    strcmp(head->previous, scan->last.uuid) != 0)
		lose(scan, "at least one segment is missing before %s",
		     scan_file(scan));
	begin(scan, 0);
	return 1;
}

/* 1 if the segment was opened; -EAGAIN if the list is out of date. */
static int
enter_one(struct scan *scan, size_t i, bool is_gone)
{
	const struct segment *segments = scan->list.segments;
	int result = open_segment(scan, &segments[i]);

	if (result != 0)
		return result;
	scan->list.next = i + 1;
	/* What stands before a live file without a UUID. */
	if (scan->place == AT_LAST && i > 0)
		scan->last = segments[i - 1].head;
	switch (scan->place) {
	case BEFORE_ALL:
		return begin_at_position(scan, is_gone);
	case AT_LAST:
		return begin_at_last(scan);
	case INSIDE:
	case BEHIND_ONE:
		break;
	}
	return begin_at_next(scan);
}

/* 1 if a segment was opened, 0 if there is none yet. */
static int
enter_listed(struct scan *scan)
{
	bool is_gone = false;
	int result = scan_list_read(&scan->list, scan->directory);
	size_t i = 0;

	if (result != 0 || scan->list.count == 0)
		return result;
	if (scan->place == BEHIND_ONE)
		i = scan_list_after(&scan->list, &scan->last);
	else if (scan->place == AT_LAST)
		i = scan->list.count - 1;
	else
		i = scan_list_first(&scan->list, &scan->position, &is_gone);
	return i == scan->list.count ? 0 : enter_one(scan, i, is_gone);
}

/* -EAGAIN while the directory does not rest. */
static int
enter(struct scan *scan)
{
	int result = -EAGAIN;
	size_t i = scan_list_next(&scan->list, &scan->last);

	if (scan->directory < 0)
		return 0;
	if (scan->place == BEHIND_ONE && i < scan->list.count)
		result = enter_one(scan, i, false);
	for (int tries = 0; tries < TRIES && result == -EAGAIN; tries++)
		result = enter_listed(scan);
	return result;
}

/* --- at the end of a segment -------------------------------------------- */

/* Give what is left in it; then close it. */
static int
leave(struct scan *scan)
{
	if (scan_records_has_rest(&scan->records) &&
	    !scan->records.is_complete) {
		scan->records.is_complete = true;
		return 1;
	}
	scan->records.is_complete = false;
	scan_source_close(&scan->source);
	scan->place = BEHIND_ONE;
	return 1;
}

/* The same at the end of all there is. */
static int
finish(struct scan *scan)
{
	if (!scan->is_finishing)
		return 0;
	scan->is_finished = true;
	scan->records.is_complete = true;
	return 1;
}

/* The file that is read was cut from outside. */
static int
restart(struct scan *scan)
{
	lose(scan, "%s was truncated; from its start", scan_file(scan));
	if (scan_records_has_rest(&scan->records))
		scan->torn++;
	scan->is_dropping = false;
	scan_source_rewind(&scan->source);
	/* What has been rotated keeps the UUID of its name. */
	if (scan->segment.form == SEGMENT_IS_LIVE)
		identify(scan, &scan->source.head);
	begin(scan, 0);
	return 1;
}

static bool
is_ours(const struct scan *scan, const char *name)
{
	struct stat named, ours;

	return fstatat(scan->directory, name, &named, AT_SYMLINK_NOFOLLOW) ==
		       0 &&
	       fstat(scan->source.fd, &ours) == 0 &&
	       segment_file_is_same(&named, &ours);
}

/* Which listed segment is the file we read, or was made of it. */
static size_t
find_ours(const struct scan *scan, const struct segment *list, size_t count)
{
	const char *uuid = scan->segment.head.uuid;

	/* Its last line tells the UUID of a file that had no head. */
	if (uuid[0] == '\0')
		uuid = scan->ended;
	for (size_t i = 0; i < count; i++)
		if (list[i].form != SEGMENT_IS_LIVE &&
		    is_ours(scan, list[i].name))
			return i;
	for (size_t i = 0; i < count; i++)
		if (list[i].form != SEGMENT_IS_LIVE &&
		    strcmp(list[i].head.uuid, uuid) == 0)
			return i;
	return count;
}

/* Its name has become that of another file, or of none: see what it is called
 * now, if it was not taken away. */
static int
find_again(struct scan *scan)
{
	struct segment *list;
	size_t count, i;
	int result = segment_list(scan->directory, &list, &count);

	if (result != 0)
		return or_wait(scan, result);
	i = find_ours(scan, list, count);
	if (i < count) {
		scan->segment = list[i];
		identify(scan, &list[i].head);
		move_on(scan);
	}
	/* Not compressed: what we have open is not. */
	scan->segment.form = SEGMENT_IS_ROTATED;
	free(list);
	return 0;
}

/* At the end of a segment that is rotated and has no last line yet. */
static int
wait_for_last_line(struct scan *scan)
{
	bool is_there = is_ours(scan, scan->segment.name);
	bool is_closed = segment_is_closed(scan->directory, &scan->segment);

	if (is_there && !is_closed && !scan->is_finishing)
		return 0;
	/* Unless reading began behind its last line, it has got that since we
	 * read it, and may be compressed by now: see. If it was taken away from
	 * outside, give those who have it open the time to see, too. */
	scan->looks++;
	if (scan->looks == 1)
		return 1;
	if (scan->looks == 2 && !is_closed && !scan->is_finishing)
		return 0;
	if (!is_there) {
		lose(scan, "%s was moved or deleted before its end",
		     scan_file(scan));
		scan->is_chained = false;
	}
	return leave(scan);
}

/* Whether it has its last line. The live one has none, unless it is a copy of
 * another. */
static bool
is_left(const struct scan *scan)
{
	return scan->segment.form != SEGMENT_IS_LIVE && is_ended(scan);
}

static int
at_end(struct scan *scan)
{
	if (scan_source_is_cut(&scan->source))
		return restart(scan);
	if (scan->source.gzip != NULL)
		return leave(scan);
	scan->is_at_end = true;
	if (scan->directory < 0)
		return finish(scan);
	if (!is_left(scan) && !is_ours(scan, scan->segment.name)) {
		int result = find_again(scan);

		if (result != 0)
			return result;
	}
	if (is_left(scan))
		return leave(scan);
	return scan->segment.form == SEGMENT_IS_LIVE ? finish(scan)
						     : wait_for_last_line(scan);
}

/* --- reading ------------------------------------------------------------ */

static int
at_fault(struct scan *scan, int error)
{
	if (error != -EBADMSG)
		return error;
	lose(scan, "%s is damaged behind octet %llu", scan_file(scan),
	     (unsigned long long)scan->source.offset);
	return leave(scan);
}

/* 1 if there is more to look at, 0 if there is not for now, or a negative
 * errno. */
static int
advance(struct scan *scan)
{
	uint8_t *room;
	ssize_t got;
	size_t n;

	if (scan->is_finished)
		return 0;
	if (scan->place != INSIDE)
		return or_wait(scan, enter(scan));
	if (scan->records.is_complete)
		return leave(scan);
	if (scan->is_at_end && scan_source_is_cut(&scan->source))
		return restart(scan);
	scan->is_at_end = false;
	room = scan_records_room(&scan->records, &n);
	got = scan_source_read(&scan->source, room, n);
	if (got < 0)
		return at_fault(scan, (int)got);
	if (got == 0)
		return at_end(scan);
	scan_records_extend(&scan->records, (size_t)got);
	scan->looks = 0;
	return 1;
}

/* --- records ------------------------------------------------------------ */

static void
see_head(struct scan *scan, struct span record, uint64_t offset)
{
	struct segment_head head;

	/* Of a file that had none when it was opened. */
	if (offset == 0 && scan->source.head.uuid[0] == '\0' &&
	    segment_head_parse(record, &head)) {
		scan->source.head = head;
		if (scan->segment.head.uuid[0] == '\0')
			identify(scan, &head);
	}
}

static void
see_end(struct scan *scan, struct span record)
{
	struct span value;

	if (!json_find(record, "end", &value))
		return;
	value = json_shown(value);
	if (value.n != SEGMENT_UUID_N)
		return;
	memcpy(scan->ended, value.p, value.n);
	scan->ended[value.n] = '\0';
}

/* Whether a record is none of a message; then it is dealt with. */
static bool
is_frame(struct scan *scan, struct span record, uint64_t offset)
{
	if (span_starts(record, SPAN_LIT("{\"v\":1,\"segment\":")))
		see_head(scan, record, offset);
	else if (span_starts(record, SPAN_LIT("{\"v\":1,\"end\":")))
		see_end(scan, record);
	else if (span_starts(record, SPAN_LIT("{\"v\":1,\"lost\":")))
		scan->unwritten += segment_lost_parse(record);
	else
		return false;
	return true;
}

/* The next line among the octets that are there. */
static bool
take_line(struct scan *scan, struct span *line)
{
	enum scan_found found;
	uint64_t offset = scan->records.offset;

	while ((found = scan_records_next(&scan->records, line)) !=
	       SCAN_FOUND_NONE) {
		bool is_line = found == SCAN_FOUND_RECORD &&
			       !is_frame(scan, *line, offset) &&
			       !scan->is_dropping;

		if (found == SCAN_FOUND_TORN && !scan->is_dropping)
			scan->torn++;
		/* What is torn at the very end may yet become whole. */
		if (found != SCAN_FOUND_TORN || !scan->is_finished)
			move_on(scan);
		scan->is_dropping = false;
		if (is_line)
			return true;
		offset = scan->records.offset;
	}
	return false;
}

enum scan_status
scan_next(struct scan *scan, struct span *line)
{
	int result = 1;

	while (result > 0) {
		if (scan->has_loss) {
			scan->has_loss = false;
			return SCAN_LOST;
		}
		if (take_line(scan, line))
			return SCAN_LINE;
		result = advance(scan);
	}
	scan->error = result;
	return result == 0 ? SCAN_END : SCAN_ERROR;
}

/* --- opening ------------------------------------------------------------ */

static bool
is_gzip(int fd)
{
	uint8_t magic[2]; /* RFC 1952 2.3.1 */

	return pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
	       magic[0] == 0x1f && magic[1] == 0x8b;
}

static int
open_alone(struct scan *scan, int fd, const char *path)
{
	int result;

	scan->path = strdup(path);
	if (scan->path == NULL)
		return segment_file_close(fd, -ENOMEM);
	result = scan_source_open(&scan->source, fd, is_gzip(fd));
	if (result != 0)
		return result;
	scan->segment.form = SEGMENT_IS_LIVE;
	scan->segment.head = scan->source.head;
	result = begin_at_position(
		scan, scan->position.uuid[0] != '\0' &&
			      strcmp(scan->position.uuid,
				     scan->segment.head.uuid) != 0);
	return result < 0 ? result : 0;
}

static int
open_path(struct scan *scan, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) != 0)
		return segment_file_close(fd, -errno);
	if (S_ISREG(status.st_mode))
		return open_alone(scan, fd, path);
	if (!S_ISDIR(status.st_mode))
		return segment_file_close(fd, -ESPIPE);
	scan->directory = fd;
	return 0;
}

struct scan *
scan_open(const char *path, const struct spool_position *from, int *error)
{
	struct scan *scan = calloc(1, sizeof(*scan));

	*error = -ENOMEM;
	if (scan == NULL)
		return NULL;
	scan->directory = scan->source.fd = -1;
	if (from != NULL)
		scan->position = *from;
	if (scan_records_init(&scan->records))
		*error = open_path(scan, path);
	if (*error == 0)
		return scan;
	scan_free(scan);
	return NULL;
}

void
scan_free(struct scan *scan)
{
	if (scan == NULL)
		return;
	scan_source_close(&scan->source);
	scan_records_fini(&scan->records);
	scan_list_free(&scan->list);
	if (scan->directory >= 0)
		close(scan->directory);
	free(scan->path);
	free(scan);
}

int
scan_to_end(struct scan *scan)
{
	int result;

	if (scan->directory < 0) {
		result = begin_at_last(scan);
		return result < 0 ? result : 0;
	}
	scan_source_close(&scan->source);
	scan->position = (struct spool_position){ 0 };
	scan->place = AT_LAST;
	result = enter(scan);
	if (result == 0) /* all that will come is new */
		scan->place = BEFORE_ALL;
	return result < 0 ? result : 0;
}

void
scan_finish(struct scan *scan)
{
	scan->is_finishing = true;
}

/* --- what is asked of it ------------------------------------------------ */

struct spool_position
scan_position(const struct scan *scan)
{
	return scan->position;
}

/* Of a segment that was passed all is on the disk since it was closed. */
int
scan_sync(const struct scan *scan)
{
	if (scan->source.fd < 0 || fdatasync(scan->source.fd) == 0)
		return 0;
	/* Where nothing can be written nothing has to be. */
	return errno == EINVAL || errno == EROFS ? 0 : -errno;
}

const char *
scan_file(const struct scan *scan)
{
	return scan->directory < 0 ? scan->path : scan->segment.name;
}

uint64_t
scan_torn(const struct scan *scan)
{
	return scan->torn;
}

uint64_t
scan_unwritten(const struct scan *scan)
{
	return scan->unwritten;
}

const char *
scan_loss(const struct scan *scan)
{
	return scan->loss;
}

int
scan_error(const struct scan *scan)
{
	return scan->error;
}
