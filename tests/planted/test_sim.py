# SPDX-License-Identifier: BSD-2-Clause
"""The simulator finds every bug that is planted into the gate.

One that it does not find, or that can no longer be planted, fails. So does
the simulator when it finds one where there is none: that is test_sim's own
run. A single bug by hand: pytest tests/planted -k NAME, or see tests/mutate.py.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from mutate import Edit, MutationError, plant
from mutations import MUTATIONS

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("DMARCGATE_BUILD", "build"))
PROGRAM = "tests/sim/test_sim"
SESSIONS = 200000
SECONDS = 600  # ends what would never end

FOUND = re.compile(r"^# seed \d+: (.+)$", re.M)


def simulate(program):
    """What was found wrong, or None."""
    done = subprocess.run([program, "-x", "-n", str(SESSIONS)], cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=SECONDS, check=False)
    found = FOUND.search(done.stdout.decode("utf-8", "replace"))
    assert (done.returncode != 0) == (found is not None), done.stdout
    return found and found[1]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda bug: bug.name)
def test_bug_is_found(mutation):
    program = plant(BUILD, mutation.name, PROGRAM, *mutation.edits)
    try:
        found = simulate(program)
    finally:
        program.unlink()
    assert found is not None, f"not found: {mutation.breaks}"
    print(f"{mutation.name}: {found}")


def test_what_cannot_be_planted_is_no_find():
    with pytest.raises(MutationError, match="stands there 0 times"):
        plant(BUILD, "gone", PROGRAM,
              Edit("proxy/body.c", "no such text", ""))
    with pytest.raises(MutationError, match="error:"):
        plant(BUILD, "broken", PROGRAM,
              Edit("proxy/body.c", "#include <assert.h>\n", "#error no\n"))
