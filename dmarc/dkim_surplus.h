/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim_surplus: fields that a signature was meant to cover, and does not.
 *
 * A signature covers as many fields of a name as h= names it, the last ones
 * (RFC 6376 5.4.2). Whoever has a signed message may put another Subject, To
 * or Content-Type on top of it and send it again; it verifies, and many mail
 * programs show the first. RFC 6376 8.15 advises strongly to reject or suspect
 * messages with several of a field that there is once at most; here, such a
 * signature says nothing about the message.
 */
#ifndef DMARC_DKIM_SURPLUS_H
#define DMARC_DKIM_SURPLUS_H

#include "smtp/message.h"

/* Whether the message has more fields than h= names, of a name that h= has,
 * that there may be one of, and by which a message is shown. */
bool dkim_leaves_surplus(struct span h, const struct message *message);

#endif
