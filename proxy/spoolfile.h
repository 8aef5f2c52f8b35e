/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spoolfile: the worker's side of the verdict log.
 *
 * <spool>/verdict.log is opened once, by the master and before it gives up its
 * privileges, and handed to every worker. A line is one write at the end of
 * the file (O_APPEND), so lines of several workers never mix, and nothing but
 * this file writes it. Lines of one worker are written one after the other.
 *
 * A write that was cut short (a full disk) leaves a torn line. Its rest is
 * never sent, since another worker may have written behind it by now: it has
 * failed, and this worker's next line begins with LF, so that it stands on a
 * line of its own. Readers count torn lines and go on.
 *
 * What was written is brought to the disk (fdatasync) at most one second
 * later; nobody waits for that.
 */
#ifndef PROXY_SPOOLFILE_H
#define PROXY_SPOOLFILE_H

#include "proxy/ring.h"
#include "proxy/timer.h"

#define SPOOLFILE_NAME "verdict.log"
#define SPOOLFILE_SYNC_US 1000000

/* A line on its way, embedded in its owner, who sets `done`. */
struct spoolfile_line {
	/* 0, or a negative errno. From the ring's loop only. */
	void (*done)(struct spoolfile_line *line, int error);
	struct span octets;
	struct spoolfile_line *next;
};

struct spoolfile {
	struct ring *ring;
	struct timers *timers;
	int fd;
	bool is_torn;  /* the last write was cut short */
	bool is_dirty; /* written to since the last sync */
	bool is_syncing;
	struct spoolfile_line *first, **end; /* the first is being written */
	struct iovec pieces[2];
	struct op append;
	struct op sync;
	struct timer timer;
};

/*
 * Open the verdict log in a directory, creating it with mode 0640 and, where
 * that was done by root, the given owner. The descriptor; or -1 with a
 * sentence in faults. A symbolic link, or anything but a plain file with one
 * name, is refused: the directory may belong to the unprivileged user, who
 * must not have root write elsewhere for him.
 */
int spoolfile_open(const char *directory, uid_t owner, gid_t group,
		   struct buf *faults);

/* On a descriptor of spoolfile_open(), which stays the caller's. */
void spoolfile_init(struct spoolfile *file, struct ring *ring,
		    struct timers *timers, int fd);

/* Append one line with its LF; its octets stay where they are until done. */
void spoolfile_append(struct spoolfile *file, struct spoolfile_line *line,
		      struct span octets);

/* Bring to the disk what is not there yet; waits. When the ring has ended. */
void spoolfile_fini(struct spoolfile *file);

#endif
