/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listener: a listening socket.
 */
#include "proxy/listener.h"

#include "proxy/endpoint.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

static int
set(int fd, int level, int name)
{
	int on = 1;

	return setsockopt(fd, level, name, &on, sizeof(on));
}

static int
bind_and_listen(int fd, const struct conf_endpoint *endpoint)
{
	union endpoint address;
	socklen_t length =
		endpoint_make(&address, &endpoint->ip, endpoint->port);

	/* Without SO_REUSEADDR a restart would have to wait for connections
	 * of the one before that linger in TIME_WAIT. */
	if (set(fd, SOL_SOCKET, SO_REUSEADDR) != 0 ||
	    set(fd, IPPROTO_TCP, TCP_NODELAY) != 0)
		return -1;
	/* So that 0.0.0.0 and [::] can both be listed. */
	if (endpoint->ip.family == IP_V6 &&
	    set(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0)
		return -1;
	if (bind(fd, &address.any, length) != 0)
		return -1;
	return listen(fd, SOMAXCONN);
}

int
listener_open(const struct conf_endpoint *endpoint, struct buf *faults)
{
	int family = endpoint->ip.family == IP_V6 ? AF_INET6 : AF_INET;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[ENDPOINT_TEXT_MAX];
	int error;

	if (fd >= 0 && bind_and_listen(fd, endpoint) == 0)
		return fd;
	error = errno;
	if (fd >= 0)
		close(fd);
	endpoint_format(&endpoint->ip, endpoint->port, text);
	buf_printf(faults, "cannot listen on %s: %s\n", text, strerror(error));
	return -1;
}

void
listener_address(int fd, struct ip *ip, uint16_t *port)
{
	union endpoint address = { 0 };
	socklen_t length = sizeof(address);

	if (getsockname(fd, &address.any, &length) != 0)
		address.any.sa_family = AF_UNSPEC;
	endpoint_read(&address, ip, port);
}
