/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/name.h"

#include "dmarc/domain.h"

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

/* What is wanted of a name. */
struct wanted {
	const struct ip *ip;
	const struct span *domains;
	size_t count; /* 0: any */
};

static bool
is_wanted(const struct wanted *wanted, struct span name)
{
	for (size_t i = 0; i < wanted->count; i++)
		if (domain_is_within(name, wanted->domains[i]))
			return true;
	return wanted->count == 0;
}

/* The addresses of one name say. */
static enum name_status
confirm(struct span candidate, const struct ip *ip, struct answers *answers)
{
	const struct answer *answer = answers_ask(
		answers, candidate, ip->family == IP_V4 ? DNS_A : DNS_AAAA);

	if (answer == NULL)
		return NAME_PENDING;
	if (answer->status == ANSWER_TEMPERROR)
		return NAME_TEMPORARY;
	return answer->status == ANSWER_OK && has_address(answer, ip)
		       ? NAME_FOUND
		       : NAME_UNAVAILABLE;
}

/* All names are asked about at once; the first that is confirmed counts. */
static enum name_status
confirm_first(const struct answer *names, const struct wanted *wanted,
	      struct answers *answers, struct span *name)
{
	enum name_status status = NAME_UNAVAILABLE;
	unsigned tried = 0;

	for (size_t i = 0; i < names->records && tried < NAME_CANDIDATES; i++) {
		struct span candidate = names->record[i].value;
		enum name_status found;

		if (!is_host_name(candidate) || !is_wanted(wanted, candidate))
			continue;
		tried++;
		found = confirm(candidate, wanted->ip, answers);
		if (found == NAME_FOUND && status != NAME_PENDING) {
			*name = candidate;
			return NAME_FOUND;
		}
		if (found == NAME_PENDING ||
		    (found == NAME_TEMPORARY && status == NAME_UNAVAILABLE))
			status = found;
	}
	return status;
}

enum name_status
name_find(const struct ip *ip, const struct span *domains, size_t count,
	  struct answers *answers, struct span *name)
{
	const struct wanted wanted = { ip, domains, count };
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
			status = confirm_first(names, &wanted, answers, name);
		else if (names->status != ANSWER_TEMPERROR)
			status = NAME_UNAVAILABLE;
	}
	buf_fini(&reverse);
	return status;
}
