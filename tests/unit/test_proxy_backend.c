/* SPDX-License-Identifier: BSD-2-Clause */
/* What scripts of tests/replay cannot show, since there octets may always be
 * cut where a reply ends. */
#include "proxy/backend.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct scene {
	struct conf conf;
	struct conf_backend mta;
	struct backend_identity identity;
	struct backend backend;
	struct buf out;
};

static const struct upstream_target target = { .id = 1 };

static void
scene_make(struct scene *scene, enum conf_tls tls)
{
	*scene = (struct scene){ 0 };
	scene->mta =
		(struct conf_backend){ .tls = tls, .identity = IDENTITY_NONE };
	scene->conf =
		(struct conf){ .backends = &scene->mta, .backend_count = 1 };
	scene->identity.gate = SPAN_LIT("gate.example");
	buf_init(&scene->out, 10000);
	backend_init(&scene->backend);
	backend_connect(&scene->backend, &scene->conf, 0, &target, 0);
	assert_true(backend_connected(&scene->backend, &scene->identity,
				      &scene->out));
}

static void
scene_end(struct scene *scene)
{
	backend_fini(&scene->backend);
	buf_fini(&scene->out);
}

static enum backend_news
say(struct scene *scene, const char *octets)
{
	struct client_answer answer;

	backend_octets(&scene->backend, span_cstr(octets), 0);
	return backend_next(&scene->backend, &scene->identity, &scene->out,
			    &answer);
}

/* CVE-2011-0411, towards us. */
static void
octets_behind_the_yes_to_starttls_end_it(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene, CONF_TLS_OPPORTUNISTIC);
	assert_int_equal(say(&scene, "220 mta\r\n"), NEWS_NONE);
	assert_int_equal(say(&scene, "250-mta\r\n250 STARTTLS\r\n"), NEWS_NONE);
	assert_int_equal(say(&scene, "220 go\r\n250 2.0.0 Ok\r\n"), NEWS_LOST);
	assert_int_equal(scene.backend.failure, EVENT_BACKEND_DOWN);
	scene_end(&scene);
}

static void
what_it_offered_in_plain_is_forgotten(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene, CONF_TLS_REQUIRED);
	say(&scene, "220 mta\r\n");
	say(&scene, "250-mta\r\n250-PIPELINING\r\n250 STARTTLS\r\n");
	assert_int_equal(say(&scene, "220 go\r\n"), NEWS_SECURE);
	assert_true(
		backend_secured(&scene.backend, &scene.identity, &scene.out));
	assert_int_equal(scene.backend.ehlo.extensions, 0);
	assert_false(scene.backend.client.is_pipelining);
	/* STARTTLS under TLS is not asked for again. */
	assert_int_equal(say(&scene, "250-mta\r\n250 STARTTLS\r\n"), NEWS_UP);
	assert_true(span_equal(buf_span(&scene.out),
			       SPAN_LIT("EHLO gate.example\r\nSTARTTLS\r\nEHLO "
					"gate.example\r\n")));
	scene_end(&scene);
}

/* There was no memory for the rest of it. */
static void
half_a_login_is_not_sent(void **state)
{
	struct scene scene;
	struct buf line;

	(void)state;
	scene_make(&scene, CONF_TLS_OFF);
	assert_int_equal(say(&scene, "220 mta\r\n"), NEWS_UP);
	buf_init(&line, 6);
	buf_append(&line, SPAN_LIT("AUTH "));
	buf_append(&line, SPAN_LIT("PLAIN\r\n"));
	assert_false(backend_login(&scene.backend, &line, &scene.out, 0));
	assert_int_equal(scene.out.n, 0);
	buf_fini(&line);
	buf_init(&line, 100);
	buf_append(&line, SPAN_LIT("AUTH PLAIN\r\n"));
	assert_true(backend_login(&scene.backend, &line, &scene.out, 0));
	assert_true(span_equal(buf_span(&scene.out), buf_span(&line)));
	buf_fini(&line);
	scene_end(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(octets_behind_the_yes_to_starttls_end_it),
		cmocka_unit_test(what_it_offered_in_plain_is_forgotten),
		cmocka_unit_test(half_a_login_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
