/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ip: addresses and networks as values.
 *
 * An address is IPv4 or IPv6, never "IPv4 mapped into IPv6": ip_parse() and
 * ip_make() turn ::ffff:a.b.c.d into a.b.c.d, so that one client has one
 * spelling in rules, SPF and logs. Textual forms are those of RFC 4291 and
 * RFC 5952, without brackets, scope or port.
 */
#ifndef SMTP_IP_H
#define SMTP_IP_H

#include "smtp/span.h"

#define IP_TEXT_MAX 46 /* the longest text form and its NUL */

enum ip_family { IP_NONE, IP_V4, IP_V6 };

struct ip {
	enum ip_family family;
	uint8_t octets[16]; /* network order; IPv4 uses the first four */
};

struct ip_network {
	struct ip ip; /* host bits are zero */
	unsigned prefix;
};

/* From 4 or 16 octets in network order; another n gives IP_NONE. */
struct ip ip_make(const uint8_t *octets, size_t n);

/* The whole of text as an address; false otherwise. */
bool ip_parse(struct span text, struct ip *ip);

/* The canonical text with a NUL into text[IP_TEXT_MAX]; its span.
 * IP_NONE gives "unknown". */
struct span ip_format(const struct ip *ip, char text[IP_TEXT_MAX]);

bool ip_equal(const struct ip *a, const struct ip *b);

/* Of one family, and equal in their first `bits` bits. */
bool ip_has_prefix(const struct ip *a, const struct ip *b, unsigned bits);

/* 127/8 or ::1. */
bool ip_is_loopback(const struct ip *ip);

/* "ADDRESS" or "ADDRESS/PREFIX"; set host bits are refused. */
bool ip_network_parse(struct span text, struct ip_network *network);

bool ip_network_has(const struct ip_network *network, const struct ip *ip);

#endif
