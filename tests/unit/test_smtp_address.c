/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/address.h"

#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

#define TEN "aaaaaaaaaa"
#define SIXTY TEN TEN TEN TEN TEN TEN

/* --- UTF-8 ---------------------------------------------------------------- */

static const struct {
	struct span text;
	bool is_utf8;
	bool is_text;
} texts[] = {
	{ SPAN_LIT(""), true, true },
	{ SPAN_LIT("plain"), true, true },
	{ SPAN_LIT("a\tb"), true, true },
	{ SPAN_LIT("\xc3\xa9"), true, true },
	{ SPAN_LIT("\xe2\x82\xac x"), true, true },
	{ SPAN_LIT("\xf0\x9f\x98\x80"), true, true },
	{ SPAN_LIT("\xf4\x8f\xbf\xbf"), true, true }, /* U+10FFFF */
	{ SPAN_LIT("\xed\x9f\xbf"), true, true },     /* U+D7FF */
	{ SPAN_LIT("\xc2\xa0"), true, true },         /* U+00A0 */
	{ SPAN_LIT("a\0b"), true, false },
	{ SPAN_LIT("a\nb"), true, false },
	{ SPAN_LIT("a\x1f"), true, false },
	{ SPAN_LIT("a\x7f"), true, false },
	{ SPAN_LIT("\xc2\x80"), true, false }, /* C1 */
	{ SPAN_LIT("\xc2\x85"), true, false }, /* C1: NEL */
	{ SPAN_LIT("\xc2\x9f"), true, false }, /* C1 */
	{ SPAN_LIT("\x80"), false, false },
	{ SPAN_LIT("\xbf"), false, false },
	{ SPAN_LIT("\xc0\xaf"), false, false }, /* overlong */
	{ SPAN_LIT("\xc1\xbf"), false, false },
	{ SPAN_LIT("\xe0\x9f\xbf"), false, false },
	{ SPAN_LIT("\xf0\x8f\xbf\xbf"), false, false },
	{ SPAN_LIT("\xed\xa0\x80"), false, false },     /* surrogate */
	{ SPAN_LIT("\xf4\x90\x80\x80"), false, false }, /* over U+10FFFF */
	{ SPAN_LIT("\xf5\x80\x80\x80"), false, false },
	{ SPAN_LIT("\xff"), false, false },
	{ SPAN_LIT("\xc3"), false, false }, /* cut short */
	{ SPAN_LIT("\xe2\x82"), false, false },
	{ SPAN_LIT("\xf0\x9f\x98"), false, false },
	{ SPAN_LIT("\xe2\x82\x41"), false, false },
	{ SPAN_LIT("\xf0\x9f\x98\x41"), false, false },
	{ SPAN_LIT("\xc3\x41"), false, false },
	{ SPAN_LIT("caf\xe9"), false, false }, /* Latin-1 */
};

static void
utf8_is_that_of_rfc_3629(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(texts); i++) {
		struct guard guard = guard_copy(texts[i].text);

		assert_int_equal(address_is_utf8(guard.octets),
				 texts[i].is_utf8);
		assert_int_equal(address_is_text(guard.octets),
				 texts[i].is_text);
		guard_free(&guard);
	}
}

/* --- domains and literals ---------------------------------------------------
 */

static const struct {
	const char *text;
	bool is_domain;
} domains[] = {
	{ "example", true },
	{ "mail.example.com", true },
	{ "xn--bcher-kva.example", true },
	{ "b\xc3\xbc"
	  "cher.example",
	  true },
	{ "a-b.example", true },
	{ "_dmarc.example", true },
	{ "my_host.example", true },
	{ "192.0.2.1", true }, /* by the grammar: digits are labels */
	{ SIXTY "aaa.example", true },
	{ "", false },
	{ ".", false },
	{ "example.", false },
	{ ".example", false },
	{ "a..example", false },
	{ "-a.example", false },
	{ "a-.example", false },
	{ SIXTY "aaaa.example", false },
	{ "a b.example", false },
	{ "a@b.example", false },
	{ "a,b.example", false },
	{ "[192.0.2.1]", false },
	{ "a/b.example", false },
	{ "a\tb.example", false },
	{ "a\x7f.example", false },
	{ "caf\xe9.example", false },
	{ "a\xc2\x85.example", false },
};

static void
domains_are_host_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(domains); i++) {
		struct guard guard = guard_copy(span_cstr(domains[i].text));

		assert_int_equal(address_is_domain(guard.octets),
				 domains[i].is_domain);
		guard_free(&guard);
	}
}

static void
a_domain_has_at_most_255_octets(void **state)
{
	char text[300];
	size_t n;

	(void)state;
	for (n = 0; n < sizeof(text); n++)
		text[n] = n % 50 == 49 ? '.' : 'a';
	assert_true(address_is_domain(span_make(text, 255)));
	assert_false(address_is_domain(span_make(text, 256)));
}

static const struct {
	const char *text;
	const char *ip; /* NULL: none */
} literals[] = {
	{ "[192.0.2.1]", "192.0.2.1" },
	{ "[IPv6:2001:db8::1]", "2001:db8::1" },
	{ "[ipv6:2001:DB8::1]", "2001:db8::1" },
	{ "[IPv6:::ffff:192.0.2.1]", "192.0.2.1" },
	{ "[IPv6:::]", "::" },
	{ "192.0.2.1", NULL },
	{ "[192.0.2.1", NULL },
	{ "192.0.2.1]", NULL },
	{ "[]", NULL },
	{ "[", NULL },
	{ "", NULL },
	{ "[ 192.0.2.1]", NULL },
	{ "[192.0.2.1 ]", NULL },
	{ "[192.0.2.256]", NULL },
	{ "[2001:db8::1]", NULL },    /* no tag */
	{ "[IPv6:192.0.2.1]", NULL }, /* the wrong tag */
	{ "[IPv6:]", NULL },
	{ "[X-tag:1]", NULL },
	{ "[example.com]", NULL },
	{ "[[192.0.2.1]]", NULL },
};

static void
literals_hold_an_address_of_their_tag(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(literals); i++) {
		struct guard guard = guard_copy(span_cstr(literals[i].text));
		char text[IP_TEXT_MAX];
		struct ip ip;
		bool is_good = address_literal_parse(guard.octets, &ip);

		assert_int_equal(is_good, literals[i].ip != NULL);
		if (is_good) {
			ip_format(&ip, text);
			assert_string_equal(text, literals[i].ip);
		}
		guard_free(&guard);
	}
}

/* --- paths ------------------------------------------------------------------
 */

static const struct {
	const char *text;
	const char *local; /* "" and no domain: the null path */
	const char *domain;
	const char *formatted; /* NULL: as text */
} paths[] = {
	{ "<>", "", "", NULL },
	{ "<alice@sender.example>", "alice", "sender.example", NULL },
	{ "<Alice@Sender.EXAMPLE>", "Alice", "Sender.EXAMPLE", NULL },
	{ "<a.b-c_d+e=f/g@sender.example>", "a.b-c_d+e=f/g", "sender.example",
	  NULL },
	{ "<!#$%&'*+-/=?^_`{|}~@x>", "!#$%&'*+-/=?^_`{|}~", "x", NULL },
	{ "<a..b@x>", "a..b", "x", NULL },
	{ "<a.@x>", "a.", "x", NULL },
	{ "<\"alice smith\"@x>", "\"alice smith\"", "x", NULL },
	{ "<\"a@b\"@x>", "\"a@b\"", "x", NULL },
	{ "<\"a>b\"@x>", "\"a>b\"", "x", NULL },
	{ "<\"a\\\"b\"@x>", "\"a\\\"b\"", "x", NULL },
	{ "<\"a\\\\\"@x>", "\"a\\\\\"", "x", NULL },
	{ "<\"\"@x>", "\"\"", "x", NULL },
	{ "<\"a\xc3\xa9\"@x>", "\"a\xc3\xa9\"", "x", NULL },
	{ "<alice@[192.0.2.1]>", "alice", "[192.0.2.1]", NULL },
	{ "<alice@[IPv6:2001:db8::1]>", "alice", "[IPv6:2001:db8::1]", NULL },
	{ "<Postmaster>", "Postmaster", "", NULL },
	{ "<postMASTER>", "postMASTER", "", NULL },
	{ "<postmaster@x>", "postmaster", "x", NULL },
	{ "<\xc3\xa9ric@b\xc3\xbc"
	  "cher.example>",
	  "\xc3\xa9ric",
	  "b\xc3\xbc"
	  "cher.example",
	  NULL },
	{ "<@relay.example:alice@x>", "alice", "x", "<alice@x>" },
	{ "<@a.example,@b.example:alice@x>", "alice", "x", "<alice@x>" },
};

static bool
has_eight_bit(const char *text)
{
	for (; *text != '\0'; text++)
		if ((*text & 0x80) != 0)
			return true;
	return false;
}

/* The path is read from text and " rest" behind it, which must be left. */
static void
check_path(size_t row)
{
	char line[400];
	struct guard guard;
	struct span in;
	struct path path;

	snprintf(line, sizeof(line), "%s rest", paths[row].text);
	guard = guard_copy(span_cstr(line));
	in = guard.octets;
	assert_true(path_parse(&in, &path));
	assert_true(span_equal(in, SPAN_LIT(" rest")));
	assert_true(span_equal(path.local, span_cstr(paths[row].local)));
	assert_true(span_equal(path.domain, span_cstr(paths[row].domain)));
	assert_int_equal(path.is_null, paths[row].local[0] == '\0');
	assert_int_equal(path.is_literal, paths[row].domain[0] == '[');
	assert_int_equal(path.is_utf8, has_eight_bit(paths[row].text));
	guard_free(&guard);
}

static void
good_paths_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(paths); i++)
		check_path(i);
}

static void
paths_are_written_as_they_will_be_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(paths); i++) {
		const char *want = paths[i].formatted != NULL
					   ? paths[i].formatted
					   : paths[i].text;
		struct span in = span_cstr(paths[i].text);
		struct path path;
		struct buf buf;

		buf_init(&buf, ADDRESS_PATH_MAX);
		assert_true(path_parse(&in, &path));
		assert_true(path_format(&path, &buf));
		assert_true(span_equal(buf_span(&buf), span_cstr(want)));
		buf_fini(&buf);
	}
}

static void
a_path_cut_short_is_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(paths); i++) {
		struct span whole = span_cstr(paths[i].text);

		for (size_t n = 0; n < whole.n; n++) {
			struct guard guard = guard_copy(span_first(whole, n));
			struct span in = guard.octets;
			struct path path;

			assert_false(path_parse(&in, &path));
			assert_ptr_equal(in.p, guard.octets.p);
			assert_int_equal(in.n, n);
			guard_free(&guard);
		}
	}
}

static const struct span no_paths[] = {
	SPAN_LIT("alice@x"),
	SPAN_LIT(" <alice@x>"),
	SPAN_LIT("< alice@x>"),
	SPAN_LIT("<alice@x >"),
	SPAN_LIT("< >"),
	SPAN_LIT("<<alice@x>>"),
	SPAN_LIT("<alice>"),
	SPAN_LIT("<\"postmaster\">"),
	SPAN_LIT("<alice@>"),
	SPAN_LIT("<@x>"),
	SPAN_LIT("<@>"),
	SPAN_LIT("<alice@x@y>"),
	SPAN_LIT("<alice@x.>"),
	SPAN_LIT("<alice@.x>"),
	SPAN_LIT("<alice@-x>"),
	SPAN_LIT("<alice@x y>"),
	SPAN_LIT("<ali ce@x>"),
	SPAN_LIT("<alice@x(comment)>"),
	SPAN_LIT("<(comment)alice@x>"),
	SPAN_LIT("<a,b@x>"),
	SPAN_LIT("<a;b@x>"),
	SPAN_LIT("<a\\b@x>"),
	SPAN_LIT("<\"a\"b@x>"),
	SPAN_LIT("<a\"b\"@x>"),
	SPAN_LIT("<\"a\".b@x>"),
	SPAN_LIT("<\"a@x>"),
	SPAN_LIT("<\"a\\\"@x>"),
	SPAN_LIT("<\"a\tb\"@x>"),
	SPAN_LIT("<\"a\\\tb\"@x>"),
	SPAN_LIT("<\"a\0b\"@x>"),
	SPAN_LIT("<\"a\rb\"@x>"),
	SPAN_LIT("<\"a\\\rb\"@x>"),
	SPAN_LIT("<\"a\nb\"@x>"),
	SPAN_LIT("<\"a\x7f\"@x>"),
	SPAN_LIT("<\"\\\xc3\xa9\"@x>"),
	SPAN_LIT("<a\0b@x>"),
	SPAN_LIT("<a\r\nb@x>"),
	SPAN_LIT("<a@x\0>"),
	SPAN_LIT("<a\xe9@x>"),
	SPAN_LIT("<a\xc2\x85@x>"),
	SPAN_LIT("<a@caf\xe9.example>"),
	SPAN_LIT("<a@[192.0.2.1>"),
	SPAN_LIT("<a@[192.0.2.1]x>"),
	SPAN_LIT("<a@[300.0.2.1]>"),
	SPAN_LIT("<a@[2001:db8::1]>"),
	SPAN_LIT("<a@[tag:content]>"),
	SPAN_LIT("<@relay:>"),
	SPAN_LIT("<@relay>"),
	SPAN_LIT("<@relay,b@x>"),
	SPAN_LIT("<@relay,:b@x>"),
	SPAN_LIT("<@relay;@other:b@x>"),
	SPAN_LIT("<@[192.0.2.1]:b@x>"),
	SPAN_LIT("<relay:b@x>"),
};

static void
bad_paths_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(no_paths); i++) {
		struct guard guard = guard_copy(no_paths[i]);
		struct span in = guard.octets;
		struct path path;

		if (path_parse(&in, &path))
			fail_msg("row %zu: %.*s", i, (int)no_paths[i].n,
				 (const char *)no_paths[i].p);
		assert_ptr_equal(in.p, guard.octets.p);
		guard_free(&guard);
	}
}

/* "<aaa…@aaa…>" with so many octets in the local part and in the domain. */
static bool
path_of(size_t local, size_t domain)
{
	char text[800] = "<";
	size_t n = 1;
	struct span in;
	struct path path;

	while (local-- > 0)
		text[n++] = 'a';
	text[n++] = '@';
	for (size_t i = 0; i < domain; i++)
		text[n++] = i % 50 == 49 && i + 1 < domain ? '.' : 'a';
	text[n++] = '>';
	in = span_make(text, n);
	return path_parse(&in, &path);
}

static void
paths_have_limits(void **state)
{
	(void)state;
	assert_true(path_of(ADDRESS_LOCAL_MAX, 100));
	assert_false(path_of(ADDRESS_LOCAL_MAX + 1, 100));
	assert_true(path_of(ADDRESS_LOCAL_MAX,
			    ADDRESS_PATH_MAX - ADDRESS_LOCAL_MAX - 3));
	assert_false(path_of(ADDRESS_LOCAL_MAX,
			     ADDRESS_PATH_MAX - ADDRESS_LOCAL_MAX - 2));
}

static void
a_path_that_does_not_fit_is_said(void **state)
{
	struct span in = SPAN_LIT("<alice@x>");
	struct path path;
	struct buf buf;

	(void)state;
	assert_true(path_parse(&in, &path));
	for (size_t max = 0; max < 12; max++) {
		buf_init(&buf, max);
		assert_int_equal(path_format(&path, &buf), max >= 9);
		buf_fini(&buf);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_is_that_of_rfc_3629),
		cmocka_unit_test(domains_are_host_names),
		cmocka_unit_test(a_domain_has_at_most_255_octets),
		cmocka_unit_test(literals_hold_an_address_of_their_tag),
		cmocka_unit_test(good_paths_are_read),
		cmocka_unit_test(paths_are_written_as_they_will_be_read),
		cmocka_unit_test(a_path_cut_short_is_none),
		cmocka_unit_test(bad_paths_are_refused),
		cmocka_unit_test(paths_have_limits),
		cmocka_unit_test(a_path_that_does_not_fit_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
