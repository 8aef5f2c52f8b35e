/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define ENTRIES 4096
#define COMPLETIONS 65536

void
give_up(const char *what, int error)
{
	if (error == 0)
		fprintf(stderr, "%s\n", what);
	else
		fprintf(stderr, "%s: %s\n", what, strerror(error));
	exit(2);
}

uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		give_up("getrlimit", errno);
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		give_up("setrlimit", errno);
}

void
loop_init(struct loop *loop)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
			 IORING_SETUP_SUBMIT_ALL,
		.cq_entries = COMPLETIONS,
	};
	int error = io_uring_queue_init_params(ENTRIES, &loop->ring, &params);

	if (error != 0)
		give_up("io_uring", -error);
	loop->now_ns = now_ns();
}

void
loop_fini(struct loop *loop)
{
	io_uring_queue_exit(&loop->ring);
}

static struct io_uring_sqe *
entry(struct loop *loop)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);
	int error;

	if (sqe != NULL)
		return sqe;
	error = io_uring_submit(&loop->ring);
	if (error < 0)
		give_up("io_uring_submit", -error);
	sqe = io_uring_get_sqe(&loop->ring);
	if (sqe == NULL)
		give_up("io_uring has no entry left", 0);
	return sqe;
}

void
loop_accept(struct loop *loop, struct errand *errand, int listener)
{
	struct io_uring_sqe *sqe = entry(loop);

	io_uring_prep_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data(sqe, errand);
}

void
loop_connect(struct loop *loop, struct errand *errand, int fd,
	     const struct sockaddr *address, socklen_t length)
{
	struct io_uring_sqe *sqe = entry(loop);

	io_uring_prep_connect(sqe, fd, address, length);
	io_uring_sqe_set_data(sqe, errand);
}

/* WAITALL: the kernel goes on by itself behind a short send. */
void
loop_send(struct loop *loop, struct errand *errand, int fd, struct span octets)
{
	struct io_uring_sqe *sqe = entry(loop);

	io_uring_prep_send(sqe, fd, octets.p, octets.n,
			   MSG_NOSIGNAL | MSG_WAITALL);
	io_uring_sqe_set_data(sqe, errand);
}

void
loop_recv(struct loop *loop, struct errand *errand, int fd, void *room,
	  size_t length)
{
	struct io_uring_sqe *sqe = entry(loop);

	io_uring_prep_recv(sqe, fd, room, length, 0);
	/* Nothing is expected to be there yet: do not try first. */
	sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	io_uring_sqe_set_data(sqe, errand);
}

static void
wait_until(struct loop *loop, uint64_t until_ns)
{
	uint64_t now = now_ns();
	uint64_t left = until_ns > now ? until_ns - now : 0;
	struct __kernel_timespec time = {
		.tv_sec = (int64_t)(left / NS_PER_S),
		.tv_nsec = (int64_t)(left % NS_PER_S),
	};
	struct io_uring_cqe *cqe;
	int error = io_uring_submit_and_wait_timeout(&loop->ring, &cqe, 1,
						     &time, NULL);

	if (error < 0 && error != -ETIME && error != -EINTR)
		give_up("io_uring_enter", -error);
}

/* An entry is given back before its owner is called, who may want more. */
bool
loop_run_once(struct loop *loop, uint64_t until_ns)
{
	struct io_uring_cqe *cqe;
	struct errand *errand;
	bool is_any = false;
	int result;

	wait_until(loop, until_ns);
	loop->now_ns = now_ns();
	while (io_uring_peek_cqe(&loop->ring, &cqe) == 0) {
		errand = io_uring_cqe_get_data(cqe);
		result = cqe->res;
		io_uring_cqe_seen(&loop->ring, cqe);
		errand->done(errand, result);
		is_any = true;
	}
	return is_any;
}
