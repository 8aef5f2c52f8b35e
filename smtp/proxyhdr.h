/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxyhdr: the PROXY protocol, versions 1 and 2, read and written.
 *
 * Reading is strict: version 1 at most 107 octets with CR LF, single spaces,
 * and numbers without leading zeros; version 2 with its 12-octet signature, a
 * known command, TCP over IPv4 or IPv6, and a length of at most
 * PROXYHDR_V2_MAX (TLVs are skipped). LOCAL, UNKNOWN and UNSPEC carry no
 * address: the connection is the proxy's own. Anything else is bad, and the
 * connection is closed without a word: it does not speak the protocol it was
 * listed for.
 */
#ifndef SMTP_PROXYHDR_H
#define SMTP_PROXYHDR_H

#include "smtp/buf.h"
#include "smtp/ip.h"

#define PROXYHDR_V1_MAX 107
#define PROXYHDR_V2_MAX (16 + 4096)

enum proxyhdr_status { PROXYHDR_MORE, PROXYHDR_READY, PROXYHDR_BAD };

struct proxyhdr {
	bool is_local; /* LOCAL or UNKNOWN: no addresses */
	struct ip source;
	struct ip destination;
	uint16_t source_port;
	uint16_t destination_port;
};

/* The header at the start of *in, either version. READY: *in stands behind
 * it. MORE: *in is untouched. */
enum proxyhdr_status proxyhdr_parse(struct span *in, struct proxyhdr *hdr);

/* Write one; is_local, or both addresses given. False, and nothing written, if
 * it does not fit or an address is IP_NONE. Where the families differ an IPv4
 * address is written as mapped IPv6 by v2, and refused by v1. */
bool proxyhdr_format_v1(const struct proxyhdr *hdr, struct buf *buf);
bool proxyhdr_format_v2(const struct proxyhdr *hdr, struct buf *buf);

#endif
