# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures that the end-to-end tests share."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.e2e import parts, process  # noqa: E402
from tests.e2e.gate import Gate  # noqa: E402
from tests.e2e.parts import Nsd, Postfix  # noqa: E402


def pytest_sessionstart():
    """Without the parts there is nothing to test with: say so once."""
    try:
        parts.fetch()
    except parts.PartsMissing as missing:
        pytest.exit(str(missing), 1)


@pytest.fixture
def port():
    """A free loopback port."""
    return process.free_port()


@pytest.fixture
def directory():
    """A new directory that unprivileged daemons can reach."""
    return process.scratch("test")


@pytest.fixture(scope="session")
def running_postfix():
    """One Postfix for the whole run."""
    if os.geteuid() != 0:
        pytest.skip("Postfix's master only runs as root")
    with Postfix() as running:
        yield running


@pytest.fixture
def postfix(running_postfix):
    """That Postfix, its mailboxes empty."""
    running_postfix.clear()
    return running_postfix


@pytest.fixture
def nsd():
    """Start name servers: nsd(zone text); they end with the test."""
    started = []

    def start(zone):
        started.append(Nsd(zone))
        started[-1].start()
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def gate():
    """Start gates: gate(backend=..., zone=...); each must end cleanly with
    the test."""
    started = []

    def start(*words, **settings):
        started.append(Gate(*words, **settings))
        return started[-1]

    yield start
    try:
        for each in started:
            each.stop()
    finally:
        for each in started:
            if each.process is not None:
                each.process.kill()
