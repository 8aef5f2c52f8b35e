/* SPDX-License-Identifier: BSD-2-Clause */
/* What the client hears, and what it knows of each recipient by that. */
#include "tests/sim/world.h"

static struct party *
party(struct world *world)
{
	return &world->stage.party[SIDE_CLIENT];
}

/* Every good recipient of the mail under way has found this fate. */
static void
settle_good(struct sender *sender, enum fate fate)
{
	for (unsigned i = 0; i < sender->post->count; i++)
		if (sender->is_good[i])
			sender->post->recipients[i].fate = fate;
}

static void
hear_greeting(struct world *world, unsigned code)
{
	struct sender *sender = &world->sender;

	if (code / 100 == 2) {
		sender_login_check_offer(world);
		sender->phase = sender_tls_is_next(world)     ? SENDER_TLS
				: sender_login_is_next(world) ? SENDER_LOGIN
							      : SENDER_MAIL;
		sender->is_pipelining =
			!sender->is_shy &&
			sender_is_offered(sender, EXTENSION_PIPELINING);
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
	/* Pipelined recipients hear 503: nothing is known of them. Nor is it of
	 * whoever may be reached under TLS: 530. */
	if (code / 100 == 5 && code != 530)
		for (unsigned i = 0; i < sender->post->count; i++)
			if (sender->post->recipients[i].fate == FATE_OPEN)
				sender->post->recipients[i].fate = FATE_REFUSED;
	if (sender->phase == SENDER_RCPT || sender->phase == SENDER_DATA)
		sender->phase = SENDER_MAIL;
	else if (sender->phase == SENDER_CHUNKS)
		sender->phase = SENDER_RSET;
}

static void
hear_recipient(struct world *world, unsigned recipient, unsigned code)
{
	struct sender *sender = &world->sender;

	sender->refused += code / 100 == 5;
	if (code / 100 == 2 && sender->is_sender_refused)
		stage_fail(&world->stage, "a recipient is good, though the "
					  "sender was refused");
	if (code / 100 == 2) {
		if (sender->good == 0)
			sender->first_good = recipient;
		sender->is_good[recipient] = true;
		sender->good++;
	} else if (code / 100 == 5 && code != 503 && code != 530) {
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
		sender_expect(world, SAID_CONTENT, 0);
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
	const struct conf_route *route;
	unsigned expected;

	if (!world_is_calm(world) || sender->good == 0 || world->was_full)
		return;
	route = road_of(world,
			sender->post->recipients[sender->first_good].address);
	if (route == NULL || (code == 452 && world_is_cramped(world)))
		return;
	/* A message that comes by one BDAT is a command like any other: it is
	 * one too many for who has come to the limit before it. */
	if (code == 421 && conf->refused_max != 0 &&
	    sender->refused >= conf->refused_max)
		return;
	expected = post_expected(sender->post, conf,
				 sender->login.is_in ? NULL : route);
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
	sender_login_check_line(world);
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

/* A refusal ends the mail; what of it is on its way is refused, too. */
static void
hear_chunk(struct world *world, unsigned code)
{
	struct sender *sender = &world->sender;
	bool is_first = !sender->is_chunk_refused;

	if (code / 100 == 2 && (!is_first || sender->good == 0))
		stage_fail(&world->stage,
			   "a chunk is taken of a mail that is over");
	if (code / 100 == 2)
		return;
	sender->is_chunk_refused = true;
	if (is_first && code / 100 == 5 && sender->good > 0)
		settle_good(sender, FATE_REFUSED);
	if (sender->phase == SENDER_CHUNKS)
		sender->phase = SENDER_RSET;
}

static void
hear_last(struct world *world, unsigned code)
{
	struct sender *sender = &world->sender;

	world->tally->chunked++;
	world->tally->binary += sender->is_binary;
	if (sender->good > 0 && !sender->is_chunk_refused)
		hear_final(world, code);
	else if (code / 100 == 2)
		stage_fail(&world->stage,
			   "the end is accepted of a mail that is over");
	sender->phase = SENDER_MAIL;
}

static void
hear_reply(struct world *world, enum said said, unsigned recipient,
	   unsigned code)
{
	struct sender *sender = &world->sender;

	sender_tls_hear(world, said, code);
	road_hear(world, said, recipient, code);
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
	case SAID_CHUNK:
		hear_chunk(world, code);
		return;
	case SAID_LAST:
		hear_last(world, code);
		return;
	case SAID_RSET:
		sender->phase = SENDER_MAIL;
		return;
	case SAID_LOGIN:
		sender_login_hear(world, code);
		return;
	case SAID_STARTTLS:
	case SAID_EARLY:
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
		{ SPAN_LIT("CHUNKING"), EXTENSION_CHUNKING },
		{ SPAN_LIT("BINARYMIME"), EXTENSION_BINARYMIME },
		{ SPAN_LIT("STARTTLS"), EXTENSION_STARTTLS },
		{ SPAN_LIT("REQUIRETLS"), EXTENSION_REQUIRETLS },
		{ SPAN_LIT("AUTH "), EXTENSION_AUTH },
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
bool
sender_hear(struct world *world, bool is_all)
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
		sender_hear(world, true);
	buf_reset(&heard->octets);
	heard->at = 0;
}
