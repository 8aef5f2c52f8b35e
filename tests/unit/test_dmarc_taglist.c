/* SPDX-License-Identifier: BSD-2-Clause */
/* Tag lists of RFC 6376 3.2, and base64 as they have it. */
#include "dmarc/taglist.h"
#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

/* --- tag lists --- */

static void
t1_tag_lists(void **state)
{
	static const struct {
		const char *text;
		size_t count; /* 0: none */
	} cases[] = {
		{ "a=1", 1 },
		{ "a=1;", 1 },
		{ " a = 1 ; b_2 =\r\n\t x y ;\r\n ", 2 },
		{ "a=;b=", 2 },
		{ "a=1;A=2", 2 },
		{ "a=b=c", 1 },
		{ "a=\xc3\xa4", 1 },
		{ "", 0 },
		{ ";", 0 },
		{ "a", 0 },
		{ "a=1;;b=2", 0 },
		{ "a=1;a=2", 0 },
		{ "2a=1", 0 },
		{ "a-b=1", 0 },
		{ "a b=1", 0 },
		{ "=1", 0 },
		{ "a=\x01", 0 },
		{ "a=\x7f", 0 },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct guard guard = guard_copy(span_cstr(cases[i].text));
		struct taglist tags;
		bool is_list = taglist_parse(guard.octets, &tags);

		if (is_list != (cases[i].count > 0) ||
		    (is_list && tags.count != cases[i].count))
			fail_msg("%s", cases[i].text);
		guard_free(&guard);
	}
}

static void
t2_base64(void **state)
{
	static const struct {
		const char *text, *octets;
	} cases[] = {
		{ "", "" },
		{ "Zg==", "f" },
		{ "Zm8=", "fo" },
		{ "Zm9v", "foo" },
		{ "Zm9vYg==", "foob" },
		{ "Zm8", "fo" },
		{ " Z m\r\n\t8 = ", "fo" },
		{ "Zm9vYmE=", "fooba" },
		{ "Zm9vYmFy", "foobar" },
		{ "Zm9v Ym\r\n\tFy", "foobar" },
		{ "Z m9vYmFy ", "foobar" },
		{ "+/+/", "\xfb\xff\xbf" },
		{ "Zm9vZm9vZ", NULL },
		{ "Zm9vZm.v", NULL },
		{ "Z", NULL },
		{ "Zg=", NULL },
		{ "Zg===", NULL },
		{ "Zg======", NULL },
		{ "=", NULL },
		{ "Zg==Zg==", NULL },
		{ "Zm9-", NULL },
		{ "Zm9vYmFyYg==", NULL }, /* over six octets */
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct guard guard = guard_copy(span_cstr(cases[i].text));
		uint8_t out[6] = { 0 };
		size_t n;
		bool is_base64 =
			taglist_base64(guard.octets, out, sizeof(out), &n);

		if (is_base64 != (cases[i].octets != NULL) ||
		    (is_base64 && !span_equal(span_make(out, n),
					      span_cstr(cases[i].octets))))
			fail_msg("%s", cases[i].text);
		guard_free(&guard);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_tag_lists),
		cmocka_unit_test(t2_base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
