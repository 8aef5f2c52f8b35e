/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spf_libspf2: check_host() by libspf2, over our answers.
 *
 * libspf2 is left with what it does well: to run through the mechanisms of a
 * record that is known to be well-formed, to expand its macros, and to follow
 * its includes. It finds no record by itself: get_record() gives it one that
 * dmarc/spf_rewrite.h has made of it.
 *
 * SPF_request_query_mailfrom() would pass 127/8 and ::1 unseen; its two steps
 * are taken here without that. Its own count of look-ups starts again with
 * every include (1.1 million were made in a test): ours does not.
 *
 * A question that is open ends the run: everything later in it is answered
 * TRY_AGAIN without being noted, for it might never be asked.
 */
#include "dmarc/spf_engine.h"
#include "dmarc/spf_macro.h"
#include "dmarc/spf_rewrite.h"

#include <netinet/in.h>
#include <spf2/spf.h>
#include <spf2/spf_dns.h>

#include <assert.h>

#define SCRATCH_MAX 65536
#define RECORD_TEXT_MAX 16384

struct engine {
	const struct spf_check *check;
	struct answers *answers;
	struct arena scratch; /* of this run */

	bool is_open;           /* a question is: the run means nothing */
	const char *broken;     /* why it was stopped, or NULL … */
	enum spf_result result; /* … and what that makes of it */
	unsigned terms;         /* RFC 7208 4.6.4: that cause look-ups */
	unsigned voids;         /* … without a result */

	/* The addresses of mx and ptr names are looked up for their term. */
	const struct answer *parent;
	const char *parent_domain; /* whose record has that term */
	size_t child;
	bool matches_any; /* "/0": for this term any address will do */

	const SPF_request_t *request;

	/* The record that decides: the domain's own, or where it redirects. */
	const SPF_response_t *response;
	bool has_all;
	enum spf_qualifier all;
};

static bool
is_stopped(const struct engine *engine)
{
	return engine->is_open || engine->broken != NULL;
}

static void
stop(struct engine *engine, enum spf_result result, const char *why)
{
	if (is_stopped(engine))
		return;
	engine->result = result;
	engine->broken = why;
}

/* RFC 7208 4.6.4 */
static void
count_term(struct engine *engine)
{
	engine->parent = NULL;
	engine->child = 0;
	if (++engine->terms > SPF_TERMS_MAX)
		stop(engine, SPF_PERMERROR,
		     "more than 10 terms that cause DNS look-ups");
}

static void
count_void(struct engine *engine)
{
	if (++engine->voids > SPF_VOID_MAX)
		stop(engine, SPF_PERMERROR,
		     "more than 2 DNS look-ups without a result");
}

/* Compile a valid record as rewritten. NULL if the engine cannot. */
static SPF_record_t *
compile(struct engine *engine, SPF_server_t *server, SPF_response_t *response,
	struct span record, bool is_deciding)
{
	struct spf_rewritten out = { .mechanisms = 0 };
	SPF_record_t *compiled = NULL;
	const char *text;

	buf_init(&out.text, RECORD_TEXT_MAX);
	spf_rewrite(engine->check, record, is_deciding, &out);
	text = out.text.has_overflowed
		       ? NULL
		       : arena_string(&engine->scratch, buf_span(&out.text));
	buf_fini(&out.text);
	if (text == NULL ||
	    SPF_record_compile(server, response, &compiled, text) !=
		    SPF_E_SUCCESS ||
	    compiled->num_mech != out.mechanisms) {
		if (compiled != NULL)
			SPF_record_free(compiled);
		stop(engine, SPF_PERMERROR,
		     "an SPF record is too much for the engine");
		return NULL;
	}
	if (is_deciding) {
		engine->has_all = out.has_all;
		engine->all = out.all;
	}
	return compiled;
}

/* The name for DNS; empty if it is none, and then nothing is there (RFC 7208
 * 4.8). *is_marked: it had our dot at its end. */
static struct span
target_name(struct engine *engine, const char *text, bool *is_marked)
{
	struct span name = span_cstr(text);

	*is_marked = name.n > 0 && name.p[name.n - 1] == '.';
	return spf_target_name(name, &engine->scratch);
}

/* libspf2's get_spf: the record of an include or a redirect. */
static SPF_errcode_t
get_record(SPF_server_t *server, SPF_request_t *request,
	   SPF_response_t *response, SPF_record_t **compiled)
{
	struct engine *engine = server->resolver->hook;
	enum spf_found found = SPF_FOUND_NONE;
	bool is_redirect;
	struct span name, record;

	*compiled = NULL;
	count_term(engine);
	if (is_stopped(engine))
		return SPF_E_DNS_ERROR;
	name = target_name(engine, request->cur_dom, &is_redirect);
	if (name.n > 0)
		found = spf_find_record(name, engine->answers, &record);
	switch (found) {
	case SPF_FOUND_OPEN:
		engine->is_open = true;
		return SPF_E_DNS_ERROR;
	case SPF_FOUND_TEMPERROR:
		return SPF_E_DNS_ERROR;
	case SPF_FOUND_NONE: /* RFC 7208 5.2, 6.1 */
		stop(engine, SPF_PERMERROR,
		     "an include or redirect leads to no SPF record");
		return SPF_E_NOT_SPF;
	case SPF_FOUND_SEVERAL:
		stop(engine, SPF_PERMERROR,
		     "an include or redirect leads to several SPF "
		     "records");
		return SPF_E_NOT_SPF;
	case SPF_FOUND_RECORD:
		break;
	}
	if (!spf_record_is_valid(record)) {
		stop(engine, SPF_PERMERROR,
		     "syntax error in an included SPF record");
		return SPF_E_SYNTAX;
	}
	/* The name without the mark, for %{d}. It is put back after the run
	 * of this record. */
	request->cur_dom = arena_string(&engine->scratch, name);
	if (request->cur_dom == NULL) {
		stop(engine, SPF_TEMPERROR, "out of memory");
		return SPF_E_NO_MEMORY;
	}
	*compiled = compile(engine, server, response, record,
			    is_redirect && response == engine->response);
	return *compiled == NULL ? SPF_E_INTERNAL_ERROR : SPF_E_SUCCESS;
}

/* The name of the parent's record whose address is due next: an MX of "."
 * has none (RFC 7505). Names may be left over where an included record has
 * ended with a match; the terms behind the include are another record's. */
static struct span
next_child(struct engine *engine)
{
	const struct answer *parent = engine->parent;

	if (parent == NULL || engine->parent_domain != engine->request->cur_dom)
		return SPAN_NONE;
	while (engine->child < parent->records &&
	       parent->record[engine->child].value.n == 0)
		engine->child++;
	if (engine->child == parent->records)
		return SPAN_NONE;
	return parent->record[engine->child].value;
}

static bool
is_child(struct engine *engine, struct span name, enum dns_type type)
{
	struct span due = next_child(engine);

	if ((type != DNS_A && type != DNS_AAAA) || due.n == 0 ||
	    !span_equal(due, name))
		return false;
	engine->child++;
	return true;
}

/* RFC 7208 5.5: trouble with a PTR, or with the address of a name that one
 * gave, is only no match. */
static bool
is_forgiven(const struct engine *engine, enum dns_type type, bool is_for_parent)
{
	return type == DNS_PTR ||
	       (is_for_parent && engine->parent->type == DNS_PTR);
}

/* Ask; what libspf2 is to make of it. *answer is set on NETDB_SUCCESS. */
static int
ask(struct engine *engine, struct span name, enum dns_type type,
    bool is_for_parent, const struct answer **answer)
{
	*answer = answers_ask(engine->answers, name, type);
	if (*answer == NULL) {
		engine->is_open = true;
		return TRY_AGAIN;
	}
	switch ((*answer)->status) {
	case ANSWER_OK:
		return NETDB_SUCCESS;
	case ANSWER_NODATA:
	case ANSWER_NXDOMAIN:
		if (!is_for_parent)
			count_void(engine);
		return HOST_NOT_FOUND;
	case ANSWER_OPEN:
	case ANSWER_TEMPERROR:
		break;
	}
	return is_forgiven(engine, type, is_for_parent) ? HOST_NOT_FOUND
							: TRY_AGAIN;
}

/* Append one record to what libspf2 gets. Without memory it is left out, and
 * the run must not count. */
static void
append(struct engine *engine, SPF_dns_rr_t *rr, struct span value)
{
	int i = rr->num_rr;

	if (SPF_dns_rr_buf_realloc(rr, i, value.n + 1) != SPF_E_SUCCESS) {
		stop(engine, SPF_TEMPERROR, "out of memory");
		return;
	}
	memcpy(rr->rr[i], value.p, value.n);
	((char *)rr->rr[i])[value.n] = '\0'; /* of a name */
	rr->num_rr++;
}

static void
append_records(struct engine *engine, SPF_dns_rr_t *rr,
	       const struct answer *answer)
{
	const struct ip *client = &engine->check->client;
	size_t count = answer->records;

	/* RFC 7208 4.6.4: of PTR the first ten count; more than ten MX are a
	 * permanent error, which libspf2 sees to. */
	if (answer->type == DNS_PTR && count > SPF_ADDRESSES_MAX)
		count = SPF_ADDRESSES_MAX;
	for (size_t i = 0; i < count; i++) {
		struct span value = answer->record[i].value;

		if (value.n == 0 || span_find(value, 0) < value.n)
			if (answer->type == DNS_MX || answer->type == DNS_PTR)
				continue;
		if (engine->matches_any &&
		    (answer->type == DNS_A || answer->type == DNS_AAAA))
			value.p = client->octets;
		append(engine, rr, value);
	}
}

static bool
type_of(ns_type type, enum dns_type *dns)
{
	switch ((int)type) {
	case ns_t_a:
		*dns = DNS_A;
		return true;
	case ns_t_aaaa:
		*dns = DNS_AAAA;
		return true;
	case ns_t_mx:
		*dns = DNS_MX;
		return true;
	case ns_t_ptr:
		*dns = DNS_PTR;
		return true;
	default: /* TXT goes through get_record(), SPF is history */
		return false;
	}
}

/* The answer to one look-up of libspf2, or why there is none. */
static int
resolve(struct engine *engine, const char *text, enum dns_type type,
	const struct answer **answer)
{
	bool is_marked, is_for_parent;
	struct span name;

	*answer = NULL;
	if (is_stopped(engine))
		return TRY_AGAIN;
	name = target_name(engine, text, &is_marked);
	is_for_parent = is_child(engine, name, type);
	if (!is_for_parent) {
		count_term(engine);
		engine->matches_any = is_marked;
	}
	if (is_stopped(engine))
		return TRY_AGAIN;
	if (name.n == 0)
		return HOST_NOT_FOUND;
	return ask(engine, name, type, is_for_parent, answer);
}

/* libspf2's lookup; it must never be given NULL. */
static SPF_dns_rr_t *
lookup(SPF_dns_server_t *dns, const char *text, ns_type ns, int should_cache)
{
	struct engine *engine = dns->hook;
	const struct answer *answer = NULL;
	enum dns_type type;
	int error = NO_DATA;
	SPF_dns_rr_t *rr;

	(void)should_cache;
	if (type_of(ns, &type))
		error = resolve(engine, text, type, &answer);
	rr = SPF_dns_rr_new_init(dns, text, ns, 0, error);
	assert(rr != NULL);
	if (error != NETDB_SUCCESS)
		return rr;
	append_records(engine, rr, answer);
	if (type != DNS_MX && type != DNS_PTR)
		return rr;
	engine->parent = answer;
	engine->parent_domain = engine->request->cur_dom;
	return rr;
}

/* libspf2's get_exp. Explanations are never expanded: CVE-2023-42118. */
static SPF_errcode_t
get_explanation(SPF_server_t *server, const char *domain, char **text,
		size_t *length)
{
	(void)server;
	(void)domain;
	if (*length > 0)
		(*text)[0] = '\0';
	return SPF_E_SUCCESS;
}

/* libspf2 prints what it thinks, unless told not to. An error is one of its
 * asserts: it does not return from there. */
static void
silence(void)
{
	SPF_error_handler = NULL;
	SPF_warning_handler = NULL;
	SPF_info_handler = NULL;
	SPF_debug_handler = NULL;
}

static bool
decide(struct spf_outcome *outcome, enum spf_result result, const char *reason)
{
	outcome->result = result;
	outcome->reason = reason;
	return true;
}

/* Nothing matched: "all" of the record that decides, if it has one. */
static bool
decide_default(const struct engine *engine, struct spf_outcome *outcome)
{
	if (!engine->has_all) /* RFC 7208 4.7 */
		return decide(outcome, SPF_NEUTRAL, "no mechanism matched");
	switch (engine->all) {
	case SPF_QUALIFIER_PASS:
		return decide(outcome, SPF_PASS, "matched +all");
	case SPF_QUALIFIER_FAIL:
		outcome->is_all_fail = true;
		return decide(outcome, SPF_FAIL, "matched -all");
	case SPF_QUALIFIER_SOFTFAIL:
		return decide(outcome, SPF_SOFTFAIL, "matched ~all");
	case SPF_QUALIFIER_NEUTRAL:
		return decide(outcome, SPF_NEUTRAL, "matched ?all");
	}
	return false;
}

/* What libspf2 says, in our words. */
static bool
conclude(const struct engine *engine, SPF_response_t *response,
	 SPF_errcode_t error, struct spf_outcome *outcome)
{
	if (engine->is_open)
		return false;
	if (engine->broken != NULL)
		return decide(outcome, engine->result, engine->broken);
	switch (SPF_response_result(response)) {
	case SPF_RESULT_NEUTRAL:
		if (SPF_response_reason(response) == SPF_REASON_DEFAULT)
			return decide_default(engine, outcome);
		return decide(outcome, SPF_NEUTRAL, "a ? mechanism matched");
	case SPF_RESULT_PASS:
		return decide(outcome, SPF_PASS, "a mechanism matched");
	case SPF_RESULT_FAIL:
		return decide(outcome, SPF_FAIL, "a - mechanism matched");
	case SPF_RESULT_SOFTFAIL:
		return decide(outcome, SPF_SOFTFAIL, "a ~ mechanism matched");
	case SPF_RESULT_NONE:
		return decide(outcome, SPF_NONE, "no SPF record");
	case SPF_RESULT_TEMPERROR:
		return decide(outcome, SPF_TEMPERROR, "a DNS look-up failed");
	case SPF_RESULT_PERMERROR:
	case SPF_RESULT_INVALID: /* early errors leave it so */
		break;
	}
	if (error == SPF_E_DNS_ERROR || error == SPF_E_NO_MEMORY)
		return decide(outcome, SPF_TEMPERROR, "a DNS look-up failed");
	return decide(outcome, SPF_PERMERROR, "error in the SPF record");
}

/* Who asks: client, sender and HELO name. False without memory. */
static bool
set_request(struct engine *engine, SPF_request_t *request)
{
	const struct spf_check *check = engine->check;
	struct arena *scratch = &engine->scratch;
	const char *helo = arena_string(scratch, check->helo);
	struct buf sender;
	struct in_addr v4;
	struct in6_addr v6;
	bool is_set;

	buf_init(&sender, SCRATCH_MAX);
	buf_append(&sender, check->local);
	buf_append_octet(&sender, '@');
	buf_append(&sender, check->domain);
	buf_append_octet(&sender, '\0');
	is_set = helo != NULL && !sender.has_overflowed &&
		 SPF_request_set_env_from(request,
					  (const char *)buf_span(&sender).p) ==
			 SPF_E_SUCCESS &&
		 SPF_request_set_helo_dom(request, helo) == SPF_E_SUCCESS;
	buf_fini(&sender);
	if (check->client.family == IP_V4) {
		memcpy(&v4, check->client.octets, sizeof(v4));
		SPF_request_set_ipv4(request, v4);
	} else {
		memcpy(&v6, check->client.octets, sizeof(v6));
		SPF_request_set_ipv6(request, v6);
	}
	request->cur_dom = arena_string(scratch, check->domain);
	return is_set && request->cur_dom != NULL;
}

static bool
has_space(struct span text)
{
	return span_find(text, ' ') < text.n;
}

/* The two steps of SPF_request_query_mailfrom(), for a record in hand and
 * without its free ride for loopback addresses. */
static bool
run(struct engine *engine, SPF_server_t *server, SPF_request_t *request,
    struct span record, struct spf_outcome *outcome)
{
	SPF_response_t *response = SPF_response_new(request);
	SPF_errcode_t error = SPF_E_NO_MEMORY;
	SPF_record_t *compiled = NULL;
	bool is_settled;

	if (response == NULL || !set_request(engine, request))
		stop(engine, SPF_TEMPERROR, "out of memory");
	engine->response = response;
	if (!is_stopped(engine))
		compiled = compile(engine, server, response, record, true);
	if (compiled != NULL) {
		response->spf_record_exp = compiled;
		error = SPF_record_interpret(compiled, request, response, 0);
	}
	is_settled = conclude(engine, response, error, outcome);
	if (compiled != NULL)
		SPF_record_free(compiled);
	if (response != NULL)
		SPF_response_free(response);
	return is_settled;
}

bool
spf_libspf2(const struct spf_check *check, struct span record,
	    struct answers *answers, struct spf_outcome *outcome)
{
	struct spf_check guarded = *check;
	struct engine engine = { .check = &guarded, .answers = answers };
	SPF_dns_server_t dns = {
		.lookup = lookup,
		.get_spf = get_record,
		.get_exp = get_explanation,
		.name = "answers",
		.hook = &engine,
	};
	SPF_server_t *server;
	SPF_request_t *request;
	bool is_settled;

	/* It cannot take a sender with a space. */
	guarded.is_local_unusable |= has_space(check->local);
	silence();
	server = SPF_server_new_dns(&dns, 0);
	request = server == NULL ? NULL : SPF_request_new(server);
	if (request == NULL) {
		if (server != NULL)
			SPF_server_free(server);
		return decide(outcome, SPF_TEMPERROR, "out of memory");
	}
	engine.request = request;
	arena_init(&engine.scratch, SCRATCH_MAX);
	is_settled = run(&engine, server, request, record, outcome);
	arena_fini(&engine.scratch);
	SPF_request_free(request);
	SPF_server_free(server);
	return is_settled;
}
