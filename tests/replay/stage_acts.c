/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/replay/stage_acts.h"

#include "proxy/endpoint.h"

#include "tests/replay/bystander.h"
#include "tests/replay/places.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

/* What a session may hold beside body-memory and two headers: bufs of its
 * three sides, its input, the line, the mail's arena. */
#define MEMORY_MAX (512u * 1024)

const char stage_names[SIDE_COUNT] = { 'c', 'b', 'd' };

static void
lend(struct stage *stage, struct loan *loan, struct span octets,
     const char *what)
{
	if (loan->is_out)
		stage_fail(stage, "a second %s before the first is done", what);
	loan->is_out = true;
	loan->lent = octets;
	buf_reset(&loan->copy);
	buf_append(&loan->copy, octets);
}

void
stage_give_back(struct stage *stage, struct loan *loan, const char *what)
{
	if (loan->is_out && !span_equal(loan->lent, buf_span(&loan->copy)))
		stage_fail(stage, "octets changed while under way: %s", what);
	loan->is_out = false;
}

/* What the client will hear is said once it stands in the output: a sender
 * that does not wait for it may have read the gate's mind. */
static void
follow(struct stage *stage)
{
	struct party *party = &stage->party[SIDE_CLIENT];
	struct span octets =
		buf_span(session_output(stage->session, SIDE_CLIENT));

	octets = span_after(octets, party->followed);
	party->followed += octets.n;
	if (octets.n > 0 && !party->has_ended)
		bystander_heard(stage, SIDE_CLIENT, octets);
}

/* Take what the session wants to send. */
static void
capture(struct stage *stage, enum session_side side)
{
	struct party *party = &stage->party[side];
	struct buf *out = session_output(stage->session, side);
	struct span octets = buf_span(out);

	if (octets.n == 0)
		return;
	if (party->is_securing)
		stage_fail(stage, "octets for %c before TLS stands",
			   stage_names[side]);
	if (party->has_tls_failed)
		stage_fail(stage, "octets for %c in plain, where TLS failed",
			   stage_names[side]);
	if (!party->is_up && !party->has_ended)
		stage_fail(stage, "octets for %c, which is not connected",
			   stage_names[side]);
	if (side == SIDE_CLIENT)
		follow(stage);
	if (!party->has_ended) {
		stage_write(stage, stage_names[side], octets);
		heard_octets(&party->heard, octets);
	}
	if (!party->has_ended && side != SIDE_CLIENT)
		bystander_heard(stage, side, octets);
	buf_consume(out, octets.n);
	party->followed = 0;
	party->is_sending = true;
}

/* What became of a connection. */
static void
mark(struct stage *stage, enum session_side side, const char *what,
     struct span detail)
{
	stage_note(stage, "%c: [%s%s%.*s]", stage_names[side], what,
		   detail.n > 0 ? " " : "", (int)detail.n,
		   (const char *)detail.p);
	if (!stage->is_simulated)
		heard_mark(&stage->party[side].heard, what, detail);
}

void
stage_disconnect(struct stage *stage, enum session_side side, const char *how)
{
	struct party *party = &stage->party[side];

	if (!party->is_open) {
		stage_fail(stage, "%s of %c, which is not open", how,
			   stage_names[side]);
		return;
	}
	if (!party->has_ended)
		mark(stage, side, how, SPAN_LIT(""));
	party->is_open = party->is_up = party->is_connecting = false;
	party->is_sending = party->has_ended = false;
	party->is_securing = party->is_secured = party->is_full = false;
	party->is_data_asked = party->is_final_asked = false;
	party->is_yes_said = false;
	party->followed = 0;
	if (side != SIDE_CLIENT)
		party->letter.is_open = false;
	buf_reset(&party->unsaid);
	buf_reset(&party->reply);
	buf_reset(&party->command);
}

/* "ADDRESS", or "ADDRESS from IP" where it is the client's that is come from.
 */
static void
mark_connect(struct stage *stage, const struct session_action *action,
	     struct span address)
{
	char ip[IP_TEXT_MAX];
	struct buf detail;

	buf_init(&detail, 200);
	buf_append(&detail, address);
	if (action->is_as_client) {
		ip_format(&action->source, ip);
		buf_printf(&detail, " from %s", ip);
	}
	mark(stage, action->side, "connect", buf_span(&detail));
	buf_fini(&detail);
}

/* As the kernel has it, nobody hears of a connect from another family. */
static bool
can_come(const struct stage *stage, const struct session_action *action)
{
	const struct ip *to = action->ip.family == IP_NONE
				      ? &stage->peer.local_ip
				      : &action->ip;

	return !action->is_as_client || (action->source.family != IP_NONE &&
					 action->source.family == to->family);
}

static void
connect_party(struct stage *stage, const struct session_action *action)
{
	struct party *party = &stage->party[action->side];
	char address[ENDPOINT_TEXT_MAX];
	struct span text = stage->props.conf->backends[action->backend]
				   .addresses[action->address]
				   .at.text;

	if (action->ip.family != IP_NONE)
		text = endpoint_format(&action->ip, action->port, address);
	if (action->side == SIDE_CLIENT || party->is_open) {
		stage_fail(stage, "%c is connected a second time",
			   stage_names[action->side]);
		return;
	}
	party->is_open = party->is_connecting = true;
	party->is_behind_tls_failure = party->has_tls_failed &&
				       party->backend == action->backend &&
				       party->address == action->address;
	party->has_tls_failed = false;
	party->backend = action->backend;
	party->address = action->address;
	party->ip = action->ip;
	party->port = action->port;
	party->is_full = !places_take(stage, action->side);
	if (party->is_full)
		return; /* as with a driver: nobody is connected to */
	party->connections++;
	party->is_foreign = !can_come(stage, action);
	if (!party->is_foreign)
		mark_connect(stage, action, text);
}

/* What is in the output goes out in plain; then nothing may until TLS stands.
 */
static void
secure_party(struct stage *stage, enum session_side side)
{
	struct party *party = &stage->party[side];

	capture(stage, side);
	if (!party->is_up || party->is_secured || party->is_securing)
		stage_fail(stage, "TLS for %c out of place", stage_names[side]);
	party->is_securing = true;
	mark(stage, side, "tls", SPAN_LIT(""));
}

/* FNV-1a. */
uint64_t
stage_hash(struct span octets)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < octets.n; i++)
		hash = (hash ^ octets.p[i]) * UINT64_C(1099511628211);
	return hash;
}

static void
ask(struct stage *stage, const struct session_action *action)
{
	assert(stage->question_count < STAGE_QUESTIONS_MAX);
	for (size_t i = 0; i < stage->question_count; i++)
		if (stage->questions[i].ticket == action->ticket)
			stage_fail(stage, "a question is asked twice");
	stage->questions[stage->question_count++] = (struct question){
		.name = action->name,
		.hash = stage_hash(action->name),
		.type = action->type,
		.ticket = action->ticket,
	};
}

static void
forget(struct stage *stage, uint64_t ticket)
{
	size_t kept = 0;

	for (size_t i = 0; i < stage->question_count; i++)
		if (stage->questions[i].ticket >> 16 != ticket >> 16)
			stage->questions[kept++] = stage->questions[i];
	stage->question_count = kept;
}

static void
spool(struct stage *stage, struct span line)
{
	lend(stage, &stage->spooling, line, "verdict line");
	stage->lines++;
	buf_reset(&stage->verdict);
	buf_append(&stage->verdict, line);
	if (!stage->is_simulated)
		buf_append(&stage->verdicts, line);
	stage->is_verdict_new = true;
	stage_write(stage, 'v', line);
	bystander_verdict(stage, line);
}

/* The session is over, and with it all that was its own. */
void
stage_leave(struct stage *stage)
{
	buf_reset(&stage->disk);
	stage->is_reading = false;
	stage->writing.is_out = stage->spooling.is_out = false;
	stage->question_count = 0;
	session_free(stage->session);
	stage->session = NULL;
	stage->lines = stage->data_ends;
	stage->handed = 0;
	stage->is_reply_due = stage->is_line_due = stage->is_taken = false;
	stage->party[SIDE_CLIENT].letter.is_open = false;
	saying_start(&stage->saying);
}

static void
end(struct stage *stage)
{
	static const char *const open[] = { "client", "backend", "divert" };
	struct session_action action;

	for (enum session_side side = 0; side < SIDE_COUNT; side++)
		if (stage->party[side].is_open)
			stage_fail(stage, "the session ended, its %s is open",
				   open[side]);
	if (stage->question_count > 0)
		stage_fail(stage, "the session ended, a question is open");
	if (session_next(stage->session, &action))
		stage_fail(stage, "the session wants more behind its end");
	if (stage->spooling.is_out)
		stage_fail(stage, "the session ended while a line is written");
	bystander_end(stage);
	if (stage->lines != stage->data_ends)
		stage_fail(stage, "%u ends of data, but %u verdict lines",
			   stage->data_ends, stage->lines);
	if (stage->disk.n > 0 && !stage->writing.is_out)
		stage_fail(stage, "the session ended, its file is there");
	/* A write may be under way: its octets must still be there. */
	stage_give_back(stage, &stage->writing, "body");
	places_check(stage);
	stage_leave(stage);
}

static void
keep_reason(struct stage *stage, struct span details)
{
	const uint8_t *at = memmem(details.p, details.n, "reason=", 7);

	if (at != NULL)
		snprintf(stage->limited, sizeof(stage->limited), "%.*s",
			 (int)(details.p + details.n - at), (const char *)at);
}

static void
log_event_name_down(struct stage *stage, const struct session_action *action)
{
	if (stage->is_simulated && action->event == EVENT_STALLED)
		stage_fail(stage, "the session calls itself stalled");
	if (action->event == EVENT_LIMITED)
		keep_reason(stage, action->octets);
	if (!stage->is_simulated) {
		assert(stage->event_count < STAGE_EVENTS_MAX);
		stage->events[stage->event_count++] = action->event;
		buf_printf(&stage->event_lines, "%s ",
			   log_event_name(action->event));
		buf_append(&stage->event_lines, action->octets);
		buf_append_octet(&stage->event_lines, '\n');
	}
	stage_note(stage, "e: %s %.*s", log_event_name(action->event),
		   (int)action->octets.n, (const char *)action->octets.p);
}

static void
perform(struct stage *stage, const struct session_action *action)
{
	switch (action->act) {
	case ACT_CONNECT:
		connect_party(stage, action);
		return;
	case ACT_SECURE:
		secure_party(stage, action->side);
		return;
	case ACT_CLOSE:
		capture(stage, action->side);
		places_close(stage, action->side);
		stage_disconnect(stage, action->side, "close");
		return;
	case ACT_ABORT:
		places_leave(stage, action->side);
		stage_disconnect(stage, action->side, "abort");
		return;
	case ACT_ASK:
		ask(stage, action);
		return;
	case ACT_FORGET:
		forget(stage, action->ticket);
		return;
	case ACT_SPOOL:
		spool(stage, action->octets);
		return;
	case ACT_BODY_WRITE:
		lend(stage, &stage->writing, action->octets, "write");
		stage->writing_at = action->offset;
		return;
	case ACT_BODY_READ:
		if (stage->is_reading)
			stage_fail(stage, "a second read before the first is "
					  "done");
		stage->is_reading = true;
		stage->reading_at = action->offset;
		stage->reading_n = action->length;
		return;
	case ACT_BODY_DROP:
		buf_reset(&stage->disk);
		stage->is_reading = false;
		return;
	case ACT_EVENT:
		log_event_name_down(stage, action);
		return;
	case ACT_END:
		end(stage);
		return;
	}
}

static void
check_memory(struct stage *stage)
{
	size_t most = MEMORY_MAX + (size_t)stage->props.conf->body_memory +
		      2 * (size_t)stage->props.conf->header_size_max;
	size_t held = session_memory(stage->session);

	if (held > most)
		stage_fail(stage, "the session holds %zu octets of memory",
			   held);
	most = (size_t)stage->props.conf->memory_max;
	if (most > 0 && held >= most)
		stage->is_memory_full = true;
	else if (held <= most - most / 8)
		stage->is_memory_full = false;
}

static void
give(struct stage *stage, struct session_event event)
{
	struct session_action action;

	if (stage->session == NULL || stage_has_failed(stage))
		return;
	session_step(stage->session, &event);
	follow(stage);
	while (stage->session != NULL && session_next(stage->session, &action))
		perform(stage, &action);
	if (stage->session == NULL)
		return;
	follow(stage);
	for (enum session_side side = 0; side < SIDE_COUNT; side++)
		if (!stage->party[side].is_sending &&
		    (stage->party[side].is_open ||
		     session_output(stage->session, side)->n > 0))
			capture(stage, side);
	check_memory(stage);
}

/* Nobody is connected to where there is no place: a driver knows it at once,
 * and tells it when the actions are taken. True if it did. */
static bool
tell_full(struct stage *stage)
{
	for (enum session_side side = SIDE_BACKEND; side < SIDE_COUNT; side++) {
		struct party *party = &stage->party[side];

		if (!party->is_full)
			continue;
		party->is_full = party->is_connecting = false;
		party->has_ended = true;
		give(stage, (struct session_event){ .kind = SESSION_CLOSED,
						    .side = side,
						    .error = -EUSERS });
		return true;
	}
	return false;
}

void
stage_give(struct stage *stage, struct session_event event)
{
	give(stage, event);
	while (tell_full(stage) && !stage_has_failed(stage))
		;
}
