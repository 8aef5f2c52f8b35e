/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose record speaks for a domain: RFC 9989 4.10 and its own examples. */
#include "dmarc/discovery.h"
#include "tests/unit/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

static struct arena arena;
static struct answers answers;

static void
start(void)
{
	arena_reset(&arena);
	answers_init(&answers, &arena, ANSWERS_MAX);
}

static int
set_up(void **state)
{
	(void)state;
	arena_init(&arena, (size_t)1 << 20);
	start();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

static void
assert_span(struct span s, const char *text)
{
	if (!span_equal(s, span_cstr(text)))
		fail_msg("\"%.*s\" is not \"%s\"", (int)s.n, (const char *)s.p,
			 text);
}

static void
t1_names_of_a_walk(void **state)
{
	static const struct {
		const char *domain;
		const char *names[DISCOVERY_WALK_MAX + 1];
	} cases[] = {
		{ "com", { "com" } },
		{ "example.com", { "example.com", "com" } },
		{ "7.6.5.4.3.2.1",
		  { "7.6.5.4.3.2.1", "6.5.4.3.2.1", "5.4.3.2.1", "4.3.2.1",
		    "3.2.1", "2.1", "1" } },
		{ "8.7.6.5.4.3.2.1",
		  { "8.7.6.5.4.3.2.1", "7.6.5.4.3.2.1", "6.5.4.3.2.1",
		    "5.4.3.2.1", "4.3.2.1", "3.2.1", "2.1", "1" } },
		{ "9.8.7.6.5.4.3.2.1",
		  { "9.8.7.6.5.4.3.2.1", "7.6.5.4.3.2.1", "6.5.4.3.2.1",
		    "5.4.3.2.1", "4.3.2.1", "3.2.1", "2.1", "1" } },
		/* RFC 9989 4.10 */
		{ "a.b.c.d.e.f.g.h.i.j.mail.example.com",
		  { "a.b.c.d.e.f.g.h.i.j.mail.example.com",
		    "g.h.i.j.mail.example.com", "h.i.j.mail.example.com",
		    "i.j.mail.example.com", "j.mail.example.com",
		    "mail.example.com", "example.com", "com" } },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct span names[DISCOVERY_WALK_MAX];
		size_t n = discovery_names(span_cstr(cases[i].domain), names);

		for (size_t k = 0; k < n; k++) {
			assert_non_null(cases[i].names[k]);
			assert_span(names[k], cases[i].names[k]);
		}
		assert_null(cases[i].names[n]);
	}
}

static void
t2_all_names_are_asked_at_once(void **state)
{
	struct discovery_walk walk;

	(void)state;
	assert_int_equal(
		discovery_walk(SPAN_LIT("a.example.com"), &answers, &walk),
		DISCOVERY_PENDING);
	assert_int_equal(answers.count, 3);
	assert_span(answers.list[0]->name, "_dmarc.a.example.com");
	assert_span(answers.list[1]->name, "_dmarc.example.com");
	assert_span(answers.list[2]->name, "_dmarc.com");
	for (size_t i = 0; i < answers.count; i++)
		assert_int_equal(answers.list[i]->type, DNS_TXT);
	/* and none is added by a second run */
	discovery_walk(SPAN_LIT("a.example.com"), &answers, &walk);
	assert_int_equal(answers.count, 3);
}

static void
t3_running_again_takes_no_memory(void **state)
{
	struct discovery discovery;
	size_t used;

	(void)state;
	discovery_policy(SPAN_LIT("a.example.com"), DISCOVERY_TREEWALK, NULL,
			 &answers, &discovery);
	used = arena.used;
	discovery_policy(SPAN_LIT("a.example.com"), DISCOVERY_TREEWALK, NULL,
			 &answers, &discovery);
	assert_int_equal(arena.used, used);
}

#define RECORD "v=DMARC1; p=reject"
#define PSD_N "v=DMARC1; p=reject; psd=n"
#define PSD_Y "v=DMARC1; p=reject; psd=y"

#define ROWS_MAX 6

struct organizational_case {
	const char *domain;
	const char *organizational; /* NULL: temperror */
	struct zone_row zone[ROWS_MAX];
};

static const struct organizational_case organizational_cases[] = {
	/* RFC 9989 B.4 and 4.10.2 */
	{ "a.mail.example.com",
	  "example.com",
	  { { "_dmarc.mail.example.com", RECORD },
	    { "_dmarc.example.com", RECORD } } },
	{ "a.mail.example.com",
	  "mail.example.com",
	  { { "_dmarc.mail.example.com", PSD_N },
	    { "_dmarc.example.com", RECORD } } },
	{ "a.mail.example.com", "example.com", { { "_dmarc.com", PSD_Y } } },
	{ "giant.bank.example",
	  "giant.bank.example",
	  { { "_dmarc.bank.example", PSD_Y },
	    { "_dmarc.giant.bank.example", RECORD } } },
	{ "mail.giant.bank.example",
	  "giant.bank.example",
	  { { "_dmarc.bank.example", PSD_Y },
	    { "_dmarc.giant.bank.example", RECORD } } },
	{ "mail.mega.bank.example",
	  "mega.bank.example",
	  { { "_dmarc.bank.example", PSD_Y },
	    { "_dmarc.giant.bank.example", RECORD } } },
	/* rule d: no record at all */
	{ "a.b.example.com", "a.b.example.com", { { NULL, NULL } } },
	{ "com", "com", { { NULL, NULL } } },
	/* psd=n and psd=y at the name itself */
	{ "example.com",
	  "example.com",
	  { { "_dmarc.example.com", PSD_N }, { "_dmarc.com", PSD_Y } } },
	{ "com", "com", { { "_dmarc.com", PSD_Y } } },
	{ "bank.example",
	  "bank.example",
	  { { "_dmarc.bank.example", PSD_Y } } },
	/* nothing above a psd=n or psd=y is looked at */
	{ "a.b.c.example",
	  "b.c.example",
	  { { "_dmarc.b.c.example", PSD_N },
	    { "_dmarc.c.example", RECORD },
	    { "_dmarc.example", ZONE_DEAD } } },
	{ "a.b.c.example",
	  "b.c.example",
	  { { "_dmarc.c.example", PSD_Y }, { "_dmarc.example", RECORD } } },
	/* a record without psd stops nothing, one at the top included */
	{ "a.b.example", "example", { { "_dmarc.example", RECORD } } },
	/* several at a name are none there, and the walk goes on */
	{ "a.example.com",
	  "example.com",
	  { { "_dmarc.a.example.com", PSD_N },
	    { "_dmarc.a.example.com", PSD_N },
	    { "_dmarc.example.com", RECORD } } },
	{ "a.example.com",
	  "a.example.com",
	  { { "_dmarc.a.example.com", RECORD },
	    { "_dmarc.example.com", RECORD },
	    { "_dmarc.example.com", RECORD },
	    { "_dmarc.example.com", RECORD } } },
	/* other TXT records at the name are not counted */
	{ "a.example.com",
	  "example.com",
	  { { "_dmarc.example.com", "v=spf1 -all" },
	    { "_dmarc.example.com", RECORD },
	    { "_dmarc.example.com", "v=DMARC2; p=none" } } },
	/* a long name: the zones that are skipped are not seen */
	{ "a.b.c.d.e.f.g.h.i.j.mail.example.com",
	  "example.com",
	  { { "_dmarc.c.d.e.f.g.h.i.j.mail.example.com", PSD_N },
	    { "_dmarc.example.com", RECORD } } },
	{ "a.b.c.d.e.f.g.h.i.j.mail.example.com",
	  "g.h.i.j.mail.example.com",
	  { { "_dmarc.g.h.i.j.mail.example.com", PSD_N } } },
	/* one label below psd=y, though that name is skipped too */
	{ "a.b.c.d.e.f.g.h.i.j.mail.example.com",
	  "f.g.h.i.j.mail.example.com",
	  { { "_dmarc.g.h.i.j.mail.example.com", PSD_Y } } },
	/* a name that failed matters if the walk gets there */
	{ "a.example.com",
	  NULL,
	  { { "_dmarc.a.example.com", ZONE_DEAD },
	    { "_dmarc.example.com", PSD_N } } },
	{ "a.example.com",
	  NULL,
	  { { "_dmarc.a.example.com", RECORD }, { "_dmarc.com", ZONE_DEAD } } },
	{ "a.example.com",
	  "a.example.com",
	  { { "_dmarc.a.example.com", PSD_N },
	    { "_dmarc.example.com", ZONE_DEAD },
	    { "_dmarc.com", ZONE_DEAD } } },
};

static void
t4_organizational_domains(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASES(organizational_cases); i++) {
		const struct organizational_case *c = &organizational_cases[i];
		struct span domain = span_cstr(c->domain), got;

		start();
		assert_int_equal(discovery_organizational(domain,
							  DISCOVERY_TREEWALK,
							  NULL, &answers, &got),
				 DISCOVERY_PENDING);
		zone_answer(c->zone, &answers);
		assert_int_equal(discovery_organizational(domain,
							  DISCOVERY_TREEWALK,
							  NULL, &answers, &got),
				 c->organizational == NULL ? DISCOVERY_TEMPERROR
							   : DISCOVERY_FOUND);
		assert_span(got, c->organizational == NULL ? c->domain
							   : c->organizational);
	}
}

struct policy_case {
	const char *author;
	enum discovery_status status;
	const char *domain;         /* where the record stands */
	const char *organizational; /* NULL: not known */
	bool is_multiple;
	struct zone_row zone[ROWS_MAX];
};

static const struct policy_case policy_cases[] = {
	/* the author domain's own record comes first, without psd too */
	{ "a.example.com",
	  DISCOVERY_FOUND,
	  "a.example.com",
	  "example.com",
	  false,
	  { { "_dmarc.a.example.com", RECORD },
	    { "_dmarc.example.com", RECORD } } },
	{ "giant.bank.example",
	  DISCOVERY_FOUND,
	  "giant.bank.example",
	  "giant.bank.example",
	  false,
	  { { "_dmarc.bank.example", PSD_Y },
	    { "_dmarc.giant.bank.example", RECORD } } },
	/* then that of the organizational domain */
	{ "a.b.example.com",
	  DISCOVERY_FOUND,
	  "example.com",
	  "example.com",
	  false,
	  { { "_dmarc.example.com", RECORD } } },
	{ "mail.giant.bank.example",
	  DISCOVERY_FOUND,
	  "giant.bank.example",
	  "giant.bank.example",
	  false,
	  { { "_dmarc.bank.example", PSD_Y },
	    { "_dmarc.giant.bank.example", RECORD } } },
	/* never one in between … */
	{ "a.mail.example.com",
	  DISCOVERY_FOUND,
	  "example.com",
	  "example.com",
	  false,
	  { { "_dmarc.mail.example.com", RECORD },
	    { "_dmarc.example.com", RECORD } } },
	{ "a.mail.giant.bank.example",
	  DISCOVERY_FOUND,
	  "bank.example",
	  "giant.bank.example",
	  false,
	  { { "_dmarc.mail.giant.bank.example", RECORD },
	    { "_dmarc.bank.example", PSD_Y } } },
	/* … unless it has psd=n */
	{ "a.mail.example.com",
	  DISCOVERY_FOUND,
	  "mail.example.com",
	  "mail.example.com",
	  false,
	  { { "_dmarc.mail.example.com", PSD_N },
	    { "_dmarc.example.com", RECORD } } },
	/* at last that of the PSD */
	{ "mega.bank.example",
	  DISCOVERY_FOUND,
	  "bank.example",
	  "mega.bank.example",
	  false,
	  { { "_dmarc.bank.example", PSD_Y } } },
	{ "mail.mega.bank.example",
	  DISCOVERY_FOUND,
	  "bank.example",
	  "mega.bank.example",
	  false,
	  { { "_dmarc.bank.example", PSD_Y } } },
	/* mail from the PSD itself */
	{ "bank.example",
	  DISCOVERY_FOUND,
	  "bank.example",
	  "bank.example",
	  false,
	  { { "_dmarc.bank.example", PSD_Y } } },
	/* none */
	{ "a.example.com",
	  DISCOVERY_NONE,
	  "",
	  "a.example.com",
	  false,
	  { { "_dmarc.other.example.com", RECORD } } },
	/* several: discarded, the next name up speaks */
	{ "a.example.com",
	  DISCOVERY_FOUND,
	  "example.com",
	  "example.com",
	  true,
	  { { "_dmarc.a.example.com", RECORD },
	    { "_dmarc.a.example.com", "v=DMARC1; p=none" },
	    { "_dmarc.example.com", RECORD } } },
	{ "example.com",
	  DISCOVERY_NONE,
	  "",
	  "example.com",
	  true,
	  { { "_dmarc.example.com", RECORD },
	    { "_dmarc.example.com", RECORD } } },
	/* a record with nothing but its version stays in the walk */
	{ "a.example.com",
	  DISCOVERY_FOUND,
	  "example.com",
	  "example.com",
	  false,
	  { { "_dmarc.example.com", "v=DMARC1" } } },
	/* the long name of 4.10, its own record and the others' */
	{ "a.b.c.d.e.f.g.h.i.j.mail.example.com",
	  DISCOVERY_FOUND,
	  "a.b.c.d.e.f.g.h.i.j.mail.example.com",
	  "example.com",
	  false,
	  { { "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com", RECORD },
	    { "_dmarc.example.com", RECORD } } },
	{ "a.b.c.d.e.f.g.h.i.j.mail.example.com",
	  DISCOVERY_FOUND,
	  "example.com",
	  "example.com",
	  false,
	  { { "_dmarc.c.d.e.f.g.h.i.j.mail.example.com", PSD_N },
	    { "_dmarc.example.com", RECORD } } },
	{ "a.b.c.d.e.f.g.h.i.j.mail.example.com",
	  DISCOVERY_FOUND,
	  "g.h.i.j.mail.example.com",
	  "f.g.h.i.j.mail.example.com",
	  false,
	  { { "_dmarc.g.h.i.j.mail.example.com", PSD_Y } } },
	/* the author's record is the policy, even when nobody knows what is
	 * above it */
	{ "a.example.com",
	  DISCOVERY_FOUND,
	  "a.example.com",
	  NULL,
	  false,
	  { { "_dmarc.a.example.com", RECORD },
	    { "_dmarc.example.com", ZONE_DEAD } } },
	{ "a.example.com",
	  DISCOVERY_FOUND,
	  "a.example.com",
	  "a.example.com",
	  false,
	  { { "_dmarc.a.example.com", PSD_N },
	    { "_dmarc.example.com", ZONE_DEAD } } },
	/* else a failure that the walk meets leaves the policy unknown */
	{ "a.example.com",
	  DISCOVERY_TEMPERROR,
	  "",
	  NULL,
	  false,
	  { { "_dmarc.a.example.com", ZONE_DEAD },
	    { "_dmarc.example.com", RECORD } } },
	{ "a.example.com",
	  DISCOVERY_TEMPERROR,
	  "",
	  NULL,
	  false,
	  { { "_dmarc.example.com", RECORD }, { "_dmarc.com", ZONE_DEAD } } },
	{ "a.example.com",
	  DISCOVERY_FOUND,
	  "example.com",
	  "example.com",
	  false,
	  { { "_dmarc.example.com", PSD_N }, { "_dmarc.com", ZONE_DEAD } } },
};

static void
check_policy(const struct policy_case *c, enum discovery_method method,
	     const struct domain_psl *psl)
{
	struct span author = span_cstr(c->author);
	struct discovery got;

	start();
	assert_int_equal(discovery_policy(author, method, psl, &answers, &got),
			 DISCOVERY_PENDING);
	zone_answer(c->zone, &answers);
	assert_int_equal(discovery_policy(author, method, psl, &answers, &got),
			 c->status);
	assert_span(got.domain, c->domain);
	assert_span(got.organizational,
		    c->organizational == NULL ? "" : c->organizational);
	assert_int_equal(got.is_author_record, span_equal(author, got.domain));
	assert_int_equal(got.is_multiple, c->is_multiple);
	assert_int_equal(got.method, method);
	if (c->status == DISCOVERY_FOUND)
		assert_true(span_starts(got.record.text, SPAN_LIT("v=DMARC1")));
}

static void
t5_policies(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASES(policy_cases); i++)
		check_policy(&policy_cases[i], DISCOVERY_TREEWALK, NULL);
}

/* Only what the walk gets to is waited for. */
static void
t6_settled_early(void **state)
{
	static const struct {
		const char *domain;
		enum discovery_status walk;
		struct zone_row zone[ROWS_MAX];
	} cases[] = {
		{ "a.example.com",
		  DISCOVERY_FOUND,
		  { { "_dmarc.a.example.com", PSD_N },
		    { "_dmarc.example.com", ZONE_SILENT },
		    { "_dmarc.com", ZONE_SILENT } } },
		{ "a.example.com",
		  DISCOVERY_FOUND,
		  { { "_dmarc.example.com", PSD_Y },
		    { "_dmarc.com", ZONE_SILENT } } },
		{ "a.example.com",
		  DISCOVERY_TEMPERROR,
		  { { "_dmarc.a.example.com", ZONE_DEAD },
		    { "_dmarc.example.com", ZONE_SILENT },
		    { "_dmarc.com", ZONE_SILENT } } },
		{ "a.example.com",
		  DISCOVERY_PENDING,
		  { { "_dmarc.a.example.com", ZONE_SILENT },
		    { "_dmarc.example.com", PSD_N } } },
		{ "a.example.com",
		  DISCOVERY_PENDING,
		  { { "_dmarc.a.example.com", ZONE_SILENT },
		    { "_dmarc.example.com", ZONE_DEAD } } },
		{ "a.example.com",
		  DISCOVERY_PENDING,
		  { { "_dmarc.a.example.com", RECORD },
		    { "_dmarc.example.com", ZONE_SILENT } } },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		struct discovery_walk walk;

		start();
		discovery_walk(span_cstr(cases[i].domain), &answers, &walk);
		zone_answer(cases[i].zone, &answers);
		assert_int_equal(discovery_walk(span_cstr(cases[i].domain),
						&answers, &walk),
				 cases[i].walk);
	}
}

static void
t7_steps_of_a_walk(void **state)
{
	static const struct zone_row zone[] = {
		{ "_dmarc.a.b.example", RECORD },
		{ "_dmarc.a.b.example", RECORD },
		{ "_dmarc.b.example", PSD_N },
		{ NULL, NULL },
	};
	struct discovery_walk walk;

	(void)state;
	discovery_walk(SPAN_LIT("x.a.b.example"), &answers, &walk);
	zone_answer(zone, &answers);
	assert_int_equal(
		discovery_walk(SPAN_LIT("x.a.b.example"), &answers, &walk),
		DISCOVERY_FOUND);
	assert_int_equal(walk.steps, 3);
	assert_span(walk.step[0].domain, "x.a.b.example");
	assert_false(walk.step[0].is_found || walk.step[0].is_multiple);
	assert_span(walk.step[1].domain, "a.b.example");
	assert_true(!walk.step[1].is_found && walk.step[1].is_multiple);
	assert_span(walk.step[2].domain, "b.example");
	assert_true(walk.step[2].is_found && !walk.step[2].is_multiple);
	assert_span(walk.step[2].record.text, PSD_N);
}

static void
t8_a_name_too_long_to_exist_has_no_record(void **state)
{
	static const struct zone_row zone[] = {
		{ "_dmarc.example", RECORD },
		{ NULL, NULL },
	};
	char text[DOMAIN_MAX];

	(void)state;
	memset(text, 'a', DOMAIN_MAX);
	for (size_t i = 60; i < DOMAIN_MAX - 10; i += 60)
		text[i] = '.';
	memcpy(text + DOMAIN_MAX - 8, ".example", 8);
	/* with "_dmarc." before it, 246 octets can be asked, 247 cannot */
	for (size_t n = DOMAIN_MAX - 9; n <= DOMAIN_MAX; n++) {
		struct span domain = span_make(text + DOMAIN_MAX - n, n);
		struct discovery discovery;

		start();
		discovery_policy(domain, DISCOVERY_TREEWALK, NULL, &answers,
				 &discovery);
		assert_int_equal(answers.count,
				 domain_labels(domain) -
					 (n > DOMAIN_MAX - 7 ? 1 : 0));
		zone_answer(zone, &answers);
		assert_int_equal(discovery_policy(domain, DISCOVERY_TREEWALK,
						  NULL, &answers, &discovery),
				 DISCOVERY_FOUND);
		assert_span(discovery.domain, "example");
	}
}

static void
t9_too_many_questions_are_a_temperror(void **state)
{
	struct discovery discovery;

	(void)state;
	answers_init(&answers, &arena, 0);
	assert_int_equal(discovery_policy(SPAN_LIT("example.com"),
					  DISCOVERY_TREEWALK, NULL, &answers,
					  &discovery),
			 DISCOVERY_TEMPERROR);
}

enum kind { K_NONE, K_RECORD, K_PSD_N, K_PSD_Y, K_SEVERAL, K_DEAD, KINDS };

#define NAMES 4
static const char *const names[NAMES] = { "a.b.c.example", "b.c.example",
					  "c.example", "example" };

/* RFC 9989 4.10 as its text has it: one name after the other. */
static enum discovery_status
one_by_one(const enum kind kinds[NAMES], const char **organizational)
{
	const char *highest = NULL;

	*organizational = names[0];
	for (size_t i = 0; i < NAMES; i++) {
		switch (kinds[i]) {
		case K_DEAD:
			*organizational = names[0];
			return DISCOVERY_TEMPERROR;
		case K_PSD_N:
			*organizational = names[i];
			return DISCOVERY_FOUND;
		case K_PSD_Y:
			*organizational = names[i == 0 ? 0 : i - 1];
			return DISCOVERY_FOUND;
		case K_RECORD:
			highest = names[i];
			break;
		case K_NONE:
		case K_SEVERAL:
		case KINDS:
			break;
		}
	}
	if (highest != NULL)
		*organizational = highest;
	return DISCOVERY_FOUND;
}

static void
settle(size_t index, enum kind kind)
{
	struct dns_record record[2];
	struct answer answer = { .status = ANSWER_OK, .record = record };

	record[0].value = kind == K_PSD_N   ? SPAN_LIT(PSD_N)
			  : kind == K_PSD_Y ? SPAN_LIT(PSD_Y)
					    : SPAN_LIT(RECORD);
	record[1].value = SPAN_LIT(PSD_N);
	answer.records = kind == K_SEVERAL ? 2 : 1;
	if (kind == K_NONE || kind == K_DEAD) {
		answer.status =
			kind == K_NONE ? ANSWER_NXDOMAIN : ANSWER_TEMPERROR;
		answer.records = 0;
	}
	answers_settle(&answers, index, &answer);
}

/* Once it is settled it says the same as the walk name by name, and never
 * says another thing later. */
static void
check_zone(const enum kind kinds[NAMES], size_t first, bool is_upwards)
{
	const char *want;
	enum discovery_status wanted = one_by_one(kinds, &want), status;
	struct span got;

	start();
	for (size_t i = 0; i <= NAMES; i++) {
		size_t step = is_upwards ? i : 2 * NAMES - i;

		status = discovery_organizational(span_cstr(names[0]),
						  DISCOVERY_TREEWALK, NULL,
						  &answers, &got);
		if (status != DISCOVERY_PENDING) {
			assert_int_equal(status, wanted);
			assert_span(got, want);
		}
		if (i < NAMES)
			settle((first + step) % NAMES,
			       kinds[(first + step) % NAMES]);
	}
	assert_int_not_equal(status, DISCOVERY_PENDING);
}

static void
t10_at_once_is_the_same_as_one_by_one(void **state)
{
	enum kind kinds[NAMES];
	size_t zones = 1;

	(void)state;
	for (size_t i = 0; i < NAMES; i++)
		zones *= KINDS;
	for (size_t zone = 0; zone < zones; zone++) {
		size_t rest = zone;

		for (size_t i = 0; i < NAMES; i++, rest /= KINDS)
			kinds[i] = (enum kind)(rest % KINDS);
		for (size_t first = 0; first < NAMES; first++) {
			check_zone(kinds, first, true);
			check_zone(kinds, first, false);
		}
	}
}

static const struct policy_case psl_cases[] = {
	{ "a.b.example.com",
	  DISCOVERY_FOUND,
	  "a.b.example.com",
	  "example.com",
	  false,
	  { { "_dmarc.a.b.example.com", RECORD },
	    { "_dmarc.example.com", ZONE_DEAD } } },
	{ "a.b.example.com",
	  DISCOVERY_FOUND,
	  "example.com",
	  "example.com",
	  false,
	  { { "_dmarc.b.example.com", PSD_N },
	    { "_dmarc.example.com", RECORD },
	    { "_dmarc.com", PSD_Y } } },
	{ "a.b.co.uk",
	  DISCOVERY_NONE,
	  "",
	  "b.co.uk",
	  false,
	  { { "_dmarc.co.uk", RECORD } } },
	{ "co.uk",
	  DISCOVERY_FOUND,
	  "co.uk",
	  "co.uk",
	  false,
	  { { "_dmarc.co.uk", RECORD } } },
	/* RFC 7489 6.6.3: several records end it */
	{ "a.example.com",
	  DISCOVERY_NONE,
	  "",
	  "example.com",
	  true,
	  { { "_dmarc.a.example.com", RECORD },
	    { "_dmarc.a.example.com", RECORD },
	    { "_dmarc.example.com", RECORD } } },
	{ "a.example.com",
	  DISCOVERY_NONE,
	  "",
	  "example.com",
	  true,
	  { { "_dmarc.example.com", RECORD },
	    { "_dmarc.example.com", RECORD } } },
	{ "a.example.com",
	  DISCOVERY_TEMPERROR,
	  "",
	  "example.com",
	  false,
	  { { "_dmarc.a.example.com", ZONE_DEAD },
	    { "_dmarc.example.com", RECORD } } },
	{ "a.example.com",
	  DISCOVERY_TEMPERROR,
	  "",
	  "example.com",
	  false,
	  { { "_dmarc.example.com", ZONE_DEAD } } },
};

static void
t11_policies_by_the_list(void **state)
{
	struct domain_psl *psl = domain_psl_new(SPAN_LIT("com\nco.uk\n"));

	(void)state;
	for (size_t i = 0; i < CASES(psl_cases); i++)
		check_policy(&psl_cases[i], DISCOVERY_PSL, psl);
	domain_psl_free(psl);
}

static void
t12_the_list_asks_two_names_at_once_and_one_where_they_are_the_same(
	void **state)
{
	struct domain_psl *psl = domain_psl_new(SPAN_LIT("com\n"));
	struct discovery discovery;
	struct span organizational;

	(void)state;
	discovery_policy(SPAN_LIT("a.b.example.com"), DISCOVERY_PSL, psl,
			 &answers, &discovery);
	assert_int_equal(answers.count, 2);
	assert_span(answers.list[0]->name, "_dmarc.a.b.example.com");
	assert_span(answers.list[1]->name, "_dmarc.example.com");
	start();
	discovery_policy(SPAN_LIT("example.com"), DISCOVERY_PSL, psl, &answers,
			 &discovery);
	assert_int_equal(answers.count, 1);
	/* and the organizational domain needs no question */
	start();
	assert_int_equal(discovery_organizational(SPAN_LIT("a.b.example.com"),
						  DISCOVERY_PSL, psl, &answers,
						  &organizational),
			 DISCOVERY_FOUND);
	assert_span(organizational, "example.com");
	assert_int_equal(answers.count, 0);
	domain_psl_free(psl);
}

static void
t13_without_a_list_it_is_a_temperror(void **state)
{
	struct discovery discovery;
	struct span organizational;

	(void)state;
	assert_int_equal(discovery_policy(SPAN_LIT("example.com"),
					  DISCOVERY_PSL, NULL, &answers,
					  &discovery),
			 DISCOVERY_TEMPERROR);
	assert_int_equal(discovery_organizational(SPAN_LIT("a.example.com"),
						  DISCOVERY_PSL, NULL, &answers,
						  &organizational),
			 DISCOVERY_TEMPERROR);
	assert_span(organizational, "a.example.com");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(t1_names_of_a_walk),
		TEST(t2_all_names_are_asked_at_once),
		TEST(t3_running_again_takes_no_memory),
		TEST(t4_organizational_domains),
		TEST(t5_policies),
		TEST(t6_settled_early),
		TEST(t7_steps_of_a_walk),
		TEST(t8_a_name_too_long_to_exist_has_no_record),
		TEST(t9_too_many_questions_are_a_temperror),
		TEST(t10_at_once_is_the_same_as_one_by_one),
		TEST(t11_policies_by_the_list),
		TEST(t12_the_list_asks_two_names_at_once_and_one_where_they_are_the_same),
		TEST(t13_without_a_list_it_is_a_temperror),
	};

	return cmocka_run_group_tests_name("discovery", tests, NULL, NULL);
}
