/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/reply.h"

#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* What reply_next() says of octets that end flush against a guard page, and
 * what it leaves. The reply is given as it would be relayed. */
static enum reply_status
next(struct span in, size_t *left, struct buf *relayed)
{
	struct guard guard = guard_copy(in);
	struct span rest = guard.octets;
	enum reply_status status;
	struct reply reply;

	status = reply_next(&rest, &reply);
	*left = rest.n;
	if (status == REPLY_READY) {
		buf_reset(relayed);
		assert_true(reply_relay(relayed, &reply));
	} else {
		assert_ptr_equal(rest.p, guard.octets.p);
	}
	guard_free(&guard);
	return status;
}

static const struct {
	struct span wire;
	struct span relayed; /* by us: a separator is always written */
} good[] = {
	{ SPAN_LIT("250 Ok\r\n"), SPAN_LIT("250 Ok\r\n") },
	{ SPAN_LIT("220 mx.example ESMTP\r\n"),
	  SPAN_LIT("220 mx.example ESMTP\r\n") },
	{ SPAN_LIT("250 \r\n"), SPAN_LIT("250 \r\n") },
	{ SPAN_LIT("250\r\n"), SPAN_LIT("250 \r\n") },
	{ SPAN_LIT("299 x\r\n"), SPAN_LIT("299 x\r\n") },
	{ SPAN_LIT("599 x\r\n"), SPAN_LIT("599 x\r\n") },
	{ SPAN_LIT("250-\r\n250 \r\n"), SPAN_LIT("250-\r\n250 \r\n") },
	{ SPAN_LIT("250-a\r\n250-b\r\n250 c\r\n"),
	  SPAN_LIT("250-a\r\n250-b\r\n250 c\r\n") },
	{ SPAN_LIT("250-a\r\n250\r\n"), SPAN_LIT("250-a\r\n250 \r\n") },
	{ SPAN_LIT("550-550 not a code\r\n550 -\r\n"),
	  SPAN_LIT("550-550 not a code\r\n550 -\r\n") },
	{ SPAN_LIT("250 \ttab  and spaces \r\n"),
	  SPAN_LIT("250 \ttab  and spaces \r\n") },
	{ SPAN_LIT("550 \xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xa7\r\n"),
	  SPAN_LIT("550 \xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xa7\r\n") },
	/* Latin-1, an octet of UTF-8 that is missing, an overlong "/", a C1
	 * control, and what is no code because it is in the text. */
	{ SPAN_LIT("250 accept\xe9\r\n"), SPAN_LIT("250 accept?\r\n") },
	{ SPAN_LIT("550-\xe9t\xe9\r\n550 \xc3\xa9t\xe9\r\n"),
	  SPAN_LIT("550-?t?\r\n550 \xc3\xa9t?\r\n") },
	{ SPAN_LIT("250 cut \xe2\x82\r\n"), SPAN_LIT("250 cut ??\r\n") },
	{ SPAN_LIT("250 long \xc0\xaf\r\n"), SPAN_LIT("250 long ??\r\n") },
	{ SPAN_LIT("250 C1 \xc2\x85\r\n"), SPAN_LIT("250 C1 ??\r\n") },
	{ SPAN_LIT("250 \x8a\x8d\xff\xfe\r\n"), SPAN_LIT("250 ????\r\n") },
	{ SPAN_LIT("250 \xe2\t\x82\r\n"), SPAN_LIT("250 ?\t?\r\n") },
};

static void
good_replies_are_read_at_every_split(void **state)
{
	struct buf relayed;
	size_t left;

	(void)state;
	buf_init(&relayed, 10000);
	for (size_t i = 0; i < ROWS(good); i++) {
		struct span wire = good[i].wire;

		for (size_t n = 0; n < wire.n; n++)
			assert_int_equal(
				next(span_first(wire, n), &left, &relayed),
				REPLY_MORE);
		assert_int_equal(next(wire, &left, &relayed), REPLY_READY);
		assert_int_equal(left, 0);
		assert_true(span_equal(buf_span(&relayed), good[i].relayed));
	}
	buf_fini(&relayed);
}

/* Each is found bad at its last octet, and not before. */
static const struct span bad[] = {
	SPAN_LIT("1"),
	SPAN_LIT("6"),
	SPAN_LIT(" "),
	SPAN_LIT("H"),
	SPAN_LIT("\r"),
	SPAN_LIT("\n"),
	SPAN_LIT("2\r"),
	SPAN_LIT("2x"),
	SPAN_LIT("25\r"),
	SPAN_LIT("25 "),
	SPAN_LIT("250O"),
	SPAN_LIT("250_"),
	SPAN_LIT("2500"),
	SPAN_LIT("250\t"),
	SPAN_LIT("250\n"),
	SPAN_LIT("250 Ok\n"),
	SPAN_LIT("250 Ok\r\r"),
	SPAN_LIT("250 O\rk"),
	SPAN_LIT("250\r "),
	SPAN_LIT("250 \0"),
	SPAN_LIT("250 \x01"),
	SPAN_LIT("250 \x1b"),
	SPAN_LIT("250 \x7f"),
	SPAN_LIT("250 \xe9\n"),
	SPAN_LIT("250 \xe9\r\xe9"),
	SPAN_LIT("250\xa0"),
	SPAN_LIT("2\xb2"),
	SPAN_LIT("\xb2"),
	SPAN_LIT("250-a\r\n\r"),
	SPAN_LIT("250-a\r\n251 b\r\n"),
	SPAN_LIT("250-a\r\n251-b\r\n"),
	SPAN_LIT("250-a\r\n2\n"),
	SPAN_LIT("250-a\r\n250 b\n"),
};

static void
bad_replies_are_found_at_the_octet(void **state)
{
	struct buf relayed;
	size_t left;

	(void)state;
	buf_init(&relayed, 10000);
	for (size_t i = 0; i < ROWS(bad); i++) {
		for (size_t n = 0; n < bad[i].n; n++)
			assert_int_equal(
				next(span_first(bad[i], n), &left, &relayed),
				REPLY_MORE);
		assert_int_equal(next(bad[i], &left, &relayed), REPLY_BAD);
	}
	buf_fini(&relayed);
}

/* "250 xxx…" of n octets without its CR LF. */
static void
append_line(struct buf *buf, const char *start, size_t n)
{
	buf_append(buf, span_cstr(start));
	for (size_t i = strlen(start); i < n; i++)
		buf_append_octet(buf, 'x');
	assert_true(buf_append(buf, SPAN_LIT("\r\n")));
}

static void
a_line_may_have_1000_octets(void **state)
{
	struct buf relayed;
	struct buf wire;
	size_t left;

	(void)state;
	buf_init(&relayed, 10000);
	buf_init(&wire, 10000);
	append_line(&wire, "250 ", REPLY_LINE_MAX - 2);
	assert_int_equal(next(buf_span(&wire), &left, &relayed), REPLY_READY);
	assert_true(span_equal(buf_span(&relayed), buf_span(&wire)));
	buf_reset(&wire);
	append_line(&wire, "250 ", REPLY_LINE_MAX - 1);
	assert_int_equal(next(buf_span(&wire), &left, &relayed), REPLY_BAD);
	/* It does not take a CR LF to see that. */
	assert_int_equal(next(span_first(buf_span(&wire), REPLY_LINE_MAX),
			      &left, &relayed),
			 REPLY_BAD);
	buf_fini(&relayed);
	buf_fini(&wire);
}

static void
a_challenge_may_have_12288_octets(void **state)
{
	struct buf relayed;
	struct buf wire;
	size_t left;

	(void)state;
	buf_init(&relayed, 20000);
	buf_init(&wire, 20000);
	append_line(&wire, "334 ", REPLY_CHALLENGE_MAX - 2);
	assert_int_equal(next(buf_span(&wire), &left, &relayed), REPLY_READY);
	assert_true(span_equal(buf_span(&relayed), buf_span(&wire)));
	buf_reset(&wire);
	append_line(&wire, "334 ", REPLY_CHALLENGE_MAX - 1);
	assert_int_equal(next(buf_span(&wire), &left, &relayed), REPLY_BAD);
	buf_fini(&relayed);
	buf_fini(&wire);
}

static void
a_reply_may_have_64_lines(void **state)
{
	struct buf relayed;
	struct buf wire;
	size_t left;

	(void)state;
	buf_init(&relayed, 10000);
	buf_init(&wire, 10000);
	for (size_t i = 1; i < REPLY_LINES_MAX; i++)
		append_line(&wire, "250-", 10);
	assert_int_equal(next(buf_span(&wire), &left, &relayed), REPLY_MORE);
	append_line(&wire, "250 ", 10);
	assert_int_equal(next(buf_span(&wire), &left, &relayed), REPLY_READY);
	assert_true(span_equal(buf_span(&relayed), buf_span(&wire)));
	buf_reset(&wire);
	for (size_t i = 0; i < REPLY_LINES_MAX; i++)
		append_line(&wire, "250-", 10);
	append_line(&wire, "250 ", 10);
	assert_int_equal(next(buf_span(&wire), &left, &relayed), REPLY_BAD);
	buf_fini(&relayed);
	buf_fini(&wire);
}

static void
replies_follow_one_another(void **state)
{
	struct span in = SPAN_LIT("250-a\r\n250 b\r\n354 go\r\n421");
	struct reply reply;

	(void)state;
	assert_int_equal(reply_next(&in, &reply), REPLY_READY);
	assert_int_equal(reply.code, 250);
	assert_int_equal(reply.lines, 2);
	assert_true(span_equal(reply.line[0], SPAN_LIT("a")));
	assert_true(span_equal(reply.line[1], SPAN_LIT("b")));
	assert_int_equal(reply_next(&in, &reply), REPLY_READY);
	assert_int_equal(reply.code, 354);
	assert_int_equal(reply.lines, 1);
	assert_true(span_equal(reply.line[0], SPAN_LIT("go")));
	assert_int_equal(reply_next(&in, &reply), REPLY_MORE);
	assert_true(span_equal(in, SPAN_LIT("421")));
	assert_int_equal(reply_class(354), 3);
}

/* RFC 3463 2 */
static const struct {
	unsigned code;
	const char *text;
	const char *enhanced;
} enhanced_codes[] = {
	{ 250, "2.0.0 Ok", "2.0.0" },
	{ 250, "2.1.5", "2.1.5" },
	{ 550, "5.7.1 Email rejected", "5.7.1" },
	{ 556, "5.1.10\tnull MX", "5.1.10" },
	{ 451, "4.999.999 x", "4.999.999" },
	{ 550, "4.7.1 of another class", "" },
	{ 354, "3.0.0 has no class", "" },
	{ 250, "", "" },
	{ 250, "2", "" },
	{ 250, "2.", "" },
	{ 250, "2.0", "" },
	{ 250, "2.0.", "" },
	{ 250, "2.0.0.0 x", "" },
	{ 250, "2.0.0x", "" },
	{ 250, "2..0 x", "" },
	{ 250, "2.00.1 x", "" },
	{ 250, "2.0.01 x", "" },
	{ 250, "2.0.1000 x", "" },
	{ 250, "22.0.0 x", "" },
	{ 250, " 2.0.0 x", "" },
	{ 250, "Ok 2.0.0", "" },
};

static void
enhanced_codes_are_those_of_the_class(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(enhanced_codes); i++) {
		struct guard guard =
			guard_copy(span_cstr(enhanced_codes[i].text));
		struct span found =
			reply_enhanced(enhanced_codes[i].code, guard.octets);

		assert_true(span_equal(found,
				       span_cstr(enhanced_codes[i].enhanced)));
		guard_free(&guard);
	}
}

static const struct {
	unsigned code;
	const char *enhanced;
	struct span text;
	struct span line;
} formatted[] = {
	{ 250, "2.0.0", SPAN_LIT("Ok"), SPAN_LIT("250 2.0.0 Ok\r\n") },
	{ 354, "", SPAN_LIT("Go"), SPAN_LIT("354 Go\r\n") },
	{ 354, NULL, SPAN_LIT("Go"), SPAN_LIT("354 Go\r\n") },
	{ 250, "2.0.0", SPAN_LIT("x"), SPAN_LIT("250 2.0.0 x\r\n") },
	{ 250, "2.0.0", SPAN_NONE, SPAN_LIT("250 2.0.0\r\n") },
	{ 250, NULL, SPAN_NONE, SPAN_LIT("250 \r\n") },
	{ 550, "5.7.1", SPAN_LIT("a\r\n250 b\rc\nd"),
	  SPAN_LIT("550 5.7.1 a??250 b?c?d\r\n") },
	{ 550, "5.7.1", SPAN_LIT("\0\t\x1b\x7f"),
	  SPAN_LIT("550 5.7.1 ????\r\n") },
	{ 550, "5.7.1", SPAN_LIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xa7"),
	  SPAN_LIT("550 5.7.1 \xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xa7\r\n") },
	{ 550, "5.7.1",
	  SPAN_LIT("\xe4 \xc0\xaf \xed\xa0\x80 \xff \xc2\x85 \xe2\x82"),
	  SPAN_LIT("550 5.7.1 ? ?? ??? ? ?? ??\r\n") },
	{ 550, "5.7.1", SPAN_LIT("\xc2\xa0\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"),
	  SPAN_LIT("550 5.7.1 \xc2\xa0\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\r\n") },
};

static void
what_we_write_is_one_line(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	for (size_t i = 0; i < ROWS(formatted); i++) {
		struct guard guard = guard_copy(formatted[i].text);

		buf_reset(&buf);
		assert_true(reply_format(&buf, formatted[i].code,
					 formatted[i].enhanced, guard.octets));
		assert_true(span_equal(buf_span(&buf), formatted[i].line));
		guard_free(&guard);
	}
	buf_fini(&buf);
}

/* RFC 5321 4.5.3.1.5: 512 octets; characters of one to four are kept whole. */
static void
a_long_text_is_cut_at_a_character(void **state)
{
	static const char *const characters[] = { "x", "\xc3\xa4",
						  "\xe2\x82\xac",
						  "\xf0\x9f\x93\xa7", "\xff" };
	struct buf text;
	struct buf buf;

	(void)state;
	buf_init(&text, 10000);
	buf_init(&buf, 10000);
	for (size_t shift = 0; shift < 4; shift++)
		for (size_t i = 0; i < ROWS(characters); i++) {
			struct span c = span_cstr(characters[i]);
			struct span rest;
			struct reply reply;

			buf_reset(&text);
			buf_reset(&buf);
			for (size_t n = 0; n < shift; n++)
				buf_append_octet(&text, 's');
			for (size_t n = 0; n < 600; n++)
				buf_append(&text, c);
			assert_true(reply_format(&buf, 550, "5.7.1",
						 buf_span(&text)));
			assert_true(buf.n <= REPLY_OWN_LINE_MAX);
			assert_true(buf.n > REPLY_OWN_LINE_MAX - c.n);
			rest = buf_span(&buf);
			assert_int_equal(reply_next(&rest, &reply),
					 REPLY_READY);
			assert_int_equal(rest.n, 0);
		}
	buf_fini(&text);
	buf_fini(&buf);
}

static void
a_full_buf_is_said(void **state)
{
	struct span in = SPAN_LIT("250-a\r\n250 b\r\n");
	struct reply reply;
	struct buf buf;

	(void)state;
	assert_int_equal(reply_next(&in, &reply), REPLY_READY);
	for (size_t max = 0; max < 20; max++) {
		buf_init(&buf, max);
		assert_int_equal(reply_relay(&buf, &reply), max >= 14);
		buf_fini(&buf);
		buf_init(&buf, max);
		assert_int_equal(reply_summary(&buf, &reply), max >= 9);
		buf_fini(&buf);
		buf_init(&buf, max);
		assert_int_equal(
			reply_format(&buf, 250, "2.0.0", SPAN_LIT("Ok")),
			max >= 14);
		buf_fini(&buf);
	}
}

static void
a_summary_is_one_line(void **state)
{
	struct span in = SPAN_LIT("550-5.7.1 a\r\n550-\r\n550 c\r\n220\r\n");
	struct reply reply;
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	assert_int_equal(reply_next(&in, &reply), REPLY_READY);
	assert_true(reply_summary(&buf, &reply));
	assert_true(span_equal(buf_span(&buf), SPAN_LIT("550 5.7.1 a /  / c")));
	assert_int_equal(reply_next(&in, &reply), REPLY_READY);
	buf_reset(&buf);
	assert_true(reply_summary(&buf, &reply));
	assert_true(span_equal(buf_span(&buf), SPAN_LIT("220 ")));
	buf_fini(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_replies_are_read_at_every_split),
		cmocka_unit_test(bad_replies_are_found_at_the_octet),
		cmocka_unit_test(a_line_may_have_1000_octets),
		cmocka_unit_test(a_challenge_may_have_12288_octets),
		cmocka_unit_test(a_reply_may_have_64_lines),
		cmocka_unit_test(replies_follow_one_another),
		cmocka_unit_test(enhanced_codes_are_those_of_the_class),
		cmocka_unit_test(what_we_write_is_one_line),
		cmocka_unit_test(a_long_text_is_cut_at_a_character),
		cmocka_unit_test(a_full_buf_is_said),
		cmocka_unit_test(a_summary_is_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
