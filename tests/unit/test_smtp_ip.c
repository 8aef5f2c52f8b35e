/* SPDX-License-Identifier: BSD-2-Clause */
#include "smtp/ip.h"

#include "tests/unit/guard.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static bool
parse(const char *text, struct ip *ip)
{
	struct guard guard = guard_copy(span_cstr(text));
	bool is_good = ip_parse(guard.octets, ip);

	guard_free(&guard);
	return is_good;
}

/* An address in any spelling, its family and its one spelling. RFC 5952 4. */
static const struct {
	const char *text;
	enum ip_family family;
	const char *canonical;
} addresses[] = {
	{ "0.0.0.0", IP_V4, "0.0.0.0" },
	{ "192.0.2.10", IP_V4, "192.0.2.10" },
	{ "255.255.255.255", IP_V4, "255.255.255.255" },
	{ "::", IP_V6, "::" },
	{ "::1", IP_V6, "::1" },
	{ "2001:db8::1", IP_V6, "2001:db8::1" },
	{ "2001:0DB8:0:0:0:0:0:1", IP_V6, "2001:db8::1" },
	{ "2001:db8:0:1:1:1:1:1", IP_V6, "2001:db8:0:1:1:1:1:1" },
	{ "2001:0:0:1:0:0:0:1", IP_V6, "2001:0:0:1::1" },
	{ "2001:db8:0:0:1:0:0:1", IP_V6, "2001:db8::1:0:0:1" },
	{ "fe80:aaaa:bbbb:cccc:dddd:eeee:ffff:1111", IP_V6,
	  "fe80:aaaa:bbbb:cccc:dddd:eeee:ffff:1111" },
	{ "64:ff9b::192.0.2.1", IP_V6, "64:ff9b::c000:201" },
	{ "::ffff:192.0.2.10", IP_V4, "192.0.2.10" },
	{ "::FFFF:c000:20a", IP_V4, "192.0.2.10" },
	{ "0:0:0:0:0:ffff:192.0.2.10", IP_V4, "192.0.2.10" },
	{ "::ffff:0:192.0.2.10", IP_V6, "::ffff:0:c000:20a" },
};

static void
addresses_have_one_spelling(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(addresses); i++) {
		char text[IP_TEXT_MAX];
		struct span formatted;
		struct ip again;
		struct ip ip;

		assert_true(parse(addresses[i].text, &ip));
		assert_int_equal(ip.family, addresses[i].family);
		formatted = ip_format(&ip, text);
		assert_string_equal(text, addresses[i].canonical);
		assert_int_equal(formatted.n, strlen(text));
		assert_true(parse(text, &again));
		assert_true(ip_equal(&ip, &again));
	}
}

static const char *const no_addresses[] = {
	"",
	" ",
	"1",
	"1.2.3",
	"1.2.3.4.5",
	"1.2.3.256",
	"1.2.3.04",
	"0x1.2.3.4",
	"1.2.3.4 ",
	" 1.2.3.4",
	"1.2.3.4/32",
	"1.2.3.-4",
	":",
	":::",
	"1::2::3",
	"1:2:3:4:5:6:7",
	"1:2:3:4:5:6:7:8:9",
	"12345::",
	"g::",
	"fe80::1%eth0",
	"[::1]",
	"::1.2.3",
	"::ffff:1.2.3.4.5",
	"localhost",
	"1111:2222:3333:4444:5555:6666:123.123.123.1234",
	"0000000000000000000000000000000000000000000000000000000000::1",
};

static void
what_is_not_an_address_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(no_addresses); i++) {
		struct ip ip = { .family = IP_V4, .octets = { 42 } };

		assert_false(parse(no_addresses[i], &ip));
		assert_int_equal(ip.octets[0], 42); /* untouched */
	}
}

static void
a_nul_does_not_end_an_address(void **state)
{
	struct ip ip;

	(void)state;
	assert_false(ip_parse(SPAN_LIT("1.2.3.4\0"), &ip));
	assert_false(ip_parse(SPAN_LIT("1.2.3.4\0.example"), &ip));
	assert_false(ip_parse(SPAN_LIT("::1\0"), &ip));
	assert_false(ip_parse(SPAN_NONE, &ip));
}

static void
octets_make_an_address(void **state)
{
	static const uint8_t mapped[16] = { 0, 0, 0,    0,    0,   0, 0, 0,
					    0, 0, 0xff, 0xff, 192, 0, 2, 1 };
	static const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8 };
	char text[IP_TEXT_MAX];
	struct ip ip;

	(void)state;
	ip = ip_make(mapped + 12, 4);
	assert_string_equal(ip_format(&ip, text).p, "192.0.2.1");
	ip = ip_make(mapped, 16);
	assert_int_equal(ip.family, IP_V4);
	assert_string_equal(ip_format(&ip, text).p, "192.0.2.1");
	ip = ip_make(v6, 16);
	assert_string_equal(ip_format(&ip, text).p, "2001:db8::");
	for (size_t n = 0; n < 16; n++)
		if (n != 4)
			assert_int_equal(ip_make(v6, n).family, IP_NONE);
	ip = ip_make(v6, 0);
	assert_true(span_equal(ip_format(&ip, text), SPAN_LIT("unknown")));
	assert_string_equal(text, "unknown");
}

static void
equal_means_family_and_octets(void **state)
{
	struct ip none = ip_make(NULL, 0);
	struct ip v4, v6, other;

	(void)state;
	assert_true(parse("32.1.13.184", &v4)); /* 20 01 0d b8 */
	assert_true(parse("2001:db8::", &v6));
	assert_true(parse("2001:db8::8000", &other));
	assert_true(ip_equal(&v4, &v4));
	assert_true(ip_equal(&v6, &v6));
	assert_true(ip_equal(&none, &none));
	assert_false(ip_equal(&v4, &v6));
	assert_false(ip_equal(&v6, &other));
	assert_false(ip_equal(&none, &v4));
}

static void
prefixes_are_compared_bit_by_bit(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned same; /* bits that are the same, from the left */
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", 32 },
		{ "192.0.2.1", "192.0.2.0", 31 },
		{ "192.0.2.1", "192.0.3.1", 23 },
		{ "192.0.2.1", "64.0.2.1", 0 },
		{ "2001:db8::1", "2001:db8::1", 128 },
		{ "2001:db8::1", "2001:db8::", 127 },
		{ "2001:db8::1", "2001:db8:8000::1", 32 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(cases); i++) {
		struct ip a, b;

		assert_true(parse(cases[i].a, &a) && parse(cases[i].b, &b));
		for (unsigned n = 0; n <= (a.family == IP_V4 ? 32 : 128); n++)
			assert_int_equal(ip_has_prefix(&a, &b, n),
					 n <= cases[i].same);
	}
}

static void
families_have_no_prefix_in_common(void **state)
{
	struct ip v4, v6;

	(void)state;
	assert_true(parse("0.0.0.0", &v4) && parse("::", &v6));
	assert_false(ip_has_prefix(&v4, &v6, 0));
}

static void
loopback(void **state)
{
	static const struct {
		const char *text;
		bool is_loopback;
	} rows[] = {
		{ "127.0.0.1", true },  { "127.255.255.255", true },
		{ "126.0.0.1", false }, { "128.0.0.1", false },
		{ "::1", true },        { "::ffff:127.1.2.3", true },
		{ "::2", false },       { "::", false },
		{ "100::1", false },    { "0.0.0.1", false },
		{ "7f00::", false },
	};
	struct ip none = ip_make(NULL, 0);
	struct ip ip;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_true(parse(rows[i].text, &ip));
		assert_int_equal(ip_is_loopback(&ip), rows[i].is_loopback);
	}
	assert_false(ip_is_loopback(&none));
}

static const struct {
	const char *network;
	unsigned prefix;
	const char *has;     /* its first or last address, */
	const char *has_not; /* and the one beside */
} networks[] = {
	{ "0.0.0.0/0", 0, "255.255.255.255", "::" },
	{ "10.0.0.0/8", 8, "10.255.255.255", "11.0.0.0" },
	{ "192.0.2.0/24", 24, "192.0.2.255", "192.0.3.0" },
	{ "192.0.2.0/25", 25, "192.0.2.127", "192.0.2.128" },
	{ "192.0.2.128/31", 31, "192.0.2.129", "192.0.2.130" },
	{ "192.0.2.1/32", 32, "192.0.2.1", "192.0.2.0" },
	{ "192.0.2.1", 32, "192.0.2.1", "192.0.2.2" },
	{ "::/0", 0, "ffff::", "0.0.0.0" },
	{ "2001:db8::/32", 32, "2001:db8:ffff::", "2001:db9::" },
	{ "2001:db8::/33", 33, "2001:db8:7fff::", "2001:db8:8000::" },
	{ "2001:db8::2/127", 127, "2001:db8::3", "2001:db8::4" },
	{ "2001:db8::1", 128, "2001:db8::1", "2001:db8::" },
	{ "2001:db8::1/128", 128, "2001:db8::1", "2001:db8::3" },
	/* A mapped network is the IPv4 network, counted from bit 96. */
	{ "::ffff:192.0.2.0/120", 24, "192.0.2.255", "192.0.3.0" },
	{ "::ffff:0:0/96", 0, "1.2.3.4", "2001:db8::1" },
	{ "::ffff:192.0.2.1", 32, "::ffff:192.0.2.1", "192.0.2.2" },
};

static bool
network_parse(const char *text, struct ip_network *network)
{
	struct guard guard = guard_copy(span_cstr(text));
	bool is_good = ip_network_parse(guard.octets, network);

	guard_free(&guard);
	return is_good;
}

static void
networks_have_what_is_in_them(void **state)
{
	struct ip none = ip_make(NULL, 0);

	(void)state;
	for (size_t i = 0; i < ROWS(networks); i++) {
		struct ip_network network;
		struct ip ip;

		assert_true(network_parse(networks[i].network, &network));
		assert_int_equal(network.prefix, networks[i].prefix);
		assert_true(ip_network_has(&network, &network.ip));
		assert_true(parse(networks[i].has, &ip));
		assert_true(ip_network_has(&network, &ip));
		assert_true(parse(networks[i].has_not, &ip));
		assert_false(ip_network_has(&network, &ip));
		assert_false(ip_network_has(&network, &none));
	}
}

static const char *const no_networks[] = {
	"",
	"/",
	"/8",
	"192.0.2.0/",
	"192.0.2.0/33",
	"192.0.2.0/-1",
	"192.0.2.0/+8",
	"192.0.2.0/ 24",
	"192.0.2.0/24 ",
	"192.0.2.0/24/24",
	"192.0.2.0/255.255.255.0",
	"192.0.2.0/18446744073709551640",
	"192.0.2.1/24", /* host bits */
	"192.0.2.128/24",
	"0.0.0.1/0",
	"192.0.2/24",
	"2001:db8::/129",
	"2001:db8::1/127",
	"2001:db8::1/64",
	"::ffff:192.0.2.0/24", /* fewer bits than the mapping has */
	"::ffff:192.0.2.1/120",
	"::ffff:192.0.2.0/129",
};

static void
what_is_not_a_network_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(no_networks); i++) {
		struct ip_network network = { .prefix = 42 };

		assert_false(network_parse(no_networks[i], &network));
		assert_int_equal(network.prefix, 42); /* untouched */
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_have_one_spelling),
		cmocka_unit_test(what_is_not_an_address_is_refused),
		cmocka_unit_test(a_nul_does_not_end_an_address),
		cmocka_unit_test(octets_make_an_address),
		cmocka_unit_test(equal_means_family_and_octets),
		cmocka_unit_test(prefixes_are_compared_bit_by_bit),
		cmocka_unit_test(families_have_no_prefix_in_common),
		cmocka_unit_test(loopback),
		cmocka_unit_test(networks_have_what_is_in_them),
		cmocka_unit_test(what_is_not_a_network_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
