/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena: a bump allocator with a cap and a sticky overflow.
 *
 * One arena holds everything whose lifetime is one mail or one session, and
 * is emptied at once. Nothing is freed singly. When the cap is reached, or
 * the system has no memory, the allocation gives NULL and every later one
 * does too until arena_reset(): a caller may build a whole structure and ask
 * once at the end whether it is complete.
 *
 * A scratch arena begins in room of the caller's, on the stack (see
 * smtp/room.h), and allocates only for more than fits there.
 *
 * arena_reset() keeps its first chunk, so that after warm-up a mail of usual
 * size allocates nothing.
 */
#ifndef SMTP_ARENA_H
#define SMTP_ARENA_H

#include "smtp/room.h"
#include "smtp/span.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first */
	size_t cap;                 /* most octets that may be handed out */
	size_t chunk;               /* octets of a usual chunk */
	size_t used;                /* octets handed out since the reset */
	size_t held;                /* octets of memory it has */
	bool has_overflowed;
};

/* An empty arena that hands out at most cap octets. Allocates nothing. */
void arena_init(struct arena *arena, size_t cap);

/* The same for little that is held for long: it grows by so many octets. */
void arena_init_small(struct arena *arena, size_t cap, size_t chunk);

/* The same, in n octets of room (ARENA_ROOM_MIN at least, aligned for any type)
 * that outlive the arena, as long as it fits. */
void arena_init_room(struct arena *arena, size_t cap, void *room, size_t n);
#define ARENA_ROOM_MIN 64

/* n zeroed octets aligned for any type, or NULL once it has overflowed. */
void *arena_alloc(struct arena *arena, size_t n);

/* A copy of s that lives as long as the arena; empty after an overflow. */
struct span arena_copy(struct arena *arena, struct span s);

/* The same as a C string for a library's door; NULL if s holds a NUL or the
 * arena has overflowed. */
const char *arena_string(struct arena *arena, struct span s);

/* Forget all that was handed out; everything borrowed from it is dead. */
void arena_reset(struct arena *arena);

/* Give all memory back; the arena may be used again as after init. */
void arena_fini(struct arena *arena);

#endif
