/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * patience: how long the client may take for what it is at.
 *
 * It may be silent only for so long (RFC 5321 4.5.3.2); and it may not make up
 * for that by an octet now and then, which would hold a session for ever: a
 * command line has its time, a message has its time and its lowest rate. What
 * the client waits for is no fault of its own: nothing runs then.
 */
#include "proxy/session_state.h"

/* A bound that the client came to. */
struct bound {
	uint64_t due_us; /* 0: there is none */
	enum log_event event;
	const char *setting;
	const char *text;
};

static void
add(struct bound *first, uint64_t due_us, enum log_event event,
    const char *setting, const char *text)
{
	if (first->due_us == 0 || due_us < first->due_us)
		*first = (struct bound){ due_us, event, setting, text };
}

/* All of a message has its time, by however many chunks it comes. */
static void
add_message(struct bound *first, const struct session *session)
{
	uint64_t due_us = intake_deadline(session);

	if (due_us != 0)
		add(first, due_us, EVENT_DATA_TIMEOUT, "data-time",
		    "The message took too long");
}

static struct bound
in_commands(const struct session *session)
{
	const struct conf *conf = session->host->conf;
	struct bound first = { 0 };

	if (server_is_waiting(&session->server))
		return first;
	add_message(&first, session);
	if (session->has_spoken)
		add(&first, session->client_us + conf->client_us_max,
		    EVENT_CLIENT_TIMEOUT, "client-timeout", "You were silent");
	else
		add(&first, session->client_us + conf->banner_us_max,
		    EVENT_CLIENT_TIMEOUT, "greeting-timeout",
		    "You were silent");
	if (session->line_us != 0)
		add(&first, session->line_us + conf->command_us_max,
		    EVENT_CLIENT_TIMEOUT, "command-time",
		    "The command took too long");
	return first;
}

static struct bound
in_data(const struct session *session)
{
	const struct conf *conf = session->host->conf;
	struct bound first = { 0 };

	add_message(&first, session);
	if (!session_is_listening(session))
		return first;
	add(&first, session->client_us + conf->block_us_max,
	    EVENT_CLIENT_TIMEOUT, "data-timeout",
	    "You were silent within the message");
	if (conf->data_rate_min > 0)
		add(&first, session->rate_us + conf->rate_us,
		    EVENT_DATA_TIMEOUT, "data-rate",
		    "The message came too slowly");
	return first;
}

static struct bound
find_bound(const struct session *session)
{
	if (session->phase == PHASE_COMMANDS ||
	    (session->phase == PHASE_LOGIN && session->auth.is_clients_turn))
		return in_commands(session);
	if (session->phase == PHASE_DATA || session->phase == PHASE_CHUNK)
		return in_data(session);
	return (struct bound){ 0 };
}

uint64_t
patience_deadline(const struct session *session)
{
	return find_bound(session).due_us;
}

/* When as much data has come as had to, it is measured anew. */
static void
measure(struct session *session)
{
	const struct conf *conf = session->host->conf;
	uint64_t wanted = conf->data_rate_min * conf->rate_us / 1000000;
	uint64_t now_us = session_now(session);

	if ((session->phase != PHASE_DATA && session->phase != PHASE_CHUNK) ||
	    session->rate_octets < wanted ||
	    now_us < session->rate_us + conf->rate_us)
		return;
	session->rate_us = now_us;
	session->rate_octets = 0;
}

void
patience_end(struct session *session)
{
	struct bound bound;

	measure(session);
	bound = find_bound(session);
	if (bound.due_us == 0 || session_now(session) < bound.due_us)
		return;
	session_log(session, bound.event, bound.setting);
	session_goodbye(session, 421, "4.4.2", bound.text);
}

void
patience_answered(struct session *session)
{
	session->client_us = session_now(session);
	if (session->line_us != 0)
		session->line_us = session->client_us;
}

void
patience_resume(struct session *session)
{
	session->client_us = session_now(session);
	session->rate_us = session->client_us;
	session->rate_octets = 0;
}
