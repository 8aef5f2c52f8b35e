/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json_read: verdict lines read back, without building anything.
 *
 * A line is checked once, whole; then values are looked up by their path and
 * given as spans of the line. Strict as RFC 8259, with no white space between
 * tokens (we write none) and no more than JSON_READ_DEPTH levels. Strings are
 * checked for their escapes, not for UTF-8: torn lines are what this is
 * about. Pure, no recursion.
 */
#ifndef DMARC_REPORT_JSON_READ_H
#define DMARC_REPORT_JSON_READ_H

#include "smtp/buf.h"

#define JSON_READ_DEPTH 32

/* Whether text is one object and nothing else. */
bool json_is_object(struct span text);

/*
 * The value at a path of keys and indices such as "dkim.0.result"; false if
 * there is none. text has been checked. Strings are given with their quotes.
 */
bool json_find(struct span text, const char *path, struct span *value);

/* The elements of an array one by one: *array is what is left of it, and false
 * at its end; also for what is no array. */
bool json_next(struct span *array, struct span *element);

/* What a string says, still escaped and thus safe to show; the text itself of
 * a number, true or false; empty for null, an object and an array. */
struct span json_shown(struct span value);

/*
 * Where another record begins in a line that begins with a torn one: the first
 * `{"v":1,` behind its first octet, which cannot stand inside a string. Empty
 * if there is none.
 */
struct span json_resynchronise(struct span line);

#endif
