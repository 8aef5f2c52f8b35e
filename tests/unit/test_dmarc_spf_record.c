/* SPDX-License-Identifier: BSD-2-Clause */
/* The grammar of SPF records, RFC 7208 12. */
#include "dmarc/spf_record.h"
#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

static const char *const well_formed[] = {
	"v=spf1",
	"V=SPF1 -ALL",
	"v=spf1  a   mx ",
	"v=spf1 a:x.example/24//64 mx//0 a/0 -all",
	"v=spf1 ip4:192.0.2.1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ip6:::1",
	"v=spf1 ip4:192.0.2.7/24 ip6:::ffff:192.0.2.1/96 ip4:0.0.0.0/0",
	"v=spf1 include:%{d2}._spf.example.com. exists:%{ir}.%{v}.x.%{d}",
	"v=spf1 exists:%{L3r.-+,/_=}.%{o} ptr:%{p}",
	"v=spf1 exists:%%%_%-.example exists:%{i}",
	"v=spf1 a:example.a--b a:x.3-3",
	"v=spf1 redirect=_spf.example.com exp=e.example.com",
	"v=spf1 moo.cow-far_out=man:dog/cat all= default=%{t}",
};

static const char *const malformed[] = {
	"v=spf1 -all-",
	"v=spf1 all:x.example",
	"v=spf1 all/8",
	"v=spf1 -",
	"v=spf1 =x",
	"v=spf1 -redirect=x.example",
	"v=spf1 +exp=x.example",
	"v=spf1 redirect=",
	"v=spf1 redirect=x.example redirect=y.example",
	"v=spf1 exp=x.example exp=x.example",
	"v=spf1 foo",
	"v=spf1 foo:bar.example",
	"v=spf1 a.example.com",
	"v=spf1 a:",
	"v=spf1 a:com",
	"v=spf1 a:example.123",
	"v=spf1 a:example.com:8080",
	"v=spf1 a:example.-com",
	"v=spf1 a:example.com-",
	"v=spf1 a:example.com..",
	"v=spf1 a:x.example/33",
	"v=spf1 a:x.example/024",
	"v=spf1 a:x.example//129",
	"v=spf1 a/",
	"v=spf1 a//",
	"v=spf1 a/24/24",
	"v=spf1 a/-1",
	"v=spf1 a///64",
	"v=spf1 ptr/24",
	"v=spf1 include",
	"v=spf1 include/24",
	"v=spf1 exists:x.example/24",
	"v=spf1 ip4",
	"v=spf1 ip4:",
	"v=spf1 ip4:192.0.2",
	"v=spf1 ip4:192.0.2.1/",
	"v=spf1 ip4:192.0.2.1/33",
	"v=spf1 ip4:192.0.2.1//24",
	"v=spf1 ip4:2001:db8::1",
	"v=spf1 ip6:192.0.2.1",
	"v=spf1 ip6:2001:db8::1/129",
	"v=spf1 exists:%",
	"v=spf1 exists:%(i).x.example",
	"v=spf1 exists:%{}.x.example",
	"v=spf1 exists:%{x}.x.example",
	"v=spf1 exists:%{i0}.x.example",
	"v=spf1 exists:%{i",
	"v=spf1 exists:%{ir|}.x.example",
	"v=spf1 exists:%{t}.x.example", /* for explanations only */
	"v=spf1 exists:%{d}com",
	"v=spf1 a:x.ex\x80mple.com",
	"v=spf1\ta",
	"v=spf1 a\r\nmx",
	"v=spf1 a\x7f",
};

static void
t1_records_that_are_well_formed(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASES(well_formed); i++)
		if (!spf_record_is_one(span_cstr(well_formed[i])) ||
		    !spf_record_is_valid(span_cstr(well_formed[i])))
			fail_msg("%s", well_formed[i]);
}

static void
t2_records_that_are_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASES(malformed); i++)
		if (spf_record_is_valid(span_cstr(malformed[i])))
			fail_msg("%s", malformed[i]);
	assert_false(spf_record_is_one(SPAN_LIT("v=spf10 -all")));
	assert_false(spf_record_is_one(SPAN_LIT(" v=spf1 -all")));
	assert_false(spf_record_is_one(SPAN_LIT("v=spf")));
	assert_false(spf_record_is_one(SPAN_NONE));
}

/* Every beginning of every record above, flush against an unmapped page. */
static void
t3_no_octet_behind_the_record_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASES(well_formed) + CASES(malformed); i++) {
		struct span text =
			span_cstr(i < CASES(well_formed)
					  ? well_formed[i]
					  : malformed[i - CASES(well_formed)]);

		for (size_t n = 6; n <= text.n; n++) {
			struct guard guard = guard_copy(span_first(text, n));

			spf_record_is_one(guard.octets);
			spf_record_is_valid(guard.octets);
			guard_free(&guard);
		}
	}
}

static void
t4_terms_of_a_record(void **state)
{
	struct span rest = spf_record_terms(
		SPAN_LIT("v=spf1 ?mx:%{l}.x.example/20//60 ~ip6:2001:db8::/33"
			 " redirect=y.example"));
	struct spf_term term;

	(void)state;
	assert_int_equal(spf_record_next(&rest, &term), SPF_NEXT_TERM);
	assert_int_equal(term.mechanism, SPF_MECHANISM_MX);
	assert_int_equal(term.qualifier, SPF_QUALIFIER_NEUTRAL);
	assert_true(span_equal(term.domain, SPAN_LIT("%{l}.x.example")));
	assert_true(term.has_sender);
	assert_int_equal(term.prefix4, 20);
	assert_int_equal(term.prefix6, 60);
	assert_int_equal(spf_record_next(&rest, &term), SPF_NEXT_TERM);
	assert_int_equal(term.mechanism, SPF_MECHANISM_IP6);
	assert_int_equal(term.qualifier, SPF_QUALIFIER_SOFTFAIL);
	assert_int_equal(term.ip.family, IP_V6);
	assert_int_equal(term.prefix6, 33);
	assert_int_equal(spf_record_next(&rest, &term), SPF_NEXT_TERM);
	assert_int_equal(term.mechanism, SPF_MODIFIER_REDIRECT);
	assert_int_equal(spf_record_next(&rest, &term), SPF_NEXT_END);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_records_that_are_well_formed),
		cmocka_unit_test(t2_records_that_are_not),
		cmocka_unit_test(t3_no_octet_behind_the_record_is_read),
		cmocka_unit_test(t4_terms_of_a_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
