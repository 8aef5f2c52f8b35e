/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/ring.h"

#include "proxy/endpoint.h"
#include "proxy/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 40
#define ROUNDS_MAX 200

/* An operation that notes what became of it. */
struct note {
	struct op op;
	unsigned count;
	int result;
};

/* A recv that keeps what it got. */
struct taken {
	struct ring_recv recv;
	unsigned count;
	int result;
	struct buf octets;
};

static void
on_done(struct op *op, int result, uint32_t flags)
{
	struct note *note = OWNER(op, struct note, op);

	(void)flags;
	note->count++;
	note->result = result;
}

static void
on_taken(struct ring_recv *recv, int result, struct span octets)
{
	struct taken *taken = OWNER(recv, struct taken, recv);

	taken->count++;
	taken->result = result;
	assert_true(buf_append(&taken->octets, octets));
}

static struct note
note_new(void)
{
	return (struct note){ .op.done = on_done };
}

static struct taken
taken_new(void)
{
	struct taken taken = { .recv.done = on_taken };

	buf_init(&taken.octets, 1 << 20);
	return taken;
}

static struct ring *
ring_of(unsigned entries, unsigned buffers)
{
	struct ring_size size = { entries, buffers };
	struct buf faults;
	struct ring *ring;

	buf_init(&faults, 4096);
	ring = ring_new(&size, &faults);
	if (ring == NULL)
		fail_msg("%.*s", (int)faults.n, (const char *)faults.p);
	assert_int_equal(faults.n, 0);
	buf_fini(&faults);
	return ring;
}

static void
run_until(struct ring *ring, const unsigned *count, unsigned wanted)
{
	for (int i = 0; *count < wanted; i++) {
		assert_true(i < ROUNDS_MAX);
		assert_int_equal(ring_run_once(ring, 50000), 0);
	}
}

static void
wait_for(struct ring *ring, struct note *note)
{
	run_until(ring, &note->count, note->count + 1);
}

static void
pair(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

static void
a_ring_waits_no_longer_than_asked(void **state)
{
	struct ring *ring = ring_of(8, 1);

	(void)state;
	assert_int_equal(ring_run_once(ring, 0), 0);
	assert_int_equal(ring_run_once(ring, 1000), 0);
	assert_int_equal(ring_in_flight(ring), 0);
	ring_free(ring);
}

/* What a system call filter cannot see, the ring itself refuses. */
static void
an_opcode_outside_the_table_is_refused(void **state)
{
	struct ring *ring = ring_of(8, 1);
	struct note note = note_new();

	(void)state;
	ring_forbidden(ring, &note.op);
	wait_for(ring, &note);
	assert_int_equal(note.result, -EACCES);
	ring_free(ring);
}

/* ... and does not keep back what was submitted with it. */
static void
a_refused_entry_does_not_hold_up_the_others(void **state)
{
	struct ring *ring = ring_of(8, 1);
	struct note refused = note_new(), polled = note_new();
	int ends[2];

	(void)state;
	pair(ends);
	ring_forbidden(ring, &refused.op);
	ring_poll(ring, &polled.op, ends[0], POLLOUT);
	run_until(ring, &polled.count, 1);
	assert_int_equal(refused.result, -EACCES);
	assert_true((polled.result & POLLOUT) != 0);
	close(ends[0]);
	close(ends[1]);
	ring_free(ring);
}

static void
octets_go_through_a_pair(void **state)
{
	struct ring *ring = ring_of(8, 2);
	struct note sent = note_new();
	struct taken taken = taken_new();
	int ends[2];

	(void)state;
	pair(ends);
	ring_recv(ring, &taken.recv, ends[1], true);
	ring_send(ring, &sent.op, ends[0], SPAN_LIT("hello"));
	run_until(ring, &taken.count, 1);
	assert_int_equal(sent.result, 5);
	assert_int_equal(taken.result, 5);
	assert_true(span_equal(buf_span(&taken.octets), SPAN_LIT("hello")));

	/* The end of the stream. */
	ring_recv(ring, &taken.recv, ends[1], false);
	close(ends[0]);
	run_until(ring, &taken.count, 2);
	assert_int_equal(taken.result, 0);
	close(ends[1]);
	buf_fini(&taken.octets);
	ring_free(ring);
}

/* One recv never brings more than a buffer; the rest waits in the kernel. */
static void
a_recv_brings_one_buffer_at_most(void **state)
{
	struct ring *ring = ring_of(8, 2);
	struct taken taken = taken_new();
	uint8_t *octets = calloc(1, 3 * RING_BUFFER_SIZE);
	int ends[2];

	(void)state;
	pair(ends);
	assert_int_equal(write(ends[0], octets, 3 * RING_BUFFER_SIZE),
			 3 * RING_BUFFER_SIZE);
	for (unsigned i = 1; i <= 3; i++) {
		ring_recv(ring, &taken.recv, ends[1], false);
		run_until(ring, &taken.count, i);
		assert_int_equal(taken.result, RING_BUFFER_SIZE);
	}
	close(ends[0]);
	close(ends[1]);
	free(octets);
	buf_fini(&taken.octets);
	ring_free(ring);
}

/* Far more connections have octets at once than there are buffers: each gets
 * its own all the same, and nobody hears of it. */
static void
buffers_run_out_and_come_back(void **state)
{
	struct ring *ring = ring_of(64, 2);
	struct taken taken[MANY];
	int ends[MANY][2];

	(void)state;
	for (unsigned round = 1; round <= 3; round++) {
		for (unsigned i = 0; i < MANY; i++) {
			uint8_t octet = (uint8_t)(i + round);

			if (round == 1) {
				taken[i] = taken_new();
				pair(ends[i]);
			}
			assert_int_equal(write(ends[i][0], &octet, 1), 1);
			ring_recv(ring, &taken[i].recv, ends[i][1], false);
		}
		for (unsigned i = 0; i < MANY; i++) {
			run_until(ring, &taken[i].count, round);
			assert_int_equal(taken[i].result, 1);
			assert_int_equal(
				buf_span(&taken[i].octets).p[round - 1],
				i + round);
		}
	}
	assert_int_equal(ring_in_flight(ring), 0);
	for (unsigned i = 0; i < MANY; i++) {
		close(ends[i][0]);
		close(ends[i][1]);
		buf_fini(&taken[i].octets);
	}
	ring_free(ring);
}

/* Idle connections hold no buffer: two buffers serve one that speaks although
 * forty others wait. */
static void
idle_connections_hold_no_buffer(void **state)
{
	struct ring *ring = ring_of(64, 1);
	struct taken taken[MANY];
	int ends[MANY][2];

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		taken[i] = taken_new();
		pair(ends[i]);
		ring_recv(ring, &taken[i].recv, ends[i][1], i % 2 == 0);
	}
	assert_int_equal(ring_run_once(ring, 0), 0);
	assert_int_equal(write(ends[MANY - 1][0], "x", 1), 1);
	run_until(ring, &taken[MANY - 1].count, 1);
	assert_int_equal(taken[MANY - 1].result, 1);
	assert_int_equal(taken[0].count, 0);
	/* Freeing the ring ends the others, and tells. */
	ring_free(ring);
	for (unsigned i = 0; i < MANY - 1; i++) {
		assert_int_equal(taken[i].count, 1);
		assert_int_equal(taken[i].result, -ECANCELED);
	}
	for (unsigned i = 0; i < MANY; i++) {
		close(ends[i][0]);
		close(ends[i][1]);
		buf_fini(&taken[i].octets);
	}
}

static void
a_recv_can_be_cancelled(void **state)
{
	struct ring *ring = ring_of(8, 1);
	struct taken taken = taken_new();
	int ends[2];

	(void)state;
	pair(ends);
	ring_recv(ring, &taken.recv, ends[1], true);
	assert_int_equal(ring_run_once(ring, 0), 0);
	ring_recv_cancel(&taken.recv);
	run_until(ring, &taken.count, 1);
	assert_int_equal(taken.result, -ECANCELED);
	close(ends[0]);
	close(ends[1]);
	buf_fini(&taken.octets);
	ring_free(ring);
}

/* Many more entries than the queue has: what is there is submitted first. */
static void
a_full_submission_queue_is_no_limit(void **state)
{
	struct ring *ring = ring_of(4, 1);
	struct note notes[MANY];
	int ends[2];

	(void)state;
	pair(ends);
	for (unsigned i = 0; i < MANY; i++) {
		notes[i] = note_new();
		ring_poll(ring, &notes[i].op, ends[0], POLLIN);
	}
	assert_int_equal(ring_in_flight(ring), MANY);
	assert_int_equal(write(ends[1], "x", 1), 1);
	for (unsigned i = 0; i < MANY; i++) {
		run_until(ring, &notes[i].count, 1);
		assert_true((notes[i].result & POLLIN) != 0);
	}
	close(ends[0]);
	close(ends[1]);
	ring_free(ring);
}

/* More completions than the completion queue holds are kept by the kernel. */
static void
more_completions_than_fit_are_not_lost(void **state)
{
	enum { FLOOD = 200 }; /* the queue holds 32 */
	struct ring *ring = ring_of(4, 1);
	static struct note notes[FLOOD];
	int ends[2];

	(void)state;
	pair(ends);
	for (unsigned i = 0; i < FLOOD; i++) {
		notes[i] = note_new();
		ring_poll(ring, &notes[i].op, ends[0], POLLOUT);
	}
	for (unsigned i = 0; i < FLOOD; i++)
		run_until(ring, &notes[i].count, 1);
	assert_int_equal(ring_in_flight(ring), 0);
	close(ends[0]);
	close(ends[1]);
	ring_free(ring);
}

static int
listener(union endpoint *address, socklen_t *length)
{
	struct ip ip;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(ip_parse(SPAN_LIT("127.0.0.1"), &ip));
	*length = endpoint_make(address, &ip, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &address->any, *length), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, &address->any, length), 0);
	return fd;
}

static void
connect_and_accept_with_the_peers_address(void **state)
{
	struct ring *ring = ring_of(8, 1);
	struct note accepted = note_new(), connected = note_new();
	union endpoint address, peer = { 0 };
	socklen_t length, peer_length = sizeof(peer);
	int server = listener(&address, &length);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint16_t port;
	struct ip ip;

	(void)state;
	ring_accept(ring, &accepted.op, server, &peer.any, &peer_length);
	ring_connect(ring, &connected.op, client, &address.any, length);
	run_until(ring, &accepted.count, 1);
	run_until(ring, &connected.count, 1);
	assert_int_equal(connected.result, 0);
	assert_true(accepted.result >= 0);
	endpoint_read(&peer, &ip, &port);
	assert_true(ip_is_loopback(&ip));
	assert_true(port != 0);
	assert_true(fcntl(accepted.result, F_GETFD) & FD_CLOEXEC);

	ring_close(ring, client);
	ring_close(ring, accepted.result);
	close(server);
	ring_free(ring);
	assert_int_equal(fcntl(client, F_GETFD), -1);
}

static void
a_refused_connection_says_so(void **state)
{
	struct ring *ring = ring_of(8, 1);
	struct note connected = note_new();
	union endpoint address;
	socklen_t length;
	int server = listener(&address, &length);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	close(server);
	ring_connect(ring, &connected.op, client, &address.any, length);
	wait_for(ring, &connected);
	assert_int_equal(connected.result, -ECONNREFUSED);
	close(client);
	ring_free(ring);
}

/* A peer that reads slowly: the kernel goes on until all is sent. */
static void
a_long_send_is_sent_whole(void **state)
{
	enum { LENGTH = 4 << 20 };
	struct ring *ring = ring_of(8, 4);
	struct note sent = note_new();
	struct taken taken = taken_new();
	uint8_t *octets = malloc(LENGTH);
	size_t got = 0;
	int ends[2];

	(void)state;
	memset(octets, 'x', LENGTH);
	pair(ends);
	ring_send(ring, &sent.op, ends[0], span_make(octets, LENGTH));
	while (got < LENGTH) {
		unsigned before = taken.count;

		ring_recv(ring, &taken.recv, ends[1], false);
		run_until(ring, &taken.count, before + 1);
		assert_true(taken.result > 0);
		got += (size_t)taken.result;
		buf_reset(&taken.octets);
	}
	run_until(ring, &sent.count, 1);
	assert_int_equal(sent.result, LENGTH);
	close(ends[0]);
	close(ends[1]);
	free(octets);
	buf_fini(&taken.octets);
	ring_free(ring);
}

/* No SIGPIPE: it would end the process. */
static void
a_send_to_nobody_fails_quietly(void **state)
{
	struct ring *ring = ring_of(8, 1);
	struct note sent = note_new();
	int ends[2];

	(void)state;
	pair(ends);
	close(ends[1]);
	ring_send(ring, &sent.op, ends[0], SPAN_LIT("hello"));
	wait_for(ring, &sent);
	assert_int_equal(sent.result, -EPIPE);
	close(ends[0]);
	ring_free(ring);
}

static void
files_are_written_read_and_synced(void **state)
{
	struct ring *ring = ring_of(8, 1);
	struct note note = note_new();
	uint8_t octets[16] = "";
	int fd = memfd_create("ring", MFD_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	ring_write(ring, &note.op, fd, SPAN_LIT("0123456789"), 0);
	wait_for(ring, &note);
	assert_int_equal(note.result, 10);
	ring_write(ring, &note.op, fd, SPAN_LIT("XY"), 3);
	wait_for(ring, &note);
	ring_datasync(ring, &note.op, fd);
	wait_for(ring, &note);
	assert_int_equal(note.result, 0);
	ring_read(ring, &note.op, fd, octets, sizeof(octets), 1);
	wait_for(ring, &note);
	assert_int_equal(note.result, 9);
	assert_memory_equal(octets, "12XY56789", 9);
	close(fd);
	ring_free(ring);
}

static void
a_poll_can_be_cancelled(void **state)
{
	struct ring *ring = ring_of(8, 1);
	struct note polled = note_new();
	int ends[2];

	(void)state;
	pair(ends);
	ring_poll(ring, &polled.op, ends[0], POLLIN);
	assert_int_equal(ring_run_once(ring, 0), 0);
	assert_int_equal(polled.count, 0);
	ring_cancel(ring, &polled.op);
	wait_for(ring, &polled);
	assert_int_equal(polled.result, -ECANCELED);
	close(ends[0]);
	close(ends[1]);
	ring_free(ring);
}

struct refusal {
	int error;
	struct ring_kernel kernel;
	const char *says;
};

/* Each way in which a machine can have no io_uring has its own sentence. */
static const struct refusal refusals[] = {
	{ -ENOSYS, { "4.19.0-27-amd64", -1, false, 0 }, "this is 4.19.0" },
	{ -ENOSYS, { "5.10.0-28", -1, true, 0 }, "Linux 6.1 or newer" },
	{ -EINVAL, { "5.15.0-100", -1, false, 0 }, "this is 5.15.0-100\n" },
	{ -EINVAL, { "6.0.9", -1, false, 0 }, "Linux 6.1 or newer" },
	{ -EINVAL, { "6.1.0-18-amd64", -1, false, 0 }, "refuses the ring's" },
	{ -ENOSYS, { "6.1.0-18-amd64", -1, false, 0 }, "CONFIG_IO_URING" },
	{ -ENOSYS, { "6.6.1", 0, true, 0 }, "filter of a container" },
	{ -EPERM, { "6.6.1", 2, false, 0 }, "io_uring_disabled = 2" },
	{ -EPERM, { "6.6.1", 2, true, 0 }, "io_uring_disabled = 2" },
	{ -EPERM, { "6.6.1", 1, false, 0 }, "kernel.io_uring_group" },
	{ -EPERM, { "6.6.1", 0, true, 0 }, "filter of a container" },
	{ -EPERM, { "6.1.0", -1, false, 0 }, "security module" },
	{ -ENOMEM, { "6.1.0", -1, false, 65536 }, "RLIMIT_MEMLOCK is 64 KiB" },
	{ -EMFILE, { "6.1.0", -1, false, 0 }, "Too many open files" },
};

static void
each_refusal_has_its_own_sentence(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *row = &refusals[i];
		struct buf text;

		buf_init(&text, 4096);
		ring_explain(row->error, &row->kernel, &text);
		assert_true(buf_append_octet(&text, '\0'));
		if (strstr((char *)text.p, row->says) == NULL)
			fail_msg("row %zu: \"%s\" not in: %s", i, row->says,
				 (char *)text.p);
		assert_int_equal(text.p[text.n - 2], '\n');
		buf_fini(&text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_waits_no_longer_than_asked),
		cmocka_unit_test(an_opcode_outside_the_table_is_refused),
		cmocka_unit_test(a_refused_entry_does_not_hold_up_the_others),
		cmocka_unit_test(octets_go_through_a_pair),
		cmocka_unit_test(a_recv_brings_one_buffer_at_most),
		cmocka_unit_test(buffers_run_out_and_come_back),
		cmocka_unit_test(idle_connections_hold_no_buffer),
		cmocka_unit_test(a_recv_can_be_cancelled),
		cmocka_unit_test(a_full_submission_queue_is_no_limit),
		cmocka_unit_test(more_completions_than_fit_are_not_lost),
		cmocka_unit_test(connect_and_accept_with_the_peers_address),
		cmocka_unit_test(a_refused_connection_says_so),
		cmocka_unit_test(a_long_send_is_sent_whole),
		cmocka_unit_test(a_send_to_nobody_fails_quietly),
		cmocka_unit_test(files_are_written_read_and_synced),
		cmocka_unit_test(a_poll_can_be_cancelled),
		cmocka_unit_test(each_refusal_has_its_own_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
