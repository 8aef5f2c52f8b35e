/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a keeper does with segments that others have renamed or deleted, and
 * that it loses none where the disk is full or descriptors have run out.
 */
#include "dmarc/report/segment.h"

#include "tests/unit/folder.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#define GATE SPAN_LIT("mx.example")
#define LINE "{\"v\":1,\"time\":\"2026-11-28T19:46:55.123456Z\"}\n"

static struct folder folder;
static int directory;

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

/* The live one, with a line in it. */
static int
open_live(void)
{
	int fd = segment_open(directory, GATE);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, LINE, strlen(LINE)), strlen(LINE));
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

/* A rotated one and the live one. */
static struct segment *
make_two(void)
{
	close(open_live());
	assert_int_equal(segment_rotate(directory, GATE), 0);
	return list_all(2);
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

/* --- renamed and deleted by others ---------------------------------------- */

static void
a_renamed_one_gets_its_name_as_a_segment(void **state)
{
	int fd = open_live();
	struct segment_head head;
	struct segment *list;

	(void)state;
	assert_true(segment_head_read(fd, &head));
	assert_int_equal(renameat(directory, SEGMENT_LIVE, directory, "mine"),
			 0);
	assert_int_equal(segment_rescue(directory, fd), 0);
	/* as often as one likes */
	assert_int_equal(segment_rescue(directory, fd), 0);
	close(fd);
	list = list_all(1);
	assert_int_equal(list[0].form, SEGMENT_IS_ROTATED);
	assert_string_equal(list[0].head.uuid, head.uuid);
	assert_int_equal(segment_close(directory, &list[0]), 0);
	assert_true(segment_is_closed(directory, &list[0]));
	free(list);
}

static void
nobody_can_rescue_a_deleted_one(void **state)
{
	int fd = open_live();

	(void)state;
	assert_int_equal(unlinkat(directory, SEGMENT_LIVE, 0), 0);
	assert_int_equal(segment_rescue(directory, fd), -ENOENT);
	assert_int_equal(count_files(), 0);
	close(fd);
}

static void
a_removed_one_is_gone_in_all_its_forms(void **state)
{
	struct segment *list = make_two();
	char other[SEGMENT_NAME_MAX];

	(void)state;
	/* as a compression leaves it that was cut short */
	segment_name(&list[0].head, true, other);
	assert_int_equal(linkat(directory, list[0].name, directory, other, 0),
			 0);
	assert_int_equal(segment_remove(directory, &list[0]), 0);
	assert_int_equal(count_files(), 1);
	assert_int_equal(segment_remove(directory, &list[0]), -ENOENT);
	free(list);
	free(list_all(1));
}

static void
what_was_deleted_meanwhile_is_an_error(void **state)
{
	struct segment *list = make_two();

	(void)state;
	assert_int_equal(segment_remove(directory, &list[0]), 0);
	assert_int_equal(segment_close(directory, &list[0]), -ENOENT);
	assert_int_equal(segment_compress(directory, &list[0]), -ENOENT);
	assert_false(segment_is_closed(directory, &list[0]));
	assert_int_equal(count_files(), 1);
	free(list);
}

/* --- without room, without descriptors ------------------------------------ */

static struct rlimit usual;

static void
limit(__rlimit_resource_t resource, rlim_t most)
{
	struct rlimit low;

	assert_int_equal(getrlimit(resource, &usual), 0);
	low = (struct rlimit){ most, usual.rlim_max };
	assert_int_equal(setrlimit(resource, &low), 0);
}

static void
unlimit(__rlimit_resource_t resource)
{
	assert_int_equal(setrlimit(resource, &usual), 0);
}

/* No file may grow: a full disk, but for the number of the error. */
static void
without_room_nothing_is_changed(void **state)
{
	struct segment *list = make_two();
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	int rotated, closed, compressed;

	(void)state;
	limit(RLIMIT_FSIZE, 0);
	rotated = segment_rotate(directory, GATE);
	closed = segment_close(directory, &list[0]);
	compressed = segment_compress(directory, &list[0]);
	unlimit(RLIMIT_FSIZE);
	signal(SIGXFSZ, handler);

	assert_int_equal(rotated, -EFBIG);
	assert_int_equal(closed, -EFBIG);
	assert_int_equal(compressed, -EFBIG);
	assert_int_equal(count_files(), 2);
	assert_false(segment_is_closed(directory, &list[0]));
	free(list);

	/* and later all goes well */
	assert_int_equal(segment_rotate(directory, GATE), 0);
	list = list_all(3);
	assert_int_equal(segment_close(directory, &list[0]), 0);
	assert_int_equal(segment_compress(directory, &list[0]), 0);
	free(list);
}

/* With so many left: every call needs one, some need another or a third. */
static void
assert_changes_nothing(int left, const struct segment *segment)
{
	int next = dup(directory), live, result[5];
	struct segment *list = NULL;
	size_t count = 0;

	close(next);
	live = openat(directory, SEGMENT_LIVE, O_RDONLY | O_CLOEXEC);
	assert_int_equal(live, next);
	limit(RLIMIT_NOFILE, (rlim_t)next + 1 + (rlim_t)left);
	result[0] = left == 0 ? segment_keep(directory) : -EMFILE;
	result[1] = left == 0 ? segment_open(directory, GATE) : -EMFILE;
	result[2] = segment_rotate(directory, GATE);
	result[3] = segment_compress(directory, segment);
	result[4] =
		left == 0 ? segment_list(directory, &list, &count) : -EMFILE;
	if (left == 0) {
		assert_int_equal(segment_mend(directory), -EMFILE);
		assert_int_equal(segment_close(directory, segment), -EMFILE);
		assert_false(segment_is_closed(directory, segment));
	}
	unlimit(RLIMIT_NOFILE);
	close(live);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(result[i], -EMFILE);
}

static void
without_descriptors_nothing_is_changed(void **state)
{
	struct segment *list = make_two();

	(void)state;
	assert_changes_nothing(0, &list[0]);
	assert_changes_nothing(1, &list[0]);
	assert_int_equal(count_files(), 2);
	free(list);
	free(list_all(2));
}

#define IN_A_FOLDER(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(a_renamed_one_gets_its_name_as_a_segment),
		IN_A_FOLDER(nobody_can_rescue_a_deleted_one),
		IN_A_FOLDER(a_removed_one_is_gone_in_all_its_forms),
		IN_A_FOLDER(what_was_deleted_meanwhile_is_an_error),
		IN_A_FOLDER(without_room_nothing_is_changed),
		IN_A_FOLDER(without_descriptors_nothing_is_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
