/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XCLIENT as Postfix's XCLIENT_README has it. One command carries all: a second
 * one on a connection is refused, since the first takes away the right to it.
 */
#include "smtp/xclient.h"

#include "smtp/command.h"

#define UNAVAILABLE SPAN_LIT("[UNAVAILABLE]")
#define TEMPORARY SPAN_LIT("[TEMPUNAVAIL]")

/* "NAME=value" behind a space; unavailable stands for an empty value. */
static void
text_append(struct buf *buf, struct span name, struct span value,
	    struct span unavailable)
{
	buf_append_octet(buf, ' ');
	buf_append(buf, name);
	buf_append_octet(buf, '=');
	if (value.n == 0)
		buf_append(buf, unavailable);
	else
		xtext_encode(value, buf);
}

static void
address_append(struct buf *buf, const struct ip *ip)
{
	char text[IP_TEXT_MAX];

	buf_append(buf, SPAN_LIT(" ADDR="));
	if (ip->family == IP_V6)
		buf_append(buf, SPAN_LIT("IPV6:"));
	buf_append(buf,
		   ip->family == IP_NONE ? UNAVAILABLE : ip_format(ip, text));
}

static void
port_append(struct buf *buf, uint16_t port)
{
	buf_append(buf, SPAN_LIT(" PORT="));
	if (port == 0)
		buf_append(buf, UNAVAILABLE);
	else
		buf_append_u64(buf, port);
}

bool
xclient_format(const struct xclient *xclient, unsigned offered, struct buf *buf)
{
	unsigned wanted = (xclient->given | XCLIENT_NAME) & offered &
			  (XCLIENT_ADDR | XCLIENT_PORT | XCLIENT_NAME |
			   XCLIENT_HELO | XCLIENT_LOGIN);

	if (wanted == 0 || xclient->name.n > XCLIENT_VALUE_MAX ||
	    xclient->helo.n > XCLIENT_VALUE_MAX ||
	    xclient->login.n > XCLIENT_VALUE_MAX)
		return false;
	buf_append(buf, SPAN_LIT("XCLIENT"));
	if ((wanted & XCLIENT_ADDR) != 0)
		address_append(buf, &xclient->ip);
	if ((wanted & XCLIENT_PORT) != 0)
		port_append(buf, xclient->port);
	if ((wanted & XCLIENT_NAME) != 0)
		text_append(buf, SPAN_LIT("NAME"), xclient->name,
			    xclient->is_name_temporary ? TEMPORARY
						       : UNAVAILABLE);
	if ((wanted & XCLIENT_HELO) != 0)
		text_append(buf, SPAN_LIT("HELO"), xclient->helo, UNAVAILABLE);
	if ((wanted & XCLIENT_LOGIN) != 0)
		text_append(buf, SPAN_LIT("LOGIN"), xclient->login,
			    UNAVAILABLE);
	return buf_append(buf, SPAN_LIT("\r\n"));
}

/* A decoded value: where it is in the store, whose octets move as it grows. */
struct kept {
	size_t at;
	size_t n;
};

static struct span
kept_span(const struct buf *store, struct kept kept)
{
	return span_first(span_after(buf_span(store), kept.at), kept.n);
}

static bool
is_unavailable(struct span value)
{
	return span_equal_nocase(value, UNAVAILABLE) ||
	       span_equal_nocase(value, TEMPORARY);
}

/* Read: an address, a port, a protocol, a name. Unavailable ones have been told
 * from these before. */
static bool
address_read(struct span value, struct ip *ip)
{
	struct span tag = SPAN_LIT("IPV6:");
	bool is_v6 = span_starts_nocase(value, tag);

	if (is_v6)
		value = span_after(value, tag.n);
	return is_v6 == (span_find(value, ':') < value.n) &&
	       ip_parse(value, ip);
}

static bool
port_read(struct span value, uint16_t *port)
{
	uint64_t number;

	if (!span_u64(value, &number) || number == 0 || number > UINT16_MAX)
		return false;
	*port = (uint16_t)number;
	return true;
}

static bool
protocol_is_known(struct span value)
{
	return span_equal_nocase(value, SPAN_LIT("SMTP")) ||
	       span_equal_nocase(value, SPAN_LIT("ESMTP"));
}

static bool
is_word(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (octet_is_wsp(text.p[i]))
			return false;
	return text.n > 0 && address_is_text(text);
}

/* Decode value into the store. */
static bool
text_read(struct span value, struct buf *store, struct kept *kept)
{
	kept->at = store->n;
	if (!xtext_decode(value, store))
		return false;
	kept->n = store->n - kept->at;
	return kept->n <= XCLIENT_VALUE_MAX && is_word(kept_span(store, *kept));
}

static enum xclient_attribute
attribute_parse(struct span name)
{
	static const struct {
		struct span name;
		enum xclient_attribute bit;
	} attributes[] = {
#define X(text, bit) { SPAN_LIT(#text), XCLIENT_##text },
		XCLIENT_ATTRIBUTES(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
		if (span_equal_nocase(name, attributes[i].name))
			return attributes[i].bit;
	return 0;
}

struct reader {
	struct xclient *xclient;
	struct buf *store;
	struct kept name;
	struct kept helo;
	struct kept login;
};

static bool
value_read(struct reader *reader, enum xclient_attribute attribute,
	   struct span value)
{
	struct ip ip;
	uint16_t port;

	switch (attribute) {
	case XCLIENT_NAME:
		return text_read(value, reader->store, &reader->name) &&
		       address_is_domain(
			       kept_span(reader->store, reader->name));
	case XCLIENT_ADDR:
		return address_read(value, &reader->xclient->ip);
	case XCLIENT_PORT:
		return port_read(value, &reader->xclient->port);
	case XCLIENT_PROTO:
		return protocol_is_known(value);
	case XCLIENT_HELO:
		return text_read(value, reader->store, &reader->helo);
	case XCLIENT_LOGIN:
		return text_read(value, reader->store, &reader->login);
	case XCLIENT_DESTADDR:
		return address_read(value, &ip);
	case XCLIENT_DESTPORT:
		return port_read(value, &port);
	}
	return false;
}

/* One "NAME=value". */
static bool
attribute_read(struct reader *reader, struct span word)
{
	size_t n = span_find(word, '=');
	enum xclient_attribute attribute = attribute_parse(span_first(word, n));
	struct xclient *xclient = reader->xclient;
	struct span value;

	if (n == word.n || attribute == 0 || (xclient->given & attribute) != 0)
		return false;
	xclient->given |= attribute;
	value = span_after(word, n + 1);
	if (attribute == XCLIENT_NAME)
		xclient->is_name_temporary =
			span_equal_nocase(value, TEMPORARY);
	return is_unavailable(value) || value_read(reader, attribute, value);
}

bool
xclient_parse(struct span argument, struct xclient *xclient, struct buf *store)
{
	struct reader reader = { .xclient = xclient, .store = store };
	struct span rest = span_trim(argument);

	*xclient = (struct xclient){ .given = 0 };
	while (rest.n > 0) {
		size_t n = span_find(rest, ' ');

		if (!attribute_read(&reader, span_first(rest, n)))
			return false;
		rest = span_trim(span_after(rest, n));
	}
	xclient->name = kept_span(store, reader.name);
	xclient->helo = kept_span(store, reader.helo);
	xclient->login = kept_span(store, reader.login);
	return xclient->given != 0;
}
