/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log_line: a verdict line for people.
 *
 *     2026-11-21T12:00:00Z reject 192.0.2.10 from=sender.example
 *     dmarc=fail(p=reject) spf=softfail(sender.example) dkim=none
 *     <alice@sender.example> -> <bob@backend.example> "550 5.7.1 …" id=6q3k
 *
 * on one line. Values are shown as the line has them, still escaped. Pure.
 */
#ifndef PROXY_CTL_LOG_LINE_H
#define PROXY_CTL_LOG_LINE_H

#include "smtp/buf.h"

/* Append the summary of a verdict line, which has been checked, with its LF.
 * False if it does not fit. */
bool log_line_format(struct span line, struct buf *out);

#endif
