/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_dkim_engine: an engine for tests that are not about cryptography: a
 * signature of the selector "good" passes, and no other.
 */
#ifndef TESTS_FAKE_DKIM_ENGINE_H
#define TESTS_FAKE_DKIM_ENGINE_H

#include "dmarc/dkim_engine.h"

/* A key that is well-formed (RFC 8463 A.2), and a signature that is. */
#define FAKE_KEY \
	"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define FAKE_SIGNATURE                                                   \
	"DKIM-Signature: v=1; a=ed25519-sha256; d=%s; s=%s; h=from;\r\n" \
	"\tbh=AAAA; b=AAAA\r\n"

static bool
fake_open(struct dkim_engine *engine)
{
	(void)engine;
	return true;
}

static void
fake_close(struct dkim_engine *engine)
{
	(void)engine;
}

static bool
fake_begin(struct dkim_engine *engine, struct dkim_message *message)
{
	(void)engine;
	(void)message;
	return true;
}

static bool
fake_finish(struct dkim_engine *engine, struct dkim_message *message,
	    const struct dkim_key *key, struct dkim_finding *finding)
{
	(void)engine;
	for (size_t i = 0; i < message->candidates; i++)
		finding[i] = (struct dkim_finding){
			key[i].record.n == 0 ? DKIM_RUN_ERROR
			: span_starts(message->candidate[i].key_name,
				      SPAN_LIT("good._domainkey."))
				? DKIM_RUN_PASS
				: DKIM_RUN_BAD_SIGNATURE,
			0,
		};
	return true;
}

static void
fake_drop(struct dkim_message *message)
{
	(void)message;
}

/* One for all of a program. */
static struct dkim_engine *
fake_dkim_engine(void)
{
	static const struct dkim_methods methods = {
		.key_record_max = 1024,
		.open = fake_open,
		.close = fake_close,
		.begin = fake_begin,
		.finish = fake_finish,
		.drop = fake_drop,
	};
	static struct dkim_engine *engine;

	if (engine == NULL)
		engine = dkim_engine_of(&methods);
	return engine;
}

#endif
