/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gzip: files compressed as gzip does (RFC 1952), by zlib.
 *
 * Files of our own making: what cannot be read is -EBADMSG, wherever it is cut
 * short, and what was read before that stands.
 */
#ifndef DMARC_REPORT_GZIP_H
#define DMARC_REPORT_GZIP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All of one file, from its start, into another. 0 or a negative errno. */
int gzip_compress(int from, int to);

struct gzip_reader;

/* A reader on a descriptor, which stays the caller's; NULL without memory. */
struct gzip_reader *gzip_reader_new(int fd);
void gzip_reader_free(struct gzip_reader *reader);

/* The next octets, uncompressed: their number, 0 at the end, or a negative
 * errno. */
ssize_t gzip_read(struct gzip_reader *reader, void *octets, size_t n);

#endif
