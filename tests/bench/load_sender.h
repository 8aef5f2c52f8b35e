/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load_sender: one SMTP client of the load.
 *
 *   OUT → BANNER → HELLO [→ STARTTLS → HANDSHAKE → HELLO] → READY
 *   READY → MAIL → RCPT → DATA → CONTENT → READY or QUIT → OUT
 *
 * (implicit TLS: OUT → HANDSHAKE → BANNER.) It speaks and then listens; never
 * is more than one send and one recv under way. With pipelining MAIL, RCPT and
 * DATA leave together.
 *
 * It lives in the load's array and outlives all its connections.
 */
#ifndef TESTS_BENCH_LOAD_SENDER_H
#define TESTS_BENCH_LOAD_SENDER_H

#include "tests/bench/load.h"
#include "tests/bench/load_tls.h"

enum sender_stage {
	SENDER_OUT,
	SENDER_CONNECT,
	SENDER_HANDSHAKE,
	SENDER_BANNER,
	SENDER_HELLO,
	SENDER_STARTTLS,
	SENDER_READY,
	SENDER_MAIL,
	SENDER_RCPT,
	SENDER_DATA,
	SENDER_CONTENT,
	SENDER_QUIT,
};

#define SENDER_IN_MAX ((size_t)4096)
#define SENDER_COMMAND_MAX ((size_t)1024)

struct sender {
	struct load *load;
	struct sender *next; /* among the idle */
	struct errand connecting, sending, receiving;
	enum sender_stage stage;
	bool is_sending, is_receiving, is_broken;
	int fd;                 /* -1 when out */
	struct load_tls *tls;   /* NULL in plain */
	struct load_mail *mail; /* NULL: no message to send */
	uint64_t arrival_ns, dot_ns;
	struct span unsent; /* of what it is saying */
	size_t wire_n;      /* octets in wire */
	size_t in_n;        /* octets of replies in `in` */
	uint8_t *wire;      /* under TLS: what is being sent … */
	uint8_t *heard;     /* … and what was received */
	uint8_t in[SENDER_IN_MAX];
	char command[SENDER_COMMAND_MAX];
};

void sender_init(struct sender *sender, struct load *load);
void sender_fini(struct sender *sender);

/* Connect and greet; load_has_idle() when that is done. It is out. */
void sender_connect(struct sender *sender);

/* Send the next message, which arrived then. It is out or ready. */
void sender_send(struct sender *sender, uint64_t arrival_ns);

/* QUIT and close. It is ready, or out, and then nothing happens. */
void sender_leave(struct sender *sender);

#endif
