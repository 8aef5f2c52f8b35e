/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/cryptomem.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>

/* One thread. */
static size_t held;

/* Of an allocation, with the size that malloc(3) keeps before it. */
static size_t
cost(void *octets)
{
	return octets == NULL ? 0 : malloc_usable_size(octets) + sizeof(size_t);
}

static void *
take(size_t n, const char *file, int line)
{
	void *octets = n == 0 ? NULL : malloc(n);

	(void)file;
	(void)line;
	held += cost(octets);
	return octets;
}

static void
give_back(void *octets, const char *file, int line)
{
	(void)file;
	(void)line;
	held -= cost(octets);
	free(octets);
}

static void *
resize(void *octets, size_t n, const char *file, int line)
{
	size_t before = cost(octets);
	void *larger;

	if (n == 0) {
		give_back(octets, file, line);
		return NULL;
	}
	larger = realloc(octets, n);
	if (larger != NULL)
		held = held - before + cost(larger);
	return larger;
}

bool
cryptomem_count(void)
{
	return CRYPTO_set_mem_functions(take, resize, give_back) == 1;
}

size_t
cryptomem_held(void)
{
	return held;
}
