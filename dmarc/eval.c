/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eval: facts and answers → a verdict, or more questions.
 *
 * Each run starts from nothing, and asks all it might need before it looks
 * at what it has: what is asked late costs a round trip. The name of an
 * author domain is written to the arena once, as the question for its
 * address; later runs find it there.
 */
#include "dmarc/eval.h"

#include "dmarc/domain.h"
#include "dmarc/eval_arc.h"

#include <assert.h>

#define FROM SPAN_LIT("From")

#define SCRATCH_MAX 16384 /* one run's normalised names */

/* --- the message's header --- */

/* Without white space and folds at either end. */
static struct span
trim(struct span s)
{
	while (s.n > 0 &&
	       (octet_is_wsp(s.p[0]) || s.p[0] == '\r' || s.p[0] == '\n'))
		s = span_after(s, 1);
	while (s.n > 0 && (octet_is_wsp(s.p[s.n - 1]) || s.p[s.n - 1] == '\r' ||
			   s.p[s.n - 1] == '\n'))
		s.n--;
	return s;
}

/* The first field of that name; empty if there is none. */
static struct span
first_field(const struct message *message, struct span name)
{
	size_t i = message_find(message, name, 0);

	return i == message->fields ? SPAN_NONE
				    : trim(message_field(message, i).body);
}

static void
read_signals(const struct message *message, struct verdict *verdict)
{
	struct span automatic =
		first_field(message, SPAN_LIT("Auto-Submitted"));

	verdict->has_list_id = message_count(message, SPAN_LIT("List-Id")) > 0;
	verdict->has_list_post =
		message_count(message, SPAN_LIT("List-Post")) > 0;
	/* RFC 3834 5: "no", with or without parameters or comments */
	verdict->is_auto_submitted =
		automatic.n > 0 &&
		!(span_starts_nocase(automatic, SPAN_LIT("no")) &&
		  (automatic.n == 2 || !octet_is_alpha(automatic.p[2])));
	verdict->message_id = first_field(message, SPAN_LIT("Message-ID"));
}

/* The first fault that is found is the one that is told. */
static void
note_fault(struct verdict *verdict, enum from_fault fault)
{
	if (verdict->from_fault == FROM_FAULT_NONE)
		verdict->from_fault = fault;
}

/* The name as an earlier run has asked for it, or a copy. */
static struct span
keep(const struct answers *answers, struct span name)
{
	for (size_t i = 0; i < answers->count; i++)
		if (answers->list[i]->type == DNS_A &&
		    span_equal(answers->list[i]->name, name))
			return answers->list[i]->name;
	return arena_copy(answers->arena, name);
}

/* One domain of a From field, as written. RFC 9989 5.3.1: in A-labels. */
static void
add_author(struct run *run, struct span written, struct arena *scratch)
{
	struct verdict *verdict = run->verdict;
	struct span domain;

	if (!domain_normalise(written, scratch, &domain)) {
		note_fault(verdict, FROM_FAULT_DOMAIN);
		return;
	}
	for (size_t i = 0; i < verdict->authors; i++)
		if (span_equal(verdict->author[i].domain, domain))
			return;
	if (verdict->authors == FROM_DOMAINS_MAX) {
		note_fault(verdict, FROM_FAULT_TOO_MANY);
		return;
	}
	verdict->author[verdict->authors++].domain = keep(run->answers, domain);
}

static void
read_from_field(struct run *run, struct span body, struct arena *scratch)
{
	struct from from = { .domains = 0 };

	switch (from_parse(body, &from)) {
	case FROM_MALFORMED:
		note_fault(run->verdict, FROM_FAULT_MALFORMED);
		return;
	case FROM_EMPTY:
		note_fault(run->verdict, FROM_FAULT_EMPTY);
		return;
	case FROM_TOO_MANY:
		note_fault(run->verdict, FROM_FAULT_TOO_MANY);
		break;
	case FROM_OK:
		break;
	}
	for (size_t i = 0; i < from.domains && i < FROM_DOMAINS_MAX; i++)
		add_author(run, from.domain[i], scratch);
}

/* RFC 9989 4.4, 11.5; standards 1.9 */
static void
read_authors(struct run *run)
{
	const struct message *message = run->facts->message;
	size_t fields = message_count(message, FROM);
	struct arena scratch;

	if (fields == 0)
		note_fault(run->verdict, FROM_FAULT_MISSING);
	if (fields > 1)
		note_fault(run->verdict, FROM_FAULT_REPEATED);
	arena_init(&scratch, SCRATCH_MAX);
	for (size_t i = message_find(message, FROM, 0); i < message->fields;
	     i = message_find(message, FROM, i + 1))
		read_from_field(run, message_field(message, i).body, &scratch);
	arena_fini(&scratch);
	if (message->is_malformed)
		note_fault(run->verdict, FROM_FAULT_HEADER);
}

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

/* Every question there is, once the header is known. True when all that the
 * author domains and the signatures need is there. */
static bool
ask_all(struct run *run)
{
	struct verdict *verdict = run->verdict;
	struct span domain[DKIM_SIGNATURES_MAX];
	size_t domains = dkim_check_domains(run->facts->dkim, domain);
	bool is_known = true;

	for (size_t i = 0; i < verdict->authors; i++)
		is_known &= ask_author(run, &verdict->author[i]);
	is_known &= dkim_check_ask(run->facts->dkim, run->answers);
	is_known &= eval_arc_ask(run);
	eval_ask_identifier(run, verdict->spf.domain);
	for (size_t i = 0; i < domains; i++)
		eval_ask_identifier(run, domain[i]);
	eval_arc_ask_claims(run);
	return is_known;
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

/* --- the message --- */

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

/* False if an answer is missing. */
static bool
decide(const struct run *run)
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
	has_spf = spf_eval(&facts->spf, answers, &verdict->spf);
	override_ask(facts->settings->overrides,
		     facts->settings->override_count, &facts->spf.client,
		     answers);
	if (facts->stage == EVAL_ENVELOPE)
		return false;
	assert(facts->message != NULL && facts->dkim != NULL);
	read_signals(facts->message, verdict);
	read_authors(&run);
	is_known = ask_all(&run);
	if (facts->stage != EVAL_END || !has_spf || !is_known)
		return false;
	verdict->dkim_count =
		dkim_check_finish(facts->dkim, answers, &verdict->dkim);
	eval_arc_finish(&run);
	for (size_t i = 0; i < verdict->authors; i++)
		is_known &= judge_author(&run, &verdict->author[i]);
	return is_known && decide(&run);
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

const char *
from_fault_text(enum from_fault fault)
{
	switch (fault) {
	case FROM_FAULT_NONE:
		return "nothing is wrong";
	case FROM_FAULT_MISSING:
		return "there is none";
	case FROM_FAULT_REPEATED:
		return "there are several";
	case FROM_FAULT_MALFORMED:
		return "it cannot be read without doubt";
	case FROM_FAULT_DOMAIN:
		return "it has a domain that is none";
	case FROM_FAULT_EMPTY:
		return "it names no domain";
	case FROM_FAULT_TOO_MANY:
		return "it names too many domains";
	case FROM_FAULT_HEADER:
		return "the header has lines that are no fields";
	}
	return "?";
}
