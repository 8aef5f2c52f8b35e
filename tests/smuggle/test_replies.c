/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_replies: whatever a backend says, the client hears replies: whole ones,
 * of clean text, not more than it has asked for. And a backend that says what
 * nobody asked for is not listened to any more: both sides are closed.
 *
 *     test_replies [-x] [SEED]
 *
 * First every hostile reply at every step of a session, at once and octet by
 * octet; then replies nobody asked for behind every step; then replies put
 * together at random. -x stops at the first fault.
 */
#include "tests/smuggle/chance.h"
#include "tests/smuggle/lenient.h"
#include "tests/smuggle/rig.h"
#include "tests/smuggle/strict.h"

#include <limits.h>
#include <stdio.h>

#define SESSIONS 20000
#define DEFAULT_SEED 2026
#define FAULTS_SHOWN 3
#define ENDLESS_MAX (16u << 20)
#define NEVER UINT_MAX

#define MESSAGE "From: alice@sender.example\r\n\r\nHello.\r\n.\r\n"

/* What the client says, a group at a time; each answer is a step. */
static const struct span says[] = {
	SPAN_LIT("EHLO client.example\r\n"),
	SPAN_LIT("MAIL FROM:<alice@sender.example>\r\n"),
	SPAN_LIT("RCPT TO:<bob@backend.example>\r\n"
		 "RCPT TO:<carol@backend.example>\r\n"),
	SPAN_LIT("DATA\r\n"),
	SPAN_LIT(MESSAGE),
	SPAN_LIT("NOOP\r\n"),
	SPAN_LIT("QUIT\r\n"),
};

#define SAYS (sizeof(says) / sizeof(says[0]))
#define STEPS 7 /* banner, EHLO, MAIL, RCPT, RCPT, DATA, end of data */

static const struct span hostile[] = {
	SPAN_LIT("250 a\rb\r\n"),
	SPAN_LIT("250 a\nb\r\n"),
	SPAN_LIT("250 a\n"),
	SPAN_LIT("250 a\r"),
	SPAN_LIT("250 a\r\r\n"),
	SPAN_LIT("250 a\0b\r\n"),
	SPAN_LIT("250 \x1b[2J\r\n"),
	SPAN_LIT("250 \xc2\x9b"
		 "31m\r\n"),
	SPAN_LIT("250 \xff\xfe\r\n"),
	SPAN_LIT("250-\xe9\x85\xe9\r\n250 \x8d\x8a\r\n"),
	SPAN_LIT("250\xa0\x8d\x8a\r\n"),
	SPAN_LIT("250 a\x7f\r\n"),
	SPAN_LIT("250 a\n250 b\r\n"),
	SPAN_LIT("250 a\r250 b\r\n"),
	SPAN_LIT("250 a\r\n250 b\r\n"),
	SPAN_LIT("250-a\r\n550 b\r\n"),
	SPAN_LIT("250-a\r\n250-b\r\n"),
	SPAN_LIT("250\r\n"),
	SPAN_LIT("250text\r\n"),
	SPAN_LIT("250_text\r\n"),
	SPAN_LIT("25 text\r\n"),
	SPAN_LIT("2500 text\r\n"),
	SPAN_LIT("150 text\r\n"),
	SPAN_LIT("650 text\r\n"),
	SPAN_LIT("000 text\r\n"),
	SPAN_LIT("334 dGV4dA==\r\n"),
	SPAN_LIT("354 Go ahead\r\n"),
	SPAN_LIT("354 Go ahead\r\n250 2.0.0 Queued\r\n"),
	SPAN_LIT("220 mta.example\r\n"),
	SPAN_LIT("221 Bye\r\n"),
	SPAN_LIT("421 Goodbye\r\n"),
	SPAN_LIT("421 Goodbye\r\n250 and still here\r\n"),
	SPAN_LIT("451-later\r\n451 \r\n"),
	SPAN_LIT("550 no\r\n550 and no\r\n"),
	SPAN_LIT(" 250 text\r\n"),
	SPAN_LIT("\r\n"),
	SPAN_LIT("\r\n250 text\r\n"),
	SPAN_LIT("HTTP/1.1 200 OK\r\n\r\n"),
	SPAN_LIT("MAIL FROM:<boss@victim.example>\r\n"),
	SPAN_LIT("-250 text\r\n"),
	SPAN_LIT("250 \t\ttabs\t\r\n"),
};

#define HOSTILE (sizeof(hostile) / sizeof(hostile[0]))

enum endless { ENDLESS_LINES, ENDLESS_LINE, ENDLESS_REPLIES, ENDLESS_KINDS };

/* A mail server that answers well but for some steps. */
struct server {
	struct lenient lenient;
	unsigned step;       /* answers given */
	unsigned hostile_at; /* this one is another */
	unsigned extra_at;   /* behind this one there is another */
	struct span text;    /* it, or what is said instead */
	unsigned percent;    /* of answers at random */
};

static const char *const conf_text =
	"hostname = \"gate.example\"\n"
	"listen \"198.51.100.25:25\" { }\n"
	"backend \"mta\" { address = {\"127.0.0.1:10025\"}\n"
	"identity = \"none\"\n trust-unidentified = yes }\n"
	"route \"*\" { backend = \"mta\" }\n"
	"dmarc { bad-from = \"accept\" }\n";

static uint64_t chance = DEFAULT_SEED;
static struct server server;
static struct rig rig;
static struct buf endless[ENDLESS_KINDS], random_text;
static unsigned long sessions, tried;
static unsigned faults, cases, failed;
static bool is_hasty;

/* --- the backend --- */

/* Anything that looks like a reply, or not. */
static struct span
write_random(void)
{
	static const struct span pieces[] = {
		SPAN_LIT("250"),
		SPAN_LIT("550"),
		SPAN_LIT("354"),
		SPAN_LIT("421"),
		SPAN_LIT("-"),
		SPAN_LIT(" "),
		SPAN_LIT("2.0.0 Ok"),
		SPAN_LIT("\r\n"),
		SPAN_LIT("\r\n"),
		SPAN_LIT("\n"),
		SPAN_LIT("\r"),
		SPAN_LIT("250-PIPELINING\r\n"),
		SPAN_LIT("250 Ok\r\n"),
		SPAN_LIT("\xc3\xbc"),
		SPAN_LIT("451 4.3.0 no\r\n"),
	};

	buf_reset(&random_text);
	if (chance_percent(&chance, 70))
		buf_append(&random_text, CHANCE_PICK(&chance, hostile));
	while (chance_percent(&chance, 60))
		buf_append(&random_text, CHANCE_PICK(&chance, pieces));
	while (chance_percent(&chance, 40))
		chance_spoil(&chance, &random_text);
	return buf_span(&random_text);
}

/* An answer of the well-behaved one is due. */
static void
answer(struct span good, struct buf *reply)
{
	unsigned step = server.step++;

	if (step == server.hostile_at)
		buf_append(reply, server.text);
	else if (chance_percent(&chance, server.percent))
		buf_append(reply, write_random());
	else
		buf_append(reply, good);
	if (step == server.extra_at)
		buf_append(reply, server.text);
	if (chance_percent(&chance, server.percent / 4))
		buf_append(reply, write_random());
}

static void
connected(void *self, struct buf *reply)
{
	(void)self;
	lenient_reset(&server.lenient);
	answer(SPAN_LIT("220 mta.example ESMTP\r\n"), reply);
}

/* Octets of the reply at the start of s, with all of its lines. */
static size_t
reply_length(struct span s)
{
	size_t n = 0;
	bool is_last;

	do {
		is_last = s.p[n + 3] != '-';
		n += span_find(span_after(s, n), '\n') + 1;
	} while (!is_last);
	return n;
}

static void
heard(void *self, struct span octets, struct buf *reply)
{
	struct buf good;
	struct span left;

	(void)self;
	buf_init(&good, 65536);
	lenient_hear(&server.lenient, octets, &good);
	left = buf_span(&good);
	while (left.n > 0) {
		size_t n = reply_length(left);

		answer(span_first(left, n), reply);
		left = span_after(left, n);
	}
	buf_fini(&good);
}

/* --- sessions --- */

static void
fault(const char *what)
{
	if (faults++ >= FAULTS_SHOWN)
		return;
	printf("# found: session %lu: %s\n", sessions, what);
	printf("# hostile at %d, extra at %d\n", (int)server.hostile_at,
	       (int)server.extra_at);
	rig_print("said then", server.text);
	rig_print("backend heard", buf_span(&rig.backend_heard));
	rig_print("client heard", buf_span(&rig.client_heard));
}

/* What the client heard is replies to what it said, and maybe a goodbye. */
static void
judge(size_t said)
{
	struct strict_replies replies;
	struct strict_commands commands;

	strict_replies_read(&replies, buf_span(&rig.client_heard));
	strict_commands_read(&commands, buf_span(&rig.backend_heard),
			     SPAN_LIT("alice@sender.example "
				      "bob@backend.example "
				      "carol@backend.example"));
	if (replies.reason != NULL)
		fault(replies.reason);
	else if (replies.replies - replies.goodbyes > said)
		fault("the client hears more replies than it asked for");
	else if (replies.goodbyes > 1)
		fault("the client hears more than one goodbye");
	else if (replies.go_aheads > 1)
		fault("the client is told to go ahead twice");
	else if (server.lenient.messages > 1)
		fault("the backend has the message twice");
}

static bool
is_going_ahead(void)
{
	struct span heard_all = buf_span(&rig.client_heard);
	struct span end = SPAN_LIT("<CR><LF>.<CR><LF>\r\n");

	return heard_all.n > end.n &&
	       span_equal(span_after(heard_all, heard_all.n - end.n), end);
}

static void
live(void)
{
	struct rig_backend backend = { .connected = connected, .heard = heard };
	size_t said = 1; /* the banner */

	sessions++;
	server.step = 0;
	rig_start(&rig, &backend);
	for (size_t i = 0; i < SAYS && rig.session != NULL; i++) {
		rig_say(&rig, SIDE_CLIENT, says[i]);
		said += i == 2 ? 2 : 1;
		if (i == 3 && !is_going_ahead())
			i++; /* it has no message to send */
	}
	rig_end(&rig);
	judge(said);
}

/* --- cases --- */

static void
report(const char *name)
{
	failed += faults > 0;
	printf("%sok %u - %s\n", faults > 0 ? "not " : "", ++cases, name);
	fflush(stdout);
	faults = 0;
}

static bool
goes_on(void)
{
	return !is_hasty || faults == 0;
}

static void
set_server(unsigned hostile_at, unsigned extra_at, struct span text,
	   unsigned percent)
{
	server.hostile_at = hostile_at;
	server.extra_at = extra_at;
	server.text = text;
	server.percent = percent;
}

/* At each step, at once and octet by octet. */
static void
try_hostile(struct span text, bool is_long)
{
	for (unsigned step = 0; step < STEPS && goes_on(); step++)
		for (rig.piece_max = 0; rig.piece_max < 2; rig.piece_max++) {
			if (is_long && rig.piece_max == 1)
				continue;
			set_server(step, NEVER, text, 0);
			live();
			tried++;
		}
	rig.piece_max = 0;
}

static void
test_hostile(void)
{
	for (size_t i = 0; i < HOSTILE; i++)
		try_hostile(hostile[i], false);
	for (size_t i = 0; i < ENDLESS_KINDS; i++)
		try_hostile(buf_span(&endless[i]), true);
	report("hostile replies at every step");
}

/* Behind each answer that leaves nothing outstanding. The session must be over
 * before the client says anything more; and what it hears is a goodbye. */
static void
try_unsolicited(size_t group, unsigned extra_at)
{
	struct rig_backend backend = { .connected = connected, .heard = heard };

	sessions++;
	tried++;
	set_server(NEVER, extra_at, SPAN_LIT("250 2.0.0 Surprise\r\n"), 0);
	server.step = 0;
	rig_start(&rig, &backend);
	for (size_t i = 0; i <= group && rig.session != NULL; i++)
		rig_say(&rig, SIDE_CLIENT, says[i]);
	if (rig.session != NULL)
		fault("a reply that nobody asked for does not close both");
	rig_end(&rig);
	judge(2 + group + (group >= 2));
}

static void
test_unsolicited(void)
{
	try_unsolicited(0, 0); /* behind the banner */
	try_unsolicited(0, 1); /* … the greeting */
	try_unsolicited(1, 2); /* … MAIL */
	try_unsolicited(2, 4); /* … both RCPT */
	try_unsolicited(4, 6); /* … the end of data */
	report("a reply that nobody asked for closes both sides");
}

/* The same while the client sends its message, which waits at the gate. */
static void
test_unsolicited_in_data(void)
{
	struct rig_backend backend = { .connected = connected, .heard = heard };
	struct span message = SPAN_LIT(MESSAGE);

	for (size_t cut = 0; cut < message.n && goes_on(); cut++) {
		sessions++;
		tried++;
		set_server(NEVER, NEVER, SPAN_NONE, 0);
		rig_start(&rig, &backend);
		for (size_t i = 0; i <= 3; i++)
			rig_say(&rig, SIDE_CLIENT, says[i]);
		rig_say(&rig, SIDE_CLIENT, span_first(message, cut));
		rig_say(&rig, SIDE_BACKEND, SPAN_LIT("250 2.0.0 Surprise\r\n"));
		if (rig.session != NULL)
			fault("a reply in the data does not close both");
		rig_end(&rig);
		judge(6);
		if (server.lenient.messages > 0)
			fault("the backend has a message");
	}
	report("a reply that nobody asked for in the data");
}

static void
test_random(void)
{
	for (unsigned long i = 0; i < SESSIONS && goes_on(); i++) {
		set_server(NEVER, NEVER, SPAN_NONE,
			   1 + (unsigned)chance_below(&chance, 40));
		rig.piece_max = chance_percent(&chance, 40)
					? 1 + chance_below(&chance, 30)
					: 0;
		live();
		tried++;
	}
	report("replies at random");
}

/* Without an end: of lines, of a line, of replies. */
static void
write_endless(void)
{
	static const char *const line[] = { "250-more\r\n", "250 aaaaaaaaaa",
					    "250 one more\r\n" };

	for (unsigned i = 0; i < ENDLESS_KINDS; i++) {
		buf_init(&endless[i], ENDLESS_MAX);
		for (unsigned n = 0; n < 1000000; n++)
			buf_append(&endless[i],
				   i == ENDLESS_LINE && n > 0
					   ? SPAN_LIT("aaaaaaaaaaaaaa")
					   : span_cstr(line[i]));
	}
}

int
main(int argc, char **argv)
{
	struct dkim_engine *dkim = dkim_engine_new(DKIM_ENGINE_NATIVE);
	struct conf *conf = rig_conf(conf_text);

	is_hasty = argc > 1 && span_equal(span_cstr(argv[1]), SPAN_LIT("-x"));
	if (argc > 1 && !is_hasty && !span_u64(span_cstr(argv[1]), &chance))
		return 64;
	if (conf == NULL)
		return 2;
	buf_init(&random_text, 65536);
	write_endless();
	lenient_init(&server.lenient, &lenient_manners[0]);
	rig_init(&rig, conf, dkim);
	printf("1..4\n");
	test_hostile();
	test_unsolicited();
	test_unsolicited_in_data();
	test_random();
	printf("#: %lu sessions with a hostile backend: the client heard "
	       "clean replies, and not one too many, in all but %u cases\n",
	       tried, failed);
	rig_fini(&rig);
	lenient_fini(&server.lenient);
	for (unsigned i = 0; i < ENDLESS_KINDS; i++)
		buf_fini(&endless[i]);
	buf_fini(&random_text);
	conf_free(conf);
	dkim_engine_free(dkim);
	return failed == 0 ? 0 : 1;
}
