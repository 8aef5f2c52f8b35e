/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nameserver: one name server, asked over UDP and, where an answer is
 * truncated, over TCP; by c-ares on the ring.
 *
 * One try for each question, within a time-out of its own; a connection that
 * the server closes on questions when it has answered others does not count.
 * What comes back is a packet as it is, whatever its rcode, or the name of what
 * failed; which server is asked next, and what the packet says, is no matter of
 * this file.
 *
 * Each question has an unpredictable id. The port changes whenever no question
 * is under way, which under load is seldom. A packet that does not repeat both
 * and the question, or comes from elsewhere, is ignored. EDNS asks for 1232
 * octets; a server that answers it with FORMERR is asked without, from then on.
 */
#ifndef PROXY_NAMESERVER_H
#define PROXY_NAMESERVER_H

#include "dmarc/answers.h"
#include "proxy/conf.h"

struct ring;
struct nameserver;

/* A question under way, embedded in its owner. The name is borrowed. */
struct nameserver_query {
	/* Called once, perhaps from nameserver_ask() itself. The packet is
	 * valid during the call only; without one, error is its constant
	 * name. */
	void (*done)(struct nameserver_query *query, struct span packet,
		     const char *error);
	struct span name;
	enum dns_type type;
	struct nameserver *server; /* the name server's own, and below */
	bool has_edns;
	unsigned cut_off;  /* so many times */
	uint64_t answered; /* by the server, before the question was put */
};

struct nameserver_settings {
	uint64_t us_max;   /* for an answer; over TCP as much again */
	bool does_want_ad; /* RFC 6840 5.7: ask whether it was validated */
};

/* NULL with *error, a constant. */
struct nameserver *nameserver_new(struct ring *ring,
				  const struct nameserver_settings *settings,
				  const struct conf_endpoint *endpoint,
				  const char **error);

/* Questions under way are done with the error NAMESERVER_CLOSING. Before the
 * ring ends: it still has to give up the sockets. */
void nameserver_free(struct nameserver *server);
extern const char NAMESERVER_CLOSING[];

enum nameserver_asked {
	NAMESERVER_ASKED,     /* done was, or will be, called */
	NAMESERVER_NO_NAME,   /* none that DNS has: too long, or of .onion */
	NAMESERVER_NO_MEMORY, /* neither of them was asked */
};

/* Put a question: done, name and type are set. */
enum nameserver_asked nameserver_ask(struct nameserver *server,
				     struct nameserver_query *query);

/* Look at the time-outs; to be called a few times in each. */
void nameserver_tick(struct nameserver *server);

/* "address:port", for the log. */
const char *nameserver_text(const struct nameserver *server);

/* Those of /etc/resolv.conf, at most max of them: their number, which may be
 * 0; -1 with *error. */
int nameserver_of_system(struct conf_endpoint *list, unsigned max,
			 const char **error);

#endif
