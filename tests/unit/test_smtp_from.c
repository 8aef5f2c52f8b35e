/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/address.h"

#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

#define SIXTY "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

#define BAD FROM_MALFORMED
#define OK FROM_OK

static const struct {
	struct span body;
	enum from_status status;
	size_t mailboxes;
	const char *domains; /* each with a space behind it */
	const char *first;
} froms[] = {
	/* What nearly all mail has. */
	{ SPAN_LIT("alice@a.example"), OK, 1, "a.example ", "alice@a.example" },
	{ SPAN_LIT(" alice@a.example "), OK, 1, "a.example ",
	  "alice@a.example" },
	{ SPAN_LIT("<alice@a.example>"), OK, 1, "a.example ",
	  "alice@a.example" },
	{ SPAN_LIT(" Alice <alice@a.example>"), OK, 1, "a.example ",
	  "alice@a.example" },
	{ SPAN_LIT(" Alice B Smith <a.b@a.example>"), OK, 1, "a.example ",
	  "a.b@a.example" },
	{ SPAN_LIT(" \"Smith, Alice\" <alice@a.example>"), OK, 1, "a.example ",
	  "alice@a.example" },
	{ SPAN_LIT("Alice<alice@a.example>"), OK, 1, "a.example ",
	  "alice@a.example" },
	{ SPAN_LIT("\"Alice\"<alice@a.example>"), OK, 1, "a.example ",
	  "alice@a.example" },
	{ SPAN_LIT("=?UTF-8?B?w6lyaWM=?= <alice@a.example>"), OK, 1,
	  "a.example ", "alice@a.example" },
	{ SPAN_LIT("=?utf-8?q?=C3=A9ric?= =?utf-8?q?b?= <alice@a.example>"), OK,
	  1, "a.example ", "alice@a.example" },
	{ SPAN_LIT("\xc3\xa9ric <\xc3\xa9ric@b\xc3\xbc"
		   "cher.example>"),
	  OK, 1,
	  "b\xc3\xbc"
	  "cher.example ",
	  "\xc3\xa9ric@b\xc3\xbc"
	  "cher.example" },
	{ SPAN_LIT(" alice@a.example (Alice Smith)"), OK, 1, "a.example ",
	  "alice@a.example" },
	{ SPAN_LIT("(Alice) alice@a.example"), OK, 1, "a.example ",
	  "alice@a.example" },
	{ SPAN_LIT("John Q. Public <john@a.example>"), OK, 1, "a.example ",
	  "john@a.example" },
	{ SPAN_LIT("\r\n Alice\r\n\t<alice@a.example>"), OK, 1, "a.example ",
	  "alice@a.example" },
	{ SPAN_LIT("\"Alice\r\n Smith\" <alice@a.example>"), OK, 1,
	  "a.example ", "alice@a.example" },
	{ SPAN_LIT("< alice@a.example >"), OK, 1, "a.example ",
	  "alice@a.example" },
	{ SPAN_LIT("\"\" <alice@a.example>"), OK, 1, "a.example ",
	  "alice@a.example" },
	{ SPAN_LIT("root@localhost"), OK, 1, "localhost ", "root@localhost" },
	{ SPAN_LIT("alice@my_host.a.example"), OK, 1, "my_host.a.example ",
	  "alice@my_host.a.example" },
	{ SPAN_LIT("alice@a.example."), OK, 1, "a.example. ",
	  "alice@a.example." },
	{ SPAN_LIT("a..b.@a.example"), OK, 1, "a.example ", "a..b.@a.example" },
	{ SPAN_LIT("!#$%&'*+-/=?^_`{|}~@a.example"), OK, 1, "a.example ",
	  "!#$%&'*+-/=?^_`{|}~@a.example" },
	{ SPAN_LIT("\"alice smith\"@a.example"), OK, 1, "a.example ",
	  "\"alice smith\"@a.example" },
	{ SPAN_LIT("<\"a,;:()\\\"b\"@a.example>"), OK, 1, "a.example ",
	  "\"a,;:()\\\"b\"@a.example" },

	/* An address in a quoted display name is text. */
	{ SPAN_LIT("\"bob@b.example\" <alice@a.example>"), OK, 1, "a.example ",
	  "alice@a.example" },
	{ SPAN_LIT("\"Bob <bob@b.example>\" <alice@a.example>"), OK, 1,
	  "a.example ", "alice@a.example" },
	{ SPAN_LIT("\"Bob <bob@b.example>, \\\"\" <alice@a.example>"), OK, 1,
	  "a.example ", "alice@a.example" },
	{ SPAN_LIT("\"a\\\\\" <alice@a.example>"), OK, 1, "a.example ",
	  "alice@a.example" },
	{ SPAN_LIT("\"Bob\" \"<bob@b.example>\" <alice@a.example>"), OK, 1,
	  "a.example ", "alice@a.example" },

	/* An unquoted one is another author: both are given. */
	{ SPAN_LIT("alice@a.example <alice@a.example>"), OK, 1, "a.example ",
	  "alice@a.example" },
	{ SPAN_LIT("bob@b.example <alice@a.example>"), OK, 1,
	  "b.example a.example ", "bob@b.example" },
	{ SPAN_LIT("bob@b.example carl@c.example <alice@a.example>"), BAD, 0,
	  "", "" },
	{ SPAN_LIT("Bob bob@b.example <alice@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("bob@b.example via List <alice@a.example>"), BAD, 0, "",
	  "" },

	/* Several mailboxes: all domains, each once. */
	{ SPAN_LIT("alice@a.example, bob@b.example"), OK, 2,
	  "a.example b.example ", "alice@a.example" },
	{ SPAN_LIT("A <alice@a.example>,B <bob@b.example>"), OK, 2,
	  "a.example b.example ", "alice@a.example" },
	{ SPAN_LIT("a@a.example, b@A.EXAMPLE, c@a.example."), OK, 3,
	  "a.example ", "a@a.example" },
	{ SPAN_LIT("<a@a.example>\r\n ,\r\n <b@b.example>"), OK, 2,
	  "a.example b.example ", "a@a.example" },
	{ SPAN_LIT(",, a@a.example ,,b@b.example,"), OK, 2,
	  "a.example b.example ", "a@a.example" },
	{ SPAN_LIT("a@1,a@2,a@3,a@4,a@5,a@6,a@7,a@8"), OK, 8,
	  "1 2 3 4 5 6 7 8 ", "a@1" },
	{ SPAN_LIT("a@1,a@2,a@3,a@4,a@5,a@6,a@7,a@8,a@1"), OK, 9,
	  "1 2 3 4 5 6 7 8 ", "a@1" },
	{ SPAN_LIT("a@1,a@2,a@3,a@4,a@5,a@6,a@7,a@8,a@9"), FROM_TOO_MANY, 9,
	  "1 2 3 4 5 6 7 8 ", "a@1" },
	{ SPAN_LIT("a@1,a@2,a@3,a@4,a@5,a@6,a@7,a@8,a@9,x"), BAD, 0, "", "" },
	{ SPAN_LIT("<a@a.example> <b@b.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("<a@a.example>b@b.example"), BAD, 0, "", "" },
	{ SPAN_LIT("<a@a.example>;<b@b.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a.example b@b.example"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a.example; b@b.example"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a.example;"), BAD, 0, "", "" },
	{ SPAN_LIT("Smith, Alice <alice@a.example>"), BAD, 0, "", "" },

	/* Groups. RFC 6854. */
	{ SPAN_LIT("Undisclosed:;"), FROM_EMPTY, 0, "", "" },
	{ SPAN_LIT("\"No body\" : (none) ; (x)"), FROM_EMPTY, 0, "", "" },
	{ SPAN_LIT("A:;, B:;"), FROM_EMPTY, 0, "", "" },
	{ SPAN_LIT("A:,,;"), FROM_EMPTY, 0, "", "" },
	{ SPAN_LIT("Team: a@a.example, B <b@b.example>;"), OK, 2,
	  "a.example b.example ", "a@a.example" },
	{ SPAN_LIT("Team: a@a.example;, b@b.example"), OK, 2,
	  "a.example b.example ", "a@a.example" },
	{ SPAN_LIT("a@a.example, Team: b@b.example;"), OK, 2,
	  "a.example b.example ", "a@a.example" },
	{ SPAN_LIT("Team: a@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("Team: a@a.example; b@b.example"), BAD, 0, "", "" },
	{ SPAN_LIT("Team: Inner: a@a.example;;"), BAD, 0, "", "" },
	{ SPAN_LIT("Team: Inner:;"), BAD, 0, "", "" },
	{ SPAN_LIT("Team: a@a.example;;"), BAD, 0, "", "" },
	{ SPAN_LIT("Team:; b@b.example"), BAD, 0, "", "" },
	{ SPAN_LIT(": a@a.example;"), BAD, 0, "", "" },
	{ SPAN_LIT("b@b.example: a@a.example;"), BAD, 0, "", "" },
	{ SPAN_LIT("Re: hello <a@a.example>"), BAD, 0, "", "" },

	/* Comments. */
	{ SPAN_LIT("Pete(A nice \\) chap) <pete@silly.test> (his host)"), OK, 1,
	  "silly.test ", "pete@silly.test" },
	{ SPAN_LIT("<pete(his account)@silly.test>"), BAD, 0, "", "" },
	{ SPAN_LIT("<pete@silly.test(his host)>"), BAD, 0, "", "" },
	{ SPAN_LIT("pete (his account) @silly.test"), BAD, 0, "", "" },
	{ SPAN_LIT("pete@(his host)silly.test"), BAD, 0, "", "" },
	{ SPAN_LIT("((((((((((((((((16))))))))))))))))a@a.example"), OK, 1,
	  "a.example ", "a@a.example" },
	{ SPAN_LIT("(((((((((((((((((17)))))))))))))))))a@a.example"), BAD, 0,
	  "", "" },
	{ SPAN_LIT("(bob@b.example) a@a.example (carl@c.example)"), OK, 1,
	  "a.example ", "a@a.example" },
	{ SPAN_LIT("(\\(\")a@a.example"), OK, 1, "a.example ", "a@a.example" },
	{ SPAN_LIT("a@a.example(\r\n folded)"), OK, 1, "a.example ",
	  "a@a.example" },
	{ SPAN_LIT("(<bob@b.example>) a@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a.example (<bob@b.example>)"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a.example (\\<bob@b.example)"), BAD, 0, "", "" },
	{ SPAN_LIT("a(@b.example)@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("<a(@b.example)@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("<a@(bob@b.example)a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("<a@a.example(,b@b.example)>"), BAD, 0, "", "" },
	{ SPAN_LIT("<(b@b.example)a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a.example (open"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a.example (open\\)"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a.example )"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a.example (\\"), BAD, 0, "", "" },
	{ SPAN_LIT("(only a comment)"), BAD, 0, "", "" },

	/* '@' in quotes or comments, with a fold or a group. */
	{ SPAN_LIT("\"bob@b.example\r\n \" <a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("\"Bob\r\n bob@b.example\" <a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("\"bob@b.example\" \"\r\n \" <a@a.example>"), BAD, 0, "",
	  "" },
	{ SPAN_LIT("(\r\n bob@b.example) a@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("\"bob@b.example\"\r\n <a@a.example>"), OK, 1, "a.example ",
	  "a@a.example" },
	{ SPAN_LIT("\"bob@b.example\" Team: a@a.example;"), BAD, 0, "", "" },
	{ SPAN_LIT("Team: a@a.example; (bob@b.example)"), BAD, 0, "", "" },
	{ SPAN_LIT("Team: \"bob@b.example\" <a@a.example>;"), BAD, 0, "", "" },

	/* White space and comments inside names. */
	{ SPAN_LIT("a @ a.example"), OK, 1, "a.example ", "a @ a.example" },
	{ SPAN_LIT("a@a. example"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a .example"), BAD, 0, "", "" },
	{ SPAN_LIT("<a@a .example>"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a(x).example"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a.(x)example"), BAD, 0, "", "" },
	{ SPAN_LIT("<a@a\r\n .example>"), BAD, 0, "", "" },
	{ SPAN_LIT("a b@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("a. b@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("<a b@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("\"a\"b@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("\"a\".b@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("a\"b\"@a.example"), BAD, 0, "", "" },

	/* An address inside the addr-spec. */
	{ SPAN_LIT("\"bob@b.example\"@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("<\"bob@b.example>\"@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("\"<bob\"@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("\"bob>\"@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("bob@b.example@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("<bob@b.example@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("<bob@b.example,a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("<<bob@b.example>@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("bob@b.example\\,a@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("bob@b.example'a@a.example"), BAD, 0, "", "" },

	/* Encoded words are names, never addresses. RFC 2047 5. */
	{ SPAN_LIT("=?utf-8?b?Ym9iQGIuZXhhbXBsZQ==?=@a.example"), BAD, 0, "",
	  "" },
	{ SPAN_LIT("<=?utf-8?b?Ym9iQGIuZXhhbXBsZT4=?=@a.example>"), BAD, 0, "",
	  "" },
	{ SPAN_LIT("\"=?utf-8?q?bob?=\"@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("=?utf-8?b?Ym9iQGIuZXhhbXBsZQ==?=, a@a.example"), BAD, 0, "",
	  "" },
	{ SPAN_LIT("=?utf-8?b?PGJvYkBiLmV4YW1wbGU+?="), BAD, 0, "", "" },
	{ SPAN_LIT("=?utf-8?q?bob@b.example?= <a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("a=?b@a.example"), OK, 1, "a.example ", "a=?b@a.example" },
	{ SPAN_LIT("a@=?utf-8?q?a.example?="), BAD, 0, "", "" },

	/* Routes: their domains are shown by some. RFC 5322 4.4. */
	{ SPAN_LIT("<@r.example:a@a.example>"), OK, 1, "r.example a.example ",
	  "a@a.example" },
	{ SPAN_LIT("A <@r.example,@s.example : a@a.example>"), OK, 1,
	  "r.example s.example a.example ", "a@a.example" },
	{ SPAN_LIT("<@r.example a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("<@r.example,:a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("<@r.example:>"), BAD, 0, "", "" },
	{ SPAN_LIT("<@r.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("@r.example:a@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("<r.example:a@a.example>"), BAD, 0, "", "" },

	/* Nothing, or no domain. */
	{ SPAN_LIT(""), BAD, 0, "", "" },
	{ SPAN_LIT("  \r\n\t(x)"), BAD, 0, "", "" },
	{ SPAN_LIT(","), BAD, 0, "", "" },
	{ SPAN_LIT("<>"), BAD, 0, "", "" },
	{ SPAN_LIT("Alice <>"), BAD, 0, "", "" },
	{ SPAN_LIT("Alice"), BAD, 0, "", "" },
	{ SPAN_LIT("Alice <alice>"), BAD, 0, "", "" },
	{ SPAN_LIT("Alice <alice@>"), BAD, 0, "", "" },
	{ SPAN_LIT("alice@"), BAD, 0, "", "" },
	{ SPAN_LIT("@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("<@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("<alice@a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("alice@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("\"Alice <alice@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("\"Alice\\\" <alice@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("\"Alice\\"), BAD, 0, "", "" },
	{ SPAN_LIT("[x] Alice <alice@a.example>"), BAD, 0, "", "" },

	/* Domains that are none. */
	{ SPAN_LIT("alice@[192.0.2.1]"), BAD, 0, "", "" },
	{ SPAN_LIT("<alice@[IPv6:2001:db8::1]>"), BAD, 0, "", "" },
	{ SPAN_LIT("alice@a..example"), BAD, 0, "", "" },
	{ SPAN_LIT("alice@a.example.."), BAD, 0, "", "" },
	{ SPAN_LIT("alice@.a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("alice@."), BAD, 0, "", "" },
	{ SPAN_LIT("alice@-a.example"), BAD, 0, "", "" },
	{ SPAN_LIT("alice@a!.example"), BAD, 0, "", "" },
	{ SPAN_LIT("alice@\"a.example\""), BAD, 0, "", "" },
	{ SPAN_LIT("alice@" SIXTY "aaaa.example"), BAD, 0, "", "" },

	/* Octets that no field has. */
	{ SPAN_LIT("a@a.example\0"), BAD, 0, "", "" },
	{ SPAN_LIT("\"\0\" <a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("<a@a.example\0>@b.example"), BAD, 0, "", "" },
	{ SPAN_LIT("\"a\rb\" <a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("\"a\nb\" <a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a.example\n b@b.example"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a.example\r\n"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a.example\r\nb"), BAD, 0, "", "" },
	{ SPAN_LIT("Alice\r\nB <a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a.example\r"), BAD, 0, "", "" },
	{ SPAN_LIT("a@a.example\r\n "), BAD, 0, "", "" },
	{ SPAN_LIT("A\r\n \r\n <a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("\"A\\\r\n \" <a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("\"\x01\" <a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("\"\x7f\" <a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("\"\xc2\x85\" <a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("\"caf\xe9\" <a@a.example>"), BAD, 0, "", "" },
	{ SPAN_LIT("a@caf\xe9.example"), BAD, 0, "", "" },
};

static void
check_from(size_t row)
{
	struct guard guard = guard_copy(froms[row].body);
	char domains_got[300] = "";
	struct from from;
	enum from_status status = from_parse(guard.octets, &from);
	size_t n = 0;

	if (status != froms[row].status)
		fail_msg("%.*s: %d", (int)froms[row].body.n,
			 (const char *)froms[row].body.p, (int)status);
	if (status != FROM_MALFORMED) {
		for (size_t i = 0; i < from.domains; i++) {
			memcpy(domains_got + n, from.domain[i].p,
			       from.domain[i].n);
			n += from.domain[i].n;
			domains_got[n++] = ' ';
		}
		domains_got[n] = '\0';
		assert_string_equal(domains_got, froms[row].domains);
		assert_int_equal(from.mailboxes, froms[row].mailboxes);
		assert_true(
			span_equal(from.first, span_cstr(froms[row].first)));
	}
	guard_free(&guard);
}

static void
from_gives_all_domains_or_is_malformed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(froms); i++)
		check_from(i);
}

/* A quoted display name, on one line of n octets with "From:", or on two. */
static enum from_status
from_of_line(size_t n, bool is_folded)
{
	char text[3000];
	const char *tail = "\" <a@a.example>";
	size_t at = n - sizeof("From:") + 1 - strlen(tail);
	struct from from;

	memset(text, 'x', sizeof(text));
	text[0] = '"';
	if (is_folded)
		memcpy(text + 500, "\r\n ", 3);
	memcpy(text + at, tail, strlen(tail));
	return from_parse(span_make(text, at + strlen(tail)), &from);
}

static void
from_has_no_line_over_998_octets(void **state)
{
	(void)state;
	assert_int_equal(from_of_line(998, false), FROM_OK);
	assert_int_equal(from_of_line(999, false), FROM_MALFORMED);
	assert_int_equal(from_of_line(999, true), FROM_OK);
	/* 505 octets and CR LF on the first, the rest on the second. */
	assert_int_equal(from_of_line(505 + 2 + 998, true), FROM_OK);
	assert_int_equal(from_of_line(505 + 2 + 999, true), FROM_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_gives_all_domains_or_is_malformed),
		cmocka_unit_test(from_has_no_line_over_998_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
