/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * data: the input is decoded whole and in pieces, as it is and normalised, and
 * what comes out is encoded again. The input is also taken for a message, and
 * for the chunks of one, text or binary. In pieces it goes the fastest way of
 * smtp/scan.h, whole the portable one.
 */
#include "smtp/data.h"
#include "smtp/scan.h"

#include "tests/fuzz/pieces.h"

#define ROOM ((size_t)64 * 1024 * 1024)

struct decoded {
	struct data_decoder decoder;
	struct buf message;
	bool has_ended;
	size_t taken;
};

static void
feed(struct decoded *decoded, struct span piece)
{
	uint8_t *copy = exact_copy(piece);
	struct span in = span_make(copy, piece.n);
	enum data_status status = DATA_CHUNK;
	struct span chunk;

	while (!decoded->has_ended && status != DATA_MORE) {
		status = data_decode(&decoded->decoder, &in, &chunk);
		decoded->has_ended = status == DATA_END;
		assert(status != DATA_MORE || in.n == 0);
		assert((chunk.n > 0) == (status == DATA_CHUNK));
		assert(buf_append(&decoded->message, chunk));
		assert(decoded->decoder.octets == decoded->message.n);
		if (status != DATA_CHUNK)
			decoded->taken += piece.n - in.n;
	}
	free(copy);
}

static void
decode(struct decoded *decoded, struct pieces pieces, bool is_normalising)
{
	struct span piece;

	*decoded = (struct decoded){ .has_ended = false };
	data_decoder_init(&decoded->decoder, is_normalising);
	buf_init(&decoded->message, ROOM);
	while (pieces_next(&pieces, &piece))
		feed(decoded, piece);
}

static void
check_same(const struct decoded *a, const struct decoded *b)
{
	assert(a->has_ended == b->has_ended);
	assert(a->taken == b->taken);
	assert(a->decoder.faults == b->decoder.faults);
	assert(a->decoder.state == b->decoder.state);
	assert(span_equal(buf_span(&a->message), buf_span(&b->message)));
}

/* The end is the first CR LF . CR LF, with one thought before the first
 * octet; nothing else is. */
static void
check_end(const struct decoded *decoded, struct span wire)
{
	struct span end = SPAN_LIT("\r\n.\r\n");
	const uint8_t *found = NULL;
	size_t taken = 0;

	if (span_starts(wire, span_after(end, 2)))
		taken = 3;
	else if (wire.n > 0)
		found = memmem(wire.p, wire.n, end.p, end.n);
	if (found != NULL)
		taken = (size_t)(found - wire.p) + end.n;
	assert(decoded->has_ended == (taken > 0));
	assert(!decoded->has_ended || decoded->taken == taken);
}

/* What is a fault shows from its neighbours alone. */
static void
check_faults(const struct decoded *decoded, struct span taken)
{
	unsigned faults = 0;

	for (size_t i = 0; i < taken.n; i++) {
		uint8_t c = taken.p[i];

		if (c == '\0')
			faults |= DATA_FAULT_NUL;
		if (c == '\n' && (i == 0 || taken.p[i - 1] != '\r'))
			faults |= DATA_FAULT_BARE_LF;
		if (c == '\r' && taken.p[i + 1] != '\n')
			faults |= DATA_FAULT_BARE_CR;
	}
	assert(decoded->decoder.faults == faults);
}

/* Whether every dot at a line's start is doubled, up to the end of data. */
static bool
is_stuffed(struct span wire)
{
	for (size_t i = 0; i + 3 < wire.n; i++) {
		bool is_start = i == 0 || (i >= 2 && wire.p[i - 1] == '\n' &&
					   wire.p[i - 2] == '\r');

		if (is_start && wire.p[i] == '.' && wire.p[i + 1] != '.')
			return false;
	}
	return true;
}

/* Encode in pieces; false, with what fits before it, if it is refused. */
static bool
encode(struct pieces pieces, struct buf *wire)
{
	struct data_encoder encoder = { .state = DATA_LINE_START };
	struct span piece;

	while (pieces_next(&pieces, &piece)) {
		uint8_t *copy = exact_copy(piece);
		size_t before = wire->n;
		bool is_clean =
			data_encode(&encoder, span_make(copy, piece.n), wire);

		free(copy);
		assert(wire->n - before <= DATA_ENCODED_MAX(piece.n));
		assert(is_clean || wire->n == before);
		if (!is_clean)
			return false;
	}
	assert(encoder.octets == pieces.octets.n);
	return data_encode_end(&encoder, wire);
}

/* A message that the encoder takes comes back as it was, and ends where its
 * wire form ends. */
static bool
check_message(struct pieces pieces, struct buf *wire)
{
	struct decoded again;
	struct pieces whole = { .octets = pieces.octets };
	struct buf other;
	bool is_clean;

	buf_init(wire, ROOM);
	buf_init(&other, ROOM);
	is_clean = encode(pieces, wire);
	assert(scan_use(SCAN_PORTABLE));
	assert(is_clean == encode(whole, &other));
	assert(scan_use(SCAN_FASTEST));
	if (is_clean) {
		assert(span_equal(buf_span(wire), buf_span(&other)));
		whole.octets = buf_span(wire);
		decode(&again, whole, false);
		assert(again.has_ended && again.taken == wire->n);
		assert(again.decoder.faults == 0);
		assert(span_equal(buf_span(&again.message), pieces.octets));
		buf_fini(&again.message);
	}
	buf_fini(&other);
	return is_clean;
}

static void
check_wire(struct pieces pieces, bool is_normalising)
{
	struct pieces whole = { .octets = pieces.octets };
	struct decoded decoded;
	struct decoded other;
	struct span taken;
	struct buf wire;
	bool is_clean;

	decode(&decoded, pieces, is_normalising);
	assert(scan_use(SCAN_PORTABLE));
	decode(&other, whole, is_normalising);
	assert(scan_use(SCAN_FASTEST));
	check_same(&decoded, &other);
	check_end(&decoded, pieces.octets);
	if (decoded.has_ended) {
		taken = span_first(pieces.octets, decoded.taken);
		check_faults(&decoded, taken);
		pieces.octets = buf_span(&decoded.message);
		is_clean = check_message(pieces, &wire);
		/* A fault never gets lost, and never through. */
		assert(is_clean ==
		       (is_normalising || decoded.decoder.faults == 0));
		if (decoded.decoder.faults == 0 && is_stuffed(taken))
			assert(span_equal(buf_span(&wire), taken));
		buf_fini(&wire);
	}
	buf_fini(&decoded.message);
	buf_fini(&other.message);
}

static void
decode_chunks(struct decoded *decoded, struct pieces pieces,
	      bool is_normalising, bool is_binary)
{
	enum data_status status = DATA_CHUNK;
	struct span piece, chunk;

	*decoded = (struct decoded){ .has_ended = false };
	data_decoder_init_chunks(&decoded->decoder, is_normalising, is_binary);
	buf_init(&decoded->message, ROOM);
	while (pieces_next(&pieces, &piece))
		feed(decoded, piece);
	assert(!decoded->has_ended);
	while (status == DATA_CHUNK) {
		status = data_decode_last(&decoded->decoder, &chunk);
		assert((chunk.n > 0) == (status == DATA_CHUNK));
		assert(buf_append(&decoded->message, chunk));
		assert(decoded->decoder.octets == decoded->message.n);
	}
	decoded->has_ended = true;
}

/* What is clean goes on as it is, in one chunk; what is not goes nowhere, but
 * for a body that nobody looks into. */
static void
check_chunks(struct pieces pieces, bool is_normalising, bool is_binary)
{
	struct pieces whole = { .octets = pieces.octets };
	struct decoded decoded, other;
	struct data_encoder encoder;
	struct buf wire;
	bool is_clean;

	decode_chunks(&decoded, pieces, is_normalising, is_binary);
	assert(scan_use(SCAN_PORTABLE));
	decode_chunks(&other, whole, is_normalising, is_binary);
	assert(scan_use(SCAN_FASTEST));
	check_same(&decoded, &other);
	buf_init(&wire, ROOM);
	data_encoder_init_chunk(&encoder, decoded.message.n, is_binary);
	is_clean = data_encode(&encoder, buf_span(&decoded.message), &wire) &&
		   data_encode_end(&encoder, &wire);
	assert(is_clean ==
	       (is_binary || is_normalising || decoded.decoder.faults == 0));
	if (is_clean)
		assert(span_equal(buf_span(&wire), buf_span(&decoded.message)));
	if (!is_normalising && decoded.message.n >= pieces.octets.n)
		assert(span_equal(
			span_first(buf_span(&decoded.message), pieces.octets.n),
			pieces.octets));
	buf_fini(&wire);
	buf_fini(&decoded.message);
	buf_fini(&other.message);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct pieces pieces = pieces_make(input, n);
	struct buf wire;

	check_wire(pieces, false);
	check_wire(pieces, true);
	for (unsigned mode = 0; mode < 4; mode++)
		check_chunks(pieces, (mode & 1) != 0, (mode & 2) != 0);
	check_message(pieces, &wire);
	buf_fini(&wire);
	return 0;
}
