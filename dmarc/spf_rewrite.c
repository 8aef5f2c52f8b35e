/* SPDX-License-Identifier: BSD-2-Clause */
/* spf_rewrite: an SPF record as libspf2 must see it. */
#include "dmarc/spf_rewrite.h"

static struct span
qualifier_text(enum spf_qualifier qualifier)
{
	switch (qualifier) {
	case SPF_QUALIFIER_PASS:
		return SPAN_LIT(" +");
	case SPF_QUALIFIER_FAIL:
		return SPAN_LIT(" -");
	case SPF_QUALIFIER_SOFTFAIL:
		return SPAN_LIT(" ~");
	case SPF_QUALIFIER_NEUTRAL:
		return SPAN_LIT(" ?");
	}
	return SPAN_NONE;
}

static struct span
mechanism_text(enum spf_mechanism mechanism)
{
	switch (mechanism) {
	case SPF_MECHANISM_INCLUDE:
		return SPAN_LIT("include");
	case SPF_MECHANISM_A:
		return SPAN_LIT("a");
	case SPF_MECHANISM_MX:
		return SPAN_LIT("mx");
	case SPF_MECHANISM_PTR:
		return SPAN_LIT("ptr");
	case SPF_MECHANISM_EXISTS:
		return SPAN_LIT("exists");
	case SPF_MECHANISM_ALL:
	case SPF_MECHANISM_IP4:
	case SPF_MECHANISM_IP6:
	case SPF_MODIFIER_REDIRECT:
	case SPF_MODIFIER_EXP:
	case SPF_MODIFIER_OTHER:
		break;
	}
	return SPAN_NONE;
}

/* ":domain/prefix", with the prefix length that is for this client. */
static void
write_target(const struct spf_check *check, const struct spf_term *term,
	     struct buf *text)
{
	bool is_v6 = check->client.family == IP_V6;
	unsigned prefix = is_v6 ? term->prefix6 : term->prefix4;
	struct span domain = term->domain;

	if (domain.n > 0 && domain.p[domain.n - 1] == '.')
		domain.n--;
	if (domain.n == 0 && prefix == 0)
		domain = SPAN_LIT("%{d}");
	if (domain.n > 0) {
		buf_append_octet(text, ':');
		buf_append(text, domain);
	}
	if (prefix == 0)
		buf_append_octet(text, '.');
	else if (prefix != (is_v6 ? 128 : 32))
		buf_printf(text, is_v6 ? "//%u" : "/%u", prefix);
}

static void
write_mechanism(const struct spf_check *check, const struct spf_term *term,
		struct spf_rewritten *out)
{
	out->mechanisms++;
	buf_append(&out->text, qualifier_text(term->qualifier));
	buf_append(&out->text, mechanism_text(term->mechanism));
	write_target(check, term, &out->text);
}

/* A term that matches, whatever the client. */
static void
write_all(enum spf_qualifier qualifier, struct spf_rewritten *out)
{
	out->mechanisms++;
	buf_append(&out->text, qualifier_text(qualifier));
	buf_append(&out->text, SPAN_LIT("all"));
}

/* False: nothing behind this term counts. */
static bool
rewrite_term(const struct spf_check *check, const struct spf_term *term,
	     bool is_deciding, struct spf_rewritten *out)
{
	if (term->has_sender && check->is_local_unusable)
		return true; /* RFC 8616 4 */
	switch (term->mechanism) {
	case SPF_MECHANISM_ALL:
		out->has_all = is_deciding;
		out->all = term->qualifier;
		if (!is_deciding)
			write_all(term->qualifier, out);
		return false;
	case SPF_MECHANISM_IP4:
	case SPF_MECHANISM_IP6:
		if (!ip_has_prefix(&check->client, &term->ip,
				   term->ip.family == IP_V6 ? term->prefix6
							    : term->prefix4))
			return true;
		write_all(term->qualifier, out);
		return false;
	case SPF_MECHANISM_INCLUDE:
	case SPF_MECHANISM_A:
	case SPF_MECHANISM_MX:
	case SPF_MECHANISM_PTR:
	case SPF_MECHANISM_EXISTS:
		write_mechanism(check, term, out);
		/* RFC 7208 4.6.4: nobody gets behind the eleventh; written
		 * out, it and all behind it might be too much to compile */
		return out->mechanisms <= SPF_TERMS_MAX;
	case SPF_MODIFIER_REDIRECT:
		out->redirect = term->domain;
		return true;
	case SPF_MODIFIER_EXP:
	case SPF_MODIFIER_OTHER:
		return true;
	}
	return true;
}

void
spf_rewrite(const struct spf_check *check, struct span record, bool is_deciding,
	    struct spf_rewritten *out)
{
	struct span rest = spf_record_terms(record);
	struct spf_term term;

	buf_append(&out->text, SPAN_LIT("v=spf1"));
	while (spf_record_next(&rest, &term) == SPF_NEXT_TERM)
		if (!rewrite_term(check, &term, is_deciding, out))
			return;
	if (out->redirect.n == 0)
		return;
	/* RFC 7208 6.1: when all mechanisms have failed to match */
	if (out->redirect.p[out->redirect.n - 1] == '.')
		out->redirect.n--;
	out->mechanisms++;
	buf_append(&out->text, SPAN_LIT(" redirect="));
	buf_append(&out->text, out->redirect);
	buf_append_octet(&out->text, '.');
}
