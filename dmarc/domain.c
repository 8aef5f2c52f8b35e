/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domain: names of domains, normalised, and what stands above them.
 *
 * Why label by label, and not the whole name, through libidn2: an ASCII label
 * is a name of the DNS as it stands, whatever IDNA thinks of its underscore,
 * of the hyphens in its third and fourth place, or of an "xn--" that decodes
 * to nothing. Such a label must not make its neighbours unreadable.
 */
#include "dmarc/domain.h"

#include "smtp/address.h"

#include <assert.h>
#include <idn2.h>
#include <libpsl.h>
#include <stdio.h>
#include <stdlib.h>

/* No text of more octets becomes a name of 253: at most four octets of UTF-8
 * for each of A-label. (UTS 46 drops a few characters; who uses so many of
 * them has no domain.) */
#define TEXT_MAX (4 * (DOMAIN_MAX + 1))

#define PSL_COMPILED SPAN_LIT(".DAFSA@PSL_") /* how such a list begins */

struct name {
	uint8_t octets[DOMAIN_MAX];
	size_t n;
};

struct domain_psl {
	const psl_ctx_t *list;
	psl_ctx_t *owned; /* NULL for the built-in list */
};

/* Letters, digits and hyphens of host names (RFC 1123 2.1), and the
 * underscore of names that are no hosts (RFC 8552). */
static bool
octet_is_name(uint8_t c)
{
	return octet_is_alpha(c) || octet_is_digit(c) || c == '-' || c == '_';
}

static bool
is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] > 127)
			return false;
	return true;
}

/* Octets of the dot that s starts with, 0 if it does not. UTS 46 takes
 * U+3002, U+FF0E and U+FF61 for full stops as well. */
static size_t
dot_length(struct span s)
{
	if (s.n > 0 && s.p[0] == '.')
		return 1;
	if (span_starts(s, SPAN_LIT("\xe3\x80\x82")) ||
	    span_starts(s, SPAN_LIT("\xef\xbc\x8e")) ||
	    span_starts(s, SPAN_LIT("\xef\xbd\xa1")))
		return 3;
	return 0;
}

static bool
append_label(struct name *name, struct span label)
{
	size_t dot = name->n == 0 ? 0 : 1;

	if (label.n == 0 || label.n > DOMAIN_LABEL_MAX ||
	    name->n + dot + label.n > DOMAIN_MAX)
		return false;
	if (dot == 1)
		name->octets[name->n++] = '.';
	for (size_t i = 0; i < label.n; i++) {
		if (!octet_is_name(label.p[i]))
			return false;
		name->octets[name->n++] = octet_lower(label.p[i]);
	}
	return true;
}

/* RFC 5891 5, with the mapping of UTS 46. The result is held to the rules of
 * append_label() again: without STD3 rules libidn2 maps some characters to
 * ASCII ones that no name may have, the full stop among them. */
static bool
append_u_label(struct name *name, struct span label)
{
	uint8_t text[TEXT_MAX + 1];
	uint8_t *a_label;
	bool is_appended;

	if (span_find(label, 0) != label.n)
		return false;
	memcpy(text, label.p, label.n);
	text[label.n] = 0;
	if (idn2_lookup_u8(text, &a_label,
			   IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return false;
	is_appended = append_label(
		name, span_make(a_label, strlen((const char *)a_label)));
	idn2_free(a_label);
	return is_appended;
}

/* Four numbers of up to three digits: RFC 1123 2.1 knows such text for an
 * address before it is looked at as a name, 999.0.0.1 too. */
static bool
is_dotted_quad(struct span name)
{
	size_t digits = 0;

	if (domain_labels(name) != 4)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		digits = name.p[i] == '.' ? 0 : digits + 1;
		if (digits > 3 || (digits > 0 && !octet_is_digit(name.p[i])))
			return false;
	}
	return true;
}

bool
domain_normalise(struct span text, struct arena *arena, struct span *domain)
{
	struct name name = { .n = 0 };
	size_t label = 0, dot = 0;

	if (text.n > TEXT_MAX)
		return false;
	for (; text.n > 0; text = span_after(text, label + dot)) {
		struct span rest = text;

		while (rest.n > 0 && dot_length(rest) == 0)
			rest = span_after(rest, 1);
		label = text.n - rest.n;
		dot = dot_length(rest);
		if (!(is_ascii(span_first(text, label))
			      ? append_label(&name, span_first(text, label))
			      : append_u_label(&name, span_first(text, label))))
			return false;
	}
	if (is_dotted_quad(span_make(name.octets, name.n)))
		return false;
	*domain = arena_copy(arena, span_make(name.octets, name.n));
	return domain->n > 0;
}

size_t
domain_labels(struct span domain)
{
	size_t labels = domain.n == 0 ? 0 : 1;

	for (size_t i = 0; i < domain.n; i++)
		labels += domain.p[i] == '.';
	return labels;
}

struct span
domain_suffix(struct span domain, size_t labels)
{
	for (size_t have = domain_labels(domain); have > labels; have--)
		domain = domain_parent(domain);
	return domain;
}

struct span
domain_parent(struct span domain)
{
	size_t dot = span_find(domain, '.');

	return span_after(domain, dot == domain.n ? dot : dot + 1);
}

bool
domain_is_within(struct span domain, struct span above)
{
	size_t below;

	if (above.n == 0 || domain.n < above.n)
		return false;
	below = domain.n - above.n;
	return span_equal(span_after(domain, below), above) &&
	       (below == 0 || domain.p[below - 1] == '.');
}

struct span
domain_prefix(struct span label, struct span domain, struct arena *arena)
{
	size_t n = label.n + 1 + domain.n;
	uint8_t *octets;

	assert(label.n > 0 && domain.n > 0);
	if (n > DOMAIN_MAX)
		return SPAN_NONE;
	octets = arena_alloc(arena, n);
	if (octets == NULL)
		return SPAN_NONE;
	memcpy(octets, label.p, label.n);
	octets[label.n] = '.';
	memcpy(octets + label.n + 1, domain.p, domain.n);
	return span_make(octets, n);
}

static struct domain_psl *
psl_wrap(const psl_ctx_t *list, psl_ctx_t *owned)
{
	struct domain_psl *psl = list == NULL ? NULL : malloc(sizeof(*psl));

	if (psl == NULL) {
		psl_free(owned);
		return NULL;
	}
	psl->list = list;
	psl->owned = owned;
	return psl;
}

/* One line: a domain that "*." or "!" may stand before, or a dot, and behind
 * it, after white space, whatever one likes; or a comment. */
static bool
psl_line_is_rule(struct span line)
{
	size_t n = 0;

	line = span_trim(line);
	while (n < line.n && !octet_is_wsp(line.p[n]) && line.p[n] != '\r')
		n++;
	line = span_first(line, n);
	if (line.n == 0 || span_starts(line, SPAN_LIT("//")) ||
	    span_equal(line, SPAN_LIT("*")))
		return true;
	if (line.p[0] == '!' || line.p[0] == '.')
		line = span_after(line, 1);
	else if (span_starts(line, SPAN_LIT("*.")))
		line = span_after(line, 2);
	return address_is_domain(line);
}

size_t
domain_psl_fault(struct span text)
{
	size_t number = 1;

	if (span_starts(text, PSL_COMPILED))
		return 0;
	while (text.n > 0) {
		size_t n = span_find(text, '\n');

		if (!psl_line_is_rule(span_first(text, n)))
			return number;
		text = span_after(text, n < text.n ? n + 1 : n);
		number++;
	}
	return 0;
}

struct domain_psl *
domain_psl_new(struct span text)
{
	psl_ctx_t *list;
	FILE *memory;

	if (text.n == 0 || domain_psl_fault(text) != 0)
		return NULL;
	/* Opened for reading only: the octets are not written to. No file is
	 * touched; libpsl takes text from nothing but a stream. */
	memory = fmemopen((void *)(uintptr_t)text.p, text.n, "r");
	if (memory == NULL)
		return NULL;
	list = psl_load_fp(memory);
	fclose(memory);
	if (list != NULL && psl_suffix_count(list) == 0 &&
	    psl_suffix_wildcard_count(list) == 0) {
		psl_free(list);
		return NULL;
	}
	return psl_wrap(list, list);
}

struct domain_psl *
domain_psl_builtin(void)
{
	return psl_wrap(psl_builtin(), NULL);
}

void
domain_psl_free(struct domain_psl *psl)
{
	if (psl == NULL)
		return;
	psl_free(psl->owned);
	free(psl);
}

struct span
domain_psl_organizational(const struct domain_psl *psl, struct span domain)
{
	char text[DOMAIN_MAX + 1];
	const char *found;

	assert(domain.n <= DOMAIN_MAX);
	if (domain.n == 0)
		return domain;
	memcpy(text, domain.p, domain.n);
	text[domain.n] = '\0';
	found = psl_registrable_domain(psl->list, text);
	if (found == NULL) /* a public suffix */
		return domain;
	return span_after(domain, (size_t)(found - text));
}
