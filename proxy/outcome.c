/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * outcome: what became of a message is counted and written into its verdict
 * line; and only when that is written, the client is answered.
 */
#include "proxy/session_state.h"

#include <errno.h>

static void
count_action(struct session *session, const char *action, bool is_accepted)
{
	static const struct {
		const char *action;
		enum counter stat;
	} stats[] = {
		{ "relay", STAT_RELAYED },       { "tag", STAT_TAGGED },
		{ "subject", STAT_TAGGED },      { "divert", STAT_DIVERTED },
		{ "reject", STAT_REJECTED },     { "defer", STAT_DEFERRED },
		{ "fail", STAT_BACKEND_FAILED },
	};

	for (size_t i = 0; i < sizeof(stats) / sizeof(stats[0]); i++)
		if (strcmp(stats[i].action, action) == 0 &&
		    (is_accepted || i >= 4))
			session_count(session, stats[i].stat, 1);
}

/* What the line says beside what the mail knows. */
static void
fill_record(struct session *session, struct spool_record *record)
{
	const struct mail *mail = session->mail;
	const struct conf *conf = session->host->conf;
	const struct backend *leg;

	record->gate = conf->hostname;
	record->listener = session->listener->endpoint.text;
	record->client = session->client.ip;
	record->client_port = session->client.port;
	record->client_name = session->client.name;
	record->identity = session->identity_kind;
	record->tls = &session->client_tls;
	record->mode = mail->route == NULL ? "enforce"
					   : conf_mode_name(mail->route->mode);
	record->is_enforced = mail->decision.is_enforced;
	leg = session->delivery.side == SIDE_DIVERT ? session->divert
						    : &session->backend;
	if (leg == NULL || leg->conf == NULL)
		leg = &session->backend;
	if (leg->conf == NULL)
		return;
	record->backend = leg->conf->name;
	record->backend_tls = leg->tls_version;
}

/*
 * The outcome stands, and session->final holds the reply: write the verdict
 * line. `summary` is the reply as one line.
 */
static void
finish(struct session *session, const char *action, const char *rule,
       bool is_accepted, struct span summary)
{
	struct mail *mail = session->mail;
	struct spool_record record = { 0 };

	fill_record(session, &record);
	mail_record(mail, &record);
	record.action = action;
	record.rule = rule;
	record.reply = summary;
	record.is_accepted = is_accepted;
	if (mail->is_judged &&
	    mail->decision.otherwise != mail->decision.action)
		record.otherwise = conf_action_name(mail->decision.otherwise);
	count_action(session, action, is_accepted);
	session_enter(session, PHASE_SPOOLING);
	buf_reset(&session->line);
	if (!spool_format(&record, &session->line)) {
		session_count(session, STAT_SPOOL_LOST, 1);
		outcome_spooled(session, -ENOMEM);
		return;
	}
	session_act(session, (struct session_action){
				     .act = ACT_SPOOL,
				     .octets = buf_span(&session->line) });
}

void
outcome_own(struct session *session, const char *action, const char *rule,
	    unsigned code, const char *enhanced, struct span text)
{
	struct span summary;

	buf_reset(&session->final);
	reply_format(&session->final, code, enhanced, text);
	summary = buf_span(&session->final);
	if (summary.n >= 2)
		summary.n -= 2;
	if (session->phase != PHASE_SPOOLING)
		session_drop_envelope(session);
	session->is_goodbye = code == 421;
	finish(session, action, rule, false, summary);
}

void
outcome_relay(struct session *session, const struct reply *reply)
{
	bool is_accepted = reply_class(reply->code) == 2;
	ROOM(room, REPLY_LINE_MAX);
	struct buf summary;

	buf_reset(&session->final);
	reply_relay(&session->final, reply);
	buf_init_room(&summary, REPLY_LINE_MAX * REPLY_LINES_MAX, room,
		      sizeof(room));
	reply_summary(&summary, reply);
	session->is_goodbye = reply->code == 421;
	if (!is_accepted)
		session_count(session, STAT_BACKEND_REFUSED, 1);
	finish(session, conf_action_name(session->delivery.action),
	       session->mail->decision.rule, is_accepted, buf_span(&summary));
	buf_fini(&summary);
}

void
outcome_spooled(struct session *session, int error)
{
	if (session->phase != PHASE_SPOOLING)
		return;
	if (error != 0)
		session_log(session, EVENT_SPOOL_FAILED, strerror(-error));
	buf_append(&session->out[SIDE_CLIENT], buf_span(&session->final));
	buf_reset(&session->final);
	buf_reset(&session->line);
	session_drop_leg(session, SIDE_DIVERT);
	session->delivery = (struct delivery){ 0 };
	session_end_mail(session);
	server_end(&session->server);
	server_delivered(&session->server);
	session_enter(session, PHASE_COMMANDS);
	/* While the message was judged, or the line written. */
	if (session_is_distrusted(session))
		session_lose_trust(session);
	else if (session_is_login_lost(session) && !session->is_goodbye)
		auth_lost(session);
}
