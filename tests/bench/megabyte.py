# SPDX-License-Identifier: BSD-2-Clause
"""CPU time of a 1 MB message against what SHA-256 of as many octets takes by
`openssl speed` in the same turn: no proxy that verifies DKIM can do with
less."""

import re
import statistics
import subprocess

from tests.bench.rig import die, run
from tests.bench.rows import Row

SESSIONS, MESSAGES = 4, 100


def sha256_ms(octets):
    """User CPU time of SHA-256 of so many octets."""
    done = subprocess.run(
        ["openssl", "speed", "-mr", "-seconds", "1", "-bytes", str(1 << 20),
         "-evp", "sha256"], text=True, capture_output=True, check=False,
        timeout=60)
    # +F:22:sha256:OCTETS-A-SECOND
    found = re.search(r"^\+F:\d+:[\w-]+:([\d.]+)$", done.stdout, re.M | re.I)
    if not found or float(found[1]) <= 0:
        die(f"openssl speed said {done.stdout!r} {done.stderr!r}")
    return octets / float(found[1]) * 1000


def measure(rig, _):
    gate = rig.gate()
    mail = rig.mails.good(1024)
    speeds = []

    def hash_it():
        speeds.append(sha256_ms(mail.octets))

    runs = {
        "hash": hash_it,
        "gate": lambda: run(gate, mail, sessions=SESSIONS, kept=True,
                            messages=rig.count(MESSAGES))}
    done = rig.turn_by_turn(runs)["gate"]
    del speeds[0]  # that of warming up
    each = [a.cpu_ms / b for a, b in zip(done, speeds)]
    cpu = statistics.median(a.cpu_ms for a in done)
    yield Row("megabyte", "1 MB, against SHA-256 of it by openssl speed",
              statistics.median(each), "x", 3.5, min(each), max(each),
              {"cpu_ms": {"dmarcgate": cpu,
                          "sha256": statistics.median(speeds)},
               "octets": mail.octets, "ratios": each},
              f"{cpu:.3f} ms against {statistics.median(speeds):.3f} ms")
