/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DKIM by the examples of its RFCs (RFC 6376 A.2, RFC 8463 A.3), with both
 * engines: cut anywhere, they pass; broken anywhere, they do not.
 */
#include "dmarc/dkim_engine.h"
#include "tests/unit/dns_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_S 1800000000u

#define SPAN_OF(text) span_make(text, sizeof(text) - 1)

#define FIELDS                                               \
	"From: Joe SixPack <joe@football.example.com>\r\n"   \
	"To: Suzie Q <suzie@shopping.example.net>\r\n"       \
	"Subject: Is dinner ready?\r\n"                      \
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"    \
	"Message-ID: <20030712040037.46341.5F8J@football.ex" \
	"ample.com>\r\n"

static const char rfc6376[] =
	"DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
	"      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
	"      h=Received : From : To : Subject : Date : Message-ID;\r\n"
	"      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
	"      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n"
	"      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"
	"      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n"
	"      4bmp/YzhwvcubU4=;\r\n"
	"Received: from client1.football.example.com  [192.0.2.1]\r\n"
	"      by submitserver.example.com with SUBMISSION;\r\n"
	"      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n" FIELDS "\r\n"
	"Hi.\r\n"
	"\r\n"
	"We lost the game. Are you hungry yet?\r\n"
	"\r\n"
	"Joe.\r\n";

static const char rfc8463[] =
	"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
	" d=football.example.com; i=@football.example.com;\r\n"
	" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
	" subject : date : message-id : from : subject : date;\r\n"
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
	" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
	" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
	" d=football.example.com; i=@football.example.com;\r\n"
	" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
	" date : message-id : from : subject : date;\r\n"
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
	" b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
	" DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
	" dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n" FIELDS
	"\r\n"
	"Hi.\r\n"
	"\r\n"
	"We lost the game.  Are you hungry yet?\r\n"
	"\r\n"
	"Joe.\r\n"
	"\r\n";

static const struct dns_row zone[] = {
	{ "brisbane._domainkey.example.com", DNS_TXT,
	  "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9"
	  "ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od"
	  "+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToI"
	  "MmPSPDdQPNUYckcQ2QIDAQAB",
	  0 },
	{ "brisbane._domainkey.football.example.com", DNS_TXT,
	  "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
	  0 },
	{ "test._domainkey.football.example.com", DNS_TXT,
	  "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzW"
	  "RiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3Fut"
	  "ACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2E"
	  "eC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
	  0 },
	{ NULL, DNS_TXT, NULL, 0 },
};

static enum dkim_engine_kind kind;
static struct dkim_engine *engine;
static struct arena arena;
static struct message message;
static const struct dkim_signature *list;

static int
set_up(void **state)
{
	(void)state;
	arena_init(&arena, (size_t)4 << 20);
	message_init(&message, 65536);
	engine = dkim_engine_new(kind);
	return engine == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void)state;
	dkim_engine_free(engine);
	message_fini(&message);
	arena_fini(&arena);
	return 0;
}

/* Judge a message whose pieces are as long as `next` says. */
static size_t
judge(struct span text, size_t (*next)(struct span left))
{
	struct answers answers;
	struct dkim_check *check;
	size_t listed;

	arena_reset(&arena);
	message_reset(&message);
	answers_init(&answers, &arena, ANSWERS_MAX);
	check = dkim_check_new(engine, &arena, NOW_S);
	assert_non_null(check);
	while (text.n > 0) {
		bool was_header = message.state == MESSAGE_HEADER;
		size_t n = next(text);
		struct span body;

		message_feed(&message, span_first(text, n), &body);
		if (was_header && message.state == MESSAGE_BODY)
			assert_true(dkim_check_header(check, &message));
		dkim_check_body(check, body);
		text = span_after(text, n);
	}
	while (!dkim_check_ask(check, &answers))
		assert_true(dns_rows_settle_all(zone, &answers) > 0);
	listed = dkim_check_finish(check, &answers, &list);
	dkim_check_free(check);
	return listed;
}

static void
assert_passes(struct span text, size_t (*next)(struct span left), size_t wanted)
{
	size_t listed = judge(text, next);

	assert_int_equal(listed, wanted);
	for (size_t i = 0; i < listed; i++)
		if (list[i].result != DKIM_PASS)
			fail_msg("signature %zu: %s (%s)", i,
				 dkim_result_name(list[i].result),
				 list[i].reason);
}

static size_t
whole(struct span left)
{
	return left.n;
}

static void
t1_the_examples_pass(void **state)
{
	(void)state;
	assert_passes(SPAN_OF(rfc6376), whole, 1);
	assert_int_equal(list[0].bits, 1024);
	assert_true(span_equal(list[0].identity,
			       SPAN_LIT("joe@football.example.com")));
	assert_passes(SPAN_OF(rfc8463), whole, 2);
	assert_int_equal(list[0].bits, 256);
	assert_int_equal(list[1].bits, 1024);
}

/* --- any chunking gives the same --- */

static size_t left_at_cut;

static size_t
up_to_cut(struct span left)
{
	return left.n > left_at_cut ? left.n - left_at_cut : left.n;
}

static size_t
at_random(struct span left)
{
	size_t most = left.n < 40 ? left.n : 40;

	return 1 + (size_t)random() % most;
}

static void
t2_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rfc6376) - 1; i++) {
		left_at_cut = i;
		assert_passes(SPAN_OF(rfc6376), up_to_cut, 1);
	}
	for (size_t i = 0; i < sizeof(rfc8463) - 1; i++) {
		left_at_cut = i;
		assert_passes(SPAN_OF(rfc8463), up_to_cut, 2);
	}
	srandom(6376);
	for (unsigned i = 0; i < 2000; i++)
		assert_passes(SPAN_OF(rfc8463), at_random, 2);
}

/* --- nothing may be changed --- */

/* Change each octet of what is signed, and where that starts. */
static void
break_all(const char *text, size_t n, const char *start, size_t signatures)
{
	char copy[2048];
	size_t at = (size_t)(strstr(text, start) - text);

	for (; at < n; at++) {
		size_t listed;

		memcpy(copy, text, n);
		copy[at] = copy[at] == 'x' ? 'y' : 'x';
		if (text[at] == '\r' || text[at] == '\n')
			continue; /* it might be no message any more */
		listed = judge(span_make(copy, n), whole);
		assert_int_equal(listed, signatures);
		for (size_t i = 0; i < listed; i++)
			if (list[i].result == DKIM_PASS)
				fail_msg("changed at %zu, and passes", at);
	}
}

static void
t3_broken_anywhere(void **state)
{
	(void)state;
	break_all(rfc6376, sizeof(rfc6376) - 1, "Received", 1);
	break_all(rfc8463, sizeof(rfc8463) - 1, "From", 2);
}

/* The tags of a signature, and the octets of b= above all. */
static void
t4_a_broken_signature(void **state)
{
	char copy[sizeof(rfc8463)];
	size_t end = (size_t)(strstr(rfc8463 + 1, "DKIM") - rfc8463);

	(void)state;
	for (size_t at = sizeof("DKIM-Signature:"); at < end; at++) {
		memcpy(copy, rfc8463, sizeof(copy));
		if (copy[at] <= ' ')
			continue;
		copy[at] = copy[at] == 'A' ? 'z' : 'A';
		assert_int_equal(
			judge(span_make(copy, sizeof(copy) - 1), whole), 2);
		if (list[0].result == DKIM_PASS)
			fail_msg("changed at %zu, and passes", at);
		assert_int_equal(list[1].result, DKIM_PASS);
	}
}

/* --- a gate in need --- */

static bool
find_no_memory(struct dkim_engine *of, struct dkim_message *signed_message,
	       const struct dkim_key *key, struct dkim_finding *finding)
{
	(void)of;
	(void)key;
	for (size_t i = 0; i < signed_message->candidates; i++)
		finding[i] = (struct dkim_finding){ DKIM_RUN_NO_MEMORY, 0 };
	return true;
}

/* Nobody's message is refused for want of memory here. */
static void
t5_no_memory_is_temperror(void **state)
{
	struct dkim_methods methods = dkim_native;
	struct dkim_engine *usual = engine;

	(void)state;
	methods.finish = find_no_memory;
	engine = dkim_engine_of(&methods);
	assert_non_null(engine);
	assert_int_equal(judge(SPAN_OF(rfc8463), whole), 2);
	assert_int_equal(list[0].result, DKIM_TEMPERROR);
	assert_int_equal(list[1].result, DKIM_TEMPERROR);
	dkim_engine_free(engine);
	engine = usual;
}

/* Judge in an arena of so many octets; none if there can be no check. */
static size_t
judge_within(size_t most, size_t found[DKIM_PERMERROR + 1])
{
	struct span text = SPAN_OF(rfc8463), body;
	struct dkim_check *check;
	struct answers answers;
	size_t listed;

	arena_fini(&arena);
	arena_init_small(&arena, most, 64);
	message_reset(&message);
	answers_init(&answers, &arena, ANSWERS_MAX);
	check = dkim_check_new(engine, &arena, NOW_S);
	if (check == NULL)
		return 0;
	message_feed(&message, text, &body);
	dkim_check_header(check, &message);
	dkim_check_body(check, body);
	while (!dkim_check_ask(check, &answers))
		assert_true(dns_rows_settle_all(zone, &answers) > 0);
	listed = dkim_check_finish(check, &answers, &list);
	assert_int_equal(listed, 2);
	for (size_t i = 0; i < listed; i++)
		found[list[i].result]++;
	dkim_check_free(check);
	return listed;
}

/* Wherever the arena ends: each signature passes, or says that it was not
 * judged. */
static void
t6_no_room_is_no_failure(void **state)
{
	size_t found[DKIM_PERMERROR + 1] = { 0 }, listed = 0;

	(void)state;
	for (size_t most = 0; most < 32768; most += 16)
		listed += judge_within(most, found);
	arena_fini(&arena);
	arena_init(&arena, (size_t)4 << 20);
	assert_true(found[DKIM_PASS] > 0 && found[DKIM_TEMPERROR] > 0);
	assert_int_equal(found[DKIM_PASS] + found[DKIM_TEMPERROR], listed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_the_examples_pass),
		cmocka_unit_test(t2_cut_anywhere),
		cmocka_unit_test(t3_broken_anywhere),
		cmocka_unit_test(t4_a_broken_signature),
		cmocka_unit_test(t5_no_memory_is_temperror),
		cmocka_unit_test(t6_no_room_is_no_failure),
	};
	int failed = cmocka_run_group_tests(tests, set_up, tear_down);

	kind = DKIM_ENGINE_LIBOPENDKIM;
	return failed + cmocka_run_group_tests(tests, set_up, tear_down);
}
