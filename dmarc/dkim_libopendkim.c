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
 * Why a signature that we refuse is still given to it, as a field that it
 * ignores, where that is harmless: another signature may cover it, and would
 * fail without it. Malformed ones, and those over a cap, are withheld all the
 * same; then a signature that covers such fields and fails is not said to have
 * failed.
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

/* What hostile mail makes it slow or large by. */
#define HEADER_MAX 262144
#define WORD_MAX 65536
#define KEY_RECORD_MAX 1024

#define NAME SPAN_LIT("DKIM-Signature")

struct run {
	DKIM *message;
	DKIM_SIGINFO **list;               /* the library's */
	size_t count;                      /* of them, and … */
	size_t candidate[DKIM_LISTED_MAX]; /* … which they are */
	size_t whole[DKIM_LISTED_MAX]; /* the body's hash, to count octets */
	bool has_withheld;
	bool has_body;
	const struct dkim_key *key; /* during finish() */
};

/* libopendkim's key look-up: the record for sig, with a NUL. */
static DKIM_CBSTAT
look_up_key(DKIM *message, DKIM_SIGINFO *sig, u_char *text, size_t size)
{
	const struct run *run = dkim_get_user_context(message);

	for (size_t i = 0; i < run->count; i++) {
		struct span key = run->key[run->candidate[i]].record;

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

static bool
open_library(struct dkim_engine *engine)
{
	DKIM_LIB *library = dkim_init(NULL, NULL);

	if (library == NULL)
		return false;
	if (!set_options(library)) {
		dkim_close(library);
		return false;
	}
	engine->own = library;
	return true;
}

static void
close_library(struct dkim_engine *engine)
{
	dkim_close(engine->own);
}

/* A field without its final CR LF and without NUL. */
static bool
give_field(struct run *run, struct span field)
{
	DKIM_STAT status;

	assert(field.n > 0);
	/* It copies the field, but has never heard of const. */
	status = dkim_header(run->message, (u_char *)(uintptr_t)field.p,
			     field.n);
	/* SYNTAX: a name that it does not like; it goes without. */
	return status == DKIM_STAT_OK || status == DKIM_STAT_SYNTAX;
}

/* Whether it is given this signature; notes which one that is. */
static bool
is_given(const struct dkim_message *message, struct run *run, size_t *at)
{
	size_t i = (*at)++;

	if (i >= message->candidates ||
	    message->candidate[i].fate == DKIM_FATE_WITHHELD) {
		run->has_withheld = true;
		return false;
	}
	run->candidate[run->count++] = i;
	/* What l= leaves unsigned it does not tell. One canonicalisation needs
	 * one hash, so there is always room. */
	if (message->candidate[i].length != DKIM_WHOLE_BODY)
		canon_body_want(message->bodies,
				message->candidate[i].is_body_relaxed,
				DKIM_WHOLE_BODY, &run->whole[i]);
	return true;
}

static bool
give_header(const struct dkim_message *message, struct run *run)
{
	size_t at = 0;

	for (size_t i = 0; i < message->message->fields; i++) {
		struct field field = message_field(message->message, i);

		/* Each counts, also one that the library cannot take. */
		if (span_equal_nocase(field.name, NAME) &&
		    !is_given(message, run, &at))
			continue;
		if (field.is_malformed || span_find(field.raw, 0) < field.raw.n)
			continue;
		if (!give_field(run, span_first(field.raw, field.raw.n - 2)))
			return false;
	}
	return true;
}

static bool
end_header(struct run *run)
{
	int count = 0;

	return dkim_eoh(run->message) == DKIM_STAT_OK &&
	       dkim_getsiglist(run->message, &run->list, &count) ==
		       DKIM_STAT_OK &&
	       (size_t)count == run->count;
}

static bool
begin(struct dkim_engine *engine, struct dkim_message *message)
{
	struct run *run = arena_alloc(message->arena, sizeof(*run));
	DKIM_STAT status;

	message->own = run;
	if (run == NULL)
		return false;
	run->message = dkim_verify(
		engine->own, (const unsigned char *)"dmarcgate", NULL, &status);
	if (run->message == NULL)
		return false;
	dkim_set_user_context(run->message, run);
	return give_field(run, SPAN_LIT(UNNAMEABLE)) &&
	       give_header(message, run) && end_header(run);
}

static bool
give_body(struct run *run, struct span chunk)
{
	return dkim_body(run->message, (u_char *)(uintptr_t)chunk.p, chunk.n) ==
	       DKIM_STAT_OK;
}

static bool
body(struct dkim_message *message, struct span chunk)
{
	struct run *run = message->own;

	run->has_body = true;
	return give_body(run, chunk);
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

static void
find(const struct dkim_message *message, const struct run *run, size_t k,
     struct dkim_finding *finding)
{
	size_t i = run->candidate[k];
	bool may_lack_fields =
		message->candidate[i].covers_signatures && run->has_withheld;

	if (run->key[i].record.n == 0)
		return;
	finding[i].result = result_of(run->list[k]);
	if (message->candidate[i].length != DKIM_WHOLE_BODY)
		finding[i].octets =
			canon_body_octets(message->bodies, run->whole[i]);
	if (finding[i].result == DKIM_RUN_BAD_SIGNATURE && may_lack_fields)
		finding[i].result = DKIM_RUN_LACKS_FIELDS;
}

/* RFC 6376 3.4.3, 3.4.4: a last line without CR LF gets one. Where there is
 * one, this is an empty line at the end, which is never hashed. */
static bool
end_body(struct run *run)
{
	return !run->has_body || give_body(run, SPAN_LIT("\r\n"));
}

static bool
finish(struct dkim_engine *engine, struct dkim_message *message,
       const struct dkim_key *key, struct dkim_finding *finding)
{
	struct run *run = message->own;
	bool is_test_key = false;
	DKIM_STAT status;

	(void)engine;
	run->key = key;
	for (size_t i = 0; i < message->candidates; i++)
		finding[i] = (struct dkim_finding){ DKIM_RUN_ERROR, 0 };
	for (size_t k = 0; k < run->count; k++)
		if (key[run->candidate[k]].record.n == 0)
			dkim_sig_ignore(run->list[k]);
	if (!end_body(run))
		return false;
	status = dkim_eom(run->message, &is_test_key);
	if (status == DKIM_STAT_NORESOURCE || status == DKIM_STAT_INTERNAL ||
	    status == DKIM_STAT_INVALID)
		return false;
	for (size_t k = 0; k < run->count; k++)
		find(message, run, k, finding);
	return true;
}

static void
drop(struct dkim_message *message)
{
	struct run *run = message->own;

	if (run != NULL && run->message != NULL)
		dkim_free(run->message);
	message->own = NULL;
}

const struct dkim_methods dkim_libopendkim = {
	.header_max = HEADER_MAX,
	.word_max = WORD_MAX,
	.key_record_max = KEY_RECORD_MAX,
	.is_ascii_only = true,
	.loses_tabs = true,
	.open = open_library,
	.close = close_library,
	.begin = begin,
	.body = body,
	.finish = finish,
	.drop = drop,
};
