/* SPDX-License-Identifier: BSD-2-Clause */
/* DKIM key records: what an RSA key in one has to look like. */
#include "dmarc/dkim_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* An RSA key of 1024 bits; the parameters of its algorithm stand between. */
#define BEFORE "MIGfMA0GCSqGSIb3DQEB"
#define BEHIND                                                             \
	"ADCBiQKBgQDU/q3ItbZW2ZCN4kZaiFJIwdNCQKTIWBDOLMyGEOIVpQQ8JQcJepsb" \
	"kboJf8vAKzdd66IXZjkvwsFMgWyC/IpM1sOz5QU6CV+sbaAKa4KQTkFHKAmR0b/1" \
	"r8Be2lt/x4xyuD9d4giNrIXKOWSxSM5tbebiRpZ87SYRo41L6cZpDQIDAQAB"

/* The same modulus, without the algorithm: RSAPublicKey (RFC 8017 A.1.1). */
#define MODULUS                                                           \
	"BANT+rci1tlbZkI3iRlqIUkjB00JApMhYEM4szIYQ4hWlBDwlBwl6mxuRugl/"   \
	"y8ArN13rohdmOS/CwUyBbIL8ikzWw7PlBToJX6xtoAprgpBOQUcoCZHRv/WvwF7" \
	"aW3/HjHK4P13iCI2shco5ZLFIzm1t5uJGlnztJhGjjUvpxmk"

struct record_case {
	const char *record;
	bool is_key;
};

static void
check_records(const struct record_case *cases, size_t count)
{
	struct arena arena;

	arena_init(&arena, 1 << 16);
	for (size_t i = 0; i < count; i++) {
		struct dns_record record = {
			.value = span_cstr(cases[i].record),
		};
		struct answer answer = { .status = ANSWER_OK,
					 .records = 1,
					 .record = &record };
		struct dkim_key key;

		if (dkim_key_read(&answer, CRYPTO_RSA, 4096, &arena, &key) !=
		    cases[i].is_key)
			fail_msg("%s: %s", cases[i].record, key.reason);
		if (!cases[i].is_key)
			assert_int_equal(key.result, DKIM_PERMERROR);
		else
			assert_int_equal(key.bits, 1024);
	}
	arena_fini(&arena);
}

/* RFC 3279 2.3.1 */
static void
t1_parameters_are_null(void **state)
{
	static const struct record_case cases[] = {
		{ "p=" BEFORE "AQUAA4GN" BEHIND, true },
		/* a NULL of one octet, which is not there */
		{ "p=" BEFORE "AQUBA4GN" BEHIND, false },
		/* INTEGER, OCTET STRING */
		{ "p=" BEFORE "AQIAA4GN" BEHIND, false },
		{ "p=" BEFORE "AQQAA4GN" BEHIND, false },
	};

	(void)state;
	check_records(cases, sizeof(cases) / sizeof(cases[0]));
}

/* RFC 6376 3.6.1 says RSAPublicKey; what all publish (its erratum 3017) is
 * that in a SubjectPublicKeyInfo. */
static void
t2_a_bare_key(void **state)
{
	static const struct record_case cases[] = {
		{ "p=MIGJAoG" MODULUS "NAgMBAAE=", true },
		{ "p=MIGHAoG" MODULUS "NAgED", true },
		/* … without an exponent */
		{ "p=MIGEAoG" MODULUS "N", false },
		{ "p=MIGJAoG" MODULUS "NAgMBAA==", false },
	};

	(void)state;
	check_records(cases, sizeof(cases) / sizeof(cases[0]));
}

/* RFC 8017 3.1: with an exponent of 1 anybody can sign, and with an even one
 * nobody; nor is an even number the product of two large primes. */
static void
t3_numbers_that_make_no_key(void **state)
{
	static const struct record_case cases[] = {
		{ "p=MIGHAoG" MODULUS "NAgEA", false },
		{ "p=MIGHAoG" MODULUS "NAgEB", false },
		{ "p=MIGHAoG" MODULUS "NAgEC", false },
		{ "p=MIGJAoG" MODULUS "NAgMBAAA=", false },
		{ "p=MIGJAoG" MODULUS "MAgMBAAE=", false },
	};

	(void)state;
	check_records(cases, sizeof(cases) / sizeof(cases[0]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_parameters_are_null),
		cmocka_unit_test(t2_a_bare_key),
		cmocka_unit_test(t3_numbers_that_make_no_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
