/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answers: the questions one evaluation asked of DNS, and what came back.
 *
 * A plain list, searched from its start: it holds a few dozen entries, seldom
 * over a hundred, and their order is part of what it has to tell.
 */
#include "dmarc/answers.h"

#include <assert.h>

#define FIRST_CAP 16

/* What a question gets that cannot be noted. */
static const struct answer too_many = {
	.status = ANSWER_TEMPERROR,
	.error = "too many questions",
};
static const struct answer no_memory = {
	.status = ANSWER_TEMPERROR,
	.error = "out of memory",
};

void
answers_init(struct answers *answers, struct arena *arena, size_t max)
{
	*answers = (struct answers){ .arena = arena, .max = max };
}

static struct answer *
find(const struct answers *answers, struct span name, enum dns_type type)
{
	for (size_t i = 0; i < answers->count; i++) {
		struct answer *answer = answers->list[i];

		if (answer->type == type && span_equal(answer->name, name))
			return answer;
	}
	return NULL;
}

/* Room for one more entry. The old list stays in the arena until its reset:
 * together they are never longer than the new one. */
static bool
grow(struct answers *answers)
{
	size_t cap = answers->cap == 0 ? FIRST_CAP : 2 * answers->cap;
	struct answer **list;

	if (answers->count < answers->cap)
		return true;
	list = arena_alloc(answers->arena, cap * sizeof(*list));
	if (list == NULL)
		return false;
	if (answers->count > 0)
		memcpy(list, answers->list, answers->count * sizeof(*list));
	answers->list = list;
	answers->cap = cap;
	return true;
}

static bool
note(struct answers *answers, struct span name, enum dns_type type)
{
	struct answer *answer;

	if (!grow(answers))
		return false;
	answer = arena_alloc(answers->arena, sizeof(*answer));
	if (answer == NULL)
		return false;
	answer->name = arena_copy(answers->arena, name);
	if (answer->name.n != name.n)
		return false;
	answer->type = type;
	answers->list[answers->count++] = answer;
	answers->open++;
	return true;
}

const struct answer *
answers_ask(struct answers *answers, struct span name, enum dns_type type)
{
	const struct answer *answer = find(answers, name, type);

	assert(name.n > 0);
	if (answer != NULL)
		return answer->status == ANSWER_OPEN ? NULL : answer;
	if (answers->count + answers->reserved >= answers->max) {
		answers->has_overflowed = true;
		return &too_many;
	}
	if (!note(answers, name, type)) {
		answers->has_overflowed = true;
		return &no_memory;
	}
	return NULL;
}

bool
answers_unsent(struct answers *answers, size_t *index)
{
	for (size_t i = 0; i < answers->count; i++) {
		struct answer *answer = answers->list[i];

		if (answer->status != ANSWER_OPEN || answer->is_sent)
			continue;
		answer->is_sent = true;
		*index = i;
		return true;
	}
	return false;
}

/* A copy of n records and their values in the arena; NULL if they do not fit.
 */
static const struct dns_record *
copy_records(struct arena *arena, const struct dns_record *from, size_t n)
{
	struct dns_record *record = arena_alloc(arena, n * sizeof(*record));

	if (record == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		record[i].preference = from[i].preference;
		record[i].value = arena_copy(arena, from[i].value);
		if (record[i].value.n != from[i].value.n)
			return NULL;
	}
	return record;
}

static void
settle_temperror(struct answers *answers, struct answer *answer,
		 const char *error)
{
	answer->status = ANSWER_TEMPERROR;
	answer->error = error;
	answer->records = 0;
	answer->record = NULL;
	answers->open--;
}

void
answers_settle(struct answers *answers, size_t index,
	       const struct answer *answer)
{
	struct answer *open;

	assert(index < answers->count);
	open = answers->list[index];
	assert(open->status == ANSWER_OPEN);
	assert(answer->status != ANSWER_OPEN);
	assert((answer->status == ANSWER_OK) == (answer->records > 0));

	open->is_cached = answer->is_cached;
	open->is_authentic = answer->is_authentic;
	open->ttl_s = answer->ttl_s;
	open->ms = answer->ms;
	if (answer->records > ANSWERS_RECORDS_MAX) {
		settle_temperror(answers, open, "too many records");
		return;
	}
	if (answer->records > 0) {
		open->record = copy_records(answers->arena, answer->record,
					    answer->records);
		if (open->record == NULL) {
			settle_temperror(answers, open, no_memory.error);
			return;
		}
	}
	open->records = answer->records;
	open->status = answer->status;
	open->error = answer->error;
	answers->open--;
}

struct span
answers_keep(struct answers *answers, const struct answer *answer,
	     enum answer_made kind, struct span made)
{
	struct answer *own = find(answers, answer->name, answer->type);

	assert(own == answer);
	if (own->kept[kind].n == 0)
		own->kept[kind] = arena_copy(answers->arena, made);
	return own->kept[kind];
}

void
answers_give_up(struct answers *answers, const char *error)
{
	for (size_t i = 0; i < answers->count; i++)
		if (answers->list[i]->status == ANSWER_OPEN)
			settle_temperror(answers, answers->list[i], error);
	assert(answers->open == 0);
}

const char *
dns_type_name(enum dns_type type)
{
	switch (type) {
	case DNS_A:
		return "A";
	case DNS_PTR:
		return "PTR";
	case DNS_MX:
		return "MX";
	case DNS_TXT:
		return "TXT";
	case DNS_AAAA:
		return "AAAA";
	}
	return "?";
}

const char *
answer_status_name(enum answer_status status)
{
	switch (status) {
	case ANSWER_OPEN:
		return "open";
	case ANSWER_OK:
		return "ok";
	case ANSWER_NODATA:
		return "nodata";
	case ANSWER_NXDOMAIN:
		return "nxdomain";
	case ANSWER_TEMPERROR:
		return "temperror";
	}
	return "?";
}
