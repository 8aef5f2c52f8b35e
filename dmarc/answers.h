/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answers: the questions one evaluation asked of DNS, and what came back.
 *
 * An evaluator never waits: it looks here, and a name that is not there is
 * noted as a question. When it has nothing more to ask, whoever runs it finds
 * answers for the open questions and runs it again from the start, until it
 * asks nothing new. All of it lives in the mail's arena. The same list, in
 * the order of asking, is the verdict line's "dns".
 *
 * Names are lower case, without trailing dot, A-labels (dmarc/domain.h makes
 * them so); two spellings of one name are one question. At most `max`
 * questions, less those `reserved` for what will have to be asked later:
 * beyond that every new one is answered ANSWER_TEMPERROR at once and
 * `has_overflowed` says why.
 *
 * Pure. Not a cache: that is proxy/resolver.
 */
#ifndef DMARC_ANSWERS_H
#define DMARC_ANSWERS_H

#include "smtp/arena.h"

/* What limits a hostile message: SPF_QUESTIONS_MAX (ten terms of ten names
 * each, and some that are asked ahead), twenty DKIM keys, eight author domains
 * of eight names each, sixty ARC keys. */
#define ANSWERS_MAX 320
#define ANSWERS_RECORDS_MAX 128

enum dns_type {
	DNS_A = 1,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
};

enum answer_status {
	ANSWER_OPEN,      /* not known yet */
	ANSWER_OK,        /* at least one record of the type */
	ANSWER_NODATA,    /* the name exists, not with this type */
	ANSWER_NXDOMAIN,  /* the name does not exist (RFC 8020) */
	ANSWER_TEMPERROR, /* SERVFAIL, time-out, REFUSED, malformed, … */
};

/* What evaluators make of an answer and keep with it. */
enum answer_made {
	ANSWER_MADE_EXPLANATION, /* by SPF, a text */
	ANSWER_MADE_POLICY,      /* by discovery, of all its records */
};
#define ANSWER_MADE_KINDS 2

struct dns_record {
	/* A: 4 octets. AAAA: 16. MX, PTR: a normalised name (MX "." is the
	 * empty span). TXT: all character-strings joined, nothing between. */
	struct span value;
	uint16_t preference; /* MX */
};

struct answer {
	struct span name;
	enum dns_type type;
	enum answer_status status;
	bool is_sent;      /* somebody is looking */
	bool is_cached;    /* came from a cache or a zone file */
	bool is_authentic; /* the resolver vouches for it: AD, RFC 4035 3.2.3 */
	uint32_t ttl_s;
	float ms;          /* how long it took */
	const char *error; /* for ANSWER_TEMPERROR, constant: "SERVFAIL" … */
	size_t records;
	const struct dns_record *record;
	struct span kept[ANSWER_MADE_KINDS]; /* see answers_keep() */
};

struct answers {
	struct arena *arena;
	struct answer **list; /* in the order of asking */
	size_t count;
	size_t cap;
	size_t max;
	size_t reserved; /* of max, for now */
	size_t open;     /* of them not answered yet */
	bool has_overflowed;
};

/* An empty list in an arena; no more than max questions. */
void answers_init(struct answers *answers, struct arena *arena, size_t max);

/*
 * The answer to a question if it is known; else NULL, and the question is
 * noted. `name` must be normalised; it is copied. Asking is idempotent.
 */
const struct answer *answers_ask(struct answers *answers, struct span name,
				 enum dns_type type);

/* The next question nobody has been sent for: marks it as sent, gives its
 * index in *index. False if there is none. */
bool answers_unsent(struct answers *answers, size_t *index);

/*
 * Settle question `index`; records are copied into the arena. An answer with
 * more than ANSWERS_RECORDS_MAX records, or that no longer fits, becomes
 * ANSWER_TEMPERROR. Settling twice is asserted against.
 */
void answers_settle(struct answers *answers, size_t index,
		    const struct answer *answer);

/* A copy in the arena of what an evaluator has made of this answer; the first
 * one of a kind is kept with it as `kept`, for the evaluator's next run. Empty
 * if it does not fit. */
struct span answers_keep(struct answers *answers, const struct answer *answer,
			 enum answer_made kind, struct span made);

/* Every open question becomes ANSWER_TEMPERROR with this error. */
void answers_give_up(struct answers *answers, const char *error);

const char *dns_type_name(enum dns_type type);
const char *answer_status_name(enum answer_status status);

#endif
