/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/message.h"

#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

#define HEADER_MAX 4096

/* A message read, as text: one line a field, "name|body|" or "!raw|" where it
 * is malformed; then what became body. */
struct seen {
	char fields[2048];
	char body[256];
	enum message_state state;
};

static size_t
put(char *to, size_t at, struct span s, char end)
{
	for (size_t i = 0; i < s.n; i++)
		to[at++] = s.p[i] == '\0' ? '0' : (char)s.p[i];
	to[at++] = end;
	return at;
}

static void
see_fields(const struct message *message, struct seen *seen)
{
	size_t at = 0;

	for (size_t i = 0; i < message->fields; i++) {
		struct field field = message_field(message, i);

		if (field.is_malformed) {
			seen->fields[at++] = '!';
			assert_int_equal(field.name.n, 0);
			assert_true(message->is_malformed);
		} else {
			at = put(seen->fields, at, field.name, '|');
		}
		at = put(seen->fields, at, field.body, '|');
	}
	seen->fields[at] = '\0';
}

/* All fields and the empty line are the header's octets, without gaps. */
static void
check_header(const struct message *message, struct span text)
{
	struct span header = buf_span(&message->header);
	size_t at = 0;

	assert_true(span_equal(header, span_first(text, header.n)));
	for (size_t i = 0; i < message->fields; i++) {
		struct field field = message_field(message, i);

		assert_ptr_equal(field.raw.p, header.p + at);
		at += field.raw.n;
	}
	if (at < header.n)
		assert_true(
			span_equal(span_after(header, at), SPAN_LIT("\r\n")));
}

/* Fed in two chunks, or octet by octet where split is over the length. */
static void
see(struct message *message, struct span text, size_t split, struct seen *seen)
{
	size_t body = 0;

	for (size_t at = 0; at < text.n;) {
		size_t n = split > text.n ? 1
			   : at < split   ? split
					  : text.n - at;
		struct guard guard =
			guard_copy(span_first(span_after(text, at), n));
		struct span chunk;

		message_feed(message, guard.octets, &chunk);
		body = put(seen->body, body, chunk, '\0') - 1;
		guard_free(&guard);
		at += n;
	}
	message_end(message);
	seen->body[body] = '\0';
	assert_int_equal(message->body_octets, body);
	seen->state = message->state;
	see_fields(message, seen);
	if (message->state == MESSAGE_BODY)
		check_header(message, text);
}

static const struct {
	struct span text;
	const char *fields;
	const char *body;
} messages[] = {
	{ SPAN_LIT(""), "", "" },
	{ SPAN_LIT("\r\n"), "", "" },
	{ SPAN_LIT("\r\nFrom: a@b\r\n"), "", "From: a@b\r\n" },
	{ SPAN_LIT("From: a@b\r\n"), "From| a@b|", "" },
	{ SPAN_LIT("From: a@b\r\n\r\n"), "From| a@b|", "" },
	{ SPAN_LIT("From: a@b\r\n\r\nhello\r\n"), "From| a@b|", "hello\r\n" },
	{ SPAN_LIT("A:1\r\nB:2\r\n\r\n\r\n\r\nC: 3\r\n"), "A|1|B|2|",
	  "\r\n\r\nC: 3\r\n" },
	/* An empty body of a field. */
	{ SPAN_LIT("A:\r\n\r\n"), "A||", "" },
	/* Folded. */
	{ SPAN_LIT("A: 1\r\n 2\r\n\t3\r\nB:\r\n x\r\n\r\n"),
	  "A| 1\r\n 2\r\n\t3|B|\r\n x|", "" },
	/* A line of white space folds; it ends nothing. */
	{ SPAN_LIT("A: 1\r\n \r\nB: 2\r\n\r\n"), "A| 1\r\n |B| 2|", "" },
	/* Obsolete white space before the colon. RFC 5322 4.5. */
	{ SPAN_LIT("From : a@b\r\nTo\t \t: c\r\n\r\n"), "From| a@b|To| c|",
	  "" },
	/* All octets a name may have. */
	{ SPAN_LIT("!\"#$%&'()*+,-./09;<=>?@AZ[\\]^_`az{|}~: x\r\n\r\n"),
	  "!\"#$%&'()*+,-./09;<=>?@AZ[\\]^_`az{|}~| x|", "" },
	{ SPAN_LIT("A::\r\nB: c: d\r\n\r\n"), "A|:|B| c: d|", "" },
	/* What is no field does not end the header. */
	{ SPAN_LIT("From a@b Mon Jan 1\r\nA: 1\r\n\r\n"),
	  "!From a@b Mon Jan 1|A| 1|", "" },
	{ SPAN_LIT("A: 1\r\nno field\r\nFrom: x\r\n\r\n"),
	  "A| 1|!no field|From| x|", "" },
	{ SPAN_LIT("no field\r\n more\r\nA: 1\r\n\r\n"),
	  "!no field\r\n more|A| 1|", "" },
	{ SPAN_LIT(" From: a\r\n\tb\r\nA: 1\r\n\r\n"), "! From: a\r\n\tb|A| 1|",
	  "" },
	{ SPAN_LIT(": x\r\n\r\n"), "!: x|", "" },
	{ SPAN_LIT("a b: x\r\n\r\n"), "!a b: x|", "" },
	{ SPAN_LIT("a \r\n: x\r\n\r\n"), "!a |!: x|", "" },
	{ SPAN_LIT("From\r\n : a@b\r\n\r\n"), "!From\r\n : a@b|", "" },
	{ SPAN_LIT("caf\xc3\xa9: x\r\n\r\n"), "!caf\xc3\xa9: x|", "" },
	{ SPAN_LIT("a\x7f: x\r\n\r\n"), "!a\x7f: x|", "" },
	{ SPAN_LIT("a\0: x\r\n\r\n"), "!a0: x|", "" },
	/* Only CR LF ends a line. */
	{ SPAN_LIT("A: 1\n\nB: 2\r\n\r\n"), "A| 1\n\nB: 2|", "" },
	{ SPAN_LIT("A: 1\r\rB: 2\r\r\n\r\n"), "A| 1\r\rB: 2\r|", "" },
	{ SPAN_LIT("\r\r\nA: 1\r\n\r\n"), "!\r|A| 1|", "" },
	{ SPAN_LIT("\n\r\nA: 1\r\n\r\n"), "!\n|A| 1|", "" },
	/* A last line without its end. */
	{ SPAN_LIT("A: 1\r\nB: 2"), "A| 1|!B: 2|", "" },
	{ SPAN_LIT("A: 1\r\n 2"), "!A: 1\r\n 2|", "" },
	{ SPAN_LIT("A: 1\r"), "!A: 1\r|", "" },
};

static void
messages_are_indexed_at_every_split(void **state)
{
	struct message message;

	(void)state;
	message_init(&message, HEADER_MAX);
	for (size_t i = 0; i < ROWS(messages); i++) {
		struct span text = messages[i].text;

		for (size_t split = 1; split <= text.n + 1; split++) {
			struct seen seen;

			message_reset(&message);
			see(&message, text, split, &seen);
			assert_string_equal(seen.fields, messages[i].fields);
			assert_string_equal(seen.body, messages[i].body);
			assert_int_equal(seen.state, MESSAGE_BODY);
		}
	}
	message_fini(&message);
}

static void
a_good_header_is_not_malformed(void **state)
{
	struct message message;
	struct seen seen;

	(void)state;
	message_init(&message, HEADER_MAX);
	see(&message, SPAN_LIT("A: 1\r\n 2\r\n\r\n"), 1, &seen);
	assert_false(message.is_malformed);
	message_reset(&message);
	see(&message, SPAN_LIT("no field\r\n\r\n"), 1, &seen);
	assert_true(message.is_malformed);
	message_reset(&message);
	assert_false(message.is_malformed);
	message_fini(&message);
}

/* The header of n octets, in chunks of so many, under a limit. */
static enum message_state
state_under(size_t limit, struct span text, size_t chunk)
{
	struct message message;
	struct span body;
	enum message_state state;

	message_init(&message, limit);
	while (text.n > 0) {
		size_t n = text.n < chunk ? text.n : chunk;

		message_feed(&message, span_first(text, n), &body);
		if (message.state == MESSAGE_TOO_LARGE)
			assert_int_equal(body.n, 0);
		text = span_after(text, n);
	}
	message_end(&message);
	state = message.state;
	message_fini(&message);
	return state;
}

static void
a_header_over_the_limit_is_too_large(void **state)
{
	struct span text = SPAN_LIT("A: 1\r\nB: 2\r\n\r\nbody\r\n");

	(void)state;
	for (size_t chunk = 1; chunk <= text.n; chunk++) {
		assert_int_equal(state_under(14, text, chunk), MESSAGE_BODY);
		for (size_t limit = 0; limit < 14; limit++)
			assert_int_equal(state_under(limit, text, chunk),
					 MESSAGE_TOO_LARGE);
	}
}

static void
a_line_without_end_is_too_large(void **state)
{
	uint8_t octets[100];

	(void)state;
	memset(octets, 'a', sizeof(octets));
	for (size_t chunk = 1; chunk <= sizeof(octets); chunk++) {
		struct span text = span_make(octets, sizeof(octets));

		assert_int_equal(state_under(99, text, chunk),
				 MESSAGE_TOO_LARGE);
		assert_int_equal(state_under(100, text, chunk), MESSAGE_BODY);
	}
}

static size_t
fields_of(size_t lines, struct message *message)
{
	struct span body;

	message_init(message, 16 * MESSAGE_FIELDS_MAX);
	for (size_t i = 0; i < lines; i++)
		message_feed(message, SPAN_LIT("A: 1\r\n"), &body);
	return message->fields;
}

static void
a_header_may_have_a_lower_limit(void **state)
{
	struct message message;
	struct span body;

	(void)state;
	message_init(&message, 1000);
	message.fields_max = 2;
	for (unsigned times = 0; times < 2; times++) {
		message_feed(&message, SPAN_LIT("A: 1\r\nB: 2\r\n"), &body);
		assert_int_equal(message.state, MESSAGE_HEADER);
		message_feed(&message, SPAN_LIT("C: 3\r\n\r\n"), &body);
		assert_int_equal(message.state, MESSAGE_TOO_LARGE);
		assert_int_equal(message.fields, 2);
		message_reset(&message);
	}
	message_fini(&message);
}

static void
a_header_has_at_most_1000_fields(void **state)
{
	struct message message;

	(void)state;
	assert_int_equal(fields_of(MESSAGE_FIELDS_MAX, &message),
			 MESSAGE_FIELDS_MAX);
	assert_int_equal(message.state, MESSAGE_HEADER);
	message_fini(&message);
	assert_int_equal(fields_of(MESSAGE_FIELDS_MAX + 1, &message),
			 MESSAGE_FIELDS_MAX);
	assert_int_equal(message.state, MESSAGE_TOO_LARGE);
	message_fini(&message);
}

static void
fields_are_found_by_name_in_any_case(void **state)
{
	struct message message;
	struct seen seen;

	(void)state;
	message_init(&message, HEADER_MAX);
	see(&message,
	    SPAN_LIT("From: 1\r\nTo: 2\r\nFrom : 3\r\nfrom\r\nFROM: 4\r\n"
		     "Fro: 5\r\nFromm: 6\r\n\r\nFrom: 7\r\n"),
	    3, &seen);
	assert_int_equal(message_find(&message, SPAN_LIT("from"), 0), 0);
	assert_int_equal(message_find(&message, SPAN_LIT("from"), 1), 2);
	assert_int_equal(message_find(&message, SPAN_LIT("from"), 3), 4);
	assert_int_equal(message_find(&message, SPAN_LIT("from"), 5), 7);
	assert_int_equal(message_find(&message, SPAN_LIT("from"), 7), 7);
	assert_int_equal(message_find(&message, SPAN_LIT("Sender"), 0), 7);
	assert_int_equal(message_count(&message, SPAN_LIT("FrOm")), 3);
	assert_int_equal(message_count(&message, SPAN_LIT("to")), 1);
	assert_int_equal(message_count(&message, SPAN_LIT("Cc")), 0);
	message_fini(&message);
}

static const struct {
	struct span body;
	const char *unfolded;
} folds[] = {
	{ SPAN_LIT(""), "" },
	{ SPAN_LIT(" "), "" },
	{ SPAN_LIT("a"), "a" },
	{ SPAN_LIT(" a  b "), "a  b" },
	{ SPAN_LIT(" a\r\n b"), "a b" },
	{ SPAN_LIT(" a\r\n\tb\r\n  c"), "a\tb  c" },
	{ SPAN_LIT("a \r\n b"), "a  b" },
	{ SPAN_LIT("\r\n a"), "a" },
	{ SPAN_LIT(" \r\n \r\n\ta\t"), "a" },
	{ SPAN_LIT("a\r\n "), "a" },
	{ SPAN_LIT("a \r\n \r\n\t"), "a" },
	{ SPAN_LIT("a\r\n \r\n b"), "a  b" },
	{ SPAN_LIT("\r\n \r\n "), "" },
	/* Not folds. */
	{ SPAN_LIT("a\rb"), "a\rb" },
	{ SPAN_LIT("a\nb"), "a\nb" },
	{ SPAN_LIT("a\r\nb"), "a\r\nb" },
	{ SPAN_LIT("a\r b"), "a\r b" },
	{ SPAN_LIT("a\r\r\n b"), "a\r b" },
};

static void
a_fold_before_the_colon_may_be_overlooked(void **state)
{
	static const struct {
		const char *raw, *name, *body;
	} fields[] = {
		{ "From\r\n : x\r\n", "From", " x" },
		{ "From \r\n\t\r\n :x\r\n y\r\n", "From", "x\r\n y" },
		{ "From\r\n x: y\r\n", "", "" },
		{ "From\r\n", "", "" },
		{ "From\r\n :", "From", "" },
		{ ": x\r\n", "", "" },
		{ " From: x\r\n", "", "" },
		{ "Fr om: x\r\n", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(fields); i++) {
		struct guard guard = guard_copy(span_cstr(fields[i].raw));
		struct field field = { .raw = guard.octets,
				       .is_malformed = true };

		message_field_unfolded(&field);
		assert_true(span_equal(field.name, span_cstr(fields[i].name)));
		assert_true(span_equal(field.body, span_cstr(fields[i].body)));
		guard_free(&guard);
	}
}

static void
folds_are_taken_out(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	for (size_t i = 0; i < ROWS(folds); i++) {
		struct guard guard = guard_copy(folds[i].body);

		buf_reset(&buf);
		assert_true(message_unfold(guard.octets, &buf));
		assert_true(span_equal(buf_span(&buf),
				       span_cstr(folds[i].unfolded)));
		guard_free(&guard);
	}
	buf_fini(&buf);
	buf_init(&buf, 2);
	assert_true(message_unfold(SPAN_LIT(" ab "), &buf));
	buf_reset(&buf);
	assert_false(message_unfold(SPAN_LIT("a\r\n b"), &buf));
	buf_fini(&buf);
}

/* 4 MB of header one octet a time: were the cost to grow with what is already
 * there, this would take hours. */
static void
the_cost_is_linear(void **state)
{
	enum { OCTETS = 4 << 20 };
	struct message message;
	struct span body;

	(void)state;
	message_init(&message, OCTETS);
	for (size_t i = 0; i < OCTETS; i++)
		message_feed(&message, SPAN_LIT("a"), &body);
	assert_int_equal(message.state, MESSAGE_HEADER);
	assert_int_equal(message.header.n, OCTETS);
	message_fini(&message);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_may_have_a_lower_limit),
		cmocka_unit_test(messages_are_indexed_at_every_split),
		cmocka_unit_test(a_good_header_is_not_malformed),
		cmocka_unit_test(a_header_over_the_limit_is_too_large),
		cmocka_unit_test(a_line_without_end_is_too_large),
		cmocka_unit_test(a_header_has_at_most_1000_fields),
		cmocka_unit_test(fields_are_found_by_name_in_any_case),
		cmocka_unit_test(a_fold_before_the_colon_may_be_overlooked),
		cmocka_unit_test(folds_are_taken_out),
		cmocka_unit_test(the_cost_is_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
