/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/dnscache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND ((uint64_t)1000000)

static struct dns_key
key_of(const char *name, enum dns_type type)
{
	return (struct dns_key){ span_cstr(name), type };
}

static void
put(struct dnscache *cache, const char *name, enum dns_type type,
    const char *text, uint64_t expires_us)
{
	struct dns_key key = key_of(name, type);
	struct dns_record record = { .value = span_cstr(text) };
	struct answer answer = { .status = ANSWER_OK,
				 .records = 1,
				 .record = &record };

	dnscache_put(cache, &key, &answer, expires_us);
}

static const char *
find(struct dnscache *cache, const char *name, enum dns_type type,
     uint64_t now_us)
{
	struct dns_key key = key_of(name, type);
	static char text[64];
	struct answer answer;

	if (!dnscache_find(cache, &key, now_us, &answer))
		return NULL;
	assert_int_equal(answer.status, ANSWER_OK);
	assert_true(span_equal(answer.name, key.name));
	assert_int_equal(answer.type, type);
	snprintf(text, sizeof(text), "%.*s %u", (int)answer.record[0].value.n,
		 (const char *)answer.record[0].value.p, answer.ttl_s);
	return text;
}

static void
an_answer_is_found_by_name_and_type_until_it_expires(void **state)
{
	struct dnscache cache;

	(void)state;
	dnscache_init(&cache, 100000);
	put(&cache, "a.example", DNS_TXT, "one", 10 * SECOND);
	put(&cache, "a.example", DNS_A, "two", 20 * SECOND);
	assert_string_equal(find(&cache, "a.example", DNS_TXT, SECOND),
			    "one 9");
	assert_string_equal(find(&cache, "a.example", DNS_A, SECOND), "two 19");
	assert_null(find(&cache, "a.example", DNS_MX, SECOND));
	assert_null(find(&cache, "b.example", DNS_A, SECOND));
	assert_null(find(&cache, "a.example", DNS_TXT, 10 * SECOND));
	assert_string_equal(find(&cache, "a.example", DNS_A, 10 * SECOND),
			    "two 10");
	assert_int_equal(cache.count, 1);
	dnscache_fini(&cache);
}

static void
a_new_answer_takes_the_place_of_the_old(void **state)
{
	struct dnscache cache;

	(void)state;
	dnscache_init(&cache, 100000);
	put(&cache, "a.example", DNS_TXT, "one", 10 * SECOND);
	put(&cache, "a.example", DNS_TXT, "two", 10 * SECOND);
	assert_string_equal(find(&cache, "a.example", DNS_TXT, 1), "two 9");
	assert_int_equal(cache.count, 1);
	dnscache_fini(&cache);
}

/* What was used longest ago goes first; the bound holds always. */
static void
a_full_cache_drops_what_was_not_used(void **state)
{
	struct dnscache cache;
	char name[64];

	(void)state;
	dnscache_init(&cache, 10000);
	put(&cache, "kept.example", DNS_A, "x", 1000 * SECOND);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		put(&cache, name, DNS_A, "x", 1000 * SECOND);
		assert_non_null(find(&cache, name, DNS_A, 1));
		assert_non_null(find(&cache, "kept.example", DNS_A, 1));
		assert_true(cache.octets <= 10000);
	}
	assert_true(cache.count > 10 && cache.count < 100);
	assert_null(find(&cache, "n0.example", DNS_A, 1));
	assert_int_equal(cache.evicted, 1001 - cache.count);
	dnscache_fini(&cache);
	assert_int_equal(cache.count, 0);
}

static void
an_answer_larger_than_the_cache_is_not_kept(void **state)
{
	struct dnscache cache;

	(void)state;
	dnscache_init(&cache, 10);
	put(&cache, "a.example", DNS_A, "x", 1000 * SECOND);
	assert_null(find(&cache, "a.example", DNS_A, 1));
	dnscache_fini(&cache);
}

/* Against a plain list, with names that come and go at random. */
static void
many_names_come_and_go(void **state)
{
	enum { NAMES = 200 };
	uint64_t expires_us[NAMES] = { 0 };
	struct dnscache cache;
	char name[64];

	(void)state;
	srandom(1);
	dnscache_init(&cache, 1 << 20);
	for (uint64_t now_us = 1; now_us < 50000; now_us++) {
		size_t at = (size_t)random() % NAMES;

		snprintf(name, sizeof(name), "n%zu", at);
		if (random() % 3 == 0) {
			expires_us[at] = now_us + (uint64_t)random() % 500;
			put(&cache, name, DNS_A, "x", expires_us[at]);
		}
		assert_int_equal(find(&cache, name, DNS_A, now_us) != NULL,
				 expires_us[at] > now_us);
	}
	dnscache_fini(&cache);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_answer_is_found_by_name_and_type_until_it_expires),
		cmocka_unit_test(a_new_answer_takes_the_place_of_the_old),
		cmocka_unit_test(a_full_cache_drops_what_was_not_used),
		cmocka_unit_test(an_answer_larger_than_the_cache_is_not_kept),
		cmocka_unit_test(many_names_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
