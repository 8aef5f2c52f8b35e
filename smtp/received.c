/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/received.h"

#include "smtp/address.h"

#define DAY_SECONDS 86400

/* Of what is one word of a line. */
#define WORD_MAX 320

/* RFC 5322 2.1.1: a line should have no more, where it can be folded. */
#define LINE_WIDTH 78

/* Room for any address literal. */
#define LITERAL_MAX (IP_TEXT_MAX + 7)

/* "Sat, 21 Nov 2026 12:00:00 +0000" */
#define DATE_OCTETS 31

/* What goes before a word of n octets: a space, or a new line where the word
 * would not fit in this one. */
static void
append_gap(size_t n, struct buf *buf)
{
	size_t width = 0;

	while (width < buf->n && buf->p[buf->n - 1 - width] != '\n')
		width++;
	buf_append(buf, width + 1 + n > LINE_WIDTH ? SPAN_LIT("\r\n\t")
						   : SPAN_LIT(" "));
}

static void
append_word(struct span word, struct buf *buf)
{
	append_gap(word.n, buf);
	buf_append(buf, word);
}

/* The calendar of a day, counted from 1970-01-01. */
struct date {
	unsigned year, month, day;
};

static struct date
date_of(uint64_t days)
{
	/* In years that begin in March, the odd day comes last. */
	uint64_t from_0000 = days + 719468;
	uint64_t era = from_0000 / 146097;
	uint64_t of_era = from_0000 % 146097;
	uint64_t year =
		(of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) /
		365;
	uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * of_year + 2) / 153;
	struct date date = {
		.year = (unsigned)(400 * era + year),
		.month = (unsigned)(month < 10 ? month + 3 : month - 9),
		.day = (unsigned)(of_year - (153 * month + 2) / 5 + 1),
	};

	date.year += date.month <= 2;
	return date;
}

/* RFC 5322 3.3 */
static void
append_date(uint64_t wall_us, struct buf *buf)
{
	static const char weekdays[][4] = { "Thu", "Fri", "Sat", "Sun",
					    "Mon", "Tue", "Wed" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr",
					  "May", "Jun", "Jul", "Aug",
					  "Sep", "Oct", "Nov", "Dec" };
	uint64_t seconds = wall_us / 1000000;
	uint64_t days = seconds / DAY_SECONDS;
	unsigned of_day = (unsigned)(seconds % DAY_SECONDS);
	struct date date = date_of(days);

	buf_printf(buf, "%s, %u %s %u %02u:%02u:%02u +0000", weekdays[days % 7],
		   date.day, months[date.month - 1], date.year, of_day / 3600,
		   of_day / 60 % 60, of_day % 60);
}

static bool
is_printable(struct span word, bool is_utf8)
{
	for (size_t i = 0; i < word.n; i++)
		if (word.p[i] <= 0x20 || word.p[i] == 0x7f ||
		    (word.p[i] > 0x7f && !is_utf8))
			return false;
	return word.n > 0 && word.n <= WORD_MAX && address_is_utf8(word);
}

static bool
is_literal(struct span word)
{
	struct span inner;
	struct ip ip;

	if (word.n < 2 || word.p[0] != '[' || word.p[word.n - 1] != ']')
		return false;
	inner = span_make(word.p + 1, word.n - 2);
	if (span_starts_nocase(inner, SPAN_LIT("IPv6:")))
		inner = span_after(inner, 5);
	return ip_parse(inner, &ip);
}

/* As RFC 5321 4.1.3 writes it. */
static struct span
literal_format(const struct ip *ip, char literal[LITERAL_MAX])
{
	struct span prefix =
		ip->family == IP_V6 ? SPAN_LIT("[IPv6:") : SPAN_LIT("[");
	size_t n = prefix.n;

	memcpy(literal, prefix.p, n);
	n += ip_format(ip, literal + n).n;
	literal[n++] = ']';
	return span_make(literal, n);
}

/* In a comment: what could end it, or continue it, becomes '?'. */
static void
append_comment(struct span text, struct buf *buf)
{
	for (size_t i = 0; i < text.n && i < WORD_MAX; i++) {
		uint8_t c = text.p[i];
		bool is_safe = c > 0x20 && c < 0x7f && c != '(' && c != ')' &&
			       c != '\\' && c != '"';

		buf_append_octet(buf, is_safe ? c : '?');
	}
}

/* "(name [address])": what we know of the client by ourselves. */
static void
append_client(const struct received *received, struct span literal,
	      struct buf *buf)
{
	buf_append(buf, SPAN_LIT("\r\n\t("));
	if (is_printable(received->name, false)) {
		append_comment(received->name, buf);
		append_gap(literal.n + 1, buf);
	}
	buf_append(buf, literal);
	buf_append(buf, SPAN_LIT(")"));
}

static void
append_from(const struct received *received, struct buf *buf)
{
	bool is_name = is_printable(received->helo, received->is_utf8) &&
		       (address_is_domain(received->helo) ||
			is_literal(received->helo));
	bool is_known = received->ip.family != IP_NONE;
	char text[LITERAL_MAX];
	struct span literal = SPAN_LIT("unknown");

	if (is_known)
		literal = literal_format(&received->ip, text);
	buf_append(buf, SPAN_LIT("Received: from"));
	append_word(is_name ? received->helo : literal, buf);
	if (!is_name && received->helo.n > 0) {
		append_gap(SPAN_LIT("(HELO )").n + received->helo.n, buf);
		buf_append(buf, SPAN_LIT("(HELO "));
		append_comment(received->helo, buf);
		buf_append(buf, SPAN_LIT(")"));
	}
	if (is_known)
		append_client(received, literal, buf);
}

static void
append_protocol(const struct received *received, bool has_tls, struct buf *buf)
{
	append_gap(SPAN_LIT("with UTF8SMTPSA").n, buf);
	buf_append(buf, SPAN_LIT("with "));
	/* Without EHLO there are no words for more. */
	if (!received->is_extended) {
		buf_append(buf, SPAN_LIT("SMTP"));
		return;
	}
	buf_append(buf, received->is_utf8 ? SPAN_LIT("UTF8SMTP")
					  : SPAN_LIT("ESMTP"));
	if (has_tls)
		buf_append(buf, SPAN_LIT("S"));
	if (received->is_authenticated)
		buf_append(buf, SPAN_LIT("A"));
}

static void
append_with(const struct received *received, struct buf *buf)
{
	bool has_tls = received->tls != NULL && received->tls->version != NULL;

	buf_append(buf, SPAN_LIT("\r\n\tby"));
	append_word(received->gate, buf);
	append_word(SPAN_LIT("(dmarcgate)"), buf);
	append_protocol(received, has_tls, buf);
	if (has_tls)
		buf_printf(buf, "\r\n\t(using %s with cipher %s (%u bits))",
			   received->tls->version, received->tls->cipher,
			   received->tls->bits);
}

/* A quoted local part is read in several ways: it is left out. */
static bool
is_plain(struct span address)
{
	static const struct span doubtful = SPAN_LIT("()<>\\\"");

	for (size_t i = 0; i < address.n; i++)
		if (span_find(doubtful, address.p[i]) < doubtful.n)
			return false;
	return true;
}

bool
received_format(const struct received *received, struct buf *buf)
{
	append_from(received, buf);
	append_with(received, buf);
	buf_append(buf, SPAN_LIT("\r\n\tid "));
	buf_append(buf, received->id);
	if (is_printable(received->recipient, received->is_utf8) &&
	    is_plain(received->recipient)) {
		buf_append(buf, SPAN_LIT("\r\n\tfor"));
		append_gap(received->recipient.n + SPAN_LIT("<>;").n, buf);
		buf_append(buf, SPAN_LIT("<"));
		buf_append(buf, received->recipient);
		buf_append(buf, SPAN_LIT(">"));
	}
	buf_append(buf, SPAN_LIT(";"));
	append_gap(DATE_OCTETS, buf);
	append_date(received->wall_us, buf);
	return buf_append(buf, SPAN_LIT("\r\n"));
}
