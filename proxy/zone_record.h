/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zone_record: the records of a master file, one by one.
 *
 * The step between zone_text (tokens) and zone.c (a tree that answers): each
 * entry becomes a record with its owner, TTL and data in the form that
 * answers have. Not for use outside zone*.c. Pure.
 */
#ifndef PROXY_ZONE_RECORD_H
#define PROXY_ZONE_RECORD_H

#include "proxy/zone.h"

#define ZONE_NAME_MAX 253

/* X(name, number): types that a record may have; numbers of RFC 1035, 3596.
 * SERVFAIL is ours. */
#define ZONE_TYPES(X) \
	X(A, 1)       \
	X(NS, 2)      \
	X(CNAME, 5)   \
	X(SOA, 6)     \
	X(PTR, 12)    \
	X(MX, 15)     \
	X(TXT, 16)    \
	X(AAAA, 28)   \
	X(SPF, 99)    \
	X(SERVFAIL, 65536)

/* clang-format off */
enum zone_type {
#define X(name, number) ZONE_##name = (number),
	ZONE_TYPES(X)
#undef X
};
/* clang-format on */

struct zone_record {
	struct span name; /* of the owner, normalised; empty: the root */
	enum zone_type type;
	uint32_t ttl;
	unsigned line;
	size_t order; /* in the file */
	struct dns_record data;
};

/* A file while it is read. */
struct zone_reader {
	struct arena *arena; /* owns what records borrow */
	const char *file;
	struct buf *faults;
	size_t fault_count;
	struct zone_record *records; /* owned: free() */
	size_t count, cap;
	/* What an entry inherits. */
	struct span origin; /* empty: the root */
	struct span owner;
	bool has_owner;
	uint32_t ttl;
	bool has_ttl_directive;
};

/* Note a fault; found may have a null pointer. */
void zone_fault(struct zone_reader *reader, unsigned line, const char *text,
		struct span found);

/* All records of a master file; faults are noted. */
void zone_read(struct zone_reader *reader, struct span octets);

#endif
