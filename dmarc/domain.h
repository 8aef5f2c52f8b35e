/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domain: names of domains, normalised, and what stands above them.
 *
 * A normalised domain is in lower case, in A-labels (IDNA 2008, with UTS 46
 * non-transitional mapping), without trailing dot, at most 253 octets in
 * labels of 1 to 63. Everything below dmarc/ compares and looks up normalised
 * names only. Underscores are let through: they occur in DKIM selectors and
 * in SPF names.
 *
 * The organizational domain by the tree walk of RFC 9989 needs DNS: see
 * dmarc/discovery.h. By the public suffix list it is here; this file is the
 * only one that knows libpsl and libidn2. libpsl neither lower-cases nor
 * strips a dot and gives nonsense for addresses: it only ever sees normalised
 * names here.
 */
#ifndef DMARC_DOMAIN_H
#define DMARC_DOMAIN_H

#include "smtp/arena.h"

#define DOMAIN_MAX 253
#define DOMAIN_LABEL_MAX 63

/*
 * The normalised form of text, in the arena. False if it is no domain: empty,
 * an address literal or an IPv4 address, an empty label, too long, a U-label
 * that IDNA refuses, octets no host name has, or bad UTF-8; and if the arena
 * is full. A-labels are kept as they are, whether or not they decode.
 */
bool domain_normalise(struct span text, struct arena *arena,
		      struct span *domain);

/* Number of labels of a normalised domain; 0 for the empty one. */
size_t domain_labels(struct span domain);

/* The rightmost `labels` labels of a normalised domain. */
struct span domain_suffix(struct span domain, size_t labels);

/* The domain one label up; empty above a single label. */
struct span domain_parent(struct span domain);

/* Whether domain is `above` or stands below it. */
bool domain_is_within(struct span domain, struct span above);

/* "label.domain" in the arena ("_dmarc", "s1._domainkey"); empty if the name
 * would be too long for DNS or the arena is full. */
struct span domain_prefix(struct span label, struct span domain,
			  struct arena *arena);

/* A public suffix list. Immutable once made; may be shared. */
struct domain_psl;

/* From the octets of a public_suffix_list.dat; NULL if it holds no rule, or a
 * line that is none, or memory is short. The caller owns it. */
struct domain_psl *domain_psl_new(struct span text);

/* The number of the first line that is no rule, counted from 1; 0 if there is
 * none such. What a server says in place of the list must not be taken for
 * one: all below co.uk would be one organization. */
size_t domain_psl_fault(struct span text);

/* libpsl's built-in list; NULL if it has none. */
struct domain_psl *domain_psl_builtin(void);
void domain_psl_free(struct domain_psl *psl);

/* The organizational domain by the list (RFC 7489 3.2): the public suffix and
 * one label; a public suffix itself is its own. Borrows from domain. */
struct span domain_psl_organizational(const struct domain_psl *psl,
				      struct span domain);

#endif
