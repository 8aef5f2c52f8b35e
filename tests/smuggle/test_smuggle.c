/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_smuggle: the smuggling matrix. Whatever a client puts into a message,
 * a backend reads one message or none, however lenient it is.
 *
 *     test_smuggle [-x]
 *
 * Sequences: those of the tools that found SMTP smuggling in 2023, and every
 * other string of up to five octets of CR, LF, dot and NUL. Each stands at the
 * start of the message and behind a word of the body, before a transaction
 * that would be a second message if it was read as commands, and before a
 * line; and at the end of the message. Splits: whole, octet by octet, and cut
 * in two at every octet (of the whole message for the known ones, around the
 * sequence for the others). Modes: DATA or BDAT, line-endings = reject or
 * normalise.
 *
 * What the backend hears is read by each manner of lenient.h; for the known
 * sequences each of them has been the backend, too. One line for each
 * sequence, split and mode goes to tests/smuggle/matrix.txt of the build; the
 * output is TAP. -x stops at the first fault.
 */
#include "tests/holds.h"
#include "tests/replay/letter.h"
#include "tests/smuggle/lenient.h"
#include "tests/smuggle/rig.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SEQUENCE_MAX 8
#define DERIVED_MAX 5
#define SEQUENCES_MAX 2048
#define WIRE_MAX 1024
#define FAULTS_SHOWN 3
#define PATH_LENGTH_MAX 512

/* How messages are sent, to the gate and by it. */
enum verb_used { BY_DATA, BDAT_TO_DATA, BDAT_TO_BDAT };
#define VERBS_USED 3

enum place { AT_FRONT, IN_BODY, AT_END, PLACES };
enum ending { REJECT, NORMALISE, ENDINGS };

#define CUT_NONE 0
#define CUT_ALL SIZE_MAX

struct sequence {
	uint8_t octets[SEQUENCE_MAX];
	size_t n;
	bool is_known;
};

/* One dialogue to be had. */
struct cell {
	const struct sequence *sequence;
	enum verb_used verb;
	enum ending ending;
	enum place place;
	bool has_hook;
	size_t cut;
	unsigned live; /* the manner of the backend itself */
};

struct tally {
	unsigned long cells, relayed, refused, ended;
	unsigned long second_messages, second_commands, faults;
};

/* clang-format off */
static const struct sequence known[] = {
	{ "\n.\n", 3, true },
	{ "\n.\r", 3, true },
	{ "\r.\n", 3, true },
	{ "\r.\r", 3, true },
	{ "\n.\r\n", 4, true },
	{ "\r.\r\n", 4, true },
	{ "\r\n.\n", 4, true },
	{ "\r\n.\r", 4, true },
	{ "\r\n\0.\r\n", 6, true },
	{ "\r\n.\0\r\n", 6, true },
	{ "\r\n.\r\r\n", 6, true },
	{ "\r\r\n.\r\r\n", 7, true },
	{ "\n\n.\r\r\n", 6, true },
	{ "\r\n.\r\n\0", 6, true },
	{ "\r\r\n..\r\r\n", 8, true },
};
/* clang-format on */

#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

static const char *const ending_names[] = { "reject", "normalise" };
static const char *const verb_names[] = { "DATA", "BDAT-DATA", "BDAT-BDAT" };
static const char *const place_names[] = { "front", "body", "end" };

static struct sequence sequences[SEQUENCES_MAX];
static size_t sequence_count;
static struct rig rigs[ENDINGS];
static struct lenient readers[LENIENT_MANNERS];
static struct lenient live[LENIENT_MANNERS];
static struct buf newest; /* what the readers have read */
static struct letter letter;
static FILE *matrix;
static bool is_hasty;
static unsigned cases, failed;

/* --- sequences --- */

static bool
is_listed(const struct sequence *sequence)
{
	for (size_t i = 0; i < sequence_count; i++)
		if (sequences[i].n == sequence->n &&
		    memcmp(sequences[i].octets, sequence->octets,
			   sequence->n) == 0)
			return true;
	return false;
}

static void
list_sequences(void)
{
	static const uint8_t alphabet[] = { '\r', '\n', '.', '\0' };

	for (size_t i = 0; i < KNOWN_COUNT; i++)
		sequences[sequence_count++] = known[i];
	for (size_t n = 1; n <= DERIVED_MAX; n++)
		for (unsigned word = 0; word < 1u << (2 * n); word++) {
			struct sequence sequence = { .n = n };

			for (size_t i = 0; i < n; i++)
				sequence.octets[i] =
					alphabet[word >> (2 * i) & 3];
			if (!is_listed(&sequence))
				sequences[sequence_count++] = sequence;
			assert(sequence_count < SEQUENCES_MAX);
		}
}

/* "CRLF.CR" and so on. */
static const char *
name_of(const struct sequence *sequence)
{
	static char name[SEQUENCE_MAX * 3 + 1];
	size_t n = 0;

	for (size_t i = 0; i < sequence->n; i++) {
		uint8_t c = sequence->octets[i];
		const char *text = c == '\r'   ? "CR"
				   : c == '\n' ? "LF"
				   : c == '.'  ? "."
					       : "NUL";

		n += (size_t)snprintf(name + n, sizeof(name) - n, "%s", text);
	}
	return name;
}

/* --- messages --- */

#define HOOK                                  \
	"MAIL FROM:<boss@victim.example>\r\n" \
	"RCPT TO:<bob@backend.example>\r\n"   \
	"DATA\r\n"                            \
	"From: boss@victim.example\r\n"       \
	"\r\n"                                \
	"Hook.\r\n"

/* The message with its sequence, as its sender means it to be read; at is
 * where the sequence begins. */
static void
write_message(const struct cell *cell, struct buf *wire, size_t *at)
{
	buf_reset(wire);
	if (cell->place != AT_FRONT)
		buf_append(wire, SPAN_LIT("From: alice@sender.example\r\n"
					  "\r\nBait."));
	*at = wire->n;
	buf_append(wire, span_make(cell->sequence->octets, cell->sequence->n));
	if (cell->place == AT_END)
		buf_append(wire, cell->verb == BY_DATA ? SPAN_LIT("\r\n")
						       : SPAN_NONE);
	else
		buf_append(wire, cell->has_hook ? SPAN_LIT(HOOK)
						: SPAN_LIT("Rest.\r\n"));
	if (cell->verb == BY_DATA)
		buf_append(wire, SPAN_LIT(".\r\n"));
}

static bool
ends_with(struct span text, struct span end)
{
	return text.n >= end.n &&
	       span_equal(span_after(text, text.n - end.n), end);
}

static bool
is_message_clean(struct span message)
{
	for (size_t i = 0; i < message.n; i++) {
		bool is_cr = message.p[i] == '\r';
		bool is_lf = message.p[i] == '\n';

		if (message.p[i] == '\0' ||
		    (is_cr &&
		     (i + 1 == message.n || message.p[i + 1] != '\n')) ||
		    (is_lf && (i == 0 || message.p[i - 1] != '\r')))
			return false;
	}
	return true;
}

/* What a backend shall get, by letter.h: false where the data ends before its
 * sender meant it to, which is no smuggling: the next command is out of order
 * then, in the open. */
static bool
expect_message(const struct cell *cell, struct span wire, bool *is_clean)
{
	letter_open(&letter);
	if (cell->verb != BY_DATA)
		buf_append(&letter.message, wire);
	else if (letter_take(&letter, wire) < wire.n)
		return false;
	*is_clean = is_message_clean(buf_span(&letter.message));
	if (cell->ending == NORMALISE)
		letter_normalise(&letter);
	/* RFC 3030 2: a message of chunks may lack its last line end. */
	if (cell->verb != BY_DATA && letter.message.n > 0 &&
	    !ends_with(buf_span(&letter.message), SPAN_LIT("\r\n")))
		buf_append(&letter.message, SPAN_LIT("\r\n"));
	return true;
}

/* What arrives of it: a fold that stands on top would become part of our own
 * field there, so the gate takes it off. */
static struct span
expected_message(void)
{
	struct span message = buf_span(&letter.message);

	if (message.n > 0 && (message.p[0] == ' ' || message.p[0] == '\t'))
		letter_field(&message);
	return message;
}

/* --- dialogues --- */

#define EHLO_CHUNKING         \
	"250-mta.example\r\n" \
	"250-PIPELINING\r\n"  \
	"250 CHUNKING\r\n"

static void
backend_connected(void *self, struct buf *reply)
{
	struct lenient *lenient = self;

	lenient_reset(lenient);
	buf_append(reply, SPAN_LIT("220 mta.example ESMTP\r\n"));
}

static void
backend_heard(void *self, struct span octets, struct buf *reply)
{
	lenient_hear(self, octets, reply);
}

/* By DATA, cut as the cell wants it. */
static void
say_data(struct rig *rig, struct span wire, size_t cut)
{
	rig_say(rig, SIDE_CLIENT, SPAN_LIT("DATA\r\n"));
	rig->piece_max = cut == CUT_ALL ? 1 : 0;
	if (cut != CUT_NONE && cut != CUT_ALL) {
		rig_say(rig, SIDE_CLIENT, span_first(wire, cut));
		wire = span_after(wire, cut);
	}
	rig_say(rig, SIDE_CLIENT, wire);
	rig->piece_max = 0;
}

/* By BDAT: a cut is where one chunk ends and the next one begins. */
static void
say_chunks(struct rig *rig, struct span wire, size_t cut)
{
	struct buf chunks;

	buf_init(&chunks, 2 * WIRE_MAX);
	if (cut != CUT_NONE && cut != CUT_ALL) {
		buf_printf(&chunks, "BDAT %zu\r\n", cut);
		buf_append(&chunks, span_first(wire, cut));
		wire = span_after(wire, cut);
	}
	buf_printf(&chunks, "BDAT %zu LAST\r\n", wire.n);
	buf_append(&chunks, wire);
	rig->piece_max = cut == CUT_ALL ? 1 : 0;
	rig_say(rig, SIDE_CLIENT, buf_span(&chunks));
	rig->piece_max = 0;
	buf_fini(&chunks);
}

static struct rig *
hold(const struct cell *cell, struct span wire)
{
	struct rig *rig = &rigs[cell->ending];
	struct rig_backend backend = {
		.self = &live[cell->live],
		.connected = backend_connected,
		.heard = backend_heard,
	};

	live[cell->live].ehlo =
		cell->verb == BDAT_TO_BDAT ? EHLO_CHUNKING : NULL;
	rig_start(rig, &backend);
	rig_say(rig, SIDE_CLIENT, SPAN_LIT("EHLO client.example\r\n"));
	rig_say(rig, SIDE_CLIENT,
		SPAN_LIT("MAIL FROM:<alice@sender.example>\r\n"
			 "RCPT TO:<bob@backend.example>\r\n"));
	if (cell->verb == BY_DATA)
		say_data(rig, wire, cell->cut);
	else
		say_chunks(rig, wire, cell->cut);
	rig_say(rig, SIDE_CLIENT, SPAN_LIT("QUIT\r\n"));
	rig_end(rig);
	return rig;
}

/* --- judging --- */

static void
fault(struct tally *tally, const struct cell *cell, const struct rig *rig,
      const char *who, const char *what)
{
	if (tally->faults++ >= FAULTS_SHOWN)
		return;
	printf("# found: %s %s %s %s%s cut %zd, backend %s: %s: %s\n",
	       name_of(cell->sequence), verb_names[cell->verb],
	       ending_names[cell->ending], place_names[cell->place],
	       cell->has_hook ? " hook" : "", (ssize_t)cell->cut,
	       lenient_manners[cell->live].name, who, what);
	rig_print("backend heard", buf_span(&rig->backend_heard));
	rig_print("client heard", buf_span(&rig->client_heard));
}

/* One manner's reading of what the backend heard. */
static void
judge_reading(struct tally *tally, const struct cell *cell,
	      const struct rig *rig, const struct lenient *reader,
	      unsigned messages)
{
	const char *name = reader->manner->name;
	bool is_second = reader->messages > 1 || reader->mails > 1;
	bool is_command = reader->others > 0 || reader->rcpts > 1 ||
			  reader->datas > 1 || reader->has_seen_hook;

	tally->second_messages += is_second;
	tally->second_commands += is_command;
	if (is_second)
		fault(tally, cell, rig, name, "reads a second message");
	else if (is_command)
		fault(tally, cell, rig, name, "reads a second command");
	else if (reader->messages != messages)
		fault(tally, cell, rig, name,
		      messages > 0 ? "reads no message" : "reads a message");
	else if (messages > 0 &&
		 !ends_with(buf_span(&reader->message), expected_message()))
		fault(tally, cell, rig, name, "reads another message");
}

/* The data ended early: all agree about what that is. */
static void
judge_ended(struct tally *tally, const struct cell *cell, const struct rig *rig)
{
	for (unsigned i = 1; i < LENIENT_MANNERS; i++)
		if (readers[i].messages != readers[0].messages ||
		    readers[i].mails != readers[0].mails ||
		    readers[i].others != readers[0].others)
			fault(tally, cell, rig, readers[i].manner->name,
			      "reads something else than the strict one");
}

static void
judge_reply(struct tally *tally, const struct cell *cell, const struct rig *rig,
	    bool is_relayed)
{
	struct span heard = buf_span(&rig->client_heard);
	bool is_yes = holds(heard, SPAN_LIT("250 2.0.0 Queued\r\n"));
	bool is_no = holds(heard, SPAN_LIT("550 5.6.0 "));

	if (is_yes != is_relayed || is_no == is_relayed)
		fault(tally, cell, rig, "client", "hears another reply");
	if (!holds(heard, SPAN_LIT("\r\n221 ")))
		fault(tally, cell, rig, "client", "gets no answer to QUIT");
}

/* Every manner reads it; not again what it has just read, as most splits of a
 * message come out the same. */
static void
read_by_all(struct span heard)
{
	if (span_equal(heard, buf_span(&newest)))
		return;
	buf_reset(&newest);
	buf_append(&newest, heard);
	for (unsigned i = 0; i < LENIENT_MANNERS; i++) {
		lenient_reset(&readers[i]);
		lenient_hear(&readers[i], heard, NULL);
	}
}

static void
judge(struct tally *tally, const struct cell *cell, const struct rig *rig,
      struct span wire)
{
	bool is_clean = true;
	bool is_whole = expect_message(cell, wire, &is_clean);
	bool is_relayed = is_clean || cell->ending == NORMALISE;

	read_by_all(buf_span(&rig->backend_heard));
	tally->cells++;
	if (!is_whole) {
		tally->ended++;
		judge_ended(tally, cell, rig);
		return;
	}
	tally->relayed += is_relayed;
	tally->refused += !is_relayed;
	for (unsigned i = 0; i < LENIENT_MANNERS; i++)
		judge_reading(tally, cell, rig, &readers[i], is_relayed);
	judge_reading(tally, cell, rig, &live[cell->live], is_relayed);
	judge_reply(tally, cell, rig, is_relayed);
}

static void
play(struct tally *tally, const struct cell *cell, struct span wire)
{
	struct tally before = *tally;
	const struct rig *rig = hold(cell, wire);

	judge(tally, cell, rig, wire);
	fprintf(matrix,
		"%s %s %s %s %s cut=%zd backend=%s %s second-messages=%lu "
		"second-commands=%lu faults=%lu\n",
		name_of(cell->sequence), verb_names[cell->verb],
		ending_names[cell->ending], place_names[cell->place],
		cell->has_hook ? "hook" : "alone", (ssize_t)cell->cut,
		lenient_manners[cell->live].name,
		tally->ended > before.ended       ? "ended"
		: tally->relayed > before.relayed ? "relayed"
						  : "refused",
		tally->second_messages - before.second_messages,
		tally->second_commands - before.second_commands,
		tally->faults - before.faults);
}

/* Every split of one message. */
static void
play_splits(struct tally *tally, struct cell cell)
{
	struct buf wire;
	size_t at, first, last;

	buf_init(&wire, WIRE_MAX);
	write_message(&cell, &wire, &at);
	first = cell.sequence->is_known || at < 2 ? 1 : at - 1;
	last = cell.sequence->is_known ? wire.n - 1 : at + cell.sequence->n + 2;
	if (last >= wire.n)
		last = wire.n - 1;
	cell.cut = CUT_NONE;
	play(tally, &cell, buf_span(&wire));
	cell.cut = CUT_ALL;
	play(tally, &cell, buf_span(&wire));
	for (cell.cut = first; cell.live == 0 && cell.cut <= last; cell.cut++)
		play(tally, &cell, buf_span(&wire));
	buf_fini(&wire);
}

static void
add(struct tally *sum, const struct tally *tally)
{
	sum->cells += tally->cells;
	sum->relayed += tally->relayed;
	sum->refused += tally->refused;
	sum->ended += tally->ended;
	sum->second_messages += tally->second_messages;
	sum->second_commands += tally->second_commands;
	sum->faults += tally->faults;
}

static void
play_sequence(struct tally *sum, const struct sequence *sequence,
	      enum verb_used verb, enum ending ending)
{
	struct tally tally = { 0 };
	unsigned manners = sequence->is_known ? LENIENT_MANNERS : 1;
	struct cell cell = {
		.sequence = sequence,
		.verb = verb,
		.ending = ending,
	};

	for (cell.live = 0; cell.live < manners; cell.live++)
		for (cell.place = 0; cell.place < PLACES; cell.place++)
			for (unsigned hook = 0;
			     hook < (cell.place == AT_END ? 1 : 2); hook++) {
				cell.has_hook = hook == 1;
				play_splits(&tally, cell);
			}
	printf("#%s %s, %s, %s: %lu splits, %lu relayed, %lu refused, "
	       "%lu ended: %lu second messages, %lu second commands\n",
	       sequence->is_known ? ":" : "", name_of(sequence),
	       verb_names[verb], ending_names[ending], tally.cells,
	       tally.relayed, tally.refused, tally.ended, tally.second_messages,
	       tally.second_commands);
	add(sum, &tally);
}

/* --- cases --- */

static void
report(bool is_good, const char *name)
{
	failed += !is_good;
	printf("%sok %u - %s\n", is_good ? "" : "not ", ++cases, name);
	fflush(stdout);
	if (!is_good && is_hasty)
		exit(1);
}

/* Straight to the backend every known sequence does its work: a manner that no
 * sequence can fool would prove nothing. */
static void
test_manners_can_be_fooled(void)
{
	bool is_good = true;

	for (unsigned i = 1; i < LENIENT_MANNERS; i++) {
		bool is_fooled = false;

		for (size_t s = 0; s < sequence_count && !is_fooled; s++) {
			struct cell cell = { .sequence = &sequences[s],
					     .place = IN_BODY,
					     .has_hook = true };
			struct buf wire;
			bool is_clean;
			size_t at;

			buf_init(&wire, WIRE_MAX);
			write_message(&cell, &wire, &at);
			lenient_reset(&readers[i]);
			lenient_hear(&readers[i], SPAN_LIT("DATA\r\n"), NULL);
			lenient_hear(&readers[i], buf_span(&wire), NULL);
			is_fooled = readers[i].has_seen_hook &&
				    expect_message(&cell, buf_span(&wire),
						   &is_clean);
			buf_fini(&wire);
		}
		if (!is_fooled)
			printf("# nothing fools %s\n", lenient_manners[i].name);
		is_good &= is_fooled;
	}
	report(is_good, "each lenient manner can be fooled without the gate");
}

static void
test_matrix(struct tally *sum, enum verb_used verb, enum ending ending)
{
	struct tally tally = { 0 };
	char name[64];

	for (size_t i = 0; i < sequence_count; i++) {
		play_sequence(&tally, &sequences[i], verb, ending);
		if (is_hasty && tally.faults > 0)
			break;
	}
	add(sum, &tally);
	snprintf(name, sizeof(name), "%s, %s", verb_names[verb],
		 ending_names[ending]);
	report(tally.faults == 0 && tally.relayed > 0, name);
}

/* --- set-up --- */

static struct conf *
make_conf(enum ending ending)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "hostname = \"gate.example\"\n"
		 "line-endings = \"%s\"\n"
		 "listen \"198.51.100.25:25\" { }\n"
		 "backend \"mta\" {\n"
		 "\taddress = {\"127.0.0.1:10025\"}\n"
		 "\tidentity = \"none\"\n"
		 "\ttrust-unidentified = yes\n"
		 "}\n"
		 "route \"*\" { backend = \"mta\" }\n"
		 "dmarc { bad-from = \"accept\" }\n",
		 ending_names[ending]);
	return rig_conf(text);
}

static bool
open_matrix(void)
{
	const char *build = getenv("DMARCGATE_BUILD");
	char path[PATH_LENGTH_MAX];

	snprintf(path, sizeof(path), "%s/tests/smuggle/matrix.txt",
		 build == NULL ? "build" : build);
	matrix = fopen(is_hasty ? "/dev/null" : path, "w");
	return matrix != NULL;
}

int
main(int argc, char **argv)
{
	struct dkim_engine *dkim = dkim_engine_new(DKIM_ENGINE_NATIVE);
	struct conf *confs[ENDINGS];
	struct tally sum = { 0 };

	is_hasty = argc > 1 && span_equal(span_cstr(argv[1]), SPAN_LIT("-x"));
	if (!open_matrix())
		return 2;
	list_sequences();
	letter_init(&letter);
	buf_init(&newest, RIG_HEARD_MAX);
	for (unsigned i = 0; i < LENIENT_MANNERS; i++) {
		lenient_init(&readers[i], &lenient_manners[i]);
		lenient_init(&live[i], &lenient_manners[i]);
	}
	for (unsigned i = 0; i < ENDINGS; i++) {
		confs[i] = make_conf(i);
		if (confs[i] == NULL)
			return 2;
		rig_init(&rigs[i], confs[i], dkim);
	}
	printf("1..%d\n", 1 + VERBS_USED * ENDINGS);
	test_manners_can_be_fooled();
	for (unsigned verb = 0; verb < VERBS_USED; verb++)
		for (unsigned ending = 0; ending < ENDINGS; ending++)
			test_matrix(&sum, verb, ending);
	printf("#: %zu sequences, %lu splits, %d interpretations: %lu second "
	       "messages, %lu second commands\n",
	       sequence_count, sum.cells, LENIENT_MANNERS, sum.second_messages,
	       sum.second_commands);
	for (unsigned i = 0; i < ENDINGS; i++) {
		rig_fini(&rigs[i]);
		conf_free(confs[i]);
	}
	for (unsigned i = 0; i < LENIENT_MANNERS; i++) {
		lenient_fini(&readers[i]);
		lenient_fini(&live[i]);
	}
	letter_fini(&letter);
	buf_fini(&newest);
	dkim_engine_free(dkim);
	fclose(matrix);
	return failed == 0 ? 0 : 1;
}
