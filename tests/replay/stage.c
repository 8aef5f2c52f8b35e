/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/replay/stage.h"

#include "proxy/limit.h"
#include "proxy/stock.h"

#include "tests/replay/bystander.h"
#include "tests/replay/places.h"
#include "tests/replay/stage_acts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX (8u << 20)
#define UNSAID_MAX (64u << 20)
#define RANDOM_PIECE_MAX 700
#define SECOND UINT64_C(1000000)

/* 2026-11-21T12:00:00Z */
#define WALL_US (UINT64_C(1795262400) * SECOND)

uint64_t
stage_draw(struct stage *stage)
{
	/* splitmix64 */
	uint64_t z = stage->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t
monotonic_us(void *clock)
{
	const struct stage *stage = clock;

	return stage->now_us;
}

static uint64_t
wall_us(void *clock)
{
	const struct stage *stage = clock;

	return WALL_US + stage->now_us;
}

static void
init_party(struct party *party)
{
	buf_init(&party->unsaid, UNSAID_MAX);
	heard_init(&party->heard);
	letter_init(&party->letter);
	buf_init(&party->reply, TEXT_MAX);
	buf_init(&party->command, TEXT_MAX);
}

/* What a host name of a backend stands for, by the script's zone. */
static void
look_up(struct stage *stage, size_t backend, size_t address)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA };
	const struct conf_backend *conf = &stage->props.conf->backends[backend];
	struct ip list[UPSTREAM_TARGETS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < 2; i++) {
		struct answer answer;

		zone_lookup(stage->props.zone, conf->addresses[address].host,
			    types[i], &answer);
		for (size_t k = 0; k < answer.records; k++)
			list[count++] = ip_make(answer.record[k].value.p,
						answer.record[k].value.n);
	}
	upstream_resolved(&stage->upstreams[backend], address, list, count);
}

static void
init_upstreams(struct stage *stage)
{
	const struct conf *conf = stage->props.conf;

	stage->upstreams = upstreams_new(conf);
	assert(stage->upstreams != NULL);
	for (size_t i = 0; i < conf->backend_count; i++)
		for (size_t k = 0; k < conf->backends[i].address_count; k++)
			if (conf->backends[i].addresses[k].host.n > 0)
				look_up(stage, i, k);
}

void
stage_init(struct stage *stage, const struct stage_props *props,
	   enum chunking chunking, uint64_t seed)
{
	*stage = (struct stage){
		.props = *props,
		.chunking = chunking,
		.piece_max = RANDOM_PIECE_MAX,
		.random = seed,
		.now_us = 1000 * SECOND,
		.peer = { .listener = &props->conf->listeners[0],
			  .port = 4242 },
	};
	assert(props->conf->backend_count <= STAGE_BACKENDS_MAX);
	init_upstreams(stage);
	if (chunking == CHUNK_GROUPS)
		stage->stock = stock_new();
	ip_parse(SPAN_LIT("192.0.2.10"), &stage->peer.ip);
	ip_parse(SPAN_LIT("198.51.100.25"), &stage->peer.local_ip);
	stage->peer.local_port = 25;
	for (enum session_side side = 0; side < SIDE_COUNT; side++)
		init_party(&stage->party[side]);
	saying_init(&stage->saying);
	buf_init(&stage->disk, UNSAID_MAX);
	buf_init(&stage->writing.copy, UNSAID_MAX);
	buf_init(&stage->spooling.copy, TEXT_MAX);
	buf_init(&stage->verdict, TEXT_MAX);
	buf_init(&stage->verdicts, TEXT_MAX);
	buf_init(&stage->event_lines, TEXT_MAX);
	buf_init(&stage->promised, TEXT_MAX);
	buf_init(&stage->transcript, TEXT_MAX);
	buf_init(&stage->fault, 4096);
}

void
stage_fini(struct stage *stage)
{
	session_free(stage->session);
	for (enum session_side side = 0; side < SIDE_COUNT; side++) {
		buf_fini(&stage->party[side].unsaid);
		heard_fini(&stage->party[side].heard);
		letter_fini(&stage->party[side].letter);
		buf_fini(&stage->party[side].reply);
		buf_fini(&stage->party[side].command);
	}
	saying_fini(&stage->saying);
	stock_free(stage->stock);
	bufstore_fini(&stage->bufs);
	free(stage->upstreams);
	limit_free(stage->limit);
	buf_fini(&stage->disk);
	buf_fini(&stage->writing.copy);
	buf_fini(&stage->spooling.copy);
	buf_fini(&stage->verdict);
	buf_fini(&stage->verdicts);
	buf_fini(&stage->event_lines);
	buf_fini(&stage->promised);
	buf_fini(&stage->transcript);
	buf_fini(&stage->fault);
}

static void
finish_connect(struct stage *stage, enum session_side side)
{
	struct party *party = &stage->party[side];

	int error = 0;

	party->is_connecting = false;
	if (party->is_foreign) {
		error = -EPERM;
	} else if (party->refusals > 0) {
		party->refusals--;
		error = -ECONNREFUSED;
	}
	if (error != 0) {
		party->has_ended = true;
		stage_give(stage,
			   (struct session_event){ .kind = SESSION_CLOSED,
						   .side = side,
						   .error = error });
		return;
	}
	party->is_up = true;
	stage_give(stage, (struct session_event){ .kind = SESSION_CONNECTED,
						  .side = side });
}

/* There is no TLS, and will be none; a client is closed then. */
static void
fail_handshake(struct stage *stage, enum session_side side, int error,
	       const char *reason)
{
	struct party *party = &stage->party[side];

	party->is_securing = false;
	party->has_tls_failed = true;
	buf_reset(&party->unsaid);
	stage_give(stage, (struct session_event){ .kind = SESSION_CLOSED,
						  .side = side,
						  .error = error,
						  .reason = reason });
	if (side == SIDE_CLIENT && stage->session != NULL)
		stage_fail(stage, "the session goes on behind a handshake that "
				  "failed");
}

/* What the peer is known by, in memory of its own: whoever keeps it is seen by
 * a sanitizer. */
static void
give_secured(struct stage *stage, enum session_side side)
{
	static const struct tlsinfo some = {
		.version = "TLSv1.3",
		.cipher = "TLS_AES_256_GCM_SHA384",
		.bits = 256,
	};
	const struct party *party = &stage->party[side];
	struct tlsinfo info = party->tls != NULL ? *party->tls : some;
	struct buf texts;
	size_t n = info.server_name.n;

	buf_init(&texts, TEXT_MAX);
	buf_append(&texts, info.server_name);
	buf_append(&texts, info.subject);
	info.server_name = span_first(buf_span(&texts), n);
	info.subject = span_after(buf_span(&texts), n);
	stage_give(stage, (struct session_event){ .kind = SESSION_SECURED,
						  .side = side,
						  .tls = &info });
	buf_fini(&texts);
}

/* What a party says in plain now is no handshake. */
static void
finish_handshake(struct stage *stage, enum session_side side)
{
	struct party *party = &stage->party[side];

	if (party->is_tls_bad || party->unsaid.n > 0) {
		fail_handshake(stage, side, -EPROTO, "wrong version number");
		return;
	}
	party->is_securing = false;
	party->is_secured = true;
	if (side == SIDE_CLIENT)
		saying_start(&stage->saying);
	give_secured(stage, side);
}

static void
finish_send(struct stage *stage, enum session_side side)
{
	stage->party[side].is_sending = false;
	stage->is_taken |= stage->party[side].is_yes_said;
	stage->party[side].is_yes_said = false;
	stage_give(stage, (struct session_event){ .kind = SESSION_SENT,
						  .side = side });
}

static void
finish_write(struct stage *stage)
{
	struct session_event event = { .kind = SESSION_WRITTEN };

	stage_give_back(stage, &stage->writing, "body");
	if (stage->is_disk_full) {
		event.error = -EDQUOT;
	} else if (stage->writing_at == stage->disk.n) {
		buf_append(&stage->disk, buf_span(&stage->writing.copy));
	} else if (stage->disk.n > 0) {
		stage_fail(stage, "a write at %zu, the file has %zu octets",
			   (size_t)stage->writing_at, stage->disk.n);
	}
	stage_give(stage, event);
}

static void
finish_read(struct stage *stage)
{
	struct span file = buf_span(&stage->disk);
	struct session_event event = { .kind = SESSION_READ,
				       .ticket = stage->reading_at };

	stage->is_reading = false;
	if (stage->reading_n == 0 || stage->reading_at > file.n ||
	    stage->reading_n > file.n - stage->reading_at) {
		stage_fail(stage, "a read beyond the end of the file");
		return;
	}
	if (stage->is_disk_broken)
		event.error = -EIO;
	else
		event.octets =
			span_first(span_after(file, (size_t)stage->reading_at),
				   stage->reading_n);
	stage_give(stage, event);
}

static void
finish_spool(struct stage *stage)
{
	stage_give_back(stage, &stage->spooling, "verdict line");
	stage->is_line_due = false;
	stage->is_spool_full = stage->does_spool_fail || stage->is_spool_low;
	stage_give(stage, (struct session_event){
				  .kind = SESSION_SPOOLED,
				  .error = stage->does_spool_fail ? -ENOSPC : 0,
			  });
}

/* DNS keeps no order; only at random chunkings is that tried. */
static void
answer_one(struct stage *stage)
{
	size_t i = stage->chunking == CHUNK_RANDOM
			   ? stage_draw(stage) % stage->question_count
			   : 0;
	struct question question = stage->questions[i];
	struct answer answer = { .status = ANSWER_NXDOMAIN };

	stage->question_count--;
	memmove(stage->questions + i, stage->questions + i + 1,
		(stage->question_count - i) * sizeof(question));
	if (stage_hash(question.name) != question.hash)
		stage_fail(stage, "the name of a question has changed");
	if (stage->is_dns_broken) {
		answer.status = ANSWER_TEMPERROR;
		answer.error = "SERVFAIL";
	} else if (stage->props.zone != NULL) {
		zone_lookup(stage->props.zone, question.name, question.type,
			    &answer);
	}
	answer.name = question.name;
	answer.type = question.type;
	stage_give(stage, (struct session_event){ .kind = SESSION_ANSWER,
						  .ticket = question.ticket,
						  .answer = &answer });
}

/* Those that a cache has are there together. */
static void
answer(struct stage *stage)
{
	do {
		answer_one(stage);
	} while (stage->chunking == CHUNK_GROUPS && stage->question_count > 0);
	stage_give(stage, (struct session_event){ .kind = SESSION_ANSWERED });
}

static size_t
piece_length(struct stage *stage, struct span unsaid)
{
	size_t n = unsaid.n;

	switch (stage->chunking) {
	case CHUNK_LINES:
		n = span_find(unsaid, '\n');
		n = n < unsaid.n ? n + 1 : n;
		break;
	case CHUNK_GROUPS:
		break;
	case CHUNK_OCTETS:
		n = 1;
		break;
	case CHUNK_RANDOM:
		if (n > stage->piece_max)
			n = stage->piece_max;
		n = 1 + stage_draw(stage) % n;
		break;
	}
	return n > SESSION_OCTETS_MAX ? SESSION_OCTETS_MAX : n;
}

/* One piece of what a party has said. The octets stand in memory of their own,
 * so that a sanitizer sees whoever keeps them. */
static void
deliver(struct stage *stage, enum session_side side)
{
	struct party *party = &stage->party[side];
	size_t n = piece_length(stage, buf_span(&party->unsaid));
	struct buf piece;

	buf_init(&piece, SESSION_OCTETS_MAX);
	buf_append(&piece, span_first(buf_span(&party->unsaid), n));
	buf_consume(&party->unsaid, n);
	bystander_said(stage, side, buf_span(&piece));
	stage_give(stage, (struct session_event){ .kind = SESSION_OCTETS,
						  .side = side,
						  .octets = buf_span(&piece) });
	buf_fini(&piece);
}

/* --- what can happen next --- */

enum happening {
	CONNECT_ENDS,
	SEND_ENDS,
	HANDSHAKE_ENDS,
	WRITE_ENDS,
	READ_ENDS,
	SPOOL_ENDS,
	DNS_ANSWERS,
	OCTETS_COME,
	CLOSE_ENDS,
	HAPPENINGS,
};

static bool
can_happen(const struct stage *stage, enum happening happening,
	   enum session_side side)
{
	const struct party *party = &stage->party[side];

	switch (happening) {
	case CONNECT_ENDS:
		return party->is_connecting && !party->is_hanging;
	case SEND_ENDS:
		return party->is_sending && !party->is_stalled;
	case HANDSHAKE_ENDS:
		return party->is_securing && !party->is_sending &&
		       !party->has_ended && !party->is_hanging;
	case WRITE_ENDS:
		return side == 0 && stage->writing.is_out &&
		       !stage->writing.is_held;
	case READ_ENDS:
		return side == 0 && stage->is_reading &&
		       !stage->writing.is_held;
	case SPOOL_ENDS:
		return side == 0 && stage->spooling.is_out &&
		       !stage->spooling.is_held;
	case DNS_ANSWERS:
		return side == 0 && stage->question_count > 0 &&
		       !stage->is_dns_held;
	case OCTETS_COME:
		return party->unsaid.n > 0 && party->is_up &&
		       !party->is_securing && !party->has_ended &&
		       session_wants(stage->session, side);
	case CLOSE_ENDS:
		return side == 0 && places_are_closing(stage);
	case HAPPENINGS:
		break;
	}
	return false;
}

static void
happen(struct stage *stage, enum happening happening, enum session_side side)
{
	switch (happening) {
	case CONNECT_ENDS:
		finish_connect(stage, side);
		return;
	case SEND_ENDS:
		finish_send(stage, side);
		return;
	case HANDSHAKE_ENDS:
		finish_handshake(stage, side);
		return;
	case WRITE_ENDS:
		finish_write(stage);
		return;
	case READ_ENDS:
		finish_read(stage);
		return;
	case SPOOL_ENDS:
		finish_spool(stage);
		return;
	case DNS_ANSWERS:
		answer(stage);
		return;
	case OCTETS_COME:
		deliver(stage, side);
		return;
	case CLOSE_ENDS:
		places_end_one(stage);
		return;
	case HAPPENINGS:
		return;
	}
}

/* The first of them, or any. */
bool
stage_move(struct stage *stage)
{
	unsigned possible[HAPPENINGS * SIDE_COUNT];
	size_t count = 0, chosen;

	for (unsigned i = 0; i < HAPPENINGS * SIDE_COUNT; i++)
		if (can_happen(stage, i / SIDE_COUNT, i % SIDE_COUNT))
			possible[count++] = i;
	if (count == 0)
		return false;
	chosen =
		stage->chunking == CHUNK_RANDOM ? stage_draw(stage) % count : 0;
	happen(stage, possible[chosen] / SIDE_COUNT,
	       possible[chosen] % SIDE_COUNT);
	return true;
}

/* Nothing moves: then it is a clock, or the driver's own, that is waited
 * for. */
void
stage_expect_deadline(struct stage *stage)
{
	bool is_ours = stage->writing.is_out || stage->is_reading ||
		       stage->spooling.is_out;

	if (!is_ours && session_deadline(stage->session) == 0)
		stage_fail(stage, "the session waits without a deadline");
}

void
stage_settle(struct stage *stage)
{
	while (stage->session != NULL && !stage_has_failed(stage))
		if (!stage_move(stage)) {
			stage_expect_deadline(stage);
			return;
		}
}

/* Among the targets of a backend. In a script the first is always chosen. */
static uint32_t throw(void *stage)
{
	return (uint32_t)stage_draw(stage);
}

/* As a worker does. */
static bool
take_message(void *limits, const struct ip *client)
{
	struct stage *stage = limits;
	const struct conf *conf = stage->props.conf;
	const struct conf_rate *rate = &conf->message_rate;

	if (rate->count == 0 || !conf_is_limited(conf, client))
		return true;
	return limit_rate(places_limit(stage), RATE_MESSAGES, client,
			  rate->count, rate->period_us, stage->now_us);
}

void
stage_start(struct stage *stage)
{
	assert(stage->session == NULL);
	stage->host = (struct session_host){
		.conf = stage->props.conf,
		.rules = stage->props.rules,
		.dkim = stage->props.dkim,
		.second = stage->props.second,
		.probed = stage->probed,
		.upstreams = stage->upstreams,
		.dice = { .draw = stage->is_simulated ? throw : NULL,
			  .from = stage },
		.stats = &stage->stats,
		.stock = stage->stock,
		.bufs = stage->stock == NULL ? NULL : &stage->bufs,
		.is_spool_full = &stage->is_spool_full,
		.is_memory_full = &stage->is_memory_full,
		.take_message = take_message,
		.limits = stage,
		.monotonic_us = monotonic_us,
		.wall_us = wall_us,
		.clock = stage,
	};
	snprintf(stage->id, sizeof(stage->id), "r%u", ++stage->connections);
	stage->peer.id = span_cstr(stage->id);
	stage->session = session_new(&stage->host, &stage->peer);
	assert(stage->session != NULL);
	for (enum session_side side = 0; side < SIDE_COUNT; side++)
		stage->party[side].has_tls_failed = false;
	stage->party[SIDE_CLIENT].is_open = true;
	stage->party[SIDE_CLIENT].is_up = true;
	stage_give(stage, (struct session_event){ .kind = SESSION_START });
}

void
stage_say(struct stage *stage, enum session_side side, struct span octets)
{
	struct party *party = &stage->party[side];

	stage_write(stage, (char)(stage_names[side] - 'a' + 'A'), octets);
	if (party->is_up && !party->has_ended) {
		bool is_kept = buf_append(&party->unsaid, octets);

		assert(is_kept);
	} else if (side != SIDE_CLIENT) {
		stage_fail(stage, "%c speaks, but is not connected",
			   stage_names[side] - 'a' + 'A');
	}
}

void
stage_hang_up(struct stage *stage, enum session_side side, int error)
{
	struct party *party = &stage->party[side];

	stage_note(stage, "! %c %s", stage_names[side],
		   error == 0 ? "closes" : "resets");
	if (!party->is_open) {
		if (side != SIDE_CLIENT)
			stage_fail(stage, "%c is not connected",
				   stage_names[side]);
		return;
	}
	if (party->unsaid.n > 0 && error == 0)
		stage_settle(stage);
	buf_reset(&party->unsaid);
	/* A client that has closed still reads; a backend's does not. */
	if (side != SIDE_CLIENT || error != 0)
		party->has_ended = true;
	if (party->is_securing) {
		fail_handshake(stage, side, error, NULL);
		return;
	}
	stage_give(stage,
		   (struct session_event){
			   .kind = SESSION_CLOSED,
			   .side = side,
			   .error = error,
			   .reason = error == -EPROTO ? "bad record mac" : NULL,
		   });
}

void
stage_wait(struct stage *stage, uint64_t us)
{
	uint64_t until = stage->now_us + us;
	unsigned turns = 0;

	stage_note(stage, "! %.1f s pass", (double)us / (double)SECOND);
	while (stage->session != NULL && !stage_has_failed(stage)) {
		uint64_t deadline = session_deadline(stage->session);

		if (deadline == 0 || deadline > until)
			break;
		if (deadline > stage->now_us) {
			stage->now_us = deadline;
			turns = 0;
		} else if (++turns > 8) {
			stage_fail(stage, "a deadline passes again and again");
		}
		stage_give(stage,
			   (struct session_event){ .kind = SESSION_TIMER });
		stage_settle(stage);
	}
	stage->now_us = until;
}

void
stage_pass(struct stage *stage, uint64_t now_us)
{
	uint64_t deadline;

	stage_note(stage, "! %.6f s pass",
		   (double)(now_us - stage->now_us) / (double)SECOND);
	assert(now_us >= stage->now_us);
	stage->now_us = now_us;
	if (stage->session == NULL)
		return;
	deadline = session_deadline(stage->session);
	if (deadline != 0 && deadline <= now_us)
		stage_give(stage,
			   (struct session_event){ .kind = SESSION_TIMER });
}

void
stage_kill(struct stage *stage)
{
	stage_note(stage, "! the worker dies");
	for (enum session_side side = 0; side < SIDE_COUNT; side++)
		if (stage->party[side].is_open)
			stage_disconnect(stage, side, "reset");
	stage_leave(stage);
	places_clear(stage);
	places_check(stage);
	free(stage->upstreams);
	init_upstreams(stage);
}

void
stage_drain(struct stage *stage)
{
	stage_note(stage, "! drain");
	stage_give(stage, (struct session_event){ .kind = SESSION_DRAIN });
}
