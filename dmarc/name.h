/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * name: the forward-confirmed reverse name of an address.
 *
 * What a mail server calls the client's name: a PTR record whose name has the
 * address among its own addresses. Of those that would do, NAME_CANDIDATES are
 * tried. Pure and re-run like an evaluator: what is not among the answers is
 * asked.
 */
#ifndef DMARC_NAME_H
#define DMARC_NAME_H

#include "dmarc/answers.h"
#include "smtp/buf.h"
#include "smtp/ip.h"

#define NAME_CANDIDATES 5

enum name_status {
	NAME_PENDING,     /* questions are open */
	NAME_FOUND,       /* *name is confirmed; it borrows from the answers */
	NAME_UNAVAILABLE, /* there is none */
	NAME_TEMPORARY,   /* it could not be found out now */
};

/* The first confirmed name of the address that is one of the domains, or
 * below one; with count 0, the first. Only such names are asked about. */
enum name_status name_find(const struct ip *ip, const struct span *domains,
			   size_t count, struct answers *answers,
			   struct span *name);

#endif
