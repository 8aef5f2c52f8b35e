/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * discovery: which DMARC record speaks for a domain, and what is its
 * organizational domain.
 *
 * Why one walk from the author domain, where RFC 9989 4.10.1 asks there first
 * and then starts a second walk at its parent: a walk that starts at a name
 * with psd=y does not step below it (4.10.2), so for an author right under a
 * public suffix the two would give different organizational domains.
 *
 * Questions go out for all names at once; the answers are read from the
 * longest name to the shortest, as if they had been asked one by one. An
 * answer that such a walk would not have waited for is not waited for here
 * and cannot fail it.
 */
#include "dmarc/discovery.h"

#include <assert.h>

#define DMARC_LABEL SPAN_LIT("_dmarc.")

size_t
discovery_names(struct span domain, struct span names[DISCOVERY_WALK_MAX])
{
	size_t labels = domain_labels(domain);
	size_t count = 0;

	if (labels == 0)
		return 0;
	names[count++] = domain;
	/* RFC 9989 4.10 step 4: of 8 labels and more, 7 remain */
	if (labels > DISCOVERY_WALK_MAX)
		labels = DISCOVERY_WALK_MAX;
	while (--labels > 0)
		names[count++] = domain_suffix(domain, labels);
	return count;
}

/* "_dmarc.<domain>", built in place: this runs again with every answer, and
 * would fill the arena with copies. Empty if it is too long to exist. */
static struct span
dmarc_name(struct span domain, uint8_t octets[DOMAIN_MAX])
{
	size_t n = DMARC_LABEL.n + domain.n;

	if (n > DOMAIN_MAX)
		return SPAN_NONE;
	memcpy(octets, DMARC_LABEL.p, DMARC_LABEL.n);
	memcpy(octets + DMARC_LABEL.n, domain.p, domain.n);
	return span_make(octets, n);
}

/* The records of an answer, read. */
static void
read_records(const struct answer *answer, struct discovery_step *step)
{
	struct record record;

	for (size_t i = 0; i < answer->records; i++) {
		if (!record_parse(answer->record[i].value, &record))
			continue;
		/* RFC 9989 4.10 step 2: more than one, and none counts */
		step->is_multiple = step->is_found || step->is_multiple;
		step->is_found = !step->is_multiple;
		step->record = record;
	}
}

/* The same, but once for each answer: many walks lead past it, and run again
 * with every other answer, while a record may have 64 KB. */
static void
recall_records(struct answers *answers, const struct answer *answer,
	       struct discovery_step *step)
{
	struct span kept = answer->kept[ANSWER_MADE_POLICY];

	*step = (struct discovery_step){ .is_found = false };
	if (kept.n == 0) {
		read_records(answer, step);
		answers_keep(answers, answer, ANSWER_MADE_POLICY,
			     span_make(step, sizeof(*step)));
		return;
	}
	assert(kept.n == sizeof(*step));
	memcpy(step, kept.p, sizeof(*step));
}

/* What was found at _dmarc.<domain>: NONE, FOUND, TEMPERROR or PENDING. */
static enum discovery_status
look_up(struct span domain, struct answers *answers,
	struct discovery_step *step)
{
	uint8_t octets[DOMAIN_MAX];
	struct span name = dmarc_name(domain, octets);
	const struct answer *answer;

	*step = (struct discovery_step){ .domain = domain };
	if (name.n == 0)
		return DISCOVERY_NONE;
	answer = answers_ask(answers, name, DNS_TXT);
	if (answer == NULL)
		return DISCOVERY_PENDING;
	if (answer->status == ANSWER_TEMPERROR)
		return DISCOVERY_TEMPERROR;
	if (answer->records > 0)
		recall_records(answers, answer, step);
	step->domain = domain;
	return step->is_found ? DISCOVERY_FOUND : DISCOVERY_NONE;
}

enum discovery_status
discovery_walk(struct span domain, struct answers *answers,
	       struct discovery_walk *walk)
{
	struct span names[DISCOVERY_WALK_MAX];
	enum discovery_status status[DISCOVERY_WALK_MAX];
	enum discovery_status sum = DISCOVERY_NONE;
	size_t count = discovery_names(domain, names);

	walk->steps = 0;
	for (size_t i = 0; i < count; i++)
		status[i] = look_up(names[i], answers, &walk->step[i]);
	for (size_t i = 0; i < count; i++) {
		if (status[i] == DISCOVERY_PENDING)
			return DISCOVERY_PENDING;
		walk->steps = i + 1;
		if (status[i] == DISCOVERY_TEMPERROR)
			return DISCOVERY_TEMPERROR;
		if (status[i] == DISCOVERY_NONE)
			continue;
		sum = DISCOVERY_FOUND;
		if (walk->step[i].record.psd != RECORD_PSD_UNKNOWN)
			break;
	}
	return sum;
}

struct span
discovery_walk_organizational(const struct discovery_walk *walk)
{
	struct span start = walk->step[0].domain;

	assert(walk->steps > 0);
	/* The walk stops at psd=n and psd=y: only its last record can have
	 * one. Without either the record with the fewest labels decides. */
	for (size_t i = walk->steps; i-- > 0;) {
		const struct discovery_step *step = &walk->step[i];

		if (!step->is_found)
			continue;
		/* RFC 9989 4.10.2: one label below psd=y, unless the walk
		 * began there */
		if (step->record.psd == RECORD_PSD_YES && i > 0)
			return domain_suffix(start,
					     domain_labels(step->domain) + 1);
		return step->domain;
	}
	return start;
}

enum discovery_status
discovery_organizational(struct span domain, enum discovery_method method,
			 const struct domain_psl *psl, struct answers *answers,
			 struct span *organizational)
{
	struct discovery_walk walk;
	enum discovery_status status;

	*organizational = domain;
	if (method == DISCOVERY_PSL) {
		if (psl == NULL)
			return DISCOVERY_TEMPERROR;
		*organizational = domain_psl_organizational(psl, domain);
		return DISCOVERY_FOUND;
	}
	status = discovery_walk(domain, answers, &walk);
	if (status == DISCOVERY_PENDING || status == DISCOVERY_TEMPERROR)
		return status;
	*organizational = discovery_walk_organizational(&walk);
	return DISCOVERY_FOUND;
}

static enum discovery_status
take(struct discovery *discovery, const struct discovery_step *step)
{
	discovery->record = step->record;
	discovery->domain = step->domain;
	return DISCOVERY_FOUND;
}

/* RFC 9989 4.10.1: at the author domain, at its organizational domain, at the
 * PSD, in this order. */
static enum discovery_status
treewalk_policy(struct span author, struct answers *answers,
		struct discovery *discovery)
{
	struct discovery_walk walk;
	enum discovery_status status = discovery_walk(author, answers, &walk);
	const struct discovery_step *last;

	if (status == DISCOVERY_PENDING || walk.steps == 0)
		return status;
	last = &walk.step[walk.steps - 1];
	for (size_t i = 0; i < walk.steps; i++)
		discovery->is_multiple |= walk.step[i].is_multiple;
	if (status != DISCOVERY_TEMPERROR)
		discovery->organizational =
			discovery_walk_organizational(&walk);
	discovery->is_author_record = walk.step[0].is_found;
	if (discovery->is_author_record)
		return take(discovery, &walk.step[0]);
	if (status != DISCOVERY_FOUND)
		return status;
	for (size_t i = 1; i < walk.steps; i++)
		if (walk.step[i].is_found &&
		    span_equal(walk.step[i].domain, discovery->organizational))
			return take(discovery, &walk.step[i]);
	/* The organizational domain has none: it stands right below psd=y. */
	assert(last->is_found && last->record.psd == RECORD_PSD_YES);
	return take(discovery, last);
}

/* RFC 7489 6.6.3: at the author domain; if no record at all is there, at the
 * organizational domain. Several records at one of them end the search. */
static enum discovery_status
psl_policy(struct span author, const struct domain_psl *psl,
	   struct answers *answers, struct discovery *discovery)
{
	struct discovery_step own, organizational;
	enum discovery_status status, above;

	if (psl == NULL)
		return DISCOVERY_TEMPERROR;
	discovery->organizational = domain_psl_organizational(psl, author);
	status = look_up(author, answers, &own);
	above = look_up(discovery->organizational, answers, &organizational);
	discovery->is_multiple = own.is_multiple;
	discovery->is_author_record = status == DISCOVERY_FOUND;
	if (status == DISCOVERY_FOUND)
		return take(discovery, &own);
	if (status != DISCOVERY_NONE || own.is_multiple)
		return status;
	discovery->is_multiple = organizational.is_multiple;
	if (above == DISCOVERY_FOUND)
		take(discovery, &organizational);
	return above;
}

enum discovery_status
discovery_policy(struct span author, enum discovery_method method,
		 const struct domain_psl *psl, struct answers *answers,
		 struct discovery *discovery)
{
	*discovery = (struct discovery){ .method = method };
	return method == DISCOVERY_PSL
		       ? psl_policy(author, psl, answers, discovery)
		       : treewalk_policy(author, answers, discovery);
}
