/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * post: one message of a sender, made up from random numbers: who wrote it,
 * for whom it is, what is wrong with it, its octets as they go over the wire,
 * and what has become of it.
 */
#ifndef TESTS_SIM_POST_H
#define TESTS_SIM_POST_H

#include "proxy/conf.h"
#include "smtp/buf.h"

#define POST_RECIPIENTS_MAX 5

/* Whose name is in From. Of all of them only the first is who he says; the
 * policies are those of world.zone. */
enum author {
	AUTHOR_HONEST,   /* sender.example */
	AUTHOR_SIGNED,   /* victim.example, with its signature */
	AUTHOR_VICTIM,   /* p=reject */
	AUTHOR_CAREFUL,  /* p=quarantine */
	AUTHOR_LENIENT,  /* p=none */
	AUTHOR_UNKNOWN,  /* no record */
	AUTHOR_TROUBLED, /* its name servers fail */
	AUTHOR_COUNT,
};

enum flaw {
	FLAW_NONE,
	FLAW_NO_FROM,
	FLAW_TWO_FROMS,
	FLAW_FOLD_FIRST, /* a continuation line before any field */
	FLAW_EMPTY,
	FLAW_NO_BODY,
	FLAW_LINE_ENDINGS,
	FLAW_HEADER_TOO_LARGE,
	FLAW_TOO_LARGE,
	FLAW_FAR_TOO_LARGE,
	FLAW_COUNT,
};

enum fate { FATE_OPEN, FATE_DELIVERED, FATE_REFUSED };

struct post_recipient {
	char address[64];
	enum fate fate;
	unsigned copies; /* that backends took */
};

struct post {
	enum author author;
	enum flaw flaw;
	bool is_null_sender;
	bool is_eight_bit;
	struct post_recipient recipients[POST_RECIPIENTS_MAX];
	unsigned count;
	struct buf wire; /* for DATA */
	struct buf text; /* the same for BDAT */
	/* The same with octets behind it that only BINARYMIME can carry; empty
	 * if it has none. */
	struct buf binary;
};

/* What a message is made from: the next number of a sequence, 0 … n - 1. */
struct post_dice {
	unsigned (*below)(void *dice, unsigned n);
	void *dice;
};

void post_init(struct post *post);
void post_fini(struct post *post);

/* A new message. */
void post_make(struct post *post, const struct conf *conf,
	       const struct post_dice *dice);

/* The class of reply that its data must get where nothing goes wrong; 0: any.
 * Without a route it comes from a client that has logged in. */
unsigned post_expected(const struct post *post, const struct conf *conf,
		       const struct conf_route *route);

#endif
