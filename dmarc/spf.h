/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spf: check_host() of RFC 7208 as a function over facts and answers.
 *
 * Re-run until it settles: a name that is not among the answers is noted as a
 * question and the run ends as pending. This interface is ours; behind it
 * stands an engine (spf_libspf2.c today), chosen by a setting.
 *
 * The engine's own opinions that are not RFC 7208 never decide: libspf2's
 * "loopback passes" is undone, IPv4-mapped clients are IPv4, explanations are
 * never expanded (CVE-2023-42118), the number of DNS look-ups per message is
 * capped over all includes (RFC 7208 4.6.4).
 */
#ifndef DMARC_SPF_H
#define DMARC_SPF_H

#include "dmarc/answers.h"
#include "smtp/ip.h"

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
};

struct spf_outcome {
	enum spf_result result;
	struct span domain;      /* normalised: what was checked */
	const char *reason;      /* constant, for people */
	struct span explanation; /* what exp= gave; empty if none */
	bool is_all_fail;        /* decided by "-all" */
	struct span record;      /* the domain's SPF record; empty if none */
};

/* True when settled. Whatever outcome->domain and record borrow lives as long
 * as the answers' arena. */
bool spf_eval(const struct spf_facts *facts, struct answers *answers,
	      struct spf_outcome *outcome);

const char *spf_result_name(enum spf_result result);

#endif
