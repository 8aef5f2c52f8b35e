/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts of any octets become JSON that is safe to show, and nothing is lost. */
#include "dmarc/report/json.h"
#include "tests/unit/guard.h"
#include "tests/unit/json_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* SPAN_LIT for static tables. */
#define LIT(text)                                               \
	{                                                       \
		(const uint8_t *)("" text), sizeof("" text) - 1 \
	}
#define CASES(list) (sizeof(list) / sizeof((list)[0]))

static void
assert_span(struct span s, struct span want)
{
	if (!span_equal(s, want))
		fail_msg("\"%.*s\" is not \"%.*s\"", (int)s.n,
			 (const char *)s.p, (int)want.n, (const char *)want.p);
}

/* --- texts -------------------------------------------------------------- */

#define FFFD "\xef\xbf\xbd"

static const struct {
	struct span text;
	const char *json;
} texts[] = {
	{ LIT(""), "\"\"" },
	{ LIT("plain"), "\"plain\"" },
	{ LIT("\"\\/"), "\"\\\"\\\\/\"" },
	{ LIT("a\r\n\tb"), "\"a\\u000d\\u000a\\u0009b\"" },
	{ LIT("\0\033[2J\177"), "\"\\u0000\\u001b[2J\\u007f\"" },
	{ LIT("\xc2\x9b"), "\"\\u009b\"" },          /* CSI of C1 */
	{ LIT("\xe2\x80\xae"), "\"\\u202e\"" },      /* RLO */
	{ LIT("\xe2\x81\xa6"), "\"\\u2066\"" },      /* LRI */
	{ LIT("\xe2\x80\x8f"), "\"\\u200f\"" },      /* RLM */
	{ LIT("\xd8\x9c"), "\"\\u061c\"" },          /* ALM */
	{ LIT("\xe2\x80\xa8"), "\"\\u2028\"" },      /* line separator */
	{ LIT("\xe2\x80\xaf"), "\"\xe2\x80\xaf\"" }, /* no bidi control */
	{ LIT("\xc3\xbc\xf0\x9f\x92\x8c"), "\"\xc3\xbc\xf0\x9f\x92\x8c\"" },
	/* not UTF-8: one replacement for each octet */
	{ LIT("a\xff"), "\"a" FFFD "\"" },
	{ LIT("\xc3"), "\"" FFFD "\"" },
	{ LIT("\xc3\"x"), "\"" FFFD "\\\"x\"" },
	{ LIT("\xc0\x80"), "\"" FFFD FFFD "\"" },
	{ LIT("\xc1\xbf"), "\"" FFFD FFFD "\"" },
	{ LIT("\xe0\x80\x80"), "\"" FFFD FFFD FFFD "\"" },
	{ LIT("\xed\xa0\x80"), "\"" FFFD FFFD FFFD "\"" },
	{ LIT("\xf4\x90\x80\x80"), "\"" FFFD FFFD FFFD FFFD "\"" },
	{ LIT("\xf8\x88\x80\x80\x80"), "\"" FFFD FFFD FFFD FFFD FFFD "\"" },
	{ LIT("\xf0\x9f\x92"), "\"" FFFD FFFD FFFD "\"" },
};

static void
test_01_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASES(texts); i++) {
		struct guard guard = guard_copy(texts[i].text);
		struct buf out;
		struct json json;

		buf_init(&out, 4096);
		json_init(&json, &out);
		json_string(&json, guard.octets);
		assert_span(buf_span(&out), span_cstr(texts[i].json));
		assert_true(json_check(buf_span(&out)));
		buf_fini(&out);
		guard_free(&guard);
	}
}

/* All characters of two octets, and all of three: decode ∘ encode = id. */
static void
test_02_every_character_comes_back(void **state)
{
	(void)state;
	for (uint32_t code = 0; code < 0x10000; code++) {
		uint8_t octets[3];
		size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
		struct buf out, back;
		struct json json;

		if (code >= 0xd800 && code <= 0xdfff)
			continue;
		octets[0] = (uint8_t)(n == 1   ? code
				      : n == 2 ? 0xc0 | code >> 6
					       : 0xe0 | code >> 12);
		octets[1] = (uint8_t)(0x80 | (n == 3 ? code >> 6 & 0x3f
						     : code & 0x3f));
		octets[2] = (uint8_t)(0x80 | (code & 0x3f));
		buf_init(&out, 64);
		buf_init(&back, 64);
		json_init(&json, &out);
		json_string(&json, span_make(octets, n));
		if (!json_check(buf_span(&out)) ||
		    !json_check_decode(buf_span(&out), &back) ||
		    !span_equal(buf_span(&back), span_make(octets, n)))
			fail_msg("U+%04x gives %.*s", code, (int)out.n,
				 (const char *)buf_span(&out).p);
		buf_fini(&out);
		buf_fini(&back);
	}
}

/* Every pair of octets gives one valid string. */
static void
test_03_every_pair_of_octets_is_valid(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 64);
	for (unsigned pair = 0; pair < 0x10000; pair++) {
		uint8_t octets[2] = { (uint8_t)(pair >> 8), (uint8_t)pair };
		struct json json;

		buf_reset(&out);
		json_init(&json, &out);
		json_string(&json, span_make(octets, 2));
		if (!json_check(buf_span(&out)))
			fail_msg("%04x gives %.*s", pair, (int)out.n,
				 (const char *)buf_span(&out).p);
	}
	buf_fini(&out);
}

/* --- structure ---------------------------------------------------------- */

static void
test_10_structure(void **state)
{
	struct buf out;
	struct json json;

	(void)state;
	buf_init(&out, 4096);
	json_init(&json, &out);
	json_object(&json);
	json_key(&json, "a");
	json_array(&json);
	json_array_end(&json);
	json_key(&json, "b");
	json_array(&json);
	json_u64(&json, 0);
	json_u64(&json, UINT64_MAX);
	json_object(&json);
	json_object_end(&json);
	json_object(&json);
	json_key(&json, "c");
	json_null(&json);
	json_key(&json, "d");
	json_bool(&json, true);
	json_object_end(&json);
	json_array_end(&json);
	json_key(&json, "e");
	json_bool(&json, false);
	json_key(&json, "f");
	json_cstring(&json, NULL);
	json_key(&json, "g");
	json_cstring(&json, "h");
	json_object_end(&json);
	assert_span(buf_span(&out),
		    SPAN_LIT("{\"a\":[],\"b\":[0,18446744073709551615,{},"
			     "{\"c\":null,\"d\":true}],\"e\":false,\"f\":null,"
			     "\"g\":\"h\"}"));
	assert_true(json_check(buf_span(&out)));
	buf_fini(&out);
}

static void
test_11_thousandths(void **state)
{
	static const struct {
		uint64_t value;
		const char *json;
	} cases[] = {
		{ 0, "0" },
		{ 3100, "3.1" },
		{ 1, "0.001" },
		{ 10, "0.01" },
		{ 1000, "1" },
		{ 1020, "1.02" },
		{ 120345, "120.345" },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct buf out;
		struct json json;

		buf_init(&out, 64);
		json_init(&json, &out);
		json_thousandths(&json, cases[i].value);
		assert_span(buf_span(&out), span_cstr(cases[i].json));
		buf_fini(&out);
	}
}

/* RFC 4648 10 */
static void
test_12_base64(void **state)
{
	static const struct {
		struct span octets;
		const char *json;
	} cases[] = {
		{ LIT(""), "\"\"" },
		{ LIT("f"), "\"Zg==\"" },
		{ LIT("fo"), "\"Zm8=\"" },
		{ LIT("foo"), "\"Zm9v\"" },
		{ LIT("foob"), "\"Zm9vYg==\"" },
		{ LIT("fooba"), "\"Zm9vYmE=\"" },
		{ LIT("foobar"), "\"Zm9vYmFy\"" },
		{ LIT("\xff\xfe\0"), "\"//4A\"" },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct guard guard = guard_copy(cases[i].octets);
		struct buf out;
		struct json json;

		buf_init(&out, 64);
		json_init(&json, &out);
		json_base64(&json, guard.octets);
		assert_span(buf_span(&out), span_cstr(cases[i].json));
		buf_fini(&out);
		guard_free(&guard);
	}
}

static void
test_13_twins(void **state)
{
	static const struct span list[] = { LIT("good"), LIT("ba\xff"),
					    LIT("\xc3\xbc") };
	struct buf out;
	struct json json;

	(void)state;
	buf_init(&out, 4096);
	json_init(&json, &out);
	json_object(&json);
	json_member(&json, "a", SPAN_LIT("good"));
	json_member(&json, "b", SPAN_LIT("b\xff"));
	json_member_list(&json, "c", list, 3, 100);
	json_member_list(&json, "d", list, 1, 100);
	json_member_list(&json, "e", list + 1, 2, 2);
	json_member_list(&json, "f", NULL, 0, 2);
	json_object_end(&json);
	assert_span(buf_span(&out),
		    SPAN_LIT("{\"a\":\"good\","
			     "\"b\":\"b" FFFD "\",\"b_b64\":\"Yv8=\","
			     "\"c\":[\"good\",\"ba" FFFD "\",\"\xc3\xbc\"],"
			     "\"c_b64\":[null,\"YmH/\",null],"
			     "\"d\":[\"good\"],\"e\":[\"ba\",\"\xc3\xbc\"],"
			     "\"f\":[]}"));
	buf_fini(&out);
}

static void
test_14_cut_keeps_characters_whole(void **state)
{
	static const struct {
		struct span text;
		size_t max, kept;
	} cases[] = {
		{ LIT("abc"), 3, 3 },       { LIT("abc"), 2, 2 },
		{ LIT("abc"), 0, 0 },       { LIT("a\xc3\xbc"), 2, 1 },
		{ LIT("a\xc3\xbc"), 3, 3 }, { LIT("a\xf0\x9f\x92\x8c!"), 4, 1 },
		{ LIT("a\xff\xff"), 2, 2 }, { LIT("a\xc3\xbc"), 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++)
		assert_int_equal(json_cut(cases[i].text, cases[i].max).n,
				 cases[i].kept);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_01_texts),
		cmocka_unit_test(test_02_every_character_comes_back),
		cmocka_unit_test(test_03_every_pair_of_octets_is_valid),
		cmocka_unit_test(test_10_structure),
		cmocka_unit_test(test_11_thousandths),
		cmocka_unit_test(test_12_base64),
		cmocka_unit_test(test_13_twins),
		cmocka_unit_test(test_14_cut_keeps_characters_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
