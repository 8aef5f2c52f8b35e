/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dnspacket: one response of a name server, read.
 *
 * Not by libresolv's ns_parserr(): that gives names as text with escapes in
 * them, in which a dot inside a label cannot be told from one between labels
 * by a simple comparison; here a name whose labels hold a dot or a NUL equals
 * nothing. Whatever the octets are, this reads none beyond them and ends:
 * compression pointers only lead backwards.
 *
 * Only what answers the question is used: the question section must repeat
 * it, records count where their owner is the name asked for, or what CNAMEs
 * within the answer lead to from there. The additional section is looked at
 * for an extended rcode only.
 *
 * RFC 1035 4.1, 2181 8, 2308 2 and 5, 6891 6.1.3, 8020. Pure.
 */
#ifndef PROXY_DNSPACKET_H
#define PROXY_DNSPACKET_H

#include "dmarc/answers.h"

/*
 * What a packet says about a normalised name. The records live in the arena;
 * status, ttl_s, error, is_authentic, records and record are filled in, the
 * rest is left.
 *
 * ttl_s is the smallest on the way; for NODATA and NXDOMAIN the SOA's
 * (RFC 2308 5), 0 without a SOA. NXDOMAIN only where the name asked for does
 * not exist: at the end of a CNAME it is NODATA, as the name itself is there.
 * A referral is ANSWER_TEMPERROR: the server was asked to find the answer.
 *
 * ANSWER_OPEN: the packet ends with a CNAME and says nothing about its target,
 * not even that there is nothing. Whoever wants to know has to ask for *target
 * (in the arena), by itself; ttl_s is that of the chain so far.
 */
void dnspacket_read(struct span packet, struct span name, enum dns_type type,
		    struct arena *arena, struct answer *answer,
		    struct span *target);

#endif
