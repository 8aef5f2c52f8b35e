/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/replay/heard.h"

#include <assert.h>
#include <stdio.h>

#define OCTETS_MAX (64u << 20)

void
heard_init(struct heard *heard)
{
	*heard = (struct heard){ 0 };
	buf_init(&heard->octets, OCTETS_MAX);
}

void
heard_fini(struct heard *heard)
{
	buf_fini(&heard->octets);
}

void
heard_octets(struct heard *heard, struct span octets)
{
	bool is_kept = buf_append(&heard->octets, octets);

	assert(is_kept);
}

void
heard_mark(struct heard *heard, const char *text, struct span detail)
{
	size_t i = heard->mark_count++;

	assert(i < HEARD_MARKS_MAX);
	heard->marks[i].at = heard->octets.n;
	snprintf(heard->marks[i].text, sizeof(heard->marks[i].text),
		 "[%s%s%.*s]", text, detail.n > 0 ? " " : "", (int)detail.n,
		 (const char *)detail.p);
}

/* Octets up to the next mark, or the end. */
static struct span
rest(const struct heard *heard)
{
	size_t end = heard->marks_seen < heard->mark_count
			     ? heard->marks[heard->marks_seen].at
			     : heard->octets.n;

	return span_after(span_first(buf_span(&heard->octets), end), heard->at);
}

enum heard_next
heard_peek(const struct heard *heard, struct span *text)
{
	struct span left = rest(heard);

	for (size_t i = 1; i < left.n; i++)
		if (left.p[i] == '\n' && left.p[i - 1] == '\r') {
			*text = span_first(left, i - 1);
			return HEARD_LINE;
		}
	*text = left;
	if (left.n > 0)
		return HEARD_PARTIAL;
	if (heard->marks_seen == heard->mark_count)
		return HEARD_NOTHING;
	*text = span_cstr(heard->marks[heard->marks_seen].text);
	return HEARD_MARK;
}

void
heard_pass(struct heard *heard)
{
	struct span text;

	switch (heard_peek(heard, &text)) {
	case HEARD_LINE:
		heard->at += text.n + 2;
		break;
	case HEARD_MARK:
		heard->marks_seen++;
		break;
	case HEARD_PARTIAL:
		heard->at += text.n;
		break;
	case HEARD_NOTHING:
		break;
	}
}

bool
heard_exactly(struct heard *heard, struct span octets)
{
	if (!span_starts(rest(heard), octets))
		return false;
	heard->at += octets.n;
	return true;
}

bool
heard_equal(const struct heard *a, const struct heard *b)
{
	if (!span_equal(buf_span(&a->octets), buf_span(&b->octets)) ||
	    a->mark_count != b->mark_count)
		return false;
	for (size_t i = 0; i < a->mark_count; i++)
		if (a->marks[i].at != b->marks[i].at ||
		    strcmp(a->marks[i].text, b->marks[i].text) != 0)
			return false;
	return true;
}
