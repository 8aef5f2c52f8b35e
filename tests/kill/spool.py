# SPDX-License-Identifier: BSD-2-Clause
"""What is in the files of a spool directory, read without the gate's help.

Several files may hold verdict lines: verdict.log, and those that it was
rotated into. A line is whole if it is a JSON object; a verdict has an
"action", and what has none frames a file. All other lines are torn. A torn
one may have a whole one behind it on the same line, since its own end, with
the LF, was never written.
"""

import gzip
import json
from dataclasses import dataclass

START = b'{"v":1,'


@dataclass
class Spool:
    verdicts: list  # parsed, in no order
    torn: int       # lines that are not whole


def read(directory):
    spool = Spool([], 0)
    for path in directory.glob("verdict*.log*"):
        octets = path.read_bytes()
        if path.suffix == ".gz":
            octets = gzip.decompress(octets)
        for line in octets.split(b"\n"):
            _take(spool, line)
    return spool


def _take(spool, line):
    if not line:
        return
    record = _parse(line)
    if record is None:
        spool.torn += 1
        record = _parse(line[max(line.rfind(START), 0):])
    if record is not None and "action" in record:
        spool.verdicts.append(record)


def _parse(octets):
    try:
        record = json.loads(octets)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
