/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/xclient.h"

#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

#define ALL                                                           \
	(XCLIENT_NAME | XCLIENT_ADDR | XCLIENT_PORT | XCLIENT_PROTO | \
	 XCLIENT_HELO | XCLIENT_LOGIN | XCLIENT_DESTADDR | XCLIENT_DESTPORT)

#define TEN "aaaaaaaaa."
#define FIFTY TEN TEN TEN TEN TEN
#define A_255 FIFTY FIFTY FIFTY FIFTY FIFTY "aaaaa"

/* "address port name helo login", "-" where it is not known; a name that may be
 * known later is "~". */
static const struct {
	const char *argument;
	unsigned given;
	const char *want;
} arguments[] = {
	{ "ADDR=192.0.2.10", XCLIENT_ADDR, "192.0.2.10 0 - - -" },
	{ "ADDR=IPV6:2001:db8::1", XCLIENT_ADDR, "2001:db8::1 0 - - -" },
	{ "addr=ipv6:2001:DB8::1", XCLIENT_ADDR, "2001:db8::1 0 - - -" },
	{ "ADDR=IPV6:::ffff:192.0.2.10", XCLIENT_ADDR, "192.0.2.10 0 - - -" },
	{ "ADDR=[UNAVAILABLE]", XCLIENT_ADDR, "unknown 0 - - -" },
	{ "ADDR=192.0.2.10 PORT=4242 NAME=mx.a.example", 7,
	  "192.0.2.10 4242 mx.a.example - -" },
	{ "  NAME=mx.a.example   PORT=65535 ", XCLIENT_NAME | XCLIENT_PORT,
	  "unknown 65535 mx.a.example - -" },
	{ "PORT=[unavailable]", XCLIENT_PORT, "unknown 0 - - -" },
	{ "NAME=[UNAVAILABLE]", XCLIENT_NAME, "unknown 0 - - -" },
	{ "NAME=[TEMPUNAVAIL]", XCLIENT_NAME, "unknown 0 ~ - -" },
	{ "HELO=[192.0.2.10]", XCLIENT_HELO, "unknown 0 - [192.0.2.10] -" },
	{ "HELO=[UNAVAILABLE] LOGIN=[UNAVAILABLE]",
	  XCLIENT_HELO | XCLIENT_LOGIN, "unknown 0 - - -" },
	{ "LOGIN=alice+40a.example HELO=a+2Bb+3Dc",
	  XCLIENT_HELO | XCLIENT_LOGIN, "unknown 0 - a+b=c alice@a.example" },
	{ "HELO=b+C3+BCcher.example", XCLIENT_HELO,
	  "unknown 0 - b\xc3\xbc"
	  "cher.example -" },
	{ "PROTO=ESMTP DESTADDR=203.0.113.7 DESTPORT=25",
	  XCLIENT_PROTO | XCLIENT_DESTADDR | XCLIENT_DESTPORT,
	  "unknown 0 - - -" },
	{ "PROTO=[UNAVAILABLE] DESTADDR=[UNAVAILABLE]",
	  XCLIENT_PROTO | XCLIENT_DESTADDR, "unknown 0 - - -" },
	{ "HELO=" A_255, XCLIENT_HELO, "unknown 0 - " A_255 " -" },
};

static const char *
or_dash(char text[300], struct span s, const char *dash)
{
	snprintf(text, 300, "%.*s", (int)s.n,
		 s.p == NULL ? "" : (const char *)s.p);
	return s.n == 0 ? dash : text;
}

static void
check_parsed(const struct xclient *xclient, const char *want)
{
	char ip[IP_TEXT_MAX];
	char name[300], helo[300], login[300];
	char got[1200];

	ip_format(&xclient->ip, ip);
	snprintf(got, sizeof(got), "%s %u %s %s %s", ip,
		 (unsigned)xclient->port,
		 or_dash(name, xclient->name,
			 xclient->is_name_temporary ? "~" : "-"),
		 or_dash(helo, xclient->helo, "-"),
		 or_dash(login, xclient->login, "-"));
	assert_string_equal(got, want);
}

static void
good_arguments_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(arguments); i++) {
		struct guard guard =
			guard_copy(span_cstr(arguments[i].argument));
		struct xclient xclient;
		struct buf store;

		buf_init(&store, 2000);
		assert_true(xclient_parse(guard.octets, &xclient, &store));
		guard_free(&guard); /* the values are the store's */
		assert_int_equal(xclient.given, arguments[i].given);
		check_parsed(&xclient, arguments[i].want);
		buf_fini(&store);
	}
}

/* The store grows, and moves, while values are put into it. */
static void
values_survive_a_store_that_moves(void **state)
{
	struct xclient xclient;
	struct buf store;

	(void)state;
	buf_init(&store, 2000);
	buf_append(&store, SPAN_LIT("what was there"));
	assert_true(xclient_parse(
		span_cstr("NAME=" A_255 " HELO=" A_255 " LOGIN=" A_255),
		&xclient, &store));
	check_parsed(&xclient, "unknown 0 " A_255 " " A_255 " " A_255);
	buf_fini(&store);
}

static const struct span bad_arguments[] = {
	SPAN_LIT(""),
	SPAN_LIT("  "),
	SPAN_LIT("ADDR"),
	SPAN_LIT("ADDR="),
	SPAN_LIT("=192.0.2.10"),
	SPAN_LIT("FOO=bar"),
	SPAN_LIT("ADDR =192.0.2.10"),
	SPAN_LIT("ADDR=192.0.2.10 ADDR=192.0.2.10"),
	SPAN_LIT("ADDR=192.0.2.10 addr=192.0.2.11"),
	SPAN_LIT("ADDR=192.0.2.256"),
	SPAN_LIT("ADDR=2001:db8::1"),
	SPAN_LIT("ADDR=IPV6:192.0.2.10"),
	SPAN_LIT("ADDR=mx.example"),
	SPAN_LIT("ADDR=[192.0.2.10]"),
	SPAN_LIT("PORT=0"),
	SPAN_LIT("PORT=65536"),
	SPAN_LIT("PORT=-1"),
	SPAN_LIT("PORT=smtp"),
	SPAN_LIT("NAME=mx_.exa mple"),
	SPAN_LIT("NAME=-mx"),
	SPAN_LIT("NAME=mx."),
	SPAN_LIT("NAME=mx+"),
	SPAN_LIT("NAME=mx+2"),
	SPAN_LIT("NAME=mx+20a"),
	SPAN_LIT("NAME=a+0Ab"),
	SPAN_LIT("HELO="),
	SPAN_LIT("HELO=a=b"),
	SPAN_LIT("HELO=a+20b"),
	SPAN_LIT("HELO=a+0D+0Ab"),
	SPAN_LIT("HELO=a+00"),
	SPAN_LIT("HELO=caf+E9"),
	SPAN_LIT("HELO=caf\xc3\xa9"), /* not encoded */
	SPAN_LIT("HELO=" A_255 "a"),
	SPAN_LIT("LOGIN=a+09b"),
	SPAN_LIT("PROTO=LMTP"),
	SPAN_LIT("DESTADDR=x"),
	SPAN_LIT("DESTPORT=x"),
	SPAN_LIT("ADDR=192.0.2.10\tPORT=1"),
	SPAN_LIT("ADDR=192.0.2.10\0"),
};

static void
bad_arguments_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(bad_arguments); i++) {
		struct guard guard = guard_copy(bad_arguments[i]);
		struct xclient xclient;
		struct buf store;

		buf_init(&store, 2000);
		if (xclient_parse(guard.octets, &xclient, &store))
			fail_msg("row %zu", i);
		guard_free(&guard);
		buf_fini(&store);
	}
}

static void
a_full_store_is_said(void **state)
{
	struct xclient xclient;
	struct buf store;

	(void)state;
	buf_init(&store, 2);
	assert_false(xclient_parse(SPAN_LIT("HELO=abc"), &xclient, &store));
	buf_fini(&store);
}

/* A client with all that is known of it, and one with nothing. */
static struct xclient
known_client(void)
{
	struct xclient xclient = {
		.given = ALL,
		.port = 4242,
		.name = SPAN_LIT("mx.a.example"),
		.helo = SPAN_LIT("a=b+c"),
		.login = SPAN_LIT("alice@a.example"),
	};

	assert_true(ip_parse(SPAN_LIT("2001:db8::1"), &xclient.ip));
	return xclient;
}

static void
assert_written(const struct xclient *xclient, unsigned offered,
	       const char *want)
{
	struct buf buf;

	buf_init(&buf, 2000);
	assert_int_equal(xclient_format(xclient, offered, &buf), want != NULL);
	assert_true(span_equal(buf_span(&buf), span_cstr(want)));
	buf_fini(&buf);
}

static void
what_is_offered_is_written(void **state)
{
	struct xclient known = known_client();
	struct xclient v4 = known;

	(void)state;
	assert_written(&known, ALL,
		       "XCLIENT ADDR=IPV6:2001:db8::1 PORT=4242 "
		       "NAME=mx.a.example HELO=a+3Db+2Bc "
		       "LOGIN=alice@a.example\r\n");
	assert_written(&known, XCLIENT_ADDR,
		       "XCLIENT ADDR=IPV6:2001:db8::1\r\n");
	assert_written(&known, XCLIENT_NAME | XCLIENT_PORT,
		       "XCLIENT PORT=4242 NAME=mx.a.example\r\n");
	assert_written(&known, XCLIENT_PROTO | XCLIENT_DESTADDR, NULL);
	assert_written(&known, 0, NULL);
	assert_true(ip_parse(SPAN_LIT("192.0.2.10"), &v4.ip));
	v4.given = XCLIENT_ADDR;
	assert_written(&v4, ALL,
		       "XCLIENT ADDR=192.0.2.10 "
		       "NAME=mx.a.example\r\n");
}

/* Without a name Postfix would go on with "localhost". */
static void
a_name_is_always_written(void **state)
{
	struct xclient nobody = { .given = 0 };

	(void)state;
	assert_written(&nobody, ALL, "XCLIENT NAME=[UNAVAILABLE]\r\n");
	nobody.is_name_temporary = true;
	assert_written(&nobody, ALL, "XCLIENT NAME=[TEMPUNAVAIL]\r\n");
	nobody.given = ALL;
	assert_written(&nobody, ALL,
		       "XCLIENT ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] "
		       "NAME=[TEMPUNAVAIL] HELO=[UNAVAILABLE] "
		       "LOGIN=[UNAVAILABLE]\r\n");
}

static void
what_is_too_long_is_not_cut(void **state)
{
	struct xclient xclient = { .given = ALL };
	struct buf buf;

	(void)state;
	xclient.helo = SPAN_LIT(A_255 "a");
	assert_written(&xclient, ALL, NULL);
	xclient = (struct xclient){ .given = XCLIENT_PORT, .port = 25 };
	for (size_t max = 0; max < 50; max++) {
		buf_init(&buf, max);
		assert_int_equal(xclient_format(&xclient, ALL, &buf),
				 max >= strlen("XCLIENT PORT=25 "
					       "NAME=[UNAVAILABLE]\r\n"));
		buf_fini(&buf);
	}
}

static void
what_is_written_is_read_the_same(void **state)
{
	struct xclient known = known_client();
	struct xclient again;
	struct buf line, store;
	struct span argument;

	(void)state;
	buf_init(&line, 2000);
	buf_init(&store, 2000);
	assert_true(xclient_format(&known, ALL, &line));
	argument = span_after(buf_span(&line), strlen("XCLIENT "));
	argument.n -= 2;
	assert_true(xclient_parse(argument, &again, &store));
	check_parsed(&again,
		     "2001:db8::1 4242 mx.a.example a=b+c alice@a.example");
	buf_fini(&line);
	buf_fini(&store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_arguments_are_read),
		cmocka_unit_test(values_survive_a_store_that_moves),
		cmocka_unit_test(bad_arguments_are_refused),
		cmocka_unit_test(a_full_store_is_said),
		cmocka_unit_test(what_is_offered_is_written),
		cmocka_unit_test(a_name_is_always_written),
		cmocka_unit_test(what_is_too_long_is_not_cut),
		cmocka_unit_test(what_is_written_is_read_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
