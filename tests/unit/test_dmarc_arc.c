/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ARC: chains sealed by another program, validated at several chunkings and
 * whatever the order of the answers; what must never pass; what hostile mail
 * may cost; and when a chain overrides a policy.
 *
 * The messages are made by arc_fixtures.py.
 */
#include "dmarc/arc.h"
#include "dmarc/eval.h"
#include "tests/unit/dns_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

#define NOW_S 1800000000u
#define MESSAGE_MAX 2000000
#define ROWS_MAX 140

static char directory[500];
static char zone_text[20000];
static struct dns_row zone[ROWS_MAX + 1];
static uint8_t octets[MESSAGE_MAX];

static struct crypto *crypto;
static struct arena arena;
static struct answers answers;
static struct message message;
static struct canon_body *canon;

/* --- what is given --- */

static struct span
read_file(const char *name, const char *suffix, void *text, size_t size)
{
	char path[600];
	size_t n;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s%s", directory, name, suffix);
	file = fopen(path, "r");
	if (file == NULL)
		fail_msg("no %s", path);
	n = fread(text, 1, size, file);
	assert_true(n < size);
	fclose(file);
	return span_make(text, n);
}

/* What is in DNS beside the keys. Sealers have an organizational domain, so
 * that nobody is aligned with nobody. */
static const struct dns_row policies[] = {
	{ "victim.example", DNS_A, "203.0.113.1", 0 },
	{ "_dmarc.victim.example", DNS_TXT, "v=DMARC1; p=reject", 0 },
	{ "careful.example", DNS_A, "203.0.113.2", 0 },
	{ "_dmarc.careful.example", DNS_TXT, "v=DMARC1; p=quarantine", 0 },
	{ "strict.example", DNS_A, "203.0.113.3", 0 },
	{ "_dmarc.strict.example", DNS_TXT, "v=DMARC1; p=reject; adkim=s", 0 },
	{ "s._domainkey.dead.example", DNS_TXT, NULL, 0 },
};

static void
read_zone(void)
{
	struct span text = read_file("zone", "", zone_text, sizeof(zone_text));
	char *line = zone_text, *end;
	size_t rows = CASES(policies);

	zone_text[text.n] = '\0';
	memcpy(zone, policies, sizeof(policies));
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		char *tab = strchr(line, '\t');

		*tab = *end = '\0';
		assert_true(rows < ROWS_MAX);
		zone[rows++] = (struct dns_row){ line, DNS_TXT, tab + 1, 0 };
	}
}

static int
set_up(void **state)
{
	const char *build = getenv("DMARCGATE_BUILD");
	char command[1200];

	(void)state;
	snprintf(directory, sizeof(directory), "%s/fixtures/arc",
		 build != NULL ? build : "build");
	snprintf(command, sizeof(command),
		 "/usr/bin/python3 tests/unit/arc_fixtures.py '%s'", directory);
	if (system(command) != 0)
		return -1;
	read_zone();
	arena_init(&arena, (size_t)16 << 20);
	message_init(&message, MESSAGE_MAX);
	crypto = crypto_new();
	return crypto == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void)state;
	canon_body_free(canon);
	crypto_free(crypto);
	message_fini(&message);
	arena_fini(&arena);
	return 0;
}

/* --- one run --- */

/* A message fed in chunks of n octets, up to its end. */
static struct arc_check *
feed(struct span text, size_t n)
{
	struct arc_check *check;

	canon_body_free(canon);
	arena_reset(&arena);
	answers_init(&answers, &arena, ANSWERS_MAX);
	message_reset(&message);
	canon = canon_body_new(crypto, &arena);
	check = arc_check_new(crypto, &arena, NOW_S);
	assert_non_null(canon);
	assert_non_null(check);
	while (text.n > 0) {
		size_t take = n < text.n ? n : text.n;
		bool was_header = message.state == MESSAGE_HEADER;
		struct span body;

		message_feed(&message, span_first(text, take), &body);
		text = span_after(text, take);
		if (was_header && message.state == MESSAGE_BODY)
			arc_check_header(check, &message, canon);
		canon_body_feed(canon, body);
	}
	assert_int_equal(message.state, MESSAGE_BODY);
	canon_body_end(canon);
	return check;
}

static const struct arc_chain *
judge_text(struct span text, size_t n)
{
	struct arc_check *check = feed(text, n);

	while (!arc_check_ask(check, &answers))
		assert_true(dns_rows_settle_all(zone, &answers) > 0);
	return arc_check_finish(check, &answers);
}

static const struct arc_chain *
judge(const char *name, size_t n)
{
	return judge_text(read_file(name, ".eml", octets, sizeof(octets)), n);
}

/* --- chains --- */

#define UNKNOWN SIZE_MAX

static const struct {
	const char *name;
	enum arc_result result;
	size_t sets, instance, oldest; /* UNKNOWN: nobody knows */
	bool covers;
	const char *reason;
} chains[] = {
	{ "none", ARC_NONE, 0, 0, 0, false, "" },
	{ "pass1", ARC_PASS, 1, 0, 0, true, "" },
	{ "pass3", ARC_PASS, 3, 0, 0, true, "" },
	{ "rsa", ARC_PASS, 2, 0, 0, true, "" },
	{ "simple", ARC_PASS, 1, 0, 0, true, "" },
	{ "upper", ARC_PASS, 1, 0, 0, true, "" },
	{ "own-in-h", ARC_PASS, 2, 0, 2, true, "" },
	{ "old-broken", ARC_PASS, 3, 0, 2, true, "" },
	{ "eleven", ARC_PASS, 11, 0, 0, true, "" },
	{ "eleven-broken", ARC_PASS, 11, 0, 2, true, "" },
	{ "fifty", ARC_PASS, 50, 0, 0, true, "" },
	/* more keys than may be asked for */
	{ "sixty-keys", ARC_PASS, 50, 0, UNKNOWN, true, "" },
	/* good chains that say too little to be trusted with a message */
	{ "length", ARC_PASS, 1, 0, 0, false, "" },
	{ "no-from", ARC_PASS, 1, 0, 0, false, "" },
	{ "surplus", ARC_PASS, 1, 0, 0, false, "" },
	/* what was changed behind a sealer */
	{ "body", ARC_FAIL, 2, 2, 0, false, "the body has been changed" },
	{ "header", ARC_FAIL, 2, 2, 0, false,
	  "the signature does not fit header and key" },
	{ "oversigned", ARC_FAIL, 1, 1, 0, false,
	  "the signature does not fit header and key" },
	{ "aar1", ARC_FAIL, 2, 2, 0, false,
	  "the signature does not fit header and key" },
	{ "ams1", ARC_FAIL, 2, 2, 0, false,
	  "the signature does not fit header and key" },
	{ "seal1", ARC_FAIL, 2, 2, 0, false,
	  "the signature does not fit header and key" },
	{ "aar2", ARC_FAIL, 2, 2, 0, false,
	  "the signature does not fit header and key" },
	{ "false-seal1", ARC_FAIL, 2, 1, 0, false,
	  "the signature does not fit header and key" },
	{ "without-aar", ARC_FAIL, 2, 1, 0, false,
	  "a field of the set is missing" },
	{ "without-ams", ARC_FAIL, 2, 2, 0, false,
	  "a field of the set is missing" },
	{ "without-seal", ARC_FAIL, 2, 1, 0, false,
	  "a field of the set is missing" },
	{ "gap", ARC_FAIL, 2, 1, 0, false, "a field of the set is missing" },
	{ "repeated", ARC_FAIL, 2, 2, 0, false,
	  "a field of the set is repeated" },
	{ "no-instance", ARC_FAIL, 2, 0, 0, false,
	  "a field without instance, or malformed" },
	{ "instance-0", ARC_FAIL, 0, 0, 0, false,
	  "a field without instance, or malformed" },
	{ "instance-51", ARC_FAIL, 2, 51, 0, false, "more than 50 sets" },
	{ "instance-100", ARC_FAIL, 2, 0, 0, false,
	  "a field without instance, or malformed" },
	{ "no-aar-semicolon", ARC_FAIL, 2, 0, 0, false,
	  "a field without instance, or malformed" },
	/* seals that say what they must not */
	{ "cv-fail", ARC_FAIL, 2, 2, 0, false,
	  "the last sealer found a failed chain" },
	{ "cv-pass-first", ARC_FAIL, 1, 1, 0, false,
	  "the first seal lacks cv=none" },
	{ "cv-none-second", ARC_FAIL, 2, 2, 0, false,
	  "the seal lacks cv=pass" },
	{ "cv-absent", ARC_FAIL, 1, 1, 0, false,
	  "the first seal lacks cv=none" },
	{ "seal-h", ARC_FAIL, 1, 1, 0, false, "a seal with h=" },
	{ "seal-in-h", ARC_FAIL, 2, 2, 0, false, "h= names ARC-Seal" },
	{ "expired", ARC_FAIL, 1, 1, 0, false, "expired" },
	{ "sha1", ARC_FAIL, 1, 1, 0, false, "rsa-sha1" },
	{ "long-h", ARC_FAIL, 1, 1, 0, false, "too many names in h=" },
	{ "l-beyond", ARC_FAIL, 1, 1, 0, false,
	  "l= is more than the body has" },
	/* keys */
	{ "key-revoked", ARC_FAIL, 2, 2, 0, false, "the key is revoked" },
	{ "key-absent", ARC_FAIL, 2, 2, 0, false, "no key" },
	{ "key-dead", ARC_FAIL, 2, 2, 0, false,
	  "temperror: the key could not be looked up" },
};

/* 0 of a chain that does not pass, as of one that all of does. */
static size_t
oldest_of(const struct arc_chain *chain)
{
	if (chain->result == ARC_PASS && !chain->has_oldest_pass)
		return UNKNOWN;
	return chain->oldest_pass;
}

static void
t1_chains_at_every_chunking(void **state)
{
	static const size_t sizes[] = { MESSAGE_MAX, 1, 7 };

	(void)state;
	for (size_t i = 0; i < CASES(chains); i++)
		for (size_t k = 0; k < CASES(sizes); k++) {
			const struct arc_chain *chain =
				judge(chains[i].name, sizes[k]);

			if (chain->result != chains[i].result ||
			    strcmp(chain->reason, chains[i].reason) != 0 ||
			    chain->sets != chains[i].sets ||
			    chain->instance != chains[i].instance ||
			    oldest_of(chain) != chains[i].oldest ||
			    chain->covers_message != chains[i].covers)
				fail_msg("%s: %s (%s), %zu sets, at %zu, "
					 "oldest %zu, %d",
					 chains[i].name,
					 arc_result_name(chain->result),
					 chain->reason, chain->sets,
					 chain->instance, oldest_of(chain),
					 chain->covers_message);
		}
}

/* --- questions --- */

static void
t2_all_keys_are_asked_for_at_once(void **state)
{
	struct arc_check *check;

	(void)state;
	check = feed(read_file("pass3", ".eml", octets, sizeof(octets)),
		     MESSAGE_MAX);
	assert_false(arc_check_ask(check, &answers));
	assert_int_equal(answers.count, 3);
	assert_int_equal(dns_rows_settle_all(zone, &answers), 3);
	assert_true(arc_check_ask(check, &answers));
	assert_int_equal(answers.count, 3);
}

/* SPF and DMARC must have left what they need (dmarc/answers.h). */
static void
t2_no_chain_asks_more_than_sixty(void **state)
{
	(void)state;
	judge("sixty-keys", MESSAGE_MAX);
	assert_int_equal(answers.count, 60);
}

static void
t2_a_broken_structure_asks_nothing(void **state)
{
	static const char *const names[] = { "gap", "repeated", "cv-fail",
					     "seal-h", "none" };

	(void)state;
	for (size_t i = 0; i < CASES(names); i++) {
		judge(names[i], MESSAGE_MAX);
		assert_int_equal(answers.count, 0);
	}
}

static void
t2_the_order_of_answers_does_not_matter(void **state)
{
	(void)state;
	for (unsigned last_first = 0; last_first < 2; last_first++) {
		struct arc_check *check = feed(
			read_file("pass3", ".eml", octets, sizeof(octets)), 64);
		const struct arc_chain *chain;

		while (!arc_check_ask(check, &answers)) {
			size_t i = last_first ? answers.count - 1 : 0;

			while (answers.list[i]->status != ANSWER_OPEN)
				i += last_first ? (size_t)-1 : 1;
			dns_rows_settle(zone, &answers, i);
		}
		chain = arc_check_finish(check, &answers);
		assert_int_equal(chain->result, ARC_PASS);
		assert_ptr_equal(arc_check_finish(check, &answers), chain);
		assert_int_equal(chain->oldest_pass, 0);
	}
}

/* --- what it may cost --- */

static double
seconds_for(struct span text, enum arc_result result)
{
	clock_t start = clock();

	assert_int_equal(judge_text(text, text.n)->result, result);
	return (double)(clock() - start) / CLOCKS_PER_SEC;
}

/* The message with a field of that many octets on top. */
static struct span
with_field(const char *name, size_t n)
{
	static uint8_t text[MESSAGE_MAX + 1000];
	struct span read = read_file(name, ".eml", octets, sizeof(octets));

	assert_true(n > 4 && read.n + n < sizeof(text));
	memset(text, 'x', n);
	memcpy(text, "X: ", 3);
	memcpy(text + n - 2, "\r\n", 2);
	memcpy(text + n, read.p, read.n);
	return span_make(text, n + read.n);
}

static void
t3_a_large_header_is_not_hashed_fifty_times(void **state)
{
	const struct arc_chain *chain;
	clock_t start = clock();

	(void)state;
	chain = judge_text(with_field("fifty", 200000), MESSAGE_MAX);
	printf("# 50 sets below 200000 octets: %.1f ms of CPU\n",
	       (double)(clock() - start) * 1000 / CLOCKS_PER_SEC);
	assert_int_equal(chain->result, ARC_PASS);
	assert_false(chain->has_oldest_pass);
	chain = judge_text(with_field("fifty", 300000), MESSAGE_MAX);
	assert_int_equal(chain->result, ARC_FAIL);
	assert_string_equal(chain->reason, "a header over 256 KiB");
	assert_int_equal(answers.count, 0);
}

/* Large sets cost the square of their number to hash; the header's cap holds
 * for all of them. */
static void
t3_fifty_sets_cost_little(void **state)
{
	static const char *const names[] = { "fifty", "heavy" };

	(void)state;
	for (size_t i = 0; i < CASES(names); i++) {
		struct span text =
			read_file(names[i], ".eml", octets, sizeof(octets));
		double seconds = seconds_for(text, ARC_PASS);

		printf("# 50 sets in %zu octets: %.1f ms of CPU\n", text.n,
		       seconds * 1000);
		assert_true(seconds < 1.0);
	}
}

static void
t3_a_thousand_fields_of_one_set_are_one_fault(void **state)
{
	static uint8_t text[MESSAGE_MAX];
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		memcpy(text + n, "ARC-Seal: i=1; cv=none\r\n", 24);
		n += 24;
	}
	memcpy(text + n, "\r\n", 2);
	assert_true(seconds_for(span_make(text, n + 2), ARC_FAIL) < 1.0);
}

/* --- the comment --- */

static const char *
comment_of(const struct arc_chain *chain)
{
	static char text[500];
	struct buf buf;

	buf_init(&buf, sizeof(text) - 1);
	assert_true(arc_comment(chain, &buf));
	memcpy(text, buf_span(&buf).p, buf.n);
	text[buf.n] = '\0';
	buf_fini(&buf);
	return text;
}

static void
t4_the_comment_is_that_of_rfc_8617(void **state)
{
	(void)state;
	assert_string_equal(comment_of(judge("old-broken", MESSAGE_MAX)),
			    "arc=pass as[3].d=three.example as[3].s=s "
			    "as[2].d=two.example as[2].s=s "
			    "as[1].d=one.example as[1].s=s");
	assert_string_equal(comment_of(judge("vouch-remote", MESSAGE_MAX)),
			    "arc=pass as[1].d=one.example as[1].s=s "
			    "remote-ip[1]=2001:db8::1a");
	assert_string_equal(comment_of(judge("none", MESSAGE_MAX)), "arc=none");
}

/* --- overrides --- */

static const struct {
	const char *name, *sealers; /* between spaces */
	bool is_overridden;
} overrides[] = {
	{ "vouch1", "one.example", true },
	{ "vouch1", "", false },
	{ "vouch1", "two.example", false },
	{ "vouch1", "example", false },
	/* the newest sealer saw a fail, and the one before it a pass */
	{ "vouch2", "one.example two.example", true },
	{ "vouch2", "one.example", false },
	{ "vouch2", "two.example", false },
	{ "vouch-none", "one.example", false },
	/* the author is another one now */
	{ "vouch-new-from", "one.example", false },
	{ "vouch-other", "one.example", false },
	/* what is not a result, or not the only one */
	{ "vouch-twice", "one.example", false },
	{ "vouch-quoted", "one.example", false },
	{ "vouch-comment", "one.example", false },
	{ "vouch-garbled", "one.example", false },
	/* without dmarc=: alignment is ours to find */
	{ "vouch-dkim", "one.example", true },
	{ "vouch-dkim-other", "one.example", false },
	{ "vouch-spf", "one.example", true },
	{ "vouch-strict", "one.example", false },
	/* the sealer did not sign what we see */
	{ "vouch-length", "one.example", false },
	{ "vouch-no-from", "one.example", false },
	{ "vouch-surplus", "one.example", false },
	/* the chain does not pass now */
	{ "header", "one.example two.example", false },
	{ "seal1", "one.example two.example", false },
	{ "key-dead", "one.example dead.example", false },
	{ "cv-fail", "one.example two.example", false },
};

static size_t
split_sealers(const char *text, struct span sealer[4])
{
	struct span rest = span_cstr(text), word;
	size_t count = 0;

	while ((word = span_word(&rest)).n > 0)
		sealer[count++] = word;
	return count;
}

/* From a stranger's address, with a path of his own. */
static void
evaluate(const char *name, const struct eval_settings *settings,
	 struct verdict *verdict)
{
	struct arc_check *arc = feed(
		read_file(name, ".eml", octets, sizeof(octets)), MESSAGE_MAX);
	struct dkim_engine *engine = dkim_engine_new(DKIM_ENGINE_NATIVE);
	struct eval_facts facts = {
		.stage = EVAL_END,
		.settings = settings,
		.spf = { .helo = SPAN_LIT("mx.lists.example"),
			 .local = SPAN_LIT("bounce"),
			 .domain = SPAN_LIT("lists.example"),
			 .gate = SPAN_LIT("gate.example") },
		.message = &message,
		.dkim = dkim_check_new(engine, &arena, NOW_S),
		.arc = arc,
	};

	authors_read(&message, &arena, &facts.authors);
	assert_true(ip_parse(SPAN_LIT("198.51.100.9"), &facts.spf.client));
	assert_true(dkim_check_header(facts.dkim, &message));
	while (!eval_run(&facts, &answers, verdict))
		assert_true(dns_rows_settle_all(zone, &answers) > 0);
	dkim_check_free(facts.dkim);
	dkim_engine_free(engine);
}

static void
t5_a_trusted_chain_overrides_and_no_other(void **state)
{
	struct verdict verdict;
	struct span sealer[4];

	(void)state;
	for (size_t i = 0; i < CASES(overrides); i++) {
		struct eval_settings settings = {
			.arc_sealers = sealer,
			.arc_sealer_count =
				split_sealers(overrides[i].sealers, sealer),
		};
		bool is_overridden;

		evaluate(overrides[i].name, &settings, &verdict);
		is_overridden = verdict.override != NULL;
		if (verdict.result != DMARC_FAIL ||
		    verdict.policy_disposition == DISPOSITION_NONE ||
		    is_overridden != overrides[i].is_overridden ||
		    is_overridden != (verdict.disposition == DISPOSITION_NONE))
			fail_msg("%s, trusting %s: %s, %s, %s",
				 overrides[i].name, overrides[i].sealers,
				 dmarc_result_name(verdict.result),
				 disposition_name(verdict.disposition),
				 verdict.rule);
		assert_int_equal(verdict.override_comment.n > 0, is_overridden);
	}
}

static void
t5_it_is_recorded_as_local_policy(void **state)
{
	const struct span sealer = SPAN_LIT("one.example");
	const struct eval_settings settings = { .arc_sealers = &sealer,
						.arc_sealer_count = 1 };
	struct verdict verdict;

	(void)state;
	evaluate("vouch1", &settings, &verdict);
	assert_non_null(verdict.override);
	assert_true(
		span_equal(verdict.override->name, SPAN_LIT("arc-sealers")));
	assert_string_equal(verdict.override->reason, "local_policy");
	assert_int_equal(verdict.policy_disposition, DISPOSITION_REJECT);
	assert_true(
		span_equal(verdict.override_comment,
			   SPAN_LIT("arc=pass as[1].d=one.example as[1].s=s")));
	assert_string_equal(verdict.rule, "RFC 8617 7.2: a trusted ARC sealer");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_chains_at_every_chunking),
		cmocka_unit_test(t2_all_keys_are_asked_for_at_once),
		cmocka_unit_test(t2_no_chain_asks_more_than_sixty),
		cmocka_unit_test(t2_a_broken_structure_asks_nothing),
		cmocka_unit_test(t2_the_order_of_answers_does_not_matter),
		cmocka_unit_test(t3_a_large_header_is_not_hashed_fifty_times),
		cmocka_unit_test(t3_fifty_sets_cost_little),
		cmocka_unit_test(t3_a_thousand_fields_of_one_set_are_one_fault),
		cmocka_unit_test(t4_the_comment_is_that_of_rfc_8617),
		cmocka_unit_test(t5_a_trusted_chain_overrides_and_no_other),
		cmocka_unit_test(t5_it_is_recorded_as_local_policy),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
