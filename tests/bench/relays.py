# SPDX-License-Identifier: BSD-2-Clause
"""CPU time per message beside HAProxy as a TCP relay that looks at nothing:
the same source, the same sink, the same run, turn by turn."""

import itertools
import os
import statistics

from tests.bench.rig import die, run
from tests.bench.rows import Row, compare, median_rate

SESSIONS = 20
NEW, KEPT = 1000, 2000
CPUS_MIN = 6  # with fewer, source and sink are in the way of a second worker
HALVES = 2  # so many times as many turns, of the shorter runs of 10 KB
# name: what, target, identity, is kept
AGAINST = {
    "new": ("10 KB, new connection each", 1.75, "none", False),
    "proxy": ("10 KB, new connection each, PROXY v2", 1.8, "proxy-v2", False),
    "xclient": ("10 KB, new connection each, XCLIENT", 2.2, "xclient", False),
    "kept": ("10 KB, connection kept", 2.0, "none", True),
}
# KB: sessions, messages
SIZES = {2: (20, 2000), 100: (20, 600), 1000: (4, 60)}


def _runner(rig, server, mail, sessions, messages, is_kept):
    def once():
        return run(server, mail, sessions=sessions,
                   messages=rig.count(messages), kept=is_kept)
    return once


def _contest(rig, servers, kilobytes, sessions, messages, is_kept):
    mail = rig.mails.good(kilobytes)
    return rig.turn_by_turn({
        name: _runner(rig, server, mail, sessions, messages, is_kept)
        for name, server in servers.items()},
        rig.turns * (HALVES if kilobytes == 10 else 1))


def measure_new(rig, chosen):
    """new, proxy, xclient, self: all in one contest."""
    servers = {"haproxy": rig.haproxy()}
    for name in chosen:
        if name in AGAINST:
            servers[name] = rig.gate(AGAINST[name][2])
    if "self" in chosen:
        servers = {"one": rig.gate(), **servers, "other": rig.gate()}
    done = _contest(rig, servers, 10, SESSIONS, NEW, False)
    for name in chosen:
        if name in AGAINST:
            what, target, _, _ = AGAINST[name]
            yield compare(name, what, target, done[name], done["haproxy"])
    if "self" in chosen:
        yield compare("self", "self check: the gate against itself", None,
                      done["one"], done["other"], ("once", "again"))


def measure_kept(rig, _):
    what, target, identity, is_kept = AGAINST["kept"]
    done = _contest(rig, {"haproxy": rig.haproxy(), "gate": rig.gate(identity)},
                    10, SESSIONS, KEPT, is_kept)
    yield compare("kept", what, target, done["gate"], done["haproxy"])


def measure_sizes(rig, _):
    """No targets: how it goes with other sizes."""
    servers = {"haproxy": rig.haproxy(), "gate": rig.gate()}
    for size, (sessions, messages) in SIZES.items():
        for is_kept in False, True:
            done = _contest(rig, servers, size, sessions, messages, is_kept)
            way = "kept" if is_kept else "new"
            yield compare(
                f"{size}-{way}", f"{size} KB, " +
                ("connection kept" if is_kept else "new connection each"),
                None, done["gate"], done["haproxy"])


def measure_forged(rig, _):
    """A forged message that is refused, against a good one that is taken:
    both have a signature to be verified."""
    gate = rig.gate()
    done = rig.turn_by_turn({
        "good": _runner(rig, gate, rig.mails.good(), SESSIONS, NEW, False),
        "forged": lambda: run(gate, rig.mails.forged(), results=("fail",),
                              sessions=SESSIONS, messages=rig.count(NEW))},
        rig.turns * HALVES)
    yield compare("forged", "10 KB forged and refused, against accepted", 1.0,
                  done["forged"], done["good"], ("forged", "accepted"))


def measure_tls(rig, _):
    """STARTTLS with a new handshake for each message, against HAProxy that
    ends TLS: the same key, suite and curve, nothing resumed."""
    servers = {"haproxy": rig.haproxy(is_tls=True),
               "gate": rig.gate(is_tls=True)}
    done = _contest(rig, servers, 10, SESSIONS, 500, False)
    names = {run.said["tls"] for runs in done.values() for run in runs}
    if len(names) != 1:
        die(f"not the same TLS: {names}")
    row = compare("starttls", "10 KB, STARTTLS, new handshake each", 1.3,
                  done["gate"], done["haproxy"])
    row.detail["tls"] = names.pop()
    row.note += ", HAProxy ends TLS too"
    yield row


def measure_workers(rig, _):
    servers = {"one": rig.gate(), "two": rig.gate(workers=2)}
    done = _contest(rig, servers, 10, SESSIONS, NEW, False)
    row = compare("workers", "10 KB, two workers, against one", 1.1,
                  done["two"], done["one"], ("two workers", "one worker"))
    if os.cpu_count() >= CPUS_MIN:
        faster = median_rate(done["two"]) / median_rate(done["one"])
        row.note += f"; {faster:.2f} times the rate"
    yield row


def measure_latency(rig, _):
    """Open loop at half of the rate that the gate makes in a closed one: how
    much later than HAProxy's the reply to the final dot comes."""
    servers = {"haproxy": rig.haproxy(), "gate": rig.gate()}
    mail = rig.mails.good()
    closed = [run(servers["gate"], mail, sessions=SESSIONS,
                  messages=rig.count(NEW)).rate for _ in range(5)]
    rate = statistics.median(closed) / 2

    def runner(server):
        seeds = itertools.count(1)  # in each turn the same arrivals for all
        return lambda: run(server, mail, sessions=400, rate=f"{rate:.3f}",
                           seconds=max(1, 4 / rig.divide), seed=next(seeds))
    done = rig.turn_by_turn({name: runner(server)
                             for name, server in servers.items()})
    for point, target in ("p50", 0.3), ("p99", 2.0):
        yield _later(point, target, rate, done)


def _later(point, target, rate, done):
    times = {name: [each.said["dot_us"][point] / 1000 for each in runs]
             for name, runs in done.items()}
    whole = {name: statistics.median(
        each.said["transaction_us"][point] / 1000 for each in runs)
        for name, runs in done.items()}
    later = [ours - theirs
             for ours, theirs in zip(times["gate"], times["haproxy"])]
    return Row(f"dot-{point}", f"final dot to reply later, {point}, half load",
               statistics.median(later), "ms", target, min(later), max(later),
               {"rate": rate, "ms": times, "transaction_ms": whole},
               f"{statistics.median(times['gate']):.3f} ms against "
               f"{statistics.median(times['haproxy']):.3f} ms at "
               f"{rate:.0f} messages/s")
