/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/report/json.h"

#include <assert.h>

void
json_init(struct json *json, struct buf *out)
{
	*json = (struct json){ .out = out };
}

static void
put(struct json *json, const char *text)
{
	buf_append(json->out, span_cstr(text));
}

/* Whether a comma is due before the value or key that comes now. */
static bool
begin_member(struct json *json)
{
	bool *has_members = &json->has_members[json->depth];
	bool had_members = *has_members;

	if (json->is_key_open) {
		json->is_key_open = false;
		return false;
	}
	*has_members = true;
	return had_members;
}

static void
separate(struct json *json)
{
	if (begin_member(json))
		buf_append_octet(json->out, ',');
}

static void
begin(struct json *json, const char *bracket)
{
	separate(json);
	put(json, bracket);
	assert(json->depth + 1 < JSON_DEPTH_MAX);
	json->has_members[++json->depth] = false;
}

static void
end(struct json *json, const char *bracket)
{
	assert(json->depth > 0 && !json->is_key_open);
	json->depth--;
	put(json, bracket);
}

void
json_object(struct json *json)
{
	begin(json, "{");
}

void
json_object_end(struct json *json)
{
	end(json, "}");
}

void
json_array(struct json *json)
{
	begin(json, "[");
}

void
json_array_end(struct json *json)
{
	end(json, "]");
}

void
json_key(struct json *json, const char *key)
{
	size_t n = strlen(key);
	uint8_t *at = buf_reserve(json->out, n + 4);
	bool has_comma;

	assert(!json->is_key_open);
	has_comma = begin_member(json);
	json->is_key_open = true;
	if (at == NULL)
		return;
	if (has_comma)
		*at++ = ',';
	*at++ = '"';
	memcpy(at, key, n);
	at[n] = '"';
	at[n + 1] = ':';
	buf_extend(json->out, n + 3 + has_comma);
}

/* --- texts -------------------------------------------------------------- */

static bool
is_continuation(struct span s, size_t at)
{
	return at < s.n && (s.p[at] & 0xc0) == 0x80;
}

/* Octets of the UTF-8 character that s, which is not empty, begins with; 0 if
 * it is none. RFC 3629 3, 4: no overlong form, no surrogate, no more than
 * U+10FFFF. */
static size_t
character(struct span s, uint32_t *code)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint8_t c = s.p[0];
	size_t n = c < 0x80   ? 1
		   : c < 0xc0 ? 0
		   : c < 0xe0 ? 2
		   : c < 0xf0 ? 3
			      : 4;

	if (n == 0 || c > 0xf4)
		return 0;
	*code = n == 1 ? c : c & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (!is_continuation(s, i))
			return 0;
		*code = *code << 6 | (s.p[i] & 0x3fu);
	}
	if (*code < least[n] || *code > 0x10ffff ||
	    (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return n;
}

/* What a terminal, or a reader of lines, would act upon. */
static bool
is_unsafe(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code <= 0x9f) ||
	       code == 0x061c || code == 0x200e || code == 0x200f ||
	       (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069);
}

/* Octets at the start that stand for themselves: nearly all there are. */
static size_t
plain_length(struct span text)
{
	static const bool is_plain[256] = { [' '] = true,
					    ['!'] = true,
					    ['#' ... '['] = true,
					    [']' ... '~'] = true };
	size_t n = 0;

	while (n < text.n && is_plain[text.p[n]])
		n++;
	return n;
}

/* One character; its length, or 0 for an octet that is none. */
static size_t
put_character(struct json *json, struct span text)
{
	uint32_t code;
	size_t n = character(text, &code);

	if (n == 0) {
		put(json, "\xef\xbf\xbd"); /* U+FFFD */
		return 0;
	}
	if (code == '"' || code == '\\')
		put(json, code == '"' ? "\\\"" : "\\\\");
	else if (is_unsafe(code))
		buf_printf(json->out, "\\u%04x", (unsigned)code);
	else
		buf_append(json->out, span_first(text, n));
	return n;
}

/* With its quotes; false, and nothing is written, where it is not all plain. */
static bool
put_plain(struct json *json, struct span text)
{
	uint8_t *at;

	if (plain_length(text) < text.n)
		return false;
	at = buf_reserve(json->out, text.n + 2);
	if (at == NULL)
		return true;
	*at++ = '"';
	if (text.n > 0)
		memcpy(at, text.p, text.n);
	at[text.n] = '"';
	buf_extend(json->out, text.n + 2);
	return true;
}

bool
json_string(struct json *json, struct span text)
{
	bool is_utf8 = true;

	separate(json);
	if (put_plain(json, text))
		return true;
	buf_append_octet(json->out, '"');
	/* What does not fit any more is not worth the work. */
	while (text.n > 0 && !json->out->has_overflowed) {
		size_t n = plain_length(text);

		if (n > 0)
			buf_append(json->out, span_first(text, n));
		else
			n = put_character(json, text);
		is_utf8 = is_utf8 && n > 0;
		text = span_after(text, n > 0 ? n : 1);
	}
	buf_append_octet(json->out, '"');
	return is_utf8;
}

void
json_cstring(struct json *json, const char *text)
{
	if (text == NULL)
		json_null(json);
	else
		json_string(json, span_cstr(text));
}

void
json_base64(struct json *json, struct span octets)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";

	separate(json);
	put(json, "\"");
	for (size_t i = 0; i < octets.n && !json->out->has_overflowed; i += 3) {
		size_t left = octets.n - i;
		uint32_t group = (uint32_t)octets.p[i] << 16;

		if (left > 1)
			group |= (uint32_t)octets.p[i + 1] << 8;
		if (left > 2)
			group |= octets.p[i + 2];
		for (size_t k = 0; k < 4; k++) {
			char digit = digits[group >> (18 - 6 * k) & 0x3f];

			buf_append_octet(json->out,
					 k > left ? '=' : (uint8_t)digit);
		}
	}
	put(json, "\"");
}

/* --- other values ------------------------------------------------------- */

void
json_u64(struct json *json, uint64_t value)
{
	separate(json);
	buf_append_u64(json->out, value);
}

void
json_bool(struct json *json, bool value)
{
	separate(json);
	put(json, value ? "true" : "false");
}

void
json_null(struct json *json)
{
	separate(json);
	put(json, "null");
}

void
json_thousandths(struct json *json, uint64_t value)
{
	unsigned rest = (unsigned)(value % 1000);

	json_u64(json, value / 1000);
	if (rest % 10 != 0)
		buf_printf(json->out, ".%03u", rest);
	else if (rest % 100 != 0)
		buf_printf(json->out, ".%02u", rest / 10);
	else if (rest != 0)
		buf_printf(json->out, ".%u", rest / 100);
}

/* --- members ------------------------------------------------------------ */

static bool
is_utf8(struct span text)
{
	uint32_t code;
	size_t n;

	for (; text.n > 0; text = span_after(text, n)) {
		n = character(text, &code);
		if (n == 0)
			return false;
	}
	return true;
}

static void
twin_key(struct json *json, const char *key)
{
	char twin[64];
	size_t n = strlen(key);

	assert(n + sizeof "_b64" <= sizeof twin);
	memcpy(twin, key, n);
	memcpy(twin + n, "_b64", sizeof "_b64");
	json_key(json, twin);
}

void
json_member(struct json *json, const char *key, struct span text)
{
	json_key(json, key);
	if (!json_string(json, text)) {
		twin_key(json, key);
		json_base64(json, text);
	}
}

void
json_member_list(struct json *json, const char *key, const struct span *texts,
		 size_t count, size_t text_max)
{
	bool needs_twin = false;

	json_key(json, key);
	json_array(json);
	for (size_t i = 0; i < count; i++) {
		struct span text = json_cut(texts[i], text_max);

		if (!json_string(json, text))
			needs_twin = true;
	}
	json_array_end(json);
	if (!needs_twin)
		return;
	twin_key(json, key);
	json_array(json);
	for (size_t i = 0; i < count; i++) {
		struct span text = json_cut(texts[i], text_max);

		if (is_utf8(text))
			json_null(json);
		else
			json_base64(json, text);
	}
	json_array_end(json);
}

struct span
json_cut(struct span text, size_t max)
{
	if (text.n <= max)
		return text;
	/* A character that begins in the last three octets may go on. */
	for (size_t back = 1; back <= 3 && back <= max; back++) {
		uint32_t code;
		struct span last = span_after(text, max - back);

		if (character(last, &code) > back)
			return span_first(text, max - back);
	}
	return span_first(text, max);
}
