/* SPDX-License-Identifier: BSD-2-Clause */
/* spf_classes: every way in which the two SPF engines are known to differ. */
#include "tests/differential/spf_classes.h"

#include "smtp/address.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define VOIDS "more than 2 DNS look-ups without a result"
#define TERMS "more than 10 terms that cause DNS look-ups"

static bool
says(const struct spf_opinions *opinions, size_t engine, const char *reason)
{
	return strcmp(opinions->outcome[engine].reason, reason) == 0;
}

/* --- what stands in the records ----------------------------------------- */

/* The next macro of a text, "%{…}": where it begins, or NULL. */
static const char *
next_macro(const char *text)
{
	while ((text = strchr(text, '%')) != NULL) {
		if (text[1] == '{')
			return text;
		text += text[1] == '\0' ? 1 : 2;
	}
	return NULL;
}

/* Whether any record has a macro of one of these letters. */
static bool
has_macro(const struct spf_case *spf, const char *letters)
{
	for (size_t i = 0; i < spf->count; i++) {
		const char *at = spf->rows[i].type == DNS_TXT &&
						 spf->rows[i].value != NULL
					 ? spf->rows[i].value
					 : "";

		for (; (at = next_macro(at)) != NULL; at += 2)
			if (at[2] != '\0' &&
			    strchr(letters, at[2] | ' ') != NULL)
				return true;
	}
	return false;
}

static size_t
count_parts(const char *text, const char *delimiters)
{
	size_t parts = 1;

	for (; *text != '\0'; text++)
		parts += strchr(delimiters, *text) != NULL;
	return parts;
}

/* %{p}, as far as the rows tell. */
static const char *
client_name(const struct spf_case *spf)
{
	for (size_t i = 0; i < spf->count; i++)
		if (spf->rows[i].type == DNS_PTR && spf->rows[i].value != NULL)
			return spf->rows[i].value;
	return "unknown";
}

/* Whether a macro asks for as many parts as there are, or more. `at` stands
 * at its "%{". */
static bool
asks_for_all(const struct spf_case *spf, const char *at, const char *domain)
{
	char delimiters[16] = "";
	const char *value = domain;
	char *end;
	unsigned long digits = strtoul(at + 3, &end, 10);
	size_t n;

	if ((at[2] | ' ') == 'l')
		value = spf->local;
	if ((at[2] | ' ') == 'p')
		value = client_name(spf);
	if (end == at + 3 || strchr("ldop", at[2] | ' ') == NULL)
		return false;
	end += *end == 'r';
	n = strcspn(end, "}");
	if (n > 0 && n < sizeof(delimiters))
		memcpy(delimiters, end, n);
	return digits >= count_parts(value, n > 0 ? delimiters : ".");
}

static bool
has_macro_for_all(const struct spf_case *spf)
{
	for (size_t i = 0; i < spf->count; i++) {
		const struct dns_row *row = &spf->rows[i];
		const char *at = row->value;

		if (row->type != DNS_TXT || row->value == NULL)
			continue;
		for (; (at = next_macro(at)) != NULL; at += 2)
			if (asks_for_all(spf, at, row->name))
				return true;
	}
	return false;
}

static size_t
count_rows(const struct spf_case *spf, const char *name, enum dns_type type)
{
	size_t count = 0;

	for (size_t i = 0; i < spf->count; i++)
		count += spf->rows[i].type == type &&
			 strcasecmp(spf->rows[i].name, name) == 0;
	return count;
}

static bool
is_dead_host(const struct spf_case *spf, const char *name)
{
	for (size_t i = 0; i < spf->count; i++)
		if (spf->rows[i].value == NULL &&
		    strcmp(spf->rows[i].name, name) == 0)
			return true;
	return false;
}

/* --- the predicates ----------------------------------------------------- */

static bool
is_failing_exchange(const struct spf_case *spf,
		    const struct spf_opinions *opinions)
{
	if (opinions->outcome[1].result != SPF_TEMPERROR)
		return false;
	for (size_t i = 0; i < spf->count; i++) {
		const struct dns_row *row = &spf->rows[i];

		if (row->type == DNS_MX && row->value != NULL &&
		    strchr(row->value, ' ') != NULL &&
		    is_dead_host(spf, strchr(row->value, ' ') + 1) &&
		    count_rows(spf, row->name, DNS_MX) > 1)
			return true;
	}
	return false;
}

static bool
is_crowd_of_exchanges(const struct spf_case *spf,
		      const struct spf_opinions *opinions)
{
	if (!says(opinions, 0, "an mx with more than 10 names"))
		return false;
	for (size_t i = 0; i < spf->count; i++)
		if (count_rows(spf, spf->rows[i].name, DNS_MX) > 10)
			return true;
	return false;
}

static bool
is_all_parts(const struct spf_case *spf, const struct spf_opinions *opinions)
{
	(void)opinions;
	return has_macro_for_all(spf);
}

static bool
is_void_of_p(const struct spf_case *spf, const struct spf_opinions *opinions)
{
	return says(opinions, 1, VOIDS) && has_macro(spf, "p");
}

static bool
is_term_of_p(const struct spf_case *spf, const struct spf_opinions *opinions)
{
	return says(opinions, 1, TERMS) && has_macro(spf, "p");
}

/* %{p} of a client that has several names. */
static bool
is_choice_of_p(const struct spf_case *spf, const struct spf_opinions *opinions)
{
	(void)opinions;
	for (size_t i = 0; i < spf->count; i++)
		if (spf->rows[i].type == DNS_PTR &&
		    count_rows(spf, spf->rows[i].name, DNS_PTR) > 1)
			return has_macro(spf, "p");
	return false;
}

static bool
is_sender_with_space(const struct spf_case *spf,
		     const struct spf_opinions *opinions)
{
	(void)opinions;
	return strchr(spf->local, ' ') != NULL && has_macro(spf, "ls");
}

/* A target with an empty label, with octets that no name has, or with a macro,
 * which may put such in. */
static bool
is_no_name(const char *target)
{
	size_t n = strcspn(target, " ");

	n -= n > 0 && target[n - 1] == '.';
	return !address_is_domain(span_make(target, n));
}

static bool
is_ptr_of_no_name(const struct spf_case *spf,
		  const struct spf_opinions *opinions)
{
	if (!says(opinions, 1, VOIDS))
		return false;
	for (size_t i = 0; i < spf->count; i++) {
		const char *at = spf->rows[i].type == DNS_TXT &&
						 spf->rows[i].value != NULL
					 ? spf->rows[i].value
					 : "";

		while ((at = strcasestr(at, "ptr:")) != NULL) {
			at += strlen("ptr:");
			if (is_no_name(at))
				return true;
		}
	}
	return false;
}

static bool
is_too_large(const struct spf_case *spf, const struct spf_opinions *opinions)
{
	(void)spf;
	return says(opinions, 1, "an SPF record is too much for the engine");
}

/* --- the table ---------------------------------------------------------- */

/* clang-format off */
const struct spf_class spf_classes[] = {
	{ "mx-failing-exchange", "RFC 7208 5.4", RIGHT_EITHER,
	  "an exchange whose address cannot be looked up stands before one "
	  "that matches: native looks at all of them, as exchanges of one "
	  "preference come in any order; libspf2 ends at the first failure",
	  is_failing_exchange, "user", "v=spf1 mx:m.test",
	  { { "m.test", DNS_MX, "10 dead.test", 0 },
	    { "m.test", DNS_MX, "20 host.test", 0 },
	    { "dead.test", DNS_A, NULL, 0 },
	    { "host.test", DNS_A, "192.0.2.1", 0 } },
	  SPF_PASS, SPF_TEMPERROR },
	{ "mx-more-than-ten", "RFC 7208 4.6.4", RIGHT_NATIVE,
	  "an mx with more than 10 names is a permerror, also where one of the "
	  "first 10 matches",
	  is_crowd_of_exchanges, "user", "v=spf1 mx:m.test",
	  { { "m.test", DNS_MX, "1 a.test", 0 },
	    { "m.test", DNS_MX, "2 b.test", 0 },
	    { "m.test", DNS_MX, "3 c.test", 0 },
	    { "m.test", DNS_MX, "4 d.test", 0 },
	    { "m.test", DNS_MX, "5 e.test", 0 },
	    { "m.test", DNS_MX, "6 f.test", 0 },
	    { "m.test", DNS_MX, "7 g.test", 0 },
	    { "m.test", DNS_MX, "8 h.test", 0 },
	    { "m.test", DNS_MX, "9 i.test", 0 },
	    { "m.test", DNS_MX, "10 j.test", 0 },
	    { "m.test", DNS_MX, "11 k.test", 0 },
	    { "a.test", DNS_A, "192.0.2.1", 0 } },
	  SPF_PERMERROR, SPF_PASS },
	{ "macro-all-parts", "RFC 7208 7.3", RIGHT_NATIVE,
	  "a macro that asks for as many parts as there are, or more, is all "
	  "of them; libspf2 leaves it empty",
	  is_all_parts, "user", "v=spf1 exists:%{d2}",
	  { { "s.test", DNS_A, "127.0.0.2", 0 } },
	  SPF_PASS, SPF_NEUTRAL },
	{ "sender-with-space", "RFC 7208 7.3", RIGHT_NATIVE,
	  "a quoted local part may have a space, and then names nothing that "
	  "exists: to include that is a permerror; libspf2 cannot take such a "
	  "sender, and the gate has its term match nothing",
	  is_sender_with_space, "x y", "v=spf1 include:%{l}.s.test",
	  { { NULL, 0, NULL, 0 } },
	  SPF_PERMERROR, SPF_NEUTRAL },
	{ "void-of-p", "RFC 7208 4.6.4", RIGHT_EITHER,
	  "the client has no name, and a macro asks for it: libspf2 counts "
	  "that as a look-up without a result; native counts those that terms "
	  "are about",
	  is_void_of_p, "user", "v=spf1 a a:%{p}.test",
	  { { NULL, 0, NULL, 0 } },
	  SPF_NEUTRAL, SPF_PERMERROR },
	{ "term-of-p", "RFC 7208 4.6.4", RIGHT_NATIVE,
	  "what a macro looks up is no term, and the limit is one of terms",
	  is_term_of_p, "user",
	  "v=spf1 a:%{p}.test a:h.test a:h.test a:h.test a:h.test a:h.test "
	  "a:h.test a:h.test a:h.test a:h.test",
	  { { "h.test", DNS_A, "192.0.2.9", 0 },
	    { "unknown.test", DNS_A, "192.0.2.9", 0 },
	    { "1.2.0.192.in-addr.arpa", DNS_PTR, "h.test", 0 } },
	  SPF_NEUTRAL, SPF_PERMERROR },
	{ "choice-of-p", "RFC 7208 7.3", RIGHT_NATIVE,
	  "of several names of the client the domain itself should be taken; "
	  "libspf2 takes the first",
	  is_choice_of_p, "user", "v=spf1 exists:%{p}.x.test",
	  { { "1.2.0.192.in-addr.arpa", DNS_PTR, "h.test", 0 },
	    { "1.2.0.192.in-addr.arpa", DNS_PTR, "s.test", 0 },
	    { "h.test", DNS_A, "192.0.2.1", 0 },
	    { "s.test", DNS_A, "192.0.2.1", 0 },
	    { "s.test.x.test", DNS_A, "127.0.0.2", 0 } },
	  SPF_PASS, SPF_NEUTRAL },
	{ "ptr-of-no-name", "RFC 7208 4.8", RIGHT_EITHER,
	  "where the target of a ptr is no name, it matches nothing: native "
	  "does not ask for the names of the client then, libspf2 does, and "
	  "counts that they are none",
	  is_ptr_of_no_name, "a..b", "v=spf1 a mx ptr:%{l}.test",
	  { { NULL, 0, NULL, 0 } },
	  SPF_NEUTRAL, SPF_PERMERROR },
	{ "too-large", "RFC 7208 3.4", RIGHT_NATIVE,
	  "libspf2 has room for 511 octets of a compiled record",
	  is_too_large, "user",
	  "v=spf1 a:h.test "
#define LONG "a:a-name-of-quite-some-length-that-is-not-there-at-all.s.test "
	  LONG LONG LONG LONG LONG LONG LONG LONG LONG,
	  { { "h.test", DNS_A, "192.0.2.1", 0 } },
	  SPF_PASS, SPF_PERMERROR },
};
/* clang-format on */

const size_t spf_class_count = sizeof(spf_classes) / sizeof(spf_classes[0]);

void
spf_class_sample(const struct spf_class *class, struct spf_case *sample)
{
	*sample = (struct spf_case){ .client = "192.0.2.1",
				     .local = class->local,
				     .domain = "s.test",
				     .helo = "mail.s.test" };
	sample->rows[sample->count++] =
		(struct dns_row){ "s.test", DNS_TXT, class->record, 0 };
	for (const struct dns_row *row = class->rows; row->name != NULL; row++)
		sample->rows[sample->count++] = *row;
}
