/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim: one message's signatures: which of them go to the engine, and what
 * its findings mean.
 *
 * Why a signature that we refuse is still given to the engine, as a field
 * that it ignores, where that is harmless: another signature may cover it,
 * and would fail without it. Malformed ones, and those over a cap, are
 * withheld all the same; then a signature that covers such fields and fails
 * is not said to have failed.
 */
#include "dmarc/dkim.h"

#include "dmarc/dkim_engine.h"
#include "dmarc/dkim_signature.h"
#include "dmarc/domain.h"

#include <assert.h>

#define NAME SPAN_LIT("DKIM-Signature")

struct dkim_check {
	struct dkim_engine *engine;
	struct arena *arena;
	uint64_t now_s;

	size_t seen;   /* DKIM-Signature fields */
	size_t listed; /* of them */
	struct dkim_signature signature[DKIM_LISTED_MAX];
	struct dkim_candidate candidate[DKIM_LISTED_MAX];
	bool has_withheld;

	struct dkim_run *run; /* NULL: nothing to verify, or no more */
	uint64_t body_octets;
	size_t word; /* octets since the last white space in it */
	bool is_finished;
};

struct dkim_check *
dkim_check_new(struct dkim_engine *engine, struct arena *arena, uint64_t now_s)
{
	struct dkim_check *check = arena_alloc(arena, sizeof(*check));

	if (check == NULL)
		return NULL;
	check->engine = engine;
	check->arena = arena;
	check->now_s = now_s;
	return check;
}

static void
refuse(struct dkim_check *check, size_t i, enum dkim_fate fate,
       enum dkim_result result, const char *reason)
{
	check->candidate[i].fate = fate;
	check->signature[i].result = result;
	check->signature[i].reason = reason;
}

/* What has not been judged yet never will be. */
static void
refuse_all(struct dkim_check *check, enum dkim_result result,
	   const char *reason)
{
	for (size_t i = 0; i < check->listed; i++)
		if (check->candidate[i].fate == DKIM_FATE_VERIFIED)
			refuse(check, i, DKIM_FATE_WITHHELD, result, reason);
	dkim_run_free(check->run);
	check->run = NULL;
}

/* Whether the engine has to hash the body once more for b than for a. */
static bool
is_other_body(const struct dkim_check *check, size_t a, size_t b)
{
	const struct dkim_candidate *one = &check->candidate[a];
	const struct dkim_candidate *other = &check->candidate[b];

	return one->is_sha1 != other->is_sha1 ||
	       one->is_body_relaxed != other->is_body_relaxed ||
	       one->length != other->length ||
	       check->signature[a].has_length != check->signature[b].has_length;
}

/* Different hashes of the body up to signature i. */
static size_t
count_bodies(const struct dkim_check *check, size_t i)
{
	size_t count = 0;

	for (size_t a = 0; a <= i; a++) {
		size_t b = 0;

		while (b < a &&
		       (check->candidate[b].fate == DKIM_FATE_WITHHELD ||
			is_other_body(check, a, b)))
			b++;
		count += b == a &&
			 check->candidate[a].fate != DKIM_FATE_WITHHELD;
	}
	return count;
}

/* Signature i, if it is to go to the engine, is one of how many? */
static void
apply_caps(struct dkim_check *check, size_t i, size_t *given)
{
	if (check->candidate[i].fate == DKIM_FATE_WITHHELD)
		return;
	if (*given == DKIM_SIGNATURES_MAX)
		refuse(check, i, DKIM_FATE_WITHHELD, DKIM_POLICY,
		       "more than 16 signatures");
	else if (count_bodies(check, i) > DKIM_BODIES_MAX)
		refuse(check, i, DKIM_FATE_WITHHELD, DKIM_POLICY,
		       "too many different body hashes");
	else
		(*given)++;
}

static void
read_signatures(struct dkim_check *check, const struct message *message)
{
	size_t i = message_find(message, NAME, 0), given = 0;

	for (; i < message->fields; i = message_find(message, NAME, i + 1)) {
		struct field field = message_field(message, i);
		size_t at = check->listed;

		check->seen++;
		if (at == DKIM_LISTED_MAX) {
			check->has_withheld = true;
			continue;
		}
		check->listed++;
		dkim_signature_read(&field, DKIM_FORM_SIGNATURE, check->now_s,
				    check->arena, &check->signature[at],
				    &check->candidate[at]);
		apply_caps(check, at, &given);
		check->has_withheld |=
			check->candidate[at].fate == DKIM_FATE_WITHHELD;
	}
}

static bool
has_work(const struct dkim_check *check)
{
	for (size_t i = 0; i < check->listed; i++)
		if (check->candidate[i].fate == DKIM_FATE_VERIFIED)
			return true;
	return false;
}

/* Whether the engine is given this field. *at counts the signatures. */
static bool
is_given(const struct dkim_check *check, const struct field *field, size_t *at)
{
	if (field->is_malformed || span_find(field->raw, 0) < field->raw.n)
		return false;
	if (!span_equal_nocase(field->name, NAME))
		return true;
	(*at)++;
	return *at <= check->listed &&
	       check->candidate[*at - 1].fate != DKIM_FATE_WITHHELD;
}

static bool
give_header(struct dkim_check *check, const struct message *message)
{
	size_t at = 0, given = 0;

	for (size_t i = 0; i < message->fields; i++) {
		struct field field = message_field(message, i);

		if (!is_given(check, &field, &at))
			continue;
		if (!dkim_run_field(check->run,
				    span_first(field.raw, field.raw.n - 2)))
			return false;
	}
	for (size_t i = 0; i < check->listed; i++)
		given += check->candidate[i].fate != DKIM_FATE_WITHHELD;
	return dkim_run_header_end(check->run, given);
}

bool
dkim_check_header(struct dkim_check *check, const struct message *message)
{
	assert(check->seen == 0 && check->run == NULL);
	read_signatures(check, message);
	if (!has_work(check))
		return true;
	if (message->header.n > DKIM_HEADER_MAX) {
		refuse_all(check, DKIM_POLICY, "a header over 256 KiB");
		return true;
	}
	check->run = dkim_run_new(check->engine, check->arena);
	if (check->run != NULL && give_header(check, message))
		return true;
	refuse_all(check, DKIM_TEMPERROR, "out of memory");
	return false;
}

/* Octets in a row without white space: an engine may have to hold them. True
 * if there were too many. */
static bool
is_word_too_long(struct dkim_check *check, struct span chunk)
{
	for (size_t i = 0; i < chunk.n; i++) {
		uint8_t c = chunk.p[i];

		check->word = octet_is_wsp(c) || c == '\r' || c == '\n'
				      ? 0
				      : check->word + 1;
		if (check->word > DKIM_WORD_MAX)
			return true;
	}
	return false;
}

static void
give_body(struct dkim_check *check, struct span chunk)
{
	if (!dkim_run_body(check->run, chunk))
		refuse_all(check, DKIM_TEMPERROR, "out of memory");
}

void
dkim_check_body(struct dkim_check *check, struct span chunk)
{
	if (chunk.n == 0)
		return;
	check->body_octets += chunk.n;
	if (check->run == NULL)
		return;
	if (is_word_too_long(check, chunk))
		refuse_all(check, DKIM_POLICY,
			   "over 64 KiB of the body without white space");
	else
		give_body(check, chunk);
}

bool
dkim_check_ask(struct dkim_check *check, struct answers *answers)
{
	bool is_answered = true;

	for (size_t i = 0; i < check->listed; i++)
		if (check->candidate[i].fate == DKIM_FATE_VERIFIED)
			is_answered &= answers_ask(answers,
						   check->candidate[i].key_name,
						   DNS_TXT) != NULL;
	return is_answered;
}

size_t
dkim_check_domains(const struct dkim_check *check,
		   struct span domain[DKIM_SIGNATURES_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < check->listed; i++) {
		size_t k = 0;

		if (check->candidate[i].fate != DKIM_FATE_VERIFIED)
			continue;
		while (k < count &&
		       !span_equal(domain[k], check->signature[i].domain))
			k++;
		if (k == count)
			domain[count++] = check->signature[i].domain;
	}
	return count;
}

/* The record of the key for signature i; empty if it has been refused. */
static struct span
find_key(struct dkim_check *check, size_t i, struct answers *answers)
{
	const struct dkim_candidate *candidate = &check->candidate[i];
	struct dkim_signature *signature = &check->signature[i];
	const struct answer *answer;
	struct dkim_key key;

	if (candidate->fate != DKIM_FATE_VERIFIED)
		return SPAN_NONE;
	answer = answers_ask(answers, candidate->key_name, DNS_TXT);
	assert(answer != NULL);
	dkim_key_read(answer, candidate->key_type, &key);
	signature->bits = key.bits;
	if (key.record.n == 0)
		refuse(check, i, DKIM_FATE_IGNORED, key.result, key.reason);
	else if (key.is_domain_only &&
		 !span_equal(candidate->identity_domain, signature->domain))
		refuse(check, i, DKIM_FATE_IGNORED, DKIM_PERMERROR,
		       "the key is for d= only, and i= is below it");
	else
		return key.record;
	return SPAN_NONE;
}

static void
judge(struct dkim_check *check, size_t i, enum dkim_run_result result)
{
	struct dkim_signature *signature = &check->signature[i];
	bool may_lack_fields =
		check->candidate[i].covers_signatures && check->has_withheld;

	switch (result) {
	case DKIM_RUN_PASS:
		signature->result = DKIM_PASS;
		signature->reason = "";
		return;
	case DKIM_RUN_BAD_BODY:
		signature->result = DKIM_FAIL;
		signature->reason = "the body has been changed";
		return;
	case DKIM_RUN_BAD_SIGNATURE:
		signature->result = may_lack_fields ? DKIM_POLICY : DKIM_FAIL;
		signature->reason =
			may_lack_fields
				? "covers a signature that was not accepted"
				: "the signature does not fit header and key";
		return;
	case DKIM_RUN_BAD_KEY:
		signature->result = DKIM_PERMERROR;
		signature->reason = "the key cannot be used";
		return;
	case DKIM_RUN_BAD_LENGTH:
		signature->result = DKIM_PERMERROR;
		signature->reason = "l= is more than the body has";
		return;
	case DKIM_RUN_ERROR:
		break;
	}
	signature->result = DKIM_NEUTRAL;
	signature->reason = "the engine could not verify it";
}

/* RFC 6376 3.4.3, 3.4.4: a last line without CR LF gets one. Where there is
 * one, this is an empty line at the end, which is never hashed. */
static void
end_body(struct dkim_check *check)
{
	if (check->run != NULL && check->body_octets > 0)
		give_body(check, SPAN_LIT("\r\n"));
}

static void
finish(struct dkim_check *check, struct answers *answers)
{
	enum dkim_run_result result[DKIM_SIGNATURES_MAX];
	struct span key[DKIM_SIGNATURES_MAX];
	size_t given[DKIM_LISTED_MAX];
	size_t n = 0;

	end_body(check);
	if (check->run == NULL)
		return;
	for (size_t i = 0; i < check->listed; i++) {
		if (check->candidate[i].fate == DKIM_FATE_WITHHELD)
			continue;
		given[n] = i;
		key[n++] = find_key(check, i, answers);
	}
	if (!dkim_run_finish(check->run, key, result)) {
		refuse_all(check, DKIM_TEMPERROR, "out of memory");
		return;
	}
	for (size_t k = 0; k < n; k++)
		if (check->candidate[given[k]].fate == DKIM_FATE_VERIFIED)
			judge(check, given[k], result[k]);
}

size_t
dkim_check_finish(struct dkim_check *check, struct answers *answers,
		  const struct dkim_signature **signatures)
{
	if (!check->is_finished) {
		finish(check, answers);
		dkim_check_free(check);
		check->is_finished = true;
	}
	for (size_t i = 0; i < check->listed; i++)
		if (check->signature[i].has_length &&
		    check->body_octets > check->candidate[i].length)
			check->signature[i].unsigned_octets =
				check->body_octets - check->candidate[i].length;
	*signatures = check->signature;
	return check->listed;
}

size_t
dkim_check_count(const struct dkim_check *check)
{
	return check->seen;
}

void
dkim_check_free(struct dkim_check *check)
{
	if (check == NULL)
		return;
	dkim_run_free(check->run);
	check->run = NULL;
}

const char *
dkim_result_name(enum dkim_result result)
{
	switch (result) {
	case DKIM_NONE:
		return "none";
	case DKIM_PASS:
		return "pass";
	case DKIM_FAIL:
		return "fail";
	case DKIM_POLICY:
		return "policy";
	case DKIM_NEUTRAL:
		return "neutral";
	case DKIM_TEMPERROR:
		return "temperror";
	case DKIM_PERMERROR:
		return "permerror";
	}
	return "?";
}
