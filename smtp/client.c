/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue is a ring. Entries whose line is still held follow those that are
 * sent; a reply can only belong to the first entry, and only if that is sent.
 */
#include "smtp/client.h"

#include <assert.h>

void
client_init(struct client *client)
{
	*client = (struct client){ .count = 1 };
	client->queue[0].command = CLIENT_BANNER;
	buf_init(&client->held, CLIENT_HELD_MAX);
}

void
client_fini(struct client *client)
{
	buf_fini(&client->held);
}

static struct client_entry *
entry_at(struct client *client, unsigned i)
{
	return &client->queue[(client->first + i) % CLIENT_QUEUE_MAX];
}

/* RFC 2920 3.1: commands that end a pipelined group; what follows depends on
 * their answer. */
static bool
is_synchronising(enum client_command command)
{
	switch (command) {
	case CLIENT_HELO:
	case CLIENT_XCLIENT:
	case CLIENT_STARTTLS:
	case CLIENT_LOGIN:
	case CLIENT_DATA:
	case CLIENT_CONTENT:
	case CLIENT_CHUNK:
	case CLIENT_QUIT:
		return true;
	case CLIENT_BANNER:
	case CLIENT_MAIL:
	case CLIENT_RCPT:
	case CLIENT_RSET:
	case CLIENT_NOOP:
		return false;
	}
	return false;
}

static bool
is_synchronised(const struct client *client)
{
	unsigned last = (client->first + client->count - 1) % CLIENT_QUEUE_MAX;

	return client->count == 0 ||
	       !is_synchronising(client->queue[last].command);
}

bool
client_has_room(const struct client *client)
{
	return client->count < CLIENT_QUEUE_MAX && is_synchronised(client);
}

/* Send what is held, in order, as far as it may go now and finds room. */
static void
release(struct client *client, struct buf *out)
{
	unsigned may_go = client->is_pipelining ? client->count : 1;

	for (unsigned i = 0; i < may_go && client->held.n > 0; i++) {
		struct client_entry *entry = entry_at(client, i);
		struct span line =
			span_first(buf_span(&client->held), entry->held);

		/* Asked first: a refused append would mark out as overflowed.
		 */
		if (line.n > buf_room(out) || !buf_append(out, line))
			return;
		buf_consume(&client->held, line.n);
		entry->held = 0;
	}
}

/* The line into out, or behind those that are held already. */
static bool
send_or_hold(struct client *client, struct client_entry *entry,
	     struct span line, struct buf *out)
{
	bool may_go = client->held.n == 0 &&
		      (client->count == 0 || client->is_pipelining);
	struct buf *to = may_go ? out : &client->held;

	if (line.n > buf_room(to) || !buf_append(to, line))
		return false;
	entry->held = may_go ? 0 : (uint16_t)line.n;
	return true;
}

bool
client_send(struct client *client, enum client_command command, unsigned tag,
	    struct span line, struct buf *out)
{
	struct client_entry entry = { .command = (uint8_t)command, .tag = tag };
	bool is_silent = command == CLIENT_BANNER || command == CLIENT_CONTENT;

	assert(is_synchronised(client));
	assert(is_silent ? line.n == 0 && client->count == 0
			 : line.n >= 2 && line.p[line.n - 1] == '\n');
	if (client->count == CLIENT_QUEUE_MAX || line.n > UINT16_MAX)
		return false;
	release(client, out);
	if (!send_or_hold(client, &entry, line, out))
		return false;
	*entry_at(client, client->count) = entry;
	client->count++;
	return true;
}

/* What stands behind the last LF. */
static struct span
last_line(struct span in)
{
	size_t n = in.n;

	while (n > 0 && in.p[n - 1] != '\n')
		n--;
	return span_after(in, n);
}

/* As reply_next(), and not all over again with each octet of a long reply: as
 * long as no line ends behind what was shown last time, only the line under
 * way can make a difference, and only a bad one. */
static enum reply_status
read_reply(struct client *client, struct span *in, struct reply *reply)
{
	enum reply_status status;
	struct span news;

	assert(client->shown <= in->n);
	news = span_after(*in, client->shown);
	if (client->shown > 0 && span_find(news, '\n') == news.n) {
		struct span line = last_line(*in);

		status = reply_next(&line, reply);
	} else {
		status = reply_next(in, reply);
	}
	client->shown = status == REPLY_MORE ? in->n : 0;
	return status;
}

enum client_status
client_next(struct client *client, struct span *in, struct buf *out,
	    struct client_answer *answer)
{
	const struct client_entry *entry = entry_at(client, 0);

	release(client, out);
	switch (read_reply(client, in, &answer->reply)) {
	case REPLY_MORE:
		return CLIENT_MORE;
	case REPLY_BAD:
		return CLIENT_BAD;
	case REPLY_READY:
		break;
	}
	/* RFC 5321 3.8: only 421 may come unasked. */
	if (client->count == 0 || entry->held > 0)
		return answer->reply.code == 421 ? CLIENT_GOODBYE : CLIENT_BAD;
	answer->command = entry->command;
	answer->tag = entry->tag;
	client->first = (client->first + 1) % CLIENT_QUEUE_MAX;
	client->count--;
	release(client, out);
	return CLIENT_REPLY;
}
