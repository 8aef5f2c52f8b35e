/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sink_mail: a mail that the sink took, in writing.
 *
 * For people: envelope, client and message, with control characters made
 * visible. For programs: the message's octets in one file, and envelope and
 * client as JSON in another beside it.
 */
#ifndef PROXY_CTL_SINK_MAIL_H
#define PROXY_CTL_SINK_MAIL_H

#include "proxy/ctl/sink_session.h"

/* As text; false if it does not fit. */
bool sink_mail_print(const struct sink_mail *mail, uint64_t number,
		     struct buf *out);

/* As JSON on one line with its LF; false if it does not fit. */
bool sink_mail_describe(const struct sink_mail *mail, uint64_t number,
			struct buf *out);

/* DIRECTORY/000001.eml and .json, the latter written last and made visible
 * whole. 0 or a negative errno. */
int sink_mail_write(const struct sink_mail *mail, uint64_t number,
		    const char *directory);

#endif
