/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/report/json_read.h"

/* --- tokens ------------------------------------------------------------- */

/* Most tokens are of one octet, and this is where the time goes. */
static inline bool
take_octet(struct span *in, uint8_t octet)
{
	if (in->n == 0 || in->p[0] != octet)
		return false;
	*in = span_after(*in, 1);
	return true;
}

static bool
take(struct span *in, struct span text)
{
	if (in->n == 0 || in->p[0] != text.p[0] || !span_starts(*in, text))
		return false;
	*in = span_after(*in, text.n);
	return true;
}

static bool
is_hex(uint8_t c)
{
	c = octet_lower(c);
	return octet_is_digit(c) || (c >= 'a' && c <= 'f');
}

/* Octets of the escape that in begins with; 0 if it is none. */
static size_t
escape_length(struct span in)
{
	if (in.n < 2)
		return 0;
	if (in.p[1] != 'u')
		return memchr("\"\\/bfnrt", in.p[1], 8) == NULL ? 0 : 2;
	for (size_t i = 2; i < 6; i++)
		if (i >= in.n || !is_hex(in.p[i]))
			return 0;
	return 6;
}

/* Octets of a string that stand for themselves: nearly all of a line. */
static size_t
plain_length(struct span in)
{
	size_t n = 0;

	while (n < in.n && in.p[n] != '"' && in.p[n] != '\\' && in.p[n] >= 0x20)
		n++;
	return n;
}

static bool
take_string(struct span *in)
{
	struct span rest = *in;

	if (!take_octet(&rest, '"'))
		return false;
	rest = span_after(rest, plain_length(rest));
	while (rest.n > 0 && rest.p[0] == '\\') {
		size_t n = escape_length(rest);

		if (n == 0)
			return false;
		rest = span_after(rest, n);
		rest = span_after(rest, plain_length(rest));
	}
	if (!take_octet(&rest, '"'))
		return false;
	*in = rest;
	return true;
}

static size_t
digits(struct span *in)
{
	size_t n = 0;

	while (n < in->n && octet_is_digit(in->p[n]))
		n++;
	*in = span_after(*in, n);
	return n;
}

static bool
take_number(struct span *in)
{
	struct span rest = *in;
	bool leads_zero;
	size_t n;

	take_octet(&rest, '-');
	leads_zero = rest.n > 0 && rest.p[0] == '0';
	n = digits(&rest);
	if (n == 0 || (leads_zero && n > 1))
		return false;
	if (take_octet(&rest, '.') && digits(&rest) == 0)
		return false;
	if (take_octet(&rest, 'e') || take_octet(&rest, 'E')) {
		if (!take_octet(&rest, '-'))
			take_octet(&rest, '+');
		if (digits(&rest) == 0)
			return false;
	}
	*in = rest;
	return true;
}

/* A value that is no object or array. */
static bool
take_scalar(struct span *in)
{
	return take_string(in) || take(in, SPAN_LIT("true")) ||
	       take(in, SPAN_LIT("false")) || take(in, SPAN_LIT("null")) ||
	       take_number(in);
}

/* --- values ------------------------------------------------------------- */

/* The open objects and arrays, as bits: 1 for an object. */
struct nesting {
	uint32_t is_object;
	unsigned depth;
};

static bool
is_in_object(const struct nesting *nesting)
{
	return nesting->depth > 0 &&
	       (nesting->is_object >> (nesting->depth - 1) & 1) != 0;
}

static bool
open_one(struct nesting *nesting, bool is_object)
{
	if (nesting->depth == JSON_READ_DEPTH)
		return false;
	nesting->is_object &= ~(UINT32_C(1) << nesting->depth);
	nesting->is_object |= (uint32_t)is_object << nesting->depth;
	nesting->depth++;
	return true;
}

static bool
take_key(struct span *in)
{
	return take_string(in) && take_octet(in, ':');
}

/* The ends of objects and arrays behind a value, and the comma before the
 * next one. False on a fault; *is_done when nothing is open any more. */
static bool
take_ends(struct span *in, struct nesting *nesting, bool *is_done)
{
	while (nesting->depth > 0) {
		bool is_object = is_in_object(nesting);

		if (take_octet(in, ','))
			return !is_object || take_key(in);
		if (!take_octet(in, is_object ? '}' : ']'))
			return false;
		nesting->depth--;
	}
	*is_done = true;
	return true;
}

/* One value at the start of *in, which is moved behind it. */
static bool
take_value(struct span *in)
{
	struct nesting nesting = { 0 };
	bool is_done = false;

	while (!is_done) {
		if (take(in, SPAN_LIT("{}")) || take(in, SPAN_LIT("[]"))) {
			/* a value that is whole */
		} else if (take_octet(in, '{')) {
			if (!open_one(&nesting, true) || !take_key(in))
				return false;
			continue;
		} else if (take_octet(in, '[')) {
			if (!open_one(&nesting, false))
				return false;
			continue;
		} else if (!take_scalar(in)) {
			return false;
		}
		if (!take_ends(in, &nesting, &is_done))
			return false;
	}
	return true;
}

bool
json_is_object(struct span text)
{
	return text.n > 0 && text.p[0] == '{' && take_value(&text) &&
	       text.n == 0;
}

/* --- paths -------------------------------------------------------------- */

/* The member or element of that name in an object or array. */
static bool
find_child(struct span text, struct span name, struct span *value)
{
	bool is_object = span_starts(text, SPAN_LIT("{"));
	uint64_t wanted = 0;

	if (!is_object &&
	    (!span_starts(text, SPAN_LIT("[")) || !span_u64(name, &wanted)))
		return false;
	text = span_after(text, 1);
	for (uint64_t i = 0; text.n > 0; i++) {
		struct span key = text, rest;

		if (is_object) {
			if (!take_key(&text))
				return false; /* the end of the object */
			key = span_make(key.p + 1,
					(size_t)(text.p - key.p) - 3);
		}
		rest = text;
		if (!take_value(&rest))
			return false;
		if (is_object ? span_equal(key, name) : i == wanted) {
			*value = span_first(text, text.n - rest.n);
			return true;
		}
		text = rest;
		if (!take_octet(&text, ','))
			return false;
	}
	return false;
}

bool
json_find(struct span text, const char *path, struct span *value)
{
	struct span left = span_cstr(path);

	while (left.n > 0) {
		size_t dot = span_find(left, '.');

		if (!find_child(text, span_first(left, dot), &text))
			return false;
		left = span_after(left, dot < left.n ? dot + 1 : dot);
	}
	*value = text;
	return true;
}

/* What is left begins with what stands before an element. */
bool
json_next(struct span *array, struct span *element)
{
	struct span rest = *array;
	struct span from;

	if (!take_octet(&rest, '[') && !take_octet(&rest, ','))
		return false;
	from = rest;
	if (!take_value(&rest))
		return false; /* the end of an empty one */
	*element = span_first(from, from.n - rest.n);
	*array = rest;
	return true;
}

struct span
json_shown(struct span value)
{
	if (value.n == 0 || value.p[0] == '{' || value.p[0] == '[' ||
	    span_equal(value, SPAN_LIT("null")))
		return SPAN_NONE;
	if (value.p[0] != '"' || value.n < 2)
		return value;
	return span_make(value.p + 1, value.n - 2);
}

struct span
json_resynchronise(struct span line)
{
	const struct span start = SPAN_LIT("{\"v\":1,");
	const uint8_t *found =
		line.n < 2 ? NULL
			   : memmem(line.p + 1, line.n - 1, start.p, start.n);

	if (found == NULL)
		return SPAN_NONE;
	return span_after(line, (size_t)(found - line.p));
}
