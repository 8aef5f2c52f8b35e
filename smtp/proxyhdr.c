/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PROXY protocol, as HAProxy's proxy-protocol.txt has it (2.1 and 2.2).
 *
 * Either version is appended in one piece, so that no half of one is ever sent.
 */
#include "smtp/proxyhdr.h"

#define V2_FIXED 16
#define V2_ADDRESSES_V4 12 /* two addresses, two ports */
#define V2_ADDRESSES_V6 36

#define V2_LOCAL 0x20
#define V2_PROXY 0x21
#define V2_UNSPEC 0x00
#define V2_TCP4 0x11
#define V2_TCP6 0x21

#define SIGNATURE SPAN_LIT("\r\n\r\n\0\r\nQUIT\n")
#define PREFIX SPAN_LIT("PROXY ")

static struct span
shorter(struct span a, struct span b)
{
	return a.n < b.n ? a : b;
}

/* Whether in may still become something that starts with prefix. */
static bool
may_start(struct span in, struct span prefix)
{
	size_t n = shorter(in, prefix).n;

	return span_equal(span_first(in, n), span_first(prefix, n));
}

/* What stands before the next space; *text is moved behind that. */
static struct span
word_take(struct span *text)
{
	size_t n = span_find(*text, ' ');
	struct span word = span_first(*text, n);

	*text = span_after(*text, n < text->n ? n + 1 : n);
	return word;
}

static bool
port_parse(struct span text, uint16_t *port)
{
	uint64_t value;

	if (!span_u64(text, &value) || value > UINT16_MAX ||
	    (text.n > 1 && text.p[0] == '0'))
		return false;
	*port = (uint16_t)value;
	return true;
}

/* The family says how the address is written; an IPv6 one may be a mapped IPv4
 * address (see ip.h). */
static bool
address_parse(struct span text, bool is_v6, struct ip *ip)
{
	return is_v6 == (span_find(text, ':') < text.n) && ip_parse(text, ip);
}

/* The line without "PROXY " and CR LF. */
static bool
v1_parse_line(struct span line, struct proxyhdr *hdr)
{
	struct span family = word_take(&line);
	bool is_v6 = span_equal(family, SPAN_LIT("TCP6"));

	if (span_equal(family, SPAN_LIT("UNKNOWN"))) {
		hdr->is_local = true; /* the rest of the line is ignored */
		return true;
	}
	if (!is_v6 && !span_equal(family, SPAN_LIT("TCP4")))
		return false;
	/* The last port has all the rest, so a fifth word makes it bad. */
	return address_parse(word_take(&line), is_v6, &hdr->source) &&
	       address_parse(word_take(&line), is_v6, &hdr->destination) &&
	       port_parse(word_take(&line), &hdr->source_port) &&
	       port_parse(line, &hdr->destination_port);
}

static bool
is_printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return true;
}

static enum proxyhdr_status
v1_parse(struct span *in, struct proxyhdr *hdr)
{
	size_t most = in->n < PROXYHDR_V1_MAX ? in->n : PROXYHDR_V1_MAX;
	size_t n = span_find(span_first(*in, most), '\r');
	struct span line = span_first(*in, n);

	if (!is_printable(line))
		return PROXYHDR_BAD;
	if (n + 1 >= most) /* no room, or no octet yet, for the LF */
		return most == PROXYHDR_V1_MAX ? PROXYHDR_BAD : PROXYHDR_MORE;
	if (in->p[n + 1] != '\n' || line.n < PREFIX.n ||
	    !v1_parse_line(span_after(line, PREFIX.n), hdr))
		return PROXYHDR_BAD;
	*in = span_after(*in, n + 2);
	return PROXYHDR_READY;
}

static uint16_t
u16_get(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void
u16_put(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* Octets the address block must have; false for what we do not speak. */
static bool
v2_addresses(uint8_t command, uint8_t family, size_t *n)
{
	*n = 0;
	/* 2.2: with LOCAL the family is ignored. */
	if (command == V2_LOCAL)
		return true;
	if (family == V2_TCP4)
		*n = V2_ADDRESSES_V4;
	else if (family == V2_TCP6)
		*n = V2_ADDRESSES_V6;
	else if (family != V2_UNSPEC)
		return false;
	return command == V2_PROXY;
}

static void
v2_take_addresses(const uint8_t *p, size_t n, struct proxyhdr *hdr)
{
	size_t address = (n - 4) / 2;

	hdr->source = ip_make(p, address);
	hdr->destination = ip_make(p + address, address);
	hdr->source_port = u16_get(p + 2 * address);
	hdr->destination_port = u16_get(p + 2 * address + 2);
}

static enum proxyhdr_status
v2_parse(struct span *in, struct proxyhdr *hdr)
{
	size_t addresses;
	size_t length;

	if (in->n < V2_FIXED)
		return PROXYHDR_MORE;
	length = u16_get(in->p + 14);
	if (!v2_addresses(in->p[12], in->p[13], &addresses) ||
	    length < addresses || length > PROXYHDR_V2_MAX - V2_FIXED)
		return PROXYHDR_BAD;
	if (in->n - V2_FIXED < length)
		return PROXYHDR_MORE;
	hdr->is_local = addresses == 0;
	if (addresses > 0)
		v2_take_addresses(in->p + V2_FIXED, addresses, hdr);
	*in = span_after(*in, V2_FIXED + length);
	return PROXYHDR_READY;
}

enum proxyhdr_status
proxyhdr_parse(struct span *in, struct proxyhdr *hdr)
{
	*hdr = (struct proxyhdr){ .is_local = false };
	if (in->n == 0)
		return PROXYHDR_MORE;
	if (may_start(*in, PREFIX))
		return v1_parse(in, hdr);
	if (may_start(*in, SIGNATURE))
		return v2_parse(in, hdr);
	return PROXYHDR_BAD;
}

static bool
has_addresses(const struct proxyhdr *hdr)
{
	return hdr->source.family != IP_NONE &&
	       hdr->destination.family != IP_NONE;
}

bool
proxyhdr_format_v1(const struct proxyhdr *hdr, struct buf *buf)
{
	char source[IP_TEXT_MAX];
	char destination[IP_TEXT_MAX];

	if (hdr->is_local)
		return buf_append(buf, SPAN_LIT("PROXY UNKNOWN\r\n"));
	if (!has_addresses(hdr) ||
	    hdr->source.family != hdr->destination.family)
		return false;
	ip_format(&hdr->source, source);
	ip_format(&hdr->destination, destination);
	return buf_printf(buf, "PROXY TCP%c %s %s %u %u\r\n",
			  hdr->source.family == IP_V4 ? '4' : '6', source,
			  destination, (unsigned)hdr->source_port,
			  (unsigned)hdr->destination_port);
}

/* The address in the octets of its family, or of a mapped one. */
static size_t
v2_put_address(uint8_t *p, const struct ip *ip, bool is_v6)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (ip->family == IP_V6) {
		memcpy(p, ip->octets, 16);
		return 16;
	}
	if (!is_v6) {
		memcpy(p, ip->octets, 4);
		return 4;
	}
	memcpy(p, mapped, sizeof(mapped));
	memcpy(p + sizeof(mapped), ip->octets, 4);
	return 16;
}

bool
proxyhdr_format_v2(const struct proxyhdr *hdr, struct buf *buf)
{
	uint8_t octets[V2_FIXED + V2_ADDRESSES_V6] = { 0 };
	bool is_v6 =
		hdr->source.family == IP_V6 || hdr->destination.family == IP_V6;
	size_t n = V2_FIXED;

	memcpy(octets, SIGNATURE.p, SIGNATURE.n);
	octets[12] = V2_LOCAL;
	octets[13] = V2_UNSPEC;
	if (!hdr->is_local) {
		if (!has_addresses(hdr))
			return false;
		octets[12] = V2_PROXY;
		octets[13] = is_v6 ? V2_TCP6 : V2_TCP4;
		n += v2_put_address(octets + n, &hdr->source, is_v6);
		n += v2_put_address(octets + n, &hdr->destination, is_v6);
		u16_put(octets + n, hdr->source_port);
		u16_put(octets + n + 2, hdr->destination_port);
		n += 4;
	}
	u16_put(octets + 14, (uint16_t)(n - V2_FIXED));
	return buf_append(buf, span_make(octets, n));
}
