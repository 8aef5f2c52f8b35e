/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/fill.h"

static struct span
next_word(struct span *text)
{
	struct span word = span_first(*text, span_find(*text, ' '));

	*text = span_after(*text, word.n < text->n ? word.n + 1 : word.n);
	return word;
}

static void
fill(struct span text, const char *prefix, bool is_mdoc, struct buf *out)
{
	size_t width = strlen(prefix), column = 0;
	bool ends_sentence = false;

	while (text.n > 0) {
		struct span word = next_word(&text);
		bool breaks = width + column + 1 + word.n > FILL_WIDTH ||
			      (is_mdoc && ends_sentence);

		if (column > 0 && breaks) {
			buf_append_octet(out, '\n');
			column = 0;
		}
		buf_append(out,
			   column == 0 ? span_cstr(prefix) : SPAN_LIT(" "));
		buf_append(out, word);
		column += word.n + 1;
		ends_sentence = word.n > 0 && word.p[word.n - 1] == '.';
	}
	buf_append_octet(out, '\n');
}

void
fill_text(struct span text, const char *prefix, struct buf *out)
{
	fill(text, prefix, false, out);
}

void
fill_mdoc(struct span text, struct buf *out)
{
	fill(text, "", true, out);
}
