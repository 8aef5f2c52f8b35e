/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stage: one session of the gate, and a whole world around it, in memory: a
 * client, a backend, a second one, DNS, a disk, a spool, and a clock that
 * moves only when it is told to.
 *
 * It is a driver of proxy/session like the worker, and watches, at every step
 * and for every script, what the gate promises (design section 1):
 *
 * - no 2xx to the end of data before the backend's own to the whole message,
 *   and nothing else once it was said;
 * - a message that a backend may have is not handed over again;
 * - the message that reaches a backend is the client's, without the fields
 *   that the verdict line calls stripped, behind fields of ours;
 * - one verdict line for each end of data, written before the reply leaves,
 *   which says what was done and what is replied;
 * - a side is connected once at a time, and closed when the session ends;
 * - nothing is said while TLS is about to stand, nor where it has failed to,
 *   and there the session of a client ends;
 * - the verdict line says of both legs whether they were under TLS;
 * - octets lent out stay what they are until they are given back;
 * - memory is bounded; whoever is waited for is waited for until a deadline.
 *
 * The first thing found wrong is kept in `fault`; nothing moves after that.
 *
 * Two use it: tests/replay, whose scripts say what the parties do and expect
 * what they hear, and tests/sim, whose parties do what comes to their minds.
 */
#ifndef TESTS_REPLAY_STAGE_H
#define TESTS_REPLAY_STAGE_H

#include "proxy/bufstore.h"
#include "proxy/rules.h"
#include "proxy/session.h"
#include "proxy/zone.h"
#include "tests/replay/heard.h"
#include "tests/replay/letter.h"
#include "tests/replay/saying.h"

#define STAGE_BACKENDS_MAX 8
#define STAGE_QUESTIONS_MAX 512
#define STAGE_EVENTS_MAX 64

/* How what a party says is cut into pieces. */
enum chunking { CHUNK_LINES, CHUNK_GROUPS, CHUNK_OCTETS, CHUNK_RANDOM };

struct party {
	struct buf unsaid; /* said in the script, not delivered yet */
	struct heard heard;
	bool is_skipping;
	size_t backend; /* which one it is, … */
	size_t address; /* … of its addresses, … */
	struct ip ip;   /* … and what that stands for, … */
	uint16_t port;
	unsigned connections; /* … and how often it was connected */
	bool is_open;         /* from ACT_CONNECT to ACT_CLOSE or ACT_ABORT */
	bool is_connecting;   /* the outcome was not told yet */
	bool is_up;
	bool is_securing;    /* ACT_SECURE; the outcome was not told yet */
	bool is_secured;     /* under TLS */
	bool is_tls_bad;     /* handshakes will fail */
	bool has_tls_failed; /* one did: nothing may be said in plain */
	/* One did on the connection before, to the same address. */
	bool is_behind_tls_failure;
	const struct tlsinfo *tls; /* of the next one; NULL: some */
	bool has_ended;            /* the party closed by itself */
	bool is_sending;           /* SESSION_SENT is owed */
	bool is_stalled;           /* it does not read: no SESSION_SENT */
	unsigned refusals;         /* connects that will fail */
	bool is_hanging;           /* connects are not answered */
	bool is_foreign; /* the client's address is none to come from */
	bool is_full; /* its backend takes no more connections: not told yet */
	bool has_place; /* this one is counted (places.h) */
	/* The dialogue as a bystander follows it. */
	struct letter letter;
	struct buf reply;    /* the line being said or heard */
	struct buf command;  /* to a backend: the line being heard */
	bool is_data_asked;  /* DATA was heard */
	bool is_final_asked; /* a whole message was heard */
	bool is_yes_said;    /* to it, before all of it had left */
	size_t followed;     /* octets of the output that were looked at */
};

/* Octets that the session lent out. */
struct loan {
	bool is_out;
	bool is_held; /* by the script: not given back yet */
	struct span lent;
	struct buf copy;
};

struct question {
	struct span name; /* lent by the session */
	uint64_t hash;    /* of the name, as it was asked */
	enum dns_type type;
	uint64_t ticket;
};

/* Connections to each backend, where there is a ceiling. */
struct stage_places {
	unsigned others[STAGE_BACKENDS_MAX];  /* of another worker */
	unsigned held[STAGE_BACKENDS_MAX];    /* of ours, … */
	unsigned closing[STAGE_BACKENDS_MAX]; /* … that nobody listens to */
	unsigned refusals;                    /* there was none */
};

/* What stays as it is from one play to the next. Borrowed. */
struct stage_props {
	const struct conf *conf;
	const struct zone *zone;
	const struct eval_settings *rules;
	struct dkim_engine *dkim;
	struct dkim_engine *second; /* NULL without second-opinion */
};

struct stage {
	enum chunking chunking;
	size_t piece_max; /* of CHUNK_RANDOM */
	uint64_t random;
	uint64_t now_us;
	bool is_simulated; /* no script will ask for marks, events, verdicts */
	bool is_silent;    /* no transcript is wanted */

	struct stage_props props;
	struct ehlo probed[STAGE_BACKENDS_MAX];
	struct upstream *upstreams;
	struct stats stats;
	struct stock *stock; /* at one chunking: NULL at all others */
	struct bufstore bufs;
	struct session_host host;
	struct session_peer peer;
	char id[8];
	unsigned connections;
	struct stage_places places;
	struct session *session; /* NULL before the first and after the last */
	struct party party[SIDE_COUNT];

	struct question questions[STAGE_QUESTIONS_MAX];
	size_t question_count;
	bool is_dns_held;
	bool is_dns_broken; /* every answer is a temperror */

	struct buf disk;
	struct loan writing;
	uint64_t writing_at;
	bool is_disk_full;
	bool is_disk_broken;
	bool is_reading;
	uint64_t reading_at;
	size_t reading_n;

	struct loan spooling;
	bool does_spool_fail;
	bool is_spool_low;   /* on room: full, whatever becomes of lines */
	bool is_spool_full;  /* as sessions see it */
	bool is_memory_full; /* as sessions see it: this one is all there is */
	char limited[64]; /* "reason=…" of the last limit that was reached */
	struct limit *limit; /* that workers share; made when needed */
	struct buf verdict;  /* the last line */
	struct buf verdicts; /* all lines */
	bool is_verdict_new;

	enum log_event events[STAGE_EVENTS_MAX];
	struct buf event_lines; /* "NAME key=value …" LF, of each */
	size_t event_count, events_seen;

	/* The bystander's books. */
	struct saying saying; /* of the client */
	unsigned data_ends, lines;
	bool is_reply_due;     /* the end of data has no reply yet */
	bool is_line_due;      /* … and its line is not written yet */
	bool is_taken;         /* a backend said 2xx to the whole message */
	bool is_taken_secured; /* … under TLS */
	unsigned handed; /* backends that have all of it and did not refuse */
	struct buf promised; /* the reply, as the line says */
	bool is_continued;   /* the client has heard a part of a reply */
	struct letter_change change; /* of the message that reached one */
	bool has_arrived;

	struct buf transcript;
	struct buf fault;
};

void stage_init(struct stage *stage, const struct stage_props *props,
		enum chunking chunking, uint64_t seed);
void stage_fini(struct stage *stage);

/* A client connects. */
void stage_start(struct stage *stage);

/* A party says this; it is delivered when it can be. */
void stage_say(struct stage *stage, enum session_side side, struct span octets);

/* Its end of the connection is closed; error is 0, or a negative errno. */
void stage_hang_up(struct stage *stage, enum session_side side, int error);

/* Everything that can happen now happens. */
void stage_settle(struct stage *stage);

/* One thing that can happen happens; false where nothing can. */
bool stage_move(struct stage *stage);

/* Time passes. */
void stage_wait(struct stage *stage, uint64_t us);

/* The clock shows this now; a deadline that has passed is told once. */
void stage_pass(struct stage *stage, uint64_t now_us);

void stage_drain(struct stage *stage);

/* Other clients have so many connections to a backend now. */
void stage_hold(struct stage *stage, size_t backend, unsigned count);

/* The worker dies: the session is gone, and its file; its connections are
 * reset. What was on its way to the spool may be there or not. The one that
 * takes its place knows nothing of what became of connections to backends. */
void stage_kill(struct stage *stage);

/* Nobody moves: then there must be a deadline. */
void stage_expect_deadline(struct stage *stage);

/* The next number of the stage's random sequence. */
uint64_t stage_draw(struct stage *stage);

static inline bool
stage_has_failed(const struct stage *stage)
{
	return stage->fault.n > 0;
}

void stage_fail(struct stage *stage, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A line of the transcript. */
void stage_note(struct stage *stage, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Octets of a party ("C", "b" …), line by line, into the transcript. */
void stage_write(struct stage *stage, char name, struct span octets);

/* Printable, with \xNN where it is not. */
void stage_show(struct buf *buf, struct span octets);

#endif
