/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/domain_list.h"

#include "dmarc/domain.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_MAX ((size_t)256 * 1024 * 1024)

struct domain_list {
	struct arena arena; /* of the names */
	struct span *name;  /* sorted */
	size_t count, cap;
};

static int
compare(const void *a, const void *b)
{
	const struct span *one = a, *other = b;
	size_t n = one->n < other->n ? one->n : other->n;
	int order = n == 0 ? 0 : memcmp(one->p, other->p, n);

	if (order != 0)
		return order;
	return one->n < other->n ? -1 : one->n > other->n;
}

/* Room for one more name. */
static bool
grow(struct domain_list *list)
{
	size_t cap = list->cap == 0 ? 64 : list->cap * 2;
	struct span *name;

	if (list->count < list->cap)
		return true;
	name = reallocarray(list->name, cap, sizeof *name);
	if (name == NULL)
		return false;
	list->name = name;
	list->cap = cap;
	return true;
}

static bool
add(struct domain_list *list, struct span domain)
{
	if (!grow(list))
		return false;
	list->name[list->count++] = domain;
	return domain.n > 0;
}

/* The next line of *text without comment and white space around it. */
static struct span
next_line(struct span *text)
{
	size_t end = span_find(*text, '\n');
	struct span line = span_first(*text, end);

	*text = span_after(*text, end < text->n ? end + 1 : end);
	line = span_first(line, span_find(line, '#'));
	while (line.n > 0 &&
	       (octet_is_wsp(line.p[line.n - 1]) || line.p[line.n - 1] == '\r'))
		line.n--;
	while (line.n > 0 && octet_is_wsp(line.p[0]))
		line = span_after(line, 1);
	return line;
}

/* False at a line that is no domain, or without memory. *line counts. */
static bool
add_lines(struct domain_list *list, struct span text, size_t *line)
{
	while (text.n > 0) {
		struct span word = next_line(&text), domain;

		++*line;
		if (word.n == 0)
			continue;
		if (!domain_normalise(word, &list->arena, &domain))
			return false;
		if (!add(list, domain)) {
			*line = 0;
			return false;
		}
	}
	*line = 0;
	return true;
}

struct domain_list *
domain_list_new(const struct span *domains, size_t count, struct span text,
		size_t *line)
{
	struct domain_list *list = calloc(1, sizeof *list);
	bool is_whole = true;

	*line = 0;
	if (list == NULL)
		return NULL;
	arena_init(&list->arena, ARENA_MAX);
	for (size_t i = 0; i < count; i++)
		is_whole &= add(list, arena_copy(&list->arena, domains[i]));
	if (!is_whole || !add_lines(list, text, line)) {
		domain_list_free(list);
		return NULL;
	}
	if (list->count > 0)
		qsort(list->name, list->count, sizeof *list->name, compare);
	return list;
}

void
domain_list_free(struct domain_list *list)
{
	if (list == NULL)
		return;
	arena_fini(&list->arena);
	free(list->name);
	free(list);
}

bool
domain_list_has(const struct domain_list *list, struct span domain)
{
	if (list == NULL || list->count == 0)
		return false;
	for (; domain.n > 0; domain = domain_parent(domain))
		if (bsearch(&domain, list->name, list->count,
			    sizeof *list->name, compare) != NULL)
			return true;
	return false;
}
