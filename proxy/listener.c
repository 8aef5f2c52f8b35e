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

static int
new_socket(const struct conf_listener *conf)
{
	int family = conf->endpoint.ip.family == IP_V6 ? AF_INET6 : AF_INET;

	return socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void
fault(const struct conf_listener *conf, int error, struct buf *faults)
{
	bool lacks_right = conf->is_transparent && error == EPERM;
	char text[ENDPOINT_TEXT_MAX];

	endpoint_format(&conf->endpoint.ip, conf->endpoint.port, text);
	buf_printf(faults, "cannot listen on %s: %s%s\n", text, strerror(error),
		   lacks_right ? " (transparent needs CAP_NET_RAW)" : "");
}

int
listener_open(const struct conf_listener *conf, struct buf *faults)
{
	int fd = new_socket(conf);
	int error;

	if (fd >= 0 && bind_and_listen(fd, conf) == 0)
		return fd;
	error = errno;
	if (fd >= 0)
		close(fd);
	fault(conf, error, faults);
	return -1;
}

/* Whether a socket that serves could become what is asked, tried on another:
 * it stays as it is until all of the new configuration is good. */
static bool
can_stay(const struct conf_listener *conf, struct buf *faults)
{
	int fd = conf->is_transparent ? new_socket(conf) : -1;
	bool can = !conf->is_transparent ||
		   (fd >= 0 && set_transparent(fd, conf) == 0);
	int error = errno;

	if (fd >= 0)
		close(fd);
	if (!can)
		fault(conf, error, faults);
	return can;
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
		if (fds[i] >= 0) {
			is_complete &= can_stay(&conf->listeners[i], faults);
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

bool
listeners_adapt(const struct listeners *set, const struct conf *conf)
{
	bool is_complete = true;

	for (size_t i = 0; i < conf->listener_count; i++) {
		int fd = find(set, &conf->listeners[i].endpoint);

		if (fd < 0 || set_transparent(fd, &conf->listeners[i]) != 0)
			is_complete = false;
	}
	return is_complete;
}

/* As what it is wanted now; NULL if it is not. */
static const struct conf_listener *
find_wanted(const struct listener *listener, const struct conf *conf)
{
	for (size_t i = 0; i < conf->listener_count; i++)
		if (is_at(listener, &conf->listeners[i].endpoint))
			return &conf->listeners[i];
	return NULL;
}

void
listeners_settle(struct listeners *set, const struct conf *conf)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->count; i++) {
		struct listener *listener = &set->list[i];
		const struct conf_listener *wanted =
			find_wanted(listener, conf);

		listener->is_new = false;
		if (wanted == NULL) {
			close(listener->fd);
			continue;
		}
		set->list[kept++] = *listener;
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
