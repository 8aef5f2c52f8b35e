/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/eval_header.h"

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

static void
take_authors(const struct authors *authors, struct verdict *verdict)
{
	verdict->from_fault = authors->fault;
	verdict->authors = authors->count;
	for (size_t i = 0; i < authors->count; i++)
		verdict->author[i].domain = authors->domain[i];
}

void
eval_header_read(struct run *run)
{
	read_signals(run->facts->message, run->verdict);
	take_authors(&run->facts->authors, run->verdict);
}
