/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/extension.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define HAS(name) EXTENSION_BIT(EXTENSION_##name)

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
}

static const struct {
	struct span wire;
	struct ehlo ehlo;
} replies[] = {
	{ SPAN_LIT("250 mx.example\r\n"), { 0, 0, 0 } },
	/* The first line is a greeting, whatever it says. */
	{ SPAN_LIT("250 PIPELINING\r\n"), { 0, 0, 0 } },
	{ SPAN_LIT("250-PIPELINING\r\n250 DSN\r\n"), { HAS(DSN), 0, 0 } },
	{ SPAN_LIT("250-mx\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n"
		   "250-VRFY\r\n250-ETRN\r\n250-STARTTLS\r\n"
		   "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n"
		   "250-SMTPUTF8\r\n250 CHUNKING\r\n"),
	  { HAS(PIPELINING) | HAS(SIZE) | HAS(ENHANCEDSTATUSCODES) |
		    HAS(8BITMIME) | HAS(DSN) | HAS(SMTPUTF8) | HAS(CHUNKING) |
		    HAS(STARTTLS),
	    10240000, 0 } },
	{ SPAN_LIT("250-mx\r\n250-pipelining\r\n250 8BitMime\r\n"),
	  { HAS(PIPELINING) | HAS(8BITMIME), 0, 0 } },
	{ SPAN_LIT("250-mx\r\n250 \t SIZE \t 7 \r\n"), { HAS(SIZE), 7, 0 } },
	/* RFC 3030 3: not the one without the other. */
	{ SPAN_LIT("250-mx\r\n250-BINARYMIME\r\n250 CHUNKING\r\n"),
	  { HAS(BINARYMIME) | HAS(CHUNKING), 0, 0 } },
	{ SPAN_LIT("250-mx\r\n250 BINARYMIME\r\n"), { 0, 0, 0 } },
	{ SPAN_LIT("250-mx\r\n250 SIZE\r\n"), { HAS(SIZE), 0, 0 } },
	{ SPAN_LIT("250-mx\r\n250 SIZE 0\r\n"), { HAS(SIZE), 0, 0 } },
	{ SPAN_LIT("250-mx\r\n250 SIZE 18446744073709551615\r\n"),
	  { HAS(SIZE), UINT64_MAX, 0 } },
	{ SPAN_LIT("250-mx\r\n250 SIZE 18446744073709551616\r\n"),
	  { 0, 0, 0 } },
	{ SPAN_LIT("250-mx\r\n250 SIZE ten\r\n"), { 0, 0, 0 } },
	{ SPAN_LIT("250-mx\r\n250 SIZE -1\r\n"), { 0, 0, 0 } },
	{ SPAN_LIT("250-mx\r\n250 SIZE 1 2\r\n"), { 0, 0, 0 } },
	{ SPAN_LIT("250-mx\r\n250 SIZE=1\r\n"), { 0, 0, 0 } },
	{ SPAN_LIT("250-mx\r\n250-SIZE 5\r\n250 SIZE x\r\n"),
	  { HAS(SIZE), 5, 0 } },
	/* RFC 6531 3.1: what stands behind it is ignored. */
	{ SPAN_LIT("250-mx\r\n250 SMTPUTF8 new\r\n"), { HAS(SMTPUTF8), 0, 0 } },
	{ SPAN_LIT("250-mx\r\n250-\r\n250-DSNX\r\n250 DS\r\n"), { 0, 0, 0 } },
	{ SPAN_LIT("250-mx\r\n250 XCLIENT NAME addr  PORT LATER LOGIN\r\n"),
	  { HAS(XCLIENT), 0,
	    XCLIENT_NAME | XCLIENT_ADDR | XCLIENT_PORT | XCLIENT_LOGIN } },
	{ SPAN_LIT("250-mx\r\n250 XCLIENT\r\n"), { HAS(XCLIENT), 0, 0 } },
	{ SPAN_LIT("250-mx\r\n250 XCLIENT NAMES DESTADDR\r\n"),
	  { HAS(XCLIENT), 0, XCLIENT_DESTADDR } },
	{ SPAN_LIT("550-mx\r\n550 PIPELINING\r\n"), { 0, 0, 0 } },
	{ SPAN_LIT("220-mx\r\n220 PIPELINING\r\n"), { 0, 0, 0 } },
};

static void
keywords_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(replies); i++)
		assert_ehlo(parse(replies[i].wire), replies[i].ehlo);
}

static void
what_is_offered_in_front_of_a_backend(void **state)
{
	const unsigned own = HAS(PIPELINING) | HAS(SIZE) | HAS(CHUNKING);
	const struct ehlo nothing = { 0, 0, 0 };
	const struct ehlo all = { EXTENSION_BIT(EXTENSION_COUNT) - 1, 0,
				  XCLIENT_NAME };

	(void)state;
	assert_ehlo(ehlo_offer(&nothing, 0, 0), (struct ehlo){ own, 0, 0 });
	/* What the gate needs for itself is never offered. */
	assert_ehlo(ehlo_offer(&all, 0, 0),
		    (struct ehlo){ own | HAS(8BITMIME) | HAS(BINARYMIME) |
					   HAS(ENHANCEDSTATUSCODES) |
					   HAS(SMTPUTF8) | HAS(DSN),
				   0, 0 });
	assert_ehlo(ehlo_offer(&(struct ehlo){ HAS(8BITMIME), 0, 0 }, 0, 0),
		    (struct ehlo){ own | HAS(8BITMIME), 0, 0 });
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
		struct ehlo theirs = { HAS(SIZE), sizes[i].theirs, 0 };
		struct ehlo offered =
			ehlo_offer(&theirs, sizes[i].ours, sizes[i].room);

		assert_int_equal(offered.size_max, sizes[i].offered);
	}
}

static void
an_intersection_is_what_both_offer(void **state)
{
	const struct ehlo a = { HAS(SIZE) | HAS(DSN) | HAS(XCLIENT), 100,
				XCLIENT_NAME | XCLIENT_ADDR };
	const struct ehlo b = { HAS(DSN) | HAS(8BITMIME) | HAS(XCLIENT), 0,
				XCLIENT_ADDR | XCLIENT_PORT };
	const struct ehlo c = { HAS(SIZE), 70, 0 };
	const struct ehlo ab = { HAS(DSN) | HAS(XCLIENT), 100, XCLIENT_ADDR };

	(void)state;
	assert_ehlo(ehlo_intersect(&a, &b), ab);
	assert_ehlo(ehlo_intersect(&b, &a), ab);
	assert_ehlo(ehlo_intersect(&a, &a), a);
	assert_ehlo(ehlo_intersect(&a, &c), (struct ehlo){ HAS(SIZE), 70, 0 });
	assert_ehlo(ehlo_intersect(&c, &a), (struct ehlo){ HAS(SIZE), 70, 0 });
	assert_ehlo(ehlo_intersect(&b, &c), (struct ehlo){ 0, 70, 0 });
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
	assert_format((struct ehlo){ 0, 0, 0 },
		      "250 mx.example greets you\r\n");
	assert_format((struct ehlo){ HAS(SIZE), 0, 0 },
		      "250-mx.example greets you\r\n250 SIZE 0\r\n");
	assert_format((struct ehlo){ HAS(DSN) | HAS(SIZE) | HAS(PIPELINING),
				     1000, XCLIENT_NAME },
		      "250-mx.example greets you\r\n250-PIPELINING\r\n"
		      "250-SIZE 1000\r\n250 DSN\r\n");
	assert_format((struct ehlo){ HAS(XCLIENT), 0,
				     XCLIENT_NAME | XCLIENT_DESTPORT },
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
		struct ehlo ehlo = { i, 0, 0 };
		bool is_said =
			(i & HAS(BINARYMIME)) == 0 || (i & HAS(CHUNKING)) != 0;

		if ((i & HAS(SIZE)) != 0)
			ehlo.size_max = UINT64_MAX - i;
		if ((i & HAS(XCLIENT)) != 0)
			ehlo.xclient = attributes;
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
	{ ~0u, false, "AUTH", false },
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
		cmocka_unit_test(what_is_offered_in_front_of_a_backend),
		cmocka_unit_test(size_is_the_smaller_limit),
		cmocka_unit_test(an_intersection_is_what_both_offer),
		cmocka_unit_test(the_reply_is_written),
		cmocka_unit_test(parse_undoes_format),
		cmocka_unit_test(parameters_belong_to_what_is_offered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
