# SPDX-License-Identifier: BSD-2-Clause
"""Plant a bug, run the program that has to find it, and say what it found."""

import os
import re
import subprocess
from pathlib import Path

from mutate import plant

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("DMARCGATE_BUILD", "build"))
SECONDS = 600  # ends what would never end


def _found(command, pattern):
    """The first match of pattern in what a program says, or None. It fails if
    and only if there is one."""
    folder = Path(command[0]).parent  # with the fixtures of a unit test
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "DMARCGATE_BUILD": str(folder),
             "CMOCKA_MESSAGE_OUTPUT": "stdout"},
        timeout=SECONDS, check=False)
    text = done.stdout.decode("utf-8", "replace")
    match = re.search(pattern, text, re.M)
    if done.returncode < 0:  # an assertion of the gate's own
        return f"signal {-done.returncode}: {text[-200:]}"
    assert (done.returncode != 0) == (match is not None), text[-2000:]
    return match and match[1]


def hunt(name, test, edits, pattern, *words):
    """What a test finds, run with these words, once the edits are made in its
    sources; None if nothing."""
    program = plant(BUILD, name, test, *edits)
    try:
        return _found([program, *words], pattern)
    finally:
        program.unlink()
