/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scan: the octets of a message, many at a time.
 *
 * Two questions are asked of every octet of a body: is it part of clean lines,
 * and is it white space that relaxed canonicalisation changes? To ask them one
 * by one costs more than SHA-256 does. Here they are asked of 64 octets at
 * once, by whatever the processor has for it. What is found at the end of a
 * stretch is for the caller to judge: nothing here knows of states or faults.
 *
 * There are several ways to the same answers. A test holds each of them
 * against the definitions below. None reads beyond the end of a span.
 */
#ifndef SMTP_SCAN_H
#define SMTP_SCAN_H

#include "smtp/span.h"

/*
 * How many octets at the start of s are clean lines and no more than that:
 * each CR before a LF, each LF behind a CR, no NUL, and, unless are_dots_plain,
 * no dot at the start of a line. s starts inside a line or, is_line_start, at
 * the start of one; never between CR and LF. Where it stops, an octet of these
 * stands in s, or a CR at its end, or nothing.
 */
size_t scan_lines(struct span s, bool is_line_start, bool are_dots_plain);

/*
 * Copy the first n octets of s to `to` with white space made even, and give
 * the number of octets that is (at most n). White space is SP and HTAB, and
 * in_field CR and LF too: each becomes SP, or nothing where white space
 * follows, or (unless in_field) CR LF. What follows the first n octets is seen
 * in s as far as s goes; what is behind s is neither. `to` has room for
 * n + SCAN_ROOM octets.
 */
#define SCAN_ROOM 64
size_t scan_squeeze(uint8_t *to, struct span s, size_t n, bool in_field);

/* The ways. All processors have the first two; SSE2, and what is behind it,
 * are there where they were built (x86-64, and not with SCAN_NOTHING_BUT_C). */
enum scan_way { SCAN_FASTEST, SCAN_PORTABLE, SCAN_SSE2, SCAN_AVX2 };

/* Go this way from now on, in all of the process: for tests, and for counting
 * instructions. False, and nothing changes, where it cannot be gone. */
bool scan_use(enum scan_way way);

#endif
