# SPDX-License-Identifier: BSD-2-Clause
"""1,000 workers are killed while verdict lines are written. A kill in the
middle of a write tears a line; all that was written whole is read again, and
whoever has heard a reply has his line."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import time
from collections import Counter

from tests.e2e import parts
from tests.e2e.gate import DMARCGATECTL, Gate
from tests.e2e.parts import txt
from tests.e2e.process import Process, can_connect, free_port, scratch
from tests.kill import books, spool, victims
from tests.kill.pump import Pump

KILLS = 1000
KILLS_MAX = 5 * KILLS  # until a line is torn
WORKERS = 12
WORKERS_MIN = 3
PUMPS = 6
DELAY_MAX = 0.0005  # seconds, till he is killed

# So many long records under one name make lines of almost 32 KiB, the most
# that there is, at the least expense: it is the writing that shall take long.
DOMAIN = "long.example"
ZONE = "".join(
    [txt(DOMAIN, "v=spf1 -all"), txt(f"_dmarc.{DOMAIN}", "v=DMARC1; p=reject")]
    + [txt(DOMAIN, f"token-{number:02}={'x' * 1000}") for number in range(30)])


class Sink:
    """A backend that is fast, and gets no more than envelopes."""

    def __init__(self):
        self.port, home = free_port(), scratch("sink")
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.process = Process([parts.tool("smtp-sink"), *user,
                                f"127.0.0.1:{self.port}", "100"],
                               home / "output", env=parts.environment())
        self.process.wait_for(lambda: can_connect(self.port))


def kill_many(gate, pumps):
    """One after the other, each while somebody waits for his line."""
    chance, killed = random.Random(1), 0
    while killed < KILLS:
        workers = gate.workers()
        if len(workers) < WORKERS_MIN:
            start_anew(gate)
            continue
        victim = victims.wait_until(lambda: chance.choice(pumps).worker,
                                    "somebody waits")
        time.sleep(chance.random() * DELAY_MAX)
        if victim in workers and not victims.is_gone(victim):
            victims.kill(victim)
            killed += 1
    return killed


def start_anew(gate):
    """The master gives those that die young ever longer pauses. What is left
    of the workers would be waited for by sessions that never end."""
    for worker in gate.workers():
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
    gate.stop()
    gate.start()


def recover(directory):
    """What `dmarcgatectl log` prints: ids, and how many lines it calls torn.
    """
    said = subprocess.run([DMARCGATECTL, "log", "--json", "--spool",
                           directory], capture_output=True, check=True)
    ids = Counter(json.loads(line)["id"]
                  for line in said.stdout.splitlines())
    torn = re.findall(rb"(\d+) torn or foreign line", said.stderr)
    return ids, sum(map(int, torn))


def run_once(gate):
    """KILLS; how many they were, and the ids that were heard meanwhile."""
    pumps = [Pump(gate, DOMAIN) for _ in range(PUMPS)]
    for pump in pumps:
        pump.start()
    killed = kill_many(gate, pumps)
    for pump in pumps:
        pump.stop()
    gate.stop()
    return killed, [each for pump in pumps for each in pump.heard]


def test_a_thousand_kills():
    sink = Sink()
    gate = Gate(backend=sink.port, identity="none", zone=ZONE,
                backend_settings={"trust-unidentified": True},
                limit={"connections-per-address": 0},
                spool={"rotate-size": "8M"}, top={"workers": WORKERS})
    killed, heard = run_once(gate)
    raw = spool.read(gate.spool)
    # Some two in a hundred tear a line; under a sanitizer it is fewer.
    while raw.torn == 0 and killed < KILLS_MAX:
        gate.start()
        more = run_once(gate)
        killed, heard = killed + more[0], heard + more[1]
        raw = spool.read(gate.spool)
    sink.process.stop()
    printed, torn = recover(gate.spool)
    missing = set(heard) - printed.keys()
    books.note(f"verdict writes: killed {killed} workers; {len(printed)} lines "
               f"recovered from {raw.files} files, {torn} torn; {len(heard)} "
               f"replies heard, {len(missing)} without a line")
    assert not missing
    assert len(set(heard)) == len(heard)
    assert set(printed.values()) == {1}
    assert printed.keys() == {line["id"] for line in raw.verdicts}
    assert 0 < torn == raw.torn <= killed
    assert raw.files > 1
