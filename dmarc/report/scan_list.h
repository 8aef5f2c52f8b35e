/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scan_list: which segment comes first, and which one comes next.
 *
 * A list is read once and then gone along for as long as what it says holds for
 * certain: to read it opens every segment, so to read it for each of them would
 * take the square of their number. Not for use outside scan*.c.
 */
#ifndef DMARC_REPORT_SCAN_LIST_H
#define DMARC_REPORT_SCAN_LIST_H

#include "dmarc/report/registry.h"

/* All zero: nothing was listed yet. */
struct scan_list {
	struct segment *segments; /* ours; as of segment_list() */
	size_t count;
	size_t next; /* behind the one that was entered last */
};

/* Anew; 0 or a negative errno, with an empty list. */
int scan_list_read(struct scan_list *list, int directory);
void scan_list_free(struct scan_list *list);

/* All give an index, or the count if there is none. */

/* With which one to begin: that of a position; if it is gone, the one behind
 * it; if nobody knows which one that was, the oldest. */
size_t scan_list_first(const struct scan_list *list,
		       const struct spool_position *position, bool *is_gone);

/* What comes after a segment, in a list that was read just now. */
size_t scan_list_after(const struct scan_list *list,
		       const struct segment_head *last);

/* The same in a list that may be old: one that names it as its previous. Not
 * the live one, since that changes. */
size_t scan_list_next(const struct scan_list *list,
		      const struct segment_head *last);

#endif
