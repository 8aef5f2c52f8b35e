/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dnscache: answers by name and type, for a time, within a number of octets.
 *
 * When it is full, what was used longest ago goes. A balanced tree, not a
 * hash table: the names come from whoever sends mail, and must not be able to
 * make it slow. Time is given by the caller.
 */
#ifndef PROXY_DNSCACHE_H
#define PROXY_DNSCACHE_H

#include "dmarc/answers.h"

/* By what answers, and questions, are found. First in what holds it. */
struct dns_key {
	struct span name;
	enum dns_type type;
};

/* For tsearch(3). */
int dns_key_compare(const void *a, const void *b);

struct dnscache_entry;

struct dnscache {
	void *tree;
	struct dnscache_entry *newest, *oldest; /* by use */
	size_t octets;
	size_t octets_max;
	size_t count;
	uint64_t evicted; /* entries that went before their time */
};

void dnscache_init(struct dnscache *cache, size_t octets_max);
void dnscache_fini(struct dnscache *cache);

/* The answer as it was put, with what is left of its time as ttl_s; *answer
 * borrows from the cache until the next dnscache_put(). */
bool dnscache_find(struct dnscache *cache, const struct dns_key *key,
		   uint64_t now_us, struct answer *answer);

/* Keep a copy until expires_us, in place of what was there before; nothing
 * happens if it is too large, or memory is short. */
void dnscache_put(struct dnscache *cache, const struct dns_key *key,
		  const struct answer *answer, uint64_t expires_us);

#endif
