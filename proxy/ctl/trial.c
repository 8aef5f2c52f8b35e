/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/ctl/trial.h"

void
trial_init(struct trial *trial, const struct judge *judge)
{
	*trial = (struct trial){ .settings = *judge->rules,
				 .facts = judge->facts,
				 .arena = judge->answers.arena };
}

void
trial_drop_override(struct trial *trial, const struct override_rule *rule)
{
	struct eval_settings *settings = &trial->settings;
	size_t count = 0;
	struct override_rule *list = arena_alloc(
		trial->arena, (settings->override_count + 1) * sizeof *list);

	if (list == NULL)
		return;
	for (size_t i = 0; i < settings->override_count; i++)
		if (&settings->overrides[i] != rule)
			list[count++] = settings->overrides[i];
	if (count == settings->override_count) /* it is of no list */
		settings->arc_sealer_count = 0;
	settings->overrides = list;
	settings->override_count = count;
}

void
trial_drop_force(struct trial *trial, const struct force_rule *rule)
{
	struct eval_settings *settings = &trial->settings;
	size_t count = 0;
	struct force_rule *list = arena_alloc(
		trial->arena, (settings->force_count + 1) * sizeof *list);

	if (list == NULL)
		return;
	for (size_t i = 0; i < settings->force_count; i++)
		if (&settings->forces[i] != rule)
			list[count++] = settings->forces[i];
	settings->forces = list;
	settings->force_count = count;
}

void
trial_drop_spf(struct trial *trial)
{
	trial->facts.spf.is_null = false;
	trial->facts.spf.local = SPAN_NONE;
	trial->facts.spf.domain = SPAN_NONE;
}

/* "v=DMARC1; p=none; " and what stood behind the version: of two tags of a
 * kind the first counts. Empty without memory. */
static struct span
changed_text(const struct trial *trial, struct span text)
{
	size_t version = span_find(text, ';');
	struct span made;
	struct buf buf;

	buf_init(&buf, text.n + trial->tags.n + 8);
	buf_append(&buf, span_first(text, version));
	buf_append(&buf, SPAN_LIT("; "));
	buf_append(&buf, trial->tags);
	buf_append(&buf, span_after(text, version));
	made = arena_copy(trial->arena, buf_span(&buf));
	buf_fini(&buf);
	return made;
}

static bool
is_of_owner(const struct trial *trial, const struct answer *answer)
{
	struct span label = SPAN_LIT("_dmarc.");

	return trial->tags.n > 0 && answer->type == DNS_TXT &&
	       span_starts(answer->name, label) &&
	       span_equal(span_after(answer->name, label.n), trial->owner);
}

/* The same answer with a DMARC record in it changed; NULL without memory. */
static struct answer *
changed_answer(const struct trial *trial, const struct answer *answer)
{
	struct answer *copy = arena_alloc(trial->arena, sizeof *copy);
	struct dns_record *records = arena_alloc(
		trial->arena, (answer->records + 1) * sizeof *records);
	struct record record;

	if (copy == NULL || records == NULL)
		return NULL;
	*copy = *answer;
	memset(copy->kept, 0, sizeof copy->kept); /* made of the old ones */
	copy->record = records;
	for (size_t i = 0; i < answer->records; i++) {
		records[i] = answer->record[i];
		if (record_parse(records[i].value, &record))
			records[i].value = changed_text(trial, record.text);
	}
	return copy;
}

/* The answers as they were, and room for no more. */
static bool
change_answers(const struct trial *trial, const struct judge *judge,
	       struct answers *answers)
{
	*answers = judge->answers;
	answers->max = answers->count;
	answers->has_overflowed = false;
	answers->list = arena_alloc(
		trial->arena, (answers->count + 1) * sizeof *answers->list);
	if (answers->list == NULL)
		return false;
	for (size_t i = 0; i < answers->count; i++) {
		struct answer *answer = judge->answers.list[i];

		if (is_of_owner(trial, answer))
			answer = changed_answer(trial, answer);
		if (answer == NULL)
			return false;
		answers->list[i] = answer;
	}
	return true;
}

bool
trial_run(struct trial *trial, const struct judge *judge)
{
	struct answers answers;

	trial->facts.settings = &trial->settings;
	return change_answers(trial, judge, &answers) &&
	       eval_run(&trial->facts, &answers, &trial->verdict) &&
	       !answers.has_overflowed;
}
