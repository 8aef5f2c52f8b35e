/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * authors: whose name a message is sent in, and what is wrong with that.
 *
 * The author domains are those of all From fields, each once, as far as they
 * can be read (RFC 9989 4.4, 11.5); a message with a fault in one may have
 * some all the same. What a field says is from_parse()'s to tell (see
 * smtp/address.h).
 *
 * To be read once, when the header is complete: a From field may be as large
 * as a header, and eval (dmarc/eval.h) is run again with each answer.
 */
#ifndef DMARC_AUTHORS_H
#define DMARC_AUTHORS_H

#include "smtp/address.h"
#include "smtp/arena.h"
#include "smtp/message.h"

/* What is wrong with the From field, if anything. */
enum from_fault {
	FROM_FAULT_NONE,
	FROM_FAULT_MISSING,
	FROM_FAULT_REPEATED,
	FROM_FAULT_MALFORMED, /* cannot be read without doubt */
	FROM_FAULT_DOMAIN,    /* a domain that is none */
	FROM_FAULT_EMPTY,     /* no domain: an empty group */
	FROM_FAULT_TOO_MANY,
	FROM_FAULT_HEADER, /* the header has lines that are no fields */
};

struct authors {
	enum from_fault fault; /* the first that was found */
	size_t count;
	struct span domain[FROM_DOMAINS_MAX]; /* normalised */
};

/* Those of a complete header; the domains are written to the arena. Where it
 * overflows (see arena.h), they may be none. */
void authors_read(const struct message *message, struct arena *arena,
		  struct authors *authors);

const char *from_fault_text(enum from_fault fault);

#endif
