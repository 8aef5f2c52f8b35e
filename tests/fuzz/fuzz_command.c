/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command: the input is a client's stream, framed whole and in pieces; each
 * line is parsed, and what is good is written anew and parsed again.
 */
#include "smtp/command.h"

#include "tests/fuzz/pieces.h"

#define ROOM ((size_t)64 * 1024 * 1024)

static void
check_inside(struct span part, struct span line)
{
	if (part.n > 0)
		assert(part.p >= line.p && part.p + part.n <= line.p + line.n);
}

/* Nothing is given out that is not of the line, or not one word. */
static void
check_contract(const struct command *command, struct span line)
{
	check_inside(command->argument, line);
	check_inside(command->domain, line);
	check_inside(command->path.local, line);
	check_inside(command->path.domain, line);
	assert(command->domain.n <= ADDRESS_DOMAIN_MAX);
	assert(command->parameters <= COMMAND_PARAMETERS_MAX);
	for (size_t i = 0; i < command->parameters; i++) {
		const struct parameter *parameter = &command->parameter[i];

		check_inside(parameter->keyword, line);
		check_inside(parameter->value, line);
		assert(parameter->keyword.n > 0);
		assert(parameter->has_value == (parameter->value.n > 0));
		assert(span_find(parameter->value, '=') == parameter->value.n);
		/* The first of that name, so the only one. */
		assert(command_parameter(command, parameter->keyword) ==
		       parameter);
	}
}

static void
check_same(const struct command *a, const struct command *b)
{
	assert(a->verb == b->verb);
	assert(span_equal(a->domain, b->domain));
	assert(a->path.is_null == b->path.is_null);
	assert(a->path.is_literal == b->path.is_literal);
	assert(span_equal(a->path.local, b->path.local));
	assert(span_equal(a->path.domain, b->path.domain));
	assert(a->chunk == b->chunk && a->is_last == b->is_last);
	assert(a->parameters == b->parameters);
	for (size_t i = 0; i < a->parameters; i++) {
		const struct parameter *one = &a->parameter[i];
		const struct parameter *two = &b->parameter[i];

		assert(span_equal(one->keyword, two->keyword));
		assert(span_equal(one->value, two->value));
		assert(one->has_value == two->has_value);
	}
}

static bool
is_written(enum verb verb)
{
	return verb == VERB_HELO || verb == VERB_EHLO || verb == VERB_MAIL ||
	       verb == VERB_RCPT || verb == VERB_DATA || verb == VERB_RSET ||
	       verb == VERB_BDAT || verb == VERB_QUIT;
}

/* Written anew it is one line, which means the same. */
static void
check_format(const struct command *command)
{
	struct command_reader reader = { 0 };
	struct command again;
	struct span line;
	struct span in;
	struct buf buf;

	buf_init(&buf, ROOM);
	assert(command_format(command, &buf));
	in = buf_span(&buf);
	assert(command_next(&reader, &in, &line) == COMMAND_LINE);
	assert(in.n == 0);
	for (size_t i = 0; i < line.n; i++)
		assert(line.p[i] >= ' ' && line.p[i] != 0x7f);
	assert(command_parse(line, &again) == COMMAND_OK);
	check_same(command, &again);
	buf_fini(&buf);
}

static void
check_command(struct span line)
{
	enum command_fault fault;
	struct command command;

	fault = command_parse(line, &command);
	assert((fault == COMMAND_UNKNOWN) == (command.verb == VERB_UNKNOWN));
	check_contract(&command, line);
	if (fault == COMMAND_OK && is_written(command.verb))
		check_format(&command);
}

static void
check_xtext(struct span text)
{
	struct buf encoded;
	struct buf decoded;

	buf_init(&encoded, 3 * text.n);
	buf_init(&decoded, text.n);
	assert(xtext_encode(text, &encoded));
	for (size_t i = 0; i < encoded.n; i++)
		assert(encoded.p[i] > ' ' && encoded.p[i] < 0x7f);
	assert(xtext_decode(buf_span(&encoded), &decoded));
	assert(span_equal(buf_span(&decoded), text));
	buf_reset(&decoded);
	xtext_decode(text, &decoded); /* bounded by what it is given */
	assert(!decoded.has_overflowed);
	buf_fini(&encoded);
	buf_fini(&decoded);
}

static void
check_line(struct span line)
{
	uint8_t *copy = exact_copy(line);

	assert(line.n <= COMMAND_LINE_MAX);
	for (size_t i = 0; i < line.n; i++)
		assert(line.p[i] != '\r' && line.p[i] != '\n' &&
		       line.p[i] != '\0');
	check_command(span_make(copy, line.n));
	check_xtext(span_make(copy, line.n));
	free(copy);
}

/* All lines that stand at the start of pending, noted in out; false at an
 * octet that ends the stream. */
static bool
read_lines(struct command_reader *reader, struct buf *pending, struct buf *out)
{
	uint8_t *copy = exact_copy(buf_span(pending));
	struct span in = span_make(copy, pending->n);
	enum command_line status;
	struct span line;

	do {
		status = command_next(reader, &in, &line);
		assert(line.n == 0 || status == COMMAND_LINE);
		check_line(line);
		buf_append(out, line);
		if (status != COMMAND_MORE)
			buf_printf(out, "\n%d\n", status);
	} while (status == COMMAND_LINE || status == COMMAND_TOO_LONG);
	buf_consume(pending, pending->n - in.n);
	assert(status == COMMAND_BAD_OCTET || in.n <= COMMAND_LINE_MAX + 1);
	free(copy);
	return status == COMMAND_MORE;
}

static void
read_stream(struct pieces pieces, struct buf *out)
{
	struct command_reader reader = { 0 };
	bool is_good = true;
	struct buf pending;
	struct span piece;

	buf_init(out, ROOM);
	buf_init(&pending, ROOM);
	while (is_good && pieces_next(&pieces, &piece)) {
		assert(buf_append(&pending, piece));
		is_good = read_lines(&reader, &pending, out);
	}
	if (is_good)
		buf_append(out, buf_span(&pending));
	assert(!out->has_overflowed);
	buf_fini(&pending);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct pieces pieces = pieces_make(input, n);
	struct pieces whole = { .octets = pieces.octets };
	struct buf other;
	struct buf out;

	read_stream(pieces, &out);
	read_stream(whole, &other);
	assert(span_equal(buf_span(&out), buf_span(&other)));
	buf_fini(&out);
	buf_fini(&other);
	return 0;
}
