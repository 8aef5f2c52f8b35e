/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * authres_parse: Authentication-Results as RFC 8601 2.2 has them, and nothing
 * else, for tests of what we write. It was made from the grammar, and shares
 * nothing with dmarc/authres.c; what it finds is compared with what was meant.
 *
 * UTF-8 is taken in quoted strings (RFC 6532); comments and folds where the
 * grammar has CFWS. Values are given as they are meant, without quotes.
 */
#ifndef TESTS_AUTHRES_PARSE_H
#define TESTS_AUTHRES_PARSE_H

#include "smtp/address.h"

#include <assert.h>

#define AUTHRES_METHODS_MAX 40
#define AUTHRES_PROPERTIES_MAX 8
#define AUTHRES_TEXT_MAX 1200

struct authres_text {
	uint8_t octets[AUTHRES_TEXT_MAX];
	size_t n;
};

struct authres_property {
	struct authres_text name; /* "smtp.mailfrom"; "reason" as well */
	struct authres_text value;
};

struct authres_method {
	struct authres_text method, result;
	size_t count;
	struct authres_property property[AUTHRES_PROPERTIES_MAX];
};

struct authres {
	struct authres_text id;
	size_t count; /* 0 for "none" */
	struct authres_method method[AUTHRES_METHODS_MAX];
};

static inline bool
authres_take(struct span *s, const char *text)
{
	struct span wanted = span_cstr(text);

	if (!span_starts_nocase(*s, wanted))
		return false;
	*s = span_after(*s, wanted.n);
	return true;
}

static inline bool
authres_is(const struct authres_text *text, const char *wanted)
{
	return span_equal(span_make(text->octets, text->n), span_cstr(wanted));
}

static inline void
authres_add(struct authres_text *text, uint8_t c)
{
	assert(text->n < AUTHRES_TEXT_MAX);
	text->octets[text->n++] = c;
}

/* [CFWS]; how many octets. A fold needs white space and more behind it. */
static inline size_t
authres_cfws(struct span *s)
{
	size_t before = s->n, depth = 0;

	while (s->n > 0) {
		uint8_t c = s->p[0];

		if (span_starts(*s, SPAN_LIT("\r\n ")) ||
		    span_starts(*s, SPAN_LIT("\r\n\t")))
			*s = span_after(*s, 2);
		else if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (depth > 0 && c == '\\' && s->n > 1)
			*s = span_after(*s, 1);
		else if (depth == 0 && !octet_is_wsp(c))
			break;
		*s = span_after(*s, 1);
	}
	return depth > 0 ? 0 : before - s->n;
}

/* Letters, digits and hyphens, the last no hyphen: Keyword of RFC 5321. */
static inline bool
authres_keyword(struct span *s, struct authres_text *text)
{
	while (s->n > 0 && (octet_is_alpha(s->p[0]) ||
			    octet_is_digit(s->p[0]) || s->p[0] == '-')) {
		authres_add(text, s->p[0]);
		*s = span_after(*s, 1);
	}
	return text->n > 0 && text->octets[text->n - 1] != '-';
}

/* RFC 5322 3.2.4, without folds. */
static inline bool
authres_quoted(struct span *s, struct authres_text *text)
{
	if (!authres_take(s, "\""))
		return false;
	while (s->n > 0 && s->p[0] != '"') {
		if (s->p[0] == '\\')
			*s = span_after(*s, 1);
		if (s->n == 0 || s->p[0] < ' ' || s->p[0] == 127)
			return false;
		authres_add(text, s->p[0]);
		*s = span_after(*s, 1);
	}
	return address_is_text(span_make(text->octets, text->n)) &&
	       authres_take(s, "\"");
}

static inline bool
authres_octet_is_token(uint8_t c)
{
	return c > ' ' && c < 127 && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

/* value: token or quoted-string, both of RFC 2045 5.1. */
static inline bool
authres_value(struct span *s, struct authres_text *text)
{
	if (s->n > 0 && s->p[0] == '"')
		return authres_quoted(s, text);
	while (s->n > 0 && authres_octet_is_token(s->p[0])) {
		authres_add(text, s->p[0]);
		*s = span_after(*s, 1);
	}
	return text->n > 0;
}

/* dot-atom of ASCII. */
static inline bool
authres_is_dot_atom(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] > 127 ||
		    (s.p[i] == '.' ? i == 0 || i + 1 == s.n || s.p[i - 1] == '.'
				   : !octet_is_atext(s.p[i])))
			return false;
	return s.n > 0;
}

/* domain-name of RFC 6376 3.5: sub-domain 1*("." sub-domain). */
static inline bool
authres_is_domain_name(struct span s)
{
	size_t labels = 0;

	for (;; labels++) {
		size_t n = span_find(s, '.');

		if (n == 0 || s.p[0] == '-' || s.p[n - 1] == '-')
			return false;
		for (size_t i = 0; i < n; i++)
			if (!octet_is_alpha(s.p[i]) &&
			    !octet_is_digit(s.p[i]) && s.p[i] != '-')
				return false;
		if (n == s.n)
			return labels > 0;
		s = span_after(s, n + 1);
	}
}

/* pvalue: a value, or [ [ local-part ] "@" ] domain-name. */
static inline bool
authres_pvalue(struct span *s, struct authres_text *text)
{
	struct span word;
	size_t n = 0, at;

	if (s->n > 0 && s->p[0] == '"')
		return authres_quoted(s, text);
	while (n < s->n && s->p[n] > ' ' && s->p[n] != ';' && s->p[n] != '(')
		n++;
	word = span_first(*s, n);
	at = span_find(word, '@');
	if (at == n)
		return authres_value(s, text) && text->n == n;
	if ((at > 0 && !authres_is_dot_atom(span_first(word, at))) ||
	    !authres_is_domain_name(span_after(word, at + 1)))
		return false;
	for (size_t i = 0; i < n; i++)
		authres_add(text, word.p[i]);
	*s = span_after(*s, n);
	return true;
}

static inline bool
authres_property(struct span *s, struct authres_property *property)
{
	*property = (struct authres_property){ .name = { .n = 0 } };
	if (!authres_keyword(s, &property->name))
		return false;
	authres_cfws(s);
	if (authres_is(&property->name, "reason")) {
		if (!authres_take(s, "="))
			return false;
		authres_cfws(s);
		return authres_value(s, &property->value);
	}
	if (!authres_take(s, "."))
		return false;
	authres_add(&property->name, '.');
	authres_cfws(s);
	if (!authres_keyword(s, &property->name))
		return false;
	authres_cfws(s);
	if (!authres_take(s, "="))
		return false;
	authres_cfws(s);
	return authres_pvalue(s, &property->value);
}

/* Behind the ";". A reason comes first, and once. */
static inline bool
authres_method(struct span *s, struct authres_method *method)
{
	*method = (struct authres_method){ .count = 0 };
	authres_cfws(s);
	if (!authres_keyword(s, &method->method))
		return false;
	authres_cfws(s);
	if (!authres_take(s, "="))
		return false;
	authres_cfws(s);
	if (!authres_keyword(s, &method->result))
		return false;
	for (;;) {
		size_t space = authres_cfws(s);
		struct authres_property *next =
			&method->property[method->count];

		if (s->n == 0 || s->p[0] == ';' || s->p[0] == '\r')
			return true;
		if (space == 0 || method->count == AUTHRES_PROPERTIES_MAX ||
		    !authres_property(s, next) ||
		    (authres_is(&next->name, "reason") && method->count > 0))
			return false;
		method->count++;
	}
}

/* A whole field, from its name to its final CR LF. */
static inline bool
authres_parse(struct span s, struct authres *authres)
{
	struct span none;

	authres->id.n = 0;
	authres->count = 0;
	if (!authres_take(&s, "Authentication-Results:"))
		return false;
	authres_cfws(&s);
	if (!authres_value(&s, &authres->id))
		return false;
	authres_cfws(&s);
	none = s;
	if (authres_take(&none, ";") && authres_cfws(&none) > 0 &&
	    authres_take(&none, "none\r\n") && none.n == 0)
		return true;
	while (authres_take(&s, ";")) {
		if (authres->count == AUTHRES_METHODS_MAX ||
		    !authres_method(&s, &authres->method[authres->count++]))
			return false;
		authres_cfws(&s);
	}
	return authres->count > 0 && authres_take(&s, "\r\n") && s.n == 0;
}

#endif
