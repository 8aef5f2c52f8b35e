# SPDX-License-Identifier: BSD-2-Clause
"""The client's identity fails closed: with no setting does the real Postfix
behind the gate take the internet for a neighbour.

The Postfix has mynetworks = 127.0.0.0/8 and takes mail for strangers only from
there; the gate is on 127.0.0.1. A stranger's RCPT to a foreign domain must be
refused whatever `identity` says, or the session must not come about."""

import subprocess

import pytest

from tests.e2e.gate import DMARCGATE, Gate
from tests.e2e.senders import BAD, GOOD6, message, zone
from tests.e2e.smtp import Client, Closed, proxy_v1, proxy_v2

STRANGER = "victim@elsewhere.example"


def try_to_relay(gate, address=BAD):
    """The code of RCPT for a foreign domain, or of what came instead."""
    with Client(gate.port, address, greet=False) as client:
        banner = client.reply()
        if banner.code != 220:
            client.expect_end()
            return banner
        client.ehlo("mail.stranger.example")
        client.mail("x@stranger.example")
        return client.command(f"RCPT TO:<{STRANGER}>")


@pytest.mark.parametrize("port, identity", [
    ("port", "xclient"), ("proxy_port", "proxy-v1"),
    ("proxy_port", "proxy-v2")])
@pytest.mark.parametrize("address", [BAD, GOOD6])
def test_a_stranger_is_a_stranger(gate, postfix, port, identity, address):
    mx = gate(backend=getattr(postfix, port), identity=identity, zone=zone())
    reply = try_to_relay(mx, address)
    assert reply.code == 454 or reply.code == 554, reply
    assert "Relay access denied" in reply.text
    postfix.wait_log(address)


@pytest.mark.parametrize("version", [1, 2])
def test_a_proxy_that_names_no_client_is_nobody(gate, postfix, version):
    """PROXY UNKNOWN, or LOCAL: the balancer's own address, which Postfix has
    among its networks, must not stand for whoever that is."""
    mx = gate(backend=postfix.port, zone=zone())
    header = {1: proxy_v1, 2: proxy_v2}[version](None)
    with Client(mx.port, None, greet=False) as client:
        client.send(header)
        client.expect(220)
        client.ehlo("balancer.example")
        client.mail("x@stranger.example")
        reply = client.command(f"RCPT TO:<{STRANGER}>")
        assert reply.code in (454, 554), reply
        assert "Relay access denied" in reply.text


@pytest.mark.parametrize("port, identity", [
    ("bare_port", "xclient"),    # it does not offer XCLIENT
    ("port", "proxy-v1"),        # it does not expect the header
    ("port", "proxy-v2"),
    ("bare_port", "proxy-v1"),
    ("bare_port", "proxy-v2"),
])
def test_no_identity_no_session(gate, postfix, port, identity):
    mx = gate(backend=getattr(postfix, port), identity=identity, zone=zone(),
              backend_settings={"connect-timeout": "3s"})
    reply = try_to_relay(mx)
    assert reply.code == 421, reply
    assert reply.enhanced in ("4.3.0", "4.3.2")
    assert not postfix.maildir("bob")


def test_a_header_expected_but_not_sent_gives_no_session(gate, postfix):
    """XCLIENT towards a PROXY port: Postfix waits for a header."""
    mx = gate(backend=postfix.proxy_port, identity="xclient", zone=zone(),
              backend_settings={"connect-timeout": "2s"})
    assert try_to_relay(mx).code == 421


def test_identity_none_needs_a_signature_under_it(postfix):
    gate = Gate(backend=postfix.port, identity="none", zone=zone(),
                start=False)
    said = subprocess.run([DMARCGATE, "-t", "-c", gate.conf],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=20, check=False)
    assert said.returncode != 0
    assert "trust-unidentified" in said.stdout
    assert "mynetworks" in said.stdout


def test_identity_none_is_warned_of(postfix):
    gate = Gate(backend=postfix.port, identity="none", zone=zone(),
                backend_settings={"trust-unidentified": True}, start=False)
    said = subprocess.run([DMARCGATE, "-t", "-c", gate.conf],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=20, check=False)
    assert said.returncode == 0, said.stdout
    assert "mynetworks" in said.stdout


def test_the_name_reaches_postfix(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone())
    with mx.client("192.0.2.10") as client:
        client.ehlo("mail.reject.example")
        assert client.deliver("a@reject.example", ["bob@backend.example"],
                              message("a@reject.example")).code == 250
    delivered, = postfix.wait_mail("bob")
    assert b"mail.reject.example [192.0.2.10]" in delivered


def test_an_unlisted_peer_may_not_send_a_header(gate, postfix):
    """On the plain listener the header is a command, and no good one."""
    mx = gate(backend=postfix.port, zone=zone())
    with mx.plain_client(greet=False) as client:
        client.expect(220)
        reply = client.command("PROXY TCP4 192.0.2.10 192.0.2.1 1 25")
        assert reply.code // 100 == 5


def test_a_listed_peer_must_send_a_header(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone())
    with Client(mx.port, None, greet=False) as client:
        client.send(b"EHLO x\r\n" + b"x" * 200)
        with pytest.raises(Closed):
            client.reply()
    mx.wait_event("bad-proxy-header")


def test_xclient_from_outside_is_not_taken(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone())
    with mx.client(BAD) as client:
        client.ehlo("mail.stranger.example")
        assert "XCLIENT" not in client.extensions
        assert client.command("XCLIENT ADDR=127.0.0.1").code // 100 == 5


def test_authenticated_by_a_listed_peer_is_never_enforced(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone(),
              listen={"xclient-from": [BAD]})
    with mx.client(BAD) as client:
        client.ehlo("relay.example")
        assert "XCLIENT" in client.extensions
        assert client.command("XCLIENT ADDR=198.51.100.7 NAME=laptop.example "
                              "LOGIN=carol").code == 220
        client.ehlo("laptop.example")
        assert client.deliver("ceo@reject.example", ["bob@backend.example"],
                              message("ceo@reject.example")).code == 250
    postfix.wait_mail("bob")
    verdict, = mx.wait_verdicts(1)
    assert verdict["authenticated"] and verdict["action"] == "relay"
    assert verdict["client"]["identity"] == "xclient"
    assert verdict["dmarc"] is None and verdict["spf"] is None
