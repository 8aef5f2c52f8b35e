/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load_mail: the messages that the load is made of, ready to be sent.
 *
 * Each kind is a file, encoded once for all (dots doubled, the end behind it);
 * its envelope; how often it comes among the others; and the code that has to
 * answer it. A mix has the share of each kind exactly, spread evenly, in the
 * same order in every run.
 */
#ifndef TESTS_BENCH_LOAD_MAIL_H
#define TESTS_BENCH_LOAD_MAIL_H

#include "smtp/buf.h"

#define LOAD_MAILS_MAX 16
#define LOAD_ADDRESS_MAX 320

struct load_mail {
	const char *file;
	const char *from; /* '%' in it becomes a number below names */
	const char *to;
	uint64_t weight;   /* 1 unless given */
	uint64_t expected; /* code of the final reply; 250 unless given */
	uint64_t names;    /* 1 unless given */
	uint64_t base;     /* 0 unless given */
	uint64_t sent;     /* counted where the numbers come in order, */
	bool is_in_order;  /* not by chance */
	struct buf content;
	int64_t due; /* of the choice */
};

struct load_mails {
	struct load_mail list[LOAD_MAILS_MAX];
	size_t count;
	int64_t weights; /* of all */
	uint64_t chance; /* for the numbers */
};

/*
 * Add the kind that text describes, "file=…,from=…,to=…,weight=…,expect=…,
 * names=…,base=…,in-order=1", of which file is required. text is cut up and
 * must stay. Anything wrong with it, or with the file, ends the program with
 * one sentence.
 */
void load_mails_add(struct load_mails *mails, char *text);
void load_mails_fini(struct load_mails *mails);

/* The next message's kind; there is at least one. */
struct load_mail *load_mails_next(struct load_mails *mails);

/* Its sender's address for one message, into room for LOAD_ADDRESS_MAX. */
struct span load_mail_from(struct load_mails *mails, struct load_mail *mail,
			   char *room);

#endif
