/* SPDX-License-Identifier: BSD-2-Clause */
/* spf_macro: macro-strings of RFC 7208 7 and what they expand to. */
#include "dmarc/spf_macro.h"

#include "dmarc/domain.h"

#define VALUE_MAX 600 /* the longest: a local part, "@" and a domain */

/* --- their syntax ------------------------------------------------------- */

/* RFC 7208 7.1: macro-letter. */
static bool
is_letter(uint8_t c, bool is_explanation)
{
	struct span letters =
		is_explanation ? SPAN_LIT("slodiphvcrt") : SPAN_LIT("slodiphv");

	return span_find(letters, octet_lower(c)) < letters.n;
}

static bool
is_among(uint8_t c, struct span octets)
{
	return span_find(octets, c) < octets.n;
}

/* More digits than a number can hold are more parts than there can be. */
static size_t
number(struct span digits)
{
	uint64_t value;

	return span_u64(digits, &value) && value < SIZE_MAX ? (size_t)value
							    : SIZE_MAX;
}

/* RFC 7208 7.1: transformers and delimiters, up to the brace. */
static bool
parse_transformers(struct span *rest, struct spf_piece *piece)
{
	size_t digits = 0, delimiters = 0;

	while (digits < rest->n && octet_is_digit(rest->p[digits]))
		digits++;
	if (digits > 0)
		piece->parts = number(span_first(*rest, digits));
	if (digits > 0 && piece->parts == 0)
		return false;
	*rest = span_after(*rest, digits);
	piece->is_reversed = rest->n > 0 && octet_lower(rest->p[0]) == 'r';
	*rest = span_after(*rest, piece->is_reversed);
	while (delimiters < rest->n &&
	       is_among(rest->p[delimiters], SPAN_LIT(".-+,/_=")))
		delimiters++;
	piece->delimiters = span_first(*rest, delimiters);
	*rest = span_after(*rest, delimiters);
	if (rest->n == 0 || rest->p[0] != '}')
		return false;
	*rest = span_after(*rest, 1);
	return true;
}

/* RFC 7208 7.1: macro-expand. *rest starts with "%". */
static bool
parse_macro(struct span *rest, bool is_explanation, struct spf_piece *piece)
{
	uint8_t second = rest->n < 2 ? 0 : rest->p[1];
	uint8_t letter = rest->n < 3 ? 0 : rest->p[2];

	switch (second) {
	case '%':
		piece->literal = SPAN_LIT("%");
		break;
	case '_':
		piece->literal = SPAN_LIT(" ");
		break;
	case '-':
		piece->literal = SPAN_LIT("%20");
		break;
	case '{':
		if (letter == 0 || !is_letter(letter, is_explanation))
			return false;
		piece->letter = octet_lower(letter);
		piece->is_escaped = piece->letter != letter;
		*rest = span_after(*rest, 3);
		return parse_transformers(rest, piece);
	default:
		return false;
	}
	*rest = span_after(*rest, 2);
	return true;
}

/* RFC 7208 7.1, 6.2: macro-literal is visible; an explanation has spaces. */
static bool
is_literal(struct span text, bool is_explanation)
{
	uint8_t first = is_explanation ? ' ' : '!';

	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < first || text.p[i] >= 0x7f)
			return false;
	return true;
}

bool
spf_piece_next(struct span *rest, bool is_explanation, struct spf_piece *piece)
{
	*piece = (struct spf_piece){ .letter = 0 };
	if (rest->p[0] == '%')
		return parse_macro(rest, is_explanation, piece);
	piece->literal = span_first(*rest, span_find(*rest, '%'));
	*rest = span_after(*rest, piece->literal.n);
	return is_literal(piece->literal, is_explanation);
}

bool
spf_has_macro(struct span text, struct span letters)
{
	struct spf_piece piece;

	while (text.n > 0 && spf_piece_next(&text, true, &piece))
		if (piece.letter != 0 && is_among(piece.letter, letters))
			return true;
	return false;
}

/* --- their values ------------------------------------------------------- */

/* RFC 7208 7.3: i of IPv6 is nibbles with dots between. Digits in capitals,
 * as the community's suite has them; to DNS it is the same. */
static void
append_address(const struct ip *ip, struct buf *out)
{
	static const char digits[] = "0123456789ABCDEF";
	char text[IP_TEXT_MAX];

	if (ip->family != IP_V6) {
		buf_append(out, ip_format(ip, text));
		return;
	}
	for (size_t i = 0; i < sizeof(ip->octets); i++) {
		if (i > 0)
			buf_append_octet(out, '.');
		buf_append_octet(out, (uint8_t)digits[ip->octets[i] >> 4]);
		buf_append_octet(out, '.');
		buf_append_octet(out, (uint8_t)digits[ip->octets[i] & 15]);
	}
}

/* RFC 7208 7.2 */
static void
append_value(const struct spf_macros *macros, uint8_t letter, struct buf *out)
{
	char text[IP_TEXT_MAX];

	switch (letter) {
	case 's':
		buf_append(out, macros->local);
		buf_append_octet(out, '@');
		buf_append(out, macros->sender);
		break;
	case 'l':
		buf_append(out, macros->local);
		break;
	case 'o':
		buf_append(out, macros->sender);
		break;
	case 'd':
		buf_append(out, macros->domain);
		break;
	case 'i':
		append_address(&macros->client, out);
		break;
	case 'p':
		buf_append(out, macros->validated);
		break;
	case 'v':
		buf_append(out, macros->client.family == IP_V6
					? SPAN_LIT("ip6")
					: SPAN_LIT("in-addr"));
		break;
	case 'h':
		buf_append(out, macros->helo);
		break;
	case 'c':
		buf_append(out, ip_format(&macros->client, text));
		break;
	case 'r':
		buf_append(out, macros->gate);
		break;
	case 't':
		buf_append_u64(out, macros->now_s);
		break;
	default:
		break;
	}
}

/* --- transformers ------------------------------------------------------- */

/* RFC 7208 7.3, RFC 3986 2.3: what is not unreserved is %XX. */
static void
append_escaped(struct span text, struct buf *out)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (octet_is_alpha(c) || octet_is_digit(c) ||
		    is_among(c, SPAN_LIT("-._~"))) {
			buf_append_octet(out, c);
			continue;
		}
		buf_append_octet(out, '%');
		buf_append_octet(out, (uint8_t)digits[c >> 4]);
		buf_append_octet(out, (uint8_t)digits[c & 15]);
	}
}

static void
append_part(const struct spf_piece *piece, struct span part, struct buf *out)
{
	if (piece->is_escaped)
		append_escaped(part, out);
	else
		buf_append(out, part);
}

/* Cut s into its parts; how many there are. */
static size_t
split(struct span s, struct span delimiters, struct span part[VALUE_MAX + 1])
{
	size_t count = 0;

	if (delimiters.n == 0)
		delimiters = SPAN_LIT(".");
	for (;;) {
		size_t n = 0;

		while (n < s.n && !is_among(s.p[n], delimiters))
			n++;
		part[count++] = span_first(s, n);
		if (n == s.n)
			return count;
		s = span_after(s, n + 1);
	}
}

/* RFC 7208 7.3: split, reverse, keep those on the right, join by dots. */
static void
append_parts(const struct spf_piece *piece, struct span value, struct buf *out)
{
	struct span part[VALUE_MAX + 1];
	size_t count = split(value, piece->delimiters, part);
	size_t first = 0;

	if (piece->parts > 0 && piece->parts < count)
		first = count - piece->parts;
	for (size_t i = first; i < count; i++) {
		if (i > first)
			buf_append_octet(out, '.');
		append_part(piece, part[piece->is_reversed ? count - 1 - i : i],
			    out);
	}
}

/* The octets that the macro stands for, before they are cut. */
static size_t
append_macro(const struct spf_macros *macros, const struct spf_piece *piece,
	     struct buf *out)
{
	bool is_whole = piece->parts == 0 && !piece->is_reversed &&
			piece->delimiters.n == 0;
	size_t before = out->n, octets;
	ROOM(room, VALUE_MAX + 1);
	struct buf value;

	if (is_whole && !piece->is_escaped) {
		append_value(macros, piece->letter, out);
		return out->n - before;
	}
	buf_init_room(&value, VALUE_MAX, room, sizeof(room));
	append_value(macros, piece->letter, &value);
	out->has_overflowed |= value.has_overflowed;
	if (is_whole)
		append_escaped(buf_span(&value), out);
	else
		append_parts(piece, buf_span(&value), out);
	octets = value.n;
	buf_fini(&value);
	return octets;
}

bool
spf_expand(const struct spf_macros *macros, struct span text,
	   bool is_explanation, struct buf *out)
{
	struct spf_piece piece;
	size_t octets = 0;

	while (text.n > 0) {
		if (!spf_piece_next(&text, is_explanation, &piece))
			return false;
		if (piece.letter != 0)
			octets += append_macro(macros, &piece, out);
		else
			buf_append(out, piece.literal);
		if (out->has_overflowed || octets > SPF_EXPANSION_MAX)
			return false;
	}
	return true;
}

/* --- names for DNS ------------------------------------------------------ */

/* A backslash would be read as an escape where names are written out. */
static bool
is_name(struct span name)
{
	size_t label = 0;

	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];

		if (c == '.' && label == 0)
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > DOMAIN_LABEL_MAX || c < ' ' || c >= 0x7f ||
		    c == '\\')
			return false;
	}
	return label > 0;
}

struct span
spf_target_name(struct span expanded, struct arena *arena)
{
	struct span name = expanded;
	uint8_t *octets;

	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	while (name.n > DOMAIN_MAX)
		name = domain_parent(name);
	if (!is_name(name))
		return SPAN_NONE;
	octets = arena_alloc(arena, name.n);
	if (octets == NULL)
		return SPAN_NONE;
	for (size_t i = 0; i < name.n; i++)
		octets[i] = octet_lower(name.p[i]);
	return span_make(octets, name.n);
}
