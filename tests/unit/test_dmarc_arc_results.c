/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ARC-Authentication-Results: what of it is a claim, and that what cannot be
 * read without doubt is none.
 */
#include "dmarc/arc_results.h"
#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

static struct arena arena;

/* --- the instance --- */

static const struct {
	const char *body;
	unsigned instance; /* 0: none */
	const char *rest;
} instances[] = {
	{ " i=1; mx.example; none", 1, " mx.example; none" },
	{ "i=50;x", 50, "x" },
	{ " i = 2 ;x", 2, "x" },
	{ " (i=3;) i=4;x", 4, "x" },
	{ "\r\n\ti=5\r\n\t;x", 5, "x" },
	{ " i=07;x", 7, "x" },
	{ " mx.example; i=1; none", 0, NULL },
	{ " i=1 mx.example; none", 0, NULL },
	{ " i=; x", 0, NULL },
	{ " i=0; x", 0, NULL },
	{ " i=100; x", 0, NULL },
	{ " i=-1; x", 0, NULL },
	{ " i=a; x", 0, NULL },
	{ " I=1; x", 0, NULL },
	{ " i=1", 0, NULL },
	{ " (i=1; x", 0, NULL },
	{ "", 0, NULL },
};

static void
t1_the_instance_stands_first(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASES(instances); i++) {
		struct guard guard = guard_copy(span_cstr(instances[i].body));
		struct span body = guard.octets, rest;
		unsigned instance = 0;

		if (arc_results_instance(body, &instance, &rest) !=
			    (instances[i].instance > 0) ||
		    instance != instances[i].instance)
			fail_msg("%s: %u", instances[i].body, instance);
		if (instance > 0)
			assert_true(
				span_equal(rest, span_cstr(instances[i].rest)));
		guard_free(&guard);
	}
}

/* --- results --- */

static const struct {
	const char *text;
	const char *found; /* NULL: it cannot be read */
} fields[] = {
	{ " mx.example; none", "" },
	{ " mx.example 1; none", "" },
	{ " \"mx.example\" (x) 1 ; none", "" },
	{ " mx.example; dmarc=pass header.from=a.example",
	  "dmarc=pass:a.example" },
	{ " mx.example; DMARC=Pass Header.From=A.Example",
	  "dmarc=pass:a.example" },
	{ " mx.example; dmarc = pass header.from = a.example",
	  "dmarc=pass:a.example" },
	{ " mx.example; dmarc/1=pass header.from=a.example",
	  "dmarc=pass:a.example" },
	{ " mx.example;\r\n\tdmarc=pass (p=none; dmarc=fail)\r\n\t"
	  "header.from=a.example;",
	  "dmarc=pass:a.example" },
	{ " mx.example; dmarc=pass header.from=\"a.example\"",
	  "dmarc=pass:a.example" },
	{ " mx.example; dmarc=pass header.from=m\xc3\xbcnchen.example",
	  "dmarc=pass:xn--mnchen-3ya.example" },
	{ " mx.example; dmarc=pass reason=\"a; dmarc=fail\" "
	  "header.from=a.example",
	  "dmarc=pass:a.example" },
	/* as large senders write them */
	{ " mx.google.com; dkim=pass header.i=@a.example header.s=s1 "
	  "header.b=\"x/y+z=\"; spf=pass (google.com: domain of b@a.example "
	  "designates 192.0.2.1 as permitted sender) "
	  "smtp.mailfrom=b@a.example; "
	  "dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=a.example",
	  "dkim:a.example spf:a.example dmarc=pass:a.example" },
	{ " mx.microsoft.com 1; spf=pass (sender ip is 192.0.2.1) "
	  "smtp.rcpttodomain=b.example smtp.mailfrom=a.example; dmarc=pass "
	  "(p=reject pct=100) action=none header.from=a.example; dkim=pass "
	  "(signature was verified) header.d=a.example; arc=pass (0 oda=1 "
	  "ltdi=1 spf=[1,1,smtp.mailfrom=a.example])",
	  "spf:a.example dkim:a.example dmarc=pass:a.example" },
	{ " mx.example; arc=pass smtp.remote-ip=2001:db8::1; none",
	  "ip:2001:db8::1" },
	{ " mx.example; arc=pass smtp.remote-ip=\"192.0.2.9\"; x=y",
	  "ip:192.0.2.9" },
	/* not a pass */
	{ " mx.example; dmarc=fail header.from=a.example",
	  "dmarc=not:a.example" },
	{ " mx.example; dmarc=passed header.from=a.example",
	  "dmarc=not:a.example" },
	{ " mx.example; dmarc=pass", "dmarc=pass:" },
	{ " mx.example; dmarc=fail dmarc=pass header.from=a.example",
	  "dmarc=not:a.example" },
	{ " mx.example; dmarc=fail header.from=a.example; dmarc=pass "
	  "header.from=a.example",
	  "dmarc=not:a.example" },
	{ " mx.example; dmarc=pass header.from=a.example; dmarc=fail",
	  "dmarc=not:" },
	{ " mx.example; dmarc=pass header.from=a.example header.from=b.example",
	  "dmarc=not:b.example" },
	{ " mx.example; dmarc=pass header.from=a..example", "dmarc=not:" },
	{ " mx.example; dmarc=fail (dmarc=pass header.from=a.example)",
	  "dmarc=not:" },
	{ " mx.example; x-dmarc=pass header.from=a.example", "" },
	{ " mx.example; dkim=pass header.d=a.example header.d=b.example", "" },
	{ " mx.example; dkim=pass header.i=@a.example header.i=@b.example",
	  "" },
	{ " mx.example; dkim=fail header.d=a.example", "" },
	{ " mx.example; dkim=pass header.d=a.example header.i=@b.example",
	  "dkim:a.example" },
	{ " mx.example; spf=pass smtp.helo=a.example", "" },
	{ " mx.example; spf=pass smtp.mailfrom=\"x@a.example\"@b.example",
	  "spf:b.example" },
	{ " mx.example; spf=pass smtp.mailfrom=\"x; dmarc=pass "
	  "header.from=a.example\"@b.example",
	  "spf:b.example" },
	{ " mx.example; spf=pass smtp.mailfrom=x@[192.0.2.1]", "" },
	/* what cannot be read */
	{ "", NULL },
	{ " mx.example", NULL },
	{ " mx.example;", NULL },
	{ " ; dmarc=pass header.from=a.example", NULL },
	{ " mx.example 2; dmarc=pass header.from=a.example", NULL },
	{ " mx.example; dmarc/2=pass header.from=a.example", NULL },
	{ " mx.example; dmarc=pass header.from=a.example (", NULL },
	{ " mx.example; dmarc=pass header.from=a.example (\\)", NULL },
	{ " mx.example; dmarc=pass header.from=\"a.example", NULL },
	{ " mx.example; dmarc=pass header.from=\"a.example\\", NULL },
	{ " mx.example; dmarc=pass header.from=a\"b\".example", NULL },
	{ " mx.example; dmarc=pass header.from=\"a\".example", NULL },
	{ " mx.example; dmarc=pass header.from=a.example)", NULL },
	{ " mx.example; dmarc=pass header.from=<a.example>", NULL },
	{ " mx.example; dmarc=pass header.from=a.example, x", NULL },
	{ " mx.example; dmarc=pass header.from=", NULL },
	{ " mx.example; dmarc=pass header.from", NULL },
	{ " mx.example; dmarc=pass; spf", NULL },
	{ " mx.example; dmarc=; spf=pass", NULL },
	{ " mx.example; =pass", NULL },
	{ " mx.example;; dmarc=pass header.from=a.example", NULL },
	{ " mx.example; spf=pass smtp.mailfrom=\"a\r\n b\"@a.example", NULL },
	{ " mx.example dmarc=pass header.from=a.example", NULL },
};

static void
describe(const struct arc_results *results, char *text, size_t size)
{
	char ip[IP_TEXT_MAX];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < results->claims; i++)
		n += (size_t)snprintf(text + n, size - n, "%s%s:%.*s",
				      n > 0 ? " " : "",
				      results->claim[i].is_spf ? "spf" : "dkim",
				      (int)results->claim[i].domain.n,
				      results->claim[i].domain.p);
	if (results->dmarc > 0)
		n += (size_t)snprintf(
			text + n, size - n, "%sdmarc=%s:%.*s", n > 0 ? " " : "",
			results->is_dmarc_pass ? "pass" : "not",
			(int)results->dmarc_from.n, results->dmarc_from.p);
	if (results->remote_ip.family != IP_NONE) {
		ip_format(&results->remote_ip, ip);
		n += (size_t)snprintf(text + n, size - n, "%sip:%s",
				      n > 0 ? " " : "", ip);
	}
	assert_true(n < size);
}

static void
t2_claims(void **state)
{
	struct arc_results results;
	char found[500];

	(void)state;
	for (size_t i = 0; i < CASES(fields); i++) {
		struct guard guard = guard_copy(span_cstr(fields[i].text));
		bool is_good;

		arena_reset(&arena);
		is_good = arc_results_parse(guard.octets, &arena, &results);
		describe(&results, found, sizeof(found));
		if (is_good != (fields[i].found != NULL) ||
		    strcmp(found, is_good ? fields[i].found : "") != 0)
			fail_msg("\"%s\": %s \"%s\"", fields[i].text,
				 is_good ? "read as" : "unreadable", found);
		guard_free(&guard);
	}
}

/* --- bounds --- */

static void
t3_claims_and_results_are_capped(void **state)
{
	static char text[20000];
	struct arc_results results;
	size_t n;

	(void)state;
	for (size_t count = 99; count <= 101; count++) {
		n = (size_t)snprintf(text, sizeof(text), " mx.example");
		for (size_t i = 0; i < count; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
					      "; dkim=pass header.d=a.example");
		assert_int_equal(
			arc_results_parse(span_cstr(text), &arena, &results),
			count <= ARC_RESULTS_MAX);
		assert_int_equal(results.claims,
				 count <= ARC_RESULTS_MAX ? ARC_CLAIMS_MAX : 0);
	}
}

static void
t3_comments_nest_without_recursion(void **state)
{
	static char text[200100] = " mx.example; ";
	struct arc_results results;

	(void)state;
	memset(text + 13, '(', 100000);
	memset(text + 100013, ')', 100000);
	memcpy(text + 200013, "none", 5);
	assert_true(arc_results_parse(span_cstr(text), &arena, &results));
	text[200012] = ' ';
	assert_false(arc_results_parse(span_cstr(text), &arena, &results));
}

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_the_instance_stands_first),
		cmocka_unit_test(t2_claims),
		cmocka_unit_test(t3_claims_and_results_are_capped),
		cmocka_unit_test(t3_comments_nest_without_recursion),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
