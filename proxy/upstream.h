/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * upstream: the targets of one backend, as one worker knows them.
 *
 * A target is an address and a port: one that the configuration names, or one
 * of those that a host name of it stands for now. Who wants a connection is
 * given one after the other, until one will do: those that are up before
 * those that are down, the lowest priority first, and within one priority at
 * random, by weight.
 *
 * A target goes down when a connection to it comes to nothing (refused, timed
 * out, no banner, no TLS, no identity; but not where it may be the client that
 * it refuses), and comes up with the next one that comes to something, or when
 * a probe finds it there. It is down for the
 * backend's retry-after, twice as long with each failure in a row, up to 16
 * times; then one session may try it again, and the others when that has
 * gone well; or another one when nothing has come of it for as long again, and
 * connect-timeout. Down is last, not never: where all are down, all are tried.
 *
 * The original destination of a client is another for each of them, so it
 * has no health: it is always up.
 *
 * Pure: the time and the dice are given. Health is each worker's own: what one
 * has found out costs another at most one failed connection, and nothing has
 * to be shared. (The bound on connections is shared: see limit.h.)
 */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include "proxy/conf.h"

/* What more a host name stands for is left out. */
#define UPSTREAM_TARGETS_MAX 64

/* Of one backend, for one connection. */
#define UPSTREAM_TRIES_MAX 8

#define UPSTREAM_DELAYS_MAX 16

struct upstream_target {
	unsigned id;    /* of no other one, before or after; from 1 */
	size_t address; /* of the backend's addresses: where it is from */
	struct ip ip;   /* of no family: the original destination */
	uint16_t port;
	unsigned priority;
	unsigned weight;
	unsigned failures;      /* in a row, each after its time; 0: up */
	uint64_t down_until_us; /* then; and then it may be tried */
	bool is_on_trial;       /* that is being done */
};

struct upstream {
	const struct conf_backend *conf;
	struct upstream_target targets[UPSTREAM_TARGETS_MAX];
	size_t count;
	unsigned last_id;
};

/* One attempt to connect: the targets that it has been at, and the family of
 * those that it may be at; none: any. */
struct upstream_attempt {
	unsigned ids[UPSTREAM_TRIES_MAX];
	unsigned count;
	enum ip_family family;
};

/* Random 32 bits. */
struct upstream_dice {
	uint32_t (*draw)(void *from);
	void *from;
};

/* All backends of a configuration, by index, with the targets that need no
 * looking up; NULL without memory. The caller frees it. */
struct upstream *upstreams_new(const struct conf *conf);

/* One of them. */
void upstream_init(struct upstream *upstream, const struct conf_backend *conf);

/* What the host name of an address stands for now. Targets that stay keep what
 * is known of them. True if that is something else than before. */
bool upstream_resolved(struct upstream *upstream, size_t address,
		       const struct ip *list, size_t count);

/* The next target to be tried, which is noted in *attempt; valid until the next
 * call. NULL if all that there are, or UPSTREAM_TRIES_MAX, were. */
const struct upstream_target *upstream_pick(struct upstream *upstream,
					    struct upstream_attempt *attempt,
					    uint64_t now_us,
					    const struct upstream_dice *dice);

/* Whether that would find another one. */
bool upstream_has_more(const struct upstream *upstream,
		       const struct upstream_attempt *attempt);

/* Whether a target is of that family, or may be. */
bool upstream_has_family(const struct upstream *upstream,
			 enum ip_family family);

/* Targets that are down. */
size_t upstream_count_down(const struct upstream *upstream);

/* What became of a connection, by the target's id; one that is no target any
 * more is nobody's. True if it went down by that, or up. */
bool upstream_failed(struct upstream *upstream, unsigned id, uint64_t now_us);
bool upstream_succeeded(struct upstream *upstream, unsigned id);

#endif
