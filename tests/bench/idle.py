# SPDX-License-Identifier: BSD-2-Clause
"""What a session costs in memory that is idle after EHLO, its connection to
the backend included: the growth of all workers' PSS, by the session."""

import re
import sys
from pathlib import Path

from tests.e2e import crowd
from tests.e2e.gate import Gate
from tests.e2e.process import Process, can_connect, free_port, scratch

SESSIONS = 10000
WORKERS = 2


def pss_kib(pids):
    """What these processes have in memory; shared pages by their share."""
    return sum(int(re.search(r"^Pss: +(\d+) kB", Path(
        f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1]) for pid in pids)


def measure():
    """(sessions, KiB each)."""
    crowd.raise_file_limit()
    port = free_port()
    backend = Process([sys.executable, crowd.__file__, port],
                      scratch("crowd") / "output")
    try:
        backend.wait_for(lambda: can_connect(port))
        with Gate(backend=port, identity="none",
                  backend_settings={"trust-unidentified": True},
                  top={"workers": WORKERS, "client-timeout": "30m"},
                  limit={"connections": SESSIONS}) as gate:
            return _grow(gate)
    finally:
        backend.stop()


def _grow(gate):
    before = pss_kib(gate.workers())
    clients = crowd.Crowd(gate.plain_port)
    try:
        clients.gather(SESSIONS)
        grown = pss_kib(gate.workers()) - before
        return len(clients.idle), grown / len(clients.idle)
    finally:
        clients.leave()


def report():
    sessions, each = measure()
    print(f"memory per idle session, plain: {each:.1f} KiB "
          f"({sessions} sessions, {WORKERS} workers, growth of their PSS)",
          flush=True)
