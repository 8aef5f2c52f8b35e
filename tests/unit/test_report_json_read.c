/* SPDX-License-Identifier: BSD-2-Clause */
/* Verdict lines read back: whole ones, torn ones, and what they hold. */
#include "dmarc/report/json_read.h"
#include "tests/unit/guard.h"
#include "tests/unit/json_check.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

static const char *const good[] = {
	"{}",
	"{\"a\":1}",
	"{\"a\":[],\"b\":{},\"c\":[{}],\"d\":[[],[[]]]}",
	"{\"a\":-0,\"b\":1.25,\"c\":true,\"d\":false,\"e\":null,\"f\":\"\"}",
	"{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00fF\"}",
	"{\"a\":{\"b\":{\"c\":[1,2,{\"d\":3}]}},\"e\":4}",
	"{\"\\u0061\":1}",
};

static const char *const bad[] = {
	"",
	"1",
	"[]",
	"{",
	"}",
	"{}}",
	"{} ",
	" {}",
	"{\"a\"}",
	"{\"a\":}",
	"{\"a\":1,}",
	"{\"a\":1 }",
	"{,\"a\":1}",
	"{a:1}",
	"{\"a\":01}",
	"{\"a\":1.}",
	"{\"a\":.1}",
	"{\"a\":-}",
	"{\"a\":+1}",
	"{\"a\":tru}",
	"{\"a\":[1,]}",
	"{\"a\":[1}",
	"{\"a\":[1]]}",
	"{\"a\":{1}}",
	"{\"a\":[\"b\":1]}",
	"{\"a\":\"\\x\"}",
	"{\"a\":\"\\u12g4\"}",
	"{\"a\":\"\\u12\"}",
	"{\"a\":\"\n\"}",
	"{\"a\":\"b}",
	"{\"a\":1}{\"a\":1}",
};

static bool
is_object(const char *text)
{
	struct guard guard = guard_copy(span_cstr(text));
	bool is_good = json_is_object(guard.octets);

	guard_free(&guard);
	return is_good;
}

static void
test_01_whole_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASES(good); i++) {
		if (!is_object(good[i]))
			fail_msg("refused: %s", good[i]);
		assert_true(json_check(span_cstr(good[i])));
	}
	for (size_t i = 0; i < CASES(bad); i++)
		if (is_object(bad[i]))
			fail_msg("taken: %s", bad[i]);
}

/* As deep as JSON_READ_DEPTH, and no deeper. */
static void
test_06_depth(void **state)
{
	(void)state;
	for (size_t depth = 1; depth < 3 * JSON_READ_DEPTH; depth++) {
		struct buf text;

		buf_init(&text, 4096);
		buf_append(&text, SPAN_LIT("{\"a\":"));
		for (size_t i = 1; i < depth; i++)
			buf_append_octet(&text, '[');
		buf_append_octet(&text, '1');
		for (size_t i = 1; i < depth; i++)
			buf_append_octet(&text, ']');
		buf_append_octet(&text, '}');
		assert_true(json_is_object(buf_span(&text)) ==
			    (depth <= JSON_READ_DEPTH));
		buf_fini(&text);
	}
}

/* A line cut anywhere is no line. */
static void
test_02_torn_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASES(good); i++) {
		for (size_t n = 0; n < strlen(good[i]); n++) {
			struct guard guard = guard_copy(span_make(good[i], n));

			assert_false(json_is_object(guard.octets));
			guard_free(&guard);
		}
	}
}

static void
test_03_paths(void **state)
{
	static const char line[] =
		"{\"v\":1,\"a\":{\"b\":\"x\\u000a\",\"bb\":2},\"b\":[10,"
		"{\"c\":null},[true]],\"empty\":{},\"none\":[]}";
	static const struct {
		const char *path;
		const char *value; /* NULL: there is none */
	} cases[] = {
		{ "v", "1" },        { "a.b", "\"x\\u000a\"" },
		{ "a.bb", "2" },     { "a", "{\"b\":\"x\\u000a\",\"bb\":2}" },
		{ "b.0", "10" },     { "b.1.c", "null" },
		{ "b.2.0", "true" }, { "b.3", NULL },
		{ "b.x", NULL },     { "a.c", NULL },
		{ "a.b.c", NULL },   { "v.0", NULL },
		{ "empty.a", NULL }, { "none.0", NULL },
		{ "c", NULL },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct guard guard = guard_copy(span_cstr(line));
		struct span value;
		bool is_found = json_find(guard.octets, cases[i].path, &value);

		if (is_found != (cases[i].value != NULL) ||
		    (is_found && !span_equal(value, span_cstr(cases[i].value))))
			fail_msg("%s", cases[i].path);
		guard_free(&guard);
	}
}

static void
test_04_shown(void **state)
{
	static const char *const cases[][2] = {
		{ "\"a\\u001b\"", "a\\u001b" },
		{ "\"\"", "" },
		{ "12", "12" },
		{ "true", "true" },
		{ "null", "" },
		{ "{}", "" },
		{ "[\"a\"]", "" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++)
		assert_true(span_equal(json_shown(span_cstr(cases[i][0])),
				       span_cstr(cases[i][1])));
}

/* A torn record, with the next ones right behind it. */
static void
test_05_resynchronise(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"v\":1,\"a\":2}", "" },
		{ "x{\"v\":1,\"a\":2}", "{\"v\":1,\"a\":2}" },
		{ "{\"v\":1,\"ti{\"v\":1,\"a\":2}", "{\"v\":1,\"a\":2}" },
		{ "{\"v\":1{\"v\":1,\"a\":2}", "{\"v\":1,\"a\":2}" },
		{ "{{\"v\":1,", "{\"v\":1," },
		{ "x{\"v\":1,{\"v\":1,", "{\"v\":1,{\"v\":1," },
		{ "{\"v\":1,{\"v\":1", "" },
		{ "x{\"v\":2,", "" },
		{ "", "" },
		{ "{", "" },
		{ "{{{", "" },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct guard guard = guard_copy(span_cstr(cases[i][0]));

		assert_true(span_equal(json_resynchronise(guard.octets),
				       span_cstr(cases[i][1])));
		guard_free(&guard);
	}
}

static void
test_07_elements(void **state)
{
	static const struct {
		const char *array, *elements;
	} cases[] = {
		{ "[]", "" },
		{ "[1]", "1;" },
		{ "[\"a,]\",[2,3],{\"b\":[4]},null]",
		  "\"a,]\";[2,3];{\"b\":[4]};null;" },
		{ "{}", "" },
		{ "{\"a\":[1]}", "" },
		{ "\"[1]\"", "" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct guard guard = guard_copy(span_cstr(cases[i].array));
		struct span array = guard.octets, element;
		struct buf all;

		buf_init(&all, 100);
		while (json_next(&array, &element)) {
			buf_append(&all, element);
			buf_append_octet(&all, ';');
		}
		if (!span_equal(buf_span(&all), span_cstr(cases[i].elements)))
			fail_msg("%s", cases[i].array);
		buf_fini(&all);
		guard_free(&guard);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_01_whole_lines),
		cmocka_unit_test(test_02_torn_lines),
		cmocka_unit_test(test_03_paths),
		cmocka_unit_test(test_04_shown),
		cmocka_unit_test(test_05_resynchronise),
		cmocka_unit_test(test_06_depth),
		cmocka_unit_test(test_07_elements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
