/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/smuggle/rig.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SHOWN_MAX 3000
#define SECOND UINT64_C(1000000)
#define WALL_US (UINT64_C(1795262400) * SECOND) /* 2026-11-21T12:00:00Z */

static uint64_t
monotonic_us(void *clock)
{
	const struct rig *rig = clock;

	return rig->now_us;
}

static uint64_t
wall_us(void *clock)
{
	const struct rig *rig = clock;

	return WALL_US + rig->now_us;
}

/* conf_read() wants a file: one without a name. */
struct conf *
rig_conf(const char *text)
{
	struct span all = span_cstr(text);
	int fd = memfd_create("proxy.conf", MFD_CLOEXEC);
	ssize_t written = fd < 0 ? -1 : write(fd, all.p, all.n);
	struct buf faults;
	struct conf *conf;
	char path[64];

	assert(written == (ssize_t)all.n);
	buf_init(&faults, 65536);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	conf = conf_read(path, CONF_GATE, &faults);
	if (conf == NULL)
		printf("# %.*s", (int)faults.n, (const char *)faults.p);
	buf_fini(&faults);
	close(fd);
	return conf;
}

void
rig_init(struct rig *rig, const struct conf *conf, struct dkim_engine *dkim)
{
	static const struct eval_settings rules = { .psl = NULL };
	*rig = (struct rig){
		.conf = conf,
		.dkim = dkim,
		.now_us = 1000 * SECOND,
		.peer = { .listener = &conf->listeners[0],
			  .port = 4242,
			  .local_port = 25,
			  .id = SPAN_LIT("s1") },
	};
	ip_parse(SPAN_LIT("192.0.2.10"), &rig->peer.ip);
	ip_parse(SPAN_LIT("198.51.100.25"), &rig->peer.local_ip);
	rig->upstreams = upstreams_new(conf);
	assert(rig->upstreams != NULL);
	rig->host = (struct session_host){
		.conf = conf,
		.rules = &rules,
		.dkim = dkim,
		.probed = rig->probed,
		.upstreams = rig->upstreams,
		.stats = &rig->stats,
		.monotonic_us = monotonic_us,
		.wall_us = wall_us,
		.clock = rig,
	};
	buf_init(&rig->client_said, RIG_HEARD_MAX);
	buf_init(&rig->backend_said, RIG_HEARD_MAX);
	buf_init(&rig->client_heard, RIG_HEARD_MAX);
	buf_init(&rig->backend_heard, RIG_HEARD_MAX);
	buf_init(&rig->disk, RIG_HEARD_MAX);
}

void
rig_fini(struct rig *rig)
{
	session_free(rig->session);
	free(rig->upstreams);
	buf_fini(&rig->client_said);
	buf_fini(&rig->backend_said);
	buf_fini(&rig->client_heard);
	buf_fini(&rig->backend_heard);
	buf_fini(&rig->disk);
}

/* --- actions --- */

static void
hang_up_backend(struct rig *rig)
{
	rig->is_connecting = rig->is_up = false;
	rig->is_sending[SIDE_BACKEND] = false;
	buf_reset(&rig->backend_said);
}

/* Take what the session wants a side to hear. */
static void
hear(struct rig *rig, enum session_side side)
{
	struct buf *out = session_output(rig->session, side);
	struct span octets = buf_span(out);

	if (octets.n == 0)
		return;
	assert(side != SIDE_DIVERT);
	buf_append(side == SIDE_CLIENT ? &rig->client_heard
				       : &rig->backend_heard,
		   octets);
	if (side == SIDE_BACKEND && rig->backend.heard != NULL)
		rig->backend.heard(rig->backend.self, octets,
				   &rig->backend_said);
	buf_consume(out, octets.n);
	rig->is_sending[side] = true;
}

static void
ask(struct rig *rig, const struct session_action *action)
{
	assert(rig->question_count < RIG_QUESTIONS_MAX);
	rig->questions[rig->question_count].name = action->name;
	rig->questions[rig->question_count].type = action->type;
	rig->questions[rig->question_count].ticket = action->ticket;
	rig->question_count++;
}

static void
forget(struct rig *rig, uint64_t ticket)
{
	size_t kept = 0;

	for (size_t i = 0; i < rig->question_count; i++)
		if (rig->questions[i].ticket >> 16 != ticket >> 16)
			rig->questions[kept++] = rig->questions[i];
	rig->question_count = kept;
}

static void
finish(struct rig *rig)
{
	session_free(rig->session);
	rig->session = NULL;
	hang_up_backend(rig);
	rig->is_spooling = rig->is_writing = rig->is_reading = false;
	rig->is_sending[SIDE_CLIENT] = false;
	rig->question_count = 0;
	buf_reset(&rig->client_said);
	buf_reset(&rig->disk);
}

static void
perform(struct rig *rig, const struct session_action *action)
{
	switch (action->act) {
	case ACT_CONNECT:
		rig->is_connecting = true;
		return;
	case ACT_SECURE:
		assert(false); /* neither side offers TLS here */
		return;
	case ACT_CLOSE:
		hear(rig, action->side);
		if (action->side != SIDE_CLIENT)
			hang_up_backend(rig);
		return;
	case ACT_ABORT:
		if (action->side != SIDE_CLIENT)
			hang_up_backend(rig);
		return;
	case ACT_ASK:
		ask(rig, action);
		return;
	case ACT_FORGET:
		forget(rig, action->ticket);
		return;
	case ACT_SPOOL:
		rig->is_spooling = true;
		return;
	case ACT_BODY_WRITE:
		rig->is_writing = true;
		rig->writing = action->octets;
		return;
	case ACT_BODY_READ:
		rig->is_reading = true;
		rig->reading_at = action->offset;
		rig->reading_n = action->length;
		return;
	case ACT_BODY_DROP:
		buf_reset(&rig->disk);
		rig->is_reading = false;
		return;
	case ACT_EVENT:
		return;
	case ACT_END:
		finish(rig);
		return;
	}
}

static void
give(struct rig *rig, struct session_event event)
{
	struct session_action action;

	session_step(rig->session, &event);
	while (rig->session != NULL && session_next(rig->session, &action))
		perform(rig, &action);
	for (enum session_side side = 0;
	     rig->session != NULL && side < SIDE_COUNT; side++)
		if (!rig->is_sending[side])
			hear(rig, side);
}

/* --- what can happen next --- */

static bool
finish_side(struct rig *rig, enum session_side side)
{
	if (!rig->is_sending[side])
		return false;
	rig->is_sending[side] = false;
	give(rig, (struct session_event){ .kind = SESSION_SENT, .side = side });
	return true;
}

static bool
finish_connect(struct rig *rig)
{
	if (!rig->is_connecting)
		return false;
	rig->is_connecting = false;
	rig->is_up = true;
	give(rig, (struct session_event){ .kind = SESSION_CONNECTED,
					  .side = SIDE_BACKEND });
	if (rig->is_up && rig->backend.connected != NULL)
		rig->backend.connected(rig->backend.self, &rig->backend_said);
	return true;
}

static bool
finish_file(struct rig *rig)
{
	struct session_event event = { .kind = SESSION_READ };

	if (rig->is_writing) {
		rig->is_writing = false;
		buf_append(&rig->disk, rig->writing);
		give(rig, (struct session_event){ .kind = SESSION_WRITTEN });
		return true;
	}
	if (!rig->is_reading)
		return false;
	rig->is_reading = false;
	event.ticket = rig->reading_at;
	event.octets =
		span_first(span_after(buf_span(&rig->disk), rig->reading_at),
			   rig->reading_n);
	give(rig, event);
	return true;
}

static bool
finish_spool(struct rig *rig)
{
	if (!rig->is_spooling)
		return false;
	rig->is_spooling = false;
	give(rig, (struct session_event){ .kind = SESSION_SPOOLED });
	return true;
}

static bool
answer_one(struct rig *rig)
{
	struct answer answer = { .status = ANSWER_NXDOMAIN };
	uint64_t ticket;

	if (rig->question_count == 0)
		return false;
	rig->question_count--;
	answer.name = rig->questions[rig->question_count].name;
	answer.type = rig->questions[rig->question_count].type;
	ticket = rig->questions[rig->question_count].ticket;
	give(rig, (struct session_event){ .kind = SESSION_ANSWER,
					  .ticket = ticket,
					  .answer = &answer });
	give(rig, (struct session_event){ .kind = SESSION_ANSWERED });
	return true;
}

/* In memory of its own, so that a sanitizer sees whoever keeps it. */
static bool
deliver(struct rig *rig, enum session_side side, struct buf *said)
{
	size_t n = said->n < SESSION_OCTETS_MAX ? said->n : SESSION_OCTETS_MAX;
	struct buf piece;

	if (n == 0 || !session_wants(rig->session, side))
		return false;
	if (rig->piece_max > 0 && n > rig->piece_max)
		n = rig->piece_max;
	buf_init(&piece, SESSION_OCTETS_MAX);
	buf_append(&piece, span_first(buf_span(said), n));
	buf_consume(said, n);
	give(rig, (struct session_event){ .kind = SESSION_OCTETS,
					  .side = side,
					  .octets = buf_span(&piece) });
	buf_fini(&piece);
	return true;
}

static bool
move(struct rig *rig)
{
	return finish_side(rig, SIDE_CLIENT) ||
	       finish_side(rig, SIDE_BACKEND) || finish_connect(rig) ||
	       finish_file(rig) || finish_spool(rig) || answer_one(rig) ||
	       (rig->is_up && deliver(rig, SIDE_BACKEND, &rig->backend_said)) ||
	       deliver(rig, SIDE_CLIENT, &rig->client_said);
}

static void
settle(struct rig *rig)
{
	while (rig->session != NULL && move(rig))
		;
}

void
rig_start(struct rig *rig, const struct rig_backend *backend)
{
	assert(rig->session == NULL);
	rig->backend = *backend;
	buf_reset(&rig->client_heard);
	buf_reset(&rig->backend_heard);
	rig->session = session_new(&rig->host, &rig->peer);
	assert(rig->session != NULL);
	give(rig, (struct session_event){ .kind = SESSION_START });
	settle(rig);
}

void
rig_say(struct rig *rig, enum session_side side, struct span octets)
{
	if (rig->session == NULL || (side == SIDE_BACKEND && !rig->is_up))
		return;
	buf_append(side == SIDE_CLIENT ? &rig->client_said : &rig->backend_said,
		   octets);
	settle(rig);
}

void
rig_end(struct rig *rig)
{
	if (rig->session == NULL)
		return;
	give(rig, (struct session_event){ .kind = SESSION_CLOSED,
					  .side = SIDE_CLIENT });
	settle(rig);
	while (rig->session != NULL) {
		uint64_t deadline = session_deadline(rig->session);

		assert(deadline != 0); /* every session ends */
		if (deadline > rig->now_us)
			rig->now_us = deadline;
		give(rig, (struct session_event){ .kind = SESSION_TIMER });
		settle(rig);
	}
}

void
rig_print(const char *what, struct span octets)
{
	printf("# %s:\n#   ", what);
	if (octets.n > SHOWN_MAX)
		octets.n = SHOWN_MAX;
	for (size_t i = 0; i < octets.n; i++) {
		uint8_t c = octets.p[i];

		if (c == '\n')
			printf("\\n\n#   ");
		else if (c < ' ' || c > '~')
			printf("\\x%02x", c);
		else
			printf("%c", c);
	}
	printf("\n");
}
