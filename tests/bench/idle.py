# SPDX-License-Identifier: BSD-2-Clause
"""What a session costs in memory that is idle after EHLO, its connection to
the backend included: the growth of all workers' PSS, by the session. Plain;
with TLS on the client's leg; and with TLS on both. What OpenSSL holds for a
connection is in it, and what the allocator keeps besides."""

import re
import ssl
import sys
from pathlib import Path

from tests.bench.rows import Row
from tests.e2e import crowd
from tests.e2e.certificates import Authority
from tests.e2e.gate import Gate
from tests.e2e.process import Process, can_connect, free_port, scratch

WORKERS = 2
FIRST = 10  # sessions, with which is loaded what is loaded once
MIB_MAX = 60  # of all plain ones, with the workers themselves
# name: in words, sessions, TLS with the client, tls of the backend, KiB each
LEGS = {
    "idle-plain": ("plain", 10000, False, "off", 4),
    "idle-tls": ("TLS with the client", 2000, True, "off", 24),
    "idle-both": ("TLS on both legs", 2000, True, "required", 40),
}


def pss_kib(pids):
    """What these processes have in memory; shared pages by their share."""
    return sum(int(re.search(r"^Pss: +(\d+) kB", Path(
        f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1]) for pid in pids)


def grow(sessions, has_tls, backend_tls):
    """KiB of all workers: with the first few sessions, and with all."""
    crowd.raise_file_limit()
    pair = Authority().issue("mx.example")
    port = free_port()
    backend = Process([sys.executable, crowd.__file__, port, *pair],
                      scratch("crowd") / "output")
    listen = {"tls-cert": [pair[0]], "tls-key": [pair[1]]}
    try:
        backend.wait_for(lambda: can_connect(port))
        with Gate(backend=port, listen=listen if has_tls else {},
                  backend_settings={"tls": backend_tls},
                  top={"workers": WORKERS, "client-timeout": "30m"},
                  limit={"connections": sessions + FIRST}) as gate:
            return _gather(gate, sessions, has_tls)
    finally:
        backend.stop()


def _trusting_all():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _gather(gate, sessions, has_tls):
    clients = crowd.Crowd(gate.plain_port, _trusting_all() if has_tls else None)
    try:
        clients.gather(FIRST)
        before = pss_kib(gate.workers())
        clients.gather(sessions)
        after = pss_kib(gate.workers())
        assert clients.refused == 0
        return before, after
    finally:
        clients.leave()


def measure(_rig, _):
    for name, (legs, sessions, has_tls, backend_tls, target) in LEGS.items():
        before, after = grow(sessions, has_tls, backend_tls)
        note = f"{sessions} sessions, {WORKERS} workers: growth of their PSS"
        detail = {"sessions": sessions, "workers": WORKERS,
                  "pss_kib": [before, after]}
        yield Row(name, f"memory per idle session, {legs}",
                  (after - before) / sessions, "KiB", target, detail=detail,
                  note=note)
        if name == "idle-plain":
            yield Row("idle-all", f"memory of {sessions} idle sessions, plain",
                      after / 1024, "MiB", MIB_MAX, detail=detail,
                      note=f"all of the PSS of {WORKERS} workers")
