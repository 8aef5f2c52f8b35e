/* SPDX-License-Identifier: BSD-2-Clause */
/* Canonicalisation against the examples of RFC 6376 3.4.5 and against one
 * that is written as the RFC says it, with the whole text in hand. */
#include "dmarc/canon.h"
#include "smtp/buf.h"
#include "smtp/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))
#define TEXT_MAX 16384

static struct crypto *crypto;
static struct arena arena;

static int
set_up(void **state)
{
	(void)state;
	crypto = crypto_new();
	assert_non_null(crypto);
	arena_init(&arena, 1 << 20);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	arena_fini(&arena);
	crypto_free(crypto);
	return 0;
}

static void
digest_of(struct span text, uint8_t digest[CRYPTO_DIGEST_OCTETS])
{
	struct crypto_hash *hash = crypto_hash_begin(crypto);

	assert_non_null(hash);
	crypto_hash_add(hash, text);
	crypto_hash_end(crypto, hash, digest);
}

/* --- header fields --- */

struct field_case {
	const char *raw, *simple, *relaxed;
};

static void
check_fields(const struct field_case *field, size_t count,
	     void (*canon)(struct crypto_hash *, struct span, bool))
{
	for (size_t i = 0; i < 2 * count; i++) {
		const struct field_case *one = &field[i / 2];
		struct crypto_hash *hash = crypto_hash_begin(crypto);
		bool is_relaxed = i % 2 == 1;
		uint8_t wanted[CRYPTO_DIGEST_OCTETS], got[sizeof wanted];

		canon(hash, span_cstr(one->raw), is_relaxed);
		crypto_hash_end(crypto, hash, got);
		digest_of(span_cstr(is_relaxed ? one->relaxed : one->simple),
			  wanted);
		if (memcmp(got, wanted, sizeof got) != 0)
			fail_msg("%s relaxed %d", one->raw, is_relaxed);
	}
}

static void
t1_fields(void **state)
{
	static const struct field_case cases[] = {
		/* RFC 6376 3.4.5 */
		{ "A: X\r\n", "A: X\r\n", "a:X\r\n" },
		{ "B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n" },
		{ "Subject:\r\n", "Subject:\r\n", "subject:\r\n" },
		{ "Subject: \t\r\n  \r\n", "Subject: \t\r\n  \r\n",
		  "subject:\r\n" },
		{ "X-a:b:c : d\r\n", "X-a:b:c : d\r\n", "x-a:b:c : d\r\n" },
		{ "X: \xc3\xa9  E\r\n", "X: \xc3\xa9  E\r\n",
		  "x:\xc3\xa9 E\r\n" },
	};

	(void)state;
	check_fields(cases, CASES(cases), canon_field);
}

static void
t2_a_long_field(void **state)
{
	char raw[3000] = "Long:", relaxed[3000] = "long:";
	uint8_t wanted[CRYPTO_DIGEST_OCTETS], got[sizeof wanted];
	struct crypto_hash *hash = crypto_hash_begin(crypto);

	(void)state;
	for (unsigned i = 0; i < 250; i++) {
		snprintf(raw + strlen(raw), 12, " \t%u\r\n", i);
		snprintf(relaxed + strlen(relaxed), 12, "%s%u",
			 i == 0 ? "" : " ", i);
	}
	snprintf(relaxed + strlen(relaxed), 3, "\r\n");
	canon_field(hash, span_cstr(raw), true);
	crypto_hash_end(crypto, hash, got);
	digest_of(span_cstr(relaxed), wanted);
	assert_memory_equal(got, wanted, sizeof got);
}

static void
t3_b_is_left_out(void **state)
{
	static const struct field_case cases[] = {
		{ "D: a=1; b=abc; c=d\r\n", "D: a=1; b=; c=d",
		  "d:a=1; b=; c=d" },
		{ "D: a=1; b=a\r\n\tb c\r\n", "D: a=1; b=", "d:a=1; b=" },
		{ "D: b =\r\n abc\t; bh=b=\r\n",
		  "D: b =; bh=b=", "d:b =; bh=b=" },
		{ "D: bh=x; B=y; \tb\t= z \r\n ;t=1\r\n",
		  "D: bh=x; B=y; \tb\t=;t=1", "d:bh=x; B=y; b =;t=1" },
		/* no b=, or one that stands in a value */
		{ "D: a=b=c\r\n", "D: a=b=c", "d:a=b=c" },
		{ "D: a=1\r\n", "D: a=1", "d:a=1" },
	};

	(void)state;
	check_fields(cases, CASES(cases), canon_signature);
}

/* Words with one space between them, and none around. */
static size_t
relax_words(char *out, const char *text, size_t n, bool is_name)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		bool is_space = c == ' ' || c == '\t' || c == '\r' || c == '\n';

		if (is_name && c >= 'A' && c <= 'Z')
			c = (char)(c | 0x20);
		if (!is_space)
			out[to++] = c;
		else if (to > 0 && out[to - 1] != ' ')
			out[to++] = ' ';
	}
	return to > 0 && out[to - 1] == ' ' ? to - 1 : to;
}

/* RFC 6376 3.4.2, with the whole field in hand. */
static size_t
relax_field(char *out, const char *raw, size_t n)
{
	const char *colon = memchr(raw, ':', n);
	size_t name = colon == NULL ? n : (size_t)(colon - raw), to;

	to = relax_words(out, raw, name, true);
	if (colon != NULL) {
		out[to++] = ':';
		to += relax_words(out + to, colon + 1, n - name - 1, false);
	}
	memcpy(out + to, "\r\n", 2);
	return to + 2;
}

static size_t
make_field(char raw[TEXT_MAX])
{
	static const char *const pieces[] = {
		"A", "b",     " ",  "  ",
		":", "\r\n ", "\t", "words of some length: they are several",
	};
	size_t n = 0, count = (size_t)random() % 100;

	for (size_t i = 0; i < count; i++) {
		const char *piece = pieces[(size_t)random() % CASES(pieces)];

		memcpy(raw + n, piece, strlen(piece));
		n += strlen(piece);
	}
	memcpy(raw + n, "\r\n", 2);
	return n + 2;
}

static void
t4_any_field(void **state)
{
	char raw[TEXT_MAX], relaxed[TEXT_MAX];
	uint8_t wanted[CRYPTO_DIGEST_OCTETS], got[sizeof wanted];

	(void)state;
	srandom(6376);
	for (unsigned i = 0; i < 20000; i++) {
		size_t n = make_field(raw);
		size_t to = relax_field(relaxed, raw, n - 2);
		struct crypto_hash *hash = crypto_hash_begin(crypto);

		scan_use(i % 2 == 0 ? SCAN_FASTEST : SCAN_PORTABLE);
		canon_field(hash, span_make(raw, n), true);
		crypto_hash_end(crypto, hash, got);
		digest_of(span_make(relaxed, to), wanted);
		if (memcmp(got, wanted, sizeof got) != 0)
			fail_msg("%.*s", (int)n, raw);
	}
}

/* --- bodies, as the RFC says it --- */

static bool
is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* One line without its end. */
static size_t
relax_line(char *out, const char *line, size_t n)
{
	size_t to = 0;

	while (n > 0 && is_wsp(line[n - 1]))
		n--;
	for (size_t i = 0; i < n; i++) {
		if (is_wsp(line[i]) && i > 0 && is_wsp(line[i - 1]))
			continue;
		out[to++] = is_wsp(line[i]) ? ' ' : line[i];
	}
	return to;
}

/* RFC 6376 3.4.3 and 3.4.4, line by line. */
static size_t
plainly(char *out, const char *body, size_t n, bool is_relaxed)
{
	size_t to = 0;

	for (size_t i = 0; i < n;) {
		size_t end = i;

		while (end < n && !(end + 1 < n && body[end] == '\r' &&
				    body[end + 1] == '\n'))
			end++;
		if (is_relaxed) {
			to += relax_line(out + to, body + i, end - i);
		} else {
			memcpy(out + to, body + i, end - i);
			to += end - i;
		}
		out[to++] = '\r';
		out[to++] = '\n';
		i = end + 2;
	}
	while (to >= 4 && memcmp(out + to - 4, "\r\n\r\n", 4) == 0)
		to -= 2;
	if (to == 2)
		to = 0;
	if (to == 0 && !is_relaxed) {
		memcpy(out, "\r\n", 2);
		to = 2;
	}
	return to;
}

/* Both canonicalisations of a body, whole and by l=, in one go; `chunk` gives
 * the size of the next piece. */
static void
check_body(const char *body, size_t n, size_t (*chunk)(size_t left))
{
	static const uint64_t lengths[] = { UINT64_MAX, 0, 1, 5, 64 };
	size_t index[2][CASES(lengths)];
	struct canon_body *canon;

	arena_reset(&arena);
	canon = canon_body_new(crypto, &arena);
	assert_non_null(canon);
	for (unsigned relaxed = 0; relaxed < 2; relaxed++)
		for (size_t k = 0; k < CASES(lengths); k++)
			assert_true(canon_body_want(canon, relaxed, lengths[k],
						    &index[relaxed][k]));
	for (size_t i = 0; i < n;) {
		size_t piece = chunk(n - i);

		canon_body_feed(canon, span_make(body + i, piece));
		i += piece;
	}
	canon_body_end(canon);
	for (unsigned relaxed = 0; relaxed < 2; relaxed++) {
		char text[2 * TEXT_MAX];
		size_t to = plainly(text, body, n, relaxed);

		for (size_t k = 0; k < CASES(lengths); k++) {
			uint8_t digest[CRYPTO_DIGEST_OCTETS];
			size_t most = lengths[k] < to ? (size_t)lengths[k] : to;

			digest_of(span_make(text, most), digest);
			if (memcmp(canon_body_digest(canon, index[relaxed][k]),
				   digest, sizeof digest) != 0 ||
			    canon_body_octets(canon, index[relaxed][k]) != to)
				fail_msg("relaxed %u, l=%zu: %.*s", relaxed,
					 most, (int)n, body);
		}
	}
	canon_body_free(canon);
}

static size_t
all_at_once(size_t left)
{
	return left;
}

static size_t
by_one(size_t left)
{
	(void)left;
	return 1;
}

static size_t
at_random(size_t left)
{
	return 1 + (size_t)random() % left;
}

static void
t5_bodies_of_the_rfc(void **state)
{
	static const char *const bodies[] = {
		"",
		"\r\n",
		"\r\n\r\n",
		" C \r\nD \t E\r\n\r\n\r\n",
		"a",
		"a ",
		" ",
		"\t\r\n \r\n",
		"a\r",
		"a\r\n\r",
		"a\rb\nc",
		"\n",
		"\r",
		" \r",
		"a \rb\r\n",
		"a\r\r\n\r\n",
		"\r\r\n",
		"a\r\n  b\r\n \r\n\r\n",
		"0123456789012345678901234567890 \r\n",
		"x  y\tz\r\nx y z",
	};

	(void)state;
	for (size_t i = 0; i < CASES(bodies); i++) {
		check_body(bodies[i], strlen(bodies[i]), all_at_once);
		check_body(bodies[i], strlen(bodies[i]), by_one);
	}
}

static size_t
fill(char body[TEXT_MAX], size_t pieces_max)
{
	static const char *const pieces[] = {
		"a",    "bc",
		" ",    "  ",
		"\t",   "\r\n",
		"\r\n", "\r",
		"\n",   "some words of a line that is rather long and even",
	};
	size_t n = 0, count = (size_t)random() % pieces_max;

	for (size_t i = 0; i < count && n < TEXT_MAX - 64; i++) {
		const char *piece = pieces[(size_t)random() % CASES(pieces)];

		memcpy(body + n, piece, strlen(piece));
		n += strlen(piece);
	}
	return n;
}

static void
t6_any_body_in_any_chunks(void **state)
{
	char body[TEXT_MAX];

	(void)state;
	srandom(6376);
	for (unsigned i = 0; i < 20000; i++) {
		size_t n = fill(body, 60);

		scan_use(i % 2 == 0 ? SCAN_FASTEST : SCAN_PORTABLE);
		check_body(body, n, all_at_once);
		check_body(body, n, at_random);
		if (i % 16 == 0)
			check_body(body, n, by_one);
	}
}

/* Longer than what is gathered for a hash, by each way of scanning. */
static void
t7_long_bodies(void **state)
{
	static const enum scan_way ways[] = { SCAN_PORTABLE, SCAN_SSE2,
					      SCAN_AVX2, SCAN_FASTEST };
	char body[TEXT_MAX];

	(void)state;
	srandom(3676);
	for (unsigned i = 0; i < 1000; i++) {
		size_t n = fill(body, 1200);

		for (size_t way = 0; way < CASES(ways); way++) {
			if (!scan_use(ways[way]))
				continue;
			check_body(body, n, all_at_once);
			check_body(body, n, at_random);
		}
	}
}

static void
t8_no_more_hashes_than_there_are(void **state)
{
	struct canon_body *canon;
	size_t index;

	(void)state;
	arena_reset(&arena);
	canon = canon_body_new(crypto, &arena);
	for (size_t i = 0; i < CANON_BODIES_MAX; i++)
		assert_true(canon_body_want(canon, i % 2, i, &index));
	assert_false(canon_body_want(canon, true, 100, &index));
	assert_true(canon_body_want(canon, true, 3, &index));
	assert_int_equal(index, 3);
	canon_body_free(canon);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_fields),
		cmocka_unit_test(t2_a_long_field),
		cmocka_unit_test(t3_b_is_left_out),
		cmocka_unit_test(t4_any_field),
		cmocka_unit_test(t5_bodies_of_the_rfc),
		cmocka_unit_test(t6_any_body_in_any_chunks),
		cmocka_unit_test(t7_long_bodies),
		cmocka_unit_test(t8_no_more_hashes_than_there_are),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
