/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/ctl/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE 65536

static int
open_file(struct tail *tail)
{
	struct stat st;

	tail->fd = open(tail->file, O_RDONLY | O_CLOEXEC);
	if (tail->fd < 0)
		return -errno;
	if (fstat(tail->fd, &st) != 0) {
		int error = -errno;

		close(tail->fd);
		tail->fd = -1;
		return error;
	}
	tail->inode = st.st_ino;
	tail->device = st.st_dev;
	tail->offset = 0;
	tail->is_leaving = false;
	return 0;
}

int
tail_init(struct tail *tail, const char *file, bool is_at_end)
{
	int error;

	*tail = (struct tail){ .file = file, .fd = -1 };
	buf_init(&tail->pending, TAIL_LINE_MAX + READ_SIZE);
	error = open_file(tail);
	if (error == -ENOENT)
		return 0;
	if (error == 0 && is_at_end) {
		tail->offset = lseek(tail->fd, 0, SEEK_END);
		/* Whatever line is being written now is not new. */
		tail->is_skipping = tail->offset > 0;
		if (tail->offset > 0) {
			uint8_t last = 0;

			if (pread(tail->fd, &last, 1, tail->offset - 1) == 1 &&
			    last == '\n')
				tail->is_skipping = false;
		}
	}
	return error;
}

void
tail_fini(struct tail *tail)
{
	if (tail->fd >= 0)
		close(tail->fd);
	tail->fd = -1;
	buf_fini(&tail->pending);
}

/* The line at the start of what is pending, if its LF is there. */
static bool
give_line(struct tail *tail, struct span *line)
{
	struct span pending = buf_span(&tail->pending);
	size_t end = span_find(pending, '\n');

	if (end == pending.n) {
		/* An end that never comes must not fill the memory. */
		if (end > TAIL_LINE_MAX) {
			tail->is_skipping = true;
			buf_consume(&tail->pending, end);
		}
		return false;
	}
	*line = span_first(pending, end);
	tail->given = end + 1;
	return true;
}

/* More octets. 1, 0 at the end of the file, or -1. */
static int
read_more(struct tail *tail)
{
	uint8_t *room = buf_reserve(&tail->pending, READ_SIZE);
	ssize_t n;

	if (room == NULL) {
		errno = ENOMEM;
		return -1;
	}
	do
		n = read(tail->fd, room, READ_SIZE);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return (int)n;
	buf_extend(&tail->pending, (size_t)n);
	tail->offset += n;
	return 1;
}

enum tail_status
tail_next(struct tail *tail, struct span *line)
{
	for (;;) {
		int more;

		buf_consume(&tail->pending, tail->given);
		tail->given = 0;
		if (give_line(tail, line)) {
			if (!tail->is_skipping)
				return TAIL_LINE;
			tail->is_skipping = false;
			continue;
		}
		if (tail->fd < 0)
			return TAIL_END;
		more = read_more(tail);
		if (more < 0)
			return TAIL_ERROR;
		if (more == 0)
			return TAIL_END;
	}
}

/* Forget the unfinished line: whether there was one. */
static bool
drop_pending(struct tail *tail)
{
	bool is_torn = tail->pending.n > 0 || tail->is_skipping;

	buf_reset(&tail->pending);
	tail->is_skipping = false;
	return is_torn;
}

static enum tail_change
look_at_new(struct tail *tail, bool *torn)
{
	/* What the old one got while it was renamed is read first: leave it
	 * at the second look. */
	if (tail->fd >= 0 && !tail->is_leaving) {
		tail->is_leaving = true;
		return TAIL_SAME;
	}
	if (tail->fd >= 0)
		close(tail->fd);
	*torn = drop_pending(tail);
	return open_file(tail) == 0 ? TAIL_NEW_FILE : TAIL_SAME;
}

enum tail_change
tail_look(struct tail *tail, bool *torn)
{
	struct stat st;

	*torn = false;
	/* Gone for now: the old one may still be written to. */
	if (stat(tail->file, &st) != 0)
		return TAIL_SAME;
	if (tail->fd < 0 || st.st_ino != tail->inode ||
	    st.st_dev != tail->device)
		return look_at_new(tail, torn);
	tail->is_leaving = false;
	if (st.st_size >= tail->offset)
		return TAIL_SAME;
	*torn = drop_pending(tail);
	tail->offset = 0;
	lseek(tail->fd, 0, SEEK_SET);
	return TAIL_TRUNCATED;
}
