/* SPDX-License-Identifier: BSD-2-Clause */
/* A backend and AUTH. */
#include "tests/sim/world.h"

#include <errno.h>

/* What must stand in place of what the client said last. */
static struct span
wanted(const struct world *world)
{
	const struct sender_login *login = &world->sender.login;

	return login->is_given_up ? SPAN_LIT("*") : span_cstr(login->line);
}

/* Who answers twice has heard what was not meant for it; and a client that does
 * not wait may have read the gate's mind. */
static bool
is_unsure(const struct world *world, const struct mta *mta)
{
	return mta->has_lied || world->sender.has_lost_track;
}

static void
check(struct world *world, enum session_side side, struct span line)
{
	const struct mta *mta = &world->mta[side];

	if (is_unsure(world, mta))
		return;
	if (!world->sender.login.is_open ||
	    !span_equal_nocase(line, wanted(world)))
		stage_fail(&world->stage, "of a login, which nobody said: %.*s",
			   (int)line.n, (const char *)line.p);
	if ((mta->offered & EXTENSION_BIT(EXTENSION_AUTH)) == 0)
		stage_fail(&world->stage, "AUTH, which was not offered");
	if (mta->login.is_in || mta->has_sender)
		stage_fail(&world->stage, "AUTH out of place");
}

static unsigned
draw_challenges(struct world *world, struct span line)
{
	bool has_response = line.n > sizeof("AUTH PLAIN") - 1;

	if (span_starts(line, SPAN_LIT("AUTH LOGIN")))
		return has_response ? 1 : 2;
	return has_response ? world_below(world, 3) : 1 + world_below(world, 2);
}

static void
say_strange(struct world *world, enum session_side side)
{
	static const char *const lines[] = {
		"250 2.0.0 Ok\r\n",
		"334 this is no base64\r\n",
		"334-YQ==\r\n334 YQ==\r\n",
		"354 Go ahead\r\n",
		"200 Fine\r\n",
	};

	world->mta[side].state = MTA_LOST;
	mta_say(world, side, lines[world_below(world, 5)]);
}

/* No wish of luck: passwords are wrong on fine days too. */
static void
refuse(struct world *world, enum session_side side)
{
	static const char *const lines[] = {
		"535 5.7.8 Wrong password",
		"454 4.7.0 Ask me later",
		"534 5.7.9 Too weak",
	};

	mta_answer(world, side, lines[world_below(world, 3)]);
}

static void
accept(struct world *world, enum session_side side)
{
	world->mta[side].login.is_in = true;
	mta_answer(world, side, "235 2.7.0 Welcome");
}

static void
decide(struct world *world, enum session_side side, bool is_given_up)
{
	world->mta[side].login.is_open = false;
	if (is_given_up && world_one_in(world, 2) &&
	    world_fault(world, FAULT_LOGIN_FORCED))
		accept(world, side);
	else if (is_given_up)
		mta_answer(world, side, "501 5.7.0 As you like");
	else if (world_one_in(world, 4))
		refuse(world, side);
	else
		accept(world, side);
}

void
mta_login_hear(struct world *world, enum session_side side, struct span line)
{
	struct mta *mta = &world->mta[side];
	bool is_given_up =
		mta->login.is_open && span_equal(line, SPAN_LIT("*"));

	check(world, side, line);
	if (!mta->login.is_open)
		mta->login.challenges = draw_challenges(world, line);
	mta->login.is_open = true;
	if (login_fault(world, FAULT_LOGIN_GOODBYE)) {
		mta_say_goodbye(world, side);
	} else if (login_fault(world, FAULT_LOGIN_LOST)) {
		mta_hang_up(world, side,
			    world_one_in(world, 2) ? 0 : -ECONNRESET);
	} else if (login_fault(world, FAULT_LOGIN_STRANGE)) {
		say_strange(world, side);
	} else if (!is_given_up && mta->login.challenges > 0) {
		mta->login.challenges--;
		mta_answer(world, side,
			   world_one_in(world, 4) ? "334 "
						  : "334 UGFzc3dvcmQ6");
	} else {
		decide(world, side, is_given_up);
	}
}

void
mta_login_check(struct world *world, enum session_side side)
{
	const struct mta *mta = &world->mta[side];
	bool is_in = world->sender.login.is_in;

	if (is_unsure(world, mta))
		return;
	if (mta->login.is_open)
		stage_fail(&world->stage, "mail within a login");
	if (is_in == mta->login.is_in)
		return;
	stage_fail(&world->stage, "mail of who has %slogged in, where he has%s",
		   is_in ? "" : "not ", is_in ? " not" : "");
}
