/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * authres: Authentication-Results: strip what claims to be ours, write ours.
 *
 * Border rule of RFC 8601 5: a field whose authserv-id is one of ours did not
 * come from us and is removed, however it is folded, commented, quoted or
 * versioned. Our own is one field, on top, with all methods; every value that
 * came from outside is quoted where the grammar needs it, so that no local
 * part can inject a property.
 */
#ifndef DMARC_AUTHRES_H
#define DMARC_AUTHRES_H

#include "dmarc/eval.h"
#include "smtp/buf.h"

/*
 * Whether this field is an Authentication-Results (or Received-SPF, which has
 * no id and is always the edge's own business) that must be removed: its
 * authserv-id is one of ids, ASCII case ignored, A- and U-labels alike, or
 * cannot be read without doubt, or its version is not 1 (RFC 8601 5).
 * ARC-Authentication-Results is never ours to remove.
 */
bool authres_is_forged(const struct field *field, const struct span *ids,
		       size_t count);

/*
 * The field, folded, with final CR LF: spf, every dkim, arc where the chain
 * was evaluated, and one dmarc for the message; "none" if nothing was checked.
 * `id` is of our settings, not empty and at most 253 octets. A value that is
 * too long for a line is left out. With the null path smtp.helo stands for
 * smtp.mailfrom. False if buf is full.
 */
bool authres_format(const struct verdict *verdict,
		    const struct spf_facts *facts, struct span id,
		    struct buf *buf);

#endif
