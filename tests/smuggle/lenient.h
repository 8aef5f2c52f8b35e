/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lenient: a mail server that reads octets as some mail server might.
 *
 * Each row of lenient_manners is an interpretation: what it takes for the end
 * of a line, what it makes of NUL, and which lines end the data. The strict
 * one takes CR LF and a lone dot, and BDAT by its length. Whatever reaches a
 * backend must be read as the same messages and commands by all of them: then
 * it does not matter which one stands behind the gate.
 *
 * Written in the plainest way, an octet at a time, with nothing of smtp/ but
 * spans and bufs: it is what the gate is judged by.
 */
#ifndef TESTS_SMUGGLE_LENIENT_H
#define TESTS_SMUGGLE_LENIENT_H

#include "smtp/buf.h"

enum nul_manner {
	NUL_KEPT,
	NUL_DROPPED,   /* as if it was not there */
	NUL_CUTS,      /* what follows in the line is not seen, as in C */
	NUL_ENDS_LINE, /* it is a line end */
};

struct lenient_manner {
	const char *name;
	bool takes_lf;      /* a bare LF ends a line */
	bool takes_cr;      /* a bare CR ends a line */
	bool takes_cr_crlf; /* several CRs and LF are one line end */
	bool drops_cr;      /* CR is dropped wherever it is, LF ends a line */
	bool takes_lf_cr;   /* LF CR is one line end, beside CR LF */
	bool trims_end;     /* white space behind the dot is not seen */
	enum nul_manner nul;
};

#define LENIENT_MANNERS 19
extern const struct lenient_manner lenient_manners[LENIENT_MANNERS];

struct lenient {
	const struct lenient_manner *manner;
	const char *ehlo; /* its reply to EHLO; NULL: PIPELINING only */
	bool is_in_data;
	bool is_cut;       /* a NUL has cut this line */
	bool is_behind_cr; /* … that ended a line: LF is part of it */
	bool is_behind_lf; /* the same for LF CR */
	uint64_t chunk;    /* octets of BDAT to come */
	bool is_last_chunk;
	bool is_in_chunks; /* between the first and the last one */
	unsigned crs;      /* held back: what they are shows later */
	struct buf line;
	struct buf message; /* the newest one, dots taken off */
	unsigned messages;
	unsigned hellos, mails, rcpts, datas, quits;
	unsigned others;    /* lines that are none of a tidy dialogue */
	bool has_seen_hook; /* the smuggled sender was heard as a command */
};

void lenient_init(struct lenient *lenient, const struct lenient_manner *manner);
void lenient_fini(struct lenient *lenient);
void lenient_reset(struct lenient *lenient);

/* The next octets; what it answers is appended to reply, which may be NULL. */
void lenient_hear(struct lenient *lenient, struct span octets,
		  struct buf *reply);

#endif
