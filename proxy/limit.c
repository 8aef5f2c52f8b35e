/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limit: how many connections there are, and how often somebody came.
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

/* What a connection is counted as. */
enum { COUNT_TOTAL, COUNT_NETWORK, COUNT_ADDRESS, COUNTS };

/* What is counted: an address or a network, and what as. */
struct key {
	uint64_t prefix;
	uint32_t what;
};

struct entry {
	uint64_t prefix;
	uint32_t what;
	uint32_t count; /* 0: free */
};

/* So many events of an address, until then. */
struct window {
	uint64_t prefix;
	uint32_t what;
	uint32_t count;
	uint64_t until_us;
};

/* A window stands in one of these places, by its bucket. */
#define WAYS 8

struct limit {
	pthread_mutex_t lock;
	size_t mapped;
	uint64_t seed; /* a sender must not be able to choose the bucket */
	unsigned workers;
	size_t mask; /* entries of a slice, a power of two, less one */
	size_t used_max;
	struct window windows[LIMIT_WINDOWS];
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

	/* Each may have an address and a network to itself; one is for all. */
	while (entries < 2 * (2 * connections_max + 1))
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

/* The first octets of an address, and what they are counted as. */
static struct key
make_key(const struct ip *ip, size_t octets, unsigned what)
{
	struct key key = { 0, (uint32_t)what << 8 | (uint32_t)ip->family };

	memcpy(&key.prefix, ip->octets, octets);
	return key;
}

static struct key
key_of(const struct ip *ip, unsigned count)
{
	static const struct ip anybody;
	bool is_v4 = ip->family == IP_V4;

	if (count == COUNT_TOTAL)
		return make_key(&anybody, 0, count);
	if (count == COUNT_NETWORK)
		return make_key(ip, is_v4 ? 3 : 6, count);
	return make_key(ip, is_v4 ? 4 : 8, count);
}

/* Two rounds of multiplying and folding, keyed. */
static size_t
bucket(const struct limit *limit, struct key key)
{
	uint64_t hash = key.prefix ^ limit->seed;

	hash += key.what;
	for (int i = 0; i < 2; i++) {
		hash ^= hash >> 32;
		hash *= 0x9e3779b97f4a7c15; /* 2^64 / golden ratio */
		hash ^= limit->seed >> 7;
	}
	return (size_t)(hash >> 24);
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

		if (entry->count == 0 ||
		    (entry->prefix == key.prefix && entry->what == key.what))
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

static bool
add(struct limit *limit, unsigned worker, struct key key)
{
	struct entry *entry = find(limit, slice(limit, worker), key);

	if (entry == NULL)
		return false;
	entry->prefix = key.prefix;
	entry->what = key.what;
	entry->count++;
	return true;
}

/* Close the gap at `hole`: whatever stands behind it, up to the next free
 * entry, and would be found earlier is moved there. Knuth 6.4, R. */
static void
fill(const struct limit *limit, struct entry *entries, size_t hole)
{
	size_t at = hole;

	for (size_t i = 0; i < limit->mask; i++) {
		struct key key;
		size_t home;

		at = (at + 1) & limit->mask;
		if (entries[at].count == 0)
			break;
		key = (struct key){ entries[at].prefix, entries[at].what };
		home = bucket(limit, key);
		if (((at - home) & limit->mask) < ((at - hole) & limit->mask))
			continue;
		entries[hole] = entries[at];
		entries[at].count = 0;
		hole = at;
	}
}

static void
subtract(struct limit *limit, unsigned worker, struct key key)
{
	struct entry *entries = slice(limit, worker);
	struct entry *entry = find(limit, entries, key);

	assert(entry != NULL && entry->count > 0);
	entry->count--;
	if (entry->count == 0)
		fill(limit, entries, (size_t)(entry - entries));
}

/* The bound that keeps it out. */
static enum limit_answer
look(struct limit *limit, const struct ip *ip,
     const struct limit_bounds *bounds)
{
	const struct {
		unsigned max;
		enum limit_answer answer;
	} each[COUNTS] = {
		[COUNT_TOTAL] = { bounds->total, LIMIT_TOTAL },
		[COUNT_NETWORK] = { bounds->per_network, LIMIT_NETWORK },
		[COUNT_ADDRESS] = { bounds->per_address, LIMIT_ADDRESS },
	};

	for (unsigned i = 0; i < COUNTS; i++)
		if (each[i].max > 0 && sum(limit, key_of(ip, i)) >= each[i].max)
			return each[i].answer;
	return LIMIT_TAKEN;
}

/* All counts, or none. */
static enum limit_answer
add_all(struct limit *limit, unsigned worker, const struct ip *ip)
{
	for (unsigned i = 0; i < COUNTS; i++) {
		if (add(limit, worker, key_of(ip, i)))
			continue;
		while (i-- > 0)
			subtract(limit, worker, key_of(ip, i));
		return LIMIT_FULL;
	}
	return LIMIT_TAKEN;
}

enum limit_answer
limit_enter(struct limit *limit, unsigned worker, const struct ip *ip,
	    const struct limit_bounds *bounds)
{
	enum limit_answer answer;

	lock(limit);
	answer = look(limit, ip, bounds);
	if (answer == LIMIT_TAKEN)
		answer = add_all(limit, worker, ip);
	unlock(limit);
	return answer;
}

void
limit_leave(struct limit *limit, unsigned worker, const struct ip *ip)
{
	lock(limit);
	for (unsigned i = 0; i < COUNTS; i++)
		subtract(limit, worker, key_of(ip, i));
	unlock(limit);
}

/* What no address is counted as. */
static struct key
key_of_backend(size_t backend)
{
	return (struct key){ backend, UINT32_MAX };
}

bool
limit_reach(struct limit *limit, unsigned worker, size_t backend, unsigned max)
{
	struct key key = key_of_backend(backend);
	bool is_taken;

	assert(max > 0);
	lock(limit);
	is_taken = sum(limit, key) < max && add(limit, worker, key);
	unlock(limit);
	return is_taken;
}

void
limit_part(struct limit *limit, unsigned worker, size_t backend)
{
	lock(limit);
	subtract(limit, worker, key_of_backend(backend));
	unlock(limit);
}

unsigned
limit_count(struct limit *limit, const struct ip *ip)
{
	unsigned count;

	lock(limit);
	count = sum(limit, key_of(ip, COUNT_ADDRESS));
	unlock(limit);
	return count;
}

unsigned
limit_total(struct limit *limit)
{
	static const struct ip anybody;
	unsigned count;

	lock(limit);
	count = sum(limit, key_of(&anybody, COUNT_TOTAL));
	unlock(limit);
	return count;
}

/* The window of key, or the one that makes room for it: over long ago, or the
 * next to be. */
static struct window *
find_window(struct limit *limit, struct key key)
{
	size_t sets = LIMIT_WINDOWS / WAYS;
	struct window *set = &limit->windows[bucket(limit, key) % sets * WAYS];
	struct window *found = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].prefix == key.prefix && set[i].what == key.what)
			return &set[i];
		if (set[i].until_us < found->until_us)
			found = &set[i];
	}
	return found;
}

bool
limit_rate(struct limit *limit, enum limit_rate kind, const struct ip *ip,
	   unsigned max, uint64_t period_us, uint64_t now_us)
{
	struct key key = key_of(ip, COUNTS + (unsigned)kind);
	struct window *window;
	bool is_free;

	assert(max > 0);
	lock(limit);
	window = find_window(limit, key);
	/* A window without an end in sight is half written. */
	if (window->prefix != key.prefix || window->what != key.what ||
	    window->until_us <= now_us || window->until_us > now_us + period_us)
		*window = (struct window){ key.prefix, key.what, 0,
					   now_us + period_us };
	is_free = window->count < max;
	window->count += is_free;
	unlock(limit);
	return is_free;
}

void
limit_clear(struct limit *limit, unsigned worker)
{
	lock(limit);
	memset(slice(limit, worker), 0,
	       (limit->mask + 1) * sizeof(struct entry));
	unlock(limit);
}
