/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop: io_uring for the bench's own client and server.
 *
 * Not proxy/ring: what measures must not change with what is measured. An
 * operation is a struct errand in its owner, which stays where it is, with
 * the memory that the operation refers to, until done was called. Whatever
 * the kernel refuses of the ring itself ends the program with one sentence.
 */
#ifndef TESTS_BENCH_LOOP_H
#define TESTS_BENCH_LOOP_H

#include "smtp/span.h"

#include <liburing.h>

#define NS_PER_S UINT64_C(1000000000)

/* result: what the system call of that name returns, a negative errno where
 * it fails. */
struct errand {
	void (*done)(struct errand *errand, int result);
};

struct loop {
	struct io_uring ring;
	uint64_t now_ns; /* monotonic, when the wait was over */
};

void loop_init(struct loop *loop);
void loop_fini(struct loop *loop);

void loop_accept(struct loop *loop, struct errand *errand, int listener);
void loop_connect(struct loop *loop, struct errand *errand, int fd,
		  const struct sockaddr *address, socklen_t length);
void loop_send(struct loop *loop, struct errand *errand, int fd,
	       struct span octets);
void loop_recv(struct loop *loop, struct errand *errand, int fd, void *room,
	       size_t length);

/* Submit, wait for an errand but no longer than until that time, call back
 * for all that are done. False if none was. */
bool loop_run_once(struct loop *loop, uint64_t until_ns);

uint64_t now_ns(void);

/* One sentence to stderr, with errno's text unless it is 0; then the end. */
void give_up(const char *what, int error) __attribute__((noreturn));

/* Raise the limit of open files to the hard one. */
void raise_file_limit(void);

#endif
