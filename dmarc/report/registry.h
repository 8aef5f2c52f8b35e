/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registry: who reads a spool, and how far each has come.
 *
 * A reader keeps its position (segment, offset) with what it made of the
 * lines, in one transaction; what stands here is a copy of it, for the keeper:
 * a segment that a registered reader has not passed is neither compressed nor
 * deleted. So it may lag behind the truth, and never run before it.
 *
 * One file a reader, <spool>/readers/NAME, holding "UUID OFFSET\n" ("- 0\n"
 * before the first segment), replaced as a whole. The directory belongs to the
 * gate's group and is writable by it, since readers run as other users. They
 * are trusted to change no file but their own, and to lock no segment: both
 * need no more than what they have. A name is of letters, digits, - and _.
 */
#ifndef DMARC_REPORT_REGISTRY_H
#define DMARC_REPORT_REGISTRY_H

#include "dmarc/report/segment.h"

#define REGISTRY_DIRECTORY "readers"
#define REGISTRY_NAME_MAX 64
#define REGISTRY_READERS_MAX 64

/* Between two lines of a segment, counted in its uncompressed octets. */
struct spool_position {
	char uuid[SEGMENT_UUID_N + 1]; /* empty: before the first segment */
	uint64_t offset;
};

/* All 0 or a negative errno; -ENOENT: there is no such reader; -EINVAL: no
 * such name can be; -EBADMSG: its file is not ours. */
int registry_get(int directory, const char *name,
		 struct spool_position *position);
/* Register, or move on. -EUSERS beyond REGISTRY_READERS_MAX. */
int registry_set(int directory, const char *name,
		 const struct spool_position *position);
int registry_forget(int directory, const char *name);

/* Make the directory of readers where there is none; registry_set() does so,
 * too. */
int registry_make(int directory);

/* What all readers have passed. */
struct registry_survey {
	size_t passed;                   /* segments */
	char lagging[REGISTRY_NAME_MAX]; /* who is furthest behind; or empty */
	char lost[REGISTRY_NAME_MAX];    /* one without its place; or empty */
};

/*
 * How many segments of a list (segment_list()) every registered reader has
 * passed: those before the one that any of them is in. All of them without
 * readers. A reader that is in none of them has passed nothing: it has not
 * begun; or it has lost its place, since the segment it was in is gone, or its
 * file says nothing that can be understood. Only somebody else can have done
 * that, and lines it has not read may stand anywhere. If this fails, nothing is
 * passed.
 */
int registry_survey(int directory, const struct segment *list, size_t count,
		    struct registry_survey *survey);

#endif
