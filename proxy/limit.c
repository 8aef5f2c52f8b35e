/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limit: how many connections an address has, over all workers, exactly.
 *
 * A slice is a hash table with open addressing and linear probing, never more
 * than half full, whose entries are moved up when one before them is removed:
 * no tombstones, so it does not age. A slice of a worker that died in the
 * midst of a change may hold nonsense until it is cleared; every walk through
 * one is bounded by its size.
 */
#include "proxy/limit.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/random.h>

/* An address as it is counted. */
struct key {
	uint64_t prefix;
	enum ip_family family;
};

struct entry {
	struct key key;
	unsigned count; /* 0: free */
};

struct limit {
	pthread_mutex_t lock;
	size_t mapped;
	uint64_t seed; /* a sender must not be able to choose the bucket */
	unsigned workers;
	size_t mask; /* entries of a slice, a power of two, less one */
	size_t used_max;
	struct entry entries[]; /* slice by slice */
};

static int
lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attributes;
	int error = pthread_mutexattr_init(&attributes);

	if (error != 0)
		return error;
	error = pthread_mutexattr_setpshared(&attributes,
					     PTHREAD_PROCESS_SHARED);
	if (error == 0)
		error = pthread_mutexattr_setrobust(&attributes,
						    PTHREAD_MUTEX_ROBUST);
	if (error == 0)
		error = pthread_mutex_init(lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return error;
}

static void
lock(struct limit *limit)
{
	int error = pthread_mutex_lock(&limit->lock);

	if (error == EOWNERDEAD)
		error = pthread_mutex_consistent(&limit->lock);
	assert(error == 0);
}

static void
unlock(struct limit *limit)
{
	int error = pthread_mutex_unlock(&limit->lock);

	assert(error == 0);
}

struct limit *
limit_new(unsigned workers, size_t connections_max)
{
	struct limit *limit;
	size_t entries = 16;
	size_t mapped;
	void *map;

	while (entries < 2 * connections_max)
		entries *= 2;
	mapped = sizeof(*limit) + workers * entries * sizeof(struct entry);
	map = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	limit = map;
	limit->mapped = mapped;
	limit->workers = workers;
	limit->mask = entries - 1;
	limit->used_max = entries / 2;
	if (getrandom(&limit->seed, sizeof(limit->seed), 0) !=
		    (ssize_t)sizeof(limit->seed) ||
	    lock_init(&limit->lock) != 0) {
		munmap(map, mapped);
		return NULL;
	}
	return limit;
}

void
limit_free(struct limit *limit)
{
	if (limit != NULL)
		munmap(limit, limit->mapped);
}

static struct key
key_of(const struct ip *ip)
{
	struct key key = { 0, ip->family };

	memcpy(&key.prefix, ip->octets, ip->family == IP_V4 ? 4 : 8);
	return key;
}

static bool
key_equal(struct key a, struct key b)
{
	return a.prefix == b.prefix && a.family == b.family;
}

/* Two rounds of multiplying and folding, keyed. */
static size_t
bucket(const struct limit *limit, struct key key)
{
	uint64_t hash = key.prefix ^ limit->seed;

	hash += key.family;
	for (int i = 0; i < 2; i++) {
		hash ^= hash >> 32;
		hash *= 0x9e3779b97f4a7c15; /* 2^64 / golden ratio */
		hash ^= limit->seed >> 7;
	}
	return (size_t)(hash >> 24) & limit->mask;
}

static struct entry *
slice(struct limit *limit, unsigned worker)
{
	assert(worker < limit->workers);
	return limit->entries + worker * (limit->mask + 1);
}

/* The entry of key, or the free one where it would stand; NULL where there is
 * neither within half the slice. */
static struct entry *
find(const struct limit *limit, struct entry *entries, struct key key)
{
	size_t at = bucket(limit, key);

	for (size_t i = 0; i <= limit->used_max; i++) {
		struct entry *entry = &entries[(at + i) & limit->mask];

		if (entry->count == 0 || key_equal(entry->key, key))
			return entry;
	}
	return NULL;
}

static unsigned
sum(struct limit *limit, struct key key)
{
	unsigned count = 0;

	for (unsigned worker = 0; worker < limit->workers; worker++) {
		const struct entry *entry =
			find(limit, slice(limit, worker), key);

		if (entry != NULL)
			count += entry->count;
	}
	return count;
}

bool
limit_enter(struct limit *limit, unsigned worker, const struct ip *ip,
	    unsigned max)
{
	struct key key = key_of(ip);
	struct entry *entry;
	bool is_free;

	assert(max > 0);
	lock(limit);
	entry = find(limit, slice(limit, worker), key);
	is_free = entry != NULL && sum(limit, key) < max;
	if (is_free) {
		entry->key = key;
		entry->count++;
	}
	unlock(limit);
	return is_free;
}

/* Close the gap at `hole`: whatever stands behind it, up to the next free
 * entry, and would be found earlier is moved there. Knuth 6.4, R. */
static void
fill(const struct limit *limit, struct entry *entries, size_t hole)
{
	size_t at = hole;

	for (size_t i = 0; i < limit->mask; i++) {
		size_t home;

		at = (at + 1) & limit->mask;
		if (entries[at].count == 0)
			break;
		home = bucket(limit, entries[at].key);
		if (((at - home) & limit->mask) < ((at - hole) & limit->mask))
			continue;
		entries[hole] = entries[at];
		entries[at].count = 0;
		hole = at;
	}
}

void
limit_leave(struct limit *limit, unsigned worker, const struct ip *ip)
{
	struct entry *entries = slice(limit, worker);
	struct entry *entry;

	lock(limit);
	entry = find(limit, entries, key_of(ip));
	assert(entry != NULL && entry->count > 0);
	entry->count--;
	if (entry->count == 0)
		fill(limit, entries, (size_t)(entry - entries));
	unlock(limit);
}

unsigned
limit_count(struct limit *limit, const struct ip *ip)
{
	unsigned count;

	lock(limit);
	count = sum(limit, key_of(ip));
	unlock(limit);
	return count;
}

void
limit_clear(struct limit *limit, unsigned worker)
{
	lock(limit);
	memset(slice(limit, worker), 0,
	       (limit->mask + 1) * sizeof(struct entry));
	unlock(limit);
}
