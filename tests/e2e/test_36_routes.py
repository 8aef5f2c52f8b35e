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
from tests.e2e.smtp import Closed

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


def post(gate, count, to="bob@backend.example", connect=None):
    """Messages in sessions of their own."""
    connect = connect or gate.client
    for _ in range(count):
        with connect() as client:
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
        wait_for_mail(gate, heavy)
    assert len(gate.verdicts()) == heavy.count() + light.count()


def wait_for_mail(gate, sink):
    """Post until a server has some more."""
    had, deadline = sink.count(), time.monotonic() + SECONDS_MAX
    while sink.count() == had:
        assert time.monotonic() < deadline
        post(gate, 1)


def test_the_lowest_priority_first(sinks):
    """Whatever stands first in the file. The spare has mail only while the
    other is down; when both are, clients are told to come again."""
    spare, main = sinks(), sinks()
    backend = settings(spare, main, **{"probe-interval": "1s",
                                       "retry-after": "1s"})
    backend["address"] = [backend["address"][0] + " priority=20",
                          backend["address"][1] + " priority=5"]
    with Gate(spare.port, zone(), identity="none",
              backend_settings=backend) as gate:
        post(gate, 10)
        assert (main.count(), spare.count()) == (10, 0)
        main.process.kill()
        post(gate, 5)
        assert (main.count(), spare.count()) == (10, 5)
        spare.process.kill()
        with gate.client(greet=False) as client:
            assert client.expect(421).enhanced == "4.3.2"
        gate.wait_event("backend-down")
        spare.start()
        post(gate, 1)
        assert (main.count(), spare.count()) == (10, 6)
        main.start()
        wait_for_mail(gate, main)
        before = spare.count()
        post(gate, 5)
        assert spare.count() == before


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


def is_served(client):
    """Whether a session is still there."""
    client.send(b"NOOP\r\n")
    try:
        return client.reply().code == 250
    except Closed:
        return False


def kill_one_of_two(gate, most):
    """With all places taken. How many of them the other worker has: as many
    are free now as it has not."""
    held = [hold_the_next(gate) for _ in range(most)]
    refuse_one(gate)
    died = len(gate.events("worker-died"))
    gate.kill_worker()
    gate.wait_event("worker-died", died + 1)
    left = [client for client in held if is_served(client)]
    more = hold(gate, most - len(left))
    refuse_one(gate)
    for client in left + more:
        client.quit()
    for client in held:
        client.close()
    return len(left)


def test_a_worker_that_dies_gives_back_no_places_but_its_own(sinks):
    """Those of the one that lives on stay taken."""
    sink = sinks()
    with Gate(sink.port, zone(), identity="none", top={"workers": 2},
              backend_settings=settings(sink, connections=10)) as gate:
        deadline = time.monotonic() + SECONDS_MAX
        while not 0 < kill_one_of_two(gate, 10) < 10:
            assert time.monotonic() < deadline  # both should have had some
            gate.process.wait_for(lambda: len(gate.workers()) == 2)


def test_who_becomes_another_client_needs_no_second_place(sinks):
    """The server is reached anew behind XCLIENT, in the place that it has."""
    sink = sinks()
    with Gate(sink.port, zone(), identity="none",
              listen={"xclient-from": ["127.0.0.0/8"]},
              backend_settings=settings(sink, connections=1)
              ) as gate, gate.plain_client() as client:
        client.ehlo("proxy.none.example")
        assert client.command("XCLIENT ADDR=192.0.2.7").code == 220
        client.ehlo("mx.none.example")
        refuse_one(gate)
        client.quit()
        hold_the_next(gate).quit()


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
        wait_for_mail(gate, second)
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


def test_a_listener_has_a_route_of_its_own(sinks):
    own, rest = sinks(), sinks()
    with Gate(rest.port, zone(), identity="none", start=False,
              backend_settings={"trust-unidentified": True},
              backends={"own": settings(own, identity="none")},
              routes={"*": {"backend": "own"}}) as gate:
        gate.settings["route", "*"]["listener"] = (
            f"127.0.0.1:{gate.plain_port}")
        gate.configure('route "*" { backend = "mta" }\n')
        gate.start()
        post(gate, 2)
        post(gate, 3, connect=gate.plain_client)
        assert (own.count(), rest.count()) == (3, 2)


def test_a_client_network_has_a_route_of_its_own(sinks):
    """By the address that the PROXY header tells, or the client's own; for some
    recipients, or all."""
    servers = {name: sinks() for name in ("near", "six", "rest")}
    with Gate(servers["rest"].port, zone(), identity="none",
              backend_settings={"trust-unidentified": True},
              backends={name: settings(sink, identity="none")
                        for name, sink in servers.items()},
              routes={"a.example": {"client": ["192.0.2.0/25", "127.0.0.1"],
                                    "backend": "near"},
                      ".example": {"client": "2001:db8::/32",
                                   "backend": "six"},
                      "*": {"backend": "rest"}}) as gate:
        def sent_from(address):
            return lambda: gate.client(address)

        post(gate, 1, "bob@a.example", sent_from("192.0.2.127"))
        post(gate, 1, "bob@a.example", gate.plain_client)
        post(gate, 3, "bob@a.example", sent_from("2001:db8:9::1"))
        post(gate, 1, "bob@a.example", sent_from("192.0.2.128"))
        post(gate, 1, "bob@b.example", sent_from("192.0.2.127"))
        post(gate, 1, "bob@a.example", sent_from("2001:db9::1"))
        post(gate, 1, "bob@example", sent_from("2001:db8::1"))
    assert [sink.count() for sink in servers.values()] == [2, 3, 4]
