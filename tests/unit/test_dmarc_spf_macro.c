/* SPDX-License-Identifier: BSD-2-Clause */
/* Macro-strings of RFC 7208 7: the examples of its section 7.4, and what they
 * leave open. */
#include "dmarc/domain.h"
#include "dmarc/spf_macro.h"
#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

static struct spf_macros
macros_of(const char *client)
{
	struct spf_macros macros = {
		.local = SPAN_LIT("strong-bad"),
		.sender = SPAN_LIT("email.example.com"),
		.domain = SPAN_LIT("email.example.com"),
		.helo = SPAN_LIT("helo.example.org"),
		.validated = SPAN_LIT("mx.example.org"),
		.gate = SPAN_LIT("mx.gate.example"),
		.now_s = 1700000000,
	};

	assert_true(ip_parse(span_cstr(client), &macros.client));
	return macros;
}

static void
assert_expands(const struct spf_macros *macros, const char *text,
	       bool is_explanation, const char *expected)
{
	struct buf out;

	buf_init(&out, SPF_EXPANSION_MAX);
	if (!spf_expand(macros, span_cstr(text), is_explanation, &out) ||
	    !span_equal(buf_span(&out), span_cstr(expected)))
		fail_msg("%s: \"%.*s\", not \"%s\"", text, (int)out.n,
			 buf_span(&out).p, expected);
	buf_fini(&out);
}

static void
t1_examples_of_rfc_7208_7_4(void **state)
{
	static const char *const cases[][2] = {
		{ "%{s}", "strong-bad@email.example.com" },
		{ "%{o}", "email.example.com" },
		{ "%{d}", "email.example.com" },
		{ "%{d4}", "email.example.com" },
		{ "%{d3}", "email.example.com" },
		{ "%{d2}", "example.com" },
		{ "%{d1}", "com" },
		{ "%{dr}", "com.example.email" },
		{ "%{d2r}", "example.email" },
		{ "%{l}", "strong-bad" },
		{ "%{l-}", "strong.bad" },
		{ "%{lr}", "strong-bad" },
		{ "%{lr-}", "bad.strong" },
		{ "%{l1r-}", "strong" },
		{ "%{ir}.%{v}._spf.%{d2}",
		  "3.2.0.192.in-addr._spf.example.com" },
		{ "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com" },
		{ "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
		  "bad.strong.lp.3.2.0.192.in-addr._spf.example.com" },
		{ "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}",
		  "3.2.0.192.in-addr.strong.lp._spf.example.com" },
		{ "%{d2}.trusted-domains.example.net",
		  "example.com.trusted-domains.example.net" },
	};
	struct spf_macros v4 = macros_of("192.0.2.3");
	struct spf_macros v6 = macros_of("2001:db8::cb01");

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++)
		assert_expands(&v4, cases[i][0], false, cases[i][1]);
	assert_expands(&v6, "%{ir}.%{v}._spf.%{d2}", false,
		       "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
		       "8.B.D.0.1.0.0.2.ip6._spf.example.com");
}

static void
t2_letters_transformers_and_escapes(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "%%%_%-", "% %20" },
		{ "%{h}/%{p}/%{v}", "helo.example.org/mx.example.org/in-addr" },
		/* upper case: as in a URL */
		{ "%{S}", "strong-bad%40email.example.com" },
		{ "%{Lr-}%{D2R}", "bad.strongexample.email" },
		{ "%{I}", "192.0.2.3" },
		/* more parts than there are, more than a number holds */
		{ "%{d200}", "email.example.com" },
		{ "%{d99999999999999999999999r}", "com.example.email" },
		{ "%{d01}", "com" },
		/* every delimiter splits, and dots join */
		{ "%{s-}", "strong.bad@email.example.com" },
		{ "%{s.-}", "strong.bad@email.example.com" },
		{ "%{s1.-}", "com" },
		{ "%{s1r.-}", "strong" },
		{ "%{p+}", "mx.example.org" },
	};
	struct spf_macros macros = macros_of("192.0.2.3");

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++)
		assert_expands(&macros, cases[i][0], false, cases[i][1]);
	macros.local = SPAN_LIT("a--b+c~d e=");
	assert_expands(&macros, "%{l-}", false, "a..b+c~d e=");
	assert_expands(&macros, "%{lr-+}", false, "c~d e=.b..a");
	assert_expands(&macros, "%{l1=}", false, "");
	assert_expands(&macros, "%{L}", false, "a--b%2Bc~d%20e%3D");
}

static void
t3_letters_of_explanations(void **state)
{
	struct spf_macros v4 = macros_of("192.0.2.3");
	struct spf_macros v6 = macros_of("2001:db8::cb01");

	(void)state;
	assert_expands(&v4, "%{c} is not for %{d}, says %{R1} at %{t}.", true,
		       "192.0.2.3 is not for email.example.com, says example "
		       "at 1700000000.");
	assert_expands(&v6, "%{c} %{C}", true,
		       "2001:db8::cb01 2001%3Adb8%3A%3Acb01");
}

static const char *const unsound[] = {
	"%",      "a%",      "%a",     "%{",    "%{}",    "%{d",  "%{dr",
	"%{d2",   "%{d0}",   "%{d00}", "%{rd}", "%{drr}", "%{d-", "%{d2x}",
	"%{d r}", "%{z}",    "%{%d}",  "%(d)",  "a b",    "\x7f", "m\xc3\xbc",
	"%{d.|}", "%{d}%{l", "%{c}",   "%{r}",  "%{t}",   "%{T}", "tab\t",
};

static void
t4_what_is_no_macro_string(void **state)
{
	struct spf_macros macros = macros_of("192.0.2.3");
	struct buf out;

	(void)state;
	buf_init(&out, SPF_EXPANSION_MAX);
	for (size_t i = 0; i < CASES(unsound); i++)
		if (spf_expand(&macros, span_cstr(unsound[i]), false, &out))
			fail_msg("%s", unsound[i]);
	assert_false(spf_expand(&macros, SPAN_LIT("m\xc3\xbc"), true, &out));
	assert_false(spf_expand(&macros, SPAN_LIT("two\nlines"), true, &out));
	buf_fini(&out);
}

/* Every beginning of every text above, flush against an unmapped page. */
static void
t5_no_octet_behind_the_text_is_read(void **state)
{
	struct spf_macros macros = macros_of("192.0.2.3");
	struct buf out;

	(void)state;
	buf_init(&out, SPF_EXPANSION_MAX);
	for (size_t i = 0; i < CASES(unsound); i++) {
		struct span text = span_cstr(unsound[i]);

		for (size_t n = 1; n <= text.n; n++) {
			struct guard guard = guard_copy(span_first(text, n));

			spf_expand(&macros, guard.octets, true, &out);
			spf_has_macro(guard.octets, SPAN_LIT("p"));
			guard_free(&guard);
		}
	}
	buf_fini(&out);
}

#define CUT SPAN_LIT("%{l4}%{l4}%{l4}%{l4}%{l4}%{l4}%{l4}%{l4}%{l4}")

static void
t6_an_expansion_is_bounded(void **state)
{
	struct spf_macros macros = macros_of("192.0.2.3");
	char text[65536];
	struct buf out;
	size_t n = 0;

	(void)state;
	while (n + 4 < sizeof(text))
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%%{S}");
	buf_init(&out, SPF_EXPANSION_MAX);
	assert_false(spf_expand(&macros, span_make(text, n), false, &out));
	assert_true(out.cap <= SPF_EXPANSION_MAX);
	/* nor is a value ever cut */
	buf_reset(&out);
	macros.local = span_make(text, 700);
	assert_true(spf_expand(&macros, SPAN_LIT("%{l}"), false, &out));
	assert_false(spf_expand(&macros, SPAN_LIT("%{lr}"), false, &out));
	/* and what is cut off cost its time as well */
	macros.local = span_make(text, 512);
	memset(text, '.', 512);
	buf_reset(&out);
	assert_true(spf_expand(&macros, span_first(CUT, 8 * 5), false, &out));
	assert_int_equal(out.n, 8 * 3);
	assert_false(spf_expand(&macros, CUT, false, &out));
	buf_fini(&out);
}

static void
t7_macros_that_are_used(void **state)
{
	(void)state;
	assert_true(spf_has_macro(SPAN_LIT("a.%{P1r}.%{d}"), SPAN_LIT("p")));
	assert_true(spf_has_macro(SPAN_LIT("%{l}.x"), SPAN_LIT("sl")));
	assert_false(spf_has_macro(SPAN_LIT("%%{p}.%{d}"), SPAN_LIT("p")));
	assert_false(spf_has_macro(SPAN_LIT("p.%{o}.example"), SPAN_LIT("p")));
}

#define L10 "abcdefghi."
#define L50 L10 L10 L10 L10 L10
#define L250 L50 L50 L50 L50 L50
#define LABEL63 \
	"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

static void
t8_names_for_dns(void **state)
{
	static const char *const cases[][2] = {
		{ "Example.COM", "example.com" },
		{ "example.com.", "example.com" },
		{ "a b.example", "a b.example" },
		{ "_x.%20.example", "_x.%20.example" },
		{ LABEL63 ".example", LABEL63 ".example" },
		{ LABEL63 "l.example", "" },
		{ "", "" },
		{ ".", "" },
		{ "..", "" },
		{ "a..example", "" },
		{ ".example", "" },
		{ "example..", "" },
		{ "a\x01.example", "" },
		{ "a\x7f.example", "" },
		{ "a\\046.example", "" },
		/* 253 octets are the most; labels go from the left (7.3) */
		{ L250 "com", L250 "com" },
		{ "x." L250 "com", L250 "com" },
		{ "x." L250 "com.", L250 "com" },
		{ "y.x." L250 L250 "net", L250 "net" },
		{ L250 "comm", L50 L50 L50 L50 L10 L10 L10 L10 "comm" },
		/* what is cut off may be anything */
		{ "..." L250 "com", L250 "com" },
		{ LABEL63 "toolong." L250 "com", L250 "com" },
	};
	struct arena arena;

	(void)state;
	arena_init(&arena, 65536);
	for (size_t i = 0; i < CASES(cases); i++) {
		struct span name =
			spf_target_name(span_cstr(cases[i][0]), &arena);

		if (!span_equal(name, span_cstr(cases[i][1])))
			fail_msg("%s: %.*s", cases[i][0], (int)name.n, name.p);
		assert_true(name.n <= DOMAIN_MAX);
	}
	arena_fini(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_examples_of_rfc_7208_7_4),
		cmocka_unit_test(t2_letters_transformers_and_escapes),
		cmocka_unit_test(t3_letters_of_explanations),
		cmocka_unit_test(t4_what_is_no_macro_string),
		cmocka_unit_test(t5_no_octet_behind_the_text_is_read),
		cmocka_unit_test(t6_an_expansion_is_bounded),
		cmocka_unit_test(t7_macros_that_are_used),
		cmocka_unit_test(t8_names_for_dns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
