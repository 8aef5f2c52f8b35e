/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/sim/post.h"

#include <assert.h>
#include <stdio.h>

#define WIRE_MAX (1u << 20)

static const char *const domains[AUTHOR_COUNT] = {
	[AUTHOR_HONEST] = "sender.example",
	[AUTHOR_SIGNED] = "victim.example",
	[AUTHOR_VICTIM] = "victim.example",
	[AUTHOR_CAREFUL] = "careful.example",
	[AUTHOR_LENIENT] = "lenient.example",
	[AUTHOR_UNKNOWN] = "unknown.example",
	[AUTHOR_TROUBLED] = "broken.example",
};

/* As signed by the author of victim.example; its key is in world.zone. */
static const char signed_message[] =
	"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; "
	"d=victim.example; s=e1;\r\n"
	"\th=from:to:subject;\r\n"
	"\tbh=z4EKn/U9iZnqOKhKSe7/QS/UqxnkRFoFl0WZCW707f8=;\r\n"
	"\tb=4AemuvBOmxyDFOQxOrvfX72n1nvg12fw+pB6evCkZ1xyGyila5olxejUFh1BRuoE"
	"x0zi1y\r\n"
	"\t a3q+Hc9430DTanAA==\r\n"
	"From: Boss <boss@victim.example>\r\n"
	"To: bob@backend.example\r\n"
	"Subject: signed\r\n"
	"\r\n"
	"This is from the boss.\r\n";

/* What lines of bodies may look like; the worst for whoever stuffs dots. */
static const char *const lines[] = {
	"",        ".",
	"..",      ".hidden",
	"...",     "Send money.",
	" ",       "From here",
	"QUIT",    "To: somebody",
	". ",      "gr\xc3\xbc\xc3\x9f",
	"\t",      "a",
	"RSET\t.", "250 2.0.0 Ok",
};

static unsigned
below(const struct post_dice *dice, unsigned n)
{
	return dice->below(dice->dice, n);
}

static bool
one_in(const struct post_dice *dice, unsigned n)
{
	return below(dice, n) == 0;
}

/* A line with its dot and its CR LF. */
static void
append_line(struct post *post, struct span line)
{
	if (line.n > 0 && line.p[0] == '.')
		buf_append(&post->wire, SPAN_LIT("."));
	buf_append(&post->wire, line);
	buf_append(&post->wire, SPAN_LIT("\r\n"));
	buf_append(&post->text, line);
	buf_append(&post->text, SPAN_LIT("\r\n"));
	for (size_t i = 0; i < line.n; i++)
		post->is_eight_bit |= line.p[i] > 127;
}

static void
append_text(struct post *post, const char *text)
{
	append_line(post, span_cstr(text));
}

/* Many octets, quickly: lines of one kind. */
static void
append_bulk(struct post *post, const struct post_dice *dice, size_t octets)
{
	static const char filler[] = "........................................."
				     "......................."
				     "abcdefghijklmnopqrstuvwxyzabcdefghijklmno"
				     "pqrstuvwxyzabcdefghijklm"
				     "01234567890123456789012345678901234567890"
				     "12345678901234567890123";
	size_t start = post->wire.n;

	while (post->wire.n - start < octets) {
		unsigned at = below(dice, 140);
		unsigned n = 1 + below(dice, (unsigned)sizeof(filler) - 1 - at);

		if (one_in(dice, 40))
			append_text(post, lines[below(dice, 16)]);
		append_line(post, span_make(filler + at, n));
	}
}

/* Fields that claim to be ours, or the backend's. */
static void
append_forged(struct post *post, const struct conf *conf,
	      const struct post_dice *dice)
{
	char text[128];
	struct span mark = one_in(dice, 2) ? conf->quarantine.header
					   : conf->quarantine.original_header;

	if (one_in(dice, 2))
		append_text(post, "Authentication-Results: gate.example; "
				  "dmarc=pass");
	if (one_in(dice, 2))
		append_text(post, "Authentication-Results: other.example;\r\n"
				  "\tdmarc=pass");
	snprintf(text, sizeof(text), "%.*s: forged,\r\n\ton two lines",
		 (int)mark.n, (const char *)mark.p);
	if (one_in(dice, 2))
		append_text(post, text);
}

static void
append_from(struct post *post)
{
	char text[128];

	snprintf(text, sizeof(text), "From: Somebody <me@%s>",
		 domains[post->author]);
	append_text(post, text);
}

static void
append_header(struct post *post, const struct conf *conf,
	      const struct post_dice *dice)
{
	if (post->flaw == FLAW_FOLD_FIRST)
		append_text(post, " continued from nowhere");
	if (one_in(dice, 5))
		append_forged(post, conf, dice);
	if (post->flaw != FLAW_NO_FROM)
		append_from(post);
	if (post->flaw == FLAW_TWO_FROMS)
		append_text(post, "From: Other <other@sender.example>");
	if (one_in(dice, 2))
		append_text(post, "Subject: hello,\r\n it is me");
	if (one_in(dice, 5))
		append_forged(post, conf, dice);
	if (post->flaw == FLAW_HEADER_TOO_LARGE)
		while (post->wire.n < 2 * conf->header_size_max)
			append_text(post, "X-Filler: 012345678901234567890123");
}

static void
append_body(struct post *post, const struct conf *conf,
	    const struct post_dice *dice)
{
	size_t size_max = (size_t)conf->message_size_max;

	if (post->flaw == FLAW_TOO_LARGE)
		append_bulk(post, dice, size_max + size_max / 4);
	else if (post->flaw == FLAW_FAR_TOO_LARGE)
		append_bulk(post, dice, 2 * size_max + 4096);
	else if (one_in(dice, 8))
		append_bulk(post, dice, 1 + below(dice, 40000));
	for (unsigned i = below(dice, 12); i > 0; i--)
		append_text(post, lines[below(dice, 16)]);
}

/* In the last line, so that the header is what it seems. */
static void
append_bad_line(struct post *post, const struct post_dice *dice)
{
	static const struct span bad[] = {
		SPAN_LIT("bare\nLF"),
		SPAN_LIT("bare\rCR"),
		SPAN_LIT("NUL\0here"),
		SPAN_LIT("\n.\r\nsmuggled"),
		SPAN_LIT("x\n.\nMAIL FROM:<evil@sender.example>"),
		SPAN_LIT("x\r.\rQUIT"),
		SPAN_LIT("x\r"),
		SPAN_LIT("\r\r"),
	};

	append_line(post, bad[below(dice, 8)]);
}

static void
make_binary(struct post *post, const struct post_dice *dice)
{
	static const uint8_t octets[] = { '\0', '\n', '\r', '.', 0xff, 'x' };

	buf_reset(&post->binary);
	if (post->flaw != FLAW_NONE || post->author == AUTHOR_SIGNED ||
	    !one_in(dice, 3))
		return;
	buf_append(&post->binary, buf_span(&post->text));
	for (unsigned i = 1 + below(dice, 300); i > 0; i--)
		buf_append_octet(&post->binary,
				 octets[below(dice, sizeof(octets))]);
}

static void
make_wire(struct post *post, const struct conf *conf,
	  const struct post_dice *dice)
{
	buf_reset(&post->wire);
	buf_reset(&post->text);
	post->is_eight_bit = false;
	if (post->author == AUTHOR_SIGNED) {
		buf_append(&post->wire, span_cstr(signed_message));
		buf_append(&post->text, span_cstr(signed_message));
	} else if (post->flaw != FLAW_EMPTY) {
		append_header(post, conf, dice);
		if (post->flaw != FLAW_NO_BODY) {
			append_text(post, "");
			append_body(post, conf, dice);
		}
		if (post->flaw == FLAW_LINE_ENDINGS)
			append_bad_line(post, dice);
	}
	buf_append(&post->wire, SPAN_LIT(".\r\n"));
	make_binary(post, dice);
	assert(!post->wire.has_overflowed);
}

/* Capital letters, all but the first. */
static void
shout(char *address)
{
	while (*++address != '\0')
		if (*address >= 'a' && *address <= 'z')
			*address = (char)(*address - 'a' + 'A');
}

/* Local parts say how the backend treats them: see mta.c. */
static void
add_recipient(struct post *post, const struct conf *conf,
	      const struct post_dice *dice)
{
	const struct conf_route *route =
		&conf->routes[below(dice, (unsigned)conf->route_count)];
	struct span domain = route->domain;
	struct post_recipient *recipient = &post->recipients[post->count];
	unsigned kind = below(dice, 24);
	char local[32];

	if (domain.n == 0)
		domain = SPAN_LIT("backend.example");
	if (one_in(dice, 30))
		domain = SPAN_LIT("elsewhere.example");
	*recipient = (struct post_recipient){ 0 };
	snprintf(local, sizeof(local), "%s%u",
		 kind == 0   ? "busy"
		 : kind <= 2 ? "bad"
			     : "bob",
		 post->count);
	if (route->match == MATCH_MAILBOX && kind > 2)
		snprintf(local, sizeof(local), "%.*s", (int)route->local.n,
			 (const char *)route->local.p);
	snprintf(recipient->address, sizeof(recipient->address), "%s@%s%.*s",
		 local,
		 route->match == MATCH_BELOW && !one_in(dice, 4) ? "sub." : "",
		 (int)domain.n, (const char *)domain.p);
	if (one_in(dice, 8))
		shout(recipient->address);
	post->count++;
}

void
post_init(struct post *post)
{
	*post = (struct post){ 0 };
	buf_init(&post->wire, WIRE_MAX);
	buf_init(&post->text, WIRE_MAX);
	buf_init(&post->binary, WIRE_MAX);
}

void
post_fini(struct post *post)
{
	buf_fini(&post->wire);
	buf_fini(&post->text);
	buf_fini(&post->binary);
}

void
post_make(struct post *post, const struct conf *conf,
	  const struct post_dice *dice)
{
	unsigned count =
		one_in(dice, 3) ? 1 + below(dice, POST_RECIPIENTS_MAX) : 1;

	post->author = below(dice, AUTHOR_COUNT);
	if (one_in(dice, 3))
		post->author = AUTHOR_HONEST;
	if (post->author == AUTHOR_SIGNED && !one_in(dice, 4))
		post->author = AUTHOR_CAREFUL;
	post->flaw = one_in(dice, 6) && post->author != AUTHOR_SIGNED
			     ? below(dice, FLAW_COUNT)
			     : FLAW_NONE;
	if ((post->flaw == FLAW_FAR_TOO_LARGE ||
	     post->flaw == FLAW_TOO_LARGE) &&
	    !one_in(dice, 4))
		post->flaw = FLAW_NONE;
	post->is_null_sender = one_in(dice, 8);
	post->count = 0;
	while (post->count < count)
		add_recipient(post, conf, dice);
	make_wire(post, conf, dice);
}

static unsigned
class_of(enum conf_action action)
{
	switch (action) {
	case ACTION_REJECT:
		return 5;
	case ACTION_DEFER:
		return 4;
	case ACTION_RELAY:
	case ACTION_TAG:
	case ACTION_SUBJECT:
	case ACTION_DIVERT:
		break;
	}
	return 2;
}

static unsigned
class_by_policy(const struct post *post, const struct conf *conf,
		const struct conf_route *route)
{
	switch (post->author) {
	case AUTHOR_HONEST:
		/* Without a sender it is the HELO name that SPF speaks for. */
		return post->is_null_sender ? class_of(route->on_reject) : 2;
	case AUTHOR_VICTIM:
		return class_of(route->on_reject);
	case AUTHOR_CAREFUL:
		return class_of(route->on_quarantine);
	case AUTHOR_LENIENT:
		return class_of(route->on_fail_none);
	case AUTHOR_TROUBLED:
		return conf->does_defer ? 4 : 2;
	case AUTHOR_SIGNED:
	case AUTHOR_UNKNOWN:
	case AUTHOR_COUNT:
		break;
	}
	return 2;
}

unsigned
post_expected(const struct post *post, const struct conf *conf,
	      const struct conf_route *route)
{
	bool is_enforced = route != NULL && route->mode == MODE_ENFORCE;

	switch (post->flaw) {
	case FLAW_HEADER_TOO_LARGE:
	case FLAW_TOO_LARGE:
		return 5;
	case FLAW_LINE_ENDINGS:
		if (!conf->is_normalising)
			return 5;
		break;
	case FLAW_NO_FROM:
	case FLAW_EMPTY:
		return is_enforced ? class_of(conf->bad_from) : 2;
	case FLAW_TWO_FROMS:
	case FLAW_FOLD_FIRST:
	case FLAW_FAR_TOO_LARGE:
		return 0;
	case FLAW_NONE:
	case FLAW_NO_BODY:
	case FLAW_COUNT:
		break;
	}
	return is_enforced ? class_by_policy(post, conf, route) : 2;
}
