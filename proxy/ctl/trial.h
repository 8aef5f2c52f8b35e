/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trial: a message that was judged, judged again with one thing changed.
 *
 * So that what is said of other settings, or another record, is not reasoned
 * but seen. Nothing is asked of DNS: where a change needs an answer that is not
 * there, the trial has no result. Pure, but for what it takes from the arena of
 * the judge, which must outlive it.
 */
#ifndef PROXY_CTL_TRIAL_H
#define PROXY_CTL_TRIAL_H

#include "proxy/ctl/judge.h"

struct trial {
	/* As they were at first; the caller changes what is to be changed. */
	struct eval_settings settings;
	struct eval_facts facts;
	struct span owner; /* of a DMARC record with … */
	struct span tags;  /* … these in it, before all others; or empty */
	/* Given back. */
	struct verdict verdict;
	/* Its own. */
	struct arena *arena;
};

/* The judge must be done. */
void trial_init(struct trial *trial, const struct judge *judge);

/* Without this rule, which may be that of the ARC sealers. Nothing changes
 * without memory. */
void trial_drop_override(struct trial *trial, const struct override_rule *rule);
void trial_drop_force(struct trial *trial, const struct force_rule *rule);

/* Without an envelope for SPF to judge. */
void trial_drop_spf(struct trial *trial);

/* True with a verdict; false if an answer is missing, or memory. */
bool trial_run(struct trial *trial, const struct judge *judge);

#endif
