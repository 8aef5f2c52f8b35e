/* SPDX-License-Identifier: BSD-2-Clause */
/* The lists of domains that a configuration names, what is said of those that
 * cannot be had, and of rules that open a hole. */
#include "proxy/rules.h"
#include "tests/unit/conf_file.h"

#define LEAST                                                         \
	"listen \"127.0.0.1:25\" { }\n"                               \
	"backend mta { address = 127.0.0.1:26 identity = xclient }\n" \
	"route \"*\" { backend = mta }\n"

/* Rules of a configuration behind which the name of a file of that text
 * stands; NULL: of one that is not there. What is said of it goes to said. */
static bool
open_with(const char *before, const char *text, struct rules *rules,
	  struct conf **conf, char said[1000])
{
	char name[64] = "/does/not/exist", line[200];
	struct buf faults;
	bool is_open;

	if (text != NULL)
		conf_file_write(span_cstr(text), name);
	snprintf(line, sizeof(line), "%s\"%s\" %s", before, name,
		 strchr(before, '{') != NULL ? "}" : "");
	*conf = conf_file_good(LEAST, line);
	buf_init(&faults, CONF_FILE_SAID_MAX);
	is_open = rules_open(rules, *conf, &faults);
	snprintf(said, 1000, "%.*s", (int)faults.n,
		 (const char *)buf_span(&faults).p);
	buf_fini(&faults);
	if (text != NULL)
		unlink(name);
	return is_open;
}

static void
both_lists_are_read(void **state)
{
	struct rules rules;
	struct conf *conf;
	char said[1000];

	(void)state;
	assert_true(open_with("dmarc { no-sampling = a.example\n"
			      "no-sampling-file = ",
			      "b.example # b\n", &rules, &conf, said));
	assert_string_equal(said, "");
	assert_true(domain_list_has(rules.settings.unsampled,
				    SPAN_LIT("x.a.example")));
	assert_true(domain_list_has(rules.settings.unsampled,
				    SPAN_LIT("b.example")));
	assert_false(domain_list_has(rules.settings.unsampled,
				     SPAN_LIT("c.example")));
	rules_close(&rules);
	conf_free(conf);
	assert_true(
		open_with("psl-file = ", "com\nco.uk\n", &rules, &conf, said));
	assert_true(span_equal(domain_psl_organizational(rules.settings.psl,
							 SPAN_LIT("a.b.co.uk")),
			       SPAN_LIT("b.co.uk")));
	rules_close(&rules);
	conf_free(conf);
}

static void
what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *before, *text, *said;
	} cases[] = {
		{ "psl-file = ", NULL,
		  "cannot read /does/not/exist: No such file or directory\n" },
		{ "psl-file = ", "// none\n", ": not a public suffix list\n" },
		{ "psl-file = ", "// a list\ncom\n<html>404\n",
		  ":3: expected a rule of a public suffix list, such as "
		  "\"co.uk\"\n" },
		{ "psl-file = ", "root:x:0:0:root:/root:/bin/sh\n",
		  ":1: expected a rule" },
		{ "dmarc { no-sampling-file = ", NULL,
		  "cannot read /does/not/exist: No such file or directory\n" },
		{ "dmarc { no-sampling-file = ",
		  "# one\na.example\nb example\n", ":3: expected a domain\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rules rules;
		struct conf *conf;
		char said[1000];

		assert_false(open_with(cases[i].before, cases[i].text, &rules,
				       &conf, said));
		if (strstr(said, cases[i].said) == NULL)
			fail_msg("case %zu: %s", i, said);
		rules_close(&rules);
		conf_free(conf);
	}
}

/* An exemption that rests on what anybody may write; and two that do not. */
static void
an_override_that_opens_a_hole_is_a_warning(void **state)
{
	static const struct {
		const char *rule;
		bool is_warned;
	} cases[] = {
		{ "from = a.example action = accept", true },
		{ "mailing-list = yes action = accept", true },
		{ "from = a.example mailing-list = yes action = accept", true },
		{ "from = a.example action = quarantine", false },
		{ "from = a.example client = 192.0.2.1/32 action = accept",
		  false },
		{ "client = 0.0.0.0/0 action = accept", true },
		{ "client = {192.0.2.1/32, \"::/0\"} action = accept", true },
		{ "client = 0.0.0.0/0 dkim = a.example action = accept",
		  false },
		{ "client-name = f.example action = accept", false },
		{ "envelope = f.example action = accept", false },
		{ "dkim = f.example action = accept", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[200];
		struct buf said;
		struct conf *conf;

		snprintf(text, sizeof(text), "override a { %s }",
			 cases[i].rule);
		buf_init(&said, CONF_FILE_SAID_MAX);
		conf = conf_file_behind(LEAST, text, &said);
		assert_non_null(conf);
		if (span_starts(buf_span(&said),
				SPAN_LIT("4: warning: override \"a\": it "
					 "accepts what anybody may write")) !=
		    cases[i].is_warned)
			fail_msg("%s: %.*s", text, (int)said.n,
				 (const char *)buf_span(&said).p);
		conf_free(conf);
		buf_fini(&said);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_lists_are_read),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(an_override_that_opens_a_hole_is_a_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
