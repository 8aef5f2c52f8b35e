/* SPDX-License-Identifier: BSD-2-Clause */
/* The host name of a backend: what it stands for, and what becomes of that
 * when DNS says otherwise, or nothing. */
#include "proxy/hostnames.h"

#include "tests/unit/dns_server.h"
#include "tests/unit/ring_scene.h"
#include "tests/unit/silence.h"

/* What the name server says of mta.example: 192.0.2.N and 2001:db8::N; of 0
 * nothing. */
static atomic_uint v4_last, v6_last;
static atomic_uint v4_ttl_s, v6_ttl_s;
static atomic_bool has_v4_failed, has_v6_failed;

static void
answer(const struct dns_question *question, struct buf *out)
{
	bool is_v4 = question->type == DNS_A;
	unsigned last = atomic_load(is_v4 ? &v4_last : &v6_last);
	uint32_t ttl_s = atomic_load(is_v4 ? &v4_ttl_s : &v6_ttl_s);
	bool fails = atomic_load(is_v4 ? &has_v4_failed : &has_v6_failed);
	uint8_t v4[4] = { 192, 0, 2, (uint8_t)last };
	uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)last };

	dns_begin(out, question->id, DNS_QR | DNS_RA | (fails ? 2 : 0),
		  question->name, question->type);
	if (fails)
		return;
	if (last == 0)
		dns_soa(out, "example", 60, 60);
	else
		dns_record(out, DNS_ANSWER, question->name, question->type,
			   ttl_s,
			   is_v4 ? span_make(v4, sizeof v4)
				 : span_make(v6, sizeof v6));
}

/* One backend, given by its name. */
struct scene {
	struct ring_scene ring;
	struct dns_server server;
	struct conf_endpoint endpoint;
	struct conf_address address;
	struct conf_backend backend;
	struct conf conf;
	struct upstream upstream;
	struct resolver *resolver;
	struct hostnames *hostnames;
	unsigned changes;
	int stderr_kept;
};

static void
on_change(void *owner, size_t backend)
{
	assert_int_equal(backend, 0);
	((struct scene *)owner)->changes++;
}

static void
dns_has(unsigned v4, unsigned v6)
{
	atomic_store(&v4_last, v4);
	atomic_store(&v6_last, v6);
	atomic_store(&v4_ttl_s, 1);
	atomic_store(&v6_ttl_s, 1);
	atomic_store(&has_v4_failed, false);
	atomic_store(&has_v6_failed, false);
}

static void
scene_make(struct scene *scene)
{
	struct buf faults;

	*scene = (struct scene){ 0 };
	buf_init(&faults, 1000);
	ring_scene_make(&scene->ring);
	scene->stderr_kept = silence_start();
	dns_server_start(&scene->server, answer);
	assert_true(ip_parse(SPAN_LIT("127.0.0.1"), &scene->endpoint.ip));
	scene->endpoint.port = scene->server.port;
	scene->address.host = SPAN_LIT("mta.example");
	scene->address.at.port = 25;
	scene->backend.name = SPAN_LIT("mta");
	scene->backend.addresses = &scene->address;
	scene->backend.address_count = 1;
	scene->conf.backends = &scene->backend;
	scene->conf.backend_count = 1;
	scene->conf.resolvers = &scene->endpoint;
	scene->conf.resolver_count = 1;
	scene->conf.dns_us_max = 1000000;
	scene->conf.dns_tries = 1;
	scene->conf.dns_cache_octets = 1 << 20;
	scene->conf.dns_ttl_us_max = 3600000000u;
	upstream_init(&scene->upstream, &scene->backend);
	scene->resolver = resolver_new(scene->ring.ring, &scene->ring.timers,
				       &scene->conf, NULL, &faults);
	assert_non_null(scene->resolver);
	scene->hostnames =
		hostnames_new(scene->resolver, &scene->ring.timers,
			      &scene->conf, &scene->upstream, on_change, scene);
	assert_non_null(scene->hostnames);
}

static void
scene_end(struct scene *scene)
{
	hostnames_free(scene->hostnames);
	resolver_free(scene->resolver);
	assert_null(scene->ring.timers.first);
	ring_scene_end(&scene->ring);
	dns_server_stop(&scene->server);
	silence_end(scene->stderr_kept);
}

/* The targets, by the last octets of their addresses; 0: of no such family. */
static void
assert_targets(const struct scene *scene, unsigned v4, unsigned v6)
{
	const struct upstream_target *target = scene->upstream.targets;

	assert_int_equal(scene->upstream.count, (v4 > 0) + (v6 > 0));
	if (v4 > 0) {
		assert_int_equal(target->ip.family, IP_V4);
		assert_int_equal(target->ip.octets[3], v4);
		assert_int_equal(target->port, 25);
		target++;
	}
	if (v6 > 0) {
		assert_int_equal(target->ip.family, IP_V6);
		assert_int_equal(target->ip.octets[15], v6);
	}
}

static void
wait_for_change(struct scene *scene, unsigned count)
{
	ring_scene_until(&scene->ring, &scene->changes, count);
	assert_int_equal(scene->changes, count);
}

/* Questions that the name server has had, once there are so many. */
static void
wait_for_questions(struct scene *scene, unsigned count)
{
	uint64_t end_us = clock_monotonic_us() + 10000000;

	while (atomic_load(&scene->server.udp_count) < count) {
		assert_true(clock_monotonic_us() < end_us);
		ring_scene_turn(&scene->ring, 10000);
	}
	ring_scene_for(&scene->ring, 50000); /* and their answers */
}

static void
both_families_are_targets(void **state)
{
	struct scene scene;

	(void)state;
	dns_has(1, 6);
	scene_make(&scene);
	wait_for_change(&scene, 1);
	assert_targets(&scene, 1, 6);
	scene_end(&scene);
}

/* The shorter of the two, and not before it is over. */
static void
a_name_is_looked_up_again_after_its_ttl(void **state)
{
	uint64_t start_us = clock_monotonic_us();
	struct scene scene;

	(void)state;
	dns_has(1, 6);
	atomic_store(&v4_ttl_s, 300);
	scene_make(&scene);
	wait_for_change(&scene, 1);
	dns_has(2, 7);
	wait_for_change(&scene, 2);
	assert_true(clock_monotonic_us() - start_us >= 1000000);
	assert_targets(&scene, 1, 7);
	scene_end(&scene);
}

static void
what_has_not_changed_is_no_change(void **state)
{
	struct scene scene;

	(void)state;
	dns_has(1, 0);
	scene_make(&scene);
	wait_for_questions(&scene, 4);
	assert_int_equal(scene.changes, 1);
	assert_targets(&scene, 1, 0);
	scene_end(&scene);
}

static void
a_name_without_an_address_keeps_the_last_ones(void **state)
{
	struct scene scene;

	(void)state;
	dns_has(1, 6);
	scene_make(&scene);
	wait_for_change(&scene, 1);
	dns_has(0, 0);
	wait_for_questions(&scene, 4);
	assert_int_equal(scene.changes, 1);
	assert_targets(&scene, 1, 6);
	scene_end(&scene);
}

/* There are name servers that know A and fail at AAAA, for ever. */
static void
a_failure_of_one_family_is_none_of_the_other(void **state)
{
	struct scene scene;

	(void)state;
	dns_has(1, 0);
	atomic_store(&has_v6_failed, true);
	scene_make(&scene);
	wait_for_change(&scene, 1);
	assert_targets(&scene, 1, 0);
	scene_end(&scene);

	dns_has(1, 6);
	scene_make(&scene);
	wait_for_change(&scene, 1);
	atomic_store(&has_v6_failed, true);
	atomic_store(&v4_last, 2);
	wait_for_change(&scene, 2);
	assert_targets(&scene, 2, 6);
	scene_end(&scene);
}

static void
a_failure_of_both_keeps_all(void **state)
{
	struct scene scene;

	(void)state;
	dns_has(1, 6);
	scene_make(&scene);
	wait_for_change(&scene, 1);
	atomic_store(&has_v4_failed, true);
	atomic_store(&has_v6_failed, true);
	wait_for_questions(&scene, 4);
	assert_int_equal(scene.changes, 1);
	assert_targets(&scene, 1, 6);
	scene_end(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_families_are_targets),
		cmocka_unit_test(a_name_is_looked_up_again_after_its_ttl),
		cmocka_unit_test(what_has_not_changed_is_no_change),
		cmocka_unit_test(a_name_without_an_address_keeps_the_last_ones),
		cmocka_unit_test(a_failure_of_one_family_is_none_of_the_other),
		cmocka_unit_test(a_failure_of_both_keeps_all),
	};

	return cmocka_run_group_tests_name("proxy/hostnames", tests, NULL,
					   NULL);
}
