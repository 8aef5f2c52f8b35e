# SPDX-License-Identifier: BSD-2-Clause
"""Where mutate.py and the parts of tests/e2e are, and a line at the end that
says how many planted bugs were found."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]
sys.dont_write_bytecode = True


def pytest_terminal_summary(terminalreporter):
    import mutate
    mutate.summary(terminalreporter, "planted holes")
