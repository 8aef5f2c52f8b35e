/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * segment_text: the lines that frame a segment, and the names of its file.
 */
#include "dmarc/report/json.h"
#include "dmarc/report/json_read.h"
#include "dmarc/report/segment.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

/* "2026-11-28T19:46:55.123456Z", and as it stands in names. */
#define TIME_TEXT "%04d-%02d-%02dT%02d:%02d:%02d.%06uZ"
#define TIME_NAME "%04d%02d%02dT%02d%02d%02d.%06uZ"
#define TIME_MAX 96

#define SECOND_US 1000000

/* --- times -------------------------------------------------------------- */

static struct span
time_format(uint64_t time_us, char text[TIME_MAX], bool is_name)
{
	time_t seconds = (time_t)(time_us / SECOND_US);
	struct tm tm = { 0 };
	int n;

	gmtime_r(&seconds, &tm);
	/* The format differs in its punctuation only. */
	n = snprintf(text, TIME_MAX, is_name ? TIME_NAME : TIME_TEXT,
		     tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		     tm.tm_min, tm.tm_sec, (unsigned)(time_us % SECOND_US));
	assert(n > 0 && n < TIME_MAX);
	return span_make(text, (size_t)n);
}

/* The next digits of a text, without what stands before them. */
static int
take_number(struct span *text, size_t digits)
{
	int value = 0;

	while (text->n > 0 && !octet_is_digit(text->p[0]))
		*text = span_after(*text, 1);
	for (; digits > 0 && text->n > 0; digits--) {
		value = value * 10 + (text->p[0] - '0');
		*text = span_after(*text, 1);
	}
	return value;
}

/* Only what time_format() gives: it is formatted again to see. */
static bool
time_parse(struct span text, uint64_t *time_us, bool is_name)
{
	char again[TIME_MAX];
	struct span rest = text;
	struct tm tm = { 0 };
	time_t seconds;

	tm.tm_year = take_number(&rest, 4) - 1900;
	tm.tm_mon = take_number(&rest, 2) - 1;
	tm.tm_mday = take_number(&rest, 2);
	tm.tm_hour = take_number(&rest, 2);
	tm.tm_min = take_number(&rest, 2);
	tm.tm_sec = take_number(&rest, 2);
	seconds = timegm(&tm);
	if (seconds < 0)
		return false;
	*time_us =
		(uint64_t)seconds * SECOND_US + (unsigned)take_number(&rest, 6);
	return span_equal(time_format(*time_us, again, is_name), text);
}

static bool
uuid_parse(struct span text, char uuid[SEGMENT_UUID_N + 1])
{
	if (text.n != SEGMENT_UUID_N)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
		uint8_t c = text.p[i];

		if (is_dash ? c != '-'
			    : !octet_is_digit(c) && (c < 'a' || c > 'f'))
			return false;
	}
	memcpy(uuid, text.p, text.n);
	uuid[text.n] = '\0';
	return true;
}

/* --- lines -------------------------------------------------------------- */

static void
begin(struct json *json, struct buf *line)
{
	json_init(json, line);
	json_object(json);
	json_key(json, "v");
	json_u64(json, 1);
}

static bool
end(struct json *json)
{
	json_object_end(json);
	return buf_append_octet(json->out, '\n');
}

static void
write_time(struct json *json, const char *key, uint64_t time_us)
{
	char text[TIME_MAX];

	json_key(json, key);
	json_string(json, time_format(time_us, text, false));
}

bool
segment_head_format(const struct segment_head *head, struct span gate,
		    struct buf *line)
{
	struct json json;

	begin(&json, line);
	json_key(&json, "segment");
	json_cstring(&json, head->uuid);
	write_time(&json, "opened", head->opened_us);
	json_key(&json, "previous");
	json_cstring(&json, head->previous[0] == '\0' ? NULL : head->previous);
	json_member(&json, "gate", gate);
	return end(&json);
}

bool
segment_end_format(const char *uuid, uint64_t closed_us, struct buf *line)
{
	struct json json;

	begin(&json, line);
	json_key(&json, "end");
	json_cstring(&json, uuid);
	write_time(&json, "closed", closed_us);
	return end(&json);
}

bool
segment_lost_format(uint64_t count, uint64_t since_us, uint64_t until_us,
		    struct buf *line)
{
	struct json json;

	begin(&json, line);
	json_key(&json, "lost");
	json_u64(&json, count);
	write_time(&json, "since", since_us);
	write_time(&json, "until", until_us);
	return end(&json);
}

/* What stands at a path of a line of ours, without quotes; empty if there is
 * none, or if the line is no record. */
static struct span
member(struct span line, const char *path)
{
	struct span value;

	if (!json_is_object(line) || !json_find(line, "v", &value) ||
	    !span_equal(value, SPAN_LIT("1")) || !json_find(line, path, &value))
		return SPAN_NONE;
	return json_shown(value);
}

bool
segment_head_parse(struct span line, struct segment_head *head)
{
	struct span previous;

	*head = (struct segment_head){ 0 };
	if (!uuid_parse(member(line, "segment"), head->uuid) ||
	    !time_parse(member(line, "opened"), &head->opened_us, false) ||
	    !json_find(line, "previous", &previous))
		return false;
	return span_equal(previous, SPAN_LIT("null")) ||
	       uuid_parse(json_shown(previous), head->previous);
}

bool
segment_is_end(struct span line, const char *uuid)
{
	struct span of = member(line, "end");

	return of.n > 0 && span_equal(of, span_cstr(uuid));
}

uint64_t
segment_lost_parse(struct span line)
{
	uint64_t count = 0;

	/* Spares nearly all lines the search. */
	if (!span_starts(line, SPAN_LIT("{\"v\":1,\"lost\":")))
		return 0;
	return span_u64(member(line, "lost"), &count) ? count : 0;
}

/* --- names -------------------------------------------------------------- */

void
segment_name(const struct segment_head *head, bool is_compressed,
	     char name[SEGMENT_NAME_MAX])
{
	char opened[TIME_MAX];
	int n;

	time_format(head->opened_us, opened, true);
	n = snprintf(name, SEGMENT_NAME_MAX, "verdict-%.24s-%.36s.log%s",
		     opened, head->uuid, is_compressed ? ".gz" : "");
	assert(n > 0 && n < SEGMENT_NAME_MAX);
}

bool
segment_name_parse(const char *name, struct segment_head *head,
		   enum segment_form *form)
{
	struct span text = span_cstr(name);
	char again[SEGMENT_NAME_MAX];
	size_t dash;

	*head = (struct segment_head){ 0 };
	if (!span_starts(text, SPAN_LIT("verdict-")))
		return false;
	text = span_after(text, strlen("verdict-"));
	dash = span_find(text, '-');
	if (!time_parse(span_first(text, dash), &head->opened_us, true) ||
	    dash + 1 + SEGMENT_UUID_N > text.n)
		return false;
	text = span_after(text, dash + 1);
	if (!uuid_parse(span_first(text, SEGMENT_UUID_N), head->uuid))
		return false;
	*form = text.n > SEGMENT_UUID_N + strlen(".log") ? SEGMENT_IS_COMPRESSED
							 : SEGMENT_IS_ROTATED;
	segment_name(head, *form == SEGMENT_IS_COMPRESSED, again);
	return strcmp(again, name) == 0;
}
