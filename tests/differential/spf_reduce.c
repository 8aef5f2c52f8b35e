/* SPDX-License-Identifier: BSD-2-Clause */
/* spf_reduce: the smallest case with the same two results. */
#include "tests/differential/spf_reduce.h"

#include <assert.h>
#include <string.h>

#define ARENA_MAX ((size_t)4 << 20)

static void
run(const struct spf_case *spf, enum spf_engine engine,
    struct spf_outcome *outcome)
{
	struct answers answers;
	struct spf_facts facts;
	struct arena arena;

	arena_init(&arena, ARENA_MAX);
	answers_init(&answers, &arena, ANSWERS_MAX);
	spf_case_facts(spf, engine, &facts);
	while (!spf_eval(&facts, &answers, outcome)) {
		size_t settled = dns_rows_settle_all(spf->rows, &answers);

		assert(settled > 0);
	}
	assert(!answers.has_overflowed && !arena.has_overflowed);
	arena_fini(&arena);
}

void
spf_opinions_of(const struct spf_case *spf, struct spf_opinions *opinions)
{
	run(spf, SPF_ENGINE_NATIVE, &opinions->outcome[0]);
	run(spf, SPF_ENGINE_LIBSPF2, &opinions->outcome[1]);
}

/* Whether both still say what they said. */
static bool
is_same(const struct spf_case *spf, struct spf_opinions *opinions)
{
	struct spf_opinions now;

	spf_opinions_of(spf, &now);
	for (size_t e = 0; e < 2; e++)
		if (now.outcome[e].result != opinions->outcome[e].result)
			return false;
	*opinions = now;
	return true;
}

/* Try with one row less. */
static bool
drop_row(struct spf_case *spf, size_t at, struct spf_opinions *opinions)
{
	struct dns_row dropped = spf->rows[at];
	size_t behind = spf->count - at; /* with the end */

	memmove(spf->rows + at, spf->rows + at + 1,
		behind * sizeof(struct dns_row));
	spf->count--;
	if (is_same(spf, opinions))
		return true;
	memmove(spf->rows + at + 1, spf->rows + at,
		behind * sizeof(struct dns_row));
	spf->rows[at] = dropped;
	spf->count++;
	return false;
}

/* Try without the n octets at `at` of a record. */
static bool
cut(struct spf_case *spf, struct dns_row *row, size_t at, size_t n,
    struct spf_opinions *opinions)
{
	const char *whole = row->value;
	size_t length = strlen(whole) - n;
	size_t used = spf->used;
	char *text = spf->text + used;

	if (used + length + 1 > sizeof(spf->text))
		return false;
	memcpy(text, whole, at);
	memcpy(text + at, whole + at + n, length - at + 1);
	row->value = text;
	if (is_same(spf, opinions)) {
		spf->used += length + 1;
		return true;
	}
	row->value = whole;
	return false;
}

/* Terms, then what stands before or behind a term's name. */
static bool
shorten_record(struct spf_case *spf, struct dns_row *row,
	       struct spf_opinions *opinions)
{
	bool is_shorter = false;

	for (size_t at = 0; row->value[at] != '\0';) {
		size_t n = 1 + strcspn(row->value + at + 1, " ");

		if (row->value[at] == ' ' && cut(spf, row, at, n, opinions))
			is_shorter = true;
		else
			at += n;
	}
	for (size_t at = 0; row->value[at] != '\0';)
		if (strchr("+-~?/:%", row->value[at]) != NULL &&
		    (cut(spf, row, at, strcspn(row->value + at, " "),
			 opinions) ||
		     cut(spf, row, at, 1, opinions)))
			is_shorter = true;
		else
			at++;
	return is_shorter;
}

static void
plain_envelope(struct spf_case *spf, struct spf_opinions *opinions)
{
	const char *local = spf->local, *helo = spf->helo;

	spf->local = "user";
	if (!is_same(spf, opinions))
		spf->local = local;
	spf->helo = "mail.s.test";
	if (!is_same(spf, opinions))
		spf->helo = helo;
}

void
spf_reduce(struct spf_case *spf, struct spf_opinions *opinions)
{
	bool is_less = true;

	plain_envelope(spf, opinions);
	while (is_less) {
		is_less = false;
		for (size_t i = 0; i < spf->count;)
			if (drop_row(spf, i, opinions))
				is_less = true;
			else
				i++;
		for (size_t i = 0; i < spf->count; i++)
			if (spf->rows[i].type == DNS_TXT &&
			    spf->rows[i].value != NULL && spf->rows[i].n == 0)
				is_less |= shorten_record(spf, &spf->rows[i],
							  opinions);
	}
}
