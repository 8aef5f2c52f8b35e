/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/resolver.h"

#include "proxy/owner.h"
#include "tests/unit/dns_server.h"
#include "tests/unit/ring_scene.h"
#include "tests/unit/silence.h"

#include <stdio.h>

/* What the script answers depends on the first label of the name. */
static bool
begins(const struct dns_question *question, const char *label)
{
	size_t n = strlen(label);

	return strncmp(question->name, label, n) == 0 &&
	       (question->name[n] == '.' || question->name[n] == '\0');
}

static void
answer_plain(const struct dns_question *question, struct buf *out)
{
	unsigned id = question->id;
	const char *name = question->name;

	dns_begin(out, id, DNS_QR | DNS_RA, name, question->type);
	if (begins(question, "short"))
		dns_txt(out, name, 1, "short");
	else if (begins(question, "size"))
		dns_txt(out, name, 60,
			question->edns_octets == 1232 ? "1232" : "other");
	else if (begins(question, "alias")) {
		dns_pointer(out, DNS_ANSWER, name, DNS_CNAME, 60,
			    "target.example");
		dns_txt(out, "target.example", 30, "at the end");
	} else if (begins(question, "empty"))
		dns_soa(out, "example", 60, 1);
	else
		dns_txt(out, name, 300, "plain");
}

static void
answer_by_script(const struct dns_question *question, struct buf *out)
{
	unsigned flags = DNS_QR | DNS_RA;
	unsigned id = question->id;

	if (begins(question, "silent"))
		return;
	if (begins(question, "missing")) {
		dns_begin(out, id, flags | 3, question->name, question->type);
		dns_soa(out, "example", 60, 300);
	} else if (begins(question, "servfail"))
		dns_begin(out, id, flags | 2, question->name, question->type);
	else if (begins(question, "refused"))
		dns_begin(out, id, flags | 5, question->name, question->type);
	else if (begins(question, "large") && !question->is_tcp)
		dns_begin(out, id, flags | DNS_TC, question->name,
			  question->type);
	else if (begins(question, "garbage")) {
		dns_begin(out, id, flags, question->name, question->type);
		buf_append(out, SPAN_LIT("\xff\xff\xff\xff"));
		dns_count(out, DNS_ANSWER);
	} else if (begins(question, "forged"))
		dns_begin(out, id ^ 1, flags | 3, question->name,
			  question->type);
	else
		answer_plain(question, out);
}

static void
answer_servfail(const struct dns_question *question, struct buf *out)
{
	dns_begin(out, question->id, DNS_QR | DNS_RA | 2, question->name,
		  question->type);
}

static void
answer_nothing(const struct dns_question *question, struct buf *out)
{
	(void)question;
	(void)out;
}

/* One who asks, and what he was told. */
struct asker {
	struct resolver_query query;
	unsigned count;
	enum answer_status status;
	char error[64];
	char text[64];
	uint32_t ttl_s;
	bool is_cached;
	struct resolver *asks_again; /* from within done */
};

static void
note(struct asker *asker, const struct answer *answer)
{
	asker->count++;
	asker->status = answer->status;
	asker->ttl_s = answer->ttl_s;
	asker->is_cached = answer->is_cached;
	snprintf(asker->error, sizeof(asker->error), "%s",
		 answer->error == NULL ? "" : answer->error);
	asker->text[0] = '\0';
	if (answer->records > 0)
		snprintf(asker->text, sizeof(asker->text), "%.*s",
			 (int)answer->record[0].value.n,
			 (const char *)answer->record[0].value.p);
}

static void
on_answer(struct resolver_query *query, const struct answer *answer)
{
	struct asker *asker = OWNER(query, struct asker, query);
	struct answer again;

	note(asker, answer);
	if (asker->asks_again == NULL)
		return;
	assert_true(resolver_ask(asker->asks_again, answer->name, answer->type,
				 query, &again));
	assert_int_equal(again.status, asker->status);
	assert_true(again.is_cached);
}

struct scene {
	struct ring_scene ring;
	struct dns_server servers[2];
	size_t server_count;
	struct conf_endpoint endpoints[2];
	struct conf conf;
	struct resolver *resolver;
	int stderr_kept;
};

static void
scene_new(struct scene *scene, const struct zone *zone)
{
	struct buf faults;

	buf_init(&faults, 1000);
	ring_scene_make(&scene->ring);
	scene->stderr_kept = silence_start();
	scene->conf.resolvers = scene->endpoints;
	scene->conf.resolver_count = scene->server_count;
	scene->conf.dns_us_max = 200000;
	scene->conf.dns_tries = 2;
	scene->conf.dns_cache_octets = 1 << 20;
	scene->resolver = resolver_new(scene->ring.ring, &scene->ring.timers,
				       &scene->conf, zone, &faults);
	assert_non_null(scene->resolver);
	assert_int_equal(faults.n, 0);
}

static void
add_server(struct scene *scene,
	   void (*answer)(const struct dns_question *question, struct buf *out))
{
	size_t i = scene->server_count++;

	dns_server_start(&scene->servers[i], answer);
	assert_true(ip_parse(SPAN_LIT("127.0.0.1"), &scene->endpoints[i].ip));
	scene->endpoints[i].port = scene->servers[i].port;
}

static void
scene_make(struct scene *scene)
{
	*scene = (struct scene){ 0 };
	add_server(scene, answer_by_script);
	scene_new(scene, NULL);
}

static void
scene_end(struct scene *scene)
{
	resolver_free(scene->resolver);
	assert_null(scene->ring.timers.first);
	ring_scene_end(&scene->ring);
	for (size_t i = 0; i < scene->server_count; i++)
		dns_server_stop(&scene->servers[i]);
	silence_end(scene->stderr_kept);
}

static bool
ask(struct scene *scene, struct asker *asker, const char *name)
{
	struct answer answer;

	*asker = (struct asker){ .query.done = on_answer };
	if (!resolver_ask(scene->resolver, span_cstr(name), DNS_TXT,
			  &asker->query, &answer)) {
		assert_int_equal(asker->count, 0);
		return false;
	}
	assert_int_equal(asker->count, 0); /* done was not called */
	note(asker, &answer);
	return true;
}

static void
ask_and_wait(struct scene *scene, struct asker *asker, const char *name)
{
	if (!ask(scene, asker, name))
		ring_scene_until(&scene->ring, &asker->count, 1);
}

static unsigned
udp_count(struct scene *scene, size_t server)
{
	return atomic_load(&scene->servers[server].udp_count);
}

static void
an_answer_comes_and_is_kept(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	assert_false(ask(&scene, &asker, "a.example"));
	ring_scene_until(&scene.ring, &asker.count, 1);
	assert_int_equal(asker.status, ANSWER_OK);
	assert_string_equal(asker.text, "plain");
	assert_int_equal(asker.ttl_s, 300);
	assert_false(asker.is_cached);

	assert_true(ask(&scene, &asker, "a.example"));
	assert_string_equal(asker.text, "plain");
	assert_true(asker.is_cached);
	assert_in_range(asker.ttl_s, 298, 300);
	assert_int_equal(udp_count(&scene, 0), 1);
	scene_end(&scene);
}

static void
equal_questions_are_asked_once(void **state)
{
	struct asker askers[50];
	struct scene scene;

	(void)state;
	scene_make(&scene);
	for (size_t i = 0; i < 50; i++)
		assert_false(ask(&scene, &askers[i], "a.example"));
	for (size_t i = 0; i < 50; i++) {
		ring_scene_until(&scene.ring, &askers[i].count, 1);
		assert_string_equal(askers[i].text, "plain");
	}
	assert_int_equal(udp_count(&scene, 0), 1);
	scene_end(&scene);
}

static void
an_answer_expires_with_its_ttl(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	ask_and_wait(&scene, &asker, "short.example");
	ask_and_wait(&scene, &asker, "empty.example"); /* SOA minimum 1 */
	assert_int_equal(asker.status, ANSWER_NODATA);
	assert_true(ask(&scene, &asker, "short.example"));
	assert_true(ask(&scene, &asker, "empty.example"));
	ring_scene_for(&scene.ring, 1100000);
	assert_false(ask(&scene, &asker, "short.example"));
	ring_scene_until(&scene.ring, &asker.count, 1);
	ask_and_wait(&scene, &asker, "empty.example");
	assert_int_equal(udp_count(&scene, 0), 4);
	scene_end(&scene);
}

static void
no_such_name_is_kept_for_the_soas_time(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	ask_and_wait(&scene, &asker, "missing.example");
	assert_int_equal(asker.status, ANSWER_NXDOMAIN);
	assert_int_equal(asker.ttl_s, 60);
	assert_true(ask(&scene, &asker, "missing.example"));
	assert_int_equal(asker.status, ANSWER_NXDOMAIN);
	assert_int_equal(udp_count(&scene, 0), 1);
	scene_end(&scene);
}

static void
a_cname_is_followed_within_the_answer(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	ask_and_wait(&scene, &asker, "alias.example");
	assert_string_equal(asker.text, "at the end");
	assert_int_equal(asker.ttl_s, 30);
	assert_true(ask(&scene, &asker, "alias.example"));
	scene_end(&scene);
}

static void
edns_asks_for_1232_octets(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	ask_and_wait(&scene, &asker, "size.example");
	assert_string_equal(asker.text, "1232");
	scene_end(&scene);
}

static void
a_truncated_answer_is_fetched_over_tcp(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	ask_and_wait(&scene, &asker, "large.example");
	assert_int_equal(asker.status, ANSWER_OK);
	assert_string_equal(asker.text, "plain");
	assert_int_equal(atomic_load(&scene.servers[0].tcp_count), 1);
	scene_end(&scene);
}

struct failure {
	const char *name, *error;
	unsigned questions;
};

/* None of them is "no such name". */
static const struct failure failures[] = {
	{ "servfail.example", "SERVFAIL", 1 },
	{ "refused.example", "REFUSED", 1 },
	{ "garbage.example", "malformed answer", 1 },
	{ "silent.example", "time-out", 2 },
	/* Another id is not an answer to our question. */
	{ "forged.example", "time-out", 2 },
};

static void
failures_are_temporary_and_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		struct scene scene;
		struct asker asker;

		scene_make(&scene);
		ask_and_wait(&scene, &asker, failures[i].name);
		assert_int_equal(asker.status, ANSWER_TEMPERROR);
		assert_string_equal(asker.error, failures[i].error);
		assert_int_equal(udp_count(&scene, 0), failures[i].questions);
		/* Kept for a few seconds: a burst does not ask again. */
		assert_true(ask(&scene, &asker, failures[i].name));
		assert_string_equal(asker.error, failures[i].error);
		assert_true(asker.is_cached);
		scene_end(&scene);
	}
}

static void
a_try_ends_within_its_time(void **state)
{
	struct scene scene;
	struct asker asker;
	uint64_t start_us;

	(void)state;
	scene_make(&scene);
	start_us = clock_monotonic_us();
	ask_and_wait(&scene, &asker, "silent.example");
	/* Two tries of 200 ms, and a tick of 100 ms for each. */
	assert_in_range(clock_monotonic_us() - start_us, 400000, 900000);
	scene_end(&scene);
}

static void
a_servfail_is_taken_to_the_next_server(void **state)
{
	struct scene scene = { 0 };
	struct asker asker;

	(void)state;
	add_server(&scene, answer_servfail);
	add_server(&scene, answer_by_script);
	scene_new(&scene, NULL);
	ask_and_wait(&scene, &asker, "a.example");
	assert_int_equal(asker.status, ANSWER_OK);
	/* Not a second time to one that has answered. */
	ask_and_wait(&scene, &asker, "servfail.example");
	assert_string_equal(asker.error, "SERVFAIL");
	assert_int_equal(udp_count(&scene, 0), 2);
	assert_int_equal(udp_count(&scene, 1), 2);
	scene_end(&scene);
}

static void
a_dead_server_is_not_asked_first_again(void **state)
{
	struct scene scene = { 0 };
	struct asker asker;

	(void)state;
	add_server(&scene, answer_nothing);
	add_server(&scene, answer_by_script);
	scene_new(&scene, NULL);
	ask_and_wait(&scene, &asker, "a.example");
	assert_int_equal(asker.status, ANSWER_OK);
	ask_and_wait(&scene, &asker, "b.example");
	ask_and_wait(&scene, &asker, "c.example");
	assert_int_equal(asker.status, ANSWER_OK);
	assert_int_equal(udp_count(&scene, 0), 1);
	assert_int_equal(udp_count(&scene, 1), 3);
	scene_end(&scene);
}

static void
who_cancelled_is_not_told(void **state)
{
	struct asker first, second, third;
	struct scene scene;

	(void)state;
	scene_make(&scene);
	assert_false(ask(&scene, &first, "a.example"));
	assert_false(ask(&scene, &second, "a.example"));
	assert_false(ask(&scene, &third, "a.example"));
	resolver_cancel(&second.query);
	resolver_cancel(&second.query);
	ring_scene_until(&scene.ring, &first.count, 1);
	ring_scene_until(&scene.ring, &third.count, 1);
	assert_int_equal(second.count, 0);
	resolver_cancel(&first.query);

	/* All gone: the answer is kept all the same. */
	assert_false(ask(&scene, &first, "b.example"));
	resolver_cancel(&first.query);
	ring_scene_for(&scene.ring, 100000);
	assert_true(ask(&scene, &second, "b.example"));
	scene_end(&scene);
}

static void
an_asker_may_ask_again_when_he_is_told(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	assert_false(ask(&scene, &asker, "a.example"));
	asker.asks_again = scene.resolver;
	ring_scene_until(&scene.ring, &asker.count, 1);
	scene_end(&scene);
}

#define DIGITS "0123456789"
#define LABEL_64 DIGITS DIGITS DIGITS DIGITS DIGITS DIGITS "0123"

/* Names that are no question for a name server. */
static void
impossible_names_do_not_exist(void **state)
{
	static const char *const names[] = {
		LABEL_64 "5.example",
		"hidden.onion",
		"two..dots",
	};
	struct scene scene;
	struct answer answer;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_true(ask(&scene, &asker, names[i]));
		assert_int_equal(asker.status, ANSWER_NXDOMAIN);
	}
	assert_true(resolver_ask(scene.resolver, SPAN_LIT("a\0b.example"),
				 DNS_TXT, &asker.query, &answer));
	assert_int_equal(answer.status, ANSWER_NXDOMAIN);
	assert_int_equal(udp_count(&scene, 0), 0);
	scene_end(&scene);
}

/* A backslash is an octet like any other, not c-ares's escape. */
static void
a_backslash_is_asked_as_it_is(void **state)
{
	struct scene scene;
	struct asker asker;

	(void)state;
	scene_make(&scene);
	ask_and_wait(&scene, &asker, "a\\046b.example");
	assert_int_equal(asker.status, ANSWER_OK);
	assert_string_equal(asker.text, "plain");
	scene_end(&scene);
}

static void
too_many_questions_at_once_are_refused(void **state)
{
	enum { MANY = 1024 };
	struct asker *askers = calloc(MANY + 1, sizeof(*askers));
	struct scene scene;
	char name[64];

	(void)state;
	scene_make(&scene);
	for (unsigned i = 0; i <= MANY; i++) {
		snprintf(name, sizeof(name), "silent.n%u.example", i);
		assert_int_equal(ask(&scene, &askers[i], name), i == MANY);
	}
	assert_int_equal(askers[MANY].status, ANSWER_TEMPERROR);
	assert_string_equal(askers[MANY].error, "too many questions");
	for (unsigned i = 0; i < MANY; i++) {
		ring_scene_until(&scene.ring, &askers[i].count, 1);
		assert_int_equal(askers[i].status, ANSWER_TEMPERROR);
	}
	/* There is room again, and what was refused was not kept. */
	assert_false(ask(&scene, &askers[0], name));
	ring_scene_until(&scene.ring, &askers[0].count, 1);
	scene_end(&scene);
	free(askers);
}

static void
freeing_forgets_who_waits(void **state)
{
	struct scene scene;
	struct asker a, b;

	(void)state;
	scene_make(&scene);
	assert_false(ask(&scene, &a, "silent.example"));
	assert_false(ask(&scene, &b, "silent.other.example"));
	ring_scene_turn(&scene.ring, 1000);
	scene_end(&scene);
	assert_int_equal(a.count + b.count, 0);
}

static void
a_zone_answers_everything(void **state)
{
	struct scene scene = { 0 };
	struct asker asker;
	struct zone *zone;
	struct buf faults;

	(void)state;
	buf_init(&faults, 1000);
	zone = zone_parse(SPAN_LIT("a.example. 60 TXT \"from the zone\"\n"),
			  "zone", &faults);
	assert_non_null(zone);
	add_server(&scene, answer_by_script);
	scene_new(&scene, zone);
	assert_true(ask(&scene, &asker, "a.example"));
	assert_string_equal(asker.text, "from the zone");
	assert_true(asker.is_cached);
	assert_true(ask(&scene, &asker, "b.test"));
	assert_int_equal(asker.status, ANSWER_NXDOMAIN);
	assert_int_equal(udp_count(&scene, 0), 0);
	scene_end(&scene);
	zone_free(zone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_comes_and_is_kept),
		cmocka_unit_test(equal_questions_are_asked_once),
		cmocka_unit_test(a_cname_is_followed_within_the_answer),
		cmocka_unit_test(no_such_name_is_kept_for_the_soas_time),
		cmocka_unit_test(an_answer_expires_with_its_ttl),
		cmocka_unit_test(edns_asks_for_1232_octets),
		cmocka_unit_test(a_truncated_answer_is_fetched_over_tcp),
		cmocka_unit_test(failures_are_temporary_and_named),
		cmocka_unit_test(a_try_ends_within_its_time),
		cmocka_unit_test(a_servfail_is_taken_to_the_next_server),
		cmocka_unit_test(a_dead_server_is_not_asked_first_again),
		cmocka_unit_test(who_cancelled_is_not_told),
		cmocka_unit_test(an_asker_may_ask_again_when_he_is_told),
		cmocka_unit_test(impossible_names_do_not_exist),
		cmocka_unit_test(a_backslash_is_asked_as_it_is),
		cmocka_unit_test(too_many_questions_at_once_are_refused),
		cmocka_unit_test(freeing_forgets_who_waits),
		cmocka_unit_test(a_zone_answers_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
