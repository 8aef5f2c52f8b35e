/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server: the client-facing dialogue, as a machine without octets or clock.
 *
 * Given one command (or what was wrong with the line) it says what is to be
 * done: answer this text, or carry out this duty and report its outcome. It
 * decides order and syntax; who accepts a sender or a recipient is the
 * backend's business, and the session brings the two together.
 *
 *                 HELO/EHLO ok        MAIL ok         RCPT ok      DATA
 *    CONNECTED ---------------> GREETED -------> MAIL -------> RCPT ----> DATA
 *                                                              |           ^
 *                                                BDAT +--------+ BDAT LAST |
 *                                                     v                    |
 *                                                  CHUNKS -----------------+
 *        any: HELO, EHLO, RSET, end of data, BDAT that is refused ---> GREETED
 *        (CONNECTED if never greeted); QUIT, too many errors --------> CLOSED
 *
 * Chunks (RFC 3030): once a mail has begun to come by BDAT nothing else may be
 * done for it (503). A BDAT that is refused ends the mail: what comes of it
 * afterwards could only be delivered with a hole. Its octets are swallowed,
 * however wrong it was, for they are no commands; where their number cannot be
 * read, or is beyond all measure, the session ends. Those behind it that were
 * on their way already are one error with it, and junk.
 *
 * Pipelining (RFC 2920): RCPT may follow MAIL or RCPT while these are still
 * unanswered. Every other command, and every answer of our own, waits until
 * nothing is outstanding (SERVER_WAIT: show the same command again), so that
 * replies leave in the order of the commands without a queue.
 *
 * RFC 5321 4.1.4, 4.3.2; RFC 1870; RFC 3030; RFC 3207; RFC 4954 4; RFC 6531
 * 3.4.
 */
#ifndef SMTP_SERVER_H
#define SMTP_SERVER_H

#include "smtp/command.h"
#include "smtp/extension.h"

enum server_state {
	SERVER_CONNECTED,
	SERVER_GREETED,
	SERVER_MAIL,
	SERVER_RCPT,
	SERVER_CHUNKS, /* some of it came by BDAT */
	SERVER_DATA,   /* or behind BDAT LAST */
	SERVER_CLOSED,
};

enum server_duty {
	SERVER_WAIT,      /* not now: commands before it are outstanding */
	SERVER_ANSWER,    /* send the answer */
	SERVER_CLOSE,     /* send the answer and close */
	SERVER_HELO,      /* find what to greet with; then server_greeted() */
	SERVER_SENDER,    /* MAIL to the backend; then server_sender() */
	SERVER_RECIPIENT, /* RCPT to the backend; then server_recipient() */
	SERVER_CONTENT,   /* send the answer (354), read data; server_end() */
	SERVER_SECURE,    /* send the answer (220), begin TLS; then
			   * server_secured() */
	SERVER_RESET,     /* drop the mail, then send the answer */
	SERVER_CHUNK,    /* read so many octets; then answer, or server_end() */
	SERVER_SWALLOW,  /* drop the mail, read so many octets to no end, then
			  * send the answer */
	SERVER_LOGIN,    /* AUTH to the backend, and what follows it; then
			  * server_logged_in() */
	SERVER_IDENTITY, /* XCLIENT from a listed peer; if it is well-formed
			  * then server_reset() */
};

struct server_limits {
	/* Of each, 0 is none. */
	uint64_t size_max;       /* of a message; for SIZE= and 552 */
	unsigned recipients_max; /* per mail; then 452 4.5.3 */
	/* Per session; the next line, or the next MAIL, gets 421 4.7.0. */
	unsigned errors_max;   /* answers of class 5 of our own */
	unsigned unknown_max;  /* of these, to unknown commands */
	unsigned refused_max;  /* recipients refused by class 5 */
	unsigned junk_max;     /* commands between mails that are none */
	unsigned messages_max; /* MAILs forwarded, whatever their outcome */
};

struct server {
	enum server_state state;
	struct server_limits limits;
	struct ehlo offered; /* as in our last EHLO reply */
	bool is_extended;    /* EHLO, not HELO */
	bool is_greeted;
	bool takes_xclient;     /* the peer is listed; set by the session */
	bool has_tls;           /* STARTTLS can be done; set by the session */
	bool requires_tls;      /* for mail; set by the session */
	bool is_secured;        /* TLS stands */
	bool takes_login;       /* AUTH may be passed on; set by the session */
	bool is_logged_in;      /* … and was successful */
	bool is_hello_pending;  /* SERVER_HELO not reported back */
	bool is_sender_pending; /* MAIL forwarded, not answered */
	bool is_sender_utf8;    /* the MAIL forwarded last has SMTPUTF8 */
	bool is_sender_binary;  /* … has BODY=BINARYMIME */
	unsigned recipients_pending;
	unsigned recipients;   /* accepted */
	uint64_t chunked;      /* octets of chunks announced for this mail */
	bool is_chunk_refused; /* the command before was such a one */
	/* What is limited, so far; junk since the last message. */
	unsigned errors, unknown, refused, junk, messages;
};

struct server_turn {
	enum server_duty duty;
	unsigned code;        /* the answer; 0 where the duty has none */
	const char *enhanced; /* constant */
	const char *text;     /* constant; several lines: none */
	const char *limit;    /* that was reached: its setting; or NULL */
};

void server_init(struct server *server, const struct server_limits *limits);

/*
 * One line. `line` says what the framing found, and is not COMMAND_MORE; for
 * COMMAND_LINE, fault and command are what command_parse() gave, else they are
 * not looked at. The state moves when the duty is reported back, except for
 * DATA, BDAT, RSET and what closes. While the state is DATA or CLOSED there are
 * no commands: asserted.
 */
struct server_turn server_step(struct server *server, enum command_line line,
			       enum command_fault fault,
			       const struct command *command);

/* Whether any HELO, EHLO or forwarded command is unanswered. */
bool server_is_waiting(const struct server *server);

/* Outcomes of duties. A code of class 2 moves the state. `offered` is what
 * the EHLO reply offered (ignored for HELO). */
void server_greeted(struct server *server, bool is_extended, unsigned code,
		    const struct ehlo *offered);
void server_sender(struct server *server, unsigned code);
void server_recipient(struct server *server, unsigned code);

/* The data has ended and been answered, or the mail was dropped. */
void server_end(struct server *server);

/* TLS stands: as freshly connected, but for that. RFC 3207 4.2. */
void server_secured(struct server *server);
/* What came of AUTH: its last reply. */
void server_logged_in(struct server *server, unsigned code);

/* The client has sent a message: junk is counted anew. */
void server_delivered(struct server *server);

/* As freshly connected: after XCLIENT. */
void server_reset(struct server *server);

#endif
