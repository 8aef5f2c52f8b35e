/* SPDX-License-Identifier: BSD-2-Clause */
/* eval_arc: what eval makes of an ARC chain. */
#include "dmarc/eval_arc.h"

#define COMMENT_MAX 65536 /* names of 50 sealers, and their selectors */

const struct override_rule eval_arc_override = {
	.name = { (const uint8_t *)"arc-sealers", sizeof("arc-sealers") - 1 },
	.disposition = DISPOSITION_NONE,
	.reason = "local_policy", /* RFC 8617 7.2.2 */
};

bool
eval_arc_ask(struct run *run)
{
	return run->facts->arc == NULL ||
	       arc_check_ask(run->facts->arc, run->answers);
}

static bool
is_trusted(const struct run *run, const struct arc_set *set)
{
	const struct eval_settings *settings = run->facts->settings;

	for (size_t i = 0; i < settings->arc_sealer_count; i++)
		if (span_equal(settings->arc_sealers[i], set->seal.domain))
			return true;
	return false;
}

/* A sealer that says what DMARC made of the rest needs no alignment. */
void
eval_arc_ask_claims(struct run *run)
{
	const struct arc_chain *chain;

	if (run->facts->arc == NULL)
		return;
	chain = arc_check_chain(run->facts->arc);
	for (size_t i = 0; i < chain->sets; i++) {
		const struct arc_results *results = &chain->set[i].results;

		if (!is_trusted(run, &chain->set[i]) || results->dmarc > 0)
			continue;
		for (size_t k = 0; k < results->claims; k++)
			eval_ask_identifier(run, results->claim[k].domain);
	}
}

void
eval_arc_finish(struct run *run)
{
	if (run->facts->arc != NULL)
		run->verdict->arc =
			arc_check_finish(run->facts->arc, run->answers);
}

/* Whether a sealer found the author to be good. Its dmarc result is its word;
 * without one, what it found of SPF and DKIM is aligned here. */
static enum alignment
align_results(struct run *run, const struct eval_author *author,
	      const struct arc_results *results)
{
	const struct record *record = &author->discovery.record;
	bool is_pending = false;

	if (results->dmarc > 0)
		return results->dmarc == 1 && results->is_dmarc_pass &&
				       span_equal(results->dmarc_from,
						  author->domain)
			       ? ALIGNMENT_YES
			       : ALIGNMENT_NOT;
	for (size_t i = 0; i < results->claims; i++) {
		const struct arc_claim *claim = &results->claim[i];
		enum alignment alignment =
			eval_align(run, author, claim->domain,
				   claim->is_spf ? record->is_aspf_strict
						 : record->is_adkim_strict);

		if (alignment == ALIGNMENT_YES)
			return ALIGNMENT_YES;
		is_pending |= alignment == ALIGNMENT_PENDING;
	}
	return is_pending ? ALIGNMENT_PENDING : ALIGNMENT_NOT;
}

/* From the newest set back, as far as sealers are trusted. The newest saw what
 * we see: it signed the whole body, From, and all fields of a kind. */
bool
eval_arc_judge(struct run *run, struct eval_author *author)
{
	const struct arc_chain *chain = run->verdict->arc;
	bool is_known = true;

	if (chain == NULL || chain->result != ARC_PASS ||
	    !chain->covers_message)
		return true;
	for (size_t i = chain->sets; i > 0; i--) {
		const struct arc_set *set = &chain->set[i - 1];
		enum alignment alignment;

		if (author->is_vouched_for || !is_trusted(run, set))
			break;
		alignment = align_results(run, author, &set->results);
		author->is_vouched_for = alignment == ALIGNMENT_YES;
		is_known &= alignment != ALIGNMENT_PENDING;
	}
	return is_known;
}

struct span
eval_arc_comment(const struct run *run, const struct override_rule *override)
{
	struct span comment = SPAN_NONE;
	struct buf buf;

	if (override != &eval_arc_override)
		return SPAN_NONE;
	buf_init(&buf, COMMENT_MAX);
	if (arc_comment(run->verdict->arc, &buf))
		comment = arena_copy(run->answers->arena, buf_span(&buf));
	buf_fini(&buf);
	return comment;
}
