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
			? DKIM_KEY_ED25519
			: DKIM_KEY_RSA;
	return reader->candidate->is_sha1 ||
	       reader->candidate->key_type == DKIM_KEY_ED25519 ||
	       span_equal_nocase(a, SPAN_LIT("rsa-sha256")) ||
	       malformed(reader, "no algorithm, or an unknown one");
}

/* RFC 6376 3.5: c=; a method for the body is "simple" where it is absent. */
static bool
read_canonicalization(struct reader *reader)
{
	struct span c, header, body;
	size_t slash;

	if (!find(reader, SPAN_LIT("c"), &c))
		return true;
	slash = span_find(c, '/');
	header = span_first(c, slash);
	body = slash == c.n ? SPAN_LIT("simple") : span_after(c, slash + 1);
	reader->candidate->is_body_relaxed =
		span_equal_nocase(body, SPAN_LIT("relaxed"));
	return ((span_equal_nocase(header, SPAN_LIT("simple")) ||
		 span_equal_nocase(header, SPAN_LIT("relaxed"))) &&
		(span_equal_nocase(body, SPAN_LIT("simple")) ||
		 reader->candidate->is_body_relaxed)) ||
	       malformed(reader, "an unknown canonicalization");
}

static bool
is_base64(struct span value)
{
	uint8_t octets[DKIM_SIGNATURE_MAX];
	size_t n;

	return taglist_base64(value, octets, sizeof(octets), &n) && n > 0;
}

static bool
read_hashes(struct reader *reader)
{
	struct span b, bh;

	find(reader, SPAN_LIT("b"), &b);
	find(reader, SPAN_LIT("bh"), &bh);
	return (is_base64(b) && is_base64(bh)) ||
	       malformed(reader, "no b= or bh=, or not in base64");
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

static bool
read_header_list(struct reader *reader)
{
	bool has_from = false;
	size_t names = 0;
	struct span h, name;

	find(reader, SPAN_LIT("h"), &h);
	if (h.n > DKIM_H_MAX)
		return refuse(reader, DKIM_POLICY, "too many names in h=");
	while (taglist_next(&h, &name)) {
		if (!is_field_name(name))
			return malformed(reader, "h= names no field");
		has_from |= span_equal_nocase(name, SPAN_LIT("From"));
		reader->candidate->covers_signatures |=
			span_equal_nocase(name, SPAN_LIT("DKIM-Signature"));
		if (++names > DKIM_H_NAMES_MAX)
			return refuse(reader, DKIM_POLICY,
				      "too many names in h=");
	}
	/* RFC 6376 5.4 */
	return has_from || malformed(reader, "h= does not name From");
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
	return read_number(reader, SPAN_LIT("l"),
			   &reader->signature->has_length,
			   &reader->candidate->length) ||
	       malformed(reader, "l= is no number");
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

void
dkim_signature_read(const struct field *field, uint64_t now_s,
		    struct arena *arena, struct dkim_signature *signature,
		    struct dkim_candidate *candidate)
{
	struct reader reader = { .arena = arena,
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
	if (!is_ascii(field->raw)) { /* RFC 8616 5 allows what it cannot do */
		malformed(&reader, "not ASCII, which the engine cannot read");
		return;
	}
	if (read_version(&reader) && read_algorithm(&reader) &&
	    read_canonicalization(&reader) && read_hashes(&reader) &&
	    read_key_name(&reader) && read_identity(&reader) &&
	    read_header_list(&reader) && read_query(&reader) &&
	    read_length(&reader) && read_times(&reader))
		candidate->fate = DKIM_FATE_VERIFIED;
}
