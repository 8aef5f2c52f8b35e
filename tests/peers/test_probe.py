# SPDX-License-Identifier: BSD-2-Clause
"""Where the gate greets clients before it has a backend for them, it offers
what the backend offered to a probe, and so every server must take the header
that the probe comes with."""

import itertools

from tests.e2e.smtp import Client
from tests.peers.network import BACKEND, GATE_OUTSIDE
from tests.peers.peergate import PeerGate, listener

PORTS = itertools.count(2900)
# Of the keywords that pass, those that not every server has.
PASSED = {"8BITMIME", "SMTPUTF8", "DSN", "BINARYMIME"}


def offered(network, server, identity):
    """What the gate offers to a client in place of that server."""
    port = next(PORTS)
    with PeerGate(network, identity=identity, text=listener(port),
                  top={"backend-connect": "mail"},
                  backend=f"{BACKEND}:{server.services[identity]}") as gate:
        gate.wait_event("started", seconds=20)
        assert not gate.events("backend-down"), gate.process.text()
        with network.inside("client"), \
                Client(port, host=GATE_OUTSIDE) as client:
            client.ehlo("client.example")
            return PASSED & set(client.extensions)


def test_every_server_tells_the_probe_what_it_offers(network, servers):
    for server in servers:
        wanted = PASSED & set(server.extensions)
        assert "8BITMIME" in wanted
        for identity in server.services:
            assert offered(network, server, identity) == wanted, (
                server.name, identity)
