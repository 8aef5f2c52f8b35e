/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim_engine: what dkim.c asks of an engine behind it: to hash, and to
 * verify. Nobody else includes this, but the engines.
 *
 * dkim.c has read every signature, and every key, before the engine sees it,
 * and lets it verify only well-formed ones, within all caps.
 */
#ifndef DMARC_DKIM_ENGINE_H
#define DMARC_DKIM_ENGINE_H

#include "dmarc/canon.h"
#include "dmarc/dkim_signature.h"

enum dkim_run_result {
	DKIM_RUN_ERROR, /* any error that is none of these, or not verified */
	DKIM_RUN_PASS,
	DKIM_RUN_BAD_BODY,      /* the body hash differs */
	DKIM_RUN_BAD_SIGNATURE, /* of the header */
	DKIM_RUN_LACKS_FIELDS,  /* … which the engine has not seen whole */
	DKIM_RUN_BAD_KEY,       /* it cannot be used as one */
	DKIM_RUN_BAD_LENGTH,    /* l= is beyond the body */
	DKIM_RUN_NO_MEMORY,
};

struct dkim_finding {
	enum dkim_run_result result;
	uint64_t octets; /* of the canonicalised body; 0 if not known */
};

/* One message as its engine has it. */
struct dkim_message {
	struct arena *arena;
	const struct message *message; /* complete header; stays as it is */
	struct canon_body *bodies;     /* fed by dkim.c */
	const struct dkim_candidate *candidate; /* as their fields came */
	size_t candidates;
	void *own; /* the engine's */
};

struct dkim_methods {
	/* What it can be given; 0: no limit beside the common ones. */
	size_t header_max;     /* octets of the header */
	size_t word_max;       /* octets of the body without white space */
	size_t key_record_max; /* octets of a key record */
	bool is_ascii_only;    /* signatures in UTF-8 (RFC 8616) not */
	bool loses_tabs;       /* nor those with a tab before their colon */

	/* False without memory. */
	bool (*open)(struct dkim_engine *engine);
	void (*close)(struct dkim_engine *engine);

	/* A message whose header is complete. False without memory. */
	bool (*begin)(struct dkim_engine *engine, struct dkim_message *message);
	/* Body octets; not none. False without memory. NULL: what the bodies
	 * are fed is enough. */
	bool (*body)(struct dkim_message *message, struct span chunk);
	/* Judge: key[i] is for candidate i; without a record it is left out,
	 * with DKIM_RUN_ERROR. After the bodies' end. False without memory.
	 * Once only. */
	bool (*finish)(struct dkim_engine *engine, struct dkim_message *message,
		       const struct dkim_key *key,
		       struct dkim_finding *finding);
	/* Due if and only if begin() was called. */
	void (*drop)(struct dkim_message *message);
};

struct dkim_engine {
	const struct dkim_methods *methods;
	struct crypto *crypto;
	bool does_distrust_length;
	void *own; /* the engine's */
};

extern const struct dkim_methods dkim_native, dkim_libopendkim;

/* An engine of these methods; NULL without memory. */
struct dkim_engine *dkim_engine_of(const struct dkim_methods *methods);

#endif
