/* SPDX-License-Identifier: BSD-2-Clause */
/* A master file, and the answers it gives. */
#include "proxy/zone.h"
#include "smtp/ip.h"
#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

static const char file[] =
	"; what the cases below ask about\n"
	"$TTL 1h\n"
	"$ORIGIN example.com.\n"
	"@\tIN SOA ns hostmaster (\n"
	"\t\t2026112101 ; serial\n"
	"\t\t1h 15m 1w 300 )\n"
	"\tNS ns\n"
	"\tA 192.0.2.1\n"
	"\t300 IN A 192.0.2.2\n"
	"\tIN 400 A 192.0.2.1\n" /* the same again */
	"\tMX 10 mx\n"
	"\tMX 20 MX.Backup.Example.\n"
	"ns A 192.0.2.53\n"
	"WWW AAAA 2001:DB8::1\n"
	"_dmarc TXT \"v=DMARC1; p=reject\"\n"
	"strings TXT \"one \" two\t\"\\\"three\\\"\" ( \"\\097\\\\\"\n"
	"\tfour ) ; five\n"
	"two TXT a\n"
	"two TXT b\n"
	"empty TXT \"\"\n"
	"a.b.deep A 192.0.2.3\n"
	"alias CNAME www\n"
	"alias2 CNAME alias.example.com.\n"
	"dangling CNAME nowhere\n"
	"loop CNAME loop\n"
	"broken SERVFAIL\n"
	"broken A 192.0.2.9\n"
	"old SPF \"v=spf1 -all\"\n"
	"nullmx MX 0 .\n"
	"*.wild A 192.0.2.4\n"
	"host.wild TXT here\n"
	"*.down SERVFAIL\n"
	"*.ali CNAME www\n"
	"$ORIGIN 2.0.192.in-addr.arpa.\n"
	"1 PTR example.com.\n"
	"$ORIGIN .\n"
	"org A 192.0.2.7\r\n";

struct question {
	const char *name;
	enum dns_type type;
	enum answer_status status;
	uint32_t ttl;
	const char *records; /* joined by " | " */
};

static const struct question questions[] = {
	/* 1 what is there */
	{ "example.com", DNS_A, ANSWER_OK, 300, "192.0.2.1 | 192.0.2.2" },
	{ "example.com", DNS_MX, ANSWER_OK, 3600,
	  "10 mx.example.com | 20 mx.backup.example" },
	{ "www.example.com", DNS_AAAA, ANSWER_OK, 3600, "2001:db8::1" },
	{ "_dmarc.example.com", DNS_TXT, ANSWER_OK, 3600,
	  "v=DMARC1; p=reject" },
	{ "strings.example.com", DNS_TXT, ANSWER_OK, 3600,
	  "one two\"three\"a\\four" },
	{ "two.example.com", DNS_TXT, ANSWER_OK, 3600, "a | b" },
	{ "empty.example.com", DNS_TXT, ANSWER_OK, 3600, "" },
	{ "1.2.0.192.in-addr.arpa", DNS_PTR, ANSWER_OK, 3600, "example.com" },
	{ "nullmx.example.com", DNS_MX, ANSWER_OK, 3600, "0 " },
	{ "org", DNS_A, ANSWER_OK, 3600, "192.0.2.7" },
	/* 2 what is not */
	{ "example.com", DNS_TXT, ANSWER_NODATA, 0, NULL },
	{ "www.example.com", DNS_A, ANSWER_NODATA, 0, NULL },
	{ "old.example.com", DNS_TXT, ANSWER_NODATA, 0, NULL },
	{ "no.example.com", DNS_A, ANSWER_NXDOMAIN, 0, NULL },
	{ "below.www.example.com", DNS_A, ANSWER_NXDOMAIN, 0, NULL },
	{ "ample.com", DNS_A, ANSWER_NXDOMAIN, 0, NULL },
	{ "net", DNS_A, ANSWER_NXDOMAIN, 0, NULL },
	/* RFC 8020: a name above another one exists */
	{ "b.deep.example.com", DNS_A, ANSWER_NODATA, 0, NULL },
	{ "com", DNS_TXT, ANSWER_NODATA, 0, NULL },
	{ "in-addr.arpa", DNS_PTR, ANSWER_NODATA, 0, NULL },
	{ "", DNS_A, ANSWER_NODATA, 0, NULL },
	/* 3 aliases */
	{ "alias2.example.com", DNS_AAAA, ANSWER_OK, 3600, "2001:db8::1" },
	{ "alias.example.com", DNS_A, ANSWER_NODATA, 0, NULL },
	{ "dangling.example.com", DNS_A, ANSWER_NODATA, 0, NULL },
	{ "loop.example.com", DNS_A, ANSWER_TEMPERROR, 0, NULL },
	/* 4 failures */
	{ "broken.example.com", DNS_A, ANSWER_TEMPERROR, 0, NULL },
	{ "broken.example.com", DNS_TXT, ANSWER_TEMPERROR, 0, NULL },
	{ "any.down.example.com", DNS_TXT, ANSWER_TEMPERROR, 0, NULL },
	/* 5 wildcards (RFC 4592 2.2.1) */
	{ "x.wild.example.com", DNS_A, ANSWER_OK, 3600, "192.0.2.4" },
	{ "y.x.wild.example.com", DNS_A, ANSWER_OK, 3600, "192.0.2.4" },
	{ "x.wild.example.com", DNS_MX, ANSWER_NODATA, 0, NULL },
	{ "host.wild.example.com", DNS_A, ANSWER_NODATA, 0, NULL },
	{ "x.host.wild.example.com", DNS_A, ANSWER_NXDOMAIN, 0, NULL },
	{ "wild.example.com", DNS_A, ANSWER_NODATA, 0, NULL },
	{ "*.wild.example.com", DNS_A, ANSWER_OK, 3600, "192.0.2.4" },
	{ "x.ali.example.com", DNS_AAAA, ANSWER_OK, 3600, "2001:db8::1" },
};

static void
describe(const struct answer *answer, struct buf *out)
{
	char text[IP_TEXT_MAX];
	struct ip ip;

	for (size_t i = 0; i < answer->records; i++) {
		struct span value = answer->record[i].value;

		if (i > 0)
			buf_append(out, SPAN_LIT(" | "));
		if (answer->type == DNS_MX)
			buf_printf(out, "%u ", answer->record[i].preference);
		if (answer->type == DNS_A || answer->type == DNS_AAAA) {
			ip = ip_make(value.p, value.n);
			value = ip_format(&ip, text);
		}
		buf_append(out, value);
	}
}

static struct zone *
parse_good(struct span text)
{
	struct buf faults;
	struct zone *zone;

	buf_init(&faults, 1 << 16);
	zone = zone_parse(text, "zone", &faults);
	if (zone == NULL)
		fail_msg("%.*s", (int)faults.n,
			 (const char *)buf_span(&faults).p);
	assert_int_equal(faults.n, 0);
	buf_fini(&faults);
	return zone;
}

static void
ask(const struct zone *zone, const struct question *question)
{
	struct answer answer;
	struct buf out;

	buf_init(&out, 4096);
	zone_lookup(zone, span_cstr(question->name), question->type, &answer);
	describe(&answer, &out);
	if (answer.status != question->status ||
	    answer.ttl_s != question->ttl ||
	    (question->records == NULL && answer.records > 0) ||
	    !span_equal(buf_span(&out), span_cstr(question->records)))
		fail_msg("%s type %d: status %d, ttl %u, %zu records: %.*s",
			 question->name, (int)question->type,
			 (int)answer.status, answer.ttl_s, answer.records,
			 (int)out.n, (const char *)buf_span(&out).p);
	assert_true(answer.is_cached);
	assert_int_equal(answer.type, question->type);
	assert_true(span_equal(answer.name, span_cstr(question->name)));
	assert_true((answer.status == ANSWER_TEMPERROR) ==
		    (answer.error != NULL));
	buf_fini(&out);
}

static void
test_01_answers(void **state)
{
	struct guard guard = guard_copy(span_cstr(file));
	struct zone *zone = parse_good(guard.octets);

	(void)state;
	guard_free(&guard); /* a zone does not borrow from its text */
	for (size_t i = 0; i < CASES(questions); i++)
		ask(zone, &questions[i]);
	zone_free(zone);
}

static void
test_02_an_empty_file_has_no_names(void **state)
{
	static const struct question none = { "example.com", DNS_A,
					      ANSWER_NXDOMAIN, 0, NULL };
	static const char *const empty[] = { "", "\n\n", " ; x", "$TTL 5\n",
					     "$ORIGIN a.example.\n" };

	(void)state;
	for (size_t i = 0; i < CASES(empty); i++) {
		struct zone *zone = parse_good(span_cstr(empty[i]));

		ask(zone, &none);
		zone_free(zone);
	}
	zone_free(NULL);
}

/* A TTL that is not given is that of $TTL, else that of the record before,
 * else an hour (RFC 2308 4, RFC 1035 5.1). */
static void
test_03_ttl(void **state)
{
	static const struct question want[] = {
		{ "a", DNS_A, ANSWER_OK, 3600, "192.0.2.1" },
		{ "b", DNS_A, ANSWER_OK, 7, "192.0.2.1" },
		{ "c", DNS_A, ANSWER_OK, 7, "192.0.2.1" },
		{ "d", DNS_A, ANSWER_OK, 5400, "192.0.2.1" },
		{ "e", DNS_A, ANSWER_OK, 8, "192.0.2.1" },
		{ "f", DNS_A, ANSWER_OK, 5400, "192.0.2.1" },
		{ "g", DNS_A, ANSWER_OK, 8, "192.0.2.1" },
	};
	struct zone *zone =
		parse_good(SPAN_LIT("a A 192.0.2.1\nb 7 A 192.0.2.1\n"
				    "c A 192.0.2.1\n$TTL 1h30M\n"
				    "d A 192.0.2.1\ne IN 8 A 192.0.2.1\n"
				    "f A 192.0.2.1\ng 9 CNAME e\n"));

	(void)state;
	for (size_t i = 0; i < CASES(want); i++)
		ask(zone, &want[i]);
	zone_free(zone);
}

/* --- what is wrong ------------------------------------------------------ */

#define LABEL "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define STRING LABEL LABEL LABEL LABEL "abcd"

static const struct {
	const char *text;
	const char *fault;
} wrong[] = {
	{ "\na A 192.0.2", "zone:2: expected the data of this type" },
	{ "a A 192.0.2.1 192.0.2.2", "zone:1: expected the data" },
	{ "a A 2001:db8::1", "zone:1: expected the data" },
	{ "a AAAA 192.0.2.1", "zone:1: expected the data" },
	{ "a AAAA ::ffff:192.0.2.1", "zone:1: expected the data" },
	{ "a A", "zone:1: expected the data" },
	{ "a MX mx.example.", "zone:1: expected the data" },
	{ "a MX 65536 mx.example.", "zone:1: expected the data" },
	{ "a CNAME .", "zone:1: expected the data" },
	{ "a TXT", "zone:1: expected the data" },
	{ "a TXT " STRING, "zone:1: expected the data" },
	{ "a TXT \"\\256\"", "zone:1: expected the data" },
	{ "a TXT \"\\12x\"", "zone:1: expected the data" },
	{ "a SERVFAIL 2", "zone:1: expected the data" },
	{ "a SOA b c 1 2 3 4", "zone:1: expected the data" },
	{ "a SOA b c 1 2 3 4 x", "zone:1: expected the data" },
	{ "a SRV 0 0 1 b", "zone:1: expected A, AAAA, MX, TXT" },
	{ "a CH A 192.0.2.1", "zone:1: expected A, AAAA, MX, TXT" },
	{ "a", "zone:1: expected A, AAAA, MX, TXT" },
	{ "a 99999999999999999999999999 A 192.0.2.1", "zone:1: expected A," },
	{ "\n A 192.0.2.1", "zone:2: expected a name before" },
	{ "a..b A 192.0.2.1", "zone:1: expected a name, found \"a..b\"" },
	{ ".a A 192.0.2.1", "zone:1: expected a name" },
	{ "\"a\" A 192.0.2.1", "zone:1: expected a name" },
	{ "a\\.b A 192.0.2.1", "zone:1: expected a name" },
	{ LABEL "x A 192.0.2.1", "zone:1: expected a name" },
	{ LABEL "." LABEL "." LABEL "." LABEL " A 192.0.2.1",
	  "zone:1: expected a name" },
	{ "b\xc3\xbc"
	  "cher A 192.0.2.1",
	  "zone:1: an octet that no token has" },
	{ "a TXT \"x\nb A 192.0.2.1", "zone:1: a string without a closing" },
	{ "a TXT \"x\\\n", "zone:1: a string without a closing" },
	{ "a TXT (\nx\n", "zone:3: a \"(\" without its \")\"" },
	{ "a TXT ( ( x ) )", "zone:1: parentheses do not nest" },
	{ "a TXT x )", "zone:1: a \")\" without its \"(\"" },
	{ "$INCLUDE other", "zone:1: expected $ORIGIN or $TTL" },
	{ "$GENERATE 1-2 a$ A 192.0.2.1", "zone:1: expected $ORIGIN or" },
	{ "$ORIGIN", "zone:1: expected $ORIGIN name" },
	{ "$TTL x", "zone:1: expected $TTL seconds" },
	{ "$TTL 1x", "zone:1: expected $TTL seconds" },
	{ "$TTL 2147483648", "zone:1: expected $TTL seconds" },
	{ "a CNAME b\n\na CNAME c", "zone:3: two CNAME records at one name" },
	{ "a A 192.0.2.1\na CNAME c", "zone:2: a CNAME beside other records" },
	{ "a CNAME c\na TXT x", "zone:1: a CNAME beside other records" },
};

static void
test_10_every_fault_has_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASES(wrong); i++) {
		struct guard guard = guard_copy(span_cstr(wrong[i].text));
		struct buf faults;

		buf_init(&faults, 1 << 16);
		if (zone_parse(guard.octets, "zone", &faults) != NULL)
			fail_msg("taken: %s", wrong[i].text);
		if (!span_starts(buf_span(&faults), span_cstr(wrong[i].fault)))
			fail_msg("%s\nfor: %s", (const char *)faults.p,
				 wrong[i].text);
		assert_int_equal(span_find(buf_span(&faults), '\n'),
				 faults.n - 1);
		buf_fini(&faults);
		guard_free(&guard);
	}
}

static void
test_11_all_faults_are_named(void **state)
{
	struct buf faults;

	(void)state;
	buf_init(&faults, 1 << 16);
	assert_null(zone_parse(SPAN_LIT("a A x\n\nb A 192.0.2.1\nc TXT \"\n"
					"d FOO bar\n"),
			       "z", &faults));
	assert_true(span_equal(
		buf_span(&faults),
		SPAN_LIT("z:1: expected the data of this type, found \"A\"\n"
			 "z:4: a string without a closing quote on its line\n"
			 "z:5: expected A, AAAA, MX, TXT, PTR, CNAME, NS, SOA, "
			 "SPF or SERVFAIL, found \"FOO\"\n")));
	buf_fini(&faults);
}

/* A file cut anywhere, its end flush against an unmapped page, is a zone or
 * has a fault. */
static void
test_12_a_file_cut_anywhere(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof file; n++) {
		struct guard guard = guard_copy(span_make(file, n));
		struct buf faults;
		struct zone *zone;

		buf_init(&faults, 1 << 16);
		zone = zone_parse(guard.octets, "zone", &faults);
		assert_true((zone == NULL) == (faults.n > 0));
		zone_free(zone);
		buf_fini(&faults);
		guard_free(&guard);
	}
}

static void
test_13_a_name_too_long_does_not_exist(void **state)
{
	static const char name[] = LABEL "." LABEL "." LABEL "." LABEL ".x.y";
	static const struct question long_name = { name, DNS_A, ANSWER_NXDOMAIN,
						   0, NULL };
	struct zone *zone = parse_good(SPAN_LIT("* A 192.0.2.1\n"));

	(void)state;
	ask(zone, &long_name);
	zone_free(zone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_01_answers),
		cmocka_unit_test(test_02_an_empty_file_has_no_names),
		cmocka_unit_test(test_03_ttl),
		cmocka_unit_test(test_10_every_fault_has_its_line),
		cmocka_unit_test(test_11_all_faults_are_named),
		cmocka_unit_test(test_12_a_file_cut_anywhere),
		cmocka_unit_test(test_13_a_name_too_long_does_not_exist),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
