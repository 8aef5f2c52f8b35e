/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/probe.h"

#include "proxy/endpoint.h"
#include "smtp/proxyhdr.h"
#include "tests/unit/ring_scene.h"
#include "tests/unit/silence.h"

#include <errno.h>
#include <poll.h>
#include <sys/resource.h>

#include "tests/unit/loopback.h"

/* One backend with up to two addresses, both played by the test. */
struct scene {
	struct ring_scene ring;
	struct conf conf;
	struct conf_backend backend;
	struct conf_address addresses[2];
	struct upstream upstream;
	struct keyring keyring;
	struct ehlo probed;
	struct probes *probes;
	int servers[2];
	int peer;
	unsigned asked;
	struct buf got;
	int stderr_kept;
};

static void
on_first(void *owner)
{
	((struct scene *)owner)->asked++;
}

static void
scene_make(struct scene *scene, enum conf_identity identity)
{
	*scene = (struct scene){ .peer = -1 };
	ring_scene_make(&scene->ring);
	scene->stderr_kept = silence_start();
	buf_init(&scene->got, 10000);
	for (size_t i = 0; i < 2; i++)
		scene->servers[i] =
			loopback_listen(&scene->addresses[i].at.ip,
					&scene->addresses[i].at.port);
	scene->backend = (struct conf_backend){
		.name = SPAN_LIT("mta"),
		.addresses = scene->addresses,
		.address_count = 2,
		.identity = identity,
		.connect_us_max = 300000,
		.reply_us_max = 300000,
		.retry_us = 1000000,
		.probe_us = 60000000,
	};
	scene->conf.hostname = SPAN_LIT("gate.example");
	scene->conf.backends = &scene->backend;
	scene->conf.backend_count = 1;
	upstream_init(&scene->upstream, &scene->backend);
	scene->probes = probes_new(
		&(struct probes_host){
			.ring = scene->ring.ring,
			.timers = &scene->ring.timers,
			.conf = &scene->conf,
			.keyring = &scene->keyring,
			.upstreams = &scene->upstream,
			.probed = &scene->probed,
		},
		on_first, scene);
	assert_non_null(scene->probes);
}

static void
scene_end(struct scene *scene)
{
	probes_stop(scene->probes);
	while (!probes_are_idle(scene->probes))
		ring_scene_turn(&scene->ring, 1000);
	assert_null(scene->ring.timers.first);
	ring_scene_end(&scene->ring);
	probes_free(scene->probes);
	keyring_close(&scene->keyring);
	for (size_t i = 0; i < 2; i++)
		close(scene->servers[i]);
	if (scene->peer >= 0)
		close(scene->peer);
	buf_fini(&scene->got);
	silence_end(scene->stderr_kept);
}

static void
server_takes(struct scene *scene, size_t server)
{
	struct pollfd awaited = { scene->servers[server], POLLIN, 0 };

	for (int i = 0; poll(&awaited, 1, 0) == 0; i++) {
		assert_true(i < 1000);
		ring_scene_turn(&scene->ring, 10000);
	}
	scene->peer = accept4(awaited.fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(scene->peer >= 0);
}

static void
server_gets(struct scene *scene, struct span wanted)
{
	uint64_t end_us = clock_monotonic_us() + 5000000;

	buf_reset(&scene->got);
	while (scene->got.n < wanted.n) {
		assert_true(clock_monotonic_us() < end_us);
		assert_true(peer_read(scene->peer, &scene->got));
		ring_scene_turn(&scene->ring, 1000);
	}
	assert_true(span_equal(buf_span(&scene->got), wanted));
}

static void
server_says(struct scene *scene, const char *reply)
{
	peer_write(scene->peer, span_cstr(reply));
}

static void
a_backend_is_asked_and_its_keywords_are_kept(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene, IDENTITY_XCLIENT);
	scene.upstream.count = 1;
	server_takes(&scene, 0);
	server_says(&scene, "220-hello\r\n220 mta\r\n");
	server_gets(&scene, SPAN_LIT("EHLO gate.example\r\n"));
	server_says(&scene, "250-mta\r\n250-SIZE 1000\r\n250 8BITMIME\r\n");
	server_gets(&scene, SPAN_LIT("QUIT\r\n"));
	ring_scene_until(&scene.ring, &scene.asked, 1);
	assert_int_equal(scene.probed.extensions,
			 EXTENSION_BIT(EXTENSION_SIZE) |
				 EXTENSION_BIT(EXTENSION_8BITMIME));
	assert_int_equal(scene.probed.size_max, 1000);
	scene_end(&scene);
}

/* The probe is the gate's own, and so are the addresses it names: UNKNOWN is
 * refused by some. */
static void
server_gets_own_addresses(struct scene *scene)
{
	union endpoint peer = { 0 };
	socklen_t length = sizeof(peer);
	struct buf wanted;
	struct ip ip;
	uint16_t port;

	assert_int_equal(getpeername(scene->peer, &peer.any, &length), 0);
	endpoint_read(&peer, &ip, &port);
	buf_init(&wanted, PROXYHDR_V1_MAX);
	buf_printf(&wanted, "PROXY TCP4 127.0.0.1 127.0.0.1 %u %u\r\n", port,
		   scene->addresses[0].at.port);
	server_gets(scene, buf_span(&wanted));
	buf_fini(&wanted);
}

static void
a_backend_that_wants_proxy_gets_it(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene, IDENTITY_PROXY_V1);
	server_takes(&scene, 0);
	server_gets_own_addresses(&scene);
	server_says(&scene, "220 mta\r\n");
	server_gets(&scene, SPAN_LIT("EHLO gate.example\r\n"));
	scene_end(&scene);

	scene_make(&scene, IDENTITY_PROXY_V2);
	server_takes(&scene, 0);
	server_gets(&scene, SPAN_LIT("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"));
	scene_end(&scene);
}

static void
an_old_server_offers_nothing_and_works(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene, IDENTITY_NONE);
	scene.probed.extensions = 7;
	scene.upstream.count = 1;
	server_takes(&scene, 0);
	server_says(&scene, "220 mta\r\n");
	server_gets(&scene, SPAN_LIT("EHLO gate.example\r\n"));
	server_says(&scene, "502 what?\r\n");
	server_gets(&scene, SPAN_LIT("QUIT\r\n"));
	ring_scene_until(&scene.ring, &scene.asked, 1);
	assert_int_equal(scene.probed.extensions, 0);
	scene_end(&scene);
}

/* Each way to fail leads to the next address; all but silence at once. */
static void
fail_by(struct scene *scene, const char *banner, bool is_silence)
{
	uint64_t start_us = clock_monotonic_us();
	int first;

	scene_make(scene, IDENTITY_NONE);
	server_takes(scene, 0);
	if (banner != NULL)
		server_says(scene, banner);
	else
		close(scene->peer);
	first = scene->peer;
	server_takes(scene, 1);
	assert_int_equal(clock_monotonic_us() - start_us > 250000, is_silence);
	if (banner != NULL)
		close(first);
	server_says(scene, "220 second\r\n");
	server_gets(scene, SPAN_LIT("EHLO gate.example\r\n"));
	server_says(scene, "250 SIZE 7\r\n");
	server_gets(scene, SPAN_LIT("QUIT\r\n"));
	ring_scene_until(&scene->ring, &scene->asked, 1);
	assert_int_equal(scene->upstream.targets[0].failures, 1);
	assert_int_equal(scene->upstream.targets[1].failures, 0);
	scene_end(scene);
}

static void
the_next_address_is_tried(void **state)
{
	static const char *const banners[] = {
		NULL, /* closes */
		"554 no\r\n",
		"220 bare\n",
		"220 first\r\n250 out of turn\r\n",
		"220-never ends\r\n",
	};
	struct scene scene;

	(void)state;
	for (size_t i = 0; i < sizeof(banners) / sizeof(banners[0]); i++)
		fail_by(&scene, banners[i],
			banners[i] != NULL && banners[i][3] == '-');
}

/* Both down: told as asked all the same, then again at once, then later. What
 * it offered last stays. */
static void
a_backend_that_is_down_is_tried_again(void **state)
{
	struct scene scene;
	uint64_t start_us;

	(void)state;
	scene_make(&scene, IDENTITY_NONE);
	scene.probed.extensions = 7;
	scene.upstream.targets[0].port = scene.upstream.targets[1].port = 1;
	ring_scene_until(&scene.ring, &scene.asked, 1);
	assert_int_equal(scene.probed.extensions, 7);
	ring_scene_for(&scene.ring, 50000); /* the second failure */
	start_us = clock_monotonic_us();
	assert_in_range(timers_next(&scene.ring.timers) - start_us, 800000,
			1100000);
	ring_scene_for(&scene.ring, 1050000); /* the third */
	start_us = clock_monotonic_us();
	assert_in_range(timers_next(&scene.ring.timers) - start_us, 1800000,
			2100000);
	scene_end(&scene);
}

/* Where there is no socket for one, there may be for another. */
static void
each_is_asked_also_where_there_is_no_socket(void **state)
{
	struct rlimit files, none;
	struct scene scene;

	(void)state;
	scene_make(&scene, IDENTITY_NONE);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	none = (struct rlimit){ 0, files.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	ring_scene_until(&scene.ring, &scene.asked, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	assert_int_equal(scene.upstream.targets[0].failures, 1);
	assert_int_equal(scene.upstream.targets[1].failures, 1);
	scene_end(&scene);
}

static void
server_answers(struct scene *scene)
{
	server_says(scene, "220 mta\r\n");
	server_gets(scene, SPAN_LIT("EHLO gate.example\r\n"));
	server_says(scene, "250 mta\r\n");
	server_gets(scene, SPAN_LIT("QUIT\r\n"));
	close(scene->peer);
	scene->peer = -1;
}

/* What is new may stand where this round has been. */
static void
other_targets_are_asked_behind_the_round_under_way(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene, IDENTITY_NONE);
	scene.upstream.count = 1;
	server_takes(&scene, 0);
	scene.upstream.targets[0] = scene.upstream.targets[1];
	probes_hurry(scene.probes, 0);
	server_answers(&scene);
	server_takes(&scene, 1);
	server_answers(&scene);
	ring_scene_for(&scene.ring, 50000);
	/* And that was all. */
	assert_true(timers_next(&scene.ring.timers) >
		    clock_monotonic_us() + scene.backend.probe_us / 2);
	scene_end(&scene);
}

/* One that says it has TLS, and has none. */
static void
server_fails_at_tls(struct scene *scene, enum conf_tls tls, size_t server)
{
	if (scene->keyring.clients == NULL) {
		scene->backend.tls = tls;
		assert_true(keyring_open(&scene->keyring, &scene->conf,
					 &scene->got));
	}
	server_takes(scene, server);
	server_says(scene, "220 mta\r\n");
	server_gets(scene, SPAN_LIT("EHLO gate.example\r\n"));
	server_says(scene, "250-mta\r\n250-8BITMIME\r\n250 STARTTLS\r\n");
	server_gets(scene, SPAN_LIT("STARTTLS\r\n"));
	server_says(scene, "220 go\r\n");
	/* Its ClientHello. */
	buf_reset(&scene->got);
	for (int i = 0; scene->got.n == 0; i++) {
		assert_true(i < 1000);
		assert_true(peer_read(scene->peer, &scene->got));
		ring_scene_turn(&scene->ring, 10000);
	}
	server_says(scene, "500 what is this?\r\n");
}

/* As its sessions are. */
static void
a_backend_whose_tls_fails_is_used_in_plain(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene, IDENTITY_XCLIENT);
	server_fails_at_tls(&scene, CONF_TLS_OPPORTUNISTIC, 0);
	for (int i = 0; scene.asked == 0; i++) {
		assert_true(i < 1000);
		ring_scene_turn(&scene.ring, 10000);
	}
	assert_true((scene.probed.extensions &
		     EXTENSION_BIT(EXTENSION_8BITMIME)) != 0);
	scene_end(&scene);
}

static void
a_backend_whose_tls_must_not_fail_offers_nothing(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene, IDENTITY_XCLIENT);
	server_fails_at_tls(&scene, CONF_TLS_REQUIRED, 0);
	close(scene.peer);
	server_fails_at_tls(&scene, CONF_TLS_REQUIRED, 1);
	for (int i = 0; scene.asked == 0; i++) {
		assert_true(i < 1000);
		ring_scene_turn(&scene.ring, 10000);
	}
	assert_int_equal(scene.probed.extensions, 0);
	scene_end(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backend_is_asked_and_its_keywords_are_kept),
		cmocka_unit_test(a_backend_that_wants_proxy_gets_it),
		cmocka_unit_test(an_old_server_offers_nothing_and_works),
		cmocka_unit_test(the_next_address_is_tried),
		cmocka_unit_test(a_backend_that_is_down_is_tried_again),
		cmocka_unit_test(each_is_asked_also_where_there_is_no_socket),
		cmocka_unit_test(
			other_targets_are_asked_behind_the_round_under_way),
		cmocka_unit_test(a_backend_whose_tls_fails_is_used_in_plain),
		cmocka_unit_test(
			a_backend_whose_tls_must_not_fail_offers_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
