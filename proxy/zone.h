/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zone: DNS answers from a master file (RFC 1035 5), without a server.
 *
 * For the demo, the tests and `dmarcgatectl eval --zone`: everything runs
 * without the internet. One file may hold records of any names, as if it were
 * the whole DNS. Types A, AAAA, MX, TXT (several strings), PTR and CNAME; NS,
 * SOA and SPF are checked and make their names exist, but answer nothing (SPF
 * is not TXT: RFC 7208 3.1). $ORIGIN (the root at first), $TTL, @, relative
 * names, blank owner, parentheses, comments, quoted strings with \" and \DDD
 * escapes, wildcards (RFC 4592), and the pseudo type SERVFAIL (no data) for a
 * name that fails, since that too must be shown. $INCLUDE and $GENERATE are
 * refused, and so are escapes in names.
 *
 * CNAME chains are followed, at most ZONE_CHAIN_MAX long; a chain that ends
 * nowhere is ANSWER_NODATA, since the name that was asked exists (RFC 9989
 * 4.7: np). Negative answers have a TTL of 0.
 *
 * Pure: octets in, answers out.
 */
#ifndef PROXY_ZONE_H
#define PROXY_ZONE_H

#include "dmarc/answers.h"
#include "smtp/buf.h"

#define ZONE_CHAIN_MAX 8

struct zone;

/* A zone from the octets of a master file; NULL with one line per fault
 * ("NAME:LINE: …") in faults. The caller owns it. */
struct zone *zone_parse(struct span text, const char *name, struct buf *faults);
void zone_free(struct zone *zone);

/* The answer for a normalised name; *answer borrows from the zone. A name that
 * is not there, nor above another that is, is NXDOMAIN. */
void zone_lookup(const struct zone *zone, struct span name, enum dns_type type,
		 struct answer *answer);

#endif
