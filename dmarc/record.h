/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record: one DMARC policy record (RFC 9989 4.7, 4.8), parsed.
 *
 * The version decides whether a TXT record is one of ours at all: it must
 * stand first and its value be exactly "DMARC1". All else is lenient as the
 * RFC asks: unknown tags are ignored, a known tag with a bad value takes its
 * default and is noted; of a repeated tag the first counts. p, sp and np keep
 * the difference between absent and invalid, since an invalid one changes
 * what becomes of the whole record (4.10.1; see dmarc/policy.h).
 *
 * Historic tags: pct is read (psl discovery may honour it), rf and ri are
 * unknown tags.
 */
#ifndef DMARC_RECORD_H
#define DMARC_RECORD_H

#include "smtp/span.h"

enum policy {
	POLICY_ABSENT, /* not published */
	POLICY_INVALID,
	POLICY_NONE,
	POLICY_QUARANTINE,
	POLICY_REJECT,
};

enum record_psd { RECORD_PSD_UNKNOWN, RECORD_PSD_YES, RECORD_PSD_NO };

enum record_fo {
	RECORD_FO_0 = 1,
	RECORD_FO_1 = 2,
	RECORD_FO_D = 4,
	RECORD_FO_S = 8,
};

/* Tags that had to be set aside, as bits of record->ignored. */
enum record_fault {
	RECORD_FAULT_SYNTAX = 1,    /* a segment that is no tag */
	RECORD_FAULT_VALUE = 2,     /* a known tag with a bad value */
	RECORD_FAULT_DUPLICATE = 4, /* a tag given twice */
};

struct record {
	struct span text; /* as given */
	enum policy p, sp, np;
	bool is_adkim_strict, is_aspf_strict;
	bool is_testing; /* t=y */
	enum record_psd psd;
	unsigned fo;     /* bits; RECORD_FO_0 by default */
	unsigned pct;    /* 0 … 100, 100 by default */
	struct span rua; /* as published; empty if absent */
	struct span ruf;
	bool has_usable_rua; /* at least one syntactically valid URI */
	unsigned faults;     /* bits of enum record_fault */
	/* As published, for the verdict line; empty if absent. */
	struct span tag_p, tag_sp, tag_np, tag_adkim, tag_aspf, tag_fo, tag_t,
		tag_psd, tag_pct;
};

/* Parse the joined strings of one TXT record. False if it is not a DMARC
 * record (wrong or missing version). *record borrows from text. */
bool record_parse(struct span text, struct record *record);

/* The next URI of a rua or ruf list: scheme and the rest, an obsolete
 * "!10m" cut off, percent-encoding left as it is. Moves *list behind it.
 * False at the end. URIs that are not well-formed are skipped. */
struct record_uri {
	struct span uri;    /* without the size limit */
	struct span scheme; /* "mailto" in any case */
	struct span rest;   /* behind the colon */
};
bool record_next_uri(struct span *list, struct record_uri *uri);

const char *policy_name(enum policy policy); /* "none", "" if absent */

#endif
