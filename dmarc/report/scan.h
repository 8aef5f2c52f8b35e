/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scan: the verdict lines of a spool, in order, from a position on.
 *
 * Goes through the segments, compressed ones too, gives every verdict line
 * once, and leaves out what frames them. At the end of the live segment it has
 * no more for now; asked again later it goes on with what came since, and moves
 * to the next segment only behind the last line of this one: so none is missed
 * while writers move on one by one. The segment it is in stays open, and can
 * be read to its end even when it was renamed, compressed or deleted. Who does
 * not wait says so by scan_finish().
 *
 * What is wrong is counted and never stops it: torn or foreign lines, a
 * segment that is gone, a file that was cut from outside (loss). Memory is
 * bounded by one line of SCAN_LINE_MAX, and by the names of the segments.
 */
#ifndef DMARC_REPORT_SCAN_H
#define DMARC_REPORT_SCAN_H

#include "dmarc/report/registry.h"

#define SCAN_LINE_MAX ((size_t)1 << 18)

enum scan_status {
	SCAN_LINE,  /* a verdict line, a whole JSON object */
	SCAN_LOST,  /* scan_loss() says what; reading goes on */
	SCAN_END,   /* no whole line for now */
	SCAN_ERROR, /* scan_error() says what */
};

struct scan;

/*
 * From a position on (NULL: from the oldest segment there is). `path` is a
 * spool directory, or one file, compressed or not, which is then read alone, as
 * it is. A live file that is not there yet is waited for. NULL and a negative
 * errno in *error.
 */
struct scan *scan_open(const char *path, const struct spool_position *from,
		       int *error);
void scan_free(struct scan *scan);

/* Begin at the end of the live segment instead. 0 or a negative errno; -EAGAIN:
 * the directory changes too fast to find it, try again. */
int scan_to_end(struct scan *scan);

/*
 * Wait for nothing: segments without their last line are passed as well, and
 * an unfinished line at the end of it all is given if it is whole, and counted
 * as torn if not. Then SCAN_END is for good. Not for who keeps a position:
 * what is still written to a segment that was passed is missed.
 */
void scan_finish(struct scan *scan);

/* The next line, without its LF; valid until the next call. */
enum scan_status scan_next(struct scan *scan, struct span *line);

/*
 * Behind the last line that was given, and what is not given behind that, so
 * that a segment is passed when it was read. A file without a head has no
 * positions before it is rotated: then it is where reading was before that.
 */
struct spool_position scan_position(const struct scan *scan);

/*
 * Bring to the disk what that position stands behind, before it is kept: a
 * writer does so later. Else the power may go, and take lines away behind which
 * the reader has been; what is written in their place would be missed.
 * 0 or a negative errno.
 */
int scan_sync(const struct scan *scan);

/* The file being read: its name in the directory, or its path if it is read
 * alone; empty before there is one. */
const char *scan_file(const struct scan *scan);

/* Records so far that were torn or foreign; and verdict lines that the gate
 * says it could not write ("lost" records). */
uint64_t scan_torn(const struct scan *scan);
uint64_t scan_unwritten(const struct scan *scan);

/* What SCAN_LOST was about, in words; the negative errno of SCAN_ERROR. */
const char *scan_loss(const struct scan *scan);
int scan_error(const struct scan *scan);

#endif
