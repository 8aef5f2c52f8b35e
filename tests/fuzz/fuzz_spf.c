/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spf: the input is a zone and a message, in the lines of tests/suites
 * (spf_lines.h); lines that are none are passed over. Whatever the records
 * say, an evaluation ends after a bounded number of questions and with a
 * bounded arena; the order in which answers come changes nothing; and an
 * explanation is visible ASCII and spaces, of a failure only.
 */
#include "dmarc/spf_record.h"
#include "tests/fuzz/pieces.h"
#include "tests/suites/spf_lines.h"

#define ARENA_MAX ((size_t)4 << 20)
#define RECORDS_MAX 60 /* of one name and type: what dns_rows.h can hold */

static bool
has_room(const struct spf_zone *zone)
{
	const struct dns_row *last = &zone->rows[zone->count - 1];
	size_t same = 0;

	for (size_t i = 0; i < zone->count; i++)
		same += zone->rows[i].type == last->type &&
			strcmp(zone->rows[i].name, last->name) == 0;
	return same <= RECORDS_MAX;
}

static void
read_row(struct spf_zone *zone, struct spf_field field[SPF_LINES_FIELDS])
{
	if (spf_lines_add(zone, field) && !has_room(zone))
		zone->count--;
	zone->rows[zone->count] = (struct dns_row){ .name = NULL };
}

/* The zone of all lines, and the message of the last test. */
static bool
read_lines(char *text, struct spf_zone *zone, struct spf_facts *facts)
{
	struct spf_field field[SPF_LINES_FIELDS];
	bool has_message = false;

	while (*text != '\0') {
		char *line = text;

		text += strcspn(text, "\n");
		if (*text == '\n')
			*text++ = '\0';
		spf_lines_split(line, field);
		if (strcmp(field[0].text, "test") == 0)
			has_message = spf_lines_facts(field, facts);
		else
			read_row(zone, field);
	}
	return has_message;
}

static void
check_outcome(const struct spf_outcome *outcome, const struct answers *answers)
{
	struct span text = outcome->explanation;

	assert(outcome->reason != NULL);
	assert(text.n == 0 || outcome->result == SPF_FAIL);
	assert(text.n <= SPF_EXPLANATION_MAX);
	for (size_t i = 0; i < text.n; i++)
		assert(text.p[i] >= ' ' && text.p[i] < 0x7f);
	assert(!outcome->is_all_fail || outcome->result == SPF_FAIL);
	assert(answers->count <= SPF_QUESTIONS_MAX);
	assert(!answers->has_overflowed && !answers->arena->has_overflowed);
}

static void
evaluate(const struct spf_zone *zone, const struct spf_facts *facts,
	 bool is_one_by_one, struct arena *arena, struct spf_outcome *outcome)
{
	struct answers answers;
	struct spf_outcome again;

	answers_init(&answers, arena, ANSWERS_MAX);
	while (!spf_eval(facts, &answers, outcome))
		spf_lines_settle_some(zone, &answers, is_one_by_one);
	check_outcome(outcome, &answers);
	assert(spf_eval(facts, &answers, &again));
	assert(again.result == outcome->result);
	assert(span_equal(again.explanation, outcome->explanation));
}

static void
check_message(const struct spf_zone *zone, const struct spf_facts *facts)
{
	struct spf_outcome at_once, one_by_one;
	struct arena first, second;

	arena_init(&first, ARENA_MAX);
	arena_init(&second, ARENA_MAX);
	evaluate(zone, facts, false, &first, &at_once);
	evaluate(zone, facts, true, &second, &one_by_one);
	assert(at_once.result == one_by_one.result);
	assert(at_once.reason == one_by_one.reason);
	assert(at_once.is_all_fail == one_by_one.is_all_fail);
	assert(span_equal(at_once.explanation, one_by_one.explanation));
	arena_fini(&first);
	arena_fini(&second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	static struct spf_zone zone;
	struct spf_facts facts;
	char *text = malloc(n + 1);

	assert(text != NULL);
	if (n > 0)
		memcpy(text, input, n);
	text[n] = '\0';
	if (spf_record_is_one(span_make(input, n)))
		spf_record_is_valid(span_make(input, n));
	arena_init(&zone.text, (size_t)1 << 20);
	spf_lines_clear(&zone);
	if (read_lines(text, &zone, &facts))
		check_message(&zone, &facts);
	arena_fini(&zone.text);
	free(text);
	return 0;
}
