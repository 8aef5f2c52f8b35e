/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * strict: what the gate says to either side, read by the letter.
 *
 * A second parser, which shares nothing with smtp/: every line ends in CR LF
 * and holds no other CR, LF, NUL or control; a command is one of those that
 * the gate has any business to send, of allowed octets in allowed places; a
 * reply has one code on all of its lines, printable text that is UTF-8, and a
 * length. The first thing that is not so is the reason.
 */
#ifndef TESTS_SMUGGLE_STRICT_H
#define TESTS_SMUGGLE_STRICT_H

#include "smtp/buf.h"

#define STRICT_REPLY_LINE_MAX 1000 /* with its CR LF */
#define STRICT_CHALLENGE_MAX 12288

struct strict_commands {
	unsigned hellos, mails, rcpts, datas, xclients;
	const char *reason; /* NULL: nothing is wrong */
	struct span line;   /* where it is wrong */
};

/* What a backend heard that answers every DATA with 354. said is all that the
 * client said: no path is sent that does not stand there. */
void strict_commands_read(struct strict_commands *commands, struct span heard,
			  struct span said);

/* Lines of a client that are commands, up to the first octet that no command
 * may have: how many begin with this verb. */
unsigned strict_count_verb(struct span said, struct span verb);

struct strict_replies {
	unsigned replies, goodbyes, go_aheads;
	bool is_ended; /* nothing stands behind the last reply */
	const char *reason;
	struct span line;
};

void strict_replies_read(struct strict_replies *replies, struct span heard);

#endif
