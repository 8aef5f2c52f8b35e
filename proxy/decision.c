/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/decision.h"

/* What the verdict asks for, before mode. */
static enum conf_action
action_for(const struct conf_route *route, const struct verdict *verdict,
	   enum disposition disposition)
{
	switch (disposition) {
	case DISPOSITION_REJECT:
		return route->on_reject;
	case DISPOSITION_QUARANTINE:
		return route->on_quarantine;
	case DISPOSITION_NONE:
		break;
	}
	if (verdict->outcome == OUTCOME_SOFTFAIL)
		return route->on_fail_none;
	if (verdict->outcome == OUTCOME_BAD_POLICY)
		return route->on_bad_policy;
	return ACTION_RELAY;
}

/* Actions are listed from the mildest to the strictest. */
static enum conf_action
stricter(enum conf_action a, enum conf_action b)
{
	return a > b ? a : b;
}

/* What is done about the domains that the message is from, as far as they can
 * be read. */
static enum conf_action
wanted_action(const struct conf *conf, const struct conf_route *route,
	      const struct verdict *verdict)
{
	bool does_defer = conf->does_defer && verdict->may_defer;

	if (verdict->result == DMARC_TEMPERROR)
		return does_defer ? ACTION_DEFER : ACTION_RELAY;
	if (verdict->override != NULL &&
	    verdict->disposition == DISPOSITION_NONE)
		return ACTION_RELAY;
	return action_for(route, verdict, verdict->disposition);
}

static void
set_reply(const struct verdict *verdict, enum conf_action wanted,
	  struct decision *decision)
{
	bool is_spf = verdict->result == DMARC_TEMPERROR &&
		      verdict->author[verdict->deciding].is_spf_temporary;

	decision->code = 550;
	decision->enhanced = "5.7.1";
	if (wanted == ACTION_DEFER) {
		decision->code = 451;
		decision->enhanced = is_spf ? "4.7.24" : "4.7.1";
	}
}

void
decision_make(const struct conf *conf, const struct conf_route *route,
	      const struct verdict *verdict, struct decision *decision)
{
	enum conf_action wanted = wanted_action(conf, route, verdict);
	enum conf_action published =
		verdict->result == DMARC_TEMPERROR
			? wanted
			: action_for(route, verdict,
				     verdict->policy_disposition);

	*decision = (struct decision){
		.is_enforced = route->mode == MODE_ENFORCE,
		.rule = verdict->rule,
	};
	/* Whoever owns the zone of an address may break it, at no gain. */
	if (wanted == ACTION_REJECT && verdict->open_override != NULL) {
		wanted = ACTION_DEFER;
		decision->rule = "local override: the client's name cannot be "
				 "looked up";
	}
	/* A fault of the From field is no way around what the policy of one
	 * of its domains asks for, nor around waiting for that. */
	if (verdict->from_fault != FROM_FAULT_NONE) {
		wanted = stricter(conf->bad_from, wanted);
		published = stricter(conf->bad_from, published);
		if (wanted == conf->bad_from)
			decision->rule = "bad-from";
	}
	set_reply(verdict, wanted, decision);
	decision->action = decision->is_enforced ? wanted : ACTION_RELAY;
	decision->otherwise = decision->is_enforced ? published : wanted;
}

static void
append_spf(const struct verdict *verdict, struct buf *text)
{
	buf_printf(text, "SPF %s", spf_result_name(verdict->spf.result));
	if (verdict->spf.domain.n > 0) {
		buf_append(text, SPAN_LIT(" for "));
		buf_append(text, verdict->spf.domain);
	}
	if (verdict->spf.result == SPF_PASS &&
	    !verdict->author[verdict->deciding].is_spf_aligned)
		buf_append(text, SPAN_LIT(" (not aligned)"));
}

/* The best of the signatures speaks for all. */
static void
append_dkim(const struct verdict *verdict, struct buf *text)
{
	const struct dkim_signature *shown = verdict->dkim;

	if (verdict->dkim_count == 0) {
		buf_append(text, SPAN_LIT("no DKIM signature"));
		return;
	}
	for (size_t i = 1; i < verdict->dkim_count; i++)
		if (shown->result != DKIM_PASS &&
		    verdict->dkim[i].result == DKIM_PASS)
			shown = &verdict->dkim[i];
	buf_printf(text, "DKIM %s", dkim_result_name(shown->result));
	if (shown->domain.n > 0) {
		buf_append(text, SPAN_LIT(" for "));
		buf_append(text, shown->domain);
	}
	if (shown->result == DKIM_PASS)
		buf_append(text, SPAN_LIT(" (not aligned)"));
	if (verdict->dkim_count > 1)
		buf_printf(text, " and %zu more", verdict->dkim_count - 1);
}

static void
append_policy(const struct verdict *verdict, struct buf *text)
{
	const struct eval_author *author = &verdict->author[verdict->deciding];
	const struct discovery *discovery = &author->discovery;

	if (verdict->override != NULL || author->force != NULL) {
		buf_append(text, SPAN_LIT("local policy for "));
		buf_append(text, author->domain);
		return;
	}
	buf_append(text, SPAN_LIT("the policy of "));
	if (author->discovered != DISCOVERY_FOUND) {
		buf_append(text, author->domain);
		return;
	}
	buf_append(text, discovery->domain);
	buf_printf(text, " (%s=%s)", author->effective.tag,
		   policy_name(author->effective.published));
	if (!span_equal(author->domain, discovery->domain)) {
		buf_append(text, SPAN_LIT(" for From domain "));
		buf_append(text, author->domain);
	}
}

bool
decision_text(const struct decision *decision, const struct verdict *verdict,
	      struct span id, struct buf *text)
{
	/* The id comes first: what is too long is cut at the end. */
	buf_append(text, SPAN_LIT("DMARC "));
	buf_append(text, id);
	buf_append(text, SPAN_LIT(": "));
	if (verdict->from_fault != FROM_FAULT_NONE && decision->code == 550 &&
	    verdict->disposition != DISPOSITION_REJECT)
		return buf_printf(text,
				  "message refused, one readable From field is "
				  "needed: %s",
				  from_fault_text(verdict->from_fault));
	if (verdict->result == DMARC_TEMPERROR)
		buf_append(text,
			   SPAN_LIT("DNS trouble, undecided for now is "));
	else if (decision->action == ACTION_DEFER)
		buf_append(text, SPAN_LIT("message deferred by "));
	else
		buf_append(text, SPAN_LIT("message rejected by "));
	append_policy(verdict, text);
	buf_append(text, SPAN_LIT(": "));
	append_spf(verdict, text);
	buf_append(text, SPAN_LIT(", "));
	append_dkim(verdict, text);
	return !text->has_overflowed;
}
