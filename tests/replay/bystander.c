/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/replay/bystander.h"

#include "tests/replay/jsonpath.h"

#include <stdio.h>

#define TEXT_MAX (8u << 20)

static void
end_of_data(struct stage *stage)
{
	stage->data_ends++;
	stage->is_reply_due = stage->is_line_due = true;
	stage->is_taken = stage->has_arrived = false;
	stage->handed = 0;
}

/* The reply is the one that the verdict line has. What the line shows in
 * another form (several lines, escapes) is compared by its code. */
static void
compare_reply(struct stage *stage, struct span line)
{
	struct span promised = buf_span(&stage->promised);
	size_t n = 3;

	if (!stage->is_continued && line.n == promised.n)
		n = line.n;
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] < ' ' || line.p[i] > '~')
			n = 3;
	if (promised.n < n ||
	    !span_equal(span_first(line, n), span_first(promised, n)))
		stage_fail(stage,
			   "the verdict line promises another reply: "
			   "%.*s",
			   (int)promised.n, (const char *)promised.p);
}

void
bystander_end(struct stage *stage)
{
	if (!stage->is_reply_due || !stage->writing.is_out)
		return;
	stage->is_reply_due = stage->is_line_due = false;
	stage->data_ends--;
}

/* A BDAT LAST, all said, that must be taken: the end of data, once all before
 * it is answered. */
static void
see_last_chunk(struct stage *stage)
{
	const struct conf *conf = stage->props.conf;

	if (stage->is_reply_due ||
	    !saying_take(&stage->saying, &stage->party[SIDE_CLIENT].letter,
			 conf->message_size_max, conf->is_normalising))
		return;
	end_of_data(stage);
}

/* The end of data was answered: was the answer earned? */
static void
judge_answer(struct stage *stage, struct span line)
{
	if (span_starts(line, SPAN_LIT("421")))
		bystander_end(stage);
	else if (!span_starts(line, SPAN_LIT("452 4.3.1 Too little memory")))
		see_last_chunk(stage); /* there, no chunk is taken at all */
	if (!stage->is_reply_due && saying_is_last(&stage->saying) &&
	    line.p[0] == '2')
		stage_fail(stage, "2xx to a BDAT LAST that had to be refused");
	if (!stage->is_reply_due)
		return;
	if (stage->is_line_due)
		stage_fail(stage, "the end of data is answered before its "
				  "verdict line is written");
	if (stage->lines != stage->data_ends)
		stage_fail(stage, "%u ends of data, but %u verdict lines",
			   stage->data_ends, stage->lines);
	if (line.p[0] == '2' && !stage->is_taken)
		stage_fail(stage, "2xx to the end of data, but the backend has "
				  "not taken the message");
	if (line.p[0] != '2' && stage->is_taken)
		stage_fail(stage, "the backend has taken the message, but the "
				  "client is not told");
	if (stage->lines > 0)
		compare_reply(stage, line);
	stage->is_reply_due = false;
}

static void
client_heard(struct stage *stage, struct span line)
{
	bool is_last = line.n >= 4 && line.p[3] == ' ';

	stage->is_continued |= !is_last;
	if (!is_last) {
		saying_reply(&stage->saying, line);
		return;
	}
	if (span_starts(line, SPAN_LIT("354")))
		letter_open(&stage->party[SIDE_CLIENT].letter);
	judge_answer(stage, line);
	saying_reply(&stage->saying, line);
	stage->is_continued = false;
}

/* The message that a backend has heard, beside the one that the client
 * said. */
static void
compare_letters(struct stage *stage, const struct party *party)
{
	const struct letter *sent = &stage->party[SIDE_CLIENT].letter;
	const char *reason;

	see_last_chunk(stage);
	if (!sent->has_ended || !stage->is_reply_due) {
		stage_fail(stage, "the backend got a message before the client "
				  "had ended it");
		return;
	}
	stage->has_arrived = true;
	if (stage->handed++ > 0)
		stage_fail(stage, "the message is handed over again, though a "
				  "backend may have it");
	if (!letter_compare(buf_span(&sent->message),
			    buf_span(&party->letter.message), &stage->change,
			    &reason))
		stage_fail(stage, "the message is not what it was: %s", reason);
}

/* Whether a line can be one of a reply at all. */
static bool
is_readable(struct span line)
{
	for (size_t i = 0; i < line.n; i++)
		if ((line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 127)
			return false;
	return true;
}

static void
backend_said(struct stage *stage, struct party *party, struct span line)
{
	bool is_last = line.n == 3 || (line.n >= 4 && line.p[3] == ' ');

	if (!is_last || !is_readable(line))
		return;
	if (party->is_data_asked && span_starts(line, SPAN_LIT("354")))
		letter_open(&party->letter);
	/* A yes to what is still under way is worth something when it has
	 * left. */
	if (party->is_final_asked && line.p[0] == '2')
		stage->is_taken_secured = party->is_secured;
	if (party->is_final_asked && line.p[0] == '2' && party->is_sending)
		party->is_yes_said = true;
	else if (party->is_final_asked && line.p[0] == '2')
		stage->is_taken = true;
	if (party->is_final_asked && line.p[0] >= '4' && stage->handed > 0)
		stage->handed--;
	party->is_data_asked = false;
	party->is_final_asked = false;
}

/* Lines of a stream, one by one. */
static struct span
take_line(struct buf *pending, struct span *octets)
{
	size_t n = span_find(*octets, '\n');

	if (n == octets->n) {
		buf_append(pending, *octets);
		*octets = SPAN_NONE;
		return SPAN_NONE;
	}
	buf_append(pending, span_first(*octets, n + 1));
	*octets = span_after(*octets, n + 1);
	return buf_span(pending);
}

static void
follow_replies(struct stage *stage, enum session_side side, struct span octets)
{
	struct party *party = &stage->party[side];

	while (octets.n > 0) {
		struct span line = take_line(&party->reply, &octets);

		if (line.n == 0)
			return;
		line = span_first(line, line.n - (line.n > 1 ? 2 : 1));
		if (side == SIDE_CLIENT)
			client_heard(stage, line);
		else
			backend_said(stage, party, line);
		buf_reset(&party->reply);
	}
}

static void
end_letter(struct stage *stage, struct party *party)
{
	party->is_final_asked = true;
	compare_letters(stage, party);
}

/* Whether the line is a BDAT, of which the gate sends only the last. */
static bool
open_chunk(struct stage *stage, struct party *party, struct span line)
{
	struct span size = span_after(line, 5);
	uint64_t octets;

	if (!span_starts(line, SPAN_LIT("BDAT ")))
		return false;
	size = span_first(size, span_find(size, ' '));
	if (!span_u64(size, &octets) ||
	    !span_equal(span_after(line, 5 + size.n), SPAN_LIT(" LAST\r\n"))) {
		stage_fail(stage, "a BDAT that is not the whole message");
		return true;
	}
	letter_open_chunk(&party->letter, octets);
	if (octets == 0)
		end_letter(stage, party);
	return true;
}

static void
follow_commands(struct stage *stage, enum session_side side, struct span octets)
{
	struct party *party = &stage->party[side];

	while (octets.n > 0) {
		struct span line;

		if (party->letter.is_open) {
			octets = span_after(
				octets, letter_take(&party->letter, octets));
			if (!party->letter.has_ended)
				return;
			end_letter(stage, party);
			continue;
		}
		line = take_line(&party->command, &octets);
		if (line.n == 0)
			return;
		if (open_chunk(stage, party, line)) {
			buf_reset(&party->command);
			continue;
		}
		party->is_data_asked |= span_equal(line, SPAN_LIT("DATA\r\n"));
		buf_reset(&party->command);
	}
}

static size_t
follow_letter(struct stage *stage, struct span octets)
{
	struct letter *letter = &stage->party[SIDE_CLIENT].letter;
	size_t n = letter_take(letter, octets);

	if (!letter->has_ended)
		return n;
	if (stage->props.conf->is_normalising)
		letter_normalise(letter);
	/* Of one that is far too large the end is never read. */
	if (letter->message.n > 2 * stage->props.conf->message_size_max)
		return n;
	end_of_data(stage);
	saying_end_of_data(&stage->saying);
	return n;
}

static void
follow_client(struct stage *stage, struct span octets)
{
	struct letter *letter = &stage->party[SIDE_CLIENT].letter;

	while (octets.n > 0 && letter->is_open)
		octets = span_after(octets, follow_letter(stage, octets));
	saying_octets(&stage->saying, octets);
}

/* --- verdict lines --- */

static bool
verdict_is(struct stage *stage, const char *path, struct span wanted)
{
	struct buf value;
	bool is_equal;

	buf_init(&value, TEXT_MAX);
	is_equal = jsonpath_find(buf_span(&stage->verdict), span_cstr(path),
				 &value) &&
		   span_equal(buf_span(&value), wanted);
	buf_fini(&value);
	return is_equal;
}

static void
check_stripped(struct stage *stage)
{
	char path[32];

	for (size_t i = 0; i <= stage->change.stripped_count; i++) {
		bool is_end = i == stage->change.stripped_count;
		struct buf value;
		bool is_found;

		buf_init(&value, TEXT_MAX);
		snprintf(path, sizeof(path), "stripped.%zu", i);
		is_found = jsonpath_find(buf_span(&stage->verdict),
					 span_cstr(path), &value);
		if (is_end ? is_found
			   : !span_equal(buf_span(&value),
					 stage->change.stripped[i]))
			stage_fail(stage,
				   "field %zu of those that did not arrive is "
				   "not the one of the verdict line",
				   i);
		buf_fini(&value);
	}
}

/* Fields of ours that may stand on top, as bits. */
enum mark {
	MARK_RESULTS = 1,
	MARK_HEADER = 2,
	MARK_ORIGINAL = 4,
	MARK_SUBJECT = 8,
	MARK_TRACE = 16
};

/* What each action leaves behind: in a message that was accepted, these marks;
 * else a reply of one of these classes. */
static const struct {
	const char *action;
	unsigned marks;
	const char *refusals;
	bool is_handing_on;
} actions[] = {
	{ "relay", 0, "45", true },
	{ "tag", MARK_HEADER, "45", true },
	{ "subject", MARK_SUBJECT, "45", true },
	{ "divert", MARK_HEADER | MARK_ORIGINAL, "45", true },
	{ "reject", 0, "5", false },
	{ "defer", 0, "4", false },
	{ "fail", 0, "4", false },
};

/* Whether it tells of the client's TLS, if of anything. */
static bool
is_true_to_tls(const struct stage *stage, struct span field)
{
	const struct party *client = &stage->party[SIDE_CLIENT];

	return !span_equal(letter_field_name(field), SPAN_LIT("Received")) ||
	       (memmem(field.p, field.n, "(using TLS", 10) != NULL) ==
		       client->is_secured;
}

/* What stands on top is ours, each at most once. */
static unsigned
marks_added(struct stage *stage)
{
	const struct span ours[] = {
		SPAN_LIT("Authentication-Results"),
		stage->props.conf->quarantine.header,
		stage->props.conf->quarantine.original_header,
		SPAN_LIT("Subject"),
		SPAN_LIT("Received"),
	};
	struct span added = stage->change.added;
	struct span field;
	unsigned seen = 0;

	while ((field = letter_field(&added)).n > 0) {
		struct span name = letter_field_name(field);
		unsigned i = 0;

		while (i < 5 && !span_equal(name, ours[i]))
			i++;
		if (i == 5 || (seen & (1u << i)) != 0)
			stage_fail(stage,
				   "a field was added that is not ours: "
				   "%.*s",
				   (int)name.n, (const char *)name.p);
		else
			seen |= 1u << i;
		if (!is_true_to_tls(stage, field))
			stage_fail(stage, "the Received field is not true to "
					  "the client's TLS");
	}
	return seen;
}

/* The action of the line is what was done. */
static void
check_action(struct stage *stage)
{
	uint8_t class =
		stage->promised.n > 0 ? buf_span(&stage->promised).p[0] : ' ';
	size_t count = sizeof(actions) / sizeof(actions[0]), i = 0;
	unsigned marks = 0;

	while (i < count &&
	       !verdict_is(stage, "action", span_cstr(actions[i].action)))
		i++;
	if (i == count) {
		stage_fail(stage, "the verdict line has no action");
		return;
	}
	if (stage->is_taken)
		marks = marks_added(stage) &
			~(unsigned)(MARK_RESULTS | MARK_TRACE);
	if (stage->is_taken ? class != '2' || !actions[i].is_handing_on
			    : span_find(span_cstr(actions[i].refusals),
					class) == strlen(actions[i].refusals))
		stage_fail(stage, "%s, but the reply is of class %c",
			   actions[i].action, class);
	if (stage->is_taken && marks != actions[i].marks)
		stage_fail(stage, "%s, but with marks of another action",
			   actions[i].action);
}

/* Of both legs, as they are now. */
static void
check_tls(struct stage *stage)
{
	static const struct span none = SPAN_LIT("null");
	const struct party *client = &stage->party[SIDE_CLIENT];
	const struct tlsinfo *tls = client->is_secured ? client->tls : NULL;
	bool is_named = tls != NULL && tls->has_certificate;

	if (verdict_is(stage, "client.tls", none) == client->is_secured ||
	    (tls != NULL &&
	     !verdict_is(stage, "client.tls", span_cstr(tls->version))))
		stage_fail(stage, "\"client.tls\" is not what it is");
	if (verdict_is(stage, "client.cert", none) == is_named ||
	    (is_named &&
	     !verdict_is(stage, "client.cert.subject", tls->subject)))
		stage_fail(stage, "\"client.cert\" is not the client's");
	if (stage->is_taken &&
	    verdict_is(stage, "backend_tls", none) == stage->is_taken_secured)
		stage_fail(stage, "\"backend_tls\" is not how it was taken");
}

void
bystander_verdict(struct stage *stage, struct span line)
{
	struct span message;
	char size[24];

	see_last_chunk(stage);
	message = buf_span(&stage->party[SIDE_CLIENT].letter.message);
	buf_reset(&stage->promised);
	jsonpath_find(line, SPAN_LIT("reply"), &stage->promised);
	if (line.n == 0 || span_find(line, '\n') != line.n - 1 ||
	    !jsonpath_is_json(line))
		stage_fail(stage, "the verdict line is not one line of JSON");
	if (stage->lines > stage->data_ends)
		stage_fail(stage, "a verdict line without an end of data");
	snprintf(size, sizeof(size), "%zu", message.n);
	if (!verdict_is(stage, "size", span_cstr(size)))
		stage_fail(stage,
			   "the message had %s octets, the verdict line "
			   "says otherwise",
			   size);
	if (!verdict_is(stage, "accepted",
			stage->is_taken ? SPAN_LIT("true") : SPAN_LIT("false")))
		stage_fail(stage, "\"accepted\" is not what the backend said");
	check_action(stage);
	check_tls(stage);
	if (stage->is_taken)
		check_stripped(stage);
}

void
bystander_said(struct stage *stage, enum session_side side, struct span octets)
{
	if (side == SIDE_CLIENT)
		follow_client(stage, octets);
	else
		follow_replies(stage, side, octets);
}

void
bystander_heard(struct stage *stage, enum session_side side, struct span octets)
{
	if (side == SIDE_CLIENT)
		follow_replies(stage, side, octets);
	else
		follow_commands(stage, side, octets);
}
