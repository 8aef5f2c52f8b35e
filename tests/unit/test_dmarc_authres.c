/* SPDX-License-Identifier: BSD-2-Clause */
/* Authentication-Results: ours cannot be injected into, others' cannot pass
 * for ours. */
#include "dmarc/authres.h"
#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

static struct buf buf;

static int
set_up(void **state)
{
	(void)state;
	buf_init(&buf, (size_t)1 << 20);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	buf_fini(&buf);
	return 0;
}

static void
assert_span(struct span s, const char *text)
{
	if (!span_equal(s, span_cstr(text)))
		fail_msg("is:\n%.*s\nnot:\n%s", (int)s.n, (const char *)s.p,
			 text);
}

static struct verdict
verdict_of(enum dmarc_result result, const char *from)
{
	struct verdict verdict = { .authors = 1, .result = result };

	verdict.author[0].domain = span_cstr(from);
	verdict.author[0].discovered = DISCOVERY_FOUND;
	verdict.author[0].effective.is_usable = true;
	verdict.author[0].effective.applied = POLICY_REJECT;
	return verdict;
}

static const char *
formatted(const struct verdict *verdict, const struct spf_facts *facts)
{
	buf_reset(&buf);
	assert_true(
		authres_format(verdict, facts, SPAN_LIT("mx.example"), &buf));
	assert_true(buf_append_octet(&buf, '\0'));
	return (const char *)buf_span(&buf).p;
}

static void
t1_a_message_that_passes(void **state)
{
	struct dkim_signature signatures[2] = {
		{ .result = DKIM_PASS,
		  .reason = "",
		  .domain = SPAN_LIT("a.example"),
		  .selector = SPAN_LIT("s1"),
		  .algorithm = SPAN_LIT("rsa-sha256"),
		  .identity = SPAN_LIT("@a.example"),
		  .b_start = SPAN_LIT("x1/9aB+c") },
		{ .result = DKIM_FAIL,
		  .reason = "body hash does not match",
		  .domain = SPAN_LIT("list.example"),
		  .selector = SPAN_LIT("k2"),
		  .algorithm = SPAN_LIT("ed25519-sha256"),
		  .b_start = SPAN_LIT("abcdEFGH") },
	};
	struct verdict verdict = verdict_of(DMARC_PASS, "a.example");
	struct spf_facts facts = { .local = SPAN_LIT("alice"),
				   .domain = SPAN_LIT("B.example") };

	(void)state;
	verdict.spf.result = SPF_PASS;
	verdict.spf.reason = "nothing to explain";
	verdict.spf.domain = SPAN_LIT("b.example");
	verdict.dkim = signatures;
	verdict.dkim_count = 2;
	assert_span(span_cstr(formatted(&verdict, &facts)),
		    "Authentication-Results: mx.example;\r\n"
		    "\tspf=pass smtp.mailfrom=alice@b.example;\r\n"
		    "\tdkim=pass header.d=a.example header.i=@a.example "
		    "header.s=s1\r\n"
		    "\theader.a=rsa-sha256 header.b=\"x1/9aB+c\";\r\n"
		    "\tdkim=fail reason=\"body hash does not match\" "
		    "header.d=list.example\r\n"
		    "\theader.s=k2 header.a=ed25519-sha256 "
		    "header.b=abcdEFGH;\r\n"
		    "\tdmarc=pass policy.dmarc=reject header.from=a.example"
		    "\r\n");
}

static void
t2_the_null_path_shows_the_helo_name(void **state)
{
	struct verdict verdict = verdict_of(DMARC_FAIL, "a.example");
	struct spf_facts facts = { .is_null = true,
				   .helo = SPAN_LIT("Mail.b.example") };

	(void)state;
	verdict.spf.result = SPF_SOFTFAIL;
	verdict.spf.reason = "matched ~all";
	verdict.spf.domain = SPAN_LIT("mail.b.example");
	assert_span(span_cstr(formatted(&verdict, &facts)),
		    "Authentication-Results: mx.example;\r\n"
		    "\tspf=softfail reason=\"matched ~all\" "
		    "smtp.helo=mail.b.example;\r\n"
		    "\tdkim=none;\r\n"
		    "\tdmarc=fail policy.dmarc=reject header.from=a.example"
		    "\r\n");
}

static void
t2_a_chain_shows_how_far_back_it_passes(void **state)
{
	struct verdict verdict = verdict_of(DMARC_FAIL, "a.example");
	struct spf_facts facts = { .is_null = true,
				   .helo = SPAN_LIT("b.example") };
	struct arc_chain chain = { .result = ARC_PASS,
				   .reason = "",
				   .has_oldest_pass = true };

	(void)state;
	assert_true(ip_parse(SPAN_LIT("2001:db8::1"), &facts.client));
	verdict.arc = &chain;
	assert_non_null(strstr(formatted(&verdict, &facts),
			       "\tdkim=none;\r\n"
			       "\tarc=pass smtp.remote-ip=\"2001:db8::1\" "
			       "header.oldest-pass=0;\r\n"
			       "\tdmarc=fail "));
	chain.oldest_pass = 41;
	assert_non_null(
		strstr(formatted(&verdict, &facts), " header.oldest-pass=41;"));
	chain = (struct arc_chain){ .result = ARC_FAIL,
				    .reason = "the key is revoked" };
	assert_true(ip_parse(SPAN_LIT("192.0.2.1"), &facts.client));
	assert_non_null(strstr(formatted(&verdict, &facts),
			       "\tarc=fail reason=\"the key is revoked\" "
			       "smtp.remote-ip=192.0.2.1;\r\n"));
	chain = (struct arc_chain){ .result = ARC_NONE, .reason = "" };
	assert_non_null(strstr(formatted(&verdict, &facts), "\tarc=none;\r\n"));
}

/* With several authors the field has one result, that of the message. */
static void
t3_one_result_for_several_authors(void **state)
{
	struct verdict verdict = verdict_of(DMARC_FAIL, "good.example");
	struct spf_facts facts = { .is_null = true };

	(void)state;
	verdict.authors = 2;
	verdict.author[0].result = DMARC_PASS;
	verdict.author[1] = verdict.author[0];
	verdict.author[1].domain = SPAN_LIT("victim.example");
	verdict.author[1].effective.applied = POLICY_QUARANTINE;
	verdict.deciding = 1;
	assert_span(span_cstr(formatted(&verdict, &facts)),
		    "Authentication-Results: mx.example;\r\n"
		    "\tspf=none;\r\n"
		    "\tdkim=none;\r\n"
		    "\tdmarc=fail policy.dmarc=quarantine "
		    "header.from=victim.example\r\n");
}

static void
t4_no_policy_is_named_where_there_is_none(void **state)
{
	struct verdict verdict = verdict_of(DMARC_PERMERROR, "a.example");
	struct spf_facts facts = { .is_null = true };

	(void)state;
	verdict.author[0].effective.is_usable = false;
	verdict.author[0].error = "bad-policy";
	assert_span(span_cstr(formatted(&verdict, &facts)),
		    "Authentication-Results: mx.example;\r\n"
		    "\tspf=none;\r\n"
		    "\tdkim=none;\r\n"
		    "\tdmarc=permerror reason=bad-policy "
		    "header.from=a.example\r\n");
	verdict = verdict_of(DMARC_NONE, "a.example");
	verdict.author[0].discovered = DISCOVERY_NONE;
	assert_span(span_cstr(formatted(&verdict, &facts)),
		    "Authentication-Results: mx.example;\r\n"
		    "\tspf=none;\r\n"
		    "\tdkim=none;\r\n"
		    "\tdmarc=none header.from=a.example\r\n");
}

static void
t5_nothing_checked_is_none(void **state)
{
	struct verdict verdict = { .authors = 0 };
	struct spf_facts facts = { .is_null = true };

	(void)state;
	assert_span(span_cstr(formatted(&verdict, &facts)),
		    "Authentication-Results: mx.example; none\r\n");
	/* … but a From that could not be read was looked at */
	verdict.from_fault = FROM_FAULT_MISSING;
	assert_span(span_cstr(formatted(&verdict, &facts)),
		    "Authentication-Results: mx.example;\r\n"
		    "\tspf=none;\r\n"
		    "\tdkim=none;\r\n"
		    "\tdmarc=none\r\n");
}

/* How a MAIL FROM is written: as an address if nothing in it is special. */
static void
t6_addresses(void **state)
{
	static const struct {
		const char *local, *domain, *property;
	} cases[] = {
		{ "alice", "b.example", "alice@b.example" },
		{ "a.b+c=d", "b.example", "a.b+c=d@b.example" },
		{ "", "b.example", "@b.example" },
		{ "a b", "b.example", "\"a b@b.example\"" },
		{ "\"a b\"", "b.example", "\"\\\"a b\\\"@b.example\"" },
		{ "\"a\\\"b\"", "b.example",
		  "\"\\\"a\\\\\\\"b\\\"@b.example\"" },
		{ "a..b", "b.example", "\"a..b@b.example\"" },
		{ ".a", "b.example", "\".a@b.example\"" },
		{ "a.", "b.example", "\"a.@b.example\"" },
		{ "a;dmarc=pass", "b.example", "\"a;dmarc=pass@b.example\"" },
		{ "a)", "b.example", "\"a)@b.example\"" },
		{ "a\r\nX: y", "b.example", "\"a??X: y@b.example\"" },
		{ "a\tb\x7f", "b.example", "\"a?b?@b.example\"" },
		{ "ü", "b.example", "\"ü@b.example\"" },
		{ "\xc2\x85u", "b.example", "\"?u@b.example\"" }, /* C1 */
		{ "\xfc", "b.example", "\"?@b.example\"" },
		{ "a", "[192.0.2.1]", "\"a@[192.0.2.1]\"" },
		{ "a", "_b.example", "\"a@_b.example\"" },
		/* no domain-name of RFC 6376 3.5 */
		{ "root", "localhost", "\"root@localhost\"" },
		{ "a", "b..example", "\"a@b..example\"" },
		{ "a", ".b.example", "\"a@.b.example\"" },
		{ "a", "b.example.", "\"a@b.example.\"" },
		{ "a", "-b.example", "\"a@-b.example\"" },
		{ "a", "b.example-", "\"a@b.example-\"" },
		{ "a", "xn--b-1.example", "a@xn--b-1.example" },
		{ "a", "b.example dmarc=pass", "\"a@b.example dmarc=pass\"" },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct verdict verdict = verdict_of(DMARC_PASS, "a.example");
		struct spf_facts facts = { .local = span_cstr(cases[i].local),
					   .domain =
						   span_cstr(cases[i].domain) };
		char want[512];

		snprintf(want, sizeof(want),
			 "Authentication-Results: mx.example;\r\n"
			 "\tspf=none smtp.mailfrom=%s;\r\n"
			 "\tdkim=none;\r\n"
			 "\tdmarc=pass policy.dmarc=reject "
			 "header.from=a.example\r\n",
			 cases[i].property);
		assert_span(span_cstr(formatted(&verdict, &facts)), want);
	}
}

static void
t7_values_from_a_signature_are_tokens_or_quoted(void **state)
{
	struct dkim_signature signature = {
		.result = DKIM_PERMERROR,
		.reason = "",
		.selector = SPAN_LIT("s;dmarc=pass"),
		.algorithm = SPAN_LIT("rsa\" (\r\n"),
		.identity = SPAN_LIT("a@b@c.example"),
	};
	struct verdict verdict = verdict_of(DMARC_PASS, "a.example");
	struct spf_facts facts = { .is_null = true };

	(void)state;
	verdict.dkim = &signature;
	verdict.dkim_count = 1;
	assert_span(span_cstr(formatted(&verdict, &facts)),
		    "Authentication-Results: mx.example;\r\n"
		    "\tspf=none;\r\n"
		    "\tdkim=permerror header.i=\"a@b@c.example\" "
		    "header.s=\"s;dmarc=pass\"\r\n"
		    "\theader.a=\"rsa\\\" (??\";\r\n"
		    "\tdmarc=pass policy.dmarc=reject header.from=a.example"
		    "\r\n");
}

static void
t8_octets_of_no_token_are_quoted(void **state)
{
	static const struct {
		const char *value, *property;
	} cases[] = {
		{ "s1", "s1" },
		{ "a+b_c~{}", "a+b_c~{}" },
		{ "a=b", "\"a=b\"" },
		{ "a/b", "\"a/b\"" },
		{ "[]", "\"[]\"" },
		{ "a\x7f", "\"a?\"" },
		{ "\xc3\xbc", "\"\xc3\xbc\"" },
		{ "\xff", "\"?\"" },
		{ "\xc2\x9f\xc2\xa0", "\"?\xc2\xa0\"" },
		{ "\\", "\"\\\\\"" },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct dkim_signature signature = {
			.selector = span_cstr(cases[i].value),
		};
		struct verdict verdict = verdict_of(DMARC_PASS, "a.example");
		struct spf_facts facts = { .local = SPAN_LIT("nobody") };
		char want[512];

		verdict.dkim = &signature;
		verdict.dkim_count = 1;
		snprintf(want, sizeof(want),
			 "Authentication-Results: mx.example;\r\n"
			 "\tspf=none;\r\n"
			 "\tdkim=none header.s=%s;\r\n"
			 "\tdmarc=pass policy.dmarc=reject "
			 "header.from=a.example\r\n",
			 cases[i].property);
		assert_span(span_cstr(formatted(&verdict, &facts)), want);
	}
}

static size_t
count_octets(struct span s, uint8_t octet)
{
	size_t count = 0;

	for (size_t i = 0; i < s.n; i++)
		count += s.p[i] == octet;
	return count;
}

/* A value too long for a line is left out, not cut. */
static void
t9_no_line_is_too_long(void **state)
{
	static uint8_t octets[4096];

	(void)state;
	memset(octets, '"', sizeof(octets));
	for (size_t n = 0; n < sizeof(octets); n += 13) {
		struct dkim_signature signature = {
			.result = DKIM_PASS,
			.identity = span_make(octets, n),
		};
		struct verdict verdict = verdict_of(DMARC_PASS, "a.example");
		struct spf_facts facts = { .is_null = true };
		struct span field;
		size_t end;

		verdict.dkim = &signature;
		verdict.dkim_count = 1;
		field = span_cstr(formatted(&verdict, &facts));
		/* all of its quotes and two around them, or nothing */
		assert_int_equal(count_octets(field, '"'),
				 n > 0 && n < 395 ? n + 2 : 0);
		for (; field.n > 0; field = span_after(field, end + 1)) {
			end = span_find(field, '\n');
			assert_true(end < 998);
			assert_int_equal(field.p[end - 1], '\r');
		}
	}
}

static void
t10_a_full_buffer_is_told(void **state)
{
	struct verdict verdict = verdict_of(DMARC_PASS, "a.example");
	struct spf_facts facts = { .is_null = true };
	size_t whole;

	(void)state;
	whole = strlen(formatted(&verdict, &facts));
	for (size_t max = 0; max < whole + 2; max++) {
		struct buf small;

		buf_init(&small, max);
		assert_int_equal(authres_format(&verdict, &facts,
						SPAN_LIT("mx.example"), &small),
				 max >= whole);
		buf_fini(&small);
	}
}

static bool
is_forged(const char *name, struct span body, const struct span *ids,
	  size_t count)
{
	struct guard guard = guard_copy(body);
	struct field field = { .raw = guard.octets,
			       .name = span_cstr(name),
			       .body = guard.octets };
	bool forged = authres_is_forged(&field, ids, count);

	guard_free(&guard);
	return forged;
}

static const struct span our_ids[] = {
	{ (const uint8_t *)"mx.example", 10 },
	{ (const uint8_t *)"xn--bcher-kva.example", 21 },
};

static void
t11_what_claims_to_be_ours(void **state)
{
	static const char *const cases[] = {
		"mx.example; spf=pass",
		" mx.example; spf=pass",
		" mx.example; none",
		"\r\n\tmx.example;\r\n\tspf=pass",
		" MX.Example;",
		" mx.example. ;",
		" mx.example 1; spf=pass",
		" mx.example\r\n 1\r\n ;",
		" (comment) mx.example (another (nested)) ; spf=pass",
		" (\\) \\( ;) mx.example;",
		" mx.example(1)1(2);",
		" \"mx.example\"; spf=pass",
		" \"mx\\.example\" 1; spf=pass",
		" bücher.example; spf=pass",
		" BÜCHER.example; spf=pass",
		" xn--bcher-kva.EXAMPLE; spf=pass",
		" \"bücher.example\";",
		" ｍｘ.example;",
		" mx。example;",
		" m\xc2\xadx.example;",
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++)
		if (!is_forged("Authentication-Results", span_cstr(cases[i]),
			       our_ids, CASES(our_ids)))
			fail_msg("\"%s\" claims to be ours", cases[i]);
	assert_true(is_forged("AUTHENTICATION-results", span_cstr(cases[0]),
			      our_ids, CASES(our_ids)));
}

static void
t12_what_cannot_be_read(void **state)
{
	static const char *const cases[] = {
		"",
		" ",
		"\r\n ",
		";",
		" ; spf=pass",
		" (comment only)",
		" (open; other.example; spf=pass",
		" (trailing \\",
		/* comments that not everybody leaves at the same place */
		" (mx.example; none) other.example; none",
		" (a (b) mx.example; c) other.example; none",
		" (a\r\n mx.example) other.example; none",
		" (\\) mx.example) other.example; none",
		" (\") mx.example\") other.example; none",
		" other.example (\r\n) ; none",
		" other.example 1 (;) ; none",
		" (\\",
		" other.example",
		" other.example 1",
		" other.example spf=pass",
		" spf=pass smtp.mailfrom=a@mx.example", /* no id at all */
		" other.example/1; spf=pass",
		" other.example, mx.example; spf=pass",
		" other.example mx.example; spf=pass",
		" other.example 1 mx.example; spf=pass",
		" other(comment).example; spf=pass",
		" \"other.example; spf=pass",
		" \"other.example\"x; spf=pass",
		" \"\"; spf=pass",
		" \"other example\"; spf=pass",
		" \"other\r\n .example\"; spf=pass",
		" \"other.example\\",
		" =?utf-8?q?mx.example?=; spf=pass",
		" <mx.example>; spf=pass",
		" mx\001.example; spf=pass",
		" mx\x7f.example; spf=pass",
		" other.example\xff; spf=pass",
		/* blanks to some, and no part of any domain */
		" mx.example\xc2\xa0; spf=pass",
		" \xc2\xa0mx.example; spf=pass",
		(" mx.example\xe2\x80\x83"
		 "1; spf=pass"),
		" \"mx.example\xe3\x80\x80\"; spf=pass",
		" mx.example\xc2\x85; spf=pass",
		" mx.example\xe2\x80\xa8; spf=pass",
		" \xef\xbb\xbfmx.example\xe2\x81\xa3\xe3\x80\x80; spf=pass",
		/* versions that we do not know */
		" other.example 2; spf=pass",
		" other.example 0; spf=pass",
		" other.example 11; spf=pass",
		" other.example 1x; spf=pass",
		" other.example 99999999999999999999999; spf=pass",
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++)
		if (!is_forged("Authentication-Results", span_cstr(cases[i]),
			       our_ids, CASES(our_ids)))
			fail_msg("\"%s\" cannot be read", cases[i]);
	assert_true(is_forged("Authentication-Results",
			      SPAN_LIT(" other.example\0; none"), our_ids,
			      CASES(our_ids)));
}

static void
t13_what_is_left_alone(void **state)
{
	static const struct {
		const char *name, *body;
	} cases[] = {
		{ "Authentication-Results", " other.example; spf=pass" },
		{ "Authentication-Results", " other.example 1; spf=pass" },
		{ "Authentication-Results", " other.example;" },
		{ "Authentication-Results", " sub.mx.example; none" },
		{ "Authentication-Results", " example; none" },
		{ "Authentication-Results", " notmx.example; none" },
		{ "Authentication-Results", " mx.example.org; none" },
		{ "Authentication-Results", " \"other.example\"; none" },
		{ "Authentication-Results", " \"other/example\"; none" },
		{ "Authentication-Results",
		  " other.example; spf=pass (mx.example; mx.example)" },
		{ "Authentication-Results",
		  " (a) (b c) other.example (d) 1 (e) (f); none" },
		{ "Authentication-Results",
		  "\r\n\tother.example\r\n 1\r\n ; none" },
		{ "Authentication-Results",
		  " (mx.example) other.example; none" },
		{ "Authentication-Results",
		  " other.example; spf=pass (a (\\) b;\r\n c)) smtp.helo=x" },
		{ "Authentication-Results", " кафе.example; none" },
		/* not ours to strip */
		{ "ARC-Authentication-Results", " i=1; mx.example; spf=pass" },
		{ "X-Authentication-Results", " mx.example; spf=pass" },
		{ "Original-Authentication-Results", " mx.example; spf=pass" },
		{ "Subject", " mx.example; spf=pass" },
		{ "", " mx.example; spf=pass" }, /* a malformed line */
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++)
		if (is_forged(cases[i].name, span_cstr(cases[i].body), our_ids,
			      CASES(our_ids)))
			fail_msg("\"%s:%s\" is not ours", cases[i].name,
				 cases[i].body);
	assert_false(is_forged("Authentication-Results",
			       SPAN_LIT(" mx.example; none"), NULL, 0));
}

static void
t14_received_spf_is_always_the_edges_own(void **state)
{
	(void)state;
	assert_true(is_forged("Received-SPF", SPAN_LIT(" pass"), our_ids, 2));
	assert_true(is_forged("received-spf", SPAN_NONE, NULL, 0));
}

static void
t15_every_prefix_can_be_read(void **state)
{
	struct span body = SPAN_LIT(
		" (a (b\\)) c)\r\n \"m\\x.example\" (d) 1 (e) ; spf=pass");
	struct span token = SPAN_LIT(" mx.bücher.example 1; none");

	(void)state;
	for (size_t i = 0; i < body.n; i++)
		assert_true(is_forged("Authentication-Results",
				      span_first(body, i), our_ids, 2));
	for (size_t i = 0; i < token.n; i++)
		is_forged("Authentication-Results", span_first(token, i),
			  our_ids, 2);
}

/* What we write we would strip, whatever our id is. */
static void
t16_our_own_field_is_recognised(void **state)
{
	static const char *const ids[] = { "mx.example", "bücher.example",
					   "gate 1", "a\"b\\c", "MX.Example." };
	struct verdict verdict = verdict_of(DMARC_PASS, "a.example");
	struct spf_facts facts = { .is_null = true };

	(void)state;
	for (size_t i = 0; i < CASES(ids); i++) {
		struct span id = span_cstr(ids[i]), body;

		buf_reset(&buf);
		assert_true(authres_format(&verdict, &facts, id, &buf));
		body = buf_span(&buf);
		body = span_after(body, span_find(body, ':') + 1);
		assert_true(is_forged("Authentication-Results", body, &id, 1));
	}
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(t1_a_message_that_passes),
		TEST(t2_the_null_path_shows_the_helo_name),
		TEST(t2_a_chain_shows_how_far_back_it_passes),
		TEST(t3_one_result_for_several_authors),
		TEST(t4_no_policy_is_named_where_there_is_none),
		TEST(t5_nothing_checked_is_none),
		TEST(t6_addresses),
		TEST(t7_values_from_a_signature_are_tokens_or_quoted),
		TEST(t8_octets_of_no_token_are_quoted),
		TEST(t9_no_line_is_too_long),
		TEST(t10_a_full_buffer_is_told),
		TEST(t11_what_claims_to_be_ours),
		TEST(t12_what_cannot_be_read),
		TEST(t13_what_is_left_alone),
		TEST(t14_received_spf_is_always_the_edges_own),
		TEST(t15_every_prefix_can_be_read),
		TEST(t16_our_own_field_is_recognised),
	};

	return cmocka_run_group_tests_name("authres", tests, NULL, NULL);
}
