/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/ctl/explain.h"

#include "dmarc/spf_record.h"
#include "proxy/ctl/explain_change.h"
#include "proxy/ctl/say.h"

/* --- DNS ---------------------------------------------------------------- */

static void
say_record(const struct answer *answer, size_t i, struct buf *out)
{
	const struct dns_record *record = &answer->record[i];
	char text[IP_TEXT_MAX];
	struct ip ip;

	switch (answer->type) {
	case DNS_A:
	case DNS_AAAA:
		ip = ip_make(record->value.p, record->value.n);
		say_text(out, ip_format(&ip, text));
		break;
	case DNS_MX:
		buf_printf(out, "%u ", record->preference);
		say_text(out,
			 record->value.n == 0 ? SPAN_LIT(".") : record->value);
		break;
	case DNS_PTR:
		say_text(out, record->value);
		break;
	case DNS_TXT:
		say_quoted(out, record->value);
		break;
	}
}

static void
say_answer(const struct answer *answer, struct buf *out)
{
	buf_printf(out, "  %-4s ", dns_type_name(answer->type));
	say_text(out, answer->name);
	switch (answer->status) {
	case ANSWER_OK:
		for (size_t i = 0; i < answer->records; i++) {
			say(out, i == 0 ? ": " : ", ");
			say_record(answer, i, out);
		}
		buf_printf(out, " (TTL %u)", answer->ttl_s);
		break;
	case ANSWER_NODATA:
		say(out, ": the name has no such record");
		break;
	case ANSWER_NXDOMAIN:
		say(out, ": there is no such name");
		break;
	case ANSWER_TEMPERROR:
		buf_printf(out, ": no answer (%s)",
			   answer->error == NULL ? "failed" : answer->error);
		break;
	case ANSWER_OPEN:
		say(out, ": not answered");
		break;
	}
	say(out, "\n");
}

static void
explain_dns(const struct judge *judge, struct buf *out)
{
	const struct answers *answers = &judge->answers;

	buf_printf(out, "DNS was asked %zu question%s, of %s\n", answers->count,
		   answers->count == 1 ? "" : "s",
		   judge->zone == NULL ? "name servers" : "a zone file");
	for (size_t i = 0; i < answers->count; i++)
		say_answer(answers->list[i], out);
	if (answers->has_overflowed)
		say(out, "  More were not asked: there are too many.\n");
}

/* --- SPF ---------------------------------------------------------------- */

/* Where RFC 7208 says what a term does. */
static const char *
section_of(struct span text)
{
	static const char *const sections[] = {
		[SPF_MECHANISM_ALL] = "5.1",
		[SPF_MECHANISM_INCLUDE] = "5.2",
		[SPF_MECHANISM_A] = "5.3",
		[SPF_MECHANISM_MX] = "5.4",
		[SPF_MECHANISM_PTR] = "5.5",
		[SPF_MECHANISM_IP4] = "5.6",
		[SPF_MECHANISM_IP6] = "5.6",
		[SPF_MECHANISM_EXISTS] = "5.7",
		[SPF_MODIFIER_REDIRECT] = "6.1",
		[SPF_MODIFIER_EXP] = "6.2",
		[SPF_MODIFIER_OTHER] = "6",
	};
	struct spf_term term;

	if (spf_record_next(&text, &term) != SPF_NEXT_TERM)
		return "4.7";
	return sections[term.mechanism];
}

/* And what a result means. */
static const char *
section_of_result(enum spf_result result)
{
	static const char *const sections[] = {
		[SPF_NONE] = "2.6.1",      [SPF_NEUTRAL] = "2.6.2",
		[SPF_PASS] = "2.6.3",      [SPF_FAIL] = "2.6.4",
		[SPF_SOFTFAIL] = "2.6.5",  [SPF_TEMPERROR] = "2.6.6",
		[SPF_PERMERROR] = "2.6.7",
	};

	return sections[result];
}

static void
say_spf_record(struct span domain, struct span record, struct buf *out)
{
	say(out, "  ");
	say_text(out, domain);
	say(out, " says ");
	say_quoted(out, record);
	say(out, "\n");
}

/* Which term led on, or decided; an error is of the last one. */
static void
say_step(const struct spf_outcome *spf, size_t i, struct buf *out)
{
	const struct spf_step *step = &spf->step[i];
	bool is_error =
		spf->result == SPF_TEMPERROR || spf->result == SPF_PERMERROR;

	say_spf_record(step->domain, step->record, out);
	say(out, "    ");
	if (step->term.n == 0)
		say(out, "no term of it matches");
	else
		say_text(out, step->term);
	if (i + 1 < spf->steps) {
		say(out, " leads to ");
		say_text(out, spf->step[i + 1].domain);
	} else if (step->term.n > 0) {
		say(out, is_error ? " cannot be evaluated" : " matches");
	}
	buf_printf(out, " (RFC 7208 %s)\n", section_of(step->term));
}

static void
say_spf_way(const struct spf_outcome *spf, struct buf *out)
{
	if (spf->record.n > 0 && spf->steps == 0)
		say_spf_record(spf->domain, spf->record, out);
	for (size_t i = 0; i < spf->steps; i++)
		say_step(spf, i, out);
}

static void
explain_spf(const struct judge *judge, struct buf *out)
{
	const struct spf_outcome *spf = &judge->verdict.spf;
	char text[IP_TEXT_MAX];

	say(out, "\nSPF (RFC 7208)\n");
	if (judge->spf.client.family != IP_NONE) {
		say(out, "  Client ");
		say_text(out, ip_format(&judge->spf.client, text));
		say(out, judge->spf.is_null
				 ? ", null reverse-path: judged is postmaster "
				   "at the HELO name (RFC 7208 2.4)\n"
				 : ", judged is the domain of MAIL FROM\n");
	}
	say_spf_way(spf, out);
	buf_printf(out, "  Result: %s", spf_result_name(spf->result));
	if (spf->reason != NULL && spf->reason[0] != '\0')
		buf_printf(out, " (%s; RFC 7208 %s)", spf->reason,
			   section_of_result(spf->result));
	say(out, "\n");
	if (spf->explanation.n > 0) {
		say(out, "  The domain explains: ");
		say_quoted(out, spf->explanation);
		say(out, "\n");
	}
}

/* --- DKIM --------------------------------------------------------------- */

/* Which step of verifying gives such a result. */
static const char *
section_of_signature(enum dkim_result result)
{
	switch (result) {
	case DKIM_PASS:
	case DKIM_FAIL:
		return "RFC 6376 6.1.3";
	case DKIM_TEMPERROR:
		return "RFC 6376 6.1.2";
	case DKIM_PERMERROR:
		return "RFC 6376 6.1.1, 6.1.2";
	case DKIM_NEUTRAL:
		return "RFC 6376 6.1.1";
	case DKIM_POLICY:
		return "RFC 6376 6.3";
	case DKIM_NONE:
		break;
	}
	return "RFC 6376 6.1";
}

static void
say_signature(const struct dkim_signature *signature, size_t i, struct buf *out)
{
	buf_printf(out, "  %zu: %s", i + 1,
		   dkim_result_name(signature->result));
	if (signature->domain.n > 0) {
		say(out, ", d=");
		say_text(out, signature->domain);
	}
	if (signature->selector.n > 0) {
		say(out, " s=");
		say_text(out, signature->selector);
	}
	if (signature->algorithm.n > 0) {
		say(out, " a=");
		say_text(out, signature->algorithm);
	}
	if (signature->bits > 0)
		buf_printf(out, ", key of %u bits", signature->bits);
	buf_printf(out, " (%s; %s)\n",
		   signature->result == DKIM_PASS ? "it verifies"
		   : signature->reason == NULL    ? ""
						  : signature->reason,
		   section_of_signature(signature->result));
	if (signature->has_length)
		buf_printf(out,
			   "     l= leaves %llu octets of the body unsigned\n",
			   (unsigned long long)signature->unsigned_octets);
}

static void
explain_dkim(const struct judge *judge, struct buf *out)
{
	const struct verdict *verdict = &judge->verdict;
	size_t count = dkim_check_count(judge->facts.dkim);

	say(out, "\nDKIM (RFC 6376)\n");
	if (verdict->dkim_count == 0)
		say(out, "  The message has no signature.\n");
	for (size_t i = 0; i < verdict->dkim_count; i++)
		say_signature(&verdict->dkim[i], i, out);
	if (count > verdict->dkim_count)
		buf_printf(out,
			   "  %zu more are neither verified nor listed: the "
			   "first %d are verified.\n",
			   count - verdict->dkim_count, DKIM_SIGNATURES_MAX);
}

/* --- ARC ---------------------------------------------------------------- */

static void
say_set(const struct arc_set *set, size_t i, struct buf *out)
{
	buf_printf(out, "  %zu: cv=%s, sealed by d=", i + 1,
		   arc_status_name(set->status));
	say_text(out, set->seal.domain);
	say(out, " s=");
	say_text(out, set->seal.selector);
	if (set->results.dmarc > 0) {
		say(out, set->results.is_dmarc_pass
				 ? ", which says dmarc=pass for "
				 : ", which says that dmarc did not pass for ");
		say_text(out, set->results.dmarc_from);
	}
	say(out, "\n");
}

static void
explain_arc(const struct arc_chain *chain, struct buf *out)
{
	say(out, "\nARC (RFC 8617)\n");
	if (chain == NULL || chain->result == ARC_NONE) {
		say(out, "  The message has no chain.\n");
		return;
	}
	buf_printf(out, "  %s", arc_result_name(chain->result));
	if (chain->reason[0] != '\0')
		buf_printf(out, " (%s)", chain->reason);
	if (chain->instance > 0)
		buf_printf(out, ", at set %zu", chain->instance);
	if (chain->has_oldest_pass)
		buf_printf(out, ", oldest-pass %zu", chain->oldest_pass);
	say(out, "\n");
	for (size_t i = 0; i < chain->sets; i++)
		say_set(&chain->set[i], i, out);
}

/* --- DMARC -------------------------------------------------------------- */

static void
say_existence(const struct eval_author *author, struct buf *out)
{
	if (!author->is_author_known)
		say(out, "; whether it exists is not known\n");
	else
		say(out, author->does_author_exist
				 ? "; the name exists\n"
				 : "; the name does not exist\n");
}

static void
say_policy(const struct eval_author *author, struct buf *out)
{
	const struct discovery *found = &author->discovery;
	const struct policy_effective *effective = &author->effective;

	say(out, "  The record of ");
	say_text(out, found->domain);
	say(out, found->is_author_record ? ", the author domain itself: "
					 : ", above the author domain: ");
	say_quoted(out, found->record.text);
	say(out, found->method == DISCOVERY_PSL
			 ? "\n    found by the public suffix list (RFC 7489 "
			   "6.6.3)\n"
			 : "\n    found by the tree walk (RFC 9989 4.10)\n");
	if (found->organizational.n > 0) {
		say(out, "  Organizational domain: ");
		say_text(out, found->organizational);
		say(out, "\n");
	}
	if (!effective->is_usable)
		say(out, "  It has no usable policy, and no rua\n");
	else if (effective->tag != NULL)
		buf_printf(out, "  Policy: %s=%s, applied as %s (%s)\n",
			   effective->tag, policy_name(effective->published),
			   policy_name(effective->applied),
			   effective->rule == NULL ? "" : effective->rule);
}

static void
say_discovery(const struct eval_author *author, struct buf *out)
{
	switch (author->discovered) {
	case DISCOVERY_FOUND:
		say_policy(author, out);
		break;
	case DISCOVERY_NONE:
		say(out, "  No DMARC record speaks for it (RFC 9989 4.10.1)\n");
		break;
	case DISCOVERY_TEMPERROR:
		say(out, "  Whether a DMARC record speaks for it could not be "
			 "found out (RFC 9989 5.3.6)\n");
		break;
	case DISCOVERY_PENDING:
		break;
	}
}

/* Of one that passed. It may be open whether it is. */
static const char *
not_aligned(const struct eval_author *author)
{
	return author->result == DMARC_TEMPERROR
		       ? "not known to be aligned"
		       : "not aligned with the author domain";
}

static void
say_identifiers(const struct verdict *verdict, const struct eval_author *author,
		struct buf *out)
{
	const struct record *record = &author->discovery.record;

	if (!eval_has_policy(author))
		return;
	buf_printf(out, "  SPF %s, alignment is %s: %s\n",
		   spf_result_name(verdict->spf.result),
		   record->is_aspf_strict ? "strict" : "relaxed",
		   author->is_spf_aligned            ? "aligned"
		   : verdict->spf.result == SPF_PASS ? not_aligned(author)
						     : "no identifier");
	for (size_t i = 0; i < verdict->dkim_count; i++)
		buf_printf(out, "  Signature %zu %s, alignment is %s: %s\n",
			   i + 1, dkim_result_name(verdict->dkim[i].result),
			   record->is_adkim_strict ? "strict" : "relaxed",
			   (author->dkim_aligned >> i & 1) != 0 ? "aligned"
			   : verdict->dkim[i].result == DKIM_PASS
				   ? not_aligned(author)
				   : "no identifier");
}

/* What local rules make of what is published. */
static void
say_local(const struct eval_author *author, struct buf *out)
{
	if (author->effective.is_sampled_out)
		say(out, "  This message is not in the sample of pct= "
			 "(RFC 7489 6.6.4)\n");
	if (author->force == NULL)
		return;
	say(out, "  The force rule ");
	say_text(out, author->force->name);
	buf_printf(out, " has it judged by p=%s\n",
		   policy_name(author->force->policy));
}

static void
explain_author(const struct verdict *verdict, const struct eval_author *author,
	       struct buf *out)
{
	say(out, "  Author domain ");
	say_text(out, author->domain);
	say_existence(author, out);
	say_discovery(author, out);
	say_local(author, out);
	say_identifiers(verdict, author, out);
	buf_printf(out, "  Result for it: %s",
		   dmarc_result_name(author->result));
	if (author->error != NULL)
		buf_printf(out, " (%s)", author->error);
	if (author->rule != NULL)
		buf_printf(out, "; decided by %s", author->rule);
	say(out, "\n");
}

static void
explain_dmarc(const struct verdict *verdict, struct buf *out)
{
	say(out, "\nDMARC (RFC 9989)\n");
	if (verdict->from_fault != FROM_FAULT_NONE)
		buf_printf(out, "  The author cannot be told: %s\n",
			   from_fault_text(verdict->from_fault));
	if (verdict->authors > 1)
		say(out, "  Several author domains; the strictest decides "
			 "(RFC 9989 11.5)\n");
	for (size_t i = 0; i < verdict->authors; i++)
		explain_author(verdict, &verdict->author[i], out);
}

/* --- what follows ------------------------------------------------------- */

static void
explain_verdict(const struct judge *judge, const struct decision *decision,
		struct buf *out)
{
	const struct verdict *verdict = &judge->verdict;

	buf_printf(out, "\nVerdict: dmarc=%s, disposition %s",
		   dmarc_result_name(verdict->result),
		   disposition_name(verdict->disposition));
	if (verdict->rule != NULL)
		buf_printf(out, ", decided by %s", verdict->rule);
	say(out, "\n");
	if (verdict->override != NULL) {
		say(out, "  The override ");
		say_text(out, verdict->override->name);
		buf_printf(out, " applies (%s), in place of %s\n",
			   verdict->override->reason,
			   disposition_name(verdict->policy_disposition));
		if (verdict->override_comment.n > 0) {
			say(out, "  ");
			say_text(out, verdict->override_comment);
			say(out, "\n");
		}
	}
	if (verdict->open_override != NULL) {
		say(out, "  The override ");
		say_text(out, verdict->open_override->name);
		say(out, " may apply; the client's name cannot be looked up "
			 "for now\n");
	}
	buf_printf(out, "  The gate would %s this message",
		   conf_action_name(decision->action));
	if (decision->otherwise != decision->action)
		buf_printf(out, "; otherwise it would %s it",
			   conf_action_name(decision->otherwise));
	say(out, decision->is_enforced ? ".\n" : " (mode is monitor).\n");
}

bool
explain(const struct judge *judge, const struct decision *decision,
	struct buf *out)
{
	explain_dns(judge, out);
	explain_spf(judge, out);
	explain_dkim(judge, out);
	explain_arc(judge->verdict.arc, out);
	explain_dmarc(&judge->verdict, out);
	explain_verdict(judge, decision, out);
	explain_change(judge, decision, out);
	return !out->has_overflowed;
}
