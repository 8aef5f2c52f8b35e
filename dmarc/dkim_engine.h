/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim_engine: what dkim.c asks of the library behind it: to hash, and to
 * verify. Nobody else includes this.
 *
 * dkim.c has read every signature before the engine sees it, and gives it
 * only well-formed ones, within all caps; it has read the keys as well. The
 * signatures of a run are counted from 0 as their fields came.
 */
#ifndef DMARC_DKIM_ENGINE_H
#define DMARC_DKIM_ENGINE_H

#include "dmarc/dkim.h"

enum dkim_run_result {
	DKIM_RUN_ERROR, /* any error that is none of these */
	DKIM_RUN_PASS,
	DKIM_RUN_BAD_BODY,      /* the body hash differs */
	DKIM_RUN_BAD_SIGNATURE, /* of the header */
	DKIM_RUN_BAD_KEY,       /* it cannot be used as one */
	DKIM_RUN_BAD_LENGTH,    /* l= is beyond the body */
};

struct dkim_run; /* one message in the engine */

/* NULL without memory. It lives in the arena, to be freed before its reset. */
struct dkim_run *dkim_run_new(struct dkim_engine *engine, struct arena *arena);

/* A field of the header, without its final CR LF and without NUL. False
 * without memory. */
bool dkim_run_field(struct dkim_run *run, struct span field);

/* The header is complete and holds this many signatures. False if the engine
 * counts otherwise or has no memory. */
bool dkim_run_header_end(struct dkim_run *run, size_t signatures);

/* Body octets; not none. False without memory. */
bool dkim_run_body(struct dkim_run *run, struct span chunk);

/* Judge: key[i] is the record for signature i; an empty one leaves it out,
 * with DKIM_RUN_ERROR. False without memory. Once only. */
bool dkim_run_finish(struct dkim_run *run, const struct span *key,
		     enum dkim_run_result *result);

void dkim_run_free(struct dkim_run *run); /* NULL is allowed */

#endif
