/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/parameter.h"

#define SECONDS_DIGITS_MAX 9

/* The text before the next comma of *list, which is moved behind it. A list
 * that ends with a comma ends with an empty word. */
static struct span
next_word(struct span *list, bool *is_last)
{
	size_t n = span_find(*list, ',');
	struct span word = span_first(*list, n);

	*is_last = n == list->n;
	*list = *is_last ? SPAN_NONE : span_after(*list, n + 1);
	return word;
}

static bool
is_each(struct span text, bool (*is_good)(uint8_t c))
{
	for (size_t i = 0; i < text.n; i++)
		if (!is_good(text.p[i]))
			return false;
	return true;
}

/* No printable text stands in it for a line end: whoever decodes it writes it
 * into a header or a log, where that would make a line of its own. */
static bool
is_xtext(struct span text)
{
	ROOM(room, COMMAND_LINE_MAX + 1);
	struct buf decoded;
	bool is_good;

	buf_init_room(&decoded, COMMAND_LINE_MAX, room, sizeof(room));
	is_good = text.n > 0 && xtext_decode(text, &decoded) &&
		  !xtext_hides_control(text);
	buf_fini(&decoded);
	return is_good;
}

static bool
is_ret(struct span value)
{
	return span_equal_nocase(value, SPAN_LIT("FULL")) ||
	       span_equal_nocase(value, SPAN_LIT("HDRS"));
}

static bool
is_envid(struct span value)
{
	return value.n <= PARAMETER_ENVID_MAX && is_xtext(value);
}

/* RFC 3461 4.1: NEVER stands alone. */
static bool
is_notify(struct span value)
{
	bool is_last = span_equal_nocase(value, SPAN_LIT("NEVER"));

	while (!is_last) {
		struct span word = next_word(&value, &is_last);

		if (!span_equal_nocase(word, SPAN_LIT("SUCCESS")) &&
		    !span_equal_nocase(word, SPAN_LIT("FAILURE")) &&
		    !span_equal_nocase(word, SPAN_LIT("DELAY")))
			return false;
	}
	return true;
}

/* RFC 5322 3.2.3 */
static bool
is_atext(uint8_t c)
{
	return octet_is_alpha(c) || octet_is_digit(c) ||
	       (c > ' ' && c < 0x7f &&
		memchr("!#$%&'*+-/=?^_`{|}~", c, 19) != NULL);
}

/* RFC 6533 3: of what is not ASCII each octet stands for itself; that it is
 * UTF-8 was seen when the line was parsed. */
static bool
is_utf8_xtext(struct span text)
{
	bool is_good = text.n > 0;

	while (is_good && text.n > 0) {
		size_t n = 0;

		while (n < text.n && text.p[n] < 0x80)
			n++;
		is_good = n == 0 || is_xtext(span_first(text, n));
		while (n < text.n && text.p[n] >= 0x80)
			n++;
		text = span_after(text, n);
	}
	return is_good;
}

static bool
is_orcpt(struct span value)
{
	size_t n = span_find(value, ';');
	struct span type = span_first(value, n);
	struct span address;

	if (value.n > PARAMETER_ORCPT_MAX || n == 0 || n == value.n ||
	    !is_each(type, is_atext))
		return false;
	address = span_after(value, n + 1);
	return span_equal_nocase(type, SPAN_LIT("utf-8"))
		       ? is_utf8_xtext(address)
		       : is_xtext(address);
}

static bool
is_seconds(struct span text)
{
	return text.n > 0 && text.n <= SECONDS_DIGITS_MAX &&
	       is_each(text, octet_is_digit);
}

/* RFC 2852 4: a time, and what to do then; to return what has no time left
 * makes no sense. */
static bool
is_by(struct span value)
{
	size_t n = span_find(value, ';');
	struct span time = span_first(value, n);
	struct span mode = span_after(value, n < value.n ? n + 1 : n);
	bool is_negative = span_starts(time, SPAN_LIT("-"));
	uint64_t seconds;

	if (is_negative || span_starts(time, SPAN_LIT("+")))
		time = span_after(time, 1);
	if (!is_seconds(time) || !span_u64(time, &seconds))
		return false;
	if (span_equal_nocase(mode, SPAN_LIT("R")) ||
	    span_equal_nocase(mode, SPAN_LIT("RT")))
		return !is_negative && seconds > 0;
	return span_equal_nocase(mode, SPAN_LIT("N")) ||
	       span_equal_nocase(mode, SPAN_LIT("NT"));
}

static bool
is_holdfor(struct span value)
{
	return is_seconds(value) && value.p[0] != '0';
}

/* Two digits at the start of *text, of a number within the bounds, and the
 * mark behind them (none: '\0'); *text is moved behind. */
static bool
take_number(struct span *text, unsigned min, unsigned max, char mark)
{
	size_t n = mark == '\0' ? 2 : 3;
	unsigned number;

	if (text->n < n || !octet_is_digit(text->p[0]) ||
	    !octet_is_digit(text->p[1]) ||
	    (mark != '\0' && text->p[2] != (uint8_t)mark))
		return false;
	number = (unsigned)(text->p[0] - '0') * 10 +
		 (unsigned)(text->p[1] - '0');
	*text = span_after(*text, n);
	return number >= min && number <= max;
}

static void
skip_fraction(struct span *text)
{
	size_t n = 1;

	if (!span_starts(*text, SPAN_LIT(".")))
		return;
	while (n < text->n && octet_is_digit(text->p[n]))
		n++;
	if (n > 1)
		*text = span_after(*text, n);
}

bool
parameter_is_date(struct span text)
{
	if (!take_number(&text, 0, 99, '\0') ||
	    !take_number(&text, 0, 99, '-') ||
	    !take_number(&text, 1, 12, '-') ||
	    !take_number(&text, 1, 31, '\0') ||
	    !span_starts_nocase(text, SPAN_LIT("T")))
		return false;
	text = span_after(text, 1);
	if (!take_number(&text, 0, 23, ':') ||
	    !take_number(&text, 0, 59, ':') ||
	    !take_number(&text, 0, 60, '\0')) /* a leap second */
		return false;
	skip_fraction(&text);
	if (span_equal_nocase(text, SPAN_LIT("Z")))
		return true;
	if (text.n == 0 || (text.p[0] != '+' && text.p[0] != '-'))
		return false;
	text = span_after(text, 1);
	return take_number(&text, 0, 23, ':') &&
	       take_number(&text, 0, 59, '\0') && text.n == 0;
}

/* RFC 6710 4.1: from -9 to 9, and no "-0". */
static bool
is_priority(struct span value)
{
	if (value.n == 2 && value.p[0] == '-')
		return value.p[1] >= '1' && value.p[1] <= '9';
	return value.n == 1 && octet_is_digit(value.p[0]);
}

static bool
is_solicitation_octet(uint8_t c)
{
	return octet_is_alpha(c) || octet_is_digit(c) || c == '.' || c == '-' ||
	       c == '_' || c == ':';
}

bool
parameter_is_solicitation(struct span text)
{
	bool is_last = false;

	if (text.n > PARAMETER_SOLICIT_MAX)
		return false;
	while (!is_last) {
		struct span word = next_word(&text, &is_last);

		if (word.n == 0 || !octet_is_alpha(word.p[0]) ||
		    !is_each(word, is_solicitation_octet))
			return false;
	}
	return true;
}

/* RFC 4954 5: who has logged in, or that it is not known. */
static bool
is_submitter(struct span value)
{
	return span_equal(value, SPAN_LIT("<>")) ||
	       (value.n <= PARAMETER_SUBMITTER_MAX && is_xtext(value));
}

/* Parameters that have a value; REQUIRETLS has none. */
static const struct {
	struct span keyword;
	bool (*is_good)(struct span value); /* NULL: there is none */
} rows[] = {
	{ SPAN_LIT("RET"), is_ret },
	{ SPAN_LIT("ENVID"), is_envid },
	{ SPAN_LIT("NOTIFY"), is_notify },
	{ SPAN_LIT("ORCPT"), is_orcpt },
	{ SPAN_LIT("BY"), is_by },
	{ SPAN_LIT("HOLDFOR"), is_holdfor },
	{ SPAN_LIT("HOLDUNTIL"), parameter_is_date },
	{ SPAN_LIT("MT-PRIORITY"), is_priority },
	{ SPAN_LIT("SOLICIT"), parameter_is_solicitation },
	{ SPAN_LIT("AUTH"), is_submitter },
	{ SPAN_LIT("REQUIRETLS"), NULL },
};

bool
parameter_is_good(const struct parameter *parameter)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!span_equal_nocase(parameter->keyword, rows[i].keyword))
			continue;
		if (rows[i].is_good == NULL)
			return !parameter->has_value;
		return parameter->has_value &&
		       rows[i].is_good(parameter->value);
	}
	return true;
}
