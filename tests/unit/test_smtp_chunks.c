/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages that come and go by BDAT. As for DATA: tables at every pair of
 * splits, which are borders of chunks too; a second decoder without states on
 * all short inputs; and the encoder, which changes nothing.
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
};

static void
decoded_init(struct decoded *decoded, bool is_normalising, bool is_binary)
{
	data_decoder_init_chunks(&decoded->decoder, is_normalising, is_binary);
	buf_init(&decoded->message, 1000000);
}

static void
feed(struct decoded *decoded, struct span piece)
{
	struct guard guard = guard_copy(piece);
	struct span in = guard.octets;
	struct span chunk;

	while (data_decode(&decoded->decoder, &in, &chunk) == DATA_CHUNK) {
		assert_true(chunk.n > 0);
		assert_true(buf_append(&decoded->message, chunk));
		assert_int_equal(decoded->decoder.octets, decoded->message.n);
	}
	assert_int_equal(in.n, 0);
	assert_int_not_equal(decoded->decoder.state, DATA_ENDED);
	guard_free(&guard);
}

static void
end(struct decoded *decoded)
{
	struct span chunk;

	while (data_decode_last(&decoded->decoder, &chunk) == DATA_CHUNK) {
		assert_true(chunk.n > 0);
		assert_true(buf_append(&decoded->message, chunk));
		assert_int_equal(decoded->decoder.octets, decoded->message.n);
	}
	assert_int_equal(chunk.n, 0);
}

struct row {
	const char *name;
	struct span wire;
	unsigned faults;
	struct span message;
	struct span normalised;
};

#define CLEAN(name, wire, message)                                            \
	{                                                                     \
		name, SPAN_LIT(wire), 0, SPAN_LIT(message), SPAN_LIT(message) \
	}
#define FAULTY(name, wire, faults, message, normalised)          \
	{                                                        \
		name, SPAN_LIT(wire), faults, SPAN_LIT(message), \
			SPAN_LIT(normalised)                     \
	}

static const struct row text[] = {
	CLEAN("nothing", "", ""),
	CLEAN("one empty line", "\r\n", "\r\n"),
	CLEAN("header and body", "A: b\r\n\r\nc\r\n", "A: b\r\n\r\nc\r\n"),
	CLEAN("no dot is lost", ".\r\n..\r\n.a\r\n", ".\r\n..\r\n.a\r\n"),
	CLEAN("no end of data", "a\r\n.\r\nQUIT\r\n", "a\r\n.\r\nQUIT\r\n"),
	CLEAN("a last line gets its end", "a\r\nb", "a\r\nb\r\n"),
	CLEAN("a dot at the end", "a\r\n.", "a\r\n.\r\n"),
	CLEAN("8 bits", "\t\xff\x80 \x01\x0b\x0c\x0e\r\n",
	      "\t\xff\x80 \x01\x0b\x0c\x0e\r\n"),
	FAULTY("bare LF", "a\nb\r\n", LF, "a\nb\r\n", "a\r\nb\r\n"),
	FAULTY("LF at the end", "a\n", LF, "a\n\r\n", "a\r\n"),
	FAULTY("bare CR", "a\rb\r\n", CR, "a\rb\r\n", "a b\r\n"),
	FAULTY("CR at the end", "a\r", CR, "a\r\r\n", "a \r\n"),
	FAULTY("CR CR LF", "a\r\r\n", CR, "a\r\r\n", "a \r\n"),
	FAULTY("NUL", "a\0b\r\n", NUL, "a\0b\r\n", "a b\r\n"),
	FAULTY("NUL behind the header", "A: b\r\n\r\n\0\r\n", NUL,
	       "A: b\r\n\r\n\0\r\n", "A: b\r\n\r\n \r\n"),
	FAULTY("LF.LF", "a\n.\nb\r\n", LF, "a\n.\nb\r\n", "a\r\n.\r\nb\r\n"),
	FAULTY("CRLF.LF", "a\r\n.\nb\r\n", LF, "a\r\n.\nb\r\n",
	       "a\r\n.\r\nb\r\n"),
	FAULTY("LF.CRLF", "a\n.\r\nb\r\n", LF, "a\n.\r\nb\r\n",
	       "a\r\n.\r\nb\r\n"),
	FAULTY("CRLF.CRCRLF", "a\r\n.\r\r\nb\r\n", CR, "a\r\n.\r\r\nb\r\n",
	       "a\r\n. \r\nb\r\n"),
};

static const struct row binary[] = {
	CLEAN("nothing", "", ""),
	CLEAN("no header", "\r\n\0\r\n\n\r", "\r\n\0\r\n\n\r"),
	CLEAN("the body is as it is", "A: b\r\n\r\n\0\n\r\r\n.\n\xff\r",
	      "A: b\r\n\r\n\0\n\r\r\n.\n\xff\r"),
	CLEAN("the body is not ended", "A: b\r\n\r\nc", "A: b\r\n\r\nc"),
	CLEAN("no body", "A: b\r\n\r\n", "A: b\r\n\r\n"),
	CLEAN("header only", "A: b", "A: b\r\n"),
	FAULTY("NUL in the header", "A: \0\r\n\r\n\0", NUL, "A: \0\r\n\r\n\0",
	       "A:  \r\n\r\n\0"),
	FAULTY("CR in the header", "A: \rb\r\n\r\n\r", CR, "A: \rb\r\n\r\n\r",
	       "A:  b\r\n\r\n\r"),
	FAULTY("CR CR LF is no empty line", "A: b\r\n\r\r\n\r\n\0", CR,
	       "A: b\r\n\r\r\n\r\n\0", "A: b\r\n \r\n\r\n\0"),
	{ "LF LF is one when it is made so", SPAN_LIT("A: b\n\n\0\n"), LF | NUL,
	  SPAN_LIT("A: b\n\n\0\n\r\n"), SPAN_LIT("A: b\r\n\r\n\0\n") },
	{ "CRLF LF too", SPAN_LIT("A: b\r\n\n\0\n"), LF | NUL,
	  SPAN_LIT("A: b\r\n\n\0\n\r\n"), SPAN_LIT("A: b\r\n\r\n\0\n") },
};

static void
assert_decoded(const struct decoded *decoded, const struct row *row)
{
	const struct data_decoder *decoder = &decoded->decoder;
	unsigned faults = row->faults;

	/* What stands behind the header then is body, and no fault. */
	if (decoder->is_binary && decoder->is_normalising && (faults & LF) != 0)
		faults = LF;
	if (decoder->faults != faults)
		fail_msg("%s: faults %u", row->name, decoder->faults);
	if (!span_equal(buf_span(&decoded->message), decoder->is_normalising
							     ? row->normalised
							     : row->message))
		fail_msg("%s: another message", row->name);
}

static void
check_every_pair_of_splits(const struct row *row, bool is_normalising,
			   bool is_binary)
{
	struct span wire = row->wire;

	for (size_t a = 0; a <= wire.n; a++)
		for (size_t b = a; b <= wire.n; b++) {
			struct decoded decoded;

			decoded_init(&decoded, is_normalising, is_binary);
			feed(&decoded, span_first(wire, a));
			feed(&decoded, span_after(span_first(wire, b), a));
			feed(&decoded, span_after(wire, b));
			end(&decoded);
			assert_decoded(&decoded, row);
			buf_fini(&decoded.message);
		}
}

static void
text_is_held_to_its_rule_at_every_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(text); i++) {
		check_every_pair_of_splits(&text[i], false, false);
		check_every_pair_of_splits(&text[i], true, false);
	}
}

static void
a_binary_body_is_as_it_is_at_every_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(binary); i++) {
		check_every_pair_of_splits(&binary[i], false, true);
		check_every_pair_of_splits(&binary[i], true, true);
	}
}

/* The definition, without states: an octet's neighbours say what it is, and
 * the message so far whether the body has begun. */
struct defined {
	uint8_t message[64];
	size_t n;
	unsigned faults;
};

static bool
ends_in(const struct defined *defined, const char *octets)
{
	size_t n = strlen(octets);

	return defined->n >= n &&
	       memcmp(defined->message + defined->n - n, octets, n) == 0;
}

static void
define(struct defined *defined, struct span wire, bool is_normalising,
       bool is_binary)
{
	bool is_in_body = false;

	*defined = (struct defined){ .n = 0 };
	for (size_t i = 0; i < wire.n; i++) {
		uint8_t c = wire.p[i];
		bool is_bare_cr =
			c == '\r' && (i + 1 == wire.n || wire.p[i + 1] != '\n');
		bool is_bare_lf =
			c == '\n' && (i == 0 || wire.p[i - 1] != '\r');

		if (!is_in_body) {
			defined->faults |= (is_bare_cr ? CR : 0u) |
					   (is_bare_lf ? LF : 0u) |
					   (c == '\0' ? NUL : 0u);
			if (is_normalising && is_bare_lf)
				defined->message[defined->n++] = '\r';
			if (is_normalising && (is_bare_cr || c == '\0'))
				c = ' ';
		}
		defined->message[defined->n++] = c;
		is_in_body |= is_binary && (!is_bare_lf || is_normalising) &&
			      ((defined->n == 2 && ends_in(defined, "\r\n")) ||
			       ends_in(defined, "\r\n\r\n"));
	}
	if (!is_in_body && defined->n > 0 && (!ends_in(defined, "\r\n"))) {
		defined->message[defined->n++] = '\r';
		defined->message[defined->n++] = '\n';
	}
}

static void
compare_with_definition(struct span wire, bool is_normalising, bool is_binary)
{
	struct defined defined;

	define(&defined, wire, is_normalising, is_binary);
	for (size_t split = 0; split <= wire.n; split++) {
		struct decoded decoded;

		decoded_init(&decoded, is_normalising, is_binary);
		if (split < wire.n) {
			feed(&decoded, span_first(wire, split));
			feed(&decoded, span_after(wire, split));
		} else {
			for (size_t i = 0; i < wire.n; i++)
				feed(&decoded, span_make(wire.p + i, 1));
		}
		end(&decoded);
		assert_int_equal(decoded.decoder.faults, defined.faults);
		assert_true(span_equal(buf_span(&decoded.message),
				       span_make(defined.message, defined.n)));
		buf_fini(&decoded.message);
	}
}

static void
the_decoder_is_its_definition(void **state)
{
	static const uint8_t alphabet[] = { '\r', '\n', '\0', '.' };
	uint8_t wire[6];
	size_t inputs = 1;

	(void)state;
	for (size_t n = 0; n <= sizeof(wire); n++, inputs *= ROWS(alphabet))
		for (size_t input = 0; input < inputs; input++) {
			size_t digits = input;

			for (size_t i = 0; i < n; i++) {
				wire[i] = alphabet[digits % ROWS(alphabet)];
				digits /= ROWS(alphabet);
			}
			for (unsigned mode = 0; mode < 4; mode++)
				compare_with_definition(span_make(wire, n),
							(mode & 1) != 0,
							(mode & 2) != 0);
		}
}

/* Encode at every split; whether all of it was taken. */
static bool
encode(struct span message, uint64_t announced, bool is_binary)
{
	bool is_taken = false;

	for (size_t split = 0; split <= message.n; split++) {
		struct guard first = guard_copy(span_first(message, split));
		struct guard then = guard_copy(span_after(message, split));
		struct data_encoder encoder;
		struct buf wire;

		buf_init(&wire, message.n);
		data_encoder_init_chunk(&encoder, announced, is_binary);
		is_taken = data_encode(&encoder, first.octets, &wire) &&
			   data_encode(&encoder, then.octets, &wire) &&
			   data_encode_end(&encoder, &wire);
		if (is_taken)
			assert_true(span_equal(buf_span(&wire), message));
		buf_fini(&wire);
		guard_free(&first);
		guard_free(&then);
	}
	return is_taken;
}

static void
the_encoder_changes_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(text); i++) {
		assert_true(encode(text[i].normalised, text[i].normalised.n,
				   false));
		assert_int_equal(
			encode(text[i].message, text[i].message.n, false),
			text[i].faults == 0);
	}
	for (size_t i = 0; i < ROWS(binary); i++)
		assert_true(
			encode(binary[i].message, binary[i].message.n, true));
}

static void
the_encoder_holds_to_what_was_announced(void **state)
{
	struct span message = SPAN_LIT("a\r\n");

	(void)state;
	for (unsigned is_binary = 0; is_binary < 2; is_binary++) {
		assert_false(encode(message, 2, is_binary));
		assert_true(encode(message, 3, is_binary));
		assert_false(encode(message, 4, is_binary));
		assert_true(encode(SPAN_NONE, 0, is_binary));
	}
	assert_false(encode(SPAN_LIT("a"), 1, false));
	assert_true(encode(SPAN_LIT("a"), 1, true));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_held_to_its_rule_at_every_split),
		cmocka_unit_test(a_binary_body_is_as_it_is_at_every_split),
		cmocka_unit_test(the_decoder_is_its_definition),
		cmocka_unit_test(the_encoder_changes_nothing),
		cmocka_unit_test(the_encoder_holds_to_what_was_announced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
