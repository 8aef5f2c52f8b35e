/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * saying: what the client says outside of DATA, line by line and chunk by
 * chunk, and which reply is to what.
 *
 * A client may say BDAT, octets and BDAT again without waiting, so it shows
 * from the replies only, each to the oldest line that has none, which chunks
 * the gate has taken. From that, by rules written down a second time, the
 * message is put together, and it is known whether a BDAT LAST had to be
 * taken at all: behind EHLO, for a recipient, not over the size offered, and
 * no chunk of the mail before it refused.
 */
#ifndef TESTS_REPLAY_SAYING_H
#define TESTS_REPLAY_SAYING_H

#include "tests/replay/letter.h"

struct saying {
	struct buf line;   /* the one being said */
	struct buf queue;  /* of struct said: those without a reply */
	struct buf chunks; /* octets of chunks without a reply */
	struct buf wire;   /* octets of those that were taken, of this mail */
	uint64_t left;     /* of the chunk being said */
	/* The mail, as the replies have it. */
	bool is_extended, is_binary;
	unsigned recipients;
	uint64_t sum, size_max;
};

void saying_init(struct saying *saying);
void saying_fini(struct saying *saying);
void saying_start(struct saying *saying); /* a new connection */

void saying_octets(struct saying *saying, struct span octets);

/* The end of DATA was said: a reply is owed to it as to a line. */
void saying_end_of_data(struct saying *saying);

/* A line of a reply was heard. */
void saying_reply(struct saying *saying, struct span line);

/* Whether the oldest without a reply is a BDAT LAST, all said. */
bool saying_is_last(const struct saying *saying);

/* Such a one that must be taken: its message in *letter; else false. */
bool saying_take(struct saying *saying, struct letter *letter,
		 uint64_t size_max, bool is_normalising);

#endif
