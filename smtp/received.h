/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * received: the trace field of this hop.
 *
 * For a backend that is not told who the client is: without this field nobody
 * behind it could say. All that the client said of itself is held against the
 * grammar first, and where it does not fit it is said in a comment, of which
 * it cannot get out.
 *
 * RFC 5321 4.4; with: RFC 3848, 6531 4.3.
 */
#ifndef SMTP_RECEIVED_H
#define SMTP_RECEIVED_H

#include "smtp/buf.h"
#include "smtp/ip.h"
#include "smtp/tlsinfo.h"

struct received {
	struct span helo; /* as the client said it */
	struct span name; /* of its address, confirmed; empty: unknown */
	struct ip ip;     /* IP_NONE: unknown */
	struct span gate; /* our host name */
	struct span id;
	struct span recipient; /* the only one, without <>; empty: several */
	const struct tlsinfo *tls;
	bool is_extended;      /* EHLO, not HELO */
	bool is_utf8;          /* the mail is SMTPUTF8 */
	bool is_authenticated; /* by AUTH */
	uint64_t wall_us;      /* since the epoch */
};

/* Append the field, folded, with its final CR LF: a line is longer than 78
 * octets only where one word is, never than 998, and none holds anything but
 * printable ASCII, or, of an SMTPUTF8 mail, UTF-8. False if buf is full. */
bool received_format(const struct received *received, struct buf *buf);

#endif
