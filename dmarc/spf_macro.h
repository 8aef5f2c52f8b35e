/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spf_macro: macro-strings of RFC 7208 7: their syntax, what they expand to,
 * and the name for DNS that an expansion is.
 *
 * One parser serves the grammar of records (spf_record.h) and the expansion:
 * what the one lets pass the other can expand. A macro-string is a row of
 * pieces, each literal text or one macro.
 *
 * An expansion is bounded, in octets and in time: one longer than
 * SPF_EXPANSION_MAX octets is none, and neither is one whose macros stand for
 * more than that before transformers cut it down; however many there are.
 *
 * Pure. The validated name of the client, %{p}, needs DNS: whoever expands
 * has found it before (spf_has_macro() says whether it is wanted).
 */
#ifndef DMARC_SPF_MACRO_H
#define DMARC_SPF_MACRO_H

#include "smtp/arena.h"
#include "smtp/buf.h"
#include "smtp/ip.h"

#define SPF_EXPANSION_MAX 4096

struct spf_piece {
	struct span literal; /* also of "%%", "%_", "%-"; where there is no … */
	uint8_t letter;      /* … macro letter, in lower case */
	bool is_escaped;     /* it was in upper case: as in a URL (7.3) */
	bool is_reversed;
	size_t parts;           /* how many on the right are kept; 0: all */
	struct span delimiters; /* empty: the dot */
};

/* The next piece of *rest, which is moved behind it and is not empty. False
 * if that is none. An explanation also has the letters c, r and t (7.2). */
bool spf_piece_next(struct span *rest, bool is_explanation,
		    struct spf_piece *piece);

/* Whether one of these letters, in lower case, is used in a macro-string. */
bool spf_has_macro(struct span text, struct span letters);

/* What macros stand for (7.2). All ASCII, none with a control. */
struct spf_macros {
	struct span local;     /* l, and with domain of sender s */
	struct span sender;    /* o: the domain of the sender */
	struct span domain;    /* d: that is evaluated now */
	struct span helo;      /* h */
	struct span validated; /* p */
	struct span gate;      /* r */
	struct ip client;      /* i, v, c */
	uint64_t now_s;        /* t */
};

/* The whole of text, appended to *out. False if it is no macro-string, or
 * does not fit. */
bool spf_expand(const struct spf_macros *macros, struct span text,
		bool is_explanation, struct buf *out);

/*
 * The name for DNS that an expansion is, in the arena: in lower case, without
 * the dot at its end, without labels on its left until it has at most 253
 * octets (7.3). Empty if it is none, with a label that is empty or too long
 * or with an octet that is not visible ASCII nor a space; and if the arena is
 * full.
 */
struct span spf_target_name(struct span expanded, struct arena *arena);

#endif
