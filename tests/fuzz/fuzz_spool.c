/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spool: the input is cut into the texts, lists and numbers of a verdict
 * record, each many times as long as the input says. The line is valid JSON,
 * on one line, safe to show, at most 32 KiB; what it holds of a text that is
 * short and good UTF-8 is that text.
 */
#include "dmarc/report/spool.h"
#include "tests/fuzz/pieces.h"
#include "tests/unit/json_check.h"

#include <stdio.h>

#define LISTED_MAX 600

struct source {
	struct pieces pieces;
	struct arena arena;
};

/* The next text: a piece, repeated up to 255 times by its first octet. */
static struct span
text(struct source *source)
{
	struct span piece;
	size_t times;
	uint8_t *p;

	if (!pieces_next(&source->pieces, &piece) || piece.n == 0)
		return SPAN_NONE;
	times = piece.p[0] % 8 == 0 ? piece.p[0] : 1;
	p = arena_alloc(&source->arena, piece.n * times + 1);
	if (p == NULL)
		return SPAN_NONE;
	for (size_t i = 0; i < times; i++)
		memcpy(p + i * piece.n, piece.p, piece.n);
	return span_make(p, piece.n * times);
}

static unsigned
number(struct source *source, unsigned below)
{
	struct span piece;

	return pieces_next(&source->pieces, &piece) && piece.n > 0
		       ? piece.p[0] * 257u % below
		       : 0;
}

static const struct span *
list(struct source *source, size_t *count)
{
	struct span *texts;
	struct span one = text(source);

	*count = number(source, LISTED_MAX);
	texts = arena_alloc(&source->arena, (*count + 1) * sizeof *texts);
	if (texts == NULL)
		*count = 0;
	for (size_t i = 0; i < *count; i++)
		texts[i] = one;
	if (*count > 0)
		texts[*count - 1] = text(source);
	return texts;
}

/* Names and MX targets are normalised: never hostile. */
static void
fill_answers(struct source *source, struct answers *answers)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_TXT,
					       DNS_PTR };
	size_t count = number(source, ANSWERS_MAX);

	answers_init(answers, &source->arena, ANSWERS_MAX);
	for (size_t i = 0; i < count; i++) {
		char name[32];
		enum dns_type type = types[i % 5];
		struct dns_record record = { .value = SPAN_LIT("mx.example") };
		struct answer answer = { .status = (enum answer_status)(1 +
									i % 4),
					 .error = "SERVFAIL" };
		size_t index;

		snprintf(name, sizeof name, "n%zu.example", i);
		if (type == DNS_TXT && i < 20)
			record.value = text(source);
		if (type == DNS_A || type == DNS_AAAA)
			record.value.n = type == DNS_A ? 4 : 0;
		if (answer.status == ANSWER_OK) {
			answer.records = 1;
			answer.record = &record;
		}
		if (answers_ask(answers, span_cstr(name), type) == NULL &&
		    answers_unsent(answers, &index))
			answers_settle(answers, index, &answer);
	}
}

static void
fill_author(struct source *source, struct eval_author *author)
{
	author->domain = text(source);
	author->discovered =
		number(source, 2) ? DISCOVERY_FOUND : DISCOVERY_NONE;
	author->discovery.domain = text(source);
	author->discovery.organizational = text(source);
	record_parse(text(source), &author->discovery.record);
	author->discovery.record.tag_p = text(source);
	author->discovery.record.rua = text(source);
	author->discovery.record.ruf = text(source);
	author->effective.applied = POLICY_REJECT;
	author->is_author_known = number(source, 2) != 0;
	author->org_psl = text(source);
	author->dkim_aligned = number(source, 1000);
}

static void
fill_verdict(struct source *source, struct verdict *verdict,
	     struct override_rule *override,
	     struct dkim_signature dkim[DKIM_LISTED_MAX])
{
	*verdict = (struct verdict){ 0 };
	verdict->authors = number(source, FROM_DOMAINS_MAX + 1);
	verdict->deciding = verdict->authors > 0
				    ? number(source, (unsigned)verdict->authors)
				    : 0;
	for (size_t i = 0; i < verdict->authors; i++)
		fill_author(source, &verdict->author[i]);
	verdict->spf.domain = text(source);
	verdict->spf.explanation = text(source);
	verdict->message_id = text(source);
	verdict->dkim_count = number(source, DKIM_LISTED_MAX + 1);
	verdict->dkim = dkim;
	for (size_t i = 0; i < verdict->dkim_count; i++)
		dkim[i] = (struct dkim_signature){ .reason = "",
						   .domain = text(source),
						   .selector = text(source),
						   .algorithm = text(source) };
	override->name = text(source);
	override->reason = "other";
	if (number(source, 2))
		verdict->override = override;
}

static void
fill_chain(struct source *source, struct arc_chain *chain,
	   struct arc_set set[ARC_SETS_MAX])
{
	*chain = (struct arc_chain){
		.result = (enum arc_result)number(source, 3),
		.reason = "",
		.sets = number(source, ARC_SETS_MAX + 1),
		.set = set,
	};
	for (size_t i = 0; i < chain->sets; i++) {
		set[i] = (struct arc_set){ .status = ARC_STATUS_PASS };
		set[i].seal.domain = text(source);
		set[i].seal.selector = text(source);
		set[i].message.domain = text(source);
	}
}

static void
check_text(struct span line, const char *path, struct span want)
{
	struct span found = json_check_find(line, span_cstr(path));
	struct buf back;

	if (want.n == 0 || want.n > 16 || !address_is_utf8(want))
		return;
	buf_init(&back, 256);
	assert(json_check_decode(found, &back));
	assert(span_equal(buf_span(&back), want));
	buf_fini(&back);
}

static void
check_line(const struct spool_record *record)
{
	struct span line;
	struct buf out;

	buf_init(&out, SPOOL_LINE_MAX + 100);
	assert(spool_format(record, &out));
	line = buf_span(&out);
	assert(line.n <= SPOOL_LINE_MAX && line.p[line.n - 1] == '\n');
	line.n--;
	assert(span_find(line, '\n') == line.n);
	assert(span_starts(line, SPAN_LIT("{\"v\":1,\"time\":\"")));
	assert(json_check(line));
	check_text(line, "client.helo", record->helo);
	check_text(line, "envelope.from", record->mail_from);
	check_text(line, "reply", record->reply);
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct source source = { .pieces = pieces_make(input, n) };
	struct dkim_signature dkim[DKIM_LISTED_MAX];
	struct override_rule override = { 0 };
	struct spool_record record = { .action = "relay", .mode = "enforce" };
	struct answers answers;
	struct arc_set set[ARC_SETS_MAX];
	struct arc_chain chain;
	struct verdict verdict;

	arena_init(&source.arena, (size_t)8 << 20);
	record.helo = text(&source);
	record.mail_from = text(&source);
	record.reply = text(&source);
	record.id = text(&source);
	record.recipients = list(&source, &record.recipient_count);
	record.stripped = list(&source, &record.stripped_count);
	record.time_us = (uint64_t)number(&source, 60000) << 48;
	record.client_name = text(&source);
	record.route = text(&source);
	fill_answers(&source, &answers);
	fill_verdict(&source, &verdict, &override, dkim);
	fill_chain(&source, &chain, set);
	verdict.override_comment = text(&source);
	verdict.arc = &chain;
	record.answers = &answers;
	if ((source.pieces.choice & 1) == 0)
		record.verdict = &verdict;
	check_line(&record);
	arena_fini(&source.arena);
	return 0;
}
