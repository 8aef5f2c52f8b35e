/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both DKIM engines over one corpus: 24,000 messages that dice have made,
 * signed and broken. Where they differ, the reason is a row of
 * dkim_classes.c, or the test fails; so it does for a row that nothing needs.
 * What nobody has touched passes with our own. DMARCGATE_SEED and
 * DMARCGATE_CASES make it another corpus.
 */
#include "smtp/message.h"
#include "tests/differential/dkim_classes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED 20260101
#define CASES_MADE 24000
#define CLASSES_MAX 40
#define SHOWN_MAX 20 /* of what is in no class */
#define HEADER_MAX 1000000

#define SURPLUS "leaves a second field of a kind unsigned"

static struct dkim_engine *engines[2];
static unsigned counts[CLASSES_MAX];
static unsigned cases, intact, signatures, agreed, unlisted;
static unsigned results[7];

/* One message as one engine has judged it. */
struct judged {
	struct arena arena;
	struct answers answers;
	struct message message;
	struct dkim_check *check;
	const struct dkim_signature *list;
	size_t listed;
};

static uint64_t
number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 0);
}

/* --- one case ----------------------------------------------------------- */

static void
settle(const struct dkim_case *made, struct answers *answers, size_t index)
{
	struct answer answer = { .status = ANSWER_NXDOMAIN };
	struct dns_record record[2];

	for (size_t i = 0; i < made->keys; i++) {
		if (!span_equal(span_cstr(made->key[i].name),
				answers->list[index]->name))
			continue;
		answer.status = made->key[i].status;
		if (answer.status == ANSWER_OK)
			answer.records = made->key[i].records;
		record[0] = record[1] = (struct dns_record){
			.value = buf_span(&made->key[i].record)
		};
		answer.record = record;
		break;
	}
	answers_settle(answers, index, &answer);
}

static void
judge_by(struct dkim_engine *engine, const struct dkim_case *made,
	 struct judged *judged)
{
	struct span body;
	size_t index;

	arena_init(&judged->arena, (size_t)8 << 20);
	answers_init(&judged->answers, &judged->arena, ANSWERS_MAX);
	message_init(&judged->message, HEADER_MAX);
	judged->check = dkim_check_new(engine, &judged->arena, DKIM_CASE_NOW_S);
	message_feed(&judged->message, buf_span(&made->octets), &body);
	message_end(&judged->message);
	assert_int_equal(judged->message.state, MESSAGE_BODY);
	dkim_check_header(judged->check, &judged->message);
	dkim_check_body(judged->check, body);
	while (!dkim_check_ask(judged->check, &judged->answers))
		while (answers_unsent(&judged->answers, &index))
			settle(made, &judged->answers, index);
	judged->listed = dkim_check_finish(judged->check, &judged->answers,
					   &judged->list);
}

static void
forget(struct judged *judged)
{
	dkim_check_free(judged->check);
	message_fini(&judged->message);
	arena_fini(&judged->arena);
}

/* What both say of signature i. */
static void
read_opinions(const struct judged judged[2], size_t i,
	      struct dkim_opinions *opinions)
{
	const struct message *message = &judged[0].message;
	size_t at = message_find(message, SPAN_LIT("DKIM-Signature"), 0);

	for (size_t k = 0; k < i; k++)
		at = message_find(message, SPAN_LIT("DKIM-Signature"), at + 1);
	opinions->field = message_field(message, at).raw;
	for (size_t e = 0; e < 2; e++) {
		opinions->result[e] = judged[e].list[i].result;
		opinions->reason[e] = judged[e].list[i].reason;
	}
}

static size_t
class_of(const struct dkim_case *made, const struct dkim_opinions *opinions)
{
	size_t i = 0;

	while (i < dkim_class_count && !dkim_classes[i].holds(made, opinions))
		i++;
	return i;
}

static void
show(const char *title, uint64_t number, const struct dkim_case *made,
     const struct dkim_opinions *opinions)
{
	printf("# %s %llu (%s): native %s (%s), libopendkim %s (%s)\n", title,
	       (unsigned long long)number, made->broken,
	       dkim_result_name(opinions->result[0]), opinions->reason[0],
	       dkim_result_name(opinions->result[1]), opinions->reason[1]);
	printf("# %.*s\n", (int)opinions->field.n, opinions->field.p);
	printf("# %.300s\n", (const char *)made->key[0].record.p);
}

static void
compare(const struct dkim_case *made, uint64_t number,
	const struct dkim_opinions *opinions)
{
	size_t class;

	signatures++;
	results[opinions->result[0]]++;
	if (made->broken[0] == '\0' && opinions->result[0] != DKIM_PASS &&
	    strcmp(opinions->reason[0], SURPLUS) != 0) {
		show("nobody has touched", number, made, opinions);
		unlisted++;
	}
	if (opinions->result[0] == opinions->result[1]) {
		agreed++;
		return;
	}
	class = class_of(made, opinions);
	if (class < dkim_class_count)
		counts[class]++;
	else if (unlisted++ < SHOWN_MAX)
		show("in no class: case", number, made, opinions);
}

/* --- the tests ---------------------------------------------------------- */

static int
set_up(void **state)
{
	(void)state;
	signer_open();
	engines[0] = dkim_engine_new(DKIM_ENGINE_NATIVE);
	engines[1] = dkim_engine_new(DKIM_ENGINE_LIBOPENDKIM);
	return engines[0] == NULL || engines[1] == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	for (size_t e = 0; e < 2; e++)
		dkim_engine_free(engines[e]);
	signer_close();
	return 0;
}

static void
t1_samples(void **state)
{
	struct dkim_case sample;

	(void)state;
	assert_true(dkim_class_count <= CLASSES_MAX);
	dkim_case_init(&sample);
	for (size_t i = 0; i < dkim_class_count; i++) {
		const struct dkim_class *class = &dkim_classes[i];
		struct dkim_opinions opinions;
		struct judged judged[2];
		size_t at;

		dkim_class_sample(class, &sample, &at);
		for (size_t e = 0; e < 2; e++)
			judge_by(engines[e], &sample, &judged[e]);
		assert_true(judged[0].listed > at);
		read_opinions(judged, at, &opinions);
		if (opinions.result[0] != class->native ||
		    opinions.result[1] != class->library ||
		    class_of(&sample, &opinions) != i) {
			show(class->name, i, &sample, &opinions);
			fail_msg("the sample of %s", class->name);
		}
		for (size_t e = 0; e < 2; e++)
			forget(&judged[e]);
	}
	dkim_case_fini(&sample);
}

static void
judge(const struct dkim_case *made, uint64_t number)
{
	struct judged judged[2];

	cases++;
	intact += made->broken[0] == '\0';
	for (size_t e = 0; e < 2; e++)
		judge_by(engines[e], made, &judged[e]);
	assert_int_equal(judged[0].listed, judged[1].listed);
	for (size_t i = 0; i < judged[0].listed; i++) {
		struct dkim_opinions opinions;

		read_opinions(judged, i, &opinions);
		compare(made, number, &opinions);
	}
	for (size_t e = 0; e < 2; e++)
		forget(&judged[e]);
}

/* How many classes no case was in. */
static unsigned
print_counts(uint64_t seed)
{
	static const char *const names[] = { "native", "libopendkim",
					     "either" };
	unsigned unused = 0;

	printf("#: DKIM: seed %llu: %u cases (%u of them whole) with %u "
	       "signatures, %u agree, %u differ, %u of these in no class\n",
	       (unsigned long long)seed, cases, intact, signatures, agreed,
	       signatures - agreed, unlisted);
	printf("#: DKIM: native says");
	for (size_t i = 1; i < sizeof(results) / sizeof(results[0]); i++)
		printf(" %s %u", dkim_result_name((enum dkim_result)i),
		       results[i]);
	printf("\n");
	for (size_t i = 0; i < dkim_class_count; i++) {
		printf("#: DKIM: %6u %s (%s; right: %s)\n", counts[i],
		       dkim_classes[i].name, dkim_classes[i].section,
		       names[dkim_classes[i].right]);
		unused += counts[i] == 0;
	}
	return unused;
}

static void
t2_corpus(void **state)
{
	uint64_t seed = number_of("DMARCGATE_SEED", SEED);
	uint64_t count = number_of("DMARCGATE_CASES", CASES_MADE);
	bool is_usual = getenv("DMARCGATE_SEED") == NULL &&
			getenv("DMARCGATE_CASES") == NULL;
	struct dkim_case made;
	unsigned unused;

	(void)state;
	dkim_case_init(&made);
	for (uint64_t i = 0; i < count; i++) {
		dkim_corpus_make(&made, seed, i);
		judge(&made, i);
	}
	dkim_case_fini(&made);
	unused = print_counts(seed);
	assert_int_equal(unlisted, 0);
	if (is_usual)
		assert_int_equal(unused, 0);
}

/* A signature that libopendkim cannot be given is counted all the same: those
 * behind it are judged for what they are. */
static void
t3_nul_in_a_signature_before(void **state)
{
	static const char first[] = "DKIM-Signature: v=1\0\r\n";
	static const struct dkim_class plain = {
		.signature = { .key = SIGNER_ED25519,
			       .names = "From",
			       .s = "s",
			       .fold = " " },
	};
	struct dkim_case sample;
	struct buf octets;
	size_t at;

	(void)state;
	dkim_case_init(&sample);
	buf_init(&octets, 10000);
	dkim_class_sample(&plain, &sample, &at);
	buf_append(&octets, span_make(first, sizeof(first) - 1));
	buf_append(&octets, buf_span(&sample.octets));
	buf_swap(&octets, &sample.octets);
	for (size_t e = 0; e < 2; e++) {
		struct judged judged;

		judge_by(engines[e], &sample, &judged);
		assert_int_equal(judged.listed, 2);
		assert_int_equal(judged.list[0].result, DKIM_NEUTRAL);
		assert_int_equal(judged.list[1].result, DKIM_PASS);
		forget(&judged);
	}
	buf_fini(&octets);
	dkim_case_fini(&sample);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_samples),
		cmocka_unit_test(t2_corpus),
		cmocka_unit_test(t3_nul_in_a_signature_before),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
