# SPDX-License-Identifier: BSD-2-Clause
"""Where a client goes to the mail server's own address, and the gate's host
lies in between: the gate takes the connection there, goes on to where the
client wanted, and comes with the client's address."""

import smtplib
import time

import pytest

from tests.peers.matrix import ZONE
from tests.peers.messages import eight_bit
from tests.peers.network import BACKEND, CLIENT
from tests.peers.peergate import PeerGate

SECONDS_MAX = 20


@pytest.fixture
def gate(network, servers):
    """One that stands in for every server, at the server's port."""
    listeners = "".join(
        f'listen "0.0.0.0:{server.services["transparent"]}" '
        "{ transparent = yes }\n" for server in servers)
    with PeerGate(network, zone=ZONE, identity="transparent",
                  backend="original-destination", text=listeners) as running:
        yield running


def connect(network, server):
    """A client that knows of no gate."""
    with network.inside("client"):
        return smtplib.SMTP(BACKEND, server.services["transparent"],
                            "client.example", SECONDS_MAX)


def wait_delivered(server, name):
    deadline = time.monotonic() + SECONDS_MAX
    while name not in server.delivered():
        assert time.monotonic() < deadline, f"{name} is not delivered"
        time.sleep(0.05)
    return server.delivered()[name][0]


def wait_logged(server, sender):
    """Some log the client's address at its end."""
    deadline = time.monotonic() + SECONDS_MAX
    while (server.clients_of(sender) != {CLIENT}
           and time.monotonic() < deadline):
        time.sleep(0.05)
    return server.clients_of(sender)


def test_nobody_can_tell_that_the_gate_is_there(network, servers, gate):
    for server in servers:
        message = next(eight_bit(f"intercepted-{server.name}"))
        sender = f"intercepted-{server.name}@sender.example"
        with connect(network, server) as mail:
            mail.sendmail(sender, message.recipients, message.octets,
                          ["BODY=8BITMIME"])
        octets = wait_delivered(server, message.name)
        assert octets.endswith(message.octets)
        assert b"Authentication-Results: gate.example;" in octets
        assert wait_logged(server, sender) == {CLIENT}
    assert {verdict["client"]["ip"] for verdict in
            gate.wait_verdicts(len(servers))} == {CLIENT}


def test_without_the_gate_there_is_no_way_through(network, servers):
    for server in servers:
        with pytest.raises(OSError):
            connect(network, server)
