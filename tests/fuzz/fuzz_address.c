/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * address: the input is taken for a path, a domain, a literal and the body of a
 * From field. A path is written and read again; the domains of a From field
 * are names that stand in it behind an '@', and none that does is missing.
 */
#include "smtp/address.h"

#include "smtp/message.h"
#include "tests/fuzz/pieces.h"

#define ROOM ((size_t)1024 * 1024)

static bool
is_within(struct span inner, struct span outer)
{
	return inner.n == 0 ||
	       (inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n);
}

/* The part of the path's contract that the backend leans on: nothing in it
 * ends the path, or the line. */
static void
check_path_parts(const struct path *path, struct span taken)
{
	struct ip ip;

	assert(is_within(path->local, taken) && is_within(path->domain, taken));
	assert(path->is_null == (path->local.n == 0));
	assert(path->local.n <= ADDRESS_LOCAL_MAX);
	assert(taken.n <= ADDRESS_PATH_MAX);
	assert(address_is_text(taken));
	if (path->is_literal)
		assert(address_literal_parse(path->domain, &ip));
	else
		assert(path->domain.n == 0 || address_is_domain(path->domain));
	if (path->local.n > 0 && path->local.p[0] != '"')
		assert(span_find(path->local, '>') == path->local.n &&
		       span_find(path->local, '@') == path->local.n &&
		       span_find(path->local, ' ') == path->local.n);
}

static void
check_path(struct span text)
{
	struct span rest = text;
	struct path path, again;
	struct buf buf;

	if (!path_parse(&rest, &path)) {
		assert(rest.p == text.p && rest.n == text.n);
		return;
	}
	check_path_parts(&path, span_first(text, text.n - rest.n));
	buf_init(&buf, ADDRESS_PATH_MAX);
	assert(path_format(&path, &buf));
	rest = buf_span(&buf);
	assert(path_parse(&rest, &again) && rest.n == 0);
	assert(span_equal(path.local, again.local));
	assert(span_equal(path.domain, again.domain));
	assert(path.is_null == again.is_null);
	assert(path.is_literal == again.is_literal);
	buf_fini(&buf);
}

/* As an envelope address between '<' and '>', so that these need not be found
 * first. */
static void
check_bracketed_path(struct span text)
{
	struct buf buf;

	buf_init(&buf, ROOM);
	buf_append_octet(&buf, '<');
	buf_append(&buf, text);
	assert(buf_append_octet(&buf, '>'));
	check_path(buf_span(&buf));
	buf_fini(&buf);
}

static void
check_names(struct span text)
{
	struct ip ip;

	if (address_is_domain(text)) {
		assert(text.n > 0 && text.n <= ADDRESS_DOMAIN_MAX);
		assert(address_is_text(text));
		assert(text.p[text.n - 1] != '.');
		assert(!address_literal_parse(text, &ip));
	}
	assert(!address_is_text(text) || address_is_utf8(text));
}

static struct span
without_final_dot(struct span domain)
{
	if (domain.n > 0 && domain.p[domain.n - 1] == '.')
		domain.n--;
	return domain;
}

static bool
has_domain(const struct from *from, struct span domain)
{
	for (size_t i = 0; i < from->domains; i++)
		if (span_equal_nocase(without_final_dot(from->domain[i]),
				      domain))
			return true;
	return false;
}

/* The name behind an '@', however far off. */
static struct span
name_after(struct span s)
{
	size_t n = 0;

	while (s.n > 0 &&
	       (octet_is_wsp(s.p[0]) || s.p[0] == '\r' || s.p[0] == '\n'))
		s = span_after(s, 1);
	while (n < s.n && (octet_is_atext(s.p[n]) || s.p[n] == '.'))
		n++;
	return without_final_dot(span_first(s, n));
}

/* Without quotes and comments the simplest reader sees addresses wherever an
 * '@' is: it sees no domain that we do not. */
static void
check_all_given(struct span body, const struct from *from)
{
	if (span_find(body, '"') < body.n || span_find(body, '(') < body.n)
		return;
	for (size_t at = span_find(body, '@'); at < body.n;
	     at = span_find(body, '@')) {
		body = span_after(body, at + 1);
		assert(has_domain(from, name_after(body)));
	}
}

static void
check_domains(struct span body, const struct from *from)
{
	assert(from->domains <= FROM_DOMAINS_MAX);
	assert(is_within(from->first, body));
	for (size_t i = 0; i < from->domains; i++) {
		struct span domain = from->domain[i];

		assert(domain.n > 0 && is_within(domain, body));
		assert(address_is_domain(without_final_dot(domain)));
		for (size_t j = 0; j < i; j++)
			assert(!span_equal_nocase(
				without_final_dot(domain),
				without_final_dot(from->domain[j])));
	}
}

/* Folding changes nothing. */
static void
check_unfolded(struct span body, enum from_status status,
	       const struct from *from)
{
	struct from again;
	struct buf buf;

	buf_init(&buf, ROOM);
	assert(message_unfold(body, &buf));
	if (buf.n < 990) {
		assert(from_parse(buf_span(&buf), &again) == status);
		assert(again.mailboxes == from->mailboxes);
		assert(again.domains == from->domains);
		for (size_t i = 0; i < again.domains; i++)
			assert(span_equal(again.domain[i], from->domain[i]));
	}
	buf_fini(&buf);
}

static void
check_from(struct span body)
{
	struct from from;
	enum from_status status = from_parse(body, &from);

	check_domains(body, &from);
	if (status == FROM_MALFORMED)
		return;
	assert(address_is_utf8(body));
	assert((from.domains == 0) == (status == FROM_EMPTY));
	assert((from.mailboxes == 0) == (status == FROM_EMPTY));
	assert(status != FROM_TOO_MANY || from.domains == FROM_DOMAINS_MAX);
	assert((from.first.n == 0) == (status == FROM_EMPTY));
	if (status == FROM_OK)
		check_all_given(body, &from);
	check_unfolded(body, status, &from);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	uint8_t *copy = exact_copy(span_make(input, n));
	struct span text = span_make(copy, n);

	check_path(text);
	check_bracketed_path(text);
	check_names(text);
	check_from(text);
	free(copy);
	return 0;
}
