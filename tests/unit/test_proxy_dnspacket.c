/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/dnspacket.h"

#include "tests/unit/dns_message.h"
#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ASKED "www.example.com"

/* A response to ASKED, and what is to be read from it. */
struct row {
	const char *title;
	enum dns_type type;
	void (*make)(struct buf *out, enum dns_type type);
	enum answer_status status;
	uint32_t ttl_s;
	size_t records;
	const char *value; /* of the first record, or the error */
};

static void
begin(struct buf *out, enum dns_type type, unsigned rcode)
{
	dns_begin(out, 7, DNS_QR | DNS_RA | rcode, ASKED, type);
}

static void
two_addresses(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_a(out, ASKED, 300, "\xc0\x00\x02\x01");
	dns_a(out, ASKED, 100, "\xc0\x00\x02\x02");
}

static void
letters_of_any_case(struct buf *out, enum dns_type type)
{
	dns_begin(out, 7, DNS_QR, "wWw.ExAmPlE.cOm", type);
	dns_a(out, "WWW.example.COM", 300, "\xc0\x00\x02\x01");
}

static void
a_v6_address(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_record(out, DNS_ANSWER, ASKED, DNS_AAAA, 60,
		   SPAN_LIT("0123456789abcdef"));
}

static void
strings_joined(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_record(out, DNS_ANSWER, ASKED, DNS_TXT, 60,
		   SPAN_LIT("\x07v=spf1 \x00\x04-all"));
}

static void
an_exchanger(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_record(out, DNS_ANSWER, ASKED, DNS_MX, 60,
		   SPAN_LIT("\x00\x0a\x02MX\x07"
			    "Example\xc0\x18")); /* com of the question */
}

static void
no_exchanger(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_record(out, DNS_ANSWER, ASKED, DNS_MX, 60, SPAN_LIT("\0\0\0"));
}

static void
a_pointer_in_upper_case(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_pointer(out, DNS_ANSWER, ASKED, DNS_PTR, 60, "Mail.EXAMPLE.org");
}

static void
pointers_to_odd_names(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_record(out, DNS_ANSWER, ASKED, DNS_PTR, 60,
		   SPAN_LIT("\x0a"
			    "mail.evil.\x03"
			    "com\0"));
	dns_record(out, DNS_ANSWER, ASKED, DNS_PTR, 60,
		   SPAN_LIT("\x02"
			    "a\0\x03"
			    "com\0"));
	dns_record(out, DNS_ANSWER, ASKED, DNS_PTR, 60, SPAN_LIT("\0"));
}

static void
nothing_of_that_type(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_soa(out, "example.com", 900, 60);
}

static void
nothing_and_no_soa(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
}

static void
no_such_name(struct buf *out, enum dns_type type)
{
	begin(out, type, 3);
	dns_soa(out, "example.com", 30, 600);
}

static void
an_alias(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_pointer(out, DNS_ANSWER, ASKED, DNS_CNAME, 50, "a.example.net");
	dns_pointer(out, DNS_ANSWER, "a.example.net", DNS_CNAME, 20,
		    "b.example.net");
	dns_a(out, "b.example.net", 300, "\xc0\x00\x02\x01");
}

/* A server that knows nothing about the target leaves it there. */
static void
an_alias_left_open(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_pointer(out, DNS_ANSWER, ASKED, DNS_CNAME, 50, "a.example.net");
	dns_pointer(out, DNS_ANSWER, "a.example.net", DNS_CNAME, 20,
		    "B.example.net");
}

static void
an_alias_with_a_referral(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_pointer(out, DNS_ANSWER, ASKED, DNS_CNAME, 50, "a.example.net");
	dns_pointer(out, DNS_AUTHORITY, "example.net", DNS_NS, 60,
		    "ns.example.net");
}

/* The SOA says that the server has looked for the target. */
static void
an_alias_to_nothing(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_pointer(out, DNS_ANSWER, ASKED, DNS_CNAME, 50, "a.example.net");
	dns_soa(out, "example.net", 900, 40);
}

static void
an_alias_to_no_such_name_and_no_soa(struct buf *out, enum dns_type type)
{
	begin(out, type, 3);
	dns_pointer(out, DNS_ANSWER, ASKED, DNS_CNAME, 50, "a.example.net");
}

/* The order of the records is the server's. */
static void
an_alias_backwards(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_a(out, "b.example.net", 300, "\xc0\x00\x02\x01");
	dns_pointer(out, DNS_ANSWER, "a.example.net", DNS_CNAME, 20,
		    "b.example.net");
	dns_pointer(out, DNS_ANSWER, ASKED, DNS_CNAME, 50, "a.example.net");
}

/* The name exists: it has a CNAME. What does not is another. RFC 6604. */
static void
an_alias_to_no_such_name(struct buf *out, enum dns_type type)
{
	begin(out, type, 3);
	dns_pointer(out, DNS_ANSWER, ASKED, DNS_CNAME, 50, "a.example.net");
	dns_soa(out, "example.net", 900, 600);
}

static void
an_alias_of_itself(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_pointer(out, DNS_ANSWER, ASKED, DNS_CNAME, 50, ASKED);
}

static void
an_alias_to_an_odd_name(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_record(out, DNS_ANSWER, ASKED, DNS_CNAME, 50,
		   SPAN_LIT("\x03"
			    "a.b\x00"));
	dns_a(out, "a.b", 300, "\xc0\x00\x02\x01");
}

/* Poison: an answer about something that nobody asked. */
static void
somebody_elses_address(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_a(out, "other.example.com", 300, "\xc0\x00\x02\x01");
}

static void
another_question(struct buf *out, enum dns_type type)
{
	dns_begin(out, 7, DNS_QR, "other.example.com", type);
	dns_a(out, "other.example.com", 300, "\xc0\x00\x02\x01");
}

static void
another_type(struct buf *out, enum dns_type type)
{
	(void)type;
	dns_begin(out, 7, DNS_QR, ASKED, DNS_AAAA);
}

static void
a_query(struct buf *out, enum dns_type type)
{
	dns_begin(out, 7, 0, ASKED, type);
}

static void
server_failure(struct buf *out, enum dns_type type)
{
	begin(out, type, 2);
}

static void
refused(struct buf *out, enum dns_type type)
{
	begin(out, type, 5);
}

/* Some servers answer so: the header alone. */
static void
refused_without_question(struct buf *out, enum dns_type type)
{
	(void)type;
	buf_append(out, SPAN_LIT("\0\7\x80\x05\0\0\0\0\0\0\0\0"));
}

static void
an_extended_rcode(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_record(out, DNS_ADDITIONAL, ".", DNS_OPT, 0x01000000, SPAN_NONE);
}

static void
plain_edns(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_a(out, ASKED, 300, "\xc0\x00\x02\x01");
	dns_record(out, DNS_ADDITIONAL, ".", DNS_OPT, 0x00008000, SPAN_NONE);
}

static void
cut_short_by_the_server(struct buf *out, enum dns_type type)
{
	dns_begin(out, 7, DNS_QR | DNS_TC, ASKED, type);
}

static void
a_referral(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_pointer(out, DNS_AUTHORITY, "example.com", DNS_NS, 900,
		    "ns.example.com");
}

static void
a_long_time(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_a(out, ASKED, 0x80000000u, "\xc0\x00\x02\x01");
}

static void
an_address_of_five_octets(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_record(out, DNS_ANSWER, ASKED, DNS_A, 60, SPAN_LIT("12345"));
}

static void
a_string_beyond_its_record(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_record(out, DNS_ANSWER, ASKED, DNS_TXT, 60, SPAN_LIT("\x05-all"));
	dns_record(out, DNS_ANSWER, ASKED, DNS_TXT, 60, SPAN_LIT("\x01x"));
}

static void
a_text_without_strings(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_record(out, DNS_ANSWER, ASKED, DNS_TXT, 60, SPAN_NONE);
}

static void
a_pointer_forwards(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	dns_record(out, DNS_ANSWER, ASKED, DNS_PTR, 60, SPAN_LIT("\xc0\xff"));
}

static void
a_pointer_to_itself(struct buf *out, enum dns_type type)
{
	unsigned at;

	begin(out, type, 0);
	at = (unsigned)out->n + 17 + 10; /* where the data will stand */
	dns_record(
		out, DNS_ANSWER, ASKED, DNS_PTR, 60,
		span_make((uint8_t[]){ (uint8_t)(0xc0 | at >> 8), (uint8_t)at },
			  2));
}

static void
more_records_than_said(struct buf *out, enum dns_type type)
{
	two_addresses(out, type);
	out->p[out->start + 7] = 9;
}

static void
far_too_many_records(struct buf *out, enum dns_type type)
{
	begin(out, type, 0);
	for (unsigned i = 0; i <= ANSWERS_RECORDS_MAX; i++)
		dns_a(out, ASKED, 60, "\xc0\x00\x02\x01");
}

static void
a_name_that_should_not_be_there(struct buf *out, enum dns_type type)
{
	begin(out, type, 3);
	dns_a(out, ASKED, 60, "\xc0\x00\x02\x01");
}

#define MALFORMED ANSWER_TEMPERROR, 0, 0, "malformed answer"

static const struct row rows[] = {
	{ "addresses", DNS_A, two_addresses, ANSWER_OK, 100, 2,
	  "\xc0\x00\x02\x01" },
	{ "case", DNS_A, letters_of_any_case, ANSWER_OK, 300, 1,
	  "\xc0\x00\x02\x01" },
	{ "AAAA", DNS_AAAA, a_v6_address, ANSWER_OK, 60, 1,
	  "0123456789abcdef" },
	{ "TXT", DNS_TXT, strings_joined, ANSWER_OK, 60, 1, "v=spf1 -all" },
	{ "MX", DNS_MX, an_exchanger, ANSWER_OK, 60, 1, "mx.example.com" },
	{ "MX .", DNS_MX, no_exchanger, ANSWER_OK, 60, 1, "" },
	{ "PTR", DNS_PTR, a_pointer_in_upper_case, ANSWER_OK, 60, 1,
	  "mail.example.org" },
	{ "odd PTR", DNS_PTR, pointers_to_odd_names, ANSWER_NODATA, 60, 0,
	  NULL },
	{ "NODATA", DNS_A, nothing_of_that_type, ANSWER_NODATA, 60, 0, NULL },
	{ "no SOA", DNS_A, nothing_and_no_soa, ANSWER_NODATA, 0, 0, NULL },
	{ "NXDOMAIN", DNS_A, no_such_name, ANSWER_NXDOMAIN, 30, 0, NULL },
	{ "CNAME", DNS_A, an_alias, ANSWER_OK, 20, 1, "\xc0\x00\x02\x01" },
	{ "CNAME backwards", DNS_A, an_alias_backwards, ANSWER_OK, 20, 1,
	  "\xc0\x00\x02\x01" },
	{ "CNAME NXDOMAIN", DNS_A, an_alias_to_no_such_name, ANSWER_NODATA, 50,
	  0, NULL },
	{ "CNAME left open", DNS_A, an_alias_left_open, ANSWER_OPEN, 20, 0,
	  "b.example.net" },
	{ "CNAME with a referral", DNS_A, an_alias_with_a_referral, ANSWER_OPEN,
	  50, 0, "a.example.net" },
	{ "CNAME NODATA", DNS_A, an_alias_to_nothing, ANSWER_NODATA, 40, 0,
	  NULL },
	{ "CNAME NXDOMAIN, no SOA", DNS_A, an_alias_to_no_such_name_and_no_soa,
	  ANSWER_NODATA, 0, 0, NULL },
	{ "CNAME loop", DNS_A, an_alias_of_itself, ANSWER_TEMPERROR, 0, 0,
	  "CNAME chain too long" },
	{ "CNAME odd", DNS_A, an_alias_to_an_odd_name, ANSWER_TEMPERROR, 0, 0,
	  "CNAME to a name with odd octets" },
	{ "poison", DNS_A, somebody_elses_address, ANSWER_NODATA, 0, 0, NULL },
	{ "question", DNS_A, another_question, MALFORMED },
	{ "type", DNS_A, another_type, MALFORMED },
	{ "query", DNS_A, a_query, MALFORMED },
	{ "SERVFAIL", DNS_A, server_failure, ANSWER_TEMPERROR, 0, 0,
	  "SERVFAIL" },
	{ "REFUSED", DNS_A, refused, ANSWER_TEMPERROR, 0, 0, "REFUSED" },
	{ "bare REFUSED", DNS_A, refused_without_question, ANSWER_TEMPERROR, 0,
	  0, "REFUSED" },
	{ "BADVERS", DNS_A, an_extended_rcode, ANSWER_TEMPERROR, 0, 0,
	  "other rcode" },
	{ "EDNS", DNS_A, plain_edns, ANSWER_OK, 300, 1, "\xc0\x00\x02\x01" },
	{ "TC", DNS_A, cut_short_by_the_server, ANSWER_TEMPERROR, 0, 0,
	  "truncated" },
	{ "referral", DNS_A, a_referral, ANSWER_TEMPERROR, 0, 0, "referral" },
	{ "TTL", DNS_A, a_long_time, ANSWER_OK, 0, 1, "\xc0\x00\x02\x01" },
	{ "A of 5", DNS_A, an_address_of_five_octets, MALFORMED },
	{ "TXT beyond", DNS_TXT, a_string_beyond_its_record, MALFORMED },
	{ "TXT empty", DNS_TXT, a_text_without_strings, MALFORMED },
	{ "forwards", DNS_PTR, a_pointer_forwards, MALFORMED },
	{ "itself", DNS_PTR, a_pointer_to_itself, MALFORMED },
	{ "count", DNS_A, more_records_than_said, MALFORMED },
	{ "too many", DNS_A, far_too_many_records, ANSWER_TEMPERROR, 0, 0,
	  "too many records" },
	{ "NXDOMAIN and A", DNS_A, a_name_that_should_not_be_there, MALFORMED },
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

/* Where an answer that is open goes on. */
static struct span target;

static void
read_packet(struct span packet, enum dns_type type, struct arena *arena,
	    struct answer *answer)
{
	struct guard guard = guard_copy(packet);

	*answer = (struct answer){ 0 };
	dnspacket_read(guard.octets, SPAN_LIT(ASKED), type, arena, answer,
		       &target);
	guard_free(&guard);
	assert_int_equal(answer->status == ANSWER_OK, answer->records > 0);
	assert_int_equal(answer->status == ANSWER_TEMPERROR,
			 answer->error != NULL);
}

static void
check(const struct row *row, const struct answer *answer)
{
	if (answer->status != row->status || answer->ttl_s != row->ttl_s ||
	    answer->records != row->records)
		fail_msg("%s: %s, ttl %u, %zu records, %s", row->title,
			 answer_status_name(answer->status), answer->ttl_s,
			 answer->records,
			 answer->error == NULL ? "" : answer->error);
	if (row->status == ANSWER_OPEN) {
		assert_true(span_equal(target, span_cstr(row->value)));
	} else if (row->status == ANSWER_TEMPERROR) {
		assert_string_equal(answer->error, row->value);
	} else if (row->records > 0) {
		size_t n = row->type == DNS_A ? 4 : strlen(row->value);

		assert_int_equal(answer->record[0].value.n, n);
		if (n > 0)
			assert_memory_equal(answer->record[0].value.p,
					    row->value, n);
	}
}

static void
each_response_is_read_as_it_should(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROW_COUNT; i++) {
		struct answer answer;
		struct arena arena;
		struct buf packet;

		buf_init(&packet, 65535);
		arena_init(&arena, 1 << 20);
		rows[i].make(&packet, rows[i].type);
		read_packet(buf_span(&packet), rows[i].type, &arena, &answer);
		check(&rows[i], &answer);
		arena_fini(&arena);
		buf_fini(&packet);
	}
}

/* A packet cut anywhere is malformed, or says what the whole said if only the
 * additional section is missing; it never says that there is no such name. */
static void
a_packet_cut_anywhere_is_malformed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROW_COUNT; i++) {
		struct buf packet;

		buf_init(&packet, 65535);
		rows[i].make(&packet, rows[i].type);
		for (size_t n = 0; n < packet.n && n < 2000; n++) {
			struct answer answer;
			struct arena arena;

			arena_init(&arena, 1 << 20);
			read_packet(span_first(buf_span(&packet), n),
				    rows[i].type, &arena, &answer);
			if (answer.status != ANSWER_TEMPERROR)
				assert_true(strstr(rows[i].title, "EDNS") ||
					    strstr(rows[i].title, "BADVERS"));
			arena_fini(&arena);
		}
		buf_fini(&packet);
	}
}

/* Any octets at all: it ends, within the packet, with one of the results. */
static void
hostile_packets_do_no_harm(void **state)
{
	(void)state;
	srandom(1);
	for (size_t i = 0; i < 30000; i++) {
		const struct row *row = &rows[i % ROW_COUNT];
		struct answer answer;
		struct arena arena;
		struct buf packet;

		buf_init(&packet, 65535);
		arena_init(&arena, 1 << 16);
		row->make(&packet, row->type);
		for (long changes = 1 + random() % 8; changes > 0; changes--)
			packet.p[(size_t)random() % packet.n] =
				(uint8_t)random();
		read_packet(buf_span(&packet), row->type, &arena, &answer);
		arena_fini(&arena);
		buf_fini(&packet);
	}
}

/* 64 KiB that make names be followed as often as possible. */
static void
a_large_packet_of_pointers_ends_soon(void **state)
{
	struct answer answer;
	struct arena arena;
	struct buf packet;

	(void)state;
	buf_init(&packet, 65535);
	arena_init(&arena, 1 << 20);
	begin(&packet, DNS_A, 0);
	for (unsigned i = 0; i < 120; i++)
		dns_pointer(&packet, DNS_ANSWER, ASKED, DNS_CNAME, 1, ASKED);
	while (packet.n + 12 + 2 <= 65535) {
		unsigned before = (unsigned)packet.n - 12;

		dns_u16(&packet, 0xc000 | (before & 0x3fff));
		dns_u16(&packet, DNS_A);
		dns_u16(&packet, 1);
		dns_u32(&packet, 1);
		dns_u16(&packet, 0);
		dns_count(&packet, DNS_ANSWER);
	}
	read_packet(buf_span(&packet), DNS_A, &arena, &answer);
	assert_int_equal(answer.status, ANSWER_TEMPERROR);
	arena_fini(&arena);
	buf_fini(&packet);
}

/* A record whose owner is that of the question, behind so many pointers. */
static void
add_behind_pointers(struct buf *packet, unsigned pointers)
{
	unsigned at = 12;

	dns_u16(packet, 0xc00c); /* data of a record that nobody asked for */
	dns_u16(packet, 99);
	dns_u16(packet, 1);
	dns_u32(packet, 1);
	dns_u16(packet, 2 * (pointers - 1));
	for (unsigned i = 1; i < pointers; i++) {
		unsigned here = (unsigned)packet->n;

		dns_u16(packet, 0xc000 | at);
		at = here;
	}
	dns_count(packet, DNS_ANSWER);
	dns_u16(packet, 0xc000 | at);
	dns_u16(packet, DNS_A);
	dns_u16(packet, 1);
	dns_u32(packet, 60);
	dns_u16(packet, 4);
	buf_append(packet, SPAN_LIT("\xc0\x00\x02\x01"));
	dns_count(packet, DNS_ANSWER);
}

/* Each of them leads backwards; all the same, thousands for each of thousands
 * of names took seconds. */
static void
a_name_has_no_more_pointers_than_labels(void **state)
{
	static const unsigned pointers[] = { 1, 2, 127, 128, 8000 };

	(void)state;
	for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
		struct answer answer;
		struct arena arena;
		struct buf packet;

		buf_init(&packet, 65535);
		arena_init(&arena, 1 << 20);
		begin(&packet, DNS_A, 0);
		add_behind_pointers(&packet, pointers[i]);
		read_packet(buf_span(&packet), DNS_A, &arena, &answer);
		assert_int_equal(answer.status, pointers[i] <= 127
							? ANSWER_OK
							: ANSWER_TEMPERROR);
		arena_fini(&arena);
		buf_fini(&packet);
	}
}

/* What is not asked for is passed over, but not any number of it: each name of
 * a chain goes through all of them. */
static void
an_answer_section_is_bounded(void **state)
{
	(void)state;
	for (unsigned others = 287; others <= 288; others++) {
		struct answer answer;
		struct arena arena;
		struct buf packet;

		buf_init(&packet, 65535);
		arena_init(&arena, 1 << 20);
		begin(&packet, DNS_A, 0);
		for (unsigned i = 0; i < others; i++)
			dns_txt(&packet, "other.example.com", 60, "x");
		dns_a(&packet, ASKED, 60, "\xc0\x00\x02\x01");
		read_packet(buf_span(&packet), DNS_A, &arena, &answer);
		assert_int_equal(answer.status,
				 others == 287 ? ANSWER_OK : ANSWER_TEMPERROR);
		arena_fini(&arena);
		buf_fini(&packet);
	}
}

static void
it_says_whether_it_was_validated(void **state)
{
	static const unsigned flags[] = { 0, 0x20, 0x20 | 2 };

	(void)state;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		struct answer answer;
		struct arena arena;
		struct buf packet;

		buf_init(&packet, 65535);
		arena_init(&arena, 1 << 20);
		begin(&packet, DNS_A, flags[i]);
		dns_a(&packet, ASKED, 60, "\xc0\x00\x02\x01");
		read_packet(buf_span(&packet), DNS_A, &arena, &answer);
		assert_int_equal(answer.is_authentic, flags[i] == 0x20);
		arena_fini(&arena);
		buf_fini(&packet);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_response_is_read_as_it_should),
		cmocka_unit_test(a_packet_cut_anywhere_is_malformed),
		cmocka_unit_test(hostile_packets_do_no_harm),
		cmocka_unit_test(a_large_packet_of_pointers_ends_soon),
		cmocka_unit_test(a_name_has_no_more_pointers_than_labels),
		cmocka_unit_test(an_answer_section_is_bounded),
		cmocka_unit_test(it_says_whether_it_was_validated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
