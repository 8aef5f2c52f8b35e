/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heard: all that one party heard, in order: octets, and marks between them
 * for what happened to the connection ("[connect 127.0.0.1:25]", "[close]").
 *
 * Nothing is forgotten, so that two plays of a script can be compared; a
 * position moves over it as the script's lines are met.
 */
#ifndef TESTS_REPLAY_HEARD_H
#define TESTS_REPLAY_HEARD_H

#include "smtp/buf.h"

#define HEARD_MARKS_MAX 32

struct heard {
	struct buf octets;
	struct {
		size_t at;
		char text[128];
	} marks[HEARD_MARKS_MAX];
	size_t mark_count;
	/* What the script has seen of it. */
	size_t at;
	size_t marks_seen;
};

enum heard_next {
	HEARD_NOTHING,
	HEARD_LINE,
	HEARD_MARK,
	HEARD_PARTIAL, /* octets without CR LF */
};

void heard_init(struct heard *heard);
void heard_fini(struct heard *heard);

void heard_octets(struct heard *heard, struct span octets);
void heard_mark(struct heard *heard, const char *text, struct span detail);

/* What comes next, without CR LF; heard_pass() goes over it. */
enum heard_next heard_peek(const struct heard *heard, struct span *text);
void heard_pass(struct heard *heard);

/* Go over exactly these octets; false if others come. */
bool heard_exactly(struct heard *heard, struct span octets);

bool heard_equal(const struct heard *a, const struct heard *b);

#endif
