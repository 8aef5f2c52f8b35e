/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rig: one session of the gate between a client that says what a test wants
 * and a backend that the test plays, in memory and as fast as it goes.
 *
 * Unlike tests/replay's stage it holds no opinion: it carries out what the
 * session asks for and keeps all that each side hears. Whoever uses it reads
 * that by rules of its own. DNS knows nothing, the disk and the spool work.
 */
#ifndef TESTS_SMUGGLE_RIG_H
#define TESTS_SMUGGLE_RIG_H

#include "proxy/session.h"

#define RIG_QUESTIONS_MAX 64
#define RIG_HEARD_MAX (16u << 20)

/* What the backend does. reply is what it says then. */
struct rig_backend {
	void *self;
	void (*connected)(void *self, struct buf *reply);
	void (*heard)(void *self, struct span octets, struct buf *reply);
};

struct rig {
	const struct conf *conf;
	struct dkim_engine *dkim;
	struct rig_backend backend;
	struct ehlo probed[4];
	struct upstream *upstreams;
	struct stats stats;
	struct session_host host;
	struct session_peer peer;
	struct session *session; /* NULL once it is over */
	uint64_t now_us;

	struct buf client_said, backend_said;   /* not delivered yet */
	struct buf client_heard, backend_heard; /* all of it */
	size_t piece_max; /* octets delivered at once; 0: any number */
	bool is_connecting, is_up;
	bool is_sending[SIDE_COUNT];
	bool is_spooling, is_writing, is_reading;
	struct span writing;
	uint64_t reading_at;
	size_t reading_n;
	struct buf disk;
	struct {
		struct span name;
		enum dns_type type;
		uint64_t ticket;
	} questions[RIG_QUESTIONS_MAX];
	size_t question_count;
};

/* A proxy.conf from its text; NULL with what is wrong on stdout. */
struct conf *rig_conf(const char *text);

/* conf and dkim outlive the rig. */
void rig_init(struct rig *rig, const struct conf *conf,
	      struct dkim_engine *dkim);
void rig_fini(struct rig *rig);

/* A client connects; all that was heard before is forgotten. */
void rig_start(struct rig *rig, const struct rig_backend *backend);

/* A side says this, and everything that can happen then happens. Nothing is
 * said to a session that is over. */
void rig_say(struct rig *rig, enum session_side side, struct span octets);

/* The client closes, time runs out: until the session is over. */
void rig_end(struct rig *rig);

/* What somebody said or heard, as comment lines of TAP, to a certain length. */
void rig_print(const char *what, struct span octets);

#endif
