/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * address: RFC 5321 paths, host names and literals. The From field has its own
 * grammar and its own file, from.c.
 *
 * Why the path is not simply copied between '<' and '>': what is written to
 * the backend must be read there as it was read here. Each part is checked
 * octet by octet against the grammar and the path is put together again.
 */
#include "smtp/address.h"

#define LABEL_MAX 63 /* RFC 1035 2.3.4 */

/* Octets of the UTF-8 sequence s starts with; 0 if it is not well-formed.
 * The table of RFC 3629 4: the second octet's range depends on the first. */
static size_t
utf8_sequence(struct span s)
{
	uint8_t first = s.p[0];
	uint8_t low = 0x80, high = 0xbf;
	size_t n;

	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	n = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (first == 0xe0)
		low = 0xa0; /* else overlong */
	else if (first == 0xed)
		high = 0x9f; /* else a surrogate */
	else if (first == 0xf0)
		low = 0x90; /* else overlong */
	else if (first == 0xf4)
		high = 0x8f; /* else over U+10FFFF */
	if (s.n < n || s.p[1] < low || s.p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s.p[i] < 0x80 || s.p[i] > 0xbf)
			return 0;
	return n;
}

bool
address_is_utf8(struct span text)
{
	while (text.n > 0) {
		size_t n = utf8_sequence(text);

		if (n == 0)
			return false;
		text = span_after(text, n);
	}
	return true;
}

/* Whether well-formed UTF-8 starts with a control character. */
static bool
is_control(struct span s)
{
	if (s.p[0] == 0xc2)
		return s.p[1] < 0xa0; /* C1: U+0080 to U+009F */
	return (s.p[0] < ' ' && s.p[0] != '\t') || s.p[0] == 0x7f;
}

bool
address_is_text(struct span text)
{
	while (text.n > 0) {
		size_t n = utf8_sequence(text);

		if (n == 0 || is_control(text))
			return false;
		text = span_after(text, n);
	}
	return true;
}

bool
octet_is_atext(uint8_t c)
{
	struct span special = SPAN_LIT("!#$%&'*+-/=?^_`{|}~");

	return c >= 0x80 || octet_is_alpha(c) || octet_is_digit(c) ||
	       span_find(special, c) < special.n;
}

static bool
octet_is_label(uint8_t c)
{
	return c >= 0x80 || octet_is_alpha(c) || octet_is_digit(c) ||
	       c == '-' || c == '_';
}

static bool
is_label(struct span label)
{
	if (label.n == 0 || label.n > LABEL_MAX)
		return false;
	if (label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!octet_is_label(label.p[i]))
			return false;
	return true;
}

bool
address_is_domain(struct span text)
{
	if (text.n > ADDRESS_DOMAIN_MAX || !address_is_text(text))
		return false;
	for (;;) {
		size_t n = span_find(text, '.');

		if (!is_label(span_first(text, n)))
			return false;
		if (n == text.n)
			return true;
		text = span_after(text, n + 1);
	}
}

bool
address_literal_parse(struct span text, struct ip *ip)
{
	struct span tag = SPAN_LIT("IPv6:");
	bool is_tagged;

	if (text.n < 2 || text.p[0] != '[' || text.p[text.n - 1] != ']')
		return false;
	text = span_make(text.p + 1, text.n - 2);
	is_tagged = span_starts_nocase(text, tag);
	if (is_tagged)
		text = span_after(text, tag.n);
	/* RFC 5321 4.1.3: the tag, and only the tag, says which it is. */
	if (is_tagged != (span_find(text, ':') < text.n))
		return false;
	return ip_parse(text, ip);
}

static bool
take(struct span *in, uint8_t c)
{
	if (in->n == 0 || in->p[0] != c)
		return false;
	*in = span_after(*in, 1);
	return true;
}

/* A dot-string, its dots wherever they are; none if it is empty. */
static struct span
dot_string_take(struct span *in)
{
	size_t n = 0;

	while (n < in->n && (octet_is_atext(in->p[n]) || in->p[n] == '.'))
		n++;
	*in = span_after(*in, n);
	return span_make(n == 0 ? NULL : in->p - n, n);
}

/* A quoted string with its quotes; none if it does not end. */
static struct span
quoted_take(struct span *in)
{
	size_t n = 1;

	while (n < in->n && in->p[n] != '"') {
		/* RFC 5321 4.1.2 quoted-pairSMTP: printable ASCII only. */
		if (in->p[n] == '\\' && ++n < in->n && in->p[n] > '~')
			return SPAN_NONE;
		n++;
	}
	if (n >= in->n)
		return SPAN_NONE;
	*in = span_after(*in, n + 1);
	return span_make(in->p - (n + 1), n + 1);
}

static bool
local_take(struct span *in, struct span *local)
{
	if (in->n > 0 && in->p[0] == '"')
		*local = quoted_take(in);
	else
		*local = dot_string_take(in);
	return local->n > 0 && local->n <= ADDRESS_LOCAL_MAX &&
	       span_find(*local, '\t') == local->n && address_is_text(*local);
}

static bool
domain_take(struct span *in, struct span *domain)
{
	size_t n = 0;

	while (n < in->n && (octet_is_label(in->p[n]) || in->p[n] == '.'))
		n++;
	*domain = span_first(*in, n);
	*in = span_after(*in, n);
	return address_is_domain(*domain);
}

static bool
literal_take(struct span *in, struct span *domain)
{
	size_t n = span_find(*in, ']');
	struct ip ip;

	if (n == in->n)
		return false;
	*domain = span_first(*in, n + 1);
	*in = span_after(*in, n + 1);
	return address_literal_parse(*domain, &ip);
}

/* RFC 5321 4.1.2 A-d-l, which appendix C wants accepted and ignored. */
static bool
route_skip(struct span *in)
{
	struct span domain;

	if (in->n == 0 || in->p[0] != '@')
		return true;
	do {
		if (!take(in, '@') || !domain_take(in, &domain))
			return false;
	} while (take(in, ','));
	return take(in, ':');
}

static bool
mailbox_take(struct span *in, struct path *path)
{
	if (!local_take(in, &path->local))
		return false;
	if (!take(in, '@')) /* RFC 5321 4.5.1 */
		return span_equal_nocase(path->local, SPAN_LIT("postmaster"));
	path->is_literal = in->n > 0 && in->p[0] == '[';
	return path->is_literal ? literal_take(in, &path->domain)
				: domain_take(in, &path->domain);
}

static bool
has_utf8(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 0x80)
			return true;
	return false;
}

bool
path_parse(struct span *in, struct path *path)
{
	struct span rest = *in;
	struct path parsed = { .is_null = false };

	if (!take(&rest, '<'))
		return false;
	parsed.is_null = take(&rest, '>');
	if (!parsed.is_null &&
	    (!route_skip(&rest) || !mailbox_take(&rest, &parsed) ||
	     !take(&rest, '>')))
		return false;
	if (in->n - rest.n > ADDRESS_PATH_MAX)
		return false;
	parsed.is_utf8 = has_utf8(span_first(*in, in->n - rest.n));
	*path = parsed;
	*in = rest;
	return true;
}

bool
path_format(const struct path *path, struct buf *buf)
{
	buf_append_octet(buf, '<');
	if (!path->is_null) {
		buf_append(buf, path->local);
		if (path->domain.n > 0) {
			buf_append_octet(buf, '@');
			buf_append(buf, path->domain);
		}
	}
	return buf_append_octet(buf, '>');
}
