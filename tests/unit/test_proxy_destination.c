/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a client's original destination leads, and where it leads nowhere. */
#include "proxy/destination.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct ip
ip(const char *text)
{
	struct ip ip;

	assert_true(ip_parse(span_cstr(text), &ip));
	return ip;
}

static void
each_reason_is_told_apart(void **state)
{
	struct conf_listener own = { 0 };
	struct conf conf = { .listeners = &own, .listener_count = 1 };
	struct conf_endpoint original = { 0 }, found;
	struct ip unknown = { 0 }, gate = ip("192.0.2.1"),
		  server = ip("203.0.113.25");

	(void)state;
	own.endpoint.ip = gate;
	own.endpoint.port = 25;
	assert_int_equal(
		destination_find(&conf, &original, &unknown, 25, &found),
		-EDESTADDRREQ);
	assert_int_equal(destination_find(&conf, &original, &gate, 25, &found),
			 -ELOOP);
	assert_int_equal(
		destination_find(&conf, &original, &server, 25, &found), 0);
	assert_true(ip_equal(&found.ip, &server));
	assert_int_equal(found.port, 25);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reason_is_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
