/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * message: the input is a message, fed whole and in pieces. Both give the same
 * index and the same body, and header and body together are the input.
 */
#include "smtp/message.h"

#include "tests/fuzz/pieces.h"

#define ROOM ((size_t)64 * 1024 * 1024)

struct reading {
	struct message message;
	struct buf body;
};

static void
read_message(struct pieces pieces, size_t header_max, struct reading *reading)
{
	struct span piece;

	message_init(&reading->message, header_max);
	buf_init(&reading->body, ROOM);
	while (pieces_next(&pieces, &piece)) {
		uint8_t *copy = exact_copy(piece);
		struct span body;

		message_feed(&reading->message, span_make(copy, piece.n),
			     &body);
		assert(reading->message.state == MESSAGE_BODY || body.n == 0);
		assert(buf_append(&reading->body, body));
		free(copy);
	}
	message_end(&reading->message);
	assert(reading->message.state != MESSAGE_HEADER);
	assert(reading->message.body_octets == reading->body.n);
}

static void
reading_fini(struct reading *reading)
{
	message_fini(&reading->message);
	buf_fini(&reading->body);
}

static void
check_same(const struct reading *a, const struct reading *b)
{
	assert(a->message.state == b->message.state);
	assert(a->message.fields == b->message.fields);
	assert(a->message.is_malformed == b->message.is_malformed);
	for (size_t i = 0; i < a->message.fields; i++) {
		struct field x = message_field(&a->message, i);
		struct field y = message_field(&b->message, i);

		assert(span_equal(x.raw, y.raw));
		assert(span_equal(x.name, y.name));
		assert(span_equal(x.body, y.body));
		assert(x.is_malformed == y.is_malformed);
	}
	assert(span_equal(buf_span(&a->body), buf_span(&b->body)));
}

/* A field is its name, a colon and its body; unfolded it is one line, and
 * unfolding that again changes nothing. */
static void
check_field(const struct message *message, size_t i)
{
	struct field field = message_field(message, i);
	struct buf once, twice;

	assert(field.raw.n > 0);
	assert(span_starts(field.raw, field.name));
	assert(field.is_malformed == (field.name.n == 0));
	assert(field.name.n + field.body.n <= field.raw.n);
	if (!field.is_malformed)
		assert(message_find(message, field.name, i) == i);
	buf_init(&once, ROOM);
	buf_init(&twice, ROOM);
	assert(message_unfold(field.body, &once));
	assert(message_unfold(buf_span(&once), &twice));
	assert(span_equal(buf_span(&once), buf_span(&twice)));
	buf_fini(&once);
	buf_fini(&twice);
}

/* The fields, the empty line and the body are the input, each octet once. */
static void
check_whole(const struct reading *reading, struct span input)
{
	const struct message *message = &reading->message;
	struct span header = buf_span(&message->header);
	size_t at = 0;

	assert(header.n + reading->body.n == input.n);
	assert(span_equal(header, span_first(input, header.n)));
	assert(span_equal(buf_span(&reading->body),
			  span_after(input, header.n)));
	for (size_t i = 0; i < message->fields; i++) {
		struct field field = message_field(message, i);

		assert(field.raw.p == header.p + at);
		at += field.raw.n;
	}
	assert(at == header.n ||
	       span_equal(span_after(header, at), SPAN_LIT("\r\n")));
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct pieces pieces = pieces_make(input, n);
	struct pieces whole = { .octets = pieces.octets };
	/* Mostly a limit that is not met. */
	size_t header_max = pieces.choice < 24 ? ROOM : pieces.choice;
	struct reading a, b;

	read_message(pieces, header_max, &a);
	read_message(whole, header_max, &b);
	check_same(&a, &b);
	for (size_t i = 0; i < a.message.fields; i++)
		check_field(&a.message, i);
	if (a.message.state == MESSAGE_BODY)
		check_whole(&a, pieces.octets);
	reading_fini(&a);
	reading_fini(&b);
	return 0;
}
