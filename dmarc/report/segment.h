/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * segment: the files of a spool directory, and what frames each of them.
 *
 *     verdict.log                               the live one, which people tail
 *     verdict-20261128T194655.123456Z-UUID.log  rotated
 *     verdict-20261128T194655.123456Z-UUID.log.gz   the same, compressed
 *     readers/NAME                              see registry.h
 *     .keeper                                   locked by the one keeper
 *
 * First line:  {"v":1,"segment":UUID,"opened":TIME,"previous":UUID|null,
 *               "gate":HOST}
 * Last line:   {"v":1,"end":UUID,"closed":TIME}
 * In between:  verdict lines, and {"v":1,"lost":N,"since":TIME,"until":TIME}
 *              where N of them could not be written
 *
 * Names sort in the order of opening: a segment is never opened at or before
 * its predecessor's time, whatever the clock does. UUIDs are random (RFC 9562
 * version 4); `previous` lets a reader notice a segment that is gone.
 *
 * Who writes: whoever has the file open for appending holds a shared flock(2)
 * on it, which the kernel takes back when the last of them has closed it or
 * died. Rotation gives verdict.log to a new file; each writer moves on by
 * itself when it sees that. The keeper writes the last line once it gets the
 * exclusive lock: nobody can write behind it, since a writer looks whether the
 * file still is verdict.log after it has its lock. So one line tells a reader
 * that a segment is complete, and a writer that was killed needs no marker of
 * its own.
 *
 * A torn line (a writer killed in mid-write, a full disk) may stand anywhere;
 * whatever is framed wrong, readers resynchronise on {"v":1, (json_read.h).
 *
 * Nothing here locks out a second keeper: see segment_keep().
 */
#ifndef DMARC_REPORT_SEGMENT_H
#define DMARC_REPORT_SEGMENT_H

#include "smtp/buf.h"

#include <sys/types.h>

#define SEGMENT_LIVE "verdict.log"
#define SEGMENT_UUID_N 36
#define SEGMENT_NAME_MAX 96

struct segment_head {
	char uuid[SEGMENT_UUID_N + 1];
	char previous[SEGMENT_UUID_N + 1]; /* empty: none */
	uint64_t opened_us;                /* since the epoch */
};

enum segment_form {
	SEGMENT_IS_LIVE,
	SEGMENT_IS_ROTATED,
	SEGMENT_IS_COMPRESSED
};

struct segment {
	struct segment_head head; /* of a rotated one without a head of its
				     own: what its name says */
	enum segment_form form;
	char name[SEGMENT_NAME_MAX];
	uint64_t octets;     /* of the file, as it was listed */
	uint64_t written_us; /* the last time, by then; 0: not known */
};

/* --- lines --- */

bool segment_head_format(const struct segment_head *head, struct span gate,
			 struct buf *line);
/* A line without its LF. */
bool segment_head_parse(struct span line, struct segment_head *head);
bool segment_end_format(const char *uuid, uint64_t closed_us, struct buf *line);
/* Whether a line is the last one of the segment of that UUID. */
bool segment_is_end(struct span line, const char *uuid);

bool segment_lost_format(uint64_t count, uint64_t since_us, uint64_t until_us,
			 struct buf *line);
/* How many verdict lines a line says were lost; 0 for any other line. */
uint64_t segment_lost_parse(struct span line);

/* --- names --- */

/* The name a segment has once it is rotated. */
void segment_name(const struct segment_head *head, bool is_compressed,
		  char name[SEGMENT_NAME_MAX]);
/* False for any other name. */
bool segment_name_parse(const char *name, struct segment_head *head,
			enum segment_form *form);

/* --- a directory; 0 or a negative errno --- */

/*
 * All segments in the order of opening, the live one last. One that stands
 * there in two forms (compression was cut short) is given once, uncompressed.
 * The list is the caller's, to be freed by free().
 */
int segment_list(int directory, struct segment **list, size_t *count);

/*
 * Open verdict.log to append to it, with the shared lock; made first, with its
 * head, where there is none. A symbolic link, or anything but a plain file, is
 * refused (-ELOOP). The descriptor, close-on-exec, is the caller's; never
 * blocks on the lock. -EWOULDBLOCK: another program has locked the file, which
 * whoever may read it can do; readers are trusted not to.
 */
int segment_open(int directory, struct span gate);

/* Whether an open segment still is verdict.log. */
bool segment_is_live(int directory, int fd);

/* The head of an open file; false if its first line is none. */
bool segment_head_read(int fd, struct segment_head *head);

/* --- for the keeper alone --- */

/* Become the one keeper of a directory: a descriptor to be kept open, or
 * -EWOULDBLOCK while another process is. */
int segment_keep(int directory);

/*
 * Give verdict.log to a new file. verdict.log is there at every instant, and a
 * crash at any point is mended by segment_mend().
 */
int segment_rotate(int directory, struct span gate);

/* Give what was verdict.log until others renamed it its name as a segment, as
 * if it had been rotated. -ENOENT if it was deleted: then nobody can. */
int segment_rescue(int directory, int fd);

/* Write the last line of a rotated segment, behind an LF where it ends without
 * one. -EWOULDBLOCK while somebody can still write to it; 0 if it has one
 * already. */
int segment_close(int directory, const struct segment *segment);

/* Whether a rotated segment has its last line. */
bool segment_is_closed(int directory, const struct segment *segment);

/* Undo or finish what a crash has left half done. */
int segment_mend(int directory);

/* Compress a rotated segment, in a file of another name until it is complete
 * and on the disk. Takes long: to be called in a process of its own. */
int segment_compress(int directory, const struct segment *segment);

/* Delete a rotated segment, in all its forms. */
int segment_remove(int directory, const struct segment *segment);

#endif
