/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reply: the input is a backend's stream of replies, read whole and in pieces;
 * what is read is written and read again, as a reply and as one to EHLO. The
 * input is also taken for the text of a reply of ours.
 */
#include "smtp/reply.h"

#include "smtp/address.h"
#include "smtp/extension.h"
#include "tests/fuzz/pieces.h"

#define ROOM ((size_t)64 * 1024 * 1024)

/* Text that was read, and written: clean, and the same where it was that. */
static void
check_text(struct span came, struct span went)
{
	assert(address_is_text(went) && came.n == went.n);
	assert(!address_is_text(came) || span_equal(came, went));
	for (size_t i = 0; i < came.n; i++)
		assert(came.p[i] == went.p[i] ||
		       (came.p[i] >= 0x80 && went.p[i] == '?'));
}

static void
check_same(const struct reply *came, const struct reply *went)
{
	assert(came->code == went->code && came->lines == went->lines);
	for (size_t i = 0; i < came->lines; i++)
		check_text(came->line[i], went->line[i]);
}

/* The contract of reply_next(): codes, counts, and text that cannot be taken
 * for a line of its own. */
static void
check_contract(const struct reply *reply)
{
	assert(reply->code >= 200 && reply->code <= 599);
	assert(reply->lines >= 1 && reply->lines <= REPLY_LINES_MAX);
	for (size_t i = 0; i < reply->lines; i++) {
		struct span text = reply->line[i];
		struct span status = reply_enhanced(reply->code, text);

		assert(text.n <= (reply->code == 334 ? REPLY_CHALLENGE_MAX
						     : REPLY_LINE_MAX));
		for (size_t at = 0; at < text.n; at++)
			assert(text.p[at] >= ' ' ? text.p[at] != 0x7f
						 : text.p[at] == '\t');
		assert(status.n <= sizeof("5.999.999") - 1);
		assert(span_starts(text, status));
		assert(span_equal(reply_enhanced(reply->code, status), status));
	}
}

/* Written and read, it is the same, and one octet less is not a reply. */
static void
check_relay(const struct reply *reply)
{
	struct reply again;
	struct span in;
	struct buf buf;

	buf_init(&buf, ROOM);
	assert(reply_relay(&buf, reply));
	in = span_first(buf_span(&buf), buf.n - 1);
	assert(reply_next(&in, &again) == REPLY_MORE);
	in = buf_span(&buf);
	assert(reply_next(&in, &again) == REPLY_READY && in.n == 0);
	check_same(reply, &again);
	buf_reset(&buf);
	assert(reply_summary(&buf, reply));
	assert(address_is_text(buf_span(&buf)));
	buf_fini(&buf);
}

/* The line that *wire starts with, with its CR LF; *wire is moved behind. */
static struct span
take_line(struct span *wire)
{
	size_t n = span_find(*wire, '\n') + 1;
	struct span line = span_first(*wire, n);

	*wire = span_after(*wire, n);
	return line;
}

/* What is relayed is what came, but for "250" alone, which gets its space. */
static void
check_unchanged(const struct reply *reply, struct span wire)
{
	struct span relayed;
	struct buf buf;

	buf_init(&buf, ROOM);
	assert(reply_relay(&buf, reply));
	relayed = buf_span(&buf);
	while (wire.n > 0 && relayed.n > 0) {
		struct span came = take_line(&wire);
		struct span went = take_line(&relayed);

		if (came.n == sizeof("250\r\n") - 1) {
			assert(span_equal(span_first(came, 3),
					  span_first(went, 3)));
			came = SPAN_LIT(" \r\n");
			went = span_after(went, 3);
		}
		assert(came.n == went.n);
		check_text(span_first(came, came.n - 2),
			   span_first(went, went.n - 2));
	}
	assert(wire.n == 0 && relayed.n == 0);
	buf_fini(&buf);
}

/* What of an EHLO reply is understood, is said again. */
static void
check_ehlo(const struct reply *reply)
{
	struct ehlo again;
	struct ehlo ehlo;
	struct reply own;
	struct span in;
	struct buf buf;

	ehlo_parse(reply, &ehlo);
	assert(reply->code == 250 || ehlo.extensions == 0);
	buf_init(&buf, ROOM);
	assert(ehlo_format(&ehlo, SPAN_LIT("mx.example"), &buf));
	in = buf_span(&buf);
	assert(reply_next(&in, &own) == REPLY_READY && in.n == 0);
	ehlo_parse(&own, &again);
	assert(ehlo.extensions == again.extensions);
	assert(ehlo.size_max == again.size_max);
	assert(ehlo.xclient == again.xclient);
	assert(memcmp(ehlo.limit, again.limit, sizeof(ehlo.limit)) == 0);
	assert(ehlo.by_min == again.by_min);
	assert(ehlo.hold_max == again.hold_max);
	assert(strcmp(ehlo.hold_until, again.hold_until) == 0);
	assert(strcmp(ehlo.policy, again.policy) == 0);
	assert(strcmp(ehlo.solicitation, again.solicitation) == 0);
	buf_fini(&buf);
}

/* All replies that stand at the start of pending, relayed to out. What was
 * read is consumed; false if the stream is bad. */
static bool
read_replies(struct buf *pending, struct buf *out)
{
	uint8_t *copy = exact_copy(buf_span(pending));
	struct span in = span_make(copy, pending->n);
	enum reply_status status;
	struct reply reply;

	for (;;) {
		struct span before = in;

		status = reply_next(&in, &reply);
		if (status != REPLY_READY) {
			assert(in.p == before.p && in.n == before.n);
			break;
		}
		assert(in.n < before.n);
		check_contract(&reply);
		check_relay(&reply);
		check_unchanged(&reply, span_first(before, before.n - in.n));
		check_ehlo(&reply);
		assert(reply_relay(out, &reply));
	}
	buf_consume(pending, pending->n - in.n);
	free(copy);
	return status != REPLY_BAD;
}

/* Read the stream; what is good of it is relayed to out, and BAD or what is
 * left at the end stands behind it. */
static void
read_stream(struct pieces pieces, struct buf *out)
{
	bool is_good = true;
	struct buf pending;
	struct span piece;

	buf_init(out, ROOM);
	buf_init(&pending, ROOM);
	while (is_good && pieces_next(&pieces, &piece)) {
		assert(buf_append(&pending, piece));
		is_good = read_replies(&pending, out);
	}
	assert(is_good || buf_append(out, SPAN_LIT("BAD")));
	assert(!is_good || buf_append(out, buf_span(&pending)));
	buf_fini(&pending);
}

/* Whatever the text, what we write is one line, and read as one. */
static void
check_own(unsigned choice, struct span text)
{
	static const struct {
		unsigned code;
		const char *enhanced;
	} rows[] = { { 250, "2.0.0" },
		     { 354, NULL },
		     { 421, "4.3.2" },
		     { 550, "5.7.1" } };
	unsigned row = choice % 4;
	struct span status = span_cstr(rows[row].enhanced);
	struct reply reply;
	struct span in;
	struct buf buf;

	buf_init(&buf, REPLY_OWN_LINE_MAX);
	assert(reply_format(&buf, rows[row].code, rows[row].enhanced, text));
	in = buf_span(&buf);
	assert(reply_next(&in, &reply) == REPLY_READY && in.n == 0);
	check_contract(&reply);
	assert(reply.code == rows[row].code && reply.lines == 1);
	assert(span_starts(reply.line[0], status));
	assert(status.n == 0 ||
	       span_equal(reply_enhanced(reply.code, reply.line[0]), status));
	buf_fini(&buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct pieces pieces = pieces_make(input, n);
	struct pieces whole = { .octets = pieces.octets };
	uint8_t *text = exact_copy(pieces.octets);
	struct buf other;
	struct buf out;

	read_stream(pieces, &out);
	read_stream(whole, &other);
	assert(span_equal(buf_span(&out), buf_span(&other)));
	check_own(pieces.choice, span_make(text, pieces.octets.n));
	buf_fini(&out);
	buf_fini(&other);
	free(text);
	return 0;
}
