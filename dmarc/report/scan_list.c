/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/report/scan_list.h"

#include <stdlib.h>

int
scan_list_read(struct scan_list *list, int directory)
{
	scan_list_free(list);
	return segment_list(directory, &list->segments, &list->count);
}

void
scan_list_free(struct scan_list *list)
{
	free(list->segments);
	*list = (struct scan_list){ 0 };
}

size_t
scan_list_first(const struct scan_list *list,
		const struct spool_position *position, bool *is_gone)
{
	*is_gone = false;
	if (list->count == 0 || position->uuid[0] == '\0')
		return 0;
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->segments[i].head.uuid, position->uuid) == 0)
			return i;
	*is_gone = true;
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->segments[i].head.previous, position->uuid) ==
		    0)
			return i;
	return 0;
}

/* The live one is never behind us, even if it is a copy of what is. */
size_t
scan_list_after(const struct scan_list *list, const struct segment_head *last)
{
	const struct segment *segments = list->segments;

	for (size_t i = 0; i < list->count; i++)
		if (segments[i].form != SEGMENT_IS_LIVE &&
		    strcmp(segments[i].head.uuid, last->uuid) == 0)
			return i + 1;
	for (size_t i = 0; i < list->count; i++)
		if (segments[i].form == SEGMENT_IS_LIVE ||
		    segments[i].head.opened_us > last->opened_us)
			return i;
	return list->count;
}

size_t
scan_list_next(const struct scan_list *list, const struct segment_head *last)
{
	const struct segment *next = list->segments + list->next;

	if (list->next >= list->count || next->form == SEGMENT_IS_LIVE ||
	    last->uuid[0] == '\0' ||
	    strcmp(next->head.previous, last->uuid) != 0)
		return list->count;
	return list->next;
}
