/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eval: facts and answers → a verdict, or more questions.
 *
 * Each run starts from nothing, and asks all it might need before it looks
 * at what it has: what is asked late costs a round trip. Whose message it is
 * stands in eval_header.c, what is done about it in eval_ruling.c.
 */
#include "dmarc/eval.h"

#include "dmarc/domain.h"
#include "dmarc/eval_arc.h"
#include "dmarc/eval_header.h"
#include "dmarc/eval_ruling.h"

#include <assert.h>

/* --- questions --- */

/* Whether the author name exists (RFC 9989 4.7, A.4: any type will do). A
 * name that cannot be looked up is taken to exist. */
static bool
ask_existence(struct run *run, struct eval_author *author)
{
	const struct answer *answer =
		answers_ask(run->answers, author->domain, DNS_A);

	if (answer == NULL)
		return false;
	author->is_author_known = answer->status != ANSWER_TEMPERROR;
	author->does_author_exist = answer->status != ANSWER_NXDOMAIN;
	return true;
}

static enum discovery_status
find_organizational(struct run *run, struct span domain,
		    enum discovery_method method, struct span *organizational)
{
	return discovery_organizational(domain, method,
					run->facts->settings->psl, run->answers,
					organizational);
}

/* The organizational domain by both methods, for the log. */
static bool
compare_methods(struct run *run, struct eval_author *author)
{
	const struct eval_settings *settings = run->facts->settings;
	enum discovery_status status;
	struct span organizational;

	if (!settings->does_compare)
		return true;
	status = find_organizational(run, author->domain, DISCOVERY_TREEWALK,
				     &organizational);
	if (status == DISCOVERY_FOUND)
		author->org_treewalk = organizational;
	if (settings->psl != NULL)
		author->org_psl = domain_psl_organizational(settings->psl,
							    author->domain);
	return status != DISCOVERY_PENDING;
}

/* All about one author domain that does not depend on identifiers. True when
 * it is known. */
static bool
ask_author(struct run *run, struct eval_author *author)
{
	const struct eval_settings *settings = run->facts->settings;
	bool is_known = ask_existence(run, author);

	author->discovered = discovery_policy(
		author->domain, settings->discovery, settings->psl,
		run->answers, &author->discovery);
	is_known &= author->discovered != DISCOVERY_PENDING;
	is_known &= compare_methods(run, author);
	return is_known;
}

/* Names of different top-level domains have no ancestor in common, and so no
 * organizational domain. */
static bool
has_same_top(struct span a, struct span b)
{
	return span_equal_nocase(domain_suffix(a, 1), domain_suffix(b, 1));
}

/* Ask for the walk of an identifier that might turn out to be aligned. Half
 * of the questions are left for SPF: it asks bit by bit, and signatures of
 * many domains must not take what the author's own record needs. */
void
eval_ask_identifier(struct run *run, struct span domain)
{
	struct span organizational;
	size_t i = 0;

	if (domain.n == 0 || run->answers->count > run->answers->max / 2)
		return;
	while (i < run->verdict->authors &&
	       !has_same_top(domain, run->verdict->author[i].domain))
		i++;
	if (i < run->verdict->authors)
		find_organizational(run, domain,
				    run->facts->settings->discovery,
				    &organizational);
}

/* All that the envelope says: SPF, and the overrides by the client's name.
 * Before the header is there half of the questions are kept back: whoever
 * sends could use them all up by his own SPF record, and his mail would be no
 * fail, as the author's record could not be looked up. True when SPF is
 * settled. */
static bool
ask_for_envelope(struct run *run)
{
	const struct eval_facts *facts = run->facts;
	struct answers *answers = run->answers;
	bool is_settled;

	answers->reserved =
		facts->stage == EVAL_ENVELOPE ? answers->max / 2 : 0;
	is_settled = spf_eval(&facts->spf, answers, &run->verdict->spf);
	override_ask(facts->settings->overrides,
		     facts->settings->override_count, &facts->spf.client,
		     answers);
	answers->reserved = 0;
	return is_settled;
}

/* All that the author domains and the signatures need. True when it is there.
 */
static bool
ask_for_header(struct run *run)
{
	struct verdict *verdict = run->verdict;
	bool is_known = true;

	for (size_t i = 0; i < verdict->authors; i++)
		is_known &= ask_author(run, &verdict->author[i]);
	is_known &= dkim_check_ask(run->facts->dkim, run->answers);
	is_known &= eval_arc_ask(run);
	return is_known;
}

/* What may be needed to see who is aligned. */
static void
ask_for_identifiers(struct run *run)
{
	struct span domain[DKIM_SIGNATURES_MAX];
	size_t domains = dkim_check_domains(run->facts->dkim, domain);

	eval_ask_identifier(run, run->verdict->spf.domain);
	for (size_t i = 0; i < domains; i++)
		eval_ask_identifier(run, domain[i]);
	eval_arc_ask_claims(run);
}

/* --- alignment --- */

enum alignment
eval_align(struct run *run, const struct eval_author *author,
	   struct span domain, bool is_strict)
{
	struct span organizational = author->discovery.organizational;
	enum discovery_status status;
	struct span own;

	if (domain.n == 0)
		return ALIGNMENT_NOT;
	if (policy_is_aligned(author->domain, SPAN_NONE, domain, SPAN_NONE,
			      true))
		return ALIGNMENT_YES;
	if (is_strict || !has_same_top(author->domain, domain))
		return ALIGNMENT_NOT;
	/* Without policy nobody knows whether it is strict. */
	if (!eval_has_policy(author))
		return ALIGNMENT_UNKNOWN;
	if (author->discovered == DISCOVERY_NONE)
		return domain_is_within(domain, organizational) ? ALIGNMENT_YES
								: ALIGNMENT_NOT;
	status = find_organizational(run, domain,
				     run->facts->settings->discovery, &own);
	if (status == DISCOVERY_PENDING)
		return ALIGNMENT_PENDING;
	if (status == DISCOVERY_TEMPERROR)
		own = SPAN_NONE;
	if (own.n > 0 && organizational.n > 0)
		return policy_is_aligned(author->domain, organizational, domain,
					 own, false)
			       ? ALIGNMENT_YES
			       : ALIGNMENT_NOT;
	/* One of them is not known; it stands above its domain all the same.
	 * Or else anybody could turn a fail into a temperror, with a domain
	 * of his own whose DNS is broken. */
	if ((own.n > 0 && !domain_is_within(author->domain, own)) ||
	    (organizational.n > 0 && !domain_is_within(domain, organizational)))
		return ALIGNMENT_NOT;
	return ALIGNMENT_UNKNOWN;
}

/* What the identifiers of a message say for one author domain. */
struct findings {
	bool is_pending;
	bool has_pass;     /* one passed and is aligned */
	bool spf_is_open;  /* SPF might have been that one */
	bool dkim_is_open; /* … or a signature */
};

/* True if the identifier passed and is aligned. *is_open: it cannot be told
 * for now. */
static bool
find_identifier(struct run *run, const struct eval_author *author,
		struct span domain, bool is_strict, bool has_passed,
		struct findings *findings, bool *is_open)
{
	switch (eval_align(run, author, domain, is_strict)) {
	case ALIGNMENT_NOT:
		return false;
	case ALIGNMENT_YES:
		findings->has_pass |= has_passed;
		*is_open |= !has_passed;
		return has_passed;
	case ALIGNMENT_UNKNOWN:
		*is_open = true;
		return false;
	case ALIGNMENT_PENDING:
		findings->is_pending = true;
		return false;
	}
	return false;
}

static void
find_identifiers(struct run *run, struct eval_author *author,
		 struct findings *findings)
{
	const struct verdict *verdict = run->verdict;
	const struct record *record = &author->discovery.record;

	*findings = (struct findings){ .is_pending = false };
	if (verdict->spf.result == SPF_PASS ||
	    verdict->spf.result == SPF_TEMPERROR)
		author->is_spf_aligned = find_identifier(
			run, author, verdict->spf.domain,
			record->is_aspf_strict, verdict->spf.result == SPF_PASS,
			findings, &findings->spf_is_open);
	for (size_t i = 0; i < verdict->dkim_count; i++) {
		const struct dkim_signature *dkim = &verdict->dkim[i];

		if (dkim->result != DKIM_PASS && dkim->result != DKIM_TEMPERROR)
			continue;
		if (find_identifier(run, author, dkim->domain,
				    record->is_adkim_strict,
				    dkim->result == DKIM_PASS, findings,
				    &findings->dkim_is_open))
			author->dkim_aligned |= (uint32_t)1 << i;
	}
}

/* --- one author domain --- */

static void
conclude(struct eval_author *author, enum dmarc_result result,
	 enum dmarc_outcome outcome, const char *rule)
{
	author->result = result;
	author->outcome = outcome;
	author->rule = rule;
}

static void
conclude_pass(struct eval_author *author)
{
	conclude(author, DMARC_PASS, OUTCOME_ALLOW,
		 author->dkim_aligned == 0 ? "RFC 9989 4.4: SPF is aligned"
		 : author->is_spf_aligned
			 ? "RFC 9989 4.4: DKIM and SPF are aligned"
			 : "RFC 9989 4.4: DKIM is aligned");
}

static void
conclude_fail(struct eval_author *author)
{
	switch (author->effective.applied) {
	case POLICY_REJECT:
		author->disposition = DISPOSITION_REJECT;
		conclude(author, DMARC_FAIL, OUTCOME_REJECT,
			 author->effective.rule);
		return;
	case POLICY_QUARANTINE:
		author->disposition = DISPOSITION_QUARANTINE;
		conclude(author, DMARC_FAIL, OUTCOME_QUARANTINE,
			 author->effective.rule);
		return;
	case POLICY_NONE:
	case POLICY_ABSENT:
	case POLICY_INVALID:
		break;
	}
	conclude(author, DMARC_FAIL, OUTCOME_SOFTFAIL, author->effective.rule);
}

static void
conclude_temperror(struct eval_author *author, const struct findings *findings)
{
	author->is_spf_temporary =
		findings->spf_is_open && !findings->dkim_is_open;
	author->may_defer = author->effective.applied != POLICY_NONE;
	conclude(author, DMARC_TEMPERROR, OUTCOME_NA,
		 "RFC 9989 5.3.6: an identifier failed for now");
}

/* RFC 9989 5.3.6, in its order */
static void
conclude_found(struct eval_author *author, const struct findings *findings)
{
	if (!author->effective.is_usable || author->effective.has_bad_policy)
		author->error = "bad-policy";
	if (!author->effective.is_usable)
		conclude(author, DMARC_PERMERROR, OUTCOME_BAD_POLICY,
			 author->effective.rule);
	else if (findings->has_pass)
		conclude_pass(author);
	else if (findings->spf_is_open || findings->dkim_is_open)
		conclude_temperror(author, findings);
	else
		conclude_fail(author);
}

/* RFC 7489 6.6.4 has pct=, RFC 9989 has none. */
static bool
is_sampled(const struct run *run, const struct eval_author *author)
{
	const struct eval_settings *settings = run->facts->settings;

	return (author->discovery.method == DISCOVERY_PSL ||
		settings->does_honour_pct) &&
	       !domain_list_has(settings->unsampled, author->domain);
}

/* Where nothing is published that would tell it, the domain of the rule is
 * the organizational domain. */
static void
apply_force(const struct eval_settings *settings, struct eval_author *author)
{
	struct span domain;
	const struct force_rule *force =
		force_find(settings->forces, settings->force_count,
			   author->domain, &domain);

	if (force == NULL || author->discovered == DISCOVERY_TEMPERROR ||
	    !force_apply(force, &author->effective))
		return;
	author->force = force;
	if (author->discovered == DISCOVERY_NONE)
		author->discovery.organizational = domain;
}

/* Decide about one author domain. False if an answer is missing. */
static bool
judge_author(struct run *run, struct eval_author *author)
{
	struct findings findings;

	if (author->discovered != DISCOVERY_TEMPERROR &&
	    author->discovery.is_multiple)
		author->error = "multiple-records";
	if (author->discovered == DISCOVERY_FOUND) {
		policy_effective(&author->discovery,
				 author->does_author_exist
					 ? POLICY_AUTHOR_EXISTS
					 : POLICY_AUTHOR_MISSING,
				 &author->effective);
		if (is_sampled(run, author))
			policy_sample(&author->discovery,
				      run->facts->percentile,
				      &author->effective);
	}
	apply_force(run->facts->settings, author);
	if (author->discovered == DISCOVERY_NONE && author->force == NULL) {
		conclude(author, DMARC_NONE, OUTCOME_NA,
			 "RFC 9989 4.10.1: no DMARC record");
		return true;
	}
	find_identifiers(run, author, &findings);
	if (findings.is_pending)
		return false;
	if (eval_has_policy(author)) {
		conclude_found(author, &findings);
		if (author->disposition != DISPOSITION_NONE)
			return eval_arc_judge(run, author);
	} else if (findings.has_pass) {
		conclude_pass(author);
	} else {
		author->may_defer = true;
		conclude(author, DMARC_TEMPERROR, OUTCOME_NA,
			 "RFC 9989 5.3.6: the policy could not be looked up");
	}
	return true;
}

bool
eval_run(const struct eval_facts *facts, struct answers *answers,
	 struct verdict *verdict)
{
	struct run run = { facts, answers, verdict };
	bool has_spf, is_known;

	*verdict = (struct verdict){ .result = DMARC_NONE };
	if (facts->is_authenticated) {
		verdict->rule = "authenticated session";
		return facts->stage == EVAL_END;
	}
	if (facts->stage == EVAL_ENVELOPE) {
		ask_for_envelope(&run);
		return false;
	}
	assert(facts->message != NULL && facts->dkim != NULL);
	eval_header_read(&run);
	is_known = ask_for_header(&run);
	has_spf = ask_for_envelope(&run);
	ask_for_identifiers(&run);
	if (facts->stage != EVAL_END || !has_spf || !is_known)
		return false;
	verdict->dkim_count =
		dkim_check_finish(facts->dkim, answers, &verdict->dkim);
	eval_arc_finish(&run);
	for (size_t i = 0; i < verdict->authors; i++)
		is_known &= judge_author(&run, &verdict->author[i]);
	return is_known && eval_ruling_decide(&run);
}

bool
eval_has_policy(const struct eval_author *author)
{
	return author->discovered == DISCOVERY_FOUND || author->force != NULL;
}

const char *
dmarc_result_name(enum dmarc_result result)
{
	switch (result) {
	case DMARC_NONE:
		return "none";
	case DMARC_PASS:
		return "pass";
	case DMARC_FAIL:
		return "fail";
	case DMARC_TEMPERROR:
		return "temperror";
	case DMARC_PERMERROR:
		return "permerror";
	}
	return "?";
}

const char *
dmarc_outcome_name(enum dmarc_outcome outcome)
{
	switch (outcome) {
	case OUTCOME_NA:
		return "na";
	case OUTCOME_ALLOW:
		return "allow";
	case OUTCOME_SOFTFAIL:
		return "softfail";
	case OUTCOME_QUARANTINE:
		return "quarantine";
	case OUTCOME_REJECT:
		return "reject";
	case OUTCOME_BAD_POLICY:
		return "bad_policy";
	}
	return "?";
}
