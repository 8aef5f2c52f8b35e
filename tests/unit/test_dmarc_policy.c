/* SPDX-License-Identifier: BSD-2-Clause */
/* From records and identifiers to what is asked for: pass, or which policy. */
#include "dmarc/policy.h"
#include "tests/unit/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

static struct arena arena;

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

/*
 * A message from `author`, which exists or not, is authenticated for
 * `identifier` by DKIM or SPF (NULL: not at all). Under the records given it
 * passes, or gets the policy named; "tag" is the tag that spoke.
 */

enum by { DKIM, SPF };
enum name { EXISTS, MISSING };

/* clang-format off */
#define AT(domain, text) { "_dmarc." domain, text }
/* clang-format on */
#define RUA "; rua=mailto:r@example.com"

struct message_case {
	const char *author;
	enum name name;
	enum by by;
	const char *identifier;
	const char *want, *tag;
	struct zone_row zone[4];
};

/* clang-format off */
static const struct message_case message_cases[] = {
	/* 1 the policy of the author domain itself */
	{ "a.example", EXISTS, DKIM, NULL, "none", "p",
	  { AT("a.example", "v=DMARC1; p=none") } },
	{ "a.example", EXISTS, DKIM, NULL, "quarantine", "p",
	  { AT("a.example", "v=DMARC1; p=quarantine") } },
	{ "a.example", EXISTS, DKIM, NULL, "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject") } },
	{ "a.example", EXISTS, DKIM, NULL, "reject", "p",
	  { AT("a.example", "v=DMARC1; sp=none; np=none; p=reject") } },
	{ "a.example", MISSING, DKIM, NULL, "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject; np=none") } },
	{ "a.example", EXISTS, DKIM, NULL, "no record", "",
	  { AT("b.example", "v=DMARC1; p=reject") } },
	{ "a.example", EXISTS, DKIM, NULL, "no record", "",
	  { AT("a.example", "v=DMARC2; p=reject") } },
	/* 8 a subdomain with a record of its own: p of that, nothing else */
	{ "s.a.example", EXISTS, DKIM, NULL, "quarantine", "p",
	  { AT("s.a.example", "v=DMARC1; p=quarantine; sp=reject"),
	    AT("a.example", "v=DMARC1; p=reject; sp=none") } },
	{ "s.a.example", MISSING, DKIM, NULL, "quarantine", "p",
	  { AT("s.a.example", "v=DMARC1; p=quarantine; np=reject") } },
	/* 10 a subdomain without: sp, else p */
	{ "s.a.example", EXISTS, DKIM, NULL, "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject") } },
	{ "s.a.example", EXISTS, DKIM, NULL, "none", "sp",
	  { AT("a.example", "v=DMARC1; p=reject; sp=none") } },
	{ "s.a.example", EXISTS, DKIM, NULL, "reject", "sp",
	  { AT("a.example", "v=DMARC1; p=none; sp=reject") } },
	{ "s.a.example", EXISTS, DKIM, NULL, "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject; np=none") } },
	{ "s.a.example", EXISTS, DKIM, NULL, "quarantine", "sp",
	  { AT("a.example", "v=DMARC1; p=none; sp=quarantine; np=reject") } },
	/* 15 a subdomain that does not exist: np, else sp, else p */
	{ "s.a.example", MISSING, DKIM, NULL, "reject", "np",
	  { AT("a.example", "v=DMARC1; p=none; sp=quarantine; np=reject") } },
	{ "s.a.example", MISSING, DKIM, NULL, "quarantine", "sp",
	  { AT("a.example", "v=DMARC1; p=none; sp=quarantine") } },
	{ "s.a.example", MISSING, DKIM, NULL, "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject") } },
	{ "s.a.example", MISSING, DKIM, NULL, "none", "np",
	  { AT("a.example", "v=DMARC1; p=reject; np=none") } },
	/* 19 public suffix domains */
	{ "bank.psd", EXISTS, DKIM, NULL, "reject", "sp",
	  { AT("psd", "v=DMARC1; p=none; sp=reject; psd=y") } },
	{ "bank.psd", MISSING, DKIM, NULL, "quarantine", "np",
	  { AT("psd", "v=DMARC1; p=none; np=quarantine; psd=y") } },
	{ "psd", EXISTS, DKIM, NULL, "none", "p",
	  { AT("psd", "v=DMARC1; p=none; sp=reject; psd=y") } },
	{ "m.bank.psd", EXISTS, DKIM, NULL, "none", "p",
	  { AT("bank.psd", "v=DMARC1; p=none"),
	    AT("psd", "v=DMARC1; p=reject; sp=reject; psd=y") } },
	{ "m.bank.psd", EXISTS, DKIM, "bank.psd", "pass", "p",
	  { AT("psd", "v=DMARC1; p=reject; psd=y") } },
	{ "m.bank.psd", EXISTS, DKIM, "m.shop.psd", "reject", "p",
	  { AT("psd", "v=DMARC1; p=reject; psd=y") } },
	{ "bank.psd", EXISTS, DKIM, "psd", "reject", "p",
	  { AT("psd", "v=DMARC1; p=reject; psd=y") } },
	/* 26 t=y: one step less, after the choice of the tag */
	{ "a.example", EXISTS, DKIM, NULL, "quarantine", "p",
	  { AT("a.example", "v=DMARC1; p=reject; t=y") } },
	{ "a.example", EXISTS, DKIM, NULL, "none", "p",
	  { AT("a.example", "v=DMARC1; p=quarantine; t=y") } },
	{ "a.example", EXISTS, DKIM, NULL, "none", "p",
	  { AT("a.example", "v=DMARC1; p=none; t=y") } },
	{ "a.example", EXISTS, DKIM, NULL, "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject; t=n") } },
	{ "a.example", EXISTS, DKIM, NULL, "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject; t=maybe") } },
	{ "s.a.example", EXISTS, DKIM, NULL, "none", "sp",
	  { AT("a.example", "v=DMARC1; p=reject; sp=quarantine; t=y") } },
	{ "s.a.example", MISSING, DKIM, NULL, "quarantine", "np",
	  { AT("a.example", "v=DMARC1; p=none; np=reject; t=y") } },
	/* 33 pct is history, also for a percentage of none */
	{ "a.example", EXISTS, DKIM, NULL, "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject; pct=0") } },
	/* 34 no usable policy: p=none with rua, no DMARC without */
	{ "a.example", EXISTS, DKIM, NULL, "none", "p",
	  { AT("a.example", "v=DMARC1" RUA) } },
	{ "a.example", EXISTS, DKIM, NULL, "permerror", "p",
	  { AT("a.example", "v=DMARC1") } },
	{ "a.example", EXISTS, DKIM, NULL, "none", "p",
	  { AT("a.example", "v=DMARC1; p=bad" RUA) } },
	{ "a.example", EXISTS, DKIM, NULL, "permerror", "p",
	  { AT("a.example", "v=DMARC1; p=bad") } },
	{ "a.example", EXISTS, DKIM, NULL, "permerror", "p",
	  { AT("a.example", "v=DMARC1; p=; rua=nonsense") } },
	{ "a.example", EXISTS, DKIM, NULL, "none", "p",
	  { AT("a.example", "v=DMARC1; p=reject; sp=bad" RUA) } },
	{ "a.example", EXISTS, DKIM, NULL, "permerror", "p",
	  { AT("a.example", "v=DMARC1; p=reject; np=bad") } },
	{ "s.a.example", EXISTS, DKIM, NULL, "none", "p",
	  { AT("a.example", "v=DMARC1; p=reject; sp=bad" RUA) } },
	{ "s.a.example", EXISTS, DKIM, NULL, "none", "p",
	  { AT("a.example", "v=DMARC1; sp=reject" RUA) } },
	{ "a.example", EXISTS, DKIM, "a.example", "pass", "p",
	  { AT("a.example", "v=DMARC1; p=bad" RUA) } },
	{ "a.example", EXISTS, DKIM, "a.example", "permerror", "p",
	  { AT("a.example", "v=DMARC1; p=bad") } },
	{ "a.example", EXISTS, DKIM, NULL, "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject; adkim=x; fo=9; junk") } },
	{ "a.example", EXISTS, DKIM, NULL, "reject", "p",
	  { AT("a.example", "v=DMARC1; rua=nonsense; p=reject") } },
	/* 47 several records are none */
	{ "a.example", EXISTS, DKIM, NULL, "no record", "",
	  { AT("a.example", "v=DMARC1; p=reject"),
	    AT("a.example", "v=DMARC1; p=reject") } },
	{ "s.a.example", EXISTS, DKIM, NULL, "quarantine", "sp",
	  { AT("s.a.example", "v=DMARC1; p=reject"),
	    AT("s.a.example", "v=DMARC1; p=none"),
	    AT("a.example", "v=DMARC1; p=none; sp=quarantine") } },
	{ "a.example", EXISTS, DKIM, NULL, "reject", "p",
	  { AT("a.example", "v=spf1 -all"),
	    AT("a.example", "v=DMARC1; p=reject") } },
	/* 50 relaxed alignment: the same organizational domain */
	{ "a.example", EXISTS, DKIM, "a.example", "pass", "p",
	  { AT("a.example", "v=DMARC1; p=reject") } },
	{ "a.example", EXISTS, DKIM, "s.a.example", "pass", "p",
	  { AT("a.example", "v=DMARC1; p=reject") } },
	{ "s.a.example", EXISTS, DKIM, "a.example", "pass", "p",
	  { AT("a.example", "v=DMARC1; p=reject") } },
	{ "s.a.example", EXISTS, DKIM, "t.a.example", "pass", "p",
	  { AT("a.example", "v=DMARC1; p=reject") } },
	{ "s.a.example", EXISTS, SPF, "t.a.example", "pass", "p",
	  { AT("a.example", "v=DMARC1; p=reject") } },
	{ "a.example", EXISTS, DKIM, "b.example", "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject") } },
	{ "a.example", EXISTS, DKIM, "b.example", "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject"),
	    AT("b.example", "v=DMARC1; p=reject") } },
	{ "a.example", EXISTS, DKIM, "aa.example", "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject") } },
	{ "a.example", EXISTS, DKIM, "example", "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject") } },
	/* psd=n parts an organization in two */
	{ "a.example", EXISTS, DKIM, "s.a.example", "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject"),
	    AT("s.a.example", "v=DMARC1; p=none; psd=n") } },
	{ "s.a.example", EXISTS, DKIM, "a.example", "none", "p",
	  { AT("a.example", "v=DMARC1; p=reject"),
	    AT("s.a.example", "v=DMARC1; p=none; psd=n") } },
	{ "t.s.a.example", EXISTS, DKIM, "s.a.example", "pass", "p",
	  { AT("a.example", "v=DMARC1; p=reject"),
	    AT("s.a.example", "v=DMARC1; p=none; psd=n") } },
	/* a record at the very top makes all below one organization */
	{ "a.example", EXISTS, DKIM, "b.example", "pass", "p",
	  { AT("example", "v=DMARC1; p=reject") } },
	/* 63 strict alignment: the same name, for the mechanism it is of */
	{ "a.example", EXISTS, DKIM, "a.example", "pass", "p",
	  { AT("a.example", "v=DMARC1; p=reject; adkim=s") } },
	{ "a.example", EXISTS, DKIM, "s.a.example", "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject; adkim=s") } },
	{ "s.a.example", EXISTS, DKIM, "a.example", "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject; adkim=s") } },
	{ "s.a.example", EXISTS, DKIM, "s.a.example", "pass", "p",
	  { AT("a.example", "v=DMARC1; p=reject; adkim=S") } },
	{ "a.example", EXISTS, SPF, "s.a.example", "pass", "p",
	  { AT("a.example", "v=DMARC1; p=reject; adkim=s") } },
	{ "a.example", EXISTS, SPF, "s.a.example", "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject; aspf=s") } },
	{ "a.example", EXISTS, DKIM, "s.a.example", "pass", "p",
	  { AT("a.example", "v=DMARC1; p=reject; aspf=s") } },
	/* 70 DNS that fails. (Who could still align has a temperror, in the
	 * last of these: that is for eval to say.) */
	{ "a.example", EXISTS, DKIM, NULL, "temperror", "",
	  { { "_dmarc.a.example", ZONE_DEAD } } },
	{ "a.example", EXISTS, DKIM, "a.example", "pass", "p",
	  { AT("a.example", "v=DMARC1; p=reject"),
	    { "_dmarc.example", ZONE_DEAD } } },
	{ "a.example", EXISTS, DKIM, "s.a.example", "reject", "p",
	  { AT("a.example", "v=DMARC1; p=reject"),
	    { "_dmarc.example", ZONE_DEAD } } },
};
/* clang-format on */

static const char *
outcome_of(const struct message_case *c, struct answers *answers,
	   const char **tag)
{
	struct span author = span_cstr(c->author), organizational = SPAN_NONE;
	struct span identifier = span_cstr(c->identifier);
	struct policy_effective effective;
	struct discovery discovery;
	enum discovery_status status = discovery_policy(
		author, DISCOVERY_TREEWALK, NULL, answers, &discovery);

	*tag = "";
	if (c->identifier != NULL)
		discovery_organizational(identifier, DISCOVERY_TREEWALK, NULL,
					 answers, &organizational);
	if (status == DISCOVERY_PENDING)
		return "pending";
	if (status == DISCOVERY_NONE)
		return "no record";
	if (status == DISCOVERY_TEMPERROR)
		return "temperror";
	policy_effective(&discovery,
			 c->name == MISSING ? POLICY_AUTHOR_MISSING
					    : POLICY_AUTHOR_EXISTS,
			 &effective);
	*tag = effective.tag;
	if (!effective.is_usable)
		return "permerror";
	if (policy_is_aligned(author, discovery.organizational, identifier,
			      organizational,
			      c->by == DKIM ? discovery.record.is_adkim_strict
					    : discovery.record.is_aspf_strict))
		return "pass";
	return policy_name(effective.applied);
}

static void
t1_messages(void **state)
{
	(void)state;
	assert_true(CASES(message_cases) >= 60);
	for (size_t i = 0; i < CASES(message_cases); i++) {
		const struct message_case *c = &message_cases[i];
		struct answers answers;
		const char *tag, *got;

		arena_reset(&arena);
		answers_init(&answers, &arena, ANSWERS_MAX);
		assert_string_equal(outcome_of(c, &answers, &tag), "pending");
		zone_answer(c->zone, &answers);
		got = outcome_of(c, &answers, &tag);
		if (strcmp(got, c->want) != 0 || strcmp(tag, c->tag) != 0)
			fail_msg("case %zu, %s: %s by \"%s\", not %s by \"%s\"",
				 i + 1, c->author, got, tag, c->want, c->tag);
	}
}

static void
t2_alignment(void **state)
{
	static const struct {
		const char *author, *author_org, *domain, *org;
		bool is_strict, is_aligned;
	} cases[] = {
		{ "a.b", "b", "a.b", "b", true, true },
		{ "a.b", "b", "c.b", "b", true, false },
		{ "a.b", "b", "c.b", "b", false, true },
		{ "a.b", "a.b", "c.b", "c.b", false, false },
		{ "a.b", "a.b", "b", "b", false, false },
		/* an organizational domain that nobody knows is like none */
		{ "a.b", "", "c.b", "b", false, false },
		{ "a.b", "b", "c.b", "", false, false },
		{ "a.b", "", "c.b", "", false, false },
		{ "a.b", "", "a.b", "", false, true },
		{ "a.b", "", "a.b", "", true, true },
		/* no domain is aligned with nothing */
		{ "", "", "", "", false, false },
		{ "", "", "", "", true, false },
		{ "a.b", "b", "", "b", false, false },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++)
		assert_int_equal(
			policy_is_aligned(span_cstr(cases[i].author),
					  span_cstr(cases[i].author_org),
					  span_cstr(cases[i].domain),
					  span_cstr(cases[i].org),
					  cases[i].is_strict),
			cases[i].is_aligned);
}

static struct discovery
found(const char *text, enum discovery_method method)
{
	struct discovery discovery = { .is_author_record = true,
				       .method = method };

	assert_true(record_parse(span_cstr(text), &discovery.record));
	return discovery;
}

static void
t3_what_was_published_is_kept_beside_what_applies(void **state)
{
	struct discovery discovery =
		found("v=DMARC1; p=reject; t=y", DISCOVERY_TREEWALK);
	struct policy_effective effective;

	(void)state;
	policy_effective(&discovery, POLICY_AUTHOR_EXISTS, &effective);
	assert_true(effective.is_usable);
	assert_false(effective.has_bad_policy);
	assert_int_equal(effective.published, POLICY_REJECT);
	assert_int_equal(effective.applied, POLICY_QUARANTINE);
	assert_string_equal(effective.rule, "RFC 9989 A.6: t=y, one step less");
	discovery = found("v=DMARC1; p=none; t=y", DISCOVERY_TREEWALK);
	policy_effective(&discovery, POLICY_AUTHOR_EXISTS, &effective);
	assert_string_equal(effective.rule, "RFC 9989 4.7: p");
}

static void
t4_a_bad_policy_is_told_from_none(void **state)
{
	struct discovery discovery =
		found("v=DMARC1; p=reject; sp=x" RUA, DISCOVERY_TREEWALK);
	struct policy_effective effective;

	(void)state;
	policy_effective(&discovery, POLICY_AUTHOR_EXISTS, &effective);
	assert_true(effective.is_usable && effective.has_bad_policy);
	assert_int_equal(effective.published, POLICY_NONE);
	assert_int_equal(effective.applied, POLICY_NONE);
	assert_string_equal(effective.rule,
			    "RFC 9989 4.10.1: bad policy with rua: p=none");
	discovery = found("v=DMARC1; p=reject; sp=x", DISCOVERY_TREEWALK);
	policy_effective(&discovery, POLICY_AUTHOR_EXISTS, &effective);
	assert_false(effective.is_usable || effective.has_bad_policy);
	assert_int_equal(effective.applied, POLICY_NONE);
	assert_string_equal(effective.rule,
			    "RFC 9989 4.10.1: bad policy without rua");
}

/* RFC 7489 6.6.4, for discovery by the public suffix list alone. */
static void
t5_pct(void **state)
{
	static const struct {
		const char *text;
		enum discovery_method method;
		unsigned percentile;
		enum policy applied;
		const char *rule;
	} cases[] = {
		{ "v=DMARC1; p=reject", DISCOVERY_PSL, 99, POLICY_REJECT,
		  "RFC 9989 4.7: p" },
		{ "v=DMARC1; p=reject; pct=25", DISCOVERY_PSL, 24,
		  POLICY_REJECT, "RFC 9989 4.7: p" },
		{ "v=DMARC1; p=reject; pct=25", DISCOVERY_PSL, 25,
		  POLICY_QUARANTINE, "RFC 7489 6.6.4: pct, not in the sample" },
		{ "v=DMARC1; p=quarantine; pct=0", DISCOVERY_PSL, 0,
		  POLICY_NONE, "RFC 7489 6.6.4: pct, not in the sample" },
		{ "v=DMARC1; p=none; pct=0", DISCOVERY_PSL, 0, POLICY_NONE,
		  "RFC 9989 4.7: p" },
		{ "v=DMARC1; p=reject; pct=bad", DISCOVERY_PSL, 99,
		  POLICY_REJECT, "RFC 9989 4.7: p" },
		/* one step in all, with t=y too */
		{ "v=DMARC1; p=reject; pct=0; t=y", DISCOVERY_PSL, 0,
		  POLICY_QUARANTINE, "RFC 7489 6.6.4: pct, not in the sample" },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct discovery discovery =
			found(cases[i].text, cases[i].method);
		struct policy_effective effective;

		policy_effective(&discovery, POLICY_AUTHOR_EXISTS, &effective);
		policy_sample(&discovery, cases[i].percentile, &effective);
		assert_int_equal(effective.applied, cases[i].applied);
		assert_string_equal(effective.rule, cases[i].rule);
	}
}

/* Whoever asks for n of 100 gets about that many, and always the same. */
static void
t5_places_are_even_and_stay(void **state)
{
	unsigned count[100] = { 0 };
	char id[40];

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(id, sizeof(id), "69%04x-%x.%u", i / 7, i % 7 * 4099,
			 1 + i % 3);
		count[policy_percentile(span_cstr(id))]++;
	}
	for (unsigned i = 0; i < 100; i++)
		if (count[i] < 850 || count[i] > 1150)
			fail_msg("place %u: %u of 100000", i, count[i]);
	assert_int_equal(policy_percentile(SPAN_LIT("a")), 0xe40c292cu % 100);
}

static void
t6_dispositions_have_names(void **state)
{
	(void)state;
	assert_string_equal(disposition_name(DISPOSITION_NONE), "none");
	assert_string_equal(disposition_name(DISPOSITION_QUARANTINE),
			    "quarantine");
	assert_string_equal(disposition_name(DISPOSITION_REJECT), "reject");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(t1_messages),
		TEST(t2_alignment),
		TEST(t3_what_was_published_is_kept_beside_what_applies),
		TEST(t4_a_bad_policy_is_told_from_none),
		TEST(t5_pct),
		TEST(t5_places_are_even_and_stay),
		TEST(t6_dispositions_have_names),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
