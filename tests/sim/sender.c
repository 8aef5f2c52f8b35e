/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client: says one group of commands after the other, keeps account of
 * what is not answered, and of what it knows of each recipient.
 */
#include "tests/sim/world.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define FLOOD 700000
#define HOUR_US UINT64_C(3600000000)
#define PAUSES_US_MAX (2 * HOUR_US)

static struct party *
party(struct world *world)
{
	return &world->stage.party[SIDE_CLIENT];
}

static bool
one_in(struct world *world, unsigned n)
{
	return world_below(world, n) == 0;
}

static void
say(struct world *world, const char *text)
{
	stage_say(&world->stage, SIDE_CLIENT, span_cstr(text));
}

static void
expect(struct world *world, enum said said, unsigned recipient)
{
	struct sender *sender = &world->sender;
	unsigned at = (sender->first + sender->count++) % WORLD_QUEUE_MAX;

	assert(sender->count <= WORLD_QUEUE_MAX);
	sender->queue[at].said = said;
	sender->queue[at].recipient = recipient;
}

static void
command(struct world *world, enum said said, unsigned recipient,
	const char *text)
{
	say(world, text);
	say(world, "\r\n");
	expect(world, said, recipient);
}

void
sender_start(struct world *world)
{
	struct sender *sender = &world->sender;
	struct conf_networks listed =
		world->scenario->props.conf->listeners[0].xclient_from;

	*sender = (struct sender){
		.phase = SENDER_WAITS,
		.first_recipient = world->session,
		.is_shy = one_in(world, 4),
		.is_extended = !one_in(world, 8),
		.is_identified = listed.count == 0 || one_in(world, 2),
	};
	world->client = "192.0.2.10";
	expect(world, SAID_NOTHING, 0);
}

/* --- what is known of the messages --- */

static bool
is_open(const struct post *post)
{
	for (unsigned i = 0; i < post->count; i++)
		if (post->recipients[i].fate == FATE_OPEN)
			return true;
	return false;
}

bool
sender_has_more(const struct world *world)
{
	for (unsigned i = 0; i < world->post_count; i++)
		if (is_open(&world->posts[i]))
			return true;
	return false;
}

static struct post *
next_post(struct world *world)
{
	struct sender *sender = &world->sender;

	/* Each in its turn is the first: one may end the session. */
	for (unsigned i = 0; i < world->post_count; i++) {
		unsigned at = (world->session + i) % world->post_count;

		if (sender->is_tried[at] || !is_open(&world->posts[at]))
			continue;
		sender->is_tried[at] = true;
		return &world->posts[at];
	}
	return NULL;
}

/* Every good recipient of the mail under way has found this fate. */
static void
settle_good(struct sender *sender, enum fate fate)
{
	for (unsigned i = 0; i < sender->post->count; i++)
		if (sender->is_good[i])
			sender->post->recipients[i].fate = fate;
}

/* --- saying --- */

static void
say_hello(struct world *world)
{
	struct sender *sender = &world->sender;

	if (!sender->is_identified) {
		sender->is_identified = true;
		world->client = "192.0.2.77";
		command(world, SAID_XCLIENT, 0,
			"XCLIENT ADDR=192.0.2.77 PORT=99 NAME=other.example");
	} else {
		snprintf(sender->hello, sizeof(sender->hello),
			 "%s client%u.example",
			 sender->is_extended ? "EHLO" : "HELO",
			 world_below(world, 10));
		command(world, SAID_HELLO, 0, sender->hello);
	}
	sender->phase = SENDER_WAITS;
}

static bool
offers(const struct sender *sender, enum extension extension)
{
	return (sender->offered & EXTENSION_BIT(extension)) != 0;
}

static void
say_mail(struct world *world)
{
	struct sender *sender = &world->sender;
	const struct post *post = sender->post;
	char size[32] = "";

	if (offers(sender, EXTENSION_SIZE) && one_in(world, 2))
		snprintf(size, sizeof(size), " SIZE=%zu", post->wire.n);
	say(world, post->is_null_sender ? "MAIL FROM:<>"
					: "MAIL FROM:<alice@sender.example>");
	say(world, size);
	if (offers(sender, EXTENSION_8BITMIME) && post->is_eight_bit)
		say(world, " BODY=8BITMIME");
	if (offers(sender, EXTENSION_SMTPUTF8) && one_in(world, 4))
		say(world, " SMTPUTF8");
	if (offers(sender, EXTENSION_DSN) && one_in(world, 4))
		say(world, " RET=HDRS ENVID=QQ314159");
	command(world, SAID_MAIL, 0, "");
	sender->phase = SENDER_RCPT;
}

static void
begin_mail(struct world *world)
{
	struct sender *sender = &world->sender;

	sender->post = next_post(world);
	sender->next = sender->good = 0;
	sender->copies = 0;
	memset(sender->is_good, 0, sizeof(sender->is_good));
	if (sender->post == NULL)
		sender->phase = SENDER_QUIT;
	else
		say_mail(world);
}

static void
say_recipient(struct world *world)
{
	struct sender *sender = &world->sender;
	const struct post *post = sender->post;
	unsigned at;
	char text[128];

	do {
		at = (sender->first_recipient + sender->next) % post->count;
	} while (post->recipients[at].fate != FATE_OPEN &&
		 ++sender->next < post->count);
	if (sender->next++ >= post->count) {
		sender->phase = SENDER_DATA;
		return;
	}
	snprintf(text, sizeof(text), "RCPT TO:<%s>%s",
		 post->recipients[at].address,
		 offers(sender, EXTENSION_DSN) && one_in(world, 4)
			 ? " NOTIFY=NEVER"
			 : "");
	command(world, SAID_RCPT, at, text);
}

static void
say_rset(struct world *world)
{
	command(world, SAID_RSET, 0, "RSET");
	world->sender.phase = SENDER_WAITS;
}

static void
say_data(struct world *world)
{
	struct sender *sender = &world->sender;

	if (world_fault(world, FAULT_CLIENT_CHANGES_ITS_MIND) ||
	    (sender->count == 0 && sender->good == 0)) {
		say_rset(world);
		return;
	}
	command(world, SAID_DATA, 0, "DATA");
	sender->phase = SENDER_WAITS;
	if (world_fault(world, FAULT_CLIENT_TALKS_EARLY)) {
		stage_say(&world->stage, SIDE_CLIENT,
			  buf_span(&sender->post->wire));
		sender->has_talked = true;
	}
}

/* Gone in the middle of it. */
static void
break_off(struct world *world)
{
	struct sender *sender = &world->sender;

	sender->phase = SENDER_DONE;
	sender->is_closed = true;
	sender->is_deaf = one_in(world, 2);
	stage_hang_up(&world->stage, SIDE_CLIENT,
		      sender->is_deaf ? -ECONNRESET : 0);
}

static void
say_content(struct world *world)
{
	struct sender *sender = &world->sender;
	struct span wire = buf_span(&sender->post->wire);
	size_t end = sender->breaks_at < wire.n ? sender->breaks_at : wire.n;
	size_t n = end - sender->content_at;

	if (n > 0 && one_in(world, 4))
		n = 1 + world_below(world, (unsigned)n);
	stage_say(&world->stage, SIDE_CLIENT,
		  span_first(span_after(wire, sender->content_at), n));
	sender->content_at += n;
	if (world_fault(world, FAULT_CLIENT_PAUSES))
		world_sleep(world, &sender->wakes_us, PAUSES_US_MAX);
	if (sender->content_at == wire.n) {
		expect(world, SAID_CONTENT, 0);
		sender->phase = SENDER_WAITS;
	}
}

static void
say_babble(struct world *world)
{
	static const char *const babble[] = {
		"XYZZY",
		"",
		"MAIL FROM:alice",
		"RCPT TO:<",
		"NOOP",
		"VRFY bob",
		"HELP",
		"EHLO",
		"DATA now",
		"AUTH PLAIN",
		"MAIL FROM:<a@b> X=Y",
		"STARTTLS",
	};

	if (one_in(world, 8)) {
		for (unsigned i = 0; i < 60; i++)
			say(world, "A LINE THAT DOES NOT END, AND DOES NOT "
				   "END, AND DOES NOT");
		command(world, SAID_OTHER, 0, "");
	} else {
		command(world, SAID_OTHER, 0, babble[world_below(world, 12)]);
	}
}

static void
flood(struct world *world)
{
	static char noops[60001];

	for (size_t i = 0; i + 6 < sizeof(noops); i += 6)
		memcpy(noops + i, "NOOP\r\n", 6);
	world->stage.piece_max = SESSION_OCTETS_MAX;
	for (size_t n = 0; n < FLOOD; n += sizeof(noops) - 1)
		say(world, noops);
	world->sender.has_lost_track = true;
	world->sender.phase = SENDER_DONE;
}

static void
say_quit(struct world *world)
{
	struct sender *sender = &world->sender;

	sender->phase = SENDER_DONE;
	if (one_in(world, 6)) {
		sender->is_closed = true;
		stage_hang_up(&world->stage, SIDE_CLIENT, 0);
	} else {
		command(world, SAID_QUIT, 0, "QUIT");
	}
}

/* Between commands. */
static bool
misbehave(struct world *world)
{
	struct sender *sender = &world->sender;
	bool is_between = sender->phase != SENDER_WAITS &&
			  sender->phase != SENDER_CONTENT;

	if (world_fault(world, FAULT_CLIENT_PAUSES)) {
		world_sleep(world, &sender->wakes_us, PAUSES_US_MAX);
		return true;
	}
	if (world_fault(world, FAULT_CLIENT_FALLS_SILENT)) {
		sender->phase = SENDER_DONE;
		return true;
	}
	if (is_between && world_fault(world, FAULT_CLIENT_FLOODS)) {
		flood(world);
		return true;
	}
	if (is_between && sender->count == 0 &&
	    world_fault(world, FAULT_CLIENT_BABBLES)) {
		say_babble(world);
		return true;
	}
	return false;
}

static void
speak(struct world *world)
{
	switch (world->sender.phase) {
	case SENDER_HELLO:
		say_hello(world);
		return;
	case SENDER_MAIL:
		begin_mail(world);
		return;
	case SENDER_RCPT:
		say_recipient(world);
		return;
	case SENDER_DATA:
		say_data(world);
		return;
	case SENDER_CONTENT:
		if (world->sender.content_at >= world->sender.breaks_at)
			break_off(world);
		else
			say_content(world);
		return;
	case SENDER_RSET:
		say_rset(world);
		return;
	case SENDER_QUIT:
		say_quit(world);
		return;
	case SENDER_WAITS:
	case SENDER_DONE:
		return;
	}
}

/* --- hearing --- */

static void
hear_greeting(struct world *world, unsigned code)
{
	struct sender *sender = &world->sender;

	if (code / 100 == 2) {
		sender->phase = SENDER_MAIL;
		sender->is_pipelining =
			!sender->is_shy && offers(sender, EXTENSION_PIPELINING);
	} else if (sender->is_extended && code / 100 == 5) {
		sender->is_extended = false;
		sender->phase = SENDER_HELLO;
	} else {
		sender->phase = SENDER_QUIT;
	}
}

static void
hear_mail(struct world *world, unsigned code)
{
	struct sender *sender = &world->sender;

	sender->is_sender_refused = code / 100 != 2;
	if (code / 100 == 2)
		return;
	/* Pipelined recipients hear 503: nothing is known of them. */
	if (code / 100 == 5)
		for (unsigned i = 0; i < sender->post->count; i++)
			if (sender->post->recipients[i].fate == FATE_OPEN)
				sender->post->recipients[i].fate = FATE_REFUSED;
	if (sender->phase == SENDER_RCPT || sender->phase == SENDER_DATA)
		sender->phase = SENDER_MAIL;
}

static void
hear_recipient(struct world *world, unsigned recipient, unsigned code)
{
	struct sender *sender = &world->sender;

	if (code / 100 == 2 && sender->is_sender_refused)
		stage_fail(&world->stage, "a recipient is good, though the "
					  "sender was refused");
	if (code / 100 == 2) {
		sender->is_good[recipient] = true;
		sender->good++;
	} else if (code / 100 == 5 && code != 503) {
		sender->post->recipients[recipient].fate = FATE_REFUSED;
	}
}

static void
hear_data(struct world *world, unsigned code)
{
	struct sender *sender = &world->sender;

	if (sender->has_talked) {
		/* What it said is a message now, or many strange commands. */
		sender->has_lost_track = code != 354;
		sender->phase = code == 354 ? SENDER_WAITS : SENDER_DONE;
		expect(world, SAID_CONTENT, 0);
		sender->has_talked = false;
		return;
	}
	sender->phase = SENDER_RSET; /* MAIL was taken, maybe */
	if (code == 354) {
		sender->phase = SENDER_CONTENT;
		sender->content_at = 0;
		sender->breaks_at = SIZE_MAX;
		if (world_fault(world, FAULT_CLIENT_BREAKS_OFF))
			sender->breaks_at = world_below(
				world, (unsigned)sender->post->wire.n);
	} else if (code / 100 == 5 && sender->good > 0) {
		settle_good(sender, FATE_REFUSED);
	}
}

/* In good times the reply is the one that the author's policy asks for. */
static void
check_expected(struct world *world, unsigned code)
{
	const struct sender *sender = &world->sender;
	const struct conf *conf = world->scenario->props.conf;
	const struct conf_route *route = NULL;
	unsigned expected;

	for (unsigned i = 0; i < sender->post->count; i++)
		if (sender->is_good[i])
			route = post_route(conf,
					   sender->post->recipients[i].address);
	if (!world_is_calm(world) || route == NULL)
		return;
	expected = post_expected(sender->post, conf, route);
	if (expected != 0 && expected != code / 100)
		stage_fail(&world->stage,
			   "all is calm, and the message is answered %u, but "
			   "%uxx was to be expected",
			   code, expected);
}

static void
hear_final(struct world *world, unsigned code)
{
	struct sender *sender = &world->sender;

	world->tally->replies[code / 100]++;
	mta_finish(world);
	check_expected(world, code);
	if (code / 100 == 2) {
		if (sender->copies != 1)
			stage_fail(&world->stage,
				   "the sender got a 2xx, backends hold %u "
				   "copies",
				   sender->copies);
		settle_good(sender, FATE_DELIVERED);
	} else if (code / 100 == 5) {
		if (sender->copies != 0)
			stage_fail(&world->stage,
				   "the message was refused, and a backend has "
				   "it");
		settle_good(sender, FATE_REFUSED);
	}
	sender->phase = SENDER_MAIL;
}

static void
hear_reply(struct world *world, enum said said, unsigned recipient,
	   unsigned code)
{
	struct sender *sender = &world->sender;

	switch (said) {
	case SAID_NOTHING:
		sender->phase = code == 220 ? SENDER_HELLO : SENDER_QUIT;
		return;
	case SAID_XCLIENT:
		sender->phase = code == 220 ? SENDER_HELLO : SENDER_QUIT;
		return;
	case SAID_HELLO:
		hear_greeting(world, code);
		return;
	case SAID_MAIL:
		hear_mail(world, code);
		return;
	case SAID_RCPT:
		hear_recipient(world, recipient, code);
		return;
	case SAID_DATA:
		hear_data(world, code);
		return;
	case SAID_CONTENT:
		hear_final(world, code);
		return;
	case SAID_RSET:
		sender->phase = SENDER_MAIL;
		return;
	case SAID_QUIT:
	case SAID_OTHER:
		return;
	}
}

/* A keyword of an EHLO reply. */
static void
hear_keyword(struct sender *sender, struct span keyword)
{
	static const struct {
		struct span word;
		enum extension extension;
	} keywords[] = {
		{ SPAN_LIT("PIPELINING"), EXTENSION_PIPELINING },
		{ SPAN_LIT("SIZE"), EXTENSION_SIZE },
		{ SPAN_LIT("8BITMIME"), EXTENSION_8BITMIME },
		{ SPAN_LIT("SMTPUTF8"), EXTENSION_SMTPUTF8 },
		{ SPAN_LIT("DSN"), EXTENSION_DSN },
	};

	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (span_starts(keyword, keywords[i].word))
			sender->offered |= EXTENSION_BIT(keywords[i].extension);
}

static unsigned
code_of(struct world *world, struct span line)
{
	for (size_t i = 0; i < 3; i++)
		if (line.n < 4 || !octet_is_digit(line.p[i])) {
			stage_fail(&world->stage, "no reply: %.*s", (int)line.n,
				   (const char *)line.p);
			return 0;
		}
	return (unsigned)((line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 +
			  (line.p[2] - '0'));
}

static void
hear_line(struct world *world, struct span line)
{
	struct sender *sender = &world->sender;
	unsigned code = code_of(world, line);
	enum said said = sender->queue[sender->first].said;
	unsigned recipient = sender->queue[sender->first].recipient;

	if (stage_has_failed(&world->stage) || sender->has_lost_track)
		return;
	if (said == SAID_HELLO && sender->count > 0)
		hear_keyword(sender, span_after(line, 4));
	if (line.p[3] == '-')
		return;
	if (sender->count == 0 && code != 421)
		stage_fail(&world->stage, "a reply that nothing asked for: %u",
			   code);
	if (sender->count == 0)
		return;
	sender->first = (sender->first + 1) % WORLD_QUEUE_MAX;
	sender->count--;
	hear_reply(world, said, recipient, code);
	if (code == 421)
		sender->phase = SENDER_DONE;
}

/* All whole lines, or one. */
static bool
hear(struct world *world, bool is_all)
{
	struct heard *heard = &party(world)->heard;
	bool has_heard = false;

	while (is_all || !has_heard) {
		struct span unread =
			span_after(buf_span(&heard->octets), heard->at);
		size_t n = span_find(unread, '\n');

		if (n == unread.n)
			break;
		heard->at += n + 1;
		has_heard = true;
		hear_line(world, span_first(unread, n + 1));
		if (stage_has_failed(&world->stage))
			break;
	}
	if (heard->at == heard->octets.n) {
		buf_reset(&heard->octets);
		heard->at = 0;
	}
	return has_heard;
}

void
sender_hear_rest(struct world *world)
{
	struct sender *sender = &world->sender;
	struct heard *heard = &party(world)->heard;

	if (!sender->is_deaf)
		hear(world, true);
	buf_reset(&heard->octets);
	heard->at = 0;
}

/* --- */

static bool
may_speak(const struct world *world)
{
	const struct sender *sender = &world->sender;

	if (sender->phase == SENDER_WAITS || sender->phase == SENDER_DONE ||
	    sender->is_closed || sender->wakes_us > world->stage.now_us)
		return false;
	if (sender->phase == SENDER_CONTENT)
		return world->stage.party[SIDE_CLIENT].unsaid.n == 0;
	if (sender->count == 0)
		return true;
	return sender->is_pipelining && sender->count < WORLD_QUEUE_MAX / 2 &&
	       (sender->phase == SENDER_RCPT || sender->phase == SENDER_DATA);
}

static bool
leave(struct world *world)
{
	struct sender *sender = &world->sender;

	if (sender->is_closed || !party(world)->is_open)
		return false;
	if (world_fault(world, FAULT_CLIENT_RESETS)) {
		sender->is_closed = sender->is_deaf = true;
		sender->phase = SENDER_DONE;
		stage_hang_up(&world->stage, SIDE_CLIENT, -ECONNRESET);
		return true;
	}
	if (party(world)->unsaid.n == 0 &&
	    world_fault(world, FAULT_CLIENT_CLOSES)) {
		sender->is_closed = true;
		stage_hang_up(&world->stage, SIDE_CLIENT, 0);
		return true;
	}
	return false;
}

bool
sender_step(struct world *world)
{
	if (world->stage.session == NULL || world->sender.is_deaf)
		return false;
	if (leave(world))
		return true;
	if (party(world)->is_stalled)
		return false;
	if (hear(world, !one_in(world, 4)))
		return true;
	if (!may_speak(world))
		return false;
	if (!misbehave(world))
		speak(world);
	return true;
}

/* All has been tried: what has become of each recipient? */
void
sender_settle(struct world *world)
{
	struct tally *tally = world->tally;

	for (unsigned i = 0; i < world->post_count; i++) {
		struct post *post = &world->posts[i];

		tally->messages++;
		tally->recipients += post->count;
		for (unsigned k = 0; k < post->count; k++) {
			const struct post_recipient *r = &post->recipients[k];

			tally->delivered += r->fate == FATE_DELIVERED;
			tally->refused += r->fate == FATE_REFUSED;
			tally->given_up += r->fate == FATE_OPEN;
			tally->doubled += r->copies > 1;
			if (r->fate != FATE_DELIVERED || r->copies > 0)
				continue;
			tally->lost++;
			stage_fail(&world->stage, "a message is lost for %s",
				   r->address);
		}
	}
}
