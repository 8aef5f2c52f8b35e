/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spf: check_host() of RFC 7208: what does not depend on the engine.
 *
 * Which identity is checked, how it is normalised, which record speaks for it
 * and whether that is well-formed is decided here; the engine is left with
 * the evaluation of a record that is.
 */
#include "dmarc/spf.h"

#include "dmarc/domain.h"
#include "dmarc/spf_engine.h"
#include "dmarc/spf_record.h"

/* Holds one run's copies of the envelope; given back at its end, since a
 * message is run once for each of its answers. */
#define SCRATCH_MAX 8192

#define TEXT_MAX 255 /* of a HELO name or local part in a macro */

#define POSTMASTER SPAN_LIT("postmaster")
#define UNKNOWN SPAN_LIT("unknown")

/* ASCII from `first` on, as a macro may hold it. */
static bool
is_printable(struct span s, uint8_t first)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < first || s.p[i] >= 0x7f)
			return false;
	return s.n > 0 && s.n <= TEXT_MAX;
}

/* RFC 7208 2.4, 4.1, 4.3: the identity. False if there is none to check. */
static bool
choose_identity(const struct spf_facts *facts, struct arena *scratch,
		struct spf_check *check)
{
	struct span domain = facts->is_null ? facts->helo : facts->domain;
	struct span local = facts->is_null ? SPAN_NONE : facts->local;

	*check = (struct spf_check){ .client = facts->client,
				     .now_s = facts->now_s };
	if (!domain_normalise(domain, scratch, &check->domain) ||
	    domain_labels(check->domain) < 2)
		return false;
	if (!domain_normalise(facts->helo, scratch, &check->helo))
		check->helo =
			is_printable(facts->helo, '!') ? facts->helo : UNKNOWN;
	check->gate = is_printable(facts->gate, '!') ? facts->gate : UNKNOWN;
	/* A quoted one may have spaces. */
	check->local = is_printable(local, ' ') ? local : POSTMASTER;
	/* RFC 8616 4 */
	check->is_local_unusable = local.n > 0 && !is_printable(local, ' ');
	return true;
}

enum spf_found
spf_find_record(struct span domain, struct answers *answers,
		struct span *record)
{
	const struct answer *answer;
	enum spf_found found = SPF_FOUND_NONE;

	if (domain_labels(domain) < 2) /* RFC 7208 4.3 */
		return SPF_FOUND_NONE;
	answer = answers_ask(answers, domain, DNS_TXT);
	if (answer == NULL)
		return SPF_FOUND_OPEN;
	if (answer->status == ANSWER_TEMPERROR)
		return SPF_FOUND_TEMPERROR;
	for (size_t i = 0; i < answer->records; i++) {
		if (!spf_record_is_one(answer->record[i].value))
			continue;
		if (found != SPF_FOUND_NONE)
			return SPF_FOUND_SEVERAL;
		found = SPF_FOUND_RECORD;
		*record = answer->record[i].value;
	}
	return found;
}

/* The name as the answers' arena has it: there it was asked for. */
static struct span
kept_name(const struct answers *answers, struct span name)
{
	for (size_t i = 0; i < answers->count; i++)
		if (span_equal(answers->list[i]->name, name))
			return answers->list[i]->name;
	return SPAN_NONE;
}

static bool
settle(struct spf_outcome *outcome, enum spf_result result, const char *reason)
{
	outcome->result = result;
	outcome->reason = reason;
	return true;
}

static bool
check_host(const struct spf_check *check, enum spf_engine engine,
	   struct answers *answers, struct spf_outcome *outcome)
{
	enum spf_found found;

	found = spf_find_record(check->domain, answers, &outcome->record);
	outcome->domain = kept_name(answers, check->domain);
	switch (found) {
	case SPF_FOUND_OPEN:
		return false;
	case SPF_FOUND_TEMPERROR: /* RFC 7208 4.4 */
		return settle(outcome, SPF_TEMPERROR,
			      "the SPF record could not be looked up");
	case SPF_FOUND_NONE: /* RFC 7208 4.5 */
		return settle(outcome, SPF_NONE, "no SPF record");
	case SPF_FOUND_SEVERAL: /* RFC 7208 4.5 */
		return settle(outcome, SPF_PERMERROR, "several SPF records");
	case SPF_FOUND_RECORD:
		break;
	}
	if (outcome->record.n > SPF_OCTETS_MAX)
		return settle(outcome, SPF_PERMERROR,
			      "the SPF record is too long");
	if (!spf_record_is_valid(outcome->record)) /* RFC 7208 4.6 */
		return settle(outcome, SPF_PERMERROR,
			      "syntax error in the SPF record");
	switch (engine) {
	case SPF_ENGINE_LIBSPF2:
		return spf_libspf2(check, outcome->record, answers, outcome);
	case SPF_ENGINE_NATIVE:
		break;
	}
	return spf_native(check, outcome->record, answers, outcome);
}

bool
spf_eval(const struct spf_facts *facts, struct answers *answers,
	 struct spf_outcome *outcome)
{
	struct spf_check check;
	ROOM(room, 1024);
	struct arena scratch;
	bool is_settled;

	*outcome = (struct spf_outcome){ .result = SPF_NONE };
	if (facts->client.family == IP_NONE)
		return settle(outcome, SPF_NONE, "no client address");
	arena_init_room(&scratch, SCRATCH_MAX, room, sizeof(room));
	if (choose_identity(facts, &scratch, &check))
		is_settled =
			check_host(&check, facts->engine, answers, outcome);
	else /* RFC 7208 4.3 */
		is_settled = settle(outcome, SPF_NONE,
				    "no domain that could have a record");
	arena_fini(&scratch);
	return is_settled;
}

const char *
spf_result_name(enum spf_result result)
{
	switch (result) {
	case SPF_NONE:
		return "none";
	case SPF_NEUTRAL:
		return "neutral";
	case SPF_PASS:
		return "pass";
	case SPF_FAIL:
		return "fail";
	case SPF_SOFTFAIL:
		return "softfail";
	case SPF_TEMPERROR:
		return "temperror";
	case SPF_PERMERROR:
		return "permerror";
	}
	return "?";
}
