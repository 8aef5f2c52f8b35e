/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/log.h"

#include "tests/unit/folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

/* The process that logs is a child whose stderr is a file of ours. */
struct scene {
	struct folder folder;
	struct buf text;
};

static void
scene_make(struct scene *scene)
{
	folder_make(&scene->folder);
	buf_init(&scene->text, 1 << 20);
}

static void
scene_end(struct scene *scene)
{
	folder_remove(&scene->folder);
	buf_fini(&scene->text);
}

static void
play(struct scene *scene, void (*act)(struct scene *scene))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = open(folder_path(&scene->folder, "log"),
			      O_WRONLY | O_APPEND | O_CREAT, 0600);

		if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
			_exit(1);
		log_init();
		act(scene);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static const char *
text_of(struct scene *scene, const char *name)
{
	assert_true(folder_read(&scene->folder, name, &scene->text));
	assert_true(buf_append_octet(&scene->text, '\0'));
	return (const char *)buf_span(&scene->text).p;
}

static size_t
count(const char *text, const char *part)
{
	size_t found = 0;

	while ((text = strstr(text, part)) != NULL) {
		found++;
		text += strlen(part);
	}
	return found;
}

static void
every_event_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (unsigned i = 0; i < EVENT_COUNT; i++) {
		const char *name = log_event_name((enum log_event)i);

		assert_true(name != NULL && name[0] != '\0');
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(
				name, log_event_name((enum log_event)j));
	}
}

static void
say_hello(struct scene *scene)
{
	(void)scene;
	log_printf(EVENT_STARTED, "worker=%d", 7);
	log_event(EVENT_BACKEND_DOWN, SPAN_NONE);
}

/* TIME SEVERITY NAME key=value */
static void
a_line_has_time_severity_name_and_details(void **state)
{
	struct scene scene;
	unsigned year, micro;
	const char *text;

	(void)state;
	scene_make(&scene);
	play(&scene, say_hello);
	text = text_of(&scene, "log");
	assert_int_equal(sscanf(text, "%4u-%*2u-%*2uT%*2u:%*2u:%*2u.%6uZ",
				&year, &micro),
			 2);
	assert_in_range(year, 2020, 2200);
	assert_non_null(strstr(text, "Z INFO started worker=7\n"));
	assert_non_null(strstr(text, "Z ERROR backend-down\n"));
	scene_end(&scene);
}

static void
say_hostile(struct scene *scene)
{
	(void)scene;
	log_event(EVENT_STARTED, SPAN_LIT("a=b\r\nX\0\x1b[31m\xc2\x9b\x7f"));
}

/* Whatever the octets: one line, and nothing that moves a terminal. */
static void
a_line_stays_one_line(void **state)
{
	struct scene scene;
	const char *text;

	(void)state;
	scene_make(&scene);
	play(&scene, say_hostile);
	text = text_of(&scene, "log");
	assert_int_equal(count(text, "\n"), 1);
	assert_non_null(strstr(text, " a=b\\x0d\\x0aX\\x00\\x1b[31m"
				     "\\xc2\\x9b\\x7f\n"));
	scene_end(&scene);
}

static void
say_much(struct scene *scene)
{
	char text[3 * LOG_LINE_MAX];

	(void)scene;
	memset(text, '\n', sizeof(text));
	log_event(EVENT_STARTED, span_make(text, sizeof(text)));
	memset(text, 'x', sizeof(text));
	for (size_t n = LOG_LINE_MAX - 60; n < LOG_LINE_MAX; n++)
		log_event((enum log_event)(n % EVENT_COUNT),
			  span_make(text, n));
}

static void
a_long_line_is_cut_and_says_so(void **state)
{
	struct scene scene;
	const char *text;

	(void)state;
	scene_make(&scene);
	play(&scene, say_much);
	text = text_of(&scene, "log");
	assert_true(count(text, " [cut]\n") > 1);
	assert_int_equal(count(text, "\n"), 61);
	while (*text != '\0') {
		const char *end = strchr(text, '\n');

		assert_in_range(end - text, 1, LOG_LINE_MAX - 1);
		text = end + 1;
	}
	scene_end(&scene);
}

static void
say_often(struct scene *scene)
{
	(void)scene;
	for (int i = 0; i < 500; i++)
		log_printf(EVENT_RESOLVER, "i=%d", i);
	log_printf(EVENT_STARTED, "another=event");
	assert(log_count(EVENT_RESOLVER) == 500);
	usleep(1100000);
	log_flush();
	log_flush();
}

/* Above 20 a second they are counted; other events are not held back. */
static void
repeats_are_held_back_and_their_number_is_said(void **state)
{
	struct scene scene;
	unsigned held_back;
	const char *text;

	(void)state;
	scene_make(&scene);
	play(&scene, say_often);
	text = text_of(&scene, "log");
	assert_in_range(count(text, "resolver i="), LOG_REPEATS_MAX,
			2 * LOG_REPEATS_MAX);
	assert_int_equal(count(text, "another=event"), 1);
	held_back = 0;
	for (const char *at = text;
	     (at = strstr(at, "resolver held-back=")) != NULL; at++)
		held_back += (unsigned)strtoul(at + 19, NULL, 10);
	assert_int_equal(held_back + count(text, "resolver i="), 500);
	scene_end(&scene);
}

static void
rename_and_reopen(struct scene *scene)
{
	char old[600];

	log_printf(EVENT_STARTED, "before");
	snprintf(old, sizeof(old), "%s", folder_path(&scene->folder, "log.1"));
	if (rename(folder_path(&scene->folder, "log"), old) != 0)
		_exit(1);
	log_printf(EVENT_STARTED, "renamed");
	log_reopen(geteuid(), getegid());
	log_printf(EVENT_STARTED, "after");
}

static void
a_renamed_log_is_opened_anew(void **state)
{
	struct scene scene;
	const char *text;

	(void)state;
	scene_make(&scene);
	play(&scene, rename_and_reopen);
	text = text_of(&scene, "log.1");
	assert_non_null(strstr(text, "before"));
	assert_non_null(strstr(text, "renamed"));
	assert_null(strstr(text, "after"));
	text = text_of(&scene, "log");
	assert_int_equal(count(text, "\n"), 2);
	assert_non_null(strstr(text, "log-reopened pid="));
	assert_null(strstr(text, "error="));
	assert_non_null(strstr(text, "after"));
	scene_end(&scene);
}

/* Nobody reads: the process must not wait, and later says what is missing. */
static void
fill_the_pipe(struct scene *scene)
{
	char octets[65536];
	int ends[2];

	if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0)
		_exit(1);
	for (int i = 0; i < 20000; i++)
		log_printf((enum log_event)(i % EVENT_COUNT), "%0200d", i);
	if (read(ends[0], octets, sizeof(octets)) <= 0)
		_exit(1);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	while (read(ends[0], octets, sizeof(octets)) > 0)
		;
	log_flush();
	octets[0] = '\0';
	if (read(ends[0], octets, sizeof(octets)) <= 0 ||
	    strstr(octets, "WARN log-lost lines=") == NULL)
		_exit(1);
	(void)scene;
}

static void
a_full_pipe_costs_lines_not_time(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	play(&scene, fill_the_pipe);
	scene_end(&scene);
}

struct value {
	struct span value;
	const char *wanted;
};

static const struct value values[] = {
	{ { (const uint8_t *)"192.0.2.1", 9 }, "k=192.0.2.1" },
	{ { NULL, 0 }, "k=\"\"" },
	{ { (const uint8_t *)"a b", 3 }, "k=\"a b\"" },
	{ { (const uint8_t *)"a=b", 3 }, "k=\"a=b\"" },
	{ { (const uint8_t *)"a\"\\b", 4 }, "k=\"a\\\"\\\\b\"" },
	{ { (const uint8_t *)"\r\n\xe9", 3 }, "k=\"\\x0d\\x0a\\xe9\"" },
};

static void
values_are_quoted_where_needed(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		buf_reset(&buf);
		assert_true(log_value(&buf, "k", values[i].value));
		assert_true(span_equal(buf_span(&buf),
				       span_cstr(values[i].wanted)));
	}
	assert_true(log_value(&buf, "second", SPAN_LIT("x")));
	assert_non_null(memmem(buf_span(&buf).p, buf.n, "\" second=x", 10));
	buf_fini(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_has_a_name_of_its_own),
		cmocka_unit_test(a_line_has_time_severity_name_and_details),
		cmocka_unit_test(values_are_quoted_where_needed),
		cmocka_unit_test(a_line_stays_one_line),
		cmocka_unit_test(a_long_line_is_cut_and_says_so),
		cmocka_unit_test(
			repeats_are_held_back_and_their_number_is_said),
		cmocka_unit_test(a_renamed_log_is_opened_anew),
		cmocka_unit_test(a_full_pipe_costs_lines_not_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
