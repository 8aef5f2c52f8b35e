/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spf_run: one run of the native SPF engine: its counts, its look-ups, its
 * expansions, and the names of the client. Nobody but spf_native.c includes
 * this.
 *
 * Looking ahead: once a question is open the run knows nothing for certain
 * any more, and goes on only to ask what it will need if none of the open
 * terms matches. It still counts: what is counted then is at most what will
 * be, so where a limit stops it, it would be stopped later as well. Its
 * outcome is thrown away. What it asks that way is bounded, so that a message
 * has questions left for what is needed for certain.
 */
#ifndef DMARC_SPF_RUN_H
#define DMARC_SPF_RUN_H

#include "dmarc/spf_engine.h"
#include "smtp/buf.h"

struct spf_run {
	const struct spf_check *check;
	struct answers *answers;
	struct arena scratch; /* names, for this run */
	struct buf text;      /* an expansion */
	bool is_ahead;
	unsigned terms, voids; /* RFC 7208 4.6.4 */
	size_t octets;         /* of records */
	const char *error;     /* what made it a temperror or permerror */
	/* The records around the term that is looked at, their domains left
	 * out; of them those down to the last term that was. */
	unsigned depth;
	size_t steps;
	struct spf_step step[SPF_STEPS_MAX];
};

/* In room that outlives it, aligned for any type; it allocates for more. */
#define SPF_RUN_ROOM 2048
void spf_run_init(struct spf_run *run, const struct spf_check *check,
		  struct answers *answers, uint8_t room[SPF_RUN_ROOM]);
void spf_run_fini(struct spf_run *run);

/* Note where the walk is: at a term of this record, or at its end. */
void spf_run_note(struct spf_run *run, struct span record, struct span term);

/* Say where it came to. */
void spf_run_tell(const struct spf_run *run, struct spf_outcome *outcome);

/* It looks ahead and has asked enough: nothing may be asked. */
bool spf_run_is_done(const struct spf_run *run);

enum spf_seen {
	SPF_SEEN_OPEN,
	SPF_SEEN_RECORDS, /* *answer has at least one */
	SPF_SEEN_VOID,
	SPF_SEEN_ERROR,
};
enum spf_seen spf_run_look(struct spf_run *run, struct span name,
			   enum dns_type type, const struct answer **answer);

/* The client's addresses among those of a name, by the prefix length of its
 * family. */
enum spf_seen spf_run_look_address(struct spf_run *run, struct span name,
				   const struct answer **answer);
bool spf_run_has_client(const struct spf_run *run, const struct answer *answer,
			unsigned prefix);

/* Expand text for the record of `domain` into run->text. False if a question
 * is open; *is_good says whether it is sound and fits. */
bool spf_run_expand(struct spf_run *run, struct span domain, struct span text,
		    bool is_explanation, bool *is_good);

/* The name for DNS that a domain-spec gives; empty if it is none. False if a
 * question is open. */
bool spf_run_target(struct spf_run *run, struct span domain, struct span spec,
		    struct span *name);

/* The names that the client's address has, not confirmed (RFC 7208 5.5). */
enum spf_seen spf_run_client_names(struct spf_run *run,
				   const struct answer **answer);

/* Whether one of them is forward-confirmed and is `target` or below it. If
 * none is, *is_open says that one might be, as questions are open. */
bool spf_run_has_name_within(struct spf_run *run, const struct answer *names,
			     struct span target, bool *is_open);

/* RFC 7208 7.3: for %{p} at `domain`. False if a question is open. */
bool spf_run_client_name(struct spf_run *run, struct span domain,
			 struct span *name);

#endif
