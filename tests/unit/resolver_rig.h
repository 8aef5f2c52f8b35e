/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resolver_rig: a resolver on a ring, before scripted name servers, and those
 * who ask it.
 *
 * What the script answers depends on the first label of the name. Settings
 * are changed, and servers added, between scene_begin() and scene_new();
 * scene_make() has one server and changes nothing.
 */
#ifndef TESTS_UNIT_RESOLVER_RIG_H
#define TESTS_UNIT_RESOLVER_RIG_H

#include "proxy/owner.h"
#include "proxy/resolver.h"
#include "proxy/stats.h"
#include "tests/unit/dns_server.h"
#include "tests/unit/ring_scene.h"
#include "tests/unit/silence.h"

#include <stdio.h>

#define SECOND ((uint64_t)1000000)

static inline bool
begins(const struct dns_question *question, const char *label)
{
	size_t n = strlen(label);

	return strncmp(question->name, label, n) == 0 &&
	       (question->name[n] == '.' || question->name[n] == '\0');
}

static inline void
answer_plain(const struct dns_question *question, unsigned flags,
	     struct buf *out)
{
	unsigned id = question->id;
	const char *name = question->name;

	dns_begin(out, id, flags, name, question->type);
	if (begins(question, "short"))
		dns_txt(out, name, 1, "short");
	else if (begins(question, "size"))
		dns_txt(out, name, 60,
			question->edns_octets == 1232 ? "1232" : "other");
	else if (begins(question, "alias")) {
		dns_pointer(out, DNS_ANSWER, name, DNS_CNAME, 60,
			    "target.example");
		dns_txt(out, "target.example", 30, "at the end");
	} else if (begins(question, "empty"))
		dns_soa(out, "example", 60, 1);
	else
		dns_txt(out, name, 300, "plain");
}

/* Aliases whose ends this server does not say. */
static inline const char *
alias_of(const struct dns_question *question)
{
	if (begins(question, "open"))
		return "plain.example";
	if (begins(question, "gone"))
		return "missing.example";
	if (begins(question, "nowhere"))
		return "hidden.onion";
	if (begins(question, "round"))
		return begins(question, "round.x") ? "round.y" : "round.x";
	return NULL;
}

static inline void
answer_by_script(const struct dns_question *question, struct buf *out)
{
	unsigned flags = DNS_QR | DNS_RA;
	unsigned id = question->id;

	if (begins(question, "silent"))
		return;
	if (question->does_want_ad && !begins(question, "bogus"))
		flags |= DNS_AD;
	if (alias_of(question) != NULL) {
		dns_begin(out, id, flags, question->name, question->type);
		dns_pointer(out, DNS_ANSWER, question->name, DNS_CNAME, 40,
			    alias_of(question));
	} else if (begins(question, "missing")) {
		dns_begin(out, id, flags | 3, question->name, question->type);
		dns_soa(out, "example", 60, 300);
	} else if (begins(question, "servfail"))
		dns_begin(out, id, flags | 2, question->name, question->type);
	else if (begins(question, "refused"))
		dns_begin(out, id, flags | 5, question->name, question->type);
	else if (begins(question, "large") && !question->is_tcp)
		dns_begin(out, id, flags | DNS_TC, question->name,
			  question->type);
	else if (begins(question, "garbage")) {
		dns_begin(out, id, flags, question->name, question->type);
		buf_append(out, SPAN_LIT("\xff\xff\xff\xff"));
		dns_count(out, DNS_ANSWER);
	} else if (begins(question, "forged"))
		dns_begin(out, id ^ 1, flags | 3, question->name,
			  question->type);
	else
		answer_plain(question, flags, out);
}

/* One from before EDNS. */
static inline void
answer_without_edns(const struct dns_question *question, struct buf *out)
{
	if (question->edns_octets > 0)
		dns_begin(out, question->id, DNS_QR | DNS_RA | 1,
			  question->name, question->type);
	else
		answer_by_script(question, out);
}

static inline void
answer_servfail(const struct dns_question *question, struct buf *out)
{
	dns_begin(out, question->id, DNS_QR | DNS_RA | 2, question->name,
		  question->type);
}

static inline void
answer_nothing(const struct dns_question *question, struct buf *out)
{
	(void)question;
	(void)out;
}

/* One who asks, and what he was told. */
struct asker {
	struct resolver_query query;
	unsigned count;
	enum answer_status status;
	char error[64];
	char text[64];
	uint32_t ttl_s;
	bool is_cached, is_authentic;
	struct resolver *asks_again; /* from within done */
};

static inline void
note(struct asker *asker, const struct answer *answer)
{
	asker->count++;
	asker->status = answer->status;
	asker->ttl_s = answer->ttl_s;
	asker->is_cached = answer->is_cached;
	asker->is_authentic = answer->is_authentic;
	snprintf(asker->error, sizeof(asker->error), "%s",
		 answer->error == NULL ? "" : answer->error);
	asker->text[0] = '\0';
	if (answer->records > 0)
		snprintf(asker->text, sizeof(asker->text), "%.*s",
			 (int)answer->record[0].value.n,
			 (const char *)answer->record[0].value.p);
}

static inline void
on_answer(struct resolver_query *query, const struct answer *answer)
{
	struct asker *asker = OWNER(query, struct asker, query);
	struct answer again;

	note(asker, answer);
	if (asker->asks_again == NULL)
		return;
	assert_true(resolver_ask(asker->asks_again, answer->name, answer->type,
				 query, &again));
	assert_int_equal(again.status, asker->status);
	assert_true(again.is_cached);
}

struct scene {
	struct ring_scene ring;
	struct dns_server servers[2];
	size_t server_count;
	struct conf_endpoint endpoints[2];
	struct conf conf;
	struct resolver *resolver;
	struct stats stats;
	int stderr_kept;
};

static inline void
scene_new(struct scene *scene, const struct zone *zone)
{
	struct buf faults;

	buf_init(&faults, 1000);
	ring_scene_make(&scene->ring);
	scene->stderr_kept = silence_start();
	scene->conf.resolvers = scene->endpoints;
	scene->conf.resolver_count = scene->server_count;
	scene->resolver = resolver_new(scene->ring.ring, &scene->ring.timers,
				       &scene->conf, zone, &faults);
	assert_non_null(scene->resolver);
	assert_int_equal(faults.n, 0);
	resolver_count_in(scene->resolver, &scene->stats);
}

static inline void
add_server(struct scene *scene,
	   void (*answer)(const struct dns_question *question, struct buf *out))
{
	size_t i = scene->server_count++;

	dns_server_start(&scene->servers[i], answer);
	assert_true(ip_parse(SPAN_LIT("127.0.0.1"), &scene->endpoints[i].ip));
	scene->endpoints[i].port = scene->servers[i].port;
}

/* Settings, to be changed before scene_new(). */
static inline void
scene_begin(struct scene *scene)
{
	*scene = (struct scene){ .conf = {
					 .dns_us_max = 200000,
					 .dns_tries = 2,
					 .dns_cache_octets = 1 << 20,
					 .dns_ttl_us_min = 1 * SECOND,
					 .dns_ttl_us_max = 3600 * SECOND,
					 .dns_negative_us_max = 60 * SECOND,
					 .dns_failure_us = 5 * SECOND,
					 .eval_us_max = 20 * SECOND,
				 } };
}

static inline void
scene_make(struct scene *scene)
{
	scene_begin(scene);
	add_server(scene, answer_by_script);
	scene_new(scene, NULL);
}

static inline void
scene_end(struct scene *scene)
{
	resolver_free(scene->resolver);
	assert_null(scene->ring.timers.first);
	ring_scene_end(&scene->ring);
	for (size_t i = 0; i < scene->server_count; i++)
		dns_server_stop(&scene->servers[i]);
	silence_end(scene->stderr_kept);
}

static inline bool
ask(struct scene *scene, struct asker *asker, const char *name)
{
	struct answer answer;

	*asker = (struct asker){ .query.done = on_answer };
	if (!resolver_ask(scene->resolver, span_cstr(name), DNS_TXT,
			  &asker->query, &answer)) {
		assert_int_equal(asker->count, 0);
		return false;
	}
	assert_int_equal(asker->count, 0); /* done was not called */
	note(asker, &answer);
	return true;
}

static inline void
ask_and_wait(struct scene *scene, struct asker *asker, const char *name)
{
	if (!ask(scene, asker, name))
		ring_scene_until(&scene->ring, &asker->count, 1);
}

static inline unsigned
udp_count(struct scene *scene, size_t server)
{
	return atomic_load(&scene->servers[server].udp_count);
}

#endif
