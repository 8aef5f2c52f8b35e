/* SPDX-License-Identifier: BSD-2-Clause */
/* DKIM key records: what a SubjectPublicKeyInfo has to look like. */
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

/* RFC 3279 2.3.1 */
static void
t1_parameters_are_null(void **state)
{
	static const struct {
		const char *record;
		bool is_key;
	} cases[] = {
		{ "p=" BEFORE "AQUAA4GN" BEHIND, true },
		/* a NULL of one octet, which is not there */
		{ "p=" BEFORE "AQUBA4GN" BEHIND, false },
		/* INTEGER, OCTET STRING */
		{ "p=" BEFORE "AQIAA4GN" BEHIND, false },
		{ "p=" BEFORE "AQQAA4GN" BEHIND, false },
	};
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 16);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dns_record record = {
			.value = span_cstr(cases[i].record),
		};
		struct answer answer = { .status = ANSWER_OK,
					 .records = 1,
					 .record = &record };
		struct dkim_key key;

		assert_int_equal(
			dkim_key_read(&answer, CRYPTO_RSA, 4096, &arena, &key),
			cases[i].is_key);
		if (!cases[i].is_key)
			assert_int_equal(key.result, DKIM_PERMERROR);
	}
	arena_fini(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_parameters_are_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
