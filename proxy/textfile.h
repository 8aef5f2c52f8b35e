/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * textfile: a plain file that a setting names, read whole before anything
 * serves.
 *
 * Blocks: for start, reload and the tool, never for a worker.
 */
#ifndef PROXY_TEXTFILE_H
#define PROXY_TEXTFILE_H

#include "smtp/buf.h"

#include <limits.h>

#define TEXTFILE_OCTETS_MAX ((size_t)64 << 20) /* a zone, a list of domains */

/* All octets of the file, into a buf that the caller has made for as many as
 * it takes. False with one line in faults: it cannot be read, is no plain
 * file (a pipe that nobody writes to would be waited for), or is too large. */
bool textfile_read(const char *name, struct buf *octets, struct buf *faults);

/* All that can be read from a descriptor, until its end. 0, or a negative
 * errno; -EFBIG if the buffer is full. */
int textfile_drain(int fd, struct buf *octets);

/* A path of the configuration as a C string: it holds no NUL, since conf_read()
 * took it from text. False with a line in faults if it is too long. */
bool textfile_path(struct span path, char text[PATH_MAX], struct buf *faults);

#endif
