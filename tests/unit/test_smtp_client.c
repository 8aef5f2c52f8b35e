/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/client.h"

#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* A client, what it has sent, and the next tag. */
struct bench {
	struct client client;
	struct buf out;
	unsigned tag;
};

static void
bench_init(struct bench *bench, size_t out_max)
{
	client_init(&bench->client);
	buf_init(&bench->out, out_max);
	bench->tag = 1;
}

static void
bench_fini(struct bench *bench)
{
	client_fini(&bench->client);
	buf_fini(&bench->out);
}

/* What was sent since the last look. */
static void
assert_sent(struct bench *bench, const char *want)
{
	assert_true(span_equal(buf_span(&bench->out), span_cstr(want)));
	buf_consume(&bench->out, bench->out.n);
}

static bool
send(struct bench *bench, enum client_command command, const char *line)
{
	return client_send(&bench->client, command, bench->tag++,
			   span_cstr(line), &bench->out);
}

/* One reply comes; "COMMAND tag code" or what else it means. */
static const char *
receive(struct bench *bench, const char *text)
{
	static const char *const names[] = {
		[CLIENT_BANNER] = "BANNER",   [CLIENT_HELO] = "HELO",
		[CLIENT_XCLIENT] = "XCLIENT", [CLIENT_MAIL] = "MAIL",
		[CLIENT_RCPT] = "RCPT",       [CLIENT_DATA] = "DATA",
		[CLIENT_CONTENT] = "CONTENT", [CLIENT_RSET] = "RSET",
		[CLIENT_QUIT] = "QUIT",
	};
	static char got[64];
	struct guard guard = guard_copy(span_cstr(text));
	struct span in = guard.octets;
	struct client_answer answer;

	switch (client_next(&bench->client, &in, &bench->out, &answer)) {
	case CLIENT_MORE:
		assert_ptr_equal(in.p, guard.octets.p);
		snprintf(got, sizeof(got), "more");
		break;
	case CLIENT_BAD:
		snprintf(got, sizeof(got), "bad");
		break;
	case CLIENT_GOODBYE:
		snprintf(got, sizeof(got), "goodbye %u", answer.reply.code);
		break;
	case CLIENT_REPLY:
		assert_int_equal(in.n, 0);
		snprintf(got, sizeof(got), "%s %u %u", names[answer.command],
			 answer.tag, answer.reply.code);
		break;
	}
	guard_free(&guard);
	return got;
}

/* Greeted, with or without PIPELINING, and nothing outstanding. */
static void
greet(struct bench *bench, bool is_pipelining)
{
	bench_init(bench, 100000);
	assert_string_equal(receive(bench, "220 mx\r\n"), "BANNER 0 220");
	assert_true(send(bench, CLIENT_HELO, "EHLO a\r\n"));
	assert_string_equal(receive(bench, "250 mx\r\n"), "HELO 1 250");
	bench->client.is_pipelining = is_pipelining;
	buf_reset(&bench->out);
	bench->tag = 1;
}

static void
the_banner_is_awaited_first(void **state)
{
	struct bench bench;

	(void)state;
	bench_init(&bench, 1000);
	assert_int_equal(client_outstanding(&bench.client), 1);
	assert_string_equal(receive(&bench, ""), "more");
	assert_string_equal(receive(&bench, "220-mx\r\n"), "more");
	assert_string_equal(receive(&bench, "220-mx\r\n220 mx\r\n"),
			    "BANNER 0 220");
	assert_int_equal(client_outstanding(&bench.client), 0);
	assert_true(send(&bench, CLIENT_HELO, "EHLO a\r\n"));
	assert_sent(&bench, "EHLO a\r\n");
	bench_fini(&bench);
}

static void
a_mail_goes_its_way(void **state)
{
	struct bench bench;

	(void)state;
	greet(&bench, true);
	assert_true(send(&bench, CLIENT_MAIL, "MAIL FROM:<a@a>\r\n"));
	assert_true(send(&bench, CLIENT_RCPT, "RCPT TO:<b@b>\r\n"));
	assert_true(send(&bench, CLIENT_DATA, "DATA\r\n"));
	assert_sent(&bench, "MAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nDATA\r\n");
	assert_string_equal(receive(&bench, "250 2.1.0 Ok\r\n"), "MAIL 1 250");
	assert_string_equal(receive(&bench, "250 2.1.5 Ok\r\n"), "RCPT 2 250");
	assert_string_equal(receive(&bench, "354 go\r\n"), "DATA 3 354");
	assert_true(send(&bench, CLIENT_CONTENT, ""));
	assert_sent(&bench, "");
	assert_string_equal(receive(&bench, "250 2.0.0 Ok\r\n"),
			    "CONTENT 4 250");
	assert_true(send(&bench, CLIENT_RSET, "RSET\r\n"));
	assert_true(send(&bench, CLIENT_QUIT, "QUIT\r\n"));
	assert_string_equal(receive(&bench, "250 Ok\r\n"), "RSET 5 250");
	assert_string_equal(receive(&bench, "221 Bye\r\n"), "QUIT 6 221");
	bench_fini(&bench);
}

static void
without_pipelining_one_line_is_under_way(void **state)
{
	struct bench bench;

	(void)state;
	greet(&bench, false);
	assert_true(send(&bench, CLIENT_MAIL, "MAIL FROM:<a@a>\r\n"));
	assert_true(send(&bench, CLIENT_RCPT, "RCPT TO:<b@b>\r\n"));
	assert_true(send(&bench, CLIENT_RCPT, "RCPT TO:<c@c>\r\n"));
	assert_int_equal(client_outstanding(&bench.client), 3);
	assert_sent(&bench, "MAIL FROM:<a@a>\r\n");
	assert_string_equal(receive(&bench, "250"), "more");
	assert_sent(&bench, "");
	assert_string_equal(receive(&bench, "250 Ok\r\n"), "MAIL 1 250");
	assert_sent(&bench, "RCPT TO:<b@b>\r\n");
	assert_string_equal(receive(&bench, "550 No\r\n"), "RCPT 2 550");
	assert_sent(&bench, "RCPT TO:<c@c>\r\n");
	assert_true(send(&bench, CLIENT_DATA, "DATA\r\n"));
	assert_sent(&bench, "");
	assert_string_equal(receive(&bench, "250 Ok\r\n"), "RCPT 3 250");
	assert_sent(&bench, "DATA\r\n");
	bench_fini(&bench);
}

/* Two replies in one read go to their commands in order. */
static void
replies_are_matched_in_order(void **state)
{
	struct span in = SPAN_LIT("250 a\r\n550-b\r\n550 b\r\n4");
	struct client_answer answer;
	struct bench bench;

	(void)state;
	greet(&bench, true);
	send(&bench, CLIENT_MAIL, "MAIL FROM:<a@a>\r\n");
	send(&bench, CLIENT_RCPT, "RCPT TO:<b@b>\r\n");
	send(&bench, CLIENT_RCPT, "RCPT TO:<c@c>\r\n");
	assert_int_equal(client_next(&bench.client, &in, &bench.out, &answer),
			 CLIENT_REPLY);
	assert_int_equal(answer.tag, 1);
	assert_int_equal(client_next(&bench.client, &in, &bench.out, &answer),
			 CLIENT_REPLY);
	assert_int_equal(answer.tag, 2);
	assert_int_equal(answer.reply.code, 550);
	assert_int_equal(client_next(&bench.client, &in, &bench.out, &answer),
			 CLIENT_MORE);
	assert_true(span_equal(in, SPAN_LIT("4")));
	assert_int_equal(client_outstanding(&bench.client), 1);
	bench_fini(&bench);
}

static void
a_reply_that_nothing_asked_for_is_an_end(void **state)
{
	struct bench bench;

	(void)state;
	greet(&bench, true);
	assert_string_equal(receive(&bench, "421 4.3.2 down\r\n"),
			    "goodbye 421");
	assert_string_equal(receive(&bench, "250 Ok\r\n"), "bad");
	assert_string_equal(receive(&bench, "554 No\r\n"), "bad");
	send(&bench, CLIENT_MAIL, "MAIL FROM:<a@a>\r\n");
	assert_string_equal(receive(&bench, "421 4.3.2 down\r\n"),
			    "MAIL 1 421");
	bench_fini(&bench);
}

static void
a_stream_that_is_no_reply_is_bad(void **state)
{
	struct bench bench;

	(void)state;
	greet(&bench, true);
	send(&bench, CLIENT_MAIL, "MAIL FROM:<a@a>\r\n");
	assert_string_equal(receive(&bench, "hello\r\n"), "bad");
	assert_string_equal(receive(&bench, "250-a\r\n251 b\r\n"), "bad");
	assert_string_equal(receive(&bench, "250 a\n"), "bad");
	bench_fini(&bench);
}

/* No command may follow one whose answer decides what comes next. */
static void
a_group_ends_where_the_answer_matters(void **state)
{
	static const enum client_command ends[] = { CLIENT_HELO, CLIENT_XCLIENT,
						    CLIENT_DATA, CLIENT_QUIT };
	static const enum client_command others[] = { CLIENT_MAIL, CLIENT_RCPT,
						      CLIENT_RSET };
	struct bench bench;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		greet(&bench, true);
		assert_true(send(&bench, ends[i], "COMMAND\r\n"));
		assert_false(client_has_room(&bench.client));
		receive(&bench, "250 Ok\r\n");
		assert_true(client_has_room(&bench.client));
		bench_fini(&bench);
	}
	for (size_t i = 0; i < 3; i++) {
		greet(&bench, true);
		assert_true(send(&bench, others[i], "COMMAND\r\n"));
		assert_true(client_has_room(&bench.client));
		bench_fini(&bench);
	}
}

static void
the_queue_has_an_end_and_wraps(void **state)
{
	struct bench bench;

	(void)state;
	for (int pipelining = 0; pipelining < 2; pipelining++) {
		greet(&bench, pipelining == 1);
		for (unsigned round = 0; round < 3; round++) {
			bench.tag = 0;
			for (unsigned i = 0; i < CLIENT_QUEUE_MAX; i++) {
				assert_true(client_has_room(&bench.client));
				assert_true(send(&bench, CLIENT_RCPT,
						 "RCPT TO:<b@b>\r\n"));
			}
			assert_false(client_has_room(&bench.client));
			assert_false(
				send(&bench, CLIENT_RCPT, "RCPT TO:<b@b>\r\n"));
			for (unsigned i = 0; i < CLIENT_QUEUE_MAX; i++) {
				char want[32];

				snprintf(want, sizeof(want), "RCPT %u 250", i);
				assert_string_equal(
					receive(&bench, "250 Ok\r\n"), want);
			}
			assert_int_equal(bench.out.n, CLIENT_QUEUE_MAX * 15);
			buf_reset(&bench.out);
			assert_string_equal(receive(&bench, "250 Ok\r\n"),
					    "bad");
		}
		bench_fini(&bench);
	}
}

static void
a_full_out_refuses_and_stays_usable(void **state)
{
	struct bench bench;

	(void)state;
	bench_init(&bench, 10);
	receive(&bench, "220 mx\r\n");
	bench.client.is_pipelining = true;
	assert_false(send(&bench, CLIENT_RCPT, "RCPT TO:<b@b>\r\n"));
	assert_int_equal(client_outstanding(&bench.client), 0);
	assert_true(send(&bench, CLIENT_RSET, "RSET\r\n"));
	assert_false(send(&bench, CLIENT_RSET, "RSET\r\n"));
	assert_sent(&bench, "RSET\r\n");
	assert_true(send(&bench, CLIENT_RSET, "RSET\r\n"));
	bench_fini(&bench);
}

/* What is held and finds no room goes later; until then no reply is its own. */
static void
a_held_line_waits_for_room(void **state)
{
	struct bench bench;

	(void)state;
	bench_init(&bench, 10);
	receive(&bench, "220 mx\r\n");
	assert_true(send(&bench, CLIENT_RSET, "RSET\r\n"));
	assert_true(send(&bench, CLIENT_RSET, "NEXT\r\n"));
	assert_string_equal(receive(&bench, "250 Ok\r\n"), "RSET 1 250");
	assert_string_equal(receive(&bench, "250 Ok\r\n"), "bad");
	assert_sent(&bench, "RSET\r\n");
	assert_string_equal(receive(&bench, ""), "more");
	assert_sent(&bench, "NEXT\r\n");
	assert_string_equal(receive(&bench, "250 Ok\r\n"), "RSET 2 250");
	bench_fini(&bench);
}

/* Held until PIPELINING is known; then all go at once. */
static void
pipelining_sets_free_what_is_held(void **state)
{
	struct bench bench;

	(void)state;
	greet(&bench, false);
	send(&bench, CLIENT_MAIL, "MAIL FROM:<a@a>\r\n");
	send(&bench, CLIENT_RCPT, "RCPT TO:<b@b>\r\n");
	assert_sent(&bench, "MAIL FROM:<a@a>\r\n");
	bench.client.is_pipelining = true;
	send(&bench, CLIENT_RCPT, "RCPT TO:<c@c>\r\n");
	assert_sent(&bench, "RCPT TO:<b@b>\r\nRCPT TO:<c@c>\r\n");
	bench_fini(&bench);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_banner_is_awaited_first),
		cmocka_unit_test(a_mail_goes_its_way),
		cmocka_unit_test(without_pipelining_one_line_is_under_way),
		cmocka_unit_test(replies_are_matched_in_order),
		cmocka_unit_test(a_reply_that_nothing_asked_for_is_an_end),
		cmocka_unit_test(a_stream_that_is_no_reply_is_bad),
		cmocka_unit_test(a_group_ends_where_the_answer_matters),
		cmocka_unit_test(the_queue_has_an_end_and_wraps),
		cmocka_unit_test(a_full_out_refuses_and_stays_usable),
		cmocka_unit_test(a_held_line_waits_for_room),
		cmocka_unit_test(pipelining_sets_free_what_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
