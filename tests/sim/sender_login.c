/* SPDX-License-Identifier: BSD-2-Clause */
/* The client and AUTH. */
#include "tests/sim/world.h"

#include "tests/replay/jsonpath.h"

#include <errno.h>
#include <stdio.h>

bool
login_is_here(const struct world *world)
{
	return world->stage.peer.listener->relays_auth;
}

bool
login_fault(struct world *world, enum fault fault)
{
	return !world_is_calm(world) && world_one_in(world, 5) &&
	       world_fault(world, fault);
}

void
sender_login_start(struct world *world)
{
	world->sender.login = (struct sender_login){ 0 };
	world->stage.is_verdict_new = false;
	if (login_is_here(world))
		world->sender.login.is_wanted = !world_one_in(world, 8);
}

bool
sender_login_is_next(const struct world *world)
{
	const struct sender_login *login = &world->sender.login;

	return login->is_wanted && !login->is_tried &&
	       sender_is_offered(&world->sender, EXTENSION_AUTH);
}

/* --- saying --- */

static void
say(struct world *world, const char *line)
{
	struct sender_login *login = &world->sender.login;

	snprintf(login->line, sizeof(login->line), "%s", line);
	stage_say(&world->stage, SIDE_CLIENT, span_cstr(line));
	stage_say(&world->stage, SIDE_CLIENT, SPAN_LIT("\r\n"));
	sender_expect(world, SAID_LOGIN, 0);
	world->sender.phase = SENDER_WAITS;
}

static void
begin(struct world *world)
{
	static const char *const lines[] = {
		"AUTH PLAIN AGFsaWNlAHNlY3JldA==",
		"AUTH PLAIN",
		"AUTH LOGIN",
		"auth login YWxpY2U=",
		"AUTH PLAIN =",
	};
	struct sender_login *login = &world->sender.login;

	login->is_tried = login->is_open = true;
	login->is_given_up = login->is_spoiled = false;
	say(world, lines[world_below(world, 5)]);
}

/* The gate may not take one of these for a command, nor pass on what might be
 * taken for one. */
static void
respond(struct world *world)
{
	static const char *const good[] = { "YWxpY2U=", "c2VjcmV0", "=",   "",
					    "DATA",     "QUIT",     "RSET" };
	static const char *const bad[] = { "MAIL FROM:<a@b>", "not base64",
					   "abc", "EHLO mitm.example", "**" };
	struct sender_login *login = &world->sender.login;

	if (login_fault(world, FAULT_CLIENT_GIVES_UP)) {
		login->is_given_up = true;
		say(world, "*");
	} else if (login_fault(world, FAULT_CLIENT_SPOILS_LOGIN)) {
		login->is_given_up = login->is_spoiled = true;
		say(world, bad[world_below(world, 5)]);
	} else {
		say(world, good[world_below(world, 7)]);
	}
}

void
sender_login_say(struct world *world)
{
	if (world->sender.login.is_open)
		respond(world);
	else
		begin(world);
}

/* Behind AUTH, or a response, without having heard of it. Whatever becomes of
 * it, the session must end. */
static void
talk_on(struct world *world)
{
	static const char *const lines[] = {
		"c2VjcmV0\r\n",
		"MAIL FROM:<alice@sender.example>\r\n",
		"*\r\n",
		"X",
	};

	stage_say(&world->stage, SIDE_CLIENT,
		  span_cstr(lines[world_below(world, 4)]));
	world->sender.has_lost_track = true;
	world->sender.phase = SENDER_DONE;
}

static void
go_away(struct world *world)
{
	struct sender *sender = &world->sender;

	sender->phase = SENDER_DONE;
	sender->is_closed = true;
	sender->is_deaf = world_one_in(world, 2);
	stage_hang_up(&world->stage, SIDE_CLIENT,
		      sender->is_deaf ? -ECONNRESET : 0);
}

/* It is somebody else from here on, who has not logged in. */
static void
change_identity(struct world *world)
{
	struct sender *sender = &world->sender;

	sender->is_identified = false;
	sender->login = (struct sender_login){ 0 };
	sender->tls.has_mail = false;
	sender->phase = SENDER_HELLO;
}

bool
sender_login_misbehave(struct world *world)
{
	struct sender *sender = &world->sender;

	if (!login_is_here(world))
		return false;
	if (sender->login.is_open && sender->phase == SENDER_WAITS) {
		if (world_fault(world, FAULT_CLIENT_TALKS_ON))
			talk_on(world);
		else if (world_fault(world, FAULT_CLIENT_LEAVES_LOGIN))
			go_away(world);
		else
			return false;
		return true;
	}
	if (sender->phase == SENDER_MAIL && sender->count == 0 &&
	    sender->login.is_in &&
	    world->stage.peer.listener->xclient_from.count > 0 &&
	    login_fault(world, FAULT_CLIENT_IS_ANOTHER)) {
		change_identity(world);
		return true;
	}
	return false;
}

/* --- hearing --- */

static void
check_yes(struct world *world)
{
	const struct mta *mta = &world->mta[SIDE_BACKEND];

	if (!mta->login.is_in || mta->login.is_open)
		stage_fail(&world->stage,
			   "235, which the backend has not said");
	if (world->sender.login.is_spoiled)
		stage_fail(&world->stage, "235 to what was not passed on");
	if (!world->sender.tls.is_secured)
		stage_fail(&world->stage, "235 in plain");
}

void
sender_login_hear(struct world *world, unsigned code)
{
	struct sender *sender = &world->sender;

	sender->phase = SENDER_LOGIN;
	if (code == 334) {
		world_use(world, FEATURE_LOGIN_TURNS);
		if (sender->login.is_spoiled)
			stage_fail(&world->stage,
				   "a challenge to what was not passed on");
		return;
	}
	sender->login.is_open = false;
	sender->phase = SENDER_MAIL;
	if (code / 100 == 2) {
		check_yes(world);
		sender->login.is_in = true;
		world_use(world, FEATURE_LOGIN_TAKEN);
	} else if (code == 421) {
		world_use(world, FEATURE_LOGIN_GOODBYE);
	} else if (sender->login.is_given_up) {
		world_use(world, FEATURE_LOGIN_GIVEN_UP);
	} else {
		world_use(world, FEATURE_LOGIN_REFUSED);
	}
	/* Some try once more. */
	if (code / 100 == 5 && world_one_in(world, 4))
		sender->login.is_tried = false;
	if (sender_login_is_next(world))
		sender->phase = SENDER_LOGIN;
}

void
sender_login_check_offer(struct world *world)
{
	const struct sender *sender = &world->sender;
	bool may_be = login_is_here(world) && sender->tls.is_secured &&
		      !sender->login.is_in;

	if (sender_is_offered(sender, EXTENSION_AUTH) && !may_be)
		stage_fail(&world->stage, "AUTH is offered out of place");
}

static bool
line_says(struct world *world, const char *path, struct span wanted)
{
	struct buf value;
	bool is_so;

	buf_init(&value, 1u << 16);
	is_so = jsonpath_find(buf_span(&world->stage.verdict), span_cstr(path),
			      &value) &&
		span_equal(buf_span(&value), wanted);
	buf_fini(&value);
	return is_so;
}

void
sender_login_check_line(struct world *world)
{
	bool is_in = world->sender.login.is_in;

	if (!login_is_here(world) || !world->stage.is_verdict_new)
		return;
	world->stage.is_verdict_new = false;
	if (is_in)
		world_use(world, FEATURE_LOGIN_MAIL);
	if (!line_says(world, "authenticated",
		       is_in ? SPAN_LIT("true") : SPAN_LIT("false")))
		stage_fail(
			&world->stage,
			"the client has %slogged in, the line says otherwise",
			is_in ? "" : "not ");
	if (is_in && !line_says(world, "dmarc", SPAN_LIT("null")))
		stage_fail(&world->stage,
			   "a DMARC verdict on who has logged in");
}
