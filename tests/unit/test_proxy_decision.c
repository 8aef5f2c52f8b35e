/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is done with a message whose From field has a fault: by each setting of
 * bad-from, beside what the policy of a domain in it asks for. The stricter of
 * the two is done; a fault never makes anything milder.
 */
#include "proxy/decision.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

static const struct conf_route route = {
	.mode = MODE_ENFORCE,
	.on_reject = ACTION_REJECT,
	.on_quarantine = ACTION_TAG,
	.on_fail_none = ACTION_RELAY,
	.on_bad_policy = ACTION_RELAY,
};

static const enum from_fault faults[] = {
	FROM_FAULT_MISSING, FROM_FAULT_REPEATED, FROM_FAULT_MALFORMED,
	FROM_FAULT_DOMAIN,  FROM_FAULT_EMPTY,    FROM_FAULT_TOO_MANY,
	FROM_FAULT_HEADER,
};

/* A verdict about one domain, or about none. */
static struct verdict
verdict_of(enum dmarc_result result, enum dmarc_outcome outcome,
	   enum disposition disposition, size_t authors)
{
	struct verdict verdict = { .authors = authors,
				   .result = result,
				   .outcome = outcome,
				   .disposition = disposition,
				   .policy_disposition = disposition,
				   .may_defer = result == DMARC_TEMPERROR,
				   .rule = "policy" };

	verdict.author[0].domain = SPAN_LIT("a.example");
	return verdict;
}

static struct decision
decide(struct verdict *verdict, enum from_fault fault, enum conf_action bad)
{
	struct conf conf = { .bad_from = bad, .does_defer = true };
	struct decision decision;

	verdict->from_fault = fault;
	decision_make(&conf, &route, verdict, &decision);
	return decision;
}

static void
t1_the_setting_and_the_policy(void **state)
{
	static const struct {
		enum dmarc_result result;
		enum dmarc_outcome outcome;
		enum disposition disposition;
		/* without a fault; with bad-from reject, tag, accept */
		enum conf_action action[4];
	} cases[] = {
		{ DMARC_NONE,
		  OUTCOME_NA,
		  DISPOSITION_NONE,
		  { ACTION_RELAY, ACTION_REJECT, ACTION_TAG, ACTION_RELAY } },
		{ DMARC_FAIL,
		  OUTCOME_SOFTFAIL,
		  DISPOSITION_NONE,
		  { ACTION_RELAY, ACTION_REJECT, ACTION_TAG, ACTION_RELAY } },
		{ DMARC_FAIL,
		  OUTCOME_QUARANTINE,
		  DISPOSITION_QUARANTINE,
		  { ACTION_TAG, ACTION_REJECT, ACTION_TAG, ACTION_TAG } },
		{ DMARC_FAIL,
		  OUTCOME_REJECT,
		  DISPOSITION_REJECT,
		  { ACTION_REJECT, ACTION_REJECT, ACTION_REJECT,
		    ACTION_REJECT } },
		{ DMARC_TEMPERROR,
		  OUTCOME_NA,
		  DISPOSITION_NONE,
		  { ACTION_DEFER, ACTION_REJECT, ACTION_DEFER, ACTION_DEFER } },
	};
	static const enum conf_action settings[] = { ACTION_REJECT, ACTION_TAG,
						     ACTION_RELAY };

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct verdict verdict =
			verdict_of(cases[i].result, cases[i].outcome,
				   cases[i].disposition, 1);

		assert_int_equal(
			decide(&verdict, FROM_FAULT_NONE, ACTION_REJECT).action,
			cases[i].action[0]);
		for (size_t k = 0; k < CASES(faults); k++)
			for (size_t s = 0; s < CASES(settings); s++)
				assert_int_equal(
					decide(&verdict, faults[k], settings[s])
						.action,
					cases[i].action[1 + s]);
	}
}

static void
t2_the_rule_is_what_decided(void **state)
{
	struct verdict verdict =
		verdict_of(DMARC_FAIL, OUTCOME_REJECT, DISPOSITION_REJECT, 1);

	(void)state;
	assert_string_equal(
		decide(&verdict, FROM_FAULT_REPEATED, ACTION_TAG).rule,
		"policy");
	verdict = verdict_of(DMARC_NONE, OUTCOME_NA, DISPOSITION_NONE, 0);
	assert_string_equal(
		decide(&verdict, FROM_FAULT_MISSING, ACTION_TAG).rule,
		"bad-from");
	assert_string_equal(
		decide(&verdict, FROM_FAULT_MISSING, ACTION_RELAY).rule,
		"bad-from");
}

static void
t3_monitor_mode_asks_all_the_same(void **state)
{
	struct conf conf = { .bad_from = ACTION_REJECT };
	struct conf_route monitor = route;
	struct verdict verdict =
		verdict_of(DMARC_NONE, OUTCOME_NA, DISPOSITION_NONE, 0);
	struct decision decision;

	(void)state;
	monitor.mode = MODE_MONITOR;
	verdict.from_fault = FROM_FAULT_MALFORMED;
	decision_make(&conf, &monitor, &verdict, &decision);
	assert_int_equal(decision.action, ACTION_RELAY);
	assert_int_equal(decision.otherwise, ACTION_REJECT);
	assert_false(decision.is_enforced);
}

static void
assert_text(const struct decision *decision, const struct verdict *verdict,
	    const char *want)
{
	struct buf text;

	buf_init(&text, 500);
	assert_true(decision_text(decision, verdict, SPAN_LIT("x1"), &text));
	if (!span_equal(buf_span(&text), span_cstr(want)))
		fail_msg("%.*s", (int)text.n, text.p);
	buf_fini(&text);
}

/* A deferral says what is waited for, not that the From field is bad: that
 * is there after the wait as well. */
static void
t4_the_reply_says_which_of_them(void **state)
{
	struct verdict verdict =
		verdict_of(DMARC_TEMPERROR, OUTCOME_NA, DISPOSITION_NONE, 1);
	struct decision decision =
		decide(&verdict, FROM_FAULT_REPEATED, ACTION_RELAY);

	(void)state;
	assert_int_equal(decision.code, 451);
	assert_text(&decision, &verdict,
		    "DMARC x1: DNS trouble, undecided for now is the policy of "
		    "a.example: SPF none, no DKIM signature");
	decision = decide(&verdict, FROM_FAULT_REPEATED, ACTION_REJECT);
	assert_int_equal(decision.code, 550);
	assert_text(&decision, &verdict,
		    "DMARC x1: message refused, one readable From field is "
		    "needed: there are several");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_the_setting_and_the_policy),
		cmocka_unit_test(t2_the_rule_is_what_decided),
		cmocka_unit_test(t3_monitor_mode_asks_all_the_same),
		cmocka_unit_test(t4_the_reply_says_which_of_them),
	};

	return cmocka_run_group_tests_name("decision", tests, NULL, NULL);
}
