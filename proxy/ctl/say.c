/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/ctl/say.h"

#include "proxy/ctl/shown.h"

#define QUOTED_MAX 2048

void
say(struct buf *out, const char *text)
{
	buf_append(out, span_cstr(text));
}

void
say_text(struct buf *out, struct span text)
{
	shown_append(out, text, false);
}

void
say_quoted(struct buf *out, struct span text)
{
	say(out, "\"");
	say_text(out,
		 span_first(text, text.n < QUOTED_MAX ? text.n : QUOTED_MAX));
	say(out, "\"");
	if (text.n > QUOTED_MAX)
		buf_printf(out, " and %zu octets more", text.n - QUOTED_MAX);
}
