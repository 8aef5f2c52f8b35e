/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domain_list: a long list of domains, as people keep them in a file.
 *
 * One domain a line; what stands behind "#", and white space at either end of
 * a line, means nothing. A domain stands for itself and all below it. Found in
 * logarithmic time, however long the list. Immutable; may be shared.
 */
#ifndef DMARC_DOMAIN_LIST_H
#define DMARC_DOMAIN_LIST_H

#include "smtp/arena.h"

struct domain_list;

/* A list of `domains`, which are normalised, and of those in the text, which
 * may be empty. NULL without memory, or if a line of the text is no domain:
 * *line is then its number, counted from 1; else 0. The caller owns the list,
 * which keeps nothing of what it was made from. */
struct domain_list *domain_list_new(const struct span *domains, size_t count,
				    struct span text, size_t *line);
void domain_list_free(struct domain_list *list); /* NULL is allowed */

/* Whether a normalised domain, or one above it, is in the list; NULL is the
 * empty one. */
bool domain_list_has(const struct domain_list *list, struct span domain);

#endif
