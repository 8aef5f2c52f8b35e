/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tempfile: the part of a message body that does not stay in memory.
 *
 * A file without a name (O_TMPFILE; where the file system has none, a file
 * that is unlinked at once): whatever happens to the process, nothing is left
 * behind. All files of a worker together hold at most the budget; more is
 * refused with -EDQUOT before it is written. What is written is charged from
 * the start of the write to the end of the file's life.
 *
 * One write and one read at a time; both complete from the ring's loop.
 */
#ifndef PROXY_TEMPFILE_H
#define PROXY_TEMPFILE_H

#include "proxy/ring.h"
#include "proxy/timer.h"

/* What all temporary files of a worker share. */
struct tempfiles {
	struct ring *ring;
	struct timers *timers;
	int directory;       /* descriptor; the caller's */
	uint64_t octets_max; /* 0: nothing may be written */
	uint64_t octets;     /* charged now */
};

struct tempfile;

struct tempfile_events {
	void (*written)(struct tempfile *file, int error);
	/* All that was asked for, valid during the call; or an error. */
	void (*read)(struct tempfile *file, int error, struct span octets);
};

struct tempfile {
	struct tempfiles *shared;
	const struct tempfile_events *events;
	void *owner; /* for the events; the owner's to change */
	int fd;      /* -1 before the first write */
	bool is_writing;
	bool is_reading;
	bool is_dropped;
	bool is_telling; /* inside a call of the owner's */
	uint64_t charged;
	int error; /* of a write that could not start */
	struct op write;
	struct op read;
	struct timer timer;
	struct span left; /* still to be written */
	uint64_t write_at;
	uint8_t *buffer; /* of the read */
	size_t length;   /* asked for */
	size_t held;     /* read so far */
	uint64_t read_at;
};

/* One without contents, on the heap; NULL without memory. */
struct tempfile *tempfile_new(struct tempfiles *shared,
			      const struct tempfile_events *events,
			      void *owner);

/* The octets stay where they are until `written`. */
void tempfile_write(struct tempfile *file, struct span octets, uint64_t offset);
void tempfile_read(struct tempfile *file, uint64_t offset, size_t length);

/* It is not needed any more. A write under way is still told to the owner, as
 * its octets are his; after that, or now, the file is closed and freed. */
void tempfile_drop(struct tempfile *file);

/* Open the directory for bodies and try to make a file there. The descriptor;
 * or -1 with a sentence in faults. */
int tempfile_directory(const char *directory, struct buf *faults);

#endif
