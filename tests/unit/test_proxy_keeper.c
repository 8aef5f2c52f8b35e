/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keeper of a spool, as a process: what it rotates, compresses and deletes,
 * and what it makes of a verdict.log that others have touched.
 */
#include "proxy/keeper.h"

#include "dmarc/report/registry.h"
#include "proxy/clock.h"
#include "tests/unit/folder.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define GATE SPAN_LIT("mx.example")
#define PATIENCE_US 20000000
#define KEEPERS_MAX 2
#define HEADLESS "{\"v\":1,\"id\":\"of an older version\"}\n"

struct scene {
	struct folder folder; /* the spool */
	struct folder aside;  /* what is none of it: the event log */
	int directory;
	int events; /* the keepers' stderr */
	int life[2];
	struct conf conf;
	pid_t pids[KEEPERS_MAX]; /* 0: none */
};

static struct scene scene;

/* --- the scene --------------------------------------------------------------
 */

static int
set_up(void **state)
{
	(void)state;
	scene = (struct scene){
		.conf = { .hostname = GATE,
			  .rotate_octets_max = UINT64_C(1) << 30 },
	};
	folder_make(&scene.folder);
	folder_make(&scene.aside);
	scene.directory =
		open(scene.folder.name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	scene.events = open(folder_path(&scene.aside, "events"),
			    O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return scene.directory < 0 || scene.events < 0 ||
	       pipe2(scene.life, O_CLOEXEC) != 0;
}

/* Start a keeper. */
static void
start(unsigned number)
{
	const struct keeper_setup setup = {
		.conf = &scene.conf,
		.spool = scene.directory,
		.life = scene.life[0],
	};
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		close(scene.life[1]);
		if (dup2(scene.events, STDERR_FILENO) < 0)
			_exit(2);
		_exit(keeper_run(&setup));
	}
	scene.pids[number] = pid;
}

/* End one by a signal; how it ended. */
static int
end(unsigned number, int signal)
{
	int status = -1;

	kill(scene.pids[number], signal);
	waitpid(scene.pids[number], &status, 0);
	scene.pids[number] = 0;
	return status;
}

static int
tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KEEPERS_MAX; i++)
		if (scene.pids[i] > 0)
			end(i, SIGKILL);
	close(scene.directory);
	close(scene.events);
	close(scene.life[0]);
	if (scene.life[1] >= 0)
		close(scene.life[1]);
	folder_remove(&scene.folder);
	folder_remove(&scene.aside);
	return 0;
}

/* Wait for something, waking the keepers up. */
static void
until(bool (*holds)(const void *), const void *what)
{
	uint64_t end_us = clock_monotonic_us() + PATIENCE_US;

	while (!holds(what)) {
		struct buf events;

		for (unsigned i = 0; i < KEEPERS_MAX; i++)
			if (scene.pids[i] > 0)
				kill(scene.pids[i], SIGCHLD);
		usleep(10000);
		if (clock_monotonic_us() < end_us)
			continue;
		buf_init(&events, 1 << 20);
		folder_read(&scene.aside, "events", &events);
		fail_msg("in vain; events:\n%.*s", (int)events.n,
			 (const char *)buf_span(&events).p);
	}
}

/* Lines of the event log with a text in them. */
static unsigned
count_events(const char *text)
{
	unsigned count = 0;
	struct buf events;
	struct span rest;

	buf_init(&events, 1 << 20);
	assert_true(folder_read(&scene.aside, "events", &events));
	for (rest = buf_span(&events); rest.n > 0;) {
		size_t n = span_find(rest, '\n');

		count += memmem(rest.p, n, text, strlen(text)) != NULL;
		rest = span_after(rest, n < rest.n ? n + 1 : n);
	}
	buf_fini(&events);
	return count;
}

static bool
is_said(const void *text)
{
	return count_events(text) > 0;
}

static void
until_said(const char *text)
{
	until(is_said, text);
}

static bool
has_file(const char *name)
{
	return faccessat(scene.directory, name, F_OK, 0) == 0;
}

static bool
is_there(const void *name)
{
	return has_file(name);
}

/* A round of the first keeper that begins now, until its end: the keeper says
 * when it has read a signal, and then does a round. */
static void
round_trip(void)
{
	for (int i = 0; i < 2; i++) {
		unsigned wanted = count_events("log-reopened") + 1;
		uint64_t end_us = clock_monotonic_us() + PATIENCE_US;

		kill(scene.pids[0], SIGUSR1);
		while (count_events("log-reopened") < wanted) {
			assert_true(clock_monotonic_us() < end_us);
			usleep(1000);
		}
	}
}

static struct segment *
list_all(size_t *count)
{
	struct segment *list;

	assert_int_equal(segment_list(scene.directory, &list, count), 0);
	return list;
}

/* Events that stand for more than one. */
static void
until_count(const char *text, unsigned wanted)
{
	uint64_t end_us = clock_monotonic_us() + PATIENCE_US;

	while (count_events(text) < wanted) {
		assert_true(clock_monotonic_us() < end_us);
		round_trip();
	}
	assert_int_equal(count_events(text), wanted);
}

/* How many segments there are of each form: of ".log" only closed ones. */
struct forms {
	size_t closed, compressed;
};

static bool
are_there(const void *what)
{
	const struct forms *wanted = what;
	struct forms found = { 0 };
	struct segment *list;
	size_t count, other = 0;

	list = list_all(&count);
	for (size_t i = 0; i < count; i++)
		if (list[i].form == SEGMENT_IS_COMPRESSED)
			found.compressed++;
		else if (list[i].form == SEGMENT_IS_LIVE)
			continue;
		else if (segment_is_closed(scene.directory, &list[i]))
			found.closed++;
		else
			other++;
	free(list);
	return other == 0 && found.closed == wanted->closed &&
	       found.compressed == wanted->compressed;
}

static void
until_forms(size_t closed, size_t compressed)
{
	struct forms forms = { closed, compressed };

	until(are_there, &forms);
	/* Then it tells. */
	round_trip();
}

/* Append to verdict.log, as a worker would. */
static void
put(const char *text)
{
	int fd = segment_open(scene.directory, GATE);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
put_file(const char *name, const char *text)
{
	int fd = open(folder_path(&scene.folder, name),
		      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
rotate(void)
{
	assert_int_equal(segment_rotate(scene.directory, GATE), 0);
}

/* So many rotated segments, of a line each. */
static void
make_segments(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		put("line\n");
		rotate();
	}
}

static void
set_reader(const char *name, const char *uuid)
{
	struct spool_position position = { 0 };

	snprintf(position.uuid, sizeof(position.uuid), "%s", uuid);
	assert_int_equal(registry_set(scene.directory, name, &position), 0);
}

/* A copy of the head of a segment of the list. */
static struct segment
segment_at(size_t i)
{
	struct segment segment;
	struct segment *list;
	size_t count;

	list = list_all(&count);
	assert_true(i < count);
	segment = list[i];
	free(list);
	return segment;
}

static void
assert_holds(const char *name, const char *text)
{
	struct buf octets;

	buf_init(&octets, 1 << 20);
	assert_true(folder_read(&scene.folder, name, &octets));
	if (memmem(buf_span(&octets).p, octets.n, text, strlen(text)) == NULL)
		fail_msg("%s holds %.*s", name, (int)octets.n,
			 (const char *)buf_span(&octets).p);
	buf_fini(&octets);
}

/* --- its life ---------------------------------------------------------------
 */

static void
it_makes_what_is_not_there(void **state)
{
	struct stat status;

	(void)state;
	start(0);
	until(is_there, SEGMENT_LIVE);
	until(is_there, REGISTRY_DIRECTORY);
	round_trip();
	assert_int_equal(
		fstatat(scene.directory, REGISTRY_DIRECTORY, &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 02770);
	assert_int_equal(end(0, SIGTERM), 0);
	assert_int_equal(count_events("spool-"), 0);
	assert_int_equal(count_events("INFO stopped process=keeper"), 1);
}

static void
it_ends_when_the_master_does(void **state)
{
	int status;

	(void)state;
	start(0);
	until(is_there, SEGMENT_LIVE);
	kill(scene.pids[0], SIGHUP);
	kill(scene.pids[0], SIGINT);
	round_trip();
	assert_int_equal(waitpid(scene.pids[0], &status, WNOHANG), 0);
	close(scene.life[1]);
	scene.life[1] = -1;
	assert_int_equal(waitpid(scene.pids[0], &status, 0), scene.pids[0]);
	scene.pids[0] = 0;
	assert_int_equal(status, 0);
}

static void
a_second_one_waits_for_the_end_of_the_first(void **state)
{
	(void)state;
	scene.conf.rotate_octets_max = 4096;
	start(0);
	until(is_there, SEGMENT_LIVE);
	start(1);
	/* On each reload it does so for a while. */
	usleep(1500000);
	assert_int_equal(count_events("spool-kept"), 0);
	until_said("WARN spool-kept");
	round_trip();
	assert_int_equal(end(0, SIGKILL), SIGKILL);
	put_file(SEGMENT_LIVE, "one line of very many octets\n");
	assert_int_equal(
		truncate(folder_path(&scene.folder, SEGMENT_LIVE), 5000), 0);
	until_said("spool-rotated");
	assert_int_equal(count_events("spool-kept"), 1);
}

static void
what_a_crash_left_is_mended(void **state)
{
	struct segment first;
	char name[SEGMENT_NAME_MAX];

	(void)state;
	make_segments(1);
	first = segment_at(0);
	segment_name(&first.head, true, name);
	put_file(name, "not even gzip");
	put_file(".verdict-0.new", "half a head");
	start(0);
	until_forms(1, 0);
	assert_false(has_file(name));
	assert_false(has_file(".verdict-0.new"));
}

/* --- rotation ---------------------------------------------------------------
 */

static void
it_rotates_by_size(void **state)
{
	char line[2000];
	int writer;

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 2] = '\n';
	line[sizeof(line) - 1] = '\0';
	scene.conf.rotate_octets_max = 4096;
	start(0);
	until(is_there, SEGMENT_LIVE);
	put(line);
	round_trip();
	assert_int_equal(count_events("spool-rotated"), 0);
	writer = segment_open(scene.directory, GATE);
	put(line);
	put(line);
	until_said("INFO spool-rotated segment=");
	assert_int_equal(count_events("reason=size"), 1);
	/* It gets its last line when the last writer has left. */
	round_trip();
	assert_int_equal(write(writer, "last\n", 5), 5);
	close(writer);
	until_forms(1, 0);
	assert_holds(segment_at(0).name, "\nlast\n{\"v\":1,\"end\":");
	assert_string_equal(segment_at(1).head.previous,
			    segment_at(0).head.uuid);
	round_trip();
	assert_int_equal(count_events("spool-rotated"), 1);
}

static void
it_rotates_by_age_what_is_not_empty(void **state)
{
	(void)state;
	scene.conf.rotate_us_max = 100000;
	start(0);
	until(is_there, SEGMENT_LIVE);
	usleep(150000);
	round_trip();
	assert_int_equal(count_events("spool-rotated"), 0);
	put("line\n");
	until_forms(1, 0);
	assert_int_equal(count_events("reason=time"), 1);
}

/* --- readers ----------------------------------------------------------------
 */

static void
what_readers_have_passed_is_compressed(void **state)
{
	(void)state;
	scene.conf.does_compress = true;
	make_segments(3);
	set_reader("slow", segment_at(1).head.uuid);
	start(0);
	until_forms(2, 1);
	round_trip();
	until_forms(2, 1);
	assert_int_equal(segment_at(0).form, SEGMENT_IS_COMPRESSED);
	set_reader("fast", segment_at(3).head.uuid);
	round_trip();
	until_forms(2, 1);
	set_reader("slow", segment_at(3).head.uuid);
	until_forms(0, 3);
	until_count("spool-compressed", 3);
}

static void
nothing_is_compressed_unless_asked(void **state)
{
	(void)state;
	make_segments(2);
	start(0);
	until_forms(2, 0);
	round_trip();
	until_forms(2, 0);
}

/* Many octets that are no use to gzip: it takes a while. */
static void
make_large_segment(void)
{
	static uint8_t octets[1 << 20];
	int fd = segment_open(scene.directory, GATE);
	uint32_t noise = 1;

	assert_true(fd >= 0);
	for (unsigned i = 0; i < 48; i++) {
		for (size_t k = 0; k < sizeof(octets); k++) {
			noise = noise * 1103515245 + 12345;
			octets[k] = (uint8_t)(' ' + (noise >> 16) % 64);
		}
		octets[sizeof(octets) - 1] = '\n';
		assert_int_equal(write(fd, octets, sizeof(octets)),
				 sizeof(octets));
	}
	close(fd);
	rotate();
}

static bool
is_compressing(const void *unused)
{
	DIR *names = opendir(scene.folder.name);
	struct dirent *entry;
	bool is_found = false;

	(void)unused;
	while ((entry = readdir(names)) != NULL)
		is_found |= strncmp(entry->d_name, ".verdict-", 9) == 0;
	closedir(names);
	return is_found;
}

/* Compression goes on beside; what is cut short is made again. */
static void
a_kill_while_it_compresses_loses_nothing(void **state)
{
	(void)state;
	scene.conf.does_compress = true;
	make_large_segment();
	scene.conf.rotate_octets_max = 4096;
	start(0);
	until(is_compressing, NULL);
	assert_int_equal(end(0, SIGKILL), SIGKILL);
	assert_int_equal(segment_at(0).form, SEGMENT_IS_ROTATED);
	start(0);
	until(is_compressing, NULL);
	/* Meanwhile it rotates. */
	put_file(SEGMENT_LIVE, "a line\n");
	assert_int_equal(
		truncate(folder_path(&scene.folder, SEGMENT_LIVE), 5000), 0);
	until_said("reason=size");
	assert_int_equal(count_events("spool-compressed"), 0);
	assert_int_equal(end(0, SIGTERM), 0);
	assert_false(is_compressing(NULL));
	assert_int_equal(segment_at(0).form, SEGMENT_IS_ROTATED);
	start(0);
	until_forms(0, 2);
	assert_false(is_compressing(NULL));
}

/* --- deleting ---------------------------------------------------------------
 */

static void
what_is_too_much_is_deleted_from_the_oldest_on(void **state)
{
	struct segment last;

	(void)state;
	make_segments(5);
	last = segment_at(4);
	/* Each gets a last line, too. */
	scene.conf.keep_octets_max = 2 * (last.octets + 100);
	start(0);
	until_forms(2, 0);
	assert_string_equal(segment_at(1).head.uuid, last.head.uuid);
	assert_int_equal(count_events("spool-deleted"), 3);
	assert_int_equal(count_events("reason=keep-size"), 3);
}

static void
what_is_too_old_is_deleted(void **state)
{
	(void)state;
	make_segments(3);
	scene.conf.keep_us_max = 1000000;
	start(0);
	until_forms(0, 0);
	assert_true(has_file(SEGMENT_LIVE));
	assert_int_equal(count_events("reason=keep"), 3);
}

/* Segments sort in the order of opening: once the clock was ahead they are all
 * opened in the time to come, until that has come. */
static void
a_clock_that_was_ahead_keeps_nothing_for_ever(void **state)
{
	struct segment_head head = { .opened_us = clock_wall_us() +
						  UINT64_C(3600000000) };
	struct buf line;

	(void)state;
	memcpy(head.uuid, "0b5e7c1e-9d52-4c6a-8f3e-2f1d5a6b7c8d",
	       sizeof(head.uuid));
	buf_init(&line, 4096);
	assert_true(segment_head_format(&head, GATE, &line));
	buf_append_octet(&line, '\0');
	put_file(SEGMENT_LIVE, (const char *)buf_span(&line).p);
	buf_fini(&line);
	make_segments(2);
	put("line\n");
	scene.conf.keep_us_max = 1000000;
	scene.conf.rotate_us_max = 100000;
	start(0);
	until_said("reason=time");
	until_forms(0, 0);
	assert_int_equal(count_events("reason=keep"), 3);
}

/* When the next one was opened tells how old one is. If that has no head
 * nobody knows; here it cannot be rotated: no host name is that long. */
static void
in_front_of_one_without_a_head_nothing_is_too_old(void **state)
{
	static char name[2 * SEGMENT_NAME_MAX * SEGMENT_NAME_MAX];

	(void)state;
	make_segments(1);
	unlinkat(scene.directory, SEGMENT_LIVE, 0);
	put_file(SEGMENT_LIVE, HEADLESS);
	memset(name, 'x', sizeof(name));
	scene.conf.hostname = span_make(name, sizeof(name));
	scene.conf.keep_us_max = UINT64_C(3600000000);
	start(0);
	until_said("spool-failed call=rotate");
	round_trip();
	until_forms(1, 0);
	assert_int_equal(count_events("spool-deleted"), 0);
}

static void
what_is_young_and_little_stays(void **state)
{
	(void)state;
	make_segments(3);
	scene.conf.keep_us_max = UINT64_C(3600000000);
	scene.conf.keep_octets_max = 1000000;
	start(0);
	until_forms(3, 0);
	round_trip();
	until_forms(3, 0);
}

static void
what_a_reader_has_not_passed_stays(void **state)
{
	(void)state;
	make_segments(4);
	set_reader("reports", segment_at(1).head.uuid);
	scene.conf.keep_octets_max = 1;
	scene.conf.keep_us_max = 1;
	start(0);
	until_forms(3, 0);
	until_said("WARN spool-readers reader=reports segment=");
	round_trip();
	until_forms(3, 0);
	assert_int_equal(count_events("spool-readers"), 1);
	set_reader("reports", segment_at(1).head.uuid);
	until_forms(2, 0);
	/* It may have been before the last line of the last one. */
	set_reader("reports", segment_at(2).head.uuid);
	until_forms(0, 0);
	assert_int_equal(count_events("spool-readers"), 1);
}

/* A program that has it open as writers do, for longer than they would. */
static void
what_cannot_be_closed_is_held_and_said(void **state)
{
	int writer;

	(void)state;
	scene.conf.rotate_octets_max = 4096;
	scene.conf.keep_octets_max = 1;
	start(0);
	until(is_there, SEGMENT_LIVE);
	writer = segment_open(scene.directory, GATE);
	assert_int_equal(ftruncate(writer, 5000), 0);
	until_said("WARN spool-held reader=none segment=");
	assert_int_equal(count_events("spool-deleted"), 0);
	close(writer);
	until_forms(0, 0);
	assert_int_equal(count_events("spool-deleted"), 1);
	assert_int_equal(count_events("spool-held"), 1);
}

/* Somebody has emptied the file it was in: it has not read what stood in front
 * of that. */
static void
a_reader_that_lost_its_place_holds_all_back(void **state)
{
	(void)state;
	make_segments(3);
	set_reader("reports", segment_at(3).head.uuid);
	unlinkat(scene.directory, SEGMENT_LIVE, 0);
	scene.conf.keep_octets_max = 1;
	scene.conf.keep_us_max = 1;
	start(0);
	until_said("WARN spool-reader-lost reader=reports");
	round_trip();
	until_forms(3, 0);
	assert_int_equal(count_events("spool-reader-lost"), 1);
	set_reader("reports", segment_at(3).head.uuid);
	until_forms(0, 0);
}

/* --- what others do ---------------------------------------------------------
 */

static void
one_that_is_cut_short_is_rotated(void **state)
{
	struct segment before;
	int fd;

	(void)state;
	start(0);
	until(is_there, SEGMENT_LIVE);
	put("one\ntwo\n");
	round_trip();
	before = segment_at(0);
	fd = openat(scene.directory, SEGMENT_LIVE, O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)before.octets - 5), 0);
	close(fd);
	until_forms(1, 0);
	assert_int_equal(count_events("ERROR spool-truncated segment="), 1);
	assert_int_equal(count_events(" lost=5"), 1);
	assert_string_equal(segment_at(0).head.uuid, before.head.uuid);
	assert_holds(segment_at(0).name, "one\n{\"v\":1,\"end\":");
}

/* Whether the first keeper can open files. */
static void
let_open(bool may)
{
	struct rlimit limit = { may ? 1024 : 3, 1024 };

	assert_int_equal(prlimit(scene.pids[0], RLIMIT_NOFILE, &limit, NULL),
			 0);
}

static void
cut_live(off_t octets)
{
	int fd = openat(scene.directory, SEGMENT_LIVE, O_WRONLY | O_CLOEXEC);

	assert_int_equal(ftruncate(fd, octets), 0);
	close(fd);
}

/* Rotation fails for a while: a cut is said once, and not forgotten. */
static void
assert_rotates_in_the_end(bool is_emptied)
{
	struct segment before;

	start(0);
	until(is_there, SEGMENT_LIVE);
	put("one\n");
	round_trip();
	before = segment_at(0);
	let_open(false);
	cut_live(is_emptied ? 0 : (off_t)before.octets - 2);
	until_count("spool-failed call=rotate", 1);
	put("two\n");
	round_trip();
	let_open(true);
	until_count("reason=truncated", 1);
	assert_int_equal(count_events("spool-truncated"), 1);
}

static void
one_that_is_emptied_is_rotated_in_the_end(void **state)
{
	(void)state;
	assert_rotates_in_the_end(true);
}

static void
one_that_is_cut_short_is_rotated_in_the_end(void **state)
{
	(void)state;
	assert_rotates_in_the_end(false);
}

/* The positions that readers have must not mean something else: it becomes
 * another segment. */
static void
one_that_is_emptied_is_rotated_under_a_new_name(void **state)
{
	struct segment before;
	int fd;

	(void)state;
	start(0);
	until(is_there, SEGMENT_LIVE);
	put("one\n");
	round_trip();
	before = segment_at(0);
	kill(scene.pids[0], SIGSTOP);
	fd = openat(scene.directory, SEGMENT_LIVE, O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	/* It has grown again, beyond what it was, before anybody looks. */
	for (int i = 0; i < 100; i++)
		put("another line\n");
	kill(scene.pids[0], SIGCONT);
	until_forms(1, 0);
	assert_int_equal(count_events("ERROR spool-truncated"), 1);
	assert_string_not_equal(segment_at(0).head.uuid, before.head.uuid);
	assert_holds(segment_at(0).name, "another line\n{\"v\":1,\"end\":");
}

/* As logrotate would: nothing is lost, it is where it would be anyway. */
static void
one_that_is_renamed_becomes_its_segment(void **state)
{
	struct segment before;
	int writer;

	(void)state;
	start(0);
	until(is_there, SEGMENT_LIVE);
	writer = segment_open(scene.directory, GATE);
	assert_int_equal(write(writer, "one\n", 4), 4);
	round_trip();
	before = segment_at(0);
	assert_int_equal(renameat(scene.directory, SEGMENT_LIVE,
				  scene.directory, "verdict.log.1"),
			 0);
	until_said("WARN spool-moved segment=");
	assert_int_equal(write(writer, "two\n", 4), 4);
	close(writer);
	until_forms(1, 0);
	assert_int_equal(count_events("deleted=no"), 1);
	assert_string_equal(segment_at(0).head.uuid, before.head.uuid);
	assert_string_equal(segment_at(1).head.previous, before.head.uuid);
	assert_holds(segment_at(0).name, "\none\ntwo\n{\"v\":1,\"end\":");
	assert_true(has_file("verdict.log.1"));
	assert_int_equal(count_events("ERROR"), 0);
}

static void
one_that_is_deleted_is_made_anew(void **state)
{
	(void)state;
	start(0);
	until(is_there, SEGMENT_LIVE);
	put("one\n");
	round_trip();
	assert_int_equal(unlinkat(scene.directory, SEGMENT_LIVE, 0), 0);
	until_said("deleted=yes");
	until(is_there, SEGMENT_LIVE);
	until_forms(0, 0);
	put("two\n");
	assert_holds(SEGMENT_LIVE, "\ntwo\n");
	assert_int_equal(count_events("ERROR"), 0);
}

static void
one_of_an_older_version_is_rotated_at_once(void **state)
{
	(void)state;
	put_file(SEGMENT_LIVE, HEADLESS);
	start(0);
	until_forms(1, 0);
	assert_int_equal(count_events("reason=no-head"), 1);
	assert_holds(segment_at(0).name, HEADLESS "{\"v\":1,\"end\":");
	assert_string_equal(segment_at(1).head.previous,
			    segment_at(0).head.uuid);
	assert_int_equal(count_events("ERROR"), 0);
}

#define IN_A_SPOOL(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_SPOOL(it_makes_what_is_not_there),
		IN_A_SPOOL(it_ends_when_the_master_does),
		IN_A_SPOOL(a_second_one_waits_for_the_end_of_the_first),
		IN_A_SPOOL(what_a_crash_left_is_mended),
		IN_A_SPOOL(it_rotates_by_size),
		IN_A_SPOOL(it_rotates_by_age_what_is_not_empty),
		IN_A_SPOOL(what_readers_have_passed_is_compressed),
		IN_A_SPOOL(nothing_is_compressed_unless_asked),
		IN_A_SPOOL(a_kill_while_it_compresses_loses_nothing),
		IN_A_SPOOL(what_is_too_much_is_deleted_from_the_oldest_on),
		IN_A_SPOOL(what_is_too_old_is_deleted),
		IN_A_SPOOL(a_clock_that_was_ahead_keeps_nothing_for_ever),
		IN_A_SPOOL(in_front_of_one_without_a_head_nothing_is_too_old),
		IN_A_SPOOL(what_is_young_and_little_stays),
		IN_A_SPOOL(what_a_reader_has_not_passed_stays),
		IN_A_SPOOL(what_cannot_be_closed_is_held_and_said),
		IN_A_SPOOL(a_reader_that_lost_its_place_holds_all_back),
		IN_A_SPOOL(one_that_is_cut_short_is_rotated),
		IN_A_SPOOL(one_that_is_cut_short_is_rotated_in_the_end),
		IN_A_SPOOL(one_that_is_emptied_is_rotated_in_the_end),
		IN_A_SPOOL(one_that_is_emptied_is_rotated_under_a_new_name),
		IN_A_SPOOL(one_that_is_renamed_becomes_its_segment),
		IN_A_SPOOL(one_that_is_deleted_is_made_anew),
		IN_A_SPOOL(one_of_an_older_version_is_rotated_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
