/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client: the backend-facing dialogue: commands out, replies matched to them.
 *
 * Each command sent stands in a queue with a tag of the caller's until its
 * reply has come; replies are matched strictly in order, one for one. With
 * PIPELINING (RFC 2920) several may be under way; without it the next one is
 * held back here until the one before is answered. Commands after which the
 * peer's state must be known (EHLO, STARTTLS, AUTH, DATA, its end, BDAT,
 * XCLIENT, QUIT) must not have another queued behind them until they are
 * answered: asserted, and asked by client_has_room().
 *
 * A reply that nothing asked for is an end: 421 is given as CLIENT_GOODBYE
 * (RFC 5321 3.8: the server may say it at any time), anything else is
 * CLIENT_BAD, as is a reply that reply_next() refuses.
 *
 * Replies have no names, so one too many is taken for that of the next command
 * as long as one is outstanding. What holds all the same, with the caller:
 * - It shows when one is left: before DATA or BDAT, since neither is sent while
 *   anything is outstanding, nothing of the message is handed on.
 * - Left behind DATA it meets the only reply that must be 354: a yes is none,
 *   and what is a no can lose no message, for 354 comes next, out of place.
 * - No yes to the message counts before its last octet has left.
 * What cannot be told: a yes to a recipient that is left, and comes only when
 * all of a BDAT LAST has left, from a yes to the message. There is nothing like
 * 354 in between; when the true reply follows, the first has been passed on.
 * (tests/replay/571 to 574)
 */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H

#include "smtp/reply.h"

#define CLIENT_QUEUE_MAX 64
#define CLIENT_HELD_MAX (CLIENT_QUEUE_MAX * 2304)

enum client_command {
	CLIENT_BANNER, /* nothing sent: the greeting is awaited */
	CLIENT_HELO,   /* HELO or EHLO */
	CLIENT_XCLIENT,
	CLIENT_STARTTLS,
	CLIENT_LOGIN, /* AUTH, or a line behind a 334 to it */
	CLIENT_MAIL,
	CLIENT_RCPT,
	CLIENT_DATA,    /* answered 354 or a refusal */
	CLIENT_CONTENT, /* the end of data; the octets are the caller's */
	CLIENT_CHUNK,   /* BDAT n LAST; so are its octets */
	CLIENT_RSET,
	CLIENT_NOOP,
	CLIENT_QUIT,
};

/* Small: there is a queue of them for each connection, mostly empty. */
struct client_entry {
	unsigned tag;
	uint16_t held;   /* octets of its line still in `held` */
	uint8_t command; /* enum client_command */
};

struct client {
	struct client_entry queue[CLIENT_QUEUE_MAX];
	unsigned first;
	unsigned count;
	bool is_pipelining; /* set by the caller from the EHLO reply */
	struct buf held;    /* lines not sent yet */
	size_t shown;       /* octets that were no whole reply last time */
};

enum client_status { CLIENT_MORE, CLIENT_REPLY, CLIENT_GOODBYE, CLIENT_BAD };

struct client_answer {
	enum client_command command;
	unsigned tag;
	struct reply reply; /* borrows from the octets shown */
};

/* A client that awaits the banner. */
void client_init(struct client *client);
void client_fini(struct client *client);

/* Whether another command may be queued now: there is room, and none before it
 * must be answered first. */
bool client_has_room(const struct client *client);

/*
 * Send one command line (with its CR LF; empty for CLIENT_BANNER and
 * CLIENT_CONTENT) into `out`, or hold it. False if out or the queue is full.
 */
bool client_send(struct client *client, enum client_command command,
		 unsigned tag, struct span line, struct buf *out);

/*
 * The next reply in *in, which is moved behind it; held lines that it sets
 * free are appended to out. Those that find no room there go with the next
 * call: so call again when out has drained. CLIENT_MORE leaves the rest of *in
 * to be shown again, with more octets behind the same ones. CLIENT_GOODBYE
 * gives the reply, and no command.
 */
enum client_status client_next(struct client *client, struct span *in,
			       struct buf *out, struct client_answer *answer);

/* Commands that still want an answer. */
static inline unsigned
client_outstanding(const struct client *client)
{
	return client->count;
}

#endif
