/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A line is judged octet by octet as far as it is there, so that a stream
 * which is no SMTP is found bad at once and not when a time runs out. What is
 * bad in a prefix stays bad however it goes on, and nothing is good before its
 * CR LF is there: the outcome does not depend on how the octets arrive.
 */
#include "smtp/reply.h"

#include "smtp/address.h"

#include <assert.h>

#define CODE_DIGITS 3
#define CODE_MIN 200
#define CODE_MAX 599
#define DELETE 0x7f

/* "250-" and CR LF: octets of a line that are not text. */
#define LINE_FRAME (CODE_DIGITS + 1 + 2)

static bool
is_text(uint8_t c)
{
	return (c >= ' ' && c != DELETE) || c == '\t';
}

/* The octet that stands at `at` before the text: of the code, or behind it. */
static bool
is_prefix(uint8_t c, size_t at)
{
	if (at == 0)
		return c >= '2' && c <= '5';
	if (at < CODE_DIGITS)
		return octet_is_digit(c);
	return c == ' ' || c == '-';
}

/* How long a line with this code may be. */
static size_t
line_max(bool is_challenge)
{
	return is_challenge ? REPLY_CHALLENGE_MAX : REPLY_LINE_MAX;
}

/*
 * Octets of the line at the start of s without its CR LF. RFC 5321 2.3.8: only
 * CR LF ends a line.
 */
static enum reply_status
line_length(struct span s, size_t *length)
{
	size_t max = line_max(span_starts(s, SPAN_LIT("334")));

	for (size_t i = 0; i < s.n; i++) {
		if (i + 2 > max)
			return REPLY_BAD;
		if (s.p[i] == '\r' && i >= CODE_DIGITS) {
			*length = i;
			if (i + 1 == s.n)
				return REPLY_MORE;
			return s.p[i + 1] == '\n' ? REPLY_READY : REPLY_BAD;
		}
		if (i <= CODE_DIGITS ? !is_prefix(s.p[i], i) : !is_text(s.p[i]))
			return REPLY_BAD;
	}
	return REPLY_MORE;
}

static unsigned
code_of(struct span line)
{
	unsigned code = 0;

	for (size_t i = 0; i < CODE_DIGITS; i++)
		code = code * 10 + (unsigned)(line.p[i] - '0');
	return code;
}

/* Take a line in; READY if it is the last one, MORE if another follows. */
static enum reply_status
add_line(struct reply *reply, struct span line)
{
	unsigned code = code_of(line);
	bool has_separator = line.n > CODE_DIGITS;
	struct span text = span_after(line, CODE_DIGITS + has_separator);

	if (reply->lines == 0)
		reply->code = code;
	/* RFC 5321 4.2.1: the same code on every line. */
	if (code != reply->code || reply->lines == REPLY_LINES_MAX)
		return REPLY_BAD;
	reply->line[reply->lines++] = text;
	if (has_separator && line.p[CODE_DIGITS] == '-')
		return REPLY_MORE;
	return REPLY_READY;
}

enum reply_status
reply_next(struct span *in, struct reply *reply)
{
	struct span rest = *in;
	enum reply_status status;
	size_t length;

	reply->lines = 0;
	do {
		status = line_length(rest, &length);
		if (status != REPLY_READY)
			return status;
		status = add_line(reply, span_first(rest, length));
		rest = span_after(rest, length + 2);
	} while (status == REPLY_MORE);
	if (status == REPLY_READY)
		*in = rest;
	return status;
}

/* Octets of a number of one to three digits without leading zeros at the
 * start of s; 0 if there is none. RFC 3463 2. */
static size_t
number_length(struct span s)
{
	size_t n = 0;

	while (n < s.n && octet_is_digit(s.p[n]))
		n++;
	return n > 3 || (n > 1 && s.p[0] == '0') ? 0 : n;
}

struct span
reply_enhanced(unsigned code, struct span text)
{
	struct span rest = text;
	unsigned class = reply_class(code);
	size_t n;

	if (class == 3 || rest.n < 2 || rest.p[0] != '0' + class)
		return SPAN_NONE;
	rest = span_after(rest, 1);
	for (int part = 0; part < 2; part++) {
		if (rest.n == 0 || rest.p[0] != '.')
			return SPAN_NONE;
		rest = span_after(rest, 1);
		n = number_length(rest);
		if (n == 0)
			return SPAN_NONE;
		rest = span_after(rest, n);
	}
	if (rest.n > 0 && !octet_is_wsp(rest.p[0]))
		return SPAN_NONE;
	return span_first(text, text.n - rest.n);
}

static bool
append_code(struct buf *buf, unsigned code, uint8_t separator)
{
	assert(code >= CODE_MIN && code <= CODE_MAX);
	return buf_append_u64(buf, code) && buf_append_octet(buf, separator);
}

/* Octets of the character at the start of s, which is not empty; 0 if it is
 * neither printable ASCII nor well-formed UTF-8. */
static size_t
character_length(struct span s)
{
	uint8_t c = s.p[0];
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	if (n > s.n || c == '\t' || !address_is_text(span_first(s, n)))
		return 0;
	return n;
}

/* As many whole characters of text as fit into room octets. */
static void
append_characters(struct buf *buf, struct span text, size_t room)
{
	while (text.n > 0) {
		size_t n = character_length(text);
		struct span c = n > 0 ? span_first(text, n) : SPAN_LIT("?");

		if (c.n > room)
			break;
		buf_append(buf, c);
		room -= c.n;
		text = span_after(text, n > 0 ? n : 1);
	}
}

bool
reply_format(struct buf *buf, unsigned code, const char *enhanced,
	     struct span text)
{
	struct span status = span_cstr(enhanced);
	size_t room = REPLY_OWN_LINE_MAX - LINE_FRAME;

	assert(span_equal(status, reply_enhanced(code, status)));
	append_code(buf, code, ' ');
	buf_append(buf, status);
	if (status.n > 0 && text.n > 0) {
		buf_append_octet(buf, ' ');
		room--;
	}
	append_characters(buf, text, room - status.n);
	return buf_append(buf, SPAN_LIT("\r\n"));
}

/* What reply_next() lets through: the promise that no reply holds a line that
 * is not its own is kept here as well. */
static bool
is_clean(unsigned code, struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!is_text(text.p[i]))
			return false;
	return text.n <= line_max(code == 334) - LINE_FRAME;
}

/* Text that was heard, as long as it was. */
static bool
append_heard(struct buf *buf, struct span text)
{
	while (text.n > 0) {
		size_t n = text.p[0] < 0x80 ? 1 : character_length(text);

		buf_append(buf, n > 0 ? span_first(text, n) : SPAN_LIT("?"));
		text = span_after(text, n > 0 ? n : 1);
	}
	return !buf->has_overflowed;
}

bool
reply_relay(struct buf *buf, const struct reply *reply)
{
	bool fits = true;
	size_t n = 0;

	assert(reply->lines > 0 && reply->lines <= REPLY_LINES_MAX);
	for (size_t i = 0; i < reply->lines; i++)
		n += sizeof("250 \r\n") - 1 + reply->line[i].n;
	if (n > buf_room(buf))
		return false; /* half a reply would take in the next one */
	for (size_t i = 0; i < reply->lines; i++) {
		bool is_last = i + 1 == reply->lines;

		assert(is_clean(reply->code, reply->line[i]));
		append_code(buf, reply->code, is_last ? ' ' : '-');
		append_heard(buf, reply->line[i]);
		fits = buf_append(buf, SPAN_LIT("\r\n"));
	}
	return fits;
}

bool
reply_summary(struct buf *buf, const struct reply *reply)
{
	bool fits = append_code(buf, reply->code, ' ');

	for (size_t i = 0; i < reply->lines; i++) {
		if (i > 0)
			buf_append(buf, SPAN_LIT(" / "));
		fits = append_heard(buf, reply->line[i]);
	}
	return fits;
}
