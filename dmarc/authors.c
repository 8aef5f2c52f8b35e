/* SPDX-License-Identifier: BSD-2-Clause */
/* authors: whose name a message is sent in, and what is wrong with that. */
#include "dmarc/authors.h"

#include "dmarc/domain.h"

#define FROM SPAN_LIT("From")

#define SCRATCH_MAX 16384 /* of all names, normalised */

/* The first fault that is found is the one that is told. */
static void
note_fault(struct authors *authors, enum from_fault fault)
{
	if (authors->fault == FROM_FAULT_NONE)
		authors->fault = fault;
}

/* One domain of a From field, as written. RFC 9989 5.3.1: in A-labels. */
static void
add_domain(struct authors *authors, struct span written, struct arena *scratch,
	   struct arena *arena)
{
	struct span domain;

	if (!domain_normalise(written, scratch, &domain)) {
		note_fault(authors, FROM_FAULT_DOMAIN);
		return;
	}
	for (size_t i = 0; i < authors->count; i++)
		if (span_equal(authors->domain[i], domain))
			return;
	if (authors->count == FROM_DOMAINS_MAX) {
		note_fault(authors, FROM_FAULT_TOO_MANY);
		return;
	}
	domain = arena_copy(arena, domain);
	if (domain.n > 0)
		authors->domain[authors->count++] = domain;
}

static void
read_field(struct authors *authors, struct span body, struct arena *scratch,
	   struct arena *arena)
{
	struct from from = { .domains = 0 };

	switch (from_parse(body, &from)) {
	case FROM_MALFORMED:
		note_fault(authors, FROM_FAULT_MALFORMED);
		return;
	case FROM_EMPTY:
		note_fault(authors, FROM_FAULT_EMPTY);
		return;
	case FROM_TOO_MANY:
		note_fault(authors, FROM_FAULT_TOO_MANY);
		break;
	case FROM_OK:
		break;
	}
	for (size_t i = 0; i < from.domains && i < FROM_DOMAINS_MAX; i++)
		add_domain(authors, from.domain[i], scratch, arena);
}

/* RFC 9989 4.4, 11.5; standards 1.9 */
void
authors_read(const struct message *message, struct arena *arena,
	     struct authors *authors)
{
	size_t fields = message_count(message, FROM);
	ROOM(room, 1024);
	struct arena scratch;

	*authors = (struct authors){ .count = 0 };
	if (fields == 0)
		note_fault(authors, FROM_FAULT_MISSING);
	if (fields > 1)
		note_fault(authors, FROM_FAULT_REPEATED);
	arena_init_room(&scratch, SCRATCH_MAX, room, sizeof(room));
	for (size_t i = message_find(message, FROM, 0); i < message->fields;
	     i = message_find(message, FROM, i + 1))
		read_field(authors, message_field(message, i).body, &scratch,
			   arena);
	arena_fini(&scratch);
	if (message->is_malformed)
		note_fault(authors, FROM_FAULT_HEADER);
}

const char *
from_fault_text(enum from_fault fault)
{
	switch (fault) {
	case FROM_FAULT_NONE:
		return "nothing is wrong";
	case FROM_FAULT_MISSING:
		return "there is none";
	case FROM_FAULT_REPEATED:
		return "there are several";
	case FROM_FAULT_MALFORMED:
		return "it cannot be read without doubt";
	case FROM_FAULT_DOMAIN:
		return "it has a domain that is none";
	case FROM_FAULT_EMPTY:
		return "it names no domain";
	case FROM_FAULT_TOO_MANY:
		return "it names too many domains";
	case FROM_FAULT_HEADER:
		return "the header has lines that are no fields";
	}
	return "?";
}
