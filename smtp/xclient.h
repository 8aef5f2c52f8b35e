/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xclient: Postfix's XCLIENT, read and written.
 *
 * Attributes are xtext (RFC 3461). "[UNAVAILABLE]" and "[TEMPUNAVAIL]" stand
 * for a value that is not known. IPv6 addresses carry the prefix "IPV6:".
 *
 * As for Postfix, names and "[UNAVAILABLE]" are read in any case. PROTO,
 * DESTADDR and DESTPORT are read, checked and not kept.
 */
#ifndef SMTP_XCLIENT_H
#define SMTP_XCLIENT_H

#include "smtp/buf.h"
#include "smtp/extension.h"
#include "smtp/ip.h"

#define XCLIENT_VALUE_MAX 255

struct xclient {
	unsigned given;         /* bits of enum xclient_attribute */
	struct ip ip;           /* XCLIENT_ADDR; IP_NONE if unavailable */
	uint16_t port;          /* XCLIENT_PORT; 0 if unavailable */
	struct span name;       /* XCLIENT_NAME; empty if unavailable */
	bool is_name_temporary; /* [TEMPUNAVAIL] */
	struct span helo;       /* empty if unavailable */
	struct span login;      /* empty if unavailable */
};

/*
 * The line "XCLIENT …" CR LF with those attributes of xclient->given that are
 * offered: ADDR, PORT, NAME, HELO, LOGIN, in this order. NAME is always written
 * where it is offered, given or not: without it Postfix keeps "localhost".
 * False if it does not fit, a value is over XCLIENT_VALUE_MAX octets, or
 * nothing is left to write.
 */
bool xclient_format(const struct xclient *xclient, unsigned offered,
		    struct buf *buf);

/*
 * The argument of an XCLIENT command; decoded values are kept in store, from
 * which *xclient then borrows. False if it is empty, or an attribute is
 * unknown, repeated, malformed or too long, or store is full. NAME is a host
 * name; HELO and LOGIN are text without white space.
 */
bool xclient_parse(struct span argument, struct xclient *xclient,
		   struct buf *store);

#endif
