/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zone: a little DNS for tests, as a table. Rows of one name are several
 * records; a name of no row, and under which no row stands, is NXDOMAIN.
 */
#ifndef TESTS_ZONE_H
#define TESTS_ZONE_H

#include "dmarc/answers.h"
#include "dmarc/domain.h"

#define ZONE_RECORDS_MAX 8

struct zone_row {
	const char *name; /* NULL ends the table */
	const char *txt;  /* NULL: exists, without TXT; ZONE_DEAD: no answer */
};

#define ZONE_DEAD "\1"
#define ZONE_SILENT "\2" /* never answers: the question stays open */

/* What the zone has for a question; false if it is silent about it. */
static inline bool
zone_look_up(const struct zone_row *row, struct span name, enum dns_type type,
	     struct dns_record record[ZONE_RECORDS_MAX], struct answer *answer)
{
	*answer =
		(struct answer){ .status = ANSWER_NXDOMAIN, .record = record };
	for (; row->name != NULL; row++) {
		if (!domain_is_within(span_cstr(row->name), name))
			continue;
		if (answer->status == ANSWER_NXDOMAIN)
			answer->status = ANSWER_NODATA;
		if (!span_equal(span_cstr(row->name), name) || row->txt == NULL)
			continue;
		if (row->txt[0] == ZONE_SILENT[0])
			return false;
		if (row->txt[0] == ZONE_DEAD[0]) {
			answer->status = ANSWER_TEMPERROR;
			answer->error = "SERVFAIL";
			return true;
		}
		if (type != DNS_TXT || answer->records == ZONE_RECORDS_MAX)
			continue;
		answer->status = ANSWER_OK;
		record[answer->records++].value = span_cstr(row->txt);
	}
	return true;
}

/* Answer all that is open and that the zone knows; how many that were. */
static inline size_t
zone_answer(const struct zone_row *zone, struct answers *answers)
{
	struct dns_record record[ZONE_RECORDS_MAX];
	struct answer answer;
	size_t index, answered = 0;

	while (answers_unsent(answers, &index)) {
		const struct answer *open = answers->list[index];

		if (!zone_look_up(zone, open->name, open->type, record,
				  &answer))
			continue;
		answers_settle(answers, index, &answer);
		answered++;
	}
	return answered;
}

#endif
