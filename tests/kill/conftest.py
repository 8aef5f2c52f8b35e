# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures of the kill tests, and the table that they end with."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.e2e import parts  # noqa: E402
from tests.e2e.parts import Postfix  # noqa: E402
from tests.kill import books  # noqa: E402

def pytest_sessionstart():
    """Without the parts there is nothing to test with: say so once."""
    try:
        parts.fetch()
    except parts.PartsMissing as missing:
        pytest.exit(str(missing), 1)


def pytest_terminal_summary(terminalreporter):
    """What was killed where, and what came of it."""
    if books.summary():
        terminalreporter.write_line(books.summary())


@pytest.fixture(scope="session")
def running_postfix():
    """One Postfix for the whole run. A server that dies in its very first
    session makes Postfix pause that service."""
    if os.geteuid() != 0:
        pytest.skip("Postfix's master only runs as root")
    with Postfix(settings={"service_throttle_time": "1s"}) as running:
        yield running


@pytest.fixture
def postfix(running_postfix):
    """That Postfix, its mailboxes empty."""
    running_postfix.clear()
    return running_postfix
