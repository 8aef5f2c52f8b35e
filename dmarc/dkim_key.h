/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim_key: one DKIM key record (RFC 6376 3.6.1), before an engine sees it.
 *
 * It says whether the record may be used to verify a signature, and how
 * strong its key is: in bits, since engines count octets, and a key of 1017
 * bits is no key of 1024.
 */
#ifndef DMARC_DKIM_KEY_H
#define DMARC_DKIM_KEY_H

#include "dmarc/answers.h"
#include "dmarc/crypto.h"
#include "dmarc/dkim.h"

struct dkim_key {
	struct span record;      /* usable; empty: not, for … */
	struct crypto_key key;   /* its key, in the arena */
	enum dkim_result result; /* … this result … */
	const char *reason;      /* … and reason */
	unsigned bits;           /* 0 if unknown */
	bool is_domain_only;     /* t=s: i= must be at d= itself */
};

/* What the answer for a key's name has for a signature of this type, in a
 * record of at most record_max octets. Of several records it is the only one
 * that is a key of this type. False if nothing that can be used. */
bool dkim_key_read(const struct answer *answer, enum crypto_key_type type,
		   size_t record_max, struct arena *arena,
		   struct dkim_key *key);

#endif
