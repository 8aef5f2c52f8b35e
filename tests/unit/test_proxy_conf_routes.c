/* SPDX-License-Identifier: BSD-2-Clause */
/* proxy.conf: which route a recipient takes, where a backend may be, and what
 * is wrong with either, and in which line. */
#include "tests/unit/conf_file.h"

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

/* What stands before each text, which begins in line 6. */
#define BEFORE                                     \
	"listen \"127.0.0.1:25\" { }\n"            \
	"listen \"127.0.0.1:465\" { }\n"           \
	"backend a { address = 127.0.0.1:1001 }\n" \
	"backend b { address = 127.0.0.1:1002 }\n" \
	"\n"

/* --- which route ------------------------------------------------------------
 */

/* "local@domain", or a local part alone; the place of its route, or -1. */
static int
route_of(const struct conf *conf, const char *address, const char *client,
	 size_t listener)
{
	struct span all = span_cstr(address);
	size_t at = span_find(all, '@');
	struct conf_arrival arrival = { .listener =
						&conf->listeners[listener] };
	const struct conf_route *route;

	assert_true(ip_parse(span_cstr(client), &arrival.client));
	route = conf_route(conf, &arrival, span_first(all, at),
			   at < all.n ? span_after(all, at + 1) : SPAN_NONE);
	return route == NULL ? -1 : (int)(route - conf->routes);
}

static void
the_first_title_that_fits_counts(void **state)
{
	static const struct {
		const char *address;
		int route;
	} rows[] = {
		{ "Bob+x@example.com", 0 },
		{ "bob+X@example.com", 0 },
		/* The same mailbox, in quotes; then others. */
		{ "\"bob+x\"@example.com", 0 },
		{ "\"b\\ob\\+x\"@example.com", 0 },
		{ "\"bob+x\\\\\"@example.com", 2 },
		{ "\"\"@example.com", 2 },
		{ "bob@example.com", 2 }, /* plus is part of a name */
		{ "carol@example.com", 1 },
		{ "carol@a.example.com", 3 },
		{ "carol@b.a.example.com", 3 },
		{ "bob@xn--bcher-kva.example", 4 },
		{ "bob@example.co", 5 },
		{ "bob@xexample.com", 5 },
		{ "bob@com", 5 },
		{ "postmaster", 5 },
		{ "postmaster@com", 5 },
	};
	struct conf *conf = conf_file_good(
		BEFORE, "route \"BOB+x@Example.com\" { backend = a }\n"
			"route \"carol@example.com\" { backend = b }\n"
			"route \"example.com\" { backend = a }\n"
			"route \".example.com\" { backend = b }\n"
			"route \"b\xc3\xbc"
			"cher.example\" { backend = a }\n"
			"route \"*\" { backend = b }\n");

	(void)state;
	for (size_t i = 0; i < CASES(rows); i++)
		if (route_of(conf, rows[i].address, "192.0.2.1", 0) !=
		    rows[i].route)
			fail_msg("%s goes by %d", rows[i].address,
				 route_of(conf, rows[i].address, "192.0.2.1",
					  0));
	assert_true(span_equal(conf->routes[0].title,
			       SPAN_LIT("BOB+x@example.com")));
	assert_true(
		span_equal(conf->routes[3].title, SPAN_LIT(".example.com")));
	conf_free(conf);
}

static void
what_no_title_fits_has_no_route(void **state)
{
	struct conf *conf = conf_file_good(
		BEFORE, "route \".example.com\" { backend = a }\n"
			"route \"bob@example.com\" { backend = a }\n");

	(void)state;
	assert_int_equal(route_of(conf, "al@example.com", "192.0.2.1", 0), -1);
	assert_int_equal(route_of(conf, "postmaster", "192.0.2.1", 0), -1);
	assert_int_equal(route_of(conf, "bob@example.com", "192.0.2.1", 0), 1);
	conf_free(conf);
}

static void
listener_and_client_are_conditions(void **state)
{
	struct conf *conf = conf_file_good(
		BEFORE,
		"route \"*\" { listener = \"127.0.0.1:465\" backend = a\n"
		"  client = { 192.0.2.0/24, 2001:db8::/32 } }\n"
		"route \"*\" { client = 192.0.2.0/25 backend = b }\n"
		"route example.com { listener = { \"127.0.0.1:25\",\n"
		"  \"127.0.0.1:465\" } backend = a }\n"
		"route \"*\" { listener = 127.0.0.1:25 backend = a }\n");

	(void)state;
	assert_int_equal(route_of(conf, "a@example.com", "192.0.2.1", 1), 0);
	assert_int_equal(route_of(conf, "a@example.com", "2001:db8::1", 1), 0);
	assert_int_equal(route_of(conf, "a@example.com", "192.0.2.1", 0), 1);
	assert_int_equal(route_of(conf, "a@example.com", "192.0.2.200", 0), 2);
	assert_int_equal(route_of(conf, "a@example.com", "192.0.3.1", 1), 2);
	assert_int_equal(route_of(conf, "a@example.net", "192.0.3.1", 0), 3);
	assert_int_equal(route_of(conf, "a@example.net", "192.0.3.1", 1), -1);
	assert_false(conf->has_one_backend);
	conf_free(conf);
}

/* The route in the last line can never fit, or it can. */
static void
a_route_that_can_never_fit_is_a_fault(void **state)
{
	static const struct {
		const char *text;
		unsigned line; /* of the one that cannot; 0: all can */
	} rows[] = {
		{ "route \"*\" { backend = a }\nroute x.example { backend = b "
		  "}",
		  7 },
		{ "route \"*\" { backend = a }\nroute \"*\" { backend = a }",
		  7 },
		{ "route X.example { backend = a }\n"
		  "route x.example { backend = a }",
		  7 },
		{ "route .x.example { backend = a }\n"
		  "route .y.x.example { backend = a }",
		  7 },
		{ "route .x.example { backend = a }\n"
		  "route y.x.example { backend = a }",
		  7 },
		{ "route .x.example { backend = a }\n"
		  "route x.example { backend = a }",
		  0 },
		{ "route x.example { backend = a }\n"
		  "route bob@x.example { backend = a }",
		  7 },
		{ "route bob@x.example { backend = a }\n"
		  "route BOB@x.example { backend = a }",
		  7 },
		{ "route bob@x.example { backend = a }\n"
		  "route '\"BOB\"@x.example' { backend = a }",
		  7 },
		{ "route bob@x.example { backend = a }\n"
		  "route x.example { backend = a }",
		  0 },
		{ "route \"*\" { backend = a client = 192.0.2.0/24 }\n"
		  "route \"*\" { backend = a }",
		  0 },
		{ "route \"*\" { backend = a client = 192.0.2.0/24 }\n"
		  "route \"*\" { backend = a client = { 192.0.2.1,\n"
		  "192.0.2.128/25 } }",
		  7 },
		{ "route \"*\" { backend = a client = 192.0.2.0/24 }\n"
		  "route \"*\" { backend = a client = { 192.0.2.1,\n"
		  "192.0.3.0/25 } }",
		  0 },
		{ "route \"*\" { backend = a client = 192.0.2.0/25 }\n"
		  "route \"*\" { backend = a client = 192.0.2.0/24 }",
		  0 },
		{ "route \"*\" { backend = a listener = 127.0.0.1:25 }\n"
		  "route \"*\" { backend = a listener = 127.0.0.1:465 }",
		  0 },
		{ "route \"*\" { backend = a listener = { 127.0.0.1:25,\n"
		  "127.0.0.1:465 } }\n"
		  "route \"*\" { backend = a listener = 127.0.0.1:465 }",
		  8 },
		{ "route \"*\" { backend = a listener = 127.0.0.1:25 }\n"
		  "route \"*\" { backend = a listener = 127.0.0.1:25\n"
		  "client = 192.0.2.1 }",
		  7 },
	};

	(void)state;
	for (size_t i = 0; i < CASES(rows); i++) {
		char wanted[64];
		struct buf said;
		struct conf *conf;

		buf_init(&said, CONF_FILE_SAID_MAX);
		conf = conf_file_behind(BEFORE, rows[i].text, &said);
		if ((conf == NULL) != (rows[i].line > 0) ||
		    (said.n > 0) != (rows[i].line > 0))
			fail_msg("case %zu: %.*s", i, (int)said.n,
				 (const char *)buf_span(&said).p);
		if (said.n > 0) {
			snprintf(wanted, sizeof(wanted), "%u: route ",
				 rows[i].line);
			assert_true(span_starts(buf_span(&said),
						span_cstr(wanted)));
		}
		buf_fini(&said);
		conf_free(conf);
	}
}

/* --- where a backend may be -------------------------------------------------
 */

static void
addresses_have_a_rank(void **state)
{
	struct conf *conf = conf_file_good(
		BEFORE,
		"backend c { address = { \"127.0.0.1:25\",\n"
		"  \"[::1]:26 priority=0\", 'mx2.B\xc3\xbc"
		"cher.example:27   weight=3',\n"
		"  \"mx3.example.:28 weight=65535 priority=65535\" }\n"
		"  connections = 50 retry-after = 1s probe-interval = 10s }\n"
		"route \"*\" { backend = c }\n");
	const struct conf_backend *backend = &conf->backends[2];
	const struct conf_address *list = backend->addresses;

	(void)state;
	assert_int_equal(backend->address_count, 4);
	assert_int_equal(backend->connections_max, 50);
	assert_int_equal(backend->retry_us, 1000000);
	assert_int_equal(backend->probe_us, 10000000);
	assert_int_equal(list[0].priority, 10);
	assert_int_equal(list[0].weight, 1);
	assert_int_equal(list[0].host.n, 0);
	assert_int_equal(list[1].priority, 0);
	assert_int_equal(list[1].at.port, 26);
	assert_true(span_equal(list[2].host,
			       SPAN_LIT("mx2.xn--bcher-kva.example")));
	assert_int_equal(list[2].at.port, 27);
	assert_int_equal(list[2].at.ip.family, IP_NONE);
	assert_int_equal(list[2].weight, 3);
	assert_false(conf_is_original(&list[2]));
	assert_true(span_equal(list[3].host, SPAN_LIT("mx3.example")));
	assert_int_equal(list[3].priority, 65535);
	assert_int_equal(list[3].weight, 65535);
	conf_free(conf);
}

/* --- what is wrong ----------------------------------------------------------
 */

static void
every_fault_has_its_line(void **state)
{
	static const struct {
		const char *text;
		const char *said; /* the beginning of the first line */
	} rows[] = {
		{ "backend c {\n address = \"127.0.0.1:25 priority=70000\" }",
		  "7: backend \"c\" address: expected an address and port" },
		{ "backend c {\n address = \"127.0.0.1:25 priority=-1\" }",
		  "7: backend \"c\" address: expected" },
		{ "backend c {\n\n address = \"127.0.0.1:25 weight=0\" }",
		  "8: backend \"c\" address: expected" },
		{ "backend c {\n address = \"127.0.0.1:25 weight=1 weight=1\" "
		  "}",
		  "7: backend \"c\" address: expected" },
		{ "backend c {\n address = \"127.0.0.1:25 weigth=1\" }",
		  "7: backend \"c\" address: expected" },
		{ "backend c {\n address = \"127.0.0.1:25,weight=1\" }",
		  "7: backend \"c\" address: expected" },
		{ "backend c {\n address = mx.example:0 }",
		  "7: backend \"c\" address: expected" },
		{ "backend c {\n address = mx.example:65536 }",
		  "7: backend \"c\" address: expected" },
		{ "backend c {\n address = mx.example }",
		  "7: backend \"c\" address: expected" },
		{ "backend c {\n address = 192.0.2.256:25 }",
		  "7: backend \"c\" address: expected" },
		{ "backend c {\n address = 'mx example:25' }",
		  "7: backend \"c\" address: expected" },
		{ "backend c { address = 127.0.0.1:25\n retry-after = 0 }",
		  "7: backend \"c\" retry-after: expected a time" },
		{ "backend c { address = 127.0.0.1:25\n probe-interval = 0 }",
		  "7: backend \"c\" probe-interval: expected a time" },
		{ "backend c { address = 127.0.0.1:25\n connections = x }",
		  "7: backend \"c\" connections: expected a number" },
		{ "\nroute \"\" { backend = a }",
		  "7: route: expected a domain" },
		{ "\nroute '.' { backend = a }",
		  "7: route: expected a domain" },
		{ "\nroute '..x' { backend = a }",
		  "7: route: expected a domain" },
		{ "\nroute '@x.example' { backend = a }",
		  "7: route: expected a domain" },
		{ "\nroute 'bob@' { backend = a }",
		  "7: route: expected a domain, one with a dot before it, a "
		  "mailbox or \"*\" as its title, found \"bob@\"\n" },
		{ "\nroute 'bob@[192.0.2.1]' { backend = a }",
		  "7: route: expected a domain" },
		{ "\nroute 'a b@x.example' { backend = a }",
		  "7: route: expected a domain" },
		{ "\nroute '*.example' { backend = a }",
		  "7: route: expected a domain" },
		{ "route \"*\" { backend = a\n listener = 127.0.0.1:587 }",
		  "7: route \"*\" listener: expected the address and port of a "
		  "listen block, found \"127.0.0.1:587\"\n" },
		{ "route \"*\" { backend = a\n listener = x }",
		  "7: route \"*\" listener: expected the address and port of" },
		{ "route \"*\" { backend = a\n client = 192.0.2.1/24 }",
		  "7: route \"*\" client: expected a network" },
		{ "route \"*\" { backend = a }\nroute \"*\" {\n backend = c }",
		  "8: route \"*\" backend: expected the name of a backend" },
		{ "route x.example { backend = a\n client = ::1 }\n"
		  "route x.example {\n client = x backend = a }",
		  "9: route \"x.example\" client: expected a network" },
	};

	(void)state;
	for (size_t i = 0; i < CASES(rows); i++) {
		struct buf said;
		struct span left;
		bool is_found = false;

		buf_init(&said, CONF_FILE_SAID_MAX);
		assert_null(conf_file_behind(BEFORE, rows[i].text, &said));
		for (left = buf_span(&said); left.n > 0;
		     left = span_after(left, span_find(left, '\n') + 1))
			is_found |= span_starts(left, span_cstr(rows[i].said));
		if (!is_found)
			fail_msg("case %zu: no \"%s\" in %.*s", i, rows[i].said,
				 (int)said.n, (const char *)buf_span(&said).p);
		buf_fini(&said);
	}
}

/* What follows a listener that passes AUTH on, and one that does not. */
static void
a_login_needs_one_backend_behind_its_listener(void **state)
{
	static const struct {
		const char *text;
		bool is_good;
	} rows[] = {
		{ "route \"*\" { backend = a }", true },
		{ "route \"*\" { listener = 127.0.0.1:587 backend = a }\n"
		  "route \"*\" { backend = b listener = 127.0.0.1:25 }",
		  true },
		{ "route x.example { listener = 127.0.0.1:587 backend = a }\n"
		  "route \"*\" { backend = b }",
		  false },
		{ "route \"*\" { client = 192.0.2.0/24 backend = a }\n"
		  "route \"*\" { listener = 127.0.0.1:587 backend = b }",
		  false },
	};

	(void)state;
	for (size_t i = 0; i < CASES(rows); i++) {
		struct buf said;
		struct conf *conf;

		buf_init(&said, CONF_FILE_SAID_MAX);
		conf = conf_file_behind(
			"listen 127.0.0.1:587 { auth = relay\n"
			"  tls-cert = /c.pem tls-key = /k.pem }\n"
			"listen 127.0.0.1:25 { }\n"
			"backend a { address = 127.0.0.1:1001 }\n"
			"backend b { address = 127.0.0.1:1002 }\n",
			rows[i].text, &said);
		assert_int_equal(conf != NULL, rows[i].is_good);
		if (conf == NULL)
			assert_true(span_starts(
				buf_span(&said),
				SPAN_LIT("1: listen \"127.0.0.1:587\" auth: "
					 "expected one backend for all its "
					 "routes")));
		buf_fini(&said);
		conf_free(conf);
	}
}

static void
a_login_in_plain_to_another_host_is_a_warning(void **state)
{
	static const struct {
		const char *backend;
		bool is_warned;
	} rows[] = {
		{ "backend a { address = 127.0.0.1:25 }", false },
		{ "backend a { address = \"[::1]:25\" }", false },
		{ "backend a { address = 192.0.2.1:25 }", true },
		{ "backend a { address = mx.example:25 }", true },
		{ "backend a { address = { 127.0.0.1:25, 192.0.2.1:25 } }",
		  true },
		{ "backend a { address = 192.0.2.1:25 tls = opportunistic }",
		  true },
		{ "backend a { address = 192.0.2.1:25 tls = required }",
		  false },
	};

	(void)state;
	for (size_t i = 0; i < CASES(rows); i++) {
		struct buf said;
		struct conf *conf;

		buf_init(&said, CONF_FILE_SAID_MAX);
		conf = conf_file_behind("listen 127.0.0.1:587 { auth = relay\n"
					"  tls-cert = /c.pem tls-key = /k.pem "
					"}\n"
					"route \"*\" { backend = a }\n",
					rows[i].backend, &said);
		assert_non_null(conf);
		assert_int_equal(
			span_starts(buf_span(&said),
				    SPAN_LIT("1: warning: listen "
					     "\"127.0.0.1:587\" auth: logins "
					     "may go on in plain to backend "
					     "\"a\"")),
			rows[i].is_warned);
		buf_fini(&said);
		conf_free(conf);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_title_that_fits_counts),
		cmocka_unit_test(what_no_title_fits_has_no_route),
		cmocka_unit_test(listener_and_client_are_conditions),
		cmocka_unit_test(a_route_that_can_never_fit_is_a_fault),
		cmocka_unit_test(addresses_have_a_rank),
		cmocka_unit_test(every_fault_has_its_line),
		cmocka_unit_test(a_login_needs_one_backend_behind_its_listener),
		cmocka_unit_test(a_login_in_plain_to_another_host_is_a_warning),
	};

	return cmocka_run_group_tests_name("proxy/conf routes", tests, NULL,
					   NULL);
}
