/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/replay/script.h"

#include <assert.h>
#include <stdio.h>

#define FILE_MAX (256u * 1024)
#define ARENA_MAX (64u << 20)
#define INCLUDES_MAX 4

struct reader {
	struct script *script;
	struct buf *fault;
	struct span folder;
	struct span file;
	unsigned number;
	struct buf *section; /* conf or zone, while inside one */
	bool is_skipping;    /* the last line is a "..." without a side */
};

bool
script_matches(struct span pattern, struct span text)
{
	size_t p = 0, t = 0;
	size_t star = SIZE_MAX, from = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			from = t;
		} else if (p < pattern.n && pattern.p[p] == text.p[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

static bool
complain(struct reader *reader, const char *text)
{
	if (reader->fault->n == 0)
		buf_printf(reader->fault, "%.*s:%u: %s", (int)reader->file.n,
			   (const char *)reader->file.p, reader->number, text);
	return false;
}

static void
add(struct reader *reader, enum script_kind kind, enum session_side side,
    struct span text)
{
	struct script *script = reader->script;

	if (script->count == script->cap) {
		size_t cap = script->cap == 0 ? 256 : script->cap * 2;
		struct script_line *grown =
			arena_alloc(&script->arena, cap * sizeof(*grown));

		assert(grown != NULL);
		if (script->count > 0)
			memcpy(grown, script->lines,
			       script->count * sizeof(*grown));
		script->lines = grown;
		script->cap = cap;
	}
	if (reader->is_skipping)
		script->lines[script->count - 1].side = side;
	reader->is_skipping = false;
	script->lines[script->count++] = (struct script_line){
		.kind = kind,
		.side = side,
		.text = text,
		.file = reader->file,
		.number = reader->number,
	};
}

static struct span
with_crlf(struct reader *reader, struct span text, size_t times)
{
	struct buf octets;
	struct span kept;

	buf_init(&octets, ARENA_MAX);
	for (size_t i = 0; i < times; i++) {
		buf_append(&octets, text);
		buf_append(&octets, SPAN_LIT("\r\n"));
	}
	kept = arena_copy(&reader->script->arena, buf_span(&octets));
	assert(kept.n > 0);
	buf_fini(&octets);
	return kept;
}

static int
hex_value(uint8_t c)
{
	if (octet_is_digit(c))
		return c - '0';
	c = octet_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escape behind its backslash; moves *in behind it. */
static bool
take_escape(struct span *in, struct buf *out)
{
	static const char from[] = "rnt\\\"", to[] = "\r\n\t\\\"";

	if (in->n == 0)
		return false;
	if (in->p[0] == 'x') {
		int high = in->n < 3 ? -1 : hex_value(in->p[1]);
		int low = in->n < 3 ? -1 : hex_value(in->p[2]);

		if (high < 0 || low < 0)
			return false;
		*in = span_after(*in, 3);
		return buf_append_octet(out, (uint8_t)(high << 4 | low));
	}
	for (size_t i = 0; from[i] != '\0'; i++) {
		if (in->p[0] != (uint8_t)from[i])
			continue;
		*in = span_after(*in, 1);
		return buf_append_octet(out, (uint8_t)to[i]);
	}
	return false;
}

/* "octets with escapes", the quotes included. */
static bool
take_quoted(struct reader *reader, struct span text, struct span *octets)
{
	struct span in = span_trim(text);
	bool is_good = in.n >= 2 && in.p[0] == '"' && in.p[in.n - 1] == '"';
	struct buf out;

	buf_init(&out, FILE_MAX);
	in = is_good ? span_make(in.p + 1, in.n - 2) : SPAN_NONE;
	while (is_good && in.n > 0) {
		uint8_t c = in.p[0];

		in = span_after(in, 1);
		is_good = c == '\\' ? take_escape(&in, &out)
				    : buf_append_octet(&out, c);
	}
	*octets = arena_copy(&reader->script->arena, buf_span(&out));
	buf_fini(&out);
	return is_good && octets->n > 0;
}

static bool
side_of(uint8_t letter, enum session_side *side)
{
	switch (octet_lower(letter)) {
	case 'c':
		*side = SIDE_CLIENT;
		return true;
	case 'b':
		*side = SIDE_BACKEND;
		return true;
	case 'd':
		*side = SIDE_DIVERT;
		return true;
	default:
		return false;
	}
}

/* "C: text" in either case of its letter. */
static bool
take_spoken(struct reader *reader, struct span line)
{
	enum session_side side;
	struct span text = span_after(line, 2);

	if (!side_of(line.p[0], &side))
		return complain(reader, "no such party");
	if (text.n > 0 && text.p[0] == ' ')
		text = span_after(text, 1);
	if (line.p[0] < 'a') {
		add(reader, SCRIPT_SAY, side, with_crlf(reader, text, 1));
	} else if (span_equal(text, SPAN_LIT("..."))) {
		add(reader, SCRIPT_SKIP, side, SPAN_NONE);
	} else {
		add(reader, SCRIPT_HEAR, side, text);
	}
	return true;
}

/* "! repeat N C: text" */
static bool
take_repeat(struct reader *reader, struct span text)
{
	size_t blank = span_find(text, ' ');
	struct span said = span_trim(span_after(text, blank));
	enum session_side side;
	uint64_t times;

	if (!span_u64(span_first(text, blank), &times) || times == 0 ||
	    said.n < 2 || said.p[1] != ':' || !side_of(said.p[0], &side))
		return complain(reader, "repeat NUMBER X: TEXT");
	said = span_trim(span_after(said, 2));
	add(reader, SCRIPT_SAY, side, with_crlf(reader, said, times));
	return true;
}

/* "octets", or N times "octets". */
static bool
take_octets(struct reader *reader, enum script_kind kind,
	    enum session_side side, struct span text)
{
	size_t blank = span_find(text, ' ');
	uint64_t times = 1;
	struct span octets;
	struct buf all;

	if (span_u64(span_first(text, blank), &times)) {
		text = span_after(text, blank);
		if (!span_starts(text, SPAN_LIT(" times ")))
			return complain(reader, "NUMBER times \"OCTETS\"");
		text = span_after(text, 7);
	}
	if (!take_quoted(reader, text, &octets))
		return complain(reader, "octets stand in quotes");
	buf_init(&all, ARENA_MAX);
	for (uint64_t i = 0; i < times; i++)
		buf_append(&all, octets);
	add(reader, kind, side,
	    arena_copy(&reader->script->arena, buf_span(&all)));
	buf_fini(&all);
	return true;
}

static bool
take_directive(struct reader *reader, struct span text)
{
	static const struct {
		const char *word;
		enum script_kind kind;
		enum session_side side;
	} octets[] = {
		{ "send ", SCRIPT_SAY, SIDE_CLIENT },
		{ "backend sends ", SCRIPT_SAY, SIDE_BACKEND },
		{ "divert sends ", SCRIPT_SAY, SIDE_DIVERT },
		{ "backend hears ", SCRIPT_HEAR_OCTETS, SIDE_BACKEND },
		{ "divert hears ", SCRIPT_HEAR_OCTETS, SIDE_DIVERT },
	};

	if (span_starts(text, SPAN_LIT("repeat ")))
		return take_repeat(reader, span_after(text, 7));
	for (size_t i = 0; i < sizeof(octets) / sizeof(octets[0]); i++) {
		struct span word = span_cstr(octets[i].word);

		if (span_starts(text, word))
			return take_octets(reader, octets[i].kind,
					   octets[i].side,
					   span_after(text, word.n));
	}
	add(reader, SCRIPT_DIRECTIVE, SIDE_CLIENT, text);
	return true;
}

static bool read_file(struct reader *reader, struct span file, unsigned depth);

static bool
take_include(struct reader *reader, struct span name, unsigned depth)
{
	struct reader inner = *reader;
	struct buf path;
	struct span file;

	if (depth == INCLUDES_MAX)
		return complain(reader, "too many includes");
	buf_init(&path, 4096);
	buf_append(&path, reader->folder);
	buf_append(&path, name);
	buf_append(&path, SPAN_LIT(".inc"));
	file = arena_copy(&reader->script->arena, buf_span(&path));
	buf_fini(&path);
	inner.section = NULL;
	return read_file(&inner, file, depth + 1);
}

/* Its side is that of the line behind it. */
static void
take_skip(struct reader *reader)
{
	add(reader, SCRIPT_SKIP, SIDE_CLIENT, SPAN_NONE);
	reader->is_skipping = true;
}

static bool
take_line(struct reader *reader, struct span line, unsigned depth)
{
	if (line.n > 0 && line.p[0] == '\t' && reader->section != NULL)
		return buf_append(reader->section, span_after(line, 1)) &&
		       buf_append_octet(reader->section, '\n');
	if (span_trim(line).n == 0 || line.p[0] == '#')
		return true;
	reader->section = NULL;
	if (span_equal(line, SPAN_LIT("conf:")))
		reader->section = &reader->script->conf;
	else if (span_equal(line, SPAN_LIT("zone:")))
		reader->section = &reader->script->zone;
	else if (span_starts(line, SPAN_LIT("include: ")))
		return take_include(reader, span_trim(span_after(line, 9)),
				    depth);
	else if (span_equal(line, SPAN_LIT("...")))
		take_skip(reader);
	else if (span_starts(line, SPAN_LIT("! ")))
		return take_directive(reader, span_trim(span_after(line, 2)));
	else if (span_starts(line, SPAN_LIT("V: ")))
		add(reader, SCRIPT_VERDICT, SIDE_CLIENT, span_after(line, 3));
	else if (span_starts(line, SPAN_LIT("E: ")))
		add(reader, SCRIPT_EVENT, SIDE_CLIENT, span_after(line, 3));
	else if (line.n >= 2 && line.p[1] == ':')
		return take_spoken(reader, line);
	else
		return complain(reader, "not a line of a script");
	return true;
}

/* The whole of a file, in the arena. */
static bool
load(struct reader *reader, struct span file, struct span *text)
{
	const char *name = arena_string(&reader->script->arena, file);
	uint8_t *octets = arena_alloc(&reader->script->arena, FILE_MAX);
	FILE *stream = name == NULL ? NULL : fopen(name, "re");

	assert(octets != NULL);
	if (stream == NULL) {
		buf_printf(reader->fault, "%s: cannot be read", name);
		return false;
	}
	*text = span_make(octets, fread(octets, 1, FILE_MAX, stream));
	fclose(stream);
	return text->n < FILE_MAX || complain(reader, "too large");
}

static bool
read_file(struct reader *reader, struct span file, unsigned depth)
{
	struct span text;

	if (!load(reader, file, &text))
		return false;
	reader->file = file;
	reader->number = 0;
	while (text.n > 0) {
		size_t end = span_find(text, '\n');

		reader->number++;
		if (!take_line(reader, span_first(text, end), depth))
			return false;
		text = span_after(text, end < text.n ? end + 1 : end);
	}
	return true;
}

bool
script_read(struct script *script, const char *file, struct buf *fault)
{
	struct reader reader = { .script = script, .fault = fault };

	*script = (struct script){ 0 };
	arena_init(&script->arena, ARENA_MAX);
	buf_init(&script->conf, FILE_MAX);
	buf_init(&script->zone, FILE_MAX);
	script->file = arena_copy(&script->arena, span_cstr(file));
	reader.folder = script->file;
	while (reader.folder.n > 0 &&
	       reader.folder.p[reader.folder.n - 1] != '/')
		reader.folder.n--;
	return read_file(&reader, script->file, 0);
}

void
script_fini(struct script *script)
{
	arena_fini(&script->arena);
	buf_fini(&script->conf);
	buf_fini(&script->zone);
}
