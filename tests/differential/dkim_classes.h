/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim_classes: every way in which the two DKIM engines are known to differ.
 *
 * A difference belongs to the first class whose predicate holds; predicates
 * look at the octets, and at what both engines said of the signature.
 */
#ifndef TESTS_DKIM_CLASSES_H
#define TESTS_DKIM_CLASSES_H

#include "dmarc/dkim.h"
#include "tests/differential/dkim_corpus.h"
#include "tests/differential/dkim_signer.h"
#include "tests/differential/spf_classes.h" /* enum right */

/* Of one signature, and what both engines made of it; native first. */
struct dkim_opinions {
	enum dkim_result result[2];
	const char *reason[2];
	struct span field; /* of the signature, with its CR LF */
};

struct dkim_class {
	const char *name;
	const char *section; /* of which RFC */
	enum right right;
	const char *why; /* one sentence */
	bool (*holds)(const struct dkim_case *made,
		      const struct dkim_opinions *opinions);
	/* The smallest sample: "From: a@signer.example", with more of a header
	 * and a body, signed; then with what is put above and behind it. */
	struct signer_signature signature;
	const char *header, *body, *above, *below;
	struct span foot;                        /* of the header */
	size_t fill_header, fill_body, fill_key; /* octets more, of one kind */
	enum dkim_result native, library;
};

extern const struct dkim_class dkim_classes[];
extern const size_t dkim_class_count;

/* The sample as a case. Its own signature is the first field that has no
 * other above it; *at is its place among the signatures. */
void dkim_class_sample(const struct dkim_class *class, struct dkim_case *sample,
		       size_t *at);

#endif
