# SPDX-License-Identifier: BSD-2-Clause
"""Scripts of tests/replay, read a second time.

tests/replay/script.h is the contract: what a line means stands there. A group,
all that one party says in a row, is one Line here. Text is bytes as they go
over the wire; CR LF is part of what is said, not of what is heard.
"""

import re
from dataclasses import dataclass
from pathlib import Path

SAID = "say"               # octets
HEARD = "hear"             # a pattern for a line or a mark
HEARD_OCTETS = "octets"    # exactly these
SKIPPED = "skip"
VERDICT = "verdict"        # PATH=PATTERN, or none
EVENT = "event"
DIRECTIVE = "directive"

PARTIES = "cbd"
INCLUDES_MAX = 4
ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\", b'"': b'"'}


class BadScript(Exception):
    """It cannot be read."""


@dataclass
class Line:
    kind: str
    side: str
    text: bytes
    where: str


class Script:
    """conf and zone as text, and the lines of the dialogue."""

    def __init__(self, path):
        self.path = Path(path)
        self.sections = {"conf": "", "zone": ""}
        self.lines = []
        self._skips = None   # a "..." that takes the side of the next line
        self._read(self.path, 0)
        self._join_groups()

    @property
    def conf(self):
        return self.sections["conf"]

    @property
    def zone(self):
        return self.sections["zone"]

    def directives(self, word):
        """What stands behind a directive's first word, wherever it is."""
        prefix = word + " "
        return [line.text.decode()[len(prefix):] for line in self.lines
                if line.kind == DIRECTIVE
                and line.text.decode().startswith(prefix)]

    def _read(self, path, depth):
        if depth > INCLUDES_MAX:
            raise BadScript(f"{path}: too many includes")
        section = None
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
            where = f"{path.name}:{number}"
            if line.startswith(b"\t") and section:
                self.sections[section] += line[1:].decode() + "\n"
            elif line.strip() and not line.startswith(b"#"):
                section = self._take(line, where, path, depth)

    def _take(self, line, where, path, depth):
        """One line; gives the section that it opens, if it does."""
        if line in (b"conf:", b"zone:"):
            return line[:-1].decode()
        if line.startswith(b"include: "):
            name = line[9:].strip().decode()
            self._read(path.parent / f"{name}.inc", depth + 1)
        elif line == b"...":
            self._skips = self._add(SKIPPED, "c", b"", where)
        elif line.startswith(b"! "):
            self._take_directive(line[2:].strip(), where)
        elif line.startswith(b"V: "):
            self._add(VERDICT, "c", line[3:], where)
        elif line.startswith(b"E: "):
            self._add(EVENT, "c", line[3:], where)
        elif line[1:2] == b":" and line[:1].lower().decode() in PARTIES:
            self._take_spoken(line, where)
        else:
            raise BadScript(f"{where}: not a line of a script")
        return None

    def _add(self, kind, side, text, where):
        if self._skips:
            self._skips.side = side
        self._skips = None
        self.lines.append(Line(kind, side, text, where))
        return self.lines[-1]

    def _take_spoken(self, line, where):
        side = line[:1].lower().decode()
        text = line[2:].removeprefix(b" ")
        if line[:1].isupper():
            self._add(SAID, side, text + b"\r\n", where)
        elif text == b"...":
            self._add(SKIPPED, side, b"", where)
        else:
            self._add(HEARD, side, text, where)

    def _take_directive(self, text, where):
        octets = re.match(rb"(?:(backend|divert) )?(send|sends|hears) (.*)$",
                          text, re.S)
        repeat = re.match(rb"repeat (\d+) ([CBD]): ?(.*)$", text, re.S)
        if repeat:
            self._add(SAID, repeat[2].lower().decode(),
                      (repeat[3].strip() + b"\r\n") * int(repeat[1]), where)
        elif octets:
            side = {None: "c", b"backend": "b", b"divert": "d"}[octets[1]]
            kind = HEARD_OCTETS if octets[2] == b"hears" else SAID
            self._add(kind, side, _octets(octets[3], where), where)
        else:
            self._add(DIRECTIVE, "c", text, where)

    def _join_groups(self):
        joined = []
        for line in self.lines:
            last = joined[-1] if joined else None
            if (last and line.kind == last.kind == SAID
                    and line.side == last.side):
                last.text += line.text
            else:
                joined.append(line)
        self.lines = joined


def _octets(text, where):
    """"octets with escapes", or N times the same."""
    found = re.match(rb'(?:(\d+) times )?"(.*)"$', text.strip(), re.S)
    if not found:
        raise BadScript(f"{where}: octets stand in quotes")
    octets = re.sub(rb"\\(?:x([0-9a-fA-F]{2})|(.))", lambda escape: (
        bytes.fromhex(escape[1].decode()) if escape[1]
        else ESCAPES[escape[2]]), found[2])
    return octets * int(found[1] or 1)


# An id of a session names its worker and its time on the wire; in process it
# is r1, r2 and so on. Only the mail's number behind it can be compared.
_ID = re.compile(r"\br\d+\.(?=\d+\b)")


def matches(pattern, text):
    """Whether text fits a pattern, in which "*" stands for anything."""
    pattern = _ID.sub("*.", _shown(pattern))
    parts = [re.escape(part) for part in pattern.split("*")]
    return re.fullmatch(".*".join(parts), _shown(text), re.S) is not None


def _shown(text):
    return (text.decode("utf-8", "surrogateescape")
            if isinstance(text, (bytes, bytearray)) else text)
