/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/conf_text.h"

#include <assert.h>

enum token {
	TOKEN_END,
	TOKEN_TEXT,
	TOKEN_EQUALS,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_COMMA,
	TOKEN_BAD, /* scanner->fault says why */
};

struct scanner {
	struct conf_text *text;
	struct arena *arena;
	size_t at;
	unsigned line;
	size_t cap; /* of text->statements */
	/* The token read last. */
	size_t token_at;
	unsigned token_line;
	struct span token; /* of TOKEN_TEXT, without quotes */
};

/* Where the octets of the text run out. */
static bool
is_at_end(const struct scanner *scanner)
{
	return scanner->at == scanner->text->n;
}

static uint8_t
octet(const struct scanner *scanner, size_t ahead)
{
	return scanner->at + ahead < scanner->text->n
		       ? scanner->text->p[scanner->at + ahead]
		       : 0;
}

/* The first fault stands. */
static enum token
bad(struct scanner *scanner, unsigned line, const char *fault)
{
	if (scanner->text->fault == NULL) {
		scanner->text->fault = fault;
		scanner->text->fault_line = line;
	}
	return TOKEN_BAD;
}

static void
blank_line(struct scanner *scanner)
{
	while (!is_at_end(scanner) && octet(scanner, 0) != '\n')
		scanner->text->p[scanner->at++] = ' ';
}

/* To behind a comment as in C; false if it does not end. */
static bool
find_comment_end(struct scanner *scanner)
{
	unsigned line = scanner->line;
	size_t from = scanner->at;

	/* Its shortest form is four octets: the star of the opening does not
	 * close it. */
	for (scanner->at += 2; !is_at_end(scanner); scanner->at++) {
		if (octet(scanner, 0) == '\n')
			scanner->line++;
		if (scanner->at >= from + 3 && octet(scanner, 0) == '/' &&
		    scanner->text->p[scanner->at - 1] == '*') {
			scanner->at++;
			return true;
		}
	}
	bad(scanner, line, "this comment does not end");
	return false;
}

static bool
blank_comment(struct scanner *scanner)
{
	size_t from = scanner->at;

	if (!find_comment_end(scanner))
		return false;
	for (size_t i = from; i < scanner->at; i++)
		if (scanner->text->p[i] != '\n')
			scanner->text->p[i] = ' ';
	return true;
}

/* White space and comments; false on a fault. */
static bool
skip_space(struct scanner *scanner)
{
	while (!is_at_end(scanner)) {
		uint8_t c = octet(scanner, 0);

		if (c == '\n')
			scanner->line++;
		if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			scanner->at++;
		} else if (c == '#' || (c == '/' && octet(scanner, 1) == '/')) {
			blank_line(scanner);
		} else if (c == '/' && octet(scanner, 1) == '*') {
			if (!blank_comment(scanner))
				return false;
		} else {
			break;
		}
	}
	return true;
}

static enum token
quoted(struct scanner *scanner)
{
	uint8_t quote = octet(scanner, 0);
	size_t from = ++scanner->at;

	while (!is_at_end(scanner) && octet(scanner, 0) != quote) {
		uint8_t c = octet(scanner, 0);

		if (c == '\n')
			break;
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return bad(scanner, scanner->line,
				   "a control character in a text");
		/* An escaped quote does not end it. */
		if (c == '\\' && octet(scanner, 1) != '\n')
			scanner->at++;
		if (!is_at_end(scanner))
			scanner->at++;
	}
	if (is_at_end(scanner) || octet(scanner, 0) != quote)
		return bad(scanner, scanner->line,
			   "this text has no closing quote on its line");
	scanner->token = span_make(scanner->text->p + from, scanner->at - from);
	scanner->at++;
	return TOKEN_TEXT;
}

/* libconfuse's unquoted text. What else it would silently skip is refused. */
static bool
is_word_octet(const struct scanner *scanner)
{
	uint8_t c = octet(scanner, 0);

	if (c <= 0x20 || c == 0x7f)
		return false;
	if (c == '/')
		return octet(scanner, 1) != '/' && octet(scanner, 1) != '*';
	return memchr("#\"'={}()+,*$", c, 12) == NULL;
}

static enum token
word(struct scanner *scanner)
{
	size_t from = scanner->at;

	while (!is_at_end(scanner) && is_word_octet(scanner))
		scanner->at++;
	if (scanner->at == from)
		return bad(scanner, scanner->line,
			   "a character that must stand in quotes");
	scanner->token = span_make(scanner->text->p + from, scanner->at - from);
	return TOKEN_TEXT;
}

static enum token
punctuation(uint8_t c)
{
	switch (c) {
	case '=':
		return TOKEN_EQUALS;
	case '{':
		return TOKEN_OPEN;
	case '}':
		return TOKEN_CLOSE;
	case ',':
		return TOKEN_COMMA;
	default:
		return TOKEN_BAD;
	}
}

static enum token
next(struct scanner *scanner)
{
	enum token token;
	uint8_t c;

	if (!skip_space(scanner))
		return TOKEN_BAD;
	scanner->token_at = scanner->at;
	scanner->token_line = scanner->line;
	if (is_at_end(scanner))
		return TOKEN_END;
	c = octet(scanner, 0);
	if (c == '"' || c == '\'')
		return quoted(scanner);
	token = punctuation(c);
	if (token == TOKEN_BAD)
		return word(scanner);
	scanner->at++;
	return token;
}

/* A new statement in the list; NULL on a fault. */
static struct conf_statement *
add(struct scanner *scanner)
{
	struct conf_text *text = scanner->text;

	if (text->count == CONF_STATEMENTS_MAX) {
		bad(scanner, scanner->line, "too many statements");
		return NULL;
	}
	if (text->count == scanner->cap) {
		size_t cap = scanner->cap == 0 ? 64 : scanner->cap * 2;
		struct conf_statement *more =
			arena_alloc(scanner->arena, cap * sizeof *more);

		if (more == NULL) {
			bad(scanner, scanner->line, "not enough memory");
			return NULL;
		}
		if (text->count > 0)
			memcpy(more, text->statements,
			       text->count * sizeof *more);
		text->statements = more;
		scanner->cap = cap;
	}
	return &text->statements[text->count++];
}

/* Behind "{" of a list; false on a fault. */
static bool
scan_list(struct scanner *scanner)
{
	enum token token = next(scanner);

	while (token == TOKEN_TEXT) {
		token = next(scanner);
		if (token != TOKEN_COMMA)
			break;
		token = next(scanner);
	}
	if (token == TOKEN_CLOSE)
		return true;
	bad(scanner, scanner->token_line,
	    "expected a list such as { \"a\", \"b\" }");
	return false;
}

static bool
scan_value(struct scanner *scanner, struct conf_statement *statement)
{
	switch (next(scanner)) {
	case TOKEN_TEXT:
		return true;
	case TOKEN_OPEN:
		statement->is_list = true;
		return scan_list(scanner);
	case TOKEN_END:
	case TOKEN_EQUALS:
	case TOKEN_CLOSE:
	case TOKEN_COMMA:
	case TOKEN_BAD:
		break;
	}
	bad(scanner, scanner->token_line, "expected a value behind \"=\"");
	return false;
}

/* A block inside a block is unknown whatever it holds: up to its "}". */
static bool
skip_block(struct scanner *scanner)
{
	unsigned line = scanner->token_line;
	size_t depth = 1;

	while (depth > 0) {
		enum token token = next(scanner);

		if (token == TOKEN_END)
			bad(scanner, line, "this block has no closing \"}\"");
		if (token == TOKEN_END || token == TOKEN_BAD)
			return false;
		depth += token == TOKEN_OPEN;
		depth -= token == TOKEN_CLOSE;
	}
	return true;
}

/* What follows a statement's word. Sets *is_open for a block whose
 * statements follow. */
static bool
scan_rest(struct scanner *scanner, struct conf_statement *statement,
	  bool *is_open)
{
	enum token token = next(scanner);

	if (token == TOKEN_EQUALS)
		return scan_value(scanner, statement);
	if (token == TOKEN_TEXT) {
		statement->title = scanner->token;
		token = next(scanner);
	}
	if (token != TOKEN_OPEN) {
		/* What was read instead may stand lines below. */
		bad(scanner, statement->line,
		    statement->title.p == NULL
			    ? "expected \"=\" or \"{\" behind the word, found "
			      "neither"
			    : "expected \"{\" behind the title of a block, "
			      "or \"=\" behind the word of a setting");
		return false;
	}
	statement->is_block = true;
	if (statement->parent != CONF_NO_PARENT)
		return skip_block(scanner);
	*is_open = true;
	return true;
}

/* A statement whose word has just been read, in block *parent, which becomes
 * the block that it opens. */
static bool
scan_statement(struct scanner *scanner, size_t *parent)
{
	struct conf_statement *statement = add(scanner);
	bool is_open = false;

	if (statement == NULL)
		return false;
	statement->word = scanner->token;
	statement->line = scanner->token_line;
	statement->begin = scanner->token_at;
	statement->parent = *parent;
	if (!scan_rest(scanner, statement, &is_open))
		return false;
	statement->end = scanner->at;
	if (is_open)
		*parent = scanner->text->count - 1;
	return true;
}

static void
scan_file(struct scanner *scanner)
{
	struct conf_text *text = scanner->text;
	size_t parent = CONF_NO_PARENT;
	enum token token;

	while ((token = next(scanner)) != TOKEN_END && token != TOKEN_BAD) {
		if (token == TOKEN_TEXT) {
			if (!scan_statement(scanner, &parent))
				return;
		} else if (token == TOKEN_CLOSE && parent != CONF_NO_PARENT) {
			text->statements[parent].end = scanner->at;
			parent = CONF_NO_PARENT;
		} else {
			bad(scanner, scanner->token_line,
			    token == TOKEN_CLOSE
				    ? "a \"}\" that closes nothing"
				    : "expected the word of a setting");
			return;
		}
	}
	if (parent != CONF_NO_PARENT)
		bad(scanner, text->statements[parent].line,
		    "this block has no closing \"}\"");
}

void
conf_text_scan(struct conf_text *text, uint8_t *p, size_t n,
	       struct arena *arena)
{
	struct scanner scanner = { .text = text, .arena = arena, .line = 1 };

	*text = (struct conf_text){ .p = p, .n = n };
	scan_file(&scanner);
}

void
conf_text_blank(struct conf_text *text, size_t statement)
{
	const struct conf_statement *gone = &text->statements[statement];

	assert(gone->end <= text->n);
	for (size_t i = gone->begin; i < gone->end; i++)
		if (text->p[i] != '\n')
			text->p[i] = ' ';
}
