/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eval_rig: from a mail in a line or two to its verdict, over a small DNS, with
 * the answers coming in as one likes. DKIM is decided by the fake engine: the
 * selector "good" passes.
 */
#ifndef TESTS_EVAL_RIG_H
#define TESTS_EVAL_RIG_H

#include "dmarc/eval.h"
#include "tests/unit/dns_rows.h"
#include "tests/unit/fake_dkim_engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

#define GOOD_CLIENT "192.0.2.1"
#define BAD_CLIENT "198.51.100.9"

/* --- the DNS --- */

/* Every name here has an address, SPF for GOOD_CLIENT alone, and the keys
 * "good" and "bad"; its DMARC record is the text beside it. */
static const struct domain {
	const char *name, *dmarc;
} domains[] = {
	{ "reject.example", "v=DMARC1; p=reject" },
	{ "mail.reject.example", NULL },
	{ "quarantine.example", "v=DMARC1; p=quarantine" },
	{ "none.example", "v=DMARC1; p=none" },
	{ "strict.example", "v=DMARC1; p=reject; adkim=s; aspf=s" },
	{ "mail.strict.example", NULL },
	{ "strict-dkim.example", "v=DMARC1; p=reject; adkim=s" },
	{ "mail.strict-dkim.example", NULL },
	{ "sp.example", "v=DMARC1; p=reject; sp=quarantine; np=none" },
	{ "a.sp.example", NULL },
	{ "np.example", "v=DMARC1; p=none; np=reject" },
	{ "a.np.example", NULL },
	{ "own.sp.example", "v=DMARC1; p=none" },
	{ "t.example", "v=DMARC1; p=reject; t=y" },
	{ "tq.example", "v=DMARC1; p=quarantine; t=y" },
	{ "bad.example", "v=DMARC1; p=foo" },
	{ "bad-rua.example", "v=DMARC1; p=foo; rua=mailto:d@bad-rua.example" },
	{ "no-p.example", "v=DMARC1; rua=mailto:d@no-p.example" },
	{ "bad-sp.example", "v=DMARC1; p=reject; sp=foo" },
	{ "bank.example", "v=DMARC1; p=reject; psd=y; np=quarantine" },
	{ "giant.bank.example", "v=DMARC1; p=quarantine" },
	{ "mail.giant.bank.example", NULL },
	{ "mega.bank.example", NULL },
	{ "mail.mega.bank.example", NULL },
	{ "self.reject.example", "v=DMARC1; p=quarantine; psd=n" },
	{ "x.self.reject.example", NULL },
	{ "xn--mnchen-3ya.example", "v=DMARC1; p=reject" },
	{ "two.example", "v=DMARC1; p=reject" },
	{ "two-below.reject.example", "v=DMARC1; p=none" },
	{ "plain.example", NULL },
	{ "other.test", NULL },
	{ "pct.example", "v=DMARC1; p=reject; pct=40" },
	{ "minus.example", "v=DMARC1; p=reject" },
	{ "steps.example", "v=DMARC1; p=reject" },
	{ "hog.example", NULL },
	{ "0.hog.example", NULL },
	{ "1.hog.example", NULL },
	{ "2.hog.example", NULL },
	{ "3.hog.example", NULL },
	{ "4.hog.example", NULL },
	{ "5.hog.example", NULL },
	{ "6.hog.example", NULL },
	{ "7.hog.example", NULL },
	{ "8.hog.example", NULL },
	{ "9.hog.example", NULL },
	{ "dead-key.example", "v=DMARC1; p=reject" },
	{ "dead-key-none.example", "v=DMARC1; p=none" },
	{ "dead-spf.example", "v=DMARC1; p=reject" },
	{ "dead.example", NULL },
	{ "own.dead.example", "v=DMARC1; p=reject" },
	{ "mail.own.dead.example", NULL },
};

/* A policy with nearly the most octets that a TXT record can have. */
static char large_policy[65500] = "v=DMARC1;p=reject";

/* What is said beside that. */
static const struct dns_row more[] = {
	{ "_dmarc.two.example", DNS_TXT, "v=DMARC1; p=none", 0 },
	{ "_dmarc.two-below.reject.example", DNS_TXT, "v=DMARC1; p=none", 0 },
	{ "dead._domainkey.dead-key.example", DNS_TXT, NULL, 0 },
	{ "dead._domainkey.dead-key-none.example", DNS_TXT, NULL, 0 },
	{ "dead._domainkey.plain.example", DNS_TXT, NULL, 0 },
	{ "dead-spf.example", DNS_TXT, NULL, 0 },
	{ "_dmarc.dead.example", DNS_TXT, NULL, 0 },
	{ "_dmarc.large.example", DNS_TXT, large_policy, 0 },
	{ "unknown.sp.example", DNS_A, NULL, 0 },
	{ "s1.steps.example", DNS_TXT, "v=spf1 include:s2.steps.example", 0 },
	{ "s2.steps.example", DNS_TXT, "v=spf1 include:s3.steps.example", 0 },
	{ "s3.steps.example", DNS_TXT, "v=spf1 ip4:192.0.2.1", 0 },
	/* exists, with other types only */
	{ "txt.np.example", DNS_TXT, "hello", 0 },
	/* names of clients: good, a liar's, and two that fail for now */
	{ "20.113.0.203.in-addr.arpa", DNS_PTR, "mx.forwarder.test", 0 },
	{ "mx.forwarder.test", DNS_A, "203.0.113.20", 0 },
	{ "21.113.0.203.in-addr.arpa", DNS_PTR, "liar.forwarder.test", 0 },
	{ "liar.forwarder.test", DNS_A, "203.0.113.99", 0 },
	{ "22.113.0.203.in-addr.arpa", DNS_PTR, NULL, 0 },
	{ "23.113.0.203.in-addr.arpa", DNS_PTR, "dead.forwarder.test", 0 },
	{ "dead.forwarder.test", DNS_A, NULL, 0 },
	/* one that has many; the last is wanted */
	{ "24.113.0.203.in-addr.arpa", DNS_PTR, "a.other.test", 0 },
	{ "24.113.0.203.in-addr.arpa", DNS_PTR, "b.other.test", 0 },
	{ "24.113.0.203.in-addr.arpa", DNS_PTR, "c.other.test", 0 },
	{ "24.113.0.203.in-addr.arpa", DNS_PTR, "d.other.test", 0 },
	{ "24.113.0.203.in-addr.arpa", DNS_PTR, "e.other.test", 0 },
	{ "24.113.0.203.in-addr.arpa", DNS_PTR, "mx2.forwarder.test", 0 },
	{ "mx2.forwarder.test", DNS_A, "203.0.113.24", 0 },
	{ NULL, 0, NULL, 0 },
};

#define ROWS_MAX (6 * CASES(domains) + CASES(more) + 1)

static struct dns_row rows[ROWS_MAX];
static char names[CASES(domains)][3][80];

static const char *
spf_of(const char *name)
{
	if (strcmp(name, "minus.example") == 0)
		return "v=spf1 -ip4:198.51.100.9";
	if (strcmp(name, "steps.example") == 0)
		return "v=spf1 include:s1.steps.example -all";
	if (strcmp(name, "hog.example") == 0)
		return "v=spf1 a:0.hog.example a:1.hog.example a:2.hog.example "
		       "a:3.hog.example a:4.hog.example a:5.hog.example "
		       "a:6.hog.example a:7.hog.example a:8.hog.example "
		       "a:9.hog.example -all";
	return "v=spf1 ip4:192.0.2.1 -all";
}

static struct dns_row *
add_domain(struct dns_row *row, size_t i)
{
	const char *name = domains[i].name;
	bool is_dead = strcmp(name, "dead-spf.example") == 0;

	snprintf(names[i][0], 80, "_dmarc.%s", name);
	snprintf(names[i][1], 80, "good._domainkey.%s", name);
	snprintf(names[i][2], 80, "bad._domainkey.%s", name);
	*row++ = (struct dns_row){ name, DNS_A, "192.0.2.80", 0 };
	if (!is_dead)
		*row++ = (struct dns_row){ name, DNS_TXT, spf_of(name), 0 };
	*row++ = (struct dns_row){ names[i][1], DNS_TXT, FAKE_KEY, 0 };
	*row++ = (struct dns_row){ names[i][2], DNS_TXT, FAKE_KEY, 0 };
	if (domains[i].dmarc != NULL)
		*row++ = (struct dns_row){ names[i][0], DNS_TXT,
					   domains[i].dmarc, 0 };
	return row;
}

/* --- one evaluation --- */

struct mail {
	const char *header;    /* all fields but the signatures */
	const char *mail_from; /* "" is the null path */
	const char *dkim;      /* "selector:domain …", or NULL */
	const char *client;
};

static struct arena arena;
static struct answers answers;
static struct message message;
static struct verdict verdict;
static struct eval_settings settings;
static unsigned rounds, percentile;
static size_t questions_max = ANSWERS_MAX;

static int
set_up(void **state)
{
	struct dns_row *row = rows;

	(void)state;
	for (size_t i = 0; i < CASES(domains); i++)
		row = add_domain(row, i);
	memset(large_policy + strlen(large_policy), ';',
	       sizeof(large_policy) - 1 - strlen(large_policy));
	memcpy(row, more, sizeof(more));
	arena_init(&arena, (size_t)4 << 20);
	message_init(&message, 100000);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	arena_fini(&arena);
	message_fini(&message);
	return 0;
}

static void
reset(void)
{
	arena_reset(&arena);
	answers_init(&answers, &arena, questions_max);
	message_reset(&message);
}

static void
feed_signatures(const char *dkim)
{
	char selector[50], domain[100], text[400];
	struct span body;
	int n = 0;

	for (; dkim != NULL && *dkim != '\0'; dkim += n) {
		if (sscanf(dkim, " %49[^:]:%99s%n", selector, domain, &n) != 2)
			fail_msg("%s", dkim);
		snprintf(text, sizeof(text), FAKE_SIGNATURE, domain, selector);
		message_feed(&message, span_cstr(text), &body);
	}
}

static struct eval_facts
facts_of(const struct mail *mail)
{
	struct span path = span_cstr(mail->mail_from);
	size_t at = span_find(path, '@');
	struct eval_facts facts = {
		.settings = &settings,
		.spf = { .helo = SPAN_LIT("reject.example"),
			 .local = span_first(path, at),
			 .domain = span_after(path, at < path.n ? at + 1 : at),
			 .is_null = path.n == 0,
			 .gate = SPAN_LIT("gate.example") },
		.percentile = percentile,
	};

	assert_true(ip_parse(
		span_cstr(mail->client != NULL ? mail->client : BAD_CLIENT),
		&facts.spf.client));
	return facts;
}

/* How answers come in. */
enum order {
	ORDER_AT_ONCE,
	ORDER_ONE_BY_ONE,
	ORDER_LAST_FIRST,
	ORDER_SHUFFLED, /* and its seed */
};

/* An open question, by the order; false if there is none. */
static bool
pick(unsigned order, size_t *index)
{
	size_t open[ANSWERS_MAX], count = 0;

	for (size_t i = 0; i < answers.count; i++)
		if (answers.list[i]->status == ANSWER_OPEN)
			open[count++] = i;
	if (count == 0)
		return false;
	*index = open[0];
	if (order == ORDER_LAST_FIRST)
		*index = open[count - 1];
	if (order >= ORDER_SHUFFLED)
		*index = open[(size_t)random() % count];
	return true;
}

/* One answer, or all. False if nothing was open. */
static bool
answer(unsigned order)
{
	size_t index;

	rounds++;
	if (order == ORDER_AT_ONCE)
		return dns_rows_settle_all(rows, &answers) > 0;
	if (!pick(order, &index))
		return false;
	dns_rows_settle(rows, &answers, index);
	return true;
}

/* From MAIL FROM to the verdict. Answers come in after the end, or, where
 * is_early, as many as there are before the next stage. */
static void
evaluate(const struct mail *mail, unsigned order, bool is_early)
{
	struct eval_facts facts = facts_of(mail);
	struct dkim_check *check;
	struct span body;

	reset();
	rounds = 0;
	srandom(order);
	facts.stage = EVAL_ENVELOPE;
	assert_false(eval_run(&facts, &answers, &verdict));
	while (is_early && answer(order))
		assert_false(eval_run(&facts, &answers, &verdict));
	feed_signatures(mail->dkim);
	message_feed(&message, span_cstr(mail->header), &body);
	message_feed(&message, SPAN_LIT("\r\n"), &body);
	check = dkim_check_new(fake_dkim_engine(), &arena, 1800000000);
	assert_true(dkim_check_header(check, &message));
	facts.stage = EVAL_HEADER;
	facts.message = &message;
	authors_read(&message, &arena, &facts.authors);
	facts.dkim = check;
	rounds = 0;
	assert_false(eval_run(&facts, &answers, &verdict));
	while (is_early && answer(order))
		assert_false(eval_run(&facts, &answers, &verdict));
	dkim_check_body(check, SPAN_LIT("Hello\r\n"));
	facts.stage = EVAL_END;
	while (!eval_run(&facts, &answers, &verdict))
		if (!answer(order))
			fail_msg("%s: asks nothing and is not settled",
				 mail->header);
	dkim_check_free(check);
}

/* Everything of a verdict that counts, as text. */
static void
describe(char *text, size_t size)
{
	size_t n = (size_t)snprintf(
		text, size, "%s %s %s %s %u %s %s %d spf=%s %.*s",
		dmarc_result_name(verdict.result),
		dmarc_outcome_name(verdict.outcome),
		disposition_name(verdict.policy_disposition),
		disposition_name(verdict.disposition),
		(unsigned)verdict.deciding, verdict.rule,
		from_fault_text(verdict.from_fault), verdict.may_defer,
		spf_result_name(verdict.spf.result), (int)verdict.spf.domain.n,
		verdict.spf.domain.p);

	for (size_t i = 0; i < verdict.authors; i++) {
		const struct eval_author *author = &verdict.author[i];

		n += (size_t)snprintf(
			text + n, size - n, "; %.*s %s %d %d %d %x %s %.*s %s",
			(int)author->domain.n, author->domain.p,
			dmarc_result_name(author->result),
			author->is_author_known, author->does_author_exist,
			author->is_spf_aligned, author->dkim_aligned,
			author->rule, (int)author->discovery.domain.n,
			author->discovery.domain.p,
			author->error != NULL ? author->error : "");
	}
	for (size_t i = 0; i < verdict.dkim_count; i++)
		n += (size_t)snprintf(text + n, size - n, "; dkim=%s",
				      dkim_result_name(verdict.dkim[i].result));
	assert_true(n < size);
}

#endif
