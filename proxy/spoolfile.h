/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spoolfile: the worker's side of the verdict log.
 *
 * Each worker has opened <spool>/verdict.log for itself (segment.h). The lines
 * of one turn of the loop are one write at the end of the file (O_APPEND), so
 * lines of several workers never mix. About once a second it is looked whether
 * verdict.log still is this file; if not, the worker moves on to the one that
 * is, between two writes. Where that cannot be opened, or is not there, it goes
 * on with the old one and tries again: once one was open, only the keeper makes
 * a new one.
 *
 * The write is a plain writev(2) by the worker itself. Through the ring the
 * kernel would hand each to a thread of its own, as most file systems cannot
 * say beforehand whether a buffered append has to wait: more than twice what
 * the append costs. It does wait where the disk cannot take what the page cache
 * holds; then so does each message, none of which is answered without its line.
 *
 * A write that was cut short (a full disk) leaves a torn line. Its rest is
 * never sent, since another worker may have written behind it by now: it has
 * failed, and this worker's next line begins with LF, so that it stands on a
 * line of its own. The same is done where a file was found with a torn line at
 * its end. Readers count torn lines, leave out empty ones, and go on.
 *
 * Lines that failed are lost, and counted. Once writing works again, a line
 * says how many they were ("lost"), behind those that went with it; that is
 * also tried once a second, so that it is known when there is room again.
 * Nothing is kept to be written later: what is full fills up.
 *
 * What was written is brought to the disk (fdatasync) at most one second
 * later, and before a file is left; nobody waits for that.
 */
#ifndef PROXY_SPOOLFILE_H
#define PROXY_SPOOLFILE_H

#include "dmarc/report/segment.h"
#include "proxy/ring.h"
#include "proxy/stats.h"
#include "proxy/timer.h"

#define SPOOLFILE_SYNC_US 1000000

/* With spool-full = defer: less room than this on the disk is none. It holds
 * 512 lines of the greatest length; who writes more than that between two looks
 * at it, once a second, is found out by a write that fails. */
#define SPOOLFILE_ROOM_MIN ((uint64_t)16 << 20)

/* A line on its way, embedded in its owner, who sets `done`. */
struct spoolfile_line {
	/* 0, or a negative errno. From the loop's timers only. */
	void (*done)(struct spoolfile_line *line, int error);
	struct span octets;
	int error;
	struct spoolfile_line *next;
};

struct spoolfile_setup {
	int directory;     /* the spool; O_PATH will do */
	struct span gate;  /* our host name */
	uint64_t room_min; /* less on the disk is full; 0: not looked at */
	struct stats *stats;
};

/* Lines that could not be written, and were not told about yet. */
struct spoolfile_lost {
	uint64_t count;
	uint64_t since_us, until_us; /* on the wall clock */
};

struct spoolfile {
	struct ring *ring;
	struct timers *timers;
	struct spoolfile_setup setup;
	int fd;         /* -1: it could not be opened yet */
	int open_error; /* of the last try; 0 or a negative errno */
	bool is_stale;  /* verdict.log is another file */
	bool is_torn;   /* the file may end in half a line */
	bool is_dirty;  /* written to since the last sync */
	bool is_syncing;
	bool has_failed; /* the last write */
	bool is_low;     /* on room */
	bool is_full;    /* a line would be, or was, lost: for sessions */
	struct spoolfile_lost lost;
	uint64_t lost_count; /* since the start */
	uint64_t lost_said;  /* of them in the event log */
	struct buf notice;
	struct spoolfile_line *first, **end;
	struct timer flush_at; /* the lines are written */
	struct op sync;
	struct timer sync_at;
	struct op farewell; /* the last sync of a file that was left */
	int left;           /* that file; -1: none */
};

/* Open verdict.log. Where that fails, an event says so, lines fail, and each
 * tick tries again. What the setup refers to outlives the file. */
void spoolfile_init(struct spoolfile *file, struct ring *ring,
		    struct timers *timers, const struct spoolfile_setup *setup);

/* About once a second. */
void spoolfile_tick(struct spoolfile *file);

/* Append one line with its LF when this turn of the loop ends; its octets stay
 * where they are until done. */
void spoolfile_append(struct spoolfile *file, struct spoolfile_line *line,
		      struct span octets);

/* Bring to the disk what is not there yet, and close; waits. When the ring has
 * ended. */
void spoolfile_fini(struct spoolfile *file);

#endif
