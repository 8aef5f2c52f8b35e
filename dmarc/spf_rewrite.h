/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spf_rewrite: an SPF record as libspf2 must see it.
 *
 * A valid record is written anew from its terms, for one client, so that
 *
 * - ip4 and ip6 are decided here: libspf2 refuses "/0", and drops without a
 *   word what exceeds its compiled size of 511 octets, which 26 networks do;
 * - "redirect" stands last, and only where there is no "all" (RFC 7208 6.1):
 *   libspf2 takes it for a mechanism and runs it where it stands;
 * - exp and unknown modifiers are gone: expanding an explanation smashes the
 *   stack (CVE-2023-42118), and expansion asks questions of its own;
 * - "all" of the record that decides is taken out, and what falls off its end
 *   is decided by us: only so is it known that "-all" it was.
 *
 * A trailing dot of a domain-spec means nothing in RFC 7208 and is cut off.
 * One that we write carries a mark through libspf2 to our end of it: on
 * redirect, that this is no include; on a and mx, that the prefix length is 0
 * and any address matches.
 */
#ifndef DMARC_SPF_REWRITE_H
#define DMARC_SPF_REWRITE_H

#include "dmarc/spf_engine.h"
#include "dmarc/spf_record.h"
#include "smtp/buf.h"

struct spf_rewritten {
	struct buf text;     /* the caller's, initialised */
	unsigned mechanisms; /* in it; redirect is one to libspf2 */
	bool has_all;        /* taken out … */
	enum spf_qualifier all;
	struct span redirect; /* as written in the record */
};

/* is_deciding: this is the record of the domain that is checked, or the one
 * it redirects to; not one that is included. *out is zero but for its buf. */
void spf_rewrite(const struct spf_check *check, struct span record,
		 bool is_deciding, struct spf_rewritten *out);

#endif
