/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/ctl/log_line.h"

#include "dmarc/report/json_read.h"

#include <stdio.h>

/* The value at a path as it is shown; "-" for what is not there. */
static struct span
value_at(struct span line, const char *path)
{
	struct span value, shown = SPAN_NONE;

	if (json_find(line, path, &value))
		shown = json_shown(value);
	return shown.n > 0 ? shown : SPAN_LIT("-");
}

/* " key=value(detail)"; the brackets only where there is a detail. */
static void
put(struct buf *out, const char *key, struct span value, const char *before,
    struct span detail)
{
	buf_printf(out, " %s=", key);
	buf_append(out, value);
	if (span_equal(detail, SPAN_LIT("-")))
		return;
	buf_printf(out, "(%s", before);
	buf_append(out, detail);
	buf_append_octet(out, ')');
}

/* To the second. */
static void
put_time(struct span line, struct buf *out)
{
	struct span time = value_at(line, "time");
	size_t dot = span_find(time, '.');

	buf_append(out, span_first(time, dot));
	if (dot < time.n)
		buf_append_octet(out, 'Z');
}

/* The signature that says most: one that passes, else the first. */
static void
put_dkim(struct span line, struct buf *out)
{
	char path[32] = "dkim.0.result";
	struct span value, list;
	unsigned count = 0, shown = 0;

	if (!json_find(line, "dkim", &list))
		return;
	for (; count < 100; count++) {
		char index[16];
		struct span signature;

		snprintf(index, sizeof index, "%u", count);
		if (!json_find(list, index, &signature))
			break;
		if (span_equal(value_at(signature, "result"),
			       SPAN_LIT("pass")) &&
		    shown == 0) {
			snprintf(path, sizeof path, "dkim.%u.result", count);
			shown = count + 1;
		}
	}
	if (count == 0) {
		buf_append(out, SPAN_LIT(" dkim=none"));
		return;
	}
	value = value_at(line, path);
	snprintf(path, sizeof path, "dkim.%u.domain",
		 shown == 0 ? 0 : shown - 1);
	put(out, "dkim", value, "", value_at(line, path));
	if (count > 1)
		buf_printf(out, "/%u", count);
}

/* "<bob@b.example> <eve@b.example> +3" */
static void
put_recipients(struct span line, struct buf *out)
{
	struct span list = SPAN_NONE, recipient;
	unsigned count = 0;

	json_find(line, "envelope.rcpt", &list);
	while (json_next(&list, &recipient)) {
		if (++count > 2)
			continue;
		buf_append(out, SPAN_LIT(" <"));
		buf_append(out, json_shown(recipient));
		buf_append_octet(out, '>');
	}
	if (count > 2)
		buf_printf(out, " +%u", count - 2);
}

/* "<alice@a.example> -> <bob@b.example>" */
static void
put_envelope(struct span line, struct buf *out)
{
	struct span from = value_at(line, "envelope.from");

	if (span_equal(from, SPAN_LIT("-")))
		from = SPAN_NONE;
	buf_append(out, SPAN_LIT(" <"));
	buf_append(out, from);
	buf_append(out, SPAN_LIT("> ->"));
	put_recipients(line, out);
}

bool
log_line_format(struct span line, struct buf *out)
{
	put_time(line, out);
	buf_append_octet(out, ' ');
	buf_append(out, value_at(line, "action"));
	if (!span_equal(value_at(line, "otherwise"), SPAN_LIT("-"))) {
		buf_append(out, SPAN_LIT("(otherwise "));
		buf_append(out, value_at(line, "otherwise"));
		buf_append_octet(out, ')');
	}
	buf_append_octet(out, ' ');
	buf_append(out, value_at(line, "client.ip"));
	put(out, "from", value_at(line, "header_from"), "", SPAN_LIT("-"));
	put(out, "dmarc", value_at(line, "dmarc.result"),
	    "p=", value_at(line, "dmarc.policy"));
	put(out, "spf", value_at(line, "spf.result"), "",
	    value_at(line, "spf.domain"));
	put_dkim(line, out);
	put_envelope(line, out);
	buf_append(out, SPAN_LIT(" \""));
	buf_append(out, value_at(line, "reply"));
	buf_append(out, SPAN_LIT("\" id="));
	buf_append(out, value_at(line, "id"));
	return buf_append_octet(out, '\n');
}
