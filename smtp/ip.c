/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text forms are the C library's: inet_pton() takes neither "010" nor
 * "1.2" nor a scope, inet_ntop() writes as RFC 5952 asks. Both get bounded
 * copies with a NUL of our own.
 */
#include "smtp/ip.h"

#include <arpa/inet.h>
#include <assert.h>

#define V4_OCTETS 4
#define V6_OCTETS 16
#define MAPPED_OCTETS 12 /* of ::ffff:0:0/96 */

static const uint8_t mapped[MAPPED_OCTETS] = { [10] = 0xff, [11] = 0xff };

static size_t
octets_of(enum ip_family family)
{
	switch (family) {
	case IP_V4:
		return V4_OCTETS;
	case IP_V6:
		return V6_OCTETS;
	case IP_NONE:
		break;
	}
	return 0;
}

struct ip
ip_make(const uint8_t *octets, size_t n)
{
	struct ip ip = { .family = IP_NONE };

	if (n == V6_OCTETS && memcmp(octets, mapped, MAPPED_OCTETS) == 0) {
		octets += MAPPED_OCTETS;
		n = V4_OCTETS;
	}
	if (n == V4_OCTETS)
		ip.family = IP_V4;
	else if (n == V6_OCTETS)
		ip.family = IP_V6;
	else
		return ip;
	memcpy(ip.octets, octets, n);
	return ip;
}

static bool
is_v6_text(struct span text)
{
	return span_find(text, ':') < text.n;
}

bool
ip_parse(struct span text, struct ip *ip)
{
	bool is_v6 = is_v6_text(text);
	char copy[IP_TEXT_MAX];
	uint8_t octets[V6_OCTETS];

	if (text.n == 0 || text.n >= sizeof(copy) ||
	    span_find(text, '\0') < text.n)
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (inet_pton(is_v6 ? AF_INET6 : AF_INET, copy, octets) != 1)
		return false;
	*ip = ip_make(octets, is_v6 ? V6_OCTETS : V4_OCTETS);
	return true;
}

struct span
ip_format(const struct ip *ip, char text[IP_TEXT_MAX])
{
	static const char unknown[] = "unknown";
	const char *written;

	if (ip->family == IP_NONE) {
		memcpy(text, unknown, sizeof(unknown));
		return span_make(text, sizeof(unknown) - 1);
	}
	written = inet_ntop(ip->family == IP_V4 ? AF_INET : AF_INET6,
			    ip->octets, text, IP_TEXT_MAX);
	assert(written != NULL);
	return span_cstr(written);
}

bool
ip_equal(const struct ip *a, const struct ip *b)
{
	return a->family == b->family &&
	       memcmp(a->octets, b->octets, octets_of(a->family)) == 0;
}

bool
ip_has_prefix(const struct ip *a, const struct ip *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	return a->family == b->family &&
	       memcmp(a->octets, b->octets, whole) == 0 &&
	       (rest == 0 ||
		((a->octets[whole] ^ b->octets[whole]) & mask) == 0);
}

bool
ip_is_loopback(const struct ip *ip)
{
	static const uint8_t loopback[V6_OCTETS] = { [15] = 1 };

	if (ip->family == IP_V4)
		return ip->octets[0] == 127;
	return ip->family == IP_V6 &&
	       memcmp(ip->octets, loopback, V6_OCTETS) == 0;
}

/* ip without the bits behind the first prefix ones. */
static struct ip
masked(const struct ip *ip, unsigned prefix)
{
	struct ip network = *ip;

	for (unsigned i = 0; i < V6_OCTETS; i++) {
		unsigned bits = prefix > i * 8 ? prefix - i * 8 : 0;

		if (bits < 8)
			network.octets[i] &= (uint8_t)(0xff00u >> bits);
	}
	return network;
}

/* "24" as a prefix of the address that was written as text. A mapped one
 * counts its 96 bits too: ::ffff:192.0.2.0/120 is 192.0.2.0/24. */
static bool
prefix_parse(struct span digits, struct span text, const struct ip *ip,
	     unsigned *prefix)
{
	uint64_t skipped =
		is_v6_text(text) && ip->family == IP_V4 ? MAPPED_OCTETS * 8 : 0;
	uint64_t value;

	if (!span_u64(digits, &value) || value < skipped ||
	    value - skipped > octets_of(ip->family) * 8)
		return false;
	*prefix = (unsigned)(value - skipped);
	return true;
}

bool
ip_network_parse(struct span text, struct ip_network *network)
{
	size_t slash = span_find(text, '/');
	struct span address = span_first(text, slash);
	struct ip_network parsed;
	struct ip bare;

	if (!ip_parse(address, &parsed.ip))
		return false;
	parsed.prefix = (unsigned)octets_of(parsed.ip.family) * 8;
	if (slash < text.n &&
	    !prefix_parse(span_after(text, slash + 1), address, &parsed.ip,
			  &parsed.prefix))
		return false;
	bare = masked(&parsed.ip, parsed.prefix);
	if (!ip_equal(&bare, &parsed.ip))
		return false;
	*network = parsed;
	return true;
}

bool
ip_network_has(const struct ip_network *network, const struct ip *ip)
{
	struct ip bare = masked(ip, network->prefix);

	/* IP_NONE equals itself, and is in no network. */
	return ip->family != IP_NONE && ip_equal(&bare, &network->ip);
}
