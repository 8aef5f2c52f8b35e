/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/login.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* What stands behind AUTH, and how it goes on; NULL: it does not. */
static const struct {
	const char *argument;
	const char *line;
} arguments[] = {
	{ "PLAIN", "AUTH PLAIN\r\n" },
	{ "scram-sha-256", "AUTH SCRAM-SHA-256\r\n" },
	{ "X_1-a", "AUTH X_1-A\r\n" },
	{ "PLAIN AGEAYg==", "AUTH PLAIN AGEAYg==\r\n" },
	{ "PLAIN \t +/9A ", "AUTH PLAIN +/9A\r\n" },
	{ "XOAUTH2 =", "AUTH XOAUTH2 =\r\n" },
	{ "ABCDEFGHIJKLMNOPQRST", "AUTH ABCDEFGHIJKLMNOPQRST\r\n" },
	{ "ABCDEFGHIJKLMNOPQRSTU", NULL },
	{ "", NULL },
	{ "PLA*IN", NULL },
	{ "PL\xc3\x84IN", NULL },
	{ "PLAIN *", NULL },
	{ "PLAIN AGEAYg= =", NULL },
	{ "PLAIN AGEAYg==\v", NULL },
	{ "PLAIN AGEAYg== x", NULL },
};

static void
auth_is_written_anew(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(arguments); i++) {
		struct login login;
		struct buf line;
		bool is_good =
			login_parse(span_cstr(arguments[i].argument), &login);

		if (is_good != (arguments[i].line != NULL))
			fail_msg("%s", arguments[i].argument);
		if (!is_good)
			continue;
		buf_init(&line, LOGIN_LINE_MAX);
		assert_true(login_format(&login, &line));
		assert_true(span_equal(buf_span(&line),
				       span_cstr(arguments[i].line)));
		buf_fini(&line);
	}
}

static const struct {
	const char *line;
	bool is_response;
} lines[] = {
	{ "", true },          { "YQ==", true },     { "YWI=", true },
	{ "YWJj", true },      { "YWJjYWJj", true }, { "=", true },
	{ "*", true },         { "**", false },      { "==", false },
	{ "===", false },      { "====", false },    { "Y===", false },
	{ "YQ=", false },      { "YQ", false },      { "YQ==YQ==", false },
	{ "YQ= =", false },    { " YQ==", false },   { "YQ==\n", false },
	{ "Y-_j", false },     { "YW\0j", false },   { "RSET", true },
	{ "RCPT TO:", false },
};

static void
responses_are_base64(void **state)
{
	struct reply reply = { .code = 334, .lines = 1 };

	(void)state;
	for (size_t i = 0; i < ROWS(lines); i++) {
		struct span line = span_cstr(lines[i].line);

		if (login_is_response(line) != lines[i].is_response)
			fail_msg("%s", lines[i].line);
		reply.line[0] = line;
		assert_int_equal(login_is_challenge(&reply),
				 lines[i].is_response &&
					 !span_equal(line, SPAN_LIT("*")) &&
					 !span_equal(line, SPAN_LIT("=")));
	}
	reply.line[0] = SPAN_LIT("YQ==");
	reply.lines = 2;
	assert_false(login_is_challenge(&reply));
	reply = (struct reply){ .code = 235, .lines = 1 };
	assert_false(login_is_challenge(&reply));
}

static const struct {
	const char *offered;
	const char *list;
} offers[] = {
	{ "PLAIN LOGIN", "PLAIN LOGIN" },
	{ "", "" },
	{ "plain  Plain\tLOGIN", "PLAIN LOGIN" },
	{ "GSSAPI gss-spnego EXTERNAL NTLM DIGEST-MD5 SRP KERBEROS_V4", "" },
	{ "SCRAM-SHA-1-PLUS SCRAM-SHA-1", "SCRAM-SHA-1" },
	{ "PL=AIN X", "X" },
	/* No room for the sixth; room for a short one behind it. */
	{ "A2345678901234567890 B2345678901234567890 C2345678901234567890 "
	  "D2345678901234567890 E2345678901234567890 F2345678901234567890 X",
	  "A2345678901234567890 B2345678901234567890 C2345678901234567890 "
	  "D2345678901234567890 E2345678901234567890 X" },
};

static void
mechanisms_that_can_be_passed_on_are_kept(void **state)
{
	char list[LOGIN_MECHANISMS_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ROWS(offers); i++) {
		login_mechanisms(span_cstr(offers[i].offered), list);
		assert_string_equal(list, offers[i].list);
	}
	login_mechanisms(SPAN_LIT("PLAIN CRAM-MD5"), list);
	assert_true(login_has_mechanism(list, SPAN_LIT("cram-md5")));
	assert_false(login_has_mechanism(list, SPAN_LIT("CRAM")));
	assert_false(login_has_mechanism(list, SPAN_NONE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auth_is_written_anew),
		cmocka_unit_test(responses_are_base64),
		cmocka_unit_test(mechanisms_that_can_be_passed_on_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
