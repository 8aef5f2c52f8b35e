/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_table: conf.def as C, shared by the parts of conf.
 *
 * A setting knows its type, and where in which struct its value stands; a
 * type knows how a text becomes a value and a value a text again. Reading,
 * checking and printing are loops over these rows. Not for use outside
 * conf*.c.
 */
#ifndef PROXY_CONF_TABLE_H
#define PROXY_CONF_TABLE_H

#include "proxy/conf.h"
#include "proxy/conf_text.h"
#include "smtp/address.h"

/* clang-format off */
enum conf_section {
#define SECTION(name, word, title, sample, type, text) SECTION_##name,
#include "proxy/conf.def"
	SECTION_COUNT
};

/* X(name, word in the manual, what is expected, is a list) */
#define CONF_TYPES(X)                                                         \
	X(TEXT, "text", "printable text", false)                              \
	X(NAME, "name", "a name of letters, digits, - and _", false)          \
	X(HOST, "host", "a host name", false)                                 \
	X(PATH, "path", "a path", false)                            \
	X(FIELD, "field", "the name of a header field of its own, such as \"X-Example\"", false)                \
	X(MAILBOX, "mailbox", "a mailbox such as \"name@example.com\"", false) \
	X(COUNT, "number", "a number", false)                                 \
	X(WORKERS, "auto | number", "auto or a number", false)                \
	X(SIZE, "size", "a size such as \"256k\"", false)                     \
	X(TIME, "time", "a time such as \"5s\"", false)                       \
	X(RATE, "number/time", "a rate such as \"60/1m\", or 0", false)       \
	X(BOOLEAN, "yes | no", "", false)                                     \
	X(MODE, "", "", false)                                                \
	X(ACTION, "", "", false)                                              \
	X(BAD_FROM, "", "", false)                                            \
	X(DIVERT_FAILED, "", "", false)                                       \
	X(IDENTITY, "", "", false)                                            \
	X(CONNECT, "", "", false)                                             \
	X(TLS, "", "", false)                                                 \
	X(TLS_ENTRY, "", "", false)                                           \
	X(AUTH, "", "", false)                                                \
	X(TLS_VERSION, "", "", false)                                         \
	X(RECEIVED, "", "", false)                                            \
	X(CHUNKING, "", "", false)                                            \
	X(LINE_ENDINGS, "", "", false)                                        \
	X(SPF_ENGINE, "", "", false)                                          \
	X(REJECT_MODE, "", "", false)                                         \
	X(TEMPERROR, "", "", false)                                           \
	X(SPOOL_FULL, "", "", false)                                          \
	X(DISCOVERY, "", "", false)                                           \
	X(DISPOSITION, "", "", false)                                         \
	X(DKIM_ENGINE, "", "", false)                                         \
	X(DKIM_LENGTH, "", "", false)                                         \
	X(FORCED_POLICY, "", "", false)                                       \
	X(REASON, "", "", false)                                              \
	X(BACKEND_NAME, "name", "the name of a backend", false)               \
	X(ADDRESSES, "address:port [priority=n] [weight=n], ...",             \
	  "an address and port such as \"192.0.2.1:25\", "                    \
	  "\"[2001:db8::1]:25\" or \"mx2.example.com:25\", and behind it at "  \
	  "most \"priority=20\" and \"weight=3\"", true)                      \
	X(LISTENERS, "address:port, ...",                                     \
	  "the address and port of a listen block", true)                     \
	X(SERVERS, "address[:port], ...",                                     \
	  "an address, or address and port, such as \"192.0.2.1\" or "        \
	  "\"[2001:db8::1]:53\"", true)                                       \
	X(NETWORKS, "network, ...",                                           \
	  "a network such as \"192.0.2.0/24\" with no bit set behind its prefix", \
	  true)                                                               \
	X(PATHS, "path, ...", "a path", true)                                 \
	X(HOSTS, "host, ...", "a host name", true)                            \
	X(DOMAINS, "domain, ...", "a domain", true)

enum conf_type {
#define X(name, word, expected, is_list) CONF_##name,
	CONF_TYPES(X)
#undef X
	CONF_TYPE_COUNT
};

enum conf_user { CONF_USER_GATE = 1, CONF_USER_TOOL = 2, CONF_USER_BOTH = 3 };
/* clang-format on */

struct conf_section_row {
	const char *word;   /* empty for the top level */
	const char *title;  /* what it means; empty: it has none */
	const char *sample; /* a title, for the example */
	const char *text;
};

struct conf_setting {
	enum conf_section section;
	const char *word;
	enum conf_type type;
	size_t offset;      /* of its value in the section's struct */
	const char *preset; /* the default, as written; NULL: none */
	const char *min, *max;
	enum conf_user user;
	const char *sample; /* NULL: the preset */
	const char *text;
};

extern const struct conf_section_row conf_sections[SECTION_COUNT];
extern const struct conf_setting conf_settings[];
extern const size_t conf_setting_count;

/* The section of that word (not the top level); SECTION_COUNT if none. */
enum conf_section conf_find_section(struct span word);

/* NULL if the section has no such setting. */
const struct conf_setting *conf_find_setting(enum conf_section section,
					     struct span word);

/* Where the value of a setting stands in its section's struct. */
static inline void *
conf_at(const struct conf_setting *setting, void *holder)
{
	return (char *)holder + setting->offset;
}

/* One fault of a file; line 0 is the file as a whole. */
struct conf_fault {
	unsigned line;
	bool is_warning;
	const char *text;
	struct conf_fault *next;
};

struct conf_faults {
	struct arena *arena;
	struct conf_fault *first; /* in the order of lines */
	size_t count;             /* of faults, warnings left out */
};

void conf_fault(struct conf_faults *faults, unsigned line, const char *format,
		...) __attribute__((format(printf, 3, 4)));
void conf_warning(struct conf_faults *faults, unsigned line, const char *format,
		  ...) __attribute__((format(printf, 3, 4)));

/* --- conf_value.c ------------------------------------------------------- */

#define CONF_MAILBOX_OCTETS (ADDRESS_PATH_MAX + 2)

/* "user@example.com", as a path has it, which borrows from octets. False if it
 * is none. */
bool conf_mailbox_parse(struct span text, uint8_t octets[CONF_MAILBOX_OCTETS],
			struct path *path);

bool conf_type_is_list(enum conf_type type);

/* Whether its values are written in quotes: all but numbers, yes and no. */
bool conf_type_is_quoted(enum conf_type type);

/* Octets of one value: of a list's elements where it is a list. */
size_t conf_type_size(enum conf_type type);

/* What the manual calls a value of it. */
bool conf_type_print(enum conf_type type, struct buf *out);

/* "a number from 1 to 10", "reject, tag or accept". */
bool conf_print_expected(const struct conf_setting *setting, struct buf *out);

/* The text as a value at `value` (of conf_type_size() octets). What it
 * borrows is put into the conf's arena. False if it is none. */
bool conf_value_parse(struct conf *conf, const struct conf_setting *setting,
		      struct span text, void *value);

/* The value as it may stand in the file, quoted. */
bool conf_value_print(const struct conf *conf,
		      const struct conf_setting *setting, const void *value,
		      struct buf *out);

/* A text in quotes, with what needs it escaped. */
bool conf_quote(struct span text, struct buf *out);

/* How lists stand in the structs of conf.h: a pointer and a count. */
struct conf_list {
	const void *items;
	size_t count;
};

/* --- conf_address.c ----------------------------------------------------- */

/* "ADDRESS:PORT", "HOST:PORT" or "original-destination", and behind it maybe
 * "priority=N" and "weight=N". */
bool conf_address_parse(struct arena *arena, struct span text,
			struct conf_address *address);
bool conf_address_print(const struct conf_address *address, struct buf *out);

/* --- conf_route.c ------------------------------------------------------- */

/* The title of a route: its match, local part, domain and title are filled
 * in. False if it is none. */
bool conf_route_parse(struct arena *arena, struct span title,
		      struct conf_route *route);

/* --- conf_note.c -------------------------------------------------------- */

/* Where a block stands in the file, and which of its settings are given. */
struct conf_place {
	unsigned line;
	struct span title;       /* as written */
	unsigned *setting_lines; /* by setting's index; 0: not given */
};

/* Places of all blocks, by section and index; the top level has one, a block
 * without a title at most one. */
struct conf_places {
	struct conf_place *place[SECTION_COUNT];
	size_t count[SECTION_COUNT];
};

/* A file while it is read. */
struct conf_reading {
	struct arena scratch;
	struct conf_text text;
	struct conf_faults faults;
	struct conf_places places;
	size_t *block_of; /* by statement: its place, or SIZE_MAX if refused */
};

/*
 * List the statements of n octets at p (which are changed) with their places.
 * What is unknown, repeated or of the wrong kind is a fault and is blanked;
 * the rest is what libconfuse may see. False if there is no use in going on.
 */
bool conf_note(struct conf_reading *reading, uint8_t *p, size_t n);

bool conf_has_title(enum conf_section section);

/* A text from the file, cut and without control characters, for a fault. */
const char *conf_shown(struct conf_reading *reading, struct span text);

/* "message-size", "dmarc mode", "backend "mta" address". */
const char *conf_label(struct conf_reading *reading, enum conf_section section,
		       struct span title, const char *word);

/* --- conf_check.c ------------------------------------------------------- */

/* The line of a setting, or that of its block where it is not given. */
unsigned conf_place_line(const struct conf_places *places,
			 enum conf_section section, size_t index,
			 const char *word);
bool conf_place_has(const struct conf_places *places, enum conf_section section,
		    size_t index, const char *word);

/* What must fit together. */
void conf_check(const struct conf *conf, const struct conf_places *places,
		enum conf_scope scope, struct conf_faults *faults);

#endif
