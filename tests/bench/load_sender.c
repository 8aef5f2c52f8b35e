/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/load_sender.h"

#include "proxy/owner.h"
#include "smtp/reply.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is handed to the kernel at once: of a large message all but the last
 * piece has been taken when the final dot leaves. */
#define PIECE ((size_t)65536)
#define WIRE_MAX (PIECE + 16384)
#define HEARD_MAX ((size_t)16384)

/* Name in errors; the only code that will do (0: the mail's). */
static const struct {
	const char *name;
	unsigned expected;
} stages[] = {
	[SENDER_OUT] = { "out", 0 },
	[SENDER_CONNECT] = { "connect", 0 },
	[SENDER_HANDSHAKE] = { "handshake", 0 },
	[SENDER_BANNER] = { "banner", 220 },
	[SENDER_HELLO] = { "EHLO", 250 },
	[SENDER_STARTTLS] = { "STARTTLS", 220 },
	[SENDER_READY] = { "ready", 0 },
	[SENDER_MAIL] = { "MAIL", 250 },
	[SENDER_RCPT] = { "RCPT", 250 },
	[SENDER_DATA] = { "DATA", 354 },
	[SENDER_CONTENT] = { "final dot", 0 },
	[SENDER_QUIT] = { "QUIT", 221 },
};

static void advance(struct sender *sender);

/* --- the end of a connection ------------------------------------------- */

static void
close_when_quiet(struct sender *sender)
{
	if (sender->is_sending || sender->is_receiving)
		return;
	close(sender->fd);
	load_tls_free(sender->tls);
	sender->tls = NULL;
	sender->fd = -1;
	sender->mail = NULL;
	sender->stage = SENDER_OUT;
	load_has_idle(sender->load, sender);
}

/* Something is not as it must be: what is under way has to come back before
 * the descriptor may be used again. */
static void
fail(struct sender *sender, const char *why)
{
	if (sender->is_broken)
		return;
	sender->is_broken = true;
	load_result_error(&sender->load->result, sender->mail != NULL, "%s: %s",
			  stages[sender->stage].name, why);
	shutdown(sender->fd, SHUT_RDWR);
	close_when_quiet(sender);
}

/* --- octets out --------------------------------------------------------- */

static void
send_piece(struct sender *sender, struct span piece)
{
	if (sender->stage == SENDER_CONTENT && sender->unsent.n == 0)
		sender->dot_ns = now_ns();
	sender->is_sending = true;
	loop_send(&sender->load->loop, &sender->sending, sender->fd, piece);
}

static void
fill_wire(struct sender *sender)
{
	size_t taken;

	sender->wire_n = load_tls_take(sender->tls, sender->wire, WIRE_MAX);
	while (sender->unsent.n > 0 && sender->wire_n < PIECE) {
		taken = load_tls_write(sender->tls, sender->unsent);
		if (taken == 0) {
			fail(sender, "TLS cannot encrypt");
			return;
		}
		sender->unsent = span_after(sender->unsent, taken);
		sender->wire_n += load_tls_take(sender->tls,
						sender->wire + sender->wire_n,
						WIRE_MAX - sender->wire_n);
	}
}

/* The next piece of what is left to say, if any. */
static void
send_next(struct sender *sender)
{
	struct span piece = sender->unsent;

	if (sender->tls != NULL) {
		fill_wire(sender);
		if (sender->wire_n > 0 && !sender->is_broken)
			send_piece(sender,
				   span_make(sender->wire, sender->wire_n));
		return;
	}
	if (piece.n > PIECE)
		piece.n = PIECE;
	sender->unsent = span_after(sender->unsent, piece.n);
	if (piece.n > 0)
		send_piece(sender, piece);
}

static void
listen_on(struct sender *sender)
{
	bool is_tls = sender->tls != NULL;

	sender->is_receiving = true;
	loop_recv(&sender->load->loop, &sender->receiving, sender->fd,
		  is_tls ? sender->heard : sender->in + sender->in_n,
		  is_tls ? HEARD_MAX : SENDER_IN_MAX - sender->in_n);
}

static void
say(struct sender *sender, enum sender_stage stage, struct span octets)
{
	sender->stage = stage;
	sender->unsent = octets;
	send_next(sender);
	if (!sender->is_broken)
		listen_on(sender);
}

static void
say_command(struct sender *sender, enum sender_stage stage, const char *verb,
	    struct span argument, const char *rest)
{
	int n = snprintf(sender->command, SENDER_COMMAND_MAX, "%s%.*s%s", verb,
			 (int)argument.n, (const char *)argument.p, rest);

	if (n < 0 || (size_t)n >= SENDER_COMMAND_MAX)
		give_up("load: a command is too long", 0);
	say(sender, stage, span_make(sender->command, (size_t)n));
}

/* --- the dialogue ------------------------------------------------------- */

static void
say_hello(struct sender *sender)
{
	say_command(sender, SENDER_HELLO, "EHLO ",
		    span_cstr(sender->load->options.helo), "\r\n");
}

static void
say_mail(struct sender *sender)
{
	const struct load_options *options = &sender->load->options;
	char room[LOAD_ADDRESS_MAX], rest[SENDER_COMMAND_MAX];

	snprintf(rest, sizeof(rest), ">\r\nRCPT TO:<%s>\r\nDATA\r\n",
		 sender->mail->to);
	say_command(sender, SENDER_MAIL, "MAIL FROM:<",
		    load_mail_from(&sender->load->options.mails, sender->mail,
				   room),
		    options->is_pipelining ? rest : ">\r\n");
}

/* RCPT or DATA; where they left with MAIL their replies may be there. */
static void
go_on(struct sender *sender, enum sender_stage stage)
{
	if (sender->load->options.is_pipelining) {
		sender->stage = stage;
		advance(sender);
	} else if (stage == SENDER_RCPT) {
		say_command(sender, stage, "RCPT TO:<",
			    span_cstr(sender->mail->to), ">\r\n");
	} else {
		say(sender, stage, SPAN_LIT("DATA\r\n"));
	}
}

static void
be_ready(struct sender *sender)
{
	sender->stage = SENDER_READY;
	if (sender->mail != NULL)
		say_mail(sender);
	else
		load_has_idle(sender->load, sender);
}

static void
handshake(struct sender *sender)
{
	enum load_tls_status status = load_tls_shake(sender->tls);

	sender->stage = SENDER_HANDSHAKE;
	if (status == LOAD_TLS_BAD) {
		fail(sender, "TLS failed");
		return;
	}
	if (status == LOAD_TLS_READY) {
		snprintf(sender->load->result.tls, LOAD_NAME_MAX, "%s",
			 load_tls_name(sender->tls));
		if (sender->load->options.tls == LOAD_STARTTLS) {
			say_hello(sender);
			return;
		}
		sender->stage = SENDER_BANNER;
	}
	send_next(sender);
	if (!sender->is_broken)
		listen_on(sender);
}

static void
begin_tls(struct sender *sender)
{
	if (sender->wire == NULL)
		sender->wire = malloc(WIRE_MAX);
	if (sender->heard == NULL)
		sender->heard = malloc(HEARD_MAX);
	sender->tls = load_tls_new();
	if (sender->wire == NULL || sender->heard == NULL ||
	    sender->tls == NULL)
		give_up("load: not enough memory", 0);
	handshake(sender);
}

static void
greeted(struct sender *sender)
{
	if (sender->load->options.tls == LOAD_STARTTLS && sender->tls == NULL)
		say(sender, SENDER_STARTTLS, SPAN_LIT("STARTTLS\r\n"));
	else
		be_ready(sender);
}

static void
answered(struct sender *sender, unsigned code)
{
	uint64_t now = now_ns();
	struct load_result *result = &sender->load->result;

	load_result_answer(result, code, now - sender->arrival_ns,
			   now - sender->dot_ns);
	result->end_ns = now;
	sender->mail = NULL;
	if (sender->load->options.is_kept)
		be_ready(sender);
	else
		say(sender, SENDER_QUIT, SPAN_LIT("QUIT\r\n"));
}

/* The reply that was waited for is there. */
static void
take_reply(struct sender *sender, unsigned code)
{
	switch (sender->stage) {
	case SENDER_BANNER:
		say_hello(sender);
		break;
	case SENDER_HELLO:
		greeted(sender);
		break;
	case SENDER_STARTTLS:
		begin_tls(sender);
		break;
	case SENDER_MAIL:
		go_on(sender, SENDER_RCPT);
		break;
	case SENDER_RCPT:
		go_on(sender, SENDER_DATA);
		break;
	case SENDER_DATA:
		say(sender, SENDER_CONTENT, buf_span(&sender->mail->content));
		break;
	case SENDER_CONTENT:
		answered(sender, code);
		break;
	case SENDER_QUIT:
		close_when_quiet(sender);
		break;
	case SENDER_OUT:
	case SENDER_CONNECT:
	case SENDER_HANDSHAKE:
	case SENDER_READY:
		fail(sender, "a reply that nobody asked for");
		break;
	}
}

static bool
is_expected(const struct sender *sender, unsigned code)
{
	if (sender->stage == SENDER_CONTENT)
		return code == sender->mail->expected;
	return code == stages[sender->stage].expected;
}

/* Drop the reply from `in`. Only with pipelining may there be more. */
static void
drop(struct sender *sender, size_t n)
{
	memmove(sender->in, sender->in + n, sender->in_n - n);
	sender->in_n -= n;
}

static void
unexpected(struct sender *sender, const struct reply *reply)
{
	char why[LOAD_NAME_MAX / 2];

	snprintf(why, sizeof(why), "%u %.*s", reply->code,
		 (int)reply->line[0].n, (const char *)reply->line[0].p);
	fail(sender, why);
}

/* One step, if its reply is there and all that led to it was sent. The next
 * step of a pipeline is taken from here again, three times at most. */
static void
advance(struct sender *sender) /* NOLINT(misc-no-recursion) */
{
	struct span in = span_make(sender->in, sender->in_n);
	struct reply reply;

	if (sender->is_sending || sender->is_receiving)
		return;
	switch (reply_next(&in, &reply)) {
	case REPLY_BAD:
		fail(sender, "not a reply");
		return;
	case REPLY_MORE:
		if (sender->in_n == SENDER_IN_MAX)
			fail(sender, "a reply too long");
		else
			listen_on(sender);
		return;
	case REPLY_READY:
		break;
	}
	if (!is_expected(sender, reply.code)) {
		unexpected(sender, &reply);
		return;
	}
	drop(sender, sender->in_n - in.n);
	take_reply(sender, reply.code);
}

/* --- what comes back from the kernel -------------------------------------- */

static void
sent(struct errand *errand, int result)
{
	struct sender *sender = OWNER(errand, struct sender, sending);

	sender->is_sending = false;
	if (sender->is_broken)
		close_when_quiet(sender);
	else if (result < 0)
		fail(sender, strerror(-result));
	else if (sender->unsent.n > 0)
		send_next(sender);
	else if (sender->stage != SENDER_HANDSHAKE)
		advance(sender);
	else if (!sender->is_receiving)
		handshake(sender);
}

/* Under TLS: from what was heard to octets of replies. */
static bool
decrypt(struct sender *sender, size_t n)
{
	int plain = 1;

	if (!load_tls_feed(sender->tls, span_make(sender->heard, n)))
		return false;
	if (sender->stage == SENDER_HANDSHAKE)
		return true;
	while (plain > 0 && sender->in_n < SENDER_IN_MAX) {
		plain = load_tls_read(sender->tls, sender->in + sender->in_n,
				      SENDER_IN_MAX - sender->in_n);
		if (plain > 0)
			sender->in_n += (size_t)plain;
	}
	return plain >= 0;
}

static void
received(struct errand *errand, int result)
{
	struct sender *sender = OWNER(errand, struct sender, receiving);

	sender->is_receiving = false;
	if (sender->is_broken)
		close_when_quiet(sender);
	else if (result < 0)
		fail(sender, strerror(-result));
	else if (result == 0)
		fail(sender, "the connection was closed");
	else if (sender->tls != NULL && !decrypt(sender, (size_t)result))
		fail(sender, "TLS failed");
	else if (sender->stage == SENDER_HANDSHAKE && !sender->is_sending)
		handshake(sender);
	else if (sender->stage != SENDER_HANDSHAKE) {
		sender->in_n += sender->tls == NULL ? (size_t)result : 0;
		advance(sender);
	}
}

static void
connected(struct errand *errand, int result)
{
	struct sender *sender = OWNER(errand, struct sender, connecting);

	if (result < 0) {
		fail(sender, strerror(-result));
		return;
	}
	if (sender->load->options.tls == LOAD_IMPLICIT) {
		begin_tls(sender);
		return;
	}
	say(sender, SENDER_BANNER, span_cstr(sender->load->options.proxy));
}

/* --- what the load asks for ------------------------------------------------
 */

void
sender_init(struct sender *sender, struct load *load)
{
	sender->load = load;
	sender->fd = -1;
	sender->connecting.done = connected;
	sender->sending.done = sent;
	sender->receiving.done = received;
}

void
sender_fini(struct sender *sender)
{
	if (sender->fd >= 0)
		close(sender->fd);
	load_tls_free(sender->tls);
	free(sender->wire);
	free(sender->heard);
}

void
sender_connect(struct sender *sender)
{
	struct load *load = sender->load;
	const int yes = 1;

	sender->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sender->fd < 0)
		give_up("load: socket", errno);
	setsockopt(sender->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	sender->is_broken = false;
	sender->in_n = 0;
	sender->stage = SENDER_CONNECT;
	load->result.connections++;
	loop_connect(&load->loop, &sender->connecting, sender->fd,
		     (const struct sockaddr *)&load->options.server,
		     sizeof(load->options.server));
}

void
sender_send(struct sender *sender, uint64_t arrival_ns)
{
	sender->mail = load_mails_next(&sender->load->options.mails);
	sender->arrival_ns = arrival_ns;
	if (sender->stage == SENDER_READY)
		say_mail(sender);
	else
		sender_connect(sender);
}

void
sender_leave(struct sender *sender)
{
	if (sender->stage == SENDER_READY)
		say(sender, SENDER_QUIT, SPAN_LIT("QUIT\r\n"));
}
