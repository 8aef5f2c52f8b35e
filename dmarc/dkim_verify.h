/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim_verify: the header of a message as a signature in it signs it.
 *
 * DKIM and ARC share it. RFC 6376 3.7, 5.4.2.
 */
#ifndef DMARC_DKIM_VERIFY_H
#define DMARC_DKIM_VERIFY_H

#include "dmarc/canon.h"
#include "dmarc/dkim_signature.h"

/* The fields of a message by name, for all of its signatures: to sort them
 * costs more than to look them up. It lives in the arena, and the message, its
 * header complete, must stay as it is as long. NULL without memory. */
struct dkim_order;
struct dkim_order *dkim_order_new(const struct message *message,
				  struct arena *arena);

/* The hash that the signature in field `own` of the message signs: of the
 * fields that h= names, of several of one name the last first, and of the
 * signature itself. A name beyond those there are stands for none. False
 * without memory. */
bool dkim_verify_hash(struct crypto *crypto, struct dkim_order *order,
		      size_t own, const struct dkim_candidate *candidate,
		      uint8_t digest[CRYPTO_DIGEST_OCTETS]);

#endif
