/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spool_line: the members of a verdict line, in their order.
 *
 * One attempt at a line within limits on its lists and texts; what they cut
 * is noted and named in the line's "truncated". spool.c finds limits that
 * fit. Not for use outside spool*.c. Pure.
 */
#ifndef DMARC_REPORT_SPOOL_LINE_H
#define DMARC_REPORT_SPOOL_LINE_H

#include "dmarc/report/json.h"
#include "dmarc/report/spool.h"

#define SPOOL_TRUNCATED_MAX 64

/* The lists that may be cut, in this order. */
enum spool_list {
	SPOOL_LIST_DNS,
	SPOOL_LIST_RCPT,
	SPOOL_LIST_DKIM,
	SPOOL_LIST_ARC,
	SPOOL_LIST_STRIPPED,
	SPOOL_LIST_FROM_DOMAINS,
	SPOOL_LIST_COUNT
};

struct spool_writer {
	struct json json;
	const struct spool_record *record;
	const struct verdict *verdict;    /* NULL: not judged */
	const struct eval_author *author; /* that decided; NULL: none */
	size_t text_max;
	size_t list_max[SPOOL_LIST_COUNT];
	const char *truncated[SPOOL_TRUNCATED_MAX];
	size_t truncated_count;
};

/* Write the line with its LF to writer->json, which is ready. */
void spool_line_write(struct spool_writer *writer);

#endif
