/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nameserver: one name server, asked by c-ares on the ring. The only includer
 * of <ares.h>.
 *
 * A c-ares channel for each server, with a single try, because c-ares either
 * tries the next server on SERVFAIL and then reports a refused connection, or
 * (ARES_FLAG_NOCHECKRESP) reports SERVFAIL and tries no other.
 *
 * The query is made by ares_create_query() and sent by ares_send(), since
 * ares_query() cannot set AD, and takes its ids from RC4.
 *
 * c-ares keeps its sockets only while it has questions open on them, so that
 * every burst of questions leaves from another port; 1.18 cannot be told to
 * change it within one. Its time-outs cost a walk over all questions
 * (ares_timeout), so a tick drives them instead.
 */
#include "proxy/nameserver.h"

#include "proxy/endpoint.h"
#include "proxy/owner.h"
#include "proxy/ring.h"

#include <ares.h>
#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>

#define EDNS_OCTETS 1232 /* DNS flag day 2020: fits into any packet */
#define RECEIVE_BUFFER (256 * 1024)

#define HEADER_OCTETS 12
#define OCTET_AD 3 /* of the header: RA Z AD CD and the rcode */
#define BIT_AD 0x20u
#define RCODE_BITS 0x0fu
#define RCODE_FORMERR 1

#define CUT_OFF_MAX 8 /* times that a question is put again after that */

const char NAMESERVER_CLOSING[] = "closing";

/* A socket of c-ares that the ring watches. */
struct watch {
	struct op op;
	struct nameserver *server;
	struct watch *next;
	int fd;
	unsigned events; /* wanted */
	bool is_armed;
	bool is_processing;
	bool is_dead; /* c-ares has closed the socket */
};

struct nameserver {
	struct ring *ring;
	ares_channel channel;
	struct watch *watches;
	unsigned in_flight;
	uint64_t answered; /* questions so far */
	bool does_want_ad;
	bool has_edns;
	bool is_closing;
	char text[ENDPOINT_TEXT_MAX];
};

static bool send_query(struct nameserver_query *query);

/* --- sockets ---------------------------------------------------------------
 */

static void
watch_arm(struct watch *watch)
{
	assert(!watch->is_armed && !watch->is_dead);
	watch->is_armed = true;
	ring_poll(watch->server->ring, &watch->op, watch->fd, watch->events);
}

static void
on_poll(struct op *op, int result, uint32_t flags)
{
	struct watch *watch = OWNER(op, struct watch, op);
	bool can_read, can_write;

	(void)flags;
	watch->is_armed = false;
	if (watch->is_dead) {
		free(watch);
		return;
	}
	can_read = result > 0 && (result & (POLLIN | POLLERR | POLLHUP)) != 0;
	can_write = result > 0 && (result & (POLLOUT | POLLERR | POLLHUP)) != 0;
	watch->is_processing = true;
	ares_process_fd(watch->server->channel,
			can_read ? watch->fd : ARES_SOCKET_BAD,
			can_write ? watch->fd : ARES_SOCKET_BAD);
	watch->is_processing = false;
	if (watch->is_dead)
		free(watch);
	else if (!watch->is_armed)
		watch_arm(watch);
}

static struct watch **
watch_find(struct nameserver *server, int fd)
{
	struct watch **link = &server->watches;

	while (*link != NULL &&
	       ((*link)->fd != fd || (*link)->server != server))
		link = &(*link)->next;
	return link;
}

/* c-ares closes the socket right after it said so; its number may come back
 * at once. The ring holds the socket until the poll has been cancelled. */
static void
watch_end(struct watch **link)
{
	struct watch *watch = *link;

	*link = watch->next;
	watch->is_dead = true;
	if (watch->is_armed)
		ring_cancel(watch->server->ring, &watch->op);
	else if (!watch->is_processing)
		free(watch);
}

static void
watch_new(struct nameserver *server, int fd, unsigned events)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	/* Without it the question times out, which is an answer too. */
	if (watch == NULL)
		return;
	watch->op.done = on_poll;
	watch->server = server;
	watch->fd = fd;
	watch->events = events;
	watch->next = server->watches;
	server->watches = watch;
	watch_arm(watch);
}

static void
on_socket_state(void *argument, ares_socket_t fd, int readable, int writable)
{
	struct nameserver *server = argument;
	unsigned events = (readable ? POLLIN : 0u) | (writable ? POLLOUT : 0u);
	struct watch **link = watch_find(server, fd);
	struct watch *watch = *link;

	if (watch == NULL) {
		if (events != 0)
			watch_new(server, fd, events);
		return;
	}
	if (events == 0) {
		watch_end(link);
		return;
	}
	if (watch->events == events)
		return;
	watch->events = events;
	/* It is armed anew with these once it has completed. */
	if (watch->is_armed)
		ring_cancel(server->ring, &watch->op);
}

/* --- questions -------------------------------------------------------------
 */

static const char *
error_name(int status)
{
	switch (status) {
	case ARES_ETIMEOUT:
		return "time-out";
	case ARES_ECONNREFUSED:
		return "connection refused";
	case ARES_ENOMEM:
		return "out of memory";
	case ARES_EBADRESP:
		return "malformed answer";
	default:
		return "resolver failure";
	}
}

/* The name as c-ares takes it: a C string with backslashes doubled. */
static void
name_text(struct span name, char text[2 * DOMAIN_MAX + 1])
{
	size_t n = 0;

	assert(name.n <= DOMAIN_MAX);
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '\\')
			text[n++] = '\\';
		text[n++] = (char)name.p[i];
	}
	text[n] = '\0';
}

/* Whether a server did not understand EDNS: FORMERR, and no OPT of its own
 * (RFC 6891 7). c-ares sees to the first of them only; after that it takes
 * them for answers. Never before that, since it would cut off the OPT of a
 * query that has none. */
static bool
has_refused_edns(const struct nameserver_query *query, struct span packet)
{
	return query->has_edns && packet.n >= HEADER_OCTETS &&
	       (packet.p[OCTET_AD] & RCODE_BITS) == RCODE_FORMERR &&
	       packet.p[HEADER_OCTETS - 1] == 0 &&
	       packet.p[HEADER_OCTETS - 2] == 0;
}

/* RFC 7766 6.2.4: a server may close a connection after some answers, perhaps
 * after each; the other questions are put again. c-ares takes it for a refusal
 * of them all, and its answers in the meantime are what tells the two apart. A
 * server may also have no TCP at all: not without end. */
static bool
is_cut_off(struct nameserver_query *query, int status)
{
	return status == ARES_ECONNREFUSED &&
	       query->answered != query->server->answered &&
	       query->cut_off++ < CUT_OFF_MAX;
}

static void
on_answer(void *argument, int status, int timeouts, unsigned char *octets,
	  int length)
{
	struct nameserver_query *query = argument;
	struct nameserver *server = query->server;
	struct span packet = octets == NULL || length <= 0
				     ? SPAN_NONE
				     : span_make(octets, (size_t)length);

	(void)timeouts;
	server->in_flight--;
	if (server->is_closing) {
		query->done(query, SPAN_NONE, NAMESERVER_CLOSING);
		return;
	}
	if (has_refused_edns(query, packet)) {
		server->has_edns = false;
		if (send_query(query))
			return;
	}
	if (is_cut_off(query, status) && send_query(query))
		return;
	server->answered += packet.n > 0;
	query->done(query, packet, packet.n > 0 ? NULL : error_name(status));
}

/* The octets of a query, to be given back to ares_free_string(). */
static int
make_query(struct nameserver_query *query, unsigned char **octets, int *length)
{
	const struct nameserver *server = query->server;
	char text[2 * DOMAIN_MAX + 1];
	uint16_t id;
	int status;

	if (query->name.n > DOMAIN_MAX ||
	    span_find(query->name, 0) < query->name.n)
		return ARES_EBADNAME;
	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return ARES_ENOMEM;
	name_text(query->name, text);
	query->has_edns = server->has_edns;
	status = ares_create_query(text, 1 /* IN */, (int)query->type, id,
				   1 /* RD */, octets, length,
				   query->has_edns ? EDNS_OCTETS : 0);
	if (status == ARES_SUCCESS && server->does_want_ad)
		(*octets)[OCTET_AD] |= BIT_AD;
	return status;
}

static int
put(struct nameserver_query *query)
{
	struct nameserver *server = query->server;
	unsigned char *octets;
	int status, length;

	status = make_query(query, &octets, &length);
	if (status != ARES_SUCCESS)
		return status;
	server->in_flight++;
	query->answered = server->answered;
	ares_send(server->channel, octets, length, on_answer, query);
	ares_free_string(octets);
	return ARES_SUCCESS;
}

static bool
send_query(struct nameserver_query *query)
{
	return put(query) == ARES_SUCCESS;
}

enum nameserver_asked
nameserver_ask(struct nameserver *server, struct nameserver_query *query)
{
	query->server = server;
	query->cut_off = 0;
	switch (put(query)) {
	case ARES_SUCCESS:
		return NAMESERVER_ASKED;
	case ARES_EBADNAME:  /* a label or name too long for DNS */
	case ARES_ENOTFOUND: /* .onion (RFC 7686), which has no DNS */
		return NAMESERVER_NO_NAME;
	default:
		return NAMESERVER_NO_MEMORY;
	}
}

void
nameserver_tick(struct nameserver *server)
{
	if (server->in_flight > 0)
		ares_process_fd(server->channel, ARES_SOCKET_BAD,
				ARES_SOCKET_BAD);
}

const char *
nameserver_text(const struct nameserver *server)
{
	return server->text;
}

/* --- setting up ------------------------------------------------------------
 */

static int
channel_init(struct nameserver *server, uint64_t us_max)
{
	struct ares_options options = {
		.flags = ARES_FLAG_EDNS | ARES_FLAG_NOCHECKRESP |
			 ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = (int)(us_max / 1000),
		.tries = 1,
		.ednspsz = EDNS_OCTETS,
		.socket_receive_buffer_size = RECEIVE_BUFFER,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = server,
	};

	return ares_init_options(&server->channel, &options,
				 ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS |
					 ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
					 ARES_OPT_SOCK_RCVBUF |
					 ARES_OPT_SOCK_STATE_CB);
}

static int
set_address(struct nameserver *server, const struct conf_endpoint *endpoint)
{
	struct ares_addr_port_node node = { .udp_port = endpoint->port,
					    .tcp_port = endpoint->port };

	endpoint_format(&endpoint->ip, endpoint->port, server->text);
	if (endpoint->ip.family == IP_V4) {
		node.family = AF_INET;
		memcpy(&node.addr.addr4, endpoint->ip.octets, 4);
	} else {
		node.family = AF_INET6;
		memcpy(&node.addr.addr6, endpoint->ip.octets, 16);
	}
	return ares_set_servers_ports(server->channel, &node);
}

struct nameserver *
nameserver_new(struct ring *ring, const struct nameserver_settings *settings,
	       const struct conf_endpoint *endpoint, const char **error)
{
	struct nameserver *server = calloc(1, sizeof(*server));
	int status = ARES_ENOMEM;

	if (server != NULL) {
		server->ring = ring;
		server->has_edns = true;
		server->does_want_ad = settings->does_want_ad;
		status = ares_library_init(ARES_LIB_INIT_ALL);
	}
	if (status == ARES_SUCCESS) {
		status = channel_init(server, settings->us_max);
		if (status == ARES_SUCCESS)
			status = set_address(server, endpoint);
		if (status == ARES_SUCCESS)
			return server;
		if (server->channel != NULL)
			ares_destroy(server->channel);
		ares_library_cleanup();
	}
	free(server);
	*error = ares_strerror(status);
	return NULL;
}

void
nameserver_free(struct nameserver *server)
{
	if (server == NULL)
		return;
	server->is_closing = true;
	ares_destroy(server->channel);
	/* What is left of the watches goes with its polls. */
	while (server->watches != NULL)
		watch_end(&server->watches);
	ares_library_cleanup();
	free(server);
}

static unsigned
take_addresses(const struct ares_addr_port_node *node,
	       struct conf_endpoint *list, unsigned max)
{
	unsigned count = 0;

	for (; node != NULL && count < max; node = node->next) {
		list[count].ip = ip_make((const uint8_t *)&node->addr,
					 node->family == AF_INET ? 4 : 16);
		list[count].port =
			(uint16_t)(node->udp_port == 0 ? 53 : node->udp_port);
		count++;
	}
	return count;
}

/* The list that c-ares has read; NULL with *error. */
static struct ares_addr_port_node *
read_system(const char **error)
{
	struct ares_addr_port_node *nodes = NULL;
	ares_channel channel;
	int status = ares_init(&channel);

	if (status == ARES_SUCCESS) {
		status = ares_get_servers_ports(channel, &nodes);
		ares_destroy(channel);
	}
	if (status != ARES_SUCCESS)
		*error = ares_strerror(status);
	return nodes;
}

int
nameserver_of_system(struct conf_endpoint *list, unsigned max,
		     const char **error)
{
	struct ares_addr_port_node *nodes;
	unsigned count;

	*error = NULL;
	ares_library_init(ARES_LIB_INIT_ALL);
	nodes = read_system(error);
	count = take_addresses(nodes, list, max);
	ares_free_data(nodes);
	ares_library_cleanup();
	return *error != NULL ? -1 : (int)count;
}
