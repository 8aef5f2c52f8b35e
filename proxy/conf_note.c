/* SPDX-License-Identifier: BSD-2-Clause */
/* The statements of a file, held against the table of settings. Pure. */
#include "proxy/conf_table.h"

#define SHOWN_MAX 80

static enum conf_section
section_of(const struct conf_reading *reading, size_t statement)
{
	size_t parent = reading->text.statements[statement].parent;

	return parent == CONF_NO_PARENT
		       ? SECTION_TOP
		       : conf_find_section(
				 reading->text.statements[parent].word);
}

const char *
conf_shown(struct conf_reading *reading, struct span text)
{
	char *copy = arena_alloc(&reading->scratch, SHOWN_MAX + 4);
	size_t n = text.n < SHOWN_MAX ? text.n : SHOWN_MAX;

	if (copy == NULL)
		return "?";
	for (size_t i = 0; i < n; i++)
		copy[i] = text.p[i] < 0x20 || text.p[i] == 0x7f
				  ? '?'
				  : (char)text.p[i];
	if (n < text.n)
		memcpy(copy + n, "...", 3);
	return copy;
}

const char *
conf_label(struct conf_reading *reading, enum conf_section section,
	   struct span title, const char *word)
{
	struct buf buf;
	const char *text;

	buf_init(&buf, 512);
	buf_append(&buf, span_cstr(conf_sections[section].word));
	if (conf_has_title(section))
		buf_printf(&buf, " \"%s\"", conf_shown(reading, title));
	if (buf.n > 0 && word[0] != '\0')
		buf_append_octet(&buf, ' ');
	buf_append(&buf, span_cstr(word));
	text = arena_string(&reading->scratch, buf_span(&buf));
	buf_fini(&buf);
	return text == NULL ? word : text;
}

/* A statement that libconfuse must not see. */
static void
refuse(struct conf_reading *reading, size_t statement)
{
	conf_text_blank(&reading->text, statement);
	reading->block_of[statement] = SIZE_MAX;
}

/* Where an unknown word might belong, or "". */
static const char *
hint(struct conf_reading *reading, struct span word)
{
	for (size_t i = 0; i < conf_setting_count; i++) {
		const struct conf_setting *row = &conf_settings[i];
		struct buf buf;
		const char *text;

		if (!span_equal(word, span_cstr(row->word)))
			continue;
		buf_init(&buf, 256);
		if (row->section == SECTION_TOP)
			buf_printf(&buf, "; it stands at the top level");
		else
			buf_printf(&buf, "; there is one in %s { }",
				   conf_sections[row->section].word);
		text = arena_string(&reading->scratch, buf_span(&buf));
		buf_fini(&buf);
		return text == NULL ? "" : text;
	}
	return "";
}

static void
note_unknown(struct conf_reading *reading, size_t index)
{
	const struct conf_statement *statement =
		&reading->text.statements[index];
	enum conf_section section = section_of(reading, index);

	if (section == SECTION_TOP)
		conf_fault(&reading->faults, statement->line,
			   "%s: unknown setting%s",
			   conf_shown(reading, statement->word),
			   hint(reading, statement->word));
	else
		conf_fault(&reading->faults, statement->line,
			   "%s: unknown setting in %s { }%s",
			   conf_shown(reading, statement->word),
			   conf_sections[section].word,
			   hint(reading, statement->word));
	refuse(reading, index);
}

/* The line of a block of the same word and title before this one, or 0. */
static unsigned
earlier_block(const struct conf_reading *reading, size_t index)
{
	const struct conf_statement *list = reading->text.statements;

	for (size_t i = 0; i < index; i++)
		if (list[i].is_block && reading->block_of[i] != SIZE_MAX &&
		    span_equal(list[i].word, list[index].word) &&
		    span_equal(list[i].title, list[index].title))
			return list[i].line;
	return 0;
}

static void
add_place(struct conf_reading *reading, enum conf_section section, size_t index)
{
	size_t at = reading->places.count[section]++;
	struct conf_place *place = &reading->places.place[section][at];

	place->line = reading->text.statements[index].line;
	place->title = reading->text.statements[index].title;
	reading->block_of[index] = at;
}

static void
note_block(struct conf_reading *reading, size_t index)
{
	const struct conf_statement *block = &reading->text.statements[index];
	enum conf_section section = conf_find_section(block->word);
	unsigned earlier = earlier_block(reading, index);

	if (section == SECTION_COUNT) {
		note_unknown(reading, index);
		return;
	}
	if (conf_has_title(section) && block->title.p == NULL) {
		conf_fault(&reading->faults, block->line,
			   "%s: expected a title (%s), found none",
			   conf_sections[section].word,
			   conf_sections[section].title);
		refuse(reading, index);
	} else if (!conf_has_title(section) && block->title.p != NULL) {
		conf_fault(&reading->faults, block->line,
			   "%s: expected no title, found \"%s\"",
			   conf_sections[section].word,
			   conf_shown(reading, block->title));
		refuse(reading, index);
	} else if (earlier > 0 && section != SECTION_ROUTE) {
		conf_fault(&reading->faults, block->line,
			   "%s: given twice, first in line %u",
			   conf_label(reading, section, block->title, ""),
			   earlier);
		refuse(reading, index);
	} else {
		add_place(reading, section, index);
	}
}

/* Where the lines of the settings of a statement's block are noted; NULL if
 * the block was refused. */
static unsigned *
lines_of(struct conf_reading *reading, size_t index)
{
	size_t parent = reading->text.statements[index].parent;
	size_t at = parent == CONF_NO_PARENT ? 0 : reading->block_of[parent];
	struct conf_place *place;

	if (at == SIZE_MAX)
		return NULL;
	place = &reading->places.place[section_of(reading, index)][at];
	return place->setting_lines;
}

static void
note_setting(struct conf_reading *reading, size_t index)
{
	const struct conf_statement *statement =
		&reading->text.statements[index];
	enum conf_section section = section_of(reading, index);
	const struct conf_setting *row =
		conf_find_setting(section, statement->word);
	unsigned *lines = lines_of(reading, index);
	unsigned *line;

	if (lines == NULL)
		return; /* blanked with its block */
	if (row == NULL || statement->is_block) {
		note_unknown(reading, index);
		return;
	}
	line = &lines[row - conf_settings];
	if (*line != 0) {
		conf_fault(&reading->faults, statement->line,
			   "%s: given twice, first in line %u", row->word,
			   *line);
		refuse(reading, index);
	} else if (statement->is_list && !conf_type_is_list(row->type)) {
		conf_fault(&reading->faults, statement->line,
			   "%s: expected one value, found a list", row->word);
		refuse(reading, index);
	} else {
		*line = statement->line;
	}
}

/* Room for a place for each statement that might be one. */
static bool
make_places(struct conf_reading *reading)
{
	size_t blocks = reading->text.count + 1;

	reading->block_of = arena_alloc(&reading->scratch,
					blocks * sizeof *reading->block_of);
	for (size_t section = 0; section < SECTION_COUNT; section++) {
		size_t count = 1;

		for (size_t i = 0; i < reading->text.count; i++)
			count += conf_find_section(
					 reading->text.statements[i].word) ==
				 section;
		reading->places.place[section] = arena_alloc(
			&reading->scratch, count * sizeof(struct conf_place));
		for (size_t i = 0; i < count; i++) {
			if (reading->places.place[section] == NULL)
				return false;
			reading->places.place[section][i].setting_lines =
				arena_alloc(&reading->scratch,
					    conf_setting_count *
						    sizeof(unsigned));
		}
	}
	reading->places.count[SECTION_TOP] = 1;
	return !reading->scratch.has_overflowed;
}

bool
conf_note(struct conf_reading *reading, uint8_t *p, size_t n)
{
	struct conf_text *text = &reading->text;

	conf_text_scan(text, p, n, &reading->scratch);
	if (!make_places(reading))
		return false;
	for (size_t i = 0; i < text->count; i++) {
		const struct conf_statement *at = &text->statements[i];

		if (at->end == 0)
			continue; /* broken off by the syntax fault */
		if (at->is_block && at->parent == CONF_NO_PARENT)
			note_block(reading, i);
		else
			note_setting(reading, i);
	}
	if (text->fault != NULL)
		conf_fault(&reading->faults, text->fault_line, "%s",
			   text->fault);
	/* Of a broken text libconfuse would say the same in other words. */
	return text->fault == NULL;
}
