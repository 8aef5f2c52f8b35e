/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * second: what the other engines for SPF and DKIM make of the same message.
 *
 * An opinion for the log: it is formed beside the verdict, from the same
 * answers and octets, and decides nothing. It cannot cost the message
 * anything either: its DKIM check lives in an arena of its own, and what it
 * has to ask it asks when the verdict is settled, SECOND_QUESTIONS_MAX
 * questions at most and within the cap of all. What would need more, or is
 * not answered in time, is no opinion.
 *
 * Fed like a dkim_check (dmarc/dkim.h), then run like eval (dmarc/eval.h).
 */
#ifndef DMARC_SECOND_H
#define DMARC_SECOND_H

#include "dmarc/dkim.h"
#include "dmarc/eval.h"
#include "smtp/buf.h"

/* With answers of 64 KB each, what these take of the mail's arena is little
 * beside what may be in it. */
#define SECOND_QUESTIONS_MAX 16

#define SECOND_TEXT_MAX 2048 /* of all differences, as a text */

struct second {
	struct arena arena;
	struct dkim_check *dkim;
	size_t questions_max; /* while it asks; 0: not begun to */
	bool is_over;         /* it asks nothing any more */

	/* The opinion. */
	bool has_spf;
	enum spf_result spf;
	bool has_dkim;
	const struct dkim_signature *signature;
	size_t signatures;
};

/* The engines that the settings did not choose. */
enum spf_engine second_spf_engine(enum spf_engine chosen);
enum dkim_engine_kind second_dkim_engine(enum dkim_engine_kind chosen);

void second_init(struct second *second);
void second_fini(struct second *second);

/* The header is complete; engine is the other one. The message must stay as it
 * is until the end. Without memory there is no opinion on DKIM. */
void second_header(struct second *second, struct dkim_engine *engine,
		   const struct message *message, uint64_t now_s);
void second_body(struct second *second, struct span chunk);

/* After eval_run() was true, with its facts and answers: true when there is
 * nothing to wait for any more. */
bool second_run(struct second *second, const struct spf_facts *facts,
		struct answers *answers);

/* What is not answered will not be waited for. */
void second_give_up(struct second *second);

/* Whether it has another result than the verdict for anything; appends which,
 * in one line for the log. */
bool second_differs(const struct second *second, const struct verdict *verdict,
		    struct buf *text);

/* The mail is over; the memory of the next one is kept. */
void second_reset(struct second *second);

#endif
