/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the octets of a message cost on their way: decoded from the wire,
 * canonicalised into the hash, encoded to the wire. In MB/s of the message,
 * beside SHA-256 and a copy of the same, for bodies of the usual kinds and for
 * some that are made to be slow.
 */
#include "dmarc/canon.h"
#include "smtp/arena.h"
#include "smtp/data.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BODY_OCTETS ((size_t)1 << 20)
#define READ_OCTETS 16384 /* what comes from a socket at once */
#define RUNS 9
#define TURNS 4 /* of all octets, a run */

static struct crypto *crypto;
static struct arena arena;
static struct buf body, wire, out;

static double
cpu_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- what is measured --------------------------------------------------- */

static struct span
next_piece(struct span *rest)
{
	size_t n = rest->n < READ_OCTETS ? rest->n : READ_OCTETS;
	struct span piece = span_first(*rest, n);

	*rest = span_after(*rest, n);
	return piece;
}

static void
copy(void)
{
	struct span rest = buf_span(&body);

	while (rest.n > 0) {
		buf_reset(&out);
		buf_append(&out, next_piece(&rest));
	}
}

static void
decode(void)
{
	struct span rest = buf_span(&wire), chunk;
	struct data_decoder decoder;
	enum data_status status = DATA_MORE;

	data_decoder_init(&decoder, false);
	while (rest.n > 0 && status != DATA_END) {
		struct span in = next_piece(&rest);

		do
			status = data_decode(&decoder, &in, &chunk);
		while (status == DATA_CHUNK);
	}
	assert(status == DATA_END && decoder.octets == body.n);
}

static void
encode(void)
{
	struct span rest = buf_span(&body);
	struct data_encoder encoder;

	data_encoder_init(&encoder);
	while (rest.n > 0) {
		buf_reset(&out);
		data_encode(&encoder, next_piece(&rest), &out);
	}
	assert(data_encode_end(&encoder, &out));
}

static void
hash(void)
{
	struct span rest = buf_span(&body);
	uint8_t digest[CRYPTO_DIGEST_OCTETS];
	struct crypto_hash *sha256 = crypto_hash_begin(crypto);

	while (rest.n > 0)
		crypto_hash_add(sha256, next_piece(&rest));
	crypto_hash_end(crypto, sha256, digest);
}

static void
canonicalise(bool is_relaxed)
{
	struct span rest = buf_span(&body);
	struct canon_body *canon;
	size_t index;

	arena_reset(&arena);
	canon = canon_body_new(crypto, &arena);
	canon_body_want(canon, is_relaxed, UINT64_MAX, &index);
	while (rest.n > 0)
		canon_body_feed(canon, next_piece(&rest));
	canon_body_end(canon);
	canon_body_free(canon);
}

static void
simple(void)
{
	canonicalise(false);
}

static void
relaxed(void)
{
	canonicalise(true);
}

static const struct {
	const char *name;
	void (*run)(void);
} works[] = {
	{ "copy", copy },    { "decode", decode }, { "encode", encode },
	{ "SHA-256", hash }, { "simple", simple }, { "relaxed", relaxed },
};
#define WORKS (sizeof(works) / sizeof(works[0]))

/* --- of what ------------------------------------------------------------ */

static void
append_line(struct span line)
{
	buf_append(&body, line);
	buf_append(&body, SPAN_LIT("\r\n"));
}

/* Words of small letters, as many spaces between them as chance has it. */
static void
random_words(unsigned turn)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz     ";
	char line[72];

	(void)turn;
	for (size_t i = 0; i < sizeof(line); i++)
		line[i] = letters[(size_t)random() % (sizeof(letters) - 1)];
	append_line(span_trim(span_make(line, sizeof(line))));
}

static void
base64(unsigned turn)
{
	char line[76];

	(void)turn;
	for (size_t i = 0; i < sizeof(line); i++)
		line[i] = (char)('A' + (size_t)random() % 26);
	append_line(span_make(line, sizeof(line)));
}

static void
text(unsigned turn)
{
	static const char words[] =
		"What was said of it at the time, and by whom, is not known to "
		"us any more. In the year that followed there was little rain";
	size_t at = (size_t)random() % 50;

	if (turn % 9 == 8)
		append_line(SPAN_NONE);
	else
		append_line(span_make(words + at, 40 + (size_t)random() % 30));
}

/* RFC 3676: a space at the end of each line but the last of a paragraph. */
static void
flowed(unsigned turn)
{
	text(turn);
	if (turn % 9 != 8) {
		body.n -= 2;
		append_line(SPAN_LIT(" "));
	}
}

static void
html(unsigned turn)
{
	static const char *const rows[] = {
		"<table width=\"100%\" cellpadding=\"0\" cellspacing=\"0\">",
		"  <tr>",
		"    <td align=\"center\" style=\"padding: 0 20px;\">",
		"        <p style=\"font-size: 14px; color: #333333;\">Hello,",
		"          there is something new in your account.</p>",
		"\t\t\t<a href=\"https://www.example.com/click?id=27182818\">",
		"    </td>",
		"  </tr>",
	};

	append_line(span_cstr(rows[turn % (sizeof(rows) / sizeof(rows[0]))]));
}

static void
quoted_printable(unsigned turn)
{
	static const char *const rows[] = {
		"Gr=C3=BC=C3=9Fe aus M=C3=BCnchen, wo es heute sch=C3=B6n =",
		"ist und warm, und wo die Leute drau=C3=9Fen sitzen, so =",
		"geht.=20",
		"",
	};

	append_line(span_cstr(rows[turn % 4]));
}

static void
long_line(unsigned turn)
{
	for (unsigned i = 0; i < 13; i++) {
		text(turn % 8);
		body.n -= 2;
	}
	append_line(SPAN_NONE);
}

static void
dots(unsigned turn)
{
	(void)turn;
	append_line(SPAN_LIT("."));
}

static void
empty_lines(unsigned turn)
{
	append_line(turn % 1000 == 999 ? SPAN_LIT("x") : SPAN_NONE);
}

static void
odd_space(unsigned turn)
{
	(void)turn;
	buf_append(&body, SPAN_LIT("a  \t"));
}

static const struct {
	const char *name;
	void (*append)(unsigned turn);
} kinds[] = {
	{ "text", text },
	{ "text, flowed", flowed },
	{ "base64", base64 },
	{ "quoted-printable", quoted_printable },
	{ "HTML, indented", html },
	{ "long lines", long_line },
	{ "words at random", random_words },
	{ "a dot in each line", dots },
	{ "empty lines", empty_lines },
	{ "odd white space alone", odd_space },
};

static void
fill(void (*append)(unsigned turn))
{
	struct data_encoder encoder;

	buf_reset(&body);
	buf_reset(&wire);
	srandom(5321);
	for (unsigned turn = 0; body.n < BODY_OCTETS; turn++)
		append(turn);
	append_line(SPAN_NONE);
	data_encoder_init(&encoder);
	assert(data_encode(&encoder, buf_span(&body), &wire));
	assert(data_encode_end(&encoder, &wire));
}

/* --- the table ---------------------------------------------------------- */

/* Turn by turn, so that what else the machine does meets all of them. */
static void
report(const char *name)
{
	double best[WORKS] = { 0 };

	for (unsigned run = 0; run < RUNS; run++)
		for (size_t i = 0; i < WORKS; i++) {
			double begin = cpu_s(), rate;

			for (unsigned turn = 0; turn < TURNS; turn++)
				works[i].run();
			rate = TURNS * (double)body.n / 1e6 / (cpu_s() - begin);
			best[i] = rate > best[i] ? rate : best[i];
		}
	printf("  %-22s", name);
	for (size_t i = 0; i < WORKS; i++)
		printf(" %8.0f", best[i]);
	printf("\n");
}

int
main(void)
{
	crypto = crypto_new();
	assert(crypto != NULL);
	arena_init(&arena, BODY_OCTETS);
	buf_init(&body, 2 * BODY_OCTETS);
	buf_init(&wire, 3 * BODY_OCTETS);
	buf_init(&out, 4 * (size_t)READ_OCTETS);
	printf("Bodies of 1 MB, MB/s  ");
	for (size_t i = 0; i < WORKS; i++)
		printf(" %8s", works[i].name);
	printf("\n");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		fill(kinds[i].append);
		report(kinds[i].name);
	}
	buf_fini(&body);
	buf_fini(&wire);
	buf_fini(&out);
	arena_fini(&arena);
	crypto_free(crypto);
	return EXIT_SUCCESS;
}
