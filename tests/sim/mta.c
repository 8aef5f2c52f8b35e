/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A backend: does what an MTA does with commands, by its own mind and luck,
 * and keeps account of the messages that it has taken, whether or not it
 * could say so.
 *
 * Local parts of recipients that start with "bad" are refused, with "busy"
 * deferred; all others are good.
 */
#include "tests/sim/world.h"

#include <errno.h>
#include <stdio.h>

#define SLEEP_US_MAX UINT64_C(1200000000) /* longer than every time-out */
#define ENVELOPE_MAX 4096
#define READ_MAX 20000

static struct party *
party(struct world *world, enum session_side side)
{
	return &world->stage.party[side];
}

void
mta_init(struct world *world)
{
	for (enum session_side side = 0; side < SIDE_COUNT; side++) {
		world->mta[side] = (struct mta){ 0 };
		buf_init(&world->mta[side].recipients, ENVELOPE_MAX);
	}
}

void
mta_fini(struct world *world)
{
	for (enum session_side side = 0; side < SIDE_COUNT; side++)
		buf_fini(&world->mta[side].recipients);
}

/* --- hearing --- */

static struct span
unread(struct world *world, enum session_side side)
{
	const struct heard *heard = &party(world, side)->heard;

	return span_after(buf_span(&heard->octets), heard->at);
}

static void
read_on(struct world *world, enum session_side side, size_t n)
{
	struct heard *heard = &party(world, side)->heard;

	heard->at += n;
	if (heard->at < heard->octets.n)
		return;
	buf_reset(&heard->octets);
	heard->at = 0;
}

/* --- commands --- */

static void
answer_if(struct world *world, enum session_side side, bool is_refused,
	  const char *refusal, const char *text)
{
	mta_answer(world, side, is_refused ? refusal : text);
}

static void
say_keywords(struct world *world, enum session_side side)
{
	static const struct {
		enum extension extension;
		const char *line;
	} keywords[] = {
		{ EXTENSION_PIPELINING, "250-PIPELINING\r\n" },
		{ EXTENSION_SIZE, "250-SIZE 1000000\r\n" },
		{ EXTENSION_8BITMIME, "250-8BITMIME\r\n" },
		{ EXTENSION_SMTPUTF8, "250-SMTPUTF8\r\n" },
		{ EXTENSION_DSN, "250-DSN\r\n" },
		{ EXTENSION_CHUNKING, "250-CHUNKING\r\n" },
		{ EXTENSION_BINARYMIME, "250-BINARYMIME\r\n" },
		{ EXTENSION_STARTTLS, "250-STARTTLS\r\n" },
		{ EXTENSION_REQUIRETLS, "250-REQUIRETLS\r\n" },
		{ EXTENSION_AUTH, "250-AUTH PLAIN GSSAPI LOGIN\r\n" },
	};
	struct mta *mta = &world->mta[side];

	mta_say(world, side, "250-mta.example\r\n");
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if ((mta->offered & EXTENSION_BIT(keywords[i].extension)) != 0)
			mta_say(world, side, keywords[i].line);
	if (mta->tls.has_xclient)
		mta_say(world, side,
			"250-XCLIENT NAME ADDR PORT HELO LOGIN\r\n");
	mta_answer(world, side, "250 ENHANCEDSTATUSCODES");
}

/* Where anything may go wrong, who is reached again for the same mail is often
 * another machine, with another mind. */
static bool
offers_less(struct world *world)
{
	bool is_again = world->sender.good > 0;

	return world_fault(world, FAULT_KEYWORDS_SHRINK) ||
	       (is_again && !world_is_calm(world) && world_one_in(world, 4));
}

static bool
is_behind_proxy(const struct conf_backend *conf)
{
	return conf->identity == IDENTITY_PROXY_V1 ||
	       conf->identity == IDENTITY_PROXY_V2;
}

static void
hear_hello(struct world *world, enum session_side side, struct span line)
{
	struct mta *mta = &world->mta[side];
	bool is_own = span_equal(line, SPAN_LIT("EHLO gate.example"));
	bool is_told = is_own && mta->conf->identity != IDENTITY_NONE;
	bool has_xclient =
		mta->conf->identity == IDENTITY_XCLIENT && !mta->is_identified;

	mta_forget(mta);
	/* Who answers twice may hear it when the client has said another. */
	if (!is_own && !mta->has_lied &&
	    !span_equal(line, span_cstr(world->sender.hello)))
		stage_fail(&world->stage, "a greeting that nobody said: %.*s",
			   (int)line.n, (const char *)line.p);
	if (is_told && world_fault(world, FAULT_IDENTITY_REFUSED)) {
		mta->is_closed_to = true;
		mta_answer(world, side, "550 5.7.1 Not you");
		return;
	}
	if (world_fault(world, FAULT_HELLO_REFUSED)) {
		mta->is_closed_to |= is_told;
		mta_answer(world, side, "550 5.7.1 No");
		return;
	}
	if (has_xclient && world_fault(world, FAULT_IDENTITY_NOT_OFFERED)) {
		mta->is_closed_to = true;
		has_xclient = false;
	}
	mta->has_greeted = true;
	mta->target->is_doubtful = true;
	mta->offered = 0;
	if (!is_own)
		mta->tls.hello_number = world->sender.hello_number;
	if (span_starts(line, SPAN_LIT("HELO"))) {
		mta_answer(world, side, "250 mta.example");
		return;
	}
	mta->offered = mta_tls_offers(world, side, is_own);
	if (offers_less(world))
		mta->offered &= (unsigned)stage_draw(&world->stage) |
				EXTENSION_BIT(EXTENSION_STARTTLS);
	if (mta->login.is_in)
		mta->offered &= ~EXTENSION_BIT(EXTENSION_AUTH);
	mta->tls.has_xclient = has_xclient && mta_tls_has_xclient(world, side);
	say_keywords(world, side);
}

/* The gate's own look whether the PROXY header was taken. */
static void
hear_proof(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];

	if (mta->has_greeted || !is_behind_proxy(mta->conf))
		stage_fail(&world->stage, "NOOP out of place");
	if (world_fault(world, FAULT_IDENTITY_REFUSED)) {
		mta->is_closed_to = true;
		mta_answer(world, side, "550 5.7.1 Not you");
		return;
	}
	mta_answer(world, side, "250 2.0.0 Ok");
}

static void
hear_xclient(struct world *world, enum session_side side, struct span line)
{
	struct mta *mta = &world->mta[side];
	char wanted[64];

	if (!mta->tls.has_xclient)
		stage_fail(&world->stage, "XCLIENT, which was not offered");
	snprintf(wanted, sizeof(wanted), " ADDR=%s ", world->client);
	if (memmem(line.p, line.n, wanted, strlen(wanted)) == NULL)
		stage_fail(&world->stage, "the client is not %.*s", (int)line.n,
			   (const char *)line.p);
	if (world_fault(world, FAULT_IDENTITY_REFUSED)) {
		mta->is_closed_to = true;
		mta_answer(world, side,
			   world_one_in(world, 2) ? "550 5.7.1 Not you"
						  : "250 Maybe");
		return;
	}
	mta->is_identified = true;
	mta->has_greeted = false;
	mta->offered = 0;
	mta_answer(world, side, "220 mta.example ESMTP");
}

/* Parameters belong to keywords that this connection has. */
static void
check_parameters(struct world *world, const struct mta *mta, struct span line,
		 bool is_rcpt)
{
	size_t n = span_find(line, '>');

	line = n < line.n ? span_after(line, n + 1) : SPAN_NONE;
	while (line.n > 0) {
		struct span word = span_first(line, span_find(line, ' '));
		struct span keyword = span_first(word, span_find(word, '='));

		line = span_after(line, word.n < line.n ? word.n + 1 : word.n);
		if (keyword.n > 0 &&
		    !extension_has_parameter(mta->offered, is_rcpt, keyword))
			stage_fail(&world->stage,
				   "%.*s, which the backend has not offered",
				   (int)keyword.n, (const char *)keyword.p);
	}
}

static void
hear_mail(struct world *world, enum session_side side, struct span line)
{
	struct mta *mta = &world->mta[side];
	bool is_lax = world->is_lax[party(world, side)->backend];
	const unsigned binary = EXTENSION_BIT(EXTENSION_BINARYMIME) |
				EXTENSION_BIT(EXTENSION_CHUNKING);

	check_parameters(world, mta, line, false);
	mta_login_check(world, side);
	if (mta->is_closed_to || !mta->is_identified)
		stage_fail(&world->stage, "mail for a backend that does not "
					  "know who the client is");
	if (mta->tls.hello_number != world->sender.hello_number &&
	    !mta->has_lied)
		stage_fail(&world->stage, "mail behind another greeting than "
					  "the client's last");
	if (!mta->has_greeted || (mta->has_sender && !is_lax)) {
		mta_answer(world, side, "503 5.5.1 Not now");
		return;
	}
	if (world_fault(world, FAULT_SENDER_REFUSED)) {
		mta_answer(world, side,
			   world_one_in(world, 2) ? "550 5.1.8 Not from you"
						  : "451 4.1.8 Maybe later");
		return;
	}
	mta->has_sender = true;
	mta->is_binary = memmem(line.p, line.n, " BODY=BINARYMIME", 16) != NULL;
	if (mta->is_binary && (mta->offered & binary) != binary)
		stage_fail(&world->stage, "a binary message for a backend that "
					  "takes none");
	mta->post = world->sender.post;
	target_trusted(world, side);
	mta_answer(world, side, "250 2.1.0 Ok");
}

/* Where anything may go wrong, the mailbox of a quarantine is often full: what
 * is done then with the message is a road of its own, and would hardly be
 * taken in the company of other faults. */
static bool
refuses_recipient(struct world *world, struct span address)
{
	bool is_pen = span_starts(address, SPAN_LIT("pen"));

	return world_fault(world, FAULT_RECIPIENT_REFUSED) ||
	       (is_pen && !world_is_calm(world) && world_one_in(world, 3));
}

static void
hear_recipient(struct world *world, enum session_side side, struct span line)
{
	struct mta *mta = &world->mta[side];
	struct span address = span_after(line, sizeof("RCPT TO:<") - 1);

	check_parameters(world, mta, line, true);
	address = span_first(address, span_find(address, '>'));
	target_check_recipient(world, side, address);
	if (!mta->has_sender) {
		mta_answer(world, side, "503 5.5.1 MAIL first");
	} else if (span_starts(address, SPAN_LIT("bad"))) {
		mta_answer(world, side, "550 5.1.1 Nobody of that name");
	} else if (span_starts(address, SPAN_LIT("busy"))) {
		mta_answer(world, side, "450 4.2.1 Try again later");
	} else if (refuses_recipient(world, address)) {
		mta_answer(world, side,
			   world_one_in(world, 2) ? "550 5.1.1 Not any more"
						  : "450 4.2.1 Not just now");
	} else {
		mta->count++;
		buf_append(&mta->recipients, address);
		buf_append(&mta->recipients, SPAN_LIT(" "));
		mta_answer(world, side, "250 2.1.5 Ok");
	}
}

static void
hear_data(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];

	if (mta->is_binary)
		stage_fail(&world->stage, "a binary message by DATA");
	if (mta->count == 0) {
		mta_answer(world, side, "554 5.5.1 No recipients");
	} else if (world_fault(world, FAULT_DATA_REFUSED)) {
		mta_answer(world, side,
			   world_one_in(world, 2) ? "554 5.7.1 No"
						  : "451 4.3.0 Later");
	} else {
		mta->state = MTA_CONTENT;
		mta->is_chunk = false;
		mta->opinion = OPINION_NONE;
		mta->end = 2; /* as behind a CR LF */
		mta->letters = party(world, side)->letter.number;
		mta_answer(world, side, "354 Go ahead");
	}
}

static void end_content(struct world *world, enum session_side side);

/* A refusal is said when the chunk was read; the envelope stays. */
static void
hear_chunk(struct world *world, enum session_side side, struct span size)
{
	struct mta *mta = &world->mta[side];

	if ((mta->offered & EXTENSION_BIT(EXTENSION_CHUNKING)) == 0)
		stage_fail(&world->stage, "BDAT, which was not offered");
	mta->state = MTA_CONTENT;
	mta->is_chunk = true;
	mta->opinion = mta->count == 0 || world_fault(world, FAULT_DATA_REFUSED)
			       ? OPINION_REFUSES
			       : OPINION_NONE;
	mta->letters = party(world, side)->letter.number - 1;
	if (!span_u64(span_first(size, span_find(size, ' ')), &mta->left))
		stage_fail(&world->stage, "a BDAT without a size");
	else if (mta->left == 0)
		end_content(world, side);
}

/* What stands behind a command before it is answered. */
static void
check_order(struct world *world, enum session_side side, struct span line,
	    size_t behind)
{
	struct mta *mta = &world->mta[side];
	bool may_follow = span_starts(line, SPAN_LIT("MAIL")) ||
			  span_starts(line, SPAN_LIT("RCPT")) ||
			  span_starts(line, SPAN_LIT("RSET"));

	may_follow &= (mta->offered & EXTENSION_BIT(EXTENSION_PIPELINING)) != 0;
	/* Its octets do. */
	may_follow |= span_starts(line, SPAN_LIT("BDAT "));
	/* The command before this one has no other answer. */
	if (mta->is_twice_220 && mta->is_past_220 &&
	    !span_equal(line, SPAN_LIT("QUIT")))
		stage_fail(&world->stage,
			   "%.*s: a second 220 was taken for an answer",
			   (int)line.n, (const char *)line.p);
	mta->is_past_220 = mta->is_twice_220;
	/* Who answers twice has said that it may. */
	if (behind > 0 && !may_follow && !mta->has_lied)
		stage_fail(&world->stage,
			   "%.*s: another command follows before the answer",
			   (int)line.n, (const char *)line.p);
}

static void
hear_command(struct world *world, enum session_side side, struct span line)
{
	struct mta *mta = &world->mta[side];

	mta_tls_check(world, side, line);
	if (mta->login.is_open || span_starts(line, SPAN_LIT("AUTH "))) {
		mta_login_hear(world, side, line);
	} else if (span_starts(line, SPAN_LIT("EHLO ")) ||
		   span_starts(line, SPAN_LIT("HELO "))) {
		hear_hello(world, side, line);
	} else if (span_starts(line, SPAN_LIT("XCLIENT "))) {
		hear_xclient(world, side, line);
	} else if (span_equal(line, SPAN_LIT("STARTTLS"))) {
		mta_tls_hear(world, side);
	} else if (span_starts(line, SPAN_LIT("MAIL FROM:<"))) {
		hear_mail(world, side, line);
	} else if (span_starts(line, SPAN_LIT("RCPT TO:<"))) {
		hear_recipient(world, side, line);
	} else if (span_equal(line, SPAN_LIT("DATA"))) {
		hear_data(world, side);
	} else if (span_starts(line, SPAN_LIT("BDAT "))) {
		hear_chunk(world, side, span_after(line, 5));
	} else if (span_equal(line, SPAN_LIT("RSET"))) {
		bool is_refused = world_fault(world, FAULT_RESET_REFUSED);

		if (!is_refused)
			mta_forget(mta);
		answer_if(world, side, is_refused, "451 4.3.0 No",
			  "250 2.0.0 Ok");
	} else if (span_equal(line, SPAN_LIT("NOOP"))) {
		hear_proof(world, side);
	} else if (span_equal(line, SPAN_LIT("QUIT"))) {
		mta->state = MTA_LOST;
	} else if (mta->has_lied && login_is_here(world)) {
		mta_answer(world, side, "500 5.5.1 A response to what?");
	} else {
		stage_fail(&world->stage, "no command: %.*s", (int)line.n,
			   (const char *)line.p);
	}
}

/* --- content --- */

/* Octets up to the final dot, as far as they are there. */
static size_t
find_end(struct mta *mta, struct span octets)
{
	static const uint8_t end[] = { '\r', '\n', '.', '\r', '\n' };

	for (size_t i = 0; i < octets.n; i++) {
		if (octets.p[i] == end[mta->end])
			mta->end++;
		else
			mta->end = octets.p[i] == '\r' ? 1 : 0;
		if (mta->end == sizeof(end))
			return i + 1;
	}
	return octets.n;
}

static void
answer_early(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];

	if (mta->opinion != OPINION_NONE)
		return;
	if (world_fault(world, FAULT_EARLY_YES)) {
		mta->opinion = OPINION_YES;
		mta_say(world, side, "250 2.0.0 I have seen enough\r\n");
	} else if (world_fault(world, FAULT_EARLY_NO)) {
		mta->opinion = OPINION_NO;
		mta_say(world, side,
			world_one_in(world, 2)
				? "552 5.3.4 That will do\r\n"
				: "451 4.3.0 No room any more\r\n");
	}
}

/* It was taken; whoever says goodbye now would say that it was not. */
static void
answer_taken(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];

	mta_take(world, mta);
	if (world_fault(world, FAULT_FINAL_LOST))
		mta_hang_up(world, side, -ECONNRESET);
	else if (world_fault(world, FAULT_REPLY_GARBAGE))
		mta_say_garbage(world, side);
	else
		mta_say_reply(world, side, "250 2.0.0 Queued");
}

/* Behind a BDAT that was refused some wait for RSET, and some do not. */
static void
forget_refused(struct world *world, struct mta *mta)
{
	if (!mta->is_chunk || world_one_in(world, 2))
		mta_forget(mta);
}

/* Without an opinion until now. */
static void
answer_final(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];

	if (world_fault(world, FAULT_FINAL_4XX)) {
		forget_refused(world, mta);
		mta_say_reply(world, side, "451 4.3.0 The disk is full");
	} else if (world_fault(world, FAULT_FINAL_5XX)) {
		forget_refused(world, mta);
		mta_say_reply(world, side, "554 5.7.1 Spam");
	} else if (world_fault(world, FAULT_FINAL_421)) {
		mta_say_goodbye(world, side);
	} else {
		answer_taken(world, side);
	}
}

static void
end_content(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];

	mta->state = MTA_COMMANDS;
	switch (mta->opinion) {
	case OPINION_NONE:
		if (unread(world, side).n > 0)
			stage_fail(&world->stage, "something stands behind "
						  "the end of the data");
		answer_final(world, side);
		return;
	case OPINION_YES:
		mta->opinion = OPINION_DONE;
		mta_take(world, mta);
		return;
	case OPINION_DONE:
		return;
	case OPINION_REFUSES:
		mta_answer(world, side,
			   world_one_in(world, 2) ? "554 5.7.1 No"
						  : "451 4.3.0 Later");
		return;
	case OPINION_NO:
		mta->state = MTA_LOST;
		return;
	}
}

static void
read_content(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];
	struct span octets = unread(world, side);
	size_t n = octets.n;

	if (n > READ_MAX)
		n = READ_MAX;
	/* What it has read has left: so it has not read all of that before
	 * the gate was told. */
	if (party(world, side)->is_sending && n == octets.n)
		n--;
	if (n > 0 && world_one_in(world, 4))
		n = 1 + world_below(world, (unsigned)n);
	if (mta->is_chunk)
		mta->left -= n = n < mta->left ? n : (size_t)mta->left;
	else
		n = find_end(mta, span_first(octets, n));
	read_on(world, side, n);
	if (mta->is_chunk ? mta->left > 0 : mta->end < 5)
		answer_early(world, side);
	else
		end_content(world, side);
}

/* --- the connection --- */

static void
begin(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];
	struct party *now = party(world, side);
	const struct conf_backend *conf =
		&world->scenario->props.conf->backends[now->backend];
	bool is_proxy = conf->identity == IDENTITY_PROXY_V1 ||
			conf->identity == IDENTITY_PROXY_V2;
	struct buf recipients = mta->recipients;
	const struct mta before = *mta;

	buf_reset(&recipients);
	*mta = (struct mta){
		.connection = now->connections,
		.is_here = true,
		.state = is_proxy ? MTA_PROXY : MTA_BANNER,
		.conf = conf,
		.is_identified = conf->identity == IDENTITY_NONE,
		.recipients = recipients,
		.failed_at = before.failed_at,
	};
	now->refusals = 0;
	now->is_hanging = false;
	mta_tls_begin(world, side, &before);
	target_begin(world, side);
	if (world_fault(world, FAULT_CONNECT_REFUSED))
		now->refusals = 1;
	else if (world_fault(world, FAULT_CONNECT_HANGS))
		now->is_hanging = true;
}

/* BDAT LAST and all that belongs to it are with it, and not read yet. Who has
 * said goodbye reads no more. */
static bool
has_unread_chunk(struct world *world, enum session_side side)
{
	const struct mta *mta = &world->mta[side];
	struct span octets = unread(world, side);

	return mta->state == MTA_COMMANDS && mta->count > 0 &&
	       !mta->is_leaving && span_starts(octets, SPAN_LIT("BDAT ")) &&
	       span_find(octets, '\n') < octets.n &&
	       party(world, side)->letter.has_ended;
}

/* Octets that were on their way when the connection died may still arrive. */
static void
leave(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];
	bool has_all = mta->state == MTA_CONTENT && mta_has_whole(world, side);

	if (has_unread_chunk(world, side)) {
		has_all = true;
		mta->opinion = OPINION_NONE;
	}

	if (has_all && (mta->opinion == OPINION_YES ||
			(mta->opinion == OPINION_NONE &&
			 world_fault(world, FAULT_LATE_ACCEPTANCE))))
		mta_take(world, mta);
	target_left(world, side, unread(world, side));
	mta->is_here = false;
	party(world, side)->is_stalled = false;
}

void
mta_look(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];
	struct party *now = party(world, side);

	if (mta->is_here &&
	    (!now->is_open || mta->connection != now->connections))
		leave(world, side);
	if (mta->is_here)
		return;
	buf_reset(&now->heard.octets);
	now->heard.at = 0;
	if (now->is_open)
		begin(world, side);
}

static void
say_banner(struct world *world, enum session_side side)
{
	world->mta[side].state = MTA_COMMANDS;
	if (world_fault(world, FAULT_BANNER_REFUSED))
		mta_say(world, side, "554 5.3.2 No service here\r\n");
	else if (world_fault(world, FAULT_BANNER_BUSY))
		mta_say_goodbye(world, side);
	else
		mta_answer(world, side, "220 mta.example ESMTP");
}

/* The PROXY header, whole: who is it? */
static bool
read_proxy_header(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];
	struct span octets = unread(world, side);
	bool is_binary = mta->conf->identity == IDENTITY_PROXY_V2;
	size_t n = is_binary ? 28 : span_find(octets, '\n') + 1;
	char wanted[100];
	struct ip ip;

	if (octets.n < n)
		return false;
	snprintf(wanted, sizeof(wanted), "PROXY TCP4 %s 198.51.100.25 ",
		 world->client);
	ip_parse(span_cstr(world->client), &ip);
	if (is_binary ? memcmp(octets.p + 16, ip.octets, 4) != 0
		      : !span_starts(octets, span_cstr(wanted)))
		stage_fail(&world->stage, "the PROXY header does not speak of "
					  "the client");
	read_on(world, side, n);
	mta->is_identified = true;
	mta->state = MTA_BANNER;
	return true;
}

static bool
read_something(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];
	struct span octets = unread(world, side);
	char line[1024];
	size_t n;

	if (octets.n == 0)
		return false;
	if (mta->state == MTA_PROXY)
		return read_proxy_header(world, side);
	if (mta->state == MTA_CONTENT) {
		read_content(world, side);
		return true;
	}
	n = span_find(octets, '\n');
	if (n == octets.n || n == 0 || n > sizeof(line)) {
		stage_fail(&world->stage, "half a command was sent");
		return false;
	}
	memcpy(line, octets.p, n - 1);
	read_on(world, side, n + 1);
	check_order(world, side, span_make(line, n - 1), octets.n - n - 1);
	hear_command(world, side, span_make(line, n - 1));
	return true;
}

/* Out of the blue. */
static bool
misbehave(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];
	struct party *now = party(world, side);

	if (world_fault(world, FAULT_BACKEND_RESETS) ||
	    (unread(world, side).n > 1000 &&
	     world_fault(world, FAULT_SHORT_WRITE))) {
		mta_hang_up(world, side, -ECONNRESET);
	} else if (now->unsaid.n == 0 &&
		   world_fault(world, FAULT_BACKEND_CLOSES)) {
		mta_hang_up(world, side, 0);
	} else if (mta->login.is_in && world_one_in(world, 10) &&
		   login_fault(world, FAULT_LOGIN_DROPPED)) {
		mta_hang_up(world, side, -ECONNRESET);
	} else if (world_fault(world, FAULT_GOODBYE)) {
		mta_say_goodbye(world, side);
	} else if (world_fault(world, FAULT_BACKEND_STALLS)) {
		now->is_stalled = true;
		world_sleep(world, &mta->wakes_us, SLEEP_US_MAX);
	} else if (unread(world, side).n > 0 &&
		   world_fault(world, FAULT_REPLY_LATE)) {
		world_sleep(world, &mta->wakes_us, SLEEP_US_MAX);
	} else {
		return false;
	}
	return true;
}

bool
mta_step(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];
	struct party *now = party(world, side);

	if (!mta->is_here || !now->is_up || now->has_ended ||
	    mta->wakes_us > world->stage.now_us)
		return false;
	now->is_stalled = false;
	if (mta->is_leaving) {
		if (now->unsaid.n > 0)
			return false;
		mta_hang_up(world, side,
			    world_one_in(world, 2) ? 0 : -ECONNRESET);
		return true;
	}
	if (misbehave(world, side) || target_step(world, side))
		return true;
	if (mta->state == MTA_LOST)
		return false;
	if (mta->state == MTA_HANDSHAKE)
		return mta_tls_wait(world, side);
	if (mta->state == MTA_BANNER) {
		say_banner(world, side);
		return true;
	}
	return read_something(world, side);
}
