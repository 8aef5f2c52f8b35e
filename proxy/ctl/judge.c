/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/ctl/judge.h"

#include "proxy/clock.h"
#include "proxy/decision.h"
#include "proxy/resolver.h"
#include "proxy/ring.h"
#include "proxy/rules.h"
#include "proxy/timer.h"

#define ARENA_MAX ((size_t)64 << 20)
#define WAIT_US_MAX 1000000

/* One question under way. */
struct asked {
	struct resolver_query query;
	struct judge *judge;
	size_t index;
};

/* Where answers come from, if not from a zone. */
struct source {
	struct ring *ring;
	struct timers timers;
	struct resolver *resolver;
	struct asked asked[ANSWERS_MAX];
};

static void
take_answer(struct resolver_query *query, const struct answer *answer)
{
	/* The query stands first in its owner. */
	struct asked *asked = (struct asked *)query;

	answers_settle(&asked->judge->answers, asked->index, answer);
}

static void
ask(struct judge *judge, struct source *source, size_t index)
{
	const struct answer *question = judge->answers.list[index];
	struct asked *asked = &source->asked[index];
	struct answer answer;

	if (judge->zone != NULL) {
		zone_lookup(judge->zone, question->name, question->type,
			    &answer);
		answers_settle(&judge->answers, index, &answer);
		return;
	}
	*asked = (struct asked){
		.query.done = take_answer,
		.judge = judge,
		.index = index,
	};
	if (resolver_ask(source->resolver, question->name, question->type,
			 &asked->query, &answer))
		answers_settle(&judge->answers, index, &answer);
}

/* One turn of the loop, at most until the deadline; false if the ring is of
 * no use any more. */
static bool
wait_for_answers(struct source *source, uint64_t deadline)
{
	uint64_t now = clock_monotonic_us();
	uint64_t next = timers_next(&source->timers);
	uint64_t wait = WAIT_US_MAX;

	if (next != 0 && next < deadline)
		deadline = next;
	if (deadline < now + wait)
		wait = deadline > now ? deadline - now : 0;
	if (ring_run_once(source->ring, wait) != 0)
		return false;
	timers_fire(&source->timers, clock_monotonic_us());
	return true;
}

/* All open questions answered, or given up. */
static bool
answer_all(struct judge *judge, struct source *source, uint64_t deadline)
{
	uint64_t start = clock_monotonic_us();
	size_t index;

	while (answers_unsent(&judge->answers, &index))
		ask(judge, source, index);
	while (judge->answers.open > 0) {
		if (clock_monotonic_us() >= deadline) {
			for (size_t i = 0; i < judge->answers.count; i++)
				resolver_cancel(&source->asked[i].query);
			answers_give_up(&judge->answers, "eval-timeout");
		} else if (!wait_for_answers(source, deadline)) {
			return false;
		}
	}
	judge->dns_us += (uint32_t)(clock_monotonic_us() - start);
	return true;
}

/* True when there is nothing to wait for any more. */
static bool
ask_second(struct judge *judge)
{
	return judge->other == NULL ||
	       second_run(&judge->second, &judge->facts.spf, &judge->answers);
}

/* Run, and answer what it asks, until it asks nothing new. */
static bool
settle(struct judge *judge, struct source *source)
{
	uint64_t deadline = clock_monotonic_us() + judge->conf->eval_us_max;
	bool is_settled = false;

	for (;;) {
		uint64_t start = clock_monotonic_us();

		if (!is_settled)
			is_settled = eval_run(&judge->facts, &judge->answers,
					      &judge->verdict);
		judge->eval_us += (uint32_t)(clock_monotonic_us() - start);
		if (judge->arena.has_overflowed ||
		    (is_settled && ask_second(judge)))
			return is_settled;
		if (!answer_all(judge, source, deadline))
			return false;
	}
}

/* --- the message -------------------------------------------------------- */

/* Header and body to the index and the signatures. */
static bool
feed(struct judge *judge)
{
	struct span body;

	message_feed(&judge->message, judge->octets, &body);
	message_end(&judge->message);
	if (judge->message.state == MESSAGE_TOO_LARGE)
		return false;
	authors_read(&judge->message, &judge->arena, &judge->facts.authors);
	dkim_check_header(judge->facts.dkim, &judge->message);
	arc_check_header(judge->facts.arc, &judge->message,
			 dkim_check_bodies(judge->facts.dkim));
	if (judge->other != NULL)
		second_header(&judge->second, judge->other, &judge->message,
			      judge->now_s);
	if (body.n > 0)
		dkim_check_body(judge->facts.dkim, body);
	second_body(&judge->second, body);
	return true;
}

static bool
prepare(struct judge *judge)
{
	const struct conf *conf = judge->conf;

	arena_init(&judge->arena, ARENA_MAX);
	answers_init(&judge->answers, &judge->arena, conf->dns_questions_max);
	message_init(&judge->message, conf->header_size_max);
	if (conf->fields_max > 0)
		judge->message.fields_max = conf->fields_max;
	second_init(&judge->second);
	judge->engine = rules_dkim_engine(conf, conf->dkim_engine);
	if (conf->has_second_opinion)
		judge->other = rules_dkim_engine(
			conf, second_dkim_engine(conf->dkim_engine));
	if (judge->engine == NULL ||
	    (judge->other == NULL && conf->has_second_opinion))
		return false;
	judge->spf.engine = conf->spf_engine;
	judge->spf.now_s = judge->now_s;
	judge->facts = (struct eval_facts){
		.stage = EVAL_END,
		.settings = judge->rules,
		.spf = judge->spf,
		.percentile = judge->percentile,
		.message = &judge->message,
		.dkim = dkim_check_new(judge->engine, &judge->arena,
				       judge->now_s),
		.arc = arc_check_new(dkim_engine_crypto(judge->engine),
				     &judge->arena, judge->now_s),
	};
	return judge->facts.dkim != NULL && judge->facts.arc != NULL;
}

static bool
open_source(struct judge *judge, struct source *source, struct buf *faults)
{
	const struct ring_size size = { .entries = 64, .buffers = 8 };

	if (judge->zone != NULL)
		return true;
	source->ring = ring_new(&size, faults);
	if (source->ring == NULL)
		return false;
	source->resolver = resolver_new(source->ring, &source->timers,
					judge->conf, NULL, faults);
	return source->resolver != NULL;
}

static void
close_source(struct source *source)
{
	if (source->resolver != NULL)
		resolver_free(source->resolver);
	if (source->ring != NULL)
		ring_free(source->ring);
}

enum judge_status
judge_run(struct judge *judge, struct buf *faults)
{
	uint64_t start = clock_monotonic_us();
	struct source source = { .ring = NULL };
	enum judge_status status = JUDGE_FAILED;

	if (!prepare(judge)) {
		buf_append(faults, SPAN_LIT("not enough memory\n"));
		return JUDGE_FAILED;
	}
	if (!feed(judge))
		return JUDGE_BAD_HEADER;
	if (open_source(judge, &source, faults)) {
		if (settle(judge, &source))
			status = JUDGE_DONE;
		else
			buf_append(faults, SPAN_LIT("the evaluation failed: "
						    "not enough memory, or "
						    "io_uring\n"));
	}
	close_source(&source);
	judge->total_us = (uint32_t)(clock_monotonic_us() - start);
	return status;
}

void
judge_fini(struct judge *judge)
{
	dkim_check_free(judge->facts.dkim);
	second_fini(&judge->second);
	dkim_engine_free(judge->other);
	dkim_engine_free(judge->engine);
	message_fini(&judge->message);
	arena_fini(&judge->arena);
}

void
judge_decide(const struct judge *judge, struct decision *decision)
{
	const struct conf *conf = judge->conf;
	const struct conf_route route = {
		.domain = SPAN_LIT("*"),
		.mode = conf->mode,
		.on_reject = conf->on_reject,
		.on_quarantine = conf->on_quarantine,
		.on_fail_none = conf->on_fail_none,
		.on_bad_policy = conf->on_bad_policy,
	};

	decision_make(conf, &route, &judge->verdict, decision);
}
