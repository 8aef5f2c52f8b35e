# SPDX-License-Identifier: BSD-2-Clause
"""Where mutate.py is, and a line at the end that says what was found."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
sys.dont_write_bytecode = True


def pytest_terminal_summary(terminalreporter):
    found, planted = (
        sum("test_bug_is_found" in report.nodeid
            for outcome in outcomes
            for report in terminalreporter.stats.get(outcome, [])
            if getattr(report, "when", "") == "call")
        for outcomes in (["passed"], ["passed", "failed"]))
    if planted:
        terminalreporter.write_line(f"mutations found: {found} of {planted}")
