/* SPDX-License-Identifier: BSD-2-Clause */
/* dkim_signature: one DKIM-Signature field (RFC 6376 3.5), read before an
 * engine sees it. */
#include "dmarc/dkim_signature.h"

#include "dmarc/domain.h"
#include "dmarc/taglist.h"

#define KEY_LABEL SPAN_LIT("_domainkey")

#define B_START 8                      /* RFC 6008 */
#define IDENTITY_MAX 254               /* octets of i= that an engine sees */
#define NUMBER_MAX ((uint64_t)1 << 62) /* of l=, t= and x= */

struct reader {
	struct taglist tags;
	enum dkim_form form;
	struct arena *arena;
	uint64_t now_s;
	struct dkim_signature *signature;
	struct dkim_candidate *candidate;
};

static bool
refuse(struct reader *reader, enum dkim_result result, const char *reason)
{
	reader->signature->result = result;
	reader->signature->reason = reason;
	return false;
}

/* RFC 8601 2.7.1: neutral, for what cannot be processed. */
static bool
malformed(struct reader *reader, const char *reason)
{
	return refuse(reader, DKIM_NEUTRAL, reason);
}

static bool
find(const struct reader *reader, struct span name, struct span *value)
{
	return taglist_find(&reader->tags, name, value);
}

/* A tag's value without white space; empty if there is no such tag. */
static struct span
compact(const struct reader *reader, struct span name)
{
	struct span value;

	find(reader, name, &value);
	return taglist_compact(value, reader->arena);
}

static bool
read_version(struct reader *reader)
{
	struct span value;

	find(reader, SPAN_LIT("v"), &value);
	return span_equal(value, SPAN_LIT("1")) ||
	       malformed(reader, "no version, or an unknown one");
}

static bool
read_algorithm(struct reader *reader)
{
	struct span a = reader->signature->algorithm;

	reader->candidate->is_sha1 = span_equal_nocase(a, SPAN_LIT("rsa-sha1"));
	reader->candidate->key_type =
		span_equal_nocase(a, SPAN_LIT("ed25519-sha256"))
			? CRYPTO_ED25519
			: CRYPTO_RSA;
	return reader->candidate->is_sha1 ||
	       reader->candidate->key_type == CRYPTO_ED25519 ||
	       span_equal_nocase(a, SPAN_LIT("rsa-sha256")) ||
	       malformed(reader, "no algorithm, or an unknown one");
}

/* RFC 6376 3.5: c=; what is absent is "simple". In ARC it is "relaxed": its
 * seals know nothing else, and its suite and signers hold to that for c=. */
static bool
read_canonicalization(struct reader *reader)
{
	struct span c, header, body;
	size_t slash;

	if (!find(reader, SPAN_LIT("c"), &c)) {
		reader->candidate->is_header_relaxed =
			reader->form == DKIM_FORM_ARC_MESSAGE;
		reader->candidate->is_body_relaxed =
			reader->form == DKIM_FORM_ARC_MESSAGE;
		return true;
	}
	slash = span_find(c, '/');
	header = span_first(c, slash);
	body = slash == c.n ? SPAN_LIT("simple") : span_after(c, slash + 1);
	reader->candidate->is_header_relaxed =
		span_equal_nocase(header, SPAN_LIT("relaxed"));
	reader->candidate->is_body_relaxed =
		span_equal_nocase(body, SPAN_LIT("relaxed"));
	return ((span_equal_nocase(header, SPAN_LIT("simple")) ||
		 reader->candidate->is_header_relaxed) &&
		(span_equal_nocase(body, SPAN_LIT("simple")) ||
		 reader->candidate->is_body_relaxed)) ||
	       malformed(reader, "an unknown canonicalization");
}

/* The octets of a tag in base64; empty if it is none, or absent. */
static struct span
decode(struct reader *reader, struct span name)
{
	uint8_t octets[DKIM_SIGNATURE_MAX];
	struct span value;
	size_t n;

	find(reader, name, &value);
	if (!taglist_base64(value, octets, sizeof(octets), &n))
		return SPAN_NONE;
	return arena_copy(reader->arena, span_make(octets, n));
}

static bool
read_signature(struct reader *reader)
{
	reader->candidate->signature = decode(reader, SPAN_LIT("b"));
	return reader->candidate->signature.n > 0 ||
	       malformed(reader, "no b=, or not in base64");
}

static bool
read_body_hash(struct reader *reader)
{
	reader->candidate->body_hash = decode(reader, SPAN_LIT("bh"));
	return reader->candidate->body_hash.n > 0 ||
	       malformed(reader, "no bh=, or not in base64");
}

static bool
read_key_name(struct reader *reader)
{
	struct dkim_signature *signature = reader->signature;
	struct span prefix;

	if (signature->domain.n == 0)
		return malformed(reader, "d= is no domain");
	if (signature->selector.n == 0)
		return malformed(reader, "s= is no selector");
	prefix = domain_prefix(signature->selector, KEY_LABEL, reader->arena);
	if (prefix.n > 0)
		reader->candidate->key_name =
			domain_prefix(prefix, signature->domain, reader->arena);
	return reader->candidate->key_name.n > 0 ||
	       malformed(reader, "the name of the key is too long");
}

/* "=" and two digits, wherever there is a "=": libopendkim reads on behind
 * the end of the value otherwise. */
static bool
is_quoted_printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		struct span hex = span_after(s, i + 1 < s.n ? i + 1 : s.n);

		if (s.p[i] != '=')
			continue;
		if (hex.n < 2)
			return false;
		for (size_t k = 0; k < 2; k++)
			if (!octet_is_digit(hex.p[k]) &&
			    (hex.p[k] < 'A' || hex.p[k] > 'F'))
				return false;
	}
	return true;
}

/* RFC 6376 3.5: i= is at d= or below it. */
static bool
read_identity(struct reader *reader)
{
	struct dkim_candidate *candidate = reader->candidate;
	struct span i = compact(reader, SPAN_LIT("i"));
	size_t at = i.n;

	candidate->identity_domain = reader->signature->domain;
	if (i.n == 0)
		return !find(reader, SPAN_LIT("i"), &i) ||
		       malformed(reader, "i= is no identity");
	while (at > 0 && i.p[at - 1] != '@')
		at--;
	if (at == 0 || i.n > IDENTITY_MAX || !is_quoted_printable(i) ||
	    !domain_normalise(span_after(i, at), reader->arena,
			      &candidate->identity_domain))
		return malformed(reader, "i= is no identity");
	return domain_is_within(candidate->identity_domain,
				reader->signature->domain) ||
	       malformed(reader, "i= is not within d=");
}

static bool
is_field_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return true;
}

/* One name of h=. RFC 8617 4.1.2: never ARC-Seal, where it is ARC's. */
static bool
read_header_name(struct reader *reader, struct span name)
{
	struct dkim_candidate *candidate = reader->candidate;

	candidate->covers_from |= span_equal_nocase(name, SPAN_LIT("From"));
	candidate->covers_signatures |=
		span_equal_nocase(name, SPAN_LIT("DKIM-Signature"));
	if (reader->form == DKIM_FORM_ARC_MESSAGE &&
	    span_equal_nocase(name, SPAN_LIT("ARC-Seal")))
		return malformed(reader, "h= names ARC-Seal");
	return is_field_name(name) || malformed(reader, "h= names no field");
}

static bool
read_header_list(struct reader *reader)
{
	size_t names = 0;
	struct span h, name;

	if (!find(reader, SPAN_LIT("h"), &h))
		return malformed(reader, "no h=");
	if (h.n > DKIM_H_MAX)
		return refuse(reader, DKIM_POLICY, "too many names in h=");
	reader->candidate->names = h;
	while (taglist_next(&h, &name)) {
		if (!read_header_name(reader, name))
			return false;
		if (++names > DKIM_H_NAMES_MAX)
			return refuse(reader, DKIM_POLICY,
				      "too many names in h=");
	}
	return true;
}

/* RFC 6376 5.4 */
static bool
needs_from(struct reader *reader)
{
	return reader->candidate->covers_from ||
	       malformed(reader, "h= does not name From");
}

/* RFC 8617 4.1.3 */
static bool
needs_no_header_list(struct reader *reader)
{
	struct span h;

	return !find(reader, SPAN_LIT("h"), &h) ||
	       malformed(reader, "a seal with h=");
}

/* RFC 6376 3.5: q=; DNS is the only method there is. */
static bool
read_query(struct reader *reader)
{
	struct span q, method;

	if (!find(reader, SPAN_LIT("q"), &q))
		return true;
	while (taglist_next(&q, &method))
		if (span_equal_nocase(method, SPAN_LIT("dns/txt")) ||
		    span_equal_nocase(method, SPAN_LIT("dns")))
			return true;
	return malformed(reader, "the key is not in DNS");
}

/* False if there is such a tag, but no number. */
static bool
read_number(const struct reader *reader, struct span name, bool *is_there,
	    uint64_t *number)
{
	struct span value;

	*number = 0;
	*is_there = find(reader, name, &value);
	return !*is_there || (span_u64(value, number) && *number <= NUMBER_MAX);
}

static bool
read_length(struct reader *reader)
{
	struct dkim_candidate *candidate = reader->candidate;
	bool *has_length = &reader->signature->has_length;

	if (!read_number(reader, SPAN_LIT("l"), has_length, &candidate->length))
		return malformed(reader, "l= is no number");
	if (!*has_length)
		candidate->length = DKIM_WHOLE_BODY;
	return true;
}

/* RFC 6376 3.5: t= and x=. The last thing to be read: what is out of its time
 * is a good signature otherwise. */
static bool
read_times(struct reader *reader)
{
	bool has_t, has_x;
	uint64_t t, x;

	if (!read_number(reader, SPAN_LIT("t"), &has_t, &t) ||
	    !read_number(reader, SPAN_LIT("x"), &has_x, &x) ||
	    (has_t && has_x && x <= t))
		return malformed(reader, "t= or x= makes no sense");
	reader->candidate->fate = DKIM_FATE_IGNORED;
	if (has_t && t > reader->now_s + DKIM_CLOCK_DRIFT_S)
		return refuse(reader, DKIM_PERMERROR, "signed in the future");
	if (has_x && x + DKIM_CLOCK_DRIFT_S <= reader->now_s)
		return refuse(reader, DKIM_PERMERROR, "expired");
	if (reader->candidate->is_sha1) /* RFC 8301 3.1 */
		return refuse(reader, DKIM_POLICY, "rsa-sha1");
	return true;
}

static struct span
normalised(struct reader *reader, struct span name)
{
	struct span value = compact(reader, name), domain;

	return domain_normalise(value, reader->arena, &domain) ? domain
							       : SPAN_NONE;
}

/* What is told of it whatever comes of it. */
static void
describe(struct reader *reader)
{
	struct dkim_signature *signature = reader->signature;
	struct span a = compact(reader, SPAN_LIT("a"));
	struct span b = compact(reader, SPAN_LIT("b"));
	struct span i;

	find(reader, SPAN_LIT("i"), &i);
	signature->domain = normalised(reader, SPAN_LIT("d"));
	signature->selector = normalised(reader, SPAN_LIT("s"));
	signature->algorithm = arena_copy(reader->arena, a);
	signature->identity = arena_copy(reader->arena, i);
	signature->b_start = arena_copy(
		reader->arena, span_first(b, b.n < B_START ? b.n : B_START));
}

static bool
is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == 0 || s.p[i] > 127)
			return false;
	return true;
}

/* What each form must have. The time comes last: see there. */
static bool
read_form(struct reader *reader)
{
	switch (reader->form) {
	case DKIM_FORM_SIGNATURE:
		return read_version(reader) && read_algorithm(reader) &&
		       read_canonicalization(reader) &&
		       read_signature(reader) && read_body_hash(reader) &&
		       read_key_name(reader) && read_identity(reader) &&
		       read_header_list(reader) && needs_from(reader) &&
		       read_query(reader) && read_length(reader) &&
		       read_times(reader);
	case DKIM_FORM_ARC_MESSAGE:
		return read_algorithm(reader) &&
		       read_canonicalization(reader) &&
		       read_signature(reader) && read_body_hash(reader) &&
		       read_key_name(reader) && read_header_list(reader) &&
		       read_query(reader) && read_length(reader) &&
		       read_times(reader);
	case DKIM_FORM_ARC_SEAL:
		return read_algorithm(reader) && read_signature(reader) &&
		       read_key_name(reader) && needs_no_header_list(reader) &&
		       read_times(reader);
	}
	return false;
}

void
dkim_signature_read(const struct field *field, enum dkim_form form,
		    uint64_t now_s, struct arena *arena,
		    struct dkim_signature *signature,
		    struct dkim_candidate *candidate)
{
	struct reader reader = { .form = form,
				 .arena = arena,
				 .now_s = now_s,
				 .signature = signature,
				 .candidate = candidate };

	candidate->fate = DKIM_FATE_WITHHELD;
	if (field->raw.n > DKIM_SIGNATURE_MAX) {
		refuse(&reader, DKIM_POLICY, "a signature over 8192 octets");
		return;
	}
	if (!taglist_parse(field->body, &reader.tags)) {
		malformed(&reader, "a malformed signature");
		return;
	}
	describe(&reader);
	candidate->is_ascii = is_ascii(field->raw);
	candidate->has_tab =
		span_find(field->raw, '\t') < span_find(field->raw, ':');
	if (read_form(&reader))
		candidate->fate = DKIM_FATE_VERIFIED;
}
