# SPDX-License-Identifier: BSD-2-Clause
"""Play scripts, one after the other: names in, outcomes out, a line of JSON
each. A process of its own, since each play enters another network namespace
and none of its threads may stay behind."""

import json
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.wire.play import play  # noqa: E402

PLAY_SECONDS = 60


def too_long(_signal, _frame):
    raise TimeoutError(f"the play takes over {PLAY_SECONDS} s")


def main():
    signal.signal(signal.SIGALRM, too_long)
    for name in sys.stdin:
        signal.alarm(PLAY_SECONDS)
        outcome = play(name.rstrip("\n"))
        signal.alarm(0)
        print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main()
