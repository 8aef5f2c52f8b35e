/* SPDX-License-Identifier: BSD-2-Clause */
/* dkim_signer: RFC 6376 from the signer's side. */
#include "tests/differential/dkim_signer.h"

#include "tests/differential/dkim_keys.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DIGEST_OCTETS 32
#define TEXT_MAX ((size_t)8 << 20)
#define PUBLIC_MAX 800

static EVP_PKEY *keys[SIGNER_KEYS];
static char publics[SIGNER_KEYS][PUBLIC_MAX];
static char bare_publics[SIGNER_KEYS][PUBLIC_MAX];

/* --- keys --------------------------------------------------------------- */

static void
write_base64(const uint8_t *octets, size_t n, char *text)
{
	EVP_EncodeBlock((unsigned char *)text, octets, (int)n);
}

/* RFC 8463 4: the bare 32 octets. */
static void
write_ed25519(EVP_PKEY *key, char text[PUBLIC_MAX])
{
	uint8_t bare[32];
	size_t n = sizeof(bare);

	EVP_PKEY_get_raw_public_key(key, bare, &n);
	write_base64(bare, n, text);
}

/* RFC 6376 3.6.1, and its erratum 3017: SubjectPublicKeyInfo, or bare. */
static void
write_rsa(EVP_PKEY *key, bool is_bare, char text[PUBLIC_MAX])
{
	uint8_t *der = NULL;
	int n = is_bare ? i2d_PublicKey(key, &der) : i2d_PUBKEY(key, &der);

	assert(n > 0 && (size_t)n * 4 / 3 + 4 < PUBLIC_MAX);
	write_base64(der, (size_t)n, text);
	OPENSSL_free(der);
}

void
signer_open(void)
{
	for (size_t i = 0; i < SIGNER_KEYS; i++) {
		BIO *bio = BIO_new_mem_buf(dkim_keys[i], -1);

		keys[i] = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
		assert(keys[i] != NULL);
		BIO_free(bio);
		if (i == SIGNER_ED25519) {
			write_ed25519(keys[i], publics[i]);
			continue;
		}
		write_rsa(keys[i], false, publics[i]);
		write_rsa(keys[i], true, bare_publics[i]);
	}
}

void
signer_close(void)
{
	for (size_t i = 0; i < SIGNER_KEYS; i++)
		EVP_PKEY_free(keys[i]);
}

const char *
signer_public(enum signer_key key)
{
	return publics[key];
}

const char *
signer_bare_public(enum signer_key key)
{
	assert(key != SIGNER_ED25519);
	return bare_publics[key];
}

/* --- canonicalisation (RFC 6376 3.4) ------------------------------------ */

static bool
is_wsp(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* 3.4.2: `field` with its final CR LF. */
static void
relax_field(struct span field, struct buf *out)
{
	size_t colon = span_find(field, ':'), name = colon;
	bool has_wsp = false, has_text = false;

	while (name > 0 && is_wsp(field.p[name - 1]))
		name--;
	for (size_t i = 0; i < name; i++)
		buf_append_octet(
			out, (uint8_t)(field.p[i] >= 'A' && field.p[i] <= 'Z'
					       ? field.p[i] + 32
					       : field.p[i]));
	buf_append_octet(out, ':');
	for (size_t i = colon + 1; i < field.n; i++) {
		uint8_t c = field.p[i];

		if (c == '\r' && i + 1 < field.n && field.p[i + 1] == '\n') {
			i++;
			continue;
		}
		if (is_wsp(c)) {
			has_wsp = true;
			continue;
		}
		if (has_wsp && has_text)
			buf_append_octet(out, ' ');
		has_wsp = false;
		has_text = true;
		buf_append_octet(out, c);
	}
	buf_append(out, SPAN_LIT("\r\n"));
}

static void
canon_field(struct span field, bool is_relaxed, struct buf *out)
{
	if (is_relaxed)
		relax_field(field, out);
	else
		buf_append(out, field);
}

/* A line without its CR LF (3.4.4 a). */
static void
relax_line(struct span line, struct buf *out)
{
	bool has_wsp = false;

	for (size_t i = 0; i < line.n; i++) {
		if (is_wsp(line.p[i])) {
			has_wsp = true;
			continue;
		}
		if (has_wsp)
			buf_append_octet(out, ' ');
		has_wsp = false;
		buf_append_octet(out, line.p[i]);
	}
}

static size_t
line_length(struct span text)
{
	size_t n = 0;

	while (n + 1 < text.n && (text.p[n] != '\r' || text.p[n + 1] != '\n'))
		n++;
	return n + 1 < text.n ? n : text.n;
}

/* 3.4.3, 3.4.4 */
static void
canon_body(struct span body, bool is_relaxed, struct buf *out)
{
	size_t end = 0; /* behind the last line that is not empty */

	while (body.n > 0) {
		size_t n = line_length(body), start = out->n;

		if (is_relaxed)
			relax_line(span_first(body, n), out);
		else
			buf_append(out, span_first(body, n));
		if (out->n > start)
			end = out->n + 2;
		buf_append(out, SPAN_LIT("\r\n"));
		body = span_after(body, n + 2 < body.n ? n + 2 : body.n);
	}
	out->n = end;
	if (end == 0 && !is_relaxed)
		buf_append(out, SPAN_LIT("\r\n"));
}

/* --- what is signed (RFC 6376 3.5, 3.7, 5.4.2) -------------------------- */

/* The field at the start of a header, with its folded lines. */
static struct span
first_field(struct span header)
{
	size_t n = 0;

	do
		n += line_length(span_after(header, n)) + 2;
	while (n < header.n && is_wsp(header.p[n]));
	return span_first(header, n < header.n ? n : header.n);
}

static bool
has_name(struct span field, const char *name, size_t n)
{
	size_t length = span_find(field, ':');

	while (length > 0 && is_wsp(field.p[length - 1]))
		length--;
	return length == n && strncasecmp((const char *)field.p, name, n) == 0;
}

/* The instance-th field of that name from below; empty if there is none. */
static struct span
find_field(struct span header, const char *name, size_t n, size_t instance)
{
	struct span found = SPAN_NONE;
	size_t count = 0, k = 0;

	for (struct span rest = header; rest.n > 0;
	     rest = span_after(rest, first_field(rest).n))
		count += has_name(first_field(rest), name, n);
	if (instance >= count)
		return found;
	for (struct span rest = header; rest.n > 0;
	     rest = span_after(rest, first_field(rest).n))
		if (has_name(first_field(rest), name, n) &&
		    k++ == count - 1 - instance)
			found = first_field(rest);
	return found;
}

/* How often the name at `at` of h= stands before it. */
static size_t
count_before(const char *names, const char *at, size_t n)
{
	size_t count = 0;

	while (names < at) {
		size_t length = strcspn(names, ":");

		count += length == n && strncasecmp(names, at, n) == 0;
		names += length + 1;
	}
	return count;
}

static void
canon_header(const struct signer_signature *signature, struct span header,
	     struct buf *out)
{
	const char *at = signature->names;

	while (*at != '\0') {
		size_t n = strcspn(at, ":");
		size_t instance = count_before(signature->names, at, n);
		struct span field = find_field(header, at, n, instance);

		if (field.n > 0)
			canon_field(field, signature->is_header_relaxed, out);
		at += n + (at[n] == ':');
	}
}

static void
digest_of(struct span octets, uint8_t digest[DIGEST_OCTETS])
{
	EVP_Digest(octets.p, octets.n, digest, NULL, EVP_sha256(), NULL);
}

/* RFC 8463 3: ed25519 signs the hash. */
static size_t
sign(enum signer_key key, struct span octets, uint8_t out[600])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t digest[DIGEST_OCTETS];
	bool is_ed25519 = key == SIGNER_ED25519;
	size_t n = 600;
	int done;

	digest_of(octets, digest);
	if (is_ed25519)
		octets = span_make(digest, sizeof(digest));
	done = EVP_DigestSignInit(md, NULL, is_ed25519 ? NULL : EVP_sha256(),
				  NULL, keys[key]) == 1 &&
	       EVP_DigestSign(md, out, &n, octets.p, octets.n) == 1;
	assert(done);
	EVP_MD_CTX_free(md);
	return n;
}

static bool
write_field(const struct signer_signature *signature, struct span body,
	    struct buf *field)
{
	const char *fold = signature->fold;
	uint8_t digest[DIGEST_OCTETS];
	char text[100];
	struct buf canon;
	bool is_enough;

	buf_init(&canon, TEXT_MAX);
	canon_body(body, signature->is_body_relaxed, &canon);
	is_enough = !signature->has_length || signature->length <= canon.n;
	if (signature->has_length && is_enough)
		canon.n = signature->length;
	digest_of(buf_span(&canon), digest);
	buf_fini(&canon);
	write_base64(digest, sizeof(digest), text);
	buf_printf(field, "DKIM-Signature: v=1;%sa=%s;%sc=%s/%s;%sd=%s;%ss=%s",
		   fold,
		   signature->is_sha1                 ? "rsa-sha1"
		   : signature->key == SIGNER_ED25519 ? "ed25519-sha256"
						      : "rsa-sha256",
		   fold, signature->is_header_relaxed ? "relaxed" : "simple",
		   signature->is_body_relaxed ? "relaxed" : "simple", fold,
		   signature->d == NULL ? "signer.example" : signature->d, fold,
		   signature->s);
	if (signature->has_length)
		buf_printf(field, ";%sl=%zu", fold, signature->length);
	buf_printf(field, "%s;%sh=%s;%sbh=%s;%sb=",
		   signature->tags == NULL ? "" : signature->tags, fold,
		   signature->names, fold, text, fold);
	return is_enough;
}

bool
signer_sign(const struct signer_signature *signature, struct buf *header,
	    struct span body)
{
	struct buf field, canon;
	uint8_t octets[600];
	char text[900];
	bool is_enough;
	size_t n;

	buf_init(&field, TEXT_MAX);
	buf_init(&canon, TEXT_MAX);
	is_enough = write_field(signature, body, &field);
	canon_header(signature, buf_span(header), &canon);
	n = canon.n;
	buf_append(&field, SPAN_LIT("\r\n"));
	canon_field(buf_span(&field), signature->is_header_relaxed, &canon);
	assert(canon.n > n);
	canon.n -= 2; /* 3.7: without its CR LF */
	field.n -= 2;
	n = sign(signature->key, buf_span(&canon), octets);
	write_base64(octets, n, text);
	for (size_t at = 0; at < strlen(text); at += 64)
		buf_printf(&field, "%.64s%s", text + at,
			   at + 64 < strlen(text) ? "\r\n\t" : "");
	buf_append(&field, SPAN_LIT("\r\n"));
	buf_append(&field, buf_span(header));
	assert(!field.has_overflowed && !canon.has_overflowed);
	buf_swap(&field, header);
	buf_fini(&field);
	buf_fini(&canon);
	return is_enough;
}
