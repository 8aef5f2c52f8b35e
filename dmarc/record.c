/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record: one DMARC policy record (RFC 9989 4.7, 4.8), parsed.
 *
 * A record is cut at its semicolons, and each piece is a tag or set aside;
 * what a tag means stands in one table. Tag names and keyword values ignore
 * case, as ABNF strings do; only "DMARC1" does not.
 */
#include "dmarc/record.h"

struct tag_rule {
	struct span name;
	size_t published_at; /* of the span that keeps the value as it stands */
	/* Takes a value, of any octets or none; false if it is bad, and then
	 * the record has the tag's default. */
	bool (*take)(struct record *record, struct span value);
	/* The tag is there, but its value is bad; NULL: as if it were not. */
	void (*refuse)(struct record *record);
};

static bool
take_policy(struct span value, enum policy *policy)
{
	if (span_equal_nocase(value, SPAN_LIT("none")))
		*policy = POLICY_NONE;
	else if (span_equal_nocase(value, SPAN_LIT("quarantine")))
		*policy = POLICY_QUARANTINE;
	else if (span_equal_nocase(value, SPAN_LIT("reject")))
		*policy = POLICY_REJECT;
	else
		return false;
	return true;
}

static bool
take_p(struct record *record, struct span value)
{
	return take_policy(value, &record->p);
}

static void
refuse_p(struct record *record)
{
	record->p = POLICY_INVALID;
}

static bool
take_sp(struct record *record, struct span value)
{
	return take_policy(value, &record->sp);
}

static void
refuse_sp(struct record *record)
{
	record->sp = POLICY_INVALID;
}

static bool
take_np(struct record *record, struct span value)
{
	return take_policy(value, &record->np);
}

static void
refuse_np(struct record *record)
{
	record->np = POLICY_INVALID;
}

/* One of two single letters: is it the first? */
static bool
take_either(struct span value, uint8_t yes, uint8_t no, bool *is_yes)
{
	uint8_t c = value.n == 1 ? octet_lower(value.p[0]) : 0;

	if (c != yes && c != no)
		return false;
	*is_yes = c == yes;
	return true;
}

static bool
take_adkim(struct record *record, struct span value)
{
	return take_either(value, 's', 'r', &record->is_adkim_strict);
}

static bool
take_aspf(struct record *record, struct span value)
{
	return take_either(value, 's', 'r', &record->is_aspf_strict);
}

static bool
take_t(struct record *record, struct span value)
{
	return take_either(value, 'y', 'n', &record->is_testing);
}

static bool
take_psd(struct record *record, struct span value)
{
	bool is_yes;

	if (value.n == 1 && octet_lower(value.p[0]) == 'u') {
		record->psd = RECORD_PSD_UNKNOWN;
		return true;
	}
	if (!take_either(value, 'y', 'n', &is_yes))
		return false;
	record->psd = is_yes ? RECORD_PSD_YES : RECORD_PSD_NO;
	return true;
}

static unsigned
fo_bit(struct span option)
{
	if (option.n != 1)
		return 0;
	switch (octet_lower(option.p[0])) {
	case '0':
		return RECORD_FO_0;
	case '1':
		return RECORD_FO_1;
	case 'd':
		return RECORD_FO_D;
	case 's':
		return RECORD_FO_S;
	default:
		return 0;
	}
}

/* RFC 9989 4.7: a colon-separated list in any order, 0 and 1 not together. */
static bool
take_fo(struct record *record, struct span value)
{
	unsigned fo = 0;

	for (;;) {
		size_t colon = span_find(value, ':');
		unsigned bit = fo_bit(span_trim(span_first(value, colon)));

		if (bit == 0)
			return false;
		fo |= bit;
		if (colon == value.n)
			break;
		value = span_after(value, colon + 1);
	}
	if ((fo & RECORD_FO_0) != 0 && (fo & RECORD_FO_1) != 0)
		return false;
	record->fo = fo;
	return true;
}

/* RFC 7489 6.3, historic. */
static bool
take_pct(struct record *record, struct span value)
{
	uint64_t pct;

	if (!span_u64(value, &pct) || pct > 100)
		return false;
	record->pct = (unsigned)pct;
	return true;
}

/* A list is kept even if some URI in it is bad: each stands for itself
 * (RFC 9990). It is bad when no URI in it is good. */
static bool
take_rua(struct record *record, struct span value)
{
	struct record_uri uri;

	record->has_usable_rua = record_next_uri(&value, &uri);
	return record->has_usable_rua;
}

static bool
take_ruf(struct record *record, struct span value)
{
	struct record_uri uri;

	(void)record;
	return record_next_uri(&value, &uri);
}

/* clang-format off */
#define TAG(tag, field, refused) \
	{ { (const uint8_t *)#tag, sizeof(#tag) - 1 }, \
	  offsetof(struct record, field), take_##tag, refused }

static const struct tag_rule tag_rules[] = {
	TAG(p, tag_p, refuse_p),
	TAG(sp, tag_sp, refuse_sp),
	TAG(np, tag_np, refuse_np),
	TAG(adkim, tag_adkim, NULL),
	TAG(aspf, tag_aspf, NULL),
	TAG(fo, tag_fo, NULL),
	TAG(t, tag_t, NULL),
	TAG(psd, tag_psd, NULL),
	TAG(pct, tag_pct, NULL),
	TAG(rua, rua, NULL),
	TAG(ruf, ruf, NULL),
};
/* clang-format on */

#define TAG_RULES (sizeof(tag_rules) / sizeof(tag_rules[0]))

/* Cut the next segment, up to a semicolon or the end, off *text; trimmed. */
static struct span
next_segment(struct span *text)
{
	size_t end = span_find(*text, ';');
	struct span segment = span_trim(span_first(*text, end));

	*text = span_after(*text, end == text->n ? end : end + 1);
	return segment;
}

/* name *WSP "=" *WSP value. Whether the value is one is for its tag to say. */
static bool
split_tag(struct span segment, struct span *name, struct span *value)
{
	size_t equals = span_find(segment, '=');

	if (equals == segment.n)
		return false;
	*name = span_trim(span_first(segment, equals));
	*value = span_trim(span_after(segment, equals + 1));
	for (size_t i = 0; i < name->n; i++)
		if (!octet_is_alpha(name->p[i]))
			return false;
	return name->n > 0;
}

/* *seen has one bit for each row of the table. */
static void
take_tag(struct record *record, struct span name, struct span value,
	 unsigned *seen)
{
	const struct tag_rule *rule = tag_rules;
	const struct tag_rule *end = tag_rules + TAG_RULES;
	unsigned bit = 1;

	for (; rule < end && !span_equal_nocase(rule->name, name); rule++)
		bit <<= 1;
	if (rule == end) /* RFC 9989 4.7: unknown tags MUST be ignored */
		return;
	if ((*seen & bit) != 0) {
		record->faults |= RECORD_FAULT_DUPLICATE;
		return;
	}
	*seen |= bit;
	memcpy((uint8_t *)record + rule->published_at, &value, sizeof(value));
	if (rule->take(record, value))
		return;
	record->faults |= RECORD_FAULT_VALUE;
	if (rule->refuse != NULL)
		rule->refuse(record);
}

/* RFC 9989 4.7: v stands first and is exactly DMARC1. */
static bool
is_version(struct span segment)
{
	struct span name, value;

	return split_tag(segment, &name, &value) &&
	       span_equal_nocase(name, SPAN_LIT("v")) &&
	       span_equal(value, SPAN_LIT("DMARC1"));
}

bool
record_parse(struct span text, struct record *record)
{
	struct span name, value;
	unsigned seen = 0;

	*record =
		(struct record){ .text = text, .fo = RECORD_FO_0, .pct = 100 };
	/* Nothing stands before v, white space neither. */
	if (text.n == 0 || octet_is_wsp(text.p[0]) ||
	    !is_version(next_segment(&text)))
		return false;
	while (text.n > 0) {
		struct span segment = next_segment(&text);

		if (segment.n == 0) /* ";;", outside the ABNF but harmless */
			continue;
		if (!split_tag(segment, &name, &value))
			record->faults |= RECORD_FAULT_SYNTAX;
		else if (span_equal_nocase(name, SPAN_LIT("v")))
			record->faults |= RECORD_FAULT_DUPLICATE;
		else
			take_tag(record, name, value, &seen);
	}
	return true;
}

/* RFC 9989 C.4 took the size limits away: "!" 1*DIGIT [k/m/g/t] is cut off.
 */
static struct span
without_size_limit(struct span uri)
{
	size_t at = uri.n;
	size_t digits;

	if (at > 0) {
		uint8_t unit = octet_lower(uri.p[at - 1]);

		if (unit == 'k' || unit == 'm' || unit == 'g' || unit == 't')
			at--;
	}
	for (digits = 0; at > 0 && octet_is_digit(uri.p[at - 1]); digits++)
		at--;
	if (digits == 0 || at == 0 || uri.p[at - 1] != '!')
		return uri;
	return span_first(uri, at - 1);
}

static bool
octet_is_hex(uint8_t c)
{
	return octet_is_digit(c) ||
	       (octet_lower(c) >= 'a' && octet_lower(c) <= 'f');
}

/* What RFC 3986 2 lets stand in a URI; not the comma and the exclamation mark,
 * which RFC 9989 4.7 wants percent-encoded. */
static bool
is_uri_text(struct span text)
{
	const struct span marks = SPAN_LIT("-._~:/?#[]@$&'()*+=");

	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (octet_is_alpha(c) || octet_is_digit(c) ||
		    span_find(marks, c) < marks.n)
			continue;
		if (c != '%' || text.n - i < 3 ||
		    !octet_is_hex(text.p[i + 1]) ||
		    !octet_is_hex(text.p[i + 2]))
			return false;
	}
	return text.n > 0;
}

/* RFC 3986 3.1. */
static bool
is_scheme(struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (!octet_is_alpha(c) &&
		    (i == 0 ||
		     (!octet_is_digit(c) && c != '+' && c != '-' && c != '.')))
			return false;
	}
	return text.n > 0;
}

/* RFC 6068 2: an address before any "?". One of them; we know no use for a
 * mailto that has its recipient in a header field. */
static bool
is_mail_address(struct span rest)
{
	struct span address = span_first(rest, span_find(rest, '?'));
	size_t at = span_find(address, '@');

	return at > 0 && at + 1 < address.n;
}

static bool
uri_parse(struct span text, struct record_uri *uri)
{
	size_t colon;

	uri->uri = without_size_limit(text);
	colon = span_find(uri->uri, ':');
	if (colon == uri->uri.n)
		return false;
	uri->scheme = span_first(uri->uri, colon);
	uri->rest = span_after(uri->uri, colon + 1);
	if (!is_scheme(uri->scheme) || !is_uri_text(uri->rest))
		return false;
	return !span_equal_nocase(uri->scheme, SPAN_LIT("mailto")) ||
	       is_mail_address(uri->rest);
}

bool
record_next_uri(struct span *list, struct record_uri *uri)
{
	while (list->n > 0) {
		size_t comma = span_find(*list, ',');
		struct span text = span_trim(span_first(*list, comma));

		*list = span_after(*list, comma == list->n ? comma : comma + 1);
		if (uri_parse(text, uri))
			return true;
	}
	return false;
}

const char *
policy_name(enum policy policy)
{
	switch (policy) {
	case POLICY_ABSENT:
		return "";
	case POLICY_INVALID:
		return "invalid";
	case POLICY_NONE:
		return "none";
	case POLICY_QUARANTINE:
		return "quarantine";
	case POLICY_REJECT:
		return "reject";
	}
	return "";
}
