/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The dialogue is one table, verb by state: each cell is what happens then, a
 * constant turn. Where the cell is a duty, the row may have a function that
 * looks at the parts of the command and finds a reason to refuse.
 *
 * server_step() first decides, changing nothing; then it sees whether that may
 * happen now, while others are outstanding; then it enters what was decided.
 */
#include "smtp/server.h"

#include "smtp/login.h"
#include "smtp/parameter.h"

#include <assert.h>

#define STATES SERVER_DATA /* that take commands; all those before DATA */

#define TURN(name, duty, code, enhanced, text)                        \
	static const struct server_turn name = { SERVER_##duty, code, \
						 enhanced, text, NULL }

/* What is said to a client at a limit, before it is closed. */
#define LIMIT(name, setting, text)                                           \
	static const struct server_turn name = { SERVER_CLOSE, 421, "4.7.0", \
						 text, "limit." setting }

/* The duties. */
TURN(not_now, WAIT, 0, NULL, NULL);
TURN(greet, HELO, 0, NULL, NULL);
TURN(sender, SENDER, 0, NULL, NULL);
TURN(recipient, RECIPIENT, 0, NULL, NULL);
TURN(content, CONTENT, 354, NULL, "End data with <CR><LF>.<CR><LF>");
TURN(secure, SECURE, 220, "2.0.0", "Ready to start TLS");
TURN(chunk, CHUNK, 0, NULL, NULL);
TURN(reset, RESET, 250, "2.0.0", "Ok");
TURN(login, LOGIN, 0, NULL, NULL);
TURN(identity, IDENTITY, 0, NULL, NULL);
TURN(quit, CLOSE, 221, "2.0.0", "Bye");

/* Answers of our own. */
TURN(ok, ANSWER, 250, "2.0.0", "Ok");
TURN(help, ANSWER, 214, "2.0.0",
     "Commands: HELO EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT");
/* RFC 5321 3.5.3: we do not know, and would not tell. */
TURN(no_verify, ANSWER, 252, "2.5.0",
     "Cannot verify the user; RCPT is the way to ask");

/* The order of commands is wrong. RFC 5321 4.1.4. */
TURN(no_hello, ANSWER, 503, "5.5.1", "Send HELO or EHLO first");
TURN(no_mail, ANSWER, 503, "5.5.1", "Need MAIL first");
TURN(nested_mail, ANSWER, 503, "5.5.1", "Nested MAIL");
TURN(in_mail, ANSWER, 503, "5.5.1", "Not while a mail is under way");
TURN(no_recipients, ANSWER, 554, "5.5.1", "No valid recipients");
TURN(in_chunks, ANSWER, 503, "5.5.1", "Not between BDAT and BDAT LAST");
TURN(no_binary_data, ANSWER, 503, "5.5.1", "BINARYMIME comes by BDAT only");

/* The same for a BDAT, whose octets come all the same. */
TURN(chunk_no_hello, SWALLOW, 503, "5.5.1", "Send EHLO first");
TURN(chunk_needs_tls, SWALLOW, 530, "5.7.0",
     "Must issue a STARTTLS command first");
TURN(chunk_no_mail, SWALLOW, 503, "5.5.1", "Need MAIL first");
TURN(chunk_no_recipients, SWALLOW, 554, "5.5.1", "No valid recipients");
TURN(chunk_too_large, SWALLOW, 552, "5.3.4", "Message size exceeds the limit");
TURN(chunk_far_too_large, CLOSE, 552, "5.3.4",
     "Chunk is far larger than we take");

/* The command is not for this client. RFC 5321 4.2.4. */
TURN(not_offered, ANSWER, 502, "5.5.1", "Command not implemented");
TURN(secured_already, ANSWER, 503, "5.5.1", "TLS stands already");
TURN(needs_tls, ANSWER, 530, "5.7.0", "Must issue a STARTTLS command first");
TURN(logged_in_already, ANSWER, 503, "5.5.1", "Logged in already");
/* RFC 4954 6. */
TURN(no_plain_login, ANSWER, 538, "5.7.11",
     "Must issue a STARTTLS command first");
TURN(no_mechanism, ANSWER, 504, "5.5.4", "Mechanism not offered");
TURN(unknown, ANSWER, 500, "5.5.2", "Command not recognized");

/* The line is wrong. */
TURN(too_long, ANSWER, 500, "5.5.2", "Line too long");
TURN(bad_octet, CLOSE, 500, "5.5.2", "Bare CR, bare LF or NUL in a command");
TURN(bad_argument, ANSWER, 501, "5.5.4", "Argument missing or not allowed");
TURN(bad_domain, ANSWER, 501, "5.5.2", "Not a host name");
TURN(bad_reverse, ANSWER, 501, "5.1.7", "Bad sender address syntax");
TURN(bad_forward, ANSWER, 501, "5.1.3", "Bad recipient address syntax");
TURN(bad_parameter, ANSWER, 501, "5.5.4", "Bad parameter syntax");
TURN(bad_chunk, CLOSE, 501, "5.5.4", "Chunk size that cannot be read");
TURN(bad_value, ANSWER, 501, "5.5.4", "Bad parameter value");

/* A parameter or an address cannot be taken. */
TURN(no_extension, ANSWER, 555, "5.5.4", "Parameter not offered");
TURN(too_large, ANSWER, 552, "5.3.4", "Message size exceeds the limit");
TURN(no_utf8, ANSWER, 553, "5.6.7", "Non-ASCII address without SMTPUTF8");
TURN(too_many_recipients, ANSWER, 452, "4.5.3", "Too many recipients");

/* Limits of a session. */
LIMIT(too_many_errors, "errors", "Too many errors");
LIMIT(too_many_unknown, "unknown-commands", "Too many unknown commands");
LIMIT(too_many_refused, "refused-recipients", "Too many unknown recipients");
LIMIT(too_much_junk, "junk-commands", "Too many commands without a message");
LIMIT(too_many_messages, "messages",
      "Too many messages in one session, connect again");

struct row {
	const struct server_turn *turn[STATES];
	/* A reason not to do it, or NULL. */
	const struct server_turn *(*refuse)(const struct server *server,
					    const struct command *command);
};

static const struct server_turn *
parameters_refuse(const struct server *server, const struct command *command)
{
	bool is_rcpt = command->verb == VERB_RCPT;

	/* RFC 5321 4.1.1.11 */
	for (size_t i = 0; i < command->parameters; i++) {
		if (!extension_has_parameter(server->offered.extensions,
					     is_rcpt,
					     command->parameter[i].keyword))
			return &no_extension;
		if (!parameter_is_good(&command->parameter[i]))
			return &bad_value;
	}
	return NULL;
}

static bool
body_is_good(const struct server *server, const struct parameter *body)
{
	unsigned needed = extension_of_body(body->value);

	return needed != 0 && (needed & ~server->offered.extensions) == 0;
}

/* RFC 1870 6: up to 20 digits, which is more than we can count. */
static bool
size_parse(const struct parameter *parameter, uint64_t *size)
{
	struct span digits = parameter->value;

	if (digits.n == 0 || digits.n > 20)
		return false;
	for (size_t i = 0; i < digits.n; i++)
		if (!octet_is_digit(digits.p[i]))
			return false;
	if (!span_u64(digits, size))
		*size = UINT64_MAX;
	return true;
}

static bool
is_over(uint64_t size, uint64_t limit)
{
	return limit != 0 && size > limit;
}

static const struct server_turn *
sender_refuse(const struct server *server, const struct command *command)
{
	const struct server_turn *refused = parameters_refuse(server, command);
	const struct parameter *body =
		command_parameter(command, SPAN_LIT("BODY"));
	const struct parameter *size =
		command_parameter(command, SPAN_LIT("SIZE"));
	const struct parameter *utf8 =
		command_parameter(command, SPAN_LIT("SMTPUTF8"));
	uint64_t octets = 0;

	if (refused != NULL)
		return refused;
	if (body != NULL && !body_is_good(server, body))
		return &bad_value;
	if (size != NULL && !size_parse(size, &octets))
		return &bad_value;
	if (utf8 != NULL && utf8->has_value) /* RFC 6531 3.4 */
		return &bad_value;
	/* RFC 4865 5: one of the two. */
	if (command_parameter(command, SPAN_LIT("HOLDFOR")) != NULL &&
	    command_parameter(command, SPAN_LIT("HOLDUNTIL")) != NULL)
		return &bad_value;
	if (is_over(octets, server->limits.size_max) ||
	    is_over(octets, server->offered.size_max))
		return &too_large;
	if (command->path.is_utf8 && utf8 == NULL) /* RFC 6531 3.5 */
		return &no_utf8;
	return NULL;
}

/* RFC 3030 3 */
static const struct server_turn *
content_refuse(const struct server *server, const struct command *command)
{
	(void)command;
	return server->is_sender_binary ? &no_binary_data : NULL;
}

/* The octets of chunks so far, with those of this one. */
static uint64_t
chunks_size(const struct server *server, const struct command *command)
{
	uint64_t size;

	if (__builtin_add_overflow(server->chunked, command->chunk, &size))
		return UINT64_MAX;
	return size;
}

static const struct server_turn *
chunk_refuse(const struct server *server, const struct command *command)
{
	uint64_t size_max = server->limits.size_max;
	uint64_t size = chunks_size(server, command);

	/* Not to be read to its end, whatever becomes of it. */
	if (is_over(command->chunk / 2, size_max))
		return &chunk_far_too_large;
	if (server->requires_tls && !server->is_secured)
		return &chunk_needs_tls;
	if (server->state < SERVER_RCPT)
		return NULL; /* refused anyway */
	if ((server->offered.extensions & EXTENSION_BIT(EXTENSION_CHUNKING)) ==
	    0)
		return &chunk_no_hello;
	if (is_over(size, size_max) || is_over(size, server->offered.size_max))
		return &chunk_too_large;
	return NULL;
}

static const struct server_turn *
recipient_refuse(const struct server *server, const struct command *command)
{
	const struct server_turn *refused = parameters_refuse(server, command);
	unsigned recipients_max = server->limits.recipients_max;

	if (refused != NULL)
		return refused;
	if (command->path.is_utf8 && !server->is_sender_utf8)
		return &no_utf8;
	/* RFC 5321 4.5.3.1.10. Those outstanding count: once they are answered
	 * this one is looked at again. */
	if (recipients_max != 0 &&
	    server->recipients + server->recipients_pending >= recipients_max)
		return &too_many_recipients;
	return NULL;
}

static const struct server_turn *
identity_refuse(const struct server *server, const struct command *command)
{
	(void)command;
	if (!server->takes_xclient)
		return &not_offered;
	return server->state >= SERVER_MAIL ? &in_mail : NULL;
}

static const struct server_turn *
secure_refuse(const struct server *server, const struct command *command)
{
	(void)command;
	if (!server->has_tls)
		return &not_offered;
	if (server->is_secured)
		return &secured_already;
	if (!server->is_greeted)
		return &no_hello;
	return server->state >= SERVER_MAIL || server->is_sender_pending
		       ? &in_mail
		       : NULL;
}

/* The order is that of commands: what cannot be done now in any form first. */
static const struct server_turn *
login_refuse(const struct server *server, const struct command *command)
{
	struct login asked;

	if (!server->takes_login)
		return &not_offered;
	if (!server->is_secured)
		return &no_plain_login;
	if (!server->is_greeted)
		return &no_hello;
	if (server->state >= SERVER_MAIL || server->is_sender_pending)
		return &in_mail;
	if (server->is_logged_in)
		return &logged_in_already;
	if ((server->offered.extensions & EXTENSION_BIT(EXTENSION_AUTH)) == 0)
		return &not_offered;
	if (!login_parse(command->argument, &asked))
		return &bad_argument;
	return login_has_mechanism(server->offered.mechanisms, asked.mechanism)
		       ? NULL
		       : &no_mechanism;
}

/* RFC 3207 4. Who may say XCLIENT is known by its address. */
static bool
is_for_tls_only(enum verb verb)
{
	return verb == VERB_MAIL || verb == VERB_RCPT || verb == VERB_DATA ||
	       verb == VERB_AUTH || verb == VERB_VRFY || verb == VERB_EXPN ||
	       verb == VERB_ETRN;
}

/* clang-format off */
#define ALWAYS(turn) { turn, turn, turn, turn, turn }

static const struct row rows[VERB_COUNT] = {
	/*                    CONNECTED  GREETED   MAIL            RCPT
	 *                                                         CHUNKS */
	[VERB_UNKNOWN]  = { ALWAYS(&unknown), NULL },
	[VERB_HELO]     = { ALWAYS(&greet), NULL },
	[VERB_EHLO]     = { ALWAYS(&greet), NULL },
	[VERB_MAIL]     = { { &no_hello, &sender,  &nested_mail,   &nested_mail,
			      &in_chunks },
			    sender_refuse },
	[VERB_RCPT]     = { { &no_hello, &no_mail, &recipient,     &recipient,
			      &in_chunks },
			    recipient_refuse },
	[VERB_DATA]     = { { &no_hello, &no_mail, &no_recipients, &content,
			      &in_chunks },
			    content_refuse },
	[VERB_BDAT]     = { { &chunk_no_hello, &chunk_no_mail,
			      &chunk_no_recipients, &chunk, &chunk },
			    chunk_refuse },
	[VERB_RSET]     = { ALWAYS(&reset), NULL },
	[VERB_NOOP]     = { ALWAYS(&ok), NULL },
	[VERB_VRFY]     = { ALWAYS(&no_verify), NULL },
	[VERB_HELP]     = { ALWAYS(&help), NULL },
	[VERB_QUIT]     = { ALWAYS(&quit), NULL },
	[VERB_EXPN]     = { ALWAYS(&not_offered), NULL },
	[VERB_STARTTLS] = { ALWAYS(&secure), secure_refuse },
	[VERB_AUTH]     = { ALWAYS(&login), login_refuse },
	[VERB_ETRN]     = { ALWAYS(&not_offered), NULL },
	[VERB_TURN]     = { ALWAYS(&not_offered), NULL },
	[VERB_XCLIENT]  = { ALWAYS(&identity), identity_refuse },
};

static const struct server_turn *const faults[] = {
	[COMMAND_OK]            = NULL,
	[COMMAND_UNKNOWN]       = &unknown,
	[COMMAND_BAD_ARGUMENT]  = &bad_argument,
	[COMMAND_BAD_DOMAIN]    = &bad_domain,
	[COMMAND_BAD_REVERSE]   = &bad_reverse,
	[COMMAND_BAD_FORWARD]   = &bad_forward,
	[COMMAND_BAD_PARAMETER] = &bad_parameter,
	[COMMAND_BAD_CHUNK]     = &bad_chunk,
};
/* clang-format on */

void
server_init(struct server *server, const struct server_limits *limits)
{
	*server = (struct server){ .limits = *limits };
}

static bool
is_reached(unsigned count, unsigned limit)
{
	return limit != 0 && count >= limit;
}

bool
server_is_waiting(const struct server *server)
{
	return server->is_hello_pending || server->is_sender_pending ||
	       server->recipients_pending > 0;
}

/* What is refused whatever stands in it. */
static bool
is_refusal(const struct server_turn *turn)
{
	return turn->duty == SERVER_ANSWER && reply_class(turn->code) == 5;
}

/* Order first: what may not happen now is not looked at more closely. */
static const struct server_turn *
decide_command(const struct server *server, enum command_fault fault,
	       const struct command *command)
{
	/* A MAIL under way is taken for accepted: RFC 2920 3.1. */
	enum server_state state =
		server->is_sender_pending ? SERVER_MAIL : server->state;
	const struct row *row = &rows[command->verb];
	const struct server_turn *refused = NULL;

	if (server->requires_tls && !server->is_secured &&
	    is_for_tls_only(command->verb))
		return &needs_tls;
	if (is_refusal(row->turn[state]))
		return row->turn[state];
	if (fault != COMMAND_OK)
		return faults[fault];
	if (row->turn[state]->duty == SERVER_SENDER &&
	    is_reached(server->messages, server->limits.messages_max))
		return &too_many_messages;
	if (row->refuse != NULL)
		refused = row->refuse(server, command);
	return refused != NULL ? refused : row->turn[state];
}

/* Another line is one too many. */
static const struct server_turn *
limits_reached(const struct server *server)
{
	const struct server_limits *limits = &server->limits;

	if (is_reached(server->errors, limits->errors_max))
		return &too_many_errors;
	if (is_reached(server->unknown, limits->unknown_max))
		return &too_many_unknown;
	if (is_reached(server->refused, limits->refused_max))
		return &too_many_refused;
	if (is_reached(server->junk, limits->junk_max))
		return &too_much_junk;
	return NULL;
}

static const struct server_turn *
decide(const struct server *server, enum command_line line,
       enum command_fault fault, const struct command *command)
{
	const struct server_turn *reached = limits_reached(server);

	if (reached != NULL)
		return reached;
	if (line == COMMAND_BAD_OCTET)
		return &bad_octet;
	if (line == COMMAND_LONG_CHUNK)
		return &bad_chunk;
	if (line == COMMAND_TOO_LONG)
		return &too_long;
	return decide_command(server, fault, command);
}

/* No mail, and nothing outstanding. */
static void
mail_drop(struct server *server)
{
	server->is_sender_pending = false;
	server->recipients_pending = 0;
	server->recipients = 0;
	server->chunked = 0;
	if (server->state != SERVER_CLOSED)
		server->state =
			server->is_greeted ? SERVER_GREETED : SERVER_CONNECTED;
}

/* What MAIL says about the message to come. */
static void
note_sender(struct server *server, const struct command *command)
{
	const struct parameter *body =
		command_parameter(command, SPAN_LIT("BODY"));

	server->is_sender_pending = true;
	server->is_sender_utf8 =
		command_parameter(command, SPAN_LIT("SMTPUTF8")) != NULL;
	server->is_sender_binary =
		body != NULL &&
		span_equal_nocase(body->value, SPAN_LIT("BINARYMIME"));
}

static void
enter(struct server *server, const struct server_turn *turn,
      const struct command *command)
{
	bool was_refused = server->is_chunk_refused;

	server->is_chunk_refused = turn->duty == SERVER_SWALLOW;
	switch (turn->duty) {
	case SERVER_ANSWER:
		server->errors += reply_class(turn->code) == 5;
		server->unknown += turn == &unknown;
		server->junk += reply_class(turn->code) == 2;
		break;
	case SERVER_CLOSE:
		server->state = SERVER_CLOSED;
		break;
	case SERVER_HELO:
		server->is_hello_pending = true;
		server->junk++;
		break;
	case SERVER_SENDER:
		note_sender(server, command);
		server->messages++;
		break;
	case SERVER_RECIPIENT:
		server->recipients_pending++;
		break;
	case SERVER_CONTENT:
		server->state = SERVER_DATA;
		break;
	case SERVER_CHUNK:
		server->chunked += command->chunk;
		server->state = command->is_last ? SERVER_DATA : SERVER_CHUNKS;
		break;
	case SERVER_SWALLOW:
		server->junk += was_refused;
		server->errors += !was_refused;
		mail_drop(server);
		break;
	case SERVER_SECURE:
	case SERVER_RESET:
		server->junk++;
		mail_drop(server);
		break;
	case SERVER_LOGIN:
	case SERVER_IDENTITY:
		server->junk++;
		break;
	case SERVER_WAIT:
		break;
	}
}

struct server_turn
server_step(struct server *server, enum command_line line,
	    enum command_fault fault, const struct command *command)
{
	const struct server_turn *turn;

	assert(line != COMMAND_MORE && server->state < STATES);
	turn = decide(server, line, fault, command);
	/* Only RCPT may overtake the replies before it; not that to an EHLO,
	 * which ends the mail. */
	if (server_is_waiting(server) &&
	    (turn->duty != SERVER_RECIPIENT || server->is_hello_pending))
		return not_now;
	enter(server, turn, command);
	return *turn;
}

void
server_greeted(struct server *server, bool is_extended, unsigned code,
	       const struct ehlo *offered)
{
	assert(server->is_hello_pending);
	server->is_hello_pending = false;
	/* RFC 5321 4.1.4: a refused EHLO leaves everything as it was. */
	if (reply_class(code) != 2)
		return;
	server->is_greeted = true;
	server->is_extended = is_extended;
	server->offered = is_extended ? *offered : (struct ehlo){ 0 };
	mail_drop(server);
}

void
server_sender(struct server *server, unsigned code)
{
	assert(server->is_sender_pending);
	server->is_sender_pending = false;
	if (reply_class(code) == 2)
		server->state = SERVER_MAIL;
}

/* A recipient accepted behind a sender that was not changes nothing: DATA is
 * then out of order. */
void
server_recipient(struct server *server, unsigned code)
{
	assert(server->recipients_pending > 0);
	server->recipients_pending--;
	server->refused += reply_class(code) == 5;
	if (reply_class(code) != 2 || server->state < SERVER_MAIL)
		return;
	server->recipients++;
	server->state = SERVER_RCPT;
}

void
server_end(struct server *server)
{
	mail_drop(server);
}

void
server_secured(struct server *server)
{
	server->is_secured = true;
	server_reset(server);
}

void
server_logged_in(struct server *server, unsigned code)
{
	server->is_logged_in = reply_class(code) == 2;
	server->errors += reply_class(code) == 5;
}

void
server_delivered(struct server *server)
{
	server->junk = 0;
}

void
server_reset(struct server *server)
{
	server->is_greeted = false;
	server->is_extended = false;
	server->is_hello_pending = false;
	server->is_logged_in = false;
	server->offered = (struct ehlo){ 0 };
	mail_drop(server);
}
