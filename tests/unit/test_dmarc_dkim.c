/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DKIM: signatures made by another implementation, judged at several
 * chunkings; what must never pass; and what hostile mail may cost.
 *
 * The messages are made by dkim_fixtures.py: by this program, unless
 * DMARCGATE_FIXTURES names a directory that has them.
 */
#include "dmarc/dkim.h"
#include "dmarc/dkim_key.h"
#include "tests/unit/dns_rows.h"
#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

#define NOW_S 1800000000u /* as in dkim_fixtures.py */
#define MESSAGE_MAX 4000000
#define HEADER_MAX 2000000
#define ZONE_MAX 100

static enum dkim_engine_kind kind;
static struct dkim_engine *engine;
static char directory[500];
static struct dns_row zone[ZONE_MAX + 16];
static char zone_text[100000];
static uint8_t octets[MESSAGE_MAX];

static struct arena arena;
static struct answers answers;
static const struct dkim_signature *list;
static size_t listed;

/* What libopendkim is not given, or cannot do, the native engine judges. */
static bool
is_native(void)
{
	return kind == DKIM_ENGINE_NATIVE;
}

/* --- what is given --- */

static size_t
read_file(const char *name, void *text, size_t size)
{
	char path[600];
	size_t n;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "r");
	if (file == NULL)
		fail_msg("no %s", path);
	n = fread(text, 1, size, file);
	assert_true(n < size);
	fclose(file);
	return n;
}

/* What no key record stands for. */
static const struct dns_row strange[] = {
	{ "dead._domainkey.signer.example", DNS_TXT, NULL, 0 },
	{ "several._domainkey.signer.example", DNS_TXT, "p=AAAA", 0 },
	{ "several._domainkey.signer.example", DNS_TXT, "p=BBBB", 0 },
	{ "no-keys._domainkey.signer.example", DNS_TXT, "v=spf1 -all", 0 },
	{ "no-keys._domainkey.signer.example", DNS_TXT, "k=x; p=AAAA", 0 },
	{ "beside._domainkey.signer.example", DNS_TXT, "v=spf1 -all", 0 },
	{ "beside._domainkey.signer.example", DNS_TXT, "k=ed25519; p=A", 0 },
	/* one more than dkim_fixtures.py has: whichever came first */
	{ "twin._domainkey.signer.example", DNS_TXT, "p=AAAA", 0 },
	{ "withdrawn._domainkey.signer.example", DNS_TXT, "p=", 0 },
};

static void
read_zone(void)
{
	size_t n = read_file("zone", zone_text, sizeof(zone_text)), rows = 0;
	char *line = zone_text, *end;

	zone_text[n] = '\0';
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		char *tab = strchr(line, '\t');

		*tab = *end = '\0';
		assert_true(rows < ZONE_MAX);
		zone[rows++] = (struct dns_row){ line, DNS_TXT, tab + 1, 0 };
	}
	memcpy(zone + rows, strange, sizeof(strange));
	zone[rows + CASES(strange)].name = NULL;
}

static int
set_up(void **state)
{
	const char *fixtures = getenv("DMARCGATE_FIXTURES");
	const char *build = getenv("DMARCGATE_BUILD");
	char command[1200];

	(void)state;
	if (fixtures != NULL) {
		snprintf(directory, sizeof(directory), "%s", fixtures);
	} else {
		snprintf(directory, sizeof(directory), "%s/fixtures/dkim",
			 build != NULL ? build : "build");
		snprintf(command, sizeof(command),
			 "/usr/bin/python3 tests/unit/dkim_fixtures.py '%s'",
			 directory);
		if (system(command) != 0)
			return -1;
	}
	read_zone();
	arena_init(&arena, (size_t)8 << 20);
	engine = dkim_engine_new(kind);
	return engine == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void)state;
	dkim_engine_free(engine);
	arena_fini(&arena);
	return 0;
}

/* --- one run --- */

static void
give(struct dkim_check *check, struct message *message, struct span chunk)
{
	bool was_header = message->state == MESSAGE_HEADER;
	struct span body;

	message_feed(message, chunk, &body);
	if (was_header && message->state == MESSAGE_BODY)
		dkim_check_header(check, message);
	dkim_check_body(check, body);
}

/* Judge a message in chunks of n octets; *list and listed are its result. */
static void
judge(struct span text, size_t n)
{
	struct message message;
	struct dkim_check *check;

	arena_reset(&arena);
	answers_init(&answers, &arena, ANSWERS_MAX);
	message_init(&message, HEADER_MAX);
	check = dkim_check_new(engine, &arena, NOW_S);
	assert_non_null(check);
	while (text.n > 0) {
		size_t take = n < text.n ? n : text.n;

		give(check, &message, span_first(text, take));
		text = span_after(text, take);
	}
	assert_int_equal(message.state, MESSAGE_BODY);
	while (!dkim_check_ask(check, &answers))
		assert_true(dns_rows_settle_all(zone, &answers) > 0);
	listed = dkim_check_finish(check, &answers, &list);
	assert_int_equal(dkim_check_finish(check, &answers, &list), listed);
	assert_true(dkim_check_count(check) >= listed);
	dkim_check_free(check);
	message_fini(&message);
}

static void
judge_file(const char *name, size_t n)
{
	char file[100];

	snprintf(file, sizeof(file), "%s.eml", name);
	judge(span_make(octets, read_file(file, octets, sizeof(octets))), n);
}

static void
assert_signature(const char *name, size_t chunk, size_t i,
		 enum dkim_result result, unsigned bits)
{
	if (i >= listed)
		fail_msg("%s: %zu signatures", name, listed);
	if (list[i].result != result)
		fail_msg("%s in chunks of %zu: signature %zu: %s (%s), not %s",
			 name, chunk, i, dkim_result_name(list[i].result),
			 list[i].reason, dkim_result_name(result));
	if (list[i].bits != bits)
		fail_msg("%s: %u bits, not %u", name, list[i].bits, bits);
	assert_int_equal(list[i].reason[0] == '\0', result == DKIM_PASS);
}

static const size_t chunkings[] = { 1, 2, 3, 7, 61, 4096, MESSAGE_MAX };

struct fixture {
	const char *name;
	enum dkim_result result;
	unsigned bits;
};

static void
judge_fixtures(const struct fixture *fixture, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < CASES(chunkings); k++) {
			judge_file(fixture[i].name, chunkings[k]);
			assert_signature(fixture[i].name, chunkings[k], 0,
					 fixture[i].result, fixture[i].bits);
		}
	}
}

/* --- verification --- */

static void
t1_good_signatures(void **state)
{
	static const struct fixture fixtures[] = {
		{ "rsa2048", DKIM_PASS, 2048 },
		{ "simple", DKIM_PASS, 2048 },
		{ "ed25519", DKIM_PASS, 256 },
		{ "rsa1024", DKIM_PASS, 1024 },
		{ "header-only-c", DKIM_PASS, 2048 },
		{ "no-c", DKIM_PASS, 2048 },
		{ "spaced", DKIM_PASS, 2048 },
		{ "oversigned", DKIM_PASS, 2048 },
		{ "oversigned-from", DKIM_PASS, 2048 },
		{ "bottom-up-simple", DKIM_PASS, 2048 },
		{ "bottom-up-relaxed", DKIM_PASS, 2048 },
		{ "identity", DKIM_PASS, 2048 },
		{ "dated", DKIM_PASS, 2048 },
		{ "q", DKIM_PASS, 2048 },
		{ "b-spaced", DKIM_PASS, 2048 },
		{ "empty-simple", DKIM_PASS, 2048 },
		{ "empty-relaxed", DKIM_PASS, 2048 },
		{ "blank-simple", DKIM_PASS, 2048 },
		{ "blank-relaxed", DKIM_PASS, 2048 },
		{ "no-line-end-simple", DKIM_PASS, 2048 },
		{ "no-line-end-relaxed", DKIM_PASS, 2048 },
		{ "long-simple", DKIM_PASS, 2048 },
		{ "long-relaxed", DKIM_PASS, 2048 },
		{ "missing-from", DKIM_PASS, 2048 },
	};

	(void)state;
	judge_fixtures(fixtures, CASES(fixtures));
	/* libopendkim is lost where there is white space before a colon */
	judge_file("obs-simple", 61);
	assert_signature("obs-simple", 61, 0,
			 is_native() ? DKIM_PASS : DKIM_FAIL, 2048);
	judge_file("obs-relaxed", 61);
	assert_signature("obs-relaxed", 61, 0,
			 is_native() ? DKIM_PASS : DKIM_FAIL, 2048);
}

static void
t2_what_was_changed_fails(void **state)
{
	static const struct fixture fixtures[] = {
		{ "broken-body", DKIM_FAIL, 2048 },
		{ "broken-header", DKIM_FAIL, 2048 },
		{ "second-from", DKIM_FAIL, 2048 },
		{ "bottom-up-turned", DKIM_FAIL, 2048 },
		{ "l-too-long", DKIM_PERMERROR, 2048 },
	};

	(void)state;
	judge_fixtures(fixtures, CASES(fixtures));
}

/* Every cut of a message in two gives the same; its body is in the half
 * behind, so that chunks of one size are a cut. */
static void
t3_every_split(void **state)
{
	static const struct fixture fixture[] = {
		{ "rsa2048", DKIM_PASS, 2048 },
		{ "simple", DKIM_PASS, 2048 },
		{ "no-line-end-relaxed", DKIM_PASS, 2048 },
		{ "blank-relaxed", DKIM_PASS, 2048 },
		{ "l-more", DKIM_PASS, 2048 },
		{ "broken-body", DKIM_FAIL, 2048 },
	};

	(void)state;
	for (size_t i = 0; i < CASES(fixture); i++)
		for (size_t n = 1; n < 800; n++) {
			judge_file(fixture[i].name, n);
			assert_signature(fixture[i].name, n, 0,
					 fixture[i].result, fixture[i].bits);
		}
}

static void
t4_every_signature_is_judged(void **state)
{
	(void)state;
	judge_file("two", 61);
	assert_int_equal(listed, 2);
	assert_signature("two", 61, 0, DKIM_PASS, 256);
	assert_signature("two", 61, 1, DKIM_PASS, 2048);
	judge_file("one-of-two", 61);
	assert_int_equal(listed, 2);
	assert_signature("one-of-two", 61, 0, DKIM_FAIL, 2048);
	assert_signature("one-of-two", 61, 1, DKIM_PASS, 2048);
}

static void
t5_l_leaves_octets_unsigned(void **state)
{
	(void)state;
	judge_file("l", 61);
	assert_signature("l", 61, 0, DKIM_PASS, 2048);
	assert_true(list[0].has_length);
	judge_file("l-more", 61);
	assert_signature("l-more", 61, 0, DKIM_PASS, 2048);
	assert_int_equal(list[0].unsigned_octets,
			 sizeof("\r\nappended\r\n") - 1);
	judge_file("rsa2048", 61);
	assert_false(list[0].has_length);
	assert_int_equal(list[0].unsigned_octets, 0);
}

static void
t6_what_is_told_of_a_signature(void **state)
{
	(void)state;
	judge_file("identity", 61);
	assert_true(span_equal(list[0].domain, SPAN_LIT("signer.example")));
	assert_true(span_equal(list[0].selector, SPAN_LIT("rsa2048")));
	assert_true(span_equal(list[0].algorithm, SPAN_LIT("rsa-sha256")));
	assert_true(span_equal(list[0].identity,
			       SPAN_LIT("=41lice@mail.signer.example")));
	assert_int_equal(list[0].b_start.n, 8);
	judge_file("b-spaced", 61);
	assert_int_equal(list[0].b_start.n, 8);
	assert_int_equal(span_find(list[0].b_start, ' '), 8);
}

/* --- what never passes --- */

static void
t7_weak_algorithms_and_keys(void **state)
{
	static const struct fixture fixtures[] = {
		{ "rsa1020", DKIM_POLICY, 1020 }, /* 128 octets, like 1024 */
		{ "rsa512", DKIM_POLICY, 512 },
		{ "exponent", DKIM_POLICY, 1024 },
		{ "sha1", DKIM_POLICY, 0 },
	};

	(void)state;
	judge_fixtures(fixtures, CASES(fixtures));
	assert_int_equal(answers.count, 0); /* sha1: its key is not asked */
}

static void
t8_key_records(void **state)
{
	static const struct fixture fixtures[] = {
		{ "key-bare", DKIM_PASS, 2048 },
		{ "key-star", DKIM_PASS, 2048 },
		{ "key-full", DKIM_PASS, 2048 },
		{ "key-domain-only", DKIM_PASS, 2048 },
		{ "key-domain-only-below", DKIM_PERMERROR, 2048 },
		{ "key-far-over", DKIM_PERMERROR, 0 },
		{ "key-revoked", DKIM_PERMERROR, 0 },
		{ "key-no-p", DKIM_PERMERROR, 0 },
		{ "key-version", DKIM_PERMERROR, 0 },
		{ "key-type", DKIM_PERMERROR, 0 },
		{ "key-sha1-only", DKIM_PERMERROR, 0 },
		{ "key-service", DKIM_PERMERROR, 0 },
		{ "key-twice-p", DKIM_PERMERROR, 0 },
		{ "key-not-base64", DKIM_PERMERROR, 0 },
		{ "key-not-der", DKIM_PERMERROR, 0 },
		{ "key-utf8", DKIM_PERMERROR, 0 },
		{ "key-none", DKIM_PERMERROR, 0 },
		{ "key-beside", DKIM_PASS, 2048 },
		{ "key-several", DKIM_PERMERROR, 0 },
		{ "key-no-keys", DKIM_PERMERROR, 0 },
		{ "key-twin", DKIM_PERMERROR, 0 },
		{ "key-withdrawn", DKIM_PERMERROR, 0 },
		{ "key-dead", DKIM_TEMPERROR, 0 },
	};

	(void)state;
	judge_fixtures(fixtures, CASES(fixtures));
	judge_file("key-over", 61);
	assert_signature("key-over", 61, 0,
			 is_native() ? DKIM_PASS : DKIM_PERMERROR,
			 is_native() ? 2048 : 0);
	judge_file("key-several", 61);
	assert_string_equal(list[0].reason,
			    "several records, and not just one key");
	judge_file("key-domain-only-below", 61);
	assert_string_equal(list[0].reason,
			    "the key is for d= only, and i= is below it");
}

static void
t9_malformed_signatures_are_neutral(void **state)
{
	static const char *const names[] = {
		"v2",    "no-v",     "no-a",    "md5",    "no-d",   "no-s",
		"no-b",  "empty-b",  "no-bh",   "bad-bh", "bad-d",  "literal-d",
		"no-h",  "no-from",  "bad-h",   "bad-c",  "bad-i",  "other-i",
		"qp-i",  "end-i",    "empty-i", "bad-l",  "huge-l", "bad-q",
		"bad-x", "t-over-x", "twice",   "bang",   "none",
	};
	char name[50];

	(void)state;
	for (size_t i = 0; i < CASES(names); i++) {
		snprintf(name, sizeof(name), "tag-%s", names[i]);
		judge_file(name, 61);
		assert_signature(name, 61, 0, DKIM_NEUTRAL, 0);
		assert_int_equal(answers.count, 0);
	}
}

/* RFC 8616 5 */
static void
t22_a_signature_in_utf8(void **state)
{
	(void)state;
	judge_file("utf8", 61);
	assert_true(
		span_equal(list[0].domain, SPAN_LIT("xn--mnchen-3ya.example")));
	assert_signature("utf8", 61, 0, is_native() ? DKIM_PASS : DKIM_NEUTRAL,
			 is_native() ? 2048 : 0);
}

static void
t23_l_distrusted(void **state)
{
	(void)state;
	dkim_engine_distrust_length(engine, true);
	judge_file("l", 61);
	assert_signature("l", 61, 0, DKIM_POLICY, 2048);
	judge_file("l-more", 61);
	assert_signature("l-more", 61, 0, DKIM_POLICY, 2048);
	judge_file("l-all", 61);
	assert_signature("l-all", 61, 0, DKIM_PASS, 2048);
	judge_file("rsa2048", 61);
	assert_signature("rsa2048", 61, 0, DKIM_PASS, 2048);
	dkim_engine_distrust_length(engine, false);
}

static void
t10_the_time_is_the_caller_s(void **state)
{
	static const struct fixture fixtures[] = {
		{ "time-just", DKIM_PASS, 2048 },
		{ "time-old", DKIM_PASS, 2048 },
		{ "time-expired", DKIM_PERMERROR, 0 },
		{ "time-future", DKIM_PERMERROR, 0 },
	};

	(void)state;
	judge_fixtures(fixtures, CASES(fixtures));
}

static void
t11_signatures_over_signatures(void **state)
{
	(void)state;
	judge_file("covers-expired", 61);
	assert_signature("covers-expired", 61, 0, DKIM_PASS, 2048);
	assert_signature("covers-expired", 61, 1, DKIM_PERMERROR, 0);
	judge_file("covers-sha1", 61);
	assert_signature("covers-sha1", 61, 0, DKIM_PASS, 2048);
	assert_signature("covers-sha1", 61, 1, DKIM_POLICY, 0);
	/* libopendkim does not see the one below: not a failure */
	judge_file("covers-malformed", 61);
	assert_signature("covers-malformed", 61, 0,
			 is_native() ? DKIM_PASS : DKIM_POLICY, 2048);
	assert_signature("covers-malformed", 61, 1, DKIM_NEUTRAL, 0);
}

/* --- what hostile mail may cost --- */

static double
judge_timed(const char *name)
{
	clock_t begin = clock();

	judge_file(name, 65536);
	return (double)(clock() - begin) / CLOCKS_PER_SEC;
}

static unsigned
count(enum dkim_result result)
{
	unsigned n = 0;

	for (size_t i = 0; i < listed; i++)
		n += list[i].result == result;
	return n;
}

static void
t12_nearly_a_thousand_signatures(void **state)
{
	(void)state;
	assert_true(judge_timed("thousand") < 0.5);
	assert_int_equal(listed, DKIM_LISTED_MAX);
	assert_int_equal(count(DKIM_POLICY),
			 DKIM_LISTED_MAX - count(DKIM_PASS));
	assert_int_equal(answers.count, is_native());
	/* five seconds in libopendkim alone */
	assert_true(judge_timed("thousand-lengths") < 0.5);
	assert_true(judge_timed("forty") < 0.5);
	assert_int_equal(listed, DKIM_LISTED_MAX);
	assert_int_equal(count(DKIM_PASS), DKIM_SIGNATURES_MAX);
	assert_int_equal(count(DKIM_POLICY),
			 DKIM_LISTED_MAX - DKIM_SIGNATURES_MAX);
	assert_int_equal(answers.count, 1);
	assert_true(judge_timed("forty-lengths") < 0.5);
	assert_int_equal(count(DKIM_FAIL), DKIM_BODIES_MAX);
	assert_true(judge_timed("sixteen-lengths") < 0.5);
	assert_int_equal(listed, 16);
	assert_int_equal(count(DKIM_FAIL), DKIM_BODIES_MAX);
	assert_int_equal(count(DKIM_POLICY), 16 - DKIM_BODIES_MAX);
}

static void
t13_long_lists_of_names(void **state)
{
	(void)state;
	assert_true(judge_timed("names") < 0.1);
	assert_signature("names", 0, 0, DKIM_POLICY, 0);
	judge_file("names-101", 61);
	assert_signature("names-101", 61, 0, DKIM_POLICY, 0);
	judge_file("names-100", 61);
	assert_signature("names-100", 61, 0, DKIM_PASS, 2048);
	assert_true(judge_timed("names-long") < 0.1);
	assert_signature("names-long", 0, 0, DKIM_POLICY, 0);
	assert_true(judge_timed("huge") < 0.1);
	assert_signature("huge", 0, 0, DKIM_POLICY, 0);
	assert_true(judge_timed("many-tags") < 0.1);
	assert_signature("many-tags", 0, 0, DKIM_NEUTRAL, 0);
	assert_true(judge_timed("sixteen-full") < 0.5);
	assert_int_equal(count(DKIM_PASS), 16);
	assert_true(judge_timed("header-too-large") < 0.2);
	assert_signature("header-too-large", 0, 0,
			 is_native() ? DKIM_PASS : DKIM_POLICY,
			 is_native() ? 2048 : 0);
	assert_true(judge_timed("sixteen-over-a-megabyte") < 0.2);
	assert_int_equal(count(DKIM_PASS), is_native() ? 4 : 0);
	assert_int_equal(count(DKIM_POLICY), is_native() ? 12 : 16);
}

/* libopendkim writes behind an array where h= uses up every field and names
 * one more. Each of these corrupts the heap, or ends the process, with some
 * number of fields; valgrind sees all of them. */
static void
t14_lists_that_use_up_the_header(void **state)
{
	char name[20];

	(void)state;
	for (int i = 1; i < 9; i++) {
		snprintf(name, sizeof(name), "exhaust-%d", i);
		judge_file(name, 61);
		/* It names itself, which never is there (RFC 6376 3.5);
		 * libopendkim takes itself for it. */
		assert_signature(name, 61, 0,
				 is_native() ? DKIM_PASS : DKIM_FAIL, 2048);
	}
}

static void
t15_a_body_without_white_space(void **state)
{
	(void)state;
	for (size_t n = 61; n <= MESSAGE_MAX; n += MESSAGE_MAX - 61) {
		judge_file("word", n);
		assert_signature("word", n, 0,
				 is_native() ? DKIM_PASS : DKIM_POLICY,
				 is_native() ? 2048 : 0);
	}
	judge_file("word-just", 61);
	assert_signature("word-just", 61, 0, DKIM_PASS, 2048);
}

/* --- the rest of the contract --- */

static void
t16_no_signature(void **state)
{
	(void)state;
	judge(SPAN_LIT("From: a@b.example\r\n\r\nHello\r\n"), 5);
	assert_int_equal(listed, 0);
	judge(SPAN_LIT("\r\nHello\r\n"), 5);
	assert_int_equal(listed, 0);
}

static void
t17_domains_that_may_still_pass(void **state)
{
	struct span domain[DKIM_SIGNATURES_MAX];
	struct message message;
	struct dkim_check *check;
	struct span body;
	size_t n;

	(void)state;
	arena_reset(&arena);
	message_init(&message, HEADER_MAX);
	n = read_file("covers-sha1.eml", octets, sizeof(octets));
	message_feed(&message, span_make(octets, n), &body);
	check = dkim_check_new(engine, &arena, NOW_S);
	assert_true(dkim_check_header(check, &message));
	assert_int_equal(dkim_check_domains(check, domain), 1);
	assert_true(span_equal(domain[0], SPAN_LIT("signer.example")));
	assert_int_equal(dkim_check_count(check), 2);
	dkim_check_free(check);
	message_fini(&message);
}

static void
t18_keys_given_up_are_temperror(void **state)
{
	struct message message;
	struct dkim_check *check;
	struct span body;
	size_t n;

	(void)state;
	arena_reset(&arena);
	answers_init(&answers, &arena, ANSWERS_MAX);
	message_init(&message, HEADER_MAX);
	n = read_file("rsa2048.eml", octets, sizeof(octets));
	check = dkim_check_new(engine, &arena, NOW_S);
	message_feed(&message, span_make(octets, n), &body);
	dkim_check_header(check, &message);
	assert_false(dkim_check_ask(check, &answers));
	dkim_check_body(check, body);
	answers_give_up(&answers, "time-out");
	assert_true(dkim_check_ask(check, &answers));
	listed = dkim_check_finish(check, &answers, &list);
	assert_signature("given up", 0, 0, DKIM_TEMPERROR, 0);
	dkim_check_free(check);
	message_fini(&message);
}

/* Every beginning of a good key record is an answer that a DNS could give. */
static void
t21_cut_off_key_records(void **state)
{
	struct dns_rows_found found;
	struct span whole;

	(void)state;
	dns_rows_find(zone, SPAN_LIT("rsa2048._domainkey.signer.example"),
		      DNS_TXT, &found);
	assert_int_equal(found.answer.records, 1);
	whole = found.record[0].value;
	for (size_t n = 0; n < whole.n; n++) {
		struct guard guard = guard_copy(span_first(whole, n));
		struct dkim_key key;

		found.record[0].value = guard.octets;
		assert_false(dkim_key_read(&found.answer, CRYPTO_RSA, 4096,
					   &arena, &key));
		assert_int_equal(key.record.n, 0);
		assert_int_equal(key.result, DKIM_PERMERROR);
		guard_free(&guard);
	}
}

/* A signature that an engine cannot be given is still counted. */
static void
t24_nul_in_a_signature_before(void **state)
{
	static const char first[] = "DKIM-Signature: v=1\0\r\n";
	size_t n = sizeof(first) - 1;

	(void)state;
	memcpy(octets, first, n);
	n += read_file("rsa2048.eml", octets + n, sizeof(octets) - n);
	judge(span_make(octets, n), MESSAGE_MAX);
	assert_int_equal(listed, 2);
	assert_signature("NUL", MESSAGE_MAX, 0, DKIM_NEUTRAL, 0);
	assert_signature("NUL", MESSAGE_MAX, 1, DKIM_PASS, 2048);
}

/* White space before a colon is none to relaxed, and libopendkim loses count
 * of signatures over a tab. */
static void
t25_a_tab_before_the_colon(void **state)
{
	size_t name = sizeof("DKIM-Signature") - 1;
	size_t n = read_file("rsa2048.eml", octets, sizeof(octets) - 1);

	(void)state;
	memmove(octets + name + 1, octets + name, n - name);
	octets[name] = '\t';
	judge(span_make(octets, n + 1), MESSAGE_MAX);
	assert_signature("tab", MESSAGE_MAX, 0,
			 is_native() ? DKIM_PASS : DKIM_NEUTRAL,
			 is_native() ? 2048 : 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_good_signatures),
		cmocka_unit_test(t2_what_was_changed_fails),
		cmocka_unit_test(t3_every_split),
		cmocka_unit_test(t4_every_signature_is_judged),
		cmocka_unit_test(t5_l_leaves_octets_unsigned),
		cmocka_unit_test(t6_what_is_told_of_a_signature),
		cmocka_unit_test(t7_weak_algorithms_and_keys),
		cmocka_unit_test(t8_key_records),
		cmocka_unit_test(t9_malformed_signatures_are_neutral),
		cmocka_unit_test(t10_the_time_is_the_caller_s),
		cmocka_unit_test(t11_signatures_over_signatures),
		cmocka_unit_test(t12_nearly_a_thousand_signatures),
		cmocka_unit_test(t13_long_lists_of_names),
		cmocka_unit_test(t14_lists_that_use_up_the_header),
		cmocka_unit_test(t15_a_body_without_white_space),
		cmocka_unit_test(t16_no_signature),
		cmocka_unit_test(t17_domains_that_may_still_pass),
		cmocka_unit_test(t18_keys_given_up_are_temperror),
		cmocka_unit_test(t21_cut_off_key_records),
		cmocka_unit_test(t22_a_signature_in_utf8),
		cmocka_unit_test(t23_l_distrusted),
		cmocka_unit_test(t24_nul_in_a_signature_before),
		cmocka_unit_test(t25_a_tab_before_the_colon),
	};

	int failed = cmocka_run_group_tests(tests, set_up, tear_down);

	kind = DKIM_ENGINE_LIBOPENDKIM;
	return failed + cmocka_run_group_tests(tests, set_up, tear_down);
}
