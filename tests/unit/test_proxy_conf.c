/* SPDX-License-Identifier: BSD-2-Clause */
/* proxy.conf: what a file means, what is wrong with one, and in which line. */
#include "proxy/conf_table.h"
#include "tests/unit/conf_file.h"

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

static void
assert_span(struct span s, const char *text)
{
	if (!span_equal(s, span_cstr(text)))
		fail_msg("\"%.*s\" is not \"%s\"", (int)s.n, (const char *)s.p,
			 text);
}

/* The route of anybody's mail to some user of a domain. */
static const struct conf_route *
route_of(const struct conf *conf, struct span domain)
{
	return conf_route(conf, NULL, SPAN_LIT("bob"), domain);
}

/* A gate's least. */
#define LEAST                                       \
	"listen \"127.0.0.1:25\" { }\n"             \
	"backend \"mta\" { address = 127.0.0.1:26 " \
	"identity = xclient }\n"                    \
	"route \"*\" { backend = mta }\n"

/* --- what a file means -------------------------------------------------- */

static void
test_01_defaults(void **state)
{
	struct conf *conf = conf_default();

	(void)state;
	assert_non_null(conf);
	assert_true(conf->hostname.n > 0);
	assert_int_equal(conf->workers, 0);
	assert_int_equal(conf->message_size_max, 50 << 20);
	assert_int_equal(conf->header_size_max, 256 << 10);
	assert_int_equal(conf->body_memory, 1 << 20);
	assert_int_equal(conf->body_disk, 1 << 30);
	assert_span(conf->body_directory, "/var/tmp");
	assert_int_equal(conf->eval_us_max, 20000000);
	assert_int_equal(conf->data_us_max, 1800000000);
	assert_int_equal(conf->client_us_max, 300000000);
	assert_int_equal(conf->drain_us_max, 300000000);
	assert_int_equal(conf->name_us_max, 1000000);
	assert_int_equal(conf->backend_connect, CONNECT_AT_CONNECT);
	assert_false(conf->is_normalising);
	assert_int_equal(conf->mode, MODE_ENFORCE);
	assert_false(conf->needs_evidence);
	assert_false(conf->does_defer);
	assert_int_equal(conf->discovery, DISCOVERY_TREEWALK);
	assert_false(conf->does_compare);
	assert_int_equal(conf->bad_from, ACTION_REJECT);
	assert_int_equal(conf->authserv_id_count, 1);
	assert_true(span_equal(conf->authserv_ids[0], conf->hostname));
	assert_int_equal(conf->spf_engine, SPF_ENGINE_NATIVE);
	assert_int_equal(conf->quarantine.action, ACTION_TAG);
	assert_span(conf->quarantine.header, "X-DMARC-Quarantine");
	assert_span(conf->quarantine.subject, "[DMARC quarantine] ");
	assert_int_equal(conf->quarantine.divert_failed, ACTION_DEFER);
	assert_span(conf->quarantine.original_header,
		    "X-DMARC-Original-Recipients");
	assert_int_equal(conf->quarantine.backend, CONF_NO_BACKEND);
	assert_int_equal(conf->resolver_count, 0);
	assert_int_equal(conf->dns_us_max, 5000000);
	assert_int_equal(conf->dns_tries, 2);
	assert_int_equal(conf->dns_cache_octets, 16 << 20);
	assert_span(conf->spool_directory, "/var/spool/dmarcgate");
	assert_int_equal(conf->connections_max, 10000);
	assert_int_equal(conf->connections_per_address_max, 20);
	assert_false(conf->limits_loopback);
	assert_int_equal(conf->recipients_max, 1000);
	assert_int_equal(conf->errors_max, 20);
	conf_free(conf);
}

static void
test_02_a_whole_file(void **state)
{
	struct conf *conf = conf_file_good(
		"",
		"# a comment\n"
		"hostname = 'mx1.example.com' // another\n"
		"workers = 3 /* and\n a third */ message-size = 10k\n"
		"eval-timeout = 300ms  data-time = 400  drain-timeout = 1h\n"
		"line-endings = normalise  spf-engine = libspf2\n"
		"listen \"[2001:db8:0::1]:25\" {\n"
		"  proxy-from = { \"192.0.2.0/24\", # one\n"
		"                 2001:db8::/32, }\n"
		"  xclient-from = \"127.0.0.1\" }\n"
		"backend \"a\" { address = { 192.0.2.1:25, \"[::1]:26\" }\n"
		"  identity = proxy-v2 final-timeout = 2m }\n"
		"backend b { address = 192.0.2.2:25 }\n"
		"route \"B\xc3\xbc"
		"cher.Example.\" { backend = b mode = monitor\n"
		"  on-reject = tag }\n"
		"route \"*\" { backend = a }\n"
		"dmarc { on-fail-none = subject  on-quarantine = divert\n"
		"  authserv-id = { mx1.example.com, old.example.com }\n"
		"  arc-sealers = { Lists.Example.NET., other.example }\n"
		"  reject-mode = evidence temperror = defer bad-from = tag }\n"
		"quarantine { recipient = \"q@example.com\" backend = b\n"
		"  subject = \"\\${x} \\\"y\\\" \" }\n"
		"override lists { client = 192.0.2.0/25 action = accept\n"
		"  from = { Example.NET } reason = mailing_list }\n"
		"resolver { servers = { ::1, 127.0.0.1:5353 } }\n");
	const struct conf_route *route;

	(void)state;
	assert_span(conf->hostname, "mx1.example.com");
	assert_int_equal(conf->workers, 3);
	assert_true(conf->is_normalising);
	assert_int_equal(conf->spf_engine, SPF_ENGINE_LIBSPF2);
	assert_int_equal(conf->eval_us_max, 300000);
	assert_int_equal(conf->data_us_max, 400000000);
	assert_int_equal(conf->drain_us_max, UINT64_C(3600000000));
	assert_int_equal(conf->listener_count, 1);
	assert_span(conf->listeners[0].endpoint.text, "[2001:db8::1]:25");
	assert_int_equal(conf->listeners[0].proxy_from.count, 2);
	assert_int_equal(conf->listeners[0].proxy_from.list[1].prefix, 32);
	assert_int_equal(conf->listeners[0].xclient_from.count, 1);
	assert_int_equal(conf->backend_count, 2);
	assert_int_equal(conf->backends[0].address_count, 2);
	assert_int_equal(conf->backends[0].identity, IDENTITY_PROXY_V2);
	assert_int_equal(conf->backends[0].final_us_max, 120000000);
	assert_int_equal(conf->backends[1].identity, IDENTITY_XCLIENT);
	assert_false(conf->has_one_backend);
	route = route_of(conf, SPAN_LIT("xn--bcher-kva.example"));
	assert_int_equal(route->backend, 1);
	assert_int_equal(route->mode, MODE_MONITOR);
	assert_int_equal(route->on_reject, ACTION_TAG);
	assert_int_equal(route->on_fail_none, ACTION_SUBJECT);
	assert_int_equal(route->on_quarantine, ACTION_DIVERT);
	route = route_of(conf, SPAN_LIT("other.example"));
	assert_int_equal(route->backend, 0);
	assert_int_equal(route->mode, MODE_ENFORCE);
	assert_int_equal(route->on_reject, ACTION_REJECT);
	assert_ptr_equal(route_of(conf, SPAN_NONE), route);
	assert_true(conf->needs_evidence && conf->does_defer);
	assert_int_equal(conf->bad_from, ACTION_TAG);
	assert_int_equal(conf->authserv_id_count, 2);
	assert_span(conf->authserv_ids[1], "old.example.com");
	assert_int_equal(conf->arc_sealer_count, 2);
	assert_span(conf->arc_sealers[0], "lists.example.net");
	assert_span(conf->quarantine.recipient, "q@example.com");
	assert_int_equal(conf->quarantine.backend, 1);
	assert_span(conf->quarantine.subject, "${x} \"y\" ");
	assert_int_equal(conf->override_count, 1);
	assert_int_equal(conf->overrides[0].disposition, DISPOSITION_NONE);
	assert_string_equal(conf->overrides[0].reason, "mailing_list");
	assert_span(conf->overrides[0].authors.list[0], "example.net");
	assert_int_equal(conf->overrides[0].networks[0].prefix, 25);
	assert_int_equal(conf->resolver_count, 2);
	assert_span(conf->resolvers[0].text, "[::1]:53");
	assert_span(conf->resolvers[1].text, "127.0.0.1:5353");
	conf_free(conf);
}

static void
test_03_the_least_file(void **state)
{
	struct conf *conf = conf_file_good("", LEAST);

	(void)state;
	assert_true(conf->has_one_backend);
	assert_span(conf->backends[0].name, "mta");
	assert_non_null(route_of(conf, SPAN_LIT("x")));
	conf_free(conf);
}

static void
test_04_no_route_serves_it(void **state)
{
	struct conf *conf = conf_file_good(
		"", "listen \"127.0.0.1:25\" { }\n"
		    "backend \"mta\" { address = 127.0.0.1:26 }\n"
		    "route \"example.com\" { backend = mta }\n");

	(void)state;
	assert_non_null(route_of(conf, SPAN_LIT("example.com")));
	assert_null(route_of(conf, SPAN_LIT("a.example.com")));
	assert_null(route_of(conf, SPAN_LIT("xample.com")));
	assert_null(route_of(conf, SPAN_NONE));
	conf_free(conf);
}

static void
test_05_quarantine_action_is_the_default_of_on_quarantine(void **state)
{
	struct conf *conf =
		conf_file_good("", LEAST "quarantine { action = subject }");

	(void)state;
	assert_int_equal(conf->routes[0].on_quarantine, ACTION_SUBJECT);
	conf_free(conf);
	conf = conf_file_good("", LEAST "dmarc { on-quarantine = relay }\n"
					"quarantine { action = subject }");
	assert_int_equal(conf->routes[0].on_quarantine, ACTION_RELAY);
	conf_free(conf);
}

static void
test_06_identity_none_is_a_warning_where_it_is_trusted(void **state)
{
	struct buf faults;
	struct conf *conf;

	(void)state;
	buf_init(&faults, CONF_FILE_SAID_MAX);
	conf = conf_file_behind(
		"",
		"listen \"127.0.0.1:25\" { }\n"
		"backend mta { address = 127.0.0.1:26\n"
		"  identity = none\n trust-unidentified = yes }\n"
		"route \"*\" { backend = mta }\n",
		&faults);
	assert_non_null(conf);
	assert_true(span_starts(
		buf_span(&faults),
		SPAN_LIT("3: warning: backend \"mta\" is not told who the "
			 "client is")));
	assert_int_equal(span_find(buf_span(&faults), '\n'), faults.n - 1);
	conf_free(conf);
	buf_fini(&faults);
}

static void
test_07_the_tool_needs_no_gate(void **state)
{
	struct buf faults;
	struct conf *conf;

	(void)state;
	buf_init(&faults, CONF_FILE_SAID_MAX);
	conf = conf_file_read(SPAN_NONE, CONF_TOOL, &faults);
	assert_non_null(conf);
	assert_int_equal(faults.n, 0);
	conf_free(conf);
	conf = conf_file_read(SPAN_NONE, CONF_GATE, &faults);
	assert_null(conf);
	assert_span(buf_span(&faults),
		    " listen: expected at least one, found none\n"
		    " backend: expected at least one, found none\n"
		    " route: expected at least one, found none\n");
	buf_fini(&faults);
}

/* --- what is wrong ------------------------------------------------------ */

/* A file, and its faults by their beginnings: "LINE: TEXT" each. Files are
 * read for the tool, so that none has to be complete. */
static const struct {
	const char *text;
	const char *faults[4];
} wrong[] = {
	/* 1: syntax */
	{ "workers = 2\n\nworkers", { "3: expected \"=\" or \"{\"" } },
	{ "workers =\n\n}", { "3: expected a value" } },
	{ "workers = 2 3", { "1: expected \"=\" or \"{\"" } },
	{ "hostname = \"mx\nuser = a",
	  { "1: this text has no closing quote" } },
	{ "/* one\n * two", { "1: this comment does not end" } },
	/* said where it has to be mended, not where that was noticed */
	{ "dmarc {\n mode \"enforce\"\n}\n",
	  { "2: expected \"{\" behind the title of a block, or \"=\" behind "
	    "the word of a setting" } },
	{ "dmarc {\n mode\n}\n",
	  { "2: expected \"=\" or \"{\" behind the word, found neither" } },
	{ "listen \"127.0.0.1:25\"\n\nworkers = 1\n", { "1: expected \"{\"" } },
	{ "dmarc {\n mode = enforce\n", { "1: this block has no closing" } },
	{ "dmarc { }\n}", { "2: a \"}\" that closes nothing" } },
	{ "dmarc { = }", { "1: expected the word of a setting" } },
	{ "user += a", { "1: a character that must stand in quotes" } },
	{ "route * { backend = a }",
	  { "1: a character that must stand in quotes" } },
	{ "route a b { backend = a }",
	  { "1: expected \"{\" behind the title" } },
	{ "resolver { servers = { ::1 127.0.0.1 } }",
	  { "1: expected a list" } },
	{ "hostname = ${HOME}", { "1: a character that must stand" } },
	{ "user = \"a\001\"", { "1: a control character in a text" } },
	/* 2: words */
	{ "\nworker = 2", { "2: worker: unknown setting\n" } },
	{ "mode = enforce",
	  { "1: mode: unknown setting; there is one in dmarc { }\n" } },
	{ "dmarc { workers = 2 }",
	  { "1: workers: unknown setting in dmarc { }; it stands at the top "
	    "level\n" } },
	{ "dmarcs { mode = x\n y { z = 1 } }\nuser = ' '",
	  { "1: dmarcs: unknown setting", "3: user: expected a name" } },
	{ "backend a { tls { x = { y } }\n foo = 1 address = 127.0.0.1:1 }",
	  { "1: tls: unknown setting in backend { }",
	    "2: foo: unknown setting" } },
	{ "workers = 1\nworkers = 2",
	  { "2: workers: given twice, first in "
	    "line 1\n" } },
	{ "resolver { servers = { ::1 }\n servers = { ::1 } }",
	  { "2: servers: given twice, first in line 1\n" } },
	{ "dmarc { }\ndmarc { mode = x }",
	  { "2: dmarc: given twice, first in line 1\n" } },
	{ "backend a { address = 127.0.0.1:1 }\nbackend 'a' { x = y }",
	  { "2: backend \"a\": given twice, first in line 1\n" } },
	{ "dmarc x { }", { "1: dmarc: expected no title, found \"x\"\n" } },
	{ "backend { }",
	  { "1: backend: expected a title (NAME), found none" } },
	{ "dmarc = x", { "1: dmarc: unknown setting" } },
	{ "workers { }", { "1: workers: unknown setting" } },
	{ "workers = { 1 }",
	  { "1: workers: expected one value, found a "
	    "list\n" } },
	/* 3: values */
	{ "workers = 0",
	  { "1: workers: expected auto or a number, from 1 to 1024, found "
	    "\"0\"\n" } },
	{ "workers = -1", { "1: workers: expected auto or a number" } },
	{ "workers = 1025", { "1: workers: expected auto or a number" } },
	{ "eval-timeout = 10m\nbody-memory = 1048577k",
	  { "2: body-memory: expected a size" } },
	{ "message-size = 50MB\n\n\nbody-disk = 9999999999999999999P",
	  { "1: message-size: expected a size such as \"256k\", from 1k to "
	    "1T, found \"50MB\"\n",
	    "4: body-disk: expected a size" } },
	{ "message-size = 1", { "1: message-size: expected a size" } },
	{ "eval-timeout = 20sec", { "1: eval-timeout: expected a time" } },
	{ "eval-timeout = 0",
	  { "1: eval-timeout: expected a time such as "
	    "\"5s\", from 100ms to 10m, found \"0\"\n" } },
	{ "hostname = mx_1..example", { "1: hostname: expected a host name" } },
	{ "hostname = 192.0.2.1", { "1: hostname: expected a host name" } },
	{ "body-directory = ''", { "1: body-directory: expected a path" } },
	{ "line-endings = ignore",
	  { "1: line-endings: expected reject or normalise, found "
	    "\"ignore\"\n" } },
	{ "dmarc { discovery-compare = maybe }",
	  { "1: dmarc discovery-compare: expected yes or no, found" } },
	{ "dmarc { authserv-id = { a.example,\n \"b c\" } }",
	  { "1: dmarc authserv-id: expected a host name, found \"b c\"\n" } },
	{ "dmarc { mode = Enforce\n on-reject = drop }",
	  { "1: dmarc mode: expected enforce or monitor, found \"Enforce\"\n",
	    "2: dmarc on-reject: expected reject, tag, subject, divert, defer "
	    "or relay, found \"drop\"\n" } },
	{ "quarantine { header = \"X Y\" subject = \"a\\tb\" recipient = q }",
	  { "1: quarantine header: expected the name of a header field",
	    "1: quarantine subject: expected printable text",
	    "1: quarantine recipient: expected a mailbox" } },
	{ "quarantine { header = subject }",
	  { "1: quarantine header: expected the name of a header field of its "
	    "own" } },
	{ "listen localhost:25 { }\nlisten \"192.0.2.1\" { }\n"
	  "listen \"2001:db8::1:25\" { }\nlisten \"127.0.0.1:65536\" { }",
	  { "1: listen: expected an address and port such as",
	    "2: listen: ", "3: listen: ", "4: listen: " } },
	{ "listen \"127.0.0.1:0\" {\n proxy-from = 192.0.2.1/24 }",
	  { "2: listen \"127.0.0.1:0\" proxy-from: expected a network" } },
	{ "backend a { address = 127.0.0.1:0 }",
	  { "1: backend \"a\" address: expected an address and port" } },
	{ "backend a { address = { 127.0.0.1:25, localhost } }",
	  { "1: backend \"a\" address: expected an address and port such as "
	    "\"192.0.2.1:25\", \"[2001:db8::1]:25\" or "
	    "\"mx2.example.com:25\", and behind it at most \"priority=20\" "
	    "and \"weight=3\", found \"localhost\"\n" } },
	{ "backend 'a b' { address = 127.0.0.1:25 }",
	  { "1: backend: expected a name of letters" } },
	{ "resolver { servers = ns.example }",
	  { "1: resolver servers: expected an address, or" } },
	{ "limit { errors = 0\n recipients = 0\n connections = 0 }",
	  { "1: limit errors: expected a number",
	    "2: limit recipients: expected a number" } },
	/* 4: what must fit together */
	{ "backend a {\n}",
	  { "1: backend \"a\" address: expected at least "
	    "one address and port, found none\n" } },
	{ "backend a { address = 127.0.0.1:25\n identity = none }",
	  { "2: backend \"a\" identity: expected xclient, proxy-v1, "
	    "proxy-v2 or transparent, found \"none\": the server would see "
	    "every client" } },
	{ "backend a {\n address = original-destination }",
	  { "2: backend \"a\" address: original-destination needs a listener "
	    "with transparent = yes or proxy-from, found none\n" } },
	{ "backend a {\n address = original-destination:0 }",
	  { "2: backend \"a\" address: expected an address and port" } },
	{ "route example.com { }",
	  { "1: route \"example.com\" backend: expected the name of a backend, "
	    "found none\n" } },
	{ "route \"*\" {\n backend = mta }",
	  { "2: route \"*\" backend: expected the name of a backend, found "
	    "\"mta\"\n" } },
	{ "listen \"127.0.0.1:25\" {\nauth = relay }",
	  { "2: listen \"127.0.0.1:25\" auth: needs tls-cert and tls-key, "
	    "found none\n" } },
	{ "backend-connect = mail\nlisten \"127.0.0.1:25\" {\nauth = relay }",
	  { "3: listen \"127.0.0.1:25\" auth: needs tls-cert and tls-key, "
	    "found none\n",
	    "3: listen \"127.0.0.1:25\" auth: expected one backend for all "
	    "its routes, and backend-connect = connect\n" } },
	{ "listen \"[::0]:25\" { }\nlisten \"[0::]:25\" { }",
	  { "2: listen \"[::]:25\": given twice, first in line 1\n" } },
	{ "dmarc { on-reject = tag\non-fail-none = divert }",
	  { "2: dmarc on-fail-none: \"divert\" has no target" } },
	{ "quarantine { action = divert }",
	  { "1: quarantine action: \"divert\" has no target" } },
	{ "quarantine { backend = x }",
	  { "1: quarantine backend: expected the name of a backend, found "
	    "\"x\"\n" } },
	{ "quarantine { header = X-A\n original-recipients-header = x-a }",
	  { "1: quarantine header: expected another name" } },
	{ "force a { }",
	  { "1: force \"a\" from: expected a domain, found none\n",
	    "1: force \"a\" policy: expected quarantine or reject, found "
	    "none" } },
	{ "force a { from = example.com policy = none }",
	  { "1: force \"a\" policy: expected quarantine or reject, found "
	    "\"none\"" } },
	{ "override a { action = accept }",
	  { "1: override \"a\": expected a condition, found none" } },
	{ "\noverride a { from = example.com }",
	  { "2: override \"a\" action: expected accept, quarantine or reject, "
	    "found none\n" } },
	{ "override a { from = 'a b' action = relay reason = because }",
	  { "1: override \"a\" from: expected a domain, found \"a b\"\n",
	    "1: override \"a\" action: expected accept, quarantine or reject, "
	    "found \"relay\"\n",
	    "1: override \"a\" reason: expected local_policy, "
	    "trusted_forwarder, mailing_list or other, found" } },
};

/* Whether the faults are those expected, each by its beginning, in the order
 * of their lines, and no others; the wanted ones may be in any order. */
static void
check_faults(size_t number, const char *const wanted[4], struct span faults)
{
	size_t count = 0, found = 0;

	for (struct span left = faults; left.n > 0; count++)
		left = span_after(left, span_find(left, '\n') + 1);
	for (size_t i = 0; i < 4 && wanted[i] != NULL; i++) {
		struct span left = faults;

		while (left.n > 0 && !span_starts(left, span_cstr(wanted[i])))
			left = span_after(left, span_find(left, '\n') + 1);
		if (left.n == 0)
			fail_msg("case %zu: no \"%s\" in:\n%.*s", number,
				 wanted[i], (int)faults.n,
				 (const char *)faults.p);
		found++;
	}
	if (found != count)
		fail_msg("case %zu: more faults than expected:\n%.*s", number,
			 (int)faults.n, (const char *)faults.p);
}

static void
test_10_every_fault_has_its_line(void **state)
{
	(void)state;
	assert_true(CASES(wrong) >= 30);
	for (size_t i = 0; i < CASES(wrong); i++) {
		struct buf faults;
		struct conf *conf;

		buf_init(&faults, CONF_FILE_SAID_MAX);
		conf = conf_file_read(span_cstr(wrong[i].text), CONF_TOOL,
				      &faults);
		if (conf != NULL)
			fail_msg("case %zu is taken: %s", i, wrong[i].text);
		check_faults(i, wrong[i].faults, buf_span(&faults));
		buf_fini(&faults);
	}
}

static void
test_11_lines_are_counted_through_comments_and_lists(void **state)
{
	struct buf faults;

	(void)state;
	buf_init(&faults, CONF_FILE_SAID_MAX);
	assert_null(conf_file_read(
		SPAN_LIT("/*/ a = 1\n b\n */ # c\n// d \" {\n\n"
			 "dmarc {\r\n authserv-id = {\n a.example, /*\n*/\n"
			 "# }\n b.example }\n  mode = \"/* \\\" # */\"\n}\n"),
		CONF_TOOL, &faults));
	assert_span(
		buf_span(&faults),
		"12: dmarc mode: expected enforce or monitor, found \"/* \" "
		"# */\"\n");
	buf_fini(&faults);
}

static void
test_12_a_file_that_is_none(void **state)
{
	struct buf faults;

	(void)state;
	buf_init(&faults, CONF_FILE_SAID_MAX);
	assert_null(conf_read("/nonexistent/proxy.conf", CONF_GATE, &faults));
	assert_span(buf_span(&faults), "/nonexistent/proxy.conf: cannot be "
				       "read: No such file or directory\n");
	buf_reset(&faults);
	assert_null(conf_read("/", CONF_GATE, &faults));
	assert_span(buf_span(&faults), "/: cannot be read: Is a directory\n");
	buf_reset(&faults);
	assert_null(
		conf_file_read(SPAN_LIT("user = a\0b"), CONF_TOOL, &faults));
	assert_span(buf_span(&faults), "1: a character that must stand in "
				       "quotes\n");
	buf_fini(&faults);
}

/* A file cut anywhere is refused with at least one fault, or taken: it never
 * ends the process. */
static void
test_13_a_file_cut_anywhere(void **state)
{
	static const char text[] =
		"/* c */ workers = 2 # x\nlisten \"127.0.0.1:25\" { }\n"
		"backend mta { address = { 127.0.0.1:26 , '[::1]:26' } }\n"
		"route \"*\" { backend = mta on-reject = \"tag\" }\n";

	(void)state;
	for (size_t n = 0; n <= sizeof text - 1; n++) {
		struct buf faults;
		struct conf *conf;

		buf_init(&faults, CONF_FILE_SAID_MAX);
		conf = conf_file_read(span_make(text, n), CONF_TOOL, &faults);
		assert_true((conf == NULL) == (faults.n > 0));
		conf_free(conf);
		buf_fini(&faults);
	}
}

/* --- what is printed ---------------------------------------------------- */

static void
print_to(const struct conf *conf, struct buf *out)
{
	buf_init(out, CONF_FILE_SAID_MAX);
	assert_true(conf_print(conf, out));
}

/* print ∘ read ∘ print = print */
static void
assert_prints_as_read(const char *text)
{
	struct buf first, second, faults;
	struct conf *conf = conf_file_good("", text);

	print_to(conf, &first);
	conf_free(conf);
	buf_init(&faults, CONF_FILE_SAID_MAX);
	conf = conf_file_read(buf_span(&first), CONF_GATE, &faults);
	if (conf == NULL)
		fail_msg("%.*s", (int)faults.n,
			 (const char *)buf_span(&faults).p);
	print_to(conf, &second);
	conf_free(conf);
	if (!span_equal(buf_span(&first), buf_span(&second)))
		fail_msg("%.*s\n---\n%.*s", (int)first.n,
			 (const char *)buf_span(&first).p, (int)second.n,
			 (const char *)buf_span(&second).p);
	buf_fini(&first);
	buf_fini(&second);
	buf_fini(&faults);
}

static void
test_20_what_is_printed_reads_as_the_same(void **state)
{
	(void)state;
	assert_prints_as_read(LEAST);
	assert_prints_as_read(
		"hostname = a.example user = u workers = 7\n"
		"eval-timeout = 1500ms psl-file = '/a b/\\\\c\"$'\n"
		"listen \"[::1]:25\" { proxy-from = { ::/0, 192.0.2.7 } }\n"
		"backend a { address = { 192.0.2.1:25, \"[::1]:26\" } }\n"
		"backend b { address = 192.0.2.1:26 identity = proxy-v1 }\n"
		"route a.example { backend = b mode = monitor\n"
		"  on-bad-policy = divert on-fail-none = defer }\n"
		"route \"*\" { backend = a }\n"
		"quarantine { backend = b subject = '${HOME} \"\\\\ ' }\n"
		"override x { client = { 192.0.2.0/24 } action = reject\n"
		"  reason = other }\n"
		"override y { from = { a.example, b.example }\n"
		"  action = quarantine }\n"
		"override z { client-name = f.example envelope = e.example\n"
		"  dkim = d.example mailing-list = yes action = accept }\n"
		"force w { from = { a.example, b.example } policy = reject }\n"
		"dmarc { honour-pct = yes no-sampling = a.example\n"
		"  no-sampling-file = /n }\n"
		"resolver { servers = { 127.0.0.1 } zone-file = /z }\n"
		"limit { connections = 0 limit-loopback = on }\n");
}

static struct buf
read_committed(const char *file)
{
	struct buf buf;
	uint8_t *room;
	FILE *in = fopen(file, "r");
	size_t n;

	if (in == NULL)
		fail_msg("%s is not there", file);
	buf_init(&buf, CONF_FILE_SAID_MAX);
	room = buf_reserve(&buf, CONF_FILE_SAID_MAX);
	assert_non_null(room);
	n = fread(room, 1, CONF_FILE_SAID_MAX, in);
	fclose(in);
	buf_extend(&buf, n);
	return buf;
}

static void
test_21_the_example_is_the_committed_one(void **state)
{
	struct buf committed = read_committed("conf/proxy.conf");
	struct buf made;

	(void)state;
	buf_init(&made, CONF_FILE_SAID_MAX);
	assert_true(conf_print_example(&made));
	if (!span_equal(buf_span(&made), buf_span(&committed)))
		fail_msg("conf/proxy.conf is not what `dmarcgatectl config "
			 "example` prints");
	buf_fini(&made);
	buf_fini(&committed);
}

/* The example as somebody would use it: the mark taken off every setting. */
static struct buf
uncommented(struct span text)
{
	struct buf buf;

	buf_init(&buf, CONF_FILE_SAID_MAX);
	for (size_t i = 0; i < text.n; i++) {
		bool is_mark = text.p[i] == '#' &&
			       (i == 0 || text.p[i - 1] == '\n' ||
				text.p[i - 1] == '\t') &&
			       i + 1 < text.n && text.p[i + 1] != '#';

		if (!is_mark)
			buf_append_octet(&buf, text.p[i]);
	}
	return buf;
}

static void
test_22_the_example_can_be_used(void **state)
{
	struct buf committed = read_committed("conf/proxy.conf");
	struct buf all = uncommented(buf_span(&committed));
	struct buf faults, made, preset;
	struct conf *conf;

	(void)state;
	buf_init(&faults, CONF_FILE_SAID_MAX);
	conf = conf_file_read(buf_span(&committed), CONF_TOOL, &faults);
	assert_non_null(conf);
	print_to(conf, &made);
	conf_free(conf);
	conf = conf_default();
	print_to(conf, &preset);
	conf_free(conf);
	assert_true(span_equal(buf_span(&made), buf_span(&preset)));

	conf = conf_file_read(buf_span(&all), CONF_GATE, &faults);
	if (conf == NULL)
		fail_msg("%.*s", (int)faults.n,
			 (const char *)buf_span(&faults).p);
	/* Every value that is a constant is the default's. */
	for (size_t i = 0; i < conf_setting_count; i++) {
		char line[128];

		if (conf_settings[i].sample != NULL)
			continue;
		snprintf(line, sizeof line, "#%s = ", conf_settings[i].word);
		assert_non_null(memmem(buf_span(&committed).p, committed.n,
				       line, strlen(line)));
	}
	assert_int_equal(conf->message_size_max, 50 << 20);
	assert_int_equal(conf->drain_us_max, 300000000);
	conf_free(conf);
	buf_fini(&committed);
	buf_fini(&all);
	buf_fini(&faults);
	buf_fini(&made);
	buf_fini(&preset);
}

static void
test_23_minimal_conf_can_be_used(void **state)
{
	struct buf committed = read_committed("conf/minimal.conf");
	struct buf faults;
	struct conf *conf;

	(void)state;
	buf_init(&faults, CONF_FILE_SAID_MAX);
	conf = conf_file_read(buf_span(&committed), CONF_GATE, &faults);
	assert_non_null(conf);
	assert_int_equal(faults.n, 0);
	conf_free(conf);
	buf_fini(&faults);
	buf_fini(&committed);
}

static void
test_24_every_setting_is_in_the_manual(void **state)
{
	struct buf manual;

	(void)state;
	buf_init(&manual, CONF_FILE_SAID_MAX);
	assert_true(conf_print_manual(&manual));
	for (size_t i = 0; i < conf_setting_count; i++) {
		char line[128];
		const uint8_t *at;

		snprintf(line, sizeof line, ".It Ic %s No = Ar ",
			 conf_settings[i].word);
		at = memmem(buf_span(&manual).p, manual.n, line, strlen(line));
		if (at == NULL)
			fail_msg("%s is not there", conf_settings[i].word);
		/* Of what it is, and what it does. */
		assert_true(at[strlen(line)] != '\n');
		assert_true(strlen(conf_settings[i].text) > 20);
	}
	buf_fini(&manual);
}

/* The table itself: what the code leans on. */
static void
test_25_rows_are_well_formed(void **state)
{
	(void)state;
	for (size_t i = 0; i < conf_setting_count; i++) {
		const struct conf_setting *row = &conf_settings[i];

		assert_true(row->preset != NULL || row->sample != NULL);
		assert_true((row->min == NULL) == (row->max == NULL));
		assert_ptr_equal(
			conf_find_setting(row->section, span_cstr(row->word)),
			row);
		assert_null(strpbrk(row->text, "\n\\"));
		assert_true(row->text[strlen(row->text) - 1] == '.');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_01_defaults),
		cmocka_unit_test(test_02_a_whole_file),
		cmocka_unit_test(test_03_the_least_file),
		cmocka_unit_test(test_04_no_route_serves_it),
		cmocka_unit_test(
			test_05_quarantine_action_is_the_default_of_on_quarantine),
		cmocka_unit_test(
			test_06_identity_none_is_a_warning_where_it_is_trusted),
		cmocka_unit_test(test_07_the_tool_needs_no_gate),
		cmocka_unit_test(test_10_every_fault_has_its_line),
		cmocka_unit_test(
			test_11_lines_are_counted_through_comments_and_lists),
		cmocka_unit_test(test_12_a_file_that_is_none),
		cmocka_unit_test(test_13_a_file_cut_anywhere),
		cmocka_unit_test(test_20_what_is_printed_reads_as_the_same),
		cmocka_unit_test(test_21_the_example_is_the_committed_one),
		cmocka_unit_test(test_22_the_example_can_be_used),
		cmocka_unit_test(test_23_minimal_conf_can_be_used),
		cmocka_unit_test(test_24_every_setting_is_in_the_manual),
		cmocka_unit_test(test_25_rows_are_well_formed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
