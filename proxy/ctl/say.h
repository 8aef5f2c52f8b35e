/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * say: the words that eval's explanation is made of, ours and those of others.
 *
 * What others wrote is made safe to show (see shown.h). What does not fit into
 * the buf shows there. Pure.
 */
#ifndef PROXY_CTL_SAY_H
#define PROXY_CTL_SAY_H

#include "smtp/buf.h"

/* Words of ours; those of others; and these between quotes, where of a very
 * long text the rest is only counted. */
void say(struct buf *out, const char *text);
void say_text(struct buf *out, struct span text);
void say_quoted(struct buf *out, struct span text);

#endif
