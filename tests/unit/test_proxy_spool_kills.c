/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writers that are killed while they write, and replaced, while the keeper
 * rotates: every line that was reported as written is there, once, and every
 * segment has its first and its last line. Read back twice: by hand, and by
 * scan.
 *
 * Each writer is a process with a ring of its own, as a worker is, and reports
 * each line through a pipe when it is told that it is written. When they are
 * killed is drawn from a seed, which is printed; KILLS_SEED repeats it as far
 * as the machine can.
 */
#include "proxy/spoolfile.h"

#include "dmarc/report/json_read.h"
#include "dmarc/report/scan.h"
#include "proxy/keeper.h"
#include "proxy/owner.h"
#include "tests/unit/folder.h"
#include "tests/unit/ring_scene.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define GATE SPAN_LIT("mx.example")
#define WRITERS 4
#define KILLS 150
#define PLANTED 15 /* torn lines, whatever the kills tear */
#define HALF "{\"v\":1,\"planted\":"
#define LINES_MAX 20000 /* of one writer's life */
#define LIVES (WRITERS + KILLS)
#define AT_ONCE 4
#define LINE_MAX_OCTETS 32768
#define TICK_US 20000
#define PAUSE_US 300

/* Of a line: who wrote it, and the how many-th it was. */
struct name {
	uint32_t life, number;
};

struct scene {
	struct folder folder;
	int directory;
	int life[2];    /* of the keeper */
	int reports[2]; /* struct name, of lines that are written */
	struct conf conf;
	pid_t keeper;
	pid_t writers[WRITERS];
	uint32_t lives;
	uint64_t random;
};

static struct scene scene;

/* By life and number. */
static uint8_t reported[LIVES][LINES_MAX];
static uint8_t found[LIVES][LINES_MAX];
static uint8_t scanned[LIVES][LINES_MAX];

static uint64_t
draw(void)
{
	/* splitmix64 */
	uint64_t z = scene.random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* --- a writer ---------------------------------------------------------------
 */

struct line {
	struct spoolfile_line line;
	struct writer *writer;
	uint32_t number;
	bool is_under_way;
	char text[LINE_MAX_OCTETS];
};

struct writer {
	struct ring_scene ring;
	struct spoolfile file;
	struct stats stats;
	uint32_t life, next;
	struct line lines[AT_ONCE];
};

static void
write_line(struct line *line)
{
	struct writer *writer = line->writer;
	/* Now and then one that takes a while to write. */
	size_t n =
		100 + draw() % (draw() % 4 == 0 ? LINE_MAX_OCTETS - 200 : 1000);
	int start;

	line->number = writer->next++;
	line->is_under_way = true;
	assert_true(line->number < LINES_MAX);
	memset(line->text, 'x', n);
	start = snprintf(line->text, 100,
			 "{\"v\":1,\"life\":%u,\"number\":%u,"
			 "\"pad\":\"",
			 writer->life, line->number);
	line->text[start] = 'x';
	memcpy(line->text + n, "\"}\n", 3);
	spoolfile_append(&writer->file, &line->line,
			 span_make(line->text, n + 3));
}

static void
on_done(struct spoolfile_line *told, int error)
{
	struct line *line = OWNER(told, struct line, line);
	struct name name = { line->writer->life, line->number };

	if (error != 0)
		_exit(3);
	if (write(scene.reports[1], &name, sizeof(name)) != sizeof(name))
		_exit(4);
	line->is_under_way = false;
}

/* Until it is killed. */
static _Noreturn void
write_on(uint32_t life)
{
	static struct writer writer;
	const struct spoolfile_setup setup = {
		.directory = scene.directory,
		.gate = GATE,
		.stats = &writer.stats,
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	writer.life = life;
	ring_scene_make(&writer.ring);
	spoolfile_init(&writer.file, writer.ring.ring, &writer.ring.timers,
		       &setup);
	for (size_t i = 0; i < AT_ONCE; i++) {
		writer.lines[i].writer = &writer;
		writer.lines[i].line.done = on_done;
	}
	for (uint64_t tick_us = 0;;) {
		for (size_t i = 0; i < AT_ONCE; i++)
			if (!writer.lines[i].is_under_way)
				write_line(&writer.lines[i]);
		ring_scene_turn(&writer.ring, TICK_US);
		if (clock_monotonic_us() >= tick_us) {
			spoolfile_tick(&writer.file);
			tick_us = clock_monotonic_us() + TICK_US;
		}
		usleep((useconds_t)(draw() % PAUSE_US));
	}
}

/* --- the scene --------------------------------------------------------------
 */

static void
start_writer(unsigned place)
{
	uint32_t life = scene.lives++;
	pid_t pid;

	assert_true(life < LIVES);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		write_on(life);
	scene.writers[place] = pid;
}

static void
start_keeper(void)
{
	const struct keeper_setup setup = {
		.conf = &scene.conf,
		.spool = scene.directory,
		.life = scene.life[0],
	};

	scene.keeper = fork();
	assert_true(scene.keeper >= 0);
	if (scene.keeper == 0) {
		close(scene.life[1]);
		_exit(keeper_run(&setup));
	}
}

/* End a process; it must have lived until now. */
static void
kill_one(pid_t *pid, int signal)
{
	int status;

	kill(*pid, signal);
	assert_int_equal(waitpid(*pid, &status, 0), *pid);
	*pid = 0;
	assert_int_equal(status, signal == SIGKILL ? SIGKILL : 0);
}

static int
set_up(void **state)
{
	const char *seed = getenv("KILLS_SEED");

	(void)state;
	scene = (struct scene){
		.conf = { .hostname = GATE, .rotate_octets_max = 1 << 19 },
		.random = seed == NULL ? (uint64_t)getpid()
				       : (uint64_t)strtoull(seed, NULL, 10),
	};
	print_message("seed %llu\n", (unsigned long long)scene.random);
	folder_make(&scene.folder);
	scene.directory =
		open(scene.folder.name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return scene.directory < 0 || pipe2(scene.life, O_CLOEXEC) != 0 ||
	       pipe2(scene.reports, O_CLOEXEC) != 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WRITERS; i++)
		if (scene.writers[i] > 0)
			kill(scene.writers[i], SIGKILL);
	if (scene.keeper > 0)
		kill(scene.keeper, SIGKILL);
	while (wait(NULL) > 0)
		;
	close(scene.directory);
	folder_remove(&scene.folder);
	return 0;
}

/* Take the reports that come within a time. */
static void
listen_for(uint64_t us)
{
	uint64_t end_us = clock_monotonic_us() + us;

	for (;;) {
		uint64_t now_us = clock_monotonic_us();
		struct pollfd pipe = { .fd = scene.reports[0],
				       .events = POLLIN };
		struct name names[512];
		ssize_t n;

		if (now_us >= end_us ||
		    poll(&pipe, 1, (int)((end_us - now_us) / 1000)) <= 0)
			return;
		n = read(pipe.fd, names, sizeof(names));
		assert_true(n > 0 && (size_t)n % sizeof(names[0]) == 0);
		for (size_t i = 0; i < (size_t)n / sizeof(names[0]); i++)
			reported[names[i].life][names[i].number]++;
	}
}

/* --- what is left -----------------------------------------------------------
 */

struct count {
	size_t segments, lines, torn, planted, empty, heads, ends;
};

static uint32_t
number_at(struct span line, const char *path)
{
	struct span value;
	uint64_t number = 0;

	assert_true(json_find(line, path, &value) && span_u64(value, &number));
	return (uint32_t)number;
}

/* Whether a record is whole. Most are lines of ours, of a text that is looked
 * through faster than by a parser. */
static bool
is_whole(struct span record)
{
	static const char pad[] = "\"pad\":\"";
	size_t head = record.n < 100 ? record.n : 100;
	const uint8_t *at = memmem(record.p, head, pad, sizeof(pad) - 1);
	struct span rest;

	if (at == NULL)
		return json_is_object(record);
	/* Torn before, and another one behind that. */
	if (memmem(record.p + 1, (size_t)(at - record.p) - 1, "{", 1) != NULL)
		return false;
	rest = span_after(record, (size_t)(at - record.p) + sizeof(pad) - 1);
	return rest.n >= 2 && span_find(rest, '"') == rest.n - 2 &&
	       rest.p[rest.n - 1] == '}';
}

static void
take_record(struct span record, const struct segment *segment,
	    struct count *count)
{
	struct segment_head head;
	struct span value;

	if (segment_head_parse(record, &head)) {
		count->heads++;
	} else if (segment_is_end(record, segment->head.uuid)) {
		count->ends++;
	} else {
		assert_false(json_find(record, "end", &value));
		found[number_at(record, "life")][number_at(record, "number")]++;
		count->lines++;
	}
}

/* A line as readers take it: what is torn before a record is left out. */
static void
take_line(struct span line, const struct segment *segment, struct count *count)
{
	if (line.n == 0) {
		count->empty++;
		return;
	}
	while (line.n > 0 && !is_whole(line)) {
		if (span_starts(line, SPAN_LIT(HALF)))
			count->planted++;
		else
			count->torn++;
		line = json_resynchronise(line);
	}
	if (line.n > 0)
		take_record(line, segment, count);
}

static void
read_segment(const struct segment *segment, struct count *count)
{
	struct count own = { 0 };
	struct span rest;
	struct buf text;

	buf_init(&text, 64 << 20);
	assert_true(folder_read(&scene.folder, segment->name, &text));
	for (rest = buf_span(&text); rest.n > 0;) {
		size_t n = span_find(rest, '\n');

		/* Nobody may have written behind the last line. */
		assert_true(n < rest.n);
		assert_int_equal(own.ends, 0);
		take_line(span_first(rest, n), segment, &own);
		assert_int_equal(own.heads, 1);
		rest = span_after(rest, n + 1);
	}
	assert_int_equal(own.ends, 1);
	buf_fini(&text);
	count->segments++;
	count->lines += own.lines;
	count->torn += own.torn;
	count->planted += own.planted;
	count->empty += own.empty;
}

/* Nobody writes any more: what is not closed can be. */
static void
read_all(struct count *count)
{
	struct segment *list;
	size_t n;

	assert_int_equal(segment_rotate(scene.directory, GATE), 0);
	assert_int_equal(segment_list(scene.directory, &list, &n), 0);
	for (size_t i = 0; i + 1 < n; i++) {
		if (i > 0)
			assert_string_equal(list[i].head.previous,
					    list[i - 1].head.uuid);
		assert_int_equal(segment_close(scene.directory, &list[i]), 0);
		read_segment(&list[i], count);
	}
	free(list);
}

/* The same by the reader that others use: all that was found, and no more. */
static void
scan_all(const struct count *count)
{
	int error;
	struct scan *scan = scan_open(scene.folder.name, NULL, &error);
	enum scan_status status;
	struct span line;

	assert_non_null(scan);
	while ((status = scan_next(scan, &line)) == SCAN_LINE)
		scanned[number_at(line, "life")][number_at(line, "number")]++;
	if (status == SCAN_LOST)
		fail_msg("%s", scan_loss(scan));
	assert_int_equal(status, SCAN_END);
	assert_string_equal(scan_file(scan), SEGMENT_LIVE);
	assert_int_equal(scan_torn(scan), count->torn + count->planted);
	assert_int_equal(scan_unwritten(scan), 0);
	assert_memory_equal(scanned, found, sizeof(found));
	scan_free(scan);
}

/* What a writer leaves that is killed in mid-write. */
static void
tear_line(void)
{
	int fd = segment_open(scene.directory, GATE);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, HALF, strlen(HALF)), strlen(HALF));
	close(fd);
}

static void
every_line_reported_is_there_once(void **state)
{
	struct count count = { 0 };
	size_t written = 0;

	(void)state;
	start_keeper();
	for (unsigned i = 0; i < WRITERS; i++)
		start_writer(i);
	for (unsigned i = 0; i < KILLS; i++) {
		unsigned place = (unsigned)(draw() % WRITERS);

		listen_for(draw() % 25000);
		kill_one(&scene.writers[place], SIGKILL);
		start_writer(place);
		kill(scene.keeper, SIGCHLD); /* it looks at the size */
		if (i % (KILLS / PLANTED) == 0)
			tear_line();
		/* The keeper is no better. */
		if (i % 50 == 49) {
			kill_one(&scene.keeper, SIGKILL);
			start_keeper();
		}
	}
	for (unsigned i = 0; i < WRITERS; i++)
		kill_one(&scene.writers[i], SIGKILL);
	listen_for(100000);
	kill_one(&scene.keeper, SIGTERM);
	read_all(&count);
	scan_all(&count);
	for (size_t life = 0; life < LIVES; life++) {
		for (size_t i = 0; i < LINES_MAX; i++) {
			written += reported[life][i];
			assert_true(found[life][i] <= 1);
			assert_true(found[life][i] >= reported[life][i]);
		}
	}
	print_message("%u kills, %zu segments, %zu lines, %zu of them "
		      "reported, %zu torn, %zu planted, %zu empty\n",
		      KILLS + WRITERS, count.segments, count.lines, written,
		      count.torn, count.planted, count.empty);
	assert_true(count.segments > 10);
	assert_int_equal(count.planted, PLANTED);
	assert_true(written > KILLS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			every_line_reported_is_there_once, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
