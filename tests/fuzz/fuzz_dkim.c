/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dkim: the input is a zone of key records, an empty line and a message; see
 * seed_dkim. However the message is cut, and whenever and in whatever order
 * the keys come, each signature is judged the same, and what is told of it
 * fits together. A signature that passes does so no longer when a letter of
 * the body is another, or when there is another author; and it does not cover
 * what was appended to the body.
 */
#include "dmarc/dkim.h"

#include "dmarc/domain.h"
#include "tests/fuzz/pieces.h"

#define NOW_S 1800000000 /* as in dkim_fixtures.py */
#define HEADER_MAX ((size_t)1024 * 1024)
#define ARENA_MAX ((size_t)8 << 20)
#define ROWS_MAX 8
#define SECOND_FROM SPAN_LIT("From: second@second.example\r\n")
#define APPENDED SPAN_LIT("appended\r\n")

struct row {
	struct span name;
	struct dns_record record;
};

struct zone {
	struct row row[ROWS_MAX];
	size_t count;
};

/* How a message is judged. */
struct way {
	struct pieces pieces; /* of the message */
	struct span before;   /* … put before it */
	struct span behind;   /* … and behind it */
	bool are_keys_late;   /* they come behind the body */
	bool is_last_first;   /* the last question is answered first */
	bool is_one_by_one;   /* and all is asked again behind each */
};

/* One message as it was judged. */
struct run {
	struct arena arena;
	struct answers answers;
	struct message message;
	struct dkim_check *check;
	const struct dkim_signature *list;
	size_t count;
};

static struct dkim_engine *engine;
static struct run first, other;

/* --- what is given --- */

static struct span
next_line(struct span *text)
{
	size_t end = span_find(*text, '\n');
	struct span line = span_first(*text, end);

	*text = span_after(*text, end < text->n ? end + 1 : end);
	return line;
}

/* Name, tab and text in each line, up to an empty one. */
static void
read_zone(struct span *text, struct zone *zone)
{
	struct span line;

	*zone = (struct zone){ .count = 0 };
	while ((line = next_line(text)).n > 0) {
		size_t tab = span_find(line, '\t');

		if (zone->count == ROWS_MAX)
			continue;
		zone->row[zone->count++] = (struct row){
			.name = span_first(line, tab),
			.record.value =
				span_after(line, tab < line.n ? tab + 1 : tab),
		};
	}
}

/* A name that the zone does not have gets some row of it, so that a signature
 * whose names were changed has a key; a row without a text is a failure. */
static void
settle(const struct zone *zone, struct answers *answers, size_t index)
{
	struct span name = answers->list[index]->name;
	struct dns_record record[ROWS_MAX];
	struct answer answer = { .status = ANSWER_NXDOMAIN, .record = record };

	assert(answers->list[index]->type == DNS_TXT);
	for (size_t i = 0; i < zone->count; i++)
		if (span_equal(zone->row[i].name, name))
			record[answer.records++] = zone->row[i].record;
	if (answer.records == 0 && zone->count > 0)
		record[answer.records++] =
			zone->row[name.n % zone->count].record;
	if (answer.records > 0)
		answer.status = ANSWER_OK;
	if (answer.records == 1 && record[0].value.n == 0) {
		answer.status = ANSWER_TEMPERROR;
		answer.error = "SERVFAIL";
		answer.records = 0;
	}
	answers_settle(answers, index, &answer);
}

/* --- one run --- */

static void
give_keys(struct run *run, const struct zone *zone, const struct way *way)
{
	size_t open[ANSWERS_MAX], count = 0;

	dkim_check_ask(run->check, &run->answers);
	while (answers_unsent(&run->answers, &open[count]))
		count++;
	/* all is asked for at once */
	assert(count <= DKIM_SIGNATURES_MAX);
	for (size_t i = 0; i < count; i++) {
		settle(zone, &run->answers,
		       open[way->is_last_first ? count - 1 - i : i]);
		if (way->is_one_by_one)
			assert(dkim_check_ask(run->check, &run->answers) ==
			       (i + 1 == count));
	}
	assert(dkim_check_ask(run->check, &run->answers));
	assert(run->answers.count == count);
}

static void
give(struct run *run, const struct zone *zone, const struct way *way,
     struct span chunk)
{
	bool was_header = run->message.state == MESSAGE_HEADER;
	uint8_t *copy = exact_copy(chunk);
	struct span body;

	message_feed(&run->message, span_make(copy, chunk.n), &body);
	if (was_header && run->message.state == MESSAGE_BODY) {
		assert(dkim_check_header(run->check, &run->message));
		if (!way->are_keys_late)
			give_keys(run, zone, way);
	}
	if (run->message.state == MESSAGE_BODY)
		dkim_check_body(run->check, body);
	free(copy);
}

static void
finish(struct run *run, const struct zone *zone, const struct way *way)
{
	const struct dkim_signature *again;

	if (way->are_keys_late)
		give_keys(run, zone, way);
	run->count = dkim_check_finish(run->check, &run->answers, &run->list);
	assert(run->count ==
	       dkim_check_finish(run->check, &run->answers, &again));
	assert(again == run->list);
	assert(dkim_check_count(run->check) >= run->count);
}

/* False if the header is over a limit: such a message is not judged. */
static bool
judge(struct run *run, const struct zone *zone, struct way way)
{
	struct span piece;

	arena_reset(&run->arena);
	answers_init(&run->answers, &run->arena, ANSWERS_MAX);
	message_reset(&run->message);
	run->check = dkim_check_new(engine, &run->arena, NOW_S);
	run->count = 0;
	assert(run->check != NULL);
	give(run, zone, &way, way.before);
	while (pieces_next(&way.pieces, &piece))
		give(run, zone, &way, piece);
	give(run, zone, &way, way.behind);
	if (run->message.state != MESSAGE_BODY)
		return false;
	finish(run, zone, &way);
	return true;
}

static void
end(struct run *run)
{
	dkim_check_free(run->check);
	assert(!run->arena.has_overflowed);
}

/* --- what must hold --- */

static bool
is_named(struct span name, const struct span *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (span_equal(list[i], name))
			return true;
	return false;
}

static void
check_pass(const struct dkim_signature *signature, const struct span *domain,
	   size_t domains)
{
	bool is_ed25519 = span_equal_nocase(signature->algorithm,
					    SPAN_LIT("ed25519-sha256"));
	struct span again;

	assert(domain_normalise(signature->domain, &first.arena, &again));
	assert(span_equal(again, signature->domain));
	assert(is_named(signature->domain, domain, domains));
	assert(signature->selector.n > 0 && signature->b_start.n > 0);
	assert(is_ed25519 ||
	       span_equal_nocase(signature->algorithm, SPAN_LIT("rsa-sha256")));
	assert(is_ed25519 ? signature->bits == 256
			  : signature->bits >= DKIM_RSA_BITS_MIN &&
				    signature->bits <= DKIM_RSA_BITS_MAX);
	assert(signature->has_length || signature->unsigned_octets == 0);
}

static void
check_list(void)
{
	struct span domain[DKIM_SIGNATURES_MAX];
	size_t domains = dkim_check_domains(first.check, domain), passed = 0;

	assert(first.count <= DKIM_LISTED_MAX);
	assert(first.count == 0 || domains <= first.count);
	for (size_t i = 0; i < first.count; i++) {
		const struct dkim_signature *signature = &first.list[i];
		bool is_pass = signature->result == DKIM_PASS;

		assert(signature->result != DKIM_NONE);
		assert(signature->reason != NULL);
		assert((signature->reason[0] == '\0') == is_pass);
		assert(signature->b_start.n <= 8);
		if (is_pass)
			check_pass(signature, domain, domains);
		passed += is_pass;
	}
	assert(passed <= DKIM_SIGNATURES_MAX);
}

static void
check_same(const struct dkim_signature *a, const struct dkim_signature *b)
{
	assert(a->result == b->result && a->reason == b->reason);
	assert(span_equal(a->domain, b->domain));
	assert(span_equal(a->selector, b->selector));
	assert(span_equal(a->algorithm, b->algorithm));
	assert(span_equal(a->identity, b->identity));
	assert(span_equal(a->b_start, b->b_start));
	assert(a->bits == b->bits && a->has_length == b->has_length);
	assert(a->unsigned_octets == b->unsigned_octets);
}

static void
check_way(const struct zone *zone, struct way way)
{
	assert(judge(&other, zone, way));
	assert(other.count == first.count);
	for (size_t i = 0; i < first.count; i++)
		check_same(&first.list[i], &other.list[i]);
	end(&other);
}

static void
check_ways(const struct zone *zone, struct pieces pieces)
{
	static const uint8_t one = 1;
	struct pieces octets = { .octets = pieces.octets,
				 .lengths = { &one, 1 } };

	check_way(zone, (struct way){ .pieces = pieces });
	check_way(zone, (struct way){ .pieces = octets,
				      .are_keys_late = true,
				      .is_one_by_one = true });
	check_way(zone, (struct way){ .pieces = pieces,
				      .is_last_first = true,
				      .is_one_by_one = true });
}

/* Each octet of the body is signed, but for those that l= leaves out: so is
 * its last letter. */
static void
check_changed(const struct zone *zone, struct span octets)
{
	uint8_t *copy = exact_copy(octets);
	size_t header = octets.n - (size_t)first.message.body_octets;
	size_t at = octets.n;

	while (at > header && !octet_is_alpha(copy[at - 1]))
		at--;
	if (at > header) {
		struct pieces changed = { .octets = { copy, octets.n } };

		copy[at - 1] ^= 0x20;
		judge(&other, zone, (struct way){ .pieces = changed });
		for (size_t i = 0; i < other.count; i++)
			assert(other.list[i].result != DKIM_PASS ||
			       other.list[i].has_length);
		end(&other);
	}
	free(copy);
}

/* There is another author: nothing passes. */
static void
check_second_from(const struct zone *zone, struct pieces whole)
{
	judge(&other, zone,
	      (struct way){ .pieces = whole, .before = SECOND_FROM });
	for (size_t i = 0; i < other.count; i++)
		assert(other.list[i].result != DKIM_PASS);
	end(&other);
}

/* With more behind the body passes only what says that it does not cover all
 * of it; and not even that where it is distrusted. */
static void
check_appended(const struct zone *zone, struct pieces whole)
{
	struct way way = { .pieces = whole, .behind = APPENDED };

	judge(&other, zone, way);
	for (size_t i = 0; i < other.count; i++)
		assert(other.list[i].result != DKIM_PASS ||
		       other.list[i].unsigned_octets > 0);
	end(&other);
	dkim_engine_distrust_length(engine, true);
	judge(&other, zone, way);
	for (size_t i = 0; i < other.count; i++)
		assert(other.list[i].result != DKIM_PASS);
	end(&other);
	dkim_engine_distrust_length(engine, false);
}

static bool
has_pass(const struct run *run)
{
	for (size_t i = 0; i < run->count; i++)
		if (run->list[i].result == DKIM_PASS)
			return true;
	return false;
}

/* --- the target --- */

/* Lines of whole CR LF up to the empty one, as data_decode() gives them; a
 * body may have any octets. */
static struct span
as_message(struct span text, struct buf *buf)
{
	struct span line;

	do {
		line = next_line(&text);
		for (size_t i = 0; i < line.n; i++)
			if (line.p[i] != '\r')
				buf_append_octet(buf, line.p[i]);
		buf_append(buf, SPAN_LIT("\r\n"));
	} while (line.n > 0 && !span_equal(line, SPAN_LIT("\r")));
	buf_append(buf, text);
	assert(!buf->has_overflowed);
	return buf_span(buf);
}

static void
set_up(void)
{
	engine = dkim_engine_new(DKIM_ENGINE_NATIVE);
	assert(engine != NULL);
	arena_init(&first.arena, ARENA_MAX);
	arena_init(&other.arena, ARENA_MAX);
	message_init(&first.message, HEADER_MAX);
	message_init(&other.message, HEADER_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct pieces pieces = pieces_make(input, n), whole;
	struct zone zone;
	struct buf text;

	if (engine == NULL)
		set_up();
	buf_init(&text, HEADER_MAX * 3);
	read_zone(&pieces.octets, &zone);
	pieces.octets = as_message(pieces.octets, &text);
	whole = (struct pieces){ .octets = pieces.octets };
	if (judge(&first, &zone, (struct way){ .pieces = whole })) {
		check_list();
		check_ways(&zone, pieces);
		if (has_pass(&first)) {
			check_changed(&zone, pieces.octets);
			check_second_from(&zone, whole);
			check_appended(&zone, whole);
		}
	}
	end(&first);
	buf_fini(&text);
	return 0;
}
