/* SPDX-License-Identifier: BSD-2-Clause */
/* dmarcgatectl eval: judge a message in a file, and explain. */
#include "proxy/clock.h"
#include "proxy/ctl/ctl.h"
#include "proxy/ctl/explain.h"
#include "proxy/ctl/file.h"
#include "proxy/ctl/judge.h"
#include "proxy/rules.h"

#include "dmarc/report/spool.h"
#include "smtp/reply.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define OUTPUT_MAX ((size_t)64 << 20)
#define ID_DEFAULT "eval"

/* Beside the dispositions 0, 1 and 2. */
#define STATUS_TEMPERROR 3
#define STATUS_PERMERROR 4

/* What is read for one judgement, and owned here. */
struct job {
	const struct ctl_arguments *arguments;
	struct conf *conf;
	struct conf own; /* a copy with --dns in it */
	struct conf_endpoint server;
	struct rules rules;
	struct zone *zone;
	struct buf octets; /* of the message */
	struct arena arena;
	struct span mail_from; /* without <> */
	struct span id;
	struct judge judge;
};

static const char *
option(const struct job *job, enum ctl_option which)
{
	return job->arguments->option[which];
}

/* --- what is given ------------------------------------------------------ */

/* All of a file; a complaint if that cannot be. */
static int
read_octets(const char *name, struct buf *octets)
{
	int error;

	buf_init(octets, FILE_OCTETS_MAX);
	error = file_read(name, octets);
	if (error == 0)
		return EX_OK;
	buf_fini(octets);
	return ctl_complain(EX_NOINPUT, "%s: %s", name, strerror(-error));
}

static int
read_message(struct job *job)
{
	static const char *const texts[] = {
		[FILE_BARE_CR] = "a CR inside a line",
		[FILE_NUL] = "a NUL",
		[FILE_TOO_LARGE] = "too many octets",
	};
	const char *name = job->arguments->operand[0];
	struct buf file;
	enum file_fault fault;
	int status = read_octets(name, &file);

	if (status != EX_OK)
		return status;
	fault = file_lines(buf_span(&file), job->conf->is_normalising,
			   &job->octets);
	buf_fini(&file);
	if (fault != FILE_GOOD)
		return ctl_complain(EX_DATAERR,
				    "%s: %s, which the gate refuses with "
				    "550 5.6.0 (see line-endings)",
				    name, texts[fault]);
	return EX_OK;
}

static int
load_zone(struct job *job)
{
	const char *name = option(job, EVAL_ZONE);
	struct buf text, faults;
	int status;

	if (name == NULL && option(job, EVAL_DNS) == NULL &&
	    job->conf->zone_file.n > 0)
		name = arena_string(&job->arena, job->conf->zone_file);
	if (name == NULL)
		return EX_OK;
	status = read_octets(name, &text);
	if (status != EX_OK)
		return status;
	buf_init(&faults, CTL_FAULTS_MAX);
	job->zone = zone_parse(buf_span(&text), name, &faults);
	if (job->zone == NULL)
		status = ctl_complain(EX_DATAERR, "the zone is faulty\n%.*s",
				      (int)faults.n - 1,
				      (const char *)buf_span(&faults).p);
	buf_fini(&faults);
	buf_fini(&text);
	return status;
}

/* The lists the gate would use. */
static int
open_rules(struct job *job)
{
	int status = EX_OK;
	struct buf faults;

	buf_init(&faults, CTL_FAULTS_MAX);
	if (!rules_open(&job->rules, job->conf, &faults))
		status = ctl_complain(EX_DATAERR, "%.*s", (int)faults.n - 1,
				      (const char *)buf_span(&faults).p);
	buf_fini(&faults);
	return status;
}

static int
read_server(struct job *job)
{
	const char *text = option(job, EVAL_DNS);

	job->own = *job->conf;
	if (text == NULL)
		return EX_OK;
	if (option(job, EVAL_ZONE) != NULL)
		return ctl_complain(EX_USAGE,
				    "--dns and --zone exclude each other");
	if (!conf_endpoint_parse(&job->arena, span_cstr(text), 53,
				 &job->server))
		return ctl_complain(EX_USAGE,
				    "--dns: expected an address, or address "
				    "and port, found %s",
				    text);
	job->own.resolvers = &job->server;
	job->own.resolver_count = 1;
	return EX_OK;
}

/* Seconds since 1970, or RFC 3339 in UTC. */
static int
read_time(struct job *job)
{
	const char *text = option(job, EVAL_TIME);
	struct tm tm = { 0 };
	const char *end;

	if (text == NULL) {
		job->judge.now_s = clock_wall_us() / 1000000;
		return EX_OK;
	}
	if (span_u64(span_cstr(text), &job->judge.now_s) &&
	    job->judge.now_s < UINT64_C(1) << 40)
		return EX_OK;
	end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (end == NULL || *end != '\0')
		return ctl_complain(EX_USAGE,
				    "--time: expected seconds, or a time such "
				    "as 2026-11-21T12:00:00Z, found %s",
				    text);
	job->judge.now_s = (uint64_t)timegm(&tm);
	return EX_OK;
}

/* "<alice@a.example>", "alice@a.example", "<>" or "". */
static int
read_mail_from(struct job *job)
{
	struct span text = span_cstr(option(job, EVAL_MAIL_FROM));
	struct buf path_text;
	struct span in;
	struct path path;

	if (option(job, EVAL_MAIL_FROM) == NULL)
		return EX_OK;
	buf_init(&path_text, 1024);
	if (text.n == 0 || text.p[0] != '<') {
		buf_append_octet(&path_text, '<');
		buf_append(&path_text, text);
		buf_append_octet(&path_text, '>');
	} else {
		buf_append(&path_text, text);
	}
	in = arena_copy(&job->arena, buf_span(&path_text));
	buf_fini(&path_text);
	if (!path_parse(&in, &path) || in.n > 0)
		return ctl_complain(EX_USAGE,
				    "--mail-from: expected an address, found "
				    "%.*s",
				    (int)text.n, (const char *)text.p);
	job->judge.spf.local = path.local;
	job->judge.spf.domain = path.domain;
	job->judge.spf.is_null = path.is_null;
	if (text.n > 0 && text.p[0] == '<')
		text = span_make(text.p + 1, text.n - 2);
	job->mail_from = text;
	return EX_OK;
}

static int
read_client(struct job *job)
{
	const char *ip = option(job, EVAL_IP);
	const char *id = option(job, EVAL_ID);

	job->id = span_cstr(id == NULL ? ID_DEFAULT : id);
	job->judge.percentile = id == NULL ? 0 : policy_percentile(job->id);
	job->judge.spf.helo = span_cstr(option(job, EVAL_HELO));
	job->judge.spf.gate = job->conf->hostname;
	if (ip != NULL && !ip_parse(span_cstr(ip), &job->judge.spf.client))
		return ctl_complain(EX_USAGE,
				    "--ip: expected an address, found %s", ip);
	return read_mail_from(job);
}

static int
read_all(struct job *job)
{
	int status;

	job->conf = option(job, EVAL_CONF) == NULL
			    ? conf_default()
			    : ctl_conf(option(job, EVAL_CONF), &status);
	if (job->conf == NULL)
		return option(job, EVAL_CONF) == NULL
			       ? ctl_complain(EX_OSERR, "not enough memory")
			       : status;
	status = read_server(job);
	if (status == EX_OK)
		status = read_time(job);
	if (status == EX_OK)
		status = read_client(job);
	if (status == EX_OK)
		status = load_zone(job);
	if (status == EX_OK)
		status = open_rules(job);
	if (status == EX_OK)
		status = read_message(job);
	return status;
}

/* --- what comes of it --------------------------------------------------- */

/* The reply that the gate itself would give; nothing if it would relay. */
static void
make_reply(const struct judge *judge, const struct decision *decision,
	   struct span id, struct buf *reply)
{
	struct buf text;

	if (decision->action != ACTION_REJECT &&
	    decision->action != ACTION_DEFER)
		return;
	buf_init(&text, 4096);
	decision_text(decision, &judge->verdict, id, &text);
	reply_format(reply, decision->code, decision->enhanced,
		     buf_span(&text));
	buf_fini(&text);
}

static bool
print_json(const struct job *job, const struct decision *decision,
	   struct buf *out)
{
	const struct judge *judge = &job->judge;
	struct buf reply;
	struct spool_record record = {
		.time_us = judge->now_s * 1000000,
		.id = job->id,
		.gate = job->conf->hostname,
		.client = judge->spf.client,
		.helo = judge->spf.helo,
		.mail_from = job->mail_from,
		.size = judge->octets.n,
		.verdict = &judge->verdict,
		.second = judge->other == NULL ? NULL : &judge->second,
		.spf_facts = &judge->spf,
		.answers = &judge->answers,
		.mode = conf_mode_name(job->conf->mode),
		.is_enforced = decision->is_enforced,
		.action = conf_action_name(decision->action),
		.rule = decision->rule,
		.dns_us = judge->dns_us,
		.eval_us = judge->eval_us,
		.total_us = judge->total_us,
	};
	bool has_fitted;

	if (decision->otherwise != decision->action)
		record.otherwise = conf_action_name(decision->otherwise);
	buf_init(&reply, 4096);
	make_reply(judge, decision, job->id, &reply);
	record.reply = buf_span(&reply);
	if (record.reply.n >= 2)
		record.reply.n -= 2; /* its CR LF */
	has_fitted = spool_format(&record, out);
	buf_fini(&reply);
	return has_fitted;
}

/* A From field that cannot be read without doubt is none to let through. */
static int
status_of(const struct conf *conf, const struct verdict *verdict)
{
	enum conf_action bad_from = verdict->from_fault == FROM_FAULT_NONE
					    ? ACTION_RELAY
					    : conf->bad_from;

	if (verdict->disposition == DISPOSITION_REJECT ||
	    bad_from == ACTION_REJECT)
		return 2;
	if (verdict->disposition == DISPOSITION_QUARANTINE ||
	    bad_from != ACTION_RELAY)
		return 1;
	if (verdict->result == DMARC_TEMPERROR)
		return STATUS_TEMPERROR;
	if (verdict->result == DMARC_PERMERROR)
		return STATUS_PERMERROR;
	return 0;
}

static int
print_verdict(const struct job *job)
{
	struct decision decision;
	struct buf out;
	int status;

	judge_decide(&job->judge, &decision);
	buf_init(&out, OUTPUT_MAX);
	if (option(job, EVAL_JSON) != NULL)
		print_json(job, &decision, &out);
	else
		explain(&job->judge, &decision, &out);
	status = ctl_print(&out);
	buf_fini(&out);
	return status == EX_OK ? status_of(job->conf, &job->judge.verdict)
			       : status;
}

/* Which limit it is over; the gate refuses it all the same. */
static int
complain_of_header(const struct job *job)
{
	const char *name = job->arguments->operand[0];

	if (job->judge.message.header.has_overflowed)
		return ctl_complain(
			EX_DATAERR,
			"%s: the header has more than %llu octets, "
			"which the gate refuses (see header-size)",
			name, (unsigned long long)job->conf->header_size_max);
	return ctl_complain(EX_DATAERR,
			    "%s: the header has more than %zu fields, which "
			    "the gate refuses (see header-fields)",
			    name, job->judge.message.fields_max);
}

static int
judge_and_print(struct job *job)
{
	struct buf faults;
	int status = EX_OSERR;

	job->judge.conf = &job->own;
	job->judge.zone = job->zone;
	job->judge.rules = &job->rules.settings;
	job->judge.octets = buf_span(&job->octets);
	buf_init(&faults, CTL_FAULTS_MAX);
	switch (judge_run(&job->judge, &faults)) {
	case JUDGE_DONE:
		status = print_verdict(job);
		break;
	case JUDGE_BAD_HEADER:
		status = complain_of_header(job);
		break;
	case JUDGE_FAILED:
		ctl_complain(0, "%.*s", (int)faults.n - 1,
			     (const char *)buf_span(&faults).p);
		break;
	}
	buf_fini(&faults);
	judge_fini(&job->judge);
	return status;
}

int
ctl_eval(const struct ctl_arguments *arguments)
{
	struct job *job = calloc(1, sizeof *job);
	int status;

	if (job == NULL)
		return ctl_complain(EX_OSERR, "not enough memory");
	job->arguments = arguments;
	arena_init(&job->arena, (size_t)1 << 20);
	buf_init(&job->octets, 2 * FILE_OCTETS_MAX);
	status = read_all(job);
	if (status == EX_OK)
		status = judge_and_print(job);
	zone_free(job->zone);
	rules_close(&job->rules);
	buf_fini(&job->octets);
	arena_fini(&job->arena);
	conf_free(job->conf);
	free(job);
	return status;
}
