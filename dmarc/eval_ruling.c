/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/eval_ruling.h"

#include "dmarc/eval_arc.h"

/* What is done about one author domain, in the end. */
struct ruling {
	enum disposition disposition;
	const struct override_rule *override;
	const struct override_rule *open_override;
	const char *rule;
};

/* RFC 9989 8: what is known beside the policy. A mailing list, or a signer,
 * may have broken what was there. */
static bool
has_evidence(const struct run *run)
{
	const struct verdict *verdict = run->verdict;

	return verdict->spf.result == SPF_FAIL && verdict->spf.is_all_fail &&
	       dkim_check_count(run->facts->dkim) == 0 &&
	       !verdict->has_list_id && !verdict->has_list_post;
}

/* What the overrides say of a message that fails; as they stand, it may be
 * that they cannot say for now. */
static enum override_status
find_override(const struct run *run, const struct eval_author *author,
	      const struct override_rule **rule)
{
	const struct eval_settings *settings = run->facts->settings;
	const struct verdict *verdict = run->verdict;
	const struct override_facts facts = {
		.client = &run->facts->spf.client,
		.author = author->domain,
		.envelope = verdict->spf.result == SPF_PASS
				    ? verdict->spf.domain
				    : SPAN_NONE,
		.dkim = verdict->dkim,
		.dkim_count = verdict->dkim_count,
		.is_list = verdict->has_list_id || verdict->has_list_post,
		.disposition = author->disposition,
	};

	return override_find(settings->overrides, settings->override_count,
			     &facts, run->answers, rule);
}

/* False if an answer is missing. */
static bool
rule_on(const struct run *run, const struct eval_author *author,
	struct ruling *ruling)
{
	const struct override_rule *rule;

	*ruling = (struct ruling){ .disposition = author->disposition,
				   .rule = author->rule };
	if (author->result != DMARC_FAIL)
		return true;
	switch (find_override(run, author, &rule)) {
	case OVERRIDE_PENDING:
		return false;
	case OVERRIDE_FOUND:
		ruling->disposition = rule->disposition;
		ruling->override = rule;
		ruling->rule = "local override";
		return true;
	case OVERRIDE_UNKNOWN:
		ruling->open_override = rule;
		break;
	case OVERRIDE_NONE:
		break;
	}
	if (author->is_vouched_for) {
		ruling->disposition = DISPOSITION_NONE;
		ruling->override = &eval_arc_override;
		ruling->rule = "RFC 8617 7.2: a trusted ARC sealer";
	} else if (run->facts->settings->needs_evidence &&
		   author->disposition == DISPOSITION_REJECT &&
		   !has_evidence(run)) {
		ruling->disposition = DISPOSITION_QUARANTINE;
		ruling->rule = "RFC 9989 8: reject without other evidence";
	}
	return true;
}

/* Which of several author domains decides: the highest. What is open is no
 * reason to wait where another author is rejected for sure; and one that is
 * overridden is no shield for one that fails under p=none. */
static unsigned
rank(const struct eval_author *author, const struct ruling *ruling)
{
	switch (ruling->disposition) {
	case DISPOSITION_REJECT:
		return ruling->open_override == NULL ? 10 : 9;
	case DISPOSITION_QUARANTINE:
		return 8;
	case DISPOSITION_NONE:
		break;
	}
	switch (author->result) {
	case DMARC_TEMPERROR:
		return author->may_defer ? 7 : 6;
	case DMARC_FAIL:
		return ruling->override == NULL ? 5 : 3;
	case DMARC_PERMERROR:
		return 4;
	case DMARC_NONE:
		return 2;
	case DMARC_PASS:
		break;
	}
	return 1;
}

bool
eval_ruling_decide(const struct run *run)
{
	struct verdict *verdict = run->verdict;
	const struct eval_author *deciding;
	struct ruling strictest = { .rule = NULL }, ruling;

	if (verdict->authors == 0) {
		verdict->rule = "RFC 9989 5.3.1: no author domain";
		return true;
	}
	for (size_t i = 0; i < verdict->authors; i++) {
		if (!rule_on(run, &verdict->author[i], &ruling))
			return false;
		if (i > 0 && rank(&verdict->author[i], &ruling) <=
				     rank(&verdict->author[verdict->deciding],
					  &strictest))
			continue;
		verdict->deciding = i;
		strictest = ruling;
	}
	deciding = &verdict->author[verdict->deciding];
	verdict->result = deciding->result;
	verdict->outcome = deciding->outcome;
	verdict->may_defer = deciding->may_defer;
	verdict->policy_disposition = deciding->disposition;
	verdict->disposition = strictest.disposition;
	verdict->override = strictest.override;
	verdict->open_override = strictest.open_override;
	verdict->override_comment = eval_arc_comment(run, strictest.override);
	verdict->rule = strictest.rule;
	if (verdict->result == DMARC_PASS &&
	    verdict->from_fault != FROM_FAULT_NONE) {
		verdict->result = DMARC_NONE;
		verdict->outcome = OUTCOME_NA;
		verdict->rule = "RFC 9989 4.4: such a From field aligns with "
				"nothing";
	}
	return true;
}
