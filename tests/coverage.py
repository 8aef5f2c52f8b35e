# SPDX-License-Identifier: BSD-2-Clause
"""Which lines did the tests run? Prints each file with its share, the least
covered first, and the lines that no test has run.

    tests/coverage.py DIR [--lines FILE...]

DIR is a build with COVERAGE=1 whose tests have run.
"""

import argparse
import collections
import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("smtp/", "dmarc/", "proxy/")


def counts_of(build):
    """{file: {line: times run}} over all objects, each header once."""
    counts = collections.defaultdict(collections.Counter)
    for notes in sorted(build.rglob("*.gcda")):
        said = subprocess.run(
            ["gcov", "--json-format", "--stdout", notes], cwd=ROOT, check=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        for file in json.loads(said)["files"]:
            if file["file"].startswith(LAYERS):
                for line in file["lines"]:
                    counts[file["file"]][line["line_number"]] += line["count"]
    return counts


def ranges(numbers):
    """3-5, 9 for 3, 4, 5, 9."""
    texts, start = [], None
    for number in [*sorted(numbers), None]:
        if start is not None and number != last + 1:
            texts.append(f"{start}-{last}" if last > start else f"{start}")
            start = None
        if start is None:
            start = number
        last = number if number is not None else 0
    return ", ".join(texts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--lines", nargs="*", default=[],
                        help="also name the lines of these files not run")
    arguments = parser.parse_args()
    counts = counts_of(ROOT / arguments.build)
    rows = sorted((sum(1 for n in lines.values() if n) / len(lines), name)
                  for name, lines in counts.items())
    for share, name in rows:
        print(f"{100 * share:5.1f} %  {len(counts[name]):5d} lines  {name}")
        if name in arguments.lines:
            print("         not run: " + ranges(
                number for number, n in counts[name].items() if not n))
    run = sum(1 for lines in counts.values() for n in lines.values() if n)
    of = sum(len(lines) for lines in counts.values())
    print(f"{100 * run / max(of, 1):5.1f} %  {of:5d} lines  in all")


if __name__ == "__main__":
    main()
