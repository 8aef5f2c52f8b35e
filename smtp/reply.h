/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reply: SMTP replies, read and written.
 *
 * Reading is strict, because what comes out is relayed to somebody else:
 * three digits 2-5, 0-9, 0-9, then SP, '-' or the end; the same code on every
 * line; lines end in CR LF (a bare LF or CR, NUL or another control character
 * but HTAB makes the reply bad); at most REPLY_LINE_MAX octets a line, its
 * CR LF counted, and REPLY_LINES_MAX lines. A line of a challenge (334)
 * may have REPLY_CHALLENGE_MAX octets.
 *
 * Text above 127 should be UTF-8 (RFC 6531 3.7.4.2), but old servers say
 * Latin-1, to whoever it is, and mean nothing by it: it cannot end a line or
 * change a code, so it is read, and what is no UTF-8, or a C1 control in it, is
 * written as '?'.
 *
 * Writing goes through these functions only, so a reply never holds octets
 * that could be read as a line of its own.
 *
 * RFC 5321 4.2, RFC 2034, RFC 3463, RFC 4954 4.
 */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include "smtp/buf.h"

#define REPLY_LINE_MAX 1000
#define REPLY_CHALLENGE_MAX 12288 /* RFC 4954 4 */
#define REPLY_LINES_MAX 64
/* RFC 5321 4.5.3.1.5: longest line that we make, with its CR LF. */
#define REPLY_OWN_LINE_MAX 512

struct reply {
	unsigned code;                     /* 200 … 599 */
	size_t lines;                      /* at least 1 */
	struct span line[REPLY_LINES_MAX]; /* text behind "250-" or "250 ": no
					    * controls, but maybe no UTF-8 */
};

enum reply_status { REPLY_MORE, REPLY_READY, REPLY_BAD };

/*
 * The first reply in *in. REPLY_READY: *reply borrows from it and *in stands
 * behind it. REPLY_MORE: *in is untouched; call again with more octets behind
 * the same ones. REPLY_BAD: the stream cannot be trusted any more.
 */
enum reply_status reply_next(struct span *in, struct reply *reply);

/* 2 for 250, and so on. */
static inline unsigned
reply_class(unsigned code)
{
	return code / 100;
}

/* The enhanced code that text starts with ("5.7.1"), without what follows;
 * empty where there is none or its class is not that of code. RFC 3463 2. */
struct span reply_enhanced(unsigned code, struct span text);

/*
 * "code enhanced text CR LF"; an empty or null enhanced is left out with its
 * space; one that is not an enhanced code for code is asserted against.
 * Octets of text outside printable ASCII and UTF-8 become '?'. Text over
 * REPLY_OWN_LINE_MAX is cut at a character, the only place where we cut: it is
 * ours. False if buf is full.
 */
bool reply_format(struct buf *buf, unsigned code, const char *enhanced,
		  struct span text);

/* A reply as it was read, line by line, CR LF ended, but for what is no UTF-8;
 * false if buf is full. A reply that reply_next() would not give is asserted
 * against. */
bool reply_relay(struct buf *buf, const struct reply *reply);

/* The same as one line for a log: "250 2.0.0 Ok" with lines joined by " / ";
 * false if buf is full. */
bool reply_summary(struct buf *buf, const struct reply *reply);

#endif
