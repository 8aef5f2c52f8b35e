/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/received.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define DATE "Sat, 21 Nov 2026 12:00:00 +0000\r\n"

static struct received
ordinary(void)
{
	struct received received = {
		.helo = SPAN_LIT("client.example"),
		.gate = SPAN_LIT("gate.example"),
		.id = SPAN_LIT("r1.1"),
		.is_extended = true,
		.wall_us = UINT64_C(1795262400) * 1000000,
	};

	assert_true(ip_parse(SPAN_LIT("192.0.2.10"), &received.ip));
	return received;
}

static void
assert_formats(const struct received *received, const char *expected)
{
	struct buf buf;

	buf_init(&buf, 4096);
	assert_true(received_format(received, &buf));
	buf_append_octet(&buf, '\0');
	assert_string_equal((const char *)buf.p, expected);
	buf_fini(&buf);
}

static void
a_field_says_who_came_and_how(void **state)
{
	struct received received = ordinary();
	struct tlsinfo tls = { .version = "TLSv1.3",
			       .cipher = "TLS_AES_256_GCM_SHA384",
			       .bits = 256 };

	(void)state;
	assert_formats(&received,
		       "Received: from client.example\r\n\t([192.0.2.10])\r\n"
		       "\tby gate.example (dmarcgate) with ESMTP\r\n"
		       "\tid r1.1; " DATE);
	received.tls = &tls;
	received.name = SPAN_LIT("host.client.example");
	received.recipient = SPAN_LIT("bob@backend.example");
	assert_formats(&received,
		       "Received: from client.example\r\n"
		       "\t(host.client.example [192.0.2.10])\r\n"
		       "\tby gate.example (dmarcgate) with ESMTPS\r\n"
		       "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 "
		       "(256 bits))\r\n"
		       "\tid r1.1\r\n\tfor <bob@backend.example>; " DATE);
}

/* RFC 3848, RFC 6531 4.3 */
static void
the_protocol_has_its_registered_name(void **state)
{
	static const struct tlsinfo tls = { .version = "TLSv1.2",
					    .cipher = "X" };
	static const struct {
		bool is_extended, has_tls, is_utf8, is_authenticated;
		const char *with;
	} rows[] = {
		{ false, false, false, false, "with SMTP\r\n" },
		{ false, true, false, false, "with SMTP\r\n" },
		{ true, false, false, false, "with ESMTP\r\n" },
		{ true, true, false, false, "with ESMTPS\r\n" },
		{ true, false, false, true, "with ESMTPA\r\n" },
		{ true, true, false, true, "with ESMTPSA\r\n" },
		{ true, false, true, false, "with UTF8SMTP\r\n" },
		{ true, true, true, true, "with UTF8SMTPSA\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct received received = ordinary();
		struct buf buf;

		received.is_extended = rows[i].is_extended;
		received.tls = rows[i].has_tls ? &tls : NULL;
		received.is_utf8 = rows[i].is_utf8;
		received.is_authenticated = rows[i].is_authenticated;
		buf_init(&buf, 4096);
		assert_true(received_format(&received, &buf));
		buf_append_octet(&buf, '\0');
		assert_non_null(strstr((const char *)buf.p, rows[i].with));
		buf_fini(&buf);
	}
}

static void
a_name_that_is_none_is_said_in_a_comment(void **state)
{
	static const struct {
		const char *helo, *ip, *from;
	} rows[] = {
		{ "[192.0.2.10]", "192.0.2.10",
		  "Received: from [192.0.2.10]\r\n\t([192.0.2.10])\r\n" },
		{ "a#b:c", "192.0.2.10",
		  "Received: from [192.0.2.10] (HELO a#b:c)\r\n"
		  "\t([192.0.2.10])\r\n" },
		{ "x)\\(y\"", "2001:db8::1",
		  "Received: from [IPv6:2001:db8::1] (HELO x???y?)\r\n"
		  "\t([IPv6:2001:db8::1])\r\n" },
		{ "\xc3\xa9.example", "192.0.2.10",
		  "Received: from [192.0.2.10] (HELO ??.example)\r\n"
		  "\t([192.0.2.10])\r\n" },
		{ "x)", "", "Received: from unknown (HELO x?)\r\n" },
		{ "", "", "Received: from unknown\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct received received = ordinary();
		struct buf buf;

		received.helo = span_cstr(rows[i].helo);
		received.ip = (struct ip){ .family = IP_NONE };
		ip_parse(span_cstr(rows[i].ip), &received.ip);
		buf_init(&buf, 4096);
		assert_true(received_format(&received, &buf));
		assert_true(
			span_starts(buf_span(&buf), span_cstr(rows[i].from)));
		buf_fini(&buf);
	}
}

/* Octets of a span in front of a domain, or behind a local part. */
static struct span
labels(uint8_t *octets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		octets[i] = i % 50 == 49 && i + 1 < n ? '.' : 'a';
	return span_make(octets, n);
}

/* RFC 5322 2.1.1: folded at 78, but within a word. */
static void
long_words_have_lines_of_their_own(void **state)
{
	static const struct tlsinfo tls = {
		.version = "TLSv1.2",
		.cipher = "ECDHE-ECDSA-CHACHA20-POLY1305",
		.bits = 256,
	};
	uint8_t octets[4][255];

	(void)state;
	for (size_t n = 1; n <= sizeof(octets[0]); n++) {
		struct received received = ordinary();
		struct buf buf;

		received.helo = labels(octets[0], n);
		received.name = labels(octets[1], n);
		received.gate = labels(octets[2], n);
		received.recipient = labels(octets[3], n);
		received.tls = &tls;
		ip_parse(SPAN_LIT("2001:db8:1111:2222:3333:4444:5555:6666"),
			 &received.ip);
		if (n % 2)
			octets[0][n / 2] = '(';
		buf_init(&buf, 4096);
		assert_true(received_format(&received, &buf));
		for (size_t i = 0, start = 0; i < buf.n; i++) {
			struct span line;

			if (buf.p[i] != '\r')
				continue;
			line = span_make(buf.p + start, i - start);
			if (line.n > 78) /* a tab, a word and its brackets */
				assert_true(line.n <= n + 9);
			start = i + 2;
		}
		buf_fini(&buf);
	}
}

static void
every_day_has_its_date(void **state)
{
	static const struct {
		uint64_t seconds;
		const char *date;
	} rows[] = {
		{ 0, "; Thu, 1 Jan 1970 00:00:00 +0000\r\n" },
		{ 951782399, "; Mon, 28 Feb 2000 23:59:59 +0000\r\n" },
		{ 951782400, "; Tue, 29 Feb 2000 00:00:00 +0000\r\n" },
		{ 951868800, "; Wed, 1 Mar 2000 00:00:00 +0000\r\n" },
		{ 1798761599, "; Thu, 31 Dec 2026 23:59:59 +0000\r\n" },
		{ 4107542400, "; Mon, 1 Mar 2100 00:00:00 +0000\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct received received = ordinary();
		struct span date = span_cstr(rows[i].date);
		struct buf buf;

		received.wall_us = rows[i].seconds * 1000000;
		buf_init(&buf, 4096);
		assert_true(received_format(&received, &buf));
		assert_true(span_equal(
			span_after(buf_span(&buf), buf.n - date.n), date));
		buf_fini(&buf);
	}
}

/* Whatever a client says of itself, the field stays one field of clean lines,
 * and its comments are closed. */
static void
nothing_gets_out_of_the_field(void **state)
{
	uint64_t random = 1;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		struct received received = ordinary();
		uint8_t octets[3][400];
		struct span texts[3];
		struct buf buf;
		int depth = 0;

		for (size_t k = 0; k < 3; k++) {
			size_t n;

			random = random * UINT64_C(6364136223846793005) + 1;
			n = (random >> 33) % sizeof(octets[k]);
			for (size_t i = 0; i < n; i++) {
				random =
					random * UINT64_C(6364136223846793005) +
					1;
				octets[k][i] = (uint8_t)(random >> 40);
			}
			texts[k] = span_make(octets[k], n);
		}
		received.helo = texts[0];
		received.name = texts[1];
		received.recipient = texts[2];
		received.is_utf8 = round % 2;
		buf_init(&buf, 8192);
		assert_true(received_format(&received, &buf));
		for (size_t i = 0, line = 0; i < buf.n; i++, line++) {
			uint8_t c = buf.p[i];
			bool is_end = c == '\r' && buf.p[i + 1] == '\n';

			depth += (c == '(') - (c == ')');
			assert_in_range(depth, 0, 2);
			assert_true(line <= 998);
			if (is_end && i + 2 < buf.n)
				assert_int_equal(buf.p[i + 2], '\t');
			assert_true(is_end || c == '\t' || c == '\n' ||
				    (c >= 0x20 && c != 0x7f &&
				     (c < 0x80 || received.is_utf8)));
			line = c == '\n' ? 0 : line;
		}
		assert_int_equal(depth, 0);
		buf_fini(&buf);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_field_says_who_came_and_how),
		cmocka_unit_test(the_protocol_has_its_registered_name),
		cmocka_unit_test(a_name_that_is_none_is_said_in_a_comment),
		cmocka_unit_test(long_words_have_lines_of_their_own),
		cmocka_unit_test(every_day_has_its_date),
		cmocka_unit_test(nothing_gets_out_of_the_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
