# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures of the tests on real peers."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.e2e.parts import PartsMissing  # noqa: E402
from tests.e2e.process import scratch  # noqa: E402
from tests.e2e.rights import no_namespaces  # noqa: E402
from tests.peers import backends, packages  # noqa: E402
from tests.peers.certificate import Certificate  # noqa: E402
from tests.peers.matrix import start_all  # noqa: E402
from tests.peers.network import Network  # noqa: E402


def pytest_sessionstart():
    """Without the peers there is nothing to test with: say so once."""
    try:
        packages.fetch()
    except PartsMissing as missing:
        pytest.exit(str(missing), 1)


@pytest.fixture(scope="session")
def network():
    """The three hosts."""
    if no_namespaces():
        pytest.skip(no_namespaces())
    made = Network(scratch("network"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def certificate():
    """Of everybody who speaks TLS."""
    return Certificate(scratch("certificate"))


@pytest.fixture(scope="session")
def servers(network, certificate):
    """All backends, running."""
    made = [kind(network, certificate) for kind in backends.ALL]
    try:
        start_all(made)
        yield made
    finally:
        for server in made:
            server.stop()
