/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dmarcgatectl sink: a mail server that takes everything, for trying things
 * out. One process, plain poll(2): this is no place for speed.
 */
#include "proxy/ctl/ctl.h"
#include "proxy/ctl/sink_mail.h"
#include "proxy/ctl/sink_session.h"
#include "proxy/endpoint.h"
#include "proxy/listener.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_DEFAULT "127.0.0.1:10025"
#define CONNECTIONS_MAX 500
#define RECEIVE_OCTETS 65536
#define PRINT_MAX ((size_t)1 << 30)

struct connection {
	int fd;
	struct sink_session session;
};

struct sink {
	int listener;
	bool wants_proxy;
	bool is_quiet;
	const char *directory; /* NULL: none */
	uint64_t count_max;    /* 0: no end */
	uint64_t count;
	struct connection *connections[CONNECTIONS_MAX];
	size_t open;
	struct pollfd polled[CONNECTIONS_MAX + 1];
	sigset_t unblocked; /* while it waits */
};

static volatile sig_atomic_t is_interrupted;

static void
interrupt(int number)
{
	(void)number;
	is_interrupted = 1;
}

static int64_t
deliver(void *owner, const struct sink_mail *mail)
{
	struct sink *sink = owner;
	uint64_t number = sink->count + 1;
	struct buf text;

	if (sink->directory != NULL) {
		int error = sink_mail_write(mail, number, sink->directory);

		if (error != 0) {
			ctl_complain(0, "sink: %s: %s", sink->directory,
				     strerror(-error));
			return error;
		}
	}
	sink->count = number;
	if (sink->is_quiet)
		return (int64_t)number;
	buf_init(&text, PRINT_MAX);
	sink_mail_print(mail, number, &text);
	ctl_print(&text);
	buf_fini(&text);
	return (int64_t)number;
}

static bool
is_full(const struct sink *sink)
{
	return sink->count_max > 0 && sink->count >= sink->count_max;
}

static void
close_connection(struct sink *sink, size_t i)
{
	struct connection *connection = sink->connections[i];

	close(connection->fd);
	sink_session_fini(&connection->session);
	free(connection);
	sink->connections[i] = sink->connections[--sink->open];
}

static void
take_connection(struct sink *sink)
{
	union endpoint endpoint = { 0 };
	socklen_t length = sizeof endpoint;
	struct connection *connection;
	struct ip ip;
	uint16_t port;
	int fd = accept4(sink->listener, &endpoint.any, &length,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	connection = calloc(1, sizeof *connection);
	if (connection == NULL) {
		close(fd);
		return;
	}
	endpoint_read(&endpoint, &ip, &port);
	connection->fd = fd;
	sink_session_init(&connection->session, sink->wants_proxy, &ip, port,
			  deliver, sink);
	sink->connections[sink->open++] = connection;
}

/* False when the connection is over. */
static bool
receive(struct connection *connection)
{
	static uint8_t octets[RECEIVE_OCTETS];
	ssize_t n = recv(connection->fd, octets, sizeof octets, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	return n > 0 && sink_session_feed(&connection->session,
					  span_make(octets, (size_t)n));
}

static bool
send_out(struct connection *connection)
{
	struct buf *out = &connection->session.out;
	struct span octets = buf_span(out);
	ssize_t n;

	if (octets.n == 0)
		return !connection->session.is_closing;
	n = send(connection->fd, octets.p, octets.n, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	buf_consume(out, (size_t)n);
	return out->n > 0 || !connection->session.is_closing;
}

/* What poll() said of connection i; false when it is over. */
static bool
serve(struct sink *sink, size_t i, short events)
{
	struct connection *connection = sink->connections[i];

	if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 &&
	    !connection->session.is_closing && !receive(connection))
		return false;
	if ((events & POLLERR) != 0)
		return false;
	return send_out(connection);
}

static bool
has_output(const struct sink *sink)
{
	for (size_t i = 0; i < sink->open; i++)
		if (sink->connections[i]->session.out.n > 0)
			return true;
	return false;
}

/* Who is waited for: everybody while there is something to say to him, and
 * for octets only while there is not. */
static nfds_t
prepare(struct sink *sink)
{
	for (size_t i = 0; i < sink->open; i++) {
		struct connection *connection = sink->connections[i];
		bool talks = connection->session.out.n > 0;

		sink->polled[i] = (struct pollfd){
			.fd = connection->fd,
			.events = talks ? POLLOUT : POLLIN,
		};
	}
	sink->polled[sink->open] = (struct pollfd){
		.fd = sink->open < CONNECTIONS_MAX ? sink->listener : -1,
		.events = POLLIN,
	};
	return sink->open + 1;
}

static int
run(struct sink *sink)
{
	/* The last reply is sent before we go. */
	while (!is_interrupted && (!is_full(sink) || has_output(sink))) {
		size_t open = sink->open;

		if (ppoll(sink->polled, prepare(sink), NULL, &sink->unblocked) <
		    0) {
			if (errno == EINTR)
				continue;
			return ctl_complain(EX_OSERR, "poll: %s",
					    strerror(errno));
		}
		if ((sink->polled[open].revents & POLLIN) != 0)
			take_connection(sink);
		/* From the last: closing one moves the last into its place. */
		for (size_t i = open; i-- > 0;)
			if (sink->polled[i].revents != 0 &&
			    !serve(sink, i, sink->polled[i].revents))
				close_connection(sink, i);
	}
	return EX_OK;
}

static int
listen_on(struct sink *sink, const char *text)
{
	struct conf_listener listener = { 0 };
	struct arena arena;
	struct buf faults;
	char name[ENDPOINT_TEXT_MAX];
	bool is_good;

	arena_init(&arena, 4096);
	is_good = conf_endpoint_parse(&arena, span_cstr(text), CONF_PORT_ANY,
				      &listener.endpoint);
	arena_fini(&arena);
	if (!is_good)
		return ctl_complain(EX_USAGE,
				    "--listen: expected an address and port, "
				    "found %s",
				    text);
	buf_init(&faults, 4096);
	sink->listener = listener_open(&listener, &faults);
	if (sink->listener < 0) {
		ctl_complain(0, "%.*s", (int)faults.n - 1,
			     (const char *)buf_span(&faults).p);
		buf_fini(&faults);
		return EX_UNAVAILABLE;
	}
	buf_fini(&faults);
	endpoint_local(sink->listener, &listener.endpoint.ip,
		       &listener.endpoint.port);
	endpoint_format(&listener.endpoint.ip, listener.endpoint.port, name);
	fprintf(stderr, "sink: listening on %s\n", name);
	return EX_OK;
}

/* SIGINT and SIGTERM arrive while we wait, at no other time. */
static void
catch_signals(sigset_t *unblocked)
{
	const struct sigaction action = { .sa_handler = interrupt };
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, unblocked);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

int
ctl_sink(const struct ctl_arguments *arguments)
{
	const char *listen = arguments->option[SINK_LISTEN];
	const char *count = arguments->option[SINK_COUNT];
	struct sink *sink = calloc(1, sizeof *sink);
	int status;

	if (sink == NULL)
		return ctl_complain(EX_OSERR, "not enough memory");
	sink->wants_proxy = arguments->option[SINK_PROXY] != NULL;
	sink->is_quiet = arguments->option[SINK_QUIET] != NULL;
	sink->directory = arguments->option[SINK_DIRECTORY];
	if (count != NULL && (!span_u64(span_cstr(count), &sink->count_max) ||
			      sink->count_max == 0))
		status = ctl_complain(EX_USAGE,
				      "--count: expected a number from 1, "
				      "found %s",
				      count);
	else
		status = listen_on(sink,
				   listen == NULL ? LISTEN_DEFAULT : listen);
	if (status == EX_OK) {
		catch_signals(&sink->unblocked);
		status = run(sink);
		while (sink->open > 0)
			close_connection(sink, sink->open - 1);
		close(sink->listener);
	}
	free(sink);
	return status;
}
