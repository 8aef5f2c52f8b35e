/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/replay/play.h"

#include "tests/replay/jsonpath.h"

#include <errno.h>

struct play {
	struct stage *stage;
	const struct script *script;
	const struct script_line *line;
	bool is_listening; /* the last line was one that is heard */
};

#define TEXT(span) (int)(span).n, (const char *)(span).p
#define SHOWN_MAX 2000
#define VALUE_MAX (1u << 20)

static void
complain(struct play *play, const char *expected, struct span pattern,
	 const char *found, struct span text)
{
	struct buf shown;

	buf_init(&shown, 4 * SHOWN_MAX + 1);
	stage_show(&shown,
		   span_first(text, text.n < SHOWN_MAX ? text.n : SHOWN_MAX));
	stage_fail(play->stage, "%.*s:%u: %s \"%.*s\", but %s \"%.*s\"",
		   TEXT(play->line->file), play->line->number, expected,
		   TEXT(pattern), found, TEXT(buf_span(&shown)));
	buf_fini(&shown);
}

/* --- hearing --- */

static const char *
kind_heard(enum heard_next next)
{
	switch (next) {
	case HEARD_NOTHING:
		return "nothing came:";
	case HEARD_PARTIAL:
		return "half a line came:";
	case HEARD_LINE:
	case HEARD_MARK:
		break;
	}
	return "there came";
}

static void
hear(struct play *play)
{
	struct party *party = &play->stage->party[play->line->side];

	for (;;) {
		struct span text = SPAN_NONE;
		enum heard_next next = heard_peek(&party->heard, &text);
		bool is_whole = next == HEARD_LINE || next == HEARD_MARK;

		if (is_whole && script_matches(play->line->text, text)) {
			heard_pass(&party->heard);
			party->is_skipping = false;
			return;
		}
		if (!party->is_skipping || next == HEARD_NOTHING) {
			complain(play, "expected", play->line->text,
				 kind_heard(next), text);
			return;
		}
		heard_pass(&party->heard);
	}
}

static void
hear_octets(struct play *play)
{
	struct heard *heard = &play->stage->party[play->line->side].heard;
	struct span text = SPAN_NONE;

	if (heard_exactly(heard, play->line->text))
		return;
	heard_peek(heard, &text);
	complain(play, "expected the octets", play->line->text, "there came",
		 text);
}

static struct span
next_event(const struct stage *stage)
{
	struct span lines = buf_span(&stage->event_lines);

	for (size_t i = 0; i < stage->events_seen; i++)
		lines = span_after(lines, span_find(lines, '\n') + 1);
	return lines.n == 0 ? SPAN_LIT("none")
			    : span_first(lines, span_find(lines, '\n'));
}

static void
see_event(struct play *play)
{
	struct stage *stage = play->stage;
	struct span pattern = play->line->text;
	struct span event = next_event(stage);

	/* Its name alone, or all of it. */
	if (span_find(pattern, ' ') == pattern.n)
		event = span_first(event, span_find(event, ' '));
	if (script_matches(pattern, event))
		stage->events_seen++;
	else
		complain(play, "expected the event", pattern, "it is", event);
}

static void
see_verdict(struct play *play)
{
	struct stage *stage = play->stage;
	struct span path = play->line->text;
	size_t n = span_find(path, '=');
	struct buf value;

	if (span_equal(path, SPAN_LIT("none"))) {
		if (stage->lines > 0)
			complain(play, "expected verdict", path, "there is",
				 buf_span(&stage->verdict));
		return;
	}
	stage->is_verdict_new = false;
	buf_init(&value, VALUE_MAX);
	if (n == path.n || !jsonpath_find(buf_span(&stage->verdict),
					  span_first(path, n), &value))
		complain(play, "expected in the verdict line", path,
			 "no such thing is in", buf_span(&stage->verdict));
	else if (!script_matches(span_after(path, n + 1), buf_span(&value)))
		complain(play, "expected in the verdict line", path, "it is",
			 buf_span(&value));
	buf_fini(&value);
}

/* Something new begins: nothing may be left of what went before. */
static void
finish_listening(struct play *play)
{
	struct stage *stage = play->stage;

	if (!play->is_listening || stage_has_failed(stage))
		return;
	play->is_listening = false;
	for (enum session_side side = 0; side < SIDE_COUNT; side++) {
		struct party *party = &stage->party[side];
		static const char *const whom[] = {
			"nothing to the client, c:",
			"nothing to the backend, b:",
			"nothing to the second backend, d:",
		};
		struct span text = SPAN_NONE;

		while (party->is_skipping &&
		       heard_peek(&party->heard, &text) != HEARD_NOTHING)
			heard_pass(&party->heard);
		party->is_skipping = false;
		if (heard_peek(&party->heard, &text) != HEARD_NOTHING)
			complain(play, "before this, expected",
				 span_cstr(whom[side]), "there came", text);
	}
	if (stage->events_seen < stage->event_count)
		complain(play, "before this, expected", SPAN_LIT("no event"),
			 "it is",
			 span_cstr(log_event_name(
				 stage->events[stage->events_seen])));
	if (stage->is_verdict_new)
		complain(play, "before this, expected",
			 SPAN_LIT("a look at the verdict line"), "there is",
			 buf_span(&stage->verdict));
}

/* --- directives --- */

static struct span
next_word(struct span *text)
{
	size_t n = span_find(*text, ' ');
	struct span word = span_first(*text, n);

	*text = span_trim(span_after(*text, n));
	return word;
}

static bool
do_party(struct stage *stage, enum session_side side, struct span what)
{
	struct party *party = &stage->party[side];

	if (span_equal(what, SPAN_LIT("closes")))
		stage_hang_up(stage, side, 0);
	else if (span_equal(what, SPAN_LIT("resets")))
		stage_hang_up(stage, side, -ECONNRESET);
	else if (span_equal(what, SPAN_LIT("stalls")))
		party->is_stalled = true;
	else if (span_equal(what, SPAN_LIT("reads on")))
		party->is_stalled = false;
	else if (span_equal(what, SPAN_LIT("refuses")))
		party->refusals++;
	else if (span_equal(what, SPAN_LIT("spoils tls")))
		party->is_tls_bad = true;
	else if (span_equal(what, SPAN_LIT("does tls")))
		party->is_tls_bad = false;
	else if (span_equal(what, SPAN_LIT("hangs")))
		party->is_hanging = true;
	else if (span_equal(what, SPAN_LIT("answers")))
		party->is_hanging = false;
	else
		return false;
	return true;
}

static bool
do_client(struct stage *stage, struct span what)
{
	return do_party(stage, SIDE_CLIENT, what);
}

static bool
do_backend(struct stage *stage, struct span what)
{
	return do_party(stage, SIDE_BACKEND, what);
}

static bool
do_divert(struct stage *stage, struct span what)
{
	return do_party(stage, SIDE_DIVERT, what);
}

static bool
do_dns(struct stage *stage, struct span what)
{
	stage->is_dns_held = span_equal(what, SPAN_LIT("holds"));
	return stage->is_dns_held || span_equal(what, SPAN_LIT("answers"));
}

static bool
do_disk(struct stage *stage, struct span what)
{
	if (span_equal(what, SPAN_LIT("full")))
		stage->is_disk_full = true;
	else if (span_equal(what, SPAN_LIT("has room")))
		stage->is_disk_full = false;
	else if (span_equal(what, SPAN_LIT("breaks")))
		stage->is_disk_broken = true;
	else if (span_equal(what, SPAN_LIT("holds")))
		stage->writing.is_held = true;
	else if (span_equal(what, SPAN_LIT("answers")))
		stage->writing.is_held = false;
	else
		return false;
	return true;
}

static bool
do_spool(struct stage *stage, struct span what)
{
	if (span_equal(what, SPAN_LIT("fails")))
		stage->does_spool_fail = true;
	else if (span_equal(what, SPAN_LIT("full")))
		stage->is_spool_low = stage->is_spool_full = true;
	else if (span_equal(what, SPAN_LIT("has room")))
		stage->is_spool_low = stage->is_spool_full = false;
	else if (span_equal(what, SPAN_LIT("works")))
		stage->does_spool_fail = false;
	else if (span_equal(what, SPAN_LIT("holds")))
		stage->spooling.is_held = true;
	else if (span_equal(what, SPAN_LIT("answers")))
		stage->spooling.is_held = false;
	else
		return false;
	return true;
}

/* "301s", "1500ms", "30m" */
static bool
do_wait(struct stage *stage, struct span what)
{
	static const struct {
		const char *unit;
		uint64_t us;
	} units[] = { { "ms", 1000 }, { "s", 1000000 }, { "m", 60000000 } };
	uint64_t count;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		struct span unit = span_cstr(units[i].unit);

		if (what.n > unit.n &&
		    span_equal(span_after(what, what.n - unit.n), unit) &&
		    span_u64(span_first(what, what.n - unit.n), &count)) {
			stage_wait(stage, count * units[i].us);
			return true;
		}
	}
	return false;
}

static bool
do_drain(struct stage *stage, struct span what)
{
	stage_drain(stage);
	return what.n == 0;
}

static bool
take_endpoint(struct span *what, struct ip *ip, uint16_t *port)
{
	struct span address = next_word(what), number = next_word(what);
	uint64_t value = 0;

	if (!ip_parse(address, ip) || !span_u64(number, &value) ||
	    value > UINT16_MAX)
		return false;
	*port = (uint16_t)value;
	return true;
}

static bool
do_from(struct stage *stage, struct span what)
{
	if (!take_endpoint(&what, &stage->peer.ip, &stage->peer.port))
		return false;
	stage->peer.is_proxied = span_equal(what, SPAN_LIT("proxied"));
	return true;
}

/* Of several listeners, to that which is there. */
static bool
do_to(struct stage *stage, struct span what)
{
	const struct conf *conf = stage->props.conf;
	struct session_peer *peer = &stage->peer;

	if (!take_endpoint(&what, &peer->local_ip, &peer->local_port))
		return false;
	for (size_t i = 0; i < conf->listener_count; i++)
		if (conf->listeners[i].endpoint.port == peer->local_port &&
		    ip_equal(&conf->listeners[i].endpoint.ip, &peer->local_ip))
			peer->listener = &conf->listeners[i];
	return true;
}

/* "hold 3 [RECIPIENT]", "leave": connections of other clients to each backend.
 * On the wire it is the recipient's. */
static bool
do_others(struct stage *stage, struct span what)
{
	struct span word = next_word(&what);
	uint64_t count = 0;

	if (!span_equal(word, SPAN_LIT("leave")) &&
	    (!span_equal(word, SPAN_LIT("hold")) ||
	     !span_u64(next_word(&what), &count)))
		return false;
	for (size_t i = 0; i < stage->props.conf->backend_count; i++)
		stage_hold(stage, i, (unsigned)count);
	return true;
}

/* "offers mta SIZE=1000 8BITMIME": what probing a backend has given. */
static bool
do_offers(struct stage *stage, struct span what)
{
	struct span name = next_word(&what);
	struct reply reply = { .code = 250, .lines = 1 };
	struct buf text;

	buf_init(&text, 1000);
	buf_append(&text, what);
	what = buf_span(&text);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '=')
			text.p[i] = '\t'; /* white space, and no end of word */
	while (what.n > 0 && reply.lines < REPLY_LINES_MAX)
		reply.line[reply.lines++] = next_word(&what);
	for (size_t i = 0; i < stage->props.conf->backend_count; i++)
		if (span_equal(stage->props.conf->backends[i].name, name))
			ehlo_parse(&reply, &stage->probed[i]);
	buf_fini(&text);
	return true;
}

/* The script is over, or another client comes: this one goes. */
static void
finish_session(struct play *play)
{
	struct stage *stage = play->stage;

	play->is_listening = true;
	finish_listening(play);
	if (stage->session == NULL || stage_has_failed(stage))
		return;
	stage_hang_up(stage, SIDE_CLIENT, 0);
	stage_settle(stage);
	if (stage->session != NULL)
		stage_fail(stage, "the client is gone, the session is not");
	if (stage->events_seen < stage->event_count)
		stage_fail(stage, "an event at the end: %s",
			   log_event_name(stage->events[stage->events_seen]));
	for (enum session_side side = 0; side < SIDE_COUNT; side++) {
		struct heard *heard = &stage->party[side].heard;

		heard->at = heard->octets.n;
		heard->marks_seen = heard->mark_count;
	}
}

/* Directives that set the stage, and those that happen on it. */
static const struct {
	const char *word;
	bool is_before; /* does not need a client to be there */
	bool (*act)(struct stage *stage, struct span what);
} directives[] = {
	/* client|backend|divert closes|resets|stalls|reads on|spoils tls|
	 * does tls|refuses|hangs|answers; the last three are about connecting
	 * to it */
	{ "client", true, do_client },
	{ "backend", true, do_backend },
	{ "divert", true, do_divert },
	{ "dns", true, do_dns },     /* holds|answers */
	{ "disk", true, do_disk },   /* full|has room|breaks|holds|answers */
	{ "spool", true, do_spool }, /* fails|works|full|has room|holds|answers
				      */
	{ "from", true, do_from },   /* IP PORT [proxied]: the client's */
	{ "to", true, do_to },       /* IP PORT: where it connects to */
	{ "others", true, do_others }, /* hold COUNT|leave: connections of
					* other clients to the backend */
	{ "offers", true, do_offers }, /* BACKEND KEYWORD[=NUMBER]… */
	{ "wait", false, do_wait },    /* 301s */
	{ "drain", false, do_drain },
};

static void
need_client(struct play *play)
{
	if (play->stage->connections > 0)
		return;
	stage_start(play->stage);
	stage_settle(play->stage);
}

static void
direct(struct play *play)
{
	struct span what = play->line->text;
	struct span word = next_word(&what);

	if (span_equal(play->line->text, SPAN_LIT("more client"))) {
		finish_session(play);
		if (!stage_has_failed(play->stage))
			stage_start(play->stage);
		stage_settle(play->stage);
		return;
	}
	for (size_t i = 0; i < sizeof(directives) / sizeof(directives[0]);
	     i++) {
		if (!span_equal(word, span_cstr(directives[i].word)))
			continue;
		if (!directives[i].is_before)
			need_client(play);
		if (!directives[i].act(play->stage, what))
			break;
		stage_settle(play->stage);
		return;
	}
	complain(play, "a directive, not", play->line->text, "it is", what);
}

/* --- the whole --- */

/* A group: all that one party says in a row. */
static void
say(struct play *play)
{
	const struct script_line *end =
		play->script->lines + play->script->count;
	enum session_side side = play->line->side;

	while (play->line < end && play->line->kind == SCRIPT_SAY &&
	       play->line->side == side) {
		stage_say(play->stage, side, play->line->text);
		play->line++;
	}
	play->line--;
	stage_settle(play->stage);
}

static void
play_line(struct play *play)
{
	bool is_heard = play->line->kind != SCRIPT_SAY &&
			play->line->kind != SCRIPT_DIRECTIVE;

	if (!is_heard)
		finish_listening(play);
	if (play->line->kind != SCRIPT_DIRECTIVE)
		need_client(play);
	play->is_listening |= is_heard;
	if (stage_has_failed(play->stage))
		return;
	switch (play->line->kind) {
	case SCRIPT_SAY:
		say(play);
		return;
	case SCRIPT_HEAR:
		hear(play);
		return;
	case SCRIPT_HEAR_OCTETS:
		hear_octets(play);
		return;
	case SCRIPT_SKIP:
		play->stage->party[play->line->side].is_skipping = true;
		return;
	case SCRIPT_VERDICT:
		see_verdict(play);
		return;
	case SCRIPT_EVENT:
		see_event(play);
		return;
	case SCRIPT_DIRECTIVE:
		direct(play);
		return;
	}
}

void
play(struct stage *stage, const struct script *script)
{
	struct play play = { .stage = stage, .script = script };

	for (play.line = script->lines;
	     play.line < script->lines + script->count &&
	     !stage_has_failed(stage);
	     play.line++)
		play_line(&play);
	if (script->count == 0)
		stage_fail(stage, "the script is empty");
	play.line = script->lines + script->count - 1;
	if (!stage_has_failed(stage))
		finish_session(&play);
}
