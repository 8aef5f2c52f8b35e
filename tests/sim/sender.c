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
#define LINE_MAX_BABBLED 4096
#define HOUR_US UINT64_C(3600000000)
#define PAUSES_US_MAX (2 * HOUR_US)

static struct party *
party(struct world *world)
{
	return &world->stage.party[SIDE_CLIENT];
}

void
sender_expect(struct world *world, enum said said, unsigned recipient)
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
	char line[LINE_MAX_BABBLED];
	int n = snprintf(line, sizeof(line), "%s\r\n", text);

	assert(n > 0 && (size_t)n < sizeof(line));
	stage_say(&world->stage, SIDE_CLIENT, span_cstr(line));
	sender_expect(world, said, recipient);
}

/* The first are those of whoever connects. */
const char *
sender_address(unsigned i)
{
	static const char *const addresses[] = {
		"192.0.2.10", "192.0.2.100", "192.0.2.130",
		"192.0.2.77", "192.0.2.177", NULL,
	};

	return addresses[i];
}

void
sender_start(struct world *world)
{
	struct sender *sender = &world->sender;

	*sender = (struct sender){
		.phase = SENDER_WAITS,
		.first_recipient = world->session,
		.is_shy = world_one_in(world, 4),
		.is_extended = !world_one_in(world, 8),
	};
	sender_tls_start(world);
	sender_login_start(world);
	sender->is_identified =
		world->stage.peer.listener->xclient_from.count == 0 ||
		world_one_in(world, 2);
	world->client = sender_address(world_below(world, 3));
	ip_parse(span_cstr(world->client), &world->stage.peer.ip);
	sender_expect(world, SAID_NOTHING, 0);
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

/* --- saying --- */

static void
say_hello(struct world *world)
{
	struct sender *sender = &world->sender;
	char text[80];

	if (!sender->is_identified) {
		sender->is_identified = true;
		world->client = sender_address(3 + world_below(world, 2));
		snprintf(text, sizeof(text),
			 "XCLIENT ADDR=%s PORT=99 NAME=other.example",
			 world->client);
		command(world, SAID_XCLIENT, 0, text);
	} else {
		snprintf(sender->hello, sizeof(sender->hello),
			 "%s client%u.example",
			 sender->is_extended ? "EHLO" : "HELO",
			 world_below(world, 10));
		sender->hello_number++;
		command(world, SAID_HELLO, 0, sender->hello);
	}
	sender->phase = SENDER_WAITS;
}

static void
say_mail(struct world *world)
{
	struct sender *sender = &world->sender;
	const struct post *post = sender->post;
	bool has_size = sender_is_offered(sender, EXTENSION_SIZE) &&
			world_one_in(world, 2);
	bool is_eight_bit = sender_is_offered(sender, EXTENSION_8BITMIME) &&
			    post->is_eight_bit;
	bool is_utf8 = sender_is_offered(sender, EXTENSION_SMTPUTF8) &&
		       world_one_in(world, 4);
	bool has_dsn = sender_is_offered(sender, EXTENSION_DSN) &&
		       world_one_in(world, 4);
	char size[32] = "", text[160];

	sender->is_binary = post->binary.n > 0 &&
			    sender_is_offered(sender, EXTENSION_BINARYMIME);
	if (has_size)
		snprintf(size, sizeof(size), " SIZE=%zu", post->wire.n);
	bool has_author = sender_is_offered(sender, EXTENSION_AUTH) &&
			  world_one_in(world, 4);
	bool is_safe = sender_is_offered(sender, EXTENSION_REQUIRETLS) &&
		       world_one_in(world, 2);
	snprintf(text, sizeof(text), "MAIL FROM:<%s>%s%s%s%s%s%s",
		 post->is_null_sender ? "" : "alice@sender.example", size,
		 sender->is_binary ? " BODY=BINARYMIME"
		 : is_eight_bit    ? " BODY=8BITMIME"
				   : "",
		 is_utf8 ? " SMTPUTF8" : "",
		 has_dsn ? " RET=HDRS ENVID=QQ314159" : "",
		 is_safe ? " REQUIRETLS" : "", has_author ? " AUTH=<>" : "");
	command(world, SAID_MAIL, 0, text);
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
		 sender_is_offered(sender, EXTENSION_DSN) &&
				 world_one_in(world, 4)
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
begin_chunks(struct world *world)
{
	struct sender *sender = &world->sender;

	sender->phase = SENDER_CHUNKS;
	sender->content_at = 0;
	sender->is_chunk_refused = false;
	sender->breaks_at = SIZE_MAX;
	if (world_fault(world, FAULT_CLIENT_BREAKS_OFF))
		sender->breaks_at =
			world_below(world, 1 + (unsigned)sender->post->text.n);
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
	if (sender->is_binary ||
	    (sender_is_offered(sender, EXTENSION_CHUNKING) &&
	     world_one_in(world, 2))) {
		begin_chunks(world);
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
	sender->is_deaf = world_one_in(world, 2);
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

	if (n > 0 && world_one_in(world, 4))
		n = 1 + world_below(world, (unsigned)n);
	stage_say(&world->stage, SIDE_CLIENT,
		  span_first(span_after(wire, sender->content_at), n));
	sender->content_at += n;
	if (world_fault(world, FAULT_CLIENT_PAUSES))
		world_sleep(world, &sender->wakes_us, PAUSES_US_MAX);
	if (sender->content_at == wire.n) {
		sender_expect(world, SAID_CONTENT, 0);
		sender->phase = SENDER_WAITS;
	}
}

/* How large the next chunk is: all, some, little or nothing. */
static size_t
chunk_length(struct world *world, size_t left)
{
	unsigned how = world_below(world, 8);

	if (left == 0 || how < 3)
		return left;
	if (how == 3)
		return 0;
	return how < 6 ? 1 + world_below(world, (unsigned)left)
		       : 1 + world_below(world,
					 left < 80 ? (unsigned)left : 80);
}

/* Whether it knows who the message is for: a backend that takes it is held to
 * what the sender has heard by then. */
static bool
knows_envelope(const struct sender *sender)
{
	for (unsigned i = 0; i < sender->count; i++) {
		unsigned at = (sender->first + i) % WORLD_QUEUE_MAX;

		if (sender->queue[at].said == SAID_MAIL ||
		    sender->queue[at].said == SAID_RCPT)
			return false;
	}
	return true;
}

/* A chunk, whole, or what of it is said before the sender is gone. It does not
 * fit each time that the last one is empty. */
static void
say_chunk(struct world *world)
{
	struct sender *sender = &world->sender;
	struct span text = buf_span(sender->is_binary ? &sender->post->binary
						      : &sender->post->text);
	struct span left = span_after(text, sender->content_at);
	size_t n = chunk_length(world, left.n);
	bool is_last = n == left.n && knows_envelope(sender) &&
		       !world_one_in(world, 4);
	struct span said = span_first(left, n);
	char line[64];

	snprintf(line, sizeof(line), "BDAT %zu%s", n, is_last ? " LAST" : "");
	command(world, is_last ? SAID_LAST : SAID_CHUNK, 0, line);
	if (sender->breaks_at < sender->content_at + n)
		said.n = sender->breaks_at - sender->content_at;
	stage_say(&world->stage, SIDE_CLIENT, said);
	sender->content_at += said.n;
	if (said.n < n)
		sender->content_at = SIZE_MAX; /* to break off now */
	else if (is_last)
		sender->phase = SENDER_WAITS;
}

/* Half a mail, and another thought. */
static void
go_on_in_chunks(struct world *world)
{
	struct sender *sender = &world->sender;

	if (sender->content_at >= sender->breaks_at)
		break_off(world);
	else if (world_fault(world, FAULT_CLIENT_CHANGES_ITS_MIND))
		say_rset(world);
	else
		say_chunk(world);
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
		"AUTH EXTERNAL",
		"MAIL FROM:<a@b> X=Y",
	};
	unsigned what = world_below(world, 12);
	char line[LINE_MAX_BABBLED - 2];

	if (what == 11) {
		sender_tls_say_anyhow(world);
		return;
	}

	memset(line, 'A', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	command(world, SAID_OTHER, 0,
		world_one_in(world, 8) ? line : babble[what]);
}

static void
flood(struct world *world)
{
	static char noops[60001];

	for (size_t i = 0; i + 6 < sizeof(noops); i += 6)
		memcpy(noops + i, "NOOP\r\n", 6);
	world->stage.piece_max = SESSION_OCTETS_MAX;
	for (size_t n = 0; n < FLOOD; n += sizeof(noops) - 1)
		stage_say(&world->stage, SIDE_CLIENT,
			  span_make(noops, sizeof(noops) - 1));
	world->sender.has_lost_track = true;
	world->sender.phase = SENDER_DONE;
}

static void
say_quit(struct world *world)
{
	struct sender *sender = &world->sender;

	sender->phase = SENDER_DONE;
	if (world_one_in(world, 6)) {
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
	if (sender->login.is_open)
		return false;
	if (sender_login_misbehave(world))
		return true;
	if (is_between && world_fault(world, FAULT_CLIENT_FLOODS)) {
		flood(world);
		return true;
	}
	if (sender_tls_misbehave(world))
		return true;
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
	case SENDER_TLS:
		sender_tls_say(world);
		return;
	case SENDER_LOGIN:
		sender_login_say(world);
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
	case SENDER_CHUNKS:
		go_on_in_chunks(world);
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

/* --- stepping --- */

static bool
may_speak(const struct world *world)
{
	const struct sender *sender = &world->sender;

	if (sender->phase == SENDER_WAITS || sender->phase == SENDER_DONE ||
	    sender->is_closed || sender->tls.is_asked ||
	    sender->wakes_us > world->stage.now_us)
		return false;
	if (sender->phase == SENDER_CONTENT ||
	    (sender->phase == SENDER_CHUNKS &&
	     world->stage.party[SIDE_CLIENT].unsaid.n > 0))
		return world->stage.party[SIDE_CLIENT].unsaid.n == 0;
	if (sender->count == 0)
		return true;
	return sender->is_pipelining && sender->count < WORLD_QUEUE_MAX / 2 &&
	       (sender->phase == SENDER_RCPT || sender->phase == SENDER_DATA ||
		sender->phase == SENDER_CHUNKS);
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
	if (world->sender.login.is_open && sender_login_misbehave(world))
		return true;
	if (sender_hear(world, !world_one_in(world, 4)))
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
