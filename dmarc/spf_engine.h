/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spf_engine: what spf.c asks of the engine behind it.
 *
 * spf.c has chosen the identity and normalised it; the engine runs
 * check_host() over the answers, once, from the start. Nobody else includes
 * this.
 */
#ifndef DMARC_SPF_ENGINE_H
#define DMARC_SPF_ENGINE_H

#include "dmarc/spf.h"

/* RFC 7208 4.6.4, over the whole message, includes and all. */
#define SPF_TERMS_MAX 10
#define SPF_VOID_MAX 2
#define SPF_ADDRESSES_MAX 10 /* of one mx or ptr */

struct spf_check {
	struct ip client;
	struct span domain; /* normalised, of two labels at least */
	struct span local;  /* visible ASCII and spaces */
	struct span helo;   /* printable ASCII */
	struct span gate;   /* printable ASCII */
	uint64_t now_s;
	bool is_local_unusable; /* terms with %{l} or %{s} match nothing */
};

/* What selecting the SPF record of a name gives (RFC 7208 4.4, 4.5). */
enum spf_found {
	SPF_FOUND_OPEN,
	SPF_FOUND_NONE,
	SPF_FOUND_TEMPERROR,
	SPF_FOUND_SEVERAL,
	SPF_FOUND_RECORD,
};
enum spf_found spf_find_record(struct span domain, struct answers *answers,
			       struct span *record);

/* Result, reason, explanation and is_all_fail of *outcome for a valid SPF
 * record. False if it noted questions, or waits for some. */
bool spf_native(const struct spf_check *check, struct span record,
		struct answers *answers, struct spf_outcome *outcome);
bool spf_libspf2(const struct spf_check *check, struct span record,
		 struct answers *answers, struct spf_outcome *outcome);

#endif
