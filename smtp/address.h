/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * address: mailboxes, domains and literals.
 *
 * Two grammars, kept apart. RFC 5321 paths ("<alice@example>") come from the
 * envelope and are re-serialised towards the backend. RFC 5322 From fields
 * come from the message; only their domains matter here, and what cannot be
 * read without doubt is malformed, since the mail program that shows it might
 * read it in another way. UTF-8 is taken in both (RFC 6531, 6532). Encoded
 * words are never decoded in an addr-spec.
 *
 * All spans borrow from the text given.
 */
#ifndef SMTP_ADDRESS_H
#define SMTP_ADDRESS_H

#include "smtp/buf.h"
#include "smtp/ip.h"

/* Limits of local part, domain and path. RFC 5321 4.5.3.1 asks for 64, 255 and
 * 256 at least; senders that write a recipient into theirs (VERP, SRS) need
 * more. The path counts as written, from '<' to '>', with a source route. */
#define ADDRESS_LOCAL_MAX 255
#define ADDRESS_DOMAIN_MAX 255
#define ADDRESS_PATH_MAX 512

struct path {
	struct span local;  /* as written: quoted strings keep their quotes */
	struct span domain; /* as written; with its brackets if a literal */
	bool is_null;       /* <> */
	bool is_literal;    /* the domain is an address literal */
	bool is_utf8;       /* an octet above 127 occurs: needs SMTPUTF8 */
};

/*
 * A path at the start of *in, from '<' to '>'; *in is moved behind it. A
 * source route (obsolete) is skipped. "<>" is the null path; "<Postmaster>",
 * and no other local part, may stand without domain: an empty one. False if it
 * is not one; *in is then where it was. Local parts, domains and paths over
 * the limits above are refused, and so are control characters, NUL, and bad
 * UTF-8. Dots where RFC 5321 has none ("a..b", "a.") are let through: people
 * have such addresses, they read in one way only, and it is the backend's to
 * say whether it knows them.
 */
bool path_parse(struct span *in, struct path *path);

/* "<local@domain>" as parsed; false if buf is full. */
bool path_format(const struct path *path, struct buf *buf);

/* A host name of RFC 5321: dot-separated labels of letters, digits, inner
 * hyphens, underscores and UTF-8, each at most 63 octets, at most 255 in all;
 * no trailing dot. */
bool address_is_domain(struct span text);

/* The address in "[192.0.2.1]" or "[IPv6:2001:db8::1]"; false if none. */
bool address_literal_parse(struct span text, struct ip *ip);

/* Whether text is well-formed UTF-8 (RFC 3629: no overlong, no surrogates). */
bool address_is_utf8(struct span text);

/* The same, and without control characters: C0 but HTAB, DEL, C1. */
bool address_is_text(struct span text);

/* An octet of an atom: RFC 5322 3.2.3 atext, or of UTF-8 (RFC 6532 3.2). */
bool octet_is_atext(uint8_t c);

/* Author domains of one From field. */
#define FROM_DOMAINS_MAX 8

enum from_status {
	FROM_MALFORMED, /* cannot be read without doubt */
	FROM_EMPTY,     /* well-formed, with no domain: an empty group */
	FROM_TOO_MANY,  /* more than FROM_DOMAINS_MAX distinct domains */
	FROM_OK,
};

struct from {
	size_t mailboxes;
	size_t domains; /* distinct but for ASCII case and a trailing dot */
	struct span domain[FROM_DOMAINS_MAX]; /* as written, in order */
	struct span first; /* the first addr-spec, for failure texts */
};

/*
 * The domains of a From field's body (what follows the colon, folded or not,
 * without its final CR LF): mailbox-list or, RFC 6854, address-list with
 * groups; comments, quoted strings, encoded words as display names, empty list
 * elements (RFC 5322 4.4).
 *
 * Every domain that some reader could show is given: those of an obsolete
 * route, and that of an unquoted address as display name
 * ("a@b.example <c@d.example>"), stand in the list beside the addr-spec's.
 *
 * Malformed are: a domain literal, a domain that address_is_domain() refuses
 * (one trailing dot is let through), control characters, bad UTF-8, a bare CR
 * or LF, a fold that leaves a blank line, a line over 998 octets, an unbalanced
 * quote or comment, nesting over 16, '<' or '>' in a comment, '@' or anything
 * but white space behind an inner or quoted ')' in a comment, text behind '>',
 * a missing '@' or domain, white space inside a domain or local part, a comment
 * inside an addr-spec or between '<' and '>', and, inside an addr-spec, an
 * encoded word, or '@', '<' or '>' in quotes; and these three in quotes or a
 * comment where any of those is folded, or beside a group; and '@' in a comment
 * beside an empty list element: mail programs are known to read these in
 * different ways (tests/e2e/test_65_readers.py asks some).
 */
enum from_status from_parse(struct span body, struct from *from);

#endif
