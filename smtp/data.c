/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two speeds. Runs of octets that are message as they stand are found eight
 * octets at a time and given out in one piece, over as many lines as there
 * are. Everything else, which is dots at a line's start, line ends that are
 * cut in two by the input's end, and faults that are replaced, goes through a
 * state machine, an octet at a time.
 *
 *                  '.'          CR             LF
 *     LINE_START -------> DOT -------> DOT_CR -------> ENDED
 *      ^   |               |             |
 *      |   | other   other |       other | (a bare CR)
 *    LF|   v               v             v
 *      |  LINE <-----------+-------------+
 *      |   | CR ^ other (a bare CR)
 *      |   v    |
 *      +-- CR --+
 *
 * Only CR LF leads to LINE_START, from where alone a dot is ever dropped
 * (RFC 5321 4.5.2) or the end is reached (RFC 5321 4.1.1.4).
 *
 * Chunks go the same ways, where a dot is an octet as any other. In them a
 * bare LF that became a line end does lead to LINE_START: no dot can be lost
 * by it, and an empty line must be seen where the message has one.
 *
 * Why not memchr() for CR, LF and NUL in turn: where one of them is missing
 * and another is dense, each call would search the whole rest of the input
 * again. One pass for all three costs the same whatever is sent.
 */
#include "smtp/data.h"

#include <assert.h>

#define EACH_OCTET(value) (UINT64_MAX / 255 * (value))

/* Octets at the start of s before the first one below 14. CR, LF and NUL are;
 * of what is common in text only HTAB is. */
static size_t
plain_length(struct span s)
{
	size_t i = 0;
	uint64_t eight;

	while (s.n - i >= sizeof(eight)) {
		memcpy(&eight, s.p + i, sizeof(eight));
		/* An octet's top bit is set by the subtraction and was not
		 * before: there is an octet below 14. */
		if (((eight - EACH_OCTET('\r' + 1)) & ~eight &
		     EACH_OCTET(0x80)) != 0)
			break;
		i += sizeof(eight);
	}
	while (i < s.n && s.p[i] > '\r')
		i++;
	return i;
}

void
data_decoder_init(struct data_decoder *decoder, bool is_normalising)
{
	*decoder = (struct data_decoder){ .is_normalising = is_normalising };
}

void
data_decoder_init_chunks(struct data_decoder *decoder, bool is_normalising,
			 bool is_binary)
{
	data_decoder_init(decoder, is_normalising);
	decoder->is_chunked = true;
	decoder->is_binary = is_binary;
}

/* The fault that c is unless it is half of a line end; 0 if it is none. */
static unsigned
fault_of(uint8_t c)
{
	switch (c) {
	case '\r':
		return DATA_FAULT_BARE_CR;
	case '\n':
		return DATA_FAULT_BARE_LF;
	case '\0':
		return DATA_FAULT_NUL;
	default:
		return 0;
	}
}

/* A line of the message has ended. */
static void
end_line(struct data_decoder *decoder)
{
	bool is_empty = decoder->state == DATA_LINE_START ||
			(decoder->state == DATA_CR && decoder->is_cr_first);

	decoder->is_in_body |= decoder->is_binary && is_empty;
	decoder->state = DATA_LINE_START;
}

/*
 * Octets at the start of s, which is not empty, that are message as they
 * stand: plain ones, a line end, or a fault that is not to be replaced. 0 if
 * the first one is for step(). The decoder is inside a line or at its start.
 */
static size_t
piece_length(struct data_decoder *decoder, struct span s)
{
	uint8_t c = s.p[0];

	if (decoder->is_in_body)
		return s.n;
	if (c == '.' && decoder->state == DATA_LINE_START &&
	    !decoder->is_chunked)
		return 0;
	if (c == '\r' && s.n == 1)
		return 0; /* whose line end it is shows later */
	if (c == '\r' && s.p[1] == '\n') {
		end_line(decoder);
		return 2;
	}
	if (fault_of(c) != 0 && decoder->is_normalising)
		return 0;
	decoder->faults |= fault_of(c);
	decoder->state = DATA_LINE;
	return 1 + plain_length(span_after(s, 1));
}

/* Octets at the start of in that are message as they stand. */
static size_t
run_length(struct data_decoder *decoder, struct span in)
{
	size_t i = 0;
	size_t n = 1;

	while (i < in.n && n > 0) {
		n = piece_length(decoder, span_after(in, i));
		i += n;
	}
	return i;
}

/* What stands in the message for the faulty octet c. */
static struct span
take_fault(struct data_decoder *decoder, uint8_t c)
{
	decoder->faults |= fault_of(c);
	if (decoder->is_chunked && c == '\n')
		end_line(decoder);
	else
		decoder->state = DATA_LINE; /* see the top */
	if (!decoder->is_normalising) {
		assert(c == '\r'); /* others are part of a run */
		return SPAN_LIT("\r");
	}
	return c == '\n' ? SPAN_LIT("\r\n") : SPAN_LIT(" ");
}

/*
 * One octet that is not part of a run. What the message gains by it is put in
 * *chunk. False if it is to be looked at again in the state that is now.
 */
static bool
step(struct data_decoder *decoder, uint8_t c, struct span *chunk)
{
	switch (decoder->state) {
	case DATA_LINE_START:
	case DATA_LINE:
		decoder->is_cr_first = decoder->state == DATA_LINE_START;
		if (c == '.')
			decoder->state = DATA_DOT;
		else if (c == '\r')
			decoder->state = DATA_CR;
		else
			*chunk = take_fault(decoder, c);
		return true;
	case DATA_CR:
		if (c != '\n') {
			*chunk = take_fault(decoder, '\r');
			return false;
		}
		*chunk = SPAN_LIT("\r\n");
		end_line(decoder);
		return true;
	case DATA_DOT:
		decoder->state = c == '\r' ? DATA_DOT_CR : DATA_LINE;
		return c == '\r';
	case DATA_DOT_CR:
		decoder->state = c == '\n' ? DATA_ENDED : DATA_CR;
		return c == '\n';
	case DATA_ENDED:
		break;
	}
	assert(decoder->state != DATA_ENDED);
	return true;
}

enum data_status
data_decode(struct data_decoder *decoder, struct span *in, struct span *chunk)
{
	assert(decoder->state != DATA_ENDED);
	*chunk = SPAN_NONE;
	while (in->n > 0) {
		if (decoder->state == DATA_LINE_START ||
		    decoder->state == DATA_LINE) {
			*chunk = span_first(*in, run_length(decoder, *in));
			*in = span_after(*in, chunk->n);
		}
		if (chunk->n == 0 && step(decoder, in->p[0], chunk))
			*in = span_after(*in, 1);
		if (decoder->state == DATA_ENDED)
			return DATA_END;
		if (chunk->n > 0) {
			decoder->octets += chunk->n;
			return DATA_CHUNK;
		}
	}
	return DATA_MORE;
}

enum data_status
data_decode_last(struct data_decoder *decoder, struct span *chunk)
{
	assert(decoder->is_chunked);
	*chunk = SPAN_NONE;
	if (decoder->state == DATA_CR) {
		*chunk = take_fault(decoder, '\r');
	} else if (decoder->state == DATA_LINE) {
		*chunk = SPAN_LIT("\r\n");
		decoder->state = DATA_LINE_START;
	} else {
		decoder->state = DATA_ENDED;
		return DATA_END;
	}
	decoder->octets += chunk->n;
	return DATA_CHUNK;
}

void
data_encoder_init(struct data_encoder *encoder)
{
	*encoder = (struct data_encoder){ .state = DATA_LINE_START };
}

void
data_encoder_init_chunk(struct data_encoder *encoder, uint64_t octets,
			bool is_binary)
{
	*encoder = (struct data_encoder){
		.state = DATA_LINE_START,
		.is_chunk = true,
		.is_binary = is_binary,
		.announced = octets,
	};
}

/* Follow chunk from *state on and count the dots to be doubled; false if it is
 * not made of clean lines. */
static bool
count_dots(struct span chunk, enum data_state *state, size_t *dots)
{
	size_t i = 0;

	*dots = 0;
	while (i < chunk.n) {
		uint8_t c = chunk.p[i++];

		/* A bare LF, a bare CR, or NUL. */
		if ((c == '\n') != (*state == DATA_CR) || c == '\0')
			return false;
		if (c == '\n') {
			*state = DATA_LINE_START;
		} else if (c == '\r') {
			*state = DATA_CR;
		} else {
			*dots += c == '.' && *state == DATA_LINE_START;
			*state = DATA_LINE;
			i += plain_length(span_after(chunk, i));
		}
	}
	return true;
}

/* Copy clean lines to `to`, doubling the dots that start them, of which there
 * are so many; what follows the last one is copied in one piece. */
static void
copy_stuffed(uint8_t *to, struct span chunk, bool is_line_start, size_t dots)
{
	while (dots > 0) {
		size_t n = span_find(chunk, '\n');

		if (is_line_start && chunk.p[0] == '.') {
			*to++ = '.';
			dots--;
		}
		n += n < chunk.n; /* with its LF */
		memcpy(to, chunk.p, n);
		to += n;
		chunk = span_after(chunk, n);
		is_line_start = true;
	}
	if (chunk.n > 0)
		memcpy(to, chunk.p, chunk.n);
}

bool
data_encode(struct data_encoder *encoder, struct span chunk, struct buf *out)
{
	enum data_state state = encoder->state;
	size_t dots = 0;
	uint8_t *to;

	assert(state == DATA_LINE_START || state == DATA_LINE ||
	       state == DATA_CR);
	if (encoder->is_chunk && chunk.n > encoder->announced - encoder->octets)
		return false;
	if (!encoder->is_binary && !count_dots(chunk, &state, &dots))
		return false;
	if (encoder->is_chunk)
		dots = 0;
	to = buf_reserve(out, chunk.n + dots);
	if (to == NULL)
		return false;
	copy_stuffed(to, chunk, encoder->state == DATA_LINE_START, dots);
	buf_extend(out, chunk.n + dots);
	encoder->state = state;
	encoder->octets += chunk.n;
	return true;
}

bool
data_encode_end(struct data_encoder *encoder, struct buf *out)
{
	if (encoder->state != DATA_LINE_START)
		return false;
	if (encoder->is_chunk ? encoder->octets != encoder->announced
			      : !buf_append(out, SPAN_LIT(".\r\n")))
		return false;
	encoder->state = DATA_ENDED;
	return true;
}
