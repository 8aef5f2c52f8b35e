/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/door.h"

#include "proxy/owner.h"
#include "tests/unit/ring_scene.h"
#include "tests/unit/silence.h"

#include <errno.h>

#include "tests/unit/loopback.h"

#define V1 "PROXY TCP4 192.0.2.7 203.0.113.1 4711 25\r\n"

struct scene {
	struct ring_scene ring;
	struct doors doors;
	struct conf conf;
	struct conf_listener listener;
	struct ip_network proxies;
	int client;
	unsigned entered, changed;
	bool takes_none;
	size_t session_count;
	int fd;
	struct session_peer peer;
	struct buf octets;
	int stderr_kept;
};

static bool
enter(struct doors *doors, int fd, struct session_peer *peer,
      struct span octets)
{
	struct scene *scene = OWNER(doors, struct scene, doors);

	if (scene->takes_none)
		return false;
	scene->entered++;
	scene->fd = fd;
	scene->peer = *peer;
	assert_true(buf_append(&scene->octets, octets));
	return true;
}

static size_t
sessions(struct doors *doors)
{
	return OWNER(doors, struct scene, doors)->session_count;
}

static void
changed(struct doors *doors)
{
	OWNER(doors, struct scene, doors)->changed++;
}

static void
scene_make(struct scene *scene)
{
	*scene = (struct scene){ .fd = -1, .client = -1 };
	ring_scene_make(&scene->ring);
	scene->stderr_kept = silence_start();
	buf_init(&scene->octets, 100000);
	assert_true(ip_network_parse(SPAN_LIT("127.0.0.0/8"), &scene->proxies));
	scene->doors = (struct doors){
		.ring = scene->ring.ring,
		.timers = &scene->ring.timers,
		.conf = &scene->conf,
		.header_us_max = 300000,
		.connections_max = 100,
		.limit = limit_new(1, 100),
		.enter = enter,
		.sessions = sessions,
		.changed = changed,
	};
}

static void
scene_end(struct scene *scene)
{
	assert_int_equal(scene->doors.count, 0);
	if (scene->fd >= 0)
		close(scene->fd);
	if (scene->client >= 0)
		close(scene->client);
	assert_null(scene->ring.timers.first);
	ring_scene_end(&scene->ring);
	limit_free(scene->doors.limit);
	buf_fini(&scene->octets);
	silence_end(scene->stderr_kept);
}

/* A client comes; the peer is a listed proxy or not. */
static void
come(struct scene *scene, bool is_proxy)
{
	struct ip ip;
	uint16_t port;
	int accepted;

	if (is_proxy)
		scene->listener.proxy_from =
			(struct conf_networks){ &scene->proxies, 1 };
	scene->client = loopback_pair(&accepted, &ip, &port);
	door_open(&scene->doors, accepted, &scene->listener, &ip, port);
}

static void
without_listed_proxies_everybody_enters_at_once(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	come(&scene, false);
	assert_int_equal(scene.entered, 1);
	assert_true(ip_is_loopback(&scene.peer.ip));
	assert_true(scene.peer.port != 0);
	assert_true(ip_is_loopback(&scene.peer.local_ip));
	assert_false(scene.peer.is_proxied);
	assert_ptr_equal(scene.peer.listener, &scene.listener);
	scene_end(&scene);
}

static void
assert_is_the_proxied_client(const struct scene *scene)
{
	char text[ENDPOINT_TEXT_MAX];

	endpoint_format(&scene->peer.ip, scene->peer.port, text);
	assert_string_equal(text, "192.0.2.7:4711");
	endpoint_format(&scene->peer.local_ip, scene->peer.local_port, text);
	assert_string_equal(text, "203.0.113.1:25");
	assert_true(scene->peer.is_proxied);
}

/* In pieces, and with the client's first octets behind it. */
static void
a_header_says_who_the_client_is(void **state)
{
	struct span header = SPAN_LIT(V1);

	(void)state;
	for (size_t cut = 1; cut <= header.n; cut += 7) {
		struct scene scene;

		scene_make(&scene);
		come(&scene, true);
		peer_write(scene.client, span_first(header, cut));
		ring_scene_for(&scene.ring, 2000);
		if (cut < header.n)
			assert_int_equal(scene.entered, 0);
		peer_write(scene.client, span_after(header, cut));
		peer_write(scene.client, SPAN_LIT("EHLO x\r\n"));
		ring_scene_until(&scene.ring, &scene.entered, 1);
		assert_is_the_proxied_client(&scene);
		ring_scene_for(&scene.ring, 2000);
		assert_true(scene.octets.n == 0 ||
			    span_equal(buf_span(&scene.octets),
				       SPAN_LIT("EHLO x\r\n")));
		scene_end(&scene);
	}
}

static void
octets_behind_the_header_are_handed_on(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	come(&scene, true);
	peer_write(scene.client, SPAN_LIT(V1 "EHLO x\r\n"));
	ring_scene_until(&scene.ring, &scene.entered, 1);
	assert_true(
		span_equal(buf_span(&scene.octets), SPAN_LIT("EHLO x\r\n")));
	ring_scene_until(&scene.ring, &scene.changed, 1);
	scene_end(&scene);
}

static void
a_proxy_that_speaks_for_itself_is_nobody(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	come(&scene, true);
	peer_write(scene.client, SPAN_LIT("PROXY UNKNOWN\r\n"));
	ring_scene_until(&scene.ring, &scene.entered, 1);
	assert_int_equal(scene.peer.ip.family, IP_NONE);
	assert_true(scene.peer.is_proxied);
	ring_scene_until(&scene.ring, &scene.changed, 1);
	scene_end(&scene);
}

static void
ends_without_a_word(struct scene *scene)
{
	struct buf got;

	buf_init(&got, 1000);
	ring_scene_until(&scene->ring, &scene->changed, 1);
	while (peer_read(scene->client, &got))
		ring_scene_turn(&scene->ring, 1000);
	assert_int_equal(got.n, 0);
	assert_int_equal(scene->entered, 0);
}

/* EHLO from a listed proxy: whoever that is, it is nobody we know. */
static void
what_is_no_header_is_closed_without_a_word(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	come(&scene, true);
	peer_write(scene.client, SPAN_LIT("EHLO mx.example\r\n"));
	ends_without_a_word(&scene);
	scene_end(&scene);
}

static void
a_header_that_does_not_come_is_not_waited_for(void **state)
{
	struct scene scene;
	uint64_t start_us = clock_monotonic_us();

	(void)state;
	scene_make(&scene);
	come(&scene, true);
	peer_write(scene.client, SPAN_LIT("PROXY TCP4 "));
	ends_without_a_word(&scene);
	assert_in_range(clock_monotonic_us() - start_us, 250000, 1000000);
	scene_end(&scene);
}

static void
is_told(struct scene *scene, const char *reply)
{
	struct buf got;

	buf_init(&got, 1000);
	while (peer_read(scene->client, &got))
		ring_scene_turn(&scene->ring, 1000);
	assert_true(span_starts(buf_span(&got), span_cstr(reply)));
	assert_int_equal(buf_span(&got).p[got.n - 1], '\n');
	buf_fini(&got);
	close(scene->client);
	scene->client = -1;
	ring_scene_until(&scene->ring, &scene->changed, 1);
	assert_int_equal(scene->entered, 0);
}

static void
too_many_sessions_are_told_421(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	scene.session_count = 100;
	come(&scene, false);
	is_told(&scene, "421 4.3.2 ");
	scene_end(&scene);
}

/* One is there already. */
static void
count_in(struct scene *scene, const struct ip *ip)
{
	const struct limit_bounds none = { 0 };

	assert_int_equal(limit_enter(scene->doors.limit, 0, ip, &none),
			 LIMIT_TAKEN);
}

static void
let_out(struct scene *scene)
{
	assert_int_equal(scene->entered, 1);
	close(scene->client);
	close(scene->fd);
	scene->entered = scene->changed = 0;
	scene->fd = scene->client = -1;
}

static void
too_many_of_all_workers_are_told_421(void **state)
{
	struct scene scene;
	struct ip ip;

	(void)state;
	scene_make(&scene);
	scene.conf.connections_total_max = 2;
	assert_true(ip_parse(SPAN_LIT("198.51.100.1"), &ip));
	count_in(&scene, &ip);
	come(&scene, false);
	let_out(&scene);
	come(&scene, false);
	is_told(&scene, "421 4.3.2 ");
	assert_int_equal(limit_total(scene.doors.limit), 2);
	scene_end(&scene);
}

static void
too_many_of_one_network_are_told_421(void **state)
{
	struct scene scene;
	struct ip ip;

	(void)state;
	scene_make(&scene);
	scene.conf.limits_loopback = true;
	scene.conf.connections_per_network_max = 1;
	assert_true(ip_parse(SPAN_LIT("127.0.0.9"), &ip));
	count_in(&scene, &ip);
	come(&scene, false);
	is_told(&scene, "421 4.7.0 ");
	scene_end(&scene);
}

static void
who_comes_too_often_is_told_421(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	scene.conf.limits_loopback = true;
	scene.conf.connection_rate = (struct conf_rate){ 2, 3600000000 };
	for (int i = 0; i < 2; i++) {
		come(&scene, false);
		let_out(&scene);
	}
	come(&scene, false);
	is_told(&scene, "421 4.7.0 ");
	scene_end(&scene);
}

static void
exempt_networks_have_no_bound_of_their_own(void **state)
{
	struct scene scene;
	struct ip ip;

	(void)state;
	scene_make(&scene);
	scene.conf.limits_loopback = true;
	scene.conf.connections_per_address_max = 1;
	scene.conf.connection_rate = (struct conf_rate){ 1, 3600000000 };
	scene.conf.exempt = (struct conf_networks){ &scene.proxies, 1 };
	assert_true(ip_parse(SPAN_LIT("127.0.0.1"), &ip));
	count_in(&scene, &ip);
	for (int i = 0; i < 2; i++) {
		come(&scene, false);
		let_out(&scene);
	}
	scene.conf.exempt.count = 0;
	scene.conf.connection_rate.count = 0;
	come(&scene, false);
	is_told(&scene, "421 4.7.0 ");
	scene_end(&scene);
}

static void
without_memory_to_spare_nobody_enters(void **state)
{
	bool is_full = true;
	struct scene scene;

	(void)state;
	scene_make(&scene);
	scene.doors.is_memory_full = &is_full;
	come(&scene, false);
	is_told(&scene, "421 4.3.2 ");
	is_full = false;
	come(&scene, false);
	assert_int_equal(scene.entered, 1);
	scene_end(&scene);
}

/* The limit is that of the client that the header names. */
static void
too_many_of_one_address_are_told_421(void **state)
{
	struct scene scene;
	struct ip ip;

	(void)state;
	scene_make(&scene);
	scene.conf.connections_per_address_max = 2;
	assert_true(ip_parse(SPAN_LIT("192.0.2.7"), &ip));
	count_in(&scene, &ip);
	come(&scene, true);
	peer_write(scene.client, SPAN_LIT(V1));
	ring_scene_until(&scene.ring, &scene.changed, 1);
	assert_int_equal(scene.entered, 1);
	assert_int_equal(limit_count(scene.doors.limit, &ip), 2);
	close(scene.client);
	close(scene.fd);
	scene.entered = scene.changed = 0;
	scene.fd = -1;
	come(&scene, true);
	peer_write(scene.client, SPAN_LIT(V1));
	ring_scene_until(&scene.ring, &scene.changed, 1);
	scene.changed = 0;
	is_told(&scene, "421 4.7.0 ");
	assert_int_equal(limit_count(scene.doors.limit, &ip), 2);
	scene_end(&scene);
}

static void
loopback_is_not_limited_unless_asked_for(void **state)
{
	struct scene scene;
	struct ip ip;

	(void)state;
	scene_make(&scene);
	scene.conf.connections_per_address_max = 1;
	assert_true(ip_parse(SPAN_LIT("127.0.0.1"), &ip));
	count_in(&scene, &ip);
	come(&scene, false);
	assert_int_equal(scene.entered, 1);
	close(scene.client);
	close(scene.fd);
	scene.entered = 0;
	scene.fd = -1;
	scene.conf.limits_loopback = true;
	come(&scene, false);
	is_told(&scene, "421 4.7.0 ");
	scene_end(&scene);
}

/* Without memory for a session: told, and not counted any more. */
static void
who_is_not_taken_is_told_and_not_counted(void **state)
{
	struct scene scene;
	struct ip ip;

	(void)state;
	scene_make(&scene);
	scene.conf.connections_per_address_max = 1;
	scene.conf.limits_loopback = true;
	scene.takes_none = true;
	come(&scene, false);
	is_told(&scene, "421 4.3.0 ");
	assert_true(ip_parse(SPAN_LIT("127.0.0.1"), &ip));
	assert_int_equal(limit_count(scene.doors.limit, &ip), 0);
	scene_end(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			without_listed_proxies_everybody_enters_at_once),
		cmocka_unit_test(a_header_says_who_the_client_is),
		cmocka_unit_test(octets_behind_the_header_are_handed_on),
		cmocka_unit_test(a_proxy_that_speaks_for_itself_is_nobody),
		cmocka_unit_test(what_is_no_header_is_closed_without_a_word),
		cmocka_unit_test(a_header_that_does_not_come_is_not_waited_for),
		cmocka_unit_test(too_many_sessions_are_told_421),
		cmocka_unit_test(too_many_of_all_workers_are_told_421),
		cmocka_unit_test(too_many_of_one_network_are_told_421),
		cmocka_unit_test(who_comes_too_often_is_told_421),
		cmocka_unit_test(exempt_networks_have_no_bound_of_their_own),
		cmocka_unit_test(without_memory_to_spare_nobody_enters),
		cmocka_unit_test(too_many_of_one_address_are_told_421),
		cmocka_unit_test(loopback_is_not_limited_unless_asked_for),
		cmocka_unit_test(who_is_not_taken_is_told_and_not_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
