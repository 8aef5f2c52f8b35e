/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spf_corpus: a message's envelope and a zone of SPF records, hosts and names
 * that fail, made by dice from the grammar of RFC 7208, and then broken.
 */
#ifndef TESTS_SPF_CORPUS_H
#define TESTS_SPF_CORPUS_H

#include "dmarc/spf.h"
#include "smtp/buf.h"
#include "tests/differential/dice.h"
#include "tests/unit/dns_rows.h"

#define SPF_CASE_ROWS_MAX 640
#define SPF_CASE_TEXT_MAX 100000

struct spf_case {
	const char *client, *local, *domain, *helo;
	bool is_null; /* MAIL FROM:<> */
	struct dns_row rows[SPF_CASE_ROWS_MAX + 1];
	size_t count;
	char text[SPF_CASE_TEXT_MAX]; /* what the rows point at */
	size_t used;
};

/* Case `number` of a seed. */
void spf_corpus_make(struct spf_case *made, uint64_t seed, uint64_t number);

void spf_case_facts(const struct spf_case *spf, enum spf_engine engine,
		    struct spf_facts *facts);

#endif
