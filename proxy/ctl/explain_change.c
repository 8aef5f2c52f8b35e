/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/ctl/explain_change.h"

#include "proxy/ctl/say.h"

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

/* --- it fails, and something else is done ------------------------------- */

/* "rejected", for what is done about a message. */
static const char *
done_by(enum disposition disposition)
{
	switch (disposition) {
	case DISPOSITION_REJECT:
		return "rejected";
	case DISPOSITION_QUARANTINE:
		return "quarantined";
	case DISPOSITION_NONE:
		break;
	}
	return "let through";
}

static enum disposition
disposition_of(enum policy policy)
{
	if (policy == POLICY_REJECT)
		return DISPOSITION_REJECT;
	return policy == POLICY_QUARANTINE ? DISPOSITION_QUARANTINE
					   : DISPOSITION_NONE;
}

static void
say_owner(const struct change *change)
{
	say(change->out, " in the record of ");
	say_text(change->out, change->author->discovery.domain);
}

/* What lowers a policy that is published: RFC 9989 4.7, A.6. */
static void
lower_policy(const struct change *change)
{
	const struct policy_effective *effective = &change->author->effective;

	begin_line(change, "It would be let through, as failed, with ");
	buf_printf(change->out, "%s=none", effective->tag);
	if (effective->applied == POLICY_QUARANTINE)
		say(change->out, " or t=y");
	say_owner(change);
	end_line(change, ".");
	if (effective->applied != POLICY_REJECT)
		return;
	begin_line(change, "It would be quarantined with ");
	buf_printf(change->out, "%s=quarantine or t=y", effective->tag);
	say_owner(change);
	end_line(change, ".");
}

/* What has lowered it. */
static void
raise_policy(const struct change *change, const char *without)
{
	begin_line(change, "Without ");
	say(change->out, without);
	say_owner(change);
	buf_printf(
		change->out, " it would be %s.\n",
		done_by(disposition_of(change->author->effective.published)));
}

static void
change_policy(const struct change *change)
{
	const struct policy_effective *effective = &change->author->effective;

	if (change->author->force != NULL) {
		begin_line(change, "Without the force rule ");
		say_text(change->out, change->author->force->name);
		end_line(change, ", what the author domain publishes would "
				 "decide.");
	} else if (effective->is_sampled_out) {
		line(change, "In the sample of pct=, or where pct= is not "
			     "honoured, the policy would apply as published.");
	} else if (effective->applied != effective->published) {
		raise_policy(change, "t=y");
	} else if (effective->applied == POLICY_REJECT ||
		   effective->applied == POLICY_QUARANTINE) {
		lower_policy(change);
	} else {
		begin_line(change, "It would be rejected with ");
		buf_printf(change->out, "%s=reject", effective->tag);
		say_owner(change);
		end_line(change, effective->has_bad_policy
					 ? "; what it says is no policy."
					 : ".");
	}
}

/* What this gate's administrator has said, or might. */
static void
change_rules(const struct change *change)
{
	const struct verdict *verdict = change->verdict;

	if (verdict->override != NULL) {
		begin_line(change, "Without the override ");
		say_text(change->out, verdict->override->name);
		buf_printf(change->out, " it would be %s.\n",
			   done_by(verdict->policy_disposition));
		return;
	}
	change_policy(change);
	if (verdict->policy_disposition != verdict->disposition)
		line(change, "It would be rejected with reject-mode = policy, "
			     "or were there more evidence than DMARC's (RFC "
			     "9989 8).");
	if (verdict->disposition != DISPOSITION_NONE)
		line(change, "An override for this client, or another that "
			     "holds for it, would set the policy aside (see "
			     "proxy.conf(5)).");
}

/* --- it passes, or is undecided ----------------------------------------- */

static void
change_pass(const struct change *change)
{
	const struct eval_author *author = change->author;
	bool has_dkim = author->dkim_aligned != 0;
	bool is_one = (author->dkim_aligned & (author->dkim_aligned - 1)) == 0;

	if (has_dkim && (author->is_spf_aligned || !is_one)) {
		line(change, "It rests on more than one identifier that is "
			     "aligned; no change of one alone would fail it.");
		return;
	}
	if (!eval_has_policy(author))
		return;
	begin_line(change, "It rests on ");
	say(change->out, has_dkim ? "one DKIM signature" : "SPF");
	buf_printf(change->out,
		   " alone; without it, it would fail, and be "
		   "%s by the policy",
		   done_by(disposition_of(author->effective.applied)));
	if (!has_dkim)
		say(change->out, " (as when somebody forwards it)");
	end_line(change, ".");
}

static void
change_none(const struct change *change)
{
	begin_line(change, "It would be judged with a DMARC record at _dmarc.");
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

/* What stands before all that: nothing passes with such a From field. */
static void
change_from(const struct change *change)
{
	if (change->verdict->from_fault == FROM_FAULT_NONE)
		return;
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
	change_from(&change);
	change_several(&change);
	if (verdict->authors > 0)
		change_author(&change);
	change_mode(&change, decision);
}
