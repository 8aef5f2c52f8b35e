# SPDX-License-Identifier: BSD-2-Clause
"""What is in the files of a spool directory, read without the gate's help.

Several files may hold verdict lines: verdict.log, and those that it was
rotated into, maybe compressed. A whole line is a JSON object; a verdict has
an "action", and what has none frames a file. In a line that is none something
was torn. Since a torn record has no LF, others may stand behind it on its
line: each begins with {"v":1, which cannot stand inside a record.
"""

import gzip
import json
import re
from dataclasses import dataclass

RECORD = re.compile(rb'(?!^)(?={"v":1,)')


@dataclass
class Spool:
    verdicts: list  # parsed, in no order
    torn: int       # records that are not whole
    files: int


def read(directory):
    spool = Spool([], 0, 0)
    for octets in _files(directory):
        spool.files += 1
        for line in octets.split(b"\n"):
            if line:
                _take_line(spool, line)
    return spool


def _files(directory):
    """One at a time. A gate that ended while it compressed one has left both
    forms."""
    plain = [directory / "verdict.log", *directory.glob("verdict-*.log")]
    for path in plain:
        yield path.read_bytes()
    for path in directory.glob("verdict-*.log.gz"):
        if path.with_suffix("") not in plain:
            yield gzip.decompress(path.read_bytes())


def _take_line(spool, line):
    pieces = [line] if _parse(line) else RECORD.split(line)
    for piece in pieces:
        record = _parse(piece)
        if record is None:
            spool.torn += 1
        elif "action" in record:
            spool.verdicts.append(record)


def _parse(octets):
    try:
        record = json.loads(octets)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
