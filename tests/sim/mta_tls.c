/* SPDX-License-Identifier: BSD-2-Clause */
/* A backend and TLS: whether it has it, how it fails, and what it must not hear
 * in plain. */
#include "tests/sim/world.h"

#include <errno.h>

static struct party *
party(struct world *world, enum session_side side)
{
	return &world->stage.party[side];
}

static struct mta_talent *
talent(struct world *world, enum session_side side)
{
	return &world->talent[party(world, side)->backend];
}

/* --- what it has --- */

/* Where it is required it must be there, or nothing would ever arrive. */
unsigned
mta_tls_draw(struct world *world, size_t backend, unsigned plain)
{
	const struct conf *conf = world->scenario->props.conf;
	enum conf_tls tls = conf->backends[backend].tls;
	bool is_pen = backend == conf->quarantine.backend;
	const unsigned own = EXTENSION_BIT(EXTENSION_XCLIENT) - 1;
	struct mta_talent *talent = &world->talent[backend];

	*talent = (struct mta_talent){ 0 };
	if (!world_has_tls(world))
		return plain;
	talent->has_tls = tls >= CONF_TLS_REQUIRED || world_one_in(world, 2);
	talent->needs_tls = world_one_in(world, 2);
	talent->secured =
		is_pen ? plain : (unsigned)stage_draw(&world->stage) & own;
	if (is_pen ? tls == CONF_TLS_VERIFY : world_one_in(world, 2))
		talent->secured |= EXTENSION_BIT(EXTENSION_REQUIRETLS);
	return tls != CONF_TLS_OFF && talent->has_tls ? talent->secured : plain;
}

void
mta_tls_begin(struct world *world, enum session_side side,
	      const struct mta *before)
{
	struct party *now = party(world, side);

	if (before->tls.is_hanging)
		now->is_hanging = false;
	now->is_tls_bad = false;
	world->mta[side].tls = (struct mta_tls){
		.is_excused = now->is_behind_tls_failure,
	};
}

unsigned
mta_tls_offers(struct world *world, enum session_side side, bool is_own)
{
	struct mta_tls *tls = &world->mta[side].tls;
	unsigned offers = world->offers[party(world, side)->backend];

	/* It is for submission, too. */
	if (login_is_here(world))
		offers |= EXTENSION_BIT(EXTENSION_AUTH);

	if (tls->is_secured)
		return talent(world, side)->secured |
		       (offers & EXTENSION_BIT(EXTENSION_AUTH));
	if (!talent(world, side)->has_tls ||
	    world_fault(world, FAULT_STARTTLS_NOT_OFFERED))
		return offers;
	tls->is_offered |= is_own;
	return offers | EXTENSION_BIT(EXTENSION_STARTTLS);
}

bool
mta_tls_has_xclient(const struct world *world, enum session_side side)
{
	const struct mta *mta = &world->mta[side];
	const struct mta_talent *has =
		&world->talent[world->stage.party[side].backend];

	return mta->tls.is_secured || !has->has_tls || !has->needs_tls ||
	       mta->conf->tls == CONF_TLS_OFF;
}

/* --- what it hears --- */

static void
check_plain(struct world *world, enum session_side side, struct span line)
{
	const struct mta *mta = &world->mta[side];
	const struct mta_tls *tls = &mta->tls;

	if (mta->conf->tls == CONF_TLS_OFF)
		return;
	if (mta->conf->tls >= CONF_TLS_REQUIRED)
		stage_fail(&world->stage,
			   "in plain, where TLS is required: %.*s", (int)line.n,
			   (const char *)line.p);
	/* Who answers twice, or not at all, has made it think of anything. */
	if (tls->is_excused || tls->is_refused || mta->has_lied ||
	    (tls->is_greeted && !tls->is_offered))
		return;
	stage_fail(&world->stage, "in plain, though TLS is to be had: %.*s",
		   (int)line.n, (const char *)line.p);
}

void
mta_tls_check(struct world *world, enum session_side side, struct span line)
{
	bool is_hello = span_equal(line, SPAN_LIT("EHLO gate.example"));
	bool is_own = is_hello || span_equal(line, SPAN_LIT("STARTTLS")) ||
		      span_equal(line, SPAN_LIT("QUIT"));

	if (!world_has_tls(world))
		return;
	if (memmem(line.p, line.n, "mitm", 4) != NULL)
		stage_fail(&world->stage, "said by nobody: %.*s", (int)line.n,
			   (const char *)line.p);
	if (span_starts(line, SPAN_LIT("MAIL ")) &&
	    memmem(line.p, line.n, " REQUIRETLS", 11) != NULL &&
	    (!world->mta[side].tls.is_secured ||
	     world->mta[side].conf->tls != CONF_TLS_VERIFY))
		stage_fail(&world->stage,
			   "a mail that must stay under TLS, for "
			   "who has not proved its name");
	if (is_hello) {
		world->mta[side].tls.is_greeted = true;
		world->mta[side].tls.is_offered = false;
	}
	if (!is_own && !world->mta[side].tls.is_secured)
		check_plain(world, side, line);
}

/* Beside the right answer, what an attacker would like to be taken for the one
 * to our next EHLO. */
static void
inject(struct world *world, enum session_side side)
{
	static const char *const texts[] = {
		"250 mitm.example\r\n",
		"250-mitm.example\r\n250 XCLIENT ADDR NAME\r\n",
		"220 2.0.0 Ready\r\n",
		"2",
	};

	world->mta[side].tls.is_injected = true;
	mta_say(world, side, "220 2.0.0 Ready\r\n");
	mta_say(world, side, texts[world_below(world, 4)]);
}

void
mta_tls_hear(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];

	if (mta->conf->tls == CONF_TLS_OFF || mta->tls.is_secured ||
	    mta->has_sender || (!mta->tls.is_offered && !mta->has_lied))
		stage_fail(&world->stage, "STARTTLS out of place");
	if (world_fault(world, FAULT_STARTTLS_REFUSED)) {
		mta->tls.is_refused = true;
		mta_answer(world, side,
			   world_one_in(world, 2)
				   ? "454 4.7.0 TLS not available"
				   : "502 5.5.1 No such thing");
		return;
	}
	mta->state = MTA_HANDSHAKE;
	if (world_fault(world, FAULT_BACKEND_IS_INJECTED))
		inject(world, side);
	else
		mta_answer(world, side, "220 2.0.0 Ready to start TLS");
}

/* --- the handshake --- */

static void
draw_handshake(struct world *world, enum session_side side)
{
	struct mta_tls *tls = &world->mta[side].tls;

	tls->is_drawn = true;
	if (world_fault(world, FAULT_BACKEND_SPOILS_TLS)) {
		party(world, side)->is_tls_bad = true;
	} else if (world_fault(world, FAULT_BACKEND_HANGS_IN_TLS)) {
		party(world, side)->is_hanging = tls->is_hanging = true;
	}
}

/* What was said in plain counts no more, for a backend as for a client. */
void
mta_tls_look(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];
	const struct party *now = party(world, side);

	if (!mta->is_here)
		return;
	if (now->is_securing && !mta->tls.is_drawn)
		draw_handshake(world, side);
	if (!now->is_secured || mta->tls.is_secured)
		return;
	if (mta->state != MTA_HANDSHAKE)
		stage_fail(&world->stage, "TLS stands, but %s",
			   mta->tls.is_refused ? "it was refused"
					       : "nobody asked for it");
	world->tally->backend_tls++;
	mta_forget(mta);
	mta->tls.is_secured = true;
	mta->tls.is_offered = mta->tls.has_xclient = mta->has_greeted = false;
	mta->is_closed_to = false; /* without XCLIENT before */
	mta->offered = 0;
	mta->state = MTA_COMMANDS;
}

bool
mta_tls_wait(struct world *world, enum session_side side)
{
	struct mta *mta = &world->mta[side];
	struct party *now = party(world, side);

	if (now->is_securing) {
		if (!world_fault(world, FAULT_BACKEND_LEAVES_IN_TLS))
			return false;
		mta_hang_up(world, side,
			    world_one_in(world, 2) ? 0 : -ECONNRESET);
		return true;
	}
	if (now->heard.octets.n == now->heard.at)
		return false;
	/* Its 220 was not taken for one: then nor is what it says now. */
	if (!mta->has_lied)
		stage_fail(&world->stage, "octets in plain behind the 220 to "
					  "STARTTLS");
	mta_hang_up(world, side, -ECONNRESET);
	return true;
}
