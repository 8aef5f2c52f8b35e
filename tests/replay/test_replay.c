/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_replay: play dialogue scripts against proxy/session, in process.
 *
 *     test_replay [-v] [-s SEED] [SCRIPT…]
 *
 * Each script is played once for each way to cut what the parties say into
 * pieces; all of them must give the same. Without SCRIPT, all of tests/replay,
 * and then it is seen that these have said each verb in each state of a session
 * (see occasions.h), by scripts that tests/wire plays too.
 * The output is TAP; -v shows the transcripts of those that pass, too.
 */
#include "dmarc/second.h"
#include "tests/replay/occasions.h"
#include "tests/replay/play.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define FAULTS_MAX (64u * 1024)
#define CHUNKINGS 6
#define DEFAULT_SEED 2026
#define FOLDER "tests/replay"
#define NOT_ON_THE_WIRE "tests/wire/in-process-only"

static const struct {
	const char *name;
	enum chunking chunking;
} chunkings[CHUNKINGS] = {
	{ "line by line", CHUNK_LINES },    { "in groups", CHUNK_GROUPS },
	{ "octet by octet", CHUNK_OCTETS }, { "at random", CHUNK_RANDOM },
	{ "at random", CHUNK_RANDOM },      { "at random", CHUNK_RANDOM },
};

struct options {
	bool is_verbose;
	uint64_t seed;
};

struct tally {
	unsigned cases, failed;
};

/* What all plays of one script share. */
struct piece {
	struct script script;
	struct conf *conf;
	struct zone *zone;
	struct rules rules;
	struct dkim_engine *dkim, *second;
	struct buf faults;
};

/* conf_read() wants a file: one without a name. */
static struct conf *
read_conf(struct span text, struct buf *faults)
{
	int fd = memfd_create("proxy.conf", MFD_CLOEXEC);
	ssize_t written = fd < 0 ? -1 : write(fd, text.p, text.n);
	struct conf *conf;
	char path[64];

	assert(written == (ssize_t)text.n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	conf = conf_read(path, CONF_GATE, faults);
	close(fd);
	return conf;
}

static bool
prepare(struct piece *piece, const char *file)
{
	*piece = (struct piece){ 0 };
	buf_init(&piece->faults, FAULTS_MAX);
	if (!script_read(&piece->script, file, &piece->faults))
		return false;
	piece->conf = read_conf(buf_span(&piece->script.conf), &piece->faults);
	if (piece->conf == NULL)
		return false;
	buf_reset(&piece->faults);
	piece->zone = zone_parse(buf_span(&piece->script.zone), "zone",
				 &piece->faults);
	piece->dkim = rules_dkim_engine(piece->conf, piece->conf->dkim_engine);
	if (piece->conf->has_second_opinion)
		piece->second = rules_dkim_engine(
			piece->conf,
			second_dkim_engine(piece->conf->dkim_engine));
	return piece->zone != NULL && piece->dkim != NULL &&
	       rules_open(&piece->rules, piece->conf, &piece->faults);
}

static void
clean_up(struct piece *piece)
{
	dkim_engine_free(piece->dkim);
	dkim_engine_free(piece->second);
	rules_close(&piece->rules);
	zone_free(piece->zone);
	conf_free(piece->conf);
	script_fini(&piece->script);
	buf_fini(&piece->faults);
}

/* As a comment of TAP. */
static void
print_text(struct span text)
{
	while (text.n > 0) {
		size_t n = span_find(text, '\n');

		printf("# %.*s\n", (int)n, (const char *)text.p);
		text = span_after(text, n < text.n ? n + 1 : n);
	}
}

/* The verdict lines without their "dns": which questions went out before a
 * message turned out to need no answer is a matter of time. */
static void
append_without_dns(struct buf *to, struct span lines)
{
	struct span from = SPAN_LIT("\"dns\":["), until = SPAN_LIT("\"ms\":{");
	bool is_inside = false;

	while (lines.n > 0) {
		if (span_starts(lines, from))
			is_inside = true;
		else if (span_starts(lines, until))
			is_inside = false;
		if (!is_inside)
			buf_append_octet(to, lines.p[0]);
		lines = span_after(lines, 1);
	}
	assert(!is_inside && !to->has_overflowed);
}

static bool
are_verdicts_equal(struct span a, struct span b)
{
	struct buf left, right;
	bool is_equal;

	buf_init(&left, a.n + 1);
	buf_init(&right, b.n + 1);
	append_without_dns(&left, a);
	append_without_dns(&right, b);
	is_equal = span_equal(buf_span(&left), buf_span(&right));
	buf_fini(&left);
	buf_fini(&right);
	return is_equal;
}

/* Whatever the pieces were, everybody has heard and seen the same. */
static void
compare(const struct stage *first, struct stage *stage)
{
	static const char *const whom[] = { "client", "backend",
					    "second backend" };

	for (enum session_side side = 0; side < SIDE_COUNT; side++)
		if (!heard_equal(&first->party[side].heard,
				 &stage->party[side].heard))
			stage_fail(stage,
				   "the %s has heard something else "
				   "than line by line",
				   whom[side]);
	if (!are_verdicts_equal(buf_span(&first->verdicts),
				buf_span(&stage->verdicts)))
		stage_fail(stage, "the verdict lines are others than line by "
				  "line");
	if (first->event_count != stage->event_count ||
	    memcmp(first->events, stage->events,
		   stage->event_count * sizeof(stage->events[0])) != 0)
		stage_fail(stage, "the events are others than line by line");
}

static void
report(struct tally *tally, const struct options *options, const char *name,
       const char *how, uint64_t seed, const struct stage *stage)
{
	bool is_good = !stage_has_failed(stage);

	tally->failed += !is_good;
	printf("%sok %u - %s %s", is_good ? "" : "not ", ++tally->cases, name,
	       how);
	if (stage->chunking == CHUNK_RANDOM)
		printf(" %llu", (unsigned long long)seed);
	printf("\n");
	if (is_good && !options->is_verbose)
		return;
	print_text(buf_span(&stage->transcript));
	print_text(buf_span(&stage->fault));
}

static void
report_unread(struct tally *tally, const char *name, const struct piece *piece)
{
	for (unsigned i = 0; i < CHUNKINGS; i++)
		printf("not ok %u - %s %s\n", ++tally->cases, name,
		       chunkings[i].name);
	tally->failed += CHUNKINGS;
	print_text(buf_span(&piece->faults));
}

static void
run_script(struct tally *tally, const struct options *options, const char *file)
{
	static struct stage first, stage;
	const char *slash = strrchr(file, '/');
	const char *name = slash == NULL ? file : slash + 1;
	struct stage_props props;
	struct piece piece;

	if (!prepare(&piece, file)) {
		report_unread(tally, name, &piece);
		clean_up(&piece);
		return;
	}
	props = (struct stage_props){
		.conf = piece.conf,
		.zone = piece.zone,
		.rules = &piece.rules.settings,
		.dkim = piece.dkim,
		.second = piece.second,
	};
	for (unsigned i = 0; i < CHUNKINGS; i++) {
		struct stage *now = i == 0 ? &first : &stage;
		uint64_t seed = options->seed + i;

		stage_init(now, &props, chunkings[i].chunking, seed);
		play(now, &piece.script);
		if (i > 0 && !stage_has_failed(now) &&
		    !stage_has_failed(&first))
			compare(&first, now);
		report(tally, options, name, chunkings[i].name, seed, now);
		if (i > 0)
			stage_fini(now);
	}
	stage_fini(&first);
	clean_up(&piece);
}

static int
is_script(const struct dirent *entry)
{
	struct span name = span_cstr(entry->d_name);
	struct span end = SPAN_LIT(".replay");

	return name.n > end.n &&
	       span_equal(span_after(name, name.n - end.n), end);
}

/* Its name stands at the start of a line, before a colon. */
static bool
is_in_process_only(const char *name)
{
	size_t n = strlen(name) - strlen(".replay");
	FILE *list = fopen(NOT_ON_THE_WIRE, "r");
	char line[256];
	bool is_there = false;

	assert(list != NULL);
	while (fgets(line, sizeof(line), list) != NULL)
		is_there |= strncmp(line, name, n) == 0 && line[n] == ':';
	fclose(list);
	return is_there;
}

/* Every verb has been said in every state. */
static void
report_occasions(struct tally *tally)
{
	struct buf missing;

	buf_init(&missing, FAULTS_MAX);
	for (enum verb verb = 0; verb < VERB_COUNT; verb++) {
		unsigned times;
		bool is_good;

		buf_reset(&missing);
		times = occasions_missing(verb, &missing);
		is_good = missing.n == 0;
		tally->failed += !is_good;
		printf("%sok %u - %s in every state, %u times\n",
		       is_good ? "" : "not ", ++tally->cases,
		       occasions_verb(verb), times);
		if (!is_good)
			print_text(buf_span(&missing));
	}
	buf_fini(&missing);
}

/* All scripts of the folder, in the order of their numbers. */
static void
run_all(struct tally *tally, const struct options *options)
{
	struct dirent **entries = NULL;
	int count = scandir(FOLDER, &entries, is_script, alphasort);

	printf("1..%d\n", count < 0 ? 0 : count * CHUNKINGS + VERB_COUNT);
	for (int i = 0; i < count; i++) {
		char path[sizeof(FOLDER) + sizeof(entries[i]->d_name) + 1];

		snprintf(path, sizeof(path), "%s/%s", FOLDER,
			 entries[i]->d_name);
		occasions_count(!is_in_process_only(entries[i]->d_name));
		run_script(tally, options, path);
		free(entries[i]);
	}
	free(entries);
	report_occasions(tally);
}

int
main(int argc, char **argv)
{
	struct options options = { .seed = DEFAULT_SEED };
	struct tally tally = { 0 };
	int option;

	while ((option = getopt(argc, argv, "vs:")) != -1) {
		if (option == 'v') {
			options.is_verbose = true;
		} else if (option != 's' ||
			   !span_u64(span_cstr(optarg), &options.seed)) {
			fprintf(stderr,
				"usage: %s [-v] [-s SEED] [SCRIPT...]\n",
				argv[0]);
			return 64;
		}
	}
	if (optind == argc) {
		run_all(&tally, &options);
	} else {
		printf("1..%d\n", (argc - optind) * CHUNKINGS);
		for (int i = optind; i < argc; i++)
			run_script(&tally, &options, argv[i]);
	}
	return tally.failed == 0 && tally.cases > 0 ? 0 : 1;
}
