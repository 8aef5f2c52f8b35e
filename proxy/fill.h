/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fill: a paragraph of a table, broken into lines.
 *
 * Tables carry their prose as one long text; comments, manuals and help are
 * made from it. In mdoc each sentence begins a line, as its tools ask. Pure.
 */
#ifndef PROXY_FILL_H
#define PROXY_FILL_H

#include "smtp/buf.h"

#define FILL_WIDTH 76

/* Append the text in lines of at most FILL_WIDTH columns, each with the prefix
 * (tabs count as one), and a final LF. */
void fill_text(struct span text, const char *prefix, struct buf *out);

/* The same as lines of mdoc. */
void fill_mdoc(struct span text, struct buf *out);

#endif
