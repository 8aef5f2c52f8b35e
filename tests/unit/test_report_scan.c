/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading a spool: each whole line once, whatever is done to its files. */
#include "dmarc/report/scan.h"

#include "dmarc/report/gzip.h"
#include "dmarc/report/json_read.h"
#include "tests/unit/folder.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))
#define GATE SPAN_LIT("mx.example")
#define LIVE SEGMENT_LIVE

/* Segments, by numbers from 1; 0 is none. */
#define UUID(n) "00000000-0000-4000-8000-00000000000" #n
#define NAME(n) "verdict-20261128T19460" #n ".000000Z-" UUID(n) ".log"
#define OPENED(n) "\"opened\":\"2026-11-28T19:46:0" #n ".000000Z\""
#define HEAD(n, previous)                               \
	"{\"v\":1,\"segment\":\"" UUID(n) "\"," OPENED( \
		n) ",\"previous\":" previous ",\"gate\":\"mx.example\"}\n"
#define END(n)                      \
	"{\"v\":1,\"end\":\"" UUID( \
		n) "\",\"closed\":\"2026-11-28T20:00:00.000000Z\"}\n"
#define LINE(n) "{\"v\":1,\"id\":\"" #n "\"}\n"
/* The same, torn: without its LF it is still whole. */
#define BARE(n) "{\"v\":1,\"id\":\"" #n "\"}"
#define TORN "{\"v\":1,\"id\":\"to"
#define LOST(n)                                                              \
	"{\"v\":1,\"lost\":" #n ",\"since\":\"2026-11-28T20:00:00.000000Z\"" \
	",\"until\":\"2026-11-28T20:00:01.000000Z\"}\n"

#define ONE HEAD(1, "null") LINE(a) LINE(b)
#define TWO HEAD(2, "\"" UUID(1) "\"") LINE(c) LINE(d)
#define THREE HEAD(3, "\"" UUID(2) "\"") LINE(e) LINE(f)

static struct folder folder;
static int directory;
static struct scan *scan;

static int
set_up(void **state)
{
	(void)state;
	folder_make(&folder);
	directory = open(folder.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scan = NULL;
	return directory < 0;
}

static int
tear_down(void **state)
{
	(void)state;
	scan_free(scan);
	close(directory);
	folder_remove(&folder);
	return 0;
}

/* --- files ---------------------------------------------------------------- */

static void
put(const char *name, int flags, struct span octets)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | flags, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, octets.p, octets.n), octets.n);
	close(fd);
}

static void
put_file(const char *name, const char *text)
{
	put(name, O_TRUNC, span_cstr(text));
}

static void
append(const char *name, const char *text)
{
	put(name, O_APPEND, span_cstr(text));
}

static void
rename_to(const char *from, const char *to)
{
	assert_int_equal(renameat(directory, from, directory, to), 0);
}

/* NAME becomes NAME.gz. */
static void
compress_file(const char *name)
{
	char compressed[SEGMENT_NAME_MAX + 4];
	int from = openat(directory, name, O_RDONLY), to;

	snprintf(compressed, sizeof(compressed), "%s.gz", name);
	to = openat(directory, compressed, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(gzip_compress(from, to), 0);
	close(from);
	close(to);
	assert_int_equal(unlinkat(directory, name, 0), 0);
}

/* --- scans ---------------------------------------------------------------- */

static void
open_at(const char *path, const struct spool_position *from)
{
	int error;

	scan_free(scan);
	scan = scan_open(path, from, &error);
	if (scan == NULL)
		fail_msg("%s: %s", path, strerror(-error));
}

static void
open_spool(void)
{
	open_at(folder.name, NULL);
}

/* The ids of the lines up to the end for now, "!" for each loss. */
static const char *
gives(void)
{
	static char ids[4096];
	enum scan_status status;
	struct span line, id;
	size_t n = 0;

	ids[0] = '\0';
	while ((status = scan_next(scan, &line)) != SCAN_END) {
		if (status == SCAN_ERROR)
			fail_msg("%s", strerror(-scan_error(scan)));
		assert_true(n < sizeof(ids) - 32);
		if (status == SCAN_LOST) {
			ids[n++] = '!';
			ids[n] = '\0';
			continue;
		}
		assert_true(json_is_object(line));
		assert_true(json_find(line, "id", &id));
		id = json_shown(id);
		n += (size_t)snprintf(ids + n, sizeof(ids) - n, "%.*s",
				      (int)id.n, (const char *)id.p);
	}
	return ids;
}

static void
assert_gives(const char *wanted)
{
	assert_string_equal(gives(), wanted);
}

static void
assert_torn(uint64_t wanted)
{
	assert_int_equal(scan_torn(scan), wanted);
}

static void
assert_lost(const char *words)
{
	if (strstr(scan_loss(scan), words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", scan_loss(scan), words);
}

/* --- one file ------------------------------------------------------------- */

static void
test_01_a_line_comes_when_it_is_whole(void **state)
{
	static const char text[] = HEAD(1, "null") LINE(a) LINE(b);
	char wanted[2] = "";
	size_t lines = 0;

	(void)state;
	put_file(LIVE, "");
	open_spool();
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		put(LIVE, O_APPEND, span_make(text + i, 1));
		wanted[0] = '\0';
		if (text[i] == '\n' && lines++ > 0)
			wanted[0] = "ab"[lines - 2];
		assert_gives(wanted);
	}
	assert_torn(0);
	assert_string_equal(scan_position(scan).uuid, UUID(1));
	assert_int_equal(scan_position(scan).offset, sizeof(text) - 1);
}

/* Torn lines: what is whole beside them is given, at every cut into two
 * appends, and each that is torn counted. */
static void
test_02_torn_lines(void **state)
{
	static const struct {
		const char *text, *ids;
		unsigned torn;
	} cases[] = {
		{ LINE(a) LINE(b), "ab", 0 },
		{ "\n\n" LINE(a) "\n" LINE(b), "ab", 0 },
		{ TORN "\n" LINE(a), "a", 1 },
		{ LINE(a) TORN LINE(b) LINE(c), "abc", 1 },
		{ TORN TORN LINE(a), "a", 2 },
		{ "{\"v" LINE(a), "a", 1 },
		{ "{\"v" TORN "{" LINE(a), "a", 2 },
		{ BARE(a) LINE(b), "ab", 0 },
		{ BARE(a) BARE(b) TORN BARE(c) LINE(d), "abcd", 1 },
		{ BARE(a) TORN "\n" LINE(b), "ab", 1 },
		{ "foreign\n" LINE(a), "a", 1 },
		{ "{\"id\":\"a\"}\n" LINE(b), "ab", 0 },
		{ TORN LOST(3) LINE(a) LOST(4), "a", 1 },
	};

	(void)state;
	for (size_t i = 0; i < CASES(cases); i++) {
		size_t n = strlen(cases[i].text);

		for (size_t cut = 0; cut <= n; cut++) {
			char first[16], both[32];

			put_file(LIVE, HEAD(1, "null"));
			open_spool();
			put(LIVE, O_APPEND, span_make(cases[i].text, cut));
			snprintf(first, sizeof(first), "%s", gives());
			append(LIVE, cases[i].text + cut);
			snprintf(both, sizeof(both), "%s%.15s", first, gives());
			assert_string_equal(both, cases[i].ids);
			assert_torn(cases[i].torn);
		}
	}
	assert_int_equal(scan_unwritten(scan), 7);
}

/* n octets between a start and an end. */
static void
put_long(const char *start, size_t n, const char *end)
{
	char *text = malloc(n + 1);

	assert_non_null(text);
	memset(text, 'x', n);
	text[n] = '\0';
	append(LIVE, start);
	append(LIVE, text);
	append(LIVE, end);
	free(text);
}

/* A record of n octets, and its LF. */
static void
put_record(size_t n)
{
	static const char start[] = "{\"v\":1,\"id\":\"z\",\"long\":\"";

	put_long(start, n - strlen(start) - 2, "\"}\n");
}

static void
test_03_lines_without_an_end(void **state)
{
	(void)state;
	put_file(LIVE, HEAD(1, "null"));
	open_spool();
	for (int i = 0; i < 20; i++) {
		put_long("", SCAN_LINE_MAX / 3, "");
		assert_gives("");
	}
	append(LIVE, BARE(a) LINE(b) LINE(c));
	assert_gives("abc");
	assert_torn(1);
	/* at once */
	put_long("", 5 * SCAN_LINE_MAX, BARE(d) LINE(e));
	assert_gives("de");
	assert_torn(2);
	put_record(SCAN_LINE_MAX - 1);
	put_record(SCAN_LINE_MAX);
	put_record(SCAN_LINE_MAX + 1);
	put_record(SCAN_LINE_MAX + 2);
	assert_gives("zz");
	assert_torn(4);
}

static void
test_04_what_is_left_at_the_end(void **state)
{
	struct spool_position position;

	(void)state;
	put_file(LIVE, ONE BARE(c) TORN);
	open_spool();
	assert_gives("ab");
	assert_torn(0);
	/* who waits for nothing */
	scan_finish(scan);
	assert_gives("c");
	assert_torn(1);
	append(LIVE, "rn\"}\n" LINE(d));
	assert_gives("");
	assert_torn(1);
	position = scan_position(scan);
	open_at(folder.name, &position);
	scan_finish(scan);
	assert_string_equal(gives(), "tornd");
}

static void
test_05_a_file_that_is_not_there_yet(void **state)
{
	(void)state;
	open_spool();
	assert_gives("");
	assert_string_equal(scan_file(scan), "");
	put_file(LIVE, ONE);
	assert_gives("ab");
	assert_string_equal(scan_file(scan), LIVE);
}

static void
test_06_one_file_alone(void **state)
{
	char path[1024];
	struct spool_position position;

	(void)state;
	put_file(NAME(1), ONE END(1));
	put_file(LIVE, TWO);
	snprintf(path, sizeof(path), "%s/" NAME(1), folder.name);
	for (int i = 0; i < 2; i++) {
		open_at(path, NULL);
		assert_gives("ab");
		assert_string_equal(scan_file(scan), path);
		position = scan_position(scan);
		open_at(path, &position);
		assert_gives("");
		position.offset -= strlen(LINE(b));
		open_at(path, &position);
		assert_gives("b");
		position.uuid[0] = 'f';
		open_at(path, &position);
		assert_gives("!ab");
		open_at(path, NULL);
		assert_int_equal(scan_to_end(scan), 0);
		assert_gives("");
		if (i == 0)
			compress_file(NAME(1));
		snprintf(path, sizeof(path), "%s/" NAME(1) ".gz", folder.name);
	}
	snprintf(path, sizeof(path), "%s/" LIVE, folder.name);
	open_at(path, NULL);
	assert_gives("cd");
	append(LIVE, LINE(e) BARE(f));
	assert_gives("e");
	scan_finish(scan);
	assert_gives("f");
}

static void
test_07_no_such_path(void **state)
{
	int error;

	(void)state;
	assert_null(scan_open("/nonexistent", NULL, &error));
	assert_int_equal(error, -ENOENT);
	assert_null(scan_open("/dev/null", NULL, &error));
	assert_int_equal(error, -ESPIPE);
	assert_int_equal(symlinkat("/dev/null", directory, LIVE), 0);
	open_spool();
	assert_int_equal(scan_next(scan, &(struct span){ 0 }), SCAN_ERROR);
	assert_int_equal(scan_error(scan), -ELOOP);
}

/* --- several segments ------------------------------------------------------
 */

/* Three segments, of which the first two are compressed or not by the bits of
 * a number. */
#define FORMS 4

static void
put_three(unsigned forms)
{
	put_file(NAME(1), ONE END(1));
	put_file(NAME(2), TWO END(2));
	put_file(LIVE, THREE);
	if (forms & 1)
		compress_file(NAME(1));
	if (forms & 2)
		compress_file(NAME(2));
}

static void
remove_three(void)
{
	scan_free(scan);
	scan = NULL;
	folder_clear(folder.name);
}

static void
test_10_all_segments_in_order(void **state)
{
	(void)state;
	for (unsigned forms = 0; forms < FORMS; forms++) {
		put_three(forms);
		open_spool();
		assert_gives("abcdef");
		append(LIVE, LINE(g));
		assert_gives("g");
		assert_torn(0);
		remove_three();
	}
}

/* Read n lines; then whoever begins at the position reads the rest, whatever
 * became of the files. */
static void
assert_resumes(unsigned forms, unsigned then, size_t n)
{
	struct spool_position position;
	struct span line;

	put_three(forms);
	append(LIVE, BARE(g) TORN LINE(h) LOST(2) LINE(i));
	open_spool();
	for (size_t i = 0; i < n; i++)
		assert_int_equal(scan_next(scan, &line), SCAN_LINE);
	position = scan_position(scan);
	if (then & ~forms & 1)
		compress_file(NAME(1));
	if (then & ~forms & 2)
		compress_file(NAME(2));
	open_at(folder.name, &position);
	assert_gives(&"abcdefghi"[n]);
	position = scan_position(scan);
	open_at(folder.name, &position);
	assert_gives("");
	remove_three();
}

static void
test_11_every_position_gives_the_rest(void **state)
{
	(void)state;
	for (unsigned forms = 0; forms < FORMS; forms++)
		for (unsigned then = 0; then < FORMS; then++)
			for (size_t n = 0; n <= 9; n++)
				assert_resumes(forms, then, n);
}

static void
test_12_a_segment_is_passed_when_it_was_read(void **state)
{
	(void)state;
	put_file(LIVE, ONE);
	open_spool();
	assert_gives("ab");
	assert_string_equal(scan_position(scan).uuid, UUID(1));
	rename_to(LIVE, NAME(1));
	append(NAME(1), END(1));
	put_file(LIVE, HEAD(2, "\"" UUID(1) "\""));
	assert_gives("");
	assert_string_equal(scan_position(scan).uuid, UUID(2));
	assert_int_equal(scan_position(scan).offset,
			 strlen(HEAD(2, "\"" UUID(1) "\"")));
}

/* The writers move on one by one: what they write to the old segment comes
 * before what others wrote to the new one. */
static void
test_13_rotation(void **state)
{
	(void)state;
	put_file(LIVE, ONE);
	open_spool();
	assert_gives("ab");
	assert_int_equal(linkat(directory, LIVE, directory, NAME(1), 0), 0);
	append(LIVE, LINE(c));
	assert_gives("c");
	put_file("new", HEAD(2, "\"" UUID(1) "\"") LINE(x));
	rename_to("new", LIVE);
	assert_gives("");
	append(LIVE, LINE(y));
	for (int i = 0; i < 5; i++)
		assert_gives("");
	append(NAME(1), LINE(d) TORN);
	assert_gives("d");
	append(LIVE, LINE(z));
	append(NAME(1), "\n" END(1));
	assert_gives("xyz");
	assert_torn(1);
	assert_string_equal(scan_file(scan), LIVE);
}

static void
test_14_who_does_not_wait(void **state)
{
	(void)state;
	put_file(NAME(1), ONE TORN);
	put_file(NAME(2), TWO BARE(x));
	put_file(LIVE, THREE);
	open_spool();
	assert_gives("ab");
	assert_torn(0);
	assert_string_equal(scan_file(scan), NAME(1));
	scan_finish(scan);
	assert_gives("cdxef");
	assert_torn(1);
}

/* The open segment is read to its end, wherever it went. */
static void
test_15_compressed_or_deleted_while_it_is_read(void **state)
{
	(void)state;
	for (int is_deleted = 0; is_deleted < 2; is_deleted++) {
		for (int is_known = 0; is_known < 2; is_known++) {
			put_file(LIVE, ONE);
			open_spool();
			assert_gives("ab");
			append(LIVE, LINE(c));
			rename_to(LIVE, NAME(1));
			put_file(LIVE, HEAD(2, "\"" UUID(1) "\"") LINE(e));
			if (is_known)
				assert_gives("c");
			append(NAME(1), LINE(d) END(1));
			compress_file(NAME(1));
			if (is_deleted)
				unlinkat(directory, NAME(1) ".gz", 0);
			assert_gives(is_known ? "de" : "cde");
			remove_three();
		}
	}
}

static void
test_16_behind_a_last_line(void **state)
{
	struct spool_position position = { UUID(1), strlen(ONE END(1)) };

	(void)state;
	put_three(0);
	open_at(folder.name, &position);
	assert_gives("cdef");
	/* The next one is not there yet. */
	unlinkat(directory, NAME(2), 0);
	unlinkat(directory, LIVE, 0);
	open_spool();
	assert_gives("ab");
	position = scan_position(scan);
	open_at(folder.name, &position);
	assert_gives("");
	put_file(LIVE, TWO);
	assert_gives("cd");
}

static void
test_17_only_what_is_new(void **state)
{
	struct spool_position position;

	(void)state;
	open_spool();
	assert_int_equal(scan_to_end(scan), 0);
	put_three(0);
	assert_gives("abcdef");

	append(LIVE, "{\"v\":1,\"id\":");
	open_spool();
	assert_int_equal(scan_to_end(scan), 0);
	assert_gives("");
	position = scan_position(scan);
	append(LIVE, "\"g\"}\n" LINE(h));
	assert_gives("h");
	assert_torn(0);
	open_at(folder.name, &position);
	assert_gives("gh");

	open_spool();
	assert_int_equal(scan_to_end(scan), 0);
	append(LIVE, LINE(i));
	assert_gives("i");
	/* what was being written is cut away */
	append(LIVE, TORN);
	open_spool();
	assert_int_equal(scan_to_end(scan), 0);
	put_file(LIVE, LINE(j));
	assert_gives("!j");
	/* a file without a head, behind one that was read by others */
	put_file(LIVE, LINE(k));
	open_spool();
	assert_int_equal(scan_to_end(scan), 0);
	rename_to(LIVE, "elsewhere");
	put_file(LIVE, HEAD(3, "\"" UUID(2) "\"") LINE(l));
	assert_gives("");
	assert_gives("!l");
	/* before the gate has begun */
	for (int i = 0; i < 2; i++) {
		unlinkat(directory, LIVE, 0);
		open_spool();
		assert_int_equal(scan_to_end(scan), 0);
		assert_gives("");
		put_file(LIVE, THREE);
		assert_gives("ef");
		if (i == 0)
			compress_file(NAME(2));
	}
}

#define SEGMENTS 2000
#define LISTINGS 3 /* enough for them all */

/* A chain of segments each with its number as its only line. */
static void
put_chain(void)
{
	struct segment_head head = { .opened_us = 1 };

	for (unsigned i = 0; i < SEGMENTS; i++) {
		char name[SEGMENT_NAME_MAX], text[2 * SEGMENT_NAME_MAX];
		struct buf octets;

		snprintf(head.uuid, sizeof(head.uuid),
			 "00000000-0000-4000-8000-%012u", i);
		segment_name(&head, false, name);
		snprintf(text, sizeof(text), "{\"v\":1,\"id\":\"%u.\"}\n", i);
		buf_init(&octets, 4096);
		segment_head_format(&head, GATE, &octets);
		buf_append(&octets, span_cstr(text));
		segment_end_format(head.uuid, 1, &octets);
		put(name, 0, buf_span(&octets));
		buf_fini(&octets);
		if (i < SEGMENTS / 10)
			compress_file(name);
		memcpy(head.previous, head.uuid, sizeof(head.previous));
		head.opened_us++;
	}
	put_file(LIVE, "");
}

/* Of files in the directory, and of the directory itself. */
struct opens {
	unsigned files, listings;
};

static void
count_opens(int watch, struct opens *opens)
{
	_Alignas(struct inotify_event) char octets[65536];
	ssize_t n;

	while ((n = read(watch, octets, sizeof(octets))) > 0) {
		for (const char *at = octets; at < octets + n;) {
			struct inotify_event event;

			memcpy(&event, at, sizeof(event));
			assert_false(event.mask & IN_Q_OVERFLOW);
			if (event.mask & IN_ISDIR)
				opens->listings++;
			else
				opens->files++;
			at += sizeof(event) + event.len;
		}
	}
}

/* What it takes to read many segments grows with their number, not with the
 * square of that. */
static void
test_18_many_segments(void **state)
{
	struct opens opens = { 0 };
	struct span line;
	unsigned lines = 0;
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	(void)state;
	put_chain();
	open_spool();
	assert_true(watch >= 0);
	assert_true(inotify_add_watch(watch, folder.name, IN_OPEN) >= 0);
	while (scan_next(scan, &line) == SCAN_LINE) {
		lines++;
		count_opens(watch, &opens);
		assert_true(opens.listings <= LISTINGS);
	}
	close(watch);
	assert_int_equal(lines, SEGMENTS);
	assert_torn(0);
	assert_in_range(opens.listings, 1, LISTINGS);
	assert_in_range(opens.files, SEGMENTS, 2 * LISTINGS * SEGMENTS);
}

/* --- what should not be -----------------------------------------------------
 */

static void
test_20_truncated(void **state)
{
	(void)state;
	put_file(LIVE, ONE "{\"v\":1");
	open_spool();
	assert_gives("ab");
	/* shorter, with its head */
	put_file(LIVE, HEAD(1, "null") LINE(c));
	assert_gives("!c");
	assert_lost("verdict.log was truncated");
	assert_torn(1);
	/* with nothing, and written on without a head */
	put_file(LIVE, "");
	assert_gives("!");
	append(LIVE, LINE(d));
	assert_gives("d");
	put_file(LIVE, "");
	assert_gives("!");
	/* longer than before, with another head */
	append(LIVE, TWO);
	assert_gives("cd");
	put_file(LIVE, THREE LINE(g) LINE(h));
	assert_gives("!efgh");
	assert_string_equal(scan_position(scan).uuid, UUID(3));
	/* with nothing, and longer than before when it is looked at */
	put_file(LIVE, LINE(iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii)
			       LINE(jjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjj)
				       LINE(kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk)
					       LINE(llllllllllllllllllllllll));
	assert_int_equal(gives()[0], '!');
	assert_torn(1);
}

/* Not only who waits sees it. */
static void
test_21_truncated_while_it_is_read(void **state)
{
	size_t n = strlen(HEAD(1, "null") LINE(c));

	(void)state;
	put_file(LIVE, HEAD(1, "null") LINE(c));
	for (int i = 0; i < 20; i++)
		put_record(SCAN_LINE_MAX / 2);
	open_spool();
	scan_finish(scan);
	assert_int_equal(scan_next(scan, &(struct span){ 0 }), SCAN_LINE);
	assert_int_equal(truncate(folder_path(&folder, LIVE), (off_t)n), 0);
	assert_string_equal(strchr(gives(), '!'), "!c");
}

static void
test_22_truncated_between_two_readings(void **state)
{
	struct spool_position position;

	(void)state;
	put_file(LIVE, ONE);
	open_spool();
	assert_gives("ab");
	position = scan_position(scan);
	put_file(LIVE, HEAD(1, "null") LINE(c));
	open_at(folder.name, &position);
	assert_gives("!c");
	assert_lost("verdict.log is shorter than it was");
	/* and compressed since */
	rename_to(LIVE, NAME(1));
	compress_file(NAME(1));
	open_at(folder.name, &position);
	assert_gives("!c");
}

static void
test_23_missing_segments(void **state)
{
	(void)state;
	/* found missing */
	put_three(0);
	unlinkat(directory, NAME(2), 0);
	open_spool();
	assert_gives("ab!ef");
	assert_lost("at least one segment is missing before verdict.log");
	/* gone behind us */
	remove_three();
	put_three(0);
	open_spool();
	assert_int_equal(scan_next(scan, &(struct span){ 0 }), SCAN_LINE);
	unlinkat(directory, NAME(1), 0);
	assert_gives("bcdef");
	/* the oldest may be missing: somebody has deleted it in order */
	open_spool();
	assert_gives("cdef");
	/* a log that begins anew */
	put_file(NAME(2), TWO END(2));
	put_file(LIVE, HEAD(3, "null") LINE(g));
	open_spool();
	assert_gives("cd!g");
}

static void
test_24_a_position_that_is_gone(void **state)
{
	struct spool_position position = { UUID(1), strlen(ONE) };

	(void)state;
	put_three(0);
	unlinkat(directory, NAME(1), 0);
	open_at(folder.name, &position);
	assert_gives("!cdef");
	assert_lost("segment " UUID(1) ", where reading had ended, is gone");
	assert_lost("from " NAME(2) " on");
	position = (struct spool_position){ UUID(9), 5 };
	open_at(folder.name, &position);
	assert_gives("!cdef");
	assert_lost("from " NAME(2) " on, all of it again");
	/* in the middle, and its neighbour knows it */
	put_file(NAME(1), ONE END(1));
	unlinkat(directory, NAME(2), 0);
	position = (struct spool_position){ UUID(2), 5 };
	open_at(folder.name, &position);
	assert_gives("!ef");
	assert_string_equal(scan_position(scan).uuid, UUID(3));
}

/* The live file emptied from outside, and written on without a head: what the
 * reader had not read before that, and after, is given; the rest again. */
static void
test_24_a_position_in_a_file_that_was_emptied(void **state)
{
	const struct spool_position position = { UUID(3),
						 strlen(HEAD(3, "null")) };

	(void)state;
	for (int is_rotated = 0; is_rotated < 2; is_rotated++) {
		put_three(0);
		put_file(LIVE, LINE(g));
		put_record(2 * strlen(THREE));
		if (is_rotated) {
			append(LIVE, END(4));
			rename_to(LIVE, NAME(4));
			put_file(LIVE, HEAD(5, "\"" UUID(4) "\"") LINE(h));
		}
		open_at(folder.name, &position);
		assert_gives(is_rotated ? "!abcdgzh" : "!abcdgz");
		assert_lost("from " NAME(1) " on, all of it again");
		remove_three();
	}
}

/* The live file taken away from outside: its writers make another one. */
static void
test_25_moved_away(void **state)
{
	(void)state;
	for (int is_deleted = 0; is_deleted < 2; is_deleted++) {
		put_file(NAME(1), ONE END(1));
		put_file(LIVE, TWO);
		open_spool();
		assert_gives("abcd");
		rename_to(LIVE, "elsewhere");
		append("elsewhere", LINE(e));
		if (is_deleted)
			unlinkat(directory, "elsewhere", 0);
		assert_gives("e");
		put_file(LIVE, HEAD(3, "\"" UUID(1) "\"") LINE(f));
		assert_gives("!f");
		assert_lost("verdict.log was moved or deleted before its end");
		remove_three();
	}
}

/* As an editor does it. */
static void
test_26_replaced_by_a_copy(void **state)
{
	(void)state;
	put_file(LIVE, ONE);
	open_spool();
	assert_gives("ab");
	put_file("copy", ONE LINE(c));
	rename_to("copy", LIVE);
	assert_gives("");
	assert_gives("!abc");
	append(LIVE, LINE(d));
	assert_gives("d");
}

static void
test_27_damaged(void **state)
{
	const struct spool_position position = { UUID(1), strlen(ONE) };
	struct stat status;

	(void)state;
	put_three(3);
	assert_int_equal(fstatat(directory, NAME(1) ".gz", &status, 0), 0);
	assert_int_equal(truncate(folder_path(&folder, NAME(1) ".gz"),
				  status.st_size / 2),
			 0);
	open_spool();
	assert_non_null(strstr(gives(), "!cdef"));
	assert_lost(NAME(1) ".gz is damaged behind octet");
	assert_string_equal(scan_position(scan).uuid, UUID(3));
	open_at(folder.name, &position);
	assert_gives("!cdef");
	assert_lost("is damaged");
}

/* A file that no gate of ours began has no UUID before it is rotated. */
static void
test_28_without_a_head(void **state)
{
	struct spool_position position;

	(void)state;
	for (int is_compressed = 0; is_compressed < 2; is_compressed++) {
		put_file(NAME(1), ONE END(1));
		put_file(LIVE, LINE(c));
		open_spool();
		assert_gives("abc");
		position = scan_position(scan);
		assert_string_equal(position.uuid, UUID(1));
		append(LIVE, LINE(d));
		rename_to(LIVE, NAME(2));
		put_file(LIVE, THREE);
		if (!is_compressed) {
			assert_gives("d");
			assert_string_equal(scan_position(scan).uuid, UUID(2));
		}
		append(NAME(2), END(2));
		if (is_compressed)
			compress_file(NAME(2));
		assert_gives(is_compressed ? "def" : "ef");
		open_at(folder.name, &position);
		assert_gives("cdef");
		remove_three();
	}
}

/* A last line means its own segment alone. */
static void
test_29_last_lines_of_others(void **state)
{
	(void)state;
	put_file(NAME(1), ONE END(2) LINE(x) END(1) LINE(y));
	put_file(LIVE, TWO END(2) LINE(z));
	open_spool();
	for (int i = 0; i < 3; i++)
		assert_gives(i == 0 ? "abxycdz" : "");
	assert_torn(0);
}

/* --- anything, in any order --------------------------------------------------
 */

#define WORKERS 3
#define STEPS 400
#define SEEDS 60

struct rig {
	unsigned random;
	int worker[WORKERS];    /* -1: none has it open */
	bool is_torn[WORKERS];  /* its next record begins with LF */
	unsigned written, read; /* ids count from 0 */
	unsigned least;         /* octets of a torn one */
	uint64_t torn, found_torn;
	bool is_read[STEPS];
	unsigned by[STEPS];        /* which worker has written it */
	unsigned next_of[WORKERS]; /* the least id that may come from each */
};

static unsigned
below(struct rig *rig, unsigned n)
{
	rig->random = rig->random * 1103515245 + 12345;
	return (rig->random >> 16) % n;
}

/* A worker moves on when it sees that it has to; not each time it writes. */
static int
open_worker(struct rig *rig, unsigned worker, bool looks)
{
	int *fd = &rig->worker[worker];

	if (*fd >= 0 && looks && !segment_is_live(directory, *fd)) {
		close(*fd);
		*fd = -1;
	}
	if (*fd < 0)
		*fd = segment_open(directory, GATE);
	assert_true(*fd >= 0);
	return *fd;
}

static void
write_line(struct rig *rig, unsigned worker, bool is_whole)
{
	int fd = open_worker(rig, worker, below(rig, 2) == 0);
	char text[64];
	size_t n = (size_t)snprintf(
		text, sizeof(text), "%s{\"v\":1,\"id\":%u}\n",
		rig->is_torn[worker] ? "\n" : "", rig->written);
	size_t lf = rig->is_torn[worker];

	rig->is_torn[worker] = false;
	if (!is_whole) {
		/* without its LF alone it would be whole all the same */
		n = lf + rig->least +
		    below(rig, (unsigned)(n - lf - rig->least) - 1);
		/* Killed, or told by a short write. */
		rig->is_torn[worker] = below(rig, 2) == 0;
	}
	assert_int_equal(write(fd, text, n), n);
	if (is_whole)
		rig->by[rig->written++] = worker;
	else
		rig->torn++;
}

static void
rotate(void)
{
	int error = segment_rotate(directory, GATE);

	assert_true(error == 0 || error == -ENOENT);
}

/* Where the reader is; also where it holds open what is deleted. */
static bool
is_here(const struct segment *segment)
{
	return strcmp(segment->head.uuid, scan_position(scan).uuid) == 0;
}

/* Close, compress and delete one. */
static void
keep_one(struct rig *rig, const struct segment *segment, bool may_delete)
{
	if (below(rig, 2) == 0)
		segment_close(directory, segment);
	if (!segment_is_closed(directory, segment))
		return;
	if (segment->form == SEGMENT_IS_ROTATED && below(rig, 3) == 0)
		assert_int_equal(segment_compress(directory, segment), 0);
	else if (may_delete && below(rig, 3) == 0)
		assert_int_equal(segment_remove(directory, segment), 0);
}

/* Nothing is deleted that the reader has not passed, but for what it holds
 * open. */
static void
keep(struct rig *rig)
{
	struct segment *list;
	size_t count, here;

	assert_int_equal(segment_list(directory, &list, &count), 0);
	for (here = 0; here < count; here++)
		if (is_here(&list[here]))
			break;
	for (size_t i = 0; i < count; i++)
		if (list[i].form != SEGMENT_IS_LIVE)
			keep_one(rig, &list[i],
				 here < count &&
					 (i < here ||
					  (i == here && scan_file(scan)[0])));
	free(list);
}

/* A few lines, or all there are. Each comes once, and those of a worker in
 * their order. */
static void
read_some(struct rig *rig, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct span line, id;
		uint64_t number = 0;
		enum scan_status status = scan_next(scan, &line);

		if (status == SCAN_END)
			break;
		if (status == SCAN_LOST)
			fail_msg("%s", scan_loss(scan));
		assert_int_equal(status, SCAN_LINE);
		assert_true(json_find(line, "id", &id) &&
			    span_u64(id, &number));
		assert_true(number < rig->written && !rig->is_read[number]);
		assert_true(number >= rig->next_of[rig->by[number]]);
		rig->next_of[rig->by[number]] = (unsigned)number + 1;
		rig->is_read[number] = true;
		rig->read++;
	}
}

/* As a reader that ends and begins again; where it was must be there. */
static void
reopen(struct rig *rig)
{
	struct spool_position position = scan_position(scan);
	struct segment *list;
	size_t count;
	bool is_there = false;

	assert_int_equal(segment_list(directory, &list, &count), 0);
	for (size_t i = 0; i < count; i++)
		is_there |= is_here(&list[i]);
	free(list);
	if (!is_there)
		return;
	rig->found_torn += scan_torn(scan);
	open_at(folder.name, &position);
}

static void
step(struct rig *rig)
{
	unsigned worker = below(rig, WORKERS);

	switch (below(rig, 16)) {
	case 0:
		rotate();
		break;
	case 1:
	case 2:
		keep(rig);
		break;
	case 3:
		write_line(rig, worker, false);
		break;
	case 4:
		close(rig->worker[worker]);
		rig->worker[worker] = -1;
		rig->is_torn[worker] = false;
		break;
	case 5:
		reopen(rig);
		break;
	case 6:
	case 7:
	case 8:
		read_some(rig, below(rig, 6));
		break;
	default:
		write_line(rig, worker, true);
	}
}

/* The last worker closes; the keeper closes all; the reader sees it all. */
static void
settle(struct rig *rig)
{
	struct segment *list;
	size_t count;

	for (unsigned i = 0; i < WORKERS; i++)
		if (rig->worker[i] >= 0)
			close(rig->worker[i]);
	rotate();
	assert_int_equal(segment_list(directory, &list, &count), 0);
	for (size_t i = 0; i < count; i++)
		if (list[i].form != SEGMENT_IS_LIVE)
			assert_int_equal(segment_close(directory, &list[i]), 0);
	free(list);
	read_some(rig, UINT_MAX);
}

static void
run_seed(unsigned seed)
{
	struct rig rig = { .random = seed, .worker = { -1, -1, -1 } };

	/* A piece that does not show that it begins a record is not told from
	 * a torn one before it. */
	rig.least = seed % 2 == 0 ? 1 : (unsigned)strlen("{\"v\":1,");
	open_spool();
	for (unsigned i = 0; i < STEPS; i++)
		step(&rig);
	settle(&rig);
	rig.found_torn += scan_torn(scan);
	if (rig.read != rig.written || rig.found_torn > rig.torn ||
	    (seed % 2 == 1 && rig.found_torn != rig.torn))
		fail_msg("seed %u: %u of %u lines, torn %" PRIu64
			 " of %" PRIu64,
			 seed, rig.read, rig.written, rig.found_torn, rig.torn);
}

static void
test_30_any_order(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < SEEDS; seed++) {
		run_seed(seed);
		folder_clear(folder.name);
	}
}

/* --- at the same time --------------------------------------------------------
 */

#define MANY 2000
#define ROTATED_AT 100

/* What a gate does in its life, as fast as it can. */
static void
write_many(void)
{
	unsigned rotated = 0;
	int fd = -1;

	for (unsigned i = 0; i < MANY; i++) {
		char text[64];
		size_t n = (size_t)snprintf(text, sizeof(text),
					    "{\"v\":1,\"id\":%u}\n", i);

		if (fd < 0)
			fd = segment_open(directory, GATE);
		if (fd < 0 || write(fd, text, n) != (ssize_t)n)
			_exit(1);
		if (i % ROTATED_AT != ROTATED_AT - 1)
			continue;
		if (segment_rotate(directory, GATE) != 0)
			_exit(2);
		close(fd);
		fd = -1;
		rotated++;
	}
	_exit(rotated == MANY / ROTATED_AT ? 0 : 3);
}

/* Close and compress, until told to end. */
static void
keep_many(int ending)
{
	uint8_t octet;

	while (read(ending, &octet, 1) < 0) {
		struct segment *list;
		size_t count;

		if (segment_list(directory, &list, &count) != 0)
			continue;
		for (size_t i = 0; i < count; i++)
			if (list[i].form == SEGMENT_IS_ROTATED &&
			    segment_close(directory, &list[i]) == 0)
				segment_compress(directory, &list[i]);
		free(list);
	}
	_exit(0);
}

/* All that was written, in order, by one who begins anew ever again. */
static void
read_many(void)
{
	const time_t deadline = time(NULL) + 120;
	unsigned next = 0;

	open_spool();
	while (next < MANY && time(NULL) < deadline) {
		struct spool_position position;
		enum scan_status status;
		struct span line, id;

		while ((status = scan_next(scan, &line)) == SCAN_LINE) {
			uint64_t number = 0;

			assert_true(json_find(line, "id", &id));
			assert_true(span_u64(id, &number));
			assert_int_equal(number, next);
			next++;
			if (next % 20 == 0)
				break;
		}
		if (status == SCAN_LOST)
			fail_msg("%s", scan_loss(scan));
		assert_int_not_equal(status, SCAN_ERROR);
		position = scan_position(scan);
		open_at(folder.name, &position);
	}
	assert_int_equal(next, MANY);
}

static void
test_31_at_the_same_time(void **state)
{
	int ending[2], status;
	pid_t writer, keeper;

	(void)state;
	assert_int_equal(pipe2(ending, O_CLOEXEC | O_NONBLOCK), 0);
	keeper = fork();
	if (keeper == 0) {
		close(ending[1]);
		keep_many(ending[0]);
	}
	close(ending[0]);
	writer = fork();
	if (writer == 0) {
		close(ending[1]);
		write_many();
	}
	read_many();
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
	close(ending[1]);
	assert_int_equal(waitpid(keeper, &status, 0), keeper);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_01_a_line_comes_when_it_is_whole),
		TEST(test_02_torn_lines),
		TEST(test_03_lines_without_an_end),
		TEST(test_04_what_is_left_at_the_end),
		TEST(test_05_a_file_that_is_not_there_yet),
		TEST(test_06_one_file_alone),
		TEST(test_07_no_such_path),
		TEST(test_10_all_segments_in_order),
		TEST(test_11_every_position_gives_the_rest),
		TEST(test_12_a_segment_is_passed_when_it_was_read),
		TEST(test_13_rotation),
		TEST(test_14_who_does_not_wait),
		TEST(test_15_compressed_or_deleted_while_it_is_read),
		TEST(test_16_behind_a_last_line),
		TEST(test_17_only_what_is_new),
		TEST(test_18_many_segments),
		TEST(test_20_truncated),
		TEST(test_21_truncated_while_it_is_read),
		TEST(test_22_truncated_between_two_readings),
		TEST(test_23_missing_segments),
		TEST(test_24_a_position_that_is_gone),
		TEST(test_24_a_position_in_a_file_that_was_emptied),
		TEST(test_25_moved_away),
		TEST(test_26_replaced_by_a_copy),
		TEST(test_27_damaged),
		TEST(test_28_without_a_head),
		TEST(test_29_last_lines_of_others),
		TEST(test_30_any_order),
		TEST(test_31_at_the_same_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
