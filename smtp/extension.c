/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/extension.h"

#include <assert.h>

#define DELETE 0x7f

enum rule { RULE_OFFER, RULE_PASS, RULE_OWN };

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

#define ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

/* The next word of *text, which is moved behind it; empty at the end. */
static struct span
next_word(struct span *text)
{
	struct span word = span_trim(*text);
	size_t n = 0;

	while (n < word.n && !octet_is_wsp(word.p[n]))
		n++;
	*text = span_after(word, n);
	return span_first(word, n);
}

static bool
has_word(struct span text, struct span wanted)
{
	for (struct span word = next_word(&text); word.n > 0;
	     word = next_word(&text))
		if (span_equal_nocase(word, wanted))
			return true;
	return false;
}

/* RFC 1870 3: a number or nothing; 0 and nothing mean that no limit is said. */
static bool
size_parse(struct span text, struct ehlo *ehlo)
{
	struct span number = next_word(&text);
	uint64_t size_max = 0;

	if (number.n > 0 &&
	    (span_trim(text).n > 0 || !span_u64(number, &size_max)))
		return false;
	ehlo->size_max = size_max;
	return true;
}

static void
attributes_parse(struct span text, struct ehlo *ehlo)
{
	for (size_t i = 0; i < ATTRIBUTES; i++)
		if (has_word(text, attributes[i].name))
			ehlo->xclient |= attributes[i].bit;
}

/* What stands behind a keyword that takes nothing there is ignored, as RFC
 * 6531 3.1 asks for SMTPUTF8. */
static void
line_parse(struct span line, struct ehlo *ehlo)
{
	struct span keyword = next_word(&line);
	unsigned i = 0;

	while (i < EXTENSION_COUNT &&
	       !span_equal_nocase(keyword, rows[i].keyword))
		i++;
	if (i == EXTENSION_COUNT)
		return;
	if (i == EXTENSION_SIZE && !size_parse(line, ehlo))
		return;
	if (i == EXTENSION_XCLIENT)
		attributes_parse(line, ehlo);
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
ehlo_offer(const struct ehlo *theirs, uint64_t size_max, uint64_t room)
{
	uint64_t left = theirs->size_max;
	struct ehlo offer = { 0 };

	/* A limit that our own fields use up is a limit still, never none. */
	if (left > 0)
		left = left > room ? left - room : 1;
	offer.size_max = smaller_limit(size_max, left);
	for (unsigned i = 0; i < EXTENSION_COUNT; i++)
		if (rows[i].rule == RULE_OFFER ||
		    (rows[i].rule == RULE_PASS &&
		     (theirs->extensions & EXTENSION_BIT(i)) != 0))
			offer.extensions |= EXTENSION_BIT(i);
	return offer;
}

struct ehlo
ehlo_intersect(const struct ehlo *a, const struct ehlo *b)
{
	return (struct ehlo){
		.extensions = a->extensions & b->extensions,
		.size_max = smaller_limit(a->size_max, b->size_max),
		.xclient = a->xclient & b->xclient,
	};
}

static void
append_keyword(struct buf *buf, const struct ehlo *ehlo, unsigned extension)
{
	buf_append(buf, rows[extension].keyword);
	if (extension == EXTENSION_SIZE) {
		buf_append_octet(buf, ' ');
		buf_append_u64(buf, ehlo->size_max);
	}
	for (size_t i = 0; i < ATTRIBUTES; i++)
		if (extension == EXTENSION_XCLIENT &&
		    (ehlo->xclient & attributes[i].bit) != 0) {
			buf_append_octet(buf, ' ');
			buf_append(buf, attributes[i].name);
		}
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
