/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scan_records: where records begin and end in the octets of a segment.
 *
 * Octets go in as they come, at any cut; records come out in order. A record
 * is a line that is a JSON object. In a line that is none something was torn,
 * and whole records may stand in it all the same, behind the torn one or with
 * their LF torn off: each begins with {"v":1, and is given by itself. So a
 * position between two records may lie in mid-line.
 *
 * Of a line over SCAN_LINE_MAX only the last half of that is looked at. Pure,
 * but for its memory. Not for use outside scan*.c.
 */
#ifndef DMARC_REPORT_SCAN_RECORDS_H
#define DMARC_REPORT_SCAN_RECORDS_H

#include "smtp/buf.h"

enum scan_found {
	SCAN_FOUND_NONE, /* before more octets come */
	SCAN_FOUND_RECORD,
	SCAN_FOUND_TORN
};

struct scan_records {
	uint8_t *octets;
	size_t begin;    /* of what was not taken yet */
	size_t searched; /* up to here there is no LF */
	size_t end;
	uint64_t offset;  /* of begin, in the segment */
	bool is_cut;      /* octets of this line were dropped */
	bool is_complete; /* no more will come: the end is as good as LF */
};

/* False without memory. */
bool scan_records_init(struct scan_records *records);
void scan_records_fini(struct scan_records *records);

/* Forget all octets; those to come stand at an offset. */
void scan_records_reset(struct scan_records *records, uint64_t offset);

/* Where octets may be put, at least SCAN_LINE_MAX of them, after
 * SCAN_FOUND_NONE; and that n of them were. */
uint8_t *scan_records_room(struct scan_records *records, size_t *n);
void scan_records_extend(struct scan_records *records, size_t n);

/* The next record, without its LF, or what is torn; valid until octets are
 * put in. Empty lines are passed over. */
enum scan_found scan_records_next(struct scan_records *records,
				  struct span *record);

/* Whether an unfinished line is held. */
static inline bool
scan_records_has_rest(const struct scan_records *records)
{
	return records->begin < records->end || records->is_cut;
}

#endif
