/* SPDX-License-Identifier: BSD-2-Clause */
/* second: what the other engines for SPF and DKIM make of the same message. */
#include "dmarc/second.h"

/* Of one message's signatures, read and hashed. */
#define ARENA_MAX (1024u * 1024)

enum spf_engine
second_spf_engine(enum spf_engine chosen)
{
	return chosen == SPF_ENGINE_NATIVE ? SPF_ENGINE_LIBSPF2
					   : SPF_ENGINE_NATIVE;
}

enum dkim_engine_kind
second_dkim_engine(enum dkim_engine_kind chosen)
{
	return chosen == DKIM_ENGINE_NATIVE ? DKIM_ENGINE_LIBOPENDKIM
					    : DKIM_ENGINE_NATIVE;
}

void
second_init(struct second *second)
{
	*second = (struct second){ .dkim = NULL };
	arena_init(&second->arena, ARENA_MAX);
}

void
second_fini(struct second *second)
{
	dkim_check_free(second->dkim);
	second->dkim = NULL;
	arena_fini(&second->arena);
}

void
second_reset(struct second *second)
{
	struct arena arena;

	dkim_check_free(second->dkim);
	arena_reset(&second->arena);
	arena = second->arena;
	*second = (struct second){ .arena = arena };
}

void
second_header(struct second *second, struct dkim_engine *engine,
	      const struct message *message, uint64_t now_s)
{
	second->dkim = dkim_check_new(engine, &second->arena, now_s);
	if (second->dkim == NULL || dkim_check_header(second->dkim, message))
		return;
	dkim_check_free(second->dkim);
	second->dkim = NULL;
}

void
second_body(struct second *second, struct span chunk)
{
	if (second->dkim != NULL)
		dkim_check_body(second->dkim, chunk);
}

/* What a question over the cap is answered is no opinion. */
static bool
ask_dkim(struct second *second, struct answers *answers)
{
	if (!dkim_check_ask(second->dkim, answers))
		return false;
	if (answers->has_overflowed)
		return true;
	second->signatures =
		dkim_check_finish(second->dkim, answers, &second->signature);
	second->has_dkim = !second->arena.has_overflowed;
	return true;
}

/* True when both have all that they need, or can get. */
static bool
ask(struct second *second, const struct spf_facts *facts,
    struct answers *answers)
{
	struct spf_facts other = *facts;
	struct spf_outcome outcome;
	bool is_known;

	other.engine = second_spf_engine(facts->engine);
	is_known = second->dkim == NULL || ask_dkim(second, answers);
	second->has_spf = spf_eval(&other, answers, &outcome);
	second->spf = outcome.result;
	return second->has_spf && is_known;
}

bool
second_run(struct second *second, const struct spf_facts *facts,
	   struct answers *answers)
{
	const size_t max = answers->max;
	const bool had_overflowed = answers->has_overflowed;
	bool is_known;

	if (second->is_over)
		return true;
	if (second->questions_max == 0)
		second->questions_max = answers->count + SECOND_QUESTIONS_MAX;
	if (second->questions_max < max)
		answers->max = second->questions_max;
	answers->has_overflowed = false;
	is_known = ask(second, facts, answers);
	if (answers->has_overflowed)
		second_give_up(second);
	second->is_over |= is_known;
	answers->max = max;
	answers->has_overflowed = had_overflowed;
	return second->is_over;
}

void
second_give_up(struct second *second)
{
	second->is_over = true;
	second->has_spf = false;
}

static enum dkim_result
result_of(const struct dkim_signature *signature, size_t count, size_t i)
{
	return i < count ? signature[i].result : DKIM_NONE;
}

bool
second_differs(const struct second *second, const struct verdict *verdict,
	       struct buf *text)
{
	size_t count = verdict->dkim_count;
	const char *separator = "";
	bool differs = second->has_spf && second->spf != verdict->spf.result;

	if (differs) {
		buf_printf(text, "spf %s, second %s",
			   spf_result_name(verdict->spf.result),
			   spf_result_name(second->spf));
		separator = "; ";
	}
	if (!second->has_dkim)
		return differs;
	for (size_t i = 0; i < count || i < second->signatures; i++) {
		enum dkim_result one = result_of(verdict->dkim, count, i);
		enum dkim_result other =
			result_of(second->signature, second->signatures, i);

		if (one == other)
			continue;
		buf_printf(text, "%sdkim %zu %s, second %s", separator, i + 1,
			   dkim_result_name(one), dkim_result_name(other));
		separator = "; ";
		differs = true;
	}
	return differs;
}
