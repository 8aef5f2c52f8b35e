/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * segment_file: the files behind segment.h.
 *
 * A file is made whole, under a name that is nobody's, before it gets one that
 * counts: so there is no segment without its head, and no half of a compressed
 * one, whenever we are killed. Not for use outside dmarc/report.
 */
#ifndef DMARC_REPORT_SEGMENT_FILE_H
#define DMARC_REPORT_SEGMENT_FILE_H

#include "dmarc/report/segment.h"

#include <sys/stat.h>

/* A head has a host name in it and nothing longer; an end has less. */
#define SEGMENT_FRAME_MAX 4096

/* A file in the making: this, UUID, ".new". */
#define SEGMENT_UNFINISHED ".verdict-"

uint64_t segment_file_now_us(void);

/* Close, and pass on a result. */
int segment_file_close(int fd, int result);

/* A directory whose descriptor may be O_PATH, which cannot do much, opened to
 * be read, synced or locked. */
int segment_file_directory(int directory);

/* Bring to the disk what was renamed. */
int segment_file_sync(int directory);

bool segment_file_is_same(const struct stat *a, const struct stat *b);

/* Open a plain file; anything else is -ELOOP. */
int segment_file_open(int directory, const char *name, int flags);
/* Make one, to write to it. */
int segment_file_make(int directory, const char *name);

/* One write; -ENOSPC for a short one, which is what a full disk gives. */
int segment_file_write(int fd, struct span octets);

/* Octets from an offset on; their number, or a negative errno. */
ssize_t segment_file_read(int fd, uint8_t octets[SEGMENT_FRAME_MAX],
			  uint64_t offset);

/* Call back for each name in a directory, until that is not 0. */
int segment_file_each(int directory, int (*call)(void *owner, const char *name),
		      void *owner);

/* The head of the last segment that was rotated; empty if there is none. */
int segment_file_last(int directory, struct segment_head *head);

/* A new head, of the segment behind the one given, if that has a UUID. */
int segment_file_next(const struct segment_head *last,
		      struct segment_head *head);

/* A segment that has its head, and no name yet that counts. */
int segment_file_unfinished(int directory, const struct segment_head *head,
			    struct span gate, char name[SEGMENT_NAME_MAX]);
void segment_file_unfinished_name(const char *uuid,
				  char name[SEGMENT_NAME_MAX]);

#endif
