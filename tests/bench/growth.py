# SPDX-License-Identifier: BSD-2-Clause
"""Whether a message costs more when there is more of something: sessions,
cached names, verdict lines."""

import math
import statistics

from tests.bench.mails import tiny
from tests.bench.rig import check, die, drive, run
from tests.bench.rows import Row
from tests.e2e.parts import txt

FLAT = 1.25
SESSIONS = (1, 20, 200, 2000)
NAMES = tuple(10 ** n for n in range(2, 7))
LINES = tuple(10 ** n for n in range(3, 8))
MESSAGES = 2000

# Each name below names.example is one that matches nobody. A sender below
# fill.example includes ten of them, so that a cache is filled by a tenth of as
# many messages; SPF says neutral of them all, and the signature passes.
FILL = 10
ZONE = "".join([
    txt("*.names.example.", "v=spf1 ip4:192.0.2.1 ?all", 36000),
    txt("fill.example.", "v=spf1 " + " ".join(
        f"include:%{{l}}{digit}.names.example" for digit in range(FILL)) +
        " ?all", 36000)])


def _row(name, what, done, unit):
    """done: {level: [Run]}. Each by the middle of all levels in its turn; the
    value is the dearest level over the cheapest."""
    middles = [statistics.median(each.cpu_ms for each in turn)
               for turn in zip(*done.values())]
    medians = {level: statistics.median(
        each.cpu_ms / middle for each, middle in zip(runs, middles))
        for level, runs in done.items()}
    cpu = {level: statistics.median(each.cpu_ms for each in runs)
           for level, runs in done.items()}
    value = max(medians.values()) / min(medians.values())
    return Row(name, what, value, "x", FLAT,
               detail={"cpu_ms": cpu, "ratio_to_middle": medians},
               note="ms: " + ", ".join(f"{_short(level)}: {cpu[level]:.3f}"
                                       for level in done) + f" {unit}")


def _short(level):
    power = round(math.log10(level))
    return (f"10^{power}" if level >= 100 and level == 10 ** power
            else str(level))


def measure_sessions(rig, _):
    """Connections are kept; each sends four messages at least."""
    gate, mail = rig.gate(), rig.mails.good()

    def runner(server, sessions):
        # One session alone has nothing to do while it waits: fewer will do.
        count = rig.count(1000 if sessions == 1 else 4000)
        return lambda: run(server, mail, sessions=sessions, kept=True,
                           messages=max(count, 4 * sessions))
    done = rig.turn_by_turn({
        (server.name, level): runner(server, level)
        for level in SESSIONS for server in (gate, rig.haproxy())})
    rows = [_row("growth-sessions", "growth: 1 to 2,000 sessions",
                 {level: done[server.name, level] for level in SESSIONS},
                 "sessions") for server in (gate, rig.haproxy())]
    rows[0].detail["haproxy"] = {"value": rows[1].value, **rows[1].detail}
    rows[0].note += f"; HAProxy's: {rows[1].value:.2f} x"
    yield rows[0]


def _fill(rig, server, names):
    """Have the gate ask for so many names, each once."""
    mail = rig.mails.named(
        f"fill-{names}", tiny(), **{"from": "%@fill.example", "in-order": 1,
                                    "names": names // FILL, "base": names})
    said = drive(server, mail, sessions=50, messages=names // FILL, kept=True)
    lines = server.lines(said["messages"])
    if not all(b'"spf":{"result":"neutral"' in line for line in lines):
        die("the names for the cache are not there")


def measure_names(rig, _):
    """A gate for each number; the senders are any of its names. That they
    were in the cache is seen in the verdict lines."""
    runs = {}
    for names in NAMES:
        names //= rig.divide
        server = rig.new_gate(f"gate-{names}-names",
                              resolver={"cache-size": "4G"})
        _fill(rig, server, names)
        mail = rig.mails.named(
            f"named-{names}", rig.mails.good().path.read_bytes(),
            **{"from": "x@%.names.example", "names": names,
               "base": names * FILL})
        runs[names] = _named_runner(rig, server, mail)
    yield _row("growth-names", "growth: 10^2 to 10^6 cached names",
               rig.turn_by_turn(runs), "names")
    for name in [name for name in rig.gates if name.endswith("-names")]:
        rig.drop(rig.gates[name])


def _named_runner(rig, server, mail):
    def once():
        return run(server, mail, sessions=20, messages=rig.count(MESSAGES),
                   cached=".names.example")
    return once


def _lengthen(server, lines):
    """Write lines of 100 octets into a gate's verdict log while it is
    down."""
    log = server.gate.spool / "verdict.log"
    line = (b'{"v":1,"time":"2026-11-29T12:00:00.000000Z","id":"bench",'
            b'"gate":"gate.example","action":"relay"}\n')
    block = line * 10000
    with open(log, "ab") as file:
        for _ in range(lines // 10000):
            file.write(block)
        file.write(line * (lines % 10000))
    server.taken = log.stat().st_size


def measure_lines(rig, _):
    """A gate for each number of lines that its log has when it starts. They
    are short, and written into it: messages for 10^7 would take an hour."""
    runs = {}
    for lines in LINES:
        lines //= rig.divide
        server = rig.new_gate(f"gate-{lines}-lines")
        check(server, drive(server, rig.mails.good(), messages=1))
        server.gate.stop()
        _lengthen(server, lines)
        server.gate.start()
        server.pid = server.gate.process.pid
        runs[lines] = _line_runner(rig, server)
    yield _row("growth-lines", "growth: 10^3 to 10^7 verdict lines",
               rig.turn_by_turn(runs), "lines")
    for name in [name for name in rig.gates if name.endswith("-lines")]:
        server = rig.gates[name]
        rig.drop(server)
        (server.gate.spool / "verdict.log").unlink()


def _line_runner(rig, server):
    return lambda: run(server, rig.mails.good(), sessions=20,
                       messages=rig.count(MESSAGES))
