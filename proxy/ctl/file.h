/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file: whole files for the tool: a message, a zone, a suffix list.
 *
 * The lines of a message file may end in LF, as files do, or in CR LF; the
 * message has them in CR LF, as on the wire.
 */
#ifndef PROXY_CTL_FILE_H
#define PROXY_CTL_FILE_H

#include "smtp/buf.h"

#define FILE_OCTETS_MAX ((size_t)256 << 20)

/* Append all octets of a file; "-" is standard input. 0 or a negative errno
 * (-EFBIG if they do not fit). */
int file_read(const char *name, struct buf *octets);

enum file_fault { FILE_GOOD, FILE_BARE_CR, FILE_NUL, FILE_TOO_LARGE };

/*
 * The octets of a message file as a message: lines in CR LF, the last one too.
 * A CR inside a line and a NUL are faults, as the gate takes them for such; a
 * normalising one makes spaces of them.
 */
enum file_fault file_lines(struct span octets, bool is_normalising,
			   struct buf *message);

#endif
