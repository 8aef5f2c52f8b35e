# SPDX-License-Identifier: BSD-2-Clause
"""What the gate judges is what a mail reader shows, or it refuses the message.

Eight readers (readers.py) are shown the table of tests/unit/from.cases, and
many thousand headers that are made up here from its traps. Whenever one of them
shows a domain that is not among those judged, the message must be one that is
refused. Where it is not, EXCEPTIONS says why."""

import random
import subprocess
import unicodedata
from pathlib import Path

import pytest

from tests.e2e import readers
from tests.e2e.gate import BUILD
from tests.e2e.process import ROOT, scratch

TABLE = ROOT / "tests" / "unit" / "from.cases"
JUDGE = Path(BUILD) / "tests" / "unit" / "test_dmarc_from"
FIELDS = 20000
HEADERS = 10000
SEED = 5

# Readers that are wrong where we are right, and refusing would lose good mail:
# (readers, whether it is this in a header that shows a domain where others are
# judged, why).
EXCEPTIONS = [
    ({"decoded-first"}, lambda header, domain, judged: b"=?" in header,
     "decodes encoded words and parses then, against RFC 2047 6.2: any display "
     "name that holds an address, as those of lists do, becomes the author"),
    ({"python-strict", "python-first", "python-all", "decoded-first"},
     lambda header, domain, judged: domain.rstrip('">') in judged,
     "is out of step behind a folded display name with ':' or ';' in it, and "
     "shows the very domain that is judged with the '>' behind it"),
]


# --- the table's notation ----------------------------------------------------


def unescape(text):
    """The octets of one line of the table."""
    octets = b""
    while text:
        plain, mark, rest = text.partition("\\")
        octets += plain.encode()
        if not mark:
            break
        if rest[0] == "{":
            times, rest = rest[1:].split("}", 1)
            octets += rest[0].encode() * int(times)
            text = rest[1:]
        elif rest[0] == "x":
            octets += bytes([int(rest[1:3], 16)])
            text = rest[3:]
        else:
            octets += rest[0].encode()
            text = rest[1:]
    return octets + b"\r\n"


def escape(octets):
    """The lines of a header as those of a table."""
    return "".join(
        "".join("\\\\" if c == 92 else chr(c) if 32 < c < 127 and (i or c != 35)
                or c == 32 else f"\\x{c:02x}" for i, c in enumerate(line))
        + "\n" for line in octets.split(b"\r\n")[:-1])


def table():
    """(header, what is judged) of each case of the table."""
    header = b""
    for line in TABLE.read_text("utf-8").split("\n"):
        if line.startswith("=>"):
            yield header, line[2:].strip()
            header = b""
        elif line and not line.startswith("#"):
            header += unescape(line)


def judge(headers):
    """What the gate judges of each."""
    path = scratch("readers") / "headers.cases"
    path.write_text("".join(escape(header) + "=>\n" for header in headers))
    done = subprocess.run([JUDGE, "--judge", path], capture_output=True,
                          text=True, check=True, timeout=300)
    lines = done.stdout.split("\n")[:-1]
    assert len(lines) == len(headers)
    return lines


# --- comparing ---------------------------------------------------------------


def normalised(domain):
    """As the gate writes it: by Python's own Unicode, not by libidn2."""
    text = unicodedata.normalize("NFKC", domain).replace("\u3002", ".")
    text = "".join(c for c in text.lower().rstrip(".")
                   if unicodedata.category(c) != "Cf")
    return ".".join(label if label.isascii()
                    else "xn--" + label.encode("punycode").decode()
                    for label in text.split("."))


def shown(headers):
    """For each header what each reader shows: {reader: domains}."""
    messages = [header + b"\r\nHello.\r\n" for header in headers]
    for message, (of_perl, of_dovecot) in zip(messages,
                                              readers.perl(messages)):
        by = {name: read(message) for name, read in readers.READERS.items()}
        by |= {"mail-address": of_perl, "dovecot": of_dovecot}
        yield {name: {normalised(domain) for domain in domains}
               for name, domains in by.items()}


def exceptions_for(reader, header, domain, judged):
    return {i for i, (names, is_this, _) in enumerate(EXCEPTIONS)
            if reader in names and is_this(header, domain, judged)}


def compare(headers, verdicts):
    """Where a reader shows a domain that is neither judged nor refused: those
    without an exception, and the exceptions used."""
    unlisted, used = [], set()
    for header, verdict, by in zip(headers, verdicts, shown(headers)):
        judged = set(verdict.split())
        if verdict.startswith("refused"):
            continue
        for reader, domains in by.items():
            for domain in domains - judged:
                found = exceptions_for(reader, header, domain, judged)
                used |= found
                if not found:
                    unlisted.append((reader, header, verdict, domain))
    return unlisted, used


# --- headers made up ---------------------------------------------------------

PIECES = [
    "alice", "bob", "a.b", '"q s"', '"x@c.example"', "@", "@", "@",
    "a.example", "b.example", "c.example.", "<", ">", "<", ">", ",", ",", ";",
    ":", "(", ")", "(c)", "(bob@b.example)", "(<bob@b.example>)", '"Bob"',
    '"bob@b.example"', "\\", '\\"', "'", "`", '"', " ", " ", "\r\n ", "\r\n\t",
    "=?utf-8?q?bob=40b=2Eexample?=", "=?utf-8?b?PGJvYkBiLmV4YW1wbGU+?=", "[",
    "]", "[192.0.2.1]", ".", "..", "!", "%", "/", "=", "Team:", "ü", "\x00",
    "alice@a.example", "<alice@a.example>", "bob@b.example",
    "<bob@b.example>", ", "]
FIRM = [
    " Alice <alice@a.example>", " alice@a.example",
    ' "Smith, A" <alice@a.example>', " alice@a.example, bob@c.example",
    " Team: alice@a.example, B <bob@c.example>;",
    " Alice (comment) <alice@a.example> (x)", " <@c.example:alice@a.example>",
    ' "Alice\r\n Smith" <alice@a.example>', " alice@a.example (Alice\r\n S)",
    ' "bob@b.example" <alice@a.example>', " (bob@b.example) alice@a.example",
    " =?utf-8?q?bob=40b=2Eexample?= <alice@a.example>"]
LINES = [
    "From: bob@b.example", "From : bob@b.example", "from:bob@b.example",
    "From:", "From", "From:: bob@b.example", " From: bob@b.example",
    "\tFrom: bob@b.example", " : bob@b.example", ": bob@b.example", " x", " ",
    ">From: bob@b.example", "From bob@b.example", "From bob: bob@b.example",
    "From\xa0: bob@b.example", "From\x00: bob@b.example",
    "From(c): bob@b.example", '"From": bob@b.example', "From;: bob@b.example",
    "From=3A: bob@b.example", "=?utf-8?q?From?=: bob@b.example", "X",
    "Fr om: bob@b.example", "Sender: bob@b.example", "Subject: x", "Subject:",
    "Resent-From: bob@b.example", "Reply-To: bob@b.example", "X: (", 'X: "',
    "X: a\x0bFrom: bob@b.example", "X: a\x0cFrom: bob@b.example",
    "X: a\x1eFrom: bob@b.example", "X: a\x85From: bob@b.example",
    "X: a\u2028From: bob@b.example", "MIME-Version: 1.0",
    'Content-Type: multipart/mixed; boundary="b"', "--b"]


def made_up_field(chance):
    """One From field: pieces in a row, or a firm one with some put in."""
    if chance.random() < 0.4:
        body = "".join(chance.choices(PIECES, k=chance.randint(1, 9)))
    else:
        body = list(chance.choice(FIRM))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(body))
            if chance.random() < 0.7:
                body.insert(at, chance.choice(PIECES))
            else:
                del body[at]
        body = "".join(body)
    return f"From:{body}\r\n".encode()


def made_up_header(chance):
    """A few lines, most often with a firm From field among them."""
    lines = chance.choices(LINES, k=chance.randint(1, 5))
    if chance.random() < 0.8:
        lines.insert(chance.randint(0, len(lines)), "From: alice@a.example")
    return "".join(line + "\r\n" for line in lines).encode()


def made_up():
    chance = random.Random(SEED)
    return ([made_up_field(chance) for _ in range(FIELDS)]
            + [made_up_header(chance) for _ in range(HEADERS)])


# --- tests ---------------------------------------------------------------------


def test_the_two_readings_of_the_table_agree():
    """The notation means the same to C and to us, so the cases are the same."""
    cases = list(table())
    assert len(cases) >= 80
    assert judge([header for header, _ in cases]) == [
        expected for _, expected in cases]


def test_each_reader_reads_what_is_plain():
    """… and would notice: none is deaf, and each sees both domains if asked."""
    plain = [b"From: Alice <alice@a.example>\r\n",
             b"From: a@a.example, b@b.example\r\n"]
    first, both = shown(plain)
    assert set(first) == {*readers.READERS, "mail-address", "dovecot"}
    for name in first:
        assert first[name] == {"a.example"}
        assert both[name] in ({"a.example"}, {"a.example", "b.example"})


def test_the_table():
    cases = list(table())
    unlisted, _ = compare([header for header, _ in cases],
                          [expected for _, expected in cases])
    assert not unlisted


def test_made_up_headers():
    """Every exception is of use; and a good part is judged, not refused."""
    headers = made_up()
    judged = judge(headers)
    unlisted, used = compare(headers, judged)
    accepted = sum(not verdict.startswith("refused") for verdict in judged)
    print(f"readers: {len(headers)} headers, {accepted} judged")
    assert not unlisted
    assert used == set(range(len(EXCEPTIONS)))
    assert accepted > len(headers) / 10


@pytest.mark.parametrize("body", [
    b'"bob@b.example\r\n " <alice@a.example>',
    b"(x\r\n bob@b.example,) alice@a.example",
    b'T"bob@b.example"eam: alice@a.example;'])
def test_what_was_found_so(body):
    """These were judged as a.example, and some reader shows another."""
    header = b"From: " + body + b"\r\n"
    assert judge([header])[0].startswith("refused")
    (by,) = shown([header])
    assert any("b.example" in domain for domains in by.values()
               for domain in domains)
