/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * message: the header of a message, indexed as it streams past.
 *
 * The one place where header and body are told apart; DKIM, DMARC, our own
 * fields and the relay all use this split. The header ends at the first empty
 * line and nowhere else (a message without one is all header). A line in it
 * that is neither a field nor the continuation of one is not taken for the
 * start of the body, as some MTAs do: it makes the header malformed, and the
 * caller decides what to do with such a message.
 *
 * The header's octets are kept here, whole and unchanged, in one buf; the
 * body is passed through. Limits: octets and fields; beyond either the header
 * is too large, and the message must be refused.
 *
 * White space between name and colon ("From : ", RFC 5322 4.5) is taken: it is
 * a field of that name, as those see it who show it. A line that starts with
 * white space and has no field before it is malformed.
 *
 * RFC 5322 2.2, 3.6.8. Input comes from data_decode(): clean lines.
 */
#ifndef SMTP_MESSAGE_H
#define SMTP_MESSAGE_H

#include "smtp/buf.h"

#define MESSAGE_FIELDS_MAX 1000 /* whatever the caller says */

enum message_state {
	MESSAGE_HEADER,    /* reading the header */
	MESSAGE_BODY,      /* behind the empty line */
	MESSAGE_TOO_LARGE, /* the header is over a limit; octets are dropped,
			    * and only the lines before the one too many are
			    * indexed */
};

struct message_entry { /* offsets into the header */
	uint32_t at;
	uint32_t name_length;
	uint32_t body_at;  /* behind the colon */
	uint32_t end;      /* behind the field's last CR LF */
	bool is_malformed; /* not a field; body_at == at, no name */
};

struct message {
	enum message_state state;
	struct buf header; /* all fields and the empty line, as received */
	struct message_entry *entries; /* owned */
	size_t fields;
	size_t fields_cap;
	size_t fields_max;    /* at most MESSAGE_FIELDS_MAX, as at first */
	size_t line_at;       /* where the pending header line starts */
	bool is_malformed;    /* some entry is */
	uint64_t body_octets; /* seen so far */
};

/* One field. Spans borrow from the message and die with its next feed. */
struct field {
	struct span raw;  /* all of it with its final CR LF */
	struct span name; /* without colon or white space; empty if malformed */
	struct span body; /* behind the colon, folded, without final CR LF */
	bool is_malformed;
};

/* An empty message whose header may have header_max octets, with its empty
 * line (at most UINT32_MAX). */
void message_init(struct message *message, size_t header_max);

/*
 * Take one chunk. What of it belongs to the body is given in *body (empty
 * while in the header). The empty line itself belongs to the header.
 */
void message_feed(struct message *message, struct span chunk,
		  struct span *body);

/* No more octets: the header, if still open, ends here. A last line without
 * its CR LF, which the wire cannot bring, is malformed. */
void message_end(struct message *message);

/* The index of field i, counted from 0 in the order of the message. */
struct field message_field(const struct message *message, size_t i);

/* Give a malformed field the name and body that it has for those who unfold
 * first and look for the colon then ("From CR LF SP : x", against RFC
 * 5322 2.2). It stays as it is if it is no field to them either. */
void message_field_unfolded(struct field *field);

/* The first field of that name from index `from` on; message->fields if none.
 */
size_t message_find(const struct message *message, struct span name,
		    size_t from);

/* How many fields have that name. */
size_t message_count(const struct message *message, struct span name);

/* Body of a field as one line: CR LF before white space removed, runs of
 * white space kept, trimmed. False if buf is full. RFC 5322 2.2.3. */
bool message_unfold(struct span body, struct buf *out);

/* Ready for another message; the memory is kept. */
void message_reset(struct message *message);
void message_fini(struct message *message);

#endif
