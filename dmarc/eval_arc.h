/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eval_arc: what eval makes of an ARC chain. Nobody but eval*.c includes this.
 *
 * A chain that passes changes nothing by itself. If its sealers are listed as
 * trusted, from the newest back to one that found the author to be good, the
 * author's policy is overridden (RFC 8617 7.2): neither reject nor quarantine.
 * The result of DMARC stays fail. With ARC dropped, this goes as well.
 */
#ifndef DMARC_EVAL_ARC_H
#define DMARC_EVAL_ARC_H

#include "dmarc/eval_run.h"

enum alignment {
	ALIGNMENT_NOT,
	ALIGNMENT_YES,
	ALIGNMENT_UNKNOWN, /* an organizational domain could not be found */
	ALIGNMENT_PENDING,
};

/* Of eval.c: whether an identifier is aligned with an author; and the
 * questions for that, early. */
enum alignment eval_align(struct run *run, const struct eval_author *author,
			  struct span domain, bool is_strict);
void eval_ask_identifier(struct run *run, struct span domain);

/* The chain's keys: true when they are there. */
bool eval_arc_ask(struct run *run);

/* Questions for what trusted sealers found. */
void eval_arc_ask_claims(struct run *run);

/* Validate the chain, into the verdict. */
void eval_arc_finish(struct run *run);

/* Whether a trusted sealer vouches for an author. False if an answer is
 * missing. */
bool eval_arc_judge(struct run *run, struct eval_author *author);

/* The override that this is, and what reports are told of it: nothing of
 * another one, or without memory. */
extern const struct override_rule eval_arc_override;
struct span eval_arc_comment(const struct run *run,
			     const struct override_rule *override);

#endif
