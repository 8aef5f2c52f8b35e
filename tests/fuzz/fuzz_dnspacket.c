/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dnspacket: the first octet chooses the type that was asked for, the rest is
 * a response about a.example.com. It is read within its octets, to one of the
 * results, and to the same one when it is read again; an answer has records
 * of the right form, an open one a name to go on with, and with what stands
 * behind the packet nothing changes.
 */
#include "proxy/dnspacket.h"
#include "tests/fuzz/pieces.h"

#define ASKED SPAN_LIT("a.example.com")
#define ARENA_MAX (1u << 20)

static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_TXT,
				       DNS_PTR };
#define TYPES (sizeof(types) / sizeof(types[0]))

static void
check_record(const struct dns_record *record, enum dns_type type)
{
	size_t n = record->value.n;

	assert(type != DNS_A || n == 4);
	assert(type != DNS_AAAA || n == 16);
	assert((type != DNS_MX && type != DNS_PTR) || n <= 253);
	assert(type != DNS_PTR || n > 0);
}

static void
check_answer(const struct answer *answer, enum dns_type type,
	     struct span target)
{
	assert((answer->status == ANSWER_OK) == (answer->records > 0));
	assert((answer->status == ANSWER_TEMPERROR) == (answer->error != NULL));
	assert(answer->status != ANSWER_TEMPERROR || !answer->is_authentic);
	assert(answer->records <= ANSWERS_RECORDS_MAX);
	assert(answer->status != ANSWER_OPEN || target.n <= 253);
	assert(answer->ttl_s <= INT32_MAX);
	for (size_t i = 0; i < answer->records; i++)
		check_record(&answer->record[i], type);
}

static void
check_same(const struct answer *a, const struct answer *b)
{
	assert(a->status == b->status && a->records == b->records);
	assert(a->ttl_s == b->ttl_s && a->error == b->error);
	for (size_t i = 0; i < a->records; i++)
		assert(span_equal(a->record[i].value, b->record[i].value));
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	enum dns_type type = types[n > 0 ? input[0] % TYPES : 0];
	struct span packet = span_after(span_make(input, n), n > 0 ? 1 : 0);
	uint8_t *copy = exact_copy(packet);
	struct answer answer = { 0 }, again = { 0 };
	struct span target, other;
	struct arena arena;

	arena_init(&arena, ARENA_MAX);
	dnspacket_read(span_make(copy, packet.n), ASKED, type, &arena, &answer,
		       &target);
	free(copy); /* an answer does not borrow from its packet */
	check_answer(&answer, type, target);
	dnspacket_read(packet, ASKED, type, &arena, &again, &other);
	check_same(&answer, &again);
	assert(answer.status != ANSWER_OPEN || span_equal(target, other));
	arena_fini(&arena);
	return 0;
}
