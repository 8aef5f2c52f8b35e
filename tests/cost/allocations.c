/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/cost/allocations.h"

#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <execinfo.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES_MAX 256
#define DEPTH 9      /* of a place, of which … */
#define OWN_FRAMES 2 /* … the innermost are those of the counter */

/* A stack that has allocated. */
struct place {
	void *frames[DEPTH];
	int depth;
	unsigned long count;
};

static struct allocations counted;
static bool is_watching;
static struct place places[PLACES_MAX];
static unsigned place_count;

/* --- our own ----------------------------------------------------------------
 */

static void
remember(void)
{
	struct place here = { .count = 1 };
	unsigned i = 0;

	here.depth = backtrace(here.frames, DEPTH);
	while (i < place_count &&
	       memcmp(places[i].frames, here.frames, sizeof(here.frames)) != 0)
		i++;
	if (i < place_count)
		places[i].count++;
	else if (i < PLACES_MAX)
		places[place_count++] = here;
}

static void
count_own(void)
{
	if (!is_watching)
		return;
	is_watching = false; /* what is done here does not count */
	counted.own++;
	remember();
	is_watching = true;
}

/* What the linker calls them. */
/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*) */
extern void *__real_malloc(size_t n);
extern void *__real_calloc(size_t n, size_t size);
extern void *__real_realloc(void *p, size_t n);
extern void *__real_reallocarray(void *p, size_t n, size_t size);
extern int __real_posix_memalign(void **p, size_t alignment, size_t n);
extern char *__real_strdup(const char *text);
extern void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
int __wrap_posix_memalign(void **p, size_t alignment, size_t n);
char *__wrap_strdup(const char *text);
void __wrap_free(void *p);

void *
__wrap_malloc(size_t n)
{
	count_own();
	return __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	count_own();
	return __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	count_own();
	return __real_realloc(p, n);
}

void *
__wrap_reallocarray(void *p, size_t n, size_t size)
{
	count_own();
	return __real_reallocarray(p, n, size);
}

int
__wrap_posix_memalign(void **p, size_t alignment, size_t n)
{
	count_own();
	return __real_posix_memalign(p, alignment, n);
}

char *
__wrap_strdup(const char *text)
{
	count_own();
	return __real_strdup(text);
}

void
__wrap_free(void *p)
{
	counted.freed += is_watching && p != NULL;
	__real_free(p);
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*) */

/* --- those of libraries ------------------------------------------------------
 */

static void *
crypto_take(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	counted.crypto += is_watching;
	return __real_malloc(n);
}

static void *
crypto_resize(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	counted.crypto += is_watching;
	return __real_realloc(p, n);
}

static void
crypto_give_back(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	__real_free(p);
}

static void *
ares_take(size_t n)
{
	counted.ares += is_watching;
	return __real_malloc(n);
}

static void *
ares_resize(void *p, size_t n)
{
	counted.ares += is_watching;
	return __real_realloc(p, n);
}

static void
ares_give_back(void *p)
{
	__real_free(p);
}

void
allocations_hook(void)
{
	struct place first;
	int is_hooked = CRYPTO_set_mem_functions(crypto_take, crypto_resize,
						 crypto_give_back);

	assert(is_hooked == 1);
	is_hooked = ares_library_init_mem(ARES_LIB_INIT_ALL, ares_take,
					  ares_give_back, ares_resize);
	assert(is_hooked == ARES_SUCCESS);
	/* The first call allocates. */
	backtrace(first.frames, DEPTH);
}

/* --- what came of it ---------------------------------------------------------
 */

void
allocations_watch(bool is_watched)
{
	is_watching = is_watched;
}

struct allocations
allocations_counted(void)
{
	return counted;
}

void
allocations_forget(void)
{
	counted = (struct allocations){ 0 };
	place_count = 0;
}

/* Offsets in the program, as addr2line takes them. */
static void
print_place(const struct place *place)
{
	char **names = backtrace_symbols(place->frames, place->depth);

	printf("# %lu times:", place->count);
	for (int i = OWN_FRAMES; names != NULL && i < place->depth; i++) {
		const char *at = strstr(names[i], "(+");

		if (at != NULL)
			printf(" %.*s", (int)strcspn(at + 2, ")"), at + 2);
	}
	printf("\n");
	__real_free(names);
}

void
allocations_print(void)
{
	printf("# where from, innermost first (addr2line -fsi -e %s):\n",
	       program_invocation_short_name);
	for (unsigned i = 0; i < place_count; i++)
		print_place(&places[i]);
}
