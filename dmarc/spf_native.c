/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spf_native: check_host() of RFC 7208, by ourselves.
 *
 * A record is walked term by term. What a term needs and does not find among
 * the answers leaves it open; the walk goes on behind it, looking ahead (see
 * dmarc/spf_run.h), so that most records settle in two rounds of questions:
 * the record, then everything it names. Includes and redirects are walked by
 * the same function; each costs one of ten terms, which bounds how deep.
 *
 * Where RFC 7208 leaves a choice: all addresses of an mx are looked at, so
 * that one that matches counts whatever became of the others; a void look-up
 * is one of the name a term is about, not of the names an mx or ptr leads to.
 */
#include "dmarc/domain.h"
#include "dmarc/spf_engine.h"
#include "dmarc/spf_macro.h"
#include "dmarc/spf_record.h"
#include "dmarc/spf_run.h"

#define SENDER_LETTERS SPAN_LIT("sl")

/* What came of a term, or of a record. */
enum met {
	MET_NOT,
	MET_MATCH, /* of a record: it has decided */
	MET_OPEN,
	MET_TEMPERROR,
	MET_PERMERROR,
};

struct scope {
	struct span domain; /* %{d} */
	struct span record;
};

struct decision {
	enum spf_result result;
	const char *reason;
	bool is_all;
	struct scope scope; /* whose record it was */
};

static enum met evaluate(struct spf_run *run, const struct scope *scope,
			 struct decision *decision);

static enum met
fail(struct spf_run *run, enum met met, const char *why)
{
	run->error = why;
	return met;
}

/* RFC 7208 4.6.4 */
static bool
count_term(struct spf_run *run)
{
	if (run->terms == SPF_TERMS_MAX) {
		run->error = "more than 10 terms that cause DNS look-ups";
		return false;
	}
	run->terms++;
	return true;
}

/* --- include and redirect ----------------------------------------------- */

/* An include is walked within its record; every one costs one of ten terms,
 * and that is how deep it goes. NOLINTBEGIN(misc-no-recursion) */

/* The record at a name; MET_MATCH if it is one that can be evaluated. */
static enum met
find_record(struct spf_run *run, struct scope *scope)
{
	enum spf_found found = SPF_FOUND_NONE;

	if (spf_run_is_done(run))
		return MET_OPEN;
	if (scope->domain.n > 0)
		found = spf_find_record(scope->domain, run->answers,
					&scope->record);
	switch (found) {
	case SPF_FOUND_OPEN:
		return MET_OPEN;
	case SPF_FOUND_TEMPERROR:
		return fail(run, MET_TEMPERROR, "a DNS look-up failed");
	case SPF_FOUND_NONE: /* RFC 7208 5.2, 6.1 */
		return fail(run, MET_PERMERROR,
			    "an include or redirect leads to no SPF record");
	case SPF_FOUND_SEVERAL:
		return fail(run, MET_PERMERROR,
			    "an include or redirect leads to several SPF "
			    "records");
	case SPF_FOUND_RECORD:
		break;
	}
	run->octets += scope->record.n;
	if (run->octets > SPF_OCTETS_MAX)
		return fail(run, MET_PERMERROR, "the SPF records are too long");
	if (!spf_record_is_valid(scope->record)) /* RFC 7208 4.6 */
		return fail(run, MET_PERMERROR,
			    "syntax error in an included SPF record");
	return MET_MATCH;
}

/* Evaluate the record that a term leads to. */
static enum met
follow(struct spf_run *run, const struct scope *scope,
       const struct spf_term *term, struct decision *decision)
{
	struct scope inner;
	enum met met;

	if (!count_term(run))
		return MET_PERMERROR;
	if (!spf_run_target(run, scope->domain, term->domain, &inner.domain))
		return MET_OPEN;
	met = find_record(run, &inner);
	return met == MET_MATCH ? evaluate(run, &inner, decision) : met;
}

/* RFC 7208 5.2 */
static enum met
meet_include(struct spf_run *run, const struct scope *scope,
	     const struct spf_term *term)
{
	struct decision decision;
	enum met met = follow(run, scope, term, &decision);

	if (met == MET_MATCH && decision.result != SPF_PASS)
		return MET_NOT;
	return met;
}

/* --- terms that ask for a name ------------------------------------------ */

/* Look up what a term is about. MET_MATCH: *answer has records. */
static enum met
look(struct spf_run *run, struct span name, enum dns_type type,
     const struct answer **answer)
{
	if (name.n == 0) /* RFC 7208 4.8 */
		return MET_NOT;
	switch (spf_run_look(run, name, type, answer)) {
	case SPF_SEEN_OPEN:
		return MET_OPEN;
	case SPF_SEEN_ERROR: /* RFC 7208 5 */
		return fail(run, MET_TEMPERROR, "a DNS look-up failed");
	case SPF_SEEN_RECORDS:
		return MET_MATCH;
	case SPF_SEEN_VOID:
		break;
	}
	if (++run->voids > SPF_VOID_MAX)
		return fail(run, MET_PERMERROR,
			    "more than 2 DNS look-ups without a result");
	return MET_NOT;
}

/* RFC 7208 4.8: the name a term is about. */
static enum met
find_target(struct spf_run *run, const struct scope *scope,
	    const struct spf_term *term, struct span *target)
{
	if (!count_term(run))
		return MET_PERMERROR;
	*target = scope->domain;
	if (term->domain.n > 0 &&
	    !spf_run_target(run, scope->domain, term->domain, target))
		return MET_OPEN;
	return MET_MATCH;
}

static unsigned
prefix_of(const struct spf_run *run, const struct spf_term *term)
{
	bool is_v6 = run->check->client.family == IP_V6;

	return is_v6 ? term->prefix6 : term->prefix4;
}

/* RFC 7208 5.3 */
static enum met
meet_a(struct spf_run *run, const struct spf_term *term, struct span target)
{
	bool is_v6 = run->check->client.family == IP_V6;
	const struct answer *answer;
	enum met met = look(run, target, is_v6 ? DNS_AAAA : DNS_A, &answer);

	if (met != MET_MATCH)
		return met;
	return spf_run_has_client(run, answer, prefix_of(run, term)) ? MET_MATCH
								     : MET_NOT;
}

/* An MX of "." is no exchange (RFC 7505). */
static bool
is_exchange(struct span name)
{
	return name.n > 0 && span_find(name, 0) == name.n;
}

/* RFC 7208 5.4: one exchange. */
static enum met
meet_exchange(struct spf_run *run, const struct spf_term *term,
	      struct span name)
{
	const struct answer *answer;

	switch (spf_run_look_address(run, name, &answer)) {
	case SPF_SEEN_OPEN:
		return MET_OPEN;
	case SPF_SEEN_ERROR:
		return fail(run, MET_TEMPERROR, "a DNS look-up failed");
	case SPF_SEEN_RECORDS:
		if (spf_run_has_client(run, answer, prefix_of(run, term)))
			return MET_MATCH;
		break;
	case SPF_SEEN_VOID:
		break;
	}
	return MET_NOT;
}

/* RFC 7208 5.4: it matches if any of them does. */
static enum met
meet_exchanges(struct spf_run *run, const struct spf_term *term,
	       const struct answer *exchanges)
{
	bool is_open = false, is_error = false, is_match = false;

	for (size_t i = 0; i < exchanges->records; i++) {
		struct span name = exchanges->record[i].value;
		enum met met = MET_NOT;

		if (is_exchange(name))
			met = meet_exchange(run, term, name);
		is_open |= met == MET_OPEN;
		is_error |= met == MET_TEMPERROR;
		is_match |= met == MET_MATCH;
	}
	if (is_match)
		return MET_MATCH;
	if (is_open)
		return MET_OPEN;
	return is_error ? MET_TEMPERROR : MET_NOT;
}

static enum met
meet_mx(struct spf_run *run, const struct spf_term *term, struct span target)
{
	const struct answer *answer;
	enum met met = look(run, target, DNS_MX, &answer);

	if (met != MET_MATCH)
		return met;
	if (answer->records > SPF_ADDRESSES_MAX) /* RFC 7208 4.6.4 */
		return fail(run, MET_PERMERROR,
			    "an mx with more than 10 names");
	return meet_exchanges(run, term, answer);
}

/* RFC 7208 5.5: trouble is no match. Only names that would match need to be
 * confirmed. */
static enum met
meet_ptr(struct spf_run *run, struct span target)
{
	const struct answer *names;
	bool is_open;

	if (target.n == 0)
		return MET_NOT;
	switch (spf_run_client_names(run, &names)) {
	case SPF_SEEN_OPEN:
		return MET_OPEN;
	case SPF_SEEN_ERROR:
		return MET_NOT;
	case SPF_SEEN_VOID:
		if (++run->voids > SPF_VOID_MAX)
			return fail(run, MET_PERMERROR,
				    "more than 2 DNS look-ups without a "
				    "result");
		return MET_NOT;
	case SPF_SEEN_RECORDS:
		break;
	}
	if (spf_run_has_name_within(run, names, target, &is_open))
		return MET_MATCH;
	return is_open ? MET_OPEN : MET_NOT;
}

/* RFC 7208 5.7: by A, whatever the client. */
static enum met
meet_exists(struct spf_run *run, struct span target)
{
	const struct answer *answer;

	return look(run, target, DNS_A, &answer);
}

static enum met
meet_target(struct spf_run *run, const struct scope *scope,
	    const struct spf_term *term)
{
	struct span target;
	enum met met = find_target(run, scope, term, &target);

	if (met != MET_MATCH)
		return met;
	if (term->mechanism == SPF_MECHANISM_A)
		return meet_a(run, term, target);
	if (term->mechanism == SPF_MECHANISM_MX)
		return meet_mx(run, term, target);
	if (term->mechanism == SPF_MECHANISM_PTR)
		return meet_ptr(run, target);
	return meet_exists(run, target);
}

/* --- a record ----------------------------------------------------------- */

/* RFC 7208 5 */
static enum met
meet(struct spf_run *run, const struct scope *scope,
     const struct spf_term *term)
{
	switch (term->mechanism) {
	case SPF_MECHANISM_ALL:
		return MET_MATCH;
	case SPF_MECHANISM_INCLUDE:
		return meet_include(run, scope, term);
	case SPF_MECHANISM_A:
	case SPF_MECHANISM_MX:
	case SPF_MECHANISM_PTR:
	case SPF_MECHANISM_EXISTS:
		return meet_target(run, scope, term);
	case SPF_MECHANISM_IP4:
	case SPF_MECHANISM_IP6:
		return ip_has_prefix(&run->check->client, &term->ip,
				     prefix_of(run, term))
			       ? MET_MATCH
			       : MET_NOT;
	case SPF_MODIFIER_REDIRECT:
	case SPF_MODIFIER_EXP:
	case SPF_MODIFIER_OTHER:
		break;
	}
	return MET_NOT;
}

/* RFC 7208 4.6.2 */
static enum spf_result
result_of(enum spf_qualifier qualifier)
{
	switch (qualifier) {
	case SPF_QUALIFIER_PASS:
		return SPF_PASS;
	case SPF_QUALIFIER_FAIL:
		return SPF_FAIL;
	case SPF_QUALIFIER_SOFTFAIL:
		return SPF_SOFTFAIL;
	case SPF_QUALIFIER_NEUTRAL:
		break;
	}
	return SPF_NEUTRAL;
}

/* In the order of enum spf_qualifier. */
#define REASONS(word)                                                 \
	{                                                             \
		"matched +" word, "matched -" word, "matched ~" word, \
			"matched ?" word                              \
	}

static const char *const reasons[][4] = {
	[SPF_MECHANISM_ALL] = REASONS("all"),
	[SPF_MECHANISM_INCLUDE] = REASONS("include"),
	[SPF_MECHANISM_A] = REASONS("a"),
	[SPF_MECHANISM_MX] = REASONS("mx"),
	[SPF_MECHANISM_PTR] = REASONS("ptr"),
	[SPF_MECHANISM_IP4] = REASONS("ip4"),
	[SPF_MECHANISM_IP6] = REASONS("ip6"),
	[SPF_MECHANISM_EXISTS] = REASONS("exists"),
};

static void
decide_by_term(const struct scope *scope, const struct spf_term *term,
	       struct decision *decision)
{
	*decision = (struct decision){
		.result = result_of(term->qualifier),
		.reason = reasons[term->mechanism][term->qualifier],
		.is_all = term->mechanism == SPF_MECHANISM_ALL,
		.scope = *scope,
	};
}

/* The modifier in a valid record, which has it once at most. */
static bool
find_modifier(struct span record, enum spf_mechanism modifier,
	      struct spf_term *term)
{
	struct span rest = spf_record_terms(record);

	while (spf_record_next(&rest, term) == SPF_NEXT_TERM)
		if (term->mechanism == modifier)
			return true;
	return false;
}

/* RFC 8616 4: what needs a local part that is not ASCII matches nothing. */
static bool
is_usable(const struct spf_run *run, const struct spf_term *term)
{
	return !term->has_sender || !run->check->is_local_unusable;
}

/* RFC 7208 4.7, 6.1: no mechanism has matched. */
static enum met
decide_default(struct spf_run *run, const struct scope *scope,
	       struct decision *decision)
{
	struct spf_term term;

	spf_run_note(run, scope->record, SPAN_NONE);
	if (find_modifier(scope->record, SPF_MODIFIER_REDIRECT, &term) &&
	    is_usable(run, &term)) {
		spf_run_note(run, scope->record, term.text);
		return follow(run, scope, &term, decision);
	}
	*decision = (struct decision){ .result = SPF_NEUTRAL,
				       .reason = "no mechanism matched",
				       .scope = *scope };
	return MET_MATCH;
}

/* What comes of a valid record. An open term leaves it open; what stands
 * behind is still asked for, up to where it would end at the latest. */
static enum met
evaluate(struct spf_run *run, const struct scope *scope,
	 struct decision *decision)
{
	struct span rest = spf_record_terms(scope->record);
	enum met met = MET_NOT;
	bool is_open = false;
	struct spf_term term;

	run->depth++;
	while (met == MET_NOT &&
	       spf_record_next(&rest, &term) == SPF_NEXT_TERM) {
		spf_run_note(run, scope->record, term.text);
		if (is_usable(run, &term))
			met = meet(run, scope, &term);
		if (met != MET_OPEN)
			continue;
		is_open = run->is_ahead = true;
		met = MET_NOT;
	}
	if (met == MET_MATCH)
		decide_by_term(scope, &term, decision);
	else if (met == MET_NOT)
		met = decide_default(run, scope, decision);
	run->depth--;
	return is_open ? MET_OPEN : met;
}

/* NOLINTEND(misc-no-recursion) */

/* --- the explanation ---------------------------------------------------- */

/* Expand the text an explanation's name has. Anything wrong with it is the
 * same as none (RFC 7208 6.2). */
static bool
expand_explanation(struct spf_run *run, const struct scope *scope,
		   const struct answer *answer, struct spf_outcome *outcome)
{
	struct span text = answer->record[0].value;
	bool is_good;

	if (run->check->is_local_unusable &&
	    spf_has_macro(text, SENDER_LETTERS))
		return true;
	if (!spf_run_expand(run, scope->domain, text, true, &is_good))
		return false;
	if (is_good && run->text.n <= SPF_EXPLANATION_MAX)
		outcome->explanation = answers_keep(run->answers, answer,
						    ANSWER_MADE_EXPLANATION,
						    buf_span(&run->text));
	return true;
}

/* RFC 7208 6.2: exp of the record that failed, which is not an included one.
 * Not pre-asked: most mail does not fail. False while it is open. */
static bool
explain(struct spf_run *run, const struct scope *scope,
	struct spf_outcome *outcome)
{
	const struct answer *answer;
	struct spf_term term;
	struct span name;

	if (!find_modifier(scope->record, SPF_MODIFIER_EXP, &term) ||
	    !is_usable(run, &term))
		return true;
	if (!spf_run_target(run, scope->domain, term.domain, &name))
		return false;
	if (name.n == 0)
		return true;
	switch (spf_run_look(run, name, DNS_TXT, &answer)) {
	case SPF_SEEN_OPEN:
		return false;
	case SPF_SEEN_RECORDS:
		return answer->records > 1 ||
		       expand_explanation(run, scope, answer, outcome);
	case SPF_SEEN_VOID:
	case SPF_SEEN_ERROR:
		break;
	}
	return true;
}

/* --- the whole ---------------------------------------------------------- */

static bool
conclude(struct spf_run *run, enum met met, const struct decision *decision,
	 struct spf_outcome *outcome)
{
	switch (met) {
	case MET_NOT:
	case MET_OPEN:
		return false;
	case MET_TEMPERROR:
	case MET_PERMERROR:
		outcome->result =
			met == MET_TEMPERROR ? SPF_TEMPERROR : SPF_PERMERROR;
		outcome->reason = run->error;
		return true;
	case MET_MATCH:
		break;
	}
	outcome->result = decision->result;
	outcome->reason = decision->reason;
	outcome->is_all_fail = decision->result == SPF_FAIL && decision->is_all;
	return decision->result != SPF_FAIL ||
	       explain(run, &decision->scope, outcome);
}

bool
spf_native(const struct spf_check *check, struct span record,
	   struct answers *answers, struct spf_outcome *outcome)
{
	struct scope scope = { .domain = check->domain, .record = record };
	struct decision decision;
	ROOM(room, SPF_RUN_ROOM);
	struct spf_run run;
	bool is_settled;
	enum met met;

	spf_run_init(&run, check, answers, room);
	run.octets = record.n;
	met = evaluate(&run, &scope, &decision);
	is_settled = conclude(&run, met, &decision, outcome);
	spf_run_tell(&run, outcome);
	spf_run_fini(&run);
	return is_settled;
}
