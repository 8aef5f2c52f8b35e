/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sink: the mail server behind every proxy that is measured: it takes all
 * mail and forgets it, over io_uring, from one thread.
 *
 *     sink PORT PROXY-PORT
 *
 * Behind PROXY-PORT each connection begins with a PROXY v2 header. On both
 * ports XCLIENT is offered. It answers all that has come at once, as servers
 * with PIPELINING do. It trusts whoever connects, and is no server for
 * anything else.
 */
#include "proxy/owner.h"
#include "tests/bench/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ACCEPTS 16
#define IN_MAX ((size_t)65536)
#define OUT_MAX ((size_t)8192)
#define ANSWER_MAX ((size_t)256) /* of one line */
#define PROXY_HEAD ((size_t)16)

enum guest_stage { GUEST_PROXY, GUEST_COMMANDS, GUEST_DATA, GUEST_GONE };

struct guest {
	struct guest *next; /* among those that are free */
	struct errand receiving, sending;
	enum guest_stage stage;
	int fd;
	unsigned matched; /* octets of the end of data seen last */
	size_t in_n, out_n;
	uint8_t in[IN_MAX];
	uint8_t out[OUT_MAX];
};

struct door {
	struct errand accepting;
	int listener;
	bool is_proxy;
};

static struct loop loop;
static struct guest *free_guests;

static void
listen_on(struct guest *guest)
{
	loop_recv(&loop, &guest->receiving, guest->fd, guest->in + guest->in_n,
		  IN_MAX - guest->in_n);
}

static void
part(struct guest *guest)
{
	close(guest->fd);
	guest->next = free_guests;
	free_guests = guest;
}

static void
answer(struct guest *guest, struct span text)
{
	memcpy(guest->out + guest->out_n, text.p, text.n);
	guest->out_n += text.n;
}

/* The verbs that are not answered "250 2.0.0 Ok". */
static const struct {
	struct span verb, reply;
	enum guest_stage stage;
} verbs[] = {
	{ SPAN_LIT("EHLO"),
	  SPAN_LIT("250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
		   "250-SIZE 60000000\r\n250-XCLIENT ADDR PORT NAME\r\n"
		   "250 ENHANCEDSTATUSCODES\r\n"),
	  GUEST_COMMANDS },
	{ SPAN_LIT("DATA"), SPAN_LIT("354 go on\r\n"), GUEST_DATA },
	{ SPAN_LIT("XCLIENT"), SPAN_LIT("220 sink.example ESMTP\r\n"),
	  GUEST_COMMANDS },
	{ SPAN_LIT("QUIT"), SPAN_LIT("221 2.0.0 Bye\r\n"), GUEST_GONE },
};

static void
obey(struct guest *guest, struct span line)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!span_starts_nocase(line, verbs[i].verb))
			continue;
		answer(guest, verbs[i].reply);
		guest->stage = verbs[i].stage;
		guest->matched = 2; /* DATA CR LF . CR LF is a message too */
		return;
	}
	answer(guest, SPAN_LIT("250 2.0.0 Ok\r\n"));
}

/* Each gives the octets it has used up; 0: more is needed. */

static size_t
take_proxy(struct guest *guest, struct span in)
{
	size_t n;

	if (in.n < PROXY_HEAD)
		return 0;
	n = PROXY_HEAD + ((size_t)in.p[14] << 8 | in.p[15]);
	if (in.n < n)
		return 0;
	guest->stage = GUEST_COMMANDS;
	answer(guest, SPAN_LIT("220 sink.example ESMTP\r\n"));
	return n;
}

static size_t
take_command(struct guest *guest, struct span in)
{
	size_t end = span_find(in, '\n');

	if (end == in.n)
		return 0;
	obey(guest, span_first(in, end));
	return end + 1;
}

/* Up to CR LF . CR LF, wherever it is torn. */
static size_t
take_data(struct guest *guest, struct span in)
{
	static const uint8_t last[] = "\r\n.\r\n";
	size_t i = 0;

	while (i < in.n && guest->matched < sizeof(last) - 1) {
		if (guest->matched == 0) {
			i += span_find(span_after(in, i), '\r');
			if (i == in.n)
				return i;
		}
		if (in.p[i] == last[guest->matched])
			guest->matched++;
		else
			guest->matched = in.p[i] == '\r';
		i++;
	}
	if (guest->matched == sizeof(last) - 1) {
		guest->stage = GUEST_COMMANDS;
		answer(guest, SPAN_LIT("250 2.0.0 Ok: taken\r\n"));
	}
	return i;
}

static size_t
take_some(struct guest *guest, struct span in)
{
	switch (guest->stage) {
	case GUEST_PROXY:
		return take_proxy(guest, in);
	case GUEST_COMMANDS:
		return take_command(guest, in);
	case GUEST_DATA:
		return take_data(guest, in);
	case GUEST_GONE:
		break;
	}
	return 0;
}

/* All that has come, as far as there is room for the answers. */
static void
take(struct guest *guest)
{
	struct span in = span_make(guest->in, guest->in_n);
	size_t used = 1;

	while (in.n > 0 && used > 0 && OUT_MAX - guest->out_n >= ANSWER_MAX) {
		used = take_some(guest, in);
		in = span_after(in, used);
	}
	memmove(guest->in, in.p, in.n);
	guest->in_n = in.n;
	if (guest->out_n > 0)
		loop_send(&loop, &guest->sending, guest->fd,
			  span_make(guest->out, guest->out_n));
	else if (guest->in_n < IN_MAX)
		listen_on(guest);
	else
		part(guest); /* a line without end */
}

static void
sent(struct errand *errand, int result)
{
	struct guest *guest = OWNER(errand, struct guest, sending);

	guest->out_n = 0;
	if (result < 0 || guest->stage == GUEST_GONE)
		part(guest);
	else
		take(guest);
}

static void
received(struct errand *errand, int result)
{
	struct guest *guest = OWNER(errand, struct guest, receiving);

	if (result <= 0) {
		part(guest);
		return;
	}
	guest->in_n += (size_t)result;
	take(guest);
}

static struct guest *
new_guest(void)
{
	struct guest *guest = free_guests;

	if (guest != NULL)
		free_guests = guest->next;
	else
		guest = malloc(sizeof(*guest));
	if (guest == NULL)
		give_up("sink: not enough memory", 0);
	return guest;
}

static void
accepted(struct errand *errand, int result)
{
	struct door *door = OWNER(errand, struct door, accepting);
	struct guest *guest;

	loop_accept(&loop, &door->accepting, door->listener);
	if (result < 0)
		return;
	guest = new_guest();
	guest->receiving.done = received;
	guest->sending.done = sent;
	guest->fd = result;
	guest->in_n = guest->out_n = 0;
	guest->stage = door->is_proxy ? GUEST_PROXY : GUEST_COMMANDS;
	if (!door->is_proxy)
		answer(guest, SPAN_LIT("220 sink.example ESMTP\r\n"));
	take(guest);
}

static int
listener_on(const char *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int yes = 1;
	uint64_t number;

	if (!span_u64(span_cstr(port), &number) || number > UINT16_MAX)
		give_up("sink: not a port", 0);
	address.sin_port = htons((uint16_t)number);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(fd, 4096) != 0)
		give_up("sink: cannot listen", errno);
	return fd;
}

static void
open_doors(struct door *doors, const char *port, bool is_proxy)
{
	int listener = listener_on(port);

	for (size_t i = 0; i < ACCEPTS; i++) {
		doors[i] = (struct door){
			.accepting.done = accepted,
			.listener = listener,
			.is_proxy = is_proxy,
		};
		loop_accept(&loop, &doors[i].accepting, listener);
	}
}

int
main(int argc, char **argv)
{
	static struct door doors[2][ACCEPTS];

	if (argc != 3)
		give_up("usage: sink PORT PROXY-PORT", 0);
	raise_file_limit();
	loop_init(&loop);
	open_doors(doors[0], argv[1], false);
	open_doors(doors[1], argv[2], true);
	for (;;)
		loop_run_once(&loop, now_ns() + 3600 * NS_PER_S);
}
