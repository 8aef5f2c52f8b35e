/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * script: a dialogue of three parties, as a file that reads like a transcript.
 *
 * A line that starts with "#" is a comment. Two sections may stand in front,
 * each line of them indented by a tab, and more than once (they add up):
 *
 *     conf:                    what follows belongs to proxy.conf
 *     zone:                    what follows is a master file: the whole DNS
 *     include: NAME            read NAME.inc, of the same folder, here
 *
 * Then the dialogue. In capitals what a party says, CR LF added; in small
 * letters what it hears, where "*" stands for anything:
 *
 *     C: c:                    the client
 *     B: b:                    the backend
 *     D: d:                    the second backend, of a diversion
 *     b: [connect ADDRESS]     a connection is opened to it
 *     b: [connect ADDRESS from IP]   … and from the client's address
 *     b: [close]  b: [abort]   … closed after what was sent, or at once
 *     b: [tls]                 TLS begins, behind what was said so far
 *     b: ...                   it hears anything, until the next b: line
 *     V: PATH=VALUE            the last verdict line has this
 *     V: none                  none was written so far
 *     E: NAME                  an event was logged; NAME KEY=VALUE …, where
 *                              its details matter too
 *     ! …                      anything else: see play.c for the list
 *
 * Lines said in a row by one party are one group: it does not wait in
 * between. What is heard stands behind the group that caused it, in any order
 * between the parties; when something is said again, all must have been heard.
 *
 * tests/wire plays the same files with the real gate on real sockets.
 */
#ifndef TESTS_REPLAY_SCRIPT_H
#define TESTS_REPLAY_SCRIPT_H

#include "proxy/session.h"

enum script_kind {
	SCRIPT_SAY,         /* side, text: octets */
	SCRIPT_HEAR,        /* side, text: pattern for a line or a mark */
	SCRIPT_HEAR_OCTETS, /* side, text: exactly these */
	SCRIPT_SKIP,        /* side */
	SCRIPT_VERDICT,     /* text: PATH=PATTERN, or none */
	SCRIPT_EVENT,       /* text */
	SCRIPT_DIRECTIVE,   /* text */
};

struct script_line {
	enum script_kind kind;
	enum session_side side;
	struct span text;
	struct span file;
	unsigned number;
};

struct script {
	struct arena arena; /* owns all below */
	struct span file;
	struct buf conf;
	struct buf zone;
	struct script_line *lines;
	size_t count, cap;
};

/* Read a file; false with a sentence in fault. */
bool script_read(struct script *script, const char *file, struct buf *fault);
void script_fini(struct script *script);

/* Whether text fits a pattern. */
bool script_matches(struct span pattern, struct span text);

#endif
