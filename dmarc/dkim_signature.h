/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim_signature: one DKIM-Signature field (RFC 6376 3.5), read before an
 * engine sees it; and the two fields of ARC that are written in the same tags
 * (RFC 8617 4.1.2, 4.1.3), which differ in what they must have.
 *
 * It says whether the signature can be verified at all, and what it would
 * cost; what a library would rather not be given (malformed tags, half a
 * quoted-printable i=, hundreds of names in h=) ends here.
 */
#ifndef DMARC_DKIM_SIGNATURE_H
#define DMARC_DKIM_SIGNATURE_H

#include "dmarc/dkim.h"
#include "dmarc/dkim_key.h"

enum dkim_form {
	DKIM_FORM_SIGNATURE,   /* DKIM-Signature */
	DKIM_FORM_ARC_MESSAGE, /* ARC-Message-Signature: no v=, i= a number */
	DKIM_FORM_ARC_SEAL,    /* ARC-Seal: neither h= nor bh=, but cv= */
};

enum dkim_fate {
	DKIM_FATE_WITHHELD, /* the engine must not see the field */
	DKIM_FATE_IGNORED,  /* a field like others, but not to be verified */
	DKIM_FATE_VERIFIED,
};

#define DKIM_WHOLE_BODY UINT64_MAX

struct dkim_candidate {
	enum dkim_fate fate;
	size_t at;     /* of its field in the message; the caller's */
	bool is_ascii; /* all of the field */
	bool has_tab;  /* before its colon */
	enum crypto_key_type key_type;
	bool is_sha1;
	bool is_header_relaxed;
	bool is_body_relaxed;
	bool covers_from;            /* h= names From */
	bool covers_signatures;      /* h= names DKIM-Signature */
	struct span names;           /* h= as written */
	struct span signature;       /* b=, its octets in the arena */
	struct span body_hash;       /* bh=, the same */
	uint64_t length;             /* l=, or DKIM_WHOLE_BODY */
	struct span identity_domain; /* of i=, normalised; or d= */
	struct span key_name;        /* where its key is */
};

/* Read a field of this form. *signature gets what is reported of it, and a
 * result and reason where it will not be verified; *candidate what is to be
 * done. Both are zero before. */
void dkim_signature_read(const struct field *field, enum dkim_form form,
			 uint64_t now_s, struct arena *arena,
			 struct dkim_signature *signature,
			 struct dkim_candidate *candidate);

#endif
