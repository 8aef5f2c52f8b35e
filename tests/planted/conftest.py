# SPDX-License-Identifier: BSD-2-Clause
"""Where mutate.py is, and a line at the end that says what was found."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
sys.dont_write_bytecode = True


def pytest_terminal_summary(terminalreporter):
    import mutate
    mutate.summary(terminalreporter, "planted bugs")
