/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim: the first line of the input is what DNS has under the name of every
 * key, records with a tab between them; the rest is a message. The native
 * engine judges it whole and in pieces, with the same results. Of a signature
 * that passes, no octet of the body that it signs can be changed.
 */
#include "dmarc/dkim.h"

#include "tests/fuzz/pieces.h"

#define ROOM ((size_t)16 * 1024 * 1024)
#define ARENA_MAX ((size_t)4 << 20) /* as a mail has */
#define RECORDS_MAX 8
#define NOW_S 1800000000u

struct judging {
	struct arena arena;
	struct message message;
	const struct dkim_signature *list;
	size_t listed;
};

/* Cut the records off the text. */
static size_t
split_records(struct span *text, struct dns_record record[RECORDS_MAX])
{
	size_t n = span_find(*text, '\n'), count = 0;
	struct span line = span_first(*text, n);

	*text = span_after(*text, n < text->n ? n + 1 : n);
	while (line.n > 0 && count < RECORDS_MAX) {
		n = span_find(line, '\t');
		record[count++] = (struct dns_record){
			.value = span_first(line, n),
		};
		line = span_after(line, n < line.n ? n + 1 : n);
	}
	return count;
}

static void
settle_all(struct answers *answers, const struct dns_record *record,
	   size_t records)
{
	const struct answer answer = {
		.status = records > 0 ? ANSWER_OK : ANSWER_NXDOMAIN,
		.record = record,
		.records = records,
	};
	size_t index;

	while (answers_unsent(answers, &index))
		answers_settle(answers, index, &answer);
}

static void
feed(struct judging *judging, struct dkim_check *check, struct pieces pieces)
{
	struct span piece;
	bool is_header = true;

	while (pieces_next(&pieces, &piece)) {
		uint8_t *copy = exact_copy(piece);
		struct span body;

		message_feed(&judging->message, span_make(copy, piece.n),
			     &body);
		if (is_header && judging->message.state == MESSAGE_BODY) {
			dkim_check_header(check, &judging->message);
			is_header = false;
		}
		if (body.n > 0)
			dkim_check_body(check, body);
		free(copy);
	}
	message_end(&judging->message);
	if (is_header)
		dkim_check_header(check, &judging->message);
}

static void
judge(struct dkim_engine *engine, struct pieces pieces, struct judging *judging)
{
	struct dns_record record[RECORDS_MAX];
	size_t records = split_records(&pieces.octets, record);
	struct answers answers;
	struct dkim_check *check;

	arena_init(&judging->arena, ARENA_MAX);
	message_init(&judging->message, ROOM);
	answers_init(&answers, &judging->arena, ANSWERS_MAX);
	check = dkim_check_new(engine, &judging->arena, NOW_S);
	assert(check != NULL);
	feed(judging, check, pieces);
	while (!dkim_check_ask(check, &answers))
		settle_all(&answers, record, records);
	judging->listed = dkim_check_finish(check, &answers, &judging->list);
	assert(judging->listed <= DKIM_LISTED_MAX);
	assert(dkim_check_count(check) >= judging->listed);
	assert(!judging->arena.has_overflowed);
	dkim_check_free(check);
}

static void
judging_fini(struct judging *judging)
{
	message_fini(&judging->message);
	arena_fini(&judging->arena);
}

static void
check_signature(const struct dkim_signature *signature)
{
	bool has_passed = signature->result == DKIM_PASS;

	assert(signature->result != DKIM_NONE);
	assert((signature->reason[0] == '\0') == has_passed);
	assert(!has_passed || signature->domain.n > 0);
	assert(!has_passed || signature->bits == 256 ||
	       signature->bits >= DKIM_RSA_BITS_MIN);
	assert(signature->b_start.n <= 8);
}

static void
check_same(const struct judging *a, const struct judging *b)
{
	assert(a->listed == b->listed);
	for (size_t i = 0; i < a->listed; i++) {
		const struct dkim_signature *x = &a->list[i], *y = &b->list[i];

		check_signature(x);
		assert(x->result == y->result && x->bits == y->bits);
		assert(strcmp(x->reason, y->reason) == 0);
		assert(x->unsigned_octets == y->unsigned_octets);
		assert(span_equal(x->domain, y->domain));
	}
}

/* The whole of the body is signed, its last letter or digit too. */
static void
check_change(struct dkim_engine *engine, struct span octets,
	     const struct judging *good)
{
	uint8_t *copy = exact_copy(octets);
	size_t at = octets.n, body = (size_t)good->message.body_octets;
	struct judging changed;

	while (at > octets.n - body && !octet_is_alpha(copy[at - 1]) &&
	       !octet_is_digit(copy[at - 1]))
		at--;
	if (at == octets.n - body) {
		free(copy);
		return;
	}
	copy[at - 1] = copy[at - 1] == 'x' ? 'y' : 'x';
	judge(engine, (struct pieces){ .octets = span_make(copy, octets.n) },
	      &changed);
	assert(changed.listed == good->listed);
	for (size_t i = 0; i < good->listed; i++)
		assert(changed.list[i].result != DKIM_PASS ||
		       good->list[i].has_length);
	judging_fini(&changed);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	static struct dkim_engine *engine;
	struct pieces pieces = pieces_make(input, n);
	struct pieces whole = { .octets = pieces.octets };
	struct judging a, b;

	if (engine == NULL)
		engine = dkim_engine_new(DKIM_ENGINE_NATIVE);
	assert(engine != NULL);
	judge(engine, pieces, &a);
	judge(engine, whole, &b);
	check_same(&a, &b);
	for (size_t i = 0; i < a.listed; i++) {
		if (a.list[i].result != DKIM_PASS)
			continue;
		check_change(engine, pieces.octets, &a);
		break;
	}
	judging_fini(&a);
	judging_fini(&b);
	return 0;
}
