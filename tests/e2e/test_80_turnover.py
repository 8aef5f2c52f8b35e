# SPDX-License-Identifier: BSD-2-Clause
"""Fifty reloads and ten rotations under load: no session, no message and no
verdict line is lost, and a follower sees each line once."""

import json
import subprocess
import threading

from tests.e2e.gate import DMARCGATECTL
from tests.e2e.parts import environment, tool
from tests.e2e.process import Process, can_connect, free_port, scratch
from tests.e2e.senders import zone

RELOADS, ROTATIONS = 50, 10
SESSIONS, BATCH = 10, 100


class Load:
    """smtp-source, again and again, each batch over connections of its own,
    until it is told to stop. It fails at the first reply that is not the one
    it wants."""

    def __init__(self, port):
        self.port, self.sent, self.faults = port, 0, []
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join(120)

    def _run(self):
        while not self.is_over.is_set():
            batch = subprocess.run(
                [tool("smtp-source"), "-s", str(SESSIONS), "-m", str(BATCH),
                 "-l", "2000", "-f", "x@none.example",
                 "-t", "bob@backend.example", "-M", "mx.none.example",
                 f"127.0.0.1:{self.port}"],
                env=environment(), stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
            if batch.returncode != 0:
                self.faults.append(batch.stdout)
                return
            self.sent += BATCH


def lines_of(text):
    """Verdict lines by id; each must be there once."""
    ids = [json.loads(line)["id"] for line in text.splitlines()]
    assert len(ids) == len(set(ids)), "a line came twice"
    return set(ids)


def test_reloads_and_rotations_under_load(gate, capsys):
    home, port = scratch("turnover"), free_port()
    sink = Process([DMARCGATECTL, "sink", "--listen", f"127.0.0.1:{port}",
                    "--directory", home, "--quiet"], home / "output")
    follower = None
    try:
        sink.wait_for(lambda: can_connect(port))
        mx = gate(backend=port, zone=zone(), top={"workers": 2},
                  spool={"rotate-size": "16k"})
        follower = Process([DMARCGATECTL, "log", "--follow", "--json",
                            "--spool", mx.spool], home / "followed")
        with Load(mx.plain_port) as load:
            for number in range(RELOADS):
                mx.configure(hostname=f"n{number}.example")
                mx.reload()
                assert not load.faults, load.faults
            mx.configure("nonsense\n")
            mx.signal(1)
            mx.wait_event("reload-refused")
            mx.wait_event("spool-rotated", ROTATIONS, 60)
        assert not load.faults, load.faults
        assert load.sent > 0
        delivered = len(list(home.glob("*.eml")))
        assert delivered == load.sent
        follower.wait_for(
            lambda: follower.text().count("\n") >= load.sent, 30,
            "see every line")
        mx.stop()
        logged = lines_of(subprocess.run(
            [DMARCGATECTL, "log", "--json", "--spool", mx.spool],
            text=True, stdout=subprocess.PIPE, check=True, timeout=60).stdout)
        assert len(logged) == load.sent
        assert follower.stop() == 0
        assert lines_of(follower.text()) == logged
        rotations = len(mx.events("spool-rotated"))
        with capsys.disabled():
            print(f"\nturnover: {RELOADS} reloads, {rotations} rotations, "
                  f"{load.sent} sessions and messages: 0 lost; "
                  f"{len(logged)} verdict lines: 0 lost, 0 twice")
    finally:
        for process in sink, follower:
            if process is not None:
                process.stop()
