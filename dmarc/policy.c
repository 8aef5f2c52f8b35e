/* SPDX-License-Identifier: BSD-2-Clause */
/* policy: alignment, the effective policy, and what it asks for. */
#include "dmarc/policy.h"

bool
policy_is_aligned(struct span author, struct span author_organizational,
		  struct span domain, struct span organizational,
		  bool is_strict)
{
	if (author.n == 0 || domain.n == 0)
		return false;
	/* One name has one organizational domain, known or not. */
	if (span_equal(author, domain))
		return true;
	if (is_strict) /* RFC 9989 4.4 */
		return false;
	/* An organizational domain that is not known is empty, and is like no
	 * other. */
	return organizational.n > 0 &&
	       span_equal(author_organizational, organizational);
}

/* RFC 9989 4.10.1: p missing or invalid, or sp or np there but invalid. */
static bool
has_bad_policy(const struct record *record)
{
	return record->p == POLICY_ABSENT || record->p == POLICY_INVALID ||
	       record->sp == POLICY_INVALID || record->np == POLICY_INVALID;
}

/* RFC 9989 4.7, A.6; RFC 7489 6.6.4. */
static enum policy
lowered(enum policy policy)
{
	return policy == POLICY_REJECT       ? POLICY_QUARANTINE
	       : policy == POLICY_QUARANTINE ? POLICY_NONE
					     : policy;
}

static void
speak(struct policy_effective *effective, const char *tag, enum policy policy,
      const char *rule)
{
	effective->tag = tag;
	effective->published = policy;
	effective->applied = policy;
	effective->rule = rule;
}

/* RFC 9989 4.7: np for a subdomain that does not exist, else sp for one that
 * does or has no np, else p; p for the domain of the record itself. */
static void
choose(const struct discovery *discovery, enum policy_author author,
       struct policy_effective *effective)
{
	const struct record *record = &discovery->record;

	if (discovery->is_author_record)
		speak(effective, "p", record->p, "RFC 9989 4.7: p");
	else if (author == POLICY_AUTHOR_MISSING && record->np != POLICY_ABSENT)
		speak(effective, "np", record->np,
		      "RFC 9989 4.7: np, the author domain does not exist");
	else if (record->sp != POLICY_ABSENT)
		speak(effective, "sp", record->sp,
		      "RFC 9989 4.7: sp, the record is of a domain above");
	else
		speak(effective, "p", record->p,
		      "RFC 9989 4.7: p of a domain above, without sp");
}

void
policy_effective(const struct discovery *discovery, enum policy_author author,
		 struct policy_effective *effective)
{
	const struct record *record = &discovery->record;

	*effective = (struct policy_effective){ .is_usable = true };
	if (has_bad_policy(record)) {
		effective->has_bad_policy = record->has_usable_rua;
		effective->is_usable = record->has_usable_rua;
		speak(effective, "p", POLICY_NONE,
		      record->has_usable_rua
			      ? "RFC 9989 4.10.1: bad policy with rua: p=none"
			      : "RFC 9989 4.10.1: bad policy without rua");
		return;
	}
	choose(discovery, author, effective);
	if (record->is_testing &&
	    lowered(effective->published) != effective->published) {
		effective->applied = lowered(effective->published);
		effective->rule = "RFC 9989 A.6: t=y, one step less";
	}
}

/* FNV-1a */
unsigned
policy_percentile(struct span id)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < id.n; i++)
		hash = (hash ^ id.p[i]) * 16777619u;
	return hash % 100;
}

void
policy_sample(const struct discovery *discovery, unsigned percentile,
	      struct policy_effective *effective)
{
	if (percentile < discovery->record.pct ||
	    effective->published == POLICY_NONE)
		return;
	/* one step in all, with t=y too */
	effective->is_sampled_out = true;
	effective->applied = lowered(effective->published);
	effective->rule = "RFC 7489 6.6.4: pct, not in the sample";
}

const char *
disposition_name(enum disposition disposition)
{
	switch (disposition) {
	case DISPOSITION_NONE:
		return "none";
	case DISPOSITION_QUARANTINE:
		return "quarantine";
	case DISPOSITION_REJECT:
		return "reject";
	}
	return "?";
}
