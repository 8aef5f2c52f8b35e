/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/spoolfile.h"

#include "proxy/owner.h"
#include "tests/unit/folder.h"
#include "tests/unit/ring_scene.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct line {
	struct spoolfile_line line;
	unsigned count;
	int error;
};

static void
on_done(struct spoolfile_line *line, int error)
{
	struct line *owner = OWNER(line, struct line, line);

	owner->count++;
	owner->error = error;
}

static void
assert_log(struct folder *folder, struct span wanted)
{
	struct buf text;

	buf_init(&text, 1 << 20);
	assert_true(folder_read(folder, SPOOLFILE_NAME, &text));
	if (!span_equal(buf_span(&text), wanted))
		fail_msg("the log holds \"%.*s\"", (int)text.n,
			 (const char *)buf_span(&text).p);
	buf_fini(&text);
}

static int
open_in(struct folder *folder, bool is_expected)
{
	struct buf faults;
	int fd;

	buf_init(&faults, 4096);
	fd = spoolfile_open(folder->name, getuid(), getgid(), &faults);
	assert_int_equal(fd >= 0, is_expected);
	assert_int_equal(faults.n > 0, !is_expected);
	if (!is_expected)
		assert_int_equal(faults.p[faults.n - 1], '\n');
	buf_fini(&faults);
	return fd;
}

static void
it_is_made_with_mode_0640_and_kept(void **state)
{
	struct folder folder;
	struct stat status;
	int fd;

	(void)state;
	folder_make(&folder);
	umask(0);
	fd = open_in(&folder, true);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
	assert_int_equal(write(fd, "one\n", 4), 4);
	close(fd);
	fd = open_in(&folder, true);
	assert_int_equal(write(fd, "two\n", 4), 4);
	close(fd);
	assert_log(&folder, SPAN_LIT("one\ntwo\n"));
	folder_remove(&folder);
}

/* Root opens it in a directory that belongs to somebody else. */
static void
links_and_other_kinds_of_file_are_refused(void **state)
{
	struct folder folder;
	char target[600];
	int fd;

	(void)state;
	folder_make(&folder);
	snprintf(target, sizeof(target), "%s", folder_path(&folder, "other"));
	fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);

	assert_int_equal(symlink(target, folder_path(&folder, SPOOLFILE_NAME)),
			 0);
	open_in(&folder, false);
	unlink(folder_path(&folder, SPOOLFILE_NAME));
	assert_int_equal(link(target, folder_path(&folder, SPOOLFILE_NAME)), 0);
	open_in(&folder, false);
	unlink(folder_path(&folder, SPOOLFILE_NAME));
	assert_int_equal(mkfifo(folder_path(&folder, SPOOLFILE_NAME), 0600), 0);
	open_in(&folder, false);
	unlink(folder_path(&folder, SPOOLFILE_NAME));
	folder_remove(&folder);
	open_in(&folder, false); /* no directory */
}

static void
lines_are_written_in_order_and_told(void **state)
{
	struct line lines[50];
	struct ring_scene scene;
	struct spoolfile file;
	struct folder folder;
	char text[50][16];
	struct buf wanted;
	int fd;

	(void)state;
	folder_make(&folder);
	ring_scene_make(&scene);
	fd = open_in(&folder, true);
	spoolfile_init(&file, scene.ring, &scene.timers, fd);
	buf_init(&wanted, 4096);
	for (unsigned i = 0; i < 50; i++) {
		int n = snprintf(text[i], sizeof(text[i]), "line %u\n", i);
		struct span octets = span_make(text[i], (size_t)n);

		buf_append(&wanted, octets);
		lines[i] = (struct line){ .line.done = on_done };
		spoolfile_append(&file, &lines[i].line, octets);
		assert_int_equal(lines[i].count, 0);
	}
	ring_scene_until(&scene, &lines[49].count, 1);
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(lines[i].count, 1);
		assert_int_equal(lines[i].error, 0);
	}
	assert_log(&folder, buf_span(&wanted));
	buf_fini(&wanted);
	ring_scene_end(&scene);
	spoolfile_fini(&file);
	close(fd);
	folder_remove(&folder);
}

static void
written_lines_are_synced_within_about_a_second(void **state)
{
	struct line line = { .line.done = on_done };
	struct ring_scene scene;
	struct spoolfile file;
	struct folder folder;
	int fd;

	(void)state;
	folder_make(&folder);
	ring_scene_make(&scene);
	fd = open_in(&folder, true);
	spoolfile_init(&file, scene.ring, &scene.timers, fd);
	ring_scene_turn(&scene, 1000);
	assert_false(timer_is_set(&file.timer));
	spoolfile_append(&file, &line.line, SPAN_LIT("x\n"));
	ring_scene_until(&scene, &line.count, 1);
	assert_true(file.is_dirty);
	assert_true(timer_is_set(&file.timer));
	ring_scene_for(&scene, SPOOLFILE_SYNC_US + 300000);
	assert_false(file.is_dirty);
	assert_false(file.is_syncing);
	assert_false(timer_is_set(&file.timer));
	ring_scene_end(&scene);
	spoolfile_fini(&file);
	close(fd);
	folder_remove(&folder);
}

/* A limit on the file's size does what a full disk does. */
static void
limit_size(rlim_t octets)
{
	struct rlimit limit = { octets, RLIM_INFINITY };

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A short write: the rest is never sent, the next line stands by itself. */
static void
a_torn_line_stays_torn(void **state)
{
	struct line lines[4];
	struct ring_scene scene;
	struct spoolfile file;
	struct folder folder;
	int fd;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	folder_make(&folder);
	fd = open_in(&folder, true);
	for (unsigned i = 0; i < 4; i++)
		lines[i] = (struct line){ .line.done = on_done };
	limit_size(10);
	/* The ring's threads take over the limits of the process. */
	ring_scene_make(&scene);
	spoolfile_init(&file, scene.ring, &scene.timers, fd);
	spoolfile_append(&file, &lines[0].line, SPAN_LIT("12345\n"));
	ring_scene_until(&scene, &lines[0].count, 1);
	assert_int_equal(lines[0].error, 0);
	spoolfile_append(&file, &lines[1].line, SPAN_LIT("abcdefgh\n"));
	spoolfile_append(&file, &lines[2].line, SPAN_LIT("ijk\n"));
	ring_scene_until(&scene, &lines[2].count, 1);
	assert_int_equal(lines[1].error, -ENOSPC);
	assert_true(lines[2].error < 0);
	assert_log(&folder, SPAN_LIT("12345\nabcd"));

	limit_size(RLIM_INFINITY);
	spoolfile_append(&file, &lines[3].line, SPAN_LIT("after\n"));
	ring_scene_until(&scene, &lines[3].count, 1);
	assert_int_equal(lines[3].error, 0);
	lines[0].count = 0;
	spoolfile_append(&file, &lines[0].line, SPAN_LIT("again\n"));
	ring_scene_until(&scene, &lines[0].count, 1);
	assert_log(&folder, SPAN_LIT("12345\nabcd\nafter\nagain\n"));
	ring_scene_end(&scene);
	spoolfile_fini(&file);
	close(fd);
	folder_remove(&folder);
}

static void
write_many(int fd, char name)
{
	struct line line = { .line.done = on_done };
	struct ring_scene scene;
	struct spoolfile file;
	char text[1000];

	memset(text, name, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\n';
	ring_scene_make(&scene);
	spoolfile_init(&file, scene.ring, &scene.timers, fd);
	for (unsigned i = 1; i <= 200; i++) {
		spoolfile_append(&file, &line.line,
				 span_make(text, sizeof(text)));
		ring_scene_until(&scene, &line.count, i);
	}
	ring_scene_end(&scene);
	spoolfile_fini(&file);
}

/* Each line is one write: lines of several processes never mix. */
static void
lines_of_two_workers_never_mix(void **state)
{
	struct folder folder;
	struct buf text;
	struct span rest;
	int fd, status;
	pid_t pid;

	(void)state;
	folder_make(&folder);
	fd = open_in(&folder, true);
	pid = fork();
	assert_true(pid >= 0);
	write_many(fd, pid == 0 ? 'a' : 'b');
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	buf_init(&text, 1 << 20);
	assert_true(folder_read(&folder, SPOOLFILE_NAME, &text));
	assert_int_equal(text.n, 400 * 1000);
	for (rest = buf_span(&text); rest.n > 0; rest = span_after(rest, 1000))
		for (size_t i = 0; i < 999; i++)
			assert_int_equal(rest.p[i], rest.p[0]);
	buf_fini(&text);
	close(fd);
	folder_remove(&folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_made_with_mode_0640_and_kept),
		cmocka_unit_test(links_and_other_kinds_of_file_are_refused),
		cmocka_unit_test(lines_are_written_in_order_and_told),
		cmocka_unit_test(
			written_lines_are_synced_within_about_a_second),
		cmocka_unit_test(lines_of_two_workers_never_mix),
		cmocka_unit_test(a_torn_line_stays_torn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
