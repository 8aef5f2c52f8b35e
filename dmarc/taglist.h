/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * taglist: the tag=value lists of RFC 6376 3.2, in which signatures and key
 * records are written.
 *
 * Strict where the RFC is: a list with a syntax error or a repeated tag is
 * none at all. One semicolon may end it. Names are case-sensitive. Octets
 * over 127 are let through in values (RFC 8616). Spans borrow from the text.
 */
#ifndef DMARC_TAGLIST_H
#define DMARC_TAGLIST_H

#include "smtp/arena.h"

#define TAGLIST_MAX 64 /* tags; a list of more is refused */

struct taglist {
	size_t count;
	struct tag {
		struct span name;
		struct span value; /* without white space at either end */
	} tag[TAGLIST_MAX];
};

/* False if text is no tag list. Folds may stand wherever white space may. */
bool taglist_parse(struct span text, struct taglist *list);

/* Whether there is a tag of that name; *value is empty if there is none. */
bool taglist_find(const struct taglist *list, struct span name,
		  struct span *value);

/* A value without any white space or folds, in the arena; value itself if it
 * has none. Empty if the arena is full. */
struct span taglist_compact(struct span value, struct arena *arena);

/* The next part of a colon-separated value, without white space at either
 * end; moves *rest behind it. False at the end. */
bool taglist_next(struct span *rest, struct span *part);

/* Base64 with padding, white space inside ignored (RFC 6376 3.2), into an
 * array of max octets. False if it is not, or does not fit. */
bool taglist_base64(struct span text, uint8_t *octets, size_t max, size_t *n);

#endif
