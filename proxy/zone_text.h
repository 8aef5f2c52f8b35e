/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zone_text: a master file (RFC 1035 5.1) cut into entries and tokens.
 *
 * An entry is what one line says, or several inside parentheses. Comments and
 * empty lines are gone. What a token means is for zone.c. A fault ends its
 * line, and reading goes on behind it, so that all of them can be named.
 *
 * Pure. Tokens borrow from the text.
 */
#ifndef PROXY_ZONE_TEXT_H
#define PROXY_ZONE_TEXT_H

#include "smtp/buf.h"

#define ZONE_TOKENS_MAX 300

struct zone_token {
	struct span raw; /* without quotes, escapes as they stand */
	bool is_quoted;
};

struct zone_entry {
	unsigned line;        /* where it begins */
	bool has_blank_owner; /* white space stands first */
	const char *fault;    /* constant; NULL if it is good */
	size_t tokens;
	struct zone_token token[ZONE_TOKENS_MAX];
};

struct zone_text {
	struct span left;
	unsigned line; /* of left */
};

/* Ready to read the text. */
void zone_text_init(struct zone_text *text, struct span octets);

/* The next entry, with a fault or at least one token; false at the end. */
bool zone_text_next(struct zone_text *text, struct zone_entry *entry);

/* The octets that a token stands for, "\X" and "\DDD" undone; false if an
 * escape is bad or buf is full. */
bool zone_token_decode(struct span raw, struct buf *buf);

#endif
