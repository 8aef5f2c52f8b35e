#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Build a program with a bug planted into it.

    tests/mutate.py [--build DIR] NAME TARGET FILE BEFORE AFTER

A test that has never failed proves little: planted bugs show that it can. A
mutation is a piece of text in a source that stands there exactly once, and
what is to stand there instead. The changed source, its object and the program
lie in DIR/mutants/NAME/; the tree is left alone. Only the changed file is
compiled, with the command of the build in DIR, which must be complete; the
object is put before the libraries, so that the linker takes it and leaves its
original there. Prints the path of the program.

In Python:

    from mutate import Edit, plant
    program = plant(build, "early-yes", "dmarcgate",
                    Edit("proxy/delivery.c", "before", "after"))
"""

import argparse
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What a program has beside the object of its main file and the libraries.
MAIN = {"dmarcgate": "proxy/main.c"}
LIBS = ("libproxy.a", "libreport.a", "libdmarc.a", "libsmtp.a")


class MutationError(Exception):
    """It could not be planted: the sources have moved on, or it does not
    compile. That is never a bug found."""


@dataclass(frozen=True)
class Edit:
    """Another text at one place of a source."""

    file: str  # as in proxy/delivery.c
    before: str
    after: str


def commands(build):
    """How the build compiles and links, and with which libraries."""
    try:
        text = (build / "flags").read_text()
    except FileNotFoundError:
        raise MutationError(f"{build} holds no build") from None
    return [shlex.split(part) for part in text.split(" | ")]


def changed_text(file, edits):
    text = (ROOT / file).read_text()
    for edit in edits:
        count = text.count(edit.before)
        if count != 1:
            raise MutationError(f"{file}: the text to be changed stands there "
                                f"{count} times: {edit.before!r}")
        text = text.replace(edit.before, edit.after)
    return text


def run(command):
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise MutationError(f"{shlex.join(map(str, command))}\n{done.stdout}")


def compile_changed(build, folder, file, edits):
    """The object of a file with its edits."""
    source = folder / file
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(changed_text(file, edits))
    made = source.with_suffix(".o")
    # A bug may well leave something unused behind.
    run([*commands(build)[0], "-w", "-c", "-o", made, source])
    return made


def plant(build, name, target, *edits):
    """Build `target` ("dmarcgate", "tests/sim/test_sim") with these edits and
    return the path of the program."""
    build = Path(os.path.relpath((ROOT / build).resolve(), ROOT))
    folder = ROOT / build / "mutants" / name
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / Path(target).name
    program.unlink(missing_ok=True)
    changed = {}
    for edit in edits:
        changed.setdefault(edit.file, []).append(edit)
    objects = {file: compile_changed(build, folder, file, of_file)
               for file, of_file in changed.items()}
    main = MAIN.get(target, target + ".c")
    first = objects.pop(main, build / "obj" / Path(main).with_suffix(".o"))
    libraries = [build / lib for lib in LIBS]
    if target.startswith("tests/"):
        libraries = [build / "libtest.a", *libraries, "-lcmocka"]
    _, link, last = commands(build)
    run([*link, "-o", program, first, *objects.values(), *libraries, *last])
    return program


def summary(reporter, what):
    """The line at the end of a run of pytest that says how many planted bugs
    its test_bug_is_found have found."""
    found, planted = (
        sum("test_bug_is_found" in report.nodeid
            for outcome in outcomes
            for report in reporter.stats.get(outcome, [])
            if getattr(report, "when", "") == "call")
        for outcomes in (["passed"], ["passed", "failed"]))
    if planted:
        reporter.write_line(f"{what} found: {found} of {planted}")


def main():
    parser = argparse.ArgumentParser(prog="tests/mutate.py",
                                     description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=Path("build"))
    for name in ("name", "target", "file", "before", "after"):
        parser.add_argument(name, metavar=name.upper())
    asked = parser.parse_args()
    try:
        print(plant(asked.build, asked.name, asked.target,
                    Edit(asked.file, asked.before, asked.after)))
    except MutationError as error:
        sys.exit(f"tests/mutate.py: {error}")


if __name__ == "__main__":
    main()
