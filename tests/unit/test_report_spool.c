/* SPDX-License-Identifier: BSD-2-Clause */
/* The verdict line: what it holds, in which order, whatever it is made of. */
#include "dmarc/report/spool.h"
#include "tests/unit/json_check.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define CASES(list) (sizeof(list) / sizeof((list)[0]))

static void
assert_span(struct span s, const char *want)
{
	if (!span_equal(s, span_cstr(want)))
		fail_msg("\n%.*s\n is not\n%s", (int)s.n, (const char *)s.p,
			 want);
}

/* A record with everything in it. */
struct sample {
	struct arena arena;
	struct answers answers;
	struct verdict verdict;
	struct dkim_signature dkim[DKIM_LISTED_MAX];
	struct spf_facts facts;
	struct override_rule override;
	struct span recipients[2];
	struct span stripped[1];
	struct spool_record record;
	struct buf line;
};

static struct span
span(const char *text)
{
	return span_cstr(text);
}

static void
answer(struct sample *sample, const char *name, enum dns_type type,
       const struct answer *given)
{
	struct answer copy = *given;
	size_t index;

	copy.name = span(name);
	copy.type = type;
	assert_null(answers_ask(&sample->answers, copy.name, type));
	assert_true(answers_unsent(&sample->answers, &index));
	answers_settle(&sample->answers, index, &copy);
}

static void
fill_answers(struct sample *sample)
{
	static const uint8_t address[4] = { 192, 0, 2, 10 };
	struct dns_record text = { .value = span("v=DMARC1; p=reject") };
	struct dns_record a = { .value = span_make(address, 4) };
	struct dns_record mx[2] = {
		{ .value = span("mx.sender.example"), .preference = 10 },
		{ .value = SPAN_NONE, .preference = 0 },
	};

	answer(sample, "_dmarc.sender.example", DNS_TXT,
	       &(struct answer){ .status = ANSWER_OK,
				 .ttl_s = 300,
				 .ms = 3.125f,
				 .records = 1,
				 .record = &text });
	answer(sample, "sender.example", DNS_A,
	       &(struct answer){ .status = ANSWER_OK,
				 .is_cached = true,
				 .is_authentic = true,
				 .records = 1,
				 .record = &a });
	answer(sample, "sender.example", DNS_MX,
	       &(struct answer){
		       .status = ANSWER_OK, .records = 2, .record = mx });
	answer(sample, "a.sender.example", DNS_A,
	       &(struct answer){ .status = ANSWER_NODATA });
	answer(sample, "b.sender.example", DNS_TXT,
	       &(struct answer){ .status = ANSWER_NXDOMAIN });
	answer(sample, "c.sender.example", DNS_TXT,
	       &(struct answer){ .status = ANSWER_TEMPERROR,
				 .error = "SERVFAIL" });
}

static void
fill_author(struct eval_author *author)
{
	struct record *record = &author->discovery.record;

	author->domain = span("news.sender.example");
	author->result = DMARC_FAIL;
	author->outcome = OUTCOME_REJECT;
	author->discovered = DISCOVERY_FOUND;
	author->discovery.domain = span("sender.example");
	author->discovery.organizational = span("sender.example");
	assert_true(record_parse(
		span("v=DMARC1; p=reject; rua=mailto:r@sender.example"),
		record));
	author->effective.is_usable = true;
	author->effective.published = POLICY_REJECT;
	author->effective.applied = POLICY_REJECT;
	author->is_author_known = true;
	author->does_author_exist = true;
	author->dkim_aligned = 2;
	author->disposition = DISPOSITION_REJECT;
	author->org_treewalk = span("sender.example");
	author->org_psl = span("sender.example");
}

static void
fill_verdict(struct sample *sample)
{
	struct verdict *verdict = &sample->verdict;

	verdict->spf.result = SPF_SOFTFAIL;
	verdict->spf.domain = span("sender.example");
	verdict->spf.reason = "matched ~all";
	sample->dkim[0] = (struct dkim_signature){
		.result = DKIM_PERMERROR,
		.reason = "no key",
		.algorithm = span("rsa-sha256"),
	};
	sample->dkim[1] = (struct dkim_signature){
		.result = DKIM_FAIL,
		.reason = "body hash",
		.domain = span("sender.example"),
		.selector = span("s1"),
		.algorithm = span("ed25519-sha256"),
		.bits = 256,
		.has_length = true,
		.unsigned_octets = 7,
	};
	verdict->dkim = sample->dkim;
	verdict->dkim_count = 2;
	verdict->authors = 1;
	fill_author(&verdict->author[0]);
	verdict->result = DMARC_FAIL;
	verdict->outcome = OUTCOME_REJECT;
	verdict->policy_disposition = DISPOSITION_REJECT;
	verdict->disposition = DISPOSITION_NONE;
	sample->override = (struct override_rule){
		.name = span("lists"),
		.reason = "mailing_list",
	};
	verdict->override = &sample->override;
	verdict->rule = "override";
	verdict->has_list_id = true;
	verdict->message_id = span("<1@sender.example>");
}

static void
fill_record(struct sample *sample)
{
	static const uint8_t client[4] = { 192, 0, 2, 10 };

	sample->recipients[0] = span("bob@backend.example");
	sample->recipients[1] = span("eve@backend.example");
	sample->stripped[0] = span("Authentication-Results");
	sample->record = (struct spool_record){
		.time_us = UINT64_C(1795262400123456),
		.id = span("6q3k.1"),
		.gate = span("mx1.example"),
		.listener = span("0.0.0.0:25"),
		.client = ip_make(client, 4),
		.client_port = 4242,
		.helo = span("mx.sender.example"),
		.identity = "direct",
		.mail_from = span("alice@sender.example"),
		.recipients = sample->recipients,
		.recipient_count = 2,
		.size = 10234,
		.verdict = &sample->verdict,
		.spf_facts = &sample->facts,
		.answers = &sample->answers,
		.route = span("*"),
		.mode = "enforce",
		.is_enforced = true,
		.action = "relay",
		.otherwise = "reject",
		.reply = span("250 2.0.0 Ok"),
		.backend = span("mta"),
		.is_accepted = true,
		.stripped = sample->stripped,
		.stripped_count = 1,
		.dns_us = 3100,
		.eval_us = 200,
		.backend_us = 1400,
		.total_us = 120300,
	};
}

static int
set_up(void **state)
{
	struct sample *sample = calloc(1, sizeof *sample);

	assert_non_null(sample);
	arena_init(&sample->arena, (size_t)16 << 20);
	answers_init(&sample->answers, &sample->arena, ANSWERS_MAX);
	buf_init(&sample->line, 4 * SPOOL_LINE_MAX);
	fill_answers(sample);
	fill_verdict(sample);
	fill_record(sample);
	*state = sample;
	return 0;
}

static int
tear_down(void **state)
{
	struct sample *sample = *state;

	buf_fini(&sample->line);
	arena_fini(&sample->arena);
	free(sample);
	return 0;
}

/* The line, which is valid, without its LF. */
static struct span
format(struct sample *sample)
{
	struct span line;

	buf_reset(&sample->line);
	assert_true(spool_format(&sample->record, &sample->line));
	line = buf_span(&sample->line);
	assert_true(line.n <= SPOOL_LINE_MAX);
	assert_int_equal(span_find(line, '\n'), line.n - 1);
	line.n--;
	if (!json_check(line))
		fail_msg("not JSON: %.*s", (int)line.n, (const char *)line.p);
	return line;
}

static void
assert_at(struct span line, const char *path, const char *want)
{
	struct span value = json_check_find(line, span(path));

	if (!span_equal(value, span(want)))
		fail_msg("%s is %.*s, not %s", path, (int)value.n,
			 (const char *)value.p, want);
}

/* --- what it holds ------------------------------------------------------ */

static void
test_01_a_whole_line(void **state)
{
	assert_span(
		format(*state),
		"{\"v\":1,\"time\":\"2026-11-21T12:00:00.123456Z\","
		"\"id\":\"6q3k.1\",\"gate\":\"mx1.example\","
		"\"listener\":\"0.0.0.0:25\","
		"\"client\":{\"ip\":\"192.0.2.10\",\"port\":4242,"
		"\"name\":null,\"helo\":\"mx.sender.example\",\"tls\":null,"
		"\"tls_cipher\":null,\"tls_sni\":null,\"cert\":null,"
		"\"identity\":\"direct\"},"
		"\"envelope\":{\"from\":\"alice@sender.example\","
		"\"rcpt\":[\"bob@backend.example\",\"eve@backend.example\"]},"
		"\"header_from\":\"news.sender.example\","
		"\"from_domains\":[\"news.sender.example\"],"
		"\"message_id\":\"<1@sender.example>\",\"size\":10234,"
		"\"spf\":{\"result\":\"softfail\",\"domain\":\"sender."
		"example\","
		"\"scope\":\"mfrom\",\"aligned\":false,"
		"\"reason\":\"matched "
		"~all\",\"explanation\":null,\"second\":null},"
		"\"dkim\":[{\"result\":\"permerror\",\"domain\":null,"
		"\"selector\":null,\"algorithm\":\"rsa-sha256\",\"bits\":0,"
		"\"aligned\":false,\"unsigned_octets\":0,"
		"\"reason\":\"no key\",\"second\":null},"
		"{\"result\":\"fail\",\"domain\":\"sender.example\","
		"\"selector\":\"s1\",\"algorithm\":\"ed25519-sha256\","
		"\"bits\":256,\"aligned\":true,\"unsigned_octets\":7,"
		"\"reason\":\"body hash\",\"second\":null}],"
		"\"arc\":{\"result\":\"none\",\"evaluated\":false,"
		"\"reason\":null,\"instance\":0,\"oldest_pass\":null,"
		"\"sets\":[]},"
		"\"dmarc\":{\"result\":\"fail\",\"policy\":\"reject\","
		"\"domain\":\"sender.example\","
		"\"record\":\"v=DMARC1; p=reject; "
		"rua=mailto:r@sender.example\","
		"\"discovery\":\"treewalk\","
		"\"tags\":{\"p\":\"reject\",\"sp\":null,\"np\":null,"
		"\"adkim\":null,\"aspf\":null,\"fo\":null,\"t\":null,"
		"\"psd\":null,\"pct\":null,\"rua\":\"mailto:r@sender.example\","
		"\"ruf\":null},\"org_domain\":\"sender.example\","
		"\"org\":{\"treewalk\":\"sender.example\","
		"\"psl\":\"sender.example\"},\"author_exists\":true,"
		"\"error\":null,\"force\":null,\"sampled_out\":false,"
		"\"outcome\":\"reject\",\"from_fault\":null},"
		"\"signals\":{\"spf_all\":false,\"dkim_count\":2,"
		"\"list_id\":true,\"list_post\":false,"
		"\"auto_submitted\":false},"
		"\"rule\":\"override\",\"disposition\":\"none\","
		"\"override\":{\"name\":\"lists\",\"reason\":\"mailing_list\","
		"\"comment\":null,"
		"\"instead_of\":\"reject\"},\"enforced\":true,"
		"\"mode\":\"enforce\",\"action\":\"relay\","
		"\"otherwise\":\"reject\",\"reply\":\"250 2.0.0 Ok\","
		"\"route\":\"*\",\"backend\":\"mta\",\"backend_tls\":null,"
		"\"accepted\":true,"
		"\"authenticated\":false,"
		"\"stripped\":[\"Authentication-Results\"],"
		"\"dns\":[{\"name\":\"_dmarc.sender.example\",\"type\":\"TXT\","
		"\"rcode\":\"NOERROR\",\"answer\":[\"v=DMARC1; p=reject\"],"
		"\"ttl\":300,\"cached\":false,\"ad\":false,\"ms\":3.125},"
		"{\"name\":\"sender.example\",\"type\":\"A\","
		"\"rcode\":\"NOERROR\",\"answer\":[\"192.0.2.10\"],\"ttl\":0,"
		"\"cached\":true,\"ad\":true,\"ms\":0},"
		"{\"name\":\"sender.example\",\"type\":\"MX\","
		"\"rcode\":\"NOERROR\","
		"\"answer\":[\"10 mx.sender.example\",\"0 .\"],\"ttl\":0,"
		"\"cached\":false,\"ad\":false,\"ms\":0},"
		"{\"name\":\"a.sender.example\",\"type\":\"A\","
		"\"rcode\":\"NOERROR\",\"answer\":[],\"ttl\":0,"
		"\"cached\":false,\"ad\":false,\"ms\":0},"
		"{\"name\":\"b.sender.example\",\"type\":\"TXT\","
		"\"rcode\":\"NXDOMAIN\",\"answer\":[],\"ttl\":0,"
		"\"cached\":false,\"ad\":false,\"ms\":0},"
		"{\"name\":\"c.sender.example\",\"type\":\"TXT\","
		"\"rcode\":\"SERVFAIL\",\"answer\":[],\"ttl\":0,"
		"\"cached\":false,\"ad\":false,\"ms\":0}],"
		"\"ms\":{\"dns\":3.1,\"eval\":0.2,\"backend\":1.4,"
		"\"total\":120.3},\"truncated\":[]}");
}

/* A message that was not judged has the same keys. */
static void
test_02_not_judged(void **state)
{
	struct sample *sample = *state;
	struct span line;

	sample->record.verdict = NULL;
	sample->record.answers = NULL;
	sample->record.is_authenticated = true;
	sample->record.mail_from = SPAN_NONE;
	sample->record.rule = "authenticated";
	line = format(sample);
	assert_at(line, "header_from", "null");
	assert_at(line, "from_domains", "[]");
	assert_at(line, "spf", "null");
	assert_at(line, "dkim", "[]");
	assert_at(line, "dmarc", "null");
	assert_at(line, "signals", "null");
	assert_at(line, "override", "null");
	assert_at(line, "disposition", "\"none\"");
	assert_at(line, "rule", "\"authenticated\"");
	assert_at(line, "envelope.from", "\"\"");
	assert_at(line, "authenticated", "true");
	assert_at(line, "dns", "[]");
}

/* No author domain: the keys of dmarc are there all the same. */
static void
test_03_no_author(void **state)
{
	struct sample *sample = *state;
	struct span line;

	sample->verdict.authors = 0;
	sample->verdict.from_fault = FROM_FAULT_MISSING;
	sample->verdict.result = DMARC_PERMERROR;
	sample->verdict.outcome = OUTCOME_NA;
	sample->record.client = (struct ip){ 0 };
	line = format(sample);
	assert_at(line, "header_from", "null");
	assert_at(line, "client.ip", "null");
	assert_at(line, "dmarc.result", "\"permerror\"");
	assert_at(line, "dmarc.policy", "null");
	assert_at(line, "dmarc.tags", "null");
	assert_at(line, "dmarc.org.psl", "null");
	assert_at(line, "dmarc.author_exists", "null");
	assert_true(json_check_find(line, span("dmarc.from_fault")).n > 6);
	assert_at(line, "dkim.1.aligned", "false");
}

/* The author that decided is the one shown. */
static void
test_04_several_authors(void **state)
{
	struct sample *sample = *state;
	struct span line;

	sample->verdict.authors = 2;
	sample->verdict.author[1].domain = span("other.example");
	sample->verdict.author[1].error = "bad-policy";
	sample->verdict.author[1].is_spf_aligned = true;
	sample->verdict.deciding = 1;
	sample->verdict.override = NULL;
	sample->record.rule = "mode";
	line = format(sample);
	assert_at(line, "rule", "\"mode\"");
	assert_at(line, "header_from", "\"other.example\"");
	assert_at(line, "from_domains",
		  "[\"news.sender.example\",\"other.example\"]");
	assert_at(line, "dmarc.error", "\"bad-policy\"");
	assert_at(line, "spf.aligned", "true");
	assert_at(line, "override", "null");
}

static void
test_05_a_chain(void **state)
{
	struct sample *sample = *state;
	const struct arc_set sets[2] = {
		{ .status = ARC_STATUS_NONE,
		  .seal = { .domain = span("one.example"),
			    .selector = span("s1") },
		  .message = { .domain = span("mx.one.example"),
			       .selector = span("m1") } },
		{ .status = ARC_STATUS_MISSING },
	};
	struct arc_chain chain = { .result = ARC_PASS,
				   .reason = "",
				   .sets = 1,
				   .set = sets,
				   .has_oldest_pass = true,
				   .oldest_pass = 1 };
	struct span line;

	sample->verdict.arc = &chain;
	sample->verdict.override_comment = span("arc=pass");
	line = format(sample);
	assert_at(line, "override.comment", "\"arc=pass\"");
	assert_at(line, "arc",
		  "{\"result\":\"pass\",\"evaluated\":true,"
		  "\"reason\":null,\"instance\":0,\"oldest_pass\":1,"
		  "\"sets\":[{\"i\":1,\"cv\":\"none\","
		  "\"domain\":\"one.example\",\"selector\":\"s1\","
		  "\"ams_domain\":\"mx.one.example\","
		  "\"ams_selector\":\"m1\"}]}");
	chain = (struct arc_chain){ .result = ARC_FAIL,
				    .reason = "a field of the set is missing",
				    .instance = 2,
				    .sets = 2,
				    .set = sets };
	line = format(sample);
	assert_at(line, "arc.reason", "\"a field of the set is missing\"");
	assert_at(line, "arc.instance", "2");
	assert_at(line, "arc.oldest_pass", "null");
	assert_at(line, "arc.sets.1.cv", "null");
	assert_at(line, "arc.sets.1.domain", "null");
	chain = (struct arc_chain){ .result = ARC_NONE, .reason = "" };
	line = format(sample);
	assert_at(line, "arc.result", "\"none\"");
	assert_at(line, "arc.evaluated", "true");
	assert_at(line, "arc.sets", "[]");
}

/* --- hostile values ----------------------------------------------------- */

static void
test_10_hostile_octets(void **state)
{
	struct sample *sample = *state;
	struct span list[2] = { span("a@\xff"), span("b") };
	struct span line;

	sample->record.helo = SPAN_LIT("a\0\n\"},\"v\":2,{\x1b[2J\xe2\x80\xae");
	sample->record.mail_from = span("\xff\xc3\xbc");
	sample->record.recipients = list;
	sample->verdict.message_id = span("<\xc2\x9b>\r\n{\"v\":1");
	line = format(sample);
	assert_at(line, "v", "1");
	assert_at(line, "client.helo",
		  "\"a\\u0000\\u000a\\\"},\\\"v\\\":2,{\\u001b[2J\\u202e\"");
	assert_at(line, "envelope.from", "\"\xef\xbf\xbd\xc3\xbc\"");
	assert_at(line, "envelope.from_b64", "\"/8O8\"");
	assert_at(line, "envelope.rcpt", "[\"a@\xef\xbf\xbd\",\"b\"]");
	assert_at(line, "envelope.rcpt_b64", "[\"YUD/\",null]");
	assert_at(line, "message_id",
		  "\"<\\u009b>\\u000d\\u000a{\\\"v\\\":1\"");
}

/* A text over its limit is cut at a character, and said to be. */
static void
test_11_a_long_text(void **state)
{
	struct sample *sample = *state;
	static uint8_t octets[200000];
	struct span line;

	memset(octets, 'x', sizeof octets);
	octets[SPOOL_TEXT_MAX - 1] = 0xc3;
	octets[SPOOL_TEXT_MAX] = 0xbc;
	sample->verdict.message_id = span_make(octets, sizeof octets);
	line = format(sample);
	assert_int_equal(json_check_find(line, span("message_id")).n,
			 SPOOL_TEXT_MAX - 1 + 2);
	assert_at(line, "truncated", "[\"message_id\"]");
}

/* Add n questions with long answers. */
static void
add_answers(struct sample *sample, size_t n)
{
	static uint8_t octets[400];
	struct dns_record records[2];

	memset(octets, 1, sizeof octets);
	records[0] = (struct dns_record){ .value = span_make(octets, 400) };
	records[1] = (struct dns_record){ .value = span("second") };
	for (size_t i = 0; i < n; i++) {
		char name[32];

		snprintf(name, sizeof name, "n%zu.example", i);
		answer(sample, name, DNS_TXT,
		       &(struct answer){ .status = ANSWER_OK,
					 .records = 2,
					 .record = records });
	}
}

static void
test_12_dns_is_cut_first(void **state)
{
	struct sample *sample = *state;
	struct span line;

	add_answers(sample, 100);
	line = format(sample);
	assert_at(line, "truncated", "[\"dns\"]");
	assert_at(line, "dkim.1.result", "\"fail\"");
	assert_at(line, "dns.0.name", "\"_dmarc.sender.example\"");
	/* As many as fit: each is a little over 2400 octets. */
	assert_true(line.n > SPOOL_LINE_MAX - 2600);
	assert_true(json_check_find(line, span("dns.9")).n > 2400);
}

static void
test_13_then_recipients(void **state)
{
	struct sample *sample = *state;
	static struct span list[1000];
	struct span line;

	for (size_t i = 0; i < CASES(list); i++)
		list[i] = span("somebody.with.a.long.name@backend.example");
	sample->record.recipients = list;
	sample->record.recipient_count = CASES(list);
	add_answers(sample, 3);
	line = format(sample);
	assert_at(line, "dns", "[]");
	assert_at(line, "truncated", "[\"envelope.rcpt\",\"dns\"]");
	assert_true(json_check_find(line, span("envelope.rcpt.500")).n > 0);
	assert_true(line.n > SPOOL_LINE_MAX - 50);
}

/* Everything at its most hostile: still one valid line. */
static void
test_14_everything_at_once(void **state)
{
	struct sample *sample = *state;
	static uint8_t octets[4000];
	static struct span list[1000];
	struct span bad, line;
	struct record *record = &sample->verdict.author[0].discovery.record;

	memset(octets, 0xff, sizeof octets);
	bad = span_make(octets, sizeof octets);
	for (size_t i = 0; i < CASES(list); i++)
		list[i] = bad;
	sample->record.recipients = sample->record.stripped = list;
	sample->record.recipient_count = sample->record.stripped_count =
		CASES(list);
	sample->record.helo = sample->record.client_name =
		sample->record.mail_from = sample->record.reply = bad;
	sample->verdict.message_id = sample->verdict.spf.explanation = bad;
	record->text = record->tag_p = record->tag_sp = record->tag_np =
		record->tag_adkim = record->tag_aspf = record->tag_fo =
			record->tag_t = record->tag_psd = record->tag_pct =
				record->rua = record->ruf = bad;
	for (size_t i = 0; i < DKIM_LISTED_MAX; i++)
		sample->dkim[i] = (struct dkim_signature){ .reason = "",
							   .domain = bad,
							   .selector = bad,
							   .algorithm = bad };
	sample->verdict.dkim_count = DKIM_LISTED_MAX;
	add_answers(sample, 200);
	line = format(sample);
	assert_at(line, "dns", "[]");
	assert_true(json_check_find(line, span("truncated.5")).n > 0);
}

/* --- where it goes ------------------------------------------------------ */

static void
test_20_a_buf_without_room(void **state)
{
	struct sample *sample = *state;
	struct buf small;

	buf_init(&small, SPOOL_LINE_MAX + 9);
	buf_append(&small, SPAN_LIT("0123456789"));
	assert_false(spool_format(&sample->record, &small));
	assert_span(buf_span(&small), "0123456789");
	buf_consume(&small, 1);
	assert_true(spool_format(&sample->record, &small));
	assert_true(
		span_starts(buf_span(&small), SPAN_LIT("123456789{\"v\":1,")));
	buf_fini(&small);
}

/* Lines stand behind what the buf held; a line that had to be cut too. */
static void
test_21_behind_other_lines(void **state)
{
	struct sample *sample = *state;
	struct span first, second;

	format(sample);
	add_answers(sample, 100);
	assert_true(spool_format(&sample->record, &sample->line));
	first = buf_span(&sample->line);
	second = span_after(first, span_find(first, '\n') + 1);
	first.n -= second.n;
	assert_true(json_check(span_first(first, first.n - 1)));
	assert_true(json_check(span_first(second, second.n - 1)));
	assert_int_equal(sample->line.max, 4 * SPOOL_LINE_MAX);
}

#define WITH_SAMPLE(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SAMPLE(test_01_a_whole_line),
		WITH_SAMPLE(test_02_not_judged),
		WITH_SAMPLE(test_03_no_author),
		WITH_SAMPLE(test_04_several_authors),
		WITH_SAMPLE(test_05_a_chain),
		WITH_SAMPLE(test_10_hostile_octets),
		WITH_SAMPLE(test_11_a_long_text),
		WITH_SAMPLE(test_12_dns_is_cut_first),
		WITH_SAMPLE(test_13_then_recipients),
		WITH_SAMPLE(test_14_everything_at_once),
		WITH_SAMPLE(test_20_a_buf_without_room),
		WITH_SAMPLE(test_21_behind_other_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
