/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listener: listening sockets.
 */
#include "proxy/listener.h"

#include "proxy/endpoint.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

struct listener {
	struct conf_endpoint asked; /* its text is not used: it is the conf's */
	int fd;
	bool is_new; /* not settled yet */
};

static int
set(int fd, int level, int name)
{
	int on = 1;

	return setsockopt(fd, level, name, &on, sizeof(on));
}

/* Connections to addresses that are not ours may be led to it, or not. */
static int
set_transparent(int fd, const struct conf_listener *conf)
{
	bool is_v6 = conf->endpoint.ip.family == IP_V6;
	int on = conf->is_transparent;

	return setsockopt(fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP,
			  is_v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on,
			  sizeof(on));
}

static int
bind_and_listen(int fd, const struct conf_listener *conf)
{
	const struct conf_endpoint *endpoint = &conf->endpoint;
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
	if (conf->is_transparent && set_transparent(fd, conf) != 0)
		return -1;
	if (bind(fd, &address.any, length) != 0)
		return -1;
	return listen(fd, SOMAXCONN);
}

int
listener_open(const struct conf_listener *conf, struct buf *faults)
{
	const struct conf_endpoint *endpoint = &conf->endpoint;
	int family = endpoint->ip.family == IP_V6 ? AF_INET6 : AF_INET;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[ENDPOINT_TEXT_MAX];
	int error;

	if (fd >= 0 && bind_and_listen(fd, conf) == 0)
		return fd;
	error = errno;
	if (fd >= 0)
		close(fd);
	endpoint_format(&endpoint->ip, endpoint->port, text);
	buf_printf(faults, "cannot listen on %s: %s\n", text, strerror(error));
	return -1;
}

static bool
is_at(const struct listener *listener, const struct conf_endpoint *endpoint)
{
	return listener->asked.port == endpoint->port &&
	       ip_equal(&listener->asked.ip, &endpoint->ip);
}

static int
find(const struct listeners *set, const struct conf_endpoint *endpoint)
{
	for (size_t i = 0; i < set->count; i++)
		if (is_at(&set->list[i], endpoint))
			return set->list[i].fd;
	return -1;
}

bool
listeners_open(struct listeners *set, const struct conf *conf, int *fds,
	       struct buf *faults)
{
	size_t most = set->count + conf->listener_count;
	struct listener *grown = realloc(set->list, most * sizeof(*grown));
	bool is_complete = true;

	if (grown == NULL) {
		buf_append(faults, SPAN_LIT("out of memory\n"));
		return false;
	}
	set->list = grown;
	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct conf_endpoint *asked =
			&conf->listeners[i].endpoint;

		fds[i] = find(set, asked);
		/* A right that is missing now was missing before. */
		if (fds[i] >= 0) {
			set_transparent(fds[i], &conf->listeners[i]);
			continue;
		}
		fds[i] = listener_open(&conf->listeners[i], faults);
		if (fds[i] < 0)
			is_complete = false;
		else
			set->list[set->count++] =
				(struct listener){ *asked, fds[i], true };
	}
	return is_complete;
}

static bool
is_wanted(const struct listener *listener, const struct conf *conf)
{
	for (size_t i = 0; i < conf->listener_count; i++)
		if (is_at(listener, &conf->listeners[i].endpoint))
			return true;
	return false;
}

void
listeners_settle(struct listeners *set, const struct conf *conf)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->count; i++) {
		struct listener *listener = &set->list[i];

		listener->is_new = false;
		if (is_wanted(listener, conf))
			set->list[kept++] = *listener;
		else
			close(listener->fd);
	}
	set->count = kept;
}

void
listeners_revert(struct listeners *set)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->count; i++) {
		if (set->list[i].is_new)
			close(set->list[i].fd);
		else
			set->list[kept++] = set->list[i];
	}
	set->count = kept;
}

void
listeners_close(struct listeners *set)
{
	for (size_t i = 0; i < set->count; i++)
		close(set->list[i].fd);
	free(set->list);
	*set = (struct listeners){ NULL, 0 };
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
