/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spf_record: the terms of one SPF record, by the grammar of RFC 7208 12.
 *
 * Engines differ in what they let pass, so the grammar is held to here,
 * before any of them sees a record: a syntax error anywhere makes the whole
 * record a permanent error (4.6), even behind a term that matches.
 *
 * Nothing is looked up, expanded or decided. Spans borrow from the record.
 */
#ifndef DMARC_SPF_RECORD_H
#define DMARC_SPF_RECORD_H

#include "smtp/ip.h"

enum spf_qualifier {
	SPF_QUALIFIER_PASS,     /* "+", and where there is none */
	SPF_QUALIFIER_FAIL,     /* "-" */
	SPF_QUALIFIER_SOFTFAIL, /* "~" */
	SPF_QUALIFIER_NEUTRAL,  /* "?" */
};

enum spf_mechanism {
	SPF_MECHANISM_ALL,
	SPF_MECHANISM_INCLUDE,
	SPF_MECHANISM_A,
	SPF_MECHANISM_MX,
	SPF_MECHANISM_PTR,
	SPF_MECHANISM_IP4,
	SPF_MECHANISM_IP6,
	SPF_MECHANISM_EXISTS,
	SPF_MODIFIER_REDIRECT,
	SPF_MODIFIER_EXP,
	SPF_MODIFIER_OTHER,
};

struct spf_term {
	struct span text; /* as written, with qualifier and all */
	enum spf_mechanism mechanism;
	enum spf_qualifier qualifier; /* of a mechanism */
	struct span domain;           /* domain-spec as written; may be empty */
	struct ip ip;                 /* of ip4 and ip6 */
	unsigned prefix4, prefix6;    /* 32 and 128 where none is written */
	bool has_sender; /* %{s} or %{l} occurs in it (RFC 8616 4) */
};

enum spf_next {
	SPF_NEXT_TERM,
	SPF_NEXT_END,
	SPF_NEXT_SYNTAX, /* the record is a permanent error */
};

/* Whether a TXT record is an SPF record at all: its version stands first and
 * is followed by a space or nothing (RFC 7208 4.5). */
bool spf_record_is_one(struct span text);

/* What follows the version: for spf_record_next(). */
struct span spf_record_terms(struct span text);

/* The next term; moves *rest behind it. */
enum spf_next spf_record_next(struct span *rest, struct spf_term *term);

/* The whole record is well-formed, with at most one redirect and one exp
 * (RFC 7208 6). */
bool spf_record_is_valid(struct span text);

#endif
