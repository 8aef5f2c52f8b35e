# SPDX-License-Identifier: BSD-2-Clause
"""The simulator finds every bug that is planted into the gate.

One that it does not find, or that can no longer be planted, fails. So does
the simulator when it finds one where there is none: that is test_sim's own
run. A single bug by hand: pytest tests/planted -k NAME, or see tests/mutate.py.
"""

import pytest

from hunt import BUILD, hunt
from mutate import Edit, MutationError, plant
from mutations import MUTATIONS

PROGRAM = "tests/sim/test_sim"
SESSIONS = 200000
FOUND = r"^# seed \d+: (.+)$"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda bug: bug.name)
def test_bug_is_found(mutation):
    found = hunt(mutation.name, PROGRAM, mutation.edits, FOUND, "-x", "-n",
                 str(SESSIONS))
    assert found is not None, f"not found: {mutation.breaks}"
    print(f"{mutation.name}: {found}")


def test_what_cannot_be_planted_is_no_find():
    with pytest.raises(MutationError, match="stands there 0 times"):
        plant(BUILD, "gone", PROGRAM,
              Edit("proxy/body.c", "no such text", ""))
    with pytest.raises(MutationError, match="error:"):
        plant(BUILD, "broken", PROGRAM,
              Edit("proxy/body.c", "#include <assert.h>\n", "#error no\n"))
