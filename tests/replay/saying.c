/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/replay/saying.h"

#include <assert.h>
#include <stdlib.h>

#define OCTETS_MAX (64u << 20)

enum what {
	WHAT_OTHER,
	WHAT_HELO,
	WHAT_EHLO,
	WHAT_MAIL,
	WHAT_RCPT,
	WHAT_RSET,
	WHAT_CHUNK
};

struct said {
	enum what what;
	bool is_binary; /* MAIL */
	bool is_last;   /* BDAT */
	uint64_t octets;
};

void
saying_init(struct saying *saying)
{
	*saying = (struct saying){ 0 };
	buf_init(&saying->line, OCTETS_MAX);
	buf_init(&saying->queue, OCTETS_MAX);
	buf_init(&saying->chunks, OCTETS_MAX);
	buf_init(&saying->wire, OCTETS_MAX);
}

void
saying_fini(struct saying *saying)
{
	buf_fini(&saying->line);
	buf_fini(&saying->queue);
	buf_fini(&saying->chunks);
	buf_fini(&saying->wire);
}

static void
drop_mail(struct saying *saying)
{
	saying->is_binary = false;
	saying->recipients = 0;
	saying->sum = 0;
	buf_reset(&saying->wire);
}

void
saying_start(struct saying *saying)
{
	buf_reset(&saying->line);
	buf_reset(&saying->queue);
	buf_reset(&saying->chunks);
	saying->left = 0;
	saying->is_extended = false;
	drop_mail(saying);
}

/* --- what is said --- */

static bool
has(struct span line, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= line.n; i++)
		if (span_equal_nocase(span_first(span_after(line, i), n),
				      span_make(word, n)))
			return true;
	return false;
}

static void
enqueue(struct saying *saying, struct said said)
{
	bool is_kept =
		buf_append(&saying->queue, span_make(&said, sizeof(said)));

	assert(is_kept);
}

static void
take_line(struct saying *saying, struct span line)
{
	static const struct {
		const char *verb;
		enum what what;
	} verbs[] = {
		{ "HELO", WHAT_HELO }, { "EHLO", WHAT_EHLO },
		{ "MAIL", WHAT_MAIL }, { "RCPT", WHAT_RCPT },
		{ "RSET", WHAT_RSET }, { "BDAT", WHAT_CHUNK },
	};
	struct said said = { .is_binary = has(line, "BODY=BINARYMIME"),
			     .is_last = has(line, "LAST") };
	char number[24] = "";

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (span_starts_nocase(line, span_cstr(verbs[i].verb)))
			said.what = verbs[i].what;
	if (said.what == WHAT_CHUNK && line.n > 5) {
		memcpy(number, line.p + 5,
		       line.n - 5 < sizeof(number) ? line.n - 5
						   : sizeof(number) - 1);
		/* Of one that cannot be read nothing follows: it closes. */
		said.octets = strtoull(number, NULL, 10);
	}
	saying->left = said.octets;
	enqueue(saying, said);
}

void
saying_octets(struct saying *saying, struct span octets)
{
	while (octets.n > 0) {
		size_t n = octets.n;

		if (saying->left > 0) {
			n = n < saying->left ? n : (size_t)saying->left;
			buf_append(&saying->chunks, span_first(octets, n));
			saying->left -= n;
		} else {
			size_t end = span_find(octets, '\n');
			bool is_line = end < n;

			n = is_line ? end + 1 : n;
			buf_append(&saying->line, span_first(octets, n));
			if (is_line) {
				take_line(saying, buf_span(&saying->line));
				buf_reset(&saying->line);
			}
		}
		octets = span_after(octets, n);
	}
}

void
saying_end_of_data(struct saying *saying)
{
	enqueue(saying, (struct said){ .what = WHAT_OTHER });
	drop_mail(saying);
}

/* --- what is heard --- */

static bool
oldest(const struct saying *saying, struct said *said)
{
	if (saying->queue.n == 0)
		return false;
	memcpy(said, buf_span(&saying->queue).p, sizeof(*said));
	return true;
}

static void
settle_chunk(struct saying *saying, const struct said *said, bool is_good)
{
	size_t n = said->octets < saying->chunks.n ? (size_t)said->octets
						   : saying->chunks.n;

	buf_append(&saying->wire, span_first(buf_span(&saying->chunks), n));
	buf_consume(&saying->chunks, n);
	saying->sum += n;
	if (!is_good || said->is_last)
		drop_mail(saying);
}

static void
begin_anew(struct saying *saying, const struct said *said)
{
	drop_mail(saying);
	if (said->what == WHAT_HELO || said->what == WHAT_EHLO)
		saying->is_extended = said->what == WHAT_EHLO;
	if (said->what == WHAT_MAIL)
		saying->is_binary = said->is_binary;
}

void
saying_reply(struct saying *saying, struct span line)
{
	bool is_good = line.n >= 4 && line.p[0] == '2';
	struct said said;

	if (!oldest(saying, &said))
		return; /* the banner, or a goodbye */
	if (said.what == WHAT_EHLO && line.n > 9 &&
	    span_starts(span_after(line, 4), SPAN_LIT("SIZE ")))
		saying->size_max = strtoull((const char *)line.p + 9, NULL, 10);
	if (line.n < 4 || line.p[3] != ' ')
		return;
	buf_consume(&saying->queue, sizeof(said));
	switch (said.what) {
	case WHAT_CHUNK:
		settle_chunk(saying, &said, is_good);
		break;
	case WHAT_HELO:
	case WHAT_EHLO:
	case WHAT_RSET:
	case WHAT_MAIL:
		if (is_good)
			begin_anew(saying, &said);
		break;
	case WHAT_RCPT:
		saying->recipients += is_good;
		break;
	case WHAT_OTHER:
		break;
	}
}

bool
saying_is_last(const struct saying *saying)
{
	struct said said;

	return oldest(saying, &said) && said.what == WHAT_CHUNK &&
	       said.is_last && saying->chunks.n >= said.octets &&
	       (saying->queue.n > sizeof(said) || saying->left == 0);
}

bool
saying_take(struct saying *saying, struct letter *letter, uint64_t size_max,
	    bool is_normalising)
{
	struct said said;
	uint64_t sum;

	if (!saying_is_last(saying) || !oldest(saying, &said))
		return false;
	sum = saying->sum + said.octets;
	if (!saying->is_extended || saying->recipients == 0 || sum > size_max ||
	    (saying->size_max > 0 && sum > saying->size_max))
		return false;
	letter_open(letter);
	buf_append(&letter->message, buf_span(&saying->wire));
	buf_append(&letter->message,
		   span_first(buf_span(&saying->chunks), (size_t)said.octets));
	letter_end_chunks(letter, saying->is_binary, is_normalising);
	return true;
}
