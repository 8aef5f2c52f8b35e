/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_HOLDS_H
#define TESTS_HOLDS_H

#include "smtp/span.h"

/* Whether part stands somewhere in text. */
static inline bool
holds(struct span text, struct span part)
{
	for (size_t i = 0; i + part.n <= text.n; i++)
		if (span_starts(span_after(text, i), part))
			return true;
	return false;
}

#endif
