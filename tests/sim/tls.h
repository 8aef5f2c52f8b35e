/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls: what the parties of the simulated world do about TLS, and what they
 * hold the gate to.
 *
 * A client begins TLS where it is offered, if it wants to, and where it is out
 * of place, if it is a fool; it fails, hangs, or goes away in the handshake;
 * somebody on the way adds octets to what it says. A backend has TLS or not,
 * offers other keywords under it, and fails in as many ways. Watched, beside
 * what world.h and the stage watch:
 *
 * - STARTTLS is offered where it can be done, and done where it is allowed,
 *   and nowhere else; behind it the client is as good as new: no MAIL before
 *   another EHLO, and nothing of what was said in plain reaches a backend;
 * - where a listener requires TLS nothing of a mail is taken without it, and
 *   what it says instead is said nowhere else;
 * - a backend for which TLS is required hears our EHLO, STARTTLS and QUIT in
 *   plain, and nothing else; where it is opportunistic, all is said in plain
 *   only if it does not offer TLS, refuses it, or has failed in its handshake
 *   on the connection before; where it is off, TLS is not asked for;
 * - a mail that asks for TLS all the way (REQUIRETLS) stays under TLS.
 */
#ifndef TESTS_SIM_TLS_H
#define TESTS_SIM_TLS_H

#include "tests/replay/stage.h"

struct world;
struct mta;

enum said;

/* Of a client, in one session. */
struct sender_tls {
	bool is_wanted;    /* where it is offered */
	bool is_asked;     /* STARTTLS has no answer; it says nothing else */
	bool is_injected;  /* … and somebody has added octets */
	bool is_beginning; /* 220 was heard, or it was to begin at once */
	bool is_drawn;     /* what becomes of the handshake */
	bool is_secured;
	bool is_greeted; /* HELO or EHLO was accepted, since TLS */
	bool has_mail;   /* a MAIL was accepted, and is not over */
	bool is_unsure;  /* … or may be */
};

/* Of a backend, for a whole life. */
struct mta_talent {
	bool has_tls;
	bool needs_tls;   /* for XCLIENT: it is offered under TLS only */
	unsigned secured; /* what it offers then */
};

/* … on one connection. */
struct mta_tls {
	bool is_excused;  /* the gate need not begin TLS: the handshake failed
			     on the connection before */
	bool is_greeted;  /* by the gate itself */
	bool is_offered;  /* STARTTLS, in its reply to that */
	bool is_refused;  /* … and when it was said */
	bool is_injected; /* somebody has added octets to the 220 */
	bool is_drawn;    /* what becomes of the handshake */
	bool is_hanging;  /* it never ends */
	bool is_secured;
	bool has_xclient; /* in its last EHLO reply */
	unsigned
		hello_number; /* of the client's greeting that was heard last */
};

/* sender_tls.c */
void sender_tls_start(struct world *world); /* another session */
/* A handshake may have begun, or ended: notice. */
void sender_tls_look(struct world *world);
/* Whether STARTTLS is the next thing it says. */
bool sender_tls_is_next(const struct world *world);
void sender_tls_say(struct world *world);
/* STARTTLS, wherever it stands. */
void sender_tls_say_anyhow(struct world *world);
/* Out of order; true if it has done something. */
bool sender_tls_misbehave(struct world *world);
/* A whole reply: is it as it should be? Before it changes anything else. */
void sender_tls_hear(struct world *world, enum said said, unsigned code);

/* mta_tls.c */
/* Which backends have TLS, and what they offer then; what a probe of the
 * gate's sees of one that offers `plain` in plain. */
unsigned mta_tls_draw(struct world *world, size_t backend, unsigned plain);
/* A new connection; of the one before is told. */
void mta_tls_begin(struct world *world, enum session_side side,
		   const struct mta *before);
void mta_tls_look(struct world *world, enum session_side side);
/* What it offers now, in a reply to EHLO. */
unsigned mta_tls_offers(struct world *world, enum session_side side,
			bool is_own);
bool mta_tls_has_xclient(const struct world *world, enum session_side side);
/* A command, before it is carried out: may it be said as it is? */
void mta_tls_check(struct world *world, enum session_side side,
		   struct span line);
void mta_tls_hear(struct world *world, enum session_side side); /* STARTTLS */
/* It waits for a handshake; true if it has done something. */
bool mta_tls_wait(struct world *world, enum session_side side);

#endif
