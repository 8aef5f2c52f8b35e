/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dns_server: a scripted name server on loopback, in a thread of the test.
 *
 * Each question over UDP or TCP is handed to `answer`, which composes a
 * response with tests/unit/dns_message.h, or nothing: then the question stays
 * unanswered. Questions are counted. One port serves both protocols.
 */
#ifndef TESTS_UNIT_DNS_SERVER_H
#define TESTS_UNIT_DNS_SERVER_H

#include "tests/unit/dns_message.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct dns_question {
	unsigned id;
	char name[256]; /* in lower case */
	unsigned type;
	bool is_tcp;
	bool does_want_ad;
	unsigned edns_octets; /* 0: no OPT record */
};

struct dns_server {
	void (*answer)(const struct dns_question *question, struct buf *out);
	bool does_hang_up; /* after one answer over TCP */
	atomic_uint udp_count;
	atomic_uint tcp_count;
	uint16_t port;
	int udp, tcp;
	int stop[2];
	pthread_t thread;
};

static inline bool
dns_question_read(struct span packet, bool is_tcp,
		  struct dns_question *question)
{
	size_t at = 12, n = 0;

	*question = (struct dns_question){ .is_tcp = is_tcp };
	if (packet.n < 17)
		return false;
	question->id = (unsigned)packet.p[0] << 8 | packet.p[1];
	question->does_want_ad = (packet.p[3] & DNS_AD) != 0;
	while (packet.p[at] != 0) {
		size_t length = packet.p[at++];

		if (n > 0)
			question->name[n++] = '.';
		for (size_t i = 0; i < length; i++)
			question->name[n++] = (char)octet_lower(packet.p[at++]);
	}
	question->type = (unsigned)packet.p[at + 1] << 8 | packet.p[at + 2];
	at += 5;
	/* OPT: the root, type 41, and the size in place of the class. */
	if (packet.n >= at + 5 && packet.p[11] == 1 && packet.p[at + 2] == 41)
		question->edns_octets =
			(unsigned)packet.p[at + 3] << 8 | packet.p[at + 4];
	return true;
}

static inline void
dns_server_udp(struct dns_server *server)
{
	struct sockaddr_in peer;
	socklen_t length = sizeof(peer);
	struct dns_question question;
	uint8_t packet[2048];
	struct buf out;
	ssize_t n;

	n = recvfrom(server->udp, packet, sizeof(packet), MSG_DONTWAIT,
		     (struct sockaddr *)&peer, &length);
	if (n <= 0 ||
	    !dns_question_read(span_make(packet, (size_t)n), false, &question))
		return;
	atomic_fetch_add(&server->udp_count, 1);
	buf_init(&out, 65535);
	server->answer(&question, &out);
	if (out.n > 0)
		(void)!sendto(server->udp, buf_span(&out).p, out.n, 0,
			      (struct sockaddr *)&peer, length);
	buf_fini(&out);
}

/* One connection, one question after the other until it closes. */
static inline void
dns_server_tcp(struct dns_server *server)
{
	int fd = accept(server->tcp, NULL, NULL);
	struct dns_question question;
	uint8_t packet[2048];
	uint8_t size[2];

	while (fd >= 0 && recv(fd, size, 2, MSG_WAITALL) == 2) {
		size_t n = (size_t)size[0] << 8 | size[1];
		struct buf out;

		if (n > sizeof(packet) ||
		    recv(fd, packet, n, MSG_WAITALL) != (ssize_t)n ||
		    !dns_question_read(span_make(packet, n), true, &question))
			break;
		atomic_fetch_add(&server->tcp_count, 1);
		buf_init(&out, 65535);
		server->answer(&question, &out);
		size[0] = (uint8_t)(out.n >> 8);
		size[1] = (uint8_t)out.n;
		if (out.n > 0) {
			(void)!send(fd, size, 2, MSG_NOSIGNAL);
			(void)!send(fd, buf_span(&out).p, out.n, MSG_NOSIGNAL);
		}
		buf_fini(&out);
		if (!server->does_hang_up)
			continue;
		/* Not before the client has: that might lose the answer. */
		shutdown(fd, SHUT_WR);
		while (recv(fd, packet, sizeof(packet), 0) > 0)
			;
		break;
	}
	if (fd >= 0)
		close(fd);
}

static inline void *
dns_server_run(void *argument)
{
	struct dns_server *server = argument;

	for (;;) {
		struct pollfd awaited[] = { { server->udp, POLLIN, 0 },
					    { server->tcp, POLLIN, 0 },
					    { server->stop[0], POLLIN, 0 } };

		poll(awaited, 3, -1);
		if (awaited[2].revents != 0)
			return NULL;
		if (awaited[0].revents != 0)
			dns_server_udp(server);
		if (awaited[1].revents != 0)
			dns_server_tcp(server);
	}
}

static inline void
dns_server_start(struct dns_server *server,
		 void (*answer)(const struct dns_question *question,
				struct buf *out))
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);

	memset(server, 0, sizeof(*server));
	server->answer = answer;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	server->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server->tcp, (struct sockaddr *)&address, length) != 0 ||
	    getsockname(server->tcp, (struct sockaddr *)&address, &length) !=
		    0 ||
	    bind(server->udp, (struct sockaddr *)&address, length) != 0 ||
	    listen(server->tcp, 8) != 0 || pipe(server->stop) != 0 ||
	    pthread_create(&server->thread, NULL, dns_server_run, server) != 0)
		abort();
	server->port = ntohs(address.sin_port);
}

static inline void
dns_server_stop(struct dns_server *server)
{
	close(server->stop[1]);
	pthread_join(server->thread, NULL);
	close(server->stop[0]);
	close(server->udp);
	close(server->tcp);
}

#endif
