/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dns_rows: a little DNS for tests, of all types, as a table that is read
 * like a zone file. A name of no row, and under which no row stands, is
 * NXDOMAIN; a type that a name lacks is NODATA.
 *
 * Values: A and AAAA in text, MX as "10 mail.example" (just the number for
 * the null MX), PTR as a name, TXT as it is. NULL: the look-up fails.
 */
#ifndef TESTS_DNS_ROWS_H
#define TESTS_DNS_ROWS_H

#include "dmarc/answers.h"
#include "dmarc/domain.h"
#include "smtp/ip.h"

#include <assert.h>

#define DNS_ROWS_RECORDS_MAX 64

struct dns_row {
	const char *name; /* NULL ends the table */
	enum dns_type type;
	const char *value;
	size_t n; /* octets of value, where it holds a NUL */
};

/* The addresses that records point at while they are being settled. */
struct dns_rows_found {
	struct ip ip[DNS_ROWS_RECORDS_MAX];
	struct dns_record record[DNS_ROWS_RECORDS_MAX];
	struct answer answer;
};

static inline void
dns_rows_add(struct dns_rows_found *found, const struct dns_row *row)
{
	struct dns_record *record = &found->record[found->answer.records];
	struct ip *ip = &found->ip[found->answer.records];
	struct span value = row->n > 0 ? span_make(row->value, row->n)
				       : span_cstr(row->value);
	size_t space = span_find(value, ' ');
	uint64_t preference = 0;

	assert(found->answer.records < DNS_ROWS_RECORDS_MAX);
	*record = (struct dns_record){ .value = value };
	if (row->type == DNS_A || row->type == DNS_AAAA) {
		bool is_ip = ip_parse(value, ip);

		assert(is_ip);
		record->value =
			span_make(ip->octets, row->type == DNS_A ? 4 : 16);
	}
	if (row->type == DNS_MX) {
		bool is_number =
			span_u64(span_first(value, space), &preference);

		assert(is_number && preference <= UINT16_MAX);
		record->preference = (uint16_t)preference;
		record->value = span_trim(span_after(value, space));
	}
	found->answer.records++;
	found->answer.status = ANSWER_OK;
}

static inline void
dns_rows_find(const struct dns_row *row, struct span name, enum dns_type type,
	      struct dns_rows_found *found)
{
	found->answer = (struct answer){ .status = ANSWER_NXDOMAIN,
					 .record = found->record };
	for (; row->name != NULL; row++) {
		if (!domain_is_within(span_cstr(row->name), name))
			continue;
		if (found->answer.status == ANSWER_NXDOMAIN)
			found->answer.status = ANSWER_NODATA;
		if (row->type != type ||
		    !span_equal(span_cstr(row->name), name))
			continue;
		if (row->value == NULL) {
			found->answer.status = ANSWER_TEMPERROR;
			found->answer.error = "SERVFAIL";
			found->answer.records = 0;
			return;
		}
		dns_rows_add(found, row);
	}
}

/* Settle question `index`. */
static inline void
dns_rows_settle(const struct dns_row *rows, struct answers *answers,
		size_t index)
{
	const struct answer *open = answers->list[index];
	struct dns_rows_found found;

	dns_rows_find(rows, open->name, open->type, &found);
	answers_settle(answers, index, &found.answer);
}

/* Settle all that is open; how many that were. */
static inline size_t
dns_rows_settle_all(const struct dns_row *rows, struct answers *answers)
{
	size_t index, settled = 0;

	for (; answers_unsent(answers, &index); settled++)
		dns_rows_settle(rows, answers, index);
	return settled;
}

#endif
