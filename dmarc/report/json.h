/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json: a writer of JSON (RFC 8259) on one line, over a buf.
 *
 * Texts may hold any octets. What is not UTF-8 becomes U+FFFD, one for each
 * octet, and a member written by json_member() then gets a twin, its key with
 * "_b64" behind it, with the octets themselves; so does a list of strings
 * (null where an element is good UTF-8). Control characters (C0, DEL, C1),
 * line and paragraph separators and bidirectional controls are escaped as
 * \u, so that a line is one line and safe to show on a terminal.
 *
 * Commas and nesting are kept here; a key where none may stand, or an end too
 * many, is asserted against. Whether all fitted is asked of the buf at the
 * end. Pure.
 */
#ifndef DMARC_REPORT_JSON_H
#define DMARC_REPORT_JSON_H

#include "smtp/buf.h"

#define JSON_DEPTH_MAX 16

struct json {
	struct buf *out;
	unsigned depth;
	bool is_key_open;                 /* a key waits for its value */
	bool has_members[JSON_DEPTH_MAX]; /* of what is open at each depth */
};

/* A writer of one value to out. */
void json_init(struct json *json, struct buf *out);

void json_object(struct json *json);
void json_object_end(struct json *json);
void json_array(struct json *json);
void json_array_end(struct json *json);

/* A member of an object: this, then one value. Keys are ours: plain ASCII. */
void json_key(struct json *json, const char *key);

/* False where text is not UTF-8. */
bool json_string(struct json *json, struct span text);
void json_cstring(struct json *json, const char *text); /* NULL: null */
void json_u64(struct json *json, uint64_t value);
void json_bool(struct json *json, bool value);
void json_null(struct json *json);

/* value / 1000 with as many decimals as it needs: 3100 is 3.1. */
void json_thousandths(struct json *json, uint64_t value);

/* The octets in base64 (RFC 4648 4). */
void json_base64(struct json *json, struct span octets);

/* "key": text, with its twin if it is not UTF-8. */
void json_member(struct json *json, const char *key, struct span text);

/* "key": [texts], each cut at text_max octets, with its twin if one of them is
 * not UTF-8. */
void json_member_list(struct json *json, const char *key,
		      const struct span *texts, size_t count, size_t text_max);

/* The octets of text that fit into max without cutting a character. */
struct span json_cut(struct span text, size_t max);

#endif
