/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dnscache: answers by name and type, for a time, within a number of octets.
 */
#include "proxy/dnscache.h"

#include <assert.h>
#include <search.h>
#include <stdlib.h>

/* What the tree and malloc(3) need for an entry, about. */
#define OVERHEAD 64

struct dnscache_entry {
	struct dns_key key;
	struct answer answer;
	uint64_t expires_us;
	size_t octets;
	struct dnscache_entry *newer, *older;
	struct dns_record record[]; /* and behind them their values, the name */
};

int
dns_key_compare(const void *a, const void *b)
{
	const struct dns_key *left = a;
	const struct dns_key *right = b;

	if (left->type != right->type)
		return left->type < right->type ? -1 : 1;
	if (left->name.n != right->name.n)
		return left->name.n < right->name.n ? -1 : 1;
	return left->name.n == 0
		       ? 0
		       : memcmp(left->name.p, right->name.p, left->name.n);
}

void
dnscache_init(struct dnscache *cache, size_t octets_max)
{
	*cache = (struct dnscache){ .octets_max = octets_max };
}

static void
unlink_entry(struct dnscache *cache, struct dnscache_entry *entry)
{
	*(entry->newer != NULL ? &entry->newer->older : &cache->newest) =
		entry->older;
	*(entry->older != NULL ? &entry->older->newer : &cache->oldest) =
		entry->newer;
}

static void
link_newest(struct dnscache *cache, struct dnscache_entry *entry)
{
	entry->newer = NULL;
	entry->older = cache->newest;
	*(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) =
		entry;
	cache->newest = entry;
}

static void
drop(struct dnscache *cache, struct dnscache_entry *entry)
{
	tdelete(&entry->key, &cache->tree, dns_key_compare);
	unlink_entry(cache, entry);
	cache->octets -= entry->octets;
	cache->count--;
	free(entry);
}

void
dnscache_fini(struct dnscache *cache)
{
	while (cache->oldest != NULL)
		drop(cache, cache->oldest);
	assert(cache->tree == NULL && cache->octets == 0);
}

static struct dnscache_entry *
find(const struct dnscache *cache, const struct dns_key *key)
{
	struct dnscache_entry *const *node =
		tfind(key, &cache->tree, dns_key_compare);

	return node == NULL ? NULL : *node;
}

bool
dnscache_find(struct dnscache *cache, const struct dns_key *key,
	      uint64_t now_us, struct answer *answer)
{
	struct dnscache_entry *entry = find(cache, key);

	if (entry == NULL)
		return false;
	if (entry->expires_us <= now_us) {
		drop(cache, entry);
		return false;
	}
	unlink_entry(cache, entry);
	link_newest(cache, entry);
	*answer = entry->answer;
	answer->ttl_s = (uint32_t)((entry->expires_us - now_us) / 1000000);
	return true;
}

static size_t
octets_of(const struct dns_key *key, const struct answer *answer)
{
	size_t octets = sizeof(struct dnscache_entry) + OVERHEAD + key->name.n;

	for (size_t i = 0; i < answer->records; i++)
		octets += sizeof(struct dns_record) + answer->record[i].value.n;
	return octets;
}

static struct span
place(uint8_t **at, struct span octets)
{
	struct span copy = span_make(*at, octets.n);

	if (octets.n > 0)
		memcpy(*at, octets.p, octets.n);
	*at += octets.n;
	return copy;
}

static struct dnscache_entry *
make(const struct dns_key *key, const struct answer *answer, size_t octets)
{
	struct dnscache_entry *entry = malloc(octets);
	uint8_t *at;

	if (entry == NULL)
		return NULL;
	at = (uint8_t *)(entry->record + answer->records);
	entry->octets = octets;
	entry->key.type = key->type;
	entry->key.name = place(&at, key->name);
	entry->answer = *answer;
	entry->answer.name = entry->key.name;
	entry->answer.type = key->type;
	entry->answer.record = answer->records > 0 ? entry->record : NULL;
	for (size_t i = 0; i < answer->records; i++) {
		entry->record[i] = answer->record[i];
		entry->record[i].value = place(&at, answer->record[i].value);
	}
	return entry;
}

void
dnscache_put(struct dnscache *cache, const struct dns_key *key,
	     const struct answer *answer, uint64_t expires_us)
{
	size_t octets = octets_of(key, answer);
	struct dnscache_entry *entry = find(cache, key);

	if (entry != NULL)
		drop(cache, entry);
	if (octets > cache->octets_max)
		return;
	for (; cache->octets > cache->octets_max - octets; cache->evicted++)
		drop(cache, cache->oldest);
	entry = make(key, answer, octets);
	if (entry == NULL)
		return;
	entry->expires_us = expires_us;
	if (tsearch(&entry->key, &cache->tree, dns_key_compare) == NULL) {
		free(entry);
		return;
	}
	link_newest(cache, entry);
	cache->octets += octets;
	cache->count++;
}
