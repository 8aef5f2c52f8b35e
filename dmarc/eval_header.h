/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eval_header: what eval reads from the header, but for signatures. Nobody but
 * eval*.c includes this.
 *
 * The author domains, read beforehand (dmarc/authors.h), and the signals that
 * are told beside the verdict.
 */
#ifndef DMARC_EVAL_HEADER_H
#define DMARC_EVAL_HEADER_H

#include "dmarc/eval_run.h"

/* Into the verdict, which has no authors yet. */
void eval_header_read(struct run *run);

#endif
