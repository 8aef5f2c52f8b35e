/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The native SPF engine: the examples of RFC 7208's appendix, what is asked
 * at once, limits, names of the client, explanations, and local parts that
 * are not ASCII. Records that mean harm are in test_dmarc_spf_harm.c.
 */
#include "tests/unit/spf_rig.h"

/* --- RFC 7208, appendix A ----------------------------------------------- */

/* The zone of A; each record of A.1 stands at a name of its own below, where
 * "a", "mx" and "ptr" without a domain find what example.com has. */
#define HOSTS(name)                                                         \
	{ name, DNS_A, "192.0.2.10", 0 }, { name, DNS_A, "192.0.2.11", 0 }, \
		{ name, DNS_MX, "10 mail-a.example.com", 0 },               \
	{                                                                   \
		name, DNS_MX, "20 mail-b.example.com", 0                    \
	}

static const struct dns_row appendix[] = {
	HOSTS("example.com"),
	{ "amy.example.com", DNS_A, "192.0.2.65", 0 },
	{ "bob.example.com", DNS_A, "192.0.2.66", 0 },
	{ "mail-a.example.com", DNS_A, "192.0.2.129", 0 },
	{ "mail-b.example.com", DNS_A, "192.0.2.130", 0 },
	{ "example.org", DNS_MX, "10 mail-c.example.org", 0 },
	{ "mail-c.example.org", DNS_A, "192.0.2.140", 0 },
	{ "10.2.0.192.in-addr.arpa", DNS_PTR, "example.com", 0 },
	{ "65.2.0.192.in-addr.arpa", DNS_PTR, "amy.example.com", 0 },
	{ "140.2.0.192.in-addr.arpa", DNS_PTR, "mail-c.example.org", 0 },
	{ "4.0.0.10.in-addr.arpa", DNS_PTR, "bob.example.com", 0 },
	/* A.1 */
	{ "all.test", DNS_TXT, "v=spf1 +all", 0 },
	HOSTS("a.test"),
	{ "a.test", DNS_TXT, "v=spf1 a -all", 0 },
	{ "a-org.test", DNS_TXT, "v=spf1 a:example.org -all", 0 },
	HOSTS("mx.test"),
	{ "mx.test", DNS_TXT, "v=spf1 mx -all", 0 },
	{ "mx-org.test", DNS_TXT, "v=spf1 mx:example.org -all", 0 },
	HOSTS("both.test"),
	{ "both.test", DNS_TXT, "v=spf1 mx mx:example.org -all", 0 },
	HOSTS("net.test"),
	{ "net.test", DNS_TXT, "v=spf1 mx/30 mx:example.org/30 -all", 0 },
	{ "ptr.test", DNS_TXT, "v=spf1 ptr:example.com -all", 0 },
	{ "ip4.test", DNS_TXT, "v=spf1 ip4:192.0.2.128/28 -all", 0 },
	/* A.2 */
	{ "inc.test", DNS_TXT, "v=spf1 include:mx.test include:a.test -all",
	  0 },
	{ "red.test", DNS_TXT, "v=spf1 redirect=mx.test", 0 },
	/* A.3 */
	{ "users.test", DNS_TXT,
	  "v=spf1 mx:mx.test include:mobile-users._spf.%{d} "
	  "include:remote-users._spf.%{d} -all",
	  0 },
	{ "mobile-users._spf.users.test", DNS_TXT, "v=spf1 exists:%{l1r+}.%{d}",
	  0 },
	{ "mary.mobile-users._spf.users.test", DNS_A, "127.0.0.2", 0 },
	{ "remote-users._spf.users.test", DNS_TXT,
	  "v=spf1 exists:%{ir}.%{l1r+}.%{d}", 0 },
	{ "15.15.168.192.joel.remote-users._spf.users.test", DNS_A, "127.0.0.2",
	  0 },
	/* A.4 */
	{ "and.test", DNS_TXT,
	  "v=spf1 -include:ip4._spf.%{d} -include:ptr._spf.%{d} +all", 0 },
	{ "ip4._spf.and.test", DNS_TXT, "v=spf1 -ip4:192.0.2.0/24 +all", 0 },
	{ "ptr._spf.and.test", DNS_TXT, "v=spf1 -ptr:example.com +all", 0 },
	{ NULL, 0, NULL, 0 },
};

static void
t1_examples_of_appendix_a(void **state)
{
	static const struct {
		const char *from, *client;
		enum spf_result result;
	} cases[] = {
		{ "u@all.test", "203.0.113.9", SPF_PASS },
		{ "u@a.test", "192.0.2.10", SPF_PASS },
		{ "u@a.test", "192.0.2.11", SPF_PASS },
		{ "u@a.test", "192.0.2.12", SPF_FAIL },
		{ "u@a-org.test", "192.0.2.140", SPF_FAIL },
		{ "u@mx.test", "192.0.2.129", SPF_PASS },
		{ "u@mx.test", "192.0.2.130", SPF_PASS },
		{ "u@mx.test", "192.0.2.10", SPF_FAIL },
		{ "u@mx-org.test", "192.0.2.140", SPF_PASS },
		{ "u@both.test", "192.0.2.129", SPF_PASS },
		{ "u@both.test", "192.0.2.140", SPF_PASS },
		{ "u@both.test", "192.0.2.141", SPF_FAIL },
		{ "u@net.test", "192.0.2.131", SPF_PASS },
		{ "u@net.test", "192.0.2.143", SPF_PASS },
		{ "u@net.test", "192.0.2.132", SPF_FAIL },
		{ "u@ptr.test", "192.0.2.65", SPF_PASS },
		{ "u@ptr.test", "192.0.2.140", SPF_FAIL },
		{ "u@ptr.test", "10.0.0.4", SPF_FAIL },
		{ "u@ip4.test", "192.0.2.65", SPF_FAIL },
		{ "u@ip4.test", "192.0.2.129", SPF_PASS },
		{ "u@inc.test", "192.0.2.10", SPF_PASS },
		{ "u@inc.test", "192.0.2.129", SPF_PASS },
		{ "u@inc.test", "192.0.2.65", SPF_FAIL },
		{ "u@red.test", "192.0.2.130", SPF_PASS },
		{ "u@red.test", "192.0.2.65", SPF_FAIL },
		{ "mary@users.test", "203.0.113.9", SPF_PASS },
		{ "mary+news@users.test", "203.0.113.9", SPF_PASS },
		{ "joel@users.test", "192.168.15.15", SPF_PASS },
		{ "joel@users.test", "192.168.15.16", SPF_FAIL },
		{ "eve@users.test", "203.0.113.9", SPF_FAIL },
		{ "u@and.test", "192.0.2.65", SPF_PASS },
		{ "u@and.test", "192.0.2.140", SPF_FAIL },
		{ "u@and.test", "10.0.0.4", SPF_FAIL },
	};
	struct spf_outcome outcome;

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct spf_facts facts =
			facts_of(cases[i].client, cases[i].from, "h.test");

		evaluate(&facts, appendix, &outcome);
		assert_result(&outcome, cases[i].result, cases[i].from);
	}
}

/* --- what is asked, and when -------------------------------------------- */

static const struct dns_row names[] = {
	{ "yes.test", DNS_A, "192.0.2.1", 0 },
	{ "no.test", DNS_A, "198.51.100.1", 0 },
	{ "no.test", DNS_MX, "10 no.test", 0 },
	{ "yes.test", DNS_MX, "10 no.test", 0 },
	{ "yes.test", DNS_MX, "20 yes.test", 0 },
	{ "yes.test", DNS_TXT, "v=spf1 a mx -all", 0 },
	{ "no.test", DNS_TXT, "v=spf1 a mx:m.test -all", 0 },
	{ "m.test", DNS_MX, "10 no.test", 0 },
	{ "bad.test", DNS_TXT, "v=spf1 foo", 0 },
	{ "half.test", DNS_TXT, "v=spf1 a:x1.test ip4:192.0.2.1 a:x2.test", 0 },
	{ "dead.test", DNS_A, NULL, 0 },
	{ "1.2.0.192.in-addr.arpa", DNS_PTR, "yes.test", 0 },
	{ NULL, 0, NULL, 0 },
};

/* What was asked in each round, as "TXT s.test|A x.test, MX y.test". */
static void
record_rounds(const struct spf_facts *facts, const struct dns_row *rows,
	      struct spf_outcome *outcome, char *text, size_t size)
{
	size_t told = 0, n = 0;

	start();
	text[0] = '\0';
	while (!spf_eval(facts, &answers, outcome)) {
		for (size_t i = told; i < answers.count; i++) {
			const struct answer *answer = answers.list[i];

			n += (size_t)snprintf(text + n, size - n, "%s%s %.*s",
					      i > told    ? ", "
					      : told == 0 ? ""
							  : "|",
					      dns_type_name(answer->type),
					      (int)answer->name.n,
					      answer->name.p);
			assert_true(n < size);
		}
		told = answers.count;
		assert_true(dns_rows_settle_all(rows, &answers) > 0);
	}
}

static void
t2_what_can_be_needed_is_asked_at_once(void **state)
{
	static const struct {
		const char *record, *rounds;
	} cases[] = {
		{ "v=spf1 ip4:192.0.2.1 a mx -all", "" },
		{ "v=spf1 a:no.test mx:no.test exists:e.test -all",
		  "|A no.test, MX no.test, A e.test" },
		/* nothing behind what matches, whatever comes of the rest */
		{ "v=spf1 a:no.test ip4:192.0.2.1 mx:no.test -all",
		  "|A no.test" },
		{ "v=spf1 a:no.test -all mx:no.test", "|A no.test" },
		/* an include and what stands beside it */
		{ "v=spf1 include:no.test a:e.test ~all",
		  "|TXT no.test, A e.test|A no.test, MX m.test" },
		/* … which is not asked if the include is an error */
		{ "v=spf1 a:no.test include:bad.test a:e.test -all",
		  "|A no.test, TXT bad.test, A e.test" },
		{ "v=spf1 include:half.test a:e.test -all",
		  "|TXT half.test, A e.test|A x1.test" },
		/* redirect, where there is no all */
		{ "v=spf1 a:no.test redirect=no.test",
		  "|A no.test, TXT no.test|MX m.test" },
		{ "v=spf1 a:no.test redirect=no.test -all", "|A no.test" },
		/* all exchanges */
		{ "v=spf1 mx:yes.test a:e.test -all",
		  "|MX yes.test, A e.test|A no.test, A yes.test" },
		/* only names that would match are confirmed */
		{ "v=spf1 ptr:other.test -all", "|PTR 1.2.0.192.in-addr.arpa" },
		{ "v=spf1 ptr:yes.test -all",
		  "|PTR 1.2.0.192.in-addr.arpa|A yes.test" },
		{ "v=spf1 exists:%{p}.e.test a:e.test -all",
		  "|PTR 1.2.0.192.in-addr.arpa, A e.test|A yes.test"
		  "|A yes.test.e.test" },
		/* an explanation when it is certain that it fails */
		{ "v=spf1 a:no.test -all exp=e.test", "|A no.test|TXT e.test" },
		{ "v=spf1 a:yes.test -all exp=e.test", "|A yes.test" },
		{ "v=spf1 a:no.test ~all exp=e.test", "|A no.test" },
	};
	struct spf_facts facts = facts_of("192.0.2.1", "u@s.test", "h.test");
	struct spf_outcome outcome;
	char rounds[1000], expected[1000];

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		record_rounds(&facts, zone_of(cases[i].record, names), &outcome,
			      rounds, sizeof(rounds));
		snprintf(expected, sizeof(expected), "TXT s.test%s",
			 cases[i].rounds);
		if (strcmp(rounds, expected) != 0)
			fail_msg("%s:\n%s\n%s", cases[i].record, rounds,
				 expected);
	}
}

/* An exchange that matches is enough, whatever the others say later. */
static void
t3_a_result_waits_for_nothing_it_does_not_need(void **state)
{
	struct spf_facts facts = facts_of("192.0.2.1", "u@s.test", "h.test");
	const struct dns_row *rows = zone_of("v=spf1 mx:yes.test -all", names);
	struct spf_outcome outcome;

	(void)state;
	start();
	for (size_t i = 0; i < 2; i++) {
		assert_false(spf_eval(&facts, &answers, &outcome));
		dns_rows_settle(rows, &answers, i);
	}
	assert_false(spf_eval(&facts, &answers, &outcome));
	assert_int_equal(answers.open, 2);
	dns_rows_settle(rows, &answers, 3);
	assert_true(spf_eval(&facts, &answers, &outcome));
	assert_result(&outcome, SPF_PASS, "one of two exchanges");
	assert_int_equal(answers.open, 1);
}

/* What is asked ahead and then is not needed counts for nothing. */
static void
t4_questions_ahead_count_against_no_limit(void **state)
{
	struct spf_facts facts = facts_of("192.0.2.1", "u@s.test", "h.test");
	struct spf_outcome outcome;

	(void)state;
	evaluate(&facts,
		 zone_of("v=spf1 a:yes.test a:v1.test a:v2.test a:v3.test "
			 "a:v4.test -all",
			 names),
		 &outcome);
	assert_result(&outcome, SPF_PASS, "voids behind a match");
	assert_int_equal(answers.count, 6);
	evaluate(&facts,
		 zone_of("v=spf1 a:v1.test a:v2.test a:yes.test a:v3.test",
			 names),
		 &outcome);
	assert_result(&outcome, SPF_PASS, "two voids, then a match");
	evaluate(&facts,
		 zone_of("v=spf1 a:v1.test a:v2.test a:v3.test a:yes.test",
			 names),
		 &outcome);
	assert_result(&outcome, SPF_PERMERROR, "three voids");
	evaluate(&facts,
		 zone_of("v=spf1 a:dead.test a:v1.test a:v2.test a:v3.test",
			 names),
		 &outcome);
	assert_result(&outcome, SPF_TEMPERROR, "the first that fails decides");
	evaluate(&facts,
		 zone_of("v=spf1 a:no.test a:no.test a:no.test a:no.test "
			 "a:no.test a:no.test a:no.test a:no.test a:no.test "
			 "a:x10.test a:x11.test a:x12.test",
			 names),
		 &outcome);
	assert_result(&outcome, SPF_PERMERROR, "twelve terms");
	/* nobody gets to the eleventh */
	assert_int_equal(answers.count, 3);
}

/* Where a message may ask little, what is needed finds room for itself. */
static void
t5_questions_ahead_leave_room(void **state)
{
	static char exchange[50][16];
	static struct dns_row rows[80] = {
		{ "i.test", DNS_TXT, "v=spf1 include:j.test ~all", 0 },
		{ "j.test", DNS_TXT, "v=spf1 include:k.test ~all", 0 },
		{ "k.test", DNS_TXT, "v=spf1 a:yes.test ~all", 0 },
		{ "yes.test", DNS_A, "192.0.2.1", 0 },
	};
	static const char *const names_of_ten[] = { "m0.test", "m1.test",
						    "m2.test", "m3.test" };
	struct spf_facts facts = facts_of("192.0.2.1", "u@s.test", "h.test");
	const struct dns_row *whole;
	struct spf_outcome outcome;

	(void)state;
	for (size_t i = 0; i < 40; i++) {
		snprintf(exchange[i], sizeof(exchange[i]), "10 x%zu.test", i);
		rows[4 + i] = (struct dns_row){ names_of_ten[i / 10], DNS_MX,
						exchange[i], 0 };
	}
	whole = zone_of("v=spf1 include:i.test mx:m0.test mx:m1.test "
			"mx:m2.test mx:m3.test -all",
			rows);
	start();
	answers.max = 32;
	while (!spf_eval(&facts, &answers, &outcome))
		assert_true(dns_rows_settle_all(whole, &answers) > 0);
	assert_result(&outcome, SPF_PASS, "32 questions");
	assert_false(answers.has_overflowed);
}

/* --- mechanisms --------------------------------------------------------- */

static const struct dns_row addresses[] = {
	{ "s.test", DNS_A, "198.51.100.1", 0 },
	{ "s.test", DNS_AAAA, "2001:db8::1", 0 },
	{ "v4.test", DNS_A, "198.51.100.1", 0 },
	{ "v6.test", DNS_AAAA, "2001:db8::1", 0 },
	{ "dead.test", DNS_A, NULL, 0 },
	{ "yes.test", DNS_A, "192.0.2.1", 0 },
	{ "no.test", DNS_A, "198.51.100.1", 0 },
	{ "half-dead.test", DNS_MX, "10 dead.test", 0 },
	{ "half-dead.test", DNS_MX, "20 yes.test", 0 },
	{ "all-dead.test", DNS_MX, "10 no.test", 0 },
	{ "all-dead.test", DNS_MX, "20 dead.test", 0 },
	{ "null.test", DNS_MX, "0 ", 0 },
	{ "pass.test", DNS_TXT, "v=spf1 +all", 0 },
	{ "neutral.test", DNS_TXT, "v=spf1", 0 },
	{ "test", DNS_TXT, "v=spf1 +all", 0 },
	{ NULL, 0, NULL, 0 },
};

static void
t6_mechanisms_and_who_decides(void **state)
{
	static const struct {
		const char *client, *record;
		enum spf_result result;
		const char *reason;
	} cases[] = {
		/* "/0": any address, but there must be one, of the family */
		{ "192.0.2.1", "v=spf1 a/0 -all", SPF_PASS, "matched +a" },
		{ "2001:db8:f::", "v=spf1 a//0 -all", SPF_PASS, "matched +a" },
		{ "192.0.2.1", "v=spf1 a:v6.test/0 -all", SPF_FAIL, NULL },
		{ "2001:db8:f::", "v=spf1 a:v4.test//0 -all", SPF_FAIL, NULL },
		{ "192.0.2.1", "v=spf1 ~ip4:0.0.0.0/0", SPF_SOFTFAIL,
		  "matched ~ip4" },
		{ "192.0.2.1", "v=spf1 ip6:::/0 -all", SPF_FAIL, NULL },
		{ "2001:db8::2", "v=spf1 ip6:::/0 -all", SPF_PASS, NULL },
		{ "2001:db8::2", "v=spf1 ip4:0.0.0.0/0 -all", SPF_FAIL, NULL },
		{ "2001:db8::2", "v=spf1 a//127 -all", SPF_FAIL, NULL },
		{ "2001:db8::2", "v=spf1 a//126 -all", SPF_PASS, NULL },
		{ "198.51.100.9", "v=spf1 a/28//128 -all", SPF_PASS, NULL },
		/* an IPv4 client in an IPv6 address is an IPv4 client */
		{ "::ffff:198.51.100.1", "v=spf1 a -all", SPF_PASS, NULL },
		{ "::ffff:192.0.2.1", "v=spf1 ip4:192.0.2.1 -all", SPF_PASS,
		  NULL },
		{ "::ffff:192.0.2.1", "v=spf1 ip6:::ffff:192.0.2.1 -all",
		  SPF_FAIL, NULL },
		/* any exchange that matches does (RFC 7208 5.4) */
		{ "192.0.2.1", "v=spf1 mx:half-dead.test -all", SPF_PASS,
		  "matched +mx" },
		{ "192.0.2.1", "v=spf1 mx:all-dead.test -all", SPF_TEMPERROR,
		  NULL },
		{ "192.0.2.1", "v=spf1 mx:null.test -all", SPF_FAIL, NULL },
		{ "192.0.2.1", "v=spf1 ?include:pass.test -all", SPF_NEUTRAL,
		  "matched ?include" },
		{ "192.0.2.1", "v=spf1 include:neutral.test ~all", SPF_SOFTFAIL,
		  "matched ~all" },
		{ "192.0.2.1", "v=spf1 redirect=neutral.test", SPF_NEUTRAL,
		  "no mechanism matched" },
		{ "2001:db8::9", "v=spf1 exists:v4.test -all", SPF_PASS,
		  "matched +exists" },
		{ "192.0.2.1", "v=spf1 exists:v6.test -all", SPF_FAIL, NULL },
		/* a name that is none matches nothing (4.8) … */
		{ "192.0.2.1", "v=spf1 exists:a..%{d} -all", SPF_FAIL, NULL },
		{ "192.0.2.1", "v=spf1 a:..%{d} -all", SPF_FAIL, NULL },
		/* … and has no record (4.3, 5.2) */
		{ "192.0.2.1", "v=spf1 include:..%{d} -all", SPF_PERMERROR,
		  NULL },
		{ "192.0.2.1", "v=spf1 include:%{d1} -all", SPF_PERMERROR,
		  NULL },
		{ "192.0.2.1", "v=spf1 redirect=%{d1}", SPF_PERMERROR, NULL },
	};
	struct spf_outcome outcome;

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct spf_facts facts =
			facts_of(cases[i].client, "u@s.test", "h.test");

		evaluate(&facts, zone_of(cases[i].record, addresses), &outcome);
		assert_result(&outcome, cases[i].result, cases[i].record);
		if (cases[i].reason != NULL)
			assert_string_equal(outcome.reason, cases[i].reason);
	}
}

/* RFC 7208 4.6.4: of any term, in any record. */
static void
t7_voids_are_counted_over_all_terms(void **state)
{
	static const struct {
		const char *client, *record;
		enum spf_result result;
	} cases[] = {
		{ "192.0.2.9", "v=spf1 ptr a:v1.test +all", SPF_PASS },
		{ "192.0.2.9", "v=spf1 ptr a:v1.test mx:v2.test +all",
		  SPF_PERMERROR },
		{ "192.0.2.9", "v=spf1 a:v1.test mx:v2.test ptr +all",
		  SPF_PERMERROR },
		{ "192.0.2.9", "v=spf1 a:v1.test include:void.test +all",
		  SPF_PERMERROR },
		{ "192.0.2.9", "v=spf1 include:void.test +all", SPF_PASS },
		{ "192.0.2.9", "v=spf1 a:v1.test redirect=void.test",
		  SPF_PERMERROR },
		/* the name that is asked for %{p} is not what a term is for */
		{ "192.0.2.9", "v=spf1 exists:%{p}.v1.test a:v2.test +all",
		  SPF_PASS },
		/* a name of another family is one without a result */
		{ "2001:db8::9", "v=spf1 a:v4.test a:v4.test a:v4.test +all",
		  SPF_PERMERROR },
	};
	static const struct dns_row rows[] = {
		{ "void.test", DNS_TXT, "v=spf1 a:v8.test exists:v9.test", 0 },
		{ "v4.test", DNS_A, "192.0.2.4", 0 },
		{ NULL, 0, NULL, 0 },
	};
	struct spf_outcome outcome;

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct spf_facts facts =
			facts_of(cases[i].client, "u@s.test", "h.test");

		evaluate(&facts, zone_of(cases[i].record, rows), &outcome);
		assert_result(&outcome, cases[i].result, cases[i].record);
	}
}

/* --- the client's name -------------------------------------------------- */

#define REVERSE "1.2.0.192.in-addr.arpa"

static const struct dns_row confirmed[] = {
	{ "s.test", DNS_A, "192.0.2.1", 0 },
	{ "mx.s.test", DNS_A, "192.0.2.1", 0 },
	{ "mx.s.test", DNS_A, "192.0.2.9", 0 },
	{ "other.example", DNS_A, "192.0.2.1", 0 },
	{ "third.example", DNS_A, "192.0.2.1", 0 },
	{ "liar.s.test", DNS_A, "192.0.2.9", 0 },
	{ "dead.s.test", DNS_A, NULL, 0 },
	{ "e.test", DNS_TXT, "%{p}", 0 },
	{ NULL, 0, NULL, 0 },
};

static void
t8_the_name_of_the_client(void **state)
{
	static const struct {
		const char *name[4], *p;
		bool does_match; /* "ptr" */
	} cases[] = {
		{ { "other.example" }, "other.example", false },
		{ { "other.example", "mx.s.test" }, "mx.s.test", true },
		{ { "other.example", "mx.s.test", "s.test" }, "s.test", true },
		{ { "s.test", "mx.s.test" }, "s.test", true },
		{ { "third.example", "other.example" },
		  "third.example",
		  false },
		{ { "liar.s.test" }, "unknown", false },
		{ { "liar.s.test", "third.example" }, "third.example", false },
		{ { "dead.s.test" }, "unknown", false },
		{ { "dead.s.test", "mx.s.test" }, "mx.s.test", true },
		{ { "missing.s.test" }, "unknown", false },
		{ { NULL }, "unknown", false },
	};
	struct spf_facts facts = facts_of("192.0.2.1", "u@s.test", "h.test");
	struct dns_row rows[20];
	struct spf_outcome outcome;

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		size_t n = 0;

		for (size_t k = 0; cases[i].name[k] != NULL; k++)
			rows[n++] = (struct dns_row){ REVERSE, DNS_PTR,
						      cases[i].name[k], 0 };
		memcpy(rows + n, confirmed, sizeof(confirmed));
		evaluate(&facts, zone_of("v=spf1 -all exp=e.test", rows),
			 &outcome);
		if (!span_equal(outcome.explanation, span_cstr(cases[i].p)))
			fail_msg("%s: %.*s", cases[i].p,
				 (int)outcome.explanation.n,
				 outcome.explanation.p);
		evaluate(&facts, zone_of("v=spf1 ptr -all", rows), &outcome);
		assert_result(&outcome,
			      cases[i].does_match ? SPF_PASS : SPF_FAIL,
			      cases[i].p);
	}
}

/* --- explanations ------------------------------------------------------- */

#define TEXT_100                                                              \
	"0123456789012345678901234567890123456789012345678901234567890123456" \
	"789012345678901234567890123456789"
#define TEXT_500 TEXT_100 TEXT_100 TEXT_100 TEXT_100 TEXT_100

static const struct dns_row texts[] = {
	{ "plain.test", DNS_TXT, "Go away.", 0 },
	{ "macros.test", DNS_TXT,
	  "%{c} is none of %{d}'s, says %{r} at %{t}: %{S}", 0 },
	{ "two.test", DNS_TXT, "one", 0 },
	{ "two.test", DNS_TXT, "two", 0 },
	{ "dead.test", DNS_TXT, NULL, 0 },
	{ "utf8.test", DNS_TXT, "m\xc3\xbcnchen", 0 },
	{ "lines.test", DNS_TXT, "a\r\n250 b", 0 },
	{ "nul.test", DNS_TXT, "a\0b", 3 },
	{ "escape.test", DNS_TXT, "a\x1b[2J", 0 },
	{ "syntax.test", DNS_TXT, "%{d} at %{x}", 0 },
	{ "empty.test", DNS_TXT, "", 0 },
	{ "512.test", DNS_TXT, TEXT_500 "012345678901", 0 },
	{ "513.test", DNS_TXT, TEXT_500 "0123456789012", 0 },
	{ "local.test", DNS_TXT, "%{l} is nobody", 0 },
	{ "postmaster.test", DNS_TXT, "Not his.", 0 },
	{ "fail.test", DNS_TXT, "v=spf1 -all exp=plain.test", 0 },
	{ "fail-without.test", DNS_TXT, "v=spf1 -all", 0 },
	{ "pass.test", DNS_TXT, "v=spf1 +all exp=plain.test", 0 },
	{ "name.test", DNS_TXT, "v=spf1 -all exp=_e.%{d}", 0 },
	{ "_e.name.test", DNS_TXT, "of %{d}, not of %{o}", 0 },
	{ NULL, 0, NULL, 0 },
};

static void
t9_explanations(void **state)
{
	static const struct {
		const char *from, *record, *explanation;
	} cases[] = {
		{ "u@s.test", "v=spf1 -all exp=plain.test", "Go away." },
		{ "u@s.test", "v=spf1 exp=plain.test -all", "Go away." },
		{ "u@s.test", "v=spf1 -all exp=%{l}.test", "" },
		{ "plain@s.test", "v=spf1 -all exp=%{l}.test", "Go away." },
		{ "u@s.test", "v=spf1 -all exp=macros.test",
		  "192.0.2.1 is none of s.test's, says gate.example at "
		  "1700000000: u%40s.test" },
		/* only where it fails */
		{ "u@s.test", "v=spf1 ~all exp=plain.test", "" },
		{ "u@s.test", "v=spf1 ?all exp=plain.test", "" },
		{ "u@s.test", "v=spf1 +all exp=plain.test", "" },
		/* anything wrong: none (6.2) */
		{ "u@s.test", "v=spf1 -all exp=missing.test", "" },
		{ "u@s.test", "v=spf1 -all exp=a..%{d}", "" },
		{ "u@s.test", "v=spf1 -all exp=two.test", "" },
		{ "u@s.test", "v=spf1 -all exp=dead.test", "" },
		{ "u@s.test", "v=spf1 -all exp=utf8.test", "" },
		{ "u@s.test", "v=spf1 -all exp=lines.test", "" },
		{ "u@s.test", "v=spf1 -all exp=nul.test", "" },
		{ "u@s.test", "v=spf1 -all exp=escape.test", "" },
		{ "u@s.test", "v=spf1 -all exp=syntax.test", "" },
		{ "u@s.test", "v=spf1 -all exp=empty.test", "" },
		{ "u@s.test", "v=spf1 -all exp=512.test",
		  TEXT_500 "012345678901" },
		{ "u@s.test", "v=spf1 -all exp=513.test", "" },
		/* of the record that decides, and no other */
		{ "u@s.test", "v=spf1 redirect=fail.test", "Go away." },
		{ "u@s.test", "v=spf1 redirect=fail-without.test exp=512.test",
		  "" },
		{ "u@s.test", "v=spf1 redirect=name.test",
		  "of name.test, not of s.test" },
		{ "u@s.test", "v=spf1 include:fail.test -all", "" },
		{ "u@s.test", "v=spf1 -include:pass.test +all", "" },
		{ "u@s.test", "v=spf1 -include:pass.test exp=local.test",
		  "u is nobody" },
		/* RFC 8616 */
		{ "m\xc3\xbcller@s.test", "v=spf1 -all exp=plain.test",
		  "Go away." },
		{ "m\xc3\xbcller@s.test", "v=spf1 -all exp=local.test", "" },
		{ "m\xc3\xbcller@s.test", "v=spf1 -all exp=%{l}.test", "" },
		{ "two words@s.test", "v=spf1 -all exp=local.test",
		  "two words is nobody" },
	};
	struct spf_outcome outcome;

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct spf_facts facts =
			facts_of("192.0.2.1", cases[i].from, "h.test");
		size_t used;

		evaluate(&facts, zone_of(cases[i].record, texts), &outcome);
		if (!span_equal(outcome.explanation,
				span_cstr(cases[i].explanation)))
			fail_msg("%s: \"%.*s\"", cases[i].record,
				 (int)outcome.explanation.n,
				 outcome.explanation.p);
		/* however often it is run, it is there once */
		used = arena.used;
		assert_true(spf_eval(&facts, &answers, &outcome));
		assert_int_equal(arena.used, used);
	}
}

/* --- RFC 8616 ----------------------------------------------------------- */

static const struct dns_row localised[] = {
	{ "postmaster.l.test", DNS_A, "127.0.0.2", 0 },
	{ "plain.l.test", DNS_A, "127.0.0.2", 0 },
	{ "two words.l.test", DNS_A, "127.0.0.2", 0 },
	{ "a.test", DNS_A, "192.0.2.1", 0 },
	{ "pass.test", DNS_TXT, "v=spf1 +all", 0 },
	{ NULL, 0, NULL, 0 },
};

static void
t10_local_parts_that_are_not_ascii_match_nothing(void **state)
{
	static const struct {
		const char *from, *record;
		enum spf_result result;
	} cases[] = {
		{ "plain@s.test", "v=spf1 exists:%{l}.l.test -all", SPF_PASS },
		{ "two words@s.test", "v=spf1 exists:%{l}.l.test -all",
		  SPF_PASS },
		{ "m\xc3\xbcller@s.test", "v=spf1 exists:%{l}.l.test -all",
		  SPF_FAIL },
		{ "m\xc3\xbcller@s.test", "v=spf1 -exists:%{S}.l.test +all",
		  SPF_PASS },
		{ "m\xc3\xbcller@s.test", "v=spf1 include:%{l}.pass.test ~all",
		  SPF_SOFTFAIL },
		{ "m\xc3\xbcller@s.test", "v=spf1 redirect=%{l}.pass.test",
		  SPF_NEUTRAL },
		/* other terms are as they always are */
		{ "m\xc3\xbcller@s.test", "v=spf1 exists:%{o}.l.test a:a.test",
		  SPF_PASS },
		{ "a\x01@s.test", "v=spf1 exists:%{l}.l.test -all", SPF_FAIL },
	};
	struct spf_outcome outcome;

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct spf_facts facts =
			facts_of("192.0.2.1", cases[i].from, "h.test");

		evaluate(&facts, zone_of(cases[i].record, localised), &outcome);
		assert_result(&outcome, cases[i].result, cases[i].record);
	}
}

/* --- the way to what decided --------------------------------------------- */

static const struct dns_row way[] = {
	{ "yes.test", DNS_TXT, "v=spf1 ip4:192.0.2.1 -all", 0 },
	{ "no.test", DNS_TXT, "v=spf1 include:never.test -all", 0 },
	{ "never.test", DNS_TXT, "v=spf1 -all", 0 },
	{ "on.test", DNS_TXT, "v=spf1 redirect=yes.test", 0 },
	{ "open.test", DNS_TXT, "v=spf1 a:none.test", 0 },
	{ "dead.test", DNS_A, NULL, 0 },
	{ "late.test", DNS_TXT, "v=spf1 a:dead.test -all", 0 },
	{ NULL, 0, NULL, 0 },
};

/* "s.test include:yes.test > yes.test ip4:192.0.2.1" */
static void
write_way(const struct spf_outcome *outcome, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < outcome->steps; i++) {
		const struct spf_step *step = &outcome->step[i];

		n += (size_t)snprintf(text + n, size - n, "%s%.*s %.*s",
				      i > 0 ? " > " : "", (int)step->domain.n,
				      step->domain.p, (int)step->term.n,
				      step->term.p);
		assert_true(n < size);
	}
}

static void
t11_the_way_to_the_term_that_decided(void **state)
{
	static const struct {
		const char *record, *way;
	} cases[] = {
		{ "v=spf1 a:none.test +ip4:192.0.2.0/24 -all",
		  "s.test +ip4:192.0.2.0/24" },
		{ "v=spf1 ~include:yes.test -all",
		  "s.test ~include:yes.test > yes.test ip4:192.0.2.1" },
		/* includes that do not match are no part of it */
		{ "v=spf1 include:no.test -all", "s.test -all" },
		{ "v=spf1 include:no.test include:on.test -all",
		  "s.test include:on.test > on.test redirect=yes.test > "
		  "yes.test ip4:192.0.2.1" },
		{ "v=spf1 include:no.test", "s.test " },
		{ "v=spf1 exp=e.test redirect=open.test",
		  "s.test redirect=open.test > open.test " },
		/* where it could not go on */
		{ "v=spf1 include:late.test -all",
		  "s.test include:late.test > late.test a:dead.test" },
		{ "v=spf1 include:none.test -all", "s.test include:none.test" },
		{ "v=spf1 foo", "" },
	};
	struct spf_facts facts = facts_of("192.0.2.1", "u@s.test", "h.test");
	struct spf_outcome outcome;
	char text[1000];

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		evaluate(&facts, zone_of(cases[i].record, way), &outcome);
		write_way(&outcome, text, sizeof(text));
		assert_string_equal(text, cases[i].way);
	}
}

static int
set_up(void **state)
{
	(void)state;
	return set_up_with(SPF_ENGINE_NATIVE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_examples_of_appendix_a),
		cmocka_unit_test(t2_what_can_be_needed_is_asked_at_once),
		cmocka_unit_test(
			t3_a_result_waits_for_nothing_it_does_not_need),
		cmocka_unit_test(t4_questions_ahead_count_against_no_limit),
		cmocka_unit_test(t5_questions_ahead_leave_room),
		cmocka_unit_test(t6_mechanisms_and_who_decides),
		cmocka_unit_test(t7_voids_are_counted_over_all_terms),
		cmocka_unit_test(t8_the_name_of_the_client),
		cmocka_unit_test(t9_explanations),
		cmocka_unit_test(
			t10_local_parts_that_are_not_ascii_match_nothing),
		cmocka_unit_test(t11_the_way_to_the_term_that_decided),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
