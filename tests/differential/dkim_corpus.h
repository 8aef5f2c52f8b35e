/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim_corpus: signed messages made by dice, whole, broken and hostile, with
 * the key records that go with them.
 */
#ifndef TESTS_DKIM_CORPUS_H
#define TESTS_DKIM_CORPUS_H

#include "dmarc/answers.h"
#include "smtp/buf.h"
#include "tests/differential/dice.h"

#define DKIM_CASE_KEYS 4
#define DKIM_CASE_NOW_S 1800000000

struct dkim_case {
	struct buf octets; /* of the message */
	struct {
		char name[100];
		struct buf record;
		unsigned records; /* how often it stands there */
		enum answer_status status;
	} key[DKIM_CASE_KEYS];
	size_t keys;
	/* What was done to it since it was signed: a text for people; "" if
	 * nothing was, and then every signature has to pass. */
	char broken[200];
};

void dkim_case_init(struct dkim_case *made);
void dkim_case_fini(struct dkim_case *made);

/* Case `number` of a seed. */
void dkim_corpus_make(struct dkim_case *made, uint64_t seed, uint64_t number);

#endif
