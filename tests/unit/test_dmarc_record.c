/* SPDX-License-Identifier: BSD-2-Clause */
/* What a DMARC record says (RFC 9989 4.7, 4.8), and what it cannot say. */
#include "dmarc/record.h"
#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void
assert_span(struct span s, const char *text)
{
	if (!span_equal(s, span_cstr(text)))
		fail_msg("\"%.*s\" is not \"%s\"", (int)s.n, (const char *)s.p,
			 text);
}

static struct record
parsed(const char *text)
{
	struct record record;

	if (!record_parse(span_cstr(text), &record))
		fail_msg("\"%s\" is a record", text);
	return record;
}

static void
t1_the_version_makes_a_record(void **state)
{
	static const char *const cases[] = {
		"v=DMARC1",
		"v=DMARC1;",
		"v=DMARC1 ; ",
		"v=DMARC1;p=none",
		"v=DMARC1; p=none",
		"v = DMARC1 ; p = none ;",
		"v\t=\tDMARC1\t;\tp=none",
		"V=DMARC1; p=none",
		"v=DMARC1;;p=none",
		"v=DMARC1; \xff",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_span(parsed(cases[i]).text, cases[i]);
}

static void
t2_without_it_the_text_is_something_else(void **state)
{
	static const char *const cases[] = {
		"",
		" ",
		";",
		"v",
		"v=",
		"=DMARC1",
		" v=DMARC1; p=none",
		"\tv=DMARC1; p=none",
		"; v=DMARC1; p=none",
		"v=dmarc1; p=none",
		"v=Dmarc1; p=none",
		"v=DMARC2; p=none",
		"v=DMARC10; p=none",
		"v=DMARC1 p=none",
		"v=DMARC1, p=none",
		"v==DMARC1; p=none",
		"vv=DMARC1; p=none",
		"p=none; v=DMARC1",
		"v=spf1 -all",
		"v=DMARC1\r\n; p=none",
		"\"v=DMARC1; p=none\"",
		"\xef\xbb\xbfv=DMARC1; p=none",
	};
	struct record record;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (record_parse(span_cstr(cases[i]), &record))
			fail_msg("\"%s\" is no record", cases[i]);
	assert_false(record_parse(SPAN_LIT("v=DMARC1\0; p=none"), &record));
}

static void
t3_defaults(void **state)
{
	struct record record = parsed("v=DMARC1");

	(void)state;
	assert_int_equal(record.p, POLICY_ABSENT);
	assert_int_equal(record.sp, POLICY_ABSENT);
	assert_int_equal(record.np, POLICY_ABSENT);
	assert_false(record.is_adkim_strict);
	assert_false(record.is_aspf_strict);
	assert_false(record.is_testing);
	assert_int_equal(record.psd, RECORD_PSD_UNKNOWN);
	assert_int_equal(record.fo, RECORD_FO_0);
	assert_int_equal(record.pct, 100);
	assert_int_equal(record.rua.n, 0);
	assert_int_equal(record.ruf.n, 0);
	assert_false(record.has_usable_rua);
	assert_int_equal(record.faults, 0);
	assert_int_equal(record.tag_p.n, 0);
	assert_int_equal(record.tag_pct.n, 0);
}

static void
t4_every_tag_at_once(void **state)
{
	struct record record = parsed(
		"v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=s; "
		"fo=1:d:s; t=y; psd=n; pct=25; rua=mailto:a@example.com; "
		"ruf=mailto:f@example.com; rf=afrf; ri=86400");

	(void)state;
	assert_int_equal(record.p, POLICY_REJECT);
	assert_int_equal(record.sp, POLICY_QUARANTINE);
	assert_int_equal(record.np, POLICY_NONE);
	assert_true(record.is_adkim_strict);
	assert_true(record.is_aspf_strict);
	assert_true(record.is_testing);
	assert_int_equal(record.psd, RECORD_PSD_NO);
	assert_int_equal(record.fo, RECORD_FO_1 | RECORD_FO_D | RECORD_FO_S);
	assert_int_equal(record.pct, 25);
	assert_span(record.rua, "mailto:a@example.com");
	assert_span(record.ruf, "mailto:f@example.com");
	assert_true(record.has_usable_rua);
	assert_int_equal(record.faults, 0);
	assert_span(record.tag_p, "reject");
	assert_span(record.tag_sp, "quarantine");
	assert_span(record.tag_np, "none");
	assert_span(record.tag_adkim, "s");
	assert_span(record.tag_aspf, "s");
	assert_span(record.tag_fo, "1:d:s");
	assert_span(record.tag_t, "y");
	assert_span(record.tag_psd, "n");
	assert_span(record.tag_pct, "25");
}

/* Tag names and keywords in any case, in any order (RFC 9989 4.7). */
static void
t5_case_and_order_do_not_matter(void **state)
{
	struct record record =
		parsed("v=DMARC1;PSD=Y;T=Y;ASPF=S;ADKIM=S;"
		       "FO=S:D;SP=Reject;NP=REJECT;P=Quarantine");

	(void)state;
	assert_int_equal(record.p, POLICY_QUARANTINE);
	assert_int_equal(record.sp, POLICY_REJECT);
	assert_int_equal(record.np, POLICY_REJECT);
	assert_true(record.is_adkim_strict && record.is_aspf_strict);
	assert_true(record.is_testing);
	assert_int_equal(record.psd, RECORD_PSD_YES);
	assert_int_equal(record.fo, RECORD_FO_D | RECORD_FO_S);
	assert_span(record.tag_p, "Quarantine");
	assert_int_equal(record.faults, 0);
}

static void
t6_policies_absent_and_invalid(void **state)
{
	static const struct {
		const char *text;
		enum policy p, sp, np;
	} cases[] = {
		{ "v=DMARC1; p=none", POLICY_NONE, POLICY_ABSENT,
		  POLICY_ABSENT },
		{ "v=DMARC1; sp=none", POLICY_ABSENT, POLICY_NONE,
		  POLICY_ABSENT },
		{ "v=DMARC1; p=", POLICY_INVALID, POLICY_ABSENT,
		  POLICY_ABSENT },
		{ "v=DMARC1; p=rejected", POLICY_INVALID, POLICY_ABSENT,
		  POLICY_ABSENT },
		{ "v=DMARC1; p=reject sp=none", POLICY_INVALID, POLICY_ABSENT,
		  POLICY_ABSENT },
		{ "v=DMARC1; p=reject; sp=maybe; np=", POLICY_REJECT,
		  POLICY_INVALID, POLICY_INVALID },
		{ "v=DMARC1; p; sp=none", POLICY_ABSENT, POLICY_NONE,
		  POLICY_ABSENT },
		/* of a repeated tag the first counts, good or bad */
		{ "v=DMARC1; p=none; p=reject", POLICY_NONE, POLICY_ABSENT,
		  POLICY_ABSENT },
		{ "v=DMARC1; p=bad; p=reject", POLICY_INVALID, POLICY_ABSENT,
		  POLICY_ABSENT },
		/* names that only look like p */
		{ "v=DMARC1; pp=none; p p=none; x-p=none", POLICY_ABSENT,
		  POLICY_ABSENT, POLICY_ABSENT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct record record = parsed(cases[i].text);

		assert_int_equal(record.p, cases[i].p);
		assert_int_equal(record.sp, cases[i].sp);
		assert_int_equal(record.np, cases[i].np);
	}
}

static void
t7_a_bad_value_gives_the_default_and_is_noted(void **state)
{
	static const char *const cases[] = {
		"v=DMARC1; adkim=x",
		"v=DMARC1; aspf=strict",
		"v=DMARC1; t=yes",
		"v=DMARC1; psd=",
		"v=DMARC1; psd=x",
		"v=DMARC1; fo=2",
		"v=DMARC1; fo=",
		"v=DMARC1; fo=d:",
		"v=DMARC1; fo=:s",
		"v=DMARC1; fo=0:1",
		"v=DMARC1; fo=1:d:s:0",
		"v=DMARC1; fo=d,s",
		"v=DMARC1; pct=101",
		"v=DMARC1; pct=-1",
		"v=DMARC1; pct=5%",
		"v=DMARC1; pct=99999999999999999999999",
		"v=DMARC1; rua=",
		"v=DMARC1; rua=a@example.com",
		"v=DMARC1; ruf=mailto:",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct record record = parsed(cases[i]);

		assert_int_equal(record.faults, RECORD_FAULT_VALUE);
		assert_false(record.is_adkim_strict);
		assert_false(record.is_aspf_strict);
		assert_false(record.is_testing);
		assert_int_equal(record.psd, RECORD_PSD_UNKNOWN);
		assert_int_equal(record.fo, RECORD_FO_0);
		assert_int_equal(record.pct, 100);
		assert_false(record.has_usable_rua);
	}
	/* as it was published, all the same */
	assert_span(parsed("v=DMARC1; t=yes").tag_t, "yes");
}

static void
t8_good_values(void **state)
{
	(void)state;
	assert_int_equal(parsed("v=DMARC1; psd=u").psd, RECORD_PSD_UNKNOWN);
	assert_int_equal(parsed("v=DMARC1; psd=u").faults, 0);
	assert_int_equal(parsed("v=DMARC1; psd=y").psd, RECORD_PSD_YES);
	assert_int_equal(parsed("v=DMARC1; fo=0:d").fo,
			 RECORD_FO_0 | RECORD_FO_D);
	assert_int_equal(parsed("v=DMARC1; fo=s : 1").fo,
			 RECORD_FO_1 | RECORD_FO_S);
	assert_int_equal(parsed("v=DMARC1; fo=d:d").fo, RECORD_FO_D);
	assert_int_equal(parsed("v=DMARC1; pct=0").pct, 0);
	assert_int_equal(parsed("v=DMARC1; pct=100").pct, 100);
	assert_int_equal(parsed("v=DMARC1; pct=100").faults, 0);
	assert_false(parsed("v=DMARC1; adkim=r; t=n").is_adkim_strict);
	assert_int_equal(parsed("v=DMARC1; adkim=r; aspf=r; t=n").faults, 0);
}

static void
t9_faults(void **state)
{
	static const struct {
		const char *text;
		unsigned faults;
	} cases[] = {
		{ "v=DMARC1; p=none;; ;", 0 },
		{ "v=DMARC1; p=none; future=x; rf=afrf; ri=1; n=comment", 0 },
		{ "v=DMARC1; p=none; junk", RECORD_FAULT_SYNTAX },
		{ "v=DMARC1; p=none; =x", RECORD_FAULT_SYNTAX },
		{ "v=DMARC1; p=none; a-b=x", RECORD_FAULT_SYNTAX },
		{ "v=DMARC1; p=none; v=DMARC1", RECORD_FAULT_DUPLICATE },
		{ "v=DMARC1; p=none; P=none", RECORD_FAULT_DUPLICATE },
		{ "v=DMARC1; x=1; x=2", 0 }, /* unknown: not looked at */
		{ "v=DMARC1; p=bad; p=none; junk",
		  RECORD_FAULT_SYNTAX | RECORD_FAULT_VALUE |
			  RECORD_FAULT_DUPLICATE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(parsed(cases[i].text).faults, cases[i].faults);
}

/* URIs of a list, joined by blanks: what a reader would use. */
static const char *
uris(const char *list)
{
	static char shown[1024];
	struct guard guard = guard_copy(span_cstr(list));
	struct span rest = guard.octets;
	struct record_uri uri;
	int n = 0;

	shown[0] = '\0';
	while (record_next_uri(&rest, &uri)) {
		assert_int_equal(uri.scheme.n + 1 + uri.rest.n, uri.uri.n);
		n += snprintf(shown + n, sizeof(shown) - (size_t)n,
			      "%s%.*s|%.*s", n == 0 ? "" : " ",
			      (int)uri.scheme.n, (const char *)uri.scheme.p,
			      (int)uri.rest.n, (const char *)uri.rest.p);
	}
	assert_int_equal(rest.n, 0);
	guard_free(&guard);
	return shown;
}

static void
t10_uris(void **state)
{
	static const struct {
		const char *list, *uris;
	} cases[] = {
		{ "", "" },
		{ "mailto:a@example.com", "mailto|a@example.com" },
		{ "MAILTO:a@example.com", "MAILTO|a@example.com" },
		{ "mailto:a@b.example , mailto:c@d.example",
		  "mailto|a@b.example mailto|c@d.example" },
		{ "mailto:a@b.example,,mailto:c@d.example,",
		  "mailto|a@b.example mailto|c@d.example" },
		{ "https://example.com/r?a=b#c",
		  "https|//example.com/r?a=b#c" },
		{ "mailto:a@b.example?subject=x",
		  "mailto|a@b.example?subject=x" },
		/* RFC 9989 C.4: the obsolete size limit is cut off */
		{ "mailto:a@b.example!10m", "mailto|a@b.example" },
		{ "mailto:a@b.example!10", "mailto|a@b.example" },
		{ "mailto:a@b.example!10M", "mailto|a@b.example" },
		{ "mailto:a@b.example!5t,mailto:c@d.example!1k",
		  "mailto|a@b.example mailto|c@d.example" },
		{ "mailto:a%21b%2C@c.example", "mailto|a%21b%2C@c.example" },
		/* not well-formed: skipped, the others are used */
		{ "a@b.example, mailto:c@d.example", "mailto|c@d.example" },
		{ "mailto:a@b.example!, mailto:c@d.example",
		  "mailto|c@d.example" },
		{ "mailto:a@b.example!m", "" },
		{ "mailto:a@b.example!10x", "" },
		{ "mailto:a!b@c.example", "" },
		{ "mailto:a@b.example!1!2", "" },
		{ "mailto:a b@c.example", "" },
		{ "mailto:a@b.example%2", "" },
		{ "mailto:a@b.example%zz", "" },
		{ "mailto:a@b.example%z2", "" },
		{ "mailto:a@b.example%2z", "" },
		{ "mailto:a@b.example%2a%2", "" },
		{ "MAILTO:a", "" },
		{ "mailto:\xc3\xbc@b.example", "" },
		{ "mailto:a@b.example\"", "" },
		{ "mailto:<a@b.example>", "" },
		{ "mailto:", "" },
		{ "mailto:@b.example", "" },
		{ "mailto:a@", "" },
		{ "mailto:?to=a@b.example", "" },
		{ "mailto", "" },
		{ ":a@b.example", "" },
		{ "1mailto:a@b.example", "" },
		{ "ma ilto:a@b.example", "" },
		{ "https:", "" },
		{ "!10m", "" },
		{ ":!10m", "" },
		{ "10m", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(uris(cases[i].list), cases[i].uris);
}

static void
t11_usable_rua_means_one_good_uri(void **state)
{
	(void)state;
	assert_true(
		parsed("v=DMARC1; rua=bad, mailto:a@b.example").has_usable_rua);
	assert_true(parsed("v=DMARC1; rua=xmpp:a").has_usable_rua);
	assert_false(parsed("v=DMARC1; ruf=mailto:a@b.example").has_usable_rua);
	assert_span(parsed("v=DMARC1; rua=bad").rua, "bad");
}

/* Cut at every octet, against a guard page: nothing is read behind the end,
 * and whatever is borrowed lies within. */
static void
t12_every_prefix_can_be_read(void **state)
{
	struct span text = SPAN_LIT(
		"v=DMARC1 ; p=reject; sp=none; fo=1:d:s; pct=25; psd=n; t=y; "
		"rua=mailto:a%21@example.com!10m, https://b.example/%2c;");

	(void)state;
	for (size_t i = 0; i <= text.n; i++) {
		struct guard guard = guard_copy(span_first(text, i));
		struct record record;
		struct record_uri uri;

		assert_int_equal(record_parse(guard.octets, &record), i >= 8);
		while (record_next_uri(&record.rua, &uri))
			assert_true(uri.uri.p + uri.uri.n <=
				    guard.octets.p + guard.octets.n);
		guard_free(&guard);
	}
}

static void
t13_policies_have_names(void **state)
{
	(void)state;
	assert_string_equal(policy_name(POLICY_ABSENT), "");
	assert_string_equal(policy_name(POLICY_INVALID), "invalid");
	assert_string_equal(policy_name(POLICY_NONE), "none");
	assert_string_equal(policy_name(POLICY_QUARANTINE), "quarantine");
	assert_string_equal(policy_name(POLICY_REJECT), "reject");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_the_version_makes_a_record),
		cmocka_unit_test(t2_without_it_the_text_is_something_else),
		cmocka_unit_test(t3_defaults),
		cmocka_unit_test(t4_every_tag_at_once),
		cmocka_unit_test(t5_case_and_order_do_not_matter),
		cmocka_unit_test(t6_policies_absent_and_invalid),
		cmocka_unit_test(t7_a_bad_value_gives_the_default_and_is_noted),
		cmocka_unit_test(t8_good_values),
		cmocka_unit_test(t9_faults),
		cmocka_unit_test(t10_uris),
		cmocka_unit_test(t11_usable_rua_means_one_good_uri),
		cmocka_unit_test(t12_every_prefix_can_be_read),
		cmocka_unit_test(t13_policies_have_names),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
