/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_host() of RFC 7208 over answers: what is the same with each engine,
 * what must not get near libspf2, and where the two differ. Of our own engine
 * there is more in test_dmarc_spf_native.c; the openspf.org suite is
 * tests/suites/test_spf.c.
 */
#include "dmarc/spf.h"
#include "dmarc/spf_record.h"
#include "dmarc/spf_rewrite.h"
#include "tests/unit/spf_rig.h"

#include <time.h>

/* --- what the engine is given --- */

static void
t1_records_are_rewritten(void **state)
{
	static const struct {
		const char *client, *record, *rewritten;
		bool is_deciding;
	} cases[] = {
		{ "192.0.2.1", "v=spf1 a -all", "v=spf1 +a", true },
		{ "192.0.2.1", "v=spf1 a -all", "v=spf1 +a -all", false },
		{ "192.0.2.1", "v=spf1 ip4:192.0.2.0/24 mx", "v=spf1 +all",
		  true },
		{ "192.0.2.1", "v=spf1 ip4:192.0.3.0/24 ~mx/24//64",
		  "v=spf1 ~mx/24", true },
		{ "2001:db8::1", "v=spf1 ip4:0.0.0.0/0 mx:x.example./24//64",
		  "v=spf1 +mx:x.example//64", true },
		{ "2001:db8::1", "v=spf1 -ip6:2001:db8:8000::/33 ?ip6:::/0",
		  "v=spf1 ?all", true },
		{ "192.0.2.1", "v=spf1 a/0 mx:x.example/0 a//0",
		  "v=spf1 +a:%{d}. +mx:x.example. +a", true },
		{ "192.0.2.1",
		  "v=spf1 redirect=x.example exp=y.example a.b=c "
		  "include:z.example",
		  "v=spf1 +include:z.example redirect=x.example.", true },
		{ "192.0.2.1", "v=spf1 redirect=x.example ?all", "v=spf1",
		  true },
		{ "192.0.2.1", "v=spf1 redirect=x.example ip4:192.0.2.1",
		  "v=spf1 +all", true },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct spf_check check = { .client = ip(cases[i].client) };
		struct spf_rewritten out = { .mechanisms = 0 };

		buf_init(&out.text, 1000);
		spf_rewrite(&check, span_cstr(cases[i].record),
			    cases[i].is_deciding, &out);
		if (!span_equal(buf_span(&out.text),
				span_cstr(cases[i].rewritten)))
			fail_msg("%s: %.*s", cases[i].record, (int)out.text.n,
				 buf_span(&out.text).p);
		buf_fini(&out.text);
	}
}

/* --- the identity --- */

static const struct dns_row identities[] = {
	{ "sender.example", DNS_TXT, "v=spf1 ip4:192.0.2.1 -all", 0 },
	{ "helo.example", DNS_TXT, "v=spf1 ip4:192.0.2.2 -all", 0 },
	{ "xn--mnchen-3ya.example", DNS_TXT, "v=spf1 ip4:192.0.2.1 ?all", 0 },
	{ "local.example", DNS_TXT, "v=spf1 exists:%{l}._l.%{d} -all", 0 },
	{ "alice._l.local.example", DNS_A, "127.0.0.2", 0 },
	{ "postmaster._l.local.example", DNS_A, "127.0.0.2", 0 },
	{ "h.example", DNS_TXT, "v=spf1 exists:%{h}._h.%{d} -all", 0 },
	{ "helo.example._h.h.example", DNS_A, "127.0.0.2", 0 },
	{ "loop.example", DNS_TXT, "v=spf1 -all", 0 },
	{ "loop-ok.example", DNS_TXT, "v=spf1 ip4:127.0.0.0/8 ip6:::1 -all",
	  0 },
	{ "none.example", DNS_TXT, "v=DMARC1; p=none", 0 },
	{ "two.example", DNS_TXT, "v=spf1 -all", 0 },
	{ "two.example", DNS_TXT, "v=spf1 +all", 0 },
	{ "dead.example", DNS_TXT, NULL, 0 },
	{ NULL, 0, NULL, 0 },
};

static void
t2_whose_record_is_checked(void **state)
{
	static const struct {
		const char *client, *from, *helo;
		enum spf_result result;
		const char *domain;
	} cases[] = {
		{ "192.0.2.1", "a@sender.example", "x", SPF_PASS,
		  "sender.example" },
		{ "192.0.2.9", "a@Sender.EXAMPLE.", "x", SPF_FAIL,
		  "sender.example" },
		/* an IPv4 client that came in over IPv6 */
		{ "::ffff:192.0.2.1", "a@sender.example", "x", SPF_PASS,
		  "sender.example" },
		/* the null path: postmaster at the HELO name */
		{ "192.0.2.2", "", "helo.example", SPF_PASS, "helo.example" },
		{ "192.0.2.1", "", "helo.example", SPF_FAIL, "helo.example" },
		{ "192.0.2.1", "", "local.example", SPF_PASS, "local.example" },
		{ "192.0.2.1", "", "[192.0.2.1]", SPF_NONE, "" },
		{ "192.0.2.1", "", "localhost", SPF_NONE, "" },
		{ "192.0.2.1", "", "", SPF_NONE, "" },
		{ "192.0.2.1", "a@[192.0.2.1]", "helo.example", SPF_NONE, "" },
		{ "192.0.2.1", "a@localhost", "helo.example", SPF_NONE, "" },
		{ "192.0.2.1", "a@m\xc3\xbcnchen.example", "x", SPF_PASS,
		  "xn--mnchen-3ya.example" },
		{ "192.0.2.1", "alice@local.example", "x", SPF_PASS,
		  "local.example" },
		{ "192.0.2.1", "bob@local.example", "x", SPF_FAIL,
		  "local.example" },
		{ "192.0.2.1", "@local.example", "x", SPF_PASS,
		  "local.example" },
		/* RFC 8616 4: what %{l} cannot say matches nothing */
		{ "192.0.2.1", "\xc3\xa4@local.example", "x", SPF_FAIL,
		  "local.example" },
		{ "192.0.2.1", "a@h.example", "HELO.example", SPF_PASS,
		  "h.example" },
		{ "192.0.2.1", "a@none.example", "x", SPF_NONE,
		  "none.example" },
		{ "192.0.2.1", "a@missing.example", "x", SPF_NONE,
		  "missing.example" },
		{ "192.0.2.1", "a@two.example", "x", SPF_PERMERROR,
		  "two.example" },
		{ "192.0.2.1", "a@dead.example", "x", SPF_TEMPERROR,
		  "dead.example" },
		/* libspf2 alone would pass these unseen */
		{ "127.0.0.1", "a@loop.example", "x", SPF_FAIL,
		  "loop.example" },
		{ "127.9.9.9", "a@missing.example", "x", SPF_NONE,
		  "missing.example" },
		{ "::1", "a@loop.example", "x", SPF_FAIL, "loop.example" },
		{ "127.0.0.1", "a@loop-ok.example", "x", SPF_PASS,
		  "loop-ok.example" },
		{ "::1", "a@loop-ok.example", "x", SPF_PASS,
		  "loop-ok.example" },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct spf_facts facts =
			facts_of(cases[i].client, cases[i].from, cases[i].helo);
		struct spf_outcome outcome;

		evaluate(&facts, identities, &outcome);
		assert_result(&outcome, cases[i].result, cases[i].from);
		if (!span_equal(outcome.domain, span_cstr(cases[i].domain)))
			fail_msg("%s: %.*s", cases[i].from,
				 (int)outcome.domain.n, outcome.domain.p);
	}
}

static void
t3_without_a_client_there_is_nothing_to_judge(void **state)
{
	struct spf_facts facts = { .domain = SPAN_LIT("sender.example") };
	struct spf_outcome outcome;

	(void)state;
	start();
	assert_true(spf_eval(&facts, &answers, &outcome));
	assert_result(&outcome, SPF_NONE, "no client");
	assert_int_equal(answers.count, 0);
}

/* --- results, and who decided --- */

static const struct dns_row zone[] = {
	{ "all.example", DNS_TXT, "v=spf1 a:none.example -all", 0 },
	{ "soft.example", DNS_TXT, "v=spf1 ~all", 0 },
	{ "end.example", DNS_TXT, "v=spf1 ip4:192.0.2.200", 0 },
	{ "minus.example", DNS_TXT, "v=spf1 -ip4:192.0.2.1 ?all", 0 },
	{ "minus-a.example", DNS_TXT, "v=spf1 -a -all", 0 },
	{ "minus-a.example", DNS_A, "192.0.2.1", 0 },
	{ "redirect.example", DNS_TXT, "v=spf1 redirect=all.example", 0 },
	{ "twice.example", DNS_TXT, "v=spf1 redirect=redirect.example", 0 },
	{ "include.example", DNS_TXT, "v=spf1 include:all.example ?all", 0 },
	{ "include-minus.example", DNS_TXT, "v=spf1 -include:pass.example -all",
	  0 },
	{ "include-redirect.example", DNS_TXT,
	  "v=spf1 include:redirect.example ?all", 0 },
	{ "pass.example", DNS_TXT, "v=spf1 +all", 0 },
	{ "order.example", DNS_TXT,
	  "v=spf1 redirect=pass.example -all exp=e.example", 0 },
	{ "early.example", DNS_TXT, "v=spf1 redirect=pass.example -a", 0 },
	{ "early.example", DNS_A, "192.0.2.1", 0 },
	{ "name.example", DNS_TXT, "v=spf1 redirect=target.example", 0 },
	{ "target.example", DNS_TXT, "v=spf1 exists:%{d}.%{o} -all", 0 },
	{ "target.example.name.example", DNS_A, "127.0.0.2", 0 },
	{ "syntax.example", DNS_TXT, "v=spf1 +all foo", 0 },
	{ "isyntax.example", DNS_TXT, "v=spf1 include:syntax.example", 0 },
	{ "inone.example", DNS_TXT, "v=spf1 include:none.example", 0 },
	{ "rnone.example", DNS_TXT, "v=spf1 redirect=none.example", 0 },
	{ "itwo.example", DNS_TXT, "v=spf1 include:two.example", 0 },
	{ "two.example", DNS_TXT, "v=spf1", 0 },
	{ "two.example", DNS_TXT, "v=spf1", 0 },
	{ "idead.example", DNS_TXT, "v=spf1 include:dead.example +all", 0 },
	{ "adead.example", DNS_TXT, "v=spf1 a:dead.example +all", 0 },
	{ "pass-dead.example", DNS_TXT, "v=spf1 ip4:192.0.2.1 a:dead.example",
	  0 },
	{ "dead.example", DNS_TXT, NULL, 0 },
	{ "dead.example", DNS_A, NULL, 0 },
	{ "self.example", DNS_TXT, "v=spf1 include:self.example -all", 0 },
	{ "a0.example", DNS_TXT, "v=spf1 a/0 -all", 0 },
	{ "a0.example", DNS_A, "198.51.100.1", 0 },
	{ "mx0.example", DNS_TXT, "v=spf1 mx:m.example/0 -all", 0 },
	{ "mx0b.example", DNS_TXT, "v=spf1 mx:m.example a -all", 0 },
	{ "m.example", DNS_MX, "0 ", 0 },
	{ "m.example", DNS_MX, "10 a0.example", 0 },
	/* the second exchange of an mx that the first has decided */
	{ "again.example", DNS_TXT,
	  "v=spf1 include:minus-mx0.example a:m2.example -all", 0 },
	{ "minus-mx0.example", DNS_TXT, "v=spf1 -mx/0", 0 },
	{ "minus-mx0.example", DNS_MX, "10 a0.example", 0 },
	{ "minus-mx0.example", DNS_MX, "20 m2.example", 0 },
	{ "m2.example", DNS_A, "198.51.100.2", 0 },
	{ "mapped.example", DNS_TXT, "v=spf1 ip6:::ffff:192.0.2.1 -all", 0 },
	{ "p.example", DNS_TXT, "v=spf1 ptr:hosts.example -all", 0 },
	{ "1.2.0.192.in-addr.arpa", DNS_PTR, "w.hosts.example", 0 },
	{ "w.hosts.example", DNS_A, "192.0.2.1", 0 },
	{ "9.2.0.192.in-addr.arpa", DNS_PTR, NULL, 0 },
	{ "exp.example", DNS_TXT, "v=spf1 -all exp=%{p}.e.example", 0 },
	{ NULL, 0, NULL, 0 },
};

static void
t4_results_and_whether_minus_all_decided(void **state)
{
	static const struct {
		const char *domain;
		enum spf_result result;
		bool is_all_fail;
	} cases[] = {
		{ "all.example", SPF_FAIL, true },
		{ "soft.example", SPF_SOFTFAIL, false },
		{ "end.example", SPF_NEUTRAL, false },
		{ "minus.example", SPF_FAIL, false },
		{ "minus-a.example", SPF_FAIL, false },
		{ "redirect.example", SPF_FAIL, true },
		{ "twice.example", SPF_FAIL, true },
		{ "include.example", SPF_NEUTRAL, false },
		{ "include-minus.example", SPF_FAIL, false },
		{ "include-redirect.example", SPF_NEUTRAL, false },
		{ "order.example", SPF_FAIL, true },
		{ "early.example", SPF_FAIL, false },
		{ "name.example", SPF_PASS, false },
		{ "syntax.example", SPF_PERMERROR, false },
		{ "isyntax.example", SPF_PERMERROR, false },
		{ "inone.example", SPF_PERMERROR, false },
		{ "rnone.example", SPF_PERMERROR, false },
		{ "itwo.example", SPF_PERMERROR, false },
		{ "idead.example", SPF_TEMPERROR, false },
		{ "adead.example", SPF_TEMPERROR, false },
		{ "pass-dead.example", SPF_PASS, false },
		{ "self.example", SPF_PERMERROR, false },
		{ "a0.example", SPF_PASS, false },
		{ "mx0.example", SPF_PASS, false },
		{ "mx0b.example", SPF_FAIL, true },
		{ "again.example", SPF_FAIL, true },
		{ "mapped.example", SPF_FAIL, true },
		{ "p.example", SPF_PASS, false },
		{ "exp.example", SPF_FAIL, true },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct spf_facts facts =
			facts_of("192.0.2.1", "a@x", "helo.example");
		struct spf_outcome outcome;

		facts.domain = span_cstr(cases[i].domain);
		evaluate(&facts, zone, &outcome);
		assert_result(&outcome, cases[i].result, cases[i].domain);
		if (outcome.is_all_fail != cases[i].is_all_fail)
			fail_msg("%s: is_all_fail", cases[i].domain);
		assert_int_equal(outcome.explanation.n, 0);
		assert_non_null(outcome.reason);
	}
}

static void
t5_ptr_trouble_is_no_match(void **state)
{
	struct spf_facts facts = facts_of("192.0.2.9", "a@p.example", "x");
	struct spf_outcome outcome;

	(void)state;
	evaluate(&facts, zone, &outcome);
	assert_result(&outcome, SPF_FAIL, "PTR SERVFAIL");
}

static void
t6_the_record_and_the_questions_are_told(void **state)
{
	struct spf_facts facts = facts_of("192.0.2.1", "a@exp.example", "x");
	struct spf_outcome outcome;
	size_t asked;

	(void)state;
	evaluate(&facts, zone, &outcome);
	assert_true(span_equal(outcome.record,
			       SPAN_LIT("v=spf1 -all exp=%{p}.e.example")));
	assert_int_equal(answers.list[0]->type, DNS_TXT);
	/* libspf2 does not look up exp, nor the PTR of its %{p} */
	asked = engine == SPF_ENGINE_LIBSPF2 ? 1 : 4;
	assert_int_equal(answers.count, asked);
	/* a run over settled answers asks nothing new */
	assert_true(spf_eval(&facts, &answers, &outcome));
	assert_int_equal(answers.count, asked);
}

/* --- limits --- */

#define BIG_MAX 200

/* A zone that is written by a test, row by row. */
static struct dns_row big[BIG_MAX + 1];
static char big_name[BIG_MAX][64], big_value[BIG_MAX][BIG_TEXT];
static size_t big_count;

static char *
add_big(enum dns_type type, const char *format, unsigned a, unsigned b)
{
	size_t i = big_count++;

	assert_true(i < BIG_MAX);
	/* the formats are literals of this file */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(big_name[i], sizeof(big_name[i]), format, a, b);
#pragma GCC diagnostic pop
	big_value[i][0] = '\0';
	big[i] = (struct dns_row){ big_name[i], type, big_value[i], 0 };
	big[i + 1] = (struct dns_row){ NULL, 0, NULL, 0 };
	return big_value[i];
}

static enum spf_result
evaluate_big(const char *client, struct spf_outcome *outcome)
{
	struct spf_facts facts = facts_of(client, "a@big.example", "x");

	evaluate(&facts, big, outcome);
	return outcome->result;
}

/* `mechanism`:nI.example, n times, in a record that ends with +all. */
static void
make_terms(const char *mechanism, unsigned n, enum dns_type type,
	   const char *value)
{
	char text[100], *record;

	big_count = 0;
	record = add_big(DNS_TXT, "big.example", 0, 0);
	append(record, "v=spf1");
	for (unsigned i = 0; i < n; i++) {
		snprintf(text, sizeof(text), " %s:n%u.example", mechanism, i);
		append(record, text);
		append(add_big(type, "n%u.example", i, 0), value);
	}
	append(record, " +all");
}

static void
t7_ten_terms_that_ask_and_not_eleven(void **state)
{
	static const struct {
		const char *mechanism;
		enum dns_type type;
		const char *value;
	} cases[] = {
		{ "a", DNS_A, "198.51.100.1" },
		{ "mx", DNS_MX, "0 " },
		{ "exists", DNS_AAAA, "2001:db8::1" }, /* void: see below */
		{ "include", DNS_TXT, "v=spf1 -all" },
	};
	struct spf_outcome outcome;

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		bool is_void = cases[i].type == DNS_AAAA;
		unsigned most = is_void ? 2 : 10;

		make_terms(cases[i].mechanism, most, cases[i].type,
			   cases[i].value);
		assert_int_equal(evaluate_big("192.0.2.1", &outcome), SPF_PASS);
		make_terms(cases[i].mechanism, most + 1, cases[i].type,
			   cases[i].value);
		assert_int_equal(evaluate_big("192.0.2.1", &outcome),
				 SPF_PERMERROR);
	}
}

/* Each name includes ten, six levels deep: a million look-ups to an engine
 * that starts to count anew in each of them. */
static void
t8_includes_are_counted_over_all_levels(void **state)
{
	struct spf_outcome outcome;
	char text[100], *record;
	clock_t begin = clock();

	(void)state;
	big_count = 0;
	record = add_big(DNS_TXT, "big.example", 0, 0);
	append(record, "v=spf1 include:l0n0.example +all");
	for (unsigned level = 0; level < 6; level++) {
		for (unsigned i = 0; i < 10; i++) {
			record = add_big(DNS_TXT, "l%un%u.example", level, i);
			append(record, "v=spf1");
			for (unsigned k = 0; k < 10; k++) {
				snprintf(text, sizeof(text),
					 " include:l%un%u.example", level + 1,
					 k);
				append(record, level == 5 ? "" : text);
			}
			append(record, " -all");
		}
	}
	assert_int_equal(evaluate_big("192.0.2.1", &outcome), SPF_PERMERROR);
	assert_true(answers.count <=
		    (engine == SPF_ENGINE_LIBSPF2 ? 11 : SPF_AHEAD_MAX + 11));
	assert_true(clock() - begin < CLOCKS_PER_SEC / 5);
}

static void
t9_ten_mx_and_not_eleven(void **state)
{
	struct spf_outcome outcome;

	(void)state;
	for (unsigned n = 10; n <= 11; n++) {
		big_count = 0;
		append(add_big(DNS_TXT, "big.example", 0, 0), "v=spf1 mx +all");
		for (unsigned i = 0; i < n; i++) {
			snprintf(add_big(DNS_MX, "big.example", 0, 0), BIG_TEXT,
				 "10 m%u.example", i);
			append(add_big(DNS_A, "m%u.example", i, 0),
			       "198.51.100.1");
		}
		assert_int_equal(evaluate_big("192.0.2.1", &outcome),
				 n == 10 ? SPF_PASS : SPF_PERMERROR);
		/* the exchanges' addresses are part of the one term; ours
		 * does not ask for them where there are too many */
		assert_int_equal(answers.count,
				 n == 10 || engine == SPF_ENGINE_LIBSPF2 ? 12
									 : 2);
	}
}

/* … and so are those that exchanges do not have: one term, one void. */
static void
t10_mx_without_addresses(void **state)
{
	struct spf_outcome outcome;

	(void)state;
	big_count = 0;
	append(add_big(DNS_TXT, "big.example", 0, 0), "v=spf1 mx +all");
	for (unsigned i = 0; i < 5; i++)
		snprintf(add_big(DNS_MX, "big.example", 0, 0), BIG_TEXT,
			 "10 m%u.example", i);
	assert_int_equal(evaluate_big("192.0.2.1", &outcome), SPF_PASS);
}

static void
t11_of_more_than_ten_ptr_the_first_ten_count(void **state)
{
	struct spf_outcome outcome;

	(void)state;
	big_count = 0;
	append(add_big(DNS_TXT, "big.example", 0, 0), "v=spf1 ptr -all");
	for (unsigned i = 0; i < 20; i++) {
		snprintf(add_big(DNS_PTR, "1.2.0.192.in-addr.arpa", 0, 0),
			 BIG_TEXT, "h%u.big.example", i);
		append(add_big(DNS_A, "h%u.big.example", i, 0),
		       i == 9 || i == 10 ? "192.0.2.1" : "198.51.100.1");
	}
	assert_int_equal(evaluate_big("192.0.2.1", &outcome), SPF_PASS);
	append(big_value[20], "0"); /* h9: another address */
	assert_int_equal(evaluate_big("192.0.2.1", &outcome), SPF_FAIL);
}

/* libspf2 drops what exceeds 511 octets compiled, and says nothing. */
static void
t12_a_record_of_many_networks(void **state)
{
	struct spf_outcome outcome;
	char text[100], *record;

	(void)state;
	big_count = 0;
	record = add_big(DNS_TXT, "big.example", 0, 0);
	append(record, "v=spf1");
	for (unsigned i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), " ip6:2001:db8:%x::/48", i);
		append(record, text);
	}
	append(record, " -all");
	assert_int_equal(evaluate_big("2001:db8:c7::1", &outcome), SPF_PASS);
	assert_int_equal(evaluate_big("2001:db8:c8::1", &outcome), SPF_FAIL);
	assert_true(outcome.is_all_fail);
}

/* Sixty includes of which the first matches. */
static void
t13_what_stands_behind_the_eleventh_term_does_not_matter(void **state)
{
	struct spf_outcome outcome;

	(void)state;
	make_terms("include", 60, DNS_TXT, "v=spf1 ip4:192.0.2.1 -all");
	assert_int_equal(evaluate_big("192.0.2.1", &outcome), SPF_PASS);
	assert_int_equal(evaluate_big("192.0.2.2", &outcome), SPF_PERMERROR);
}

/* Three long names are too much for it; that is said. */
static void
t14_a_record_too_long_for_the_engine_is_an_error(void **state)
{
	struct spf_outcome outcome;
	char *record;

	(void)state;
	big_count = 0;
	record = add_big(DNS_TXT, "big.example", 0, 0);
	append(record, "v=spf1");
	for (unsigned i = 0; i < 3; i++) {
		append(record, " exists:");
		for (unsigned k = 0; k < 48; k++)
			append(record, "abcd.");
		append(record, "example");
	}
	append(record, " -all");
	assert_int_equal(evaluate_big("192.0.2.1", &outcome), SPF_PERMERROR);
}

/* CVE-2023-42118: 113 macros in an explanation smash libspf2's stack. */
static void
t15_explanations_are_never_expanded(void **state)
{
	struct spf_outcome outcome;
	char *text;

	(void)state;
	big_count = 0;
	append(add_big(DNS_TXT, "big.example", 0, 0),
	       "v=spf1 -all exp=e.example");
	text = add_big(DNS_TXT, "e.example", 0, 0);
	for (unsigned i = 0; i < 400; i++)
		append(text, "%{i}");
	assert_int_equal(evaluate_big("192.0.2.1", &outcome), SPF_FAIL);
	assert_int_equal(outcome.explanation.n, 0);
}

static void
t16_macros_that_grow_stay_bounded(void **state)
{
	struct spf_facts facts =
		facts_of("2001:db8::1", "twenty.octets+or=so@big.example", "x");
	struct spf_outcome outcome;
	size_t longest = 0;
	char *record;

	(void)state;
	big_count = 0;
	record = add_big(DNS_TXT, "big.example", 0, 0);
	append(record, "v=spf1 exists:");
	for (unsigned i = 0; i < 40; i++)
		append(record, i % 2 == 0 ? "%{S}." : "%{ir}.");
	append(record, "%{d} ?all");
	evaluate(&facts, big, &outcome);
	assert_result(&outcome, SPF_NEUTRAL, "growing macros");
	for (size_t i = 0; i < answers.count; i++)
		if (answers.list[i]->name.n > longest)
			longest = answers.list[i]->name.n;
	/* RFC 7208 7.3: labels are dropped from the left */
	assert_in_range(longest, 200, DOMAIN_MAX);
}

static void
t17_no_room_for_questions_is_temperror(void **state)
{
	struct spf_facts facts = facts_of("192.0.2.1", "a@all.example", "x");
	struct spf_outcome outcome;

	(void)state;
	start();
	answers.max = 1;
	assert_false(spf_eval(&facts, &answers, &outcome));
	dns_rows_settle_all(zone, &answers);
	assert_true(spf_eval(&facts, &answers, &outcome));
	assert_result(&outcome, SPF_TEMPERROR, "too many questions");
}

static void
t18_giving_up_is_temperror(void **state)
{
	struct spf_facts facts = facts_of("192.0.2.1", "a@all.example", "x");
	struct spf_outcome outcome;

	(void)state;
	start();
	assert_false(spf_eval(&facts, &answers, &outcome));
	answers_give_up(&answers, "time-out");
	assert_true(spf_eval(&facts, &answers, &outcome));
	assert_result(&outcome, SPF_TEMPERROR, "given up");
}

static int
set_up_native(void **state)
{
	(void)state;
	return set_up_with(SPF_ENGINE_NATIVE);
}

static int
set_up_libspf2(void **state)
{
	(void)state;
	return set_up_with(SPF_ENGINE_LIBSPF2);
}

int
main(void)
{
	const struct CMUnitTest before[] = {
		cmocka_unit_test(t1_records_are_rewritten),
	};
	const struct CMUnitTest both[] = {
		cmocka_unit_test(t2_whose_record_is_checked),
		cmocka_unit_test(t3_without_a_client_there_is_nothing_to_judge),
		cmocka_unit_test(t4_results_and_whether_minus_all_decided),
		cmocka_unit_test(t5_ptr_trouble_is_no_match),
		cmocka_unit_test(t6_the_record_and_the_questions_are_told),
		cmocka_unit_test(t7_ten_terms_that_ask_and_not_eleven),
		cmocka_unit_test(t8_includes_are_counted_over_all_levels),
		cmocka_unit_test(t9_ten_mx_and_not_eleven),
		cmocka_unit_test(t10_mx_without_addresses),
		cmocka_unit_test(t11_of_more_than_ten_ptr_the_first_ten_count),
		cmocka_unit_test(t12_a_record_of_many_networks),
		cmocka_unit_test(
			t13_what_stands_behind_the_eleventh_term_does_not_matter),
		cmocka_unit_test(t16_macros_that_grow_stay_bounded),
		cmocka_unit_test(t17_no_room_for_questions_is_temperror),
		cmocka_unit_test(t18_giving_up_is_temperror),
	};
	const struct CMUnitTest libspf2[] = {
		cmocka_unit_test(
			t14_a_record_too_long_for_the_engine_is_an_error),
		cmocka_unit_test(t15_explanations_are_never_expanded),
	};
	int failed;

	failed = cmocka_run_group_tests_name("records", before, set_up_libspf2,
					     tear_down);
	failed += cmocka_run_group_tests_name("native", both, set_up_native,
					      tear_down);
	failed += cmocka_run_group_tests_name("libspf2", both, set_up_libspf2,
					      tear_down);
	failed += cmocka_run_group_tests_name("libspf2 alone", libspf2,
					      set_up_libspf2, tear_down);
	return failed;
}
