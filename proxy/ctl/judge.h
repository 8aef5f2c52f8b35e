/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * judge: one message judged from start to end, its questions answered by a
 * zone or by DNS.
 *
 * What a worker does for many messages at once, done for one and waited for.
 */
#ifndef PROXY_CTL_JUDGE_H
#define PROXY_CTL_JUDGE_H

#include "dmarc/second.h"
#include "proxy/conf.h"
#include "proxy/zone.h"

struct judge {
	/* Given by the caller. */
	const struct conf *conf;
	const struct zone *zone; /* NULL: ask DNS */
	const struct eval_settings *rules;
	struct span octets; /* of the message, lines in CR LF */
	struct spf_facts spf;
	uint64_t now_s;
	unsigned percentile; /* under pct=; see policy_percentile() */
	/* Given back. */
	struct arena arena;
	struct answers answers;
	struct message message;
	struct verdict verdict;
	struct second second;
	uint32_t dns_us, eval_us, total_us;
	/* Its own. */
	struct eval_facts facts;
	struct dkim_engine *engine;
	struct dkim_engine *other; /* NULL without second-opinion */
};

enum judge_status {
	JUDGE_DONE,
	JUDGE_BAD_HEADER, /* the header is over a limit */
	JUDGE_FAILED      /* the machine: a sentence is in faults */
};

/* Judge. judge_fini() is due in any case. */
enum judge_status judge_run(struct judge *judge, struct buf *faults);
void judge_fini(struct judge *judge);

/* What the gate would do, by the settings that hold where no route says
 * otherwise. */
struct decision;
void judge_decide(const struct judge *judge, struct decision *decision);

#endif
