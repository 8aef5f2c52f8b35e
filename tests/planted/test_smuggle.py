# SPDX-License-Identifier: BSD-2-Clause
"""Each of these holes, planted into the gate, is found by the program that
looks for its kind: what has never failed proves little.

A row is a name, the program, what the hole lets through, and the edits, whose
text stands there exactly once. One by hand: pytest tests/planted -k NAME.
"""

import pytest

from hunt import hunt
from mutate import Edit

FOUND = r"^# found: (.+)$"

MATRIX, COMMANDS, REPLIES = "test_smuggle", "test_commands", "test_replies"
DATA, REPLY, COMMAND = "smtp/data.c", "smtp/reply.c", "smtp/command.c"
MAIL = "proxy/mail.c"

# The encoder's own look at what it is given, out of the way: else it stops
# what the decoder lets through.
BLIND = Edit(DATA,
             "\t\t} else { /* a bare LF, a bare CR, or NUL */\n"
             "\t\t\treturn false;\n",
             "\t\t} else {\n"
             "\t\t\t*state = chunk.p[0] == '\\n' ? DATA_LINE_START "
             ": DATA_LINE;\n"
             "\t\t\tn = 1;\n")

HOLES = {
    "lf-dot-crlf-ends": (MATRIX, "a bare LF starts a line: LF.CRLF ends", [
        Edit(DATA, "\t\tdecoder->state = DATA_LINE;\n"
             "\t\treturn 1;",
             "\t\tdecoder->state = c == '\\n' ? DATA_LINE_START "
             ": DATA_LINE;\n"
             "\t\treturn 1;")]),
    "normalised-lf-starts-a-line": (MATRIX, "the same when normalising", [
        Edit(DATA, "\tif (decoder->is_chunked && c == '\\n')\n",
             "\tif (c == '\\n')\n")]),
    "dot-lf-ends": (MATRIX, "CRLF.LF ends the data", [
        Edit(DATA, "\tcase DATA_DOT:\n",
             "\tcase DATA_DOT:\n\t\tif (c == '\\n') {\n"
             "\t\t\tdecoder->state = DATA_ENDED;\n\t\t\treturn true;\n"
             "\t\t}\n")]),
    "dot-cr-cr-lf-ends": (MATRIX, "CRLF.CRCRLF ends the data", [
        Edit(DATA, "\t\tdecoder->state = c == '\\n' ? DATA_ENDED : DATA_CR;\n",
             "\t\tif (c == '\\r')\n\t\t\treturn true;\n"
             "\t\tdecoder->state = c == '\\n' ? DATA_ENDED : DATA_CR;\n")]),
    "dots-are-not-doubled": (MATRIX, "the encoder does not stuff", [
        Edit(DATA, "\t\t\t++*dots;\n"
             "\t\t\tif (to != NULL)\n"
             "\t\t\t\t*to++ = '.';\n", "")]),
    "dot-at-a-piece": (MATRIX, "a dot behind our own fields is not doubled", [
        Edit(DATA, "\tenum data_state before = encoder->state, ",
             "\tenum data_state before = encoder->state == DATA_CR\n"
             "\t\t\t\t\t\t? DATA_CR : DATA_LINE, ")]),
    "normalise-leaves-cr": (MATRIX, "a bare CR reaches the backend", [
        BLIND,
        Edit(DATA, "\treturn c == '\\n' ? SPAN_LIT(\"\\r\\n\") : "
             "SPAN_LIT(\" \");",
             "\treturn c == '\\n'   ? SPAN_LIT(\"\\r\\n\")\n"
             "\t       : c == '\\r' ? SPAN_LIT(\"\\r\")\n"
             "\t\t\t   : SPAN_LIT(\" \");")]),
    "normalise-leaves-nul": (MATRIX, "NUL reaches the backend", [
        BLIND,
        Edit(DATA, "\treturn c == '\\n' ? SPAN_LIT(\"\\r\\n\") : "
             "SPAN_LIT(\" \");",
             "\treturn c == '\\n'   ? SPAN_LIT(\"\\r\\n\")\n"
             "\t       : c == '\\0' ? SPAN_LIT(\"\\0\")\n"
             "\t\t\t   : SPAN_LIT(\" \");")]),
    "reject-does-not": (MATRIX, "faults are counted and relayed", [
        BLIND,
        Edit(MAIL, "\tif (mail->decoder.faults != 0 && "
             "!mail->decoder.is_normalising)\n"
             "\t\trefuse(mail, MAIL_LINE_ENDINGS);\n"
             "\tif (has_long_line(",
             "\tif (has_long_line("),
        Edit(MAIL, "\tif (mail->decoder.faults != 0 && "
             "!mail->decoder.is_normalising)\n"
             "\t\trefuse(mail, MAIL_LINE_ENDINGS);\n"
             "\tif (mail->refusal == MAIL_NOT_REFUSED) {\n",
             "\tif (mail->refusal == MAIL_NOT_REFUSED) {\n")]),

    "chunks-lose-dots": (MATRIX, "a dot that starts a line of a chunk goes", [
        Edit(DATA, "is_line_start && !decoder->is_chunked)",
             "is_line_start)")]),
    "chunks-are-octets": (MATRIX, "what came by BDAT is not looked at", [
        BLIND,
        Edit(DATA, "\tif (decoder->is_in_body)\n",
             "\tif (decoder->is_in_body || decoder->is_chunked)\n")]),
    "chunks-are-stuffed": (MATRIX, "dots are doubled in a chunk to a backend", [
        Edit(DATA, "\tif (encoder->is_chunk)\n\t\tdots = 0;\n", "")]),

    "lf-ends-a-command": (COMMANDS, "a bare LF in a command is let through", [
        Edit(COMMAND, "in.p[from] != '\\n' &&\n", "\n")]),
    "nul-in-a-command": (COMMANDS, "NUL in a command is let through", [
        Edit(COMMAND, "&& in.p[from] != '\\n' &&\n"
             "\t       in.p[from] != '\\0')",
             "&& in.p[from] != '\\n')"),
        Edit("smtp/address.c", "\treturn (s.p[0] < ' ' && s.p[0] != '\\t') "
             "|| s.p[0] == 0x7f;", "\treturn false;"),
        Edit(COMMAND, "\t\tassert(word.p[i] > ' ' && word.p[i] != DELETE);",
             "\t\t;")]),
    "controls-in-a-path": (COMMANDS, "text may hold controls", [
        Edit("smtp/address.c", "\treturn (s.p[0] < ' ' && s.p[0] != '\\t') "
             "|| s.p[0] == 0x7f;", "\treturn false;")]),
    "xtext-hides": (COMMANDS, "ENVID=+0D+0A is passed on", [
        Edit("smtp/server.c",
             "\t\tif (!parameter_is_good(&command->parameter[i]))"
             "\n\t\t\treturn &bad_value;\n", "")]),
    "xclient-pastes": (COMMANDS, "a HELO name goes out as it is", [
        Edit("smtp/xclient.c", "\t\txtext_encode(value, buf);",
             "\t\tbuf_append(buf, value);"),
        Edit("smtp/xclient.c", "\treturn kept->n <= XCLIENT_VALUE_MAX && "
             "is_word(kept_span(store, *kept));", "\treturn true;")]),
    "path-is-pasted": (COMMANDS, "a quoted string is not looked into", [
        Edit("smtp/address.c", "\t       span_find(*local, '\\t') == local->n "
             "&& address_is_text(*local);", "\t       true;")]),

    "controls-in-a-reply": (REPLIES, "controls reach the client", [
        Edit(REPLY, "\treturn (c >= ' ' && c != DELETE) || c == '\\t';",
             "\treturn c != '\\r' && c != '\\n';"),
        Edit(REPLY, "\t\tassert(is_clean(reply->code, reply->line[i]));\n", "")]),
    "lf-in-a-reply": (REPLIES, "a bare LF reaches the client", [
        Edit(REPLY, "\treturn (c >= ' ' && c != DELETE) || c == '\\t';",
             "\treturn (c >= ' ' && c != DELETE) || c == '\\t' || c == '\\n';"),
        Edit(REPLY, "\t\tassert(is_clean(reply->code, reply->line[i]));\n", "")]),
    "unasked-is-kept": (REPLIES, "only the backend is closed", [
        Edit("proxy/backend.c",
             "\t\t\tbackend->is_distrusted = backend->state == BACKEND_UP;\n",
             "")]),
    "unasked-is-an-answer": (REPLIES, "a reply is kept for later", [
        Edit("smtp/client.c", "\tif (client->count == 0 || entry->held > 0)",
             "\tif (client->count == 0 && answer->reply.code != 421)\n"
             "\t\treturn CLIENT_MORE;\n"
             "\tif (client->count == 0 || entry->held > 0)")]),
    "354-to-mail": (REPLIES, "a reply of class 3 is passed on", [
        Edit("proxy/backend.c", "\tif (reply_class(reply->code) == 3 && "
             "answer->command != CLIENT_DATA &&\n"
             "\t    answer->command != CLIENT_CONTENT &&\n"
             "\t    answer->command != CLIENT_LOGIN)\n", "\tif (false)\n")]),
}


@pytest.mark.parametrize("name", HOLES)
def test_bug_is_found(name):
    target, lets_through, edits = HOLES[name]
    found = hunt("smuggle-" + name, "tests/smuggle/" + target, edits, FOUND,
                 "-x")
    assert found is not None, f"not found: {lets_through}"
    print(f"{name}: {found}")
