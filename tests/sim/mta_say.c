/* SPDX-License-Identifier: BSD-2-Clause */
/* What a backend says: an answer, or everything but what it should be. */
#include "tests/sim/world.h"

#include <errno.h>
#include <stdio.h>

void
mta_hang_up(struct world *world, enum session_side side, int error)
{
	struct mta *mta = &world->mta[side];

	/* As good as its word. */
	if (mta->state == MTA_CONTENT && mta->opinion == OPINION_YES &&
	    mta_has_whole(world, side)) {
		mta->opinion = OPINION_DONE;
		mta_take(world, mta);
	}
	if (world->sender.login.is_in && mta->login.is_in)
		world_use(world, FEATURE_LOGIN_FORGOTTEN);
	mta->state = MTA_LOST;
	stage_hang_up(&world->stage, side, error);
}

void
mta_say(struct world *world, enum session_side side, const char *text)
{
	stage_say(&world->stage, side, span_cstr(text));
}

void
mta_say_garbage(struct world *world, enum session_side side)
{
	static const char *const garbage[] = {
		"hello\r\n",
		"25\r\n",
		"250\n",
		"999 what\r\n",
		"250-a\r\n550 b\r\n",
		"\r\n",
		"250 a\rb\r\n",
		"250 \x01\r\n",
		"2500 Ok\r\n",
		"\xff\xfe\r\n",
		"150 wait\r\n",
		"250 bad \x1b octet\r\n",
	};

	mta_say(world, side, garbage[world_below(world, 12)]);
}

static void
say_endlessly(struct world *world, enum session_side side)
{
	world->mta[side].state = MTA_LOST;
	for (unsigned i = 0; i < 2000; i++)
		mta_say(world, side,
			"250-and so on, and so on, and so on, and so "
			"on, and so on, and so on, and so on\r\n");
}

/* Whatever follows is not understood. */
static void
say_nonsense(struct world *world, enum session_side side)
{
	world->mta[side].state = MTA_LOST;
	mta_say(world, side, "354 Go ahead, whatever it is\r\n");
}

void
mta_say_goodbye(struct world *world, enum session_side side)
{
	mta_say(world, side, "421 4.3.2 Service is closing\r\n");
	if (world->mta[side].opinion == OPINION_NONE)
		world->mta[side].opinion = OPINION_NO;
	world->mta[side].is_leaving = true;
}

/* In one line or in several. */
void
mta_say_reply(struct world *world, enum session_side side, const char *text)
{
	char line[256];
	size_t n = strlen(text);

	/* A challenge stands in one. */
	if (!span_starts(span_cstr(text), SPAN_LIT("334")) &&
	    world_one_in(world, 8)) {
		snprintf(line, sizeof(line), "%.3s-first\r\n%.3s-\r\n", text,
			 text);
		mta_say(world, side, line);
	}
	if (world_fault(world, FAULT_REPLY_TORN)) {
		stage_say(&world->stage, side,
			  span_make(text, 1 + world_below(world, (unsigned)n)));
		world->mta[side].is_leaving = true;
		return;
	}
	snprintf(line, sizeof(line), "%s\r\n", text);
	mta_say(world, side, line);
	/* One lie a connection: two of them may make up for one another. None
	 * where BDAT may come, for which nothing is asked before: what was
	 * answered twice is taken for the reply to the message, by anybody. */
	if (!world->mta[side].has_lied &&
	    (world->mta[side].offered & EXTENSION_BIT(EXTENSION_CHUNKING)) ==
		    0 &&
	    world_fault(world, FAULT_REPLY_EXTRA)) {
		world->mta[side].has_lied = true;
		world->mta[side].is_twice_220 =
			span_starts(span_cstr(text), SPAN_LIT("220"));
		mta_say(world, side, line);
	}
}

/* An answer that may be everything but what it should be. */
void
mta_answer(struct world *world, enum session_side side, const char *text)
{
	struct mta *mta = &world->mta[side];

	if (!mta->has_lied && world_fault(world, FAULT_REPLY_MISSING)) {
		mta->has_lied = true;
		return;
	}
	if (world_fault(world, FAULT_REPLY_GARBAGE))
		mta_say_garbage(world, side);
	else if (world_fault(world, FAULT_REPLY_ENDLESS))
		say_endlessly(world, side);
	else if (world_fault(world, FAULT_REPLY_421))
		mta_say_goodbye(world, side);
	else if (mta->state != MTA_CONTENT &&
		 world_fault(world, FAULT_REPLY_CLASS_3))
		say_nonsense(world, side);
	else
		mta_say_reply(world, side, text);
}
