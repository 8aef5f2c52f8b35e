/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whatever octets a sender puts where we write what he said, the field is read
 * by RFC 8601's grammar as exactly what was meant: these methods with these
 * results, these properties with these values, in this order, and no more.
 */
#include "dmarc/authres.h"
#include "tests/unit/authres_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROUNDS 40000
#define VALUE_MAX 120

/* What a sender chooses. */
struct said {
	struct span helo, local, domain;
	struct span d, i, s, a, b;
	struct span from;
};

static struct buf field;
static struct authres authres;

static int
set_up(void **state)
{
	(void)state;
	buf_init(&field, 100000);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	buf_fini(&field);
	return 0;
}

/* --- what is meant ----------------------------------------------------------
 */

/* An octet that no text has is a question mark: controls, C1 as well, and all
 * that is not ASCII where it is not UTF-8. */
static void
add_shown(struct buf *shown, struct span value)
{
	bool is_utf8 = address_is_utf8(value);

	for (size_t k = 0; k < value.n; k++) {
		uint8_t c = value.p[k];

		if (is_utf8 && c == 0xc2 && value.p[k + 1] < 0xa0) {
			c = '?';
			k++;
		}
		if (c < ' ' || c == 127 || (c > 127 && !is_utf8))
			c = '?';
		buf_append_octet(shown, c);
	}
}

static size_t next_method, next_property;

static void
meant_method(const char *method, const char *result)
{
	const struct authres_method *last = &authres.method[next_method];

	if (next_method > 0)
		assert_int_equal(last[-1].count, next_property);
	assert_true(next_method < authres.count);
	assert_true(authres_is(&last->method, method));
	assert_true(authres_is(&last->result, result));
	next_method++;
	next_property = 0;
}

static void
meant_property(const char *name, struct span local, struct span at,
	       struct span domain)
{
	const struct authres_method *method = &authres.method[next_method - 1];
	const struct authres_property *found = &method->property[next_property];
	struct buf shown;

	if (local.n + at.n + domain.n == 0)
		return;
	buf_init(&shown, 4 * VALUE_MAX);
	add_shown(&shown, local);
	buf_append(&shown, at);
	add_shown(&shown, domain);
	if (next_property == method->count || !authres_is(&found->name, name) ||
	    !span_equal(span_make(found->value.octets, found->value.n),
			buf_span(&shown)))
		fail_msg("%s in %.*s", name, (int)field.n, field.p);
	next_property++;
	buf_fini(&shown);
}

static void
meant_value(const char *name, struct span value)
{
	meant_property(name, value, SPAN_NONE, SPAN_NONE);
}

/* i= is cut at its last "@". */
static void
meant_identity(struct span identity)
{
	size_t at = identity.n;

	while (at > 0 && identity.p[at - 1] != '@')
		at--;
	if (at == 0)
		meant_value("header.i", identity);
	else
		meant_property("header.i", span_first(identity, at - 1),
			       SPAN_LIT("@"), span_after(identity, at));
}

static void
check_written(const struct said *said, bool is_null)
{
	if (!authres_parse(buf_span(&field), &authres))
		fail_msg("%.*s", (int)field.n, field.p);
	assert_true(authres_is(&authres.id, "gate.example"));
	next_method = next_property = 0;
	meant_method("spf", "softfail");
	meant_value("reason", SPAN_LIT("why; not"));
	if (is_null)
		meant_value("smtp.helo", said->helo);
	else if (said->domain.n > 0)
		meant_property("smtp.mailfrom", said->local, SPAN_LIT("@"),
			       said->domain);
	meant_method("dkim", "pass");
	meant_value("header.d", said->d);
	meant_identity(said->i);
	meant_value("header.s", said->s);
	meant_value("header.a", said->a);
	meant_value("header.b", said->b);
	meant_method("dmarc", "fail");
	meant_value("policy.dmarc", SPAN_LIT("reject"));
	meant_value("header.from", said->from);
	assert_int_equal(authres.count, next_method);
	assert_int_equal(authres.method[next_method - 1].count, next_property);
}

static void
check(const struct said *said, bool is_null)
{
	struct dkim_signature signature = { .result = DKIM_PASS,
					    .domain = said->d,
					    .identity = said->i,
					    .selector = said->s,
					    .algorithm = said->a,
					    .b_start = said->b };
	struct verdict verdict = { .authors = 1,
				   .dkim = &signature,
				   .dkim_count = 1,
				   .result = DMARC_FAIL };
	struct spf_facts facts = { .is_null = is_null,
				   .helo = said->helo,
				   .local = said->local,
				   .domain = said->domain };

	verdict.spf.result = SPF_SOFTFAIL;
	verdict.spf.reason = "why; not";
	verdict.author[0].domain = said->from;
	verdict.author[0].discovered = DISCOVERY_FOUND;
	verdict.author[0].effective.is_usable = true;
	verdict.author[0].effective.applied = POLICY_REJECT;
	buf_reset(&field);
	assert_true(authres_format(&verdict, &facts, SPAN_LIT("gate.example"),
				   &field));
	check_written(said, is_null);
}

/* --- what a sender may write ------------------------------------------------
 */

/* A few words that mean something to some reader of the field. */
static const char *const words[] = {
	"a",
	"alice",
	"a.example",
	"victim.example",
	"@",
	"@",
	"\"",
	"\\",
	";",
	";",
	"=",
	"(",
	")",
	".",
	"..",
	"-",
	" ",
	"\t",
	"\r\n",
	"\r\n ",
	"\n",
	"\r",
	"dmarc=pass",
	"; dmarc=pass",
	"reason=",
	"header.d=",
	" header.from=",
	"none",
	"/1",
	"/",
	"<",
	">",
	"[",
	"]",
	":",
	",",
	"?",
	"'",
	"=?utf-8?q?=3B?=",
	"\x7f",
	"\xc2\x85",
	"\xc3\xbc",
	"\xff",
	"\xe2\x80\xae",
	"\x01",
	"gate.example;",
};

static struct span
make_up(uint8_t octets[VALUE_MAX])
{
	size_t n = 0;

	for (long parts = random() % 7; parts > 0; parts--) {
		const char *word = words[(size_t)random() %
					 (sizeof(words) / sizeof(words[0]))];
		size_t length = strlen(word);

		if (random() % 4 == 0) {
			octets[n++] = (uint8_t)random();
			continue;
		}
		assert_true(n + length < VALUE_MAX);
		memcpy(octets + n, word, length);
		n += length;
	}
	return span_make(octets, n);
}

static void
t1_any_octets_anywhere(void **state)
{
	uint8_t octets[9][VALUE_MAX];

	(void)state;
	srandom(8601);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct said said = {
			.helo = make_up(octets[0]),
			.local = make_up(octets[1]),
			.domain = make_up(octets[2]),
			.d = make_up(octets[3]),
			.i = make_up(octets[4]),
			.s = make_up(octets[5]),
			.a = make_up(octets[6]),
			.b = make_up(octets[7]),
			.from = make_up(octets[8]),
		};

		check(&said, i % 3 == 0);
	}
	print_message("#: Authentication-Results: %u fields read back as "
		      "meant\n",
		      ROUNDS);
}

/* Each octet alone, and between letters, in each place. */
static void
t2_each_octet_in_each_place(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		uint8_t octets[3] = { 'a', (uint8_t)c, 'b' };
		struct span alone = span_make(octets + 1, 1);
		struct span within = span_make(octets, 3);
		struct said one = { alone, alone, alone, alone, alone,
				    alone, alone, alone, alone };
		struct said three = { within, within, within, within, within,
				      within, within, within, within };

		check(&one, false);
		check(&one, true);
		check(&three, false);
		check(&three, true);
	}
}

static bool
is_read(const char *behind_the_colon)
{
	buf_reset(&field);
	buf_append(&field, SPAN_LIT("Authentication-Results:"));
	buf_append(&field, span_cstr(behind_the_colon));
	return authres_parse(buf_span(&field), &authres);
}

/* The parser is no rubber stamp. */
static void
t3_what_is_no_field(void **state)
{
	static const char *const bad[] = {
		" g.example\r\n",
		" g.example;\r\n",
		" g.example; none",
		" g.example; spf\r\n",
		" g.example; spf=pass a\r\n",
		" g.example; spf=pass a.b\r\n",
		" g.example; spf=pass a.b=c/d\r\n",
		" g.example; spf=pass a.b=\"c\r\n",
		" g.example; spf=pass a.b=c@d\r\n",
		" g.example; spf=pass a.b=@d..e\r\n",
		" g.example; spf=pass a.b=\xc3\xbc\r\n",
		" g.example; spf=pass (a.b=c\r\n",
		" g.example; spf=pass\r\nx: y\r\n",
		" g.example; spf=pass a.b=c reason=d\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (is_read(bad[i]))
			fail_msg("%s", bad[i]);
	assert_true(is_read(" g.example; none\r\n"));
	assert_true(is_read("g.example;spf=pass a.b=c@d.e\r\n"));
	assert_true(is_read(" (x) \"g.example\"\r\n\t;\r\n\tspf = pass (y;z)"
			    " reason=\"\\\"\" a . b = \"c;d\"; x=y\r\n"));
	assert_int_equal(authres.count, 2);
	assert_true(authres_is(&authres.method[0].property[0].value, "\""));
	assert_true(authres_is(&authres.method[0].property[1].name, "a.b"));
	assert_true(authres_is(&authres.method[0].property[1].value, "c;d"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_any_octets_anywhere),
		cmocka_unit_test(t2_each_octet_in_each_place),
		cmocka_unit_test(t3_what_is_no_field),
	};

	return cmocka_run_group_tests_name("authres octets", tests, set_up,
					   tear_down);
}
