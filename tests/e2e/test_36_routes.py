# SPDX-License-Identifier: BSD-2-Clause
"""Which server a mail goes to: by route, by target, while some of them die,
move, or have enough connections."""

import os
import signal
import time

import pytest

from tests.e2e.gate import DMARCGATECTL, Gate
from tests.e2e.parts import Nsd
from tests.e2e.process import Process, can_connect, free_port, scratch
from tests.e2e.senders import zone

MESSAGE = b"From: x@none.example\r\nSubject: a way\r\n\r\nText\r\n"
SECONDS_MAX = 20


class Sink:
    """A server that takes everything, and can be killed and started again."""

    def __init__(self, port=None, host="127.0.0.1"):
        self.host, self.port = host, port or free_port()
        self.homes = []
        self.start()

    def start(self):
        home = scratch("sink")  # it numbers its files from 1
        self.homes.append(home)
        self.process = Process(
            [DMARCGATECTL, "sink", "--listen", f"{self.host}:{self.port}",
             "--directory", home, "--quiet"], home / "output")
        self.process.wait_for(lambda: can_connect(self.port, self.host))

    def count(self):
        """Messages that it has."""
        return sum(len(list(home.glob("*.eml"))) for home in self.homes)


@pytest.fixture
def sinks():
    made = []

    def more(*arguments, **options):
        made.append(Sink(*arguments, **options))
        return made[-1]

    yield more
    for sink in made:
        sink.process.stop()


def settings(*sinks_, words="", **more):
    return {"address": [f"{sink.host}:{sink.port}{words}" for sink in sinks_],
            "trust-unidentified": True, **more}


def post(gate, count, to="bob@backend.example"):
    for _ in range(count):
        with gate.client() as client:
            client.ehlo("mx.none.example")
            reply = client.deliver("x@none.example", [to], MESSAGE)
            assert reply.code == 250, reply
            client.quit()


def test_weights_and_a_server_that_dies(sinks):
    """Mail is shared out; with one server gone all of it goes to the other,
    and when it is there again it is found."""
    heavy, light = sinks(), sinks()
    backend = settings(heavy, light, **{"probe-interval": "1s",
                                        "retry-after": "1s"})
    backend["address"][0] += " weight=3"
    with Gate(heavy.port, zone(), identity="none",
              backend_settings=backend) as gate:
        post(gate, 60)
        assert heavy.count() + light.count() == 60
        assert heavy.count() > light.count() > 0
        before = light.count()
        heavy.process.kill()
        post(gate, 10)
        assert light.count() == before + 10
        assert gate.events("backend-target-down")
        heavy.start()
        gate.wait_event("backend-target-up", seconds=SECONDS_MAX)
        had, deadline = heavy.count(), time.monotonic() + SECONDS_MAX
        while heavy.count() == had:
            assert time.monotonic() < deadline
            post(gate, 5)
    assert len(gate.verdicts()) == heavy.count() + light.count()


def hold(gate, count):
    """Sessions that have their connection to the backend."""
    clients = [gate.client() for _ in range(count)]
    for client in clients:
        assert client.banner.code == 220
    return clients


def hold_the_next(gate):
    """The place that somebody has just left, once it is free."""
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        client = gate.client(greet=False)
        if client.reply().code == 220:
            return client
        client.close()
        assert time.monotonic() < deadline


def refuse_one(gate):
    with gate.client(greet=False) as client:
        refused = client.expect(421)
        assert refused.enhanced == "4.3.2" and "no time now" in refused.text


def test_no_more_connections_than_the_server_may_have(sinks):
    """Over all workers; a worker that is killed gives its places back."""
    sink = sinks()
    with Gate(sink.port, zone(), identity="none", top={"workers": 2},
              backend_settings=settings(sink, connections=10)) as gate:
        held = hold(gate, 10)
        refuse_one(gate)
        gate.wait_event("backend-full")
        held.pop().quit()
        held += [hold_the_next(gate)]
        refuse_one(gate)
        for pid in gate.workers():
            os.kill(pid, signal.SIGKILL)
        gate.wait_event("worker-died", 2)
        gate.wait_event("started", 4)
        for client in held:
            client.abort()
        held = hold(gate, 10)
        refuse_one(gate)
        for client in held:
            client.quit()


def test_a_name_that_moves(sinks):
    """The server is given by name; mail follows the name when the TTL of its
    address is over."""
    port = free_port()
    first, second = sinks(port), sinks(port, host="127.0.0.2")
    row = "mta.example. 1 IN A {}\n"
    with Nsd(zone() + row.format("127.0.0.1")) as dns, Gate(
            f"mta.example:{port}", dns=dns.port, identity="none",
            backend_settings={"trust-unidentified": True}) as gate:
        post(gate, 2)
        assert first.count() == 2
        dns.replace(zone() + row.format("127.0.0.2"))
        deadline = time.monotonic() + SECONDS_MAX
        while second.count() == 0:
            assert time.monotonic() < deadline
            post(gate, 1)
        before = first.count()
        post(gate, 2)
        assert first.count() == before


def test_routes_of_every_kind(sinks):
    servers = {name: sinks() for name in ("boss", "exact", "below", "rest")}
    with Gate(servers["rest"].port, zone(), identity="none",
              backend_settings={"trust-unidentified": True},
              backends={name: settings(sink, identity="none")
                        for name, sink in servers.items()},
              routes={"boss@a.example": {"backend": "boss"},
                      "a.example": {"backend": "exact"},
                      ".a.example": {"backend": "below"},
                      "*": {"backend": "rest"}}) as gate:
        post(gate, 1, "boss@a.example")
        post(gate, 2, "bob@a.example")
        post(gate, 3, "bob@b.a.example")
        post(gate, 4, "bob@elsewhere.example")
        with gate.client() as client:
            client.ehlo("mx.none.example")
            assert client.command("MAIL FROM:<x@none.example>").code == 250
            assert client.command("RCPT TO:<bob@a.example>").code == 250
            other = client.command("RCPT TO:<bob@b.a.example>")
            assert (other.code, other.enhanced) == (452, "4.5.3")
            client.quit()
    assert [sink.count() for sink in servers.values()] == [1, 2, 3, 4]
