/* SPDX-License-Identifier: BSD-2-Clause */
/* What local rules make of a verdict: overrides, force rules, pct= and who is
 * not sampled. */
#include "tests/unit/eval_rig.h"

#define FROM(address) "From: " address "\r\n"
#define CLIENT_NAMED "203.0.113.20"
#define CLIENT_LIAR "203.0.113.21"
#define CLIENT_MANY "203.0.113.24"        /* the sixth of its names is wanted */
#define CLIENT_UNKNOWN "203.0.113.22"     /* its PTR fails for now */
#define CLIENT_UNCONFIRMED "203.0.113.23" /* the address of its name does */

static const struct span one[] = {
	SPAN_LIT("reject.example"), SPAN_LIT("none.example"),
	SPAN_LIT("forwarder.test"), SPAN_LIT("plain.example"),
	SPAN_LIT("bad.example"),    SPAN_LIT("dead.example"),
	SPAN_LIT("pct.example"),
};
#define REJECT             \
	{                  \
		&one[0], 1 \
	}
#define NONE               \
	{                  \
		&one[1], 1 \
	}
#define FORWARDER          \
	{                  \
		&one[2], 1 \
	}
#define PLAIN              \
	{                  \
		&one[3], 1 \
	}

static struct ip_network
network(const char *text)
{
	struct ip_network result;

	assert_true(ip_network_parse(span_cstr(text), &result));
	return result;
}

static void
judge(const struct mail *mail)
{
	char first[2000], text[2000];

	for (unsigned order = ORDER_AT_ONCE; order < ORDER_SHUFFLED + 3;
	     order++) {
		evaluate(mail, order, order % 2 == 1);
		describe(order == ORDER_AT_ONCE ? first : text, sizeof(text));
		if (order != ORDER_AT_ONCE)
			assert_string_equal(text, first);
	}
}

/* One condition each, and a message that fulfils it, or nearly. */
static void
t1_each_condition(void **state)
{
	struct ip_network trusted = network("203.0.113.0/24");
	const struct {
		struct override_rule rule;
		struct mail mail;
		bool does_hold;
	} cases[] = {
		{ { .networks = &trusted, .network_count = 1 },
		  { FROM("a@reject.example"), "x@other.test", NULL,
		    CLIENT_NAMED },
		  true },
		{ { .networks = &trusted, .network_count = 1 },
		  { FROM("a@reject.example"), "x@other.test", NULL, NULL },
		  false },
		{ { .authors = REJECT },
		  { FROM("a@mail.reject.example"), "x@other.test", NULL, NULL },
		  true },
		{ { .authors = REJECT },
		  { FROM("a@strict.example"), "x@other.test", NULL, NULL },
		  false },
		{ { .clients = FORWARDER },
		  { FROM("a@reject.example"), "x@other.test", NULL,
		    CLIENT_NAMED },
		  true },
		{ { .clients = FORWARDER },
		  { FROM("a@reject.example"), "x@other.test", NULL,
		    CLIENT_MANY },
		  true },
		{ { .clients = FORWARDER },
		  { FROM("a@reject.example"), "x@other.test", NULL,
		    CLIENT_LIAR },
		  false },
		{ { .clients = FORWARDER },
		  { FROM("a@reject.example"), "x@other.test", NULL, NULL },
		  false },
		{ { .clients = PLAIN },
		  { FROM("a@reject.example"), "x@other.test", NULL,
		    CLIENT_NAMED },
		  false },
		/* SPF passes for plain.example from GOOD_CLIENT alone */
		{ { .envelopes = PLAIN },
		  { FROM("a@reject.example"), "x@plain.example", NULL,
		    GOOD_CLIENT },
		  true },
		{ { .envelopes = PLAIN },
		  { FROM("a@reject.example"), "x@plain.example", NULL, NULL },
		  false },
		{ { .envelopes = PLAIN },
		  { FROM("a@reject.example"), "x@other.test", NULL,
		    GOOD_CLIENT },
		  false },
		{ { .signers = PLAIN },
		  { FROM("a@reject.example"), "x@other.test",
		    "bad:plain.example good:plain.example", NULL },
		  true },
		{ { .signers = PLAIN },
		  { FROM("a@reject.example"), "x@other.test",
		    "bad:plain.example good:other.test", NULL },
		  false },
		{ { .is_list = true },
		  { FROM("a@reject.example") "List-Id: <l.example>\r\n",
		    "x@other.test", NULL, NULL },
		  true },
		{ { .is_list = true },
		  { FROM("a@reject.example"), "x@other.test", NULL, NULL },
		  false },
		/* all that are given must hold */
		{ { .is_list = true, .signers = PLAIN, .clients = FORWARDER },
		  { FROM("a@reject.example") "List-Post: <l.example>\r\n",
		    "x@other.test", "good:plain.example", CLIENT_NAMED },
		  true },
		{ { .is_list = true, .signers = PLAIN, .clients = FORWARDER },
		  { FROM("a@reject.example") "List-Post: <l.example>\r\n",
		    "x@other.test", "good:plain.example", CLIENT_LIAR },
		  false },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		settings = (struct eval_settings){ .overrides = &cases[i].rule,
						   .override_count = 1 };
		judge(&cases[i].mail);
		if ((verdict.override != NULL) != cases[i].does_hold)
			fail_msg("case %zu", i);
		assert_int_equal(verdict.result, DMARC_FAIL);
		assert_int_equal(verdict.policy_disposition,
				 DISPOSITION_REJECT);
		assert_int_equal(verdict.disposition,
				 cases[i].does_hold ? DISPOSITION_NONE
						    : DISPOSITION_REJECT);
		assert_null(verdict.open_override);
	}
	settings = (struct eval_settings){ .overrides = NULL };
}

static void
t2_the_first_that_holds_counts(void **state)
{
	struct ip_network trusted = network("203.0.113.0/24");
	const struct override_rule rules[] = {
		{ .networks = &trusted, .network_count = 1 },
		{ .authors = REJECT },
		{ .authors = NONE, .disposition = DISPOSITION_REJECT },
	};
	struct mail mail = { FROM("a@quarantine.example"), "x@other.test", NULL,
			     "203.0.113.7" };

	(void)state;
	settings.overrides = rules;
	settings.override_count = CASES(rules);
	judge(&mail);
	assert_ptr_equal(verdict.override, &rules[0]);
	assert_int_equal(verdict.policy_disposition, DISPOSITION_QUARANTINE);
	assert_int_equal(verdict.disposition, DISPOSITION_NONE);

	mail.client = NULL;
	mail.header = FROM("a@none.example");
	judge(&mail);
	assert_ptr_equal(verdict.override, &rules[2]);
	assert_int_equal(verdict.disposition, DISPOSITION_REJECT);
	/* nothing is done to what passes */
	mail.dkim = "good:none.example";
	judge(&mail);
	assert_null(verdict.override);
	assert_int_equal(verdict.disposition, DISPOSITION_NONE);
	/* an exempt domain beside another does not shield that */
	mail.dkim = NULL;
	mail.header = "From: a@reject.example, b@quarantine.example\r\n";
	judge(&mail);
	assert_int_equal(verdict.disposition, DISPOSITION_QUARANTINE);
	assert_null(verdict.override);
	/* who accepts has said so under p=none as well: see on-fail-none */
	mail.header = FROM("a@none.example");
	mail.client = "203.0.113.7";
	judge(&mail);
	assert_ptr_equal(verdict.override, &rules[0]);
	assert_int_equal(verdict.disposition, DISPOSITION_NONE);
	settings = (struct eval_settings){ .overrides = NULL };
}

/* What the policy asks for may be what a rule says; not so what reject-mode
 * makes of it. */
static void
t2_a_rule_that_rejects_needs_no_evidence(void **state)
{
	const struct override_rule rule = { .authors = REJECT,
					    .disposition = DISPOSITION_REJECT };
	struct mail mail = {
		FROM("a@reject.example") "List-Id: <l.example>\r\n",
		"x@other.test", NULL, NULL
	};

	(void)state;
	settings = (struct eval_settings){ .needs_evidence = true };
	judge(&mail);
	assert_int_equal(verdict.disposition, DISPOSITION_QUARANTINE);
	assert_null(verdict.override);
	settings.overrides = &rule;
	settings.override_count = 1;
	judge(&mail);
	assert_int_equal(verdict.disposition, DISPOSITION_REJECT);
	assert_ptr_equal(verdict.override, &rule);
	settings = (struct eval_settings){ .overrides = NULL };
}

/* Beside an author whose failure is overridden another one is not. */
static void
t2_an_override_shields_no_other_author(void **state)
{
	const struct override_rule rule = { .authors = REJECT };
	static const struct {
		const char *from, *deciding;
		enum dmarc_result result;
		bool is_overridden;
	} cases[] = {
		{ "From: a@reject.example, b@none.example\r\n", "none.example",
		  DMARC_FAIL, false },
		{ "From: a@reject.example, b@bad.example\r\n", "bad.example",
		  DMARC_PERMERROR, false },
		{ "From: a@plain.example, b@reject.example\r\n",
		  "reject.example", DMARC_FAIL, true },
	};

	(void)state;
	settings.overrides = &rule;
	settings.override_count = 1;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct mail mail = { cases[i].from, "x@other.test", NULL,
				     NULL };
		const struct eval_author *author;

		judge(&mail);
		author = &verdict.author[verdict.deciding];
		if (!span_equal(author->domain, span_cstr(cases[i].deciding)) ||
		    verdict.result != cases[i].result ||
		    (verdict.override != NULL) != cases[i].is_overridden)
			fail_msg("%s: %s", cases[i].from,
				 dmarc_result_name(verdict.result));
		assert_int_equal(verdict.disposition, DISPOSITION_NONE);
	}
	settings = (struct eval_settings){ .overrides = NULL };
}

/* Whoever owns the zone of an address makes its names fail: what is asked for
 * stays, and that it is open is said. */
static void
t3_a_name_that_cannot_be_looked_up(void **state)
{
	static const char *const clients[] = { CLIENT_UNKNOWN,
					       CLIENT_UNCONFIRMED };
	const struct override_rule rules[] = {
		{ .clients = FORWARDER },
		{ .authors = REJECT, .disposition = DISPOSITION_QUARANTINE },
	};

	(void)state;
	settings.overrides = rules;
	settings.override_count = CASES(rules);
	for (size_t i = 0; i < CASES(clients); i++) {
		struct mail mail = { FROM("a@reject.example"), "x@other.test",
				     NULL, clients[i] };

		judge(&mail);
		assert_null(verdict.override);
		assert_ptr_equal(verdict.open_override, &rules[0]);
		assert_int_equal(verdict.disposition, DISPOSITION_REJECT);
	}
	settings = (struct eval_settings){ .overrides = NULL };
}

/* Where a later rule settles what an open one would, nothing is open: a
 * forwarder that is listed by its network needs no name. */
static void
t3_a_name_that_does_not_matter(void **state)
{
	struct ip_network trusted = network("203.0.113.0/24");
	struct override_rule rules[] = {
		{ .clients = FORWARDER },
		{ .networks = &trusted, .network_count = 1 },
	};
	struct mail mail = { FROM("a@reject.example"), "x@other.test", NULL,
			     CLIENT_UNKNOWN };

	(void)state;
	settings.overrides = rules;
	settings.override_count = CASES(rules);
	judge(&mail);
	assert_ptr_equal(verdict.override, &rules[1]);
	assert_int_equal(verdict.disposition, DISPOSITION_NONE);
	assert_null(verdict.open_override);
	/* the open one says otherwise than the later one, not than the policy
	 */
	rules[0].disposition = DISPOSITION_REJECT;
	judge(&mail);
	assert_null(verdict.override);
	assert_ptr_equal(verdict.open_override, &rules[1]);
	assert_int_equal(verdict.disposition, DISPOSITION_REJECT);
	/* … and with no later one it is open and of no matter */
	settings.override_count = 1;
	judge(&mail);
	assert_null(verdict.open_override);
	assert_int_equal(verdict.disposition, DISPOSITION_REJECT);
	settings = (struct eval_settings){ .overrides = NULL };
}

/* Of two author domains one may be overridden, if its client's name were known.
 * That is no reason to wait where the other is rejected for sure. */
static void
t3_an_author_for_whom_nothing_is_open(void **state)
{
	const struct override_rule rule = { .clients = FORWARDER,
					    .authors = REJECT };
	struct mail mail = { "From: a@reject.example, b@strict.example\r\n",
			     "x@other.test", NULL, CLIENT_UNKNOWN };

	(void)state;
	settings.overrides = &rule;
	settings.override_count = 1;
	judge(&mail);
	assert_null(verdict.open_override);
	assert_int_equal(verdict.disposition, DISPOSITION_REJECT);
	settings = (struct eval_settings){ .overrides = NULL };
}

static void
t4_what_a_forger_does_not_choose(void **state)
{
	struct ip_network trusted = network("203.0.113.0/24");
	struct ip_network any[] = { network("10.0.0.0/8"), network("::/0") };

	(void)state;
	assert_false(override_is_proved(&(struct override_rule){
		.authors = REJECT, .networks = any, .network_count = 2 }));
	assert_true(override_is_proved(&(struct override_rule){
		.networks = any, .network_count = 2, .signers = FORWARDER }));
	assert_false(override_is_proved(
		&(struct override_rule){ .authors = REJECT, .is_list = true }));
	assert_true(override_is_proved(&(struct override_rule){
		.networks = &trusted, .network_count = 1 }));
	assert_true(override_is_proved(
		&(struct override_rule){ .clients = FORWARDER }));
	assert_true(override_is_proved(
		&(struct override_rule){ .envelopes = PLAIN }));
	assert_true(override_is_proved(
		&(struct override_rule){ .signers = PLAIN }));
	assert_true(override_is_empty(&(struct override_rule){ .reason = "" }));
	assert_false(
		override_is_empty(&(struct override_rule){ .is_list = true }));
	assert_false(override_is_empty(
		&(struct override_rule){ .authors = REJECT }));
}

/* A force rule speaks where less is published than it says. */
static void
t5_force(void **state)
{
	static const struct {
		struct mail mail;
		enum policy forced;
		enum dmarc_result result;
		enum disposition disposition;
		bool is_forced;
	} cases[] = {
		{ { FROM("a@none.example"), "x@other.test", NULL, NULL },
		  POLICY_REJECT,
		  DMARC_FAIL,
		  DISPOSITION_REJECT,
		  true },
		{ { FROM("a@plain.example"), "x@other.test", NULL, NULL },
		  POLICY_QUARANTINE,
		  DMARC_FAIL,
		  DISPOSITION_QUARANTINE,
		  true },
		{ { FROM("a@bad.example"), "x@other.test", NULL, NULL },
		  POLICY_REJECT,
		  DMARC_FAIL,
		  DISPOSITION_REJECT,
		  true },
		/* theirs is as strict, or more so */
		{ { FROM("a@reject.example"), "x@other.test", NULL, NULL },
		  POLICY_REJECT,
		  DMARC_FAIL,
		  DISPOSITION_REJECT,
		  false },
		{ { FROM("a@reject.example"), "x@other.test", NULL, NULL },
		  POLICY_QUARANTINE,
		  DMARC_FAIL,
		  DISPOSITION_REJECT,
		  false },
		/* what is aligned passes, strict or relaxed */
		{ { FROM("a@plain.example"), "x@plain.example", NULL,
		    GOOD_CLIENT },
		  POLICY_REJECT,
		  DMARC_PASS,
		  DISPOSITION_NONE,
		  true },
		{ { FROM("a@mail.plain.example"), "x@other.test",
		    "good:plain.example", NULL },
		  POLICY_REJECT,
		  DMARC_PASS,
		  DISPOSITION_NONE,
		  true },
		{ { FROM("a@mail.plain.example"), "x@other.test",
		    "good:other.test", NULL },
		  POLICY_REJECT,
		  DMARC_FAIL,
		  DISPOSITION_REJECT,
		  true },
		/* other domains are not judged */
		{ { FROM("a@other.test"), "x@plain.example", NULL, NULL },
		  POLICY_REJECT,
		  DMARC_NONE,
		  DISPOSITION_NONE,
		  false },
		/* nor is what nobody knows */
		{ { FROM("a@dead.example"), "x@other.test", NULL, NULL },
		  POLICY_REJECT,
		  DMARC_TEMPERROR,
		  DISPOSITION_NONE,
		  false },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		const struct force_rule rule = {
			.authors = { one, CASES(one) },
			.policy = cases[i].forced,
		};

		settings = (struct eval_settings){ .forces = &rule,
						   .force_count = 1 };
		judge(&cases[i].mail);
		if (verdict.result != cases[i].result ||
		    verdict.disposition != cases[i].disposition ||
		    verdict.author[0].force !=
			    (cases[i].is_forced ? &rule : NULL))
			fail_msg("case %zu: %s %s", i,
				 dmarc_result_name(verdict.result),
				 disposition_name(verdict.disposition));
	}
	settings = (struct eval_settings){ .forces = NULL };
}

static void
t6_an_override_may_undo_a_force(void **state)
{
	const struct force_rule force = { .authors = PLAIN,
					  .policy = POLICY_REJECT };
	const struct override_rule rule = { .clients = FORWARDER };
	struct mail mail = { FROM("a@plain.example"), "x@other.test", NULL,
			     CLIENT_NAMED };

	(void)state;
	settings = (struct eval_settings){ .forces = &force,
					   .force_count = 1,
					   .overrides = &rule,
					   .override_count = 1 };
	judge(&mail);
	assert_ptr_equal(verdict.override, &rule);
	assert_int_equal(verdict.policy_disposition, DISPOSITION_REJECT);
	assert_int_equal(verdict.disposition, DISPOSITION_NONE);
	settings = (struct eval_settings){ .forces = NULL };
}

static struct domain_list *
list_of(const char *text)
{
	size_t line;
	struct domain_list *list =
		domain_list_new(NULL, 0, span_cstr(text), &line);

	assert_non_null(list);
	assert_int_equal(line, 0);
	return list;
}

static void
t7_pct_by_the_tree_walk_where_it_is_wanted(void **state)
{
	struct domain_list *unsampled = list_of("pct.example\n");
	const struct force_rule force = { .authors = { one, CASES(one) },
					  .policy = POLICY_REJECT };
	struct mail mail = { FROM("a@pct.example"), "x@other.test", NULL,
			     NULL };

	(void)state;
	for (percentile = 39; percentile <= 40; percentile++) {
		settings = (struct eval_settings){ .psl = NULL };
		judge(&mail);
		assert_int_equal(verdict.disposition, DISPOSITION_REJECT);
		assert_false(verdict.author[0].effective.is_sampled_out);
		settings.does_honour_pct = true;
		judge(&mail);
		assert_int_equal(verdict.disposition,
				 percentile < 40 ? DISPOSITION_REJECT
						 : DISPOSITION_QUARANTINE);
		assert_int_equal(verdict.author[0].effective.is_sampled_out,
				 percentile == 40);
		settings.unsampled = unsampled;
		judge(&mail);
		assert_int_equal(verdict.disposition, DISPOSITION_REJECT);
	}
	percentile = 99;
	settings = (struct eval_settings){ .psl = NULL,
					   .does_honour_pct = true,
					   .forces = &force,
					   .force_count = 1 };
	judge(&mail);
	assert_int_equal(verdict.disposition, DISPOSITION_REJECT);
	assert_ptr_equal(verdict.author[0].force, &force);
	assert_false(verdict.author[0].effective.is_sampled_out);
	percentile = 0;
	settings = (struct eval_settings){ .psl = NULL };
	domain_list_free(unsampled);
}

static void
t8_lists_of_domains(void **state)
{
	static const struct span more_domains[] = { SPAN_LIT("c.example"),
						    SPAN_LIT("a.example") };
	static const char text[] = "# people\n"
				   "\n"
				   "  B.Example.\t# the bank\r\n"
				   "m\xc3\xbcnchen.example\n"
				   "last.example";
	static const struct {
		const char *domain;
		bool is_there;
	} cases[] = {
		{ "a.example", true },    { "x.a.example", true },
		{ "b.example", true },    { "y.x.b.example", true },
		{ "c.example", true },    { "xn--mnchen-3ya.example", true },
		{ "last.example", true }, { "example", false },
		{ "xa.example", false },  { "example.a", false },
		{ "people", false },      { "", false },
	};
	struct domain_list *list;
	size_t line;

	(void)state;
	list = domain_list_new(more_domains, 2, span_cstr(text), &line);
	assert_non_null(list);
	for (size_t i = 0; i < CASES(cases); i++)
		if (domain_list_has(list, span_cstr(cases[i].domain)) !=
		    cases[i].is_there)
			fail_msg("%s", cases[i].domain);
	domain_list_free(list);
	assert_null(domain_list_new(
		NULL, 0, SPAN_LIT("a.example\n\n192.0.2.1\n"), &line));
	assert_int_equal(line, 3);
	assert_false(domain_list_has(NULL, SPAN_LIT("a.example")));
	list = domain_list_new(NULL, 0, SPAN_NONE, &line);
	assert_non_null(list);
	assert_false(domain_list_has(list, SPAN_LIT("a.example")));
	domain_list_free(list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_each_condition),
		cmocka_unit_test(t2_the_first_that_holds_counts),
		cmocka_unit_test(t2_a_rule_that_rejects_needs_no_evidence),
		cmocka_unit_test(t2_an_override_shields_no_other_author),
		cmocka_unit_test(t3_a_name_that_cannot_be_looked_up),
		cmocka_unit_test(t3_a_name_that_does_not_matter),
		cmocka_unit_test(t3_an_author_for_whom_nothing_is_open),
		cmocka_unit_test(t4_what_a_forger_does_not_choose),
		cmocka_unit_test(t5_force),
		cmocka_unit_test(t6_an_override_may_undo_a_force),
		cmocka_unit_test(t7_pct_by_the_tree_walk_where_it_is_wanted),
		cmocka_unit_test(t8_lists_of_domains),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
