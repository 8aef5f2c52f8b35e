/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/replay/jsonpath.h"

#define DEPTH_MAX 16

static void
skip_blanks(struct span *in)
{
	while (in->n > 0 && (octet_is_wsp(in->p[0]) || in->p[0] == '\n'))
		*in = span_after(*in, 1);
}

static bool
skip_octet(struct span *in, uint8_t octet)
{
	skip_blanks(in);
	if (in->n == 0 || in->p[0] != octet)
		return false;
	*in = span_after(*in, 1);
	return true;
}

/* A string's inside; moves *in behind its quotes. */
static bool
take_string(struct span *in, struct span *inside)
{
	size_t n = 0;

	if (!skip_octet(in, '"'))
		return false;
	while (n < in->n && in->p[n] != '"') {
		if (in->p[n] < ' ')
			return false;
		n += in->p[n] == '\\' ? 2 : 1;
	}
	if (n >= in->n)
		return false;
	*inside = span_first(*in, n);
	*in = span_after(*in, n + 1);
	return true;
}

/* A number, true, false or null. */
static bool
take_word(struct span *in)
{
	size_t n = 0;

	while (n < in->n &&
	       (octet_is_alpha(in->p[n]) || octet_is_digit(in->p[n]) ||
		in->p[n] == '-' || in->p[n] == '+' || in->p[n] == '.'))
		n++;
	*in = span_after(*in, n);
	return n > 0;
}

static bool take_value(struct span *in, unsigned depth);

/* An object or array, and what stands in it. */
static bool
take_members(struct span *in, bool is_object, unsigned depth)
{
	uint8_t end = is_object ? '}' : ']';
	struct span key;

	*in = span_after(*in, 1);
	if (skip_octet(in, end))
		return true;
	do {
		if (is_object &&
		    (!take_string(in, &key) || !skip_octet(in, ':')))
			return false;
		if (!take_value(in, depth + 1))
			return false;
	} while (skip_octet(in, ','));
	return skip_octet(in, end);
}

static bool
take_value(struct span *in, unsigned depth)
{
	struct span inside;

	skip_blanks(in);
	if (in->n == 0 || depth > DEPTH_MAX)
		return false;
	if (in->p[0] == '{' || in->p[0] == '[')
		return take_members(in, in->p[0] == '{', depth);
	return in->p[0] == '"' ? take_string(in, &inside) : take_word(in);
}

/* Move *in to the value of one step of a path. */
static bool
enter(struct span *in, struct span step)
{
	bool is_object = in->p[0] == '{';
	uint64_t wanted = 0;
	struct span key = SPAN_NONE;

	if (!is_object && (in->p[0] != '[' || !span_u64(step, &wanted)))
		return false;
	*in = span_after(*in, 1);
	for (uint64_t i = 0;; i++) {
		if (is_object &&
		    (!take_string(in, &key) || !skip_octet(in, ':')))
			return false;
		skip_blanks(in);
		if (is_object ? span_equal(key, step) : i == wanted)
			return in->n > 0 && in->p[0] != ']';
		if (!take_value(in, 0) || !skip_octet(in, ','))
			return false;
	}
}

static bool
append_string(struct span inside, struct buf *value)
{
	while (inside.n > 0) {
		bool is_escaped = inside.p[0] == '\\' && inside.n > 1 &&
				  (inside.p[1] == '"' || inside.p[1] == '\\');

		inside = span_after(inside, is_escaped ? 1 : 0);
		buf_append_octet(value, inside.p[0]);
		inside = span_after(inside, 1);
	}
	return !value->has_overflowed;
}

bool
jsonpath_find(struct span json, struct span path, struct buf *value)
{
	struct span in = json, inside;
	const uint8_t *start;

	skip_blanks(&in);
	while (path.n > 0) {
		size_t n = span_find(path, '.');

		if (in.n == 0 || !enter(&in, span_first(path, n)))
			return false;
		path = span_after(path, n < path.n ? n + 1 : n);
	}
	if (in.n > 0 && in.p[0] == '"')
		return take_string(&in, &inside) &&
		       append_string(inside, value);
	start = in.p;
	return take_value(&in, 0) &&
	       buf_append(value, span_make(start, (size_t)(in.p - start)));
}

bool
jsonpath_is_json(struct span text)
{
	if (!take_value(&text, 0))
		return false;
	skip_blanks(&text);
	return text.n == 0;
}
