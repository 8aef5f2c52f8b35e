/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/command.h"

#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* --- lines -----------------------------------------------------------------
 */

/* A transcript of what command_next() gave: a line as it is with "|" behind
 * it, "<long>" and "<bad>"; nothing follows "<bad>". */
struct reading {
	struct command_reader reader;
	struct buf pending; /* as the caller keeps it */
	struct buf transcript;
	bool is_bad;
};

static void
reading_init(struct reading *reading)
{
	reading->reader = (struct command_reader){ 0 };
	buf_init(&reading->pending, 1000000);
	buf_init(&reading->transcript, 1000000);
	reading->is_bad = false;
}

static void
reading_fini(struct reading *reading)
{
	buf_fini(&reading->pending);
	buf_fini(&reading->transcript);
}

/* One call; false if it needs more, or gave an end. */
static bool
read_one(struct reading *reading, struct span *in)
{
	struct span line;

	switch (command_next(&reading->reader, in, &line)) {
	case COMMAND_MORE:
		/* What it keeps waiting is bounded. */
		assert_true(in->n <= COMMAND_LINE_MAX + 1);
		return false;
	case COMMAND_LINE:
		buf_append(&reading->transcript, line);
		return buf_append(&reading->transcript, SPAN_LIT("|"));
	case COMMAND_TOO_LONG:
		return buf_append(&reading->transcript, SPAN_LIT("<long>"));
	case COMMAND_LONG_CHUNK:
		return buf_append(&reading->transcript,
				  SPAN_LIT("<long chunk>"));
	case COMMAND_BAD_OCTET:
		buf_append(&reading->transcript, SPAN_LIT("<bad>"));
		/* For good: also when asked again. */
		assert_int_equal(command_next(&reading->reader, in, &line),
				 COMMAND_BAD_OCTET);
		reading->is_bad = true;
	}
	return false;
}

/* More octets arrive behind those that are pending. */
static void
arrive(struct reading *reading, struct span octets)
{
	struct guard guard;
	struct span in;

	if (reading->is_bad)
		return;
	assert_true(buf_append(&reading->pending, octets));
	guard = guard_copy(buf_span(&reading->pending));
	in = guard.octets;
	while (read_one(reading, &in))
		;
	buf_consume(&reading->pending, reading->pending.n - in.n);
	guard_free(&guard);
}

static void
assert_transcript(struct reading *reading, struct span wanted)
{
	assert_true(span_equal(buf_span(&reading->transcript), wanted));
}

static const struct {
	struct span wire;
	struct span transcript;
} streams[] = {
	{ SPAN_LIT("\r\n"), SPAN_LIT("|") },
	{ SPAN_LIT("NOOP\r\n"), SPAN_LIT("NOOP|") },
	{ SPAN_LIT("A\r\nB\r\n\r\nC\r\nrest"), SPAN_LIT("A|B||C|") },
	{ SPAN_LIT("\t\x01\x0b\x0c\x0e\x7f\xff\r\n"),
	  SPAN_LIT("\t\x01\x0b\x0c\x0e\x7f\xff|") },
	{ SPAN_LIT("A\nB\r\n"), SPAN_LIT("<bad>") },
	{ SPAN_LIT("A\rB\r\n"), SPAN_LIT("<bad>") },
	{ SPAN_LIT("A\r\r\n"), SPAN_LIT("<bad>") },
	{ SPAN_LIT("A\0\r\n"), SPAN_LIT("<bad>") },
	{ SPAN_LIT("A\r\0\n"), SPAN_LIT("<bad>") },
	{ SPAN_LIT("\n"), SPAN_LIT("<bad>") },
	{ SPAN_LIT("A\r\n\nB\r\n"), SPAN_LIT("A|<bad>") },
	{ SPAN_LIT("A\r\nB\r\nRSET\nC\r\n"), SPAN_LIT("A|B|<bad>") },
};

static void
lines_end_in_crlf_at_every_pair_of_splits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(streams); i++) {
		struct span wire = streams[i].wire;

		for (size_t a = 0; a <= wire.n; a++)
			for (size_t b = a; b <= wire.n; b++) {
				struct reading r;

				reading_init(&r);
				arrive(&r, span_first(wire, a));
				arrive(&r, span_after(span_first(wire, b), a));
				arrive(&r, span_after(wire, b));
				assert_transcript(&r, streams[i].transcript);
				reading_fini(&r);
			}
	}
}

static void
append_times(struct buf *buf, uint8_t octet, size_t times)
{
	while (times-- > 0)
		assert_true(buf_append_octet(buf, octet));
}

/* A line of n octets with `octet` at `at`, another line behind it, and what is
 * read of both, cut at a place or an octet at a time. */
static void
check_long_line(size_t n, size_t at, uint8_t octet, struct span wanted)
{
	static const size_t cuts[] = { 0, 1, 2, 3, 100 };
	struct buf wire;

	buf_init(&wire, 10000);
	append_times(&wire, 'x', at);
	append_times(&wire, octet, 1);
	append_times(&wire, 'x', n - at - 1);
	assert_true(buf_append(&wire, SPAN_LIT("\r\nQUIT\r\n")));
	for (size_t i = 0; i < 2 * ROWS(cuts); i++) {
		size_t cut = i < ROWS(cuts) ? cuts[i] + COMMAND_LINE_MAX - 1
					    : n - 1 + cuts[i - ROWS(cuts)];
		struct reading r;

		reading_init(&r);
		cut = cut < wire.n ? cut : wire.n;
		arrive(&r, span_first(buf_span(&wire), cut));
		arrive(&r, span_after(buf_span(&wire), cut));
		assert_transcript(&r, wanted);
		reading_fini(&r);
	}
	buf_fini(&wire);
}

static void
a_line_over_the_limit_is_swallowed(void **state)
{
	struct buf longest;

	(void)state;
	buf_init(&longest, 10000);
	append_times(&longest, 'x', COMMAND_LINE_MAX);
	assert_true(buf_append(&longest, SPAN_LIT("|QUIT|")));
	check_long_line(COMMAND_LINE_MAX, 0, 'x', buf_span(&longest));
	for (size_t more = 1; more < 5; more++)
		check_long_line(COMMAND_LINE_MAX + more, 0, 'x',
				SPAN_LIT("<long>QUIT|"));
	check_long_line(3 * COMMAND_LINE_MAX, 0, 'x', SPAN_LIT("<long>QUIT|"));
	buf_fini(&longest);
}

/* As much of a long BDAT as was seen tells it from others. */
static void
a_long_chunk_line_is_known(void **state)
{
	static const char *const starts[] = { "BDAT ", "bdat\t", "BDAT9" };

	(void)state;
	for (size_t i = 0; i < ROWS(starts); i++)
		for (size_t n = 1; n < 3; n++) {
			struct reading whole, parts;
			struct buf wire;

			buf_init(&wire, 10000);
			assert_true(buf_append(&wire, span_cstr(starts[i])));
			append_times(&wire, '0', n * COMMAND_LINE_MAX);
			assert_true(
				buf_append(&wire, SPAN_LIT("\r\nQUIT\r\n")));
			reading_init(&whole);
			arrive(&whole, buf_span(&wire));
			assert_transcript(&whole,
					  SPAN_LIT("<long chunk>QUIT|"));
			reading_init(&parts);
			for (size_t at = 0; at < wire.n; at++)
				arrive(&parts,
				       span_first(
					       span_after(buf_span(&wire), at),
					       1));
			assert_transcript(&parts,
					  SPAN_LIT("<long chunk>QUIT|"));
			reading_fini(&whole);
			reading_fini(&parts);
			buf_fini(&wire);
		}
}

static void
an_octet_is_bad_in_a_long_line_too(void **state)
{
	static const uint8_t octets[] = { '\r', '\n', '\0' };
	static const size_t places[] = { 0, COMMAND_LINE_MAX - 1,
					 COMMAND_LINE_MAX, COMMAND_LINE_MAX + 1,
					 COMMAND_LINE_MAX + 500 };

	(void)state;
	for (size_t i = 0; i < ROWS(octets); i++)
		for (size_t k = 0; k < ROWS(places); k++)
			check_long_line(COMMAND_LINE_MAX + 1000, places[k],
					octets[i], SPAN_LIT("<bad>"));
}

static void
an_octet_at_a_time(void **state)
{
	struct span octet = SPAN_LIT("x");
	struct reading r;

	(void)state;
	reading_init(&r);
	for (size_t i = 0; i < COMMAND_LINE_MAX + 10; i++)
		arrive(&r, octet);
	arrive(&r, SPAN_LIT("\r"));
	arrive(&r, SPAN_LIT("\n"));
	arrive(&r, octet);
	arrive(&r, SPAN_LIT("\r"));
	arrive(&r, SPAN_LIT("\n"));
	assert_transcript(&r, SPAN_LIT("<long>x|"));
	assert_int_equal(r.pending.n, 0);
	reading_fini(&r);
}

/* --- commands --------------------------------------------------------------
 */

/* A line, and what the backend would be sent. */
static const struct {
	const char *line;
	enum verb verb;
	const char *formatted;
} good[] = {
	{ "HELO mx.example", VERB_HELO, "HELO mx.example\r\n" },
	{ "helo mx.example", VERB_HELO, "HELO mx.example\r\n" },
	{ "EHLO \t mx.example \t", VERB_EHLO, "EHLO mx.example\r\n" },
	{ "EHLO localhost", VERB_EHLO, "EHLO localhost\r\n" },
	{ "EHLO win_pc-1.", VERB_EHLO, "EHLO win_pc-1.\r\n" },
	{ "EHLO [192.0.2.1]", VERB_EHLO, "EHLO [192.0.2.1]\r\n" },
	{ "EHLO [IPv6:2001:db8::1]", VERB_EHLO, "EHLO [IPv6:2001:db8::1]\r\n" },
	{ "EHLO [2001:db8::1]", VERB_EHLO, "EHLO [2001:db8::1]\r\n" },
	{ "EHLO 192.0.2.1", VERB_EHLO, "EHLO 192.0.2.1\r\n" },
	{ "EHLO b\xc3\xbc"
	  "cher.example",
	  VERB_EHLO,
	  "EHLO b\xc3\xbc"
	  "cher.example\r\n" },
	{ "MAIL FROM:<>", VERB_MAIL, "MAIL FROM:<>\r\n" },
	{ "MAIL FROM:<a@b>", VERB_MAIL, "MAIL FROM:<a@b>\r\n" },
	{ "EHLO a", VERB_EHLO, "EHLO a\r\n" },
	{ "MAIL FROM:<a@b.example>", VERB_MAIL, "MAIL FROM:<a@b.example>\r\n" },
	{ "mAiL\tfRoM: \t<a@b.example>  ", VERB_MAIL,
	  "MAIL FROM:<a@b.example>\r\n" },
	{ "MAIL FROM:<@r.example:a@b.example>", VERB_MAIL,
	  "MAIL FROM:<a@b.example>\r\n" },
	{ "MAIL FROM:<\"a b>\"@b.example> SIZE=1", VERB_MAIL,
	  "MAIL FROM:<\"a b>\"@b.example> SIZE=1\r\n" },
	{ "MAIL FROM:<a@[192.0.2.1]>", VERB_MAIL,
	  "MAIL FROM:<a@[192.0.2.1]>\r\n" },
	{ "MAIL FROM:<a@b.example>\t SIZE=1000 \t body=8BITMIME SMTPUTF8",
	  VERB_MAIL,
	  "MAIL FROM:<a@b.example> SIZE=1000 body=8BITMIME SMTPUTF8\r\n" },
	{ "MAIL FROM:<a@b.example> X-1=! 2=\xc3\xa4 3-=+2B", VERB_MAIL,
	  "MAIL FROM:<a@b.example> X-1=! 2=\xc3\xa4 3-=+2B\r\n" },
	{ "RCPT TO:<a@b.example>", VERB_RCPT, "RCPT TO:<a@b.example>\r\n" },
	{ "rcpt to: <Postmaster>", VERB_RCPT, "RCPT TO:<Postmaster>\r\n" },
	{ "RCPT TO:<a@b.example> NOTIFY=NEVER ORCPT=rfc822;a+40b.example",
	  VERB_RCPT,
	  "RCPT TO:<a@b.example> NOTIFY=NEVER "
	  "ORCPT=rfc822;a+40b.example\r\n" },
	{ "DATA", VERB_DATA, "DATA\r\n" },
	{ "data \t", VERB_DATA, "DATA\r\n" },
	{ "BDAT 0", VERB_BDAT, "BDAT 0\r\n" },
	{ "bdat\t 007 \t last ", VERB_BDAT, "BDAT 7 LAST\r\n" },
	{ "BDAT 00000000000000000001", VERB_BDAT, "BDAT 1\r\n" },
	{ "BDAT 18446744073709551615 LAST", VERB_BDAT,
	  "BDAT 18446744073709551615 LAST\r\n" },
	{ "RSET", VERB_RSET, "RSET\r\n" },
	{ "QUIT", VERB_QUIT, "QUIT\r\n" },
};

static void
good_commands_are_written_anew(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 10000);
	for (size_t i = 0; i < ROWS(good); i++) {
		struct guard guard = guard_copy(span_cstr(good[i].line));
		struct command command;

		assert_int_equal(command_parse(guard.octets, &command),
				 COMMAND_OK);
		assert_int_equal(command.verb, good[i].verb);
		buf_reset(&buf);
		assert_true(command_format(&command, &buf));
		assert_true(span_equal(buf_span(&buf),
				       span_cstr(good[i].formatted)));
		guard_free(&guard);
	}
	buf_fini(&buf);
}

/* What is written anew is read as the same, and written as the same. */
static void
parse_undoes_format(void **state)
{
	struct buf buf;

	(void)state;
	for (size_t i = 0; i < ROWS(good); i++) {
		struct span line = span_cstr(good[i].formatted);
		struct command command;

		buf_init(&buf, line.n);
		line.n -= 2;
		assert_int_equal(command_parse(line, &command), COMMAND_OK);
		assert_true(command_format(&command, &buf));
		assert_true(span_equal(buf_span(&buf),
				       span_cstr(good[i].formatted)));
		buf_fini(&buf);
		/* And where one octet is missing, that is said. */
		buf_init(&buf, line.n + 1);
		assert_false(command_format(&command, &buf));
		buf_fini(&buf);
	}
}

static const struct {
	struct span line;
	enum verb verb;
	enum command_fault fault;
} faulty[] = {
	{ SPAN_LIT(""), VERB_UNKNOWN, COMMAND_UNKNOWN },
	{ SPAN_LIT(" "), VERB_UNKNOWN, COMMAND_UNKNOWN },
	{ SPAN_LIT(" NOOP"), VERB_UNKNOWN, COMMAND_UNKNOWN },
	{ SPAN_LIT("XYZZY"), VERB_UNKNOWN, COMMAND_UNKNOWN },
	{ SPAN_LIT("NOOPS"), VERB_UNKNOWN, COMMAND_UNKNOWN },
	{ SPAN_LIT("NOO"), VERB_UNKNOWN, COMMAND_UNKNOWN },
	{ SPAN_LIT("MAIL:"), VERB_UNKNOWN, COMMAND_UNKNOWN },
	{ SPAN_LIT("DATA\x0b"), VERB_UNKNOWN, COMMAND_UNKNOWN },
	{ SPAN_LIT("GET / HTTP/1.1"), VERB_UNKNOWN, COMMAND_UNKNOWN },

	{ SPAN_LIT("HELO"), VERB_HELO, COMMAND_BAD_ARGUMENT },
	{ SPAN_LIT("EHLO  "), VERB_EHLO, COMMAND_BAD_ARGUMENT },
	{ SPAN_LIT("MAIL"), VERB_MAIL, COMMAND_BAD_ARGUMENT },
	{ SPAN_LIT("MAIL <a@b.example>"), VERB_MAIL, COMMAND_BAD_ARGUMENT },
	{ SPAN_LIT("MAIL TO:<a@b.example>"), VERB_MAIL, COMMAND_BAD_ARGUMENT },
	{ SPAN_LIT("MAIL FROM"), VERB_MAIL, COMMAND_BAD_ARGUMENT },
	{ SPAN_LIT("MAIL FROM :<>"), VERB_MAIL, COMMAND_BAD_ARGUMENT },
	{ SPAN_LIT("RCPT"), VERB_RCPT, COMMAND_BAD_ARGUMENT },
	{ SPAN_LIT("RCPT FROM:<a@b.example>"), VERB_RCPT,
	  COMMAND_BAD_ARGUMENT },
	{ SPAN_LIT("DATA x"), VERB_DATA, COMMAND_BAD_ARGUMENT },
	{ SPAN_LIT("BDAT"), VERB_BDAT, COMMAND_BAD_CHUNK },
	{ SPAN_LIT("BDAT LAST"), VERB_BDAT, COMMAND_BAD_CHUNK },
	{ SPAN_LIT("BDAT x"), VERB_BDAT, COMMAND_BAD_CHUNK },
	{ SPAN_LIT("BDAT -1"), VERB_BDAT, COMMAND_BAD_CHUNK },
	{ SPAN_LIT("BDAT 0x1"), VERB_BDAT, COMMAND_BAD_CHUNK },
	{ SPAN_LIT("BDAT 1LAST"), VERB_BDAT, COMMAND_BAD_CHUNK },
	{ SPAN_LIT("BDAT 1 FIRST"), VERB_BDAT, COMMAND_BAD_CHUNK },
	{ SPAN_LIT("BDAT 1 LAST LAST"), VERB_BDAT, COMMAND_BAD_CHUNK },
	{ SPAN_LIT("BDAT 18446744073709551616"), VERB_BDAT, COMMAND_BAD_CHUNK },
	{ SPAN_LIT("BDAT 99999999999999999999 LAST"), VERB_BDAT,
	  COMMAND_BAD_CHUNK },
	{ SPAN_LIT("BDAT 000000000000000000001"), VERB_BDAT,
	  COMMAND_BAD_CHUNK },
	{ SPAN_LIT("RSET x"), VERB_RSET, COMMAND_BAD_ARGUMENT },
	{ SPAN_LIT("QUIT x"), VERB_QUIT, COMMAND_BAD_ARGUMENT },

	{ SPAN_LIT("HELO two words"), VERB_HELO, COMMAND_BAD_DOMAIN },
	{ SPAN_LIT("EHLO two\twords"), VERB_EHLO, COMMAND_BAD_DOMAIN },
	{ SPAN_LIT("EHLO a\x01"), VERB_EHLO, COMMAND_BAD_DOMAIN },
	{ SPAN_LIT("EHLO a\x7f"), VERB_EHLO, COMMAND_BAD_DOMAIN },
	{ SPAN_LIT("EHLO a\0b"), VERB_EHLO, COMMAND_BAD_DOMAIN },
	{ SPAN_LIT("EHLO C1\xc2\x85"), VERB_EHLO, COMMAND_BAD_DOMAIN },
	{ SPAN_LIT("EHLO latin\xe4"), VERB_EHLO, COMMAND_BAD_DOMAIN },
	{ SPAN_LIT("EHLO <a"), VERB_EHLO, COMMAND_BAD_DOMAIN },
	{ SPAN_LIT("EHLO a>"), VERB_EHLO, COMMAND_BAD_DOMAIN },
	{ SPAN_LIT("EHLO a@b"), VERB_EHLO, COMMAND_BAD_DOMAIN },
	{ SPAN_LIT("EHLO a/b"), VERB_EHLO, COMMAND_BAD_DOMAIN },
	{ SPAN_LIT("EHLO %COMPUTERNAME%"), VERB_EHLO, COMMAND_BAD_DOMAIN },

	{ SPAN_LIT("MAIL FROM:"), VERB_MAIL, COMMAND_BAD_REVERSE },
	{ SPAN_LIT("MAIL FROM:a@b.example"), VERB_MAIL, COMMAND_BAD_REVERSE },
	{ SPAN_LIT("MAIL FROM:<a@b.example"), VERB_MAIL, COMMAND_BAD_REVERSE },
	{ SPAN_LIT("MAIL FROM:<a b@b.example>"), VERB_MAIL,
	  COMMAND_BAD_REVERSE },
	{ SPAN_LIT("MAIL FROM:<postmaster>"), VERB_MAIL, COMMAND_BAD_REVERSE },
	{ SPAN_LIT("RCPT TO:"), VERB_RCPT, COMMAND_BAD_FORWARD },
	{ SPAN_LIT("RCPT TO:<>"), VERB_RCPT, COMMAND_BAD_FORWARD },
	{ SPAN_LIT("RCPT TO:a@b.example"), VERB_RCPT, COMMAND_BAD_FORWARD },
	{ SPAN_LIT("RCPT TO:< a@b.example>"), VERB_RCPT, COMMAND_BAD_FORWARD },

	{ SPAN_LIT("MAIL FROM:<>SIZE=1"), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<>A"), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<>>"), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> SIZE="), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> =1"), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> ="), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> A==b"), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> A=b=c"), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> SIZE = 1"), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> -A=1"), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> A_B=1"), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> A;B"), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> \xc3\xa4=1"), VERB_MAIL,
	  COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> A=\xe4"), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> A=\x01"), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> A=\x7f"), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> A=\0"), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> SIZE=1 size=1"), VERB_MAIL,
	  COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("MAIL FROM:<> A B a"), VERB_MAIL, COMMAND_BAD_PARAMETER },
	{ SPAN_LIT("RCPT TO:<a@b.example> <c@d.example>"), VERB_RCPT,
	  COMMAND_BAD_PARAMETER },
};

static void
faults_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(faulty); i++) {
		struct guard guard = guard_copy(faulty[i].line);
		struct command command;

		assert_int_equal(command_parse(guard.octets, &command),
				 faulty[i].fault);
		assert_int_equal(command.verb, faulty[i].verb);
		guard_free(&guard);
	}
}

/* Every row of the table is found by its name, in any case. */
static void
verbs_are_those_of_the_table(void **state)
{
	static const struct {
		enum verb verb;
		struct span upper;
	} rows[] = {
#define X(name, text, argument, help) { VERB_##name, SPAN_LIT(text) },
		VERBS(X)
#undef X
	};

	(void)state;
	assert_int_equal(ROWS(rows), VERB_COUNT - 1);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct span upper = rows[i].upper;
		uint8_t lower[16];
		struct command command;

		command_parse(upper, &command);
		assert_int_equal(command.verb, rows[i].verb);
		for (size_t k = 0; k < upper.n; k++)
			lower[k] = octet_lower(upper.p[k]);
		command_parse(span_make(lower, upper.n), &command);
		assert_int_equal(command.verb, rows[i].verb);
		command_parse(span_first(upper, upper.n - 1), &command);
		assert_int_equal(command.verb, VERB_UNKNOWN);
	}
}

static void
anything_may_follow_noop(void **state)
{
	struct command command;

	(void)state;
	assert_int_equal(command_parse(SPAN_LIT("NOOP"), &command), COMMAND_OK);
	assert_int_equal(command.argument.n, 0);
	assert_int_equal(command_parse(SPAN_LIT("noop  a \xff b\t"), &command),
			 COMMAND_OK);
	assert_true(span_equal(command.argument, SPAN_LIT("a \xff b")));
	assert_int_equal(
		command_parse(SPAN_LIT("XCLIENT NAME=a ADDR=b"), &command),
		COMMAND_OK);
	assert_true(span_equal(command.argument, SPAN_LIT("NAME=a ADDR=b")));
}

static void
parameters_are_found_in_any_case(void **state)
{
	const struct parameter *found;
	struct command command;

	(void)state;
	assert_int_equal(
		command_parse(SPAN_LIT("MAIL FROM:<a@b.example> Size=42 A"),
			      &command),
		COMMAND_OK);
	assert_int_equal(command.parameters, 2);
	assert_true(span_equal(command.path.local, SPAN_LIT("a")));
	assert_true(span_equal(command.path.domain, SPAN_LIT("b.example")));
	found = command_parameter(&command, SPAN_LIT("sIZE"));
	assert_non_null(found);
	assert_true(found->has_value);
	assert_true(span_equal(found->value, SPAN_LIT("42")));
	found = command_parameter(&command, SPAN_LIT("a"));
	assert_non_null(found);
	assert_false(found->has_value);
	assert_int_equal(found->value.n, 0);
	assert_null(command_parameter(&command, SPAN_LIT("SIZ")));
	assert_null(command_parameter(&command, SPAN_LIT("42")));
	assert_null(command_parameter(&command, SPAN_NONE));
}

static void
sixteen_parameters_and_no_more(void **state)
{
	struct command command;
	struct buf line;

	(void)state;
	buf_init(&line, 1000);
	buf_append(&line, SPAN_LIT("MAIL FROM:<>"));
	for (int i = 0; i < COMMAND_PARAMETERS_MAX; i++)
		assert_true(buf_printf(&line, " P%d=%d", i, i));
	assert_int_equal(command_parse(buf_span(&line), &command), COMMAND_OK);
	assert_int_equal(command.parameters, COMMAND_PARAMETERS_MAX);
	assert_true(buf_append(&line, SPAN_LIT(" Q")));
	assert_int_equal(command_parse(buf_span(&line), &command),
			 COMMAND_BAD_PARAMETER);
	buf_fini(&line);
}

static void
a_helo_name_may_have_255_octets(void **state)
{
	struct command command;
	struct buf line;

	(void)state;
	buf_init(&line, 1000);
	buf_append(&line, SPAN_LIT("EHLO "));
	append_times(&line, 'a', ADDRESS_DOMAIN_MAX);
	assert_int_equal(command_parse(buf_span(&line), &command), COMMAND_OK);
	assert_int_equal(command.domain.n, ADDRESS_DOMAIN_MAX);
	append_times(&line, 'a', 1);
	assert_int_equal(command_parse(buf_span(&line), &command),
			 COMMAND_BAD_DOMAIN);
	buf_fini(&line);
}

/* --- xtext -----------------------------------------------------------------
 */

static void
xtext_both_ways(void **state)
{
	static const struct {
		struct span text;
		struct span xtext;
	} rows[] = {
		{ SPAN_LIT(""), SPAN_LIT("") },
		{ SPAN_LIT("abc!~"), SPAN_LIT("abc!~") },
		{ SPAN_LIT("a+b=c d"), SPAN_LIT("a+2Bb+3Dc+20d") },
		{ SPAN_LIT("\0\r\n\x7f\xff"), SPAN_LIT("+00+0D+0A+7F+FF") },
	};
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct guard text = guard_copy(rows[i].text);
		struct guard xtext = guard_copy(rows[i].xtext);

		buf_reset(&buf);
		assert_true(xtext_encode(text.octets, &buf));
		assert_true(span_equal(buf_span(&buf), rows[i].xtext));
		buf_reset(&buf);
		assert_true(xtext_decode(xtext.octets, &buf));
		assert_true(span_equal(buf_span(&buf), rows[i].text));
		guard_free(&text);
		guard_free(&xtext);
	}
	buf_fini(&buf);
}

static void
every_octet_goes_through_xtext(void **state)
{
	struct buf xtext;
	struct buf text;

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		uint8_t octet = (uint8_t)c;

		buf_init(&xtext, 3);
		buf_init(&text, 1);
		assert_true(xtext_encode(span_make(&octet, 1), &xtext));
		assert_true(xtext_decode(buf_span(&xtext), &text));
		assert_true(span_equal(buf_span(&text), span_make(&octet, 1)));
		for (size_t i = 0; i < xtext.n; i++)
			assert_true(xtext.p[i] > ' ' && xtext.p[i] < 0x7f);
		buf_fini(&xtext);
		buf_fini(&text);
	}
}

static void
xtext_that_hides_a_control(void **state)
{
	static const struct {
		struct span text;
		bool does_hide;
	} rows[] = {
		{ SPAN_LIT(""), false },
		{ SPAN_LIT("abc"), false },
		{ SPAN_LIT("a+20b"), false },
		{ SPAN_LIT("+2B+2B0D"), false },
		{ SPAN_LIT("+"), false },
		{ SPAN_LIT("a+0"), false },
		{ SPAN_LIT("+C2+85"), false },
		{ SPAN_LIT("+0D+0A"), true },
		{ SPAN_LIT("a+0D"), true },
		{ SPAN_LIT("a+00b"), true },
		{ SPAN_LIT("rfc822;a+1Fb@c"), true },
		{ SPAN_LIT("+7F"), true },
		{ SPAN_LIT("+0d+7f"), true }, /* no xtext, but nearly */
		{ SPAN_LIT("++0A"), true },
		{ SPAN_LIT("+zz+0A"), true },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct guard text = guard_copy(rows[i].text);

		assert_int_equal(xtext_hides_control(text.octets),
				 rows[i].does_hide);
		guard_free(&text);
	}
}

static void
what_is_not_xtext_is_refused(void **state)
{
	static const struct span rows[] = {
		SPAN_LIT("+"),    SPAN_LIT("+4"),  SPAN_LIT("a+4"),
		SPAN_LIT("+4G"),  SPAN_LIT("+g0"), SPAN_LIT("+4a"),
		SPAN_LIT("+ 4"),  SPAN_LIT("++"),  SPAN_LIT("a=b"),
		SPAN_LIT("a b"),  SPAN_LIT("\0"),  SPAN_LIT("\r"),
		SPAN_LIT("\x7f"), SPAN_LIT("\x80")
	};
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct guard guard = guard_copy(rows[i]);

		assert_false(xtext_decode(guard.octets, &buf));
		guard_free(&guard);
	}
	buf_fini(&buf);
	buf_init(&buf, 2);
	assert_false(xtext_encode(SPAN_LIT(" "), &buf));
	buf_reset(&buf);
	assert_false(xtext_decode(SPAN_LIT("abc"), &buf));
	buf_fini(&buf);
}

/* A reader may be told to take less than it could, and is told once. */
static void
a_line_may_have_a_lower_limit(void **state)
{
	struct command_reader reader = { .line_max = 10 };
	struct span in =
		SPAN_LIT("NOOP 67890\r\nNOOP 678901\r\nNOOP 67890\r\n");
	struct span line;

	(void)state;
	assert_int_equal(command_next(&reader, &in, &line), COMMAND_LINE);
	assert_int_equal(line.n, 10);
	assert_int_equal(command_next(&reader, &in, &line), COMMAND_TOO_LONG);
	assert_int_equal(command_next(&reader, &in, &line), COMMAND_LINE);
	in = SPAN_LIT("NOOP 6789012");
	assert_int_equal(command_next(&reader, &in, &line), COMMAND_MORE);
	assert_int_equal(in.n, 0); /* nothing of it is kept */
	in = SPAN_LIT("\r\n");
	assert_int_equal(command_next(&reader, &in, &line), COMMAND_TOO_LONG);
}

/* AUTH carries credentials that are longer than any other command. */
static void
auth_may_have_a_higher_limit(void **state)
{
	struct command_reader reader = { .line_max = 10, .login_max = 12 };
	struct span in = SPAN_LIT("auth 6789012\r\nAUTH 67890123\r\n"
				  "AUTHX7890AB\r\nNOOP 678901\r\n");
	struct span line;

	(void)state;
	assert_int_equal(command_next(&reader, &in, &line), COMMAND_LINE);
	assert_int_equal(line.n, 12);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(command_next(&reader, &in, &line),
				 COMMAND_TOO_LONG);
	assert_int_equal(in.n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_may_have_a_lower_limit),
		cmocka_unit_test(auth_may_have_a_higher_limit),
		cmocka_unit_test(lines_end_in_crlf_at_every_pair_of_splits),
		cmocka_unit_test(a_line_over_the_limit_is_swallowed),
		cmocka_unit_test(a_long_chunk_line_is_known),
		cmocka_unit_test(an_octet_is_bad_in_a_long_line_too),
		cmocka_unit_test(an_octet_at_a_time),
		cmocka_unit_test(good_commands_are_written_anew),
		cmocka_unit_test(parse_undoes_format),
		cmocka_unit_test(faults_are_named),
		cmocka_unit_test(verbs_are_those_of_the_table),
		cmocka_unit_test(anything_may_follow_noop),
		cmocka_unit_test(parameters_are_found_in_any_case),
		cmocka_unit_test(sixteen_parameters_and_no_more),
		cmocka_unit_test(a_helo_name_may_have_255_octets),
		cmocka_unit_test(xtext_both_ways),
		cmocka_unit_test(every_octet_goes_through_xtext),
		cmocka_unit_test(what_is_not_xtext_is_refused),
		cmocka_unit_test(xtext_that_hides_a_control),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
