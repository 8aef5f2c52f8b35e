/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eval: facts and answers → a verdict, or more questions.
 *
 * A function that is run again until it asks nothing new (see answers.h):
 * at MAIL FROM, when only the envelope is known, so that SPF's questions go
 * out early; at the end of the header, when keys, policy and the author's
 * name are asked all at once; on each answer; and at the end of the data,
 * when it can settle. It keeps nothing between runs but what the caller
 * passes in.
 *
 * The order of decision is standards' (RFC 9989 5.3.6): an aligned pass in
 * hand passes, whatever else failed; a policy lookup that failed for now is
 * temperror; an identifier that could still have aligned and failed for now
 * is temperror; else fail. An answer is waited for even when a pass is in
 * hand: reports want the rest, and the order in which answers come in must
 * not show. The caller's deadline ends that.
 *
 * Of several author domains each is evaluated, overrides included, and the
 * strictest outcome decides: the message passes only if all of them pass. A
 * fault of the From field is told beside what could be evaluated all the
 * same: the domains of all From fields, as far as they can be read. With such
 * a fault nothing passes, but it may fail and ask for a disposition.
 */
#ifndef DMARC_EVAL_H
#define DMARC_EVAL_H

#include "dmarc/arc.h"
#include "dmarc/authors.h"
#include "dmarc/domain_list.h"
#include "dmarc/override.h"
#include "dmarc/spf.h"

enum eval_stage {
	EVAL_ENVELOPE, /* MAIL FROM is known */
	EVAL_HEADER,   /* the header is complete */
	EVAL_END,      /* the body is complete: settle */
};

struct eval_settings {
	enum discovery_method discovery;
	bool does_compare;            /* the other method beside it */
	bool needs_evidence;          /* reject-mode = evidence */
	const struct domain_psl *psl; /* NULL: the PSL method gives temperror */
	const struct override_rule *overrides;
	size_t override_count;
	const struct force_rule *forces;
	size_t force_count;
	bool does_honour_pct; /* by the tree walk too */
	/* Author domains whose pct= is not honoured; may be NULL. */
	const struct domain_list *unsampled;
	const struct span *arc_sealers; /* whose word is taken; normalised */
	size_t arc_sealer_count;
};

struct eval_facts {
	enum eval_stage stage;
	const struct eval_settings *settings;
	struct spf_facts spf;
	const struct message *message; /* complete header; from HEADER on */
	struct authors authors;        /* of that header; from HEADER on */
	struct dkim_check *dkim;       /* header fed; from HEADER on */
	struct arc_check *arc; /* the same; NULL: ARC is not evaluated */
	bool is_authenticated; /* no verdict: outcome na */
	unsigned percentile;   /* 0 … 99, this message's place under pct= */
};

enum dmarc_result {
	DMARC_NONE,
	DMARC_PASS,
	DMARC_FAIL,
	DMARC_TEMPERROR,
	DMARC_PERMERROR,
};

/* rspamd's distinctions, for queries. */
enum dmarc_outcome {
	OUTCOME_NA,         /* no record, or not evaluated */
	OUTCOME_ALLOW,      /* pass */
	OUTCOME_SOFTFAIL,   /* failed under p=none */
	OUTCOME_QUARANTINE, /* failed under quarantine */
	OUTCOME_REJECT,     /* failed under reject */
	OUTCOME_BAD_POLICY, /* a record without a usable policy */
};

/* DMARC for one author domain. */
struct eval_author {
	struct span domain; /* normalised */
	enum dmarc_result result;
	enum dmarc_outcome outcome;
	const char *error; /* "multiple-records", "bad-policy", …; or NULL */
	const struct force_rule *force; /* that speaks in place of theirs */
	enum discovery_status discovered;
	struct discovery discovery;        /* valid if FOUND */
	struct policy_effective effective; /* valid if FOUND, or with force */
	bool is_author_known; /* whether its name exists could be found out */
	bool does_author_exist;
	bool is_spf_aligned;
	uint32_t dkim_aligned; /* bit i: signature i is aligned */
	bool is_vouched_for;   /* by an ARC sealer that we trust */
	bool may_defer;        /* temperror that matters: later may differ */
	bool is_spf_temporary; /* … because of SPF */
	enum disposition
		disposition; /* what the policy asks, before overrides */
	const char *rule;    /* what decided, with its RFC section; constant */
	/* Organizational domains by both methods; empty if not compared. */
	struct span org_treewalk, org_psl;
};

struct verdict {
	struct spf_outcome spf;
	const struct dkim_signature *dkim;
	size_t dkim_count;
	const struct arc_chain *arc; /* NULL: not evaluated */
	enum from_fault from_fault;
	size_t authors;
	struct eval_author author[FROM_DOMAINS_MAX];
	size_t deciding; /* index of the author that decided; 0 if none */
	enum dmarc_result result;
	enum dmarc_outcome outcome;
	enum disposition policy_disposition;  /* before override, evidence */
	enum disposition disposition;         /* after them */
	const struct override_rule *override; /* that holds, or NULL */
	struct span override_comment;         /* for reports; may be empty */
	/* The override that may change it, but cannot be decided for now. */
	const struct override_rule *open_override;
	const char *rule; /* what decided at last; constant */
	bool may_defer;   /* temperror = defer makes sense */
	/* Signals, for evidence and queries. */
	bool has_list_id, has_list_post, is_auto_submitted;
	struct span message_id; /* as written, trimmed; may be empty */
};

/*
 * True when the verdict is settled (stage END only); *verdict is then
 * complete and borrows from the answers' arena, the message and the dkim.
 * False: questions are open, or the stage is too early.
 */
bool eval_run(const struct eval_facts *facts, struct answers *answers,
	      struct verdict *verdict);

/* A record speaks for the author domain, or a local rule does. */
bool eval_has_policy(const struct eval_author *author);

const char *dmarc_result_name(enum dmarc_result result);
const char *dmarc_outcome_name(enum dmarc_outcome outcome);

#endif
