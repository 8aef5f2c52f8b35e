/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/command.h"

#include <assert.h>

#define DELETE 0x7f
#define HELO_NAME_MAX ADDRESS_DOMAIN_MAX
#define CHUNK_DIGITS_MAX 20

/* Kinds of argument, as VERBS names them. */
enum argument {
	ARGUMENT_NOTHING,
	ARGUMENT_ANYTHING,
	ARGUMENT_SOMETHING,
	ARGUMENT_DOMAIN,
	ARGUMENT_REVERSE_PATH,
	ARGUMENT_FORWARD_PATH,
	ARGUMENT_CHUNK,
};

struct verb_row {
	struct span text;
	enum argument argument;
};

/* clang-format off */
static const struct verb_row verbs[VERB_COUNT] = {
#define X(name, text, argument, help) \
	[VERB_##name] = { SPAN_LIT(text), ARGUMENT_##argument },
	VERBS(X)
#undef X
};
/* clang-format on */

/* Octets of in, from `from` on, before the first CR, LF or NUL. */
static size_t
find_mark(struct span in, size_t from)
{
	while (from < in.n && in.p[from] != '\r' && in.p[from] != '\n' &&
	       in.p[from] != '\0')
		from++;
	return from;
}

/* Whether a line of which this is the start is a BDAT, or could be taken for
 * one by its sender. */
static bool
is_chunk_line(struct span line)
{
	return span_starts_nocase(line, SPAN_LIT("BDAT"));
}

/* How long a line that begins like this may be. */
static size_t
line_max(const struct command_reader *reader, struct span line)
{
	size_t max =
		reader->line_max == 0 ? COMMAND_LINE_MAX : reader->line_max;

	return reader->login_max > max &&
			       span_starts_nocase(line, SPAN_LIT("AUTH "))
		       ? reader->login_max
		       : max;
}

/* The octets before n hold no end of line: if they are too many, drop them,
 * else remember not to search them again. */
static void
hold(struct command_reader *reader, struct span *in, size_t n)
{
	if (!reader->is_skipping && n > line_max(reader, *in)) {
		reader->is_skipping = true;
		reader->is_chunk = is_chunk_line(*in);
	}
	if (reader->is_skipping) {
		*in = span_after(*in, n);
		n = 0;
	}
	reader->scanned = n;
}

enum command_line
command_next(struct command_reader *reader, struct span *in, struct span *line)
{
	bool is_too_long, is_chunk;
	size_t n;

	assert(reader->scanned <= in->n);
	*line = SPAN_NONE;
	n = find_mark(*in, reader->scanned);
	if (n == in->n || (in->p[n] == '\r' && n + 1 == in->n)) {
		hold(reader, in, n);
		return COMMAND_MORE;
	}
	/* RFC 5321 2.3.8: CR and LF only as a pair, and only at the end. */
	if (in->p[n] != '\r' || in->p[n + 1] != '\n') {
		hold(reader, in, n);
		return COMMAND_BAD_OCTET;
	}
	is_too_long = reader->is_skipping || n > line_max(reader, *in);
	is_chunk = reader->is_skipping ? reader->is_chunk : is_chunk_line(*in);
	if (!is_too_long)
		*line = span_first(*in, n);
	*in = span_after(*in, n + 2);
	*reader = (struct command_reader){ .line_max = reader->line_max,
					   .login_max = reader->login_max };
	if (!is_too_long)
		return COMMAND_LINE;
	return is_chunk ? COMMAND_LONG_CHUNK : COMMAND_TOO_LONG;
}

/* Octets at the start of s before the first SP or HTAB. */
static size_t
word_length(struct span s)
{
	size_t n = 0;

	while (n < s.n && !octet_is_wsp(s.p[n]))
		n++;
	return n;
}

static enum verb
verb_parse(struct span word)
{
	for (enum verb verb = VERB_UNKNOWN + 1; verb < VERB_COUNT; verb++)
		if (span_equal_nocase(word, verbs[verb].text))
			return verb;
	return VERB_UNKNOWN;
}

/*
 * RFC 5321 4.1.1.1 asks for a domain or an address literal. The internet sends
 * much else: "localhost", "WIN_PC", "mx.example.", "192.0.2.1", "[2001:db8::1]"
 * without its tag. Whether to take these is the backend's choice, made by its
 * own rules; here it is only seen to that the name is one harmless word, of
 * the octets that Sendmail takes too, and UTF-8.
 */
static bool
is_helo_name(struct span text)
{
	static const char marks[] = "-._:#[]";

	if (text.n == 0 || text.n > HELO_NAME_MAX)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (!octet_is_alpha(c) && !octet_is_digit(c) && c < 0x80 &&
		    memchr(marks, c, sizeof(marks) - 1) == NULL)
			return false;
	}
	return address_is_text(text);
}

/* RFC 5321 4.1.2: (ALPHA / DIGIT) *(ALPHA / DIGIT / "-"). */
static bool
is_keyword(struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (!octet_is_alpha(c) && !octet_is_digit(c) &&
		    (c != '-' || i == 0))
			return false;
	}
	return text.n > 0;
}

/* RFC 5321 4.1.2: printable ASCII but "=" and SP; RFC 6531 3.3: UTF-8. */
static bool
is_value(struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (c <= ' ' || c == '=' || c == DELETE)
			return false;
	}
	return text.n > 0 && address_is_text(text);
}

static bool
add_parameter(struct command *command, struct span word)
{
	size_t n = span_find(word, '=');
	struct parameter parameter = { .keyword = span_first(word, n) };

	if (n < word.n) {
		parameter.has_value = true;
		parameter.value = span_after(word, n + 1);
	}
	if (!is_keyword(parameter.keyword) ||
	    (parameter.has_value && !is_value(parameter.value)) ||
	    command->parameters == COMMAND_PARAMETERS_MAX ||
	    command_parameter(command, parameter.keyword) != NULL)
		return false;
	command->parameter[command->parameters++] = parameter;
	return true;
}

/* What follows a path: nothing, or white space and parameters. */
static enum command_fault
parse_parameters(struct command *command, struct span rest)
{
	if (rest.n > 0 && !octet_is_wsp(rest.p[0]))
		return COMMAND_BAD_PARAMETER;
	for (rest = span_trim(rest); rest.n > 0; rest = span_trim(rest)) {
		size_t n = word_length(rest);

		if (!add_parameter(command, span_first(rest, n)))
			return COMMAND_BAD_PARAMETER;
		rest = span_after(rest, n);
	}
	return COMMAND_OK;
}

static struct span
path_prefix(const struct command *command)
{
	return verbs[command->verb].argument == ARGUMENT_REVERSE_PATH
		       ? SPAN_LIT("FROM:")
		       : SPAN_LIT("TO:");
}

/* RFC 5321 4.1.1.2: a sender is null or has a domain. 4.1.1.3: a recipient is
 * never null, and "<Postmaster>" needs no domain. */
static enum command_fault
parse_path(struct command *command)
{
	struct span prefix = path_prefix(command);
	bool is_reverse =
		verbs[command->verb].argument == ARGUMENT_REVERSE_PATH;
	struct span rest;
	bool is_good;

	if (!span_starts_nocase(command->argument, prefix))
		return COMMAND_BAD_ARGUMENT;
	rest = span_trim(span_after(command->argument, prefix.n));
	is_good = path_parse(&rest, &command->path);
	if (is_reverse && is_good)
		is_good = command->path.is_null || command->path.domain.n > 0;
	else if (is_good)
		is_good = !command->path.is_null;
	if (!is_good)
		return is_reverse ? COMMAND_BAD_REVERSE : COMMAND_BAD_FORWARD;
	return parse_parameters(command, rest);
}

/* RFC 3030 2: 1*DIGIT and, maybe, LAST. What is more than we can count cannot
 * be read over either. */
static enum command_fault
parse_chunk(struct command *command)
{
	size_t n = word_length(command->argument);
	struct span size = span_first(command->argument, n);
	struct span rest = span_trim(span_after(command->argument, n));

	command->is_last = rest.n > 0;
	if (size.n > CHUNK_DIGITS_MAX || !span_u64(size, &command->chunk) ||
	    (rest.n > 0 && !span_equal_nocase(rest, SPAN_LIT("LAST"))))
		return COMMAND_BAD_CHUNK;
	return COMMAND_OK;
}

enum command_fault
command_parse(struct span line, struct command *command)
{
	size_t n = word_length(line);

	*command = (struct command){ .verb = verb_parse(span_first(line, n)) };
	command->argument = span_trim(span_after(line, n));
	if (command->verb == VERB_UNKNOWN)
		return COMMAND_UNKNOWN;
	switch (verbs[command->verb].argument) {
	case ARGUMENT_NOTHING:
		return command->argument.n == 0 ? COMMAND_OK
						: COMMAND_BAD_ARGUMENT;
	case ARGUMENT_ANYTHING:
		return COMMAND_OK;
	case ARGUMENT_SOMETHING:
		return command->argument.n > 0 ? COMMAND_OK
					       : COMMAND_BAD_ARGUMENT;
	case ARGUMENT_DOMAIN:
		if (command->argument.n == 0)
			return COMMAND_BAD_ARGUMENT;
		if (!is_helo_name(command->argument))
			return COMMAND_BAD_DOMAIN;
		command->domain = command->argument;
		return COMMAND_OK;
	case ARGUMENT_REVERSE_PATH:
	case ARGUMENT_FORWARD_PATH:
		return parse_path(command);
	case ARGUMENT_CHUNK:
		return parse_chunk(command);
	}
	return COMMAND_UNKNOWN;
}

/* One word that cannot end the line or become two: what is written came from
 * command_parse(), or from us, and if it has such octets we are wrong. */
static void
append_word(struct buf *buf, struct span word)
{
	for (size_t i = 0; i < word.n; i++)
		assert(word.p[i] > ' ' && word.p[i] != DELETE);
	buf_append(buf, word);
}

static void
format_path(const struct command *command, struct buf *buf)
{
	buf_append(buf, path_prefix(command));
	path_format(&command->path, buf);
	for (size_t i = 0; i < command->parameters; i++) {
		const struct parameter *parameter = &command->parameter[i];

		buf_append_octet(buf, ' ');
		append_word(buf, parameter->keyword);
		if (parameter->has_value) {
			buf_append_octet(buf, '=');
			append_word(buf, parameter->value);
		}
	}
}

static void
format_chunk(const struct command *command, struct buf *buf)
{
	buf_append_u64(buf, command->chunk);
	if (command->is_last)
		buf_append(buf, SPAN_LIT(" LAST"));
}

bool
command_format(const struct command *command, struct buf *buf)
{
	enum argument argument;

	assert(command->verb > VERB_UNKNOWN && command->verb < VERB_COUNT);
	argument = verbs[command->verb].argument;
	assert(argument != ARGUMENT_ANYTHING && argument != ARGUMENT_SOMETHING);
	buf_append(buf, verbs[command->verb].text);
	if (argument != ARGUMENT_NOTHING)
		buf_append_octet(buf, ' ');
	if (argument == ARGUMENT_DOMAIN)
		append_word(buf, command->domain);
	else if (argument == ARGUMENT_CHUNK)
		format_chunk(command, buf);
	else if (argument != ARGUMENT_NOTHING)
		format_path(command, buf);
	return buf_append(buf, SPAN_LIT("\r\n"));
}

const struct parameter *
command_parameter(const struct command *command, struct span keyword)
{
	for (size_t i = 0; i < command->parameters; i++)
		if (span_equal_nocase(command->parameter[i].keyword, keyword))
			return &command->parameter[i];
	return NULL;
}

/* RFC 3461 4: xchar, which stands for itself. */
static bool
is_xchar(uint8_t c)
{
	return c > ' ' && c < DELETE && c != '+' && c != '=';
}

bool
xtext_encode(struct span text, struct buf *buf)
{
	static const char digits[] = "0123456789ABCDEF";
	bool fits = buf_append(buf, SPAN_NONE);

	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		char hexchar[] = { '+', digits[c >> 4], digits[c & 15] };

		fits = is_xchar(c) ? buf_append_octet(buf, c)
				   : buf_append(buf, span_make(hexchar, 3));
	}
	return fits;
}

/* Upper case only: what is decoded and encoded again is the same. */
static bool
hex_digit(uint8_t c, unsigned *value)
{
	if (octet_is_digit(c))
		*value = (unsigned)(c - '0');
	else if (c >= 'A' && c <= 'F')
		*value = (unsigned)(c - 'A' + 10);
	else
		return false;
	return true;
}

/* The octet at the start of text, which is not empty, taken from it. */
static bool
xtext_next(struct span *text, uint8_t *octet)
{
	unsigned high;
	unsigned low;

	*octet = text->p[0];
	if (is_xchar(*octet)) {
		*text = span_after(*text, 1);
		return true;
	}
	if (*octet != '+' || text->n < 3 || !hex_digit(text->p[1], &high) ||
	    !hex_digit(text->p[2], &low))
		return false;
	*octet = (uint8_t)(high << 4 | low);
	*text = span_after(*text, 3);
	return true;
}

bool
xtext_decode(struct span text, struct buf *buf)
{
	bool fits = buf_append(buf, SPAN_NONE);

	while (text.n > 0) {
		uint8_t octet;

		if (!xtext_next(&text, &octet))
			return false;
		fits = buf_append_octet(buf, octet);
	}
	return fits;
}

static bool
hex_digit_nocase(uint8_t c, unsigned *value)
{
	return hex_digit(c >= 'a' && c <= 'f' ? (uint8_t)(c - 'a' + 'A') : c,
			 value);
}

bool
xtext_hides_control(struct span text)
{
	for (size_t i = span_find(text, '+'); text.n - i > 2;
	     i = span_find(text, '+')) {
		unsigned high, low;

		if (hex_digit_nocase(text.p[i + 1], &high) &&
		    hex_digit_nocase(text.p[i + 2], &low) &&
		    (high < 2 || (high << 4 | low) == DELETE))
			return true;
		text = span_after(text, i + 1);
	}
	return false;
}
