# SPDX-License-Identifier: BSD-2-Clause
"""Limits of the real gate: of connections and rates over all workers, after
kill -9 of a worker too; and of memory, at which mail is deferred, not lost.

What one session may do is in tests/replay, 450 and on."""

import contextlib
import os
import re
import resource
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.e2e.gate import DMARCGATE
from tests.e2e.process import free_port
from tests.e2e.smtp import Client, Closed

SESSIONS = 1000
HERE, THERE = "192.0.2.10", "192.0.2.11"
FAR, FARTHER = "198.51.100.1", "2001:db8:1:1::1"


@pytest.fixture(name="files", autouse=True)
def _files():
    """A thousand clients need as many descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Clients that are in and stay, to be let go together."""

    def __init__(self, mx):
        self.mx = mx
        self.clients = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.close()

    def enter(self, address):
        """Whether one more was let in; else what it was told."""
        client = Client(self.mx.port, address, greet=False)
        reply = client.reply()
        if reply.code == 220:
            self.clients.append(client)
            return True
        assert reply.code == 421
        client.expect_end()
        client.close()
        return reply.enhanced

    def fill(self, address, count):
        for _ in range(count):
            assert self.enter(address) is True

    def leave_dead(self):
        """Those whose worker has died; how many they were."""
        alive = []
        for client in self.clients:
            client.send(b"NOOP\r\n")
            try:
                client.expect(250)
                alive.append(client)
            except Closed:
                client.close()
        dead = len(self.clients) - len(alive)
        self.clients = alive
        return dead


def limited(gate, workers=2, top=None, **limit):
    """A gate that greets by itself: nobody listens behind it."""
    return gate(backend=free_port(), limit=limit,
                top={"workers": workers, "backend-connect": "mail",
                     **(top or {})})


def reasons(mx):
    return {re.search(r'reason="([^"]*)"', line)[1]
            for line in mx.events("refused")}


def until(true, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


# --- connections ----------------------------------------------------------


def test_connections_of_an_address(gate):
    mx = limited(gate, **{"connections-per-address": 3})
    with Crowd(mx) as crowd:
        crowd.fill(HERE, 3)
        assert crowd.enter(HERE) == "4.7.0"
        crowd.fill(THERE, 3)
        crowd.clients[0].quit()
        del crowd.clients[0]
        until(lambda: crowd.enter(HERE) is True, "a place that is free")
        assert crowd.enter(HERE) == "4.7.0"
    assert reasons(mx) == {"limit.connections-per-address"}


def test_connections_of_a_network(gate):
    mx = limited(gate, **{"connections-per-network": 2})
    with Crowd(mx) as crowd:
        crowd.fill(HERE, 1)
        crowd.fill(THERE, 1)
        assert crowd.enter(HERE) == "4.7.0"
        assert crowd.enter("192.0.2.200") == "4.7.0"
        crowd.fill(FAR, 2)
        crowd.fill(FARTHER, 1)
        crowd.fill("2001:db8:1:2::1", 1)
        assert crowd.enter("2001:db8:1:3::1") == "4.7.0"
    assert reasons(mx) == {"limit.connections-per-network"}


def test_connections_of_the_whole_gate(gate):
    mx = limited(gate, **{"connections-total": 3})
    with Crowd(mx) as crowd:
        for address in (HERE, FAR, FARTHER):
            crowd.fill(address, 1)
        assert crowd.enter(THERE) == "4.3.2"
    assert reasons(mx) == {"limit.connections-total"}


def test_connections_of_one_worker(gate):
    mx = limited(gate, workers=1, connections=2)
    with Crowd(mx) as crowd:
        crowd.fill(HERE, 2)
        assert crowd.enter(FAR) == "4.3.2"
    assert reasons(mx) == {"limit.connections"}


def test_rate_of_connections(gate):
    """It holds over the workers, and a worker that dies takes nothing of it
    along."""
    mx = limited(gate, **{"connection-rate": "5/1h"})
    with Crowd(mx) as crowd:
        crowd.fill(HERE, 5)
        assert crowd.enter(HERE) == "4.7.0"
        for worker in mx.workers():
            os.kill(worker, signal.SIGKILL)
        mx.wait_event("started", 4)
        crowd.leave_dead()
        assert crowd.enter(HERE) == "4.7.0"
        crowd.fill(THERE, 5)
    assert reasons(mx) == {"limit.connection-rate"}


def test_loopback_and_exempt_networks(gate):
    mx = limited(gate, **{"connections-per-address": 1,
                          "connections-per-network": 1,
                          "connection-rate": "1/1h",
                          "exempt": ["198.51.100.0/24"]})
    with Crowd(mx) as crowd:
        crowd.fill(FAR, 5)
        crowd.fill("127.0.0.1", 5)
        crowd.fill(HERE, 1)
        assert crowd.enter(HERE) == "4.7.0"
    mx = limited(gate, **{"connections-per-address": 1,
                          "limit-loopback": True})
    with Crowd(mx) as crowd:
        crowd.fill("127.0.0.1", 1)
        assert crowd.enter("127.0.0.1") == "4.7.0"


# --- kill -9 ------------------------------------------------------------------


def test_a_worker_killed_with_1000_sessions_leaves_none(gate, capsys):
    """The sum is 0 again: as many may come as at first, and not one more."""
    mx = limited(gate, workers=1, **{"connections-per-address": SESSIONS})
    for _ in range(2):
        started = len(mx.events("started"))
        with Crowd(mx) as crowd:
            crowd.fill(HERE, SESSIONS)
            assert crowd.enter(HERE) == "4.7.0"
            mx.kill_worker()
            mx.wait_event("started", started + 1)
            assert crowd.leave_dead() == SESSIONS
    with Crowd(mx) as crowd:
        crowd.fill(HERE, SESSIONS)
        assert crowd.enter(HERE) == "4.7.0"
    with capsys.disabled():
        print(f"\n2 workers killed with {SESSIONS} sessions each: "
              f"{SESSIONS} of {SESSIONS} places free, each time")


def test_a_killed_worker_leaves_what_others_have(gate, capsys):
    mx = limited(gate, workers=2, **{"connections-per-address": SESSIONS})
    with Crowd(mx) as crowd:
        crowd.fill(HERE, SESSIONS)
        assert crowd.enter(HERE) == "4.7.0"
        mx.kill_worker()
        mx.wait_event("started", 3)
        dead = crowd.leave_dead()
        crowd.fill(HERE, dead)
        assert crowd.enter(HERE) == "4.7.0"
    with capsys.disabled():
        print(f"\na worker killed with {dead} of {SESSIONS} sessions: "
              f"{dead} places free")


# --- memory ---------------------------------------------------------------


class Sink:
    """A backend that takes every message, and counts them."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.server.getsockname()[1]
        self.taken = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(peer,),
                             daemon=True).start()

    def _talk(self, peer):
        with (peer, peer.makefile("rwb", 0) as stream,
              contextlib.suppress(ConnectionError)):
            stream.write(b"220 sink ESMTP\r\n")
            while line := stream.readline():
                verb = line[:4].upper()
                if verb == b"EHLO":
                    stream.write(b"250-sink\r\n250 XCLIENT ADDR NAME PORT\r\n")
                elif verb == b"XCLI":
                    stream.write(b"220 sink ESMTP\r\n")
                elif verb == b"DATA":
                    stream.write(b"354 go ahead\r\n")
                    self.taken.append(self._content(stream))
                    stream.write(b"250 2.0.0 Queued\r\n")
                elif verb == b"QUIT":
                    stream.write(b"221 bye\r\n")
                    return
                else:
                    stream.write(b"250 ok\r\n")

    @staticmethod
    def _content(stream):
        """Its octets as they came, without the end."""
        octets = b""
        while not octets.endswith(b"\r\n.\r\n"):
            piece = stream.read(65536)
            assert piece
            octets += piece
        return octets[:-3]

    def close(self):
        self.server.close()


@pytest.fixture(name="sink")
def _sink():
    sink = Sink()
    yield sink
    sink.close()


MIB = 1 << 20
CEILING = 16 * MIB
LETTERS = 60  # of 1 MiB each: together four times the ceiling
HEAD = b"From: Alice <alice@sender.example>\r\nSubject: %d\r\n\r\n"
LINE = b"All work and no play makes Jack a dull boy, and so on and on.\r\n"
BODY = LINE * (MIB // len(LINE))


def most_held(mx):
    """VmHWM of its worker, in octets."""
    status = Path(f"/proc/{mx.workers()[0]}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def is_instrumented():
    """Whether the gate was built with a sanitizer."""
    return b"__asan_init" in DMARCGATE.read_bytes()


def begin(mx):
    """A client that may send its message; or the code that keeps it out."""
    client = Client(mx.port, HERE, greet=False)
    reply = client.reply()
    for command in ("EHLO a.example", "MAIL FROM:<alice@sender.example>",
                    "RCPT TO:<bob@backend.example>", "DATA"):
        if reply.code >= 400:
            client.close()
            return None, reply
        reply = client.command(command)
    return (client, reply) if reply.code == 354 else (None, reply)


def test_memory(gate, sink, capsys):
    """At the ceiling whoever comes is deferred, with what is under way going
    on; when there is room again, all is taken. Nothing is lost or killed."""
    mx = gate(backend=sink.port,
              limit={"connections-per-address": 0},
              top={"memory": str(CEILING), "body-memory": "4M"})
    before = most_held(mx)
    waiting = [Client(mx.port, HERE) for _ in range(3)]
    for client in waiting:
        client.ehlo()
    inside, refused = [], []
    for number in range(LETTERS):
        client, reply = begin(mx)
        if client is None:
            refused.append(reply)
            continue
        client.send(HEAD % number + BODY)
        inside.append((client, number))
    assert 4 < len(inside) < LETTERS / 2
    # Most find the door closed; one may have come in just before.
    assert {(421, "4.3.2")} <= {
        (reply.code, reply.enhanced) for reply in refused
    } <= {(421, "4.3.2"), (452, "4.3.1")}
    assert len(mx.wait_event("memory-full")) == 1
    for client in waiting:
        reply = client.mail("alice@sender.example")
        assert (reply.code, reply.enhanced) == (452, "4.3.1")
    # Those inside go on, with twice as much again.
    for client, _ in inside:
        client.send(BODY * 2)
    for client, _ in inside:
        client.send(b".\r\n")
        assert client.expect(250).enhanced == "2.0.0"
        client.quit()
    most = most_held(mx)
    mx.wait_event("memory-free")
    for client in waiting:
        assert client.deliver("alice@sender.example", ["bob@backend.example"],
                              HEAD % 1000 + LINE).code == 250
        client.quit()
    assert len(mx.events("memory-full")) == len(mx.events("memory-free"))
    assert not mx.events("worker-died")
    assert len(mx.wait_verdicts(len(inside) + 3)) == len(inside) + 3
    sent = {HEAD % number + BODY * 3 for _, number in inside}
    got = {octets[octets.index(b"From: "):] for octets in sink.taken}
    assert sent < got and len(sink.taken) == len(inside) + 3
    # A sanitizer keeps what was freed, and a page of shadows for it.
    if not is_instrumented():
        assert most - before < 3 * CEILING
    with capsys.disabled():
        print(f"\nmemory = {CEILING >> 20}M: {len(inside)} messages of 3M "
              f"under way, {len(refused)} clients put off, {len(waiting)} "
              f"mails of those inside answered 452; the worker held "
              f"{most / MIB:.1f}M at most, {before / MIB:.1f}M of it at first")
