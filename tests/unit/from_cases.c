/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/from_cases.h"

#include <assert.h>
#include <stdlib.h>

#define HEADER_MAX 100000

void
from_cases_open(struct from_cases *cases, const char *path)
{
	*cases = (struct from_cases){ .file = fopen(path, "re") };
	assert(cases->file != NULL);
	buf_init(&cases->header, HEADER_MAX);
}

static uint8_t
hex(struct span digits)
{
	static const char all[] = "0123456789abcdef";
	unsigned octet = 0;

	assert(digits.n >= 2);
	for (size_t i = 0; i < 2; i++) {
		const char *at = strchr(all, digits.p[i]);

		assert(at != NULL && *at != '\0');
		octet = octet << 4 | (unsigned)(at - all);
	}
	return (uint8_t)octet;
}

/* Behind "\{": a number, "}" and the octet; what is behind them is left. */
static struct span
repeat(struct buf *header, struct span rest)
{
	size_t end = span_find(rest, '}');
	uint64_t times;
	bool is_number = span_u64(span_first(rest, end), &times);

	assert(is_number && end + 1 < rest.n);
	for (; times > 0; times--)
		buf_append_octet(header, rest.p[end + 1]);
	return span_after(rest, end + 2);
}

static void
add_line(struct buf *header, struct span line)
{
	while (line.n > 0) {
		uint8_t c = line.p[0];

		line = span_after(line, 1);
		if (c != '\\') {
			buf_append_octet(header, c);
			continue;
		}
		assert(line.n > 0);
		c = line.p[0];
		line = span_after(line, 1);
		assert(c == '\\' || c == 'x' || c == '{');
		if (c == '{') {
			line = repeat(header, line);
			continue;
		}
		buf_append_octet(header, c == 'x' ? hex(line) : c);
		line = span_after(line, c == 'x' ? 2 : 0);
	}
	buf_append(header, SPAN_LIT("\r\n"));
	assert(!header->has_overflowed);
}

bool
from_cases_next(struct from_cases *cases)
{
	const struct span mark = SPAN_LIT("=>");
	ssize_t n;

	buf_reset(&cases->header);
	while ((n = getline(&cases->line, &cases->size, cases->file)) > 0) {
		struct span line = span_make(cases->line, (size_t)n);

		cases->number++;
		assert(line.p[line.n - 1] == '\n');
		line.n--;
		if (span_starts(line, mark)) {
			cases->expected = span_trim(span_after(line, mark.n));
			return true;
		}
		if (line.n > 0 && line.p[0] != '#')
			add_line(&cases->header, line);
	}
	assert(cases->header.n == 0);
	return false;
}

void
from_cases_close(struct from_cases *cases)
{
	fclose(cases->file);
	free(cases->line);
	buf_fini(&cases->header);
}
