/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/hostnames.h"

#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/owner.h"

#include <stdlib.h>

#define AT_ONCE 1

/* A is asked, then AAAA. */
#define QUESTIONS 2

struct hostname {
	struct hostnames *hostnames;
	size_t backend;
	size_t address; /* of its addresses */
	struct resolver_query query;
	struct timer timer;
	unsigned asked; /* questions that were answered */
	struct ip list[UPSTREAM_TARGETS_MAX];
	size_t count;
	uint32_t ttl_s;
	const char *error; /* of this round; NULL: none */
	bool has_failed;   /* the round before */
};

struct hostnames {
	struct resolver *resolver;
	struct timers *timers;
	const struct conf *conf;
	struct upstream *upstreams;
	void (*changed)(void *owner, size_t backend);
	void *owner;
	size_t count;
	struct hostname list[];
};

static const struct conf_address *
address_of(const struct hostname *name)
{
	const struct conf *conf = name->hostnames->conf;

	return &conf->backends[name->backend].addresses[name->address];
}

static void
say(const struct hostname *name, enum log_event event, const char *error)
{
	const struct conf *conf = name->hostnames->conf;
	struct buf text;

	buf_init(&text, LOG_LINE_MAX);
	log_value(&text, "backend", conf->backends[name->backend].name);
	log_value(&text, "name", address_of(name)->host);
	if (error != NULL)
		log_value(&text, "error", span_cstr(error));
	for (size_t i = 0; error == NULL && i < name->count; i++) {
		char ip[IP_TEXT_MAX];

		log_value(&text, "address", ip_format(&name->list[i], ip));
	}
	log_event(event, buf_span(&text));
	buf_fini(&text);
}

static void
look_again(struct hostname *name, uint64_t us)
{
	timer_set(name->hostnames->timers, &name->timer,
		  clock_monotonic_us() + us);
}

static void
say_failure(struct hostname *name)
{
	if (!name->has_failed)
		say(name, EVENT_BACKEND_NAME, name->error);
	name->has_failed = true;
}

static void
add_address(struct hostname *name, const struct ip *ip)
{
	if (name->count < UPSTREAM_TARGETS_MAX)
		name->list[name->count++] = *ip;
}

/* What it stood for before, of one family. */
static void
keep_addresses(struct hostname *name, enum ip_family family)
{
	const struct upstream *upstream =
		&name->hostnames->upstreams[name->backend];

	for (size_t i = 0; i < upstream->count; i++) {
		const struct upstream_target *target = &upstream->targets[i];

		if (target->address == name->address &&
		    target->ip.family == family)
			add_address(name, &target->ip);
	}
}

static void
take_addresses(struct hostname *name)
{
	struct hostnames *hostnames = name->hostnames;

	if (!upstream_resolved(&hostnames->upstreams[name->backend],
			       name->address, name->list, name->count))
		return;
	say(name, EVENT_BACKEND_ADDRESSES, NULL);
	hostnames->changed(hostnames->owner, name->backend);
}

static void
take_answer(struct hostname *name, const struct answer *answer)
{
	name->asked++;
	if (answer->status == ANSWER_TEMPERROR) {
		name->error = answer->error;
		keep_addresses(name, answer->type == DNS_A ? IP_V4 : IP_V6);
	}
	if (answer->status != ANSWER_OK)
		return;
	if (answer->ttl_s < name->ttl_s)
		name->ttl_s = answer->ttl_s;
	for (size_t i = 0; i < answer->records; i++) {
		struct span value = answer->record[i].value;
		struct ip ip = ip_make(value.p, value.n);

		add_address(name, &ip);
	}
}

/* All of its questions were answered. */
static void
end_round(struct hostname *name)
{
	uint64_t us = (uint64_t)name->ttl_s * 1000000;

	if (name->count > 0)
		take_addresses(name);
	else if (name->error == NULL)
		name->error = "it has no address";
	if (name->error != NULL) {
		say_failure(name);
		look_again(name, HOSTNAMES_RETRY_US);
		return;
	}
	name->has_failed = false;
	if (us < HOSTNAMES_US_MIN)
		us = HOSTNAMES_US_MIN;
	look_again(name, us < HOSTNAMES_US_MAX ? us : HOSTNAMES_US_MAX);
}

static void
ask(struct hostname *name)
{
	static const enum dns_type types[QUESTIONS] = { DNS_A, DNS_AAAA };

	while (name->asked < QUESTIONS) {
		struct answer answer;

		if (!resolver_ask(name->hostnames->resolver,
				  address_of(name)->host, types[name->asked],
				  &name->query, &answer))
			return; /* on_answer() goes on */
		take_answer(name, &answer);
	}
	end_round(name);
}

static void
on_answer(struct resolver_query *query, const struct answer *answer)
{
	struct hostname *name = OWNER(query, struct hostname, query);

	take_answer(name, answer);
	ask(name);
}

static void
on_timer(struct timer *timer)
{
	struct hostname *name = OWNER(timer, struct hostname, timer);

	name->asked = 0;
	name->count = 0;
	name->ttl_s = UINT32_MAX;
	name->error = NULL;
	ask(name);
}

static size_t
count_names(const struct conf *conf)
{
	size_t count = 0;

	for (size_t i = 0; i < conf->backend_count; i++)
		for (size_t k = 0; k < conf->backends[i].address_count; k++)
			count += conf->backends[i].addresses[k].host.n > 0;
	return count;
}

static void
add(struct hostnames *hostnames, size_t backend, size_t address)
{
	struct hostname *name = &hostnames->list[hostnames->count++];

	name->hostnames = hostnames;
	name->backend = backend;
	name->address = address;
	name->query.done = on_answer;
	name->timer.fire = on_timer;
	timer_set(hostnames->timers, &name->timer, AT_ONCE);
}

struct hostnames *
hostnames_new(struct resolver *resolver, struct timers *timers,
	      const struct conf *conf, struct upstream *upstreams,
	      void (*changed)(void *owner, size_t backend), void *owner)
{
	struct hostnames *hostnames =
		calloc(1, sizeof(*hostnames) +
				  count_names(conf) * sizeof(struct hostname));

	if (hostnames == NULL)
		return NULL;
	hostnames->resolver = resolver;
	hostnames->timers = timers;
	hostnames->conf = conf;
	hostnames->upstreams = upstreams;
	hostnames->changed = changed;
	hostnames->owner = owner;
	for (size_t i = 0; i < conf->backend_count; i++)
		for (size_t k = 0; k < conf->backends[i].address_count; k++)
			if (conf->backends[i].addresses[k].host.n > 0)
				add(hostnames, i, k);
	return hostnames;
}

bool
hostnames_are_any(const struct hostnames *hostnames)
{
	return hostnames->count > 0;
}

void
hostnames_free(struct hostnames *hostnames)
{
	if (hostnames == NULL)
		return;
	for (size_t i = 0; i < hostnames->count; i++) {
		resolver_cancel(&hostnames->list[i].query);
		timer_clear(hostnames->timers, &hostnames->list[i].timer);
	}
	free(hostnames);
}
