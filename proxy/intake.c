/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * intake: the octets of a message, by DATA or by BDAT, into the mail; and those
 * of a chunk that was refused, to nowhere.
 *
 * A chunk is answered when the body has room for more: while it is being
 * written nothing else happens to the mail, so that it can be dropped between
 * two chunks. What is wrong with the octets is answered at the end of the
 * message, as it is with DATA: there its verdict line is written.
 */
#include "proxy/session_state.h"

#include <inttypes.h>
#include <stdio.h>

/* Of each body that is in memory, at most, when memory is scarce. */
#define BODY_SCARCE (16u * 1024)

void
intake_begin_chunk(struct session *session, const struct server_turn *turn,
		   const struct command *command)
{
	session->chunk = (struct session_chunk){
		.size = command->chunk,
		.left = command->chunk,
		.is_last = command->is_last,
		.refusal = *turn,
	};
	if (turn->code == 0 && session->chunks_us == 0)
		mail_begin_chunks(session->mail,
				  session->server.is_sender_binary);
	if (session->chunks_us == 0)
		session->chunks_us = session_now(session);
	session_enter(session, PHASE_CHUNK);
}

uint64_t
intake_deadline(const struct session *session)
{
	uint64_t since_us = session->phase == PHASE_DATA ? session->phase_us
							 : session->chunks_us;

	if (since_us == 0 || session->phase > PHASE_CHUNK)
		return 0;
	return since_us + session->host->conf->data_us_max;
}

static void
write_body(struct session *session)
{
	struct session_action action = { .act = ACT_BODY_WRITE };
	struct body *body = &session->mail->body;

	if (!body_wants_write(body))
		return;
	action.octets = body_write(body, &action.offset);
	session_act(session, action);
}

/* All of the message is here. */
static void
end_message(struct session *session)
{
	session_count(session, STAT_MAILS, 1);
	session_count(session, STAT_MESSAGE_OCTETS,
		      session->mail->decoder.octets);
	session_enter(session, PHASE_JUDGING);
	delivery_judge(session);
}

static void
refuse_overrun(struct session *session)
{
	session_log(session, EVENT_DATA_TOO_LARGE, NULL);
	session_goodbye(session, 421, "4.3.0",
			"Message is far larger than we take");
}

/* What of a body is kept in memory, while there is memory. */
static size_t
body_memory(const struct session *session)
{
	size_t most = (size_t)session->host->conf->body_memory;

	return session_is_short(session) && most > BODY_SCARCE ? BODY_SCARCE
							       : most;
}

/* The front of the client's octets, as far as the body has room. */
static enum mail_intake
take(struct session *session, struct span in)
{
	struct mail *mail = session->mail;
	enum eval_stage stage = mail->stage;
	size_t before = in.n;
	enum mail_intake intake;

	body_bound(&mail->body, body_memory(session));
	intake = mail_take(mail, &in);
	session_consume(session, before - in.n);
	session->chunk.left -= before - in.n;
	if (intake == MAIL_OVERRUN)
		refuse_overrun(session);
	else if (intake != MAIL_ENDED && stage != mail->stage)
		mail_judge(mail);
	return intake;
}

bool
intake_data(struct session *session)
{
	struct span in = session_input(session);
	struct mail *mail = session->mail;

	if (in.n == 0 || mail->body.writing > 0)
		return false;
	if (take(session, in) == MAIL_ENDED)
		end_message(session);
	if (session->phase == PHASE_DATA)
		write_body(session);
	return true;
}

static void
end_chunk(struct session *session)
{
	const struct session_chunk *chunk = &session->chunk;
	char text[64];

	if (chunk->refusal.code != 0) {
		session->chunks_us = 0;
		session_reply(session, chunk->refusal.code,
			      chunk->refusal.enhanced, chunk->refusal.text);
	} else if (!chunk->is_last) {
		snprintf(text, sizeof(text), "Ok: %" PRIu64 " octets",
			 chunk->size);
		session_reply(session, 250, "2.0.0", text);
	} else {
		mail_end_chunks(session->mail);
		end_message(session);
		return;
	}
	session_enter(session, PHASE_COMMANDS);
}

bool
intake_chunk(struct session *session)
{
	struct session_chunk *chunk = &session->chunk;
	bool is_refused = chunk->refusal.code != 0;
	struct span in = session_input(session);

	if (!is_refused && session->mail->body.writing > 0)
		return false;
	if (in.n > chunk->left)
		in = span_first(in, (size_t)chunk->left);
	if (in.n == 0 && chunk->left > 0)
		return false;
	if (is_refused) {
		session_consume(session, in.n);
		chunk->left -= in.n;
	} else if (in.n > 0) {
		take(session, in);
	}
	if (session->phase != PHASE_CHUNK)
		return true;
	if (!is_refused)
		write_body(session);
	if (chunk->left == 0 &&
	    (is_refused || session->mail->body.writing == 0))
		end_chunk(session);
	return true;
}
