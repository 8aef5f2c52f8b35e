/* SPDX-License-Identifier: BSD-2-Clause */
/* spf_record: the terms of one SPF record, by the grammar of RFC 7208 12. */
#include "dmarc/spf_record.h"

#include "dmarc/spf_macro.h"

#define PREFIX4_MAX 32
#define PREFIX6_MAX 128
#define PREFIX_DIGITS_MAX 3
#define MAPPED_AT 10 /* of ::ffff:a.b.c.d: two octets of ff, then four */

#define VERSION SPAN_LIT("v=spf1")

/* What may follow a mechanism's name: nothing; a domain; that and two prefix
 * lengths; a network. */
enum rule {
	RULE_NOTHING,
	RULE_DOMAIN,
	RULE_OPTIONAL_DOMAIN,
	RULE_DOMAIN_AND_PREFIXES,
	RULE_NETWORK,
};

/* clang-format off */
#define MECHANISMS(X) \
	X("all",     ALL,     NOTHING) \
	X("include", INCLUDE, DOMAIN) \
	X("a",       A,       DOMAIN_AND_PREFIXES) \
	X("mx",      MX,      DOMAIN_AND_PREFIXES) \
	X("ptr",     PTR,     OPTIONAL_DOMAIN) \
	X("ip4",     IP4,     NETWORK) \
	X("ip6",     IP6,     NETWORK) \
	X("exists",  EXISTS,  DOMAIN)
/* clang-format on */

static const struct row {
	struct span name;
	enum spf_mechanism mechanism;
	enum rule rule;
} rows[] = {
#define X(name, mechanism, rule) \
	{ SPAN_LIT(name), SPF_MECHANISM_##mechanism, RULE_##rule },
	MECHANISMS(X)
#undef X
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

bool
spf_record_is_one(struct span text)
{
	return span_starts_nocase(text, VERSION) &&
	       (text.n == VERSION.n || text.p[VERSION.n] == ' ');
}

struct span
spf_record_terms(struct span text)
{
	return span_after(text, VERSION.n);
}

static bool
is_alnum(uint8_t c)
{
	return octet_is_alpha(c) || octet_is_digit(c);
}

/* RFC 7208 7.1: *( macro-expand / macro-literal ). *literal is what stands
 * behind the last macro-expand. */
static bool
is_macro_string(struct span s, bool is_explanation, bool *has_sender,
		struct span *literal)
{
	struct spf_piece piece;

	*literal = SPAN_NONE;
	while (s.n > 0) {
		bool is_expand = s.p[0] == '%';

		if (!spf_piece_next(&s, is_explanation, &piece))
			return false;
		*literal = is_expand ? SPAN_NONE : piece.literal;
		*has_sender |= piece.letter == 's' || piece.letter == 'l';
	}
	return true;
}

/* RFC 7208 7.1: letters and digits with at least one letter, or letters,
 * digits and inner hyphens with at least one of these. */
static bool
is_toplabel(struct span s)
{
	bool is_numeric = true;

	if (s.n == 0 || !is_alnum(s.p[0]) || !is_alnum(s.p[s.n - 1]))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
		is_numeric &= octet_is_digit(s.p[i]);
	}
	return !is_numeric;
}

/* RFC 7208 7.1: a domain-spec ends with a macro-expand or with a dot and a
 * top label, which may have a dot behind it. */
static bool
is_domain_spec(struct span s, bool *has_sender)
{
	struct span literal;
	size_t dot;

	if (s.n == 0 || !is_macro_string(s, false, has_sender, &literal))
		return false;
	if (literal.n == 0)
		return true;
	if (literal.p[literal.n - 1] == '.')
		literal.n--;
	for (dot = literal.n; dot > 0 && literal.p[dot - 1] != '.'; dot--)
		;
	return dot > 0 && is_toplabel(span_after(literal, dot));
}

/* "0", or digits that do not start with 0, up to max. */
static bool
parse_prefix(struct span digits, unsigned max, unsigned *prefix)
{
	uint64_t value;

	if (digits.n > PREFIX_DIGITS_MAX || !span_u64(digits, &value) ||
	    (digits.n > 1 && digits.p[0] == '0') || value > max)
		return false;
	*prefix = (unsigned)value;
	return true;
}

/* The digits at the end of s. */
static struct span
last_digits(struct span s)
{
	size_t at = s.n;

	while (at > 0 && octet_is_digit(s.p[at - 1]))
		at--;
	return span_after(s, at);
}

/* Whether s ends with slashes and digits; these are cut off and given. */
static bool
cut_prefix(struct span *s, struct span slashes, struct span *digits)
{
	size_t left;

	*digits = last_digits(*s);
	if (digits->n == 0 || s->n < digits->n + slashes.n)
		return false;
	left = s->n - digits->n - slashes.n;
	if (!span_starts(span_after(*s, left), slashes))
		return false;
	s->n = left;
	return true;
}

/* RFC 7208 5.3: dual-cidr-length, cut off the end of s. */
static bool
parse_prefixes(struct span *s, struct spf_term *term)
{
	struct span digits;

	if (cut_prefix(s, SPAN_LIT("//"), &digits) &&
	    !parse_prefix(digits, PREFIX6_MAX, &term->prefix6))
		return false;
	if (cut_prefix(s, SPAN_LIT("/"), &digits) &&
	    !parse_prefix(digits, PREFIX4_MAX, &term->prefix4))
		return false;
	return true;
}

/* ":" and a domain-spec. */
static bool
parse_domain(struct span s, struct spf_term *term)
{
	if (s.n == 0 || s.p[0] != ':')
		return false;
	term->domain = span_after(s, 1);
	return is_domain_spec(term->domain, &term->has_sender);
}

/* ip_parse() makes an IPv4 address of ::ffff:a.b.c.d. Here it is a network of
 * IPv6 clients, none of which has such an address (RFC 7208 5). */
static struct ip
unmapped(struct ip ip)
{
	struct ip mapped = { .family = IP_V6 };

	mapped.octets[MAPPED_AT] = 0xff;
	mapped.octets[MAPPED_AT + 1] = 0xff;
	memcpy(mapped.octets + MAPPED_AT + 2, ip.octets, 4);
	return mapped;
}

/* RFC 7208 5.6 */
static bool
parse_network(struct span s, struct spf_term *term)
{
	bool is_v6 = term->mechanism == SPF_MECHANISM_IP6;
	unsigned *prefix = is_v6 ? &term->prefix6 : &term->prefix4;
	struct span digits;

	if (s.n == 0 || s.p[0] != ':')
		return false;
	s = span_after(s, 1);
	if (cut_prefix(&s, SPAN_LIT("/"), &digits) &&
	    !parse_prefix(digits, is_v6 ? PREFIX6_MAX : PREFIX4_MAX, prefix))
		return false;
	if (!ip_parse(s, &term->ip) || is_v6 != (span_find(s, ':') < s.n))
		return false;
	if (is_v6 && term->ip.family == IP_V4)
		term->ip = unmapped(term->ip);
	return true;
}

static bool
parse_argument(enum rule rule, struct span s, struct spf_term *term)
{
	switch (rule) {
	case RULE_NOTHING:
		return s.n == 0;
	case RULE_DOMAIN:
		return parse_domain(s, term);
	case RULE_OPTIONAL_DOMAIN:
		return s.n == 0 || parse_domain(s, term);
	case RULE_DOMAIN_AND_PREFIXES:
		return parse_prefixes(&s, term) &&
		       (s.n == 0 || parse_domain(s, term));
	case RULE_NETWORK:
		return parse_network(s, term);
	}
	return false;
}

static bool
parse_mechanism(struct span name, struct span argument, struct spf_term *term)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (!span_equal_nocase(name, rows[i].name))
			continue;
		term->mechanism = rows[i].mechanism;
		return parse_argument(rows[i].rule, argument, term);
	}
	return false;
}

/* RFC 7208 6: redirect, exp, and others, which are ignored if they are
 * well-formed. */
static bool
parse_modifier(struct span name, struct span value, struct spf_term *term)
{
	struct span literal;

	term->mechanism = SPF_MODIFIER_OTHER;
	if (span_equal_nocase(name, SPAN_LIT("redirect")))
		term->mechanism = SPF_MODIFIER_REDIRECT;
	else if (span_equal_nocase(name, SPAN_LIT("exp")))
		term->mechanism = SPF_MODIFIER_EXP;
	else
		return is_macro_string(value, true, &term->has_sender,
				       &literal);
	term->domain = value;
	return is_domain_spec(value, &term->has_sender);
}

static bool
parse_qualifier(uint8_t c, enum spf_qualifier *qualifier)
{
	switch (c) {
	case '+':
		*qualifier = SPF_QUALIFIER_PASS;
		return true;
	case '-':
		*qualifier = SPF_QUALIFIER_FAIL;
		return true;
	case '~':
		*qualifier = SPF_QUALIFIER_SOFTFAIL;
		return true;
	case '?':
		*qualifier = SPF_QUALIFIER_NEUTRAL;
		return true;
	default:
		return false;
	}
}

/* Octets of the name that s starts with (RFC 7208 6.1: name). */
static size_t
name_length(struct span s)
{
	size_t n = 0;

	if (s.n == 0 || !octet_is_alpha(s.p[0]))
		return 0;
	while (n < s.n && (is_alnum(s.p[n]) || s.p[n] == '-' || s.p[n] == '_' ||
			   s.p[n] == '.'))
		n++;
	return n;
}

static bool
parse_term(struct span token, struct spf_term *term)
{
	bool has_qualifier;
	size_t n;

	*term = (struct spf_term){ .text = token,
				   .prefix4 = PREFIX4_MAX,
				   .prefix6 = PREFIX6_MAX };
	has_qualifier = parse_qualifier(token.p[0], &term->qualifier);
	if (has_qualifier)
		token = span_after(token, 1);
	n = name_length(token);
	if (n < token.n && token.p[n] == '=')
		return n > 0 && !has_qualifier &&
		       parse_modifier(span_first(token, n),
				      span_after(token, n + 1), term);
	return parse_mechanism(span_first(token, n), span_after(token, n),
			       term);
}

enum spf_next
spf_record_next(struct span *rest, struct spf_term *term)
{
	struct span token;

	while (rest->n > 0 && rest->p[0] == ' ')
		*rest = span_after(*rest, 1);
	if (rest->n == 0)
		return SPF_NEXT_END;
	token = span_first(*rest, span_find(*rest, ' '));
	*rest = span_after(*rest, token.n);
	return parse_term(token, term) ? SPF_NEXT_TERM : SPF_NEXT_SYNTAX;
}

bool
spf_record_is_valid(struct span text)
{
	struct span rest = spf_record_terms(text);
	unsigned redirects = 0, explanations = 0;
	struct spf_term term;
	enum spf_next next;

	while ((next = spf_record_next(&rest, &term)) == SPF_NEXT_TERM) {
		redirects += term.mechanism == SPF_MODIFIER_REDIRECT;
		explanations += term.mechanism == SPF_MODIFIER_EXP;
	}
	return next == SPF_NEXT_END && redirects <= 1 && explanations <= 1;
}
