/* SPDX-License-Identifier: BSD-2-Clause */
/* What a stage tells people: its transcript, and what went wrong. */
#include "tests/replay/stage.h"

#include "smtp/address.h"

#include <stdio.h>

#define SHOWN_MAX 3000 /* longer pieces are told by their length */

void
stage_fail(struct stage *stage, const char *format, ...)
{
	char text[2000];
	va_list arguments;

	if (stage_has_failed(stage))
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	buf_append(&stage->fault, span_cstr(text));
}

void
stage_note(struct stage *stage, const char *format, ...)
{
	char text[2000];
	va_list arguments;

	if (stage->is_silent)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	stage_show(&stage->transcript, span_cstr(text));
	buf_append(&stage->transcript, SPAN_LIT("\n"));
}

void
stage_show(struct buf *buf, struct span octets)
{
	bool is_utf8 = address_is_utf8(octets);

	for (size_t i = 0; i < octets.n; i++) {
		uint8_t c = octets.p[i];

		if (c < ' ' || c == 127 || (c > 127 && !is_utf8))
			buf_printf(buf, "\\x%02x", c);
		else
			buf_append_octet(buf, c);
	}
}

void
stage_write(struct stage *stage, char name, struct span octets)
{
	struct buf *to = &stage->transcript;

	if (stage->is_silent)
		return;
	if (octets.n > SHOWN_MAX) {
		buf_printf(to, "%c: (%zu octets)\n", name, octets.n);
		return;
	}
	while (octets.n > 0) {
		size_t n = span_find(octets, '\n');
		struct span line = span_first(octets, n);
		bool is_line = n > 0 && n < octets.n && line.p[n - 1] == '\r';

		buf_printf(to, "%c: ", name);
		stage_show(to, is_line ? span_first(line, n - 1) : line);
		if (n < octets.n && !is_line)
			buf_append(to, SPAN_LIT("\\x0a"));
		else if (!is_line)
			buf_append(to, SPAN_LIT(" (no end of line)"));
		buf_append(to, SPAN_LIT("\n"));
		octets = span_after(octets, n < octets.n ? n + 1 : n);
	}
}
