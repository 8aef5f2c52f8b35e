/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json_check: a strict reader of JSON for tests: is this one valid value, on
 * one line and safe to show, and what does it hold at a path.
 *
 * Strict: RFC 8259 without any leniency, UTF-8 only, no control character of
 * any kind as it stands, no key twice in one object.
 */
#ifndef TESTS_JSON_CHECK_H
#define TESTS_JSON_CHECK_H

#include "smtp/address.h"
#include "smtp/buf.h"

#define JSON_CHECK_DEPTH 32
#define JSON_CHECK_KEYS 100

static inline bool json_check_value(struct span *in, unsigned depth);

static inline bool
json_check_take(struct span *in, const char *text)
{
	if (!span_starts(*in, span_cstr(text)))
		return false;
	*in = span_after(*in, strlen(text));
	return true;
}

static inline bool
json_check_hex(struct span in)
{
	if (in.n < 4)
		return false;
	for (size_t i = 0; i < 4; i++) {
		uint8_t c = octet_lower(in.p[i]);

		if (!octet_is_digit(c) && (c < 'a' || c > 'f'))
			return false;
	}
	return true;
}

/* U+202A … U+202E, U+2066 … U+2069, U+0080 … U+009F and their like. */
static inline bool
json_check_is_shown(struct span in)
{
	if (in.p[0] < 0x20 || in.p[0] == 0x7f)
		return false;
	if (in.n >= 2 && in.p[0] == 0xc2 && in.p[1] < 0xa0)
		return false;
	if (in.n >= 2 && in.p[0] == 0xd8 && in.p[1] == 0x9c)
		return false;
	if (in.n < 3 || in.p[0] != 0xe2)
		return true;
	if (in.p[1] == 0x80)
		return in.p[2] != 0x8e && in.p[2] != 0x8f &&
		       (in.p[2] < 0xa8 || in.p[2] > 0xae);
	return in.p[1] != 0x81 || in.p[2] < 0xa6 || in.p[2] > 0xa9;
}

static inline bool
json_check_string(struct span *in)
{
	if (!json_check_take(in, "\""))
		return false;
	while (in->n > 0 && in->p[0] != '"') {
		if (!json_check_is_shown(*in))
			return false;
		if (in->p[0] != '\\') {
			*in = span_after(*in, 1);
			continue;
		}
		if (in->n < 2 || memchr("\"\\/bfnrtu", in->p[1], 9) == NULL)
			return false;
		if (in->p[1] == 'u' && !json_check_hex(span_after(*in, 2)))
			return false;
		*in = span_after(*in, in->p[1] == 'u' ? 6 : 2);
	}
	return json_check_take(in, "\"");
}

static inline size_t
json_check_digits(struct span *in)
{
	size_t n = 0;

	while (n < in->n && octet_is_digit(in->p[n]))
		n++;
	*in = span_after(*in, n);
	return n;
}

static inline bool
json_check_number(struct span *in)
{
	bool leads_zero;
	size_t digits;

	json_check_take(in, "-");
	leads_zero = in->n > 0 && in->p[0] == '0';
	digits = json_check_digits(in);
	if (digits == 0 || (leads_zero && digits > 1))
		return false;
	return !json_check_take(in, ".") || json_check_digits(in) > 0;
}

/* Behind a value that has been checked. */
static inline void
json_check_skip(struct span *in)
{
	size_t depth = 0;

	while (in->n > 0) {
		uint8_t c = in->p[0];

		if (depth == 0 && (c == ',' || c == '}' || c == ']'))
			return;
		if (c == '"') {
			json_check_string(in);
			continue;
		}
		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		*in = span_after(*in, 1);
	}
}

static inline bool
json_check_object(struct span *in, unsigned depth)
{
	struct span keys[JSON_CHECK_KEYS];
	size_t count = 0;

	if (!json_check_take(in, "{"))
		return false;
	if (json_check_take(in, "}"))
		return true;
	do {
		struct span key = *in;

		if (!json_check_string(in) || count == JSON_CHECK_KEYS)
			return false;
		key.n = (size_t)(in->p - key.p);
		for (size_t i = 0; i < count; i++)
			if (span_equal(keys[i], key))
				return false;
		keys[count++] = key;
		if (!json_check_take(in, ":") ||
		    !json_check_value(in, depth + 1))
			return false;
	} while (json_check_take(in, ","));
	return json_check_take(in, "}");
}

static inline bool
json_check_array(struct span *in, unsigned depth)
{
	if (!json_check_take(in, "["))
		return false;
	if (json_check_take(in, "]"))
		return true;
	do {
		if (!json_check_value(in, depth + 1))
			return false;
	} while (json_check_take(in, ","));
	return json_check_take(in, "]");
}

static inline bool
json_check_value(struct span *in, unsigned depth)
{
	if (in->n == 0 || depth > JSON_CHECK_DEPTH)
		return false;
	switch (in->p[0]) {
	case '{':
		return json_check_object(in, depth);
	case '[':
		return json_check_array(in, depth);
	case '"':
		return json_check_string(in);
	case 't':
		return json_check_take(in, "true");
	case 'f':
		return json_check_take(in, "false");
	case 'n':
		return json_check_take(in, "null");
	default:
		return json_check_number(in);
	}
}

/* Whether all of text is one value, without white space around it. */
static inline bool
json_check(struct span text)
{
	return address_is_utf8(text) && json_check_value(&text, 0) &&
	       text.n == 0;
}

/* The text of the value at a path of keys and indices, "dkim.0.result"; an
 * empty span if there is none. text is valid. */
static inline struct span
json_check_find(struct span text, struct span path)
{
	while (path.n > 0) {
		size_t dot = span_find(path, '.');
		struct span key = span_first(path, dot);
		uint64_t index = 0;
		bool is_array = text.n > 0 && text.p[0] == '[';
		bool is_found = false;

		path = span_after(path, dot < path.n ? dot + 1 : dot);
		if (text.n == 0 || (text.p[0] != '{' && !is_array))
			return SPAN_NONE;
		if (is_array && !span_u64(key, &index))
			return SPAN_NONE;
		text = span_after(text, 1);
		for (uint64_t i = 0; text.n > 0 && !is_found; i++) {
			struct span at = text;

			if (text.p[0] == '}' || text.p[0] == ']')
				return SPAN_NONE;
			if (!is_array) {
				json_check_string(&text);
				at = span_make(at.p + 1,
					       (size_t)(text.p - at.p) - 2);
				json_check_take(&text, ":");
			}
			is_found = is_array ? i == index : span_equal(at, key);
			if (!is_found) {
				json_check_skip(&text);
				json_check_take(&text, ",");
			}
		}
		if (!is_found)
			return SPAN_NONE;
	}
	{
		struct span rest = text;

		json_check_skip(&rest);
		return span_first(text, text.n - rest.n);
	}
}

/* What the string in quotes stands for. False if it is none. */
static inline bool
json_check_decode(struct span text, struct buf *out)
{
	static const char escapes[] = "\"\\/bfnrt";
	static const char meaning[] = "\"\\/\b\f\n\r\t";

	if (text.n < 2 || text.p[0] != '"')
		return false;
	text = span_make(text.p + 1, text.n - 2);
	while (text.n > 0) {
		uint32_t code = 0;

		if (text.p[0] != '\\') {
			buf_append_octet(out, text.p[0]);
			text = span_after(text, 1);
			continue;
		}
		if (text.p[1] != 'u') {
			const char *at = memchr(escapes, text.p[1], 8);

			if (at == NULL)
				return false;
			buf_append_octet(out, (uint8_t)meaning[at - escapes]);
			text = span_after(text, 2);
			continue;
		}
		for (size_t i = 2; i < 6; i++) {
			uint8_t c = octet_lower(text.p[i]);

			code = code * 16 + c;
			code -= octet_is_digit(c) ? '0' : 'a' - 10;
		}
		if (code >= 0x800)
			buf_append_octet(out, (uint8_t)(0xe0 | code >> 12));
		if (code >= 0x800)
			buf_append_octet(out,
					 (uint8_t)(0x80 | (code >> 6 & 0x3f)));
		else if (code >= 0x80)
			buf_append_octet(out, (uint8_t)(0xc0 | code >> 6));
		buf_append_octet(
			out,
			(uint8_t)(code < 0x80 ? code : 0x80 | (code & 0x3f)));
		text = span_after(text, 6);
	}
	return !out->has_overflowed;
}

#endif
