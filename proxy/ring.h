/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring: the one way a worker talks to the kernel: a single io_uring.
 *
 * Starting an operation writes an entry into the submission queue; nothing
 * happens until ring_run_once() submits what has gathered, waits, and calls
 * back, all in one system call. An operation is a struct op embedded in its
 * owner, which must stay where it is, with all the memory that the operation
 * refers to, until op->done was called: cancelled operations complete too.
 *
 * Flags, and why: SINGLE_ISSUER and DEFER_TASKRUN, because one thread owns the
 * ring and wants completions only when it asks for them, in batches, never as
 * an interrupt of other work; SUBMIT_ALL, so that one refused entry does not
 * hold up those behind it; R_DISABLED, so that the ring can be restricted to
 * the operations of this file before it is used, as a system call filter does
 * not see what goes through a ring. No register operation is left open: buffers
 * are registered before the ring is enabled, and nothing changes after it.
 *
 * Octets are received by single-shot recv into provided buffers. Single-shot:
 * an idle connection holds a poll in the kernel and no buffer, a connection
 * whose owner does not re-arm holds back its sender (TCP's window is the
 * backpressure), and none can take more than one buffer at a time. A multishot
 * recv would go on filling buffers for a connection that nobody reads, to the
 * cost of all others, until a cancellation, itself asynchronous, catches up.
 * A buffer is lent for the time of the callback only, so running out means no
 * more than waiting for the end of the batch: ENOBUFS never reaches an owner.
 *
 * Needs Linux 6.1 and liburing 2.3; does without anything newer. ring.c is
 * the only includer of <liburing.h>.
 */
#ifndef PROXY_RING_H
#define PROXY_RING_H

#include "smtp/buf.h"

#include <sys/socket.h>

struct ring;

/* An operation under way, embedded in its owner. result: what the system call
 * of that name returns, a negative errno where it fails. */
struct op {
	void (*done)(struct op *op, int result, uint32_t flags);
};

struct ring_size {
	unsigned entries; /* of the submission queue; a power of two */
	unsigned buffers; /* for receiving; a power of two */
};
#define RING_BUFFER_SIZE 16384

/*
 * A ring for this thread, enabled and restricted; NULL with one sentence in
 * faults that says what to change: an old kernel, io_uring switched off by
 * sysctl, refused by a container, or memory. Whether the restriction holds is
 * tried, not assumed. Must be called after the last fork().
 */
struct ring *ring_new(const struct ring_size *size, struct buf *faults);

/* Cancel what is under way, call back for all of it, and free. */
void ring_free(struct ring *ring);

/*
 * Submit, wait for at least one completion but no longer than wait_us, call
 * back. 0, or a negative errno with which the ring is of no use any more.
 */
int ring_run_once(struct ring *ring, uint64_t wait_us);

/* Operations under way. */
size_t ring_in_flight(const struct ring *ring);

/* One connection from a listener; its peer's address is written to *address.
 * Not multishot: that gives no address. The descriptor is blocking, as
 * O_NONBLOCK would turn every wait of the ring into an EAGAIN. */
void ring_accept(struct ring *ring, struct op *op, int listener,
		 struct sockaddr *address, socklen_t *length);
void ring_connect(struct ring *ring, struct op *op, int fd,
		  const struct sockaddr *address, socklen_t length);

/* The kernel goes on after a short send by itself where it can; the owner
 * still has to look at the result. Never raises SIGPIPE. */
void ring_send(struct ring *ring, struct op *op, int fd, struct span octets);

/* Close without waiting; the descriptor is gone for the caller at once. */
void ring_close(struct ring *ring, int fd);

/* Files. The kernel hands these to threads of its own, which costs more
 * than twice what a short write to the page cache does. */
void ring_write(struct ring *ring, struct op *op, int fd, struct span octets,
		uint64_t offset);
void ring_read(struct ring *ring, struct op *op, int fd, uint8_t *octets,
	       size_t length, uint64_t offset);
void ring_datasync(struct ring *ring, struct op *op, int fd);

/* Once one of these events of poll(2) is there; result is their set. */
void ring_poll(struct ring *ring, struct op *op, int fd, unsigned events);

/* Ask for an early end: op completes with -ECANCELED, or as if nobody had
 * asked. Not for a recv. */
void ring_cancel(struct ring *ring, struct op *op);

/* A recv, embedded in its owner, who sets `done`. */
struct ring_recv {
	struct op op; /* the ring's, as all below but done */
	void (*done)(struct ring_recv *recv, int result, struct span octets);
	struct ring *ring;
	struct ring_recv *next; /* among those that wait for a buffer */
	int fd;
	bool is_waiting;
	bool is_cancelled;
};

/*
 * Receive once. done gets the octets, valid during the call (result is their
 * number), or nothing and 0 at the end of the stream, or a negative errno.
 * is_quiet: nothing is expected to be there yet, so do not try first.
 */
void ring_recv(struct ring *ring, struct ring_recv *recv, int fd,
	       bool is_quiet);
void ring_recv_cancel(struct ring_recv *recv);

/* An operation that is not among those allowed: completes with -EACCES. For
 * the proof at start, and for the test of it. */
void ring_forbidden(struct ring *ring, struct op *op);

/* What ring_new() knows of the machine when the kernel says no. */
struct ring_kernel {
	const char *release; /* of uname(2) */
	int disabled;        /* sysctl kernel.io_uring_disabled; -1: none */
	bool is_filtered;    /* this process has a seccomp filter */
	uint64_t memlock;    /* RLIMIT_MEMLOCK in octets */
};

/* The sentence for a negative errno of io_uring_setup(2). Pure. */
void ring_explain(int error, const struct ring_kernel *kernel,
		  struct buf *faults);

#endif
