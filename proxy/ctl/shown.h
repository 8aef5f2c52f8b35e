/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shown: octets from outside, made safe for a terminal.
 *
 * Control characters (C0, DEL, and C1 in UTF-8) become '?'; a HTAB stays, and
 * where lines are kept so does LF, while CR goes. Pure.
 */
#ifndef PROXY_CTL_SHOWN_H
#define PROXY_CTL_SHOWN_H

#include "smtp/buf.h"

/* Append text; false if it does not fit. */
bool shown_append(struct buf *out, struct span text, bool keeps_lines);

#endif
