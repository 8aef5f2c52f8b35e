/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_commands: whatever a client sends for commands, the backend hears
 * commands of the gate's own making: well-formed, of allowed octets, not more
 * than the client gave, with no path that the client did not name.
 *
 *     test_commands [-x] [SEED]
 *
 * Lines are put together from pieces that have broken mail servers, spoilt at
 * random places, and sent in random pieces to gates that tell the backend who
 * the client is in each of the ways there are. -x stops at the first fault.
 */
#include "tests/smuggle/chance.h"
#include "tests/smuggle/lenient.h"
#include "tests/smuggle/rig.h"
#include "tests/smuggle/strict.h"

#include <stdio.h>

#define LINES 200000
#define LINES_A_SESSION 12
#define SAID_MAX (1u << 20)
#define DEFAULT_SEED 2026
#define FAULTS_SHOWN 3

static const char *const confs[] = {
	"hostname = \"gate.example\"\n"
	"listen \"198.51.100.25:25\" { }\n"
	"backend \"mta\" { address = {\"127.0.0.1:10025\"}\n"
	"identity = \"none\"\n trust-unidentified = yes }\n"
	"route \"*\" { backend = \"mta\" }\n limit { errors = 20 }\n",
	"hostname = \"gate.example\"\n"
	"listen \"198.51.100.25:25\" { xclient-from = {\"192.0.2.0/24\"} }\n"
	"backend \"mta\" { address = {\"127.0.0.1:10025\"}\n"
	"identity = \"xclient\" }\n"
	"route \"*\" { backend = \"mta\" }\n limit { errors = 20 }\n",
	"hostname = \"gate.example\"\n"
	"listen \"198.51.100.25:25\" { xclient-from = {\"192.0.2.0/24\"} }\n"
	"backend \"mta\" { address = {\"127.0.0.1:10025\"}\n"
	"identity = \"proxy-v1\" }\n"
	"route \"*\" { backend = \"mta\" }\n limit { errors = 20 }\n",
	"hostname = \"gate.example\"\n backend-connect = \"mail\"\n"
	"listen \"198.51.100.25:25\" { xclient-from = {\"192.0.2.0/24\"} }\n"
	"backend \"mta\" { address = {\"127.0.0.1:10025\"}\n"
	"identity = \"xclient\" }\n"
	"route \"*\" { backend = \"mta\" }\n limit { errors = 20 }\n",
};

#define CONFS (sizeof(confs) / sizeof(confs[0]))

static const struct span verbs[] = {
	SPAN_LIT("MAIL FROM:"),  SPAN_LIT("MAIL FROM:"),
	SPAN_LIT("mail from: "), SPAN_LIT("RCPT TO:"),
	SPAN_LIT("RCPT TO:"),    SPAN_LIT("Rcpt To: "),
	SPAN_LIT("EHLO "),       SPAN_LIT("HELO "),
	SPAN_LIT("XCLIENT"),     SPAN_LIT("DATA"),
	SPAN_LIT("RSET"),        SPAN_LIT("NOOP "),
	SPAN_LIT("VRFY "),       SPAN_LIT("AUTH PLAIN "),
	SPAN_LIT("ETRN "),       SPAN_LIT("STARTTLS"),
	SPAN_LIT("XFORWARD"),    SPAN_LIT(" MAIL FROM:"),
};

static const struct span paths[] = {
	SPAN_LIT("<alice@sender.example>"),
	SPAN_LIT("<bob@backend.example>"),
	SPAN_LIT("<alice@sender.example>"),
	SPAN_LIT("<bob@backend.example>"),
	SPAN_LIT("<>"),
	SPAN_LIT("<postmaster>"),
	SPAN_LIT("<\"a b\"@x.example>"),
	SPAN_LIT("<\"a\\\"b\"@x.example>"),
	SPAN_LIT("<\"a\\\\\"@x.example>"),
	SPAN_LIT("<\"a> SIZE=1 <b\"@x.example>"),
	SPAN_LIT("<\"a\r\nRCPT TO:<x@victim.example>\"@x.example>"),
	SPAN_LIT("<\"a\\\rb\"@x.example>"),
	SPAN_LIT("<\"a\\\nb\"@x.example>"),
	SPAN_LIT("<\"a\0b\"@x.example>"),
	SPAN_LIT("<\"\"@x.example>"),
	SPAN_LIT("<@a.example,@b.example:u@c.example>"),
	SPAN_LIT("<@a.example:\"q q\"@c.example>"),
	SPAN_LIT("<u@[192.0.2.1]>"),
	SPAN_LIT("<u@[IPv6:2001:db8::1]>"),
	SPAN_LIT("<u@[IPv6:::1\rRSET]>"),
	SPAN_LIT("<u@[IPv6:::1] SIZE=1>"),
	SPAN_LIT("<\xc3\xbc@\xc3\xbc.example>"),
	SPAN_LIT("<\xc0\x8d\xc0\x8a@x.example>"),
	SPAN_LIT("<u@\xc2\x85x.example>"),
	SPAN_LIT("<a@b.example><c@d.example>"),
	SPAN_LIT("<a@b.example"),
	SPAN_LIT("a@b.example"),
	SPAN_LIT("<a b@c.example>"),
	SPAN_LIT("<a@b.example\tc>"),
};

static const struct span parameters[] = {
	SPAN_LIT(" SIZE=1"),
	SPAN_LIT(" SIZE=1\rRCPT TO:<x@victim.example>"),
	SPAN_LIT(" SIZE=1\r\nRCPT TO:<x@victim.example>"),
	SPAN_LIT(" BODY=8BITMIME"),
	SPAN_LIT(" BODY=7BIT\n"),
	SPAN_LIT(" SMTPUTF8"),
	SPAN_LIT(" SMTPUTF8\tSIZE=2"),
	SPAN_LIT(" RET=FULL"),
	SPAN_LIT(" ENVID=abc"),
	SPAN_LIT(" ENVID=+0D+0A"),
	SPAN_LIT(" ENVID=a+0D+0ARSET"),
	SPAN_LIT(" ENVID=a+7F"),
	SPAN_LIT(" ENVID=a=b"),
	SPAN_LIT(" ENVID=a\xc2\x85"),
	SPAN_LIT(" NOTIFY=NEVER"),
	SPAN_LIT(" NOTIFY=SUCCESS,FAILURE"),
	SPAN_LIT(" ORCPT=rfc822;a@b.example"),
	SPAN_LIT(" ORCPT=rfc822;a+0D+0Ab@c.example"),
	SPAN_LIT(" ORCPT=utf-8;a\\x{0D}\\x{0A}"),
	SPAN_LIT(" AUTH=<>"),
	SPAN_LIT(" AUTH=a+0D+0A"),
	SPAN_LIT(" X-ANY=1"),
};

static const struct span words[] = {
	SPAN_LIT("client.example"),
	SPAN_LIT("[192.0.2.10]"),
	SPAN_LIT("[IPv6:::1]"),
	SPAN_LIT("a b"),
	SPAN_LIT("a\x1b[2Jb"),
	SPAN_LIT("a\rMAIL FROM:<>"),
	SPAN_LIT("a\0b"),
	SPAN_LIT("WIN_PC"),
	SPAN_LIT("b\xc3\xbc.example"),
	SPAN_LIT("\xc2\x9b"),
	SPAN_LIT("-"),
	SPAN_LIT(""),
};

static const struct span attributes[] = {
	SPAN_LIT(" ADDR=192.0.2.77"),
	SPAN_LIT(" ADDR=IPV6:2001:db8::7"),
	SPAN_LIT(" ADDR=192.0.2.1+0D+0A"),
	SPAN_LIT(" NAME=client.example"),
	SPAN_LIT(" NAME=a+0D+0ARCPT+20TO:<x@victim.example>"),
	SPAN_LIT(" NAME=[UNAVAILABLE]"),
	SPAN_LIT(" HELO=x+20y"),
	SPAN_LIT(" HELO=x+0D+0AQUIT"),
	SPAN_LIT(" HELO=client.example"),
	SPAN_LIT(" LOGIN=alice"),
	SPAN_LIT(" LOGIN=a+0Ab"),
	SPAN_LIT(" LOGIN=+C2+85"),
	SPAN_LIT(" PORT=4242"),
	SPAN_LIT(" PORT=1+0D"),
	SPAN_LIT(" PROTO=ESMTP"),
};

static const struct span ends[] = {
	SPAN_LIT("\n"),   SPAN_LIT("\r"),     SPAN_LIT("\r\r\n"),
	SPAN_LIT("\n\r"), SPAN_LIT("\0\r\n"),
};

static const char ehlo[] = "250-mta.example\r\n"
			   "250-PIPELINING\r\n"
			   "250-SIZE 10240000\r\n"
			   "250-8BITMIME\r\n"
			   "250-SMTPUTF8\r\n"
			   "250-DSN\r\n"
			   "250-XCLIENT NAME ADDR PORT HELO LOGIN PROTO\r\n"
			   "250 ENHANCEDSTATUSCODES\r\n";

static uint64_t chance = DEFAULT_SEED;
static struct buf line, said;
static unsigned long lines, sessions, mails_heard, rcpts_heard, messages;
static unsigned long xclients_heard;
static unsigned faults;

static bool
is_any(struct span text, const char *one, const char *other)
{
	return span_starts_nocase(span_trim(text), span_cstr(one)) ||
	       span_starts_nocase(span_trim(text), span_cstr(other));
}

/* The arguments that go with a verb. */
static void
write_arguments(struct span verb)
{
	if (is_any(verb, "MAIL", "RCPT")) {
		buf_append(&line, CHANCE_PICK(&chance, paths));
		while (chance_percent(&chance, 35))
			buf_append(&line, CHANCE_PICK(&chance, parameters));
	} else if (is_any(verb, "XCLIENT", "XFORWARD")) {
		do
			buf_append(&line, CHANCE_PICK(&chance, attributes));
		while (chance_percent(&chance, 60));
	} else if (verb.p[verb.n - 1] == ' ') {
		buf_append(&line, CHANCE_PICK(&chance, words));
	}
}

static void
write_line(void)
{
	struct span verb = CHANCE_PICK(&chance, verbs);

	buf_reset(&line);
	buf_append(&line, verb);
	write_arguments(verb);
	while (chance_percent(&chance, 5))
		chance_spoil(&chance, &line);
	if (chance_percent(&chance, 1))
		for (unsigned i = 0; i < 3000; i++)
			buf_append_octet(&line, 'x');
	buf_append(&line, chance_percent(&chance, 2)
				  ? CHANCE_PICK(&chance, ends)
				  : SPAN_LIT("\r\n"));
	lines++;
}

static void
fault(const struct rig *rig, const char *what, struct span where)
{
	if (faults++ >= FAULTS_SHOWN)
		return;
	printf("# found: session %lu: %s\n", sessions, what);
	rig_print("where", where);
	rig_print("client said", buf_span(&said));
	rig_print("backend heard", buf_span(&rig->backend_heard));
	rig_print("client heard", buf_span(&rig->client_heard));
}

/* --- sessions --- */

static void
backend_connected(void *self, struct buf *reply)
{
	lenient_reset(self);
	buf_append(reply, SPAN_LIT("220 mta.example ESMTP\r\n"));
}

static void
backend_heard(void *self, struct span octets, struct buf *reply)
{
	lenient_hear(self, octets, reply);
}

static void
say(struct rig *rig, struct span octets)
{
	buf_append(&said, octets);
	rig_say(rig, SIDE_CLIENT, octets);
}

static bool
has_heard(const struct rig *rig, struct span end)
{
	struct span heard = buf_span(&rig->client_heard);

	return heard.n >= end.n &&
	       span_starts(span_after(heard, heard.n - end.n), end);
}

static void
judge(const struct rig *rig, bool has_data)
{
	struct strict_commands heard;
	struct strict_replies replies;
	struct span all = buf_span(&said);

	strict_commands_read(&heard, buf_span(&rig->backend_heard), all);
	strict_replies_read(&replies, buf_span(&rig->client_heard));
	mails_heard += heard.mails;
	rcpts_heard += heard.rcpts;
	xclients_heard += heard.xclients;
	messages += heard.datas;
	if (heard.reason != NULL)
		fault(rig, heard.reason, heard.line);
	else if (replies.reason != NULL)
		fault(rig, replies.reason, replies.line);
	else if (heard.mails > strict_count_verb(all, SPAN_LIT("MAIL")) ||
		 heard.rcpts > strict_count_verb(all, SPAN_LIT("RCPT")) ||
		 heard.datas >
			 (has_data ? strict_count_verb(all, SPAN_LIT("DATA"))
				   : 0))
		fault(rig, "more commands than the client gave", all);
}

static void
live(struct rig *rig, const struct rig_backend *backend)
{
	size_t count = 1 + chance_below(&chance, LINES_A_SESSION * 2);
	bool has_data = false;

	sessions++;
	buf_reset(&said);
	rig_start(rig, backend);
	rig->piece_max =
		chance_percent(&chance, 30) ? 1 + chance_below(&chance, 40) : 0;
	if (chance_percent(&chance, 85))
		say(rig, SPAN_LIT("EHLO client.example\r\n"));
	if (chance_percent(&chance, 60))
		say(rig, SPAN_LIT("MAIL FROM:<alice@sender.example>\r\n"));
	if (chance_percent(&chance, 40))
		say(rig, SPAN_LIT("RCPT TO:<bob@backend.example>\r\n"));
	for (size_t i = 0; i < count && rig->session != NULL; i++) {
		write_line();
		say(rig, buf_span(&line));
		if (!has_heard(rig, SPAN_LIT("<CR><LF>.<CR><LF>\r\n")))
			continue;
		/* It is in the data: one message, and no more commands that
		 * would have to be told from it. */
		has_data = true;
		rig_say(rig, SIDE_CLIENT,
			SPAN_LIT("From: a@b.example\r\n\r\nHi.\r\n.\r\n"));
		break;
	}
	rig_end(rig);
	judge(rig, has_data);
}

int
main(int argc, char **argv)
{
	struct dkim_engine *dkim = dkim_engine_new(DKIM_ENGINE_NATIVE);
	bool is_hasty =
		argc > 1 && span_equal(span_cstr(argv[1]), SPAN_LIT("-x"));
	static struct lenient mta;
	static struct rig rigs[CONFS];
	struct rig_backend backend = { .self = &mta,
				       .connected = backend_connected,
				       .heard = backend_heard };
	struct conf *read[CONFS];
	bool is_good;

	if (argc > 1 && !is_hasty && !span_u64(span_cstr(argv[1]), &chance))
		return 64;
	lenient_init(&mta, &lenient_manners[0]);
	mta.ehlo = ehlo;
	buf_init(&line, 65536);
	buf_init(&said, SAID_MAX);
	for (size_t i = 0; i < CONFS; i++) {
		read[i] = rig_conf(confs[i]);
		if (read[i] == NULL)
			return 2;
		rig_init(&rigs[i], read[i], dkim);
		rigs[i].probed[0].extensions =
			EXTENSION_BIT(EXTENSION_COUNT) - 1;
	}
	printf("1..1\n");
	while (lines < LINES && !(is_hasty && faults > 0))
		live(&rigs[sessions % CONFS], &backend);
	is_good = faults == 0 && mails_heard > 0 && rcpts_heard > 0 &&
		  xclients_heard > 0 && messages > 0;
	printf("#: %lu hostile lines in %lu sessions: the backends heard %lu "
	       "MAIL, %lu RCPT, %lu XCLIENT, %lu DATA: %u faults\n",
	       lines, sessions, mails_heard, rcpts_heard, xclients_heard,
	       messages, faults);
	printf("%sok 1 - commands are the gate's own\n", is_good ? "" : "not ");
	for (size_t i = 0; i < CONFS; i++) {
		rig_fini(&rigs[i]);
		conf_free(read[i]);
	}
	lenient_fini(&mta);
	buf_fini(&line);
	buf_fini(&said);
	dkim_engine_free(dkim);
	return is_good ? 0 : 1;
}
