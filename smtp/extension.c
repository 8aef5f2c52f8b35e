/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/extension.h"

#include "smtp/parameter.h"

#include <assert.h>

#define DELETE 0x7f

/* RFC 9422 3: up to six digits. RFC 2852 4, RFC 4865 3: up to nine. */
#define LIMIT_MAX 999999u
#define SECONDS_MAX 999999999u

enum rule { RULE_OFFER, RULE_PASS, RULE_RELAY, RULE_OWN };

struct row {
	struct span keyword;
	enum rule rule;
	struct span mail; /* parameters of MAIL, separated by a space */
	struct span rcpt;
};

/* clang-format off */
static const struct row rows[EXTENSION_COUNT] = {
#define X(name, keyword, rule, mail, rcpt) [EXTENSION_##name] = \
	{ SPAN_LIT(keyword), RULE_##rule, SPAN_LIT(mail), SPAN_LIT(rcpt) },
	EXTENSIONS(X)
#undef X
};

static const struct {
	struct span name;
	enum xclient_attribute bit;
} attributes[] = {
#define X(name, bit) { SPAN_LIT(#name), XCLIENT_##name },
	XCLIENT_ATTRIBUTES(X)
#undef X
};
/* clang-format on */

/* RFC 9422 3 */
static const struct span limit_names[EHLO_LIMITS] = {
	[EHLO_RCPTMAX] = SPAN_LIT("RCPTMAX"),
	[EHLO_MAILMAX] = SPAN_LIT("MAILMAX"),
	[EHLO_RCPTDOMAINMAX] = SPAN_LIT("RCPTDOMAINMAX"),
};

#define ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

static bool
has_word(struct span text, struct span wanted)
{
	for (struct span word = span_word(&text); word.n > 0;
	     word = span_word(&text))
		if (span_equal_nocase(word, wanted))
			return true;
	return false;
}

/* RFC 1870 3: a number or nothing; 0 and nothing mean that no limit is said. */
static bool
size_parse(struct span text, struct ehlo *ehlo)
{
	struct span number = span_word(&text);
	uint64_t size_max = 0;

	if (number.n > 0 &&
	    (span_trim(text).n > 0 || !span_u64(number, &size_max)))
		return false;
	ehlo->size_max = size_max;
	return true;
}

static bool
attributes_parse(struct span text, struct ehlo *ehlo)
{
	for (size_t i = 0; i < ATTRIBUTES; i++)
		if (has_word(text, attributes[i].name))
			ehlo->xclient |= attributes[i].bit;
	return true;
}

/* A number from 1 to max, all of it digits. */
static bool
number_parse(struct span text, unsigned max, unsigned *number)
{
	uint64_t value;

	if (!span_u64(text, &value) || value == 0 || value > max)
		return false;
	*number = (unsigned)value;
	return true;
}

/* The tighter of two limits, where 0 is none. */
static unsigned
tighter(unsigned a, unsigned b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

/* RFC 9422 3: limits that are not known, or not understood, are left out. */
static bool
limits_parse(struct span text, struct ehlo *ehlo)
{
	for (struct span word = span_word(&text); word.n > 0;
	     word = span_word(&text)) {
		size_t n = span_find(word, '=');
		struct span name = span_first(word, n);
		unsigned value;

		if (n == word.n ||
		    !number_parse(span_after(word, n + 1), LIMIT_MAX, &value))
			continue;
		for (size_t i = 0; i < EHLO_LIMITS; i++)
			if (span_equal_nocase(name, limit_names[i]))
				ehlo->limit[i] = tighter(ehlo->limit[i], value);
	}
	return true;
}

/* RFC 2852 4: the least time, or nothing; what follows a comma is for later
 * specifications. */
static bool
by_parse(struct span text, struct ehlo *ehlo)
{
	struct span number = span_word(&text);
	uint64_t zero;

	number = span_first(number, span_find(number, ','));
	ehlo->by_min = 0;
	return number.n == 0 || (span_u64(number, &zero) && zero == 0) ||
	       number_parse(number, SECONDS_MAX, &ehlo->by_min);
}

/* RFC 4865 3: both, and the date in the form that can be compared as text. */
static bool
hold_parse(struct span text, struct ehlo *ehlo)
{
	struct span seconds = span_word(&text);
	struct span date = span_word(&text);

	if (date.n != EHLO_DATE_MAX || !parameter_is_date(date) ||
	    date.p[EHLO_DATE_MAX - 1] != 'Z' || span_trim(text).n > 0 ||
	    !number_parse(seconds, SECONDS_MAX, &ehlo->hold_max))
		return false;
	memcpy(ehlo->hold_until, date.p, date.n);
	return true;
}

static bool
is_policy(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!octet_is_alpha(text.p[i]) && !octet_is_digit(text.p[i]) &&
		    text.p[i] != '-' && text.p[i] != '_' && text.p[i] != '.')
			return false;
	return text.n <= EHLO_POLICY_MAX;
}

/* RFC 6710 3: the name of how priorities are meant, or nothing. */
static bool
priority_parse(struct span text, struct ehlo *ehlo)
{
	struct span name = span_word(&text);

	if (!is_policy(name) || span_trim(text).n > 0)
		return false;
	memset(ehlo->policy, 0, sizeof(ehlo->policy));
	if (name.n > 0)
		memcpy(ehlo->policy, name.p, name.n);
	return true;
}

/* RFC 3865 2: classes that are not taken, or nothing. */
static bool
solicitation_parse(struct span text, struct ehlo *ehlo)
{
	struct span classes = span_word(&text);

	if (span_trim(text).n > 0 || classes.n > EHLO_SOLICITATION_MAX ||
	    (classes.n > 0 && !parameter_is_solicitation(classes)))
		return false;
	memset(ehlo->solicitation, 0, sizeof(ehlo->solicitation));
	if (classes.n > 0)
		memcpy(ehlo->solicitation, classes.p, classes.n);
	return true;
}

/* RFC 4954 3. One that offers none that can be passed on offers nothing. */
static bool
mechanisms_parse(struct span text, struct ehlo *ehlo)
{
	login_mechanisms(text, ehlo->mechanisms);
	return ehlo->mechanisms[0] != '\0';
}

/* What stands behind a keyword, for those that have something there. */
static bool (*const parsers[EXTENSION_COUNT])(struct span text,
					      struct ehlo *ehlo) = {
	[EXTENSION_SIZE] = size_parse,
	[EXTENSION_LIMITS] = limits_parse,
	[EXTENSION_XCLIENT] = attributes_parse,
	[EXTENSION_DELIVERBY] = by_parse,
	[EXTENSION_FUTURERELEASE] = hold_parse,
	[EXTENSION_MT_PRIORITY] = priority_parse,
	[EXTENSION_NO_SOLICITING] = solicitation_parse,
	[EXTENSION_AUTH] = mechanisms_parse,
};

/* What stands behind a keyword that takes nothing there is ignored, as RFC
 * 6531 3.1 asks for SMTPUTF8. */
static void
line_parse(struct span line, struct ehlo *ehlo)
{
	struct span keyword = span_word(&line);
	unsigned i = 0;

	while (i < EXTENSION_COUNT &&
	       !span_equal_nocase(keyword, rows[i].keyword))
		i++;
	if (i == EXTENSION_COUNT)
		return;
	if (parsers[i] != NULL && !parsers[i](line, ehlo))
		return;
	ehlo->extensions |= EXTENSION_BIT(i);
}

void
ehlo_parse(const struct reply *reply, struct ehlo *ehlo)
{
	*ehlo = (struct ehlo){ 0 };
	if (reply->code != 250)
		return;
	for (size_t i = 1; i < reply->lines; i++)
		line_parse(reply->line[i], ehlo);
	if ((ehlo->extensions & EXTENSION_BIT(EXTENSION_CHUNKING)) == 0)
		ehlo->extensions &= ~EXTENSION_BIT(EXTENSION_BINARYMIME);
}

/* The tighter of two limits, where 0 is none. */
static uint64_t
smaller_limit(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

struct ehlo
ehlo_offer(const struct ehlo *theirs, const struct ehlo *ours, uint64_t room)
{
	uint64_t left = theirs->size_max;
	struct ehlo offer = *theirs;
	bool is_limited = false;

	/* A limit that our own fields use up is a limit still, never none. */
	if (left > 0)
		left = left > room ? left - room : 1;
	offer.size_max = smaller_limit(ours->size_max, left);
	offer.xclient = 0;
	offer.extensions = 0;
	for (unsigned i = 0; i < EXTENSION_COUNT; i++)
		if (rows[i].rule == RULE_OFFER ||
		    (rows[i].rule == RULE_PASS &&
		     (theirs->extensions & EXTENSION_BIT(i)) != 0))
			offer.extensions |= EXTENSION_BIT(i);
	for (size_t i = 0; i < EHLO_LIMITS; i++) {
		offer.limit[i] = tighter(theirs->limit[i], ours->limit[i]);
		is_limited = is_limited || offer.limit[i] > 0;
	}
	if (!is_limited)
		offer.extensions &= ~EXTENSION_BIT(EXTENSION_LIMITS);
	return offer;
}

static bool
is_same(const char *a, const char *b)
{
	return span_equal_nocase(span_cstr(a), span_cstr(b));
}

struct ehlo
ehlo_intersect(const struct ehlo *a, const struct ehlo *b)
{
	struct ehlo both = *a;

	both.extensions &= b->extensions & ~EXTENSION_BIT(EXTENSION_AUTH);
	both.size_max = smaller_limit(a->size_max, b->size_max);
	both.xclient &= b->xclient;
	for (size_t i = 0; i < EHLO_LIMITS; i++)
		both.limit[i] = tighter(a->limit[i], b->limit[i]);
	if (b->by_min > a->by_min)
		both.by_min = b->by_min;
	both.hold_max = tighter(a->hold_max, b->hold_max);
	if (memcmp(b->hold_until, a->hold_until, sizeof(a->hold_until)) < 0)
		memcpy(both.hold_until, b->hold_until, sizeof(b->hold_until));
	if (!is_same(a->policy, b->policy))
		both.extensions &= ~EXTENSION_BIT(EXTENSION_MT_PRIORITY);
	if (!is_same(a->solicitation, b->solicitation))
		both.solicitation[0] = '\0';
	return both;
}

static void
append_text(struct buf *buf, const char *text)
{
	if (text[0] == '\0')
		return;
	buf_append_octet(buf, ' ');
	buf_append(buf, span_cstr(text));
}

static void
append_number(struct buf *buf, uint64_t number)
{
	buf_append_octet(buf, ' ');
	buf_append_u64(buf, number);
}

static void
append_limits(struct buf *buf, const struct ehlo *ehlo)
{
	for (size_t i = 0; i < EHLO_LIMITS; i++) {
		unsigned value = ehlo->limit[i];

		if (value == 0)
			continue;
		buf_append_octet(buf, ' ');
		buf_append(buf, limit_names[i]);
		buf_append_octet(buf, '=');
		buf_append_u64(buf, value < LIMIT_MAX ? value : LIMIT_MAX);
	}
}

static void
append_attributes(struct buf *buf, unsigned xclient)
{
	for (size_t i = 0; i < ATTRIBUTES; i++)
		if ((xclient & attributes[i].bit) != 0) {
			buf_append_octet(buf, ' ');
			buf_append(buf, attributes[i].name);
		}
}

static void
append_keyword(struct buf *buf, const struct ehlo *ehlo, unsigned extension)
{
	buf_append(buf, rows[extension].keyword);
	if (extension == EXTENSION_SIZE)
		append_number(buf, ehlo->size_max);
	if (extension == EXTENSION_LIMITS)
		append_limits(buf, ehlo);
	if (extension == EXTENSION_XCLIENT)
		append_attributes(buf, ehlo->xclient);
	if (extension == EXTENSION_DELIVERBY && ehlo->by_min > 0)
		append_number(buf, ehlo->by_min);
	if (extension == EXTENSION_FUTURERELEASE) {
		append_number(buf, ehlo->hold_max);
		append_text(buf, ehlo->hold_until);
	}
	if (extension == EXTENSION_MT_PRIORITY)
		append_text(buf, ehlo->policy);
	if (extension == EXTENSION_NO_SOLICITING)
		append_text(buf, ehlo->solicitation);
	if (extension == EXTENSION_AUTH)
		append_text(buf, ehlo->mechanisms);
}

bool
ehlo_format(const struct ehlo *ehlo, struct span name, struct buf *buf)
{
	unsigned left = ehlo->extensions;

	assert(left < EXTENSION_BIT(EXTENSION_COUNT));
	for (size_t i = 0; i < name.n; i++)
		assert(name.p[i] > ' ' && name.p[i] != DELETE);
	buf_append(buf, left == 0 ? SPAN_LIT("250 ") : SPAN_LIT("250-"));
	buf_append(buf, name);
	buf_append(buf, SPAN_LIT(" greets you\r\n"));
	for (unsigned i = 0; i < EXTENSION_COUNT; i++) {
		if ((left & EXTENSION_BIT(i)) == 0)
			continue;
		left &= ~EXTENSION_BIT(i);
		buf_append(buf,
			   left == 0 ? SPAN_LIT("250 ") : SPAN_LIT("250-"));
		append_keyword(buf, ehlo, i);
		buf_append(buf, SPAN_LIT("\r\n"));
	}
	return !buf->has_overflowed;
}

bool
extension_has_parameter(unsigned extensions, bool is_rcpt, struct span keyword)
{
	for (unsigned i = 0; i < EXTENSION_COUNT; i++)
		if ((extensions & EXTENSION_BIT(i)) != 0 &&
		    has_word(is_rcpt ? rows[i].rcpt : rows[i].mail, keyword))
			return true;
	return false;
}

unsigned
extension_of_body(struct span value)
{
	if (span_equal_nocase(value, SPAN_LIT("7BIT")) ||
	    span_equal_nocase(value, SPAN_LIT("8BITMIME")))
		return EXTENSION_BIT(EXTENSION_8BITMIME);
	if (span_equal_nocase(value, SPAN_LIT("BINARYMIME")))
		return EXTENSION_BIT(EXTENSION_BINARYMIME) |
		       EXTENSION_BIT(EXTENSION_CHUNKING);
	return 0;
}
