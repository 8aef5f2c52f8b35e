# SPDX-License-Identifier: BSD-2-Clause
"""What a message costs: dmarcgate beside HAProxy as a plain TCP relay.

Both stand between the same smtp-source and the same smtp-sink (Postfix's), in
one run, turn by turn; a name server answers on the loopback and the gate's
cache is warm. The gate judges every message (SPF, one RSA-2048 signature,
DMARC pass) and writes its verdict line. CPU time is what the kernel's
scheduler counted for all threads of the proxy alone.

Before that, what a session costs in memory that only waits: idle.py; what our
engines of DKIM and SPF cost beside the libraries: engines.py; and what messages
cost that are made to cost much: tests/e2e/hostile.py.

Absolute figures of a shared machine mean little: look at the ratio.
"""

import argparse
import json
import random
import statistics
import string
import subprocess
import sys
import time
from pathlib import Path

import dkim

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.bench import engines, idle  # noqa: E402
from tests.e2e import hostile  # noqa: E402
from tests.e2e.gate import Gate  # noqa: E402
from tests.e2e.parts import Nsd, environment, tool, txt  # noqa: E402
from tests.e2e.process import (Process, can_connect,  # noqa: E402
                               free_port, scratch)
from tests.e2e.senders import key  # noqa: E402

HAPROXY_CFG = """\
global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen smtp
  bind 127.0.0.1:{port}
  server s1 127.0.0.1:{sink}
"""

# size in KB: sessions, messages with a new connection each, messages kept
SIZES = {2: (20, 4000, 4000), 10: (20, 4000, 4000), 100: (20, 1000, 1000),
         1000: (4, 100, 100)}


def make_message(kilobytes, pem):
    """A signed message of about that size, with LF line ends as smtp-source
    wants them."""
    chance = random.Random(kilobytes)
    head = (b"From: Alice <alice@sender.example>\r\n"
            b"To: bob@backend.example\r\n"
            b"Subject: bench message of %d KB\r\n"
            b"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
            b"Message-ID: <bench-%d@sender.example>\r\n\r\n"
            % (kilobytes, kilobytes))
    lines = []
    size = len(head)
    while size < kilobytes * 1024:
        line = "".join(chance.choices(string.ascii_lowercase + "     ", k=72))
        lines.append(line.strip().encode() + b"\r\n")
        size += len(lines[-1])
    message = head + b"".join(lines)
    signature = dkim.sign(message, b"s1", b"sender.example", pem,
                          canonicalize=(b"relaxed", b"relaxed"),
                          include_headers=[b"from", b"to", b"subject",
                                           b"date", b"message-id"])
    return (signature + message).replace(b"\r\n", b"\n")


def make_zone(public):
    return "".join([
        "sender.example. 3600 IN A 127.0.0.1\n",
        txt("sender.example.", "v=spf1 ip4:127.0.0.1 -all", 3600),
        txt("_dmarc.sender.example.", "v=DMARC1; p=reject", 3600),
        txt("s1._domainkey.sender.example.", f"v=DKIM1; k=rsa; p={public}",
            3600)])


def cpu_ns(pids):
    """CPU time of all threads of these processes so far."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total


def descendants(pid):
    """A process and all below it."""
    found = [pid]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += descendants(int(child))
    return found


class Relay:
    """One of the two programs: where it listens, whose CPU time counts."""

    def __init__(self, name, port, pid):
        self.name, self.port, self.pid = name, port, pid


def run(relay, source, message, sessions, messages, is_kept):
    """CPU-ms per message and messages per second of one run."""
    pids = descendants(relay.pid)
    command = [source, *(["-d"] if is_kept else []), "-s", str(sessions),
               "-m", str(messages), "-f", "alice@sender.example",
               "-t", "bob@backend.example", "-M", "mx.sender.example",
               "-F", str(message), f"127.0.0.1:{relay.port}"]
    before, start = cpu_ns(pids), time.monotonic()
    subprocess.run(command, env=environment(), check=True, timeout=300)
    seconds = time.monotonic() - start
    spent = cpu_ns(pids) - before
    return spent / 1e6 / messages, messages / seconds


def check_verdicts(gate, expected):
    """Every message must have been judged, passed and taken: else the figures
    are of something else."""
    lines = gate.wait_verdicts(expected, seconds=30)
    if len(lines) != expected:
        raise SystemExit(f"bench: {len(lines)} verdicts, not {expected}")
    wrong = [line for line in lines
             if line["dmarc"]["result"] != "pass" or not line["accepted"]]
    if wrong:
        raise SystemExit(f"bench: not passed: {json.dumps(wrong[0])}")


def measure(options, gate, relays, source, messages):
    """Rows of (size, is_kept, {name: [(cpu, rate)]})."""
    expected = 0
    for size, (sessions, new, kept) in SIZES.items():
        if options.sizes and size not in options.sizes:
            continue
        for is_kept in False, True:
            count = max(sessions, (kept if is_kept else new) // options.divide)
            figures = {relay.name: [] for relay in relays}
            for turn in range(options.runs + 1):
                for relay in relays:
                    figure = run(relay, source, messages[size], sessions,
                                 count, is_kept)
                    expected += count if relay.name == "dmarcgate" else 0
                    if turn > 0:  # the first run warms up
                        figures[relay.name].append(figure)
            yield size, is_kept, figures
    check_verdicts(gate, expected)


def print_row(size, is_kept, figures):
    cpu = {name: statistics.median(c for c, _ in rows)
           for name, rows in figures.items()}
    rate = {name: statistics.median(r for _, r in rows)
            for name, rows in figures.items()}
    ratios = [a[0] / b[0] for a, b in zip(figures["dmarcgate"],
                                          figures["haproxy"])]
    print(f"{size:>6} KB {'kept' if is_kept else 'new ':4} "
          f"{cpu['dmarcgate']:>9.3f} {cpu['haproxy']:>9.3f} "
          f"{statistics.median(ratios):>7.2f} "
          f"({min(ratios):.2f}-{max(ratios):.2f}) "
          f"{rate['dmarcgate']:>8.0f} {rate['haproxy']:>8.0f}", flush=True)


def print_parts(options, home, pem, public):
    """What is no comparison of relays; true if no more was asked for."""
    parts = {
        "idle": idle.report,
        "engines": lambda: engines.report(
            home, make_message(10, pem).replace(b"\n", b"\r\n"),
            make_zone(public)),
        "hostile": lambda: hostile.report(home),
    }
    chosen = [name for name in parts if getattr(options, name)]
    for name in chosen or parts:
        parts[name]()
    return bool(chosen)


def start_relays(home):
    sink_port, haproxy_port = free_port(), free_port()
    sink = Process([tool("smtp-sink"), "-u", "nobody", f"127.0.0.1:{sink_port}",
                    "1000"], home / "sink.log", env=environment())
    sink.wait_for(lambda: can_connect(sink_port))
    (home / "haproxy.cfg").write_text(
        HAPROXY_CFG.format(port=haproxy_port, sink=sink_port))
    haproxy = Process([tool("haproxy"), "-f", home / "haproxy.cfg", "-db"],
                      home / "haproxy.log", env=environment())
    haproxy.wait_for(lambda: can_connect(haproxy_port))
    return sink, sink_port, haproxy, haproxy_port


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3,
                        help="counted runs of each (3)")
    parser.add_argument("--divide", type=int, default=1,
                        help="send this many times fewer messages")
    parser.add_argument("--sizes", type=int, nargs="*", help="KB: 2 10 100 1000")
    parser.add_argument("--idle", action="store_true",
                        help="only what an idle session costs")
    parser.add_argument("--engines", action="store_true",
                        help="only the engines of DKIM and SPF")
    parser.add_argument("--hostile", action="store_true",
                        help="only what hostile messages cost")
    options = parser.parse_args()
    home = scratch("bench")
    pem, public = key()
    if print_parts(options, home, pem, public):
        return
    messages = {}
    for size in SIZES:
        messages[size] = home / f"message-{size}"
        messages[size].write_bytes(make_message(size, pem))
    sink, sink_port, haproxy, haproxy_port = start_relays(home)
    try:
        with Nsd(make_zone(public)) as nsd, Gate(
                backend=sink_port, dns=nsd.port, identity="none",
                backend_settings={"trust-unidentified": True}) as gate:
            relays = [Relay("dmarcgate", gate.plain_port, gate.process.pid),
                      Relay("haproxy", haproxy_port, haproxy.pid)]
            print("               CPU-ms per message                      "
                  "messages/s\n"
                  "   size conn dmarcgate   haproxy   ratio (min-max)  "
                  "dmarcgate  haproxy", flush=True)
            for row in measure(options, gate, relays, tool("smtp-source"),
                               messages):
                print_row(*row)
    finally:
        haproxy.stop()
        sink.stop()


if __name__ == "__main__":
    main()
