/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy: alignment, the effective policy, and what it asks for.
 *
 * Small pure decisions over things already found: RFC 9989 4.4 (alignment),
 * 4.7 and 4.10.1 (which of p, sp, np speaks), A.6 (t=y), and the decisions of
 * this project where the RFC leaves a choice. Every decision names the rule
 * that took it.
 */
#ifndef DMARC_POLICY_H
#define DMARC_POLICY_H

#include "dmarc/discovery.h"

enum disposition {
	DISPOSITION_NONE,
	DISPOSITION_QUARANTINE,
	DISPOSITION_REJECT,
};

/* Identifiers are aligned: strict, the same name; relaxed, the same
 * organizational domain, or the same name. All normalised; an empty
 * organizational domain is one that is not known and equals no other. */
bool policy_is_aligned(struct span author, struct span author_organizational,
		       struct span domain, struct span organizational,
		       bool is_strict);

enum policy_author { POLICY_AUTHOR_EXISTS, POLICY_AUTHOR_MISSING };

/* What the record asks for messages of this author domain. */
struct policy_effective {
	bool is_usable;        /* false: bad p/sp/np without rua: permerror */
	bool has_bad_policy;   /* bad p/sp/np, read as p=none since rua */
	enum policy published; /* the tag that speaks: none … reject */
	const char *tag;       /* "p", "sp" or "np", constant */
	enum policy applied;   /* after t=y, pct= and local rules */
	bool is_sampled_out;   /* … because of pct= */
	const char *rule;      /* constant: "RFC 9989 4.7: sp" … */
};
void policy_effective(const struct discovery *discovery,
		      enum policy_author author,
		      struct policy_effective *effective);

/* Of 100 messages each has a place, 0 … 99: by its id, and so the same one
 * whenever it is asked. */
unsigned policy_percentile(struct span id);

/* RFC 7489 6.6.4: of messages under pct=n, those whose percentile is n or more
 * get one step less. After policy_effective(), where pct= is to be honoured:
 * RFC 9989 has none. */
void policy_sample(const struct discovery *discovery, unsigned percentile,
		   struct policy_effective *effective);

const char *disposition_name(enum disposition disposition);

#endif
