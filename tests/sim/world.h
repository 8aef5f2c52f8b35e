/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world: the life of one sender, in virtual time.
 *
 * A sender has a few messages for a few recipients each. It connects to the
 * gate, says what SMTP has it say, and connects again for whatever was neither
 * taken nor refused. Around proxy/session stand the parties of a stage (see
 * tests/replay/stage.h, which watches the promises): this sender, and backends
 * that answer by their own mind. Who moves next is drawn, and at every step
 * something may go wrong (fault.def). A seed gives the same life each time.
 *
 * Each session has its luck: some see no fault, some one, some many; after a
 * number of sessions the world turns calm, and then every message must find
 * its end, and the one that its author's policy asks for.
 *
 * Beside what the stage watches:
 *
 * - the sender gets one reply for each command, and nothing unasked but 421;
 *   and no recipient is good where the sender is not;
 * - a 2xx for its data is worth a copy at a backend for each recipient that
 *   it was told is good, and no others;
 * - after a 5xx for its data no backend has taken the message;
 * - one end of data makes one copy at most: so a recipient has two only where
 *   a backend had accepted the first and the sender had not heard of it;
 * - a backend sees the client's identity first, and after a refusal of it no
 *   mail; parameters only of keywords that it offers on this connection; no
 *   command before the answer to the last, if it does not offer PIPELINING;
 * - a session ends, within a bounded time and number of steps.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "tests/replay/stage.h"
#include "tests/sim/door.h"
#include "tests/sim/login.h"
#include "tests/sim/post.h"
#include "tests/sim/road.h"
#include "tests/sim/tls.h"

#define WORLD_POSTS_MAX 4
#define WORLD_QUEUE_MAX 32

/* clang-format off */
enum fault {
#define FAULT(name, share, text) FAULT_##name,
#include "tests/sim/fault.def"
	FAULT_COUNT
};

enum feature {
#define FEATURE(name, text) FEATURE_##name,
#include "tests/sim/feature.def"
	FEATURE_COUNT
};
/* clang-format on */

const char *fault_text(enum fault fault);
const char *feature_text(enum feature feature);

/* What was seen, over all lives. */
struct tally {
	uint64_t lives, sessions, steps, messages, ends_of_data;
	uint64_t chunked, binary; /* replies to BDAT LAST heard, of those */
	uint64_t client_tls, backend_tls; /* handshakes that came to stand */
	uint64_t faults[FAULT_COUNT];
	uint64_t features[FEATURE_COUNT]; /* sessions that used it */
	/* Replies to the end of data that the sender heard, by class. */
	uint64_t replies[6];
	uint64_t killed;    /* sessions */
	uint64_t unwritten; /* ends of data without a line: killed before it */
	/* Recipients of all messages, and what became of them. */
	uint64_t recipients, delivered, refused, given_up;
	uint64_t doubled; /* accepted before, and the sender had not heard */
	uint64_t lost;
};

/* A configuration, and what belongs to it. */
struct scenario {
	const char *name;
	struct conf *conf;
	struct zone *zone;
	struct rules rules;
	struct dkim_engine *dkim;
	struct stage_props props; /* all of these */
	struct buf faults;        /* of reading it */
};

/* What a sender has said and not been answered. */
enum said {
	SAID_NOTHING, /* it waits for the banner */
	SAID_HELLO,
	SAID_XCLIENT,
	SAID_STARTTLS,
	SAID_LOGIN, /* AUTH, or a response */
	SAID_EARLY, /* MAIL, before EHLO */
	SAID_MAIL,
	SAID_RCPT,
	SAID_DATA,
	SAID_CONTENT,
	SAID_CHUNK, /* a BDAT */
	SAID_LAST,  /* BDAT LAST */
	SAID_RSET,
	SAID_QUIT,
	SAID_OTHER,
};

enum sender_phase {
	SENDER_WAITS, /* for an answer that decides how to go on */
	SENDER_HELLO,
	SENDER_TLS,
	SENDER_LOGIN,
	SENDER_MAIL,
	SENDER_RCPT,
	SENDER_DATA,
	SENDER_CONTENT,
	SENDER_CHUNKS,
	SENDER_RSET,
	SENDER_QUIT,
	SENDER_DONE, /* says nothing any more */
};

struct sender {
	enum sender_phase phase;
	struct {
		enum said said;
		unsigned recipient;
	} queue[WORLD_QUEUE_MAX];
	unsigned first, count;
	char hello[64]; /* "EHLO client.example" */
	unsigned hello_number;
	struct sender_tls tls;
	struct sender_login login;
	unsigned offered;
	bool is_extended, is_pipelining, is_shy; /* one command at a time */
	bool is_identified;                      /* has said XCLIENT */
	bool has_talked;     /* the message is sent, though 354 is not here */
	bool has_lost_track; /* of which reply is to what */
	bool is_deaf;        /* reset: hears nothing any more */
	bool is_closed;      /* its side */
	unsigned refused;    /* recipients, of class 5 */
	uint64_t wakes_us;
	/* The mail under way. */
	struct post *post;
	bool is_tried[WORLD_POSTS_MAX]; /* in this session */
	bool is_sender_refused;
	unsigned first_recipient; /* another one in each session */
	unsigned next;            /* counted from it */
	bool is_good[POST_RECIPIENTS_MAX];
	unsigned good;
	unsigned first_good;   /* of these, as they were taken */
	size_t content_at;     /* of the wire, or of the text */
	bool is_chunk_refused; /* of this mail */
	bool is_binary;        /* this mail */
	size_t breaks_at;      /* of the content; SIZE_MAX: it does not */
	unsigned copies;       /* of this end of data, that backends took */
};

enum mta_state {
	MTA_PROXY,
	MTA_BANNER,
	MTA_COMMANDS,
	MTA_HANDSHAKE, /* 220 to STARTTLS was said */
	MTA_CONTENT,
	MTA_LOST,
};

enum mta_opinion {
	OPINION_NONE,    /* until the end */
	OPINION_YES,     /* said so before the end, and will take it there */
	OPINION_DONE,    /* … and has taken it: the rest is on its way */
	OPINION_NO,      /* said so before the end */
	OPINION_REFUSES, /* will say so at the end, and keep the envelope */
};

struct mta {
	unsigned connection; /* the one it is in */
	bool is_here;
	struct target *target;
	size_t failed_at; /* a connection to that backend, + 1; 0: none */
	bool is_next;     /* that was the one before this one */
	enum mta_state state;
	const struct conf_backend *conf;
	struct mta_tls tls;
	struct mta_login login;
	unsigned offered;   /* in its last EHLO reply */
	bool is_identified; /* or needs not be */
	bool is_closed_to;  /* refused the identity: no mail may come */
	bool has_greeted;
	bool is_leaving;          /* hangs up when all is said */
	enum mta_opinion opinion; /* of the message that it reads */
	bool has_lied;            /* answered twice, or not at all */
	bool is_twice_220;        /* … of which the second answers nothing */
	bool is_past_220;         /* and has heard a command since */
	unsigned letters;         /* on this side, before the one it reads */
	uint64_t wakes_us;
	/* The envelope. */
	bool has_sender;
	bool is_binary;        /* BODY=BINARYMIME */
	struct buf recipients; /* each followed by a space */
	unsigned count;
	struct post *post;
	unsigned end;  /* octets of CR LF . CR LF seen */
	bool is_chunk; /* … of which none is to come, but so many octets */
	uint64_t left;
};

struct world {
	struct stage stage;
	const struct scenario *scenario;
	struct tally *tally;
	struct post posts[WORLD_POSTS_MAX];
	unsigned post_count;
	struct sender sender;
	struct mta mta[SIDE_COUNT];
	unsigned
		offers[STAGE_BACKENDS_MAX]; /* of each backend, in good times */
	bool is_lax[STAGE_BACKENDS_MAX];    /* MAIL in a mail: joins it */
	struct mta_talent talent[STAGE_BACKENDS_MAX];
	struct target targets[ROAD_TARGETS_MAX];
	unsigned target_count;
	struct world_door door;
	const char *client; /* its address, as the backend must see it */
	unsigned session;   /* its number */
	unsigned luck; /* of thousand occasions, those where it goes wrong */
	unsigned troubled_until; /* steps: one fault brings on the next */
	bool is_drained;
	unsigned refusals; /* of connections, by ceilings, that are known of */
	bool was_full;     /* there was one in this session */
	bool features[FEATURE_COUNT]; /* used in this session */
	/* Operations under way whose luck was drawn. */
	bool is_writing, is_reading, is_spooling;
	/* Until when they take; 0: no time. */
	uint64_t disk_us, spool_us, dns_us, client_us;
	uint64_t started_us;
	unsigned steps; /* of this session */
};

/* Whether it goes wrong, here and now. */
bool world_fault(struct world *world, enum fault fault);

/* This session has used it. */
void world_use(struct world *world, enum feature feature);

/* 0 … n - 1 */
unsigned world_below(struct world *world, unsigned n);

static inline bool
world_one_in(struct world *world, unsigned n)
{
	return world_below(world, n) == 0;
}

static inline bool
world_is_calm(const struct world *world)
{
	return world->luck == 0;
}

/* Whether one session by itself may come to the memory ceiling, at every try:
 * what would begin is deferred then, be all as calm as it may. */
static inline bool
world_is_cramped(const struct world *world)
{
	return world->scenario->props.conf->memory_max < 1u << 20;
}

/* Whether anybody knows of TLS; if not, it draws no luck. */
static inline bool
world_has_tls(const struct world *world)
{
	return world->scenario->props.conf->listeners[0]
		       .tls_certificates.count > 0;
}

/* Whether a backend takes only so many connections; if not, nobody comes and
 * goes there. */
static inline bool
world_has_ceilings(const struct world *world)
{
	const struct conf *conf = world->scenario->props.conf;

	for (size_t i = 0; i < conf->backend_count; i++)
		if (conf->backends[i].connections_max > 0)
			return true;
	return false;
}

/* Wake whoever sleeps, at the latest after so long. */
void world_sleep(struct world *world, uint64_t *wakes_us, uint64_t us_max);

/* Live one life; the stage's fault says what was wrong, if anything. With
 * `out` the transcript goes there as it grows. */
bool world_live(struct world *world, const struct scenario *scenario,
		uint64_t seed, struct tally *tally, void *out);
void world_end(struct world *world);

/* sender.c */
/* The addresses that clients have; NULL behind the last. */
const char *sender_address(unsigned i);
void sender_start(struct world *world);
bool sender_step(struct world *world);   /* true: something moved */
void sender_settle(struct world *world); /* at the end of its life */
bool sender_has_more(const struct world *world);
void sender_expect(struct world *world, enum said said, unsigned recipient);

static inline bool
sender_is_offered(const struct sender *sender, enum extension extension)
{
	return (sender->offered & EXTENSION_BIT(extension)) != 0;
}

/* sender_hear.c: all whole lines that are there, or one; true if any */
bool sender_hear(struct world *world, bool is_all);
void sender_hear_rest(struct world *world);

/* mta.c */
void mta_init(struct world *world);
void mta_fini(struct world *world);
bool mta_step(struct world *world, enum session_side side);
/* A connection may be gone, or new: notice. */
void mta_look(struct world *world, enum session_side side);

/* mta_queue.c */
void mta_forget(struct mta *mta); /* the envelope */
void mta_take(struct world *world, struct mta *mta);
/* All of the message is with it, or on its way. */
bool mta_has_whole(struct world *world, enum session_side side);
/* Who said yes before the end takes what it was sent. */
void mta_finish(struct world *world);

/* mta_say.c */
void mta_hang_up(struct world *world, enum session_side side, int error);
void mta_say(struct world *world, enum session_side side, const char *text);
void mta_say_garbage(struct world *world, enum session_side side);
void mta_say_goodbye(struct world *world, enum session_side side);
void mta_say_reply(struct world *world, enum session_side side,
		   const char *text);
/* A reply, if luck will have it. */
void mta_answer(struct world *world, enum session_side side, const char *text);

#endif
