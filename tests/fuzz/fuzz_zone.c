/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zone: the input is a master file. It is a zone or has faults, each a line
 * of its own; comments behind it change nothing; and what the zone answers
 * keeps the rules of names: one that does not exist has no type, and nothing
 * exists below it (RFC 8020).
 */
#include "proxy/zone.h"
#include "tests/fuzz/pieces.h"

#define FAULTS_MAX (1 << 20)

static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_TXT,
				       DNS_PTR };

static void
check_faults(struct span faults)
{
	assert(faults.n > 0);
	while (faults.n > 0) {
		size_t end = span_find(faults, '\n');

		assert(end < faults.n);
		assert(span_starts(faults, SPAN_LIT("zone:")));
		faults = span_after(faults, end + 1);
	}
}

static void
check_answer(const struct answer *answer, struct span name, enum dns_type type)
{
	assert(span_equal(answer->name, name) && answer->type == type);
	assert(answer->status != ANSWER_OPEN && answer->is_cached);
	assert((answer->status == ANSWER_OK) == (answer->records > 0));
	assert((answer->status == ANSWER_TEMPERROR) == (answer->error != NULL));
	assert(answer->records <= ANSWERS_RECORDS_MAX);
	for (size_t i = 0; i < answer->records; i++) {
		size_t n = answer->record[i].value.n;

		assert(type != DNS_A || n == 4);
		assert(type != DNS_AAAA || n == 16);
		assert((type != DNS_MX && type != DNS_PTR) || n <= 253);
	}
}

static void
check_below(const struct zone *zone, struct span name)
{
	uint8_t below[300] = "x.";
	struct answer answer;

	if (name.n == 0 || name.n > 250)
		return;
	memcpy(below + 2, name.p, name.n);
	zone_lookup(zone, span_make(below, name.n + 2), DNS_A, &answer);
	assert(answer.status == ANSWER_NXDOMAIN);
}

static void
check_name(const struct zone *zone, const struct zone *same, struct span name)
{
	size_t missing = 0;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct answer answer, other;

		zone_lookup(zone, name, types[i], &answer);
		check_answer(&answer, name, types[i]);
		missing += answer.status == ANSWER_NXDOMAIN;
		zone_lookup(same, name, types[i], &other);
		assert(other.status == answer.status);
		assert(other.records == answer.records);
		assert(other.ttl_s == answer.ttl_s);
	}
	assert(missing == 0 || missing == sizeof(types) / sizeof(types[0]));
	if (missing > 0)
		check_below(zone, name);
}

/* Words of the file, as names. */
static void
check_names(const struct zone *zone, const struct zone *same, struct span text)
{
	size_t from = 0;

	for (size_t i = 0; i <= text.n; i++) {
		if (i < text.n && text.p[i] > ' ')
			continue;
		check_name(zone, same, span_make(text.p + from, i - from));
		from = i + 1;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	static const char comment[] = "\n; a comment\n";
	uint8_t *copy = exact_copy(span_make(input, n));
	uint8_t *longer = malloc(n + sizeof comment);
	struct zone *zone, *same;
	struct buf faults;

	assert(longer != NULL);
	if (n > 0)
		memcpy(longer, input, n);
	memcpy(longer + n, comment, sizeof comment - 1);
	buf_init(&faults, FAULTS_MAX);
	zone = zone_parse(span_make(copy, n), "zone", &faults);
	free(copy); /* a zone does not borrow from its text */
	if (zone == NULL)
		check_faults(buf_span(&faults));
	else
		assert(faults.n == 0);
	same = zone_parse(span_make(longer, n + sizeof comment - 1), "zone",
			  &faults);
	assert((zone == NULL) == (same == NULL));
	free(longer);
	if (zone != NULL && n < 4096)
		check_names(zone, same, span_make(input, n));
	zone_free(zone);
	zone_free(same);
	buf_fini(&faults);
	return 0;
}
