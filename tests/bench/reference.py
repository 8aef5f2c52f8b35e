# SPDX-License-Identifier: BSD-2-Clause
"""The first rows once more with a source and a sink that are not ours:
smtp-source and smtp-sink, Postfix's. What they find of the proxies should be
what load and sink find."""

import subprocess
import time

from tests.bench.rig import Run, check, quiet_cpu_ns
from tests.bench.rows import compare
from tests.e2e.parts import environment, tool
from tests.e2e.process import can_connect, free_port

SESSIONS, NEW, KEPT = 20, 2000, 4000


def _source(rig, server, messages, is_kept):
    """One run of smtp-source."""
    messages = rig.count(messages)
    command = [tool("smtp-source"), *(["-d"] if is_kept else []),
               "-s", str(SESSIONS), "-m", str(messages),
               "-f", "alice@sender.example", "-t", "bob@backend.example",
               "-M", "mx.sender.example", "-F", str(rig.mails.good().path),
               f"127.0.0.1:{server.port}"]
    before, start = quiet_cpu_ns(server.pid), time.monotonic()
    subprocess.run(command, env=environment(), check=True, timeout=300)
    seconds = time.monotonic() - start
    spent = quiet_cpu_ns(server.pid) - before
    if server.gate:
        check(server, {"messages": messages, "accepted": messages,
                       "refused": {}})
    return Run(spent / 1e6 / messages, messages / seconds, {})


def measure(rig, _):
    port = free_port()
    sink = rig.start("smtp-sink", tool("smtp-sink"), "-u", "nobody",
                     f"127.0.0.1:{port}", "1000")
    sink.wait_for(lambda: can_connect(port))
    servers = {"haproxy": rig.new_haproxy("haproxy-reference", sink=port),
               "gate": rig.new_gate("gate-reference", sink=port)}
    for is_kept, messages in (False, NEW), (True, KEPT):
        done = rig.turn_by_turn({
            name: lambda server=server: _source(rig, server, messages, is_kept)
            for name, server in servers.items()})
        way = "kept" if is_kept else "new"
        yield compare(f"reference-{way}", "smtp-source, smtp-sink: 10 KB, " +
                      ("kept" if is_kept else "new"), None,
                      done["gate"], done["haproxy"])
    rig.drop(servers["gate"])
