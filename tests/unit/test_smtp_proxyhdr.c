/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/proxyhdr.h"

#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\x00\x02\x0a\xcb\x00\x71\x07" /* 192.0.2.10, 203.0.113.7 */
#define V6_A "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" /* 2001:db8::1 */
#define V6_B "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
#define V6_MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x0a"
#define PORTS "\x10\x92\x00\x19" /* 4242, 25 */

/* "source port destination port", or "local". */
static const struct {
	struct span octets;
	const char *want;
} headers[] = {
	{ SPAN_LIT("PROXY TCP4 192.0.2.10 203.0.113.7 4242 25\r\n"),
	  "192.0.2.10 4242 203.0.113.7 25" },
	{ SPAN_LIT("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n"),
	  "0.0.0.0 0 255.255.255.255 65535" },
	{ SPAN_LIT("PROXY TCP6 2001:db8::1 2001:DB8:0::2 4242 25\r\n"),
	  "2001:db8::1 4242 2001:db8::2 25" },
	{ SPAN_LIT("PROXY TCP6 ::ffff:192.0.2.10 2001:db8::2 1 2\r\n"),
	  "192.0.2.10 1 2001:db8::2 2" },
	{ SPAN_LIT("PROXY UNKNOWN\r\n"), "local" },
	{ SPAN_LIT("PROXY UNKNOWN ffff::1 whatever else\r\n"), "local" },
	{ SPAN_LIT(SIGNATURE "\x21\x11\0\x0c" V4 PORTS),
	  "192.0.2.10 4242 203.0.113.7 25" },
	{ SPAN_LIT(SIGNATURE "\x21\x21\0\x24" V6_A V6_B PORTS),
	  "2001:db8::1 4242 2001:db8::2 25" },
	{ SPAN_LIT(SIGNATURE "\x21\x21\0\x24" V6_MAPPED V6_B PORTS),
	  "192.0.2.10 4242 2001:db8::2 25" },
	{ SPAN_LIT(SIGNATURE "\x20\x00\0\0"), "local" },
	/* TLVs behind the addresses; of LOCAL all is skipped. */
	{ SPAN_LIT(SIGNATURE "\x21\x11\0\x10" V4 PORTS "\x04\0\x01x"),
	  "192.0.2.10 4242 203.0.113.7 25" },
	{ SPAN_LIT(SIGNATURE "\x20\x11\0\x0c" V4 PORTS), "local" },
	{ SPAN_LIT(SIGNATURE "\x20\xff\0\x03xyz"), "local" },
	{ SPAN_LIT(SIGNATURE "\x21\x00\0\0"), "local" },
	{ SPAN_LIT(SIGNATURE "\x21\x00\0\x03xyz"), "local" },
};

static void
check_parsed(const struct proxyhdr *hdr, const char *want)
{
	char source[IP_TEXT_MAX];
	char destination[IP_TEXT_MAX];
	char got[200];

	ip_format(&hdr->source, source);
	ip_format(&hdr->destination, destination);
	snprintf(got, sizeof(got), "%s %u %s %u", source,
		 (unsigned)hdr->source_port, destination,
		 (unsigned)hdr->destination_port);
	assert_string_equal(hdr->is_local ? "local" : got, want);
	if (hdr->is_local)
		assert_string_equal(got, "unknown 0 unknown 0");
}

static void
good_headers_are_read_at_every_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(headers); i++) {
		struct span whole = headers[i].octets;

		for (size_t n = 0; n <= whole.n; n++) {
			struct guard guard = guard_copy(span_first(whole, n));
			struct span in = guard.octets;
			struct proxyhdr hdr;
			enum proxyhdr_status status = proxyhdr_parse(&in, &hdr);

			assert_int_equal(status, n == whole.n ? PROXYHDR_READY
							      : PROXYHDR_MORE);
			assert_int_equal(in.n, n == whole.n ? 0 : n);
			if (n == whole.n)
				check_parsed(&hdr, headers[i].want);
			guard_free(&guard);
		}
	}
}

static void
what_follows_is_left(void **state)
{
	char octets[300];

	(void)state;
	for (size_t i = 0; i < ROWS(headers); i++) {
		struct span whole = headers[i].octets;
		struct span in = span_make(octets, whole.n + 200);
		struct proxyhdr hdr;

		memset(octets, '\n', sizeof(octets));
		memcpy(octets, whole.p, whole.n);
		assert_int_equal(proxyhdr_parse(&in, &hdr), PROXYHDR_READY);
		assert_int_equal(in.n, 200);
		check_parsed(&hdr, headers[i].want);
	}
}

static const struct span bad_headers[] = {
	SPAN_LIT("EHLO client.example\r\n"),
	SPAN_LIT("Q"),
	SPAN_LIT("\n"),
	SPAN_LIT("PRoXY "),
	SPAN_LIT("PROXY\r\n"),
	SPAN_LIT("PROXY \r\n"),
	SPAN_LIT("PROXY  TCP4 192.0.2.10 203.0.113.7 4242 25\r\n"),
	SPAN_LIT("PROXY tcp4 192.0.2.10 203.0.113.7 4242 25\r\n"),
	SPAN_LIT("PROXY TCP5 192.0.2.10 203.0.113.7 4242 25\r\n"),
	SPAN_LIT("PROXY TCP4 192.0.2.10 203.0.113.7 4242\r\n"),
	SPAN_LIT("PROXY TCP4 192.0.2.10 203.0.113.7 4242 25 \r\n"),
	SPAN_LIT("PROXY TCP4 192.0.2.10 203.0.113.7 4242 25 26\r\n"),
	SPAN_LIT("PROXY TCP4 192.0.2.10  203.0.113.7 4242 25\r\n"),
	SPAN_LIT("PROXY TCP4 192.0.2.10 203.0.113.7 4242 65536\r\n"),
	SPAN_LIT("PROXY TCP4 192.0.2.10 203.0.113.7 04242 25\r\n"),
	SPAN_LIT("PROXY TCP4 192.0.2.10 203.0.113.7 +4242 25\r\n"),
	SPAN_LIT("PROXY TCP4 192.0.2.10 203.0.113.7 4242 \r\n"),
	SPAN_LIT("PROXY TCP4 192.0.2.256 203.0.113.7 4242 25\r\n"),
	SPAN_LIT("PROXY TCP4 2001:db8::1 203.0.113.7 4242 25\r\n"),
	SPAN_LIT("PROXY TCP4 ::ffff:192.0.2.10 203.0.113.7 4242 25\r\n"),
	SPAN_LIT("PROXY TCP6 192.0.2.10 2001:db8::1 4242 25\r\n"),
	SPAN_LIT("PROXY TCP6 2001:db8::1 mx.example 4242 25\r\n"),
	SPAN_LIT("PROXY UNKNOWNX\r\n"),
	SPAN_LIT("PROXY TCP4 192.0.2.10 203.0.113.7 4242 25\n"),
	SPAN_LIT("PROXY TCP4 192.0.2.10 203.0.113.7 4242 25\rX"),
	SPAN_LIT("PROXY TCP4\t"),
	SPAN_LIT("PROXY UNKNOWN \0"),
	SPAN_LIT("PROXY UNKNOWN \xe9"),
	SPAN_LIT("\r\n\r\n\r"),
	SPAN_LIT("\r\n\r\n\0\r\nQUIT\r"),
	SPAN_LIT(SIGNATURE "\x11\x11\0\x0c"), /* version 1 */
	SPAN_LIT(SIGNATURE "\x22\x11\0\x0c"), /* no such command */
	SPAN_LIT(SIGNATURE "\x21\x12\0\x0c"), /* UDP */
	SPAN_LIT(SIGNATURE "\x21\x31\0\xd8"), /* a Unix socket */
	SPAN_LIT(SIGNATURE "\x21\x41\0\x0c"),
	SPAN_LIT(SIGNATURE "\x21\x11\0\x0b"), /* too short for its family */
	SPAN_LIT(SIGNATURE "\x21\x21\0\x23"),
	SPAN_LIT(SIGNATURE "\x21\x11\x10\x01"), /* 4097 */
	SPAN_LIT(SIGNATURE "\x20\x00\xff\xff"),
};

/* At every length there is no header in it, and at the last it is known. */
static void
bad_headers_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(bad_headers); i++) {
		struct span whole = bad_headers[i];

		for (size_t n = 0; n <= whole.n; n++) {
			struct guard guard = guard_copy(span_first(whole, n));
			struct span in = guard.octets;
			struct proxyhdr hdr;
			enum proxyhdr_status status = proxyhdr_parse(&in, &hdr);

			assert_int_not_equal(status, PROXYHDR_READY);
			if (n == whole.n && status != PROXYHDR_BAD)
				fail_msg("row %zu", i);
			guard_free(&guard);
		}
	}
}

/* "PROXY UNKNOWN xxx…" CR LF of n octets. */
static enum proxyhdr_status
v1_of(size_t n, bool is_ended)
{
	char line[200];
	struct span in = span_make(line, n);
	struct proxyhdr hdr;

	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	if (is_ended)
		memcpy(line + n - 2, "\r\n", 2);
	return proxyhdr_parse(&in, &hdr);
}

static void
version_1_has_at_most_107_octets(void **state)
{
	(void)state;
	assert_int_equal(v1_of(106, false), PROXYHDR_MORE);
	assert_int_equal(v1_of(107, false), PROXYHDR_BAD);
	assert_int_equal(v1_of(107, true), PROXYHDR_READY);
	assert_int_equal(v1_of(108, true), PROXYHDR_BAD);
}

static void
version_2_has_at_most_4112_octets(void **state)
{
	static uint8_t octets[PROXYHDR_V2_MAX];
	struct span in = span_make(octets, sizeof(octets));
	struct proxyhdr hdr;

	(void)state;
	memcpy(octets, SIGNATURE "\x21\x11\x10\x00" V4 PORTS, 28);
	assert_int_equal(proxyhdr_parse(&in, &hdr), PROXYHDR_READY);
	assert_int_equal(in.n, 0);
	in = span_make(octets, sizeof(octets) - 1);
	assert_int_equal(proxyhdr_parse(&in, &hdr), PROXYHDR_MORE);
}

static struct ip
ip_of(const char *text)
{
	struct ip ip = { .family = IP_NONE };

	if (text != NULL)
		assert_true(ip_parse(span_cstr(text), &ip));
	return ip;
}

/* What is written, NULL where it is refused. */
static const struct {
	const char *source; /* NULL: IP_NONE */
	const char *destination;
	bool is_local;
	const char *v1;
	struct span v2;
} written[] = {
	{ NULL, NULL, true, "PROXY UNKNOWN\r\n",
	  SPAN_LIT(SIGNATURE "\x20\0\0\0") },
	{ "192.0.2.10", "203.0.113.7", false,
	  "PROXY TCP4 192.0.2.10 203.0.113.7 4242 25\r\n",
	  SPAN_LIT(SIGNATURE "\x21\x11\0\x0c" V4 PORTS) },
	{ "2001:db8::1", "2001:db8::2", false,
	  "PROXY TCP6 2001:db8::1 2001:db8::2 4242 25\r\n",
	  SPAN_LIT(SIGNATURE "\x21\x21\0\x24" V6_A V6_B PORTS) },
	{ "192.0.2.10", "2001:db8::2", false, NULL,
	  SPAN_LIT(SIGNATURE "\x21\x21\0\x24" V6_MAPPED V6_B PORTS) },
	{ "2001:db8::1", "192.0.2.10", false, NULL,
	  SPAN_LIT(SIGNATURE "\x21\x21\0\x24" V6_A V6_MAPPED PORTS) },
	{ NULL, "203.0.113.7", false, NULL, { NULL, 0 } },
	{ "192.0.2.10", NULL, false, NULL, { NULL, 0 } },
};

static void
headers_are_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(written); i++) {
		struct proxyhdr hdr = {
			.is_local = written[i].is_local,
			.source = ip_of(written[i].source),
			.destination = ip_of(written[i].destination),
			.source_port = 4242,
			.destination_port = 25,
		};
		struct buf buf;

		buf_init(&buf, 200);
		assert_int_equal(proxyhdr_format_v1(&hdr, &buf),
				 written[i].v1 != NULL);
		assert_true(
			span_equal(buf_span(&buf), span_cstr(written[i].v1)));
		buf_reset(&buf);
		assert_int_equal(proxyhdr_format_v2(&hdr, &buf),
				 written[i].v2.p != NULL);
		assert_true(span_equal(buf_span(&buf), written[i].v2));
		buf_fini(&buf);
	}
}

static void
the_longest_header_fits(void **state)
{
	struct proxyhdr hdr = {
		.source = ip_of("1111:1111:1111:1111:1111:1111:1111:1111"),
		.destination = ip_of("2222:2222:2222:2222:2222:2222:2222:2222"),
		.source_port = 65535,
		.destination_port = 65535,
	};
	struct proxyhdr again;
	struct span in;
	struct buf buf;

	(void)state;
	buf_init(&buf, PROXYHDR_V1_MAX);
	assert_true(proxyhdr_format_v1(&hdr, &buf));
	in = buf_span(&buf);
	assert_int_equal(proxyhdr_parse(&in, &again), PROXYHDR_READY);
	assert_true(ip_equal(&again.source, &hdr.source));
	buf_fini(&buf);
}

static void
a_full_buf_is_said(void **state)
{
	struct proxyhdr hdr = { .is_local = true };
	struct buf buf;

	(void)state;
	buf_init(&buf, 14);
	assert_false(proxyhdr_format_v1(&hdr, &buf));
	assert_int_equal(buf.n, 0);
	buf_fini(&buf);
	buf_init(&buf, 15);
	assert_false(proxyhdr_format_v2(&hdr, &buf));
	assert_int_equal(buf.n, 0);
	buf_fini(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_headers_are_read_at_every_split),
		cmocka_unit_test(what_follows_is_left),
		cmocka_unit_test(bad_headers_are_refused),
		cmocka_unit_test(version_1_has_at_most_107_octets),
		cmocka_unit_test(version_2_has_at_most_4112_octets),
		cmocka_unit_test(headers_are_written),
		cmocka_unit_test(the_longest_header_fits),
		cmocka_unit_test(a_full_buf_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
