/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arc_results: one ARC-Authentication-Results: what a sealer says that it
 * found (RFC 8617 4.1.1, in the grammar of RFC 8601 2.2).
 *
 * Read with doubt, since a disposition may hang on it: the whole field is
 * read or none of it, with its comments and quoted strings, and a value is
 * taken only if it is the domain or address that it should be. Somebody
 * else's text in it (a local part, a reason) must not become a result. More
 * lenient than the grammar only where that adds no claim: an unknown property
 * may lack its type, and an unquoted value may hold any visible octet that
 * does not end or nest something.
 *
 * Who sealed it, and whether the seal is good, is for dmarc/arc.h.
 */
#ifndef DMARC_ARC_RESULTS_H
#define DMARC_ARC_RESULTS_H

#include "smtp/arena.h"
#include "smtp/ip.h"

#define ARC_CLAIMS_MAX 16   /* of dkim and spf, in one field */
#define ARC_RESULTS_MAX 100 /* results in one field */

/* A pass, and for which domain. */
struct arc_claim {
	bool is_spf;
	struct span domain; /* normalised */
};

struct arc_results {
	size_t dmarc;           /* how many results of dmarc there are */
	bool is_dmarc_pass;     /* all of them */
	struct span dmarc_from; /* header.from of the last one, normalised */
	size_t claims;
	struct arc_claim claim[ARC_CLAIMS_MAX]; /* those beyond are dropped */
	struct ip remote_ip; /* smtp.remote-ip, of the first that has one */
};

/* "i=1;" at the start of the field's body, and what stands behind it. False
 * without it, or if it is no number from 1 to 99. */
bool arc_results_instance(struct span body, unsigned *instance,
			  struct span *rest);

/* Read what stands behind the instance: authserv-id and results. False if
 * anything of it cannot be read; *results then says nothing. */
bool arc_results_parse(struct span rest, struct arena *arena,
		       struct arc_results *results);

#endif
