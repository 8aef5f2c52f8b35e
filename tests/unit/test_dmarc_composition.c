/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "Composition Kills: A Case Study of Email Sender Authentication" (Chen,
 * Paxson and Jiang, USENIX Security 2020): its attacks A1 to A18 and B1 to B3,
 * by their numbers. Each takes a difference between two parts of a mail system
 * that read the same octets. victim.example asks for reject and sends from
 * elsewhere; attack.example, its SPF, its DNS and its keys are the attacker's.
 * Whatever he writes, nothing passes that shows victim.example.
 */
#include "dmarc/eval.h"
#include "tests/unit/dns_rows.h"
#include "tests/unit/fake_dkim_engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

#define SPF_OF_ATTACKER "v=spf1 ip4:192.0.2.66 -all"

/* Beside what is there, what a part would find that cuts a name short, at a
 * NUL, a parenthesis or a quote; or that asks for all of it. */
static const struct dns_row rows[] = {
	{ "victim.example", DNS_A, "203.0.113.1", 0 },
	{ "victim.example", DNS_TXT, "v=spf1 ip4:203.0.113.1 -all", 0 },
	{ "_dmarc.victim.example", DNS_TXT, "v=DMARC1; p=reject", 0 },
	{ "good._domainkey.victim.example", DNS_TXT, FAKE_KEY, 0 },
	{ "attack.example", DNS_A, "192.0.2.66", 0 },
	{ "attack.example", DNS_TXT, SPF_OF_ATTACKER, 0 },
	{ "_dmarc.attack.example", DNS_TXT, "v=DMARC1; p=none", 0 },
	{ "good._domainkey.attack.example", DNS_TXT, FAKE_KEY, 0 },
	{ "good.attack.example", DNS_TXT, FAKE_KEY, 0 },
	{ "good", DNS_TXT, FAKE_KEY, 0 },
	{ "good._domainkey.victim.example(.attack.example", DNS_TXT, FAKE_KEY,
	  0 },
	{ "good._domainkey.victim.example'a.attack.example", DNS_TXT, FAKE_KEY,
	  0 },
	{ "good._domainkey.victim.example\"a.attack.example", DNS_TXT, FAKE_KEY,
	  0 },
	{ "victim.example(.attack.example", DNS_TXT, SPF_OF_ATTACKER, 0 },
	{ "victim.example(.attack.example", DNS_A, "192.0.2.66", 0 },
	{ "victim.example'@a.attack.example", DNS_TXT, SPF_OF_ATTACKER, 0 },
	{ "a.attack.example", DNS_TXT, SPF_OF_ATTACKER, 0 },
	{ "a.attack.example", DNS_A, "192.0.2.66", 0 },
	{ NULL, 0, NULL, 0 },
};

#define VICTIM "From: <admin@victim.example>\r\n"
#define ATTACKER "From: <any@attack.example>\r\n"
#define SIGNED_H(h)                                               \
	"DKIM-Signature: v=1; a=ed25519-sha256; d=victim.example" \
	"; s=good; h=" h ";\r\n\tbh=AAAA; b=AAAA\r\n"
#define SIGNED(d, s)                                           \
	"DKIM-Signature: v=1; a=ed25519-sha256; d=" d "; s=" s \
	"; h=from;\r\n\tbh=AAAA; b=AAAA\r\n"

enum end {
	REFUSED_SENDER, /* at MAIL FROM already; and no pass if it were not */
	FAULT,          /* bad-from */
	REJECTED,       /* by the policy of victim.example */
};

static const struct attack {
	const char *name;
	const char *path; /* of MAIL FROM; "" for <any@attack.example> */
	struct span header;
	enum end end;
} attacks[] = {
	/* --- inside of one server: SPF, DKIM, DNS and DMARC disagree --- */
	{ "A1: SPF passes for HELO, MAIL FROM is below the victim",
	  "<any@notexist.victim.example>", SPAN_LIT(VICTIM), REJECTED },
	{ "A2: MAIL FROM that is empty to some", "<(any@victim.example>",
	  SPAN_LIT(VICTIM), REFUSED_SENDER },
	{ "A2: MAIL FROM that is empty to all", "<>", SPAN_LIT(VICTIM),
	  REJECTED },
	{ "A3: NUL in s=", "",
	  SPAN_LIT(SIGNED("victim.example", "good.attack.example.\0.any")
			   VICTIM),
	  REJECTED },
	{ "A3: NUL in s=, right behind the selector", "",
	  SPAN_LIT(SIGNED("victim.example", "good\0.any") VICTIM), REJECTED },
	{ "A3: NUL in d=", "",
	  SPAN_LIT(SIGNED("victim.example\0.attack.example", "good") VICTIM),
	  REJECTED },
	{ "A3: NUL in d=, the other way round", "",
	  SPAN_LIT(SIGNED("attack.example\0.victim.example", "good") VICTIM),
	  REJECTED },
	{ "A4: d= with a parenthesis", "",
	  SPAN_LIT(SIGNED("victim.example(.attack.example", "good") VICTIM),
	  REJECTED },
	{ "A4: d= with a single quote", "",
	  SPAN_LIT(SIGNED("victim.example'a.attack.example", "good") VICTIM),
	  REJECTED },
	{ "A4: d= with a double quote", "",
	  SPAN_LIT(SIGNED("victim.example\"a.attack.example", "good") VICTIM),
	  REJECTED },
	{ "A4: d= with a quote and more", "",
	  SPAN_LIT(SIGNED("victim.example\"=(.attack.example", "good") VICTIM),
	  REJECTED },
	{ "A5: MAIL FROM with a parenthesis in its domain",
	  "<any@victim.example(.attack.example>", SPAN_LIT(VICTIM),
	  REFUSED_SENDER },
	{ "A5: MAIL FROM with a quote and two @",
	  "<any@victim.example'@a.attack.example>", SPAN_LIT(VICTIM),
	  REFUSED_SENDER },
	{ "A5: MAIL FROM with a quoted @",
	  "<\"any@victim.example'\"@a.attack.example>", SPAN_LIT(VICTIM),
	  REJECTED },
	{ "A5: MAIL FROM with a route",
	  "<@victim.example,@any.example:'any@attack.example>",
	  SPAN_LIT(VICTIM), REJECTED },

	/* --- between server and reader: which field --- */
	{ "A6: several From fields", "", SPAN_LIT(ATTACKER VICTIM), REJECTED },
	{ "A6: several, the other way round", "", SPAN_LIT(VICTIM ATTACKER),
	  REJECTED },
	{ "A7: white space before the first name", "",
	  SPAN_LIT(" " ATTACKER VICTIM), REJECTED },
	{ "A7: … and the victim's before", "", SPAN_LIT(" " VICTIM ATTACKER),
	  FAULT },
	{ "A7: white space behind the name", "",
	  SPAN_LIT(ATTACKER "From : <admin@victim.example>\r\n"), REJECTED },
	{ "A7: … of the attacker's", "",
	  SPAN_LIT("From : <any@attack.example>\r\n" VICTIM), REJECTED },
	{ "A7: a fold behind the name", "",
	  SPAN_LIT("From\r\n : <any@attack.example>\r\n" VICTIM), REJECTED },
	{ "A7: … of the victim's", "",
	  SPAN_LIT("From\r\n : <admin@victim.example>\r\n" ATTACKER), FAULT },
	{ "A8: Sender in the place of From", "",
	  SPAN_LIT("Sender: <admin@victim.example>\r\n"), FAULT },
	{ "A8: Sender behind a folded From", "",
	  SPAN_LIT("From\r\n : <any@attack.example>\r\n"
		   "Sender: <admin@victim.example>\r\n"),
	  FAULT },
	{ "A8: Resent-From behind a From that becomes a fold", "<>",
	  SPAN_LIT(" " ATTACKER "Resent-From: <admin@victim.example>\r\n"),
	  FAULT },

	/* --- between server and reader: which address --- */
	{ "A9: several addresses", "",
	  SPAN_LIT("From: <any@attack.example>, <admin@victim.example>\r\n"),
	  REJECTED },
	{ "A9: … the other way round", "",
	  SPAN_LIT("From: <admin@victim.example>, <any@attack.example>\r\n"),
	  REJECTED },
	{ "A10: an encoded address, and another", "",
	  SPAN_LIT("From: =?utf-8?B?PGFkbWluQHZpY3RpbS5leGFtcGxlPg==?=, "
		   "<any@attack.example>\r\n"),
	  FAULT },
	{ "A11: a route", "",
	  SPAN_LIT("From: <@attack.example,@any.example:"
		   "admin@victim.example>\r\n"),
	  REJECTED },
	{ "A11: … the other way round", "",
	  SPAN_LIT("From: <@victim.example,@any.example:"
		   "any@attack.example>\r\n"),
	  REJECTED },
	{ "A12: a quoted comma", "",
	  SPAN_LIT("From: <admin@victim.example>\\, <any@attack.example>\r\n"),
	  FAULT },
	{ "A12: … without brackets", "",
	  SPAN_LIT("From: admin@victim.example\\,any@attack.example\r\n"),
	  FAULT },
	{ "A13: which separator comes first", "",
	  SPAN_LIT("From: admin@victim.example, <any@attack.example>\r\n"),
	  REJECTED },
	{ "A13: text behind the brackets", "",
	  SPAN_LIT("From: <any@attack.example>admin@victim.example\r\n"),
	  FAULT },
	{ "A13: text before the brackets", "",
	  SPAN_LIT("From: admin@victim.example<any@attack.example>\r\n"),
	  REJECTED },
	{ "B1: a character that is not shown, behind the domain", "",
	  SPAN_LIT("From: <admin@victim.example\xe2\x80\x80>\r\n"), FAULT },
	{ "B1: a soft hyphen", "",
	  SPAN_LIT("From: <admin@victim\xc2\xad.example>\r\n"), REJECTED },
	{ "B1: a zero width space", "",
	  SPAN_LIT("From: <admin@victim.example\xe2\x80\x8b>\r\n"), REJECTED },
	{ "B2: nothing but an encoded address", "",
	  SPAN_LIT("From: =?utf-8?B?YWRtaW5AdmljdGltLmV4YW1wbGU=?=\r\n"),
	  FAULT },
	{ "B3: Sender and no From", "",
	  SPAN_LIT("Sender: <admin@victim.example>\r\nTo: x@y.example\r\n"),
	  FAULT },

	/* --- with a signature that victim.example has made --- */
	{ "A15: another Subject, before the signed one", "",
	  SPAN_LIT("Subject: urgent\r\n" SIGNED_H("From:Subject") VICTIM
		   "Subject: statement\r\n"),
	  REJECTED },
	{ "A15: … where there was one signed, and one more by name", "",
	  SPAN_LIT("Subject: urgent\r\n" SIGNED_H("From:Subject:subject") VICTIM
		   "Subject: a\r\nSubject: b\r\n"),
	  REJECTED },
	{ "A16: To, Subject and Content-Type of another body", "",
	  SPAN_LIT(SIGNED_H("From:Sender:To:Subject; l=200") VICTIM
		   "To: victim@backend.example\r\nTo: any@any.example\r\n"
		   "Subject: suspended!\r\nSubject: statement\r\n"
		   "Content-Type: multipart/mixed; boundary=BAD\r\n"
		   "Content-Type: text/plain\r\n"),
	  REJECTED },
	{ "A16: Content-Type alone, which is signed", "",
	  SPAN_LIT("Content-Type: multipart/mixed; boundary=BAD\r\n" SIGNED_H(
		  "From:Content-Type; l=200") VICTIM
		   "Content-Type: text/plain\r\n"),
	  REJECTED },
	{ "A17: an account at the victim's, From field by field", "",
	  SPAN_LIT(SIGNED("victim.example", "good") VICTIM
		   "From: <attacker@victim.example>\r\n"),
	  FAULT },
	{ "A17: … and by a quoted comma", "",
	  SPAN_LIT(
		  SIGNED("victim.example", "good") "From: admin@victim.example"
						   "\\,<x@victim.example>\r\n"),
	  FAULT },
	{ "A17: … by a domain beside the signer's", "",
	  SPAN_LIT(SIGNED("attack.example",
			  "good") "From: <any@attack.example>, "
				  "<admin@victim.example>\r\n"),
	  REJECTED },
	{ "A18: a From field put before the signed one", "",
	  SPAN_LIT("From: <admin@other.example>\r\n" SIGNED("victim.example",
							    "good") VICTIM),
	  FAULT },
	{ "A18: … behind it", "",
	  SPAN_LIT(SIGNED("victim.example", "good") VICTIM
		   "From: <admin@other.example>\r\n"),
	  FAULT },
	{ "A18: … with white space, as the first of all", "",
	  SPAN_LIT(" From: <admin@other.example>\r\n" SIGNED("victim.example",
							     "good") VICTIM),
	  FAULT },
};

static struct arena arena;
static struct answers answers;
static struct message message;
static struct verdict verdict;

static int
set_up(void **state)
{
	(void)state;
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

/* MAIL FROM as its text says to somebody who does not look closely: what is
 * between the brackets, cut at an '@' of his choice. */
static void
read_carelessly(struct span text, bool at_the_last, struct spf_facts *spf)
{
	struct span inner = span_make(text.p + 1, text.n - 2);
	size_t at = span_find(inner, '@');

	while (at_the_last &&
	       span_find(span_after(inner, at + 1), '@') < inner.n - at - 1)
		at += 1 + span_find(span_after(inner, at + 1), '@');
	spf->local = span_first(inner, at);
	spf->domain = span_after(inner, at + 1);
	spf->is_null = false;
}

/* The path as the gate reads it; false if it is refused. */
static bool
read_path(struct span text, struct spf_facts *spf)
{
	struct path path;
	struct span rest = text;

	if (!path_parse(&rest, &path) || rest.n > 0)
		return false;
	spf->local = path.local;
	spf->domain = path.domain;
	spf->is_null = path.is_null;
	return true;
}

/* From header to verdict; the client is the attacker's, and so is its name. */
static void
evaluate(struct span header, struct spf_facts *spf)
{
	static const struct eval_settings settings = { .psl = NULL };
	struct eval_facts facts = { .stage = EVAL_END,
				    .settings = &settings,
				    .message = &message };
	struct span body;

	facts.spf = *spf;
	facts.spf.helo = SPAN_LIT("attack.example");
	facts.spf.gate = SPAN_LIT("gate.example");
	assert_true(ip_parse(SPAN_LIT("192.0.2.66"), &facts.spf.client));
	arena_reset(&arena);
	answers_init(&answers, &arena, ANSWERS_MAX);
	message_reset(&message);
	message_feed(&message, header, &body);
	message_feed(&message, SPAN_LIT("\r\n"), &body);
	authors_read(&message, &arena, &facts.authors);
	facts.dkim = dkim_check_new(fake_dkim_engine(), &arena, 1800000000);
	assert_true(dkim_check_header(facts.dkim, &message));
	dkim_check_body(facts.dkim, SPAN_LIT("Hello\r\n"));
	while (!eval_run(&facts, &answers, &verdict))
		assert_true(dns_rows_settle_all(rows, &answers) > 0);
}

/* Nothing passes; and what comes of it is what the table says. */
static void
check(const struct attack *attack, struct spf_facts *spf, enum end end)
{
	bool is_refused;

	evaluate(attack->header, spf);
	is_refused = end == FAULT ? verdict.from_fault != FROM_FAULT_NONE
				  : verdict.disposition == DISPOSITION_REJECT;
	if (verdict.result == DMARC_PASS || !is_refused)
		fail_msg("%s: %s, %s, %s", attack->name,
			 dmarc_result_name(verdict.result),
			 disposition_name(verdict.disposition),
			 from_fault_text(verdict.from_fault));
}

static void
t1_no_attack_passes(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASES(attacks); i++) {
		const struct attack *attack = &attacks[i];
		struct span path = span_cstr(attack->path);
		struct spf_facts spf = { .is_null = false };
		bool is_read;

		if (path.n == 0)
			path = SPAN_LIT("<any@attack.example>");
		is_read = read_path(path, &spf);
		if (is_read != (attack->end != REFUSED_SENDER))
			fail_msg("%s: %s", attack->name, attack->path);
		if (is_read)
			check(attack, &spf, attack->end);
	}
	print_message("#: Composition Kills: %zu attacks, none passes\n",
		      CASES(attacks));
}

/* Were such a sender accepted, and cut at the first '@' or at the last, SPF
 * would speak for him as little as it does now. */
static void
t2_refused_senders_would_not_pass(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASES(attacks); i++) {
		struct spf_facts spf = { .is_null = false };

		if (attacks[i].end != REFUSED_SENDER)
			continue;
		for (int at_the_last = 0; at_the_last < 2; at_the_last++) {
			read_carelessly(span_cstr(attacks[i].path), at_the_last,
					&spf);
			check(&attacks[i], &spf, REJECTED);
		}
	}
}

/* The attacker is who he is: his own mail passes, and so does the victim's
 * signature. Or else the table above would say nothing. */
static void
t3_the_same_without_attack(void **state)
{
	struct spf_facts spf = { .local = SPAN_LIT("any"),
				 .domain = SPAN_LIT("attack.example") };

	(void)state;
	evaluate(SPAN_LIT(ATTACKER), &spf);
	assert_int_equal(verdict.spf.result, SPF_PASS);
	assert_int_equal(verdict.result, DMARC_PASS);
	evaluate(SPAN_LIT(SIGNED("attack.example", "good") ATTACKER), &spf);
	assert_int_equal(verdict.dkim[0].result, DKIM_PASS);
	evaluate(SPAN_LIT(SIGNED("victim.example", "good") VICTIM), &spf);
	assert_int_equal(verdict.result, DMARC_PASS);
	evaluate(SPAN_LIT(SIGNED("victim.example", "bad") VICTIM), &spf);
	assert_int_equal(verdict.disposition, DISPOSITION_REJECT);
}

/* What remains is what the signer has signed so, and answers for: DMARC knows
 * domains, and DKIM what is in h=. */
static void
t4_what_the_signer_answers_for(void **state)
{
	static const struct {
		const char *name;
		struct span header;
	} cases[] = {
		{ "A14: a Subject that he does not sign",
		  SPAN_LIT("Subject: urgent\r\n" SIGNED_H("From") VICTIM) },
		{ "A15: several of a field, all of them signed",
		  SPAN_LIT("Subject: a\r\nSubject: b\r\n" SIGNED_H(
			  "From:Subject:Subject") VICTIM) },
		{ "A15: one, where he has signed that there is no other",
		  SPAN_LIT("Subject: a\r\n" SIGNED_H(
			  "From:From:Subject:Subject") VICTIM) },
		{ "A17: two mailboxes of his own domain",
		  SPAN_LIT(SIGNED_H("From") "From: <attacker@victim.example>, "
					    "<admin@victim.example>\r\n") },
	};
	struct spf_facts spf = { .local = SPAN_LIT("any"),
				 .domain = SPAN_LIT("attack.example") };

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		evaluate(cases[i].header, &spf);
		if (verdict.result != DMARC_PASS)
			fail_msg("%s: %s", cases[i].name,
				 dmarc_result_name(verdict.result));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_no_attack_passes),
		cmocka_unit_test(t2_refused_senders_would_not_pass),
		cmocka_unit_test(t3_the_same_without_attack),
		cmocka_unit_test(t4_what_the_signer_answers_for),
	};

	return cmocka_run_group_tests_name("composition", tests, set_up,
					   tear_down);
}
