/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/ctl/shown.h"

/* Whether the octet at i may stand as it is. */
static bool
is_safe(struct span text, size_t i, bool keeps_lines)
{
	uint8_t c = text.p[i];

	if (c == '\n')
		return keeps_lines;
	if (c >= 0x80 && c < 0xa0)
		return i == 0 || text.p[i - 1] != 0xc2;
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

bool
shown_append(struct buf *out, struct span text, bool keeps_lines)
{
	size_t from = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (is_safe(text, i, keeps_lines))
			continue;
		buf_append(out, span_make(text.p + from, i - from));
		if (text.p[i] != '\r' || !keeps_lines)
			buf_append_octet(out, '?');
		from = i + 1;
	}
	return buf_append(out, span_after(text, from));
}
