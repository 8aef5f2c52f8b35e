/* SPDX-License-Identifier: BSD-2-Clause */
/* dkim_classes: every way in which the two DKIM engines are known to differ. */
#include "tests/differential/dkim_classes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- what stands in the message ----------------------------------------- */

/* Where the body begins; the end without one. */
static size_t
body_of(const struct dkim_case *made)
{
	const struct buf *octets = &made->octets;
	const uint8_t *at = memmem(octets->p, octets->n, "\r\n\r\n", 4);

	return at == NULL ? octets->n : (size_t)(at - octets->p) + 4;
}

/* A CR or LF alone behind octet `from`. */
static bool
has_bare_end(const struct dkim_case *made, size_t from)
{
	const uint8_t *p = made->octets.p;

	for (size_t i = from; i < made->octets.n; i++) {
		if (p[i] == '\n' && (i == from || p[i - 1] != '\r'))
			return true;
		if (p[i] == '\r' &&
		    (i + 1 == made->octets.n || p[i + 1] != '\n'))
			return true;
	}
	return false;
}

/* The value of a tag of the signature; empty if there is none. */
static struct span
tag_of(struct span field, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 1; i + n < field.n; i++) {
		size_t end = i + n;

		if (strncasecmp((const char *)field.p + i, name, n) != 0 ||
		    field.p[end] != '=' ||
		    strchr("; \t\r\n:", field.p[i - 1]) == NULL)
			continue;
		field = span_after(field, end + 1);
		return span_first(field, span_find(field, ';'));
	}
	return SPAN_NONE;
}

static bool
has_text(struct span text, struct span what)
{
	for (size_t i = 0; i + what.n <= text.n; i++)
		if (strncasecmp((const char *)text.p + i, (const char *)what.p,
				what.n) == 0)
			return true;
	return false;
}

static bool
says(const struct dkim_opinions *opinions, size_t engine, const char *reason)
{
	return strcmp(opinions->reason[engine], reason) == 0;
}

/* --- the predicates ----------------------------------------------------- */

static bool
is_large_header(const struct dkim_case *made,
		const struct dkim_opinions *opinions)
{
	return body_of(made) > 262144 && opinions->result[1] == DKIM_POLICY;
}

static bool
is_long_word(const struct dkim_case *made, const struct dkim_opinions *opinions)
{
	const struct buf *octets = &made->octets;
	size_t word = 0, longest = 0;

	for (size_t i = body_of(made); i < octets->n; i++) {
		word = strchr(" \t\r\n", octets->p[i]) != NULL &&
				       octets->p[i] != 0
			       ? 0
			       : word + 1;
		longest = word > longest ? word : longest;
	}
	return longest > 65536 && opinions->result[1] == DKIM_POLICY;
}

static bool
is_long_key(const struct dkim_case *made, const struct dkim_opinions *opinions)
{
	for (size_t i = 0; i < made->keys; i++)
		if (made->key[i].record.n > 1024)
			return says(opinions, 1, "a key record too long");
	return false;
}

/* The start of an RSAPublicKey of 1024 bits, and of 2048. */
static bool
is_bare_key(const struct dkim_case *made, const struct dkim_opinions *opinions)
{
	for (size_t i = 0; i < made->keys; i++) {
		struct span record = buf_span(&made->key[i].record);

		if (has_text(record, SPAN_LIT("p=MIGJAoGB")) ||
		    has_text(record, SPAN_LIT("p=MIIBCgKC")))
			return says(opinions, 1, "the key cannot be used");
	}
	return false;
}

static bool
is_not_ascii(const struct dkim_case *made, const struct dkim_opinions *opinions)
{
	(void)made;
	for (size_t i = 0; i < opinions->field.n; i++)
		if (opinions->field.p[i] == 0 || opinions->field.p[i] > 127)
			return opinions->result[1] == DKIM_NEUTRAL;
	return false;
}

/* h= names DKIM-Signature. */
static bool
covers_signatures(const struct dkim_opinions *opinions)
{
	struct span names = tag_of(opinions->field, "h");

	return names.n > 0 && memmem(names.p, names.n, "DKIM-Signature", 14);
}

static bool
is_withheld_missed(const struct dkim_case *made,
		   const struct dkim_opinions *opinions)
{
	(void)made;
	return covers_signatures(opinions) &&
	       opinions->result[0] == DKIM_FAIL &&
	       opinions->result[1] == DKIM_POLICY;
}

static bool
is_withheld_passed(const struct dkim_case *made,
		   const struct dkim_opinions *opinions)
{
	(void)made;
	return covers_signatures(opinions) &&
	       opinions->result[0] == DKIM_FAIL &&
	       opinions->result[1] == DKIM_PASS;
}

static bool
is_own_signature(const struct dkim_case *made,
		 const struct dkim_opinions *opinions)
{
	(void)made;
	return covers_signatures(opinions) &&
	       opinions->result[0] == DKIM_PASS &&
	       (opinions->result[1] == DKIM_FAIL ||
		opinions->result[1] == DKIM_POLICY);
}

/* t= or x= in the first 1000000000 seconds. */
static bool
is_early_time(const struct dkim_case *made,
	      const struct dkim_opinions *opinions)
{
	static const char *const names[] = { "t", "x" };

	(void)made;
	for (size_t i = 0; i < 2; i++) {
		struct span value = tag_of(opinions->field, names[i]);

		if (value.n > 0 && value.n < 20 &&
		    strtoull((const char *)value.p, NULL, 10) < 1000000000)
			return opinions->result[1] == DKIM_NEUTRAL;
	}
	return false;
}

/* A field that h= names, and whose name has white space behind it; or the
 * signature with a tab there. */
static bool
is_spaced_name(const struct dkim_case *made,
	       const struct dkim_opinions *opinions)
{
	struct span header = span_make(made->octets.p, body_of(made));
	struct span names = tag_of(opinions->field, "h");

	if (opinions->field.p[sizeof("DKIM-Signature") - 1] == '\t')
		return opinions->result[1] == DKIM_NEUTRAL;
	for (size_t i = 0; i < header.n;) {
		struct span line = span_after(header, i);
		size_t end = span_find(line, '\n'), n = 0;

		while (n < end && line.p[n] > ' ' && line.p[n] != ':')
			n++;
		if (n > 0 && (line.p[n] == ' ' || line.p[n] == '\t') &&
		    has_text(names, span_first(line, n)))
			return opinions->result[0] == DKIM_PASS &&
			       opinions->result[1] == DKIM_FAIL;
		i += end + 1;
	}
	return false;
}

/* A field that h= names, and that has a NUL. */
static bool
is_nul_field(const struct dkim_case *made, const struct dkim_opinions *opinions)
{
	struct span rest = span_make(made->octets.p, body_of(made));
	struct span names = tag_of(opinions->field, "h");
	struct span name = SPAN_NONE;

	while (rest.n > 0) {
		struct span line = span_first(rest, span_find(rest, '\n'));

		if (!octet_is_wsp(rest.p[0]))
			name = span_trim(
				span_first(line, span_find(line, ':')));
		if (span_find(line, 0) < line.n && name.n > 0 &&
		    has_text(names, name))
			return opinions->result[0] == DKIM_FAIL &&
			       opinions->result[1] == DKIM_PASS;
		rest = span_after(rest, line.n < rest.n ? line.n + 1 : line.n);
	}
	return false;
}

/* d= with a dot at its end, and an i=. */
static bool
is_dotted_domain(const struct dkim_case *made,
		 const struct dkim_opinions *opinions)
{
	struct span domain = span_trim(tag_of(opinions->field, "d"));

	(void)made;
	return domain.n > 0 && domain.p[domain.n - 1] == '.' &&
	       opinions->result[1] == DKIM_NEUTRAL;
}

/* i= with more than one "@". */
static bool
is_quoted_at(const struct dkim_case *made, const struct dkim_opinions *opinions)
{
	struct span identity = tag_of(opinions->field, "i");
	size_t at = span_find(identity, '@');

	(void)made;
	return at < identity.n &&
	       span_find(span_after(identity, at + 1), '@') + at + 1 <
		       identity.n &&
	       opinions->result[1] == DKIM_NEUTRAL;
}

static bool
is_bare_end_passed(const struct dkim_case *made,
		   const struct dkim_opinions *opinions)
{
	return has_bare_end(made, 0) && opinions->result[0] == DKIM_FAIL &&
	       opinions->result[1] == DKIM_PASS;
}

static bool
is_bare_end_failed(const struct dkim_case *made,
		   const struct dkim_opinions *opinions)
{
	return has_bare_end(made, body_of(made)) &&
	       opinions->result[1] != DKIM_PASS;
}

/* --- the table ---------------------------------------------------------- */

#define SIGNED \
	.key = SIGNER_ED25519, .is_header_relaxed = true, .s = "s", .fold = " "

#define SIGNED_BY_RSA \
	.key = SIGNER_RSA_1024, .is_header_relaxed = true, .s = "s", .fold = " "

/* clang-format off */
const struct dkim_class dkim_classes[] = {
	{ .name = "large-header", .section = "RFC 6376 3.5",
	  .right = RIGHT_NATIVE,
	  .why = "no header is too large to be signed; libopendkim is slow "
		 "with those over 256 KiB, and is not given any",
	  .holds = is_large_header,
	  .signature = { SIGNED, .names = "From" }, .fill_header = 300000,
	  .native = DKIM_PASS, .library = DKIM_POLICY },
	{ .name = "long-word", .section = "RFC 6376 3.4.4",
	  .right = RIGHT_NATIVE,
	  .why = "lines have any length in a body; libopendkim holds a word "
		 "in memory, and is given none over 64 KiB",
	  .holds = is_long_word,
	  .signature = { SIGNED, .names = "From" }, .fill_body = 65537,
	  .native = DKIM_PASS, .library = DKIM_POLICY },
	{ .name = "long-key", .section = "RFC 6376 3.6.2.2",
	  .right = RIGHT_NATIVE,
	  .why = "the strings of a TXT record are one text of any length; "
		 "libopendkim has room for 1024 octets",
	  .holds = is_long_key,
	  .signature = { SIGNED, .names = "From" }, .fill_key = 1024,
	  .native = DKIM_PASS, .library = DKIM_PERMERROR },
	{ .name = "bare-key", .section = "RFC 6376 3.6.1",
	  .right = RIGHT_NATIVE,
	  .why = "p= is an RSAPublicKey by the text, and by its erratum that in "
		 "a SubjectPublicKeyInfo; libopendkim reads only the latter",
	  .holds = is_bare_key,
	  .signature = { SIGNED_BY_RSA, .names = "From" },
	  .native = DKIM_PASS, .library = DKIM_PERMERROR },
	{ .name = "not-ascii", .section = "RFC 8616 5",
	  .right = RIGHT_NATIVE,
	  .why = "a signature may hold UTF-8; libopendkim knows of none",
	  .holds = is_not_ascii,
	  .signature = { SIGNED, .names = "From", .tags = "; n=\xc3\xbc" },
	  .native = DKIM_PASS, .library = DKIM_NEUTRAL },
	{ .name = "own-signature", .section = "RFC 6376 3.7",
	  .right = RIGHT_NATIVE,
	  .why = "a signature whose h= names DKIM-Signature covers others and "
		 "never itself; libopendkim takes it for one that is covered",
	  .holds = is_own_signature,
	  .signature = { SIGNED, .names = "From:DKIM-Signature" },
	  .native = DKIM_PASS, .library = DKIM_FAIL },
	{ .name = "early-time", .section = "RFC 6376 3.5",
	  .right = RIGHT_NATIVE,
	  .why = "t= before 2001 is a time as any; libopendkim subtracts a "
		 "drift of a billion seconds, and takes it for the future",
	  .holds = is_early_time,
	  .signature = { SIGNED, .names = "From", .tags = "; t=1" },
	  .native = DKIM_PASS, .library = DKIM_NEUTRAL },
	{ .name = "spaced-name", .section = "RFC 5322 4.5",
	  .right = RIGHT_NATIVE,
	  .why = "a field may have white space between its name and the "
		 "colon, and h= means it; libopendkim does not find it",
	  .holds = is_spaced_name,
	  .signature = { SIGNED, .names = "From:Y" }, .header = "Y \t: y\r\n",
	  .native = DKIM_PASS, .library = DKIM_FAIL },
	{ .name = "nul-field", .section = "RFC 6376 5.4.2",
	  .right = RIGHT_NATIVE,
	  .why = "a field with a NUL is a field all the same, and is the one "
		 "that h= means where it is the last; libopendkim is not given "
		 "it, and takes the one above",
	  .holds = is_nul_field,
	  .signature = { SIGNED, .names = "From:Y" }, .header = "Y: y\r\n",
	  .foot = SPAN_LIT("Y: \0\r\n"),
	  .native = DKIM_FAIL, .library = DKIM_PASS },
	{ .name = "bare-end-passed", .section = "RFC 6376 3.4.3",
	  .right = RIGHT_NATIVE,
	  .why = "lines end in CR LF; libopendkim takes LF for CR LF, and so "
		 "for an empty line at the end of a body",
	  .holds = is_bare_end_passed,
	  .signature = { SIGNED, .names = "From" }, .body = "x\r\n",
	  .below = "\n",
	  .native = DKIM_FAIL, .library = DKIM_PASS },
	{ .name = "bare-end-failed", .section = "RFC 6376 3.4.3",
	  .right = RIGHT_NATIVE,
	  .why = "a CR or LF alone is an octet as others; libopendkim makes "
		 "CR LF of it, and another hash",
	  .holds = is_bare_end_failed,
	  .signature = { SIGNED, .names = "From" }, .body = "a\nb\r\n",
	  .native = DKIM_PASS, .library = DKIM_FAIL },
	{ .name = "dotted-domain", .section = "RFC 6376 3.5",
	  .right = RIGHT_EITHER,
	  .why = "d= has no dot at its end by its grammar, and means the same "
		 "domain with one: native drops it, libopendkim then finds i= "
		 "to be of another domain",
	  .holds = is_dotted_domain,
	  .signature = { SIGNED, .names = "From",
			 .tags = "; i=@signer.example",
			 .d = "signer.example." },
	  .native = DKIM_PASS, .library = DKIM_NEUTRAL },
	{ .name = "quoted-at", .section = "RFC 6376 3.5",
	  .right = RIGHT_NATIVE,
	  .why = "the local part of i= may have an \"@\" in quotes, and the "
		 "domain is behind the last one; libopendkim takes the first",
	  .holds = is_quoted_at,
	  .signature = { SIGNED, .names = "From",
			 .tags = "; i=\"a@b\"@signer.example" },
	  .native = DKIM_PASS, .library = DKIM_NEUTRAL },
	{ .name = "withheld-passed", .section = "RFC 6376 5.4.2",
	  .right = RIGHT_NATIVE,
	  .why = "a signature that cannot be read is a field all the same, "
		 "and comes before the one that was covered; libopendkim is "
		 "not given it",
	  .holds = is_withheld_passed,
	  .signature = { SIGNED, .names = "From:DKIM-Signature" },
	  .header = "DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s; "
		    "x=1700000000; h=From; bh=AAAA; b=AAAA\r\n",
	  .foot = SPAN_LIT("DKIM-Signature: none\r\n"),
	  .native = DKIM_FAIL, .library = DKIM_PASS },
	{ .name = "withheld-failed", .section = "RFC 6376 5.4.2",
	  .right = RIGHT_NATIVE,
	  .why = "a signature that covers one which libopendkim is not given "
		 "is not said to have failed by it",
	  .holds = is_withheld_missed,
	  .signature = { SIGNED, .names = "From:DKIM-Signature" },
	  .above = "DKIM-Signature: none\r\n",
	  .native = DKIM_FAIL, .library = DKIM_POLICY },
};
/* clang-format on */

const size_t dkim_class_count = sizeof(dkim_classes) / sizeof(dkim_classes[0]);

static void
fill(struct buf *out, size_t n)
{
	while (n-- > 0)
		buf_append_octet(out, 'x');
}

static void
write_key(const struct dkim_class *class, struct dkim_case *sample)
{
	struct buf *record = &sample->key[0].record;

	sample->keys = 1;
	sample->key[0].records = 1;
	sample->key[0].status = ANSWER_OK;
	snprintf(sample->key[0].name, sizeof(sample->key[0].name),
		 "%s._domainkey.signer.example", class->signature.s);
	buf_reset(record);
	if (class->signature.key == SIGNER_ED25519)
		buf_printf(record, "k=ed25519; p=%s; n=",
			   signer_public(class->signature.key));
	else
		buf_printf(record, "p=%s; n=",
			   signer_bare_public(class->signature.key));
	fill(record, class->fill_key);
}

void
dkim_class_sample(const struct dkim_class *class, struct dkim_case *sample,
		  size_t *at)
{
	struct buf header, body;

	buf_init(&header, 1 << 20);
	buf_init(&body, 1 << 20);
	write_key(class, sample);
	buf_append(&header, SPAN_LIT("From: a@signer.example\r\n"));
	for (size_t i = 0; i < class->fill_header; i += 1000) {
		buf_append(&header, SPAN_LIT("X: "));
		fill(&header, 995);
		buf_append(&header, SPAN_LIT("\r\n"));
	}
	if (class->header != NULL)
		buf_append(&header, span_cstr(class->header));
	if (class->body != NULL)
		buf_append(&body, span_cstr(class->body));
	fill(&body, class->fill_body);
	signer_sign(&class->signature, &header, buf_span(&body));
	buf_reset(&sample->octets);
	if (class->above != NULL)
		buf_append(&sample->octets, span_cstr(class->above));
	buf_append(&sample->octets, buf_span(&header));
	buf_append(&sample->octets, class->foot);
	buf_append(&sample->octets, SPAN_LIT("\r\n"));
	buf_append(&sample->octets, buf_span(&body));
	if (class->below != NULL)
		buf_append(&sample->octets, span_cstr(class->below));
	*at = class->above != NULL;
	buf_fini(&header);
	buf_fini(&body);
}
