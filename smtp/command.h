/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command: lines of the client, framed and parsed.
 *
 * Framing knows one end of line, CR LF. A line that is too long is swallowed
 * up to its CR LF and reported once. A bare LF, a CR not followed by LF, or a
 * NUL cannot come from an SMTP client: it is reported where it stands, again
 * at every further call, and the caller answers and closes, so that nothing
 * behind it is ever read as a command (standards: smuggling).
 *
 * Parsing gives the verb, the path and the parameters as spans of the line.
 * Towards the backend a command is written anew from these parts by
 * command_format(): client text is never pasted.
 *
 * RFC 5321 2.4, 4.1.1, 4.5.3.1; RFC 6531 3; RFC 3030 2.
 */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H

#include "smtp/address.h"

/* Longest line without CR LF that is ever read: RFC 5321 allows 512 octets with
 * it; MAIL and RCPT parameters of the extensions we know need some more. */
#define COMMAND_LINE_MAX 2048
#define COMMAND_PARAMETERS_MAX 16

/*
 * X(name, text, kind of argument, line of the HELP reply). Rows without a line
 * of help are verbs that are known but not for everybody: the dialogue answers
 * them 502, not 500 as it does what nobody has heard of.
 */
#define VERBS(X)                                                          \
	X(HELO, "HELO", DOMAIN, "HELO host name")                         \
	X(EHLO, "EHLO", DOMAIN, "EHLO host name")                         \
	X(MAIL, "MAIL", REVERSE_PATH, "MAIL FROM:<address> [parameters]") \
	X(RCPT, "RCPT", FORWARD_PATH, "RCPT TO:<address> [parameters]")   \
	X(DATA, "DATA", NOTHING, "DATA")                                  \
	X(BDAT, "BDAT", CHUNK, "BDAT size [LAST]")                        \
	X(RSET, "RSET", NOTHING, "RSET")                                  \
	X(NOOP, "NOOP", ANYTHING, "NOOP [text]")                          \
	X(VRFY, "VRFY", SOMETHING, "VRFY address")                        \
	X(HELP, "HELP", ANYTHING, "HELP")                                 \
	X(QUIT, "QUIT", NOTHING, "QUIT")                                  \
	X(EXPN, "EXPN", ANYTHING, "")                                     \
	X(STARTTLS, "STARTTLS", NOTHING, "")                              \
	X(AUTH, "AUTH", ANYTHING, "")                                     \
	X(ETRN, "ETRN", ANYTHING, "")                                     \
	X(TURN, "TURN", ANYTHING, "")                                     \
	X(XCLIENT, "XCLIENT", ANYTHING, "")

/* clang-format off */
enum verb {
	VERB_UNKNOWN,
#define X(name, text, argument, help) VERB_##name,
	VERBS(X)
#undef X
	VERB_COUNT
};
/* clang-format on */

enum command_line {
	COMMAND_MORE,      /* no whole line yet */
	COMMAND_LINE,      /* *line is one, without its CR LF */
	COMMAND_TOO_LONG,  /* one was over the limit; it has been swallowed */
	COMMAND_BAD_OCTET, /* bare CR, bare LF or NUL */
	/* As COMMAND_TOO_LONG, and it began with BDAT: how many octets follow
	 * that are no commands is not known. */
	COMMAND_LONG_CHUNK,
};

struct command_reader {
	size_t scanned;   /* octets of the pending line known to hold no end */
	bool is_skipping; /* inside a line over the limit */
	bool is_chunk;    /* … which began with BDAT */
	size_t line_max;  /* up to COMMAND_LINE_MAX, which is what 0 means */
	size_t login_max; /* the same for AUTH, where that is more */
};

/*
 * The next line of *in. On COMMAND_LINE, COMMAND_TOO_LONG and
 * COMMAND_LONG_CHUNK *in stands behind the line. On COMMAND_MORE what is left
 * in *in must be shown again, with more octets behind it (octets of a line
 * being skipped are taken from it). *line borrows from *in. A zeroed reader is
 * ready.
 */
enum command_line command_next(struct command_reader *reader, struct span *in,
			       struct span *line);

struct parameter {
	struct span keyword;
	struct span value; /* without '='; empty when has_value is false */
	bool has_value;
};

struct command {
	enum verb verb;
	struct span argument; /* what follows the verb, trimmed */
	struct span domain;   /* HELO, EHLO: name or literal, as written */
	struct path path;     /* MAIL, RCPT */
	uint64_t chunk;       /* BDAT: octets that follow the line */
	bool is_last;         /* BDAT: the message ends with them */
	size_t parameters;
	struct parameter parameter[COMMAND_PARAMETERS_MAX];
};

enum command_fault {
	COMMAND_OK,
	COMMAND_UNKNOWN,       /* 500 5.5.1: no such verb */
	COMMAND_BAD_ARGUMENT,  /* 501 5.5.4: argument missing, or not allowed */
	COMMAND_BAD_DOMAIN,    /* 501 5.5.2: HELO/EHLO name */
	COMMAND_BAD_REVERSE,   /* 501 5.1.7: reverse-path */
	COMMAND_BAD_FORWARD,   /* 501 5.1.3: forward-path */
	COMMAND_BAD_PARAMETER, /* 501 5.5.4: syntax, repeated, or too many */
	COMMAND_BAD_CHUNK,     /* 501 5.5.4: BDAT whose size cannot be read */
};

/*
 * Parse one line. Verbs and "FROM:", "TO:" in any case; white space after the
 * colon is tolerated, as every MTA does. On a fault, command->verb is the verb
 * if it was known. *command borrows from line. A HELO name is one word of
 * letters, digits, "-._:#[]" and UTF-8, at most ADDRESS_DOMAIN_MAX octets:
 * whether it is more than that is the backend's to say.
 */
enum command_fault command_parse(struct span line, struct command *command);

/* MAIL or RCPT (and HELO, EHLO, DATA, BDAT, RSET, QUIT) written anew, with CR
 * LF; false if buf is full. Another verb, and white space or a control
 * character inside a word, are asserted against. */
bool command_format(const struct command *command, struct buf *buf);

/* The value of a parameter, or NULL where it was not given. */
const struct parameter *command_parameter(const struct command *command,
					  struct span keyword);

/* xtext of RFC 3461 4. Encoding: false if buf is full. Decoding: false if
 * text is not xtext (part of it may be in buf then) or buf is full. */
bool xtext_encode(struct span text, struct buf *buf);
bool xtext_decode(struct span text, struct buf *buf);

/* Whether it stands for a control character, read as xtext, and be it one that
 * only a lenient reader takes for xtext: lower case counts, and what else is
 * wrong does not matter. */
bool xtext_hides_control(struct span text);

#endif
