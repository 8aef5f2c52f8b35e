/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/backend.h"

#include "smtp/proxyhdr.h"

#include <assert.h>

#define IN_MAX (128u * 1024)
#define BANNER_MAX 512

/* Tag of an RSET of ours: its reply is nobody's news. */
#define TAG_OURS 0x10000u

void
backend_init(struct backend *backend)
{
	*backend = (struct backend){ 0 };
	client_init(&backend->client);
	buf_init(&backend->in, IN_MAX);
	buf_init(&backend->banner, BANNER_MAX);
}

void
backend_fini(struct backend *backend)
{
	client_fini(&backend->client);
	buf_fini(&backend->in);
	buf_fini(&backend->banner);
}

void
backend_clear(struct backend *backend)
{
	struct backend before = *backend;

	backend_init(backend);
	backend->in = before.in;
	backend->banner = before.banner;
	backend->client.held = before.client.held;
	buf_reset(&backend->in);
	buf_reset(&backend->banner);
	buf_reset(&backend->client.held);
}

void
backend_connect(struct backend *backend, const struct conf *conf, size_t index,
		const struct upstream_target *target, uint64_t now_us)
{
	backend_clear(backend);
	backend->state = BACKEND_CONNECTING;
	backend->conf = &conf->backends[index];
	backend->index = index;
	backend->since_us = now_us;
	if (target != NULL)
		backend->target = *target;
	else
		backend_closed(backend, EVENT_BACKEND_DOWN,
			       "no address of its name is known");
}

void
backend_closed(struct backend *backend, enum log_event failure,
	       const char *reason)
{
	if (!backend_is_alive(backend))
		return;
	backend->state = BACKEND_LOST;
	backend->failure = failure;
	backend->reason = reason;
}

/* What its end means now: nothing of a mail was ever with it, or maybe. One
 * that waits for us to greet it may go, and that is no failure of its own. */
static enum log_event
failure_now(const struct backend *backend)
{
	return backend->state == BACKEND_UP && backend->greeting != STEP_SENT
		       ? EVENT_BACKEND_LOST
		       : EVENT_BACKEND_DOWN;
}

void
backend_hung_up(struct backend *backend)
{
	bool has_spoken = backend->state != BACKEND_CONNECTING &&
			  backend->state != BACKEND_BANNER;

	if (backend->state == BACKEND_SECURING) {
		backend->has_tls_failed = true;
		backend_closed(backend, EVENT_BACKEND_DOWN,
			       "the TLS handshake with it failed");
		return;
	}
	backend_closed(backend, failure_now(backend),
		       has_spoken ? "it closed" : "no connection");
}

static enum backend_news
lose(struct backend *backend, enum log_event failure, const char *reason)
{
	backend_closed(backend, failure, reason);
	return NEWS_LOST;
}

static enum backend_news
turn_away(struct backend *backend, const char *reason)
{
	backend->has_refused = true;
	return lose(backend, EVENT_BACKEND_DOWN, reason);
}

void
backend_refused(struct backend *backend, const struct reply *reply,
		const char *reason)
{
	if (reply->code != 421)
		backend_closed(backend, EVENT_BACKEND_CHANGED, reason);
	else if (backend->greeting != STEP_OK)
		turn_away(backend, "it has no time for us");
	else
		backend_closed(backend, EVENT_BACKEND_LOST,
			       "it says goodbye (421)");
}

static bool
send_proxy_header(const struct backend *backend,
		  const struct backend_identity *identity, struct buf *out)
{
	struct proxyhdr hdr = {
		.source = identity->client.ip,
		.source_port = identity->client.port,
		.destination = identity->local_ip,
		.destination_port = identity->local_port,
	};

	switch (backend->conf->identity) {
	case IDENTITY_PROXY_V1:
		return proxyhdr_format_v1(&hdr, out);
	case IDENTITY_PROXY_V2:
		return proxyhdr_format_v2(&hdr, out);
	case IDENTITY_NONE:
	case IDENTITY_XCLIENT:
	case IDENTITY_TRANSPARENT:
		break;
	}
	return true;
}

bool
backend_connected(struct backend *backend,
		  const struct backend_identity *identity, struct buf *out)
{
	assert(backend->state == BACKEND_CONNECTING);
	backend->state = BACKEND_BANNER;
	return send_proxy_header(backend, identity, out);
}

/* The octets of the answer told last are not needed any more. */
static void
forget_answer(struct backend *backend)
{
	if (backend->in.n > 0)
		buf_consume(&backend->in, backend->used);
	else
		backend->live = span_after(backend->live, backend->used);
	backend->used = 0;
}

void
backend_octets(struct backend *backend, struct span octets, uint64_t now_us)
{
	if (!backend_is_alive(backend))
		return;
	backend->since_us = now_us;
	if (!backend_keep(backend))
		return;
	if (backend->in.n == 0)
		backend->live = octets;
	else if (!buf_append(&backend->in, octets))
		backend_closed(backend, EVENT_BACKEND_PROTOCOL,
			       "it talks without an end");
}

bool
backend_keep(struct backend *backend)
{
	struct span live;
	bool is_kept;

	forget_answer(backend);
	live = backend->live;
	backend->live = SPAN_NONE;
	is_kept = !backend_is_alive(backend) || live.n == 0 ||
		  buf_append(&backend->in, live);
	if (!is_kept)
		backend_closed(backend, EVENT_OUT_OF_MEMORY,
			       "no room for its reply");
	if (backend->in.n == 0)
		buf_fini(&backend->in); /* it may be idle */
	return is_kept;
}

static bool
send_hello(struct backend *backend, const struct backend_identity *identity,
	   struct buf *out)
{
	ROOM(room, 301);
	struct buf line;
	bool is_sent;

	buf_init_room(&line, 300, room, sizeof(room));
	buf_append(&line, SPAN_LIT("EHLO "));
	buf_append(&line, identity->gate);
	buf_append(&line, SPAN_LIT("\r\n"));
	is_sent = !line.has_overflowed &&
		  client_send(&backend->client, CLIENT_HELO, TAG_OURS,
			      buf_span(&line), out);
	buf_fini(&line);
	return is_sent;
}

static bool
send_xclient(struct backend *backend, const struct backend_identity *identity,
	     struct buf *out)
{
	ROOM(room, 2049);
	struct buf line;
	bool is_sent;

	buf_init_room(&line, 2048, room, sizeof(room));
	is_sent = xclient_format(&identity->client, backend->ehlo.xclient,
				 &line) &&
		  client_send(&backend->client, CLIENT_XCLIENT, TAG_OURS,
			      buf_span(&line), out);
	buf_fini(&line);
	return is_sent;
}

static void
keep_banner(struct backend *backend, const struct reply *reply)
{
	backend->banner_code = reply->code;
	buf_reset(&backend->banner);
	if (!buf_append(&backend->banner, reply->line[0]))
		buf_reset(&backend->banner);
}

static enum backend_news
become_up(struct backend *backend)
{
	backend->state = BACKEND_UP;
	return NEWS_UP;
}

/* By octets, and not by where it is connected from, or not at all. */
static bool
tells_identity(const struct backend *backend)
{
	return backend->conf->identity != IDENTITY_NONE &&
	       backend->conf->identity != IDENTITY_TRANSPARENT;
}

static bool
wants_tls(const struct backend *backend)
{
	return backend->conf->tls != CONF_TLS_OFF && !backend->is_secured &&
	       !backend->skips_tls;
}

static bool
needs_tls(const struct backend *backend)
{
	return backend->conf->tls >= CONF_TLS_REQUIRED && !backend->is_secured;
}

/* Why not by EHLO: the first one stays with some (OpenSMTPD answers 503 to the
 * next), and where there is no need of ours it must be the client's. */
static enum backend_news
prove(struct backend *backend, struct buf *out)
{
	backend->state = BACKEND_PROVING;
	if (!client_send(&backend->client, CLIENT_NOOP, TAG_OURS,
			 SPAN_LIT("NOOP\r\n"), out))
		return lose(backend, EVENT_OUT_OF_MEMORY, "no room for NOOP");
	return NEWS_NONE;
}

static enum backend_news
on_banner(struct backend *backend, const struct backend_identity *identity,
	  struct buf *out, const struct reply *reply)
{
	keep_banner(backend, reply);
	if (reply->code != 220)
		return turn_away(backend, "it greets with a refusal");
	if (!tells_identity(backend) && !wants_tls(backend))
		return become_up(backend);
	if (backend->conf->identity != IDENTITY_XCLIENT && !wants_tls(backend))
		return prove(backend, out);
	backend->state = BACKEND_HELLO;
	if (!send_hello(backend, identity, out))
		return lose(backend, EVENT_OUT_OF_MEMORY, "no room for EHLO");
	return NEWS_NONE;
}

static enum backend_news
on_proof(struct backend *backend, const struct reply *reply)
{
	if (reply->code != 250)
		return lose(backend, EVENT_IDENTITY_REFUSED,
			    "it does not take the PROXY header");
	return become_up(backend);
}

static enum backend_news
identify(struct backend *backend, const struct backend_identity *identity,
	 struct buf *out)
{
	if (!identity->is_name_known) {
		backend->state = BACKEND_NAMING;
		return NEWS_NONE;
	}
	backend->state = BACKEND_IDENTIFYING;
	if (!send_xclient(backend, identity, out))
		return lose(backend, EVENT_OUT_OF_MEMORY,
			    "no room for XCLIENT");
	return NEWS_NONE;
}

/* Who the client is, if it has not been told yet. */
static enum backend_news
introduce(struct backend *backend, const struct backend_identity *identity,
	  struct buf *out)
{
	if (backend->conf->identity != IDENTITY_XCLIENT)
		return become_up(backend);
	if ((backend->ehlo.xclient & XCLIENT_ADDR) == 0)
		return lose(backend, EVENT_IDENTITY_REFUSED,
			    "it does not offer XCLIENT with ADDR");
	return identify(backend, identity, out);
}

static enum backend_news
ask_tls(struct backend *backend, struct buf *out)
{
	backend->state = BACKEND_STARTTLS;
	if (!client_send(&backend->client, CLIENT_STARTTLS, TAG_OURS,
			 SPAN_LIT("STARTTLS\r\n"), out))
		return lose(backend, EVENT_OUT_OF_MEMORY,
			    "no room for STARTTLS");
	return NEWS_NONE;
}

struct ehlo
backend_ehlo(const struct conf_backend *conf, const struct ehlo *ehlo)
{
	struct ehlo counts = *ehlo;

	if (conf->chunking == CHUNKING_NEVER)
		counts.extensions &= ~(EXTENSION_BIT(EXTENSION_CHUNKING) |
				       EXTENSION_BIT(EXTENSION_BINARYMIME));
	if (conf->tls != CONF_TLS_VERIFY)
		counts.extensions &= ~EXTENSION_BIT(EXTENSION_REQUIRETLS);
	return counts;
}

/* Of a greeting of ours too: who takes no other one means it for the client's
 * as well. */
static void
note_offer(struct backend *backend, const struct reply *reply)
{
	struct ehlo offered;

	ehlo_parse(reply, &offered);
	backend->ehlo = backend_ehlo(backend->conf, &offered);
	backend->client.is_pipelining =
		(offered.extensions & EXTENSION_BIT(EXTENSION_PIPELINING)) != 0;
}

static enum backend_news
on_hello(struct backend *backend, const struct backend_identity *identity,
	 struct buf *out, const struct reply *reply)
{
	if (reply_class(reply->code) < 4 && reply->code != 250)
		return lose(backend, EVENT_BACKEND_DOWN,
			    "its reply to the greeting is none");
	backend->has_greeted = reply->code == 250;
	note_offer(backend, reply);
	if (reply->code != 250 && tells_identity(backend))
		return lose(backend, EVENT_IDENTITY_REFUSED,
			    backend->conf->identity == IDENTITY_XCLIENT
				    ? "it refuses EHLO, so it has no XCLIENT"
				    : "it does not take the PROXY header");
	if (wants_tls(backend) &&
	    (backend->ehlo.extensions & EXTENSION_BIT(EXTENSION_STARTTLS)) != 0)
		return ask_tls(backend, out);
	if (needs_tls(backend))
		return lose(backend, EVENT_BACKEND_DOWN,
			    "it does not offer STARTTLS");
	return introduce(backend, identity, out);
}

/* No octet may have come behind the reply: it would have been said by whoever
 * is between us (CVE-2011-0411). */
static enum backend_news
on_starttls(struct backend *backend, const struct backend_identity *identity,
	    struct buf *out, const struct reply *reply)
{
	if (reply->code != 220 && needs_tls(backend))
		return lose(backend, EVENT_BACKEND_DOWN, "it refused STARTTLS");
	if (reply->code != 220)
		return introduce(backend, identity, out);
	if (backend_unread(backend).n > 0)
		return lose(backend, EVENT_BACKEND_DOWN,
			    "octets behind its reply to STARTTLS");
	backend->state = BACKEND_SECURING;
	return NEWS_SECURE;
}

bool
backend_secured(struct backend *backend,
		const struct backend_identity *identity, struct buf *out)
{
	assert(backend->state == BACKEND_SECURING);
	backend->is_secured = true;
	backend->ehlo = (struct ehlo){ 0 };
	backend->client.is_pipelining = false;
	backend->state = BACKEND_HELLO;
	return send_hello(backend, identity, out);
}

static enum backend_news
on_identified(struct backend *backend, const struct reply *reply)
{
	if (reply->code != 220)
		return lose(backend, EVENT_IDENTITY_REFUSED,
			    "it refused XCLIENT");
	backend->has_greeted = false;
	keep_banner(backend, reply);
	return become_up(backend);
}

static enum backend_news
on_greeting(struct backend *backend, const struct reply *reply)
{
	if (reply_class(reply->code) < 4 && reply->code != 250)
		return lose(backend, EVENT_BACKEND_PROTOCOL,
			    "its reply to the greeting is none");
	/* RFC 5321 4.1.4 allows another; who does not has not forgotten the
	 * first. */
	if (reply->code == 503 && backend->has_greeted) {
		backend->greeting = STEP_OK;
		return NEWS_GREETING;
	}
	if (reply->code != 250) {
		backend->greeting = STEP_REFUSED;
		return NEWS_GREETING;
	}
	backend->greeting = STEP_OK;
	backend->has_greeted = true;
	note_offer(backend, reply);
	return NEWS_GREETING;
}

void
backend_forget(struct backend *backend)
{
	backend->sender = STEP_NONE;
	backend->sent = 0;
	backend->acked = 0;
	backend->in_flight = 0;
}

static enum backend_news
on_answer(struct backend *backend, const struct backend_identity *identity,
	  struct buf *out, const struct client_answer *answer)
{
	const struct reply *reply = &answer->reply;

	/* Only DATA and AUTH are answered in this class (RFC 5321 4.3.2);
	 * passed on, it would have the client send what nobody reads. */
	if (reply_class(reply->code) == 3 && answer->command != CLIENT_DATA &&
	    answer->command != CLIENT_CONTENT &&
	    answer->command != CLIENT_LOGIN)
		return lose(backend, EVENT_BACKEND_PROTOCOL,
			    "a reply of class 3 out of place");
	/* But behind XCLIENT it is no yes (promise 6). */
	if (reply->code == 421 && backend->state < BACKEND_IDENTIFYING)
		return turn_away(backend, "it has no time for us");
	switch (answer->command) {
	case CLIENT_BANNER:
		return on_banner(backend, identity, out, reply);
	case CLIENT_HELO:
		if (answer->tag == TAG_OURS)
			return on_hello(backend, identity, out, reply);
		return on_greeting(backend, reply);
	case CLIENT_STARTTLS:
		return on_starttls(backend, identity, out, reply);
	case CLIENT_LOGIN:
		return NEWS_LOGIN;
	case CLIENT_XCLIENT:
		return on_identified(backend, reply);
	case CLIENT_MAIL:
		backend->sender =
			reply_class(reply->code) == 2 ? STEP_OK : STEP_REFUSED;
		return NEWS_SENDER;
	case CLIENT_RCPT:
		if (backend->in_flight > 0)
			backend->in_flight--;
		if (reply_class(reply->code) != 2)
			return NEWS_RECIPIENT;
		if (backend->sender != STEP_OK)
			return lose(backend, EVENT_BACKEND_PROTOCOL,
				    "it takes a recipient without a sender");
		backend->acked++;
		return NEWS_RECIPIENT;
	case CLIENT_DATA:
		return NEWS_DATA;
	case CLIENT_CHUNK:
		/* RFC 3030 2: a BDAT that was refused leaves its mail, and
		 * backend_drop() will say RSET. */
		if (reply_class(reply->code) == 2)
			backend_forget(backend);
		return NEWS_CONTENT;
	case CLIENT_CONTENT:
		backend_forget(backend);
		return NEWS_CONTENT;
	case CLIENT_RSET:
		if (reply->code == 421)
			return lose(backend, EVENT_BACKEND_LOST,
				    "it says goodbye (421)");
		/* What it still holds would join the next mail. */
		if (reply_class(reply->code) != 2)
			return lose(backend, EVENT_BACKEND_PROTOCOL,
				    "it refuses RSET");
		return NEWS_NONE;
	case CLIENT_NOOP:
		return on_proof(backend, reply);
	case CLIENT_QUIT:
		return NEWS_NONE;
	}
	return NEWS_NONE;
}

enum backend_news
backend_next(struct backend *backend, const struct backend_identity *identity,
	     struct buf *out, struct client_answer *answer)
{
	while (backend_is_alive(backend)) {
		enum client_status status;
		enum backend_news news;
		struct span in, unread;

		forget_answer(backend);
		in = unread = backend_unread(backend);
		if (backend->state == BACKEND_NAMING &&
		    identity->is_name_known) {
			news = identify(backend, identity, out);
			if (news != NEWS_NONE)
				return news;
		}
		status = client_next(&backend->client, &in, out, answer);
		backend->used = unread.n - in.n;
		switch (status) {
		case CLIENT_MORE:
			return NEWS_NONE;
		case CLIENT_GOODBYE:
			return lose(backend, failure_now(backend),
				    "it says goodbye (421)");
		case CLIENT_BAD:
			backend->is_distrusted = backend->state == BACKEND_UP;
			return lose(backend,
				    backend->state == BACKEND_UP
					    ? EVENT_BACKEND_PROTOCOL
					    : EVENT_BACKEND_DOWN,
				    "its reply cannot be trusted");
		case CLIENT_REPLY:
			news = on_answer(backend, identity, out, answer);
			if (news != NEWS_NONE)
				return news;
			break;
		}
	}
	return NEWS_NONE;
}

static bool
pump_recipients(struct backend *backend, const struct envelope *envelope,
		struct buf *out)
{
	while (backend->sent < envelope->count) {
		const struct recipient *recipient =
			&envelope->recipients[backend->sent];

		if (recipient->state != RECIPIENT_REFUSED) {
			if (!client_has_room(&backend->client))
				return true;
			if (!client_send(&backend->client, CLIENT_RCPT,
					 (unsigned)backend->sent,
					 recipient->line, out))
				return false;
			backend->in_flight++;
		}
		backend->sent++;
	}
	return true;
}

void
backend_pump(struct backend *backend, const struct backend_identity *identity,
	     const struct envelope *envelope, struct buf *out)
{
	bool is_sent = true;

	if (backend->state != BACKEND_UP || identity->greeting.n == 0)
		return;
	if (backend->greeting == STEP_NONE) {
		if (client_outstanding(&backend->client) > 0)
			return;
		backend->greeting = STEP_SENT;
		is_sent = client_send(&backend->client, CLIENT_HELO, 0,
				      identity->greeting, out);
	}
	if (backend->greeting == STEP_OK && envelope != NULL &&
	    envelope->sender_line.n > 0) {
		if ((envelope->extensions & ~backend->ehlo.extensions) != 0) {
			backend_closed(backend, EVENT_BACKEND_CHANGED,
				       "a keyword in use is not offered now");
			return;
		}
		if (backend->sender == STEP_NONE &&
		    client_has_room(&backend->client)) {
			backend->sender = STEP_SENT;
			is_sent = client_send(&backend->client, CLIENT_MAIL, 0,
					      envelope->sender_line, out);
		}
		if (is_sent && (backend->sender == STEP_SENT ||
				backend->sender == STEP_OK))
			is_sent = pump_recipients(backend, envelope, out);
	}
	if (!is_sent)
		backend_closed(backend, EVENT_OUT_OF_MEMORY,
			       "no room for commands");
}

bool
backend_login(struct backend *backend, const struct buf *line, struct buf *out,
	      uint64_t now_us)
{
	if (client_outstanding(&backend->client) == 0)
		backend->since_us = now_us;
	return !line->has_overflowed && client_has_room(&backend->client) &&
	       client_send(&backend->client, CLIENT_LOGIN, 0, buf_span(line),
			   out);
}

bool
backend_is_ready(const struct backend *backend, const struct envelope *envelope)
{
	return backend->state == BACKEND_UP && backend->sender == STEP_OK &&
	       backend->in_flight == 0 && backend->sent == envelope->count &&
	       client_outstanding(&backend->client) == 0 &&
	       envelope->accepted > 0 && backend->acked == envelope->accepted;
}

bool
backend_data(struct backend *backend, struct buf *out)
{
	return client_send(&backend->client, CLIENT_DATA, 0,
			   SPAN_LIT("DATA\r\n"), out);
}

bool
backend_content(struct backend *backend, struct buf *out)
{
	backend->has_content = false;
	return client_send(&backend->client, CLIENT_CONTENT, 0, SPAN_NONE, out);
}

bool
backend_chunk(struct backend *backend, uint64_t octets, struct buf *out)
{
	struct command command = {
		.verb = VERB_BDAT,
		.chunk = octets,
		.is_last = true,
	};
	ROOM(room, 65);
	struct buf line;
	bool is_sent;

	backend->has_content = false;
	buf_init_room(&line, 64, room, sizeof(room));
	is_sent = command_format(&command, &line) &&
		  client_send(&backend->client, CLIENT_CHUNK, 0,
			      buf_span(&line), out);
	buf_fini(&line);
	return is_sent;
}

void
backend_drop(struct backend *backend, struct buf *out, uint64_t now_us)
{
	if (client_outstanding(&backend->client) == 0)
		backend->since_us = now_us;
	if (backend->state == BACKEND_UP && backend->sender != STEP_NONE &&
	    (!client_has_room(&backend->client) ||
	     !client_send(&backend->client, CLIENT_RSET, TAG_OURS,
			  SPAN_LIT("RSET\r\n"), out)))
		backend_closed(backend, EVENT_OUT_OF_MEMORY,
			       "no room for RSET");
	backend_forget(backend);
}

void
backend_quit(struct backend *backend, struct buf *out)
{
	if (backend->state == BACKEND_UP && client_has_room(&backend->client))
		client_send(&backend->client, CLIENT_QUIT, TAG_OURS,
			    SPAN_LIT("QUIT\r\n"), out);
	backend->state = BACKEND_NONE;
}

/* How long it may take for what is awaited of it. */
struct patience {
	uint64_t us_max; /* 0: nothing is awaited */
	const char *reason;
};

static struct patience
patience_for_reply(const struct backend *backend)
{
	const struct conf_backend *conf = backend->conf;
	enum client_command first =
		backend->client.queue[backend->client.first].command;

	if (first == CLIENT_DATA)
		return (struct patience){
			conf->data_reply_us_max,
			"no reply within data-reply-timeout"
		};
	if (first != CLIENT_CONTENT && first != CLIENT_CHUNK)
		return (struct patience){ conf->reply_us_max,
					  "no reply within reply-timeout" };
	if (!backend->has_content)
		return (struct patience){ conf->block_us_max,
					  "it takes nothing for "
					  "data-block-timeout" };
	return (struct patience){ conf->final_us_max,
				  "no reply within final-timeout" };
}

static struct patience
patience(const struct backend *backend)
{
	switch (backend->state) {
	case BACKEND_NONE:
	case BACKEND_LOST:
		break;
	case BACKEND_CONNECTING:
	case BACKEND_BANNER:
	case BACKEND_PROVING:
	case BACKEND_HELLO:
	case BACKEND_STARTTLS:
	case BACKEND_SECURING:
	case BACKEND_NAMING:
	case BACKEND_IDENTIFYING:
		return (struct patience){ backend->conf->connect_us_max,
					  "not ready within connect-timeout" };
	case BACKEND_UP:
		if (client_outstanding(&backend->client) > 0)
			return patience_for_reply(backend);
		break;
	}
	return (struct patience){ 0, NULL };
}

uint64_t
backend_deadline(const struct backend *backend)
{
	uint64_t us_max = patience(backend).us_max;

	return us_max == 0 ? 0 : backend->since_us + us_max;
}

void
backend_overdue(struct backend *backend)
{
	backend_closed(backend,
		       backend->state == BACKEND_UP ? EVENT_BACKEND_TIMEOUT
						    : EVENT_BACKEND_DOWN,
		       patience(backend).reason);
}
