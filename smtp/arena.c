/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A list of chunks, the newest first; room is taken from the newest only. The
 * room that is left in a chunk when the next one is begun is lost until the
 * reset: at worst as much again as was asked for.
 *
 * Under AddressSanitizer what is not handed out is poisoned, so that a span
 * used after arena_reset() is found as one used after free() would be.
 */
#include "smtp/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__ /* gcc */
#define ARENA_IS_WATCHED
#endif
#ifdef __has_feature /* clang */
#if __has_feature(address_sanitizer)
#define ARENA_IS_WATCHED
#endif
#endif

#ifdef ARENA_IS_WATCHED
#include <sanitizer/asan_interface.h>
#define ARENA_HIDE(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define ARENA_SHOW(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define ARENA_HIDE(p, n) ((void)(p), (void)(n))
#define ARENA_SHOW(p, n) ((void)(p), (void)(n))
#endif

/* Octets of a usual chunk: a mail of usual size needs one. */
#define ARENA_CHUNK ((size_t)16 * 1024)

struct arena_chunk {
	struct arena_chunk *older;
	size_t size; /* of octets */
	size_t used;
	bool is_lent; /* it is the caller's room */
	alignas(max_align_t) uint8_t octets[];
};

void
arena_init_small(struct arena *arena, size_t cap, size_t chunk)
{
	*arena = (struct arena){ .cap = cap, .chunk = chunk };
}

void
arena_init(struct arena *arena, size_t cap)
{
	arena_init_small(arena, cap, ARENA_CHUNK);
}

static void
chunk_init(struct arena_chunk *chunk, size_t size, bool is_lent)
{
	chunk->older = NULL;
	chunk->size = size;
	chunk->used = 0;
	chunk->is_lent = is_lent;
	ARENA_HIDE(chunk->octets, size);
}

static struct arena_chunk *
chunk_new(size_t size)
{
	struct arena_chunk *chunk = malloc(sizeof(*chunk) + size);

	if (chunk != NULL)
		chunk_init(chunk, size, false);
	return chunk;
}

void
arena_init_room(struct arena *arena, size_t cap, void *room, size_t n)
{
	struct arena_chunk *chunk = room;

	assert(n >= ARENA_ROOM_MIN && ARENA_ROOM_MIN > sizeof(*chunk));
	arena_init(arena, cap);
	chunk_init(chunk, n - sizeof(*chunk), true);
	arena->chunks = chunk;
	arena->held = n;
}

static void
chunk_free(struct arena_chunk *chunk)
{
	ARENA_SHOW(chunk->octets, chunk->size);
	if (!chunk->is_lent)
		free(chunk);
}

/* The newest chunk if it has n octets of room, else a new one; or NULL. */
static struct arena_chunk *
chunk_with_room(struct arena *arena, size_t n)
{
	struct arena_chunk *chunk = arena->chunks;

	if (chunk != NULL && n <= chunk->size - chunk->used)
		return chunk;
	chunk = chunk_new(n > arena->chunk ? n : arena->chunk);
	if (chunk == NULL)
		return NULL;
	chunk->older = arena->chunks;
	arena->chunks = chunk;
	arena->held += sizeof(*chunk) + chunk->size;
	return chunk;
}

/* n octets as they are counted: a multiple of the alignment, at least one. */
static size_t
padded(size_t n)
{
	const size_t unit = alignof(max_align_t);

	return n == 0 ? unit : n + (unit - n % unit) % unit;
}

/* n octets that may hold anything, or NULL. */
static uint8_t *
take(struct arena *arena, size_t n)
{
	size_t left = arena->cap - arena->used;
	struct arena_chunk *chunk = NULL;
	uint8_t *p;

	assert(arena->used <= arena->cap);
	if (arena->has_overflowed)
		return NULL;
	if (n <= left && n <= SIZE_MAX / 2)
		chunk = chunk_with_room(arena, padded(n));
	if (chunk == NULL) {
		arena->has_overflowed = true;
		return NULL;
	}
	p = chunk->octets + chunk->used;
	chunk->used += padded(n);
	/* Padding counts, lest many small pieces outgrow the cap; but what
	 * fits without it is never refused for it. */
	arena->used += padded(n) < left ? padded(n) : left;
	ARENA_SHOW(p, n);
	return p;
}

void *
arena_alloc(struct arena *arena, size_t n)
{
	uint8_t *p = take(arena, n);

	return p == NULL ? NULL : memset(p, 0, n);
}

struct span
arena_copy(struct arena *arena, struct span s)
{
	uint8_t *p;

	if (s.n == 0)
		return SPAN_NONE;
	p = take(arena, s.n);
	if (p == NULL)
		return SPAN_NONE;
	memcpy(p, s.p, s.n);
	return span_make(p, s.n);
}

const char *
arena_string(struct arena *arena, struct span s)
{
	char *p;

	if (span_find(s, '\0') < s.n)
		return NULL;
	p = arena_alloc(arena, s.n + 1);
	if (p != NULL && s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

void
arena_reset(struct arena *arena)
{
	struct arena_chunk *chunk = arena->chunks;

	while (chunk != NULL && chunk->older != NULL) {
		struct arena_chunk *older = chunk->older;

		chunk_free(chunk);
		chunk = older;
	}
	/* One outsize allocation must not be kept for ever. */
	if (chunk != NULL && chunk->size > arena->chunk) {
		chunk_free(chunk);
		chunk = NULL;
	}
	if (chunk != NULL) {
		chunk->used = 0;
		ARENA_HIDE(chunk->octets, chunk->size);
	}
	arena->chunks = chunk;
	arena->held = chunk == NULL ? 0 : sizeof(*chunk) + chunk->size;
	arena->used = 0;
	arena->has_overflowed = false;
}

void
arena_fini(struct arena *arena)
{
	arena_reset(arena);
	if (arena->chunks != NULL)
		chunk_free(arena->chunks);
	arena_init_small(arena, arena->cap, arena->chunk);
}
