/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * login: AUTH in the simulated world, passed on between a client and a backend
 * (auth = relay), and what the parties hold the gate to.
 *
 * A client logs in where that is offered, if it wants to: with its first
 * response or without, in turns; it gives up, says no base64, talks on, hangs,
 * or goes away in the midst of it. A backend asks, accepts, refuses, says
 * goodbye, hangs up, answers what is no answer, or accepts what was taken
 * back. Watched, beside what world.h and the stage watch:
 *
 * - AUTH is offered under TLS only, where the listener has it and the backend
 *   offers it; a backend hears it, and each response, as the client said it,
 *   or "*" in place of what must not be passed on;
 * - the client hears 235 only from the backend, about this exchange;
 * - mail of a client that has logged in comes to a backend on the connection
 *   that the login was made on, and on no other; mail of any other client on
 *   one that nobody has logged in on;
 * - of the former there is no DMARC verdict in the line, and none is enforced;
 *   of the latter there is.
 */
#ifndef TESTS_SIM_LOGIN_H
#define TESTS_SIM_LOGIN_H

#include "tests/replay/stage.h"

struct world;

enum fault;

/* Of a client, in one session. */
struct sender_login {
	bool is_wanted;
	bool is_tried;
	bool is_open;     /* AUTH was said, and is not decided */
	bool is_given_up; /* … and "*" was said, or … */
	bool is_spoiled;  /* … what is no base64 */
	bool is_in;       /* 235 was heard */
	char line[64];    /* what it said last */
};

/* Of a backend, on one connection. */
struct mta_login {
	bool is_open;        /* AUTH was heard, and is not decided */
	unsigned challenges; /* to come */
	bool is_in;          /* 235 was said, or was to be */
};

/* Whether a client may log in at the listener of this session. */
bool login_is_here(const struct world *world);

/* There are few logins: what goes wrong in one does so in one of five, where
 * anything may. */
bool login_fault(struct world *world, enum fault fault);

/* sender_login.c */
void sender_login_start(struct world *world); /* another session */
/* Whether AUTH is the next thing it says. */
bool sender_login_is_next(const struct world *world);
/* AUTH, or a response. */
void sender_login_say(struct world *world);
/* Out of order; true if it has done something. */
bool sender_login_misbehave(struct world *world);
void sender_login_hear(struct world *world, unsigned code);
/* The keyword, in its EHLO reply. */
void sender_login_check_offer(struct world *world);
/* The end of data was answered: what does the verdict line say? */
void sender_login_check_line(struct world *world);

/* mta_login.c */
void mta_login_hear(struct world *world, enum session_side side,
		    struct span line);
/* MAIL was heard: is it from whom it seems to be? */
void mta_login_check(struct world *world, enum session_side side);

#endif
