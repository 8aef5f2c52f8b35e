/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A header line is taken over when its LF is there; each chunk is searched for
 * LF once and copied once, so the cost does not depend on how it was cut.
 *
 * Only the end of the line is looked for in this loop. Whether a line is a
 * field is asked when it is complete, by its own octets and the index so far.
 */
#include "smtp/message.h"

#include <assert.h>
#include <stdlib.h>

#define ENTRIES_FIRST 32

void
message_init(struct message *message, size_t header_max)
{
	assert(header_max <= UINT32_MAX);
	*message = (struct message){ .state = MESSAGE_HEADER,
				     .fields_max = MESSAGE_FIELDS_MAX };
	buf_init(&message->header, header_max);
}

/* Room for one more entry; false over the limit or without memory. */
static bool
entries_grow(struct message *message)
{
	size_t cap = message->fields_cap * 2;
	struct message_entry *entries;

	if (message->fields >= message->fields_max)
		return false;
	if (message->fields < message->fields_cap)
		return true;
	if (cap < ENTRIES_FIRST)
		cap = ENTRIES_FIRST;
	if (cap > MESSAGE_FIELDS_MAX)
		cap = MESSAGE_FIELDS_MAX;
	entries = realloc(message->entries, cap * sizeof(*entries));
	if (entries == NULL)
		return false;
	message->entries = entries;
	message->fields_cap = cap;
	return true;
}

/* Octets of the field name that line starts with; 0 if it has none.
 * RFC 5322 2.2, 3.6.8: printable ASCII without colon. */
static size_t
name_length(struct span line)
{
	size_t n = 0;

	while (n < line.n && line.p[n] > ' ' && line.p[n] <= '~' &&
	       line.p[n] != ':')
		n++;
	return n;
}

/* Enter the line of n octets at line_at. */
static bool
entry_add(struct message *message, size_t n)
{
	struct span line = span_first(
		span_after(buf_span(&message->header), message->line_at), n);
	size_t name = name_length(line);
	size_t colon = name;
	struct message_entry entry = { .at = (uint32_t)message->line_at };

	if (!entries_grow(message))
		return false;
	while (colon < n && octet_is_wsp(line.p[colon]))
		colon++;
	entry.is_malformed = name == 0 || colon == n || line.p[colon] != ':';
	entry.body_at = entry.at;
	if (!entry.is_malformed) {
		entry.name_length = (uint32_t)name;
		entry.body_at += (uint32_t)colon + 1;
	}
	entry.end = entry.at + (uint32_t)n;
	message->is_malformed |= entry.is_malformed;
	message->entries[message->fields++] = entry;
	return true;
}

/* The line of n octets at line_at is complete. RFC 5322 2.2.3. */
static bool
line_end(struct message *message, size_t n)
{
	uint8_t first = buf_span(&message->header).p[message->line_at];

	if (octet_is_wsp(first) && message->fields > 0)
		message->entries[message->fields - 1].end += (uint32_t)n;
	else if (!entry_add(message, n))
		return false;
	message->line_at += n;
	return true;
}

/*
 * Take what stands up to the first LF into the header, or all of chunk. Gives
 * the octets taken.
 */
static size_t
header_take(struct message *message, struct span chunk)
{
	size_t n = span_find(chunk, '\n');
	struct span line;

	if (n < chunk.n)
		n++;
	if (!buf_append(&message->header, span_first(chunk, n))) {
		message->state = MESSAGE_TOO_LARGE;
		return n;
	}
	line = span_after(buf_span(&message->header), message->line_at);
	/* A bare LF ends no line. */
	if (line.n < 2 || line.p[line.n - 1] != '\n' ||
	    line.p[line.n - 2] != '\r')
		return n;
	if (line.n == 2)
		message->state = MESSAGE_BODY;
	else if (!line_end(message, line.n))
		message->state = MESSAGE_TOO_LARGE;
	return n;
}

void
message_feed(struct message *message, struct span chunk, struct span *body)
{
	while (message->state == MESSAGE_HEADER && chunk.n > 0)
		chunk = span_after(chunk, header_take(message, chunk));
	*body = message->state == MESSAGE_BODY ? chunk : SPAN_NONE;
	message->body_octets += body->n;
}

void
message_end(struct message *message)
{
	size_t n = message->header.n - message->line_at;
	struct message_entry *last;

	if (message->state != MESSAGE_HEADER)
		return;
	message->state = MESSAGE_BODY;
	if (n == 0)
		return;
	if (!line_end(message, n)) {
		message->state = MESSAGE_TOO_LARGE;
		return;
	}
	last = &message->entries[message->fields - 1];
	last->is_malformed = true;
	last->name_length = 0;
	last->body_at = last->at;
	message->is_malformed = true;
}

static struct span
without_line_end(struct span s)
{
	if (s.n >= 2 && s.p[s.n - 2] == '\r' && s.p[s.n - 1] == '\n')
		s.n -= 2;
	return s;
}

struct field
message_field(const struct message *message, size_t i)
{
	struct span header = buf_span(&message->header);
	const struct message_entry *entry;
	struct field field;

	assert(i < message->fields);
	entry = &message->entries[i];
	field.is_malformed = entry->is_malformed;
	field.raw = span_make(header.p + entry->at, entry->end - entry->at);
	field.name = span_first(field.raw, entry->name_length);
	field.body = without_line_end(
		span_after(field.raw, entry->body_at - entry->at));
	return field;
}

void
message_field_unfolded(struct field *field)
{
	struct span raw = field->raw;
	size_t name = name_length(raw);
	size_t colon = name;

	while (colon < raw.n && (octet_is_wsp(raw.p[colon]) ||
				 raw.p[colon] == '\r' || raw.p[colon] == '\n'))
		colon++;
	if (name == 0 || colon == raw.n || raw.p[colon] != ':')
		return;
	field->name = span_first(raw, name);
	field->body = without_line_end(span_after(raw, colon + 1));
}

size_t
message_find(const struct message *message, struct span name, size_t from)
{
	const uint8_t *header = buf_span(&message->header).p;

	for (; from < message->fields; from++) {
		const struct message_entry *entry = &message->entries[from];

		if (entry->name_length == name.n &&
		    span_equal_nocase(span_make(header + entry->at, name.n),
				      name))
			return from;
	}
	return message->fields;
}

size_t
message_count(const struct message *message, struct span name)
{
	size_t count = 0;
	size_t i = message_find(message, name, 0);

	for (; i < message->fields; count++)
		i = message_find(message, name, i + 1);
	return count;
}

/* Octets of the fold that s starts with: CR LF before white space. */
static size_t
fold_length(struct span s)
{
	return s.n > 2 && s.p[0] == '\r' && s.p[1] == '\n' &&
			       octet_is_wsp(s.p[2])
		       ? 2
		       : 0;
}

/* Without white space and folds at either end. */
static struct span
fold_trim(struct span s)
{
	while (fold_length(s) > 0 || (s.n > 0 && octet_is_wsp(s.p[0])))
		s = span_after(s, fold_length(s) + 1);
	while (s.n > 0 && octet_is_wsp(s.p[s.n - 1])) {
		s.n--;
		s = without_line_end(s);
	}
	return s;
}

bool
message_unfold(struct span body, struct buf *out)
{
	struct span rest = fold_trim(body);

	while (rest.n > 0) {
		size_t n = span_find(rest, '\r');

		if (n < rest.n && fold_length(span_after(rest, n)) == 0)
			n++; /* a stray CR is no fold */
		buf_append(out, span_first(rest, n));
		rest = span_after(rest, n);
		rest = span_after(rest, fold_length(rest));
	}
	return !out->has_overflowed;
}

void
message_reset(struct message *message)
{
	message->state = MESSAGE_HEADER;
	buf_reset(&message->header);
	message->fields = 0;
	message->line_at = 0;
	message->is_malformed = false;
	message->body_octets = 0;
}

void
message_fini(struct message *message)
{
	buf_fini(&message->header);
	free(message->entries);
	message_init(message, message->header.max);
}
