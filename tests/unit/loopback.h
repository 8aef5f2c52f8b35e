/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loopback: the test's own end of TCP connections, without waiting.
 *
 * What is under test runs on a ring in the same thread, so this side never
 * blocks: peer_read() takes what is there and is called again between turns.
 */
#ifndef TESTS_UNIT_LOOPBACK_H
#define TESTS_UNIT_LOOPBACK_H

#include "proxy/endpoint.h"
#include "smtp/buf.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static inline int
loopback_listen(struct ip *ip, uint16_t *port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_v4 = ip_parse(SPAN_LIT("127.0.0.1"), ip);
	union endpoint address;
	socklen_t length = endpoint_make(&address, ip, 0);
	int result;

	assert(is_v4);
	result = bind(fd, &address.any, length);
	assert(result == 0);
	result = listen(fd, 16);
	assert(result == 0);
	result = getsockname(fd, &address.any, &length);
	assert(result == 0);
	endpoint_read(&address, ip, port);
	return fd;
}

/* A connection; *accepted is the server's end. */
static inline int
loopback_pair(int *accepted, struct ip *ip, uint16_t *port)
{
	union endpoint address;
	socklen_t length;
	struct ip server_ip;
	uint16_t server_port;
	int server = loopback_listen(&server_ip, &server_port);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int result;

	length = endpoint_make(&address, &server_ip, server_port);
	result = connect(client, &address.any, length);
	assert(result == 0);
	/* Else Nagle's algorithm holds back what a test writes next. */
	result = setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 },
			    sizeof(int));
	assert(result == 0);
	*accepted = accept4(server, &address.any, &length, SOCK_CLOEXEC);
	assert(*accepted >= 0);
	endpoint_read(&address, ip, port);
	close(server);
	return client;
}

/* Take what is there; false once the stream has ended or broken. */
static inline bool
peer_read(int fd, struct buf *octets)
{
	uint8_t room[65536];
	ssize_t n = recv(fd, room, sizeof(room), MSG_DONTWAIT);

	if (n > 0)
		buf_append(octets, span_make(room, (size_t)n));
	return n > 0 || (n < 0 && errno == EAGAIN);
}

static inline void
peer_write(int fd, struct span octets)
{
	ssize_t n = send(fd, octets.p, octets.n, MSG_NOSIGNAL);

	assert(n == (ssize_t)octets.n);
}

#endif
