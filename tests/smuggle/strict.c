/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/smuggle/strict.h"

#include "tests/holds.h"

#define DELETE 0x7f

/* The next line of *in without its CR LF; false with a reason, or, at the end
 * of *in, without one. */
static bool
next_line(struct span *in, struct span *line, const char **reason)
{
	size_t n = 0;

	while (n < in->n && in->p[n] >= ' ' && in->p[n] != DELETE)
		n++;
	while (n < in->n && in->p[n] == '\t') {
		n++;
		while (n < in->n && in->p[n] >= ' ' && in->p[n] != DELETE)
			n++;
	}
	*line = span_first(*in, n);
	if (in->n == 0)
		return false;
	if (in->n - n < 2 || in->p[n] != '\r' || in->p[n + 1] != '\n') {
		*reason = n == in->n ? "a line has no end"
				     : "a line holds a control character";
		return false;
	}
	*in = span_after(*in, n + 2);
	return true;
}

/* Well-formed, and no C1 control. Each sequence is decoded and its value
 * compared with the least that needs as many octets. */
static bool
is_utf8(struct span text)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };

	while (text.n > 0) {
		uint8_t c = text.p[0];
		size_t n = c < 0x80   ? 1
			   : c < 0xc0 ? 0
			   : c < 0xe0 ? 2
			   : c < 0xf0 ? 3
			   : c < 0xf8 ? 4
				      : 0;
		unsigned value = n == 1 ? c : c & (0x7fu >> n);

		if (n == 0 || n > text.n)
			return false;
		for (size_t i = 1; i < n; i++) {
			if ((text.p[i] & 0xc0) != 0x80)
				return false;
			value = value << 6 | (text.p[i] & 0x3f);
		}
		if (value < least[n] || value > 0x10ffff ||
		    (value >= 0xd800 && value < 0xe000) ||
		    (value >= 0x80 && value < 0xa0))
			return false;
		text = span_after(text, n);
	}
	return true;
}

static bool
take(struct span *in, struct span word)
{
	if (!span_starts(*in, word))
		return false;
	*in = span_after(*in, word.n);
	return true;
}

/* One word, to the next space or the end. */
static struct span
take_word(struct span *in)
{
	struct span word = span_first(*in, span_find(*in, ' '));

	*in = span_after(*in, word.n);
	return word;
}

static bool
is_word(struct span word)
{
	for (size_t i = 0; i < word.n; i++)
		if (word.p[i] <= ' ')
			return false;
	return word.n > 0;
}

/* A local part: quoted, or without anything special in it. */
static bool
take_local(struct span *in)
{
	struct span special = SPAN_LIT("<>()[],;:\\\"@ \t");
	size_t n = 0;

	if (in->n > 0 && in->p[0] == '"') {
		for (n = 1; n < in->n && in->p[n] != '"'; n++)
			if (in->p[n] == '\t' ||
			    (in->p[n] == '\\' && ++n == in->n))
				return false;
		n++;
	} else {
		while (n < in->n && span_find(special, in->p[n]) == special.n)
			n++;
	}
	if (n == 0 || n > in->n)
		return false;
	*in = span_after(*in, n);
	return true;
}

/* "<local@domain>" or "<>"; its inside stands in what the client said. */
static bool
take_path(struct span *in, struct span said)
{
	struct span start, special = SPAN_LIT("<>()\\\"@, \t");
	size_t n = 0;

	if (!take(in, SPAN_LIT("<")))
		return false;
	if (take(in, SPAN_LIT(">")))
		return true;
	start = *in;
	if (!take_local(in))
		return false;
	if (take(in, SPAN_LIT("@"))) {
		while (n < in->n && span_find(special, in->p[n]) == special.n)
			n++;
		if (n == 0)
			return false;
		*in = span_after(*in, n);
	}
	return holds(said, span_first(start, start.n - in->n)) &&
	       take(in, SPAN_LIT(">"));
}

/* xtext that stands for a control ends a line wherever it is decoded. */
static bool
hides_control(struct span value)
{
	for (size_t i = 0; i + 2 < value.n; i++)
		if (value.p[i] == '+' &&
		    (value.p[i + 1] == '0' || value.p[i + 1] == '1' ||
		     (value.p[i + 1] == '7' && (value.p[i + 2] | ' ') == 'f')))
			return true;
	return false;
}

/* " KEYWORD" and " KEYWORD=value", any number of them. */
static bool
are_parameters(struct span rest)
{
	while (take(&rest, SPAN_LIT(" "))) {
		struct span word = take_word(&rest);
		size_t n = span_find(word, '=');
		struct span value = span_after(word, n < word.n ? n + 1 : n);

		for (size_t i = 0; i < n; i++)
			if (!octet_is_alpha(word.p[i]) &&
			    !octet_is_digit(word.p[i]) && word.p[i] != '-')
				return false;
		if (n == 0 || (n < word.n && !is_word(value)) ||
		    span_find(value, '=') < value.n || hides_control(value))
			return false;
	}
	return rest.n == 0;
}

static const char *
read_command(struct strict_commands *commands, struct span line,
	     struct span said)
{
	if (take(&line, SPAN_LIT("MAIL FROM:"))) {
		commands->mails++;
		return take_path(&line, said) && are_parameters(line)
			       ? NULL
			       : "MAIL is not as it should be";
	}
	if (take(&line, SPAN_LIT("RCPT TO:"))) {
		commands->rcpts++;
		return take_path(&line, said) && are_parameters(line)
			       ? NULL
			       : "RCPT is not as it should be";
	}
	if (take(&line, SPAN_LIT("EHLO ")) || take(&line, SPAN_LIT("HELO "))) {
		commands->hellos++;
		return is_word(line) ? NULL : "the greeting is no word";
	}
	if (take(&line, SPAN_LIT("XCLIENT"))) {
		commands->xclients++;
		return are_parameters(line) ? NULL : "XCLIENT has bad values";
	}
	if (span_equal(line, SPAN_LIT("DATA")))
		commands->datas++;
	else if (!span_equal(line, SPAN_LIT("RSET")) &&
		 !span_equal(line, SPAN_LIT("NOOP")) &&
		 !span_equal(line, SPAN_LIT("QUIT")) &&
		 !span_starts(line, SPAN_LIT("PROXY TCP")))
		return "a command that the gate never sends";
	return NULL;
}

/* Over a message, which ends at the first CR LF . CR LF. */
static void
pass_message(struct span *in)
{
	struct span end = SPAN_LIT("\r\n.\r\n");

	if (take(in, SPAN_LIT(".\r\n")))
		return;
	while (in->n > 0 && !span_starts(*in, end))
		*in = span_after(*in, 1);
	take(in, end);
}

void
strict_commands_read(struct strict_commands *commands, struct span heard,
		     struct span said)
{
	*commands = (struct strict_commands){ 0 };
	while (commands->reason == NULL &&
	       next_line(&heard, &commands->line, &commands->reason)) {
		commands->reason =
			is_utf8(commands->line)
				? read_command(commands, commands->line, said)
				: "a command is not UTF-8";
		if (span_equal(commands->line, SPAN_LIT("DATA")))
			pass_message(&heard);
	}
}

unsigned
strict_count_verb(struct span said, struct span verb)
{
	unsigned count = 0;

	while (said.n > 0) {
		size_t n = 0;

		while (n < said.n && said.p[n] != '\r' && said.p[n] != '\n' &&
		       said.p[n] != '\0')
			n++;
		if (said.n - n < 2 || said.p[n] != '\r' ||
		    said.p[n + 1] != '\n')
			break;
		count += span_starts_nocase(span_trim(said), verb);
		said = span_after(said, n + 2);
	}
	return count;
}

static const char *
read_reply_line(struct strict_replies *replies, struct span line,
		struct span *code)
{
	bool is_last = line.n == 3 || (line.n > 3 && line.p[3] == ' ');

	if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' ||
	    !octet_is_digit(line.p[1]) || !octet_is_digit(line.p[2]) ||
	    (!is_last && line.p[3] != '-'))
		return "a line is none of a reply";
	if (line.n + 2 > (span_starts(line, SPAN_LIT("334"))
				  ? STRICT_CHALLENGE_MAX
				  : STRICT_REPLY_LINE_MAX))
		return "a line is too long";
	if (!is_utf8(line))
		return "a line is not UTF-8";
	if (code->n > 0 && !span_equal(*code, span_first(line, 3)))
		return "the code changes within a reply";
	*code = is_last ? SPAN_NONE : span_first(line, 3);
	if (!is_last)
		return NULL;
	replies->replies++;
	replies->goodbyes += span_starts(line, SPAN_LIT("421"));
	replies->go_aheads += span_starts(line, SPAN_LIT("354"));
	return NULL;
}

void
strict_replies_read(struct strict_replies *replies, struct span heard)
{
	struct span code = SPAN_NONE;

	*replies = (struct strict_replies){ 0 };
	while (replies->reason == NULL &&
	       next_line(&heard, &replies->line, &replies->reason))
		replies->reason =
			read_reply_line(replies, replies->line, &code);
	replies->is_ended = heard.n == 0 && code.n == 0;
	if (replies->reason == NULL && !replies->is_ended)
		replies->reason = "a reply has no last line";
}
