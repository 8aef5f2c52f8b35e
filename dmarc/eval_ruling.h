/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eval_ruling: what is done about a message whose authors are judged. Nobody
 * but eval*.c includes this.
 *
 * For each author the policy's disposition, or what an override, a trusted ARC
 * sealer or the want of evidence makes of it, in this order; and of several
 * authors the strictest.
 */
#ifndef DMARC_EVAL_RULING_H
#define DMARC_EVAL_RULING_H

#include "dmarc/eval_run.h"

/* Complete the verdict. False if an answer is missing. */
bool eval_ruling_decide(const struct run *run);

#endif
