# SPDX-License-Identifier: BSD-2-Clause
"""Ten thousand sessions that are idle after EHLO, each with its connection to
the backend, are held by two workers; by one as many as its files allow. Under
TLS with the client it is thousands. None of them holds much memory."""

import re
import ssl
import sys
from pathlib import Path

import pytest

from tests.bench.idle import pss_kib
from tests.e2e import crowd
from tests.e2e.certificates import Authority
from tests.e2e.process import Process, can_connect, free_port, scratch
from tests.e2e.test_35_limits import is_instrumented

SESSIONS = 10000
TLS_SESSIONS = 3000
KIB_MAX, TLS_KIB_MAX = 6, 24  # of memory for each
FILES_OF_A_SESSION = 2


@pytest.fixture
def backend():
    """A backend for as many; its port."""
    port = free_port()
    running = Process([sys.executable, crowd.__file__, port],
                      scratch("crowd") / "output")
    running.wait_for(lambda: can_connect(port))
    yield port
    running.stop()


@pytest.fixture
def mx(gate, backend):
    """Start a gate of so many workers, in front of it."""
    def start(workers, listen=None):
        return gate(backend=backend, identity="none", listen=listen,
                    backend_settings={"trust-unidentified": True},
                    top={"workers": workers, "client-timeout": "30m"},
                    limit={"connections": SESSIONS})
    return start


def gathered(mx, wanted, capfd, context=None):
    """Clients as far as the gate takes them; says how many, and how many
    files each worker then has open."""
    files = crowd.raise_file_limit()
    assert files > SESSIONS, f"a file limit of {files} is too low for this"
    clients = crowd.Crowd(mx.plain_port, context)
    before = pss_kib(mx.workers())
    clients.gather(wanted)
    each = (pss_kib(mx.workers()) - before) / len(clients.idle)
    held = [len(list(Path(f"/proc/{pid}/fd").iterdir()))
            for pid in mx.workers()]
    with capfd.disabled():
        print(f"\n{len(clients.idle)} of {wanted} idle sessions held by "
              f"{len(held)} worker(s), {held} files open, the limit is "
              f"{files} each; {clients.refused} refused; {each:.1f} KiB each")
    assert is_instrumented() or each < (TLS_KIB_MAX if context else KIB_MAX)
    assert sum(held) >= FILES_OF_A_SESSION * len(clients.idle)
    return clients


def test_two_workers_hold_ten_thousand(mx, capfd):
    clients = gathered(mx(2), SESSIONS, capfd)
    assert len(clients.idle) == SESSIONS
    assert clients.are_all_there()
    clients.leave()


def test_one_worker_holds_what_it_says_it_takes(mx, capfd):
    alone = mx(1)
    line, = alone.wait_event("started")
    most = int(re.search(r"sessions-max=(\d+)", line)[1])
    clients = gathered(alone, SESSIONS, capfd)
    assert len(clients.idle) == most
    assert clients.refused == SESSIONS - most
    assert clients.are_all_there()
    clients.leave()


def test_two_workers_hold_thousands_under_tls(mx, capfd):
    authority = Authority()
    certificate, key = authority.issue("mx.example")
    clients = gathered(
        mx(2, {"tls-cert": [certificate], "tls-key": [key]}), TLS_SESSIONS,
        capfd, ssl.create_default_context(cafile=authority.ca))
    assert len(clients.idle) == TLS_SESSIONS
    assert all(client.version() == "TLSv1.3" for client in clients.idle)
    assert clients.are_all_there()
    clients.leave()
