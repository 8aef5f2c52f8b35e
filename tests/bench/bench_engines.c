/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_engines: what the engines of DKIM and SPF cost for one message, side
 * by side.
 *
 *     bench_engines MESSAGE ZONE CLIENT DOMAIN
 *
 * The message has lines in CR LF and a signature that passes; the client
 * passes SPF for the domain. Each figure is us of CPU time for all that one
 * message costs, from nothing to the result, its answers at hand: the median
 * of several rounds in turn.
 */
#include "dmarc/dkim.h"
#include "dmarc/spf.h"
#include "proxy/textfile.h"
#include "proxy/zone.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 9
#define DKIM_MESSAGES 400
#define SPF_MESSAGES 4000
#define FILE_MAX ((size_t)16 << 20)

struct bench {
	struct zone *zone;
	struct message message;
	struct span body;
	struct spf_facts facts;
	struct dkim_engine *dkim[2];
	struct arena arena;
	struct answers answers;
};

static void
give_up(const char *what)
{
	fprintf(stderr, "bench_engines: %s\n", what);
	exit(1);
}

static double
cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void
begin(struct bench *bench)
{
	arena_reset(&bench->arena);
	answers_init(&bench->answers, &bench->arena, ANSWERS_MAX);
}

static void
answer_all(struct bench *bench)
{
	struct answers *answers = &bench->answers;
	struct answer answer;
	size_t i;

	while (answers_unsent(answers, &i)) {
		zone_lookup(bench->zone, answers->list[i]->name,
			    answers->list[i]->type, &answer);
		answers_settle(answers, i, &answer);
	}
}

static void
check_dkim(struct bench *bench, int engine)
{
	const struct dkim_signature *signatures;
	struct dkim_check *check;

	begin(bench);
	check = dkim_check_new(bench->dkim[engine], &bench->arena,
			       bench->facts.now_s);
	if (check == NULL || !dkim_check_header(check, &bench->message))
		give_up("not enough memory");
	while (!dkim_check_ask(check, &bench->answers))
		answer_all(bench);
	dkim_check_body(check, bench->body);
	if (dkim_check_finish(check, &bench->answers, &signatures) != 1 ||
	    signatures[0].result != DKIM_PASS)
		give_up("the signature does not pass");
	dkim_check_free(check);
}

static void
check_spf(struct bench *bench, int engine)
{
	struct spf_outcome outcome;

	begin(bench);
	bench->facts.engine =
		engine == 0 ? SPF_ENGINE_NATIVE : SPF_ENGINE_LIBSPF2;
	while (!spf_eval(&bench->facts, &bench->answers, &outcome))
		answer_all(bench);
	if (outcome.result != SPF_PASS)
		give_up("SPF does not pass");
}

static double
measure(struct bench *bench, void (*check)(struct bench *, int), int engine,
	unsigned messages)
{
	double start;

	check(bench, engine); /* warms up */
	start = cpu_us();
	for (unsigned i = 0; i < messages; i++)
		check(bench, engine);
	return (cpu_us() - start) / messages;
}

static int
compare(const void *a, const void *b)
{
	const double *first = a, *second = b;

	return (*first > *second) - (*first < *second);
}

static void
report(struct bench *bench, const char *title,
       void (*check)(struct bench *, int), unsigned messages)
{
	double us[2][ROUNDS];

	for (size_t i = 0; i < ROUNDS; i++)
		for (int engine = 0; engine < 2; engine++)
			us[engine][i] = measure(bench, check, engine, messages);
	for (int engine = 0; engine < 2; engine++)
		qsort(us[engine], ROUNDS, sizeof(double), compare);
	printf("%-30s %8.1f %8.1f %8.2f\n", title, us[0][ROUNDS / 2],
	       us[1][ROUNDS / 2], us[0][ROUNDS / 2] / us[1][ROUNDS / 2]);
}

static void
read_file(const char *name, struct buf *octets)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	buf_init(octets, FILE_MAX);
	if (fd < 0 || textfile_drain(fd, octets) != 0)
		give_up(name);
	close(fd);
}

static void
load(struct bench *bench, char **word, struct buf *message, struct buf *text)
{
	struct buf faults;

	read_file(word[1], message);
	read_file(word[2], text);
	buf_init(&faults, 65536);
	bench->zone = zone_parse(buf_span(text), word[2], &faults);
	if (bench->zone == NULL ||
	    !ip_parse(span_cstr(word[3]), &bench->facts.client))
		give_up("a zone or address that is none");
	buf_fini(&faults);
	message_init(&bench->message, FILE_MAX);
	message_feed(&bench->message, buf_span(message), &bench->body);
	message_end(&bench->message);
	bench->facts.helo = bench->facts.domain = span_cstr(word[4]);
	bench->facts.local = SPAN_LIT("alice");
	bench->facts.now_s = (uint64_t)time(NULL);
	bench->dkim[0] = dkim_engine_new(DKIM_ENGINE_NATIVE);
	bench->dkim[1] = dkim_engine_new(DKIM_ENGINE_LIBOPENDKIM);
	if (bench->dkim[0] == NULL || bench->dkim[1] == NULL)
		give_up("no engine");
}

int
main(int count, char **word)
{
	struct bench bench = { .zone = NULL };
	struct buf message, text;

	if (count != 5)
		give_up("usage: bench_engines MESSAGE ZONE CLIENT DOMAIN");
	arena_init(&bench.arena, FILE_MAX);
	load(&bench, word, &message, &text);
	printf("CPU-us per message               native  library    ratio\n");
	report(&bench, "DKIM, beside libopendkim", check_dkim, DKIM_MESSAGES);
	report(&bench, "SPF, beside libspf2", check_spf, SPF_MESSAGES);
	dkim_engine_free(bench.dkim[0]);
	dkim_engine_free(bench.dkim[1]);
	message_fini(&bench.message);
	zone_free(bench.zone);
	buf_fini(&text);
	buf_fini(&message);
	arena_fini(&bench.arena);
	return 0;
}
