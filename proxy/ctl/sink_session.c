/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/ctl/sink_session.h"

#include "smtp/proxyhdr.h"

#include <assert.h>
#include <stdio.h>

#define INPUT_MAX ((size_t)1 << 20)
#define OUTPUT_MAX ((size_t)1 << 20)
#define IDENTITY_MAX 4096
#define ENVELOPE_MAX ((size_t)16 << 20)

static const struct server_limits limits = {
	.size_max = SINK_MESSAGE_MAX,
	.recipients_max = 50000,
	.errors_max = 100,
};

static void
answer(struct sink_session *session, unsigned code, const char *enhanced,
       const char *text)
{
	reply_format(&session->out, code, enhanced, span_cstr(text));
}

static void
banner(struct sink_session *session)
{
	answer(session, 220, "", SINK_NAME " ESMTP dmarcgatectl sink");
}

void
sink_session_init(struct sink_session *session, bool wants_proxy,
		  const struct ip *ip, uint16_t port, sink_deliver *deliver,
		  void *owner)
{
	*session = (struct sink_session){
		.deliver = deliver,
		.owner = owner,
		.awaits_proxy = wants_proxy,
		.mail.client = { .via = "direct", .ip = *ip, .port = port },
	};
	server_init(&session->server, &limits);
	session->server.takes_xclient = true;
	buf_init(&session->in, INPUT_MAX);
	buf_init(&session->out, OUTPUT_MAX);
	buf_init(&session->message, SINK_MESSAGE_MAX);
	buf_init(&session->identity, IDENTITY_MAX);
	buf_init(&session->greeting, IDENTITY_MAX);
	arena_init(&session->arena, ENVELOPE_MAX);
	if (!wants_proxy)
		banner(session);
}

void
sink_session_fini(struct sink_session *session)
{
	buf_fini(&session->in);
	buf_fini(&session->out);
	buf_fini(&session->message);
	buf_fini(&session->identity);
	buf_fini(&session->greeting);
	arena_fini(&session->arena);
}

/* --- who the client is -------------------------------------------------- */

/* The PROXY header; false if more octets are needed. */
static bool
take_proxy(struct sink_session *session, struct span *in)
{
	struct sink_client *client = &session->mail.client;
	struct proxyhdr header;

	switch (proxyhdr_parse(in, &header)) {
	case PROXYHDR_MORE:
		return false;
	case PROXYHDR_BAD:
		session->is_closing = true;
		return true;
	case PROXYHDR_READY:
		break;
	}
	session->awaits_proxy = false;
	client->via = "proxy";
	if (!header.is_local) {
		client->ip = header.source;
		client->port = header.source_port;
	}
	banner(session);
	return true;
}

static void
take_identity(struct sink_session *session, struct span argument)
{
	struct sink_client *client = &session->mail.client;
	struct xclient told;
	struct buf store;

	buf_init(&store, IDENTITY_MAX);
	if (!xclient_parse(argument, &told, &store)) {
		buf_fini(&store);
		answer(session, 501, "5.5.4", "Bad XCLIENT attribute");
		return;
	}
	/* What is not given stays as it was. */
	buf_swap(&store, &session->identity);
	buf_fini(&store);
	*client = (struct sink_client){
		.via = "xclient",
		.ip = told.given & XCLIENT_ADDR ? told.ip : client->ip,
		.port = told.given & XCLIENT_PORT ? told.port : client->port,
		.name = told.name,
		.is_name_temporary = told.is_name_temporary,
		.helo = told.helo,
		.login = told.login,
	};
	server_reset(&session->server);
	banner(session);
}

/* --- envelope ----------------------------------------------------------- */

static void
drop_mail(struct sink_session *session)
{
	session->mail.from = (struct sink_path){ 0 };
	session->mail.recipients = NULL;
	session->mail.recipient_count = 0;
	session->recipient_cap = 0;
	buf_reset(&session->message);
	arena_reset(&session->arena);
}

static struct span
copy_parameter(struct sink_session *session, const struct parameter *parameter)
{
	size_t n = parameter->keyword.n + 1 + parameter->value.n;
	uint8_t *p = arena_alloc(&session->arena, n);

	if (p == NULL)
		return SPAN_NONE;
	memcpy(p, parameter->keyword.p, parameter->keyword.n);
	if (!parameter->has_value)
		return span_make(p, parameter->keyword.n);
	p[parameter->keyword.n] = '=';
	if (parameter->value.n > 0)
		memcpy(p + parameter->keyword.n + 1, parameter->value.p,
		       parameter->value.n);
	return span_make(p, n);
}

/* The path of a command, without its brackets, and its parameters. */
static bool
copy_path(struct sink_session *session, const struct command *command,
	  struct sink_path *path)
{
	struct buf text;
	bool has_fitted;

	buf_init(&text, COMMAND_LINE_MAX);
	has_fitted = path_format(&command->path, &text) && text.n >= 2;
	if (has_fitted)
		path->address = arena_copy(
			&session->arena,
			span_make(buf_span(&text).p + 1, text.n - 2));
	buf_fini(&text);
	path->parameter_count = command->parameters;
	path->parameters =
		arena_alloc(&session->arena, (command->parameters + 1) *
						     sizeof *path->parameters);
	for (size_t i = 0; path->parameters != NULL && i < command->parameters;
	     i++)
		path->parameters[i] =
			copy_parameter(session, &command->parameter[i]);
	return has_fitted && !session->arena.has_overflowed;
}

static void
take_sender(struct sink_session *session, const struct command *command)
{
	unsigned code = 250;

	drop_mail(session);
	if (!copy_path(session, command, &session->mail.from))
		code = 452;
	answer(session, code, code == 250 ? "2.1.0" : "4.3.1",
	       code == 250 ? "Ok" : "Out of memory");
	server_sender(&session->server, code);
}

/* Room for one more recipient; NULL without memory. */
static struct sink_path *
add_recipient(struct sink_session *session)
{
	struct sink_mail *mail = &session->mail;

	if (mail->recipient_count == session->recipient_cap) {
		size_t cap = session->recipient_cap == 0
				     ? 16
				     : session->recipient_cap * 2;
		struct sink_path *more =
			arena_alloc(&session->arena, cap * sizeof *more);

		if (more == NULL)
			return NULL;
		if (mail->recipient_count > 0)
			memcpy(more, mail->recipients,
			       mail->recipient_count * sizeof *more);
		mail->recipients = more;
		session->recipient_cap = cap;
	}
	return &mail->recipients[mail->recipient_count++];
}

static void
take_recipient(struct sink_session *session, const struct command *command)
{
	struct sink_path *path = add_recipient(session);
	bool has_fitted = path != NULL && copy_path(session, command, path);

	answer(session, has_fitted ? 250 : 452, has_fitted ? "2.1.5" : "4.3.1",
	       has_fitted ? "Ok" : "Out of memory");
	server_recipient(&session->server, has_fitted ? 250 : 452);
}

/* --- commands ----------------------------------------------------------- */

static void
take_hello(struct sink_session *session, const struct command *command)
{
	/* All that is in the table and gives the sink nothing to do. */
	const struct ehlo offered = {
		.extensions = (EXTENSION_BIT(EXTENSION_DELIVERBY) - 1) &
			      ~EXTENSION_BIT(EXTENSION_LIMITS),
		.size_max = SINK_MESSAGE_MAX,
		.xclient = XCLIENT_NAME | XCLIENT_ADDR | XCLIENT_PORT |
			   XCLIENT_PROTO | XCLIENT_HELO | XCLIENT_LOGIN,
	};
	bool is_extended = command->verb == VERB_EHLO;

	buf_reset(&session->greeting);
	buf_append(&session->greeting, command->domain);
	session->mail.helo = buf_span(&session->greeting);
	session->mail.is_extended = is_extended;
	drop_mail(session);
	server_greeted(&session->server, is_extended, 250, &offered);
	if (is_extended)
		ehlo_format(&offered, SPAN_LIT(SINK_NAME), &session->out);
	else
		answer(session, 250, "", SINK_NAME);
}

static void
begin_chunk(struct sink_session *session, const struct server_turn *turn,
	    const struct command *command)
{
	session->is_in_chunk = true;
	session->chunk_left = command->chunk;
	session->is_last_chunk = command->is_last;
	session->refusal = *turn;
}

static void
take_turn(struct sink_session *session, const struct server_turn *turn,
	  const struct command *command)
{
	if (turn->code != 0 && turn->duty != SERVER_SWALLOW)
		answer(session, turn->code,
		       turn->enhanced == NULL ? "" : turn->enhanced,
		       turn->text);
	switch (turn->duty) {
	case SERVER_ANSWER:
		break;
	case SERVER_CLOSE:
		session->is_closing = true;
		break;
	case SERVER_HELO:
		take_hello(session, command);
		break;
	case SERVER_SENDER:
		take_sender(session, command);
		break;
	case SERVER_RECIPIENT:
		take_recipient(session, command);
		break;
	case SERVER_SECURE: /* it has no certificate */
	case SERVER_LOGIN:  /* and knows nobody */
		break;
	case SERVER_CONTENT:
		data_decoder_init(&session->decoder, false);
		break;
	case SERVER_CHUNK:
		/* The first one; an empty one before it changes nothing. */
		if (session->server.chunked == command->chunk)
			data_decoder_init_chunks(
				&session->decoder, false,
				session->server.is_sender_binary);
		begin_chunk(session, turn, command);
		break;
	case SERVER_SWALLOW:
		drop_mail(session);
		begin_chunk(session, turn, command);
		break;
	case SERVER_RESET:
		drop_mail(session);
		break;
	case SERVER_IDENTITY:
		take_identity(session, command->argument);
		break;
	case SERVER_WAIT:
		assert(false && "every command is answered at once");
	}
}

/* One line; false if more octets are needed. */
static bool
take_command(struct sink_session *session, struct span *in)
{
	struct command command = { .verb = VERB_UNKNOWN };
	enum command_fault fault = COMMAND_OK;
	struct server_turn turn;
	struct span text;
	enum command_line line = command_next(&session->reader, in, &text);

	if (line == COMMAND_MORE)
		return false;
	if (line == COMMAND_LINE)
		fault = command_parse(text, &command);
	turn = server_step(&session->server, line, fault, &command);
	take_turn(session, &turn, &command);
	return true;
}

/* --- content ------------------------------------------------------------ */

static void
end_content(struct sink_session *session)
{
	char text[64];
	int64_t number;

	session->mail.octets = buf_span(&session->message);
	if (session->decoder.faults != 0) {
		answer(session, 550, "5.6.0",
		       "Bare CR, bare LF or NUL in the message");
	} else if (session->message.has_overflowed) {
		answer(session, 552, "5.3.4", "Message too large");
	} else {
		number = session->deliver(session->owner, &session->mail);
		snprintf(text, sizeof text, "Ok: mail %lld", (long long)number);
		if (number < 0)
			answer(session, 451, "4.3.0", "Cannot be kept");
		else
			answer(session, 250, "2.0.0", text);
	}
	drop_mail(session);
	server_end(&session->server);
}

/* False if more octets are needed. */
static bool
take_content(struct sink_session *session, struct span *in)
{
	struct span chunk;

	switch (data_decode(&session->decoder, in, &chunk)) {
	case DATA_MORE:
		return false;
	case DATA_CHUNK:
		buf_append(&session->message, chunk);
		return true;
	case DATA_END:
		end_content(session);
		return true;
	}
	return false;
}

static void
end_chunk(struct sink_session *session)
{
	struct span chunk;

	session->is_in_chunk = false;
	if (session->refusal.code != 0) {
		answer(session, session->refusal.code,
		       session->refusal.enhanced, session->refusal.text);
		return;
	}
	if (!session->is_last_chunk) {
		answer(session, 250, "2.0.0", "Ok");
		return;
	}
	while (data_decode_last(&session->decoder, &chunk) == DATA_CHUNK)
		buf_append(&session->message, chunk);
	end_content(session);
}

/* False if more octets are needed. */
static bool
take_chunk(struct sink_session *session, struct span *in)
{
	struct span part = *in;
	struct span chunk;

	if (part.n > session->chunk_left)
		part = span_first(part, (size_t)session->chunk_left);
	*in = span_after(*in, part.n);
	session->chunk_left -= part.n;
	while (session->refusal.code == 0 &&
	       data_decode(&session->decoder, &part, &chunk) == DATA_CHUNK)
		buf_append(&session->message, chunk);
	if (session->chunk_left > 0)
		return false;
	end_chunk(session);
	return true;
}

bool
sink_session_feed(struct sink_session *session, struct span octets)
{
	struct span in;
	bool goes_on = true;

	if (!buf_append(&session->in, octets))
		return false;
	in = buf_span(&session->in);
	while (goes_on && !session->is_closing) {
		if (session->awaits_proxy)
			goes_on = take_proxy(session, &in);
		else if (session->is_in_chunk)
			goes_on = take_chunk(session, &in);
		else if (session->server.state == SERVER_DATA)
			goes_on = take_content(session, &in);
		else
			goes_on = take_command(session, &in);
	}
	buf_consume(&session->in, session->in.n - in.n);
	return !session->out.has_overflowed;
}
