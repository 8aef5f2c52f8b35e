/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/ctl/explain_change.h"

#include "proxy/ctl/say.h"
#include "proxy/ctl/trial.h"

#define NAMED_MAX 3 /* of several things of a kind, so many are named */

struct change {
	const struct judge *judge;
	const struct verdict *verdict;
	const struct eval_author *author; /* the one that decided */
	struct answers answers;           /* seen, and never added to */
	struct buf *out;
};

static void
begin_line(const struct change *change, const char *text)
{
	say(change->out, "  - ");
	say(change->out, text);
}

static void
end_line(const struct change *change, const char *text)
{
	say(change->out, text);
	say(change->out, "\n");
}

static void
line(const struct change *change, const char *text)
{
	begin_line(change, text);
	end_line(change, "");
}

/* --- alignment ---------------------------------------------------------- */

/* The identifier's domain would be aligned, if it had passed. A question that
 * was not asked leaves the organizational domain unknown. */
static bool
is_aligned(const struct change *change, struct span domain, bool is_strict)
{
	const struct eval_settings *rules = change->judge->rules;
	const struct eval_author *author = change->author;
	struct answers answers = change->answers;
	struct span own = SPAN_NONE;

	if (author->discovered == DISCOVERY_NONE && !is_strict)
		return domain_is_within(domain,
					author->discovery.organizational);
	if (!is_strict && domain.n > 0 &&
	    discovery_organizational(domain, rules->discovery, rules->psl,
				     &answers, &own) != DISCOVERY_FOUND)
		own = SPAN_NONE;
	return policy_is_aligned(author->domain,
				 author->discovery.organizational, domain, own,
				 is_strict);
}

/* Which domains are aligned. */
static void
say_aligned_domains(const struct change *change, bool is_strict)
{
	struct span organizational = change->author->discovery.organizational;

	if (is_strict || organizational.n == 0) {
		say_text(change->out, change->author->domain);
		say(change->out, " itself");
		return;
	}
	say_text(change->out, organizational);
	say(change->out, " or a name below it");
	if (change->author->discovered == DISCOVERY_FOUND)
		say(change->out, " that is no organizational domain itself");
}

/* --- it would pass: DKIM ------------------------------------------------ */

static void
say_signer(const struct change *change, size_t i)
{
	buf_printf(change->out, "signature %zu, of d=", i + 1);
	say_text(change->out, change->verdict->dkim[i].domain);
}

/* Signatures that pass, but for a strict alignment. True if there are some. */
static bool
loosen_dkim(const struct change *change)
{
	for (size_t i = 0; i < change->verdict->dkim_count; i++) {
		const struct dkim_signature *dkim = &change->verdict->dkim[i];

		if (dkim->result != DKIM_PASS ||
		    !is_aligned(change, dkim->domain, false))
			continue;
		begin_line(change, "It would pass with adkim=r in the record: "
				   "then ");
		say_signer(change, i);
		end_line(change, ", were aligned.");
		return true;
	}
	return false;
}

/* Signatures of aligned domains that do not pass. Their number. */
static size_t
mend_signatures(const struct change *change, bool is_strict)
{
	size_t count = 0;

	for (size_t i = 0; i < change->verdict->dkim_count; i++) {
		const struct dkim_signature *dkim = &change->verdict->dkim[i];

		if (dkim->result == DKIM_PASS ||
		    !is_aligned(change, dkim->domain, is_strict))
			continue;
		if (++count > NAMED_MAX)
			continue;
		begin_line(change, "It would pass if ");
		say_signer(change, i);
		buf_printf(change->out, ", passed (it is %s: %s).\n",
			   dkim_result_name(dkim->result),
			   dkim->reason == NULL ? "" : dkim->reason);
	}
	if (count > NAMED_MAX) {
		begin_line(change, "");
		buf_printf(change->out, "The same goes for %zu more.\n",
			   count - NAMED_MAX);
	}
	return count;
}

static void
mend_dkim(const struct change *change)
{
	bool is_strict = change->author->discovery.record.is_adkim_strict;

	if (is_strict && loosen_dkim(change))
		return;
	if (mend_signatures(change, is_strict) > 0)
		return;
	begin_line(change, "It would pass with a DKIM signature that verifies, "
			   "of d=");
	say_aligned_domains(change, is_strict);
	end_line(change, ".");
}

/* --- it would pass: SPF ------------------------------------------------- */

static void
say_wanted_envelope(const struct change *change, bool is_strict)
{
	begin_line(change, "It would pass with SPF pass for an envelope sender "
			   "of ");
	say_aligned_domains(change, is_strict);
	if (change->judge->spf.client.family == IP_NONE)
		say(change->out, "; SPF was not judged, as no client was "
				 "given");
	end_line(change, ".");
}

static void
mend_spf(const struct change *change)
{
	const struct spf_outcome *spf = &change->verdict->spf;
	bool is_strict = change->author->discovery.record.is_aspf_strict;

	if (is_strict && spf->result == SPF_PASS &&
	    is_aligned(change, spf->domain, false)) {
		begin_line(change, "It would pass with aspf=r in the record: "
				   "then SPF, which passed for ");
		say_text(change->out, spf->domain);
		end_line(change, ", were aligned.");
		return;
	}
	if (spf->result == SPF_PASS || spf->domain.n == 0 ||
	    !is_aligned(change, spf->domain, is_strict)) {
		say_wanted_envelope(change, is_strict);
		return;
	}
	begin_line(change, "It would pass if SPF passed for ");
	say_text(change->out, spf->domain);
	buf_printf(change->out, " (it is %s: %s).\n",
		   spf_result_name(spf->result),
		   spf->reason == NULL ? "" : spf->reason);
}

/* --- something else is done ---------------------------------------------- */

/* "rejected", for what is done about a message. */
static const char *
done_by(const struct change *change, const struct verdict *verdict)
{
	switch (verdict->disposition) {
	case DISPOSITION_REJECT:
		return "rejected";
	case DISPOSITION_QUARANTINE:
		return "quarantined";
	case DISPOSITION_NONE:
		break;
	}
	if (verdict->result != DMARC_FAIL || verdict->override != NULL)
		return "let through";
	return change->judge->conf->on_fail_none == ACTION_RELAY
		       ? "let through as failed"
		       : "treated as on-fail-none says";
}

static bool
is_other(const struct change *change, const struct trial *trial)
{
	return trial->verdict.disposition != change->verdict->disposition;
}

static void
say_owner(const struct change *change)
{
	say(change->out, " in the record of ");
	say_text(change->out, change->author->discovery.domain);
}

/* Tags that might stand in the record, and what would be done then. */
#define TAGS 5

struct tags {
	struct span text[TAGS];
	struct trial trial[TAGS];
	bool is_known[TAGS];
};

static void
try_tags(const struct change *change, struct tags *tags)
{
	static const char *const formats[TAGS] = { "=none", "=quarantine",
						   "=reject", "t=y", "t=n" };
	const struct eval_author *author = change->author;
	struct buf buf;

	for (size_t i = 0; i < TAGS; i++) {
		struct trial *trial = &tags->trial[i];

		buf_init(&buf, 32);
		trial_init(trial, change->judge);
		if (formats[i][0] == '=')
			buf_append(&buf, span_cstr(author->effective.tag));
		buf_append(&buf, span_cstr(formats[i]));
		tags->text[i] = arena_copy(trial->arena, buf_span(&buf));
		trial->tags = tags->text[i];
		trial->owner = author->discovery.domain;
		tags->is_known[i] = trial_run(trial, change->judge) &&
				    is_other(change, trial);
		buf_fini(&buf);
	}
}

/* All tags that come to the same. */
static void
say_tags(const struct change *change, const struct tags *tags,
	 enum disposition disposition)
{
	size_t count = 0;

	for (size_t i = 0; i < TAGS; i++) {
		const struct verdict *verdict = &tags->trial[i].verdict;

		if (!tags->is_known[i] || verdict->disposition != disposition)
			continue;
		if (count++ == 0) {
			begin_line(change, "It would be ");
			say(change->out, done_by(change, verdict));
			say(change->out, " with ");
		} else {
			say(change->out, " or ");
		}
		say_text(change->out, tags->text[i]);
	}
	if (count == 0)
		return;
	say_owner(change);
	end_line(change, ".");
}

/* What the domain might publish: RFC 9989 4.7, A.6. */
static void
change_record(const struct change *change)
{
	struct tags tags;

	if (change->author->discovered != DISCOVERY_FOUND ||
	    change->author->effective.tag == NULL)
		return;
	try_tags(change, &tags);
	say_tags(change, &tags, DISPOSITION_NONE);
	say_tags(change, &tags, DISPOSITION_QUARANTINE);
	say_tags(change, &tags, DISPOSITION_REJECT);
}

/* Its place under pct=, where that is honoured. */
static void
change_sample(const struct change *change)
{
	bool is_out = change->author->effective.is_sampled_out;
	struct trial trial;

	trial_init(&trial, change->judge);
	trial.facts.percentile = is_out ? 0 : 99;
	if (!trial_run(&trial, change->judge) || !is_other(change, &trial))
		return;
	begin_line(change, is_out ? "In" : "Outside of");
	buf_printf(change->out, " the sample of pct=%u it would be %s.\n",
		   change->author->discovery.record.pct,
		   done_by(change, &trial.verdict));
}

static void
drop_override(const struct change *change)
{
	const struct override_rule *rule = change->verdict->override;
	const char *now = done_by(change, change->verdict);
	struct trial trial;

	trial_init(&trial, change->judge);
	trial_drop_override(&trial, rule);
	if (!trial_run(&trial, change->judge))
		return;
	begin_line(change, "Without the override ");
	say_text(change->out, rule->name);
	buf_printf(change->out, " it would be %s%s.\n",
		   done_by(change, &trial.verdict),
		   now == done_by(change, &trial.verdict) ? " as well" : "");
}

static void
drop_force(const struct change *change)
{
	const struct force_rule *rule = change->author->force;
	struct trial trial;

	trial_init(&trial, change->judge);
	trial_drop_force(&trial, rule);
	if (!trial_run(&trial, change->judge))
		return;
	begin_line(change, "Without the force rule ");
	say_text(change->out, rule->name);
	buf_printf(change->out, " it would be %s.\n",
		   trial.verdict.result == DMARC_NONE
			   ? "let through, and not judged"
			   : done_by(change, &trial.verdict));
}

/* RFC 9989 8 */
static void
change_evidence(const struct change *change)
{
	struct trial trial;

	if (!change->judge->rules->needs_evidence)
		return;
	trial_init(&trial, change->judge);
	trial.settings.needs_evidence = false;
	if (trial_run(&trial, change->judge) && is_other(change, &trial))
		line(change, "It would be rejected with reject-mode = policy, "
			     "or were there more evidence than DMARC's (RFC "
			     "9989 8).");
}

/* What this gate's administrator has said, or might. */
static void
change_rules(const struct change *change)
{
	if (change->verdict->override != NULL)
		drop_override(change);
	if (change->author->force != NULL)
		drop_force(change);
	change_record(change);
	change_sample(change);
	change_evidence(change);
	if (change->verdict->disposition == DISPOSITION_NONE)
		return;
	line(change,
	     change->judge->spf.client.family == IP_NONE
		     ? "An override that holds for it would set the policy "
		       "aside (see proxy.conf(5))."
		     : "An override for this client, or another that holds for "
		       "it, would set the policy aside (see proxy.conf(5)).");
}

/* --- it passes, or is undecided ----------------------------------------- */

/* The only signature, or SPF, taken away. What evidence that is, where some is
 * needed, depends on how it fails. */
static bool
try_without(const struct change *change, bool has_dkim, struct trial *trial)
{
	static const struct message none = { .state = MESSAGE_BODY };
	const struct judge *judge = change->judge;
	bool is_known;

	trial_init(trial, judge);
	if (judge->rules->needs_evidence)
		return false;
	if (!has_dkim) {
		trial_drop_spf(trial);
		return trial_run(trial, judge);
	}
	if (change->verdict->dkim_count > 1)
		return false;
	trial->facts.dkim =
		dkim_check_new(judge->engine, trial->arena, judge->now_s);
	is_known = trial->facts.dkim != NULL &&
		   dkim_check_header(trial->facts.dkim, &none) &&
		   trial_run(trial, judge);
	dkim_check_free(trial->facts.dkim);
	return is_known;
}

static void
change_pass(const struct change *change)
{
	const struct eval_author *author = change->author;
	bool has_dkim = author->dkim_aligned != 0;
	bool is_one = (author->dkim_aligned & (author->dkim_aligned - 1)) == 0;
	struct trial trial;

	if (has_dkim && (author->is_spf_aligned || !is_one)) {
		line(change, "It rests on more than one identifier that is "
			     "aligned; no change of one alone would fail it.");
		return;
	}
	begin_line(change, "It rests on ");
	say(change->out, has_dkim ? "one DKIM signature" : "SPF");
	say(change->out, " alone; without it, it would ");
	if (!try_without(change, has_dkim, &trial))
		say(change->out, "not pass");
	else if (trial.verdict.result == DMARC_FAIL)
		buf_printf(change->out, "fail, and be %s",
			   done_by(change, &trial.verdict));
	else
		say(change->out, "be undecided");
	if (!has_dkim)
		say(change->out, " (as when somebody forwards it)");
	end_line(change, ".");
}

static void
change_none(const struct change *change)
{
	begin_line(change,
		   "It would be judged with one DMARC record at _dmarc.");
	say_text(change->out, change->author->domain);
	say(change->out, ", or with a force rule for ");
	say_text(change->out, change->author->domain);
	end_line(change, ".");
}

/* Which questions had no answer. */
static void
change_temperror(const struct change *change)
{
	const struct answers *answers = &change->answers;
	size_t count = 0;

	for (size_t i = 0; i < answers->count; i++) {
		const struct answer *answer = answers->list[i];

		if (answer->status != ANSWER_TEMPERROR || ++count > NAMED_MAX)
			continue;
		begin_line(change, "It may be decided with an answer to ");
		say(change->out, dns_type_name(answer->type));
		say(change->out, " ");
		say_text(change->out, answer->name);
		end_line(change, ".");
	}
	if (count > NAMED_MAX) {
		begin_line(change, "");
		buf_printf(change->out, "The same goes for %zu more.\n",
			   count - NAMED_MAX);
	}
}

static void
change_permerror(const struct change *change)
{
	begin_line(change, "It would be judged with a policy that can be used, "
			   "or as p=none with a rua= that can,");
	say_owner(change);
	end_line(change, " (RFC 9989 4.10.1).");
}

/* --- the whole ---------------------------------------------------------- */

static void
change_author(const struct change *change)
{
	switch (change->author->result) {
	case DMARC_PASS:
		change_pass(change);
		break;
	case DMARC_FAIL:
		mend_dkim(change);
		mend_spf(change);
		change_rules(change);
		break;
	case DMARC_NONE:
		change_none(change);
		break;
	case DMARC_TEMPERROR:
		change_temperror(change);
		break;
	case DMARC_PERMERROR:
		change_permerror(change);
		break;
	}
}

/* What stands before all that: nothing passes with such a From field, and with
 * another it is from somebody else. */
static void
change_from(const struct change *change)
{
	begin_line(change, "First, one From field that names one author "
			   "without doubt is needed (");
	say(change->out, from_fault_text(change->verdict->from_fault));
	end_line(change, "); nothing passes before.");
}

static void
change_several(const struct change *change)
{
	if (change->verdict->authors < 2)
		return;
	begin_line(change, "Each of the author domains must pass; what follows "
			   "is about ");
	say_text(change->out, change->author->domain);
	end_line(change, ", the one that decided.");
}

static void
change_mode(const struct change *change, const struct decision *decision)
{
	if (decision->is_enforced || decision->otherwise == decision->action)
		return;
	begin_line(change, "With mode = enforce the gate would ");
	say(change->out, conf_action_name(decision->otherwise));
	end_line(change, " it.");
}

void
explain_change(const struct judge *judge, const struct decision *decision,
	       struct buf *out)
{
	const struct verdict *verdict = &judge->verdict;
	struct change change = {
		.judge = judge,
		.verdict = verdict,
		.author = &verdict->author[verdict->deciding],
		.answers = judge->answers,
		.out = out,
	};

	change.answers.max = change.answers.count;
	say(out, "\nWhat would have changed it\n");
	if (verdict->from_fault != FROM_FAULT_NONE) {
		change_from(&change);
	} else {
		change_several(&change);
		change_author(&change);
	}
	change_mode(&change, decision);
}
