/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * authres: Authentication-Results: strip what claims to be ours, write ours.
 *
 * Writing: each "method=result" and "property=value" is composed as a whole
 * in a small piece and then put on the line or on the next one, so that a
 * fold is never inside a value. Nothing that came from outside is written but
 * through add_quoted(), or when it is a token or a plain address, neither of
 * which can end a value.
 *
 * Reading: only as far as the authserv-id and what must follow it. A field of
 * another shape is not read leniently, since whoever reads it behind us may be
 * lenient in another way; it is taken for forged.
 */
#include "dmarc/authres.h"

#include "dmarc/domain.h"

#include <assert.h>

#define LINE_MAX_WANTED 78 /* RFC 5322 2.1.1 */
#define TAB_COLUMNS 8

/* The longest property or id. With its fold and semicolon well under the 998
 * octets that a line may have; a mailbox in quotes needs less than 700. */
#define PIECE_MAX 800

struct piece {
	uint8_t octets[PIECE_MAX];
	size_t n;
	bool is_too_long; /* it is left out: nothing is ever truncated */
};

struct writer {
	struct buf *buf;
	size_t column;
};

static bool
octet_is_control(uint8_t c)
{
	return c < ' ' || c == 127;
}

/* token of RFC 2045 5.1. */
static bool
octet_is_token(uint8_t c)
{
	const struct span specials = SPAN_LIT("()<>@,;:\\\"/[]?=");

	return c > ' ' && c < 127 && span_find(specials, c) == specials.n;
}

static bool
is_token(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!octet_is_token(s.p[i]))
			return false;
	return s.n > 0;
}

/* dot-atom-text of RFC 5322 3.2.3. */
static bool
is_dot_atom(struct span s)
{
	const struct span marks = SPAN_LIT("!#$%&'*+-/=?^_`{|}~");
	bool is_dot = true; /* as if one stood before it */

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c == '.' ? is_dot
			     : !octet_is_alpha(c) && !octet_is_digit(c) &&
				       span_find(marks, c) == marks.n)
			return false;
		is_dot = c == '.';
	}
	return !is_dot;
}

/* sub-domain of RFC 5321 4.1.2. */
static bool
is_sub_domain(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!octet_is_alpha(s.p[i]) && !octet_is_digit(s.p[i]) &&
		    (s.p[i] != '-' || i == 0 || i + 1 == s.n))
			return false;
	return s.n > 0;
}

/* domain-name of RFC 6376 3.5: of two labels at least. */
static bool
is_domain_name(struct span s)
{
	size_t n = span_find(s, '.');
	bool has_dot = n < s.n;

	for (; n < s.n; n = span_find(s, '.')) {
		if (!is_sub_domain(span_first(s, n)))
			return false;
		s = span_after(s, n + 1);
	}
	return has_dot && is_sub_domain(s);
}

static void
add(struct piece *piece, struct span s)
{
	if (piece->is_too_long || s.n > PIECE_MAX - piece->n) {
		piece->is_too_long = true;
		return;
	}
	if (s.n > 0)
		memcpy(piece->octets + piece->n, s.p, s.n);
	piece->n += s.n;
}

/* Inside of a quoted-string. UTF-8 stands as it is (RFC 6532); what is
 * not, and controls, C1 among them, become question marks. */
static void
add_escaped(struct piece *piece, struct span s)
{
	bool is_utf8 = address_is_utf8(s);

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		bool is_c1 = is_utf8 && c == 0xc2 && s.p[i + 1] < 0xa0;

		if (is_c1)
			i++;
		if (is_c1 || octet_is_control(c) || (c > 127 && !is_utf8))
			c = '?';
		if (c == '"' || c == '\\')
			add(piece, SPAN_LIT("\\"));
		add(piece, span_make(&c, 1));
	}
}

static void
add_quoted(struct piece *piece, struct span s)
{
	add(piece, SPAN_LIT("\""));
	add_escaped(piece, s);
	add(piece, SPAN_LIT("\""));
}

/* value of RFC 8601 2.2: a token or a quoted-string. */
static void
add_value(struct piece *piece, struct span s)
{
	if (is_token(s))
		add(piece, s);
	else
		add_quoted(piece, s);
}

/* pvalue of RFC 8601 2.2: [ local-part ] "@" domain-name, when no octet of it
 * is special; else the whole address is one quoted-string, since the quotes of
 * a local part are where other parsers go wrong. */
static void
add_address(struct piece *piece, struct span local, struct span domain)
{
	bool is_plain =
		(local.n == 0 || is_dot_atom(local)) && is_domain_name(domain);

	if (is_plain) {
		add(piece, local);
		add(piece, SPAN_LIT("@"));
		add(piece, domain);
		return;
	}
	add(piece, SPAN_LIT("\""));
	add_escaped(piece, local);
	add(piece, SPAN_LIT("@"));
	add_escaped(piece, domain);
	add(piece, SPAN_LIT("\""));
}

static void
put(struct writer *writer, struct span s)
{
	buf_append(writer->buf, s);
	writer->column += s.n;
}

static void
fold(struct writer *writer)
{
	put(writer, SPAN_LIT("\r\n\t"));
	writer->column = TAB_COLUMNS;
}

/* Behind a blank, or on a new line where it would not fit with the semicolon
 * that may follow. */
static void
put_piece(struct writer *writer, const struct piece *piece)
{
	if (piece->is_too_long)
		return;
	if (writer->column + 1 + piece->n + 1 > LINE_MAX_WANTED)
		fold(writer);
	else
		put(writer, SPAN_LIT(" "));
	put(writer, span_make(piece->octets, piece->n));
}

static void
put_method(struct writer *writer, const char *method, const char *result)
{
	put(writer, SPAN_LIT(";"));
	fold(writer);
	put(writer, span_cstr(method));
	put(writer, SPAN_LIT("="));
	put(writer, span_cstr(result));
}

static void
put_property(struct writer *writer, const char *name, struct span value)
{
	struct piece piece = { .n = 0 };

	if (value.n == 0)
		return;
	add(&piece, span_cstr(name));
	add_value(&piece, value);
	put_piece(writer, &piece);
}

static void
put_address(struct writer *writer, const char *name, struct span local,
	    struct span domain)
{
	struct piece piece = { .n = 0 };

	add(&piece, span_cstr(name));
	add_address(&piece, local, domain);
	put_piece(writer, &piece);
}

static void
put_reason(struct writer *writer, const char *reason)
{
	put_property(writer, "reason=", span_cstr(reason));
}

static void
put_spf(struct writer *writer, const struct spf_outcome *spf,
	const struct spf_facts *facts)
{
	struct span domain = spf->domain;

	if (domain.n == 0) /* no domain: as the client wrote it */
		domain = facts->is_null ? facts->helo : facts->domain;
	put_method(writer, "spf", spf_result_name(spf->result));
	if (spf->result != SPF_PASS)
		put_reason(writer, spf->reason);
	/* For the null path, postmaster@helo is judged (RFC 7208 2.4), but
	 * only the HELO name was ever said. */
	if (facts->is_null)
		put_property(writer, "smtp.helo=", domain);
	else if (domain.n > 0)
		put_address(writer, "smtp.mailfrom=", facts->local, domain);
}

/* i= as written: the domain is behind the last "@". */
static void
put_identity(struct writer *writer, struct span identity)
{
	size_t at = identity.n;

	while (at > 0 && identity.p[at - 1] != '@')
		at--;
	if (at == 0)
		put_property(writer, "header.i=", identity);
	else
		put_address(writer, "header.i=", span_first(identity, at - 1),
			    span_after(identity, at));
}

static void
put_dkim(struct writer *writer, const struct dkim_signature *signature)
{
	put_method(writer, "dkim", dkim_result_name(signature->result));
	if (signature->result != DKIM_PASS)
		put_reason(writer, signature->reason);
	put_property(writer, "header.d=", signature->domain);
	put_identity(writer, signature->identity);
	put_property(writer, "header.s=", signature->selector);
	put_property(writer, "header.a=", signature->algorithm);
	put_property(writer, "header.b=", signature->b_start); /* RFC 6008 */
}

/* How far back the message signatures of a chain pass; 0 is all the way. */
static void
put_oldest(struct writer *writer, size_t oldest)
{
	const uint8_t digits[] = { (uint8_t)('0' + oldest / 10),
				   (uint8_t)('0' + oldest % 10) };
	struct piece piece = { .n = 0 };

	assert(oldest < 100);
	add(&piece, SPAN_LIT("header.oldest-pass="));
	add(&piece, oldest < 10 ? span_make(digits + 1, 1)
				: span_make(digits, sizeof(digits)));
	put_piece(writer, &piece);
}

/* RFC 8617 10.1 */
static void
put_arc(struct writer *writer, const struct arc_chain *chain,
	const struct ip *client)
{
	char text[IP_TEXT_MAX];

	put_method(writer, "arc", arc_result_name(chain->result));
	if (chain->result == ARC_NONE)
		return;
	put_reason(writer, chain->reason);
	if (client->family != IP_NONE)
		put_property(writer,
			     "smtp.remote-ip=", ip_format(client, text));
	if (chain->has_oldest_pass)
		put_oldest(writer, chain->oldest_pass);
}

/* One result, also for several authors: whoever reads the first of several,
 * or any, must not find a pass that is not the message's. */
static void
put_dmarc(struct writer *writer, const struct verdict *verdict)
{
	const struct eval_author *author = &verdict->author[verdict->deciding];

	put_method(writer, "dmarc", dmarc_result_name(verdict->result));
	if (verdict->authors == 0)
		return;
	put_reason(writer, author->error);
	/* RFC 9989 9.1: the policy after sp, np and t */
	if (eval_has_policy(author) && author->effective.is_usable)
		put_property(writer, "policy.dmarc=",
			     span_cstr(policy_name(author->effective.applied)));
	put_property(writer, "header.from=", author->domain);
}

static bool
was_anything_checked(const struct verdict *verdict)
{
	return verdict->authors > 0 || verdict->dkim_count > 0 ||
	       verdict->spf.domain.n > 0 ||
	       verdict->from_fault != FROM_FAULT_NONE;
}

static void
put_id(struct writer *writer, struct span id)
{
	struct piece piece = { .n = 0 };

	put(writer, SPAN_LIT("Authentication-Results:"));
	add_value(&piece, id);
	assert(id.n > 0 && !piece.is_too_long); /* it is of our settings */
	/* Never folded here: a first line without content is legal, and yet a
	 * trap for many a parser. */
	put(writer, SPAN_LIT(" "));
	put(writer, span_make(piece.octets, piece.n));
}

bool
authres_format(const struct verdict *verdict, const struct spf_facts *facts,
	       struct span id, struct buf *buf)
{
	struct writer writer = { .buf = buf };

	put_id(&writer, id);
	if (!was_anything_checked(verdict)) {
		put(&writer, SPAN_LIT("; none\r\n")); /* RFC 8601 2.2 */
		return !buf->has_overflowed;
	}
	put_spf(&writer, &verdict->spf, facts);
	for (size_t i = 0; i < verdict->dkim_count; i++)
		put_dkim(&writer, &verdict->dkim[i]);
	if (verdict->dkim_count == 0)
		put_method(&writer, "dkim", dkim_result_name(DKIM_NONE));
	if (verdict->arc != NULL)
		put_arc(&writer, verdict->arc, &facts->client);
	put_dmarc(&writer, verdict);
	put(&writer, SPAN_LIT("\r\n"));
	return !buf->has_overflowed;
}

/*
 * A comment from its "(" on. False if it does not end, or holds what does not
 * keep every reader inside of it: another comment, a quote, an escape, the end
 * of a line (for some it is the end of the comment as well) or of the section.
 */
static bool
skip_comment(struct span *s)
{
	const struct span doors = SPAN_LIT("(\";\\\r\n");

	do {
		*s = span_after(*s, 1);
		if (s->n == 0 || span_find(doors, s->p[0]) < doors.n)
			return false;
	} while (s->p[0] != ')');
	*s = span_after(*s, 1);
	return true;
}

static bool
skip_cfws(struct span *s)
{
	while (s->n > 0) {
		uint8_t c = s->p[0];

		if (c == '(') {
			if (!skip_comment(s))
				return false;
		} else if (octet_is_wsp(c) || c == '\r' || c == '\n') {
			*s = span_after(*s, 1);
		} else {
			break;
		}
	}
	return true;
}

/* UTF-8 stands in tokens as well (RFC 6532). */
static bool
read_token(struct span *s, struct piece *id)
{
	size_t n = 0;

	while (n < s->n && (octet_is_token(s->p[n]) || s->p[n] > 127))
		n++;
	add(id, span_first(*s, n));
	*s = span_after(*s, n);
	return n > 0;
}

static bool
read_quoted(struct span *s, struct piece *id)
{
	for (*s = span_after(*s, 1); s->n > 0; *s = span_after(*s, 1)) {
		if (s->p[0] == '"') {
			*s = span_after(*s, 1);
			return id->n > 0;
		}
		if (s->p[0] == '\\')
			*s = span_after(*s, 1);
		/* No id of ours has a blank; what others make of one inside
		 * the quotes, or of a fold, is not known. */
		if (s->n == 0 || s->p[0] == ' ' || octet_is_control(s->p[0]))
			return false;
		add(id, span_first(*s, 1));
	}
	return false;
}

/* RFC 8601 2.2: [CFWS] authserv-id [ CFWS version ] and then a ";". False for
 * any other form, and for versions other than 1 (RFC 8601 5). */
static bool
read_id(struct span body, struct piece *id)
{
	size_t digits = 0;
	uint64_t version;

	if (!skip_cfws(&body) || body.n == 0)
		return false;
	if (!(body.p[0] == '"' ? read_quoted(&body, id)
			       : read_token(&body, id)))
		return false;
	if (!skip_cfws(&body))
		return false;
	while (digits < body.n && octet_is_digit(body.p[digits]))
		digits++;
	if (digits > 0 &&
	    (!span_u64(span_first(body, digits), &version) || version != 1))
		return false;
	body = span_after(body, digits);
	return skip_cfws(&body) && body.n > 0 && body.p[0] == ';' &&
	       !id->is_too_long &&
	       address_is_utf8(span_make(id->octets, id->n));
}

/* Whether an id with octets above 127 is no domain: one with a blank that only
 * some take for a blank (U+00A0 …) is ours to them. Without memory to tell,
 * yes. */
static bool
is_doubtful(struct span id)
{
	struct arena arena;
	struct span domain;
	bool is_ascii = true, is_domain;

	for (size_t i = 0; i < id.n; i++)
		is_ascii &= id.p[i] < 128;
	if (is_ascii)
		return false;
	arena_init(&arena, (size_t)4 * DOMAIN_MAX);
	is_domain = domain_normalise(id, &arena, &domain);
	arena_fini(&arena);
	return !is_domain;
}

/* Equal as domains: A- or U-labels, in any case, with or without a dot at the
 * end. Without memory to tell, yes. */
static bool
is_same_domain(struct span a, struct span b)
{
	ROOM(room, 1024);
	struct arena arena;
	struct span one, two;
	bool is_same;

	arena_init_room(&arena, (size_t)4 * DOMAIN_MAX, room, sizeof(room));
	is_same = domain_normalise(a, &arena, &one) &&
		  domain_normalise(b, &arena, &two) && span_equal(one, two);
	is_same = is_same || arena.has_overflowed;
	arena_fini(&arena);
	return is_same;
}

bool
authres_is_forged(const struct field *field, const struct span *ids,
		  size_t count)
{
	struct piece piece = { .n = 0 };
	struct span id;

	if (span_equal_nocase(field->name, SPAN_LIT("Received-SPF")))
		return true;
	if (!span_equal_nocase(field->name, SPAN_LIT("Authentication-Results")))
		return false;
	if (!read_id(field->body, &piece))
		return true;
	id = span_make(piece.octets, piece.n);
	if (is_doubtful(id))
		return true;
	for (size_t i = 0; i < count; i++)
		if (span_equal_nocase(id, ids[i]) || is_same_domain(id, ids[i]))
			return true;
	return false;
}
