/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arc: the Authenticated Received Chain of a message, validated.
 *
 * The first fault that is found ends it, in the order of RFC 8617 5.2. What
 * costs nothing comes first: no key is asked for, and nothing hashed, of a
 * chain whose structure is broken.
 */
#include "dmarc/arc.h"

#include "dmarc/dkim_surplus.h"
#include "dmarc/dkim_verify.h"
#include "dmarc/taglist.h"

#include <assert.h>

/* The fields of one set. An absent one has no octets. */
struct fields {
	struct field results, message, seal;
	struct dkim_candidate message_tags, seal_tags;
	size_t body; /* which hash of it the message signature has */
};

#define HEADER_MAX 262144   /* octets of the header */
#define KEY_RECORD_MAX 4096 /* an RSA key of 8192 bits has 1400 */

struct arc_check {
	struct crypto *crypto;
	struct arena *arena;
	uint64_t now_s;
	const struct message *message;
	struct dkim_order *order;
	struct canon_body *bodies;
	struct arc_chain chain;
	struct arc_set set[ARC_SETS_MAX];
	struct fields fields[ARC_SETS_MAX];
	bool is_finished;
};

struct arc_check *
arc_check_new(struct crypto *crypto, struct arena *arena, uint64_t now_s)
{
	struct arc_check *check = arena_alloc(arena, sizeof(*check));

	if (check == NULL)
		return NULL;
	check->crypto = crypto;
	check->arena = arena;
	check->now_s = now_s;
	check->chain.set = check->set;
	check->chain.reason = "";
	return check;
}

static bool
fail(struct arc_check *check, size_t instance, const char *reason)
{
	check->chain.result = ARC_FAIL;
	check->chain.instance = instance;
	check->chain.reason = reason;
	return false;
}

/* --- the sets (RFC 8617 5.2, steps 1 to 3) --- */

static enum arc_status
status_of(struct span cv)
{
	return span_equal_nocase(cv, SPAN_LIT("none"))   ? ARC_STATUS_NONE
	       : span_equal_nocase(cv, SPAN_LIT("pass")) ? ARC_STATUS_PASS
	       : span_equal_nocase(cv, SPAN_LIT("fail")) ? ARC_STATUS_FAIL
							 : ARC_STATUS_MISSING;
}

/* i= of a signature field: 1*2DIGIT. Its cv= as well. */
static bool
read_instance(struct span body, unsigned *instance, enum arc_status *status)
{
	struct taglist tags;
	struct span i, cv;
	uint64_t number;

	if (!taglist_parse(body, &tags) ||
	    !taglist_find(&tags, SPAN_LIT("i"), &i) || i.n > 2 ||
	    !span_u64(i, &number) || number == 0)
		return false;
	taglist_find(&tags, SPAN_LIT("cv"), &cv);
	*instance = (unsigned)number;
	*status = status_of(cv);
	return true;
}

/* The slot of a set for a field; NULL, and the chain has failed, if it cannot
 * be in a set. */
static struct fields *
slot(struct arc_check *check, bool has_instance, unsigned instance)
{
	if (!has_instance) {
		fail(check, 0, "a field without instance, or malformed");
		return NULL;
	}
	if (instance > ARC_SETS_MAX) {
		fail(check, instance, "more than 50 sets");
		return NULL;
	}
	if (check->chain.sets < instance)
		check->chain.sets = instance;
	return &check->fields[instance - 1];
}

static bool
place(struct arc_check *check, unsigned instance, struct field *at,
      const struct field *field)
{
	if (at->raw.n > 0)
		return fail(check, instance, "a field of the set is repeated");
	*at = *field;
	return true;
}

static bool
place_results(struct arc_check *check, const struct field *field)
{
	unsigned instance = 0;
	struct span rest;
	bool is_there = arc_results_instance(field->body, &instance, &rest);
	struct fields *fields = slot(check, is_there, instance);

	if (fields == NULL || !place(check, instance, &fields->results, field))
		return false;
	arc_results_parse(rest, check->arena,
			  &check->set[instance - 1].results);
	return true;
}

static bool
place_signature(struct arc_check *check, const struct field *field, size_t at,
		bool is_seal)
{
	unsigned instance = 0;
	enum arc_status status;
	bool is_there = read_instance(field->body, &instance, &status);
	struct fields *fields = slot(check, is_there, instance);

	if (fields == NULL)
		return false;
	if (is_seal) {
		check->set[instance - 1].status = status;
		return place(check, instance, &fields->seal, field);
	}
	fields->message_tags.at = at;
	return place(check, instance, &fields->message, field);
}

/* Step 1. False at the first field that fits nowhere. */
static bool
collect(struct arc_check *check)
{
	const struct message *message = check->message;
	bool is_good = true;

	for (size_t i = 0; i < message->fields && is_good; i++) {
		struct field field = message_field(message, i);
		struct span name = field.name;

		if (!span_starts_nocase(name, SPAN_LIT("ARC-")))
			continue;
		if (span_equal_nocase(name,
				      SPAN_LIT("ARC-Authentication-Results")))
			is_good = place_results(check, &field);
		else if (span_equal_nocase(name,
					   SPAN_LIT("ARC-Message-Signature")))
			is_good = place_signature(check, &field, i, false);
		else if (span_equal_nocase(name, SPAN_LIT("ARC-Seal")))
			is_good = place_signature(check, &field, i, true);
	}
	return is_good;
}

/* Steps 2 and 3. */
static bool
is_whole(struct arc_check *check)
{
	const struct arc_chain *chain = &check->chain;

	if (chain->set[chain->sets - 1].status == ARC_STATUS_FAIL)
		return fail(check, chain->sets,
			    "the last sealer found a failed chain");
	for (size_t i = 1; i <= chain->sets; i++) {
		const struct fields *fields = &check->fields[i - 1];
		enum arc_status wanted =
			i == 1 ? ARC_STATUS_NONE : ARC_STATUS_PASS;

		if (fields->results.raw.n == 0 || fields->message.raw.n == 0 ||
		    fields->seal.raw.n == 0)
			return fail(check, i, "a field of the set is missing");
		if (chain->set[i - 1].status != wanted)
			return fail(check, i,
				    i == 1 ? "the first seal lacks cv=none"
					   : "the seal lacks cv=pass");
	}
	return true;
}

/* --- what will be verified --- */

/* Whether the bounds let it be looked at. The newest always is: a header has
 * 256 KiB at most. */
static bool
may_verify_message(const struct arc_check *check, size_t i)
{
	const struct fields *fields = &check->fields[i - 1];
	size_t newer = check->chain.sets - i;

	if (newer >= DKIM_HASHED_MAX / check->message->header.n)
		return false;
	return newer < ARC_OWN_KEYS_MAX ||
	       span_equal(fields->message_tags.key_name,
			  fields->seal_tags.key_name);
}

/* Of the message signature of a set: tags, and a hash of the body. */
static void
read_message(struct arc_check *check, size_t i)
{
	struct fields *fields = &check->fields[i - 1];
	struct dkim_candidate *tags = &fields->message_tags;
	struct dkim_signature *signature = &check->set[i - 1].message;

	dkim_signature_read(&fields->message, DKIM_FORM_ARC_MESSAGE,
			    check->now_s, check->arena, signature, tags);
	if (tags->fate == DKIM_FATE_VERIFIED &&
	    (!may_verify_message(check, i) ||
	     !canon_body_want(check->bodies, tags->is_body_relaxed,
			      tags->length, &fields->body)))
		tags->fate = DKIM_FATE_WITHHELD;
}

/* Why the newest message signature cannot be verified. DKIM leaves hashes of
 * the body for it: it has none only without memory. */
static const char *
newest_fault(const struct arc_check *check)
{
	const struct dkim_signature *newest =
		&check->set[check->chain.sets - 1].message;

	return newest->result == DKIM_NONE ? "temperror: out of memory"
					   : newest->reason;
}

/* False if one without which the chain fails cannot be read. */
static bool
read_signatures(struct arc_check *check)
{
	size_t sets = check->chain.sets;

	for (size_t i = sets; i > 0; i--) {
		struct fields *fields = &check->fields[i - 1];

		dkim_signature_read(&fields->seal, DKIM_FORM_ARC_SEAL,
				    check->now_s, check->arena,
				    &check->set[i - 1].seal,
				    &fields->seal_tags);
		if (fields->seal_tags.fate != DKIM_FATE_VERIFIED)
			return fail(check, i, check->set[i - 1].seal.reason);
	}
	for (size_t i = sets; i > 0; i--)
		read_message(check, i);
	return check->fields[sets - 1].message_tags.fate ==
		       DKIM_FATE_VERIFIED ||
	       fail(check, sets, newest_fault(check));
}

void
arc_check_header(struct arc_check *check, const struct message *message,
		 struct canon_body *bodies)
{
	assert(check->message == NULL);
	check->message = message;
	check->bodies = bodies;
	if (!collect(check) || check->chain.sets == 0 || !is_whole(check))
		return;
	if (message->header.n > HEADER_MAX)
		fail(check, 0, "a header over 256 KiB");
	else if (read_signatures(check))
		check->order = dkim_order_new(message, check->arena);
	if (check->chain.result == ARC_NONE && check->arena->has_overflowed)
		fail(check, 0, "temperror: out of memory");
}

/* Whether the key's answer is there, if it is needed. */
static bool
ask_key(const struct dkim_candidate *tags, struct answers *answers)
{
	return tags->fate != DKIM_FATE_VERIFIED ||
	       answers_ask(answers, tags->key_name, DNS_TXT) != NULL;
}

bool
arc_check_ask(struct arc_check *check, struct answers *answers)
{
	bool is_answered = true;

	if (check->chain.result != ARC_NONE)
		return true;
	for (size_t i = check->chain.sets; i > 0; i--) {
		is_answered &=
			ask_key(&check->fields[i - 1].seal_tags, answers);
		is_answered &=
			ask_key(&check->fields[i - 1].message_tags, answers);
	}
	return is_answered;
}

const struct arc_chain *
arc_check_chain(const struct arc_check *check)
{
	return &check->chain;
}

/* --- verification --- */

static bool
refuse(struct dkim_signature *signature, enum dkim_result result,
       const char *reason)
{
	signature->result = result;
	signature->reason = reason;
	return false;
}

/* RFC 8617 5.1.1: all sets up to this one, in order. */
static void
hash_sets(const struct arc_check *check, size_t instance,
	  struct crypto_hash *hash)
{
	for (size_t i = 1; i <= instance; i++) {
		const struct fields *fields = &check->fields[i - 1];

		canon_field(hash, fields->results.raw, true);
		canon_field(hash, fields->message.raw, true);
		if (i < instance)
			canon_field(hash, fields->seal.raw, true);
		else
			canon_signature(hash, fields->seal.raw, true);
	}
}

static bool
verify(struct arc_check *check, struct dkim_signature *signature,
       const struct dkim_candidate *tags, struct answers *answers,
       const uint8_t digest[CRYPTO_DIGEST_OCTETS])
{
	const struct answer *answer =
		answers_ask(answers, tags->key_name, DNS_TXT);
	struct dkim_key key;
	bool is_usable;

	assert(answer != NULL);
	is_usable = dkim_key_read(answer, tags->key_type, KEY_RECORD_MAX,
				  check->arena, &key);
	signature->bits = key.bits;
	if (!is_usable)
		return refuse(signature, key.result,
			      key.result == DKIM_TEMPERROR
				      ? "temperror: the key could not be "
					"looked up"
				      : key.reason);
	switch (crypto_verify(check->crypto, &key.key, digest,
			      tags->signature)) {
	case CRYPTO_GOOD:
		signature->result = DKIM_PASS;
		signature->reason = "";
		return true;
	case CRYPTO_BAD_SIGNATURE:
		return refuse(signature, DKIM_FAIL,
			      "the signature does not fit header and key");
	case CRYPTO_BAD_KEY:
		return refuse(signature, DKIM_PERMERROR,
			      "the key cannot be used");
	case CRYPTO_NO_MEMORY:
		break;
	}
	return refuse(signature, DKIM_TEMPERROR, "temperror: out of memory");
}

/* A message signature: the body first, which costs nothing any more. */
static bool
verify_message(struct arc_check *check, size_t i, struct answers *answers)
{
	struct fields *fields = &check->fields[i - 1];
	const struct dkim_candidate *tags = &fields->message_tags;
	struct dkim_signature *signature = &check->set[i - 1].message;
	uint8_t digest[CRYPTO_DIGEST_OCTETS];
	uint64_t octets;

	if (tags->fate != DKIM_FATE_VERIFIED)
		return false;
	octets = canon_body_octets(check->bodies, fields->body);
	if (signature->has_length && tags->length > octets)
		return refuse(signature, DKIM_PERMERROR,
			      "l= is more than the body has");
	if (signature->has_length)
		signature->unsigned_octets = octets - tags->length;
	if (!span_equal(
		    tags->body_hash,
		    span_make(canon_body_digest(check->bodies, fields->body),
			      CRYPTO_DIGEST_OCTETS)))
		return refuse(signature, DKIM_FAIL,
			      "the body has been changed");
	if (!dkim_verify_hash(check->crypto, check->order, tags->at, tags,
			      digest))
		return refuse(signature, DKIM_TEMPERROR,
			      "temperror: out of memory");
	return verify(check, signature, tags, answers, digest);
}

static bool
verify_seal(struct arc_check *check, size_t i, struct answers *answers)
{
	struct dkim_signature *seal = &check->set[i - 1].seal;
	struct crypto_hash *hash = crypto_hash_begin(check->crypto);
	uint8_t digest[CRYPTO_DIGEST_OCTETS];

	if (hash == NULL)
		return refuse(seal, DKIM_TEMPERROR, "temperror: out of memory");
	hash_sets(check, i, hash);
	crypto_hash_end(check->crypto, hash, digest);
	return verify(check, seal, &check->fields[i - 1].seal_tags, answers,
		      digest);
}

/* Whether the newest message signature speaks for all that is shown, as one of
 * DKIM must (dmarc/dkim_surplus.h). */
static bool
covers_message(const struct arc_check *check)
{
	size_t newest = check->chain.sets - 1;
	const struct dkim_candidate *tags = &check->fields[newest].message_tags;

	return check->set[newest].message.unsigned_octets == 0 &&
	       tags->covers_from &&
	       !dkim_leaves_surplus(tags->names, check->message);
}

/* Step 5. One that was not looked at may be good or bad. */
static void
find_oldest(struct arc_check *check, struct answers *answers)
{
	struct arc_chain *chain = &check->chain;
	size_t oldest = chain->sets;

	while (oldest > 1 && verify_message(check, oldest - 1, answers))
		oldest--;
	chain->has_oldest_pass =
		oldest == 1 ||
		chain->set[oldest - 2].message.result != DKIM_NONE;
	if (chain->has_oldest_pass && oldest > 1)
		chain->oldest_pass = oldest;
}

/* Steps 4 to 7. Step 5 comes last, since nothing hangs on it. */
static void
validate(struct arc_check *check, struct answers *answers)
{
	struct arc_chain *chain = &check->chain;
	const struct arc_set *newest = &chain->set[chain->sets - 1];

	if (!verify_message(check, chain->sets, answers)) {
		fail(check, chain->sets, newest->message.reason);
		return;
	}
	for (size_t i = chain->sets; i > 0; i--)
		if (!verify_seal(check, i, answers)) {
			fail(check, i, chain->set[i - 1].seal.reason);
			return;
		}
	find_oldest(check, answers);
	chain->result = ARC_PASS;
	chain->covers_message = covers_message(check);
}

const struct arc_chain *
arc_check_finish(struct arc_check *check, struct answers *answers)
{
	if (!check->is_finished && check->chain.result == ARC_NONE &&
	    check->chain.sets > 0)
		validate(check, answers);
	check->is_finished = true;
	return &check->chain;
}

/* --- what is told of it --- */

bool
arc_comment(const struct arc_chain *chain, struct buf *buf)
{
	char text[IP_TEXT_MAX];
	const struct ip *first;

	buf_printf(buf, "arc=%s", arc_result_name(chain->result));
	for (size_t i = chain->sets; i > 0; i--) {
		const struct dkim_signature *seal = &chain->set[i - 1].seal;

		buf_printf(buf, " as[%zu].d=", i);
		buf_append(buf, seal->domain);
		buf_printf(buf, " as[%zu].s=", i);
		buf_append(buf, seal->selector);
	}
	first = &chain->set[0].results.remote_ip;
	if (chain->sets > 0 && first->family != IP_NONE) {
		buf_append(buf, SPAN_LIT(" remote-ip[1]="));
		buf_append(buf, ip_format(first, text));
	}
	return !buf->has_overflowed;
}

const char *
arc_result_name(enum arc_result result)
{
	switch (result) {
	case ARC_NONE:
		return "none";
	case ARC_PASS:
		return "pass";
	case ARC_FAIL:
		return "fail";
	}
	return "?";
}

const char *
arc_status_name(enum arc_status status)
{
	switch (status) {
	case ARC_STATUS_MISSING:
		return "";
	case ARC_STATUS_NONE:
		return "none";
	case ARC_STATUS_PASS:
		return "pass";
	case ARC_STATUS_FAIL:
		return "fail";
	}
	return "?";
}
