#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Write the openspf.org suite for RFC 7208 as lines that C reads easily.

    spf_lines.py rfc7208-tests.yml [DIR]

With DIR each test is written there, behind its zone, into a file of its own.
Fields stand between tabs; octets that are not visible ASCII, and "%", are
written as %XX. A scenario is its zone, then its tests:

    zone
    NAME TYPE VALUE             TYPE is A AAAA MX PTR TXT, VALUE as a test's
                                table of DNS rows has it
    NAME DEAD                   what its rows do not answer never is
    test ID HELO HOST MAILFROM RESULT[,RESULT]... EXPLANATION
                                EXPLANATION is "=" and the text, nothing
                                behind it for none; or "-": it does not say
"""

import pathlib
import sys

import yaml

TYPES = ("A", "AAAA", "MX", "PTR", "TXT")


def escaped(text):
    """Text as the octets that DNS or SMTP would carry."""
    return "".join(chr(c) if 33 <= c < 127 and c != 37 else f"%{c:02X}"
                   for c in text.encode("utf-8", "surrogateescape"))


def value_of(rtype, value):
    if rtype == "MX":
        preference, name = value
        return f"{preference} {name.rstrip('.')}"
    if rtype == "PTR":
        return value.rstrip(".")
    return "".join(value) if isinstance(value, list) else value


def rows_of(records):
    """(type, value) of each record of a name; type DEAD for a time-out.

    What the suite writes as SPF (type 99) stands for TXT where the name has
    no TXT of its own; the TXT "NONE" says that there shall be none."""
    rows = [(rtype, value) for record in records if isinstance(record, dict)
            for rtype, value in record.items()]
    has_txt = any(rtype == "TXT" for rtype, _ in rows)
    for rtype, value in rows:
        if rtype == "SPF" and not has_txt:
            yield "TXT", value_of("TXT", value)
        elif rtype in TYPES and not (rtype == "TXT" and value == "NONE"):
            yield rtype, value_of(rtype, value)
    if "TIMEOUT" in records:
        yield "DEAD", ""


def chase(zone, name, depth=8):
    """A name's records, those of a CNAME's target in its place."""
    records = zone.get(name.lower(), [])
    for record in records:
        if isinstance(record, dict) and "CNAME" in record and depth > 0:
            return chase(zone, record["CNAME"].rstrip("."), depth - 1)
    return records


def explanation_of(test):
    explanation = test.get("explanation")
    if explanation is None:
        return "-"
    return "=" + ("" if explanation == "DEFAULT" else explanation)


def zone_lines(scenario):
    zone = {str(name).lower(): records
            for name, records in scenario["zonedata"].items()}
    return ["\t".join((escaped(name), rtype, escaped(value))) for name in zone
            for rtype, value in rows_of(chase(zone, name))]


def test_line(name, test):
    results = test["result"]
    if not isinstance(results, list):
        results = [results]
    return "\t".join(("test", name, escaped(test.get("helo") or ""),
                      str(test["host"]), escaped(test.get("mailfrom") or ""),
                      ",".join(results), escaped(explanation_of(test))))


def main():
    with open(sys.argv[1], encoding="utf-8") as suite:
        scenarios = list(yaml.safe_load_all(suite))
    for scenario in scenarios:
        zone = zone_lines(scenario)
        tests = {name: test_line(name, test)
                 for name, test in scenario["tests"].items()}
        if len(sys.argv) < 3:
            print("\n".join(["zone", *zone, *tests.values()]))
            continue
        for name, line in tests.items():
            path = pathlib.Path(sys.argv[2]) / name
            path.write_text("\n".join([*zone, line, ""]), encoding="ascii")


if __name__ == "__main__":
    main()
