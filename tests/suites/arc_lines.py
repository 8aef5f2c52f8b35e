#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Write the ARC validation suite as lines that C reads easily.

    arc_lines.py arc-draft-validation-tests.yml [DIRECTORY]

With a directory its messages are written there instead, as inputs of
tests/fuzz/fuzz_arc, a file for each.

Fields stand between tabs; octets that are not visible ASCII, and "%", are
written as %XX. A scenario is its zone, then its tests:

    zone
    NAME VALUE                  a TXT record
    test ID RESULT MESSAGE      RESULT is none, pass or fail

Lines of a message end in CR LF here, as on the wire; a last line without its
end, of which the suite makes a test, keeps none. Where the suite expects no
status to be added, since the last seal says cv=fail already, the chain has
failed all the same (RFC 8617 5.2, step 2).
"""

import sys
from pathlib import Path

import yaml


def escaped(text):
    return "".join(chr(c) if 33 <= c < 127 and c != 37 else f"%{c:02X}"
                   for c in text.encode())


def messages(scenario):
    for name, test in scenario["tests"].items():
        yield (name, (test["cv"] or "Fail").lower(),
               test["message"].replace("\n", "\r\n"))


def write_lines(scenario):
    print("zone")
    for name, value in scenario["txt-records"].items():
        print("\t".join((escaped(name), escaped(value))))
    for name, result, message in messages(scenario):
        print("\t".join(("test", name, result, escaped(message))))


def write_inputs(scenario, directory):
    """Each message with what says: in one piece."""
    for name, _, message in messages(scenario):
        (directory / name).write_bytes(b"\0" + message.encode())


def main():
    with open(sys.argv[1], encoding="utf-8") as suite:
        for scenario in yaml.safe_load_all(suite):
            if len(sys.argv) > 2:
                write_inputs(scenario, Path(sys.argv[2]))
            else:
                write_lines(scenario)


if __name__ == "__main__":
    main()
