/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/report/spool_line.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

static const char *const list_names[SPOOL_LIST_COUNT] = {
	[SPOOL_LIST_DNS] = "dns",
	[SPOOL_LIST_RCPT] = "envelope.rcpt",
	[SPOOL_LIST_DKIM] = "dkim",
	[SPOOL_LIST_ARC] = "arc.sets",
	[SPOOL_LIST_STRIPPED] = "stripped",
	[SPOOL_LIST_FROM_DOMAINS] = "from_domains",
};

static void
note_truncated(struct spool_writer *writer, const char *name)
{
	for (size_t i = 0; i < writer->truncated_count; i++)
		if (strcmp(writer->truncated[i], name) == 0)
			return;
	assert(writer->truncated_count < SPOOL_TRUNCATED_MAX);
	writer->truncated[writer->truncated_count++] = name;
}

/* As much of a text as may be written; `path` names it. */
static struct span
cut(struct spool_writer *writer, const char *path, struct span text)
{
	struct span kept = json_cut(text, writer->text_max);

	if (kept.n < text.n)
		note_truncated(writer, path);
	return kept;
}

/* The last part of "dmarc.tags.rua". */
static const char *
key_of(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot == NULL ? path : dot + 1;
}

/* A member with a text; and one where an empty text is null. */
static void
text(struct spool_writer *writer, const char *path, struct span value)
{
	json_member(&writer->json, key_of(path), cut(writer, path, value));
}

static void
text_or_null(struct spool_writer *writer, const char *path, struct span value)
{
	if (value.n > 0) {
		text(writer, path, value);
		return;
	}
	json_key(&writer->json, key_of(path));
	json_null(&writer->json);
}

/* A constant; NULL and "" are null. */
static void
word(struct spool_writer *writer, const char *key, const char *value)
{
	json_key(&writer->json, key);
	json_cstring(&writer->json,
		     value == NULL || *value == '\0' ? NULL : value);
}

static void
truth(struct spool_writer *writer, const char *key, bool value)
{
	json_key(&writer->json, key);
	json_bool(&writer->json, value);
}

static void
number(struct spool_writer *writer, const char *key, uint64_t value)
{
	json_key(&writer->json, key);
	json_u64(&writer->json, value);
}

static void
nothing(struct spool_writer *writer, const char *key)
{
	json_key(&writer->json, key);
	json_null(&writer->json);
}

/* How many of `count` elements of a list may be written. */
static size_t
list_length(struct spool_writer *writer, enum spool_list list, size_t count)
{
	if (count <= writer->list_max[list])
		return count;
	note_truncated(writer, list_names[list]);
	return writer->list_max[list];
}

/* A list of texts, each cut. */
static void
texts(struct spool_writer *writer, enum spool_list list,
      const struct span *values, size_t count)
{
	const char *path = list_names[list];
	size_t length = list_length(writer, list, count);

	for (size_t i = 0; i < length; i++)
		cut(writer, path, values[i]);
	json_member_list(&writer->json, key_of(path), values, length,
			 writer->text_max);
}

/* --- who and what ------------------------------------------------------- */

/* RFC 3339, to the microsecond. */
static void
write_time(struct spool_writer *writer, uint64_t time_us)
{
	time_t seconds = (time_t)(time_us / 1000000);
	struct tm tm;
	char day[32], all[48];
	size_t n;
	int length;

	if (gmtime_r(&seconds, &tm) == NULL)
		memset(&tm, 0, sizeof tm);
	n = strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
	length = snprintf(all, sizeof all, "%.*s.%06uZ", (int)n, day,
			  (unsigned)(time_us % 1000000));
	json_key(&writer->json, "time");
	json_string(&writer->json, span_make(all, (size_t)length));
}

static void
write_ip(struct spool_writer *writer, const struct ip *ip)
{
	char buffer[IP_TEXT_MAX];

	json_key(&writer->json, "ip");
	if (ip->family == IP_NONE)
		json_null(&writer->json);
	else
		json_string(&writer->json, ip_format(ip, buffer));
}

/* The peer's certificate. */
static void
write_certificate(struct spool_writer *writer, const struct tlsinfo *tls)
{
	char digest[2 * TLSINFO_DIGEST_SIZE + 1];

	for (size_t i = 0; i < TLSINFO_DIGEST_SIZE; i++)
		snprintf(digest + 2 * i, 3, "%02x", tls->digest[i]);
	json_key(&writer->json, "cert");
	json_object(&writer->json);
	truth(writer, "verified", tls->is_verified);
	text(writer, "client.cert.subject", tls->subject);
	word(writer, "sha256", digest);
	json_object_end(&writer->json);
}

static void
write_tls(struct spool_writer *writer, const struct tlsinfo *tls)
{
	static const struct tlsinfo none;

	if (tls == NULL)
		tls = &none;
	word(writer, "tls", tls->version);
	word(writer, "tls_cipher", tls->cipher);
	text_or_null(writer, "client.tls_sni", tls->server_name);
	if (tls->has_certificate)
		write_certificate(writer, tls);
	else
		nothing(writer, "cert");
}

static void
write_client(struct spool_writer *writer)
{
	const struct spool_record *record = writer->record;

	json_key(&writer->json, "client");
	json_object(&writer->json);
	write_ip(writer, &record->client);
	number(writer, "port", record->client_port);
	text_or_null(writer, "client.name", record->client_name);
	text_or_null(writer, "client.helo", record->helo);
	write_tls(writer, record->tls);
	word(writer, "identity", record->identity);
	json_object_end(&writer->json);
}

static void
write_envelope(struct spool_writer *writer)
{
	const struct spool_record *record = writer->record;

	json_key(&writer->json, "envelope");
	json_object(&writer->json);
	text(writer, "envelope.from", record->mail_from);
	texts(writer, SPOOL_LIST_RCPT, record->recipients,
	      record->recipient_count);
	json_object_end(&writer->json);
}

static void
write_message(struct spool_writer *writer)
{
	const struct verdict *verdict = writer->verdict;
	struct span domains[FROM_DOMAINS_MAX] = { SPAN_NONE };
	size_t count = verdict == NULL ? 0 : verdict->authors;

	for (size_t i = 0; i < count; i++)
		domains[i] = verdict->author[i].domain;
	text_or_null(writer, "header_from",
		     writer->author == NULL ? SPAN_NONE
					    : writer->author->domain);
	texts(writer, SPOOL_LIST_FROM_DOMAINS, domains, count);
	text_or_null(writer, "message_id",
		     verdict == NULL ? SPAN_NONE : verdict->message_id);
	number(writer, "size", writer->record->size);
}

/* --- what was found ----------------------------------------------------- */

static void
write_spf(struct spool_writer *writer)
{
	const struct verdict *verdict = writer->verdict;
	const struct second *second = writer->record->second;

	if (verdict == NULL) {
		nothing(writer, "spf");
		return;
	}
	json_key(&writer->json, "spf");
	json_object(&writer->json);
	word(writer, "result", spf_result_name(verdict->spf.result));
	text_or_null(writer, "spf.domain", verdict->spf.domain);
	/* RFC 9990 2: MAIL FROM, or postmaster@HELO for the null path, which
	 * has the same scope (RFC 7208 2.4). */
	word(writer, "scope", "mfrom");
	truth(writer, "aligned",
	      writer->author != NULL && writer->author->is_spf_aligned);
	word(writer, "reason", verdict->spf.reason);
	text_or_null(writer, "spf.explanation", verdict->spf.explanation);
	word(writer, "second",
	     second != NULL && second->has_spf ? spf_result_name(second->spf)
					       : NULL);
	json_object_end(&writer->json);
}

static void
write_signature(struct spool_writer *writer, size_t i)
{
	const struct dkim_signature *signature = &writer->verdict->dkim[i];
	const struct second *second = writer->record->second;
	bool has_second =
		second != NULL && second->has_dkim && i < second->signatures;

	json_object(&writer->json);
	word(writer, "result", dkim_result_name(signature->result));
	text_or_null(writer, "dkim.domain", signature->domain);
	text_or_null(writer, "dkim.selector", signature->selector);
	text_or_null(writer, "dkim.algorithm", signature->algorithm);
	number(writer, "bits", signature->bits);
	truth(writer, "aligned",
	      writer->author != NULL &&
		      (writer->author->dkim_aligned >> i & 1) != 0);
	number(writer, "unsigned_octets", signature->unsigned_octets);
	word(writer, "reason", signature->reason);
	word(writer, "second",
	     has_second ? dkim_result_name(second->signature[i].result) : NULL);
	json_object_end(&writer->json);
}

static void
write_dkim(struct spool_writer *writer)
{
	size_t count =
		writer->verdict == NULL ? 0 : writer->verdict->dkim_count;
	size_t length = list_length(writer, SPOOL_LIST_DKIM, count);

	json_key(&writer->json, "dkim");
	json_array(&writer->json);
	for (size_t i = 0; i < length; i++)
		write_signature(writer, i);
	json_array_end(&writer->json);
}

/* A set of the chain; the seal's names, and those of the signature. */
static void
write_set(struct spool_writer *writer, size_t i)
{
	const struct arc_set *set = &writer->verdict->arc->set[i];

	json_object(&writer->json);
	number(writer, "i", i + 1);
	word(writer, "cv", arc_status_name(set->status));
	text_or_null(writer, "arc.sets.domain", set->seal.domain);
	text_or_null(writer, "arc.sets.selector", set->seal.selector);
	text_or_null(writer, "arc.sets.ams_domain", set->message.domain);
	text_or_null(writer, "arc.sets.ams_selector", set->message.selector);
	json_object_end(&writer->json);
}

static void
write_sets(struct spool_writer *writer, const struct arc_chain *chain)
{
	size_t length = list_length(writer, SPOOL_LIST_ARC, chain->sets);

	json_key(&writer->json, "sets");
	json_array(&writer->json);
	for (size_t i = 0; i < length; i++)
		write_set(writer, i);
	json_array_end(&writer->json);
}

/* Where nothing evaluated it, "none" alone would be a claim about the chain.
 */
static void
write_arc(struct spool_writer *writer)
{
	static const struct arc_chain none = { .result = ARC_NONE };
	bool is_evaluated =
		writer->verdict != NULL && writer->verdict->arc != NULL;
	const struct arc_chain *chain =
		is_evaluated ? writer->verdict->arc : &none;

	json_key(&writer->json, "arc");
	json_object(&writer->json);
	word(writer, "result", arc_result_name(chain->result));
	truth(writer, "evaluated", is_evaluated);
	word(writer, "reason", chain->reason);
	number(writer, "instance", chain->instance);
	if (chain->has_oldest_pass)
		number(writer, "oldest_pass", chain->oldest_pass);
	else
		nothing(writer, "oldest_pass");
	write_sets(writer, chain);
	json_object_end(&writer->json);
}

static void
write_tags(struct spool_writer *writer, const struct record *record)
{
	json_key(&writer->json, "tags");
	json_object(&writer->json);
	text_or_null(writer, "dmarc.tags.p", record->tag_p);
	text_or_null(writer, "dmarc.tags.sp", record->tag_sp);
	text_or_null(writer, "dmarc.tags.np", record->tag_np);
	text_or_null(writer, "dmarc.tags.adkim", record->tag_adkim);
	text_or_null(writer, "dmarc.tags.aspf", record->tag_aspf);
	text_or_null(writer, "dmarc.tags.fo", record->tag_fo);
	text_or_null(writer, "dmarc.tags.t", record->tag_t);
	text_or_null(writer, "dmarc.tags.psd", record->tag_psd);
	text_or_null(writer, "dmarc.tags.pct", record->tag_pct);
	text_or_null(writer, "dmarc.tags.rua", record->rua);
	text_or_null(writer, "dmarc.tags.ruf", record->ruf);
	json_object_end(&writer->json);
}

/* The record that speaks, if there is one. */
static void
write_policy(struct spool_writer *writer)
{
	const struct eval_author *author = writer->author;
	const struct discovery *found;

	if (author != NULL && eval_has_policy(author))
		word(writer, "policy", policy_name(author->effective.applied));
	else
		nothing(writer, "policy");
	if (author == NULL || author->discovered != DISCOVERY_FOUND) {
		nothing(writer, "domain");
		nothing(writer, "record");
		nothing(writer, "discovery");
		nothing(writer, "tags");
		nothing(writer, "org_domain");
		return;
	}
	found = &author->discovery;
	text(writer, "dmarc.domain", found->domain);
	text(writer, "dmarc.record", found->record.text);
	word(writer, "discovery",
	     found->method == DISCOVERY_PSL ? "psl" : "treewalk");
	write_tags(writer, &found->record);
	text_or_null(writer, "dmarc.org_domain", found->organizational);
}

static void
write_author(struct spool_writer *writer)
{
	const struct eval_author *author = writer->author;

	write_policy(writer);
	json_key(&writer->json, "org");
	json_object(&writer->json);
	text_or_null(writer, "dmarc.org.treewalk",
		     author == NULL ? SPAN_NONE : author->org_treewalk);
	text_or_null(writer, "dmarc.org.psl",
		     author == NULL ? SPAN_NONE : author->org_psl);
	json_object_end(&writer->json);
	if (author != NULL && author->is_author_known)
		truth(writer, "author_exists", author->does_author_exist);
	else
		nothing(writer, "author_exists");
	word(writer, "error", author == NULL ? NULL : author->error);
	text_or_null(writer, "dmarc.force",
		     author == NULL || author->force == NULL
			     ? SPAN_NONE
			     : author->force->name);
	truth(writer, "sampled_out",
	      author != NULL && author->effective.is_sampled_out);
}

static void
write_dmarc(struct spool_writer *writer)
{
	const struct verdict *verdict = writer->verdict;

	if (verdict == NULL) {
		nothing(writer, "dmarc");
		return;
	}
	json_key(&writer->json, "dmarc");
	json_object(&writer->json);
	word(writer, "result", dmarc_result_name(verdict->result));
	write_author(writer);
	word(writer, "outcome", dmarc_outcome_name(verdict->outcome));
	if (verdict->from_fault == FROM_FAULT_NONE)
		nothing(writer, "from_fault");
	else
		word(writer, "from_fault",
		     from_fault_text(verdict->from_fault));
	json_object_end(&writer->json);
}

static void
write_signals(struct spool_writer *writer)
{
	const struct verdict *verdict = writer->verdict;

	if (verdict == NULL) {
		nothing(writer, "signals");
		return;
	}
	json_key(&writer->json, "signals");
	json_object(&writer->json);
	truth(writer, "spf_all", verdict->spf.is_all_fail);
	number(writer, "dkim_count", verdict->dkim_count);
	truth(writer, "list_id", verdict->has_list_id);
	truth(writer, "list_post", verdict->has_list_post);
	truth(writer, "auto_submitted", verdict->is_auto_submitted);
	json_object_end(&writer->json);
}

/* --- what was done ------------------------------------------------------ */

static void
write_override(struct spool_writer *writer)
{
	const struct verdict *verdict = writer->verdict;

	if (verdict == NULL || verdict->override == NULL) {
		nothing(writer, "override");
		return;
	}
	json_key(&writer->json, "override");
	json_object(&writer->json);
	text(writer, "override.name", verdict->override->name);
	word(writer, "reason", verdict->override->reason);
	text_or_null(writer, "override.comment", verdict->override_comment);
	word(writer, "instead_of",
	     disposition_name(verdict->policy_disposition));
	json_object_end(&writer->json);
}

static void
write_action(struct spool_writer *writer)
{
	const struct spool_record *record = writer->record;
	const struct verdict *verdict = writer->verdict;
	const char *rule = record->rule;

	if (rule == NULL && verdict != NULL)
		rule = verdict->rule;
	word(writer, "rule", rule);
	word(writer, "disposition",
	     disposition_name(verdict == NULL ? DISPOSITION_NONE
					      : verdict->disposition));
	write_override(writer);
	truth(writer, "enforced", record->is_enforced);
	word(writer, "mode", record->mode);
	word(writer, "action", record->action);
	word(writer, "otherwise", record->otherwise);
	text_or_null(writer, "reply", record->reply);
	text_or_null(writer, "route", record->route);
	text_or_null(writer, "backend", record->backend);
	word(writer, "backend_tls", record->backend_tls);
	truth(writer, "accepted", record->is_accepted);
	truth(writer, "authenticated", record->is_authenticated);
	texts(writer, SPOOL_LIST_STRIPPED, record->stripped,
	      record->stripped_count);
}

/* --- what was asked ----------------------------------------------------- */

static const char *
rcode(const struct answer *answer)
{
	switch (answer->status) {
	case ANSWER_OK:
	case ANSWER_NODATA:
		return "NOERROR";
	case ANSWER_NXDOMAIN:
		return "NXDOMAIN";
	case ANSWER_TEMPERROR:
		return answer->error == NULL ? "failed" : answer->error;
	case ANSWER_OPEN:
		break;
	}
	return "unanswered";
}

static void
write_mx(struct spool_writer *writer, const struct dns_record *record)
{
	ROOM(room, 301);
	struct buf buf;

	/* A normalised name has at most 253 octets. */
	assert(record->value.n <= sizeof(room) - 8);
	buf_init_room(&buf, sizeof(room) - 1, room, sizeof(room));
	buf_append_u64(&buf, record->preference);
	buf_append_octet(&buf, ' ');
	buf_append(&buf, record->value.n == 0 ? SPAN_LIT(".") : record->value);
	json_string(&writer->json, buf_span(&buf));
	buf_fini(&buf);
}

static void
write_dns_record(struct spool_writer *writer, const struct answer *answer,
		 size_t i)
{
	const struct dns_record *record = &answer->record[i];
	char buffer[IP_TEXT_MAX];
	struct ip ip;

	switch (answer->type) {
	case DNS_A:
	case DNS_AAAA:
		ip = ip_make(record->value.p, record->value.n);
		json_string(&writer->json, ip_format(&ip, buffer));
		break;
	case DNS_MX:
		write_mx(writer, record);
		break;
	case DNS_PTR:
	case DNS_TXT:
		json_string(&writer->json, record->value);
		break;
	}
}

static void
write_records(struct spool_writer *writer, const struct answer *answer)
{
	struct span values[ANSWERS_RECORDS_MAX];
	size_t count = answer->records;

	if (answer->type == DNS_TXT) {
		for (size_t i = 0; i < count; i++) {
			values[i] = answer->record[i].value;
			cut(writer, "dns.answer", values[i]);
		}
		json_member_list(&writer->json, "answer", values, count,
				 writer->text_max);
		return;
	}
	json_key(&writer->json, "answer");
	json_array(&writer->json);
	for (size_t i = 0; i < count; i++)
		write_dns_record(writer, answer, i);
	json_array_end(&writer->json);
}

static void
write_answer(struct spool_writer *writer, const struct answer *answer)
{
	json_object(&writer->json);
	text(writer, "dns.name", answer->name);
	word(writer, "type", dns_type_name(answer->type));
	word(writer, "rcode", rcode(answer));
	write_records(writer, answer);
	number(writer, "ttl", answer->ttl_s);
	truth(writer, "cached", answer->is_cached);
	truth(writer, "ad", answer->is_authentic);
	json_key(&writer->json, "ms");
	json_thousandths(&writer->json,
			 answer->ms > 0 ? (uint64_t)(answer->ms * 1000) : 0);
	json_object_end(&writer->json);
}

static void
write_dns(struct spool_writer *writer)
{
	const struct answers *answers = writer->record->answers;
	size_t count = answers == NULL ? 0 : answers->count;
	size_t length = list_length(writer, SPOOL_LIST_DNS, count);

	json_key(&writer->json, "dns");
	json_array(&writer->json);
	for (size_t i = 0; i < length; i++)
		write_answer(writer, answers->list[i]);
	json_array_end(&writer->json);
}

static void
write_times(struct spool_writer *writer)
{
	const struct spool_record *record = writer->record;

	json_key(&writer->json, "ms");
	json_object(&writer->json);
	json_key(&writer->json, "dns");
	json_thousandths(&writer->json, record->dns_us);
	json_key(&writer->json, "eval");
	json_thousandths(&writer->json, record->eval_us);
	json_key(&writer->json, "backend");
	json_thousandths(&writer->json, record->backend_us);
	json_key(&writer->json, "total");
	json_thousandths(&writer->json, record->total_us);
	json_object_end(&writer->json);
}

/* --- the line ----------------------------------------------------------- */

void
spool_line_write(struct spool_writer *writer)
{
	const struct spool_record *record = writer->record;

	json_object(&writer->json);
	number(writer, "v", 1);
	write_time(writer, record->time_us);
	text(writer, "id", record->id);
	text(writer, "gate", record->gate);
	text_or_null(writer, "listener", record->listener);
	write_client(writer);
	write_envelope(writer);
	write_message(writer);
	write_spf(writer);
	write_dkim(writer);
	write_arc(writer);
	write_dmarc(writer);
	write_signals(writer);
	write_action(writer);
	write_dns(writer);
	write_times(writer);
	json_key(&writer->json, "truncated");
	json_array(&writer->json);
	for (size_t i = 0; i < writer->truncated_count; i++)
		json_cstring(&writer->json, writer->truncated[i]);
	json_array_end(&writer->json);
	json_object_end(&writer->json);
	buf_append_octet(writer->json.out, '\n');
}
