/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spf_classes: every way in which the two SPF engines are known to differ.
 *
 * A difference that was reduced (spf_reduce.h) belongs to the first class
 * whose predicate holds; predicates look at what is left of the case, and at
 * what both engines said of it.
 */
#ifndef TESTS_SPF_CLASSES_H
#define TESTS_SPF_CLASSES_H

#include "tests/differential/spf_reduce.h"

enum right {
	RIGHT_NATIVE,
	RIGHT_LIBRARY,
	RIGHT_EITHER, /* the RFC leaves it open */
};

struct spf_class {
	const char *name;
	const char *section; /* of which RFC */
	enum right right;
	const char *why; /* one sentence */
	bool (*holds)(const struct spf_case *reduced,
		      const struct spf_opinions *opinions);
	/* The smallest sample: the record of s.test, and what else it needs.
	 * The client is 192.0.2.1, the sender local@s.test. */
	const char *local;
	const char *record;
	struct dns_row rows[14];
	enum spf_result native, library;
};

extern const struct spf_class spf_classes[];
extern const size_t spf_class_count;

/* The sample as a case. */
void spf_class_sample(const struct spf_class *class, struct spf_case *sample);

#endif
