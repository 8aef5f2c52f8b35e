/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What DKIM costs with the native engine: how fast bodies are canonicalised,
 * beside SHA-256 alone; what a usual message costs, and how often it
 * allocates; and what the most hostile messages cost that the caps let
 * through. One of these over 50 ms is a failure.
 *
 * Signatures here are never good, which costs no less: the body hash fits, so
 * that the header is hashed, and the key is used.
 */
#include "dmarc/canon.h"
#include "dmarc/dkim.h"
#include "smtp/buf.h"
#include "tests/unit/dns_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MEGABYTE ((size_t)1 << 20)
#define HEADER_MAX (4 * MEGABYTE)
#define ARENA_MAX (4 * MEGABYTE) /* as a mail has */
#define RUNS 7
#define HOSTILE_MS_MAX 50.0

static struct crypto *crypto;
static struct dkim_engine *engine;
static struct arena arena;
static char rsa8192[2000];

/* The keys of RFC 8463 A.2, and one as hard as the caps allow. */
static const struct dns_row zone[] = {
	{ "ed._domainkey.football.example.com", DNS_TXT,
	  "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
	  0 },
	{ "rsa._domainkey.football.example.com", DNS_TXT,
	  "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
	  "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/"
	  "byYzCNb3W91y3FutAC"
	  "DfzwQ/BC/e/"
	  "8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
	  "Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
	  0 },
	{ "hard._domainkey.football.example.com", DNS_TXT, rsa8192, 0 },
	{ NULL, DNS_TXT, NULL, 0 },
};

/* --- clocks and counters ------------------------------------------------ */

static double
cpu_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* In the place of libc's, whose own are called by other names: they count. */
/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*) */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
/* NOLINTEND(*-reserved-identifier,cert-dcl*) */

static unsigned long allocations;

void *
malloc(size_t n)
{
	allocations++;
	return __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	allocations++;
	return __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	allocations++;
	return __libc_realloc(p, n);
}

/* --- bodies ------------------------------------------------------------- */

enum method { SHA256, SIMPLE, RELAXED, BOTH };

static void
hash_body(struct span body, enum method method, size_t chunk)
{
	struct crypto_hash *hash = NULL;
	struct canon_body *canon;
	uint8_t digest[CRYPTO_DIGEST_OCTETS];
	size_t index;

	arena_reset(&arena);
	canon = canon_body_new(crypto, &arena);
	if (method == SHA256)
		hash = crypto_hash_begin(crypto);
	if (method == SIMPLE || method == BOTH)
		canon_body_want(canon, false, UINT64_MAX, &index);
	if (method == RELAXED || method == BOTH)
		canon_body_want(canon, true, UINT64_MAX, &index);
	for (; body.n > 0; body = span_after(body, chunk)) {
		if (chunk > body.n)
			chunk = body.n;
		if (hash != NULL)
			crypto_hash_add(hash, span_first(body, chunk));
		else
			canon_body_feed(canon, span_first(body, chunk));
	}
	if (hash != NULL)
		crypto_hash_end(crypto, hash, digest);
	canon_body_end(canon);
	canon_body_free(canon);
}

static double
best_rate(struct span body, enum method method)
{
	double best = 0;

	for (unsigned run = 0; run < RUNS; run++) {
		double begin = cpu_s(), rate;

		for (unsigned i = 0; i < 8; i++)
			hash_body(body, method, 16384);
		rate = 8.0 * (double)body.n / 1e6 / (cpu_s() - begin);
		best = rate > best ? rate : best;
	}
	return best;
}

static void
report_body(const char *name, struct span body)
{
	double alone = best_rate(body, SHA256);
	double simple = best_rate(body, SIMPLE);
	double relaxed = best_rate(body, RELAXED);

	printf("  %-28s %7.0f %7.0f %3.0f %% %7.0f %3.0f %% %7.0f\n", name,
	       alone, simple, 100 * simple / alone, relaxed,
	       100 * relaxed / alone, best_rate(body, BOTH));
}

static void
fill(struct buf *body, const char *line)
{
	buf_reset(body);
	while (body->n < 4 * MEGABYTE)
		buf_append(body, span_cstr(line));
}

static void
report_bodies(void)
{
	struct buf body;

	buf_init(&body, 8 * MEGABYTE);
	printf("Bodies, MB/s     SHA-256 alone  simple         relaxed       "
	       "both at once\n");
	fill(&body, "The quick brown fox jumps over the lazy dog, and then "
		    "it does so again.\r\n");
	report_body("words", buf_span(&body));
	fill(&body, "TWFuIGlzIGRpc3Rpbmd1aXNoZWQsIG5vdCBvbmx5IGJ5IGhpcyByZWFz"
		    "b24sIGJ1dCBieSB0\r\n");
	report_body("base64", buf_span(&body));
	fill(&body, "<td  class=\"a\">  \t<b>some</b>\t text </td> \r\n");
	report_body("odd white space", buf_span(&body));
	fill(&body, "a  \t");
	report_body("nothing but odd white space", buf_span(&body));
	buf_fini(&body);
}

/* --- messages ----------------------------------------------------------- */

static void
append_base64(struct buf *out, const uint8_t *octets, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
				     "pqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		uint32_t bits = (uint32_t)octets[i] << 16;

		if (i + 1 < n)
			bits |= (uint32_t)octets[i + 1] << 8;
		if (i + 2 < n)
			bits |= octets[i + 2];
		buf_printf(out, "%c%c%c%c", digits[bits >> 18],
			   digits[bits >> 12 & 63],
			   i + 1 < n ? digits[bits >> 6 & 63] : '=',
			   i + 2 < n ? digits[bits & 63] : '=');
	}
}

/* An odd modulus of 8192 bits and an exponent of 64. */
static void
make_hard_key(void)
{
	static const uint8_t info[] = {
		0x30, 0x82, 0x04, 0x28, 0x30, 0x0d, 0x06, 0x09, 0x2a,
		0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05,
		0x00, 0x03, 0x82, 0x04, 0x15, 0x00, 0x30, 0x82, 0x04,
		0x10, 0x02, 0x82, 0x04, 0x01, 0x00,
	};
	uint8_t der[1100];
	size_t n = sizeof(info);
	struct buf text;

	memcpy(der, info, n);
	memset(der + n, 0xb7, 1024);
	n += 1024;
	memcpy(der + n, "\x02\x09\x00", 3);
	memset(der + n + 3, 0xff, 8);
	buf_init(&text, sizeof(rsa8192));
	buf_append(&text, SPAN_LIT("p="));
	append_base64(&text, der, n + 11);
	memcpy(rsa8192, buf_span(&text).p, text.n);
	buf_fini(&text);
}

/* A signature whose body hash fits; b= is of so many octets. */
static void
append_signature(struct buf *message, const char *selector, struct span names,
		 struct span body, size_t octets)
{
	struct canon_body *canon;
	uint8_t made[1024];
	size_t index;

	arena_reset(&arena);
	canon = canon_body_new(crypto, &arena);
	canon_body_want(canon, true, UINT64_MAX, &index);
	canon_body_feed(canon, body);
	canon_body_end(canon);
	memset(made, 0x5a, sizeof(made));
	made[63] = 0x05; /* more is no signature to ed25519 at once */
	buf_printf(message,
		   "DKIM-Signature: v=1; a=%s-sha256; c=relaxed/relaxed; "
		   "d=football.example.com; s=%s;\r\n\tbh=",
		   octets == 64 ? "ed25519" : "rsa", selector);
	append_base64(message, canon_body_digest(canon, index),
		      CRYPTO_DIGEST_OCTETS);
	buf_append(message, SPAN_LIT(";\r\n\th="));
	buf_append(message, names);
	buf_append(message, SPAN_LIT(";\r\n\tb="));
	append_base64(message, made, octets);
	buf_append(message, SPAN_LIT("\r\n"));
	canon_body_free(canon);
}

static void
judge(struct message *message, struct span text)
{
	const struct dkim_signature *list;
	struct answers answers;
	struct dkim_check *check;
	struct span body;

	message_reset(message);
	arena_reset(&arena);
	answers_init(&answers, &arena, ANSWERS_MAX);
	message_feed(message, text, &body);
	assert(message->state == MESSAGE_BODY);
	check = dkim_check_new(engine, &arena, 1800000000);
	assert(check != NULL);
	dkim_check_header(check, message);
	dkim_check_body(check, body);
	while (!dkim_check_ask(check, &answers))
		dns_rows_settle_all(zone, &answers);
	dkim_check_finish(check, &answers, &list);
	dkim_check_free(check);
}

/* CPU-ms of the fastest run, and allocations of the last. */
static double
measure(struct span text, unsigned long *allocated)
{
	struct message message;
	double best = 1e9;

	message_init(&message, HEADER_MAX);
	for (unsigned run = 0; run < RUNS; run++) {
		unsigned long before = allocations;
		double begin = cpu_s(), ms;

		judge(&message, text);
		ms = 1e3 * (cpu_s() - begin);
		*allocated = allocations - before;
		best = ms < best ? ms : best;
	}
	message_fini(&message);
	return best;
}

static bool
report_message(const char *name, const struct buf *text, double ms_max)
{
	unsigned long allocated;
	double ms = measure(buf_span(text), &allocated);
	bool is_good = !text->has_overflowed && ms <= ms_max;

	printf("  %-44s %8.3f %6lu%s\n", name, ms, allocated,
	       is_good ? "" : "   TOO MUCH");
	return is_good;
}

#define BODY SPAN_LIT("Hello,\r\n\r\nthis is what was signed.\r\n")
#define FROM SPAN_LIT("From: joe@football.example.com\r\n")

static void
end_message(struct buf *text)
{
	buf_append(text, FROM);
	buf_append(text, SPAN_LIT("\r\n"));
	buf_append(text, BODY);
}

static void
repeat(struct buf *text, unsigned times, const char *selector,
       struct span names, size_t octets)
{
	for (unsigned i = 0; i < times; i++)
		append_signature(text, selector, names, BODY, octets);
}

static bool
report_usual(struct buf *text)
{
	static const struct {
		const char *name, *selector;
		size_t octets;
	} cases[] = { { "one RSA-1024 signature", "rsa", 128 },
		      { "one ed25519 signature", "ed", 64 } };
	bool is_good = true;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(text);
		append_signature(text, cases[i].selector,
				 SPAN_LIT("from:to:subject:date:message-id"),
				 BODY, cases[i].octets);
		buf_append(text,
			   SPAN_LIT("To: suzie@shopping.example.net\r\n"
				    "Subject: Is dinner ready?\r\n"
				    "Date: Fri, 11 Jul 2003 21:00:37 -0700\r\n"
				    "Message-ID: <2003@football.example.com>"
				    "\r\n"));
		end_message(text);
		is_good &= report_message(cases[i].name, text, HOSTILE_MS_MAX);
	}
	return is_good;
}

static bool
report_many(struct buf *text)
{
	bool is_good;

	buf_reset(text);
	repeat(text, 998, "rsa", SPAN_LIT("from:to"), 128);
	end_message(text);
	is_good = report_message("998 signatures", text, HOSTILE_MS_MAX);
	buf_reset(text);
	repeat(text, 998, "hard", SPAN_LIT("from:to"), 1024);
	end_message(text);
	is_good &= report_message("998 of an 8192-bit key, 64-bit exponent",
				  text, HOSTILE_MS_MAX);
	return is_good;
}

/* Names as long as h= can hold a hundred of, that differ at their end only,
 * and fields of another such name: whoever compares, compares all of it. */
static bool
report_names(struct buf *text)
{
	struct buf names;
	bool is_good;

	buf_init(&names, 65536);
	buf_append(&names, SPAN_LIT("from"));
	for (unsigned i = 0; i < 4000; i++)
		buf_append(&names, SPAN_LIT(":x"));
	buf_reset(text);
	append_signature(text, "rsa", buf_span(&names), BODY, 128);
	end_message(text);
	is_good = report_message("h= of 4,000 names", text, HOSTILE_MS_MAX);
	buf_reset(&names);
	buf_append(&names, SPAN_LIT("from"));
	for (unsigned i = 0; i < 99; i++)
		buf_printf(&names, ":%037u%02u", 0u, i);
	buf_reset(text);
	repeat(text, 16, "rsa", buf_span(&names), 128);
	for (unsigned i = 0; i < 980; i++)
		buf_printf(text, "%037u%c%c: y\r\n", 0u, 'a' + (int)(i % 26),
			   'a' + (int)(i / 26 % 26));
	end_message(text);
	is_good &= report_message("16 x 100 names, 980 fields nearly so called",
				  text, HOSTILE_MS_MAX);
	buf_fini(&names);
	return is_good;
}

static bool
report_header(struct buf *text, const char *name, unsigned times,
	      const char *piece)
{
	struct buf names;

	buf_init(&names, 4096);
	buf_append(&names, SPAN_LIT("from"));
	for (unsigned i = 0; i < 99; i++)
		buf_append(&names, SPAN_LIT(":x"));
	buf_reset(text);
	repeat(text, times, "rsa", buf_span(&names), 128);
	for (unsigned i = 0; i < 100; i++) {
		buf_append(text, SPAN_LIT("X:"));
		for (size_t n = 0; n < 10300; n += strlen(piece))
			buf_append(text, span_cstr(piece));
		buf_append(text, SPAN_LIT("\r\n"));
	}
	end_message(text);
	buf_fini(&names);
	return report_message(name, text, HOSTILE_MS_MAX);
}

int
main(void)
{
	struct buf text;
	bool is_good;

	crypto = crypto_new();
	engine = dkim_engine_new(DKIM_ENGINE_NATIVE);
	assert(crypto != NULL && engine != NULL);
	arena_init(&arena, ARENA_MAX);
	buf_init(&text, 8 * MEGABYTE);
	make_hard_key();
	report_bodies();
	printf("Messages                                          CPU-ms  "
	       "allocations\n");
	is_good = report_usual(&text);
	is_good &= report_many(&text);
	is_good &= report_names(&text);
	is_good &= report_header(&text, "1 MB header, one signature", 1,
				 "yyyyyyyyyyyyyyyyyyyyyyyyyyyyy yyyyyyyyy ");
	is_good &= report_header(&text, "1 MB header, 16 signatures", 16,
				 "yyyyyyyyyyyyyyyyyyyyyyyyyyyyy yyyyyyyyy ");
	is_good &= report_header(&text, "the same, nearly all white space", 16,
				 "y \t");
	buf_fini(&text);
	arena_fini(&arena);
	dkim_engine_free(engine);
	crypto_free(crypto);
	return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
