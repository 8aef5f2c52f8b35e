/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * login: AUTH as it is passed on between a client and a backend.
 *
 * The gate knows no mechanism and no secret. It sees to the form: what goes on
 * to the backend is the word AUTH, a mechanism that was offered and base64;
 * then lines of base64 both ways, or "*" with which the client gives up, until
 * the backend decides. Nothing of it is ever logged.
 *
 * Not every mechanism can be passed on. What ties itself to the connection
 * would fail, since there are two of them (GSSAPI and others that wrap all
 * that follows; …-PLUS, which binds to the TLS channel), and EXTERNAL would be
 * taken by the backend for the certificate of the gate.
 *
 * RFC 4954; RFC 4422 3.1.
 */
#ifndef SMTP_LOGIN_H
#define SMTP_LOGIN_H

#include "smtp/reply.h"

/* RFC 4954 4: of a line of the exchange, with its CR LF. */
#define LOGIN_LINE_MAX 12288
#define LOGIN_MECHANISM_MAX 20
/* Of all that a backend offers; those that find no room are left out. */
#define LOGIN_MECHANISMS_MAX 120

struct login {
	struct span mechanism;
	struct span response; /* the first one, as written; empty: none */
};

/* What stands behind AUTH; false if it is not "mechanism [base64 | =]". It
 * borrows from argument. */
bool login_parse(struct span argument, struct login *login);

/* AUTH written anew, with CR LF; false if buf is full. */
bool login_format(const struct login *login, struct buf *buf);

/* Whether a line, without its CR LF, answers a challenge: base64, be it of no
 * octet, "=", or "*". */
bool login_is_response(struct span line);

/* Whether a 334 reply is a challenge: one line of base64, be it of no octet. */
bool login_is_challenge(const struct reply *reply);

/* Those of the words in text that can be passed on, in upper case, with a
 * space between them, and NUL behind. */
void login_mechanisms(struct span text, char list[LOGIN_MECHANISMS_MAX + 1]);

/* Whether a list of login_mechanisms() has it, in any case. */
bool login_has_mechanism(const char *list, struct span mechanism);

#endif
