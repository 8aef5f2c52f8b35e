/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The name of an author domain is written to the arena once, as the question
 * for its address; later runs find it there.
 */
#include "dmarc/eval_header.h"

#include "dmarc/domain.h"

#define FROM SPAN_LIT("From")

#define SCRATCH_MAX 16384 /* one run's normalised names */

/* Without white space and folds at either end. */
static struct span
trim(struct span s)
{
	while (s.n > 0 &&
	       (octet_is_wsp(s.p[0]) || s.p[0] == '\r' || s.p[0] == '\n'))
		s = span_after(s, 1);
	while (s.n > 0 && (octet_is_wsp(s.p[s.n - 1]) || s.p[s.n - 1] == '\r' ||
			   s.p[s.n - 1] == '\n'))
		s.n--;
	return s;
}

/* The first field of that name; empty if there is none. */
static struct span
first_field(const struct message *message, struct span name)
{
	size_t i = message_find(message, name, 0);

	return i == message->fields ? SPAN_NONE
				    : trim(message_field(message, i).body);
}

static void
read_signals(const struct message *message, struct verdict *verdict)
{
	struct span automatic =
		first_field(message, SPAN_LIT("Auto-Submitted"));

	verdict->has_list_id = message_count(message, SPAN_LIT("List-Id")) > 0;
	verdict->has_list_post =
		message_count(message, SPAN_LIT("List-Post")) > 0;
	/* RFC 3834 5: "no", with or without parameters or comments */
	verdict->is_auto_submitted =
		automatic.n > 0 &&
		!(span_starts_nocase(automatic, SPAN_LIT("no")) &&
		  (automatic.n == 2 || !octet_is_alpha(automatic.p[2])));
	verdict->message_id = first_field(message, SPAN_LIT("Message-ID"));
}

/* The first fault that is found is the one that is told. */
static void
note_fault(struct verdict *verdict, enum from_fault fault)
{
	if (verdict->from_fault == FROM_FAULT_NONE)
		verdict->from_fault = fault;
}

/* The name as an earlier run has asked for it, or a copy. */
static struct span
keep(const struct answers *answers, struct span name)
{
	for (size_t i = 0; i < answers->count; i++)
		if (answers->list[i]->type == DNS_A &&
		    span_equal(answers->list[i]->name, name))
			return answers->list[i]->name;
	return arena_copy(answers->arena, name);
}

/* One domain of a From field, as written. RFC 9989 5.3.1: in A-labels. */
static void
add_author(struct run *run, struct span written, struct arena *scratch)
{
	struct verdict *verdict = run->verdict;
	struct span domain;

	if (!domain_normalise(written, scratch, &domain)) {
		note_fault(verdict, FROM_FAULT_DOMAIN);
		return;
	}
	for (size_t i = 0; i < verdict->authors; i++)
		if (span_equal(verdict->author[i].domain, domain))
			return;
	if (verdict->authors == FROM_DOMAINS_MAX) {
		note_fault(verdict, FROM_FAULT_TOO_MANY);
		return;
	}
	verdict->author[verdict->authors++].domain = keep(run->answers, domain);
}

static void
read_from_field(struct run *run, struct span body, struct arena *scratch)
{
	struct from from = { .domains = 0 };

	switch (from_parse(body, &from)) {
	case FROM_MALFORMED:
		note_fault(run->verdict, FROM_FAULT_MALFORMED);
		return;
	case FROM_EMPTY:
		note_fault(run->verdict, FROM_FAULT_EMPTY);
		return;
	case FROM_TOO_MANY:
		note_fault(run->verdict, FROM_FAULT_TOO_MANY);
		break;
	case FROM_OK:
		break;
	}
	for (size_t i = 0; i < from.domains && i < FROM_DOMAINS_MAX; i++)
		add_author(run, from.domain[i], scratch);
}

/* RFC 9989 4.4, 11.5; standards 1.9 */
static void
read_authors(struct run *run)
{
	const struct message *message = run->facts->message;
	size_t fields = message_count(message, FROM);
	struct arena scratch;

	if (fields == 0)
		note_fault(run->verdict, FROM_FAULT_MISSING);
	if (fields > 1)
		note_fault(run->verdict, FROM_FAULT_REPEATED);
	arena_init(&scratch, SCRATCH_MAX);
	for (size_t i = message_find(message, FROM, 0); i < message->fields;
	     i = message_find(message, FROM, i + 1))
		read_from_field(run, message_field(message, i).body, &scratch);
	arena_fini(&scratch);
	if (message->is_malformed)
		note_fault(run->verdict, FROM_FAULT_HEADER);
}

void
eval_header_read(struct run *run)
{
	read_signals(run->facts->message, run->verdict);
	read_authors(run);
}
