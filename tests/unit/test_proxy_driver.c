/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver against a session that does what the test tells it to: the fake
 * stands in for session.c, so this file must define all that driver.c calls.
 */
#include "proxy/driver.h"

#include "proxy/cryptomem.h"
#include "proxy/owner.h"
#include "tests/unit/ring_scene.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "tests/unit/folder.h"
#include "tests/unit/loopback.h"

/* --- the fake session --------------------------------------------------------
 */

#define ACTIONS_MAX 32
#define KINDS (SESSION_DRAIN + 1)

struct session {
	struct session_action actions[ACTIONS_MAX];
	unsigned first, count;
	struct buf out[SIDE_COUNT];
	bool wants[SIDE_COUNT];
	uint64_t deadline_us;
	size_t memory;
	bool is_inside; /* of session_next: no event may come now */
	unsigned told[KINDS];
	struct session_event last[KINDS];
	struct buf octets[SIDE_COUNT];
	char text[64]; /* of the last answer or read */
};

static struct session *session; /* the one there is */
static unsigned freed;

struct session *
session_new(const struct session_host *host, const struct session_peer *peer)
{
	(void)host;
	(void)peer;
	session = calloc(1, sizeof(*session));
	for (int side = 0; side < SIDE_COUNT; side++) {
		buf_init(&session->out[side], 1 << 20);
		buf_init(&session->octets[side], 1 << 20);
		session->wants[side] = true;
	}
	return session;
}

void
session_free(struct session *dead)
{
	if (dead == NULL)
		return;
	assert_ptr_equal(dead, session);
	for (int side = 0; side < SIDE_COUNT; side++) {
		buf_fini(&dead->out[side]);
		buf_fini(&dead->octets[side]);
	}
	free(dead);
	session = NULL;
	freed++;
}

void
session_step(struct session *self, const struct session_event *event)
{
	assert_false(self->is_inside);
	self->told[event->kind]++;
	self->last[event->kind] = *event;
	if (event->kind == SESSION_OCTETS)
		buf_append(&self->octets[event->side], event->octets);
	if (event->kind == SESSION_READ)
		snprintf(self->text, sizeof(self->text), "%.*s",
			 (int)event->octets.n, (const char *)event->octets.p);
	if (event->kind == SESSION_ANSWER)
		snprintf(self->text, sizeof(self->text), "%s",
			 answer_status_name(event->answer->status));
	if (event->kind == SESSION_TIMER)
		self->deadline_us = 0;
}

bool
session_next(struct session *self, struct session_action *action)
{
	self->is_inside = self->first < self->count;
	if (!self->is_inside) {
		self->first = self->count = 0;
		return false;
	}
	*action = self->actions[self->first++];
	return true;
}

struct buf *
session_output(struct session *self, enum session_side side)
{
	return &self->out[side];
}

bool
session_wants(const struct session *self, enum session_side side)
{
	return self->wants[side];
}

size_t
session_memory(const struct session *self)
{
	return self->memory;
}

uint64_t
session_deadline(const struct session *self)
{
	return self->deadline_us;
}

/* What it will do at its next event. */
static void
plan(struct session_action action)
{
	assert_true(session->count < ACTIONS_MAX);
	session->actions[session->count++] = action;
}

/* --- the scene ---------------------------------------------------------------
 */

struct scene {
	struct ring_scene ring;
	struct drivers drivers;
	struct session_host host;
	struct conf conf;
	struct conf_backend backends[2]; /* one listens, one does not */
	struct conf_address addresses[2];
	struct stats stats;
	struct spoolfile spool;
	int directory; /* of the spool */
	struct tempfiles tempfiles;
	struct folder folder;
	struct zone *zone;
	struct session_peer peer;
	int client, server;
};

static void
changed(struct drivers *drivers)
{
	(void)drivers;
}

static void
make_backends(struct scene *scene)
{
	int closed;

	scene->server = loopback_listen(&scene->addresses[0].at.ip,
					&scene->addresses[0].at.port);
	closed = loopback_listen(&scene->addresses[1].at.ip,
				 &scene->addresses[1].at.port);
	close(closed);
	for (size_t i = 0; i < 2; i++) {
		scene->backends[i].addresses = &scene->addresses[i];
		scene->backends[i].address_count = 1;
	}
	scene->conf.backends = scene->backends;
	scene->conf.backend_count = 2;
}

static void
make_files(struct scene *scene)
{
	struct spoolfile_setup spool = { .gate = SPAN_LIT("mx.example"),
					 .stats = &scene->stats };
	struct buf faults;

	buf_init(&faults, 1000);
	folder_make(&scene->folder);
	spool.directory = scene->directory =
		open(scene->folder.name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	spoolfile_init(&scene->spool, scene->ring.ring, &scene->ring.timers,
		       &spool);
	scene->tempfiles = (struct tempfiles){
		.ring = scene->ring.ring,
		.timers = &scene->ring.timers,
		.directory = tempfile_directory(scene->folder.name, &faults),
		.octets_max = 1000,
	};
	assert_int_equal(faults.n, 0);
}

static void
scene_make(struct scene *scene)
{
	struct buf faults;

	*scene = (struct scene){ 0 };
	freed = 0;
	ring_scene_make(&scene->ring);
	make_backends(scene);
	make_files(scene);
	buf_init(&faults, 1000);
	scene->zone = zone_parse(SPAN_LIT("a.example. 60 A 192.0.2.1\n"),
				 "zone", &faults);
	scene->host.conf = &scene->conf;
	scene->host.stats = &scene->stats;
	scene->drivers = (struct drivers){
		.ring = scene->ring.ring,
		.timers = &scene->ring.timers,
		.resolver = resolver_new(scene->ring.ring, &scene->ring.timers,
					 &scene->conf, scene->zone, &faults),
		.spool = &scene->spool,
		.tempfiles = &scene->tempfiles,
		.host = &scene->host,
		.limit = limit_new(1, 10),
		.changed = changed,
	};
	assert_int_equal(faults.n, 0);
}

/* A client is there, and the session has been told that it starts. */
static void
start(struct scene *scene, struct span octets)
{
	int accepted;

	scene->client =
		loopback_pair(&accepted, &scene->peer.ip, &scene->peer.port);
	assert_int_equal(limit_enter(scene->drivers.limit, 0, &scene->peer.ip,
				     &(struct limit_bounds){ 0 }),
			 LIMIT_TAKEN);
	assert_true(
		driver_start(&scene->drivers, accepted, &scene->peer, octets));
	assert_int_equal(session->told[SESSION_START], 1);
	assert_int_equal(scene->stats.count[STAT_SESSIONS_OPEN], 1);
}

/* An event that makes the session do what was planned. */
static void
nudge(struct scene *scene)
{
	unsigned before = session->told[SESSION_OCTETS];

	session->wants[SIDE_CLIENT] = true;
	peer_write(scene->client, SPAN_LIT("x"));
	while (session != NULL && session->told[SESSION_OCTETS] == before)
		ring_scene_turn(&scene->ring, 10000);
}

static void
until_told(struct scene *scene, enum session_event_kind kind, unsigned count)
{
	ring_scene_until(&scene->ring, &session->told[kind], count);
}

static void
until_freed(struct scene *scene)
{
	ring_scene_until(&scene->ring, &freed, 1);
}

static void
scene_end(struct scene *scene)
{
	drivers_abort(&scene->drivers);
	for (int i = 0;
	     scene->drivers.count > 0 || scene->drivers.link_count > 0; i++) {
		assert_true(i < 1000);
		ring_scene_turn(&scene->ring, 10000);
	}
	assert_int_equal(freed, 1);
	assert_int_equal(scene->stats.count[STAT_SESSIONS_OPEN], 0);
	assert_int_equal(scene->tempfiles.octets, 0);
	resolver_free(scene->drivers.resolver);
	ring_scene_end(&scene->ring);
	spoolfile_fini(&scene->spool);
	close(scene->directory);
	close(scene->tempfiles.directory);
	close(scene->client);
	close(scene->server);
	limit_free(scene->drivers.limit);
	zone_free(scene->zone);
	folder_remove(&scene->folder);
}

static void
get(struct scene *scene, int fd, struct span wanted)
{
	struct buf got;

	buf_init(&got, 1 << 20);
	while (got.n < wanted.n && peer_read(fd, &got))
		ring_scene_turn(&scene->ring, 1000);
	assert_true(span_equal(buf_span(&got), wanted));
	buf_fini(&got);
}

/* --- tests -------------------------------------------------------------------
 */

static void
octets_come_in_and_output_goes_out(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_LIT("early"));
	assert_int_equal(session->octets[SIDE_CLIENT].n, 5);
	buf_append(&session->out[SIDE_CLIENT], SPAN_LIT("220 hi\r\n"));
	nudge(&scene);
	until_told(&scene, SESSION_SENT, 1);
	get(&scene, scene.client, SPAN_LIT("220 hi\r\n"));
	assert_int_equal(session->out[SIDE_CLIENT].n, 0);

	/* Backpressure: one more recv may be under way, not two. */
	session->wants[SIDE_CLIENT] = false;
	nudge(&scene);
	session->wants[SIDE_CLIENT] = false;
	peer_write(scene.client, SPAN_LIT("1"));
	ring_scene_for(&scene.ring, 20000);
	peer_write(scene.client, SPAN_LIT("2"));
	ring_scene_for(&scene.ring, 20000);
	assert_int_equal(session->told[SESSION_OCTETS], 4);

	close(scene.client);
	scene.client = -1;
	ring_scene_for(&scene.ring, 20000);
	assert_int_equal(session->told[SESSION_CLOSED], 0); /* not looking */
	scene_end(&scene);
}

static struct session_action
connect_to(const struct scene *scene, size_t backend)
{
	return (struct session_action){
		.act = ACT_CONNECT,
		.side = SIDE_BACKEND,
		.backend = backend,
		.ip = scene->addresses[backend].at.ip,
		.port = scene->addresses[backend].at.port,
	};
}

static void
a_backend_is_reached_and_talked_to(void **state)
{
	struct scene scene;
	int peer;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	plan(connect_to(&scene, 0));
	nudge(&scene);
	until_told(&scene, SESSION_CONNECTED, 1);
	assert_int_equal(session->last[SESSION_CONNECTED].side, SIDE_BACKEND);
	peer = accept4(scene.server, NULL, NULL, SOCK_CLOEXEC);
	peer_write(peer, SPAN_LIT("220 mta\r\n"));
	until_told(&scene, SESSION_OCTETS, 2);
	assert_true(span_equal(buf_span(&session->octets[SIDE_BACKEND]),
			       SPAN_LIT("220 mta\r\n")));
	/* Closed with what the output still holds. */
	buf_append(&session->out[SIDE_BACKEND], SPAN_LIT("QUIT\r\n"));
	plan((struct session_action){ .act = ACT_CLOSE, .side = SIDE_BACKEND });
	nudge(&scene);
	get(&scene, peer, SPAN_LIT("QUIT\r\n"));
	close(peer);
	ring_scene_for(&scene.ring, 20000);
	assert_int_equal(session->told[SESSION_CLOSED], 0);
	scene_end(&scene);
}

/* Refused; then, on the same side, another one, while the first is ending. */
static void
a_side_can_be_connected_again(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	plan(connect_to(&scene, 1));
	nudge(&scene);
	until_told(&scene, SESSION_CLOSED, 1);
	assert_int_equal(session->last[SESSION_CLOSED].error, -ECONNREFUSED);
	for (unsigned i = 1; i <= 3; i++) {
		plan((struct session_action){ .act = ACT_ABORT,
					      .side = SIDE_BACKEND });
		plan(connect_to(&scene, 0));
		nudge(&scene);
		until_told(&scene, SESSION_CONNECTED, i);
	}
	assert_int_equal(session->told[SESSION_CLOSED], 1);
	plan((struct session_action){ .act = ACT_ABORT, .side = SIDE_BACKEND });
	plan((struct session_action){ .act = ACT_ABORT,
				      .side = SIDE_DIVERT }); /* none there */
	nudge(&scene);
	scene_end(&scene);
}

static void
plan_ask(uint64_t ticket, const char *name)
{
	plan((struct session_action){ .act = ACT_ASK,
				      .name = span_cstr(name),
				      .type = DNS_A,
				      .ticket = ticket });
}

/* What is known at once is told after the actions, not among them. */
static void
questions_are_answered_after_the_actions(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	plan_ask(1 << 16 | 7, "a.example");
	plan_ask(1 << 16 | 8, "b.test");
	nudge(&scene);
	assert_int_equal(session->told[SESSION_ANSWER], 2);
	assert_int_equal(session->told[SESSION_ANSWERED], 1);
	assert_in_range(session->last[SESSION_ANSWER].ticket, 1 << 16 | 7,
			1 << 16 | 8);
	scene_end(&scene);
}

static void
a_forgotten_generation_is_not_answered(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	plan_ask(1 << 16 | 7, "a.example");
	plan_ask(2 << 16 | 7, "b.test");
	plan_ask(1 << 16 | 8, "c.test");
	plan((struct session_action){ .act = ACT_FORGET, .ticket = 1 << 16 });
	nudge(&scene);
	assert_int_equal(session->told[SESSION_ANSWER], 1);
	assert_int_equal(session->last[SESSION_ANSWER].ticket, 2 << 16 | 7);
	assert_string_equal(session->text, "nxdomain");
	scene_end(&scene);
}

static bool
ends_with(struct span text, struct span end)
{
	return text.n >= end.n &&
	       span_equal(span_after(text, text.n - end.n), end);
}

static void
a_line_is_spooled(void **state)
{
	struct scene scene;
	struct buf text;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	plan((struct session_action){ .act = ACT_SPOOL,
				      .octets = SPAN_LIT("line\n") });
	nudge(&scene);
	until_told(&scene, SESSION_SPOOLED, 1);
	assert_int_equal(session->last[SESSION_SPOOLED].error, 0);
	buf_init(&text, 1000);
	assert_true(folder_read(&scene.folder, SEGMENT_LIVE, &text));
	assert_true(ends_with(buf_span(&text), SPAN_LIT("}\nline\n")));
	buf_fini(&text);
	scene_end(&scene);
}

static void
a_body_is_written_read_and_dropped(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	plan((struct session_action){ .act = ACT_BODY_WRITE,
				      .octets = SPAN_LIT("hello world") });
	nudge(&scene);
	until_told(&scene, SESSION_WRITTEN, 1);
	plan((struct session_action){
		.act = ACT_BODY_READ, .offset = 6, .length = 5 });
	nudge(&scene);
	until_told(&scene, SESSION_READ, 1);
	assert_string_equal(session->text, "world");
	assert_int_equal(session->last[SESSION_READ].ticket, 6);
	plan((struct session_action){ .act = ACT_BODY_DROP });
	nudge(&scene);
	assert_int_equal(scene.tempfiles.octets, 0);
	scene_end(&scene);
}

/* The write of a mail that is over is not taken for that of the next one. */
static void
a_dropped_write_is_not_told(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	plan((struct session_action){ .act = ACT_BODY_WRITE,
				      .octets = SPAN_LIT("old") });
	plan((struct session_action){ .act = ACT_BODY_DROP });
	plan((struct session_action){ .act = ACT_BODY_WRITE,
				      .octets = SPAN_LIT("new") });
	nudge(&scene);
	until_told(&scene, SESSION_WRITTEN, 1);
	ring_scene_for(&scene.ring, 20000);
	assert_int_equal(session->told[SESSION_WRITTEN], 1);
	plan((struct session_action){ .act = ACT_BODY_READ, .length = 3 });
	nudge(&scene);
	until_told(&scene, SESSION_READ, 1);
	assert_string_equal(session->text, "new");
	scene_end(&scene);
}

static void
a_body_over_the_budget_is_told(void **state)
{
	static char octets[1001];
	struct scene scene;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	plan((struct session_action){
		.act = ACT_BODY_WRITE,
		.octets = span_make(octets, sizeof(octets)) });
	nudge(&scene);
	until_told(&scene, SESSION_WRITTEN, 1);
	assert_int_equal(session->last[SESSION_WRITTEN].error, -EDQUOT);
	scene_end(&scene);
}

/* The session's memory is still being written from: it lives on. */
static void
a_session_ends_once_nothing_refers_to_it(void **state)
{
	struct scene scene;
	struct buf text;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	plan((struct session_action){ .act = ACT_SPOOL,
				      .octets = SPAN_LIT("last\n") });
	plan((struct session_action){ .act = ACT_BODY_WRITE,
				      .octets = SPAN_LIT("body") });
	plan((struct session_action){ .act = ACT_END });
	peer_write(scene.client, SPAN_LIT("x"));
	until_freed(&scene);
	assert_int_equal(scene.drivers.count, 0);
	buf_init(&text, 1000);
	assert_true(folder_read(&scene.folder, SEGMENT_LIVE, &text));
	assert_true(ends_with(buf_span(&text), SPAN_LIT("}\nlast\n")));
	buf_fini(&text);
	scene_end(&scene);
}

/* The session is over, its last words are not yet sent. */
static void
last_words_outlive_the_session(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	buf_append(&session->out[SIDE_CLIENT], SPAN_LIT("221 bye\r\n"));
	plan((struct session_action){ .act = ACT_CLOSE, .side = SIDE_CLIENT });
	plan((struct session_action){ .act = ACT_END });
	peer_write(scene.client, SPAN_LIT("QUIT\r\n"));
	until_freed(&scene);
	/* The connection counts until it is gone. */
	assert_int_equal(scene.drivers.client_count, 1);
	assert_int_equal(limit_count(scene.drivers.limit, &scene.peer.ip), 1);
	get(&scene, scene.client, SPAN_LIT("221 bye\r\n"));
	close(scene.client);
	scene.client = -1;
	for (int i = 0; scene.drivers.client_count > 0; i++) {
		assert_true(i < 100);
		ring_scene_turn(&scene.ring, 10000);
	}
	assert_int_equal(limit_count(scene.drivers.limit, &scene.peer.ip), 0);
	scene_end(&scene);
}

static void
a_deadline_fires_and_may_move_on(void **state)
{
	struct scene scene;
	uint64_t start_us;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	start_us = clock_monotonic_us();
	session->deadline_us = start_us + 50000;
	nudge(&scene);
	session->deadline_us = start_us + 150000; /* the timer stays behind */
	nudge(&scene);
	until_told(&scene, SESSION_TIMER, 1);
	assert_true(clock_monotonic_us() >= start_us + 150000);
	session->deadline_us = clock_monotonic_us() + 1000000;
	nudge(&scene);
	session->deadline_us = clock_monotonic_us() + 1000; /* sooner */
	nudge(&scene);
	until_told(&scene, SESSION_TIMER, 2);
	assert_true(clock_monotonic_us() < start_us + 900000);
	scene_end(&scene);
}

static void
a_client_that_goes_is_told(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	shutdown(scene.client, SHUT_WR);
	until_told(&scene, SESSION_CLOSED, 1);
	assert_int_equal(session->last[SESSION_CLOSED].side, SIDE_CLIENT);
	assert_int_equal(session->last[SESSION_CLOSED].error, 0);
	scene_end(&scene);
}

static void
draining_is_told(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	drivers_drain(&scene.drivers);
	assert_int_equal(session->told[SESSION_DRAIN], 1);
	scene_end(&scene);
}

/* The ceiling is reached once, and left when an eighth of it is free again, or
 * the session is over. */
static void
memory_is_weighed_with_each_event(void **state)
{
	static const struct {
		size_t held;
		bool is_full;
	} steps[] = {
		{ 99000, false }, { 100000, true }, { 300000, true },
		{ 90000, true },  { 80000, false }, { 99000, false },
		{ 100000, true },
	};
	struct scene scene;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	/* What it holds besides the session's. */
	scene.drivers.memory_max = 100000 + scene.drivers.memory;
	assert_true(scene.drivers.memory > 0);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		session->memory = steps[i].held;
		nudge(&scene);
		assert_int_equal(scene.drivers.is_memory_full,
				 steps[i].is_full);
	}
	plan((struct session_action){ .act = ACT_END });
	peer_write(scene.client, SPAN_LIT("QUIT\r\n"));
	until_freed(&scene);
	assert_int_equal(scene.drivers.memory, 0);
	assert_false(scene.drivers.is_memory_full);
	scene_end(&scene);
}

/* Whoever it is that makes OpenSSL hold it. */
static void
what_openssl_holds_is_weighed_too(void **state)
{
	struct scene scene;
	void *octets;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	scene.drivers.crypto_base = cryptomem_held();
	scene.drivers.memory_max = 100000 + scene.drivers.memory;
	octets = OPENSSL_malloc(99000);
	nudge(&scene);
	assert_false(scene.drivers.is_memory_full);
	octets = OPENSSL_realloc(octets, 100000);
	nudge(&scene);
	assert_true(scene.drivers.is_memory_full);
	OPENSSL_free(octets);
	nudge(&scene);
	assert_false(scene.drivers.is_memory_full);
	/* Less than at first is none. */
	scene.drivers.crypto_base += 1000;
	nudge(&scene);
	assert_false(scene.drivers.is_memory_full);
	scene_end(&scene);
}

/* What a link holds that outlives the last session: doors that let nobody in
 * for it would never be told that it is gone. */
static void
what_outlives_the_last_session_is_weighed_too(void **state)
{
	struct scene scene;
	void *octets;

	(void)state;
	scene_make(&scene);
	start(&scene, SPAN_NONE);
	scene.drivers.crypto_base = cryptomem_held();
	scene.drivers.memory_max = 100000;
	octets = OPENSSL_malloc(100000);
	plan((struct session_action){ .act = ACT_CLOSE, .side = SIDE_CLIENT });
	plan((struct session_action){ .act = ACT_END });
	peer_write(scene.client, SPAN_LIT("QUIT\r\n"));
	until_freed(&scene);
	assert_int_equal(scene.drivers.link_count, 1);
	assert_true(scene.drivers.is_memory_full);
	OPENSSL_free(octets); /* in place of its engine */
	shutdown(scene.client, SHUT_WR);
	for (int i = 0; scene.drivers.link_count > 0; i++) {
		assert_true(i < 1000);
		ring_scene_turn(&scene.ring, 10000);
	}
	assert_false(scene.drivers.is_memory_full);
	scene_end(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_weighed_with_each_event),
		cmocka_unit_test(what_openssl_holds_is_weighed_too),
		cmocka_unit_test(what_outlives_the_last_session_is_weighed_too),
		cmocka_unit_test(octets_come_in_and_output_goes_out),
		cmocka_unit_test(a_client_that_goes_is_told),
		cmocka_unit_test(a_backend_is_reached_and_talked_to),
		cmocka_unit_test(a_side_can_be_connected_again),
		cmocka_unit_test(questions_are_answered_after_the_actions),
		cmocka_unit_test(a_forgotten_generation_is_not_answered),
		cmocka_unit_test(a_line_is_spooled),
		cmocka_unit_test(a_body_is_written_read_and_dropped),
		cmocka_unit_test(a_dropped_write_is_not_told),
		cmocka_unit_test(a_body_over_the_budget_is_told),
		cmocka_unit_test(a_deadline_fires_and_may_move_on),
		cmocka_unit_test(a_session_ends_once_nothing_refers_to_it),
		cmocka_unit_test(last_words_outlive_the_session),
		cmocka_unit_test(draining_is_told),
	};

	assert_true(cryptomem_count());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
