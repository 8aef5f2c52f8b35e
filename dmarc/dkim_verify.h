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

/* The hash that the signature in field `own` of the message signs: of the
 * fields that h= names, of several of one name the last first, and of the
 * signature itself. A name beyond those there are stands for none. False
 * without memory. */
bool dkim_verify_hash(struct crypto *crypto, const struct message *message,
		      size_t own, const struct dkim_candidate *candidate,
		      uint8_t digest[CRYPTO_DIGEST_OCTETS]);

#endif
