# SPDX-License-Identifier: BSD-2-Clause
"""Clients that come by IPv6: every server logs their own address, by every
identity, also where the gate itself reaches it by IPv4."""

import itertools
import smtplib
import time

import pytest

from tests.e2e.parts import txt
from tests.peers.messages import eight_bit
from tests.peers.network import BACKEND, BACKEND6, CLIENT6, GATE_OUTSIDE6
from tests.peers.peergate import PeerGate

SECONDS_MAX = 30
PORTS = itertools.count(2800)
ZONE = (txt("sender.example", f"v=spf1 ip6:{CLIENT6} -all")
        + txt("_dmarc.sender.example", "v=DMARC1; p=reject"))


def wait_until(claim):
    deadline = time.monotonic() + SECONDS_MAX
    while not claim() and time.monotonic() < deadline:
        time.sleep(0.05)
    return claim()


def gate_before(network, server, identity, port):
    """To come from an IPv6 address it has to go to one."""
    host = f"[{BACKEND6}]" if identity == "transparent" else BACKEND
    return PeerGate(network, zone=ZONE, identity=identity,
                    backend=f"{host}:{server.services[identity]}",
                    text=f'listen "[{GATE_OUTSIDE6}]:{port}" {{ }}\n')


def send(network, port, sender, message):
    with network.inside("client"), smtplib.SMTP(
            GATE_OUTSIDE6, port, "client.example", SECONDS_MAX) as mail:
        mail.sendmail(sender, message.recipients, message.octets,
                      ["BODY=8BITMIME"])


@pytest.mark.parametrize("name", ["postfix", "exim", "opensmtpd", "haraka",
                                  "lenient"])
def test_every_server_knows_an_ipv6_client(network, servers, name):
    server, = [each for each in servers if each.name == name]
    for identity in server.services:
        port = next(PORTS)
        message = next(eight_bit(f"six-{name}-{identity}"))
        sender = f"six-{name}-{identity}@sender.example"
        with gate_before(network, server, identity, port) as gate:
            send(network, port, sender, message)
            verdict, = gate.wait_verdicts(1)
            assert verdict["client"]["ip"] == CLIENT6
        assert wait_until(lambda: message.name in server.delivered()), identity
        assert server.delivered()[message.name][0].endswith(message.octets)
        wait_until(lambda: server.clients_of(sender) == {CLIENT6})
        assert server.clients_of(sender) == {CLIENT6}, identity
