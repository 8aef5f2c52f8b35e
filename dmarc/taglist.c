/* SPDX-License-Identifier: BSD-2-Clause */
/* taglist: the tag=value lists of RFC 6376 3.2. */
#include "dmarc/taglist.h"

#define BAD_DIGIT 255

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

/* RFC 4648 4: the value of a digit, and one more; 0 is none. */
static const uint8_t digits_plus_one[256] = {
	['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,
	['G'] = 7,  ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12,
	['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18,
	['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
	['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30,
	['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36,
	['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
	['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
	['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54,
	['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60,
	['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

static uint32_t
digit(uint8_t c)
{
	return (uint8_t)(digits_plus_one[c] - 1);
}

/* Groups of four digits with nothing between them: what nearly all of a
 * signature is. Their octets; *text stands behind them. */
static size_t
whole_groups(struct span *text, uint8_t *octets, size_t max)
{
	size_t n = 0;

	for (; text->n >= 4 && n + 3 <= max; n += 3) {
		const uint8_t *p = text->p;
		uint32_t a = digit(p[0]), b = digit(p[1]);
		uint32_t c = digit(p[2]), d = digit(p[3]);

		if ((a | b | c | d) > 63)
			break;
		octets[n] = (uint8_t)(a << 2 | b >> 4);
		octets[n + 1] = (uint8_t)(b << 4 | c >> 2);
		octets[n + 2] = (uint8_t)(c << 6 | d);
		*text = span_after(*text, 4);
	}
	return n;
}

bool
taglist_base64(struct span text, uint8_t *octets, size_t max, size_t *n)
{
	uint32_t bits = 0;
	size_t digits = 0, padding = 0;

	for (*n = 0; text.n > 0; text = span_after(text, 1)) {
		uint32_t value;

		if (digits % 4 == 0)
			*n += whole_groups(&text, octets + *n, max - *n);
		if (text.n == 0)
			break;
		if (is_space(*text.p))
			continue;
		if (*text.p == '=' && digits % 4 >= 2 && padding < 2) {
			padding++;
			continue;
		}
		value = digit(*text.p);
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
