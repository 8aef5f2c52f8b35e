/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/name.h"

/* 10.2.0.192.in-addr.arpa, or 32 nibbles and ip6.arpa (RFC 3596 2.5). */
static bool
append_reverse(const struct ip *ip, struct buf *out)
{
	static const char digits[] = "0123456789abcdef";

	if (ip->family == IP_V4) {
		buf_printf(out, "%u.%u.%u.%u.in-addr.arpa", ip->octets[3],
			   ip->octets[2], ip->octets[1], ip->octets[0]);
	} else {
		for (size_t i = 16; i-- > 0;)
			buf_printf(out, "%c.%c.", digits[ip->octets[i] & 15],
				   digits[ip->octets[i] >> 4]);
		buf_append(out, SPAN_LIT("ip6.arpa"));
	}
	return !out->has_overflowed;
}

static bool
has_address(const struct answer *answer, const struct ip *ip)
{
	for (size_t i = 0; i < answer->records; i++) {
		struct span value = answer->record[i].value;
		struct ip found = ip_make(value.p, value.n);

		if (ip_equal(&found, ip))
			return true;
	}
	return false;
}

/* A PTR may hold anything; an MTA takes host names, and one that it refuses
 * would cost the client its session. */
static bool
is_host_name(struct span name)
{
	bool is_number = true;
	uint8_t before = '.';

	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];

		if (!octet_is_alpha(c) && !octet_is_digit(c) && c != '-' &&
		    c != '_' && c != '.')
			return false;
		if ((c == '-' || c == '.') && before == '.')
			return false;
		if (c == '.' && before == '-')
			return false;
		is_number &= octet_is_digit(c) || c == '.';
		before = c;
	}
	return before != '.' && before != '-' && !is_number;
}

static enum name_status
confirm(const struct answer *names, const struct ip *ip,
	struct answers *answers, struct span *name)
{
	enum dns_type type = ip->family == IP_V4 ? DNS_A : DNS_AAAA;
	enum name_status status = NAME_UNAVAILABLE;

	for (size_t i = 0; i < names->records && i < NAME_CANDIDATES; i++) {
		struct span candidate = names->record[i].value;
		const struct answer *answer =
			answers_ask(answers, candidate, type);

		if (answer == NULL) {
			status = NAME_PENDING;
		} else if (answer->status == ANSWER_OK) {
			if (status != NAME_PENDING && is_host_name(candidate) &&
			    has_address(answer, ip)) {
				*name = candidate;
				return NAME_FOUND;
			}
		} else if (answer->status == ANSWER_TEMPERROR &&
			   status == NAME_UNAVAILABLE) {
			status = NAME_TEMPORARY;
		}
	}
	return status;
}

enum name_status
name_find(const struct ip *ip, struct answers *answers, struct span *name)
{
	const struct answer *names;
	enum name_status status = NAME_TEMPORARY;
	struct buf reverse;

	*name = SPAN_NONE;
	if (ip->family == IP_NONE)
		return NAME_UNAVAILABLE;
	buf_init(&reverse, 80);
	if (append_reverse(ip, &reverse)) {
		names = answers_ask(answers, buf_span(&reverse), DNS_PTR);
		if (names == NULL)
			status = NAME_PENDING;
		else if (names->status == ANSWER_OK)
			status = confirm(names, ip, answers, name);
		else if (names->status != ANSWER_TEMPERROR)
			status = NAME_UNAVAILABLE;
	}
	buf_fini(&reverse);
	return status;
}
