/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * authres: the input is the body of somebody's Authentication-Results, and,
 * cut at each octet 31, what a sender chose: addresses, names, signature tags.
 * What claims our id is stripped, whatever follows it; and what we write has
 * the shape we gave it, whatever values go into it: our methods, our property
 * names, in order, on lines that are not too long, and it is known for ours.
 */
#include "dmarc/authres.h"

#include "tests/fuzz/pieces.h"
#include "tests/unit/authres_parse.h"

#define ROOM ((size_t)1024 * 1024)
#define CUT 31
#define OUR_ID SPAN_LIT("xn--mx-wia.example")

static bool
is_forged(struct span body, size_t ids)
{
	const struct span our_id = OUR_ID;
	struct field field = { .raw = body,
			       .name = SPAN_LIT("Authentication-Results"),
			       .body = body };
	bool forged = authres_is_forged(&field, &our_id, ids);

	assert(forged == authres_is_forged(&field, &our_id, ids));
	return forged;
}

static void
check_claim(struct span claim, struct span text)
{
	uint8_t *octets = malloc(claim.n + text.n);

	assert(octets != NULL);
	memcpy(octets, claim.p, claim.n);
	if (text.n > 0)
		memcpy(octets + claim.n, text.p, text.n);
	assert(is_forged(span_make(octets, claim.n + text.n), 1));
	free(octets);
}

static void
check_reading(struct span text)
{
	/* an id of ours can only add to what is stripped */
	assert(is_forged(text, 1) || !is_forged(text, 0));
	check_claim(SPAN_LIT(" xn--mx-wia.example;"), text);
	check_claim(SPAN_LIT(" \"XN--MX-WIA.example\" 1;"), text);
	check_claim(SPAN_LIT("(c(c))\r\n mxä.Example.\r\n\t(;);"), text);
}

static struct span
next_value(struct span *text)
{
	size_t end = span_find(*text, CUT);
	struct span value = span_first(*text, end);

	*text = span_after(*text, end < text->n ? end + 1 : end);
	return value;
}

/* Lines end in CR LF, go on with a TAB and are short enough; no other control
 * is anywhere, and all is UTF-8. */
static void
check_lines(struct span field)
{
	size_t column = 0;

	assert(address_is_utf8(field));
	assert(field.n > 2 && field.p[field.n - 1] == '\n');
	for (size_t i = 0; i < field.n; i++) {
		uint8_t c = field.p[i];

		assert(c != 127 &&
		       (c >= ' ' || c == '\r' || c == '\n' || c == '\t'));
		assert((c == '\n') == (i > 0 && field.p[i - 1] == '\r'));
		assert(c != '\r' || i + 1 < field.n);
		assert((c == '\t') == (i > 0 && field.p[i - 1] == '\n'));
		column = c == '\n' ? 0 : column + 1;
		assert(column <= 998);
	}
}

static void
expect(const struct authres_method *method, const char *name,
       const char *result, const char *const properties[])
{
	assert(authres_is(&method->method, name));
	assert(authres_is(&method->result, result));
	/* in order; those without a value, or with one too long, are missing */
	for (size_t i = 0; i < method->count; i++) {
		while (*properties != NULL &&
		       !authres_is(&method->property[i].name, *properties))
			properties++;
		assert(*properties++ != NULL);
	}
}

/* By the grammar: our id, our methods with their results, and properties of
 * our names alone. */
static void
check_grammar(struct span field)
{
	static const char *const of_spf[] = { "smtp.helo", "smtp.mailfrom",
					      NULL };
	static const char *const of_dkim[] = { "header.d", "header.i",
					       "header.s", "header.a",
					       "header.b", NULL };
	static const char *const of_dmarc[] = { "policy.dmarc", "header.from",
						NULL };
	static struct authres authres;

	assert(authres_parse(field, &authres));
	assert(authres_is(&authres.id, "xn--mx-wia.example"));
	assert(authres.count == 3);
	expect(&authres.method[0], "spf", "none", of_spf);
	expect(&authres.method[1], "dkim", "pass", of_dkim);
	expect(&authres.method[2], "dmarc", "pass", of_dmarc);
}

static void
check_writing(unsigned choice, struct span text)
{
	struct dkim_signature signature = { .result = DKIM_PASS };
	struct verdict verdict = { .authors = 1,
				   .dkim = &signature,
				   .dkim_count = 1,
				   .result = DMARC_PASS };
	struct spf_facts facts = { .is_null = (choice & 1) != 0 };
	struct span body;
	struct buf buf;

	facts.helo = next_value(&text);
	facts.local = next_value(&text);
	facts.domain = next_value(&text);
	signature.identity = next_value(&text);
	signature.algorithm = next_value(&text);
	signature.b_start = next_value(&text);
	signature.selector = next_value(&text);
	signature.domain = next_value(&text);
	verdict.author[0].domain = next_value(&text);
	verdict.author[0].discovered = DISCOVERY_FOUND;
	verdict.author[0].effective.is_usable = true;
	verdict.author[0].effective.applied = POLICY_REJECT;

	buf_init(&buf, ROOM);
	assert(authres_format(&verdict, &facts, OUR_ID, &buf));
	check_lines(buf_span(&buf));
	body = buf_span(&buf);
	body = span_after(body, span_find(body, ':') + 1);
	assert(is_forged(body, 1) && !is_forged(body, 0));
	check_grammar(buf_span(&buf));
	buf_fini(&buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	uint8_t *text;
	size_t length = n == 0 ? 0 : n - 1;

	text = exact_copy(span_make(input + (n - length), length));
	check_reading(span_make(text, length));
	check_writing(n == 0 ? 0 : input[0], span_make(text, length));
	free(text);
	return 0;
}
