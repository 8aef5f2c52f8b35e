/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eval_run: one run of eval, as its parts pass it around. Nobody but eval*.c
 * includes this. What it points to is the caller's of eval_run(), and outlives
 * the run; nothing else is kept between its parts.
 */
#ifndef DMARC_EVAL_RUN_H
#define DMARC_EVAL_RUN_H

#include "dmarc/eval.h"

struct run {
	const struct eval_facts *facts;
	struct answers *answers;
	struct verdict *verdict;
};

#endif
