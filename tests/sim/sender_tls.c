/* SPDX-License-Identifier: BSD-2-Clause */
/* The client and TLS: when it begins it, how it fails, and what it knows of
 * what the gate may answer. */
#include "tests/sim/world.h"

#include <errno.h>

static struct party *
party(struct world *world)
{
	return &world->stage.party[SIDE_CLIENT];
}

static const struct conf_listener *
listener(const struct world *world)
{
	return world->stage.peer.listener;
}

static bool
can_begin(const struct world *world)
{
	return listener(world)->tls_certificates.count > 0 &&
	       !world->sender.tls.is_secured;
}

static bool
must_begin(const struct world *world)
{
	return listener(world)->requires_tls && !world->sender.tls.is_secured;
}

void
sender_tls_start(struct world *world)
{
	const struct conf *conf = world->scenario->props.conf;
	struct sender *sender = &world->sender;
	const struct conf_listener *chosen = conf->listeners;

	if (conf->listener_count > 1)
		chosen += world_below(world, (unsigned)conf->listener_count);
	world->stage.peer.listener = chosen;
	sender->tls = (struct sender_tls){
		.is_beginning = chosen->is_implicit_tls,
	};
	party(world)->is_tls_bad = false;
	if (chosen->tls_certificates.count == 0)
		return;
	if (chosen->requires_tls)
		sender->tls.is_wanted =
			!world_fault(world, FAULT_CLIENT_SHUNS_TLS);
	else
		sender->tls.is_wanted = chosen->relays_auth
						? !world_one_in(world, 8)
						: world_one_in(world, 2);
	/* By HELO it would never hear of STARTTLS. */
	if (chosen->requires_tls && world_is_calm(world))
		sender->is_extended = true;
}

/* --- the handshake --- */

/* What is known of it by its handshake. */
static void
draw_identity(struct world *world)
{
	static const struct tlsinfo who[] = {
		{ .version = "TLSv1.3",
		  .cipher = "TLS_AES_128_GCM_SHA256",
		  .bits = 128,
		  .server_name = SPAN_LIT("mx.gate.example") },
		{ .version = "TLSv1.2",
		  .cipher = "ECDHE-RSA-AES256-GCM-SHA384",
		  .bits = 256,
		  .is_resumed = true },
		{ .version = "TLSv1.3",
		  .cipher = "TLS_AES_256_GCM_SHA384",
		  .bits = 256,
		  .has_certificate = true,
		  .is_verified = true,
		  .server_name = SPAN_LIT("gate.example"),
		  .subject = SPAN_LIT("CN=client.example,O=Sender") },
		{ .version = "TLSv1.2",
		  .cipher = "ECDHE-RSA-AES128-GCM-SHA256",
		  .bits = 128,
		  .has_certificate = true,
		  .subject = SPAN_LIT("CN=somebody") },
	};
	bool has_ca = listener(world)->tls_client_ca.n > 0;

	party(world)->tls = &who[world_below(world, has_ca ? 4 : 2)];
}

static void
draw_handshake(struct world *world)
{
	struct party *now = party(world);

	world->sender.tls.is_drawn = true;
	draw_identity(world);
	/* Who has closed already says nothing in there. */
	if (world->sender.is_closed) {
		now->is_hanging = true;
	} else if (world_fault(world, FAULT_CLIENT_SPOILS_TLS)) {
		now->is_tls_bad = true;
	} else if (world_fault(world, FAULT_CLIENT_HANGS_IN_TLS)) {
		now->is_hanging = true;
	} else if (world_fault(world, FAULT_CLIENT_STAYS_IN_PLAIN)) {
		stage_say(&world->stage, SIDE_CLIENT,
			  SPAN_LIT("EHLO mitm.example\r\n"));
	} else if (world_fault(world, FAULT_CLIENT_LEAVES_IN_TLS)) {
		world->sender.phase = SENDER_DONE;
		world->sender.is_closed = world->sender.is_deaf = true;
		stage_hang_up(&world->stage, SIDE_CLIENT,
			      world_one_in(world, 2) ? 0 : -ECONNRESET);
	}
}

void
sender_tls_look(struct world *world)
{
	struct sender *sender = &world->sender;
	struct sender_tls *tls = &sender->tls;

	if (world->stage.session == NULL)
		return;
	if (party(world)->is_securing && !tls->is_drawn) {
		draw_handshake(world);
		return;
	}
	if (!party(world)->is_secured || !tls->is_beginning)
		return;
	tls->is_beginning = tls->is_greeted = tls->has_mail = false;
	tls->is_secured = true;
	world->tally->client_tls++;
	/* Nothing that was said before counts any more. */
	sender->offered = 0;
	if (!listener(world)->is_implicit_tls)
		sender->phase = SENDER_HELLO;
}

/* --- saying --- */

bool
sender_tls_is_next(const struct world *world)
{
	return world->sender.tls.is_wanted && !world->sender.tls.is_secured &&
	       sender_is_offered(&world->sender, EXTENSION_STARTTLS);
}

static void
say_it(struct world *world)
{
	stage_say(&world->stage, SIDE_CLIENT, SPAN_LIT("STARTTLS\r\n"));
	sender_expect(world, SAID_STARTTLS, 0);
}

/* What somebody between the two would like to have said under TLS
 * (CVE-2011-0411). The client does not know of it, nor wait for an answer. */
static void
inject(struct world *world)
{
	static const char *const texts[] = {
		"NOOP\r\n",
		"RSET\r\n",
		"EHLO mitm.example\r\n",
		"MAIL FROM:<mitm@evil.example>\r\n",
		"EHLO mitm.example\r\nMAIL FROM:<mitm@evil.example>\r\n",
		"X",
		"\r\n",
	};

	world->sender.tls.is_injected = true;
	stage_say(&world->stage, SIDE_CLIENT,
		  span_cstr(texts[world_below(world, 7)]));
}

void
sender_tls_say(struct world *world)
{
	say_it(world);
	world->sender.tls.is_asked = true;
	world->sender.phase = SENDER_MAIL;
	if (world_fault(world, FAULT_CLIENT_IS_INJECTED))
		inject(world);
}

/* It waits for the answer, unless it knows which it will be. */
void
sender_tls_say_anyhow(struct world *world)
{
	struct sender *sender = &world->sender;
	bool is_refused = !can_begin(world) ||
			  (sender->tls.has_mail && !sender->tls.is_unsure &&
			   sender->count == 0);

	say_it(world);
	sender->tls.is_asked = !is_refused || world_one_in(world, 2);
}

bool
sender_tls_misbehave(struct world *world)
{
	struct sender *sender = &world->sender;
	/* Not within the octets of a chunk of which the rest never comes. */
	bool is_torn = sender->phase == SENDER_CHUNKS &&
		       sender->content_at >= sender->breaks_at;
	bool is_between = sender->phase != SENDER_CONTENT && !is_torn &&
			  party(world)->unsaid.n == 0;

	if (listener(world)->tls_certificates.count == 0)
		return false;
	if (is_between && world_fault(world, FAULT_CLIENT_STARTTLS_ASTRAY)) {
		sender_tls_say_anyhow(world);
		return true;
	}
	if (sender->tls.is_secured &&
	    world_fault(world, FAULT_CLIENT_BREAKS_TLS)) {
		sender->phase = SENDER_DONE;
		sender->is_closed = sender->is_deaf = true;
		stage_hang_up(&world->stage, SIDE_CLIENT, -EPROTO);
		return true;
	}
	if (sender->phase == SENDER_HELLO && sender->count == 0 &&
	    sender->tls.is_secured && !sender->tls.is_greeted &&
	    world_fault(world, FAULT_CLIENT_GREETS_ONCE)) {
		stage_say(&world->stage, SIDE_CLIENT,
			  SPAN_LIT("MAIL FROM:<early@sender.example>\r\n"));
		sender_expect(world, SAID_EARLY, 0);
		return true;
	}
	return false;
}

/* --- hearing --- */

static void
hear_starttls(struct world *world, unsigned code)
{
	struct sender *sender = &world->sender;
	struct sender_tls *tls = &sender->tls;
	bool is_allowed = can_begin(world) && tls->is_greeted && !tls->has_mail;

	tls->is_asked = false;
	if (code == 220 && !is_allowed && !tls->is_unsure)
		stage_fail(&world->stage, "TLS begins where it must not");
	if (code != 220 && code != 421 && is_allowed && !tls->is_unsure &&
	    !tls->is_injected)
		stage_fail(&world->stage,
			   "STARTTLS is answered %u, though "
			   "nothing stands against it",
			   code);
	if (code == 220) {
		tls->is_beginning = true;
		tls->has_mail = tls->is_unsure = false;
		sender->phase = SENDER_WAITS;
	} else if (tls->is_injected) {
		sender->phase = SENDER_DONE;
	}
}

static void
hear_greeting(struct world *world, unsigned code)
{
	const struct sender *sender = &world->sender;
	bool is_offered = sender_is_offered(sender, EXTENSION_STARTTLS);

	world->sender.tls.has_mail = world->sender.tls.is_unsure = false;
	if (code / 100 != 2)
		return;
	world->sender.tls.is_greeted = true;
	if (sender->is_extended && is_offered != can_begin(world))
		stage_fail(&world->stage, "STARTTLS is %soffered",
			   is_offered ? "" : "not ");
	if (sender_is_offered(sender, EXTENSION_REQUIRETLS) &&
	    !sender->tls.is_secured)
		stage_fail(&world->stage, "REQUIRETLS is offered in plain");
}

/* A reply to a command of a mail. */
static void
check_mail(struct world *world, unsigned code)
{
	bool is_good = code / 100 == 2 || code == 354;

	if (is_good && !world->sender.tls.is_greeted)
		stage_fail(&world->stage, "%u before EHLO", code);
	if (is_good && must_begin(world))
		stage_fail(&world->stage, "%u in plain, where TLS is required",
			   code);
	if (code == 530 && !must_begin(world))
		stage_fail(&world->stage, "530, where TLS is not required");
}

void
sender_tls_hear(struct world *world, enum said said, unsigned code)
{
	struct sender_tls *tls = &world->sender.tls;

	switch (said) {
	case SAID_XCLIENT:
		tls->is_greeted &= code != 220;
		return;
	case SAID_HELLO:
		hear_greeting(world, code);
		return;
	case SAID_STARTTLS:
		hear_starttls(world, code);
		return;
	case SAID_EARLY:
	case SAID_RCPT:
		check_mail(world, code);
		return;
	case SAID_MAIL:
		check_mail(world, code);
		tls->has_mail |= code / 100 == 2;
		return;
	case SAID_DATA:
		check_mail(world, code);
		tls->is_unsure |= code != 354;
		return;
	case SAID_CHUNK:
		check_mail(world, code);
		tls->has_mail &= code / 100 == 2;
		return;
	case SAID_LAST:
	case SAID_CONTENT:
		check_mail(world, code);
		tls->has_mail = false;
		return;
	case SAID_RSET:
		tls->has_mail = tls->is_unsure = false;
		return;
	case SAID_LOGIN:
	case SAID_NOTHING:
	case SAID_QUIT:
	case SAID_OTHER:
		return;
	}
}
