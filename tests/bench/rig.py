# SPDX-License-Identifier: BSD-2-Clause
"""What stands around a measurement: a name server, one sink, HAProxy and gates
in front of it, and the load that is driven through them.

CPU time of a proxy is that of all its processes with all their threads, those
included that the kernel runs for its io_uring and those that have ended: the
clocks of its processes, as the kernel's scheduler counts them, in ns.
"""

import json
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.mails import Mails, zone
from tests.e2e.certificates import Authority
from tests.e2e.gate import BUILD, Gate
from tests.e2e.parts import Nsd, environment, tool
from tests.e2e.process import Process, can_connect, free_port, scratch

LOAD = BUILD / "tests" / "bench" / "load"
SINK = BUILD / "tests" / "bench" / "sink"
LOAD_SECONDS = 300

HAPROXY_CFG = """\
global
  nbthread 1
  maxconn 5000
  ssl-default-bind-curves X25519
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen smtp
  bind 127.0.0.1:{port}{tls}
  server s1 127.0.0.1:{sink} maxconn 5000
"""


def die(text):
    sys.exit(f"bench: {text}")


def descendants(pid):
    """A process and all below it."""
    found = [pid]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += descendants(int(child))
    return found


def cpu_ns(pid):
    """CPU time of this process and all below it so far: CPUCLOCK_SCHED of
    each, which is the sum of its threads, with those that are no more."""
    return sum(time.clock_gettime_ns((~each << 3) | 2)
               for each in descendants(pid))


def quiet_cpu_ns(pid):
    """The same once it rests: what is left to do of the last connections is
    theirs."""
    before = cpu_ns(pid)
    for _ in range(100):
        time.sleep(0.01)
        now = cpu_ns(pid)
        if now - before < 100_000:
            return now
        before = now
    return before


@dataclass
class Run:
    """What came of one load."""

    cpu_ms: float  # of the proxy, by the message
    rate: float    # messages a second
    said: dict     # load's report


@dataclass
class Server:
    """What a load is driven through."""

    name: str
    port: int
    pid: int
    gate: Gate = None
    words: tuple = ()  # more words for load
    taken: int = field(default=0)  # octets of its verdict log that were read

    def lines(self, count):
        """As many more verdict lines as messages were sent, not one fewer or
        more. Of its own verdict log only what is new is read."""
        log = self.gate.spool / "verdict.log"
        deadline = time.monotonic() + 30
        while True:
            with open(log, "rb") as file:
                file.seek(self.taken)
                octets = file.read()
            lines = [line for line in octets.split(b"\n")[:-1]
                     if b'"action":' in line]
            if len(lines) >= count or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        if len(lines) != count:
            die(f"{self.name}: {len(lines)} verdicts for {count} messages")
        self.taken += octets.rindex(b"\n") + 1
        return lines

    def verdicts(self, count):
        """The same, parsed."""
        return [json.loads(line) for line in self.lines(count)]


def drive(server, *mails, **options):
    """Run load; its report. Any error in it is the end."""
    words = [f"--mail={mail}" for mail in mails]
    for word, value in options.items():
        if value is True:
            words.append(f"--{word}")
        elif value:
            words.append(f"--{word}={value}")
    done = subprocess.run([LOAD, f"--port={server.port}", *server.words,
                           *words], stdout=subprocess.PIPE, text=True,
                          timeout=LOAD_SECONDS, check=False)
    said = json.loads(done.stdout) if done.stdout else {}
    if done.returncode != 0 or said.get("errors") or said["failed"]:
        die(f"{server.name}: load failed: {done.stdout or done.returncode}")
    return said


def check(server, said, results=("pass",), cached=None):
    """Each message must have been judged, and in this way: else the figures
    are of something else. Names that end in `cached` must have been in the
    cache."""
    expected = {"pass": said["accepted"],
                "fail": sum(said["refused"].values())}
    found = {"pass": 0, "fail": 0}
    for line in server.verdicts(said["messages"]):
        result = line["dmarc"]["result"]
        action = {"pass": "relay", "fail": "reject"}.get(result)
        if (line["action"] != action or not line["enforced"] or
                line["accepted"] != (result == "pass")):
            die(f"{server.name}: not judged as it must be: {json.dumps(line)}")
        if cached and not any(each["name"].endswith(cached) and each["cached"]
                              for each in line["dns"]):
            die(f"{server.name}: not from the cache: {json.dumps(line)}")
        found[result] += 1
    if found != expected or not set(results) >= {
            result for result, n in found.items() if n}:
        die(f"{server.name}: {found}, load counted {expected}")


def run(server, *mails, results=("pass",), cached=None, **options):
    """Drive a load; gives its Run. A gate's verdicts are looked at."""
    before = quiet_cpu_ns(server.pid)
    said = drive(server, *mails, **options)
    spent = quiet_cpu_ns(server.pid) - before
    if server.gate:
        check(server, said, results, cached)
    elif said["accepted"] != said["messages"]:
        die(f"{server.name}: not all accepted")
    return Run(spent / 1e6 / said["messages"], said["rate"], said)


class Rig:
    """Use it in a `with` statement. What a part asks for is started at the
    first need and stays until the end, unless the part ends it."""

    def __init__(self, turns=5, divide=1, extra_zone=""):
        self.home = scratch("bench")
        self.turns, self.divide = turns, divide
        self.mails = Mails(self.home)
        self.extra_zone = extra_zone
        self.started, self.gates, self.haproxies = [], {}, {}
        self.nsd = self.certificate = None
        self.sink_port, self.sink_proxy_port = free_port(), free_port()

    def __enter__(self):
        self.nsd = Nsd(zone(self.extra_zone))
        self.nsd.start()
        sink = self.start("sink", SINK, self.sink_port, self.sink_proxy_port)
        sink.wait_for(lambda: can_connect(self.sink_port)
                      and can_connect(self.sink_proxy_port))
        return self

    def __exit__(self, kind, *_):
        for server in list(self.gates.values()):
            if kind is None:
                server.gate.stop()
            else:
                server.gate.process.kill()
        for process in self.started:
            process.stop()
        self.nsd.stop()

    def start(self, name, *command, env=None):
        """A process that ends with the rig."""
        process = Process(command, self.home / f"{name}.log",
                          env=env or environment())
        self.started.append(process)
        return process

    def count(self, messages):
        """So many, or fewer where the bench is to be quick."""
        return max(20, messages // self.divide)

    # --- the two that are compared ------------------------------------------

    def haproxy(self, is_tls=False):
        """HAProxy as a TCP relay, or one that ends TLS."""
        name = "haproxy-tls" if is_tls else "haproxy"
        if name not in self.haproxies:
            self.new_haproxy(name, is_tls)
        return self.haproxies[name]

    def new_haproxy(self, name, is_tls=False, sink=None):
        """sink: port of another backend than the bench's own."""
        port, tls = free_port(), ""
        if is_tls:
            pem = self.home / "haproxy.pem"
            pem.write_text("".join(Path(part).read_text()
                                   for part in self.pair()))
            tls = f" ssl crt {pem}"
        conf = self.home / f"{name}.cfg"
        conf.write_text(HAPROXY_CFG.format(port=port, tls=tls,
                                           sink=sink or self.sink_port))
        process = self.start(name, tool("haproxy"), "-f", conf, "-db")
        process.wait_for(lambda: can_connect(port))
        self.haproxies[name] = Server(name, port, process.pid,
                                      words=("--tls",) if is_tls else ())
        return self.haproxies[name]

    def gate(self, identity="none", workers=1, is_tls=False):
        """A gate in enforce mode with its native engines and its verdict
        log."""
        name = "-".join(["gate", identity, *(["tls"] if is_tls else []),
                         *([f"{workers}-workers"] if workers > 1 else [])])
        if name not in self.gates:
            self.new_gate(name, identity=identity, workers=workers,
                          is_tls=is_tls)
        return self.gates[name]

    def new_gate(self, name, identity="none", workers=1, is_tls=False,
                 sink=None, **blocks):
        """sink: port of another backend than the bench's own."""
        listen = {}
        if is_tls:
            certificate, private = self.pair()
            listen = {"tls-cert": [certificate], "tls-key": [private]}
        gate = Gate(
            backend=sink or (self.sink_proxy_port
                             if identity.startswith("proxy")
                             else self.sink_port),
            dns=self.nsd.port, identity=identity, listen=listen,
            backend_settings=({"trust-unidentified": True}
                              if identity == "none" else {}),
            top={"workers": workers, "client-timeout": "30m"},
            dmarc={"mode": "enforce"}, limit={"messages": 0},
            **{"spool": {"rotate-size": "1T", "rotate-time": "0"}, **blocks})
        server = Server(name, gate.plain_port, gate.process.pid, gate,
                        ("--starttls",) if is_tls else ())
        self.gates[name] = server
        return server

    def drop(self, server):
        """End a gate that nobody needs any more."""
        self.gates.pop(server.name).gate.stop()

    def pair(self):
        """One certificate and key for all."""
        if self.certificate is None:
            self.certificate = Authority().issue("mx.example")
        return self.certificate

    # --- turn by turn ---------------------------------------------------------

    def turn_by_turn(self, runs, turns=None):
        """runs: {name: function that gives a Run}. Each is run once to warm
        up, then all of them in every turn, in another order each time, so
        that what changes on the machine, and what the one before has left in
        its caches, meets all alike. Gives {name: [Run of each turn]}."""
        for each in runs.values():
            each()
        done = {name: [] for name in runs}
        for turn in range(turns or self.turns):
            order = list(runs)
            random.Random(turn).shuffle(order)
            for name in order:
                done[name].append(runs[name]())
        return done
