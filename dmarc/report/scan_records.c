/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/report/scan_records.h"

#include "dmarc/report/json_read.h"
#include "dmarc/report/scan.h"

#include <assert.h>
#include <stdlib.h>

#define LINES_ROOM (2 * SCAN_LINE_MAX)
#define KEPT (SCAN_LINE_MAX / 2) /* of a line that is too long */

bool
scan_records_init(struct scan_records *records)
{
	*records = (struct scan_records){ .octets = malloc(LINES_ROOM) };
	return records->octets != NULL;
}

void
scan_records_fini(struct scan_records *records)
{
	free(records->octets);
	records->octets = NULL;
}

void
scan_records_reset(struct scan_records *records, uint64_t offset)
{
	*records = (struct scan_records){ .octets = records->octets,
					  .offset = offset };
}

/* Pass over octets. */
static void
consume(struct scan_records *records, size_t n)
{
	records->begin += n;
	records->offset += n;
	if (records->searched < records->begin)
		records->searched = records->begin;
}

uint8_t *
scan_records_room(struct scan_records *records, size_t *n)
{
	size_t held = records->end - records->begin;

	assert(held <= SCAN_LINE_MAX);
	memmove(records->octets, records->octets + records->begin, held);
	records->searched -= records->begin;
	records->begin = 0;
	records->end = held;
	*n = LINES_ROOM - held;
	return records->octets + held;
}

void
scan_records_extend(struct scan_records *records, size_t n)
{
	assert(n <= LINES_ROOM - records->end);
	records->end += n;
}

/* --- lines -------------------------------------------------------------- */

/* Drop the start of a line that is too long, whatever of it came at once: what
 * is looked at in the end does not depend on that. */
static void
cut_line(struct scan_records *records, size_t n)
{
	if (n <= SCAN_LINE_MAX && !records->is_cut)
		return;
	records->is_cut = true;
	if (n > KEPT)
		consume(records, n - KEPT);
}

/* The line that begins where nothing was taken yet, and the octets it takes
 * with its end. */
static bool
find_line(struct scan_records *records, struct span *line, size_t *taken)
{
	const uint8_t *from = records->octets + records->searched;
	size_t n = records->end - records->searched;
	size_t found = span_find(span_make(from, n), '\n');
	bool has_end = found < n;

	records->searched += found;
	n = records->searched - records->begin;
	if (!has_end && !records->is_complete) {
		if (n > SCAN_LINE_MAX)
			cut_line(records, n);
		return false;
	}
	cut_line(records, n);
	*line = span_make(records->octets + records->begin,
			  records->searched - records->begin);
	*taken = line->n + has_end;
	return *taken > 0;
}

/* --- records ------------------------------------------------------------ */

/* What comes first in a line that is no record. */
static enum scan_found
take_piece(struct scan_records *records, struct span line, size_t taken,
	   struct span *record)
{
	struct span rest = json_resynchronise(line);

	*record = span_first(line, line.n - rest.n);
	consume(records, rest.n > 0 ? record->n : taken);
	records->is_cut = false;
	return json_is_object(*record) ? SCAN_FOUND_RECORD : SCAN_FOUND_TORN;
}

enum scan_found
scan_records_next(struct scan_records *records, struct span *record)
{
	struct span line;
	size_t taken;

	while (find_line(records, &line, &taken)) {
		if (line.n == 0) {
			consume(records, taken);
			continue;
		}
		if (records->is_cut || !json_is_object(line))
			return take_piece(records, line, taken, record);
		consume(records, taken);
		*record = line;
		return SCAN_FOUND_RECORD;
	}
	return SCAN_FOUND_NONE;
}
