/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * data: the octets of a message on the wire, decoded and encoded.
 *
 * One decoder, one encoder, exact inverses; nothing else writes message
 * octets. On the wire (RFC 5321 4.5.2) a line that starts with a dot has a
 * second one, and CR LF . CR LF, nothing else, ends the data. A message is
 * thus empty, or made of lines that end in CR LF.
 *
 * A CR without LF, a LF without CR, and NUL are ambiguous to whoever reads
 * them next, which is what SMTP smuggling lives on. The decoder never takes
 * one for a line end or for an end of data. It counts each as a fault, reads
 * on to the true end, and lets the caller refuse (550 5.6.0); or, when
 * normalising, it gives CR LF for a bare LF and a space for a bare CR and for
 * NUL. Without normalising the octets after a fault are given as they are,
 * and such a message must not be relayed.
 *
 * The encoder takes clean lines only (CR LF or nothing): a fault in what it
 * is given is ours, and it refuses.
 *
 * Neither keeps octets: chunks given out borrow from the input or are
 * constants.
 */
#ifndef SMTP_DATA_H
#define SMTP_DATA_H

#include "smtp/buf.h"

enum data_state {
	DATA_LINE_START, /* after CR LF, and at first */
	DATA_LINE,       /* inside a line */
	DATA_CR,         /* after a CR inside a line */
	DATA_DOT,        /* after a dot at a line's start */
	DATA_DOT_CR,     /* after dot CR at a line's start */
	DATA_ENDED,
};

enum data_fault {
	DATA_FAULT_BARE_CR = 1,
	DATA_FAULT_BARE_LF = 2,
	DATA_FAULT_NUL = 4,
};

struct data_decoder {
	enum data_state state;
	bool is_normalising;
	unsigned faults; /* bits of enum data_fault */
	uint64_t octets; /* of the message, given out so far */
};

enum data_status { DATA_MORE, DATA_CHUNK, DATA_END };

/* A decoder at the start of the data. */
void data_decoder_init(struct data_decoder *decoder, bool is_normalising);

/*
 * Take octets from *in. DATA_CHUNK: *chunk holds message octets, call again.
 * DATA_MORE: *in is used up. DATA_END: the data has ended, *in stands behind
 * CR LF . CR LF; do not call again.
 */
enum data_status data_decode(struct data_decoder *decoder, struct span *in,
			     struct span *chunk);

struct data_encoder {
	enum data_state state; /* LINE_START, LINE, CR or ENDED */
	uint64_t octets;       /* of the message, taken in so far */
};

/* An encoder at the start of the data (a zeroed one is ready too). */
void data_encoder_init(struct data_encoder *encoder);

/*
 * Append the wire form of chunk. False, and nothing appended, if it does not
 * fit (at most DATA_ENCODED_MAX(chunk.n) octets are needed) or the chunk holds
 * NUL, a bare CR or a bare LF. A CR at its end is held against the next one.
 */
#define DATA_ENCODED_MAX(n) ((n) + (n) / 3 + 2)
bool data_encode(struct data_encoder *encoder, struct span chunk,
		 struct buf *out);

/* Append the end of data. False if it does not fit, or the message's last
 * line has no CR LF. After true the encoder takes nothing more. */
bool data_encode_end(struct data_encoder *encoder, struct buf *out);

#endif
