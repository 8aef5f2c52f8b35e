/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * override: local rules that say otherwise than the policy of an author.
 *
 * An override rule takes effect on a message that fails: the first one whose
 * conditions all hold says what is done instead. What it looks at is proved,
 * but for two: an author domain and the marks of a mailing list are what
 * anybody writes, and a rule that rests on these alone, or on a network of all
 * addresses, lets the forger in (override_is_proved() is false, and the
 * configuration's check warns).
 *
 * A client's name counts when it is confirmed (dmarc/name.h). Its questions
 * are asked only where a rule wants them. A name that cannot be looked up for
 * now leaves open whether the rule holds; where that matters it is said, since
 * the client who owns the zone of the address must gain nothing by breaking it.
 *
 * A force rule speaks for author domains that publish less than they should:
 * they are judged as if they published its policy.
 *
 * All domains are normalised. The rules are of the configuration, and borrow
 * from it.
 */
#ifndef DMARC_OVERRIDE_H
#define DMARC_OVERRIDE_H

#include "dmarc/dkim.h"
#include "dmarc/policy.h"
#include "smtp/ip.h"

struct override_domains {
	const struct span *list; /* a domain is one of them, or below one */
	size_t count;            /* 0: no such condition */
};

struct override_rule {
	struct span name;                  /* for the verdict */
	const struct ip_network *networks; /* the client is in one of them */
	size_t network_count;
	struct override_domains clients;   /* its confirmed name */
	struct override_domains authors;   /* the author domain */
	struct override_domains envelopes; /* of MAIL FROM, with SPF pass */
	struct override_domains signers;   /* d= of a signature that passes */
	bool is_list;                 /* the message has List-Id or List-Post */
	enum disposition disposition; /* what is done instead */
	const char *reason; /* RFC 9990 type: local_policy, trusted_forwarder,
			       mailing_list, other */
};

/* What the rules look at, of one message and one author. */
struct override_facts {
	const struct ip *client;
	struct span author;
	struct span envelope; /* empty unless SPF passed for it */
	const struct dkim_signature *dkim;
	size_t dkim_count;
	bool is_list;
	enum disposition disposition; /* what the author's policy asks for */
};

enum override_status {
	OVERRIDE_PENDING, /* questions are open */
	OVERRIDE_NONE,    /* no rule holds, or none that would change it */
	OVERRIDE_UNKNOWN, /* for now: what is done depends on it */
	OVERRIDE_FOUND,
};

/* Note the questions that the rules may have about a client; to be called as
 * soon as the client is known, since some follow from the answers to others.
 */
void override_ask(const struct override_rule *rules, size_t count,
		  const struct ip *client, struct answers *answers);

/* The first rule that holds, in *rule; it may say what the policy says. UNKNOWN
 * if a rule before it, that may hold, says otherwise; *rule is then the first
 * of these that differs from the policy. */
enum override_status override_find(const struct override_rule *rules,
				   size_t count,
				   const struct override_facts *facts,
				   struct answers *answers,
				   const struct override_rule **rule);

/* Some condition of it is one that a forger does not fulfil at will. */
bool override_is_proved(const struct override_rule *rule);

/* No condition at all. */
bool override_is_empty(const struct override_rule *rule);

struct force_rule {
	struct span name; /* for the verdict */
	struct override_domains authors;
	enum policy policy; /* quarantine or reject */
};

/* The first rule for an author domain, and which of its domains this is, or is
 * below. NULL if there is none. */
const struct force_rule *force_find(const struct force_rule *rules,
				    size_t count, struct span author,
				    struct span *domain);

/* The rule's policy in place of a weaker one, or of none. True if it says
 * otherwise than what was there. */
bool force_apply(const struct force_rule *rule,
		 struct policy_effective *effective);

#endif
