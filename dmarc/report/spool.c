/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/report/spool.h"

#include "dmarc/report/spool_line.h"

#include <assert.h>

/* Below this a text says nothing; all that is left then fits in any case. */
#define TEXT_LEAST 16

/* Write within limits; a line that does not fit leaves the buf as it was. */
static bool
attempt(struct spool_writer *writer, struct buf *line)
{
	size_t n = line->n, max = line->max;
	bool has_fitted;

	writer->truncated_count = 0;
	json_init(&writer->json, line);
	line->max = n + SPOOL_LINE_MAX;
	spool_line_write(writer);
	has_fitted = !line->has_overflowed;
	line->max = max;
	if (!has_fitted) {
		line->n = n;
		line->has_overflowed = false;
	}
	return has_fitted;
}

/* Of the lengths for which the line fits (0 is one), write with the greatest.
 */
static bool
attempt_longest(struct spool_writer *writer, enum spool_list list, size_t count,
		struct buf *line)
{
	size_t fits = 0, fails = count;
	size_t n = line->n;

	while (fails - fits > 1) {
		size_t middle = fits + (fails - fits) / 2;

		writer->list_max[list] = middle;
		if (attempt(writer, line)) {
			fits = middle;
			line->n = n;
		} else {
			fails = middle;
		}
	}
	writer->list_max[list] = fits;
	return attempt(writer, line);
}

static size_t
list_count(const struct spool_record *record, enum spool_list list)
{
	const struct verdict *verdict = record->verdict;

	switch (list) {
	case SPOOL_LIST_DNS:
		return record->answers == NULL ? 0 : record->answers->count;
	case SPOOL_LIST_RCPT:
		return record->recipient_count;
	case SPOOL_LIST_DKIM:
		return verdict == NULL ? 0 : verdict->dkim_count;
	case SPOOL_LIST_ARC:
		return verdict == NULL || verdict->arc == NULL
			       ? 0
			       : verdict->arc->sets;
	case SPOOL_LIST_STRIPPED:
		return record->stripped_count;
	case SPOOL_LIST_FROM_DOMAINS:
		return verdict == NULL ? 0 : verdict->authors;
	case SPOOL_LIST_COUNT:
		break;
	}
	assert(false && "a list of the line");
	return 0;
}

/* With texts up to writer->text_max: cut one list after the other. */
static bool
attempt_lists(struct spool_writer *writer, struct buf *line)
{
	size_t n = line->n;

	for (size_t i = 0; i < SPOOL_LIST_COUNT; i++)
		writer->list_max[i] = SIZE_MAX;
	if (attempt(writer, line))
		return true;
	for (size_t i = 0; i < SPOOL_LIST_COUNT; i++) {
		size_t count = list_count(writer->record, (enum spool_list)i);

		writer->list_max[i] = 0;
		if (count > 0 && attempt(writer, line)) {
			line->n = n;
			return attempt_longest(writer, (enum spool_list)i,
					       count, line);
		}
	}
	return false;
}

bool
spool_format(const struct spool_record *record, struct buf *line)
{
	const struct verdict *verdict = record->verdict;
	struct spool_writer writer = { .record = record, .verdict = verdict };

	if (buf_room(line) < SPOOL_LINE_MAX)
		return false;
	if (verdict != NULL && verdict->authors > 0)
		writer.author = &verdict->author[verdict->deciding];
	for (writer.text_max = SPOOL_TEXT_MAX; writer.text_max >= TEXT_LEAST;
	     writer.text_max /= 2)
		if (attempt_lists(&writer, line))
			return true;
	return false;
}
