/* SPDX-License-Identifier: BSD-2-Clause */
/* spf_run: counts, look-ups and expansions of one run of the SPF engine. */
#include "dmarc/spf_run.h"

#include "dmarc/domain.h"
#include "dmarc/spf_macro.h"

#include <assert.h>

#define SCRATCH_MAX 16384 /* eleven terms' names, and the client's own */

#define REVERSE SPAN_LIT("%{ir}.%{v}.arpa") /* RFC 7208 5.5 */
#define UNKNOWN SPAN_LIT("unknown")

void
spf_run_init(struct spf_run *run, const struct spf_check *check,
	     struct answers *answers, uint8_t room[SPF_RUN_ROOM])
{
	const size_t half = SPF_RUN_ROOM / 2;

	*run = (struct spf_run){ .check = check, .answers = answers };
	arena_init_room(&run->scratch, SCRATCH_MAX, room, half);
	buf_init_room(&run->text, SPF_EXPANSION_MAX, room + half, half);
}

void
spf_run_fini(struct spf_run *run)
{
	arena_fini(&run->scratch);
	buf_fini(&run->text);
}

/* --- where the walk is -------------------------------------------------- */

void
spf_run_note(struct spf_run *run, struct span record, struct span term)
{
	assert(run->depth > 0 && run->depth <= SPF_STEPS_MAX);
	run->step[run->depth - 1] =
		(struct spf_step){ .record = record, .term = term };
	run->steps = run->depth;
}

/* Whose record it is: an answer's, where its octets stand. */
static struct span
owner_of(const struct answers *answers, struct span record)
{
	for (size_t i = 0; i < answers->count; i++) {
		const struct answer *answer = answers->list[i];

		for (size_t j = 0; j < answer->records; j++)
			if (answer->record[j].value.p == record.p)
				return answer->name;
	}
	return SPAN_NONE;
}

void
spf_run_tell(const struct spf_run *run, struct spf_outcome *outcome)
{
	outcome->steps = run->steps;
	for (size_t i = 0; i < run->steps; i++) {
		outcome->step[i] = run->step[i];
		outcome->step[i].domain =
			owner_of(run->answers, run->step[i].record);
	}
}

/* --- look-ups ----------------------------------------------------------- */

bool
spf_run_is_done(const struct spf_run *run)
{
	size_t most = run->answers->max / SPF_AHEAD_SHARE;

	if (most > SPF_AHEAD_MAX)
		most = SPF_AHEAD_MAX;
	return run->is_ahead && run->answers->count >= most;
}

enum spf_seen
spf_run_look(struct spf_run *run, struct span name, enum dns_type type,
	     const struct answer **answer)
{
	*answer = NULL;
	if (spf_run_is_done(run))
		return SPF_SEEN_OPEN;
	*answer = answers_ask(run->answers, name, type);
	if (*answer == NULL)
		return SPF_SEEN_OPEN;
	switch ((*answer)->status) {
	case ANSWER_OPEN:
	case ANSWER_TEMPERROR:
		return SPF_SEEN_ERROR;
	case ANSWER_OK:
		return SPF_SEEN_RECORDS;
	case ANSWER_NODATA:
	case ANSWER_NXDOMAIN:
		break;
	}
	return SPF_SEEN_VOID;
}

enum spf_seen
spf_run_look_address(struct spf_run *run, struct span name,
		     const struct answer **answer)
{
	bool is_v6 = run->check->client.family == IP_V6;

	return spf_run_look(run, name, is_v6 ? DNS_AAAA : DNS_A, answer);
}

bool
spf_run_has_client(const struct spf_run *run, const struct answer *answer,
		   unsigned prefix)
{
	/* Not ip_make(): an AAAA record of ::ffff:a.b.c.d is no IPv4. */
	struct ip ip = { .family = run->check->client.family };

	for (size_t i = 0; i < answer->records; i++) {
		struct span value = answer->record[i].value;

		if (value.n > sizeof(ip.octets))
			continue;
		memcpy(ip.octets, value.p, value.n);
		if (ip_has_prefix(&run->check->client, &ip, prefix))
			return true;
	}
	return false;
}

/* --- expansions --------------------------------------------------------- */

static bool
expand(struct spf_run *run, struct span domain, struct span validated,
       struct span text, bool is_explanation)
{
	const struct spf_check *check = run->check;
	struct spf_macros macros = {
		.local = check->local,
		.sender = check->domain,
		.domain = domain,
		.helo = check->helo,
		.validated = validated,
		.gate = check->gate,
		.client = check->client,
		.now_s = check->now_s,
	};

	buf_reset(&run->text);
	return spf_expand(&macros, text, is_explanation, &run->text);
}

bool
spf_run_expand(struct spf_run *run, struct span domain, struct span text,
	       bool is_explanation, bool *is_good)
{
	struct span validated = UNKNOWN;

	*is_good = false;
	if (spf_has_macro(text, SPAN_LIT("p")) &&
	    !spf_run_client_name(run, domain, &validated))
		return false;
	*is_good = expand(run, domain, validated, text, is_explanation);
	return true;
}

bool
spf_run_target(struct spf_run *run, struct span domain, struct span spec,
	       struct span *name)
{
	bool is_good;

	*name = SPAN_NONE;
	if (!spf_run_expand(run, domain, spec, false, &is_good))
		return false;
	if (is_good)
		*name = spf_target_name(buf_span(&run->text), &run->scratch);
	return true;
}

/* --- the client's names ------------------------------------------------- */

enum spf_seen
spf_run_client_names(struct spf_run *run, const struct answer **answer)
{
	struct span name = SPAN_NONE;

	*answer = NULL;
	if (expand(run, SPAN_NONE, SPAN_NONE, REVERSE, false))
		name = spf_target_name(buf_span(&run->text), &run->scratch);
	if (name.n == 0)
		return SPF_SEEN_ERROR;
	return spf_run_look(run, name, DNS_PTR, answer);
}

/* RFC 7208 4.6.4: the first ten count. An empty name, or one with a NUL,
 * cannot be looked up. */
static size_t
names_of(const struct answer *names, struct span name[SPF_ADDRESSES_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < names->records && i < SPF_ADDRESSES_MAX; i++) {
		struct span value = names->record[i].value;

		if (value.n > 0 && span_find(value, 0) == value.n)
			name[count++] = value;
	}
	return count;
}

/* RFC 7208 5.5: the name has the client's address. One that cannot be looked
 * up is skipped. */
static bool
is_confirmed(struct spf_run *run, struct span name, bool *is_open)
{
	bool is_v6 = run->check->client.family == IP_V6;
	const struct answer *answer;

	switch (spf_run_look_address(run, name, &answer)) {
	case SPF_SEEN_OPEN:
		*is_open = true;
		return false;
	case SPF_SEEN_RECORDS:
		return spf_run_has_client(run, answer, is_v6 ? 128 : 32);
	case SPF_SEEN_VOID:
	case SPF_SEEN_ERROR:
		break;
	}
	return false;
}

bool
spf_run_has_name_within(struct spf_run *run, const struct answer *names,
			struct span target, bool *is_open)
{
	struct span name[SPF_ADDRESSES_MAX];
	size_t count = names_of(names, name);
	bool has_any = false;

	*is_open = false;
	for (size_t i = 0; i < count; i++)
		if (domain_is_within(name[i], target))
			has_any |= is_confirmed(run, name[i], is_open);
	return has_any;
}

/* RFC 7208 7.3: the domain itself, else a name below it, else any. */
static unsigned
preference_of(struct span name, struct span domain)
{
	if (span_equal(name, domain))
		return 3;
	return domain_is_within(name, domain) ? 2 : 1;
}

bool
spf_run_client_name(struct spf_run *run, struct span domain,
		    struct span *validated)
{
	struct span name[SPF_ADDRESSES_MAX];
	const struct answer *names;
	size_t count = 0;
	unsigned best = 0;
	bool is_open = false;

	*validated = UNKNOWN;
	switch (spf_run_client_names(run, &names)) {
	case SPF_SEEN_OPEN:
		return false;
	case SPF_SEEN_RECORDS:
		count = names_of(names, name);
		break;
	case SPF_SEEN_VOID:
	case SPF_SEEN_ERROR:
		break;
	}
	for (size_t i = 0; i < count; i++) {
		unsigned preference = preference_of(name[i], domain);

		if (!is_confirmed(run, name[i], &is_open) || preference <= best)
			continue;
		best = preference;
		*validated = name[i];
	}
	return !is_open;
}
