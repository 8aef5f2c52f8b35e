/* SPDX-License-Identifier: BSD-2-Clause */
/* Segments: their lines and names, rotation, and what a crash leaves of it. */
#include "dmarc/report/segment.h"

#include "tests/unit/folder.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

#define UUID "0b5e7c1e-9d52-4c6a-8f3e-2f1d5a6b7c8d"
#define OTHER "ffffffff-0000-4000-8000-000000000001"
#define OPENED_US UINT64_C(1795895215123456)
#define OPENED "2026-11-28T19:46:55.123456Z"
#define NAME "verdict-20261128T194655.123456Z-" UUID ".log"
#define SHORT_TIME "verdict-20261128T194655.12345Z-" UUID ".log"
#define NO_SUFFIX "verdict-20261128T194655.123456Z-" UUID
#define NO_DAY "verdict-20261138T194655.123456Z-" UUID ".log"
#define GATE SPAN_LIT("mx.example")

static struct folder folder;
static int directory;

/* --- lines and names ------------------------------------------------------ */

static void
assert_span(struct span s, const char *wanted)
{
	if (!span_equal(s, span_cstr(wanted)))
		fail_msg("\n%.*s\n is not\n%s", (int)s.n, (const char *)s.p,
			 wanted);
}

/* A line without its LF. */
static struct span
line_of(const struct buf *buf)
{
	struct span line = buf_span(buf);

	assert_true(line.n > 0 && line.p[line.n - 1] == '\n');
	line.n--;
	return line;
}

static void
assert_same_head(const struct segment_head *a, const struct segment_head *b)
{
	assert_string_equal(a->uuid, b->uuid);
	assert_string_equal(a->previous, b->previous);
	assert_int_equal(a->opened_us, b->opened_us);
}

static void
a_head_says_which_segment_it_begins(void **state)
{
	struct segment_head head = { UUID, OTHER, OPENED_US }, again;
	struct buf line;

	(void)state;
	buf_init(&line, 4096);
	assert_true(segment_head_format(&head, GATE, &line));
	assert_span(buf_span(&line),
		    "{\"v\":1,\"segment\":\"" UUID "\",\"opened\":\"" OPENED
		    "\",\"previous\":\"" OTHER "\",\"gate\":\"mx.example\"}\n");
	assert_true(segment_head_parse(line_of(&line), &again));
	assert_same_head(&again, &head);

	buf_reset(&line);
	head.previous[0] = '\0';
	assert_true(segment_head_format(&head, GATE, &line));
	assert_true(segment_head_parse(line_of(&line), &again));
	assert_string_equal(again.previous, "");
	buf_fini(&line);
}

static void
what_is_no_head_is_none(void **state)
{
	static const char *const lines[] = {
		"",
		"{}",
		"{\"v\":1,\"time\":\"" OPENED "\"}",
		/* another version, a UUID, a time, a predecessor that is none
		 */
		"{\"v\":2,\"segment\":\"" UUID "\",\"opened\":\"" OPENED
		"\",\"previous\":null}",
		"{\"v\":1,\"segment\":\"x" UUID "\",\"opened\":\"" OPENED
		"\",\"previous\":null}",
		"{\"v\":1,\"segment\":\"0B5E7C1E-9d52-4c6a-8f3e-2f1d5a6b7c8d\","
		"\"opened\":\"" OPENED "\",\"previous\":null}",
		"{\"v\":1,\"segment\":\"" UUID
		"\",\"opened\":\"2026-11-28\",\"previous\":null}",
		"{\"v\":1,\"segment\":\"" UUID
		"\",\"opened\":\"2026-13-28T19:46:55.123456Z\","
		"\"previous\":null}",
		"{\"v\":1,\"segment\":\"" UUID "\",\"opened\":\"" OPENED "\"}",
		"{\"v\":1,\"segment\":\"" UUID "\",\"opened\":\"" OPENED
		"\",\"previous\":\"x\"}",
		"{\"v\":1,\"segment\":\"" UUID "\",\"opened\":\"" OPENED
		"\",\"previous\":null",
	};
	struct segment_head head;

	(void)state;
	for (size_t i = 0; i < CASES(lines); i++)
		assert_false(segment_head_parse(span_cstr(lines[i]), &head));
}

static void
an_end_ends_its_own_segment(void **state)
{
	struct buf line;

	(void)state;
	buf_init(&line, 4096);
	assert_true(segment_end_format(UUID, OPENED_US, &line));
	assert_span(buf_span(&line), "{\"v\":1,\"end\":\"" UUID
				     "\",\"closed\":\"" OPENED "\"}\n");
	assert_true(segment_is_end(line_of(&line), UUID));
	assert_false(segment_is_end(line_of(&line), OTHER));
	assert_false(segment_is_end(line_of(&line), ""));
	assert_false(segment_is_end(SPAN_LIT("{\"v\":1,\"id\":\"x\"}"), ""));
	assert_false(segment_is_end(SPAN_NONE, UUID));
	buf_fini(&line);
}

static void
lost_lines_are_counted(void **state)
{
	struct buf line;

	(void)state;
	buf_init(&line, 4096);
	assert_true(segment_lost_format(17, OPENED_US, OPENED_US + 1, &line));
	assert_span(buf_span(&line),
		    "{\"v\":1,\"lost\":17,\"since\":\"" OPENED
		    "\",\"until\":\"2026-11-28T19:46:55.123457Z\"}\n");
	assert_int_equal(segment_lost_parse(line_of(&line)), 17);
	assert_int_equal(segment_lost_parse(SPAN_LIT("{\"v\":1}")), 0);
	assert_int_equal(
		segment_lost_parse(SPAN_LIT("{\"v\":1,\"lost\":\"x\"}")), 0);
	assert_int_equal(segment_lost_parse(SPAN_LIT("{\"v\":1,\"lost\":1")),
			 0);
	buf_fini(&line);
}

static void
names_say_what_heads_say(void **state)
{
	struct segment_head head = { UUID, "", OPENED_US }, again;
	enum segment_form form;
	char name[SEGMENT_NAME_MAX];

	(void)state;
	segment_name(&head, false, name);
	assert_string_equal(name, NAME);
	assert_true(segment_name_parse(name, &again, &form));
	assert_same_head(&again, &head);
	assert_int_equal(form, SEGMENT_IS_ROTATED);
	segment_name(&head, true, name);
	assert_string_equal(name, NAME ".gz");
	assert_true(segment_name_parse(name, &again, &form));
	assert_int_equal(form, SEGMENT_IS_COMPRESSED);
}

static void
other_names_are_none(void **state)
{
	static const char *const names[] = {
		"",
		"verdict.log",
		"verdict.log.1",
		"readers",
		"verdict-.log",
		NAME ".gz.gz",
		NAME ".bak",
		"x" NAME,
		SHORT_TIME,
		NO_DAY,
		"verdict-20261128T194655.123456Z",
		NO_SUFFIX,
		"verdict-20261128T194655.123456Z-0b5e7c1e.log",
	};
	struct segment_head head;
	enum segment_form form;

	(void)state;
	for (size_t i = 0; i < CASES(names); i++)
		assert_false(segment_name_parse(names[i], &head, &form));
}

/* --- a directory ---------------------------------------------------------- */

static int
set_up(void **state)
{
	(void)state;
	folder_make(&folder);
	directory = open(folder.name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return directory < 0;
}

static int
tear_down(void **state)
{
	(void)state;
	close(directory);
	folder_remove(&folder);
	return 0;
}

static void
put(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void
put_file(const char *name, const char *text)
{
	int fd = open(folder_path(&folder, name),
		      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	put(fd, text);
	close(fd);
}

static int
open_live(void)
{
	int fd = segment_open(directory, GATE);

	if (fd < 0)
		fail_msg("segment_open: %s", strerror(-fd));
	return fd;
}

static struct segment *
list_all(size_t wanted)
{
	struct segment *list;
	size_t count;

	assert_int_equal(segment_list(directory, &list, &count), 0);
	assert_int_equal(count, wanted);
	return list;
}

static void
assert_rotates(void)
{
	assert_int_equal(segment_rotate(directory, GATE), 0);
}

static bool
has_file(const char *name)
{
	return faccessat(directory, name, F_OK, 0) == 0;
}

/* Names that are neither "." nor "..". */
static size_t
count_files(void)
{
	DIR *names = opendir(folder.name);
	size_t count = 0;

	while (readdir(names) != NULL)
		count++;
	closedir(names);
	return count - 2;
}

static void
the_live_one_is_made_with_its_head(void **state)
{
	struct segment_head head;
	struct segment *list;
	struct stat status;
	mode_t mask = umask(077);
	int fd = open_live();

	(void)state;
	umask(mask);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK),
			 O_APPEND);
	assert_true(segment_head_read(fd, &head));
	assert_int_equal(strlen(head.uuid), SEGMENT_UUID_N);
	assert_int_equal(head.uuid[14], '4');
	assert_string_equal(head.previous, "");
	assert_true(segment_is_live(directory, fd));
	put(fd, "one\n");
	close(fd);

	fd = open_live();
	put(fd, "two\n");
	close(fd);
	list = list_all(1);
	assert_int_equal(list[0].form, SEGMENT_IS_LIVE);
	assert_string_equal(list[0].name, SEGMENT_LIVE);
	assert_string_equal(list[0].head.uuid, head.uuid);
	assert_int_equal(list[0].octets, status.st_size + 8);
	assert_int_equal(count_files(), 1);
	free(list);
}

static void
other_kinds_of_file_are_refused(void **state)
{
	const char *live = SEGMENT_LIVE;

	(void)state;
	put_file("other", "");
	assert_int_equal(symlinkat("other", directory, live), 0);
	assert_int_equal(segment_open(directory, GATE), -ELOOP);
	unlinkat(directory, live, 0);
	assert_int_equal(mkfifo(folder_path(&folder, live), 0600), 0);
	assert_int_equal(segment_open(directory, GATE), -ELOOP);
	unlinkat(directory, live, 0);
	assert_int_equal(mkdirat(directory, live, 0700), 0);
	assert_int_equal(segment_open(directory, GATE), -ELOOP);
	unlinkat(directory, live, AT_REMOVEDIR);
}

static void
a_rotated_one_keeps_its_writers_until_they_move_on(void **state)
{
	struct segment *list;
	struct segment first;
	int old = open_live(), new;

	(void)state;
	put(old, "before\n");
	assert_rotates();
	assert_false(segment_is_live(directory, old));
	put(old, "behind\n");
	list = list_all(2);
	first = list[0];
	assert_int_equal(first.form, SEGMENT_IS_ROTATED);
	assert_int_equal(list[1].form, SEGMENT_IS_LIVE);
	assert_string_equal(list[1].head.previous, first.head.uuid);
	assert_true(list[1].head.opened_us > first.head.opened_us);
	free(list);

	new = open_live();
	assert_int_equal(segment_close(directory, &first), -EWOULDBLOCK);
	assert_false(segment_is_closed(directory, &first));
	close(old);
	assert_int_equal(segment_close(directory, &first), 0);
	assert_true(segment_is_closed(directory, &first));
	close(new);
}

/* The lock is of whoever writes: also of one that was killed. */
static void
a_killed_writer_needs_no_marker(void **state)
{
	struct segment *list;
	int status, ready[2];
	char octet;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = segment_open(directory, GATE);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)!write(fd, "half a li", 9);
		(void)!write(ready[1], "!", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &octet, 1), 1);
	assert_rotates();
	list = list_all(2);
	assert_int_equal(segment_close(directory, &list[0]), -EWOULDBLOCK);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_int_equal(segment_close(directory, &list[0]), 0);
	assert_true(segment_is_closed(directory, &list[0]));
	free(list);
	close(ready[0]);
	close(ready[1]);
}

static void
assert_text(const char *name, const char *format, const char *uuid)
{
	struct buf text, wanted;
	size_t brace;

	buf_init(&text, 1 << 20);
	buf_init(&wanted, 1 << 20);
	assert_true(folder_read(&folder, name, &text));
	/* From behind the head, up to the time of the end. */
	brace = span_find(buf_span(&text), '\n') + 1;
	buf_consume(&text, brace);
	buf_append(&wanted, span_cstr(format));
	buf_printf(&wanted, "{\"v\":1,\"end\":\"%s\",\"closed\":\"", uuid);
	assert_true(text.n > wanted.n);
	if (!span_starts(buf_span(&text), buf_span(&wanted)))
		fail_msg("it holds %.*s", (int)text.n,
			 (const char *)buf_span(&text).p);
	assert_int_equal(text.n, wanted.n + strlen(OPENED "\"}\n"));
	buf_fini(&text);
	buf_fini(&wanted);
}

static void
an_end_stands_on_a_line_of_its_own_once(void **state)
{
	struct segment *list;
	int fd = open_live();

	(void)state;
	put(fd, "whole\ntorn");
	close(fd);
	assert_rotates();
	list = list_all(2);
	for (int i = 0; i < 3; i++)
		assert_int_equal(segment_close(directory, &list[0]), 0);
	assert_text(list[0].name, "whole\ntorn\n", list[0].head.uuid);
	free(list);
}

/* An end that was itself cut short by a full disk. */
static void
a_torn_end_is_written_again(void **state)
{
	struct segment *list;

	(void)state;
	close(open_live());
	assert_rotates();
	list = list_all(2);
	put_file(list[0].name, "{\"v\":1,\"end\":\"");
	assert_false(segment_is_closed(directory, &list[0]));
	assert_int_equal(segment_close(directory, &list[0]), 0);
	assert_text(list[0].name, "{\"v\":1,\"end\":\"\n", list[0].head.uuid);
	free(list);
}

/* Faster than the clock ticks, or with a clock that was set back. */
static void
segments_sort_in_the_order_of_opening(void **state)
{
	struct segment_head head = { UUID, "", 0 };
	struct segment *list;
	struct buf line;

	(void)state;
	head.opened_us = (uint64_t)time(NULL) * 1000000 + UINT64_C(3600000000);
	buf_init(&line, 4096);
	assert_true(segment_head_format(&head, GATE, &line));
	buf_append_octet(&line, '\0');
	put_file(SEGMENT_LIVE, (const char *)buf_span(&line).p);
	buf_fini(&line);
	for (int i = 0; i < 20; i++)
		assert_rotates();
	list = list_all(21);
	assert_string_equal(list[0].head.uuid, UUID);
	for (size_t i = 1; i < 21; i++) {
		assert_string_equal(list[i].head.previous,
				    list[i - 1].head.uuid);
		assert_int_equal(list[i].head.opened_us, head.opened_us + i);
	}
	free(list);
}

static void
one_that_is_gone_is_made_anew_behind_the_last(void **state)
{
	struct segment *list;
	char uuid[SEGMENT_UUID_N + 1];
	int fd;

	(void)state;
	close(open_live());
	assert_rotates();
	list = list_all(2);
	memcpy(uuid, list[0].head.uuid, sizeof(uuid));
	free(list);
	unlinkat(directory, SEGMENT_LIVE, 0);
	assert_int_equal(segment_rotate(directory, GATE), -ENOENT);
	fd = open_live();
	list = list_all(2);
	assert_string_equal(list[1].head.previous, uuid);
	free(list);
	close(fd);
}

/* As an older version left it, or `touch`. */
static void
one_without_a_head_is_rotated_under_a_new_name(void **state)
{
	static const char *const texts[] = { "", "{\"v\":1,\"id\":\"x\"}\n",
					     "{\"v\":1,\"segment\":" };

	(void)state;
	for (size_t i = 0; i < CASES(texts); i++) {
		struct segment *list;
		struct buf text;

		put_file(SEGMENT_LIVE, texts[i]);
		list = list_all(1);
		assert_string_equal(list[0].head.uuid, "");
		free(list);
		assert_rotates();
		list = list_all(2);
		assert_int_equal(strlen(list[0].head.uuid), SEGMENT_UUID_N);
		assert_string_equal(list[1].head.previous, list[0].head.uuid);
		buf_init(&text, 4096);
		assert_true(folder_read(&folder, list[0].name, &text));
		assert_span(buf_span(&text), texts[i]);
		buf_fini(&text);
		assert_int_equal(segment_close(directory, &list[0]), 0);
		assert_true(segment_is_closed(directory, &list[0]));
		unlinkat(directory, list[0].name, 0);
		unlinkat(directory, SEGMENT_LIVE, 0);
		free(list);
	}
}

/* cp verdict-….log verdict.log: two files must not get one name. */
static void
a_copy_of_an_old_one_gets_a_name_of_its_own(void **state)
{
	struct segment *list;
	char command[512];

	(void)state;
	close(open_live());
	assert_rotates();
	list = list_all(2);
	snprintf(command, sizeof(command), "cd %s && cp %s verdict.log",
		 folder.name, list[0].name);
	free(list);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	list = list_all(2);
	assert_int_equal(list[1].form, SEGMENT_IS_LIVE);
	free(list);
	assert_rotates();
	free(list_all(3));
}

static void
there_is_one_keeper(void **state)
{
	int keeper = segment_keep(directory);

	(void)state;
	assert_true(keeper >= 0);
	assert_int_equal(segment_keep(directory), -EWOULDBLOCK);
	close(keeper);
	keeper = segment_keep(directory);
	assert_true(keeper >= 0);
	close(keeper);
}

/* Readers may lock what they can open: not what the keeper needs. */
static void
a_locked_directory_locks_out_no_keeper(void **state)
{
	int reader = open(folder.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat status;
	int keeper;

	(void)state;
	assert_int_equal(flock(reader, LOCK_EX), 0);
	keeper = segment_keep(directory);
	assert_true(keeper >= 0);
	assert_int_equal(fstat(keeper, &status), 0);
	assert_int_equal(status.st_mode & 077, 0);
	close(keeper);
	close(reader);
}

static void
a_locked_live_one_is_told_from_others(void **state)
{
	int fd = open_live(), reader;

	(void)state;
	close(fd);
	reader = openat(directory, SEGMENT_LIVE, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(reader, LOCK_EX), 0);
	assert_int_equal(segment_open(directory, GATE), -EWOULDBLOCK);
	close(reader);
	close(open_live());
}

/* --- compressing ---------------------------------------------------------- */

/* One rotated and closed segment of a line, and the live one. */
static struct segment *
make_two(void)
{
	int fd = open_live();
	struct segment *list;

	put(fd, "line\n");
	close(fd);
	assert_rotates();
	list = list_all(2);
	assert_int_equal(segment_close(directory, &list[0]), 0);
	free(list);
	return list_all(2);
}

static void
a_compressed_one_is_the_same_segment(void **state)
{
	struct segment *plain = make_two(), *list;
	struct stat status;

	(void)state;
	assert_int_equal(segment_compress(directory, &plain[0]), 0);
	list = list_all(2);
	assert_int_equal(list[0].form, SEGMENT_IS_COMPRESSED);
	assert_same_head(&list[0].head, &plain[0].head);
	assert_true(segment_is_closed(directory, &list[0]));
	assert_int_equal(segment_close(directory, &list[0]), 0);
	assert_false(has_file(plain[0].name));
	assert_int_equal(fstatat(directory, list[0].name, &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
	assert_int_equal(count_files(), 2);
	assert_int_equal(segment_remove(directory, &list[0]), 0);
	assert_int_equal(count_files(), 1);
	free(plain);
	free(list);
}

/* --- what a crash leaves ---------------------------------------------------
 */

static void
assert_mends(void)
{
	assert_int_equal(segment_mend(directory), 0);
}

/* Killed before the new file had a name that counts. */
static void
unfinished_files_are_removed(void **state)
{
	(void)state;
	close(open_live());
	put_file(".verdict-" UUID ".new", "{\"v\":1,\"seg");
	put_file(".other", "");
	free(list_all(1));
	assert_mends();
	assert_false(has_file(".verdict-" UUID ".new"));
	assert_true(has_file(".other"));
	assert_true(has_file(SEGMENT_LIVE));
}

/* Killed between the two steps of a rotation. */
static void
a_rotation_cut_short_is_undone(void **state)
{
	char name[SEGMENT_NAME_MAX];
	struct segment_head head;
	struct segment *list;
	int fd = open_live();

	(void)state;
	assert_true(segment_head_read(fd, &head));
	segment_name(&head, false, name);
	assert_int_equal(linkat(directory, SEGMENT_LIVE, directory, name, 0),
			 0);
	put_file(".verdict-" UUID ".new", "");
	list = list_all(1);
	assert_int_equal(list[0].form, SEGMENT_IS_LIVE);
	free(list);

	assert_mends();
	assert_int_equal(count_files(), 1);
	assert_true(segment_is_live(directory, fd));
	assert_rotates();
	list = list_all(2);
	assert_string_equal(list[0].name, name);
	free(list);
	close(fd);
}

/* It need not even be mended first. */
static void
a_rotation_cut_short_can_be_finished(void **state)
{
	char name[SEGMENT_NAME_MAX];
	struct segment_head head;
	int fd = open_live();

	(void)state;
	assert_true(segment_head_read(fd, &head));
	segment_name(&head, false, name);
	assert_int_equal(linkat(directory, SEGMENT_LIVE, directory, name, 0),
			 0);
	assert_rotates();
	free(list_all(2));
	close(fd);
}

/* The same for one that had no head. */
static void
a_headless_rotation_cut_short_is_undone(void **state)
{
	(void)state;
	put_file(SEGMENT_LIVE, "line\n");
	assert_int_equal(linkat(directory, SEGMENT_LIVE, directory, NAME, 0),
			 0);
	free(list_all(1));
	assert_mends();
	assert_int_equal(count_files(), 1);
	assert_true(has_file(SEGMENT_LIVE));
}

/* Killed between the rename of the compressed one and the removal of the
 * other: it is there once, and compressed again. */
static void
a_compression_cut_short_is_undone(void **state)
{
	struct segment *list = make_two();
	char name[SEGMENT_NAME_MAX];

	(void)state;
	segment_name(&list[0].head, true, name);
	put_file(name, "not even gzip");
	free(list);
	list = list_all(2);
	assert_int_equal(list[0].form, SEGMENT_IS_ROTATED);
	assert_mends();
	assert_false(has_file(name));
	assert_true(has_file(list[0].name));
	put_file(name, "not even gzip");
	assert_int_equal(segment_compress(directory, &list[0]), 0);
	assert_false(has_file(list[0].name));
	free(list);
	list = list_all(2);
	assert_string_equal(list[0].head.previous, "");
	free(list);
}

/* What is there and whole is left alone. */
static void
mending_what_is_whole_changes_nothing(void **state)
{
	struct segment *list = make_two();

	(void)state;
	assert_int_equal(segment_compress(directory, &list[0]), 0);
	free(list);
	assert_rotates();
	put_file("notes", "");
	assert_mends();
	assert_int_equal(count_files(), 4);
	free(list_all(3));
}

/* --- at the same time ------------------------------------------------------
 */

/* While another process rotates and compresses: never a gap, never twice. */
static void
the_list_is_whole_at_every_instant(void **state)
{
	int status = 0, looks = 0;
	pid_t pid;

	(void)state;
	close(open_live());
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (int i = 0; i < 60; i++) {
			struct segment *list;
			size_t count;

			if (segment_rotate(directory, GATE) != 0 ||
			    segment_list(directory, &list, &count) != 0)
				_exit(1);
			if (count > 2 &&
			    segment_compress(directory, &list[count - 3]) != 0)
				_exit(2);
			free(list);
		}
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0 || looks < 10) {
		struct segment *list;
		size_t count;

		assert_int_equal(segment_list(directory, &list, &count), 0);
		assert_true(count > 0);
		assert_int_equal(list[count - 1].form, SEGMENT_IS_LIVE);
		for (size_t i = 1; i < count; i++)
			assert_string_equal(list[i].head.previous,
					    list[i - 1].head.uuid);
		free(list);
		looks++;
	}
	assert_int_equal(status, 0);
	free(list_all(61));
}

/* Writers that make a verdict.log at the same time have the same one. */
static void
writers_that_open_together_write_one_file(void **state)
{
	struct buf text;
	size_t lines = 0;

	(void)state;
	for (int i = 0; i < 8; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			int fd = segment_open(directory, GATE);

			_exit(write(fd, "line\n", 5) != 5);
		}
	}
	for (int i = 0; i < 8; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	buf_init(&text, 1 << 20);
	assert_true(folder_read(&folder, SEGMENT_LIVE, &text));
	for (size_t i = 0; i < text.n; i++)
		lines += buf_span(&text).p[i] == '\n';
	assert_int_equal(lines, 9);
	assert_int_equal(count_files(), 1);
	buf_fini(&text);
}

#define ROTATIONS 40

/* Open, write a line and close again, until killed. */
static _Noreturn void
write_on(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int fd = segment_open(directory, GATE);

		if (fd < 0 || write(fd, "line\n", 5) != 5)
			_exit(1);
		close(fd);
	}
}

/* A segment is closed as soon as that can be, with writers who may just have
 * opened it: none writes behind its last line. */
static void
nothing_is_written_behind_the_end(void **state)
{
	pid_t writers[3];
	struct segment *list;
	size_t count;

	(void)state;
	close(open_live());
	for (size_t i = 0; i < CASES(writers); i++) {
		writers[i] = fork();
		assert_true(writers[i] >= 0);
		if (writers[i] == 0)
			write_on();
	}
	for (int i = 0; i < ROTATIONS; i++) {
		struct segment last;

		assert_rotates();
		assert_int_equal(segment_list(directory, &list, &count), 0);
		last = list[count - 2];
		free(list);
		while (segment_close(directory, &last) == -EWOULDBLOCK)
			;
	}
	for (size_t i = 0; i < CASES(writers); i++) {
		int status;

		kill(writers[i], SIGKILL);
		assert_int_equal(waitpid(writers[i], &status, 0), writers[i]);
		assert_int_equal(status, SIGKILL);
	}
	assert_int_equal(segment_list(directory, &list, &count), 0);
	assert_int_equal(count, ROTATIONS + 1);
	for (size_t i = 0; i + 1 < count; i++)
		assert_true(segment_is_closed(directory, &list[i]));
	free(list);
}

#define IN_A_FOLDER(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_says_which_segment_it_begins),
		cmocka_unit_test(what_is_no_head_is_none),
		cmocka_unit_test(an_end_ends_its_own_segment),
		cmocka_unit_test(lost_lines_are_counted),
		cmocka_unit_test(names_say_what_heads_say),
		cmocka_unit_test(other_names_are_none),
		IN_A_FOLDER(the_live_one_is_made_with_its_head),
		IN_A_FOLDER(other_kinds_of_file_are_refused),
		IN_A_FOLDER(a_rotated_one_keeps_its_writers_until_they_move_on),
		IN_A_FOLDER(a_killed_writer_needs_no_marker),
		IN_A_FOLDER(an_end_stands_on_a_line_of_its_own_once),
		IN_A_FOLDER(a_torn_end_is_written_again),
		IN_A_FOLDER(segments_sort_in_the_order_of_opening),
		IN_A_FOLDER(one_that_is_gone_is_made_anew_behind_the_last),
		IN_A_FOLDER(one_without_a_head_is_rotated_under_a_new_name),
		IN_A_FOLDER(a_copy_of_an_old_one_gets_a_name_of_its_own),
		IN_A_FOLDER(there_is_one_keeper),
		IN_A_FOLDER(a_locked_directory_locks_out_no_keeper),
		IN_A_FOLDER(a_locked_live_one_is_told_from_others),
		IN_A_FOLDER(a_compressed_one_is_the_same_segment),
		IN_A_FOLDER(unfinished_files_are_removed),
		IN_A_FOLDER(a_rotation_cut_short_is_undone),
		IN_A_FOLDER(a_rotation_cut_short_can_be_finished),
		IN_A_FOLDER(a_headless_rotation_cut_short_is_undone),
		IN_A_FOLDER(a_compression_cut_short_is_undone),
		IN_A_FOLDER(mending_what_is_whole_changes_nothing),
		IN_A_FOLDER(the_list_is_whole_at_every_instant),
		IN_A_FOLDER(writers_that_open_together_write_one_file),
		IN_A_FOLDER(nothing_is_written_behind_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
