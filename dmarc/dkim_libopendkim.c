/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim_libopendkim: the engine by libopendkim 2.11.
 *
 * All its work is put off to dkim_eom() (DELAYSIGPROC), where it takes the
 * keys from us; it verifies every signature, not the first good one. It asks
 * no DNS: the key callback always answers, and never with "try again", which
 * it would swallow.
 *
 * A pass is PASSED and a matching body hash and no error: each of the three
 * alone lies. Its floor for key sizes counts octets, and its list of
 * algorithms has rsa-sha1: both are judged in dkim.c, and here once more.
 *
 * BADSIGHANDLES is for messages without From, whose header it refuses
 * otherwise.
 *
 * It checks t= and x= against time(2). dkim.c has checked them against the
 * caller's time, which may be another; a clock drift of decades makes it
 * agree. (More would make it take every t= for the future: it subtracts.)
 *
 * In dkim_canon_selecthdrs() it writes one pointer behind an array when h=
 * names every field of the message and then one more: any signer can corrupt
 * the heap so. A first field that no h= can name, since it has a space in its
 * name, makes the array longer. It is never part of a hash.
 */
#include "dmarc/dkim_engine.h"

#include <assert.h>
#include <opendkim/dkim.h>
#include <stdlib.h>

#define DRIFT_S 1000000000u

#define UNNAMEABLE "X X:"

struct dkim_engine {
	DKIM_LIB *library;
};

struct dkim_run {
	DKIM *message;
	DKIM_SIGINFO **list; /* the library's */
	size_t signatures;
	const struct span *key; /* during dkim_run_finish() */
};

/* libopendkim's key look-up: the record for sig, with a NUL. */
static DKIM_CBSTAT
look_up_key(DKIM *message, DKIM_SIGINFO *sig, u_char *text, size_t size)
{
	const struct dkim_run *run = dkim_get_user_context(message);

	for (size_t i = 0; i < run->signatures; i++) {
		struct span key = run->key[i];

		if (run->list[i] != sig || key.n == 0 || key.n >= size)
			continue;
		memcpy(text, key.p, key.n);
		text[key.n] = '\0';
		return DKIM_CBSTAT_CONTINUE;
	}
	return DKIM_CBSTAT_NOTFOUND;
}

static bool
set_options(DKIM_LIB *library)
{
	uint32_t flags =
		DKIM_LIBFLAGS_DELAYSIGPROC | DKIM_LIBFLAGS_BADSIGHANDLES;
	uint64_t drift = DRIFT_S;
	unsigned bits = DKIM_RSA_BITS_MIN;

	return dkim_libfeature(library, DKIM_FEATURE_SHA256) &&
	       dkim_libfeature(library, DKIM_FEATURE_ED25519) &&
	       dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags,
			    sizeof(flags)) == DKIM_STAT_OK &&
	       dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_CLOCKDRIFT,
			    &drift, sizeof(drift)) == DKIM_STAT_OK &&
	       dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_MINKEYBITS,
			    &bits, sizeof(bits)) == DKIM_STAT_OK &&
	       dkim_set_key_lookup(library, look_up_key) == DKIM_STAT_OK;
}

struct dkim_engine *
dkim_engine_new(void)
{
	struct dkim_engine *engine = malloc(sizeof(*engine));

	if (engine == NULL)
		return NULL;
	engine->library = dkim_init(NULL, NULL);
	if (engine->library == NULL || !set_options(engine->library)) {
		dkim_engine_free(engine);
		return NULL;
	}
	return engine;
}

void
dkim_engine_free(struct dkim_engine *engine)
{
	if (engine == NULL)
		return;
	if (engine->library != NULL)
		dkim_close(engine->library);
	free(engine);
}

struct dkim_run *
dkim_run_new(struct dkim_engine *engine, struct arena *arena)
{
	struct dkim_run *run = arena_alloc(arena, sizeof(*run));
	DKIM_STAT status;

	if (run == NULL)
		return NULL;
	run->message =
		dkim_verify(engine->library, (const unsigned char *)"dmarcgate",
			    NULL, &status);
	if (run->message == NULL)
		return NULL;
	dkim_set_user_context(run->message, run);
	if (!dkim_run_field(run, SPAN_LIT(UNNAMEABLE))) {
		dkim_run_free(run);
		return NULL;
	}
	return run;
}

bool
dkim_run_field(struct dkim_run *run, struct span field)
{
	DKIM_STAT status;

	assert(field.n > 0);
	/* It copies the field, but has never heard of const. */
	status = dkim_header(run->message, (u_char *)(uintptr_t)field.p,
			     field.n);
	/* SYNTAX: a name that it does not like; it goes without. */
	return status == DKIM_STAT_OK || status == DKIM_STAT_SYNTAX;
}

bool
dkim_run_header_end(struct dkim_run *run, size_t signatures)
{
	int count = 0;

	if (dkim_eoh(run->message) != DKIM_STAT_OK ||
	    dkim_getsiglist(run->message, &run->list, &count) != DKIM_STAT_OK)
		return false;
	run->signatures = signatures;
	return (size_t)count == signatures;
}

bool
dkim_run_body(struct dkim_run *run, struct span chunk)
{
	assert(chunk.n > 0);
	return dkim_body(run->message, (u_char *)(uintptr_t)chunk.p, chunk.n) ==
	       DKIM_STAT_OK;
}

/* Once more what dkim.c has made sure of. */
static bool
is_strong(DKIM_SIGINFO *sig)
{
	unsigned bits = 0;
	dkim_alg_t algorithm = DKIM_SIGN_UNKNOWN;

	if (dkim_sig_getsignalg(sig, &algorithm) != DKIM_STAT_OK)
		return false;
	if (algorithm == DKIM_SIGN_ED25519SHA256)
		return true;
	return algorithm == DKIM_SIGN_RSASHA256 &&
	       dkim_sig_getkeysize(sig, &bits) == DKIM_STAT_OK &&
	       bits >= DKIM_RSA_BITS_MIN;
}

static enum dkim_run_result
result_of(DKIM_SIGINFO *sig)
{
	unsigned flags = dkim_sig_getflags(sig);
	int body = dkim_sig_getbh(sig);
	int error = dkim_sig_geterror(sig);

	if ((flags & DKIM_SIGFLAG_PASSED) != 0 && body == DKIM_SIGBH_MATCH &&
	    error == DKIM_SIGERROR_OK && is_strong(sig))
		return DKIM_RUN_PASS;
	if (body == DKIM_SIGBH_MISMATCH)
		return DKIM_RUN_BAD_BODY;
	switch (error) {
	case DKIM_SIGERROR_BADSIG:
		return DKIM_RUN_BAD_SIGNATURE;
	case DKIM_SIGERROR_TOOLARGE_L:
		return DKIM_RUN_BAD_LENGTH;
	case DKIM_SIGERROR_KEYDECODE:
	case DKIM_SIGERROR_KEYTOOSMALL:
	case DKIM_SIGERROR_DNSSYNTAX:
	case DKIM_SIGERROR_KEYHASHMISMATCH:
	case DKIM_SIGERROR_KEYUNKNOWNHASH:
	case DKIM_SIGERROR_KEYTYPEUNKNOWN:
	case DKIM_SIGERROR_KEYVERSION:
	case DKIM_SIGERROR_NOTEMAILKEY:
	case DKIM_SIGERROR_SUBDOMAIN:
		return DKIM_RUN_BAD_KEY;
	default:
		return DKIM_RUN_ERROR;
	}
}

bool
dkim_run_finish(struct dkim_run *run, const struct span *key,
		enum dkim_run_result *result)
{
	DKIM_STAT status;
	bool is_test_key = false;

	run->key = key;
	for (size_t i = 0; i < run->signatures; i++)
		if (key[i].n == 0)
			dkim_sig_ignore(run->list[i]);
	status = dkim_eom(run->message, &is_test_key);
	if (status == DKIM_STAT_NORESOURCE || status == DKIM_STAT_INTERNAL ||
	    status == DKIM_STAT_INVALID)
		return false;
	for (size_t i = 0; i < run->signatures; i++)
		result[i] = key[i].n == 0 ? DKIM_RUN_ERROR
					  : result_of(run->list[i]);
	return true;
}

void
dkim_run_free(struct dkim_run *run)
{
	if (run == NULL || run->message == NULL)
		return;
	dkim_free(run->message);
	run->message = NULL;
}
