# SPDX-License-Identifier: BSD-2-Clause
"""What a message costs: each target beside what is measured.

dmarcgate and HAProxy, a TCP relay that looks at nothing, stand between the same
source (load.c) and the same sink (sink.c), in one run, turn by turn; a name
server answers on the loopback and the gate's cache is warm. The gate judges
every message (SPF, one RSA-2048 signature, DMARC) in enforce mode with its
native engines and writes its verdict line; the lines are counted and looked at
after each run.

Absolute figures of a shared machine mean little: look at the ratios, which are
medians over the turns of what one turn gives.
"""

import argparse
import datetime
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.bench import (engines, growth, idle, large,  # noqa: E402
                         megabyte, peers, plot, reference,
                         relays, syscalls)
from tests.bench.rig import Rig  # noqa: E402
from tests.bench.rows import print_head, print_row, write_json  # noqa: E402
from tests.e2e import hostile  # noqa: E402
from tests.e2e.parts import environment, tool  # noqa: E402

RESULTS = ROOT / "tests" / "bench" / "results"


def hostile_messages(rig, _):
    """No rows: it prints a table of its own."""
    hostile.report(rig.home)
    return ()


# The names of the rows that a part can measure together; the part.
PARTS = (
    (("new", "proxy", "xclient", "self"), relays.measure_new),
    (("kept",), relays.measure_kept),
    (("megabyte",), megabyte.measure),
    (("forged",), relays.measure_forged),
    (("latency",), relays.measure_latency),
    (("starttls",), relays.measure_tls),
    (("workers",), relays.measure_workers),
    (("enters",), syscalls.measure),
    (("idle",), idle.measure),
    (("large",), large.measure),
    (("growth-sessions",), growth.measure_sessions),
    (("growth-names",), growth.measure_names),
    (("growth-lines",), growth.measure_lines),
    (("reference",), reference.measure),
    (("peers",), peers.measure),
    (("sizes",), relays.measure_sizes),
    (("engines",), engines.measure),
    (("hostile",), hostile_messages),
)
NAMES = [name for names, _ in PARTS for name in names]


def _version(*command):
    """The first line that a program says of itself."""
    return subprocess.run(command, env=environment(), check=True, text=True,
                          stdout=subprocess.PIPE).stdout.splitlines()[0]


def machine():
    """What it was measured on."""
    cpus = [line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")]
    commit = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime(
                "%Y-%m-%dT%H:%M:%SZ"),
            "cpu": cpus[0] if cpus else platform.machine(),
            "cpus": os.cpu_count(), "kernel": platform.release(),
            "commit": commit.stdout.strip(),
            "openssl": _version("openssl", "version"),
            "haproxy": _version(tool("haproxy"), "-v")}


def options_of(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAME,…", default=",".join(NAMES),
                        help="of " + ", ".join(NAMES))
    parser.add_argument("--turns", type=int, default=5,
                        help="counted turns of each (5)")
    parser.add_argument("--results", type=Path, metavar="FOLDER",
                        help="write bench.json and bench.svg there; without "
                        "--only it is tests/bench/results")
    parser.add_argument("--fetch-peers", action="store_true",
                        help="download OpenDKIM, OpenDMARC and rspamd, and "
                        "unpack them into build/parts")
    parser.add_argument("--divide", type=int, default=1,
                        help="send this many times fewer messages")
    options = parser.parse_args(words)
    options.only = options.only.split(",")
    if options.only == NAMES and options.results is None:
        options.results = RESULTS
    unknown = set(options.only) - set(NAMES)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return options


def measure(options):
    """Print each row when it is there; all of them."""
    rows = []
    print_head()
    with Rig(options.turns, options.divide, growth.ZONE) as rig:
        for names, part in PARTS:
            chosen = [name for name in names if name in options.only]
            if not chosen:
                continue
            for row in part(rig, chosen):
                print_row(row)
                rows.append(row)
    return rows


def main():
    options = options_of(sys.argv[1:])
    if options.fetch_peers:
        peers.fetch()
    start = time.monotonic()
    rows = measure(options)
    missed = [row.name for row in rows if row.is_met is False]
    print(f"{len(rows)} rows in {time.monotonic() - start:.0f} s, "
          f"{len(missed)} targets missed" +
          (f": {', '.join(missed)}" if missed else ""))
    if options.results:
        options.results.mkdir(parents=True, exist_ok=True)
        write_json(options.results / "bench.json", rows, machine())
        plot.write(options.results / "bench.svg", rows, machine())


if __name__ == "__main__":
    main()
