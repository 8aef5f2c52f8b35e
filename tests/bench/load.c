/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/load.h"

#include "tests/bench/load_sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#define STALL_NS (60 * NS_PER_S) /* without any answer at all */
#define LATE_MAX (3)             /* an open loop's time, so many fold … */
#define LATE_NS (10 * NS_PER_S)  /* … and as much more */
#define ERRORS_MAX 1000

void
load_has_idle(struct load *load, struct sender *sender)
{
	sender->next = load->idle;
	load->idle = sender;
	load->idles++;
}

static struct sender *
take_idle(struct load *load)
{
	struct sender *sender = load->idle;

	load->idle = sender->next;
	load->idles--;
	return sender;
}

static size_t
busy(const struct load *load)
{
	return load->options.sessions - load->idles;
}

/* Whether there is a message to come, in a closed loop now, in an open one
 * at next_ns. */
static bool
has_more(const struct load *load)
{
	const struct load_options *options = &load->options;
	uint64_t at_ns = options->rate > 0 ? load->next_ns : now_ns();

	if (options->messages > 0)
		return load->result.begun < options->messages;
	return (double)(at_ns - load->result.start_ns) < options->seconds * 1e9;
}

static void
arrange_next(struct load *load)
{
	load->next_ns = load->result.start_ns + schedule_next(&load->schedule);
}

/* Begin all messages that are due, as far as there are sessions. */
static void
begin_due(struct load *load)
{
	bool is_open = load->options.rate > 0;

	while (has_more(load)) {
		uint64_t now = now_ns();

		if (is_open && load->next_ns > now)
			return;
		if (load->idles == 0) {
			load->is_short = true;
			return;
		}
		load->result.begun++;
		sender_send(take_idle(load), is_open ? load->next_ns : now);
		if (!is_open)
			continue;
		load->result.queued += load->is_short;
		load->is_short = false;
		arrange_next(load);
	}
}

static void
report(struct load *load)
{
	struct timespec cpu;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	load->result.cpu_s = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
	load_result_print(&load->result);
}

/* No reply for so long: what is known is said, and that it is not all. */
static void
stalled(struct load *load, const char *why)
{
	load_result_error(&load->result, false, "%s, %zu sessions waiting", why,
			  busy(load));
	for (size_t i = 0; i < load->options.sessions; i++)
		load->result.failed += load->senders[i].mail != NULL;
	report(load);
	exit(1);
}

static void
watch(struct load *load, uint64_t heard_ns)
{
	double late_ns = load->options.seconds * 1e9 * LATE_MAX + LATE_NS;
	uint64_t now = now_ns();

	if (busy(load) > 0 && now - heard_ns > STALL_NS)
		stalled(load, "no answer");
	if (load->options.rate > 0 && load->options.seconds > 0 &&
	    (double)(now - load->result.start_ns) > late_ns)
		stalled(load, "the server does not keep up");
	if (load_result_errors(&load->result) > ERRORS_MAX)
		stalled(load, "too many errors");
}

static void
run_until_idle(struct load *load)
{
	uint64_t heard_ns = now_ns();

	while (busy(load) > 0) {
		if (loop_run_once(&load->loop, now_ns() + NS_PER_S))
			heard_ns = now_ns();
		watch(load, heard_ns);
	}
}

/* Connections that are kept are there before the clock runs. */
static void
prepare(struct load *load)
{
	size_t sessions = load->options.sessions;

	load->senders = calloc(sessions, sizeof(*load->senders));
	if (load->senders == NULL)
		give_up("load: not enough memory", 0);
	load->result.start_ns = load->result.end_ns = now_ns();
	for (size_t i = 0; i < sessions; i++) {
		sender_init(&load->senders[i], load);
		if (load->options.is_kept)
			sender_connect(&load->senders[i]);
		else
			load_has_idle(load, &load->senders[i]);
	}
	run_until_idle(load);
	if (load_result_errors(&load->result) > 0) {
		load_result_print(&load->result);
		exit(1);
	}
}

static void
serve(struct load *load)
{
	uint64_t heard_ns, until_ns;

	heard_ns = now_ns();
	load->result.start_ns = load->result.end_ns = heard_ns;
	if (load->options.rate > 0)
		arrange_next(load);
	begin_due(load);
	while (busy(load) > 0 || has_more(load)) {
		until_ns = now_ns() + NS_PER_S;
		if (load->options.rate > 0 && load->idles > 0 &&
		    has_more(load) && load->next_ns < until_ns)
			until_ns = load->next_ns;
		if (loop_run_once(&load->loop, until_ns))
			heard_ns = now_ns();
		watch(load, heard_ns);
		begin_due(load);
	}
}

static void
leave(struct load *load)
{
	load->idle = NULL;
	load->idles = 0;
	for (size_t i = 0; i < load->options.sessions; i++) {
		if (load->senders[i].stage == SENDER_OUT)
			load->idles++;
		else
			sender_leave(&load->senders[i]);
	}
	run_until_idle(load);
	for (size_t i = 0; i < load->options.sessions; i++)
		sender_fini(&load->senders[i]);
	free(load->senders);
}

int
main(int argc, char **argv)
{
	static struct load load;

	load_options_read(&load.options, argc, argv);
	raise_file_limit();
	/* Wake up for an arrival when it comes, not 50 us later. */
	prctl(PR_SET_TIMERSLACK, 1UL);
	if (load.options.tls != LOAD_PLAIN)
		load_tls_prepare();
	schedule_init(&load.schedule, load.options.rate, load.options.is_even,
		      load.options.seed);
	loop_init(&load.loop);
	prepare(&load);
	serve(&load);
	leave(&load);
	loop_fini(&load.loop);
	report(&load);
	load_mails_fini(&load.options.mails);
	if (load.options.tls != LOAD_PLAIN)
		load_tls_end();
	return load_result_errors(&load.result) > 0 ? 1 : 0;
}
