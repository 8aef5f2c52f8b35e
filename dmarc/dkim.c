/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim: one message's signatures: which of them an engine verifies, and what
 * its findings mean.
 */
#include "dmarc/dkim.h"

#include "dmarc/dkim_engine.h"
#include "dmarc/dkim_surplus.h"
#include "dmarc/domain.h"

#include <assert.h>
#include <stdlib.h>

#define NAME SPAN_LIT("DKIM-Signature")

struct dkim_check {
	struct dkim_engine *engine;
	struct arena *arena;
	uint64_t now_s;

	size_t seen;   /* DKIM-Signature fields */
	size_t listed; /* of them */
	struct dkim_signature signature[DKIM_LISTED_MAX];
	struct dkim_candidate candidate[DKIM_LISTED_MAX];

	struct dkim_message message; /* the engine's, while it … */
	bool is_running;
	struct canon_body *bodies;
	size_t word; /* octets since the last white space in the body */
	bool is_finished;
};

struct dkim_engine *
dkim_engine_of(const struct dkim_methods *methods)
{
	struct dkim_engine *engine = calloc(1, sizeof(*engine));

	if (engine == NULL)
		return NULL;
	engine->crypto = crypto_new();
	if (engine->crypto == NULL || !methods->open(engine)) {
		crypto_free(engine->crypto);
		free(engine);
		return NULL;
	}
	engine->methods = methods;
	return engine;
}

struct dkim_engine *
dkim_engine_new(enum dkim_engine_kind kind)
{
	return dkim_engine_of(kind == DKIM_ENGINE_NATIVE ? &dkim_native
							 : &dkim_libopendkim);
}

void
dkim_engine_free(struct dkim_engine *engine)
{
	if (engine == NULL)
		return;
	engine->methods->close(engine);
	crypto_free(engine->crypto);
	free(engine);
}

void
dkim_engine_distrust_length(struct dkim_engine *engine, bool is_distrusted)
{
	engine->does_distrust_length = is_distrusted;
}

struct crypto *
dkim_engine_crypto(struct dkim_engine *engine)
{
	return engine->crypto;
}

struct dkim_check *
dkim_check_new(struct dkim_engine *engine, struct arena *arena, uint64_t now_s)
{
	struct dkim_check *check = arena_alloc(arena, sizeof(*check));

	if (check == NULL)
		return NULL;
	check->engine = engine;
	check->arena = arena;
	check->now_s = now_s;
	check->bodies = canon_body_new(engine->crypto, arena);
	return check->bodies == NULL ? NULL : check;
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
	if (check->is_running)
		check->engine->methods->drop(&check->message);
	check->is_running = false;
}

/* Whether the engine has to hash the body once more for b than for a. */
static bool
is_other_body(const struct dkim_check *check, size_t a, size_t b)
{
	const struct dkim_candidate *one = &check->candidate[a];
	const struct dkim_candidate *other = &check->candidate[b];

	return one->is_sha1 != other->is_sha1 ||
	       one->is_body_relaxed != other->is_body_relaxed ||
	       one->length != other->length;
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

/* How many signatures may hash a header of so many octets. */
static size_t
most_signatures(size_t header)
{
	size_t most =
		header == 0 ? DKIM_SIGNATURES_MAX : DKIM_HASHED_MAX / header;

	return most < DKIM_SIGNATURES_MAX ? most : DKIM_SIGNATURES_MAX;
}

/* Signature i, if it is to go to the engine, is one of how many? */
static void
apply_caps(struct dkim_check *check, size_t i, size_t most, size_t *given)
{
	struct dkim_candidate *candidate = &check->candidate[i];

	if (candidate->fate == DKIM_FATE_WITHHELD)
		return;
	if (!candidate->is_ascii && check->engine->methods->is_ascii_only)
		refuse(check, i, DKIM_FATE_WITHHELD, DKIM_NEUTRAL,
		       "not ASCII, which the engine cannot read");
	else if (candidate->has_tab && check->engine->methods->loses_tabs)
		refuse(check, i, DKIM_FATE_WITHHELD, DKIM_NEUTRAL,
		       "a tab before its colon, which the engine cannot read");
	else if (*given == DKIM_SIGNATURES_MAX)
		refuse(check, i, DKIM_FATE_WITHHELD, DKIM_POLICY,
		       "more than 16 signatures");
	else if (*given == most)
		refuse(check, i, DKIM_FATE_WITHHELD, DKIM_POLICY,
		       "too large a header for so many signatures");
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
	size_t most = most_signatures(message->header.n);

	for (; i < message->fields; i = message_find(message, NAME, i + 1)) {
		struct field field = message_field(message, i);
		size_t at = check->listed;

		check->seen++;
		if (at == DKIM_LISTED_MAX)
			continue;
		check->listed++;
		dkim_signature_read(&field, DKIM_FORM_SIGNATURE, check->now_s,
				    check->arena, &check->signature[at],
				    &check->candidate[at]);
		check->candidate[at].at = i;
		if (check->candidate[at].fate == DKIM_FATE_VERIFIED &&
		    dkim_leaves_surplus(check->candidate[at].names, message))
			refuse(check, at, DKIM_FATE_IGNORED, DKIM_POLICY,
			       "leaves a second field of a kind unsigned");
		if (check->arena->has_overflowed)
			refuse(check, at, DKIM_FATE_WITHHELD, DKIM_TEMPERROR,
			       "out of memory");
		apply_caps(check, at, most, &given);
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

bool
dkim_check_header(struct dkim_check *check, const struct message *message)
{
	const struct dkim_methods *methods = check->engine->methods;

	assert(check->seen == 0 && !check->is_running);
	read_signatures(check, message);
	if (!has_work(check))
		return true;
	if (methods->header_max > 0 &&
	    message->header.n > methods->header_max) {
		refuse_all(check, DKIM_POLICY,
			   "a header too large for the engine");
		return true;
	}
	check->message = (struct dkim_message){
		.arena = check->arena,
		.message = message,
		.bodies = check->bodies,
		.candidate = check->candidate,
		.candidates = check->listed,
	};
	check->is_running = true;
	if (methods->begin(check->engine, &check->message))
		return true;
	refuse_all(check, DKIM_TEMPERROR, "out of memory");
	return false;
}

struct canon_body *
dkim_check_bodies(struct dkim_check *check)
{
	return check->bodies;
}

/* Octets in a row without white space: an engine may have to hold them. True
 * if there were too many. */
static bool
is_word_too_long(struct dkim_check *check, struct span chunk, size_t most)
{
	for (size_t i = 0; most > 0 && i < chunk.n; i++) {
		uint8_t c = chunk.p[i];

		check->word = octet_is_wsp(c) || c == '\r' || c == '\n'
				      ? 0
				      : check->word + 1;
		if (check->word > most)
			return true;
	}
	return false;
}

void
dkim_check_body(struct dkim_check *check, struct span chunk)
{
	const struct dkim_methods *methods = check->engine->methods;

	if (chunk.n == 0)
		return;
	canon_body_feed(check->bodies, chunk);
	if (!check->is_running || methods->body == NULL)
		return;
	if (is_word_too_long(check, chunk, methods->word_max))
		refuse_all(check, DKIM_POLICY,
			   "a body too long without white space for the "
			   "engine");
	else if (!methods->body(&check->message, chunk))
		refuse_all(check, DKIM_TEMPERROR, "out of memory");
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

/* The key for signature i; without a record if it has been refused. */
static void
find_key(struct dkim_check *check, size_t i, struct answers *answers,
	 struct dkim_key *key)
{
	const struct dkim_candidate *candidate = &check->candidate[i];
	struct dkim_signature *signature = &check->signature[i];
	const struct answer *answer;

	*key = (struct dkim_key){ .record = SPAN_NONE };
	if (candidate->fate != DKIM_FATE_VERIFIED)
		return;
	answer = answers_ask(answers, candidate->key_name, DNS_TXT);
	assert(answer != NULL);
	if (!dkim_key_read(answer, candidate->key_type,
			   check->engine->methods->key_record_max, check->arena,
			   key))
		refuse(check, i, DKIM_FATE_IGNORED, key->result, key->reason);
	signature->bits = key->bits;
	if (key->record.n > 0 && key->is_domain_only &&
	    !span_equal(candidate->identity_domain, signature->domain)) {
		refuse(check, i, DKIM_FATE_IGNORED, DKIM_PERMERROR,
		       "the key is for d= only, and i= is below it");
		key->record = SPAN_NONE;
	}
}

static void
settle(struct dkim_signature *signature, enum dkim_result result,
       const char *reason)
{
	signature->result = result;
	signature->reason = reason;
}

static void
judge_result(struct dkim_signature *signature, enum dkim_run_result result)
{
	switch (result) {
	case DKIM_RUN_PASS:
		settle(signature, DKIM_PASS, "");
		return;
	case DKIM_RUN_BAD_BODY:
		settle(signature, DKIM_FAIL, "the body has been changed");
		return;
	case DKIM_RUN_BAD_SIGNATURE:
		settle(signature, DKIM_FAIL,
		       "the signature does not fit header and key");
		return;
	case DKIM_RUN_LACKS_FIELDS:
		settle(signature, DKIM_POLICY,
		       "covers a signature that was not accepted");
		return;
	case DKIM_RUN_BAD_KEY:
		settle(signature, DKIM_PERMERROR, "the key cannot be used");
		return;
	case DKIM_RUN_BAD_LENGTH:
		settle(signature, DKIM_PERMERROR,
		       "l= is more than the body has");
		return;
	case DKIM_RUN_NO_MEMORY:
		settle(signature, DKIM_TEMPERROR, "out of memory");
		return;
	case DKIM_RUN_ERROR:
		break;
	}
	settle(signature, DKIM_NEUTRAL, "the engine could not verify it");
}

static void
judge(struct dkim_check *check, size_t i, const struct dkim_finding *finding)
{
	struct dkim_signature *signature = &check->signature[i];
	uint64_t length = check->candidate[i].length;

	judge_result(signature, finding->result);
	if (length < finding->octets)
		signature->unsigned_octets = finding->octets - length;
	if (signature->result == DKIM_PASS && signature->unsigned_octets > 0 &&
	    check->engine->does_distrust_length)
		settle(signature, DKIM_POLICY,
		       "l= leaves octets of the body unsigned");
}

static void
finish(struct dkim_check *check, struct answers *answers)
{
	const struct dkim_methods *methods = check->engine->methods;
	struct dkim_finding finding[DKIM_LISTED_MAX];
	struct dkim_key key[DKIM_LISTED_MAX];

	canon_body_end(check->bodies);
	if (!check->is_running)
		return;
	for (size_t i = 0; i < check->listed; i++)
		find_key(check, i, answers, &key[i]);
	if (!methods->finish(check->engine, &check->message, key, finding)) {
		refuse_all(check, DKIM_TEMPERROR, "out of memory");
		return;
	}
	for (size_t i = 0; i < check->listed; i++)
		if (check->candidate[i].fate == DKIM_FATE_VERIFIED)
			judge(check, i, &finding[i]);
}

size_t
dkim_check_finish(struct dkim_check *check, struct answers *answers,
		  const struct dkim_signature **signatures)
{
	if (!check->is_finished) {
		finish(check, answers);
		check->is_finished = true;
	}
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
	if (check->is_running)
		check->engine->methods->drop(&check->message);
	check->is_running = false;
	canon_body_free(check->bodies);
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
