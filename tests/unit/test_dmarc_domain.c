/* SPDX-License-Identifier: BSD-2-Clause */
/* One domain has one spelling, and we know what stands above it. */
#include "dmarc/domain.h"
#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LABEL_63 \
	"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define DOMAIN_253                                                        \
	LABEL_63 "." LABEL_63 "." LABEL_63                                \
		 ".abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz." \
		 "abcdefgh"

static struct arena arena;

static int
set_up(void **state)
{
	(void)state;
	arena_init(&arena, (size_t)1 << 20);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

/* The normalised form, or "(none)"; in a buffer of its own for each call. */
static const char *
normalised(struct span text)
{
	static char shown[4][DOMAIN_MAX + 1];
	static unsigned turn;
	struct guard guard = guard_copy(text);
	char *out = shown[turn++ % 4];
	struct span domain;

	if (domain_normalise(guard.octets, &arena, &domain)) {
		memcpy(out, domain.p, domain.n);
		out[domain.n] = '\0';
	} else {
		memcpy(out, "(none)", sizeof("(none)"));
	}
	guard_free(&guard);
	return out;
}

static void
t1_normalised_forms(void **state)
{
	static const struct {
		const char *text, *domain;
	} cases[] = {
		{ "example.com", "example.com" },
		{ "EXAMPLE.Com", "example.com" },
		{ "example.com.", "example.com" },
		{ "com", "com" },
		{ "_dmarc.example.com", "_dmarc.example.com" },
		{ "s1._DomainKey.example.com", "s1._domainkey.example.com" },
		{ "20230601", "20230601" }, /* a selector */
		{ "r3---sn-4g5e6nzs.example", "r3---sn-4g5e6nzs.example" },
		{ "-a-.example", "-a-.example" },
		{ "1.2.3.example", "1.2.3.example" },
		{ "1.2.3.4.5", "1.2.3.4.5" },
		{ "1234.2.3.4", "1234.2.3.4" },
		{ DOMAIN_253, DOMAIN_253 },
		{ DOMAIN_253 ".", DOMAIN_253 },
		/* IDNA: RFC 5891, UTS 46 */
		{ "bücher.example", "xn--bcher-kva.example" },
		{ "BÜCHER.example", "xn--bcher-kva.example" },
		{ "bu\xcc\x88"
		  "cher.example",
		  "xn--bcher-kva.example" },             /* decomposed */
		{ "faß.example", "xn--fa-hia.example" }, /* nontransitional */
		{ "βόλος.example", "xn--nxasmm1c.example" },
		{ "食狮.中国", "xn--85x722f.xn--fiqs8s" },
		{ "ｅｘａｍｐｌｅ.com", "example.com" },
		{ "example。com", "example.com" },
		{ "example．com｡", "example.com" },
		{ "exam\xc2\xadple.com", "example.com" }, /* soft hyphen */
		{ "_dmarc.bücher.example", "_dmarc.xn--bcher-kva.example" },
		{ "bü_cher.example", "xn--b_cher-3ya.example" },
		{ "r3---sn.bücher.example", "r3---sn.xn--bcher-kva.example" },
		/* A-labels are kept, good or bad */
		{ "XN--BCHER-KVA.example", "xn--bcher-kva.example" },
		{ "xn--a.example", "xn--a.example" },
		{ "xn--.example", "xn--.example" },
		{ "xn--0.bücher.example", "xn--0.xn--bcher-kva.example" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(normalised(span_cstr(cases[i].text)),
				    cases[i].domain);
}

static void
t2_what_is_no_domain(void **state)
{
	static const char *const cases[] = {
		"",
		".",
		"..",
		".example.com",
		"example..com",
		"example.com..",
		"。",
		"[192.0.2.1]",
		"[IPv6:2001:db8::1]",
		"192.0.2.1",
		"192.0.2.1.",
		"999.0.0.1",
		"１９２.0.2.1", /* full-width digits */
		"2001:db8::1",
		"exa mple.com",
		"exa\tmple.com",
		"example.com\r\n",
		"a@example.com",
		"a/b.example",
		"*.example.com",
		"exam(ple).com",
		"\"example\".com",
		LABEL_63 "a.example",
		DOMAIN_253 "i",
		"\xff.example",         /* not UTF-8 */
		"\xc3.example",         /* half a character */
		"\xc0\xae.example",     /* overlong */
		"\xed\xa0\x80.example", /* a surrogate */
		"\xc2\xad.example",     /* a label of nothing */
		"℀.example",            /* maps to "a/c" */
		"a․b.example",          /* maps to "a.b" */
		"…example",             /* maps to three dots */
		"\xcc\x88x.example",    /* begins with a combining mark */
		"xn--ü.example",
		"ü b.example",
		"☃\x7f.example",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *got = normalised(span_cstr(cases[i]));

		if (strcmp(got, "(none)") != 0)
			fail_msg("\"%s\" became \"%s\"", cases[i], got);
	}
}

static void
t3_nul_is_in_no_domain(void **state)
{
	(void)state;
	assert_string_equal(normalised(SPAN_LIT("example\0.com")), "(none)");
	assert_string_equal(normalised(SPAN_LIT("bücher\0.com")), "(none)");
}

/* UTS 46 would drop all of them, but 1,202 octets are no name. */
static void
t4_what_shrinks_is_bounded_all_the_same(void **state)
{
	uint8_t text[1202];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "\xc2\xad", 2); /* soft hyphens */
	memcpy(text + sizeof(text) - 2, "aa", 2);
	assert_string_equal(normalised(span_make(text, sizeof(text))),
			    "(none)");
	assert_string_equal(normalised(span_make(text + 402, 800)), "aa");
}

static void
t5_every_prefix_and_suffix_of_a_name_can_be_read(void **state)
{
	struct span text = SPAN_LIT("www.食狮.Bücher｡example.公司.cn.");

	(void)state;
	for (size_t i = 0; i <= text.n; i++) {
		normalised(span_first(text, i));
		normalised(span_after(text, i));
	}
	assert_false(arena.has_overflowed);
}

static void
t6_normalising_twice_changes_nothing(void **state)
{
	static const char *const cases[] = { "Example.COM.", "BÜCHER.example",
					     "faß.example", "食狮.中国",
					     "XN--a.b.C" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *once = normalised(span_cstr(cases[i]));

		assert_string_equal(normalised(span_cstr(once)), once);
	}
}

static void
t7_a_full_arena_gives_no_domain(void **state)
{
	struct arena small;
	struct span domain;

	(void)state;
	arena_init(&small, 4);
	assert_false(
		domain_normalise(SPAN_LIT("example.com"), &small, &domain));
	assert_true(small.has_overflowed);
	arena_fini(&small);
}

static void
assert_span(struct span s, const char *text)
{
	if (!span_equal(s, span_cstr(text)))
		fail_msg("\"%.*s\" is not \"%s\"", (int)s.n, (const char *)s.p,
			 text);
}

static void
t8_labels_suffixes_parents(void **state)
{
	struct span domain = SPAN_LIT("a.bc.example.com");

	(void)state;
	assert_int_equal(domain_labels(SPAN_NONE), 0);
	assert_int_equal(domain_labels(SPAN_LIT("com")), 1);
	assert_int_equal(domain_labels(domain), 4);
	assert_span(domain_suffix(domain, 0), "");
	assert_span(domain_suffix(domain, 1), "com");
	assert_span(domain_suffix(domain, 2), "example.com");
	assert_span(domain_suffix(domain, 3), "bc.example.com");
	assert_span(domain_suffix(domain, 4), "a.bc.example.com");
	assert_span(domain_suffix(domain, 5), "a.bc.example.com");
	assert_span(domain_parent(domain), "bc.example.com");
	assert_span(domain_parent(SPAN_LIT("com")), "");
	assert_span(domain_parent(SPAN_NONE), "");
}

static void
t9_within(void **state)
{
	static const struct {
		const char *domain, *above;
		bool is_within;
	} cases[] = {
		{ "example.com", "example.com", true },
		{ "a.example.com", "example.com", true },
		{ "a.b.example.com", "com", true },
		{ "badexample.com", "example.com", false },
		{ "example.com", "a.example.com", false },
		{ "example.org", "example.com", false },
		{ "com", "example.com", false },
		{ "example.com", "", false },
		{ "", "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(domain_is_within(span_cstr(cases[i].domain),
						  span_cstr(cases[i].above)),
				 cases[i].is_within);
}

static void
t10_a_prefix_fits_the_dns_or_is_empty(void **state)
{
	struct span domain = span_cstr(DOMAIN_253);
	struct arena small;

	(void)state;
	assert_span(domain_prefix(SPAN_LIT("s1._domainkey"),
				  SPAN_LIT("example.com"), &arena),
		    "s1._domainkey.example.com");
	/* 253 octets in all are allowed, 254 are not */
	assert_int_equal(
		domain_prefix(SPAN_LIT("_dmarc"), span_after(domain, 7), &arena)
			.n,
		253);
	assert_int_equal(
		domain_prefix(SPAN_LIT("_dmarc"), span_after(domain, 6), &arena)
			.n,
		0);
	assert_false(arena.has_overflowed);
	arena_init(&small, 4);
	assert_int_equal(domain_prefix(SPAN_LIT("_dmarc"),
				       SPAN_LIT("example.com"), &small)
				 .n,
			 0);
	assert_true(small.has_overflowed);
	arena_fini(&small);
}

static void
t11_a_list_from_text(void **state)
{
	struct guard guard = guard_copy(SPAN_LIT("// a list\n"
						 "com\n"
						 "co.uk\n"
						 "*.ck\n"
						 "!www.ck\n"
						 "公司.cn"));
	struct domain_psl *psl = domain_psl_new(guard.octets);

	(void)state;
	guard_free(&guard); /* nothing of the text is kept */
	assert_non_null(psl);
	assert_span(domain_psl_organizational(psl, SPAN_LIT("a.example.com")),
		    "example.com");
	assert_span(domain_psl_organizational(psl, SPAN_LIT("example.com")),
		    "example.com");
	assert_span(domain_psl_organizational(psl, SPAN_LIT("com")), "com");
	assert_span(domain_psl_organizational(psl, SPAN_LIT("co.uk")), "co.uk");
	assert_span(domain_psl_organizational(psl, SPAN_LIT("a.b.co.uk")),
		    "b.co.uk");
	assert_span(domain_psl_organizational(psl, SPAN_LIT("a.b.c.ck")),
		    "b.c.ck");
	assert_span(domain_psl_organizational(psl, SPAN_LIT("a.www.ck")),
		    "www.ck");
	/* the rule "*" of the list's algorithm */
	assert_span(domain_psl_organizational(psl, SPAN_LIT("a.b.unlisted")),
		    "b.unlisted");
	assert_span(
		domain_psl_organizational(psl, SPAN_LIT("a.b.xn--55qx5d.cn")),
		"b.xn--55qx5d.cn");
	assert_span(domain_psl_organizational(psl, SPAN_NONE), "");
	assert_span(domain_psl_organizational(psl, span_cstr(DOMAIN_253)),
		    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz."
		    "abcdefgh");
	domain_psl_free(psl);
}

static void
t12_a_list_without_rules_is_none(void **state)
{
	(void)state;
	assert_null(domain_psl_new(SPAN_NONE));
	assert_null(domain_psl_new(SPAN_LIT("\n")));
	assert_null(domain_psl_new(SPAN_LIT("// only\n// comments\n\n")));
	domain_psl_free(NULL);
}

/* What a server says in place of a list. */
static void
t12_what_is_no_list_is_none(void **state)
{
	static const struct {
		struct span text;
		size_t line;
	} cases[] = {
		{ SPAN_LIT("com\n\n// x\n *.jp\nco.uk a "
			   "remark\n*.ck\r\n!www.ck"),
		  0 },
		{ SPAN_LIT("*\n.com\n\xe5\x85\xac\xe5\x8f\xb8.cn\n"), 0 },
		{ SPAN_LIT("<html>\n<body>404 Not Found</body>\n"), 1 },
		{ SPAN_LIT("com\n\t<p>404 Not Found</p>\n"), 2 },
		{ SPAN_LIT("com\n{\"error\": 404}\n"), 2 },
		{ SPAN_LIT("com\nco..uk\n"), 2 },
		{ SPAN_LIT("com\n*."), 2 },
		{ SPAN_LIT("com\n!"), 2 },
		{ SPAN_LIT("com\na\0b\n"), 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct domain_psl *psl = domain_psl_new(cases[i].text);

		if (domain_psl_fault(cases[i].text) != cases[i].line ||
		    (psl != NULL) != (cases[i].line == 0))
			fail_msg("case %zu: line %zu", i,
				 domain_psl_fault(cases[i].text));
		domain_psl_free(psl);
	}
}

static void
t13_the_built_in_list(void **state)
{
	struct domain_psl *psl = domain_psl_builtin();

	(void)state;
	if (psl == NULL) {
		print_message("libpsl is built without a list\n");
		skip();
	}
	assert_span(domain_psl_organizational(psl, SPAN_LIT("a.b.co.uk")),
		    "b.co.uk");
	domain_psl_free(psl);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(t1_normalised_forms),
		TEST(t2_what_is_no_domain),
		TEST(t3_nul_is_in_no_domain),
		TEST(t4_what_shrinks_is_bounded_all_the_same),
		TEST(t5_every_prefix_and_suffix_of_a_name_can_be_read),
		TEST(t6_normalising_twice_changes_nothing),
		TEST(t7_a_full_arena_gives_no_domain),
		TEST(t8_labels_suffixes_parents),
		TEST(t9_within),
		TEST(t10_a_prefix_fits_the_dns_or_is_empty),
		TEST(t11_a_list_from_text),
		TEST(t12_a_list_without_rules_is_none),
		TEST(t12_what_is_no_list_is_none),
		TEST(t13_the_built_in_list),
	};

	return cmocka_run_group_tests_name("domain", tests, NULL, NULL);
}
