/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses of listeners, servers and backends: texts to values and back.
 * Pure. */
#include "proxy/conf_table.h"

#include "dmarc/domain.h"

#include <assert.h>
#include <stdio.h>

/* The address and the port's digits, if any, of text. */
static bool
split_endpoint(struct span text, struct span *address, struct span *port)
{
	size_t colon;

	*port = SPAN_NONE;
	if (text.n > 0 && text.p[0] == '[') {
		size_t close = span_find(text, ']');

		if (close == text.n)
			return false;
		*address = span_make(text.p + 1, close - 1);
		text = span_after(text, close + 1);
		if (text.n > 0 && text.p[0] != ':')
			return false;
		if (text.n > 0)
			*port = span_after(text, 1);
		return true;
	}
	colon = span_find(text, ':');
	*address = text;
	/* A second colon: IPv6 without brackets, thus without a port. */
	if (colon < text.n &&
	    span_find(span_after(text, colon + 1), ':') == text.n - colon - 1) {
		*address = span_first(text, colon);
		*port = span_after(text, colon + 1);
	}
	return true;
}

bool
conf_endpoint_parse(struct arena *arena, struct span text, int default_port,
		    struct conf_endpoint *endpoint)
{
	struct span address, digits;
	uint64_t port = default_port > 0 ? (uint64_t)default_port : 0;
	char ip[IP_TEXT_MAX], out[IP_TEXT_MAX + 8];
	int n;

	if (!split_endpoint(text, &address, &digits) ||
	    !ip_parse(address, &endpoint->ip))
		return false;
	if (digits.p == NULL && default_port <= 0)
		return false;
	if (digits.p != NULL && (digits.n > 5 || !span_u64(digits, &port)))
		return false;
	if (port > UINT16_MAX || (port == 0 && default_port != CONF_PORT_ANY))
		return false;
	endpoint->port = (uint16_t)port;
	ip_format(&endpoint->ip, ip);
	n = snprintf(out, sizeof out,
		     endpoint->ip.family == IP_V6 ? "[%s]:%u" : "%s:%u", ip,
		     (unsigned)port);
	assert(n > 0 && (size_t)n < sizeof out);
	endpoint->text = arena_copy(arena, span_make(out, (size_t)n));
	return true;
}

/* "original-destination", with or without a port. */
static bool
parse_original(struct arena *arena, struct span text,
	       struct conf_endpoint *endpoint)
{
	static const struct span word = SPAN_LIT("original-destination");
	struct span digits;
	uint64_t port = 0;

	if (!span_starts(text, word))
		return false;
	if (text.n > word.n) {
		digits = span_after(text, word.n + 1);
		if (text.p[word.n] != ':' || digits.n > 5 ||
		    !span_u64(digits, &port) || port == 0 || port > UINT16_MAX)
			return false;
	}
	*endpoint = (struct conf_endpoint){
		.ip.family = IP_NONE,
		.port = (uint16_t)port,
		.text = arena_copy(arena, text),
	};
	return true;
}

/* RFC 3696 2: what ends in digits is an address, maybe a mistyped one. */
static bool
ends_in_digits(struct span host)
{
	size_t n = host.n;

	while (n > 0 && octet_is_digit(host.p[n - 1]))
		n--;
	return n < host.n && (n == 0 || host.p[n - 1] == '.');
}

/* "mx2.example.com:25" */
static bool
parse_host(struct arena *arena, struct span text, struct conf_address *address)
{
	size_t colon = span_find(text, ':');
	struct span digits;
	uint64_t port;

	if (colon == text.n)
		return false;
	digits = span_after(text, colon + 1);
	if (digits.n > 5 || !span_u64(digits, &port) || port == 0 ||
	    port > UINT16_MAX || ends_in_digits(span_first(text, colon)) ||
	    !domain_normalise(span_first(text, colon), arena, &address->host))
		return false;
	address->at = (struct conf_endpoint){
		.ip.family = IP_NONE,
		.port = (uint16_t)port,
		.text = arena_copy(arena, text),
	};
	return true;
}

static bool
parse_place(struct arena *arena, struct span text, struct conf_address *address)
{
	return parse_original(arena, text, &address->at) ||
	       conf_endpoint_parse(arena, text, CONF_PORT_NEEDED,
				   &address->at) ||
	       parse_host(arena, text, address);
}

/* "priority=20" or "weight=3", each at most once: *value is 0 or the default
 * until then. */
static bool
parse_rank(struct span word, struct span name, unsigned min, unsigned *value,
	   bool *is_given)
{
	uint64_t number;

	if (!span_starts(word, name) || *is_given ||
	    !span_u64(span_after(word, name.n), &number) || number < min ||
	    number > CONF_RANK_MAX)
		return false;
	*is_given = true;
	*value = (unsigned)number;
	return true;
}

bool
conf_address_parse(struct arena *arena, struct span text,
		   struct conf_address *address)
{
	bool has_priority = false, has_weight = false;
	size_t end = span_find(text, ' ');

	*address = (struct conf_address){
		.priority = CONF_PRIORITY,
		.weight = CONF_WEIGHT,
	};
	if (!parse_place(arena, span_first(text, end), address))
		return false;
	text = span_trim(span_after(text, end));
	while (text.n > 0) {
		struct span word = span_first(text, span_find(text, ' '));

		if (!parse_rank(word, SPAN_LIT("priority="), 0,
				&address->priority, &has_priority) &&
		    !parse_rank(word, SPAN_LIT("weight="), 1, &address->weight,
				&has_weight))
			return false;
		text = span_trim(span_after(text, word.n));
	}
	return true;
}

bool
conf_address_print(const struct conf_address *address, struct buf *out)
{
	buf_append_octet(out, '"');
	buf_append(out, address->at.text);
	if (address->priority != CONF_PRIORITY)
		buf_printf(out, " priority=%u", address->priority);
	if (address->weight != CONF_WEIGHT)
		buf_printf(out, " weight=%u", address->weight);
	return buf_append_octet(out, '"');
}
