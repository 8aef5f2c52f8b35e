/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/cost/dialogue.h"

#include <assert.h>
#include <stdio.h>

#define FOLDER "tests/cost/"
#define TEXT_MAX (4u << 20)
#define LARGE (1u << 20) /* octets of a large body, at least: see sign.py */

const char *const dialogue_names[DIALOGUES] = { "kept", "new", "forged",
						"large" };

static const struct {
	const char *header;
	const char *reply;
	size_t body; /* octets, at least */
	bool is_kept;
} kinds[DIALOGUES] = {
	{ "signed", "250 ", 1, true },
	{ "signed", "250 ", 1, false },
	{ "forged", "550 ", 1, true },
	{ "large", "250 ", LARGE, true },
};

static bool
read_file(const char *name, struct buf *text)
{
	char path[64], piece[4096];
	size_t n;
	FILE *file;

	snprintf(path, sizeof(path), FOLDER "%s", name);
	file = fopen(path, "r");
	if (file == NULL)
		return false;
	while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_append(text, span_make(piece, n));
	fclose(file);
	return !text->has_overflowed;
}

/* The lines of a file as DATA has them. */
static bool
append_lines(struct buf *to, const char *name)
{
	struct buf text;
	struct span left;
	bool is_read;

	buf_init(&text, TEXT_MAX);
	is_read = read_file(name, &text);
	for (left = buf_span(&text); left.n > 0;) {
		struct span line = span_first(left, span_find(left, '\n'));

		if (span_starts(line, SPAN_LIT(".")))
			buf_append_octet(to, '.');
		buf_append(to, line);
		buf_append(to, SPAN_LIT("\r\n"));
		left = span_after(left, line.n + 1);
	}
	buf_fini(&text);
	return is_read && !to->has_overflowed;
}

/* sign.py has signed the body as it is here: as often as it takes. */
static bool
write_letter(struct buf *letter, const char *header, size_t body)
{
	struct buf once;
	char name[32];
	bool is_read;
	size_t left = body;

	snprintf(name, sizeof(name), "%s.header", header);
	buf_init(&once, TEXT_MAX);
	is_read = append_lines(letter, name) && append_lines(&once, "body");
	buf_append(letter, SPAN_LIT("\r\n"));
	while (is_read && left > 0) {
		buf_append(letter, buf_span(&once));
		left -= left < once.n ? left : once.n;
	}
	buf_append(letter, SPAN_LIT(".\r\n"));
	buf_fini(&once);
	return is_read && !letter->has_overflowed;
}

static struct zone *
read_zone(struct buf *faults)
{
	struct zone *zone = NULL;
	struct buf text;

	buf_init(&text, TEXT_MAX);
	if (read_file("cost.zone", &text))
		zone = zone_parse(buf_span(&text), "cost.zone", faults);
	buf_fini(&text);
	return zone;
}

/* What the stage stands on. */
static bool
set_stage(struct dialogue *dialogue)
{
	struct stage_props props;

	dialogue->conf =
		conf_read(FOLDER "cost.conf", CONF_GATE, &dialogue->faults);
	dialogue->zone = read_zone(&dialogue->faults);
	if (dialogue->conf == NULL || dialogue->zone == NULL ||
	    !rules_open(&dialogue->rules, dialogue->conf, &dialogue->faults))
		return false;
	dialogue->dkim = rules_dkim_engine(dialogue->conf, DKIM_ENGINE_NATIVE);
	if (dialogue->dkim == NULL)
		return false;
	props = (struct stage_props){
		.conf = dialogue->conf,
		.zone = dialogue->zone,
		.rules = &dialogue->rules.settings,
		.dkim = dialogue->dkim,
	};
	stage_init(&dialogue->stage, &props, CHUNK_GROUPS, 0);
	dialogue->stage.is_simulated = dialogue->stage.is_silent = true;
	return true;
}

bool
dialogue_init(struct dialogue *dialogue, const char *name)
{
	size_t i = 0;

	while (i < DIALOGUES && strcmp(dialogue_names[i], name) != 0)
		i++;
	*dialogue = (struct dialogue){ 0 };
	buf_init(&dialogue->faults, TEXT_MAX);
	buf_init(&dialogue->letter, TEXT_MAX);
	if (i == DIALOGUES)
		return false;
	dialogue->is_kept = kinds[i].is_kept;
	dialogue->reply = kinds[i].reply;
	return write_letter(&dialogue->letter, kinds[i].header,
			    kinds[i].body) &&
	       set_stage(dialogue);
}

void
dialogue_fini(struct dialogue *dialogue)
{
	if (dialogue->dkim != NULL)
		stage_fini(&dialogue->stage);
	dkim_engine_free(dialogue->dkim);
	rules_close(&dialogue->rules);
	zone_free(dialogue->zone);
	conf_free(dialogue->conf);
	buf_fini(&dialogue->letter);
	buf_fini(&dialogue->faults);
}

/* --- the backend -----------------------------------------------------------
 */

static void
answer(struct dialogue *dialogue, const char *text)
{
	stage_say(&dialogue->stage, SIDE_BACKEND, span_cstr(text));
}

static void
answer_command(struct dialogue *dialogue, struct span line)
{
	if (span_starts(line, SPAN_LIT("EHLO "))) {
		answer(dialogue, "250-mta.example\r\n250-PIPELINING\r\n"
				 "250-SIZE 10240000\r\n250-8BITMIME\r\n"
				 "250 ENHANCEDSTATUSCODES\r\n");
	} else if (span_starts(line, SPAN_LIT("DATA"))) {
		dialogue->is_content = true;
		answer(dialogue, "354 Go ahead\r\n");
	} else if (span_starts(line, SPAN_LIT("QUIT"))) {
		dialogue->has_hung_up = true;
	} else {
		answer(dialogue, "250 2.0.0 Ok\r\n");
	}
}

/* It answers the lines that it has heard. */
static void
answer_lines(struct dialogue *dialogue)
{
	struct heard *heard = &dialogue->stage.party[SIDE_BACKEND].heard;
	struct span line;

	while (heard_peek(heard, &line) == HEARD_LINE) {
		if (!dialogue->is_content) {
			answer_command(dialogue, line);
		} else if (span_equal(line, SPAN_LIT("."))) {
			dialogue->is_content = false;
			answer(dialogue, "250 2.0.0 Queued\r\n");
		}
		heard_pass(heard);
	}
	if (heard->at == heard->octets.n) {
		heard->at = 0;
		buf_reset(&heard->octets);
	}
}

/* --- the client ------------------------------------------------------------
 */

/* It says this, and the backend what it says to that; it is answered in the end
 * by one reply that starts so. */
static bool
say(struct dialogue *dialogue, struct span octets, const char *reply)
{
	struct stage *stage = &dialogue->stage;
	struct heard *heard = &stage->party[SIDE_CLIENT].heard;
	struct span answer;

	stage_say(stage, SIDE_CLIENT, octets);
	do {
		stage_settle(stage);
		answer_lines(dialogue);
	} while (stage->party[SIDE_BACKEND].unsaid.n > 0 &&
		 !stage_has_failed(stage));
	answer = span_after(buf_span(&heard->octets), heard->at);
	if (!span_starts(answer, span_cstr(reply)))
		stage_fail(stage, "no %s to \"%.20s…\"", reply, octets.p);
	buf_reset(&heard->octets);
	return !stage_has_failed(stage);
}

static bool
say_line(struct dialogue *dialogue, const char *line, const char *reply)
{
	return say(dialogue, span_cstr(line), reply);
}

static bool
greet(struct dialogue *dialogue)
{
	stage_start(&dialogue->stage);
	stage_settle(&dialogue->stage); /* the backend is connected to */
	answer(dialogue, "220 mta.example ESMTP\r\n");
	return say_line(dialogue, "", "220 ") &&
	       say_line(dialogue, "EHLO client.example\r\n", "250-");
}

static bool
leave(struct dialogue *dialogue)
{
	bool is_good = say_line(dialogue, "QUIT\r\n", "221 ");

	if (is_good && dialogue->stage.session != NULL)
		stage_fail(&dialogue->stage, "the session goes on");
	return is_good && !stage_has_failed(&dialogue->stage);
}

bool
dialogue_play(struct dialogue *dialogue)
{
	if (dialogue->stage.session == NULL && !greet(dialogue))
		return false;
	if (!say_line(dialogue, "MAIL FROM:<alice@sender.example>\r\n",
		      "250 ") ||
	    !say_line(dialogue, "RCPT TO:<bob@backend.example>\r\n", "250 ") ||
	    !say_line(dialogue, "DATA\r\n", "354 ") ||
	    !say(dialogue, buf_span(&dialogue->letter), dialogue->reply))
		return false;
	return dialogue->is_kept || leave(dialogue);
}
