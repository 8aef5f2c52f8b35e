/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load: SMTP load on one server, from one thread over io_uring.
 *
 * Closed loop: so many sessions, each sends its next message when the one
 * before is answered. Open loop: messages arrive at times fixed beforehand
 * (schedule.h), each takes a session that is free or waits for one, and its
 * latency counts from when it arrived. A session keeps its connection, or
 * makes a new one for each message.
 *
 * A message is over with the reply to its final dot; QUIT comes behind it and
 * is in no latency, but the session is not free before it is answered. Whatever
 * is not answered as it must be is an error: the session begins anew with the
 * next message, the error stands in the report, and the exit status is 1.
 */
#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include "tests/bench/load_mail.h"
#include "tests/bench/load_result.h"
#include "tests/bench/loop.h"
#include "tests/bench/schedule.h"

#include <netinet/in.h>

enum load_tls_mode { LOAD_PLAIN, LOAD_STARTTLS, LOAD_IMPLICIT };

struct load_options {
	struct sockaddr_in server;
	size_t sessions;
	double rate;       /* arrivals a second; 0: closed loop */
	double seconds;    /* … or by time */
	uint64_t messages; /* the load ends by number */
	uint64_t seed;
	bool is_even;
	bool is_kept;
	bool is_pipelining;
	enum load_tls_mode tls;
	const char *helo;
	char proxy[64]; /* PROXY header, or empty */
	struct load_mails mails;
};

/* From argv; what is wrong with it ends the program. */
void load_options_read(struct load_options *options, int argc, char **argv);

struct sender;

struct load {
	struct load_options options;
	struct loop loop;
	struct load_result result;
	struct schedule schedule;
	struct sender *senders;
	struct sender *idle; /* those that wait for a message */
	size_t idles;
	uint64_t next_ns; /* when the next message arrives */
	bool is_short;    /* and no session was free for it */
};

/* By a sender that can take a message now. */
void load_has_idle(struct load *load, struct sender *sender);

#endif
