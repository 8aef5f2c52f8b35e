/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order and the grouping in which answers arrive change nothing: random
 * zones of a few names that lead to each other in every way, each evaluated
 * with all open questions answered at once, with the first or the last alone,
 * with some at random, and with everything known beforehand. A failure names
 * its zone; the same number gives the same zone.
 */
#include "tests/smuggle/chance.h"
#include "tests/unit/spf_rig.h"

#define ZONES 20000
#define NAMES 6
#define ROWS_MAX 64
#define TEXT_MAX 400

struct random_zone {
	struct dns_row rows[ROWS_MAX + 1];
	size_t count;
	char text[ROWS_MAX][TEXT_MAX];
};

static const char *const names[NAMES] = { "s.test", "a.s.test", "b.s.test",
					  "c.test", "d.test",   "e.c.test" };

#define REVERSE "1.2.0.192.in-addr.arpa"

static char *
add_row(struct random_zone *zone, const char *name, enum dns_type type)
{
	char *text = zone->text[zone->count];

	assert_true(zone->count < ROWS_MAX);
	text[0] = '\0';
	zone->rows[zone->count++] = (struct dns_row){ name, type, text, 0 };
	return text;
}

static void
say(char *text, const char *more)
{
	size_t n = strlen(text);

	snprintf(text + n, TEXT_MAX - n, "%s", more);
}

/* A domain-spec: a name, which may be missing, or one made of macros. */
static void
say_domain(uint64_t *chance, char *text)
{
	static const char *const specs[] = {
		"%{d}",       "a.%{d}", "%{d2}",        "%{o}",
		"b.%{o}",     "%{p}",   "%{l}.%{d2}",   "e.%{h}",
		"%{ir}.%{d}", "x.%{d}", "missing.test",
	};

	say(text, chance_percent(chance, 60)
			  ? names[chance_below(chance, NAMES)]
			  : CHANCE_PICK(chance, specs));
}

static void
say_term(uint64_t *chance, char *text)
{
	static const char *const mechanisms[] = {
		"include:", "include:", "include:", "a:",      "a:",
		"mx:",      "mx:",      "ptr:",     "exists:",
	};
	static const char *const whole[] = {
		"a",   "mx",
		"ptr", "ip4:198.51.100.0/24",
		"mx",  "ip6:2001:db8::/32",
		"a/0", "ip4:192.0.2.0/24",
	};
	static const char *const qualifiers[] = { " ",  " ",  " ",
						  " -", " ~", " ?" };

	say(text, CHANCE_PICK(chance, qualifiers));
	if (chance_percent(chance, 25)) {
		say(text, CHANCE_PICK(chance, whole));
		return;
	}
	say(text, CHANCE_PICK(chance, mechanisms));
	say_domain(chance, text);
}

static void
say_record(uint64_t *chance, char *text)
{
	static const char *const ends[] = { "", " -all", " -all", " ~all",
					    " ?all" };

	say(text, "v=spf1");
	for (size_t n = chance_below(chance, 5); n > 0; n--)
		say_term(chance, text);
	say(text, CHANCE_PICK(chance, ends));
	if (chance_percent(chance, 30)) {
		say(text, " redirect=");
		say_domain(chance, text);
	}
	if (chance_percent(chance, 50)) {
		say(text, " exp=");
		say_domain(chance, text);
	}
	if (chance_percent(chance, 3))
		say(text, " bad");
}

static void
add_name(uint64_t *chance, struct random_zone *zone, const char *name)
{
	static const char *const texts[] = { "%{p} %{d}", "no %{s}", "%{x}" };

	if (chance_percent(chance, 85))
		say_record(chance, add_row(zone, name, DNS_TXT));
	if (chance_percent(chance, 30))
		say(add_row(zone, name, DNS_TXT), CHANCE_PICK(chance, texts));
	if (chance_percent(chance, 60))
		say(add_row(zone, name, DNS_A),
		    chance_percent(chance, 30) ? "192.0.2.1" : "198.51.100.9");
	for (size_t n = chance_below(chance, 3); n > 0; n--) {
		char *text = add_row(zone, name, DNS_MX);

		say(text, "10 ");
		say(text, names[chance_below(chance, NAMES)]);
	}
}

static void
make_zone(uint64_t *chance, struct random_zone *zone)
{
	static const enum dns_type types[] = { DNS_A, DNS_TXT, DNS_MX };

	zone->count = 0;
	for (size_t i = 0; i < NAMES; i++)
		add_name(chance, zone, names[i]);
	for (size_t n = chance_below(chance, 3); n > 0; n--)
		say(add_row(zone, REVERSE, DNS_PTR),
		    names[chance_below(chance, NAMES)]);
	if (chance_percent(chance, 20)) {
		add_row(zone, names[1 + chance_below(chance, NAMES - 1)],
			CHANCE_PICK(chance, types));
		zone->rows[zone->count - 1].value = NULL;
	}
	zone->rows[zone->count] = (struct dns_row){ NULL, 0, NULL, 0 };
}

enum order { AT_ONCE, FIRST, LAST, AT_RANDOM };

/* Settle what this order has next. */
static void
settle_next(enum order order, uint64_t *chance, const struct dns_row *rows)
{
	size_t open[ANSWERS_MAX], count = 0;

	for (size_t i = 0; i < answers.count; i++)
		if (answers.list[i]->status == ANSWER_OPEN)
			open[count++] = i;
	assert_true(count > 0);
	if (order == FIRST || order == LAST) {
		dns_rows_settle(rows, &answers,
				open[order == FIRST ? 0 : count - 1]);
		return;
	}
	for (size_t i = 0; i < count; i++)
		if (order == AT_ONCE || chance_percent(chance, 40))
			dns_rows_settle(rows, &answers, open[i]);
}

/* The outcome in one line. */
static void
tell(const struct spf_outcome *outcome, char text[TEXT_MAX])
{
	snprintf(text, TEXT_MAX, "%s (%s) %d %.*s",
		 spf_result_name(outcome->result), outcome->reason,
		 outcome->is_all_fail, (int)outcome->explanation.n,
		 outcome->explanation.p);
}

static void
assert_told(const char *told, const char *expected, unsigned number,
	    const struct random_zone *zone)
{
	if (strcmp(told, expected) == 0)
		return;
	for (size_t i = 0; i < zone->count; i++)
		printf("# %s %s %s\n", zone->rows[i].name,
		       dns_type_name(zone->rows[i].type),
		       zone->rows[i].value == NULL ? "(dead)"
						   : zone->rows[i].value);
	fail_msg("zone %u: %s, not %s", number, told, expected);
}

static void
run_zone(unsigned number, unsigned results[SPF_PERMERROR + 1])
{
	static struct random_zone zone;
	uint64_t chance = number;
	struct spf_facts facts = facts_of("192.0.2.1", "a@s.test", "c.test");
	char expected[TEXT_MAX], told[TEXT_MAX];
	struct spf_outcome outcome;

	make_zone(&chance, &zone);
	evaluate(&facts, zone.rows, &outcome);
	tell(&outcome, expected);
	results[outcome.result]++;
	/* with everything known that was ever asked */
	assert_true(spf_eval(&facts, &answers, &outcome));
	tell(&outcome, told);
	assert_told(told, expected, number, &zone);
	for (enum order order = FIRST; order <= AT_RANDOM; order++) {
		start();
		while (!spf_eval(&facts, &answers, &outcome))
			settle_next(order, &chance, zone.rows);
		tell(&outcome, told);
		assert_told(told, expected, number, &zone);
		assert_true(answers.count <= SPF_QUESTIONS_MAX);
	}
}

static void
t1_the_order_of_answers_changes_nothing(void **state)
{
	unsigned results[SPF_PERMERROR + 1] = { 0 };

	(void)state;
	for (unsigned i = 0; i < ZONES; i++)
		run_zone(i, results);
	for (size_t i = 0; i <= SPF_PERMERROR; i++)
		printf("# %s: %u of %u zones\n",
		       spf_result_name((enum spf_result)i), results[i], ZONES);
	/* or else they show nothing */
	for (size_t i = 0; i <= SPF_PERMERROR; i++)
		assert_true(results[i] > ZONES / 100);
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
		cmocka_unit_test(t1_the_order_of_answers_changes_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
