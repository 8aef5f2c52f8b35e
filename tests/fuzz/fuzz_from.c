/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * from: the input is the header of a message, as eval sees it: whose is it?
 * There is a domain or a fault; the domains are normalised and each is there
 * once. Without a fault there is one From field by the simplest way of looking
 * for it, and whoever takes what stands behind each '@' of it, outside quotes
 * and comments, has found no domain that is not judged. Another From field
 * anywhere, or a line that is no field, is always a fault.
 */
#include "dmarc/domain.h"
#include "dmarc/eval.h"
#include "tests/fuzz/pieces.h"

#define HEADER_MAX ((size_t)1024 * 1024)
#define SECOND SPAN_LIT("From: second@second.example\r\n")
#define NO_FIELD SPAN_LIT("no field\r\n")

static struct arena arena;
static struct answers answers;
static struct message message;

/* Lines of whole CR LF, as data_decode() gives them, and no bare ones. */
static struct span
as_lines(struct span text, struct buf *buf)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\n')
			buf_append(buf, SPAN_LIT("\r\n"));
		else if (text.p[i] != '\r')
			buf_append_octet(buf, text.p[i]);
	if (text.n > 0 && text.p[text.n - 1] != '\n')
		buf_append(buf, SPAN_LIT("\r\n"));
	assert(!buf->has_overflowed);
	return buf_span(buf);
}

static void
judge(struct span before, struct span header, struct span behind,
      struct verdict *verdict)
{
	static const struct eval_settings settings = { .psl = NULL };
	static struct dkim_engine *engine;
	struct eval_facts facts = { .stage = EVAL_HEADER,
				    .settings = &settings,
				    .message = &message,
				    .spf = { .is_null = true } };
	struct span body;

	if (engine == NULL)
		engine = dkim_engine_new(DKIM_ENGINE_NATIVE);
	arena_reset(&arena);
	answers_init(&answers, &arena, ANSWERS_MAX);
	message_reset(&message);
	message_feed(&message, before, &body);
	message_feed(&message, header, &body);
	message_feed(&message, behind, &body);
	message_feed(&message, SPAN_LIT("\r\n"), &body);
	authors_read(&message, &arena, &facts.authors);
	facts.dkim = dkim_check_new(engine, &arena, 1800000000);
	assert(facts.dkim != NULL);
	dkim_check_header(facts.dkim, &message);
	assert(!eval_run(&facts, &answers, verdict));
	dkim_check_free(facts.dkim);
}

static void
check_domains(const struct verdict *verdict)
{
	struct span again;

	assert(verdict->authors <= FROM_DOMAINS_MAX);
	assert(verdict->authors > 0 || verdict->from_fault != FROM_FAULT_NONE);
	for (size_t i = 0; i < verdict->authors; i++) {
		struct span domain = verdict->author[i].domain;

		assert(domain_normalise(domain, &arena, &again));
		assert(span_equal(domain, again));
		for (size_t j = 0; j < i; j++)
			assert(!span_equal(domain, verdict->author[j].domain));
	}
}

static bool
is_judged(const struct verdict *verdict, struct span name)
{
	struct span domain;

	if (!domain_normalise(name, &arena, &domain))
		return false;
	for (size_t i = 0; i < verdict->authors; i++)
		if (span_equal(verdict->author[i].domain, domain))
			return true;
	return false;
}

/* What stands behind each '@', by somebody who knows quotes and comments and
 * nothing else. */
static void
check_all_judged(struct span body, const struct verdict *verdict)
{
	size_t depth = 0;
	bool is_quoted = false;

	for (; body.n > 0; body = span_after(body, 1)) {
		struct span name = span_after(body, 1);
		size_t n = 0;

		if ((is_quoted || depth > 0) && body.p[0] == '\\')
			body = name;
		else if (body.p[0] == '"' && depth == 0)
			is_quoted = !is_quoted;
		else if (body.p[0] == '(' && !is_quoted)
			depth++;
		else if (body.p[0] == ')' && !is_quoted && depth > 0)
			depth--;
		if (body.p[0] != '@' || is_quoted || depth > 0)
			continue;
		while (name.n > 0 && name.p[0] <= ' ')
			name = span_after(name, 1);
		while (n < name.n &&
		       (octet_is_atext(name.p[n]) || name.p[n] == '.'))
			n++;
		assert(is_judged(verdict, span_first(name, n)));
	}
	assert(!is_quoted && depth == 0);
}

/* "From", white space and a colon at the start of a line. */
static bool
is_from_line(struct span line, struct span *body)
{
	if (!span_starts_nocase(line, SPAN_LIT("from")))
		return false;
	line = span_after(line, 4);
	while (line.n > 0 && octet_is_wsp(line.p[0]))
		line = span_after(line, 1);
	*body = span_after(line, line.n > 0 ? 1 : 0);
	return line.n > 0 && line.p[0] == ':';
}

static struct span
next_line(struct span text)
{
	size_t n = span_find(text, '\n');

	return span_after(text, n < text.n ? n + 1 : n);
}

/* The one From field, with its folds. */
static struct span
find_from(struct span header)
{
	struct span found = SPAN_NONE, body, end;

	for (; header.n > 0; header = next_line(header)) {
		if (!is_from_line(header, &body))
			continue;
		assert(found.p == NULL);
		end = next_line(header);
		while (end.n > 0 && octet_is_wsp(end.p[0]))
			end = next_line(end);
		found = span_first(body, body.n - end.n);
	}
	assert(found.p != NULL);
	return found;
}

static void
check_header(struct span header)
{
	struct verdict verdict;

	judge(SPAN_NONE, header, SPAN_NONE, &verdict);
	check_domains(&verdict);
	if (verdict.from_fault != FROM_FAULT_NONE)
		return;
	check_all_judged(find_from(header), &verdict);
	judge(SECOND, header, SPAN_NONE, &verdict);
	assert(verdict.from_fault != FROM_FAULT_NONE);
	judge(SPAN_NONE, header, SECOND, &verdict);
	assert(verdict.from_fault != FROM_FAULT_NONE);
	judge(NO_FIELD, header, SPAN_NONE, &verdict);
	assert(verdict.from_fault != FROM_FAULT_NONE);
	judge(SPAN_NONE, header, NO_FIELD, &verdict);
	assert(verdict.from_fault != FROM_FAULT_NONE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct buf lines;
	struct span header;
	size_t end;

	buf_init(&lines, HEADER_MAX);
	arena_init(&arena, (size_t)4 << 20);
	message_init(&message, HEADER_MAX);
	header = as_lines(span_make(input, n), &lines);
	/* up to the empty line, where there is one */
	for (end = 0; end < header.n; end++)
		if (span_starts(span_after(header, end), SPAN_LIT("\r\n")) &&
		    (end == 0 || header.p[end - 1] == '\n'))
			break;
	check_header(span_first(header, end));
	message_fini(&message);
	arena_fini(&arena);
	buf_fini(&lines);
	return 0;
}
