/* SPDX-License-Identifier: BSD-2-Clause */
/* Registered readers: where they stand, and what they hold back. */
#include "dmarc/report/registry.h"

#include "tests/unit/folder.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

#define FIRST "00000000-0000-4000-8000-000000000001"
#define SECOND "00000000-0000-4000-8000-000000000002"
#define THIRD "00000000-0000-4000-8000-000000000003"
#define GONE "00000000-0000-4000-8000-00000000ffff"

static const struct segment list[] = {
	{ .head.uuid = FIRST, .form = SEGMENT_IS_ROTATED },
	{ .head.uuid = SECOND, .form = SEGMENT_IS_ROTATED },
	{ .head.uuid = THIRD, .form = SEGMENT_IS_LIVE },
};

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

static void
set(const char *name, const char *uuid, uint64_t offset)
{
	struct spool_position position = { .offset = offset };

	memcpy(position.uuid, uuid, strlen(uuid) + 1);
	assert_int_equal(registry_set(directory, name, &position), 0);
}

static void
assert_is_at(const char *name, const char *uuid, uint64_t offset)
{
	struct spool_position position;

	assert_int_equal(registry_get(directory, name, &position), 0);
	assert_string_equal(position.uuid, uuid);
	assert_int_equal(position.offset, offset);
}

static void
assert_passed(size_t wanted, const char *lagging)
{
	struct registry_survey survey;

	assert_int_equal(registry_survey(directory, list, CASES(list), &survey),
			 0);
	assert_int_equal(survey.passed, wanted);
	assert_string_equal(survey.lagging, lagging);
}

static void
assert_lost(const char *wanted)
{
	struct registry_survey survey;

	assert_int_equal(registry_survey(directory, list, CASES(list), &survey),
			 0);
	assert_string_equal(survey.lost, wanted);
}

static void
a_reader_is_where_it_said(void **state)
{
	struct spool_position position;

	(void)state;
	assert_int_equal(registry_get(directory, "reports", &position),
			 -ENOENT);
	set("reports", "", 0);
	assert_is_at("reports", "", 0);
	set("reports", FIRST, 4711);
	set("Other_1-x", SECOND, UINT64_MAX);
	assert_is_at("reports", FIRST, 4711);
	assert_is_at("Other_1-x", SECOND, UINT64_MAX);
	assert_int_equal(registry_forget(directory, "reports"), 0);
	assert_int_equal(registry_forget(directory, "reports"), -ENOENT);
	assert_int_equal(registry_get(directory, "reports", &position),
			 -ENOENT);
}

static void
names_are_plain(void **state)
{
	char long_name[REGISTRY_NAME_MAX + 1] = { 0 };
	const char *const names[] = { "",    ".",     "..",
				      ".x",  "a/b",   "../verdict",
				      "a b", "a.new", long_name };
	struct spool_position position = { .uuid = FIRST };

	(void)state;
	memset(long_name, 'x', REGISTRY_NAME_MAX);
	for (size_t i = 0; i < CASES(names); i++) {
		assert_int_equal(registry_set(directory, names[i], &position),
				 -EINVAL);
		assert_int_equal(registry_get(directory, names[i], &position),
				 -EINVAL);
		assert_int_equal(registry_forget(directory, names[i]), -EINVAL);
	}
	/* One octet less than too long. */
	set(long_name + 1, FIRST, 1);
}

/* Readers run as other users, of the spool's group. */
static void
its_directory_is_open_to_the_group(void **state)
{
	mode_t mask = umask(077);
	struct stat status;

	(void)state;
	assert_int_equal(registry_make(directory), 0);
	assert_int_equal(registry_make(directory), 0);
	set("reports", FIRST, 1);
	umask(mask);
	assert_int_equal(fstatat(directory, "readers", &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 02770);
	assert_int_equal(fstatat(directory, "readers/reports", &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
}

static void
what_a_crash_left_of_its_directory_is_mended(void **state)
{
	struct stat status;

	(void)state;
	assert_int_equal(mkdirat(directory, "readers", 0700), 0);
	assert_int_equal(registry_make(directory), 0);
	assert_int_equal(fstatat(directory, "readers", &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 02770);
}

static void
without_readers_all_is_passed(void **state)
{
	(void)state;
	assert_passed(3, "");
	assert_int_equal(registry_make(directory), 0);
	assert_passed(3, "");
	set("reports", FIRST, 1);
	assert_int_equal(registry_forget(directory, "reports"), 0);
	assert_passed(3, "");
}

static void
the_last_one_holds_back_what_it_is_in(void **state)
{
	(void)state;
	set("fast", THIRD, 0);
	assert_passed(2, "fast");
	set("slow", FIRST, 100);
	assert_passed(0, "slow");
	set("slow", SECOND, 0);
	assert_passed(1, "slow");
	set("new", "", 0);
	assert_passed(0, "new");
	assert_int_equal(registry_forget(directory, "new"), 0);
	assert_int_equal(registry_forget(directory, "slow"), 0);
	assert_passed(2, "fast");
}

static void
one_that_lost_its_place_holds_all_back(void **state)
{
	(void)state;
	set("fast", SECOND, 0);
	set("new", "", 0);
	assert_lost("");
	assert_int_equal(registry_forget(directory, "new"), 0);
	set("lost", GONE, 100);
	assert_passed(0, "lost");
	assert_lost("lost");
	set("lost", THIRD, 0);
	assert_passed(1, "fast");
	assert_lost("");
}

static void
put_file(const char *name, const char *text)
{
	int fd = open(folder_path(&folder, name),
		      O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* It may be anywhere: nothing may go. */
static void
one_that_cannot_be_read_holds_all_back(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"x",
		" \n",
		"- 1\n",
		FIRST "\n",
		FIRST " \n",
		FIRST " 1",
		FIRST " -1\n",
		FIRST " 1 \n",
		"x 1\n",
		FIRST "0 1\n",
		FIRST " 18446744073709551616\n",
	};
	struct spool_position position;

	(void)state;
	set("fast", THIRD, 0);
	for (size_t i = 0; i < CASES(texts); i++) {
		put_file("readers/odd", texts[i]);
		assert_int_equal(registry_get(directory, "odd", &position),
				 -EBADMSG);
		assert_passed(0, "odd");
	}
	unlinkat(directory, "readers/odd", 0);
	assert_int_equal(symlinkat("fast", directory, "readers/odd"), 0);
	assert_passed(0, "odd");
	assert_lost("odd");
}

/* What a reader that was killed left, and what is none. */
static void
other_files_are_no_readers(void **state)
{
	(void)state;
	set("fast", THIRD, 0);
	put_file("readers/.fast.new", "");
	put_file("readers/README.txt", "");
	assert_passed(2, "fast");
	set("fast", SECOND, 0);
	assert_passed(1, "fast");
	assert_int_equal(faccessat(directory, "readers/.fast.new", F_OK, 0),
			 -1);
}

static void
there_is_a_bound_on_readers(void **state)
{
	struct spool_position position = { .uuid = FIRST };
	char name[32];

	(void)state;
	for (unsigned i = 0; i < REGISTRY_READERS_MAX; i++) {
		snprintf(name, sizeof(name), "reader-%u", i);
		set(name, FIRST, i);
	}
	assert_int_equal(registry_set(directory, "more", &position), -EUSERS);
	set("reader-0", SECOND, 1);
	assert_int_equal(registry_forget(directory, "reader-5"), 0);
	set("more", FIRST, 1);
}

#define IN_A_FOLDER(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(a_reader_is_where_it_said),
		IN_A_FOLDER(names_are_plain),
		IN_A_FOLDER(its_directory_is_open_to_the_group),
		IN_A_FOLDER(what_a_crash_left_of_its_directory_is_mended),
		IN_A_FOLDER(without_readers_all_is_passed),
		IN_A_FOLDER(the_last_one_holds_back_what_it_is_in),
		IN_A_FOLDER(one_that_lost_its_place_holds_all_back),
		IN_A_FOLDER(one_that_cannot_be_read_holds_all_back),
		IN_A_FOLDER(other_files_are_no_readers),
		IN_A_FOLDER(there_is_a_bound_on_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
