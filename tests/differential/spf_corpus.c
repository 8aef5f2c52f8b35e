/* SPDX-License-Identifier: BSD-2-Clause */
/* spf_corpus: envelopes and zones by dice. */
#include "tests/differential/spf_corpus.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INCLUDES 8 /* i0.test … */

struct maker {
	struct spf_case *made;
	struct dice dice;
};

/* --- the zone ----------------------------------------------------------- */

static const char *
keep(struct spf_case *made, const char *text, size_t n)
{
	char *at = made->text + made->used;

	assert(made->used + n < sizeof(made->text));
	memcpy(at, text, n);
	at[n] = '\0';
	made->used += n + 1;
	return at;
}

static void
add(struct spf_case *made, const char *name, enum dns_type type,
    const char *value)
{
	assert(made->count < SPF_CASE_ROWS_MAX);
	made->rows[made->count++] = (struct dns_row){ name, type, value, 0 };
}

/* What stands for itself, whatever the records are. */
static const struct dns_row hosts[] = {
	{ "s.test", DNS_A, "192.0.2.9", 0 },
	{ "s.test", DNS_MX, "10 mx.test", 0 },
	{ "host.test", DNS_A, "192.0.2.1", 0 },
	{ "host.test", DNS_AAAA, "2001:db8::1", 0 },
	{ "other.test", DNS_A, "203.0.113.1", 0 },
	{ "unknown.x.test", DNS_A, "203.0.113.7", 0 },
	{ "host.test.x.test", DNS_A, "203.0.113.8", 0 },
	{ "other.test", DNS_AAAA, "2001:db8:ffff::1", 0 },
	{ "mapped.test", DNS_AAAA, "::ffff:192.0.2.1", 0 },
	{ "many.test", DNS_A, "203.0.113.5", 0 },
	{ "many.test", DNS_A, "203.0.113.6", 0 },
	{ "many.test", DNS_A, "192.0.2.7", 0 },
	{ "mx.test", DNS_MX, "10 host.test", 0 },
	{ "mx.test", DNS_MX, "20 other.test", 0 },
	{ "mx.test", DNS_A, "203.0.113.2", 0 },
	{ "null.test", DNS_MX, "0", 0 },
	{ "deadmx.test", DNS_MX, "10 dead.test", 0 },
	{ "deadmx.test", DNS_MX, "20 host.test", 0 },
	{ "voidmx.test", DNS_MX, "10 nothing.test", 0 },
	{ "voidmx.test", DNS_MX, "20 nowhere.test", 0 },
	{ "voidmx.test", DNS_MX, "30 noone.test", 0 },
	{ "badmx.test", DNS_MX, "10 host.test", 0 },
	{ "badmx.test", DNS_MX, "10 dead.test", 0 },
	{ "dead.test", DNS_A, NULL, 0 },
	{ "dead.test", DNS_AAAA, NULL, 0 },
	{ "dead.test", DNS_MX, NULL, 0 },
	{ "dead.test", DNS_TXT, NULL, 0 },
	{ "two.test", DNS_TXT, "v=spf1 -all", 0 },
	{ "two.test", DNS_TXT, "v=spf1 +all", 0 },
	{ "text.test", DNS_TXT, "no SPF record", 0 },
	{ "loop.test", DNS_TXT, "v=spf1 include:loop.test -all", 0 },
	{ "turn.test", DNS_TXT, "v=spf1 redirect=turn.test", 0 },
	{ "why.test", DNS_TXT, "%{i} is not of %{d}", 0 },
	{ "1.2.0.192.in-addr.arpa", DNS_PTR, "host.test", 0 },
	{ "1.2.0.192.in-addr.arpa", DNS_PTR, "liar.test", 0 },
	{ "9.2.0.192.in-addr.arpa", DNS_PTR, "nine.test", 0 },
	{ "9.2.0.192.in-addr.arpa", DNS_PTR, "s.test", 0 },
	{ "nine.test", DNS_A, "192.0.2.9", 0 },
	{ "liar.test", DNS_A, "203.0.113.3", 0 },
	{ "7.2.0.192.in-addr.arpa", DNS_PTR, "many.test", 0 },
	{ "8.2.0.192.in-addr.arpa", DNS_PTR, "dead.test", 0 },
	{ "8.2.0.192.in-addr.arpa", DNS_PTR, "eight.s.test", 0 },
	{ "eight.s.test", DNS_A, "192.0.2.8", 0 },
	{ "99.2.0.192.in-addr.arpa", DNS_PTR, NULL, 0 },
	{ "192.0.2.1.s.test", DNS_A, "127.0.0.2", 0 },
	{ "user.s.test", DNS_A, "127.0.0.2", 0 },
	{ "s.test.x.test", DNS_A, "127.0.0.2", 0 },
	{ "x.test", DNS_AAAA, "2001:db8::2", 0 },
	{ "user.x.test", DNS_TXT, "v=spf1 ip4:192.0.2.0/24 -all", 0 },
};

/* More exchanges and names than RFC 7208 4.6.4 has us look at. */
static void
add_crowds(struct spf_case *made)
{
	for (size_t i = 0; i < 12; i++) {
		char text[40];

		snprintf(text, sizeof(text), "%zu m%zu.test", i,
			 i == 5 ? (size_t)0 : i);
		add(made, "crowd.test", DNS_MX, keep(made, text, strlen(text)));
		if (i < 10)
			add(made, "ten.test", DNS_MX,
			    keep(made, text, strlen(text)));
		add(made, "55.2.0.192.in-addr.arpa", DNS_PTR,
		    keep(made, strchr(text, 'm'), strlen(strchr(text, 'm'))));
	}
	add(made, "m11.test", DNS_A, "192.0.2.55");
	add(made, "m0.test", DNS_A, "192.0.2.1");
	add(made, "m3.test", DNS_A, "203.0.113.9");
}

/* --- records ------------------------------------------------------------ */

static const char *const names[] = {
	"host.test", "other.test",   "mapped.test",  "many.test",  "mx.test",
	"null.test", "deadmx.test",  "voidmx.test",  "crowd.test", "ten.test",
	"dead.test", "nothing.test", "nowhere.test", "s.test",     "badmx.test",
	"HOST.Test", "host.test.",   "x.test",       "noone.test",
};

static const char *const record_names[] = {
	"i0.test",   "i1.test",   "i2.test",   "i3.test",
	"i4.test",   "i5.test",   "i6.test",   "i7.test",
	"two.test",  "text.test", "dead.test", "loop.test",
	"turn.test", "none.test", "I1.TEST.",  "user.x.test",
};

static const char *const macros[] = {
	"%{d}",
	"%{i}.%{d}",
	"%{l}.x.test",
	"%{l}.%{d}",
	"%{s}",
	"%{o}",
	"%{h}",
	"%{p}",
	"%{d}.x.test",
	"%{ir}.%{v}.x.test",
	"%{d1}",
	"%{d2}",
	"%{dr}",
	"%{d1r}.x.test",
	"%{l1r-}.x.test",
	"%{L}.x.test",
	"%{h}.x.test",
	"%{i}._spf.%{d2}",
	"%%.x.test",
	"%_.x.test",
	"%-.x.test",
	"%{p2}.x.test",
	"%{l1r+-}.x.test",
	"%{d99}.x.test",
	"%{D}",
	"%{o1}.test",
	"%{lr.-}.s.test",
	"%{v}.x.test",
	"%{p}.x.test",
	"%{S}.x.test",
	"%{i}.s.test",
	"%{lr}.s.test",
};

static const char *const bad_macros[] = {
	"%{d0}.x.test", "%{c}.x.test",  "%{t}.x.test",
	"%{z}.x.test",  "%{d",          "%.x.test",
	"%{l",          "x.test.%{d}x", "",
	"x..test",      ".x.test",      "%{i}",
	"localhost",    "host.t_st",    "host.123",
};

static const char *const lengths[] = {
	"",        "",      "",    "",    "/24", "/32", "/0",    "//64",
	"/24//64", "//128", "//0", "/16", "/1",  "/31", "/0//0",
};

static const char *const bad_lengths[] = {
	"/33", "/08", "/", "//129", "/24/64", "//", "/-1", "/24//",
};

static const char *const networks[] = {
	"ip4:192.0.2.1",       "ip4:192.0.2.0/24",     "ip4:203.0.113.0/24",
	"ip4:192.0.2.8/31",    "ip4:0.0.0.0/0",        "ip4:192.0.2.1/32",
	"ip6:2001:db8::1",     "ip6:2001:db8::/32",    "ip6:::/0",
	"ip6:2001:db8::1/128", "ip6:::ffff:192.0.2.1", "ip6:::1/64",
	"ip4:198.51.100.7/1",  "ip6:2001:DB8:0::0:1",
};

static const char *const bad_networks[] = {
	"ip4:192.0.2",
	"ip4:192.0.2.256",
	"ip4:192.0.2.1/33",
	"ip4:192.0.2.01",
	"ip4:192.0.2.1/",
	"ip4:",
	"ip6:2001:db8::1/129",
	"ip6:2001:db8:1",
	"ip6:192.0.2.1",
	"ip4:2001:db8::1",
	"ip4",
	"ip4:192.0.2.1/08",
	"ip6:2001:db8::1//64",
	"ip4:192.0.2.1//32",
	"ip6:fe80::1%25lo",
};

/* A text of the good ones, and now and then of the bad. */
#define PICK(maker, good)                                \
	(dice_once_in(&(maker)->dice, 60)                \
		 ? DICE_PICK(&(maker)->dice, bad_##good) \
		 : DICE_PICK(&(maker)->dice, good))

static void
write_text(struct buf *record, const char *text)
{
	buf_append(record, span_cstr(text));
}

static void
write_target(struct maker *maker, struct buf *record)
{
	if (dice_once_in(&maker->dice, 3))
		write_text(record, PICK(maker, macros));
	else
		write_text(record, DICE_PICK(&maker->dice, names));
}

/* a, mx, ptr: with or without a domain, and a prefix length. */
static void
write_host(struct maker *maker, struct buf *record, const char *mechanism)
{
	write_text(record, mechanism);
	if (!dice_once_in(&maker->dice, 4)) {
		buf_append_octet(record, ':');
		write_target(maker, record);
	}
	if (mechanism[0] != 'p' || dice_once_in(&maker->dice, 60))
		write_text(record, PICK(maker, lengths));
}

static void
write_mechanism(struct maker *maker, struct buf *record)
{
	static const char *const qualifiers[] = {
		"", "", "", "+", "-", "~", "?"
	};

	write_text(record, DICE_PICK(&maker->dice, qualifiers));
	switch (dice_below(&maker->dice, 10)) {
	case 0:
	case 1:
		write_host(maker, record, "a");
		return;
	case 2:
	case 3:
		write_host(maker, record, "mx");
		return;
	case 4:
		write_host(maker, record, "ptr");
		return;
	case 5:
		write_text(record, "exists:");
		write_target(maker, record);
		return;
	case 6:
	case 7:
		write_text(record, "include:");
		write_text(record,
			   dice_once_in(&maker->dice, 6)
				   ? PICK(maker, macros)
				   : DICE_PICK(&maker->dice, record_names));
		return;
	case 8:
		if (dice_once_in(&maker->dice, 3)) {
			write_text(record, "all");
			return;
		}
		break;
	default:
		break;
	}
	write_text(record, PICK(maker, networks));
}

static void
write_modifier(struct maker *maker, struct buf *record)
{
	static const char *const others[] = {
		"exp=why.test", "exp=%{d}.x.test",  "moo=cow",
		"x-y=%{d}",     "exp=nothing.test", "a_b.c=",
		"EXP=why.test",
	};
	static const char *const bad_others[] = {
		"redirect=", "exp=", "1x=y", "redirect:i1.test", "moo=%{q}",
	};

	if (!dice_once_in(&maker->dice, 3)) {
		write_text(record, PICK(maker, others));
		return;
	}
	write_text(record, "redirect=");
	write_text(record, dice_once_in(&maker->dice, 5)
				   ? DICE_PICK(&maker->dice, macros)
				   : DICE_PICK(&maker->dice, record_names));
}

/* An octet changed, put in, left out, or made of the other case. */
static void
break_octet(struct maker *maker, struct buf *record)
{
	static const char octets[] = " \t/:=%{}.-+~?0a9_\x80\xff\"\\";
	size_t at = dice_below(&maker->dice, record->n);
	char octet = octets[dice_below(&maker->dice, sizeof(octets) - 1)];
	char *text = (char *)record->p;

	switch (dice_below(&maker->dice, 4)) {
	case 0:
		text[at] = octet;
		return;
	case 1:
		buf_append_octet(record, ' ');
		text = (char *)record->p;
		memmove(text + at + 1, text + at, record->n - at - 1);
		text[at] = octet;
		return;
	case 2:
		memmove(text + at, text + at + 1, record->n - at - 1);
		record->n--;
		return;
	default:
		if ((text[at] >= 'a' && text[at] <= 'z') ||
		    (text[at] >= 'A' && text[at] <= 'Z'))
			text[at] ^= ' ';
		return;
	}
}

static size_t
count_of_terms(struct maker *maker)
{
	if (dice_once_in(&maker->dice, 25))
		return 10 + dice_below(&maker->dice, 4);
	if (dice_once_in(&maker->dice, 200))
		return 40 + dice_below(&maker->dice, 40);
	return dice_below(&maker->dice, 6);
}

/* Terms of a kind that stands for very many. */
static void
write_terms(struct maker *maker, struct buf *record)
{
	size_t terms = count_of_terms(maker);
	bool is_of_names = dice_once_in(&maker->dice, 2);

	for (size_t i = 0; i < terms; i++) {
		write_text(record, dice_once_in(&maker->dice, 40) ? "  " : " ");
		if (dice_once_in(&maker->dice, 8))
			write_modifier(maker, record);
		else if (terms < 40 || is_of_names)
			write_mechanism(maker, record);
		else
			write_text(record, PICK(maker, networks));
	}
	if (!dice_once_in(&maker->dice, 3)) {
		static const char *const ends[] = {
			" -all",
			" ~all",
			" ?all",
			" all",
			" +all",
			" redirect=i1.test",
			" -all exp=why.test",
		};

		write_text(record, DICE_PICK(&maker->dice, ends));
	}
}

/* Up to the limit of look-ups, and to that of an engine's record. */
static void
write_limits(struct maker *maker, struct buf *record)
{
	static const char *const texts[] = {
		"other.test",
		"mx.test",
		("a-name-of-quite-some-length-that-is-"
		 "there-to-fill-up-the-record.s.test"),
		"many.test",
	};
	bool is_one = dice_once_in(&maker->dice, 2);
	const char *text = DICE_PICK(&maker->dice, texts);
	size_t terms = 7 + dice_below(&maker->dice, 4);

	buf_append_octet(record, ' ');
	write_mechanism(maker, record);
	for (size_t i = 0; i < terms; i++) {
		write_text(record, " a:");
		if (dice_once_in(&maker->dice, 4))
			write_text(record, "%{p}.x.test");
		else
			write_text(record,
				   is_one ? text
					  : DICE_PICK(&maker->dice, texts));
	}
	write_text(record, " ~all");
}

static const char *
make_record(struct maker *maker)
{
	struct buf record;
	const char *kept;

	buf_init(&record, 8192);
	write_text(&record,
		   dice_once_in(&maker->dice, 60) ? "V=SPF1" : "v=spf1");
	if (dice_once_in(&maker->dice, 50))
		write_limits(maker, &record);
	else
		write_terms(maker, &record);
	while (dice_once_in(&maker->dice, 30))
		break_octet(maker, &record);
	kept = keep(maker->made, (const char *)record.p, record.n);
	buf_fini(&record);
	return kept;
}

/* --- the envelope ------------------------------------------------------- */

static void
make_envelope(struct maker *maker)
{
	static const char *const clients[] = {
		"192.0.2.1",   "192.0.2.1",        "192.0.2.7", "192.0.2.8",
		"192.0.2.55",  "203.0.113.1",      "192.0.2.9", "192.0.2.99",
		"2001:db8::1", "2001:db8:ffff::1", "127.0.0.1", "::1",
	};
	static const char *const locals[] = {
		"user",
		"user",
		"user",
		"first.last",
		"a-b+c",
		"x y",
		"\xc3\xbcser",
		"",
		"USER",
		"%{d}",
		("very-long-local-part-which-makes-a-label-that-is-longer"
		 "-than-sixty-three-octets"),
	};
	static const char *const helos[] = { "mail.s.test", "host.test",
					     "[192.0.2.1]", "x",
					     "a..b",        "s.test" };

	maker->made->client = DICE_PICK(&maker->dice, clients);
	maker->made->local = DICE_PICK(&maker->dice, locals);
	maker->made->domain =
		dice_once_in(&maker->dice, 30) ? "S.Test" : "s.test";
	maker->made->helo = DICE_PICK(&maker->dice, helos);
}

void
spf_corpus_make(struct spf_case *made, uint64_t seed, uint64_t number)
{
	struct maker maker = { .made = made, .dice = dice_of(seed, number) };

	made->count = made->used = 0;
	made->is_null = false;
	make_envelope(&maker);
	add(made, "s.test", DNS_TXT, make_record(&maker));
	for (size_t i = 0; i < INCLUDES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "i%zu.test", i);
		add(made, keep(made, name, strlen(name)), DNS_TXT,
		    make_record(&maker));
	}
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		made->rows[made->count++] = hosts[i];
	add_crowds(made);
	made->rows[made->count].name = NULL;
}

void
spf_case_facts(const struct spf_case *spf, enum spf_engine engine,
	       struct spf_facts *facts)
{
	bool is_ip;

	*facts = (struct spf_facts){
		.helo = span_cstr(spf->helo),
		.local = span_cstr(spf->local),
		.domain = span_cstr(spf->domain),
		.is_null = spf->is_null,
		.gate = SPAN_LIT("gate.example"),
		.now_s = 1700000000,
		.engine = engine,
	};
	is_ip = ip_parse(span_cstr(spf->client), &facts->client);
	assert(is_ip);
}
