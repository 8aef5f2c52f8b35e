/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_dkim_engine: in the place of libopendkim, an engine for tests that are
 * not about cryptography: a signature of the selector "good" passes, and no
 * other. A test that includes this is linked without the real one.
 */
#ifndef TESTS_FAKE_DKIM_ENGINE_H
#define TESTS_FAKE_DKIM_ENGINE_H

#include "dmarc/dkim_engine.h"

#include <assert.h>

/* A key that is well-formed (RFC 8463 A.2), and a signature that is. */
#define FAKE_KEY \
	"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define FAKE_SIGNATURE                                                   \
	"DKIM-Signature: v=1; a=ed25519-sha256; d=%s; s=%s; h=from;\r\n" \
	"\tbh=AAAA; b=AAAA\r\n"

struct dkim_engine {
	char nothing;
};

struct dkim_run {
	size_t signatures;
	bool is_good[DKIM_SIGNATURES_MAX];
};

struct dkim_engine *
dkim_engine_new(void)
{
	static struct dkim_engine engine;

	return &engine;
}

void
dkim_engine_free(struct dkim_engine *engine)
{
	(void)engine;
}

struct dkim_run *
dkim_run_new(struct dkim_engine *engine, struct arena *arena)
{
	(void)engine;
	return arena_alloc(arena, sizeof(struct dkim_run));
}

bool
dkim_run_field(struct dkim_run *run, struct span field)
{
	if (!span_starts_nocase(field, SPAN_LIT("DKIM-Signature:")))
		return true;
	assert(run->signatures < DKIM_SIGNATURES_MAX);
	for (size_t i = 0; i < field.n; i++)
		run->is_good[run->signatures] |=
			span_starts(span_after(field, i), SPAN_LIT("s=good;"));
	run->signatures++;
	return true;
}

bool
dkim_run_header_end(struct dkim_run *run, size_t signatures)
{
	return run->signatures == signatures;
}

bool
dkim_run_body(struct dkim_run *run, struct span chunk)
{
	(void)run;
	return chunk.n > 0;
}

bool
dkim_run_finish(struct dkim_run *run, const struct span *key,
		enum dkim_run_result *result)
{
	for (size_t i = 0; i < run->signatures; i++)
		result[i] = key[i].n == 0     ? DKIM_RUN_ERROR
			    : run->is_good[i] ? DKIM_RUN_PASS
					      : DKIM_RUN_BAD_SIGNATURE;
	return true;
}

void
dkim_run_free(struct dkim_run *run)
{
	(void)run;
}

#endif
