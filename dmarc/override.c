/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/override.h"

#include "dmarc/domain.h"
#include "dmarc/name.h"

/* The one of them that domain is, or is below; NULL if there is none. */
static const struct span *
find_above(const struct override_domains *domains, struct span domain)
{
	for (size_t i = 0; i < domains->count; i++)
		if (domain_is_within(domain, domains->list[i]))
			return &domains->list[i];
	return NULL;
}

static bool
is_in(const struct override_domains *domains, struct span domain)
{
	return domains->count == 0 || find_above(domains, domain) != NULL;
}

static bool
is_in_networks(const struct override_rule *rule, const struct ip *client)
{
	for (size_t i = 0; i < rule->network_count; i++)
		if (ip_network_has(&rule->networks[i], client))
			return true;
	return rule->network_count == 0;
}

static bool
has_signer(const struct override_rule *rule, const struct override_facts *facts)
{
	for (size_t i = 0; i < facts->dkim_count; i++)
		if (facts->dkim[i].result == DKIM_PASS &&
		    is_in(&rule->signers, facts->dkim[i].domain))
			return true;
	return rule->signers.count == 0;
}

static enum name_status
find_name(const struct override_rule *rule, const struct ip *client,
	  struct answers *answers)
{
	struct span name;

	return name_find(client, rule->clients.list, rule->clients.count,
			 answers, &name);
}

void
override_ask(const struct override_rule *rules, size_t count,
	     const struct ip *client, struct answers *answers)
{
	for (size_t i = 0; i < count; i++)
		if (rules[i].clients.count > 0)
			find_name(&rules[i], client, answers);
}

/* All conditions, and the one that may cost questions last. */
static enum override_status
holds(const struct override_rule *rule, const struct override_facts *facts,
      struct answers *answers)
{
	if (!is_in_networks(rule, facts->client) ||
	    !is_in(&rule->authors, facts->author) ||
	    !is_in(&rule->envelopes, facts->envelope) ||
	    !has_signer(rule, facts) || (rule->is_list && !facts->is_list))
		return OVERRIDE_NONE;
	if (rule->clients.count == 0)
		return OVERRIDE_FOUND;
	switch (find_name(rule, facts->client, answers)) {
	case NAME_PENDING:
		return OVERRIDE_PENDING;
	case NAME_TEMPORARY:
		return OVERRIDE_UNKNOWN;
	case NAME_FOUND:
		return OVERRIDE_FOUND;
	case NAME_UNAVAILABLE:
		break;
	}
	return OVERRIDE_NONE;
}

enum override_status
override_find(const struct override_rule *rules, size_t count,
	      const struct override_facts *facts, struct answers *answers,
	      const struct override_rule **rule)
{
	unsigned open = 0; /* bits: what rules say that may hold */

	*rule = NULL;
	for (size_t i = 0; i < count; i++) {
		enum override_status status = holds(&rules[i], facts, answers);
		unsigned bit = 1u << rules[i].disposition;

		if (status == OVERRIDE_PENDING)
			return OVERRIDE_PENDING;
		if (status == OVERRIDE_NONE)
			continue;
		if (status == OVERRIDE_FOUND && (open & ~bit) == 0) {
			*rule = &rules[i];
			return OVERRIDE_FOUND;
		}
		if (*rule == NULL && rules[i].disposition != facts->disposition)
			*rule = &rules[i];
		if (status == OVERRIDE_FOUND)
			return OVERRIDE_UNKNOWN;
		open |= bit;
	}
	return *rule == NULL ? OVERRIDE_NONE : OVERRIDE_UNKNOWN;
}

/* A network that is all of them is no condition. */
static bool
is_somewhere(const struct override_rule *rule)
{
	for (size_t i = 0; i < rule->network_count; i++)
		if (rule->networks[i].prefix == 0)
			return false;
	return rule->network_count > 0;
}

bool
override_is_proved(const struct override_rule *rule)
{
	return is_somewhere(rule) || rule->clients.count > 0 ||
	       rule->envelopes.count > 0 || rule->signers.count > 0;
}

bool
override_is_empty(const struct override_rule *rule)
{
	return !override_is_proved(rule) && rule->network_count == 0 &&
	       rule->authors.count == 0 && !rule->is_list;
}

const struct force_rule *
force_find(const struct force_rule *rules, size_t count, struct span author,
	   struct span *domain)
{
	for (size_t i = 0; i < count; i++) {
		const struct span *above =
			find_above(&rules[i].authors, author);

		if (above != NULL) {
			*domain = *above;
			return &rules[i];
		}
	}
	return NULL;
}

bool
force_apply(const struct force_rule *rule, struct policy_effective *effective)
{
	if (effective->is_usable && effective->applied >= rule->policy)
		return false;
	effective->is_usable = true;
	effective->is_sampled_out = false;
	effective->applied = rule->policy;
	effective->rule = "local force rule";
	return true;
}
