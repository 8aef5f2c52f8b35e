/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole messages against a small DNS: which policy speaks, what is aligned,
 * and what comes of it; and that the order of answers does not show. */
#include "tests/unit/eval_rig.h"

#include <time.h>

/* --- the table --- */

#define FROM(address) "From: " address "\r\n"
#define MAIL(domain, path, dkim, client)              \
	{                                             \
		FROM("a@" domain), path, dkim, client \
	}

/* clang-format off */
static const struct {
	struct mail mail;
	enum dmarc_result result;
	enum disposition disposition;
	enum dmarc_outcome outcome;
	const char *policy; /* domain whose record spoke; NULL: none */
	bool is_spf_aligned;
	unsigned dkim_aligned;
} cases[] = {
#define PASS DMARC_PASS, DISPOSITION_NONE, OUTCOME_ALLOW
#define REJECT DMARC_FAIL, DISPOSITION_REJECT, OUTCOME_REJECT
#define QUARANTINE DMARC_FAIL, DISPOSITION_QUARANTINE, OUTCOME_QUARANTINE
#define SOFTFAIL DMARC_FAIL, DISPOSITION_NONE, OUTCOME_SOFTFAIL
#define TEMPERROR DMARC_TEMPERROR, DISPOSITION_NONE, OUTCOME_NA
#define NOTHING DMARC_NONE, DISPOSITION_NONE, OUTCOME_NA
#define BAD_POLICY DMARC_PERMERROR, DISPOSITION_NONE, OUTCOME_BAD_POLICY
	/* the policies, and nothing to align */
	{ MAIL("reject.example", "x@other.test", NULL, NULL),
	  REJECT, "reject.example", false, 0 },
	{ MAIL("quarantine.example", "x@other.test", NULL, NULL),
	  QUARANTINE, "quarantine.example", false, 0 },
	{ MAIL("none.example", "x@other.test", NULL, NULL),
	  SOFTFAIL, "none.example", false, 0 },
	{ MAIL("plain.example", "x@other.test", NULL, NULL),
	  NOTHING, NULL, false, 0 },
	{ MAIL("missing.example", "x@other.test", NULL, NULL),
	  NOTHING, NULL, false, 0 },
	/* SPF */
	{ MAIL("reject.example", "x@reject.example", NULL, GOOD_CLIENT),
	  PASS, "reject.example", true, 0 },
	{ MAIL("reject.example", "x@reject.example", NULL, BAD_CLIENT),
	  REJECT, "reject.example", false, 0 },
	{ MAIL("reject.example", "x@mail.reject.example", NULL, GOOD_CLIENT),
	  PASS, "reject.example", true, 0 },
	{ MAIL("mail.reject.example", "x@reject.example", NULL, GOOD_CLIENT),
	  PASS, "reject.example", true, 0 },
	{ MAIL("reject.example", "x@other.test", NULL, GOOD_CLIENT),
	  REJECT, "reject.example", false, 0 },
	{ MAIL("reject.example", "x@plain.example", NULL, GOOD_CLIENT),
	  REJECT, "reject.example", false, 0 },
	{ MAIL("REJECT.Example.", "x@Reject.EXAMPLE", NULL, GOOD_CLIENT),
	  PASS, "reject.example", true, 0 },
	{ MAIL("strict.example", "x@strict.example", NULL, GOOD_CLIENT),
	  PASS, "strict.example", true, 0 },
	{ MAIL("strict.example", "x@mail.strict.example", NULL, GOOD_CLIENT),
	  REJECT, "strict.example", false, 0 },
	/* the null path: the HELO name is the identity */
	{ MAIL("reject.example", "", NULL, GOOD_CLIENT),
	  PASS, "reject.example", true, 0 },
	{ MAIL("reject.example", "", NULL, BAD_CLIENT),
	  REJECT, "reject.example", false, 0 },
	/* … which it is not beside a path (reject.example is the HELO) */
	{ MAIL("reject.example", "x@other.test", NULL, GOOD_CLIENT),
	  REJECT, "reject.example", false, 0 },
	/* DKIM */
	{ MAIL("reject.example", "x@other.test", "good:reject.example", NULL),
	  PASS, "reject.example", false, 1 },
	{ MAIL("reject.example", "x@other.test", "bad:reject.example", NULL),
	  REJECT, "reject.example", false, 0 },
	{ MAIL("reject.example", "x@other.test", "lost:reject.example", NULL),
	  REJECT, "reject.example", false, 0 },
	{ MAIL("reject.example", "x@other.test", "good:other.test", NULL),
	  REJECT, "reject.example", false, 0 },
	/* the victim's fails, the attacker's passes */
	{ MAIL("reject.example", "x@other.test",
	       "bad:reject.example good:plain.example", GOOD_CLIENT),
	  REJECT, "reject.example", false, 0 },
	{ MAIL("reject.example", "x@other.test",
	       "good:other.test bad:reject.example good:mail.reject.example",
	       NULL),
	  PASS, "reject.example", false, 4 },
	{ MAIL("strict-dkim.example", "x@other.test",
	       "good:mail.strict-dkim.example", NULL),
	  REJECT, "strict-dkim.example", false, 0 },
	{ MAIL("strict-dkim.example", "x@mail.strict-dkim.example",
	       "good:mail.strict-dkim.example", GOOD_CLIENT),
	  PASS, "strict-dkim.example", true, 0 },
	{ MAIL("reject.example", "x@reject.example",
	       "good:reject.example", GOOD_CLIENT),
	  PASS, "reject.example", true, 1 },
	/* which tag speaks */
	{ MAIL("sp.example", "x@other.test", NULL, NULL),
	  REJECT, "sp.example", false, 0 },
	{ MAIL("a.sp.example", "x@other.test", NULL, NULL),
	  QUARANTINE, "sp.example", false, 0 },
	{ MAIL("missing.sp.example", "x@other.test", NULL, NULL),
	  SOFTFAIL, "sp.example", false, 0 },
	/* existence unknown: it is taken to exist */
	{ MAIL("unknown.sp.example", "x@other.test", NULL, NULL),
	  QUARANTINE, "sp.example", false, 0 },
	{ MAIL("a.np.example", "x@other.test", NULL, NULL),
	  SOFTFAIL, "np.example", false, 0 },
	{ MAIL("missing.np.example", "x@other.test", NULL, NULL),
	  REJECT, "np.example", false, 0 },
	{ MAIL("txt.np.example", "x@other.test", NULL, NULL),
	  SOFTFAIL, "np.example", false, 0 },
	{ MAIL("own.sp.example", "x@other.test", NULL, NULL),
	  SOFTFAIL, "own.sp.example", false, 0 },
	/* t=y: one step less */
	{ MAIL("t.example", "x@other.test", NULL, NULL),
	  QUARANTINE, "t.example", false, 0 },
	{ MAIL("tq.example", "x@other.test", NULL, NULL),
	  SOFTFAIL, "tq.example", false, 0 },
	{ MAIL("t.example", "x@t.example", NULL, GOOD_CLIENT),
	  PASS, "t.example", true, 0 },
	/* records without a usable policy */
	{ MAIL("bad.example", "x@other.test", NULL, NULL),
	  BAD_POLICY, "bad.example", false, 0 },
	{ MAIL("bad-rua.example", "x@other.test", NULL, NULL),
	  SOFTFAIL, "bad-rua.example", false, 0 },
	{ MAIL("bad-rua.example", "x@bad-rua.example", NULL, GOOD_CLIENT),
	  PASS, "bad-rua.example", true, 0 },
	{ MAIL("no-p.example", "x@other.test", NULL, NULL),
	  SOFTFAIL, "no-p.example", false, 0 },
	{ MAIL("bad-sp.example", "x@other.test", NULL, NULL),
	  BAD_POLICY, "bad-sp.example", false, 0 },
	/* several records count as none, and the walk goes on */
	{ MAIL("two.example", "x@other.test", NULL, NULL),
	  NOTHING, NULL, false, 0 },
	{ MAIL("two-below.reject.example", "x@other.test", NULL, NULL),
	  REJECT, "reject.example", false, 0 },
	/* public suffixes: RFC 9989 B.4 */
	{ MAIL("giant.bank.example", "x@mail.giant.bank.example",
	       NULL, GOOD_CLIENT),
	  PASS, "giant.bank.example", true, 0 },
	{ MAIL("giant.bank.example", "x@mega.bank.example", NULL, GOOD_CLIENT),
	  QUARANTINE, "giant.bank.example", false, 0 },
	{ MAIL("mail.mega.bank.example", "x@mega.bank.example",
	       NULL, GOOD_CLIENT),
	  PASS, "bank.example", true, 0 },
	{ MAIL("mail.mega.bank.example", "x@other.test", NULL, NULL),
	  REJECT, "bank.example", false, 0 },
	{ MAIL("missing.bank.example", "x@other.test", NULL, NULL),
	  QUARANTINE, "bank.example", false, 0 },
	/* psd=n: an organizational domain of its own */
	{ MAIL("x.self.reject.example", "x@reject.example", NULL, GOOD_CLIENT),
	  QUARANTINE, "self.reject.example", false, 0 },
	{ MAIL("reject.example", "x@x.self.reject.example", NULL, GOOD_CLIENT),
	  REJECT, "reject.example", false, 0 },
	{ MAIL("x.self.reject.example", "x@self.reject.example",
	       NULL, GOOD_CLIENT),
	  PASS, "self.reject.example", true, 0 },
	/* U-labels */
	{ MAIL("m\xc3\xbcnchen.example", "x@other.test",
	       "good:xn--mnchen-3ya.example", NULL),
	  PASS, "xn--mnchen-3ya.example", false, 1 },
	{ MAIL("M\xc3\x9cNCHEN.example", "x@other.test", NULL, NULL),
	  REJECT, "xn--mnchen-3ya.example", false, 0 },
	/* DNS trouble */
	{ MAIL("dead.example", "x@other.test", NULL, NULL),
	  TEMPERROR, NULL, false, 0 },
	{ MAIL("dead.example", "x@dead.example", NULL, GOOD_CLIENT),
	  PASS, NULL, true, 0 },
	{ MAIL("dead-key.example", "x@other.test",
	       "dead:dead-key.example", NULL),
	  TEMPERROR, "dead-key.example", false, 0 },
	{ MAIL("dead-key.example", "x@dead-key.example",
	       "dead:dead-key.example", GOOD_CLIENT),
	  PASS, "dead-key.example", true, 0 },
	{ MAIL("dead-key-none.example", "x@other.test",
	       "dead:dead-key-none.example", NULL),
	  TEMPERROR, "dead-key-none.example", false, 0 },
	/* … with an identifier that could never align */
	{ MAIL("reject.example", "x@other.test", "dead:plain.example", NULL),
	  REJECT, "reject.example", false, 0 },
	{ MAIL("dead-spf.example", "x@dead-spf.example", NULL, NULL),
	  TEMPERROR, "dead-spf.example", false, 0 },
	{ MAIL("reject.example", "x@dead-spf.example", NULL, NULL),
	  REJECT, "reject.example", false, 0 },
	/* own record, but nobody knows the organizational domain */
	{ MAIL("own.dead.example", "x@own.dead.example", NULL, GOOD_CLIENT),
	  PASS, "own.dead.example", true, 0 },
	{ MAIL("own.dead.example", "x@mail.own.dead.example",
	       NULL, GOOD_CLIENT),
	  TEMPERROR, "own.dead.example", false, 0 },
	{ MAIL("own.dead.example", "x@other.test", NULL, GOOD_CLIENT),
	  REJECT, "own.dead.example", false, 0 },
	/* broken DNS of a stranger does not make a fail a temperror */
	{ MAIL("reject.example", "x@dead.example", NULL, GOOD_CLIENT),
	  REJECT, "reject.example", false, 0 },
	{ MAIL("reject.example", "x@own.dead.example",
	       "good:mail.own.dead.example dead:dead.example", GOOD_CLIENT),
	  REJECT, "reject.example", false, 0 },
	{ MAIL("own.dead.example", "x@plain.example", NULL, GOOD_CLIENT),
	  REJECT, "own.dead.example", false, 0 },
};
/* clang-format on */

static void
t1_whole_messages(void **state)
{
	char text[4000];

	(void)state;
	assert_true(CASES(cases) >= 40);
	for (size_t i = 0; i < CASES(cases); i++) {
		const struct eval_author *author = &verdict.author[0];

		evaluate(&cases[i].mail, ORDER_AT_ONCE, false);
		describe(text, sizeof(text));
		if (verdict.result != cases[i].result ||
		    verdict.disposition != cases[i].disposition ||
		    verdict.policy_disposition != cases[i].disposition ||
		    verdict.outcome != cases[i].outcome ||
		    author->is_spf_aligned != cases[i].is_spf_aligned ||
		    author->dkim_aligned != cases[i].dkim_aligned)
			fail_msg("case %zu: %s: %s", i, cases[i].mail.header,
				 text);
		if ((author->discovered == DISCOVERY_FOUND) !=
			    (cases[i].policy != NULL) ||
		    !span_equal(author->discovery.domain,
				span_cstr(cases[i].policy)))
			fail_msg("case %zu: policy of %.*s", i,
				 (int)author->discovery.domain.n,
				 author->discovery.domain.p);
		assert_non_null(verdict.rule);
		assert_int_equal(verdict.from_fault, FROM_FAULT_NONE);
	}
}

static void
t2_the_order_of_answers_does_not_show(void **state)
{
	char first[4000], text[4000];

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		evaluate(&cases[i].mail, ORDER_AT_ONCE, false);
		describe(first, sizeof(first));
		for (unsigned order = 0; order < ORDER_SHUFFLED + 6; order++) {
			evaluate(&cases[i].mail, order, order % 2 == 1);
			describe(text, sizeof(text));
			assert_string_equal(text, first);
			evaluate(&cases[i].mail, order, order % 2 == 0);
			describe(text, sizeof(text));
			assert_string_equal(text, first);
		}
	}
}

/* SPF's questions go out at MAIL FROM, all others with the header. */
static void
t3_discovery_is_one_round_trip(void **state)
{
	struct mail mail = { FROM("a@mail.reject.example"),
			     "x@mail.strict.example",
			     "good:a.sp.example bad:quarantine.example",
			     GOOD_CLIENT };

	(void)state;
	evaluate(&mail, ORDER_AT_ONCE, true);
	assert_int_equal(verdict.spf.result, SPF_PASS);
	assert_int_equal(rounds, 2); /* and one that finds nothing open */
	mail.mail_from = "";
	mail.dkim = NULL;
	evaluate(&mail, ORDER_AT_ONCE, false);
	assert_int_equal(rounds, 1);
}

static void
t4_at_mail_from_only_spf_asks(void **state)
{
	struct mail mail = { "", "x@reject.example", NULL, GOOD_CLIENT };
	struct eval_facts facts = facts_of(&mail);

	(void)state;
	reset();
	facts.stage = EVAL_ENVELOPE;
	assert_false(eval_run(&facts, &answers, &verdict));
	assert_int_equal(answers.count, 1);
	assert_true(
		span_equal(answers.list[0]->name, SPAN_LIT("reject.example")));
	assert_int_equal(answers.list[0]->type, DNS_TXT);
}

static void
t5_reruns_take_no_memory(void **state)
{
	struct mail mail = { FROM("a@mail.reject.example"),
			     "x@mail.strict.example", "good:a.sp.example",
			     NULL };
	struct eval_facts facts;
	size_t used;

	(void)state;
	evaluate(&mail, ORDER_AT_ONCE, false);
	facts = facts_of(&mail);
	facts.stage = EVAL_HEADER;
	facts.message = &message;
	authors_read(&message, &arena, &facts.authors);
	facts.dkim = dkim_check_new(fake_dkim_engine(), &arena, 1800000000);
	dkim_check_header(facts.dkim, &message);
	used = arena.used;
	for (unsigned i = 0; i < 100; i++)
		eval_run(&facts, &answers, &verdict);
	assert_int_equal(arena.used, used);
}

/* --- temporary trouble --- */

static void
t6_deferral_only_where_it_matters(void **state)
{
	static const struct {
		struct mail mail;
		bool may_defer, is_spf;
	} deferrals[] = {
		{ { FROM("a@dead.example"), "x@other.test", NULL, NULL },
		  true,
		  false },
		{ { FROM("a@dead-key.example"), "x@other.test",
		    "dead:dead-key.example", NULL },
		  true,
		  false },
		{ { FROM("a@dead-spf.example"), "x@dead-spf.example", NULL,
		    NULL },
		  true,
		  true },
		/* p=none: whatever comes of it, nothing is done */
		{ { FROM("a@dead-key-none.example"), "x@other.test",
		    "dead:dead-key-none.example", NULL },
		  false,
		  false },
		/* a pass in hand wins */
		{ { FROM("a@dead-key.example"), "x@dead-key.example",
		    "dead:dead-key.example", GOOD_CLIENT },
		  false,
		  false },
	};

	(void)state;
	for (size_t i = 0; i < CASES(deferrals); i++) {
		evaluate(&deferrals[i].mail, ORDER_AT_ONCE, false);
		assert_int_equal(verdict.may_defer, deferrals[i].may_defer);
		assert_int_equal(verdict.author[0].is_spf_temporary,
				 deferrals[i].is_spf);
	}
}

static void
t7_given_up_is_temperror(void **state)
{
	struct mail mail = { FROM("a@reject.example"), "x@reject.example",
			     "good:reject.example", GOOD_CLIENT };
	struct eval_facts facts;

	(void)state;
	evaluate(&mail, ORDER_AT_ONCE, false);
	facts = facts_of(&mail);
	answers_init(&answers, &arena, ANSWERS_MAX);
	facts.stage = EVAL_END;
	facts.message = &message;
	authors_read(&message, &arena, &facts.authors);
	facts.dkim = dkim_check_new(fake_dkim_engine(), &arena, 1800000000);
	dkim_check_header(facts.dkim, &message);
	assert_false(eval_run(&facts, &answers, &verdict));
	for (unsigned i = 0; i < 3 && answers.open > 0; i++) {
		answers_give_up(&answers, "eval-timeout");
		if (eval_run(&facts, &answers, &verdict))
			break;
	}
	assert_int_equal(verdict.result, DMARC_TEMPERROR);
	assert_int_equal(verdict.spf.result, SPF_TEMPERROR);
	assert_true(verdict.may_defer);
}

/* --- the From field --- */

static void
t8_faults_of_the_from_field(void **state)
{
	static const struct {
		const char *header;
		enum from_fault fault;
		enum dmarc_result result;
		enum disposition disposition;
		size_t authors;
	} faults[] = {
		{ "Subject: x\r\n", FROM_FAULT_MISSING, DMARC_NONE,
		  DISPOSITION_NONE, 0 },
		{ "", FROM_FAULT_MISSING, DMARC_NONE, DISPOSITION_NONE, 0 },
		{ "From: nobody\r\n", FROM_FAULT_MALFORMED, DMARC_NONE,
		  DISPOSITION_NONE, 0 },
		{ "From: a@[192.0.2.1]\r\n", FROM_FAULT_MALFORMED, DMARC_NONE,
		  DISPOSITION_NONE, 0 },
		{ "From: nobody:;\r\n", FROM_FAULT_EMPTY, DMARC_NONE,
		  DISPOSITION_NONE, 0 },
		{ "From: a@xn--a.example, b@192.0.2.1\r\n", FROM_FAULT_DOMAIN,
		  DMARC_NONE, DISPOSITION_NONE, 1 },
		/* two fields: a forger's friend; the second is seen too */
		{ FROM("a@other.test") FROM("b@reject.example"),
		  FROM_FAULT_REPEATED, DMARC_FAIL, DISPOSITION_REJECT, 2 },
		{ FROM("a@reject.example") FROM("a@reject.example"),
		  FROM_FAULT_REPEATED, DMARC_FAIL, DISPOSITION_REJECT, 1 },
		{ FROM("a@reject.example") FROM("nobody"), FROM_FAULT_REPEATED,
		  DMARC_FAIL, DISPOSITION_REJECT, 1 },
		{ "garbage\r\n" FROM("a@reject.example"), FROM_FAULT_HEADER,
		  DMARC_FAIL, DISPOSITION_REJECT, 1 },
		{ "From : a@reject.example\r\n", FROM_FAULT_NONE, DMARC_FAIL,
		  DISPOSITION_REJECT, 1 },
		{ "From: a@a1.test, a@a2.test, a@a3.test, a@a4.test,\r\n"
		  " a@a5.test, a@a6.test, a@a7.test, a@reject.example,\r\n"
		  " a@a9.test\r\n",
		  FROM_FAULT_TOO_MANY, DMARC_FAIL, DISPOSITION_REJECT, 8 },
	};

	(void)state;
	for (size_t i = 0; i < CASES(faults); i++) {
		struct mail mail = { faults[i].header, "x@other.test", NULL,
				     NULL };

		evaluate(&mail, ORDER_AT_ONCE, false);
		if (verdict.from_fault != faults[i].fault ||
		    verdict.result != faults[i].result ||
		    verdict.disposition != faults[i].disposition ||
		    verdict.authors != faults[i].authors)
			fail_msg("%s: %s, %s, %s, %zu", faults[i].header,
				 from_fault_text(verdict.from_fault),
				 dmarc_result_name(verdict.result),
				 disposition_name(verdict.disposition),
				 verdict.authors);
	}
}

static void
t9_nothing_passes_with_a_fault(void **state)
{
	static const char *const headers[] = {
		FROM("a@reject.example") FROM("a@reject.example"),
		"garbage\r\n" FROM("a@reject.example"),
		"From: a@reject.example, b@xn--0.192.0.2.1\r\n",
	};

	(void)state;
	for (size_t i = 0; i < CASES(headers); i++) {
		struct mail mail = { headers[i], "x@reject.example",
				     "good:reject.example", GOOD_CLIENT };

		evaluate(&mail, ORDER_AT_ONCE, false);
		assert_int_not_equal(verdict.result, DMARC_PASS);
		assert_int_equal(verdict.disposition, DISPOSITION_NONE);
	}
}

static void
t10_of_several_domains_the_strictest_decides(void **state)
{
	static const struct {
		const char *from, *dkim;
		enum dmarc_result result;
		enum disposition disposition;
		const char *deciding;
	} several[] = {
		{ "From: a@none.example, b@reject.example\r\n", NULL,
		  DMARC_FAIL, DISPOSITION_REJECT, "reject.example" },
		{ "From: a@quarantine.example, b@none.example\r\n", NULL,
		  DMARC_FAIL, DISPOSITION_QUARANTINE, "quarantine.example" },
		/* one passes, the other does not */
		{ "From: a@reject.example, b@quarantine.example\r\n",
		  "good:reject.example", DMARC_FAIL, DISPOSITION_QUARANTINE,
		  "quarantine.example" },
		{ "From: a@reject.example, b@quarantine.example\r\n",
		  "good:reject.example good:quarantine.example", DMARC_PASS,
		  DISPOSITION_NONE, "reject.example" },
		/* no policy is no pass */
		{ "From: a@reject.example, b@plain.example\r\n",
		  "good:reject.example", DMARC_NONE, DISPOSITION_NONE,
		  "plain.example" },
		{ "From: a@none.example, b@dead.example\r\n", NULL,
		  DMARC_TEMPERROR, DISPOSITION_NONE, "dead.example" },
		{ "From: a@dead.example, b@reject.example\r\n", NULL,
		  DMARC_FAIL, DISPOSITION_REJECT, "reject.example" },
		/* one domain, several mailboxes */
		{ "From: a@reject.example, b@Reject.example\r\n",
		  "good:reject.example", DMARC_PASS, DISPOSITION_NONE,
		  "reject.example" },
	};

	(void)state;
	for (size_t i = 0; i < CASES(several); i++) {
		struct mail mail = { several[i].from, "x@other.test",
				     several[i].dkim, NULL };

		evaluate(&mail, ORDER_AT_ONCE, false);
		if (verdict.result != several[i].result ||
		    verdict.disposition != several[i].disposition ||
		    !span_equal(verdict.author[verdict.deciding].domain,
				span_cstr(several[i].deciding)))
			fail_msg("%s: %s", several[i].from,
				 dmarc_result_name(verdict.result));
		assert_int_equal(verdict.from_fault, FROM_FAULT_NONE);
	}
}

/* --- settings --- */

static void
t11_reject_needs_evidence(void **state)
{
	static const struct {
		struct mail mail;
		enum disposition disposition;
	} evidence[] = {
		/* -all, no signature, no list: rejected */
		{ { FROM("a@reject.example"), "x@reject.example", NULL, NULL },
		  DISPOSITION_REJECT },
		/* SPF passes for somebody else */
		{ { FROM("a@reject.example"), "x@other.test", NULL,
		    GOOD_CLIENT },
		  DISPOSITION_QUARANTINE },
		{ { FROM("a@reject.example"), "x@missing.test", NULL, NULL },
		  DISPOSITION_QUARANTINE },
		/* SPF fails, but not by -all */
		{ { FROM("a@reject.example"), "x@minus.example", NULL, NULL },
		  DISPOSITION_QUARANTINE },
		{ { FROM("a@reject.example"), "x@reject.example",
		    "bad:other.test", NULL },
		  DISPOSITION_QUARANTINE },
		{ { FROM("a@reject.example") "List-Id: <l.other.test>\r\n",
		    "x@reject.example", NULL, NULL },
		  DISPOSITION_QUARANTINE },
		{ { FROM("a@reject.example") "list-post: NO\r\n",
		    "x@reject.example", NULL, NULL },
		  DISPOSITION_QUARANTINE },
		{ { FROM("a@quarantine.example"), "x@reject.example", NULL,
		    NULL },
		  DISPOSITION_QUARANTINE },
		{ { FROM("a@none.example"), "x@reject.example", NULL, NULL },
		  DISPOSITION_NONE },
	};

	(void)state;
	settings.needs_evidence = true;
	for (size_t i = 0; i < CASES(evidence); i++) {
		evaluate(&evidence[i].mail, ORDER_AT_ONCE, false);
		if (verdict.disposition != evidence[i].disposition)
			fail_msg("%zu: %s", i,
				 disposition_name(verdict.disposition));
		assert_int_equal(verdict.policy_disposition,
				 verdict.author[0].disposition);
	}
	settings.needs_evidence = false;
}

static void
t12_the_public_suffix_list(void **state)
{
	struct domain_psl *psl =
		domain_psl_new(SPAN_LIT("example\nbank.example\ntest\n"));
	struct mail mail = { FROM("a@a.b.pct.example"), "x@other.test", NULL,
			     NULL };

	(void)state;
	assert_non_null(psl);
	settings = (struct eval_settings){ .discovery = DISCOVERY_PSL,
					   .psl = psl };
	percentile = 39;
	evaluate(&mail, ORDER_AT_ONCE, false);
	assert_int_equal(verdict.disposition, DISPOSITION_REJECT);
	percentile = 40;
	evaluate(&mail, ORDER_AT_ONCE, false);
	assert_int_equal(verdict.disposition, DISPOSITION_QUARANTINE);
	/* the tree walk knows no pct */
	settings.discovery = DISCOVERY_TREEWALK;
	evaluate(&mail, ORDER_AT_ONCE, false);
	assert_int_equal(verdict.disposition, DISPOSITION_REJECT);
	percentile = 0;
	/* without a list, by the list */
	settings = (struct eval_settings){ .discovery = DISCOVERY_PSL };
	evaluate(&mail, ORDER_AT_ONCE, false);
	assert_int_equal(verdict.result, DMARC_TEMPERROR);

	settings = (struct eval_settings){ .does_compare = true, .psl = psl };
	mail.header = FROM("a@x.self.reject.example");
	evaluate(&mail, ORDER_AT_ONCE, false);
	assert_true(span_equal(verdict.author[0].org_treewalk,
			       SPAN_LIT("self.reject.example")));
	assert_true(span_equal(verdict.author[0].org_psl,
			       SPAN_LIT("reject.example")));
	settings = (struct eval_settings){ .psl = NULL };
	domain_psl_free(psl);
}

static void
t13_authenticated_sessions_are_not_judged(void **state)
{
	struct mail mail = { FROM("a@reject.example"), "x@other.test", NULL,
			     NULL };
	struct eval_facts facts = facts_of(&mail);

	(void)state;
	reset();
	facts.is_authenticated = true;
	facts.stage = EVAL_ENVELOPE;
	assert_false(eval_run(&facts, &answers, &verdict));
	facts.stage = EVAL_END;
	assert_true(eval_run(&facts, &answers, &verdict));
	assert_int_equal(verdict.outcome, OUTCOME_NA);
	assert_int_equal(verdict.disposition, DISPOSITION_NONE);
	assert_int_equal(verdict.from_fault, FROM_FAULT_NONE);
	assert_int_equal(answers.count, 0);
}

static void
t14_signals(void **state)
{
	struct mail mail = {
		FROM("a@reject.example") "List-ID: x\r\nMessage-Id:\r\n "
					 "<1@x>\t\r\n"
					 "Auto-submitted: auto-replied\r\n",
		"", NULL, NULL
	};

	(void)state;
	evaluate(&mail, ORDER_AT_ONCE, false);
	assert_true(verdict.has_list_id);
	assert_false(verdict.has_list_post);
	assert_true(verdict.is_auto_submitted);
	assert_true(span_equal(verdict.message_id, SPAN_LIT("<1@x>")));
	mail.header = FROM("a@reject.example") "Auto-Submitted: No; x=y\r\n"
					       "List-Post: <mailto:l@x>\r\n";
	evaluate(&mail, ORDER_AT_ONCE, false);
	assert_false(verdict.has_list_id);
	assert_true(verdict.has_list_post);
	assert_false(verdict.is_auto_submitted);
	assert_int_equal(verdict.message_id.n, 0);
}

/* Eight authors, sixteen signatures, an SPF record: within the cap. */
static void
t15_a_hostile_message_asks_no_more_than_is_allowed(void **state)
{
	char header[1000] = "From: ", dkim[2000] = "";
	struct mail mail = { header, "x@a.b.c.d.e.f.g.h.i.reject.example", dkim,
			     NULL };

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		snprintf(header + strlen(header),
			 sizeof(header) - strlen(header),
			 "%sx@%u.b.c.d.e.f.g.h.i.example",
			 i == 0 ? "" : ",\r\n ", i);
	snprintf(header + strlen(header), sizeof(header) - strlen(header),
		 "\r\n");
	for (unsigned i = 0; i < 40; i++)
		snprintf(dkim + strlen(dkim), sizeof(dkim) - strlen(dkim),
			 " good:%u.c.d.e.f.g.h.%u.example", i, i);
	evaluate(&mail, ORDER_AT_ONCE, true);
	assert_int_equal(verdict.authors, 8);
	assert_int_equal(verdict.dkim_count, DKIM_LISTED_MAX);
	assert_true(answers.count <= ANSWERS_MAX);
}

/* SPF asks in four steps; signatures must not have taken its questions. */
static void
t16_signatures_leave_questions_for_spf(void **state)
{
	char dkim[2000] = "";
	struct mail mail = { FROM("a@steps.example"), "x@steps.example", dkim,
			     GOOD_CLIENT };

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		snprintf(dkim + strlen(dkim), sizeof(dkim) - strlen(dkim),
			 " bad:%u.c.d.e.f.g.h.%u.example", i, i);
	questions_max = 50;
	evaluate(&mail, ORDER_AT_ONCE, false);
	questions_max = ANSWERS_MAX;
	assert_int_equal(verdict.result, DMARC_PASS);
	assert_false(answers.has_overflowed);
}

/* A sender with a record of his own that asks for all there is gets no further
 * than without: the author's record is looked up all the same. */
static void
t17_spf_leaves_questions_for_the_author(void **state)
{
	const struct mail mail = { FROM("a@reject.example"), "x@hog.example",
				   "good:plain.example", GOOD_CLIENT };

	(void)state;
	questions_max = 12;
	for (unsigned order = 0; order < ORDER_SHUFFLED + 6; order++) {
		evaluate(&mail, order, order % 2 == 0);
		assert_int_equal(verdict.spf.result, SPF_TEMPERROR);
		assert_int_equal(verdict.dkim[0].result, DKIM_PASS);
		assert_int_equal(verdict.disposition, DISPOSITION_REJECT);
	}
	questions_max = ANSWERS_MAX;
}

/* Sixteen walks past it, run anew for each of some hundred answers. */
static void
t18_a_large_record_is_read_once(void **state)
{
	char dkim[2000] = "";
	struct mail mail = { FROM("a@large.example"), "x@hog.example", dkim,
			     GOOD_CLIENT };
	clock_t begin = clock();

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		snprintf(dkim + strlen(dkim), sizeof(dkim) - strlen(dkim),
			 " good:a.b.c.d.e.%u.large.example", i);
	evaluate(&mail, ORDER_ONE_BY_ONE, false);
	assert_in_range(rounds, 100, ANSWERS_MAX);
	assert_int_equal(verdict.result, DMARC_FAIL);
	assert_true(clock() - begin < CLOCKS_PER_SEC / 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_whole_messages),
		cmocka_unit_test(t2_the_order_of_answers_does_not_show),
		cmocka_unit_test(t3_discovery_is_one_round_trip),
		cmocka_unit_test(t4_at_mail_from_only_spf_asks),
		cmocka_unit_test(t5_reruns_take_no_memory),
		cmocka_unit_test(t6_deferral_only_where_it_matters),
		cmocka_unit_test(t7_given_up_is_temperror),
		cmocka_unit_test(t8_faults_of_the_from_field),
		cmocka_unit_test(t9_nothing_passes_with_a_fault),
		cmocka_unit_test(t10_of_several_domains_the_strictest_decides),
		cmocka_unit_test(t11_reject_needs_evidence),
		cmocka_unit_test(t12_the_public_suffix_list),
		cmocka_unit_test(t13_authenticated_sessions_are_not_judged),
		cmocka_unit_test(t14_signals),
		cmocka_unit_test(
			t15_a_hostile_message_asks_no_more_than_is_allowed),
		cmocka_unit_test(t16_signatures_leave_questions_for_spf),
		cmocka_unit_test(t17_spf_leaves_questions_for_the_author),
		cmocka_unit_test(t18_a_large_record_is_read_once),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
