/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record: the input is the joined text of a TXT record, and a list of URIs.
 * What is read borrows from it, is read the same again, and does not change
 * with what the RFC says to ignore; the policy it gives is one that its tags
 * can give.
 */
#include "dmarc/record.h"

#include "dmarc/policy.h"
#include "tests/fuzz/pieces.h"

static void
check_within(struct span part, struct span whole)
{
	assert(part.n == 0 ||
	       (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

static size_t
spans_of(const struct record *record, struct span spans[11])
{
	const struct span all[11] = {
		record->rua,      record->ruf,     record->tag_p,
		record->tag_sp,   record->tag_np,  record->tag_adkim,
		record->tag_aspf, record->tag_fo,  record->tag_t,
		record->tag_psd,  record->tag_pct,
	};

	memcpy(spans, all, sizeof(all));
	return sizeof(all) / sizeof(all[0]);
}

static void
check_same(const struct record *a, const struct record *b)
{
	struct span of_a[11], of_b[11];
	size_t n = spans_of(a, of_a);

	spans_of(b, of_b);
	for (size_t i = 0; i < n; i++)
		assert(span_equal(of_a[i], of_b[i]));
	assert(a->p == b->p && a->sp == b->sp && a->np == b->np);
	assert(a->is_adkim_strict == b->is_adkim_strict);
	assert(a->is_aspf_strict == b->is_aspf_strict);
	assert(a->is_testing == b->is_testing && a->psd == b->psd);
	assert(a->fo == b->fo && a->pct == b->pct && a->faults == b->faults);
	assert(a->has_usable_rua == b->has_usable_rua);
}

/* Each URI lies in the list, the list gets shorter, and a URI that is read
 * alone is the same URI. */
static bool
check_list(struct span list)
{
	struct span whole = list;
	struct record_uri uri, again;
	bool has_any = false;

	for (;;) {
		size_t before = list.n;
		struct span alone;

		if (!record_next_uri(&list, &uri))
			break;
		has_any = true;
		assert(list.n < before);
		check_within(uri.uri, whole);
		assert(uri.scheme.p == uri.uri.p && uri.scheme.n > 0);
		assert(uri.rest.p == uri.scheme.p + uri.scheme.n + 1);
		assert(uri.rest.p + uri.rest.n == uri.uri.p + uri.uri.n);
		assert(span_find(uri.uri, ',') == uri.uri.n);
		assert(span_find(uri.uri, '!') == uri.uri.n);
		alone = uri.uri;
		assert(record_next_uri(&alone, &again) && alone.n == 0);
		assert(span_equal(again.uri, uri.uri));
	}
	assert(list.n == 0);
	return has_any;
}

static void
check_values(const struct record *record, struct span text)
{
	struct span spans[11];
	size_t n = spans_of(record, spans);

	assert(span_equal(record->text, text));
	for (size_t i = 0; i < n; i++)
		check_within(spans[i], text);
	assert(record->tag_p.n == 0 || record->p != POLICY_ABSENT);
	assert(record->tag_sp.n == 0 || record->sp != POLICY_ABSENT);
	assert(record->tag_np.n == 0 || record->np != POLICY_ABSENT);
	assert(record->pct <= 100 && record->fo >= 1 && record->fo <= 15);
	assert((record->fo & 3) != 3);
	assert(check_list(record->rua) == record->has_usable_rua);
	check_list(record->ruf);
}

/* With this before and that behind it, the text says the same. */
static void
check_with(struct span before, struct span text, struct span after,
	   const struct record *want)
{
	size_t n = before.n + text.n + after.n;
	uint8_t *octets = malloc(n);
	struct record record;

	assert(octets != NULL);
	if (before.n > 0)
		memcpy(octets, before.p, before.n);
	if (text.n > 0)
		memcpy(octets + before.n, text.p, text.n);
	if (after.n > 0)
		memcpy(octets + before.n + text.n, after.p, after.n);
	if (want == NULL) {
		assert(!record_parse(span_make(octets, n), &record));
	} else {
		assert(record_parse(span_make(octets, n), &record));
		check_same(&record, want);
	}
	free(octets);
}

static void
check_policy(const struct record *record)
{
	bool is_good = record->p >= POLICY_NONE &&
		       record->sp != POLICY_INVALID &&
		       record->np != POLICY_INVALID;

	for (unsigned bits = 0; bits < 4; bits++) {
		struct discovery discovery = {
			.record = *record,
			.is_author_record = (bits & 1) != 0,
		};
		struct policy_effective effective;

		policy_effective(&discovery,
				 (bits & 2) != 0 ? POLICY_AUTHOR_MISSING
						 : POLICY_AUTHOR_EXISTS,
				 &effective);
		assert(effective.published >= POLICY_NONE);
		assert(effective.applied >= POLICY_NONE);
		assert(effective.applied <= effective.published);
		assert(record->is_testing ||
		       effective.applied == effective.published);
		assert(effective.is_usable ==
		       (record->has_usable_rua || is_good));
		assert(effective.is_usable || effective.applied == POLICY_NONE);
		assert(!effective.has_bad_policy ||
		       effective.applied == POLICY_NONE);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct span text = span_make(input, n);
	struct record record, again;

	check_list(text);
	if (record_parse(text, &record)) {
		assert(record_parse(text, &again));
		check_same(&record, &again);
		check_values(&record, text);
		check_policy(&record);
		/* empty and unknown tags are ignored; nothing stands before v
		 */
		check_with(SPAN_NONE, text, SPAN_LIT(" ; "), &record);
		check_with(SPAN_NONE, text, SPAN_LIT(";unknown=x"), &record);
		check_with(SPAN_LIT(" "), text, SPAN_NONE, NULL);
		check_with(SPAN_LIT(";"), text, SPAN_NONE, NULL);
		check_with(SPAN_LIT("v=DMARC2;"), text, SPAN_NONE, NULL);
	}
	return 0;
}
