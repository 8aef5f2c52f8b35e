/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zone: DNS answers from a master file (RFC 1035 5), without a server.
 *
 * For the demo, the tests and `dmarcgatectl eval --zone`: everything runs
 * without the internet. One file may hold records of any names, as if it were
 * the whole DNS. Types A, AAAA, MX, TXT (several strings), SPF read as TXT
 * not at all, PTR, CNAME, NS and SOA (the last two are checked and make their
 * names exist); $ORIGIN, $TTL, @, relative names, blank owner, parentheses,
 * comments, quoted strings with \" and \DDD escapes, wildcards (RFC 4592),
 * and the pseudo type SERVFAIL (no data) for a name that fails, since that
 * too must be shown. $INCLUDE and $GENERATE are refused.
 *
 * Pure: octets in, answers out. CNAME chains are followed, at most 8 long.
 */
#ifndef PROXY_ZONE_H
#define PROXY_ZONE_H

#include "dmarc/answers.h"
#include "smtp/buf.h"

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
