/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records sorted by name and type become sets, and their names with all names
 * above them the tree in which a name exists or not. Both are looked up by
 * bisection.
 */
#include "proxy/zone.h"
#include "proxy/zone_record.h"

#include <stdlib.h>

#define ZONE_MEMORY_MAX ((size_t)256 << 20)

/* The records of one name and type. */
struct set {
	struct span name;
	enum zone_type type;
	uint32_t ttl; /* smallest */
	size_t count;
	const struct dns_record *records;
};

struct zone {
	struct arena arena;
	struct set *sets; /* by name, then type */
	size_t set_count;
	struct span *names; /* all that exist, but for the root; in order */
	size_t name_count;
};

/* --- sets --------------------------------------------------------------- */

static int
compare_spans(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n == 0 ? 0 : memcmp(a.p, b.p, n);

	return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static int
compare_records(const void *left, const void *right)
{
	const struct zone_record *a = left, *b = right;
	int order = compare_spans(a->name, b->name);

	if (order == 0)
		order = (a->type > b->type) - (a->type < b->type);
	if (order == 0)
		order = (a->order > b->order) - (a->order < b->order);
	return order;
}

static int
compare_names(const void *left, const void *right)
{
	return compare_spans(*(const struct span *)left,
			     *(const struct span *)right);
}

/* RFC 2181 5: the same record twice is one. */
static bool
is_in_set(const struct dns_record *records, size_t count,
	  const struct dns_record *record)
{
	for (size_t i = 0; i < count; i++)
		if (records[i].preference == record->preference &&
		    span_equal(records[i].value, record->value))
			return true;
	return false;
}

/* The set that begins at sorted record `at`; the number of records used. */
static size_t
make_set(struct zone_reader *reader, struct zone *zone, size_t at,
	 struct dns_record *room)
{
	const struct zone_record *first = &reader->records[at];
	struct set *set = &zone->sets[zone->set_count++];
	size_t used = 0;

	*set = (struct set){ first->name, first->type, first->ttl, 0, room };
	for (; at + used < reader->count; used++) {
		const struct zone_record *record = &first[used];

		if (record->type != set->type ||
		    !span_equal(record->name, set->name))
			break;
		if (record->ttl < set->ttl)
			set->ttl = record->ttl;
		if (set->count <= ANSWERS_RECORDS_MAX &&
		    !is_in_set(room, set->count, &record->data))
			room[set->count++] = record->data;
	}
	if (set->type == ZONE_CNAME && set->count > 1)
		zone_fault(reader, first[1].line,
			   "two CNAME records at one name", set->name);
	if (set->count > ANSWERS_RECORDS_MAX)
		zone_fault(reader, first->line, "too many records of one type",
			   set->name);
	return used;
}

/* RFC 1034 3.6.2 */
static void
check_cname(struct zone_reader *reader, const struct zone *zone, size_t at)
{
	const struct set *set = &zone->sets[at];
	bool has_other = at > 0 && span_equal(set[-1].name, set->name);

	if (at + 1 < zone->set_count && span_equal(set[1].name, set->name))
		has_other = true;
	if (set->type == ZONE_CNAME && has_other)
		for (size_t i = 0; i < reader->count; i++)
			if (reader->records[i].type == ZONE_CNAME &&
			    span_equal(reader->records[i].name, set->name))
				zone_fault(reader, reader->records[i].line,
					   "a CNAME beside other records",
					   set->name);
}

/* Every owner and every name above it: empty ones exist too (RFC 4592 2.2). */
static bool
make_names(struct zone *zone)
{
	size_t count = 0;

	for (size_t i = 0; i < zone->set_count; i++)
		for (size_t k = 0; k <= zone->sets[i].name.n; k++)
			count += k == zone->sets[i].name.n ||
				 zone->sets[i].name.p[k] == '.';
	zone->names =
		arena_alloc(&zone->arena, (count + 1) * sizeof *zone->names);
	if (zone->names == NULL)
		return false;
	count = 0;
	for (size_t i = 0; i < zone->set_count; i++) {
		struct span name = zone->sets[i].name;

		while (name.n > 0) {
			size_t dot = span_find(name, '.');

			zone->names[count++] = name;
			name = span_after(name,
					  dot < name.n ? dot + 1 : name.n);
		}
	}
	qsort(zone->names, count, sizeof *zone->names, compare_names);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || !span_equal(zone->names[i], zone->names[i - 1]))
			zone->names[zone->name_count++] = zone->names[i];
	return true;
}

static bool
make_sets(struct zone_reader *reader, struct zone *zone)
{
	struct dns_record *records = arena_alloc(
		&zone->arena, (reader->count + 1) * sizeof *records);

	zone->sets = arena_alloc(&zone->arena,
				 (reader->count + 1) * sizeof *zone->sets);
	if (records == NULL || zone->sets == NULL)
		return false;
	if (reader->count > 0)
		qsort(reader->records, reader->count, sizeof *reader->records,
		      compare_records);
	for (size_t at = 0; at < reader->count;)
		at += make_set(reader, zone, at, records + at);
	for (size_t i = 0; i < zone->set_count; i++)
		check_cname(reader, zone, i);
	return make_names(zone) && !zone->arena.has_overflowed;
}

struct zone *
zone_parse(struct span text, const char *name, struct buf *faults)
{
	struct zone *zone = calloc(1, sizeof *zone);
	struct zone_reader reader = { .file = name, .faults = faults };

	if (zone == NULL) {
		zone_fault(&reader, 0, "not enough memory", SPAN_NONE);
		return NULL;
	}
	arena_init(&zone->arena, ZONE_MEMORY_MAX);
	reader.arena = &zone->arena;
	zone_read(&reader, text);
	if (!make_sets(&reader, zone) && reader.fault_count == 0)
		zone_fault(&reader, 0, "not enough memory", SPAN_NONE);
	free(reader.records);
	if (reader.fault_count > 0) {
		zone_free(zone);
		return NULL;
	}
	return zone;
}

void
zone_free(struct zone *zone)
{
	if (zone == NULL)
		return;
	arena_fini(&zone->arena);
	free(zone);
}

/* --- lookup ------------------------------------------------------------- */

static bool
exists(const struct zone *zone, struct span name)
{
	return name.n == 0 ||
	       (zone->name_count > 0 &&
		bsearch(&name, zone->names, zone->name_count,
			sizeof *zone->names, compare_names) != NULL);
}

static int
compare_sets(const void *left, const void *right)
{
	const struct set *a = left, *b = right;
	int order = compare_spans(a->name, b->name);

	return order != 0 ? order : (a->type > b->type) - (a->type < b->type);
}

static const struct set *
find_set(const struct zone *zone, struct span name, enum zone_type type)
{
	struct set wanted = { .name = name, .type = type };

	if (zone->set_count == 0)
		return NULL;
	return bsearch(&wanted, zone->sets, zone->set_count, sizeof *zone->sets,
		       compare_sets);
}

/*
 * Where the records of a name stand: at the name, or at the wildcard below
 * its closest encloser (RFC 4592 3.3.1), which is then composed in `room`.
 * False if neither is there.
 */
static bool
find_source(const struct zone *zone, struct span name,
	    uint8_t room[ZONE_NAME_MAX + 2], struct span *source)
{
	*source = name;
	if (exists(zone, name))
		return true;
	if (name.n > ZONE_NAME_MAX)
		return false;
	while (!exists(zone, name)) {
		size_t dot = span_find(name, '.');

		name = span_after(name, dot < name.n ? dot + 1 : name.n);
	}
	room[0] = '*';
	room[1] = '.';
	if (name.n > 0)
		memcpy(room + 2, name.p, name.n);
	*source = span_make(room, name.n > 0 ? name.n + 2 : 1);
	return exists(zone, *source);
}

static void
give_set(const struct set *set, struct answer *answer)
{
	answer->status = ANSWER_OK;
	answer->records = set->count;
	answer->record = set->records;
	if (set->ttl < answer->ttl_s)
		answer->ttl_s = set->ttl;
}

static void
give_nothing(enum answer_status status, const char *error,
	     struct answer *answer)
{
	answer->status = status;
	answer->error = error;
	answer->ttl_s = 0;
}

void
zone_lookup(const struct zone *zone, struct span name, enum dns_type type,
	    struct answer *answer)
{
	uint8_t room[ZONE_NAME_MAX + 2];
	struct span source;

	*answer = (struct answer){ .name = name,
				   .type = type,
				   .is_cached = true,
				   .ttl_s = INT32_MAX };
	for (size_t chain = 0; chain <= ZONE_CHAIN_MAX; chain++) {
		const struct set *set;

		if (!find_source(zone, name, room, &source)) {
			give_nothing(chain == 0 ? ANSWER_NXDOMAIN
						: ANSWER_NODATA,
				     NULL, answer);
			return;
		}
		if (find_set(zone, source, ZONE_SERVFAIL) != NULL) {
			give_nothing(ANSWER_TEMPERROR, "SERVFAIL", answer);
			return;
		}
		set = find_set(zone, source, (enum zone_type)type);
		if (set != NULL) {
			give_set(set, answer);
			return;
		}
		set = find_set(zone, source, ZONE_CNAME);
		if (set == NULL) {
			give_nothing(ANSWER_NODATA, NULL, answer);
			return;
		}
		name = set->records[0].value;
		if (set->ttl < answer->ttl_s)
			answer->ttl_s = set->ttl;
	}
	give_nothing(ANSWER_TEMPERROR, "CNAME chain too long", answer);
}
