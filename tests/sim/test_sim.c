/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_sim: lives of senders in a simulated world, until there were enough
 * sessions, for each configuration.
 *
 *     test_sim [-n SESSIONS] [-s SEED] [-c NAME] [-j PROCESSES] [-x]
 *     test_sim -r -c NAME -s SEED
 *
 * Seeds count up from SEED. What a failure prints is enough to see it again:
 * -r lives that one life, and prints its transcript while it goes on. Without
 * -n it is the number in SIM_SESSIONS, else 200000, or 20000 where the code is
 * slow (sanitizers, no optimisation). -x stops at the first failure, tries all
 * configurations for a short while before any for a long one, and does not ask
 * for the floors: that tells soonest whether a bug is found.
 *
 * The output is TAP: one case for each configuration, then, in all but short
 * runs, one for each kind of fault (fault.def) and each feature (feature.def),
 * which fails if that was hardly ever seen, or used.
 * tests/run shows the counts, lines with "#:", even of a run that is good.
 */
#include "tests/sim/scenario.h"

#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_SEED 2026
#define PROCESSES_MAX 64
#define HASTE 500
#define HEAP_MAX (1u << 18) /* octets more in use between lives */
#define SHOWN_MAX 40000     /* octets of a transcript, from its end */

/* One fault of each kind for so many sessions, and one session with each
 * feature for so many, at the least. */
#define SESSIONS_A_FAULT 2500
#define SESSIONS_A_FEATURE 5000
#define FLOORS_FROM 20000 /* sessions */

#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
#define DEFAULT_SESSIONS 20000
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DEFAULT_SESSIONS 20000
#endif
#endif
#ifndef DEFAULT_SESSIONS
#define DEFAULT_SESSIONS 200000
#endif

struct options {
	uint64_t sessions, seed, processes;
	const char *name; /* of the only configuration; NULL: all */
	bool is_replay;
	bool is_hasty;
};

/* What a process tells the one that waits for it, in memory they share. */
struct report {
	struct tally tally;
	uint64_t seed; /* of the life that is being lived */
	bool has_failed;
	char fault[2000];
};

static struct report *reports; /* of each process */
static struct world world;

static void
fail(struct report *report, struct span fault)
{
	report->has_failed = true;
	snprintf(report->fault, sizeof(report->fault), "%.*s", (int)fault.n,
		 (const char *)fault.p);
}

/* Nothing of a life is kept. The C library may keep a little for its own
 * purposes, and so may the engine of DKIM; under a sanitizer the library tells
 * nothing, and that tells more itself. */
static bool
is_leaking(size_t held_before)
{
	return mallinfo2().uordblks > held_before + HEAP_MAX;
}

static void
live_lives(const struct options *options, const struct scenario *scenario,
	   unsigned process, uint64_t sessions)
{
	struct report *report = &reports[process];
	size_t held_before = mallinfo2().uordblks;

	*report = (struct report){ .seed = options->seed + process };
	while (report->tally.sessions < sessions) {
		if (!world_live(&world, scenario, report->seed, &report->tally,
				NULL))
			fail(report, buf_span(&world.stage.fault));
		world_end(&world);
		if (!report->has_failed && is_leaking(held_before))
			fail(report, SPAN_LIT("memory is lost, here or in the "
					      "lives before"));
		if (report->has_failed)
			return;
		report->seed += options->processes;
	}
}

static pid_t
start(const struct options *options, const struct scenario *scenario,
      unsigned process, uint64_t sessions)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	assert(pid >= 0);
	if (pid != 0)
		return pid;
	live_lives(options, scenario, process, sessions);
	exit(0); /* a sanitizer looks for leaks then */
}

static void
finish(pid_t pid, struct report *report)
{
	int status = 0;
	pid_t ended = waitpid(pid, &status, 0);

	assert(ended == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	report->has_failed = true;
	snprintf(report->fault, sizeof(report->fault),
		 "the process died: signal %d, exit status %d",
		 WIFSIGNALED(status) ? WTERMSIG(status) : 0,
		 WIFEXITED(status) ? WEXITSTATUS(status) : 0);
}

/* --- telling --- */

/* The end of a text, as comments of TAP. */
static void
print_end(FILE *file)
{
	static char text[SHOWN_MAX + 1];
	long size;
	size_t n;

	fseek(file, 0, SEEK_END);
	size = ftell(file);
	fseek(file, size > SHOWN_MAX ? size - SHOWN_MAX : 0, SEEK_SET);
	n = fread(text, 1, SHOWN_MAX, file);
	for (char *at = text; at < text + n;) {
		char *end = memchr(at, '\n', (size_t)(text + n - at));
		size_t length = (size_t)((end == NULL ? text + n : end) - at);

		printf("# %.*s\n", (int)length, at);
		at += length + 1;
	}
}

/* The life again, in a process of its own since it may end with it. */
static void
show_life(const struct scenario *scenario, uint64_t seed)
{
	static struct tally tally;
	FILE *file = tmpfile();
	pid_t pid;

	assert(file != NULL);
	fflush(stdout);
	pid = fork();
	assert(pid >= 0);
	if (pid == 0) {
		world_live(&world, scenario, seed, &tally, file);
		fflush(file);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	print_end(file);
	fclose(file);
}

static void
print_failure(const struct options *options, const struct scenario *scenario,
	      const struct report *report)
{
	if (!options->is_hasty)
		show_life(scenario, report->seed);
	printf("# seed %llu: %s\n", (unsigned long long)report->seed,
	       report->fault);
	printf("# to see it again: test_sim -r -c %s -s %llu\n", scenario->name,
	       (unsigned long long)report->seed);
}

static void
add(struct tally *to, const struct tally *from)
{
	uint64_t *t = (uint64_t *)to;
	const uint64_t *f = (const uint64_t *)from;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*t); i++)
		t[i] += f[i];
}

static bool
run_scenario(const struct options *options, const char *name, unsigned number,
	     uint64_t sessions, struct tally *tally)
{
	pid_t pids[PROCESSES_MAX];
	struct scenario scenario;
	bool is_good = scenario_init(&scenario, name);
	struct tally here = { 0 };

	if (!is_good)
		printf("# %.*s", (int)scenario.faults.n,
		       (const char *)buf_span(&scenario.faults).p);
	for (unsigned i = 0; is_good && i < options->processes; i++)
		pids[i] = start(options, &scenario, i,
				sessions / options->processes + 1);
	for (unsigned i = 0; is_good && i < options->processes; i++)
		finish(pids[i], &reports[i]);
	for (unsigned i = 0;
	     scenario.props.conf != NULL && i < options->processes; i++) {
		add(&here, &reports[i].tally);
		if (!reports[i].has_failed)
			continue;
		print_failure(options, &scenario, &reports[i]);
		is_good = false;
	}
	add(tally, &here);
	printf("%sok %u - %s: %llu sessions from seed %llu\n",
	       is_good ? "" : "not ", number, name,
	       (unsigned long long)here.sessions,
	       (unsigned long long)options->seed);
	scenario_fini(&scenario);
	return is_good;
}

static void
print_count(const char *what, uint64_t count)
{
	printf("#: %-52s %10llu\n", what, (unsigned long long)count);
}

static void
print_tally(const struct tally *tally)
{
	print_count("sessions simulated", tally->sessions);
	print_count("... of senders", tally->lives);
	print_count("... in steps", tally->steps);
	print_count("messages", tally->messages);
	print_count("ends of data", tally->ends_of_data);
	print_count("... BDAT LAST, answered", tally->chunked);
	print_count("... of a binary message", tally->binary);
	print_count("... answered 2xx", tally->replies[2]);
	print_count("... answered 4xx", tally->replies[4]);
	print_count("... answered 5xx", tally->replies[5]);
	print_count("... without a verdict line, the worker was killed before",
		    tally->unwritten);
	print_count("workers killed in a session", tally->killed);
	print_count("clients put under TLS", tally->client_tls);
	print_count("backends put under TLS", tally->backend_tls);
	print_count("recipients", tally->recipients);
	print_count("... delivered", tally->delivered);
	print_count("... refused", tally->refused);
	print_count("... given up by the sender", tally->given_up);
	print_count("doubled where the sender had not heard of the first",
		    tally->doubled);
	print_count("messages lost", tally->lost);
	for (enum fault fault = 0; fault < FAULT_COUNT; fault++)
		print_count(fault_text(fault), tally->faults[fault]);
	for (enum feature feature = 0; feature < FEATURE_COUNT; feature++)
		print_count(feature_text(feature), tally->features[feature]);
}

static bool
judge_floor(unsigned number, const char *text, uint64_t count, uint64_t floor)
{
	bool is_seen = count >= floor;

	printf("%sok %u - %s: %llu times, %llu wanted\n", is_seen ? "" : "not ",
	       number, text, (unsigned long long)count,
	       (unsigned long long)floor);
	return is_seen;
}

/* A kind of fault that does not happen proves nothing; nor does a feature that
 * is not used. */
static bool
judge_floors(const struct tally *tally, unsigned number)
{
	uint64_t floor = tally->sessions / SESSIONS_A_FAULT;
	uint64_t feature_floor = tally->sessions / SESSIONS_A_FEATURE;
	bool is_good = true;

	for (enum fault fault = 0; fault < FAULT_COUNT; fault++)
		is_good &= judge_floor(number++, fault_text(fault),
				       tally->faults[fault], floor);
	for (enum feature feature = 0; feature < FEATURE_COUNT; feature++)
		is_good &= judge_floor(number++, feature_text(feature),
				       tally->features[feature], feature_floor);
	return is_good;
}

/* --- */

static bool
is_chosen(const struct options *options, const char *name)
{
	return options->name == NULL || strcmp(options->name, name) == 0;
}

/* Twice as long each time, with other seeds. */
static bool
run_hastily(const struct options *options)
{
	struct options now = *options;
	struct tally tally = { 0 };
	unsigned number = 0;

	for (uint64_t sessions = HASTE; tally.sessions < options->sessions;
	     sessions *= 2) {
		for (unsigned i = 0; i < SCENARIOS; i++)
			if (is_chosen(options, scenario_names[i]) &&
			    !run_scenario(&now, scenario_names[i], ++number,
					  sessions, &tally))
				return false;
		now.seed += sessions;
	}
	printf("1..%u\n", number);
	return number > 0;
}

static bool
run_all(const struct options *options)
{
	unsigned chosen = options->name == NULL ? SCENARIOS : 1;
	uint64_t sessions = options->sessions / chosen;
	bool is_good = true;
	bool has_floors = chosen > 1 && options->sessions >= FLOORS_FROM;
	struct tally tally = { 0 };
	unsigned number = 0;

	printf("1..%u\n",
	       chosen + (has_floors ? FAULT_COUNT + FEATURE_COUNT : 0));
	for (unsigned i = 0; i < SCENARIOS; i++)
		if (is_chosen(options, scenario_names[i]))
			is_good &= run_scenario(options, scenario_names[i],
						++number, sessions, &tally);
	print_tally(&tally);
	if (has_floors)
		is_good &= judge_floors(&tally, number + 1);
	return is_good && number > 0;
}

static bool
replay(const struct options *options)
{
	static struct tally tally;
	struct scenario scenario;
	bool is_good = scenario_init(&scenario, options->name);

	if (is_good)
		is_good = world_live(&world, &scenario, options->seed, &tally,
				     stdout);
	printf("%.*s\n", (int)world.stage.fault.n,
	       world.stage.fault.n == 0
		       ? ""
		       : (const char *)buf_span(&world.stage.fault).p);
	world_end(&world);
	scenario_fini(&scenario);
	return is_good;
}

static bool
is_known(const char *name)
{
	for (unsigned i = 0; i < SCENARIOS; i++)
		if (strcmp(scenario_names[i], name) == 0)
			return true;
	return false;
}

static bool
read_options(struct options *options, int argc, char **argv)
{
	const char *sessions = getenv("SIM_SESSIONS");
	bool is_good = true;
	int option;

	if (sessions != NULL && sessions[0] != '\0')
		is_good = span_u64(span_cstr(sessions), &options->sessions);
	while ((option = getopt(argc, argv, "n:s:c:j:xr")) != -1) {
		if (option == 'n')
			is_good &=
				span_u64(span_cstr(optarg), &options->sessions);
		else if (option == 's')
			is_good &= span_u64(span_cstr(optarg), &options->seed);
		else if (option == 'c')
			options->name = optarg;
		else if (option == 'j')
			is_good &= span_u64(span_cstr(optarg),
					    &options->processes);
		else if (option == 'x')
			options->is_hasty = true;
		else if (option == 'r')
			options->is_replay = true;
		else
			is_good = false;
	}
	return is_good && optind == argc && options->processes > 0 &&
	       options->processes <= PROCESSES_MAX &&
	       (options->name == NULL ? !options->is_replay
				      : is_known(options->name));
}

int
main(int argc, char **argv)
{
	struct options options = {
		.sessions = DEFAULT_SESSIONS,
		.seed = DEFAULT_SEED,
		.processes = 2,
	};

	if (!read_options(&options, argc, argv)) {
		fprintf(stderr,
			"usage: %s [-n SESSIONS] [-s SEED] [-c NAME] "
			"[-j PROCESSES] [-x]\n"
			"       %s -r -c NAME -s SEED\n",
			argv[0], argv[0]);
		return 64;
	}
	if (options.is_replay)
		return replay(&options) ? 0 : 1;
	reports =
		mmap(NULL, PROCESSES_MAX * sizeof(*reports),
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert(reports != MAP_FAILED);
	if (options.is_hasty)
		return run_hastily(&options) ? 0 : 1;
	return run_all(&options) ? 0 : 1;
}
