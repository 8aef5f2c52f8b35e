/* SPDX-License-Identifier: BSD-2-Clause */
/* taglist: the tag=value lists of RFC 6376 3.2. */
#include "dmarc/taglist.h"

#define BAD_DIGIT 64

/* White space, and CR and LF: those that come here are of folds. */
static bool
is_space(uint8_t c)
{
	return octet_is_wsp(c) || c == '\r' || c == '\n';
}

static struct span
trim(struct span s)
{
	while (s.n > 0 && is_space(s.p[0]))
		s = span_after(s, 1);
	while (s.n > 0 && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* ALPHA *( ALPHA / DIGIT / "_" ) */
static bool
is_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!octet_is_alpha(s.p[i]) &&
		    (i == 0 || (!octet_is_digit(s.p[i]) && s.p[i] != '_')))
			return false;
	return s.n > 0;
}

static bool
is_value(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < ' ' || s.p[i] == 0x7f) && !is_space(s.p[i]))
			return false;
	return true;
}

static bool
add(struct taglist *list, struct span segment)
{
	size_t equals = span_find(segment, '=');
	struct tag *tag = &list->tag[list->count];
	struct span value;

	if (equals == segment.n || list->count == TAGLIST_MAX)
		return false;
	tag->name = trim(span_first(segment, equals));
	tag->value = trim(span_after(segment, equals + 1));
	if (!is_name(tag->name) || !is_value(tag->value))
		return false;
	/* RFC 6376 3.2: a repeated tag makes the whole list invalid */
	if (taglist_find(list, tag->name, &value))
		return false;
	list->count++;
	return true;
}

bool
taglist_parse(struct span text, struct taglist *list)
{
	list->count = 0;
	while (text.n > 0) {
		size_t n = span_find(text, ';');
		struct span segment = span_first(text, n);
		bool is_last = n == text.n;

		text = span_after(text, is_last ? n : n + 1);
		if (is_last && list->count > 0 && trim(segment).n == 0)
			break;
		if (!add(list, segment))
			return false;
	}
	return list->count > 0;
}

bool
taglist_find(const struct taglist *list, struct span name, struct span *value)
{
	*value = SPAN_NONE;
	for (size_t i = 0; i < list->count; i++) {
		if (!span_equal(list->tag[i].name, name))
			continue;
		*value = list->tag[i].value;
		return true;
	}
	return false;
}

struct span
taglist_compact(struct span value, struct arena *arena)
{
	uint8_t *octets;
	size_t n = 0;

	while (n < value.n && !is_space(value.p[n]))
		n++;
	if (n == value.n)
		return value;
	octets = arena_alloc(arena, value.n);
	if (octets == NULL)
		return SPAN_NONE;
	n = 0;
	for (size_t i = 0; i < value.n; i++)
		if (!is_space(value.p[i]))
			octets[n++] = value.p[i];
	return span_make(octets, n);
}

bool
taglist_next(struct span *rest, struct span *part)
{
	size_t n = span_find(*rest, ':');

	if (rest->n == 0)
		return false;
	*part = trim(span_first(*rest, n));
	*rest = span_after(*rest, n == rest->n ? n : n + 1);
	return true;
}

/* RFC 4648 4 */
static uint32_t
digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint32_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint32_t)(c - 'a') + 26;
	if (octet_is_digit(c))
		return (uint32_t)(c - '0') + 52;
	return c == '+' ? 62 : c == '/' ? 63 : BAD_DIGIT;
}

bool
taglist_base64(struct span text, uint8_t *octets, size_t max, size_t *n)
{
	uint32_t bits = 0;
	size_t digits = 0, padding = 0;

	*n = 0;
	for (size_t i = 0; i < text.n; i++) {
		uint32_t value = digit(text.p[i]);

		if (is_space(text.p[i]))
			continue;
		if (text.p[i] == '=' && digits % 4 >= 2 && padding < 2) {
			padding++;
			continue;
		}
		if (value == BAD_DIGIT || padding > 0)
			return false;
		bits = bits << 6 | value;
		if (++digits % 4 == 1)
			continue;
		if (*n == max)
			return false;
		octets[(*n)++] = (uint8_t)(bits >> 2 * (3 - (digits - 1) % 4));
	}
	return digits % 4 != 1 && (padding == 0 || (digits + padding) % 4 == 0);
}
