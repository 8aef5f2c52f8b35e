/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/smuggle/lenient.h"

#include "tests/holds.h"

#define TEXT_MAX (1u << 20)
#define HOOK SPAN_LIT("boss@victim.example")

/* clang-format off */
const struct lenient_manner lenient_manners[LENIENT_MANNERS] = {
	{ .name = "strict" },
	{ .name = "lf", .takes_lf = true },
	{ .name = "cr", .takes_cr = true },
	{ .name = "lf-cr", .takes_lf = true, .takes_cr = true },
	{ .name = "cr-crlf", .takes_cr_crlf = true },
	{ .name = "cr-crlf-lf", .takes_cr_crlf = true, .takes_lf = true },
	{ .name = "no-cr", .drops_cr = true, .takes_lf = true },
	{ .name = "lfcr", .takes_lf = true, .takes_cr = true,
	  .takes_lf_cr = true },
	{ .name = "trim", .trims_end = true },
	{ .name = "trim-lf", .trims_end = true, .takes_lf = true },
	{ .name = "trim-lf-cr", .trims_end = true, .takes_lf = true,
	  .takes_cr = true },
	{ .name = "no-nul", .nul = NUL_DROPPED },
	{ .name = "no-nul-lf", .nul = NUL_DROPPED, .takes_lf = true },
	{ .name = "no-nul-lf-cr", .nul = NUL_DROPPED, .takes_lf = true,
	  .takes_cr = true },
	{ .name = "no-nul-trim", .nul = NUL_DROPPED, .trims_end = true,
	  .takes_cr_crlf = true, .takes_lf = true },
	{ .name = "nul-cuts", .nul = NUL_CUTS },
	{ .name = "nul-cuts-lf", .nul = NUL_CUTS, .takes_lf = true,
	  .takes_cr_crlf = true },
	{ .name = "nul-ends", .nul = NUL_ENDS_LINE },
	{ .name = "all", .nul = NUL_ENDS_LINE, .takes_lf = true,
	  .takes_cr = true, .trims_end = true },
};
/* clang-format on */

void
lenient_init(struct lenient *lenient, const struct lenient_manner *manner)
{
	*lenient = (struct lenient){ .manner = manner };
	buf_init(&lenient->line, TEXT_MAX);
	buf_init(&lenient->message, TEXT_MAX);
}

void
lenient_fini(struct lenient *lenient)
{
	buf_fini(&lenient->line);
	buf_fini(&lenient->message);
}

void
lenient_reset(struct lenient *lenient)
{
	struct buf line = lenient->line, message = lenient->message;

	buf_reset(&line);
	buf_reset(&message);
	*lenient = (struct lenient){
		.manner = lenient->manner,
		.ehlo = lenient->ehlo,
		.line = line,
		.message = message,
	};
}

static void
say(struct buf *reply, const char *text)
{
	if (reply != NULL)
		buf_append(reply, span_cstr(text));
}

static void
end_message(struct lenient *lenient, struct buf *reply)
{
	lenient->is_in_data = lenient->is_in_chunks = false;
	lenient->messages++;
	say(reply, "250 2.0.0 Queued\r\n");
}

/* "BDAT 123" or "BDAT 123 LAST". */
static void
begin_chunk(struct lenient *lenient, struct span text, struct buf *reply)
{
	size_t n = 0;

	if (!lenient->is_in_chunks) {
		lenient->datas++;
		buf_reset(&lenient->message);
	}
	lenient->is_in_chunks = true;
	lenient->chunk = 0;
	while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9')
		lenient->chunk = lenient->chunk * 10 + text.p[n++] - '0';
	lenient->is_last_chunk = n < text.n;
	if (lenient->chunk > 0)
		return;
	if (lenient->is_last_chunk)
		end_message(lenient, reply);
	else
		say(reply, "250 2.0.0 Ok\r\n");
}

static void
take_command(struct lenient *lenient, struct span line, struct buf *reply)
{
	lenient->has_seen_hook |= holds(line, HOOK);
	if (span_starts(line, SPAN_LIT("EHLO "))) {
		lenient->hellos++;
		say(reply, lenient->ehlo != NULL
				   ? lenient->ehlo
				   : "250-mta.example\r\n250 PIPELINING\r\n");
	} else if (span_starts(line, SPAN_LIT("HELO "))) {
		lenient->hellos++;
		say(reply, "250 mta.example\r\n");
	} else if (span_starts(line, SPAN_LIT("PROXY "))) {
		/* It stands before the greeting, and has no answer. */
	} else if (span_starts(line, SPAN_LIT("XCLIENT "))) {
		say(reply, "220 mta.example ESMTP\r\n");
	} else if (span_starts(line, SPAN_LIT("MAIL FROM:<"))) {
		lenient->mails++;
		say(reply, "250 2.1.0 Ok\r\n");
	} else if (span_starts(line, SPAN_LIT("RCPT TO:<"))) {
		lenient->rcpts++;
		say(reply, "250 2.1.5 Ok\r\n");
	} else if (span_equal(line, SPAN_LIT("DATA"))) {
		lenient->datas++;
		lenient->is_in_data = true;
		buf_reset(&lenient->message);
		say(reply, "354 Go ahead\r\n");
	} else if (span_starts(line, SPAN_LIT("BDAT "))) {
		begin_chunk(lenient, span_after(line, 5), reply);
	} else if (span_equal(line, SPAN_LIT("RSET")) ||
		   span_equal(line, SPAN_LIT("NOOP"))) {
		say(reply, "250 2.0.0 Ok\r\n");
	} else if (span_equal(line, SPAN_LIT("QUIT"))) {
		lenient->quits++;
		say(reply, "221 2.0.0 Bye\r\n");
	} else {
		lenient->others++;
		say(reply, "500 5.5.2 What?\r\n");
	}
}

static void
end_line(struct lenient *lenient, struct buf *reply)
{
	struct span line = buf_span(&lenient->line);
	struct span seen = line;

	if (!lenient->is_in_data) {
		take_command(lenient, line, reply);
	} else {
		while (lenient->manner->trims_end && seen.n > 0 &&
		       (seen.p[seen.n - 1] == ' ' ||
			seen.p[seen.n - 1] == '\t' ||
			seen.p[seen.n - 1] == '\r'))
			seen.n--;
		if (span_equal(seen, SPAN_LIT("."))) {
			end_message(lenient, reply);
		} else {
			if (line.n > 0 && line.p[0] == '.')
				line = span_after(line, 1);
			buf_append(&lenient->message, line);
			buf_append(&lenient->message, SPAN_LIT("\r\n"));
		}
	}
	buf_reset(&lenient->line);
	lenient->is_cut = false;
}

static void
add(struct lenient *lenient, uint8_t c)
{
	if (!lenient->is_cut)
		buf_append_octet(&lenient->line, c);
}

/* CRs that were no part of a line end. */
static void
release_crs(struct lenient *lenient)
{
	while (lenient->crs > 0) {
		add(lenient, '\r');
		lenient->crs--;
	}
}

static void
take_cr(struct lenient *lenient, struct buf *reply)
{
	if (lenient->manner->drops_cr)
		return;
	if (!lenient->manner->takes_cr) {
		lenient->crs++;
		return;
	}
	end_line(lenient, reply);
	lenient->is_behind_cr = true;
}

static void
take_lf(struct lenient *lenient, struct buf *reply)
{
	const struct lenient_manner *manner = lenient->manner;
	unsigned crs = lenient->crs;

	if (crs > 1 && !manner->takes_cr_crlf) {
		lenient->crs = crs - 1;
		release_crs(lenient);
		crs = 1;
	}
	lenient->crs = 0;
	if (crs > 0 || manner->takes_lf) {
		end_line(lenient, reply);
		lenient->is_behind_lf = crs == 0;
	} else {
		add(lenient, '\n');
	}
}

static void
take_nul(struct lenient *lenient, struct buf *reply)
{
	switch (lenient->manner->nul) {
	case NUL_KEPT:
		add(lenient, '\0');
		return;
	case NUL_DROPPED:
		return;
	case NUL_CUTS:
		lenient->is_cut = true;
		return;
	case NUL_ENDS_LINE:
		end_line(lenient, reply);
		return;
	}
}

static void
take_chunk(struct lenient *lenient, uint8_t c, struct buf *reply)
{
	buf_append_octet(&lenient->message, c);
	if (--lenient->chunk > 0)
		return;
	if (lenient->is_last_chunk)
		end_message(lenient, reply);
	else
		say(reply, "250 2.0.0 Ok\r\n");
}

static void
take(struct lenient *lenient, uint8_t c, struct buf *reply)
{
	bool is_behind_cr = lenient->is_behind_cr;
	bool is_behind_lf = lenient->is_behind_lf;

	lenient->is_behind_cr = lenient->is_behind_lf = false;
	if (c == '\n' && is_behind_cr)
		return; /* before a chunk too: it belongs to BDAT's line */
	if (lenient->chunk > 0) {
		take_chunk(lenient, c, reply);
		return;
	}
	if (c == '\r' && is_behind_lf && lenient->manner->takes_lf_cr)
		return;
	if (c == '\0' && lenient->manner->nul == NUL_DROPPED)
		return;
	if (c != '\n' && c != '\r')
		release_crs(lenient);
	if (c == '\n')
		take_lf(lenient, reply);
	else if (c == '\r')
		take_cr(lenient, reply);
	else if (c == '\0')
		take_nul(lenient, reply);
	else
		add(lenient, c);
}

void
lenient_hear(struct lenient *lenient, struct span octets, struct buf *reply)
{
	for (size_t i = 0; i < octets.n; i++)
		take(lenient, octets.p[i], reply);
}
