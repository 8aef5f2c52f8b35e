/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/zone_record.h"
#include "proxy/zone_text.h"

#include "smtp/ip.h"

#include <assert.h>
#include <stdlib.h>

#define ZONE_LABEL_MAX 63
#define ZONE_TTL_DEFAULT 3600
#define ZONE_TEXT_MAX 65535

void
zone_fault(struct zone_reader *reader, unsigned line, const char *text,
	   struct span found)
{
	reader->fault_count++;
	buf_printf(reader->faults, "%s:%u: %s", reader->file, line, text);
	if (found.p != NULL)
		buf_printf(reader->faults, ", found \"%.*s\"",
			   found.n < 80 ? (int)found.n : 80,
			   (const char *)found.p);
	buf_append_octet(reader->faults, '\n');
}

/* --- parts of a record -------------------------------------------------- */

/* Octets of a name here; DNS itself would allow all. */
static bool
is_name_octet(uint8_t c)
{
	return c > ' ' && c < 0x7f && memchr("\"();\\@", c, 6) == NULL;
}

/* Labels of 1 to 63 octets, at most 253 in all. */
static bool
is_name(struct span name)
{
	size_t label = 0;

	for (size_t i = 0; i < name.n; i++) {
		bool is_dot = name.p[i] == '.';

		if (!is_name_octet(name.p[i]) || (is_dot && label == 0))
			return false;
		label = is_dot ? 0 : label + 1;
		if (label > ZONE_LABEL_MAX)
			return false;
	}
	return name.n > 0 && label > 0 && name.n <= ZONE_NAME_MAX;
}

/* In lower case, with the origin behind it where it is relative. */
static bool
make_name(struct zone_reader *reader, struct span raw, struct span *name)
{
	bool is_relative = raw.n == 0 || raw.p[raw.n - 1] != '.';
	size_t own = is_relative ? raw.n : raw.n - 1;
	bool has_tail = is_relative && reader->origin.n > 0;
	size_t n = own + (has_tail ? 1 + reader->origin.n : 0);
	uint8_t *p;

	if (!is_name(span_first(raw, own)) || n > ZONE_NAME_MAX)
		return false;
	p = arena_alloc(reader->arena, n);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < own; i++)
		p[i] = octet_lower(raw.p[i]);
	if (has_tail) {
		p[own] = '.';
		memcpy(p + own + 1, reader->origin.p, reader->origin.n);
	}
	*name = span_make(p, n);
	return true;
}

/* "." is the empty name; "@" the origin. */
static bool
parse_name(struct zone_reader *reader, const struct zone_token *token,
	   struct span *name)
{
	*name = SPAN_NONE;
	if (token->is_quoted)
		return false;
	if (span_equal(token->raw, SPAN_LIT(".")))
		return true;
	if (span_equal(token->raw, SPAN_LIT("@"))) {
		*name = reader->origin;
		return true;
	}
	return make_name(reader, token->raw, name);
}

/* Seconds, or with BIND's units: "1h30m". RFC 2181 8: 31 bits. */
static bool
parse_ttl(struct span text, uint32_t *ttl)
{
	static const struct {
		uint8_t unit;
		uint32_t seconds;
	} units[] = {
		{ 's', 1 },     { 'm', 60 },     { 'h', 3600 },
		{ 'd', 86400 }, { 'w', 604800 },
	};
	uint64_t sum = 0;

	if (text.n == 0 || !octet_is_digit(text.p[0]))
		return false;
	while (text.n > 0) {
		uint64_t value = 0;
		size_t i = 0;

		for (; i < text.n && octet_is_digit(text.p[i]); i++)
			if (value <= INT32_MAX)
				value = value * 10 + (text.p[i] - '0');
		if (i == 0)
			return false;
		text = span_after(text, i);
		for (i = 0; text.n > 0 && i < 5; i++)
			if (octet_lower(text.p[0]) == units[i].unit)
				break;
		if (i == 5)
			return false;
		sum += value * (text.n > 0 ? units[i].seconds : 1);
		text = span_after(text, text.n > 0);
		if (sum > INT32_MAX)
			return false;
	}
	*ttl = (uint32_t)sum;
	return true;
}

static bool
parse_u16(struct span text, uint16_t *value)
{
	uint64_t number;

	if (!span_u64(text, &number) || number > UINT16_MAX)
		return false;
	*value = (uint16_t)number;
	return true;
}

static bool
parse_address(struct zone_reader *reader, struct span text,
	      enum ip_family family, struct span *value)
{
	struct ip ip;

	if (!ip_parse(text, &ip) || ip.family != family)
		return false;
	*value = arena_copy(reader->arena,
			    span_make(ip.octets, family == IP_V4 ? 4 : 16));
	return true;
}

/* All strings joined, each of at most 255 octets. */
static bool
parse_texts(struct zone_reader *reader, const struct zone_token *tokens,
	    size_t count, struct span *value)
{
	struct buf joined;
	bool is_good = count > 0;

	buf_init(&joined, ZONE_TEXT_MAX);
	for (size_t i = 0; i < count && is_good; i++) {
		size_t before = joined.n;

		is_good = zone_token_decode(tokens[i].raw, &joined) &&
			  joined.n - before <= 255;
	}
	if (is_good)
		*value = arena_copy(reader->arena, buf_span(&joined));
	buf_fini(&joined);
	return is_good;
}

static bool
parse_soa(struct zone_reader *reader, const struct zone_token *tokens,
	  size_t count)
{
	struct span name;
	uint64_t serial;
	uint32_t time;

	if (count != 7 || !parse_name(reader, &tokens[0], &name) ||
	    !parse_name(reader, &tokens[1], &name) ||
	    !span_u64(tokens[2].raw, &serial) || serial > UINT32_MAX)
		return false;
	for (size_t i = 3; i < 7; i++)
		if (!parse_ttl(tokens[i].raw, &time))
			return false;
	return true;
}

/* The data of a record; false if it is not of its type. */
static bool
parse_record(struct zone_reader *reader, enum zone_type type,
	     const struct zone_token *tokens, size_t count,
	     struct dns_record *record)
{
	switch (type) {
	case ZONE_A:
		return count == 1 && parse_address(reader, tokens[0].raw, IP_V4,
						   &record->value);
	case ZONE_AAAA:
		return count == 1 && parse_address(reader, tokens[0].raw, IP_V6,
						   &record->value);
	case ZONE_NS:
	case ZONE_CNAME:
	case ZONE_PTR:
		return count == 1 &&
		       parse_name(reader, &tokens[0], &record->value) &&
		       record->value.n > 0;
	case ZONE_MX:
		return count == 2 &&
		       parse_u16(tokens[0].raw, &record->preference) &&
		       parse_name(reader, &tokens[1], &record->value);
	case ZONE_TXT:
	case ZONE_SPF:
		return parse_texts(reader, tokens, count, &record->value);
	case ZONE_SOA:
		return parse_soa(reader, tokens, count);
	case ZONE_SERVFAIL:
		return count == 0;
	}
	assert(false && "a type of ZONE_TYPES");
	return false;
}

static bool
parse_type(struct span text, enum zone_type *type)
{
	/* clang-format off */
	static const struct {
		const char *word;
		enum zone_type type;
	} types[] = {
#define X(name, number) { #name, ZONE_##name },
		ZONE_TYPES(X)
#undef X
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (span_equal_nocase(text, span_cstr(types[i].word))) {
			*type = types[i].type;
			return true;
		}
	}
	return false;
}

/* --- entries ------------------------------------------------------------ */

static void
add(struct zone_reader *reader, const struct zone_record *record)
{
	if (reader->count == reader->cap) {
		size_t cap = reader->cap == 0 ? 64 : reader->cap * 2;
		struct zone_record *more =
			realloc(reader->records, cap * sizeof *more);

		if (more == NULL) {
			zone_fault(reader, record->line, "not enough memory",
				   SPAN_NONE);
			return;
		}
		reader->records = more;
		reader->cap = cap;
	}
	reader->records[reader->count++] = *record;
}

static void
read_directive(struct zone_reader *reader, const struct zone_entry *entry)
{
	struct span word = entry->token[0].raw;
	struct span value =
		entry->tokens == 2 ? entry->token[1].raw : SPAN_NONE;

	if (span_equal_nocase(word, SPAN_LIT("$ORIGIN"))) {
		if (entry->tokens != 2 ||
		    !parse_name(reader, &entry->token[1], &reader->origin))
			zone_fault(reader, entry->line, "expected $ORIGIN name",
				   value);
	} else if (span_equal_nocase(word, SPAN_LIT("$TTL"))) {
		if (!parse_ttl(value, &reader->ttl))
			zone_fault(reader, entry->line, "expected $TTL seconds",
				   value);
		reader->has_ttl_directive = true;
	} else {
		zone_fault(
			reader, entry->line,
			"expected $ORIGIN or $TTL, the only directives taken",
			word);
	}
}

/* The tokens before the type: TTL and class in either order. Gives the index
 * of the type. */
static size_t
read_prefix(struct zone_reader *reader, const struct zone_entry *entry,
	    size_t at, uint32_t *ttl)
{
	for (; at < entry->tokens && !entry->token[at].is_quoted; at++) {
		struct span raw = entry->token[at].raw;

		if (parse_ttl(raw, ttl)) {
			/* RFC 1035 5.1; RFC 2308 4 */
			if (!reader->has_ttl_directive)
				reader->ttl = *ttl;
		} else if (!span_equal_nocase(raw, SPAN_LIT("IN"))) {
			break;
		}
	}
	return at;
}

/* The owner of an entry; false with a fault. */
static bool
read_owner(struct zone_reader *reader, const struct zone_entry *entry)
{
	if (entry->has_blank_owner) {
		if (!reader->has_owner)
			zone_fault(reader, entry->line,
				   "expected a name before the first record",
				   SPAN_NONE);
		return reader->has_owner;
	}
	reader->has_owner =
		parse_name(reader, &entry->token[0], &reader->owner);
	if (!reader->has_owner)
		zone_fault(reader, entry->line, "expected a name",
			   entry->token[0].raw);
	return reader->has_owner;
}

static void
read_record(struct zone_reader *reader, const struct zone_entry *tokens)
{
	struct zone_record record = { .line = tokens->line,
				      .order = reader->count };
	size_t at;
	struct span type;

	if (!read_owner(reader, tokens))
		return;
	record.name = reader->owner;
	record.ttl = reader->ttl;
	at = read_prefix(reader, tokens, tokens->has_blank_owner ? 0 : 1,
			 &record.ttl);
	type = at < tokens->tokens ? tokens->token[at].raw : SPAN_LIT("");
	if (!parse_type(type, &record.type)) {
		zone_fault(reader, tokens->line,
			   "expected A, AAAA, MX, TXT, PTR, CNAME, NS, SOA, "
			   "SPF or "
			   "SERVFAIL",
			   type);
		return;
	}
	at++;
	if (!parse_record(reader, record.type, &tokens->token[at],
			  tokens->tokens - at, &record.data)) {
		zone_fault(reader, tokens->line,
			   "expected the data of this type", type);
		return;
	}
	add(reader, &record);
}

void
zone_read(struct zone_reader *reader, struct span octets)
{
	struct zone_text text;
	struct zone_entry *entry = malloc(sizeof *entry);

	if (entry == NULL) {
		zone_fault(reader, 0, "not enough memory", SPAN_NONE);
		return;
	}
	reader->ttl = ZONE_TTL_DEFAULT;
	zone_text_init(&text, octets);
	while (zone_text_next(&text, entry)) {
		if (entry->fault != NULL)
			zone_fault(reader, entry->line, entry->fault,
				   SPAN_NONE);
		else if (entry->token[0].raw.n > 0 &&
			 entry->token[0].raw.p[0] == '$' &&
			 !entry->has_blank_owner)
			read_directive(reader, entry);
		else
			read_record(reader, entry);
	}
	free(entry);
}
