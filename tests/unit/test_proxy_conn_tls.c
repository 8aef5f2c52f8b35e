/* SPDX-License-Identifier: BSD-2-Clause */
/* A conn under TLS whose engine finds no room for what it is given: the owner
 * goes on, and the peer can tell that something is missing. */
#include "proxy/conn.h"

#include "proxy/owner.h"
#include "tests/unit/certificates.h"
#include "tests/unit/ring_scene.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* More than the engine's output takes, in records of 16 KiB. */
#define TOO_MUCH (TLS_OUTPUT_MAX + 100000)

static struct certificates certificates;

/* The conn is a server; the other end is an engine of the test's. */
struct scene {
	struct ring_scene ring;
	struct conn conn;
	struct tls_server *server;
	struct tls_client *client;
	struct tls *peer;
	int fd;
	unsigned secured, sent, closed, released;
	int error;
	struct buf got;        /* by the peer, in plain */
	enum tls_status ended; /* what its stream came to; TLS_MORE: cut off */
};

static void
on_received(struct conn *conn, struct span octets)
{
	(void)conn;
	(void)octets;
}

static void
on_sent(struct conn *conn)
{
	OWNER(conn, struct scene, conn)->sent++;
}

static void
on_secured(struct conn *conn, const struct tlsinfo *info)
{
	(void)info;
	OWNER(conn, struct scene, conn)->secured++;
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
	.received = on_received,
	.sent = on_sent,
	.secured = on_secured,
	.closed = on_closed,
	.released = on_released,
};

/* What the engine of the peer has to say goes out. */
static void
peer_says(struct scene *scene)
{
	struct buf *output = tls_output(scene->peer);

	assert_int_equal(send(scene->fd, output->p, output->n, MSG_NOSIGNAL),
			 output->n);
	buf_reset(output);
}

/* Some of what has come; false at the end of the stream. */
static bool
peer_hears(struct scene *scene, bool *stands)
{
	uint8_t room[65536];
	ssize_t n = recv(scene->fd, room, sizeof(room), MSG_DONTWAIT);
	struct span in, plain;

	if (n < 0) {
		assert_int_equal(errno, EAGAIN);
		return true;
	}
	in = span_make(room, (size_t)n);
	if (!*stands)
		*stands = tls_handshake(scene->peer, &in) == TLS_DONE;
	if (!*stands)
		return true;
	while ((scene->ended = tls_read(scene->peer, &in, &plain)) == TLS_DONE)
		assert_true(buf_append(&scene->got, plain));
	return n > 0;
}

static void
scene_make(struct scene *scene)
{
	static const char *const name[] = { "mx.example" };
	struct tls_client_setup setup = { 0 };
	struct span none = SPAN_NONE;
	struct buf output, faults;
	bool stands = false;
	int pair[2];

	*scene = (struct scene){ 0 };
	ring_scene_make(&scene->ring);
	buf_init(&scene->got, 1 << 20);
	buf_init(&faults, 4096);
	buf_init(&output, 4096);
	scene->server = certificates_server(&certificates, name, 1, TLS_1_2);
	scene->client = tls_client_new(&setup, &faults);
	scene->peer = tls_connect(scene->client, SPAN_NONE);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	scene->fd = pair[1];
	conn_init(&scene->conn, scene->ring.ring, &scene->ring.timers, &events);
	conn_open(&scene->conn, pair[0]);
	conn_secure(&scene->conn, &output, tls_accept(scene->server));
	tls_handshake(scene->peer, &none);
	while (!stands || scene->secured == 0) {
		peer_says(scene);
		ring_scene_turn(&scene->ring, 1000);
		assert_true(peer_hears(scene, &stands));
	}
	/* Tickets. */
	ring_scene_until(&scene->ring, &scene->sent, 1);
	while (conn_is_sending(&scene->conn))
		ring_scene_turn(&scene->ring, 1000);
	buf_fini(&faults);
}

/* All until the conn is released. */
static void
scene_end(struct scene *scene)
{
	bool stands = true;

	conn_close(&scene->conn, NULL);
	while (peer_hears(scene, &stands))
		ring_scene_turn(&scene->ring, 1000);
	close(scene->fd);
	ring_scene_until(&scene->ring, &scene->released, 1);
	assert_null(scene->ring.timers.first);
	ring_scene_end(&scene->ring);
	tls_free(scene->peer);
	tls_server_free(scene->server);
	tls_client_free(scene->client);
	buf_fini(&scene->got);
}

static void
send_too_much(struct scene *scene)
{
	struct buf output;

	buf_init(&output, TOO_MUCH);
	while (output.n < TOO_MUCH)
		buf_append_octet(&output, 'x');
	conn_send(&scene->conn, &output);
	assert_int_equal(output.n, 0);
	buf_fini(&output);
}

/* As a body that is cut off, never as one that is whole: the records that
 * found room go out, no octet of the last one, and no end of TLS. */
static void
what_finds_no_room_ends_it(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	send_too_much(&scene);
	assert_int_equal(scene.closed, 0); /* not from within the call */
	ring_scene_until(&scene.ring, &scene.closed, 1);
	assert_int_equal(scene.error, -EPROTO);
	assert_string_equal(conn_failure(&scene.conn),
			    "nothing can be written");
	scene_end(&scene);
	assert_int_equal(scene.closed, 1);
	assert_true(scene.got.n < TOO_MUCH);
	assert_int_equal(scene.got.n % 16384, 0);
	assert_int_equal(scene.ended, TLS_MORE);
}

/* The owner was told of the end already: not again, but that it may go on. */
static void
it_is_dropped_for_a_half_closed_peer(void **state)
{
	struct scene scene;
	unsigned before;

	(void)state;
	scene_make(&scene);
	shutdown(scene.fd, SHUT_WR);
	conn_want(&scene.conn, true);
	ring_scene_until(&scene.ring, &scene.closed, 1);
	assert_int_equal(scene.error, 0);
	before = scene.sent;
	send_too_much(&scene);
	assert_int_equal(scene.sent, before); /* not from within the call */
	ring_scene_until(&scene.ring, &scene.sent, before + 1);
	assert_int_equal(scene.closed, 1);
	scene_end(&scene);
	assert_true(scene.got.n < TOO_MUCH);
	assert_int_equal(scene.ended, TLS_MORE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_finds_no_room_ends_it),
		cmocka_unit_test(it_is_dropped_for_a_half_closed_peer),
	};
	int failed;

	certificates_make(&certificates);
	certificates_issue(&certificates, "mx.example");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	certificates_remove(&certificates);
	return failed;
}
