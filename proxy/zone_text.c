/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/zone_text.h"

void
zone_text_init(struct zone_text *text, struct span octets)
{
	*text = (struct zone_text){ octets, 1 };
}

static uint8_t
first(const struct zone_text *text)
{
	return text->left.p[0];
}

static void
skip(struct zone_text *text, size_t n)
{
	text->left = span_after(text->left, n);
}

/* To the LF that ends this line, or the end. */
static void
skip_line(struct zone_text *text)
{
	skip(text, span_find(text->left, '\n'));
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Octets of a token without quotes; a backslash takes the next one along. */
static size_t
plain_length(struct span s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] > ' ' && s.p[n] < 0x7f &&
	       memchr("\";()", s.p[n], 4) == NULL)
		n += s.p[n] == '\\' && n + 1 < s.n && s.p[n + 1] > ' ' ? 2 : 1;
	return n;
}

/* Octets before the closing quote of this line; s.n if there is none. */
static size_t
quoted_length(struct span s)
{
	for (size_t n = 0; n < s.n && s.p[n] != '\n'; n++) {
		if (s.p[n] == '"')
			return n;
		if (s.p[n] == '\\' && n + 1 < s.n && s.p[n + 1] != '\n')
			n++;
	}
	return s.n;
}

/* The token that begins here; NULL, or what is wrong. */
static const char *
read_token(struct zone_text *text, struct zone_entry *entry)
{
	struct zone_token token = { .is_quoted = first(text) == '"' };
	size_t n;

	if (token.is_quoted)
		skip(text, 1);
	n = token.is_quoted ? quoted_length(text->left)
			    : plain_length(text->left);
	if (token.is_quoted && n == text->left.n)
		return "a string without a closing quote on its line";
	if (!token.is_quoted && n == 0)
		return "an octet that no token has";
	if (entry->tokens == ZONE_TOKENS_MAX)
		return "an entry of too many parts";
	token.raw = span_first(text->left, n);
	entry->token[entry->tokens++] = token;
	skip(text, n + token.is_quoted);
	return NULL;
}

/* One step into the entry; false at its end or a fault. */
static bool
read_part(struct zone_text *text, struct zone_entry *entry, bool *is_open)
{
	uint8_t c = first(text);

	if (c == '\n') {
		if (!*is_open)
			return false;
		text->line++;
		skip(text, 1);
	} else if (is_blank(c)) {
		skip(text, 1);
	} else if (c == ';') {
		skip_line(text);
	} else if (c == '(' || c == ')') {
		if (*is_open == (c == '('))
			entry->fault = c == '(' ? "parentheses do not nest"
						: "a \")\" without its \"(\"";
		*is_open = c == '(';
		skip(text, 1);
	} else {
		entry->fault = read_token(text, entry);
	}
	return entry->fault == NULL;
}

/* An entry from here to the end of its last line, which may be empty. */
static void
read_entry(struct zone_text *text, struct zone_entry *entry)
{
	bool is_open = false;

	entry->line = text->line;
	entry->tokens = 0;
	entry->fault = NULL;
	entry->has_blank_owner = is_blank(first(text));
	while (text->left.n > 0 && read_part(text, entry, &is_open))
		;
	if (entry->fault == NULL && is_open)
		entry->fault = "a \"(\" without its \")\"";
	if (entry->fault != NULL)
		entry->line = text->line;
	skip_line(text);
	if (text->left.n > 0) {
		text->line++;
		skip(text, 1);
	}
}

bool
zone_text_next(struct zone_text *text, struct zone_entry *entry)
{
	while (text->left.n > 0) {
		read_entry(text, entry);
		if (entry->tokens > 0 || entry->fault != NULL)
			return true;
	}
	return false;
}

/* The octet of the escape behind a backslash, its length in *n; -1 if bad. */
static int
escaped(struct span s, size_t *n)
{
	int value = 0;

	*n = 1;
	if (s.n == 0)
		return -1;
	if (!octet_is_digit(s.p[0]))
		return s.p[0];
	*n = 3;
	for (size_t i = 0; i < 3; i++) {
		if (i == s.n || !octet_is_digit(s.p[i]))
			return -1;
		value = value * 10 + (s.p[i] - '0');
	}
	return value <= 255 ? value : -1;
}

bool
zone_token_decode(struct span raw, struct buf *buf)
{
	while (raw.n > 0) {
		size_t n = 1;
		int octet = raw.p[0];

		raw = span_after(raw, 1);
		if (octet == '\\') {
			octet = escaped(raw, &n);
			if (octet < 0)
				return false;
			raw = span_after(raw, n);
		}
		if (!buf_append_octet(buf, (uint8_t)octet))
			return false;
	}
	return true;
}
