/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scan_source: the file of a segment as octets, compressed or not.
 *
 * Offsets are of the octets without compression. The file may be renamed and
 * deleted while it is read; what matters is that others only append to it. If
 * they did not, scan_source_is_cut() tells, as far as that can be told: the
 * file is shorter than what was read, or begins otherwise.
 *
 * Not for use outside scan*.c.
 */
#ifndef DMARC_REPORT_SCAN_SOURCE_H
#define DMARC_REPORT_SCAN_SOURCE_H

#include "dmarc/report/gzip.h"
#include "dmarc/report/segment.h"

struct scan_source {
	int fd;                   /* ours */
	struct gzip_reader *gzip; /* NULL: it is not compressed */
	uint64_t offset;          /* of what is read next */
	struct segment_head head; /* in its first line; empty: none */
};

/* Takes the descriptor, and closes it if it fails: a negative errno. */
int scan_source_open(struct scan_source *source, int fd, bool is_compressed);
void scan_source_close(struct scan_source *source);

/* Their number; 0 at the end for now; -EBADMSG for a compressed file that is
 * damaged. */
ssize_t scan_source_read(struct scan_source *source, uint8_t *octets, size_t n);

/* Move on to an offset; -ERANGE: to the end, which comes before it. */
int scan_source_skip(struct scan_source *source, uint64_t offset);

bool scan_source_is_cut(const struct scan_source *source);

/* To the start again, and see what stands there now. */
int scan_source_rewind(struct scan_source *source);

/* Where its last line begins if that has no LF, else its end. */
int scan_source_last(struct scan_source *source, uint64_t *offset);

#endif
