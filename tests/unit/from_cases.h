/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * from_cases: headers as a text that is read like one, each with what is to be
 * made of its From field. tests/unit/from.cases is the table; tests/e2e gives
 * the same to programs that show mail.
 *
 *     # A comment.
 *     From: alice@a.example
 *     From: bob@b.example
 *     => refused (repeated) a.example b.example
 *
 * All lines up to the "=>" are lines of the header; CR LF is added to each. In
 * them "\\" is one backslash, "\x0d" an octet, and "\{998}x" the octet behind
 * it 998 times. A line of the header cannot start with "#" or "=>".
 */
#ifndef TESTS_FROM_CASES_H
#define TESTS_FROM_CASES_H

#include "smtp/buf.h"

#include <stdio.h>

struct from_cases {
	FILE *file;
	char *line; /* what getline() keeps */
	size_t size;
	unsigned number;      /* of the line read last */
	struct buf header;    /* of this case, without the empty line */
	struct span expected; /* behind "=> "; dies with the next case */
};

/* Open a table; a failed assertion if there is none. */
void from_cases_open(struct from_cases *cases, const char *path);

/* The next case; false at the end. Lines without a result fail. */
bool from_cases_next(struct from_cases *cases);

void from_cases_close(struct from_cases *cases);

#endif
