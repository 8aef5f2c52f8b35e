/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file is read in four steps: conf_text lists its statements; what is
 * unknown or repeated is named and blanked; libconfuse makes texts of the
 * rest; and each text becomes a value by its row of conf.def. conf_check then
 * looks at the whole.
 */
#include "proxy/conf_table.h"
#include "proxy/conf_text.h"

#include <assert.h>
#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_MAX (1 << 20)
#define MEMORY_MAX ((size_t)64 << 20)

struct reader {
	struct conf *conf;
	struct conf_reading reading;
	const char *file;
	cfg_t *root;
};

/* --- libconfuse --------------------------------------------------------- */

/* libconfuse hands its error function nothing of ours. A file is read by one
 * thread at a time: its lexer is one of globals. */
static struct reader *complaining_for;

static void __attribute__((format(printf, 2, 0)))
complain(cfg_t *cfg, const char *format, va_list arguments)
{
	char text[256];
	unsigned line = cfg->line > 0 ? (unsigned)cfg->line : 0;

	vsnprintf(text, sizeof text, format, arguments);
	conf_fault(&complaining_for->reading.faults, line, "%s", text);
}

static cfg_opt_t
option_of(const struct conf_setting *row)
{
	if (conf_type_is_list(row->type))
		return (cfg_opt_t)CFG_STR_LIST(row->word, NULL, CFGF_NODEFAULT);
	return (cfg_opt_t)CFG_STR(row->word, NULL, CFGF_NODEFAULT);
}

/* The options of a section, with room for `more` of them and the end; their
 * number in *count. */
static cfg_opt_t *
options_of(struct reader *reader, enum conf_section section, size_t more,
	   size_t *count)
{
	cfg_opt_t *options =
		arena_alloc(&reader->reading.scratch,
			    (conf_setting_count + more + 1) * sizeof *options);

	*count = 0;
	for (size_t i = 0; options != NULL && i < conf_setting_count; i++)
		if (conf_settings[i].section == section)
			options[(*count)++] = option_of(&conf_settings[i]);
	if (options != NULL)
		options[*count] = (cfg_opt_t)CFG_END();
	return options;
}

/* Those of the top level, with all blocks. */
static cfg_opt_t *
all_options(struct reader *reader)
{
	size_t count, inner;
	cfg_opt_t *options =
		options_of(reader, SECTION_TOP, SECTION_COUNT, &count);

	if (options == NULL)
		return NULL;
	for (size_t i = SECTION_TOP + 1; i < SECTION_COUNT; i++) {
		enum conf_section section = (enum conf_section)i;
		cfg_opt_t *inside = options_of(reader, section, 0, &inner);
		cfg_flag_t flags = CFGF_MULTI | CFGF_NO_TITLE_DUPES;

		if (inside == NULL)
			return NULL;
		if (conf_has_title(section))
			flags |= CFGF_TITLE;
		options[count++] = (cfg_opt_t)CFG_SEC(conf_sections[i].word,
						      inside, flags);
	}
	options[count] = (cfg_opt_t)CFG_END();
	return options;
}

/* The text for libconfuse, which would take two blocks of one title for one:
 * several routes may have the same, for other clients. So each route is given
 * a number for a title; the real one is with its place. */
static const char *
numbered(struct reader *reader)
{
	const struct conf_text *text = &reader->reading.text;
	const uint8_t *from = text->p;
	const char *result;
	struct buf copy;

	buf_init(&copy, MEMORY_MAX);
	for (size_t i = 0; i < text->count; i++) {
		const struct conf_statement *at = &text->statements[i];

		if (!at->is_block || reader->reading.block_of[i] == SIZE_MAX ||
		    conf_find_section(at->word) != SECTION_ROUTE)
			continue;
		buf_append(&copy,
			   span_make(from, (size_t)(at->title.p - from)));
		buf_append_u64(&copy, i);
		from = at->title.p + at->title.n;
	}
	buf_append(&copy, span_make(from, text->n - (size_t)(from - text->p)));
	result = arena_string(&reader->reading.scratch, buf_span(&copy));
	buf_fini(&copy);
	return result;
}

/* The text to reader->root; false with a fault. */
static bool
parse(struct reader *reader)
{
	cfg_opt_t *options = all_options(reader);
	const char *text = numbered(reader);

	if (options == NULL || text == NULL)
		return false;
	reader->root = cfg_init(options, CFGF_NONE);
	if (reader->root == NULL)
		return false;
	complaining_for = reader;
	cfg_set_error_function(reader->root, complain);
	if (cfg_parse_buf(reader->root, text) == CFG_SUCCESS)
		return true;
	if (reader->reading.faults.count == 0)
		conf_fault(&reader->reading.faults, 0, "it cannot be parsed");
	return false;
}

/* The k-th block of a section; NULL where the file has none. */
static cfg_t *
block_at(struct reader *reader, enum conf_section section, size_t k)
{
	if (section == SECTION_TOP)
		return reader->root;
	if (k >= reader->reading.places.count[section])
		return NULL;
	return cfg_getnsec(reader->root, conf_sections[section].word,
			   (unsigned)k);
}

static struct span
title_of(struct reader *reader, enum conf_section section, size_t k)
{
	cfg_t *block = block_at(reader, section, k);

	if (section == SECTION_ROUTE && block != NULL)
		return reader->reading.places.place[section][k].title;
	return block == NULL ? SPAN_NONE : span_cstr(cfg_title(block));
}

/* --- values ------------------------------------------------------------- */

static void
note_value(struct reader *reader, const struct conf_setting *row, size_t k,
	   struct span text)
{
	struct buf expected;

	buf_init(&expected, 512);
	conf_print_expected(row, &expected);
	conf_fault(&reader->reading.faults,
		   conf_place_line(&reader->reading.places, row->section, k,
				   row->word),
		   "%s: expected %.*s, found \"%s\"",
		   conf_label(&reader->reading, row->section,
			      title_of(reader, row->section, k), row->word),
		   (int)expected.n, (const char *)buf_span(&expected).p,
		   conf_shown(&reader->reading, text));
	buf_fini(&expected);
}

static void
load_list(struct reader *reader, const struct conf_setting *row, size_t k,
	  cfg_opt_t *option, void *target)
{
	struct conf *conf = reader->conf;
	size_t size = conf_type_size(row->type);
	struct conf_list list = { NULL, cfg_opt_size(option) };
	char *items = list.count == 0
			      ? NULL
			      : arena_alloc(&conf->arena, list.count * size);

	for (unsigned i = 0; items != NULL && i < list.count; i++) {
		struct span text = span_cstr(cfg_opt_getnstr(option, i));

		if (!conf_value_parse(conf, row, text, items + i * size))
			note_value(reader, row, k, text);
	}
	list.items = items;
	memcpy(target, &list, sizeof list);
}

static void
load_setting(struct reader *reader, const struct conf_setting *row, size_t k,
	     void *holder)
{
	cfg_t *block = block_at(reader, row->section, k);
	void *target = conf_at(row, holder);
	cfg_opt_t *option;
	struct span text;

	if (row->preset != NULL &&
	    !conf_value_parse(reader->conf, row, span_cstr(row->preset),
			      target))
		assert(false && "a default of conf.def");
	if (!conf_place_has(&reader->reading.places, row->section, k,
			    row->word))
		return;
	option = cfg_getopt(block, row->word);
	if (conf_type_is_list(row->type)) {
		load_list(reader, row, k, option, target);
		return;
	}
	text = span_cstr(cfg_opt_getnstr(option, 0));
	if (!conf_value_parse(reader->conf, row, text, target))
		note_value(reader, row, k, text);
}

/* Block k of a section, into the struct at holder. */
static void
load_block(struct reader *reader, enum conf_section section, size_t k,
	   void *holder)
{
	for (size_t i = 0; i < conf_setting_count; i++)
		if (conf_settings[i].section == section)
			load_setting(reader, &conf_settings[i], k, holder);
}

static void
note_title(struct reader *reader, enum conf_section section, size_t k,
	   const char *expected)
{
	conf_fault(&reader->reading.faults,
		   reader->reading.places.place[section][k].line,
		   "%s: expected %s as its title, found \"%s\"",
		   conf_sections[section].word, expected,
		   conf_shown(&reader->reading, title_of(reader, section, k)));
}

static const struct conf_setting name_setting = { .type = CONF_NAME };

static void
load_listener(struct reader *reader, size_t k, struct conf_listener *listener)
{
	struct span title = title_of(reader, SECTION_LISTEN, k);

	if (!conf_endpoint_parse(&reader->conf->arena, title, CONF_PORT_ANY,
				 &listener->endpoint))
		note_title(reader, SECTION_LISTEN, k,
			   "an address and port such as \"0.0.0.0:25\"");
	load_block(reader, SECTION_LISTEN, k, listener);
}

static void
load_backend(struct reader *reader, size_t k, struct conf_backend *backend)
{
	struct span title = title_of(reader, SECTION_BACKEND, k);

	if (!conf_value_parse(reader->conf, &name_setting, title,
			      &backend->name))
		note_title(reader, SECTION_BACKEND, k,
			   "a name of letters, digits, - and _");
	load_block(reader, SECTION_BACKEND, k, backend);
}

static void
load_route(struct reader *reader, size_t k, struct conf_route *route)
{
	const struct conf *conf = reader->conf;
	struct span title = title_of(reader, SECTION_ROUTE, k);

	*route = (struct conf_route){
		.backend = CONF_NO_BACKEND,
		.mode = conf->mode,
		.on_reject = conf->on_reject,
		.on_quarantine = conf->on_quarantine,
		.on_fail_none = conf->on_fail_none,
		.on_bad_policy = conf->on_bad_policy,
	};
	if (!conf_route_parse(&reader->conf->arena, title, route))
		note_title(reader, SECTION_ROUTE, k,
			   "a domain, one with a dot before it, a mailbox or "
			   "\"*\"");
	load_block(reader, SECTION_ROUTE, k, route);
}

/* The title of a block that is but its name. */
static struct span
name_of(struct reader *reader, enum conf_section section, size_t k)
{
	struct span title = title_of(reader, section, k), name = SPAN_NONE;

	if (!conf_value_parse(reader->conf, &name_setting, title, &name))
		note_title(reader, section, k,
			   "a name of letters, digits, - and _");
	return name;
}

/* Zeroed structs for all blocks of a section; NULL where there are none. */
static void *
alloc_blocks(struct reader *reader, enum conf_section section, size_t size)
{
	size_t count = reader->reading.places.count[section];

	return count == 0 ? NULL
			  : arena_alloc(&reader->conf->arena, count * size);
}

static void
load_listeners(struct reader *reader)
{
	size_t count = reader->reading.places.count[SECTION_LISTEN];
	struct conf_listener *list =
		alloc_blocks(reader, SECTION_LISTEN, sizeof *list);

	for (size_t k = 0; list != NULL && k < count; k++)
		load_listener(reader, k, &list[k]);
	reader->conf->listeners = list;
	reader->conf->listener_count = count;
}

static void
load_backends(struct reader *reader)
{
	size_t count = reader->reading.places.count[SECTION_BACKEND];
	struct conf_backend *list =
		alloc_blocks(reader, SECTION_BACKEND, sizeof *list);

	for (size_t k = 0; list != NULL && k < count; k++)
		load_backend(reader, k, &list[k]);
	reader->conf->backends = list;
	reader->conf->backend_count = count;
}

static void
load_routes(struct reader *reader)
{
	struct conf *conf = reader->conf;
	size_t count = reader->reading.places.count[SECTION_ROUTE];
	struct conf_route *list =
		alloc_blocks(reader, SECTION_ROUTE, sizeof *list);

	conf->has_one_backend = count > 0;
	for (size_t k = 0; list != NULL && k < count; k++) {
		load_route(reader, k, &list[k]);
		if (list[k].backend != list[0].backend)
			conf->has_one_backend = false;
	}
	conf->routes = list;
	conf->route_count = count;
}

static void
load_overrides(struct reader *reader)
{
	size_t count = reader->reading.places.count[SECTION_OVERRIDE];
	struct override_rule *list =
		alloc_blocks(reader, SECTION_OVERRIDE, sizeof *list);

	for (size_t k = 0; list != NULL && k < count; k++) {
		list[k].name = name_of(reader, SECTION_OVERRIDE, k);
		load_block(reader, SECTION_OVERRIDE, k, &list[k]);
	}
	reader->conf->overrides = list;
	reader->conf->override_count = count;
}

static void
load_forces(struct reader *reader)
{
	size_t count = reader->reading.places.count[SECTION_FORCE];
	struct force_rule *list =
		alloc_blocks(reader, SECTION_FORCE, sizeof *list);

	for (size_t k = 0; list != NULL && k < count; k++) {
		list[k].name = name_of(reader, SECTION_FORCE, k);
		load_block(reader, SECTION_FORCE, k, &list[k]);
	}
	reader->conf->forces = list;
	reader->conf->force_count = count;
}

/* What is the system's where the file does not say. */
static void
load_hostname(struct reader *reader)
{
	struct conf *conf = reader->conf;
	const struct conf_setting *row =
		conf_find_setting(SECTION_TOP, SPAN_LIT("hostname"));
	char name[256] = "";

	if (!conf_place_has(&reader->reading.places, SECTION_TOP, 0,
			    "hostname")) {
		if (gethostname(name, sizeof name - 1) != 0 ||
		    !conf_value_parse(conf, row, span_cstr(name),
				      &conf->hostname))
			conf->hostname = SPAN_LIT("localhost");
	}
	if (conf->authserv_id_count == 0) {
		conf->authserv_ids = &conf->hostname;
		conf->authserv_id_count = 1;
	}
}

static void
load(struct reader *reader)
{
	struct conf *conf = reader->conf;

	conf->quarantine.backend = CONF_NO_BACKEND;
	load_block(reader, SECTION_TOP, 0, conf);
	load_backends(reader);
	load_block(reader, SECTION_QUARANTINE, 0, conf);
	conf->on_quarantine = conf->quarantine.action;
	load_block(reader, SECTION_DMARC, 0, conf);
	load_block(reader, SECTION_RESOLVER, 0, conf);
	load_block(reader, SECTION_SPOOL, 0, conf);
	load_block(reader, SECTION_LIMIT, 0, conf);
	load_listeners(reader);
	load_routes(reader);
	load_overrides(reader);
	load_forces(reader);
	load_hostname(reader);
}

/* --- a file ------------------------------------------------------------- */

static void
print_faults(const struct reader *reader, struct buf *out)
{
	for (const struct conf_fault *at = reader->reading.faults.first;
	     at != NULL; at = at->next) {
		buf_append(out, span_cstr(reader->file));
		if (at->line > 0)
			buf_printf(out, ":%u", at->line);
		buf_printf(out, ": %s%s\n", at->is_warning ? "warning: " : "",
			   at->text);
	}
}

static bool
read_text(struct reader *reader, uint8_t *p, size_t n, enum conf_scope scope)
{
	if (!conf_note(&reader->reading, p, n) || !parse(reader))
		return false;
	load(reader);
	conf_check(reader->conf, &reader->reading.places, scope,
		   &reader->reading.faults);
	return reader->reading.faults.count == 0;
}

/* A conf from n octets at p, which are changed. */
static struct conf *
conf_make(const char *file, uint8_t *p, size_t n, enum conf_scope scope,
	  struct buf *faults)
{
	struct reader reader = { .file = file };
	struct conf *conf = calloc(1, sizeof *conf);
	bool is_good = false;

	arena_init(&reader.reading.scratch, MEMORY_MAX);
	reader.reading.faults.arena = &reader.reading.scratch;
	if (conf != NULL) {
		arena_init(&conf->arena, MEMORY_MAX);
		conf->file = arena_copy(&conf->arena, span_cstr(file));
		reader.conf = conf;
		is_good = read_text(&reader, p, n, scope) &&
			  !conf->arena.has_overflowed;
	}
	if (!is_good && reader.reading.faults.count == 0)
		conf_fault(&reader.reading.faults, 0, "not enough memory");
	print_faults(&reader, faults);
	if (reader.root != NULL)
		cfg_free(reader.root);
	arena_fini(&reader.reading.scratch);
	if (!is_good) {
		conf_free(conf);
		return NULL;
	}
	return conf;
}

/* The octets of fd into p, which has room for FILE_MAX + 1 of them; their
 * number, or a negative errno. */
static ssize_t
read_octets(int fd, uint8_t *p)
{
	size_t n = 0;

	for (;;) {
		ssize_t got = read(fd, p + n, FILE_MAX + 1 - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		n += (size_t)got;
		if (n > FILE_MAX)
			return -EFBIG;
		if (got == 0)
			return (ssize_t)n;
	}
}

static ssize_t
read_file(const char *file, uint8_t *p)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read_octets(fd, p);
	close(fd);
	return n;
}

struct conf *
conf_read(const char *file, enum conf_scope scope, struct buf *faults)
{
	uint8_t *p = malloc(FILE_MAX + 1);
	ssize_t n = p == NULL ? -ENOMEM : read_file(file, p);
	struct conf *conf = NULL;

	if (n < 0)
		buf_printf(faults, "%s: cannot be read: %s\n", file,
			   strerror((int)-n));
	else
		conf = conf_make(file, p, (size_t)n, scope, faults);
	free(p);
	return conf;
}

struct conf *
conf_default(void)
{
	uint8_t nothing[1] = { '\n' };
	struct buf faults;
	struct conf *conf;

	buf_init(&faults, 4096);
	conf = conf_make("defaults", nothing, sizeof nothing, CONF_TOOL,
			 &faults);
	buf_fini(&faults);
	return conf;
}

void
conf_free(struct conf *conf)
{
	struct arena arena;

	if (conf == NULL)
		return;
	arena = conf->arena;
	arena_fini(&arena);
	free(conf);
}

bool
conf_is_limited(const struct conf *conf, const struct ip *ip)
{
	if (ip->family == IP_NONE ||
	    (ip_is_loopback(ip) && !conf->limits_loopback))
		return false;
	for (size_t i = 0; i < conf->exempt.count; i++)
		if (ip_network_has(&conf->exempt.list[i], ip))
			return false;
	return true;
}
