/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/parameter.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* clang-format off */
static const struct {
	const char *parameter;
	bool is_good;
} values[] = {
	{ "RET=FULL", true }, { "ret=hdrs", true }, { "RET=BODY", false },
	{ "RET", false }, { "RET=FULLY", false },
	{ "ENVID=QQ314159", true }, { "ENVID=a+2Bb+3D", true },
	{ "ENVID=a+2b", false }, { "ENVID=a+2", false }, { "ENVID=+", false },
	{ "ENVID=a+0D+0ARCPT", false }, { "ENVID", false },
	{ "NOTIFY=NEVER", true }, { "NOTIFY=success,Failure,DELAY", true },
	{ "NOTIFY=DELAY", true }, { "NOTIFY=NEVER,DELAY", false },
	{ "NOTIFY=DELAY,NEVER", false }, { "NOTIFY=DELAY,", false },
	{ "NOTIFY=,DELAY", false }, { "NOTIFY=DELAY,,FAILURE", false },
	{ "NOTIFY=ALWAYS", false }, { "NOTIFY", false },
	{ "ORCPT=rfc822;bob@example.org", true },
	{ "ORCPT=x400;a+2Bb", true }, { "ORCPT=;bob@example.org", false },
	{ "ORCPT=rfc822;", false }, { "ORCPT=rfc822", false },
	{ "ORCPT=rfc 822;bob", false }, { "ORCPT=(a);bob", false },
	{ "ORCPT=rfc822;a+b@example.org", false },
	{ "ORCPT=rfc822;a+0Ab", false }, { "ORCPT", false },
	{ "ORCPT=utf-8;gr\xc3\xbc\xc3\x9f@example.org", true },
	{ "ORCPT=UTF-8;\\x{FC}@example.org", true },
	{ "ORCPT=utf-8;\xc3\xbc+0A", false }, { "ORCPT=utf-8;", false },
	{ "ORCPT=rfc822;\xc3\xbc@example.org", false },
	{ "BY=120;R", true }, { "BY=+120;RT", true }, { "BY=-120;N", true },
	{ "BY=0;n", true }, { "BY=999999999;NT", true },
	{ "BY=1000000000;N", false }, { "BY=0;R", false },
	{ "BY=-1;R", false }, { "BY=120", false }, { "BY=120;", false },
	{ "BY=120;X", false }, { "BY=120;TR", false }, { "BY=;N", false },
	{ "BY=--1;N", false }, { "BY=1.5;N", false }, { "BY", false },
	{ "HOLDFOR=1", true }, { "HOLDFOR=999999999", true },
	{ "HOLDFOR=0", false }, { "HOLDFOR=01", false },
	{ "HOLDFOR=1000000000", false }, { "HOLDFOR=-1", false },
	{ "HOLDFOR", false },
	{ "HOLDUNTIL=2026-12-24T18:00:00Z", true },
	{ "HOLDUNTIL=2026-12-24t18:00:60.25z", true },
	{ "HOLDUNTIL=2026-12-24T18:00:00+01:00", true },
	{ "HOLDUNTIL=2026-12-24T18:00:00-23:59", true },
	{ "HOLDUNTIL=2026-12-24", false },
	{ "HOLDUNTIL=2026-12-24T18:00:00", false },
	{ "HOLDUNTIL=2026-13-24T18:00:00Z", false },
	{ "HOLDUNTIL=2026-00-24T18:00:00Z", false },
	{ "HOLDUNTIL=2026-12-32T18:00:00Z", false },
	{ "HOLDUNTIL=2026-12-24T24:00:00Z", false },
	{ "HOLDUNTIL=2026-12-24T18:60:00Z", false },
	{ "HOLDUNTIL=2026-12-24T18:00:61Z", false },
	{ "HOLDUNTIL=2026-12-24T18:00:00.Z", false },
	{ "HOLDUNTIL=2026-12-24T18:00:00ZZ", false },
	{ "HOLDUNTIL=2026-12-24T18:00:00+0100", false },
	{ "HOLDUNTIL=2026-12-24T18:00:00+01:000", false },
	{ "HOLDUNTIL=2026/12/24T18:00:00Z", false },
	{ "HOLDUNTIL=26-12-24T18:00:00Z", false }, { "HOLDUNTIL", false },
	{ "MT-PRIORITY=0", true }, { "MT-PRIORITY=9", true },
	{ "mt-priority=-9", true }, { "MT-PRIORITY=-0", false },
	{ "MT-PRIORITY=10", false }, { "MT-PRIORITY=+1", false },
	{ "MT-PRIORITY=-10", false }, { "MT-PRIORITY", false },
	{ "SOLICIT=net.example:ADV", true }, { "SOLICIT=a,b-c_d.e", true },
	{ "SOLICIT=a,", false }, { "SOLICIT=1a", false },
	{ "SOLICIT=a,,b", false }, { "SOLICIT=a;b", false },
	{ "SOLICIT", false },
	{ "REQUIRETLS", true }, { "REQUIRETLS=yes", false },
	{ "AUTH=<>", true }, { "AUTH=bob@example.org", true },
	{ "AUTH=a+2Bb@example.org", true }, { "AUTH=<bob>", true },
	{ "AUTH=a+b@example.org", false }, { "AUTH=a+0Ab", false },
	{ "AUTH", false },
	/* Not of the table: others look at them. */
	{ "SIZE=x", true }, { "X-NEW", true },
};
/* clang-format on */

static bool
is_good(struct span text)
{
	size_t n = span_find(text, '=');
	struct parameter parameter = { .keyword = span_first(text, n) };

	if (n < text.n) {
		parameter.has_value = true;
		parameter.value = span_after(text, n + 1);
	}
	return parameter_is_good(&parameter);
}

static void
values_are_by_their_grammar(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(values); i++)
		if (is_good(span_cstr(values[i].parameter)) !=
		    values[i].is_good)
			fail_msg("%s", values[i].parameter);
}

/* As many octets of 'a' behind a beginning as make so many of the value. */
static bool
is_good_of_length(const char *start, size_t n)
{
	struct span begin = span_cstr(start);
	size_t wanted = span_find(begin, '=') + 1 + n;
	struct buf text;
	bool was_good;

	buf_init(&text, wanted);
	buf_append(&text, begin);
	while (text.n < wanted)
		assert_true(buf_append_octet(&text, 'a'));
	was_good = is_good(buf_span(&text));
	buf_fini(&text);
	return was_good;
}

static void
values_have_their_length(void **state)
{
	static const struct {
		const char *start;
		size_t max;
	} rows[] = {
		{ "ENVID=", PARAMETER_ENVID_MAX },
		{ "ORCPT=rfc822;", PARAMETER_ORCPT_MAX },
		{ "SOLICIT=", PARAMETER_SOLICIT_MAX },
		{ "AUTH=", PARAMETER_SUBMITTER_MAX },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_true(is_good_of_length(rows[i].start, rows[i].max));
		assert_false(is_good_of_length(rows[i].start, rows[i].max + 1));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_by_their_grammar),
		cmocka_unit_test(values_have_their_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
