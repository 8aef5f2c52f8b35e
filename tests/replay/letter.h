/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * letter: a message on the wire, read by rules written down a second time.
 *
 * The gate's own decoder, header index and composer are what is under test, so
 * nothing of them is used here: the wire is cut at the first CR LF . CR LF,
 * dots are unstuffed, and fields are told apart, in the plainest way. What
 * comes by BDAT is counted.
 */
#ifndef TESTS_REPLAY_LETTER_H
#define TESTS_REPLAY_LETTER_H

#include "smtp/buf.h"

#define LETTER_STRIPPED_MAX 500

struct letter {
	struct buf wire;    /* with its dots and its end */
	struct buf message; /* once it has ended */
	bool is_open;
	bool has_ended;
	bool is_chunk; /* left octets are to come, and no end of data */
	uint64_t left;
	unsigned number; /* how many were opened */
};

void letter_init(struct letter *letter);
void letter_fini(struct letter *letter);

/* 354 was said: empty, and open. */
void letter_open(struct letter *letter);

/* "BDAT octets LAST" was said. */
void letter_open_chunk(struct letter *letter, uint64_t octets);

/* Octets of the wire; how many of them belong to it. */
size_t letter_take(struct letter *letter, struct span octets);

/* The message as line-endings = normalise makes it: CR LF for a bare LF, a
 * space for a bare CR and for NUL. */
void letter_normalise(struct letter *letter);

/* All chunks of a client are in the message: it gets its last CR LF where it
 * is text, and is normalised where it is lines. It has ended then. */
void letter_end_chunks(struct letter *letter, bool is_binary,
		       bool is_normalising);

/* What was done to a message on its way. Names borrow from the messages. */
struct letter_change {
	struct span stripped[LETTER_STRIPPED_MAX]; /* in the order of fields */
	size_t stripped_count;
	struct span added; /* what stands on top */
};

/*
 * Whether `delivered` is `original` without some fields, behind others on top,
 * and otherwise the same octets. False with a reason.
 */
bool letter_compare(struct span original, struct span delivered,
		    struct letter_change *change, const char **reason);

/* The next field of *header with its continuation lines; moves *header behind
 * it. Empty at the empty line, and at the end. */
struct span letter_field(struct span *header);
struct span letter_field_name(struct span field);

#endif
