/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_text: where each statement of a proxy.conf stands.
 *
 * libconfuse stops at its first fault, does not remember lines, miscounts
 * them behind comments, and takes no comment inside a list. So this pass goes
 * over the text first: it blanks the comments (every line keeps its number)
 * and lists the statements with their lines, so that all unknown and repeated
 * ones can be named at once, blanked too, and the rest handed to libconfuse,
 * which makes values of them.
 *
 *     file      = *statement
 *     statement = word "=" value
 *               / word [title] "{" *( word "=" value ) "}"
 *     value     = text / "{" [ text *( "," text ) [ "," ] ] "}"
 *     text      = word / "in double quotes" / 'in single quotes'
 *     comment   = "#" or "//" to the end of the line, or as in C
 *
 * Pure.
 */
#ifndef PROXY_CONF_TEXT_H
#define PROXY_CONF_TEXT_H

#include "smtp/arena.h"

#define CONF_STATEMENTS_MAX 10000
#define CONF_NO_PARENT SIZE_MAX

struct conf_statement {
	struct span word;
	struct span title; /* of a block, without quotes; may be empty */
	bool is_block;
	bool is_list; /* its value stands in braces */
	unsigned line;
	size_t parent;     /* index of the block it stands in */
	size_t begin, end; /* offsets in the text */
};

struct conf_text {
	uint8_t *p; /* the text, comments blanked */
	size_t n;
	struct conf_statement *statements;
	size_t count;
	/* A syntax fault ends the list; NULL if there is none. */
	const char *fault;
	unsigned fault_line;
};

/* Scan n octets at p, which are changed. The list lives in the arena and
 * borrows from p. */
void conf_text_scan(struct conf_text *text, uint8_t *p, size_t n,
		    struct arena *arena);

/* Blank a statement, so that libconfuse does not see it. */
void conf_text_blank(struct conf_text *text, size_t statement);

#endif
