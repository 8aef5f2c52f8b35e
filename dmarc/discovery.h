/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * discovery: which DMARC record speaks for a domain, and what is its
 * organizational domain.
 *
 * RFC 9989 4.10: the tree walk. One walk from the name itself upwards serves
 * both questions; all of its at most eight names are asked at once, so that
 * discovery costs one round trip, and rules that stop the walk early are
 * applied to the answers. The RFC 7489 way (the author domain, then the
 * organizational domain by the public suffix list) is the other method.
 *
 * All domains are normalised.
 */
#ifndef DMARC_DISCOVERY_H
#define DMARC_DISCOVERY_H

#include "dmarc/answers.h"
#include "dmarc/domain.h"
#include "dmarc/record.h"

#define DISCOVERY_WALK_MAX 8

enum discovery_method { DISCOVERY_TREEWALK, DISCOVERY_PSL };

enum discovery_status {
	DISCOVERY_PENDING, /* questions are open */
	DISCOVERY_NONE,    /* no record speaks for it */
	DISCOVERY_FOUND,
	DISCOVERY_TEMPERROR, /* a needed question had no answer */
};

struct discovery_step {
	struct span domain; /* whose _dmarc was asked */
	bool is_found;      /* exactly one DMARC record there */
	bool is_multiple;   /* several: all discarded */
	struct record record;
};

struct discovery_walk {
	size_t steps; /* up to where the walk stopped */
	struct discovery_step step[DISCOVERY_WALK_MAX];
};

/* The names that a walk from domain asks, longest first. Their number. */
size_t discovery_names(struct span domain,
		       struct span names[DISCOVERY_WALK_MAX]);

/* Walk from domain. All names are asked at the first call; an answer matters
 * only if the walk gets there. NONE: no record on the whole way. The steps are
 * filled in for all but PENDING; with TEMPERROR the last one is the name that
 * failed. */
enum discovery_status discovery_walk(struct span domain,
				     struct answers *answers,
				     struct discovery_walk *walk);

/* The organizational domain that a finished walk gives (4.10.2). */
struct span discovery_walk_organizational(const struct discovery_walk *walk);

/* The organizational domain of any domain, by either method. FOUND whenever it
 * is known, with or without a record on the way; TEMPERROR (or no psl for the
 * PSL method) leaves *organizational as the domain itself. Never NONE. */
enum discovery_status discovery_organizational(struct span domain,
					       enum discovery_method method,
					       const struct domain_psl *psl,
					       struct answers *answers,
					       struct span *organizational);

struct discovery {
	struct record record;
	struct span domain; /* where the record stands: the policy domain */
	struct span organizational; /* of the author domain, or empty: below */
	bool is_author_record;      /* domain is the author domain: p applies */
	bool is_multiple; /* several records at some name, discarded */
	enum discovery_method method;
};

/*
 * The record that speaks for an author domain (4.10.1).
 *
 * The record at the author domain is the policy even when a name above it
 * failed: FOUND, but `organizational` is then empty, since nobody knows it.
 * policy_is_aligned() takes it for equal to no other; a relaxed alignment
 * that would need it is the caller's temperror (5.3.6).
 *
 * With NONE `organizational` and `is_multiple` are valid too. By the PSL
 * method several records at one name end the search (RFC 7489 6.6.3), and
 * without a list the status is TEMPERROR.
 */
enum discovery_status discovery_policy(struct span author,
				       enum discovery_method method,
				       const struct domain_psl *psl,
				       struct answers *answers,
				       struct discovery *discovery);

#endif
