/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring: the one way a worker talks to the kernel: a single io_uring.
 *
 * liburing 2.3 declares but does not export the calls for restrictions and
 * for enabling, and has no helper that sets up a buffer ring: these are done
 * by hand here, the first two by syscall(2).
 */
#include "proxy/ring.h"

#include "proxy/owner.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Completions taken in one go. The rest waits for the next one. */
#define BATCH_MAX 256

/* Completions may be many more than submissions, as most operations wait for
 * somebody on the network. What exceeds even this is kept by the kernel. */
#define COMPLETIONS_PER_ENTRY 8

/* Threads of the kernel that do file operations which would block. */
#define KERNEL_THREADS_MAX 4

#define BUFFER_GROUP 0

/* How often a full queue is offered to a kernel that is short of memory. */
#define SUBMIT_TRIES_MAX 10000

/* Rounds that ring_free() makes, of at most 100 ms each. */
#define FREE_ROUNDS_MAX 300

struct ring {
	struct io_uring uring;
	struct io_uring_buf_ring *buffers;
	uint8_t *octets; /* of the buffers */
	unsigned buffer_count;
	size_t in_flight;
	/* recvs that found no buffer, oldest first */
	struct ring_recv *waiting, **waiting_end;
};

struct completion {
	struct op *op;
	int result;
	uint32_t flags;
};

/* All that may go through a ring once it is enabled. */
static const uint8_t opcodes_allowed[] = {
	IORING_OP_ACCEPT,       IORING_OP_CONNECT, IORING_OP_RECV,
	IORING_OP_SEND,         IORING_OP_CLOSE,   IORING_OP_WRITE,
	IORING_OP_READ,         IORING_OP_FSYNC,   IORING_OP_POLL_ADD,
	IORING_OP_ASYNC_CANCEL,
};
#define OPCODE_COUNT (sizeof(opcodes_allowed) / sizeof(opcodes_allowed[0]))
#define SQE_FLAGS_ALLOWED IOSQE_BUFFER_SELECT

static size_t
buffers_mapped(unsigned buffers)
{
	return buffers *
	       (sizeof(struct io_uring_buf) + (size_t)RING_BUFFER_SIZE);
}

static void
buffer_give(struct ring *ring, unsigned id)
{
	io_uring_buf_ring_add(ring->buffers,
			      ring->octets + (size_t)id * RING_BUFFER_SIZE,
			      RING_BUFFER_SIZE, (unsigned short)id,
			      io_uring_buf_ring_mask(ring->buffer_count), 0);
	io_uring_buf_ring_advance(ring->buffers, 1);
}

/* The buffers stand behind the ring of their descriptions, which has to be
 * page-aligned; the kernel gets them all. */
static int
buffers_register(struct ring *ring, unsigned count)
{
	struct io_uring_buf_reg reg = { 0 };
	uint8_t *map;
	int result;

	map = mmap(NULL, buffers_mapped(count), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return -errno;
	reg.ring_addr = (uintptr_t)map;
	reg.ring_entries = count;
	reg.bgid = BUFFER_GROUP;
	result = io_uring_register_buf_ring(&ring->uring, &reg, 0);
	if (result != 0) {
		munmap(map, buffers_mapped(count));
		return result;
	}
	ring->buffers = (struct io_uring_buf_ring *)(void *)map;
	ring->octets = map + count * sizeof(struct io_uring_buf);
	ring->buffer_count = count;
	io_uring_buf_ring_init(ring->buffers);
	for (unsigned id = 0; id < count; id++)
		buffer_give(ring, id);
	return 0;
}

static int
ring_register(struct ring *ring, unsigned operation, const void *arg,
	      unsigned count)
{
	long result = syscall(__NR_io_uring_register, ring->uring.ring_fd,
			      operation, arg, count);

	return result < 0 ? -errno : 0;
}

/* No entry allows a register operation: none is used from here on. */
static int
restrict_and_enable(struct ring *ring)
{
	struct io_uring_restriction table[OPCODE_COUNT + 1] = { 0 };
	int result;

	for (size_t i = 0; i < OPCODE_COUNT; i++) {
		table[i].opcode = IORING_RESTRICTION_SQE_OP;
		table[i].sqe_op = opcodes_allowed[i];
	}
	table[OPCODE_COUNT].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	table[OPCODE_COUNT].sqe_flags = SQE_FLAGS_ALLOWED;

	result = ring_register(ring, IORING_REGISTER_RESTRICTIONS, table,
			       OPCODE_COUNT + 1);
	if (result != 0)
		return result;
	return ring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static int
ring_setup(struct ring *ring, const struct ring_size *size)
{
	unsigned threads[2] = { KERNEL_THREADS_MAX, KERNEL_THREADS_MAX };
	struct io_uring_params params = { 0 };
	int result;

	params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
		       IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL |
		       IORING_SETUP_CQSIZE;
	params.cq_entries = size->entries * COMPLETIONS_PER_ENTRY;
	result = io_uring_queue_init_params(size->entries, &ring->uring,
					    &params);
	if (result != 0)
		return result;

	result = io_uring_register_iowq_max_workers(&ring->uring, threads);
	if (result == 0)
		result = buffers_register(ring, size->buffers);
	if (result == 0)
		result = restrict_and_enable(ring);
	if (result != 0)
		io_uring_queue_exit(&ring->uring);
	return result;
}

static void
ring_teardown(struct ring *ring)
{
	io_uring_queue_exit(&ring->uring);
	munmap(ring->buffers, buffers_mapped(ring->buffer_count));
	free(ring);
}

struct proof {
	struct op op;
	int result;
};

static void
proof_done(struct op *op, int result, uint32_t flags)
{
	(void)flags;
	OWNER(op, struct proof, op)->result = result;
}

/* A restriction that does not hold would never show by itself. */
static bool
is_restricted(struct ring *ring)
{
	struct proof proof = { .op.done = proof_done };

	ring_forbidden(ring, &proof.op);
	return ring_run_once(ring, 1000000) == 0 && proof.result == -EACCES;
}

static int
sysctl_read(const char *path)
{
	FILE *file = fopen(path, "re");
	int value = -1;

	if (file == NULL)
		return -1;
	if (fscanf(file, "%d", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

static void
explain_here(int error, struct buf *faults)
{
	struct rlimit memlock = { 0 };
	struct ring_kernel kernel;
	struct utsname name;

	getrlimit(RLIMIT_MEMLOCK, &memlock);
	kernel.release = uname(&name) == 0 ? name.release : "unknown";
	kernel.disabled = sysctl_read("/proc/sys/kernel/io_uring_disabled");
	kernel.is_filtered = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) > 0;
	kernel.memlock = memlock.rlim_cur;
	ring_explain(error, &kernel, faults);
}

struct ring *
ring_new(const struct ring_size *size, struct buf *faults)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	int result;

	if (ring == NULL) {
		explain_here(-ENOMEM, faults);
		return NULL;
	}
	ring->waiting_end = &ring->waiting;
	result = ring_setup(ring, size);
	if (result != 0) {
		free(ring);
		explain_here(result, faults);
		return NULL;
	}
	if (!is_restricted(ring)) {
		ring_teardown(ring);
		buf_printf(faults, "io_uring: this kernel does not keep the"
				   " ring's restrictions\n");
		return NULL;
	}
	return ring;
}

/*
 * An entry of the submission queue. It may be full: then what is there is
 * submitted first, which empties it, unless the kernel has no memory for the
 * requests just now. Completions are not called back here, since whoever asks
 * is in the midst of something. A kernel that takes nothing for ever leaves
 * nothing sensible to do: the worker dies and is replaced.
 */
static struct io_uring_sqe *
entry_take(struct ring *ring, struct op *op)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&ring->uring);

	for (int i = 0; entry == NULL && i < SUBMIT_TRIES_MAX; i++) {
		int result = io_uring_submit(&ring->uring);

		if (result == -EAGAIN || result == -EBUSY)
			io_uring_get_events(&ring->uring);
		entry = io_uring_get_sqe(&ring->uring);
	}
	if (entry == NULL)
		abort();
	if (op != NULL)
		ring->in_flight++;
	return entry;
}

void
ring_accept(struct ring *ring, struct op *op, int listener,
	    struct sockaddr *address, socklen_t *length)
{
	struct io_uring_sqe *entry = entry_take(ring, op);

	io_uring_prep_accept(entry, listener, address, length, SOCK_CLOEXEC);
	io_uring_sqe_set_data(entry, op);
}

void
ring_connect(struct ring *ring, struct op *op, int fd,
	     const struct sockaddr *address, socklen_t length)
{
	struct io_uring_sqe *entry = entry_take(ring, op);

	io_uring_prep_connect(entry, fd, address, length);
	io_uring_sqe_set_data(entry, op);
}

void
ring_send(struct ring *ring, struct op *op, int fd, struct span octets)
{
	struct io_uring_sqe *entry = entry_take(ring, op);

	/* MSG_WAITALL makes the kernel continue a short send. */
	io_uring_prep_send(entry, fd, octets.p, octets.n,
			   MSG_NOSIGNAL | MSG_WAITALL);
	io_uring_sqe_set_data(entry, op);
}

void
ring_close(struct ring *ring, int fd)
{
	struct io_uring_sqe *entry = entry_take(ring, NULL);

	io_uring_prep_close(entry, fd);
	io_uring_sqe_set_data(entry, NULL);
}

void
ring_write(struct ring *ring, struct op *op, int fd, struct span octets,
	   uint64_t offset)
{
	struct io_uring_sqe *entry = entry_take(ring, op);

	assert(octets.n <= INT32_MAX);
	io_uring_prep_write(entry, fd, octets.p, (unsigned)octets.n, offset);
	io_uring_sqe_set_data(entry, op);
}

void
ring_read(struct ring *ring, struct op *op, int fd, uint8_t *octets,
	  size_t length, uint64_t offset)
{
	struct io_uring_sqe *entry = entry_take(ring, op);

	assert(length <= INT32_MAX);
	io_uring_prep_read(entry, fd, octets, (unsigned)length, offset);
	io_uring_sqe_set_data(entry, op);
}

void
ring_datasync(struct ring *ring, struct op *op, int fd)
{
	struct io_uring_sqe *entry = entry_take(ring, op);

	io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data(entry, op);
}

void
ring_poll(struct ring *ring, struct op *op, int fd, unsigned events)
{
	struct io_uring_sqe *entry = entry_take(ring, op);

	io_uring_prep_poll_add(entry, fd, events);
	io_uring_sqe_set_data(entry, op);
}

void
ring_cancel(struct ring *ring, struct op *op)
{
	struct io_uring_sqe *entry = entry_take(ring, NULL);

	io_uring_prep_cancel(entry, op, 0);
	io_uring_sqe_set_data(entry, NULL);
}

void
ring_forbidden(struct ring *ring, struct op *op)
{
	struct io_uring_sqe *entry = entry_take(ring, op);

	io_uring_prep_nop(entry);
	io_uring_sqe_set_data(entry, op);
}

static void
recv_wait(struct ring_recv *recv)
{
	struct ring *ring = recv->ring;

	recv->is_waiting = true;
	recv->next = NULL;
	*ring->waiting_end = recv;
	ring->waiting_end = &recv->next;
}

/* The buffer goes back behind the callback, whatever became of the recv. */
static void
recv_done(struct op *op, int result, uint32_t flags)
{
	struct ring_recv *recv = OWNER(op, struct ring_recv, op);
	struct ring *ring = recv->ring;
	struct span octets = SPAN_NONE;
	bool has_buffer = (flags & IORING_CQE_F_BUFFER) != 0;
	unsigned id = flags >> IORING_CQE_BUFFER_SHIFT;

	if (result == -ENOBUFS) {
		recv_wait(recv);
		return;
	}
	if (has_buffer)
		assert(id < ring->buffer_count && result <= RING_BUFFER_SIZE);
	if (result > 0) {
		assert(has_buffer);
		octets = span_make(ring->octets + (size_t)id * RING_BUFFER_SIZE,
				   (size_t)result);
	}
	recv->done(recv, result, octets);
	if (has_buffer)
		buffer_give(ring, id);
}

static void
recv_submit(struct ring_recv *recv, bool is_quiet)
{
	struct io_uring_sqe *entry = entry_take(recv->ring, &recv->op);

	io_uring_prep_recv(entry, recv->fd, NULL, RING_BUFFER_SIZE, 0);
	if (is_quiet)
		entry->ioprio = IORING_RECVSEND_POLL_FIRST;
	entry->flags |= IOSQE_BUFFER_SELECT;
	entry->buf_group = BUFFER_GROUP;
	io_uring_sqe_set_data(entry, &recv->op);
}

void
ring_recv(struct ring *ring, struct ring_recv *recv, int fd, bool is_quiet)
{
	recv->op.done = recv_done;
	recv->ring = ring;
	recv->fd = fd;
	recv->is_waiting = false;
	recv->is_cancelled = false;
	recv_submit(recv, is_quiet);
}

void
ring_recv_cancel(struct ring_recv *recv)
{
	recv->is_cancelled = true;
	if (!recv->is_waiting)
		ring_cancel(recv->ring, &recv->op);
}

/*
 * After a batch every buffer it lent is back, so whoever found none may try
 * again. If buffers are still missing, they are in completions not taken yet,
 * of which each round takes some: this comes to an end.
 */
static void
recv_retry(struct ring *ring)
{
	struct ring_recv *recv = ring->waiting;

	ring->waiting = NULL;
	ring->waiting_end = &ring->waiting;
	while (recv != NULL) {
		struct ring_recv *next = recv->next;

		recv->is_waiting = false;
		if (recv->is_cancelled)
			recv->done(recv, -ECANCELED, SPAN_NONE);
		else
			recv_submit(recv, false);
		recv = next;
	}
}

/* Take what has completed. Copied before anything is called back, because a
 * callback may submit, and liburing may then move in the queue. */
static size_t
completions_take(struct ring *ring, struct completion list[BATCH_MAX])
{
	struct io_uring_cqe *entries[BATCH_MAX];
	unsigned count =
		io_uring_peek_batch_cqe(&ring->uring, entries, BATCH_MAX);

	for (unsigned i = 0; i < count; i++) {
		list[i].op = io_uring_cqe_get_data(entries[i]);
		list[i].result = entries[i]->res;
		list[i].flags = entries[i]->flags;
	}
	io_uring_cq_advance(&ring->uring, count);
	return count;
}

static void
dispatch(struct ring *ring)
{
	struct completion list[BATCH_MAX];
	size_t count = completions_take(ring, list);

	for (size_t i = 0; i < count; i++) {
		struct op *op = list[i].op;

		if (op == NULL)
			continue;
		assert(ring->in_flight > 0);
		ring->in_flight--;
		op->done(op, list[i].result, list[i].flags);
	}
	if (ring->waiting != NULL)
		recv_retry(ring);
}

int
ring_run_once(struct ring *ring, uint64_t wait_us)
{
	struct __kernel_timespec wait = {
		.tv_sec = (long long)(wait_us / 1000000),
		.tv_nsec = (long long)(wait_us % 1000000 * 1000),
	};
	struct io_uring_cqe *entry;
	int result = io_uring_submit_and_wait_timeout(&ring->uring, &entry, 1,
						      &wait, NULL);

	switch (-result) {
	case ETIME:  /* nothing came */
	case EINTR:  /* a signal */
	case EAGAIN: /* the kernel is short of memory: try again later */
	case EBUSY:  /* completions must be taken first */
		break;
	default:
		if (result < 0)
			return result;
	}
	dispatch(ring);
	return 0;
}

size_t
ring_in_flight(const struct ring *ring)
{
	return ring->in_flight;
}

static void
cancel_all(struct ring *ring)
{
	struct io_uring_sqe *entry = entry_take(ring, NULL);

	io_uring_prep_cancel64(entry, 0, IORING_ASYNC_CANCEL_ANY);
	io_uring_sqe_set_data(entry, NULL);
}

/* Writes to a file cannot be cancelled, but they end. An owner that starts
 * anew whenever it is told of the end is wrong: the rounds are bounded. */
void
ring_free(struct ring *ring)
{
	for (struct ring_recv *recv = ring->waiting; recv != NULL;
	     recv = recv->next)
		recv->is_cancelled = true;
	for (int i = 0; i < FREE_ROUNDS_MAX; i++) {
		if (ring->in_flight == 0 && ring->waiting == NULL)
			break;
		cancel_all(ring);
		if (ring_run_once(ring, 100000) != 0)
			break;
	}
	/* Closes have no owner: let the last of them be submitted. */
	ring_run_once(ring, 0);
	ring_teardown(ring);
}

/* "6.1.0-18-amd64" against 6.1: only the first two numbers count. */
static bool
is_before_6_1(const char *release)
{
	unsigned major, minor;

	if (sscanf(release, "%u.%u", &major, &minor) != 2)
		return false;
	return major < 6 || (major == 6 && minor < 1);
}

static void
explain_refusal(const struct ring_kernel *kernel, struct buf *faults)
{
	if (kernel->disabled == 2)
		buf_printf(faults,
			   "io_uring: switched off on this machine by sysctl"
			   " kernel.io_uring_disabled = 2; set it to 0\n");
	else if (kernel->disabled == 1)
		buf_printf(faults,
			   "io_uring: kept to privileged processes by sysctl"
			   " kernel.io_uring_disabled = 1; set it to 0, or"
			   " kernel.io_uring_group to a group of this user\n");
	else if (kernel->is_filtered)
		buf_printf(
			faults,
			"io_uring: refused by the system call filter of a"
			" container or service manager; allow io_uring_setup,"
			" io_uring_enter and io_uring_register there\n");
	else
		buf_printf(faults,
			   "io_uring: refused by a security module of this"
			   " machine; allow it for this program\n");
}

void
ring_explain(int error, const struct ring_kernel *kernel, struct buf *faults)
{
	bool is_old = is_before_6_1(kernel->release);

	switch (-error) {
	case EPERM:
	case EACCES:
		explain_refusal(kernel, faults);
		return;
	case ENOSYS:
		if (kernel->is_filtered && !is_old) {
			explain_refusal(kernel, faults);
			return;
		}
		buf_printf(faults,
			   is_old ? "io_uring: Linux 6.1 or newer is needed;"
				    " this is %s\n"
				  : "io_uring: this kernel (%s) was built"
				    " without it (CONFIG_IO_URING)\n",
			   kernel->release);
		return;
	case EINVAL:
		buf_printf(faults,
			   "io_uring: Linux 6.1 or newer is needed; this is"
			   " %s%s\n",
			   kernel->release,
			   is_old ? "" : ", which refuses the ring's flags");
		return;
	case ENOMEM:
		buf_printf(faults,
			   "io_uring: no memory for the ring; RLIMIT_MEMLOCK is"
			   " %llu KiB: raise it (LimitMEMLOCK=), or free"
			   " memory\n",
			   (unsigned long long)(kernel->memlock / 1024));
		return;
	default:
		buf_printf(faults, "io_uring: %s\n", strerror(-error));
	}
}
