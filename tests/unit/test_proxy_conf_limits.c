/* SPDX-License-Identifier: BSD-2-Clause */
/* proxy.conf: limits and time-outs, their bounds, and which fit together. */
#include "tests/holds.h"
#include "tests/unit/conf_file.h"

#define LEAST                                                         \
	"listen \"127.0.0.1:25\" { }\n"                               \
	"backend mta { address = 127.0.0.1:26 identity = xclient }\n" \
	"route \"*\" { backend = mta }\n"

static void
the_defaults_are_those_of_the_rfc_or_near(void **state)
{
	const uint64_t minute = 60000000;
	struct conf *conf = conf_file_good(LEAST, "");

	(void)state;
	assert_int_equal(conf->banner_us_max, 5 * minute);
	assert_int_equal(conf->client_us_max, 5 * minute);
	assert_int_equal(conf->command_us_max, 5 * minute);
	assert_int_equal(conf->block_us_max, 3 * minute);
	assert_int_equal(conf->rate_us, 5 * minute);
	assert_int_equal(conf->data_rate_min, 100);
	assert_int_equal(conf->backends[0].reply_us_max, 5 * minute);
	assert_int_equal(conf->backends[0].data_reply_us_max, 2 * minute);
	assert_int_equal(conf->backends[0].block_us_max, 3 * minute);
	assert_int_equal(conf->backends[0].final_us_max, 10 * minute);
	assert_int_equal(conf->memory_max, 1 << 30);
	assert_int_equal(conf->connections_total_max, 0);
	assert_int_equal(conf->connections_per_network_max, 0);
	assert_int_equal(conf->connection_rate.count, 0);
	assert_int_equal(conf->message_rate.count, 0);
	assert_int_equal(conf->command_line_max, 2048);
	assert_int_equal(conf->fields_max, 1000);
	assert_int_equal(conf->line_max, 0);
	conf_free(conf);
}

static void
a_rate_is_a_number_in_a_time(void **state)
{
	static const struct {
		const char *text, *printed;
		unsigned count;
		uint64_t period_us;
	} rates[] = {
		{ "1/1s", "\"1/1s\"", 1, 1000000 },
		{ "90/60m", "\"90/1h\"", 90, UINT64_C(3600000000) },
		{ "4294967295/1d", "\"4294967295/1d\"", UINT32_MAX,
		  UINT64_C(86400000000) },
		{ "10/5", "\"10/5s\"", 10, 5000000 },
		{ "0", "\"0\"", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct conf *conf;
		struct buf out;
		char text[100];

		buf_init(&out, CONF_FILE_SAID_MAX);
		snprintf(text, sizeof(text), "limit { message-rate = \"%s\" }",
			 rates[i].text);
		conf = conf_file_good(LEAST, text);
		assert_int_equal(conf->message_rate.count, rates[i].count);
		assert_int_equal(conf->message_rate.period_us,
				 rates[i].period_us);
		assert_true(conf_print(conf, &out));
		snprintf(text, sizeof(text), "message-rate = %s\n",
			 rates[i].printed);
		assert_true(holds(buf_span(&out), span_cstr(text)));
		buf_fini(&out);
		conf_free(conf);
	}
}

static void
what_is_no_limit_is_refused(void **state)
{
	static const char *const wrong[] = {
		"limit { message-rate = \"0/1m\" }",
		"limit { message-rate = \"1/0\" }",
		"limit { message-rate = \"1/2d\" }",
		"limit { message-rate = \"1\" }",
		"limit { message-rate = \"/1m\" }",
		"limit { message-rate = \"4294967296/1m\" }",
		"limit { message-rate = \"-1/1m\" }",
		"limit { command-line = 511 }",
		"limit { command-line = 2049 }",
		"limit { header-fields = 0 }",
		"limit { header-fields = 1001 }",
		"limit { exempt = {\"192.0.2.1/24\"} }",
		"greeting-timeout = 0",
		"command-time = 999ms",
		"data-rate = many",
		"resolver { questions = 199 }",
		"resolver { questions = 321 }",
		"resolver { ttl-min = 61m }",
		"resolver { ttl-max = 0 }",
		"resolver { negative-ttl-max = 2d }",
		"resolver { failure-ttl = 6m }",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct buf said;

		buf_init(&said, CONF_FILE_SAID_MAX);
		if (conf_file_behind(LEAST, wrong[i], &said) != NULL)
			fail_msg("taken: %s", wrong[i]);
		assert_true(holds(buf_span(&said), SPAN_LIT("4: ")));
		assert_true(holds(buf_span(&said), SPAN_LIT("expected ")));
		buf_fini(&said);
	}
}

static void
what_does_not_fit_together_is_a_warning(void **state)
{
	static const struct {
		const char *text, *said;
	} warned[] = {
		{ "data-time = 2m  data-rate = 0  message-size = 1M",
		  "warning: data-timeout: longer than data-time" },
		{ "data-rate-time = 30m",
		  "warning: data-rate-time: as long as data-time" },
		{ "message-size = 10G",
		  "warning: data-time: too short for a message" },
		{ "memory = 500k",
		  "warning: memory: less than body-memory and header-size" },
		{ "limit { connections-per-network = 19 }",
		  "warning: connections-per-address: more than "
		  "connections-per-network" },
		{ "limit { connections-total = 19 }",
		  "warning: connections-per-address: more than "
		  "connections-total" },
		{ "resolver { ttl-min = 2m  ttl-max = 1m }",
		  "warning: ttl-min: more than ttl-max" },
		{ "resolver { servers = {\"127.0.0.1\", \"192.0.2.1\"} "
		  "trust-ad = yes }",
		  "warning: trust-ad: one of the servers is not on this host" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(warned) / sizeof(warned[0]); i++) {
		struct buf said;
		struct conf *conf;

		buf_init(&said, CONF_FILE_SAID_MAX);
		conf = conf_file_behind(LEAST, warned[i].text, &said);
		assert_non_null(conf);
		if (!holds(buf_span(&said), span_cstr(warned[i].said)) ||
		    span_find(buf_span(&said), '\n') != said.n - 1)
			fail_msg("%s: %.*s", warned[i].text, (int)said.n,
				 (const char *)buf_span(&said).p);
		conf_free(conf);
		buf_fini(&said);
	}
}

static void
who_is_limited(void **state)
{
	static const struct {
		const char *address;
		bool is_limited, is_with_loopback;
	} rows[] = {
		{ "192.0.2.1", true, true },
		{ "198.51.100.7", false, false },
		{ "2001:db8::1", false, false },
		{ "2001:db9::1", true, true },
		{ "127.0.0.1", false, true },
		{ "::1", false, true },
	};
	struct conf *conf = conf_file_good(
		LEAST,
		"limit { exempt = {\"198.51.100.0/24\", \"2001:db8::/32\"} }");
	struct ip nobody = { IP_NONE, { 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip ip;

		assert_true(ip_parse(span_cstr(rows[i].address), &ip));
		conf->limits_loopback = false;
		assert_int_equal(conf_is_limited(conf, &ip),
				 rows[i].is_limited);
		conf->limits_loopback = true;
		assert_int_equal(conf_is_limited(conf, &ip),
				 rows[i].is_with_loopback);
	}
	assert_false(conf_is_limited(conf, &nobody));
	conf_free(conf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults_are_those_of_the_rfc_or_near),
		cmocka_unit_test(a_rate_is_a_number_in_a_time),
		cmocka_unit_test(what_is_no_limit_is_refused),
		cmocka_unit_test(what_does_not_fit_together_is_a_warning),
		cmocka_unit_test(who_is_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
