/* SPDX-License-Identifier: BSD-2-Clause */
/* The verdict log as one worker writes it: in order, through rotations, and
 * when the disk is full. */
#include "proxy/spoolfile.h"

#include "proxy/log.h"
#include "proxy/owner.h"
#include "tests/unit/folder.h"
#include "tests/unit/ring_scene.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define GATE SPAN_LIT("mx.example")
#define LINES_MAX 50

struct line {
	struct spoolfile_line line;
	unsigned count;
	int error;
	char text[16];
};

struct scene {
	struct folder folder;
	int directory;
	struct stats stats;
	struct ring_scene ring;
	struct spoolfile file;
	struct line lines[LINES_MAX];
	unsigned line_count;
};

/* --- the scene --------------------------------------------------------------
 */

static void
scene_folder(struct scene *scene)
{
	*scene = (struct scene){ 0 };
	signal(SIGXFSZ, SIG_IGN);
	folder_make(&scene->folder);
	scene->directory =
		open(scene->folder.name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(scene->directory >= 0);
}

static void
scene_start(struct scene *scene, uint64_t room_min)
{
	const struct spoolfile_setup setup = {
		.directory = scene->directory,
		.gate = GATE,
		.room_min = room_min,
		.stats = &scene->stats,
	};

	ring_scene_make(&scene->ring);
	spoolfile_init(&scene->file, scene->ring.ring, &scene->ring.timers,
		       &setup);
}

static void
scene_make(struct scene *scene)
{
	scene_folder(scene);
	scene_start(scene, 0);
}

static void
scene_stop(struct scene *scene)
{
	ring_scene_end(&scene->ring);
	spoolfile_fini(&scene->file);
}

static void
scene_end(struct scene *scene)
{
	scene_stop(scene);
	close(scene->directory);
	folder_remove(&scene->folder);
}

static void
on_done(struct spoolfile_line *line, int error)
{
	struct line *owner = OWNER(line, struct line, line);

	owner->count++;
	owner->error = error;
}

/* Start to append a line; its text is copied. */
static struct line *
append(struct scene *scene, const char *text)
{
	struct line *line = &scene->lines[scene->line_count++];

	assert_true(scene->line_count <= LINES_MAX);
	*line = (struct line){ .line.done = on_done };
	snprintf(line->text, sizeof(line->text), "%s", text);
	spoolfile_append(&scene->file, &line->line, span_cstr(line->text));
	assert_int_equal(line->count, 0);
	return line;
}

/* Append a line, and wait for it; its error. */
static int
appended(struct scene *scene, const char *text)
{
	struct line *line = append(scene, text);

	ring_scene_until(&scene->ring, &line->count, 1);
	return line->error;
}

/* Wait until no file is being left any more. */
static void
settle(struct scene *scene)
{
	uint64_t end_us = clock_monotonic_us() + 10000000;

	while (scene->file.left >= 0) {
		assert_true(clock_monotonic_us() < end_us);
		ring_scene_turn(&scene->ring, 10000);
	}
}

static void
tick(struct scene *scene)
{
	spoolfile_tick(&scene->file);
	settle(scene);
}

/* A file of the spool holds this, with * for any text, behind its head. */
static void
assert_holds(struct scene *scene, const char *name, const char *wanted)
{
	struct span left = span_cstr(wanted), rest;
	struct segment_head head;
	struct buf text;
	size_t n;

	buf_init(&text, 1 << 20);
	assert_true(folder_read(&scene->folder, name, &text));
	rest = buf_span(&text);
	n = span_find(rest, '\n');
	if (n < rest.n && segment_head_parse(span_first(rest, n), &head))
		rest = span_after(rest, n + 1);
	while (left.n > 0) {
		n = span_find(left, '*');
		if (!span_starts(rest, span_first(left, n)))
			fail_msg("the log holds \"%.*s\"", (int)text.n,
				 (const char *)buf_span(&text).p);
		rest = span_after(rest, n);
		left = span_after(left, n);
		if (left.n == 0)
			break;
		left = span_after(left, 1);
		rest = span_after(rest, span_find(rest, left.p[0]));
	}
	if (rest.n > 0)
		fail_msg("the log holds \"%.*s\" behind", (int)rest.n,
			 (const char *)rest.p);
	buf_fini(&text);
}

static void
assert_log(struct scene *scene, const char *wanted)
{
	assert_holds(scene, SEGMENT_LIVE, wanted);
}

/* The name of the segment that was rotated last. */
static const char *
rotated(struct scene *scene)
{
	static char name[SEGMENT_NAME_MAX];
	struct segment *list;
	size_t count;

	assert_int_equal(segment_list(scene->directory, &list, &count), 0);
	assert_true(count > 1);
	memcpy(name, list[count - 2].name, sizeof(name));
	free(list);
	return name;
}

static void
rotate(struct scene *scene)
{
	assert_int_equal(segment_rotate(scene->directory, GATE), 0);
}

static bool
is_closable(struct scene *scene)
{
	struct segment *list;
	size_t count;
	int result;

	assert_int_equal(segment_list(scene->directory, &list, &count), 0);
	assert_true(count > 1);
	result = segment_close(scene->directory, &list[count - 2]);
	free(list);
	assert_true(result == 0 || result == -EWOULDBLOCK);
	return result == 0;
}

/* The ring closes the file in its own time. */
static void
until_closable(struct scene *scene)
{
	uint64_t end_us = clock_monotonic_us() + 10000000;

	while (!is_closable(scene)) {
		assert_true(clock_monotonic_us() < end_us);
		ring_scene_turn(&scene->ring, 1000);
	}
}

static void
put_file(struct scene *scene, const char *name, const char *text)
{
	int fd = open(folder_path(&scene->folder, name),
		      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* --- as it should be --------------------------------------------------------
 */

static void
lines_are_written_in_order_and_told(void **state)
{
	struct scene scene;
	struct buf wanted;

	(void)state;
	scene_make(&scene);
	buf_init(&wanted, 4096);
	for (unsigned i = 0; i < LINES_MAX; i++) {
		char text[16];

		snprintf(text, sizeof(text), "line %u\n", i);
		buf_append(&wanted, span_cstr(text));
		append(&scene, text);
	}
	ring_scene_until(&scene.ring, &scene.lines[LINES_MAX - 1].count, 1);
	for (unsigned i = 0; i < LINES_MAX; i++) {
		assert_int_equal(scene.lines[i].count, 1);
		assert_int_equal(scene.lines[i].error, 0);
	}
	buf_append_octet(&wanted, '\0');
	assert_log(&scene, (const char *)buf_span(&wanted).p);
	buf_fini(&wanted);
	scene_end(&scene);
}

static void
written_lines_are_synced_within_about_a_second(void **state)
{
	struct spoolfile *file;
	struct scene scene;

	(void)state;
	scene_make(&scene);
	file = &scene.file;
	ring_scene_turn(&scene.ring, 1000);
	assert_false(timer_is_set(&file->sync_at));
	assert_int_equal(appended(&scene, "x\n"), 0);
	assert_true(file->is_dirty);
	assert_true(timer_is_set(&file->sync_at));
	ring_scene_for(&scene.ring, SPOOLFILE_SYNC_US + 300000);
	assert_false(file->is_dirty);
	assert_false(file->is_syncing);
	assert_false(timer_is_set(&file->sync_at));
	scene_end(&scene);
}

static void
write_many(int directory, char name)
{
	struct stats stats = { 0 };
	const struct spoolfile_setup setup = { .directory = directory,
					       .gate = GATE,
					       .stats = &stats };
	struct line line = { .line.done = on_done };
	struct ring_scene scene;
	struct spoolfile file;
	char text[1000];

	memset(text, name, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\n';
	ring_scene_make(&scene);
	spoolfile_init(&file, scene.ring, &scene.timers, &setup);
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
	struct scene scene;
	struct buf text;
	struct span rest;
	int status;
	pid_t pid;

	(void)state;
	scene_folder(&scene);
	pid = fork();
	assert_true(pid >= 0);
	write_many(scene.directory, pid == 0 ? 'a' : 'b');
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	buf_init(&text, 1 << 20);
	assert_true(folder_read(&scene.folder, SEGMENT_LIVE, &text));
	rest = buf_span(&text);
	rest = span_after(rest, span_find(rest, '\n') + 1);
	assert_int_equal(rest.n, 400 * 1000);
	for (; rest.n > 0; rest = span_after(rest, 1000))
		for (size_t i = 0; i < 999; i++)
			assert_int_equal(rest.p[i], rest.p[0]);
	buf_fini(&text);
	close(scene.directory);
	folder_remove(&scene.folder);
}

/* --- rotation ---------------------------------------------------------------
 */

static void
it_moves_on_at_the_tick_behind_a_rotation(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	assert_int_equal(appended(&scene, "one\n"), 0);
	rotate(&scene);
	assert_int_equal(appended(&scene, "two\n"), 0);
	assert_false(is_closable(&scene));
	tick(&scene);
	until_closable(&scene);
	assert_int_equal(appended(&scene, "three\n"), 0);
	assert_holds(&scene, rotated(&scene), "one\ntwo\n{*}\n");
	assert_log(&scene, "three\n");
	scene_end(&scene);
}

static void
lines_that_wait_go_to_the_new_file(void **state)
{
	struct scene scene;
	struct line *last;

	(void)state;
	scene_make(&scene);
	assert_int_equal(appended(&scene, "zero\n"), 0);
	rotate(&scene);
	append(&scene, "one\n");
	last = append(&scene, "two\n");
	spoolfile_tick(&scene.file);
	ring_scene_until(&scene.ring, &last->count, 1);
	settle(&scene);
	until_closable(&scene);
	assert_holds(&scene, rotated(&scene), "zero\n{*}\n");
	assert_log(&scene, "one\ntwo\n");
	scene_end(&scene);
}

/* The file is closed, and with it goes the lock, only when all is on the
 * disk. */
static void
what_is_left_behind_is_synced_first(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	assert_int_equal(appended(&scene, "one\n"), 0);
	rotate(&scene);
	spoolfile_tick(&scene.file);
	assert_true(scene.file.left >= 0);
	assert_true(scene.file.left != scene.file.fd);
	assert_false(is_closable(&scene));
	/* Once more, while the first is not yet closed: it waits. */
	rotate(&scene);
	spoolfile_tick(&scene.file);
	settle(&scene);
	assert_false(is_closable(&scene));
	tick(&scene);
	until_closable(&scene);
	assert_int_equal(appended(&scene, "two\n"), 0);
	assert_log(&scene, "two\n");
	scene_end(&scene);
}

static void
it_goes_on_with_the_old_one_while_there_is_no_new(void **state)
{
	uint64_t before = log_count(EVENT_SPOOL_FAILED);
	struct scene scene;

	(void)state;
	scene_make(&scene);
	assert_int_equal(appended(&scene, "one\n"), 0);
	assert_int_equal(
		renameat(scene.directory, SEGMENT_LIVE, scene.directory, "old"),
		0);
	assert_int_equal(symlinkat("old", scene.directory, SEGMENT_LIVE), 0);
	tick(&scene);
	tick(&scene);
	assert_int_equal(log_count(EVENT_SPOOL_FAILED), before + 1);
	assert_int_equal(appended(&scene, "two\n"), 0);
	assert_false(scene.file.is_full);
	/* None at all: the keeper makes it. */
	unlinkat(scene.directory, SEGMENT_LIVE, 0);
	tick(&scene);
	assert_int_equal(appended(&scene, "three\n"), 0);
	close(segment_open(scene.directory, GATE));
	tick(&scene);
	assert_int_equal(appended(&scene, "four\n"), 0);
	assert_holds(&scene, "old", "one\ntwo\nthree\n");
	assert_log(&scene, "four\n");
	scene_end(&scene);
}

/* … by the keeper: it takes listing the directory, and syncs. */
static void
one_that_was_deleted_is_made_anew_by_others(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene);
	assert_int_equal(appended(&scene, "one\n"), 0);
	unlinkat(scene.directory, SEGMENT_LIVE, 0);
	tick(&scene);
	assert_int_equal(faccessat(scene.directory, SEGMENT_LIVE, F_OK, 0), -1);
	close(segment_open(scene.directory, GATE));
	tick(&scene);
	assert_int_equal(appended(&scene, "two\n"), 0);
	assert_log(&scene, "two\n");
	scene_end(&scene);
}

/* --- trouble ----------------------------------------------------------------
 */

/* The one before was killed in mid-write. */
static void
behind_a_torn_line_it_begins_with_a_line_end(void **state)
{
	struct scene scene;

	(void)state;
	scene_folder(&scene);
	put_file(&scene, SEGMENT_LIVE, "whole\nto");
	scene_start(&scene, 0);
	assert_int_equal(appended(&scene, "one\n"), 0);
	assert_int_equal(appended(&scene, "two\n"), 0);
	assert_log(&scene, "whole\nto\none\ntwo\n");
	scene_end(&scene);
}

/* A limit on the file's size does what a full disk does. */
static void
limit_size(rlim_t octets)
{
	struct rlimit limit = { octets, RLIM_INFINITY };

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Room for so many octets behind what is there. The ring's threads take over
 * the limits of the process: so it is set before there is a ring. */
static void
scene_make_narrow(struct scene *scene, rlim_t octets)
{
	struct stat status;
	int fd;

	scene_folder(scene);
	fd = segment_open(scene->directory, GATE);
	assert_int_equal(fstat(fd, &status), 0);
	close(fd);
	limit_size((rlim_t)status.st_size + octets);
	scene_start(scene, 0);
}

/* A short write: the rest is never sent, the next line stands by itself. */
static void
a_torn_line_stays_torn(void **state)
{
	struct line *torn, *failed;
	struct scene scene;

	(void)state;
	scene_make_narrow(&scene, 10);
	assert_int_equal(appended(&scene, "12345\n"), 0);
	torn = append(&scene, "abcdefgh\n");
	failed = append(&scene, "ijk\n");
	ring_scene_until(&scene.ring, &failed->count, 1);
	assert_int_equal(torn->error, -ENOSPC);
	assert_true(failed->error < 0);
	assert_log(&scene, "12345\nabcd");

	limit_size(RLIM_INFINITY);
	assert_int_equal(appended(&scene, "after\n"), 0);
	settle(&scene);
	assert_log(&scene, "12345\nabcd\nafter\n{\"v\":1,\"lost\":2,*}\n");
	scene_end(&scene);
}

/* Of lines written together those before the cut are whole, and told so. */
static void
a_cut_loses_none_before_it(void **state)
{
	struct line *whole, *torn, *behind;
	struct scene scene;

	(void)state;
	scene_make_narrow(&scene, 10);
	whole = append(&scene, "12345\n");
	torn = append(&scene, "abcdefgh\n");
	behind = append(&scene, "ijk\n");
	ring_scene_until(&scene.ring, &behind->count, 1);
	assert_int_equal(whole->error, 0);
	assert_int_equal(torn->error, -ENOSPC);
	assert_int_equal(behind->error, -EFBIG);
	assert_int_equal(scene.stats.count[STAT_SPOOL_LOST], 2);
	limit_size(RLIM_INFINITY);
	assert_int_equal(appended(&scene, "after\n"), 0);
	assert_log(&scene, "12345\nabcd\nafter\n{\"v\":1,\"lost\":2,*}\n");
	scene_end(&scene);
}

/* … and where it falls between two lines, none is torn. */
static void
a_cut_between_two_lines_tears_none(void **state)
{
	struct line *whole, *lost;
	struct scene scene;

	(void)state;
	scene_make_narrow(&scene, 6);
	whole = append(&scene, "12345\n");
	lost = append(&scene, "abc\n");
	ring_scene_until(&scene.ring, &lost->count, 1);
	assert_int_equal(whole->error, 0);
	assert_int_equal(lost->error, -ENOSPC);
	limit_size(RLIM_INFINITY);
	assert_int_equal(appended(&scene, "after\n"), 0);
	assert_log(&scene, "12345\nafter\n{\"v\":1,\"lost\":1,*}\n");
	scene_end(&scene);
}

/* … behind the first lines that found some, and once. */
static void
how_many_were_lost_is_told_once_there_is_room(void **state)
{
	uint64_t full = log_count(EVENT_SPOOL_FULL);
	uint64_t works = log_count(EVENT_SPOOL_WORKS);
	uint64_t lost = log_count(EVENT_SPOOL_LOST);
	struct scene scene;
	struct line *last;

	(void)state;
	scene_make_narrow(&scene, 0);
	assert_false(scene.file.is_full);
	for (int i = 0; i < 3; i++)
		assert_int_equal(appended(&scene, "lost\n"), -EFBIG);
	assert_true(scene.file.is_full);
	tick(&scene);
	tick(&scene);
	assert_true(scene.file.is_full);
	assert_int_equal(scene.stats.count[STAT_SPOOL_LOST], 3);
	assert_int_equal(log_count(EVENT_SPOOL_FULL), full + 1);
	assert_int_equal(log_count(EVENT_SPOOL_LOST), lost + 1);

	limit_size(RLIM_INFINITY);
	append(&scene, "one\n");
	last = append(&scene, "two\n");
	ring_scene_until(&scene.ring, &last->count, 1);
	assert_false(scene.file.is_full);
	assert_int_equal(log_count(EVENT_SPOOL_WORKS), works + 1);
	assert_int_equal(appended(&scene, "three\n"), 0);
	tick(&scene);
	assert_log(&scene, "one\ntwo\n{\"v\":1,\"lost\":3,\"since\":*}\n"
			   "three\n");
	assert_int_equal(scene.stats.count[STAT_SPOOL_LOST], 3);
	scene_end(&scene);
}

/* Not only when the next message comes. */
static void
a_tick_finds_out_that_there_is_room(void **state)
{
	struct scene scene;

	(void)state;
	scene_make_narrow(&scene, 0);
	assert_int_equal(appended(&scene, "lost\n"), -EFBIG);
	tick(&scene);
	assert_true(scene.file.is_full);
	limit_size(RLIM_INFINITY);
	tick(&scene);
	assert_false(scene.file.is_full);
	assert_log(&scene, "{\"v\":1,\"lost\":1,*}\n");
	scene_end(&scene);
}

static void
the_last_chance_to_tell_is_the_end(void **state)
{
	struct scene scene;

	(void)state;
	scene_make_narrow(&scene, 2);
	assert_int_equal(appended(&scene, "lost\n"), -ENOSPC);
	limit_size(RLIM_INFINITY);
	scene_stop(&scene);
	assert_log(&scene, "lo\n{\"v\":1,\"lost\":1,*}\n");
	close(scene.directory);
	folder_remove(&scene.folder);
}

static void
too_little_room_is_none(void **state)
{
	struct scene scene;

	(void)state;
	scene_folder(&scene);
	scene_start(&scene, INT64_MAX);
	assert_true(scene.file.is_full);
	/* Lines are tried all the same, and change nothing. */
	assert_int_equal(appended(&scene, "one\n"), 0);
	assert_true(scene.file.is_full);
	scene.file.setup.room_min = 1;
	tick(&scene);
	assert_false(scene.file.is_full);
	assert_log(&scene, "one\n");
	scene_end(&scene);
}

static void
without_a_file_lines_fail_until_there_is_one(void **state)
{
	struct scene scene;

	(void)state;
	scene_folder(&scene);
	assert_int_equal(mkdirat(scene.directory, SEGMENT_LIVE, 0700), 0);
	scene_start(&scene, 0);
	assert_true(scene.file.is_full);
	assert_int_equal(appended(&scene, "one\n"), -ELOOP);
	tick(&scene);
	assert_int_equal(appended(&scene, "two\n"), -ELOOP);
	assert_true(scene.file.is_full);
	assert_int_equal(unlinkat(scene.directory, SEGMENT_LIVE, AT_REMOVEDIR),
			 0);
	tick(&scene);
	assert_int_equal(appended(&scene, "three\n"), 0);
	assert_false(scene.file.is_full);
	assert_log(&scene, "{\"v\":1,\"lost\":2,*}\nthree\n");
	scene_end(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_written_in_order_and_told),
		cmocka_unit_test(
			written_lines_are_synced_within_about_a_second),
		cmocka_unit_test(lines_of_two_workers_never_mix),
		cmocka_unit_test(it_moves_on_at_the_tick_behind_a_rotation),
		cmocka_unit_test(lines_that_wait_go_to_the_new_file),
		cmocka_unit_test(what_is_left_behind_is_synced_first),
		cmocka_unit_test(
			it_goes_on_with_the_old_one_while_there_is_no_new),
		cmocka_unit_test(one_that_was_deleted_is_made_anew_by_others),
		cmocka_unit_test(behind_a_torn_line_it_begins_with_a_line_end),
		cmocka_unit_test(a_torn_line_stays_torn),
		cmocka_unit_test(a_cut_loses_none_before_it),
		cmocka_unit_test(a_cut_between_two_lines_tears_none),
		cmocka_unit_test(how_many_were_lost_is_told_once_there_is_room),
		cmocka_unit_test(a_tick_finds_out_that_there_is_room),
		cmocka_unit_test(the_last_chance_to_tell_is_the_end),
		cmocka_unit_test(too_little_room_is_none),
		cmocka_unit_test(without_a_file_lines_fail_until_there_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
