/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/replay/letter.h"

#include <assert.h>

#define WIRE_MAX (64u << 20)
#define FIELDS_MAX 2000

void
letter_init(struct letter *letter)
{
	*letter = (struct letter){ 0 };
	buf_init(&letter->wire, WIRE_MAX);
	buf_init(&letter->message, WIRE_MAX);
}

void
letter_fini(struct letter *letter)
{
	buf_fini(&letter->wire);
	buf_fini(&letter->message);
}

void
letter_open(struct letter *letter)
{
	buf_reset(&letter->wire);
	buf_reset(&letter->message);
	letter->is_open = true;
	letter->has_ended = false;
	letter->is_chunk = false;
	letter->number++;
}

void
letter_open_chunk(struct letter *letter, uint64_t octets)
{
	letter_open(letter);
	letter->is_chunk = true;
	letter->left = octets;
	letter->is_open = octets > 0;
	letter->has_ended = octets == 0;
}

static size_t
take_chunk(struct letter *letter, struct span octets)
{
	size_t n = octets.n < letter->left ? octets.n : (size_t)letter->left;

	buf_append(&letter->message, span_first(octets, n));
	letter->left -= n;
	letter->is_open = letter->left > 0;
	letter->has_ended = letter->left == 0;
	return n;
}

/* The length of the first line with its CR LF; all of it where there is
 * none. */
static size_t
line_length(struct span text)
{
	size_t n = 0;

	while (n < text.n) {
		n += span_find(span_after(text, n), '\n') + 1;
		if (n <= text.n && n >= 2 && text.p[n - 2] == '\r')
			return n;
	}
	return text.n;
}

static void
decode(struct letter *letter)
{
	struct span wire = buf_span(&letter->wire);

	wire.n -= 3;
	while (wire.n > 0) {
		size_t n = line_length(wire);
		struct span line = span_first(wire, n);

		if (line.p[0] == '.')
			line = span_after(line, 1);
		buf_append(&letter->message, line);
		wire = span_after(wire, n);
	}
	assert(!letter->message.has_overflowed);
}

static bool
ends_here(struct span wire)
{
	static const uint8_t end[] = { '\r', '\n', '.', '\r', '\n' };

	if (wire.n == 3)
		return memcmp(wire.p, end + 2, 3) == 0;
	return wire.n >= 5 && memcmp(wire.p + wire.n - 5, end, 5) == 0;
}

/* Line by line: the end is the end of a line. */
size_t
letter_take(struct letter *letter, struct span octets)
{
	struct span left = octets;

	assert(letter->is_open);
	if (letter->is_chunk)
		return take_chunk(letter, octets);
	while (left.n > 0) {
		size_t n = span_find(left, '\n');
		bool is_line = n < left.n;
		bool has_room;

		n += is_line ? 1 : 0;
		has_room = buf_append(&letter->wire, span_first(left, n));
		assert(has_room); /* else it is a letter without an end */
		left = span_after(left, n);
		if (!is_line || !ends_here(buf_span(&letter->wire)))
			continue;
		letter->is_open = false;
		letter->has_ended = true;
		decode(letter);
		break;
	}
	return octets.n - left.n;
}

void
letter_normalise(struct letter *letter)
{
	struct span from = buf_span(&letter->message);
	struct buf to;

	buf_init(&to, WIRE_MAX);
	for (size_t i = 0; i < from.n; i++) {
		uint8_t c = from.p[i];
		bool is_end =
			c == '\r' && i + 1 < from.n && from.p[i + 1] == '\n';

		if (is_end || c == '\n')
			buf_append(&to, SPAN_LIT("\r\n"));
		else
			buf_append_octet(&to, c == '\r' || c == '\0' ? ' ' : c);
		i += is_end ? 1 : 0;
	}
	assert(!to.has_overflowed);
	buf_swap(&letter->message, &to);
	buf_fini(&to);
}

/* Where the body begins; all of it where nothing is empty. With lenient line
 * ends a bare LF ends a line as well. */
static size_t
header_length(struct span text, bool is_lenient)
{
	size_t at = 0;

	while (at < text.n) {
		struct span rest = span_after(text, at);
		size_t n = is_lenient ? span_find(rest, '\n') + 1
				      : line_length(rest);

		n = n < rest.n ? n : rest.n;
		at += n;
		if ((n == 2 && rest.p[0] == '\r' && rest.p[1] == '\n') ||
		    (is_lenient && n == 1 && rest.p[0] == '\n'))
			return at;
	}
	return text.n + 1;
}

void
letter_end_chunks(struct letter *letter, bool is_binary, bool is_normalising)
{
	struct span all = buf_span(&letter->message);
	size_t header =
		is_binary ? header_length(all, is_normalising) : all.n + 1;
	bool has_body = header <= all.n;
	struct buf body;

	buf_init(&body, WIRE_MAX);
	if (has_body) {
		buf_append(&body, span_after(all, header));
		letter->message.n = header;
	}
	if (is_normalising)
		letter_normalise(letter);
	all = buf_span(&letter->message);
	if (!has_body && all.n > 0 &&
	    (all.n < 2 || memcmp(all.p + all.n - 2, "\r\n", 2) != 0))
		buf_append(&letter->message, SPAN_LIT("\r\n"));
	buf_append(&letter->message, buf_span(&body));
	buf_fini(&body);
	letter->is_open = false;
	letter->has_ended = true;
}

struct span
letter_field(struct span *header)
{
	size_t n = line_length(*header);

	if (header->n == 0 || (n == 2 && header->p[0] == '\r'))
		return SPAN_NONE;
	while (n < header->n && octet_is_wsp(header->p[n]))
		n += line_length(span_after(*header, n));
	*header = span_after(*header, n);
	return span_make(header->p - n, n);
}

struct span
letter_field_name(struct span field)
{
	struct span name = span_first(field, span_find(field, ':'));

	if (name.n == field.n)
		return SPAN_NONE;
	return span_trim(span_first(name, span_find(name, '\r')));
}

/* All fields of a message, and what stands behind them. */
static size_t
cut(struct span message, struct span fields[FIELDS_MAX], struct span *body)
{
	size_t count = 0;

	for (;;) {
		struct span field = letter_field(&message);

		if (field.n == 0)
			break;
		assert(count < FIELDS_MAX);
		fields[count++] = field;
	}
	*body = message;
	return count;
}

static void
reverse(struct letter_change *change)
{
	for (size_t i = 0, k = change->stripped_count; i + 1 < k; i++) {
		struct span kept = change->stripped[i];

		change->stripped[i] = change->stripped[--k];
		change->stripped[k] = kept;
	}
}

bool
letter_compare(struct span original, struct span delivered,
	       struct letter_change *change, const char **reason)
{
	static struct span before[FIELDS_MAX], after[FIELDS_MAX];
	struct span body_before, body_after;
	size_t b = cut(original, before, &body_before);
	size_t a = cut(delivered, after, &body_after);

	*change = (struct letter_change){ 0 };
	*reason = "the body is not the one that was sent";
	if (!span_equal(body_before, body_after))
		return false;
	/* From below: what is kept stands there, what was added on top. */
	while (b-- > 0) {
		if (a > 0 && span_equal(before[b], after[a - 1])) {
			a--;
			continue;
		}
		*reason = "more fields are missing than can be counted";
		if (change->stripped_count == LETTER_STRIPPED_MAX)
			return false;
		change->stripped[change->stripped_count++] =
			letter_field_name(before[b]);
	}
	reverse(change);
	change->added = delivered;
	change->added.n = a == 0 ? 0
				 : (size_t)(after[a - 1].p + after[a - 1].n -
					    delivered.p);
	return true;
}
