/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arc_results: one ARC-Authentication-Results.
 *
 * Why not the reader of dmarc/authres: that one wants no more than the
 * authserv-id, and takes what it cannot read for forged. Here every result
 * and property is read, and what cannot be read is no claim.
 */
#include "dmarc/arc_results.h"

#include "dmarc/domain.h"

#define VALUE_MAX 1000 /* octets of one value; no domain is longer */

enum method {
	METHOD_OTHER,
	METHOD_DMARC,
	METHOD_DKIM,
	METHOD_SPF,
};

struct value {
	uint8_t octets[VALUE_MAX];
	size_t n;
};

/* One result with its properties. */
struct result {
	enum method method;
	bool is_pass;
	struct span from;     /* header.from, normalised */
	struct span signer;   /* header.d */
	struct span identity; /* domain of header.i */
	struct span mailfrom; /* domain of smtp.mailfrom */
	bool is_spoilt;       /* one of these was there twice, or is none */
};

struct reader {
	struct span rest;
	struct arena *arena;
	struct arc_results *results;
};

/* --- words --- */

/* A comment from its "(" on; false if it does not end. */
static bool
skip_comment(struct span *s)
{
	size_t depth = 0;

	do {
		size_t n = s->p[0] == '\\' ? 2 : 1;

		if (s->n < n)
			return false;
		depth += s->p[0] == '(';
		depth -= s->p[0] == ')';
		*s = span_after(*s, n);
	} while (depth > 0 && s->n > 0);
	return depth == 0;
}

static bool
is_space(uint8_t c)
{
	return octet_is_wsp(c) || c == '\r' || c == '\n';
}

static bool
skip_cfws(struct span *s)
{
	while (s->n > 0 && (s->p[0] == '(' || is_space(s->p[0]))) {
		if (s->p[0] != '(')
			*s = span_after(*s, 1);
		else if (!skip_comment(s))
			return false;
	}
	return true;
}

/* Whether that octet is next, behind CFWS; it is taken. */
static bool
take(struct span *s, uint8_t c)
{
	if (!skip_cfws(s) || s->n == 0 || s->p[0] != c)
		return false;
	*s = span_after(*s, 1);
	return true;
}

/* Name of a method, result or property: RFC 8601 2.2 has letters, digits and
 * hyphens; the dot is between the type of a property and its name. */
static struct span
take_name(struct span *s)
{
	struct span name;
	size_t n = 0;

	if (!skip_cfws(s))
		return SPAN_NONE;
	while (n < s->n &&
	       (octet_is_alpha(s->p[n]) || octet_is_digit(s->p[n]) ||
		s->p[n] == '-' || s->p[n] == '_' || s->p[n] == '.'))
		n++;
	name = span_first(*s, n);
	*s = span_after(*s, n);
	return name;
}

static bool
add(struct value *value, uint8_t c)
{
	if (value->n == VALUE_MAX)
		return false;
	value->octets[value->n++] = c;
	return true;
}

/* Without its quotes, behind the first of which it stands. */
static bool
take_quoted(struct span *s, struct value *value)
{
	while (s->n > 0) {
		uint8_t c = s->p[0];

		*s = span_after(*s, 1);
		if (c == '"')
			return true;
		if (c == '\\' && s->n > 0) {
			c = s->p[0];
			*s = span_after(*s, 1);
		}
		if (c < ' ' || c == 127 || !add(value, c))
			return false;
	}
	return false;
}

static bool
is_plain(uint8_t c)
{
	const struct span ends = SPAN_LIT("()<>,;\\\"");

	return c > ' ' && c != 127 && span_find(ends, c) == ends.n;
}

/* A token or a quoted string; of a quoted local part, "@" and its domain
 * follow. *is_quoted tells whether any of it was in quotes. */
static bool
take_value(struct span *s, struct value *value)
{
	bool is_quoted;

	value->n = 0;
	if (!skip_cfws(s) || s->n == 0)
		return false;
	is_quoted = s->p[0] == '"';
	if (is_quoted) {
		*s = span_after(*s, 1);
		if (!take_quoted(s, value))
			return false;
		if (s->n == 0 || s->p[0] != '@')
			return s->n == 0 || !is_plain(s->p[0]);
	}
	while (s->n > 0 && is_plain(s->p[0])) {
		if (!add(value, s->p[0]))
			return false;
		*s = span_after(*s, 1);
	}
	/* nothing may be glued to its end */
	return (value->n > 0 || is_quoted) &&
	       (s->n == 0 || s->p[0] == ';' || s->p[0] == '(' ||
		is_space(s->p[0]));
}

/* --- results --- */

static bool
is(struct span s, const char *word)
{
	return span_equal_nocase(s, span_cstr(word));
}

/* The domain of an address, or of a value that is one; empty if it is none. */
static struct span
domain_of(struct reader *reader, const struct value *value)
{
	size_t at = value->n;
	struct span domain;

	while (at > 0 && value->octets[at - 1] != '@')
		at--;
	return domain_normalise(span_make(value->octets + at, value->n - at),
				reader->arena, &domain)
		       ? domain
		       : SPAN_NONE;
}

/* A property that counts: twice, or unreadable, it spoils the result. */
static void
note_once(struct result *result, struct span *place, struct span domain)
{
	result->is_spoilt |= place->n > 0 || domain.n == 0;
	*place = domain;
}

/* Where a property that is a domain belongs. */
static struct span *
place_of(struct result *result, struct span name)
{
	if (is(name, "header.from"))
		return &result->from;
	if (is(name, "header.d"))
		return &result->signer;
	if (is(name, "header.i"))
		return &result->identity;
	return is(name, "smtp.mailfrom") ? &result->mailfrom : NULL;
}

static void
note_property(struct reader *reader, struct result *result, struct span name,
	      const struct value *value)
{
	struct ip *remote_ip = &reader->results->remote_ip;
	struct span *place = place_of(result, name);

	if (place != NULL)
		note_once(result, place, domain_of(reader, value));
	if (is(name, "smtp.remote-ip") && remote_ip->family == IP_NONE)
		ip_parse(span_make(value->octets, value->n), remote_ip);
}

/* "name=value" until the semicolon. RFC 8601 2.2: reasonspec, propspec. */
static bool
read_properties(struct reader *reader, struct result *result)
{
	struct value value;
	struct span name;

	for (;;) {
		if (!skip_cfws(&reader->rest))
			return false;
		if (reader->rest.n == 0 || reader->rest.p[0] == ';')
			return true;
		name = take_name(&reader->rest);
		if (name.n == 0 || !take(&reader->rest, '=') ||
		    !take_value(&reader->rest, &value))
			return false;
		note_property(reader, result, name, &value);
	}
}

static void
add_claim(struct arc_results *results, bool is_spf, struct span domain)
{
	if (domain.n == 0 || results->claims == ARC_CLAIMS_MAX)
		return;
	results->claim[results->claims++] =
		(struct arc_claim){ .is_spf = is_spf, .domain = domain };
}

static void
take_result(struct arc_results *results, const struct result *result)
{
	bool is_pass = result->is_pass && !result->is_spoilt;

	switch (result->method) {
	case METHOD_DMARC:
		results->is_dmarc_pass = is_pass && (results->dmarc == 0 ||
						     results->is_dmarc_pass);
		results->dmarc++;
		results->dmarc_from = result->from;
		return;
	case METHOD_DKIM:
		if (is_pass)
			add_claim(results, false,
				  result->signer.n > 0 ? result->signer
						       : result->identity);
		return;
	case METHOD_SPF:
		if (is_pass)
			add_claim(results, true, result->mailfrom);
		return;
	case METHOD_OTHER:
		return;
	}
}

static enum method
method_of(struct span name)
{
	return is(name, "dmarc")  ? METHOD_DMARC
	       : is(name, "dkim") ? METHOD_DKIM
	       : is(name, "spf")  ? METHOD_SPF
				  : METHOD_OTHER;
}

/* [ "/" version ]: this one is 1. */
static bool
read_version(struct span *rest)
{
	return !take(rest, '/') || span_equal(take_name(rest), SPAN_LIT("1"));
}

/* methodspec and what belongs to it; at "none" there is nothing. */
static bool
read_result(struct reader *reader)
{
	struct result result = { .method = METHOD_OTHER };
	struct span name = take_name(&reader->rest), word;

	if (name.n == 0 || !read_version(&reader->rest))
		return false;
	if (!take(&reader->rest, '='))
		return is(name, "none") && skip_cfws(&reader->rest) &&
		       (reader->rest.n == 0 || reader->rest.p[0] == ';');
	word = take_name(&reader->rest);
	if (word.n == 0)
		return false;
	result.method = method_of(name);
	result.is_pass = is(word, "pass");
	if (!read_properties(reader, &result))
		return false;
	take_result(reader->results, &result);
	return true;
}

/* RFC 8601 2.2: authserv-id [ CFWS version ] */
static bool
read_id(struct span *rest)
{
	struct value id;
	struct span version;

	if (!take_value(rest, &id))
		return false;
	version = take_name(rest);
	return version.n == 0 || span_equal(version, SPAN_LIT("1"));
}

bool
arc_results_instance(struct span body, unsigned *instance, struct span *rest)
{
	struct span digits;
	uint64_t number;

	if (!take(&body, 'i') || !take(&body, '='))
		return false;
	digits = take_name(&body);
	if (digits.n > 2 || !span_u64(digits, &number) || number == 0 ||
	    !take(&body, ';'))
		return false;
	*instance = (unsigned)number;
	*rest = body;
	return true;
}

/* *( ";" methodspec … ) */
static bool
read_results(struct reader *reader)
{
	size_t count = 0;

	while (take(&reader->rest, ';')) {
		struct span behind = reader->rest;

		if (!skip_cfws(&behind))
			return false;
		/* one semicolon more at the end is common, and harmless */
		if (behind.n == 0)
			return count > 0;
		if (++count > ARC_RESULTS_MAX || !read_result(reader))
			return false;
	}
	return reader->rest.n == 0 && count > 0;
}

bool
arc_results_parse(struct span rest, struct arena *arena,
		  struct arc_results *results)
{
	struct reader reader = { .rest = rest,
				 .arena = arena,
				 .results = results };

	*results = (struct arc_results){ .dmarc = 0 };
	if (read_id(&reader.rest) && read_results(&reader) &&
	    !arena->has_overflowed)
		return true;
	*results = (struct arc_results){ .dmarc = 0 };
	return false;
}
