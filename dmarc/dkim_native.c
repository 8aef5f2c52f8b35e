/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim_native: the engine of our own.
 *
 * The body is hashed as it streams past, once for all signatures that want
 * the same of it (dmarc/canon.h); the header when all is in, and only for
 * signatures whose body is as it was and whose key can be used.
 */
#include "dmarc/dkim_engine.h"
#include "dmarc/dkim_verify.h"

#define KEY_RECORD_MAX 4096 /* an RSA key of 8192 bits has 1400 */

/* One message. */
struct run {
	struct dkim_order *order;
	/* Where the hash of the body for each candidate is. */
	size_t index[DKIM_LISTED_MAX];
	bool is_there[DKIM_LISTED_MAX];
};

static bool
open_native(struct dkim_engine *engine)
{
	(void)engine;
	return true;
}

static void
close_native(struct dkim_engine *engine)
{
	(void)engine;
}

static bool
begin(struct dkim_engine *engine, struct dkim_message *message)
{
	struct run *run = arena_alloc(message->arena, sizeof(*run));

	(void)engine;
	message->own = run;
	if (run == NULL)
		return false;
	run->order = dkim_order_new(message->message, message->arena);
	if (run->order == NULL)
		return false;
	for (size_t i = 0; i < message->candidates; i++) {
		const struct dkim_candidate *candidate = &message->candidate[i];

		run->is_there[i] =
			candidate->fate == DKIM_FATE_VERIFIED &&
			canon_body_want(message->bodies,
					candidate->is_body_relaxed,
					candidate->length, &run->index[i]);
	}
	return true;
}

static enum dkim_run_result
verify_header(struct crypto *crypto, const struct dkim_message *message,
	      const struct dkim_candidate *candidate,
	      const struct dkim_key *key)
{
	const struct run *run = message->own;
	uint8_t digest[CRYPTO_DIGEST_OCTETS];

	if (!dkim_verify_hash(crypto, run->order, candidate->at, candidate,
			      digest))
		return DKIM_RUN_NO_MEMORY;
	switch (crypto_verify(crypto, &key->key, digest,
			      candidate->signature)) {
	case CRYPTO_GOOD:
		return DKIM_RUN_PASS;
	case CRYPTO_BAD_SIGNATURE:
		return DKIM_RUN_BAD_SIGNATURE;
	case CRYPTO_BAD_KEY:
		return DKIM_RUN_BAD_KEY;
	case CRYPTO_NO_MEMORY:
		return DKIM_RUN_NO_MEMORY;
	}
	return DKIM_RUN_ERROR;
}

static void
verify(struct dkim_engine *engine, const struct dkim_message *message, size_t i,
       const struct dkim_key *key, struct dkim_finding *finding)
{
	const struct dkim_candidate *candidate = &message->candidate[i];
	const struct run *run = message->own;
	struct span digest =
		span_make(canon_body_digest(message->bodies, run->index[i]),
			  CRYPTO_DIGEST_OCTETS);

	finding->octets = canon_body_octets(message->bodies, run->index[i]);
	if (candidate->length != DKIM_WHOLE_BODY &&
	    candidate->length > finding->octets)
		finding->result = DKIM_RUN_BAD_LENGTH;
	else if (!span_equal(candidate->body_hash, digest))
		finding->result = DKIM_RUN_BAD_BODY;
	else
		finding->result =
			verify_header(engine->crypto, message, candidate, key);
}

static bool
finish(struct dkim_engine *engine, struct dkim_message *message,
       const struct dkim_key *key, struct dkim_finding *finding)
{
	const struct run *run = message->own;

	for (size_t i = 0; i < message->candidates; i++) {
		finding[i] = (struct dkim_finding){
			run->is_there[i] ? DKIM_RUN_ERROR : DKIM_RUN_NO_MEMORY,
			0,
		};
		if (run->is_there[i] && key[i].record.n > 0)
			verify(engine, message, i, &key[i], &finding[i]);
	}
	return true;
}

static void
drop(struct dkim_message *message)
{
	(void)message;
}

const struct dkim_methods dkim_native = {
	.key_record_max = KEY_RECORD_MAX,
	.open = open_native,
	.close = close_native,
	.begin = begin,
	.finish = finish,
	.drop = drop,
};
