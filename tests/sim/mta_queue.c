/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a backend has taken, and must not lose: for whom each message is, and
 * that it is there once.
 */
#include "tests/sim/world.h"

#define ENVELOPE_MAX 4096

static struct party *
party(struct world *world, enum session_side side)
{
	return &world->stage.party[side];
}

void
mta_forget(struct mta *mta)
{
	mta->has_sender = mta->is_binary = false;
	mta->count = 0;
	buf_reset(&mta->recipients);
}

static bool
is_diverted(struct world *world)
{
	struct span added = world->stage.change.added;
	struct span field;

	while ((field = letter_field(&added)).n > 0)
		if (span_equal(letter_field_name(field),
			       world->scenario->props.conf->quarantine
				       .original_header))
			return true;
	return false;
}

/* Whom the message is for, as the sender knows it. */
static void
append_expected(struct world *world, const struct post *post, struct buf *text)
{
	struct span recipient =
		world->scenario->props.conf->quarantine.recipient;
	bool is_elsewhere = recipient.n > 0 && is_diverted(world);

	for (unsigned i = 0; i < post->count && !is_elsewhere; i++) {
		unsigned at = (world->sender.first_recipient + i) % post->count;

		if (world->sender.is_good[at])
			buf_printf(text, "%s ", post->recipients[at].address);
	}
	if (is_elsewhere) {
		buf_append(text, recipient);
		buf_append(text, SPAN_LIT(" "));
	}
}

/* It is in the queue, and stays there whatever comes. */
void
mta_take(struct world *world, struct mta *mta)
{
	struct post *post = mta->post;
	struct buf expected;

	target_check_message(world, mta, is_diverted(world));
	buf_init(&expected, ENVELOPE_MAX);
	append_expected(world, post, &expected);
	if (!span_equal(buf_span(&expected), buf_span(&mta->recipients)))
		stage_fail(&world->stage,
			   "a message for %.*s was handed over for %.*s",
			   (int)expected.n, (const char *)expected.p,
			   (int)mta->recipients.n,
			   (const char *)buf_span(&mta->recipients).p);
	buf_fini(&expected);
	for (unsigned i = 0; i < post->count; i++)
		if (world->sender.is_good[i])
			post->recipients[i].copies++;
	if (++world->sender.copies > 1)
		stage_fail(&world->stage,
			   "one end of data has made two copies");
	mta_forget(mta);
	stage_note(&world->stage, "! the message is taken");
}

/* All of the message is with it, or on its way. */
bool
mta_has_whole(struct world *world, enum session_side side)
{
	const struct letter *letter = &party(world, side)->letter;

	return letter->number > world->mta[side].letters && letter->has_ended;
}

void
mta_finish(struct world *world)
{
	for (enum session_side side = SIDE_BACKEND; side < SIDE_COUNT; side++) {
		struct mta *mta = &world->mta[side];

		if (!mta->is_here || mta->state != MTA_CONTENT ||
		    mta->opinion != OPINION_YES || !mta_has_whole(world, side))
			continue;
		mta->opinion = OPINION_DONE;
		mta_take(world, mta);
	}
}
