/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/conn.h"

#include "proxy/owner.h"
#include "tests/unit/ring_scene.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A conn at one end of a TCP connection; the other end is the test's. */
struct scene {
	struct ring_scene ring;
	struct conn conn;
	int peer;
	unsigned connected, received, sent, closed, released;
	int error;
	struct buf octets;
	bool is_wanting; /* after what was received */
	bool aborts;     /* when something is received */
};

static void
on_connected(struct conn *conn)
{
	OWNER(conn, struct scene, conn)->connected++;
}

static void
on_received(struct conn *conn, struct span octets)
{
	struct scene *scene = OWNER(conn, struct scene, conn);

	scene->received++;
	assert_true(octets.n > 0 && octets.n <= RING_BUFFER_SIZE);
	assert_true(buf_append(&scene->octets, octets));
	conn_want(conn, scene->is_wanting);
	if (scene->aborts)
		conn_abort(conn);
}

static void
on_sent(struct conn *conn)
{
	OWNER(conn, struct scene, conn)->sent++;
}

static void
on_closed(struct conn *conn, int error)
{
	struct scene *scene = OWNER(conn, struct scene, conn);

	scene->closed++;
	scene->error = error;
}

static void
on_released(struct conn *conn)
{
	OWNER(conn, struct scene, conn)->released++;
}

static const struct conn_events events = {
	.connected = on_connected,
	.received = on_received,
	.sent = on_sent,
	.closed = on_closed,
	.released = on_released,
};

static int
listener(struct ip *ip, uint16_t *port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	union endpoint address;
	socklen_t length;

	assert_true(ip_parse(SPAN_LIT("127.0.0.1"), ip));
	length = endpoint_make(&address, ip, 0);
	assert_int_equal(bind(fd, &address.any, length), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, &address.any, &length), 0);
	endpoint_read(&address, ip, port);
	return fd;
}

static void
scene_init(struct scene *scene)
{
	*scene = (struct scene){ .is_wanting = true };
	ring_scene_make(&scene->ring);
	buf_init(&scene->octets, 16 << 20);
	conn_init(&scene->conn, scene->ring.ring, &scene->ring.timers, &events);
}

static void
scene_make(struct scene *scene)
{
	uint16_t port;
	struct ip ip;
	int server = listener(&ip, &port);

	scene_init(scene);
	assert_int_equal(conn_connect(&scene->conn, &ip, port), 0);
	assert_int_equal(scene->connected, 0);
	ring_scene_until(&scene->ring, &scene->connected, 1);
	scene->peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	assert_true(scene->peer >= 0);
	close(server);
}

static void
scene_end(struct scene *scene)
{
	if (!conn_is_idle(&scene->conn))
		conn_abort(&scene->conn);
	ring_scene_until(&scene->ring, &scene->released, 1);
	ring_scene_for(&scene->ring, 1000);
	assert_int_equal(scene->released, 1);
	if (scene->peer >= 0)
		close(scene->peer);
	assert_null(scene->ring.timers.first);
	assert_int_equal(ring_in_flight(scene->ring.ring), 0);
	ring_scene_end(&scene->ring);
	buf_fini(&scene->octets);
}

/* All that the peer can read within a moment; false if the stream ended. */
static bool
peer_reads(struct scene *scene, struct buf *octets)
{
	uint8_t room[65536];
	ssize_t n;

	n = recv(scene->peer, room, sizeof(room), MSG_DONTWAIT);
	if (n > 0)
		assert_true(buf_append(octets, span_make(room, (size_t)n)));
	return n != 0;
}

static void
octets_go_both_ways(void **state)
{
	struct scene scene;
	struct buf output, got;

	(void)state;
	scene_make(&scene);
	conn_want(&scene.conn, true);
	assert_int_equal(write(scene.peer, "220 hi\r\n", 8), 8);
	ring_scene_until(&scene.ring, &scene.received, 1);
	assert_true(
		span_equal(buf_span(&scene.octets), SPAN_LIT("220 hi\r\n")));

	buf_init(&output, 500);
	buf_init(&got, 500);
	buf_append(&output, SPAN_LIT("EHLO x\r\n"));
	conn_send(&scene.conn, &output);
	assert_true(conn_is_sending(&scene.conn));
	assert_int_equal(output.n, 0);
	assert_int_equal(output.max, 500); /* it may be filled again */
	ring_scene_until(&scene.ring, &scene.sent, 1);
	assert_false(conn_is_sending(&scene.conn));
	peer_reads(&scene, &got);
	assert_true(span_equal(buf_span(&got), SPAN_LIT("EHLO x\r\n")));
	buf_append(&output, SPAN_LIT("QUIT\r\n"));
	conn_send(&scene.conn, &output);
	assert_int_equal(output.max, 500);
	ring_scene_until(&scene.ring, &scene.sent, 2);
	buf_fini(&output);
	buf_fini(&got);
	scene_end(&scene);
}

static void
a_refused_connect_is_told_as_closed(void **state)
{
	struct scene scene;
	uint16_t port;
	struct ip ip;

	(void)state;
	close(listener(&ip, &port));
	scene_init(&scene);
	scene.peer = -1;
	assert_int_equal(conn_connect(&scene.conn, &ip, port), 0);
	ring_scene_until(&scene.ring, &scene.closed, 1);
	assert_int_equal(scene.error, -ECONNREFUSED);
	assert_int_equal(scene.connected, 0);
	scene_end(&scene);
	assert_int_equal(scene.closed, 1);
}

/* A connect that nobody answers ends when the owner wants it to. */
static void
a_connect_under_way_can_be_aborted(void **state)
{
	struct scene scene;
	uint16_t port;
	struct ip ip;
	int server = listener(&ip, &port);

	(void)state;
	scene_init(&scene);
	scene.peer = -1;
	assert_int_equal(conn_connect(&scene.conn, &ip, port), 0);
	conn_abort(&scene.conn);
	assert_int_equal(scene.released, 0); /* not from within the call */
	scene_end(&scene);
	assert_int_equal(scene.connected + scene.closed, 0);
	close(server);
}

/* Who does not want octets leaves them in the kernel, and the peer waits. */
static void
not_wanting_holds_back_the_peer(void **state)
{
	struct scene scene;
	uint8_t *octets = calloc(1, 8 << 20);
	size_t written = 0, again = 0;
	ssize_t n;

	(void)state;
	scene_make(&scene);
	scene.is_wanting = false;
	while ((n = send(scene.peer, octets, 1 << 20, MSG_DONTWAIT)) > 0)
		written += (size_t)n;
	ring_scene_for(&scene.ring, 50000);
	assert_int_equal(scene.received, 0);
	conn_want(&scene.conn, true);
	ring_scene_until(&scene.ring, &scene.received, 1);
	ring_scene_for(&scene.ring, 50000);
	assert_int_equal(scene.received, 1); /* one buffer, not more */
	scene.is_wanting = true;
	conn_want(&scene.conn, true);
	while (scene.octets.n < written)
		ring_scene_turn(&scene.ring, 10000);
	while ((n = send(scene.peer, octets, 1 << 20, MSG_DONTWAIT)) > 0)
		again += (size_t)n;
	assert_true(again > 0);
	free(octets);
	scene_end(&scene);
}

static void
fill(struct buf *output, size_t n)
{
	buf_init(output, n);
	for (size_t i = 0; i < n; i++)
		buf_append_octet(output, (uint8_t)(i * 7 % 251));
}

static void
assert_filled(const struct buf *got, size_t n)
{
	assert_int_equal(got->n, n);
	for (size_t i = 0; i < n; i++)
		if (buf_span(got).p[i] != (uint8_t)(i * 7 % 251))
			fail_msg("octet %zu is another", i);
}

/* Close: what is under way and what is left is sent, then the stream ends. */
static void
close_sends_all_then_ends(void **state)
{
	enum { LENGTH = 3 << 20 };
	struct buf output, first, got;
	struct scene scene;

	(void)state;
	scene_make(&scene);
	conn_want(&scene.conn, true);
	fill(&output, LENGTH);
	buf_init(&first, LENGTH);
	buf_init(&got, LENGTH);
	buf_append(&first, span_first(buf_span(&output), LENGTH / 2));
	buf_consume(&output, LENGTH / 2);
	conn_send(&scene.conn, &first);
	conn_close(&scene.conn, &output);
	assert_int_equal(output.n, 0);
	while (peer_reads(&scene, &got))
		ring_scene_turn(&scene.ring, 1000);
	assert_filled(&got, LENGTH);
	assert_int_equal(scene.released, 0); /* it waits for the peer */
	shutdown(scene.peer, SHUT_WR);
	ring_scene_until(&scene.ring, &scene.released, 1);
	assert_int_equal(scene.sent + scene.closed, 0); /* nothing but that */
	buf_fini(&first);
	buf_fini(&output);
	buf_fini(&got);
	scene_end(&scene);
}

/* The last reply arrives although the peer has sent what nobody reads: a plain
 * close(2) would make the kernel send RST, which destroys it. */
static void
the_last_reply_survives_octets_nobody_reads(void **state)
{
	struct buf output, got;
	struct scene scene;
	char octets[1000] = "DATA that the gate does not want any more";

	(void)state;
	scene_make(&scene);
	buf_init(&output, 1000);
	buf_init(&got, 1000);
	assert_int_equal(write(scene.peer, octets, sizeof(octets)),
			 sizeof(octets));
	buf_append(&output, SPAN_LIT("550 no\r\n"));
	conn_close(&scene.conn, &output);
	ring_scene_for(&scene.ring, 50000);
	assert_int_equal(write(scene.peer, octets, sizeof(octets)),
			 sizeof(octets));
	ring_scene_for(&scene.ring, 50000);
	while (peer_reads(&scene, &got))
		ring_scene_turn(&scene.ring, 1000);
	assert_true(span_equal(buf_span(&got), SPAN_LIT("550 no\r\n")));
	buf_fini(&output);
	buf_fini(&got);
	close(scene.peer);
	scene.peer = -1;
	ring_scene_until(&scene.ring, &scene.released, 1);
	scene_end(&scene);
}

/* A peer that never closes is not waited for for ever. */
static void
lingering_ends_by_itself(void **state)
{
	struct scene scene;
	uint64_t start_us;

	(void)state;
	scene_make(&scene);
	conn_close(&scene.conn, NULL);
	start_us = clock_monotonic_us();
	ring_scene_until(&scene.ring, &scene.released, 1);
	assert_in_range(clock_monotonic_us() - start_us,
			CONN_LINGER_US_MAX - 100000,
			CONN_LINGER_US_MAX + 1000000);
	scene_end(&scene);
}

/* ... nor one that goes on sending. */
static void
lingering_reads_only_so_much(void **state)
{
	uint8_t *octets = calloc(1, 65536);
	struct scene scene;
	uint64_t start_us = clock_monotonic_us();

	(void)state;
	scene_make(&scene);
	conn_close(&scene.conn, NULL);
	while (scene.released == 0) {
		(void)!send(scene.peer, octets, 65536,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		ring_scene_turn(&scene.ring, 1000);
	}
	assert_true(clock_monotonic_us() - start_us < CONN_LINGER_US_MAX);
	assert_true(scene.conn.discarded > CONN_DISCARD_MAX);
	free(octets);
	scene_end(&scene);
}

/* While the last octets are being sent, too: who floods meanwhile is not read
 * for ever. */
static void
flushing_reads_only_so_much(void **state)
{
	uint8_t *octets = calloc(1, 65536);
	struct scene scene;
	struct buf output;

	(void)state;
	scene_make(&scene);
	fill(&output, 16 << 20);
	conn_close(&scene.conn, &output);
	for (int i = 0; i < 500; i++) {
		(void)!send(scene.peer, octets, 65536,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		ring_scene_turn(&scene.ring, 1000);
	}
	assert_int_equal(scene.conn.state, CONN_FLUSHING);
	assert_in_range(scene.conn.discarded, CONN_DISCARD_MAX,
			CONN_DISCARD_MAX + 2 * RING_BUFFER_SIZE);
	buf_fini(&output);
	free(octets);
	scene_end(&scene);
}

/* A peer that closed its half, like `printf QUIT | nc`, still gets the reply.
 */
static void
a_half_closed_peer_still_gets_its_reply(void **state)
{
	struct buf output, got;
	struct scene scene;

	(void)state;
	scene_make(&scene);
	conn_want(&scene.conn, true);
	assert_int_equal(write(scene.peer, "QUIT\r\n", 6), 6);
	shutdown(scene.peer, SHUT_WR);
	ring_scene_until(&scene.ring, &scene.closed, 1);
	assert_int_equal(scene.error, 0);
	assert_int_equal(scene.received, 1);
	buf_init(&output, 100);
	buf_init(&got, 100);
	buf_append(&output, SPAN_LIT("221 bye\r\n"));
	conn_close(&scene.conn, &output);
	while (peer_reads(&scene, &got))
		ring_scene_turn(&scene.ring, 1000);
	assert_true(span_equal(buf_span(&got), SPAN_LIT("221 bye\r\n")));
	buf_fini(&output);
	buf_fini(&got);
	scene_end(&scene);
}

static void
peer_resets(struct scene *scene)
{
	struct linger linger = { 1, 0 };

	setsockopt(scene->peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(scene->peer);
	scene->peer = -1;
}

static void
a_reset_is_told_once(void **state)
{
	struct scene scene;
	struct buf output;

	(void)state;
	scene_make(&scene);
	conn_want(&scene.conn, true);
	peer_resets(&scene);
	ring_scene_until(&scene.ring, &scene.closed, 1);
	assert_int_equal(scene.error, -ECONNRESET);
	/* What is sent now is dropped, and told as sent. */
	buf_init(&output, 100);
	buf_append(&output, SPAN_LIT("x"));
	conn_send(&scene.conn, &output);
	ring_scene_until(&scene.ring, &scene.sent, 1);
	assert_int_equal(scene.closed, 1);
	buf_fini(&output);
	scene_end(&scene);
}

/* A peer that reads nothing and a flush that is aborted meanwhile. */
static void
an_abort_ends_a_send_that_nobody_takes(void **state)
{
	struct scene scene;
	struct buf output;
	uint64_t start_us;

	(void)state;
	scene_make(&scene);
	conn_want(&scene.conn, true);
	fill(&output, 16 << 20);
	conn_send(&scene.conn, &output);
	ring_scene_for(&scene.ring, 50000);
	assert_true(conn_is_sending(&scene.conn));
	start_us = clock_monotonic_us();
	conn_abort(&scene.conn);
	ring_scene_until(&scene.ring, &scene.released, 1);
	assert_true(clock_monotonic_us() - start_us < 1000000);
	assert_int_equal(scene.sent + scene.closed, 0);
	buf_fini(&output);
	scene_end(&scene);
}

static void
an_owner_may_abort_when_he_is_told(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	scene.aborts = true;
	conn_want(&scene.conn, true);
	assert_int_equal(write(scene.peer, "x", 1), 1);
	ring_scene_until(&scene.ring, &scene.received, 1);
	ring_scene_until(&scene.ring, &scene.released, 1);
	scene_end(&scene);
}

/* A conn is used again, as for the next attempt to reach a backend. */
static void
a_released_conn_can_connect_again(void **state)
{
	struct scene scene;
	uint16_t port;
	struct ip ip;
	int server = listener(&ip, &port);

	(void)state;
	scene_make(&scene);
	conn_abort(&scene.conn);
	ring_scene_until(&scene.ring, &scene.released, 1);
	close(scene.peer);
	assert_int_equal(conn_connect(&scene.conn, &ip, port), 0);
	ring_scene_until(&scene.ring, &scene.connected, 2);
	scene.peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	conn_want(&scene.conn, true);
	assert_int_equal(write(scene.peer, "x", 1), 1);
	ring_scene_until(&scene.ring, &scene.received, 1);
	scene.released = 0;
	scene_end(&scene);
	close(server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(octets_go_both_ways),
		cmocka_unit_test(a_refused_connect_is_told_as_closed),
		cmocka_unit_test(a_connect_under_way_can_be_aborted),
		cmocka_unit_test(a_reset_is_told_once),
		cmocka_unit_test(not_wanting_holds_back_the_peer),
		cmocka_unit_test(close_sends_all_then_ends),
		cmocka_unit_test(the_last_reply_survives_octets_nobody_reads),
		cmocka_unit_test(a_half_closed_peer_still_gets_its_reply),
		cmocka_unit_test(lingering_ends_by_itself),
		cmocka_unit_test(lingering_reads_only_so_much),
		cmocka_unit_test(flushing_reads_only_so_much),
		cmocka_unit_test(an_abort_ends_a_send_that_nobody_takes),
		cmocka_unit_test(an_owner_may_abort_when_he_is_told),
		cmocka_unit_test(a_released_conn_can_connect_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
