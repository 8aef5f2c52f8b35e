/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spf: check_host() of RFC 7208 as a function over facts and answers.
 *
 * Re-run until it settles: a name that is not among the answers is noted as a
 * question and the run ends as pending. This interface is ours; behind it
 * stands an engine, chosen by a setting: our own (spf_native.c) or libspf2
 * (spf_libspf2.c), whose opinions that are not RFC 7208 never decide.
 *
 * Whatever the records say, a message costs at most
 * - 10 terms that cause look-ups, 2 look-ups without a result, 10 names of one
 *   mx or of the client, over all includes and redirects (RFC 7208 4.6.4);
 * - SPF_QUESTIONS_MAX questions, of which up to SPF_AHEAD_MAX, or an eighth of
 *   those a message may ask, are asked before it is certain that they are
 *   needed, to save round trips: these count against no limit of RFC 7208 and
 *   change no result;
 * - SPF_OCTETS_MAX octets of records, in sum and counted as often as they are
 *   read; beyond that it is a permerror. Real ones have a few hundred;
 * - SPF_EXPANSION_MAX octets of one macro-string (spf_macro.h), and of what its
 *   macros stand for, for each term.
 * One run is linear in these. A client is IPv4 or IPv6, never mapped.
 */
#ifndef DMARC_SPF_H
#define DMARC_SPF_H

#include "dmarc/answers.h"
#include "smtp/ip.h"

#define SPF_AHEAD_MAX 32
#define SPF_AHEAD_SHARE 8 /* one in so many of the questions there may be */
#define SPF_QUESTIONS_MAX (SPF_AHEAD_MAX + 1 + 10 * 11 + 11 + 1)
#define SPF_OCTETS_MAX 32768
#define SPF_EXPLANATION_MAX 512 /* a longer one is none */
#define SPF_STEPS_MAX 11        /* the record itself, and ten terms */

enum spf_engine {
	SPF_ENGINE_NATIVE,
	SPF_ENGINE_LIBSPF2, /* makes no explanations */
};

enum spf_result {
	SPF_NONE,
	SPF_NEUTRAL,
	SPF_PASS,
	SPF_FAIL,
	SPF_SOFTFAIL,
	SPF_TEMPERROR,
	SPF_PERMERROR,
};

struct spf_facts {
	struct ip client;   /* IP_NONE: nothing to judge, result none */
	struct span helo;   /* as the client said it */
	struct span local;  /* of MAIL FROM; empty for the null path */
	struct span domain; /* of MAIL FROM, as written; empty for null */
	bool is_null;       /* MAIL FROM:<>: postmaster@helo (RFC 7208 2.4) */
	struct span gate;   /* our host name, for %{r} */
	uint64_t now_s;     /* for %{t} */
	enum spf_engine engine;
};

/* A record on the way to what decided, and the term of it that led on. */
struct spf_step {
	struct span domain; /* normalised: whose record it is */
	struct span record;
	struct span term; /* as written; empty if none of them matched */
};

struct spf_outcome {
	enum spf_result result;
	struct span domain;      /* normalised: what was checked */
	const char *reason;      /* constant, for people */
	struct span explanation; /* of the domain's owner: what exp= gave,
				  * visible ASCII and spaces; empty if none */
	bool is_all_fail;        /* decided by "-all" */
	struct span record;      /* the domain's SPF record; empty if none */
	/* From the domain's own record down to where it was decided: all but
	 * the last one are an include or a redirect. What the native engine
	 * has come to; none with libspf2, or where no record was walked. */
	size_t steps;
	struct spf_step step[SPF_STEPS_MAX];
};

/* True when settled. Whatever outcome->domain, record and step borrow lives as
 * long as the answers' arena. */
bool spf_eval(const struct spf_facts *facts, struct answers *answers,
	      struct spf_outcome *outcome);

const char *spf_result_name(enum spf_result result);

#endif
