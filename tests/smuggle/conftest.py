# SPDX-License-Identifier: BSD-2-Clause
"""Where mutate.py and the parts of tests/e2e are, and a line at the end that
says how many planted bugs were found."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]
sys.dont_write_bytecode = True


def pytest_terminal_summary(terminalreporter):
    found, planted = (
        sum("test_bug_is_found" in report.nodeid
            for outcome in outcomes
            for report in terminalreporter.stats.get(outcome, [])
            if getattr(report, "when", "") == "call")
        for outcomes in (["passed"], ["passed", "failed"]))
    if planted:
        terminalreporter.write_line(f"planted holes found: {found} of "
                                    f"{planted}")
