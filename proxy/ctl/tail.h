/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tail: the lines of a file that others write, rename and cut.
 *
 * A line is given once its LF is there; what is written so far of the next
 * one waits. When another file has come to stand under the name, the old one
 * is read to its end first; when the file has become shorter, reading begins
 * anew. Lines over TAIL_LINE_MAX are given cut, as a line that is none.
 */
#ifndef PROXY_CTL_TAIL_H
#define PROXY_CTL_TAIL_H

#include "smtp/buf.h"

#include <sys/types.h>

#define TAIL_LINE_MAX ((size_t)1 << 18)

enum tail_status {
	TAIL_LINE,
	TAIL_END,  /* no whole line for now */
	TAIL_ERROR /* errno says which */
};

enum tail_change {
	TAIL_SAME,
	TAIL_NEW_FILE,  /* reading goes on in it, from its start */
	TAIL_TRUNCATED, /* reading goes on from its start */
};

struct tail {
	const char *file; /* borrowed */
	int fd;           /* -1: there is no such file yet */
	ino_t inode;
	dev_t device;
	off_t offset; /* of what was read */
	bool is_leaving;
	bool is_skipping; /* inside a line that is too long */
	size_t given;     /* octets of pending given out as a line */
	struct buf pending;
};

/* Open it, at its start or its end; a file that is not there is not opened
 * (fd is -1). 0 or a negative errno. */
int tail_init(struct tail *tail, const char *file, bool is_at_end);
void tail_fini(struct tail *tail);

/* The next line, without its LF; valid until the next call. */
enum tail_status tail_next(struct tail *tail, struct span *line);

/* After TAIL_END and a pause: see what has become of the file. What was left
 * of an unfinished line is dropped where it can never be finished; *torn says
 * so. */
enum tail_change tail_look(struct tail *tail, bool *torn);

#endif
