# SPDX-License-Identifier: BSD-2-Clause
"""Which lines did the tests run? Prints each file with its share, the least
covered first, then each folder and all of it. Fails when a folder of the pure
layers has less than 90 %.

    tests/coverage.py DIR [--lines FILE...]

DIR is a build with COVERAGE=1 whose tests have run. --lines also names the
lines of these files that no test has run.
"""

import argparse
import collections
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("smtp/", "dmarc/", "proxy/")
FLOOR = 0.9
PURE = ("smtp", "dmarc", "dmarc/report")


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


def share_of(lines):
    return sum(1 for times in lines.values() if times) / len(lines)


def folders_of(counts):
    """{folder: {(file, line): times run}}."""
    folders = collections.defaultdict(dict)
    for name, lines in counts.items():
        for number, times in lines.items():
            folders[str(Path(name).parent)][name, number] = times
    return folders


def show(lines, name):
    # Rounded down: what shows as the floor is not below it.
    share = int(1000 * share_of(lines)) / 10
    print(f"{share:5.1f} %  {len(lines):5d} lines  {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--lines", nargs="*", default=[], metavar="FILE")
    arguments = parser.parse_args()
    counts = counts_of(ROOT / arguments.build)
    for name in sorted(counts, key=lambda name: (share_of(counts[name]), name)):
        show(counts[name], name)
        if name in arguments.lines:
            print("         not run: " + ranges(
                number for number, n in counts[name].items() if not n))
    folders = folders_of(counts)
    print()
    for name in sorted(folders):
        show(folders[name], name + "/")
    show({(name, line): times for name, lines in counts.items()
          for line, times in lines.items()}, "in all")
    low = [name for name in PURE
           if name not in folders or share_of(folders[name]) < FLOOR]
    if low:
        sys.exit(f"under {FLOOR:.0%}: {', '.join(low)}")


if __name__ == "__main__":
    main()
