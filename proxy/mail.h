/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mail: one message, from MAIL to the final reply.
 *
 * The shorter of the two lifetimes (the longer is proxy/session's): envelope,
 * arriving octets, evaluation, decision, outgoing form, verdict record. It
 * speaks to nobody: the session feeds it and asks it. Everything it allocates
 * while it lives is in its arena, its message, its body and its dkim check;
 * all are emptied, not freed, between mails.
 *
 * Octets: what mail_take() decodes is what is judged (message, body), and
 * mail_compose() with the body is what is delivered: the same, without the
 * fields listed as stripped, with ours on top. Nothing else touches them.
 */
#ifndef PROXY_MAIL_H
#define PROXY_MAIL_H

#include "dmarc/authres.h"
#include "dmarc/report/spool.h"
#include "dmarc/second.h"
#include "proxy/backend.h"
#include "proxy/body.h"
#include "proxy/decision.h"
#include "proxy/session.h"
#include "smtp/data.h"
#include "smtp/message.h"
#include "smtp/received.h"

/* Why a message is refused without being judged. */
enum mail_refusal {
	MAIL_NOT_REFUSED,
	MAIL_TOO_LARGE,        /* 552 5.3.4 */
	MAIL_HEADER_TOO_LARGE, /* 552 5.3.4 */
	MAIL_TOO_MANY_FIELDS,  /* 552 5.3.4 */
	MAIL_LINE_ENDINGS,     /* 550 5.6.0 */
	MAIL_LINE_TOO_LONG,    /* 550 5.6.0 */
	MAIL_NO_ROOM,          /* 452 4.3.1 */
	MAIL_TOO_MANY_HOPS,    /* 554 5.4.6 */
};

enum mail_intake {
	MAIL_MORE,    /* all was taken, the data goes on */
	MAIL_FULL,    /* the body must be written first; call again then */
	MAIL_ENDED,   /* end of data; *in stands behind it */
	MAIL_OVERRUN, /* twice the size limit: close */
};

struct mail {
	const struct session_host *host;
	struct arena arena;
	struct answers answers;
	unsigned generation; /* of the mail, for tickets; at least 1 */
	struct buf id;       /* SESSION.N */

	/* Envelope. */
	bool is_open; /* MAIL was taken */
	struct envelope envelope;
	size_t recipient_cap;
	struct span sender; /* address without <> */
	const struct conf_route *route;
	uint64_t started_us;

	/* Arrival. */
	struct data_decoder decoder;
	uint64_t line_octets; /* of the line it is at */
	struct message message;
	struct body body;
	struct dkim_check *dkim;
	enum eval_stage stage;
	enum mail_refusal refusal;
	uint64_t ended_wall_us; /* end of data */
	uint64_t ended_us;

	/* Judgement. */
	struct eval_facts facts;
	struct verdict verdict;
	struct second second; /* unused without second-opinion */
	bool is_judged;
	struct decision decision;
	uint64_t dns_since_us; /* 0: nothing is being asked */
	uint64_t dns_us, eval_us, delivery_us;

	/* Outgoing form. */
	struct buf head;       /* our fields, kept fields, the empty line */
	struct span *stripped; /* names of fields left out; in the arena */
	size_t stripped_count;

	/* Memory of the verdict line, while no session has it. */
	struct buf line;
};

void mail_init(struct mail *mail, const struct session_host *host);
void mail_fini(struct mail *mail);

/* MAIL was taken: a new mail with this sender, judged for this client. The
 * command is re-serialised. False without memory. */
bool mail_begin(struct mail *mail, const struct command *command,
		unsigned offered, const struct ip *client, struct span helo,
		bool is_authenticated, struct span session_id);

/* Another recipient, in state NEW: its index; SIZE_MAX without memory. */
size_t mail_add_recipient(struct mail *mail, const struct command *command,
			  unsigned offered);

/* An envelope of its own for a diversion: the same sender, these recipients
 * (the original ones if recipient is empty), NOTIFY=NEVER where has_dsn. */
bool mail_divert_envelope(struct mail *mail, struct span recipient,
			  bool has_dsn, struct envelope *envelope);

/* 354 was said; or the first BDAT has come, of a message that is lines, or
 * binary. */
void mail_begin_data(struct mail *mail);
void mail_begin_chunks(struct mail *mail, bool is_binary);

/* Take octets of the client. Chunks have no end that could be seen in them:
 * it is said. */
enum mail_intake mail_take(struct mail *mail, struct span *in);
void mail_end_chunks(struct mail *mail);

/* Run the evaluation as far as it goes: true when the verdict is settled
 * (after the end of data only). New questions stand in mail->answers. */
bool mail_judge(struct mail *mail);

/* Time is up: what is not answered is a temperror. */
void mail_give_up(struct mail *mail);

/* Questions were answered: keep the time they took. */
void mail_count_dns(struct mail *mail);

/* Compose the outgoing header for an action, with a trace field (of which the
 * mail knows id, recipient and time itself) or NULL. False without memory. */
bool mail_compose(struct mail *mail, enum conf_action action,
		  const struct received *trace);

/* Which limit a header is over: the administrator looks for that one. */
enum mail_refusal mail_refusal_of_header(const struct message *message);

/* The reply for a refusal. */
unsigned mail_refusal_reply(enum mail_refusal refusal, const char **enhanced,
			    const char **text, const char **rule);

/* What of the record the mail knows. */
void mail_record(struct mail *mail, struct spool_record *record);

/* The mail is over; the memory is kept. */
void mail_end(struct mail *mail);

size_t mail_memory(const struct mail *mail);

#endif
