/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/extension.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define HAS(name) EXTENSION_BIT(EXTENSION_##name)
#define EHLO(bits, size, names)                                              \
	{                                                                    \
		.extensions = (bits), .size_max = (size), .xclient = (names) \
	}

static struct ehlo
parse(struct span wire)
{
	struct reply reply;
	struct ehlo ehlo;

	assert_int_equal(reply_next(&wire, &reply), REPLY_READY);
	assert_int_equal(wire.n, 0);
	ehlo_parse(&reply, &ehlo);
	return ehlo;
}

static void
assert_ehlo(struct ehlo ehlo, struct ehlo wanted)
{
	assert_int_equal(ehlo.extensions, wanted.extensions);
	assert_int_equal(ehlo.size_max, wanted.size_max);
	assert_int_equal(ehlo.xclient, wanted.xclient);
	for (size_t i = 0; i < EHLO_LIMITS; i++)
		assert_int_equal(ehlo.limit[i], wanted.limit[i]);
	assert_int_equal(ehlo.by_min, wanted.by_min);
	assert_int_equal(ehlo.hold_max, wanted.hold_max);
	assert_string_equal(ehlo.hold_until, wanted.hold_until);
	assert_string_equal(ehlo.policy, wanted.policy);
	assert_string_equal(ehlo.solicitation, wanted.solicitation);
}

static const struct {
	struct span wire;
	struct ehlo ehlo;
} replies[] = {
	{ SPAN_LIT("250 mx.example\r\n"), EHLO(0, 0, 0) },
	/* The first line is a greeting, whatever it says. */
	{ SPAN_LIT("250 PIPELINING\r\n"), EHLO(0, 0, 0) },
	{ SPAN_LIT("250-PIPELINING\r\n250 DSN\r\n"), EHLO(HAS(DSN), 0, 0) },
	{ SPAN_LIT("250-mx\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n"
		   "250-VRFY\r\n250-ETRN\r\n250-STARTTLS\r\n"
		   "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n"
		   "250-SMTPUTF8\r\n250 CHUNKING\r\n"),
	  EHLO(HAS(PIPELINING) | HAS(SIZE) | HAS(ENHANCEDSTATUSCODES) |
		       HAS(8BITMIME) | HAS(DSN) | HAS(SMTPUTF8) |
		       HAS(CHUNKING) | HAS(STARTTLS),
	       10240000, 0) },
	{ SPAN_LIT("250-mx\r\n250-pipelining\r\n250 8BitMime\r\n"),
	  EHLO(HAS(PIPELINING) | HAS(8BITMIME), 0, 0) },
	{ SPAN_LIT("250-mx\r\n250 \t SIZE \t 7 \r\n"), EHLO(HAS(SIZE), 7, 0) },
	/* RFC 3030 3: not the one without the other. */
	{ SPAN_LIT("250-mx\r\n250-BINARYMIME\r\n250 CHUNKING\r\n"),
	  EHLO(HAS(BINARYMIME) | HAS(CHUNKING), 0, 0) },
	{ SPAN_LIT("250-mx\r\n250 BINARYMIME\r\n"), EHLO(0, 0, 0) },
	{ SPAN_LIT("250-mx\r\n250 SIZE\r\n"), EHLO(HAS(SIZE), 0, 0) },
	{ SPAN_LIT("250-mx\r\n250 SIZE 0\r\n"), EHLO(HAS(SIZE), 0, 0) },
	{ SPAN_LIT("250-mx\r\n250 SIZE 18446744073709551615\r\n"),
	  EHLO(HAS(SIZE), UINT64_MAX, 0) },
	{ SPAN_LIT("250-mx\r\n250 SIZE 18446744073709551616\r\n"),
	  EHLO(0, 0, 0) },
	{ SPAN_LIT("250-mx\r\n250 SIZE ten\r\n"), EHLO(0, 0, 0) },
	{ SPAN_LIT("250-mx\r\n250 SIZE -1\r\n"), EHLO(0, 0, 0) },
	{ SPAN_LIT("250-mx\r\n250 SIZE 1 2\r\n"), EHLO(0, 0, 0) },
	{ SPAN_LIT("250-mx\r\n250 SIZE=1\r\n"), EHLO(0, 0, 0) },
	{ SPAN_LIT("250-mx\r\n250-SIZE 5\r\n250 SIZE x\r\n"),
	  EHLO(HAS(SIZE), 5, 0) },
	/* RFC 6531 3.1: what stands behind it is ignored. */
	{ SPAN_LIT("250-mx\r\n250 SMTPUTF8 new\r\n"),
	  EHLO(HAS(SMTPUTF8), 0, 0) },
	{ SPAN_LIT("250-mx\r\n250-\r\n250-DSNX\r\n250 DS\r\n"), EHLO(0, 0, 0) },
	{ SPAN_LIT("250-mx\r\n250 XCLIENT NAME addr  PORT LATER LOGIN\r\n"),
	  EHLO(HAS(XCLIENT), 0,
	       XCLIENT_NAME | XCLIENT_ADDR | XCLIENT_PORT | XCLIENT_LOGIN) },
	{ SPAN_LIT("250-mx\r\n250 XCLIENT\r\n"), EHLO(HAS(XCLIENT), 0, 0) },
	{ SPAN_LIT("250-mx\r\n250 XCLIENT NAMES DESTADDR\r\n"),
	  EHLO(HAS(XCLIENT), 0, XCLIENT_DESTADDR) },
	{ SPAN_LIT("550-mx\r\n550 PIPELINING\r\n"), EHLO(0, 0, 0) },
	{ SPAN_LIT("220-mx\r\n220 PIPELINING\r\n"), EHLO(0, 0, 0) },
};

static void
keywords_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(replies); i++)
		assert_ehlo(parse(replies[i].wire), replies[i].ehlo);
}

#define DATE "2026-12-24T18:00:00Z"

static const struct {
	const char *line;
	struct ehlo ehlo;
} values[] = {
	{ "LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=999999",
	  { .extensions = HAS(LIMITS), .limit = { 20, 5, 999999 } } },
	{ "limits rcptmax=20", { .extensions = HAS(LIMITS), .limit = { 20 } } },
	{ "LIMITS RCPTMAX=20 RCPTMAX=10",
	  { .extensions = HAS(LIMITS), .limit = { 10 } } },
	/* What is not known, or not a limit, is left out. */
	{ "LIMITS OTHER=1 RCPTMAX=0 MAILMAX=1000000 RCPTDOMAINMAX=x RCPTMAX",
	  { .extensions = HAS(LIMITS) } },
	{ "LIMITS MAILMAX=-1 RCPTMAX=7",
	  { .extensions = HAS(LIMITS), .limit = { 7 } } },
	{ "DELIVERBY", { .extensions = HAS(DELIVERBY) } },
	{ "DELIVERBY 0", { .extensions = HAS(DELIVERBY) } },
	{ "DELIVERBY 1200", { .extensions = HAS(DELIVERBY), .by_min = 1200 } },
	{ "DELIVERBY 60,NEW=1",
	  { .extensions = HAS(DELIVERBY), .by_min = 60 } },
	{ "DELIVERBY soon", { 0 } },
	{ "DELIVERBY 1000000000", { 0 } },
	{ "FUTURERELEASE 86400 " DATE,
	  { .extensions = HAS(FUTURERELEASE),
	    .hold_max = 86400,
	    .hold_until = DATE } },
	{ "FUTURERELEASE", { 0 } },
	{ "FUTURERELEASE 86400", { 0 } },
	{ "FUTURERELEASE " DATE, { 0 } },
	{ "FUTURERELEASE 0 " DATE, { 0 } },
	{ "FUTURERELEASE 86400 " DATE " x", { 0 } },
	/* Not in UTC: two of them could not be compared. */
	{ "FUTURERELEASE 86400 2026-12-24T18:00:00+01:00", { 0 } },
	{ "MT-PRIORITY", { .extensions = HAS(MT_PRIORITY) } },
	{ "MT-PRIORITY MIXER",
	  { .extensions = HAS(MT_PRIORITY), .policy = "MIXER" } },
	{ "MT-PRIORITY A B", { 0 } },
	{ "MT-PRIORITY a=b", { 0 } },
	{ "MT-PRIORITY abcdefghijklmnopqrstuvwxyz0123456", { 0 } },
	{ "NO-SOLICITING", { .extensions = HAS(NO_SOLICITING) } },
	{ "NO-SOLICITING net.example:ADV,b",
	  { .extensions = HAS(NO_SOLICITING),
	    .solicitation = "net.example:ADV,b" } },
	{ "NO-SOLICITING a,,b", { 0 } },
	{ "NO-SOLICITING a b", { 0 } },
	{ "REQUIRETLS", { .extensions = HAS(REQUIRETLS) } },
	{ "AUTH PLAIN gssapi LOGIN",
	  { .extensions = HAS(AUTH), .mechanisms = "PLAIN LOGIN" } },
	{ "AUTH", { 0 } },
	{ "AUTH GSSAPI EXTERNAL", { 0 } },
	{ "AUTH=PLAIN LOGIN", { 0 } },
	/* Never offered. */
	{ "BURL imap", { 0 } },
};

static void
what_stands_behind_a_keyword_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(values); i++) {
		struct buf wire;

		buf_init(&wire, 1000);
		buf_append(&wire, SPAN_LIT("250-mx\r\n250 "));
		buf_append(&wire, span_cstr(values[i].line));
		buf_append(&wire, SPAN_LIT("\r\n"));
		assert_ehlo(parse(buf_span(&wire)), values[i].ehlo);
		buf_fini(&wire);
	}
}

/* None of the keywords that are never offered is in the other table. */
static void
what_is_stripped_is_not_read(void **state)
{
	static const char *const stripped[] = {
#define X(keyword, why) keyword,
		EXTENSIONS_STRIPPED(X)
#undef X
	};

	(void)state;
	for (size_t i = 0; i < ROWS(stripped); i++) {
		struct reply reply = { .code = 250, .lines = 2 };
		struct ehlo ehlo;

		reply.line[0] = SPAN_LIT("mx");
		reply.line[1] = span_cstr(stripped[i]);
		ehlo_parse(&reply, &ehlo);
		assert_ehlo(ehlo, (struct ehlo){ 0 });
	}
}

static void
limits_are_the_tighter_ones(void **state)
{
	const struct ehlo theirs = { .extensions = HAS(LIMITS),
				     .limit = { 100, 0, 3 } };
	const struct ehlo ours = { .limit = { 1000, 50, 0 } };
	const struct ehlo none = { 0 };
	struct ehlo offer = ehlo_offer(&theirs, &ours, 0);

	(void)state;
	assert_int_equal(offer.extensions & HAS(LIMITS), HAS(LIMITS));
	assert_int_equal(offer.limit[EHLO_RCPTMAX], 100);
	assert_int_equal(offer.limit[EHLO_MAILMAX], 50);
	assert_int_equal(offer.limit[EHLO_RCPTDOMAINMAX], 3);
	/* Ours stand whatever the backend offers; without any, none. */
	offer = ehlo_offer(&none, &ours, 0);
	assert_int_equal(offer.extensions & HAS(LIMITS), HAS(LIMITS));
	assert_int_equal(offer.limit[EHLO_RCPTMAX], 1000);
	offer = ehlo_offer(&none, &none, 0);
	assert_int_equal(offer.extensions & HAS(LIMITS), 0);
}

static void
what_is_offered_in_front_of_a_backend(void **state)
{
	const unsigned own = HAS(PIPELINING) | HAS(SIZE) | HAS(CHUNKING);
	const struct ehlo nothing = EHLO(0, 0, 0);
	const struct ehlo all =
		EHLO(EXTENSION_BIT(EXTENSION_COUNT) - 1, 0, XCLIENT_NAME);

	(void)state;
	assert_ehlo(ehlo_offer(&nothing, &nothing, 0),
		    (struct ehlo)EHLO(own, 0, 0));
	/* What the gate needs for itself is never offered. */
	assert_ehlo(ehlo_offer(&all, &nothing, 0),
		    (struct ehlo)EHLO(
			    own | HAS(8BITMIME) | HAS(BINARYMIME) |
				    HAS(ENHANCEDSTATUSCODES) | HAS(SMTPUTF8) |
				    HAS(DSN) | HAS(DELIVERBY) |
				    HAS(FUTURERELEASE) | HAS(MT_PRIORITY) |
				    HAS(NO_SOLICITING) | HAS(REQUIRETLS),
			    0, 0));
	assert_ehlo(ehlo_offer(&(struct ehlo)EHLO(HAS(8BITMIME), 0, 0),
			       &nothing, 0),
		    (struct ehlo)EHLO(own | HAS(8BITMIME), 0, 0));
}

static const struct {
	uint64_t theirs;
	uint64_t ours;
	uint64_t room;
	uint64_t offered;
} sizes[] = {
	{ 0, 0, 0, 0 },
	{ 0, 0, 100, 0 },
	{ 0, 1000, 100, 1000 },
	{ 1000, 0, 100, 900 },
	{ 1000, 900, 100, 900 },
	{ 1000, 901, 100, 900 },
	{ 1000, 899, 100, 899 },
	{ 101, 0, 100, 1 },
	/* Nothing fits: 0 would say that everything does. */
	{ 100, 0, 100, 1 },
	{ 99, 1000, 100, 1 },
	{ UINT64_MAX, UINT64_MAX, 1, UINT64_MAX - 1 },
};

static void
size_is_the_smaller_limit(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(sizes); i++) {
		struct ehlo theirs = EHLO(HAS(SIZE), sizes[i].theirs, 0);
		struct ehlo ours = { .size_max = sizes[i].ours };
		struct ehlo offered = ehlo_offer(&theirs, &ours, sizes[i].room);

		assert_int_equal(offered.size_max, sizes[i].offered);
	}
}

static void
an_intersection_is_what_both_offer(void **state)
{
	const struct ehlo a = EHLO(HAS(SIZE) | HAS(DSN) | HAS(XCLIENT), 100,
				   XCLIENT_NAME | XCLIENT_ADDR);
	const struct ehlo b = EHLO(HAS(DSN) | HAS(8BITMIME) | HAS(XCLIENT), 0,
				   XCLIENT_ADDR | XCLIENT_PORT);
	const struct ehlo c = EHLO(HAS(SIZE), 70, 0);
	const struct ehlo ab = EHLO(HAS(DSN) | HAS(XCLIENT), 100, XCLIENT_ADDR);

	(void)state;
	assert_ehlo(ehlo_intersect(&a, &b), ab);
	assert_ehlo(ehlo_intersect(&b, &a), ab);
	assert_ehlo(ehlo_intersect(&a, &a), a);
	assert_ehlo(ehlo_intersect(&a, &c),
		    (struct ehlo)EHLO(HAS(SIZE), 70, 0));
	assert_ehlo(ehlo_intersect(&c, &a),
		    (struct ehlo)EHLO(HAS(SIZE), 70, 0));
	assert_ehlo(ehlo_intersect(&b, &c), (struct ehlo)EHLO(0, 70, 0));
}

#define VALUED                                               \
	(HAS(LIMITS) | HAS(DELIVERBY) | HAS(FUTURERELEASE) | \
	 HAS(MT_PRIORITY) | HAS(NO_SOLICITING))

static void
an_intersection_has_the_tighter_values(void **state)
{
	const struct ehlo a = { .extensions = VALUED,
				.limit = { 10, 0, 7 },
				.by_min = 60,
				.hold_max = 100,
				.hold_until = "2026-12-24T18:00:00Z",
				.policy = "MIXER",
				.solicitation = "a,b" };
	const struct ehlo b = { .extensions = VALUED,
				.limit = { 0, 5, 8 },
				.by_min = 50,
				.hold_max = 200,
				.hold_until = "2026-12-23T19:00:00Z",
				.policy = "NSEP",
				.solicitation = "a" };
	struct ehlo ab = { .extensions = VALUED & ~HAS(MT_PRIORITY),
			   .limit = { 10, 5, 7 },
			   .by_min = 60,
			   .hold_max = 100,
			   .hold_until = "2026-12-23T19:00:00Z",
			   .policy = "MIXER" };

	(void)state;
	assert_ehlo(ehlo_intersect(&a, &b), ab);
	memcpy(ab.policy, "NSEP",
	       sizeof("NSEP")); /* not offered, whatever is in there */
	assert_ehlo(ehlo_intersect(&b, &a), ab);
	assert_ehlo(ehlo_intersect(&a, &a), a);
}

static void
assert_format(struct ehlo ehlo, const char *wanted)
{
	struct span text = span_cstr(wanted);
	struct buf buf;

	buf_init(&buf, text.n);
	assert_true(ehlo_format(&ehlo, SPAN_LIT("mx.example"), &buf));
	assert_true(span_equal(buf_span(&buf), text));
	buf_fini(&buf);
	buf_init(&buf, text.n - 1);
	assert_false(ehlo_format(&ehlo, SPAN_LIT("mx.example"), &buf));
	buf_fini(&buf);
}

static void
the_reply_is_written(void **state)
{
	(void)state;
	assert_format((struct ehlo){ .extensions = VALUED,
				     .limit = { 10, 0, 1000000 },
				     .by_min = 60,
				     .hold_max = 100,
				     .hold_until = DATE,
				     .policy = "MIXER",
				     .solicitation = "a,b" },
		      "250-mx.example greets you\r\n"
		      "250-LIMITS RCPTMAX=10 RCPTDOMAINMAX=999999\r\n"
		      "250-DELIVERBY 60\r\n250-FUTURERELEASE 100 " DATE "\r\n"
		      "250-MT-PRIORITY MIXER\r\n250 NO-SOLICITING a,b\r\n");
	assert_format((struct ehlo)EHLO(0, 0, 0),
		      "250 mx.example greets you\r\n");
	assert_format((struct ehlo)EHLO(HAS(SIZE), 0, 0),
		      "250-mx.example greets you\r\n250 SIZE 0\r\n");
	assert_format((struct ehlo)EHLO(HAS(DSN) | HAS(SIZE) | HAS(PIPELINING),
					1000, XCLIENT_NAME),
		      "250-mx.example greets you\r\n250-PIPELINING\r\n"
		      "250-SIZE 1000\r\n250 DSN\r\n");
	assert_format((struct ehlo)EHLO(HAS(XCLIENT), 0,
					XCLIENT_NAME | XCLIENT_DESTPORT),
		      "250-mx.example greets you\r\n"
		      "250 XCLIENT NAME DESTPORT\r\n");
}

/* Every set of extensions, and every set of attributes. */
static void
parse_undoes_format(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	for (unsigned i = 0; i < EXTENSION_BIT(EXTENSION_COUNT); i++) {
		unsigned attributes = i * 37 & 0xff;
		struct ehlo ehlo = EHLO(i, 0, 0);
		bool is_said =
			(i & HAS(BINARYMIME)) == 0 || (i & HAS(CHUNKING)) != 0;

		if ((i & HAS(SIZE)) != 0)
			ehlo.size_max = UINT64_MAX - i;
		if ((i & HAS(XCLIENT)) != 0)
			ehlo.xclient = attributes;
		if ((i & HAS(LIMITS)) != 0)
			ehlo.limit[i % EHLO_LIMITS] = i % 1000;
		if ((i & HAS(DELIVERBY)) != 0)
			ehlo.by_min = i % 1000;
		if ((i & HAS(FUTURERELEASE)) != 0) {
			ehlo.hold_max = i;
			memcpy(ehlo.hold_until, DATE, sizeof(DATE));
		}
		if ((i & HAS(MT_PRIORITY)) != 0)
			memcpy(ehlo.policy, "MIXER", sizeof("MIXER"));
		if ((i & HAS(NO_SOLICITING)) != 0)
			memcpy(ehlo.solicitation, "net.example:ADV,b",
			       sizeof("net.example:ADV,b"));
		if ((i & HAS(AUTH)) != 0)
			memcpy(ehlo.mechanisms, "LOGIN", sizeof("LOGIN"));
		buf_reset(&buf);
		assert_true(ehlo_format(&ehlo, SPAN_LIT("mx"), &buf));
		if (!is_said) /* RFC 3030 3 */
			ehlo.extensions &= ~HAS(BINARYMIME);
		assert_ehlo(parse(buf_span(&buf)), ehlo);
	}
	buf_fini(&buf);
}

static const struct {
	unsigned extensions;
	bool is_rcpt;
	const char *keyword;
	bool has;
} parameters[] = {
	{ HAS(SIZE), false, "SIZE", true },
	{ HAS(SIZE), false, "size", true },
	{ HAS(SIZE), true, "SIZE", false },
	{ 0, false, "SIZE", false },
	{ HAS(8BITMIME), false, "BODY", true },
	{ HAS(8BITMIME), false, "8BITMIME", false },
	{ HAS(SMTPUTF8), false, "SMTPUTF8", true },
	{ HAS(DSN), false, "RET", true },
	{ HAS(DSN), false, "Envid", true },
	{ HAS(DSN), false, "RET ENVID", false },
	{ HAS(DSN), false, "RE", false },
	{ HAS(DSN), false, "NOTIFY", false },
	{ HAS(DSN), true, "NOTIFY", true },
	{ HAS(DSN), true, "ORCPT", true },
	{ HAS(DSN), true, "RET", false },
	{ ~HAS(DSN), true, "NOTIFY", false },
	{ HAS(DELIVERBY), false, "BY", true },
	{ HAS(FUTURERELEASE), false, "HOLDFOR", true },
	{ HAS(FUTURERELEASE), false, "HOLDUNTIL", true },
	{ HAS(MT_PRIORITY), false, "mt-priority", true },
	{ HAS(NO_SOLICITING), false, "SOLICIT", true },
	{ HAS(REQUIRETLS), false, "REQUIRETLS", true },
	{ ~0u, true, "REQUIRETLS", false },
	{ HAS(AUTH), false, "AUTH", true },
	{ ~HAS(AUTH), false, "AUTH", false },
	{ ~0u, true, "AUTH", false },
	{ ~0u, false, "", false },
};

static void
parameters_belong_to_what_is_offered(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(parameters); i++)
		assert_int_equal(extension_has_parameter(
					 parameters[i].extensions,
					 parameters[i].is_rcpt,
					 span_cstr(parameters[i].keyword)),
				 parameters[i].has);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keywords_are_read),
		cmocka_unit_test(what_stands_behind_a_keyword_is_read),
		cmocka_unit_test(what_is_stripped_is_not_read),
		cmocka_unit_test(limits_are_the_tighter_ones),
		cmocka_unit_test(what_is_offered_in_front_of_a_backend),
		cmocka_unit_test(size_is_the_smaller_limit),
		cmocka_unit_test(an_intersection_is_what_both_offer),
		cmocka_unit_test(an_intersection_has_the_tighter_values),
		cmocka_unit_test(the_reply_is_written),
		cmocka_unit_test(parse_undoes_format),
		cmocka_unit_test(parameters_belong_to_what_is_offered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
