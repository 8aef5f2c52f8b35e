/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two speeds. Runs of octets that are message as they stand are found by
 * scan_lines() and given out in one piece, over as many lines as there are.
 * Everything else, which is dots at a line's start, line ends that are cut in
 * two by the input's end, and faults that are replaced, goes through a state
 * machine, an octet at a time.
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
 */
#include "smtp/data.h"

#include "smtp/scan.h"

#include <assert.h>

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

/* What of clean lines belongs to the header of a binary message: all, or what
 * ends with the first empty line. */
static struct span
header_of(struct data_decoder *decoder, struct span lines)
{
	const uint8_t *end = NULL;
	size_t n = 0;

	if (decoder->state == DATA_LINE_START &&
	    span_starts(lines, SPAN_LIT("\r\n")))
		n = 2;
	else if (lines.n > 0)
		end = memmem(lines.p, lines.n, "\r\n\r\n", 4);
	if (end != NULL)
		n = (size_t)(end - lines.p) + 4;
	decoder->is_in_body = n > 0;
	return n > 0 ? span_first(lines, n) : lines;
}

/*
 * Octets at the start of s, which is not empty, that are message as they
 * stand: clean lines, or a fault that is not to be replaced. 0 if the first one
 * is for step(). The decoder is inside a line or at its start.
 */
static size_t
piece_length(struct data_decoder *decoder, struct span s)
{
	uint8_t c = s.p[0];
	bool is_line_start = decoder->state == DATA_LINE_START;
	struct span lines;

	if (decoder->is_in_body)
		return s.n;
	if (c == '.' && is_line_start && !decoder->is_chunked)
		return 0;
	if (c == '\r' && s.n == 1)
		return 0; /* whose line end it is shows later */
	if (fault_of(c) != 0 && !(c == '\r' && s.p[1] == '\n')) {
		if (decoder->is_normalising)
			return 0;
		decoder->faults |= fault_of(c);
		decoder->state = DATA_LINE;
		return 1;
	}
	lines = span_first(s,
			   scan_lines(s, is_line_start, decoder->is_chunked));
	if (decoder->is_binary)
		lines = header_of(decoder, lines);
	decoder->state =
		lines.p[lines.n - 1] == '\n' ? DATA_LINE_START : DATA_LINE;
	return lines.n;
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

/*
 * Follow chunk from *state on and count the dots to be doubled; write it to
 * `to` with these doubled, unless that is NULL. False if it is not made of
 * clean lines.
 */
static bool
stuff(struct span chunk, enum data_state *state, size_t *dots, uint8_t *to)
{
	*dots = 0;
	while (chunk.n > 0) {
		size_t n;

		if (chunk.p[0] == '.' && *state == DATA_LINE_START) {
			++*dots;
			if (to != NULL)
				*to++ = '.';
			*state = DATA_LINE; /* the other one comes next */
		}
		n = *state == DATA_CR
			    ? chunk.p[0] == '\n'
			    : scan_lines(chunk, *state == DATA_LINE_START,
					 false);
		if (n > 0) {
			*state = chunk.p[n - 1] == '\n' ? DATA_LINE_START
							: DATA_LINE;
		} else if (chunk.p[0] == '\r' && chunk.n == 1 &&
			   *state != DATA_CR) {
			*state = DATA_CR;
			n = 1;
		} else { /* a bare LF, a bare CR, or NUL */
			return false;
		}
		if (to != NULL) {
			memcpy(to, chunk.p, n);
			to += n;
		}
		chunk = span_after(chunk, n);
	}
	return true;
}

bool
data_encode(struct data_encoder *encoder, struct span chunk, struct buf *out)
{
	enum data_state before = encoder->state, state = before;
	size_t dots = 0;
	uint8_t *to;

	assert(state == DATA_LINE_START || state == DATA_LINE ||
	       state == DATA_CR);
	if (encoder->is_chunk && chunk.n > encoder->announced - encoder->octets)
		return false;
	if (!encoder->is_binary && !stuff(chunk, &state, &dots, NULL))
		return false;
	if (encoder->is_chunk)
		dots = 0;
	to = buf_reserve(out, chunk.n + dots);
	if (to == NULL)
		return false;
	if (dots > 0)
		stuff(chunk, &before, &dots, to);
	else if (chunk.n > 0)
		memcpy(to, chunk.p, chunk.n);
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
