/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three kinds of proof. Tables say by hand what is expected of the sequences
 * that SMTP smuggling is made of, at every pair of splits. A second decoder,
 * written from the definition and without states, is compared with the first
 * on all short inputs. And decoder and encoder are shown to be inverses.
 */
#include "smtp/data.h"

#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define CR DATA_FAULT_BARE_CR
#define LF DATA_FAULT_BARE_LF
#define NUL DATA_FAULT_NUL

struct decoded {
	struct data_decoder decoder;
	struct buf message;
	bool has_ended;
	size_t taken; /* octets of the wire */
};

static void
decoded_init(struct decoded *decoded, bool is_normalising)
{
	data_decoder_init(&decoded->decoder, is_normalising);
	buf_init(&decoded->message, 1000000);
	decoded->has_ended = false;
	decoded->taken = 0;
}

/* Feed one piece, and hold the decoder to its contract. */
static void
feed(struct decoded *decoded, struct span piece)
{
	struct span in = piece;

	while (!decoded->has_ended) {
		struct span chunk;

		switch (data_decode(&decoded->decoder, &in, &chunk)) {
		case DATA_MORE:
			assert_int_equal(in.n, 0);
			decoded->taken += piece.n;
			return;
		case DATA_CHUNK:
			assert_true(chunk.n > 0);
			assert_true(buf_append(&decoded->message, chunk));
			break;
		case DATA_END:
			decoded->has_ended = true;
			decoded->taken += piece.n - in.n;
		}
		assert_int_equal(decoded->decoder.octets, decoded->message.n);
	}
}

static void
feed_guarded(struct decoded *decoded, struct span piece)
{
	struct guard guard = guard_copy(piece);

	feed(decoded, guard.octets);
	guard_free(&guard);
}

/* An input, and what it decodes to in either mode. `rest` is what stands
 * behind the end of data. */
struct row {
	const char *name;
	struct span wire;
	unsigned faults;
	struct span message;
	struct span normalised;
	struct span rest;
};

#define CLEAN(name, wire, message)                                             \
	{                                                                      \
		name, SPAN_LIT(wire), 0, SPAN_LIT(message), SPAN_LIT(message), \
		{                                                              \
			NULL, 0                                                \
		}                                                              \
	}
#define FAULTY(name, wire, faults, message, normalised)          \
	{                                                        \
		name, SPAN_LIT(wire), faults, SPAN_LIT(message), \
			SPAN_LIT(normalised),                    \
		{                                                \
			NULL, 0                                  \
		}                                                \
	}

static const struct row clean[] = {
	CLEAN("empty message", ".\r\n", ""),
	CLEAN("one empty line", "\r\n.\r\n", "\r\n"),
	CLEAN("one line", "a\r\n.\r\n", "a\r\n"),
	CLEAN("header and body", "A: b\r\n\r\nc\r\n.\r\n", "A: b\r\n\r\nc\r\n"),
	CLEAN("a dot", "..\r\n.\r\n", ".\r\n"),
	CLEAN("two dots", "...\r\n.\r\n", "..\r\n"),
	CLEAN("dots only", "..\r\n..\r\n..\r\n.\r\n", ".\r\n.\r\n.\r\n"),
	CLEAN("dot inside a line", "a.\r\nb..c\r\n.\r\n", "a.\r\nb..c\r\n"),
	CLEAN("dot and text", "..a\r\n.\r\n", ".a\r\n"),
	CLEAN("tabs and 8 bits", "\t\xff\x80 \x01\x0b\x0c\x0e\r\n.\r\n",
	      "\t\xff\x80 \x01\x0b\x0c\x0e\r\n"),
	{ "commands behind", SPAN_LIT("a\r\n.\r\n.\r\nQUIT\r\n"), 0,
	  SPAN_LIT("a\r\n"), SPAN_LIT("a\r\n"), SPAN_LIT(".\r\nQUIT\r\n") },
};

/* Standards: the lists of the smuggling tools. None of these is an end. */
static const struct row smuggling[] = {
	FAULTY("LF.LF", "a\n.\nb\r\n.\r\n", LF, "a\n.\nb\r\n",
	       "a\r\n.\r\nb\r\n"),
	FAULTY("LF.CR", "a\n.\rb\r\n.\r\n", LF | CR, "a\n.\rb\r\n",
	       "a\r\n. b\r\n"),
	FAULTY("CR.LF", "a\r.\nb\r\n.\r\n", CR | LF, "a\r.\nb\r\n",
	       "a .\r\nb\r\n"),
	FAULTY("CR.CR", "a\r.\rb\r\n.\r\n", CR, "a\r.\rb\r\n", "a . b\r\n"),
	FAULTY("LF.CRLF", "a\n.\r\nb\r\n.\r\n", LF, "a\n.\r\nb\r\n",
	       "a\r\n.\r\nb\r\n"),
	FAULTY("CR.CRLF", "a\r.\r\nb\r\n.\r\n", CR, "a\r.\r\nb\r\n",
	       "a .\r\nb\r\n"),
	FAULTY("CRLF.LF", "a\r\n.\nb\r\n.\r\n", LF, "a\r\n\nb\r\n",
	       "a\r\n\r\nb\r\n"),
	FAULTY("CRLF.CR", "a\r\n.\rb\r\n.\r\n", CR, "a\r\n\rb\r\n",
	       "a\r\n b\r\n"),
	FAULTY("CRLF NUL.CRLF", "a\r\n\0.\r\nb\r\n.\r\n", NUL,
	       "a\r\n\0.\r\nb\r\n", "a\r\n .\r\nb\r\n"),
	FAULTY("CRLF.NUL CRLF", "a\r\n.\0\r\nb\r\n.\r\n", NUL,
	       "a\r\n\0\r\nb\r\n", "a\r\n \r\nb\r\n"),
	FAULTY("CRLF.CRCRLF", "a\r\n.\r\r\nb\r\n.\r\n", CR, "a\r\n\r\r\nb\r\n",
	       "a\r\n \r\nb\r\n"),
	FAULTY("CRCRLF.CRCRLF", "a\r\r\n.\r\r\nb\r\n.\r\n", CR,
	       "a\r\r\n\r\r\nb\r\n", "a \r\n \r\nb\r\n"),
};

static const struct row others[] = {
	/* RFC 5321 4.5.2: the dot goes, whatever follows. No
	 * encoder writes that. */
	CLEAN("dot not doubled", ".a\r\n.\r\n", "a\r\n"),
	FAULTY("LF at first", "\n.\r\n\r\n.\r\n", LF, "\n.\r\n\r\n",
	       "\r\n.\r\n\r\n"),
	FAULTY(".LF at first", ".\n.\r\n\r\n.\r\n", LF, "\n.\r\n\r\n",
	       "\r\n.\r\n\r\n"),
	FAULTY("CR at first", "\r.\r\n\r\n.\r\n", CR, "\r.\r\n\r\n",
	       " .\r\n\r\n"),
	FAULTY("NUL at first", "\0\r\n.\r\n", NUL, "\0\r\n", " \r\n"),
	FAULTY("LFCR", "a\n\rb\r\n.\r\n", LF | CR, "a\n\rb\r\n", "a\r\n b\r\n"),
	FAULTY("LFLF", "a\n\nb\r\n.\r\n", LF, "a\n\nb\r\n", "a\r\n\r\nb\r\n"),
	FAULTY("CRLFLF.", "a\r\n\n.\r\n\r\n.\r\n", LF, "a\r\n\n.\r\n\r\n",
	       "a\r\n\r\n.\r\n\r\n"),
	FAULTY("CRCRCR", "a\r\r\rb\r\n.\r\n", CR, "a\r\r\rb\r\n", "a   b\r\n"),
	FAULTY("CR NUL LF", "a\r\0\nb\r\n.\r\n", CR | NUL | LF, "a\r\0\nb\r\n",
	       "a  \r\nb\r\n"),
	FAULTY("..LF", "..\n.\r\n\r\n.\r\n", LF, ".\n.\r\n\r\n",
	       ".\r\n.\r\n\r\n"),
	FAULTY("the worst at the end", "a\n.\r\r\n.\r\n", LF | CR, "a\n.\r\r\n",
	       "a\r\n. \r\n"),
};

static void
assert_decoded(const struct decoded *decoded, const struct row *row)
{
	struct span message = buf_span(&decoded->message);

	assert_true(decoded->has_ended);
	assert_int_equal(decoded->taken, row->wire.n - row->rest.n);
	assert_int_equal(decoded->decoder.faults, row->faults);
	assert_true(span_equal(message, decoded->decoder.is_normalising
						? row->normalised
						: row->message));
}

/* Cut into three pieces, of which some may be empty, in every way. */
static void
check_every_pair_of_splits(const struct row *row, bool is_normalising)
{
	for (size_t a = 0; a <= row->wire.n; a++)
		for (size_t b = a; b <= row->wire.n; b++) {
			struct decoded decoded;
			struct span wire = row->wire;

			decoded_init(&decoded, is_normalising);
			feed_guarded(&decoded, span_first(wire, a));
			feed_guarded(&decoded,
				     span_after(span_first(wire, b), a));
			feed_guarded(&decoded, span_after(wire, b));
			assert_decoded(&decoded, row);
			buf_fini(&decoded.message);
		}
}

static void
check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		check_every_pair_of_splits(&rows[i], false);
		check_every_pair_of_splits(&rows[i], true);
	}
}

static void
clean_data_is_decoded_at_every_split(void **state)
{
	(void)state;
	check_rows(clean, ROWS(clean));
}

static void
smuggling_never_ends_the_data_at_any_split(void **state)
{
	(void)state;
	check_rows(smuggling, ROWS(smuggling));
}

static void
other_inputs_at_every_split(void **state)
{
	(void)state;
	check_rows(others, ROWS(others));
}

/* What a clean input is given out as when it is shown whole. */
static void
chunks_are_as_long_as_can_be(void **state)
{
	static const char *const chunks[] = { "a\r\n\r\nb.c\r\n", ".\r\nd\r\n",
					      ".\r\n" };
	struct span in = SPAN_LIT("a\r\n\r\nb.c\r\n..\r\nd\r\n..\r\n.\r\n");
	const uint8_t *first = in.p;
	const uint8_t *last = in.p + in.n;
	struct data_decoder decoder;
	struct span chunk;

	(void)state;
	data_decoder_init(&decoder, false);
	for (size_t i = 0; i < ROWS(chunks); i++) {
		assert_int_equal(data_decode(&decoder, &in, &chunk),
				 DATA_CHUNK);
		assert_true(span_equal(chunk, span_cstr(chunks[i])));
		/* It borrows from the input. */
		assert_true(chunk.p >= first && chunk.p + chunk.n <= last);
	}
	assert_int_equal(data_decode(&decoder, &in, &chunk), DATA_END);
}

/* The states must not depend on where in eight octets something stands. */
static void
faults_are_found_at_every_offset(void **state)
{
	static const struct {
		uint8_t octet;
		unsigned fault;
	} rows[] = { { '\r', CR }, { '\n', LF }, { '\0', NUL }, { '\t', 0 },
		     { 0x0e, 0 },  { 0x8d, 0 },  { 0x80, 0 },   { 0xff, 0 } };
	uint8_t wire[43];

	(void)state;
	for (size_t at = 0; at < 38; at++)
		for (size_t i = 0; i < ROWS(rows); i++) {
			struct decoded decoded;

			memset(wire, 'x', sizeof(wire));
			memcpy(wire + 38, "\r\n.\r\n", 5);
			wire[at] = rows[i].octet;
			/* CR before CR LF, and dots, are elsewhere. */
			decoded_init(&decoded, false);
			feed_guarded(&decoded, span_make(wire, sizeof(wire)));
			assert_true(decoded.has_ended);
			assert_int_equal(decoded.decoder.faults, rows[i].fault);
			assert_true(span_equal(buf_span(&decoded.message),
					       span_make(wire, 40)));
			buf_fini(&decoded.message);
		}
}

/*
 * The definition, without states. With a CR LF put before it, the wire ends at
 * the first CR LF . CR LF. Of what is before, dots behind CR LF are dropped,
 * and an octet's neighbours say whether it is a fault.
 */
struct defined {
	size_t taken;
	unsigned faults;
	uint8_t message[64];
	size_t n;
};

static void
define_octet(struct defined *defined, const uint8_t *at, bool is_normalising)
{
	bool is_bare_cr = at[0] == '\r' && at[1] != '\n';
	bool is_bare_lf = at[0] == '\n' && at[-1] != '\r';
	bool is_nul = at[0] == '\0';
	uint8_t c = at[0];

	if (at[0] == '.' && at[-1] == '\n' && at[-2] == '\r')
		return;
	defined->faults |= (is_bare_cr ? CR : 0u) | (is_bare_lf ? LF : 0u) |
			   (is_nul ? NUL : 0u);
	if (is_normalising && is_bare_lf)
		defined->message[defined->n++] = '\r';
	if (is_normalising && (is_bare_cr || is_nul))
		c = ' ';
	defined->message[defined->n++] = c;
}

static void
define(struct defined *defined, struct span wire, bool is_normalising)
{
	uint8_t text[64] = "\r\n";
	const uint8_t *end;

	assert_true(wire.n + 2 <= sizeof(text));
	memcpy(text + 2, wire.p, wire.n);
	end = memmem(text, wire.n + 2, "\r\n.\r\n", 5);
	assert_non_null(end);
	defined->taken = (size_t)(end + 5 - (text + 2));
	defined->faults = 0;
	defined->n = 0;
	for (const uint8_t *at = text + 2; at < end + 2; at++)
		define_octet(defined, at, is_normalising);
}

static void
compare_with_definition(struct span wire, bool is_normalising)
{
	struct defined defined;

	define(&defined, wire, is_normalising);
	/* At every single split; the last is an octet at a time. */
	for (size_t split = 0; split <= wire.n; split++) {
		struct decoded decoded;

		decoded_init(&decoded, is_normalising);
		if (split < wire.n) {
			feed(&decoded, span_first(wire, split));
			feed(&decoded, span_after(wire, split));
		} else {
			for (size_t i = 0; i < wire.n; i++)
				feed(&decoded, span_make(wire.p + i, 1));
		}
		assert_true(decoded.has_ended);
		assert_int_equal(decoded.taken, defined.taken);
		assert_int_equal(decoded.decoder.faults, defined.faults);
		assert_true(span_equal(buf_span(&decoded.message),
				       span_make(defined.message, defined.n)));
		buf_fini(&decoded.message);
	}
}

/* All inputs of up to seven octets out of the five that matter. */
static void
the_decoder_is_its_definition(void **state)
{
	static const uint8_t alphabet[] = { '\r', '\n', '.', '\0', 'x' };
	uint8_t wire[7 + 5];
	size_t inputs = 1;

	(void)state;
	for (size_t n = 0; n <= 7; n++, inputs *= ROWS(alphabet))
		for (size_t input = 0; input < inputs; input++) {
			size_t digits = input;

			for (size_t i = 0; i < n; i++) {
				wire[i] = alphabet[digits % ROWS(alphabet)];
				digits /= ROWS(alphabet);
			}
			memcpy(wire + n, "\r\n.\r\n", 5);
			compare_with_definition(span_make(wire, n + 5), false);
			compare_with_definition(span_make(wire, n + 5), true);
		}
}

/* The message of that number: a line end, a dot or an x for each digit, and
 * a line end at the end. */
static void
make_message(struct buf *message, size_t number, size_t digits)
{
	buf_reset(message);
	for (size_t i = 0; i < digits; i++, number /= 3)
		buf_append(message, number % 3 == 0   ? SPAN_LIT("\r\n")
				    : number % 3 == 1 ? SPAN_LIT(".")
						      : SPAN_LIT("x"));
	if (digits > 0)
		buf_append(message, SPAN_LIT("\r\n"));
}

/* Encode a message cut at `split`, each part within its bound. */
static void
encode(struct span message, size_t split, struct buf *wire)
{
	struct data_encoder encoder;
	size_t before;

	data_encoder_init(&encoder);
	buf_reset(wire);
	if (wire->p != NULL) /* nothing of the message before it may serve */
		memset(wire->p, 0, wire->cap);
	assert_true(data_encode(&encoder, span_first(message, split), wire));
	assert_true(wire->n <= DATA_ENCODED_MAX(split));
	before = wire->n;
	assert_true(data_encode(&encoder, span_after(message, split), wire));
	assert_true(wire->n - before <= DATA_ENCODED_MAX(message.n - split));
	assert_int_equal(encoder.octets, message.n);
	assert_true(data_encode_end(&encoder, wire));
}

static void
check_inverse(struct span message, struct buf *wire)
{
	for (size_t split = 0; split <= message.n; split++) {
		struct decoded decoded;

		encode(message, split, wire);
		decoded_init(&decoded, false);
		feed(&decoded, buf_span(wire));
		assert_true(decoded.has_ended);
		assert_int_equal(decoded.taken, wire->n);
		assert_int_equal(decoded.decoder.faults, 0);
		assert_true(span_equal(buf_span(&decoded.message), message));
		buf_fini(&decoded.message);
	}
}

/* Decode what was encoded: all messages of up to eight such digits. */
static void
decode_undoes_encode(void **state)
{
	struct buf message;
	struct buf wire;
	size_t messages = 1;

	(void)state;
	buf_init(&message, 1000);
	buf_init(&wire, 1000);
	for (size_t digits = 0; digits <= 8; digits++, messages *= 3)
		for (size_t number = 0; number < messages; number++) {
			make_message(&message, number, digits);
			check_inverse(buf_span(&message), &wire);
		}
	buf_fini(&message);
	buf_fini(&wire);
}

/* Encode what was decoded: clean wires, and whatever was normalised, which
 * must be clean after that. */
static void
encode_undoes_decode(void **state)
{
	struct buf wire;

	(void)state;
	buf_init(&wire, 1000);
	for (size_t i = 0; i < ROWS(clean); i++) {
		struct span taken = span_first(
			clean[i].wire, clean[i].wire.n - clean[i].rest.n);

		for (size_t split = 0; split <= clean[i].message.n; split++) {
			encode(clean[i].message, split, &wire);
			assert_true(span_equal(buf_span(&wire), taken));
		}
	}
	for (size_t i = 0; i < ROWS(smuggling); i++)
		check_inverse(smuggling[i].normalised, &wire);
	for (size_t i = 0; i < ROWS(others); i++)
		check_inverse(others[i].normalised, &wire);
	buf_fini(&wire);
}

/* Dots cost most in lines of one dot: each third octet is doubled. Four
 * octets may need six, so n + n / 3 would not do. */
static void
the_bound_of_encoding_is_needed(void **state)
{
	struct data_encoder encoder;
	struct buf message;
	struct buf wire;

	(void)state;
	buf_init(&message, 1000);
	buf_init(&wire, 1000);
	for (size_t n = 1; n < 100; n++) {
		size_t extra = (n + 2) / 3;

		assert_true(n + extra <= DATA_ENCODED_MAX(n));
		buf_reset(&message);
		for (size_t i = 0; i < n; i++)
			buf_append_octet(&message, (uint8_t) ".\r\n"[i % 3]);
		buf_reset(&wire);
		data_encoder_init(&encoder);
		assert_true(data_encode(&encoder, buf_span(&message), &wire));
		assert_int_equal(wire.n, n + extra);
	}
	buf_fini(&message);
	buf_fini(&wire);
}

/* Octets of `then` behind `first`, which is good. */
static const struct {
	struct span first;
	struct span then;
} unclean[] = {
	{ SPAN_LIT(""), SPAN_LIT("\n") },
	{ SPAN_LIT(""), SPAN_LIT("a\n") },
	{ SPAN_LIT("a"), SPAN_LIT("\n") },
	{ SPAN_LIT(""), SPAN_LIT("a\rb") },
	{ SPAN_LIT("a\r"), SPAN_LIT("b") },
	{ SPAN_LIT("a\r"), SPAN_LIT("\r\n") },
	{ SPAN_LIT("a\r"), SPAN_LIT(".\r\n") },
	{ SPAN_LIT(""), SPAN_LIT("\r\r\n") },
	{ SPAN_LIT("a\r\n"), SPAN_LIT("\n") },
	{ SPAN_LIT("a\r\n"), SPAN_LIT(".\n") },
	{ SPAN_LIT(""), SPAN_LIT("\0") },
	{ SPAN_LIT("a\r"), SPAN_LIT("\0") },
	{ SPAN_LIT(""), SPAN_LIT("0123456789012345\0") },
	{ SPAN_LIT(""), SPAN_LIT("..\r\n.\r\n\nMAIL") },
};

static void
the_encoder_refuses_what_is_not_clean(void **state)
{
	struct buf wire;

	(void)state;
	buf_init(&wire, 1000);
	for (size_t i = 0; i < ROWS(unclean); i++) {
		struct guard guard = guard_copy(unclean[i].then);
		struct data_encoder encoder = { .state = DATA_LINE_START };
		struct data_encoder before;
		size_t n;

		buf_reset(&wire);
		assert_true(data_encode(&encoder, unclean[i].first, &wire));
		before = encoder;
		n = wire.n;
		assert_false(data_encode(&encoder, guard.octets, &wire));
		assert_int_equal(wire.n, n);
		assert_int_equal(encoder.state, before.state);
		assert_int_equal(encoder.octets, before.octets);
		guard_free(&guard);
	}
	buf_fini(&wire);
}

static void
data_ends_behind_a_line_only(void **state)
{
	static const char *const unfinished[] = { "a", "a\r", "a\r\nb", "." };
	struct buf wire;

	(void)state;
	buf_init(&wire, 1000);
	for (size_t i = 0; i < ROWS(unfinished); i++) {
		struct data_encoder encoder = { .state = DATA_LINE_START };
		size_t n;

		assert_true(
			data_encode(&encoder, span_cstr(unfinished[i]), &wire));
		n = wire.n;
		assert_false(data_encode_end(&encoder, &wire));
		assert_int_equal(wire.n, n);
	}
	buf_fini(&wire);
}

static void
the_encoder_appends_all_or_nothing(void **state)
{
	struct span message = SPAN_LIT(".\r\n.a\r\nb\r\n");
	struct span encoded = SPAN_LIT("..\r\n..a\r\nb\r\n");

	(void)state;
	for (size_t max = 0; max <= encoded.n; max++) {
		struct data_encoder encoder = { .state = DATA_LINE_START };
		struct buf wire;

		buf_init(&wire, max);
		assert_int_equal(data_encode(&encoder, message, &wire),
				 max == encoded.n);
		assert_int_equal(wire.n, max == encoded.n ? max : 0);
		assert_int_equal(encoder.octets, max == encoded.n ? 10 : 0);
		assert_false(data_encode_end(&encoder, &wire));
		buf_fini(&wire);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_data_is_decoded_at_every_split),
		cmocka_unit_test(smuggling_never_ends_the_data_at_any_split),
		cmocka_unit_test(other_inputs_at_every_split),
		cmocka_unit_test(chunks_are_as_long_as_can_be),
		cmocka_unit_test(faults_are_found_at_every_offset),
		cmocka_unit_test(the_decoder_is_its_definition),
		cmocka_unit_test(decode_undoes_encode),
		cmocka_unit_test(encode_undoes_decode),
		cmocka_unit_test(the_bound_of_encoding_is_needed),
		cmocka_unit_test(the_encoder_refuses_what_is_not_clean),
		cmocka_unit_test(data_ends_behind_a_line_only),
		cmocka_unit_test(the_encoder_appends_all_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
