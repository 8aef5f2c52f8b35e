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
 * By BDAT (RFC 3030) a message comes in chunks, without dots and without an
 * end of its own: octets as they are. The same rule holds for them, across the
 * borders of chunks, which mean nothing. A last line without its CR LF gets
 * one: it is part of the message then, judged as it is delivered. With
 * BODY=BINARYMIME the rule holds up to the first empty line, where the body
 * begins; the body is whatever it is.
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
	bool is_chunked;  /* no dots, no end */
	bool is_binary;   /* only the header is lines */
	bool is_in_body;  /* of a binary message */
	bool is_cr_first; /* the CR of DATA_CR is its line's first octet */
	unsigned faults;  /* bits of enum data_fault */
	uint64_t octets;  /* of the message, given out so far */
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

/* The same for a message that comes by BDAT. Its chunks are shown one behind
 * the other; data_decode() never gives DATA_END. */
void data_decoder_init_chunks(struct data_decoder *decoder, bool is_normalising,
			      bool is_binary);

/* All chunks are there. DATA_CHUNK: *chunk is what they lacked, or were still
 * owed, call again. DATA_END: that was all. */
enum data_status data_decode_last(struct data_decoder *decoder,
				  struct span *chunk);

struct data_encoder {
	enum data_state state; /* LINE_START, LINE, CR or ENDED */
	bool is_chunk;         /* octets as they are, and no end */
	bool is_binary;        /* … which need not be lines */
	uint64_t announced;    /* octets of the chunk */
	uint64_t octets;       /* of the message, taken in so far */
};

/* An encoder at the start of the data (a zeroed one is ready too). */
void data_encoder_init(struct data_encoder *encoder);

/* An encoder for one chunk of so many octets, all of a message, behind its
 * "BDAT octets LAST". */
void data_encoder_init_chunk(struct data_encoder *encoder, uint64_t octets,
			     bool is_binary);

/*
 * Append the wire form of chunk. False, and nothing appended, if it does not
 * fit (at most DATA_ENCODED_MAX(chunk.n) octets are needed) or the chunk holds
 * NUL, a bare CR or a bare LF, or is more than was announced. A CR at its end
 * is held against the next one.
 */
#define DATA_ENCODED_MAX(n) ((n) + (n) / 3 + 2)
bool data_encode(struct data_encoder *encoder, struct span chunk,
		 struct buf *out);

/* Append the end of data. False if it does not fit, or the message's last
 * line has no CR LF, or octets that were announced are missing. After true the
 * encoder takes nothing more. */
bool data_encode_end(struct data_encoder *encoder, struct buf *out);

#endif
