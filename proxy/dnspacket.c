/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dnspacket: one response of a name server, read.
 */
#include "proxy/dnspacket.h"

#include <assert.h>

#define HEADER_OCTETS 12
#define NAME_MAX_OCTETS 255 /* on the wire, RFC 1035 2.3.4 */
#define LABEL_MAX 63
#define CHAIN_MAX 16 /* CNAMEs followed */
/* A pointer stands behind at least one label, or it was of no use; a name has
 * no more labels than this. */
#define POINTERS_MAX 127
/* Of the answer section, which is read anew for each name of a chain: what is
 * asked for, the CNAMEs, and a signature of each. */
#define ANSWER_SECTION_MAX (2 * (ANSWERS_RECORDS_MAX + CHAIN_MAX))
#define TTL_MAX 0x7fffffffu

#define FLAG_QR 0x8000u
#define FLAG_OPCODE 0x7800u
#define FLAG_AA 0x0400u
#define FLAG_TC 0x0200u
#define FLAG_AD 0x0020u

enum {
	TYPE_NS = 2,
	TYPE_CNAME = 5,
	TYPE_SOA = 6,
	TYPE_OPT = 41,
	CLASS_IN = 1,
};

enum rcode { NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED };

/* A place in the packet; once bad it stays so and gives zeroes. */
struct cursor {
	struct span packet;
	size_t at;
	bool is_bad;
};

/* In lower case, with dots between its labels and none at its end. */
struct name {
	uint8_t octets[NAME_MAX_OCTETS];
	size_t n;
	bool is_odd; /* a label holds a dot or a NUL: equals nothing */
};

struct record {
	struct name owner;
	unsigned type, class;
	uint32_t ttl_s;
	struct cursor data; /* at its start */
	size_t end;         /* of its data */
};

struct message {
	unsigned flags;
	unsigned answers, authorities, additionals;
	struct cursor answer; /* at the first record */
};

static uint8_t
get_octet(struct cursor *cursor)
{
	if (cursor->at >= cursor->packet.n) {
		cursor->is_bad = true;
		return 0;
	}
	return cursor->packet.p[cursor->at++];
}

static unsigned
get_u16(struct cursor *cursor)
{
	unsigned high = get_octet(cursor);

	return high << 8 | get_octet(cursor);
}

static uint32_t
get_u32(struct cursor *cursor)
{
	uint32_t high = get_u16(cursor);

	return high << 16 | get_u16(cursor);
}

/* One label behind the dot it needs. The name's octets suffice: they are
 * fewer than on the wire. */
static void
get_label(struct cursor *cursor, size_t length, struct name *name)
{
	if (name->n > 0)
		name->octets[name->n++] = '.';
	for (size_t i = 0; i < length && !cursor->is_bad; i++) {
		uint8_t c = get_octet(cursor);

		if (c == '.' || c == '\0')
			name->is_odd = true;
		name->octets[name->n++] = octet_lower(c);
	}
}

/*
 * A name, compressed or not; the cursor then stands behind it. RFC 1035
 * 4.1.4: a pointer leads to a prior occurrence; we hold it to that literally,
 * each one lower than the place the one before led to, so it ends. It ends
 * soon, too: 16 KB of pointers to pointers are no name.
 */
static void
get_name(struct cursor *cursor, struct name *name)
{
	struct cursor place = *cursor;
	size_t lowest = cursor->at;
	size_t octets = 1; /* the root's */
	size_t pointers = 0;

	name->n = 0;
	name->is_odd = false;
	for (;;) {
		unsigned length = get_octet(&place);

		if (place.is_bad || length == 0)
			break;
		if (length >= 0xc0) {
			size_t target =
				(length & 0x3fu) << 8 | get_octet(&place);

			if (pointers++ == 0)
				cursor->at = place.at;
			place.is_bad |=
				target >= lowest || pointers > POINTERS_MAX;
			if (place.is_bad)
				break;
			place.at = lowest = target;
			continue;
		}
		octets += 1 + length;
		place.is_bad |= length > LABEL_MAX || octets > NAME_MAX_OCTETS;
		if (place.is_bad)
			break;
		get_label(&place, length, name);
	}
	if (pointers == 0)
		cursor->at = place.at;
	cursor->is_bad |= place.is_bad;
}

static bool
name_is(const struct name *name, struct span text)
{
	return !name->is_odd &&
	       span_equal(span_make(name->octets, name->n), text);
}

/* The next record; false if it is malformed. */
static bool
get_record(struct cursor *cursor, struct record *record)
{
	size_t length;

	get_name(cursor, &record->owner);
	record->type = get_u16(cursor);
	record->class = get_u16(cursor);
	record->ttl_s = get_u32(cursor);
	if (record->ttl_s > TTL_MAX)
		record->ttl_s = 0; /* RFC 2181 8 */
	length = get_u16(cursor);
	if (cursor->is_bad || length > cursor->packet.n - cursor->at) {
		cursor->is_bad = true;
		return false;
	}
	record->data = *cursor;
	record->end = cursor->at + length;
	cursor->at = record->end;
	return true;
}

/* The header and the question, which must be ours. */
static bool
get_message(struct span packet, struct span name, enum dns_type type,
	    struct message *message)
{
	struct cursor cursor = { packet, 2, false };
	unsigned questions;
	struct name asked;

	message->flags = get_u16(&cursor);
	questions = get_u16(&cursor);
	message->answers = get_u16(&cursor);
	message->authorities = get_u16(&cursor);
	message->additionals = get_u16(&cursor);
	if (cursor.is_bad || questions != 1 ||
	    (message->flags & (FLAG_QR | FLAG_OPCODE)) != FLAG_QR)
		return false;
	assert(cursor.at == HEADER_OCTETS);
	get_name(&cursor, &asked);
	if (get_u16(&cursor) != (unsigned)type ||
	    get_u16(&cursor) != CLASS_IN || cursor.is_bad ||
	    !name_is(&asked, name))
		return false;
	message->answer = cursor;
	return true;
}

static void
fail(struct answer *answer, const char *error)
{
	answer->status = ANSWER_TEMPERROR;
	answer->error = error;
	answer->is_authentic = false;
	answer->ttl_s = 0;
	answer->records = 0;
	answer->record = NULL;
}

/* What one pass over the answer section found for a name. */
struct found {
	size_t records; /* of the type asked for */
	uint32_t ttl_s; /* the smallest of them, or the alias's */
	bool is_alias;
	struct name target;
};

static bool
scan(const struct message *message, struct span name, enum dns_type type,
     struct found *found)
{
	struct cursor cursor = message->answer;
	struct record record;

	*found = (struct found){ .ttl_s = TTL_MAX };
	for (unsigned i = 0; i < message->answers; i++) {
		bool is_alias;

		if (!get_record(&cursor, &record))
			return false;
		is_alias = record.type == TYPE_CNAME;
		if (record.class != CLASS_IN || !name_is(&record.owner, name) ||
		    (!is_alias && record.type != (unsigned)type))
			continue;
		if (is_alias) {
			get_name(&record.data, &found->target);
			if (record.data.is_bad || record.data.at != record.end)
				return false;
			found->is_alias = true;
		} else {
			found->records++;
		}
		if (record.ttl_s < found->ttl_s)
			found->ttl_s = record.ttl_s;
	}
	return true;
}

static struct span
copy_name(const struct name *name, struct arena *arena)
{
	return arena_copy(arena, span_make(name->octets, name->n));
}

/* All character-strings joined (RFC 7208 3.3, RFC 6376 3.6.2.2). */
static bool
take_text(struct record *record, struct arena *arena, struct dns_record *out)
{
	struct cursor *data = &record->data;
	uint8_t *text = arena_alloc(arena, record->end - data->at + 1);
	size_t n = 0;

	if (text == NULL || data->at == record->end)
		return false;
	while (data->at < record->end) {
		size_t length = get_octet(data);

		if (length > record->end - data->at)
			return false;
		if (length > 0)
			memcpy(text + n, data->packet.p + data->at, length);
		n += length;
		data->at += length;
	}
	out->value = span_make(text, n);
	return true;
}

/* The data of one record. False if malformed; *is_usable is false for names
 * that cannot be written. */
static bool
take_data(struct record *record, enum dns_type type, struct arena *arena,
	  struct dns_record *out, bool *is_usable)
{
	size_t length = record->end - record->data.at;
	struct name name;

	*is_usable = true;
	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		out->value =
			arena_copy(arena, span_make(record->data.packet.p +
							    record->data.at,
						    length));
		return length == (type == DNS_A ? 4 : 16);
	case DNS_TXT:
		return take_text(record, arena, out);
	case DNS_MX:
		out->preference = (uint16_t)get_u16(&record->data);
		break;
	case DNS_PTR:
		break;
	}
	get_name(&record->data, &name);
	/* MX "." says that there is none (RFC 7505); a PTR says nothing. */
	*is_usable = !name.is_odd && (name.n > 0 || type == DNS_MX);
	out->value = copy_name(&name, arena);
	return !record->data.is_bad && record->data.at == record->end;
}

static void
collect(const struct message *message, struct span name, enum dns_type type,
	size_t count, struct arena *arena, struct answer *answer)
{
	struct dns_record *list = arena_alloc(arena, count * sizeof(*list));
	struct cursor cursor = message->answer;
	struct record record;
	size_t n = 0;

	for (unsigned i = 0; i < message->answers && list != NULL; i++) {
		bool is_usable;

		if (!get_record(&cursor, &record))
			break;
		if (record.class != CLASS_IN || record.type != (unsigned)type ||
		    !name_is(&record.owner, name))
			continue;
		if (!take_data(&record, type, arena, &list[n], &is_usable)) {
			fail(answer, "malformed answer");
			return;
		}
		n += is_usable ? 1 : 0;
	}
	if (arena->has_overflowed) {
		fail(answer, "out of memory");
		return;
	}
	answer->status = n > 0 ? ANSWER_OK : ANSWER_NODATA;
	answer->records = n;
	answer->record = n > 0 ? list : NULL;
}

/* What the authority section says. */
struct authority {
	bool has_soa, has_ns;
	uint32_t ttl_s; /* how long nothing is nothing; 0 without a SOA */
};

static bool
scan_authority(const struct message *message, struct authority *authority)
{
	struct cursor cursor = message->answer;
	struct record record;

	*authority = (struct authority){ .ttl_s = 0 };
	for (unsigned i = 0; i < message->answers + message->authorities; i++) {
		if (!get_record(&cursor, &record))
			return false;
		if (i < message->answers || record.class != CLASS_IN)
			continue;
		authority->has_ns |= record.type == TYPE_NS;
		if (record.type != TYPE_SOA || authority->has_soa)
			continue;
		/* Two names and five numbers, MINIMUM the last. */
		if (record.end - record.data.at < 2 + 20)
			return false;
		record.data.at = record.end - 4;
		authority->ttl_s = get_u32(&record.data);
		if (record.ttl_s < authority->ttl_s)
			authority->ttl_s = record.ttl_s; /* RFC 2308 5 */
		authority->has_soa = true;
	}
	return true;
}

/* RFC 6891 6.1.3: the upper octet of the rcode. Zero where it cannot be read.
 */
static unsigned
extended_rcode(const struct message *message)
{
	unsigned before = message->answers + message->authorities;
	struct cursor cursor = message->answer;
	struct record record;

	for (unsigned i = 0; i < before + message->additionals; i++) {
		if (!get_record(&cursor, &record))
			return 0;
		/* The first octet of what is the TTL elsewhere. */
		if (i >= before && record.type == TYPE_OPT)
			return record.data.packet.p[record.data.at - 6];
	}
	return 0;
}

/* A CNAME was followed as far as the answer section goes. A recursive server
 * says more; others leave it there, and a SOA is the only sign that they had
 * looked for the target. */
static void
leave_open(uint32_t ttl_s, struct arena *arena, struct answer *answer,
	   struct span *target)
{
	struct span kept = arena_copy(arena, *target);

	if (arena->has_overflowed) {
		fail(answer, "out of memory");
		return;
	}
	*target = kept;
	answer->status = ANSWER_OPEN;
	answer->ttl_s = ttl_s;
}

/* No records of the type at the end of the chain, whose name is *target. */
static void
settle_nothing(const struct message *message, bool is_alias, uint32_t ttl_s,
	       struct arena *arena, struct answer *answer, struct span *target)
{
	struct authority authority;

	if (!scan_authority(message, &authority)) {
		fail(answer, "malformed answer");
		return;
	}
	answer->ttl_s = ttl_s < authority.ttl_s ? ttl_s : authority.ttl_s;
	if ((message->flags & 0xfu) == NXDOMAIN)
		answer->status = is_alias ? ANSWER_NODATA : ANSWER_NXDOMAIN;
	else if (is_alias && !authority.has_soa)
		leave_open(ttl_s, arena, answer, target);
	else if (authority.has_ns && !authority.has_soa &&
		 (message->flags & FLAG_AA) == 0)
		fail(answer, "referral");
	else
		answer->status = ANSWER_NODATA;
}

/* What is wrong with what a pass has found, or NULL. */
static const char *
fault_of(const struct message *message, const struct found *found)
{
	if (found->records > ANSWERS_RECORDS_MAX)
		return "too many records";
	if (found->records > 0 && (message->flags & 0xfu) == NXDOMAIN)
		return "malformed answer";
	if (found->records == 0 && found->is_alias && found->target.is_odd)
		return "CNAME to a name with odd octets";
	return NULL;
}

static void
settle(const struct message *message, struct span name, enum dns_type type,
       struct arena *arena, struct answer *answer, struct span *target)
{
	struct name current;
	struct found found;
	uint32_t ttl_s = TTL_MAX;

	for (unsigned hops = 0; hops <= CHAIN_MAX; hops++) {
		bool is_read = scan(message, name, type, &found);
		const char *fault = is_read ? fault_of(message, &found)
					    : "malformed answer";

		if (fault != NULL) {
			fail(answer, fault);
			return;
		}
		if (found.ttl_s < ttl_s)
			ttl_s = found.ttl_s;
		if (found.records > 0) {
			answer->ttl_s = ttl_s;
			collect(message, name, type, found.records, arena,
				answer);
			return;
		}
		if (!found.is_alias) {
			*target = name;
			settle_nothing(message, hops > 0, ttl_s, arena, answer,
				       target);
			return;
		}
		current = found.target;
		name = span_make(current.octets, current.n);
	}
	fail(answer, "CNAME chain too long");
}

static const char *
rcode_error(unsigned rcode)
{
	switch (rcode) {
	case NOERROR:
	case NXDOMAIN:
		return NULL;
	case FORMERR:
		return "FORMERR";
	case SERVFAIL:
		return "SERVFAIL";
	case NOTIMP:
		return "NOTIMP";
	case REFUSED:
		return "REFUSED";
	default:
		return "other rcode";
	}
}

void
dnspacket_read(struct span packet, struct span name, enum dns_type type,
	       struct arena *arena, struct answer *answer, struct span *target)
{
	struct message message;
	const char *error;

	*target = SPAN_NONE;
	answer->error = NULL;
	answer->records = 0;
	answer->record = NULL;
	answer->ttl_s = 0;
	if (!get_message(packet, name, type, &message)) {
		/* A server may leave all but the header out of an error. */
		error = packet.n >= HEADER_OCTETS
				? rcode_error(packet.p[3] & 0xfu)
				: NULL;
		fail(answer, error != NULL ? error : "malformed answer");
		return;
	}
	answer->is_authentic = (message.flags & FLAG_AD) != 0;
	error = rcode_error((message.flags & 0xfu) | extended_rcode(&message)
							     << 4);
	if (error == NULL && (message.flags & FLAG_TC) != 0)
		error = "truncated";
	if (error == NULL && message.answers > ANSWER_SECTION_MAX)
		error = "too many records";
	if (error != NULL)
		fail(answer, error);
	else
		settle(&message, name, type, arena, answer, target);
}
