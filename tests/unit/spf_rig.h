/* SPDX-License-Identifier: BSD-2-Clause */
/* spf_rig: check_host() over a table of DNS rows, in one call. */
#ifndef TESTS_SPF_RIG_H
#define TESTS_SPF_RIG_H

#include "dmarc/spf.h"
#include "tests/unit/dns_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

static struct arena arena;
static struct answers answers;
static enum spf_engine engine;

static inline int
tear_down(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

static inline void
start(void)
{
	arena_reset(&arena);
	answers_init(&answers, &arena, ANSWERS_MAX);
}

static inline int
set_up_with(enum spf_engine chosen)
{
	engine = chosen;
	arena_init(&arena, (size_t)4 << 20);
	start();
	return 0;
}

static inline struct ip
ip(const char *text)
{
	struct ip address;

	assert_true(ip_parse(span_cstr(text), &address));
	return address;
}

static inline struct spf_facts
facts_of(const char *client, const char *from, const char *helo)
{
	struct spf_facts facts = { .client = ip(client),
				   .helo = span_cstr(helo),
				   .gate = SPAN_LIT("gate.example"),
				   .now_s = 1700000000,
				   .engine = engine,
				   .is_null = from[0] == '\0' };
	struct span path = span_cstr(from);
	size_t at = path.n;

	while (at > 0 && path.p[at - 1] != '@')
		at--;
	facts.domain = span_after(path, at);
	facts.local = span_first(path, at > 0 ? at - 1 : 0);
	return facts;
}

/* Evaluate, settling what is asked, until it is settled. The rounds taken. */
static inline unsigned
evaluate(const struct spf_facts *facts, const struct dns_row *rows,
	 struct spf_outcome *outcome)
{
	unsigned rounds = 1;

	start();
	for (; !spf_eval(facts, &answers, outcome); rounds++)
		assert_true(dns_rows_settle_all(rows, &answers) > 0);
	return rounds;
}

static inline void
assert_result(const struct spf_outcome *outcome, enum spf_result expected,
	      const char *name)
{
	if (outcome->result != expected)
		fail_msg("%s: %s (%s), not %s", name,
			 spf_result_name(outcome->result), outcome->reason,
			 spf_result_name(expected));
}

/* A little more than a TXT record can hold. */
#define BIG_TEXT 66000

/* To a text of that size. */
static inline void
append(char *text, const char *more)
{
	size_t n = strlen(text);

	snprintf(text + n, BIG_TEXT - n, "%s", more);
}

#define SPF_RIG_ROWS_MAX 400

/* `record` at s.test, and others. */
static inline const struct dns_row *
zone_of(const char *record, const struct dns_row *others)
{
	static struct dns_row rows[SPF_RIG_ROWS_MAX];
	size_t n = 0;

	rows[n++] = (struct dns_row){ "s.test", DNS_TXT, record, 0 };
	while (others->name != NULL && n < SPF_RIG_ROWS_MAX - 1)
		rows[n++] = *others++;
	rows[n] = (struct dns_row){ NULL, 0, NULL, 0 };
	return rows;
}

#endif
