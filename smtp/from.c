/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * from: the domains of an RFC 5322 From field.
 *
 * The question is not "what does the grammar say" but "which domains could a
 * person be shown". Mail programs differ in what they make of odd fields, and
 * forgers look for the difference between the reader and the gate. So there
 * are two answers only: all the domains that any reading gives, or malformed.
 * The grammar's own dark corners (comments and quotes around an addr-spec that
 * hold an address themselves, routes, encoded words) are judged by that.
 *
 * The octets are checked once as a whole: then NUL and stray line ends do not
 * exist, and CR and LF are white space like any other. The rest is one pass
 * from left to right, without recursion, each octet looked at a few times.
 */
#include "smtp/address.h"

#define COMMENT_DEPTH_MAX 16
#define LINE_MAX_OCTETS 998 /* RFC 5322 2.1.1, without CR LF */

struct reader {
	struct span rest;
	struct from *from;
	bool is_in_group;
	size_t groups;
	bool has_too_many;       /* distinct domains */
	bool has_comment;        /* where white space was skipped last */
	bool has_hidden_mark;    /* '@', '<' or '>' in quotes or a comment */
	bool has_hidden_fold;    /* … and a line end */
	bool has_marked_comment; /* '@' in a comment */
	bool has_gap;            /* no address between two commas */
};

static uint8_t
peek(const struct reader *reader)
{
	return reader->rest.n == 0 ? '\0' : reader->rest.p[0];
}

static void
skip(struct reader *reader, size_t n)
{
	reader->rest = span_after(reader->rest, n);
}

static bool
take(struct reader *reader, uint8_t c)
{
	if (reader->rest.n == 0 || reader->rest.p[0] != c)
		return false;
	skip(reader, 1);
	return true;
}

/*
 * The next octet inside quotes or a comment; a quoted pair counts as one, and
 * gives the octet it quotes. False at the end, and for a quoted line end.
 */
static bool
quotable_take(struct reader *reader, uint8_t *c, bool *is_quoted)
{
	*is_quoted = take(reader, '\\');
	*c = peek(reader);
	if (reader->rest.n == 0 || (*is_quoted && (*c == '\r' || *c == '\n')))
		return false;
	reader->has_hidden_mark |= *c == '@' || *c == '<' || *c == '>';
	reader->has_hidden_fold |= *c == '\r';
	skip(reader, 1);
	return true;
}

static bool
octet_is_white(uint8_t c)
{
	return octet_is_wsp(c) || c == '\r' || c == '\n';
}

/* A comment, and those inside it. False if it does not end, is nested too
 * deeply, looks like an angle-addr, or is not the same to a reader for whom it
 * ends with its first ')' (postal-mime): it then holds an address behind that,
 * or text that would be of the domain before the comment. */
static bool
comment_skip(struct reader *reader)
{
	bool is_behind = false; /* … the first ')' */
	bool is_right_behind = false;
	size_t depth = 0;
	bool is_quoted;
	uint8_t c;

	do {
		if (!quotable_take(reader, &c, &is_quoted))
			return false;
		if (c == '<' || c == '>' || (c == '@' && is_behind))
			return false;
		if (is_right_behind && !octet_is_white(c) &&
		    (c != ')' || is_quoted))
			return false;
		reader->has_marked_comment |= c == '@';
		is_right_behind = c == ')';
		is_behind |= is_right_behind;
		if (c == '(' && !is_quoted && ++depth > COMMENT_DEPTH_MAX)
			return false;
		if (c == ')' && !is_quoted)
			depth--;
	} while (depth > 0);
	return true;
}

/* RFC 5322 3.2.2 CFWS, or nothing. */
static bool
cfws_skip(struct reader *reader)
{
	reader->has_comment = false;
	for (;;) {
		if (octet_is_white(peek(reader))) {
			skip(reader, 1);
		} else if (peek(reader) != '(') {
			return true;
		} else {
			reader->has_comment = true;
			if (!comment_skip(reader))
				return false;
		}
	}
}

/* White space inside an addr-spec or angle-addr. A comment there is legal (RFC
 * 5322 3.4.1 has it as SHOULD NOT), but part of the domain to some. */
static bool
inner_white_skip(struct reader *reader)
{
	while (octet_is_white(peek(reader)))
		skip(reader, 1);
	return peek(reader) != '(';
}

static bool
chunk_begins(const struct reader *reader)
{
	uint8_t c = peek(reader);

	return c == '"' || c == '.' || octet_is_atext(c);
}

/* A quoted string, or a run of atoms and dots; what phrases and local parts
 * are made of. False if a quoted string does not end. */
static bool
chunk_take(struct reader *reader, struct span *chunk)
{
	struct span start = reader->rest;
	bool is_quoted;
	uint8_t c;

	if (take(reader, '"')) {
		do {
			if (!quotable_take(reader, &c, &is_quoted))
				return false;
		} while (c != '"' || is_quoted);
	} else {
		while (octet_is_atext(peek(reader)) || peek(reader) == '.')
			skip(reader, 1);
	}
	*chunk = span_first(start, start.n - reader->rest.n);
	return chunk->n > 0;
}

/*
 * Whether a chunk can be a local part that everybody reads alike. An encoded
 * word must not stand in an addr-spec, nor in quotes (RFC 2047 5); some
 * programs decode it all the same. In quotes '@', '<' and '>' are allowed by
 * RFC 5322 and taken for the real ones by some.
 */
static bool
local_is_plain(struct span local)
{
	bool has_begun = false; /* an encoded word, with "=?" */

	for (size_t i = 0; i < local.n; i++) {
		uint8_t c = local.p[i];
		uint8_t before = i == 0 ? '\0' : local.p[i - 1];

		if (c == '@' || c == '<' || c == '>')
			return false;
		if (has_begun && before == '?' && c == '=')
			return false;
		has_begun |= before == '=' && c == '?';
	}
	return true;
}

static struct span
without_final_dot(struct span domain)
{
	if (domain.n > 0 && domain.p[domain.n - 1] == '.')
		domain.n--;
	return domain;
}

static void
domain_add(struct reader *reader, struct span domain)
{
	struct from *from = reader->from;
	struct span plain = without_final_dot(domain);

	for (size_t i = 0; i < from->domains; i++)
		if (span_equal_nocase(without_final_dot(from->domain[i]),
				      plain))
			return;
	if (from->domains == FROM_DOMAINS_MAX)
		reader->has_too_many = true;
	else
		from->domain[from->domains++] = domain;
}

/* '@' and a domain, which is taken into the list. Host names only: a literal
 * has no policy. */
static bool
domain_read(struct reader *reader)
{
	struct span domain = SPAN_NONE;

	if (!take(reader, '@') || !inner_white_skip(reader) ||
	    !chunk_take(reader, &domain) ||
	    !address_is_domain(without_final_dot(domain)))
		return false;
	domain_add(reader, domain);
	return true;
}

/* The rest of an addr-spec behind its local part and the white space there. */
static bool
addr_spec_read(struct reader *reader, struct span local)
{
	if (!local_is_plain(local) || !domain_read(reader))
		return false;
	if (reader->from->first.n == 0)
		reader->from->first =
			span_make(local.p, (size_t)(reader->rest.p - local.p));
	return true;
}

/* RFC 5322 4.4 obs-route. Its domains are given too: some programs show
 * the first domain of an angle-addr, whatever it is. */
static bool
route_read(struct reader *reader)
{
	do {
		if (!inner_white_skip(reader) || !domain_read(reader) ||
		    !inner_white_skip(reader))
			return false;
	} while (take(reader, ','));
	return take(reader, ':') && inner_white_skip(reader);
}

static bool
angle_addr_read(struct reader *reader)
{
	struct span local;

	if (!take(reader, '<') || !inner_white_skip(reader))
		return false;
	if (peek(reader) == '@' && !route_read(reader))
		return false;
	return chunk_take(reader, &local) && inner_white_skip(reader) &&
	       addr_spec_read(reader, local) && inner_white_skip(reader) &&
	       take(reader, '>');
}

/*
 * A mailbox, or the display name and colon that open a group. Until its end is
 * seen a phrase may turn out to be a local part: so the chunks are counted. An
 * unquoted address may stand where a display name should, as it often does.
 */
static bool
address_read(struct reader *reader)
{
	struct span chunk = SPAN_NONE;
	bool has_addr_spec = false;
	size_t chunks;

	for (chunks = 0; chunk_begins(reader); chunks++)
		if (!chunk_take(reader, &chunk) || !cfws_skip(reader))
			return false;
	if (peek(reader) == '@') {
		if (chunks != 1 || reader->has_comment ||
		    !addr_spec_read(reader, chunk) || !cfws_skip(reader))
			return false;
		has_addr_spec = true;
	}
	if (peek(reader) == ':') {
		if (chunks == 0 || has_addr_spec || reader->is_in_group)
			return false;
		reader->is_in_group = true;
		reader->groups++;
		return take(reader, ':');
	}
	reader->from->mailboxes++;
	return peek(reader) == '<' ? angle_addr_read(reader) : has_addr_spec;
}

static bool
address_list_read(struct reader *reader)
{
	bool may_begin = true; /* an address may stand here */

	for (;;) {
		if (!cfws_skip(reader))
			return false;
		if (may_begin && (peek(reader) == ',' || reader->rest.n == 0))
			reader->has_gap = true;
		if (reader->rest.n == 0)
			return !reader->is_in_group;
		if (take(reader, ',')) {
			may_begin = true;
		} else if (reader->is_in_group && take(reader, ';')) {
			reader->is_in_group = false;
			may_begin = false;
		} else {
			bool was_in_group = reader->is_in_group;

			if (!may_begin || !address_read(reader))
				return false;
			may_begin = reader->is_in_group && !was_in_group;
		}
	}
}

/* Each line of the field is text that ends in CR LF and white space, or with
 * the field, and only the first may be blank: a later one is the end of the
 * header to some readers. */
static bool
lines_are_clean(struct span body)
{
	size_t before = sizeof("From:") - 1; /* on the first line */

	for (;;) {
		size_t n = span_find(body, '\r');
		struct span line = span_first(body, n);

		if (!address_is_text(line) || n + before > LINE_MAX_OCTETS)
			return false;
		if (before == 0 && span_trim(line).n == 0)
			return false;
		if (n == body.n)
			return true;
		if (body.n - n < 3 || body.p[n + 1] != '\n' ||
		    !octet_is_wsp(body.p[n + 2]))
			return false;
		body = span_after(body, n + 2);
		before = 0;
	}
}

/*
 * An address in quotes or a comment is text, and many a display name is one.
 * But quotes and comments end with their line for Python's email package; from
 * there on it reads text as addresses and addresses as text. And what is in a
 * group's name is an address for Perl's Mail::Address, what is in a comment
 * behind a group, or with nothing else between two commas, for postal-mime.
 */
static bool
is_hidden_text_safe(const struct reader *reader)
{
	if (reader->has_marked_comment && reader->has_gap)
		return false;
	return !reader->has_hidden_mark ||
	       (!reader->has_hidden_fold && reader->groups == 0);
}

enum from_status
from_parse(struct span body, struct from *from)
{
	struct reader reader = { .rest = body, .from = from };

	*from = (struct from){ .mailboxes = 0 };
	if (!lines_are_clean(body) || !address_list_read(&reader) ||
	    !is_hidden_text_safe(&reader))
		return FROM_MALFORMED;
	if (reader.has_too_many)
		return FROM_TOO_MANY;
	if (from->domains > 0)
		return FROM_OK;
	return reader.groups > 0 ? FROM_EMPTY : FROM_MALFORMED;
}
